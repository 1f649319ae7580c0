"""Continuous-time LSTMs, whose memory cells decay to learned targets (Mei and Eisner, 2017)."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.arguments import positive_int
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within


class CTLSTM(RecurrentLayer):
    r"""Applies a continuous-time LSTM to a sequence: between samples each memory cell decays to a target of its own.

    Over the time since the last sample cells decay at the rates that were set there, and the LSTM then reads the sample
    and sets cells, targets :math:`\bar c` and rates :math:`\delta`:

    .. math::
        c &= \bar c_{t-1} + (c_{t-1} - \bar c_{t-1}) \odot e^{-\delta_{t-1} \Delta t}, \qquad
        h = o_{t-1} \odot \tanh c \\
        i, f, o, \bar\imath, \bar f &= \sigma(W u_t + U h + b), \qquad z = \tanh(W_z u_t + U_z h + b_z), \qquad
        \delta_t = \operatorname{softplus}(W_\delta u_t + U_\delta h + b_\delta) \\
        c_t &= f \odot c + i \odot z, \qquad \bar c_t = \bar f \odot \bar c_{t-1} + \bar\imath \odot z, \qquad
        h_t = o_t \odot \tanh c_t

    Outputs stay within 1. A zero span skips the decay, not the sample.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are quadruples (cell, target, rate, output
        gate), each (..., N), since all that follows until the next sample depends on these. N units, M inputs:
        ``weight_ih`` (7 N, M), ``weight_hh`` (7 N, N) and ``bias`` (7 N,), in the order i, f, o, z, i of the target, f
        of the target, rate; uniform in :math:`\pm N^{-1/2}`.

    A trace (``return_trace=True``) holds "gate", the forget gate f, and "tau", :math:`1 / \delta_t`; its "state" is the
    cell.

    Source: Mei, Eisner, The Neural Hawkes Process, NeurIPS 2017 (arXiv 1612.09328), equations 5 to 7. In the code of
    ODE-LSTM only the output decays, over the time before the sample rather than after it: the next sample reads the
    cell as if no time had passed.

    Example:
        >>> layer = CTLSTM(16, 32, batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape, len(h_n)
        (torch.Size([5, 100, 32]), 4)
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, **stacking: Unpack[Stacking]):
        hidden_size = positive_int("hidden_size", hidden_size)
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _CTLSTMRecurrence(width, hidden_size, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _CTLSTMRecurrence(Recurrence):
    state_names = ("cell", "target", "rate", "output gate")

    def __init__(self, input_size: int, hidden_size: int, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size,) * 4
        self.num_synapses = hidden_size * (input_size + hidden_size)
        uniform = partial(within, hidden_size**-0.5, **factory)
        self.weight_ih, self.weight_hh = uniform(7 * hidden_size, input_size), uniform(7 * hidden_size, hidden_size)
        self.bias = uniform(7 * hidden_size)

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        return self.examine(coefficients, inputs, state)[0]

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        cell, target, rate, gate = state
        cell = target + (cell - target) * torch.exp(-rate * inputs.timespans)
        h = gate * torch.tanh(cell)
        logits = F.linear(inputs.values, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)
        write, forget, gate, candidate, write_target, forget_target, rate = logits.chunk(7, -1)
        candidate, forget = torch.tanh(candidate), torch.sigmoid(forget)
        cell = forget * cell + torch.sigmoid(write) * candidate
        target = torch.sigmoid(forget_target) * target + torch.sigmoid(write_target) * candidate
        rate = F.softplus(rate)
        return (cell, target, rate, torch.sigmoid(gate)), {"gate": forget, "tau": 1 / rate}

    def output(self, inputs: Inputs, states: State) -> Tensor:
        """The output gate times the squashed cell."""
        cell, _, _, gate = states
        return gate * torch.tanh(cell)
