"""The times of a table: columns of dates and clocks, and what of a time stands in several columns.

`find` reads each column by `liquidbench.tasks.dates` and joins what is spread: a date and a clock, or year, month, day,
hour. `time_name` and `is_part` say what columns of numbers are by their names.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates
from liquidbench.tasks.dates import DAY, At
from liquidbench.wording import listed

_UNITS_OF_TIME = {
    **dict.fromkeys("ns nsec nsecs nanosec nanosecs nanosecond nanoseconds nanos".split(), "ns"),
    **dict.fromkeys("us µs usec usecs microsec microsecs microsecond microseconds micros".split(), "us"),
    **dict.fromkeys("ms msec msecs millisec millisecs millisecond milliseconds millis".split(), "ms"),
    **dict.fromkeys("s sec secs second seconds sek sekunde sekunden segundos secondes secondi".split(), "s"),
    **dict.fromkeys("min mins minute minutes minuten minutos minuti".split(), "min"),
    **dict.fromkeys("h hr hrs hour hours std stunde stunden heures horas ore".split(), "h"),
    **dict.fromkeys("d day days tag tage jours dias giorni".split(), "d"),
    **dict.fromkeys("week weeks wk wks wochen semaines".split(), "week"),
    **dict.fromkeys("month months monate mois".split(), "month"),
    **dict.fromkeys("year years jahre".split(), "year"),
}
_UNITS_OF_TIME = {unit.casefold(): short for unit, short in _UNITS_OF_TIME.items()}
_WORDS_OF_TIME = frozenset(
    "time timestamp date datetime t ts seconds step epoch elapsed uptime zeit zeitpunkt zeitstempel uhrzeit datum "
    "temps horodatage tiempo fecha tempo tijd tijdstip tid tidspunkt czas čas cas idő zaman aika время 时间 時間 "
    "日期 日時 日付 時刻".split()
)
_BESIDE_TIME = frozenset(
    "elapsed relative rel unix posix sample sampling utc gmt local system sys measurement recording log logger stamp "
    "cycle cycles in since from start begin beginning after the of admission verstrichene vergangene".split()
)
_SINCE = frozenset("elapsed relative rel since from after post verstrichene vergangene".split())
_EVENTS = frozenset(
    "baseline randomization randomisation enrollment enrolment inclusion onset symptom diagnosis dose dosing infusion "
    "injection surgery operation treatment therapy discharge transplant birth icu hospital study trial first last "
    "visit".split()
)
_STUDY_DAY = re.compile(
    r"(?:study|trial|treatment|protocol|visit)[ _.]?(?:day|week)s?|"
    r"(?:day|week)s?[ _](?:on|in|of)[ _](?:study|trial|treatment)|"
    r"(?:A|VISIT|AE|AG|BE|CE|CM|CV|DA|DS|DV|EC|EG|EX|FA|FT|HO|IE|IS|LB|MB|MH|MI|MK|ML|MS|NV|OE|PC|PE|PP|PR|QS|RE|RS|"
    r"SC|SS|SU|SV|TR|TU|UR|VS)(?:ST|EN)?DY",
    re.I,
)
"""Days of a clinical study, and what CDISC calls them, which counts ... -2, -1, 1, 2 ... without a day 0."""

_PARTS = {
    "year": r"(?:(?:fiscal|calendar|iso|water)[ _]?)?year|fy|yr|yyyy|yy|jahr|ann[ée]e|a[ñn]o|anno|jaar",
    "month": r"month|mon|mo|mth|mm|monat|mois|m[eê]s|mese|maand",
    "day": r"day|dd|dy|mday|day[ _]?of[ _]?month|tag|jour|d[ií]a|giorno|dag",
    "of_year": r"day|doy|jday|yday|ddd|day[ _]?of[ _]?year|julian[ _]?day",
    "week": r"(?:iso|calendar)?[ _-]?(?:week|wk)(?:[ _-]?(?:no|nr|num|number|of[ _]year))?|kw|kalenderwoche|woche|"
    r"semaine|semana|settimana",
    "quarter": r"quarter|qtr|quartal|trimestre|kwartaal",
    "hour": r"hour|hr|hh|h|hours|hour[ _]?of[ _]?day|hour[ _]?ending|he|stunde|heure|hora|ora|uur",
    "minute": r"minute|min|minutes|mn|mi|mm|minuto|minuut",
    "second": r"second|sec|seconds|ss|sekunde|seconde|segundo|secondo",
}
_SEASONS = r"season|saison|temporada|stagione|seizoen"
"""Names of years, where their numbers are those of years."""
_PERIODS = (
    r"period|term|semester|trimester|bimester|half|fortnight|round|(?:match|game)[ _]?(?:day|week)|spieltag|gw|"
    r"(?:accounting|posting)[ _]?period"
)
"""Names of what a year may be divided into, the same number each year."""
_CALENDARS = frozenset(
    "fiscal financial fin fy calendar cal iso water hydrological epi epidemiological epidemic mmwr cdc school academic "
    "study survey obs observation observed measurement sample sampling record reporting season crop growing tax "
    "accounting budget trading".split()
)
"""Words beside the name of a part that say whose calendar it is, or which time of a row's."""
_OF_OTHERS = frozenset(
    "birth born dob built build construction model founded foundation manufacture install installation start end first "
    "last purchase hire hired graduation entry death expiry vintage release retirement mean min max avg num no count "
    "per of n".split()
)
"""Words beside the name of a part that make it that of another time, or none."""
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
    join: bool = True,
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
        join: whether parts of a time in several columns become one.
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
        found.warnings += reading.warnings
        found.years |= {name} if reading.years else set()
        found.local |= {name} if reading.local else set()
        found.in_minutes |= {name} if reading.in_minutes else set()
    for name in frame.columns:
        if _STUDY_DAY.fullmatch(name) and name.upper().endswith("DY") and name not in whole:
            _close_gap_at_zero(found, name)
    if join:
        _join(found, at, time, set(kept), set(whole))
        _join_units(found, time, set(kept), set(whole))
    _bring_to_utc(found, at, {*kept, *whole})
    return found


def _close_gap_at_zero(found: Found, name: str) -> None:
    """Count days of a study that has no day 0 as they pass."""
    days = found.frame[name]
    if days.dtype.is_numeric() and (days < 0).any() and (days > 0).any() and not (days == 0).any():
        found.frame = found.frame.with_columns(days - (days > 0).cast(pl.Int64))
        found.remarks.append(f"file: {name!r} has no day 0, as CDISC counts; its days from 1 on are read as 0, 1, ...")


@dataclass(frozen=True)
class TimeName:
    """What a column's name says where it is that of a time, such as ``Zeit [s]`` or ``elapsed_minutes``.

    Attributes:
        unit: of the time, in short, such as ``ms``; None where the name gives none.
    """

    unit: str | None


def time_name(name: str) -> TimeName | None:
    """Read a column's name as that of a time; None for all others, also for those of parts such as hour or day.

    Example:
        >>> time_name("Uptime (h)"), time_name("t1")
        (TimeName(unit='h'), None)
    """
    if any(letter.isdigit() for letter in name):
        return None
    words = _words(name)
    if found := re.fullmatch(r"A(?:ST|EN)?DT(M)?", name, re.I):
        # SAS counts from 1960, dates in days and moments in seconds.
        return TimeName("s" if found[1] else "d")
    if _STUDY_DAY.fullmatch(" ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).split())):
        return TimeName("week" if "week" in name.casefold() else "d")
    units = [_UNITS_OF_TIME[word] for word in words if word in _UNITS_OF_TIME]
    since = bool(_SINCE.intersection(words))
    known = (_UNITS_OF_TIME, _WORDS_OF_TIME, _BESIDE_TIME, _SINCE, _EVENTS if since else ())
    if not all(any(word in some for some in known) for word in words):
        return None
    named = bool(_WORDS_OF_TIME.intersection(words)) or (bool(units) and since)
    return TimeName(units[-1] if units else None) if named else None


_FEWEST_IN_HEADER = 4


def in_header(names: Collection[str]) -> list[str]:
    """Names that are times one after another, as those of the columns of a wide table; empty where they are few."""
    for form in (
        r"\d{4}(?:[-/.]?\d{1,2}(?:[-/.]?\d{1,2}(?:[T ].*)?)?)?",
        r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}",
        r"\d{1,2}:\d{2}(?::\d{2})?",
    ):
        times = [name for name in names if re.fullmatch(form, name.strip())]
        if len(times) >= _FEWEST_IN_HEADER:
            return times
    # Such as t0, t1, ... or week 1, week 2, ...
    of_word: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if found := re.fullmatch(
            r"(t|(?:time|day|week|month|year|hour|wave|visit|tag|woche|jour|semaine)s?)[ _.-]?(\d{1,4})",
            name.strip(),
            re.I,
        ):
            of_word.setdefault(found[1].casefold(), []).append((int(found[2]), name))
    for word, found in of_word.items():
        numbers = [number for number, _ in found]
        if len(numbers) >= _FEWEST_IN_HEADER and (word != "t" or np.diff(numbers).min() > 0):
            return [name for _, name in found]
    return []


def counts_samples(column: pl.Series) -> bool:
    """Whether numbers are, by their name, those of samples, such as the frames of a video or the waves of a survey."""
    form = r"(?:frame|wave|round|occasion|time[ _]?point|scan)[ _.-]?(?:id|no|nr|num|number|index)?"
    return column.dtype.is_numeric() and bool(re.fullmatch(form, column.name.strip(), re.I))


def may_be_time(column: pl.Series) -> bool:
    """Whether text has figures under the name of a time, or of a part of one."""
    named = time_name(column.name) or is_part(column.name) or dates.speaks_of_time(column.name)
    return column.dtype == pl.String and bool(named) and 2 * column.str.contains("[0-9]").sum() > len(column)


def looks_like_dates(column: pl.Series) -> bool:
    """Whether text, hardly a cell twice, has a clock or a date in figures in it."""
    if column.dtype != pl.String or 2 * column.n_unique() < len(column):
        return False
    date = r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{3}/\d{4}"
    form = rf"(?:^|[^\d.:])(?:\d{{1,2}}:\d{{2}}(?::\d{{2}})?|{date})(?:[^\d.:]|$)"
    return bool(2 * column.str.contains(form).sum() > len(column))


def counts_in_words(column: pl.Series) -> bool:
    """Whether text counts units of time, such as ``Day 0``, ``Day 7``."""
    if column.dtype != pl.String:
        return False
    words = column.drop_nulls().unique().str.extract(r"^([A-Za-z]{3,}) ?[-+]?\d{1,4}$", 1).str.to_lowercase()
    return len(words) > 1 and bool(words.is_in(list(_UNITS_OF_TIME)).fill_null(False).all())


def is_part(name: str) -> bool:
    """Whether a column's name is that of a part of a time, such as the hour."""
    if any(re.fullmatch(rf"#?(?:{names})", name.strip(), re.I) for names in _PARTS.values()):
        return True
    return any(
        owner and _CALENDARS.issuperset(owner) and re.fullmatch(_PARTS[part], bare, re.I)
        for owner, bare in _with_owners(name)
        for part in ("year", "month", "week", "quarter")
    )


def _with_owners(name: str) -> list[tuple[tuple[str, ...], str]]:
    """The ways to read a name as that of a part of a time, and the words beside it."""
    words = _words(name)
    ways: list[tuple[tuple[str, ...], str]] = [((), name.strip().lstrip("#"))]
    for at in (len(words) - 1, 0) if len(words) > 1 else ():
        if not _OF_OTHERS.intersection(words) and len(words[at]) > 1:
            ways.append((tuple(words[:at] + words[at + 1 :]), words[at]))
    return ways


def is_elapsed(column: pl.Series) -> bool:
    """Whether a column named like a part of a time goes up beyond it, as hours since admission do, row by row."""
    named = re.fullmatch(r"(?:(?:study|trial|relative|rel)[ _]?)?(second|minute|hour|day)s?", column.name.strip(), re.I)
    if not named or not column.dtype.is_numeric() or column.null_count() == len(column):
        return False
    values = column.drop_nulls().cast(pl.Float64).to_numpy()
    goes_up = np.mean(np.diff(values) > 0) >= 0.8 if len(values) > 1 else False
    return bool(goes_up and values.max() > _LIMITS[named[1].lower()][1])


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


def _join(found: Found, at: At, time: str | None, kept: set[str], whole: set[str]) -> None:
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
    if days:
        repeated = bool(frame[days[0]].drop_nulls().is_duplicated().any())
        if not clocks and repeated and (clock := _as_clock(frame, days[0], kept | whole)) is not None:
            found.frame = frame = frame.with_columns(clock)
            clocks = [clock.name]
        parts = [days[0]]
        if clocks:
            parts.append(clocks[0])
        elif not clocks and "hour" in roles and repeated:
            parts += _down_from(roles, "hour")
    elif "year" in roles:
        finest = next((finer for finer in _BELOW_YEAR if all(part in roles for part in finer)), ())
        parts = [roles[part] for part in ("year", *finest)]
        if finest in _WHOLE_DAYS:
            parts += clocks[:1] or _down_from(roles, "hour")
    else:
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
    if len(parts) < 2 and (days or not _follows(frame, parts, whole)):
        return
    part_of = {name: part for part, name in roles.items()}
    if begins := _begins_in(frame, parts, part_of, found.years):
        year, month = parts[0], pl.Series(_months_in(frame[roles["month"]]))
        # A pair of years begins in its first one, and a year of one number is called by that in which it ends.
        later = (month < begins).cast(pl.Int64) if year in found.years else -(month >= begins).cast(pl.Int64)
        frame = frame.with_columns(_numbers_of(frame[year], "year").cast(pl.Int64) + later)
    joined, bad, short = _sum_of_parts(frame, parts, part_of)
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
    for period in [part for part in parts if part_of.get(part) == "period"]:
        among = int(_numbers_of(frame[period], "period").max() or 1)  # pyright: ignore[reportArgumentType]
        found.remarks.append(f"file: {period!r} is read as {among} equal parts of each year")
    if any(part_of.get(part) == "week" for part in parts):
        found.remarks.append(f"file: weeks of {name!r} are read as those of ISO 8601, by their Mondays")
    _replace(found, parts, joined.alias(name), kept)


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


_NANOSECONDS = {"h": 3_600_000_000_000, "min": 60_000_000_000, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_OF_A_CLOCK = {*_WORDS_OF_TIME, "tv", "stamp", "unix", "posix", "utc", "gmt", "gps", "elapsed", "sim", "ros"}


def _join_units(found: Found, time: str | None, kept: set[str], whole: set[str]) -> None:
    """Join times whose whole seconds, say, are in one column, and what is left of them in another."""
    rests = [(name, *unit) for name in found.frame.columns if (unit := _in_unit(name)) and name not in (*kept, *whole)]
    for rest, owner, unit in sorted(rests, key=lambda of: -_NANOSECONDS[of[2]]):
        base = next((name for name in found.frame.columns if name not in whole and _goes_with(found, name, rest)), None)
        if base is None or (time in found.frame.columns and time not in (base, rest)):
            continue
        column, name = found.frame[base], f"{base} {rest}"
        scale = _NANOSECONDS[unit]
        resolution = "ns" if unit in ("us", "ns") else "us"
        left = (found.frame[rest].cast(pl.Float64) * scale).round().cast(pl.Int64).cast(pl.Duration("ns"))
        if column.dtype.is_numeric():
            _, of_base = _in_unit(base) or (owner, "s")
            since_1970 = of_base == "s" and float(column.min() or 0) >= 1e8  # pyright: ignore[reportArgumentType]
            column = (column.cast(pl.Int64) * _NANOSECONDS[of_base]).cast(pl.Datetime("ns"))
            column = column if since_1970 else column.cast(pl.Int64).cast(pl.Duration("ns"))
            found.local.discard(base)
        kind = pl.Datetime if column.dtype == pl.Datetime else pl.Duration
        joined = (column.cast(kind("ns")) + left).cast(kind(resolution)).alias(name)
        if (_in_unit(base) or (owner, ""))[1] in ("h", "min") and not _steps_on(found, base, rest, joined):
            continue
        found.remarks.append(f"file: {base!r} and {rest!r} are joined into one time, {name!r}")
        _replace(found, [base, rest], joined, kept)


def _in_unit(name: str) -> tuple[tuple[str, ...], str] | None:
    """The words before the unit of time that a name ends in, and the unit in short: tv, us of ``tv_usec``."""
    words = _words(name)
    unit = _UNITS_OF_TIME.get(words[-1]) if words else None
    return (tuple(words[:-1]), unit) if unit in _NANOSECONDS else None


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())


def _goes_with(found: Found, base: str, rest: str) -> bool:
    """Whether a column holds times in whole units, and another what is left of them in a smaller one."""
    column, left, (owner, unit) = found.frame[base], found.frame[rest], _in_unit(rest) or ((), "")
    if base == rest or not left.dtype.is_numeric() or left.n_unique() < 2 or (owner and owner[-1] not in _OF_A_CLOCK):
        return False
    if column.dtype in (pl.Datetime, pl.Duration):
        ticks = column.cast(column.dtype.__class__("ns")).cast(pl.Int64).drop_nulls()
        whole = [of for of in ("min", "s", "ms", "us") if not (ticks % _NANOSECONDS[of] != 0).any()]
        # Of nothing but days, no second is what is left.
        if not whole or not (ticks % (24 * _NANOSECONDS["h"]) != 0).any():
            return False
        of_base = whole[0] if unit == "s" else next((of for of in whole if of != "min"), "")
        parts = [part for part, whole in found.joined.items() if whole == base] or [base]
        same = not owner or any(owner in (tuple(_words(part)), (_in_unit(part) or [None])[0]) for part in parts)
        # What is named 'ms' alone may be a duration.
        sure = owner or (len(_words(rest)[-1]) > 2 and unit != "s")
        if not of_base or not (sure or column.is_duplicated().any()):
            return False
    else:
        named = _in_unit(base)
        if named is None and not (owner and time_name(base)):
            return False
        same = owner == (named[0] if named else tuple(_words(base)))
        of_base = named[1] if named else "s"
        if not column.dtype.is_numeric() or not column.drop_nulls().len() or (column.drop_nulls() % 1 != 0).any():
            return False
        # 'min' and 's' may be a minimum and a deviation.
        if not owner and (len(_words(base)[-1]) < 3 or (of_base == "min" and unit != "s")):
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


_OF_ZONES = re.compile(
    r"(?:.*[ _.])?(?:(?:tz|time[ _]?zone|zone)|(?:(?:tz|time[ _]?zone|utc|gmt|zone)[ _-]?)?offset)"
    r"(?:[ _](?:from|to)[ _](?:utc|gmt))?(?:[ _]?(?:name|id))?"
    r"(?:[ _(\[]+(?P<unit>h|hours?|hrs?|min|mins|minutes?|s|secs?|seconds?)[)\]]?)?",
    re.I,
)
_OF_DAYLIGHT = re.compile(r"(?:is[ _]?)?(?:dst|daylight[ _]?savings?(?:[ _]time)?|summer[ _]?time)(?:[ _]?flag)?", re.I)
_IN_UTC = re.compile(r"(?:.*[ _.(\[])?(?:utc|gmt|zulu|z)(?:[ _.)\]].*)?", re.I)
_MOST_HOURS = 14


def _bring_to_utc(found: Found, at: At, used: set[str]) -> None:
    """Bring dates to UTC by the zones, offsets or flags of daylight saving that stand in a column of their own."""
    local = [name for name in found.frame.columns if name in found.local and not _IN_UTC.fullmatch(name)]
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
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name.strip())
    values = column.drop_nulls().unique(maintain_order=True)
    if _OF_DAYLIGHT.fullmatch(name) and values.cast(pl.String).is_in(["0", "1", "true", "false"]).all():
        return {value: float(value) for value in values}, ""
    named = _OF_ZONES.fullmatch(name)
    if not named or not len(values) or column.dtype == pl.Boolean:
        return {}, ""
    sure = bool(re.search("tz|time[ _]?zone|utc|gmt", name, re.I))
    if column.dtype == pl.Duration:
        return {value: value.total_seconds() / 3600 for value in values}, ""
    if column.dtype.is_numeric():
        if not sure:
            return {}, ""
        unit = _UNITS_OF_TIME.get((named["unit"] or "").casefold())
        numbers = {value: float(value) for value in values}
        read = {how: of for how, of in _hours_of_numbers(numbers).items() if unit in (None, how)}
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
    if len(values) < 2 or (len(unknown) > len(hours) / 2 and not sure):
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
    ways = {name: _with_owners(name) for name in frame.columns if name not in whole}
    bare = _matched(frame, {name: of[0][1] for name, of in ways.items()}, years)
    if any(all(part in bare for part in ("year", *finer)) for finer in _BELOW_YEAR):
        return bare
    # Owners are as many as columns where a table is wide, and hardly one of them has a year.
    with_year = {
        owner
        for name, of in ways.items()
        for owner, part in of
        if name in years or re.fullmatch(rf"{_PARTS['year']}|{_SEASONS}", part, re.I)
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
            if _CALENDARS.issuperset((*owner, *its))
            and name not in of_owner.values()
            and _is_one_of(part, _BY_CALENDAR)
        }
        roles = _matched(frame, names | near, {*years, of_owner["year"]})
        if any(all(part in roles for part in finer) for finer in _BELOW_YEAR):
            return roles
    return bare


_BY_CALENDAR = ("month", "week", "quarter", "period")


def _is_one_of(bare: str, parts: Collection[str]) -> bool:
    return any(re.fullmatch(_PARTS.get(part, _PERIODS), bare, re.I) for part in parts)


def _matched(frame: pl.DataFrame, names: dict[str, str], years: Collection[str]) -> dict[str, str]:
    """Which column is which part, by what of its name says so."""
    roles: dict[str, str] = {}
    for part, pattern in {**_PARTS, "period": _PERIODS}.items():
        for name, bare in names.items():
            season = part == "year" and (name in years or re.fullmatch(_SEASONS, bare, re.I))
            if not (season or re.fullmatch(pattern, bare, re.I)) or name in roles.values():
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
    known = pl.DataFrame([frame[roles["year"]].alias("year"), periods.alias("period")]).drop_nulls().unique()
    return bool(
        known.height >= 2 * known["year"].n_unique() and 1 < known["period"].n_unique() == known["period"].max()
    )


def _numbers_of(column: pl.Series, part: str) -> pl.Series:
    return _without_letters(column, part) if column.dtype == pl.String else column


def _fits(column: pl.Series, part: str) -> bool:
    if part == "month" and column.dtype == pl.String:
        return bool((dates.months_of(column.drop_nulls()) > 0).all()) and column.null_count() < len(column)
    if part in _LETTERED and column.dtype == pl.String:
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


_LETTERED = {
    "year": "fy",
    "week": "kw|w|wk|week",
    "quarter": "q|qtr|quarter|t",
    "period": "p|period|term|t|sem|semester|s|h|r|round",
}


def _without_letters(column: pl.Series, part: str) -> pl.Series:
    """Years, weeks and quarters such as ``FY24``, ``W05`` and ``Q1`` as numbers."""
    return column.str.extract(rf"^(?i:{_LETTERED[part]})\.?\s?(\d{{1,2}}|\d{{4}})$").cast(pl.Int64)


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
        if name in kept or name == day or not dates.may_be_clock(name):
            continue
        if not frame[name].dtype.is_integer() or not (frame[name] >= 60).any() or (frame[name] > 240_000).any():
            continue
        reading = dates.clock_in_digits(frame[name], str)
        if reading is not None:
            return reading.column
    return None


def _follows(frame: pl.DataFrame, parts: list[str], whole: set[str]) -> bool:
    """Whether years alone are times: each in one row, or in one row of each of some others."""
    year = frame[parts[0]]
    if not year.null_count() and year.is_unique().all():
        return True
    others = [name for name in frame.columns if name != parts[0] and frame[name].dtype == pl.String]
    others += [name for name in whole if name in frame.columns and name not in others]
    return any(frame.select(parts[0], name).is_unique().all() for name in others)


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
