"""The times of a table: columns of dates and clocks, and what of a time stands in several columns.

`find` reads each column by `liquidbench.tasks.dates` and joins what is spread: a date and a clock, or year, month, day,
hour. What names say, `liquidbench.tasks.words` knows.
"""

import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates, words
from liquidbench.tasks.dates import DAY, At
from liquidbench.wording import counted, listed

_LIMITS = {
    "year": (0, 2200), "month": (1, 12), "day": (1, 31), "of_year": (1, 366), "week": (0, 53), "quarter": (1, 4),
    "period": (1, 60), "hour": (0, 24), "minute": (0, 59), "second": (0, 60),
}  # fmt: skip


@dataclass
class Found:
    """The dates of a table.

    Attributes:
        frame: the table with dates in the place of text and numbers, and one column for those that were joined.
        remarks: a line for each guess.
        warnings: the same, of what deserves a look.
        doubts: the same, of what does where a column is the time, by column.
        orders: the order in which a column's dates are read, where cells could be read in several.
        questions: columns that would be dates, and why they cannot be used so.
        joined: the name of the joined column by those of its parts.
        years: columns of whole years, by their first days.
        local: columns of dates that a clock shows of which no zone is known.
        in_minutes: columns of clocks of two numbers, taken for hours and minutes.
    """

    frame: pl.DataFrame
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)
    years: set[str] = field(default_factory=set)
    local: set[str] = field(default_factory=set)
    in_minutes: set[str] = field(default_factory=set)


def find(
    frame: pl.DataFrame,
    at: At,
    order: str | None = None,
    time: str | None = None,
    kept: Collection[str] = (),
    whole: Collection[str] = (),
    amounts: Collection[str] = (),
    join: bool = True,
    are_times: Callable[[pl.DataFrame, str], bool] = lambda frame, name: bool(frame[name].is_unique().all()),
) -> Found:
    """Find the dates of a table.

    Args:
        frame: columns as `liquidbench.tasks.columns.read` gives them.
        at: where a row stands in the file, in words.
        order: one of `ORDERS` in which dates in figures are read where they leave a choice; None: found out.
        time: the column that holds the times, where that is known.
        kept: columns that are used for something else too: their numbers stay numbers, and they stay beside what is
            joined of them.
        whole: columns that are not to be touched at all.
        amounts: columns of which clocks are lengths of time, in seconds, as features are.
        join: whether parts of a time in several columns become one.
        are_times: whether years alone are times, as each is in one row, say, or in one of each subject.
    """
    found = Found(frame)
    found.local |= {name for name, dtype in frame.schema.items() if dtype in (pl.Datetime("us"), pl.Datetime("ms"))}
    for name in frame.columns:
        if name in whole or (name in kept and frame[name].dtype != pl.String):
            continue
        reading = dates.read(frame[name], at, order, asked=name == time)
        if reading is None:
            continue
        if reading.question:
            found.questions[name] = reading.question
            continue
        if reading.order:
            found.orders[name] = reading.order
        found.frame = found.frame.with_columns(reading.column)
        found.remarks += reading.remarks
        found.doubts[name] = reading.warnings
        found.years |= {name} if reading.years else set()
        found.local |= {name} if reading.local else set()
        found.in_minutes |= {name} if reading.in_minutes else set()
    for name in frame.columns:
        if words.is_study_day(name) and name not in whole:
            _close_gap_at_zero(found, name)
    for name in amounts:
        if name in frame.columns and name != time and name not in whole:
            _read_lengths(found, frame[name], "as a feature of clocks is")
    if join:
        _part_lengths(found, frame, time, {*kept, *whole})
        _join_halves(found, {*kept, *whole})
        _join(found, at, time, set(kept), set(whole), are_times)
        _join_units(found, time, set(kept), set(whole))
    _bring_to_utc(found, at, {*kept, *whole})
    return found


def _close_gap_at_zero(found: Found, name: str) -> None:
    """Count days of a study that has no day 0 as they pass."""
    days = found.frame[name]
    if days.dtype.is_numeric() and (days < 0).any() and (days > 0).any() and not (days == 0).any():
        found.frame = found.frame.with_columns(days - (days > 0).cast(pl.Int64))
        found.remarks.append(f"file: {name!r} has no day 0, as CDISC counts; its days from 1 on are read as 0, 1, ...")


def _read_lengths(found: Found, written: pl.Series, why: str) -> None:
    """Put seconds in the place of a column of clocks that are lengths of time."""
    name = written.name
    if found.frame[name].dtype != pl.Duration or (seconds := dates.lengths(written)) is None:
        return
    found.frame = found.frame.with_columns(seconds)
    short = written.dtype == pl.String and written.str.contains(r"^\s*\d+:\d+(?:[.,]\d+)?\s*$").any()
    two = ", those of two numbers as minutes and seconds" if short else ""
    found.remarks = [said for said in found.remarks if said != f"file: {name!r} read as minutes and seconds"]
    found.remarks.append(f"file: {name!r} is read as lengths of time, in seconds{two}, {why}")
    found.doubts.pop(name, None)
    found.in_minutes.discard(name)


_LONGEST_RUN = 4.5 * DAY / 24
"""Lengths of time up to that of a slow marathon; as clocks, they are those of a night."""
_NARROW = 4 * DAY // 24
"""Span of the lengths of the longest runs."""
_SCHEDULED = DAY // 288
"""Span of clocks at which a machine does something each day."""
_NEXT_DAY = 1.25 * DAY
"""Clocks up to which timetables of a day go on after midnight."""
_FEWEST = 3
"""Rows, or distinct clocks, of which there is more than an accident to see."""


def _part_lengths(found: Found, written: pl.DataFrame, time: str | None, used: set[str]) -> None:
    """Read a clock beside dates as lengths of time where it tells how long something took, and warn where it may."""
    frame = found.frame
    days = [name for name in frame.columns if frame[name].dtype == pl.Datetime and name not in used]
    clocks = [name for name in frame.columns if frame[name].dtype == pl.Duration and name not in used]
    clocks = [name for name in clocks if not (words.is_amount(name) or words.is_of_an_event(name))]
    if len(days) != 1 or (frame[days[0]].cast(pl.Int64) % DAY != 0).any():
        return
    day, left = days[0], []
    for name in clocks:
        if time in (name, f"{day} {name}") or not _are_lengths(frame, written[name], day):
            left.append(name)
        else:
            why = f"and not joined with {day!r} (--time {shlex.quote(name)} joins them)"
            _read_lengths(found, written[name], why)
    if not left or time in (left[0], f"{day} {left[0]}"):
        return
    name = left[0]
    both = frame.select(day, name).drop_nulls()
    if _are_lengths(frame, written[name], day) is None:
        first, last = both[name].min(), both[name].max()
        found.warnings.append(
            f"{name!r} is joined with {day!r} as a clock, though all of it is from {first} to {last}, as lengths of "
            "time may be; if it has those, name it among the columns of --features (features: in a study), which are "
            "read in seconds"
        )
    elif _are_of_nights(both):
        found.warnings.append(
            f"{name!r} is joined with {day!r}, and some of its clocks are before midnight and others after it, one on "
            "each date; if a date is that of the evening, write the next one beside clocks after midnight"
        )


def _are_lengths(frame: pl.DataFrame, written: pl.Series, day: str) -> bool | None:
    """Whether clocks beside dates tell how long something took; None where they may."""
    name = written.name
    both = frame.select(day, name).drop_nulls()
    of_day = both[name].cast(pl.Duration("us")).cast(pl.Int64).to_numpy()
    if len(np.unique(of_day)) < 2 or both[day].n_unique() < 2:
        return False
    if written.dtype == pl.String:
        fractions = written.drop_nulls().str.contains(r"^\s*\d+:\d{2}[.,]\d+\s*$").all()
        # Clocks without their hours begin again and again.
        if (fractions or words.in_minutes_and_seconds(name)) and of_day.max() <= DAY // 24:
            return True
    same = np.diff(both[day].cast(pl.Int64).to_numpy()) == 0
    goes_on = same.sum() >= _FEWEST and np.mean(np.diff(of_day)[same] > 0) >= 0.9
    if goes_on or not words.may_be_length(name):
        return False
    if of_day.max() > DAY:
        return same.mean() <= 0.5 or of_day.max() > _NEXT_DAY or bool(np.median(of_day) > DAY)
    short, of_runs = of_day.max() <= _LONGEST_RUN, words.are_of_runs(other for other in frame.columns if other != name)
    on_quarters = not (of_day % (DAY // 96) != 0).any()
    if short and of_runs and not (on_quarters and len(np.unique(of_day)) < _FEWEST):
        return True
    apart, spread = same.mean() <= 0.1, np.ptp(of_day)
    may = apart and spread > _SCHEDULED and not on_quarters and (short or (of_runs and spread <= _NARROW))
    return None if may else False


def _are_of_nights(both: pl.DataFrame) -> bool:
    """Whether clocks of some hours before and after midnight are one on each date, as those of a night's are.

    With the dates that the clocks showed, some dates would have two, and others none.
    """
    days, clock = both.get_columns()
    of_day = clock.cast(pl.Duration("us")).cast(pl.Int64).to_numpy()
    evening, night = of_day >= 20 * DAY // 24, of_day < 4 * DAY // 24
    steps = np.diff(days.cast(pl.Int64).to_numpy())
    some = min(evening.sum(), night.sum()) >= _FEWEST
    return bool(some and (evening | night).all() and np.mean(steps == DAY) >= 0.9)


def counts_samples(column: pl.Series) -> bool:
    """Whether numbers are, by their name, those of samples, such as the frames of a video or the waves of a survey."""
    return column.dtype.is_numeric() and words.counts_samples(column.name)


def may_be_time(column: pl.Series) -> bool:
    """Whether text has figures under the name of a time, or of a part of one."""
    named = words.time_name(column.name) or words.is_part(column.name) or words.speaks_of_time(column.name)
    return column.dtype == pl.String and bool(named) and 2 * column.str.contains("[0-9]").sum() > len(column)


def looks_like_dates(column: pl.Series) -> bool:
    """Whether text, hardly a cell twice, has a clock or a date in figures in it."""
    if column.dtype != pl.String or 2 * column.n_unique() < len(column):
        return False
    date = r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{3}/\d{4}"
    form = rf"(?:^|[^\d.:])(?:\d{{1,2}}:\d{{2}}(?::\d{{2}})?|{date})(?:[^\d.:]|$)"
    return bool(2 * column.str.contains(form).sum() > len(column))


def may_be_of_clock(column: pl.Series) -> bool:
    """Whether a column may say when on a day a row was: by its name, or as ``AM``, ``14h-15h``, ``14:30 - 15:00``."""
    if words.tells_when(column.name):
        return True
    if column.dtype != pl.String:
        return column.dtype.is_temporal()
    values = column.drop_nulls().unique()
    clock = r"\d{1,2}\s?[h:]\s?(?:\d{2})?"
    form = rf"^(?i:[ap]\.?\s?m\.?|{clock}(?:\s?(?:-|to|\x{{2013}})\s?{clock})?)$"
    return bool(len(values)) and bool(values.str.contains(form).all())


def counts_in_words(column: pl.Series) -> bool:
    """Whether text counts units of time, such as ``Day 0``, ``Day 7``; up to half of its values may have no number."""
    if column.dtype != pl.String:
        return False
    values = column.drop_nulls().unique()
    units = values.str.extract(r"^([A-Za-z]{3,}) ?[-+]?\d{1,4}$", 1).fill_null(
        values.str.extract(r"^\d{1,4} ?(?i)((?:day|week|month|year)s?)$", 1)
    )
    counts = units.is_not_null()
    known = all(words.unit_of_time(unit) for unit in units.drop_nulls())
    others = values.filter(~counts)
    return counts.sum() > 1 and 2 * counts.sum() >= len(values) and known and not others.str.contains(r"\d").any()


_FEWEST_IN_WORDS = 3
_FEWEST_STEPS = 8
"""Rows after others of their recordings, all of which stand in alphabetical order by no accident."""


@dataclass(frozen=True)
class InWords:
    """Numbers that text tells, such as ``Week 12``, ``img_3.png`` or ``Aug``.

    Attributes:
        numbers: of each row, null where the text has none.
        around: what stands before and behind the numbers, without blanks and marks; ``month`` for names of months.
        without: values that have no number.
    """

    numbers: pl.Series
    around: str
    without: tuple[str, ...]


def in_words(column: pl.Series) -> InWords | None:
    """Read text as numbers among the same words; None for other text."""
    if column.dtype != pl.String:
        return None
    values = column.drop_nulls().unique(maintain_order=True)
    if len(values) < _FEWEST_IN_WORDS:
        return None
    if (dates.months_of(values.str.strip_chars(" .")) > 0).all():
        months = dates.months_of(column.fill_null("").str.strip_chars(" ."))
        return InWords(months.set(months < 0, None), "month", ())
    parts = column.str.extract_groups(r"^(?P<before>\D*)(?P<number>\d{1,4})(?P<behind>\D*)$").struct.unnest()
    around = (parts["before"] + parts["behind"]).str.to_lowercase().str.strip_chars(" _.-#")
    without = column.filter(parts["number"].is_null()).drop_nulls().unique(maintain_order=True)
    numbers = parts["number"].cast(pl.Int64)
    enough = numbers.drop_nulls().n_unique() >= max(_FEWEST_IN_WORDS, len(without))
    if not enough or around.drop_nulls().n_unique() > 1 or without.str.contains(r"\d").any():
        return None
    return InWords(numbers, around.drop_nulls()[0], tuple(without))


def alphabetical(column: pl.Series, said: InWords, codes: NDArray[np.int64]) -> tuple[str, str] | None:
    """Two values in the wrong order of rows that stand in the alphabetical one; None where they do not.

    Args:
        column: the text.
        said: its numbers.
        codes: which recording each row is of.
    """
    order = np.argsort(codes, kind="stable")
    text, numbers = column[order], said.numbers[order].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    same = np.diff(codes[order]) == 0
    if text.has_nulls() or same.sum() < _FEWEST_STEPS:
        return None
    if not any((spelt[1:] > spelt[:-1]).to_numpy()[same].all() for spelt in (text, text.str.to_lowercase())):
        return None
    wrong = np.flatnonzero(same & (np.diff(numbers) < 0))
    return (text[int(wrong[0])], text[int(wrong[0]) + 1]) if len(wrong) else None


def unevenly(said: InWords, codes: NDArray[np.int64]) -> bool:
    """Whether numbers in words go up from row to row of each recording, by steps that vary."""
    order = np.argsort(codes, kind="stable")
    numbers = said.numbers[order].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    steps = np.diff(numbers)[np.diff(codes[order]) == 0]
    steps = steps[~np.isnan(steps)]
    return len(steps) >= _FEWEST_STEPS and bool((steps > 0).all() and steps.min() < steps.max())


def is_elapsed(column: pl.Series) -> bool:
    """Whether a column named like a part of a time goes up beyond it, as hours since admission do, row by row."""
    part = words.may_go_on(column.name)
    if part is None or not column.dtype.is_numeric() or column.null_count() == len(column):
        return False
    values = column.drop_nulls().cast(pl.Float64).to_numpy()
    goes_up = np.mean(np.diff(values) > 0) >= 0.8 if len(values) > 1 else False
    return bool(goes_up and values.max() > _LIMITS[part][1])


def is_part(column: pl.Series) -> bool:
    """Whether a column is a part of a time by its name, and its numbers, if it has any, can be those of one.

    Years with decimals, such as 1990.25, or before 0, and months since 1960, are whole times.
    """
    if not words.is_part(column.name) or not column.dtype.is_numeric():
        return words.is_part(column.name)
    named = {bare for _, bare in words.with_owners(column.name)}
    return any(_fits(column, part) for part in words.PARTS if any(words.is_part_named(part, bare) for bare in named))


def is_division(column: pl.Series) -> bool:
    """Whether numbers, by their column's name of months, say, or quarters, can be those of a year's."""
    among = words.parts_of_year(column.name)
    known = column.drop_nulls().cast(pl.Float64)
    whole = bool((known % 1 == 0).all())
    return among is None or (whole and bool(((known >= 0) & (known <= among + 1)).all()))


_FEWEST_LEAPS = 3


def leaps(column: pl.Series, codes: NDArray[np.int64]) -> tuple[float, float] | None:
    """The first leap of numbers that have one exactly where a digit before goes on; None for all others.

    So do a year and its months, or hours and minutes, in one number, and neither pauses nor bursts.

    Args:
        column: the numbers.
        codes: which recording each row is of.
    """
    if not column.dtype.is_numeric() or column.has_nulls():
        return None
    numbers = column.cast(pl.Float64).to_numpy()
    order = np.lexsort((numbers, codes))
    numbers, steps = numbers[order], np.diff(numbers[order])
    there = (np.diff(codes[order]) == 0) & (steps > 0)
    if there.sum() < 2 * _FEWEST_LEAPS:
        return None
    usual = float(np.median(steps[there]))
    large = there & (steps > 1.5 * usual)
    if not _FEWEST_LEAPS <= large.sum() <= there.sum() / 2:
        return None
    # A hair more than rounding, so that 1990.1 is above 1990.
    for size in 10.0 ** np.arange(-2, 5):
        # Above two digits of months or minutes there are others; 9, 12, 24 are hours.
        if size >= 10 and numbers.max() < 100:
            break
        goes_on = np.diff(np.floor(numbers / size + 1e-9))
        if (goes_on[large] == 1).all() and not goes_on[there & ~large].any():
            first = int(large.argmax())
            return float(numbers[first]), float(numbers[first + 1])
    return None


_ENDS_OF_COUNTERS = {None: (2**16, 2**32), "min": (1440,), "s": (86_400,), "ms": (86_400_000,), "us": (86_400_000_000,)}
"""Where counters begin again: in a machine's 16 and 32 bits, and at midnight by the unit of a day's count."""


def continued(column: pl.Series, unit: str | None) -> tuple[pl.Series, int, NDArray[np.int64]] | None:
    """Numbers of a counter that begins again, going on instead; its end; and the rows with which it begins again.

    Each time, it has to begin about one step after it would have ended. None for all other numbers.

    Args:
        column: the numbers, in the order in which they were written.
        unit: of time, where it is known.
    """
    if not column.dtype.is_numeric() or column.has_nulls():
        return None
    numbers = column.cast(pl.Float64).to_numpy()
    steps = np.diff(numbers)
    back = steps < 0
    if not back.any() or not (steps > 0).any() or numbers.min() < 0:
        return None
    usual = float(np.median(steps[steps > 0]))
    ends = [
        *_ENDS_OF_COUNTERS[None],
        *(end for of, some in _ENDS_OF_COUNTERS.items() if unit in (None, of) for end in some),
    ]
    for end in ends:
        over = steps[back] + end
        if numbers.max() < end and (over > 0).all() and (over <= 2 * usual).all():
            turns = np.cumsum(np.concatenate([[False], back]))
            return column + pl.Series(turns * end).cast(column.dtype), end, np.flatnonzero(back) + 1
    return None


def goes_on(column: pl.Series, codes: NDArray[np.int64] | None = None) -> bool:
    """Whether numbers go up and hardly ever down, as the times of recordings one below another do.

    Args:
        column: the numbers.
        codes: which recording each row is of, where that is known; within one, hardly a number comes twice.
    """
    if not column.dtype.is_numeric() or column.null_count() or len(column) < dates.NO_ACCIDENT:
        return False
    steps = np.diff(column.cast(pl.Float64).to_numpy())
    if codes is None:
        return bool(np.mean(steps < 0) <= 0.05 and np.mean(steps > 0) >= 0.2)
    steps = steps[np.diff(codes) == 0]
    return len(steps) >= dates.NO_ACCIDENT and bool(np.mean(steps > 0) >= 0.95)


def counts_down(column: pl.Series, codes: NDArray[np.int64] | None = None) -> bool:
    """Whether numbers or clocks go down from row to row, as times before the present do.

    Args:
        column: the numbers.
        codes: which recording each row is of, where that is known.
    """
    column = column.cast(pl.Int64) if column.dtype == pl.Duration else column
    if not column.dtype.is_numeric() or column.null_count() or len(column) < dates.NO_ACCIDENT:
        return False
    steps = np.diff(column.cast(pl.Float64).to_numpy())
    steps = steps if codes is None else steps[np.diff(codes) == 0]
    return len(steps) >= dates.NO_ACCIDENT and bool(np.mean(steps < 0) >= 0.95)


def _join_halves(found: Found, used: set[str]) -> None:
    """Join a clock of twelve hours with the column that says whether it is before noon."""
    clocks = [name for name in found.frame.columns if found.frame[name].dtype == pl.Duration and name not in used]
    text = [name for name in found.frame.columns if found.frame[name].dtype == pl.String and name not in used]
    for half in text if len(clocks) == 1 else ():
        marks = found.frame[half].str.to_lowercase().str.replace_all(r"[.\s]", "")
        clock = found.frame[clocks[0]].cast(pl.Duration("us"))
        hours = clock.dt.total_hours()
        if not marks.drop_nulls().is_in(["am", "pm"]).all() or not ((hours >= 1) & (hours < 13)).all():
            continue
        if marks.null_count() == len(marks):
            continue
        shift = pl.Series((marks == "pm").cast(pl.Int64) * 12 - (hours == 12).cast(pl.Int64) * 12)
        joined = clock + (shift * _NANOSECONDS["h"] // 1000).cast(pl.Duration("us"))
        found.remarks.append(f"file: {clocks[0]!r} and {half!r} are joined into one clock")
        found.frame = found.frame.with_columns(joined.alias(clocks[0])).drop(half)
        found.joined[half] = clocks[0]
        found.in_minutes.discard(clocks[0])
        found.doubts.pop(clocks[0], None)
        return


def _join(
    found: Found,
    at: At,
    time: str | None,
    kept: set[str],
    whole: set[str],
    are_times: Callable[[pl.DataFrame, str], bool],
) -> None:
    """Make one column of times where a table has it in several."""
    frame = found.frame
    dated = [name for name in frame.columns if frame[name].dtype == pl.Datetime and name not in whole]
    days = [name for name in dated if not (frame[name].cast(pl.Int64) % DAY != 0).any()]
    if len(days) < len(dated) or len(days) > 1:
        return
    if days and days[0] in found.years:
        # A year may have its months or weeks in another column.
        as_years = frame.with_columns(frame[days[0]].dt.year().cast(pl.Int64))
        of_year = _roles(as_years, whole, found.years)
        if of_year.get("year") == days[0] and any(all(part in of_year for part in finer) for finer in _BELOW_YEAR):
            frame, days, dated = as_years, [], []
    roles = _roles(frame, whole, found.years)
    clocks = [name for name in frame.columns if frame[name].dtype == pl.Duration and name not in whole]
    # How long something took, or when the sun rose, does not say when a row was.
    clocks = [name for name in clocks if name == time or not (words.is_amount(name) or words.is_of_an_event(name))]
    if days:
        repeated = bool(frame[days[0]].drop_nulls().is_duplicated().any())
        if not clocks and repeated and (clock := _as_clock(frame, days[0], kept | whole)) is not None:
            found.frame = frame = frame.with_columns(clock)
            found.doubts.pop(clock.name, None)
            clocks = [clock.name]
        if not clocks and repeated and "hour" not in roles:
            roles |= _beside(frame, days, kept | whole)
        if not clocks and repeated and "hour" not in roles:
            of_day = _from_midnight(frame, days[0], kept | whole) or _periods_of_day(frame, days[0], kept | whole)
            if of_day is not None:
                found.frame = frame = frame.with_columns(of_day[0])
                found.remarks.append(of_day[1])
                clocks = [of_day[0].name]
        parts = [days[0]]
        if clocks:
            parts.append(clocks[0])
        elif not clocks and "hour" in roles and repeated:
            parts += _down_from(roles, "hour")
    elif "year" in roles:
        finest = next((finer for finer in _BELOW_YEAR if all(part in roles for part in finer)), ())
        parts = [roles[part] for part in ("year", *finest)]
        if finest in _WHOLE_DAYS:
            roles = roles if clocks or "hour" in roles else roles | _beside(frame, parts, kept | whole)
            parts += clocks[:1] or _down_from(roles, "hour")
    else:
        if "month" not in roles and not dated and _join_days(found, at, roles, clocks, time, kept, whole):
            return
        lone = [roles[part] for part in ("month", "day", "of_year", "week", "hour") if part in roles]
        if len(lone) > 1 and not dated:
            found.warnings.append(
                f"{', '.join(map(repr, lone))} look like parts of a time, but there is no year; if they are, join them "
                "into one column of times"
            )
        return
    if time in frame.columns and time not in parts:
        return
    if len(clocks) > 1:
        found.warnings.append(f"of the clocks {', '.join(map(repr, clocks))}, the first is joined with the date")
    if len(parts) < 2 and not days and (odd := _odd_part(frame, at, whole)):
        found.warnings.append(odd)
        return
    if len(parts) < 2 and (days or not are_times(frame, parts[0])):
        return
    part_of = {name: part for part, name in roles.items()}
    if begins := _begins_in(frame, parts, part_of, found.years):
        year, month = parts[0], pl.Series(_months_in(frame[roles["month"]]))
        # A pair of years begins in its first one, and a year of one number is called by that in which it ends.
        later = (month < begins).cast(pl.Int64) if year in found.years else -(month >= begins).cast(pl.Int64)
        frame = frame.with_columns(_numbers_of(frame[year], "year").cast(pl.Int64) + later)
    joined, bad, short = _sum_of_parts(frame, parts, part_of)
    finer = _equal_parts(frame, joined, part_of.get(parts[-1], ""), kept | whole | set(parts))
    if finer is not None:
        parts, joined = [*parts, finer[0]], finer[1]
        found.remarks.append(finer[2])
    known = joined.null_count() < len(joined)
    if not known:
        return
    name = " ".join(parts)
    what = (
        f"{', '.join(map(repr, parts[:-1]))} and {parts[-1]!r} are joined into one time, {name!r}"
        if len(parts) > 1
        else f"{name!r} read as the first days of years"
    )
    found.remarks.append(f"file: {what}")
    if begins:
        found.remarks.append(f"file: years of {parts[0]!r} begin in month {begins}, as its rows follow one another")
    if len(bad):
        cells = "-".join(str(frame[part][int(bad[0])]) for part in parts)
        found.remarks.append(
            f"file: {name!r} is no date in {len(bad)} rows, the first of them {cells} in {at(int(bad[0]))}; "
            "taken as missing"
        )
    if short:
        counts = frame[parts[0]].dtype.is_numeric() and bool((frame[parts[0]] < 10).all())
        how = "counts years, from 2000 on so that its times have spans" if counts else f"has {dates.SHORT_YEARS}"
        found.remarks.append(f"file: {parts[0]!r} {how}")
    for period in [part for part in parts if part_of.get(part) == "period" and finer is None]:
        among = int(_numbers_of(frame[period], "period").max() or 1)  # pyright: ignore[reportArgumentType]
        found.remarks.append(f"file: {period!r} is read as {among} equal parts of each year")
    if any(part_of.get(part) == "week" for part in parts):
        found.remarks.append(f"file: weeks of {name!r} are read as those of ISO 8601, by their Mondays")
    _replace(found, parts, joined.alias(name), kept)


_FEWEST_TOTALS = 0.2
"""Share of the numbers of a part up to which those that it cannot have are something else, such as totals."""


def _odd_part(frame: pl.DataFrame, at: At, whole: set[str]) -> str:
    """What keeps a column from being a part of a year, where its other numbers are those of one; else empty."""
    for name in [name for name in frame.columns if name not in whole and frame[name].dtype.is_numeric()]:
        for part in ("month", "of_year", "week", "quarter"):
            low, high = _LIMITS[part]
            if not any(words.is_part_named(part, bare) for _, bare in words.with_owners(name)):
                continue
            outside = ((frame[name] < low) | (frame[name] > high)).fill_null(False)
            if 0 < outside.sum() <= _FEWEST_TOTALS * len(frame) and _fits(frame[name].filter(~outside), part):
                first = int(outside.arg_max() or 0)
                return (
                    f"{name!r} is {frame[name][first]} in {at(first)} and {int(outside.sum()) - 1} more rows, which is "
                    f"no {'day' if part == 'of_year' else part} of a year, so that no time is made of it; rows count "
                    "as evenly spaced, in the order of the file. If those are totals of the year, remove them"
                )
    return ""


def _join_days(
    found: Found, at: At, roles: dict[str, str], clocks: list[str], time: str | None, kept: set[str], whole: set[str]
) -> bool:
    """Join days of a count, such as those of a study, with the clock that each of them has; whether they are.

    A clock alone would leave out the days between its rows. Days go up from row to row, or within each of something.
    """
    frame = found.frame
    of_study = (name for name in frame.columns if name not in whole and words.time_name(name) == words.TimeName("d"))
    day = roles.get("day") or roles.get("of_year") or next(of_study, None)
    if day is None or not clocks or (time in frame.columns and time not in (day, clocks[0])):
        return False
    days, clock = frame[day], frame[clocks[0]].cast(pl.Duration("us"))
    if not days.dtype.is_numeric() or days.has_nulls() or days.n_unique() < 2 or (days.cast(pl.Float64) % 1 != 0).any():
        return False
    of_day = clock.cast(pl.Int64)
    if clock.null_count() == len(clock) or (of_day < 0).any() or (of_day > DAY).any():
        return False
    steps = np.diff(days.cast(pl.Float64).to_numpy())
    owners = [name for name in frame.columns if name in whole or words.is_named(name) or frame[name].dtype == pl.String]
    goes_up = (steps >= 0).all() or any(
        frame.group_by(name, maintain_order=True).agg((pl.col(day).diff().min() >= 0).fill_null(True))[day].all()
        for name in owners
        if 1 < frame[name].n_unique() <= frame.height / 2
    )
    if goes_up:
        name = f"{day} {clocks[0]}"
        joined = (days.cast(pl.Int64) * DAY).cast(pl.Duration("us")) + clock
        found.remarks.append(f"file: {day!r} and {clocks[0]!r} are joined into one time, {name!r}")
        _replace(found, [day, clocks[0]], joined.alias(name), kept)
        return True
    midnights = np.diff(of_day.fill_null(strategy="forward").fill_null(0).to_numpy()) < -DAY // 2
    leaps = np.flatnonzero((steps >= 0) & (steps != midnights))
    if len(leaps):
        back = int(np.flatnonzero(steps < 0)[0]) + 1
        found.questions[clocks[0]] = (
            f"{day!r} says on which day its clock is, and goes on from {days[int(leaps[0])]} to "
            f"{days[int(leaps[0]) + 1]} in {at(int(leaps[0]) + 1)}, but back in {at(back)}; name what has days of its "
            "own with --group, or write a date beside each clock"
        )
    return False


def _months_in(column: pl.Series) -> NDArray[np.int64]:
    months = dates.months_of(column.fill_null("jan")) if column.dtype == pl.String else column.fill_null(1)
    return months.cast(pl.Int64).to_numpy()


def _begins_in(frame: pl.DataFrame, parts: list[str], part_of: dict[str, str], years: Collection[str]) -> int:
    """The month in which years such as a water year begin where that is not January, by the order of the rows; 0."""
    month = next((part for part in parts if part_of.get(part) == "month"), None)
    if month is None or part_of.get(parts[0]) != "year":
        return 0
    year = _numbers_of(frame[parts[0]], "year").cast(pl.Float64)
    if year.has_nulls() or frame[month].has_nulls() or ((year < 1000).any() and parts[0] not in years):
        return 0
    months, steps = _months_in(frame[month]), np.diff(year.to_numpy())
    into = np.flatnonzero(steps == 1)
    # From December on to January in one year, and to the next year always in the same month.
    turns = (steps == 0) & (months[:-1] == 12) & (months[1:] == 1)
    firsts = np.unique(months[into + 1])
    follow = len(firsts) == 1 and bool(((months[into] % 12) + 1 == firsts[0]).all())
    return int(firsts[0]) if follow and turns.sum() >= 2 and firsts[0] != 1 else 0


def _replace(found: Found, parts: list[str], joined: pl.Series, kept: set[str]) -> None:
    """Put one column of times in the place of its parts; those that are kept stay beside it."""
    if len(parts) > 1:
        found.joined = {part: joined.name if whole in parts else whole for part, whole in found.joined.items()}
        found.joined |= dict.fromkeys(parts, joined.name)
    if found.local.intersection(parts) or not any(found.frame[part].dtype == pl.Datetime for part in parts):
        found.local.add(joined.name)
    place = found.frame.columns.index(parts[0])
    rest = found.frame.drop([part for part in parts if part not in kept or part == joined.name])
    found.frame = (
        rest.with_columns(joined) if joined.name in rest.columns else rest.insert_column(min(place, rest.width), joined)
    )


_WHOLE_DAYS = (("month", "day"), ("of_year",))
_BELOW_YEAR = (*_WHOLE_DAYS, ("week",), ("month",), ("quarter",), ("period",))
"""What may say when in a year a row is, the finest first."""


_PERIODS_IN_DAY = frozenset((24, 48, 72, 96, 144, 288, 1440))
"""Equal parts of a day, of an hour down to a minute."""

_NANOSECONDS = {"h": 3_600_000_000_000, "min": 60_000_000_000, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def _join_units(found: Found, time: str | None, kept: set[str], whole: set[str]) -> None:
    """Join times whose whole seconds, say, are in one column, and what is left of them in another."""
    free = [name for name in found.frame.columns if name not in (*kept, *whole)]
    rests = [(name, *unit) for name in free if (unit := words.in_unit(name))]
    for rest, owner, unit in sorted(rests, key=lambda of: -_NANOSECONDS[of[2]]):
        base = next((name for name in found.frame.columns if name not in whole and _goes_with(found, name, rest)), None)
        if base is None or (time in found.frame.columns and time not in (base, rest)):
            continue
        column, name = found.frame[base], f"{base} {rest}"
        scale = _NANOSECONDS[unit]
        resolution = "ns" if unit in ("us", "ns") else "us"
        left = (found.frame[rest].cast(pl.Float64) * scale).round().cast(pl.Int64).cast(pl.Duration("ns"))
        if column.dtype.is_numeric():
            _, of_base = words.in_unit(base) or (owner, "s")
            since_1970 = of_base == "s" and float(column.min() or 0) >= 1e8  # pyright: ignore[reportArgumentType]
            column = (column.cast(pl.Int64) * _NANOSECONDS[of_base]).cast(pl.Datetime("ns"))
            column = column if since_1970 else column.cast(pl.Int64).cast(pl.Duration("ns"))
            found.local.discard(base)
        kind = pl.Datetime if column.dtype == pl.Datetime else pl.Duration
        joined = (column.cast(kind("ns")) + left).cast(kind(resolution)).alias(name)
        if (words.in_unit(base) or (owner, ""))[1] in ("h", "min") and not _steps_on(found, base, rest, joined):
            continue
        found.remarks.append(f"file: {base!r} and {rest!r} are joined into one time, {name!r}")
        _replace(found, [base, rest], joined, kept)


def _goes_with(found: Found, base: str, rest: str) -> bool:
    """Whether a column holds times in whole units, and another what is left of them in a smaller one."""
    column, left, (owner, unit) = found.frame[base], found.frame[rest], words.in_unit(rest) or ((), "")
    if base == rest or not left.dtype.is_numeric() or left.n_unique() < 2:
        return False
    if owner and not words.is_of_a_clock(owner[-1]):
        return False
    if column.dtype in (pl.Datetime, pl.Duration):
        ticks = column.cast(column.dtype.__class__("ns")).cast(pl.Int64).drop_nulls()
        whole = [of for of in ("min", "s", "ms", "us") if not (ticks % _NANOSECONDS[of] != 0).any()]
        # Of nothing but days, no second is what is left.
        if not whole or not (ticks % (24 * _NANOSECONDS["h"]) != 0).any():
            return False
        of_base = whole[0] if unit == "s" else next((of for of in whole if of != "min"), "")
        parts = [part for part, whole in found.joined.items() if whole == base] or [base]
        owners = [(tuple(words.split(part)), (words.in_unit(part) or [None])[0]) for part in parts]
        same = not owner or any(owner in ways for ways in owners)
        # What is named 'ms' alone may be a duration.
        sure = owner or (len(words.split(rest)[-1]) > 2 and unit != "s")
        if not of_base or not (sure or column.is_duplicated().any()):
            return False
    else:
        named = words.in_unit(base)
        if named is None and not (owner and words.time_name(base)):
            return False
        same = owner == (named[0] if named else tuple(words.split(base)))
        of_base = named[1] if named else "s"
        if not column.dtype.is_numeric() or not column.drop_nulls().len() or (column.drop_nulls() % 1 != 0).any():
            return False
        # 'min' and 's' may be a minimum and a deviation.
        if not owner and (len(words.split(base)[-1]) < 3 or (of_base == "min" and unit != "s")):
            return False
    if not same or _NANOSECONDS[of_base] <= _NANOSECONDS[unit]:
        return False
    known = left.drop_nulls()
    inside = (known >= 0) & (known < _NANOSECONDS[of_base] // _NANOSECONDS[unit])
    return bool(inside.all()) and (unit == "s" or bool((known % 1 == 0).all()))


def _steps_on(found: Found, base: str, rest: str, joined: pl.Series) -> bool:
    """Whether hours and minutes without a date are times that go on; a table with dates has others."""
    if any(dtype == pl.Datetime for dtype in found.frame.dtypes):
        return False
    steps = np.diff(dates.seconds(dates.unrolled(joined)[0]))
    if np.mean(steps < 0) <= 0.1:
        return True
    found.warnings.append(
        f"{base!r} and {rest!r} look like parts of a time, but it goes up and down; if they are, join them into one "
        "column of times"
    )
    return False


_MOST_HOURS = 14


def _bring_to_utc(found: Found, at: At, used: set[str]) -> None:
    """Bring dates to UTC by the zones, offsets or flags of daylight saving that stand in a column of their own."""
    local = [name for name in found.frame.columns if name in found.local and not words.is_in_utc(name)]
    local = [name for name in local if (found.frame[name].cast(pl.Int64) % DAY != 0).any()]
    for zone in [name for name in found.frame.columns if name not in used] if local else ():
        column = found.frame[zone]
        hours, problem = _zones_in(column, at)
        one = len(hours) < 2 and not column.has_nulls() and not any(isinstance(place, str) for place in hours.values())
        # With one offset throughout, spans are as they are in UTC.
        if not problem and (one or not hours):
            continue
        for name in local:
            shifted = _shifted(found.frame[name], column, hours, 1)
            if column.dtype.is_numeric() and not problem:
                # JavaScript's offsets are those of UTC from the clock.
                other = _shifted(found.frame[name], column, hours, -1)
                if _odd_spans(other) < _odd_spans(shifted):
                    problem = "its numbers fit better as the time that UTC is ahead of the clock"
            if problem:
                found.questions[name] = (
                    f"{zone!r} says how far its clock is from UTC, but {problem}; write offsets such as +02:00 or "
                    "-05:00, or remove that column if all rows have one clock"
                )
                continue
            found.frame = found.frame.with_columns(shifted)
            found.local.discard(name)
        if not problem:
            found.remarks.append(f"file: {listed(local)} brought to UTC by {zone!r}")
            found.frame = found.frame.drop(zone)
            return


def _odd_spans(times: pl.Series) -> int:
    spans = np.diff(dates.seconds(times.drop_nulls()))
    return int((np.abs(spans - np.median(spans)) > 0.1 * np.abs(np.median(spans))).sum()) if len(spans) else 0


def _zones_in(column: pl.Series, at: At) -> tuple[dict[Any, float | str], str]:
    """Hours ahead of UTC, or a place, by value of a column of zones, and what is wrong with it; empty for others."""
    values = column.drop_nulls().unique(maintain_order=True)
    if words.is_of_daylight(column.name) and values.cast(pl.String).is_in(["0", "1", "true", "false"]).all():
        return {value: float(value) for value in values}, ""
    named = words.zone_name(column.name)
    if not named or not len(values) or column.dtype == pl.Boolean:
        return {}, ""
    if column.dtype == pl.Duration:
        return {value: value.total_seconds() / 3600 for value in values}, ""
    if column.dtype.is_numeric():
        if not named.sure:
            return {}, ""
        numbers = {value: float(value) for value in values}
        read = {how: of for how, of in _hours_of_numbers(numbers).items() if named.unit in (None, how)}
        if len(read) == 1 or "h" in read:
            return dict(read.get("h") or next(iter(read.values()))), ""
        if not read:
            return {}, f"{values[0]} is no offset of hours, minutes or seconds"
        return {}, f"{max(numbers, key=abs)} may be hours and minutes, or minutes alone"
    if column.dtype != pl.String:
        return {}, ""
    hours = {value: _zone_of(value) for value in values}
    unknown = [value for value, zone in hours.items() if zone is None]
    if not unknown:
        return {value: zone for value, zone in hours.items() if zone is not None}, ""
    if len(values) < 2 or (len(unknown) > len(hours) / 2 and not named.sure):
        return {}, ""
    return {}, f"{unknown[0]!r} in {at(column.to_list().index(unknown[0]))} is no zone known here"


def _hours_of_numbers(numbers: dict[Any, float]) -> dict[str, dict[Any, float]]:
    """Offsets in hours, by each unit in which all numbers are offsets; ``hhmm`` are figures such as 530."""
    sizes = np.abs(list(numbers.values()))
    found = {
        unit: {value: number * scale for value, number in numbers.items()}
        for unit, scale in (("h", 1.0), ("min", 1 / 60), ("s", 1 / 3600))
        if ((sizes * scale * 4) % 1 == 0).all() and (sizes * scale <= _MOST_HOURS).all()
    }
    if "h" not in found and (sizes <= 100 * _MOST_HOURS).all() and np.isin(sizes % 100, (0, 15, 30, 45)).all():
        found["hhmm"] = {
            value: np.sign(number) * (abs(number) // 100 + abs(number) % 100 / 60) for value, number in numbers.items()
        }
    return found


def _zone_of(text: str) -> float | str | None:
    """Hours ahead of UTC, or the name of a place in the database of time zones; None where it is neither."""
    text = text.strip()
    hours = dates.hours_before_utc(f"+{text}" if text[:1].isdigit() else text) if text else None
    if hours is None and "/" in text:
        try:
            pl.Series([0]).cast(pl.Datetime("us")).dt.replace_time_zone(text)
        except pl.exceptions.PolarsError:
            return None
        return text
    return hours


def _shifted(times: pl.Series, zones: pl.Series, hours: dict[Any, float | str], sign: int) -> pl.Series:
    """Times of local clocks in UTC; null where there is no zone, or where the clock of a place leaps over a time."""
    result = pl.Series(times.name, [None] * len(times), dtype=times.dtype)
    for value, zone in hours.items():
        if isinstance(zone, str):
            # An hour that is there twice in autumn counts as its first.
            placed = times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            moved = placed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        else:
            moved = times - timedelta(hours=sign * zone)
        result = moved.zip_with((zones == value).fill_null(False), result)
    return result


def _roles(frame: pl.DataFrame, whole: set[str], years: Collection[str] = ()) -> dict[str, str]:
    """Which column is which part of a time, by name and content.

    Args:
        frame: the table.
        whole: columns that are none.
        years: columns of years whatever their names.
    """
    ways = {name: words.with_owners(name) for name in frame.columns if name not in whole}
    if any(name.casefold() == "max" for name in frame.columns):
        # Beside a maximum it is a minimum.
        ways = {name: of for name, of in ways.items() if name.casefold() != "min"}
    bare = _matched(frame, {name: of[0][1] for name, of in ways.items()}, years)
    if any(all(part in bare for part in ("year", *finer)) for finer in _BELOW_YEAR):
        return bare
    # Owners are as many as columns where a table is wide, and hardly one of them has a year.
    with_year = {
        owner
        for name, of in ways.items()
        for owner, part in of
        if name in years or words.is_part_named("year", part) or words.is_season(part)
    }
    for owner in sorted(with_year, key=lambda owner: (bool(owner), owner)):
        # Parts of one owner belong together, as do those of a calendar and a year.
        names = {name: part for name, of in ways.items() for its, part in of if its == owner}
        of_owner = _matched(frame, names, years)
        if "year" not in of_owner:
            continue
        near = {
            name: part
            for name, of in ways.items()
            for its, part in of
            if words.are_of_calendars((*owner, *its))
            and name not in of_owner.values()
            and words.is_part_by_calendar(part)
        }
        roles = _matched(frame, names | near, {*years, of_owner["year"]})
        if any(all(part in roles for part in finer) for finer in _BELOW_YEAR):
            return roles
    return bare


def _matched(frame: pl.DataFrame, names: dict[str, str], years: Collection[str]) -> dict[str, str]:
    """Which column is which part, by what of its name says so."""
    roles: dict[str, str] = {}
    for part in (*words.PARTS, "period"):
        for name, bare in names.items():
            season = part == "year" and (name in years or words.is_season(bare))
            if not (season or words.is_part_named(part, bare)) or name in roles.values():
                continue
            # 'MM' beside 'mm' is the month, and 'mm' beside a month the minute.
            if part == "month" and bare == "mm" and any(other.strip() in ("MM", "month", "Month") for other in names):
                continue
            if part in roles or not _fits(frame[name], part):
                continue
            if season and name not in years and not (frame[name] >= 1000).all():
                continue
            if part == "period" and not _divides(frame, roles, name):
                continue
            roles[part] = name
    if "hour" not in roles:
        roles.pop("minute", None)
    if "minute" not in roles:
        roles.pop("second", None)
    return roles


def _divides(frame: pl.DataFrame, roles: dict[str, str], name: str) -> bool:
    """Whether numbers count the parts of each year, the same again in others."""
    if "year" not in roles:
        return False
    periods = _numbers_of(frame[name], "period")
    if words.divides_months(name) and periods.max() != _THIRDS_IN_YEAR:
        return False
    known = pl.DataFrame([frame[roles["year"]].alias("year"), periods.alias("period")]).drop_nulls().unique()
    return bool(
        known.height >= 2 * known["year"].n_unique() and 1 < known["period"].n_unique() == known["period"].max()
    )


def _numbers_of(column: pl.Series, part: str) -> pl.Series:
    return _without_letters(column, part) if column.dtype == pl.String else column


def _fits(column: pl.Series, part: str) -> bool:
    if part == "month" and column.dtype == pl.String:
        return bool((dates.months_of(column.drop_nulls()) > 0).all()) and column.null_count() < len(column)
    if part in words.LETTERED and column.dtype == pl.String:
        column = _without_letters(column, part)
        if column.has_nulls():
            return False
    if not column.dtype.is_numeric() or column.null_count() == len(column):
        return False
    known = column.drop_nulls().cast(pl.Float64)
    low, high = _LIMITS[part]
    inside = bool(((known >= low) & (known <= high)).all())
    years = part != "year" or bool((known >= 1000).all() or (known < 100).all())
    return inside and years and (part == "second" or bool((known % 1 == 0).all()))


def _without_letters(column: pl.Series, part: str) -> pl.Series:
    """Years, weeks and quarters such as ``FY24``, ``W05`` and ``Q1`` as numbers."""
    return column.str.extract(rf"^(?i:{words.LETTERED[part]})\.?\s?(\d{{1,2}}|\d{{4}})$").cast(pl.Int64)


def _down_from(roles: dict[str, str], part: str) -> list[str]:
    """The columns of a part and of the finer ones, as far as there are all between."""
    order = ("hour", "minute", "second")
    found = []
    for finer in order[order.index(part) :]:
        if finer not in roles:
            break
        found.append(roles[finer])
    return found


def _as_clock(frame: pl.DataFrame, day: str, kept: set[str]) -> pl.Series | None:
    """A column of numbers that is named like a clock and can be HHMM in each row beside a date."""
    for name in frame.columns:
        if name in kept or name == day or not words.may_be_clock(name):
            continue
        if not frame[name].dtype.is_integer() or not (frame[name] >= 60).any() or (frame[name] > 240_000).any():
            continue
        reading = dates.clock_in_digits(frame[name], str)
        if reading is not None:
            return reading.column
    return None


def _periods_of_day(frame: pl.DataFrame, day: str, kept: set[str]) -> tuple[pl.Series, str] | None:
    """Numbers of the equal parts of each day, as the time since its beginning, and that in words.

    A day on which clocks are set has an hour's parts more or fewer, and those after it begin as much later or earlier:
    times go on evenly, in what was standard time on the first day.
    """
    for name in frame.columns:
        numbers = frame[name]
        if name in kept or name == day or not words.may_divide_days(name) or not numbers.dtype.is_integer():
            continue
        days = pl.DataFrame([frame[day].alias("day"), numbers.alias("period")]).drop_nulls().group_by("day")
        last = days.agg(pl.col("period").max(), first=pl.col("period").min()).sort("day")
        first = int(last["first"].min() or 0)  # pyright: ignore[reportArgumentType]
        among = int(last["period"].mode().max() or 0) + 1 - first  # pyright: ignore[reportArgumentType]
        if first not in (0, 1) or among not in _PERIODS_IN_DAY:
            continue
        change = (last["period"] + 1 - first) - among
        longer = change == among // 24
        # Other days may be cut short; clocks are set on Sundays.
        shorter = (change == -(among // 24)) & (last["day"].dt.weekday() == 7)
        if not ((change <= 0) | longer).all():
            continue
        length = DAY // among
        moved = (longer.cast(pl.Int64) - shorter.cast(pl.Int64)).cum_sum().shift(1, fill_value=0) * (DAY // 24)
        moved = frame[day].replace_strict(last["day"], moved, default=0, return_dtype=pl.Int64)
        of_day = (numbers.cast(pl.Int64) - first) * length + moved
        what = f"file: {name!r} numbers {among} parts of each day, of {length // 60_000_000} minutes"
        if longer.any() or shorter.any():
            what += f"; {counted(int((longer | shorter).sum()), 'day')} on which clocks were set have more or fewer"
        return of_day.cast(pl.Duration("us")), what
    return None


def _beside(frame: pl.DataFrame, parts: list[str], kept: set[str]) -> dict[str, str]:
    """The hours of dates in `parts`: by name the same owner's, or hours of whole days under the name of a clock."""
    owner = words.split(parts[0])[:-1]
    for name in frame.columns:
        column = frame[name]
        if name in kept or name in parts or not column.dtype.is_numeric() or not _fits(column, "hour"):
            continue
        same = bool(owner) and any(
            list(its) == owner and words.is_part_named("hour", bare) for its, bare in words.with_owners(name)
        )
        whole = column.n_unique() == 24 and words.may_be_clock(name) and frame.select(*parts, name).is_unique().all()
        if same or whole:
            return {"hour": name}
    return {}


def _from_midnight(frame: pl.DataFrame, day: str, kept: set[str]) -> tuple[pl.Series, str] | None:
    """Numbers that count from midnight, as the time since then, and that in words.

    Their name says so, or it is that of minutes or seconds, and they go up through each whole day.
    """
    for name in frame.columns:
        column, plain = frame[name], words.may_go_on(name)
        unit = words.counts_from_midnight(name) or {"minute": "min", "second": "s"}.get(plain or "")
        if unit is None or name in kept or not column.dtype.is_numeric() or column.null_count() == len(column):
            continue
        of_day = (column.cast(pl.Float64) * (_NANOSECONDS[unit] // 1000)).round().cast(pl.Int64)
        through = plain is None or int(of_day.max() or 0) >= _THROUGH * DAY  # pyright: ignore[reportArgumentType]
        if through and ((of_day >= 0) & (of_day <= DAY)).all() and frame.select(day, name).is_unique().all():
            return of_day.cast(pl.Duration("us")), f"file: {name!r} counts {_FROM_MIDNIGHT[unit]} from midnight"
    return None


_THROUGH = 0.9
"""Share of a day up to which numbers under the name of a unit go where they count from midnight."""
_THIRDS_IN_YEAR = 36
_FROM_MIDNIGHT = {"min": "minutes", "s": "seconds"}
_PARTS_OF = {"hour": frozenset((2, 4, 6, 12, 60)), "month": frozenset((3,))}
"""Into how many equal parts an hour or a month may be divided."""


def _equal_parts(frame: pl.DataFrame, times: pl.Series, part: str, used: set[str]) -> tuple[str, pl.Series, str] | None:
    """What numbers the equal parts of each hour or month, the times with them, and that in words.

    A month's thirds begin on its days 1, 11 and 21.
    """
    if part not in _PARTS_OF or not times.is_duplicated().any():
        return None
    divides = words.divides_months if part == "month" else words.may_divide_days
    for name in frame.columns:
        numbers = frame[name]
        named = any(divides(bare) for _, bare in words.with_owners(name))
        if name in used or not named or not numbers.dtype.is_integer() or numbers.has_nulls():
            continue
        first, last = int(numbers.min() or 0), int(numbers.max() or 0)  # pyright: ignore[reportArgumentType]
        among = last - first + 1
        if first not in (0, 1) or among not in _PARTS_OF[part] or numbers.n_unique() != among:
            continue
        length = 10 * DAY if part == "month" else DAY // 24 // among
        said = "days 1, 11 and 21 of each month" if part == "month" else f"{among} parts of each hour"
        finer = times + ((numbers.cast(pl.Int64) - first) * length).cast(pl.Duration("us"))
        return name, finer, f"file: {name!r} numbers {said}"
    return None


def _sum_of_parts(
    frame: pl.DataFrame, parts: list[str], part_of: dict[str, str]
) -> tuple[pl.Series, NDArray[np.int64], bool]:
    """Times from their parts; the rows in which they make none though all are there; whether years were short."""
    ones = np.ones(frame.height, dtype=np.int64)
    given = ~frame.select(pl.any_horizontal(pl.col(parts).is_null())).to_series().to_numpy()
    micro, good, short = np.zeros(frame.height, dtype=np.int64), given.copy(), False
    whole: dict[str, NDArray[np.int64]] = {}
    for name in parts:
        column = frame[name]
        if column.dtype.is_temporal():
            micro = micro + column.cast(pl.Int64).fill_null(0).to_numpy()
        elif part_of[name] == "second":
            micro = micro + (column.cast(pl.Float64).fill_null(0).to_numpy() * 1e6).round().astype(np.int64)
        elif column.dtype == pl.String:
            part = part_of[name]
            whole[part] = (
                dates.months_of(column.fill_null("jan"))
                if part == "month"
                else _without_letters(column, part).fill_null(1)
            ).to_numpy()
        else:
            whole[part_of[name]] = column.cast(pl.Float64).fill_null(1).cast(pl.Int64).to_numpy()
    if "year" in whole:
        short = bool((whole["year"] < 100).all())
        year = dates.four_figures(whole["year"], np.full(frame.height, 2 if short else 4))
        month = whole.get("month", whole.get("quarter", ones) * 3 - 2)
        days, valid = dates.calendar_days(year, month, whole.get("day", ones))
        if "period" in whole:
            among = int(whole["period"][given].max(initial=1))
            length = dates.calendar_days(year + 1, ones, ones)[0] - days
            # Whole months, where they come to that.
            days = (
                dates.calendar_days(year, (whole["period"] - 1) * 12 // among + 1, ones)[0]
                if 12 % among == 0
                else dates.calendar_days(year, (whole["period"] + 2) // 3, (whole["period"] - 1) % 3 * 10 + 1)[0]
                if among == _THIRDS_IN_YEAR
                else days + (whole["period"] - 1) * length // among
            )
        if "week" in whole:
            # The 4th of January is in the first week, and 1970 began on a Thursday.
            days = days + 3 - (days + 6) % 7 + 7 * (whole["week"] - 1)
        if "of_year" in whole:
            days = days + whole["of_year"] - 1
            valid &= days < dates.calendar_days(year + 1, ones, ones)[0]
        micro, good = micro + days * DAY, good & valid
    micro = micro + whole.get("hour", 0 * ones) * 3_600_000_000 + whole.get("minute", 0 * ones) * 60_000_000
    times = pl.Series(micro).cast(pl.Datetime("us")).set(pl.Series(~good), None)
    return times, np.flatnonzero(given & ~good), short
