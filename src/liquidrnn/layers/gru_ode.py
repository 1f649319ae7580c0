"""Continuous gated recurrent units (De Brouwer et al., 2019)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.arguments import flag, positive_int
from liquidrnn.flow import Solver, solver_of
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State, implicit_step
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within

Method = Literal["semi_implicit", "euler", "heun", "rk4", "dopri5"]


class GRUODE(RecurrentLayer):
    r"""Applies a GRU-ODE to a sequence: the differential equation of which a GRU is one Euler step.

    .. math::
        \frac{dh}{dt} &= (1 - z) \odot (g - h) \\
        r, z &= \sigma(W_{r, z} u_t + U_{r, z} h + b_{r, z}), \qquad g = \tanh(W_g u_t + U_g (r \odot h) + b_g)

    A sample, held for the time :math:`\Delta t`, takes ``ode_unfolds`` steps of length :math:`\delta = \Delta t / L`.
    The semi-implicit step moves the state to a weighted mean of itself and g, so :math:`|h| \le \max(|h(0)|, 1)` for
    any :math:`\Delta t`, as in the exact solution:

    .. math::
        h \leftarrow \frac{h + \delta (1 - z) \odot g}{1 + \delta (1 - z)}

    "euler", "heun" and "rk4" are explicit: more accurate if :math:`\delta` is well below 1, and divergent otherwise.
    "dopri5" chooses its steps so that their errors stay within a tolerance; it needs the package torchdiffeq (extra
    ``ode``), and a row of a batch depends on the others within that tolerance, as it shares their steps
    (:func:`liquidrnn.integrate.advance_adaptively`).

    **With jumps** the equation does not read the input (the terms :math:`W u` are absent). The state follows it over
    the time since the last sample, and a GRU as in ``torch.nn.GRU`` then reads the sample. This is GRU-ODE-Bayes
    without its probabilities; a zero span skips the equation, not the sample.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        jumps: whether a GRU reads each sample, instead of the equation.
        solver: "semi_implicit", "euler", "heun" or "rk4", with fixed steps, or "dopri5", which chooses them.
        ode_unfolds: solver steps per sample, L, if fixed; None is 4.
        rtol: relative tolerance of "dopri5"; None is 1e-3.
        atol: absolute tolerance of "dopri5"; None is 1e-4.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N units, M inputs: of the equation ``flow_ih`` (3 N, M), unless
        there are jumps, ``flow_hh`` (3 N, N) and ``flow_bias`` (3 N,), in the order r, z, g; with jumps also
        ``weight_ih`` (3 N, M), ``weight_hh`` (3 N, N), ``bias_ih`` and ``bias_hh`` (3 N,) as in ``torch.nn.GRUCell``.
        All uniform in :math:`\pm N^{-1/2}`.

    A trace (``return_trace=True``) holds "gate", z, and "tau", :math:`1 / (1 - z)`, at the state before the sample;
    with jumps the update gate of the GRU, and :math:`-\Delta t / \ln z`.

    Source: De Brouwer, Simm, Arany, Moreau, GRU-ODE-Bayes: Continuous Modeling of Sporadically-Observed Time Series,
    NeurIPS 2019 (arXiv 1905.12374), the sections on GRU-ODE and on GRU-Bayes. In the authors' code the
    default cell gates the state with z in place of r, and the equation without input has no biases. There a GRU reads
    each observed value with the mean and variance that the network predicted for it.

    Example:
        >>> layer = GRUODE(16, 32, batch_first=True)
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
        jumps: bool = False,
        solver: Method = "semi_implicit",
        ode_unfolds: int | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        **stacking: Unpack[Stacking],
    ):
        hidden_size, jumps = positive_int("hidden_size", hidden_size), flag("jumps", jumps)
        chosen = solver_of(solver, ode_unfolds, rtol, atol, own=("semi_implicit",))
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _GRUODERecurrence(width, hidden_size, jumps, chosen, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _Pull(NamedTuple):
    """Rate at which the state approaches a target, and the target, each (batch, units)."""

    rate: Tensor
    target: Tensor


class _GRUODERecurrence(Recurrence):
    def __init__(self, input_size: int, hidden_size: int, jumps: bool, solver: Solver, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size,)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.jumps, self.solver = jumps, solver
        uniform = partial(within, hidden_size**-0.5, **factory)
        rows = 3 * hidden_size
        self.flow_ih = None if jumps else uniform(rows, input_size)
        self.flow_hh, self.flow_bias = uniform(rows, hidden_size), uniform(rows)
        self.weight_ih, self.weight_hh = (
            (uniform(rows, input_size), uniform(rows, hidden_size)) if jumps else (None,) * 2
        )
        self.bias_ih, self.bias_hh = (uniform(rows), uniform(rows)) if jumps else (None, None)

    def coefficients(self) -> tuple[Any, ...]:
        if self.weight_ih is None or self.weight_hh is None:
            return ()
        return Cell(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def update(self, coefficients: Any, inputs: Inputs, state: State) -> State:
        moved = self._moved(inputs, state[0])
        return gated.reference.gru(coefficients, inputs, (moved,)) if self.jumps else (moved,)

    def examine(self, coefficients: Any, inputs: Inputs, state: State) -> tuple[State, Trace]:
        if not self.jumps:
            rate = self._pull(self._drive(inputs), state[0]).rate
            return self.update(coefficients, inputs, state), {"gate": 1 - rate, "tau": 1 / rate}
        moved = (self._moved(inputs, state[0]),)
        trace = gated.reference.explain(coefficients, inputs, moved)
        return gated.reference.gru(coefficients, inputs, moved), trace

    def _drive(self, inputs: Inputs) -> Tensor:
        """What the gates and the target read besides the state."""
        return self.flow_bias if self.flow_ih is None else F.linear(inputs.values, self.flow_ih, self.flow_bias)

    def _pull(self, drive: Tensor, h: Tensor) -> _Pull:
        units = self.hidden_size
        of_gates, of_target = self.flow_hh.split((2 * units, units))
        gates, target = drive.split((2 * units, units), -1)
        reset, update = (gates + F.linear(h, of_gates)).chunk(2, -1)
        return _Pull(torch.sigmoid(-update), torch.tanh(target + F.linear(torch.sigmoid(reset) * h, of_target)))

    def _moved(self, inputs: Inputs, h: Tensor) -> Tensor:
        """The state after the span of the sample."""
        drive = self._drive(inputs)
        if self.solver.name == "semi_implicit":
            delta = implicit_step(inputs.timespans, self.solver.unfolds)
            for _ in range(self.solver.unfolds):
                rate, target = self._pull(drive, h)
                # As a change: exact if delta is 0.
                h = h + delta * rate * (target - h) / (1 + delta * rate)
            return h

        def slope(h: Tensor) -> Tensor:
            rate, target = self._pull(drive, h)
            return rate * (target - h)

        return self.solver.advance(slope, h, inputs.timespans)
