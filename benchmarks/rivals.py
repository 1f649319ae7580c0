"""Recurrent networks that are not liquid beside torch's own, and beside their loops in plain PyTorch.

    python benchmarks/rivals.py             # docs/results/speed/rivals.md
    python benchmarks/rivals.py --quick     # few repeats, nothing written
    python benchmarks/rivals.py --inside    # what of a training step is spent in kernels, nothing written

Contenders of a case are measured in turn, in one process, with one thread and with all; see `speed.py`. Times of one
thread are processor times, which other programs disturb little. Those of several need a machine of their own.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import speed
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import liquidrnn as lr
from liquidrnn import kernels
from liquidrnn.kernels import gated

BATCH, TIME, UNITS = 32, 64, 64
INPUTS = speed.INPUTS = 32
THEIRS = "torch"
LOOP = "its loop"
TORCHS: dict[str, tuple[type[lr.RecurrentLayer], type[nn.RNNBase]]] = {
    "GRU": (lr.GRU, nn.GRU),
    "LSTM": (lr.LSTM, nn.LSTM),
    "RNN": (lr.RNN, nn.RNN),
}
LOOPS = {"CT-RNN": lr.CTRNN, "GRU-D": lr.GRUD}


def ragged(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The outputs of sequences of unequal length, packed."""
    lengths = torch.randint(1, TIME + 1, (BATCH,), generator=torch.Generator().manual_seed(0))

    def call(x):
        return module(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0].data

    call.parameters = module.parameters
    return call


def torchs_cell(cell: Callable[[], nn.Module]):
    """A cell of torch's, a sample at a time."""

    def build():
        module = cell()
        state: torch.Tensor | tuple[torch.Tensor, ...] | None = None

        def step(x):
            nonlocal state
            state = module(x, state)

        step.parameters = module.parameters
        return step

    return build


def cases() -> Iterator[speed.Case]:
    """Training, a forward pass, unequal lengths, a stream."""
    for name, (mine, theirs) in TORCHS.items():
        layer, module = (partial(kind, INPUTS, UNITS, batch_first=True) for kind in (mine, theirs))
        whole = {speed.OURS: speed.ours(layer), THEIRS: speed.ours(module)}
        aims = {"GRU": {THEIRS: 5.0}, "LSTM": {THEIRS: 1.0}}.get(name, {})
        yield speed.Case(f"{name}({UNITS})", "train", BATCH, TIME, whole, aims)
        yield speed.Case(f"{name}({UNITS})", "forward", BATCH, TIME, whole)
        packed = {speed.OURS: lambda layer=layer: ragged(layer()), THEIRS: lambda module=module: ragged(module())}
        yield speed.Case(f"{name}({UNITS}), 1 to {TIME} samples", "train", BATCH, TIME, packed, {THEIRS: 5.0})
        cell = partial(getattr(nn, f"{name}Cell"), INPUTS, UNITS)
        streamed = {
            speed.OURS: speed.stream(partial(mine, INPUTS, UNITS, time="ignore")),
            f"{THEIRS}'s cell": torchs_cell(cell),
        }
        yield speed.Case(f"{name}({UNITS})", "step", 1, 1, streamed)
    for name, kind in LOOPS.items():
        both = {
            speed.OURS: partial(kind, INPUTS, UNITS, batch_first=True),
            LOOP: partial(kind, INPUTS, UNITS, batch_first=True, backend="reference"),
        }
        whole = {who: speed.ours(make) for who, make in both.items()}
        yield speed.Case(f"{name}({UNITS})", "train", BATCH, TIME, whole, {LOOP: 20.0} if name == "CT-RNN" else {})
        yield speed.Case(f"{name}({UNITS})", "forward", BATCH, TIME, whole)
        streamed = {who: speed.stream(make) for who, make in both.items()}
        yield speed.Case(f"{name}({UNITS})", "step", 1, 1, streamed)


def inside(name: str, steps: int = 600) -> str:
    """What of a training step is spent in the compiled module, in words: 10th percentiles, in ms."""
    layer: lr.RecurrentLayer = getattr(lr, name)(INPUTS, UNITS, batch_first=True)
    x, module, spent = torch.randn(BATCH, TIME, INPUTS), gated.cpu.module, {}

    def timed(what: str, call: Callable[..., object], *arguments: object) -> object:
        began = time.perf_counter()
        result = call(*arguments)
        spent.setdefault(what, []).append(time.perf_counter() - began)
        return result

    def step() -> None:
        layer.zero_grad()
        layer(x)[0].sum().backward()

    parts = ("gated_forward", "gated_backward")
    gated.cpu.module = SimpleNamespace(**{part: partial(timed, part, getattr(module, part)) for part in parts})
    try:
        for _ in range(steps):
            timed("step", step)
    finally:
        gated.cpu.module = module
    found = {what: 1e3 * sorted(times)[steps // 10] for what, times in spent.items()}
    kernels = " + ".join(f"{found[part]:.2f}" for part in parts)
    return f"{name}: {found['step']:.2f} ms a step, of which {kernels} in kernels, forward and backward"


def main() -> None:
    """Measures, and writes a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="three repeats, nothing written")
    parser.add_argument("--inside", action="store_true", help="time kernels within training steps, nothing written")
    parser.add_argument("--results", type=Path, default=speed.ROOT / "docs" / "results" / "speed")
    arguments = parser.parse_args()
    repeats, rows = 3 if arguments.quick else arguments.repeats, []
    for threads in sorted({1, arguments.threads}):
        torch.set_num_threads(threads)
        speed.clock = time.thread_time if threads == 1 else time.perf_counter
        torch.manual_seed(0)
        print(f"{threads} threads")
        if arguments.inside:
            print(*map(inside, (*TORCHS, "CTRNN", "GRUD")), sep="\n")
            continue
        # A stream of one sequence takes one thread in any case.
        chosen = [case for case in cases() if threads == 1 or case.task != "step"]
        rows += [{**row, "threads": threads} for case in chosen for row in speed.measure(case, repeats)]
    if arguments.quick or arguments.inside:
        return
    where = f"{speed.processor()} ({kernels.cpu.instruction_set()}), {platform.system()}, torch {torch.__version__}"
    text = f"""Made by `python benchmarks/rivals.py --threads {arguments.threads}` on {where},
float32, {INPUTS} inputs. Times are medians of {repeats} rounds in one process, all contenders in turn, and processor
times where there is one thread; "times ours" is the median over the rounds of their time over ours, with its quartiles:
above 1 we are faster.

"""
    lines = (
        (
            row["case"],
            row["task"],
            f"{row['batch']} x {row['time']}",
            row["threads"],
            row["contender"],
            speed.figure(1e3 * row["seconds"]),
            speed.figure(1e3 * row["seconds"] / row["ratio"]),
            f"{speed.figure(row['ratio'])} ({speed.figure(row['low'])} to {speed.figure(row['high'])})",
            speed.aim(row),
        )
        for row in rows
        if row["contender"] != speed.OURS
    )
    head = "network | what | batch x time | threads | against | theirs, ms | ours, ms | times ours | asked for"
    (arguments.results / "rivals.md").write_text(text + speed.table(head, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
