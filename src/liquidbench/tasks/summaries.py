"""Rows of a table that sum up others: sums, means, limits and the like, above or below the data."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates, words

MOST_ROWS = 8
"""Rows at either end of a table that may sum up the others."""
FEWEST_ROWS = 12
"""Rows that are summed up."""
MOST_GROUPED = 10_000
"""Rows in which groups are looked at: the first ones."""
FIGURES = 0.9
"""Share of a column's cells that hold figures, where a word such as mean is none of its values."""
SAME_SUM = 1e-6
"""How near a statistic is to the row's, in relation to the deviation of the numbers, or of what was added up."""
ROUNDED = 0.2
"""Standard deviations by which a statistic may be rounded; of several numbers in a row, more."""
DIGITS = 5
"""Characters of a number alone from which on it is a mean by no accident."""
BY_CHANCE = 2e-3
"""Share of the rows that hold the numbers of a row, up to which it holds a statistic by no accident."""
REPEATED = 0.5
"""Distinct words for each row of a column, up to which its words come again, and one that does not is odd."""


_KINDS: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "sum": lambda numbers: numbers.sum(),
    "mean": lambda numbers: numbers.mean(),
    "median": lambda numbers: float(np.median(numbers)),
    "standard deviation": lambda numbers: numbers.std(ddof=1),
    "coefficient of variation": lambda numbers: 100 * numbers.std(ddof=1) / (numbers.mean() or 1),
    "standard deviation (n)": lambda numbers: numbers.std(),
    "minimum": lambda numbers: numbers.min(),
    "maximum": lambda numbers: numbers.max(),
}
_AT_ANY_END = ("minimum", "maximum")
"""What the last row of rising numbers may well be, too."""


def named(cells: pl.DataFrame) -> dict[int, str]:
    """Rows with the name of a statistic, such as mean or USL, in a column of figures; and these names.

    Args:
        cells: as text, all of a file's rows.
    """
    found: dict[int, str] = {}
    for name in cells.columns:
        column = cells[name]
        if column.dtype != pl.String:
            continue
        there = column.str.strip_chars()
        # Most columns hold no such word, and are looked at once.
        letters = there.filter(there.str.contains(r"[A-Za-zØø]"))
        values = {value for value in letters.unique() if value and words.is_statistic(value)}
        rows = there.is_in(list(values)).arg_true() if values else pl.Series([], dtype=pl.UInt32)
        figures = there.str.contains(r"\d").sum()
        if 0 < len(rows) <= max(MOST_ROWS, dates.few(len(there))) and figures >= FIGURES * (len(there) - len(rows)):
            found |= {int(row): str(there[int(row)]) for row in rows if int(row) not in found}
    return dict(sorted(found.items()))


def unnamed(frame: pl.DataFrame) -> tuple[int, int, str]:
    """How many of the first rows, and of the last, sum up all others; and what the first of them are.

    Each holds one statistic of the others in all columns of numbers and dates that it fills, of which there are two at
    least but for sums. A row of least or greatest values alone is none: rising numbers end in such a row. Nor is one
    that is named as the others are, or that holds what many of the others do, as a row of zeros at night.
    """
    if frame.height < FEWEST_ROWS:
        return 0, 0, ""
    numbers = _numbers(frame)
    for above in (False, True):
        rows = {name: column[::-1] for name, column in numbers.items()} if above else numbers
        at_end = frame.head(MOST_ROWS).reverse() if above else frame.tail(MOST_ROWS)
        for count in range(min(MOST_ROWS, frame.height - FEWEST_ROWS), 0, -1):
            kinds = []
            others = {name: column[:-count] for name, column in rows.items()}
            for place in range(frame.height - count, frame.height):
                row = {name: column[place] for name, column in rows.items()}
                kinds.append(_kind(others, row))
                if not kinds[-1] or _is_common(others, row):
                    kinds.append("")
                    break
            if all(kinds) and (len(set(kinds)) > 1 or kinds[0] not in _AT_ANY_END):
                rest = frame[count:] if above else frame[:-count]
                if not any(_is_named_alike(rest, row) for row in at_end.tail(count).iter_rows(named=True)):
                    return (count, 0, kinds[-1]) if above else (0, count, kinds[0])
    return 0, 0, ""


def of_groups(frame: pl.DataFrame, name: str) -> str:
    """What the last row of almost every group holds of the group's other rows; empty for nothing."""
    parts = frame.head(MOST_GROUPED).partition_by(name, maintain_order=True)[:MOST_ROWS]
    numbers = [_numbers(part) for part in parts if part.height > MOST_ROWS]
    kinds = []
    for part in numbers:
        others = {name: column[:-1] for name, column in part.items()}
        row = {name: column[-1] for name, column in part.items()}
        kinds.append("" if _is_common(others, row) else _kind(others, row))
    found = {kind for kind in kinds if kind and kind not in _AT_ANY_END}
    return kinds[0] if len(kinds) > 2 and len(found) == 1 and kinds.count(kinds[0]) == len(kinds) else ""


def _numbers(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """The columns of numbers, and of dates and times in seconds; NaN where there is none."""
    of = {column.name: column.to_numpy() for column in frame.select(pl.selectors.numeric().cast(pl.Float64))}
    return of | {column.name: dates.seconds(column) for column in frame.select(pl.selectors.temporal())}


def _is_common(others: Mapping[str, NDArray[np.float64]], row: Mapping[str, float]) -> bool:
    """Whether other rows hold the numbers of a row, together or each by itself, so often that it may hold any."""
    same = [others[name] == value for name, value in row.items() if not np.isnan(value)]
    if not same:
        return False
    return bool(max(np.logical_and.reduce(same).mean(), np.prod([column.mean() for column in same])) > BY_CHANCE)


def _is_named_alike(others: pl.DataFrame, row: Mapping[str, object]) -> bool:
    """Whether a row has a word that other rows have, or one like theirs, where these are not all the same."""
    for name, value in row.items():
        column = others[name].drop_nulls()
        if value is None or column.dtype not in (pl.String, pl.Boolean) or column.n_unique() < 2:
            continue
        if column.dtype == pl.Boolean or (column == value).any():
            return True
        shape = re.sub(r"\d+", "0", str(value))
        if shape != value and (column.str.replace_all(r"\d+", "0") == shape).any():
            return True
        if column.n_unique() > REPEATED * len(column) and not words.is_statistic(str(value)):
            return True
    return False


def _kind(others: Mapping[str, NDArray[np.float64]], row: Mapping[str, float]) -> str:
    """Which statistic of the others a row holds, in each number of it; empty for none."""
    filled = {name: value for name, value in row.items() if not np.isnan(value)}
    known: dict[str, NDArray[np.float64]] = {}
    for name in filled:
        known[name] = others[name][~np.isnan(others[name])]
        # Of flags, any is the least, or the median.
        if len(np.unique(known[name][:MOST_GROUPED])) < 3:
            return ""
    for kind, statistic in _KINDS.items():
        # A single number is a sum, or a mean of many digits in a row of nothing else.
        alone = len(filled) == 1 and (len(row) == 1 or len(f"{next(iter(filled.values())):.12g}") < DIGITS)
        if not filled or (kind != "sum" and alone):
            continue
        # Values that are too large are refused later, with their row.
        with np.errstate(over="ignore", invalid="ignore"):
            if all(_is(float(statistic(known[name])), value, known[name], kind) for name, value in filled.items()):
                return kind
    return ""


def _is(statistic: float, value: float, others: NDArray[np.float64], kind: str) -> bool:
    spread = float(others.std(ddof=1))
    # Written with few decimals, of which one at the end may be a 0.
    decimals = len(f"{value:.12g}".partition(".")[2])
    near = next((by for by in (0.51 * 10.0**-decimals, 0.051 * 10.0**-decimals) if by <= ROUNDED * spread), 0.0)
    return abs(statistic - value) <= max(near, SAME_SUM * (float(np.abs(others).sum()) if kind == "sum" else spread))
