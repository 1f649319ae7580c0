"""Dates and times of day, in whatever form people write them.

`read` reads one column. A cell's form is found from a sample of the column; all its cells are then read at once, by one
regular expression and whole-array arithmetic.

Dates are ``Datetime``, in UTC where they have a zone. Times of day and elapsed times are ``Duration``.
"""

import datetime
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import words

ORDERS = {"day-first": "day, month, year", "month-first": "month, day, year", "year-first": "year, month, day"}
"""The orders in which a date in figures may be written, and how to say them."""

At = Callable[[int], str]
HOW_TO_DECIDE = "say which with --dates (dates: in a study), day-first, month-first or year-first"

SHORT_YEARS = "years of two figures; 69 to 99 are read as 1969 to 1999, 00 to 68 as 2000 to 2068"
DAY = 86_400_000_000
_MONTHS = {
    name: number
    for months in (
        # Each month in English, German, French, Spanish, Italian, Portuguese and Dutch, short and long.
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "january february march april may june july august september october november december",
        "jän febr mrz apr mai juni juli aug sept okt nov dez",
        "januar februar märz april mai juni juli august september oktober november dezember",
        "jänner feber mär apr mai jun jul aug sep okt nov dez",
        "janv févr mars avr mai juin juil août sept oct nov déc",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "ene feb mar abr may jun jul ago set oct nov dic",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "jan fev mar abr mai jun jul ago set out nov dez",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "januari februari maart april mei juni juli augustus september oktober november december",
    )
    for number, name in enumerate(months.split(), 1)
}

# Hours before UTC. What a name also stands for is said, where it is mixed with others.
_ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UT", "WET", "UHR"), 0.0),
    **dict.fromkeys(("CET", "MEZ", "WEST", "WAT"), 1.0),
    **dict.fromkeys(("CEST", "MESZ", "EET", "SAST", "CAT"), 2.0),
    **dict.fromkeys(("EEST", "MSK", "TRT", "EAT"), 3.0),
    **dict.fromkeys(("PKT",), 5.0),
    **dict.fromkeys(("HKT", "SGT", "AWST", "PHT"), 8.0),
    **dict.fromkeys(("JST", "KST"), 9.0),
    **{"ACST": 9.5, "AEST": 10.0, "ACDT": 10.5, "AEDT": 11.0, "NZST": 12.0, "NZDT": 13.0},
    **{"NST": -3.5, "BRT": -3.0, "ADT": -3.0, "NDT": -2.5},
    **{"EDT": -4.0, "EST": -5.0, "CDT": -5.0, "MDT": -6.0, "MST": -7.0, "PDT": -7.0, "PST": -8.0},
    **{"AKDT": -8.0, "AKST": -9.0, "HST": -10.0},
    **{"CST": -6.0, "IST": 5.5, "BST": 1.0, "AST": -4.0, "GST": 4.0, "SST": -11.0},
}
_AMBIGUOUS_ZONES = {
    "CST": "US Central, UTC-6; it may also be China, UTC+8",
    "IST": "India, UTC+5:30; it may also be Israel, UTC+2, or Ireland, UTC+1",
    "BST": "British summer, UTC+1; it may also be Bangladesh, UTC+6",
    "AST": "Atlantic, UTC-4; it may also be Arabia, UTC+3",
    "EST": "US Eastern, UTC-5; it may also be eastern Australia, UTC+10",
    "EDT": "US Eastern, UTC-4; it may also be eastern Australia, UTC+11",
    "MST": "US Mountain, UTC-7; it may also be Malaysia, UTC+8",
    "PST": "US Pacific, UTC-8; it may also be the Philippines, UTC+8",
    "GST": "the Gulf, UTC+4; it may also be South Georgia, UTC-2",
    "SST": "Samoa, UTC-11; it may also be Singapore, UTC+8",
}

_MONTH = r"(?P<name>\p{L}{3,10})\.?"
_YEAR = r"(?P<year>\d{4}|'?\d{2})"

# How a date may be written. In 'figures' and 'run together', the order is another question.
_FORMS = {
    "figures": r"(?P<a>\d{1,4})\s?(?P<mark>[-/. ])\s?(?P<b>\d{1,2})\s?(?P<again>[-/. ])\s?(?P<c>\d{1,4})\.?"
    r"(?: (?P<hour>\d{1,2}))?",
    "compact": r"(?P<year>(?:1[6-9]|2[01])\d{2})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[_ ]?(?P<hour>\d{2})(?:(?P<minute>\d{2})(?:(?P<second>\d{2})(?P<fraction>\d{3,6})?)?)?)?",
    "day name year": rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/. ]*(?:(?:of|de) )?{_MONTH},?[-/. ]*(?:de )?{_YEAR}",
    "name day year": rf"{_MONTH}[-/. ]+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|[-/. ]+){_YEAR}",
    "year name day": rf"(?P<year>\d{{4}})[-/. ]*{_MONTH}[-/. ]*(?P<day>\d{{1,2}})",
    "name year": rf"{_MONTH}[-/., ]*{_YEAR}",
    "year name": rf"(?P<year>\d{{4}})[-/. ]*{_MONTH}",
    "week": r"(?P<year>\d{4})-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?",
    "day of year": r"(?P<year>\d{4})-?(?P<of_year>\d{3})",
    "year month": r"(?P<year>\d{4})(?:[-/. ]?[Mm]?(?P<month>\d{2})|[-/.Mm](?P<short>\d))",
    "month year": r"(?P<month>\d{1,2})[-/. ](?P<year>\d{4})",
    "quarter": r"(?P<year>\d{4})[-/.: ]?[Qq](?P<quarter>[1-4])",
    "quarter year": r"[Qq](?P<quarter>[1-4])[-/.: ]*(?P<year>\d{4}|'\d{2})",
    "quarter in front": r"(?P<quarter>[1-4])[Qq][-/.: ]?(?P<year>\d{4})",
    "half": r"(?P<year>\d{4})[-/.: ]?[HhSs](?P<half>[12])",
    "half year": r"[HhSs](?P<half>[12])[-/.: ]*(?P<year>\d{4}|'\d{2})",
    "run together": r"(?P<a>\d{2})(?P<mark>)(?P<b>\d{2})(?P<again>)(?P<c>\d{4}|\d{2})",
}
_WEEKDAY = (
    # Each weekday in English, German, French, Spanish, Italian, Portuguese and Dutch, short and long.
    r"(?:(?i:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*|mo|di|mi|do|fr|sa|so|"
    r"(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend|lun|mar|mer|jeu|ven|sam|dim|"
    r"(?:lun|mar|mercre|jeu|vendre|same)di|dimanche|mi[eé]|jue|vie|s[aá]b|dom|lunes|martes|mi[eé]rcoles|jueves|viernes|"
    r"s[aá]bado|domingo|gio|(?:luned|marted|mercoled|gioved|venerd)[iì]|sabato|domenica|seg|ter|qua|qui|sex|"
    r"(?:segunda|ter[cç]a|quarta|quinta|sexta)(?:-feira)?|ma|wo|vr|za|zo|(?:maan|dins|woens|donder|vrij|zater|zon)dag)"
    r"\.?,?\s+)?"
)
# 'FR 2022-05' is no Friday, nor is any month.
_WITH_WEEKDAY = ("figures", "compact", "day name year", "name day year", "year name day")
_FORMS = {
    form: f"^{_WEEKDAY if form in _WITH_WEEKDAY else ''}" + pattern.replace(r"\d", "[0-9]") + "$"
    for form, pattern in _FORMS.items()
}
_MONTH_AND_FIGURES = rf"^{_WEEKDAY}(?P<name>\p{{L}}{{3,10}})\.?[-/., ]*(?P<day>[0-9]{{1,2}})$"
_SEPARATED = tuple(form for form in _FORMS if form != "run together")
_DOTTED = r"^(\d{1,2})\.(\d{2})\.(\d{2})$"
# Where a clock begins that follows a date, and what it says.
_BEGINNING = r"[T_ ,:]+(?:- +)?[0-9]{1,2}(?::[0-9]{2}|\s*[AaPp]\.?\s?[Mm]\b)|T[0-9]{2}"
_OF_DAY = (
    r"^[T_ ,:]*(?:- +)?(?P<hour>[0-9]{1,2})(?::?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})"
    r"(?:[.,:](?P<fraction>[0-9]{1,9}))?)?)?\s*(?P<half>[AaPp]\.?\s?[Mm]\b\.?)?"
    r"(?P<zone>\s*\(?(?:[A-Za-z]{1,4}\b)?\)?\s*(?:[+\-\x{2212}][0-9]{1,2}(?::?[0-9]{2})?)?)(?:\s*[\[(][^\])]*[\])])?$"
)
_ELAPSED = (
    r"^(?:(?P<days>[0-9]+)(?:\s*d(?:ays?)?,?\s+|\.))?(?P<hour>[0-9]{1,5}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})"
    r"(?:[.,](?P<fraction>[0-9]{1,9}))?)?\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?$"
)
_LENGTH = r"^\s*(?:(?P<hour>[0-9]+):)?(?P<minute>[0-9]{1,5}):(?P<second>[0-9]{2}(?:[.,][0-9]+)?)\s*$"
_MINUTES = r"^(?P<minute>[0-9]{1,5}):(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?$"
_AMOUNT = r"[0-9]+(?:[.,][0-9]+)?)\s*"
_IN_UNITS = (
    r"^(?i:(?P<iso>P)?(?:0+Y)?(?:0+M)?"
    rf"(?:(?P<week>{_AMOUNT}(?:weeks?|wks?|w))?[, ]*(?:(?P<days>{_AMOUNT}(?:days?|d))?[, ]*T?"
    rf"(?:(?P<hour>{_AMOUNT}(?:hours?|hrs?|h))?[, ]*(?:(?P<minute>{_AMOUNT}(?:minutes?|mins?|m))?[, ]*"
    rf"(?:(?P<second>{_AMOUNT}(?:seconds?|secs?|s))?)$"
)
"""Elapsed times in units, such as ``PT1H30M`` as in ISO 8601, or ``1d 2h``."""
_MOST_IN_CATEGORIES = 10
"""Distinct texts up to which a column under any name may be one of categories."""
# Other ways to write the same, made plain where most cells have them; what is lost by it.
_PLAINER = (
    (
        r"^(.*?\d.{4,}?)(?:\s+(?:[-\x{2013}\x{2014}]|to)\s+(?:\d.*\d{2}.*|[A-Za-z].*\d{4}.*)|/\d{4}-.*)$",
        "$1",
        "holds intervals; their beginnings are the times",
    ),
    # A clock in front of its date, or with a point or an h in it.
    (
        r"^(\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp][Mm])?),?\s+(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})$",
        "$2 $1",
        "",
    ),
    (r"^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[ T])(\d{1,2})(?:[.]| ?[hH] ?)(\d{2})$", "$1$2:$3", ""),
    (r"(\d.*[ T])(\d{1,2})\.(\d{2})\.(\d{2})($|\s|,|\.\d+)", "$1$2:$3:$4$5", ""),
    (r"^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})\s*[/|;]\s*(\d{1,2}:\d{2}.*)$", "$1 $2", ""),
    (
        r"^(?:[A-Za-z]{3}\s+)?([A-Za-z]{3}\s+\d{1,2})\s+(\d{1,2}:\d{2}:\d{2})((?:\s+[A-Z]{1,4})?)\s+(\d{4})$",
        "$1 $4 $2$3",
        "",
    ),
    (r"^(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日?(.*)$", "$1-$2-$3$4", ""),
)

_EPOCHS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_SAS_TO_1970 = 3653 * 86_400
_SAS = (20 * 365.25 * 86_400, 100 * 365.25 * 86_400)
"""Seconds since 1960 that are moments of 1980 to 2060."""
_TICKS = {
    "Windows file times, tenths of a microsecond since 1601": (1.26e17, 1.45e17, 116_444_736_000_000_000),
    ".NET ticks, tenths of a microsecond since the year 1": (6.3e17, 6.5e17, 621_355_968_000_000_000),
}
"""Counts of 2000 to 2060, and what they are in 1970. As nanoseconds, these would be a few months of 1974 and 1990."""
_DAY_COUNTS = {
    "a spreadsheet's day numbers": (20_000, 80_000, -25_569),
    "MATLAB's day numbers": (690_000, 770_000, -719_529),
    "Julian dates": (2_400_000.5, 2_500_000, -2_440_587.5),
}
_DAYS_SINCE_1970 = (10_000, 22_000)
"""Days since 1970 of 1997 to 2030. A spreadsheet's day numbers of this size are of 1927 to 1960."""


FEWEST_MIDNIGHTS = 3
MOST_MIDNIGHTS = 0.9
"""Midnights over which rows go on as within a day, and their share, in the one order of day and month that is right."""


@dataclass(frozen=True)
class Reading:
    """What a column says when it is read as dates.

    Attributes:
        column: ``Datetime`` or ``Duration``, null where a cell is missing or cannot be read.
        order: one of `ORDERS` where cells could be read in several.
        remarks: what had to be guessed, a sentence each.
        warnings: the same, of what deserves a look.
        question: why the dates cannot be used as they are, and what to do; None where they can.
        local: whether they are those of a clock of which no zone is known.
        years: whether they are whole years, by their first days.
        in_minutes: whether they are clocks of two numbers, taken for hours and minutes.
    """

    column: pl.Series
    order: str | None = None
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    question: str | None = None
    local: bool = False
    years: bool = False
    in_minutes: bool = False


def read(column: pl.Series, at: At, order: str | None = None, asked: bool = False) -> Reading | None:
    """Read a column as dates or times of day.

    Args:
        column: text or numbers.
        at: where a row stands in the file, in words.
        order: one of `ORDERS` in which dates in figures are read where they leave a choice; None: found out.
        asked: whether this is known to be the column of times, so that its name need not say so.

    Returns:
        None where most cells are no dates.
    """
    if column.dtype == pl.Time:
        return Reading((column.cast(pl.Int64) // 1000).cast(pl.Duration("us")))
    if (pairs := _years_in_pairs(column, at)) is not None:
        return pairs
    if (divided := _year_and_part(column, at, asked)) is not None:
        return divided
    if column.dtype.is_numeric():
        return _of_numbers(column, at, order, asked)
    if column.dtype != pl.String:
        return None
    # Missing cells may be many, and those of one form at the top.
    known = column.drop_nulls()
    if not len(known):
        return None
    sample = pl.concat([known.head(100), known.gather_every(max(len(known) // 100, 1))]).unique(maintain_order=True)
    if sample.str.contains("[0-9]").sum() <= len(sample) / 2:
        return None
    if sample.str.contains("^[0-9]+$").all():
        if not (asked or words.speaks_of_time(column.name) or words.is_clock(column.name)):
            return None
        if words.is_clock(column.name):
            return clock_in_digits(column, at)
        return _in_digits(column, at, order, hinted=True)
    written, remarks = column, []
    for pattern, plain, lost in _PLAINER:
        if sample.str.contains(pattern).sum() > len(sample) / 2:
            sample, written = sample.str.replace(pattern, plain), written.str.replace(pattern, plain)
            remarks += [f"file: {column.name!r} {lost}"] if lost else []
    likely = _dates_in(_halves(sample)[0], _SEPARATED)
    # 18.00.00 is a clock, 18.01.00 may be a date.
    if sample.str.contains(_DOTTED).all() and not any(good.mean() > 0.9 for _, good in likely.orders.values()):
        sample, written = sample.str.replace(_DOTTED, "$1:$2:$3"), written.str.replace(_DOTTED, "$1:$2:$3")
    # Without a name for it, 12:34 is an hour and its minutes, and only 12:34.5 is not.
    minutes = _MINUTES if words.in_minutes_and_seconds(column.name) else _MINUTES.replace(")?$", ")$")
    if sample.str.contains(minutes).sum() > len(sample) / 2:
        return _minutes(written, at)
    if sample.str.contains(_ELAPSED).sum() > len(sample) / 2:
        return _elapsed(written, at)
    if sample.str.contains(_IN_UNITS).sum() > len(sample) / 2:
        spoken = asked or words.speaks_of_time(column.name) or "elapsed" in column.name.lower()
        return _in_units(column, at) if spoken or known.n_unique() > _MOST_IN_CATEGORIES else None
    if likely.matched.sum() <= len(sample) / 2:
        return _in_another_language(column, sample)
    meant = asked or words.speaks_of_time(column.name)
    reading = _in_words_and_figures(column, written, at, order, meant=meant)
    if reading is None or reading.question:
        return _in_another_language(column, sample) or reading
    return replace(reading, remarks=(*remarks, *reading.remarks))


_PAIR = r"^(?:FY ?)?([12][0-9]{3})( ?[-/\x{2013}] ?|)([0-9]{2}|[0-9]{4})$"
_FEWEST_PAIRS = 3
"""Distinct figures that are all a year and the next one by no accident, though nothing stands between."""


def _years_in_pairs(column: pl.Series, at: At) -> Reading | None:
    """Read seasons, school years and the like, such as ``2001-02``, as the years that they begin in."""
    if not (column.dtype == pl.String or column.dtype.is_integer()):
        return None
    head = column.drop_nulls().head(20).cast(pl.String)
    if not head.str.contains(_PAIR).any():
        return None
    text = column.cast(pl.String)
    parts = text.str.extract_groups(_PAIR).struct.unnest()
    first, next_one = (_integers(parts[place]) for place in ("1", "3"))
    short = (parts["3"].str.len_chars() == 2).fill_null(False).to_numpy()
    good = (first > 0) & (next_one == np.where(short, (first + 1) % 100, first + 1))
    there = column.is_not_null().to_numpy()
    bad, years = np.flatnonzero(there & ~good), first[good]
    together = bool((parts["2"].filter(pl.Series(good)) == "").any())
    if len(bad) > few(int(there.sum())) or len(np.unique(years)) < (_FEWEST_PAIRS if together else 2):
        return None
    example = f"{column[int(np.flatnonzero(good)[0])]}"
    told = f"{column.name!r} holds pairs of years such as {example!r}, read as the first of the two"
    remarks, warnings = (f"file: {told}",), ()
    if bool((short & (next_one >= 1) & (next_one <= 12))[good].all()):
        month = f"{years[0]}-{int(next_one[good][0]):02d}"
        remarks, warnings = (), (f"{told}; if they are months, write them with a day, as in {month}-01",)
    if len(bad):
        remarks += (_unreadable(column, at, bad),)
    one = np.ones_like(first)
    days, _ = calendar_days(np.where(good, first, 1970), one, one)
    dates = pl.Series(column.name, days * DAY).cast(pl.Datetime("us")).set(pl.Series(~good), None)
    return Reading(dates, remarks=remarks, warnings=warnings, local=True, years=True)


_FULL_YEAR = r"(?P<year>(?:1[5-9]|2[01])[0-9]{2})"
_DIVIDED = (
    rf"^{_FULL_YEAR}(?P<mark>[-/. ])(?P<part>[0-9]{{1,2}})$",
    rf"^(?P<part>[0-9]{{1,2}})(?P<mark>[-/. ]){_FULL_YEAR}$",
)
_DIVISIONS = {2: "halves", 3: "thirds", 4: "quarters", 6: "pairs of months", 12: "months", 52: "weeks"}


def _year_and_part(column: pl.Series, at: At, asked: bool) -> Reading | None:
    """Read a year and the number of its quarter, half, week or month in one cell: ``1920/4``, ``1871.01``, ``12.1990``.

    The column's name says of what, or else the numbers themselves, where each year has the same few. Months in text are
    left to others. Of numbers, a zero at the end is lost, as in 1871.1 for October.
    """
    named = words.parts_of_year(column.name)
    if column.dtype == pl.String:
        split = _divided_text(column)
    elif column.dtype.is_numeric() and not words.unit_of_count(column.name):
        split = _divided_numbers(column, named)
    else:
        return None
    if split is None:
        return None
    year, part, months = split
    there = column.is_not_null().to_numpy()
    good = there & (part >= 1) & (year >= 1500) & (year < 2200)
    bad = np.flatnonzero(there & ~good)
    if not good.any() or len(bad) > few(int(there.sum())):
        return None
    among, inferred = _parts_of_year(year[good], part[good], named)
    if among is None or (among == 12 and not (months or (inferred and column.dtype == pl.String))):
        return None
    if column.dtype.is_numeric():
        hinted = asked or named or (words.speaks_of_time(column.name) and not words.is_amount(column.name))
        several = len(np.unique(year[good])) > 1 or named or words.speaks_of_dates(column.name)
        # Under no name for a time, one after another for a long time is no accident.
        steps = np.diff((year * among + part)[good])
        sure = len(steps) + 1 >= NO_ACCIDENT and np.mean(steps == 1) >= 0.95
        if not (hinted and several and len(np.unique(part[good])) > 1) and not sure:
            return None
    one = np.ones_like(year)
    year = np.where(good, year, 1970)
    if among == 52:
        days, valid = _in_calendar(year, pl.DataFrame(), {"week": part, "weekday": one})
        if (good & ~valid).any():
            return None
    else:
        days, _ = calendar_days(year, np.where(good, (part - 1) * (12 // among) + 1, 1), one)
    result = pl.Series(column.name, days * DAY).cast(pl.Datetime("us")).set(pl.Series(~good), None)
    first = int(np.flatnonzero(good)[0])
    day = f"{result[first]:%Y-%m-%d}"
    told = f"{column.name!r} read as years and the numbers of their {_DIVISIONS[among]}, {at(first)} as {day}"
    doubt = f"{told}; each year has {int(part[good].max())} of them. If they are others, write dates as {day}"
    remarks = () if inferred else (f"file: {told}",)
    remarks += (_unreadable(column, at, bad),) if len(bad) else ()
    return Reading(result, remarks=remarks, warnings=(doubt,) if inferred else (), local=True)


def _divided_text(column: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64], bool] | None:
    """Years, the numbers of their parts, and whether these may be months that are read wrong as dates otherwise."""
    head = column.drop_nulls().head(20)
    for pattern in _DIVIDED:
        if not len(head) or not head.str.contains(pattern).all():
            continue
        parts = column.str.extract_groups(pattern).struct.unnest()
        part = _integers(parts["part"])
        # Where January is .01, a spreadsheet has made .1 of October.
        short = (parts["part"].str.len_chars() == 1) & (parts["mark"] == ".")
        lost = bool(short.any() and parts["part"].str.starts_with("0").any() and pattern == _DIVIDED[0])
        part = np.where(short.fill_null(False).to_numpy(), 10 * part, part) if lost else part
        return _integers(parts["year"]), part, lost
    return None


def _divided_numbers(column: pl.Series, named: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64], bool] | None:
    """The same of numbers: 1920.4, 1871.01, 1.1871, and 19204 and 187152 under names of quarters and weeks."""
    numbers = column.cast(pl.Float64).fill_nan(None).fill_null(0.0).to_numpy()
    known = numbers[column.is_not_null().to_numpy() & (numbers != 0)]
    if not len(known) or known.min() < 1 or known.max() >= 2200 * 100 or (column.dtype.is_integer() and not named):
        return None

    def whole(scale: int) -> bool:
        return bool(np.mean(np.abs(known * scale - np.round(known * scale)) < 1e-6) >= 0.99)

    def apart(scale: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        digits = np.round(numbers * scale).astype(np.int64)
        return digits // scale, digits % scale

    if whole(1):
        figures = {52: 100}.get(named or 12, 10)
        if named in (None, 12) or not (1500 * figures <= known.min() and known.max() < 2200 * figures):
            return None
        return *np.divmod(numbers.astype(np.int64), figures), False
    if known.min() >= 1500 and known.max() < 2200:
        if not whole(100):
            return None
        # Of 1871.1 alone, January cannot be told from October.
        if whole(10):
            return *apart(10), False
        year, part = apart(100)
        if part.max() > 12 and named != 52:
            single = part % 10 == 0
            part = np.where(single, part // 10, part)
            # January is written as 1871.1, and October has become the same.
            october = np.concatenate([[False], part[:-1] == 9]) | np.concatenate([part[1:] == 11, [False]])
            part = np.where(single & (part == 1) & october, 10, part)
        return year, part, True
    if known.min() >= 1 and known.max() < (54 if named == 52 else 13) and whole(10_000):
        part, year = apart(10_000)
        return year, part, True
    return None


def _parts_of_year(year: NDArray[np.int64], part: NDArray[np.int64], named: int | None) -> tuple[int | None, bool]:
    """Into how many parts years are divided, None if into none; and whether a reader should look at that.

    Where no name says so, years that all have the same 4, say, have quarters, and those with the same 5 have months.
    """
    most = int(part.max())
    if named and most <= (53 if named == 52 else named):
        return named, False
    if most > (53 if named == 52 else 12):
        return None, False
    # The first year and the last may be incomplete.
    inner = np.unique(year)[1:-1]
    cells = np.unique(np.stack([year, part]), axis=1)
    same = len(inner) and most < 12 and np.isin(cells[0], inner).sum() == most * len(inner)
    return (most if same and 12 % most == 0 and most > 1 else 12), bool(same)


def seconds(column: pl.Series) -> NDArray[np.float64]:
    """Seconds for dates, else numbers as they are, NaN where missing; whole numbers counted from their least.

    As floating-point numbers, nanoseconds since 1970 would not keep their last digits.
    """
    scale = 1.0
    if column.dtype.is_temporal():
        if column.dtype == pl.Date:
            column = column.cast(pl.Datetime("us"))
        scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}[getattr(column.dtype, "time_unit", None) or "ns"]
        column = column.cast(pl.Int64)
    if column.dtype.is_integer():
        column = column - column.min()
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy() / scale


def unrolled(clock: pl.Series, turn: int = DAY) -> tuple[pl.Series, int]:
    """Times of day that follow one another, with a day more after each midnight; the number of midnights.

    What goes beyond a day is no time of day, and stays. A clock may also turn after an hour, in microseconds.
    """
    passed = clock.cast(pl.Duration("us")).cast(pl.Int64).fill_null(strategy="forward").fill_null(0).to_numpy()
    if passed.max(initial=0) > turn:
        return clock, 0
    midnights = np.cumsum(np.diff(passed, prepend=passed[:1]) < -turn // 2)
    added = pl.Series(midnights * turn).cast(pl.Duration("us")).cast(clock.dtype)
    return (clock + added).alias(clock.name), int(midnights[-1]) if len(midnights) else 0


def few(cells: int) -> int:
    """How many cells of so many may be unreadable without the column being something else."""
    return max(cells // 100, 1) if cells >= 20 else 0


@dataclass(frozen=True)
class _Dates:
    """Texts read as dates without a clock.

    Attributes:
        orders: microseconds since 1970 and whether there is such a date, in each order.
        matched: which are written like a date.
        in_figures: of which the order is a question.
        points: of these, which have points between.
        short_year: which have years of two figures.
    """

    orders: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]
    matched: NDArray[np.bool_]
    in_figures: NDArray[np.bool_]
    points: NDArray[np.bool_]
    short_year: NDArray[np.bool_]


def _in_words_and_figures(
    column: pl.Series,
    written: pl.Series,
    at: At,
    order: str | None,
    forms: Collection[str] = _SEPARATED,
    meant: bool = False,
) -> Reading | None:
    """Read text as dates, perhaps with a clock; `written` is `column` in plainer words.

    Up to half of the cells may be none where dates are `meant`, else a tenth, for there to be a question.
    """
    # There are far fewer days, and times of day, than cells.
    heads, tails = _halves(written)
    (days, day_of), (clocks, clock_of) = _distinct(heads), _distinct(tails)
    if _lack_years(days, day_of, (clocks != "").to_numpy()[clock_of]):
        return None
    dates = _dates_in(days, forms)
    of_day, clock_good, zones = _clocks_in(clocks)
    offset, zone_known, said, question = _zone_offsets(column, at, zones, clock_of, dates.matched[day_of])
    if question:
        return Reading(column, question=question)
    remarks, there = list(said), column.is_not_null().to_numpy()
    sound = there & (clock_good & zone_known)[clock_of]
    shift = (of_day - offset)[clock_of]
    choices = {name: (values[day_of] + shift, good[day_of] & sound) for name, (values, good) in dates.orders.items()}
    in_figures = dates.in_figures[day_of] & there
    chosen = next(iter(choices))
    if in_figures.any():
        points = bool(dates.points[day_of][in_figures].all())
        chosen, remark, question = _choose_order(column, at, choices, points, order)
        if question:
            return Reading(column, question=question)
        remarks += [remark] if remark else []
    values, valid = choices[chosen]
    known, bad = int(there.sum()), np.flatnonzero(there & ~valid)
    if len(bad) >= known / (2 if meant else 10):
        return None
    if len(bad) > few(known):
        return Reading(
            column,
            question=f"{len(bad)} of its {known} cells are no dates, the first of them {column[int(bad[0])]!r} in "
            f"{at(int(bad[0]))}; correct or empty these cells",
        )
    if len(bad):
        remarks.append(_unreadable(column, at, bad))
    warnings = ()
    if dates.short_year.any():
        remarks.append(f"file: {column.name!r} has {SHORT_YEARS}")
        latest = values[valid & there].max() / (365.25 * DAY) + 1970 if (valid & there).any() else 0
        if latest > datetime.date.today().year + 2:
            warnings = (
                f"{column.name!r} has years of two figures that are read as up to {int(latest)}, in the future; if "
                "they are a century earlier, write years of four",
            )
    result = pl.Series(column.name, values).cast(pl.Datetime("us")).set(pl.Series(~valid), None)
    local = not (zones.str.strip_chars() != "").any()
    return Reading(result, chosen if in_figures.any() else None, tuple(remarks), warnings, local=local)


def _halves(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The date in each cell, and the clock after it, which may be empty."""
    # SAS writes months in capitals: the T of 01OCT2022 begins no clock.
    text = text.str.replace(r"(\p{L})T([0-9])", "${1}t$2")
    at = text.str.find(_BEGINNING).fill_null(1_000)
    halves = pl.select(pl.lit(text).str.head(at).alias("date"), pl.lit(text).str.slice(at).alias("clock"))
    return halves["date"].str.strip_chars_end(), halves["clock"]


def _distinct(text: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """The distinct texts, and the number of each cell's."""
    codes = text.fill_null("").cast(pl.Categorical).to_physical().to_numpy()
    _, first, code_of = np.unique(codes, return_index=True, return_inverse=True)
    return text.fill_null("").gather(first), code_of


def _lack_years(days: pl.Series, day_of: NDArray[np.int64], with_clock: NDArray[np.bool_]) -> bool:
    """Whether cells such as ``Mar 01`` are a month and a day: a clock follows, or they change within a month.

    Years change with each month, or beyond 31.

    Args:
        days: the distinct texts.
        day_of: number of each cell's.
        with_clock: whether a clock follows it.
    """
    parts = days.str.extract_groups(_MONTH_AND_FIGURES).struct.unnest()
    month, figures = months_of(parts["name"].fill_null("")).to_numpy()[day_of], _integers(parts["day"])[day_of]
    there = (days != "").to_numpy()[day_of]
    month, figures, with_clock = month[there], figures[there], with_clock[there]
    named = month > 0
    if not len(month) or named.mean() < 0.9 or ((figures < 1) | (figures > 31))[named].any():
        return False
    changed = (np.diff(month) != 0) | (np.diff(figures) != 0)
    within = changed & (np.diff(month) == 0)
    return bool(with_clock.mean() > 0.5 or 2 * within.sum() > changed.sum())


def _unreadable(column: pl.Series, at: At, bad: NDArray[np.int64]) -> str:
    cells = "1 cell that is no date" if len(bad) == 1 else f"{len(bad)} cells that are no dates"
    return (
        f"file: {column.name!r} has {cells}, {'' if len(bad) == 1 else 'the first of them '}{column[int(bad[0])]!r} in "
        f"{at(int(bad[0]))}; taken as missing"
    )


def _dates_in(text: pl.Series, forms: Collection[str]) -> _Dates:
    """Read texts as dates without a clock."""
    length = len(text)
    orders = {name: (np.zeros(length, dtype=np.int64), np.zeros(length, dtype=bool)) for name in ORDERS}
    matched, in_figures, points, short_year = (np.zeros(length, dtype=bool) for _ in range(4))
    there = text.is_not_null().to_numpy()
    for pattern in (_FORMS[form] for form in _FORMS if form in forms):
        if not (there & ~matched).any():
            break
        place = np.flatnonzero(~matched & text.str.contains(pattern).fill_null(False).to_numpy())
        if not len(place):
            continue
        parts = text.gather(place).str.extract_groups(pattern).struct.unnest()
        number = {
            name: _integers(parts[name]) for name in parts.columns if name not in ("mark", "again", "name", "year")
        }
        matched[place] = True
        of_day, sound = _of_day(parts, number)
        if "a" in number:
            readings = _ordered(parts, number)
            if "again" in parts.columns:
                # What is written with two marks, such as 15/9-13, is a name.
                sound &= (parts["mark"] == parts["again"]).to_numpy()
            whole = parts["a"].str.len_chars().to_numpy() == 4
            in_figures[place], short_year[place] = ~whole, ~whole & (parts["c"].str.len_chars().to_numpy() <= 2)
            points[place] = (parts["mark"] == ".").to_numpy()
        else:
            year = parts["year"].str.strip_chars("'")
            digits = year.str.len_chars().to_numpy()
            short_year[place] = digits == 2
            readings = dict.fromkeys(ORDERS, _in_calendar(four_figures(_integers(year), digits), parts, number))
        for name, (days, good) in readings.items():
            orders[name][0][place], orders[name][1][place] = days * DAY + of_day, good & sound
    return _Dates(orders, matched, in_figures, points, short_year)


def _ordered(
    parts: pl.DataFrame, number: dict[str, NDArray[np.int64]]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Days since 1970 by three numbers in each order; with a year of four figures in front there is but one."""
    a, b, c = (number[name] for name in "abc")
    digits = {name: parts[name].str.len_chars().to_numpy() for name in "abc"}
    first, last = four_figures(a, digits["a"]), four_figures(c, digits["c"])
    whole = digits["a"] == 4
    readings = {}
    for name, year, month, day, fits in (
        ("day-first", last, b, a, digits["a"] <= 2),
        ("month-first", last, a, b, digits["a"] <= 2),
        ("year-first", first, b, c, (digits["a"] == 2) & (digits["c"] <= 2)),
    ):
        days, good = calendar_days(np.where(whole, a, year), np.where(whole, b, month), np.where(whole, c, day))
        readings[name] = days, good & np.where(whole, digits["c"] <= 2, fits)
    return readings


def exchanged(column: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """By how many days dates move if day and month are exchanged, and which of them are dates then."""
    parts = (column.dt.year(), column.dt.month(), column.dt.day())
    year, month, day = (part.cast(pl.Int64).to_numpy() for part in parts)
    days, good = calendar_days(year, day, month)
    return days - calendar_days(year, month, day)[0], good


def _in_calendar(
    year: NDArray[np.int64], parts: pl.DataFrame, number: dict[str, NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Days since 1970 by week, day of the year, quarter, or month and day, and which of them there are."""
    one = np.ones_like(year)
    if "week" in number:
        # The fourth of January is in the first week, which begins on a Monday; day 0 of 1970 was a Thursday.
        (fourth, good), (following, _) = calendar_days(year, one, 4 * one), calendar_days(year + 1, one, 4 * one)
        monday, next_monday = fourth - (fourth + 3) % 7, following - (following + 3) % 7
        days = monday + (number["week"] - 1) * 7 + np.maximum(number["weekday"], 1) - 1
        return days, good & (days >= monday) & (days < next_monday)
    if "of_year" in number:
        (first, good), (following, _) = calendar_days(year, one, one), calendar_days(year + 1, one, one)
        days = first + number["of_year"] - 1
        return days, good & (days >= first) & (days < following)
    if "name" in parts.columns:
        month = months_of(parts["name"]).to_numpy()
    elif "quarter" in number:
        month = number["quarter"] * 3 - 2
    elif "half" in number:
        month = number["half"] * 6 - 5
    else:
        month = np.maximum(number["month"], number.get("short", -one))
    return calendar_days(year, month, number.get("day", one))


def _clocks_in(text: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_], pl.Series]:
    """Microseconds since midnight of the clocks that follow a date, which are clocks, and their zones; 0 for none."""
    parts = text.str.extract_groups(_OF_DAY).struct.unnest()
    number = {name: _integers(parts[name]) for name in ("hour", "minute", "second")}
    of_day, good = _of_day(parts, number)
    none = (text == "").to_numpy()
    return of_day, none | (good & (number["hour"] >= 0)), parts["zone"].fill_null("")


def _integers(text: pl.Series) -> NDArray[np.int64]:
    """Whole numbers, -1 where there is none."""
    return text.cast(pl.Int64, strict=False).fill_null(-1).to_numpy()


def months_of(names: pl.Series) -> pl.Series:
    """Numbers of months by their names, -1 where there is none."""
    return names.str.to_lowercase().replace_strict(_MONTHS, default=-1, return_dtype=pl.Int64)


def four_figures(year: NDArray[np.int64], digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Years of two figures as POSIX reads them; -1 for those of one or three."""
    return np.where(digits == 4, year, np.where(digits == 2, year + np.where(year < 69, 2000, 1900), -1))


def calendar_days(
    year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Days since 1970, and which of them there are in the calendar."""
    sound = (year >= 1000) & (year <= 9999) & (month >= 1) & (month <= 12)
    months = np.where(sound, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    length = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64) - first
    return first + day - 1, sound & (day >= 1) & (day <= length)


def _of_day(parts: pl.DataFrame, number: dict[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since midnight, 0 without a clock, and where they are a time of day, 24:00 included."""
    nothing = np.full(parts.height, -1)
    hour, minute, second = (np.maximum(number.get(name, nothing), 0) for name in ("hour", "minute", "second"))
    good = (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    good &= (minute < 60) & (second <= 60)
    return _elapsed_of(parts, hour, minute, second), good


def _elapsed_of(
    parts: pl.DataFrame, hour: NDArray[np.int64], minute: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Microseconds of hours, minutes and seconds, with what is in `parts` of morning or afternoon and of fractions."""
    if "half" in parts.columns and parts["half"].null_count() < parts.height:
        half = parts["half"].str.slice(0, 1).str.to_lowercase()
        hour = np.where(half.is_not_null().to_numpy(), hour % 12 + 12 * (half == "p").fill_null(False).to_numpy(), hour)
    elapsed = ((hour * 60 + minute) * 60 + second) * 1_000_000
    if "fraction" in parts.columns and parts["fraction"].null_count() < parts.height:
        elapsed = elapsed + _integers(parts["fraction"].fill_null("0").str.pad_end(6, "0").str.slice(0, 6))
    return elapsed


def mark(column: pl.Series) -> str | None:
    """The mark between day, month and year of most dates of a column of text, as in 01.02.2024; None without one."""
    if column.dtype != pl.String:
        return None
    marks = column.drop_nulls().str.extract(r"^\s*\d{1,2}([./-])\d{1,2}[./-]\d{2,4}\b")
    usual = marks.drop_nulls().mode()
    return usual[0] if len(usual) and 2 * (marks == usual[0]).sum() > len(marks) else None


def _choose_order(
    column: pl.Series,
    at: At,
    choices: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]],
    points: bool,
    order: str | None,
) -> tuple[str, str | None, str | None]:
    """The order of day, month and year; a remark; or a question."""
    readable = np.logical_or.reduce([good for _, good in choices.values()])
    missed = {name: int((readable & ~good).sum()) for name, (_, good) in choices.items()}
    cells = int(readable.sum())

    def unlike(name: str) -> tuple[str, str]:
        """An order in which the first cell can be read that is none in this one, and that in words."""
        cell = int(np.flatnonzero(readable & ~choices[name][1])[0])
        other = next(other for other, (_, good) in choices.items() if good[cell])
        return other, f"{column[cell]!r} in {at(cell)} is {ORDERS[other]}"

    if order is not None:
        if missed[order] <= few(cells):
            return order, None, None
        return order, None, f"with dates: {order}, {missed[order]} cells are no dates; {unlike(order)[1]}"
    first, second = sorted(missed, key=lambda name: missed[name])[:2]
    if missed[first] > few(cells):
        other, odd = unlike(first)
        question = f"{unlike(other)[1]}, but {odd}; write all dates in one order, best as year-month-day"
        return first, None, question
    best = [name for name in choices if missed[name] == missed[first]]
    if len(best) == 1:
        few_tell = missed[second] <= 0.01 * cells
        remark = f"file: {column.name!r} read as {ORDERS[first]}, the only order for {missed[second]} of {cells} dates"
        return first, remark if few_tell else None, None
    times = {name: choices[name][0][readable] for name in best}
    if all(np.array_equal(np.diff(times[name]), np.diff(times[best[0]])) for name in best[1:]):
        # Of a single day, so that spans are the same; what is written beside predictions is not.
        alike = all(np.array_equal(times[name], times[best[0]]) for name in best[1:])
        others = " or ".join(ORDERS[name] for name in best[1:])
        remark = f"file: {column.name!r} read as {ORDERS[best[0]]}; spans are the same with {others} (--dates)"
        return best[0], None if alike else remark, None
    if points and "day-first" in best:
        best = [name for name in best if name != "month-first"]
    # In the right order rows seldom go against the direction that most take, in a wrong one often.
    steps = {name: np.diff(times[name]) for name in best}
    against = {name: min(int((step < 0).sum()), int((step > 0).sum())) for name, step in steps.items()}
    first = min(best, key=lambda name: against[name])
    if len(best) > 1 and all(2 * against[first] < against[name] for name in best if name != first):
        return first, f"file: {column.name!r} read as {ORDERS[first]}, in which its rows follow one another", None
    if only := _goes_on_at_midnight({name: np.abs(step) for name, step in steps.items()}, times[first]):
        return only, f"file: {column.name!r} read as {ORDERS[only]}, in which its days follow one another", None
    if points and "day-first" in best:
        return "day-first", f"file: {column.name!r} read as {ORDERS['day-first']}, as points mean", None
    ways = " or ".join(ORDERS[name] for name in best)
    return first, None, f"its dates, such as {column.drop_nulls()[0]!r}, can be read as {ways}; {HOW_TO_DECIDE}"


def _goes_on_at_midnight(steps: dict[str, NDArray[np.int64]], times: NDArray[np.int64]) -> str | None:
    """The only order in which rows that are less than a day apart go on from day to day; None where there is none."""
    midnights = np.diff(times // DAY) != 0
    within = next(iter(steps.values()))[~midnights]
    if np.count_nonzero(midnights) < FEWEST_MIDNIGHTS or not within.any():
        return None
    # Within a day, all orders have the same steps.
    usual = np.median(within[within > 0])
    share = {name: float(np.mean(step[midnights] <= 2 * usual)) for name, step in steps.items()}
    on = [name for name in share if share[name] >= MOST_MIDNIGHTS]
    leaps = [name for name in share if share[name] <= 1 - MOST_MIDNIGHTS]
    return on[0] if len(on) == 1 and len(leaps) == len(share) - 1 else None


def _zone_offsets(
    column: pl.Series,
    at: At,
    zones: pl.Series,
    zone_of: NDArray[np.int64],
    valid: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.bool_], list[str], str | None]:
    """Microseconds before UTC of each zone, which of them are known, remarks, and a question.

    Args:
        column: the cells, for messages.
        at: where a row stands in the file, in words.
        zones: the distinct ones.
        zone_of: number of each cell's.
        valid: which cells are dates at all.
    """
    kinds = {kind: hours_before_utc(kind) for kind in zones.unique().to_list()}
    offset_of = {kind: 0 if hours is None else round(hours * 3600e6) for kind, hours in kinds.items()}
    offsets = zones.replace_strict(offset_of, return_dtype=pl.Int64).to_numpy()
    known = zones.is_in([kind for kind, hours in kinds.items() if hours is not None]).to_numpy()
    with_zone = (zones.str.strip_chars() != "").to_numpy()
    if not with_zone.any():
        return offsets, known, [], None
    counts = np.bincount(zone_of[valid], minlength=len(zones))
    without, having = counts[~with_zone].sum(), counts[with_zone & known].sum()

    def example(kind: NDArray[np.bool_]) -> str:
        cell = int(np.flatnonzero(valid & kind[zone_of])[0])
        return f"{column[cell]!r} in {at(cell)}"

    if counts[~known].sum() > few(len(column)):
        return (
            offsets,
            known,
            [],
            (f"{example(~known)} has an unknown time zone; write offsets instead, as in 2024-05-31 13:45:00+02:00"),
        )
    if min(without, having) > few(len(column)):
        return (
            offsets,
            known,
            [],
            (
                f"{example(with_zone & known)} has a time zone, {example(~with_zone)} has none; write all times with "
                "their zone, or all without one"
            ),
        )
    # An hour's difference in a few cells would not be seen; they count as unreadable.
    known &= ~with_zone if having < without else with_zone
    names = {match[0].upper() for kind in kinds if (match := re.search("[A-Za-z]+", kind))}
    remarks = [
        f"file: {column.name!r} has zone {name}, read as {_AMBIGUOUS_ZONES[name]}"
        for name in sorted(names & set(_AMBIGUOUS_ZONES))
    ]
    if (different := len(np.unique(offsets[known & (counts > 0)]))) > 1:
        remarks.append(f"file: {column.name!r} has {different} time zones; all times are brought to UTC")
    return offsets, known, remarks, None


def hours_before_utc(text: str) -> float | None:
    """Hours before UTC that a zone such as ``+02:00`` or ``CEST`` stands for; None where it is unknown."""
    match = re.fullmatch(r"\s*\(?([A-Za-z]*)\)?\s*(?:([+\-\u2212])(\d{1,2})(?::?(\d{2}))?)?", text)
    if match is None:
        return None
    name, sign, hours, minutes = match.groups()
    if name and name.upper() not in _ZONES:
        return None
    base = _ZONES[name.upper()] if name else 0.0
    if not sign:
        return base
    if base or int(hours) > 15 or int(minutes or 0) > 59:
        return None
    return (int(hours) + int(minutes or 0) / 60) * (1 if sign == "+" else -1)


def _in_another_language(column: pl.Series, sample: pl.Series) -> Reading | None:
    """A question where cells look like dates with a month's name that is not known."""
    # A day in front, or a year behind: without either, 'Day 14' and 'TCK-1000' would be months.
    after_day = r"^\d{1,4}\.?[-/. ]*(?:de )?(\p{L}{3,10})\.?[-/. ]+(?:de )?(?:\d{1,2},? )?\d{2,4}\b"
    before_year = r"^(?:de )?(\p{L}{3,10})\.?[-/. ]+(?:de )?(?:\d{1,2},? )?(?:19|20)\d{2}\b"
    months = sample.str.extract(after_day, 1).fill_null(sample.str.extract(before_year, 1))
    foreign = sample.filter((months_of(months) < 0) & months.is_not_null())
    if months.null_count() > len(sample) / 2 or not len(foreign) or months.n_unique() > 40:
        return None
    return Reading(
        column,
        question=f"names of months are read in English, German, French, Spanish, Italian, Portuguese and Dutch, and "
        f"{foreign[0]!r} has none, or another form than 31 May 2024; write the month in figures, best as 2024-05-31",
    )


def _elapsed(column: pl.Series, at: At) -> Reading | None:
    """Clocks, and elapsed times of any length."""
    parts = column.str.extract_groups(_ELAPSED).struct.unnest()
    number = {name: np.maximum(_integers(parts[name]), 0) for name in ("days", "hour", "minute", "second")}
    elapsed = _elapsed_of(parts, number["hour"], number["minute"], number["second"]) + number["days"] * DAY
    good = parts["hour"].is_not_null().to_numpy() & (number["minute"] < 60) & (number["second"] <= 60)
    reading = _durations(column, at, elapsed, good)
    short = not (parts["second"].is_not_null() | parts["half"].is_not_null() | parts["days"].is_not_null()).any()
    return replace(reading, in_minutes=short) if reading else None


def _minutes(column: pl.Series, at: At) -> Reading | None:
    """Minutes and seconds, an hour later after each full hour, as spreadsheets show the end of a clock."""
    parts = column.str.extract_groups(_MINUTES).struct.unnest()
    minute, second = (np.maximum(_integers(parts[name]), 0) for name in ("minute", "second"))
    parts = parts.with_columns(half=pl.lit(None, dtype=pl.String))
    elapsed = _elapsed_of(parts, np.zeros_like(minute), minute, second)
    good = parts["minute"].is_not_null().to_numpy() & (second <= 60)
    reading = _durations(column, at, elapsed, good)
    if reading is None:
        return None
    told = f"file: {column.name!r} read as minutes and seconds"
    if minute.max(initial=0) < 60:
        clock, hours = unrolled(reading.column, 3_600_000_000)
        reading = replace(reading, column=clock)
        told += f"; it begins a new hour {hours} times, and each adds an hour" if hours else ""
    return replace(reading, remarks=(told, *reading.remarks))


def lengths(column: pl.Series) -> pl.Series | None:
    """Lengths of time in seconds, of clocks or of text such as ``1:02:15`` and ``47:05``, without hours; else None."""
    if column.dtype != pl.String:
        clock = column.cast(pl.Int64) // 1000 if column.dtype == pl.Time else column
        return clock.cast(pl.Duration("us")).cast(pl.Int64) / 1e6 if clock.dtype in (pl.Int64, pl.Duration) else None
    parts = column.str.extract_groups(_LENGTH).struct.unnest()
    hour, minute = (parts[name].cast(pl.Float64) for name in ("hour", "minute"))
    second = parts["second"].str.replace(",", ".").cast(pl.Float64)
    seconds = hour.fill_null(0) * 3600 + minute * 60 + second
    bad = seconds.null_count() - column.null_count()
    return seconds.alias(column.name) if bad <= few(len(column) - column.null_count()) else None


def _in_units(column: pl.Series, at: At) -> Reading | None:
    """Elapsed times whose numbers have units."""
    parts = column.str.extract_groups(_IN_UNITS).struct.unnest()
    units = ["week", "days", "hour", "minute", "second"]
    given = parts.select(pl.col(units).is_not_null()).sum_horizontal().to_numpy()
    # '5 m' alone may be metres, and '5 s' is a number with its unit.
    if not parts["iso"].is_not_null().any() and np.median(given[given > 0]) < 2:
        return None
    amounts = parts.select(pl.col(units).str.replace(",", ".").cast(pl.Float64).fill_null(0.0)).to_numpy()
    elapsed = (amounts @ np.array([604_800.0, 86_400, 3600, 60, 1]) * 1e6).round().astype(np.int64)
    return _durations(column, at, elapsed, given > 0)


def clock_in_digits(column: pl.Series, at: At) -> Reading | None:
    """Clocks as HHMM, HHMMSS, or HHMMSSmmm with milliseconds."""
    text = column.cast(pl.Int64, strict=False)
    digits, known = text.fill_null(0).to_numpy(), text.is_not_null().to_numpy()
    rest = np.zeros_like(digits)
    if digits.max(initial=0) > 240_000:
        digits, rest = digits // 1000, digits % 1000
        hour, minute, second = digits // 10_000, digits // 100 % 100, digits % 100
    elif digits.max(initial=0) > 2400:
        hour, minute, second = digits // 10_000, digits // 100 % 100, digits % 100
    else:
        hour, minute, second = digits // 100, digits % 100, np.zeros_like(digits)
    good = known & (hour <= 24) & (minute < 60) & (second <= 60) & ((hour < 24) | (minute + second == 0))
    return _durations(column, at, ((hour * 3600 + minute * 60 + second) * 1000 + rest) * 1000, good)


def _size(most: float) -> str:
    return "HHMM" if most <= 2400 else "HHMMSS" if most <= 240_000 else "HHMMSS and milliseconds"


def _clock_in_numbers(column: pl.Series, at: At, unit: str | None) -> Reading | None:
    """Numbers that are a clock by no accident, as HHMM, HHMMSS, HHMMSSmmm or HH.MM.

    All are a time of day, of several hours (minutes), and steps are no less alike than as numbers, where 55 goes on to
    100, or there are so many minutes below 60 that some of a count would be above. Where that may be an accident, the
    numbers stay, with a warning. A `unit` in the name makes them a count.
    """
    known = column.drop_nulls()
    low, high = float(known.min()), float(known.max())  # pyright: ignore[reportArgumentType]
    pointed = bool((known % 1 != 0).any())
    figures = (column * 100).round() if pointed else column
    if unit or low < 0 or not (high <= 24 if pointed else 100 <= high < 240_000_000):
        return None
    if pointed and ((column * 100 - figures).abs() > 1e-6).any():
        return None
    figures = figures.cast(pl.Int64)
    clock = clock_in_digits(figures, at)
    if clock is None or clock.remarks:
        return None
    as_numbers, as_clock = (
        np.unique(step[step > 0])
        for step in (np.diff(of.drop_nulls().cast(pl.Int64).to_numpy()) for of in (figures, clock.column))
    )
    several = clock.column.dt.total_minutes().n_unique() > 1 if high > 240_000 else (figures // 100).n_unique() > 1
    alike = several and len(as_clock) <= len(as_numbers) > 1
    below_60 = several and not (pointed or high > 240_000) and (figures % 100).n_unique() >= _FEWEST_MINUTES
    how = "HH.MM" if pointed else _size(high)
    if known.n_unique() >= NO_ACCIDENT and (alike or below_60):
        remark = f"file: {column.name!r} read as a clock, {how}"
        return replace(clock, remarks=(remark,), in_minutes=pointed)
    likely = below_60 or (alike and len(as_clock) < len(as_numbers))
    if not likely or known.n_unique() < _FEWEST_MINUTES or pointed or high > 240_000:
        return None
    return Reading(
        column,
        warnings=(
            f"the numbers of {column.name!r}, such as {known[-1]}, may be a clock, {how}, and count as they stand; if "
            f"they are a clock, name the column '{column.name} ({how})', or write them as 09:30:00",
        ),
    )


_FEWEST_MINUTES = 8
"""Distinct minutes or seconds that are all below 60 by hardly an accident: of a count, two in five are not."""


def _durations(column: pl.Series, at: At, elapsed: NDArray[np.int64], good: NDArray[np.bool_]) -> Reading | None:
    bad = np.flatnonzero(column.is_not_null().to_numpy() & ~good)
    if len(bad) > few(len(column) - column.null_count()):
        return None
    remarks = (_unreadable(column, at, bad),) if len(bad) else ()
    return Reading(pl.Series(column.name, elapsed).cast(pl.Duration("us")).set(pl.Series(~good), None), remarks=remarks)


def _of_numbers(column: pl.Series, at: At, order: str | None, asked: bool) -> Reading | None:
    """Numbers that count from a date, or write one without separators."""
    column = column.fill_nan(None) if column.dtype.is_float() else column
    name, known = column.name, column.drop_nulls()
    if not len(known) or column.dtype == pl.Boolean:
        return None
    low, high = known.min(), known.max()
    assert isinstance(low, int | float) and isinstance(high, int | float)
    whole = column.dtype.is_integer() or bool((known % 1 == 0).all() and high < 2**53)
    in_figures = words.in_hours_and_minutes(name)
    # Under other words for a clock, 0 to 23 are hours.
    if words.is_clock(name) and whole and 0 <= low and (0 if in_figures else 100) <= high <= 240_000:
        if (clock := clock_in_digits(column.cast(pl.Int64), at)) is not None:
            said = () if in_figures else (f"file: {name!r} read as a clock, {_size(high)}",)
            return replace(clock, remarks=(*said, *clock.remarks))
    if sas := words.sas_unit(name):
        if sas == "d" or not _SAS[0] <= low <= high <= _SAS[1]:
            return None
        dates = (column.cast(pl.Float64) * 1e6).round().cast(pl.Int64) - _SAS_TO_1970 * 1_000_000
        dates = dates.cast(pl.Datetime("us")).alias(name)
        return Reading(dates, remarks=(f"file: {name!r} read as seconds since 1960, {_range(dates)}",), local=True)
    hinted = asked or words.speaks_of_time(name)
    # One number in all rows tells nothing but by its name, as the date of a day's log.
    several = known.n_unique() > 1 or words.speaks_of_dates(name)
    if whole and low > 0 and several and (reading := _in_digits(column, at, order, hinted)):
        return reading
    if not hinted:
        return None
    unit = words.unit_of_count(name)
    if (asked or not words.is_amount(name)) and (clock := _clock_in_numbers(column, at, unit)) is not None:
        return clock
    for what, (least, most, start) in _TICKS.items():
        if whole and least <= low and high <= most:
            dates = ((column.cast(pl.Int64) - start) * 100).cast(pl.Datetime("ns")).alias(name)
            return Reading(dates, remarks=(f"file: {name!r} read as {what}, {_range(dates)}",))
    for short, scale in _EPOCHS.items():
        if unit and unit[: 1 if short == "s" else 2] != short:
            continue
        if 1e8 * scale <= low and high <= 5e9 * scale:
            if whole:
                resolution = "ns" if short == "ns" else "us"
                counted = (
                    column.cast(pl.Int64)
                    if short == "ns"
                    else column.cast(pl.Int64) * 1_000_000 // scale
                    if scale > 1e6
                    else column.cast(pl.Int64) * (1_000_000 // scale)
                )
            else:
                resolution, counted = "us", (column * (1e6 / scale)).round().cast(pl.Int64)
            dates = counted.cast(pl.Datetime(resolution)).alias(name)
            remark = f"file: {name!r} read as {_EPOCH_WORDS[short]} since 1970, {_range(dates)}"
            if not words.is_since_1970(name) and short in ("s", "ms"):
                remark += "; counts from 1960 (SAS, Stata) have the same spans"
            return Reading(dates, remarks=(remark,))
    scales = np.array(list(_EPOCHS.values()))[:, None]
    since_1970 = (known.to_numpy() >= 1e8 * scales) & (known.to_numpy() <= 5e9 * scales)
    if since_1970.any(axis=0).all() and not since_1970.all(axis=1).any():
        # Between one unit and the next there are no moments of these years.
        other = int(column.is_not_null().arg_true()[int(since_1970[since_1970[:, 0].argmax()].argmin())])
        question = (
            f"it counts from 1970 in several units, such as {column.drop_nulls()[0]} and, in {at(other)}, "
            f"{column[other]}; write all times in one"
        )
        return Reading(column, question=question)
    if unit is None and words.speaks_of_dates(name):
        if whole and _count_days(column):
            dates = (column.cast(pl.Int64) * DAY).cast(pl.Datetime("us")).alias(name)
            remark = (
                f"file: {name!r} read as days since 1970, as R counts them, {_range(dates)}; days counted from "
                "elsewhere, as from 1960 (SAS, Stata) or by a spreadsheet, have the same spans"
            )
            return Reading(dates, remarks=(remark,), local=True)
        for what, (least, most, origin) in _DAY_COUNTS.items():
            if least <= low and high <= most:
                dates = ((column.cast(pl.Float64) + origin) * DAY).round().cast(pl.Int64).cast(pl.Datetime("us"))
                remark = (
                    f"file: {name!r} read as {what}, {_range(dates)}; days counted from elsewhere, as from 1960 (SAS, "
                    "Stata) or 1970 (R), have the same spans"
                )
                return Reading(dates.alias(name), remarks=(remark,))
    return None


NO_ACCIDENT = 25
"""Distinct numbers that all have the form of a date or clock by no accident: of seconds since 1970, 24 in a row may."""
_MONTH = "(?:0[1-9]|1[0-2])"
_DAY_OF_MONTH = "(?:0[1-9]|[12][0-9]|3[01])"


def _count_days(column: pl.Series) -> bool:
    """Whether numbers are days since 1970 of 1997 to 2030 that go on by days, weeks or months."""
    if not column.dtype.is_numeric():
        return False
    known = column.drop_nulls().cast(pl.Float64).to_numpy()
    steps = np.abs(np.diff(known))
    inside = (known >= _DAYS_SINCE_1970[0]) & (known <= _DAYS_SINCE_1970[1]) & (known % 1 == 0)
    return bool(inside.all() and (steps > 0).any() and np.median(steps[steps > 0]) <= 31)


def _in_digits(column: pl.Series, at: At, order: str | None, hinted: bool) -> Reading | None:
    """Whole numbers, or text of figures, that are those of a date.

    Eight or more that are all dates are no accident; fewer may be, where no name says so.
    """
    text = column if column.dtype == pl.String else column.cast(pl.Int64).cast(pl.String)
    shortest, longest = text.str.len_chars().min(), text.str.len_chars().max()
    assert isinstance(shortest, int) and isinstance(longest, int)
    if longest > 17 or longest < (5 if hinted else 8):
        return None
    if longest >= 9 and column.n_unique() >= NO_ACCIDENT and (turned := _year_in_front(text, longest, order)):
        how, turned_text = turned
        if how is None:
            ways = f"{ORDERS['day-first']} or {ORDERS['month-first']}"
            asks = f"its dates, such as {text.drop_nulls()[0]!r}, can be read as {ways}; {HOW_TO_DECIDE}"
            return Reading(column, question=asks)
        text = turned_text
        reading = _in_words_and_figures(text, text, at, order, ("compact",))
        if reading is not None and not reading.question:
            remark = f"file: {column.name!r} read as dates written as {how}"
            return replace(reading, remarks=(remark, *reading.remarks))
    attempts = []
    if shortest == longest and not (longest == 7 and not text.str.contains("^(?:19|20)[0-9]{2}[0-3]").all()):
        attempts.append((text, {6: "year month", 7: "day of year"}.get(longest, "compact")))
    if hinted and longest <= 8:
        # Numbers have lost the zero of 01022024.
        attempts.append((text.str.zfill(8 if longest > 6 else 6), "run together"))
    for written, form in attempts:
        if form == "year month" and not written.str.contains("^(?:1[6-9]|2[01])[0-9]{2}(?:0[1-9]|1[0-2])$").all():
            continue
        reading = _in_words_and_figures(text, written, at, order, (form,))
        if reading is None or (reading.question and (form != "run together" or not words.speaks_of_dates(column.name))):
            continue
        # Counted from 1970, days of some years are months, days and years that leap.
        if (reading.question or text.n_unique() >= NO_ACCIDENT) and _count_days(column):
            continue
        how = {"year month": "YYYYMM", "day of year": "YYYYDDD", "compact": "YYYYMMDDHHMMSSFFF"[:longest]}
        remark = f"file: {column.name!r} read as dates written as {how.get(form, 'figures run together')}"
        return replace(reading, remarks=(remark, *reading.remarks))
    return None


def _year_in_front(text: pl.Series, longest: int, order: str | None) -> tuple[str | None, pl.Series] | None:
    """How figures with the year elsewhere are written, and the same as YYYYMMDD and so on; None for others.

    Numbers have lost a zero in front. Where day and month cannot be told apart, how they are written is None.
    """
    full = text.str.zfill(longest + longest % 2)
    size = longest + longest % 2 - 8
    if size == 2 and full.str.contains(f"^[0-9]{{2}}{_MONTH}{_DAY_OF_MONTH}(?:[01][0-9]|2[0-3])[0-5][0-9]$").all():
        century = full.str.slice(0, 2).cast(pl.Int64) < 69
        return "YYMMDDHHMM", full.to_frame("f").select(
            pl.when(pl.lit(century)).then(pl.lit("20")).otherwise(pl.lit("19")) + pl.col("f")
        ).to_series().alias(text.name)
    if size not in (2, 4, 6):
        return None
    after = "(?:19|20)[0-9]{2}" + "(?:[01][0-9]|2[0-4])" + "[0-5][0-9]" * (size // 2 - 1)
    fits = {
        how: bool(full.str.contains(f"^{first}{second}{after}$").all())
        for how, first, second in (("DDMMYYYY", _DAY_OF_MONTH, _MONTH), ("MMDDYYYY", _MONTH, _DAY_OF_MONTH))
    }
    if not any(fits.values()):
        return None
    if all(fits.values()) and order not in ("day-first", "month-first"):
        return None, text
    how = "DDMMYYYY" if fits["DDMMYYYY"] and not (fits["MMDDYYYY"] and order == "month-first") else "MMDDYYYY"
    first, second = full.str.slice(0, 2), full.str.slice(2, 2)
    month, day = (second, first) if how == "DDMMYYYY" else (first, second)
    return how + "HHMMSS"[:size], (full.str.slice(4, 4) + month + day + full.str.slice(8)).alias(text.name)


def _range(dates: pl.Series) -> str:
    return f"{dates.min():%Y-%m-%d %H:%M} to {dates.max():%Y-%m-%d %H:%M}"
