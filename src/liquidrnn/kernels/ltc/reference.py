"""The LTC recurrence in plain PyTorch: its definition, against which kernels are tested."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from liquidrnn.kernels.connections import collected, spread, unroll_synapses
from liquidrnn.kernels.loop import Inputs, implicit_step


class Membrane(NamedTuple):
    """Parameters of the units besides their synapses, each (units,).

    Attributes:
        cm: capacitance.
        leak_drive: leak conductance times leak potential.
        leak: leak conductance.
    """

    cm: Tensor
    leak_drive: Tensor
    leak: Tensor


class Sigmoids(NamedTuple):
    """Synapses that open with the presynaptic value, each (synapses,).

    They may be in any order. For those without ``pre`` and ``post`` see
    :func:`liquidrnn.kernels.connections.as_matrices`.

    Attributes:
        pre: index of the source.
        post: index of the unit.
        sigma: steepness.
        mu: threshold.
        w: conductance when open.
        w_erev: conductance times reversal potential.
    """

    pre: Tensor | None
    post: Tensor | None
    sigma: Tensor
    mu: Tensor
    w: Tensor
    w_erev: Tensor


class Equation(NamedTuple):
    """Parameters of the recurrence.

    Attributes:
        membrane: parameters of each unit.
        internal: synapses among units.
        sensory: synapses from inputs to units.
        unfolds: solver steps per sample.
    """

    membrane: Membrane
    internal: Sigmoids
    sensory: Sigmoids
    unfolds: int


def sums(synapses: Sigmoids, source: Tensor, units: int) -> tuple[Tensor, Tensor]:
    """Sum of w_erev * s and of w * s over the synapses of each unit, s = sigmoid(sigma * (source - mu)).

    Args:
        synapses: any number of synapses.
        source: (batch, sources).
        units: number of units.

    Returns:
        Drive and conductance, each (batch, units).
    """
    pre, post, sigma, mu, w, w_erev = synapses
    opened = torch.sigmoid(sigma * (spread(source, pre) - mu))
    return collected(opened * w_erev, post, units), collected(opened * w, post, units)


def sample(values: Tensor, v: Tensor, timespan: Tensor, equation: Equation) -> Tensor:
    """State after one sample.

    Args:
        values: (batch, inputs).
        v: state before, (batch, units).
        timespan: time since then, (batch, 1), or any shape that broadcasts with the state.
        equation: the parameters.
    """
    (cm, leak_drive, leak), internal, sensory, unfolds = equation
    units = v.shape[-1]
    sensory_drive, sensory_total = sums(sensory, values, units)
    held_drive, held_total = leak_drive + sensory_drive, leak + sensory_total
    delta = implicit_step(timespan, unfolds)
    for _ in range(unfolds):
        drive, total = sums(internal, v, units)
        drive, total = held_drive + drive, held_total + total
        # The fused step, as a change: exact if delta is 0, where a quotient would round and ncps' cm / delta fails.
        v = v + delta * (drive - total * v) / (cm + delta * total)
    return v


def unroll(inputs: Inputs, initial: Tensor, equation: Equation) -> Tensor:
    """States after every sample, (batch, time, units).

    Args:
        inputs: the sequences.
        initial: (batch, units).
        equation: the parameters.
    """
    return unroll_synapses(sample, inputs, initial, equation)
