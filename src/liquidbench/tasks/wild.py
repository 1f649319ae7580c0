"""Cells of a user's table that are far from all others of their column: wild ones, lost signs, numbers that wrapped.

Several wild cells raise the standard deviation by which they would be judged, and so hide one another. `_far` compares
them with the rest instead: the gap to it has to be wider than the rest is wide, and on a scale of logarithms wider than
the rest's own tail, or any amount, count or rainfall would have some.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates, thousands
from liquidbench.tasks.draft import parted
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences, known_targets
from liquidbench.tasks.task import Scaler
from liquidbench.wording import counted

OUTLIER = 20
"""Standard deviations from its mean beyond which a value is suspected of being an error."""
OUTLIER_SHARE = 0.8
"""Share of a column's variance beyond which the one value behind it is suspected too: with few rows, no value can
be many deviations from a mean and deviation that it has a part in."""

FEWEST = 12
"""Distinct numbers of the rest, on the side of the wild ones, that say how far numbers go."""
MOST_ALONE = 0.05
"""Share of the rows up to which wild cells are no other state, if they stand alone."""
MOST_TOGETHER = 5
"""Rows one after another, with the few that a column may have, up to which they are no other state."""
ALONE = 1.5
"""Wild rows for each place where some are, up to which they stand alone."""
FAR = 5
"""Times as far from the median as all others on their side that wild cells are."""
GAP = 1.5
"""Times the range of the rest that the gap between is wide."""
FEW = 3
"""Wild cells from which on they have to be very far off, or like the rest but for a decimal point."""
VERY_FAR = 20
"""Times the range of the rest that the gap is then wide."""
ALIKE = 0.1
"""Range of wild cells that are alike, as a share of how far they are from the median."""
FEW_EVEN, EVEN = 5, 0.25
"""Wild rows that stand at even distances by no accident; and the deviation of these, as a share of their mean, up to
which they are even."""

CHANGED, SAME, ALIKE_WIDE = 3.0, 1.0, 1.6
"""Standard deviations that columns are apart where they change places, and that they then are from the other's
numbers, which are as wide but for a factor."""

MOST_TURNED = 0.2
"""Share of the rows up to which a sign is the odd one."""
FAR_FROM_0 = 0.2
"""Least distance from 0, as a share of the greatest, of numbers that have one sign."""
SMOOTH = 0.6
"""Mean step from row to row, as a share of that between any two rows, up to which numbers follow one another."""
AS_ELSEWHERE = 2.5
"""Times as long as elsewhere that a step may be where a sign turns, or a number wraps."""

ENDS = tuple((2.0**bits / 10**digits, digits) for bits in (16, 32) for digits in range(4)) + ((256.0, 0),)
"""Where negative numbers wrap, and how many decimals those have that do."""
WRAPPED = 0.2
"""Range of numbers, once unwrapped, as a share of what they wrap at; up to half of it would be possible."""
WRAPPED_FEW = 0.02
"""The same where few have: a wild number may be near any end."""
ACROSS_0 = 0.25
"""Gap across 0, as a share of their range, up to which unwrapped numbers go on there."""
ONE_WAY = 0.75
"""Share of the steps in one direction from which on numbers count, and begin again at the end."""
FEWEST_OF_A_BYTE = 6
"""Rows near either end of a byte's range that are no accident."""
PILED = 0.25
"""Share of the rows at either end of a byte's range from which on it is clipped there."""


def suspects(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for each column of which some cells are far from all others."""
    codes = meaning.codes()
    found: set[str] = set()
    set_apart: dict[str, NDArray[np.bool_] | None] = {}
    for column in meaning.amounts():
        name, numbers = column.name, column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        rows = np.flatnonzero(~np.isnan(numbers) & ~np.isin(numbers, meaning.sentinels.get(name, [])))
        set_apart[name] = _set_apart(numbers)
        if thousands.of_column(meaning, column) is not None:
            found.add(name)
            continue
        # Numbers that are all the same distance off, such as wrapped ones, would be wild ones too.
        for look in (_wrapped, _turned, _wild):
            if len(rows) and (said := look(meaning, numbers[rows], rows, codes[rows])):
                found.add(name)
                yield f"{_named(meaning, name)} {said}"
                break
    yield from _exchanged(meaning, set_apart)
    yield from _exchanged_since(meaning)
    yield from _outliers(meaning, sequences, found)
    if meaning.kind == "regression" and meaning.target not in found:
        yield from _outlying_targets(meaning, sequences)


def _named(meaning: Meaning, name: str) -> str:
    return f"target {name!r}" if name == meaning.target and not meaning.forecasts else f"{name!r}"


def _first(meaning: Meaning, rows: NDArray[np.int64]) -> int:
    """Place of the row that stands first in the file."""
    return int(meaning.row[rows].argmin())


# Wild cells


def _wild(
    meaning: Meaning, numbers: NDArray[np.float64], rows: NDArray[np.int64], codes: NDArray[np.int64]
) -> str | None:
    """Numbers far above or below all others, in words."""
    if len(numbers) < FEWEST:
        return None
    away = numbers - np.median(numbers)
    sides = list(_far(away)), list(_far(-away))
    odd = np.zeros(len(numbers), dtype=bool)
    for side, other in (sides, sides[::-1]):
        for places in side:
            # Those on the other side must not make the rest wide.
            rest = np.delete(numbers, np.concatenate((places, *other[:1])))
            if _are_errors(numbers[places], rest, rows[places], codes[places]):
                odd[places] = True
                break
    if not odd.any():
        return None
    wild, rest = numbers[odd], numbers[~odd]
    first = _first(meaning, rows[odd])
    reaches = f"reaches {wild[first]:.4g} in {meaning.at(int(rows[odd][first]))}"
    if len(wild) > 1:
        reaches += f", and {counted(len(wild) - 1, 'more row')} {'are' if len(wild) > 2 else 'is'} as wild"
    lost = ", such as a decimal point that was lost" if _power_of_ten(wild, rest) else ""
    return (
        f"{reaches}, while all others are {rest.min():.4g} to {rest.max():.4g}: check for errors in the data{lost}, "
        "and empty or correct such cells"
    )


def _far(away: NDArray[np.float64]) -> Iterator[NDArray[np.int64]]:
    """The places of numbers that are much farther from the median than all others on their side, the most first."""
    most = max(dates.few(len(away)), int(MOST_ALONE * len(away)))
    distances = np.sort(away[away > 0])[::-1]
    # Of numbers that come again and again there are fewer than of rows.
    distinct = np.count_nonzero(np.diff(distances)) + 1
    most = min(most, distinct - FEWEST)
    if most < 1:
        return
    last, following = distances[:most], distances[1 : most + 1]
    # Of few numbers, the second is often far from the first.
    tail = (1.2 + 12 / distinct) * np.log(np.maximum(following / np.median(distances), 1))
    far = (last >= FAR * following) & (np.log(last / following) > tail)
    for distance in last[far][::-1]:
        yield np.flatnonzero(away >= distance)


def _are_errors(
    wild: NDArray[np.float64], rest: NDArray[np.float64], rows: NDArray[np.int64], codes: NDArray[np.int64]
) -> bool:
    """Whether numbers are far from all others as errors are, and not as another state, such as that of a motor."""
    gap = float(max(wild.min() - rest.max(), rest.min() - wild.max()))
    if gap <= GAP * np.ptp(rest):
        return False
    order, count = np.argsort(rows), len(rows)
    apart = np.diff(rows[order])
    starts = np.flatnonzero(np.append(True, (apart > 1) | (np.diff(codes[order]) != 0)))
    longest = int(np.diff(starts, append=count).max())
    if count > ALONE * len(starts) and (count > dates.few(count + len(rest)) or longest > MOST_TOGETHER):
        return False
    if count > 1 and not np.ptp(wild) or count >= FEW_EVEN and apart.std() <= EVEN * apart.mean():
        return False
    # Spikes of all sizes are a tail that is seldom seen.
    scattered = np.ptp(wild) > ALIKE * (gap + np.ptp(wild)) and gap > VERY_FAR * np.ptp(rest)
    return count < FEW or bool(scattered) or _power_of_ten(wild, rest)


def _power_of_ten(wild: NDArray[np.float64], rest: NDArray[np.float64]) -> bool:
    """Whether wild numbers are like the rest but for a power of ten, where the rest leaves no choice of it."""
    least, most = np.sort(np.abs((rest.min(), rest.max())))
    if rest.min() * rest.max() <= 0 or most >= 10 * least or not wild.all():
        return False
    shrunk = np.abs(wild) / 10 ** np.round(np.log10(np.abs(wild) / np.abs(np.median(rest))))
    if not ((shrunk >= least) & (shrunk <= most)).all():
        return False
    return len(wild) < FEW or bool(shrunk.std() > 0.3 * rest.std())


# Cells that were exchanged


def _set_apart(numbers: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Few rows whose numbers are apart from all others by more than these range; None where there are none."""
    if len(np.unique(numbers[~np.isnan(numbers)])) < FEWEST:
        return None
    odd, gap, ranges = parted(numbers)
    return odd if gap > min(ranges) and 0 < odd.sum() <= MOST_ALONE * len(numbers) else None


def _exchanged(meaning: Meaning, set_apart: dict[str, NDArray[np.bool_] | None]) -> Iterator[str]:
    """Two columns with numbers of each other's in the same few rows."""
    odd_in = {name: odd for name, odd in set_apart.items() if odd is not None}
    for first, second in itertools.combinations(odd_in, 2):
        odd = odd_in[first]
        if not np.array_equal(odd, odd_in[second]):
            continue
        one, other = (meaning.frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in (first, second))
        if (
            _is_among(one[odd], other[~odd])
            and _is_among(other[odd], one[~odd])
            and _goes_on_with(other, one, odd)
            and _goes_on_with(one, other, odd)
        ):
            rows = np.flatnonzero(odd)
            place = int(rows[_first(meaning, rows)])
            yield (
                f"the numbers of {first!r} and {second!r} are exchanged in {counted(len(rows), 'row')}, as it seems, "
                f"the first of them {meaning.at(place)}: each has there a number as the other has elsewhere, and none "
                "of its own; put them back"
            )


def _is_among(numbers: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether numbers are within the range of others."""
    return bool((numbers >= np.nanmin(others)).all() and (numbers <= np.nanmax(others)).all())


def _goes_on_with(other: NDArray[np.float64], one: NDArray[np.float64], odd: NDArray[np.bool_]) -> bool:
    """Whether another column's numbers in odd rows are nearer to those of a column beside these rows than its own."""
    usual = np.interp(np.flatnonzero(odd), np.flatnonzero(~odd), one[~odd])
    return bool(np.nanmean(np.abs(other[odd] - usual)) < np.nanmean(np.abs(one[odd] - usual)))


def _exchanged_since(meaning: Meaning) -> Iterator[str]:
    """Two columns that change places from a row on, as where a logger's channels were connected the other way."""
    if meaning.key:
        return
    leaps: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for column in meaning.amounts():
        numbers = column.cast(pl.Float64).interpolate().forward_fill().backward_fill().to_numpy()
        # Where the mean changes once, sums of what is above it turn back.
        sums = np.abs(np.cumsum(numbers - numbers.mean()))[:-1] / (numbers.std() or 1.0)
        cut = int(sums.argmax()) + 1 if len(sums) else 0
        if min(cut, len(numbers) - cut) >= FEWEST and _reach(numbers[:cut], numbers[cut:]) > CHANGED:
            leaps[column.name] = numbers, sums
    for (first, (one, above)), (second, (other, below)) in itertools.combinations(leaps.items(), 2):
        if abs(above.argmax() - below.argmax()) > MOST_TOGETHER:
            continue
        cut = int((above + below).argmax()) + 1
        pairs = ((one[:cut], other[cut:]), (other[:cut], one[cut:]))
        if all(
            _reach(*pair) < SAME and max(*map(np.std, pair)) < ALIKE_WIDE * min(*map(np.std, pair)) for pair in pairs
        ):
            yield (
                f"{first!r} and {second!r} change places from {meaning.at(cut)} on, as it seems: each is from there as "
                "the other was before; exchange them back"
            )


def _reach(numbers: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How far apart the means of two sets of numbers are, in their mean standard deviation."""
    width = (numbers.std() + others.std()) / 2
    return float(abs(numbers.mean() - others.mean()) / width) if width else 0.0


# Signs


def _turned(
    meaning: Meaning, numbers: NDArray[np.float64], rows: NDArray[np.int64], codes: NDArray[np.int64]
) -> str | None:
    """Numbers that are the mirror image of the others, in words."""
    negative = numbers < 0
    odd = negative if 2 * negative.sum() <= len(numbers) else ~negative
    sizes, count = np.abs(numbers), int(odd.sum())
    if not 0 < count <= MOST_TURNED * len(numbers) or sizes.min() < FAR_FROM_0 * sizes.max():
        return None
    usual = sizes[~odd]
    if count >= FEW and not np.ptp(sizes[odd]):
        # One number again and again is a mark of missing cells.
        return None
    if sizes[odd].min() < usual.min() or sizes[odd].max() > usual.max() or np.ptp(usual) < ALIKE * usual.max():
        return None
    places = np.flatnonzero(odd)
    together = (np.diff(rows[places]) == 1) & (np.diff(codes[places]) == 0)
    alone = count <= ALONE * (count - together.sum())
    if count > (MOST_ALONE * len(numbers) if alone else dates.few(len(numbers))) and not _go_on(sizes, odd, codes):
        return None
    first = int(rows[odd][_first(meaning, rows[odd])])
    return (
        f"is {'negative' if odd is negative else 'positive'} in {counted(count, 'row')}, the first of them "
        f"{meaning.at(first)}, and else {numbers[~odd].min():.4g} to {numbers[~odd].max():.4g}, of which those are the "
        "mirror image: check whether their sign was lost or turned"
    )


def _go_on(sizes: NDArray[np.float64], odd: NDArray[np.bool_], codes: NDArray[np.int64]) -> bool:
    """Whether numbers follow one another from row to row, and go on so where odd ones begin and end."""
    within = np.diff(codes) == 0
    switch = np.diff(odd.astype(np.int8)) != 0
    steps = np.abs(np.diff(sizes))
    there, elsewhere = steps[within & switch], steps[within & ~switch]
    if not len(there) or not len(elsewhere):
        return False
    # Between any two numbers, by the mean of the distances of those of a normal distribution.
    usual = 2 / np.pi**0.5 * sizes.std()
    return bool(elsewhere.mean() <= SMOOTH * usual and there.mean() <= AS_ELSEWHERE * elsewhere.mean())


# Numbers that wrapped


def _wrapped(
    meaning: Meaning, numbers: NDArray[np.float64], rows: NDArray[np.int64], codes: NDArray[np.int64]
) -> str | None:
    """Negative numbers that were read as large positive ones, in words."""
    if len(numbers) < FEWEST or numbers.min() < 0:
        return None
    inner = np.unique(numbers)
    if len(inner) < FEWEST:
        return None
    cut = int(np.diff(inner).argmax()) + 1
    low, high = inner[:cut], inner[cut:]
    for end, digits in ENDS:
        above, below = float(low[-1]), end - float(high[0])
        odd = numbers > above
        few = min(odd.sum(), (~odd).sum()) < FEW
        if (
            high[-1] >= end
            or above + below > (WRAPPED_FEW if few else WRAPPED) * end
            or end - high[-1] + low[0] > ACROSS_0 * (above + below)
        ):
            continue
        # The few are nearer to 0, once unwrapped, than the others go.
        fewer, more = (below, above) if 2 * odd.sum() <= len(odd) else (above, below)
        scaled = inner * 10**digits
        if fewer > more or np.abs(scaled - scaled.round()).max() > 1e-6 * end:
            continue
        whole = np.where(odd, numbers - end, numbers)
        steps = np.diff(whole)[np.diff(codes) == 0]
        steps = steps[steps != 0]
        if not len(steps) or max(np.mean(steps > 0), np.mean(steps < 0)) >= ONE_WAY:
            continue
        if end == 256 and not _is_of_a_byte(numbers, whole, odd, codes):
            continue
        first = int(rows[odd][_first(meaning, rows[odd])])
        least = f"{high[0]:.6g} to " * (len(high) > 1)
        return (
            f"is {least}{high[-1]:.6g} in {counted(int(odd.sum()), 'row')}, the first of them "
            f"{meaning.at(first)}, and else {low[0] + 0.0:.4g} to {above:.4g}, with nothing between, as negative "
            f"numbers are that wrapped: subtract {end:.10g} from them"
        )
    return None


def _is_of_a_byte(
    numbers: NDArray[np.float64], whole: NDArray[np.float64], odd: NDArray[np.bool_], codes: NDArray[np.int64]
) -> bool:
    """Whether small numbers beside those near 255 are negative ones and not bright ones, say, beside dark ones."""
    piled = max(np.mean(numbers == 0), np.mean(numbers == 255)) > PILED
    return min(odd.sum(), (~odd).sum()) >= FEWEST_OF_A_BYTE and not piled and _go_on(whole, odd, codes)


# By standard deviations


def _outliers(meaning: Meaning, sequences: Sequences, found: set[str]) -> Iterator[str]:
    """Training values so far from the others that they alone set the scale of their feature."""
    values = np.concatenate([recording.values for recording in sequences.splits["train"]])
    observed = np.concatenate([recording.observed for recording in sequences.splits["train"]])
    # What may mean that there is no value is warned of already, and would hide what is far from the others.
    for column, source in enumerate(meaning.sources):
        observed[:, column] &= ~np.isin(values[:, column], meaning.sentinels.get(source, []))
    distances = np.abs(Scaler.fit(values, observed).standardise(values)) * observed
    for column, feature in enumerate(meaning.feature_columns):
        here = values[observed[:, column], column]
        # A flag that is seldom set is far from its mean, and right.
        if meaning.sources[column] in found or len(np.unique(here)) <= 2:
            continue
        row = int(distances[:, column].argmax())
        distance = float(distances[row, column])
        if distance > OUTLIER or distance**2 > OUTLIER_SHARE * len(here):
            yield (
                f"{feature.name!r} reaches {values[row, column]:.4g}, {distance:.0f} standard deviations from its "
                "mean: check for errors in the data"
            )


def _outlying_targets(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    targets = known_targets(sequences.splits["train"], meaning.per).reshape(-1)
    targets = targets[~np.isin(targets, meaning.sentinels.get(meaning.target, []))]
    spread = float(targets.std()) if len(targets) else 0.0
    if not spread:
        return
    distances = np.abs(targets - targets.mean()) / spread
    worst = int(distances.argmax())
    if distances[worst] > OUTLIER or distances[worst] ** 2 > OUTLIER_SHARE * len(targets):
        yield (
            f"target {meaning.target!r} reaches {targets[worst]:.4g} in training, {distances[worst]:.0f} standard "
            "deviations from its mean, by which errors are measured: check for errors in the data"
        )
