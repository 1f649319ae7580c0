"""Continuous-time recurrent networks (Funahashi and Nakamura, 1993)."""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import nn

from liquidrnn.arguments import choice, positive_int
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import FusedRecurrence, Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, conductance, drawn, effective

Solver = Literal["semi_implicit", "euler", "heun", "rk4"]


class CTRNN(RecurrentLayer):
    r"""Applies a continuous-time recurrent network with fixed time constants to a sequence.

    .. math::
        \frac{dx}{dt} = -\frac{x}{\tau} + \tanh(W_{ih} u + b + W_{hh} x)

    A sample, held for the time :math:`\Delta t`, takes ``ode_unfolds`` steps of length :math:`\delta = \Delta t / L`.
    The semi-implicit step is stable for any :math:`\Delta t` and bounded by :math:`\max(|x(0)|, \tau)`:

    .. math::
        x \leftarrow \frac{x + \delta \tanh(W_{ih} u + b + W_{hh} x)}{1 + \delta / \tau}

    "euler", "heun" and "rk4" are explicit: more accurate if :math:`\delta` is well below :math:`\tau`, and divergent
    otherwise.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        solver: "semi_implicit", "euler", "heun" or "rk4".
        ode_unfolds: solver steps per sample, L.
        mixed_memory: pass the state through an LSTM cell first, see :class:`liquidrnn.recurrent.MixedMemory`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N units, M inputs: ``weight_ih`` (N, M), Xavier-uniform;
        ``weight_hh`` (N, N), orthogonal; ``bias`` (N,), 0; ``raw_tau`` (N,), effective 1, its softplus.

    A trace (``return_trace=True``) holds "tau", the same at every sample.

    Source: Funahashi and Nakamura, Approximation of dynamical systems by continuous time recurrent neural networks,
    Neural Networks 6, 1993, equation 1; semi-implicit step as LTC's (arXiv 2006.04439, algorithm 1); four steps per
    sample as in Lechner and Hasani 2020 (arXiv 2006.04418).

    Example:
        >>> layer = CTRNN(16, 32, batch_first=True)
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
        solver: Solver = "semi_implicit",
        ode_unfolds: int = 4,
        mixed_memory: bool = False,
        **stacking: Unpack[Stacking],
    ):
        choice("solver", solver, gated.reference.SOLVERS)
        ode_unfolds = positive_int("ode_unfolds", ode_unfolds)
        hidden_size = positive_int("hidden_size", hidden_size)
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _CTRNNRecurrence(width, hidden_size, solver, ode_unfolds, factory)

        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, **stacking)


class _CTRNNRecurrence(FusedRecurrence):
    operator = gated.operator

    def __init__(self, input_size: int, hidden_size: int, solver: Solver, ode_unfolds: int, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size,)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.solver, self.ode_unfolds = solver, ode_unfolds
        self.weight_ih = nn.Parameter(drawn(nn.init.xavier_uniform_, hidden_size, input_size, **factory))
        self.weight_hh = nn.Parameter(drawn(nn.init.orthogonal_, hidden_size, hidden_size, **factory))
        self.bias = nn.Parameter(torch.zeros(hidden_size, device=factory["device"], dtype=factory["dtype"]))
        self.raw_tau = conductance(hidden_size, 1.0, 1.0, "softplus", **factory)

    def coefficients(self) -> Cell:
        return Cell(
            self.weight_ih,
            self.weight_hh,
            self.bias,
            # Training can push it to zero.
            tau=effective(self.raw_tau, "softplus").clamp(min=1e-6),
            kind="CT_RNN",
            solver=self.solver,
            unfolds=self.ode_unfolds,
        )

    def explain(self, equation: Cell, inputs: Inputs, state: State) -> Trace:
        return gated.reference.explain(equation, inputs, state)
