"""A recurrence over whole sequences as an operator of torch.

An operator has a schema, derivatives, and support for ``torch.compile``, ``torch.export`` and ``torch.vmap``; this
module implements them once for all recurrences. A :class:`Kernel` runs an operator on one device type; it is
registered from a file of its own.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from liquidrnn.kernels import chosen, direct, in_transform
from liquidrnn.kernels.loop import Inputs

Equation: TypeAlias = Any
"""Parameters of a recurrence: a NamedTuple of tensors, numbers, names and such NamedTuples."""


class StreamBuffers(NamedTuple):
    """Buffers that a compiled stream reads and writes, for one sample of each sequence; dense, and owned by the stream.

    Attributes:
        values: (batch, 1, inputs), overwritten by each sample.
        state: (batch, width), the state before the sample, overwritten by the state after it.
        timespans: (batch, 1, 1), overwritten by a step with a common span.
        observed: bool (batch, 1, inputs), for a recurrence that reads the mask and whose features may be missing.
    """

    values: Tensor
    state: Tensor
    timespans: Tensor
    observed: Tensor | None = None


class StreamKernel(Protocol):
    """A compiled recurrence that processes one sample after another."""

    def step(self, input: int, timespan: float | None, output: int) -> None:
        """Reads (batch, inputs) numbers at an address and writes (batch, outputs) numbers to another.

        If ``timespan`` is None, each sequence has its own span in :class:`StreamBuffers`.
        """
        ...


class Maps(NamedTuple):
    """Scale and shift of each input feature and of each output; None for no scale or shift."""

    input: tuple[Tensor | None, Tensor | None] = (None, None)
    output: tuple[Tensor | None, Tensor | None] = (None, None)


class Kernel(NamedTuple):
    """Runs a recurrence on one device type. All tensors that it is given are dense.

    Attributes:
        numbers: ``numbers(inputs, initial, equation)``: how many numbers per sample the backward pass needs.
        forward: ``forward(inputs, initial, equation, states, kept)`` fills ``states`` (batch, time, width) and ``kept``
            (batch, samples, numbers).
        backward: ``backward(inputs, initial, equation, states, kept, upstream, gradients)``, with ``upstream`` the
            gradient of ``states``, fills ``gradients``: inputs, initial and equation again, with a tensor for each
            floating-point one, else None.
        spares: whether ``gradients`` may have None for values and timespans if their gradients are not needed.
        stream: ``stream(buffers, equation, maps, outputs)``: processes one sample after another and returns the first
            ``outputs`` units; None if the kernel cannot stream.
        partly: whether only the last samples may be kept; otherwise all or none are.
        kept_bytes: largest number of bytes of a forward pass that are kept for the backward pass. The rest is computed
            again from the states, so that training needs memory for its states and this, however long the sequences
            are.
        dtypes: supported dtypes.
    """

    numbers: Callable[[Inputs, Tensor, Equation], int]
    forward: Callable[[Inputs, Tensor, Equation, Tensor, Tensor], None]
    backward: Callable[[Inputs, Tensor, Equation, Tensor, Tensor, Tensor, Gradients], None]
    stream: Callable[[StreamBuffers, Equation, Maps, int], StreamKernel] | None = None
    partly: bool = False
    spares: bool = False
    kept_bytes: int = 64 * 2**20
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)


class Gradients(NamedTuple):
    """Gradients that a backward pass fills, shaped as the arguments of the forward pass; see :class:`Kernel`."""

    inputs: Inputs
    initial: Tensor
    equation: Equation


class Form:
    """Flattens nested NamedTuples to tensors and settings, and rebuilds them."""

    SCHEMA: ClassVar = {int: "int", bool: "bool", str: "str", tuple: "int[]", Tensor: "Tensor"}

    def __init__(self, kind: type, prefix: str = ""):
        self.kind = kind
        self._parts: list[Form | bool] = []  # for each field, its own form, or whether it is a tensor
        self.tensors: dict[str, str] = {}  # names, and types as in a schema
        self.settings: dict[str, str] = {}
        for name, hint in get_type_hints(kind).items():
            path = f"{prefix}{name}"
            optional = get_origin(hint) in (types.UnionType,) or type(None) in get_args(hint)
            given = next(part for part in get_args(hint) if part is not type(None)) if optional else hint
            if hasattr(given, "_fields"):
                part = Form(given, f"{path}.")
                self._parts.append(part)
                self.tensors |= part.tensors
                self.settings |= part.settings
                continue
            self._parts.append(given is Tensor)
            where = self.tensors if given is Tensor else self.settings
            where[path] = self.SCHEMA[get_origin(given) or given] + "?" * optional
        self._flat = self._parts == [True] * len(self.tensors) + [False] * len(self.settings)

    def flattened(self, value: Any) -> list[Any]:
        """Tensors, then settings."""
        if self._flat:
            return list(value)
        tensors, settings = [], []
        self._flatten(value, tensors, settings)
        return tensors + settings

    def _flatten(self, value: Any, tensors: list[Any], settings: list[Any]) -> None:
        for part, given in zip(self._parts, value, strict=True):
            if isinstance(part, Form):
                part._flatten(given, tensors, settings)
            else:
                (tensors if part else settings).append(given)

    def rebuilt(self, tensors: Sequence[Tensor | None], settings: Sequence[Any]) -> Any:
        """The value with these tensors and settings: the inverse of :meth:`flattened`."""
        if self._flat:
            return self.kind(*tensors, *settings)
        return self._rebuild(iter(tensors), iter(settings))

    def _rebuild(self, tensors: Iterator[Tensor | None], settings: Iterator[Any]) -> Any:
        parts = [
            next(tensors) if part is True else next(settings) if part is False else part._rebuild(tensors, settings)
            for part in self._parts
        ]
        return self.kind(*parts)


_ROWS = ("Tensor values", "Tensor initial", "Tensor timespans", "Tensor? present", "Tensor? reset")
"""The arguments with a leading batch axis, of a recurrence that does not read which features were observed."""

_ALL = 2**62
"""An unlimited number of bytes."""

_SPARED = (0, 2)
"""Indices of values and timespans among the arguments."""

_SPARE = 2
"""Extra numbers in the array of kept values, so that its size is never 0 or 1, on which graphs have guards."""


class Operator:
    """Computes the states after every sample from sequences, initial states and the parameters of an equation.

    It has derivatives with respect to all floating-point tensors; second derivatives come from the reference.

    Args:
        name: the name in torch's registry, where it becomes ``liquidrnn::<name>``.
        equation: the NamedTuple of the parameters.
        reference: computes the states in plain PyTorch, ``reference(inputs, initial, equation)``.
        observes: whether the recurrence reads which features were observed.

    Attributes:
        kernels: kernels by device type.
    """

    def __init__(
        self,
        name: str,
        equation: type,
        reference: Callable[[Inputs, Tensor, Equation], Tensor],
        observes: bool = False,
    ):
        self.reference, self.kernels = reference, dict[str, Kernel]()
        self._form = Form(equation)
        rows = (*_ROWS, "Tensor? observed") if observes else _ROWS
        self._observes, self._rows, self._count = observes, len(rows), len(rows) + len(self._form.tensors)
        self._end = self._count + len(self._form.settings)
        given = [*self._form.tensors.items(), *self._form.settings.items()]
        arguments = ", ".join([*rows, *(f"{kind} {name.replace('.', '_')}" for name, kind in given), "bool keep"])
        library = f"liquidrnn::{name}"
        self.forward = torch.library.custom_op(
            library, self._run_whole, mutates_args=(), schema=f"({arguments}) -> (Tensor, Tensor)"
        )
        self.backward = torch.library.custom_op(
            f"{library}_backward",
            self._run_back_whole,
            mutates_args=(),
            schema=f"(Tensor states, Tensor kept, Tensor upstream, {arguments}) -> Tensor[]",
        )
        self.forward.register_fake(self._empty_results)
        self.backward.register_fake(lambda states, kept, upstream, *arguments: _found(self._empty_gradients(arguments)))
        self.forward.register_autograd(self._differentiate, setup_context=self._save)
        self.forward.register_vmap(self._map_forward)
        self.backward.register_vmap(self._map_backward)

    def register(self, device: str, kernel: Kernel) -> None:
        """Registers the kernel for a device type."""
        self.kernels[device] = kernel

    def _kernel(self, backend: str | None, like: Tensor) -> Kernel | None:
        """The kernel for tensors like this one; None for the reference."""
        return self.kernels.get(chosen(backend, like, self.kernels))

    def stream(
        self, buffers: StreamBuffers, equation: Equation, maps: Maps, outputs: int, backend: str | None = None
    ) -> StreamKernel | None:
        """A compiled stream, see :class:`Kernel`; None if no kernel can stream."""
        kernel = self._kernel(backend, buffers.state)
        if kernel is None or kernel.stream is None:
            return None
        given, count = self._form.flattened(equation), len(self._form.tensors)
        equation = self._form.rebuilt(dense(given[:count]), given[count:])
        return kernel.stream(buffers, equation, maps, outputs)

    def __call__(self, inputs: Inputs, initial: Tensor, equation: Equation, backend: str | None = None) -> Tensor:
        """States after every sample, (batch, time, width).

        Args:
            inputs: the sequences.
            initial: (batch, width).
            equation: the parameters.
            backend: "reference", a device type, or None for the fastest that can run.
        """
        kernel = self._kernel(backend, initial)
        if kernel is None:
            return self.reference(inputs, initial, equation)
        keep = torch.is_grad_enabled()
        arguments = self.arguments(inputs, initial, equation, keep)
        tensors = arguments[: self._count]
        if not direct(tensors):
            return self.forward(*arguments)[0]
        # A call through torch.library takes longer than a short sequence does.
        groups = inputs, initial, equation
        if keep:
            wanted = [at for at, tensor in enumerate(tensors) if tensor is not None and tensor.requires_grad]
            if wanted:
                return _Eager.apply(self, kernel, groups, arguments, wanted, *[tensors[at] for at in wanted])
        return self._run(kernel, arguments, 0, groups)[0]

    def arguments(self, inputs: Inputs, initial: Tensor, equation: Equation, keep: bool = True) -> tuple[Any, ...]:
        """The arguments of the operator in torch's registry."""
        values, timespans, present, observed, reset = inputs
        rows = (values, initial, timespans, present, reset, *((observed,) if self._observes else ()))
        return *rows, *self._form.flattened(equation), keep

    def grouped(self, arguments: Sequence[Any]) -> tuple[Inputs, Tensor, Equation]:
        """Inputs, initial state and equation: the inverse of :meth:`arguments`."""
        values, initial, timespans, present, reset, *observed = arguments[: self._rows]
        equation = self._form.rebuilt(arguments[self._rows : self._count], arguments[self._count : self._end])
        return Inputs(values, timespans, present, observed[0] if observed else None, reset), initial, equation

    def _dense(self, arguments: Sequence[Any], groups: tuple[Inputs, Tensor, Equation] | None = None):
        """Inputs, initial state and equation as dense tensors; ``groups`` if they are dense already."""
        tensors = arguments[: self._count]
        # Mostly they are, and a call that returns its argument takes longer than to ask.
        if all([t is None or t.is_contiguous() and not t.is_neg() for t in tensors]):
            return self.grouped(arguments) if groups is None else groups
        return self.grouped((*dense(tensors), *arguments[self._count :]))

    def _run(
        self,
        kernel: Kernel,
        arguments: Sequence[Any],
        budget: int,
        groups: tuple[Inputs, Tensor, Equation] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """States, and the values kept for the backward pass; without derivatives.

        Args:
            kernel: the kernel.
            arguments: the operator's arguments; the last one, ``keep``, is ignored.
            budget: largest number of bytes to keep.
            groups: the grouped arguments, if they are available.
        """
        inputs, initial, equation = self._dense(arguments, groups)
        values, numbers = inputs.values, kernel.numbers(inputs, initial, equation)
        batch, time, _ = values.shape
        states = values.new_empty(batch, time, initial.shape[1])
        kept = values.new_empty(batch, _kept_samples(kernel, values, numbers, budget), numbers)
        kernel.forward(inputs, initial, equation, states, kept)
        return states, kept

    def _run_whole(self, *arguments) -> tuple[Tensor, Tensor]:
        """:meth:`_run` with the kept values flat, and all numbers initialised, as torch requires of an operator."""
        groups, (states, kept) = self._dense(arguments), self._empty_results(*arguments)
        kernel = self.kernels[states.device.type]
        kernel.forward(*groups, states, _by_sample(kept, states.shape[0], kernel.numbers(*groups)))
        kept[-_SPARE:].zero_()
        return states, kept

    def _run_back_whole(self, states: Tensor, kept: Tensor, upstream: Tensor, *arguments) -> list[Tensor]:
        """Gradients of the floating-point tensors, in order."""
        return _found(self._run_back(self.kernels[states.device.type], states, kept, upstream, arguments))

    def _run_back(
        self,
        kernel: Kernel,
        states: Tensor,
        kept: Tensor,
        upstream: Tensor,
        arguments: Sequence[Any],
        wanted: Sequence[int] | None = None,
    ) -> list[Tensor | None]:
        """Gradients of the tensors among the arguments, at least of those at the indices ``wanted``; None is all."""
        inputs, initial, equation = self._dense(arguments)
        if kept.ndim == 1:
            kept = _by_sample(kept, initial.shape[0], kernel.numbers(inputs, initial, equation))
        states, upstream = states.contiguous(), upstream.contiguous()
        if kernel.partly or kept.shape[1] == states.shape[1]:
            spared = _SPARED if wanted is not None and kernel.spares else ()
            found = self._empty_gradients(arguments, [at for at in spared if at not in wanted])  # type: ignore[operator]
            kernel.backward(inputs, initial, equation, states, kept, upstream, self._filled(arguments, found))
        else:
            found = self._empty_gradients(arguments)
            self._fill_in_pieces(kernel, kept.shape[2], arguments, states, upstream, found)
        return found

    def _empty_results(self, *arguments) -> tuple[Tensor, Tensor]:
        """Uninitialised results of :meth:`_run_whole`."""
        *arguments, keep = arguments
        inputs, initial, equation = self.grouped(arguments)
        kernel, values = self.kernels[initial.device.type], inputs.values
        numbers = kernel.numbers(inputs, initial, equation)
        batch, time, _ = values.shape
        kept = batch * numbers * _kept_samples(kernel, values, numbers, kernel.kept_bytes if keep else 0)
        return values.new_empty(batch, time, initial.shape[1]), values.new_empty(kept + _SPARE)

    def _empty_gradients(self, arguments: Sequence[Any], spared: Sequence[int] = ()) -> list[Tensor | None]:
        dense = torch.contiguous_format
        return [
            None if t is None or at in spared or not t.is_floating_point() else torch.empty_like(t, memory_format=dense)
            for at, t in enumerate(arguments[: self._count])
        ]

    def _filled(self, arguments: Sequence[Any], found: Sequence[Tensor | None]) -> Gradients:
        """Gradients, grouped as the arguments."""
        return Gradients(*self.grouped([*found, *arguments[self._count :]]))

    def _fill_in_pieces(
        self,
        kernel: Kernel,
        numbers: int,
        arguments: Sequence[Any],
        states: Tensor,
        upstream: Tensor,
        found: Sequence[Tensor | None],
    ) -> None:
        """Gradients if nothing was kept: repeats the forward pass in pieces of time, from the last to the first."""
        inputs, initial, equation = self.grouped(arguments)
        batch, time = states.shape[:2]
        sample = batch * numbers * states.element_size()
        of_values, of_initial, of_timespans, *of_others = _found(found)
        for tensor in (of_initial, *of_others):
            tensor.zero_()
        length = max(kernel.kept_bytes // max(sample, 1), 1)
        for start in reversed(range(0, time, length)):
            now = slice(start, start + length)
            before = states[:, start - 1] if start else initial
            some = inputs.mapped(lambda part, now=now: part[:, now])
            groups = self._dense(self.arguments(some, before, equation))
            piece = self.arguments(*groups)
            gradients = self._empty_gradients(piece)
            of_states = upstream[:, now].clone()
            of_states[:, -1] += of_initial
            again, kept = self._run(kernel, piece, _ALL, groups)
            kernel.backward(*groups, again, kept, of_states, self._filled(piece, gradients))
            of_values[:, now], before, of_timespans[:, now], *more = _found(gradients)
            of_initial.copy_(before)
            for total, part in zip(of_others, more, strict=True):
                total += part

    def _save(self, ctx, inputs, output) -> None:
        states, kept = output
        ctx.settings = inputs[self._count :]
        ctx.save_for_backward(states, kept, *inputs[: self._count])

    def _differentiate(self, ctx, upstream: Tensor, _: Tensor | None):
        saved = ctx.saved_tensors
        wanted = [at for at, tensor in enumerate(saved[2:]) if _has_gradient(tensor)]
        found = dict(zip(wanted, self.derived(saved, ctx.settings, upstream, wanted), strict=True))
        return *(found.get(at) for at in range(self._count)), *(None for _ in ctx.settings)

    def derived(
        self,
        saved: Sequence[Any],
        settings: Sequence[Any],
        upstream: Tensor,
        wanted: Sequence[int],
        kernel: Kernel | None = None,
    ) -> list[Tensor]:
        """Gradients of the tensors at the indices ``wanted`` among the saved arguments.

        With a ``kernel`` it is called without torch's dispatcher where that is possible.
        """
        states, kept, *tensors = saved
        # Tensors inside torch.autograd.grad(is_grads_batched=True) have no memory; our operators do not support them.
        if torch.is_grad_enabled() or not (torch._C._has_storage(upstream) or in_transform()):
            return self._differentiably(tensors, settings, upstream, wanted)
        if kernel is not None and direct((upstream, states, *tensors)):
            found = self._run_back(kernel, states, kept, upstream, (*tensors, *settings), wanted)
        else:
            remaining = iter(self.backward(states, kept, upstream, *tensors, *settings))
            found = [next(remaining) if _has_gradient(t) else None for t in tensors]
        return [found[at] for at in wanted]  # type: ignore[misc]

    def _differentiably(
        self, tensors: Sequence[Tensor | None], settings: Sequence[Any], upstream: Tensor, wanted: Sequence[int]
    ) -> list[Tensor]:
        """The same gradients by the reference, themselves differentiable if gradients are enabled."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            copies = [None if t is None else t.view_as(t) for t in tensors]
            for at in wanted:
                copies[at].requires_grad_()  # type: ignore[union-attr]
            states = self.reference(*self.grouped([*copies, *settings]))
            sources: Any = [copies[at] for at in wanted]
            return list(torch.autograd.grad(states, sources, upstream, create_graph=again, materialize_grads=True))

    def _map_forward(self, info, in_dims, *arguments):
        """Maps over arguments with rows by enlarging the batch, and over any other by a loop."""
        tensors, rows = arguments[: self._count], self._rows
        settings = *arguments[self._count : -1], False
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
            call(
                *(
                    t.select(dim, place) if isinstance(t, Tensor) and dim is not None else t
                    for t, dim in zip(arguments, in_dims, strict=False)
                )
            )
            for place in range(info.batch_size)
        ]
        return tuple(torch.stack(tensors) for tensors in zip(*results, strict=True))


class _Eager(torch.autograd.Function):
    """Runs an operator outside graphs and transforms."""

    @staticmethod
    def forward(ctx, operator: Operator, kernel: Kernel, groups, arguments: Sequence[Any], wanted: list[int], *_):
        output = operator._run(kernel, arguments, kernel.kept_bytes, groups)
        operator._save(ctx, arguments, output)
        ctx.operator, ctx.kernel, ctx.wanted = operator, kernel, wanted
        return output[0]

    @staticmethod
    def backward(ctx, *upstream):
        found = ctx.operator.derived(ctx.saved_tensors, ctx.settings, *upstream, ctx.wanted, ctx.kernel)
        return None, None, None, None, None, *found


def _kept_samples(kernel: Kernel, values: Tensor, numbers: int, budget: int) -> Any:
    """Of how many samples the kept values fit into ``budget`` bytes."""
    # Without branches, since batch and time may be symbolic.
    batch, time, _ = values.shape
    plain = type(batch) is type(time) is type(numbers) is int
    larger, smaller = (max, min) if plain else (torch.sym_max, torch.sym_min)
    fitting = budget // (larger(batch * numbers, 1) * values.element_size())
    return smaller(fitting, time) if kernel.partly else time * smaller(fitting // larger(time, 1), 1)


def _by_sample(kept: Tensor, batch: int, numbers: int) -> Tensor:
    """The kept values as (batch, samples, numbers)."""
    samples = (kept.shape[0] - _SPARE) // max(batch * numbers, 1)
    return kept.as_strided((batch, samples, numbers), (samples * numbers, numbers, 1))


def dense(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Contiguous tensors with the same values; a lazy negation is resolved."""
    return [None if t is None else t.resolve_neg().contiguous() for t in tensors]


def _found(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]


def _has_gradient(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.is_floating_point()
