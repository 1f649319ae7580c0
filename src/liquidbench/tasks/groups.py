"""Who belongs together: which columns of a table tell recordings apart, and which of them a split must keep whole.

A table may hold several sessions of several subjects. What is learnt from one session of a subject helps with another,
so the split is by subject, and the sequences are the sessions. A key names the columns for both: the first is the unit
of the split, all of them together are the recording.
"""

import itertools
import re
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates, words
from liquidbench.wording import listed

FEWEST = 3
"""Groups that a split needs, one for each part."""
FEWEST_ROWS = 8
"""Rows that recordings have on average, below which an identifier is not taken for theirs where another would do."""
SHORT = 3
"""Rows that recordings have on average, below which nothing is said of them."""
ALMOST_ALL = 0.9
"""Share of the recordings that begin in one way, from which on it is no accident."""
MANY_BLOCKS = 5
"""Blocks of rows from which on they are more likely recordings than phases of one."""
MOST_CLASSES = 20
"""Distinct whole numbers up to which they may be classes."""
FEW_MISSING = 0.05
"""Share of the rows that a column may lack and still be no more than another name of each recording."""
COUNTED = 0.95
"""Share of the steps of 1 from which on whole numbers from 0 or 1, one for each group, count the groups."""
MOST_PAIRED = 12
"""Columns among which pairs are looked for."""
MOST_TOGETHER = 6
"""Columns of which any two together may tell recordings apart."""
BY_CHANCE = 5
"""Times that numbers dealt at random would come again, from which on it is no accident that none does."""
NEARER = 0.5
"""Times as far as to the row before that a row is from the last with its value, up to which it goes on from that."""
MOST = 2 / 3
"""Share of the values that have to do so."""
APART = 0.1
"""Share of a value's rows between one row and the next, in order of size, below which they are too close for two
recordings."""
REGULAR = 0.85
"""Share of the changes, and of the runs, that are alike where values take turns, but for rows that are lacking."""
PAUSE = 5
"""Times as long as all others of a round the time to the next is, where recordings are written in rounds."""
FAR_APART = 5
"""Times as large as the usual step of numbers that were given out, in the order of the rows, their range may be; and
as many as their values the numbers among which these were."""
CERTAIN_DIGITS = 6
"""Digits that a spreadsheet leaves of a long number in scientific notation."""
ROUNDED_FROM = 1e11
"""Numbers from which on it does so."""
SAME_SUM = 0.005
"""Share by which the sum of groups may differ from what is their sum, after rounding."""
SURE_WEIGHT = 0.05
"""How far from 0 or 1 the weights of the parts of a sum may be, as they were rounded."""
MOST_GROUPS = 100
"""Groups among which sums of some of them are looked for."""
MOST_COLUMNS = 12
"""Columns of numbers in which sums of groups are looked for."""
MOST_ROWS = 10_000
"""Rows in which recordings that were written together are looked for: the first ones."""
_MOST_FOLDS = 20


@dataclass(frozen=True)
class Grouping:
    """A choice of key.

    Attributes:
        key: the columns, the unit of the split first; empty where the table is one recording.
        reason: why these.
        warnings: what speaks for others.
    """

    key: tuple[str, ...] = ()
    reason: str = ""
    warnings: list[str] = field(default_factory=list)


def is_fold(column: pl.Series) -> bool:
    """Whether a column says in which fold of a cross-validation each row was."""
    values = column.drop_nulls().unique()
    if not words.is_folds(column.name) or not 1 < len(values) <= _MOST_FOLDS:
        return False
    return bool(values.cast(pl.String).str.contains(r"^(?i:(?:cv|fold)?[ _.-]?)\d{1,2}(?:\.0)?$").all())


def is_part_of_split(column: pl.Series) -> bool:
    """Whether a column says which rows somebody trained and tested on."""
    if column.dtype != pl.String:
        return False
    return words.are_parts({value.strip().casefold() for value in column.drop_nulls().unique()})


def is_unit(column: pl.Series) -> bool:
    """Whether a column of text says in which units values are, or in which currencies."""
    if column.dtype != pl.String:
        return False
    values = column.drop_nulls().unique()
    if words.is_currency(column.name):
        return bool(values.str.contains(r"^\s*(?:[A-Za-z]{3}|[$€£¥₹])\s*$").all())
    if not words.is_units(column.name):
        return False
    return bool(len(values)) and 2 * sum(map(words.is_unit, values)) >= len(values)


def named(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns that are named like identifiers, and of which at least one in two rows shares its value with another."""
    return [
        name
        for name in _usable(frame, target, time)
        if words.is_named(name) and _count(frame, (name,)) <= frame.height / 2 and not frame[name].has_nulls()
    ]


def choose(frame: pl.DataFrame, target: str, time: str | None) -> Grouping:
    """Guess the key of a table.

    Where times repeat, it is what makes them distinct; else columns that are named like identifiers and come in blocks
    of rows. Among identifiers that hold one another, the split is by the coarsest of at least `FEWEST` values.

    Args:
        frame: the table.
        target: its target, which is no identifier.
        time: its column of times, None where rows only have an order.
    """
    named = [name for name in _usable(frame, target, time) if words.is_named(name)]
    distinct = _distinct(frame)
    if _repeat(distinct, time):
        reason = "times repeat in the table, but never within one value of {}"
        # Without a name that says so, what comes again at each time may be a clock, a period or a shift as well.
        found = [
            name
            for name in _candidates(distinct, target, time)
            if name in named or (_in_blocks(distinct, (name,)) and _splits(distinct, target, name))
        ]
        by_name = [name for name in found if name in named]
        finest = _finest(frame, by_name)
        if finest is None:
            # Of stops on trips, say, those whose rows are scattered are not the recordings.
            finest = _finest(frame, [name for name in by_name if _in_blocks(frame, (name,))])
        if finest is None and not set(found) & set(named):
            alike = all(
                _count(frame, (name, found[0])) == _count(frame, (name,)) == _count(frame, (found[0],))
                for name in found[1:]
            )
            finest = found[0] if found and alike else None
        if finest is None:
            return Grouping() if found else _several(distinct, target, time, named)
        # Sessions that are numbered within subjects, also where times go on from one to the next.
        within = [name for name in named if name != finest and words.is_within(name)]
        within = [name for name in within if not nested(frame, name, (finest,)) and not nested(frame, finest, (name,))]
        if cut := _cut_within(finest, within, [frame.sort(finest, time)], reason.format(repr(finest))):
            return cut
    else:
        reason = "named like an identifier, and its values come in blocks of rows"
        # Of a table that was shuffled, the order of time tells.
        in_time = frame if time is None else frame.sort(time)
        found = [name for name in named if _in_blocks(frame, (name,)) or _in_blocks(in_time, (name,))]
        finest = _finest(frame, found)
        if finest is None:
            return Grouping()
        # Numbers that begin again in each of another, as those of subjects at each site or of trials of each subject.
        within = [name for name in named if name not in found]
        if cut := _cut_within(finest, within, [frame, in_time], "they come in blocks of rows"):
            return cut
    return _coarsest(frame, target, finest, [name for name in named if name != finest], reason)


def candidates(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns within whose values no time repeats, though times repeat in the table; measurements are left out."""
    distinct = _distinct(frame)
    found = _candidates(distinct, target, time) if _repeat(distinct, time) else []
    return [name for name in found if _is_chosen(frame[name])]


def _candidates(distinct: pl.DataFrame, target: str, time: str | None) -> list[str]:
    return [
        name
        for name in _usable(distinct, target, time)
        if _count(distinct, (name,)) <= distinct.height / 4 and distinct.select(time, name).is_unique().all()
    ]


def _is_chosen(column: pl.Series) -> bool:
    """Whether a column's values may have been given to it; a whole number that was measured goes up and down."""
    if column.dtype == pl.String or words.is_named(column.name):
        return True
    steps = np.diff(column.drop_nulls().cast(pl.Float64).to_numpy())
    if len(steps) and (np.mean(steps == 0) >= 2 / 3 or np.mean(steps > 0) >= 0.6):
        return True
    of_rows = codes(column.drop_nulls().to_frame(), (column.name,))
    return _take_turns(pl.DataFrame({"of": of_rows, "key": np.zeros_like(of_rows)}))


def come_in_blocks(frame: pl.DataFrame, name: str) -> bool:
    """Whether the rows of each value of a column follow one another."""
    return _runs(frame, (name,)) == _count(frame, (name,)) > 1


def pairs(
    frame: pl.DataFrame, target: str, time: str | None, names: list[str] | None = None, size: int = 2
) -> list[tuple[str, ...]]:
    """Columns of which no value of one, but those of several together keep times from repeating."""
    distinct = _distinct(frame)
    usable = [
        name
        for name in _usable(distinct, target, time)
        if (_is_chosen(frame[name]) if names is None else name in names)
    ][:MOST_PAIRED]
    return [
        together
        for together in itertools.combinations(usable, size)
        if _count(distinct, together) <= distinct.height / 4 and distinct.select(time, *together).is_unique().all()
    ]


def codes(frame: pl.DataFrame, key: tuple[str, ...]) -> NDArray[np.int64]:
    """Number of each row's value of the key, in the order in which they first occur."""
    if not key:
        return np.zeros(frame.height, dtype=np.int64)
    ranks = frame.select(pl.struct(key).rank("dense")).to_series().to_numpy()
    _, first, inverse = np.unique(ranks, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def measured(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns of numbers, named like what has an identifier, that were measured: the charge of a battery, say.

    In the order of time, at most within another identifier, they go from each value to the next one above or below, and
    not only up, as numbers do that are given out. Fractions are measured, too, where many occur.
    """
    numbers = [
        name
        for name in frame.columns
        if name not in (target, time) and frame[name].dtype.is_numeric() and words.is_named(name)
    ]
    numbers = [name for name in numbers if not words.is_id(name) and not words.is_within(name)]
    others = [(name,) for name in named(frame, target, time) if name not in numbers] if numbers else []
    in_time = frame if time is None else frame.sort(time, maintain_order=True)
    # Rows of one time have no order.
    ordered = [
        key
        for key in ([(), *others] if numbers else [])
        if time is None or frame.select(time, *key).is_unique().mean() >= ALMOST_ALL  # pyright: ignore
    ]
    return [name for name in numbers if any(_is_measured(in_time[name], codes(in_time, key), time) for key in ordered)]


def _is_measured(column: pl.Series, of_rows: NDArray[np.int64], time: str | None) -> bool:
    there = column.is_not_null().to_numpy()
    if there.sum() < FEWEST_ROWS:
        return False
    ranks = column.drop_nulls().rank("dense").cast(pl.Int64).to_numpy()
    if (column.drop_nulls().cast(pl.Float64) % 1 != 0).any() and ranks.max() > MOST_CLASSES:
        return True
    order = np.argsort(of_rows[there], kind="stable")
    steps = np.diff(ranks[order])[np.diff(of_rows[there][order]) == 0]
    steps = steps[steps != 0]
    if len(steps) < MANY_BLOCKS or np.mean(np.abs(steps) == 1) < ALMOST_ALL or ranks.max() <= FEWEST:
        return False
    # Without a time, rows may begin with the last.
    down = np.mean(steps < 0)
    return bool(down > 1 - ALMOST_ALL and (time is not None or down < ALMOST_ALL))


def keys(frame: pl.DataFrame, target: str, given: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """What may tell recordings apart: the key given; else nothing, identifiers by name, other columns, two of them."""
    if given:
        return [given]
    usable = [
        name
        for name in _usable(frame, target, None)
        if _count(frame, (name,)) <= frame.height / 2 and not (is_fold(frame[name]) or is_part_of_split(frame[name]))
    ]
    names = [name for name in usable if words.is_named(name)][:MOST_PAIRED]
    others = [name for name in usable if not words.is_named(name) and not words.counts_within(name)][:MOST_PAIRED]
    together = [
        pair
        for pair in itertools.combinations([*names, *others][:MOST_TOGETHER], 2)
        if 4 * _count(frame, pair) <= frame.height
    ]
    return [(), *((name,) for name in names), *((name,) for name in others), *together]


def told_apart_by(frame: pl.DataFrame, name: str, keys: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The first key within none of whose values a number of a column comes twice, by no accident; None without one.

    So do the times of recordings. Numbers that go on from one value of the key to the next do so without it: levels of
    a battery, say, have different hours each.
    """
    there = frame.filter(frame[name].is_not_null())
    for key in [key for key in keys if name not in key]:
        of_rows = codes(there, key)
        alone = not key or all(words.is_named(part) for part in key)
        if _is_told_apart(there[name], of_rows) and (alone or not _goes_on_through(there[name], of_rows)):
            return key
    return None


def _is_told_apart(column: pl.Series, of_rows: NDArray[np.int64]) -> bool:
    sizes = np.bincount(of_rows)
    if not pl.DataFrame([column, pl.Series("of", of_rows)]).is_unique().all():
        return False
    if not column.dtype.is_numeric():
        return bool((sizes * (sizes - 1) / 2).sum() >= BY_CHANCE * column.n_unique())
    numbers = column.cast(pl.Float64).to_numpy()
    steps = np.diff(numbers)[np.diff(of_rows) == 0]
    if len(steps) >= max(dates.NO_ACCIDENT, len(numbers) / 2) and (steps > 0).all():
        return True
    if (numbers % 1 != 0).any():
        return False
    span = np.ptp(numbers) + 1
    if len(sizes) == 1:
        # In a single recording, numbers in any order that are few among many may be names as well.
        return bool(len(numbers) >= ALMOST_ALL * span)
    values = min(span, column.n_unique()) if 2 * column.n_unique() <= len(numbers) else span
    return bool((sizes * (sizes - 1) / 2).sum() >= BY_CHANCE * values)


def _goes_on_through(column: pl.Series, of_rows: NDArray[np.int64]) -> bool:
    """Whether numbers go on in their direction where the rows of one value of a key give way to those of the next."""
    if not column.dtype.is_numeric():
        return False
    steps, changes = np.diff(column.cast(pl.Float64).to_numpy()), np.diff(of_rows) != 0
    if changes.sum() > len(column) / 2 or changes.all() or not changes.any():
        return False
    return bool(np.mean(np.sign(np.median(steps[~changes])) * steps[changes] > 0) > 1 - ALMOST_ALL)


def order_within(frame: pl.DataFrame, name: str, key: tuple[str, ...]) -> str:
    """How the rows of each value of a key follow one another by a column: "up", "down" or "mixed".

    They are mixed, too, where the rows of one value do not stand together.
    """
    of_rows = codes(frame, key)
    steps = np.diff(frame[name].cast(pl.Float64).to_numpy())[np.diff(of_rows) == 0]
    if (key and _runs(frame, key) != _count(frame, key)) or not len(steps):
        return "mixed"
    return "up" if (steps > 0).all() else "down" if (steps < 0).all() else "mixed"


def is_of_identifier(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column has one value for each of something that is named like an identifier and has several rows."""
    return any(
        words.is_named(other) and 1 < _count(frame, (other,)) <= frame.height / 2 and nested(frame, name, (other,))
        for other in frame.columns
        if other != name and _may_be_id(frame[other]) and not words.is_part(other)
    )


def unnamed_blocks(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns, named in no way like identifiers, each of whose many values has its rows together.

    Whole numbers may be set points or slow measurements, too, so something has to speak for recordings: the time leaps
    where they change and hardly anywhere else, or they are as numbers that were given out are.
    """
    return [
        name
        for name in _usable(frame, target, time)
        if not words.is_named(name)
        and _count(frame, (name,)) >= MANY_BLOCKS
        and _in_blocks(frame, (name,))
        and (frame[name].dtype == pl.String or _are_of_recordings(frame, name, time))
    ]


def _are_of_recordings(frame: pl.DataFrame, name: str, time: str | None) -> bool:
    """Whether whole numbers in blocks of rows are those of recordings."""
    frame = frame.filter(frame[name].is_not_null() & (True if time is None else frame[time].is_not_null()))
    changes = frame[name].diff().drop_nulls().to_numpy() != 0
    begins = frame.filter(pl.Series(np.append(True, changes)))
    if time is not None:
        # What is known once a day, or a month, changes at the same time of it.
        if frame[time].dtype == pl.Datetime and begins[time].dt.time().n_unique() <= len(begins) / 2:
            return False
        spans = np.diff(dates.seconds(frame[time]))
        usual = np.median(spans)
        leaps = (np.abs(spans) > PAUSE * np.abs(usual)) | (spans * usual < 0)
        if leaps[changes].mean() >= ALMOST_ALL and leaps[~changes].mean() <= 1 - ALMOST_ALL:
            return True
    values = begins[name].to_numpy()
    up, span = np.mean(np.diff(values) > 0), np.ptp(values) + 1
    shuffled = 1 - ALMOST_ALL < up < ALMOST_ALL
    as_long = len(str(values.min())) == len(str(values.max())) >= FEWEST and np.gcd.reduce(values) == 1
    # Numbers that were measured are near those before.
    far = np.median(np.abs(np.diff(values))) >= span / FAR_APART
    return bool(shuffled and far and ((as_long and span > FAR_APART * len(values)) or span == len(values)))


def recurring(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns named like identifiers that have too few values, too few rows of each, or come back too often."""
    return [
        name
        for name in _usable(frame, target, time)
        if words.is_named(name)
        and _may_be_id(frame[name])
        and (_count(frame, (name,)) <= frame.height / FEWEST_ROWS or _in_blocks(frame, (name,), SHORT))
    ]


def interleaved(frame: pl.DataFrame, target: str, time: str | None, key: tuple[str, ...] = ()) -> dict[str, str]:
    """Columns, not named like identifiers, whose values come back as those of recordings written together do, and why.

    An hour, a season or a state (on, off) comes back too, so one of these has to speak for recordings as well: numbers
    that go on, within each value, from its last row and not from the row before; the name of what has a series of its
    own, such as a room, whose values take turns; values that were given out, such as serial numbers, each of which
    comes once in every round; times that come in rounds, close together, of values that are counted. All of this is
    looked for within the values of a key.
    """
    times = np.zeros(frame.height) if time is None else dates.seconds(frame[time])
    of_key = codes(frame, key)
    order = np.lexsort((times, of_key))[:MOST_ROWS]
    frame, times, of_key = frame[order], times[order], of_key[order]
    apart = {target, time, *key, *(long_form(frame, time) or ())}
    names = [
        name
        for name in frame.columns
        if name not in apart and not words.is_named(name) and _may_come_back(frame[name], of_key)
    ][:MOST_PAIRED]
    numbers = [name for name in (target, *frame.columns) if name in frame.columns and name not in (time, *key, *names)]
    numbers = [name for name in dict.fromkeys(numbers) if frame[name].dtype.is_numeric() and frame[name].n_unique() > 2]
    found: dict[str, str] = {}
    for name in names:
        there = frame[name].is_not_null().to_numpy()
        rows = pl.DataFrame({"of": codes(frame.filter(there), (name,)), "key": of_key[there], "time": times[there]})
        goes_on = (
            other for other in numbers[:MOST_PAIRED] if _goes_on_within(rows.with_columns(x=frame[other].filter(there)))
        )
        if (other := next(goes_on, None)) is not None:
            found[name] = f"within each of them {other!r} goes on from its last row, and not from the row before"
        elif (words.may_have_series(name) or _are_given_out(frame[name])) and _take_turns(rows):
            found[name] = "they take turns"
        elif _are_given_out(frame[name]) and _go_round(rows):
            found[name] = "each of them comes once in every round"
        elif time is not None and _come_in_rounds(rows) and _are_counted(frame[name].drop_nulls()):
            found[name] = "the times of each round are close together"
    # The floor that a room is on comes back with it; of two names of the same, the first is enough.
    return {
        name: why
        for place, (name, why) in enumerate(found.items())
        if not any(
            nested(frame, name, (other,)) and (before or not nested(frame, other, (name,)))
            for before, other in ((at < place, other) for at, other in enumerate(found) if other != name)
        )
    }


def _may_come_back(column: pl.Series, of_key: NDArray[np.int64]) -> bool:
    """Whether a column has few values that change often, and are no states or parts of a time."""
    name, known, values = column.name, column.drop_nulls(), column.drop_nulls().unique()
    if not 1 < len(values) <= len(known) / FEWEST_ROWS or len(known) < (1 - FEW_MISSING) * len(column):
        return False
    whole = column.dtype.is_numeric() and bool((values.cast(pl.Float64) % 1 == 0).all())
    if not (column.dtype == pl.String or whole) or words.is_trait(name) or is_unit(column):
        return False
    # A tag is a day in German.
    if words.is_part(name) and not _are_given_out(column):
        return False
    # Hours, such as 00h-01h, may look like codes that were given out.
    if column.dtype == pl.String and (words.are_states(values) or values.str.contains(r"^\d{1,2} ?h\b").all()):
        return False
    runs = len(known.rle())
    return runs >= FEWEST * len(values) * (int(of_key.max()) + 1) and not (is_fold(column) or is_part_of_split(column))


def _goes_on_within(rows: pl.DataFrame) -> bool:
    """Whether numbers x go on from the last row of the same value, and not from the row before.

    They count by their ranks among those of the same value, turned round where they go against those of the row
    before: what a valve does to all of them tells no recordings apart. Where most are the same, as counts of rare
    events, they go on from anywhere.
    """
    rank, before, own = pl.col("rank"), pl.col("before"), ("key", "of")
    alike = pl.len().over(*own, "x").max().over(own) / pl.len().over(own)
    values = (
        rows.drop_nulls("x")
        .with_columns(alike=alike, rank=pl.col("x").rank().over(own) / pl.len().over(own) - 0.5)
        .with_columns(before=rank.shift(1).over("key"), last=rank.shift(1).over(own))
        .filter(pl.col("of") != pl.col("of").shift(1).over("key"), pl.col("alike") <= 0.5, pl.col("last").is_not_null())
        .with_columns(turned=pl.when((rank * before).sum().over(own) < 0).then(-1).otherwise(1))
        .with_columns(across=(rank - pl.col("turned") * before).abs(), within=(rank - pl.col("last")).abs())
        .group_by("of")
        .agg(pl.len(), pl.median("across", "within"))
        .filter(pl.col("len") >= SHORT)
    )
    many = values["len"].sum() >= 2 * FEWEST_ROWS and values.height >= max(ALMOST_ALL * rows["of"].n_unique(), 2)
    nearer = (values["within"] <= NEARER * values["across"]) & (values["across"] >= APART)
    return bool(many and nearer.mean() >= MOST)  # pyright: ignore


def _take_turns(rows: pl.DataFrame) -> bool:
    """Whether values follow one another in one order, each in as many rows, but for a few rows that are lacking."""
    of_rows, of_key = rows["of"].to_numpy(), rows["key"].to_numpy()
    first = np.flatnonzero((np.diff(of_rows, prepend=-1) != 0) | (np.diff(of_key, prepend=-1) != 0))
    runs, lengths, same = of_rows[first], np.diff(np.append(first, len(of_rows))), np.diff(of_key[first]) == 0
    count = int(of_rows.max()) + 1
    if len(runs) < FEWEST * count or np.mean(lengths == np.median(lengths)) < REGULAR:
        return False
    follows, often = np.unique(np.stack([runs[:-1][same], runs[1:][same]]), axis=1, return_counts=True)
    # Of what follows a value, the last that is put in its place is the most frequent.
    order = np.argsort(often, kind="stable")
    after, most, place = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64), 0
    after[follows[0, order]], most[follows[0, order]] = follows[1, order], often[order]
    if most.sum() < REGULAR * same.sum():
        return False
    return len({place := int(after[place]) for _ in range(count)}) == count


def _come_in_rounds(rows: pl.DataFrame) -> bool:
    """Whether rows of all values, each in its turn, are close together in time, and far from the next such round."""
    if not _take_turns(rows):
        return False
    spans = rows.with_columns(span=pl.col("time").diff().over("key")).drop_nulls("span")
    usual = spans.group_by("of").agg(pl.median("span"))["span"].sort().to_numpy()
    return bool(usual[-1] > PAUSE * usual[:-1].sum() > 0)


def _go_round(rows: pl.DataFrame) -> bool:
    """Whether each value comes once in every round, in whatever order, but for a few rows that are lacking."""
    count, rounds, seen = rows["of"].n_unique(), 0, set()
    for row in rows.select("key", "of").iter_rows():
        # A round is over where a value comes again.
        if not rounds or row in seen or len(seen) == count:
            rounds, seen = rounds + 1, set()
        seen.add(row)
    return count >= FEWEST and len(rows) >= REGULAR * rounds * count


def _are_given_out(column: pl.Series) -> bool:
    """Whether values are those of serial numbers and the like: as long as each other, with many figures."""
    values = column.drop_nulls().unique()
    if column.dtype.is_numeric():
        numbers = values.cast(pl.Int64).to_numpy()
        lengths = {len(str(number)) for number in numbers}
        return bool(numbers.min() >= 10**4 and len(lengths) == 1 and np.gcd.reduce(numbers) == 1)
    text = values.str.strip_chars()
    figures = text.str.count_matches(r"\d")
    alike = text.str.len_chars().n_unique() == 1
    mixed = text.str.contains(r"\d[A-Za-z:-]+\d") & (text.str.len_chars() >= CERTAIN_DIGITS)
    return bool(alike and ((figures >= FEWEST) | mixed).all())


def _are_counted(column: pl.Series) -> bool:
    """Whether values are letters or numbers one after another, at most behind the same word; 0 and 1 are a flag."""
    values = [str(value) for value in column.unique()]
    parts = [re.fullmatch(r"(.*?)(\d+|[A-Za-z])(?:\.0)?", value.strip()) for value in values]
    if not all(parts) or len({part[1].casefold() for part in parts if part}) > 1 or set(values) == {"0", "1"}:
        return False
    marks = sorted(int(part[2]) if part[2].isdigit() else ord(part[2].casefold()) for part in parts if part)
    return all(after - before == 1 for before, after in itertools.pairwise(marks))


def merged(column: pl.Series) -> bool:
    """Whether a column, in the order of the file, is filled only where it changes, as merged cells of a sheet are."""
    known = column.drop_nulls()
    return bool(
        0 < len(known) <= len(column) / SHORT and column[0] is not None and len(known.rle_id().unique()) == len(known)
    )


def restarting(frame: pl.DataFrame, target: str, time: str | None) -> dict[str, str]:
    """Columns, named in no way like identifiers, with whose every value another column begins again.

    That is how subjects and their visits are written: the rows of each value stand together, and the other column has
    no value twice among them. It begins with the same one almost always, or goes up within each and back between them.
    Years do so too, though they stay the same from one of their months to the next.
    """
    found = {}
    for name in frame.columns:
        if name in (target, time) or words.is_named(name) or words.is_part(name) or not _may_name(frame[name]):
            continue
        first = frame[name].rle_id().diff().fill_null(1).to_numpy() == 1
        blocks = int(first.sum())
        if frame[name].null_count() or not 1 < blocks == _count(frame, (name,)) <= frame.height / SHORT:
            continue
        for other in frame.columns:
            column = frame[other]
            if other in (name, target, time) or column.null_count() or not _may_be_id(column):
                continue
            # A day has hours, and no day is a recording where times go on from one to the next.
            if time is not None and words.is_part(other):
                continue
            if column.dtype.is_numeric():
                steps = np.diff(column.cast(pl.Float64).to_numpy())
                within, between = steps[~first[1:]], steps[first[1:]]
                # Of few blocks, or where numbers stay the same, there have to be many rows for it to be no accident.
                strict = (within > 0).all() and blocks >= FEWEST
                stays = (within >= 0).all() and (within > 0).sum() >= blocks and frame.height >= FEWEST_ROWS * blocks
                if (strict or stays) and np.mean(between < 0) >= ALMOST_ALL:
                    found[name] = other
                    break
            if blocks < FEWEST:
                continue
            begins = column.filter(pl.Series(first))
            if begins.value_counts()["count"].to_numpy().max() < ALMOST_ALL * len(begins):
                continue
            if frame.select(name, other).is_unique().all():
                found[name] = other
                break
    return found


def chained(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> tuple[str, str] | None:
    """A column whose values are series of their own within each group, and what counts the rows of each; None for none.

    Eyes of a subject and their visits are written so, or runs of a session and their samples: the numbers of the other
    column come again within the group, and go up within each of these values.
    """
    groups_of = codes(frame, key)
    usable = [
        name
        for name in _usable(frame, target, time)
        if name not in key and not frame[name].has_nulls() and not words.counts_within(name)
    ]
    counters = [
        name
        for name in frame.columns
        if name not in (target, time, *key) and frame[name].dtype.is_numeric() and not frame[name].has_nulls()
    ]
    for name in usable[:MOST_PAIRED]:
        series = _count(frame, (*key, name))
        # Numbers that go up from each to the next may be those of laps or days of one series, unless these are long.
        least = FEWEST_ROWS if frame[name].dtype.is_numeric() else SHORT
        if series < 1.5 * (groups_of.max() + 1) or frame.height < least * series:
            continue
        of_rows = codes(frame, (*key, name))
        order = np.argsort(of_rows, kind="stable")
        same = np.diff(of_rows[order]) == 0
        for counter in counters[:MOST_PAIRED]:
            steps = np.diff(frame[counter].cast(pl.Float64).to_numpy()[order])[same]
            if counter == name or len(steps) < 2 * FEWEST_ROWS or not ((steps > 0).all() or (steps < 0).all()):
                continue
            # With as many numbers in each series as in all of them together, those of all but one come again.
            again = frame.height - _count(frame, (*key, counter))
            if again >= MOST * frame.height * (1 - (groups_of.max() + 1) / series):
                return name, counter
    return None


def rounded(column: pl.Series) -> str | None:
    """A value of an identifier that a spreadsheet has rounded, as in 1.1899E+19; None where there is none."""
    if column.dtype != pl.String and not column.dtype.is_float():
        return None
    cells = column.drop_nulls().unique(maintain_order=True)
    if column.dtype == pl.String:
        cells = cells.filter(cells.str.contains(r"^\s*\d([.,]\d+)?[eE]\+?\d+\s*$")).str.replace(",", ".", literal=True)
    numbers = cells.cast(pl.Float64, strict=False).drop_nulls()
    long = numbers.filter(numbers >= ROUNDED_FROM)
    short = [number for number in long if float(f"{number:.{CERTAIN_DIGITS - 1}e}") == number]
    return f"{short[0]:.{CERTAIN_DIGITS - 1}G}" if short and len(short) == len(long) else None


def totals(frame: pl.DataFrame, key: tuple[str, ...], time: str | None) -> dict[str, str]:
    """Groups that are made of others, such as a total, and what says so: their numbers at the same times, or a name."""
    if not key or _count(frame, key[:1]) <= FEWEST:
        return {}
    found: dict[str, str] = {}
    numbers = [name for name in frame.columns if name not in (*key, time) and frame[name].dtype.is_numeric()]
    for name in numbers[:MOST_COLUMNS] if len(key) == 1 and time is not None else ():
        if made := _sums(frame.select(*key, time, x=pl.col(name).cast(pl.Float64)).drop_nulls(), key[0], str(time)):
            found = {value: f"is the sum of {parts} in {name!r}" for value, parts in made.items()}
            break
    if frame[key[0]].dtype == pl.String:
        named = filter(words.is_total, frame[key[0]].drop_nulls().unique().sort())
        found |= {value: "is named like a total or an average of others" for value in named if value not in found}
    return found


def _sums(rows: pl.DataFrame, group: str, time: str) -> dict[str, str]:
    """Groups whose numbers are the sums of others' at the same times, and of which others."""
    both = rows.with_columns(rest=pl.col("x").sum().over(time) - pl.col("x"), others=pl.len().over(time) - 1)
    both = both.filter(pl.col("others") >= FEWEST - 1, pl.col("x") != 0)
    close = (pl.col("rest") - pl.col("x")).abs() <= SAME_SUM * pl.col("x").abs()
    of_all = both.group_by(group, maintain_order=True).agg(
        close=close.mean(), count=pl.len(), all=pl.col("x").n_unique()
    )
    of_all = of_all.filter(pl.col("close") >= ALMOST_ALL, pl.col("count") >= FEWEST_ROWS, pl.col("all") >= FEWEST)
    if of_all.height:
        return {str(of_all[group][0]): "all others"}
    if rows[group].n_unique() > MOST_GROUPS or rows.select(group, time).is_duplicated().any():
        return {}
    wide = rows.pivot(group, index=time, values="x").drop(time).drop_nulls()
    wide = wide[:: max(wide.height // (4 * wide.width), 1)]
    # A sum is larger than its parts, and of another sum's parts rather than of that.
    names = sorted(wide.columns, key=lambda name: wide[name].abs().mean() or 0.0)
    found: dict[str, str] = {}
    for place, name in enumerate(names):
        parts = [part for part in names[:place] if part not in found]
        if len(parts) < 2 or wide.height < len(parts) + FEWEST_ROWS or wide[name].n_unique() < FEWEST_ROWS:
            continue
        table, total = wide.select(parts).to_numpy(), wide[name].to_numpy()
        weights = np.linalg.lstsq(table, total)[0]
        whole = np.round(weights)
        some = [part for part, weight in zip(parts, whole, strict=True) if weight]
        ones = len(some) > 1 and set(whole) <= {0.0, 1.0} and np.abs(weights - whole).max() < SURE_WEIGHT
        if ones and np.quantile(np.abs(table @ whole - total), ALMOST_ALL) <= SAME_SUM * np.abs(total).mean():
            found[name] = listed(some, 4)
    return found


def ascending(frame: pl.DataFrame, times: NDArray[np.float64], target: str, time: str | None) -> list[str]:
    """Columns within whose values the times of the rows, as they come, never go back."""
    found = []
    for name in _usable(frame, target, time):
        if frame[name].null_count() or _count(frame, (name,)) > frame.height / FEWEST_ROWS:
            continue
        of_rows = codes(frame, (name,))
        order = np.argsort(of_rows, kind="stable")
        if not ((np.diff(times[order]) < 0) & (np.diff(of_rows[order]) == 0)).any():
            found.append(name)
    return found


def long_form(frame: pl.DataFrame, time: str | None) -> tuple[str, str] | None:
    """The columns of names and of values, where a table has a row for each quantity at each time."""
    numbers = [name for name in frame.columns if name != time and frame[name].dtype.is_numeric()]
    values = [name for name in numbers if words.is_value(name)]
    for name in frame.columns:
        column = frame[name].drop_nulls()
        if name == time or not values or not (column.dtype == pl.String or column.dtype.is_integer()):
            continue
        # The name of a sensor may be that of a quantity too, where nothing else was measured.
        told = words.is_variable(name) or (words.may_be_variable(name) and column.dtype == pl.String)
        if told and 1 < column.n_unique() <= len(column) / 2:
            return name, values[0]
    return None


def identifiers(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> dict[str, str]:
    """Columns that tell whose row it is and nothing else, and why they are no features."""
    found = {}
    for name in _usable(frame, target, time):
        # A measurement that was taken once of each tells more than a name.
        seldom = frame[name].null_count() > FEW_MISSING * frame.height and not words.is_named(name)
        if not key or name in key or seldom or not nested(frame, name, key):
            continue
        values = _count(frame, (name,))
        for level in (key[:1], key):
            if values == _count(frame, level) and nested(frame, name, level) and _is_numbering(frame[name]):
                found[name] = f"has one value for each of {' and '.join(map(repr, level))}, and so only names them"
                break
        else:
            if words.is_named(name):
                found[name] = f"is an identifier, the same throughout each of {' and '.join(map(repr, key))}"
    for name in frame.columns:
        if is_fold(frame[name]):
            found.pop(name, None)
        elif words.is_id(name) and name not in (*found, *key, target, time) and _may_be_id(frame[name]):
            found[name] = "is named like an identifier"
    return found


def _is_numbering(column: pl.Series) -> bool:
    """Whether values, one for each group, are names or numbers that were given out; an age or a dose was not."""
    name = column.name
    if not column.dtype.is_numeric() or words.is_numbered(name):
        return not words.is_property(name)
    values = column.drop_nulls().cast(pl.Int64).unique().sort().to_numpy()
    counted = values[0] in (0, 1) and np.mean(np.diff(values) == 1) >= COUNTED
    # What was measured in large numbers is often round, and seldom has as many digits everywhere.
    return bool(
        counted or (values[0] >= 10**5 and len(str(values[0])) == len(str(values[-1])) and np.gcd.reduce(values) == 1)
    )


def _may_be_id(column: pl.Series) -> bool:
    return column.dtype == pl.String or column.dtype.is_numeric()


def twins(column: pl.Series) -> list[tuple[str, str]]:
    """Values of a column of text that differ only in case, blanks, hyphens, or how the same number is written."""
    first: dict[str, str] = {}
    found = []
    for value in column.drop_nulls().unique(maintain_order=True):
        plain = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
        # Marks between figures, and the sign of a number, mean something; those between words hardly ever.
        plain = re.sub(r"(?<![^\s(])-(?=\d)", "\N{MINUS SIGN}", plain)
        plain = re.sub(r"(?<=[^\W\d_])[\s_-]+(?=[^\W_])|(?<=\d)[\s_-]+(?=[^\W\d_])", "", plain)
        if re.fullmatch(r"\d{1,15}(\.0*)?", plain):
            plain = str(int(float(plain)))
        if first.setdefault(plain, value) != value:
            found.append((first[plain], value))
    return found


def words_among_numbers(column: pl.Series) -> list[str]:
    """Values of a column of text that are no numbers, where they are few and all others are."""
    counts = column.drop_nulls().value_counts()
    others = counts.filter(~counts[column.name].str.contains(r"\d"))
    few = 0 < others["count"].sum() <= dates.few(len(column)) and 2 * others.height < counts.height
    numbers = counts.filter(counts[column.name].str.contains(r"\d"))[column.name].str.contains(r"^\d+(\.0*)?$").all()
    return others[column.name].to_list() if few and numbers else []


def coarser(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> list[str]:
    """Columns of which one value holds several groups of the key's first column, from the coarsest on.

    They are named like identifiers, or hold names of at least `FEWEST` things that several groups share, such as
    hospitals; numbers under other names have to count these, in blocks of rows. A sex or a diagnosis is none.
    """
    groups = _count(frame, key[:1])

    def may_hold(name: str, values: int) -> bool:
        column = frame[name]
        if values >= groups or is_fold(column):
            return False
        if words.is_named(name):
            return True
        if not FEWEST <= values <= groups / 2 or words.is_trait(name) or is_part_of_split(column):
            return False
        return column.dtype == pl.String or (_is_numbering(column) and come_in_blocks(frame, name))

    found = [
        name
        for name in _usable(frame, target, time)
        if name not in key and may_hold(name, _count(frame, (name,))) and nested(frame, name, key[:1])
    ]
    return sorted(found, key=lambda name: _count(frame, (name,)))


def _usable(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns that may be identifiers, though they lack some; a clock, an hour or a month never is."""
    return [
        name
        for name in frame.columns
        if name not in (target, time)
        and _may_name(frame[name])
        and _count(frame, (name,)) > 1
        and not words.is_part(name)
    ]


def _may_name(column: pl.Series) -> bool:
    """Whether a column's values may be names; of fractions, only the column's name tells."""
    if column.dtype == pl.String:
        return not is_unit(column)
    return column.dtype.is_integer() or (column.dtype.is_float() and words.is_named(column.name))


def _distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows, without those that repeat another in every column."""
    return frame.filter(frame.hash_rows().is_first_distinct())


def _repeat(distinct: pl.DataFrame, time: str | None) -> bool:
    return time is not None and distinct[time].n_unique() < distinct.height


def _count(frame: pl.DataFrame, key: tuple[str, ...]) -> int:
    if len(key) == 1:
        return frame[key[0]].drop_nulls().n_unique()
    return frame.select(key).drop_nulls().select(pl.struct(key).n_unique()).item()


def nested(frame: pl.DataFrame, name: str, key: tuple[str, ...]) -> bool:
    """Whether a column is the same within each value of the key."""
    known = frame.select(name, *key).drop_nulls()
    return _count(known, (*key, name)) == _count(known, key)


def _in_blocks(frame: pl.DataFrame, key: tuple[str, ...], rows: int = FEWEST_ROWS) -> bool:
    groups = _count(frame, key)
    return FEWEST <= groups <= frame.select(key).drop_nulls().height / rows and _runs(frame, key) == groups


def _runs(frame: pl.DataFrame, key: tuple[str, ...]) -> int:
    return len(frame.select(key).drop_nulls().select(pl.struct(key).rle()).to_series())


def _finest(frame: pl.DataFrame, names: list[str]) -> str | None:
    """Of identifiers that hold one another, that with most values; None where there are none, or they cross."""
    ordered = sorted(names, key=lambda name: _count(frame, (name,)))
    if any(not nested(frame, coarse, (fine,)) for coarse, fine in itertools.pairwise(ordered)):
        return None
    long = [name for name in ordered if _count(frame, (name,)) <= frame.height / FEWEST_ROWS]
    if not ordered:
        return None
    # Of several with as many values, the first in the table.
    best = (long or ordered[:1])[-1]
    return next(name for name in ordered if _count(frame, (name,)) == _count(frame, (best,)))


def _coarsest(frame: pl.DataFrame, target: str, finest: str, others: list[str], reason: str) -> Grouping:
    """The key of recordings told apart by one column, split by the coarsest that holds them."""
    groups = _count(frame, (finest,))
    above = sorted(
        (name for name in others if _count(frame, (name,)) < groups and nested(frame, name, (finest,))),
        key=lambda name: _count(frame, (name,)),
    )
    enough = [name for name in above if _splits(frame, target, name)]
    warnings = []
    if not enough:
        for name in above:
            warnings.append(
                f"{name!r} has {_count(frame, (name,))} values, too few to split by; what belongs to one of them is in "
                f"several parts, by {finest!r}"
            )
        return Grouping((finest,), reason.format("it"), warnings)
    unit = enough[0]
    warnings.append(
        f"each of {finest!r} belongs to one of {unit!r} ({_count(frame, (unit,))} values), so the split is by {unit!r} "
        f"and the sequences by {finest!r}; --group {finest} splits by {finest!r}, and parts then share values of "
        f"{unit!r}"
    )
    for name in enough[1:]:
        warnings.append(f"{name!r} lies between {unit!r} and {finest!r}; --group {name},{finest} splits by it")
    return Grouping((unit, finest), reason.format(repr(finest)), warnings)


def _cut_within(finest: str, names: list[str], orders: list[pl.DataFrame], reason: str) -> Grouping | None:
    """The key of one column and the first of others that comes in blocks within it, in one of these orders of rows."""
    for name in names:
        if any(_in_blocks(rows, (finest, name)) for rows in orders):
            warning = f"split by {finest!r}, and cut into sequences by {name!r} within it; --group names others"
            return Grouping((finest, name), reason, [warning])
    return None


def _several(frame: pl.DataFrame, target: str, time: str | None, named: list[str]) -> Grouping:
    """The key where no column alone keeps times from repeating: subjects, say, and sessions numbered within them."""
    for size in (2, 3):
        found = pairs(frame, target, time, named, size)
        if not found:
            continue
        # Sessions are within subjects, whatever their numbers; else the table's order says what is within what.
        ordered = [tuple(sorted(together, key=lambda name: words.is_within(name))) for together in found]
        ordered = [together for together in ordered if _splits(frame, target, together[0])] or ordered
        key = ordered[0]
        if not _splits(frame, target, key[0]):
            key = next(
                (tuple(sorted(key, key=lambda name: name != first)) for first in key if _splits(frame, target, first)),
                key,
            )
        rest = " and ".join(map(repr, key[1:]))
        warnings = [
            f"times are distinct only within {' and '.join(map(repr, key))} together, so the split is by {key[0]!r} "
            f"and the sequences by {rest} within it; --group names others"
        ]
        for name in key[1:]:
            # Parts that share a subject share its label, too.
            if not words.is_within(name) and nested(frame, target, (name,)):
                warnings.append(
                    f"{target!r} is constant within each of {name!r}, whose values are in several parts, as there are "
                    f"too few to split by; what is learnt of one in training is asked again in test"
                )
        others = [together for together in ordered[1:] if set(together) != set(key)]
        if others:
            warnings.append(f"{' or '.join(','.join(together) for together in others[:3])} would do as well (--group)")
        return Grouping(key, "times repeat, but never within one value of all of them", warnings)
    return Grouping()


def _splits(frame: pl.DataFrame, target: str, name: str) -> bool:
    """Whether a column has enough groups for a split: of each class too, where a group has one class."""
    known = frame.select(name, target).drop_nulls()
    if _count(known if known.height else frame, (name,)) < FEWEST:
        return False
    if not known.height or known[target].n_unique() > known.height / 10 or not nested(known, target, (name,)):
        return True
    column = known[target]
    numbers = column.dtype.is_numeric() and (column.n_unique() > MOST_CLASSES or bool((column % 1 != 0).any()))
    return numbers or int(known.unique().group_by(target).len()["len"].to_numpy().min()) >= FEWEST
