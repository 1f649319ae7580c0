"""Dates and times of day in the forms that people write, compared with dateutil and pandas."""

import math
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

from liquidbench.tasks import dates, meaning, new_rows, table, time_columns, words

pandas = pytest.importorskip("pandas")
parser = pytest.importorskip("dateutil.parser")

DAY = timedelta(days=1)


def at(row):
    return f"data row {row + 1}"


def read(cells, name="time", order=None, asked=False):
    column = pl.Series(name, cells, strict=False)
    return dates.read(column, at, order, asked)


def moments(cells=2000, resolution="1s", seed=0, first="1971-01-01", last="2035-12-31"):
    """Moments all over the calendar."""
    draws = np.random.default_rng(seed)
    first, last = pandas.Timestamp(first).value, pandas.Timestamp(last).value
    return pandas.DatetimeIndex(draws.integers(first, last, size=cells)).floor(resolution)


def written(when, pattern):
    return [moment.strftime(pattern) for moment in when]


def assert_read_as(reading, when):
    assert reading is not None and reading.question is None, reading
    np.testing.assert_array_equal(reading.column.to_numpy(), when.to_numpy())


# Each pattern with the finest unit that it writes, and what dateutil is to be told; None where it cannot read it.
PATTERNS = [
    ("%Y-%m-%d %H:%M:%S", "1s", {}),
    ("%Y-%m-%dT%H:%M:%S", "1s", {}),
    ("%Y-%m-%dT%H:%M:%S.%f", "1us", {}),
    ("%Y-%m-%d %H:%M:%S,%f", "1us", {}),
    ("%Y-%m-%dT%H:%M:%SZ", "1s", {}),
    ("%Y-%m-%d %H:%M:%S+00", "1s", {}),
    ("%Y-%m-%d %H:%M:%S+0000", "1s", {}),
    ("%Y-%m-%d %H:%M:%S UTC", "1s", {}),
    ("%Y-%m-%d %H:%M", "1min", {}),
    ("%Y-%m-%d %H", "1h", None),
    ("%Y-%m-%dT%H", "1h", None),
    ("%Y-%m-%d", "1D", {}),
    ("%Y - %m - %d", "1D", None),
    ("%d-%b-%Y %I.%M.%S.%f %p", "1us", None),
    ("%Y/%m/%d %H:%M", "1min", {}),
    ("%Y.%m.%d %H:%M", "1min", {}),
    ("%d.%m.%Y %H:%M", "1min", {"dayfirst": True}),
    ("%d/%m/%Y", "1D", {"dayfirst": True}),
    ("%d-%m-%Y %H:%M:%S", "1s", {"dayfirst": True}),
    ("%-d.%-m.%Y %-H:%M", "1min", {"dayfirst": True}),
    ("%m/%d/%Y %I:%M %p", "1min", {}),
    ("%m/%d/%Y %I:%M:%S %p", "1s", {}),
    ("%-m/%-d/%Y %-I:%M%p", "1min", {}),
    ("%m-%d-%Y", "1D", {}),
    ("%d-%b-%Y %H:%M", "1min", {}),
    ("%d-%B-%Y", "1D", {}),
    ("%-d %B %Y", "1D", {}),
    ("%b %d, %Y", "1D", {}),
    ("%B %-d, %Y %I:%M %p", "1min", {}),
    ("%a, %d %b %Y %H:%M:%S +0000", "1s", {}),
    ("%A, %d %B %Y", "1D", {}),
    ("%a %b %d %H:%M:%S %Y", "1s", {}),
    ("%a %b %d %H:%M:%S UTC %Y", "1s", {}),
    ("%d/%b/%Y:%H:%M:%S +0000", "1s", None),
    ("%d%b%Y:%H:%M:%S", "1s", None),
    ("%d%b%Y", "1D", {}),
    ("%Y-%b-%d", "1D", {}),
    ("%Y%m%dT%H%M%S", "1s", {}),
    ("%Y%m%dT%H%M%SZ", "1s", {}),
    ("%Y-%j", "1D", None),
    ("%G-W%V-%u", "1D", None),
    ("%GW%V%u", "1D", None),
    ("%Y年%m月%d日", "1D", None),
]


@pytest.mark.parametrize(("pattern", "resolution", "told"), PATTERNS)
def test_a_form_reads_as_it_was_written(pattern, resolution, told):
    when = moments(600, resolution)
    cells = written(when, pattern)
    reading = read(cells)
    assert_read_as(reading, when)
    if told is not None:
        others = [
            parser.parse(cell.replace(",", "."), **told) if "S,%f" in pattern else parser.parse(cell, **told)
            for cell in cells[:100]
        ]
        found = reading.column.head(100).to_list()
        assert [other.replace(tzinfo=None) for other in others] == found


@pytest.mark.parametrize(
    ("pattern", "resolution"),
    [
        ("%Y%m%d", "1D"),
        ("%Y%m%d%H", "1h"),
        ("%Y%m%d%H%M", "1min"),
        ("%Y%m%d%H%M%S", "1s"),
        ("%Y%j", "1D"),
        ("%d%m%Y", "1D"),
    ],
)
@pytest.mark.parametrize("kind", [int, str])
def test_figures_without_separators(pattern, resolution, kind):
    when = moments(2000, resolution)
    reading = read([kind(cell) for cell in written(when, pattern)], name="date")
    assert_read_as(reading, when)
    assert reading.remarks[0].startswith("file: 'date' read as dates written as ")


def test_months_and_quarters_are_their_first_days():
    months = pandas.date_range("1990-01-01", periods=300, freq="MS")
    for pattern in ("%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%Ym%-m", "%b-%y", "%Y/%m", "%Y%m"):
        assert_read_as(read(written(months, pattern), "date"), months)
    quarters = pandas.period_range("1990Q1", periods=100, freq="Q")
    assert_read_as(read([str(quarter) for quarter in quarters]), quarters.to_timestamp())


def numbered(form, periods, parts):
    """Periods of pandas as a year and the number of its part."""
    of = {"Q": lambda when: when.quarter, "M": lambda when: when.month, "H": lambda when: (when.month + 5) // 6}[parts]
    return [form.format(year=when.year, part=of(when)) for when in periods]


def periods_of(parts):
    months = pandas.period_range("1920-01", periods=300, freq="M")
    return {"M": months, "Q": months[::3], "H": months[::6]}[parts]


@pytest.mark.parametrize(
    ("name", "form", "parts", "asks"),
    [
        ("Quarter", "{year}-{part}", "Q", False), ("Quartal", "{part}/{year}", "Q", False),
        ("trimestre", "{year}/{part}", "Q", False), ("Date", "{year}/{part}", "Q", True),
        ("Date", "{part}/{year}", "Q", True), ("Semester", "{year}/{part}", "H", False),
        ("Halbjahr", "{part}.{year}", "H", False), ("when", "{year}-{part}", "H", True),
        ("Month", "{part:02d}/{year}", "M", False), ("Date", "{year}.{part:02d}", "M", False),
    ],
)  # fmt: skip
def test_a_year_and_the_number_of_its_part_in_text(name, form, parts, asks):
    periods = periods_of(parts)
    reading = read(numbered(form, periods, parts), name)
    assert_read_as(reading, periods.to_timestamp())
    assert bool(reading.warnings) == asks and (not asks or "If they are others" in reading.warnings[0])


@pytest.mark.parametrize(
    ("name", "form", "parts"),
    [
        *[(name, "{year}.{part:02d}", "M") for name in ("Date", "Datum", "time", "Month", "Monat", "yyyymm", "code")],
        *[(name, "{part:02d}.{year}", "M") for name in ("Datum", "Monat", "Periode", "Monat/Jahr", "Stichtag")],
        ("Quarter", "{year}.{part}", "Q"), ("quarter", "{year}{part}", "Q"), ("Quartal", "{part}.{year}", "Q"),
        ("date", "{year}.{part}", "Q"), ("semester", "{year}.{part}", "H"), ("Date", "{year}.{part}", "M"),
    ],
)  # fmt: skip
def test_a_year_and_the_number_of_its_part_in_one_number(name, form, parts):
    periods = periods_of(parts)
    assert_read_as(read([float(cell) for cell in numbered(form, periods, parts)], name), periods.to_timestamp())


def test_october_may_have_lost_its_zero_in_text_too():
    cells = [cell.removesuffix("0") for cell in numbered("{year}.{part:02d}", periods_of("M"), "M")]
    assert_read_as(read(cells, "Date"), periods_of("M").to_timestamp())


@pytest.mark.parametrize("form", ["{part}/{year}", "{year}-{part:02d}", "{year}{part:02d}"])
def test_a_year_and_the_number_of_its_week(form):
    days = pandas.date_range("2015-12-28", periods=300, freq="W-MON")
    cells = [form.format(year=year, part=week) for year, week, _ in (day.isocalendar() for day in days)]
    assert_read_as(read([int(cell) if cell.isdigit() else cell for cell in cells], "week"), days)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("year", 1990 + np.arange(200) / 12), ("time", 1990 + np.arange(200) / 10), ("t", 1990 + np.arange(200) / 100),
        ("date_index", np.random.default_rng(0).uniform(1, 13, 200).round(4)), ("time (s)", 1990.01 + np.arange(30)),
        ("price", np.random.default_rng(0).integers(1990, 2020, 200) + 0.01), ("quarter", np.arange(200) % 4 + 1),
        ("month", np.arange(200) % 12 + 1.0), ("response_time", 1900.01 + np.arange(30)),
    ],
)  # fmt: skip
def test_other_numbers_are_no_year_with_a_part(name, numbers):
    assert read(numbers, name) is None


def test_years_with_the_same_five_months_are_months_with_a_warning():
    cells = [f"{1950 + row // 5}-{row % 5 + 1}" for row in range(100)]
    reading = read(cells, "Date")
    assert reading.column[4] == datetime(1950, 5, 1) and "each year has 5 of them" in reading.warnings[0]


@pytest.mark.parametrize(
    ("numbers", "leap"),
    [
        ([year * 10 + part for year in range(1990, 2020) for part in range(1, 6)], (19905, 19911)),
        ([year + month / 100 for year in range(30, 50) for month in range(1, 13)], (30.12, 31.01)),
        ([hour * 100 + minute for hour in range(20) for minute in range(0, 60, 15)], (45, 100)),
        (np.arange(300), None), (np.arange(300) * 0.1, None), ([*range(100), *range(150, 250), *range(300, 400)], None),
        ([week * 7 + day for week in range(60) for day in range(5)], None),
        ([burst * 3600 + row for burst in range(30) for row in range(10)], None),
        (np.random.default_rng(0).exponential(size=300).cumsum(), None),
    ],
)  # fmt: skip
def test_numbers_that_leap_where_a_digit_goes_on(numbers, leap):
    column = pl.Series("time", numbers)
    found = time_columns.leaps(column, np.zeros(len(column), dtype=np.int64))
    assert found == (None if leap is None else pytest.approx(leap))


@pytest.mark.parametrize(("unit", "end"), [("s", 86_400), (None, 86_400), ("min", 1440), ("ms", 2**32), (None, 2**16)])
def test_a_counter_goes_on_where_it_begins_again(unit, end):
    passed = end - 500 + np.arange(0, 3 * end, max(end // 200, 1))
    counter, found, again = time_columns.continued(pl.Series("time", passed % end), unit)
    np.testing.assert_array_equal(counter.to_numpy(), passed)
    assert found == end and passed[again[0] - 1] < end <= passed[again[0]] and len(again) == 3


@pytest.mark.parametrize(
    "numbers", [[*range(500, 700), *range(200)], range(300), [5, 4, 3, 2, 1], [*range(24)] * 9, [*range(1000)] * 2]
)
def test_what_begins_again_elsewhere_is_no_counter(numbers):
    assert time_columns.continued(pl.Series("time", numbers), None) is None


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_numbers_since_1970_are_told_apart_by_their_size(scale):
    when = moments(2000, "1s", first="1985-01-01")
    counted = when.to_numpy().astype("M8[s]").astype(np.int64) * scale
    reading = read(counted, "timestamp")
    np.testing.assert_array_equal(reading.column.to_numpy().astype("M8[s]"), when.to_numpy().astype("M8[s]"))
    unit = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}[scale]
    assert f"read as {unit} since 1970, 1985-" in reading.remarks[0]
    assert read(counted, "count") is None, "a name that does not speak of time"
    if scale == 1:
        assert read(counted, "time [ms]") is None, "a unit that the numbers cannot have"
        assert_read_as(read(counted + 0.25, "time"), when + timedelta(milliseconds=250))


def test_nanoseconds_since_1970_are_exact():
    counted = 1_700_000_000_123_456_789 + 10 * np.arange(50)
    reading = read(counted, "timestamp")
    np.testing.assert_array_equal(dates.seconds(reading.column), np.arange(50) * 10 / 1e9)


@pytest.mark.parametrize(("first", "words"), [(45292, "spreadsheet"), (739252, "MATLAB"), (2460310.5, "Julian")])
def test_day_numbers(first, words):
    reading = read(first + np.arange(48) / 24, "date")
    assert words in reading.remarks[0] and "2024-01-01 00:00 to 2024-01-02 23:00" in reading.remarks[0]
    np.testing.assert_allclose(np.diff(dates.seconds(reading.column)), 3600, atol=0.1)
    assert read(first + np.arange(48) / 24, "weight") is None


@pytest.mark.parametrize("first", ["2001-05-01", "2019-11-20", "2023-02-01"])
@pytest.mark.parametrize("step", [1, 7])
def test_days_since_1970(first, step):
    when = pandas.date_range(first, periods=300, freq=f"{step}D")
    counted = [(moment - pandas.Timestamp(0)).days for moment in when]
    reading = read(counted, "obs_date")
    assert_read_as(reading, when)
    assert "days since 1970, as R counts them" in reading.remarks[0]
    assert read(counted, "weight") is None


def test_cells_of_figures_are_named_as_they_stand():
    reading = read([10113, 451399, 30113, 20113] * 30, "date")
    assert reading.question is not None and "'10113'" in reading.question


@pytest.mark.parametrize("pattern", ["%d%b%Y", "%d%b%y", "%b%Y", "%d%b%Y:%H:%M:%S", "%d%B%Y %H:%M", "%Y%b%d", "%b%y"])
def test_months_in_capitals_that_end_in_t_begin_no_clock(pattern):
    freq = {"%b%Y": "MS", "%b%y": "MS"}.get(pattern, "29h" if "%H" in pattern else "D")
    when = pandas.date_range("2016-07-01", periods=400 if "d" in pattern else 120, freq=freq)
    assert_read_as(read([text.upper() for text in written(when, pattern)]), when)


@pytest.mark.parametrize("mark", [" / ", " | ", "; "])
def test_a_mark_between_date_and_clock(mark):
    when = moments(300)
    assert_read_as(read(written(when, f"%d.%m.%Y{mark}%H:%M:%S")), when)


# Day, month and year


def test_one_cell_tells_the_order_of_all():
    cells = ["01/02/2023", "03/04/2023", "05/06/2023"] * 100 + ["13/06/2023"]
    reading = read(cells)
    assert reading.order == "day-first" and reading.column[0] == datetime(2023, 2, 1)
    assert reading.remarks == ("file: 'time' read as day, month, year, the only order for 1 of 301 dates",)
    assert read([*cells[:-1], "06/13/2023"]).column[0] == datetime(2023, 1, 2)


@pytest.mark.parametrize("mark", "/-")
def test_dates_that_fit_both_orders_are_a_question(mark):
    cells = [f"{1:02d}{mark}{month:02d}{mark}{year}" for year in range(2000, 2010) for month in range(1, 13)]
    reading = read(cells)
    assert reading.question == (
        f"its dates, such as '01{mark}01{mark}2000', can be read as day, month, year or month, day, year; say which "
        "with --dates (dates: in a study), day-first, month-first or year-first"
    )
    assert read(cells, order="day-first").column[1] == datetime(2000, 2, 1)
    assert read(cells, order="month-first").column[1] == datetime(2000, 1, 2)


def test_points_mean_day_first_unless_that_cannot_be():
    cells = [f"01.{month:02d}.2023" for month in range(1, 13)]
    reading = read(cells * 30)
    assert reading.question is None and reading.column[1] == datetime(2023, 2, 1)
    when = pandas.date_range("2024-01-01", periods=300)
    assert_read_as(read(written(when, "%m.%d.%Y")), when)


@pytest.mark.parametrize("pattern", ["%d/%m/%Y", "%m/%d/%Y"])
def test_rows_that_follow_one_another_in_one_order_alone_tell_it(pattern):
    when = [datetime(2020 + month // 12, month % 12 + 1, day) for month in range(30) for day in range(1, 13)]
    reading = read([moment.strftime(pattern) for moment in when])
    assert reading.column.to_list() == when and "in which its rows follow one another" in reading.remarks[0]


@pytest.mark.parametrize(("pattern", "order"), [("%m/%d/%Y %H:%M", "month-first"), ("%d/%m/%y %H:%M:%S", "day-first")])
def test_rows_that_go_on_at_midnight_in_one_order_alone_tell_it(pattern, order):
    times = [datetime(2024, 5, 2) + timedelta(minutes=45 * row) for row in range(250)]
    reading = dates.read(pl.Series("when", [time.strftime(pattern) for time in times]), str)
    assert reading.order == order and reading.column.to_list() == times
    assert any("in which its days follow one another" in remark for remark in reading.remarks)
    # Rows of the mornings of days that may as well be a month apart.
    mornings = [time.strftime(pattern) for time in times if time.hour < 3]
    assert dates.read(pl.Series("when", mornings), str).question


def test_counts_from_1970_in_two_units_are_a_question():
    seconds = [1_700_000_000 + 60 * row for row in range(80)]
    mixed = pl.Series("timestamp", seconds[:50] + [1000 * second for second in seconds[50:]])
    question = dates.read(mixed, lambda row: f"line {row + 2}").question
    assert "in several units, such as 1700000000 and, in line 52, 1700003000000" in question
    assert dates.read(pl.Series("timestamp", seconds), str).question is None
    # Milliseconds since a start, longer than the seconds since 1970.
    assert dates.read(pl.Series("uptime_ms", [6 * 10**9 - 10**6 * row for row in range(80)]), str) is None


def test_cells_in_two_orders_are_named():
    cells = [f"{day:02d}/01/2024" for day in range(1, 32)] + [f"02/{day:02d}/2024" for day in range(1, 29)]
    assert "'13/01/2024' in data row 13 is day, month, year, but '02/13/2024' in data row 44 is month, day, year" in (
        read(cells).question
    )


@pytest.mark.parametrize("pattern", ["%d/%m/%y", "%m/%d/%y", "%y-%m-%d", "%d.%m.%y", "%d-%b-%y"])
def test_years_of_two_figures_are_those_of_posix(pattern):
    when = pandas.date_range("1969-01-01", "2068-12-31", freq="37D")
    reading = read(written(when, pattern))
    assert_read_as(reading, when)
    assert reading.column.to_list() == [datetime.strptime(cell, pattern) for cell in written(when, pattern)]
    assert "69 to 99 are read as 1969 to 1999, 00 to 68 as 2000 to 2068" in reading.remarks[-1]


def test_an_order_that_cells_contradict_is_refused():
    cells = written(pandas.date_range("2024-01-01", periods=60), "%d/%m/%Y")
    assert (
        "with dates: month-first, 36 cells are no dates; '13/01/2024' in data row 13"
        in read(cells, order="month-first").question
    )


# Clocks and zones


def test_midnight_may_be_the_day_before_at_24():
    reading = read(["2024-02-28 23:00", "2024-02-28 24:00", "2024-02-29 01:00", "2024-02-29 24:00:00"])
    assert reading.column.to_list() == [
        datetime(2024, 2, 28, 23), datetime(2024, 2, 29), datetime(2024, 2, 29, 1), datetime(2024, 3, 1)
    ]  # fmt: skip
    assert read(["2024-02-28 24:01"] * 30) is None


@pytest.mark.parametrize("half", ["am/pm", "AM/PM", "a.m./p.m.", "A.M./P.M.", "a. m./p. m."])
@pytest.mark.parametrize("blank", ["", " "])
def test_morning_and_afternoon(half, blank):
    when = moments(500, "1min")
    names = half.split("/")
    cells = [f"{moment:%Y-%m-%d %I:%M}{blank}{names[moment.hour // 12]}" for moment in when]
    assert_read_as(read(cells), when)


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("Z", 0), ("+00", 0), ("+0100", 1), ("+01:00", 1), (" -0330", -3.5), ("\u221205:00", -5), (" UTC+2", 2),
        (" GMT-03:30", -3.5),
        (" CET", 1), (" CEST", 2), (" (CEST)", 2), (" EST", -5), (" PDT", -7), (" JST", 9), (" ACST", 9.5),
        ("+01:00[Europe/Berlin]", 1), (" GMT+0100 (Central European Standard Time)", 1),
    ],
)  # fmt: skip
def test_zones(zone, hours):
    when = moments(300, "1min")
    reading = read([f"{moment:%Y-%m-%d %H:%M}{zone}" for moment in when])
    assert_read_as(reading, when - timedelta(hours=hours))


def test_zones_agree_with_pandas_over_a_change_of_clocks():
    utc = pandas.date_range("2024-10-26", periods=1000, freq="15min", tz="UTC")
    for place, names in (("Europe/Berlin", True), ("America/New_York", True), ("Australia/Adelaide", False)):
        local = utc.tz_convert(place)
        for pattern in ("%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S %Z")[: 1 + names]:
            reading = read(local.strftime(pattern).tolist())
            assert_read_as(reading, utc.tz_localize(None))
            assert place == "Australia/Adelaide" or "2 time zones; all times are brought to UTC" in reading.remarks[-1]


def test_what_a_zone_may_also_be_is_said():
    reading = read(["2024-01-01 00:00 CST", "2024-01-01 01:00 CST"])
    assert reading.remarks == ("file: 'time' has zone CST, read as US Central, UTC-6; it may also be China, UTC+8",)


def test_zones_that_are_unknown_or_here_and_there_are_refused():
    cells = [f"2024-01-{day:02d} 10:00" for day in range(1, 31)]
    assert read([f"{cell} XYZ" for cell in cells]).question.startswith(
        "'2024-01-01 10:00 XYZ' in data row 1 has an unknown"
    )
    mixed = [f"{cell}{'Z' * (place % 3 == 1)}" for place, cell in enumerate(cells)]
    assert read(mixed).question.startswith("'2024-01-02 10:00Z' in data row 2 has a time zone, '2024-01-01 10:00' in")


@pytest.mark.parametrize(
    ("cells", "minutes"),
    [
        (["0:00", "0:05", "23:55", "24:00"], [0, 5, 1435, 1440]),
        (["12:00 AM", "1:30 a.m.", "12:00 PM", "11:59 p.m."], [0, 90, 720, 1439]),
        (["00.00.00", "18.30.00", "23.59.00"], [0, 1110, 1439]),
        (["0 days 00:01:00", "2 days 10:00:00", "10 days 00:00:30.5"], [1, 3480, 14400 + 30.5 / 60]),
        (["00:00", "24:30", "47:35"], [0, 1470, 2855]),
    ],
)
def test_clocks_and_elapsed_times(cells, minutes):
    reading = read(cells)
    assert reading.column.dtype == pl.Duration
    np.testing.assert_allclose(reading.column.dt.total_microseconds().to_numpy() / 6e7, minutes)


def test_hours_and_minutes_without_a_separator():
    for cells in ([0, 5, 59, 100, 1345, 2359, 2400], ["0000", "0005", "0059", "0100", "1345", "2359", "2400"]):
        reading = read(cells, "hhmm")
        assert reading.column.dt.total_minutes().to_list() == [0, 5, 59, 60, 825, 1439, 1440]
        assert read(cells, "count") is None
    assert read([0, 5, 99, 160, 175], "hhmm") is None


def test_a_clock_goes_on_after_midnight():
    clock, midnights = dates.unrolled(pl.Series([timedelta(hours=hour % 24) for hour in range(50)]))
    assert midnights == 2 and clock.dt.total_hours().to_list() == list(range(50))


# What is no date


def test_a_cell_among_many_that_is_no_date_is_missing_and_named():
    when = pandas.date_range("2024-01-01", periods=300, freq="h")
    for slip in ("error", "2024-02-30 00:00", "2024-01-01 25:00", "2023-13-01 00:00", "24-1-1x"):
        cells = written(when, "%Y-%m-%d %H:%M")
        cells[41] = slip
        reading = read(cells)
        assert reading.column.null_count() == 1 and reading.column[41] is None
        assert reading.remarks == (
            f"file: 'time' has 1 cell that is no date, {slip!r} in data row 42; taken as missing",
        )
        reading = read([slip if place % 20 == 3 else cell for place, cell in enumerate(cells)])
        assert reading.question.startswith(
            f"16 of its 300 cells are no dates, the first of them {slip!r} in data row 4;"
        )


@pytest.mark.parametrize(
    "cells",
    [
        ["1. tammikuuta 2024", "2. helmikuuta 2024", "3. maaliskuuta 2024"],
        ["1 stycznia 2024", "2 lutego 2024", "5 lipca 2024"],
        ["01-Şub-2024", "02-Haz-2024", "03-Eyl-2024", "04-Apr-2024"],
        ["września 2024", "czerwca 2024", "maja 2024"],
    ],
)
def test_months_in_other_languages_are_refused_in_words(cells):
    assert read(cells * 10).question.startswith("names of months are read in English, German, French")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1. Januar 2024", "2. Februar 2024", "3. März 2024", "4. Dezember 2024"], [(1, 1), (2, 2), (3, 3), (12, 4)]),
        (["1 janvier 2024", "2 février 2024", "5 juillet 2024", "6 août 2024"], [(1, 1), (2, 2), (7, 5), (8, 6)]),
        (["1 de enero de 2024", "3 de agosto de 2024"], [(1, 1), (8, 3)]),
        (["01-Mrz-2024", "02-Mai-2024", "03-Okt-2024", "04-Apr-2024"], [(3, 1), (5, 2), (10, 3), (4, 4)]),
        (["2 gen 2024", "3 mag 2024", "4 ott 2024"], [(1, 2), (5, 3), (10, 4)]),
        (["2 mrt 2024", "3 mei 2024"], [(3, 2), (5, 3)]),
        (["mars 2024", "mai 2024", "juin 2024"], [(3, 1), (5, 1), (6, 1)]),
        (["1 Fev 2024", "2 Mai 2024", "3 Out 2024"], [(2, 1), (5, 2), (10, 3)]),
    ],
)
def test_months_are_read_in_several_languages(cells, expected):
    dates = read(cells * 10).column.head(len(cells)).to_list()
    assert [(date.month, date.day) for date in dates] == expected


@pytest.mark.parametrize(
    "cells",
    [
        ["north", "south"], ["a1", "b2"], ["1.2.3", "1.2.4"], ["192.168.0.1", "10.0.0.1"], ["x-1-2", "y-3-4"],
        ["100-200", "300-400"], ["v2024.1", "v2024.2"], ["", None], ["3/4", "5/8"], ["10 kg", "11 kg"], ["12", "7"],
        ["A 12:30", "B 12:40"],
        ["May", "June"], ["Monday", "Tuesday"], ["+49 30 1234567", "+49 30 7654321"], ["1:2", "3:4"],
    ],
)  # fmt: skip
def test_text_is_no_date(cells):
    assert read(cells * 20, "code") is None
    assert read(cells * 20, "time") is None


@pytest.mark.parametrize(
    ("form", "hours"),
    [
        *((form, 2) for form in ("%b %d %H:%M", "%B %d %H:%M:%S", "%b %d, %H:%M", "%b-%d %I:%M %p", "%b %-d %H:%M")),
        ("%a %b %d %H:%M", 7), ("%b %d %H:%M", 24 * 30), ("%b %d", 24), ("%b-%d", 24), ("%B %d", 7 * 24),
    ],
)  # fmt: skip
def test_a_month_and_a_day_are_no_month_and_year(form, hours):
    moments = [datetime(2023, 3, 1) + timedelta(hours=hours * step) for step in range(90)]
    assert read(written(moments, form)) is None
    assert read([None, *written(moments[::-1], form)]) is None


@pytest.mark.parametrize("months", [1, 3, 12])
def test_months_and_years_of_two_figures_are_no_days(months):
    when = pandas.date_range("1998-03-01", periods=40, freq=f"{months}MS")
    assert_read_as(read(written(when, "%b %y")), when)
    later = pandas.date_range("2001-01-01", periods=40, freq="MS")
    assert_read_as(read(written(later, "%b-%y")), later)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([20240131, 20240231], "order"), ([12345678, 20240131], "order"), ([1, 2, 3], "date"), ([5.0, 6.5], "date"),
        ([45000, 45001], "candidates"), ([1_700_000_000, 1_700_000_060], "steps"), ([100, 200], "time"),
        ([201501, 201502], "code"),
    ],
)  # fmt: skip
def test_numbers_are_no_dates(numbers, name):
    assert read(numbers * 20, name) is None


# Parts of a time in several columns


def found(frame, **asked):
    frame = pl.DataFrame(frame)
    return time_columns.find(frame, at, **asked)


WHEN = pandas.date_range("2023-12-20", periods=1000, freq="h")


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("year month day hour", "year month day hour"),
        ("Year Month Day Hour Minute", "year month day hour minute"),
        ("#YY MM DD hh mm", "year month day hour minute"),
        ("yyyy mm dd hh", "year month day hour"),
        ("YR MO DA HR MI", "year month day hour minute"),
        ("year doy hour", "year day_of_year hour"),
    ],
)
def test_parts_are_joined_and_gone(names, parts):
    columns = {name: getattr(WHEN, part).to_numpy() for name, part in zip(names.split(), parts.split(), strict=True)}
    result = found({**columns, "x": np.arange(1000.0)})
    assert result.frame.columns == [names, "x"]
    np.testing.assert_array_equal(result.frame[names].to_numpy(), WHEN.to_numpy())
    quoted = [repr(name) for name in names.split()]
    assert result.remarks == [f"file: {', '.join(quoted[:-1])} and {quoted[-1]} are joined into one time, {names!r}"]


def test_a_date_is_joined_with_a_clock_or_an_hour():
    day = WHEN.strftime("%Y-%m-%d").tolist()
    for clock in (
        {"clock": WHEN.strftime("%H:%M").tolist()},
        {"time": (WHEN.hour * 100).to_numpy()},
        {"hour": WHEN.hour.to_numpy()},
    ):
        (name,) = clock
        result = found({"date": day, **clock})
        np.testing.assert_array_equal(result.frame[f"date {name}"].to_numpy(), WHEN.to_numpy())
    # Hours that end: 1 to 24.
    ends = found({"date": day, "hour": WHEN.hour.to_numpy() + 1})
    np.testing.assert_array_equal(ends.frame["date hour"].to_numpy(), (WHEN + timedelta(hours=1)).to_numpy())


DAYS = pandas.date_range("2022-03-01", periods=150, freq="D").strftime("%Y-%m-%d").tolist()
TAKEN = np.random.default_rng(12).integers(-300, 300, 150)
"""Seconds by which lengths of time differ."""


def as_clock(seconds):
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def as_minutes(seconds):
    return f"{seconds // 60}:{seconds % 60:02}"


@pytest.mark.parametrize(("name", "beside", "usual", "write"), [
    ("Time", "Distance", 3000, as_clock),
    ("Zeit", "Strecke (km)", 1.6 * 3600, as_clock),
    ("moving_time", "avg_cadence", 1500, lambda seconds: as_minutes(int(seconds))),
    # Those of an hour and more have their hour in front.
    ("time", "x", 3600, lambda seconds: as_clock(seconds) if seconds >= 3600 else as_minutes(int(seconds))),
    ("time", "x", 26 * 3600, as_clock),
    ("time", "swimmer", 90, lambda seconds: f"{int(seconds) // 60}:{int(seconds) % 60:02}.0"),
])  # fmt: skip
def test_lengths_of_time_beside_a_date_are_no_clock_of_it(name, beside, usual, write):
    seconds = usual + TAKEN / (10 if usual == 90 else 1)
    columns = {"date": DAYS, name: [write(length) for length in seconds], beside: range(150)}
    result = found(columns)
    np.testing.assert_array_equal(result.frame[name].to_numpy(), np.floor(seconds))
    assert any(f"{name!r} is read as lengths of time, in seconds" in remark for remark in result.remarks)
    assert f"date {name}" in found(columns, time=name).frame.columns


@pytest.mark.parametrize(("beside", "hour"), [("x", 0.5), ("distance", 7)])
def test_clocks_that_may_be_lengths_of_time_are_warned_of(beside, hour):
    columns = {"date": DAYS, "time": [as_clock(3600 * hour + 3 * taken + 900) for taken in TAKEN], beside: range(150)}
    result = found(columns)
    assert "date time" in result.frame.columns
    assert len(result.warnings) == 1
    assert "as lengths of time may be" in result.warnings[0]
    lengths = found(columns, kept={"time"}, amounts=["time"])
    np.testing.assert_array_equal(lengths.frame["time"].to_numpy(), 3600 * hour + 3 * TAKEN + 900)
    assert lengths.frame["date"].dtype == pl.Datetime
    assert not lengths.warnings


@pytest.mark.parametrize(("name", "beside", "clocks"), [
    ("time", "weight", [as_clock(7.5 * 3600 + taken) for taken in TAKEN]),
    ("Uhrzeit", "Distanz", [as_clock(3000 + taken) for taken in TAKEN]),
    ("time", "x", ["0:00" if row < 90 else "1:00" for row in range(150)]),
    ("time", "x", [as_clock(7200 + row % 7) for row in range(150)]),
    ("start_time", "race", [as_clock(3000 + taken) for taken in TAKEN]),
])  # fmt: skip
def test_clocks_of_each_day_are_joined(name, beside, clocks):
    result = found({"date": DAYS, name: clocks, beside: range(150)})
    assert f"date {name}" in result.frame.columns
    assert not result.warnings


def test_clocks_that_go_on_through_a_run_or_after_midnight_are_joined():
    runs = {"date": np.repeat(DAYS[:10], 60), "time": [as_clock(row % 60 * 30) for row in range(600)]}
    assert "date time" in found(runs | {"distance": range(600)}).frame.columns
    trips = [as_clock(hour * 3600 + 137) for hour in (9, 25, 5, 14, 22)]
    buses = {"date": np.repeat(DAYS, 5), "time": trips * 150, "passengers": range(750)}
    assert "date time" in found(buses).frame.columns


def test_lengths_of_time_are_a_feature_of_new_rows_too(tmp_path):
    draws = np.random.default_rng(13)
    frame = pl.DataFrame({
        "date": DAYS, "time": [as_minutes(1500 + int(taken)) for taken in TAKEN], "distance": draws.normal(9, 1, 150),
        "pulse": draws.normal(140, 5, 150),
    })  # fmt: skip
    frame.write_csv(tmp_path / "runs.csv")
    planned = table.plan({"table": str(tmp_path / "runs.csv"), "target": "pulse"})
    assert planned.mapping["features"] == ["time", "distance"]
    assert table.plan(planned.mapping).mapping == planned.mapping
    few = new_rows.NewRows(planned.task, frame[:9])
    np.testing.assert_array_equal(few.frame["time"].to_numpy(), 1500 + TAKEN[:9])


@pytest.mark.parametrize("name", ["time", "lights_off"])
def test_clocks_of_nights_under_the_date_of_the_evening_are_warned_of(name):
    night = pandas.Timestamp("2022-03-01 23:50")
    clocks = [f"{night + timedelta(minutes=int(taken) // 6):%H:%M}" for taken in TAKEN]
    result = found({"date": DAYS, name: clocks, "x": range(150)})
    assert len(result.warnings) == 1
    assert "before midnight and others after it" in result.warnings[0]
    # With the dates that the clocks showed, there is nothing to say.
    moments = [pandas.Timestamp(day) + timedelta(hours=23, minutes=50 + int(taken) // 6)
               for day, taken in zip(DAYS, TAKEN, strict=True)]  # fmt: skip
    right = {"date": [f"{moment:%Y-%m-%d}" for moment in moments], name: clocks, "x": range(150)}
    assert not found(right).warnings


def test_times_to_bed_are_no_clock_of_their_rows():
    result = found({"date": DAYS, "time_to_bed": ["23:30", "00:10", "22:50"] * 50})
    assert result.frame.columns == ["date", "time_to_bed"]


def test_years_of_two_figures_and_names_of_months_are_parts():
    when = pandas.date_range("1995-01-01", periods=120, freq="MS")
    for name, year in (("yy", when.year % 100), ("year", when.year)):
        result = found({name: year.to_numpy(), "month": when.strftime("%b").tolist()})
        np.testing.assert_array_equal(result.frame[f"{name} month"].to_numpy(), when.to_numpy())
        assert ("years of two figures" in result.remarks[-1]) == (name == "yy")


def test_a_day_that_is_not_in_the_calendar_is_missing_and_named():
    parts = {"year": [2023] * 30, "month": [2] * 30, "day": [*range(1, 29), 29, 30], "x": range(30)}
    result = found(parts)
    assert result.frame["year month day"].null_count() == 2
    assert "is no date in 2 rows, the first of them 2023-2-29 in data row 29" in result.remarks[1]


def test_parts_that_are_wanted_stay():
    columns = {
        "year": WHEN.year.to_numpy(),
        "month": WHEN.month.to_numpy(),
        "day": WHEN.day.to_numpy(),
        "hour": WHEN.hour.to_numpy(),
    }
    assert found(columns, kept={"hour"}).frame.columns == ["year month day hour", "hour"]
    assert found(columns, whole={"hour"}).frame.columns == ["year month day", "hour"]
    assert found(columns, join=False).frame.columns == ["year", "month", "day", "hour"]


def test_parts_beside_a_whole_time_are_left_alone():
    columns = {
        "when": WHEN.strftime("%Y-%m-%d %H:%M").tolist(),
        "hour": WHEN.hour.to_numpy(),
        "year": WHEN.year.to_numpy(),
    }
    assert found(columns).frame.columns == ["when", "hour", "year"]


def test_parts_without_a_year_are_warned_of():
    result = found({"month": WHEN.month.to_numpy(), "day": WHEN.day.to_numpy(), "hour": WHEN.hour.to_numpy()})
    assert result.frame.columns == ["month", "day", "hour"]
    assert result.warnings[0].startswith("'month', 'day', 'hour' look like parts of a time, but there is no year")


def test_years_alone_are_times_where_each_occurs_once():
    assert found({"year": np.arange(1990, 2020)}).frame["year"].dtype == pl.Datetime
    cars = {"year": np.random.default_rng(0).integers(1990, 2020, size=60), "make": np.repeat(["A", "B"], 30)}
    assert found(cars).frame["year"].dtype == pl.Int64


@pytest.mark.parametrize("noon", ["PM", "p.m.", "pm"])
def test_a_clock_of_twelve_hours_is_joined_with_its_half_of_the_day(noon):
    halves = [noon if hour >= 12 else noon.replace("p", "a").replace("P", "A") for hour in WHEN.hour]
    table = {"day": WHEN.strftime("%Y-%m-%d").to_list(), "time": WHEN.strftime("%I:%M:%S").to_list(), "half": halves}
    result = found(table)
    assert result.frame.columns == ["day time"]
    assert result.frame["day time"].to_list() == WHEN.to_pydatetime().tolist()
    other = found(table | {"half": ["am", "x"] * 500})
    assert "half" in other.frame.columns


def test_a_million_dates_are_quick():
    # Work grows with the distinct days and times of day, not with cells: twenty regular expressions over a million
    # cells would take far longer than this.
    import time

    cells = pl.datetime_range(datetime(2000, 1, 1), datetime(2000, 1, 1) + timedelta(minutes=299_999), "1m", eager=True)
    text = cells.dt.strftime("%d.%m.%Y %H:%M").alias("time")
    began = time.process_time()
    reading = dates.read(text, at)
    assert time.process_time() - began < 3
    assert (reading.column == cells).all()


@pytest.mark.parametrize(
    ("form", "step", "how"),
    [
        ("%d%m%Y%H%M", timedelta(days=1), "DDMMYYYYHHMM"),
        ("%d%m%Y%H%M", timedelta(minutes=170), "DDMMYYYYHHMM"),
        ("%m%d%Y%H%M", timedelta(hours=31), "MMDDYYYYHHMM"),
        ("%d%m%Y%H%M%S", timedelta(hours=5), "DDMMYYYYHHMMSS"),
        ("%m%d%Y%H", timedelta(hours=9), "MMDDYYYYHH"),
        ("%y%m%d%H%M", timedelta(minutes=10), "YYMMDDHHMM"),
        ("%m%d%Y", timedelta(days=1), "figures run together"),
    ],
)
def test_figures_with_the_year_elsewhere(form, step, how, tmp_path):
    # Until mid-August: months have a zero in front, which numbers lose.
    moments = [datetime(2023, 3, 2) + k * step for k in range(160)]
    path = tmp_path / "t.csv"
    path.write_text("time,x,y\n" + "\n".join(f"{m:{form}},{k % 7},{k % 11}" for k, m in enumerate(moments)))
    mapping, lines = table.complete({"table": str(path), "target": "y"})
    assert f"file: 'time' read as dates written as {how}" in lines
    assert any(line.startswith("spans: even, ") for line in lines) and not any("sorted by" in line for line in lines)
    loaded = dates.seconds(meaning.Meaning(mapping, path).frame["time"])
    assert (loaded - loaded[0]).tolist() == [(m - moments[0]).total_seconds() for m in moments]


@pytest.mark.parametrize(("form", "minutes", "how"), [("%H%M", 15, "HHMM"), ("%H%M%S", 7.5, "HHMMSS")])
def test_a_clock_without_separators_under_any_name(form, minutes, how, tmp_path):
    moments = [datetime(2023, 3, 2) + timedelta(minutes=k * minutes) for k in range(96)]
    path = tmp_path / "t.csv"
    path.write_text("time,x,y\n" + "\n".join(f"{m:{form}},{k % 7},{k % 11}" for k, m in enumerate(moments)))
    _, lines = table.complete({"table": str(path), "target": "y"})
    assert f"file: 'time' read as a clock, {how}" in lines and any(line.startswith("spans: even") for line in lines)


def clocks(minutes, form, first=0, steps=96):
    moments = [datetime(2023, 3, 2) + timedelta(minutes=first + k * minutes) for k in range(steps)]
    return [float(f"{m:{form}}"[: 9 if form.endswith("%f") else None]) for m in moments]


@pytest.mark.parametrize(
    ("minutes", "form", "first", "how"),
    [
        (5, "%H%M%S", 0, "HHMMSS"), (3, "%H%M%S", 480, "HHMMSS"), (1, "%H%M%S", 540, "HHMMSS"),
        (0.7, "%H%M%S%f", 540.00205, "HHMMSS and milliseconds"), (0.1, "%H%M%S%f", 100, "HHMMSS and milliseconds"),
        (10, "%H.%M", 0, "HH.MM"), (15, "%H.%M", 480, "HH.MM"), (15, "%H%M", 480, "HHMM"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["time", "clock", "Uhrzeit", "heure", "hora", "ora", "klokke", "tid", "Zeit", "<TIME>", "utc", "dep_time"]
)
def test_whole_minutes_in_figures_are_a_clock_under_all_words_for_one(name, minutes, form, first, how):
    reading = read(clocks(minutes, form, first), name)
    assert reading.remarks == (f"file: {name!r} read as a clock, {how}",) and reading.in_minutes == (how == "HH.MM")
    passed = np.diff(dates.unrolled(reading.column)[0].dt.total_milliseconds().to_numpy())
    np.testing.assert_array_equal(passed, round(minutes * 60_000))


@pytest.mark.parametrize(
    "numbers",
    [
        [5000 * k for k in range(49)], [5000 * k for k in range(60) if k % 7], [100 * k for k in range(60)],
        [0.5 * k for k in range(48)], [0.5 * k for k in range(48) if k % 7], [0.25 * k for k in range(90)],
        [0.01 * k for k in range(60) if k % 7], [50_000 * k for k in range(90)], [7000 * k for k in range(90)],
        [50 * k for k in range(48)], [50 * k for k in range(48) if k % 7], [50 * k for k in range(20)],
        [100 + k % 60 for k in range(0, 300, 7)], [10_000 + k % 60 for k in range(0, 300, 7)],
        [0, 30, 100, 200, 400, 800],
        [*range(24), *range(24)],
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["time", "Zeit", "heure"])
def test_counts_are_no_clocks(name, numbers):
    assert read(numbers, name) is None


@pytest.mark.parametrize("name", ["response_time", "Reaction Time", "waitTime", "time (s)", "time_ms", "elapsed_time"])
def test_amounts_of_time_are_no_clocks(name):
    assert read(clocks(5, "%H%M%S"), name) is None


@pytest.mark.parametrize(
    ("numbers", "how"),
    [
        (clocks(37 / 60, "%H%M%S", 570.0, 20), "HHMMSS"), (clocks(15, "%H%M", 480, 12), "HHMM"),
        ([801.0, 817, 845, 912, 934, 1003, 1026, 1051, 1109, 1138], "HHMM"),
    ],
)  # fmt: skip
def test_few_numbers_that_may_be_a_clock_stay_numbers_with_a_warning(numbers, how):
    reading = read(numbers, "time")
    (warning,) = reading.warnings
    assert reading.column.to_list() == numbers and f"may be a clock, {how}, and count as they stand" in warning
    assert read(numbers, f"time ({how})").column.dtype == pl.Duration


@pytest.mark.parametrize("date", ["2023-03-01", 20230301])
def test_a_date_that_is_the_same_in_all_rows_goes_with_its_clock(date):
    numbers = [int(number) for number in clocks(0.7, "%H%M%S%f", 540.00205)]
    found = time_columns.find(pl.DataFrame({"date": [date] * 96, "time": numbers}), at)
    when = pandas.to_datetime([f"20230301{number:09d}" for number in numbers], format="%Y%m%d%H%M%S%f")
    assert found.frame["date time"].to_list() == when.to_pydatetime().tolist()


@pytest.mark.parametrize("name", ["day", "Tag", "study_day", "VISITDY"])
@pytest.mark.parametrize("subjects", [1, 3])
def test_days_that_are_counted_go_with_their_clock(name, subjects):
    passed = pandas.to_timedelta(np.cumsum([0, *[9] * 30, 77, *[9] * 30]), unit="h") + pandas.Timedelta("1D 8h")
    columns = {
        "subject": np.repeat([f"s{k}" for k in range(subjects)], len(passed)),
        name: [moment.days for moment in passed] * subjects,
        "clock": [f"{pandas.Timestamp(0) + moment:%H:%M}" for moment in passed] * subjects,
    }
    found = time_columns.find(pl.DataFrame(columns), at)
    assert found.frame[f"{name} clock"].to_list() == passed.to_pytimedelta().tolist() * subjects
    assert found.remarks == [f"file: {name!r} and 'clock' are joined into one time, '{name} clock'"]
    alone = time_columns.find(pl.DataFrame(columns).drop("subject"), at)
    assert bool(alone.questions) == (subjects > 1)
    if subjects > 1:
        assert "name what has days of its own with --group, or write a date" in alone.questions["clock"]


def test_a_day_of_the_week_leaves_its_clock_alone():
    hours = range(24 * 16)
    columns = {"day": [hour // 24 % 7 + 1 for hour in hours], "clock": [f"{hour % 24:02d}:30" for hour in hours]}
    found = time_columns.find(pl.DataFrame(columns), at)
    assert found.frame.columns == ["day", "clock"] and not found.questions and not found.remarks


@pytest.mark.parametrize(
    ("name", "numbers", "part"),
    [
        ("Year", range(-2000, 10, 10), False), ("year", range(800, 1990, 10), False), ("year", [1990.25], False),
        ("month", range(600, 720), False), ("fiscal_year", range(1990, 2020), True), ("hour", range(24), True),
        ("day", range(1, 367), True), ("time", range(9), False),
    ],
)  # fmt: skip
def test_parts_of_a_time_have_numbers_within_limits(name, numbers, part):
    assert time_columns.is_part(pl.Series(name, numbers)) is part


@pytest.mark.parametrize("name", ["time", "Uhrzeit", "heure"])
def test_a_clock_in_figures_is_joined_with_a_date_in_any_language(name):
    when = pandas.date_range("2023-03-01", periods=60, freq="90min")
    columns = {
        "Datum": when.strftime("%Y-%m-%d").tolist(),
        name: [100 * moment.hour + moment.minute for moment in when],
    }
    found = time_columns.find(pl.DataFrame(columns), at)
    assert found.frame[f"Datum {name}"].to_list() == when.to_pydatetime().tolist() and not found.doubts.get(name)


@pytest.mark.parametrize("numbers", [[1_709_251_200 + 7 * k for k in range(200)], [5 * k for k in range(200)]])
def test_seconds_are_no_figures_of_a_date(numbers, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,x,y\n" + "\n".join(f"{n},{k % 7},{k % 11}" for k, n in enumerate(numbers)))
    _, lines = table.complete({"table": str(path), "target": "y"})
    assert not any("written as" in line or "clock" in line for line in lines)


def test_figures_that_fit_both_orders_are_a_question(tmp_path):
    moments = [datetime(2023, 3, 2) + k * timedelta(minutes=7) for k in range(160)]
    path = tmp_path / "t.csv"
    path.write_text("time,x,y\n" + "\n".join(f"{m:%d%m%Y%H%M},{k % 7},{k % 11}" for k, m in enumerate(moments)))
    with pytest.raises(ValueError, match="can be read as day, month, year or month, day, year; say which with --dates"):
        table.complete({"table": str(path), "target": "y"})
    _, lines = table.complete({"table": str(path), "target": "y", "dates": "day-first"})
    assert any(line.startswith("spans: even, 7 min") for line in lines)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Zeit in ms", "ms"),
        ("TIME (µs)", "us"),
        ("Relative Time / h", "h"),
        ("timestampNs", "ns"),
        ("minutes since start", "min"),
        ("tiempo_horas", "h"),
        ("sys_uptime", None),
    ],
)
def test_names_of_times(name, unit):
    assert words.time_name(name) == words.TimeName(unit)


@pytest.mark.parametrize(
    "name", ["temperature [C]", "t1", "response time", "Messzeit", "hour", "min", "min_temp", "timer_fault", ""]
)
def test_names_of_other_things(name):
    assert words.time_name(name) is None


def parts(rows, **columns):
    return time_columns.find(pl.DataFrame({**columns, "x": [float(row) for row in range(rows)]}), str)


@pytest.mark.parametrize(("name", "form"), [("iso_week", "{}"), ("Woche", "KW {:02d}"), ("Week No", "W{}")])
def test_years_and_weeks_are_joined_as_pythons_calendar_has_them(name, form):
    mondays = [datetime(2014, 12, 29) + timedelta(weeks=week) for week in range(350)]
    years, weeks = zip(*((day.isocalendar().year, day.isocalendar().week) for day in mondays), strict=True)
    written = [form.format(week) for week in weeks]
    found = parts(350, Year=years, **{name: list(weeks) if form == "{}" else written})
    assert found.frame[f"Year {name}"].to_list() == mondays
    assert f"file: weeks of 'Year {name}' are read as those of ISO 8601, by their Mondays" in found.remarks


@pytest.mark.parametrize("form", ["Q{}", "{}", "Quarter {}"])
def test_years_and_quarters_are_joined(form):
    quarters = [number % 4 + 1 for number in range(40)]
    years = [2000 + number // 4 for number in range(40)]
    written = quarters if form == "{}" else [form.format(number) for number in quarters]
    found = parts(40, jahr=years, quartal=written)
    expected = [datetime(year, 3 * quarter - 2, 1) for year, quarter in zip(years, quarters, strict=True)]
    assert found.frame["jahr quartal"].to_list() == expected


@pytest.mark.parametrize("name", ["day", "DOY", "day_of_year"])
def test_years_and_days_of_the_year_are_joined_also_beside_months(name):
    days = [datetime(2023, 11, 1) + timedelta(days=day) for day in range(90)]
    of_year = [day.timetuple().tm_yday for day in days]
    found = parts(90, year=[day.year for day in days], month=[day.month for day in days], **{name: of_year})
    assert found.frame[f"year {name}"].to_list() == days


def test_a_year_beside_months_and_weeks_takes_the_weeks():
    days = [datetime(2024, 1, 1) + timedelta(weeks=week) for week in range(45)]
    found = parts(
        45, year=[2024] * 45, month=[day.month for day in days], week=[day.isocalendar().week for day in days]
    )
    assert found.frame["year week"].to_list() == days


def test_fiscal_years_with_letters_are_joined_with_their_weeks():
    years = [19 + week // 52 for week in range(150)]
    weeks = [week % 52 + 1 for week in range(150)]
    found = parts(150, **{"Fiscal Year": [f"FY{year}" for year in years]}, Week=weeks)
    expected = [datetime.fromisocalendar(2000 + year, week, 1) for year, week in zip(years, weeks, strict=True)]
    assert found.frame["Fiscal Year Week"].to_list() == expected


def qualified(year, part, most, rows=60, begin=2011):
    """Years and what divides them, row by row."""
    return parts(
        rows,
        **{year: [begin + row // most for row in range(rows)], part: [row % most + 1 for row in range(rows)]},
    )


@pytest.mark.parametrize(
    "names",
    [
        ("sample_year", "sample_month"),
        ("Year (sample)", "Month (sample)"),
        ("visitYear", "visitMonth"),
        ("Academic Year", "month"),
        ("season", "Calendar Month"),
    ],
)
def test_parts_under_qualified_names_are_joined(names):
    found = qualified(*names, most=12)
    assert found.frame.columns == [" ".join(names), "x"]
    np.testing.assert_array_equal(
        found.frame.to_series(0).to_numpy(), pandas.date_range("2011-01-01", periods=60, freq="MS").to_numpy()
    )


@pytest.mark.parametrize(
    "names",
    [
        ("birth_year", "birth_month"),
        ("model_year", "month"),
        ("trip_year", "visit_month"),
        ("year", "study_day"),
        ("yearly_cost", "monthly_cost"),
    ],
)
def test_parts_of_other_times_are_not_joined(names):
    assert qualified(*names, most=12).frame.columns == [*names, "x"]


@pytest.mark.parametrize(
    "names", [("MMWR Year", "MMWR Week"), ("season", "week"), ("epi_year", "week"), ("year", "wk")]
)
def test_weeks_of_qualified_years_are_those_of_pythons_calendar(names):
    found = qualified(*names, most=52, rows=150)
    expected = [datetime.fromisocalendar(2011 + row // 52, row % 52 + 1, 1) for row in range(150)]
    assert found.frame[" ".join(names)].to_list() == expected


@pytest.mark.parametrize(
    ("names", "most", "ends"),
    [
        (("fiscal_year", "fiscal_quarter"), 4, datetime(2025, 10, 1)),
        (("financial_year", "period"), 12, datetime(2015, 12, 1)),
        (("school_year", "Term"), 3, datetime(2030, 9, 1)),
        (("FY", "accounting period"), 13, datetime(2015, 7, 16)),
    ],
)
def test_periods_divide_their_years_evenly(names, most, ends):
    found = qualified(*names, most=most)
    times = found.frame[" ".join(names)]
    assert times[0] == datetime(2011, 1, 1) and times[-1] == ends
    spans = np.diff(dates.seconds(times)) / 86_400
    assert spans.min() >= 365 // most - 3 and spans.max() <= 366 / most + 2


def test_periods_are_read_with_letters_and_only_where_they_begin_again():
    years = [f"FY{2017 + row // 12}" for row in range(60)]
    found = parts(60, FY=years, Period=[f"P{row % 12 + 1:02d}" for row in range(60)])
    assert found.frame["FY Period"].to_list()[11:14] == [
        datetime(2017, 12, 1),
        datetime(2018, 1, 1),
        datetime(2018, 2, 1),
    ]
    assert "file: 'Period' is read as 12 equal parts of each year" in found.remarks
    on_and_on = parts(60, year=[2017 + row // 12 for row in range(60)], round=[row // 12 + 1 for row in range(60)])
    assert "round" in on_and_on.frame.columns


@pytest.mark.parametrize("name", ["water_year", "season"])
def test_years_that_begin_within_a_calendar_year(name):
    when = pandas.date_range("1990-10-01", periods=72, freq="MS")
    begins = (when.year - (when.month < 10)).to_numpy()
    pairs = name == "season"
    years = [f"{year}-{(year + 1) % 100:02d}" for year in begins] if pairs else (begins + 1).tolist()
    found = parts(72, **{name: years}, month=when.month.to_numpy())
    np.testing.assert_array_equal(found.frame[f"{name} month"].to_numpy(), when.to_numpy())
    assert f"file: years of '{name}' begin in month 10, as its rows follow one another" in found.remarks


@pytest.mark.parametrize("form", ["{}-{:02d}", "{}/{:02d}", "FY{}-{:02d}", "{} / {:02d}", "{}{:02d}"])
@pytest.mark.parametrize("begin", [1895, 1996, 2003])
def test_pairs_of_years_are_the_years_they_begin_in(form, begin):
    years = list(range(begin, begin + 8))
    reading = read([form.format(year, (year + 1) % 100) for year in years] * 2, name="winter")
    assert reading.column.to_list() == [datetime(year, 1, 1) for year in years] * 2
    months = all(1 <= (year + 1) % 100 <= 12 for year in years)
    assert (bool(reading.warnings), bool(reading.remarks)) == (months, not months)
    assert ("if they are months" in str(reading.warnings)) == months


@pytest.mark.parametrize("form", ["{}-{}", "{}/{}", "{}{}"])
def test_pairs_of_years_in_full(form):
    numbers = [form.format(year, year + 1) for year in range(1987, 1999)]
    cells = [int(cell) if cell.isdigit() else cell for cell in numbers]
    assert [when.year for when in read(cells, name="season").column] == list(range(1987, 1999))


def test_months_that_follow_one_another_are_no_pairs_of_years():
    when = pandas.date_range("2001-01-01", periods=48, freq="MS")
    for pattern in ("%Y-%m", "%Y/%m", "%Y%m"):
        reading = read(when.strftime(pattern).tolist(), name="month")
        assert_read_as(reading, when)
        assert not reading.warnings
    assert not read(["2001-02"] * 30).warnings


def test_moments_of_sas_are_read_alike_whether_asked_for_or_found():
    when = moments(cells=50, first="1985-01-01", last="2030-01-01")
    cells = [(moment - pandas.Timestamp("1960-01-01")).total_seconds() for moment in when]
    for asked in (False, True):
        assert_read_as(read(cells, name="ASTDTM", asked=asked), when)
        assert read([21_900 + day for day in range(60)], name="ADT", asked=asked) is None


@pytest.mark.parametrize("name", ["Date/Time", "date_time", "DATE TIME"])
def test_days_of_a_spreadsheet_under_a_date_and_time(name):
    reading = read([45292.0 + row / 24 for row in range(48)], name=name)
    assert reading.column[24] == datetime(2024, 1, 2)


@pytest.mark.parametrize("cells", [["Day 0", "Day 14", "Day 28"], ["TCK-1000", "TCK-1001"], ["Pump 10", "Motor 12"]])
def test_words_with_numbers_are_no_months_of_another_language(cells):
    assert read(cells * 10, name="visit") is None


@pytest.mark.parametrize(("how", "start"), [("Windows file times", "1601-01-01"), (".NET ticks", "0001-01-01")])
def test_tenths_of_microseconds(how, start):
    when = moments(first="2001-01-01")
    ticks = (when.to_numpy().astype("datetime64[s]") - np.datetime64(start, "s")).astype(np.int64) * 10_000_000
    reading = read(ticks, "timestamp")
    assert reading is not None
    assert_read_as(reading, when)
    assert f"file: 'timestamp' read as {how}" in reading.remarks[0]


@pytest.mark.parametrize("names", ["Data,Ora", "giorno,orario"])
def test_a_clock_is_no_time_where_its_dates_are_a_question(tmp_path, names):
    path = tmp_path / "mine.csv"
    start = datetime(2024, 1, 1, 8)
    rows = [start + timedelta(days=row // 60, minutes=10 * (row % 60)) for row in range(300)]
    cells = (
        f"{when:%d/%m/%Y},{when:%H:%M:%S},{math.sin(row):.3f},{row * 37 % 101 / 7:.3f}" for row, when in enumerate(rows)
    )
    path.write_text("\n".join([f"{names},x,y", *cells]))
    with pytest.raises(ValueError, match=f"time column '{names.split(',')[0]}': its dates, such as '01/01/2024', can"):
        table.complete({"table": str(path), "target": "y"})
    mapping, _ = table.complete({"table": str(path), "target": "y", "dates": "day-first"})
    assert mapping["time"] == names.replace(",", " ") and mapping["features"] == ["x"]


def test_dates_that_are_a_question_are_no_categories(tmp_path):
    path = tmp_path / "mine.csv"
    cells = (f"{row},0{1 + row // 60}/02/2024,{math.sin(row):.3f},{row * 37 % 101 / 7:.3f}" for row in range(300))
    path.write_text("\n".join(["t [s],Data,x,y", *cells]))
    mapping, lines = table.complete({"table": str(path), "target": "y", "group": None})
    assert (mapping["time"], mapping["features"]) == ("t [s]", ["x"])
    assert "left out: 'Data' holds dates, which serve as times only" in lines


def halves(moments, unit):
    """Whole seconds since 1970 of moments, and the rest in a smaller unit."""
    nanoseconds = moments.astype("datetime64[ns]").astype(np.int64).to_numpy()
    return nanoseconds // 10**9, nanoseconds % 10**9 // {"ms": 10**6, "us": 10**3, "ns": 1}[unit]


@pytest.mark.parametrize(
    ("seconds", "rest", "unit"),
    [
        ("sec", "nanosec", "ns"),
        ("header.stamp.secs", "header.stamp.nsecs", "ns"),
        ("imu.header.stamp.sec", "imu.header.stamp.nanosec", "ns"),
        ("tv_sec", "tv_usec", "us"),
        ("timestamp_s", "timestamp_ns", "ns"),
        ("timestamp", "timestamp_us", "us"),
        ("timestamp", "millisecond", "ms"),
        ("stampSec", "stampNsec", "ns"),
    ],
)
def test_seconds_and_what_is_left_of_them_are_one_time(seconds, rest, unit):
    when = pandas.date_range("2024-05-31 13:45", periods=100, freq="123456789ns").floor(
        {"ns": "1ns"}.get(unit, f"1{unit}")
    )
    whole, left = halves(when, unit)
    result = found({seconds: whole, rest: left, "x": np.arange(100.0)})
    assert result.frame.columns == [f"{seconds} {rest}", "x"]
    assert (
        result.frame.to_series(0).cast(pl.Int64).to_list()
        == (when.astype("datetime64[ns]") if unit != "ms" else when.astype("datetime64[us]")).astype(np.int64).tolist()
    )
    assert f"file: {seconds!r} and {rest!r} are joined into one time, '{seconds} {rest}'" in result.remarks
    assert result.joined == {seconds: f"{seconds} {rest}", rest: f"{seconds} {rest}"}


def test_milliseconds_go_with_a_date_and_a_clock_and_with_parts():
    when = pandas.date_range("2024-05-31 13:45", periods=100, freq="377ms")
    left = (when.microsecond // 1000).to_numpy()
    for columns in (
        {"Date": when.strftime("%d.%m.%Y").tolist(), "Time": when.strftime("%H:%M:%S").tolist(), "ms": left},
        {"Time": when.strftime("%Y-%m-%d %H:%M:%S").tolist(), "Milliseconds": left},
        {part: getattr(when, part).to_numpy() for part in ("year", "month", "day", "hour", "minute", "second")}
        | {"millisecond": left},
    ):
        frame = found({**columns, "x": np.arange(100.0)}).frame
        assert frame.columns == [" ".join(columns), "x"]
        np.testing.assert_array_equal(frame.to_series(0).to_numpy(), when.to_numpy())


@pytest.mark.parametrize("names", [("secs", "nsecs"), ("minute", "second"), ("hours", "minutes")])
def test_elapsed_times_in_two_columns_are_one(names):
    scale, per = {"secs": (1e-9, 10**9), "minute": (1, 60), "hours": (60, 60)}[names[0]]
    counts = np.cumsum(np.random.default_rng(0).integers(1, per // 2, size=100))
    frame = found({names[0]: counts // per, names[1]: counts % per, "x": np.arange(100.0)}).frame
    assert frame.columns == [" ".join(names), "x"]
    assert dates.seconds(frame.to_series(0)) == pytest.approx((counts - counts[0]) * scale, rel=1e-12)


@pytest.mark.parametrize(
    "columns",
    [
        # A duration beside a time of its own, a whole time in either unit, a minimum and a deviation, a countdown.
        {"time": WHEN[:60].strftime("%Y-%m-%d %H:%M:%S").tolist(), "ms": np.arange(60) * 7 % 900},
        {"timestamp_s": 1_700_000_000 + np.arange(60), "timestamp_ms": 1_700_000_000_000 + 1000 * np.arange(60)},
        {"min": np.arange(60) % 7, "s": np.arange(60) % 11},
        {"speed_s": np.arange(60), "latency_ms": np.arange(60) * 7 % 900},
        {"day": WHEN[:60].strftime("%Y-%m-%d").tolist(), "ms": np.arange(60) * 7 % 900},
    ],
)
def test_what_is_no_rest_of_a_time_stays(columns):
    assert found(columns).frame.columns == list(columns)


CLOCKS = pandas.date_range("2024-03-30", periods=200, freq="15min")
BERLIN = CLOCKS.tz_localize("UTC").tz_convert("Europe/Berlin")
SUMMER = np.array([moment.utcoffset().total_seconds() == 7200 for moment in BERLIN])


@pytest.mark.parametrize(
    ("name", "zones"),
    [
        ("tz", np.where(SUMMER, "+02:00", "+01:00")),
        ("utc_offset", np.where(SUMMER, "+0200", "UTC+1")),
        ("utc_offset", np.where(SUMMER, 2, 1)),
        ("tz_offset_min", np.where(SUMMER, 120, 60)),
        ("gmt offset (s)", np.where(SUMMER, 7200.0, 3600.0)),
        ("TimeZone", np.where(SUMMER, "CEST", "CET")),
        ("zone", np.full(200, "Europe/Berlin")),
        ("is_dst", SUMMER),
    ],
)
def test_zones_in_a_column_of_their_own_are_applied(name, zones):
    columns = {"when": BERLIN.strftime("%Y-%m-%d %H:%M").tolist(), name: zones.tolist(), "x": np.arange(200.0)}
    result = found(columns)
    assert result.frame.columns == ["when", "x"] and result.remarks == [f"file: 'when' brought to UTC by {name!r}"]
    times = result.frame["when"] + (timedelta(hours=1) if name == "is_dst" else timedelta(0)) * -1
    np.testing.assert_array_equal(times.to_numpy(), CLOCKS.to_numpy())


@pytest.mark.parametrize(
    ("name", "zones", "words"),
    [
        ("timezone", np.where(SUMMER, "W. Europe Daylight Time", "CET"), "'W. Europe Daylight Time' in data row 101"),
        ("timezoneOffset", np.where(SUMMER, -120, -60), "fit better as the time that UTC is ahead of the clock"),
        ("tz", np.where(SUMMER, 37, 21), "21 is no offset of hours, minutes or seconds"),
        ("tz", np.where(SUMMER, 200, 100), ""),
        ("tz", np.where(SUMMER, 300, 600), "may be hours and minutes, or minutes alone"),
    ],
)
def test_zones_that_are_not_plain_are_a_question(name, zones, words):
    columns = {"when": BERLIN.strftime("%Y-%m-%d %H:%M").tolist(), name: zones.tolist(), "x": np.arange(200.0)}
    result = found(columns)
    if not words:
        np.testing.assert_array_equal(result.frame["when"].to_numpy(), CLOCKS.to_numpy())
        return
    assert words in result.questions["when"] and "write offsets such as +02:00" in result.questions["when"]


@pytest.mark.parametrize(
    ("when", "zones"),
    [
        ("%Y-%m-%d %H:%M%z", np.where(SUMMER, "+02:00", "+01:00")),
        ("%Y-%m-%d %H:%M", np.full(200, "+02:00")),
        ("%Y-%m-%d %H:%M", np.where(SUMMER, "north", "south")),
        ("%Y-%m-%d", np.where(SUMMER, "CEST", "CET")),
    ],
)
def test_a_column_of_zones_says_nothing_new_where_times_have_theirs_or_there_is_one(when, zones):
    columns = {"when": BERLIN.strftime(when).tolist(), "zone": zones.tolist()}
    with_it, without = found(columns), found({"when": columns["when"]})
    assert with_it.frame.columns == ["when", "zone"] and not with_it.questions
    assert with_it.frame["when"].equals(without.frame["when"])


@pytest.mark.parametrize(
    "form",
    [
        "PT{0}H{1}M",
        "P{2}DT{3}H{1}M0.0S",
        "P0Y0M{2}DT{3}H{1}M0S",
        "{2}d {3}h {1}m",
        "{0}h{1}min",
        "{2} days, {3} hours, {1} minutes",
        "{2}.{3:02d}:{1:02d}:00",
        "{2}.{3:02d}:{1:02d}:00.0000000",
    ],
)
def test_elapsed_times_in_units_are_read(form):
    minutes = [37 * row for row in range(200)]
    cells = [form.format(m // 60, m % 60, m // 1440, m // 60 % 24) for m in minutes]
    reading = dates.read(pl.Series("elapsed", cells), at)
    assert reading is not None
    expected = pd.to_timedelta(minutes, unit="min").as_unit("us")
    np.testing.assert_array_equal(reading.column.cast(pl.Int64).to_numpy(), expected.asi8)


@pytest.mark.parametrize("cells", [["5 m", "7 m", "12 m"] * 30, ["2h 5m", "3h 1m"] * 30, ["5mm", "5.5h x"] * 40])
def test_amounts_and_categories_are_no_elapsed_times(cells):
    assert dates.read(pl.Series("length", cells), at) is None


@pytest.mark.parametrize(
    ("form", "months"),
    [("Q{1}-{0}", 3), ("Q{1} {0}", 3), ("{1}Q{0}", 3), ("{0}:Q{1}", 3), ("{0}-S{1}", 6), ("H{1}-{0}", 6)],
)
def test_quarters_and_halves_are_read_in_either_order(form, months):
    starts = pd.date_range("1950-01-01", periods=40, freq=f"{months}MS")
    cells = [form.format(start.year, 1 + (start.month - 1) // months) for start in starts]
    reading = dates.read(pl.Series("period", cells), at)
    assert reading is not None and reading.column.to_list() == list(starts.to_pydatetime())


def test_counts_from_1960_are_pointed_out():
    seconds = [2_020_000_000 + 3600 * row for row in range(40)]
    reading = dates.read(pl.Series("datetime", seconds), at)
    assert reading is not None and "counts from 1960 (SAS, Stata) have the same spans" in reading.remarks[0]
    reading = dates.read(pl.Series("unix_time", seconds), at)
    assert reading is not None and "1960" not in reading.remarks[0]


@pytest.mark.parametrize("day", ["03/01/2024", "03/03/2024"])
def test_a_single_day_is_read_in_an_order_that_is_said(day, tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{day} {8 + row // 6:02}:{row % 6}0,{row % 7}.5,{row % 5}.25" for row in range(80)]
    path.write_text("\n".join(["when,x,y", *rows]))
    said = "".join(table.plan({"table": str(path), "target": "y", "time": "when"}).lines)
    remark = "'when' read as day, month, year; spans are the same with month, day, year"
    assert (remark in said) == (day != "03/03/2024")


WEEKDAYS = {
    "German, short": "Mo Di Mi Do Fr Sa So",
    "German": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "French, short": "lun. mar. mer. jeu. ven. sam. dim.",
    "French": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "Spanish, short": "lun mar mié jue vie sáb dom",
    "Spanish": "lunes martes miércoles jueves viernes sábado domingo",
    "Italian, short": "lun mar mer gio ven sab dom",
    "Italian": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "Portuguese, short": "seg ter qua qui sex sáb dom",
    "Portuguese": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    "Dutch, short": "ma di wo do vr za zo",
    "Dutch": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    "English": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
}


@pytest.mark.parametrize("language", WEEKDAYS)
@pytest.mark.parametrize(
    "pattern", ["{}, %d.%m.%Y", "{} %d.%m.%y", "{} %d/%m/%Y %H:%M", "{}, %-d mai %Y", "{} %Y-%m-%d"]
)
def test_weekdays_in_front_of_dates_are_read_in_the_languages_of_the_months(language, pattern):
    when = pandas.date_range("2023-05-01 09:30", "2023-05-31", freq="D")
    when = when if "%H" in pattern else when.normalize()
    names = WEEKDAYS[language].split()
    assert_read_as(read([moment.strftime(pattern.format(names[moment.weekday()])) for moment in when]), when)


@pytest.mark.parametrize("key", ["MA 2022-{:02d}", "FR 2022Q{}", "so 2022{:02d}", "Di {}", "Mo-{:02d}"])
def test_keys_that_begin_like_a_weekday_are_no_dates(key):
    assert read([key.format(1 + row % 4) for row in range(60)], name="series") is None
