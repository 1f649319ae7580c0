"""Rows of a user's table that stand twice, and numbers that stand still.

A stretch of rows that was pasted a second time, or a recording under two names, puts into the test part what training
has seen. A sensor that is stuck says the same in every row.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks.draft import labelled
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.wording import counted, listed

FEWEST_AGAIN = 8
"""Rows one after another, and different ones among them, that stand again by no accident."""
FEWEST_OF_A_COLUMN, FEWEST_VALUES = 16, 50
"""The same of one column; and distinct numbers that it has."""
MOST_COPIES = 3
"""Times that such a stretch stands in the table; what comes more often is a protocol, a calendar or the like."""
BY_CHANCE = 1e-3
"""Stretches that would come again by chance, as those of coarse data do, up to which one was copied."""
BEYOND = 3
"""Rows before or after a stretch of which the features are the same by no accident."""
MIXER = np.uint64(0x9E3779B97F4A7C15)
SHARED = 0.5
"""Share of a recording's rows that stand in another one, from which on both are one."""
AT_ONE_TIME = 0.67
"""Distinct times for each row, up to which recordings are side by side and may share the weather, say."""

FEWEST_HELD, FEWEST_HOLDS, HELD = 3, 20, 0.8
"""Rows for which a target stays the same, how often it does so, and the share of these of the usual length."""

FROZEN = 20
"""Rows in which a number that else changes from row to row stands still by no accident."""
CHANGES = 0.95
"""Share of the other rows in which it has to change."""
STANDS = 5
"""Rows that it may stand still for elsewhere."""
MOST_FREEZES = 3
"""Times that it stands still in the whole table; what does so more often is off at night, or on weekends."""


def suspects(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for rows that stand twice, and one for each stretch in which columns stand still."""
    codes = meaning.codes()
    yield from _repeated(meaning, codes)
    yield from _held(meaning, codes)
    yield from _frozen(meaning, codes)


# Rows that stand twice


class _Stretch(NamedTuple):
    """Rows that stand again: place of the first, of the first of those that they repeat, and how many."""

    first: int
    before: int
    length: int


def _repeated(meaning: Meaning, codes: NDArray[np.int64]) -> Iterator[str]:
    """Recordings that are there under two names, and stretches that were pasted again."""
    names = list(dict.fromkeys((*meaning.sources, meaning.target)))
    stretches = _again(meaning, codes, names, FEWEST_AGAIN)
    if not stretches:
        yield from _pasted_columns(meaning, codes, names)
        return
    rows = Counter[tuple[int, int]]()
    for stretch in stretches:
        rows[int(codes[stretch.first]), int(codes[stretch.before])] += stretch.length
    sizes = np.bincount(codes)
    same = {pair for pair, count in rows.items() if pair[0] != pair[1] and count >= SHARED * sizes[list(pair)].min()}
    if same:
        pairs = [f"{_name(meaning, codes, one)} and {_name(meaning, codes, other)}" for other, one in sorted(same)]
        yield (
            f"{listed(pairs, 3, quote=False)} of {' / '.join(map(repr, meaning.key))} hold the same rows in large "
            "part, one after another: if that is one recording under two names, remove one, or it may be in training "
            "and in test"
        )
    pasted = [
        stretch
        for stretch in stretches
        if (int(codes[stretch.first]), int(codes[stretch.before])) not in same
        # Rows that are the same in every column, in one of a hundred, are warned of already.
        and not (
            meaning.copies_told and codes[stretch.first] == codes[stretch.before] and 100 * stretch.length > len(codes)
        )
    ]
    if pasted:
        longest = max(pasted, key=lambda stretch: stretch.length)
        more = f", and so {'are' if len(pasted) > 2 else 'is'} {counted(len(pasted) - 1, 'more block')}" * (
            len(pasted) > 1
        )
        yield (
            f"the {longest.length} rows from {meaning.at(longest.first)} on are the same as those from "
            f"{meaning.at(longest.before)} on, value for value{more}: if they were pasted twice, remove the copy, or "
            "it may be in training and in test"
        )


def _name(meaning: Meaning, codes: NDArray[np.int64], recording: int) -> str:
    """The name of a recording."""
    row = meaning.frame[int((codes == recording).argmax())]
    return " / ".join(labelled(row[name])[0] for name in meaning.key)


def _pasted_columns(meaning: Meaning, codes: NDArray[np.int64], names: list[str]) -> Iterator[str]:
    """Stretches of one column that stand again in it, where the others do not."""
    for name in names:
        column = meaning.frame[name]
        # Whole numbers come again in any order.
        if not column.dtype.is_float() or column.n_unique() < FEWEST_VALUES:
            continue
        stretches = _again(meaning, codes, [name], FEWEST_OF_A_COLUMN)
        # Recordings may share the weather, or be driven alike, and what begins again at once is periodic.
        if stretches := [
            stretch
            for stretch in stretches
            if codes[stretch.first] == codes[stretch.before]
            and stretch.before + stretch.length + FEWEST_OF_A_COLUMN <= stretch.first
        ]:
            longest = max(stretches, key=lambda stretch: stretch.length)
            yield (
                f"{name!r} has the same numbers in the {longest.length} rows from {meaning.at(longest.first)} on as in "
                f"those from {meaning.at(longest.before)} on, while other columns have not: if they were pasted or "
                "filled in, empty them"
            )


def _again(meaning: Meaning, codes: NDArray[np.int64], names: list[str], fewest: int) -> list[_Stretch]:
    """The stretches of at least so many rows that stand again elsewhere in these columns, by no accident."""
    hashes = meaning.frame.select(names).hash_rows(seed=0).to_numpy()
    windows = {1: hashes}
    for rows in itertools.takewhile(lambda rows: rows < fewest, (1, 2, 4, 8)):
        # Of twice as many rows each.
        first, second = windows[rows][:-rows], windows[rows][rows:]
        windows[2 * rows] = (first * MIXER) ^ (first >> np.uint64(31)) ^ second
        if not len(windows[2 * rows]):
            return []
    here = windows[fewest]
    within = codes[: len(here)] == codes[fewest - 1 :]
    places = np.flatnonzero(within)
    order = places[np.argsort(here[places], kind="stable")]
    same = np.append(False, here[order[1:]] == here[order[:-1]])
    if not same.any():
        return []
    starts = np.flatnonzero(~same)
    copies = np.ones(len(here), dtype=np.int64)
    copies[order] = np.repeat(np.diff(starts, append=len(order)), np.diff(starts, append=len(order)))
    before = np.full(len(here), -1)
    before[order[same]] = order[np.flatnonzero(same) - 1]
    # Where one window after the other is the next one of what stands before.
    goes_on = (before[:-1] >= 0) & (np.diff(before) == 1) & within[1:]
    first = np.flatnonzero((before >= 0) & ~np.append(False, goes_on))
    lengths = np.flatnonzero((before >= 0) & ~np.append(goes_on, False)) + fewest - first
    seldom = copies[first] <= MOST_COPIES
    if 2 * seldom.sum() < len(first):
        return []
    # A stretch that begins again before it ends is periodic, or stands still.
    seldom &= lengths <= first - before[first]
    found = [
        _Stretch(*map(int, stretch))
        for stretch in zip(first[seldom], before[first[seldom]], lengths[seldom], strict=True)
    ]
    if not found:
        return []
    own = meaning.frame.select(_own(meaning, names)).hash_rows(seed=0).to_numpy()
    features = meaning.frame.select(name for name in names if name != meaning.target)
    expected = _by_chance(windows, found)
    return [
        stretch
        for stretch in found
        if len(np.unique(own[stretch.first : stretch.first + stretch.length])) >= fewest
        and expected(stretch.length) < BY_CHANCE
        and not _is_of_a_design(features, stretch, codes)
    ]


def _is_of_a_design(features: pl.DataFrame, stretch: _Stretch, codes: NDArray[np.int64]) -> bool:
    """Whether features are the same beyond a stretch too, as settings of an experiment that was done again are."""
    for beyond in (-BEYOND, stretch.length):
        here, before = stretch.first + beyond, stretch.before + beyond
        if min(here, before) < 0 or max(here, before) + BEYOND > len(codes) or not features.width:
            continue
        there = np.arange(BEYOND)
        if (codes[here + there] == codes[stretch.first]).all() and (
            codes[before + there] == codes[stretch.before]
        ).all():
            if features[here : here + BEYOND].equals(features[before : before + BEYOND]):
                return True
    return False


def _by_chance(windows: dict[int, NDArray[np.uint64]], found: list[_Stretch]) -> Callable[[int], float]:
    """How many pairs of stretches of a length would be the same by chance, by how seldom longer windows are."""
    pairs = {}
    for rows in (2, 4):
        apart = np.ones(len(windows[rows]), dtype=bool)
        for stretch in found:
            apart[max(stretch.first - rows + 1, 0) : stretch.first + stretch.length] = False
        counts = np.unique(windows[rows][apart], return_counts=True)[1]
        pairs[rows] = float((counts * (counts - 1.0)).sum() / 2)
    # None at all is as good as half of one.
    longer = max(pairs[4], 0.5)
    goes_on = min(longer / pairs[2], 1.0) ** 0.5 if pairs[2] else 0.0
    return lambda length: longer * goes_on ** (length - 4)


def _own(meaning: Meaning, names: list[str]) -> list[str]:
    """The columns without those that are the same in all recordings at one time, such as the weather."""
    if meaning.time is None or not meaning.key:
        return names
    times = meaning.frame[meaning.time].n_unique()
    if times > AT_ONE_TIME * meaning.frame.height:
        return names
    return [name for name in names if meaning.frame.select(meaning.time, name).unique().height > times] or names


# A target that was measured less often than the rows say


def _held(meaning: Meaning, codes: NDArray[np.int64]) -> Iterator[str]:
    """A target that stays the same for as many rows each time, as a daily value written in each hour of the day."""
    column = meaning.frame[meaning.target]
    if meaning.per != "step" or meaning.classes is not None or column.has_nulls():
        return
    numbers = column.cast(pl.Float64).to_numpy()
    first = np.flatnonzero(np.append(True, (np.diff(numbers) != 0) | (np.diff(codes) != 0)))
    lengths = np.diff(first, append=len(numbers))
    usual = int(np.median(lengths))
    # Set points, and what is mostly 0, have few values.
    several = len(np.unique(numbers[first])) >= len(first) / 2
    if usual >= FEWEST_HELD and len(first) >= FEWEST_HOLDS and several and np.mean(lengths == usual) >= HELD:
        yield (
            f"target {meaning.target!r} changes once in {usual} rows, as a value that was measured once and written in "
            "all of them, so that most rows ask for what the row before has shown, and the first of each may know what "
            "is measured later; keep one row of each value"
        )


# Numbers that stand still


def _frozen(meaning: Meaning, codes: NDArray[np.int64]) -> Iterator[str]:
    """Stretches in which numbers that else change from row to row do not."""
    found: dict[tuple[int, int], list[str]] = {}
    for column in meaning.amounts():
        name, numbers = column.name, column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        for first, end in _freezes(numbers, codes):
            if not _is_off(meaning, first, end):
                found.setdefault((first, end), []).append(name)
    for (first, end), names in found.items():
        verb = "is" if len(names) == 1 else "are each"
        yield (
            f"{listed(names)} {verb} exactly the same in the {end - first} rows from {meaning.at(first)} on, and else "
            f"{'changes' if len(names) == 1 else 'change'} from row to row: if a sensor or the recording was stuck "
            "there, empty those cells or remove the rows"
        )


def _is_off(meaning: Meaning, first: int, end: int) -> bool:
    """Whether something else is 0 or false while a column stands still, and not long before and after."""
    length = end - first
    around = meaning.frame[max(first - length, 0) : end + length]
    for name in dict.fromkeys((*meaning.sources, meaning.target)):
        if around[name].dtype.is_numeric() or around[name].dtype == pl.Boolean:
            off = (around[name].cast(pl.Float64) == 0).fill_null(False)
            if off.slice(min(first, length), length).all() and not off.all():
                return True
    return False


def _freezes(numbers: NDArray[np.float64], codes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First rows and ends of stretches in which a column that else changes from row to row is the same."""
    if len(numbers) < 2 * FROZEN or np.isnan(numbers).all():
        return []
    steps = np.diff(numbers)
    same = (steps == 0) & (np.diff(codes) == 0)
    starts = np.flatnonzero(np.append(True, ~same))
    lengths = np.diff(starts, append=len(numbers))
    # At an end of its range a number is cut off, and at 0 there may be nothing.
    ends = (0.0, np.nanmin(numbers), np.nanmax(numbers))
    inside = ~np.isnan(numbers[starts]) & ~np.isin(numbers[starts], ends)
    long = inside & (lengths >= FROZEN)
    others = lengths[inside & ~long]
    if not 0 < long.sum() <= MOST_FREEZES or others.sum() < 2 * FROZEN or others.max() > STANDS:
        return []
    # Where it comes back to the same number it is at rest, and a meter may have no use.
    moves = steps[np.isfinite(steps) & (steps != 0) & (np.diff(codes) == 0)]
    if (
        len(others) < CHANGES * others.sum()
        or len(np.unique(numbers[starts[long]])) < long.sum()
        or (moves > 0).all()
        or (moves < 0).all()
    ):
        return []
    return [(int(start), int(start + length)) for start, length in zip(starts[long], lengths[long], strict=True)]
