"""A compiled recurrence as an operator of torch, whatever torch then does with it.

A recurrence's ``cpu.py`` says what its arguments are and how the compiled module is called. Here that becomes an
operator which can be differentiated, traced by ``torch.compile`` and ``torch.export``, and mapped by ``torch.vmap``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack  # pyright: ignore[reportPrivateImportUsage]

from liquidrnn.kernels import PLAIN, direct, in_transform

Tensors: TypeAlias = Sequence[Tensor | None]
Settings: TypeAlias = Sequence[int]
Maps: TypeAlias = tuple[tuple[Tensor | None, Tensor | None], tuple[Tensor | None, Tensor | None]]
"""Scale and shift of each input feature, and of each output; None where there is none."""


KEPT_BYTES = 64 * 2**20
"""How much of a forward pass is kept for the backward pass at most. What does not fit is computed again from states,
so that a training takes the memory of its states and this, however long its sequences are."""


class Samples(NamedTuple):
    """What a compiled stream reads and writes, one sample of each sequence; dense, and the stream's alone.

    Attributes:
        input: (batch, 1, inputs), overwritten by each sample.
        state: (batch, width), the state after the sample before, overwritten by that after this one.
        timespans: (batch, 1), overwritten by a step that is given a span for all.
    """

    input: Tensor
    state: Tensor
    timespans: Tensor


class Steps(Protocol):
    """A recurrence of the compiled module that takes one sample after another."""

    def step(self, input: int, timespan: float | None, output: int) -> None:
        """Reads (batch, inputs) numbers at an address and writes (batch, outputs) to another.

        Without a span for all sequences, each has its own in :class:`Samples`.
        """
        ...


ROWS = ("input", "initial", "timespans", "observed?")
"""The tensors that have a batch as their leading axis."""

_ALL = 2**62
"""More bytes than there are."""

_SPARE = 2
"""Numbers more than are kept. Graphs have guards on sizes that may be 0 or 1, which this one never is."""


class Operator:
    """States after every sample, from tensors and whole numbers.

    Calling it returns the states. Derivatives are those of the floating-point tensors; derivatives of derivatives are
    the reference's.

    Args:
        name: in torch's registry, where it becomes ``liquidrnn::<name>``.
        tensors: names of the arguments that are tensors, of which the first four are `ROWS`; those that may be None end
            in a question mark.
        settings: names of the arguments that are whole numbers, after the tensors. The operator has one more, how many
            bytes may be kept.
        reference: the same states in plain PyTorch, ``reference(*tensors, *settings)``.
        numbers: ``numbers(tensors, settings)``: how many the backward pass needs of each sample.
        forward: ``forward(tensors, settings, states, kept)`` fills the latter two, (batch, time, width) and (batch,
            samples, numbers). All tensors are dense.
        backward: ``backward(tensors, settings, states, kept, state_gradients, gradients)`` fills the last: one tensor
            for each floating-point argument, in their order.
        partly: whether some samples, the last, may be kept; otherwise it is all or none.
    """

    def __init__(
        self,
        name: str,
        *,
        tensors: tuple[str, ...],
        settings: tuple[str, ...],
        reference: Callable[..., Tensor],
        numbers: Callable[[Tensors, Settings], int],
        forward: Callable[[Tensors, Settings, Tensor, Tensor], None],
        backward: Callable[[Tensors, Settings, Tensor, Tensor, Tensor, list[Tensor]], None],
        partly: bool = False,
    ):
        self._count, self._partly = len(tensors), partly
        self._reference, self._numbers = reference, numbers
        self._fill, self._fill_gradients = forward, backward
        taken = [f"Tensor{'?' if t.endswith('?') else ''} {t.rstrip('?')}" for t in tensors]
        taken += [f"int {name}" for name in (*settings, "kept_bytes")]
        options = {"mutates_args": (), "device_types": "cpu"}
        self.forward = torch.library.custom_op(
            f"liquidrnn::{name}", self._run_whole, schema=f"({', '.join(taken)}) -> (Tensor, Tensor)", **options
        )
        given = ["Tensor states", "Tensor kept", "Tensor state_gradients", *taken]
        self.backward = torch.library.custom_op(
            f"liquidrnn::{name}_backward", self.run_back, schema=f"({', '.join(given)}) -> Tensor[]", **options
        )
        self.forward.register_fake(self._fake)
        self.backward.register_fake(lambda states, kept, upstream, *arguments: self._empty_gradients(arguments))
        self.forward.register_autograd(self._differentiate, setup_context=self._save)
        self.forward.register_vmap(self._map_forward)
        self.backward.register_vmap(self._map_backward)

    def __call__(self, *arguments: Tensor | int | None, kept_bytes: int = KEPT_BYTES) -> Tensor:
        """States after every sample, (batch, time, width)."""
        if not torch.is_grad_enabled():
            kept_bytes = 0
        tensors: Tensors = arguments[: self._count]  # type: ignore[assignment]
        if not direct(tensors):
            return self.forward(*arguments, kept_bytes)[0]
        # The way through torch.library takes longer than a short sequence does.
        if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
            return _Eager.apply(self, *arguments, kept_bytes)
        return self.run(*arguments, 0)[0]

    def run(self, *arguments) -> tuple[Tensor, Tensor]:
        """States, and what is kept for the backward pass; without derivatives."""
        tensors, settings = dense(arguments[: self._count]), arguments[self._count :]
        states, kept = self._fake(*tensors, *settings)
        self._fill(tensors, settings[:-1], states, self.by_sample(kept, *arguments))
        return states, kept

    def _run_whole(self, *arguments) -> tuple[Tensor, Tensor]:
        """:meth:`run` with every number of its results set, as an operator's have to be."""
        states, kept = self.run(*arguments)
        kept[-_SPARE:] = 0
        return states, kept

    def run_back(self, states: Tensor, kept: Tensor, state_gradients: Tensor, *arguments) -> list[Tensor]:
        """Gradients of the floating-point tensors, in their order."""
        tensors, settings = dense(arguments[: self._count]), arguments[self._count :]
        kept = self.by_sample(kept, *arguments)
        back = self._fill_gradients if self._partly or kept.shape[1] == states.shape[1] else self._fill_in_pieces
        found = self._empty_gradients(arguments)
        back(tensors, settings[:-1], states.contiguous(), kept, state_gradients.contiguous(), found)
        return found

    def _fake(self, *arguments) -> tuple[Tensor, Tensor]:
        tensors, (*settings, kept_bytes) = arguments[: self._count], arguments[self._count :]
        input, initial = tensors[:2]
        # Without branches, for batch and time may be symbols.
        batch, time = input.shape[:2]
        sample = batch * self._numbers(tensors, settings)
        fitting = kept_bytes // (torch.sym_max(sample, 1) * input.element_size())
        whole = time * torch.sym_min(fitting // torch.sym_max(time, 1), 1)
        kept = torch.sym_min(fitting, time) if self._partly else whole
        return input.new_empty(batch, time, initial.shape[1]), input.new_empty(sample * kept + _SPARE)

    def by_sample(self, kept: Tensor, *arguments) -> Tensor:
        """What was kept with these arguments, (batch, samples, numbers)."""
        tensors, settings = arguments[: self._count], arguments[self._count : -1]
        batch, numbers = len(tensors[0]), self._numbers(tensors, settings)
        samples = (len(kept) - _SPARE) // max(batch * numbers, 1)
        return kept.as_strided((batch, samples, numbers), (samples * numbers, numbers, 1))

    def _empty_gradients(self, arguments) -> list[Tensor]:
        tensors = [t for t in arguments[: self._count] if _has_gradient(t)]
        return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in tensors]

    def _fill_in_pieces(
        self, tensors: Tensors, settings: Settings, states: Tensor, _: Tensor, upstream: Tensor, found: list[Tensor]
    ) -> None:
        """Gradients where nothing was kept: forward again, a piece of the time at once, the last first."""
        input, initial, timespans, observed, *parameters = tensors
        assert input is not None and initial is not None and timespans is not None
        batch, time = input.shape[:2]
        sample = batch * self._numbers(tensors, settings) * input.element_size()
        of_input, of_initial, of_timespans, *of_parameters = found
        for tensor in (of_initial, *of_parameters):
            tensor.zero_()
        length = max(KEPT_BYTES // max(sample, 1), 1)
        for start in reversed(range(0, time, length)):
            now = slice(start, start + length)
            before = states[:, start - 1] if start else initial
            some = [None if t is None else t[:, now] for t in (input, timespans, observed)]
            piece = dense((some[0], before, *some[1:], *parameters))
            gradients = self._empty_gradients(piece)
            of_states = upstream[:, now].clone()
            of_states[:, -1] += of_initial
            again, kept = self.run(*piece, *settings, _ALL)
            kept = self.by_sample(kept, *piece, *settings, _ALL)
            self._fill_gradients(piece, settings, again, kept, of_states, gradients)
            of_input[:, now], of_timespans[:, now] = gradients[0], gradients[2]
            of_initial.copy_(gradients[1])
            for total, more in zip(of_parameters, gradients[3:], strict=True):
                total += more

    def _save(self, ctx, inputs, output) -> None:
        states, kept = output
        ctx.settings = inputs[self._count :]
        ctx.save_for_backward(states, kept, *inputs[: self._count])

    def _differentiate(self, ctx, state_gradients: Tensor, _: Tensor | None, eager: bool = False):
        states, kept, *tensors = ctx.saved_tensors
        # What torch.autograd.grad(is_grads_batched=True) maps over has no memory, and no operator of ours knows it.
        if torch.is_grad_enabled() or not (torch._C._has_storage(state_gradients) or in_transform()):
            found = self._differentiably(tensors, ctx.settings[:-1], state_gradients)
        else:
            back = self.run_back if eager and direct((state_gradients, states, *tensors)) else self.backward
            found = back(states, kept, state_gradients, *tensors, *ctx.settings)
        remaining = iter(found)
        return *(next(remaining) if _has_gradient(t) else None for t in tensors), *(None for _ in ctx.settings)

    def _differentiably(self, tensors: Tensors, settings: Settings, state_gradients: Tensor):
        """The same gradients by the reference, with gradients of their own where they may have some."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            copies = [None if t is None else t.view_as(t) for t in tensors]
            wanted = [t.requires_grad_() for t in copies if t is not None and _has_gradient(t)]
            states = self._reference(*copies, *settings)
            return torch.autograd.grad(states, wanted, state_gradients, create_graph=again, materialize_grads=True)

    def _map_forward(self, info, in_dims, *arguments):
        """Over what has rows a map is a larger batch; over anything else, a loop."""
        tensors, rows = arguments[: self._count], len(ROWS)
        settings = *arguments[self._count : -1], 0
        if any(dim is not None for dim in in_dims[rows : self._count]):
            return self._loop(lambda *a: self.forward(*a, *settings), info, in_dims, tensors), (0, 0)
        size = info.batch_size
        moved = [
            t if t is None else t.expand(size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in zip(tensors[:rows], in_dims[:rows], strict=True)
        ]
        flat = [t if t is None else t.flatten(0, 1) for t in moved]
        states, kept = self.forward(*flat, *tensors[rows:], *settings)
        return (states.unflatten(0, (size, len(states) // size)), kept), (0, None)

    def _map_backward(self, info, in_dims, *arguments):
        found = self._loop(self.backward, info, in_dims, arguments)
        return list(found), [0] * len(found)

    @staticmethod
    def _loop(call, info, in_dims, arguments) -> tuple[Tensor, ...]:
        results = [
            call(*(t if dim is None else t.select(dim, place) for t, dim in zip(arguments, in_dims, strict=False)))
            for place in range(info.batch_size)
        ]
        return tuple(torch.stack(tensors) for tensors in zip(*results, strict=True))


class _Eager(torch.autograd.Function):
    """An operator outside graphs and transforms."""

    @staticmethod
    def forward(ctx, operator: Operator, *arguments):
        output = operator.run(*arguments)
        operator._save(ctx, arguments, output)
        ctx.operator = operator
        return output[0]

    @staticmethod
    def backward(ctx, *state_gradients):
        return None, *ctx.operator._differentiate(ctx, *state_gradients, None, eager=True)


def dense(tensors: Tensors) -> list[Tensor | None]:
    """The same values in memory without gaps, and with the signs that they have."""
    return [None if t is None else t.resolve_neg().contiguous() for t in tensors]


def memory(tensors: Tensors) -> list:
    """What the compiled module takes in place of dense tensors, in a tenth of the time that it takes tensors in.

    Raises:
        TypeError: a tensor is of a subclass that has operators of its own, so that its memory is not its values.
    """
    return [None if t is None else to_dlpack(_plain(t)) for t in tensors]


def _plain(tensor: Tensor) -> Tensor:
    """The tensor without its subclass, which may name or label values, but not be something else than them."""
    if type(tensor) in PLAIN:
        return tensor
    if type(tensor).__torch_dispatch__ is Tensor.__torch_dispatch__:  # pyright: ignore[reportAttributeAccessIssue]
        return tensor.as_subclass(Tensor)
    raise TypeError(
        f"compiled kernels read the memory of plain tensors, but got a {type(tensor).__name__}: "
        "build the layer with backend='reference'"
    )


def _has_gradient(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.is_floating_point()
