"""Draws wirings with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from liquidrnn.wirings import Wiring

# From the colour-blind-safe palette of Okabe and Ito; readable on white and on black.
COLOURS = {
    "sensory": "#56B4E9",
    "inter": "#009E73",
    "command": "#E69F00",
    "motor": "#CC79A7",
    "excitatory": "#0072B2",
    "inhibitory": "#D55E00",
}


def draw(wiring: Wiring, ax: Axes | None, *, labels: bool, ink: str) -> Axes:
    """See :meth:`liquidrnn.wirings.Wiring.draw`."""
    import matplotlib.pyplot as plt
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path
    from matplotlib.transforms import ScaledTranslation

    if ax is None:
        figure, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
        figure.patch.set_alpha(0)

    # A node is a row of [sensory_adjacency; adjacency], so neuron i is node input_size + i.
    columns = [("sensory", list(range(wiring.input_size)))]
    columns += [(kind, [wiring.input_size + i for i in neurons]) for kind, neurons in wiring.columns()]
    tallest = max(len(nodes) for _, nodes in columns)
    places: dict[int, tuple[float, float]] = {}
    for x, (_, nodes) in enumerate(columns):
        # Short columns are spread a little, but not over the full height.
        height = 0.0 if len(nodes) == 1 else 0.3 + 0.7 * (len(nodes) - 1) / (tallest - 1)
        heights = np.linspace(height, -height, len(nodes))
        places |= {node: (float(x), y) for node, y in zip(nodes, heights, strict=True)}
    points_high = ax.get_window_extent().height * 72 / ax.figure.dpi
    diameter = float(np.clip(0.55 * points_high / max(tallest, 2), 2, 17))

    both = np.concatenate([wiring.sensory_adjacency, wiring.adjacency])
    opacity = float(np.clip(100 / max(np.count_nonzero(both), 1), 0.2, 0.8))
    offset = 0.4 * diameter / 72
    aside = ax.transData + ScaledTranslation(offset, offset, ax.figure.dpi_scale_trans)
    styles = {+1: ("excitatory", "solid"), -1: ("inhibitory", "dashed")}
    for sign, (name, dashes) in styles.items():
        colour, curves = COLOURS[name], []
        for pre, post in zip(*np.nonzero(both == sign), strict=True):
            (x0, y0), (x1, y1) = places[int(pre)], places[wiring.input_size + int(post)]
            if pre == wiring.input_size + post:
                ax.plot(
                    x0, y0, ls="", marker="o", ms=0.7 * diameter, mfc="none", mec=colour, mew=1.1,
                    transform=aside, zorder=2,
                )  # fmt: skip
            elif x1 > x0:
                bend = (x1 - x0) / 2
                points = [(x0, y0), (x0 + bend, y0), (x1 - bend, y1), (x1, y1)]
                curves.append(Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]))
            else:
                arc = FancyArrowPatch(
                    (x0, y0), (x1, y1), connectionstyle="arc3,rad=0.3", arrowstyle="-|>",
                    mutation_scale=9, shrinkA=diameter / 2, shrinkB=diameter / 2,
                    color=colour, ls=dashes, lw=1.1, zorder=2,
                )  # fmt: skip
                arc.set_alpha(min(1.0, 2.5 * opacity))
                ax.add_patch(arc)
        bundle = PathCollection(curves, facecolors="none", edgecolors=colour, linestyles=dashes)
        bundle.set(linewidths=0.9, alpha=opacity, zorder=1)
        ax.add_collection(bundle)

    legend: dict[str, Line2D] = {}
    for x, (kind, nodes) in enumerate(columns):
        colour, marker = COLOURS.get(kind.partition(" ")[0], ink), "s" if x == 0 else "o"
        xs, ys = np.transpose([places[node] for node in nodes])
        ax.plot(xs, ys, ls="", marker=marker, ms=diameter, color=colour, mew=0, zorder=3)
        for node in nodes if labels else ():
            number = node if x == 0 else node - wiring.input_size
            ax.text(
                *places[node], str(number), ha="center", va="center_baseline", fontsize=0.55 * diameter,
                color="black", zorder=4,
            )  # fmt: skip
        ax.text(x, 1.16, f"{len(nodes)} {kind}", ha="center", color=ink, fontsize=12)
        legend[kind] = Line2D([], [], ls="", marker=marker, color=colour, ms=8, mew=0, label=kind)
    for name, dashes in styles.values():
        legend[name] = Line2D([], [], color=COLOURS[name], ls=dashes, label=f"{name} synapse")
    ax.legend(
        handles=list(legend.values()), loc="upper center", bbox_to_anchor=(0.5, 0.0),
        ncols=len(legend) if len(legend) <= 6 else -(-len(legend) // 2), frameon=False, labelcolor=ink,
    )  # fmt: skip
    ax.set(xlim=(-0.4, len(columns) - 0.6), ylim=(-1.12, 1.3))
    ax.set_axis_off()
    return ax
