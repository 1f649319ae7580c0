"""Recurrent networks whose state follows a learned differential equation between samples (Rubanova et al., 2019)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Unpack

from torch import Tensor

from liquidrnn.arguments import positive_int
from liquidrnn.flow import Flow, Solver, solver_of
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within

Method = Literal["euler", "heun", "rk4", "dopri5"]


class ODERNN(RecurrentLayer):
    r"""Applies an ODE-RNN to a sequence: a GRU whose state follows a learned differential equation between samples.

    From :math:`h_{t-1}`, the state after the previous sample, the state moves for the time :math:`\Delta t`, and a GRU
    then reads the sample:

    .. math::
        \frac{dx}{ds} &= f(x), \quad x(0) = h_{t-1}, \qquad \hat h = x(\Delta t) \\
        f(x) &= W_2 \tanh(W_1 x + b_1) + b_2 && \text{ode\_layers=1} \\
        r, z &= \sigma(W_{ir, iz} u_t + b_{ir, iz} + W_{hr, hz} \hat h + b_{hr, hz}) \\
        h_t &= (1 - z) \odot \tanh\big(W_{in} u_t + b_{in} + r \odot (W_{hn} \hat h + b_{hn})\big) + z \odot \hat h

    It is equivalent to this loop::

        for t in range(time):
            for _ in range(ode_unfolds):  # "heun" and "rk4" evaluate f two and four times per step
                h = h + timespan[t] / ode_unfolds * f(h)
            h = gru_cell(u[t], h)
            output[t] = h

    Every span is divided into ``ode_unfolds`` equal steps, however long it is, so sequences of a batch run together.
    These solvers are explicit: over spans that are long for :math:`f`, take more steps. "dopri5" chooses its steps so
    that their errors stay within a tolerance; it needs the package torchdiffeq (extra ``ode``), and a row of a batch
    depends on the others within that tolerance, as it shares their steps
    (:func:`liquidrnn.integrate.advance_adaptively`). Without an observation the state
    only moves, so an absent sample adds its span to the next. A zero span skips the equation, not the GRU. States have
    no bound: :math:`\hat h` is at most :math:`\Delta t \sup |f|` away from :math:`h_{t-1}`.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        ode_units: width of the hidden layers of f; None is ``hidden_size``.
        ode_layers: number of hidden layers of f.
        solver: "euler", "heun" or "rk4", with fixed steps, or "dopri5", which chooses them.
        ode_unfolds: solver steps per sample, if fixed; None is 4.
        rtol: relative tolerance of "dopri5"; None is 1e-3.
        atol: absolute tolerance of "dopri5"; None is 1e-4.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N units, M inputs: ``weight_ih`` (3 N, M), ``weight_hh``
        (3 N, N), ``bias_ih`` and ``bias_hh`` (3 N,) as in ``torch.nn.GRUCell``, uniform in :math:`\pm N^{-1/2}`;
        ``flow``, the network f: an ``nn.Sequential`` of ``nn.Linear`` and ``nn.Tanh``, with Xavier-normal weights, a
        tenth of that in the last, so that the state moves slowly at first, and biases of 0.

    A trace (``return_trace=True``) holds "gate", the update gate z, and "tau", :math:`-\Delta t / \ln z`, both of the
    GRU alone.

    Source: Rubanova, Chen, Duvenaud, Latent Ordinary Differential Equations for Irregularly-Sampled Time Series,
    NeurIPS 2019 (arXiv 1907.03907), section 3.1 and algorithm 1. f is a network with tanh and the solver Euler's, as in
    the authors' code; there f has two hidden layers or more, each gate of the GRU has a hidden layer, a standard
    deviation passes through the GRU beside the state, and the length of a step is 1/50 of the sequence's.

    Example:
        >>> layer = ODERNN(16, 32, batch_first=True)
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
        ode_units: int | None = None,
        ode_layers: int = 1,
        solver: Method = "euler",
        ode_unfolds: int | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        **stacking: Unpack[Stacking],
    ):
        hidden_size = positive_int("hidden_size", hidden_size)
        width_within = hidden_size if ode_units is None else positive_int("ode_units", ode_units)
        widths = (hidden_size, *[width_within] * positive_int("ode_layers", ode_layers), hidden_size)
        chosen = solver_of(solver, ode_unfolds, rtol, atol)
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _ODERNNRecurrence(width, widths, chosen, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _ODERNNRecurrence(Recurrence):
    def __init__(self, input_size: int, widths: tuple[int, ...], solver: Solver, factory: Factory):
        super().__init__()
        units = widths[0]
        self.input_size, self.hidden_size, self.output_size = input_size, units, units
        self.state_sizes = (units,)
        self.num_synapses = units * (input_size + units)
        self.solver = solver
        uniform = partial(within, units**-0.5, **factory)
        self.weight_ih, self.weight_hh = uniform(3 * units, input_size), uniform(3 * units, units)
        self.bias_ih, self.bias_hh = uniform(3 * units), uniform(3 * units)
        self.flow = Flow(widths, factory)

    @property
    def evaluations(self) -> int:
        """How often f is evaluated per sample; 0 if that depends on the data."""
        return self.solver.evaluations

    def coefficients(self) -> Cell:
        return Cell(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def update(self, coefficients: Any, inputs: Inputs, state: State) -> State:
        return gated.reference.gru(coefficients, inputs, self._moved(inputs, state))

    def examine(self, coefficients: Any, inputs: Inputs, state: State) -> tuple[State, Trace]:
        moved = self._moved(inputs, state)
        return (
            gated.reference.gru(coefficients, inputs, moved),
            gated.reference.explain(coefficients, inputs, moved),
        )

    def _moved(self, inputs: Inputs, state: State) -> tuple[Tensor]:
        """The state just before the sample."""
        return (self.solver.advance(self.flow, state[0], inputs.timespans),)
