"""Features of a user's table that tell the target among rows that share something, though not over the whole table.

Such a feature is the rank of the target within a race or at a time, a mark at the best of them, or a copy of it on a
scale that each group has for itself: in its own currency, as a share of its greatest, by its age and sex. Within each
group it is the larger the larger the target is, or the smaller. So is whatever grows along with the target, or belongs
to those who are always first: then the feature's value in the row before says it nearly as well.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks.draft import last_digit
from liquidbench.tasks.leaks import BOTH_WAYS, MOST_ROWS
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences

SMALLEST, FEWEST = 3, 5
"""Rows of a group, and distinct targets of the usual group for a copy of them, which has no exact numbers."""
MOSTLY = 0.8
"""Share of the rows that are in groups of so many."""
INVERTED = 0.01
"""Share of the steps between targets next to one another that a feature may go the other way, as some are corrected."""
FEWEST_STEPS = 40
"""Such steps, each of which goes either way by chance."""
RESOLVED = 0.5
"""Share of them in which the feature changes."""
FEWEST_MARKED = 20
"""Groups in which a mark is at the best or the last, which of three rows it is by chance in one of three."""
FIRST = 400
"""Rows by which most columns are seen to go both ways."""
ALMOST_ALL = 0.95
"""Share of the rows, or groups, in which a rank or a mark is what it should be."""


class _Groups(NamedTuple):
    """Rows in the order of their groups and then of the target.

    Attributes:
        where: the rows of a group, in words.
        order: the rows, those of groups that are large enough.
        of: the number of each one's group.
        targets: in that order.
        inside: whether each row and the next one are of one group and differ in the target.
    """

    where: str
    order: NDArray[np.int64]
    of: NDArray[np.int64]
    targets: NDArray[np.float64]
    inside: NDArray[np.bool_]


def suspects(meaning: Meaning, sequences: Sequences, found: set[str]) -> Iterator[str]:
    """A sentence for each feature that is a rank or a copy of the target within groups of rows.

    Args:
        meaning: of the table.
        sequences: of the table.
        found: columns that a sentence has named, which need no other; those named here are put there.
    """
    if meaning.kind != "regression" or meaning.per == "sequence":
        return
    frame = meaning.frame.head(MOST_ROWS)
    targets = _numbers(meaning, frame, meaning.target)
    recordings = meaning.codes()[: frame.height]
    groupings = [groups for where, codes in _shared(meaning, frame) if (groups := _grouped(where, codes, targets))]
    whole = _grouped("", np.zeros(frame.height, dtype=np.int64), targets)
    if whole is None:
        return
    # What only grows has the order of time.
    steps = np.diff(targets)[np.diff(recordings) == 0]
    grows = np.count_nonzero(steps) and min(np.mean(steps > 0), np.mean(steps < 0)) < BOTH_WAYS
    if grows:
        return
    for source in dict.fromkeys(meaning.sources):
        if source in found or source in (meaning.target, *meaning.presence) or not frame[source].dtype.is_numeric():
            continue
        values = _numbers(meaning, frame, source)
        # A copy over the whole table needs no groups, and may be no leak where it is not exact.
        if _inverted(whole, values) <= INVERTED:
            continue
        before = np.where(np.diff(recordings, prepend=-1) == 0, np.append(np.nan, values[:-1]), np.nan)
        for groups in groupings:
            # Most columns go both ways within a few rows already.
            if groups.where == repr(source) or _inverted(groups, values, FIRST) > BOTH_WAYS:
                continue
            if how := _says(groups, values, before):
                found.add(source)
                yield (
                    f"leak suspect: {source!r} {how.format(target=repr(meaning.target))} among the rows of one "
                    f"{groups.where}; if it is not known when the prediction is made, leave it out (features: in a "
                    "study)"
                )
                break


def _numbers(meaning: Meaning, frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    numbers = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
    numbers[np.isin(numbers, meaning.sentinels.get(name, []))] = np.nan
    return numbers


def _shared(meaning: Meaning, frame: pl.DataFrame) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """What rows may share, in words and as a number of each: their group, their time, a value of another column."""
    first = [name for name in (*meaning.key, meaning.time) if name is not None]
    for name in dict.fromkeys((*first, *frame.columns)):
        column = frame[name]
        if name == meaning.target or column.dtype.is_float() or column.dtype.is_nested() or column.has_nulls():
            continue
        if 2 <= column.n_unique() <= frame.height / SMALLEST:
            yield repr(name), column.rank("dense").to_numpy().astype(np.int64)
    when = meaning.when
    if when is not None:
        # A target without its season is one less, or a share, of what is usual then.
        for part, numbers in (
            ("month of the year", when.dt.month()),
            ("day of the week", when.dt.weekday()),
            ("hour of the day", when.dt.hour()),
        ):
            if numbers.n_unique() > 1:
                yield part, numbers.head(frame.height).fill_null(0).cast(pl.Int64).to_numpy()


def _grouped(where: str, codes: NDArray[np.int64], targets: NDArray[np.float64]) -> _Groups | None:
    """The rows by what they share; None where it is too few of them."""
    known = ~np.isnan(targets)
    counts = np.bincount(codes, weights=known)
    kept = np.flatnonzero(known & (counts[codes] >= SMALLEST))
    if len(kept) < max(MOSTLY * known.sum(), FEWEST_STEPS):
        return None
    order = kept[np.lexsort((targets[kept], codes[kept]))]
    of, numbers = codes[order], targets[order]
    return _Groups(where, order, of, numbers, (np.diff(of) == 0) & (np.diff(numbers) > 0))


def _inverted(groups: _Groups, values: NDArray[np.float64], first: int | None = None) -> float:
    """Share of the steps of a feature that go the rarer way as the target goes up, among the first rows if asked."""
    steps = np.diff(values[groups.order[:first]])[groups.inside[: first and first - 1]]
    up, down = np.count_nonzero(steps > 0), np.count_nonzero(steps < 0)
    return min(up, down) / max(up + down, 1)


def _says(groups: _Groups, values: NDArray[np.float64], before: NDArray[np.float64]) -> str | None:
    """In which way a feature tells the target within groups, in words."""
    values, before = values[groups.order], before[groups.order]
    if np.isnan(values).any():
        kept = ~np.isnan(values)
        of, targets = groups.of[kept], groups.targets[kept]
        groups = groups._replace(of=of, targets=targets, inside=(np.diff(of) == 0) & (np.diff(targets) > 0))
        values, before = values[kept], before[kept]
    steps = np.diff(values)[groups.inside]
    up, down = np.count_nonzero(steps > 0), np.count_nonzero(steps < 0)
    if min(up, down) > INVERTED * (up + down) or up + down < FEWEST_MARKED:
        return None
    # Those who are always first have the same order at each time, and so has what grows with time.
    earlier = np.diff(before)[groups.inside]
    ways = np.count_nonzero(earlier > 0), np.count_nonzero(earlier < 0)
    if sum(ways) < FEWEST_MARKED or min(ways) < BOTH_WAYS * sum(ways):
        return None
    numbers = np.unique(values)
    if len(numbers) == 2:
        return _marks(groups, values, bool(up > down))
    if up + down < max(FEWEST_STEPS, RESOLVED * len(steps)):
        return None
    if _is_rank(groups, values):
        return "is the rank of {target}, or a share of it,"
    usual = np.median(np.bincount(groups.of[1:], weights=groups.inside)[np.unique(groups.of)] + 1)
    way = "larger" if up > down else "smaller"
    return f"is the {way} the larger {{target}} is, a copy on another scale," if usual >= FEWEST else None


def _marks(groups: _Groups, values: NDArray[np.float64], up: bool) -> str | None:
    """Whether one row of each group is marked, the first or the last one by the target."""
    codes = np.unique(groups.of, return_inverse=True)[1]
    least = values == values.min()
    rare = least if 2 * least.sum() < len(values) else ~least
    each = np.bincount(codes, weights=rare)
    if len(each) < FEWEST_MARKED or np.mean(each == 1) < ALMOST_ALL:
        return None
    high = up == bool(values[rare][0] > values.min())
    return f"marks the row with the {'greatest' if high else 'least'} {{target}}"


def _is_rank(groups: _Groups, values: NDArray[np.float64]) -> bool:
    """Whether numbers are ranks in their groups, from either end, or these as shares or percentages of the rows."""
    near = 0.5 * last_digit(values) * (last_digit(values) < 1) + 1e-9
    frame = pl.DataFrame({"group": groups.of, "y": groups.targets})
    y, count = pl.col("y"), pl.len().over("group").cast(pl.Float64)
    for descending in (False, True):
        ranks = frame.select(
            least=y.rank("min", descending=descending).over("group").cast(pl.Float64),
            most=y.rank("max", descending=descending).over("group").cast(pl.Float64),
            dense=y.rank("dense", descending=descending).over("group").cast(pl.Float64),
            count=count,
        )
        least, most, dense, rows = (ranks[name].to_numpy() for name in ranks.columns)
        ones = np.ones(len(rows))
        for scale in (1.0, 100.0):
            for off, whole in ((0, ones), (1, ones), (0, rows), (1, rows - 1), (1, rows), (0.5, rows), (0, rows + 1)):
                low, high, exact = (scale * (rank - off) / whole for rank in (least, most, dense))
                among = (values >= low - near) & (values <= high + near)
                if max(among.mean(), np.mean(np.abs(values - exact) <= near)) >= ALMOST_ALL:
                    return True
    return False
