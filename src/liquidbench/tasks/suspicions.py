"""What in a user's table deserves a look before any training: leaks, what training never shows, likely errors."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import (
    dates,
    derived,
    features,
    filled,
    formulas,
    groups,
    leaks,
    repeats,
    thousands,
    units,
    wild,
    within,
    words,
)
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences, known_targets
from liquidbench.tasks.task import SPLITS
from liquidbench.wording import counted, listed

STRAYED = 10
"""How many times as long as all other rows of a recording a gap beside a few rows at its end is, to be warned of."""
SHARED = 0.95
"""Share of the times at which all groups have one target, from which on that is no accident."""
YEARS = 3 * 365 * 86400.0
"""Seconds between two rows from which on a clock may have fallen back to its first date."""
APART = 50
"""Times as long as all other spans of a recording together the leap of such a clock is."""

UNITS_OF_TIME = {24: ("days", "hours"), 60: ("minutes", "seconds"), 1000: ("seconds", "milliseconds")}
UNITS_OF_TIME |= {3600: ("hours", "seconds"), 86_400: ("days", "seconds")}
"""Pairs of units of time, by how many times as large a number is in the second."""
SAME_SPAN = 1.25
"""Factor up to which the usual spans of two recordings are alike."""

ENDS = tuple(sorted([*(10**power for power in range(3, 13)), *(2**power for power in (8, 12, 16, 24, 32))]))
"""Numbers at which counters and meters begin again."""
SELDOM = 0.05
"""Share of the steps up to which a counter begins again."""
MOSTLY_UP = 0.75
"""Share of its other steps, but for those of 0, from which on a counter goes up."""
LARGE = 0.1
"""Share of a counter's range from which on its steps are too large to say that it began again."""
FEWEST_STEPS = 20
"""Steps of a counter, or in the order of the target, that are no accident."""
MOST_RESETS = 2
"""Times that a meter begins again in one recording; what does so more often is meant to, as rain since midnight."""

TURNS = {360.0: "np.deg2rad({})", 2 * np.pi: "{}", 24.0: "{} * 2 * np.pi / 24"}
"""Whole turns, of angles and of the hours of a day, and how numbers become radians."""
FEWEST_WRAPS = 5
"""Steps from one end of a turn to the other."""
FAR_ROUND = 0.75
"""Share of a turn from which on a step may be a short one the other way round."""
SHORT = 1 / 8
"""Share of a turn that the usual step is, at most: half of what it is where any value follows any other."""
WRAPS_FOR_JUMPS = 3
"""Times as many steps are wraps as are of half a turn to `FAR_ROUND`, which are none."""
COVERS = 0.01
"""Share of the values that are in each eighth of a turn: what is switched on and off is at its ends."""

FEWEST_AMOUNTS = 12
"""Distinct numbers in training from which on a column is a measurement and no flag or state."""
LONGER = 5
"""Times as long as any time before that a measurement stays the same where it has ended."""
FEWEST_OF_CLASS = 5
"""Rows of a class below which a part of the split says next to nothing of it."""
SMALL = 0.04
"""Share of the rows below which a part of the split is one in name only."""
FEWEST_TARGETS = 50
"""Known targets from which on a part has enough of them, though most of its rows have none as those of others."""


def suspicions(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A sentence for each thing that deserves a look."""
    for suspect in (
        _strayed_times,
        _times_in_another_unit,
        _leaks,
        _shared_target,
        _goes_round,
        _began_again,
        thousands.suspects,
        units.suspects,
        _sorted_by_target,
        _unseen,
        _beyond,
        _ended,
        _few_targets,
        _few_groups,
        filled.suspects,
        wild.suspects,
        repeats.suspects,
    ):
        yield from suspect(meaning, sequences)


def _leaks(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Features that tell the target or know what comes later, each named once."""
    found: set[str] = set()
    yield from leaks.suspects(meaning, sequences, found)
    yield from formulas.suspects(meaning, sequences, found)
    yield from derived.suspects(meaning, sequences, found)
    yield from within.suspects(meaning, sequences, found)


def _strayed_times(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A few rows far before or after all others of their recording, as a clock that was not set writes."""
    if meaning.time is None:
        return
    strayed: list[int] = []
    for recording in sequences.recordings:
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
        first = min(strayed, key=lambda row: meaning.row[row])
        when = meaning.frame[meaning.time][first]
        yield (
            f"the time in {meaning.at(first)} is {when}, far from all others"
            f"{f', and so in {len(strayed) - 1} more rows' * (len(strayed) > 1)}; if a clock was wrong, remove "
            "the row, or the gap counts as time that passed"
        )
    elif meaning.frame[meaning.time].dtype == pl.Datetime:
        yield from _two_eras(meaning, meaning.frame[meaning.time], sequences)


def _two_eras(meaning: Meaning, when: pl.Series, sequences: Sequences) -> Iterator[str]:
    """Rows years before the others of their recording, as a clock writes that falls back to where it began."""
    seconds = meaning.times()
    for recording in sequences.recordings:
        spans = np.diff(seconds[recording.first_row : recording.first_row + len(recording)])
        if not len(spans):
            continue
        place = int(spans.argmax())
        if spans[place] > max(YEARS, APART * (spans.sum() - spans[place])):
            before, after = (when[recording.first_row + place + at] for at in (0, 1))
            yield (
                f"times leap from {before} to {after} in {meaning.at(recording.first_row + place + 1)}, further than "
                "all rows on either side reach; if a clock was not set, correct it, or the order of the rows is wrong "
                "and the gap counts as time that passed"
            )
            return


def _times_in_another_unit(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Recordings with the spans of the others, as numbers in another unit of time."""
    if meaning.time is None or not meaning.frame[meaning.time].dtype.is_numeric():
        return
    recordings = [recording for recording in sequences.recordings if len(recording) > 2]
    spans = np.array([np.median(np.diff(recording.times)) for recording in recordings])
    if not len(spans) or (usual := float(np.median(spans))) <= 0:
        return

    def are(length: float) -> NDArray[np.bool_]:
        return (spans > length / SAME_SPAN) & (spans < length * SAME_SPAN)

    units = [(factor, large, small) for factor, (large, small) in UNITS_OF_TIME.items()]
    units += [(1 / factor, small, large) for factor, large, small in units]
    for factor, of_others, own in units:
        odd = are(usual * factor)
        if odd.any() and (odd | are(usual)).mean() > SHARED and 2 * odd.sum() < len(spans):
            first = recordings[int(odd.argmax())]
            yield (
                f"rows of {first.name!r}{f' and {odd.sum() - 1} more recordings' * bool(odd.sum() > 1)} are usually "
                f"{spans[odd][0]:.4g} apart by {meaning.time!r}, those of others {usual:.4g}, as times in {own} beside "
                f"others in {of_others} are; write all of them in one unit"
            )
            return


def _shared_target(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A target that is the same of all groups at each time, so that a split by group asks what training has shown."""
    if meaning.time is None or not meaning.key or meaning.per != "step":
        return
    rows = meaning.frame.select(time=meaning.time, group=meaning.key[0], target=meaning.target).drop_nulls()
    each = rows.group_by("time").agg(groups=pl.col("group").n_unique(), targets=pl.col("target").n_unique())
    several = each.filter(pl.col("groups") > 1)
    shared = several.filter(pl.col("targets") == 1)
    distinct = rows.join(shared, on="time", how="semi")["target"].n_unique()
    if len(several) >= FEWEST_STEPS and shared.height >= SHARED * several.height and distinct > FEWEST_STEPS / 2:
        yield (
            f"{meaning.target!r} is the same of all {meaning.group!r} at {shared.height} of {several.height} times, so "
            "that test asks what training has shown. Make one row of each time first, in pandas: table.pivot("
            f"index={meaning.time!r}, columns={meaning.group!r}), with the target once"
        )


def _goes_round(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """A target that is an angle or an hour of the day: it steps from one end of a turn to the other, else little."""
    if meaning.classes is not None or meaning.per != "step":
        return
    numbers = meaning.frame[meaning.target].cast(pl.Float64).fill_null(np.nan).to_numpy()
    rows = np.flatnonzero(~np.isnan(numbers))
    known, codes = numbers[rows], meaning.codes()[rows]
    steps = np.diff(known)[np.diff(codes) == 0]
    for turn, least in ((size, end) for size in TURNS for end in (0.0, -size / 2)):
        slack = 1e-3 * turn
        if not len(steps) or known.min() < least - slack or known.max() > least + turn + slack:
            continue
        eighths = np.bincount(np.clip((known - least) * 8 // turn, 0, 7).astype(np.int64), minlength=8)
        sizes = np.abs(steps)
        wraps = int(np.count_nonzero(sizes >= FAR_ROUND * turn))
        jumps = int(np.count_nonzero(sizes >= turn / 2)) - wraps
        short = float(np.median(np.minimum(sizes, turn - sizes)))
        if (
            wraps >= max(FEWEST_WRAPS, WRAPS_FOR_JUMPS * jumps)
            and 0 < short <= SHORT * turn
            and eighths.min() >= COVERS * len(known)
        ):
            column = f"table[{meaning.target!r}]"
            radians = TURNS[turn].format(column)
            yield (
                f"the target, {meaning.target!r}, seems to go round: {wraps} of its steps go from one end of "
                f"{least:.4g} to {least + turn:.4g} to the other, and others are short, as those of "
                f"{'hours of the day' if turn == 24 else 'an angle'} are. An error across the ends, which is small, "
                f"counts as almost {turn:.4g}. Predict its sine and its cosine, each in a study of its own and without "
                f"the other and {meaning.target!r} among the features; in pandas: table['sine'] = np.sin({radians}), "
                f"table['cosine'] = np.cos({radians})"
            )
            return


def _began_again(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Counters and meters that begin again, at the end of their range or as they were reset or replaced."""
    codes = meaning.codes()
    for column in meaning.amounts():
        name = column.name
        if words.is_part(name) or features.may_be_classes(column):
            continue
        rows = np.flatnonzero(column.is_not_null().to_numpy())
        numbers = column.drop_nulls().cast(pl.Float64).to_numpy()
        steps = np.where(np.diff(codes[rows]) == 0, np.diff(numbers), 0.0)
        if not (steps < 0).any() or numbers.min() < 0:
            continue
        if found := _rolled_over(numbers, steps):
            back, end = found
            what = f"as a counter that begins again at {end:,}"
        elif _was_reset(steps, codes[rows[1:]]):
            back, what = steps < 0, "and else only goes up, as a meter that was reset or replaced"
            if _is_anew(meaning, name, rows[1:][back]):
                continue
        else:
            continue
        first, count = int(back.argmax()), int(back.sum())
        yield (
            f"{name!r} falls from {numbers[first]:.15g} to {numbers[first + 1]:.15g} in "
            f"{meaning.at(int(rows[first + 1]))}{f', and {count - 1} more times' * (count > 1)}, {what}; let it go on "
            "from there, or take its change from row to row"
        )


def _rolled_over(numbers: NDArray[np.float64], steps: NDArray[np.float64]) -> tuple[NDArray[np.bool_], int] | None:
    """Where a counter begins again, by steps as long as all others but for the end of its range; and that end."""
    # Numbers that are not whole go up to the end, at most.
    end = next((end for end in ENDS if end >= numbers.max()), None)
    if end is None:
        return None
    back = steps < -end / 2
    others = steps[~back & (steps != 0)]
    if not back.any() or back.mean() > SELDOM or not len(others) or np.mean(others > 0) < MOSTLY_UP:
        return None
    longest = np.abs(others).max()
    return (back, end) if longest <= LARGE * end and (np.abs(steps[back] + end) <= 1.5 * longest).all() else None


def _was_reset(steps: NDArray[np.float64], codes: NDArray[np.int64]) -> bool:
    """Whether numbers only go up, but for once or twice in a recording, when they fall far."""
    down, up = steps < 0, steps[steps > 0]
    if len(up) < FEWEST_STEPS * down.sum() or np.bincount(codes[down]).max() > MOST_RESETS:
        return False
    return bool((-steps[down]).min() > FEWEST_STEPS * np.median(up))


def _is_anew(meaning: Meaning, name: str, rows: NDArray[np.int64]) -> bool:
    """Whether a number counts the rows of something that changes where it begins again, and nowhere else: a block, say.

    The number of a meter changes, too, but its readings count no rows.
    """
    inside = np.diff(meaning.codes()) == 0
    numbers = meaning.frame[name].cast(pl.Float64).to_numpy()
    falls = np.zeros(len(inside), dtype=bool)
    falls[rows - 1] = True
    counts = np.mean(np.diff(numbers)[inside & ~falls] == 1) >= groups.COUNTED and set(numbers[rows]) <= {0.0, 1.0}
    if not counts:
        return False
    others = [column for column in meaning.frame.drop(name, meaning.target, strict=False).iter_columns()]
    changes = (column.rle_id().diff().drop_nulls().to_numpy() != 0 for column in others)
    return any(bool((there[inside] == falls[inside]).all()) for there in changes)


def _sorted_by_target(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Rows without times that stand in the order of the target, so that parts of the split have other ones."""
    if meaning.time is not None or meaning.key or meaning.classes is not None:
        return
    steps = meaning.frame[meaning.target].drop_nulls().diff().drop_nulls().to_numpy()
    if np.count_nonzero(steps) >= FEWEST_STEPS and ((steps >= 0).all() or (steps <= 0).all()):
        yield (
            f"the rows are sorted by the target, {meaning.target!r}, and there is no time: if that is not the order in "
            "which they were measured, nothing can be learnt from their order, and validation and test ask for targets "
            "that training has not"
        )


def _beyond(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Targets of validation or test that are all beyond those of training, as where they rise throughout."""
    if meaning.classes is not None or meaning.forecasts:
        return
    shown = known_targets(sequences.splits["train"], meaning.per)
    for name in SPLITS[1:]:
        asked = known_targets(sequences.splits[name], meaning.per)
        if len(asked) and (asked.min() > shown.max() or asked.max() < shown.min()):
            yield (
                f"target {meaning.target!r} is {asked.min():.5g} to {asked.max():.5g} in the {name} part, and "
                f"{shown.min():.5g} to {shown.max():.5g} in training, so that nothing like it is ever shown; predict "
                "its change, or forecast it (--task forecast)"
            )
            return


def _unseen(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """What the training part never shows, and of a test part that asks nothing."""
    values = np.concatenate([recording.values for recording in sequences.splits["train"]])
    observed = np.concatenate([recording.observed for recording in sequences.splits["train"]])
    never, same, unseen = [], [], []
    # A column of text is several features, which only together say whether it varies.
    places_of: dict[str, list[int]] = {}
    for place, source in enumerate(meaning.sources):
        places_of.setdefault(source, []).append(place)
    for name, places in places_of.items():
        there = observed[:, places[0]]
        shown = values[there][:, places]
        if not there.any():
            never.append(name)
        elif not np.ptp(shown, axis=0).any():
            same.append(name)
        elif meaning.frame[name].dtype == pl.String:
            unseen += [meaning.feature_columns[place].name for place in np.array(places)[~shown.any(axis=0)]]
    if never:
        yield (
            f"{listed(never)} {'has' if len(never) == 1 else 'have'} no value in the training part, so nothing "
            "can be learnt of it; leave it out (--features)"
        )
    if same:
        yield (
            f"{listed(same)} {'is' if len(same) == 1 else 'are'} the same throughout the training part, so "
            "nothing can be learnt of what changes later"
        )
    if unseen:
        yield (
            f"{listed(unseen)} {'occurs' if len(unseen) == 1 else 'occur'} only outside of the training part, so "
            "nothing can be learnt of it"
        )
    for name in SPLITS[1:]:
        known = known_targets(sequences.splits[name], meaning.per)
        if meaning.classes is None and np.ptp(known) == 0:
            use = "be chosen" if name == "validation" else "be judged"
            yield (
                f"target {meaning.target!r} is {float(np.ravel(known)[0]):g} throughout the {name} part, so a "
                f"constant is all that it asks for and no model can {use} by it"
            )


def _ended(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Features that training knows and that are not measured any more in validation or test."""
    lost: dict[tuple[str, ...], list[str]] = {}
    for name, place in {source: place for place, source in enumerate(meaning.sources)}.items():
        known = {part: any(r.observed[:, place].any() for r in sequences.splits[part]) for part in SPLITS}
        if known["train"] and not (known["validation"] and known["test"]) and name != meaning.target:
            lost.setdefault(tuple(part for part in SPLITS if not known[part]), []).append(name)
    for parts, names in lost.items():
        yield (
            f"{listed(names)} {'has' if len(names) == 1 else 'have'} no value in the {' and '.join(parts)} part"
            f"{'s' * (len(parts) > 1)}, so that what training shows of it is of no use there; leave it out "
            "(--features), or the rows that lack it"
        )
    if meaning.key:
        return
    least = sum(map(len, sequences.splits["test"])) / 2
    stopped: dict[tuple[str, int], list[str]] = {}
    for column in meaning.amounts():
        numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        starts = np.flatnonzero(np.append(True, np.diff(numbers) != 0)) if len(numbers) else []
        lengths = np.diff(starts, append=len(numbers))
        distinct = len(np.unique(numbers[~np.isnan(numbers)]))
        # What is neither 0 nor at an end of its range, and else changes in each row, `repeats` warns of.
        last, ends = numbers[-1], (0.0, np.nanmin(numbers), np.nanmax(numbers))
        before = int(lengths[:-1].max(initial=1))
        if (
            (last in ends or before > LONGER)
            and distinct >= FEWEST_AMOUNTS
            and lengths[-1] >= max(least, LONGER * before, FEWEST_STEPS)
            and column.name != meaning.target
        ):
            stopped.setdefault((f"{last:.6g}", int(starts[-1])), []).append(column.name)
    for (value, first), names in stopped.items():
        yield (
            f"{listed(names)} {'is' if len(names) == 1 else 'are'} {value} in all rows from {meaning.at(first)} to the "
            "end, and changed before: if it was not measured any more, leave it out (--features), or these rows"
        )


def _few_targets(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Parts of the split with few rows of a class, or in which few rows know the target."""
    parts = {name: known_targets(sequences.splits[name], meaning.per) for name in SPLITS}
    noun = "recording" if meaning.per == "sequence" else "row"
    if meaning.classes is not None:
        rare = []
        for name, known in parts.items():
            counts = np.bincount(np.ravel(known).astype(np.int64), minlength=len(meaning.classes))
            order = np.argsort(counts, kind="stable")
            few = [
                f"{counted(int(counts[number]), noun)} of {meaning.classes[number]!r}"
                for number in order
                if 0 < counts[number] < FEWEST_OF_CLASS
            ]
            if few:
                rare.append(f"the {name} part has {listed(few, 3, quote=False)}")
        if rare:
            yield f"{'; '.join(rare)}: too few to tell how well a class of {meaning.target!r} is told from others"
    if meaning.per == "sequence":
        return
    rows = {name: sum(map(len, sequences.splits[name])) for name in SPLITS}
    shares = {name: len(known) / max(rows[name], 1) for name, known in parts.items()}
    few = [
        f"{len(parts[name])} of the {rows[name]} rows of the {name} part"
        for name in SPLITS
        if 2 * shares[name] < 1 and (len(parts[name]) < FEWEST_TARGETS or 4 * shares[name] < max(shares.values()))
    ]
    if few:
        yield (
            f"the target, {meaning.target!r}, is known in only {listed(few, quote=False)}; no other rows are learnt "
            f"from or scored{_name_for_none(meaning)}"
        )


def _name_for_none(meaning: Meaning) -> str:
    """How to make a class of empty cells of text, where what is written comes now and then; empty where not.

    Labels that are known in one stretch, or in every tenth row, say, are those of which others were not made.
    """
    column = meaning.frame[meaning.target]
    known = np.flatnonzero(column.is_not_null().to_numpy())
    begins = known[np.diff(known, prepend=-2) > 1]
    gaps = np.diff(begins)
    if meaning.classes is None or column.dtype != pl.String or len(begins) < groups.MANY_BLOCKS:
        return ""
    if np.mean(gaps == np.median(gaps)) > 1 / 2:
        return ""
    table = f"table[{meaning.target!r}]"
    return (
        f". If an empty cell means that there was none of {listed(meaning.classes, 3)}, it is a class too: give it a "
        f"name of its own first, in pandas: {table} = {table}.fillna('none')"
    )


def _few_groups(meaning: Meaning, sequences: Sequences) -> Iterator[str]:
    """Parts of a split by group that hold one group, or hardly any rows."""
    if not meaning.key or meaning.per == "sequence":
        return
    groups_of = {name: {recording.group for recording in of} for name, of in sequences.splits.items()}
    single = [name for name in SPLITS if len(groups_of[name]) == 1]
    if single and len(set().union(*groups_of.values())) > 1:
        holds = listed((f"{name} {next(iter(groups_of[name]))!r}" for name in single), quote=False)
        # Who comes again in each of a few visits is in all parts then.
        guessed = "group" not in meaning.given and words.is_within(meaning.key[0])
        other = ", or name the column that says whose rows they are (--group)" * guessed
        yield (
            f"{'parts of the split hold' if len(single) > 1 else 'a part of the split holds'} a single "
            f"{meaning.group!r} ({holds}), and what is found on it may hold for no other; give more of them{other}"
        )
    rows = {name: sum(map(len, of)) for name, of in sequences.splits.items()}
    total = sum(rows.values())
    small = [f"{name} {rows[name]:,}" for name in SPLITS if rows[name] < SMALL * total]
    if small:
        yield (
            f"as each {meaning.group!r} is in one part of the split only, hardly any of the {total:,} rows are in "
            f"{'some' if len(small) > 1 else 'one'} ({', '.join(small)}); give more of them, or ones of like length"
        )
