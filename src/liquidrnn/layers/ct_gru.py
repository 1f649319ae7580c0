"""Continuous-time gated recurrent units with memories of several time scales (Mozer et al., 2017)."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.arguments import number, positive_int
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within


class CTGRU(RecurrentLayer):
    r"""Applies a CT-GRU to a sequence: a GRU whose gates choose time scales of memory.

    Each unit has a memory trace :math:`\hat h_i` for each of K fixed time scales
    :math:`\tilde\tau_i = \tilde\tau_0\, 10^{i/2}`. Traces decay between samples, each at its own rate. At a sample one
    gate says from which time scale the unit retrieves, the other to which it stores:

    .. math::
        \hat h_i &\leftarrow e^{-\Delta t / \tilde\tau_i}\, \hat h_i, \qquad h = \textstyle\sum_i \hat h_i \\
        r_i &= \operatorname{softmax}_i -(\ln \tau^R - \ln \tilde\tau_i)^2, \qquad
        \ln \tau^R = W_r u_t + U_r h + b_r \\
        s_i &= \operatorname{softmax}_i -(\ln \tau^S - \ln \tilde\tau_i)^2, \qquad
        \ln \tau^S = W_s u_t + U_s h + b_s \\
        q &= \tanh\big(W_q u_t + U_q \textstyle\sum_i r_i \odot \hat h_i + b_q\big) \\
        \hat h_i &\leftarrow (1 - s_i) \odot \hat h_i + s_i \odot q, \qquad h_t = \textstyle\sum_i \hat h_i

    A trace stays within 1, so a state stays within K. A zero span skips the decay, not the sample.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        scales: number of time scales, K.
        shortest: the shortest time scale, in the unit of ``timespans``; the others follow in steps of the root of 10.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` hold the traces, (..., K N), time scale by
        time scale. N units, M inputs: ``weight_ih`` (3 N, M), ``weight_hh`` (3 N, N) and ``bias`` (3 N,), in the order
        r, s, q, uniform in :math:`\pm N^{-1/2}`: as many parameters as a GRU.

    A trace (``return_trace=True``) holds "tau", the time scale to which a sample is stored,
    :math:`\exp \sum_i s_i \ln \tilde\tau_i`.

    Source: Mozer, Kazakov, Lindsey, Discrete Event, Continuous Time RNNs, 2017 (arXiv 1710.04110), the section on the
    CT-GRU. There a step ends with the decay until the next sample, here it begins with the decay since the last.
    Different in released code: in that of LTC traces decay by :math:`e^{-1/\ln \tilde\tau_i}`, whatever the span, and
    the first is erased at each sample; in that of ODE-LSTM each gate has parameters for each scale, K times as many,
    and a step ends with the decay over the time before its sample.

    Example:
        >>> layer = CTGRU(16, 32, batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape, h_n.shape
        (torch.Size([5, 100, 32]), torch.Size([1, 5, 256]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        scales: int = 8,
        shortest: float = 1.0,
        **stacking: Unpack[Stacking],
    ):
        hidden_size, scales = positive_int("hidden_size", hidden_size), positive_int("scales", scales)
        shortest = number("shortest", shortest, 1e-12, 1e12, "a positive number, a time scale")
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _CTGRURecurrence(width, hidden_size, scales, shortest, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _Scales(NamedTuple):
    """The time scales, each (scales, 1)."""

    tau: Tensor
    log_tau: Tensor


class _CTGRURecurrence(Recurrence):
    def __init__(self, input_size: int, hidden_size: int, scales: int, shortest: float, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes, self.state_names = (scales * hidden_size,), ("traces",)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.scales, self.shortest = scales, shortest
        uniform = partial(within, hidden_size**-0.5, **factory)
        self.weight_ih, self.weight_hh = uniform(3 * hidden_size, input_size), uniform(3 * hidden_size, hidden_size)
        self.bias = uniform(3 * hidden_size)

    def coefficients(self) -> _Scales:
        log_tau = [math.log(self.shortest) + i * math.log(10) / 2 for i in range(self.scales)]
        place = {"dtype": self.bias.dtype, "device": self.bias.device}
        tau = torch.tensor([math.exp(one) for one in log_tau], **place)
        return _Scales(tau.unsqueeze(-1), torch.tensor(log_tau, **place).unsqueeze(-1))

    def update(self, coefficients: Any, inputs: Inputs, state: State) -> State:
        return self.examine(coefficients, inputs, state)[0]

    def examine(self, coefficients: Any, inputs: Inputs, state: State) -> tuple[State, Trace]:
        tau, log_tau = coefficients
        units = self.hidden_size
        traces = state[0].unflatten(-1, (self.scales, units)) * torch.exp(-inputs.timespans.unsqueeze(-1) / tau)
        read, of_q = F.linear(inputs.values, self.weight_ih, self.bias).split((2 * units, units), -1)
        of_gates, to_q = self.weight_hh.split((2 * units, units))
        gates = (read + F.linear(_summed(traces), of_gates)).chunk(2, -1)
        # The square of the chosen scale is the same for all scales, and would overflow.
        r, s = (torch.softmax(log_tau * (2 * gate.unsqueeze(-2) - log_tau), -2) for gate in gates)
        q = torch.tanh(of_q + F.linear(_summed(r * traces), to_q))
        traces = (1 - s) * traces + s * q.unsqueeze(-2)
        return (traces.flatten(-2),), {"tau": torch.exp(_summed(s * log_tau))}

    def silenced(self, state: State, units: Tensor) -> State:
        traces = state[0].unflatten(-1, (self.scales, self.hidden_size))
        return (traces.index_fill(-1, units, 0.0).flatten(-2),)

    def output(self, inputs: Inputs, states: State) -> Tensor:
        """The sum over time scales."""
        return _summed(states[0].unflatten(-1, (self.scales, self.hidden_size)))


def _summed(traces: Tensor) -> Tensor:
    """The sum over time scales, (..., scales, units) to (..., units), added up in an order that no shape changes."""
    total, *others = traces.unbind(-2)
    for trace in others:
        total = total + trace
    return total
