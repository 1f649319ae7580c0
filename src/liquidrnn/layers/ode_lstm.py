"""LSTMs whose output state follows a learned differential equation over elapsed time (Lechner and Hasani, 2020)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Unpack

from liquidrnn.arguments import positive_int
from liquidrnn.flow import Flow, Solver, solver_of
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within

Method = Literal["euler", "heun", "rk4", "dopri5"]


class ODELSTM(RecurrentLayer):
    r"""Applies an ODE-LSTM to a sequence: an LSTM whose output state then follows a learned differential equation.

    .. math::
        (h', c_t) &= \mathrm{LSTM}(u_t, (h_{t-1}, c_{t-1})) \\
        \frac{dx}{ds} &= f(x), \quad x(0) = h', \qquad h_t = x(\Delta t), \qquad
        f(x) = W_2 \tanh(W_1 x + b_1) + b_2

    The memory cell c does not depend on time, so gradients pass through it over long times as in an LSTM. It is
    equivalent to this loop::

        for t in range(time):
            h, c = lstm_cell(u[t], (h, c))
            for _ in range(ode_unfolds):  # "heun" and "rk4" evaluate f two and four times per step
                h = h + timespan[t] / ode_unfolds * f(h)
            output[t] = h

    Every span is divided into ``ode_unfolds`` equal steps, however long it is. These solvers are explicit: over spans
    that are long for f, take more steps. "dopri5" chooses its steps so that their errors stay within a tolerance; it
    needs the package torchdiffeq (extra ``ode``), and a row of a batch depends on the others within that tolerance, as
    it shares their steps (:func:`liquidrnn.integrate.advance_adaptively`). A zero span skips the equation, not the
    LSTM. States have no bound.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        solver: "euler", "heun" or "rk4", with fixed steps, or "dopri5", which chooses them.
        ode_unfolds: solver steps per sample, if fixed; None is 4.
        rtol: relative tolerance of "dopri5"; None is 1e-3.
        atol: absolute tolerance of "dopri5"; None is 1e-4.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are pairs (h, c). N units, M inputs:
        ``weight_ih`` (4 N, M), ``weight_hh`` (4 N, N), ``bias_ih`` and ``bias_hh`` (4 N,) as in ``torch.nn.LSTMCell``,
        uniform in :math:`\pm N^{-1/2}`; ``flow``, the network f with N hidden units, a
        :class:`liquidrnn.flow.Flow`.

    A trace (``return_trace=True``) holds "gate", the forget gate, and "tau", :math:`-\Delta t / \ln(gate)`, both of the
    LSTM alone.

    Source: Lechner, Hasani, Learning Long-Term Dependencies in Irregularly-Sampled Time Series, 2020
    (arXiv 2006.04418), algorithm 1, with f as in the authors' PyTorch code, which takes three steps. There the adaptive
    solver perturbs the spans of a batch, and solves rows over one another's spans, since it reads its results by the
    order of the spans, not by their ranks. Their TensorFlow code is another model: the state before follows a CT-RNN
    that reads h'.

    Example:
        >>> layer = ODELSTM(16, 32, batch_first=True)
        >>> output, (h_n, c_n) = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        solver: Method = "euler",
        ode_unfolds: int | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        **stacking: Unpack[Stacking],
    ):
        hidden_size = positive_int("hidden_size", hidden_size)
        chosen = solver_of(solver, ode_unfolds, rtol, atol)
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _ODELSTMRecurrence(width, hidden_size, chosen, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _ODELSTMRecurrence(Recurrence):
    def __init__(self, input_size: int, hidden_size: int, solver: Solver, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size, hidden_size)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.solver = solver
        uniform = partial(within, hidden_size**-0.5, **factory)
        self.weight_ih, self.weight_hh = uniform(4 * hidden_size, input_size), uniform(4 * hidden_size, hidden_size)
        self.bias_ih, self.bias_hh = uniform(4 * hidden_size), uniform(4 * hidden_size)
        self.flow = Flow((hidden_size, hidden_size, hidden_size), factory)

    @property
    def evaluations(self) -> int:
        """How often f is evaluated per sample; 0 if that depends on the data."""
        return self.solver.evaluations

    def coefficients(self) -> Cell:
        return Cell(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, kind="LSTM")

    def update(self, coefficients: Any, inputs: Inputs, state: State) -> State:
        h, c = gated.reference.lstm(coefficients, inputs, state)
        return self.solver.advance(self.flow, h, inputs.timespans), c

    def examine(self, coefficients: Any, inputs: Inputs, state: State) -> tuple[State, Trace]:
        return self.update(coefficients, inputs, state), gated.reference.explain(coefficients, inputs, state)
