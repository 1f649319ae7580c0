"""Wirings: which neurons and inputs are connected, and with what polarity.

A *recipe* (:class:`FullyConnected`, :class:`Random`, :class:`Layered`, :class:`NCP`, :class:`AutoNCP`) says how a wiring
is drawn; it knows neither the number of inputs nor a seed, so one recipe serves any number of layers. ``build`` draws a
:class:`Wiring`, a finished graph that never changes. Layers take either.

Neurons are numbered from the motor neurons up: motor, command, then inter neurons, so the outputs of a layer are its first
states. Source of the neuron kinds and of the NCP recipe: Lechner et al., Neural circuit policies enabling auditable
autonomy, Nature Machine Intelligence 2020.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which colour-blind readers can tell apart and which works on white and on black.
COLOURS = {
    "sensory": "#56B4E9",
    "inter": "#009E73",
    "command": "#E69F00",
    "motor": "#D55E00",
    "excitatory": "#2A9D8F",
    "inhibitory": "#C2185B",
}


class Wiring:
    """A drawn graph of inputs and neurons. Immutable: ``ablate`` and ``prune`` return new ones.

    Args:
        adjacency: (units, units), entry [pre, post] is -1 (inhibitory), 0 (no synapse) or +1 (excitatory).
        sensory_adjacency: (inputs, units), likewise.
        outputs: number of motor neurons, which are neurons 0 to outputs - 1; None is all.
        kinds: kind of each neuron, such as "inter", "command", "motor"; None is "motor" for outputs, "inter" for others.
        layers: neurons in their order of evaluation, sensory side first; None is a single layer.

    Raises:
        ValueError: shapes or values do not fit together.

    Example:
        >>> wiring = Wiring([[0, 1], [-1, 0]], [[1, 1]], outputs=1)
        >>> wiring
        Wiring(1 input, 2 units (1 motor, 1 inter), 2 + 2 sensory synapses, 67% of all)
    """

    adjacency: np.ndarray
    sensory_adjacency: np.ndarray
    kinds: tuple[str, ...]
    layers: tuple[tuple[int, ...], ...]

    def __init__(
        self,
        adjacency: Any,
        sensory_adjacency: Any,
        outputs: int | None = None,
        kinds: Sequence[str] | None = None,
        layers: Sequence[Sequence[int]] | None = None,
    ):
        internal = _signs("adjacency", adjacency)
        sensory = _signs("sensory_adjacency", sensory_adjacency)
        units = len(internal)
        if internal.shape[1] != units:
            raise ValueError(f"adjacency must be square, (units, units), but got {internal.shape}")
        if sensory.shape[1] != units:
            raise ValueError(
                f"sensory_adjacency must be (inputs, units) with {units} units, as adjacency has, but got {sensory.shape}"
            )
        outputs = units if outputs is None else outputs
        if not 1 <= outputs <= units:
            raise ValueError(f"outputs must be from 1 to the number of units, {units}, but got {outputs}")
        if kinds is None:
            kinds = ["motor"] * outputs + ["inter"] * (units - outputs)
        if len(kinds) != units:
            raise ValueError(f"kinds must name the kind of each of the {units} units, but has {len(kinds)} entries")
        layers = [range(units)] if layers is None else layers
        flat = sorted(int(neuron) for layer in layers for neuron in layer)
        if flat != list(range(units)):
            raise ValueError(f"layers must hold each of the {units} units exactly once, but hold {flat}")
        set_once = super().__setattr__
        set_once("adjacency", internal)
        set_once("sensory_adjacency", sensory)
        set_once("output_size", int(outputs))
        set_once("kinds", tuple(str(kind) for kind in kinds))
        set_once("layers", tuple(tuple(int(neuron) for neuron in layer) for layer in layers))

    output_size: int

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Wiring is immutable, so {name} cannot be set: build a new one")

    def __reduce__(self):
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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wiring) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.adjacency.tobytes(), self.sensory_adjacency.tobytes(), self.output_size, self.kinds, self.layers))

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.kinds.count(kind)} {kind}" for kind in dict.fromkeys(self.kinds))
        synapses, sensory = self.num_synapses, self.num_sensory_synapses
        share = (synapses + sensory) / (self.adjacency.size + self.sensory_adjacency.size)
        inputs = f"{self.input_size} input{'s' * (self.input_size != 1)}"
        return f"Wiring({inputs}, {self.units} units ({counts}), {synapses} + {sensory} sensory synapses, {share:.0%} of all)"

    def to_dict(self) -> dict[str, Any]:
        """The wiring as JSON knows it; :meth:`from_dict` reads it back."""
        return {
            "adjacency": self.adjacency.tolist(),
            "sensory_adjacency": self.sensory_adjacency.tolist(),
            "outputs": self.output_size,
            "kinds": list(self.kinds),
            "layers": [list(layer) for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Wiring:
        """The wiring that :meth:`to_dict` wrote."""
        return cls(**content)

    def neuron_table(self) -> list[dict[str, Any]]:
        """One row a neuron: number, kind, and how many synapses of each sort come in and go out.

        Example:
            >>> AutoNCP(8, outputs=2).build(3, seed=0).neuron_table()[0]["kind"]
            'motor'
        """
        internal, sensory = self.adjacency, self.sensory_adjacency
        return [
            {
                "neuron": i,
                "kind": kind,
                "fan_in": int(np.count_nonzero(internal[:, i])),
                "sensory_fan_in": int(np.count_nonzero(sensory[:, i])),
                "excitatory_in": int((internal[:, i] > 0).sum() + (sensory[:, i] > 0).sum()),
                "inhibitory_in": int((internal[:, i] < 0).sum() + (sensory[:, i] < 0).sum()),
                "fan_out": int(np.count_nonzero(internal[i])),
            }
            for i, kind in enumerate(self.kinds)
        ]

    def ablate(
        self, *, neurons: Sequence[int] = (), synapses: Sequence[tuple[int, int]] = (), sensory: Sequence[tuple[int, int]] = ()
    ) -> Wiring:
        """The wiring after a lesion. Neurons keep their numbers; a removed neuron has no synapses left.

        Args:
            neurons: neurons to cut off.
            synapses: (pre, post) pairs of neurons to disconnect.
            sensory: (input, neuron) pairs to disconnect.

        Raises:
            ValueError: a neuron or synapse that is not there.
        """
        internal, outside = self.adjacency.copy(), self.sensory_adjacency.copy()
        for name, pairs, matrix in (("synapses", synapses, internal), ("sensory", sensory, outside)):
            for pre, post in pairs:
                inside = 0 <= pre < matrix.shape[0] and 0 <= post < matrix.shape[1]
                if not inside or not matrix[pre, post]:
                    raise ValueError(f"{name} holds ({pre}, {post}), but there is no such synapse in this wiring")
                matrix[pre, post] = 0
        for neuron in neurons:
            if not 0 <= neuron < self.units:
                raise ValueError(f"neurons must be from 0 to {self.units - 1}, but got {neuron}")
            internal[neuron], internal[:, neuron], outside[:, neuron] = 0, 0, 0
        return Wiring(internal, outside, self.output_size, self.kinds, self.layers)

    def prune(self, strength: Any, sensory_strength: Any, fraction: float) -> Wiring:
        """The wiring without its weakest synapses.

        Args:
            strength: (num_synapses,), how much each synapse matters, in the order of :attr:`synapses`.
            sensory_strength: (num_sensory_synapses,), in the order of :attr:`sensory_synapses`.
            fraction: share of all synapses to remove, in [0, 1]; rounded down.
        """
        given = np.abs(np.asarray(strength, float)), np.abs(np.asarray(sensory_strength, float))
        counts = self.num_synapses, self.num_sensory_synapses
        for name, values, count in zip(("strength", "sensory_strength"), given, counts, strict=True):
            if values.shape != (count,):
                raise ValueError(f"{name} must be ({count},), one number a synapse, but got {values.shape}")
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction must be in [0, 1], but got {fraction}")
        weakest = np.argsort(np.concatenate(given), kind="stable")[: int(fraction * sum(counts))]
        (pre, post, _), (sensor, neuron, _) = self.synapses, self.sensory_synapses
        internal, outside = weakest[weakest < counts[0]], weakest[weakest >= counts[0]] - counts[0]
        return self.ablate(
            synapses=list(zip(pre[internal], post[internal], strict=True)),
            sensory=list(zip(sensor[outside], neuron[outside], strict=True)),
        )

    def draw(self, ax: Axes | None = None, *, labels: bool = False, ink: str = "#444444") -> Axes:
        """Draws the graph, one column a layer, signals from left to right. Needs matplotlib.

        Args:
            ax: where to draw; None makes a figure.
            labels: write the number of each input and neuron.
            ink: colour of text, for a dark background a light one.

        Returns:
            The axes, without frame and with a transparent background.

        Example:
            >>> figure = AutoNCP(32, outputs=4).build(16, seed=1).draw().figure
        """
        import matplotlib.pyplot as plt
        from matplotlib.lines import Line2D
        from matplotlib.patches import FancyArrowPatch

        if ax is None:
            _, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
        columns: list[tuple[str, list[tuple[str, int]]]] = [("sensory", [("input", i) for i in range(self.input_size)])]
        for layer in self.layers:
            for kind in dict.fromkeys(self.kinds[i] for i in layer):
                columns.append((kind, [("neuron", i) for i in layer if self.kinds[i] == kind]))
        places = {
            node: (float(x), (len(nodes) - 1) / 2 - row if len(nodes) < 2 else 1 - 2 * row / (len(nodes) - 1))
            for x, (_, nodes) in enumerate(columns)
            for row, node in enumerate(nodes)
        }
        # A short column stays together in the middle instead of stretching over the whole height.
        tallest = max(len(nodes) for _, nodes in columns)
        stretch = {node: (0.25 + 0.75 * len(nodes) / tallest) for _, nodes in columns for node in nodes}
        places = {node: (x, y * stretch[node]) for node, (x, y) in places.items()}
        size = float(np.clip(2600 / tallest, 40, 320))

        edges = [(("input", i), ("neuron", j), s) for i, j, s in zip(*self.sensory_synapses, strict=True)]
        edges += [(("neuron", i), ("neuron", j), s) for i, j, s in zip(*self.synapses, strict=True)]
        alpha = float(np.clip(40 / max(len(edges), 1), 0.15, 0.6))
        for pre, post, sign in edges:
            (x0, y0), (x1, y1) = places[pre], places[post]
            colour = COLOURS["excitatory" if sign > 0 else "inhibitory"]
            if pre == post:
                ax.plot(x0, y0 + 0.05, marker="o", markersize=size**0.5 * 0.9, mfc="none", mec=colour, alpha=0.7, zorder=1)
                continue
            bend = 0.35 if x1 <= x0 else 0.0
            ax.add_patch(
                FancyArrowPatch(
                    (x0, y0),
                    (x1, y1),
                    arrowstyle="-|>" if bend else "-",
                    mutation_scale=8,
                    connectionstyle=f"arc3,rad={bend}",
                    color=colour,
                    linestyle="-" if sign > 0 else (0, (4, 2)),
                    linewidth=1.3 if bend else 0.9,
                    alpha=min(1.0, 2 * alpha) if bend else alpha,
                    zorder=2 if bend else 1,
                )
            )
        handles = []
        for x, (kind, nodes) in enumerate(columns):
            colour = COLOURS[kind.split()[0]] if kind.split()[0] in COLOURS else ink
            xs, ys = zip(*(places[node] for node in nodes), strict=True)
            marker = "s" if kind == "sensory" else "o"
            ax.scatter(xs, ys, size, colour, marker, edgecolors="white", linewidths=0.8, zorder=3)
            if labels:
                for (node_x, node_y), (_, number) in zip(zip(xs, ys, strict=True), nodes, strict=True):
                    ax.text(node_x, node_y, str(number), ha="center", va="center", fontsize=7, color="white", zorder=4)
            ax.text(x, 1.13, f"{kind}\n{len(nodes)}", ha="center", va="bottom", color=ink, fontsize=11, linespacing=1.3)
            handles.append(Line2D([], [], ls="", marker=marker, color=colour, markersize=8, label=kind))
        for name, style in (("excitatory", "-"), ("inhibitory", (0, (4, 2)))):
            handles.append(Line2D([], [], color=COLOURS[name], linestyle=style, label=f"{name} synapse"))
        unique = list({handle.get_label(): handle for handle in handles}.values())
        ax.legend(
            handles=unique, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(len(unique), 6), frameon=False, labelcolor=ink
        )
        ax.set_xlim(-0.4, len(columns) - 0.6)
        ax.set_ylim(-1.15, 1.4)
        ax.set_axis_off()
        ax.patch.set_alpha(0)
        ax.figure.patch.set_alpha(0)
        return ax


class Recipe(ABC):
    """How to draw a wiring, for any number of inputs."""

    units: int

    @abstractmethod
    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws a wiring: the same one for the same seed.

        Args:
            input_size: number of inputs.
            seed: of numpy's generator; nothing is drawn from a hidden one.
        """


@dataclass(frozen=True)
class FullyConnected(Recipe):
    """Every input and every neuron reaches every neuron; two synapses in three are excitatory.

    Args:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
        self_connections: whether neurons have a synapse to themselves.

    Example:
        >>> FullyConnected(4).build(2, seed=0).num_synapses
        16
    """

    units: int
    outputs: int | None = None
    self_connections: bool = True

    def __post_init__(self):
        _check_sizes(units=self.units, outputs=self.outputs)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws the polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)
        adjacency = rng.choice(np.array([-1, 1, 1]), (self.units, self.units))
        if not self.self_connections:
            np.fill_diagonal(adjacency, 0)
        return Wiring(adjacency, rng.choice(np.array([-1, 1, 1]), (input_size, self.units)), self.outputs)


@dataclass(frozen=True)
class Random(Recipe):
    """A given share of all synapses, drawn at random; excitatory and inhibitory evenly.

    Args:
        units: number of neurons.
        outputs: number of motor neurons; None is all.
        sparsity: share of synapses that are missing, in [0, 1).

    Example:
        >>> Random(10, sparsity=0.5).build(4, seed=0).num_synapses
        50
    """

    units: int
    outputs: int | None = None
    sparsity: float = 0.5

    def __post_init__(self):
        _check_sizes(units=self.units, outputs=self.outputs)
        if not 0 <= self.sparsity < 1:
            raise ValueError(f"sparsity must be in [0, 1), but got {self.sparsity}")

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        rng = _generator(input_size, seed)

        def draw(rows: int) -> np.ndarray:
            flat = np.zeros(rows * self.units, np.int8)
            count = max(1, round(flat.size * (1 - self.sparsity)))
            flat[rng.choice(flat.size, count, replace=False)] = rng.choice(np.array([-1, 1]), count)
            return flat.reshape(rows, self.units)

        return Wiring(draw(self.units), draw(input_size), self.outputs)


@dataclass(frozen=True)
class Layered(Recipe):
    """Any number of layers between inputs and motor neurons, each connected to the next by a share of all synapses.

    Args:
        sizes: neurons of each layer, motor neurons last.
        density: share of the synapses from each layer (the inputs first) to the next that exist, one number or one per
            entry of ``sizes``. Each source gets the same fan-out, each motor neuron the same fan-in.
        recurrent: share of the synapses within each layer that exist, one number or one per entry of ``sizes``.

    Example:
        >>> Layered((12, 8, 6, 2), density=0.5, recurrent=(0, 0, 0.3, 0)).build(4, seed=0)
        Wiring(4 inputs, 28 units (2 motor, 6 command, 8 inter 2, 12 inter 1), 112 + 24 sensory synapses, 15% of all)
    """

    sizes: tuple[int, ...]
    density: float | tuple[float, ...] = 0.5
    recurrent: float | tuple[float, ...] = 0.0

    def __post_init__(self):
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if not self.sizes:
            raise ValueError("sizes must name at least one layer, the motor neurons, but is empty")
        _check_sizes(**{f"sizes[{i}]": size for i, size in enumerate(self.sizes)})
        for name, low in (("density", 0.0), ("recurrent", -1.0)):
            shares = self._per_layer(getattr(self, name))
            if len(shares) != len(self.sizes) or not all(low < share <= 1 and share >= 0 for share in shares):
                open_end = "(" if low == 0 else "["
                raise ValueError(
                    f"{name} must be a share in {open_end}0, 1], or one for each of the {len(self.sizes)} layers, "
                    f"but got {getattr(self, name)}"
                )

    def _per_layer(self, value: float | tuple[float, ...]) -> tuple[float, ...]:
        return tuple(value) if isinstance(value, tuple | list) else (value,) * len(self.sizes)

    @property
    def units(self) -> int:  # type: ignore[override]
        """Number of neurons, over all layers."""
        return sum(self.sizes)

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        density, recurrent = self._per_layer(self.density), self._per_layer(self.recurrent)
        sources = (input_size, *self.sizes)
        fans = [max(1, int(d * size)) for d, size in zip(density[:-1], self.sizes, strict=False)]
        fans.append(max(1, int(density[-1] * sources[-2])))
        within = [int(share * size**2) for share, size in zip(recurrent, self.sizes, strict=True)]
        return _draw_layers(self.sizes, fans, within, input_size, seed)


@dataclass(frozen=True)
class NCP(Recipe):
    """A neural circuit policy: inter, command and motor neurons, sparsely connected, command neurons recurrently.

    Each input reaches ``sensory_fanout`` inter neurons, each inter neuron ``inter_fanout`` command neurons, each motor
    neuron hears ``motor_fanin`` command neurons; ``recurrent_command_synapses`` distinct pairs of command neurons are
    connected. A neuron that nobody reached gets the mean number of synapses of its layer. Polarities are even.

    Args:
        inter: number of inter neurons.
        command: number of command neurons.
        motor: number of motor neurons.
        sensory_fanout: inter neurons reached by each input.
        inter_fanout: command neurons reached by each inter neuron.
        recurrent_command_synapses: synapses among command neurons, exactly.
        motor_fanin: command neurons heard by each motor neuron.

    Source: Lechner et al. 2020, methods. ncps draws recurrent pairs with repetition and ends up with fewer.

    Example:
        >>> NCP(12, 6, 1, 6, 4, 4, 6).build(32, seed=0)
        Wiring(32 inputs, 19 units (1 motor, 6 command, 12 inter), 58 + 192 sensory synapses, 26% of all)
    """

    inter: int
    command: int
    motor: int
    sensory_fanout: int
    inter_fanout: int
    recurrent_command_synapses: int
    motor_fanin: int

    def __post_init__(self):
        _check_sizes(inter=self.inter, command=self.command, motor=self.motor)
        for name, most, whose in (
            ("sensory_fanout", self.inter, "inter neurons"),
            ("inter_fanout", self.command, "command neurons"),
            ("motor_fanin", self.command, "command neurons"),
        ):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from 1 to the number of {whose}, {most}, but got {getattr(self, name)}")
        pairs = self.command**2
        if not 0 <= self.recurrent_command_synapses <= pairs:
            raise ValueError(
                f"recurrent_command_synapses must be from 0 to {pairs}, the pairs of {self.command} command neurons, "
                f"but got {self.recurrent_command_synapses}"
            )

    @property
    def units(self) -> int:  # type: ignore[override]
        """Number of neurons."""
        return self.inter + self.command + self.motor

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        return _draw_layers(
            (self.inter, self.command, self.motor),
            [self.sensory_fanout, self.inter_fanout, self.motor_fanin],
            [0, self.recurrent_command_synapses, 0],
            input_size,
            seed,
        )


@dataclass(frozen=True)
class AutoNCP(Recipe):
    """A neural circuit policy from two numbers; see :class:`NCP`.

    Two in five of the neurons that are not motor are command neurons; with d = 1 - sparsity, fan-outs and fan-ins are d
    times the layer they go to or come from, and there are 2 d command recurrent synapses.

    Args:
        units: number of neurons.
        outputs: number of motor neurons, at most units - 3.
        sparsity: from 0.1 to 0.9.

    Source: class AutoNCP of ncps.

    Example:
        >>> AutoNCP(32, outputs=4).build(16, seed=0).output_size
        4
    """

    units: int
    outputs: int
    sparsity: float = 0.5

    def __post_init__(self):
        _check_sizes(units=self.units, outputs=self.outputs)
        if self.outputs >= self.units - 2:
            raise ValueError(
                f"outputs must be at most units - 3 = {self.units - 3}, to leave inter and command neurons, but got {self.outputs}"
            )
        if not 0.1 <= self.sparsity <= 0.9:
            raise ValueError(f"sparsity must be from 0.1 to 0.9, but got {self.sparsity}; FullyConnected has none")

    @property
    def ncp(self) -> NCP:
        """The recipe that the two numbers stand for."""
        density = 1 - self.sparsity
        command = max(int(0.4 * (self.units - self.outputs)), 1)
        inter = self.units - self.outputs - command
        return NCP(
            inter,
            command,
            self.outputs,
            max(int(inter * density), 1),
            max(int(command * density), 1),
            max(int(2 * command * density), 1),
            max(int(command * density), 1),
        )

    def build(self, input_size: int, seed: int) -> Wiring:
        """Draws synapses and polarities; see :meth:`Recipe.build`."""
        return self.ncp.build(input_size, seed)


def _draw_layers(
    sizes: tuple[int, ...], fans: list[int], within: list[int], input_size: int, seed: int
) -> Wiring:
    """Layers from the sensory side to the motor neurons.

    ``fans`` holds the fan-out into each layer, for the motor layer the fan-in; ``within`` the synapses inside each.
    """
    rng = _generator(input_size, seed)
    units = sum(sizes)
    # Motor neurons have the lowest numbers, so layers are numbered from the end.
    starts = [units - sum(sizes[: i + 1]) for i in range(len(sizes))]
    layers = [np.arange(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    # One matrix for all: rows are inputs, then neurons.
    matrix = np.zeros((input_size + units, units), np.int8)

    def connect(pre: np.ndarray | int, post: np.ndarray | int) -> None:
        matrix[pre, post] = rng.choice(np.array([-1, 1]), np.broadcast(pre, post).shape)

    sources = np.arange(input_size)
    for number, (layer, fan) in enumerate(zip(layers, fans, strict=True)):
        if number == len(layers) - 1:
            for neuron in layer:
                connect(rng.choice(sources, min(fan, len(sources)), replace=False), neuron)
        else:
            for source in sources:
                connect(source, rng.choice(layer, fan, replace=False))
            mean = int(np.clip(len(sources) * fan // len(layer), 1, len(sources)))
            for neuron in layer[~matrix[sources][:, layer].any(0)]:
                connect(rng.choice(sources, mean, replace=False), neuron)
        pairs = rng.choice(len(layer) ** 2, within[number], replace=False)
        connect(input_size + layer[pairs // len(layer)], layer[pairs % len(layer)])
        sources = input_size + layer

    names = ["motor", "command", *(f"inter {i}" if len(sizes) > 3 else "inter" for i in range(len(sizes) - 2, 0, -1))]
    kinds = [name for name, size in zip(names, reversed(sizes), strict=False) for _ in range(size)]
    return Wiring(matrix[input_size:], matrix[:input_size], sizes[-1], kinds, [layer.tolist() for layer in layers])


def _generator(input_size: int, seed: int) -> np.random.Generator:
    _check_sizes(input_size=input_size)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an int, but got {type(seed).__name__}: wirings are drawn from explicit seeds")
    return np.random.default_rng(int(seed))


def _check_sizes(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is None:
            continue
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"{name} must be an int, but got {type(size).__name__}")
        if size < 1:
            raise ValueError(f"{name} must be at least 1, but got {size}")
    units, outputs = sizes.get("units"), sizes.get("outputs")
    if units is not None and outputs is not None and outputs > units:
        raise ValueError(f"outputs must be at most the number of units, {units}, but got {outputs}")


def _signs(name: str, matrix: Any) -> np.ndarray:
    """A read-only int8 copy, checked to hold -1, 0 and +1 only."""
    array = np.asarray(matrix)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must be a matrix with at least one row and column, but has shape {array.shape}")
    if not np.isin(array, (-1, 0, 1)).all():
        raise ValueError(f"{name} must hold -1, 0 and +1 only, but holds {array[~np.isin(array, (-1, 0, 1))][0]}")
    array = array.astype(np.int8)
    array.setflags(write=False)
    return array
