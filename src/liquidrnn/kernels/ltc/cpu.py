"""The LTC recurrence as an operator over the compiled module; `cpp/ltc.hpp` is its mathematics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from liquidrnn.kernels import _cpu, in_transform
from liquidrnn.kernels.ltc import reference
from liquidrnn.kernels.ltc.reference import Membrane, Sigmoids


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
    tensors = (input, initial, timespans, observed, *membrane, *internal, *sensory)
    if torch.compiler.is_compiling() or in_transform():
        return operator(*tensors, unfolds, layout)
    # The operator's own way through torch.library takes longer than a short sequence.
    return _Eager.apply(*tensors, unfolds, layout)


def _states(tensors: Sequence[Tensor | None], unfolds: int, layout: int) -> Tensor:
    input, initial = tensors[:2]
    assert input is not None and initial is not None
    states = torch.empty(*input.shape[:2], initial.shape[1], dtype=input.dtype)
    _cpu.ltc_forward(*_arguments(tensors, unfolds, layout), states)
    return states


def _gradients(
    states: Tensor, state_gradients: Tensor, tensors: Sequence[Tensor | None], unfolds: int, layout: int
) -> list[Tensor]:
    found = [torch.empty(t.shape, dtype=t.dtype) for t in tensors if t is not None and t.is_floating_point()]
    grouped = (*found[:3], found[3:6], found[6:10], found[10:])
    arguments = _arguments(tensors, unfolds, layout)
    _cpu.ltc_backward(*arguments, states.contiguous(), state_gradients.contiguous(), *grouped)
    return found


def _arguments(tensors: Sequence[Tensor | None], unfolds: int, layout: int):
    """What the compiled functions take, from the operator's arguments: dense memory, grouped."""
    dense = [None if t is None else t.detach().contiguous() for t in tensors]
    input, initial, timespans, observed, *rest = dense
    membrane, (pre, post, *internal), (sensory_pre, sensory_post, *sensory) = rest[:3], rest[3:9], rest[9:]
    head = (input, initial, timespans, observed, membrane, pre, post, internal, sensory_pre, sensory_post, sensory)
    return (*head, unfolds, torch.get_num_threads(), layout)


@torch.library.custom_op("liquidrnn::ltc", mutates_args=(), device_types="cpu")
def operator(
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    cm: Tensor,
    leak_drive: Tensor,
    leak: Tensor,
    pre: Tensor,
    post: Tensor,
    sigma: Tensor,
    mu: Tensor,
    w: Tensor,
    w_erev: Tensor,
    sensory_pre: Tensor,
    sensory_post: Tensor,
    sensory_sigma: Tensor,
    sensory_mu: Tensor,
    sensory_w: Tensor,
    sensory_w_erev: Tensor,
    unfolds: int,
    layout: int,
) -> Tensor:
    """(batch, time, units): states after every sample."""
    internal = (pre, post, sigma, mu, w, w_erev)
    sensory = (sensory_pre, sensory_post, sensory_sigma, sensory_mu, sensory_w, sensory_w_erev)
    tensors = (input, initial, timespans, observed, cm, leak_drive, leak, *internal, *sensory)
    return _states(tensors, unfolds, layout)


@operator.register_fake
def _(input, initial, *_):
    return input.new_empty(input.shape[0], input.shape[1], initial.shape[1])


@torch.library.custom_op("liquidrnn::ltc_backward", mutates_args=(), device_types="cpu")
def gradients(
    states: Tensor,
    state_gradients: Tensor,
    input: Tensor,
    initial: Tensor,
    timespans: Tensor,
    observed: Tensor | None,
    cm: Tensor,
    leak_drive: Tensor,
    leak: Tensor,
    pre: Tensor,
    post: Tensor,
    sigma: Tensor,
    mu: Tensor,
    w: Tensor,
    w_erev: Tensor,
    sensory_pre: Tensor,
    sensory_post: Tensor,
    sensory_sigma: Tensor,
    sensory_mu: Tensor,
    sensory_w: Tensor,
    sensory_w_erev: Tensor,
    unfolds: int,
    layout: int,
) -> list[Tensor]:
    """Gradients of all floating-point arguments of the operator, in their order."""
    internal = (pre, post, sigma, mu, w, w_erev)
    sensory = (sensory_pre, sensory_post, sensory_sigma, sensory_mu, sensory_w, sensory_w_erev)
    tensors = (input, initial, timespans, observed, cm, leak_drive, leak, *internal, *sensory)
    return _gradients(states, state_gradients, tensors, unfolds, layout)


@gradients.register_fake
def _(states, state_gradients, *arguments):
    tensors = (t for t in arguments[:-2] if t is not None and t.is_floating_point())
    return [t.new_empty(t.shape) for t in tensors]


def _save(ctx, inputs, output):
    *tensors, ctx.unfolds, ctx.layout = inputs
    ctx.save_for_backward(output, *tensors)


def _differentiate(ctx, state_gradients, call=gradients):
    states, *tensors = ctx.saved_tensors
    if torch.is_grad_enabled():
        found = _differentiably(tensors, ctx.unfolds, state_gradients)
    else:
        found = call(states, state_gradients, *tensors, ctx.unfolds, ctx.layout)
    remaining = iter(found)
    return *(next(remaining) if t is not None and t.is_floating_point() else None for t in tensors), None, None


class _Eager(torch.autograd.Function):
    """The operator outside graphs and transforms."""

    @staticmethod
    def forward(ctx, *arguments):
        *tensors, unfolds, layout = arguments
        states = _states(tensors, unfolds, layout)
        _save(ctx, arguments, states)
        return states

    @staticmethod
    def backward(ctx, *state_gradients):
        def call(states, state_gradients, *arguments):
            *tensors, unfolds, layout = arguments
            return _gradients(states, state_gradients, tensors, unfolds, layout)

        return _differentiate(ctx, *state_gradients, call=call)


def _differentiably(tensors, unfolds: int, state_gradients: Tensor):
    """The same gradients with gradients of their own, which the reference has."""
    copies = [None if t is None else t.view_as(t) for t in tensors]
    copies = [t.requires_grad_() if t is not None and t.is_floating_point() else t for t in copies]
    input, initial, timespans, observed, *rest = copies
    membrane, internal, sensory = Membrane(*rest[:3]), Sigmoids(*rest[3:9]), Sigmoids(*rest[9:])
    states = reference.unroll(input, initial, timespans, observed, membrane, internal, sensory, unfolds)
    wanted = [t for t in copies if t is not None and t.is_floating_point()]
    return torch.autograd.grad(states, wanted, state_gradients, create_graph=True, materialize_grads=True)


torch.library.register_autograd("liquidrnn::ltc", _differentiate, setup_context=_save)


def _map_rows(info, in_dims, *arguments):
    """vmap over what has rows (input, initial, timespans, observed) is a larger batch; over anything else, a loop."""
    data, rest, rows = arguments[:4], arguments[4:], in_dims[:4]
    if any(dim is not None for dim in in_dims[4:]):
        return _map(operator, info, in_dims, arguments)
    size = info.batch_size
    moved = [
        t if t is None else t.expand(size, *t.shape) if dim is None else t.movedim(dim, 0)
        for t, dim in zip(data, rows, strict=True)
    ]
    states = operator(*(t if t is None else t.flatten(0, 1) for t in moved), *rest)
    return states.unflatten(0, moved[1].shape[:2]), 0


def _map(call, info, in_dims, arguments):
    def at(place: int):
        return [
            t if dim is None else t.select(dim, place) for t, dim in zip(arguments, in_dims, strict=True)
        ]

    found = [call(*at(place)) for place in range(info.batch_size)]
    if isinstance(found[0], Tensor):
        return torch.stack(found), 0
    return [torch.stack(tensors) for tensors in zip(*found, strict=True)], [0] * len(found[0])


torch.library.register_vmap("liquidrnn::ltc", _map_rows)
torch.library.register_vmap(
    "liquidrnn::ltc_backward", lambda info, in_dims, *arguments: _map(gradients, info, in_dims, arguments)
)
