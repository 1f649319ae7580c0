"""The times of a table: columns of dates and clocks, and what of a time stands in several columns.

`find` reads each column by `liquidbench.tasks.dates` and joins what is spread: a date and a clock, or year, month, day,
hour. `time_name` and `is_part` say what columns of numbers are by their names.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import dates
from liquidbench.tasks.dates import DAY, At

_UNITS_OF_TIME = {
    **dict.fromkeys("ns nanosec nanosecond nanoseconds nanos".split(), "ns"),
    **dict.fromkeys("us µs usec microsec microsecond microseconds micros".split(), "us"),
    **dict.fromkeys("ms msec millisec millisecond milliseconds millis".split(), "ms"),
    **dict.fromkeys("s sec secs second seconds sek sekunde sekunden segundos secondes secondi".split(), "s"),
    **dict.fromkeys("min mins minute minutes minuten minutos minuti".split(), "min"),
    **dict.fromkeys("h hr hrs hour hours std stunde stunden heures horas ore".split(), "h"),
    **dict.fromkeys("d day days tag tage jours dias giorni".split(), "d"),
}
_UNITS_OF_TIME = {unit.casefold(): short for unit, short in _UNITS_OF_TIME.items()}
_WORDS_OF_TIME = frozenset(
    "time timestamp date datetime t ts seconds step epoch uptime zeit zeitpunkt zeitstempel uhrzeit datum temps "
    "horodatage tiempo fecha tempo tijd tijdstip tid tidspunkt czas čas cas idő zaman aika время 时间 時間 "
    "日期 日時 日付 時刻".split()
)
_BESIDE_TIME = frozenset(
    "elapsed relative rel unix posix sample sampling utc gmt local system sys measurement recording log logger stamp "
    "in since from start begin beginning after the of admission verstrichene vergangene".split()
)
_SINCE = frozenset("elapsed relative rel since from after verstrichene vergangene".split())

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
_LIMITS = {
    "year": (0, 2200), "month": (1, 12), "day": (1, 31), "of_year": (1, 366), "week": (0, 53), "quarter": (1, 4),
    "hour": (0, 24), "minute": (0, 59), "second": (0, 60),
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
    """

    frame: pl.DataFrame
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    orders: dict[str, str] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)


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
    if join:
        _join(found, at, time, set(kept), set(whole))
    return found


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
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W_]+", spaced.casefold())
    units = [_UNITS_OF_TIME[word] for word in words if word in _UNITS_OF_TIME]
    if not all(word in _UNITS_OF_TIME or word in _WORDS_OF_TIME or word in _BESIDE_TIME for word in words):
        return None
    named = bool(_WORDS_OF_TIME.intersection(words)) or (bool(units) and bool(_SINCE.intersection(words)))
    return TimeName(units[-1] if units else None) if named else None


def is_part(name: str) -> bool:
    """Whether a column's name is that of a part of a time, such as the hour."""
    return any(re.fullmatch(rf"#?(?:{names})", name.strip(), re.I) for names in _PARTS.values())


def is_elapsed(column: pl.Series) -> bool:
    """Whether a column named like a part of a time goes up beyond it, as hours since admission do, row by row."""
    named = re.fullmatch(r"(?:(?:study|trial|relative|rel)[ _]?)?(second|minute|hour|day)s?", column.name.strip(), re.I)
    if not named or not column.dtype.is_numeric() or column.null_count() == len(column):
        return False
    values = column.drop_nulls().cast(pl.Float64).to_numpy()
    goes_up = np.mean(np.diff(values) > 0) >= 0.8 if len(values) > 1 else False
    return bool(goes_up and values.max() > _LIMITS[named[1].lower()][1])


def goes_on(column: pl.Series) -> bool:
    """Whether numbers go up and hardly ever down, as the times of recordings one below another do."""
    if not column.dtype.is_numeric() or column.null_count() or len(column) < dates.NO_ACCIDENT:
        return False
    steps = np.diff(column.cast(pl.Float64).to_numpy())
    return bool(np.mean(steps < 0) <= 0.05 and np.mean(steps > 0) >= 0.2)


def _join(found: Found, at: At, time: str | None, kept: set[str], whole: set[str]) -> None:
    """Make one column of times where a table has it in several."""
    frame = found.frame
    dated = [name for name in frame.columns if frame[name].dtype == pl.Datetime and name not in whole]
    days = [name for name in dated if not (frame[name].cast(pl.Int64) % DAY != 0).any()]
    if len(days) < len(dated) or len(days) > 1:
        return
    roles = _roles(frame, whole)
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
    if len(bad):
        cells = "-".join(str(frame[part][int(bad[0])]) for part in parts)
        found.remarks.append(
            f"file: {name!r} is no date in {len(bad)} rows, the first of them {cells} in {at(int(bad[0]))}; "
            "taken as missing"
        )
    if short:
        found.remarks.append(f"file: {parts[0]!r} has {dates.SHORT_YEARS}")
    if any(part_of.get(part) == "week" for part in parts):
        found.remarks.append(f"file: weeks of {name!r} are read as those of ISO 8601, by their Mondays")
    if len(parts) > 1:
        found.joined |= dict.fromkeys(parts, name)
    place = frame.columns.index(parts[0])
    gone = [part for part in parts if part not in kept or part == name]
    rest = frame.drop(gone)
    found.frame = (
        rest.insert_column(min(place, rest.width), joined.alias(name))
        if name not in rest.columns
        else rest.with_columns(joined.alias(name))
    )


_WHOLE_DAYS = (("month", "day"), ("of_year",))
_BELOW_YEAR = (*_WHOLE_DAYS, ("week",), ("month",), ("quarter",))
"""What may say when in a year a row is, the finest first."""


def _roles(frame: pl.DataFrame, whole: set[str]) -> dict[str, str]:
    """Which column is which part of a time, by name and content."""
    roles: dict[str, str] = {}
    names = [name for name in frame.columns if name not in whole]
    for part, pattern in _PARTS.items():
        for name in names:
            bare = name.strip().lstrip("#")
            if not re.fullmatch(pattern, bare, re.I) or name in roles.values():
                continue
            # 'MM' beside 'mm' is the month, and 'mm' beside a month the minute.
            if part == "month" and bare == "mm" and any(other.strip() in ("MM", "month", "Month") for other in names):
                continue
            if part not in roles and _fits(frame[name], part):
                roles[part] = name
    if "hour" not in roles:
        roles.pop("minute", None)
    if "minute" not in roles:
        roles.pop("second", None)
    return roles


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


_LETTERED = {"year": "fy", "week": "kw|w|wk|week", "quarter": "q|qtr|quarter|t"}


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
    """A column of numbers that is named like a time and can be HHMM in each row beside a date."""
    for name in frame.columns:
        if name in kept or name == day or not re.fullmatch(r"(?:.*[ _])?time(?:[ _].*)?", name, re.I):
            continue
        if not frame[name].dtype.is_integer() or not (frame[name] >= 60).any():
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
