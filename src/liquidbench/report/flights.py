"""The part of the report on how a kept network flies: ways from above, a film, what it looks at, and what it holds."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from liquidbench import shifts
from liquidbench.flown import Flown, Frames, Inside, Map, Place
from liquidbench.report import explained, svg
from liquidbench.report.charts import Figure
from liquidbench.report.svg import Axis
from liquidbench.report.tables import Table
from liquidbench.wording import counted, number

OUTCOMES = {"success": "reached the target", "crash": "crashed", "missed": "did not reach the target in time"}

_HOT = np.array([255.0, 176.0, 0.0])
"""Colour of what commands depend on, in pictures."""

_BRIGHTEST = 0.995
"""Quantile of the sizes of a frame's attributions that has the full colour."""


@dataclass(frozen=True)
class Film:
    """A moving picture as a data URL, with its description and caption."""

    url: str
    title: str
    caption: str


@dataclass(frozen=True)
class Flights:
    """What is shown of one network.

    Attributes:
        model: its name.
        words: how to read the figures.
        sentences: what it looks at.
        maps: its ways from above.
        table: outcomes and attention by world.
        film: one flight.
        frames: what it looks at in some frames, by world.
        inside: states and time constants along a flight.
        missing: why something is missing, a sentence each.
    """

    model: str
    words: str
    sentences: list[str]
    maps: Figure
    table: Table
    film: Film
    frames: list[Figure]
    inside: list[Figure]
    missing: Sequence[str]


def flights(found: Flown, title: str, name: str) -> Flights:
    """Arrange how a network flies for the report.

    Args:
        found: its flights.
        title: the task's title.
        name: name of the table's file.
    """
    flown = len(found.places[0].outcomes)
    # Where the world changes, there is more to see.
    filmed = found.places[min(1, len(found.places) - 1)]
    return Flights(
        model=found.model,
        words=(
            f"One network, the kept one, on {counted(flown, 'layout')} of test in each world, the same ones "
            "everywhere: an illustration, not a measurement of success, which is above. Attributions say which pixels "
            "of the present picture commands depend on, not what causes them; what the network remembers is held as "
            "it is."
        ),
        sentences=[words for place in found.places if (words := _looks(found.model, place))],
        maps=_maps(found, title),
        table=_table(found, title, name),
        film=Film(
            f"data:image/gif;base64,{base64.b64encode(filmed.film.tobytes()).decode()}",
            f"Film of a flight of {found.model} on {title}, {_where(filmed)}",
            f"{found.model}, flight 1, {_where(filmed)}, at twice its speed: what the camera sees, sharper than the "
            f"network sees it, and the way so far from above. It {OUTCOMES[filmed.outcomes[0]]}.",
        ),
        frames=[_frames(found, place, title) for place in found.places if len(place.frames.seconds)],
        inside=_inside(found, title),
        missing=found.missing,
    )


def _where(place: Place) -> str:
    if not place.world:
        return "the world of training"
    shift = shifts.recorded(place.world)
    return f"{shift.title.lower()} ({shift.told(place.level)})"


def _looks(model: str, place: Place) -> str:
    """How much of what commands depend on is at the target, in a sentence."""
    if not place.attention:
        return ""
    parts = []
    for one in place.attention:
        span = f" [{number(100 * one.interval[0], 1)}, {number(100 * one.interval[1], 1)}]" if one.interval else ""
        parts.append(
            f"{_share(one.share)}{span} of the {one.method}, {number(one.share / one.pixels, 1)} times as much"
        )
    first, where = place.attention[0], _where(place)
    return (
        f"{where[:1].upper()}{where[1:]}: {_share(first.pixels)} of the pixels show the target. For {model}’s commands "
        f"they have {'; and '.join(parts)} ({counted(first.frames, 'frame')} of {counted(first.flights, 'flight')}, "
        "95 % intervals over flights)."
    )


def _share(share: float) -> str:
    return f"{number(100 * share, 1)}{svg.THIN_SPACE}%"


def _table(found: Flown, title: str, name: str) -> Table:
    methods = list(dict.fromkeys(one.method for place in found.places for one in place.attention))
    commands = list(dict.fromkeys(name for place in found.places for one in place.attention for name in one.commands))
    rows, records = [], []
    for place in found.places:
        where = _where(place)
        reached, crashed = (place.outcomes.count(word) for word in ("success", "crash"))
        known = {one.method: one for one in place.attention}
        texts = [f"{reached} of {len(place.outcomes)}", str(crashed)]
        texts.append(_share(place.attention[0].pixels) if place.attention else "")
        for method in methods:
            one = known.get(method)
            texts.append("" if one is None else _share(one.share))
            of = one.commands if one else {}
            told = [number(100 * of[name], 1) if name in of else "–" for name in commands]
            texts.append(", ".join(told) if one else "")
            for which, share in {"all": one.share, **one.commands}.items() if one else ():
                bounds = one.interval if one and which == "all" else None
                records.append(
                    {
                        "model": found.model,
                        "world": place.world,
                        "level": place.level,
                        "method": method,
                        "command": which,
                        "share": share,
                        "low": bounds[0] if bounds else None,
                        "high": bounds[1] if bounds else None,
                        "pixels": one.pixels if one else None,
                        "frames": one.frames if one else 0,
                        "flights": one.flights if one else 0,
                        "reached": reached,
                        "crashed": crashed,
                    }
                )
        rows.append([where[:1].upper() + where[1:], *texts])
    heads = [(head, True) for method in methods for head in (f"Of {method}", f"of {', '.join(commands)}")]
    return Table(
        name,
        f"Flights of {found.model}",
        f"{title}: flights of {found.model} that were looked at, and the share of what its commands depend on that is "
        "on the target’s pixels, for all commands and for each, a mean over flights. A network that looks nowhere in "
        "particular has the target’s share of the pixels.",
        [("World", False), ("Reached", True), ("Crashed", True), ("Target’s pixels", True), *heads],
        rows,
        records,
    )


def _maps(found: Flown, title: str) -> Figure:
    """A row for each world and a column for each flight."""
    side, gap, left, top = 208.0, 14.0, 6.0, 22.0
    columns = max(len(place.maps) for place in found.places)
    drawing, y = [], 0.0
    for place in found.places:
        where = _where(place)
        drawing.append(svg.words(where[:1].upper() + where[1:], left, y + 13, "head", "start"))
        for column, one in enumerate(place.maps):
            x = left + column * (side + gap)
            drawing.append(_map(one, place, column, x, y + top, side))
        y += top + side + 30
    words = (
        f"From above: the first {counted(columns, 'flight')} in each world, from the triangle on, with trees, "
        "buildings (grey), distractors (hollow) and the target (red); a flight has to end within the dashed circle, "
        "facing the target. A dot: reached; a cross: crashed; a ring: out of time."
    )
    width = left + columns * (side + gap)
    return Figure(
        svg.drawing(f"Ways of {found.model} on {title}, from above", width, y - 8, drawing), words, broad=True
    )


def _map(one: Map, place: Place, column: int, x: float, y: float, side: float) -> str:
    """One flight in a square with its corner at (x, y), ahead upward."""
    points = np.concatenate([one.path, one.targets, one.targets[-1:] + place.near, one.targets[-1:] - place.near])
    low, high = points.min(axis=0) - 0.8, points.max(axis=0) + 0.8
    centre, scale = (low + high) / 2, side / float((high - low).max())

    def at(point: Sequence[float] | NDArray[np.float32]) -> tuple[float, float]:
        # The world's y is to the left.
        return x + side / 2 - (point[1] - centre[1]) * scale, y + side / 2 - (point[0] - centre[0]) * scale

    corner, square = f'x="{x:.1f}" y="{y:.1f}"', f'width="{side:.0f}" height="{side:.0f}"'
    parts = [f'<rect class="ground" {corner} {square}/>']
    inside = []
    for kind, spot, half, yaw in zip(one.kinds, one.places, one.halves, one.yaws, strict=True):
        px, py = at(spot)
        if kind == 0:
            inside.append(f'<circle class="tree" cx="{px:.1f}" cy="{py:.1f}" r="{half[0] * scale:.1f}"/>')
            continue
        # Half the edge along the solid's own x, which is upward without a turn.
        wide, high_ = 2 * half[1] * scale, 2 * half[0] * scale
        style = "building" if kind == 1 else "decoy"
        inside.append(
            f'<rect class="{style}" x="{px - wide / 2:.1f}" y="{py - high_ / 2:.1f}" width="{wide:.1f}" '
            f'height="{high_:.1f}" transform="rotate({-math.degrees(yaw):.0f} {px:.1f} {py:.1f})"/>'
        )
    gx, gy = at(one.targets[-1])
    inside.append(f'<circle class="near" cx="{gx:.1f}" cy="{gy:.1f}" r="{place.near * scale:.1f}"/>')
    for target in one.targets:
        tx, ty = at(target)
        inside.append(f'<rect class="goal" x="{tx - 4:.1f}" y="{ty - 4:.1f}" width="8" height="8"/>')
    clip = f'<svg {corner} {square} viewBox="{x:.1f} {y:.1f} {side:.0f} {side:.0f}">'
    parts.append(f"{clip}{''.join(inside)}</svg>")
    way = [at(point) for point in one.path]
    outcome = place.outcomes[column]
    parts.append(f'<path class="way" d="{svg.path(way)}"/>')
    (sx, sy), (ex, ey) = way[0], way[-1]
    parts.append(f'<path class="start" d="M{sx:.1f} {sy - 6:.1f}l4.5 9h-9z"/>')
    end = {
        "success": f'<circle class="end" cx="{ex:.1f}" cy="{ey:.1f}" r="4"/>',
        "crash": f'<path class="end" d="M{ex - 4:.1f} {ey - 4:.1f}l8 8m0 -8l-8 8"/>',
        "missed": f'<circle class="end open" cx="{ex:.1f}" cy="{ey:.1f}" r="4"/>',
    }[outcome]
    parts.append(end)
    parts.append(svg.words(f"Flight {column + 1}", x + side / 2, y + side + 15, "ticks", "middle"))
    said = f"Flight {column + 1}, {_where(place)}: {OUTCOMES[outcome]}, {number((len(one.path) - 1) / 10, 1)} s"
    return f'<g class="flight {outcome} at"><title>{escape(said)}</title>{"".join(parts)}</g>'


def _frames(found: Flown, place: Place, title: str) -> Figure:
    """Some frames: what was seen, integrated gradients, and the effects of covered patches."""
    frames = place.frames
    height, width = frames.pictures.shape[1:3]
    scale, gap, left, top = 1.75, 8.0, 62.0, 22.0
    wide, high = scale * width, scale * height
    rows = (("seen", None), ("gradients", frames.gradients), ("covered", _as_pixels(frames)))
    drawing = []
    for column, seconds in enumerate(frames.seconds):
        x = left + column * (wide + gap)
        drawing.append(svg.words(f"{number(float(seconds), 1)} s", x + wide / 2, 13, "ticks", "middle"))
        for row, (_, sizes) in enumerate(rows):
            y = top + row * (high + gap)
            shown = frames.pictures[column] if sizes is None else _heated(frames.pictures[column], sizes[column])
            drawing.append(
                f'<image x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" href="{svg.picture(shown)}"/>'
            )
            where = np.argwhere(frames.targets[column])
            if len(where) and sizes is None:
                (y0, x0), (y1, x1) = where.min(0), where.max(0) + 1
                drawing.append(
                    f'<rect class="frame" x="{x + scale * x0 - 2:.1f}" y="{y + scale * y0 - 2:.1f}" '
                    f'width="{scale * (x1 - x0) + 4:.1f}" height="{scale * (y1 - y0) + 4:.1f}"/>'
                )
    for row, (name, _) in enumerate(rows):
        drawing.append(svg.words(name, left - 8, top + row * (high + gap) + high / 2 + 4, "ticks", "end"))
    where = _where(place)
    words = (
        f"{where[:1].upper()}{where[1:]}, flight 1: what {found.model} saw, the target framed; in ochre, what its "
        "commands depend on, by integrated gradients and by how much they change where a patch is covered."
    )
    across = left + len(frames.seconds) * (wide + gap)
    drawn = svg.drawing(f"What {found.model} looks at on {title}, {where}", across, top + 3 * (high + gap), drawing)
    return Figure(drawn, words)


def _as_pixels(frames: Frames) -> NDArray[np.float32]:
    """Effects of patches at the size of pictures."""
    height, width = frames.pictures.shape[1:3]
    _, rows, columns = frames.patches.shape
    return frames.patches.repeat(height // rows, axis=1).repeat(width // columns, axis=2)


def _heated(picture: NDArray[np.uint8], sizes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture in grey, with what counts in it in colour."""
    # A few single pixels would else leave all others without colour.
    strongest = float(np.quantile(sizes, _BRIGHTEST)) or float(sizes.max()) or 1.0
    share = np.clip(sizes / strongest, 0, 1)[..., None]
    grey = 40 + 0.45 * picture.mean(axis=-1, keepdims=True)
    return np.round((1 - share) * grey + share * _HOT).astype(np.uint8)


def _inside(found: Flown, title: str) -> list[Figure]:
    """States, and time constants if there are any, along the first flight in the world of training."""
    inside, where = found.places[0].inside, "flight 1 in the world of training"
    figures = [_states(inside, found.model, where, title)]
    if len(inside.time_constants):
        figures.append(
            explained.constants(
                where[:1].upper() + where[1:],
                inside.time_constants,
                times=inside.times,
                spans=inside.spans,
                unit="s",
                model=found.model,
                title=title,
            )
        )
    return figures


def _states(inside: Inside, model: str, where: str, title: str) -> Figure:
    """A strip of cells for each unit."""
    units = inside.states.shape[1]
    left, width, top = 56.0, 480.0, 24.0
    strip = 224.0 / units
    bounds = explained.parts(len(inside.times))
    counts = np.diff(bounds)
    means = np.add.reduceat(inside.states.astype(np.float64), bounds[:-1], axis=0) / counts[:, None]
    axis = Axis.over(inside.times.tolist(), left, width - 14, padding=0.0)
    edges = [axis.at(float(inside.times[start])) for start in bounds[:-1]]
    edges.append(max(axis.at(float(inside.times[-1])), edges[-1]) + 3)
    largest = float(np.abs(means).max()) or 1.0
    cells: dict[tuple[str, int], list[str]] = {}
    for unit in range(units):
        y = top + strip * unit
        for part, value in enumerate(means[:, unit]):
            if level := round(explained.LEVELS * abs(value) / largest):
                wide = max(edges[part + 1] - edges[part], 0.6)
                cell = f"M{edges[part]:.1f} {y:.1f}h{wide:.1f}v{strip - 0.6:.1f}h{-wide:.1f}z"
                cells.setdefault(("raises" if value > 0 else "lowers", level), []).append(cell)
    bottom = top + strip * units
    drawing = [
        svg.grid_x(axis, top, bottom, "Time (s)"),
        svg.words(f"Outputs of {counted(units, 'unit')}", 2, 10, "label", "start"),
    ]
    for (tone, level), squares in sorted(cells.items()):
        path = f'<path class="heat" fill-opacity="{level / explained.LEVELS:.2f}" d="{"".join(squares)}"/>'
        drawing.append(f'<g class="{tone}">{path}</g>')
    words = (
        f"{where[:1].upper()}{where[1:]}: outputs of the layer’s units, one a row; ochre above zero, violet below, the "
        f"strongest {number(largest, 2)}."
    )
    return Figure(svg.drawing(f"States of {model} on {title}, {where}", width, bottom + 42, drawing), words)
