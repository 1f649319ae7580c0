"""The recurrence of the LRC family as an operator over the compiled module; `cpp/lrc.hpp` is its mathematics."""

from __future__ import annotations

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.lrc import reference
from liquidrnn.kernels.lrc.reference import Neurons, Sigmoids
from liquidrnn.kernels.operator import Maps, Operator, Samples, Settings, Steps, Tensors, dense, memory


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
    settings = int(explicit), unfolds, layout, int(torch.is_grad_enabled())
    return operator(input, initial, timespans, observed, *neurons, *internal, *sensory, *settings)


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
    """The operator's tensors, or their gradients, as the compiled module takes them."""
    data, neurons, internal, sensory = tensors[:4], tensors[4:8], tensors[8:15], tensors[15:]
    return *data, neurons, *internal[:2], internal[2:6], internal[6], *sensory[:2], sensory[2:6], sensory[6]


def _shapes(tensors: Tensors, settings: Settings):
    input, initial, bias = tensors[0], tensors[1], tensors[6]
    _, unfolds, _, keep = settings
    assert input is not None and initial is not None
    sums = 2 if bias is None else 3
    kept = (*input.shape[:2], unfolds, sums, initial.shape[1]) if keep else (0,)
    return (*input.shape[:2], initial.shape[1]), kept


def _forward(tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor) -> None:
    explicit, unfolds, layout, keep = settings
    module.lrc_forward(
        *_grouped(memory(tensors)),
        *(bool(explicit), unfolds, torch.get_num_threads(), layout),
        *memory((states, kept if keep else None)),
    )


def _backward(
    tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor, upstream: Tensor, found: list[Tensor]
) -> None:
    explicit, unfolds, layout, keep = settings
    if not keep:
        settings = explicit, unfolds, layout, 1
        kept = states.new_empty(_shapes(tensors, settings)[1])
        _forward(tensors, settings, torch.empty_like(states), kept)
    remaining = iter(memory(found))
    gradients = [next(remaining) if t is not None and t.is_floating_point() else None for t in tensors]
    input, initial, timespans, _, neurons, _, _, internal, internal_o, _, _, sensory, sensory_o = _grouped(gradients)
    module.lrc_backward(
        *_grouped(memory(tensors)),
        *(bool(explicit), unfolds, torch.get_num_threads(), layout),
        *memory((states, kept, upstream)),
        *(input, initial, timespans, neurons, internal, internal_o, sensory, sensory_o),
    )


def _reference(input, initial, timespans, observed, *rest) -> Tensor:
    neurons, internal, sensory = Neurons(*rest[:4]), Sigmoids(*rest[4:11]), Sigmoids(*rest[11:18])
    explicit, unfolds = rest[18:20]
    return reference.unroll(input, initial, timespans, observed, neurons, internal, sensory, bool(explicit), unfolds)


_SYNAPSES = (*Sigmoids._fields[:-1], "o?")
operator = Operator(
    "lrc",
    tensors=(
        *("input", "initial", "timespans", "observed?"),
        *("leak", "potential", "bias?", "kappa?"),
        *_SYNAPSES,
        *(f"sensory_{name}" for name in _SYNAPSES),
    ),
    settings=("explicit", "unfolds", "layout", "keep"),
    rows=4,
    reference=_reference,
    shapes=_shapes,
    forward=_forward,
    backward=_backward,
    bare=lambda settings: (*settings[:3], 0),
)
