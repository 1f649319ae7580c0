"""The recurrence of liquid time-constant networks."""

from __future__ import annotations

from torch import Tensor

from liquidrnn.kernels import chosen
from liquidrnn.kernels.ltc import cpu, reference
from liquidrnn.kernels.ltc.reference import Membrane as Membrane
from liquidrnn.kernels.ltc.reference import Sigmoids as Sigmoids


def unroll(
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    membrane: Membrane,
    internal: Sigmoids,
    sensory: Sigmoids,
    unfolds: int,
    backend: str | None = None,
) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.ltc.reference.unroll`.

    Args:
        input: (batch, time, inputs).
        initial: (batch, units).
        timespans: (batch, time).
        observed: bool (batch, time), or None.
        membrane: of each unit.
        internal: synapses among units.
        sensory: synapses from inputs to units.
        unfolds: solver steps per sample.
        backend: "reference", "cpu", or None for the fastest that can run.

    Returns:
        (batch, time, units).
    """
    run = reference.unroll if chosen(backend, initial) == "reference" else cpu.unroll
    return run(input, initial, timespans, observed, membrane, internal, sensory, unfolds)
