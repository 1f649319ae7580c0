"""Columns of which some numbers are in another unit than the rest: from some row on, in blocks of rows, in some groups.

A change of units moves numbers by a known conversion and by nothing else. `_Scale.fitting` judges that for all of them:
converted, the odd numbers are where the rest are, and vary as these do. Before, they were far from them, where nothing
else is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import groups
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.wording import listed

NEAR = 5
"""Rows on either side of a change of units that say how large its step is."""
FEWEST_ROWS = 20
"""Rows of each unit, and distinct numbers of a column, that are no accident; also rows of a group."""
FEWEST_IN_BLOCK = 7
"""Rows, as of a week, that are enough where the numbers go back to the first unit."""
MOST_LEAPS = 6
"""Changes of units in one recording; what goes to and fro more often is a machine that is switched on and off."""
LEAP = 1.5
"""Times as long as any other a step is, between rows before and after, where the unit changes."""
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
FEW = 0.1
"""Share of the groups up to which they are the odd ones."""
FAR = 2.5
"""Standard deviations of the levels of all other groups between the nearest of them and an odd one."""
AMONG = 2
"""Standard deviations from the mean of all others within which a level is among them."""
VARIED = 0.17
"""Standard deviation of logarithms from which on levels may differ by factors, and few are far from the rest: `FAR`
then counts twice."""


class _Conversion(NamedTuple):
    """How numbers in another unit become those of the rest, on a scale on which that is a line."""

    what: str
    slope: float
    shift: float


class _Scale(NamedTuple):
    """The numbers themselves, or their logarithms, on which factors are shifts."""

    logarithmic: bool
    conversions: list[_Conversion]

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
    ) -> list[tuple[float, str]]:
        """The conversions that make odd numbers the same quantity as the rest, from the best on.

        Args:
            odd: levels of the odd numbers.
            rest: what each of them should be in the unit of the rest.
            usual: how far levels of the rest are from one another.
            ratio: of the spread of odd numbers to that of the rest; 1 where there is none.
            alike: how far from 1 it may be, as a factor, once converted.
            share: of what a conversion moves, which levels may be off by then.

        Returns:
            For each how far levels are from what they should be, in relation to what is usual; and its words.
        """
        found = []
        grown = float(np.median(odd / rest)) if (odd * rest > 0).all() else 0.0
        for what, slope, shift in self.conversions:
            converted = slope * odd + shift
            away = float(np.abs(converted - rest).max())
            alone = abs(np.log(slope * ratio))
            # What varies more as it is larger has grown; degrees of another scale do not.
            has_grown = not self.logarithmic and grown and abs(np.log(ratio / grown)) < alone
            if away <= min(usual, share * np.abs(converted - odd).min()) and alone <= np.log(alike) and not has_grown:
                found.append((away / usual, what))
        return sorted(found)


def _scales() -> tuple[_Scale, _Scale]:
    """The two scales with all conversions, each of them forth and back."""
    lines, shifts = [], []
    for first, second, scale, offset in (
        ("°F", "°C", 1.8, 32.0),
        ("K", "°C", 1.0, 273.15),
        ("°F", "K", 1.8, -459.67),
    ):
        # A number x of the second unit is scale x + offset of the first.
        lines.append(_Conversion(f"{second}, the rest in {first}", scale, offset))
        lines.append(_Conversion(f"{first}, the rest in {second}", 1 / scale, -offset / scale))
    for factor in (10.0**6, 10.0**5, 10.0**4, 10.0**3, 10.0**2, 10.0, 3600.0, 60.0, 3.6):
        shifts.append(_Conversion(f"numbers {factor:,.10g} times as large as the rest", 1.0, -np.log(factor)))
        shifts.append(_Conversion(f"numbers {factor:,.10g} times as small as the rest", 1.0, np.log(factor)))
    for small, large, factor in (
        ("hPa", "inHg", 33.8639),
        ("mg/dL", "mmol/L", 18.016),
        ("µmol/L", "mg/dL", 88.42),
        ("kWh", "m³ of gas", 10.55),
        ("ft", "m", 3.28084),
        ("cm", "in", 2.54),
        ("lb", "kg", 2.20462),
    ):
        shifts.append(_Conversion(f"{small}, the rest in {large}", 1.0, -np.log(factor)))
        shifts.append(_Conversion(f"{large}, the rest in {small}", 1.0, np.log(factor)))
    return _Scale(False, lines), _Scale(True, shifts)


SCALES = _scales()


def suspects(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for each column that is partly in another unit, as it seems."""
    codes = meaning.codes()
    recordings = np.split(np.arange(len(codes)), np.flatnonzero(np.diff(codes)) + 1)
    levels = dict.fromkeys([meaning.key, meaning.key[:1]] if meaning.key else [])
    keys = {key: groups.codes(meaning.frame, key) for key in levels}
    for name in dict.fromkeys((*meaning.sources, meaning.target)):
        column = meaning.frame[name]
        if not column.dtype.is_numeric() or (name == meaning.target and meaning.classes is not None):
            continue
        numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        # 0 is the same in most units.
        gone = np.isnan(numbers) | (numbers == 0) | np.isin(numbers, meaning.sentinels.get(name, []))
        rows = [part[~gone[part]] for part in recordings]
        if said := _in_rows(meaning, rows, numbers) or _in_groups(meaning, keys, numbers, ~gone):
            yield f"{name!r} {said}; bring all of it to one unit"


def _such_as(found: list[tuple[float, str]]) -> str:
    """The conversions that fit, in words: which it is, is a guess."""
    return f"as it seems (such as {', or '.join(what for _, what in found[:2])})"


# Rows


class _Change(NamedTuple):
    """Rows in another unit: places of the first and the last row of the first block, None where it stays; how many."""

    first: int
    last: int | None
    blocks: int
    found: list[tuple[float, str]]


def _in_rows(meaning: Meaning, recordings: list[NDArray[np.int64]], numbers: NDArray[np.float64]) -> str:
    """From which row on, or in which blocks, numbers are in another unit, in words."""
    changes = [(rows, found) for rows in recordings if (found := _change(numbers[rows]))]
    if not changes:
        return ""
    rows, change = changes[0]
    first = meaning.at(int(rows[change.first]))
    more = f", and {change.blocks - 1} more times" * (change.blocks > 1)
    more += f", and so in {len(changes) - 1} more recordings" * (len(changes) > 1)
    if change.last is None:
        return f"goes on in another unit from {first} on, {_such_as(change.found)}{more}"
    last = meaning.at(int(rows[change.last]))
    return f"is in another unit from {first} to {last}, {_such_as(change.found)}{more}"


def _change(numbers: NDArray[np.float64]) -> _Change | None:
    """Where the numbers of a recording are in another unit for good or for a while, if they are."""
    if len(numbers) < 2 * FEWEST_ROWS or len(np.unique(numbers)) < FEWEST_ROWS:
        return None
    medians = pl.Series(numbers).rolling_median(NEAR).to_numpy()[NEAR - 1 :]
    changes = [_change_on(scale, numbers, medians) for scale in SCALES]
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
    if not len(places) or lengths.min() < (FEWEST_ROWS if len(places) == 1 else NEAR):
        return None
    odd = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    if len(places) > 1:
        odd = ~odd if 2 * odd.sum() > len(odd) else odd
    elif not _are_separate(numbers[odd], numbers[~odd]):
        return None
    within = ~np.isin(np.arange(1, len(numbers)), places)
    spread, rest = steps[within & odd[1:]].mean(), steps[within & ~odd[1:]].mean()
    # Where all rows that a move is of are in the unit of the rest.
    calm = ~np.lib.stride_tricks.sliding_window_view(odd, 2 * NEAR).any(axis=1)
    if odd.sum() < FEWEST_IN_BLOCK or not calm.any() or not spread or not rest:
        return None
    sides = np.stack((levels[places - NEAR], levels[places]))
    turned = odd[places].astype(int)
    found = scale.fitting(
        np.take_along_axis(sides, turned[None], axis=0)[0],
        np.take_along_axis(sides, 1 - turned[None], axis=0)[0],
        usual=float(np.quantile(moves[calm], USUAL)),
        ratio=float(spread / rest),
        # A few steps say less of how large they are.
        alike=ALIKE ** max(1.0, (FEWEST_ROWS / odd.sum()) ** 0.5),
        share=CLOSE if scale.logarithmic else 1.0,
    )
    if not found:
        return None
    starts = np.flatnonzero(np.diff(odd.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(odd.astype(int), append=0) == -1)
    return _Change(int(starts[0]), int(ends[0]) if len(places) > 1 else None, len(starts), found)


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


# Groups


def _in_groups(
    meaning: Meaning,
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
            logs=logs.diff().abs().drop_nulls().mean(),
        )
        if each.height <= FEWEST_GROUPS:
            continue
        level = each["level"].to_numpy()
        best: tuple[list[tuple[float, str]], NDArray[np.int64]] | None = None
        for scale in SCALES:
            levels = None if scale.logarithmic and (each["least"] <= 0).any() else scale.of(level)
            spreads = each["logs" if scale.logarithmic else "spread"].fill_null(0.0).to_numpy()
            if levels is None:
                continue
            for odd in _apart(levels, scale.logarithmic):
                found = _fitting_groups(scale, levels, spreads, odd)
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


def _apart(levels: NDArray[np.float64], logarithmic: bool) -> Iterator[NDArray[np.bool_]]:
    """Few groups whose levels are far above, or far below, those of all others."""
    order = np.argsort(levels)
    gaps = np.diff(levels[order])
    few = max(int(FEW * len(levels)), 1)
    for upper in (True, False):
        gap = int(gaps[-few:].argmax()) + len(gaps) - few if upper else int(gaps[:few].argmax())
        odd = np.zeros(len(levels), dtype=bool)
        odd[order[gap + 1 :] if upper else order[: gap + 1]] = True
        rest = levels[~odd]
        deviation = float(rest.std(ddof=1))
        far = FAR * (1 + 2 / len(rest)) * (2 if logarithmic and deviation > VARIED else 1)
        # Set points, of which several groups have the same, are chosen.
        if len(rest) >= FEWEST_GROUPS and gaps[gap] > far * deviation > 0 and 2 * len(np.unique(rest)) > len(rest):
            yield odd


def _fitting_groups(
    scale: _Scale, levels: NDArray[np.float64], spreads: NDArray[np.float64], odd: NDArray[np.bool_]
) -> list[tuple[float, str]]:
    """The conversions that bring the levels of odd groups among those of the others, and their spreads too."""
    rest = levels[~odd]
    vary = bool(np.median(spreads[odd]) and np.median(spreads[~odd]))
    if not vary and not scale.logarithmic:
        # Of what is the same throughout each group, such as a weight, one factor is enough to say.
        return []
    return scale.fitting(
        levels[odd],
        np.full(odd.sum(), rest.mean()),
        usual=AMONG * float(rest.std(ddof=1)),
        ratio=float(np.median(spreads[odd]) / np.median(spreads[~odd])) if vary else 1.0,
        alike=ALIKE,
    )
