"""A layer without memory, as a control for recurrent ones."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.arguments import choice, positive_int
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within

Time = Literal["ignore", "append"] | None


class FeedForward(RecurrentLayer):
    r"""Applies the same layer to each sample alone: what a recurrent layer must beat to have made use of its memory.

    .. math::
        h_t = \tanh(W u_t + b)

    It has the interface of recurrent layers. Its state is its last output, which is read only where a sample is absent
    and the output before is repeated.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        time: how ``timespans`` are used: with None they are refused, with "ignore" they have no effect, with "append"
            the span is an additional input feature, the last one.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N units, M inputs, the span among them: ``weight`` (N, M) and
        ``bias`` (N,), uniform in :math:`\pm M^{-1/2}`.

    A trace (``return_trace=True``) holds the state alone.

    Source: Rumelhart, Hinton, Williams, Learning representations by back-propagating errors, Nature 1986.

    Example:
        >>> layer = FeedForward(16, 32, batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        time: Time = None,
        **stacking: Unpack[Stacking],
    ):
        hidden_size = positive_int("hidden_size", hidden_size)
        choice("time", time, ("ignore", "append", None))
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _WithoutMemory(width, hidden_size, time, factory)

        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time


class _WithoutMemory(Recurrence):
    # Whole sequences are one product, a sample another, which torch may sum in another order.
    exact = False

    def __init__(self, input_size: int, hidden_size: int, time: Time, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes, self.num_synapses = (hidden_size,), hidden_size * input_size
        self.uses_timespans, self.appends = time is not None, time == "append"
        width = input_size + self.appends
        self.weight, self.bias = (
            within(width**-0.5, *shape, **factory) for shape in ((hidden_size, width), (hidden_size,))
        )

    def _read(self, inputs: Inputs) -> Tensor:
        values = torch.cat([inputs.values, inputs.timespans], -1) if self.appends else inputs.values
        return torch.tanh(F.linear(values, self.weight, self.bias))

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        return (self._read(inputs),)

    def unroll(self, inputs: Inputs, state: State) -> tuple[State, State]:
        if inputs.present is not None or not inputs.values.shape[1]:
            return super().unroll(inputs, state)
        outputs = self._read(inputs)
        return (outputs,), (outputs[:, -1],)

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        return self.update(coefficients, inputs, state), {}
