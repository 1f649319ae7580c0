"""Minimal gated networks, which run in parallel over time (Feng et al., 2024): minGRU and minLSTM."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.arguments import choice, positive_int
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within

Time = Literal["ignore", "append"] | None


class MinGRU(RecurrentLayer):
    r"""Applies a minGRU to a sequence: a GRU whose gate and candidate do not read the state.

    .. math::
        z_t = \sigma(W_z u_t + b_z), \qquad \tilde h_t = g(W_h u_t + b_h), \qquad
        h_t = (1 - z_t) \odot h_{t-1} + z_t \odot \tilde h_t \\
        g(x) = x + \tfrac12 \text{ if } x \ge 0, \text{ else } \sigma(x)

    So the state is linear in the state before, and :meth:`forward` computes all samples of a sequence at once, by a
    parallel scan: :math:`\log_2` T rounds of products and sums of whole sequences. The paper scans logarithms, since
    its formula divides by products of gates, which underflow; this scan does not divide. :meth:`step` reads one sample
    after another, and agrees with it to rounding. A state is a weighted mean of the state before and a positive
    candidate, so it stays between the least and the largest of the initial state and the candidates.

    ``time`` says how ``timespans`` are used, since the equation has no time:

    - None: not at all; passing ``timespans``, or ``timespan`` to a step, is an error.
    - "ignore": not at all; ``timespans`` is accepted and has no effect.
    - "append": the span is an additional input feature, the last one.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        time: how ``timespans`` are used: None, "ignore" or "append".
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N units, M inputs, the span included: ``weight`` (2 N, M) and
        ``bias`` (2 N,), in the order z, candidate, uniform in :math:`\pm M^{-1/2}`.

    A trace (``return_trace=True``) holds "gate", z, and "tau", :math:`-\Delta t / \ln(1 - z)`.

    Source: Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, Were RNNs All We Needed?, 2024 (arXiv 2410.01201), section 3.1
    and appendix B. The experiments there put an expansion, a projection, and sometimes a convolution around the layer.

    Example:
        >>> layer = MinGRU(16, 32, time="append", batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
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
        build = _builder(_MinGRURecurrence, hidden_size, time, stacking)
        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time


class MinLSTM(RecurrentLayer):
    r"""Applies a minLSTM to a sequence: an LSTM whose gates and candidate do not read the state.

    .. math::
        f_t &= \sigma(W_f u_t + b_f), \qquad i_t = \sigma(W_i u_t + b_i), \qquad \tilde h_t = g(W_h u_t + b_h) \\
        h_t &= \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot \tilde h_t

    with :math:`g`, ``time``, bounds and the parallel scan as in :class:`MinGRU`. There is no memory cell beside the
    state.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        time: how ``timespans`` are used, see :class:`MinGRU`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        As :class:`MinGRU`, with ``weight`` (3 N, M) and ``bias`` (3 N,) in the order f, i, candidate.

    A trace (``return_trace=True``) holds "gate", :math:`f / (f + i)`, and "tau", :math:`-\Delta t / \ln(gate)`.

    Source: Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, Were RNNs All We Needed?, 2024 (arXiv 2410.01201), section 3.2
    and appendix B. In the package minGRU-pytorch a sequence that continues a state reads :math:`g(h_0)` in its place.

    Example:
        >>> layer = MinLSTM(16, 32, batch_first=True)
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
        build = _builder(_MinLSTMRecurrence, hidden_size, time, stacking)
        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time


def _builder(kind: type[_LinearRecurrence], hidden_size: int, time: Time, stacking: Stacking):
    hidden_size = positive_int("hidden_size", hidden_size)
    choice("time", time, ("ignore", "append", None))
    factory = factory_of(stacking)

    def build(width: int) -> Recurrence:
        return kind(width, hidden_size, time, factory)

    return build


class _LinearRecurrence(Recurrence):
    """A state that is linear in the state before, with factors that depend on the sample alone."""

    exact = False
    rows: ClassVar[int]

    def __init__(self, input_size: int, hidden_size: int, time: Time, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size,)
        self.num_synapses = hidden_size * input_size
        self.uses_timespans, self.appends = time is not None, time == "append"
        width = input_size + self.appends
        self.weight, self.bias = (
            within(width**-0.5, *shape, **factory)
            for shape in ((self.rows * hidden_size, width), (self.rows * hidden_size,))
        )

    def logit(self, gates: list[Tensor]) -> Tensor:
        """The logit of the share of the state that is kept, from all rows but the candidate's."""
        raise NotImplementedError

    def _read(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The logit of the share that is kept, and the candidate."""
        values = torch.cat([inputs.values, inputs.timespans], -1) if self.appends else inputs.values
        *gates, candidate = F.linear(values, self.weight, self.bias).chunk(self.rows, -1)
        # Not torch.where(): in its branch that is not taken a sigmoid of a large number has the gradient NaN.
        return self.logit(gates), F.relu(candidate) + torch.sigmoid(candidate.clamp(max=0))

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        kept, candidate = self._read(inputs)
        return (torch.sigmoid(kept) * state[0] + torch.sigmoid(-kept) * candidate,)

    def unroll(self, inputs: Inputs, state: State) -> tuple[State, State]:
        if not inputs.values.shape[1] or isinstance(inputs.values.shape[1], torch.SymInt):
            # A graph for sequences of any length has no number of rounds.
            return super().unroll(inputs, state)
        kept, candidate = self._read(inputs)
        factors, terms = torch.sigmoid(kept), torch.sigmoid(-kept) * candidate
        if inputs.present is not None:
            factors, terms = torch.where(inputs.present, factors, 1), torch.where(inputs.present, terms, 0)
        if inputs.reset is not None:
            factors = torch.where(inputs.reset, 0, factors)
        factors, terms = scan(factors, terms)
        states = factors * state[0].unsqueeze(1) + terms
        return (states,), (states[:, -1],)


class _MinGRURecurrence(_LinearRecurrence):
    rows = 2

    def logit(self, gates: list[Tensor]) -> Tensor:
        return -gates[0]

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        kept, _ = self._read(inputs)
        trace = {"gate": torch.sigmoid(-kept), "tau": inputs.timespans / F.softplus(-kept)}
        return self.update(coefficients, inputs, state), trace


class _MinLSTMRecurrence(_LinearRecurrence):
    rows = 3

    def logit(self, gates: list[Tensor]) -> Tensor:
        f, i = gates
        # f / (f + i) is the sigmoid of the difference of their logarithms.
        return F.softplus(-i) - F.softplus(-f)

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        kept, _ = self._read(inputs)
        trace = {"gate": torch.sigmoid(kept), "tau": inputs.timespans / F.softplus(-kept)}
        return self.update(coefficients, inputs, state), trace


def scan(factors: Tensor, terms: Tensor) -> tuple[Tensor, Tensor]:
    """All prefixes of the maps h -> factor * h + term, composed over time.

    Each round composes every map with the one ``reach`` samples before, so that it then covers twice as many samples.

    Args:
        factors: (batch, time, units).
        terms: (batch, time, units).

    Returns:
        Factors and terms of the composed maps: the state after sample t is ``factors[:, t] * h_0 + terms[:, t]``.

    Source: Hillis and Steele, Data parallel algorithms, Communications of the ACM 29, 1986.
    """
    reach = 1
    while reach < factors.shape[1]:
        later = factors[:, reach:]
        terms = torch.cat([terms[:, :reach], terms[:, reach:] + later * terms[:, :-reach]], 1)
        factors = torch.cat([factors[:, :reach], later * factors[:, :-reach]], 1)
        reach *= 2
    return factors, terms
