"""Figures as SVG text, one pure function each.

Colour, stroke and type come from the page's style sheet through classes and variables, so that one drawing serves
light, dark and paper. A model is told apart three times over: by its family's colour, by a shape (filled for liquid,
hollow for recurrent, strokes for others) with a dash, and by its name written beside it. Nothing here depends on
chance or on the order of a dictionary: the same numbers give the same text.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from liquidbench.statistics import number

Family = Literal["liquid", "recurrent", "other"]

MINUS, THIN_SPACE = "\N{MINUS SIGN}", "\N{NARROW NO-BREAK SPACE}"
FONT = 12.0
# Mean advance of a sans-serif glyph in em; labels are placed with it, so it errs on the wide side.
GLYPH = 0.62
# The least part of an axis that data keep to themselves when a reference line is far from them.
ROOM_FOR_DATA = 0.4


@dataclass(frozen=True)
class Mark:
    """How a model looks in every figure.

    Attributes:
        label: its name, written beside its points.
        family: gives colour and filling.
        place: its number within the family; gives shape and dash.
        apart: True for a row that stands outside the comparison; drawn fainter.
    """

    label: str
    family: Family
    place: int
    apart: bool = False


@dataclass(frozen=True)
class Row:
    """One model's score for `strip`: a value per seed, their mean, and its interval if the seeds allow one."""

    mark: Mark
    values: Sequence[float]
    mean: float
    interval: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class Point:
    """One model for `scatter`.

    Attributes:
        mark: the model.
        x: its cost.
        y: its score.
        interval: of the score.
        text: what hovering says.
        origin: (x, y) of the same model in the comparison, for a mark that stands apart; a line joins the two, and
            the name is written at the origin alone.
    """

    mark: Mark
    x: float
    y: float
    interval: tuple[float, float] | None
    text: str
    origin: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """One model's line for `curves`.

    Attributes:
        mark: the model.
        x: positions, rising.
        y: mean at each position.
        intervals: (low, high) at each position, None where one seed allows none.
        texts: what hovering over each position says.
        threads: single seeds, drawn thin behind the mean, each as (x, y) pairs.
    """

    mark: Mark
    x: Sequence[float]
    y: Sequence[float]
    intervals: Sequence[tuple[float, float] | None]
    texts: Sequence[str]
    threads: Sequence[Sequence[tuple[float, float]]] = field(default=())


def quantity(value: float, unit: str) -> str:
    """A cost with two significant figures and a prefix of its unit: ``"1"``, ``"s"`` or ``"B"``.

    Example:
        >>> quantity(0.00042, "s"), quantity(3_400_000, "B"), quantity(4012, "1")
        ('420\N{NARROW NO-BREAK SPACE}µs', '3.4\N{NARROW NO-BREAK SPACE}MB', '4,012')
    """
    if unit == "1":
        return number(round(value))
    if value == 0:
        return f"0{THIN_SPACE}{unit}"
    steps = {"s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))}.get(
        unit, ((1e12, f"T{unit}"), (1e9, f"G{unit}"), (1e6, f"M{unit}"), (1e3, f"k{unit}"), (1.0, unit))
    )
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
    """Round numbers for a logarithmic axis: powers of ten, or 1-2-5, or plain steps where the span is short.

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


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions as little as needed so that they lie `gap` apart within low and high, order kept.

    Example:
        >>> spread([10.0, 11.0, 40.0], 12.0, 0.0, 100.0)
        [4.5, 16.5, 40.0]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    # Clusters of labels that touch, each centred on what its members want: (sum of wanted starts, size).
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
        """An axis that holds all values with some room around them."""
        held = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
        low, high = min(held), max(held)
        if log:
            low, high = math.log(low), math.log(high)
        # Where values hardly differ the axis must not blow the difference up to the full width.
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
        """The drawing unit of a value; values beyond the axis end at its edge."""
        scale: Callable[[float], float] = math.log if self.log else float
        if self.log and value <= 0:
            return self.start
        share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def labels(self) -> list[str]:
        """The ticks' texts, all with the same decimals."""
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
    strokes = (
        f'<path d="M{x - r:.1f} {y - r:.1f}l{2 * r:.1f} {2 * r:.1f}m0 {-2 * r:.1f}l{-2 * r:.1f} {2 * r:.1f}"/>',
        f'<path d="M{x:.1f} {y - 1.3 * r:.1f}v{2.6 * r:.1f}m{-1.3 * r:.1f} {-1.3 * r:.1f}h{2.6 * r:.1f}"/>',
    )
    chosen = strokes if mark.family == "other" else shapes
    return f'<g class="glyph">{chosen[mark.place % len(chosen)]}</g>'


def _path(corners: Sequence[tuple[float, float]], x: float, y: float, scale: float) -> str:
    points = " ".join(f"{x + scale * dx:.1f} {y + scale * dy:.1f}" for dx, dy in corners)
    return f'<path d="M{points}z"/>'


def key(mark: Mark) -> str:
    """The model's shape alone, for tables and legends; decorative, since its name stands beside it."""
    return f'<svg class="key {_classes(mark)}" viewBox="0 0 16 16" aria-hidden="true">{glyph(mark, 8, 8)}</svg>'


def strip(title: str, rows: Sequence[Row], label: str, references: Sequence[tuple[float, str]] = ()) -> str:
    """Scores of all models on one task: a dot per seed, the mean as the model's shape, its interval as a bar.

    Args:
        title: what the figure shows, read out by screen readers.
        rows: one a model, best first; rows that stand apart come last.
        label: name of the score, with unit and direction.
        references: scores to draw as lines, with names; an arrow at the edge where one is far from all data.

    Returns:
        An ``<svg>`` element.
    """
    width, left, right, pitch = 480.0, 24.0 + _longest(row.mark.label for row in rows), 18.0, 27.0
    top = 8.0 + 14 * len(references)
    apart = any(row.mark.apart for row in rows) and not all(row.mark.apart for row in rows)
    bottom_of_rows = top + pitch * len(rows) + (12 if apart else 0)
    held = [value for row in rows for value in (*row.values, *(row.interval or ()))]
    axis = Axis.over(_held(held, references), left, width - right)
    drawing = [_grid_x(axis, top, bottom_of_rows, label)]
    for line, reference in enumerate(references):
        drawing.append(_reference_x(axis, reference, 14.0 * (line + 1), bottom_of_rows))
    y, before = top + pitch / 2, False
    for row in rows:
        if row.mark.apart and not before and apart:
            drawing.append(f'<path class="rule" d="M0 {y - pitch / 2 + 6:.1f}H{width - right:.0f}"/>')
            y += 12
        before = row.mark.apart
        parts = [f'<rect class="hit" x="0" y="{y - pitch / 2:.1f}" width="{width:.0f}" height="{pitch:.0f}"/>']
        parts += [_text(row.mark.label, left - 12, y + 4, "name", "end")]
        if len(row.values) > 1:
            dots = (
                f'<circle class="seed" cx="{axis.at(value):.1f}" cy="{y + 8:.1f}" r="2.1"/>' for value in row.values
            )
            parts += dots
        if row.interval:
            start, end = (axis.at(bound) for bound in row.interval)
            parts.append(f'<path class="interval" d="M{start:.1f} {y:.1f}H{end:.1f}"/>')
        parts.append(glyph(row.mark, axis.at(row.mean), y, 5))
        drawing.append(_model(row.mark, parts, row.text))
        y += pitch
    return _svg(title, width, bottom_of_rows + 42, drawing)


def scatter(
    title: str,
    points: Sequence[Point],
    label: str,
    cost: str,
    unit: str,
    references: Sequence[tuple[float, str]] = (),
    better: Literal["up", "down"] = "up",
) -> str:
    """Score against a cost on a logarithmic axis; the better corner is named.

    Args:
        title: what the figure shows, read out by screen readers.
        points: one a model.
        label: name of the score, with its unit.
        cost: name of the cost.
        unit: the cost's unit: ``"1"``, ``"s"`` or ``"B"``.
        references: scores to draw as lines, with names; an arrow at the edge where one is far from all data.
        better: which way better scores lie on the page; the axis is turned so that "up" always holds for the eye.
    """
    width, height, left, right, top, bottom = 360.0, 272.0, 50.0, 14.0, 24.0, 44.0
    x = Axis.over([point.x for point in points], left, width - right, log=True, unit=unit, count=4, padding=0.16)
    compared = (point.interval for point in points if point.interval and not point.origin)
    held = [*(point.y for point in points), *(bound for bounds in compared for bound in bounds)]
    ends = (height - bottom, top) if better == "up" else (top, height - bottom)
    y = Axis.over(_held(held, references), *ends, padding=0.09)
    drawing = [_grid_x(x, top, height - bottom, cost), _grid_y(y, left, width - right, label)]
    lines, names = _references_y(y, references, left, width - right)
    drawing += lines
    bounds = (left, top, width - right, height - bottom)
    taken = [(x.at(point.x) - 6, y.at(point.y) - 6, x.at(point.x) + 6, y.at(point.y) + 6) for point in points]
    for point in points:
        if point.interval and not point.origin:
            low, high = sorted(y.at(bound) for bound in point.interval)
            taken.append((x.at(point.x) - 1, low, x.at(point.x) + 1, high))
    taken += names
    # From the top down, so that crowded names come to stand in the order of their points.
    for point in sorted(points, key=lambda point: y.at(point.y)):
        px, py = x.at(point.x), y.at(point.y)
        parts = [f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="11"/>']
        if point.interval and not point.origin:
            low, high = (y.at(bound) for bound in point.interval)
            parts.append(f'<path class="whisker" d="M{px:.1f} {low:.1f}V{high:.1f}"/>')
        if point.origin:
            ox, oy = x.at(point.origin[0]), y.at(point.origin[1])
            parts.append(f'<path class="leader" d="M{px:.1f} {py:.1f}L{ox:.1f} {oy:.1f}"/>')
        else:
            tx, ty, anchor, box, far = _place_label(point.mark.label, px, py, taken, bounds)
            taken.append(box)
            if far:
                end = min(max(px, box[0] - 1), box[2] + 1)
                parts.append(f'<path class="leader" d="M{px:.1f} {py:.1f}L{end:.1f} {(box[1] + box[3]) / 2:.1f}"/>')
            parts.append(_text(point.mark.label, tx, ty, "name", anchor))
        parts.append(glyph(point.mark, px, py, 3.8 if point.origin else 4.5))
        drawing.append(_model(point.mark, parts, point.text))
    return _svg(title, width, height, drawing)


def curves(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    references: Sequence[tuple[float, str]] = (),
    whole_steps: bool = False,
    percent: bool = False,
) -> str:
    """Lines over epochs or levels of damage, each named at its end.

    Args:
        title: what the figure shows, read out by screen readers.
        series: one a model; where `Series.threads` are given they are drawn, else markers and intervals.
        x_label: name of the horizontal axis, with its unit.
        y_label: name of the vertical axis, with its unit.
        references: levels to draw as lines, with names, as for `strip`.
        whole_steps: True where only whole numbers make sense as horizontal ticks.
        percent: True where horizontal values are shares to be read as percentages.
    """
    width, height, top, bottom, left = 480.0, 316.0, 20.0, 46.0, 56.0
    right = 20.0 + _longest(one.mark.label for one in series)
    across = sorted({value for one in series for value in one.x})
    threads = [point for one in series for thread in one.threads for point in thread]
    held = [value for one in series for value in one.y]
    held += [bound for one in series for interval in one.intervals if interval for bound in interval]
    held += [value for _, value in threads]
    positive = [value for value in held if math.isfinite(value) and value > 0]
    # A loss that falls by more than an order of magnitude is all floor on a linear axis.
    log = whole_steps and len(positive) == len(held) and bool(held) and max(positive) / min(positive) > 12
    dodge = 0.0 if whole_steps else min(5.0, 26.0 / max(len(series), 1))
    inset = 8.0 + dodge * len(series) / 2 if dodge else 4.0
    x = Axis.over([*across, *(step for step, _ in threads)], left + inset, width - right - inset, padding=0.0)
    places = tuple(across) if not whole_steps else tuple(place for place in x.places if place == int(place))
    x = Axis(x.low, x.high, x.start, x.end, places=places)
    y = Axis.over(_held(held, references), height - bottom, top, log=log)
    texts = [f"{number(100 * place)}{THIN_SPACE}%" for place in places] if percent else None
    drawing = [_grid_x(x, top, height - bottom, x_label, texts, (left, width - right))]
    drawing.append(_grid_y(y, left, width - right, y_label))
    lines, _ = _references_y(y, references, left, width - right)
    drawing += lines
    ends = spread([y.at(one.y[-1]) if one.y else top for one in series], FONT + 3, top + 4, height - bottom - 2)
    for index, (one, end) in enumerate(zip(series, ends, strict=True)):
        if not one.y:
            continue
        shift = (index - (len(series) - 1) / 2) * dodge
        at = [(x.at(px) + shift, y.at(py)) for px, py in zip(one.x, one.y, strict=True)]
        parts = [
            f'<path class="thread" d="{_line([(x.at(px), y.at(py)) for px, py in thread])}"/>'
            for thread in one.threads
            if len(thread) > 1
        ]
        parts.append(f'<path class="line" stroke-dasharray="{_dash(one.mark)}" d="{_line(at)}"/>')
        # A leader joins a name to its line where other names pushed it away.
        parts.append(
            f'<path class="leader" d="M{at[-1][0] + 5:.1f} {at[-1][1]:.1f}L{width - right + 6:.1f} {end:.1f}"/>'
        )
        parts.append(_text(one.mark.label, width - right + 10, end + 4, "name", "start"))
        for (px, py), interval, text in zip(at, one.intervals, one.texts, strict=True):
            inner = [f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="{9 if not whole_steps else 6}"/>']
            if interval:
                low, high = (y.at(bound) for bound in interval)
                inner.append(f'<path class="whisker" d="M{px:.1f} {low:.1f}V{high:.1f}"/>')
            if not whole_steps:
                inner.append(glyph(one.mark, px, py, 3.8))
            parts.append(f'<g class="at"><title>{escape(text)}</title>{"".join(inner)}</g>')
        if whole_steps:
            parts.append(glyph(one.mark, *at[-1], 3.8))
        drawing.append(_model(one.mark, parts, None))
    return _svg(title, width, height, drawing)


def interval(title: str, mark: Mark, mean: float, bounds: tuple[float, float] | None, span: tuple[float, float]) -> str:
    """A mean and its interval on a bare line from ``span[0]`` to ``span[1]``, for a table's cell."""
    axis = Axis(*span, 6, 90)
    parts = ['<path class="rail" d="M2 9H94"/>']
    if bounds:
        parts.append(f'<path class="interval" d="M{axis.at(bounds[0]):.1f} 9H{axis.at(bounds[1]):.1f}"/>')
    parts.append(glyph(mark, axis.at(mean), 9, 4))
    return _svg(title, 96, 18, [_model(mark, parts, None)], "cell")


def difference(
    title: str,
    mean: float,
    bounds: tuple[float, float] | None,
    margin: float,
    span: float,
    tone: str,
    *,
    ends: tuple[str, str] | None = None,
) -> str:
    """A difference with its interval about zero, and the band within which a difference does not count.

    Args:
        title: what the figure shows, read out by screen readers.
        mean: the difference; better for the first of the two lies to the right.
        bounds: its interval, None where one seed allows none.
        margin: the smallest difference that counts; 0 draws no band.
        span: the axis reaches from -span to span.
        tone: class that gives the colour: a family, or ``"neutral"``.
        ends: what lies to the left and to the right; with it the figure gets an axis of its own.
    """
    width, height, middle = (420.0, 78.0, 32.0) if ends else (150.0, 20.0, 10.0)
    side = 12.0 if ends else 4.0
    axis = Axis(-span, span, side, width - side, places=tuple(ticks(-span, span, 4)))
    top, bottom = (16.0, 48.0) if ends else (1.0, height - 1)
    parts = []
    if margin:
        start, end = axis.at(-margin), axis.at(margin)
        parts.append(
            f'<rect class="margin" x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="{bottom - top}"/>'
        )
    parts.append(f'<path class="rail" d="M{side} {middle}H{width - side}"/>')
    parts.append(f'<path class="zero" d="M{axis.at(0):.1f} {top}V{bottom}"/>')
    if bounds:
        low, high = axis.at(bounds[0]), axis.at(bounds[1])
        parts.append(f'<path class="interval" d="M{low:.1f} {middle}H{high:.1f}"/>')
    parts.append(f'<circle class="mean" cx="{axis.at(mean):.1f}" cy="{middle}" r="{5.5 if ends else 4}"/>')
    if ends:
        for place, text in zip(axis.places, axis.labels(), strict=True):
            parts.append(f'<path class="tick" d="M{axis.at(place):.1f} {bottom}v4"/>')
            shown = "+" + text if place > 0 else text
            parts.append(_text(shown, axis.at(place), bottom + 17, "ticks", "middle"))
        parts.append(_text("← " + ends[0], side, 10, "end", "start"))
        parts.append(_text(ends[1] + " →", width - side, 10, "end", "end"))
    return _svg(title, width, height, [f'<g class="{escape(tone)}">{"".join(parts)}</g>'], "" if ends else "cell")


def _classes(mark: Mark) -> str:
    return mark.family + (" apart" if mark.apart else "")


def _model(mark: Mark, parts: Iterable[str], text: str | None) -> str:
    title = f"<title>{escape(text)}</title>" if text else ""
    hover = " at" if text else ""
    return f'<g class="model {_classes(mark)}{hover}" data-model="{escape(mark.label)}">{title}{"".join(parts)}</g>'


def _svg(title: str, width: float, height: float, parts: Iterable[str], classes: str = "") -> str:
    # Round outward: a fraction of a unit lost at the edge would cut descenders.
    return (
        f'<svg class="figure {classes}" viewBox="0 0 {math.ceil(width)} {math.ceil(height)}" role="img" '
        f'style="--width:{math.ceil(width)}px" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _text(text: str, x: float, y: float, classes: str, anchor: str) -> str:
    return f'<text class="{classes}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _wide(text: str) -> float:
    return len(text) * FONT * GLYPH


def _longest(texts: Iterable[str]) -> float:
    return min(max((_wide(text) for text in texts), default=0.0), 170.0)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _dash(mark: Mark) -> str:
    return DASHES[mark.place % len(DASHES)]


def _grid_x(
    axis: Axis,
    top: float,
    bottom: float,
    label: str,
    texts: Sequence[str] | None = None,
    across: tuple[float, float] | None = None,
) -> str:
    start, end = across or (axis.start, axis.end)
    parts = [f'<path class="axis" d="M{start:.1f} {bottom:.1f}H{end:.1f}"/>']
    free = -math.inf
    for place, text in zip(axis.places, texts or axis.labels(), strict=True):
        parts.append(f'<path class="grid" d="M{axis.at(place):.1f} {top:.1f}V{bottom:.1f}"/>')
        # A line without its number is better than two numbers that run into one another.
        if axis.at(place) - _wide(text) / 2 >= free:
            parts.append(_text(text, axis.at(place), bottom + 16, "ticks", "middle"))
            free = axis.at(place) + _wide(text) / 2 + 8
    parts.append(_text(label, (start + end) / 2, bottom + 35, "label", "middle"))
    return "".join(parts)


def _grid_y(axis: Axis, left: float, right: float, label: str) -> str:
    parts = []
    for place, text in zip(axis.places, axis.labels(), strict=True):
        parts.append(f'<path class="grid" d="M{left:.1f} {axis.at(place):.1f}H{right:.1f}"/>')
        parts.append(_text(text, left - 7, axis.at(place) + 4, "ticks", "end"))
    # Written level above the axis: a turned label makes the reader turn too.
    parts.append(_text(label, 2, 10, "label", "start"))
    return "".join(parts)


def _held(values: Sequence[float], references: Sequence[tuple[float, str]]) -> list[float]:
    """What an axis must hold: the data, and each reference that would not squeeze them into a corner."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    near = [at for at, _ in references if high - low >= ROOM_FOR_DATA * (max(high, at) - min(low, at))]
    # Two of them, one on either side, may be too much where each alone is not.
    if near and high - low < ROOM_FOR_DATA * (max(high, *near) - min(low, *near)):
        near = [min(near, key=lambda at: max(at - high, low - at))]
    return [*finite, *near]


def _reference_x(axis: Axis, reference: tuple[float, str], level: float, bottom: float) -> str:
    """A vertical line, its name at its upper end."""
    value, name = reference
    if not axis.low <= value <= axis.high:
        before = value < axis.low
        text, at = (f"← {name}", axis.start) if before else (f"{name} →", axis.end)
        return f'<g class="reference">{_text(text, at, level, "name", "start" if before else "end")}</g>'
    at = axis.at(value)
    anchor = "start" if at < (axis.start + axis.end) / 2 else "end"
    return (
        f'<g class="reference"><path d="M{at:.1f} {level - 8:.1f}V{bottom:.1f}"/>'
        f"{_text(name, at + (5 if anchor == 'start' else -5), level, 'name', anchor)}</g>"
    )


def _references_y(
    axis: Axis, references: Sequence[tuple[float, str]], left: float, right: float
) -> tuple[list[str], list["Box"]]:
    """Horizontal lines, and the boxes that their names take."""
    low, high = sorted((axis.start, axis.end))
    within = [axis.low <= value <= axis.high for value, _ in references]
    levels = spread([axis.at(value) - 5 for value, _ in references], FONT + 2, low + 12, high - 5)
    drawn, boxes = [], []
    for (value, name), inside, level in zip(references, within, levels, strict=True):
        at = axis.at(value)
        path = f'<path d="M{left:.1f} {at:.1f}H{right:.1f}"/>' if inside else ""
        arrow = "" if inside else "↓ " if at > (low + high) / 2 else "↑ "
        drawn.append(f'<g class="reference">{path}{_text(arrow + name, right - 3, level, "name", "end")}</g>')
        boxes.append((right - _wide(arrow + name), level - 11, right, level + 6))
    return drawn, boxes


Box = tuple[float, float, float, float]


def _place_label(
    text: str, x: float, y: float, taken: Sequence[Box], bounds: Box
) -> tuple[float, float, str, Box, bool]:
    """The spot about a point where its name collides least with what is there, and whether that is far away."""
    wide, high = _wide(text), FONT
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
    return min(candidates)[2]


def _shared(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)
