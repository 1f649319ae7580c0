"""Streams: layers prepared once for processing one sample after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from liquidrnn.arguments import described, positive_int
from liquidrnn.kernels import PLAIN, direct
from liquidrnn.kernels.loop import Inputs, State, contiguous_copy
from liquidrnn.kernels.operator import StreamBuffers
from liquidrnn.recurrent import RecurrentLayer
from liquidrnn.spans import check_sums, checked_number, row_flags, row_spans

_modes = torch._C._len_torch_dispatch_stack
_transforms = torch._C._functorch.peek_interpreter_stack  # pyright: ignore[reportAttributeAccessIssue]
_tracing = torch._C._get_tracing_state
_has_storage = torch._C._has_storage


class Stream:
    """Processes one sample after another with a layer, and keeps the state.

    It is for inference on samples as they arrive, as in a control loop or a monitor. What a layer computes in every
    call (conductances, sorted synapses, checks) is done once, when the stream is created, from a copy of the
    parameters: later changes of the layer do not affect the stream. Outputs have the same bits as those of
    :meth:`RecurrentLayer.step` in evaluation mode, without gradients; with masks and episodes they equal those of
    :meth:`RecurrentLayer.forward` as :attr:`RecurrentLayer.exact` describes.

    A copy, by ``copy.copy``, ``copy.deepcopy`` or ``pickle``, has its own state.

    **NaN.** A NaN in an observed feature makes the state NaN, as everywhere in torch, and it stays NaN. If a sensor may
    fail, mask its values: ``stream(sample, mask=sample.isfinite())``. To replace a NaN state, use :meth:`reset`, for
    some rows or all, or :meth:`restore`.

    Args:
        layer: the layer to stream; not bidirectional. It is fast only on the CPU.
        hx: initial state as :meth:`RecurrentLayer.forward` takes it, without batch if ``batch`` is None; None is zero.
        batch: number of sequences; None for samples without a batch axis.

    Raises:
        TypeError: ``layer`` is not a layer of this library, or its parameters are not plain tensors.
        ValueError: the layer is bidirectional, or ``hx`` has the wrong shape.

    Example:
        >>> layer = lr.LTC(3, lr.wirings.AutoNCP(12, outputs=2))
        >>> stream = lr.Stream(layer)
        >>> for sample in torch.randn(5, 3):
        ...     command = stream(sample, timespan=0.02)
        >>> command.shape
        torch.Size([2])
        >>> failed = torch.tensor([0.1, torch.nan, 0.3])
        >>> stream(failed, timespan=0.02, mask=failed.isfinite()).isfinite().all()
        tensor(True)
    """

    def __init__(self, layer: RecurrentLayer, hx: Tensor | State | None = None, batch: int | None = None):
        if not isinstance(layer, RecurrentLayer):
            raise TypeError(f"layer must be a RecurrentLayer, but got {type(layer).__name__}")
        if batch is not None:
            batch = positive_int("batch", batch)
        if layer.num_directions == 2:
            raise ValueError(
                "a stream reads forward in time, but the layer is bidirectional: build it with bidirectional=False"
            )
        parameter = layer._like()
        if not direct([parameter]):
            raise TypeError(f"layer must have plain tensors as parameters outside of graphs and modes, {_WAY_OUT}")
        self._dtype, self._device = parameter.dtype, parameter.device
        self._batch, rows = batch, batch or 1
        self._shape = (layer.input_size,) if batch is None else (batch, layer.input_size)
        kind: dict[str, Any] = {"dtype": parameter.dtype, "device": parameter.device}
        # Inference tensors cannot be written outside inference mode.
        with torch.inference_mode(False), torch.no_grad():
            self._layer = layer._copied().eval().requires_grad_(False)
            self._parameter = self._layer._like()
            observed = torch.ones(rows, 1, layer.input_size, dtype=torch.bool, device=parameter.device)
            # Input and state buffers of each layer, for its compiled stream.
            self._buffers = [
                StreamBuffers(
                    torch.zeros(rows, 1, recurrence.input_size, **kind),
                    torch.zeros(rows, sum(recurrence.state_sizes), **kind),
                    torch.zeros(rows, 1, 1, **kind),
                    # The layers above read outputs, which are never missing.
                    observed if recurrence.reads_mask and not number else None,
                )
                for number, recurrence in enumerate(self._layer.recurrences)
            ]
            # Time spans of absent samples, to be added to that of the next observed one.
            self._pending = torch.zeros(rows, 1, **kind).to(torch.promote_types(parameter.dtype, torch.float32))
            both = zip(self._layer.recurrences, self._buffers, strict=True)
            compiled = [recurrence(recurrence.stream, buffers) for recurrence, buffers in both]
        sizes = [(*self._shape[:-1], recurrence.output_size) for recurrence in self._layer.recurrences]
        # A compiled step, and the shape of its output, of each layer.
        found = [(steps.step, size) for steps, size in zip(compiled, sizes, strict=True) if steps is not None]
        self._compiled = found if len(found) == len(compiled) else None
        # Looked up once: a lookup in a module takes as long as a tenth of a step.
        self._readout, self._observed = self._layer.readout, self._buffers[0].observed
        self._clocked = all(recurrence.uses_timespans for recurrence in self._layer.recurrences)
        # Whether features were missing in the last sample.
        self._partly = False
        # A network that ignores time takes no spans, and no time is pending.
        self._unit, self._longest = (1.0, torch.finfo(self._dtype).max) if self._clocked else (0.0, -1.0)
        self.reset(hx)

    @property
    def backend(self) -> str:
        """The backend: "cpu" if every layer has a compiled stream, else "reference"."""
        return "reference" if self._compiled is None else "cpu"

    @property
    def state(self) -> Tensor | State:
        """The state after the last sample, in the form of the layer's ``h_n``."""
        sizes = self._layer.recurrences[0].state_sizes
        states = [buffers.state.clone().split(sizes, -1) for buffers in self._buffers]
        return self._layer._final(states, self._batch is not None)

    def reset(
        self, hx: Tensor | State | None = None, rows: int | Iterable[int] | Iterable[bool] | Tensor | None = None
    ) -> None:
        """Starts new sequences, from ``hx`` or from zero.

        Args:
            hx: initial state as :meth:`RecurrentLayer.forward` takes it, for the given rows in their order; None is
                zero.
            rows: the rows of the batch to reset, such as those whose episode has ended, as indices or as bool (batch,).
                None is all.

        Raises:
            TypeError: ``rows`` are neither indices nor bool, or a tensor is not plain.
            ValueError: ``rows`` are out of range or repeated, or the stream has no batch; ``hx`` has the wrong shape.

        Example:
            >>> stream = lr.Stream(lr.CfC(3, 8), batch=4)
            >>> commands = stream(torch.randn(4, 3))
            >>> stream.reset(rows=torch.tensor([False, True, False, False]))
            >>> stream.state.abs().sum(-1) > 0
            tensor([[ True, False,  True,  True]])
        """
        _check_plain("hx", *(hx if isinstance(hx, tuple | list) else (hx,)))
        _check_plain("rows", rows)
        chosen = self._chosen(rows)
        self._write(self._layer._state(hx, len(chosen), self._batch is not None, self._parameter), chosen)
        self._wait(self._pending.index_fill(0, chosen, 0.0))

    def snapshot(self) -> dict[str, Tensor]:
        """The full state of the stream as tensors, for ``torch.save``.

        Returns:
            "h", the state in the form of ``hx``; also "c" for a layer with a memory cell; and "pending", () or
            (batch,), the sum of the spans of absent samples since the last observed one.
        """
        state, pending = self.state, self._pending.squeeze(-1).clone()
        parts = dict(zip(self._layer.recurrences[0].state_names, _tuple(state), strict=False))
        return parts | {"pending": pending.squeeze(0) if self._batch is None else pending}

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Continues from a :meth:`snapshot` of this stream or one with an equal layer.

        Raises:
            TypeError: the snapshot is not a mapping to plain tensors.
            ValueError: it is from another kind of layer, size, batch or dtype.

        Example:
            >>> stream = lr.Stream(lr.LTC(3, 8))
            >>> before = stream.snapshot()
            >>> first = stream(torch.ones(3))
            >>> stream.restore(before)
            >>> torch.equal(stream(torch.ones(3)), first)
            True
        """
        first = self._layer.recurrences[0]
        names = [*first.state_names[: len(first.state_sizes)], "pending"]
        if not isinstance(snapshot, Mapping) or not all(isinstance(part, Tensor) for part in snapshot.values()):
            raise TypeError(
                f"snapshot must be a dict of Tensors as snapshot() returns it, but got {described(snapshot)}"
            )
        if set(snapshot) != set(names):
            raise ValueError(
                f"snapshot must have {', '.join(names)}, but has {', '.join(map(str, snapshot)) or 'nothing'}"
            )
        _check_plain("snapshot", *snapshot.values())
        *parts, pending = (snapshot[name] for name in names)
        shape = () if self._batch is None else (self._batch,)
        kind = self._pending.dtype
        if tuple(pending.shape) != shape or pending.dtype != kind:
            raise ValueError(f"snapshot['pending'] must be {kind} {shape}, not negative, but got {described(pending)}")
        if not bool((pending >= 0).all()):
            worst = pending[~(pending >= 0)][0].item()
            raise ValueError(f"snapshot['pending'] must be {kind} {shape}, not negative, but holds {worst:g}")
        try:
            hx = parts[0] if len(parts) == 1 else tuple(parts)
            state = self._layer._state(hx, self._batch or 1, self._batch is not None, self._parameter)
        except ValueError as error:
            raise ValueError(f"snapshot does not fit this stream: {error}") from None
        self._write(state)
        self._wait(pending.reshape(-1, 1))

    def __call__(
        self,
        input: Tensor,
        timespan: float | Tensor | None = None,
        mask: Tensor | None = None,
        reset: bool | Tensor | None = None,
    ) -> Tensor:
        """The layer's output for the next sample.

        Args:
            input: (input_size,), or (batch, input_size) with a batch.
            timespan: time since the previous sample: a number, or (batch,) if sequences have different clocks; None is
                1.
            mask: bool like ``input``, True where observed. An unobserved feature is read as 0, whatever its value is. A
                row without any observed feature is absent: its state is held, its output repeated, and its span added
                to that of its next sample.
            reset: bool, or bool (batch,) with a batch: True where a new episode begins with this sample, as after
                :meth:`reset`.

        Returns:
            (output_size,) or (batch, output_size).

        Raises:
            TypeError: a tensor is not plain, such as a fake tensor or one inside ``torch.vmap``, or the span is not a
                number.
            ValueError: the input has the wrong shape, dtype or device; or the span is negative, not finite, above the
                largest number of the layer's dtype, or without effect on this layer.
        """
        if (
            type(input) is not Tensor
            or _modes()
            or _transforms() is not None
            or _tracing() is not None
            or input.shape != self._shape
            or input.dtype != self._dtype
            or input.device != self._device
        ):
            self._check(input)
        if timespan is None:
            span = self._unit
        elif (type(timespan) is float or type(timespan) is int) and 0 <= timespan <= self._longest:
            span = timespan
        else:
            span = self._span(timespan)
        if mask is not None:
            self._check_mask(mask)
        if reset is not None:
            self._begin(reset)
        if mask is not None or self._waiting:
            return self._read(input, span, mask)
        return self._advance(input, span)

    def _advance(self, x: Tensor, span: float | Tensor, mask: Tensor | None = None) -> Tensor:
        """Processes a sample of every row, with one span for all or (rows, 1), and returns the output."""
        if self._compiled is None:
            if isinstance(span, Tensor):
                span = span.squeeze(-1)
            with torch.no_grad():
                output, state = self._layer.step(x, self.state, span if self._clocked else None, mask)
            self._write(tuple(part if self._batch else part.unsqueeze(1) for part in _tuple(state)))
            return output
        common: Any = span
        if isinstance(span, Tensor):
            common = None
            for buffers in self._buffers:
                buffers.timespans.copy_(span.unsqueeze(-1))
        if x.is_neg() or not x.is_contiguous():
            x = x.resolve_neg().contiguous()
        seen = self._observed
        if seen is not None and (mask is not None or self._partly):
            seen.fill_(True) if mask is None else seen.copy_(mask.reshape(seen.shape))
            self._partly = mask is not None
        for step, size in self._compiled:
            output = torch.empty(size, dtype=self._dtype, device=self._device)
            step(x.data_ptr(), common, output.data_ptr())
            x = output
        return x if self._readout is None else self._readout(x)

    def _begin(self, reset: bool | Tensor) -> None:
        """Resets the rows where an episode begins."""
        _check_plain("reset", reset)
        begins = row_flags("reset", reset, self._batch or 1, self._parameter).flatten()
        if bool(begins.any()):
            self.reset(rows=None if self._batch is None else begins)

    def _span(self, timespan: object) -> float | Tensor:
        """A checked span for all rows, or for each, (rows, 1): the slow path for anything but a plain number."""
        self._layer._check_clock("timespan", timespan)
        _check_plain("timespan", timespan)
        number = checked_number("timespan", timespan, self._dtype)
        if number is not None:
            return number
        return row_spans("timespan", timespan, self._batch or 1, self._parameter).detach()

    def _read(self, input: Tensor, span: float | Tensor, mask: Tensor | None) -> Tensor:
        """Processes samples that may be absent in part, or that follow absent ones, and returns the output."""
        with torch.no_grad():
            x, there, seen = input.detach(), None, mask
            if mask is not None:
                x, there = torch.where(mask, x, 0), mask.any(-1).reshape(-1, 1)
                there = None if bool(there.all()) else there
                # Absent rows are computed too and their results dropped, since a step needs an observed feature in
                # each.
                seen = mask if there is None else mask | ~there.reshape(*mask.shape[:-1], 1)
            if there is None and not self._waiting:
                return self._advance(x, span, seen)
            passed = self._pending + span
            way_out = "; reset() starts such a sequence again, with rows= only that one"
            check_sums(passed, True if there is None else there, self._dtype, way_out)
            if there is None:
                output = self._advance(x, passed, seen)
                self._wait(torch.zeros_like(passed))
                return output
            held = [buffers.state.clone() for buffers in self._buffers]
            answer = None
            if bool(there.any()):
                answer = self._advance(x, passed.clamp(max=torch.finfo(self._dtype).max), seen)
                for buffers, before in zip(self._buffers, held, strict=True):
                    buffers.state.copy_(torch.where(there, buffers.state, before))
            output = self._repeated()
            if answer is not None:
                output = torch.where(there, answer, output)
            self._wait(passed.masked_fill(there, 0.0))
            return output

    def _repeated(self) -> Tensor:
        """The output for the current state, for absent samples."""
        x, spans = torch.zeros_like(self._buffers[0].values[:, 0]), torch.zeros_like(self._buffers[0].timespans[:, 0])
        for recurrence, buffers in zip(self._layer.recurrences, self._buffers, strict=True):
            state = tuple(contiguous_copy(part) for part in buffers.state.split(recurrence.state_sizes, -1))
            x = recurrence(recurrence.output, Inputs(x, spans), state)
        if self._layer.readout is not None:
            x = self._layer.readout(contiguous_copy(x))
        return x if self._batch is not None else x.squeeze(0)

    def _write(self, state: State, rows: Tensor | slice = slice(None)) -> None:
        """Writes a state, a tuple of (layers, rows, width), into rows of the stream's state."""
        with torch.no_grad():
            for buffers, parts in zip(self._buffers, zip(*state, strict=True), strict=True):
                buffers.state[rows] = torch.cat(parts, -1)

    def _wait(self, pending: Tensor) -> None:
        """Sets the pending time (rows, 1) of absent samples."""
        self._pending.copy_(pending)
        self._waiting = bool(pending.any())

    def _chosen(self, rows: Any) -> Tensor:
        """Indices of rows, each once."""
        size = self._batch or 1
        if rows is None:
            return torch.arange(size, device=self._device)
        if self._batch is None:
            raise ValueError(
                "rows need a batch, but this stream has none: leave rows out, or create the stream with batch="
            )
        wanted = f"rows must be indices from 0 to {size - 1}, or bool ({size},)"
        try:
            if not isinstance(rows, Tensor | np.ndarray):
                rows = list(rows) if isinstance(rows, Iterable) else [rows]
            given = torch.as_tensor(rows).cpu()
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{wanted}, but got {described(rows)}") from None
        if given.dtype == torch.bool and given.shape == (size,):
            return given.nonzero().squeeze(-1).to(self._device)
        given = given.long() if given.numel() == 0 else given
        if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool or given.ndim > 1:
            raise TypeError(f"{wanted}, but got {described(given)}")
        indices = given.reshape(-1).tolist()
        if any(not 0 <= row < size for row in indices) or len(set(indices)) < len(indices):
            raise ValueError(f"{wanted}, each once, but got {indices}")
        return torch.tensor(indices, dtype=torch.long, device=self._device)

    def _check(self, input: object) -> None:
        """Raises unless ``input`` is a plain tensor with the stream's shape, dtype and device."""
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a Tensor of shape {self._shape}, but got {described(input)}")
        _check_plain("input", input)
        if input.shape != self._shape or input.dtype != self._dtype or input.device != self._device:
            raise ValueError(
                f"input must be {self._shape} of {self._dtype} on {self._device}, one sample, as the stream was "
                f"created for, but got {described(input)} on {input.device}"
            )

    def _check_mask(self, mask: object) -> None:
        if not isinstance(mask, Tensor) or mask.shape != self._shape or mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool {self._shape}, True where observed, but got {described(mask)}")
        _check_plain("mask", mask)
        if mask.device != self._device:
            raise ValueError(f"mask must be on {self._device} as the layer is, but is on {mask.device}")

    def __getstate__(self) -> dict[str, Any]:
        """The layer and a snapshot, from which a copy is created."""
        return {"layer": self._layer, "batch": self._batch, "snapshot": self.snapshot()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Creates a copy."""
        Stream.__init__(self, state["layer"], batch=state["batch"])
        self.restore(state["snapshot"])

    def __repr__(self) -> str:
        """The layer and the backend."""
        return f"Stream({self._layer!r}, backend={self.backend!r})"


_WAY_OUT = "a stream reads and writes memory, bypassing torch; use layer.step()"


def _check_plain(name: str, *given: object) -> None:
    """Raises if a tensor is not plain memory, or if a mode, a trace or a transform is active."""
    tensors = [part for part in given if isinstance(part, Tensor)]
    odd = [part for part in tensors if type(part) not in PLAIN or not _has_storage(part)]
    # After `odd`, where torch.compile breaks its graph: while it traces, it has a mode of its own.
    seen = bool(_modes()) or _transforms() is not None or _tracing() is not None
    if not seen and not odd:
        return
    # Without the shape, which may be symbolic while a graph is traced.
    got = f"a {type((odd or tensors)[0]).__name__}" if tensors else "a call"
    if _transforms() is not None:
        got = f"{got} inside a transform of torch.func"
    elif seen:
        got = f"{got} inside a dispatch mode or a trace"
    elif odd and type(odd[0]) in PLAIN:
        got = f"{got} without memory of its own"
    wanted = f"{name} must be a plain Tensor" if tensors else "a stream must be called"
    raise TypeError(f"{wanted} outside of graphs and modes, but got {got}: {_WAY_OUT}")


def _tuple(state: Tensor | State) -> State:
    return (state,) if isinstance(state, Tensor) else state
