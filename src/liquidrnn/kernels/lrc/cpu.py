"""The recurrence of the LRC family as an operator over the compiled module; `cpp/lrc.hpp` is its mathematics."""

from __future__ import annotations

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.lrc import reference
from liquidrnn.kernels.lrc.reference import Neurons, Sigmoids
from liquidrnn.kernels.operator import ROWS, Maps, Operator, Samples, Settings, Steps, Tensors, dense, memory


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
    layout: int = 0,
) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.lrc.reference.unroll`.

    ``layout`` is 1 for a sequence in each lane of a vector, 2 for a unit in each, 0 for the one that takes fewer
    vectors.
    """
    return operator(input, initial, timespans, observed, *neurons, *internal, *sensory, int(explicit), unfolds, layout)


def stream(
    samples: Samples,
    neurons: Neurons,
    internal: Sigmoids,
    sensory: Sigmoids,
    explicit: bool,
    unfolds: int,
    maps: Maps,
    outputs: int,
) -> Steps:
    """One sample after another, see :class:`liquidrnn.kernels.operator.Samples`; the first units are outputs."""
    tensors = dense((*samples, None, *neurons, *internal, *sensory))
    return module.lrc_stream(*_grouped(memory(tensors)), explicit, unfolds, *map(memory, maps), outputs)


def _grouped(tensors: Tensors) -> tuple:
    """The operator's tensors as the compiled module takes them."""
    (pre, post, *internal, o), (sensory_pre, sensory_post, *sensory, sensory_o) = tensors[8:15], tensors[15:]
    synapses = ((pre, post, internal), o), ((sensory_pre, sensory_post, sensory), sensory_o)
    return tensors[:4], tensors[4:8], *synapses


def _numbers(tensors: Tensors, settings: Settings) -> int:
    initial, bias = tensors[1], tensors[6]
    assert initial is not None
    # The sums of each solver step.
    return settings[1] * (2 if bias is None else 3) * initial.shape[1]


def _forward(tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor) -> None:
    explicit, unfolds, layout = settings
    module.lrc_forward(
        *_grouped(memory(tensors)),
        *(bool(explicit), unfolds, torch.get_num_threads(), layout),
        *memory((states, kept if kept.shape[1] else None)),
    )


def _backward(
    tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor, upstream: Tensor, found: list[Tensor]
) -> None:
    explicit, unfolds, layout = settings
    remaining = iter(memory(found))
    filled = [next(remaining) if t is not None and t.is_floating_point() else None for t in tensors]
    module.lrc_backward(
        *_grouped(memory(tensors)),
        *(bool(explicit), unfolds, torch.get_num_threads(), layout),
        *memory((states, kept, upstream)),
        *(filled[:3], filled[4:8], (filled[10:14], filled[14]), (filled[17:21], filled[21])),
    )


def _reference(input, initial, timespans, observed, *rest) -> Tensor:
    neurons, internal, sensory = Neurons(*rest[:4]), Sigmoids(*rest[4:11]), Sigmoids(*rest[11:18])
    explicit, unfolds = rest[18:20]
    return reference.unroll(input, initial, timespans, observed, neurons, internal, sensory, bool(explicit), unfolds)


_SYNAPSES = (*Sigmoids._fields[:-1], "o?")
operator = Operator(
    "lrc",
    tensors=(
        *ROWS,
        *("leak", "potential", "bias?", "kappa?"),
        *_SYNAPSES,
        *(f"sensory_{name}" for name in _SYNAPSES),
    ),
    settings=("explicit", "unfolds", "layout"),
    reference=_reference,
    numbers=_numbers,
    forward=_forward,
    backward=_backward,
)
