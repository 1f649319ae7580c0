"""What the columns of a user's table mean: which of them is the time, who a row belongs to, what predicts what.

A `Meaning` makes these choices from a mapping as `liquidbench.tasks.table` describes it, in the order in which they
depend on each other, with a line in words for each: `timing` chooses the time, `recordings` who belongs together, and
`features` what predicts what. No guess looks at how well anything can be predicted.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from liquidbench.tasks import columns, dates, features, groups, recordings, summaries, timing, words
from liquidbench.tasks.draft import Draft
from liquidbench.wording import counted

FEWEST_ROWS = 12
"""Rows without which there are neither several in each of three groups nor enough to split them in time."""
COUNTING = 0.95
"""Share of the steps of 1 from which on distinct whole numbers are a row's number and not a measurement."""


class Meaning(Draft):
    """What a table's columns are used for: a draft with all choices made."""

    def __init__(self, given: Mapping[str, Any], path: Path):
        super().__init__(given, path, _read(given, path))
        self._refuse_double_roles()
        timing.find(self)
        self._drop_useless()
        timing.choose(self)
        self._drop_counts()
        # Subjects who were recorded one after another are numbered in the order of time.
        timing.drop_copies(self, but=words.is_named)
        recordings.choose(self)
        timing.tell_counts(self)
        recordings.drop_identifiers(self)
        timing.drop_copies(self)
        timing.suspect_figures(self)
        timing.suspect_steps(self)
        recordings.put_in_order(self)
        features.choose(self)

    @property
    def name(self) -> str:
        """What studies and reports call the task."""
        return self.given.get("name") or Path(self.given["table"]).stem

    def amounts(self) -> Iterator[pl.Series]:
        """The columns of numbers that features are made of, and the target's unless it is a class."""
        for name in dict.fromkeys((*self.sources, self.target)):
            column = self.frame[name]
            if column.dtype.is_numeric() and (name != self.target or self.classes is None):
                yield column

    def _refuse_double_roles(self) -> None:
        roles: dict[str, str] = {}
        named = (("group", name) for name in self.key)
        for role, name in (("target", self.target), ("time", self.given.get("time")), *named):
            if name in roles:
                self.refuse(f"column {name!r} cannot be both {roles[name]} and {role}; name another for one of them")
            if name is not None:
                roles[name] = role

    def _drop_useless(self) -> None:
        """Drop rows without any value, and columns that would make rows distinct by counting them as they stand."""
        empty = self.frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
        if empty.any():
            first = self.at(int(empty.argmax()))
            self.lines.append(f"rows: {counted(empty.sum(), 'empty row')} dropped, the first of them {first}")
            self.keep(~empty)
        first, last, what = summaries.unnamed(self.frame)
        if first or last:
            rows = range(first) if first else range(self.frame.height - last, self.frame.height)
            where = self.at(rows[0]) if len(rows) == 1 else f"{self.at(rows[0])} to {self.at(rows[-1])}"
            self.warnings.append(
                f"{where} {'holds' if len(rows) == 1 else 'hold'} the {what} of all other rows"
                f"{' and the like' * (len(rows) > 1)}; left out"
            )
            self.keep(np.arange(first, self.frame.height - last))
        # What the rows do not follow may be their order.
        self._drop_counts(followed=True)

    def _drop_counts(self, followed: bool = False) -> None:
        """Drop columns that count the rows; if asked, only those in whose order the rows stand."""
        wanted = {self.target, self.time, *self.key, self.given.get("time"), *(self.given.get("features") or ())}
        counts = [
            name
            for name in self.frame.columns
            if name not in wanted and _counts_rows(self.frame[name]) and not words.time_name(name)
        ]
        if not followed and self.time is not None:
            others = set(self.frame.columns) - {*wanted, *counts}
            counts += [name for name in others if words.is_saved_index(name) and _numbers_rows(self.frame[name])]
        if followed:
            counts = [name for name in counts if (self.frame[name].drop_nulls().diff().drop_nulls() > 0).all()]
        self.left_out |= dict.fromkeys(counts, "only counts the rows")
        self.frame = self.frame.drop(counts)


def _read(given: Mapping[str, Any], path: Path) -> columns.Table:
    """The file, read for what its columns are to be used for."""
    target = given["target"]
    key = given.get("group") or ()
    named = (target, given.get("time"), *key, *(given.get("features") or ()))
    classes = given.get("kind", "classification") == "classification"
    return columns.read(
        path,
        wanted={name for name in named if name},
        target=target if classes else None,
        labels=lambda name: name != target and (name in key or words.is_named(name)),
        codes=lambda name: (name != target or classes) and words.is_code(name),
        decimal=given.get("decimal"),
        missing=given.get("missing") or (),
        fewest=FEWEST_ROWS,
    )


def _numbers_rows(column: pl.Series) -> bool:
    """Whether whole numbers are those of rows of which others were taken out, or of tables one below another."""
    if not column.dtype.is_integer() or column.has_nulls() or len(column) < 3:
        return False
    return column.is_unique().all() or float((column.diff().drop_nulls() > 0).to_numpy().mean()) >= 0.9


def _counts_rows(column: pl.Series) -> bool:
    """Whether whole numbers go up by 1 from row to row, in whatever order, but for a few rows that were taken out."""
    if (
        not column.dtype.is_integer()
        or column.null_count() > max(dates.few(len(column)), groups.FEW_MISSING * len(column))
        or len(column) < 3
    ):
        return False
    steps = column.drop_nulls().cast(pl.Int64).sort().diff().drop_nulls()
    return bool((steps > 0).all()) and float((steps == 1).to_numpy().mean()) >= COUNTING
