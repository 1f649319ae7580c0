"""Columns partly in another unit than the rest: from some row or time on, in blocks of rows, in groups.

A change of units moves numbers by a known conversion and by nothing else. `_Scale.fitting` judges that for all of them:
converted, the odd numbers are where the rest are, and vary as these do. Before, they were far from them, where nothing
else is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import groups, thousands, words
from liquidbench.tasks.draft import parted
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.wording import listed

ONE_OF_MANY = 0.2
"""Share of the recordings in which the unit has to change, where a column's name says no quantity."""
NEAR = 5
"""Rows on either side of a change of units that say how large its step is."""
FEWEST_ROWS = 20
"""Rows of each unit, and distinct numbers of a column, that are no accident; also rows of a group."""
FEWEST_IN_BLOCK = 7
"""Rows, as of a week, that are enough where the numbers go back to the first unit."""
WIDTHS = (NEAR, 1, 20)
"""Rows on either side that may say how large a change is."""
SLACK = 1.5
"""Times what is usual for another width than `NEAR` that levels may be off, as the one that moves least is chosen."""
MOST_LEAPS = 6
"""Changes of units in one recording; what goes to and fro more often is a machine that is switched on and off."""
LEAP = 1.5
"""Times as long as any other a step is, between rows before and after, where the unit changes."""
FEWEST_SCATTERED, MOST_SCATTERED = 2, 0.4
"""Rows in another unit here and there, and their share of all."""
ALONE = 2.0
"""Rows in another unit for each place where some are, up to which they are here and there."""
SMALL = 0.05
"""Least spread of such rows, as a share of how wide the rest is."""
SCATTERED_ALIKE = 3.0
"""`ALIKE` for the spread of such rows, of which a few say little."""
SEPARATE = 0.98
"""Share of the numbers before a change that stays that are all below, or all above, as many of those after it."""
USUAL = 0.98
"""Share of the steps elsewhere than which those at changes of units are not longer, once they are in one unit."""
CLOSE = 0.1
"""Share of the way that a conversion moves levels, up to which those on either side of a
change may then differ, on a scale of logarithms."""
ALIKE = 1.5
"""Times as large as those of the rest that the steps of numbers in another unit may be, once converted."""
FEWEST_GROUPS = 5
"""Groups that say what is usual, so that another is odd."""
FAR = 2.5
"""Standard deviations of the levels of all other groups between the nearest of them and an odd one."""


PARTED = 0.9
"""Share of short recordings in which all numbers before a change of units are below, or above, all after it."""
STANDARD_ERRORS = 2.5
"""Standard errors that the mean step of short recordings may be off a factor."""


class _Bounds(NamedTuple):
    """How groups in another unit differ from the others.

    Attributes:
        few: share of the groups up to which they are the odd ones; one group always may be.
        among: standard deviations from the mean of all others within which a converted level is among them.
        alike: times as large as those of the rest that their steps may be, once converted.
        close: share of the way that a factor moves levels, up to which they may then be off.
        varied: standard deviation of logarithms from which on levels may differ by factors, and few are far from the
            rest: `FAR` then counts twice.
    """

    few: float
    among: float
    alike: float
    close: float
    varied: float


ANY = _Bounds(few=0.1, among=2.0, alike=ALIKE, close=0.25, varied=0.17)
NAMED = _Bounds(few=1 / 6, among=3.5, alike=2.0, close=0.2, varied=np.inf)
"""Bounds for all conversions, and for those that the name of a column makes likely."""
TELLING = 4
"""Factor from which on a conversion of the quantity that a name says is no difference between groups."""


DEGREES = ("temperature", "current")
"""Quantities whose units have different zeros."""


class _Conversion(NamedTuple):
    """How numbers in another unit become those of the rest, on a scale on which that is a line.

    Attributes:
        what: the units, in words.
        quantity: that both are of; empty where numbers of any may differ so.
        anywhere: whether it counts where the name of a column says no quantity.
    """

    what: str
    slope: float
    shift: float
    quantity: str = ""
    anywhere: bool = True

    def words(self, named: bool) -> str:
        """The units, and the factor where no name says that they are likely; degrees have none."""
        if named or not self.quantity or self.quantity in DEGREES:
            return self.what
        way = "large" if self.shift < 0 else "small"
        return f"{self.what}: numbers {np.exp(abs(self.shift)):.4g} times as {way}"


class _Fit(NamedTuple):
    """A conversion that fits; the better it does, the earlier in order.

    Attributes:
        unnamed: whether the name says a quantity, and this is not its conversion.
        away: how far levels are from what they should be, in relation to what is usual.
        words: the conversion.
    """

    unnamed: bool
    away: float
    words: str


class _Scale(NamedTuple):
    """The numbers themselves, or their logarithms, on which factors are shifts.

    Attributes:
        named: whether the conversions are those that count for a column whose name says its quantity.
    """

    logarithmic: bool
    conversions: list[_Conversion]
    named: bool = False

    def for_quantities(self, quantities: frozenset[str]) -> "_Scale":
        """This scale with the conversions that count for a column whose name says that it is one of these, or none."""
        own = [conversion for conversion in self.conversions if conversion.quantity in quantities]
        known = {(conversion.slope, conversion.shift) for conversion in own}
        others = [
            conversion
            for conversion in self.conversions
            if (conversion.anywhere if not quantities else not conversion.quantity)
            and (conversion.slope, conversion.shift) not in known
        ]
        return self._replace(conversions=[*own, *others], named=bool(quantities))

    def likely(self) -> "_Scale":
        """This scale without the conversions that count anywhere, and that the name says nothing of."""
        anywhere = [
            conversion
            for conversion in self.conversions
            if self.named or not self.logarithmic or not conversion.quantity
        ]
        return self._replace(conversions=anywhere)

    def telling(self) -> "_Scale":
        """This scale with the conversions that a name makes likely, and that few differences of another kind equal."""
        large = [
            conversion
            for conversion in self.conversions
            if conversion.quantity and (not self.logarithmic or abs(conversion.shift) >= np.log(TELLING))
        ]
        return self._replace(conversions=large if self.named else [])

    def large(self) -> "_Scale":
        """This scale without the small factors that the name says nothing of: each of many shifts is near one."""
        kept = [
            conversion
            for conversion in self.conversions
            if self.named or not self.logarithmic or not conversion.quantity or abs(conversion.shift) >= np.log(TELLING)
        ]
        return self._replace(conversions=kept)

    def of(self, numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Numbers on this scale; None where it has none of them."""
        if not self.logarithmic:
            return numbers
        return np.log(numbers) if (numbers > 0).all() else None

    def fitting(
        self,
        odd: NDArray[np.float64],
        rest: NDArray[np.float64],
        usual: float,
        ratio: float,
        alike: float,
        share: float = 1.0,
    ) -> list[_Fit]:
        """The conversions that make odd numbers the same quantity as the rest, from the best on.

        Args:
            odd: levels of the odd numbers.
            rest: what each of them should be in the unit of the rest.
            usual: how far levels of the rest are from one another.
            ratio: of the spread of odd numbers to that of the rest; 1 where there is none.
            alike: how far from 1 it may be, as a factor, once converted.
            share: of what a conversion moves, which levels may be off by then.
        """
        found = []
        grown = float(np.median(odd / rest)) if (odd * rest > 0).all() else 0.0
        for conversion in self.conversions:
            converted = conversion.slope * odd + conversion.shift
            away = float(np.abs(converted - rest).max())
            alone = abs(np.log(conversion.slope * ratio))
            # What varies more as it is larger has grown; degrees of another scale do not.
            has_grown = not self.logarithmic and grown and abs(np.log(ratio / grown)) < alone
            if away <= min(usual, share * np.abs(converted - odd).min()) and alone <= np.log(alike) and not has_grown:
                unnamed = self.named and not conversion.quantity
                found.append(_Fit(unnamed, away / usual, conversion.words(self.named)))
        return sorted(found)


_LINES = (
    ("temperature", "°F", "°C", 1.8, 32.0),
    ("temperature", "K", "°C", 1.0, 273.15),
    ("temperature", "°F", "K", 1.8, -459.67),
    ("signal", "mA of 4 to 20", "%", 0.16, 4.0),
    ("HbA1c", "mmol/mol", "%", 10.93, -23.5),
)
"""Quantity, two units, and a and b, where a number x of the second unit is a x + b of the first."""
_FACTORS = (
    ("pressure", "hPa", "inHg", 33.8639),
    ("pressure", "psi", "bar", 14.5038),
    ("energy", "kWh", "m³ of gas", 10.55),
    ("length", "ft", "m", 3.28084),
    ("length", "cm", "in", 2.54),
    ("mass", "lb", "kg", 2.20462),
    ("glucose", "mg/dL", "mmol/L", 18.016),
    ("creatinine", "µmol/L", "mg/dL", 88.42),
)
"""Quantity, two units, and how many of the first are one of the second."""
_NAMED_FACTORS = (
    ("pressure", "kPa", "psi", 6.89476),
    ("pressure", "mmHg", "kPa", 7.50062),
    ("pressure", "hPa", "mmHg", 1.33322),
    ("pressure", "cmH2O", "mmHg", 1.35951),
    ("speed", "km/h", "m/s", 3.6),
    ("speed", "km/h", "mph", 1.609344),
    ("speed", "km/h", "knots", 1.852),
    ("speed", "knots", "m/s", 1.94384),
    ("speed", "mph", "m/s", 2.23694),
    ("energy", "kJ", "kcal", 4.184),
    ("energy", "MJ", "kWh", 3.6),
    ("force", "N", "lbf", 4.44822),
    ("power", "hp", "kW", 1.34102),
    ("power", "PS", "kW", 1.35962),
    ("length", "mm", "in", 25.4),
    ("length", "km", "mi", 1.609344),
    ("mass", "g", "oz", 28.3495),
    ("volume", "L", "gal", 3.78541),
    ("flow", "L/min", "m³/h", 16.6667),
    ("flow", "L/min", "gal/min", 3.78541),
    ("cholesterol", "mg/dL", "mmol/L", 38.67),
    ("triglycerides", "mg/dL", "mmol/L", 88.57),
    ("bilirubin", "µmol/L", "mg/dL", 17.1),
    ("urea", "mg/dL of nitrogen", "mmol/L", 2.801),
    ("urea", "mg/dL", "mmol/L", 6.006),
    ("haemoglobin", "g/L", "g/dL", 10.0),
    ("haemoglobin", "g/dL", "mmol/L", 1 / 0.6206),
    ("calcium", "mg/dL", "mmol/L", 4.008),
    ("uric acid", "µmol/L", "mg/dL", 59.48),
)
"""Those that count only where a column's name says their quantity: of all together, some fit any change of level."""


def _scales() -> tuple[_Scale, _Scale]:
    """The two scales with all conversions, each of them forth and back."""
    lines, shifts = [], []
    for quantity, first, second, scale, offset in _LINES:
        more = quantity, quantity == "temperature"
        lines.append(_Conversion(f"{second}, the rest in {first}", scale, offset, *more))
        lines.append(_Conversion(f"{first}, the rest in {second}", 1 / scale, -offset / scale, *more))
    for factor in (10.0**6, 10.0**5, 10.0**4, 10.0**3, 10.0**2, 10.0, 3600.0, 60.0, 3.6):
        shifts.append(_Conversion(f"numbers {factor:,.10g} times as large as the rest", 1.0, -np.log(factor)))
        shifts.append(_Conversion(f"numbers {factor:,.10g} times as small as the rest", 1.0, np.log(factor)))
    for quantity, small, large, factor in (*_FACTORS, *_NAMED_FACTORS):
        more = quantity, (quantity, small, large, factor) in _FACTORS
        shifts.append(_Conversion(f"{small}, the rest in {large}", 1.0, -np.log(factor), *more))
        shifts.append(_Conversion(f"{large}, the rest in {small}", 1.0, np.log(factor), *more))
    return _Scale(False, lines), _Scale(True, shifts)


SCALES = _scales()


def suspects(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for each column that is partly in another unit, as it seems."""
    codes = meaning.codes()
    recordings = np.split(np.arange(len(codes)), np.flatnonzero(np.diff(codes)) + 1)
    levels = dict.fromkeys([meaning.key, meaning.key[:1]] if meaning.key else [])
    keys = {key: groups.codes(meaning.frame, key) for key in levels}
    clocks = _clocks(meaning, codes)
    for column in meaning.amounts():
        if thousands.of_column(meaning, column) is not None:
            continue
        name, numbers = column.name, column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        # 0 is the same in most units.
        gone = np.isnan(numbers) | (numbers == 0) | np.isin(numbers, meaning.sentinels.get(name, []))
        rows = [part[~gone[part]] for part in recordings]
        quantities = words.quantities(name)
        scales = [scale.for_quantities(quantities) for scale in SCALES]
        if not quantities and not (numbers[~gone] % 1).any():
            # Counts have no degrees.
            scales = scales[1:]
        said = _in_rows(meaning, scales, rows, numbers) or _at_one_time(meaning, scales, rows, numbers, clocks)
        said = said or _here_and_there(meaning, scales, rows, numbers)
        if said or (said := _in_groups(meaning, scales, keys, numbers, ~gone)):
            yield f"{name!r} {said}; bring all of it to one unit"


def _such_as(found: list[_Fit]) -> str:
    """The conversions that fit, in words: which it is, is a guess."""
    return f"as it seems (such as {', or '.join(fit.words for fit in found[:2])})"


# Rows


class _Change(NamedTuple):
    """Rows in another unit: places of the first and the last row of the first block, None where it stays; how many."""

    first: int
    last: int | None
    blocks: int
    found: list[_Fit]


def _in_rows(
    meaning: Meaning, scales: list[_Scale], recordings: list[NDArray[np.int64]], numbers: NDArray[np.float64]
) -> str:
    """From which row on, or in which blocks, numbers are in another unit, in words."""
    changes = [(rows, found) for rows in recordings if (found := _change(scales, numbers[rows]))]
    # Among many recordings, the level of one leaps by some factor sooner or later.
    if not changes or (not scales[0].named and len(changes) < ONE_OF_MANY * len(recordings)):
        return ""
    rows, change = changes[0]
    first = meaning.at(int(rows[change.first]))
    more = f", and {change.blocks - 1} more times" * (change.blocks > 1)
    more += f", and so in {len(changes) - 1} more recordings" * (len(changes) > 1)
    if change.last is None:
        return f"goes on in another unit from {first} on, {_such_as(change.found)}{more}"
    last = meaning.at(int(rows[change.last]))
    return f"is in another unit from {first} to {last}, {_such_as(change.found)}{more}"


def _here_and_there(
    meaning: Meaning, scales: list[_Scale], recordings: list[NDArray[np.int64]], numbers: NDArray[np.float64]
) -> str:
    """Which rows, here and there, are in another unit than the rows beside them, in words."""
    rows = np.concatenate(recordings)
    if len(rows) < 2 * FEWEST_ROWS or len(np.unique(numbers[rows])) < FEWEST_ROWS:
        return ""
    places = np.arange(len(rows))
    for scale in scales:
        values = scale.of(numbers[rows])
        if values is None or (odd := _set_apart(values)) is None:
            continue
        wide = float(np.ptp(values[~odd]))
        found = scale.fitting(
            values[odd],
            np.interp(places[odd], places[~odd], values[~odd]),
            usual=wide,
            ratio=float(max(values[odd].std(), SMALL * wide) / values[~odd].std()),
            alike=SCATTERED_ALIKE,
        )
        if found:
            first = int(rows[odd][meaning.row[rows[odd]].argmin()])
            return (
                f"is in another unit in {int(odd.sum())} rows here and there, the first of them {meaning.at(first)}, "
                f"{_such_as(found)}"
            )
    return ""


def _set_apart(values: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """The fewer of two sets of numbers with a gap between that is wider than either; None where there are none.

    They stand alone or nearly so: a machine that is switched on stays so for a while.
    """
    odd, gap, ranges = parted(values)
    if not FEWEST_SCATTERED <= odd.sum() <= MOST_SCATTERED * len(odd) or len(np.unique(values[odd])) < 2:
        return None
    places = int((np.diff(odd.astype(int), prepend=0) == 1).sum())
    return odd if gap > max(ranges) > 0 and np.ptp(values[~odd]) and odd.sum() <= ALONE * places else None


def _change(scales: list[_Scale], numbers: NDArray[np.float64]) -> _Change | None:
    """Where the numbers of a recording are in another unit for good or for a while, if they are."""
    if len(numbers) < 2 * FEWEST_ROWS or len(np.unique(numbers)) < FEWEST_ROWS:
        return None
    medians = pl.Series(numbers).rolling_median(NEAR).to_numpy()[NEAR - 1 :]
    changes = [_change_on(scale, numbers, medians) for scale in scales]
    return min((change for change in changes if change), key=lambda change: change.found[0], default=None)


def _change_on(scale: _Scale, numbers: NDArray[np.float64], medians: NDArray[np.float64]) -> _Change | None:
    """`_change` by the conversions of one scale; `medians` are those of `NEAR` numbers from each on."""
    whole, levels = scale.of(numbers), scale.of(medians)
    if whole is None or levels is None:
        return None
    steps, moves = np.abs(np.diff(whole)), np.abs(levels[NEAR:] - levels[:-NEAR])
    reach = NEAR // 2
    # Medians leap wherever most of their numbers have.
    places = np.array(
        [place - reach + int(steps[place - reach - 1 : place + reach].argmax()) for place in _leaps(moves)], dtype=int
    )
    lengths = np.diff([0, *places, len(numbers)])
    if not len(places) or lengths.min() < (FEWEST_IN_BLOCK if len(places) == 1 else NEAR):
        return None
    odd = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    # Fewer rows of one unit at the beginning are the odd ones, as they are at the end.
    if 2 * odd.sum() > len(odd) and (len(places) > 1 or lengths[0] < FEWEST_ROWS):
        odd = ~odd
    if len(places) == 1 and not _are_separate(numbers[odd], numbers[~odd]):
        return None
    if len(places) == 1 and lengths.min() < FEWEST_ROWS:
        scale = scale.likely()
    within = ~np.isin(np.arange(1, len(numbers)), places)
    spread, rest = steps[within & odd[1:]].mean(), steps[within & ~odd[1:]].mean()
    if odd.sum() < FEWEST_IN_BLOCK or not spread or not rest:
        return None
    # Lines are few, and seldom fit by chance.
    sides, usual = _sides(whole, places, odd, WIDTHS if scale.logarithmic else (NEAR,))
    if not usual:
        return None
    turned = odd[places].astype(int)
    found = scale.fitting(
        np.take_along_axis(sides, turned[None], axis=0)[0],
        np.take_along_axis(sides, 1 - turned[None], axis=0)[0],
        usual=usual,
        ratio=float(spread / rest),
        alike=_alike(ALIKE, int(odd.sum())),
        share=(CLOSE if scale.logarithmic else 1.0) * min(1.0, odd.sum() / FEWEST_ROWS),
    )
    if not found:
        return None
    starts = np.flatnonzero(np.diff(odd.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(odd.astype(int), append=0) == -1)
    return _Change(
        int(starts[0]), int(ends[0]) if ends[0] < len(odd) - 1 or len(places) > 1 else None, len(starts), found
    )


def _sides(
    numbers: NDArray[np.float64], places: NDArray[np.int64], odd: NDArray[np.bool_], widths: tuple[int, ...]
) -> tuple[NDArray[np.float64], float]:
    """Levels before and after each place, (2, places), of as many rows as move least elsewhere; and how much they do.

    Where each number is much like the one before, few rows say best what the next are; many do where they are noise.
    """
    shortest = int(np.diff([0, *places, len(numbers)]).min())
    best = np.zeros((2, len(places))), 0.0
    for width in widths:
        if width > shortest:
            continue
        levels = pl.Series(numbers).rolling_median(width).to_numpy()[width - 1 :]
        moves = np.abs(levels[width:] - levels[:-width])
        # Where all rows that a move is of are in the unit of the rest.
        calm = moves[~np.lib.stride_tricks.sliding_window_view(odd, 2 * width).any(axis=1)]
        usual = float(np.quantile(calm, USUAL)) if len(calm) >= FEWEST_ROWS else 0.0
        usual *= 1.0 if width == NEAR else SLACK
        if usual and (not best[1] or usual < best[1]):
            best = np.stack((levels[places - width], levels[places])), usual
    return best


def _are_separate(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether almost all numbers of one side are above almost all of the other."""
    low, high = np.quantile(one, (1 - SEPARATE, SEPARATE)), np.quantile(other, (1 - SEPARATE, SEPARATE))
    return bool(low[0] > high[1] or high[0] > low[1])


def _leaps(moves: NDArray[np.float64]) -> list[int]:
    """Rows at which levels leap as nowhere else, in order; none where they leap nowhere, or often."""
    moves, places, sizes = moves.copy(), [], []
    for _ in range(MOST_LEAPS + 1):
        place = int(moves.argmax())
        places.append(place + NEAR)
        sizes.append(moves[place])
        moves[max(place - NEAR + 1, 0) : place + NEAR] = 0.0
    if not sizes[0]:
        return []
    ratios = np.array(sizes[:-1]) / np.maximum(sizes[1:], 1e-9 * sizes[0])
    count = int(ratios.argmax()) + 1
    return sorted(places[:count]) if ratios[count - 1] >= LEAP else []


# Many short recordings


def _clocks(meaning: Meaning, codes: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """The time of each row, and its place in its recording, by what is the same of rows in which a unit changes."""
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    places = np.arange(len(codes)) - np.repeat(begins, np.diff(np.append(begins, len(codes))))
    clocks = {} if meaning.time is None else {f"at about the same {meaning.time!r}": meaning.times()}
    return clocks | {"at the same row of each": places.astype(np.float64)}


def _at_one_time(
    meaning: Meaning,
    scales: list[_Scale],
    recordings: list[NDArray[np.int64]],
    numbers: NDArray[np.float64],
    clocks: dict[str, NDArray[np.float64]],
) -> str:
    """From which time on many recordings, each too short to say so alone, are in another unit, in words."""
    parts = [rows for rows in recordings if len(rows) > 1]
    if len(parts) < FEWEST_GROUPS:
        return ""
    rows = np.concatenate(parts)
    of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    if len(np.unique(numbers[rows])) < FEWEST_ROWS:
        return ""
    for same, clock in clocks.items():
        best: tuple[list[_Fit], NDArray[np.int64]] | None = None
        for scale in scales:
            values = scale.of(numbers[rows])
            if values is None:
                continue
            found, places = _pooled(scale.large(), values, of, clock[rows])
            if found and (best is None or found[0] < best[0][0]):
                best = found, rows[places]
        if best is not None:
            found, changed = best
            first = changed[meaning.row[changed].argmin()]
            return (
                f"goes on in another unit from {meaning.at(int(first))} on, {_such_as(found)}, and so in "
                f"{len(changed) - 1} more recordings {same}"
            )
    return ""


def _pooled(
    scale: _Scale, values: NDArray[np.float64], of: NDArray[np.int64], clock: NDArray[np.float64]
) -> tuple[list[_Fit], NDArray[np.int64]]:
    """The conversions that fit the steps of many recordings at one time, and the first row of each after it.

    Args:
        scale: of the numbers.
        values: on that scale.
        of: recording of each.
        clock: time of each, in order within each recording.
    """
    none = [], np.zeros(0, dtype=np.int64)
    # Steps are named by the row that they lead to.
    inside = np.flatnonzero(np.diff(of) == 0) + 1
    steps = values[inside] - values[inside - 1]
    longest = inside[np.lexsort((-np.abs(steps), of[inside]))]
    longest = longest[np.diff(of[longest], prepend=-1) != 0]
    after, changed = _at_most_of(clock[longest - 1], clock[longest], values[longest] > values[longest - 1])
    changed = longest[changed]
    spanning = np.sum((clock[inside - 1] < after) & (after <= clock[inside]))
    if len(changed) < max(FEWEST_GROUPS, ONE_OF_MANY * spanning):
        return none
    odd = clock >= after
    # Of each recording, how many numbers are on either side, and the range of these.
    x, later = pl.col("x"), pl.col("odd")
    each = (
        pl.DataFrame({"of": of, "odd": odd, "x": values})
        .filter(pl.col("of").is_in(of[changed]))
        .group_by("of")
        .agg(
            after=later.sum(),
            before=(~later).sum(),
            parted=(x.filter(later).min() > x.filter(~later).max()) | (x.filter(later).max() < x.filter(~later).min()),
        )
    )
    apart = each.filter("parted")
    rows = int(min(apart["after"].sum(), apart["before"].sum()))
    # One row before all others is a baseline, from which anything may step.
    if rows < FEWEST_ROWS or min(apart["after"].median(), apart["before"].median()) < 2:  # pyright: ignore
        return none
    if len(apart) < PARTED * len(each):
        return none
    changed = changed[np.isin(of[changed], apart["of"].to_numpy())]
    among = np.isin(of, of[changed])
    others = ~np.isin(inside, changed)
    in_odd = among[inside] & odd[inside]
    usual, of_odd = np.abs(steps[others & ~in_odd]), np.abs(steps[others & in_odd])
    if not len(usual) or not len(of_odd) or not usual.mean() or not of_odd.mean():
        return none
    stood, moved = values[changed - 1], values[changed]
    found = []
    for conversion in scale.conversions:
        converted = conversion.slope * moved + conversion.shift
        spread = float(np.abs(converted - stood - (converted - stood).mean()).mean())
        way = float(np.abs(converted - moved).mean())
        most = float(np.quantile(np.append(usual, conversion.slope * of_odd), USUAL))
        # What a treatment does differs between those treated, more than what they do by themselves.
        if way < LEAP * most or spread > _alike(ALIKE, len(changed)) * usual.mean():
            continue
        error = STANDARD_ERRORS * 1.25 * max(spread, float(usual.mean())) / len(changed) ** 0.5
        found += scale._replace(conversions=[conversion]).fitting(
            np.array([moved.mean()]),
            np.array([stood.mean()]),
            usual=min(error, usual.mean()) if scale.logarithmic else usual.mean(),
            ratio=float(of_odd.mean() / usual.mean()),
            alike=_alike(ALIKE, rows),
            share=CLOSE if scale.logarithmic else 1.0,
        )
    return sorted(found), changed


def _at_most_of(
    before: NDArray[np.float64], after: NDArray[np.float64], up: NDArray[np.bool_]
) -> tuple[float, NDArray[np.bool_]]:
    """The time that most steps of one sign lead across, and which do; they are from one time to another."""
    best = 0.0, np.zeros(len(up), dtype=bool)
    for way in (up, ~up):
        if way.any():
            times = np.unique(after[way])
            counts = np.searchsorted(np.sort(before[way]), times) - np.searchsorted(np.sort(after[way]), times)
            time = times[counts.argmax()]
            across = way & (before < time) & (time <= after)
            if across.sum() > best[1].sum():
                best = float(time), across
    return best


# Groups


def _in_groups(
    meaning: Meaning,
    scales: list[_Scale],
    keys: dict[tuple[str, ...], NDArray[np.int64]],
    numbers: NDArray[np.float64],
    there: NDArray[np.bool_],
) -> str:
    """Which groups are in another unit than all others, in words."""
    for key, codes in keys.items():
        places = np.flatnonzero(there)
        table = pl.DataFrame({"group": codes[places], "x": numbers[places]})
        change = pl.col("x").diff().abs().drop_nulls().mean()
        logs = pl.col("x").filter(pl.col("x") > 0).log()
        each = table.group_by("group", maintain_order=True).agg(
            level=pl.col("x").median(),
            spread=change,
            least=pl.col("x").min(),
            rows=pl.len(),
            logs=logs.diff().abs().drop_nulls().mean(),
        )
        if each.height <= FEWEST_GROUPS:
            continue
        level = each["level"].to_numpy()
        best: tuple[list[_Fit], NDArray[np.int64]] | None = None
        for scale in scales:
            levels = None if scale.logarithmic and (each["least"] <= 0).any() else scale.of(level)
            spreads = each["logs" if scale.logarithmic else "spread"].fill_null(0.0).to_numpy()
            if levels is None:
                continue
            rows = each["rows"].to_numpy()
            for conversions, bounds in ((scale, ANY), (scale.telling(), NAMED)):
                for odd in _apart(levels, bounds, scale.logarithmic):
                    found = _fitting_groups(conversions, bounds, levels, spreads, rows, odd)
                    if found and (best is None or found[0] < best[0][0]):
                        best = found, np.flatnonzero(odd)
        if best is not None:
            found, odd = best
            rows = places[np.isin(codes[places], each["group"].to_numpy()[odd])]
            # Groups in the order of the file.
            rows = rows[np.argsort(meaning.row[rows], kind="stable")]
            named = meaning.frame[rows].select(key).unique(maintain_order=True).rows()
            which = listed((" ".join(map(str, row)) for row in named), 5, quote=False)
            return (
                f"is in another unit in {' '.join(map(repr, key))} {which} (from {meaning.at(int(rows[0]))} on) "
                f"than in all others, {_such_as(found)}"
            )
    return ""


def _apart(levels: NDArray[np.float64], bounds: _Bounds, logarithmic: bool) -> Iterator[NDArray[np.bool_]]:
    """Few groups whose levels are far above, or far below, those of all others."""
    order = np.argsort(levels)
    gaps = np.diff(levels[order])
    few = max(int(bounds.few * len(levels)), 1)
    for upper in (True, False):
        gap = int(gaps[-few:].argmax()) + len(gaps) - few if upper else int(gaps[:few].argmax())
        odd = np.zeros(len(levels), dtype=bool)
        odd[order[gap + 1 :] if upper else order[: gap + 1]] = True
        rest = levels[~odd]
        deviation = float(rest.std(ddof=1))
        far = FAR * (1 + 2 / len(rest)) * (2 if logarithmic and deviation > bounds.varied else 1)
        # Set points, of which several groups have the same, are chosen.
        if len(rest) >= FEWEST_GROUPS and gaps[gap] > far * deviation > 0 and 2 * len(np.unique(rest)) > len(rest):
            yield odd


def _fitting_groups(
    scale: _Scale,
    bounds: _Bounds,
    levels: NDArray[np.float64],
    spreads: NDArray[np.float64],
    rows: NDArray[np.int64],
    odd: NDArray[np.bool_],
) -> list[_Fit]:
    """The conversions that bring the levels of odd groups among those of the others, and their spreads too."""
    rest = levels[~odd]
    vary = bool(np.median(spreads[odd]) and np.median(spreads[~odd]))
    if not vary and not scale.logarithmic:
        # Of what is the same throughout each group, such as a weight, one factor is enough to say.
        return []
    return scale.fitting(
        levels[odd],
        np.full(odd.sum(), rest.mean()),
        usual=bounds.among * float(rest.std(ddof=1)),
        ratio=float(np.median(spreads[odd]) / np.median(spreads[~odd])) if vary else 1.0,
        alike=_alike(bounds.alike, int(rows[odd].min())),
        share=bounds.close if scale.logarithmic else 1.0,
    )


def _alike(ratio: float, rows: int) -> float:
    """How far from 1 the ratio of two spreads may be, as a factor, where one is that of rows that may be few."""
    return ratio ** max(1.0, (FEWEST_ROWS / rows) ** 0.5)
