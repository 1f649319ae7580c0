"""Numbers of a user's table that lost the mark between their thousands, or millions.

A spreadsheet reads ``1.094`` as a number little above one, and writes ``1.5`` for 1,500; 987 beside them has no mark to
lose. Such a column has whole numbers up to a thousand, decimals from one on, and nothing where both would be. Times a
thousand, the decimals are whole and go on where the others end, which neither two states nor two quantities do.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import columns
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.wording import counted

MARKS = ((10.0**3, 3, "thousands", "1.094 is 1,094"), (10.0**6, 6, "millions", "1.5 is 1,500,000"))
"""Factors, the most decimals that what lost such a mark has, what it sets apart, and an example."""
FEWEST, FEWEST_WHOLE = 12, 3
"""Distinct numbers, and whole ones among them, that are no accident."""
GAP = 5.0
"""Factor between decimals and whole numbers, from which on nothing is between them."""
MANY = 20
"""Rows of either kind that say that only small numbers have decimals, without a gap between."""
GOES_ON = 1.1
"""Factor between the greatest whole number and the least of the others, times a thousand, if no other is larger."""
MOST_SLIPS = 0.4
"""Share of the others that lost a mark, where others as large did not."""
NEAR = 5
"""Gaps on either side that say how large one is."""
WIDE = 1.25
"""Factor between sizes that are counted together."""
MOST_VALUES = 50
"""Values of a column of words that may say which quantity, or unit, a number is of."""


class Lost(NamedTuple):
    """Numbers that lost a mark.

    Attributes:
        factor: by which they are too small.
        rows: which have decimals, by which they are known.
        apart: least whole number that lost none; whole numbers below may have lost one, as 2 for 2,000.
        sure: whether all numbers below did.
        what: the mark sets apart, and an example.
    """

    factor: float
    rows: NDArray[np.bool_]
    apart: float
    sure: bool
    what: tuple[str, str]


def lost(numbers: NDArray[np.float64]) -> Lost | None:
    """Which of a column's numbers lost the mark between thousands, or millions; None where none did.

    Args:
        numbers: the column, NaN where it is empty.

    Example:
        >>> found = lost(np.array([940, 951, 962, 973, 984, 990, 999, 1.002, 1.01, 1.023, 1.1, 1.2, 1.35]))
        >>> found.factor, int(found.rows.sum()), found.apart
        (1000.0, 6, 940.0)
    """
    sizes = np.abs(numbers)
    decimal = sizes % 1 > 0
    if not decimal.any() or sizes[decimal].min() <= 1:
        return None
    small, whole = np.unique(sizes[decimal]), np.unique(sizes[sizes % 1 == 0])
    large = whole[whole > small[-1]]
    # 998 and 999 beside answers are marks of missing ones.
    large = large[[not columns.is_often_missing(float(number)) for number in large]] if len(large) < MANY else large
    if len(large) < FEWEST_WHOLE or len(small) + len(large) < FEWEST:
        return None
    rows, of_large = int(decimal.sum()), int((sizes >= large[0]).sum())
    # A round number such as 2,000 has no decimals left; more of them are numbers of their own.
    if int(((sizes >= 1) & (sizes <= small[-1]) & ~decimal).sum()) > rows:
        return None
    for factor, places, *what in MARKS:
        full = small * factor
        if np.abs(full - np.rint(full)).max() > 1e-6 * factor:
            continue
        # Instruments that show so many figures have decimals between, and fewer the larger a number is.
        shown = small * 10.0 ** (places - 1)
        long = bool(np.mean(np.abs(shown - np.rint(shown)) > 1e-6 * factor) >= 1 / 2)
        apart = bool(large[0] >= GAP * small[-1])
        if large[-1] >= factor:
            there = apart and long and len(large) >= MANY and full[-1] <= GOES_ON * large[-1]
            there = there and rows <= MOST_SLIPS * of_large
        else:
            there = apart or (long and min(rows, of_large) >= MANY)
            there = there and _goes_on(large, small, factor, GAP if apart else 0.0)
            there = there and not _in_a_valley(
                np.concatenate((sizes[sizes >= large[0]], sizes[decimal] * factor)), factor
            )
        if there:
            return Lost(factor, decimal, float(large[0]), apart, (what[0], what[1]))
    return None


def _goes_on(large: NDArray[np.float64], small: NDArray[np.float64], factor: float, times: float) -> bool:
    """Whether small numbers go on from large ones, once they are so many times as large.

    Args:
        large: whole numbers, in order.
        small: those with decimals, in order.
        factor: by which small ones are too small.
        times: as far apart as they are then, as logarithms, that they have to be as they stand.
    """
    steps = np.diff(np.log(np.concatenate((large[-NEAR - 1 :], small[: NEAR + 1] * factor))))
    step = np.log(small[0] * factor / large[-1])
    usual = max(np.delete(steps, min(len(large), NEAR + 1) - 1).max(), np.log(GOES_ON))
    return bool(step <= usual and times * step <= np.log(large[0] / small[-1]))


def _in_a_valley(sizes: NDArray[np.float64], place: float) -> bool:
    """Whether sizes are fewer around a place than on both sides, as those of two states are by chance."""
    bins = np.rint(np.log(sizes / place) / np.log(WIDE)).astype(np.int64)
    least = int(bins.min())
    counts = np.bincount(bins - least)
    here = counts[-least]
    return bool(here + 2 * here**0.5 < min(counts[:-least].max(initial=0), counts[1 - least :].max(initial=0)) / 2)


def of_column(meaning: Meaning, column: pl.Series) -> Lost | None:
    """`lost` of a column of a table, unless another column says which numbers are small."""
    numbers = _known(meaning, column)
    found = lost(numbers)
    if found is None or _told_by_another(meaning, column.name, found.rows, np.abs(numbers) >= found.apart):
        return None
    return found


def _known(meaning: Meaning, column: pl.Series) -> NDArray[np.float64]:
    """The numbers of a column, NaN for those that may mean that there is none."""
    numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isin(numbers, meaning.sentinels.get(column.name, [])), np.nan, numbers)


def suspects(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for each column in which some numbers lost the mark between thousands."""
    for column in meaning.amounts():
        found = of_column(meaning, column)
        if found is None:
            continue
        name, numbers = column.name, _known(meaning, column)
        sizes, rows = np.abs(numbers), np.flatnonzero(found.rows)
        first = meaning.at(int(rows[meaning.row[rows].argmin()]))
        large = sizes[sizes >= found.apart]
        low, high = sizes[rows].min(), sizes[rows].max()
        whose = f"target {name!r}" if name == meaning.target and not meaning.forecasts else repr(name)
        part = f"table[{name!r}]"
        way = (
            f"in pandas: {part} = {part}.where({part}.abs() >= {found.apart:.10g}, {part} * {found.factor:.0f}), which "
            "is also right for whole ones such as 2"
            if found.sure
            else "and write whole ones among them, such as 2 for 2,000, in full where the table comes from"
        )
        range_of = f"{low:.10g} to {high:.10g}, with decimals," if low < high else f"{low:.10g}"
        up_to = f"else has whole numbers {found.apart:.10g} to {large.max():.10g}"
        like = "among which those are" if large.max() >= found.factor else "which those go on from"
        yield (
            f"{whose} is {range_of} in {counted(len(rows), 'row')}, the first of them {first}, and {up_to}, {like} "
            f"once they are {found.factor:,.0f} times as large, as where a spreadsheet took the mark between "
            f"{found.what[0]} for a decimal one ({found.what[1]}); multiply these by {found.factor:,.0f}, {way}"
        )


def _told_by_another(meaning: Meaning, name: str, small: NDArray[np.bool_], large: NDArray[np.bool_]) -> bool:
    """Whether another column's words, or the recording, tell small numbers from large ones: it is another quantity."""
    rows = np.flatnonzero(small | large)
    labels = [
        column
        for column in meaning.frame.iter_columns()
        if column.name != name and column.dtype in (pl.String, pl.Boolean) and column.n_unique() <= MOST_VALUES
    ]
    each = small[rows]
    for label in [*labels, *[pl.Series(meaning.codes())] * bool(meaning.key)]:
        of = pl.DataFrame({"of": label.gather(rows), "small": each}).group_by("of").agg(pl.col("small").mean())
        if len(of) > 1 and of["small"].is_in([0.0, 1.0]).all():
            return True
    return False
