"""What the columns of a user's table mean: which of them is the time, who a row belongs to, what predicts what.

A `Meaning` makes these choices from a mapping as `liquidbench.tasks.table` describes it, in the order in which they
depend on each other, with a line in words for each. `liquidbench.tasks.columns` reads the file, `dates` its times, and
`groups` finds who belongs together. No guess looks at how well anything can be predicted.
"""

import difflib
import itertools
import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import columns, dates, groups, time_columns, words
from liquidbench.tasks.task import Feature
from liquidbench.wording import columns_named, counted, listed

MOST_CLASSES = 50
MOST_CLASSES_OF_NUMBERS = 20
MOST_CATEGORIES = 10
FEWEST_ROWS = 12
"""Rows without which there are neither several in each of three groups nor enough to split them in time."""
SAME_TIME = 1 - 1e-6
"""Correlation with the time from which on a column is the time again."""
SAME_QUANTITY = 0.999
"""Correlation from which on columns that are named alike are one quantity; digits are lost in conversion."""
COUNTING = 0.95
"""Share of the steps of 1 from which on distinct whole numbers are a row's number and not a measurement."""
MIXED = 1.5
"""Times what a recording spans that its stretches cover together, from which on they are several recordings."""


class Meaning:
    """What a table's columns are used for, one method a choice.

    Attributes:
        given: the mapping as it was given.
        path: of the file.
        lines, warnings: a sentence for each choice, and for what deserves a look.
        frame: the rows in the order of the recordings; `row` has their numbers in the file, `height` how many it has.
        target, time, key: the columns of these roles; the first of the key is what a split keeps whole.
        kind, per, horizon, classes: of the prediction.
        features: columns to predict from. `left_out` says why others are none, `sentinels` has the
            numbers that may mean that there is no value, by column.
        feature_columns, sources, values, observed: the features as numbers, (rows, features), and which column each is
            from.
    """

    def __init__(self, given: Mapping[str, Any], path: Path):
        self.given, self.path = given, path
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.left_out: dict[str, str] = {}
        self.file = self._read()
        self.frame, self.digest = self.file.frame, self.file.digest
        self.lines += self.file.remarks
        self.warnings += self.file.warnings
        if self.given.get("digest", self.digest) != self.digest:
            self.refuse(
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
        self._drop_copies_of_time(but=words.is_named)
        self.key = self._choose_group()
        if odd := self._long_form() or self._wide_form():
            self.warnings.append(odd)
        self._suspect_names()
        self._drop_identifiers()
        self._drop_copies_of_time()
        self._put_in_order()
        self._check_target()
        others = self._choose_features()
        self.kind = self._choose_kind(others)
        self.features = others
        self._suspect_labels()
        self._suspect_units()
        self.sentinels = self._suspect_sentinels()
        if self.kind == "forecast":
            self.features = tuple(name for name in self.frame.columns if name in (*others, self.target))
        self._check_features()
        self.horizon = self._choose_horizon()
        self.per = self._choose_per()
        self.classes = self._class_names() if self.kind == "classification" else None
        self.feature_columns, self.sources, self.values, self.observed = self._encode()
        self._describe_features()

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
        """What studies and reports call the task."""
        return self.given.get("name") or Path(self.given["table"]).stem

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
            labels=lambda name: name != target and (name in key or words.is_named(name)),
            codes=lambda name: (name != target or classes) and words.is_code(name),
            decimal=given.get("decimal"),
            missing=given.get("missing") or (),
            fewest=FEWEST_ROWS,
        )

    def refuse(self, problem: str) -> NoReturn:
        """Raise a `ValueError` that names the file."""
        raise ValueError(f"{self.path.name}: {problem}")

    def unit(self, name: str) -> str:
        """The unit that a column's name gives in square brackets, or the file in a row of units."""
        return words.unit_in(name)[1] or self.file.units.get(name) or "as in the table"

    def _suspect_units(self) -> None:
        """Warn of a quantity that is there in two units, and of values whose unit another column changes."""
        of_quantity: dict[str, list[str]] = {}
        for name in (*self.features, self.target):
            quantity, unit = words.unit_in(name)
            if (unit or name in self.file.units) and self.frame[name].dtype.is_numeric():
                of_quantity.setdefault(quantity.casefold(), []).append(name)
        for names in of_quantity.values():
            for first, second in itertools.combinations(names, 2):
                both = self.frame.select(first, second).drop_nulls().cast(pl.Float64).to_numpy()
                if correlation(both[:, 0], both[:, 1]) > SAME_QUANTITY:
                    self.warnings.append(
                        f"{first!r} and {second!r} are one quantity in two units; leave one of them out (--features)"
                    )
        for name in self.frame.columns:
            values = self.frame[name].drop_nulls().unique()
            if name != self.target and len(values) > 1 and groups.is_unit(self.frame[name]):
                self.warnings.append(
                    f"{name!r} says that values are in {listed(values.sort(), 4)}; numbers in several units count as "
                    "they stand: bring them to one unit first"
                )

    def _column(self, role: str, name: str) -> str:
        if name in self.frame.columns:
            return name
        lower = {column.lower(): column for column in self.frame.columns}
        near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)]
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        self.refuse(
            f"there is no column {name!r} for the {role}. {hint}The columns are {listed(self.frame.columns, 20)}"
        )

    def _refuse_double_roles(self) -> None:
        roles: dict[str, str] = {}
        named = (("group", name) for name in self.key)
        for role, name in (("target", self.target), ("time", self.given.get("time")), *named):
            if name in roles:
                self.refuse(f"column {name!r} cannot be both {roles[name]} and {role}; name another for one of them")
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
            self.lines.append(f"rows: {counted(empty.sum(), 'empty row')} dropped")
            self._keep(~empty)
        wanted = {self.target, *self.key, self.given.get("time"), *(self.given.get("features") or ())}
        counts = [
            name
            for name in self.frame.columns
            if name not in wanted and _counts_rows(self.frame[name]) and not words.time_name(name)
        ]
        self.left_out |= dict.fromkeys(counts, "only counts the rows")
        self.frame = self.frame.drop(counts)

    def _find_dates(self) -> time_columns.Found:
        """Put dates in the place of what they are written as."""
        asked = self.given.get("time")
        found = time_columns.find(
            self.frame,
            self.at,
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
            self._tell_doubts(name)
            self._unroll(name)
            return name
        free = [name for name in self.frame.columns if name not in (self.target, *self.key)]
        times = [
            name for name in free if self.frame[name].dtype.is_temporal() and self.frame[name].dtype != pl.Duration
        ]
        # The date of a day's log is no time of its rows.
        times = [name for name in times if self.frame[name].n_unique() > 1]
        named = [name for name in free if words.time_name(name)]
        clocks = [name for name in free if self.frame[name].dtype == pl.Duration and self._looks_like_time(name)]
        numbers = [name for name in named if self.frame[name].dtype.is_numeric()]
        elapsed = [name for name in free if name not in named and time_columns.is_elapsed(self.frame[name])]
        like = [name for name in (*numbers, *elapsed) if self._looks_like_time(name)]
        asking = [name for name in self.found.questions if name in free]
        # A clock alone would leave out the days between its rows.
        asking = [name for name in asking if name in named] or (asking if not times + like else [])
        joined = set(self.found.joined.values())
        if asking and not set(times) & (set(named) | joined):
            self._check_time(asking[0])
        if times:
            first = next((name for name in times if name in joined), None)
            # A date of birth or of admission says whose row it is, and not when it was measured.
            usable = [name for name in times if not groups.is_of_identifier(self.frame, name)] or times
            first = first or next((name for name in usable if name in named), usable[0])
            others = [name for name in times if name != first]
            reason = f"the others are {listed(others)}; --time names another" if others else "the only column of dates"
        elif like:
            first, reason = like[0], "named like a time, and its numbers are like one"
        elif clocks:
            first, reason = clocks[0], "a clock that goes on"
        elif counts := [
            name for name in free if time_columns.counts_samples(self.frame[name]) and self._looks_like_time(name)
        ]:
            first, reason = counts[0], "named like a number of frames or waves, and its numbers go up"
        else:
            text = [
                name
                for name in free
                if (name in named and self.frame[name].dtype == pl.String)
                or (time_columns.may_be_time(self.frame[name]) and self.frame[name].n_unique() > MOST_CATEGORIES)
            ]
            for name in (*numbers, *text):
                values = self.frame[name].drop_nulls()
                why = (
                    "it is empty"
                    if not len(values)
                    else f"it is missing in {counted(self.frame[name].null_count(), 'row')}"
                    if name in numbers and len(values) < len(self.frame) - dates.few(len(self.frame))
                    else "its numbers go up and down"
                    if name in numbers
                    else f"{values[0]!r} is no number or date"
                )
                self.warnings.append(
                    f"{name!r} is named like a time, but {why}; rows count as evenly spaced (--time {name} insists)"
                )
            for name in free:
                if name not in named and name not in text and time_columns.looks_like_dates(self.frame[name]):
                    some = self.frame[name].drop_nulls()[0]
                    self.warnings.append(
                        f"{name!r} holds what looks like times, such as {some!r}, and is read as text; rows count as "
                        "evenly spaced (write times as 2024-05-31 13:45:00)"
                    )
            for name in [name for name in free if name not in named and time_columns.counts_in_words(self.frame[name])]:
                self.warnings.append(
                    f"{name!r} holds times such as {self.frame[name].drop_nulls()[0]!r}, read as text; rows count as "
                    f"evenly spaced (as numbers alone, --time {shlex.quote(name)} takes them for the time)"
                )
            of = [(other,) for other in groups.named(self.frame, self.target, None)]
            within = [None, *(groups.codes(self.frame, key) for key in ([self.key] if self.key else of))]
            goes_on = [
                name
                for name in free
                if name not in named
                and not words.is_part(name)
                and not words.is_named(name)
                and any(time_columns.goes_on(self.frame[name], codes) for codes in within)
            ]
            # An hour or a year alone is whole; one with fractions, such as 1990.25, or beyond what a year, say, can be,
            # may be the whole time.
            parts = [name for name in free if words.is_part(name) and self.frame[name].dtype.is_numeric()]
            for name in parts:
                column = self.frame[name]
                if not time_columns.is_part(column) and any(time_columns.goes_on(column, codes) for codes in within):
                    self.warnings.append(
                        f"{name!r} goes up as a time does, in numbers that no part of a date has; rows count as evenly "
                        f"spaced (--time {shlex.quote(name)} takes it for the time)"
                    )
            if goes_on:
                like = "goes up as a time does, but is" if len(goes_on) == 1 else "go up as a time does, but are"
                self.warnings.append(
                    f"{listed(goes_on)} {like} not named like one; rows count as evenly spaced (--time "
                    f"{shlex.quote(goes_on[0])} takes it for the time)"
                )
            self.lines.append(
                "time: no column found; rows count as evenly spaced, in the order of the file (--time names one)"
            )
            return None
        self._check_time(first)
        self.lines.append(f"time: column {first!r} ({reason})")
        self._tell_doubts(first)
        self._unroll(first)
        return first

    def _drop_rows_without_time(self) -> None:
        lacking = np.isnan(self.times())
        if lacking.any():
            told = (
                f"{counted(lacking.sum(), 'row')} without a time dropped, the first of them "
                f"{self.at(int(lacking.argmax()))}"
            )
            for name in (self.time, *(part for part, joined in self.found.joined.items() if joined == self.time)):
                cells = self.file.frame[name] if name in self.file.frame.columns else None
                if cells is not None and (what := _merged(cells)):
                    self.refuse(f"time column {name!r} {what}. Or name another with --time, or none with --no-time")
            if 2 * lacking.sum() > len(lacking):
                self.warnings.append(f"{told}; these are {lacking.mean():.0%} of all rows")
            else:
                self.lines.append(f"rows: {told}")
            self._keep(~lacking)

    def _drop_copies_of_time(self, but: Callable[[str], bool] = lambda name: False) -> None:
        """Drop numbers that only say again when a row was, such as the year with decimals beside a date."""
        if self.time is None:
            return
        wanted = {self.target, self.time, *self.key, *(self.given.get("features") or ())}
        times = self.times()
        copies = []
        for name in [name for name in self.frame.columns if name not in wanted]:
            column = self.frame[name]
            there = column.is_not_null().to_numpy()
            if not column.dtype.is_numeric() or but(name) or (~there).sum() > dates.few(len(column)):
                continue
            values = column.cast(pl.Float64).to_numpy()[there]
            # Values that are too large are refused later, with their row.
            if np.abs(values).max(initial=0.0) < 1e100 and correlation(values, times[there]) > SAME_TIME:
                copies.append(name)
        self.left_out |= dict.fromkeys(copies, f"says the same as the time, {self.time!r}")
        self.frame = self.frame.drop(copies)

    def _tell_doubts(self, time: str) -> None:
        """Warn of what is not sure in how the times were read."""
        for name, doubts in self.found.doubts.items():
            if time in (name, self.found.joined.get(name)):
                self.warnings += doubts

    def _unroll(self, name: str) -> None:
        """Add a day to a clock after each midnight."""
        if self.frame[name].dtype != pl.Duration:
            return
        hours = self.frame[name].drop_nulls().cast(pl.Duration("us")).dt.total_hours().to_numpy()
        clock, midnights = dates.unrolled(self.frame[name])
        self.frame = self.frame.with_columns(clock)
        passes = f"; it passes midnight {counted(midnights, 'time')}, and each adds a day" if midnights else ""
        minutes = ", read as hours and minutes" if name in self.found.in_minutes else ""
        self.lines.append(f"file: {name!r} holds times without a date{minutes}{passes}")
        # A clock that is read for a day or for several goes on to their last hour.
        if minutes and not words.is_clock(name) and (hours.max() >= 24 or (hours[0] == 0 and hours.max() < 23)):
            self.warnings.append(
                f"the clocks of {name!r} have two numbers, read as hours and minutes; if they are minutes and seconds, "
                f"name the column '{name} (mm:ss)', or write an hour in front, as in 00:12:34"
            )

    def _looks_like_time(self, name: str) -> bool:
        """Whether numbers or a clock hardly ever go back, in the table or within what is named like an identifier.

        A temperature may be called t as well, and an hour of the day time.
        """
        column = self.frame[name]
        there = column.is_not_null()
        if column.null_count() > dates.few(len(column)) or column.n_unique() < 2:
            return False
        keys = [self.key] if self.key else [(), *((other,) for other in groups.named(self.frame, self.target, name))]
        for key in keys:
            codes = groups.codes(self.frame, key)[there.to_numpy()]
            order = np.argsort(codes, kind="stable")
            values = column.filter(there)[order]
            values = dates.unrolled(values)[0] if values.dtype == pl.Duration else values
            # Recordings follow one another; within one that is known, a time goes on.
            same = np.diff(codes[order]) == 0 if key else slice(None)
            if np.mean(np.diff(dates.seconds(values))[same] < 0) <= 0.1:
                return True
        # In a table that was shuffled, a time does not come twice.
        distinct = pl.DataFrame([column, pl.Series("code", self.codes())]).filter(there).is_unique().all()
        return bool(distinct and "time" in name.lower())

    def _check_time(self, name: str) -> None:
        column = self.frame[name]
        if column.null_count() == len(column):
            self.refuse(f"time column {name!r} is empty; name another, or leave --time out to count rows")
        if question := self.found.questions.get(name):
            self.refuse(f"time column {name!r}: {question}. Or name another with --time, or none with --no-time")
        if column.dtype == pl.String:
            numbers = columns.numbers(column)
            odd = int(np.flatnonzero((numbers.is_null() & column.is_not_null()).to_numpy())[0])
            number = numbers.null_count() < len(numbers) / 2
            self.refuse(
                f"time column {name!r} cannot be read as times: {column[odd]!r} in {self.at(odd)} is "
                f"{'no number' if number else 'neither a number nor a date'}. Expected numbers, or dates such as "
                "2024-05-31 13:45:00"
            )
        if not column.dtype.is_numeric() and not column.dtype.is_temporal():
            self.refuse(
                f"time column {name!r} holds {_kind_of_content(column)}; expected numbers, or dates such as "
                "2024-05-31 13:45:00"
            )
        self._refuse_infinite(name)

    def at(self, position: int) -> str:
        """Where a row of the frame stands in the file."""
        return self.file.at(int(self.row[position]))

    def _refuse_infinite(self, name: str) -> None:
        if not self.frame[name].dtype.is_numeric():
            return
        # Splits are float32, in which a larger number may be infinite even when standardised.
        numbers = self.frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        infinite = np.flatnonzero(~(np.abs(numbers) <= np.finfo(np.float32).max))
        if len(infinite):
            self.refuse(
                f"column {name!r} holds {counted(len(infinite), 'infinite value')}, the first in "
                f"{self.at(infinite[0])}; empty those cells (they then count as missing), or leave the column out"
            )

    def codes(self) -> NDArray[np.int64]:
        """Number of each row's recording, in the order in which they first occur."""
        return groups.codes(self.frame, self.key)

    def times(self) -> NDArray[np.float64]:
        """Time of each row, in seconds for dates; NaN where it is missing."""
        if self.time is None:
            return np.arange(self.frame.height, dtype=np.float64)
        return dates.seconds(self.frame[self.time])

    def _choose_group(self) -> tuple[str, ...]:
        if "group" in self.given:
            asked = f"{columns_named(self.key)}, as asked" if self.key else "none, as asked; the file is one recording"
            self.lines.append(f"group: {asked}")
            return self.key
        for name in self.frame.columns:
            what = words.is_named(name) and _merged(self.frame[name])
            if what and name not in (self.target, self.time) and self.frame[name].drop_nulls().n_unique() > 1:
                self.refuse(
                    f"column {name!r} is named like a group, but {what}. Or name another with --group, "
                    "or none with --no-group"
                )
        choice = groups.choose(self.frame, self.target, self.time)
        if choice.key:
            self.lines.append(f"group: {columns_named(choice.key)} ({choice.reason})")
        else:
            self.lines.append("group: no column found; the file is one recording (--group names one)")
        self.warnings += choice.warnings
        if not choice.key:
            self._suspect_recordings()
        return choice.key

    def _suspect_recordings(self) -> None:
        """Warn of several recordings that are read as one."""
        for name in groups.recurring(self.frame, self.target, self.time):
            self.warnings.append(
                f"{name!r} is named like an identifier, but the file is read as one recording that goes on from one of "
                f"its values to another; if each has a series of its own, {self._way_apart(name)}"
            )
        restarting = groups.restarting(self.frame, self.target, self.time)
        for name, counter in restarting.items():
            self.warnings.append(
                f"{counter!r} begins again with each value of {name!r}, as in a table of several recordings, but the "
                f"file is read as one; if each has a series of its own, {self._way_apart(name)}"
            )
        for name in groups.unnamed_blocks(self.frame, self.target, self.time):
            if name in restarting:
                continue
            self.warnings.append(
                f"the rows of each value of {name!r} stand together, as those of recordings do, but the file is read "
                f"as one recording; if each has a series of its own, {self._way_apart(name)}"
            )

    def _way_apart(self, name: str) -> str:
        """What to do where the values of a column are recordings."""
        values = self.frame[name].drop_nulls().n_unique()
        if values < groups.FEWEST:
            return f"take the rows of one ({values} are too few to split by)"
        return f"--group {shlex.quote(name)} keeps them apart"

    def _long_form(self) -> str:
        """What a table of names and values is, and what to do; empty for others."""
        if (found := groups.long_form(self.frame, self.time)) is None:
            return ""
        variable, value = found
        index = [*self.key, self.time or "COLUMN OF TIMES", *([] if self.target == value else [self.target])]
        index = [name for name in index if name != variable]
        some = listed(map(str, self.frame[variable].drop_nulls().unique(maintain_order=True).head(3)))
        return (
            f"the table looks long: {value!r} holds one quantity after another, {variable!r} says which ({some}), and "
            "models do not see them together. Give each a column of its own first, in pandas: "
            f"table.pivot(index={index}, columns={variable!r}, values={value!r}).reset_index()"
        )

    def _wide_form(self) -> str:
        """What a table with times in its header is, and what to do; empty for others."""
        times = words.in_header(self.frame.columns)
        if not times or self.time is not None:
            return ""
        keys = [name for name in self.frame.columns if name not in times]
        return (
            f"the table looks wide: the names of {len(times)} columns are times ({listed(times, 3)}), so that a row is "
            "a series, and models see each row as one time. Give each time a row of its own first, in pandas: "
            f"table.melt(id_vars={keys[:8]}, var_name='time')"
        )

    def _suspect_names(self) -> None:
        """Warn of groups that may be one under two names, or none."""
        for name in self.key:
            column = self.frame[name]
            if column.dtype != pl.String:
                continue
            if twins := groups.twins(column):
                first, second = twins[0]
                more = f"and {counted(len(twins) - 1, 'more pair')} " if len(twins) > 1 else ""
                self.warnings.append(
                    f"{first!r} and {second!r} in {name!r} {more}count as different, though they may mean the same; if "
                    "they do, write them alike, or what belongs together is in several parts"
                )
            if odd := groups.words_among_numbers(column):
                place = self.at(column.to_list().index(odd[0]))
                self.warnings.append(
                    f"{odd[0]!r} in {place} counts as a value of {name!r}, whose others are numbers; if it means "
                    f"that there is none, say {columns.option(name, odd[0])} (missing: in a study)"
                )

    def _suspect_labels(self) -> None:
        """Warn of numbers that may be codes, and of classes and categories that may be one under two names."""
        for name in self.features:
            if name in self.file.padded and self.frame[name].dtype.is_numeric():
                self.warnings.append(
                    f"{name!r} holds figures such as {self.file.padded[name]!r}, read as numbers; if they are codes, "
                    "leave it out (--features)"
                )
        for name in (*self.features, *([self.target] if self.kind == "classification" else [])):
            column = self.frame[name]
            if column.dtype == pl.String and (twins := groups.twins(column)):
                what = "classes" if name == self.target else "values"
                some = listed((f"{first!r} and {second!r}" for first, second in twins), 3, quote=False)
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
                if what := _merged(self.frame[name][np.argsort(self.row)]):
                    self.refuse(f"group column {name!r} {what}")
                self.refuse(
                    f"group column {name!r} is missing in {counted(len(lacking), 'row')}, the first of them "
                    f"{self.at(lacking[0])}; fill it in, or remove those rows"
                    f"{'' if 'group' in self.given else '. Or name another with --group, or none with --no-group'}"
                )
        codes, times = self.codes(), self.times()
        by_group = np.argsort(codes, kind="stable")
        self._suspect_daylight_saving(codes[by_group], times[by_group], by_group)
        back = (np.diff(times[by_group]) < 0) & (np.diff(codes[by_group]) == 0)
        if back.any():
            first = int(np.min(by_group[1:][back]))
            self.lines.append(
                f"order: rows were not in time order ({self.at(first)} is the first to go back); sorted by "
                f"{self.time!r}"
            )
        self._keep(np.lexsort((times, codes)))
        self._merge_repeated_rows()
        self._suspect_mixed_recordings()

    def _suspect_mixed_recordings(self) -> None:
        """Refuse a table whose times begin again and again, and which sorting would mix."""
        if self.time is None:
            return
        order = np.lexsort((self.row, self.codes()))
        times, codes = self.times()[order], self.codes()[order]
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
            f"the time goes back {counted(int(back.sum()), 'time')} (first in {self.at(first)}), and what follows "
            f"covers the same times again, as where several recordings stand one below another"
        )
        if "group" in self.given:
            swapped = f"; or its dates are not {self.date_order}" if self.date_order else ""
            self.warnings.append(f"{what}: sorted by time, their rows are mixed{swapped}")
            return
        frame = self.frame[order]
        names = groups.ascending(frame, times, self.target, self.time)
        names = [name for name in names if name not in self.key]
        hint = f" ({listed(names, 4)} would do)" if names else ""
        self.refuse(
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
                f"the clock goes back an hour in {self.at(first)}, at {self.frame[self.time][first]}, as at the end "
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
                    f"{counted(identical.sum(), 'row')} of {len(identical)} repeat an earlier row in every column; "
                    "kept, as no time tells them apart. If they are copies, what is learnt in training is "
                    "asked again in test"
                )
            return
        if identical.any():
            self.lines.append(
                f"rows: {counted(identical.sum(), 'row')} dropped that repeat another in every column, the first of "
                f"them {self.at(int(identical.argmax()))}"
            )
            self._keep(~identical)
        same = np.diff(self.times()) == 0
        same = np.concatenate([[False], same & (np.diff(self.codes()) == 0)])
        if not same.any():
            return
        first = int(same.argmax())
        example = f"{self.at(first - 1)} and {self.at(first)}, both at {self.frame[self.time][first]}"
        if same.mean() > 0.01:
            table = self.frame, self.target, self.time
            within = f"within a group of {columns_named(self.key)}" if self.key else "with other content"
            pairs = [sorted(pair, key=self.key.__contains__, reverse=True) for pair in groups.pairs(*table)]
            alone = [] if self.key else groups.candidates(*table)
            in_file = self.frame[np.argsort(self.row)]
            clocks = [name for name in alone if not groups.come_in_blocks(in_file, name)]
            # What comes again at each time may be a place, or number what is at it; identifiers are surer.
            sure = [name for name in alone if words.is_named(name) or name not in clocks]
            alone = sure or [name for name in alone if not words.counts_within(name)]
            names = [*alone, *(",".join(pair) for pair in pairs if set(self.key) <= set(pair))]
            names = [name for name in names if not any(map(words.counts_within, name.split(",")))]
            hint = f" ({' or '.join(map(repr, names[:4]))} would do)" if names else ""
            if sure and all(self.frame[name].n_unique() < groups.FEWEST for name in sure):
                hint = f", but of {sure[0]!r} {self._way_apart(sure[0])}"
            hour = f", as {listed(clocks)} may be a part of it" if clocks else ""
            daylight = f" Or {self.daylight}; write times in UTC, or with their offset." if self.daylight else ""
            long = self._long_form()
            self.refuse(
                f"{counted(same.sum(), 'row')} of {len(same)} repeat the time of another row {within}, the first of "
                f"them {example}. If the table holds several recordings, name the column that tells them apart "
                f"with --group{hint}, or several (--group A,B); if the time is in two columns{hour}, join them into "
                f"one; else merge these rows first, or name a finer time with --time.{daylight}"
                f"{f' Besides, {long}' * bool(long)}"
            )
        self.lines.append(
            f"rows: {counted(same.sum(), 'row')} dropped that repeat the time of another row with other values, of "
            f"which the first is kept ({example})"
        )
        self._keep(~same)

    def _check_target(self) -> None:
        name, column = self.target, self.frame[self.target]
        if not _is_usable(column) or column.dtype.is_temporal():
            self.refuse(f"target {name!r} holds {_kind_of_content(column)}; expected numbers, text or true and false")
        missing = column.null_count()
        if missing == len(column):
            self.refuse(f"target {name!r} has no value in any row; nothing to learn from")
        if column.drop_nulls().n_unique() == 1:
            self.refuse(
                f"target {name!r} is {labelled(column.drop_nulls())[0]!r} in every row where it is known; there is "
                f"nothing to predict{'. If its empty cells mean 0 or no, write that into them' if missing else ''}"
            )
        self._refuse_infinite(name)
        if name in self.file.spoilt and self.given.get("kind") != "classification":
            self.refuse(f"target {name!r} {self.file.spoilt[name]} or correct them")
        if missing:
            self.lines.append(
                f"target: missing in {counted(missing, 'row')} of {len(column)}; they are read as inputs, not scored"
            )

    def _choose_features(self) -> tuple[str, ...]:
        taken = {self.target, self.time, *self.key}
        self._read_presence(taken)
        if "features" in self.given:
            names = [self._column("features", name) for name in self.given["features"]]
            for name in names:
                if name in taken - {self.target}:
                    self.refuse(f"features must not name {name!r}, which is the column of times or groups")
                if reason := self._unfit(name):
                    self.refuse(f"features must not name {name!r}: it {reason}")
            if self.target in names and self.given.get("kind") != "forecast":
                self.refuse(
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
            if not reason and groups.is_fold(self.frame[name]):
                reason = "names folds of a cross-validation (--features asks for it)"
                self.warnings.append(
                    f"{name!r} names folds of a cross-validation, which are not used: results are not to be compared "
                    "with others' on those folds"
                )
            if not reason and _names_parts(self.frame[name]):
                reason = "names the parts of a split"
                self.warnings.append(
                    f"{name!r} names the parts of a split, which is not used: rows that it calls test may be trained "
                    "on here, and results are not to be compared with others' on that split"
                )
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
                f"presence: {listed(present)} {verb} one value or nothing; read as 1 where it is there and 0 where it "
                "is not"
            )

    def _suspect_sentinels(self) -> dict[str, list[float]]:
        """Warn of numbers that may mean that there is no value, and return them by column."""
        found: dict[str, list[tuple[str, columns.Sentinel]]] = {}
        for name in dict.fromkeys((*self.features, self.target)):
            if not self.frame[name].dtype.is_numeric():
                continue
            for sentinel in columns.sentinels(self.frame[name]):
                # A class is often -1, or 0 where others begin at 100.
                if sentinel.value not in (-1, 0) or name != self.target or self.kind != "classification":
                    found.setdefault(f"{sentinel.value:.15g}", []).append((name, sentinel))
        for value, where in found.items():
            some = [
                f"{name!r} in {counted(sentinel.count, 'row')} of {self.frame.height} (else {sentinel.least:.5g} to "
                f"{sentinel.most:.5g})"
                for name, sentinel in where
            ]
            names = [name for name, _ in where]
            # A 0, say, may be a value like any other in a flag.
            elsewhere = any(
                (self.frame[name] == where[0][1].value).any()
                for name in self.frame.columns
                if name not in names and self.frame[name].dtype.is_numeric()
            )
            apart = len(where) == 1 or elsewhere
            way = " ".join(columns.option(name, value) for name in names) if apart else f"--missing={value}"
            self.warnings.append(
                f"{value} stands apart from the other values of {listed(some, 4, quote=False)}; if it means that "
                f"there is no value, say {way} (missing: in a study)"
            )
        by_column: dict[str, list[float]] = {}
        for name, sentinel in itertools.chain.from_iterable(found.values()):
            by_column.setdefault(name, []).append(sentinel.value)
        return by_column

    def _unfit(self, name: str) -> str | None:
        """Why a column cannot be a feature."""
        column = self.frame[name]
        values = column.drop_nulls()
        if not _is_usable(column):
            return f"holds {_kind_of_content(column)}, which are no features"
        if not len(values):
            return "is empty"
        if column.dtype.is_temporal() or name in self.found.questions:
            return "holds dates, which serve as times only"
        if values.n_unique() == 1:
            return "is the same in every row"
        if name in self.file.spoilt:
            return f"{self.file.spoilt[name]} to use it"
        if column.dtype == pl.String and values.n_unique() > MOST_CATEGORIES:
            figures = column.str.contains(r"^[<>~≈±+-]?\s?[.,]?\d").fill_null(False)
            if words.is_code(name):
                return f"holds codes by its name, {values.n_unique()} distinct ones (rename it if they are amounts)"
            if 2 * figures.sum() > len(values):
                # One that spoils the others, if there is one.
                odd = (figures & columns.numbers(column).is_null()).arg_max() or 0
                return (
                    f"holds cells such as {column[odd]!r} in {self.at(odd)}, which are read as text, "
                    f"{values.n_unique()} distinct values"
                )
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
        numbers = column.dtype.is_numeric(), target.dtype.is_numeric()
        if (all(numbers) or column.dtype == target.dtype) and (column == target).all():
            return "equals the target"
        # One value for each class: the target under other names. Numbers that are all distinct pair off by chance.
        if not all(numbers) and pairs.height == column.n_unique() == target.n_unique() <= MOST_CLASSES:
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
            way = "; --task regression takes them as amounts" * (distinct > 2)
            kind, reason = "classification", f"target {self.target!r} holds {distinct} distinct whole numbers{way}"
        else:
            kind, reason = "regression", f"target {self.target!r} holds numbers, {distinct} of them distinct"
        if kind != "classification" and not numeric:
            self.refuse(
                f"a {kind} needs a target of numbers; {self.target!r} holds {_kind_of_content(column)} such as "
                f"{labelled(column)[0]!r}. Try --task classification"
            )
        if kind == "classification" and distinct > MOST_CLASSES:
            way = "Try --task regression" if numeric else "Merge classes, or name another target"
            self.refuse(
                f"target {self.target!r} holds {distinct} distinct values, too many to be classes (at most "
                f"{MOST_CLASSES}). {way}"
            )
        self.lines.append(f"kind: {kind} ({reason})")
        if kind == "classification":
            self.lines.append(f"classes: {self._rows_of_classes()}")
        return kind

    def _refuse_lost_features(self) -> None:
        """Refuse to forecast only because columns that were meant to predict from cannot be read."""
        lost = {name: reason for name, reason in self.left_out.items() if reason.startswith("holds ")}
        lost = {name: reason for name, reason in lost.items() if "holds dates" not in reason}
        if lost:
            reasons = "; ".join(f"{name!r} {reason}" for name, reason in lost.items())
            self.refuse(
                f"no column is left to predict {self.target!r} from: {reasons}. Correct that, or ask for a forecast "
                "of the target from its own past (--task forecast)"
            )

    def _check_features(self) -> None:
        if not self.features:
            reasons = "; ".join(f"{name!r} {reason}" for name, reason in self.left_out.items())
            self.refuse(
                f"no column is left to predict {self.target!r} from ({reasons or 'there are no others'}). Give it "
                "feature columns, or ask for a forecast of the target from its own past (--task forecast)"
            )

    def _choose_horizon(self) -> int:
        if "horizon" in self.given and self.kind != "forecast":
            self.refuse(f"horizon is for a forecast; this is a {self.kind}. Leave it out, or set kind: forecast")
        return self.given.get("horizon", 1)

    def _choose_per(self) -> Any:
        codes = self.codes()
        recordings = int(codes.max()) + 1
        if self.group is not None and len(codes) == recordings:
            self.refuse(
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
            self.refuse(f"per: sequence needs groups within which the target is constant, but {why}; set per: step")
        if per is None:
            per = "sequence" if constant else "step"
            if constant:
                alone = groups.nested(self.frame, self.target, self.key[:1])
                within = " and ".join(map(repr, self.key[:1] if alone else self.key))
                self.lines.append(f"target: one for each group, as {self.target!r} is constant within each of {within}")
        return per

    def _class_names(self) -> tuple[str, ...]:
        return tuple(labelled(self.frame[self.target].drop_nulls().unique().sort()))

    def _rows_of_classes(self) -> str:
        """The classes and how many rows each has, in words."""
        of = self.frame[self.target].drop_nulls().value_counts().sort(self.target)
        rows = [counted(count, "row") for count in of["count"]]
        return listed(map("{!r} in {}".format, labelled(of[self.target]), rows), 20, quote=False)

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
                features.append(Feature(name, "1" if column.dtype == pl.Boolean else self.unit(name)))
                values.append(column.cast(pl.Float64).fill_null(0.0).to_numpy())
                observed.append(there)
            sources += [name] * (len(features) - len(sources))
        values = np.stack(values, axis=1).astype(np.float64)
        return tuple(features), tuple(sources), values, np.stack(observed, axis=1)

    def _describe_features(self) -> None:
        kinds = {name: self.frame[name].dtype for name in self.features}
        text = [name for name, dtype in kinds.items() if dtype == pl.String]
        flags = [name for name, dtype in kinds.items() if dtype == pl.Boolean]
        numbers = [name for name in self.features if name not in (*text, *flags)]
        parts = [f"{counted(len(numbers), 'column')} of numbers ({listed(numbers)})"] if numbers else []
        if flags:
            parts.append(f"{listed(flags)} as 0 and 1")
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


def labelled(column: pl.Series) -> list[str]:
    """Values as text, whole numbers without a decimal point."""
    if column.dtype.is_float() and (column.drop_nulls() % 1 == 0).all() and column.abs().max() < 2**53:  # pyright: ignore
        column = column.cast(pl.Int64)
    return [str(value) for value in column.to_list()]


def _is_usable(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String, pl.Datetime)


def _merged(column: pl.Series) -> str:
    """What a column, in the order of the file, is that is filled only where it changes, and what to do; else empty."""
    if not groups.merged(column):
        return ""
    return (
        f"is empty in {counted(column.null_count(), 'row')} of {len(column)} and written only where it changes, as "
        f"merged cells are. Fill it down first, in pandas: table[{column.name!r}] = table[{column.name!r}].ffill()"
    )


def _names_parts(column: pl.Series) -> bool:
    """Whether a column says which rows somebody trained and tested on."""
    if column.dtype != pl.String:
        return False
    values = {value.strip().casefold() for value in column.drop_nulls().unique()}
    return words.are_parts(values)


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


def correlation(values: NDArray[Any], targets: NDArray[Any]) -> float:
    """Absolute value of Pearson's r; 0 where it is undefined."""
    if len(values) < 3 or np.ptp(values) == 0 or np.ptp(targets) == 0:
        return 0.0
    return abs(float(np.corrcoef(values, targets)[0, 1]))
