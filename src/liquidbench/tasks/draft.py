"""A user's table while it is found out what its columns are for.

`Draft` has the rows that are left, where each of them stands in the file, what was said of them, and the roles that
were chosen so far. `timing`, `recordings` and `features` choose them.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import columns, dates, groups, time_columns, words
from liquidbench.tasks.task import Feature
from liquidbench.wording import counted, listed

MOST_DIGITS = 10
"""Decimals up to which numbers are taken for rounded ones."""
ROUNDED = 0.99
"""Share of a column's numbers that have no more decimals than it is taken to be rounded to."""
FORECASTS = ("forecast", "next-known")
"""Kinds of prediction whose target is a later row's: some rows later, or the next in which it is known."""


class Draft:
    """The rows of a table, and the roles of its columns as far as they are chosen.

    Attributes:
        given: the mapping as it was given, as `liquidbench.tasks.table` describes it.
        path: of the file.
        file: its columns.
        digest: the file's SHA-256.
        height: how many rows the file has.
        lines, warnings: a sentence for each choice, and for what deserves a look.
        frame: the rows in the order of the recordings; `row` has their numbers in the file.
        target, time, key: the columns of these roles; the first of the key is what a split keeps whole.
        found: the dates of the table.
        presence: columns that hold one value or nothing, which are read as whether it is there, with the value.
        clock: whether the times are those of a clock, without dates.
        daylight: that a clock goes back an hour, in words; empty where none does.
        counts: columns that go up evenly within what may be recordings, and are not the time.
        together: two columns that would tell recordings apart, before those that only name something were dropped.
        copies_told: whether a warning says that rows are the same.
        kind, per, classes: of the prediction.
        horizon: rows that it looks ahead; 0 for none, None for as many as it takes until the target is known again.
        features: columns to predict from. `left_out` says why others are none, `sentinels` has the
            numbers that may mean that there is no value, by column.
        feature_columns, sources, values, observed: the features as numbers, (rows, features), and which column each is
            from.
    """

    kind: str
    per: Any
    horizon: int | None
    classes: tuple[str, ...] | None
    features: tuple[str, ...]
    sentinels: dict[str, list[float]]
    feature_columns: tuple[Feature, ...]
    sources: tuple[str, ...]
    values: NDArray[np.float64]
    observed: NDArray[np.bool_]

    def __init__(self, given: Mapping[str, Any], path: Path, file: columns.Table):
        self.given, self.path, self.file = given, path, file
        self.lines = list(file.remarks)
        self.warnings = list(file.warnings)
        self.left_out: dict[str, str] = {}
        self.frame = file.frame
        self.row = np.arange(self.frame.height)
        self.height, self.digest = file.frame.height, file.digest
        if self.given.get("digest", self.digest) != self.digest:
            self.refuse(
                f"its content has checksum {self.digest}, but the digest given is {self.given['digest']}. The "
                "file has changed since; put the old one back, or leave digest out to accept the new one"
            )
        # New rows need no target.
        self.target = "" if given["target"] is None else self.column("target", given["target"])
        self.time: str | None = None
        self.key = tuple(self.column("group", name) for name in given.get("group") or ())
        self.found = time_columns.Found(self.frame)
        self.daylight, self.clock = "", False
        self.presence: dict[str, str] = {}
        self.counts: list[str] = []
        self.together: list[tuple[str, ...]] = []
        self.copies_told = False

    @property
    def date_order(self) -> str | None:
        """The order of the times' days, months and years, where cells could be read in several."""
        parts = [name for name, joined in self.found.joined.items() if joined == self.time]
        found = [self.found.orders[name] for name in (self.time, *parts) if name in self.found.orders]
        return self.given.get("dates") or next(iter(found), None)

    def refuse(self, problem: str) -> NoReturn:
        """Raise a `ValueError` that names the file."""
        raise ValueError(f"{self.path.name}: {problem}")

    def at(self, position: int) -> str:
        """Where a row of the frame stands in the file."""
        return self.file.at(int(self.row[position]))

    def unit(self, name: str) -> str:
        """The unit that a column's name gives in square brackets, or the file in a row of units or in its cells."""
        return words.unit_in(name)[1] or self.file.units.get(name) or "as in the table"

    def column(self, role: str, name: str) -> str:
        """The name of a column that the user gave for a role; refused where there is none."""
        if name in self.frame.columns:
            return name
        lower = {column.lower(): column for column in self.frame.columns}
        near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)]
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        # In the wrong encoding, names are others.
        said = next((what for what in (*self.lines, *self.warnings) if "not UTF-8" in what), "")
        said = f"; {said.removeprefix('file: ')}" if said else ""
        self.refuse(
            f"there is no column {name!r} for the {role}. {hint}The columns are {listed(self.frame.columns, 20)}{said}"
        )

    def keep(self, kept: NDArray[Any]) -> None:
        """Keep some rows, or put them in an order."""
        if kept.dtype == bool:
            kept = np.flatnonzero(kept)
        self.frame, self.row = self.frame[kept], self.row[kept]

    def refuse_infinite(self, name: str) -> None:
        """Refuse numbers too large for a split."""
        if not self.frame[name].dtype.is_numeric():
            return
        # Splits are float32, in which a larger number may be infinite even when standardised.
        numbers = self.frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        infinite = np.flatnonzero(~(np.abs(numbers) <= np.finfo(np.float32).max))
        if len(infinite):
            way = columns.option(name, repr(float(numbers[infinite[0]])))
            self.refuse(
                f"column {name!r} holds {counted(len(infinite), 'infinite value')}, the first in "
                f"{self.at(infinite[0])}; empty those cells ({way} makes them missing), or leave the column out"
            )

    def codes(self) -> NDArray[np.int64]:
        """Number of each row's recording, in the order in which they first occur."""
        return groups.codes(self.frame, self.key)

    def times(self) -> NDArray[np.float64]:
        """Time of each row, in seconds for dates; NaN where it is missing."""
        if self.time is None:
            return np.arange(self.frame.height, dtype=np.float64)
        return dates.seconds(self.frame[self.time])

    @property
    def when(self) -> pl.Series | None:
        """The times of the rows, where they are dates."""
        column = None if self.time is None else self.frame[self.time]
        return column if column is not None and column.dtype == pl.Datetime else None

    @property
    def forecasts(self) -> bool:
        """Whether the target is a later row's, and its past an input."""
        return self.kind in FORECASTS

    @property
    def group(self) -> str | None:
        """The column of what a split keeps whole."""
        return self.key[0] if self.key else None


def is_usable(column: pl.Series) -> bool:
    """Whether a column is of a type that features may have."""
    return column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String, pl.Datetime)


def kind_of_content(column: pl.Series) -> str:
    """What a column holds, in words."""
    if column.dtype == pl.String:
        return "text"
    if column.dtype == pl.Boolean:
        return "true and false"
    if column.dtype == pl.Duration:
        return "times of day"
    if column.dtype.is_temporal():
        return "dates"
    return "numbers" if column.dtype.is_numeric() else "lists or records"


def filled_where_it_changes(column: pl.Series) -> str:
    """What a column, in the order of the file, is that is filled only where it changes, and what to do; else empty."""
    if not groups.merged(column):
        return ""
    return (
        f"is empty in {counted(column.null_count(), 'row')} of {len(column)} and written only where it changes, as "
        f"merged cells are. Fill it down first, in pandas: table[{column.name!r}] = table[{column.name!r}].ffill()"
    )


def labelled(column: pl.Series) -> list[str]:
    """Values as text, whole numbers without a decimal point."""
    if column.dtype.is_float() and (column.drop_nulls() % 1 == 0).all() and column.abs().max() < 2**53:  # pyright: ignore
        column = column.cast(pl.Int64)
    return [str(value) for value in column.to_list()]


def last_digit(numbers: NDArray[np.float64]) -> float:
    """What the last digit of rounded numbers counts, at most 1; 0 for numbers that are not rounded."""
    for digits in range(MOST_DIGITS + 1):
        scaled = numbers * 10.0**digits
        if not len(scaled) or np.abs(scaled).max() > 1e12:
            break
        if np.mean(np.abs(scaled - np.rint(scaled)) < 1e-3) >= ROUNDED:
            return 10.0**-digits
    return 0.0


def parted(
    numbers: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], float, tuple[float, float]]:
    """The fewer of the numbers on either side of the widest gap between them, which that is, and how wide both range.

    Args:
        numbers: at least two distinct ones; NaN is on neither side.
    """
    inner = np.unique(numbers[~np.isnan(numbers)])
    cut = int(np.diff(inner).argmax()) + 1
    fewer = numbers >= inner[cut]
    if 2 * fewer.sum() > len(numbers):
        fewer = numbers < inner[cut]
    return fewer, float(inner[cut] - inner[cut - 1]), (float(inner[cut - 1] - inner[0]), float(inner[-1] - inner[cut]))


def correlation(values: NDArray[Any], targets: NDArray[Any]) -> float:
    """Absolute value of Pearson's r; 0 where it is undefined."""
    if len(values) < 3:
        return 0.0
    # Values that are too large are refused later, with their row.
    with np.errstate(over="ignore", invalid="ignore"):
        one, other = values - values.mean(), targets - targets.mean()
        deviations = float(np.sqrt(one @ one) * np.sqrt(other @ other))
        r = abs(float(one @ other)) / deviations if 0 < deviations < np.inf else 0.0
    return min(r, 1.0)
