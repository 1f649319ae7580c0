"""Features of a user's table that were computed from the target, or that know what comes later.

Such a feature is an aggregate of the target over a day, a subject or a category, a mean or a change over rows around
its own, a corrected or clipped copy, or knows when a recording ends. It need not go along with the target any better
than a good feature does, which is what `liquidbench.tasks.leaks` looks for; but it equals what it was computed as, up
to the last digit and more often than chance explains.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks.draft import ROUNDED, correlation, labelled, last_digit
from liquidbench.tasks.features import MOST_CATEGORIES
from liquidbench.tasks.leaks import (
    AHEAD,
    BOTH_WAYS,
    MOST_ROWS,
    PERIODS,
    TOGETHER,
    Rows,
    all_rows,
    is_clear,
    tells_itself,
)
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.tasks.smoothed import Kernels
from liquidbench.wording import counted, listed

ALMOST_ALL = 0.95
"""Share of the rows in which a feature is what it was computed as; some are often corrected, or computed otherwise."""
FEWEST_ROWS = 20
"""Rows in which a feature equals something by no accident."""
FEWEST_VALUES = 10
"""Distinct values among them."""

FEWEST_GROUPS, FEWEST_AGGREGATES = 5, 3
"""Groups of rows, and distinct aggregates among theirs."""
PARTIAL = 0.1
"""Share of the groups, or two, of which a table may hold a part, so that their aggregates are of other rows too."""
ACCIDENT = 1e-6
"""Probability with which as many aggregates are equal by accident."""
REACHED, OFTEN = 0.1, 0.25
"""Share of a group's rows, more than two, from which on its target is often at a level; and of the groups in which it
is for the level to be a limit or a set point."""

LENGTHS = (*range(2, 32), 36, 42, 48, 60, 72, 84, 90, 96, 100, 120, 144, 168, 180, 200, 250, 300, 336, 360, 365)
"""Rows of the windows that are looked at."""
SAMPLED = 400
"""Rows around which they are looked at."""
NEW = 3
"""Times as far as a feature from the mean of a window is what the target's past tells of it, for it to count."""

MOSTLY = 0.5
"""Share of the rows from which on a feature that equals the target is a copy."""
USUAL = 0.1
"""Share of the rows from which on a target is a usual value, such as 0, that others have too."""
EXACTLY = 3
"""Times as many rows in which a copy equals the target as those in which it is off by up to two last digits."""
ONE_OF = 0.1
"""Share of the rows from which on one of several features is the target."""
FLAGS = frozenset(("0", "1", "true", "false", "yes", "no", "y", "n", "on", "off"))
"""Labels that any two flags have."""
AGREES, AGREES_IN_NUMBERS = 0.8, 0.95
"""Share that a copy of labels explains of what the largest class leaves; numbers may be those of another scale."""

FEWEST_RECORDINGS, FEWEST_LENGTHS = 10, 5
"""Recordings, and distinct lengths among theirs, of which a feature may know the ends."""
KNOWS_LENGTH = 0.99
"""Correlation with the lengths of recordings from which on a feature knows them; hours are often rounded."""
PROGRESS = 0.999
"""Correlation from which on a feature is the share of a recording that is over."""


class _Amount(NamedTuple):
    """What aggregates are of: the target, or whether it is of one class, in words, and where it is known."""

    what: str
    numbers: NDArray[np.float64]
    known: NDArray[np.bool_]
    digit: float

    def head(self, rows: int) -> "_Amount":
        """That of the first rows."""
        return self._replace(numbers=self.numbers[:rows], known=self.known[:rows])


def suspects(meaning: Meaning, sequences: Sequences, found: set[str]) -> Iterator[str]:
    """A sentence for each feature that was computed from the target, or knows what comes later.

    Args:
        meaning: of the table.
        sequences: of the table.
        found: columns that a sentence has named, which need no other; those named here are put there.
    """
    # A feature was computed from its own row's target, and others', which a forecast moves.
    own = all_rows(meaning, sequences.whole)
    copies, ends = _Copies(meaning, sequences), _Ends(meaning, own)
    amounts = _amounts(meaning, own)
    searches = [copies.says, *(_Aggregates(meaning, own, amount).says for amount in amounts)]
    if meaning.per == "step":
        first, heads = own.head(MOST_ROWS), [amount.head(MOST_ROWS) for amount in amounts]
        searches += [_Windows(meaning, first, amount).says for amount in heads]
        until = 0 if meaning.forecasts else -1
        searches += [Kernels(first, amount.what, amount.numbers, amount.known, until).says for amount in heads]
    searches.append(ends.says)
    way = "if it is not known when the prediction is made, leave it out (features: in a study)"
    yield from copies.of_several(found)
    for column, source in enumerate(meaning.sources):
        if source in found or source == meaning.target or source in meaning.presence:
            continue
        # A column of text is several features.
        how = copies.of_labels(source) if column == meaning.sources.index(source) else None
        if how is None and meaning.frame[source].dtype.is_numeric():
            how = next(filter(None, (search(column) for search in searches)), None)
        if how is not None:
            found.add(source)
            yield f"leak suspect: {source!r} {how}; {way}"


def _amounts(meaning: Meaning, rows: Rows) -> list[_Amount]:
    """The target as numbers: itself, or for classes with names whether it is of each."""
    target = meaning.target
    if meaning.classes is None:
        numbers = rows.targets.astype(np.float64)
        return [_Amount(repr(target), numbers, rows.known, last_digit(numbers[rows.known]))]
    if meaning.frame[target].dtype.is_numeric():
        numbers = np.array([float(label) for label in meaning.classes])[rows.targets]
        return [_Amount(repr(target), numbers, rows.known, last_digit(numbers[rows.known]))]
    if len(meaning.classes) > MOST_CATEGORIES:
        return []
    return [
        _Amount(f"'{target} = {label}'", (rows.targets == number).astype(np.float64), rows.known, 1.0)
        for number, label in enumerate(meaning.classes)
    ]


def _rounding(numbers: NDArray[np.float64]) -> float:
    """How far rounded numbers may be from those that were rounded."""
    largest = float(np.abs(numbers).max()) if len(numbers) else 0.0
    return 0.5 * last_digit(numbers) + 1e-9 * largest


def _rounding_before(amount: _Amount) -> float:
    """How far printed targets may be from those that aggregates were computed from; whole ones are counts."""
    return 0.0 if amount.digit == 1 else 0.5 * amount.digit


class _Aggregates:
    """Means and other aggregates of the target over rows that have one value of a feature."""

    def __init__(self, meaning: Meaning, rows: Rows, amount: _Amount):
        self.rows, self.amount = rows, amount
        self.sequences = meaning.per == "sequence"
        self.targets = np.sort(amount.numbers[amount.known])

    def says(self, column: int) -> str | None:
        """Of what a feature is an aggregate, in words."""
        there = self.rows.observed[:, column] & self.amount.known
        values, targets, of = self.rows.values[there, column], self.amount.numbers[there], self.rows.of[there]
        if len(values) < 2 * FEWEST_GROUPS:
            return None
        new = (np.diff(of, prepend=-1) != 0) | (np.diff(values, prepend=np.nan) != 0)
        groupings = [(values, "all rows in which it has the same value", False)]
        if self.sequences:
            # Also each recording once, whatever its length.
            first = np.diff(of, prepend=-1) != 0
            if new.sum() == first.sum():
                groups = np.where(first, values, np.nan)
                groupings.append((groups, "all recordings in which it has the same value", False))
        else:
            groupings.insert(0, (np.cumsum(new) * 1.0, "each run of rows in which it stays the same", True))
        for groups, where, stretches in groupings:
            kept = ~np.isnan(groups)
            if name := self._aggregate(groups[kept], values[kept], targets[kept], stretches):
                return f"is the {name} of {self.amount.what} in {where}, those to come among them"
        return None

    def _aggregate(
        self,
        groups: NDArray[np.float64],
        values: NDArray[np.float64],
        targets: NDArray[np.float64],
        stretches: bool,
    ) -> str | None:
        """The aggregate of the targets of each group, which may be a stretch, that its value is; None if it is none.

        Of all rows with one value, the greatest target is also that value where it is only never exceeded, as those
        who buy are no more than those who come.
        """
        if 2 * len(np.unique(groups)) > len(groups):
            return None
        y = pl.col("y")
        each = (
            pl.DataFrame({"group": groups, "value": values, "y": targets})
            .group_by("group", maintain_order=True)
            .agg(
                pl.col("value").first(),
                rows=pl.len().cast(pl.Float64),
                spread=y.std(),
                mean=y.mean(),
                sum=y.sum(),
                median=y.median(),
                greatest=y.max(),
                least=y.min(),
                first=y.first(),
                last=y.last(),
                before_last=y.tail(2).first(),
                at=(y == pl.col("value")).sum(),
            )
            .filter(pl.col("rows") > 1)
        )
        covered = each["rows"].sum()
        # Where the target stays the same, all aggregates are, and a copy too.
        each = each.filter(pl.col("spread") > 0)
        if 2 * covered < len(groups) or each.height < FEWEST_GROUPS or each["value"].n_unique() < FEWEST_AGGREGATES:
            return None
        table = {name: each[name].to_numpy() for name in each.columns}
        value, rows, spread = table["value"], table["rows"], table["spread"]
        rounding, before, root = _rounding(values), _rounding_before(self.amount), np.sqrt(rows)
        near, near_mean = np.full(len(rows), rounding + before), rounding + np.minimum(2 * before / root, before)
        deviation = "standard deviation"
        for name, numbers, tolerance, error in (
            ("mean", table["mean"], near_mean, spread / root),
            ("sum", table["sum"], rounding + 2 * before * root, spread * root),
            (deviation, spread, near_mean, spread / np.sqrt(2 * rows)),
            (deviation, spread * np.sqrt(1 - 1 / rows), near_mean, spread / np.sqrt(2 * rows)),
            ("median", table["median"], near, 1.25 * spread / root),
            *((name, table[name], near, None) for name in ("greatest", "least", "last") if stretches),
        ):
            equal = np.abs(numbers - value) <= tolerance
            if equal.sum() < FEWEST_GROUPS or (~equal).sum() > max(2, PARTIAL * len(equal)):
                continue
            chance = np.zeros(len(value)) if error is None else np.minimum(2 * tolerance / error, 1)
            if name in ("median", "greatest", "least", "last"):
                if self._is_level(name, {key: column[equal] for key, column in table.items()}, near[equal]):
                    continue
                alike = np.searchsorted(self.targets, value + near, "right")
                alike -= np.searchsorted(self.targets, value - near, "left")
                chance = np.maximum(chance, alike / len(self.targets))
            if np.log(np.maximum(chance[equal], 1e-12)).sum() < math.log(ACCIDENT):
                return name
        return None

    @staticmethod
    def _is_level(name: str, table: dict[str, NDArray[Any]], near: NDArray[np.float64]) -> bool:
        """Whether an aggregate that is one of the targets may be a level or a limit, known before they are."""
        if np.mean(table["at"] > np.maximum(REACHED * table["rows"], 2)) > OFTEN:
            return True
        # A target that goes to a set point is there at last, and hardly moves.
        still = np.abs(table["last"] - table["before_last"]) <= np.maximum(REACHED * table["spread"], near)
        begins = np.abs(table["first"] - table["value"]) <= near
        return name != "median" and bool(np.mean(still if name == "last" else begins) > MOSTLY)


class _Windows:
    """Means, sums and changes of the target over rows around a row, some of them later than what may be known."""

    def __init__(self, meaning: Meaning, rows: Rows, amount: _Amount):
        self.meaning, self.rows, self.amount = meaning, rows, amount
        # The last row whose target may be known, from the row itself on.
        self.until = 0 if meaning.forecasts else -1
        known, of = amount.known, rows.of
        level = float(amount.numbers[known].mean()) if known.any() else 0.0
        self.numbers = np.where(known, amount.numbers, level)
        # Sums of what is near 0 lose no digits.
        self.sums, self.level = np.cumsum(np.append(0.0, self.numbers - level)), level
        self.counts = np.cumsum(np.append(0, known))
        begins = np.flatnonzero(np.diff(of, prepend=-1))
        self.starts, self.ends = begins[of], np.append(begins[1:], len(of))[of] - 1
        places = np.flatnonzero(known)
        self.places = places[np.linspace(0, len(places) - 1, min(SAMPLED, len(places))).astype(np.int64)]
        spans = [(-back, -back) for back in range(1, PERIODS + 1)]
        spans += [(0, 0)] * meaning.forecasts
        for length in LENGTHS:
            half = length // 2
            spans += [(1 - length, 0), (-length, -1), (0, length - 1), (1, length), (-half, length - 1 - half)]
            spans += [(1 - half, half)] * (length % 2 == 0)
        self.spans = np.array(spans)
        self.means, self.totals, self.complete = self._over(self.spans)
        self.changes, self.differences, self.errors, self.both = self._changes()
        self.last, self.has_last = self._past()

    def _over(self, spans: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
        """Means and sums of the targets in each window around each place, and where most of them are known."""
        first, last = self.places + spans[:, :1], self.places + spans[:, 1:]
        inside = (first >= self.starts[self.places]) & (last <= self.ends[self.places])
        first, last = np.clip(first, 0, len(self.numbers) - 1), np.clip(last, 0, len(self.numbers) - 1)
        rows = last - first + 1
        counts = self.counts[last + 1] - self.counts[first]
        # Unknown ones are at the level, and add nothing to it.
        sums = self.sums[last + 1] - self.sums[first] + counts * self.level
        return sums / np.maximum(counts, 1), sums, inside & (2 * counts >= rows)

    def _changes(self) -> tuple[list[tuple[int, str]], NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
        """Changes to later rows and, where the target is not known, from earlier ones, and their errors by rounding."""
        names, table, errors, both = [], [], [], []
        now, error = self.numbers[self.places], 2 * _rounding_before(self.amount)
        # Of a meter, power is the change, and known.
        steps = np.diff(self.amount.numbers[self.amount.known])
        backwards = self.until < 0 and len(steps) and min(np.mean(steps > 0), np.mean(steps < 0)) >= BOTH_WAYS
        for rows in (*range(1, AHEAD + 1), *(range(-1, -AHEAD - 1, -1) if backwards else ())):
            there = self.places + rows
            inside = (there >= self.starts[self.places]) & (there <= self.ends[self.places])
            there = np.clip(there, 0, len(self.numbers) - 1)
            inside &= self.amount.known[there]
            start, end = (now, self.numbers[there]) if rows > 0 else (self.numbers[there], now)
            with np.errstate(all="ignore"):
                relative = end / start - 1
                off = error * (1 + np.abs(relative)) / np.abs(start)
                forms = (
                    ("change", end - start, np.full(len(start), error)),
                    ("relative change", relative, off),
                    ("change in percent", 100 * relative, 100 * off),
                    ("change of the logarithm", np.log(end / start), off),
                )
            for name, numbers, by_rounding in forms:
                names.append((rows, name))
                table.append(numbers)
                errors.append(by_rounding)
                both.append(inside & np.isfinite(numbers) & np.isfinite(by_rounding))
        return names, np.nan_to_num(np.array(table)), np.nan_to_num(np.array(errors)), np.array(both)

    def _past(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The last two targets that may be known at each place, and where there are two."""
        rows = np.arange(len(self.numbers))
        latest = np.maximum.accumulate(np.where(self.amount.known, rows, -1))
        latest = np.append(latest, -1)
        one = latest[self.places + self.until]
        two = latest[np.maximum(one, 0) - 1]
        return np.stack([self.numbers[one], self.numbers[two]], axis=1), (two >= self.starts[self.places]) & (one >= 0)

    def says(self, column: int) -> str | None:
        """Of which rows a feature is a mean, a sum or a change, in words, where some of them are not known."""
        values, there = self.rows.values[self.places, column], self.rows.observed[self.places, column]
        if there.sum() < FEWEST_ROWS:
            return None
        rounding, before = _rounding(values[there]), _rounding_before(self.amount)
        lengths = (self.spans[:, 1:] - self.spans[:, :1] + 1).astype(np.float64)
        past = self.spans[:, 1] <= self.until
        for name, table, near in (
            ("mean", self.means, rounding + 2 * before / np.sqrt(lengths)),
            ("sum", self.totals, rounding + 2 * before * np.sqrt(lengths)),
        ):
            best = self._equal(values, table, self.complete & there, near, past)
            if best is not None:
                return f"is the {name} of {self.amount.what} {_around(*map(int, self.spans[best]))}"
        for sign in (1, -1):
            best = self._equal(sign * values, self.differences, self.both & there, rounding + self.errors)
            if best is not None:
                rows, name = self.changes[best]
                return f"is the {name} of {self.amount.what} {_to(rows)}"
        return self._smoothed(column) or self._running(column) or self._interpolated(column)

    def _equal(
        self,
        values: NDArray[np.float64],
        table: NDArray[np.float64],
        complete: NDArray[np.bool_],
        near: NDArray[np.float64],
        past: NDArray[np.bool_] | bool = False,
    ) -> int | None:
        """Which row of a table a feature equals in almost all places, if none of the past tells as much."""
        near = np.broadcast_to(near, table.shape)
        equal = (np.abs(table - values) <= near) & complete
        counts = complete.sum(axis=1)
        fits = (counts >= FEWEST_ROWS) & (equal.sum(axis=1) >= ALMOST_ALL * counts)
        if (fits & past).any():
            return None
        for place in np.flatnonzero(fits):
            rows = complete[place] & self.has_last
            if rows.sum() < FEWEST_ROWS:
                continue
            numbers, last = table[place, rows], np.column_stack([self.last[rows], np.ones(rows.sum())])
            untold = np.abs(numbers - last @ np.linalg.lstsq(last, numbers)[0]) > NEW * near[place, rows]
            distinct, which, times = np.unique(numbers, return_inverse=True, return_counts=True)
            # Where hardly anything happens, any two are mostly 0.
            untold &= which != times.argmax()
            if untold.sum() >= FEWEST_ROWS and equal[place, rows][untold].mean() >= ALMOST_ALL:
                return int(place)
        return None

    def _smoothed(self, column: int) -> str | None:
        """Whether the target is a sum of a feature and its value in the row before, as of weighted means of it."""
        if self.meaning.kind != "regression":
            return None
        rows, known = self.rows, self.amount.known
        there = rows.observed[:, column]
        both = known[1:] & there[1:] & there[:-1] & (np.diff(rows.of) == 0)
        targets, values = self.numbers[1:][both], rows.values[:, column]
        pair = np.stack([values[1:][both], values[:-1][both]], axis=1)
        if len(pair) < 2 * FEWEST_ROWS or (np.ptp(pair, axis=0) == 0).any():
            return None
        pair = pair - pair.mean(axis=0)
        weights = np.linalg.lstsq(pair, targets - targets.mean())[0]
        strength = correlation(pair @ weights, targets)
        if strength > TOGETHER and is_clear(strength, max(correlation(pair[:, 0], targets), self.itself)):
            return f"tells {self.amount.what} almost exactly together with its value in the row before"
        return None

    @cached_property
    def itself(self) -> float:
        """How well the target's own past tells it."""
        return tells_itself(self.meaning, self.rows)

    def _running(self, column: int) -> str | None:
        """Whether a feature goes up, or down, only to targets that are not known by then, as a greatest one does."""
        rows, known = self.rows, self.amount.known
        there = rows.observed[:, column] & known
        both = there[1:] & there[:-1] & (np.diff(rows.of) == 0)
        for name, sign in (("greatest", 1), ("least", -1)):
            values, targets = sign * rows.values[:, column], sign * self.numbers
            if np.mean(values[there] >= targets[there]) < ALMOST_ALL:
                continue
            rises = 1 + np.flatnonzero(both & (np.diff(values) > 0))
            for shift in range(-1, AHEAD + 1):
                at = rises[(rises + shift >= self.starts[rises]) & (rises + shift <= self.ends[rises])] + shift
                at = at[known[at]]
                equal = targets[at] == values[at - shift]
                if (
                    equal.sum() < FEWEST_ROWS
                    or equal.mean() < ALMOST_ALL
                    or len(np.unique(targets[at])) < FEWEST_VALUES
                ):
                    continue
                upto = "its own row" if shift == 0 else _rows(shift) + " later"
                return None if shift <= self.until else f"is the {name} of {self.amount.what} in rows up to {upto}"
        return None

    def _interpolated(self, column: int) -> str | None:
        """Whether a feature fills the gaps of a target that is forecast, from what is known before and after them."""
        if not self.meaning.forecasts:
            return None
        rows = np.arange(len(self.numbers))
        known = np.flatnonzero(self.amount.known)
        after = np.clip(np.searchsorted(known, rows), 0, len(known) - 1)
        last, following = known[np.maximum(after - 1, 0)], known[after]
        gaps = self.rows.observed[:, column] & ~self.amount.known & (last < rows) & (rows < following)
        gaps &= (self.rows.of[last] == self.rows.of) & (self.rows.of[following] == self.rows.of)
        rows, last, following = rows[gaps], last[gaps], following[gaps]
        values, times = self.rows.values[rows, column], self.rows.times
        near = _rounding(values) + _rounding_before(self.amount)
        start, step = self.numbers[last], self.numbers[following] - self.numbers[last]
        for clock in (np.arange(len(times)), times):
            with np.errstate(all="ignore"):
                way = step * (clock[rows] - clock[last]) / (clock[following] - clock[last])
            new = np.abs(way) > NEW * near
            equal = np.abs(start + way - values)[new] <= near
            if len(equal) >= FEWEST_ROWS and equal.mean() >= ALMOST_ALL:
                return f"fills the gaps of {self.amount.what} by what follows them"
        return None


def _rows(count: int) -> str:
    return counted(count, "row")


def _around(first: int, last: int) -> str:
    """A window around a row, in words."""
    if first > 0:
        return f"over the {_rows(last)} after it"
    if first < 0 < last:
        return f"over {_rows(last - first + 1)}, from {-first} before to {last} after its own"
    return f"over its own row and {_rows(max(-first, last))} {'before' if first else 'after'} it"


def _to(rows: int) -> str:
    """The row to which, or from which, something changes, in words."""
    if rows > 0:
        return "to the next row" if rows == 1 else f"to {rows} rows later"
    return "from the row before" if rows == -1 else f"from {-rows} rows before"


class _Copies:
    """Copies of the target in most rows: corrected, filled or clipped ones, and several that take turns."""

    def __init__(self, meaning: Meaning, sequences: Sequences):
        self.meaning = meaning
        enough = 1 + np.searchsorted(np.cumsum([len(recording) for recording in sequences.recordings]), MOST_ROWS)
        recordings = sequences.recordings[:enough]
        rows = all_rows(meaning, recordings)
        positions = np.concatenate([recording.row_numbers for recording in recordings])
        if meaning.per == "sequence":
            first = np.diff(rows.of, prepend=-1) != 0
            rows, positions = Rows(*(array[first] for array in vars(rows).values())), positions[first]
        self.rows, self.positions = rows.head(MOST_ROWS), positions[:MOST_ROWS]
        rows = self.rows
        # What is known of the target when it is asked for: copies of that are no leaks.
        names = [feature.name for feature in meaning.feature_columns]
        if meaning.forecasts:
            place = names.index(meaning.target)
            self.last = np.where(rows.observed[:, place], rows.values[:, place], np.nan)
        else:
            before = rows.known[:-1] & (np.diff(rows.of) == 0)
            self.last = np.append(np.nan, np.where(before, rows.targets[:-1], np.nan))
        distinct, which, times = np.unique(rows.targets[rows.known], return_inverse=True, return_counts=True)
        self.telling = rows.known & (self.last != rows.targets)
        self.telling[rows.known] &= times[which] <= USUAL * rows.known.sum()
        self.digit = last_digit(rows.targets[rows.known])
        later = {None: " when it is next known", 0: "", 1: " of the next row"}
        self.what = repr(meaning.target) + later.get(meaning.horizon, f" of {meaning.horizon} rows later")

    def says(self, column: int) -> str | None:
        """In which way a feature is a copy of the target, in words."""
        if self.meaning.classes is not None:
            return None
        equal, told = self._told(column)
        if clipped := self._clipped(column, equal):
            return clipped
        if told >= MOSTLY:
            return f"equals {self.what} in {told:.0%} of the rows with no usual value of it, as a corrected copy does"
        return None

    def _clipped(self, column: int, equal: NDArray[np.bool_]) -> str | None:
        """Whether a feature is the target, or the target the feature, except beyond an end or both."""
        both = self.rows.known & self.rows.observed[:, column]
        values, targets = self.rows.values[both, column], self.rows.targets[both]
        if len(values) < FEWEST_ROWS:
            return None
        for clipped, whole, how in (
            (values, targets, f"is {self.what} clipped"),
            (targets, values, f"is {self.what} before that is clipped"),
        ):
            least, most = clipped.min(), clipped.max()
            between = (least < clipped) & (clipped < most) & self.telling[both]
            if len(np.unique(clipped[between])) < FEWEST_VALUES or between.sum() < FEWEST_ROWS:
                continue
            if (
                np.mean(clipped == np.clip(whole, least, most)) >= ALMOST_ALL
                and equal[both][between].mean() >= ALMOST_ALL
            ):
                ends = [f"{end:.6g}" for end, beyond in ((least, whole < least), (most, whole > most)) if beyond.any()]
                return f"{how} at {' and '.join(ends)}"
        return None

    def _told(self, column: int) -> tuple[NDArray[np.bool_], float]:
        """Where a feature equals the target, and the share of the telling rows in which it does so exactly."""
        rows = self.telling & self.rows.observed[:, column]
        away = np.abs(self.rows.values[:, column] - self.rows.targets)
        equal = away <= 1e-9 * np.abs(self.rows.targets)
        told = equal & rows
        digit = max(self.digit, last_digit(self.rows.values[rows, column]))
        near = rows & ~equal & (away < 2.5 * digit)
        # Two good instruments differ by the last digit, and by no more.
        if told.sum() < FEWEST_ROWS or told.sum() < EXACTLY * near.sum() or 2 * near.sum() > (rows & ~equal).sum():
            return equal, 0.0
        if len(np.unique(self.rows.targets[told])) < FEWEST_VALUES:
            return equal, 0.0
        return equal, float(told.sum() / rows.sum())

    def of_several(self, found: set[str]) -> Iterator[str]:
        """Columns of which one is the target in each row: the greatest, the least, or by a condition."""
        if self.meaning.classes is not None:
            return
        several, covered = [], np.zeros(len(self.telling), dtype=bool)
        for column, source in enumerate(self.meaning.sources):
            if source in found or source == self.meaning.target or not self.meaning.frame[source].dtype.is_numeric():
                continue
            equal, told = self._told(column)
            if told >= ONE_OF:
                several.append(source)
                covered |= equal & self.rows.observed[:, column]
        if len(several) > 1 and covered[self.telling].mean() >= ROUNDED:
            found.update(several)
            yield (
                f"leak suspect: in each row, {self.what} is one of {listed(several)}, as the greatest or least of "
                "them, or by a condition; if they are not known when the prediction is made, leave them out (features: "
                "in a study)"
            )

    def of_labels(self, source: str) -> str | None:
        """How a column has the labels of the classes, as a copy that was corrected has."""
        classes, column = self.meaning.classes, self.meaning.frame[source]
        if classes is None or column.n_unique() > len(classes) + 1 or FLAGS.issuperset(map(str.lower, classes)):
            return None
        number = {name: index for index, name in enumerate(classes)}
        labels = np.array([number.get(label, -1) for label in labelled(column)])[self.positions]
        rows = self.rows.known & column.is_not_null().to_numpy()[self.positions]
        targets = self.rows.targets
        agrees = labels == targets
        if (labels[rows] < 0).any() or np.count_nonzero(np.bincount(targets[rows & agrees]) >= FEWEST_GROUPS) < 2:
            return None
        largest = np.bincount(targets[rows]).max() / rows.sum()
        explained = (agrees[rows].mean() - largest) / (1 - largest) if largest < 1 else 0.0
        if explained < (AGREES_IN_NUMBERS if column.dtype.is_numeric() else AGREES):
            return None
        # Numbers of two good instruments differ by one.
        away = np.abs(labels - targets)[rows & ~agrees]
        if column.dtype.is_numeric() and len(away) and np.mean(away == 1) > AGREES:
            return None
        # Of long states, an earlier one is mostly the same.
        turns = rows & ~np.isnan(self.last) & (self.last != targets)
        if turns.any() and agrees[turns].mean() < MOSTLY:
            return None
        return f"has the labels of {self.meaning.target!r}, and the same one in {agrees[rows].mean():.1%} of the rows"


class _Ends:
    """When recordings end, in rows and in time, and features that know it before."""

    def __init__(self, meaning: Meaning, rows: Rows):
        self.meaning, self.rows = meaning, rows
        self.first = np.flatnonzero(np.diff(rows.of, prepend=-1))
        self.last = np.append(self.first[1:], len(rows.of)) - 1
        numbers = np.arange(len(rows.of), dtype=np.float64)
        self.clocks = [clock - clock[self.first][rows.of] for clock in (numbers, rows.times)]

    def says(self, column: int) -> str | None:
        """What a feature knows of the end of each recording, in words."""
        there = self.rows.observed[:, column]
        whole = np.logical_and.reduceat(there, self.first)
        kept = whole & (self.last > self.first)
        if not self.meaning.key or kept.sum() < FEWEST_RECORDINGS or kept.mean() < MOSTLY:
            return None
        rows = kept[self.rows.of]
        values = self.rows.values[:, column]
        first, last = values[self.first][kept], values[self.last][kept]
        least, most = np.minimum.reduceat(values, self.first)[kept], np.maximum.reduceat(values, self.first)[kept]
        for over in self.clocks:
            lengths = over[self.last]
            if len(np.unique(lengths[kept])) < FEWEST_LENGTHS:
                continue
            if np.mean(least == most) >= ALMOST_ALL:
                if len(np.unique(first)) >= FEWEST_LENGTHS and correlation(first, lengths[kept]) > KNOWS_LENGTH:
                    return "is the length of each recording, which is known at its end"
                continue
            length = lengths[self.rows.of]
            goes = correlation((values - values[self.first][self.rows.of])[rows], over[rows])
            # What begins with the length and has the same left at the end counts down to it.
            if (
                goes > KNOWS_LENGTH
                and correlation(first, lengths[kept]) > KNOWS_LENGTH
                and np.std(last) < ONE_OF * np.std(first)
            ):
                return "counts down to the end of each recording"
            share = correlation(values[rows], (over / np.maximum(length, 1e-300))[rows])
            if share > PROGRESS and is_clear(share, correlation(values[rows], over[rows])):
                return "says how much of each recording is over"
        return None
