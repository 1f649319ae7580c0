"""The recurrence of the LRC family in plain PyTorch: the definition that every other version is tested against."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from liquidrnn.kernels.connections import collected, spread, unroll_synapses
from liquidrnn.kernels.loop import Inputs


class Neurons(NamedTuple):
    """What a unit is besides its synapses, each (units,).

    Attributes:
        leak: conductance that is always open.
        potential: what the drive is a fraction of.
        bias: of the elastance; None where it is 1.
        kappa: half the width of a symmetric elastance; None for an asymmetric one.
    """

    leak: Tensor
    potential: Tensor
    bias: Tensor | None
    kappa: Tensor | None


class Sigmoids(NamedTuple):
    """Synapses that open with the presynaptic value, each (synapses,).

    They come in any order. For those without ``pre`` and ``post`` see
    :func:`liquidrnn.kernels.connections.as_matrices`.

    Attributes:
        pre: index of the source.
        post: index of the unit.
        sigma: steepness.
        mu: threshold.
        w: conductance when open.
        k: drive when open.
        o: weight in the elastance, of the presynaptic value itself; None without elastance.
    """

    pre: Tensor | None
    post: Tensor | None
    sigma: Tensor
    mu: Tensor
    w: Tensor
    k: Tensor
    o: Tensor | None


class Equation(NamedTuple):
    """What a sequence does not change.

    Attributes:
        neurons: units.
        internal: synapses among units.
        sensory: synapses from inputs to units.
        explicit: Euler steps, no longer than to the equilibrium; else semi-implicit ones.
        unfolds: solver steps per sample.
    """

    neurons: Neurons
    internal: Sigmoids
    sensory: Sigmoids
    explicit: bool
    unfolds: int


class Sums(NamedTuple):
    """What units receive, each (batch, units); gate is None without elastance."""

    total: Tensor
    drive: Tensor
    gate: Tensor | None


class Rates(NamedTuple):
    """What the sums make of a unit, each (batch, units).

    Attributes:
        leak: rate at which the state decays.
        drive: what it is pushed by.
        elastance: inverse capacitance, which scales both; None where it is 1.
    """

    leak: Tensor
    drive: Tensor
    elastance: Tensor | None


def resting(neurons: Neurons) -> Sums:
    """Sums of a unit without synapses, (units,)."""
    return Sums(neurons.leak, neurons.leak, neurons.bias)


def received(held: Sums, synapses: Sigmoids, source: Tensor) -> Sums:
    """``held`` and the sums of w * s, k * s and o * source over the synapses of each unit.

    Here s = sigmoid(sigma * (source - mu)).

    Args:
        held: what comes on top, (batch, units) or (units,).
        synapses: of any number.
        source: (batch, sources).
    """
    pre, post, sigma, mu, w, k, o = synapses
    units, read = held.total.shape[-1], spread(source, pre)
    opened = torch.sigmoid(sigma * (read - mu))
    totals = held.total + collected(opened * w, post, units), held.drive + collected(opened * k, post, units)
    if o is None or held.gate is None:
        return Sums(*totals, None)
    return Sums(*totals, held.gate + collected(read * o, post, units))


def rates(sums: Sums, neurons: Neurons) -> Rates:
    """Leak rate, drive and elastance of each unit, (batch, units)."""
    leak, drive = torch.sigmoid(sums.total), neurons.potential * torch.tanh(sums.drive)
    if sums.gate is None:
        return Rates(leak, drive, None)
    if neurons.kappa is None:
        return Rates(leak, drive, torch.sigmoid(sums.gate))
    # Even in the gate; on the side where both sigmoids are small their difference does not cancel.
    gate = -sums.gate.abs()
    return Rates(leak, drive, torch.sigmoid(gate + neurons.kappa) - torch.sigmoid(gate - neurons.kappa))


def sample(values: Tensor, v: Tensor, timespan: Tensor, equation: Equation) -> Tensor:
    """State after one sample.

    Args:
        values: (batch, inputs).
        v: state before, (batch, units).
        timespan: since then, (batch, 1) or what broadcasts with the state.
        equation: parameters.
    """
    neurons, internal, sensory, explicit, unfolds = equation
    held = received(resting(neurons), sensory, values)
    delta = timespan / unfolds
    for _ in range(unfolds):
        leak, drive, elastance = rates(received(held, internal, v), neurons)
        length = delta if elastance is None else delta * elastance
        if explicit:
            v = v + length.clamp(max=1) * (drive - leak * v)
        else:
            v = (v + length * drive) / (1 + length * leak)
    return v


def unroll(inputs: Inputs, initial: Tensor, equation: Equation) -> Tensor:
    """States after every sample, (batch, time, units).

    Args:
        inputs: of sequences.
        initial: (batch, units).
        equation: parameters.
    """
    return unroll_synapses(sample, inputs, initial, equation)
