"""Columns that tell the target of a user's table by a formula, as a total is told by its parts.

A sum of any columns is found by least squares, and so is a product, as a sum of logarithms. What rounding leaves of a
formula is known from the digits that its columns are given in: a product of powers is one where its errors are no
larger than that, which noise of any other origin exceeds. So is a column a multiple of the target by one of a few
factors, as a cost is after its price has changed.
"""

import itertools
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks.draft import correlation, last_digit
from liquidbench.tasks.leaks import (
    CLEARLY,
    LEAK,
    MOST_ROWS,
    ROWS_PER_COLUMN,
    TOGETHER,
    UP_TO_DIGITS,
    all_rows,
    is_clear,
    tells_itself,
)
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.wording import counted, listed

PART = 0.01
"""Share of the target's deviation from which on a column is a part of it."""
COARSE = 0.075
"""Error by rounding, in deviations of the target, up to which it leaves something to tell."""
MOST_COLUMNS = 100
"""Columns among which parts of the target are looked for."""

EXPONENTS = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
"""Powers of columns that formulas have."""
MOST_TOGETHER = 3
"""Factors of a product."""
MOST_EXTENDED = 40
"""Products to which another factor is added, those that tell most of the target."""
MOST_TRIED = 12
"""Products of one number of factors that are compared with the target, the likeliest ones."""
SAMPLED = 1000
"""Rows by which these are chosen."""
EXACT = 1e-6
"""Relative error of numbers that are not rounded to decimals, as those of seven digits."""
TELLS = 0.1
"""Relative error by rounding up to which a row tells something of a formula."""
SLACK = 1.2
"""Times as large as by rounding errors may be, as the proportion is not known exactly."""
AS_LARGE = 0.5
"""Median of the errors that rounding makes, in their deviations; 0.67 of many, 0.87 of one."""
MOVED, FEWEST_MOVES = 2.0, 20
"""Errors by rounding by which the target moves, and how often, for a formula to hold by no accident."""
FEWEST_VALUES = 10
"""Distinct targets among them."""

MOST_FACTORS = 12
"""Factors that take turns in any order, as prices by day and night do that were raised."""
COVERS = 0.5
"""Share of the range of all ratios up to which so many, each as wide as rounding makes it, hold some by no accident."""
FEWEST_IN_TURN = 10
"""Rows that have one factor, of the half of all that rounding touches least."""
LEAPS = 2.0
"""Widths by which a factor that lasts differs from the next one; what drifts goes on from the last."""
MOSTLY = 0.8
"""Share of the factors that do."""


def suspects(meaning: Meaning, sequences: Sequences, found: set[str]) -> Iterator[str]:
    """A sentence for the columns of which the target is a formula.

    Args:
        meaning: of the table.
        sequences: of the table.
        found: columns that a sentence has named, which need no other; those named here are put there.
    """
    if meaning.kind != "regression" or meaning.per == "sequence":
        return
    rows = all_rows(meaning, sequences.recordings).head(MOST_ROWS)
    numbers = [
        place
        for place, source in enumerate(meaning.sources)
        if source not in found
        and source not in meaning.presence
        and meaning.frame[source].dtype.is_numeric()
        and 2 * rows.observed[:, place].sum() >= len(rows.of)
    ]
    table = np.where(rows.observed[:, numbers], rows.values[:, numbers], np.nan)
    names = [meaning.sources[place] for place in numbers]
    if meaning.time is not None and meaning.frame[meaning.time].dtype.is_numeric():
        table, names = np.column_stack([table, rows.times]), [*names, meaning.time]
    table, targets = table[rows.known], np.ravel(rows.targets)[rows.known].astype(np.float64)
    if not names or not len(targets):
        return
    told = formula(names, table, meaning.target, targets, tells_itself(meaning, rows))
    if told is not None:
        yield _said(meaning, names, told, found)
    for place, name in enumerate(names):
        if name in found or name == meaning.time:
            continue
        if factors := factors_in_turn(table[:, place], targets):
            found.add(name)
            some = listed((f"{factor:.4g}" for factor in factors), 4, quote=False)
            yield (
                f"leak suspect: {name!r} is {meaning.target!r} times one of {len(factors)} factors ({some}), up to "
                "their digits, as where a price changes; if it is not known when the prediction is made, leave it out "
                "(features: in a study)"
            )


def _said(meaning: Meaning, names: list[str], told: tuple[str, list[int]], found: set[str]) -> str:
    """The sentence for columns of which the target is a formula."""
    how, places = told
    of = [names[place] for place in places]
    found.update(of)
    one = len(of) == 1
    columns = repr(of[0]) if one else f"{counted(len(of), 'column')} together ({listed(of)})"
    return (
        f"leak suspect: {columns} "
        f"tell{'s' * one} {meaning.target!r} {how}; if {'it is' if one else 'they are'} not known when the prediction "
        f"is made, leave {'it' if one else 'one'} out (features: in a study)"
    )


def formula(
    names: list[str], table: NDArray[np.float64], target: str, targets: NDArray[np.float64], past: float
) -> tuple[str, list[int]] | None:
    """How columns tell the target, in words, and which of them do; None where none do.

    Args:
        names: of the columns.
        table: the columns, (rows, columns), NaN where they are missing.
        target: its name.
        targets: its values, all known.
        past: how well the target's own past tells it: 1 perfectly.

    Example:
        >>> height, weight = np.mgrid[150:200:3, 50:90:4].reshape(2, -1) + 0.3
        >>> index = (1e4 * weight / height**2).round(1)
        >>> formula(["height", "weight"], np.stack([height, weight], axis=1), "bmi", index, past=0.0)
        ("almost exactly, as a product or a quotient of them: 'bmi' is in proportion to 'weight' / 'height'^2", [0, 1])
    """
    whole = ~np.isnan(table).any(axis=1)
    complete = table[whole], targets[whole], past
    return (
        _sum_of("a sum or a difference", np.positive, np.ones_like, *complete)
        # Of few digits, or with gaps, a product is hardly a sum of logarithms.
        or _product(names, table, target, targets)
        or _sum_of("a product or a quotient", np.log, np.reciprocal, *complete)
        or _sum_of("the root of a sum of squares", np.square, lambda numbers: 2 * np.abs(numbers), *complete)
    )


def _sum_of(
    how: str,
    scale: Callable[[Any], Any],
    slope: Callable[[Any], Any],
    table: NDArray[np.float64],
    targets: NDArray[np.float64],
    past: float,
) -> tuple[str, list[int]] | None:
    """The columns, at least two, of which the targets are a weighted sum on some scale; None where there are none.

    Args:
        how: what that is, in words.
        scale: of the columns and the targets.
        slope: of the scale, by which errors are larger on it.
        table: the columns.
        targets: what they may give.
        past: how well the target's own past tells it.
    """
    if not len(targets) or (scale is np.log and targets.min() <= 0) or (scale is not np.positive and targets.min() < 0):
        return None
    usable = np.ptp(table, axis=0) > 0
    if scale is np.log:
        usable &= (table > 0).all(axis=0)
    usable = np.flatnonzero(usable)[:MOST_COLUMNS]
    if len(usable) < 2 or len(targets) < ROWS_PER_COLUMN * (len(usable) + 1) or np.ptp(targets) == 0:
        return None
    errors = [0.5 * last_digit(column) * slope(column) for column in table[:, usable].T]
    error = 0.5 * last_digit(targets) * slope(targets)
    columns, aim = scale(table[:, usable]), scale(targets)
    deviations, deviation = columns.std(axis=0), aim.std()
    columns, aim = (columns - columns.mean(axis=0)) / deviations, (aim - aim.mean()) / deviation
    parts = np.flatnonzero(np.abs(np.linalg.lstsq(columns, aim)[0]) >= PART)
    if len(parts) < 2:
        return None
    weights = np.linalg.lstsq(columns[:, parts], aim)[0]
    sums = columns[:, parts] @ weights
    strength = correlation(sums, aim)
    off, weights = np.abs(sums - aim) * deviation, np.abs(weights) * deviation / deviations[parts]
    # Of targets of few digits none is told exactly, but almost all up to these, or to those of the columns.
    rounded = any(
        np.mean(near) < COARSE * deviation and np.mean(off <= near) >= UP_TO_DIGITS
        for near in (1.5 * error, error + weights @ np.stack(errors)[parts])
    )
    # Of a cosine and a sine, any other is a weighted sum; hardly anything is a plain one by chance.
    plain = np.abs(weights - 1) < PART
    if not (strength > TOGETHER or rounded) or not (plain.all() or is_clear(strength, past)):
        return None
    return f"almost exactly, as {how} of them", [int(part) for part in usable[parts]]


class _Factor(NamedTuple):
    """A column, or the rest of it to 1 or 100 %, as in 1 - discount: its place, numbers, and error by rounding."""

    place: int
    label: str
    numbers: NDArray[np.float64]
    error: NDArray[np.float64]
    of_whole: bool

    def logarithms(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Those of its absolute values in some rows; NaN for 0."""
        numbers = np.abs(self.numbers[rows])
        return np.log(np.where(numbers == 0, np.nan, numbers))


def _factors(place: int, name: str, numbers: NDArray[np.float64]) -> Iterator[_Factor]:
    """A column as it is and, of a share or percentage, what is left of the whole and what it adds to it."""
    known = numbers[~np.isnan(numbers)]
    error = 0.5 * last_digit(known) + EXACT * np.abs(numbers)
    yield _Factor(place, repr(name), numbers, error, of_whole=False)
    largest = np.abs(known).max(initial=0.0)
    if largest <= 100:
        whole = 1 if largest <= 1 else 100
        yield _Factor(place, f"({whole} - {name!r})", whole - numbers, error, of_whole=True)
        yield _Factor(place, f"({whole} + {name!r})", whole + numbers, error, of_whole=True)


class _Product(NamedTuple):
    """Factors and their exponents."""

    factors: tuple[_Factor, ...]
    exponents: tuple[float, ...]

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The product of each row."""
        product = np.ones(len(self.factors[0].numbers))
        for factor, exponent in zip(self.factors, self.exponents, strict=True):
            # Negative numbers have no root.
            product *= factor.numbers**exponent
        return product

    def errors(self, rounded: Collection[int]) -> NDArray[np.float64]:
        """Relative errors of each row (factors, rows) if these of the factors were rounded; NaN where one is 0."""
        numbers = np.abs([factor.numbers for factor in self.factors])
        errors = [
            factor.error if place in rounded else EXACT * size
            for place, (factor, size) in enumerate(zip(self.factors, numbers, strict=True))
        ]
        return np.abs(self.exponents)[:, None] * errors / numbers

    def __str__(self) -> str:
        parts = sorted(zip(self.exponents, self.factors, strict=True), key=lambda part: (part[0] < 0, part[1].place))
        powers = [f"{factor.label}{f'^{abs(exponent):g}' * (abs(exponent) != 1)}" for exponent, factor in parts]
        above = " * ".join(power for power, (exponent, _) in zip(powers, parts, strict=True) if exponent > 0)
        return " / ".join([above or "1", *powers[sum(exponent > 0 for exponent in self.exponents) :]])


def _product(
    names: list[str], table: NDArray[np.float64], target: str, targets: NDArray[np.float64]
) -> tuple[str, list[int]] | None:
    """Columns of which the target is a product of powers up to rounding, in words; None where there are none."""
    sample = np.unique(np.linspace(0, len(targets) - 1, SAMPLED).astype(np.int64))
    factors = [
        factor for place, name in enumerate(names[:MOST_COLUMNS]) for factor in _factors(place, name, table[:, place])
    ]
    for aim in _factors(len(names), target, targets):
        for product in _likely(factors, aim, sample):
            if _holds(product, aim):
                of = "a power of it" if len(product.factors) == 1 else "a product or a quotient of them"
                how = f"almost exactly, as {of}: {aim.label} is in proportion to {product}"
                return how, sorted(factor.place for factor in product.factors)
    return None


def _likely(factors: list[_Factor], aim: _Factor, sample: NDArray[np.int64]) -> Iterator[_Product]:
    """Products whose logarithms leave the least of the aim's, those of fewer factors first."""
    factors, shared, across = _covariances(factors, aim, sample)
    size = np.sqrt(shared.diagonal())
    usable = np.flatnonzero(size > EXACT)
    places = np.array([factor.place for factor in factors])
    of_whole = np.array([factor.of_whole for factor in factors])
    exponents = np.array(EXPONENTS)
    chosen = usable[:, None]
    for count in range(1, MOST_TOGETHER + 1):
        if not len(chosen):
            return
        within, along = shared[chosen[:, :, None], chosen[:, None, :]], across[chosen]
        # What goes along with another altogether adds nothing to it.
        within = within + 1e-9 * np.eye(count) * size[chosen][:, :, None] ** 2
        weights = np.linalg.solve(within, along[:, :, None])[:, :, 0]
        powers = exponents[np.abs(weights[:, :, None] - exponents).argmin(axis=2)]
        powers = np.where(of_whole[chosen], np.where(weights < 0, -1.0, 1.0), powers)
        left = np.einsum("ki,kij,kj->k", powers, within, powers) - 2 * (powers * along).sum(axis=1)
        for row in np.argsort(left, kind="stable")[:MOST_TRIED]:
            yield _Product(tuple(factors[number] for number in chosen[row]), tuple(powers[row].tolist()))
        told = chosen[np.argsort(-(weights * along).sum(axis=1), kind="stable")[:MOST_EXTENDED]]
        chosen = np.column_stack([np.repeat(told, len(usable), axis=0), np.tile(usable, len(told))])
        chosen = chosen[(np.diff(np.sort(places[chosen], axis=1), axis=1) > 0).all(axis=1)]
        # The same ones in another order are one product.
        names = np.sort(chosen, axis=1) @ len(factors) ** np.arange(count + 1)
        chosen = chosen[np.unique(names, return_index=True)[1]]


def _covariances(
    factors: list[_Factor], aim: _Factor, sample: NDArray[np.int64]
) -> tuple[list[_Factor], NDArray[np.float64], NDArray[np.float64]]:
    """Factors that are mostly there in the same rows, the covariances of their logarithms, and those with the aim's."""
    aims = aim.logarithms(sample)
    logs = np.stack([factor.logarithms(sample) for factor in factors])
    there, rows, kept = ~np.isnan(logs), ~np.isnan(aims), []
    for number in np.argsort(-there.sum(axis=1), kind="stable"):
        if 2 * np.sum(rows & there[number]) > np.sum(~np.isnan(aims)):
            rows &= there[number]
            kept.append(number)
    if not kept:
        return [], np.zeros((0, 0)), np.zeros(0)
    logs, aims = logs[kept][:, rows], aims[rows]
    logs, aims = logs - logs.mean(axis=1, keepdims=True), aims - aims.mean()
    return [factors[number] for number in kept], logs @ logs.T / len(aims), logs @ aims / len(aims)


def _holds(product: _Product, aim: _Factor) -> bool:
    """Whether the aim is in proportion to a product but for rounding, and to no power of fewer of its factors."""
    every = range(len(product.factors))
    with np.errstate(all="ignore"):
        given, ratios = product.numbers, aim.numbers / product.numbers
        there = np.isfinite(ratios) & (given != 0)
        telling = there & (ratios != 0)
        if telling.sum() < FEWEST_MOVES:
            return False
        # Rows that rounding hardly touches say best what the proportion is.
        touched = aim.error / np.abs(aim.numbers) + product.errors(every).sum(axis=0)
        given = given * np.median(ratios[telling & (touched <= np.median(touched[telling]))])
        off, size = np.abs(given - aim.numbers), np.maximum(np.abs(given), np.abs(aim.numbers))
    # Numbers of few digits may be exact, as prices are, or rounded, and then errors are as large as that makes them.
    subsets = [itertools.combinations(every, count) for count in (len(every), *range(len(every)))]
    for rounded in itertools.chain(*subsets):
        with np.errstate(all="ignore"):
            errors = np.vstack([aim.error, np.abs(given) * product.errors(rounded)])
        most, usual = errors.sum(axis=0), np.sqrt((errors**2).sum(axis=0) / 3)
        near, tells = off <= SLACK * most, telling & (most <= TELLS * size)
        if near[there].mean() < UP_TO_DIGITS or near[tells].sum() < max(UP_TO_DIGITS * tells.sum(), FEWEST_MOVES):
            if len(rounded) == len(every):
                return False
            continue
        tells &= near
        if (
            (not rounded or np.median(off[tells] / usual[tells]) >= AS_LARGE)
            and len(np.unique(aim.numbers[tells])) >= FEWEST_VALUES
            and correlation(given[tells], aim.numbers[tells]) > LEAK
            and _moves(aim.numbers[tells], most[tells])
            and _needs_all(product, aim, given, tells & (most <= np.median((most / size)[tells]) * size))
        ):
            return True
    return False


def factors_in_turn(numbers: NDArray[np.float64], targets: NDArray[np.float64]) -> list[float]:
    """The factors by which a column is the target, each in many rows, the most usual or the first one first.

    They are few and take turns, or each of them lasts; one alone is a proportion, which other searches find.

    Args:
        numbers: of the column, NaN where they are missing.
        targets: of the same rows, all known.

    Example:
        >>> used = np.random.default_rng(1).uniform(0.1, 3, 500).round(2)
        >>> cost = (used * np.repeat([0.31, 0.38], 250)).round(2)
        >>> sorted(round(factor, 2) for factor in factors_in_turn(cost, used))
        [0.31, 0.38]
    """
    there = ~np.isnan(numbers)
    errors = [0.5 * last_digit(of[there]) + EXACT * np.abs(of) for of in (numbers, targets)]
    # Of what is no larger than rounding, nothing is known.
    there &= (np.abs(numbers) > 2 * errors[0]) & (np.abs(targets) > 2 * errors[1])
    signs = np.sign(numbers[there] * targets[there])
    sign = 1.0 if 2 * np.sum(signs > 0) >= len(signs) else -1.0
    rows = np.flatnonzero(there)[signs == sign]
    if len(rows) < 4 * FEWEST_IN_TURN or 2 * len(rows) < np.sum(there):
        return []
    numbers, targets = np.abs(numbers[rows]), np.abs(targets[rows])
    errors = [error[rows] for error in errors]
    low = np.log((numbers - errors[0]) / (targets + errors[1]))
    high = np.log((numbers + errors[0]) / (targets - errors[1]))
    widths = high - low
    rows = np.flatnonzero(widths <= np.median(widths))
    low, high, logs, width = low[rows], high[rows], np.log(targets[rows]), float(widths[rows].max())
    scattered = float(np.ptp(np.quantile((low + high) / 2, (0.02, 0.98))))
    of = _levels(low, high)
    if of is None or COVERS * scattered < width * (of.max() + 1):
        of = _lasting(low, high, width) if COVERS * scattered > width else None
    if of is None:
        return []
    factors = []
    for number in range(of.max() + 1):
        among = of == number
        # Where the target hardly moves, anything else that stands still is a multiple of it.
        moves = among.any() and np.ptp(np.quantile(logs[among], (0.05, 0.95))) > 2 * MOVED * width
        if moves and among.sum() >= FEWEST_IN_TURN and len(np.unique(logs[among])) >= FEWEST_VALUES:
            factors.append((number, sign * float(np.exp((low[among].max() + high[among].min()) / 2))))
    told = np.isin(of, [number for number, _ in factors]).sum()
    return [factor for _, factor in factors] if len(factors) > 1 and told >= UP_TO_DIGITS * len(of) else []


def _levels(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """The number of a level that lies in each interval, -1 for none; None where a few levels miss more than a few."""
    of = np.full(len(low), -1)
    for number in range(MOST_FACTORS):
        rest = np.flatnonzero(of < 0)
        ends = np.concatenate((low[rest], high[rest]))
        order = np.argsort(ends, kind="stable")
        depths = np.cumsum(np.repeat([1, -1], len(rest))[order])
        level, depth = ends[order[depths.argmax()]], depths.max()
        of[rest[(low[rest] <= level) & (level <= high[rest])]] = number
        missed = int(np.sum(of < 0))
        if missed <= (1 - UP_TO_DIGITS) * len(of):
            return of
        # Later levels hold no more than this one.
        if missed - (MOST_FACTORS - 1 - number) * depth > (1 - UP_TO_DIGITS) * len(of):
            return None
    return None


def _lasting(low: NDArray[np.float64], high: NDArray[np.float64], width: float) -> NDArray[np.int64] | None:
    """The number of each interval's stretch, of which all have a level in common; None where levels drift."""
    of, number, least, most, levels = np.zeros(len(low), dtype=np.int64), 0, -np.inf, np.inf, []
    for row, (lower, upper) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if max(least, lower) > min(most, upper):
            levels.append((least + most) / 2)
            number, least, most = number + 1, lower, upper
            if (number + 1) * FEWEST_IN_TURN > max(row, len(low) / 10):
                return None
        least, most = max(least, lower), min(most, upper)
        of[row] = number
    steps = np.abs(np.diff([*levels, (least + most) / 2]))
    return of if len(steps) and np.mean(steps > LEAPS * width) >= MOSTLY else None


def _moves(numbers: NDArray[np.float64], error: NDArray[np.float64]) -> bool:
    """Whether numbers go further than rounding explains, often enough: rows that hardly differ are as one."""
    moves, last = 0, np.inf
    for number, near in zip(numbers.tolist(), error.tolist(), strict=True):
        if abs(number - last) > MOVED * near:
            moves, last = moves + 1, number
    return moves >= FEWEST_MOVES


def _needs_all(product: _Product, aim: _Factor, given: NDArray[np.float64], rows: NDArray[np.bool_]) -> bool:
    """Whether a product says far more of the aim than powers of fewer factors, and more than a weighted sum of all."""
    off, numbers = aim.numbers[rows] - given[rows], np.stack([factor.numbers[rows] for factor in product.factors])
    single = len(product.factors) == 1
    if _left(numbers, aim.numbers[rows]) <= (CLEARLY if single else 1) * np.var(off):
        return False
    logs = np.stack([factor.logarithms(rows) for factor in product.factors])
    left = np.var(aim.logarithms(rows) - product.exponents @ logs)
    return single or all(
        _left(np.delete(logs, place, axis=0), aim.logarithms(rows)) > CLEARLY * left for place in range(len(logs))
    )


def _left(columns: NDArray[np.float64], aims: NDArray[np.float64]) -> float:
    """Variance of the aims that no weighted sum of the columns, in rows, explains."""
    columns, aims = columns - columns.mean(axis=1, keepdims=True), aims - aims.mean()
    return float(np.var(aims - np.linalg.lstsq(columns.T, aims)[0] @ columns))
