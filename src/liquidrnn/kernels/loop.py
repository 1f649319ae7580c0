"""The input of a recurrence, and the loop over samples of recurrences in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

State: TypeAlias = tuple[Tensor, ...]
"""Parts of a state, each (batch, width); widths may differ."""


class Inputs(NamedTuple):
    """The input of a recurrence: sequences, here (batch, time, ...), or one sample of each, (batch, ...).

    Attributes:
        values: (batch, time, features), 0 where a feature was not observed.
        timespans: (batch, time, 1), time since the previous present sample.
        present: bool (batch, time, 1), False where a sample is absent and the state is held; None if all are present. A
            single sample is always present.
        observed: bool (batch, time, features), False where a feature was not observed; None if all were, and for layers
            that read the outputs of another layer.
        reset: bool (batch, time, 1), True where a new episode begins: before that sample the state is set to 0. None if
            none begins.
    """

    values: Tensor
    timespans: Tensor
    present: Tensor | None = None
    observed: Tensor | None = None
    reset: Tensor | None = None

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Inputs:
        """Applies ``function`` to every tensor that is not None."""
        return Inputs(*(None if part is None else function(part) for part in self))  # type: ignore[arg-type]


_LONGEST = {torch.float32: 1e30, torch.bfloat16: 1e30, torch.float64: 1e290}


def implicit_step(timespans: Tensor, unfolds: int) -> Tensor:
    """Length of each step of an implicit solver that takes ``unfolds`` steps per sample, at most 1e30 (float64: 1e290).

    At that length the state has reached its limit. With longer steps, products overflow and their inverses underflow.
    """
    delta = timespans / unfolds
    return delta.clamp(max=_LONGEST[delta.dtype]) if delta.dtype in _LONGEST else delta


Update: TypeAlias = Callable[[Inputs, State], State]
"""The state after one sample of each sequence, given the sample and the state before."""


def unroll(update: Update, inputs: Inputs, state: State) -> tuple[State, State]:
    """States after every sample.

    Args:
        update: see :data:`Update`.
        inputs: the sequences.
        state: the state before the first sample.

    Returns:
        Each part of the state after every sample, (batch, time, width), and the last state.
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
    """The state after a sample, which may be absent or the first of an episode."""
    values, timespans, present, observed, reset = inputs
    if reset is not None:
        state = begun(state, reset)
    updated = update(Inputs(contiguous_copy(values), contiguous_copy(timespans), None, observed), state)
    if present is None:
        return updated
    return tuple(torch.where(present, new, old) for new, old in zip(updated, state, strict=True))


def begun(state: State, reset: Tensor) -> State:
    """The state before a sample, set to 0 where the sample is the first of an episode."""
    return tuple(torch.where(reset, 0, part) for part in state)


def _scan(update: Update, inputs: Inputs, state: State) -> tuple[State, State]:
    """:func:`unroll` as one operator of torch, for a graph that reads sequences of any length."""
    # A prototype in torch; its import is slow.
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
    """A contiguous copy of one sample.

    A sum or a matrix product may be rounded differently for other strides and addresses, and streaming must equal the
    whole sequence bit for bit.
    """
    return sample.clone(memory_format=torch.contiguous_format)
