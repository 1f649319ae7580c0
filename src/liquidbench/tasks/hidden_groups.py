"""Recordings that are read as one, by what in a table tells of them: blocks, turns, counters that begin again, sums.

Nothing here chooses a group; `liquidbench.tasks.recordings` warns of what is found.
"""

import itertools
import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates, groups, words
from liquidbench.wording import listed

NEARER = 0.5
"""Times as far as to the row before that a row is from the last with its value, up to which it goes on from that."""
ALIKE = 0.5
"""Standard deviation of the lengths of blocks, in relation to their mean, up to which they are those of recordings."""
MOST_IN_LINE = 0.5
"""Correlation of numbers with those before, beyond which they were measured."""
MOST = 2 / 3
"""Share of the values that have to do so."""
APART = 0.1
"""Share of a value's rows between one row and the next, in order of size, below which they are too close for two
recordings."""
PAUSE = 5
"""Times as long as all others of a round the time to the next is, where recordings are written in rounds."""
FAR_APART = 5
"""Times as large as the usual step of numbers that were given out, in the order of the rows, their range may be; and
as many as their values the numbers among which these were."""
SAME_SUM = 0.005
"""Share by which the sum of groups may differ from what is their sum, after rounding."""
SURE_MEAN = 0.02
"""Standard deviations of all groups at a time by which their mean may differ, after rounding."""
SURE_WEIGHT = 0.05
"""How far from 0 or 1 the weights of the parts of a sum may be, as they were rounded."""
MOST_GROUPS = 100
"""Groups among which sums of some of them are looked for."""
MOST_COLUMNS = 12
"""Columns of numbers in which sums of groups are looked for."""
MORE_OFTEN = 10
"""Times as often as by chance that recordings are alike in what stays the same of a person, where they are of one."""
FEWEST_PERSONS = 8
"""Persons from which on what is known of them tells them from products, say, of which there are a few."""
MOST_ROWS = 10_000
"""Rows in which recordings that were written together are looked for: the first ones."""


def unnamed_blocks(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns, named in no way like identifiers, each of whose values has its rows together.

    Text and whole numbers may be phases, set points or slow measurements, too. Many blocks of text are recordings; of
    few, and of numbers, something has to speak for it: the time leaps where they change and hardly anywhere else, or
    the numbers are as those that were given out are.
    """
    found = []
    for name in groups.may_identify(frame, target, time):
        if words.is_named(name) or not groups.in_blocks(frame, (name,)):
            continue
        there = frame.filter(frame[name].is_not_null() & (True if time is None else frame[time].is_not_null()))
        changes = there[name].rle_id().diff().drop_nulls().to_numpy() != 0
        begins = there.filter(pl.Series(np.append(True, changes)))
        leaps = time is not None and _leaps(there[time], changes)
        # What is known once a day, or a month, changes at the same time of it.
        daily = time is not None and _begin_alike(begins[time])
        many = len(begins) >= groups.MANY_BLOCKS
        if there[name].dtype == pl.String:
            states = words.are_states(there[name].unique()) or words.is_trait(name)
            of_recordings = many or (leaps and not daily and not states)
        else:
            lengths = np.diff(np.append(0, np.append(np.flatnonzero(changes) + 1, len(there))))
            of_recordings = (leaps and not daily) or (many and _are_numbers_of_blocks(begins[name], lengths, daily))
        if of_recordings:
            found.append(name)
    return found


def _leaps(times: pl.Series, changes: NDArray[np.bool_]) -> bool:
    """Whether the time leaps, or goes back, where something changes, and hardly anywhere else."""
    spans = np.diff(dates.seconds(times))
    usual = np.median(spans)
    leaps = (np.abs(spans) > PAUSE * np.abs(usual)) | (spans * usual < 0)
    return bool(leaps[changes].mean() >= groups.ALMOST_ALL and leaps[~changes].mean() <= 1 - groups.ALMOST_ALL)


def _begin_alike(times: pl.Series) -> bool:
    """Whether most blocks begin at one of a few times of a day."""
    return times.dtype == pl.Datetime and times.dt.time().n_unique() <= len(times) / 2


def _are_numbers_of_blocks(begins: pl.Series, lengths: NDArray[np.int64], daily: bool) -> bool:
    """Whether whole numbers, one for each block of rows, count these or were given out to them.

    Numbers that were measured are near those before, and what adds up stays the same now longer and now shorter.
    """
    values = begins.cast(pl.Int64).to_numpy()
    steps, span = np.diff(values), np.ptp(values) + 1
    alike = lengths.std() <= ALIKE * lengths.mean()
    if np.mean(steps == 1) >= groups.COUNTED:
        return bool(alike)
    up = np.mean(steps > 0)
    ranks = begins.rank().to_numpy()
    far = np.corrcoef(ranks[:-1], ranks[1:])[0, 1] <= MOST_IN_LINE
    shuffled = 1 - groups.ALMOST_ALL < up < groups.ALMOST_ALL and far
    as_long = len(str(values.min())) == len(str(values.max())) >= groups.FEWEST and np.gcd.reduce(values) == 1
    if span == len(values):
        return bool(shuffled)
    if daily or not as_long:
        return False
    return bool((shuffled and span > FAR_APART * len(values)) or (up >= groups.ALMOST_ALL and alike))


def unnamed_numbers(frame: pl.DataFrame, target: str, time: str | None) -> dict[str, str]:
    """Columns under names that say nothing, with few numbers that were given out and come back in blocks; and some.

    Operators, say, or materials: numbers of one length, far apart, which neither go on nor are round as set points are.
    """
    found = {}
    for name in groups.may_identify(frame, target, time):
        column = frame[name].drop_nulls()
        if words.is_named(name) or words.is_code(name) or not column.dtype.is_integer() or len(column) < frame.height:
            continue
        values = column.unique().sort().to_numpy()
        blocks = len(column.rle())
        if not groups.FEWEST <= len(values) < blocks <= len(column) / groups.FEWEST_ROWS:
            continue
        as_long = len(str(values[0])) == len(str(values[-1])) >= 4
        if as_long and np.gcd.reduce(np.diff(values)) == 1 and np.diff(values).min() > FAR_APART:
            found[name] = listed(map(str, values), 3, quote=False)
    return found


def constant_together(frame: pl.DataFrame, target: str, time: str | None) -> tuple[list[str], int] | None:
    """Columns that change together only and never come back, as places or ages of recordings do; and how many are so.

    Flags of which one is set in each row, as of subjects, are such columns too.
    """
    numbers = [
        name
        for name in frame.columns
        if name not in (target, time) and not words.is_part(name) and not frame[name].has_nulls()
    ]
    changes = {name: frame[name].rle_id().diff().drop_nulls().to_numpy() != 0 for name in numbers}
    most = frame.height / groups.FEWEST_ROWS
    changes = {name: rows for name, rows in changes.items() if 0 < rows.sum() < most}

    def are_recordings(names: list[str]) -> int:
        """How many recordings columns tell apart; 0 where they come back, are few, or change once a day."""
        begins = np.append(True, np.any([changes[name] for name in names], axis=0))
        blocks = int(begins.sum())
        if time is not None and _begin_alike(frame.filter(pl.Series(begins))[time].drop_nulls()):
            return 0
        return blocks if blocks >= groups.FEWEST and groups.count(frame, tuple(names)) == blocks else 0

    flags = [name for name in changes if {0, 1}.issuperset(frame[name].unique()) and frame[name].dtype != pl.String]
    if len(flags) >= groups.FEWEST and frame.select(pl.sum_horizontal(flags) == 1).to_series().all():
        if (blocks := are_recordings(flags)) >= len(flags):
            return flags, blocks
    of_rows: dict[bytes, list[str]] = {}
    for name, rows in changes.items():
        if name not in flags:
            of_rows.setdefault(rows.tobytes(), []).append(name)
    # One number that was given out, or text, has been looked at by itself.
    several = [names for names in of_rows.values() if len(names) > 1 or words.is_of_subject(names[0])]
    found = [(names, are_recordings(names)) for names in several]
    return max((pair for pair in found if pair[1]), key=lambda pair: len(pair[0]), default=None)


def same_person(frame: pl.DataFrame, name: str, target: str, time: str | None) -> tuple[list[str], int] | None:
    """Amounts, such as ages and weights, in which recordings are alike too often by chance; and how many share them.

    By chance two are alike in all of them as often as they would be if each amount had nothing to do with the others.
    """
    amounts = [
        other
        for other in frame.columns
        if other not in (name, target, time) and frame[other].dtype.is_numeric() and words.is_of_subject(other)
    ]
    amounts = [other for other in amounts if not frame[other].has_nulls() and groups.nested(frame, other, (name,))]
    if len(amounts) < 2:
        return None
    each = frame.select(name, *amounts).unique(name)

    def pairs(key: list[str]) -> float:
        sizes = each.group_by(key).len()["len"].to_numpy().astype(np.float64)
        return float((sizes * (sizes - 1) / 2).sum())

    every, persons = each.height * (each.height - 1) / 2, groups.count(each, tuple(amounts))
    if not FEWEST_PERSONS <= persons <= MOST * each.height:
        return None
    chance = every * float(np.prod([pairs([other]) / every for other in amounts]))
    return (amounts, persons) if pairs(amounts) >= MORE_OFTEN * max(chance, 1.0) else None


def recurring(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns named like identifiers that have too few values, too few rows of each, or come back too often.

    Of whom a few rows are is told too: a patient with two rows is in training and in test.
    """
    found = [
        name
        for name in groups.may_identify(frame, target, time)
        if groups.is_named(frame[name])
        and groups.may_be_id(frame[name])
        and (
            groups.count(frame, (name,)) <= frame.height / (2 if words.names_whom(name) else groups.FEWEST_ROWS)
            or groups.in_blocks(frame, (name,), groups.SHORT)
        )
    ]
    whom = [name for name in found if words.names_whom(name)]

    def is_of_each(visit: str) -> bool:
        """Whether visits are those of each of whom, once, so that one of them is no recording."""
        return words.is_within(visit) and any(
            not groups.nested(frame, who, (visit,)) and frame.select(who, visit).is_unique().all() for who in whom
        )

    return [name for name in found if not is_of_each(name)]


def interleaved(frame: pl.DataFrame, target: str, time: str | None, key: tuple[str, ...] = ()) -> dict[str, str]:
    """Columns, not named like identifiers, whose values come back as those of recordings written together do, and why.

    An hour, a season or a state (on, off) comes back too, so one of these has to speak for recordings as well: numbers
    that go on, within each value, from its last row and not from the row before; the name of what has a series of its
    own, such as a room, whose values take turns; values that were given out, such as serial numbers, each of which
    comes once in every round; times that come in rounds, close together, of values that are counted. All of this is
    looked for within the values of a key.
    """
    times = np.zeros(frame.height) if time is None else dates.seconds(frame[time])
    of_key = groups.codes(frame, key)
    order = np.lexsort((times, of_key))[:MOST_ROWS]
    frame, times, of_key = frame[order], times[order], of_key[order]
    apart = {target, time, *key, *(long_form(frame, time) or ())}
    names = [
        name
        for name in frame.columns
        if name not in apart and not words.is_named(name) and _may_come_back(frame[name], of_key)
    ][: groups.MOST_PAIRED]
    numbers = [name for name in (target, *frame.columns) if name in frame.columns and name not in (time, *key, *names)]
    numbers = [name for name in dict.fromkeys(numbers) if frame[name].dtype.is_numeric() and frame[name].n_unique() > 2]
    found: dict[str, str] = {}
    for name in names:
        there = frame[name].is_not_null().to_numpy()
        rows = pl.DataFrame(
            {"of": groups.codes(frame.filter(there), (name,)), "key": of_key[there], "time": times[there]}
        )
        goes_on = (
            other
            for other in numbers[: groups.MOST_PAIRED]
            if _goes_on_within(rows.with_columns(x=frame[other].filter(there)))
        )
        if (other := next(goes_on, None)) is not None:
            found[name] = f"within each of them {other!r} goes on from its last row, and not from the row before"
        elif (words.may_have_series(name) or _are_given_out(frame[name])) and groups.take_turns(rows):
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
            groups.nested(frame, name, (other,)) and (before or not groups.nested(frame, other, (name,)))
            for before, other in ((at < place, other) for at, other in enumerate(found) if other != name)
        )
    }


def _may_come_back(column: pl.Series, of_key: NDArray[np.int64]) -> bool:
    """Whether a column has few values that change often, and are no states or parts of a time."""
    name, known, values = column.name, column.drop_nulls(), column.drop_nulls().unique()
    if not 1 < len(values) <= len(known) / groups.FEWEST_ROWS or len(known) < (1 - groups.FEW_MISSING) * len(column):
        return False
    whole = column.dtype.is_numeric() and bool((values.cast(pl.Float64) % 1 == 0).all())
    if {0, 1}.issuperset(values):
        return False
    if not (column.dtype == pl.String or whole) or words.is_trait(name) or groups.is_unit(column):
        return False
    # A tag is a day in German.
    if words.is_part(name) and not _are_given_out(column):
        return False
    # Hours, such as 00h-01h, may look like codes that were given out.
    if column.dtype == pl.String and (words.are_states(values) or values.str.contains(r"^\d{1,2} ?h\b").all()):
        return False
    runs = len(known.rle())
    return runs >= groups.FEWEST * len(values) * (int(of_key.max()) + 1) and not (
        groups.is_fold(column) or groups.is_part_of_split(column)
    )


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
        .filter(pl.col("len") >= groups.SHORT)
    )
    many = values["len"].sum() >= 2 * groups.FEWEST_ROWS and values.height >= max(
        groups.ALMOST_ALL * rows["of"].n_unique(), 2
    )
    nearer = (values["within"] <= NEARER * values["across"]) & (values["across"] >= APART)
    return bool(many and nearer.mean() >= MOST)  # pyright: ignore


def _come_in_rounds(rows: pl.DataFrame) -> bool:
    """Whether rows of all values, each in its turn, are close together in time, and far from the next such round."""
    if not groups.take_turns(rows):
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
    return count >= groups.FEWEST and len(rows) >= groups.REGULAR * rounds * count


def _are_given_out(column: pl.Series) -> bool:
    """Whether values are those of serial numbers and the like: as long as each other, with many figures."""
    values = column.drop_nulls().unique()
    if column.dtype.is_numeric():
        if (values.abs() >= groups.WHOLE_UP_TO).any():
            return False
        numbers = values.cast(pl.Int64).to_numpy()
        lengths = {len(str(number)) for number in numbers}
        return bool(numbers.min() >= 10**4 and len(lengths) == 1 and np.gcd.reduce(numbers) == 1)
    text = values.str.strip_chars()
    figures = text.str.count_matches(r"\d")
    alike = text.str.len_chars().n_unique() == 1
    mixed = text.str.contains(r"\d[A-Za-z:-]+\d") & (text.str.len_chars() >= groups.CERTAIN_DIGITS)
    return bool(alike and ((figures >= groups.FEWEST) | mixed).all())


def _are_counted(column: pl.Series) -> bool:
    """Whether values are letters or numbers one after another, at most behind the same word; 0 and 1 are a flag."""
    values = [str(value) for value in column.unique()]
    parts = [re.fullmatch(r"(.*?)(\d+|[A-Za-z])(?:\.0)?", value.strip()) for value in values]
    if not all(parts) or len({part[1].casefold() for part in parts if part}) > 1 or set(values) == {"0", "1"}:
        return False
    marks = sorted(int(part[2]) if part[2].isdigit() else ord(part[2].casefold()) for part in parts if part)
    return all(after - before == 1 for before, after in itertools.pairwise(marks))


def restarting(frame: pl.DataFrame, target: str, time: str | None) -> dict[str, str]:
    """Columns, named in no way like identifiers, with whose every value another column begins again.

    That is how subjects and their visits are written: the rows of each value stand together, and the other column has
    no value twice among them. It begins with the same one almost always, or goes up within each and back between them.
    Years do so too, though they stay the same from one of their months to the next.
    """
    found = {}
    for name in frame.columns:
        if name in (target, time) or words.is_named(name) or words.is_part(name) or not groups.may_name(frame[name]):
            continue
        first = frame[name].rle_id().diff().fill_null(1).to_numpy() == 1
        blocks = int(first.sum())
        if frame[name].null_count() or not 1 < blocks == groups.count(frame, (name,)) <= frame.height / groups.SHORT:
            continue
        for other in frame.columns:
            column = frame[other]
            if other in (name, target, time) or column.null_count() or not groups.may_be_id(column):
                continue
            # A day has hours, and no day is a recording where times go on from one to the next.
            if time is not None and words.is_part(other):
                continue
            if column.dtype.is_numeric():
                steps = np.diff(column.cast(pl.Float64).to_numpy())
                within, between = steps[~first[1:]], steps[first[1:]]
                # Of few blocks, or where numbers stay the same, there have to be many rows for it to be no accident.
                strict = (within > 0).all() and blocks >= groups.FEWEST
                stays = (
                    (within >= 0).all() and (within > 0).sum() >= blocks and frame.height >= groups.FEWEST_ROWS * blocks
                )
                if (strict or stays) and np.mean(between < 0) >= groups.ALMOST_ALL:
                    found[name] = other
                    break
            if blocks < groups.FEWEST:
                continue
            begins = column.filter(pl.Series(first))
            if begins.alias("value").value_counts()["count"].to_numpy().max() < groups.ALMOST_ALL * len(begins):
                continue
            if frame.select(name, other).is_unique().all():
                found[name] = other
                break
    return found


def chained(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> tuple[str, str] | None:
    """A column whose values are series of their own within each group, and what counts the rows of each; None for none.

    Eyes of a subject and their visits are written so, or runs of a session and their samples: the numbers of the other
    column come again within the group, and go up within each of these values. Persons of a household are in few rows.
    """
    groups_of = groups.codes(frame, key)
    usable = [
        name
        for name in groups.may_identify(frame, target, time)
        if name not in key and not frame[name].has_nulls() and not words.counts_within(name)
    ]
    counters = [
        name
        for name in frame.columns
        if name not in (target, time, *key) and frame[name].dtype.is_numeric() and not frame[name].has_nulls()
    ]
    for name in usable[: groups.MOST_PAIRED]:
        series = groups.count(frame, (*key, name))
        # Numbers that go up from each to the next may be those of laps or days of one series, unless these are long.
        short = frame[name].dtype == pl.String or words.names_whom(name)
        least = groups.SHORT if short else groups.FEWEST_ROWS
        if series < 1.5 * (groups_of.max() + 1) or frame.height < least * series:
            continue
        of_rows = groups.codes(frame, (*key, name))
        order = np.argsort(of_rows, kind="stable")
        same = np.diff(of_rows[order]) == 0
        for counter in counters[: groups.MOST_PAIRED]:
            steps = np.diff(frame[counter].cast(pl.Float64).to_numpy()[order])[same]
            # Trials of each day are numbered anew, and no series of their own.
            if counter == name or groups.counts_below(frame, name, counter, key):
                continue
            if len(steps) < 2 * groups.FEWEST_ROWS or not ((steps > 0).all() or (steps < 0).all()):
                continue
            # With as many numbers in each series as in all of them together, those of all but one come again.
            again = frame.height - groups.count(frame, (*key, counter))
            if again >= MOST * frame.height * (1 - (groups_of.max() + 1) / series):
                return name, counter
    return None


def totals(frame: pl.DataFrame, key: tuple[str, ...], time: str | None) -> dict[str, str]:
    """Groups that are made of others, such as a total, and what says so: their numbers at the same times, or a name."""
    if not key or groups.count(frame, key[:1]) <= groups.FEWEST:
        return {}
    found: dict[str, str] = {}
    numbers = [name for name in frame.columns if name not in (*key, time) and frame[name].dtype.is_numeric()]
    numbers = [name for name in numbers if not _goes_with_time(frame, name, key, time)]
    for name in numbers[:MOST_COLUMNS] if len(key) == 1 and time is not None else ():
        if made := _sums(frame.select(*key, time, x=pl.col(name).cast(pl.Float64)).drop_nulls(), key[0], str(time)):
            found = {value: f"is {parts} in {name!r}" for value, parts in made.items()}
            break
    if frame[key[0]].dtype == pl.String:
        named = filter(words.is_total, frame[key[0]].drop_nulls().unique().sort())
        found |= {value: "is named like a total or an average of others" for value in named if value not in found}
    return found


def _goes_with_time(frame: pl.DataFrame, name: str, key: tuple[str, ...], time: str | None) -> bool:
    """Whether numbers go on with the time at one pace in all groups, as days since something do."""
    if time is None:
        return False
    order = np.lexsort((dates.seconds(frame[time]), groups.codes(frame, key)))
    same = np.diff(groups.codes(frame, key)[order]) == 0
    spans, steps = (np.diff(values[order])[same] for values in (dates.seconds(frame[time]), _amounts(frame[name])))
    paces = (steps / np.where(spans > 0, spans, np.nan))[~np.isnan(steps)]
    return len(paces) > 0 and bool(np.mean(np.isclose(paces, np.nanmedian(paces), rtol=1e-6)) >= groups.ALMOST_ALL)


def _amounts(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _sums(rows: pl.DataFrame, group: str, time: str) -> dict[str, str]:
    """Groups whose numbers are the sums of others' at the same times, and of which others."""
    both = rows.with_columns(
        rest=pl.col("x").sum().over(time) - pl.col("x"),
        others=pl.len().over(time) - 1,
        apart=SURE_MEAN * pl.col("x").std().over(time),
    )
    both = both.filter(pl.col("others") >= groups.FEWEST - 1, pl.col("x") != 0)
    # Of groups that are nearly the same at each time, each is near the mean of the others.
    for what, rest, near in (
        ("sum", pl.col("rest"), SAME_SUM * pl.col("x").abs()),
        ("mean", pl.col("rest") / pl.col("others"), pl.col("apart")),
    ):
        close = ((rest - pl.col("x")).abs() <= near) & (pl.col("apart") > 0)
        of_all = both.group_by(group, maintain_order=True).agg(
            close=close.mean(), count=pl.len(), all=pl.col("x").n_unique()
        )
        of_all = of_all.filter(
            pl.col("close") >= groups.ALMOST_ALL, pl.col("count") >= groups.FEWEST_ROWS, pl.col("all") >= groups.FEWEST
        )
        if of_all.height:
            return {str(of_all[group][0]): f"the {what} of all others"}
    if rows[group].n_unique() > MOST_GROUPS or rows.select(group, time).is_duplicated().any():
        return {}
    wide = rows.pivot(group, index=time, values="x").drop(time).drop_nulls()
    if wide.is_empty():
        return {}
    wide = wide[:: max(wide.height // (4 * wide.width), 1)]
    # A sum is larger than its parts, and of another sum's parts rather than of that.
    names = sorted(wide.columns, key=lambda name: wide[name].abs().mean() or 0.0)
    found: dict[str, str] = {}
    for place, name in enumerate(names):
        parts = [part for part in names[:place] if part not in found]
        if (
            len(parts) < 2
            or wide.height < len(parts) + groups.FEWEST_ROWS
            or wide[name].n_unique() < groups.FEWEST_ROWS
        ):
            continue
        table, total = wide.select(parts).to_numpy(), wide[name].to_numpy()
        weights = np.linalg.lstsq(table, total)[0]
        whole = np.round(weights)
        some = [part for part, weight in zip(parts, whole, strict=True) if weight]
        ones = len(some) > 1 and set(whole) <= {0.0, 1.0} and np.abs(weights - whole).max() < SURE_WEIGHT
        if ones and np.quantile(np.abs(table @ whole - total), groups.ALMOST_ALL) <= SAME_SUM * np.abs(total).mean():
            found[name] = f"the sum of {listed(some, 4)}"
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
