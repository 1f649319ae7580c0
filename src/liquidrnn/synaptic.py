"""Base class of recurrences over the sigmoid synapses of a wiring: LTC and the LRC family."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.kernels.operator import Maps
from liquidrnn.recurrence import FusedRecurrence
from liquidrnn.synapses import Affine, Constraint, Factory, Mapping, SigmoidSynapses, conductance, effective, uniform
from liquidrnn.wirings import Wiring


class SynapticRecurrence(FusedRecurrence):
    """Neurons of a wiring: leaky membranes with synapses that open with the presynaptic value.

    A subclass adds parameters of its synapses, lists them in :attr:`of_synapses`, and implements the equation.

    Attributes:
        drawn: the wiring as it was built; :attr:`wiring` is the current one.
        input_map: scale and shift of each input.
        output_map: scale and shift of each output.
        synapses: synapses among neurons.
        sensory_synapses: synapses from inputs to neurons.
        raw_gleak: leak conductance of each neuron, as stored (see :func:`liquidrnn.synapses.effective`).
        vleak: leak potential.
    """

    of_synapses: tuple[str, ...] = ()
    """Names of synapse parameters besides those of :class:`SigmoidSynapses`; "{}" stands for "" or "sensory_"."""

    def __init__(
        self,
        wiring: Wiring,
        input_mapping: Mapping,
        output_mapping: Mapping,
        constraint: Constraint,
        factory: Factory,
    ):
        super().__init__()
        device, dtype = factory["device"], factory["dtype"]
        self.input_size, self.hidden_size, self.output_size = wiring.input_size, wiring.units, wiring.output_size
        self.state_sizes = (wiring.units,)
        self.drawn = wiring
        self.constraint: Constraint = constraint
        self.input_map = Affine(wiring.input_size, input_mapping, "input_mapping", device, dtype)
        self.output_map = Affine(wiring.output_size, output_mapping, "output_mapping", device, dtype)
        self.raw_gleak = conductance(wiring.units, 0.001, 1.0, constraint, **factory)
        self.vleak = uniform(wiring.units, -0.2, 0.2, **factory)

    def connect(self, factory: Factory) -> None:
        """Creates the synapses and draws their parameters."""
        self.synapses = SigmoidSynapses(self.drawn.adjacency, **factory)
        self.sensory_synapses = SigmoidSynapses(self.drawn.sensory_adjacency, **factory)
        self.num_synapses = len(self.synapses) + len(self.sensory_synapses)

    @property
    def w(self) -> Tensor:
        """Conductance of each synapse, (S,)."""
        return effective(self.raw_w, self.constraint)  # type: ignore[arg-type]

    @property
    def sensory_w(self) -> Tensor:
        """Conductance of each sensory synapse, (R,)."""
        return effective(self.raw_sensory_w, self.constraint)  # type: ignore[arg-type]

    @property
    def wiring(self) -> Wiring:
        """The current wiring; loading a state dict and lesions change it."""
        return self.drawn.replaced(self.synapses.adjacency(), self.sensory_synapses.adjacency())

    def restrict(self, wiring: Wiring) -> None:
        """See :meth:`liquidrnn.recurrence.Recurrence.restrict`."""
        for prefix, synapses, matrix in (
            ("", self.synapses, wiring.adjacency),
            ("sensory_", self.sensory_synapses, wiring.sensory_adjacency),
        ):
            synapses.restrict(matrix, self, tuple(name.format(prefix) for name in self.of_synapses))
        self.num_synapses = len(self.synapses) + len(self.sensory_synapses)

    @staticmethod
    def opening(synapses: SigmoidSynapses) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Source, neuron, steepness and threshold of each synapse."""
        sigma, mu = synapses()
        return synapses.pre, synapses.post, sigma, mu

    def sense(self, values: Tensor) -> Tensor:
        """Inputs after the input map."""
        return self.input_map(values)

    def output(self, inputs: Inputs, states: State) -> Tensor:
        """States of the motor neurons after the output map."""
        return self.output_map(states[0][..., : self.output_size])

    def maps(self) -> Maps:
        """The input map and the output map."""
        return Maps(self.input_map.parts(), self.output_map.parts())

    def explain(self, equation: Any, inputs: Inputs, state: State) -> dict[str, Tensor]:
        """The time constant and other quantities of the equation."""
        return self.rates(equation, self.sense(inputs.values), state[0])

    def rates(self, equation: Any, values: Tensor, v: Tensor) -> dict[str, Tensor]:
        """The result of :meth:`explain`, from mapped inputs (samples, inputs) and states (samples, units)."""
        raise NotImplementedError
