"""Features of a user's table that are weighted sums of the target's neighbours, some of them not known by then.

A kernel, as of a Gaussian, a triangle, LOESS, Savitzky and Golay or a centred difference, is found by least squares on
some rows, and has to hold in others up to the last digit. What the past of the target and of the feature tells as
exactly is known and no leak; so is what drives the target, of which it is a sum only the other way round.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liquidbench.tasks.draft import last_digit
from liquidbench.tasks.leaks import Rows
from liquidbench.wording import counted

EXACT = 1e-6
"""Error, in usual deviations of a feature, of numbers that are not rounded to decimals."""
FEWEST_ROWS = 20
"""Rows that a weighted sum tells and the past does not, by no accident."""
ALMOST_ALL = 0.95
"""Share of the rows in which it holds up to rounding."""
SLACK = 1.3
"""Times as large as by rounding errors may be, as weights are not known exactly."""
NEW = 3
"""Times as large as by rounding the errors of what the past tells have to be, in rows that count."""
UNTOLD = 0.25
"""Share of the rows that have to count."""
MOST_ROWS = 1200
"""Rows that are looked at; of every three, two are for the fit and one for its proof."""
PER_WEIGHT = 5
"""Rows of the fit for each weight."""
PAST = 30
"""Targets before a row that are its past."""
LIKE = 0.05
"""Share of the largest weight by which weights may be off."""


class _Form(NamedTuple):
    """Rows on each side that a kernel has, and whether it is the same on both."""

    half: int
    even: bool


FORMS = (_Form(3, even=False), _Form(15, even=False), _Form(15, even=True), _Form(60, even=True))


class _Design(NamedTuple):
    """What a form sums up around each place, and what gives the weights by rows of the fit."""

    form: _Form
    places: NDArray[np.int64]
    table: NDArray[np.float64]
    solution: NDArray[np.float64]


class Kernels:
    """Weighted sums of the target around each row.

    Args:
        rows: of the table, in the order of recordings and times.
        what: the target, in words.
        numbers: of the target.
        known: where they are.
        until: the last row whose target may be known, counted from a feature's own.
    """

    def __init__(self, rows: Rows, what: str, numbers: NDArray[np.float64], known: NDArray[np.bool_], until: int):
        self.rows, self.what, self.until = rows, what, until
        # Infinite values are refused later, with their row.
        known = known & np.isfinite(numbers)
        self.digit = last_digit(numbers[known])
        self.level = float(numbers[known].mean()) if known.any() else 0.0
        self.numbers = np.where(known, numbers - self.level, np.nan)
        self.designs = [design for form in FORMS if (design := self._design(form)) is not None]

    def _design(self, form: _Form) -> _Design | None:
        """Places with a whole window of known targets, and what is summed up around each; None where there are few."""
        half = form.half
        count = (half + 1 if form.even else 2 * half + 1) + 1
        if len(self.numbers) < 2 * half + 1 + FEWEST_ROWS:
            return None
        windows = sliding_window_view(self.numbers, 2 * half + 1)
        of = self.rows.of
        gaps = np.cumsum(np.append(0, np.isnan(self.numbers)))
        whole = (of[: len(windows)] == of[2 * half :]) & (gaps[2 * half + 1 :] == gaps[: len(windows)])
        first = np.flatnonzero(whole)
        first = first[np.linspace(0, len(first) - 1, min(MOST_ROWS, len(first))).astype(np.int64)]
        if len(first) < max(PER_WEIGHT * count * 1.5, 3 * FEWEST_ROWS):
            return None
        table = windows[first]
        if form.even:
            both = table[:, half:] + table[:, half::-1]
            both[:, 0] /= 2
            table = both
        table = np.column_stack([table, np.ones(len(first))])
        return _Design(form, first + half, table, np.linalg.pinv(table[~_proof(len(first))]).astype(np.float64))

    def says(self, column: int) -> str | None:
        """Around which rows a feature is a weighted sum of the target, in words."""
        values = np.where(self.rows.observed[:, column], self.rows.values[:, column], np.nan).astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        there = values[~np.isnan(values)]
        if len(there) < 3 * FEWEST_ROWS or np.ptp(there) == 0 or len(np.unique(there)) < FEWEST_ROWS:
            return None
        # By medians, as one value far from all others would leave room for anything.
        near = 0.5 * last_digit(there) + EXACT * float(np.median(np.abs(there - np.median(there))))
        for form, places, table, solution in self.designs:
            kept = ~np.isnan(values[places])
            if kept.sum() < max(PER_WEIGHT * table.shape[1] * 1.5, 3 * FEWEST_ROWS):
                continue
            found = self._exact(table[kept], values[places[kept]], near, solution=solution if kept.all() else None)
            if found is None:
                continue
            weights, tolerance = found
            weights = np.append(weights[:0:-1], weights) if form.even else weights
            used = np.flatnonzero(np.abs(weights) > LIKE * np.abs(weights).max()) - form.half
            # The weight of a sum's last row is small where it fades out.
            if used[-1] <= self.until or not _is_kernel(weights):
                continue
            # The feature's own past may hold what was to come, too.
            if self._is_untold([], values, places[kept], tolerance):
                return (
                    f"is a weighted sum of {self.what} over rows around its own, {_around(int(used[0]), int(used[-1]))}"
                )
        return self._recursive(values, near)

    def _exact(
        self,
        table: NDArray[np.float64],
        values: NDArray[np.float64],
        near: float,
        own: int = 0,
        sides: int = 1,
        solution: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], float] | None:
        """Weights with which a table tells values up to rounding in rows that they were not fitted to, and that.

        Args:
            table: targets, then `own` columns of the feature's own values, then ones.
            values: of the feature.
            near: by how much rounding moves them.
            own: how many columns are rounded as the values are, and are sums of as many of these as `sides`.
            sides: 1 or 2.
            solution: what gives the weights of all rows of the fit, if it is known.
        """
        proof, level = _proof(len(values)), values.mean()
        aims = values[~proof] - level
        weights = np.linalg.lstsq(table[~proof], aims)[0] if solution is None else solution @ aims
        off = np.abs(table[proof] @ weights + level - values[proof])
        targets, owns = weights[: -1 - own], weights[len(weights) - 1 - own : -1]
        # Printed targets may be rounded ones of those that the sum was made of; whole ones are counts.
        before = 0.0 if self.digit == 1 else self.digit * float(np.sqrt(targets @ targets))
        tolerance = SLACK * (near * float(np.sqrt(1 + sides * owns @ owns)) + before)
        return (weights[:-1], tolerance) if np.mean(off <= tolerance) >= ALMOST_ALL else None

    def _is_untold(
        self,
        own: list[NDArray[np.float64]],
        values: NDArray[np.float64],
        places: NDArray[np.int64],
        tolerance: float,
    ) -> bool:
        """Whether the past of the target, and of the feature if given, tell far less than exactly what it is."""
        past = [self._moved(self.numbers, -back) for back in range(-self.until, PAST + 1)]
        return _misses(np.stack([*past, *own], axis=1)[places], values[places], tolerance)

    def _moved(self, numbers: NDArray[np.float64], by: int) -> NDArray[np.float64]:
        """Numbers of so many rows later within the same recording, NaN where there is none."""
        count = max(len(numbers) - abs(by), 0)
        now, then = (slice(count), slice(len(numbers) - count, None))[:: 1 if by >= 0 else -1]
        moved = np.full(len(numbers), np.nan)
        moved[now] = np.where(self.rows.of[now] == self.rows.of[then], numbers[then], np.nan)
        return moved

    def _recursive(self, values: NDArray[np.float64], near: float) -> str | None:
        """Whether a feature goes on from its own neighbours by some of the target, as a weighted mean of all does."""
        if self.until < 0:
            before = [self._moved(values, -back) for back in (1, 2)]
            for own in (before[:1], before):
                if self._is_mean_with(own, values, near, sides=1):
                    return f"is a weighted mean of {self.what} over its own row and those before it"
        around = [self._moved(values, -back) + self._moved(values, back) for back in (1, 2)]
        for own in (around[:1], around):
            if self._is_mean_with(own, values, near, sides=2):
                return f"is a weighted mean of {self.what} over rows before and after its own"
        return None

    def _is_mean_with(
        self, own: list[NDArray[np.float64]], values: NDArray[np.float64], near: float, sides: int
    ) -> bool:
        """Whether a feature is a sum of its own row's target and some neighbours of its own, with weights of a mean.

        What the target only drives, as heat does a temperature, goes to another level than the target's.
        """
        table = np.column_stack([self.numbers, *own, np.ones(len(values))])
        places = np.flatnonzero(~np.isnan(table).any(axis=1) & ~np.isnan(values))
        if len(places) < 3 * FEWEST_ROWS:
            return False
        places = places[np.linspace(0, len(places) - 1, min(MOST_ROWS, len(places))).astype(np.int64)]
        found = self._exact(table[places], values[places], near, own=len(own), sides=sides)
        if found is None:
            return False
        weights, tolerance = found
        left = 1 - sides * weights[1:].sum()
        # Without a part of its own it is a copy.
        if (
            not 0 < left < 1 - LIKE
            or abs(weights[0] / left - 1) > LIKE
            or not _misses(table[places, 1:], values[places], tolerance)
        ):
            return False
        return self._is_untold(own if sides == 1 else [], values, places, tolerance)


def _proof(count: int) -> NDArray[np.bool_]:
    """Rows by which weights are proved that the others give."""
    return np.arange(count) % 3 == 2


def _misses(table: NDArray[np.float64], values: NDArray[np.float64], tolerance: float) -> bool:
    """Whether no weighted sum of columns is near the values; columns that most rows lack take no part."""
    table = np.column_stack([table[:, np.isnan(table).mean(axis=0) <= 0.5], np.ones(len(values))])
    rows = ~np.isnan(table).any(axis=1)
    table, values = table[rows], values[rows] - values[rows].mean()
    if len(values) < FEWEST_ROWS:
        return False
    untold = np.abs(values - table @ np.linalg.lstsq(table, values)[0]) > NEW * tolerance
    return bool(untold.sum() >= max(FEWEST_ROWS, UNTOLD * len(untold)))


def _is_kernel(weights: NDArray[np.float64]) -> bool:
    """Whether weights are all of one sign, or the same on both sides but for a sign.

    What drives a target is a sum of it, too: of its change, or of what is left of it when most of the row before is
    taken off. Such weights have two signs and no centre.
    """
    weights = weights / weights[np.abs(weights).argmax()]
    used = np.flatnonzero(np.abs(weights) > LIKE)
    weights = weights[used[0] : used[-1] + 1]
    even, odd = (np.abs(weights - sign * weights[::-1]).max() <= 2 * LIKE for sign in (1, -1))
    if len(used) < 3:
        return len(weights) > 2 and (even or odd)
    return bool(weights.min() >= -LIKE or even or odd)


def _around(first: int, last: int) -> str:
    """Rows around a row, in words."""
    ends = [
        f"{counted(abs(row), 'row')} {'before' if row < 0 else 'after'} it" if row else "it" for row in (first, last)
    ]
    return f"from {ends[0]} to {ends[1]}"
