"""Who belongs together: which columns of a table tell recordings apart, and which of them a split must keep whole.

A table may hold several sessions of several subjects. What is learnt from one session of a subject helps with another,
so the split is by subject, and the sequences are the sessions. A key names the columns for both: the first is the unit
of the split, all of them together are the recording.
"""

import itertools
import re
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates, words

FEWEST = 3
"""Groups that a split needs, one for each part."""
MOST_PARTS = 4
"""Parts that a split has, at most."""
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
NEARLY = 0.1
"""Share of the variance of a target up to which it varies among rows of one sample, which was measured again."""
CHANCE = 1e-3
"""Chance that rows of one label all have one target, up to which it is no accident."""
BY_CHANCE = 5
"""Times that numbers dealt at random would come again, from which on it is no accident that none does."""
REGULAR = 0.85
"""Share of the changes, and of the runs, that are alike where values take turns, but for rows that are lacking."""
CERTAIN_DIGITS = 6
"""Digits that a spreadsheet leaves of a long number in scientific notation."""
ROUNDED_FROM = 1e11
"""Numbers from which on it does so."""
NEARER = 0.5
"""Times as much as other rows that two of one person differ, by the mean of squares, up to which they are of one."""
ANY = 0.7
"""Share of what any two rows differ by that two numbered one after another do, from which on their order is none."""
_MOST_FOLDS = 20
_LAST_HOUR = 24
WHOLE_UP_TO = 2.0**63
"""Numbers from which on there are no 64-bit integers."""


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
    if not words.is_folds(column.name):
        return False
    values = column.drop_nulls().unique()
    if not 1 < len(values) <= _MOST_FOLDS:
        return False
    return bool(values.cast(pl.String).str.contains(r"^(?i:(?:cv|fold)?[ _.-]?)\d{1,2}(?:\.0)?$").all())


def is_part_of_split(column: pl.Series) -> bool:
    """Whether a column says which rows somebody trained and tested on, in words or, by its name, in flags."""
    values = column.drop_nulls().unique()
    if column.dtype == pl.String:
        parts = {value.strip().casefold() for value in values}
        return words.are_parts(parts, column.name) or (words.flags_split(column.name) and 1 < len(parts) <= MOST_PARTS)
    few = len(values) > 1 and {0, 1, 2}.issuperset(values)
    return few and words.flags_split(column.name)


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
        for name in may_identify(frame, target, time)
        if is_named(frame[name]) and count(frame, (name,)) <= frame.height / 2 and not frame[name].has_nulls()
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
    named = [name for name in may_identify(frame, target, time) if is_named(frame[name])]
    distinct = _distinct(frame)
    if _repeat(distinct, time):
        reason = "times repeat in the table, but never within one value of {}"
        # Without a name that says so, what comes again at each time may be a clock, a period or a shift as well.
        found = [
            name
            for name in _candidates(distinct, target, time)
            if name in named
            or (in_blocks(distinct, (name,)) and _splits(distinct, target, name))
            or _is_asked_again(distinct, name, str(time), named)
        ]
        by_name = [name for name in found if name in named]
        finest = _finest(frame, by_name)
        if finest is None:
            # Of stops on trips, say, those whose rows are scattered are not the recordings.
            finest = _finest(frame, [name for name in by_name if in_blocks(frame, (name,))])
        if finest is None and not set(found) & set(named):
            alike = all(
                count(frame, (name, found[0])) == count(frame, (name,)) == count(frame, (found[0],))
                for name in found[1:]
            )
            finest = found[0] if found and alike else None
        if finest is None:
            several = Grouping() if found else _several(distinct, target, time, named)
            anew = None if found or several.key else numbered_anew(frame, target, time)
            return _of_levels(frame, target, anew) if anew else several
        # Sessions that are numbered within subjects, also where times go on from one to the next.
        within = [name for name in named if name != finest and words.is_within(name)]
        within = [name for name in within if not nested(frame, name, (finest,)) and not nested(frame, finest, (name,))]
        if cut := _cut_within(finest, within, [frame.sort(finest, time)], reason.format(repr(finest))):
            return cut
    else:
        reason = "named like an identifier, and its values come in blocks of rows"
        # Of a table that was shuffled, the order of time tells.
        in_time = frame if time is None else frame.sort(time)
        found = [name for name in named if in_blocks(frame, (name,)) or in_blocks(in_time, (name,))]
        if time is None and not any(map(words.names_whom, found)) and (of_whom := visited(frame, target, time)):
            return _of_visited(frame, target, of_whom, named)
        if turning := _whose_turn(frame, target, time, named, found):
            return turning
        if anew := numbered_anew(frame, target, time):
            return _of_levels(frame, target, anew)
        finest = _finest(frame, found)
        if finest is not None and time is None and (inner := _inner(frame, target, finest)):
            who, begins = inner
            reason = f"{begins!r} begins again with each"
            if nested(frame, finest, (who,)):
                choice = _coarsest(frame, target, who, [finest, *(name for name in named if name != who)], reason)
            else:
                choice = _cut((finest, who), reason)
            keys = shlex.quote(",".join(choice.key))
            way = (
                f"rows count in the order of the file; --group {keys} --time {shlex.quote(begins)} takes {begins!r} for"
            )
            return Grouping(choice.key, choice.reason, [*choice.warnings, f"{way} their time"])
        if finest is None:
            # Of subjects with few visits each, the numbers of these tell.
            short = [name for name in named if not words.is_within(name) and in_blocks(frame, (name,), SHORT)]
            short = [name for name in short if _visits(frame, name, target, time)]
            if (finest := _finest(frame, short)) is None:
                again = [name for name in measured_again(frame, target, time) if _names_what(name)]
                if not again:
                    return Grouping()
                sample = min(again, key=lambda name: count(frame, (name,)))
                reason = (
                    "rows with one value of it have the same target, or nearly so, as measurements of one sample have"
                )
                return _coarsest(frame, target, sample, [name for name in named if name != sample], reason)
            reason = "named like an identifier, and another column numbers the rows of each of its values"
            return _coarsest(frame, target, finest, [name for name in named if name != finest], reason)
        # Numbers that begin again in each of another, as those of subjects at each site or of trials of each subject.
        within = [name for name in named if name not in found]
        if cut := _cut_within(finest, within, [frame, in_time], "they come in blocks of rows"):
            return cut
    return _coarsest(frame, target, finest, [name for name in named if name != finest], reason)


def _is_asked_again(distinct: pl.DataFrame, name: str, time: str, named: list[str]) -> bool:
    """Whether values, each in a block of a few rows and in one household, say, are those of who is asked each year."""
    few = words.tells_survey(time) and in_blocks(distinct, (name,), SHORT)
    return few and any(nested(distinct, outer, (name,)) for outer in named)


def _whose_turn(
    frame: pl.DataFrame, target: str, time: str | None, named: list[str], found: list[str]
) -> Grouping | None:
    """The key of a table that holds all subjects' first visit, then all of their second, and so on; None for others.

    `named` are the columns that are named like identifiers, `found` those of them whose rows stand together.
    """
    if any(map(words.names_whom, found)):
        return None
    visits = [name for name in may_identify(frame, target, time) if not words.names_whom(name)]
    visits = [name for name in visits if come_in_blocks(frame, name)]
    whose = [name for name in named if words.names_whom(name) and _splits(frame, target, name)]
    for who in sorted(whose, key=lambda name: -count(frame, (name,))):
        others = [name for name in named if name != who and words.names_whom(name)]
        for visit in visits:
            both = count(frame, (who, visit))
            if nested(frame, who, (visit,)) or count(frame, (who,)) > frame.height / 2:
                continue
            if both == frame.height:
                if words.may_number_persons(who) and are_alike(frame, who, visit) is False:
                    continue
                choice = _coarsest(frame, target, who, others, f"each has one row in each block of {visit!r}")
                order = f"rows of each {who!r} are read as one sequence, in the order of the file; --group names others"
                return Grouping(choice.key, choice.reason, [*choice.warnings, *([order] if time is None else [])])
            # Patients may be numbered at each site, too.
            several = words.is_within(visit) and both <= frame.height / SHORT
            if several and runs(frame, (visit, who)) == both:
                return _cut((who, visit), f"each {who!r} has rows in several blocks of {visit!r}")
    return None


@dataclass(frozen=True)
class Visited:
    """Numbers under a name such as id or nr that are those of persons, each of whom comes once in each visit, say.

    Attributes:
        who, visit: the columns.
        sorted: whether the rows of each person stand in the order of the visits.
    """

    who: str
    visit: str
    sorted: bool


def visited(frame: pl.DataFrame, target: str, time: str | None) -> Visited | None:
    """Numbers of persons under a name that those of rows have as well; None where there are none.

    Either the file goes through the visits of each, there are more of them than visits, and nothing says that their
    order means something; or rows of one are alike in something, and those of the next one are as far as any. Where
    rows of the next number are alike, and those of the same one are not, the numbers are the order within each visit.
    """
    whose = [
        name
        for name in frame.columns
        if name not in (target, time) and words.may_number_persons(name) and may_name(frame[name])
    ]
    if not whose or frame.height < 2 * FEWEST_ROWS:
        return None
    visits = [
        name
        for name in may_identify(frame, target, None) + [name for name in frame.columns if words.is_part(name)]
        if name not in (target, time)
        and frame[name].dtype.is_integer()
        and not frame[name].has_nulls()
        and _counts_visits(name)
    ]
    for who, visit in itertools.product(whose, dict.fromkeys(visits)):
        persons, times = count(frame, (who,)), count(frame, (visit,))
        if who == visit or frame[who].has_nulls() or not FEWEST < persons <= frame.height / 2:
            continue
        if not frame.select(who, visit).is_unique().all():
            continue
        in_file = persons > times and order_within(frame, visit, (who,)) == "up"
        alike = are_alike(frame, who, visit)
        if alike is not False and (alike or in_file):
            back = frame.select((pl.col(visit).diff().over(who) < 0).any()).item()
            return Visited(who, visit, not back)
    return None


def _of_visited(frame: pl.DataFrame, target: str, found: Visited, named: list[str]) -> Grouping:
    """The key of persons who are numbered under a name that says little of them."""
    who, visit = found.who, found.visit
    choice = _coarsest(
        frame, target, who, [name for name in named if name != who], f"each has one row in each {visit!r}"
    )
    warnings = list(choice.warnings)
    if not found.sorted:
        warnings.append(
            f"the rows of each {who!r} do not stand in the order of {visit!r}, and count in that of the file; --time "
            f"{shlex.quote(visit)} sorts them"
        )
    if not words.names_whom(who) and words.is_within(visit):
        warnings.append(
            f"{who!r} is taken for who or what comes once in each {visit!r}; if it only numbers the rows of each "
            f"{visit!r}, say --group {shlex.quote(visit)} --time {shlex.quote(who)}"
        )
    return Grouping(choice.key, choice.reason, warnings)


def _counts_visits(name: str) -> bool:
    counts = words.is_within(name) or words.counts_samples(name) or words.counts_within(name)
    return not words.may_number_persons(name) and (
        counts or words.numbers_rows(name) or words.is_part(name) or words.time_name(name) is not None
    )


def are_alike(frame: pl.DataFrame, who: str, visit: str) -> bool | None:
    """Whether rows of one number are alike and not those of the next (True), the other way round (False), or neither.

    Amounts count by their ranks among those of one visit, so that what all have in common at it says nothing.
    """
    numbers = [name for name in frame.columns if name not in (who, visit) and frame[name].dtype.is_numeric()]
    numbers = [name for name in numbers if not frame[name].has_nulls() and frame[name].n_unique() > 1][:MOST_PAIRED]
    if not numbers or 2 * max(count(frame, (who,)), count(frame, (visit,))) > frame.height:
        return None
    ranks = frame.select(who, visit, *((pl.col(name).rank() / pl.len()).over(visit).alias(name) for name in numbers))

    def squares(*order: str) -> NDArray[np.float64]:
        """Mean square of the steps from row to row of each value of the first column, in the order of both."""
        rows = ranks.sort(order)
        steps = np.diff(rows.select(numbers).to_numpy(), axis=0)
        return np.square(steps[np.diff(codes(rows, order[:1])) == 0]).mean(axis=0)

    of_one, of_next = squares(who, visit), squares(visit, who)
    # Ranks of each visit have the same mean.
    of_any = 2 * ranks.select(numbers).to_numpy().var(axis=0)
    found = None
    for same, after, any_two in zip(of_one, of_next, of_any, strict=True):
        if after <= NEARER * min(same, any_two):
            return False
        found = found or bool(same <= NEARER * after and after >= ANY * any_two) or None
    return found


def _names_what(name: str) -> bool:
    """Whether a column is by its name one of who or what was measured, or of rows such as samples."""
    return words.is_named(name) or words.names_rows(name) or words.names_samples(name)


def measured_again(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns of which rows with one value are measurements of one sample, by their target.

    Two of three speak for a label: that it is text, that it is named like one, and that it has few rows. Numbers that
    count, and what is known of a sample, such as its grade, label none.
    """
    found = []
    for name in may_identify(frame, target, time):
        column, values = frame[name], count(frame, (name,))
        signs = (column.dtype == pl.String, _names_what(name), FEWEST_ROWS * values >= frame.height)
        labels = may_label(column) and not (is_fold(column) or is_part_of_split(column))
        if 2 * values <= frame.height and sum(signs) > 1 and labels and are_again(frame, column, target, time):
            found.append(name)
    return found


def may_label(column: pl.Series) -> bool:
    """Whether a column may hold labels of samples: text that is no amounts, or numbers under a name that says so.

    Numbers that count from row to row, as those of frames do, are labels only of what is named like samples.
    """
    name = column.name
    named = _names_what(name)
    if words.is_trait(name) or words.counts_within(name) or words.counts_samples(name):
        return False
    if column.dtype != pl.String:
        counts = np.mean(np.diff(column.drop_nulls().cast(pl.Float64).to_numpy()) == 1) >= 1 / 2
        return named and (words.names_samples(name) or not counts)
    known = column.drop_nulls()
    amounts = known.str.contains(r"^\s*\W?\d+[.,]\d+\s*\D*$" if named else r"^\s*\W?\d+(?:[.,]\d+)*\s*\D*$")
    return bool((~amounts & (known.str.contains(r"[^\W\d]") | named)).mean() > 1 / 2)  # pyright: ignore


def are_again(frame: pl.DataFrame, labels: pl.Series, target: str, time: str | None) -> bool:
    """Whether rows with one label have one target, or nearly one amount, by no accident.

    Rows that follow one another may have it as it changes slowly. There, only the same target of labels that are named
    like those of samples, in a table without times, says so.
    """
    rows = pl.DataFrame({"label": labels, "y": frame[target]})
    rows = (rows if time is None else rows[frame[time].arg_sort()]).drop_nulls()
    values = rows["label"].n_unique()
    again = rows.height - values
    if values < FEWEST or again < 2 * FEWEST_ROWS:
        return False
    scattered = 2 * (runs(rows, ("label",)) - values) >= again
    if not (scattered or (time is None and _names_what(labels.name))) or not _splits(rows, "y", "label"):
        return False
    if nested(rows, "y", ("label",)):
        shares = rows["y"].unique_counts().to_numpy() / rows.height
        return float((shares**2).sum()) ** again <= CHANCE
    if not scattered or not _are_amounts(rows["y"]):
        return False
    # One far amount, of a label that comes once, would make all others alike.
    amounts = rows.filter(pl.len().over("label") > 1).with_columns(pl.col("y").cast(pl.Float64))
    off = amounts.select(pl.col("y") - pl.mean("y").over("label")).to_series()
    return float((off**2).sum()) / again <= NEARLY * float(amounts["y"].var() or 0)  # pyright: ignore[reportArgumentType]


def leap_between(labels: pl.Series, targets: pl.Series) -> bool:
    """Whether amounts hardly change from row to row of one label, and leap where the next label begins."""
    rows = pl.DataFrame({"label": labels, "y": targets}).drop_nulls()
    if not _are_amounts(rows["y"]) or rows["label"].n_unique() < 2 * FEWEST_ROWS:
        return False
    steps = np.square(np.diff(rows["y"].cast(pl.Float64).to_numpy()))
    same = (rows["label"][1:] == rows["label"][:-1]).to_numpy()
    return bool(same.any() and (~same).any() and steps[same].mean() <= NEARLY * steps[~same].mean())


def counter(frame: pl.DataFrame, key: tuple[str, ...], within: tuple[str, ...], target: str, time: str | None) -> str:
    """What goes up from row to row of each value of a key, and begins again with the next; empty where nothing does.

    `within` are the first columns of the key: only from one value to the next of one of theirs it has to begin again.
    What is named like a time, a year, a wave or a visit comes first.
    """
    of_rows, of_outer = codes(frame, key), codes(frame, within)
    order = np.argsort(of_rows, kind="stable")
    same = np.diff(of_rows[order]) == 0
    next_one = ~same & (np.diff(of_outer[order]) == 0)
    if same.sum() < 2 * FEWEST_ROWS or next_one.sum() < FEWEST - 1:
        return ""
    usable = [
        name
        for name in ([time] if time else frame.columns)
        if name not in (target, *key) and not frame[name].has_nulls() and _goes(frame[name])
    ]
    usable.sort(key=lambda name: not (words.time_name(name) or words.tells_survey(name)))
    for name in usable[:MOST_PAIRED]:
        steps = np.diff(dates.seconds(frame[name])[order])
        if (steps[same] > 0).all() and np.mean(steps[next_one] <= 0) >= ALMOST_ALL:
            return name
    return ""


def _goes(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or column.dtype.is_temporal()


@dataclass(frozen=True)
class Numbered:
    """Columns that name something only together, as each numbers its own: schools, their classes and pupils of these.

    Attributes:
        key: the columns, the coarsest first.
        counter: what begins again with each value of them together.
    """

    key: tuple[str, ...]
    counter: str


def numbered_anew(frame: pl.DataFrame, target: str, time: str | None) -> Numbered | None:
    """Columns of which the last is numbered anew within each value of those before; None where there are none.

    Something begins again with each value of all of them: in blocks of rows whatever it is, else what is named like
    years, waves or visits. Subjects who come again under another condition, or with another device, are the same ones;
    those of another school are not.
    """
    whose = [name for name in named(frame, target, time) if words.names_whom(name)]
    whose = [name for name in whose if runs(frame, (name,)) > count(frame, (name,))]
    places = [
        name
        for name in (may_identify(frame, target, time) if whose else [])
        if not words.is_within(name) and (words.numbers_its_own(name) or holds_several(frame[name]))
    ][:MOST_TOGETHER]
    places = sorted(places, key=lambda name: runs(frame, (name,)))
    for who, size in itertools.product(whose, (1, 2)):
        for above in itertools.combinations([name for name in places if name != who], size):
            key = (*above, who)
            each = count(frame, key)
            # A class alone may be what is to be told.
            if not any(words.is_named(name) or holds_several(frame[name]) for name in above):
                continue
            if SHORT * each > frame.height or each < 1.5 * count(frame, (who,)):
                continue
            levels = [key[: level + 1] for level in range(len(key))]
            blocks = all(runs(frame, level) == count(frame, level) for level in levels)
            begins = counter(frame, key, (), target, time)
            if begins and (blocks or time or words.tells_survey(begins)):
                return Numbered(key, begins)
    return None


def _of_levels(frame: pl.DataFrame, target: str, anew: Numbered) -> Grouping:
    """The key of columns that name something only together, split by the first of which there are enough."""
    unit = next((name for name in anew.key if _splits(frame, target, name)), anew.key[-1])
    key = (unit, *(name for name in anew.key if name != unit))
    *above, who = map(repr, anew.key)
    warning = (
        f"values of {who} come again in each {' and '.join(above)}, so the split is by {unit!r} and the sequences by "
        f"{' and '.join(map(repr, key[1:]))} within it; --group names others"
    )
    return Grouping(key, f"{anew.counter!r} begins again with each value of all of them", [warning])


def _inner(frame: pl.DataFrame, target: str, outer: str) -> tuple[str, str] | None:
    """Who is within each value of an identifier, by a counter that begins again with each, and the counter.

    So are persons of a household. Laps of a driver, or days of a series, begin sectors or hours again, too, and are one
    series: only a name of whom, or years, waves or visits of what has its rows in one place each, speak for others.
    """
    for name in may_identify(frame, target, None)[:MOST_PAIRED]:
        both = (outer, name)
        if name == outer or words.is_within(name) or words.counts_within(name) or frame[name].has_nulls():
            continue
        each = count(frame, both)
        if each < 1.5 * count(frame, (outer,)) or SHORT * each > frame.height or runs(frame, both) != each:
            continue
        begins = counter(frame, both, (outer,), target, None)
        if begins and (words.names_whom(name) or (words.tells_survey(begins) and count(frame, (name,)) == each)):
            return name, begins
    return None


def _cut(key: tuple[str, str], reason: str) -> Grouping:
    """A key of two columns, of which the second cuts the rows of the first into sequences."""
    warning = f"split by {key[0]!r}, and cut into sequences by {key[1]!r} within it; --group names others"
    return Grouping(key, reason, [warning])


def _visits(frame: pl.DataFrame, name: str, target: str, time: str | None) -> list[str]:
    """Columns named like visits that number the rows of each value of another, beginning again with the same number."""
    first = frame.filter(frame[name].rle_id().diff().fill_null(1) == 1)
    return [
        other
        for other in frame.columns
        if other not in (name, target, time)
        and words.is_within(other)
        and not frame[other].has_nulls()
        and count(frame, (other,)) <= frame.height / FEWEST
        and frame.select(name, other).is_unique().all()
        and int(first[other].unique_counts().max()) >= ALMOST_ALL * first.height  # pyright: ignore[reportArgumentType]
    ]


def candidates(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns within whose values no time repeats, though times repeat in the table; measurements are left out."""
    distinct = _distinct(frame)
    found = _candidates(distinct, target, time) if _repeat(distinct, time) else []
    return [name for name in found if _is_chosen(frame[name])]


def _candidates(distinct: pl.DataFrame, target: str, time: str | None) -> list[str]:
    return [
        name
        for name in may_identify(distinct, target, time)
        if count(distinct, (name,)) <= distinct.height / (2 if words.names_whom(name) else 4)
        and distinct.select(time, name).is_unique().all()
    ]


def _is_chosen(column: pl.Series) -> bool:
    """Whether a column's values may have been given to it; a whole number that was measured goes up and down."""
    if column.dtype == pl.String or words.is_named(column.name):
        return True
    steps = np.diff(column.drop_nulls().cast(pl.Float64).to_numpy())
    if len(steps) and (np.mean(steps == 0) >= 2 / 3 or np.mean(steps > 0) >= 0.6):
        return True
    of_rows = codes(column.drop_nulls().to_frame(), (column.name,))
    return take_turns(pl.DataFrame({"of": of_rows, "key": np.zeros_like(of_rows)}))


def come_in_blocks(frame: pl.DataFrame, name: str) -> bool:
    """Whether the rows of each value of a column follow one another."""
    return runs(frame, (name,)) == count(frame, (name,)) > 1


def pairs(
    frame: pl.DataFrame, target: str, time: str | None, names: list[str] | None = None, size: int = 2
) -> list[tuple[str, ...]]:
    """Columns of which no value of one, but those of several together keep times from repeating."""
    distinct = _distinct(frame)
    usable = [
        name
        for name in may_identify(distinct, target, time)
        if (_is_chosen(frame[name]) if names is None else name in names)
    ][:MOST_PAIRED]
    return [
        together
        for together in itertools.combinations(usable, size)
        if count(distinct, together) <= distinct.height / 4 and distinct.select(time, *together).is_unique().all()
    ]


def finer(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str) -> list[tuple[str, ...]]:
    """Keys of more columns than one within whose values times repeat, where they do not within those of these."""
    distinct = _distinct(frame)
    if distinct.select(time, *key).is_unique().all():
        return []
    found: list[tuple[str, ...]] = [(*key, name) for name in may_identify(distinct, target, time) if name not in key]
    anew = numbered_anew(frame, target, time)
    if anew and all(set(anew.key) != set(together) for together in found):
        found.append(anew.key)
    return [
        together
        for together in found
        if SHORT * count(distinct, together) <= distinct.height and distinct.select(time, *together).is_unique().all()
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
        for name in may_identify(frame, target, None)
        if count(frame, (name,)) <= frame.height / 2 and not (is_fold(frame[name]) or is_part_of_split(frame[name]))
    ]
    names = [name for name in usable if words.is_named(name)][:MOST_PAIRED]
    others = [name for name in usable if not words.is_named(name) and not words.counts_within(name)][:MOST_PAIRED]
    together = [
        pair
        for pair in itertools.combinations([*names, *others][:MOST_TOGETHER], 2)
        if 4 * count(frame, pair) <= frame.height
    ]
    anew = numbered_anew(frame, target, None)
    return [
        (),
        *((name,) for name in names),
        *((name,) for name in others),
        *together,
        *([anew.key] if anew and anew.key not in together else []),
    ]


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
    if (key and runs(frame, key) != count(frame, key)) or not len(steps):
        return "mixed"
    return "up" if (steps > 0).all() else "down" if (steps < 0).all() else "mixed"


def counts_below(frame: pl.DataFrame, inner: str, outer: str, key: tuple[str, ...]) -> bool:
    """Whether rows of each value of a key go up by an outer number and within it by an inner one, as trials of days."""
    if not (words.counts_within(inner) or words.is_within(inner)) or not frame[inner].dtype.is_numeric():
        return False
    if frame[inner].has_nulls() or frame[outer].has_nulls():
        return False
    of_rows = codes(frame, key)
    order = np.argsort(of_rows, kind="stable")
    same = np.diff(of_rows[order]) == 0
    outer_steps, inner_steps = (
        np.diff(frame[name].cast(pl.Float64).to_numpy()[order])[same] for name in (outer, inner)
    )
    stays = outer_steps == 0
    return bool(stays.any() and not stays.all() and (outer_steps >= 0).all() and (inner_steps[stays] > 0).all())


def is_of_identifier(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column has one value for each of something that is named like an identifier and has several rows."""
    return any(
        words.is_named(other) and 1 < count(frame, (other,)) <= frame.height / 2 and nested(frame, name, (other,))
        for other in frame.columns
        if other != name and may_be_id(frame[other]) and not words.is_part(other)
    )


def are_given_out(column: pl.Series) -> bool:
    """Whether numbers come again and again but are no count, as those of persons that come once in each visit."""
    numbers = column.drop_nulls().unique().sort().to_numpy()
    if 2 * len(numbers) > len(column) or len(numbers) < FEWEST_ROWS:
        return False
    gaps = np.diff(numbers)
    return bool(gaps.max() > FEWEST * np.median(gaps) and np.mean(gaps == np.median(gaps)) < 1 / 2)


def reused(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> str | None:
    """A column, such as the site, in one value of which after another most values of the key come; None without one.

    Patients who are numbered at each site have the same numbers there.
    """
    rows = frame if time is None else frame.sort(time, maintain_order=True)
    for name in may_identify(frame, target, time):
        few = FEWEST - 1 <= count(frame, (name,)) <= count(frame, key)
        if name in key or not few or not words.names_whom(name) or nested(frame, key[-1], (name,)):
            continue
        # Each answers every item once.
        if count(frame, (*key, name)) * SHORT > frame.height:
            continue
        each = rows.group_by(*key).agg(places=pl.col(name).n_unique(), runs=pl.col(name).rle_id().max() + 1)
        several = each.filter(pl.col("places") > 1)
        if several.height > ALMOST_ALL * each.height and (several["runs"] == several["places"]).all():
            return name
    return None


def take_turns(rows: pl.DataFrame) -> bool:
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


def merged(column: pl.Series) -> bool:
    """Whether a column, in the order of the file, is filled only where it changes, as merged cells of a sheet are."""
    known = column.drop_nulls()
    return bool(
        0 < len(known) <= len(column) / SHORT and column[0] is not None and len(known.rle_id().unique()) == len(known)
    )


def rounded(column: pl.Series) -> str | None:
    """A value of an identifier that a spreadsheet has rounded, as in 1.1899E+19; None where there is none."""
    if column.dtype != pl.String and not column.dtype.is_float():
        return None
    if column.dtype.is_float() and (column.max() or 0) < ROUNDED_FROM:  # pyright: ignore[reportOperatorIssue]
        return None
    cells = column.drop_nulls().unique(maintain_order=True)
    if column.dtype == pl.String:
        cells = cells.filter(cells.str.contains(r"^\s*\d([.,]\d+)?[eE]\+?\d+\s*$")).str.replace(",", ".", literal=True)
    numbers = cells.cast(pl.Float64, strict=False).drop_nulls()
    numbers = numbers.filter(numbers.is_finite())
    long = numbers.filter(numbers >= ROUNDED_FROM)
    short = [number for number in long if float(f"{number:.{CERTAIN_DIGITS - 1}e}") == number]
    return f"{short[0]:.{CERTAIN_DIGITS - 1}G}" if short and len(short) == len(long) else None


def ascending(frame: pl.DataFrame, times: NDArray[np.float64], target: str, time: str | None) -> list[str]:
    """Columns within whose values the times of the rows, as they come, never go back."""
    found = []
    for name in may_identify(frame, target, time):
        if frame[name].null_count() or count(frame, (name,)) > frame.height / FEWEST_ROWS:
            continue
        of_rows = codes(frame, (name,))
        order = np.argsort(of_rows, kind="stable")
        if not ((np.diff(times[order]) < 0) & (np.diff(of_rows[order]) == 0)).any():
            found.append(name)
    return found


def identifiers(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> dict[str, str]:
    """Columns that tell whose row it is and nothing else, and why they are no features."""
    found = {}
    for name in may_identify(frame, target, time):
        # A measurement that was taken once of each tells more than a name.
        seldom = frame[name].null_count() > FEW_MISSING * frame.height and not words.is_named(name)
        if not key or name in key or seldom or not nested(frame, name, key):
            continue
        values = count(frame, (name,))
        for level in (key[:1], key):
            if values == count(frame, level) and nested(frame, name, level) and _is_numbering(frame[name]):
                found[name] = f"has one value for each of {' and '.join(map(repr, level))}, and so only names them"
                break
        else:
            if words.is_named(name):
                found[name] = f"is an identifier, the same throughout each of {' and '.join(map(repr, key))}"
    changing = measured(frame, target, time)
    for name in frame.columns:
        if is_fold(frame[name]):
            found.pop(name, None)
        elif words.is_id(name) and name not in (*found, *key, target, time) and may_be_id(frame[name]):
            found[name] = "is named like an identifier"
        elif name not in (*found, *key, *changing, target, time) and _names_numbers(frame[name]):
            found[name] = "holds numbers of what its name says, which are no amounts"
        elif name not in (*found, *key, target, time) and words.names_rows(name) and _is_of_rows(frame[name]):
            found[name] = "is named like what tells rows apart, and has another value in almost each of them"
    return found


def _names_numbers(column: pl.Series) -> bool:
    """Whether more than two whole numbers are those of persons, machines or families by their column's name."""
    if not (words.names_whom(column.name) or holds_several(column)):
        return False
    known = column.drop_nulls()
    return known.dtype.is_numeric() and known.n_unique() >= FEWEST and bool((known.cast(pl.Float64) % 1 == 0).all())


def _is_of_rows(column: pl.Series) -> bool:
    """Whether text or whole numbers are different in almost all rows."""
    known = column.drop_nulls()
    if not len(known) or not may_be_id(column):
        return False
    whole = column.dtype == pl.String or bool((known.cast(pl.Float64) % 1 == 0).all())
    return whole and known.n_unique() >= ALMOST_ALL * len(known)


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


def may_be_id(column: pl.Series) -> bool:
    """Whether a column is of a type that identifiers have."""
    return column.dtype == pl.String or column.dtype.is_numeric()


def parted(frame: pl.DataFrame, key: tuple[str, ...]) -> list[str]:
    """Columns of a key, after its first, whose every value has several of the first and so is in several parts.

    They say who or what was measured, where the first has its recordings by name; or each stands together in the
    table, and the first is numbered anew in it. Conditions under which subjects come again do not stand so.
    """
    first = key[0]

    def is_parted(name: str) -> bool:
        each = frame.group_by(name).agg(values=pl.col(first).n_unique(), least=pl.col(first).min())
        if words.is_within(name) or words.names_whom(first) or (each["values"] < 2).any():
            return False
        if words.is_within(first) and words.names_whom(name):
            return True
        anew = frame[first].dtype.is_integer() and each["least"].is_in([0, 1]).all()
        return bool(anew) and come_in_blocks(frame, name) and not come_in_blocks(frame, first)

    return [name for name in key[1:] if is_parted(name)]


def numbered_by(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> str | None:
    """A column that with the key's first tells the same recordings apart as the whole key, and numbers the first anew.

    A plot is told by its block and number; by its number and what was done to it only as no two were treated alike.
    """
    if len(key) < 2 or come_in_blocks(frame, key[0]):
        return None
    for name in may_identify(frame, target, time):
        if name not in key and come_in_blocks(frame, name) and not nested(frame, name, key[1:]):
            if np.array_equal(codes(frame, (name, key[0])), codes(frame, key)):
                return name
    return None


_LOOK_ALIKE = str.maketrans("\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425", "ABEKMHOPCTYX")
"""Cyrillic letters that look like Latin ones."""


def twins(column: pl.Series) -> list[tuple[str, str]]:
    """Values of a column of text that differ only in case, blanks, hyphens, or how the same number is written."""
    first: dict[str, str] = {}
    found = []
    for value in column.drop_nulls().unique(maintain_order=True):
        plain = re.sub("[\u200b-\u200d\ufeff]", "", unicodedata.normalize("NFKC", value)).translate(_LOOK_ALIKE)
        plain = " ".join(plain.casefold().split())
        # 03 and 3 name the same, but not in 1.03.
        plain = re.sub(r"(?<=[^\W\d])0+(?=\d)", "", plain)
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
    column = column.alias("value")
    counts = column.drop_nulls().value_counts()
    others = counts.filter(~counts[column.name].str.contains(r"\d"))
    few = 0 < others["count"].sum() <= dates.few(len(column)) and 2 * others.height < counts.height
    numbers = counts.filter(counts[column.name].str.contains(r"\d"))[column.name].str.contains(r"^\d+(\.0*)?$").all()
    return others[column.name].to_list() if few and numbers else []


def coarser(frame: pl.DataFrame, key: tuple[str, ...], target: str, time: str | None) -> list[str]:
    """Columns of which one value holds several groups of the key's first column, from the coarsest on.

    They are named like identifiers, or hold names of at least `FEWEST` things that several groups share, such as
    hospitals; numbers under other names have to count these, in blocks of rows. A sex or a diagnosis is none, nor are
    few words without a number that come again among the groups, such as kinds of contracts.
    """
    groups = count(frame, key[:1])
    firsts = frame.filter(frame[key[0]].is_first_distinct()) if key else frame

    def may_hold(name: str, values: int) -> bool:
        column = frame[name]
        if values >= groups or is_fold(column):
            return False
        if words.is_named(name) or (holds_several(column) and values >= FEWEST):
            return True
        if not FEWEST <= values <= groups / 2 or words.is_trait(name) or is_part_of_split(column):
            return False
        if column.dtype == pl.String:
            numbered = column.drop_nulls().str.contains(r"[^\W\d][\W_]*\d+$").all()
            return numbered or values > MOST_CLASSES or come_in_blocks(firsts, name)
        return _is_numbering(column) and come_in_blocks(frame, name)

    found = [
        name
        for name in may_identify(frame, target, time)
        if name not in key and may_hold(name, count(frame, (name,))) and nested(frame, name, key[:1])
    ]
    return sorted(found, key=lambda name: count(frame, (name,)))


def may_identify(frame: pl.DataFrame, target: str, time: str | None) -> list[str]:
    """Columns that may be identifiers, though they lack some; a clock, an hour or a month never is."""
    return [
        name
        for name in frame.columns
        if name not in (target, time)
        and may_name(frame[name])
        and count(frame, (name,)) > 1
        and (not words.is_part(name) or holds_several(frame[name]))
    ]


def is_named(column: pl.Series) -> bool:
    """Whether a column is named like an identifier; of hh, numbers tell."""
    return words.is_named(column.name) or (words.may_be_household(column.name) and holds_several(column))


def holds_several(column: pl.Series) -> bool:
    """Whether a column is by its name one of what holds several subjects, such as a household; of hh, numbers tell."""
    if not words.may_be_household(column.name):
        return words.holds_several(column.name)
    whole = column.dtype.is_integer() and column.null_count() < len(column)
    return column.dtype == pl.String or (whole and max(column.drop_nulls()) > _LAST_HOUR)


def may_name(column: pl.Series) -> bool:
    """Whether a column's values may be names; of fractions, only the column's name tells."""
    if column.dtype == pl.String:
        return not is_unit(column)
    return column.dtype.is_integer() or (column.dtype.is_float() and words.is_named(column.name))


def _distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows, without those that repeat another in every column."""
    return frame.filter(frame.hash_rows().is_first_distinct())


def _repeat(distinct: pl.DataFrame, time: str | None) -> bool:
    return time is not None and distinct[time].n_unique() < distinct.height


def count(frame: pl.DataFrame, key: tuple[str, ...]) -> int:
    """How many values a key has."""
    if len(key) == 1:
        return frame[key[0]].drop_nulls().n_unique()
    return frame.select(key).drop_nulls().select(pl.struct(key).n_unique()).item()


def nested(frame: pl.DataFrame, name: str, key: tuple[str, ...]) -> bool:
    """Whether a column is the same within each value of the key."""
    known = frame.select(name, *key).drop_nulls()
    return count(known, (*key, name)) == count(known, key)


def in_blocks(frame: pl.DataFrame, key: tuple[str, ...], rows: int = FEWEST_ROWS) -> bool:
    """Whether a key has enough values for a split, of so many rows on average, which stand together."""
    groups = count(frame, key)
    return FEWEST <= groups <= frame.select(key).drop_nulls().height / rows and runs(frame, key) == groups


def runs(frame: pl.DataFrame, key: tuple[str, ...]) -> int:
    """How many blocks of rows with one value of a key follow one another."""
    return len(frame.select(key).drop_nulls().select(pl.struct(key).rle()).to_series())


def _finest(frame: pl.DataFrame, names: list[str]) -> str | None:
    """Of identifiers that hold one another, that with most values; None where there are none, or they cross."""
    ordered = sorted(names, key=lambda name: count(frame, (name,)))
    if any(not nested(frame, coarse, (fine,)) for coarse, fine in itertools.pairwise(ordered)):
        return None
    long = [name for name in ordered if count(frame, (name,)) <= frame.height / FEWEST_ROWS]
    if not ordered:
        return None
    # Of several with as many values, the first in the table.
    best = (long or ordered[:1])[-1]
    return next(name for name in ordered if count(frame, (name,)) == count(frame, (best,)))


def _coarsest(frame: pl.DataFrame, target: str, finest: str, others: list[str], reason: str) -> Grouping:
    """The key of recordings told apart by one column, split by the coarsest that holds them."""
    groups = count(frame, (finest,))
    above = sorted(
        (name for name in others if count(frame, (name,)) < groups and nested(frame, name, (finest,))),
        key=lambda name: count(frame, (name,)),
    )
    enough = [name for name in above if _splits(frame, target, name)]
    warnings = []
    if not enough:
        for name in above:
            warnings.append(
                f"{name!r} has {count(frame, (name,))} values, too few to split by; what belongs to one of them is in "
                f"several parts, by {finest!r}"
            )
        return Grouping((finest,), reason.format("it"), warnings)
    unit = enough[0]
    warnings.append(
        f"each of {finest!r} belongs to one of {unit!r} ({count(frame, (unit,))} values), so the split is by {unit!r} "
        f"and the sequences by {finest!r}; --group {finest} splits by {finest!r}, and parts then share values of "
        f"{unit!r}"
    )
    for name in enough[1:]:
        warnings.append(f"{name!r} lies between {unit!r} and {finest!r}; --group {name},{finest} splits by it")
    return Grouping((unit, finest), reason.format(repr(finest)), warnings)


def _cut_within(finest: str, names: list[str], orders: list[pl.DataFrame], reason: str) -> Grouping | None:
    """The key of one column and the first of others that comes in blocks within it, in one of these orders of rows."""
    for name in names:
        if any(in_blocks(rows, (finest, name)) for rows in orders):
            # Sessions are those of subjects, whichever of the two stands together.
            key = (name, finest) if words.is_within(finest) and words.names_whom(name) else (finest, name)
            return _cut(key, reason)
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
    if count(known if known.height else frame, (name,)) < FEWEST:
        return False
    if not known.height or known[target].n_unique() > known.height / 10 or not nested(known, target, (name,)):
        return True
    return _are_amounts(known[target]) or int(known.unique().group_by(target).len()["len"].to_numpy().min()) >= FEWEST


def _are_amounts(column: pl.Series) -> bool:
    """Whether a target's values are numbers that are no classes."""
    return column.dtype.is_numeric() and (column.n_unique() > MOST_CLASSES or bool((column % 1 != 0).any()))


def nobodies(rows: Mapping[str, int]) -> list[str]:
    """Those of the names of groups that seem to stand for all that have none: ``unknown``, or 9999 as a number.

    Other words among numbers, and numbers that go on from others, do if they have far more rows than any other.

    Args:
        rows: how many rows each name has.

    Example:
        >>> nobodies({"A411": 20, "A412": 18, "A413": 20, "not tagged": 31})
        ['not tagged']
        >>> nobodies({"411": 20, "412": 18, "413": 20, "0": 12})
        ['0']
    """
    if len(rows) <= FEWEST:
        return []
    numbers = {name: int(name) for name in rows if _NUMBER.fullmatch(name)}
    words_alone = [name for name in rows if not any(map(str.isdigit, name))]
    *_, second, most = sorted(rows.values())
    many = [name for name, count in rows.items() if count == most >= 2 * second]
    found = [name for name, count in rows.items() if count >= _FEW_OF_NOBODY and words.names_nobody(name)]
    marks = [name for name in numbers if _NO_NUMBER.fullmatch(name) and rows[name] >= _FEW_OF_NOBODY]
    # Places on either side of a middle have signs.
    if sum(number < 0 for number in numbers.values()) > 1:
        marks = [name for name in marks if numbers[name] > 0]
    if any(name.strip("+") == "" for name in rows):
        found = [name for name in found if name.strip("-")]
    if len(numbers) >= len(rows) - _MOST_NOBODIES:
        given = sorted(number for name, number in numbers.items() if name not in marks)
        found += [name for name in marks if name in many or _is_not_given(numbers[name], given)]
    elif len(words_alone) == len(rows) - len(numbers) and len(numbers) == 1:
        found += marks
    if len(words_alone) == 1 and len(rows) > _FEWEST_NUMBERED:
        found += [name for name in words_alone if name in many]
    found = list(dict.fromkeys(found))
    return found if len(found) <= min(_MOST_NOBODIES, len(rows) - 2) else []


def _is_not_given(mark: int, given: list[int]) -> bool:
    """Whether a number, such as 0, -1 or 9999, is far from those that were given to groups, in order."""
    if len(given) < FEWEST or given[0] < mark < given[-1]:
        return False
    away = given[0] - mark if mark < given[0] else mark - given[-1]
    widest = max(after - before for before, after in itertools.pairwise(given))
    return mark < 0 <= given[0] or (away > widest and away >= _FAR_FROM_NUMBERS)


_NUMBER = re.compile(r"-?\d{1,15}")
_NO_NUMBER = re.compile(r"-\d+|0+|9{2,}8?|8{3,}|7{3,}")
_FEW_OF_NOBODY = 2
_MOST_NOBODIES = 3
"""Names of one column that stand for nobody."""
_FEWEST_NUMBERED = 5
"""Names with numbers among which a word is odd."""
_FAR_FROM_NUMBERS = 10
"""From a number to those that were given, at least: who was left out makes small gaps."""
