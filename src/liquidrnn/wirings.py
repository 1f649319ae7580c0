"""Wirings: which inputs and neurons are connected, and with what polarity.

A *recipe* (:class:`FullyConnected`, :class:`Random`, :class:`Layered`, :class:`NCP`, :class:`AutoNCP`) says how a
wiring is drawn. It knows neither the number of inputs nor a seed, so one recipe serves any number of layers. ``build``
draws a :class:`Wiring`, a finished graph that never changes. Layers take either.

Neurons are numbered from the motor neurons up: motor, command, inter. The outputs of a layer are thus its first states.

Source of the neuron kinds and of the NCP recipe: Lechner et al., Neural circuit policies enabling auditable autonomy,
Nature Machine Intelligence 2020.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# From the palette of Okabe and Ito, which colour-blind readers can tell apart, on white and on black.
COLOURS = {
    "sensory": "#56B4E9",
    "inter": "#009E73",
    "command": "#E69F00",
    "motor": "#CC79A7",
    "excitatory": "#0072B2",
    "inhibitory": "#D55E00",
}

EVEN = np.array([-1, 1], np.int8)
MOSTLY_EXCITATORY = np.array([-1, 1, 1], np.int8)


class Wiring:
    """A drawn graph of inputs and neurons. Immutable: :meth:`ablate` and :meth:`prune` return new ones.

    Two wirings are equal if they have the same content.

    Args:
        adjacency: (units, units), entry [pre, post] is -1 (inhibitory), 0 (no synapse) or +1 (excitatory).
        sensory_adjacency: (inputs, units), likewise.
        outputs: number of motor neurons, which are neurons 0 to outputs - 1; None is all.
        kinds: kind of each neuron, such as "inter", "command", "motor"; None is "motor" for outputs, "inter" for
            others.
        layers: neurons in their order of evaluation, sensory side first; None is a single layer.

    Attributes:
        adjacency: (units, units) int8, read-only.
        sensory_adjacency: (inputs, units) int8, read-only.
        output_size: number of motor neurons.
        kinds: kind of each neuron.
        layers: neurons of each layer, in their order of evaluation.

    Raises:
        ValueError: shapes or values do not fit together.
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
                f"sensory_adjacency must be (inputs, {units}), as adjacency has {units} units, but got {sensory.shape}"
            )
        _check_sizes(units=units, outputs=outputs)
        outputs = units if outputs is None else int(outputs)
        if kinds is None:
            kinds = ["motor"] * outputs + ["inter"] * (units - outputs)
        if isinstance(kinds, str) or len(kinds) != units:
            raise ValueError(f"kinds must name the kind of each of the {units} units, but got {kinds!r}")
        ordered = tuple(
            tuple(int(i) for i in layer) for layer in ([range(units)] if layers is None else layers)
        )
        if not all(ordered) or sorted(i for layer in ordered for i in layer) != list(range(units)):
            raise ValueError(
                f"layers must hold each of the {units} units exactly once and none may be empty, but got {ordered}"
            )
        set_once = super().__setattr__
        set_once("adjacency", internal)
        set_once("sensory_adjacency", sensory)
        set_once("output_size", outputs)
        set_once("kinds", tuple(str(kind) for kind in kinds))
        set_once("layers", ordered)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Wiring is immutable, so {name} cannot be set; build a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Wiring is immutable, so {name} cannot be deleted; build a new one")

    def __reduce__(self):
        # Arrays come out of a pickle or deepcopy writeable, unless the constructor sees them again.
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
        """Synapses among neurons."""
        return int(np.count_nonzero(self.adjacency))

    @property
    def num_sensory_synapses(self) -> int:
        """Synapses from inputs to neurons."""
        return int(np.count_nonzero(self.sensory_adjacency))

    @property
    def synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Presynaptic neuron, postsynaptic neuron and polarity of each synapse, row by row of ``adjacency``."""
        pre, post = np.nonzero(self.adjacency)
        return pre, post, self.adjacency[pre, post]

    @property
    def sensory_synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input, neuron and polarity of each sensory synapse, row by row of ``sensory_adjacency``."""
        pre, post = np.nonzero(self.sensory_adjacency)
        return pre, post, self.sensory_adjacency[pre, post]

    @property
    def is_fully_connected(self) -> bool:
        """Whether every input and every neuron reaches every neuron."""
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

    def __repr__(self) -> str:
        in_order = [self.kinds[i] for layer in self.layers for i in sorted(layer, reverse=True)]
        kinds = ", ".join(f"{in_order.count(kind)} {kind}" for kind in dict.fromkeys(in_order))
        inputs = "1 input" if self.input_size == 1 else f"{self.input_size} inputs"
        sensory, internal = self.num_sensory_synapses, self.num_synapses
        density = (sensory + internal) / (self.sensory_adjacency.size + self.adjacency.size)
        return (
            f"Wiring({inputs}, {self.units} units ({kinds}), "
            f"{sensory} sensory + {internal} internal synapses, density {density:.0%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The wiring in lists, ints and strings, which JSON can hold; :meth:`from_dict` reads it back.

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
        """The wiring that :meth:`to_dict` wrote.

        Raises:
            ValueError: a key is missing or unknown, or the content does not make a wiring.
        """
        expected = {"adjacency", "sensory_adjacency", "outputs", "kinds", "layers"}
        if set(content) != expected:
            raise ValueError(
                f"content must hold the keys {', '.join(sorted(expected))}, as Wiring.to_dict() writes them, "
                f"but has {', '.join(sorted(content)) or 'none'}"
            )
        return cls(**content)

    def neuron_table(self) -> NeuronTable:
        """One row a neuron: its number, its kind, and how many synapses of each sort it has.

        ``fan_in`` and ``fan_out`` count synapses with neurons, ``sensory_fan_in`` those from inputs;
        ``excitatory_in`` and ``inhibitory_in`` count both.

        Returns:
            A list of dicts, for a data frame say, that prints as an aligned table.

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
        """The wiring after a lesion. Neurons keep their numbers; a removed one has no synapses left.

        Args:
            neurons: neurons to cut off.
            synapses: (pre, post) pairs of neurons to disconnect.
            sensory_synapses: (input, neuron) pairs to disconnect.

        Raises:
            ValueError: a neuron or synapse that is not there.

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
                        f"{name} must hold pairs that this wiring connects, see Wiring.{name}, but holds ({pre}, {post})"
                    )
                after[pre, post] = 0
        for neuron in neurons:
            if not 0 <= neuron < self.units:
                raise ValueError(f"neurons must be from 0 to {self.units - 1}, but got {neuron}")
            internal[neuron], internal[:, neuron], sensory[:, neuron] = 0, 0, 0
        return Wiring(internal, sensory, self.output_size, self.kinds, self.layers)

    def prune(self, fraction: float, *, strength: Any, sensory_strength: Any) -> Wiring:
        """The wiring without its weakest synapses, internal and sensory ones ranked together.

        Args:
            fraction: share of all synapses to remove, from 0 to 1, rounded to whole synapses.
            strength: (num_synapses,), in the order of :attr:`synapses`: weights or saliencies; the sign is ignored.
            sensory_strength: (num_sensory_synapses,), in the order of :attr:`sensory_synapses`.

        Raises:
            ValueError: ``fraction`` out of range, or strengths of another shape or not finite.

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
                raise ValueError(
                    f"{name} must be ({count},), one number a synapse, but got shape {values.shape}"
                )
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
        """Draws the graph, one column a layer, signals from left to right. Needs matplotlib.

        Synapses to a later column are curves; those within a column or back are arcs with a head, downward ones on
        the left and upward ones on the right; a neuron's synapse to itself is a small ring.

        Args:
            ax: where to draw; None makes a figure with a transparent background.
            labels: write the number of each input and neuron.
            ink: colour of text; the default can be read on white and on black.

        Returns:
            The axes.

        Example:
            >>> figure = AutoNCP(32, outputs=4).build(16, seed=1).draw().figure
            >>> figure.savefig("wiring.png", dpi=200)  # doctest: +SKIP
        """
        import matplotlib.pyplot as plt
        from matplotlib.collections import PathCollection
        from matplotlib.lines import Line2D
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path
        from matplotlib.transforms import offset_copy

        if ax is None:
            figure, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
            figure.patch.set_alpha(0)

        # A node is a row of [sensory_adjacency; adjacency], so neuron i is node input_size + i.
        columns: list[tuple[str, list[int]]] = [("sensory", list(range(self.input_size)))]
        for layer in self.layers:
            for kind in sorted({self.kinds[i] for i in layer}, key=lambda kind: kind == "motor"):
                columns.append((kind, [self.input_size + i for i in layer if self.kinds[i] == kind]))
        tallest = max(len(nodes) for _, nodes in columns)
        places: dict[int, tuple[float, float]] = {}
        for x, (_, nodes) in enumerate(columns):
            # Short columns spread a little, so that they neither huddle nor reach from top to bottom.
            height = 0.0 if len(nodes) == 1 else 0.3 + 0.7 * (len(nodes) - 1) / (tallest - 1)
            places |= {
                node: (float(x), y)
                for node, y in zip(nodes, np.linspace(height, -height, len(nodes)), strict=True)
            }
        points_high = ax.get_window_extent().height * 72 / ax.figure.dpi
        diameter = float(np.clip(0.55 * points_high / max(tallest, 2), 3, 17))

        both = np.concatenate([self.sensory_adjacency, self.adjacency])
        opacity = float(np.clip(60 / max(np.count_nonzero(both), 1), 0.2, 0.7))
        aside = offset_copy(ax.transData, fig=ax.figure, x=0.4 * diameter, y=0.4 * diameter, units="points")
        styles = {+1: ("excitatory", "solid"), -1: ("inhibitory", "dashed")}
        for sign, (name, dashes) in styles.items():
            colour, curves = COLOURS[name], []
            for pre, post in zip(*np.nonzero(both == sign), strict=True):
                (x0, y0), (x1, y1) = places[int(pre)], places[self.input_size + int(post)]
                if pre == self.input_size + post:
                    ring = Line2D(
                        [x0], [y0], ls="", marker="o", ms=0.7 * diameter, mfc="none", mec=colour, mew=1.1
                    )
                    ring.set(transform=aside, zorder=2)
                    ax.add_line(ring)
                elif x1 > x0:
                    bend = (x1 - x0) / 2
                    points = [(x0, y0), (x0 + bend, y0), (x1 - bend, y1), (x1, y1)]
                    curves.append(Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]))
                else:
                    arc = FancyArrowPatch(
                        (x0, y0), (x1, y1), connectionstyle="arc3,rad=0.3", arrowstyle="-|>", mutation_scale=9,
                        shrinkA=diameter / 2, shrinkB=diameter / 2, color=colour, ls=dashes, lw=1.1, zorder=2,
                    )  # fmt: skip
                    arc.set_alpha(min(1.0, 2.5 * opacity))
                    ax.add_patch(arc)
            ax.add_collection(
                PathCollection(
                    curves,
                    facecolors="none",
                    edgecolors=colour,
                    linestyles=dashes,
                    linewidths=0.9,
                    alpha=opacity,
                    zorder=1,
                )
            )

        legend: dict[str, Line2D] = {}
        for x, (kind, nodes) in enumerate(columns):
            colour, marker = COLOURS.get(kind.split()[0], ink), "s" if kind == "sensory" else "o"
            xs, ys = np.transpose([places[node] for node in nodes])
            ax.plot(xs, ys, ls="", marker=marker, ms=diameter, color=colour, mew=0, zorder=3)
            for node in nodes if labels else ():
                number = node if kind == "sensory" else node - self.input_size
                ax.text(
                    *places[node],
                    str(number),
                    ha="center",
                    va="center_baseline",
                    fontsize=0.55 * diameter,
                    zorder=4,
                )
            ax.text(
                x,
                1.14,
                f"{kind}\n{len(nodes)}",
                ha="center",
                va="bottom",
                color=ink,
                fontsize=11,
                linespacing=1.3,
            )
            legend[kind] = Line2D([], [], ls="", marker=marker, color=colour, ms=8, mew=0, label=kind)
        for name, dashes in styles.values():
            legend[name] = Line2D([], [], color=COLOURS[name], ls=dashes, label=f"{name} synapse")
        ax.legend(
            handles=list(legend.values()), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(len(legend), 6),
            frameon=False, labelcolor=ink,
        )  # fmt: skip
        ax.set(xlim=(-0.4, len(columns) - 0.6), ylim=(-1.12, 1.4))
        ax.set_axis_off()
        return ax


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


class Recipe(ABC):
    """How to draw a wiring, for any number of inputs. Recipes are immutable.

    Attributes:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
    """

    units: int
    outputs: int | None

    @abstractmethod
    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws a wiring: the same one for the same seed.

        Args:
            input_size: number of inputs.
            seed: from 0 up; seeds numpy's default generator, and nothing is drawn from any other.

        Raises:
            ValueError: ``input_size`` is below 1 or ``seed`` below 0.
            TypeError: either is not an int.
        """


@dataclass(frozen=True)
class FullyConnected(Recipe):
    """Every input and every neuron reaches every neuron; a synapse is excitatory with probability 2/3.

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
        _check_sizes(units=self.units, outputs=self.outputs)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws the polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)
        internal = rng.choice(MOSTLY_EXCITATORY, (self.units, self.units))
        if not self.self_connections:
            np.fill_diagonal(internal, 0)
        return Wiring(internal, rng.choice(MOSTLY_EXCITATORY, (input_size, self.units)), self.outputs)


@dataclass(frozen=True)
class Random(Recipe):
    """A given share of all synapses, drawn at random; a synapse is excitatory with probability 2/3.

    Every input reaches at least one neuron. That it reaches a motor neuron from there is likely, not certain: choose
    :class:`Layered` where it must.

    Args:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
        sparsity: share of the synapses that are missing, from 0 up to, not including, 1; holds for internal and
            sensory synapses apart, rounded to whole synapses.

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
        _check_sizes(units=self.units, outputs=self.outputs)
        _check_share("sparsity", self.sparsity, 0, 1, "[)")

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)

        def draw(taken: np.ndarray) -> np.ndarray:
            """``taken`` is where synapses must be, (sources, units); the rest is drawn."""
            missing = max(0, round(taken.size * (1 - self.sparsity)) - np.count_nonzero(taken))
            taken.flat[rng.choice(np.flatnonzero(~taken), missing, replace=False)] = True
            return taken * rng.choice(MOSTLY_EXCITATORY, taken.shape)

        internal = draw(np.zeros((self.units, self.units), bool))
        one_each = np.zeros((input_size, self.units), bool)
        one_each[np.arange(input_size), rng.integers(self.units, size=input_size)] = True
        return Wiring(internal, draw(one_each), self.outputs)


@dataclass(frozen=True)
class Layered(Recipe):
    """Any number of layers between inputs and motor neurons, each connected to the next by a share of all synapses.

    Layers are called, from the sensory side, inter (inter 1, inter 2, ... where there are several), command and motor.
    Each source reaches the same number of neurons of the next layer, except that each motor neuron hears the same
    number of sources. A neuron nobody reached, and a source that no motor neuron heard, then get the mean number of
    synapses of their layer, so that every input reaches a motor neuron. A synapse is excitatory with probability 1/2.

    Args:
        sizes: neurons of each layer, motor neurons last.
        density: share of the synapses from the layer before (the inputs, for the first) that exist, above 0 and up to
            1; one number, or one per layer. At least one synapse a neuron.
        recurrent: share of the synapses within the layer that exist, from 0 to 1, self-connections included; one
            number, or one per layer. Shares are rounded to whole synapses.

    Raises:
        ValueError: a number is out of range, or there is not one per layer.
        TypeError: a number has the wrong type.

    Example:
        Two layers of inter neurons; recurrence among the command neurons only:

        >>> Layered((12, 8, 6, 2), density=0.5, recurrent=(0, 0, 0.25, 0)).build(4, seed=0)
        Wiring(4 inputs, 28 units (12 inter 1, 8 inter 2, 6 command, 2 motor), 24 sensory + 87 internal synapses, ...
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
        _check_sizes(**{f"sizes[{i}]": size for i, size in enumerate(self.sizes)})
        for name, bounds in (("density", "(]"), ("recurrent", "[]")):
            given = getattr(self, name)
            shares = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else None
            for share in (given,) if shares is None else shares:
                _check_share(name, share, 0, 1, bounds)
            if shares is not None and len(shares) != len(self.sizes):
                raise ValueError(
                    f"{name} must be one number, or one for each of the {len(self.sizes)} layers, but got {given}"
                )
            # Recipes are hashable and equal by content, so what came as a list is kept as a tuple.
            object.__setattr__(self, name, given if shares is None else shares)
        object.__setattr__(self, "sizes", tuple(self.sizes))
        object.__setattr__(self, "units", sum(self.sizes))
        object.__setattr__(self, "outputs", self.sizes[-1])

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)
        density, recurrent = np.broadcast_arrays(self.density, self.recurrent, self.sizes)[:2]
        # A fan-out counts neurons of the layer itself; the motor layer's fan-in counts those of the layer before.
        before = (input_size, *self.sizes)[-2]
        fans = [max(1, round(d * n)) for d, n in zip(density, (*self.sizes[:-1], before), strict=True)]
        within = [round(share * size**2) for share, size in zip(recurrent, self.sizes, strict=True)]
        return _draw_layers(rng, input_size, self.sizes, fans, within)


@dataclass(frozen=True)
class NCP(Recipe):
    """A neural circuit policy: inter, command and motor neurons, sparsely connected, command neurons recurrently.

    Each input reaches ``sensory_fanout`` inter neurons, each inter neuron ``inter_fanout`` command neurons, each motor
    neuron hears ``motor_fanin`` command neurons; ``recurrent_command_synapses`` distinct pairs of command neurons are
    connected, a neuron with itself included. An inter or command neuron nobody reached, and a command neuron that no
    motor neuron heard, then get the mean number of synapses of their layer. A synapse is excitatory with probability
    1/2. :class:`Layered` is the same with any number of layers.

    Args:
        inter: number of inter neurons.
        command: number of command neurons.
        motor: number of motor neurons.
        sensory_fanout: inter neurons reached by each input.
        inter_fanout: command neurons reached by each inter neuron.
        recurrent_command_synapses: synapses among command neurons, exactly.
        motor_fanin: command neurons heard by each motor neuron.

    Raises:
        ValueError: a number is out of range, or more synapses are asked for than there are pairs of neurons.
        TypeError: a number is not an int.

    Source: Lechner et al. 2020, methods, and class NCP of the package ncps, which however draws the recurrent pairs
    with repetition and so ends up with fewer than asked.

    Example:
        The policy that drives a car in the paper, on 32 features:

        >>> NCP(12, 6, 1, 6, 4, 4, 6).build(32, seed=0)
        Wiring(32 inputs, 19 units (12 inter, 6 command, 1 motor), 192 sensory + 58 internal synapses, density 26%)
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
        _check_sizes(inter=self.inter, command=self.command, motor=self.motor)
        pairs = self.command**2
        for name, least, most, whose in (
            ("sensory_fanout", 1, self.inter, "inter neurons"),
            ("inter_fanout", 1, self.command, "command neurons"),
            ("recurrent_command_synapses", 0, pairs, f"pairs of the {self.command} command neurons"),
            ("motor_fanin", 1, self.command, "command neurons"),
        ):
            number = getattr(self, name)
            _check_int(name, number)
            if not least <= number <= most:
                raise ValueError(
                    f"{name} must be from {least} to the number of {whose}, {most}, but got {number}"
                )
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
    """A neural circuit policy from two numbers; :attr:`ncp` is the :class:`NCP` they stand for.

    Of the neurons that are not motor, 40 % are command neurons and the others inter neurons. With d = 1 - sparsity,
    an input reaches d of the inter neurons, an inter neuron d of the command neurons, and a motor neuron hears d of
    them; there are 2 d recurrent synapses per command neuron. All are rounded down, but at least 1.

    Args:
        units: number of neurons.
        outputs: number of motor neurons, at most units - 3.
        sparsity: from 0.1 to 0.9.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number has the wrong type.

    Source: class AutoNCP of the package ncps.

    Example:
        >>> AutoNCP(32, outputs=4).ncp
        NCP(inter=17, command=11, motor=4, sensory_fanout=8, inter_fanout=5, recurrent_command_synapses=11, ...
    """

    units: int
    outputs: int
    sparsity: float = 0.5

    def __post_init__(self):
        _check_sizes(units=self.units)
        _check_sizes(outputs=self.outputs)
        if self.outputs >= self.units - 2:
            raise ValueError(
                f"outputs must be at most units - 3, here {self.units - 3}, to leave inter and command neurons, "
                f"but got {self.outputs}"
            )
        _check_share("sparsity", self.sparsity, 0.1, 0.9)

    @property
    def ncp(self) -> NCP:
        """The recipe in full."""
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


def _draw_layers(
    rng: np.random.Generator,
    input_size: int,
    sizes: Sequence[int],
    fans: Sequence[int],
    within: Sequence[int],
) -> Wiring:
    """Draws layers one after another, from the sensory side to the motor neurons.

    Args:
        rng: source of synapses and polarities.
        input_size: number of inputs.
        sizes: neurons of each layer.
        fans: neurons of each layer that one source reaches; for the motor layer the sources that one neuron hears.
        within: synapses inside each layer.
    """
    units = sum(sizes)
    # Inputs are rows 0 to input_size - 1, neurons the rows after them.
    matrix = np.zeros((input_size + units, units), np.int8)

    def connect(pre: Any, post: Any) -> None:
        matrix[pre, post] = rng.choice(EVEN, np.broadcast(pre, post).size)

    def reach(sources: np.ndarray, targets: np.ndarray, fan: int, by_source: bool) -> None:
        """Gives each source ``fan`` targets, or each target ``fan`` sources, then the forgotten of the other side."""
        givers, takers = (sources, targets) if by_source else (targets, sources)

        def link(one: int, others: np.ndarray, count: int, one_is_source: bool) -> None:
            chosen = rng.choice(others, count, replace=False)
            connect(one, chosen) if one_is_source else connect(chosen, one)

        for giver in givers:
            link(giver, takers, fan, by_source)
        reached = matrix[np.ix_(sources, targets)].any(axis=0 if by_source else 1)
        mean = int(np.clip(len(givers) * fan // len(takers), 1, len(givers)))
        for taker in takers[~reached]:
            link(taker, givers, mean, not by_source)

    sources = np.arange(input_size)
    last, layers = len(sizes) - 1, []
    for number, (size, fan, recurrent) in enumerate(zip(sizes, fans, within, strict=True)):
        # Motor neurons have the lowest numbers, so later layers start lower.
        layer = sum(sizes[number + 1 :]) + np.arange(size)
        reach(sources, layer, fan, by_source=number < last)
        pairs = rng.choice(size**2, recurrent, replace=False)
        connect(input_size + layer[pairs // size], layer[pairs % size])
        sources = input_size + layer
        layers.append(layer)

    inter = [f"inter {i}" for i in range(1, last)] if last > 2 else ["inter"]
    names = [*inter, "command", "motor"][-len(sizes) :]
    kinds = [name for name, size in zip(reversed(names), reversed(sizes), strict=True) for _ in range(size)]
    return Wiring(matrix[input_size:], matrix[:input_size], sizes[-1], kinds, layers)


def _generator(input_size: int, seed: int) -> np.random.Generator:
    _check_sizes(input_size=input_size)
    _check_int("seed", seed)
    if seed < 0:
        raise ValueError(f"seed must be at least 0, but got {seed}")
    return np.random.default_rng(int(seed))


def _check_int(name: str, value: object) -> None:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, but got {value!r}")


def _check_sizes(**sizes: int | None) -> None:
    """Each at least 1, and ``outputs``, which alone may be None, at most ``units``."""
    for name, size in sizes.items():
        if name == "outputs" and size is None:
            continue
        _check_int(name, size)
        if size < 1:
            raise ValueError(f"{name} must be at least 1, but got {size}")
    units, outputs = sizes.get("units"), sizes.get("outputs")
    if units is not None and outputs is not None and outputs > units:
        raise ValueError(f"outputs must be at most the number of units, {units}, but got {outputs}")


def _check_share(name: str, value: Any, low: float, high: float, bounds: str = "[]") -> None:
    """A number from ``low`` to ``high``; a round bracket in ``bounds`` leaves that end out."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number, but got {value!r}")
    left_out = (bounds[0] == "(" and value == low) or (bounds[1] == ")" and value == high)
    if left_out or not low <= value <= high:
        raise ValueError(f"{name} must be in {bounds[0]}{low}, {high}{bounds[1]}, but got {value}")


def _signs(name: str, matrix: Any) -> np.ndarray:
    """A read-only int8 copy, checked to hold -1, 0 and +1 only."""
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
