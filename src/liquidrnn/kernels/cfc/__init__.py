"""The recurrence of closed-form continuous-time networks."""

from __future__ import annotations

from torch import Tensor

from liquidrnn.kernels import chosen
from liquidrnn.kernels.cfc import cpu, reference
from liquidrnn.kernels.cfc.reference import Network as Network


def unroll(
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    network: Network,
    backend: str | None = None,
) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.cfc.reference.unroll`.

    Args:
        input: (batch, time, inputs).
        initial: (batch, units), or with a memory cell (batch, 2 * units).
        timespans: (batch, time).
        observed: bool (batch, time), or None.
        network: parameters and form.
        backend: "reference", "cpu", or None for the fastest that can run.

    Returns:
        (batch, time, units), or (batch, time, 2 * units).
    """
    run = reference.unroll if chosen(backend, initial) == "reference" else cpu.unroll
    return run(input, initial, timespans, observed, network)
