"""Layers that read one sample after another, prepared once for it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from liquidrnn.arguments import described, positive_int
from liquidrnn.kernels.operator import Samples
from liquidrnn.recurrent import RecurrentLayer, State


class Stream:
    """A layer that reads one sample after another and keeps the state itself.

    For inference, where each sample is answered as it comes: a control loop, a monitor. What a layer prepares for every
    call (conductances, sorted synapses, checks) is done once, when the stream is made, from the parameters as they
    are then; later changes of the layer do not reach the stream. The numbers are those of
    :meth:`RecurrentLayer.step` in evaluation mode, bit for bit, without gradients.

    Args:
        layer: what to stream; neither bidirectional nor on another device than the CPU if it is to be fast.
        hx: initial state as :meth:`RecurrentLayer.forward` takes it, without batch if ``batch`` is None; None is zero.
        batch: how many sequences are read at once; None for samples without a batch axis.

    Raises:
        TypeError: ``layer`` is no layer of this library.
        ValueError: the layer is bidirectional, or ``hx`` has the wrong shape.

    Example:
        >>> layer = lr.LTC(3, lr.wirings.AutoNCP(12, outputs=2))
        >>> stream = lr.Stream(layer)
        >>> for sample in torch.randn(5, 3):
        ...     command = stream(sample, timespan=0.02)
        >>> command.shape
        torch.Size([2])
    """

    def __init__(self, layer: RecurrentLayer, hx: Tensor | State | None = None, batch: int | None = None):
        if not isinstance(layer, RecurrentLayer):
            raise TypeError(f"layer must be a RecurrentLayer, but got {type(layer).__name__}")
        if batch is not None:
            positive_int("batch", batch)
        if layer.num_directions == 2:
            raise ValueError("a stream reads forward in time, but the layer is bidirectional: build it without")
        parameter = next(layer.parameters())
        self._layer = layer._copied().eval().requires_grad_(False)
        self._kind = {"dtype": parameter.dtype, "device": parameter.device}
        self._batch, rows = batch, batch or 1
        self._shape = (layer.input_size,) if batch is None else (batch, layer.input_size)
        # What each level reads and writes, and its compiled stream.
        self._samples = [
            Samples(
                torch.zeros(rows, 1, recurrence.input_size, **self._kind),
                torch.zeros(rows, sum(recurrence.state_sizes), **self._kind),
                torch.zeros(rows, 1, **self._kind),
            )
            for recurrence in self._layer.recurrences
        ]
        levels = zip(self._layer.recurrences, self._samples, strict=True)
        compiled = [recurrence.stream(samples) for recurrence, samples in levels]
        found = [level for level in compiled if level is not None]
        self._compiled = found if len(found) == len(compiled) else None
        self._sizes = [(*self._shape[:-1], recurrence.output_size) for recurrence in self._layer.recurrences]
        self.reset(hx)

    @property
    def backend(self) -> str:
        """What runs it: "cpu" where every level is compiled for streams, else "reference"."""
        return "reference" if self._compiled is None else "cpu"

    @property
    def state(self) -> Tensor | State:
        """The state after the last sample, as the layer's ``h_n``."""
        sizes = self._layer.recurrences[0].state_sizes
        states = [samples.state.clone().split(sizes, -1) for samples in self._samples]
        return self._layer._final(states, self._batch is not None)

    def reset(self, hx: Tensor | State | None = None) -> None:
        """Begins another sequence, from ``hx`` or from zero."""
        parameter = next(self._layer.parameters())
        state = self._layer._state(hx, self._batch or 1, self._batch is not None, parameter)
        for samples, parts in zip(self._samples, zip(*state, strict=True), strict=True):
            samples.state.copy_(torch.cat(parts, -1))

    def __call__(self, input: Tensor, timespan: float = 1.0) -> Tensor:
        """The layer's output for the next sample.

        Args:
            input: (input_size,), or (batch, input_size) with a batch.
            timespan: time since the sample before, the same for all sequences.

        Returns:
            (output_size,) or (batch, output_size).

        Raises:
            TypeError: the input is no tensor; the span is no number.
            ValueError: the input has another shape or type than the layer's; the span is negative or not finite.
        """
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a Tensor of shape {self._shape}, but got {described(input)}")
        if input.shape != self._shape or input.dtype != self._kind["dtype"] or input.device != self._kind["device"]:
            raise ValueError(
                f"input must be {self._shape} of {self._kind['dtype']} on {self._kind['device']}, one sample as the "
                f"stream was made for, but got {described(input)} on {input.device}"
            )
        if isinstance(timespan, bool) or not isinstance(timespan, int | float):
            raise TypeError(f"timespan must be a number, for a stream has one clock, but got {described(timespan)}")
        if not 0 <= timespan < math.inf:
            raise ValueError(
                f"timespan must be finite and not negative, the time since the sample before, but got {timespan}"
            )
        if self._compiled is None:
            with torch.no_grad():
                output, state = self._layer.step(input, self.state, timespan)
            self.reset(state)
            return output
        x = input.detach().contiguous()
        for level, size in zip(self._compiled, self._sizes, strict=True):
            output = torch.empty(size, dtype=x.dtype)
            level.step(x.data_ptr(), timespan, output.data_ptr())
            x = output
        return x if self._layer.readout is None else self._layer.readout(x)

    def __repr__(self) -> str:
        """The layer, and what runs it."""
        return f"Stream({self._layer!r}, backend={self.backend!r})"
