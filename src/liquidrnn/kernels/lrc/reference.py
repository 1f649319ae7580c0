"""The recurrence of the LRC family in plain PyTorch: its definition, against which kernels are tested."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from liquidrnn.kernels.connections import collected, spread, unroll_synapses
from liquidrnn.kernels.loop import Inputs


class Neurons(NamedTuple):
    """Parameters of the units besides their synapses, each (units,).

    Attributes:
        leak: leak conductance, always open.
        potential: factor of the drive.
        bias: bias of the elastance; None if the elastance is 1.
        kappa: half the width of a symmetric elastance; None for an asymmetric one.
    """

    leak: Tensor
    potential: Tensor
    bias: Tensor | None
    kappa: Tensor | None


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
        k: drive when open.
        o: weight of the presynaptic value in the elastance; None without elastance.
    """

    pre: Tensor | None
    post: Tensor | None
    sigma: Tensor
    mu: Tensor
    w: Tensor
    k: Tensor
    o: Tensor | None


class Equation(NamedTuple):
    """Parameters of the recurrence.

    Attributes:
        neurons: units.
        internal: synapses among units.
        sensory: synapses from inputs to units.
        explicit: whether to take Euler steps, limited to the equilibrium, instead of semi-implicit ones.
        unfolds: solver steps per sample.
    """

    neurons: Neurons
    internal: Sigmoids
    sensory: Sigmoids
    explicit: bool
    unfolds: int


class Sums(NamedTuple):
    """Sums over the synapses of each unit, each (batch, units); gate is None without elastance."""

    total: Tensor
    drive: Tensor
    gate: Tensor | None


class Rates(NamedTuple):
    """Rates of each unit, computed from the sums, each (batch, units).

    Attributes:
        leak: rate at which the state decays.
        drive: rate at which it is driven.
        elastance: inverse capacitance, which scales both; None if it is 1.
    """

    leak: Tensor
    drive: Tensor
    elastance: Tensor | None


def resting(neurons: Neurons) -> Sums:
    """The sums without any synapse, (units,)."""
    return Sums(neurons.leak, neurons.leak, neurons.bias)


def received(held: Sums, synapses: Sigmoids, source: Tensor) -> Sums:
    """``held`` plus the sums of w * s, k * s and o * source over the synapses of each unit.

    Here s = sigmoid(sigma * (source - mu)).

    Args:
        held: sums to add to, (batch, units) or (units,).
        synapses: any number of synapses.
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
    # An even function of the gate; on the negative side both sigmoids are small, and their difference does not cancel.
    gate = -sums.gate.abs()
    return Rates(leak, drive, torch.sigmoid(gate + neurons.kappa) - torch.sigmoid(gate - neurons.kappa))


def sample(values: Tensor, v: Tensor, timespan: Tensor, equation: Equation) -> Tensor:
    """State after one sample.

    Args:
        values: (batch, inputs).
        v: state before, (batch, units).
        timespan: time since then, (batch, 1), or any shape that broadcasts with the state.
        equation: the parameters.
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
        inputs: the sequences.
        initial: (batch, units).
        equation: the parameters.
    """
    return unroll_synapses(sample, inputs, initial, equation)
