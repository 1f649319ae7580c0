"""The LTC recurrence as an operator over the compiled module; `cpp/ltc.hpp` is its mathematics."""

from __future__ import annotations

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.ltc import reference
from liquidrnn.kernels.ltc.reference import Membrane, Sigmoids
from liquidrnn.kernels.operator import ROWS, Maps, Operator, Samples, Settings, Steps, Tensors, dense, memory


def unroll(
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    membrane: Membrane,
    internal: Sigmoids,
    sensory: Sigmoids,
    unfolds: int,
    layout: int = 0,
) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.ltc.reference.unroll`.

    ``layout`` is 1 for a sequence in each lane of a vector, 2 for a unit in each, 0 for the one that takes fewer
    vectors.
    """
    return operator(input, initial, timespans, observed, *membrane, *internal, *sensory, unfolds, layout)


def stream(
    samples: Samples, membrane: Membrane, internal: Sigmoids, sensory: Sigmoids, unfolds: int, maps: Maps, outputs: int
) -> Steps:
    """One sample after another, see :class:`liquidrnn.kernels.operator.Samples`; the first units are outputs."""
    tensors = dense((*samples, None, *membrane, *internal, *sensory))
    return module.ltc_stream(*_grouped(memory(tensors)), unfolds, *map(memory, maps), outputs)


def _grouped(tensors: Tensors) -> tuple:
    """The operator's tensors as the compiled module takes them."""
    (pre, post, *internal), (sensory_pre, sensory_post, *sensory) = tensors[7:13], tensors[13:]
    return tensors[:4], tensors[4:7], (pre, post, internal), (sensory_pre, sensory_post, sensory)


def _numbers(tensors: Tensors, settings: Settings) -> int:
    initial = tensors[1]
    assert initial is not None
    # Two for each solver step of each unit.
    return 2 * settings[0] * initial.shape[1]


def _forward(tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor) -> None:
    unfolds, layout = settings
    settings = unfolds, torch.get_num_threads(), layout
    module.ltc_forward(*_grouped(memory(tensors)), *settings, *memory((states, kept)))


def _backward(
    tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor, upstream: Tensor, found: list[Tensor]
) -> None:
    unfolds, layout = settings
    filled = memory(found)
    gradients = filled[:3], filled[3:6], filled[6:10], filled[10:]
    settings = unfolds, torch.get_num_threads(), layout
    module.ltc_backward(*_grouped(memory(tensors)), *settings, *memory((states, kept, upstream)), *gradients)


def _reference(input, initial, timespans, observed, *rest) -> Tensor:
    membrane, internal, sensory = Membrane(*rest[:3]), Sigmoids(*rest[3:9]), Sigmoids(*rest[9:15])
    return reference.unroll(input, initial, timespans, observed, membrane, internal, sensory, rest[15])


_SYNAPSES = Sigmoids._fields
operator = Operator(
    "ltc",
    tensors=(
        *ROWS,
        *Membrane._fields,
        *_SYNAPSES,
        *(f"sensory_{name}" for name in _SYNAPSES),
    ),
    settings=("unfolds", "layout"),
    reference=_reference,
    numbers=_numbers,
    forward=_forward,
    backward=_backward,
    partly=True,
)
