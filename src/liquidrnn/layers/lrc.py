"""Saturated and liquid-capacitance networks (Farsang et al., 2024): STC, LRC and LRCU, one family."""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, positive_int
from liquidrnn.kernels import chosen, lrc
from liquidrnn.kernels.lrc import Neurons, Sigmoids
from liquidrnn.recurrent import Recurrence, RecurrentLayer, Stacking, Trace
from liquidrnn.synapses import Affine, Mapping, SigmoidSynapses, conductance, drawn, effective, uniform, wire
from liquidrnn.wirings import Recipe, Wiring

Elastance = Literal["symmetric", "asymmetric"]
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
        \epsilon_i &= \sigma(o_i + \kappa_i) - \sigma(o_i - \kappa_i), \quad \kappa_i \ge 0 && \text{symmetric}

    with :math:`o` affine in the presynaptic values :math:`y_j`, the inputs and the states, :math:`w \ge 0` and
    :math:`k` of either sign. A sample takes ``ode_unfolds`` steps of length :math:`\delta = \Delta t / L`:

    .. math::
        \text{hybrid:}\quad x_i \leftarrow \frac{x_i + \delta \epsilon_i v_i \tanh g_i}{1 + \delta \epsilon_i
        \sigma(f_i)} \qquad
        \text{explicit:}\quad x_i \leftarrow x_i + \min(\delta \epsilon_i, 1)\,\big(-\sigma(f_i) x_i + v_i \tanh
        g_i\big)

    Both keep :math:`|x_i| \le \max(|x_i(0)|, 2 |v_i|)` for any :math:`\Delta t`: beyond :math:`\delta \epsilon = 1` an
    explicit step would overshoot its own equilibrium, so it goes no further than a step of that length.

    Args:
        input_size: features of one sample.
        hidden_size: number of neurons, all connected; or a wiring, such as ``wirings.AutoNCP(32, outputs=4)``, whose
            polarity has no effect: k carries the sign.
        num_layers: levels stacked on one another, each with a wiring of its own.
        elastance: "symmetric" or "asymmetric".
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
        elastance bias (N,); raw_kappa (N,) if symmetric, effective 1 at the start; maps as in LTC. k starts as
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
        choice("elastance", elastance, ("symmetric", "asymmetric"), "; without one it is an STC")
        build = _builder(hidden_size, elastance, solver, ode_unfolds, input_mapping, output_mapping, stacking)
        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, **stacking)


class LRCU(RecurrentLayer):
    r"""Applies a network of liquid-resistance liquid-capacitance units to a sequence.

    The unit is :class:`LRC` advanced by one explicit Euler step per sample, which makes it a gated recurrent unit with
    the elastance as its update gate:

    .. math::
        x_i \leftarrow x_i + \min(\Delta t\,\epsilon_i, 1)\,\big(-\sigma(f_i)\, x_i + v_i \tanh(g_i)\big)

    Args:
        input_size: features of one sample.
        hidden_size: number of neurons, all connected; or a wiring, see :class:`LRC`.
        num_layers: levels stacked on one another, each with a wiring of its own.
        elastance: "symmetric" or "asymmetric", see :class:`LRC`.
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
        choice("elastance", elastance, ("symmetric", "asymmetric"), "; without one it is an STC")
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
        num_layers: levels stacked on one another, each with a wiring of its own.
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
    generator, device, dtype = (stacking.get(name) for name in ("generator", "device", "dtype"))

    def build(width: int) -> Recurrence:
        graph = wire(hidden_size, width, generator)
        return _LRCRecurrence(
            graph, elastance, solver, ode_unfolds, input_mapping, output_mapping, generator, device, dtype
        )

    return build


class _LRCRecurrence(Recurrence):
    kernels = ("reference", "cpu")

    def __init__(
        self,
        wiring: Wiring,
        elastance: Elastance | None,
        solver: Solver,
        ode_unfolds: int,
        input_mapping: Mapping,
        output_mapping: Mapping,
        generator: torch.Generator | None,
        device,
        dtype,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = (
            wiring.input_size,
            wiring.units,
            wiring.output_size,
        )
        self.state_sizes = (wiring.units,)
        self.drawn = wiring
        self.elastance, self.solver, self.ode_unfolds = elastance, solver, ode_unfolds
        factory = (generator, device, dtype)
        self.input_map = Affine(wiring.input_size, input_mapping, "input_mapping", device, dtype)
        self.output_map = Affine(wiring.output_size, output_mapping, "output_mapping", device, dtype)
        self.raw_gleak = conductance(wiring.units, 0.001, 1.0, "softplus", *factory)
        self.vleak = uniform(wiring.units, -0.2, 0.2, *factory)
        self.synapses = SigmoidSynapses(wiring.adjacency, *factory)
        self.sensory_synapses = SigmoidSynapses(wiring.sensory_adjacency, *factory)
        self.num_synapses = len(self.synapses) + len(self.sensory_synapses)
        self.raw_w: Tensor
        self.raw_sensory_w: Tensor
        self.k: Tensor
        self.sensory_k: Tensor
        self.o: Tensor
        self.sensory_o: Tensor
        for prefix, synapses in (("", self.synapses), ("sensory_", self.sensory_synapses)):
            matrix = drawn(
                nn.init.orthogonal_,
                synapses.sources,
                synapses.neurons,
                generator=generator,
                device=device,
                dtype=dtype,
            )
            stored = conductance(len(synapses), 0.001, 1.0, "softplus", *factory)
            self.register_parameter(f"raw_{prefix}w", stored)
            self.register_parameter(f"{prefix}k", nn.Parameter(matrix[synapses.pre, synapses.post]))
            if elastance:
                bound = (6 / (wiring.input_size + 2 * wiring.units)) ** 0.5
                self.register_parameter(f"{prefix}o", uniform(len(synapses), -bound, bound, *factory))
        if elastance:
            self.elastance_bias = nn.Parameter(torch.zeros(wiring.units, device=device, dtype=dtype))
        if elastance == "symmetric":
            self.raw_kappa = conductance(wiring.units, 1.0, 1.0, "softplus", *factory)

    @property
    def w(self) -> Tensor:
        """Conductance of each synapse, (S,)."""
        return effective(self.raw_w, "softplus")

    @property
    def sensory_w(self) -> Tensor:
        """Conductance of each sensory synapse, (R,)."""
        return effective(self.raw_sensory_w, "softplus")

    @property
    def wiring(self) -> Wiring:
        """As it is now: loading and lesions change it."""
        return self.drawn.replaced(self.synapses.adjacency(), self.sensory_synapses.adjacency())

    def restrict(self, wiring: Wiring) -> None:
        """See :meth:`liquidrnn.recurrent.Recurrence.restrict`."""
        for prefix, synapses, matrix in (
            ("", self.synapses, wiring.adjacency),
            ("sensory_", self.sensory_synapses, wiring.sensory_adjacency),
        ):
            synapses.restrict(
                matrix, self, (f"raw_{prefix}w", f"{prefix}k", *([f"{prefix}o"] if self.elastance else []))
            )
        self.num_synapses = len(self.synapses) + len(self.sensory_synapses)

    def coefficients(self) -> tuple[Tensor, ...]:
        found = [effective(self.raw_gleak, "softplus"), self.vleak]
        found += [self.elastance_bias] if self.elastance else []
        found += [effective(self.raw_kappa, "softplus")] if self.elastance == "symmetric" else []
        found += [*self.synapses(), self.w, self.k]
        found += [self.o] if self.elastance else []
        found += [*self.sensory_synapses(), self.sensory_w, self.sensory_k]
        found += [self.sensory_o] if self.elastance else []
        return tuple(found)

    def _equation(self, coefficients: tuple[Tensor, ...]) -> tuple[Neurons, Sigmoids, Sigmoids, bool, int]:
        remaining = iter(coefficients)
        leak, potential = next(remaining), next(remaining)
        bias = next(remaining) if self.elastance else None
        kappa = next(remaining) if self.elastance == "symmetric" else None

        def sigmoids(synapses: SigmoidSynapses) -> Sigmoids:
            sigma, mu, w, k = (next(remaining) for _ in range(4))
            return Sigmoids(synapses.pre, synapses.post, sigma, mu, w, k, next(remaining) if self.elastance else None)

        internal, sensory = sigmoids(self.synapses), sigmoids(self.sensory_synapses)
        return Neurons(leak, potential, bias, kappa), internal, sensory, self.solver == "explicit", self.ode_unfolds

    def update(self, coefficients, input, state, timespan):
        read, equation = self.input_map(input), self._equation(coefficients)
        if timespan.shape != (input.shape[0], 1):
            return (lrc.reference.sample(read, state[0], timespan, *equation),)
        # As a sequence of one sample: streaming is to equal the whole sequence bit for bit.
        return (lrc.unroll(read.unsqueeze(1), state[0], timespan, None, *equation, self.backend).squeeze(1),)

    def unroll(self, input, state, timespans, observed):
        observed = None if observed is None else observed.squeeze(-1)
        equation = self._equation(self.coefficients())
        states = lrc.unroll(self.input_map(input), state[0], timespans.squeeze(-1), observed, *equation, self.backend)
        return states, (states[:, -1] if input.shape[1] else state[0],)

    def stream(self, samples):
        if chosen(self.backend, samples.state) != "cpu":
            return None
        equation = self._equation(tuple(c.detach() for c in self.coefficients()))
        return lrc.cpu.stream(samples, *equation, (self.input_map.parts(), self.output_map.parts()), self.output_size)

    def trace(self, input, state, timespans, observed):
        states, end = self.unroll(input, state, timespans, observed)
        before = torch.cat([state[0].unsqueeze(1), states[:, :-1]], 1) if input.shape[1] else states
        steps = self._examined(self.coefficients(), input.flatten(0, 1), before.flatten(0, 1))
        steps = {name: value.view_as(states) for name, value in steps.items()}
        if observed is not None:
            steps = {name: value.where(observed, torch.nan) for name, value in steps.items()}
        return states, end, steps

    def examine(self, coefficients, input, state, timespan):
        return self.update(coefficients, input, state, timespan), self._examined(coefficients, input, state[0])

    def _examined(self, coefficients: tuple[Tensor, ...], input: Tensor, v: Tensor) -> Trace:
        neurons, internal, sensory, _, _ = self._equation(coefficients)
        held = lrc.reference.received(lrc.reference.resting(neurons), sensory, self.input_map(input))
        leak, _, elastance = lrc.reference.rates(lrc.reference.received(held, internal, v), neurons)
        return {"tau": 1 / leak} if elastance is None else {"tau": 1 / (elastance * leak), "elastance": elastance}

    def readout(self, states: Tensor) -> Tensor:
        return self.output_map(states[..., : self.output_size])
