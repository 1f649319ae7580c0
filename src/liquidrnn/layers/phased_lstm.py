"""LSTMs whose units open to the input for a part of their own cycle (Neil et al., 2016)."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from liquidrnn.arguments import number, positive_int, probability
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, effective, uniform, within


class PhasedLSTM(RecurrentLayer):
    r"""Applies a Phased LSTM to a sequence: each unit has a clock, which says when it is updated.

    With the time t since the sequence began, a unit's clock of period :math:`\tau` and shift s is at the phase
    :math:`\varphi`, and its time gate k is open for the share r of each period, the first half of it opening and the
    second closing:

    .. math::
        \varphi_t &= \frac{(t - s) \bmod \tau}{\tau}, \qquad k_t = \begin{cases}
        2 \varphi_t / r & \varphi_t < r / 2 \\ 2 - 2 \varphi_t / r & r / 2 \le \varphi_t < r \\
        \alpha \varphi_t & \text{otherwise} \end{cases} \\
        \tilde h, \tilde c &= \mathrm{LSTM}(u_t, (h_{t-1}, c_{t-1})), \qquad
        c_t = k_t \odot \tilde c + (1 - k_t) \odot c_{t-1}, \qquad h_t = k_t \odot \tilde h + (1 - k_t) \odot h_{t-1}

    A closed gate leaks by :math:`\alpha`, in training only, so that it has a gradient. A unit that is closed at every
    sample learns nothing from them, so periods should not be much longer than a sequence.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        periods: shortest and longest period at the start, in the unit of ``timespans``; drawn log-uniformly.
        open_share: share r of a period in which a gate is open, at the start.
        leak: :math:`\alpha`, in training.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are triples (h, c, clock), each (..., N);
        the clock is :math:`t / \tau` without its whole turns. N units, M inputs: ``weight_ih`` (4 N, M), ``weight_hh``
        (4 N, N), ``bias_ih`` and ``bias_hh`` (4 N,) as in ``torch.nn.LSTMCell``, uniform in :math:`\pm N^{-1/2}`;
        ``raw_period`` (N,), effective :math:`\tau`, its softplus; ``shift`` (N,), uniform in :math:`[0, \tau]`;
        ``raw_open`` (N,), effective r, its sigmoid.

    A trace (``return_trace=True``) holds "gate", the time gate k, and "tau", :math:`-\Delta t / \ln(1 - k (1 - f))`
    with the forget gate f.

    Source: Neil, Pfeiffer, Liu, Phased LSTM: Accelerating Recurrent Network Training for Long or Event-based
    Sequences, NeurIPS 2016 (arXiv 1610.09513), equations 6 to 10; the leak is in training only in the authors' code.
    The cell is torch's, without peepholes. Different in the code of ODE-LSTM: the rising gate is
    :math:`2 \varphi r`, so it never opens beyond :math:`r^2`; the phase is that of a span, not of the time; and all
    units share one period, shift and share.

    Example:
        >>> layer = PhasedLSTM(16, 32, batch_first=True)
        >>> output, (h_n, c_n, clock) = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        periods: tuple[float, float] = (1.0, 20.0),
        open_share: float = 0.05,
        leak: float = 0.001,
        **stacking: Unpack[Stacking],
    ):
        hidden_size = positive_int("hidden_size", hidden_size)
        if not isinstance(periods, tuple | list) or len(periods) != 2:
            raise TypeError(f"periods must be a pair, the shortest and the longest, but got {periods!r}")
        low, high = (number("periods", one, 1e-12, 1e12, "two positive numbers") for one in periods)
        if low > high:
            raise ValueError(f"periods must be the shortest and the longest, in this order, but got {periods!r}")
        open_share = number("open_share", open_share, 1e-6, 1 - 1e-6, "a share above 0 and below 1")
        leak = probability("leak", leak)
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _PhasedLSTMRecurrence(width, hidden_size, (low, high), open_share, leak, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _PhasedLSTMRecurrence(Recurrence):
    state_names = ("h", "c", "clock")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: tuple[float, float],
        open_share: float,
        leak: float,
        factory: Factory,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size,) * 3
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.leak = leak
        symmetric = partial(within, hidden_size**-0.5, **factory)
        self.weight_ih, self.weight_hh = symmetric(4 * hidden_size, input_size), symmetric(4 * hidden_size, hidden_size)
        self.bias_ih, self.bias_hh = symmetric(4 * hidden_size), symmetric(4 * hidden_size)
        low, high = map(math.log, periods)
        single: Factory = {**factory, "dtype": torch.float32}
        dtype = self.bias_ih.dtype
        period = uniform(hidden_size, low, high, **single).detach().exp()
        # The inverse of softplus; that of a long period is the period itself.
        self.raw_period = nn.Parameter((period + torch.log(-torch.expm1(-period))).to(dtype))
        self.shift = nn.Parameter((uniform(hidden_size, 0.0, 1.0, **single).detach() * period).to(dtype))
        logit = math.log(open_share) - math.log1p(-open_share)
        self.raw_open = nn.Parameter(torch.full_like(self.shift, logit).detach())

    def coefficients(self) -> tuple[Cell, Tensor, Tensor, Tensor]:
        # Training can push a period to zero.
        period = effective(self.raw_period, "softplus").clamp(min=1e-6)
        cell = Cell(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, kind="LSTM")
        return cell, 1 / period, self.shift / period, torch.sigmoid(self.raw_open)

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        (cell, pace, shift, share), (h, c, clock) = coefficients, state
        clock = _fraction(clock + inputs.timespans * pace)
        k = self._gate(_fraction(clock - shift), share)
        new_h, new_c = gated.reference.lstm(cell, inputs, (h, c))
        return k * new_h + (1 - k) * h, k * new_c + (1 - k) * c, clock

    def _gate(self, phase: Tensor, share: Tensor) -> Tensor:
        closed = phase * (self.leak if self.training else 0.0)
        risen = 2 * phase / share
        return torch.where(phase < share, torch.minimum(risen, 2 - risen), closed)

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        cell, _, shift, share = coefficients
        updated = self.update(coefficients, inputs, state)
        k = self._gate(_fraction(updated[2] - shift), share)
        forget = gated.reference.explain(cell, inputs, state[:2])["gate"]
        rate = -torch.log1p(-k * (1 - forget))
        return updated, {"gate": k, "tau": inputs.timespans / rate.clamp(min=torch.finfo(rate.dtype).tiny)}


def _fraction(turns: Tensor) -> Tensor:
    """Turns without the whole ones; unlike that of ``torch.frac``, the result is never negative."""
    return turns - turns.floor()
