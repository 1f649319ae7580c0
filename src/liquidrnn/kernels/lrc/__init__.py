"""The recurrence of liquid-resistance liquid-capacitance networks, LRCU and STC among them."""

from __future__ import annotations

from torch import Tensor

from liquidrnn.kernels import chosen
from liquidrnn.kernels.lrc import cpu, reference
from liquidrnn.kernels.lrc.reference import Neurons as Neurons
from liquidrnn.kernels.lrc.reference import Sigmoids as Sigmoids


def unroll(
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    neurons: Neurons,
    internal: Sigmoids,
    sensory: Sigmoids,
    explicit: bool,
    unfolds: int,
    backend: str | None = None,
) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.lrc.reference.unroll`.

    Args:
        input: (batch, time, inputs).
        initial: (batch, units).
        timespans: (batch, time).
        observed: bool (batch, time), or None.
        neurons: of each unit.
        internal: synapses among units.
        sensory: synapses from inputs to units.
        explicit: Euler steps, no longer than to the equilibrium; else semi-implicit ones.
        unfolds: solver steps per sample.
        backend: "reference", "cpu", or None for the fastest that can run.

    Returns:
        (batch, time, units).
    """
    run = reference.unroll if chosen(backend, initial) == "reference" else cpu.unroll
    return run(input, initial, timespans, observed, neurons, internal, sensory, explicit, unfolds)
