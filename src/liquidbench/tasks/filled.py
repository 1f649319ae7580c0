"""Numbers of a user's table that were filled in where nothing was measured, and flags that say where that was.

A mean in place of a missing number tells a model that it was measured, and a straight line across a gap tells it of
the number behind the gap. Cells that are empty do neither.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import words
from liquidbench.tasks.draft import last_digit
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.wording import counted, listed

FEWEST_FILLED = 8
"""Cells with one number that are no accident where others hardly have any in common."""
FEWEST_OF_GROUP, FEWEST_GROUPS = 3, 3
"""The same within a group, and groups of which each has such a number."""
OFTEN = 3
"""Times as often as any other number that one comes which was filled in."""
CLOSE = 1e-3
"""Standard deviations between a number and the mean or median of others up to which it is one."""
COARSE = 1e-4
"""Unit of the last digit from which on numbers are rounded."""
STANDARD = 0.1
"""How far the mean and the deviation of standardised numbers may be from 0 and 1."""
LEAPS = 5
"""Times as long as other steps those to a filled 0 are; what is at rest at 0 comes to it slowly."""

LINE = 8
"""Rows in a straight line that are no accident where others vary."""
VARIES = 20
"""Units of the last digit by which most other slopes change from row to row."""
LINES = 0.5
"""Share of the rows up to which straight lines are an exception."""

MOST_FLAGS = 8
"""Values that a flag of quality has at most."""
USUAL = 0.5
"""Share of the rows from which on a value of such a flag means that all is well."""


def suspects(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for each column with numbers that seem to be filled in, and for flags of quality."""
    codes = meaning.codes()
    for column in meaning.amounts():
        numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        if not words.is_of_subject(column.name):
            yield from _averages(meaning, column.name, numbers, codes)
            yield from _lines(meaning, column.name, numbers, codes)
    yield from _flags(meaning)


def _averages(meaning: Meaning, name: str, numbers: NDArray[np.float64], codes: NDArray[np.int64]) -> Iterator[str]:
    """A number that comes far more often than any other, and is the mean or median of the others."""
    if (found := _middle(numbers, codes, FEWEST_FILLED)) is not None:
        value, what = found
        filled = numbers == value
        yield (
            f"{name!r} is {value:.8g} in {counted(int(filled.sum()), 'row')}, the first of them "
            f"{meaning.at(int(filled.argmax()))}, which {what}, and far more often than any other number: if missing "
            "cells were filled with it, leave them empty instead; models are told what is missing"
        )
        return
    rows = np.split(np.argsort(codes, kind="stable"), np.flatnonzero(np.diff(np.sort(codes))) + 1)
    each = {of[0]: found for of in rows if (found := _middle(numbers[of], codes[of], FEWEST_OF_GROUP)) is not None}
    if len(rows) > 1 and len(each) >= FEWEST_GROUPS:
        filled = {row: int((numbers[codes == codes[row]] == value).sum()) for row, (value, _) in each.items()}
        first = min(each)
        place = int(np.flatnonzero((codes == codes[first]) & (numbers == each[first][0]))[0])
        yield (
            f"{name!r} has one number far more often than any other in {len(each)} of {meaning.group!r}, "
            f"{counted(sum(filled.values()), 'row')} in all, the first {meaning.at(place)}, which {each[first][1]}: if "
            "missing cells were filled with it, leave them empty instead; models are told what is missing"
        )


def _middle(numbers: NDArray[np.float64], codes: NDArray[np.int64], fewest: int) -> tuple[float, str] | None:
    """A number that comes at least so often, far more often than others, and that was made of them; and how."""
    known = numbers[~np.isnan(numbers)]
    values, counts = np.unique(known, return_counts=True)
    if len(values) < 2 * FEWEST_FILLED:
        return None
    order = np.argsort(counts)
    place, often, next_often = order[-1], int(counts[order[-1]]), int(counts[order[-2]])
    if often < max(fewest, OFTEN * next_often):
        return None
    value = float(values[place])
    others = known[known != value]
    unit = last_digit(others)
    # A number of its own is rounded as those are that were measured.
    if unit >= COARSE and abs(value / unit - round(value / unit)) > 0.01:
        return value, "has more decimals than all other rows, as a mean has"
    standard = abs(others.mean()) < STANDARD and abs(others.std() - 1) < STANDARD
    if value == 0 and not standard and not _leaps_to(numbers, numbers == 0, codes):
        return None
    if abs(value - float(others.mean())) <= CLOSE * float(others.std()) + unit / 2 or (value == 0 and standard):
        return value, "is the mean of all other rows"
    # Where numbers are coarse, some of those that were measured are the median too.
    around = counts[max(place - 1, 0) : place + 2].sum() - often
    apart = abs(int((others < value).sum()) - int((others > value).sum()))
    alone = len(_runs(numbers == value)) > often / 2
    return (value, "is the median of all other rows") if apart <= max(1, around if alone else 1) else None


def _leaps_to(numbers: NDArray[np.float64], filled: NDArray[np.bool_], codes: NDArray[np.int64]) -> bool:
    """Whether a column comes to such a number by longer steps than it makes elsewhere."""
    within = np.diff(codes) == 0
    steps = np.abs(np.diff(numbers))
    to, elsewhere = steps[within & filled[1:] & ~filled[:-1]], steps[within & ~filled[1:] & ~filled[:-1]]
    to, elsewhere = to[np.isfinite(to)], elsewhere[np.isfinite(elsewhere)]
    return bool(len(to) and len(elsewhere) and np.median(to) > LEAPS * np.median(elsewhere))


def _lines(meaning: Meaning, name: str, numbers: NDArray[np.float64], codes: NDArray[np.int64]) -> Iterator[str]:
    """Stretches in a straight line, in time or from row to row, of a column that else varies."""
    inside = (np.diff(codes)[1:] == 0) & (np.diff(codes)[:-1] == 0)
    ways = [np.arange(len(numbers), dtype=np.float64)]
    if meaning.time is not None:
        spans = np.diff(meaning.times())
        ways += [meaning.times()] * bool(np.ptp(spans[np.diff(codes) == 0]) > 0)
    known = numbers[~np.isnan(numbers)]
    if len(known) < 2 * LINE:
        return
    unit = last_digit(known)
    for along in ways:
        lengths = np.where(np.diff(along) > 0, np.diff(along), np.nan)
        rises = np.diff(numbers)
        # How far each row is from the line between its neighbours, in the units of the numbers.
        bent = np.abs(rises[1:] - rises[:-1] * lengths[1:] / lengths[:-1])
        bent[~inside] = np.nan
        straight = bent <= 2 * unit + 1e-9 * float(np.median(np.abs(known)))
        moves = np.abs(rises[1:]) > 0
        stretches = [
            (first, end)
            for first, end in _runs(straight)
            # Of two slopes each, so that a stretch has two rows more; what stands still is looked at elsewhere.
            if end - first >= LINE - 2
            and moves[first:end].mean() > 0.5
            and np.ptp(numbers[first : end + 2]) > VARIES * unit / 2
        ]
        if not stretches:
            continue
        others = ~np.isnan(bent)
        for first, end in stretches:
            others[first:end] = False
        rest = bent[others]
        # In other recordings numbers may be of another scale.
        near = [others & (codes[1:-1] == codes[first + 1]) for first, _ in stretches]
        stretches = [
            stretch
            for stretch, beside in zip(stretches, near, strict=True)
            if beside.sum() >= LINE and np.median(bent[beside]) > VARIES * unit
        ]
        rows = sum(end - first + 2 for first, end in stretches)
        if not stretches or rows > LINES * len(known) or np.mean(rest == 0) > 0.1:
            continue
        # Lines are as long by chance where a line of three rows is not seldom elsewhere.
        if np.mean(rest <= 2 * unit) ** (LINE - 2) * len(bent) > CLOSE:
            continue
        first, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
        more = f", and so on in {counted(len(stretches) - 1, 'more place')}, {rows:,} rows in all" * (
            len(stretches) > 1
        )
        yield (
            f"{name!r} goes in an exactly straight line through the {end - first + 2} rows from {meaning.at(first)} on"
            f"{more}, and else varies from row to row: if gaps were filled in so, each row in them knows what was "
            "measured behind the gap; leave these cells empty instead, models are told what is missing"
        )
        return


def _runs(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First places and ends of what stands together."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _flags(meaning: Meaning) -> Iterator[str]:
    """Columns that by their names or words tell the quality of the measurements beside them."""
    used = list(dict.fromkeys(meaning.sources))
    for name in used:
        # Where only what is odd is marked, an empty cell is a value.
        column = meaning.frame[name]
        values = column.alias("value").value_counts(sort=True).rows()
        known = column.drop_nulls()
        if name == meaning.target or not 1 < len(values) <= MOST_FLAGS or not len(known):
            continue
        of = words.of_quality(name, [other for other in (*used, meaning.target) if other != name])
        said = [str(value) for value in known.unique() if not isinstance(value, bool | int | float)]
        if of is None and not (said and words.are_of_quality(said)):
            continue
        usual, count = values[0]
        if count < USUAL * len(column) or (column.null_count() and known.n_unique() > 1):
            continue
        others = [f"{_said(value)} in {of_it:,}" for value, of_it in values[1:4]]
        whose = repr(of) if of else "other columns"
        yield (
            f"{name!r} looks like a flag of the quality of {whose} ({_said(usual)} in {counted(count, 'row')}, "
            f"{listed(others, quote=False)}), and is a feature like others, while what it flags is read as measured: "
            "empty the cells that it rejects first, and leave it out (--features)"
        )


def _said(value: object) -> str:
    if value is None:
        return "empty"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
