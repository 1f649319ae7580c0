"""What a recurrence reads, and the loop over samples that every recurrence in plain PyTorch has."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

State: TypeAlias = tuple[Tensor, ...]
"""Parts of a state, each (batch, width of its own)."""


class Inputs(NamedTuple):
    """What a recurrence reads: sequences, here (batch, time, ...), or one sample of each, (batch, ...).

    Attributes:
        values: (batch, time, features), 0 where a feature was not observed.
        timespans: (batch, time, 1), time since the previous sample that is there.
        present: bool (batch, time, 1), False where no sample is there and the state is held; None where all are. A
            single sample is always there.
        observed: bool (batch, time, features), False where a feature was not observed; None where all were, and for
            layers that read the outputs of another.
        reset: bool (batch, time, 1), True where a new episode begins: before that sample the state is 0. None where
            none does.
    """

    values: Tensor
    timespans: Tensor
    present: Tensor | None = None
    observed: Tensor | None = None
    reset: Tensor | None = None

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Inputs:
        """``function`` of every tensor that is there."""
        return Inputs(*(None if part is None else function(part) for part in self))  # type: ignore[arg-type]


_LONGEST = {torch.float32: 1e30, torch.bfloat16: 1e30, torch.float64: 1e290}


def implicit_step(timespans: Tensor, unfolds: int) -> Tensor:
    """Length of each step of an implicit solver that takes ``unfolds`` steps per sample, at most 1e30 (float64: 1e290).

    At that length the state has reached its limit. With longer steps, products overflow and their inverses underflow.
    """
    delta = timespans / unfolds
    return delta.clamp(max=_LONGEST[delta.dtype]) if delta.dtype in _LONGEST else delta


Update: TypeAlias = Callable[[Inputs, State], State]
"""The state after one sample of each sequence, from the sample and the state before."""


def unroll(update: Update, inputs: Inputs, state: State) -> tuple[State, State]:
    """States after every sample.

    Args:
        update: see :data:`Update`.
        inputs: of sequences.
        state: before the first sample.

    Returns:
        Each part after every sample, (batch, time, width), and the last state.
    """
    time = inputs.values.shape[1]
    if torch.compiler.is_exporting() and isinstance(time, torch.SymInt):
        return _scan(update, inputs, state)
    states = []
    for t in range(time):
        state = _advanced(update, inputs.mapped(lambda part, t=t: part[:, t]), state)
        states.append(state)
    if not states:
        return tuple(part.new_empty(part.shape[0], 0, part.shape[-1]) for part in state), state
    return tuple(torch.stack(parts, 1) for parts in zip(*states, strict=True)), state


def _advanced(update: Update, inputs: Inputs, state: State) -> State:
    """The state after a sample, which may not be there, or be the first of an episode."""
    values, timespans, present, observed, reset = inputs
    if reset is not None:
        state = begun(state, reset)
    updated = update(Inputs(contiguous_copy(values), contiguous_copy(timespans), None, observed), state)
    if present is None:
        return updated
    return tuple(torch.where(present, new, old) for new, old in zip(updated, state, strict=True))


def begun(state: State, reset: Tensor) -> State:
    """The state that a sample finds, 0 where it is the first of an episode."""
    return tuple(torch.where(reset, 0, part) for part in state)


def _scan(update: Update, inputs: Inputs, state: State) -> tuple[State, State]:
    """:func:`unroll` as one operator of torch, for a graph that is to read sequences of any length."""
    # A prototype of torch's, and imported with much else.
    from torch._higher_order_ops.scan import scan

    given = [part is not None for part in inputs]

    def step(state: State, sample: tuple[Tensor, ...]) -> tuple[State, State]:
        parts = iter(sample)
        updated = _advanced(update, Inputs(*(next(parts) if there else None for there in given)), state)  # type: ignore
        return updated, tuple(part.clone() for part in updated)

    samples = tuple(part.transpose(0, 1).contiguous() for part in inputs if part is not None)
    end, states = scan(step, state, samples)
    return tuple(part.transpose(0, 1) for part in states), tuple(end)


def contiguous_copy(sample: Tensor) -> Tensor:
    """One sample in memory of its own.

    A sum or a matrix product may round differently for other strides and addresses, and streaming is to equal the whole
    sequence bit for bit.
    """
    return sample.clone(memory_format=torch.contiguous_format)
