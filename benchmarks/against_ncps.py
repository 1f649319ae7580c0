"""Ours against ncps: outputs, gradients, stored parameters, and time.

    python benchmarks/against_ncps.py            # writes docs/results/against_ncps.md

Every network of ncps is converted with its weights; both then read the same sequences. Differences are the largest
over all entries, of outputs and of the input's gradient. Times are of forward and backward, interleaved in one
process, as a ratio of medians, and taken only after the numbers of the same network were found to agree.
"""

import argparse
import platform
import statistics
import time
from pathlib import Path

import ncps.torch
import ncps.wirings
import torch

import liquidrnn as lr

INPUTS, BATCH, STEPS = 16, 32, 100


def networks():
    """Name and constructor of each ncps network."""

    def ncp(units, outputs):
        return ncps.wirings.AutoNCP(units, outputs)

    yield "LTC(32)", lambda: ncps.torch.LTC(INPUTS, 32)
    yield "LTC(32), clipped", lambda: ncps.torch.LTC(INPUTS, 32, implicit_param_constraints=False)
    yield "LTC(AutoNCP(32, 4))", lambda: ncps.torch.LTC(INPUTS, ncp(32, 4))
    yield "LTC(AutoNCP(64, 8)), mixed memory", lambda: ncps.torch.LTC(INPUTS, ncp(64, 8), mixed_memory=True)
    for mode in ("default", "no_gate", "pure"):
        yield f"CfC(32), {mode}", lambda mode=mode: ncps.torch.CfC(INPUTS, 32, mode=mode)
    yield "CfC(32), mixed memory", lambda: ncps.torch.CfC(INPUTS, 32, mixed_memory=True)
    yield "CfC(32), projected to 8", lambda: ncps.torch.CfC(INPUTS, 32, proj_size=8)
    yield "CfC(AutoNCP(32, 4))", lambda: ncps.torch.CfC(INPUTS, ncp(32, 4))


def differences(make, dtype):
    """Largest difference of outputs and of the input's gradient, relative to the largest entry."""
    torch.manual_seed(0)
    old = make().to(dtype)
    new = lr.from_ncps(old)
    x = torch.randn(4, 20, INPUTS, dtype=dtype)
    found = []
    zeros = torch.zeros(4, old.state_size, dtype=dtype)
    for layer in (lambda x: old(x, (zeros, zeros) if old.use_mixed else zeros)[0], lambda x: new(x)[0]):
        read = x.clone().requires_grad_()
        output = layer(read)
        output.square().sum().backward()
        found.append((output.detach(), read.grad))
    return [float((a - b).abs().max() / a.abs().max()) for a, b in zip(*found, strict=True)]


def seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def ratio(make, repeats):
    """Median time of ncps over median time of ours, one training step each, interleaved."""
    torch.manual_seed(0)
    old = make()
    new = lr.from_ncps(old)
    x = torch.randn(BATCH, STEPS, INPUTS)

    def train(layer):
        layer.zero_grad()
        layer(x)[0].square().mean().backward()

    times = [(seconds(lambda: train(old)), seconds(lambda: train(new))) for _ in range(repeats + 1)][1:]
    theirs, ours = (statistics.median(column) for column in zip(*times, strict=True))
    return theirs / ours, 1000 * ours


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="timed steps of each network (default 5)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs/results/against_ncps.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, make in networks():
        single, double = differences(make, torch.float32), differences(make, torch.float64)
        if max(single) > 1e-5 or max(double) > 1e-10:
            raise SystemExit(f"{name}: outputs or gradients disagree: {single} in float32, {double} in float64")
        old = make()
        new = lr.from_ncps(old)
        counts = [sum(p.numel() for p in layer.parameters()) for layer in (old, new)]
        faster, milliseconds = ratio(make, arguments.repeats)
        rows.append(
            f"| {name} | {single[0]:.0e} | {single[1]:.0e} | {double[0]:.0e} | {double[1]:.0e} | {counts[0]:,} | "
            f"{counts[1]:,} | {new.num_synapses:,} | {milliseconds:.0f} | {faster:.1f} |"
        )
        print(rows[-1], flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    columns = [
        *("network", "output, float32", "gradient, float32", "output, float64", "gradient, float64"),
        *("stored, ncps", "stored, ours", "synapses", "ms a step", "ncps / ours"),
    ]
    arguments.output.write_text(
        f"""# Ours against ncps

Made by `python benchmarks/against_ncps.py`: ncps 1.0.1 and its networks converted by `liquidrnn.from_ncps`, torch
{torch.__version__}, one thread of {platform.machine()}, reference recurrences. Differences are relative to the largest
entry. Stored parameters are `sum(p.numel() for p in layer.parameters())`. A training step is forward and backward of a
batch of {BATCH} sequences of {STEPS} samples with {INPUTS} features; the last column is ncps' time over ours, medians
of {arguments.repeats}, interleaved.

| {" | ".join(columns)} |
|{"---|" * len(columns)}
"""
        + "\n".join(rows)
        + "\n"
    )
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
