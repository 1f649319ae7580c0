"""The part of the report on what a kept network does: what it attributes, its time constants, and lesions."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from liquidbench.explanations import QUANTILES, Explanation, Lesions, Record
from liquidbench.report import svg
from liquidbench.report.charts import Figure
from liquidbench.report.svg import Axis
from liquidbench.report.task_summary import decimals
from liquidbench.wording import counted, number, percent

MOST_FEATURES = 8
"""Features that are drawn, those with the largest attributions; the others are counted."""

MOST_PARTS = 120
"""Parts at most into which a record is cut; attributions are summed within each."""

LEVELS = 6
"""Number of strengths of colour, so that one path draws all cells of one strength."""


@dataclass(frozen=True)
class Explained:
    """What is shown of one network.

    Attributes:
        model: its name.
        words: how to read the figures.
        records: the figures of each record.
        lesions: the effects of lesions, of neurons or units and of synapses, as far as there are any.
        missing: why something is missing, a sentence each.
    """

    model: str
    words: str
    records: list[list[Figure]]
    lesions: list[Figure]
    missing: Sequence[str]


def explained(found: Explanation, title: str) -> Explained:
    """Arrange what a network does for the report.

    Args:
        found: the explanation.
        title: the task's title.
    """
    return Explained(
        model=found.model,
        words=(
            f"One network, the kept one, on {counted(len(found.records), 'test record')}. Attributions (integrated "
            "gradients) say which values this prediction used, compared with an input of means; they do not say what "
            "causes the outcome, and another network with the same score may use others."
        ),
        records=[[_attributions(one, found, title), *_of_record(one, found, title)] for one in found.records],
        lesions=[_lesions(one, title) for one in (found.lesions, found.synapses) if one is not None],
        missing=found.missing,
    )


def _attributions(record: Record, found: Explanation, title: str) -> Figure:
    """Per feature, its values as a line and its attributions as a strip of cells below."""
    total = np.abs(record.attributions).sum(axis=0, dtype=np.float64)
    # The first of equals first, so that the same numbers give the same text.
    chosen = np.argsort(-total, kind="stable")[:MOST_FEATURES]
    names = [found.features[feature] for feature in chosen]
    left, width, top, line, strip, pitch = 24.0 + svg.longest(names), 480.0, 8.0, 20.0, 9.0, 37.0
    axis = _time_axis(record.times, left, width - 14)
    bounds = parts(len(record.times))
    edges = [axis.at(float(record.times[start])) for start in bounds[:-1]]
    edges.append(max(axis.at(float(record.times[-1])), edges[-1]) + 3)
    sums = np.add.reduceat(record.attributions[:, chosen].astype(np.float64), bounds[:-1], axis=0)
    largest = float(np.abs(sums).max()) or 1.0
    bottom = top + pitch * len(names)
    drawing = [svg.grid_x(axis, top, bottom, _time_label(found.time_unit))]
    cells: dict[tuple[str, int], list[str]] = {}
    for row, (feature, name) in enumerate(zip(chosen, names, strict=True)):
        y = top + pitch * row
        share = record.attributions[:, feature].sum(dtype=np.float64)
        told = f"{name}: {number(share, decimals(None, share), signed=True)} over the record"
        drawing.append(
            f'<g class="neutral at"><title>{escape(told)}</title>'
            f'<rect class="hit" x="0" y="{y:.1f}" width="{width:.0f}" height="{pitch - 4:.0f}"/>'
            f"{svg.words(name, left - 10, y + 20, 'name', 'end')}{_value_line(record, feature, axis, y, line)}</g>"
        )
        for part, value in enumerate(sums[:, row]):
            level = round(LEVELS * abs(value) / largest)
            if level:
                wide = max(edges[part + 1] - edges[part], 0.6)
                cell = f"M{edges[part]:.1f} {y + line + 3:.1f}h{wide:.1f}v{strip:.0f}h{-wide:.1f}z"
                cells.setdefault(("raises" if value > 0 else "lowers", level), []).append(cell)
    for (tone, level), squares in sorted(cells.items()):
        path = f'<path class="heat" fill-opacity="{level / LEVELS:.2f}" d="{"".join(squares)}"/>'
        drawing.append(f'<g class="{tone}">{path}</g>')
    change = record.score - record.baseline
    places = decimals(None, max(abs(record.score), abs(record.baseline)))
    words = [
        f"{record.name}: the prediction for {record.output} is {number(record.score, places)} ({found.score}), "
        f"{number(record.baseline, places)} for an input of means. Lines: values as the network reads them. Strips: "
        "ochre raises the prediction, violet lowers it; the strongest cell is "
        f"{number(largest, decimals(None, largest))}."
    ]
    if abs(record.gap) > 0.01 * max(abs(change), 1e-12):
        words.append(f"The attributions miss {number(record.gap, decimals(None, record.gap))} of the difference.")
    if len(total) > len(chosen):
        rest = 1 - total[chosen].sum() / (total.sum() or 1.0)
        words.append(f"{counted(len(total) - len(chosen), 'feature')} with {percent(rest)} of all are not drawn.")
    if len(bounds) - 1 < len(record.times):
        words.append("Each cell sums several steps.")
    return Figure(
        svg.drawing(f"Attributions of {found.model} on {title}, {record.name}", width, bottom + 42, drawing),
        " ".join(words),
    )


def _value_line(record: Record, feature: int, axis: Axis, y: float, high: float) -> str:
    values = record.values[:, feature]
    seen = np.flatnonzero(np.isfinite(values))
    if not len(seen):
        return ""
    seen = seen[:: -(-len(seen) // (2 * MOST_PARTS))]
    scale = Axis.over(values[seen].tolist(), y + high, y)
    at = [(axis.at(float(record.times[step])), scale.at(float(values[step]))) for step in seen]
    # A single observation is a dot.
    return f'<path class="leader" stroke-linecap="round" d="{svg.path(at)}{"h0.01" if len(at) == 1 else ""}"/>'


def _of_record(record: Record, found: Explanation, title: str) -> list[Figure]:
    if record.time_constants is None:
        return []
    times = {"times": record.times, "spans": record.spans, "unit": found.time_unit}
    return [constants(record.name, record.time_constants, **times, model=found.model, title=title)]


def constants(
    name: str,
    quantiles: NDArray[np.float32],
    *,
    times: NDArray[np.float64],
    spans: NDArray[np.float64],
    unit: str,
    model: str,
    title: str,
) -> Figure:
    """Quantiles over units of the time constants along a record, and the spans between samples.

    Args:
        name: the record's.
        quantiles: (len(`QUANTILES`), n).
        times: (n,), from 0.
        spans: (n,), time since the sample before.
        unit: of all times.
        model: the network's name.
        title: the task's title.
    """
    width, height, left, right, top, bottom = 480.0, 272.0, 56.0, 60.0, 24.0, 46.0
    kept = np.arange(0, len(times), -(-len(times) // (2 * MOST_PARTS)))
    lines = quantiles[:, kept].astype(np.float64)
    x = _time_axis(times, left, width - right)
    y = Axis.over([*lines.ravel().tolist(), *spans[kept].tolist()], height - bottom, top, log=True)
    drawing = [
        svg.grid_x(x, top, height - bottom, _time_label(unit)),
        svg.grid_y(y, left, width - right, f"Time constant ({unit})"),
    ]
    across = [x.at(float(times[step])) for step in kept]
    ends = []
    for share, line in zip(QUANTILES, lines, strict=True):
        at = [(place, y.at(value)) for place, value in zip(across, line, strict=True)]
        drawing.append(
            f'<g class="neutral"><path class="{"line" if share == 0.5 else "leader"}" d="{svg.path(at)}"/></g>'
        )
        ends.append(at[-1][1])
    at = [(place, y.at(span)) for place, span in zip(across, spans[kept], strict=True)]
    drawing.append(f'<g class="reference"><path d="{svg.path(at)}"/></g>')
    names = [*(percent(share) for share in QUANTILES), "span"]
    levels = svg.spread_labels([*ends, at[-1][1]], svg.FONT + 2, top, height - bottom)
    drawing += [
        svg.words(name, width - right + 6, level + 4, "label", "start")
        for name, level in zip(names, levels, strict=True)
    ]
    below = float((quantiles < spans).mean(axis=1)[QUANTILES.index(0.5)])
    words = (
        f"{name}: time constants of the layer’s units, quantiles over units; dashed, the span to the sample "
        f"before. The median is below the span at {percent(below)} of the samples: there, at least half of the units "
        "have forgotten their past by the next sample. A long time constant does not show that the memory is used."
    )
    if len(kept) < len(times):
        words += f" Drawn: one sample in {kept[1]}."
    return Figure(svg.drawing(f"Time constants of {model} on {title}, {name}", width, height, drawing), words)


def _lesions(found: Lesions, title: str) -> Figure:
    """A bar for each lesion, the most harmful first."""
    worse = -found.effects if found.higher_is_better else found.effects
    order = np.argsort(-worse, kind="stable")
    width, height, left, top, bottom = 480.0, 240.0, 60.0, 24.0, 24.0
    y = Axis.over([0.0, *worse.tolist()], height - bottom, top)
    wide = (width - left - 14) / len(order)
    drawing = [svg.grid_y(y, left, width - 14, f"{found.metric}: how much worse without the {found.part}")]
    for place, index in enumerate(order):
        change, start, end = float(found.effects[index]), y.at(0.0), y.at(float(worse[index]))
        kind = f" ({found.kinds[index]})" if found.kinds[index] else ""
        told = (
            f"{found.part} {found.units[index]}{kind}: {found.metric} "
            f"{number(found.whole + change, 4)}, {number(change, 4, signed=True)}"
        )
        corner, within = left + place * wide, 0.8 * wide
        drawing.append(
            f'<g class="{"raises" if worse[index] >= 0 else "lowers"} at"><title>{escape(told)}</title>'
            f'<rect class="hit" x="{corner:.1f}" y="{top}" width="{wide:.1f}" height="{height - top - bottom}"/>'
            f'<path class="heat" d="M{corner + wide / 10:.1f} {start:.1f}V{end:.1f}h{within:.1f}V{start:.1f}z"/></g>'
        )
    drawing.append(f'<path class="zero" d="M{left} {y.at(0.0):.1f}H{width - 14}"/>')
    drawing.append(
        svg.words(
            f"{found.part.capitalize()}s, the one that is missed most first",
            (left + width - 14) / 2,
            height - 6,
            "label",
            "middle",
        )
    )
    helped = int((worse > 0).sum())
    words = [
        f"{found.metric} on test is {number(found.whole, decimals(None, found.whole) + 1)}; each bar: how much worse "
        f"it is if {_TAKEN_OUT[found.part]}, below zero if it is better then. {helped} of "
        f"{counted(len(order), 'lesion')} harm. {found.part.capitalize()}s that can replace each other show no effect "
        "alone, and the score is of one network: small effects may be chance."
    ]
    if len(found.units) < found.of_units:
        words.append(f"Taken out: {len(found.units)} of {found.of_units} {found.part}s, evenly spaced.")
    if found.sequences < found.of_sequences:
        words.append(f"Scored on {found.sequences} of {counted(found.of_sequences, 'test sequence')}.")
    return Figure(
        svg.drawing(f"Effects of lesions of {found.part}s on {title}", width, height, drawing), " ".join(words)
    )


_TAKEN_OUT = {
    "neuron": "all synapses of one neuron are taken out",
    "unit": "the state of one unit is 0 at every sample",
    "synapse": "one synapse is taken out",
}


def _time_axis(times: NDArray[np.float64], start: float, end: float) -> Axis:
    last = float(times[-1]) or 1.0
    return Axis(0.0, last, start, end, places=tuple(svg.ticks(0.0, last, 5)))


def _time_label(unit: str) -> str:
    return f"Time since the record’s first sample ({unit})"


def parts(steps: int) -> NDArray[np.int64]:
    """Bounds of the parts of a record with about equally many steps each, the end included."""
    return np.unique(np.linspace(0, steps, min(steps, MOST_PARTS) + 1).round().astype(np.int64))
