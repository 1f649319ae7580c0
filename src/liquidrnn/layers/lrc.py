"""Saturated and liquid-capacitance networks (Farsang et al., 2024): STC, LRC and LRCU, one family."""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, positive_int
from liquidrnn.kernels import lrc
from liquidrnn.kernels.lrc import Equation, Neurons, Sigmoids
from liquidrnn.recurrence import Recurrence
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, Mapping, conductance, drawn, effective, uniform, wire
from liquidrnn.synaptic import SynapticRecurrence
from liquidrnn.wirings import Recipe, Wiring

Elastance = Literal["symmetric", "asymmetric", "constant"]
Solver = Literal["hybrid", "explicit"]


class LRC(RecurrentLayer):
    r"""Applies a liquid-resistance liquid-capacitance network to a sequence.

    As in a saturated network (:class:`STC`), the leak rate and the drive of a neuron are bounded functions of its
    synapses; a learned elastance :math:`\epsilon` (inverse capacitance), which depends on input and state, scales both:

    .. math::
        \frac{dx_i}{dt} &= \epsilon_i \big(-\sigma(f_i)\, x_i + v_i \tanh(g_i)\big) \\
        f_i &= g^{leak}_i + \sum_j w_{ij} s_{ij}, \qquad g_i = g^{leak}_i + \sum_j k_{ij} s_{ij}, \qquad
        s_{ij} = \sigma(\sigma_{ij}(y_j - \mu_{ij})) \\
        \epsilon_i &= \sigma(o_i) && \text{asymmetric} \\
        \epsilon_i &= \sigma(o_i + \kappa_i) - \sigma(o_i - \kappa_i), \quad \kappa_i \ge 0 && \text{symmetric} \\
        \epsilon_i &= \sigma(b_i) && \text{constant}

    with :math:`o` affine in the presynaptic values :math:`y_j`, the inputs and the states, :math:`w \ge 0` and
    :math:`k` of either sign. A constant elastance is a learned step size of each neuron, which starts at the mean of an
    asymmetric one, to see what its dependence on the input is worth. A sample takes ``ode_unfolds`` steps of length
    :math:`\delta = \Delta t / L`:

    .. math::
        \text{hybrid:}\quad x_i \leftarrow \frac{x_i + \delta \epsilon_i v_i \tanh g_i}{1 + \delta \epsilon_i
        \sigma(f_i)} \qquad
        \text{explicit:}\quad x_i \leftarrow x_i + \min(\delta \epsilon_i, 1)\,\big(-\sigma(f_i) x_i + v_i \tanh
        g_i\big)

    Both keep :math:`|x_i| \le \max(|x_i(0)|, 2 |v_i|)` for any :math:`\Delta t`: beyond :math:`\delta \epsilon = 1` an
    explicit step would overshoot its equilibrium, so its length is limited to that.

    Args:
        input_size: features of one sample.
        hidden_size: number of neurons, all connected; or a wiring, such as ``wirings.AutoNCP(32, outputs=4)``, whose
            polarity has no effect: k carries the sign.
        num_layers: layers stacked on one another, each with a wiring of its own.
        elastance: "symmetric", "asymmetric" or "constant".
        solver: "hybrid" (semi-implicit) or "explicit" (Euler).
        ode_unfolds: solver steps per sample, L.
        input_mapping: "affine" (learned scale and shift of each feature), "linear" (scale) or None.
        output_mapping: the same for each motor neuron.
        mixed_memory: pass the state through an LSTM cell first, see :class:`liquidrnn.recurrent.MixedMemory`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N neurons, M inputs, S internal and R sensory synapses: sigma,
        mu, raw_w (effective: its softplus), k and elastance weight o, each (S,) and (R,); raw_gleak, vleak and the
        elastance bias b (N,), 0 at the start; raw_kappa (N,) if symmetric, effective 1 at the start; maps as in LTC. A
        constant elastance has b alone. k starts as
        entries of an orthogonal matrix, o Xavier-uniform, the rest as in LTC.

    A trace (``return_trace=True``) holds "elastance" and "tau", :math:`1 / (\epsilon_i \sigma(f_i))`.

    Source: Farsang, Neubauer, Grosu, Liquid Resistance Liquid Capacitance Networks, 2024 (arXiv 2403.08791), and the
    authors' code. Different there: the elastance defaults to a constant, which makes it an STC; no limit on explicit
    steps.

    Example:
        >>> layer = LRC(16, 32, elastance="asymmetric", batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape, h_n.shape
        (torch.Size([5, 100, 32]), torch.Size([1, 5, 32]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Recipe | Wiring,
        num_layers: int = 1,
        *,
        elastance: Elastance = "symmetric",
        solver: Solver = "hybrid",
        ode_unfolds: int = 1,
        input_mapping: Mapping = "affine",
        output_mapping: Mapping = "affine",
        mixed_memory: bool = False,
        **stacking: Unpack[Stacking],
    ):
        choice("elastance", elastance, ("symmetric", "asymmetric", "constant"), "; without elastance use STC")
        build = _builder(hidden_size, elastance, solver, ode_unfolds, input_mapping, output_mapping, stacking)
        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, **stacking)


class LRCU(RecurrentLayer):
    r"""Applies a network of liquid-resistance liquid-capacitance units to a sequence.

    The unit is an :class:`LRC` with one explicit Euler step per sample, a gated recurrent unit with the elastance as
    its update gate:

    .. math::
        x_i \leftarrow x_i + \min(\Delta t\,\epsilon_i, 1)\,\big(-\sigma(f_i)\, x_i + v_i \tanh(g_i)\big)

    Args:
        input_size: features of one sample.
        hidden_size: number of neurons, all connected; or a wiring, see :class:`LRC`.
        num_layers: layers stacked on one another, each with a wiring of its own.
        elastance: "symmetric", "asymmetric" or "constant", see :class:`LRC`.
        input_mapping: "affine" (learned scale and shift of each feature), "linear" (scale) or None.
        output_mapping: the same for each motor neuron.
        mixed_memory: pass the state through an LSTM cell first, see :class:`liquidrnn.recurrent.MixedMemory`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        As :class:`LRC`, whose trace it also has.

    Source: Farsang, Neubauer, Grosu, Liquid Resistance Liquid Capacitance Networks, 2024 (arXiv 2403.08791), section on
    LRC units; there :math:`\Delta t = 1` always.

    Example:
        >>> layer = LRCU(16, 32, batch_first=True)
        >>> output, h_n, trace = layer(torch.randn(5, 100, 16), return_trace=True)
        >>> trace["elastance"].shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Recipe | Wiring,
        num_layers: int = 1,
        *,
        elastance: Elastance = "symmetric",
        input_mapping: Mapping = "affine",
        output_mapping: Mapping = "affine",
        mixed_memory: bool = False,
        **stacking: Unpack[Stacking],
    ):
        choice("elastance", elastance, ("symmetric", "asymmetric", "constant"), "; without elastance use STC")
        build = _builder(hidden_size, elastance, "explicit", 1, input_mapping, output_mapping, stacking)
        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, **stacking)


class STC(RecurrentLayer):
    r"""Applies a saturated liquid time-constant network to a sequence.

    .. math::
        \frac{dx_i}{dt} = -\sigma(f_i)\, x_i + v_i \tanh(g_i)

    with :math:`f, g` and the solvers as in :class:`LRC`, whose elastance is 1 here.

    Args:
        input_size: features of one sample.
        hidden_size: number of neurons, all connected; or a wiring, see :class:`LRC`.
        num_layers: layers stacked on one another, each with a wiring of its own.
        solver: "hybrid" (semi-implicit) or "explicit" (Euler), see :class:`LRC`.
        ode_unfolds: solver steps per sample.
        input_mapping: "affine" (learned scale and shift of each feature), "linear" (scale) or None.
        output_mapping: the same for each motor neuron.
        mixed_memory: pass the state through an LSTM cell first, see :class:`liquidrnn.recurrent.MixedMemory`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        As :class:`LRC`, without the elastance's parameters.

    A trace (``return_trace=True``) holds "tau", :math:`1 / \sigma(f_i)`.

    Source: Farsang, Lechner, Lung, Hasani, Rus, Grosu, Learning with Chemical versus Electrical Synapses: Does it
    Make a Difference?, 2024 (arXiv 2401.08602).

    Example:
        >>> layer = STC(16, 32, batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Recipe | Wiring,
        num_layers: int = 1,
        *,
        solver: Solver = "hybrid",
        ode_unfolds: int = 1,
        input_mapping: Mapping = "affine",
        output_mapping: Mapping = "affine",
        mixed_memory: bool = False,
        **stacking: Unpack[Stacking],
    ):
        build = _builder(hidden_size, None, solver, ode_unfolds, input_mapping, output_mapping, stacking)
        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, **stacking)


def _builder(
    hidden_size: int | Recipe | Wiring,
    elastance: Elastance | None,
    solver: Solver,
    ode_unfolds: int,
    input_mapping: Mapping,
    output_mapping: Mapping,
    stacking: Stacking,
):
    choice("solver", solver, ("hybrid", "explicit"))
    ode_unfolds = positive_int("ode_unfolds", ode_unfolds)
    factory = factory_of(stacking)

    def build(width: int) -> Recurrence:
        graph = wire(hidden_size, width, factory["generator"])
        return _LRCRecurrence(graph, elastance, solver, ode_unfolds, input_mapping, output_mapping, factory)

    return build


class _LRCRecurrence(SynapticRecurrence):
    operator = lrc.operator

    def __init__(
        self,
        wiring: Wiring,
        elastance: Elastance | None,
        solver: Solver,
        ode_unfolds: int,
        input_mapping: Mapping,
        output_mapping: Mapping,
        factory: Factory,
    ):
        super().__init__(wiring, input_mapping, output_mapping, "softplus", factory)
        self.elastance, self.solver, self.ode_unfolds = elastance, solver, ode_unfolds
        senses = elastance in ("symmetric", "asymmetric")
        self.of_synapses = ("raw_{}w", "{}k", *(["{}o"] if senses else []))
        self.connect(factory)
        for prefix, synapses in (("", self.synapses), ("sensory_", self.sensory_synapses)):
            matrix = drawn(nn.init.orthogonal_, synapses.sources, synapses.neurons, **factory)
            stored = conductance(len(synapses), 0.001, 1.0, "softplus", **factory)
            self.register_parameter(f"raw_{prefix}w", stored)
            self.register_parameter(f"{prefix}k", nn.Parameter(matrix[synapses.pre, synapses.post]))
            bound = (6 / (wiring.input_size + 2 * wiring.units)) ** 0.5
            o = uniform(len(synapses), -bound, bound, **factory) if senses else None
            self.register_parameter(f"{prefix}o", o)
        place = {"device": factory["device"], "dtype": factory["dtype"]}
        self.elastance_bias = nn.Parameter(torch.zeros(wiring.units, **place)) if elastance else None
        symmetric = elastance == "symmetric"
        self.raw_kappa = conductance(wiring.units, 1.0, 1.0, "softplus", **factory) if symmetric else None

    def coefficients(self) -> Equation:
        kappa = None if self.raw_kappa is None else effective(self.raw_kappa, "softplus")
        w, sensory_w, o, sensory_o = self.w, self.sensory_w, self.o, self.sensory_o
        if self.elastance == "constant":
            o, sensory_o = torch.zeros_like(w), torch.zeros_like(sensory_w)
        return Equation(
            Neurons(effective(self.raw_gleak, "softplus"), self.vleak, self.elastance_bias, kappa),
            Sigmoids(*self.opening(self.synapses), w, self.k, o),  # type: ignore[arg-type]
            Sigmoids(*self.opening(self.sensory_synapses), sensory_w, self.sensory_k, sensory_o),  # type: ignore[arg-type]
            self.solver == "explicit",
            self.ode_unfolds,
        )

    def rates(self, equation: Equation, values: Tensor, v: Tensor) -> dict[str, Tensor]:
        neurons = equation.neurons
        held = lrc.reference.received(lrc.reference.resting(neurons), equation.sensory, values)
        leak, _, elastance = lrc.reference.rates(lrc.reference.received(held, equation.internal, v), neurons)
        return {"tau": 1 / leak} if elastance is None else {"tau": 1 / (elastance * leak), "elastance": elastance}
