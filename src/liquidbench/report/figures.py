"""The figures as SVG text, one pure function each.

If there are more models than names fit, only some are named; the others are faint (`Mark.behind`) until the reader
points at them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Literal

from liquidbench.report import svg
from liquidbench.report.svg import FONT, Axis, Mark, ticks
from liquidbench.wording import number


@dataclass(frozen=True)
class Row:
    """One model's score for `strip`: a value per seed, their mean, and its interval, if any."""

    mark: Mark
    values: Sequence[float]
    mean: float
    interval: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class Point:
    """One model for `scatter`.

    Attributes:
        mark: the model's mark.
        x: its cost.
        y: its score.
        interval: interval of the score.
        text: the tooltip.
        origin: (x, y) of the same model in the comparison, for a mark outside the comparison; a line joins the two, and
            only the origin has a name.
        front: whether no other model is both cheaper and better.
    """

    mark: Mark
    x: float
    y: float
    interval: tuple[float, float] | None
    text: str
    origin: tuple[float, float] | None = None
    front: bool = False


@dataclass(frozen=True)
class Series:
    """One model's line for `curves`.

    Attributes:
        mark: the model's mark.
        x: positions, ascending.
        y: mean at each position.
        intervals: (low, high) at each position, or None; empty without any interval.
        texts: the tooltip of each position; empty if the whole line has one.
        threads: single seeds, drawn as thin lines behind the mean, each as (x, y) pairs.
        text: the tooltip of the line.
    """

    mark: Mark
    x: Sequence[float]
    y: Sequence[float]
    intervals: Sequence[tuple[float, float] | None] = field(default=())
    texts: Sequence[str] = field(default=())
    threads: Sequence[Sequence[tuple[float, float]]] = field(default=())
    text: str = ""


@dataclass(frozen=True)
class MatrixCell:
    """A cell of `matrix`, of two models, the first the better one by rank; or of `heat_map`, of one model.

    Attributes:
        text: the text in the cell: the lead of the first model.
        heat: strength of the colour, from 0 for no lead that counts, to 1.
        tone: CSS class of the colour: the family of the leading model.
        shown: whether a difference is shown.
        hover: the tooltip.
    """

    text: str
    heat: float
    tone: str
    shown: bool
    hover: str


@dataclass(frozen=True)
class Columns:
    """Some columns of `grouped_heat_map` under one head.

    Attributes:
        head: what they have in common; "" for nothing.
        names: the head of each column.
        cells: for each column, a cell of each row; None if nothing is known.
    """

    head: str
    names: Sequence[str]
    cells: Sequence[Sequence[MatrixCell | None]]


def strip(
    title: str,
    rows: Sequence[Row],
    label: str,
    references: Sequence[tuple[float, str]] = (),
    *,
    broad: bool = False,
) -> str:
    """Scores of all models on one task: a dot per seed, the mean as the model's shape, its interval as a bar.

    Args:
        title: description for screen readers.
        rows: one per model, best first; rows outside the comparison come last.
        label: name of the score, with unit and direction.
        references: scores to draw as lines, with names; one that is far from all data is an arrow at the edge.
        broad: whether to use the full width of the page, with lower rows, for many models.

    Returns:
        An ``<svg>`` element.
    """
    left, right = 24.0 + svg.longest(row.mark.label for row in rows), 18.0
    width, pitch = (900.0, 23.0) if broad else (480.0, 27.0)
    top = 8.0 + 14 * len(references)
    apart = any(row.mark.apart for row in rows) and not all(row.mark.apart for row in rows)
    bottom_of_rows = top + pitch * len(rows) + (12 if apart else 0)
    held = [value for row in rows for value in (*row.values, *(row.interval or ()))]
    axis = Axis.over(svg.held(held, references), left, width - right)
    drawing = [svg.grid_x(axis, top, bottom_of_rows, label)]
    for line, reference in enumerate(references):
        drawing.append(svg.reference_x(axis, reference, 14.0 * (line + 1), bottom_of_rows))
    y, before = top + pitch / 2, False
    for row in rows:
        if row.mark.apart and not before and apart:
            drawing.append(f'<path class="rule" d="M0 {y - pitch / 2 + 6:.1f}H{width - right:.0f}"/>')
            y += 12
        before = row.mark.apart
        parts = [f'<rect class="hit" x="0" y="{y - pitch / 2:.1f}" width="{width:.0f}" height="{pitch:.0f}"/>']
        parts += [svg.words(row.mark.label, left - 12, y + 4, "name", "end")]
        if len(row.values) > 1:
            # Strokes of length zero with round ends, so that one element draws the dots of all seeds.
            dots = "".join(f"M{axis.at(value):.1f} {y + 8:.1f}h0" for value in row.values)
            parts.append(f'<path class="seed" d="{dots}"/>')
        if row.interval:
            start, end = (axis.at(bound) for bound in row.interval)
            parts.append(f'<path class="interval" d="M{start:.1f} {y:.1f}H{end:.1f}"/>')
        parts.append(svg.glyph(row.mark, axis.at(row.mean), y, 5))
        drawing.append(svg.group(row.mark, parts, row.text))
        y += pitch
    return svg.drawing(title, width, bottom_of_rows + 42, drawing)


def scatter(
    title: str,
    points: Sequence[Point],
    label: str,
    cost: str,
    unit: str,
    references: Sequence[tuple[float, str]] = (),
    better: Literal["up", "down"] = "up",
) -> str:
    """Score against a cost on a logarithmic axis, with the Pareto front.

    Args:
        title: description for screen readers.
        points: one per model.
        label: name of the score, with its unit.
        cost: name of the cost.
        unit: the cost's unit: ``"1"``, ``"s"``, ``"B"``, or ``"×"`` for a multiple.
        references: scores to draw as lines, with names; one that is far from all data is an arrow at the edge.
        better: whether higher scores are better ("up") or lower ones ("down"); better scores are always at the top.
    """
    width, height, left, right, top, bottom = 360.0, 272.0, 50.0, 14.0, 24.0, 44.0
    x = Axis.over([point.x for point in points], left, width - right, log=True, unit=unit, count=4, padding=0.16)
    compared = (point.interval for point in points if point.interval and not point.origin)
    held = [*(point.y for point in points), *(bound for bounds in compared for bound in bounds)]
    ends = (height - bottom, top) if better == "up" else (top, height - bottom)
    y = Axis.over(svg.held(held, references), *ends, padding=0.09)
    bounds = (left, top, width - right, height - bottom)
    front = sorted((x.at(point.x), y.at(point.y)) for point in points if point.front)
    drawing = [_front_area(front, bounds), svg.grid_x(x, top, height - bottom, cost)]
    drawing += [svg.grid_y(y, left, width - right, label), _front_line(front, bounds)]
    lines, names = svg.references_y(y, references, left, width - right)
    drawing += lines
    taken = [(x.at(point.x) - 6, y.at(point.y) - 6, x.at(point.x) + 6, y.at(point.y) + 6) for point in points]
    for point in points:
        if point.interval and not point.origin and not point.mark.behind:
            low, high = sorted(y.at(bound) for bound in point.interval)
            taken.append((x.at(point.x) - 1, low, x.at(point.x) + 1, high))
    taken += names
    for (px, py), end in _steps(front, bounds[2]):
        taken.append((px, py - 1.5, end, py + 1.5))
    taken += [(next_x - 1.5, next_y, next_x + 1.5, below) for (_, below), (next_x, next_y) in pairwise(front)]
    # From the top down, so that crowded names are in the order of their points; faint points are drawn first.
    for point in sorted(points, key=lambda point: (not point.mark.behind, y.at(point.y))):
        px, py = x.at(point.x), y.at(point.y)
        parts = [f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="{7 if point.mark.behind else 11}"/>']
        if point.interval and not point.origin and not point.mark.behind:
            low, high = (y.at(bound) for bound in point.interval)
            parts.append(f'<path class="whisker" d="M{px:.1f} {low:.1f}V{high:.1f}"/>')
        if point.origin and not point.mark.behind:
            ox, oy = x.at(point.origin[0]), y.at(point.origin[1])
            parts.append(f'<path class="leader" d="M{px:.1f} {py:.1f}L{ox:.1f} {oy:.1f}"/>')
        elif point.mark.behind:
            parts.append(svg.words(point.mark.label, px, py - 9, "name asked", "middle"))
        elif not point.origin:
            tx, ty, anchor, box, far = svg.place_label(point.mark.label, px, py, taken, bounds)
            taken.append(box)
            if far:
                end = min(max(px, box[0] - 1), box[2] + 1)
                parts.append(f'<path class="leader" d="M{px:.1f} {py:.1f}L{end:.1f} {(box[1] + box[3]) / 2:.1f}"/>')
            parts.append(svg.words(point.mark.label, tx, ty, "name", anchor))
        parts.append(svg.glyph(point.mark, px, py, 3.8 if point.origin or point.mark.behind else 4.5))
        drawing.append(svg.group(point.mark, parts, point.text))
    return svg.drawing(title, width, height, drawing)


def _front_line(front: Sequence[tuple[float, float]], bounds: svg.Box) -> str:
    """A staircase: up at each point, then horizontal to the next one."""
    if not front:
        return ""
    steps = "".join(f"V{y:.1f}H{end:.1f}" for (_, y), end in _steps(front, bounds[2]))
    return f'<path class="front" d="M{front[0][0]:.1f} {bounds[3]:.1f}{steps}"/>'


def _front_area(front: Sequence[tuple[float, float]], bounds: svg.Box) -> str:
    """The area of the chart that the front dominates, as SVG."""
    if not front:
        return ""
    steps = "".join(f"V{y:.1f}H{end:.1f}" for (_, y), end in _steps(front, bounds[2]))
    return f'<path class="outdone" d="M{front[0][0]:.1f} {bounds[3]:.1f}{steps}V{bounds[3]:.1f}z"/>'


def _steps(front: Sequence[tuple[float, float]], right: float) -> list[tuple[tuple[float, float], float]]:
    return list(zip(front, [*(x for x, _ in front), right][1:], strict=True))


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
    """Lines over epochs, trials or levels of damage, each named at its end.

    Args:
        title: description for screen readers.
        series: one per model; `Series.threads` are drawn if given, else markers and intervals.
        x_label: name of the horizontal axis, with its unit.
        y_label: name of the vertical axis, with its unit.
        references: levels to draw as lines, with names, as for `strip`.
        whole_steps: whether horizontal ticks must be whole numbers.
        percent: whether horizontal values are shares to show as percentages.
    """
    width, height, top, bottom, left = 480.0, 316.0, 20.0, 46.0, 56.0
    right = 20.0 + svg.longest(one.mark.label for one in series)
    across = sorted({value for one in series for value in one.x})
    threads = [point for one in series for thread in one.threads for point in thread]
    held = [value for one in series for value in one.y]
    held += [bound for one in series for interval in one.intervals if interval for bound in interval]
    held += [value for _, value in threads]
    positive = [value for value in held if math.isfinite(value) and value > 0]
    # On a linear axis, a loss that falls by more than an order of magnitude is a flat line.
    log = whole_steps and len(positive) == len(held) and bool(held) and max(positive) / min(positive) > 12
    named = [one for one in series if not one.mark.behind]
    dodge = 0.0 if whole_steps else min(5.0, 26.0 / max(len(named), 1))
    inset = 8.0 + dodge * len(named) / 2 if dodge else 4.0
    x = Axis.over([*across, *(step for step, _ in threads)], left + inset, width - right - inset, padding=0.0)
    places = tuple(across) if not whole_steps else tuple(place for place in x.places if place == int(place))
    x = Axis(x.low, x.high, x.start, x.end, places=places)
    y = Axis.over(svg.held(held, references), height - bottom, top, log=log)
    texts = [f"{number(100 * place)}{svg.THIN_SPACE}%" for place in places] if percent else None
    drawing = [svg.grid_x(x, top, height - bottom, x_label, texts, (left, width - right))]
    drawing.append(svg.grid_y(y, left, width - right, y_label))
    lines, _ = svg.references_y(y, references, left, width - right)
    drawing += lines
    drawing += [_line_behind(one, x, y) for one in series if one.mark.behind and one.y]
    ends = svg.spread_labels(
        [y.at(one.y[-1]) if one.y else top for one in named], FONT + 3, top + 4, height - bottom - 2
    )
    for index, (one, end) in enumerate(zip(named, ends, strict=True)):
        if not one.y:
            continue
        shift = (index - (len(named) - 1) / 2) * dodge
        at = [(x.at(px) + shift, y.at(py)) for px, py in zip(one.x, one.y, strict=True)]
        parts = [
            f'<path class="thread" d="{svg.path([(x.at(px), y.at(py)) for px, py in thread])}"/>'
            for thread in one.threads
            if len(thread) > 1
        ]
        if one.text:
            parts.append(f'<path class="hit" d="{svg.path(at)}"/>')
        parts.append(f'<path class="line" stroke-dasharray="{svg.dash(one.mark)}" d="{svg.path(at)}"/>')
        # A leader joins a name to its line if other names have moved it away.
        parts.append(
            f'<path class="leader" d="M{at[-1][0] + 5:.1f} {at[-1][1]:.1f}L{width - right + 6:.1f} {end:.1f}"/>'
        )
        parts.append(svg.words(one.mark.label, width - right + 10, end + 4, "name", "start"))
        intervals = one.intervals or [None] * len(at)
        for place, ((px, py), interval) in enumerate(zip(at, intervals, strict=True)):
            inner = []
            if interval:
                low, high = (y.at(bound) for bound in interval)
                inner.append(f'<path class="whisker" d="M{px:.1f} {low:.1f}V{high:.1f}"/>')
            if not whole_steps:
                inner.append(svg.glyph(one.mark, px, py, 3.8))
            if one.texts:
                hit = f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="{9 if not whole_steps else 6}"/>'
                parts.append(f'<g class="at"><title>{escape(one.texts[place])}</title>{hit}{"".join(inner)}</g>')
            else:
                parts += inner
        if whole_steps:
            parts.append(svg.glyph(one.mark, *at[-1], 3.8))
        drawing.append(svg.group(one.mark, parts, one.text or None))
    return svg.drawing(title, width, height, drawing)


def _line_behind(one: Series, x: Axis, y: Axis) -> str:
    at = [(x.at(px), y.at(py)) for px, py in zip(one.x, one.y, strict=True)]
    drawn = svg.path(at)
    parts = [f'<path class="hit" d="{drawn}"/>', f'<path class="line" d="{drawn}"/>']
    parts.append(svg.words(one.mark.label, at[-1][0] - 2, at[-1][1] - 6, "name asked", "end"))
    return svg.group(one.mark, parts, one.text or one.mark.label)


def ranking(
    title: str,
    rows: Sequence[tuple[Mark, float]],
    critical: float,
    groups: Sequence[tuple[str, Sequence[Sequence[str]]]],
    label: str,
) -> str:
    """A critical-difference diagram, one row per model: mean ranks, and groups that are not shown to differ.

    Args:
        title: description for screen readers.
        rows: models with their mean ranks, the best first.
        critical: the critical difference of ranks.
        groups: for each test, its name and the groups of models that it does not separate; each is a line over its
            members' rows with a dot at each member.
        label: name of the axis.
    """
    pitch, gap, most = 24.0, 15.0, 10
    drawn = [(name, sorted(found, key=len, reverse=True)[:most]) for name, found in groups]
    place = {mark.label: index for index, (mark, _) in enumerate(rows)}
    left, top = 62.0 + svg.longest(mark.label for mark, _ in rows), 46.0
    axis_end = left + 250.0
    bottom = top + pitch * len(rows)
    axis = Axis(1.0, float(len(rows)), left, axis_end, places=tuple(ticks(1.0, float(len(rows)), 6)))
    drawing = [svg.grid_x(axis, top, bottom, label)]
    if critical <= len(rows) - 1:
        end = axis.at(1 + critical)
        drawing.append(f'<path class="span" d="M{left:.1f} {top - 13:.1f}v6m0 -3H{end:.1f}m0 -3v6"/>')
    drawing.append(svg.words(f"critical difference {number(critical, 2)}", left, top - 20, "ticks", "start"))
    for index, (mark, rank) in enumerate(rows):
        y = top + pitch * (index + 0.5)
        text = f"{mark.label}: mean rank {number(rank, 2)}"
        parts = [f'<rect class="hit" x="0" y="{y - pitch / 2:.1f}" width="{axis_end:.0f}" height="{pitch:.0f}"/>']
        parts.append(svg.words(mark.label, left - 50, y + 4, "name", "end"))
        parts.append(svg.words(number(rank, 1), left - 14, y + 4, "value", "end"))
        parts.append(svg.glyph(mark, axis.at(rank), y, 5))
        drawing.append(svg.group(mark, parts, text))
    x = axis_end + 30.0
    for name, found in drawn:
        drawing.append(svg.words(name, x - 6, top - 20, "ticks", "start"))
        start = x
        for group in sorted(found, key=lambda group: min(place[model] for model in group)):
            levels = [top + pitch * (place[model] + 0.5) for model in group]
            dots = "".join(f"M{x:.1f} {level:.1f}h0" for level in levels)
            hover = f"not shown to differ: {', '.join(group)}"
            drawing.append(
                f'<g class="at clique"><title>{escape(hover)}</title>'
                f'<path d="M{x:.1f} {min(levels):.1f}V{max(levels):.1f}"/><path class="member" d="{dots}"/></g>'
            )
            x += gap
        x = max(x, start + svg.width_of(name) - 6) + 26.0
    return svg.drawing(title, x - 20, bottom + 42, drawing)


def matrix(title: str, marks: Sequence[Mark], contests: Sequence[Sequence[MatrixCell | None]]) -> str:
    """Every model against every other, as a triangle; the better model by rank is above and to the left.

    Names are at the beginning of rows, and horizontally at the beginning of columns, in the empty half.

    Args:
        title: description for screen readers.
        marks: the models, the best first.
        contests: ``contests[i][j]`` for j < i, of model j (first) and model i; None if nothing is known.
    """
    wide, high = (58.0, 30.0) if len(marks) <= 8 else (44.0, 25.0)
    left = math.ceil(16.0 + svg.longest(mark.label for mark in marks[1:]))
    drawing = []
    for column, mark in enumerate(marks[:-1]):
        x, y = left + column * wide, high * (column + 0.5)
        drawing.append(svg.group(mark, [svg.words(mark.label, x + 4, y + 5, "name", "start")], None))
    for row in range(1, len(marks)):
        y = high * row
        mark = marks[row]
        drawing.append(svg.group(mark, [svg.words(mark.label, left - 10, y + high / 2 + 4, "name", "end")], None))
        for column, contest in enumerate(contests[row][:row]):
            rival = marks[column].label
            drawing.append(_heat_cell(contest, left + column * wide, y, wide, high, mark.label, rival))
    # The last name in the empty half may extend beyond the columns.
    reach = max(
        (left + column * wide + 4 + svg.width_of(mark.label) for column, mark in enumerate(marks[:-1])), default=0.0
    )
    return svg.drawing(title, max(left + wide * (len(marks) - 1), reach) + 4, high * len(marks) + 2, drawing)


def heat_map(title: str, marks: Sequence[Mark], rows: Sequence[tuple[str, Sequence[MatrixCell | None]]]) -> str:
    """A table of models, one per column, whose cells are coloured.

    Args:
        title: description for screen readers.
        marks: the models.
        rows: the name of each row, and a cell for each model; None if nothing is known.
    """
    wide, high, top = max(58.0, 16.0 + svg.longest(mark.label for mark in marks)), 27.0, 24.0
    left = math.ceil(16.0 + svg.longest(name for name, _ in rows))
    drawing = [
        svg.group(mark, [svg.words(mark.label, left + (column + 0.5) * wide, 15, "name", "middle")], None)
        for column, mark in enumerate(marks)
    ]
    for row, (name, cells) in enumerate(rows):
        y = top + high * row
        drawing.append(svg.words(name, left - 10, y + high / 2 + 4, "name", "end"))
        for column, (mark, cell) in enumerate(zip(marks, cells, strict=True)):
            drawing.append(_heat_cell(cell, left + column * wide, y, wide, high, mark.label))
    return svg.drawing(title, left + wide * len(marks) + 4, top + high * len(rows) + 2, drawing)


def grouped_heat_map(title: str, rows: Sequence[Mark], apart: int, groups: Sequence[Columns]) -> str:
    """A table of models, one per row, whose columns are in groups; as many groups side by side as the page is wide.

    Args:
        title: description for screen readers.
        rows: the models.
        apart: how many of the last rows stand apart.
        groups: the columns; the first group is repeated wherever rows begin anew.
    """
    full, wide, high, top, gap, between = 1060.0, 44.0, 26.0, 40.0, 12.0, 8.0
    left = math.ceil(16.0 + svg.longest(mark.label for mark in rows))
    widths = [max(wide * len(one.names), svg.width_of(one.head), svg.longest(one.names)) for one in groups]
    bands: list[list[int]] = []
    end = math.inf
    for number_of in range(1, len(groups)):
        if end + gap + widths[number_of] > full:
            bands.append([0])
            end = left + widths[0]
        bands[-1].append(number_of)
        end += gap + widths[number_of]
    drawing, y, reach = [], 0.0, 0.0
    for band in bands or [[0]]:
        places = [y + top + high * row + between * (row >= len(rows) - apart) for row in range(len(rows))]
        for mark, place in zip(rows, places, strict=True):
            drawing.append(
                svg.group(mark, [svg.words(mark.label, left - 10, place + high / 2 + 4, "name", "end")], None)
            )
        x = float(left)
        for one, across in ((groups[group], widths[group]) for group in band):
            start = x + (across - wide * len(one.names)) / 2
            if one.head:
                drawing.append(svg.words(one.head, x + across / 2, y + 12, "head", "middle"))
                drawing.append(
                    f'<path class="axis" d="M{start + 1:.1f} {y + 18:.1f}h{wide * len(one.names) - 2:.1f}"/>'
                )
            for name, cells in zip(one.names, one.cells, strict=True):
                drawing.append(svg.words(name, start + wide / 2, y + 33, "ticks", "middle"))
                for mark, place, cell in zip(rows, places, cells, strict=True):
                    drawing.append(_heat_cell(cell, start, place, wide, high, mark.label))
                start += wide
            x += across + gap
        reach = max(reach, x - gap)
        y = places[-1] + high + 20
    return svg.drawing(title, reach + 4, y - 16, drawing)


def _heat_cell(
    cell: MatrixCell | None, x: float, y: float, wide: float, high: float, model: str, rival: str = ""
) -> str:
    """A cell at (x, y) about a model, and perhaps its rival."""
    square = f"M{x + 1:g} {y + 1:g}h{wide - 2:g}v{high - 2:g}h{2 - wide:g}z"
    if cell is None:
        return f'<path class="unknown" d="{square}"/>'
    fill = f'class="heat" fill-opacity="{0.4 * cell.heat:.2f}"' if cell.heat else 'class="level"'
    against = f' data-rival="{escape(rival)}"' if rival else ""
    return (
        f'<g class="model at {cell.tone}{" shown" if cell.shown else ""}" '
        f'data-model="{escape(model)}"{against}><title>{escape(cell.hover)}</title>'
        f'<path {fill} d="{square}"/>'
        f"{svg.words(cell.text, x + wide / 2, y + high / 2 + 4, 'amount', 'middle')}</g>"
    )


def interval(
    title: str,
    mark: Mark,
    mean: float,
    bounds: tuple[float, float] | None,
    span: tuple[float, float],
    *,
    small: bool = False,
) -> str:
    """A mean and its interval on a line from ``span[0]`` to ``span[1]``, for a table cell."""
    width, height, size = (64, 12, 3.2) if small else (96, 18, 4.0)
    axis, middle = Axis(*span, 6, width - 6), height / 2
    parts = [f'<path class="rail" d="M2 {middle:g}H{width - 2}"/>']
    if bounds:
        start, end = (axis.at(bound) for bound in bounds)
        parts.append(f'<path class="interval" d="M{start:.1f} {middle:g}H{end:.1f}"/>')
    parts.append(svg.glyph(mark, axis.at(mean), middle, size))
    return svg.drawing(title, width, height, [svg.group(mark, parts, title)], "cell")


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
    """A difference with its interval, and the band around zero within which a difference does not count.

    Args:
        title: description for screen readers.
        mean: the difference; to the right, the first is better.
        bounds: its interval, or None.
        margin: the smallest difference that counts; 0 draws no band.
        span: the axis reaches from -span to span.
        tone: CSS class of the colour: a family, or ``"neutral"``.
        ends: labels of the left and the right side; with them the figure has its own axis.
    """
    width, height, middle = (420.0, 78.0, 32.0) if ends else (150.0, 20.0, 10.0)
    side = 12.0 if ends else 4.0
    axis = Axis(-span, span, side, width - side, places=tuple(ticks(-span, span, 4)))
    top, bottom = (16.0, 48.0) if ends else (1.0, height - 1)
    parts = [] if ends else [f"<title>{escape(title)}</title>"]
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
            parts.append(svg.words(shown, axis.at(place), bottom + 17, "ticks", "middle"))
        parts.append(svg.words("← " + ends[0], side, 10, "end", "start"))
        parts.append(svg.words(ends[1] + " →", width - side, 10, "end", "end"))
    shade = escape(tone) if ends else f"{escape(tone)} at"
    return svg.drawing(title, width, height, [f'<g class="{shade}">{"".join(parts)}</g>'], "" if ends else "cell")
