"""Wirings: which inputs and neurons are connected, and with what polarity.

A *recipe* (:class:`FullyConnected`, :class:`Random`, :class:`Layered`, :class:`NCP`, :class:`AutoNCP`,
:class:`Shuffled`) describes how to draw a wiring. It does not contain the number of inputs or a seed, so one recipe can
be used for any number of layers. ``build`` draws a :class:`Wiring`, an immutable graph. Layers accept both.

Neurons are numbered from the motor neurons up: motor, command, inter. So a layer's outputs are its first states.

Source of the neuron kinds and of the NCP recipe: Lechner et al., Neural circuit policies enabling auditable
autonomy, Nature Machine Intelligence 2020.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EVEN = np.array([-1, 1], np.int8)
MOSTLY_EXCITATORY = np.array([-1, 1, 1], np.int8)


class Wiring:
    """A drawn graph of inputs and neurons. Immutable: :meth:`ablate` and :meth:`prune` return new ones.

    Two wirings are equal if they have the same content.

    Args:
        adjacency: (units, units), entry [pre, post] is -1 (inhibitory), 0 (no synapse) or +1 (excitatory).
        sensory_adjacency: (inputs, units), likewise.
        outputs: number of motor neurons, which are neurons 0 to outputs - 1; None is all.
        kinds: kind of each neuron, such as "inter", "command", "motor"; None is "motor" for the outputs and
            "inter" for the others.
        layers: neurons of each layer in order of evaluation, sensory side first; None is a single layer.

    Attributes:
        adjacency: (units, units) int8, read-only.
        sensory_adjacency: (inputs, units) int8, read-only.
        output_size: number of motor neurons.
        kinds: kind of each neuron.
        layers: neurons of each layer, in order of evaluation.

    Raises:
        ValueError: shapes or values are inconsistent.
        TypeError: ``outputs`` is not an int.

    Example:
        >>> Wiring([[0, 1], [-1, 0]], [[1, 1]], outputs=1)
        Wiring(1 input, 2 units (1 inter, 1 motor), 2 sensory + 2 internal synapses, density 67%)
    """

    adjacency: np.ndarray
    sensory_adjacency: np.ndarray
    output_size: int
    kinds: tuple[str, ...]
    layers: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        adjacency: Any,
        sensory_adjacency: Any,
        outputs: int | None = None,
        kinds: Sequence[str] | None = None,
        layers: Iterable[Iterable[int]] | None = None,
    ):
        internal = _signs("adjacency", adjacency)
        sensory = _signs("sensory_adjacency", sensory_adjacency)
        units = len(internal)
        if internal.shape[1] != units:
            raise ValueError(f"adjacency must be square, (units, units), but got {internal.shape}")
        if sensory.shape[1] != units:
            raise ValueError(
                f"sensory_adjacency must be (inputs, {units}), as adjacency is for {units} units, "
                f"but got {sensory.shape}"
            )
        outputs = units if outputs is None else outputs
        _check_count("outputs", outputs, most=units, of="the number of units")
        if kinds is None:
            kinds = ["motor"] * outputs + ["inter"] * (units - outputs)
        if isinstance(kinds, str) or len(kinds) != units:
            raise ValueError(f"kinds must name the kind of each of the {units} units, but got {kinds!r}")
        ordered = [tuple(layer) for layer in ([range(units)] if layers is None else layers)]
        if not all(ordered) or sorted(i for layer in ordered for i in layer) != list(range(units)):
            raise ValueError(
                f"layers must hold each of the {units} units exactly once, and none may be empty, but got {ordered}"
            )
        set_once = super().__setattr__
        set_once("adjacency", internal)
        set_once("sensory_adjacency", sensory)
        set_once("output_size", int(outputs))
        set_once("kinds", tuple(str(kind) for kind in kinds))
        set_once("layers", tuple(tuple(int(i) for i in layer) for layer in ordered))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Wiring is immutable, so {name} cannot be set; build a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Wiring is immutable, so {name} cannot be deleted; build a new one")

    def __reduce__(self):
        # Unpickled and copied arrays are writeable; going through the constructor makes them read-only again.
        return Wiring, (self.adjacency, self.sensory_adjacency, self.output_size, self.kinds, self.layers)

    @property
    def units(self) -> int:
        """Number of neurons."""
        return len(self.adjacency)

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        return len(self.sensory_adjacency)

    @property
    def num_synapses(self) -> int:
        """Number of synapses among neurons."""
        return int(np.count_nonzero(self.adjacency))

    @property
    def num_sensory_synapses(self) -> int:
        """Number of synapses from inputs to neurons."""
        return int(np.count_nonzero(self.sensory_adjacency))

    @property
    def synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Presynaptic, postsynaptic neuron and polarity of each synapse, row by row of ``adjacency``."""
        pre, post = np.nonzero(self.adjacency)
        return pre, post, self.adjacency[pre, post]

    @property
    def sensory_synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input, neuron and polarity of each sensory synapse, row by row of ``sensory_adjacency``."""
        pre, post = np.nonzero(self.sensory_adjacency)
        return pre, post, self.sensory_adjacency[pre, post]

    @property
    def is_fully_connected(self) -> bool:
        """Whether every input and every neuron has a synapse to every neuron."""
        return bool(self.adjacency.all() and self.sensory_adjacency.all())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Wiring):
            return NotImplemented
        return (
            np.array_equal(self.adjacency, other.adjacency)
            and np.array_equal(self.sensory_adjacency, other.sensory_adjacency)
            and (self.output_size, self.kinds, self.layers) == (other.output_size, other.kinds, other.layers)
        )

    def __hash__(self) -> int:
        matrices = self.adjacency.tobytes(), self.sensory_adjacency.tobytes()
        return hash((*matrices, self.output_size, self.kinds, self.layers))

    def columns(self) -> list[tuple[str, list[int]]]:
        """Neurons of each layer by kind, from the sensory side; within a layer the motor neurons come last."""
        return [
            (kind, [i for i in layer if self.kinds[i] == kind])
            for layer in self.layers
            for kind in dict.fromkeys(self.kinds[i] for i in sorted(layer, reverse=True))
        ]

    def __repr__(self) -> str:
        kinds = dict.fromkeys(kind for kind, _ in self.columns())
        counts = ", ".join(f"{self.kinds.count(kind)} {kind}" for kind in kinds)
        inputs = "1 input" if self.input_size == 1 else f"{self.input_size} inputs"
        sensory, internal = self.num_sensory_synapses, self.num_synapses
        density = (sensory + internal) / (self.sensory_adjacency.size + self.adjacency.size)
        return (
            f"Wiring({inputs}, {self.units} units ({counts}), "
            f"{sensory} sensory + {internal} internal synapses, density {density:.0%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The wiring as lists, ints and strings, for JSON; :meth:`from_dict` reads it back.

        Example:
            >>> import json
            >>> wiring = FullyConnected(4).build(2, seed=0)
            >>> Wiring.from_dict(json.loads(json.dumps(wiring.to_dict()))) == wiring
            True
        """
        return {
            "adjacency": self.adjacency.tolist(),
            "sensory_adjacency": self.sensory_adjacency.tolist(),
            "outputs": self.output_size,
            "kinds": list(self.kinds),
            "layers": [list(layer) for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Wiring:
        """A wiring from the result of :meth:`to_dict`.

        Raises:
            ValueError: a key is missing or unknown, or the content is not a valid wiring.
        """
        expected = {"adjacency", "sensory_adjacency", "outputs", "kinds", "layers"}
        if set(content) != expected:
            raise ValueError(
                f"content must hold the keys {', '.join(sorted(expected))}, as Wiring.to_dict() writes them, "
                f"but has {', '.join(sorted(content)) or 'none'}"
            )
        return cls(**content)

    def replaced(self, adjacency: Any, sensory_adjacency: Any, layers: Any = None) -> Wiring:
        """A wiring with the same neurons, other synapses and, if given, other layers."""
        return Wiring(adjacency, sensory_adjacency, self.output_size, self.kinds, layers or self.layers)

    def neuron_table(self) -> NeuronTable:
        """One row per neuron: its number, its kind, and the numbers of its synapses.

        ``fan_in`` and ``fan_out`` count synapses with neurons, ``sensory_fan_in`` those from inputs; ``excitatory_in``
        and ``inhibitory_in`` include both.

        Returns:
            A list of dicts, for a data frame for example, which prints as an aligned table.

        Example:
            >>> print(Wiring([[0, 1], [-1, 0]], [[1, 1]], outputs=1).neuron_table())
            neuron  kind   fan_in  sensory_fan_in  fan_out  excitatory_in  inhibitory_in
                 0  motor       1               1        1              1              1
                 1  inter       1               1        1              2              0
        """
        both = np.concatenate([self.sensory_adjacency, self.adjacency])
        columns = {
            "neuron": np.arange(self.units),
            "kind": self.kinds,
            "fan_in": np.count_nonzero(self.adjacency, axis=0),
            "sensory_fan_in": np.count_nonzero(self.sensory_adjacency, axis=0),
            "fan_out": np.count_nonzero(self.adjacency, axis=1),
            "excitatory_in": (both > 0).sum(0),
            "inhibitory_in": (both < 0).sum(0),
        }
        rows = zip(*columns.values(), strict=True)
        return NeuronTable(
            {name: value if name == "kind" else int(value) for name, value in zip(columns, row, strict=True)}
            for row in rows
        )

    def ablate(
        self,
        *,
        neurons: Iterable[int] = (),
        synapses: Iterable[tuple[int, int]] = (),
        sensory_synapses: Iterable[tuple[int, int]] = (),
    ) -> Wiring:
        """The wiring after a lesion. Neurons keep their numbers; an ablated one has no synapses.

        Args:
            neurons: neurons to disconnect from everything.
            synapses: (pre, post) pairs of neurons to disconnect.
            sensory_synapses: (input, neuron) pairs to disconnect.

        Raises:
            ValueError: a neuron or synapse does not exist.

        Example:
            The synapses that remain, in the order of ``wiring.synapses`` and so of a layer's weights:

            >>> wiring = Wiring([[0, 1], [-1, 0]], [[1, 1]])
            >>> lesioned = wiring.ablate(synapses=[(0, 1)])
            >>> pre, post, polarity = wiring.synapses
            >>> lesioned.adjacency[pre, post] != 0
            array([False,  True])
        """
        internal, sensory = self.adjacency.copy(), self.sensory_adjacency.copy()
        for name, pairs, before, after in (
            ("synapses", synapses, self.adjacency, internal),
            ("sensory_synapses", sensory_synapses, self.sensory_adjacency, sensory),
        ):
            for pre, post in pairs:
                inside = 0 <= pre < before.shape[0] and 0 <= post < before.shape[1]
                if not inside or not before[pre, post]:
                    raise ValueError(
                        f"{name} must hold pairs that this wiring connects (see Wiring.{name}), "
                        f"but holds ({pre}, {post})"
                    )
                after[pre, post] = 0
        for neuron in neurons:
            _check_count("each of neurons", neuron, 0, self.units - 1, of="the last neuron")
            internal[neuron], internal[:, neuron], sensory[:, neuron] = 0, 0, 0
        return Wiring(internal, sensory, self.output_size, self.kinds, self.layers)

    def prune(self, fraction: float, *, strength: Any, sensory_strength: Any) -> Wiring:
        """The wiring without its weakest synapses; internal and sensory ones are ranked together.

        Args:
            fraction: share of all synapses to remove, from 0 to 1, rounded to whole synapses.
            strength: (num_synapses,), weights or saliencies in the order of :attr:`synapses`, of any sign.
            sensory_strength: (num_sensory_synapses,), in the order of :attr:`sensory_synapses`.

        Raises:
            ValueError: ``fraction`` is out of range, or strengths have the wrong shape or are not finite.

        Example:
            >>> wiring = Wiring([[0, 1], [-1, 0]], [[1, 1]])
            >>> wiring.prune(0.5, strength=[0.1, -3.0], sensory_strength=[2.0, 0.2]).adjacency.tolist()
            [[0, 0], [-1, 0]]
        """
        _check_share("fraction", fraction, 0, 1)
        strengths = []
        for name, given, count in (
            ("strength", strength, self.num_synapses),
            ("sensory_strength", sensory_strength, self.num_sensory_synapses),
        ):
            values = np.abs(np.asarray(given, float))
            if values.shape != (count,):
                raise ValueError(f"{name} must be ({count},), one number a synapse, but got shape {values.shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite, but holds {values[~np.isfinite(values)][0]}")
            strengths.append(values)
        order = np.argsort(np.concatenate(strengths), kind="stable")
        weak = np.zeros(len(order), bool)
        weak[order[: round(fraction * len(order))]] = True
        internal, sensory = np.split(weak, [self.num_synapses])
        (pre, post, _), (source, neuron, _) = self.synapses, self.sensory_synapses
        return self.ablate(
            synapses=zip(pre[internal], post[internal], strict=True),
            sensory_synapses=zip(source[sensory], neuron[sensory], strict=True),
        )

    def draw(self, ax: Axes | None = None, *, labels: bool = False, ink: str = "#6e7781") -> Axes:
        """Draws the graph with one column per layer and signals from left to right. Needs matplotlib.

        Synapses to a later column are curves; those within a column or backwards are arcs with an arrowhead, downward
        on the left and upward on the right; a synapse of a neuron to itself is a small ring.

        Args:
            ax: axes to draw on; None creates a figure with a transparent background.
            labels: show the number of each input and neuron.
            ink: colour of text; the default is readable on white and on black.

        Returns:
            The axes.

        Example:
            >>> figure = AutoNCP(32, outputs=4).build(16, seed=1).draw().figure
            >>> figure.savefig("wiring.png", dpi=200)  # doctest: +SKIP
        """
        from liquidrnn import drawing

        return drawing.draw(self, ax, labels=labels, ink=ink)


class NeuronTable(list[dict[str, Any]]):
    """Rows of :meth:`Wiring.neuron_table`; ``print`` shows them aligned."""

    def __str__(self) -> str:
        names = list(self[0])
        lines = [names, *([str(row[name]) for name in names] for row in self)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if name == "kind" else cell.rjust(width)
                for name, cell, width in zip(names, line, widths, strict=True)
            )
            for line in lines
        )


@dataclass(frozen=True)
class Recipe(ABC):
    """Describes how to draw a wiring, for any number of inputs. Recipes are immutable.

    Attributes:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
    """

    units: int
    outputs: int | None

    @abstractmethod
    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws a wiring; the same seed gives the same wiring.

        Args:
            input_size: number of inputs.
            seed: seed of a NumPy default generator, the only source of randomness; at least 0.

        Raises:
            ValueError: ``input_size`` is below 1, or ``seed`` below 0.
            TypeError: either is not an int.
        """


@dataclass(frozen=True)
class FullyConnected(Recipe):
    """Synapses from every input and neuron to every neuron; a synapse is excitatory with probability 2/3.

    Args:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
        self_connections: whether neurons have a synapse to themselves.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not an int.

    Example:
        >>> FullyConnected(4).build(2, seed=0)
        Wiring(2 inputs, 4 units (4 motor), 8 sensory + 16 internal synapses, density 100%)
    """

    units: int
    outputs: int | None = None
    self_connections: bool = True

    def __post_init__(self):
        _check_units(self.units, self.outputs)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws the polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)
        internal = rng.choice(MOSTLY_EXCITATORY, (self.units, self.units))
        if not self.self_connections:
            np.fill_diagonal(internal, 0)
        return Wiring(internal, rng.choice(MOSTLY_EXCITATORY, (input_size, self.units)), self.outputs)


@dataclass(frozen=True)
class Random(Recipe):
    """A random share of all possible synapses; a synapse is excitatory with probability 2/3.

    Every input has a synapse to at least one neuron. A path from there to a motor neuron is likely but not guaranteed;
    with :class:`Layered` it is.

    Args:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
        sparsity: share of possible synapses that are absent, at least 0 and below 1; the same for internal and sensory
            synapses, rounded to whole synapses.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number has the wrong type.

    Example:
        >>> Random(10, sparsity=0.7).build(4, seed=0)
        Wiring(4 inputs, 10 units (10 motor), 12 sensory + 30 internal synapses, density 30%)
    """

    units: int
    outputs: int | None = None
    sparsity: float = 0.5

    def __post_init__(self):
        _check_units(self.units, self.outputs)
        _check_share("sparsity", self.sparsity, 0, 1, "[)")

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)

        def draw(taken: np.ndarray) -> np.ndarray:
            """Draws the synapses (sources, units) in addition to those that ``taken`` requires."""
            missing = max(0, round(taken.size * (1 - self.sparsity)) - np.count_nonzero(taken))
            taken.flat[rng.choice(np.flatnonzero(~taken), missing, replace=False)] = True
            return taken * rng.choice(MOSTLY_EXCITATORY, taken.shape)

        internal = draw(np.zeros((self.units, self.units), bool))
        one_each = np.zeros((input_size, self.units), bool)
        one_each[np.arange(input_size), rng.integers(self.units, size=input_size)] = True
        return Wiring(internal, draw(one_each), self.outputs)


@dataclass(frozen=True)
class Layered(Recipe):
    """Any number of layers from inputs to motor neurons, each sparsely connected to the next.

    Layers are called, from the sensory side, inter (inter 1, inter 2, ... if there are several), command and motor.
    Each source has synapses to the same number of neurons of the next layer; towards the motor layer, each motor neuron
    has synapses from the same number of sources instead. A neuron without an incoming synapse, and a source without a
    synapse to a motor neuron, then get the mean number of synapses of their layer, so that there is a path from every
    input to a motor neuron. A synapse is excitatory with probability 1/2.

    Args:
        sizes: neurons of each layer, motor neurons last.
        density: share of possible synapses from the previous layer (the inputs, for the first) that exist, above 0 and
            at most 1; one number, or one per layer. There is at least one synapse per neuron.
        recurrent: share of possible synapses within the layer that exist, from 0 to 1, self-connections included; one
            number, or one per layer. Shares are rounded to whole synapses.

    Raises:
        ValueError: a number is out of range, or their count is not that of the layers.
        TypeError: a number has the wrong type.

    Example:
        Two layers of inter neurons, and recurrence among the command neurons only:

        >>> recipe = Layered((12, 8, 6, 2), density=0.5, recurrent=(0, 0, 0.25, 0))
        >>> sorted(set(recipe.build(4, seed=0).kinds))
        ['command', 'inter 1', 'inter 2', 'motor']
    """

    sizes: tuple[int, ...]
    density: float | tuple[float, ...] = 0.5
    recurrent: float | tuple[float, ...] = 0.0
    units: int = field(init=False, repr=False)
    outputs: int = field(init=False, repr=False)

    def __post_init__(self):
        if isinstance(self.sizes, str) or not isinstance(self.sizes, Sequence):
            raise TypeError(f"sizes must be a sequence of ints, motor neurons last, but got {self.sizes!r}")
        if not self.sizes:
            raise ValueError("sizes must name at least one layer, the motor neurons, but is empty")
        for i, size in enumerate(self.sizes):
            _check_count(f"sizes[{i}]", size)
        for name, bounds in (("density", "(]"), ("recurrent", "[]")):
            given = getattr(self, name)
            if isinstance(given, Sequence) and not isinstance(given, str):
                if len(given) != len(self.sizes):
                    raise ValueError(
                        f"{name} must be one number, or one for each of the {len(self.sizes)} layers, but got {given}"
                    )
                object.__setattr__(self, name, tuple(given))
            for share in self._per_layer(getattr(self, name)):
                _check_share(name, share, 0, 1, bounds)
        # Tuples, so that a recipe made from lists is hashable and equal to one made from tuples.
        object.__setattr__(self, "sizes", tuple(self.sizes))
        object.__setattr__(self, "units", sum(self.sizes))
        object.__setattr__(self, "outputs", self.sizes[-1])

    def _per_layer(self, shares: float | tuple[float, ...]) -> tuple[float, ...]:
        return shares if isinstance(shares, tuple) else (shares,) * len(self.sizes)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)
        # Fan-out is relative to the size of the layer itself, the motor neurons' fan-in to that of the previous layer.
        counted = (*self.sizes[:-1], (input_size, *self.sizes)[-2])
        fans = [max(1, round(d * n)) for d, n in zip(self._per_layer(self.density), counted, strict=True)]
        recurrent = zip(self._per_layer(self.recurrent), self.sizes, strict=True)
        within = [round(share * size**2) for share, size in recurrent]
        return _draw_layers(rng, input_size, self.sizes, fans, within)


@dataclass(frozen=True)
class NCP(Recipe):
    """A neural circuit policy: inter, command and motor neurons, with recurrence among the command neurons.

    Each input has synapses to ``sensory_fanout`` inter neurons and each inter neuron to ``inter_fanout`` command
    neurons; each motor neuron has synapses from ``motor_fanin`` command neurons; and ``recurrent_command_synapses``
    distinct pairs of command neurons are connected, which may be a neuron and itself. An inter or command neuron
    without an incoming synapse, and a command neuron without one to a motor neuron, then get the mean number of
    synapses of their layer. A synapse is excitatory with probability 1/2. :class:`Layered` generalises this to any
    number of layers.

    Args:
        inter: number of inter neurons.
        command: number of command neurons.
        motor: number of motor neurons.
        sensory_fanout: number of inter neurons that each input connects to.
        inter_fanout: number of command neurons that each inter neuron connects to.
        recurrent_command_synapses: exact number of synapses among command neurons.
        motor_fanin: number of command neurons that connect to each motor neuron.

    Raises:
        ValueError: a number is out of range, or there are fewer pairs of neurons than synapses.
        TypeError: a number is not an int.

    Source: Lechner et al. 2020, methods, and class NCP of the package ncps, which, however, draws the recurrent pairs
    with repetition and so gets fewer than specified.

    Example:
        The policy that drives a car in the paper, on 32 features:

        >>> wiring = NCP(12, 6, 1, 6, 4, 6, 6).build(32, seed=0)
        >>> wiring.units, wiring.num_sensory_synapses, wiring.num_synapses
        (19, 192, 60)
    """

    inter: int
    command: int
    motor: int
    sensory_fanout: int
    inter_fanout: int
    recurrent_command_synapses: int
    motor_fanin: int
    units: int = field(init=False, repr=False)
    outputs: int = field(init=False, repr=False)

    def __post_init__(self):
        for name in ("inter", "command", "motor"):
            _check_count(name, getattr(self, name))
        pairs = f"the number of pairs of the {self.command} command neurons"
        for name, least, most, of in (
            ("sensory_fanout", 1, self.inter, "the number of inter neurons"),
            ("inter_fanout", 1, self.command, "the number of command neurons"),
            ("recurrent_command_synapses", 0, self.command**2, pairs),
            ("motor_fanin", 1, self.command, "the number of command neurons"),
        ):
            _check_count(name, getattr(self, name), least, most, of)
        object.__setattr__(self, "units", self.inter + self.command + self.motor)
        object.__setattr__(self, "outputs", self.motor)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        sizes = self.inter, self.command, self.motor
        fans = self.sensory_fanout, self.inter_fanout, self.motor_fanin
        within = 0, self.recurrent_command_synapses, 0
        return _draw_layers(_generator(input_size, seed), input_size, sizes, fans, within)


@dataclass(frozen=True)
class AutoNCP(Recipe):
    """A neural circuit policy from two numbers; :attr:`ncp` is the equivalent :class:`NCP`.

    Of the non-motor neurons, 40 % are command neurons and the others inter neurons. With d = 1 - sparsity, an input
    connects to a share d of the inter neurons, an inter neuron to a share d of the command neurons, and a share d of
    the command neurons connects to each motor neuron; there are 2 d recurrent synapses per command neuron. Numbers are
    rounded down, but are at least 1.

    Args:
        units: number of neurons, at least 4.
        outputs: number of motor neurons, at most units - 3.
        sparsity: from 0.1 to 0.9.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number has the wrong type.

    Source: class AutoNCP of the package ncps.

    Example:
        >>> AutoNCP(32, outputs=4).ncp.command
        11
    """

    units: int
    outputs: int
    sparsity: float = 0.5

    def __post_init__(self):
        _check_count("units", self.units, least=4)
        _check_count("outputs", self.outputs, 1, self.units - 3, "which leaves inter and command neurons")
        _check_share("sparsity", self.sparsity, 0.1, 0.9)

    @property
    def ncp(self) -> NCP:
        """The equivalent :class:`NCP`."""
        density = 1 - self.sparsity
        command = max(int(0.4 * (self.units - self.outputs)), 1)
        inter = self.units - self.outputs - command
        return NCP(
            inter=inter,
            command=command,
            motor=self.outputs,
            sensory_fanout=max(int(inter * density), 1),
            inter_fanout=max(int(command * density), 1),
            recurrent_command_synapses=max(int(2 * command * density), 1),
            motor_fanin=max(int(command * density), 1),
        )

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        return self.ncp.build(input_size, seed)


@dataclass(frozen=True)
class Shuffled(Recipe):
    """The synapses of another recipe at random places, to see what its structure is worth.

    Every input keeps its number of synapses, to any neurons, and neurons keep their total number of synapses among
    each other, from any neuron to any other. Numbers of synapses and polarities are those of the wiring that
    ``recipe`` draws with the same seed; layers and kinds other than motor neurons are lost. A path from an input to a
    motor neuron is likely but not guaranteed.

    Args:
        recipe: the recipe whose synapses are moved.

    Raises:
        TypeError: ``recipe`` is not a recipe.

    Example:
        >>> Shuffled(AutoNCP(19, outputs=1)).build(8, seed=0)
        Wiring(8 inputs, 19 units (18 inter, 1 motor), 40 sensory + 47 internal synapses, density 17%)
    """

    recipe: Recipe
    units: int = field(init=False, repr=False)
    outputs: int | None = field(init=False, repr=False)

    def __post_init__(self):
        if not isinstance(self.recipe, Recipe):
            raise TypeError(f"recipe must be a recipe, such as AutoNCP(32, outputs=4), but got {self.recipe!r}")
        object.__setattr__(self, "units", self.recipe.units)
        object.__setattr__(self, "outputs", self.recipe.outputs)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws a wiring of ``recipe``, then the places of its synapses; see :meth:`Recipe.build`."""
        ordered, rng = self.recipe.build(input_size, seed), _generator(input_size, seed)
        internal = rng.permuted(ordered.adjacency)
        return Wiring(internal, rng.permuted(ordered.sensory_adjacency, axis=1), ordered.output_size)


def _draw_layers(
    rng: np.random.Generator,
    input_size: int,
    sizes: Sequence[int],
    fans: Sequence[int],
    within: Sequence[int],
) -> Wiring:
    """Draws the layers from the sensory side to the motor neurons.

    Args:
        rng: random generator.
        input_size: number of inputs.
        sizes: neurons of each layer.
        fans: number of neurons of each layer that one source connects to; for the motor layer, number of sources that
            connect to one neuron.
        within: number of synapses inside each layer.
    """
    units = sum(sizes)
    # Inputs are rows 0 to input_size - 1, neurons the rows after them.
    matrix = np.zeros((input_size + units, units), np.int8)
    sources, layers, last = slice(0, input_size), [], len(sizes) - 1
    for number, (size, fan, recurrent) in enumerate(zip(sizes, fans, within, strict=True)):
        # Motor neurons have the lowest numbers, so later layers start lower.
        start = sum(sizes[number + 1 :])
        columns, rows = slice(start, start + size), slice(input_size + start, input_size + start + size)
        forward = matrix[sources, columns]
        _fill(rng, forward if number < last else forward.T, fan)
        matrix[rows, columns].flat[rng.choice(size**2, recurrent, replace=False)] = rng.choice(EVEN, recurrent)
        layers.append(range(start, start + size))
        sources = rows

    inter = [f"inter {i}" for i in range(1, last)] if last > 2 else ["inter"]
    names = [*inter, "command", "motor"][-len(sizes) :]
    kinds = [name for name, size in zip(reversed(names), reversed(sizes), strict=True) for _ in range(size)]
    return Wiring(matrix[input_size:], matrix[:input_size], sizes[-1], kinds, layers)


def _fill(rng: np.random.Generator, block: np.ndarray, fan: int) -> None:
    """Draws ``fan`` synapses in each row, then the mean number per column in each column that is still empty."""
    rows, columns = block.shape
    for i in range(rows):
        block[i, rng.choice(columns, fan, replace=False)] = rng.choice(EVEN, fan)
    mean = max(1, rows * fan // columns)
    for j in np.flatnonzero(~block.any(axis=0)):
        block[rng.choice(rows, mean, replace=False), j] = rng.choice(EVEN, mean)


def _generator(input_size: int, seed: int) -> np.random.Generator:
    _check_count("input_size", input_size)
    _check_count("seed", seed, least=0)
    return np.random.default_rng(int(seed))


def _check_units(units: int, outputs: int | None) -> None:
    _check_count("units", units)
    if outputs is not None:
        _check_count("outputs", outputs, most=units, of="the number of units")


def _check_count(name: str, value: object, least: int = 1, most: int | None = None, of: str = "") -> None:
    """Raises unless a value is an int from ``least`` to ``most``, which ``of`` describes."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, but got {value!r}")
    if value < least or (most is not None and value > most):
        expected = f"at least {least}" if most is None else f"from {least} to {most}, {of}"
        raise ValueError(f"{name} must be {expected}, but got {value}")


def _check_share(name: str, value: object, low: float, high: float, bounds: str = "[]") -> None:
    """Raises unless a value is a number from ``low`` to ``high``; a parenthesis in ``bounds`` excludes that end."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, but got {value!r}")
    left_out = (bounds[0] == "(" and value == low) or (bounds[1] == ")" and value == high)
    if left_out or not low <= value <= high:
        raise ValueError(f"{name} must be in {bounds[0]}{low}, {high}{bounds[1]}, but got {value}")


def _signs(name: str, matrix: Any) -> np.ndarray:
    """A read-only int8 copy, after checking that it has only -1, 0 and +1."""
    try:
        array = np.asarray(matrix)
    except ValueError as error:
        raise ValueError(f"{name} must be a matrix, but its rows differ in length") from error
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must be a matrix with rows and columns, but has shape {array.shape}")
    wrong = ~np.isin(array, (-1, 0, 1))
    if wrong.any():
        raise ValueError(f"{name} must hold -1, 0 and +1 only, but holds {array[wrong][0]}")
    array = array.astype(np.int8)
    array.setflags(write=False)
    return array
