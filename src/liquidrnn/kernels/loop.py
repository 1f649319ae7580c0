"""The loop over samples that every recurrence in plain PyTorch has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

State: TypeAlias = tuple[Tensor, ...]
"""Parts of a state, each (batch, width of its own)."""


def unroll(
    update: Callable[[Tensor, State, Tensor], State],
    input: Tensor,
    state: State,
    timespans: Tensor,
    observed: Tensor | None,
) -> tuple[State, State]:
    """States after every sample.

    Args:
        update: the state after a sample, from it (batch, inputs), the state before and the span since then (batch, 1).
        input: (batch, time, inputs).
        state: before the first sample.
        timespans: (batch, time, 1).
        observed: bool (batch, time, 1), False where no sample is there and the state is held; or None.

    Returns:
        Each part after every sample, (batch, time, width), and the last state.
    """
    if torch.compiler.is_exporting() and isinstance(input.shape[1], torch.SymInt):
        return _scan(update, input, state, timespans, observed)
    states = []
    for t in range(input.shape[1]):
        updated = update(alone(input[:, t]), state, alone(timespans[:, t]))
        state = updated if observed is None else _held(updated, state, observed[:, t])
        states.append(state)
    if not states:
        return tuple(part.new_empty(part.shape[0], 0, part.shape[-1]) for part in state), state
    return tuple(torch.stack(parts, 1) for parts in zip(*states, strict=True)), state


def _held(updated: State, state: State, there: Tensor) -> State:
    """The updated state of those sequences that have a sample here, (batch, 1), and of the others the one before."""
    return tuple(torch.where(there, new, old) for new, old in zip(updated, state, strict=True))


def _scan(
    update: Callable[[Tensor, State, Tensor], State],
    input: Tensor,
    state: State,
    timespans: Tensor,
    observed: Tensor | None,
) -> tuple[State, State]:
    """:func:`unroll` as one operator of torch, for a graph that is to read sequences of any length."""
    # A prototype of torch's, and imported with much else.
    from torch._higher_order_ops.scan import scan

    def step(state: State, sample: State) -> tuple[State, State]:
        input, timespan, *there = sample
        updated = update(alone(input), state, alone(timespan))
        if there:
            updated = _held(updated, state, there[0])
        return updated, tuple(part.clone() for part in updated)

    samples = (input, timespans) if observed is None else (input, timespans, observed)
    end, states = scan(step, state, tuple(part.transpose(0, 1).contiguous() for part in samples))
    return tuple(part.transpose(0, 1) for part in states), tuple(end)


def states(
    sample: Callable[..., Tensor],
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    *equation: object,
) -> Tensor:
    """States after every sample of a recurrence whose state has one part, (batch, time, units).

    Args:
        sample: ``sample(input, state, timespan, *equation)``: the state after a sample.
        input: (batch, time, inputs).
        initial: state before the first sample, (batch, units).
        timespans: (batch, time).
        observed: bool (batch, time), False where no sample is there and the state is held; or None.
        *equation: parameters.
    """

    def update(input: Tensor, state: State, timespan: Tensor) -> State:
        return (sample(input, state[0], timespan, *equation),)

    observed = None if observed is None else observed.unsqueeze(-1)
    (found,), _ = unroll(update, input, (initial,), timespans.unsqueeze(-1), observed)
    return found


def alone(sample: Tensor) -> Tensor:
    """One sample in memory of its own.

    A sum or a matrix product may round differently for other strides and addresses, and streaming is to equal the whole
    sequence bit for bit.
    """
    return sample.clone(memory_format=torch.contiguous_format)
