"""Time and memory of the compiled recurrences beside their peers: ncps, ncps' cell under torch.compile, torch's LSTM and GRU.

    python benchmarks/speed.py            # tests first, then docs/results/speed/
    python benchmarks/speed.py --quick    # few repeats, to see that it runs

The tests of the kernels run first, and nothing is measured if they fail. All contenders of a case are measured in turn, in
one process, as often as ``--repeats`` says; a ratio is the median over the rounds of their time over ours, with the
quartiles. Peak memory is the growth of the resident set over one training step, in a process of its own for each.
"""

import argparse
import csv
import functools
import math
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import ncps.torch
import ncps.wirings
import torch

import liquidrnn as lr
from liquidrnn import kernels

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "speed"
TESTS = Path(__file__).parents[1] / "tests" / "kernels"
INPUTS = 16
OURS = "liquidrnn"


@dataclass(frozen=True)
class Case:
    """One measurement: contenders doing the same work.

    Attributes:
        name: as the table has it.
        task: "train" (forward and backward), "forward", or "step" (one sample of a stream).
        batch: sequences.
        time: samples of each.
        contenders: makes each module, by name; ours is among them.
        targets: how many times our speed is to be theirs, by name; where a peer may be faster, the inverse of the most
            that we may take of its time.
    """

    name: str
    task: str
    batch: int
    time: int
    contenders: dict[str, Callable[[], Callable[[torch.Tensor], object]]]
    targets: dict[str, float] = field(default_factory=dict)


def first(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The output of a module that also returns a state."""
    call = lambda x: module(x)[0]  # noqa: E731
    call.parameters = module.parameters
    return call


def ours(make: Callable[[], torch.nn.Module]):
    return lambda: first(make())


def compiled_cell(network: Callable[[], torch.nn.Module]):
    """A network of ncps whose cell is compiled, its loop over time as it is."""

    def build():
        module = network()
        module.rnn_cell = torch.compile(module.rnn_cell)
        return first(module)

    return build


def ltc(units, backend=None):
    return ours(lambda: lr.LTC(INPUTS, units, batch_first=True, backend=backend))


def wired(units):
    return ours(lambda: lr.LTC(INPUTS, lr.wirings.AutoNCP(units, outputs=4), batch_first=True))


def ncps_ltc(units):
    return lambda: first(ncps.torch.LTC(INPUTS, units))


def ncps_wired(units):
    return lambda: first(ncps.torch.LTC(INPUTS, ncps.wirings.AutoNCP(units, 4)))


def torch_rnn(kind, units):
    return lambda: first(getattr(torch.nn, kind)(INPUTS, units, batch_first=True))


def stream(make):
    """One sample after another, the state handed on."""

    def build():
        layer = make()
        state = None

        def step(x):
            nonlocal state
            _, state = layer.step(x[:, 0], state, timespan=1.0)

        step.parameters = layer.parameters
        return step

    return build


def ncps_stream(make):
    def build():
        network = make()
        cell = network.rnn_cell
        state = torch.zeros(1, network.state_size)

        def step(x):
            nonlocal state
            _, state = cell(x[:, 0], state, 1.0)

        step.parameters = network.parameters
        return step

    return build


def cases():
    """The targets first, then sweeps."""
    at = {"batch": 32, "time": 100}
    rivals = {f"torch {kind}": kind for kind in ("LSTM", "GRU")}
    for units, target in ((32, 20.0), (128, 15.0)):
        yield Case(
            f"LTC({units})",
            "train",
            **at,
            contenders={
                OURS: ltc(units),
                "ncps": ncps_ltc(units),
                **({"ncps compiled": compiled_cell(lambda: ncps.torch.LTC(INPUTS, 32))} if units == 32 else {}),
                **{name: torch_rnn(kind, units) for name, kind in rivals.items()},
            },
            targets={"ncps": target, **({"ncps compiled": 5.0} if units == 32 else {})},
        )
    for units, target in ((32, 75.0), (128, 120.0)):
        yield Case(
            f"LTC(AutoNCP({units}, 4))",
            "train",
            **at,
            contenders={
                OURS: wired(units),
                "ncps": ncps_wired(units),
                **{name: torch_rnn(kind, units) for name, kind in rivals.items()},
            },
            targets={"ncps": target, **({"torch LSTM": 1 / 1.7} if units == 128 else {})},
        )
    for units in (32, 128):
        yield Case(f"LTC({units})", "forward", **at, contenders={OURS: ltc(units), "ncps": ncps_ltc(units)})
    yield Case(
        "LTC(32), one sequence",
        "train",
        1,
        1000,
        {OURS: ltc(32), "ncps": ncps_ltc(32), "torch LSTM": torch_rnn("LSTM", 32)},
        {"ncps": 400.0},
    )
    yield Case(
        "LRCU(32)",
        "train",
        **at,
        contenders={
            OURS: ours(lambda: lr.LRCU(INPUTS, 32, batch_first=True)),
            "in eager PyTorch": ours(lambda: lr.LRCU(INPUTS, 32, batch_first=True, backend="reference")),
        },
        targets={"in eager PyTorch": 20.0},
    )
    yield Case(
        "CfC(32)",
        "train",
        **at,
        contenders={
            OURS: ours(lambda: lr.CfC(INPUTS, 32, batch_first=True)),
            "ncps": lambda: first(ncps.torch.CfC(INPUTS, 32)),
            **{name: torch_rnn(kind, 32) for name, kind in rivals.items()},
        },
        targets={"ncps": 6.0},
    )
    yield Case(
        "CfC(64), no backbone",
        "train",
        **at,
        contenders={
            OURS: ours(lambda: lr.CfC(INPUTS, 64, backbone_layers=0, batch_first=True)),
            "ncps": lambda: first(ncps.torch.CfC(INPUTS, 64, backbone_layers=0)),
            "torch LSTM": torch_rnn("LSTM", 64),
        },
        targets={"torch LSTM": 0.5},
    )
    yield Case(
        "LTC(32)",
        "step",
        1,
        1,
        {
            OURS: stream(lambda: lr.LTC(INPUTS, 32)),
            "ncps": ncps_stream(lambda: ncps.torch.LTC(INPUTS, 32)),
        },
        {"ncps": 30.0},
    )
    yield Case(
        "CfC(32)",
        "step",
        1,
        1,
        {
            OURS: stream(lambda: lr.CfC(INPUTS, 32)),
            "ncps": ncps_stream(lambda: ncps.torch.CfC(INPUTS, 32)),
        },
    )


def once(case: Case, call, x) -> None:
    if case.task == "train":
        for parameter in call.parameters():
            parameter.grad = None
        call(x).sum().backward()
    else:
        with torch.no_grad():
            call(x)


def measure(case: Case, repeats: int) -> list[dict[str, object]]:
    """A row for each contender: median seconds, and the ratio to ours with its quartiles."""
    x = torch.randn(case.batch, case.time, INPUTS)
    calls = {name: make() for name, make in case.contenders.items()}
    counts = {}
    for name, call in calls.items():
        once(case, call, x)
        once(case, call, x)
        counts[name] = max(1, min(200, int(0.02 / timed(case, call, x, 1))))
    rounds = [{name: timed(case, call, x, counts[name]) for name, call in calls.items()} for _ in range(repeats)]
    rows = []
    for name in calls:
        ratios = sorted(r[name] / r[OURS] for r in rounds)
        low, _, high = statistics.quantiles(ratios, n=4)
        rows.append(
            {
                "case": case.name,
                "task": case.task,
                "batch": case.batch,
                "time": case.time,
                "contender": name,
                "seconds": statistics.median(r[name] for r in rounds),
                "ratio": statistics.median(ratios),
                "low": low,
                "high": high,
                "target": case.targets.get(name, ""),
            }
        )
        print(f"{case.name:28} {case.task:8} {name:18} {rows[-1]['seconds'] * 1e3:10.3f} ms  x {rows[-1]['ratio']:.2f}")
    return rows


def timed(case: Case, call, x, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        once(case, call, x)
    return (time.perf_counter() - start) / count


MEMORY = {
    OURS: lambda units: first(lr.LTC(INPUTS, units, batch_first=True)),
    "reference": lambda units: first(lr.LTC(INPUTS, units, batch_first=True, backend="reference")),
    "ncps": lambda units: first(ncps.torch.LTC(INPUTS, units)),
    "torch LSTM": lambda units: first(torch.nn.LSTM(INPUTS, units, batch_first=True)),
}


def resident(field_name: str) -> int:
    """Bytes of this process: "VmRSS" now, or "VmHWM" at most since the last reset."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{field_name} is not in /proc/self/status")


def peak_memory(name: str, units: int, batch: int, steps: int) -> None:
    """Prints the bytes by which one training step raises the resident set."""
    call = MEMORY[name](units)
    case = Case("", "train", batch, steps, {})
    once(case, call, torch.randn(2, 2, INPUTS))  # what is loaded once does not count
    x = torch.randn(batch, steps, INPUTS)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    once(case, call, x)
    print(resident("VmHWM") - before)


def memory() -> list[dict[str, object]]:
    rows = []
    for units, batch, steps in ((64, 32, 100),):
        for name in MEMORY:
            command = [sys.executable, __file__, "--memory-of", name, str(units), str(batch), str(steps)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            rows.append({"units": units, "batch": batch, "time": steps, "contender": name, "bytes": int(said[-1])})
            print(f"peak training memory of LTC({units}): {name:12} {int(said[-1]) / 1e6:.1f} MB")
    return rows


def growth(repeats: int) -> list[dict[str, object]]:
    """Time of a training step of one and the same LTC over lengths."""
    layer = first(lr.LTC(INPUTS, 32, batch_first=True))
    lengths = (100, 1000, 10_000)
    inputs = [torch.randn(32, steps, INPUTS) for steps in lengths]
    case = Case("", "train", 32, 0, {})
    once(case, layer, inputs[0])
    rounds = [[timed(case, layer, x, max(1, 1000 // x.shape[1])) for x in inputs] for _ in range(repeats)]
    return [
        {"time": steps, "seconds_per_sample": statistics.median(r[n] for r in rounds) / steps}
        for n, steps in enumerate(lengths)
    ]


def sweep(repeats: int) -> list[dict[str, object]]:
    """Ours beside torch's LSTM over units, batch and time, dense and wired."""
    points = [(32, 100, units) for units in (8, 16, 32, 64, 128, 256)]
    points += [(batch, 100, 64) for batch in (1, 4, 16, 64, 256)] + [(32, steps, 64) for steps in (10, 1000)]
    rows = []
    for batch, steps, units in points:
        contenders = {OURS: ltc(units), "torch LSTM": torch_rnn("LSTM", units)}
        if units >= 16:
            contenders["wired"] = wired(units)
        case = Case(f"{units} units", "train", batch, steps, contenders)
        rows += [{**row, "units": units} for row in measure(case, repeats)]
    return rows


def write(name: str, rows: list[dict[str, object]]) -> None:
    with (RESULTS / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="three repeats, no sweep, no tests")
    parser.add_argument("--memory-of", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        name, *sizes = arguments.memory_of
        return peak_memory(name, *map(int, sizes))
    if kernels.cpu is None:
        parser.error(f"there is nothing to measure: {lr.backends()['cpu']}")
    if not arguments.quick:
        subprocess.run([sys.executable, "-m", "pytest", "-q", str(TESTS)], check=True)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    repeats = 3 if arguments.quick else arguments.repeats
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = [row for case in cases() for row in measure(case, repeats)]
    used, lengths = memory(), growth(repeats)
    swept = [] if arguments.quick else sweep(repeats)
    print(lengths)
    if arguments.quick:
        return None
    write("cases.csv", rows)
    write("memory.csv", used)
    write("growth.csv", lengths)
    write("sweep.csv", swept)
    return None


if __name__ == "__main__":
    main()
