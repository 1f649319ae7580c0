"""Converts a layer's arguments (sequences, time spans, masks, resets) to the library's internal form."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from liquidrnn.arguments import described, same_place
from liquidrnn.kernels.loop import Inputs
from liquidrnn.spans import Gaps, checked_spans


class Samples:
    """A batch of sequences in the internal layout.

    Args:
        input: (time, batch, input_size), (batch, time, input_size) if ``batch_first``, (time, input_size), or a
            ``PackedSequence``.
        timespans: a number, (time,), (batch, time[, 1]) in the layout of ``input``, a ``PackedSequence`` like
            ``input``, or None for 1 everywhere.
        mask: bool (batch, time[, input_size]) in the layout of ``input``, or None.
        reset: bool (time,) or (batch, time[, 1]) in the layout of ``input``, or packed like it, or None.
        input_size: features of one sample.
        batch_first: whether batch comes before time.
        parameter: a parameter of the layer, for its dtype and device.

    Attributes:
        values: (batch, time, input_size) in the dtype of the parameters, 0 where nothing was observed.
        observed: bool (batch, time, input_size), or None if every feature was.
        gaps: time between the samples that are present.
        batched: whether the input has a batch axis.
    """

    def __init__(
        self,
        input: Tensor | PackedSequence,
        timespans: Tensor | PackedSequence | float | None,
        mask: Tensor | None,
        reset: Tensor | PackedSequence | None,
        *,
        input_size: int,
        batch_first: bool,
        parameter: Tensor,
    ):
        self.packing = input if isinstance(input, PackedSequence) else None
        if mask is not None and (not isinstance(mask, Tensor) or mask.dtype != torch.bool):
            raise TypeError(f"mask must be a bool Tensor, True where observed, but got {described(mask)}")
        if isinstance(input, PackedSequence):
            self.places, self.lengths = _unpacking(input)
            batch, time = len(self.lengths), len(input.batch_sizes)
            data = input.data
            x = data.new_zeros(batch * time, *data.shape[1:]).index_copy(0, self.places, data)
            x = x.unflatten(0, (batch, time))
            x = x if batch_first else x.transpose(0, 1)
        else:
            x, self.lengths = input, None
        if isinstance(timespans, PackedSequence):
            timespans = self._unpacked("timespans", timespans, batch_first)
        if isinstance(reset, PackedSequence):
            reset = self._unpacked("reset", reset, batch_first)
        check_input(x, input_size, parameter, batch_first)
        self.batched = x.ndim == 3
        self.time_first = self.batched and not batch_first
        x = self._inner(x)
        self.batch, self.time, _ = x.shape
        shape = self.batch, self.time, 1
        spans = checked_spans("timespans", 1.0 if timespans is None else timespans, parameter, shape)
        if isinstance(timespans, Tensor) or not spans.ndim:
            spans = self._of_samples("timespans", spans, "a number, ")
        self.values, self.observed, present = self._observe(mask, x.to(parameter.dtype), parameter)
        self.gaps = Gaps(spans, present, self._begins(reset, parameter), parameter.dtype, padded=mask is None)

    def inputs(self, backward: bool) -> Inputs:
        """The input of a recurrence in one direction."""
        spans, present, reset = self.gaps.backward() if backward else self.gaps.forward()
        values, observed = self.values, self.observed
        if backward:
            values, observed = values.flip(1), None if observed is None else observed.flip(1)
        return Inputs(values, spans, present, observed, reset)

    def outer(self, tensor: Tensor) -> Tensor:
        """A (batch, time, ...) tensor in the layout of the input."""
        return tensor.transpose(0, 1) if self.time_first else tensor if self.batched else tensor.squeeze(0)

    def output(self, tensor: Tensor) -> Tensor | PackedSequence:
        """The layer's output in the layout of the input; packed, in the same row order, if that is packed."""
        if self.packing is None:
            return self.outer(tensor)
        data = tensor.flatten(0, 1).index_select(0, self.places)
        return PackedSequence(
            data, self.packing.batch_sizes, self.packing.sorted_indices, self.packing.unsorted_indices
        )

    def _inner(self, tensor: Tensor) -> Tensor:
        return tensor.transpose(0, 1) if self.time_first else tensor if self.batched else tensor.unsqueeze(0)

    def _unpacked(self, name: str, packed: PackedSequence, batch_first: bool) -> Tensor:
        if self.lengths is None:
            raise TypeError(f"{name} is a PackedSequence, so input must be one too, but it is a Tensor")
        values, lengths = pad_packed_sequence(packed, batch_first=batch_first)
        if not torch.equal(lengths, self.lengths):
            raise ValueError(
                f"{name} must be packed like input, with lengths {self.lengths.tolist()}, but have lengths "
                f"{lengths.tolist()}"
            )
        return values

    def _of_samples(self, name: str, given: Tensor, number: str = "") -> Tensor:
        """A value for each sample, (batch, time, 1), from a number, (time,) or the layout of the input."""
        batch, time, values = self.batch, self.time, given
        if values.ndim and values.shape[-1] == 1 and values.ndim == (3 if self.batched else 2):
            values = values.squeeze(-1)
        if values.ndim == 2:
            values = self._inner(values)
        # Compared one by one: in a graph one of two equal sizes may be a number and the other a symbol.
        fits = (0 if number else 1) <= values.ndim <= (2 if self.batched else 1)
        fits = fits and all(size == wanted for size, wanted in zip(values.shape[::-1], (time, batch), strict=False))
        if not fits:
            layout, shape = ("time, batch", (time, batch)) if self.time_first else ("batch, time", (batch, time))
            full = f"({time},), or ({layout}) = {shape}" if self.batched else f"({time},)"
            raise ValueError(
                f"{name} must be {number}(time,) = {full}, with or without a last axis of 1, but got {described(given)}"
            )
        return values.expand(batch, time).unsqueeze(-1)

    def _begins(self, reset: Tensor | None, parameter: Tensor) -> Tensor | None:
        """True where episodes begin, (batch, time, 1)."""
        if reset is None:
            return None
        if not isinstance(reset, Tensor) or reset.dtype != torch.bool:
            raise TypeError(f"reset must be a bool Tensor, True where an episode begins, but got {described(reset)}")
        same_place("reset", reset, parameter)
        return self._of_samples("reset", reset)

    def _observe(
        self, mask: Tensor | None, x: Tensor, parameter: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Input with 0 where unobserved; which features were observed; which samples are present, (batch, time, 1)."""
        present = None
        if self.lengths is not None:
            # A packed sequence's padding is absent; a mask may mark more.
            present = (torch.arange(self.time) < self.lengths.unsqueeze(1)).to(x.device).unsqueeze(-1)
        if mask is None:
            return x, None, present
        same_place("mask", mask, parameter)
        inner = self._inner(mask) if mask.ndim > 1 or not self.batched else mask
        if inner.shape == (self.batch, self.time):
            inner = inner.unsqueeze(-1)
        elif inner.shape != x.shape:
            axes = "(time" if not self.batched else "(time, batch" if self.time_first else "(batch, time"
            raise ValueError(
                f"mask must be {axes}) or {axes}, feature) like the input, here with {self.batch} sequences, "
                f"{self.time} samples and {x.shape[-1]} features, but got {described(mask)}"
            )
        there = inner.any(-1, keepdim=True)
        present = there if present is None else there & present
        return torch.where(inner, x, 0), inner.expand_as(x), present


def _unpacking(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """The index of each row of packed data in (batch * time), and the lengths of the sequences, on the CPU.

    Gradients of one selection of rows take a fraction of the time that those of torch's packing take.
    """
    sizes, order = packed.batch_sizes, packed.sorted_indices
    there = torch.arange(int(sizes[0])) < sizes.unsqueeze(1)
    time, row = there.nonzero(as_tuple=True)
    lengths = there.sum(0)
    if order is not None:
        order = order.cpu()
        row, lengths = order[row], torch.empty_like(lengths).index_copy(0, order, lengths)
    return (row * len(sizes) + time).to(packed.data.device), lengths


def check_input(input: object, input_size: int, parameter: Tensor, batch_first: bool) -> None:
    """Raises unless ``input`` is a tensor of sequences that a layer can read."""
    if not isinstance(input, Tensor):
        raise TypeError(f"input must be a Tensor or a PackedSequence, but got {type(input).__name__}")
    axes = f"(batch, time, {input_size})" if batch_first else f"(time, batch, {input_size})"
    if input.ndim not in (2, 3):
        raise ValueError(f"input must be {axes}, or (time, {input_size}) unbatched, but got {described(input)}")
    if input.shape[-1] != input_size:
        raise ValueError(
            f"input must be {axes}: {input_size} features on the last axis, as input_size says, but got "
            f"{described(input)}"
        )
    check_kind("input", input, parameter)


def check_kind(name: str, tensor: Tensor, parameter: Tensor) -> None:
    """Raises unless a tensor has the device and dtype of the parameters; under autocast any floating-point dtype."""
    same_place(name, tensor, parameter)
    if not tensor.is_floating_point():
        raise ValueError(
            f"{name} has dtype {tensor.dtype}, but must be floating-point: use {name}.to({parameter.dtype})"
        )
    if tensor.dtype != parameter.dtype and (tensor.is_meta or not torch.is_autocast_enabled(tensor.device.type)):
        raise ValueError(
            f"{name} has dtype {tensor.dtype}, but the layer's parameters have {parameter.dtype}: "
            f"use {name}.to({parameter.dtype}) or layer.to({tensor.dtype})"
        )
