"""Liquid time-constant networks (Hasani et al., AAAI 2021)."""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, number, positive_int
from liquidrnn.kernels import ltc
from liquidrnn.kernels.ltc import Equation, Membrane, Sigmoids
from liquidrnn.recurrence import Recurrence
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Constraint, Factory, Mapping, conductance, effective, wire
from liquidrnn.synaptic import SynapticRecurrence
from liquidrnn.wirings import Recipe, Wiring

TimeConstant = Literal["liquid", "fixed"]


class LTC(RecurrentLayer):
    r"""Applies a liquid time-constant network to a sequence.

    Each neuron is a leaky membrane whose conductances depend on its inputs, and so does its time constant. For neuron
    :math:`i` with presynaptic values :math:`y_j`, the states of other neurons and the inputs of the layer,

    .. math::
        c_i \frac{dx_i}{dt} = g_i (v_i - x_i) + \sum_j w_{ij}\, \sigma\big(\sigma_{ij}(y_j - \mu_{ij})\big)\,
        (E_{ij} - x_i)

    and one sample, held for the time :math:`\Delta t`, takes ``ode_unfolds`` steps of the fused solver, each of length
    :math:`\delta = \Delta t / L`:

    .. math::
        x_i \leftarrow \frac{c_i x_i + \delta\,\big(g_i v_i + \sum_j w_{ij} s_{ij} E_{ij}\big)}
        {c_i + \delta\,\big(g_i + \sum_j w_{ij} s_{ij}\big)}, \qquad s_{ij} = \sigma(\sigma_{ij}(y_j - \mu_{ij}))

    Sums run over the synapses that exist. Since :math:`c, g, w \ge 0`, each step is a weighted mean of
    the state, the leak potential and the reversal potentials, so a state never leaves their range, for any
    :math:`\Delta t`. It is equivalent to this loop::

        for t in range(time):
            for _ in range(ode_unfolds):
                s = sigmoid(sigma * (y[:, None] - mu))         # (presynaptic, neurons)
                x = (cm * x + d * (gleak * vleak + (w * s * erev).sum(0))) / (cm + d * (gleak + (w * s).sum(0)))
            output[t] = output_w * x[:outputs] + output_b

    **With a fixed time constant** the same parameters make a network that is not liquid, to see what being liquid is
    worth. Synapses drive a neuron as they do above, but it leaks as if each were half open, whatever the inputs:

    .. math::
        c_i \frac{dx_i}{dt} = g_i (v_i - x_i) + \sum_j w_{ij} \big(s_{ij} E_{ij} - \tfrac12 x_i\big), \qquad
        \tau_i = \frac{c_i}{g_i + \tfrac12 \sum_j w_{ij}}

    Args:
        input_size: features of one sample.
        hidden_size: number of neurons, all connected; or a wiring, such as ``wirings.AutoNCP(32, outputs=4)``.
        num_layers: layers stacked on one another, each with a wiring of its own.
        ode_unfolds: solver steps per sample, L.
        input_mapping: "affine" (learned scale and shift of each feature), "linear" (scale) or None.
        output_mapping: the same for each motor neuron.
        constraint: how gleak, cm and w are kept non-negative: "softplus" of the stored values, stored values clamped at
            zero ("clamp"), or not at all (None, for converted networks; the bounds above then do not hold).
        epsilon: added to the total conductance.
        time_constant: "liquid", or "fixed", see above.
        mixed_memory: pass the state through an LSTM cell first, see :class:`liquidrnn.recurrent.MixedMemory`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N neurons, M inputs, S internal and R sensory synapses:

        ==================================================  ===========  =================================
        parameter of a recurrence                           shape        starts uniform in
        ==================================================  ===========  =================================
        raw_w, raw_sensory_w (effective: softplus)          (S,), (R,)   [0.001, 1]
        synapses.sigma, sensory_synapses.sigma              (S,), (R,)   [3, 8]
        synapses.mu, sensory_synapses.mu                    (S,), (R,)   [0.3, 0.8]
        erev, sensory_erev                                  (S,), (R,)   the wiring's polarity
        raw_gleak, vleak, raw_cm                            (N,)         [0.001, 1], [-0.2, 0.2], [0.4, 0.6]
        input_map.weight, input_map.bias                    (M,)         1, 0
        output_map.weight, output_map.bias                  (outputs,)   1, 0
        ==================================================  ===========  =================================

    A trace (``return_trace=True``) holds "tau", :math:`c_i / (g_i + \sum_j w_{ij} s_{ij})`, at the state before the
    sample; if it is fixed, the same at every sample.

    Source: Hasani, Lechner, Amini, Rus, Grosu, Liquid Time-constant Networks, AAAI 2021 (arXiv 2006.04439),
    equation 1 and algorithm 1; synapses and ranges as in the authors' package ncps. Different there: initial ranges
    hold for stored values before the softplus, and a zero time span gives NaN.

    Example:
        >>> layer = LTC(16, 32, batch_first=True)
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
        ode_unfolds: int = 6,
        input_mapping: Mapping = "affine",
        output_mapping: Mapping = "affine",
        constraint: Constraint = "softplus",
        epsilon: float = 1e-8,
        time_constant: TimeConstant = "liquid",
        mixed_memory: bool = False,
        **stacking: Unpack[Stacking],
    ):
        ode_unfolds = positive_int("ode_unfolds", ode_unfolds)
        choice("constraint", constraint, ("softplus", "clamp", None))
        epsilon = number("epsilon", epsilon, 0.0, 1.0, "a number in [0, 1]")
        choice("time_constant", time_constant, ("liquid", "fixed"))
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            graph = wire(hidden_size, width, factory["generator"])
            maps: tuple[Mapping, Mapping] = (input_mapping, output_mapping)
            return _LTCRecurrence(graph, ode_unfolds, maps, constraint, epsilon, time_constant, factory)

        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, **stacking)


class _LTCRecurrence(SynapticRecurrence):
    operator = ltc.operator
    of_synapses = ("raw_{}w", "{}erev")

    def __init__(
        self,
        wiring: Wiring,
        ode_unfolds: int,
        maps: tuple[Mapping, Mapping],
        constraint: Constraint,
        epsilon: float,
        time_constant: TimeConstant,
        factory: Factory,
    ):
        super().__init__(wiring, *maps, constraint, factory)
        self.ode_unfolds, self.epsilon, self.time_constant = ode_unfolds, epsilon, time_constant
        self.raw_cm = conductance(wiring.units, 0.4, 0.6, constraint, **factory)
        self.connect(factory)
        self.raw_w = conductance(len(self.synapses), 0.001, 1.0, constraint, **factory)
        self.erev = nn.Parameter(self.synapses.polarity.to(self.vleak.dtype))
        self.raw_sensory_w = conductance(len(self.sensory_synapses), 0.001, 1.0, constraint, **factory)
        self.sensory_erev = nn.Parameter(self.sensory_synapses.polarity.to(self.vleak.dtype))

    def coefficients(self) -> Equation:
        gleak, cm = effective(self.raw_gleak, self.constraint), effective(self.raw_cm, self.constraint)
        w, sensory_w = self.w, self.sensory_w
        if self.constraint:
            # Training can push it to zero, where the state would be undefined at a zero span. The authors' bound.
            cm = cm.clamp(min=1e-6)
        drives, leak = (w * self.erev, sensory_w * self.sensory_erev), gleak + self.epsilon
        if self.time_constant == "fixed":
            for synapses, conductance_of in ((self.synapses, w), (self.sensory_synapses, sensory_w)):
                leak = leak.index_add(0, synapses.post, conductance_of / 2)
            w, sensory_w = torch.zeros_like(w), torch.zeros_like(sensory_w)
        return Equation(
            Membrane(cm, gleak * self.vleak, leak),
            Sigmoids(*self.opening(self.synapses), w, drives[0]),
            Sigmoids(*self.opening(self.sensory_synapses), sensory_w, drives[1]),
            self.ode_unfolds,
        )

    def rates(self, equation: Equation, values: Tensor, v: Tensor) -> dict[str, Tensor]:
        cm, _, leak = equation.membrane
        _, sensed = ltc.reference.sums(equation.sensory, values, self.hidden_size)
        _, total = ltc.reference.sums(equation.internal, v, self.hidden_size)
        return {"tau": cm / (leak + sensed + total)}
