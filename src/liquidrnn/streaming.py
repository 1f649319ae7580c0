"""Layers that read one sample after another, prepared once for it."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from liquidrnn.arguments import described, positive_int
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
        >>> layer = LTC(3, wirings.AutoNCP(12, outputs=2))
        >>> stream = Stream(layer)
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
        self._layer = copy.deepcopy(layer).eval().requires_grad_(False)
        self._dtype = parameter.dtype
        rows = 1 if batch is None else batch
        self._shape = (layer.input_size,) if batch is None else (batch, layer.input_size)
        self._batch = batch
        compiled = [recurrence.stream(rows) for recurrence in self._layer.recurrences]
        self._compiled = None if any(level is None for level in compiled) else compiled
        self.reset(hx)

    @property
    def backend(self) -> str:
        """What runs it: "cpu" where every level is compiled for streams, else "reference"."""
        return "reference" if self._compiled is None else "cpu"

    @property
    def state(self) -> Tensor | State:
        """The state after the last sample, as the layer's ``h_n``."""
        return self._state

    def reset(self, hx: Tensor | State | None = None) -> None:
        """Begins another sequence, from ``hx`` or from zero."""
        rows, batched = self._batch or 1, self._batch is not None
        parameter = next(self._layer.parameters())
        state = self._layer._state(hx, rows, batched, parameter)
        self._state = self._layer._final(list(zip(*(s.unbind() for s in state), strict=True)), batched)

    def __call__(self, input: Tensor, timespan: float = 1.0) -> Tensor:
        """The layer's output for the next sample.

        Args:
            input: (input_size,), or (batch, input_size) with a batch.
            timespan: time since the sample before, the same for all sequences.

        Returns:
            (output_size,) or (batch, output_size).

        Raises:
            ValueError: the input has another shape or type than the layer's; the span is negative or not finite.
        """
        if input.shape != self._shape or input.dtype != self._dtype:
            raise ValueError(
                f"input must be {self._shape} of {self._dtype}, one sample as the stream was made for, but got "
                f"{described(input)}"
            )
        if not 0 <= timespan < math.inf:
            raise ValueError(
                f"timespan must be finite and not negative, the time since the sample before, but got {timespan}"
            )
        with torch.no_grad():
            output, self._state = self._layer.step(input, self._state, timespan)
        return output

    def __repr__(self) -> str:
        """The layer, and what runs it."""
        return f"Stream({self._layer!r}, backend={self.backend!r})"
