"""Coupled oscillatory recurrent networks (Rusch and Mishra, 2021)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.arguments import choice, number, positive_int
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within

Solver = Literal["implicit", "explicit"]


class CoRNN(RecurrentLayer):
    r"""Applies a coRNN to a sequence: damped oscillators that drive each other.

    .. math::
        y'' = \tanh(W y + \mathcal W y' + V u + b) - \gamma y - \varepsilon y'

    A sample, held for the time :math:`\Delta t`, takes ``ode_unfolds`` steps of length
    :math:`\delta = \mathrm{dt}\, \Delta t / L`. With :math:`z = y'` and :math:`f = \tanh(\ldots)` at the step's start,

    .. math::
        \text{implicit:}\quad z &\leftarrow \frac{z + \delta (f - \gamma y)}{1 + \delta \varepsilon + \delta^2 \gamma},
        \qquad y \leftarrow y + \delta z \\
        \text{explicit:}\quad z &\leftarrow z + \delta (f - \gamma y - \varepsilon z), \qquad y \leftarrow y + \delta z

    The implicit step solves all but f implicitly. States are bounded for any :math:`\Delta t`, since f is, but long
    steps damp the oscillations. The explicit step is the paper's, and diverges if :math:`\delta` is long compared with
    the period :math:`2 \pi / \sqrt\gamma`.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        dt: time of the oscillators in one unit of ``timespans``.
        gamma: :math:`\gamma`, the square of the frequency.
        epsilon: :math:`\varepsilon`, the damping.
        solver: "implicit" or "explicit".
        ode_unfolds: solver steps per sample, L.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are pairs (y, z). N units, M inputs:
        ``weight_ih`` (N, M), ``weight_hh`` (N, N), of y, ``weight_zh`` (N, N), of z, and ``bias`` (N,), uniform in
        :math:`\pm (M + 2 N)^{-1/2}`.

    A trace (``return_trace=True``) holds "tau", :math:`2 / (\mathrm{dt}\, \varepsilon)`, in which undriven oscillations
    fade.

    Source: Rusch, Mishra, Coupled Oscillatory Recurrent Neural Network (coRNN): An accurate and (gradient) stable
    architecture for learning long time dependencies, ICLR 2021 (arXiv 2010.00951), equations 1 to 3, with damping at
    the step's start as in the authors' code, and dt, gamma and epsilon of their script for sequential MNIST; there
    each sample takes one step, whatever its span.

    Example:
        >>> layer = CoRNN(16, 32, batch_first=True)
        >>> output, (y_n, z_n) = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dt: float = 0.042,
        gamma: float = 2.7,
        epsilon: float = 4.7,
        solver: Solver = "implicit",
        ode_unfolds: int = 1,
        **stacking: Unpack[Stacking],
    ):
        hidden_size, ode_unfolds = positive_int("hidden_size", hidden_size), positive_int("ode_unfolds", ode_unfolds)
        dt = number("dt", dt, 1e-12, 1e12, "a positive number")
        gamma, epsilon = (
            number(name, value, 1e-6, 1e6, "a positive number")
            for name, value in (("gamma", gamma), ("epsilon", epsilon))
        )
        choice("solver", solver, ("implicit", "explicit"))
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _CoRNNRecurrence(width, hidden_size, (dt, gamma, epsilon), solver, ode_unfolds, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _CoRNNRecurrence(Recurrence):
    state_names = ("y", "z")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        constants: tuple[float, float, float],
        solver: Solver,
        ode_unfolds: int,
        factory: Factory,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size, hidden_size)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.dt, self.gamma, self.epsilon = constants
        self.solver, self.ode_unfolds = solver, ode_unfolds
        uniform = partial(within, (input_size + 2 * hidden_size) ** -0.5, **factory)
        self.weight_ih, self.weight_hh = uniform(hidden_size, input_size), uniform(hidden_size, hidden_size)
        self.weight_zh, self.bias = uniform(hidden_size, hidden_size), uniform(hidden_size)

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        y, z = state
        drive = F.linear(inputs.values, self.weight_ih, self.bias)
        delta = self.dt / self.ode_unfolds * inputs.timespans
        for _ in range(self.ode_unfolds):
            force = torch.tanh(drive + F.linear(y, self.weight_hh) + F.linear(z, self.weight_zh)) - self.gamma * y
            z = self._velocity(force, z, delta)
            y = y + delta * z
        return y, z

    def _velocity(self, force: Tensor, z: Tensor, delta: Tensor) -> Tensor:
        if self.solver == "explicit":
            return z + delta * (force - self.epsilon * z)
        return (z + delta * force) / (1 + delta * (self.epsilon + delta * self.gamma))

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        tau = torch.full_like(state[0], 2 / (self.dt * self.epsilon))
        return self.update(coefficients, inputs, state), {"tau": tau}
