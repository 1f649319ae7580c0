"""Time and memory of the compiled recurrences beside their peers: ncps, eager and compiled, and torch's LSTM and GRU.

    python benchmarks/speed.py            # tests first, then docs/results/speed/
    python benchmarks/speed.py --quick    # few repeats, to see that it runs
    python benchmarks/speed.py --results FOLDER    # for a processor of another kind

The tests of the kernels run first, and nothing is measured if they fail. All contenders of a case are measured in turn,
in one process, as often as ``--repeats`` says; a ratio is the median over the rounds of their time over ours, with the
quartiles. Peak memory is the growth of the resident set over one training step, in a process of its own for each.
"""

import argparse
import csv
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import ncps.torch
import ncps.wirings
import torch
from torch.utils.checkpoint import checkpoint

import liquidrnn as lr
from liquidrnn import kernels

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "kernels"
INPUTS = 16
OURS = "liquidrnn"
clock = time.perf_counter


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
    """One sample after another through a stream."""

    def build():
        layer = make()
        read = lr.Stream(layer, batch=1)

        def step(x):
            read(x, timespan=1.0)

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
            _, state = cell(x, state, 1.0)

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


def once(task: str, call, x, count: int = 1) -> None:
    """The task ``count`` times. Entering ``no_grad``, a third of a streamed step, is not counted with each."""
    if task == "train":
        for _ in range(count):
            for parameter in call.parameters():
                parameter.grad = None
            call(x).sum().backward()
    else:
        with torch.no_grad():
            for _ in range(count):
                call(x)


def measure(case: Case, repeats: int) -> list[dict[str, object]]:
    """A row for each contender: median seconds, and the ratio to ours with its quartiles."""
    x = torch.randn(*((case.batch,) if case.task == "step" else (case.batch, case.time)), INPUTS)
    calls = {name: make() for name, make in case.contenders.items()}
    counts = {}
    for name, call in calls.items():
        once(case.task, call, x)
        once(case.task, call, x)
        counts[name] = max(1, min(200, int(0.02 / timed(case.task, call, x, 1))))
    rounds = [{name: timed(case.task, call, x, counts[name]) for name, call in calls.items()} for _ in range(repeats)]
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


def timed(task: str, call, x, count: int) -> float:
    start = clock()
    once(task, call, x, count)
    return (clock() - start) / count


def checkpointed(units: int):
    """The last state alone, and of the samples before it no more than 100 at a time."""

    def build():
        layer = lr.LTC(INPUTS, units, batch_first=True)

        def last(x):
            state = None
            for piece in x.split(100, dim=1):
                _, state = checkpoint(layer, piece, state, use_reentrant=False)
            return state

        last.parameters = layer.parameters
        return last

    return build


MEMORY = {
    OURS: ltc,
    "checkpointed": checkpointed,
    "reference": partial(ltc, backend="reference"),
    "ncps": ncps_ltc,
    "torch LSTM": partial(torch_rnn, "LSTM"),
}


def resident(field_name: str) -> int:
    """Bytes of this process: "VmRSS" now, or "VmHWM" at most since the last reset."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{field_name} is not in /proc/self/status")


def peak_memory(name: str, units: int, batch: int, steps: int) -> None:
    """Prints the bytes by which one training step raises the resident set."""
    call = MEMORY[name](units)()
    once("train", call, torch.randn(2, 2, INPUTS))  # what is loaded once does not count
    x = torch.randn(batch, steps, INPUTS)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    once("train", call, x)
    print(resident("VmHWM") - before)


def memory() -> list[dict[str, object]]:
    rows = []
    for units, batch, steps, names in (
        (64, 32, 100, (OURS, "reference", "ncps", "torch LSTM")),
        (64, 32, 10_000, (OURS, "checkpointed", "torch LSTM")),
    ):
        for name in names:
            command = [sys.executable, __file__, "--memory-of", name, str(units), str(batch), str(steps)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            rows.append({"units": units, "batch": batch, "time": steps, "contender": name, "bytes": int(said[-1])})
            print(f"peak training memory of LTC({units}), {steps} samples: {name:12} {int(said[-1]) / 1e6:.1f} MB")
    return rows


def growth(repeats: int) -> list[dict[str, object]]:
    """Time of a training step of one and the same LTC over lengths."""
    layer = ltc(32)()
    lengths = (100, 1000, 10_000)
    inputs = [torch.randn(32, steps, INPUTS) for steps in lengths]
    once("train", layer, inputs[0])
    rounds = [[timed("train", layer, x, max(1, 1000 // x.shape[1])) for x in inputs] for _ in range(repeats)]
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


def one_sequence(repeats: int, threads: int) -> list[dict[str, object]]:
    """Training on one sequence, by one thread and by several, which then share its neurons."""
    rows = []
    for units in (32, 64, 128, 256):
        call, x = ltc(units)(), torch.randn(1, 500, INPUTS)
        times: dict[int, list[float]] = {1: [], threads: []}
        for _ in range(repeats):
            for number, found in times.items():
                torch.set_num_threads(number)
                # Another number of threads takes the runtime a while, once.
                once("train", call, x)
                found.append(timed("train", call, x, 5))
        ratios = sorted(alone / shared for alone, shared in zip(*times.values(), strict=True))
        low, _, high = statistics.quantiles(ratios, n=4)
        alone, shared = map(statistics.median, times.values())
        ratio = statistics.median(ratios)
        rows.append({"units": units, "alone": alone, "shared": shared, "ratio": ratio, "low": low, "high": high})
        print(f"one sequence, LTC({units}): {1e3 * alone:.2f} ms by one thread, {1e3 * shared:.2f} by {threads}")
    torch.set_num_threads(threads)
    return rows


def roofline(repeats: int) -> list[dict[str, object]]:
    """Sigmoids per second of an LTC's recurrence, one thread, beside a bare loop of the same function, and in cycles.

    A training step is two passes over the synapses, each with an evaluation of its own.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    for units, batch, steps in ((32, 32, 100), (64, 64, 40), (128, 64, 40), (512, 64, 20)):
        call, x = ltc(units)(), torch.randn(batch, steps, INPUTS)
        synapses = batch * steps * (6 * units * units + INPUTS * units)
        for task, passes in {"forward": 1, "train": 2}.items():
            once(task, call, x)
            rounds = []
            for _ in range(repeats):
                clock = kernels.cpu.cycles_per_second()
                bare = kernels.cpu.sigmoids_per_second(20_000)
                rounds.append((passes * synapses / timed(task, call, x, 1), bare, clock))
            row = {
                "case": f"LTC({units})",
                "task": task,
                "batch": batch,
                "time": steps,
                "rate": statistics.median(rate for rate, _, _ in rounds),
                "share": statistics.median(rate / bare for rate, bare, _ in rounds),
                "cycles": statistics.median(16 * passes * clock / rate for rate, _, clock in rounds),
                "bare_cycles": statistics.median(16 * clock / bare for _, bare, clock in rounds),
                "clock": statistics.median(clock for _, _, clock in rounds),
            }
            rows.append(row)
            print(
                f"{row['case']} {task}: {row['rate'] / 1e9:.2f} 10^9 sigmoids per second, {row['share']:.0%} of a bare "
                f"loop; {row['cycles']:.1f} cycles for 16 synapses, {row['bare_cycles']:.2f} for 16 bare sigmoids"
            )
    torch.set_num_threads(threads)
    return rows


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def table(head: str, rows) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + " --- |" * columns, *(f"| {' | '.join(map(str, row))} |" for row in rows)]
    return "\n".join(lines) + "\n"


def figure(value: float) -> str:
    """Three digits."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def aim(row) -> str:
    """What was asked for, and whether it was reached."""
    if row["target"] == "":
        return ""
    asked = f"{row['target']:.0f}" if row["target"] >= 1 else f"{row['target']:.2f}"
    return f"{asked}, {'reached' if row['ratio'] >= row['target'] else 'missed'}"


def processor() -> str:
    """Of this machine, by name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def report(rows, used, lengths, shared, fractions, arguments) -> str:
    ours_by_time = {r["time"]: r["bytes"] for r in used if r["contender"] == OURS}
    first_length = lengths[0]["seconds_per_sample"]
    return f"""Made by `benchmarks/speed.py` (`make bench`) on {processor()} ({kernels.cpu.instruction_set()}), {
        platform.system()
    }, {arguments.threads} threads, torch
{torch.__version__}, ncps 1.0.1, float32. Times are medians of {
        arguments.repeats
    } rounds in one process, all contenders in turn; "times ours" is the median over the
rounds of their time over ours, with its quartiles: above 1 we are faster.

{
        table(
            "network | what | batch x time | against | theirs, ms | ours, ms | times ours | asked for",
            (
                (
                    r["case"],
                    r["task"],
                    f"{r['batch']} x {r['time']}",
                    r["contender"],
                    figure(1e3 * r["seconds"]),
                    figure(1e3 * r["seconds"] / r["ratio"]),
                    f"{figure(r['ratio'])} ({figure(r['low'])} to {figure(r['high'])})",
                    aim(r),
                )
                for r in rows
                if r["contender"] != OURS
            ),
        )
    }
Peak memory of a training step, LTC of 64 units, batch 32: growth of the resident set. Checkpointed: the last state
is wanted alone, and `torch.utils.checkpoint` takes 100 samples at a time.

{
        table(
            "network | samples | MB | times ours",
            (
                (r["contender"], r["time"], f"{r['bytes'] / 1e6:.1f}", figure(r["bytes"] / ours_by_time[r["time"]]))
                for r in used
            ),
        )
    }
Sigmoids: evaluations per second in an LTC, through the layer, one thread, and the share of what a bare loop of the same
function reaches here. Training evaluates each twice, and has the gradients' own work besides. Cycles are for 16
synapses, by a clock measured beside, {figure(fractions[0]["clock"] / 1e9)} GHz; 16 sigmoids of the bare loop take {
        figure(statistics.median(r["bare_cycles"] for r in fractions))
    }.

{
        table(
            "network | what | batch x time | 10^9 sigmoids a second | share of the bare loop | cycles for 16 synapses",
            (
                (
                    r["case"],
                    r["task"],
                    f"{r['batch']} x {r['time']}",
                    f"{r['rate'] / 1e9:.2f}",
                    f"{r['share']:.0%}",
                    f"{r['cycles']:.1f}",
                )
                for r in fractions
            ),
        )
    }
One sequence of 500 samples, LTC, training: all threads have a part of its neurons.

{
        table(
            f"units | ms, one thread | ms, {arguments.threads} threads | times as fast",
            (
                (
                    r["units"],
                    figure(1e3 * r["alone"]),
                    figure(1e3 * r["shared"]),
                    f"{figure(r['ratio'])} ({figure(r['low'])} to {figure(r['high'])})",
                )
                for r in shared
            ),
        )
    }
Time per sample over the length of the sequence, LTC of 32 units, batch 32, training.

{
        table(
            "samples | microseconds a sample | against 100 samples",
            (
                (r["time"], f"{1e6 * r['seconds_per_sample']:.1f}", f"{r['seconds_per_sample'] / first_length:.2f}")
                for r in lengths
            ),
        )
    }
"""


def plots(rows, swept, folder: Path) -> None:
    matplotlib.use("Agg")
    plt.rcParams.update({"svg.hashsalt": "speed", "font.size": 9})
    shown = [r for r in rows if r["contender"] in ("ncps", "in eager PyTorch")]
    drawing, axes = plt.subplots(figsize=(7, 0.34 * len(shown) + 0.9), layout="constrained")
    names = [f"{r['case']}, {r['task']}" for r in shown]
    axes.barh(names, [r["ratio"] for r in shown], color="#1f6fb4")
    axes.set(xscale="log", xlabel="time of ncps (LRCU: of eager PyTorch) over ours")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    for n, r in enumerate(shown):
        axes.text(r["ratio"] * 1.05, n, f"{r['ratio']:.3g}", va="center")
    axes.spines[["top", "right"]].set_visible(False)
    save(drawing, folder / "ratios.svg")

    drawing, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    labels = {OURS: "LTC, dense", "wired": "LTC, AutoNCP(n, 4)", "torch LSTM": "torch LSTM"}
    for (name, label), marker in zip(labels.items(), "os^", strict=True):
        points = [r for r in swept if r["contender"] == name and (r["batch"], r["time"]) == (32, 100)]
        axes.plot([r["units"] for r in points], [1e3 * r["seconds"] for r in points], marker=marker, label=label)
    axes.set(xscale="log", yscale="log", xlabel="units", ylabel="ms a training step, batch 32, 100 samples")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save(drawing, folder / "units.svg")


def save(drawing, path: Path) -> None:
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="three repeats, no sweep, no tests")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results" / "speed", help="where to write")
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
    rows = [row for case in cases() for row in measure(case, repeats)]
    used, lengths, shared = memory(), growth(repeats), one_sequence(repeats, arguments.threads)
    fractions = roofline(repeats)
    if arguments.quick:
        return None
    swept = sweep(repeats)
    folder = arguments.results
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"cases": rows, "memory": used, "growth": lengths, "shared": shared, "sweep": swept, "roofline": fractions}
    for name, found in tables.items():
        write(folder / f"{name}.csv", found)
    plots(rows, swept, folder)
    (folder / "tables.md").write_text(report(rows, used, lengths, shared, fractions, arguments), encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
