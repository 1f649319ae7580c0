"""A task from a user's own table, and the guesses that let one be named by its file and target alone.

A mapping says what a table is to be used for. Its keys, of which all but the first two may be left out to be
guessed:

==========  ==================================================================================================
table       path of the file: ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``, the text files also with ``.gz``
target      the column to be predicted
name        what studies and reports call the task; the file's name if left out
time        the column of times; None: rows are evenly spaced
group       the column that tells recordings (subjects, machines, ...) apart; None: the file is one recording. A
            list of columns that do so together: the first is what a split keeps whole
dates       ``"day-first"``, ``"month-first"`` or ``"year-first"``: how dates in figures are written that leave
            a choice, such as 01/02/2024
kind        ``"classification"``, ``"regression"``, or ``"forecast"`` (the target ``horizon`` rows ahead, from
            every column up to now, the target's own among them)
per         ``"step"`` (a target for each row) or ``"sequence"`` (one for each group)
features    the columns to predict from
window      most rows in a sequence; None: recordings stay whole
horizon     rows that a forecast looks ahead; 1 if left out
decimal     the decimal mark of all numbers in a file of text, ``"."`` or ``","``
missing     values that mean that there is none: a value, for all columns, or ``"column=value"``; a list of them
digest      sha256 of the file, which is refused if it has another
==========  ==================================================================================================

`complete` makes the guesses and gives a reason for each, `load` builds the task. `liquidbench.tasks.columns` reads the
file, `dates` its times, and `groups` finds who belongs together. No guess looks at how well anything can be predicted.

Rows that repeat another in every column are dropped where there is a time column. Of rows that share a time
within a recording and differ, the first is kept if they are few (at most one in a hundred); if they are many
the table is refused, for it then most likely holds several recordings. Rows that are out of order are sorted
by time. Each of these is said.
"""

import difflib
import hashlib
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.storage import regular
from liquidbench.tasks import columns, dates, groups
from liquidbench.tasks.task import SPLITS, Feature, Recording, Scaler, Source, Task

KEYS = (
    *("table", "target", "name", "time", "dates", "group", "kind", "per", "features", "window", "horizon", "decimal"),
    *("missing", "digest"),
)
KINDS = ("classification", "regression", "forecast")
MOST_CLASSES = 50
MOST_CLASSES_OF_NUMBERS = 20
MOST_CATEGORIES = 10
LONGEST_WINDOW = 32
SHORTEST_WINDOW = 8
FEWEST_ROWS = 12
"""Rows without which there are neither several in each of three groups nor enough to split them in time."""
SAME_TIME = 1 - 1e-6
"""Correlation with the time from which on a column is the time again."""
COUNTING = 0.95
"""Share of the steps of 1 from which on distinct whole numbers are a row's number and not a measurement."""
LEAK = 0.999
"""Correlation with the target, or AUROC for one of its classes, beyond which a feature is suspected of being the
target in disguise."""
FEWEST_TO_SUSPECT = 5
"""Rows of a class, and of all others, below which a feature that tells it perfectly may well do so by chance."""
GAP = 1.5
"""Times the usual span from which on a span is a gap, in which a row at least is missing."""
STRAYED = 10
"""How many times as long as all other rows of a recording a gap beside a few rows at its end is, to be warned of."""
MIXED = 1.5
"""Times what a recording spans that its stretches cover together, from which on they are several recordings."""
OUTLIER = 20
"""Standard deviations from its mean beyond which a value is suspected of being an error."""
OUTLIER_SHARE = 0.8
"""Share of a column's variance beyond which the one value behind it is suspected too: with few rows, no value can
be many deviations from a mean and deviation that it has a part in."""

# Training and validation's shares of a recording that is split in time. The first is taken, unless classes are so
# bunched that a later one alone has them all in every part.
SHARES = ((0.6, 0.2), (0.6, 0.25), (0.6, 0.15), (0.5, 0.25), (0.5, 0.3), (0.5, 0.2), (0.7, 0.15))

# Dealing in this order gives 3 to 1 to 1, and each split one group as soon as there are three.
DEAL = ("train", "validation", "test", "train", "train")

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def complete(
    mapping: Mapping[str, Any], data: str | os.PathLike[str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    r"""Fill in what a mapping leaves to be guessed.

    Args:
        mapping: see the module's docstring.
        data: folder in which a relative ``table`` is looked for if it is not in the current one.

    Returns:
        The mapping for `load` and `Study.tasks` with every choice spelt out, and a line in words for each
        choice and its reason. A line that begins with ``warning:`` deserves a look before any training.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: in words, where the table cannot be used as asked.
        TypeError: where a key's value is of the wrong type.

    Example:
        >>> mapping, lines = complete({"table": "engines.csv", "target": "heat"})  # doctest: +SKIP
        >>> print(*lines, sep="\n")  # doctest: +SKIP
        time: column 'timestamp' (the only column of dates)
        ...
    """
    plan = _Plan(mapping, data)
    return plan.mapping, plan.lines


def load(mapping: Mapping[str, Any], data: str | os.PathLike[str] | None = None) -> Task:
    """Make a task of a table.

    Args:
        mapping: see the module's docstring; what is left out is guessed as `complete` does.
        data: folder in which a relative ``table`` is looked for if it is not in the current one.

    Returns:
        The task. The table is read and checked at once, the splits are built when asked for.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: in words, where the table cannot be used as asked.
        TypeError: where a key's value is of the wrong type.
    """
    return _Plan(mapping, data).task()


@dataclass(frozen=True)
class Planned:
    """A table that was read once: what `complete` says of it, and the task that `load` makes of it.

    Attributes:
        mapping: every choice spelt out.
        lines: a line in words for each choice and its reason.
        task: the task.
    """

    mapping: dict[str, Any]
    lines: list[str]
    task: Task


def plan(mapping: Mapping[str, Any], data: str | os.PathLike[str] | None = None) -> Planned:
    """Do what `complete` and `load` do, and read the file once for both.

    Args:
        mapping: see the module's docstring; what is left out is guessed.
        data: folder in which a relative ``table`` is looked for if it is not in the current one.

    Raises:
        FileNotFoundError, ValueError, TypeError: as `load`.
    """
    made = _Plan(mapping, data)
    return Planned(made.mapping, made.lines, made.task())


class _Plan:
    """A table with all choices made, one method a choice, in the order in which they depend on each other.

    `mapping` and `lines` are what `complete` returns. `frame` holds the rows in the order of the recordings,
    `row` their numbers in the file, `height` how many are there.
    """

    def __init__(self, mapping: Mapping[str, Any], data: str | os.PathLike[str] | None):
        self.given = _checked(mapping)
        self.path = _found(self.given["table"], data)
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.left_out: dict[str, str] = {}
        self.file = self._read()
        self.frame, self.digest = self.file.frame, self.file.digest
        self.lines += self.file.remarks
        self.warnings += self.file.warnings
        if self.given.get("digest", self.digest) != self.digest:
            self._refuse(
                f"its content has checksum {self.digest}, but the digest given is {self.given['digest']}. The "
                "file has changed since; put the old one back, or leave digest out to accept the new one"
            )
        self.height = self.frame.height
        self.row = np.arange(self.height)
        self.target = self._column("target", self.given["target"])
        self.key = tuple(self._column("group", name) for name in self.given.get("group") or ())
        self._refuse_double_roles()
        self.daylight = ""
        self.found = self._find_dates()
        self._drop_useless()
        self.time = self._choose_time()
        self._drop_rows_without_time()
        # Subjects who were recorded one after another are numbered in the order of time.
        self._drop_copies_of_time(but=groups.is_named)
        self.key = self._choose_group()
        if long := self._long_form():
            self.warnings.append(long)
        self._suspect_names()
        self._drop_identifiers()
        self._drop_copies_of_time()
        self._put_in_order()
        self._check_target()
        others = self._choose_features()
        self.kind = self._choose_kind(others)
        self.features = others
        self._suspect_labels()
        self.sentinels = self._suspect_sentinels()
        if self.kind == "forecast":
            self.features = tuple(name for name in self.frame.columns if name in (*others, self.target))
        self._check_features()
        self.horizon = self._choose_horizon()
        self.per = self._choose_per()
        self.classes = self._class_names() if self.kind == "classification" else None
        self.feature_columns, self.sources, self.values, self.observed = self._encode()
        self._describe_features()
        self.recordings = self._cut_into_recordings()
        self._suspect_strayed_times()
        self.irregular, self.time_unit = self._choose_time_unit()
        self.window = self._choose_window()
        self.gap, self.splits = self._split_by_group() if self.group is not None else self._split_in_time()
        self._check_splits(self.splits)
        self._suspect_leaks()
        self._suspect_unseen()
        self._suspect_outliers()
        self.metric = self._choose_metric()
        self.lines += [f"warning: {warning}" for warning in self.warnings]

    @property
    def mapping(self) -> dict[str, Any]:
        """Every choice spelt out, ready for YAML and JSON."""
        named = {"name": self.given["name"]} if "name" in self.given else {}
        horizon = {"horizon": self.horizon} if self.kind == "forecast" else {}
        return {
            "table": self.given["table"],
            **named,
            "target": self.target,
            "time": self.time,
            **({"dates": self.date_order} if self.date_order else {}),
            "group": self.group if len(self.key) < 2 else list(self.key),
            "kind": self.kind,
            "per": self.per,
            **horizon,
            "features": list(self.features),
            "window": self.window,
            **{key: self.given[key] for key in ("decimal", "missing") if self.given.get(key)},
            "digest": self.digest,
        }

    @property
    def group(self) -> str | None:
        """The column of what a split keeps whole."""
        return self.key[0] if self.key else None

    @property
    def date_order(self) -> str | None:
        """The order of the times' days, months and years, where cells could be read in several."""
        parts = [name for name, joined in self.found.joined.items() if joined == self.time]
        found = [self.found.orders[name] for name in (self.time, *parts) if name in self.found.orders]
        return self.given.get("dates") or next(iter(found), None)

    @property
    def name(self) -> str:
        return self.given.get("name") or Path(self.given["table"]).stem

    def task(self) -> Task:
        forecast, classification = self.kind == "forecast", self.kind == "classification"
        ahead = "the next row" if self.horizon == 1 else f"the row {self.horizon} rows ahead"
        what = f"The value of {self.target!r} in {ahead}" if forecast else f"{self.target!r}"
        where = {"sequence": "of each recording", "step": "at each row"}[self.per]
        description = f"{what}{'' if forecast else f' {where}'}, from {_listed(self.features)} up to then."
        metrics = {
            "classification": ("accuracy", "balanced_accuracy", "f1_macro", "cross_entropy"),
            "regression": ("rmse", "mae", "mse", "r2"),
        }["classification" if classification else "regression"]
        if self.classes is not None and len(self.classes) == 2:
            metrics = (*metrics, "auroc", "auprc")
        return Task(
            name=self.name,
            title=f"{self.name}: {self.target}",
            description=description,
            features=self.feature_columns,
            kind="classification" if classification else "regression",
            per=self.per,
            outputs=1 if self.classes is None else len(self.classes),
            target_unit="1" if classification else self._unit(self.target),
            classes=self.classes,
            metric=self.metric,
            metrics=metrics,
            time_unit=self.time_unit,
            source=Source(
                title=self.path.name, url=self.path.name, licence="not stated", citation="the user's own table"
            ),
            split_rule=self.split_rule,
            recordings=self.splits.__getitem__,
            data_digest=self.digest,
            baseline="prior" if classification else "last value" if forecast else "mean",
            carried=(self.target,) if forecast else (),
            window=self.window,
            stride=None if self.window is None else max(self.window // 2, 1),
            gap=self.gap,
            irregular=self.irregular,
            missing=not self.observed.all(),
            warnings=tuple(self.warnings),
            folds=self.folds,
            fold_rule=self.fold_rule,
            dealt=self._dealt if self.folds > 1 else None,
        )

    @property
    def folds(self) -> int:
        """Outer splits by group, so many that each group is in test about once; a split in time has no other."""
        return 1 if self.group is None else min(len(self._groups()), len(DEAL))

    @property
    def fold_rule(self) -> str:
        if self.group is None:
            return (
                "a single recording is split in time, and any other test part would have training data from after it; "
                "a table of several groups has other splits"
            )
        return f"By group: the groups move on by one place in the order in which they are dealt, {self.folds} times."

    def _dealt(self, fold: int) -> Callable[[str], list[Recording]]:
        deal = self._deal(fold)
        try:
            self._check_splits(deal)
        except ValueError as problem:
            raise ValueError(f"outer split {fold}: {problem}") from problem
        return deal.__getitem__

    def _read(self) -> columns.Table:
        """The file, read for what its columns are to be used for."""
        given, target = self.given, self.given["target"]
        key = given.get("group") or ()
        named = (target, given.get("time"), *key, *(given.get("features") or ()))
        classes = given.get("kind", "classification") == "classification"
        return columns.read(
            self.path,
            wanted={name for name in named if name},
            target=target if classes else None,
            labels=lambda name: name != target and (name in key or groups.is_named(name)),
            decimal=given.get("decimal"),
            missing=given.get("missing") or (),
            fewest=FEWEST_ROWS,
        )

    def _refuse(self, problem: str) -> NoReturn:
        raise ValueError(f"{self.path.name}: {problem}")

    def _unit(self, name: str) -> str:
        """The unit that a column's name gives in square brackets, or the file in a row of units."""
        bracketed = re.search(r"\[([^\[\]]+)\]\s*$", name)
        named = bracketed[1].strip() if bracketed else ""
        return named or self.file.units.get(name) or "as in the table"

    def _column(self, role: str, name: str) -> str:
        if name in self.frame.columns:
            return name
        lower = {column.lower(): column for column in self.frame.columns}
        near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)]
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        self._refuse(
            f"there is no column {name!r} for the {role}. {hint}The columns are {_listed(self.frame.columns, 20)}"
        )

    def _refuse_double_roles(self) -> None:
        roles: dict[str, str] = {}
        named = (("group", name) for name in self.key)
        for role, name in (("target", self.target), ("time", self.given.get("time")), *named):
            if name in roles:
                self._refuse(f"column {name!r} cannot be both {roles[name]} and {role}; name another for one of them")
            if name is not None:
                roles[name] = role

    def _keep(self, kept: NDArray[Any]) -> None:
        """Keep some rows, or put them in an order."""
        if kept.dtype == bool:
            kept = np.flatnonzero(kept)
        self.frame, self.row = self.frame[kept], self.row[kept]

    def _drop_useless(self) -> None:
        """Drop rows without any value, and columns that would make rows distinct by counting them."""
        empty = self.frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
        if empty.any():
            self.lines.append(f"rows: {_count(empty.sum(), 'empty row')} dropped")
            self._keep(~empty)
        wanted = {self.target, *self.key, self.given.get("time"), *(self.given.get("features") or ())}
        counts = [
            name
            for name in self.frame.columns
            if name not in wanted and _counts_rows(self.frame[name]) and not dates.time_name(name)
        ]
        self.left_out |= dict.fromkeys(counts, "only counts the rows")
        self.frame = self.frame.drop(counts)

    def _find_dates(self) -> dates.Found:
        """Put dates in the place of what they are written as."""
        asked = self.given.get("time")
        found = dates.find(
            self.frame,
            self._at,
            order=self.given.get("dates"),
            time=asked,
            kept={self.target, *(self.given.get("features") or ())},
            whole={*self.key, *([] if self.frame[self.target].dtype == pl.String else [self.target])},
            join="time" not in self.given or asked is not None,
        )
        self.frame = found.frame
        self.lines += found.remarks
        if "time" not in self.given:
            self.warnings += found.warnings
        return found

    def _choose_time(self) -> str | None:
        if "time" in self.given:
            if self.given["time"] is None:
                self.lines.append("time: none, as asked; rows count as evenly spaced, in the order of the file")
                return None
            asked: str = self.given["time"]
            name = self._column("time", self.found.joined.get(asked, asked))
            self._check_time(name)
            self.lines.append(f"time: column {name!r}, as asked")
            self._unroll(name)
            return name
        free = [name for name in self.frame.columns if name not in (self.target, *self.key)]
        times = [
            name for name in free if self.frame[name].dtype.is_temporal() and self.frame[name].dtype != pl.Duration
        ]
        named = [name for name in free if dates.time_name(name)]
        clocks = [name for name in free if self.frame[name].dtype == pl.Duration and self._looks_like_time(name)]
        numbers = [name for name in named if self.frame[name].dtype.is_numeric()]
        elapsed = [name for name in free if name not in named and dates.is_elapsed(self.frame[name])]
        like = [name for name in (*numbers, *elapsed) if self._looks_like_time(name)]
        asking = [name for name in self.found.questions if name in free]
        asking = [name for name in asking if name in named] or (asking if not times + like + clocks else [])
        joined = set(self.found.joined.values())
        if asking and not set(times) & (set(named) | joined):
            self._check_time(asking[0])
        if times:
            first = next((name for name in times if name in joined), None)
            first = first or next((name for name in times if name in named), times[0])
            others = [name for name in times if name != first]
            reason = f"the others are {_listed(others)}; --time names another" if others else "the only column of dates"
        elif like:
            first, reason = like[0], "named like a time, and its numbers are like one"
        elif clocks:
            first, reason = clocks[0], "a clock that goes on"
        else:
            text = [name for name in named if self.frame[name].dtype == pl.String]
            for name in (*numbers, *text):
                values = self.frame[name].drop_nulls()
                why = (
                    "it is empty"
                    if not len(values)
                    else f"it is missing in {_count(self.frame[name].null_count(), 'row')}"
                    if name in numbers and len(values) < len(self.frame) - dates.few(len(self.frame))
                    else "its numbers go up and down"
                    if name in numbers
                    else f"{values[0]!r} is no number or date"
                )
                self.warnings.append(
                    f"{name!r} is named like a time, but {why}; rows count as evenly spaced (--time {name} insists)"
                )
            goes_on = [
                name
                for name in free
                if name not in named and not dates.is_part(name) and dates.goes_on(self.frame[name])
            ]
            if goes_on:
                like = "goes up as a time does, but is" if len(goes_on) == 1 else "go up as a time does, but are"
                self.warnings.append(
                    f"{_listed(goes_on)} {like} not named like one; rows count as evenly spaced (--time "
                    f"{shlex.quote(goes_on[0])} takes it for the time)"
                )
            self.lines.append(
                "time: no column found; rows count as evenly spaced, in the order of the file (--time names one)"
            )
            return None
        self._check_time(first)
        self.lines.append(f"time: column {first!r} ({reason})")
        self._unroll(first)
        return first

    def _drop_rows_without_time(self) -> None:
        lacking = np.isnan(self._times())
        if lacking.any():
            self.lines.append(
                f"rows: {_count(lacking.sum(), 'row')} without a time dropped, the first of them "
                f"{self._at(int(lacking.argmax()))}"
            )
            self._keep(~lacking)

    def _drop_copies_of_time(self, but: Callable[[str], bool] = lambda name: False) -> None:
        """Drop numbers that only say again when a row was, such as the year with decimals beside a date."""
        if self.time is None:
            return
        wanted = {self.target, self.time, *self.key, *(self.given.get("features") or ())}
        times = self._times()
        copies = []
        for name in [name for name in self.frame.columns if name not in wanted]:
            column = self.frame[name]
            there = column.is_not_null().to_numpy()
            if not column.dtype.is_numeric() or but(name) or (~there).sum() > dates.few(len(column)):
                continue
            values = column.cast(pl.Float64).to_numpy()[there]
            # Values that are too large are refused later, with their row.
            if np.abs(values).max(initial=0.0) < 1e100 and _correlation(values, times[there]) > SAME_TIME:
                copies.append(name)
        self.left_out |= dict.fromkeys(copies, f"says the same as the time, {self.time!r}")
        self.frame = self.frame.drop(copies)

    def _unroll(self, name: str) -> None:
        """Add a day to a clock after each midnight."""
        if self.frame[name].dtype != pl.Duration:
            return
        clock, midnights = dates.unrolled(self.frame[name])
        self.frame = self.frame.with_columns(clock)
        passes = f"; it passes midnight {_count(midnights, 'time')}, and each adds a day" if midnights else ""
        self.lines.append(f"file: {name!r} holds hours and minutes without a date{passes}")

    def _looks_like_time(self, name: str) -> bool:
        column, codes = self.frame[name], self._codes()
        there = column.is_not_null()
        if column.null_count() > dates.few(len(column)) or column.n_unique() < 2:
            return False
        column, codes = column.filter(there), codes[there.to_numpy()]
        if column.dtype == pl.Duration:
            column = dates.unrolled(column)[0]
        # A temperature may be called t as well, and an hour of the day time; but a time seldom goes back, even where
        # recordings follow each other, and in a table that was shuffled it does not come twice.
        back = np.diff(dates.seconds(column)[np.argsort(codes, kind="stable")]) < 0
        distinct = pl.DataFrame([column, pl.Series("code", codes)]).is_unique().all()
        return bool(np.mean(back) <= 0.1 or (distinct and "time" in name.lower()))

    def _check_time(self, name: str) -> None:
        column = self.frame[name]
        if column.null_count() == len(column):
            self._refuse(f"time column {name!r} is empty; name another, or leave --time out to count rows")
        if question := self.found.questions.get(name):
            self._refuse(f"time column {name!r}: {question}. Or name another with --time, or none with --no-time")
        if column.dtype == pl.String:
            numbers = columns.numbers(column)
            odd = int(np.flatnonzero((numbers.is_null() & column.is_not_null()).to_numpy())[0])
            number = numbers.null_count() < len(numbers) / 2
            self._refuse(
                f"time column {name!r} cannot be read as times: {column[odd]!r} in {self._at(odd)} is "
                f"{'no number' if number else 'neither a number nor a date'}. Expected numbers, or dates such as "
                "2024-05-31 13:45:00"
            )
        if not column.dtype.is_numeric() and not column.dtype.is_temporal():
            self._refuse(
                f"time column {name!r} holds {_kind_of_content(column)}; expected numbers, or dates such as "
                "2024-05-31 13:45:00"
            )
        self._refuse_infinite(name)

    def _at(self, position: int) -> str:
        return self.file.at(int(self.row[position]))

    def _refuse_infinite(self, name: str) -> None:
        if not self.frame[name].dtype.is_numeric():
            return
        # Splits are float32, in which a larger number may be infinite even when standardised.
        numbers = self.frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        infinite = np.flatnonzero(~(np.abs(numbers) <= np.finfo(np.float32).max))
        if len(infinite):
            self._refuse(
                f"column {name!r} holds {_count(len(infinite), 'infinite value')}, the first in "
                f"{self._at(infinite[0])}; empty those cells (they then count as missing), or leave the column out"
            )

    def _codes(self) -> NDArray[np.int64]:
        """Number of each row's recording, in the order in which they first occur."""
        return groups.codes(self.frame, self.key)

    def _times(self) -> NDArray[np.float64]:
        """Time of each row, in seconds for dates; NaN where it is missing."""
        if self.time is None:
            return np.arange(self.frame.height, dtype=np.float64)
        return dates.seconds(self.frame[self.time])

    def _choose_group(self) -> tuple[str, ...]:
        if "group" in self.given:
            asked = f"{_columns(self.key)}, as asked" if self.key else "none, as asked; the file is one recording"
            self.lines.append(f"group: {asked}")
            return self.key
        choice = groups.choose(self.frame, self.target, self.time)
        if choice.key:
            self.lines.append(f"group: {_columns(choice.key)} ({choice.reason})")
        else:
            self.lines.append("group: no column found; the file is one recording (--group names one)")
        self.warnings += choice.warnings
        if not choice.key:
            self._suspect_recordings()
        return choice.key

    def _suspect_recordings(self) -> None:
        """Warn of several recordings that are read as one."""
        for name in groups.recurring(self.frame, self.target, self.time):
            values = self.frame[name].drop_nulls().n_unique()
            way = f"--group {shlex.quote(name)} keeps them apart"
            if values < groups.FEWEST:
                way = f"take the rows of one ({values} are too few to split by)"
            self.warnings.append(
                f"{name!r} is named like an identifier, but the file is read as one recording that goes on from one of "
                f"its values to another; if each has a series of its own, {way}"
            )

    def _long_form(self) -> str:
        """What a table of names and values is, and what to do; empty for others."""
        if (found := groups.long_form(self.frame, self.time)) is None:
            return ""
        variable, value = found
        index = [*self.key, self.time or "COLUMN OF TIMES", *([] if self.target == value else [self.target])]
        index = [name for name in index if name != variable]
        some = _listed(map(str, self.frame[variable].drop_nulls().unique(maintain_order=True).head(3)))
        return (
            f"the table looks long: {value!r} holds one quantity after another, {variable!r} says which ({some}), and "
            "models do not see them together. Give each a column of its own first, in pandas: "
            f"table.pivot(index={index}, columns={variable!r}, values={value!r}).reset_index()"
        )

    def _suspect_names(self) -> None:
        """Warn of groups that may be one under two names, or none."""
        for name in self.key:
            column = self.frame[name]
            if column.dtype != pl.String:
                continue
            if twins := groups.twins(column):
                first, second = twins[0]
                more = f"and {_count(len(twins) - 1, 'more pair')} " if len(twins) > 1 else ""
                self.warnings.append(
                    f"{first!r} and {second!r} in {name!r} {more}count as different, though they may mean the same; if "
                    "they do, write them alike, or what belongs together is in several parts"
                )
            if words := groups.words_among_numbers(column):
                place = self._at(column.to_list().index(words[0]))
                self.warnings.append(
                    f"{words[0]!r} in {place} counts as a value of {name!r}, whose others are numbers; if it means "
                    f"that there is none, say {columns.option(name, words[0])} (missing: in a study)"
                )

    def _suspect_labels(self) -> None:
        """Warn of classes and categories that may be one under two names."""
        for name in (*self.features, *([self.target] if self.kind == "classification" else [])):
            column = self.frame[name]
            if column.dtype == pl.String and (twins := groups.twins(column)):
                what = "classes" if name == self.target else "values"
                some = _listed((f"{first!r} and {second!r}" for first, second in twins), 3, quote=False)
                self.warnings.append(
                    f"{some} of {name!r} count as different {what}, though they may mean the same; if they do, write "
                    "them alike"
                )

    def _drop_identifiers(self) -> None:
        """Drop columns that only say whose or which a row is, and warn where they hold several groups."""
        if self.key and "group" in self.given:
            for name in groups.coarser(self.frame, self.key, self.target, self.time):
                self.warnings.append(
                    f"each value of {self.group!r} belongs to one of {name!r}, so that parts share values of {name!r}; "
                    f"--group {','.join((name, *self.key))} keeps them apart"
                )
        for name, reason in groups.identifiers(self.frame, self.key, self.target, self.time).items():
            if name not in (self.given.get("features") or ()):
                self.left_out[name] = f"{reason} (--features asks for it)"
                self.frame = self.frame.drop(name)

    def _put_in_order(self) -> None:
        for name in self.key:
            lacking = np.flatnonzero(self.frame[name].is_null().to_numpy())
            if len(lacking):
                self._refuse(
                    f"group column {name!r} is missing in {_count(len(lacking), 'row')}, the first of them "
                    f"{self._at(lacking[0])}; fill it in, or remove those rows"
                    f"{'' if 'group' in self.given else '. Or name another with --group, or none with --no-group'}"
                )
        codes, times = self._codes(), self._times()
        by_group = np.argsort(codes, kind="stable")
        self._suspect_daylight_saving(codes[by_group], times[by_group], by_group)
        back = (np.diff(times[by_group]) < 0) & (np.diff(codes[by_group]) == 0)
        if back.any():
            first = int(np.min(by_group[1:][back]))
            self.lines.append(
                f"order: rows were not in time order ({self._at(first)} is the first to go back); sorted by "
                f"{self.time!r}"
            )
        self._keep(np.lexsort((times, codes)))
        self._merge_repeated_rows()
        self._suspect_mixed_recordings()

    def _suspect_mixed_recordings(self) -> None:
        """Refuse a table whose times begin again and again, and which sorting would mix."""
        if self.time is None:
            return
        order = np.lexsort((self.row, self._codes()))
        times, codes = self._times()[order], self._codes()[order]
        same = np.diff(codes) == 0
        back = same & (np.diff(times) < 0)
        runs = np.concatenate([[0], np.flatnonzero(back | ~same) + 1, [len(times)]])
        covered = (times[runs[1:] - 1] - times[runs[:-1]]).sum()
        firsts = np.concatenate([[0], np.flatnonzero(~same) + 1, [len(times)]])
        by_code = zip(firsts[:-1], firsts[1:], strict=True)
        spanned = sum(float(np.ptp(times[first:end])) for first, end in by_code)
        # A log in several pieces covers each time once in whatever order they are.
        if not back.any() or covered <= MIXED * spanned or len(times) / (len(runs) - 1) < groups.FEWEST_ROWS:
            return
        first = int(order[int(back.argmax()) + 1])
        what = (
            f"the time goes back {_count(int(back.sum()), 'time')} (first in {self._at(first)}), and what follows "
            f"covers the same times again, as where several recordings stand one below another"
        )
        if "group" in self.given and not self.key:
            self.warnings.append(f"{what}; sorted by time, their rows are mixed")
            return
        frame = self.frame[order]
        names = groups.ascending(frame, times, self.target, self.time)
        names = [name for name in names if name not in self.key]
        hint = f" ({_listed(names, 4)} would do)" if names else ""
        self._refuse(
            f"{what}. Sorted by time, their rows would be mixed. Name the column that tells recordings apart with "
            f"--group{hint}, or add one; if it is one recording all the same, say --no-group"
        )

    def _suspect_daylight_saving(
        self, codes: NDArray[np.int64], times: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> None:
        """Warn where a clock goes back by an hour and on as before, at a time of year when clocks do so."""
        if self.time is None or self.frame[self.time].dtype != pl.Datetime:
            return
        spans = np.diff(times)[np.diff(codes) == 0]
        if not (spans > 0).any():
            return
        usual = float(np.median(spans[spans > 0]))
        back = np.flatnonzero(
            (np.diff(codes) == 0) & (np.diff(times) <= 0) & (np.abs(np.diff(times) + 3600 - usual) <= 0.1 * usual)
        )
        when = self.frame[self.time].gather(rows[back + 1])
        turning = (
            when.dt.weekday().is_in([6, 7]) & when.dt.month().is_in([3, 4, 5, 9, 10, 11]) & (when.dt.hour() <= 4)
        ).to_numpy()
        if turning.any():
            first = int(rows[back[turning][0] + 1])
            self.daylight = (
                f"the clock goes back an hour in {self._at(first)}, at {self.frame[self.time][first]}, as at the end "
                "of daylight saving"
            )
            self.warnings.append(
                f"{self.daylight}, so that an hour is there twice and its rows are mixed or dropped; write times in "
                "UTC, or with their offset, as in 2024-05-31 13:45:00+02:00"
            )

    def _merge_repeated_rows(self) -> None:
        identical = ~self.frame.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
        if self.time is None:
            # Without times, two equal rows may well be two equal measurements.
            if identical.mean() > 0.01:
                self.warnings.append(
                    f"{_count(identical.sum(), 'row')} of {len(identical)} repeat an earlier row in every column; "
                    "kept, as no time tells them apart. If they are copies, what is learnt in training is "
                    "asked again in test"
                )
            return
        if identical.any():
            self.lines.append(
                f"rows: {_count(identical.sum(), 'row')} dropped that repeat another in every column, the first of "
                f"them {self._at(int(identical.argmax()))}"
            )
            self._keep(~identical)
        same = np.diff(self._times()) == 0
        same = np.concatenate([[False], same & (np.diff(self._codes()) == 0)])
        if not same.any():
            return
        first = int(same.argmax())
        example = f"{self._at(first - 1)} and {self._at(first)}, both at {self.frame[self.time][first]}"
        if same.mean() > 0.01:
            table = self.frame, self.target, self.time
            within = f"within a group of {_columns(self.key)}" if self.key else "with other content"
            pairs = [sorted(pair, key=self.key.__contains__, reverse=True) for pair in groups.pairs(*table)]
            alone = [] if self.key else groups.candidates(*table)
            names = [*alone, *(",".join(pair) for pair in pairs if set(self.key) <= set(pair))]
            hint = f" ({' or '.join(map(repr, names[:4]))} would do)" if names else ""
            clocks = [name for name in alone if not groups.come_in_blocks(self.frame[np.argsort(self.row)], name)]
            hour = f", as {_listed(clocks)} may be a part of it" if clocks else ""
            daylight = f" Or {self.daylight}; write times in UTC, or with their offset." if self.daylight else ""
            long = self._long_form()
            self._refuse(
                f"{_count(same.sum(), 'row')} of {len(same)} repeat the time of another row {within}, the first of "
                f"them {example}. If the table holds several recordings, name the column that tells them apart "
                f"with --group{hint}, or several (--group A,B); if the time is in two columns{hour}, join them into "
                f"one; else merge these rows first, or name a finer time with --time.{daylight}"
                f"{f' Besides, {long}' * bool(long)}"
            )
        self.lines.append(
            f"rows: {_count(same.sum(), 'row')} dropped that repeat the time of another row with other values, of "
            f"which the first is kept ({example})"
        )
        self._keep(~same)

    def _check_target(self) -> None:
        name, column = self.target, self.frame[self.target]
        if not _is_usable(column) or column.dtype.is_temporal():
            self._refuse(f"target {name!r} holds {_kind_of_content(column)}; expected numbers, text or true and false")
        missing = column.null_count()
        if missing == len(column):
            self._refuse(f"target {name!r} has no value in any row; nothing to learn from")
        if column.drop_nulls().n_unique() == 1:
            self._refuse(
                f"target {name!r} is {_labels(column.drop_nulls())[0]!r} in every row where it is known; there is "
                f"nothing to predict{'. If its empty cells mean 0 or no, write that into them' if missing else ''}"
            )
        self._refuse_infinite(name)
        if name in self.file.spoilt and self.given.get("kind") != "classification":
            self._refuse(f"target {name!r} {self.file.spoilt[name]} or correct them")
        if missing:
            self.lines.append(
                f"target: missing in {_count(missing, 'row')} of {len(column)}; they are read as inputs, not scored"
            )

    def _choose_features(self) -> tuple[str, ...]:
        taken = {self.target, self.time, *self.key}
        self._read_presence(taken)
        if "features" in self.given:
            names = [self._column("features", name) for name in self.given["features"]]
            for name in names:
                if name in taken - {self.target}:
                    self._refuse(f"features must not name {name!r}, which is the column of times or groups")
                if reason := self._unfit(name):
                    self._refuse(f"features must not name {name!r}: it {reason}")
            if self.target in names and self.given.get("kind") != "forecast":
                self._refuse(
                    f"features must not name the target, {self.target!r}; only a forecast (kind: forecast) sees it"
                )
            for name in self.frame.columns:
                if name not in names and name not in taken:
                    self.left_out[name] = "not asked for"
            return tuple(name for name in names if name != self.target)
        features = []
        for name in self.frame.columns:
            if name in taken:
                continue
            reason = self._unfit(name) or self._repeats_target(name)
            if reason:
                self.left_out[name] = reason
            else:
                features.append(name)
        return tuple(features)

    def _read_presence(self, taken: Collection[str | None]) -> None:
        """Make columns that hold one value or nothing tell whether it is there: events are often written so."""
        asked = self.given.get("features")
        present = [
            name
            for name in self.frame.columns
            if name not in taken
            and (asked is None or name in asked)
            and _is_usable(self.frame[name])
            and name not in self.file.bad
            and 0 < self.frame[name].null_count() < self.frame.height
            and self.frame[name].drop_nulls().n_unique() == 1
        ]
        if present:
            self.frame = self.frame.with_columns(pl.col(present).is_not_null())
            verb = "holds" if len(present) == 1 else "hold"
            self.lines.append(
                f"presence: {_listed(present)} {verb} one value or nothing; read as 1 where it is there and 0 where it "
                "is not"
            )

    def _suspect_sentinels(self) -> set[str]:
        """Warn of numbers that may mean that there is no value; the columns that have some."""
        found: dict[str, list[tuple[str, columns.Sentinel]]] = {}
        for name in dict.fromkeys((*self.features, self.target)):
            if not self.frame[name].dtype.is_numeric():
                continue
            for sentinel in columns.sentinels(self.frame[name]):
                # A class is often -1.
                if sentinel.value != -1 or name != self.target or self.kind != "classification":
                    found.setdefault(f"{sentinel.value:.15g}", []).append((name, sentinel))
        for value, where in found.items():
            some = [
                f"{name!r} in {_count(sentinel.count, 'row')} of {self.frame.height} (else {sentinel.least:.5g} to "
                f"{sentinel.most:.5g})"
                for name, sentinel in where
            ]
            way = columns.option(where[0][0], value) if len(where) == 1 else f"--missing={value}"
            self.warnings.append(
                f"{value} stands apart from the other values of {_listed(some, 4, quote=False)}; if it means that "
                f"there is no value, say {way} (missing: in a study)"
            )
        return {name for where in found.values() for name, _ in where}

    def _unfit(self, name: str) -> str | None:
        """Why a column cannot be a feature."""
        column = self.frame[name]
        values = column.drop_nulls()
        if not _is_usable(column):
            return f"holds {_kind_of_content(column)}, which are no features"
        if not len(values):
            return "is empty"
        if column.dtype.is_temporal():
            return "holds dates, which serve as times only"
        if values.n_unique() == 1:
            return "is the same in every row"
        if name in self.file.spoilt:
            return f"{self.file.spoilt[name]} to use it"
        if column.dtype == pl.String and values.n_unique() > MOST_CATEGORIES:
            distinct = "all distinct" if values.is_unique().all() else f"{values.n_unique()} distinct values"
            return f"holds text, {distinct}"
        self._refuse_infinite(name)
        return None

    def _repeats_target(self, name: str) -> str | None:
        if self.given.get("kind") == "forecast":
            return None
        # Selected from a table of thousands of columns, each pair would take as long as the table is wide.
        pairs = pl.DataFrame([self.frame[name], self.frame[self.target]]).drop_nulls().unique()
        column, target = pairs[name], pairs[self.target]
        if pairs.height < 2:
            return None
        if (column.dtype.is_numeric() or column.dtype == target.dtype) and column.dtype.is_numeric() == (
            target.dtype.is_numeric()
        ):
            if (column == target).all():
                return "equals the target"
        # One value for each class: the target under other names. Numbers that are all distinct pair off by chance.
        elif pairs.height == column.n_unique() == target.n_unique() <= MOST_CLASSES:
            return "tells the target exactly, value for value"
        return None

    def _choose_kind(self, features: tuple[str, ...]) -> str:
        column = self.frame[self.target].drop_nulls()
        distinct = column.n_unique()
        numeric = column.dtype.is_numeric()
        whole = numeric and bool((column.cast(pl.Float64) % 1 == 0).all())
        kind = self.given.get("kind")
        if kind is not None:
            reason = "as asked"
        elif not numeric:
            kind, reason = (
                "classification",
                f"target {self.target!r} holds {distinct} distinct values that are no numbers",
            )
        elif not features:
            self._refuse_lost_features()
            kind, reason = "forecast", f"there is nothing but the past of {self.target!r} to predict it from"
        elif whole and distinct <= min(MOST_CLASSES_OF_NUMBERS, max(2, len(column) / 10)):
            kind, reason = "classification", f"target {self.target!r} holds {distinct} distinct values"
        else:
            kind, reason = "regression", f"target {self.target!r} holds numbers, {distinct} of them distinct"
        if kind != "classification" and not numeric:
            self._refuse(
                f"a {kind} needs a target of numbers; {self.target!r} holds {_kind_of_content(column)} such as "
                f"{_labels(column)[0]!r}. Try --task classification"
            )
        if kind == "classification" and distinct > MOST_CLASSES:
            way = "Try --task regression" if numeric else "Merge classes, or name another target"
            self._refuse(
                f"target {self.target!r} holds {distinct} distinct values, too many to be classes (at most "
                f"{MOST_CLASSES}). {way}"
            )
        self.lines.append(f"kind: {kind} ({reason})")
        return kind

    def _refuse_lost_features(self) -> None:
        """Refuse to forecast only because columns that were meant to predict from cannot be read."""
        lost = {name: reason for name, reason in self.left_out.items() if reason.startswith("holds ")}
        lost = {name: reason for name, reason in lost.items() if "holds dates" not in reason}
        if lost:
            reasons = "; ".join(f"{name!r} {reason}" for name, reason in lost.items())
            self._refuse(
                f"no column is left to predict {self.target!r} from: {reasons}. Correct that, or ask for a forecast "
                "of the target from its own past (--task forecast)"
            )

    def _check_features(self) -> None:
        if not self.features:
            reasons = "; ".join(f"{name!r} {reason}" for name, reason in self.left_out.items())
            self._refuse(
                f"no column is left to predict {self.target!r} from ({reasons or 'there are no others'}). Give it "
                "feature columns, or ask for a forecast of the target from its own past (--task forecast)"
            )

    def _choose_horizon(self) -> int:
        if "horizon" in self.given and self.kind != "forecast":
            self._refuse(f"horizon is for a forecast; this is a {self.kind}. Leave it out, or set kind: forecast")
        return self.given.get("horizon", 1)

    def _choose_per(self) -> Any:
        codes = self._codes()
        groups = int(codes.max()) + 1
        if self.group is not None and len(codes) == groups:
            self._refuse(
                f"each row has a value of its own in group column {self.group!r}, so there is no series in any of "
                "them; name the column that many rows share"
            )
        constant = self.group is not None and self.kind != "forecast"
        if constant:
            known = self.frame.select(self.target, code=codes).drop_nulls()
            constant = known.unique().height == known["code"].n_unique()
        per = self.given.get("per")
        if per == "sequence" and not constant:
            why = (
                "a forecast has a target at each row"
                if self.kind == "forecast"
                else "there are no groups"
                if self.group is None
                else f"{self.target!r} varies within groups of {self.group!r}"
            )
            self._refuse(f"per: sequence needs groups within which the target is constant, but {why}; set per: step")
        if per is None:
            per = "sequence" if constant else "step"
            if constant:
                self.lines.append(
                    f"target: one for each group, as {self.target!r} is constant within each of {self.group!r}"
                )
        return per

    def _class_names(self) -> tuple[str, ...]:
        return tuple(_labels(self.frame[self.target].drop_nulls().unique().sort()))

    def _encode(self) -> tuple[tuple[Feature, ...], tuple[str, ...], NDArray[np.float64], NDArray[np.bool_]]:
        """Features by name and unit, the column of each, their values (rows, features), and where they are observed."""
        features, sources, values, observed = [], [], [], []
        for name in self.features:
            column = self.frame[name]
            there = column.is_not_null().to_numpy()
            if column.dtype == pl.String:
                for value in column.drop_nulls().unique().sort():
                    features.append(Feature(f"{name} = {value}", "1"))
                    values.append((column == value).fill_null(False).to_numpy())
                    observed.append(there)
            else:
                features.append(Feature(name, "1" if column.dtype == pl.Boolean else self._unit(name)))
                values.append(column.cast(pl.Float64).fill_null(0.0).to_numpy())
                observed.append(there)
            sources += [name] * (len(features) - len(sources))
        values = np.stack(values, axis=1).astype(np.float64)
        return tuple(features), tuple(sources), values, np.stack(observed, axis=1)

    def _targets(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        column = self.frame[self.target]
        known = column.is_not_null().to_numpy()
        if self.classes is None:
            return column.cast(pl.Float64).fill_null(0.0).to_numpy()[:, None], known
        number = {name: index for index, name in enumerate(self.classes)}
        return np.array([number.get(label, 0) for label in _labels(column)], dtype=np.int64), known

    def _cut_into_recordings(self) -> list[Recording]:
        codes, times = self._codes(), self._times()
        targets, known = self._targets()
        names, of_groups = [self.name], [self.name]
        if self.key:
            firsts = self.frame[np.flatnonzero(np.diff(codes, prepend=-1))]
            labels = [_labels(firsts[name]) for name in self.key]
            names, of_groups = [" / ".join(label) for label in zip(*labels, strict=True)], labels[0]
        starts = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))
        ahead = self.horizon if self.kind == "forecast" else 0
        recordings, dropped = [], []
        for name, group, first, end in zip(names, of_groups, starts[:-1], starts[1:], strict=True):
            rows = slice(first, end - ahead)
            of_target = slice(first + ahead, end)
            if end - first <= ahead or not known[of_target].any():
                dropped.append(name)
                continue
            recording = Recording(
                name=name,
                group=group,
                times=times[rows],
                values=self.values[rows],
                targets=targets[of_target],
                first_row=int(first),
                mask=self.observed[rows],
                target_mask=known[of_target],
            )
            if self.per == "sequence":
                label = recording.targets[int(known[of_target].argmax())]
                recording = replace(
                    recording, targets=int(label) if self.classes is not None else label, target_mask=None
                )
            recordings.append(recording)
        if dropped:
            self.lines.append(f"groups: left out for want of a target: {_listed(dropped)}")
        return recordings

    def _choose_window(self) -> int | None:
        lengths = [len(recording) for recording in self.recordings]
        if "window" in self.given:
            window = self.given["window"]
            if window is None and self.group is None:
                self._refuse("window must be a number of rows where one recording is split in time; got None")
            self.lines.append(f"window: {f'{window} rows' if window else 'none'}, as asked")
            return window
        if self.per == "sequence":
            if max(lengths) > 1000:
                self.warnings.append(
                    f"the longest sequence has {max(lengths)} rows, which takes long to train on; window: 200 in a "
                    "study classifies pieces instead"
                )
            return None
        if self.group is not None:
            window = None if max(lengths) <= 2 * LONGEST_WINDOW else LONGEST_WINDOW
        else:
            window = int(np.clip(sum(lengths) // 20, SHORTEST_WINDOW, LONGEST_WINDOW))
        if window is None:
            self.lines.append(f"window: none (the longest group has {max(lengths)} rows and stays whole)")
        else:
            longest = f"{len(lengths)} recordings of up to {max(lengths)} rows" if self.group else f"{lengths[0]} rows"
            self.lines.append(
                f"window: {window} rows (guessed from {longest}); training windows overlap by half, those of "
                "validation and test not at all"
            )
        return window

    def _split_in_time(self) -> tuple[int, dict[str, list[Recording]]]:
        (recording,) = self.recordings
        assert self.window is not None
        ahead = self.horizon if self.kind == "forecast" else 0
        steps, gap = len(recording), self.window + ahead
        usable = steps - 2 * gap
        if usable // 5 < self.window:
            # Counted as in the file: of a forecast's last rows there is a target alone.
            left = f" that are left of {self.height}" if self.frame.height < self.height else ""
            self._refuse(
                f"{self.frame.height} rows{left} are too few: split in time into 60, 20 and 20 %, with {gap} rows left "
                f"out between the parts, each part needs a window of {self.window} rows, "
                f"{5 * self.window + 2 * gap + ahead} rows in all"
            )

        def cut(shares: tuple[float, float]) -> tuple[Recording, ...]:
            train, validation = (round(share * usable) for share in shares)
            starts = train + gap, train + validation + 2 * gap
            parts = slice(0, train), slice(starts[0], starts[0] + validation), slice(starts[1], steps)
            return tuple(recording.part(rows) for rows in parts)

        cuts = [cut(shares) for shares in SHARES]
        # All classes in every part if that can be had, else two, without which a part cannot be scored.
        fewest = (len(self.classes), 2) if self.classes else ()
        good = [parts for least in fewest for parts in cuts if self._classes_in_each(parts) >= least]
        parts = (good or cuts)[0]
        usual = [len(part) for part in parts] == [len(part) for part in cuts[0]]
        all_there = len(self.classes or ()) == self._classes_in_each(parts)
        lack = "without one of the classes" if all_there else "with a single class"
        self.split_rule = (
            f"In time: the first {len(parts[0])} rows are training, then {len(parts[1])} validation, the last "
            f"{len(parts[2])} test, with {gap} rows left out between them, no less than a window"
            f"{'' if usual else '; not 60, 20 and 20 %, which would leave a part ' + lack}."
        )
        self.lines.append(f"split: {self.split_rule}")
        return gap, {name: [part] for name, part in zip(SPLITS, parts, strict=True)}

    def _classes_in_each(self, parts: Iterable[Recording]) -> int:
        """Number of classes in the part that has fewest; of validation and test, nothing else is looked at."""
        return min(len(np.unique(_known([part], self.per))) for part in parts)

    def _split_by_group(self) -> tuple[None, dict[str, list[Recording]]]:
        count = len(self._groups())
        if count < groups.FEWEST:
            what = "1 group" if count == 1 else f"{count} groups"
            rows = self.frame.height
            enough = 7 * SHORTEST_WINDOW
            without = "Leave --group out" if "group" in self.given else "Say --no-group"
            way = f"{without} to split in time"
            if count == 1 and rows < enough:
                way = f"Its {rows} rows are too few to split in time as well ({enough} are needed)"
            elif count > 1:
                way = (
                    f"Take a table of one group, which is split in time{', without --group' * ('group' in self.given)}"
                )
            self._refuse(
                f"group column {self.group!r} holds {what}; a split by group needs at least {groups.FEWEST}, one for "
                f"each of training, validation and test. {way}"
            )
        splits, stratified = self._deal(0), self._stratified
        if not splits["test"] and self.classes is not None:
            by_class = self._by_class()
            sizes = _listed((f"{len(of)} of {self.classes[label]}" for label, of in by_class.items()), quote=False)
            self._refuse(
                f"no class of {self.target!r} has {groups.FEWEST} groups, one for each of training, validation and "
                f"test ({sizes}); give more groups"
            )
        counts = ", ".join(f"{name} {len({r.group for r in of})}" for name, of in splits.items())
        recordings = ", ".join(f"{name} {len(of)}" for name, of in splits.items())
        several = f"; recordings told apart by {' and '.join(map(repr, self.key[1:]))}: {recordings}"
        self.split_rule = (
            f"By group: each value of {self.group!r} is in one split only, drawn by a checksum of its name"
            f"{', class by class' if stratified else ''} ({counts}{several if len(self.key) > 1 else ''})."
        )
        self.lines.append(f"split: {self.split_rule}")
        return None, splits

    @property
    def _stratified(self) -> bool:
        return self.per == "sequence" and self.classes is not None

    def _groups(self) -> dict[str, list[Recording]]:
        """The recordings of each group, which no split may part."""
        together: dict[str, list[Recording]] = {}
        for recording in self.recordings:
            together.setdefault(recording.group, []).append(recording)
        return together

    def _by_class(self) -> dict[Any, list[str]]:
        """The groups in the order of their lots, by class where recordings have one; a group's is the commonest."""
        by_class: dict[Any, list[str]] = {}
        together = self._groups()
        for name in sorted(together, key=_lot):
            classes = [recording.targets for recording in together[name]] if self._stratified else [0]
            by_class.setdefault(max(classes, key=classes.count), []).append(name)
        return by_class

    def _deal(self, fold: int) -> dict[str, list[Recording]]:
        """The recordings of each split; with each fold the groups move on by one place."""
        dealt: dict[str, set[str]] = {name: set() for name in SPLITS}
        for members in self._by_class().values():
            # Fewer groups than places: those that no group would take are left out, so that each split has its turn.
            places = DEAL[: len(members)]
            for place, name in enumerate(members):
                dealt[places[(place + fold) % len(places)]].add(name)
        return {
            name: [recording for recording in self.recordings if recording.group in of] for name, of in dealt.items()
        }

    def _check_splits(self, splits: Mapping[str, list[Recording]]) -> None:
        train = _known(splits["train"], self.per)
        for name in SPLITS:
            if not len(_known(splits[name], self.per)):
                self._refuse(f"target {self.target!r} is not known in any row of the {name} part. {self.split_rule}")
        if self.classes is None:
            if np.ptp(train) == 0:
                self._refuse(f"target {self.target!r} never varies in the training part, so nothing can be learnt")
            return
        for name in SPLITS:
            there = np.unique(_known(splits[name], self.per))
            if len(there) == 1:
                way = (
                    "If the rows are ordered by class, they are no time series as they stand: name the column that "
                    "tells recordings apart with --group. If they are in the order of time, more of them are needed, "
                    "until other classes come back"
                    if self.group is None
                    else "More groups are needed"
                )
                self._refuse(
                    f"the {'training' if name == 'train' else name} part holds only class "
                    f"{self.classes[int(there[0])]!r} of {self.target!r}, so "
                    f"{'nothing can be learnt' if name == 'train' else 'no model can be judged by it'}. {way}"
                )
            absent = [label for number, label in enumerate(self.classes) if number not in there]
            if absent:
                self.warnings.append(f"the {name} part lacks {_listed(absent)} among the classes of {self.target!r}")

    def _suspect_leaks(self) -> None:
        """Warn of features that tell the target too well to be true."""
        if self.per == "sequence":
            targets = np.concatenate(
                [np.full(len(recording), np.ravel(recording.targets)[0]) for recording in self.recordings]
            )
            known = np.ones(len(targets), dtype=bool)
        else:
            targets = np.concatenate([np.ravel(recording.targets) for recording in self.recordings])
            known = np.concatenate([recording.target_mask for recording in self.recordings])  # pyright: ignore
        values = np.concatenate([recording.values for recording in self.recordings])
        observed = np.concatenate([recording.observed for recording in self.recordings])

        def pairs(column: int) -> tuple[NDArray[Any], NDArray[Any]]:
            both = known & observed[:, column]
            return values[both, column], targets[both]

        # What a slow target says of its own next value is no leak, only what says more than that is.
        names = [feature.name for feature in self.feature_columns]
        own = _correlation(*pairs(names.index(self.target))) if self.kind == "forecast" else 0.0
        for column, name in enumerate(names):
            if how := self._tells_target(*pairs(column), least=max(LEAK, own)):
                self.warnings.append(
                    f"leak suspect: {name!r} {how}; if it is not known when the prediction is made, leave it out "
                    "(features: in a study)"
                )

    def _tells_target(self, values: NDArray[Any], targets: NDArray[Any], least: float) -> str | None:
        """In which way a feature tells the target, if it does so almost perfectly."""
        if self.classes is not None and _pairs_off(values, targets):
            return f"tells {self.target!r} exactly, value for value"
        if self.classes is None or len(self.classes) == 2:
            r = _correlation(values, targets)
            if r > least:
                ahead = "'s next value" if self.kind == "forecast" else ""
                return f"correlates with {self.target!r}{ahead} almost perfectly (|r| = {r:.5f})"
        if self.classes is not None:
            ranked = _auroc(values, targets, len(self.classes))
            best = int(ranked.argmax())
            if ranked[best] > least:
                return (
                    f"alone tells class {self.classes[best]!r} of {self.target!r} from all others almost perfectly "
                    f"(AUROC {ranked[best]:.5f})"
                )
        return None

    def _suspect_unseen(self) -> None:
        """Warn of what the training part never shows, and of a test part that asks nothing."""
        values = np.concatenate([recording.values for recording in self.splits["train"]])
        observed = np.concatenate([recording.observed for recording in self.splits["train"]])
        never, same, unseen = [], [], []
        # A column of text is several features, which only together say whether it varies.
        places_of: dict[str, list[int]] = {}
        for place, source in enumerate(self.sources):
            places_of.setdefault(source, []).append(place)
        for name, places in places_of.items():
            there = observed[:, places[0]]
            shown = values[there][:, places]
            if not there.any():
                never.append(name)
            elif not np.ptp(shown, axis=0).any():
                same.append(name)
            elif self.frame[name].dtype == pl.String:
                unseen += [self.feature_columns[place].name for place in np.array(places)[~shown.any(axis=0)]]
        if never:
            self.warnings.append(
                f"{_listed(never)} {'has' if len(never) == 1 else 'have'} no value in the training part, so nothing "
                "can be learnt of it; leave it out (--features)"
            )
        if same:
            self.warnings.append(
                f"{_listed(same)} {'is' if len(same) == 1 else 'are'} the same throughout the training part, so "
                "nothing can be learnt of what changes later"
            )
        if unseen:
            self.warnings.append(
                f"{_listed(unseen)} {'occurs' if len(unseen) == 1 else 'occur'} only outside of the training part, so "
                "nothing can be learnt of it"
            )
        for name in SPLITS[1:]:
            known = _known(self.splits[name], self.per)
            if self.classes is None and np.ptp(known) == 0:
                use = "be chosen" if name == "validation" else "be judged"
                self.warnings.append(
                    f"target {self.target!r} is {float(np.ravel(known)[0]):g} throughout the {name} part, so a "
                    f"constant is all that it asks for and no model can {use} by it"
                )

    def _suspect_outliers(self) -> None:
        """Warn of training values so far from the others that they alone set the scale of their feature."""
        values = np.concatenate([recording.values for recording in self.splits["train"]])
        observed = np.concatenate([recording.observed for recording in self.splits["train"]])
        distances = np.abs(Scaler.fit(values, observed).standardise(values)) * observed
        for column, feature in enumerate(self.feature_columns):
            here = values[observed[:, column], column]
            # A flag that is seldom set is far from its mean, and right.
            if len(np.unique(here)) <= 2 or feature.name in self.sentinels:
                continue
            row = int(distances[:, column].argmax())
            distance = float(distances[row, column])
            if distance > OUTLIER or distance**2 > OUTLIER_SHARE * len(here):
                self.warnings.append(
                    f"{feature.name!r} reaches {values[row, column]:.4g}, {distance:.0f} standard deviations from its "
                    "mean: check for errors in the data"
                )
        if self.kind == "regression":
            self._suspect_outlying_targets()

    def _suspect_outlying_targets(self) -> None:
        targets = _known(self.splits["train"], self.per).reshape(-1)
        spread = float(targets.std())
        if self.target in self.sentinels or not spread:
            return
        distances = np.abs(targets - targets.mean()) / spread
        worst = int(distances.argmax())
        if distances[worst] > OUTLIER or distances[worst] ** 2 > OUTLIER_SHARE * len(targets):
            self.warnings.append(
                f"target {self.target!r} reaches {targets[worst]:.4g} in training, {distances[worst]:.0f} standard "
                "deviations from its mean, by which errors are measured: check for errors in the data"
            )

    def _suspect_strayed_times(self) -> None:
        """Warn of a few rows far before or after all others of their recording, as a clock that was not set writes."""
        if self.time is None:
            return
        strayed: list[int] = []
        for recording in self.recordings:
            times = recording.times
            few = dates.few(len(times))
            if not few:
                continue
            spans = np.diff(times)
            for place in {*range(few), *range(len(spans) - few, len(spans))}:
                rest = max(times[-1] - times[place + 1], times[place] - times[0])
                if spans[place] > STRAYED * rest:
                    strayed.append(recording.first_row + (place if place < few else place + 1))
        if strayed:
            first = min(strayed, key=lambda row: self.row[row])
            when = self.frame[self.time][first]
            self.warnings.append(
                f"the time in {self._at(first)} is {when}, far from all others"
                f"{f', and so in {len(strayed) - 1} more rows' * (len(strayed) > 1)}; if a clock was wrong, remove "
                "the row, or the gap counts as time that passed"
            )

    def _choose_time_unit(self) -> tuple[bool, str]:
        """Whether time spans vary, and the unit of time; recordings change to that unit."""
        spans = np.concatenate([np.diff(recording.times) for recording in self.recordings])
        median = float(np.median(spans)) if len(spans) else 1.0
        if self.time is None:
            return False, "row"
        unit, scale = f"units of {self.time!r}", 1.0
        if self.frame[self.time].dtype.is_temporal():
            unit = next((unit for unit in ("d", "h", "min") if median >= _SECONDS[unit]), "s")
            scale = _SECONDS[unit]
        elif (named := dates.time_name(self.time)) and named.unit:
            unit = named.unit
        self.recordings = [
            replace(recording, times=(recording.times - recording.times[0]) / scale) for recording in self.recordings
        ]
        # A few odd spans are jitter, unless they are gaps.
        odd = np.mean(np.abs(spans - median) > 0.1 * max(median, 1e-300)) > 0.01
        gaps = int(np.sum(spans > GAP * median)) if median else 0
        if odd:
            self.lines.append(
                f"spans: uneven, {spans.min() / scale:.4g} to {spans.max() / scale:.4g} {unit}, median "
                f"{median / scale:.4g}; models are told the time between rows"
            )
        elif gaps:
            self.lines.append(
                f"spans: {median / scale:.4g} {unit}, but for {_count(gaps, 'gap')} of up to {spans.max() / scale:.4g} "
                f"{unit}; models are told the time between rows"
            )
        else:
            self.lines.append(f"spans: even, {median / scale:.4g} {unit}")
        return bool(odd or gaps), unit

    def _choose_metric(self) -> str:
        if self.classes is None:
            self.lines.append("metric: rmse, in standard deviations of the training targets")
            return "rmse"
        known = _known(self.splits["train"], self.per)
        share = np.bincount(known.astype(np.int64)).max() / len(known)
        if share > 0.8:
            self.lines.append(f"metric: balanced accuracy ({share:.0%} of the training targets are of one class)")
            return "balanced_accuracy"
        self.lines.append("metric: accuracy")
        return "accuracy"

    def _describe_features(self) -> None:
        kinds = {name: self.frame[name].dtype for name in self.features}
        text = [name for name, dtype in kinds.items() if dtype == pl.String]
        flags = [name for name, dtype in kinds.items() if dtype == pl.Boolean]
        numbers = [name for name in self.features if name not in (*text, *flags)]
        parts = [f"{_count(len(numbers), 'column')} of numbers ({_listed(numbers)})"] if numbers else []
        if flags:
            parts.append(f"{_listed(flags)} as 0 and 1")
        for name in text:
            parts.append(
                f"{name!r} as {self.frame[name].drop_nulls().n_unique()} columns of 0 and 1, one for each value"
            )
        self.lines.append(f"features: {'; '.join(parts)}")
        if self.left_out:
            out = "; ".join(f"{name!r} {reason}" for name, reason in self.left_out.items())
            self.lines.append(f"left out: {out}")
        missing = 1 - float(self.observed.mean())
        if missing:
            self.lines.append(f"missing: {max(missing, 0.001):.1%} of the feature values; models are told which")
        for name, reason in self.left_out.items():
            if "the target" in reason:
                self.warnings.append(f"leak: {name!r} {reason}; it is left out")


def _checked(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping, its keys and the types of their values checked."""
    given = dict(mapping)
    for key in given:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"a table has no key {key!r}.{hint} The keys are {', '.join(KEYS)}")
    for key in ("table", "target"):
        if key not in given:
            raise ValueError(f"a table needs the key {key!r}; got {', '.join(given) or 'none'}")
    given["table"] = os.fspath(given["table"]) if isinstance(given["table"], os.PathLike) else given["table"]
    optional = {"time", "window"}
    if isinstance(given.get("group"), str) and given["group"]:
        given["group"] = [given["group"]]
    if given.get("group") is not None:
        names = given["group"]
        if (
            not isinstance(names, list | tuple)
            or not names
            or not all(isinstance(name, str) and name for name in names)
        ):
            raise TypeError(f"group must be a column name, or a list of some; got {mapping['group']!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"group must name distinct columns; got {', '.join(names)}")
    for key in ("table", "target", "name", "time", "kind", "per", "digest"):
        if key in given and not (isinstance(given[key], str) and given[key]):
            if given[key] is not None or key not in optional:
                raise TypeError(f"{key} must be text; got {given[key]!r}")
    for key, allowed in (("kind", KINDS), ("per", ("step", "sequence")), ("dates", tuple(dates.ORDERS))):
        if key in given and given[key] not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}; got {given[key]!r}")
    if given.get("decimal") not in (None, ".", ","):
        raise ValueError(f"decimal must be a point or a comma, the mark before decimals; got {given['decimal']!r}")
    if given.get("missing") is not None:
        if isinstance(given["missing"], str | int | float):
            given["missing"] = [given["missing"]]
        if not isinstance(given["missing"], list | tuple) or not all(
            isinstance(item, str | int | float) for item in given["missing"]
        ):
            raise TypeError(f"missing must be a list of values, or of texts COLUMN=VALUE; got {given['missing']!r}")
        given["missing"] = list(given["missing"])
    for key, least in (("window", 2), ("horizon", 1)):
        value = given.get(key, least)
        if value is None and key in optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{key} must be a whole number of rows; got {value!r}")
        if value < least:
            raise ValueError(f"{key} must be at least {least}; got {value}")
    if "features" in given:
        features = given["features"]
        if not isinstance(features, list | tuple) or not all(isinstance(name, str) for name in features):
            raise TypeError(f"features must be a list of column names; got {features!r}")
        if not features or len(set(features)) < len(features):
            raise ValueError(f"features must be distinct column names, at least one; got {features!r}")
    return given


def _found(table: str, data: str | os.PathLike[str] | None) -> Path:
    path = Path(table).expanduser()
    if path.is_symlink() or len(path.name.encode()) > 255:
        # Also one that leads nowhere, which is then told.
        return regular(path, "a table")
    if not path.exists() and data is not None and not path.is_absolute():
        path = Path(data).expanduser() / path
    if not path.exists():
        near = []
        if path.parent.is_dir():
            near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise FileNotFoundError(f"there is no file {path}{hint}")
    return regular(path, "a table")


def _labels(column: pl.Series) -> list[str]:
    """Values as text, whole numbers without a decimal point."""
    if column.dtype.is_float() and (column.drop_nulls() % 1 == 0).all() and column.abs().max() < 2**53:  # pyright: ignore
        column = column.cast(pl.Int64)
    return [str(value) for value in column.to_list()]


def _is_usable(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String, pl.Datetime)


def _kind_of_content(column: pl.Series) -> str:
    if column.dtype == pl.String:
        return "text"
    if column.dtype == pl.Boolean:
        return "true and false"
    if column.dtype == pl.Duration:
        return "times of day"
    if column.dtype.is_temporal():
        return "dates"
    return "numbers" if column.dtype.is_numeric() else "lists or records"


def _counts_rows(column: pl.Series) -> bool:
    """Whether whole numbers go up by 1 from row to row, in whatever order, but for a few rows that were taken out."""
    if not column.dtype.is_integer() or column.null_count() > dates.few(len(column)) or len(column) < 3:
        return False
    steps = column.drop_nulls().cast(pl.Int64).sort().diff().drop_nulls()
    return bool((steps > 0).all()) and float((steps == 1).to_numpy().mean()) >= COUNTING


def _columns(names: Iterable[str]) -> str:
    names = list(names)
    return f"column {names[0]!r}" if len(names) == 1 else f"columns {' and '.join(map(repr, names))}"


def _count(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Iterable[str], most: int = 8, quote: bool = True) -> str:
    names = list(names)
    shown = ", ".join(repr(name) if quote else name for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _lot(name: str) -> bytes:
    """What a group draws; the same on every machine, whatever other groups there are."""
    return hashlib.sha256(name.encode()).digest()


def _known(recordings: list[Recording], per: str) -> NDArray[Any]:
    if per == "sequence":
        return np.array([np.ravel(recording.targets)[0] for recording in recordings])
    known = [np.ravel(recording.targets)[recording.target_mask] for recording in recordings]
    return np.concatenate(known) if known else np.zeros(0)


def _pairs_off(values: NDArray[Any], classes: NDArray[np.int64]) -> bool:
    """Whether each value goes with one class only and each class with one value, more often than chance explains."""
    distinct = np.unique(values)
    if not 1 < len(distinct) <= min(MOST_CLASSES, len(values) / FEWEST_TO_SUSPECT):
        return False
    together = np.unique(np.stack([values, classes]), axis=1).shape[1]
    return together == len(distinct) == len(np.unique(classes))


def _correlation(values: NDArray[Any], targets: NDArray[Any]) -> float:
    """Absolute value of Pearson's r; 0 where it is undefined."""
    if len(values) < 3 or np.ptp(values) == 0 or np.ptp(targets) == 0:
        return 0.0
    return abs(float(np.corrcoef(values, targets)[0, 1]))


def _auroc(values: NDArray[Any], targets: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """How well ranks of the values, up or down, tell each class from all others: 0.5 for not at all, 1 perfectly."""
    _, inverse, ties = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[inverse]
    counts = np.bincount(targets, minlength=classes)
    above = np.bincount(targets, weights=ranks, minlength=classes) - counts * (counts + 1) / 2
    others = len(targets) - counts
    enough = np.minimum(counts, others) >= FEWEST_TO_SUSPECT
    area = np.where(enough, above / np.maximum(counts * others, 1), 0.5)
    return np.maximum(area, 1 - area)
