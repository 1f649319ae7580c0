"""Recurrences over synapses in plain PyTorch: sums over the synapses of each unit, in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from liquidrnn.kernels import loop
from liquidrnn.kernels.loop import Inputs, State

Synapses = TypeVar("Synapses", bound=NamedTuple)
"""A NamedTuple whose first fields are ``pre`` and ``post``, and whose others are parameters (synapses,) or None."""


def as_matrices(synapses: Synapses, sources: int, units: int) -> Synapses:
    """Parameters as (sources, units) matrices, without ``pre`` and ``post``, if every source reaches every unit.

    A sum over sources then needs no index. Synapses may be in any order. If some are missing, they are returned as they
    are.
    """
    pre, post, *parameters = synapses
    if len(pre) != sources * units:
        return synapses
    order = torch.argsort(pre * units + post)
    matrices = (None if p is None else p[order].view(sources, units) for p in parameters)
    return synapses._make((None, None, *matrices))


def spread(source: Tensor, pre: Tensor | None) -> Tensor:
    """The source of each synapse: (batch, synapses), or (batch, sources, 1) for matrices."""
    return source.unsqueeze(-1) if pre is None else source.index_select(-1, pre)


def collected(values: Tensor, post: Tensor | None, units: int) -> Tensor:
    """Sum over the synapses of each unit, (batch, units), of values in the layout of :func:`spread`."""
    if post is None:
        return values.sum(-2)
    return values.new_zeros(*values.shape[:-1], units).index_add(-1, post, values)


def unroll_synapses(sample: Callable[..., Tensor], inputs: Inputs, initial: Tensor, equation: Any) -> Tensor:
    """States after every sample, (batch, time, units).

    Args:
        sample: ``sample(values, state, timespan, equation)``: the state after one sample.
        inputs: the sequences.
        initial: (batch, units).
        equation: parameters, with synapses ``internal`` and ``sensory``.
    """
    units, features = initial.shape[-1], inputs.values.shape[-1]
    equation = equation._replace(
        internal=as_matrices(equation.internal, units, units), sensory=as_matrices(equation.sensory, features, units)
    )

    def update(inputs: Inputs, state: State) -> State:
        return (sample(inputs.values, state[0], inputs.timespans, equation),)

    (states,), _ = loop.unroll(update, inputs, (initial,))
    return states
