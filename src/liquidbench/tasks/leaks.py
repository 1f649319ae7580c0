"""Features that tell the target of a user's table too well to be true.

A leak may stand in the row of the target or in one before, be a copy in other units or on another scale, or be what the
target adds up to.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import words
from liquidbench.tasks.draft import correlation, last_digit
from liquidbench.tasks.features import FEWEST_TO_SUSPECT, MOST_CATEGORIES, MOST_CLASSES
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.tasks.task import Recording
from liquidbench.wording import listed

LEAK = 0.999
"""Correlation with the target, or AUROC for one of its classes, beyond which a feature is suspected of being the
target in disguise."""
TOGETHER = 0.99999
"""Correlation beyond which several columns are suspected of being what the target was computed from."""
CLEARLY = 10
"""Times as far from perfect as a suspect is what the target's own past tells of it: a smooth signal tells itself, and
whatever goes with it, almost perfectly."""
AHEAD = 24
"""Rows up to which a feature is looked at as the target of a later row."""
ANCHORS = 50
"""Rows of which what a feature has in them is sought among all later targets; and distinct numbers that it has."""
PERIODS = 4 * AHEAD
"""Rows up to which the target is looked at as its own past."""
CONCORDANT = 0.99
"""Share of the steps in which a copy on another scale goes the target's way."""
SPANS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Rows over which targets are added up, until their sums differ by more than the rounding of what adds them up."""
FEWEST_SPANS = 20
"""Spans of so many rows in which they are, by no accident."""
RESETS = 0.9
"""Share of the rows in which a sum goes on from the row before."""
UP_TO_DIGITS = 0.95
"""Share of the rows in which a formula has to give the target up to its last digit."""
BOTH_WAYS = 0.1
"""Share of the target's steps that go up, and that go down; what only grows goes with all else that does."""
FEWEST_GROUPS = 3
"""Recordings in each of which a feature goes along with the target, on a scale of its own, by no accident."""
CHANCE = 1e-4
"""Probability with which a value would go with one class by accident, below which it goes with no other."""
COVERED = 0.5
"""Share of a class from which on it is told by values that go with no other class."""
MOST_COMPARED = 20
"""Columns of which each is compared with each, in search of two of which one is larger for one class."""
ROWS_PER_COLUMN = 10
"""Rows for each column without which several together tell any target."""
MOST_ROWS = 10_000
"""Rows, the first ones, in which all but copies in the same row are looked for."""


@dataclass(frozen=True)
class Rows:
    """All rows, in the order of recordings and times: of each its recording, values and target, and what is known.

    Numbers that may mean that there is no value count as missing, as all columns of a station that is off share them.
    """

    of: NDArray[np.int64]
    times: NDArray[Any]
    values: NDArray[Any]
    observed: NDArray[np.bool_]
    targets: NDArray[Any]
    known: NDArray[np.bool_]

    def pairs(self, column: int, ahead: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
        """A feature's values, and the target so many rows later within the same recording."""
        count = max(len(self.of) - ahead, 0)
        both = self.observed[:count, column] & self.known[ahead:] & (self.of[:count] == self.of[ahead:])
        return self.values[:count][both, column], self.targets[ahead:][both]

    def head(self, rows: int) -> "Rows":
        """The first rows."""
        return Rows(*(array[:rows] for array in vars(self).values()))


def suspects(meaning: Meaning, sequences: Sequences, found: set[str]) -> Iterator[str]:
    """A sentence for each feature that is suspected of being the target in disguise, and for several that tell it.

    Args:
        meaning: of the table.
        sequences: of the table.
        found: where columns are put that a sentence has named.
    """
    rows = all_rows(meaning, sequences.recordings)
    way = "if it is not known when the prediction is made, leave it out (features: in a study)"
    # What a slow target says of its own next value is no leak, only what says more than that is.
    names = [feature.name for feature in meaning.feature_columns]
    own = correlation(*rows.pairs(names.index(meaning.target))) if meaning.forecasts else 0.0
    for column, name in enumerate(names):
        if how := _tells_target(meaning, *rows.pairs(column), least=max(LEAK, own)):
            found.add(meaning.sources[column])
            yield f"leak suspect: {name!r} {how}; {way}"
        elif not meaning.forecasts and (how := _is_there_by_target(meaning, rows, column)):
            found.add(meaning.sources[column])
            yield (
                f"leak suspect: {meaning.sources[column]!r} is {how}, and models are told which values are missing; if "
                "it is filled in only once the target is known, leave it out (features: in a study)"
            )
    if meaning.classes is not None:
        yield from _values_of_classes(meaning, rows, found)
    if meaning.per == "sequence":
        return
    first = rows.head(MOST_ROWS)
    if meaning.classes is not None:
        yield from _compared(meaning, first, found)
    past = tells_itself(meaning, first)
    for column, source in enumerate(meaning.sources):
        if source not in found and source != meaning.target and (how := _tells_row(meaning, first, column, past)):
            found.add(source)
            yield f"leak suspect: {source!r} {how}; {way}"


def all_rows(meaning: Meaning, recordings: list[Recording]) -> Rows:
    """All rows of some recordings; where there is one target for each, it is that of each of its rows."""
    lengths = [len(recording) for recording in recordings]
    if meaning.per == "sequence":
        each = [np.ravel(recording.targets)[0] for recording in recordings]
        targets, known = np.repeat(np.array(each), lengths), np.ones(sum(lengths), dtype=bool)
    else:
        targets = np.concatenate([np.ravel(recording.targets) for recording in recordings])
        known = np.concatenate([recording.target_mask for recording in recordings])  # pyright: ignore
    values = np.concatenate([recording.values for recording in recordings])
    observed = np.concatenate([recording.observed for recording in recordings])
    if meaning.classes is None:
        for place, source in enumerate(meaning.sources):
            observed[:, place] &= ~np.isin(values[:, place], meaning.sentinels.get(source, []))
        known &= ~np.isin(np.ravel(targets), meaning.sentinels.get(meaning.target, []))
    return Rows(
        of=np.repeat(np.arange(len(recordings)), lengths),
        times=np.concatenate([recording.times for recording in recordings]),
        values=values,
        observed=observed,
        targets=targets,
        known=known,
    )


def _is_there_by_target(meaning: Meaning, rows: Rows, column: int) -> str | None:
    """Whether a feature is there almost exactly where the target is of one class, or where it is not 0."""
    targets, classes = rows.targets[rows.known], meaning.classes
    there = rows.observed[rows.known, column].astype(np.float64)
    if classes is not None:
        ranked = auroc(there, targets, len(classes))
        best = int(ranked.argmax())
        if ranked[best] > LEAK:
            inside = there[targets == best].mean() > 0.5
            return f"{'filled' if inside else 'empty'} almost exactly where {meaning.target!r} is {classes[best]!r}"
    elif auroc(there, (targets != 0).astype(np.int64), 2)[0] > LEAK:
        return f"filled or empty almost exactly where {meaning.target!r} is not 0"
    return None


def _tells_target(meaning: Meaning, values: NDArray[Any], targets: NDArray[Any], least: float) -> str | None:
    """In which way a feature tells the target, if it does so almost perfectly."""
    if meaning.classes is not None and _pairs_off(values, targets):
        return f"tells {meaning.target!r} exactly, value for value"
    if meaning.classes is None or len(meaning.classes) == 2:
        r = correlation(values, targets)
        if r > least:
            ahead = "'s next value" if meaning.forecasts else ""
            return f"correlates with {meaning.target!r}{ahead} almost perfectly (|r| = {r:.5f})"
    if meaning.classes is not None:
        ranked = auroc(values, targets, len(meaning.classes))
        best = int(ranked.argmax())
        if ranked[best] > least:
            return (
                f"alone tells class {meaning.classes[best]!r} of {meaning.target!r} from all others almost perfectly "
                f"(AUROC {ranked[best]:.5f})"
            )
    return None


def tells_itself(meaning: Meaning, rows: Rows) -> float:
    """How well the target of an earlier row, or of the two rows before, tells the target, at best."""
    best = 0.0
    for back in range(1, min(PERIODS, len(rows.of) - 1) + 1):
        both = rows.known[:-back] & rows.known[back:] & (rows.of[:-back] == rows.of[back:])
        before, now = rows.targets[:-back][both], rows.targets[back:][both]
        # Too few pairs, as far back in short recordings, say anything.
        if len(now) < len(rows.of) / 4:
            continue
        best = max(best, correlation(before, now) if meaning.classes is None else float(np.mean(before == now)))
    if meaning.classes is not None or len(rows.of) < 3:
        return best
    # A sum of the two rows before is what goes on a sine of any period.
    three = rows.known[2:] & rows.known[1:-1] & rows.known[:-2] & (rows.of[2:] == rows.of[:-2])
    last, now = np.stack([rows.targets[1:-1][three], rows.targets[:-2][three]], axis=1), rows.targets[2:][three]
    if len(now) < len(rows.of) / 4:
        return best
    last = last - last.mean(axis=0)
    return max(best, correlation(last @ np.linalg.lstsq(last, now - now.mean())[0], now))


def _tells_row(meaning: Meaning, rows: Rows, column: int, past: float) -> str | None:
    """Whether a feature is the target of a later row, or the target is its change or a copy on another scale."""
    here = _strength(meaning, *rows.pairs(column))
    for ahead in range(1, AHEAD + 1):
        values, targets = rows.pairs(column, ahead)
        if len(values) < len(rows.of) / 4:
            break
        if is_clear(_strength(meaning, values, targets), max(here, past)):
            return (
                f"tells {meaning.target!r} of {'the next row' if ahead == 1 else f'{ahead} rows later'} almost exactly"
            )
    if meaning.kind == "regression" and (ahead := _copied_from(rows, column)):
        return f"holds {meaning.target!r} of {ahead} rows later"
    there = rows.observed[:, column]
    steps = there[1:] & there[:-1] & (np.diff(rows.of) == 0)
    changes = np.diff(rows.values[:, column])
    if meaning.kind == "classification":
        both = steps & rows.known[1:]
        if is_clear(_strength(meaning, changes[both], rows.targets[1:][both]), max(here, past)):
            return f"tells {meaning.target!r} by its change from the row before"
    if meaning.kind != "regression":
        return None
    both = steps & rows.known[1:]
    before = rows.values[:-1, column]
    for how, change in (("its change", changes), ("its relative change", changes / np.where(before, before, np.nan))):
        there = both & np.isfinite(change)
        if is_clear(correlation(change[there], rows.targets[1:][there]), max(here, past)):
            return f"tells {meaning.target!r}, which is {how} from the row before"
    if _adds_up(changes[both], rows.targets[1:][both]) or _adds_up_but_for_rounding(rows, column):
        return f"adds up {meaning.target!r}, which is its change from the row before"
    both = steps & rows.known[1:] & rows.known[:-1]
    ways = np.sign(changes[both]), np.sign(np.diff(rows.targets)[both])
    if _go_together(*ways) and correlation(*map(_ranks, rows.pairs(column))) > LEAK:
        return f"is {meaning.target!r} on another scale: the larger one is, the {_or_smaller(*ways)} is the other"
    # What only grows goes with all else that does, also rounded, and in each recording.
    if _goes_both_ways(ways[1]):
        if np.count_nonzero(ways[0]) >= ROWS_PER_COLUMN and _is_in_steps(*rows.pairs(column)):
            return f"is {meaning.target!r} in steps: each of its values has a range of targets to itself"
        if _goes_along_in_each(rows, column):
            return f"correlates with {meaning.target!r} almost perfectly within each {meaning.group!r}"
    return None


def _copied_from(rows: Rows, column: int) -> int | None:
    """How many rows later, beyond `AHEAD`, the target is what a feature is now; None where it is at no distance."""
    values, there = rows.values[:, column], np.flatnonzero(rows.observed[:, column])
    if len(np.unique(values[there])) < ANCHORS:
        return None
    aheads = []
    for row in there[:: max(len(there) // ANCHORS, 1)]:
        same = np.isclose(rows.targets, values[row], rtol=1e-6, atol=0) & rows.known & (rows.of == rows.of[row])
        aheads.append(np.flatnonzero(same) - row)
    found, counts = np.unique(np.concatenate(aheads), return_counts=True)
    found, counts = found[found > AHEAD], counts[found > AHEAD]
    if not len(found):
        return None
    ahead = int(found[counts.argmax()])
    now, later = rows.pairs(column, ahead)
    copied = len(now) >= ANCHORS and np.isclose(now, later, rtol=1e-6, atol=0).mean() >= UP_TO_DIGITS
    return ahead if copied else None


def _adds_up(changes: NDArray[Any], targets: NDArray[Any]) -> bool:
    """Whether targets are the changes of a sum that begins again now and then, as each month."""
    near = 1e-6 * float(np.median(np.abs(targets))) if len(targets) else 0.0
    equal = np.isclose(changes, targets, rtol=1e-6, atol=near)
    several = len(np.unique(targets[equal & (targets != 0)])) >= ROWS_PER_COLUMN
    return several and bool(equal.mean() >= RESETS and equal[targets != 0].mean() >= RESETS)


def _adds_up_but_for_rounding(rows: Rows, column: int) -> bool:
    """Whether the targets of several rows are the change of a sum over these, of which the last digit is coarse."""
    values, known = rows.values[:, column], rows.observed[:, column] & rows.known
    digits = last_digit(values[known]), last_digit(rows.targets[known])
    if not digits[0] > digits[1]:
        return False
    sums = np.cumsum(np.where(known, rows.targets, 0.0))
    unknown = np.cumsum(~known)
    for length in SPANS:
        ends = np.arange(length, len(values), length)
        starts = ends - length
        whole = (rows.of[starts] == rows.of[ends]) & known[starts] & (unknown[starts] == unknown[ends])
        changes, added = (numbers[ends[whole]] - numbers[starts[whole]] for numbers in (values, sums))
        if len(added) < FEWEST_SPANS:
            return False
        near = digits[0] + length * digits[1] / 2
        # Most sums have to differ, not only those of a few rows.
        if np.ptp(np.quantile(added, (0.1, 0.9))) > CLEARLY * near:
            return bool(np.mean(np.abs(changes - added) <= near) >= RESETS)
    return False


def _is_in_steps(values: NDArray[Any], targets: NDArray[Any]) -> bool:
    """Whether each value has a range of targets to itself, in the order of the values, as a rounded copy has."""
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    if np.count_nonzero(counts >= FEWEST_TO_SUSPECT) < 2:
        return False
    least, most = np.full(len(distinct), np.inf), np.full(len(distinct), -np.inf)
    np.minimum.at(least, place, targets)
    np.maximum.at(most, place, targets)
    # A night has no sunshine and a closed shop no sales: what is told apart has to vary on both sides.
    if len(distinct) == 2 and (least == most).any():
        return False
    return bool((most[:-1] < least[1:]).all() or (least[:-1] > most[1:]).all())


def _goes_along_in_each(rows: Rows, column: int) -> bool:
    """Whether a feature goes along with the target in all recordings, as what was computed from each of them does."""
    both = rows.observed[:, column] & rows.known
    of, values, targets = rows.of[both], rows.values[both, column], rows.targets[both]
    parts = np.flatnonzero(np.diff(of)) + 1
    pairs = [pair for pair in zip(np.split(values, parts), np.split(targets, parts), strict=True)]
    pairs = [(here, there) for here, there in pairs if len(here) >= ROWS_PER_COLUMN and np.ptp(there)]
    return len(pairs) >= FEWEST_GROUPS and all(correlation(here, there) > LEAK for here, there in pairs)


def _strength(meaning: Meaning, values: NDArray[Any], targets: NDArray[Any]) -> float:
    """How well values tell the targets: 1 perfectly."""
    if meaning.classes is None:
        return correlation(values, targets)
    return float(auroc(values, targets, len(meaning.classes)).max()) if len(values) else 0.0


def is_clear(strength: float, others: float) -> bool:
    """Whether something tells the target almost perfectly, and far better than anything else does."""
    return strength > LEAK and CLEARLY * (1 - strength) < 1 - others


def _go_together(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether steps have the same signs, or opposite ones, and go both ways."""
    products = (one * other)[(one != 0) & (other != 0)]
    if len(products) < len(one) / 2 or len(products) < ROWS_PER_COLUMN:
        return False
    return _goes_both_ways(other) and bool(abs(products.mean()) >= 2 * CONCORDANT - 1)


def _goes_both_ways(steps: NDArray[Any]) -> bool:
    return len(steps) > 0 and bool(min(np.mean(steps > 0), np.mean(steps < 0)) >= BOTH_WAYS)


def _or_smaller(one: NDArray[Any], other: NDArray[Any]) -> str:
    return "larger" if (one * other).sum() > 0 else "smaller"


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    return pl.Series(values).rank().to_numpy()


def _values_of_classes(meaning: Meaning, rows: Rows, found: set[str]) -> Iterator[str]:
    """Columns with values that go with one class only and together tell it, as finer classes do, or flags of causes."""
    assert meaning.classes is not None
    known, count = rows.known, len(meaning.classes)
    targets = np.ravel(rows.targets)[known].astype(np.int64)
    share = np.bincount(targets, minlength=count) / max(len(targets), 1)
    of_class: dict[int, list[tuple[str, NDArray[np.bool_]]]] = {}
    for place, source in enumerate(meaning.sources):
        column, there = rows.values[known, place], rows.observed[known, place]
        distinct = np.unique(column[there])
        if source in found or words.is_part(source):
            continue
        if len(distinct) > MOST_CATEGORIES:
            # An amount that is 0, or missing, wherever there is none.
            cases_of = [there & (column != 0)] if (column[there] == 0).any() else [] if there.all() else [there]
        else:
            # Of a category's column, 0 says nothing of its own.
            of_text = meaning.frame[source].dtype == pl.String
            cases_of = [there & (column == value) for value in (distinct[distinct != 0] if of_text else distinct)]
        for rows_of in cases_of:
            one = targets[rows_of][0]
            # Rows that follow one another are one case.
            begins = np.diff(rows_of.astype(np.int8), prepend=0) > 0
            begins[1:] |= rows_of[1:] & (np.diff(rows.of[known]) != 0)
            cases = int(begins.sum())
            if (targets[rows_of] == one).all() and cases >= FEWEST_TO_SUSPECT and share[one] ** cases < CHANCE:
                of_class.setdefault(int(one), []).append((source, rows_of))
    for one, values in of_class.items():
        covered = np.any([rows_of for _, rows_of in values], axis=0).sum() / (share[one] * len(targets))
        sources = list(dict.fromkeys(source for source, _ in values))
        if covered >= COVERED and not found.issuperset(sources):
            found.update(sources)
            has, they = ("has", "it is") if len(sources) == 1 else ("have", "they are")
            yield (
                f"leak suspect: {listed(sources)} {has} values that go with class {meaning.classes[one]!r} of "
                f"{meaning.target!r} only, in {min(covered, 1):.0%} of its rows; if {they} not known when the "
                f"prediction is made, leave {'it' if len(sources) == 1 else 'them'} out (features: in a study)"
            )


def _compared(meaning: Meaning, rows: Rows, found: set[str]) -> Iterator[str]:
    """Two columns of which one is larger for one class, as a match is won by whoever has more goals."""
    assert meaning.classes is not None
    places = [
        place
        for place, source in enumerate(meaning.sources)
        if source not in found and meaning.frame[source].dtype.is_numeric() and source not in meaning.presence
    ]
    targets = np.ravel(rows.targets)
    for one, other in itertools.combinations(places[:MOST_COMPARED], 2):
        both = rows.known & rows.observed[:, one] & rows.observed[:, other]
        first, second, classes = rows.values[both, one], rows.values[both, other], targets[both].astype(np.int64)
        ranked = auroc(first - second, classes, len(meaning.classes))
        alone = [auroc(values, classes, len(meaning.classes)) for values in (first, second)]
        best = int(ranked.argmax())
        if len(classes) and is_clear(float(ranked[best]), max(float(ranks[best]) for ranks in alone)):
            names = meaning.sources[one], meaning.sources[other]
            found.update(names)
            yield (
                f"leak suspect: the difference of {names[0]!r} and {names[1]!r} tells class {meaning.classes[best]!r} "
                f"of {meaning.target!r} from all others (AUROC {ranked[best]:.5f}); if they are not known when the "
                "prediction is made, leave one out (features: in a study)"
            )
            return


def _pairs_off(values: NDArray[Any], classes: NDArray[np.int64]) -> bool:
    """Whether each value goes with one class only and each class with one value, more often than chance explains."""
    distinct = np.unique(values)
    if not 1 < len(distinct) <= min(MOST_CLASSES, len(values) / FEWEST_TO_SUSPECT):
        return False
    together = np.unique(np.stack([values, classes]), axis=1).shape[1]
    return together == len(distinct) == len(np.unique(classes))


def auroc(values: NDArray[Any], targets: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """How well ranks of the values, up or down, tell each class from all others: 0.5 for not at all, 1 perfectly."""
    _, inverse, ties = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[inverse]
    counts = np.bincount(targets, minlength=classes)
    above = np.bincount(targets, weights=ranks, minlength=classes) - counts * (counts + 1) / 2
    others = len(targets) - counts
    enough = np.minimum(counts, others) >= FEWEST_TO_SUSPECT
    area = np.where(enough, above / np.maximum(counts * others, 1), 0.5)
    return np.maximum(area, 1 - area)
