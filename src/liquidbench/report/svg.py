"""Elements of all figures: marks of models, axes, placement of names, and parts of an SVG.

Colours, strokes and fonts come from the page's style sheet through classes and variables, so that a drawing works in
light and dark mode and in print. A model is recognised by its family's colour, by a shape (filled for liquid, hollow
for recurrent, strokes for others, stars for user-defined) with a dash, and by its name next to it. The same numbers
always give the same text.
"""

import base64
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from liquidbench.models import FAMILIES, Family
from liquidbench.wording import number

Box = tuple[float, float, float, float]

MINUS, THIN_SPACE = "\N{MINUS SIGN}", "\N{NARROW NO-BREAK SPACE}"
FONT = 12.0
# Mean width of a sans-serif glyph in em, rather too wide than too narrow, as labels are placed with it.
GLYPH = 0.62
# Smallest share of an axis for the data if a reference line is far from them.
ROOM_FOR_DATA = 0.4


@dataclass(frozen=True)
class Mark:
    """The appearance of a model in every figure.

    Attributes:
        label: its name, next to its points.
        family: determines colour and fill.
        place: its number within the family; determines shape and dash.
        apart: whether it is outside the comparison; drawn fainter.
        behind: whether it is faint and unnamed until the reader points at it, because there are many models.
    """

    label: str
    family: Family
    place: int
    apart: bool = False
    behind: bool = False


def quantity(value: float, unit: str) -> str:
    """A cost with two significant figures and a prefix of its unit: ``"1"``, ``"s"``, ``"B"``, ``"J"``, ``"cores"``.

    ``"×"`` is a multiple and ``"/s"`` a rate; these have no prefix.

    Example:
        >>> quantity(0.00042, "s"), quantity(3_400_000, "B"), quantity(4012, "1"), quantity(2.51, "×")
        ('420\N{NARROW NO-BREAK SPACE}µs', '3.4\N{NARROW NO-BREAK SPACE}MB', '4,012', '2.5×')
        >>> quantity(0.042, "J"), quantity(1_234_567, "/s"), quantity(3.14, "/s")
        ('42\N{NARROW NO-BREAK SPACE}mJ', '1,200,000/s', '3.1/s')
    """
    if unit == "1":
        return number(round(value))
    if unit == "cores":
        return f"{value:.2f}{THIN_SPACE}cores"
    if unit == "×":
        return f"{float(f'{value:.2g}'):,g}×"
    if unit == "/s":
        rounded = float(f"{value:.2g}")
        return f"{rounded:,.0f}/s" if rounded >= 10 else f"{rounded:g}/s"
    if value == 0:
        return f"0{THIN_SPACE}{unit}"
    large = ((1e12, f"T{unit}"), (1e9, f"G{unit}"), (1e6, f"M{unit}"), (1e3, f"k{unit}"))
    small = ((1.0, unit), (1e-3, f"m{unit}"), (1e-6, f"µ{unit}"), (1e-9, f"n{unit}"))
    steps = {"s": small, "J": large + small}.get(unit, (*large, (1.0, unit)))
    sized = ((float(f"{abs(value) / factor:.2g}"), name) for factor, name in steps)
    size, name = next(((size, name) for size, name in sized if size >= 1), (abs(value) / steps[-1][0], steps[-1][1]))
    text = f"{size:,.1f}" if size < 10 and size != int(size) else f"{size:,.0f}"
    return f"{MINUS if value < 0 else ''}{text}{THIN_SPACE}{name}"


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high.

    Example:
        >>> ticks(0.31, 0.98)
        [0.4, 0.6, 0.8]
    """
    if not high > low:
        return [low]
    power = math.floor(math.log10((high - low) / count))
    best: list[float] = []
    for exponent, factor in ((exponent, factor) for exponent in (power + 1, power, power - 1) for factor in (5, 2, 1)):
        step = factor * 10.0**exponent
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        # Coarser steps come first, and win ties.
        if abs(last - first + 1 - count) < abs(len(best) - count):
            best = [round(index * step, max(0, -exponent)) + 0.0 for index in range(first, last + 1)]
    return best


def log_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers for a logarithmic axis: powers of ten, or 1-2-5, or linear steps for a short range.

    Example:
        >>> log_ticks(80, 12_000)
        [100.0, 1000.0, 10000.0]
        >>> log_ticks(2_900, 5_700)
        [3000.0, 4000.0, 5000.0]
    """
    if high / low < 4:
        return ticks(low, high, count)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [factor * 10.0**power for power in exponents for factor in factors]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(found) >= 3:
            break
    stride = math.ceil(len(found) / (count + 2))
    return found[::stride]


def spread_labels(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions as little as needed so that they are `gap` apart within low and high, in the same order.

    Example:
        >>> spread_labels([10.0, 11.0, 40.0], 12.0, 0.0, 100.0)
        [4.5, 16.5, 40.0]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    # Clusters of touching labels, each centred on its members' wanted positions: (sum of wanted starts, size).
    clusters: list[list[float]] = []
    for index in order:
        clusters.append([wanted[index], 1])
        while len(clusters) > 1 and _start(clusters[-2], gap) + clusters[-2][1] * gap > _start(clusters[-1], gap):
            total, size = clusters.pop()
            clusters[-1] = [clusters[-1][0] + total, clusters[-1][1] + size]
    placed = []
    for cluster in clusters:
        placed += [_start(cluster, gap) + step * gap for step in range(int(cluster[1]))]
    for limit in (1, -1):
        edge = low if limit == 1 else high
        for index in range(len(placed))[::limit]:
            placed[index] = max(placed[index], edge) if limit == 1 else min(placed[index], edge)
            edge = placed[index] + limit * gap
    result = [0.0] * len(wanted)
    for position, index in zip(placed, order, strict=True):
        result[index] = position
    return result


def _start(cluster: Sequence[float], gap: float) -> float:
    return cluster[0] / cluster[1] - (cluster[1] - 1) * gap / 2


@dataclass(frozen=True)
class Axis:
    """A scale from data to drawing units, with its ticks."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    unit: str = "1"
    places: tuple[float, ...] = ()

    @classmethod
    def over(
        cls,
        values: Iterable[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        unit: str = "1",
        count: int = 5,
        padding: float = 0.06,
    ) -> "Axis":
        """An axis that contains all values, with some padding."""
        held = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
        low, high = min(held), max(held)
        if log:
            low, high = math.log(low), math.log(high)
        # If values hardly differ, the axis must not stretch the difference to the full width.
        least = math.log(2.5) if log else max(1e-9, 0.02 * max(abs(low), abs(high)))
        if high - low < least:
            middle = (low + high) / 2
            low, high = middle - least / 2, middle + least / 2
        room = padding * (high - low)
        low, high = low - room, high + room
        if log:
            low, high = math.exp(low), math.exp(high)
        places = log_ticks(low, high, count) if log else ticks(low, high, count)
        return cls(low, high, start, end, log, unit, tuple(places))

    def at(self, value: float) -> float:
        """The position of a value in drawing units; values beyond the axis are at its edge."""
        scale: Callable[[float], float] = math.log if self.log else float
        if self.log and value <= 0:
            return self.start
        share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def labels(self) -> list[str]:
        """The texts of the ticks, all with the same number of decimals."""
        if self.unit != "1" and self.log:
            return [quantity(place, self.unit) for place in self.places]
        decimals, rounding = 0, 1e-6 * max(map(abs, self.places), default=0.0)
        while decimals < 15 and any(abs(place - round(place, decimals)) > rounding for place in self.places):
            decimals += 1
        if self.log:
            return [
                f"{place:g}" if 1e-4 <= place < 1 else number(place, decimals if place < 10 else 0)
                for place in self.places
            ]
        return [number(place, decimals) for place in self.places]


DASHES = ("", "7 3", "2 3", "9 3 2 3", "14 4", "4 2 1 2 1 2")


def glyph(mark: Mark, x: float, y: float, size: float = 4.5) -> str:
    """The model's shape, centred on (x, y)."""
    r = size
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>',
        _path([(-r, -r), (r, -r), (r, r), (-r, r)], x, y, 0.9),
        _path([(0, -r), (r, 0), (0, r), (-r, 0)], x, y, 1.3),
        _path([(0, -r), (r, 0.8 * r), (-r, 0.8 * r)], x, y, 1.15),
        _path([(0, r), (r, -0.8 * r), (-r, -0.8 * r)], x, y, 1.15),
        _path([(-r, -0.5 * r), (0, -r), (r, -0.5 * r), (r, 0.5 * r), (0, r), (-r, 0.5 * r)], x, y, 1.1),
    )
    cross = f"M{x - r:.1f} {y - r:.1f}l{2 * r:.1f} {2 * r:.1f}m0 {-2 * r:.1f}l{-2 * r:.1f} {2 * r:.1f}"
    plus = f"M{x:.1f} {y - 1.3 * r:.1f}v{2.6 * r:.1f}m{-1.3 * r:.1f} {-1.3 * r:.1f}h{2.6 * r:.1f}"
    strokes = (f'<path d="{cross}"/>', f'<path d="{plus}"/>', f'<path d="{cross}{plus}"/>')
    stars = tuple(_path(_star(points, r), x, y, 1.35) for points in (4, 5, 3, 6))
    chosen = {"strokes": strokes, "stars": stars}.get(FAMILIES[mark.family].glyphs, shapes)
    again, place = divmod(mark.place, len(chosen))
    # If a family has more members than shapes, shapes are reused with a dot, then with a bar.
    spot = f'<circle class="spot" cx="{x:.1f}" cy="{y:.1f}" r="{0.42 * r:.1f}"/>'
    bar = f'<path class="spot" d="M{x - 0.8 * r:.1f} {y - 0.2 * r:.1f}h{1.6 * r:.1f}v{0.4 * r:.1f}h{-1.6 * r:.1f}z"/>'
    return f'<g class="glyph">{chosen[place]}{("", spot, bar)[min(again, 2)]}</g>'


def _star(points: int, r: float) -> list[tuple[float, float]]:
    """Corners of a star with a point at the top."""
    radii = [r if corner % 2 == 0 else 0.45 * r for corner in range(2 * points)]
    turns = [math.pi * corner / points for corner in range(2 * points)]
    return [(radius * math.sin(turn), -radius * math.cos(turn)) for radius, turn in zip(radii, turns, strict=True)]


def _path(corners: Sequence[tuple[float, float]], x: float, y: float, scale: float) -> str:
    points = " ".join(f"{x + scale * dx:.1f} {y + scale * dy:.1f}" for dx, dy in corners)
    return f'<path d="M{points}z"/>'


def key(mark: Mark) -> str:
    """The model's shape alone, for tables and legends; decorative, since its name is next to it."""
    return f'<svg class="key {classes(mark)}" viewBox="0 0 16 16" aria-hidden="true">{glyph(mark, 8, 8)}</svg>'


def classes(mark: Mark) -> str:
    """The CSS classes that give a model its colour."""
    return mark.family + (" apart" if mark.apart else "") + (" behind" if mark.behind else "")


def style_of_families() -> str:
    """CSS rules of each family: its colour, and the fill of its glyphs."""
    glyphs = {
        "hollow": ".{0} .glyph {{ fill: var(--card); }} .{0} .spot {{ fill: var(--c); }}",
        "strokes": ".{0} .glyph {{ fill: none; stroke-width: 2.2; }} .{0} .spot {{ fill: var(--c); }}",
    }
    rules = []
    for family, look in FAMILIES.items():
        rules.append(f":root {{ --{family}: light-dark({look.light}, {look.dark}); }}")
        rules.append(f".{family} {{ --c: var(--{family}); }}")
        rules.append(glyphs.get(look.glyphs, "").format(family))
    return "\n".join(filter(None, rules))


def group(mark: Mark, parts: Iterable[str], text: str | None) -> str:
    """A group of all elements of a model in a drawing; `text` is the tooltip."""
    title = f"<title>{escape(text)}</title>" if text else ""
    hover = " at" if text else ""
    return f'<g class="model {classes(mark)}{hover}" data-model="{escape(mark.label)}">{title}{"".join(parts)}</g>'


def drawing(title: str, width: float, height: float, parts: Iterable[str], classes: str = "") -> str:
    """A drawing with a title for screen readers; one of class "cell" is part of the text next to it."""
    shown = "" if classes == "cell" else f"<title>{escape(title)}</title>"
    # Round outward: a fraction of a unit lost at the edge would cut descenders.
    return (
        f'<svg class="figure {classes}" viewBox="0 0 {math.ceil(width)} {math.ceil(height)}" role="img" '
        f'style="--width:{math.ceil(width)}px" aria-label="{escape(title)}">'
        f"{shown}{''.join(parts)}</svg>"
    )


def words(text: str, x: float, y: float, classes: str, anchor: str) -> str:
    """Text whose start, middle or end (`anchor`) is at (x, y)."""
    return f'<text class="{classes}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def picture(pixels: NDArray[np.uint8]) -> str:
    """A picture (height, width, 3) as the data URL of a PNG.

    Example:
        >>> picture(np.zeros((2, 2, 3), np.uint8))[:32]
        'data:image/png;base64,iVBORw0KGg'
    """
    height, width, _ = pixels.shape
    # Filter 2: each row less the one above, which compresses better.
    above = np.concatenate([np.zeros_like(pixels[:1]), pixels[:-1]])
    rows = (pixels - above).reshape(height, -1)
    content = np.concatenate([np.full((height, 1), 2, np.uint8), rows], axis=1).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(content, 9)), chunk(b"IEND", b""))
    return f"data:image/png;base64,{base64.b64encode(bytes.fromhex('89504e470d0a1a0a') + b''.join(parts)).decode()}"


def width_of(text: str) -> float:
    """Width of a text in drawing units."""
    return len(text) * FONT * GLYPH


def longest(names: Iterable[str]) -> float:
    """Width of the longest name, up to a limit."""
    return min(max((width_of(name) for name in names), default=0.0), 170.0)


def path(points: Sequence[tuple[float, float]]) -> str:
    """An SVG path through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def dash(mark: Mark) -> str:
    """The dash pattern of the model."""
    return DASHES[mark.place % len(DASHES)]


def grid_x(
    axis: Axis,
    top: float,
    bottom: float,
    label: str,
    texts: Sequence[str] | None = None,
    across: tuple[float, float] | None = None,
) -> str:
    """A horizontal axis: a line and a number for each tick, and the axis' name below it."""
    start, end = across or (axis.start, axis.end)
    parts = [f'<path class="axis" d="M{start:.1f} {bottom:.1f}H{end:.1f}"/>']
    free = -math.inf
    for place, text in zip(axis.places, texts or axis.labels(), strict=True):
        parts.append(f'<path class="grid" d="M{axis.at(place):.1f} {top:.1f}V{bottom:.1f}"/>')
        # A tick without its number is better than overlapping numbers.
        if axis.at(place) - width_of(text) / 2 >= free:
            parts.append(words(text, axis.at(place), bottom + 16, "ticks", "middle"))
            free = axis.at(place) + width_of(text) / 2 + 8
    parts.append(words(label, (start + end) / 2, bottom + 35, "label", "middle"))
    return "".join(parts)


def grid_y(axis: Axis, left: float, right: float, label: str) -> str:
    """A vertical axis: a line and a number for each tick, and the axis' name above it."""
    parts = []
    for place, text in zip(axis.places, axis.labels(), strict=True):
        parts.append(f'<path class="grid" d="M{left:.1f} {axis.at(place):.1f}H{right:.1f}"/>')
        parts.append(words(text, left - 7, axis.at(place) + 4, "ticks", "end"))
    # Horizontal above the axis, since rotated text is hard to read.
    parts.append(words(label, 2, 10, "label", "start"))
    return "".join(parts)


def held(values: Sequence[float], references: Sequence[tuple[float, str]]) -> list[float]:
    """Values that an axis must include: the data, and references that are not too far away."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    near = [at for at, _ in references if high - low >= ROOM_FOR_DATA * (max(high, at) - min(low, at))]
    # Two references, one on either side, may be too far although each alone is not.
    if near and high - low < ROOM_FOR_DATA * (max(high, *near) - min(low, *near)):
        near = [min(near, key=lambda at: max(at - high, low - at))]
    return [*finite, *near]


def reference_x(axis: Axis, reference: tuple[float, str], level: float, bottom: float) -> str:
    """A vertical line with its name at the upper end."""
    value, name = reference
    if not axis.low <= value <= axis.high:
        before = value < axis.low
        text, at = (f"← {name}", axis.start) if before else (f"{name} →", axis.end)
        return f'<g class="reference">{words(text, at, level, "name", "start" if before else "end")}</g>'
    at = axis.at(value)
    anchor = "start" if at < (axis.start + axis.end) / 2 else "end"
    return (
        f'<g class="reference"><path d="M{at:.1f} {level - 8:.1f}V{bottom:.1f}"/>'
        f"{words(name, at + (5 if anchor == 'start' else -5), level, 'name', anchor)}</g>"
    )


def references_y(
    axis: Axis, references: Sequence[tuple[float, str]], left: float, right: float
) -> tuple[list[str], list[Box]]:
    """Horizontal lines, and the boxes of their names."""
    low, high = sorted((axis.start, axis.end))
    within = [axis.low <= value <= axis.high for value, _ in references]
    levels = spread_labels([axis.at(value) - 5 for value, _ in references], FONT + 2, low + 12, high - 5)
    drawn, boxes = [], []
    for (value, name), inside, level in zip(references, within, levels, strict=True):
        at = axis.at(value)
        path = f'<path d="M{left:.1f} {at:.1f}H{right:.1f}"/>' if inside else ""
        arrow = "" if inside else "↓ " if at > (low + high) / 2 else "↑ "
        drawn.append(f'<g class="reference">{path}{words(arrow + name, right - 3, level, "name", "end")}</g>')
        boxes.append((right - width_of(arrow + name), level - 11, right, level + 6))
    return drawn, boxes


def place_label(
    text: str, x: float, y: float, taken: Sequence[Box], bounds: Box
) -> tuple[float, float, str, Box, bool]:
    """The position near a point where its name overlaps least with other elements, and whether it is far away."""
    wide, high = width_of(text), FONT
    candidates = []
    for ring, distance in enumerate((9.0, 20.0, 34.0, 50.0)):
        for turn in range(16):
            # Beside the point first, then ever more above and below.
            angle = math.pi * ((turn + 1) // 2) * (-1) ** turn / 8
            dx, dy = distance * math.cos(angle), distance * math.sin(angle)
            anchor = "middle" if abs(dx) < 4 else "start" if dx > 0 else "end"
            start = x + dx - {"start": 0.0, "end": wide, "middle": wide / 2}[anchor]
            box = (start, y + dy - high * 0.45, start + wide, y + dy + high * 0.55)
            overlap = sum(_shared(box, other) for other in taken)
            outside = wide * high - _shared(box, bounds)
            cost = 2 * overlap + 6 * outside + 12 * ring + 0.1 * turn
            candidates.append((cost, len(candidates), (x + dx, y + dy + 4, anchor, box, ring > 0)))
        # The next ring's spots cost more, whatever is there.
        if min(candidates)[0] <= 12 * (ring + 1):
            break
    return min(candidates)[2]


def _shared(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)
