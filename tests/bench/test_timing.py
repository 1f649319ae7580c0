"""When the rows of a user's table were: numbered parts of days and years, exchanged days and months, units."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from drawn import beside_noise

from liquidbench.tasks import table, time_columns


@pytest.fixture
def plan(planned):
    """What is said of a table with these columns besides two of noise."""
    return lambda columns, **asked: planned(beside_noise(columns), **asked).lines


@pytest.mark.parametrize("begins", [date(2023, 3, 8), date(2023, 10, 25)])
@pytest.mark.parametrize(
    ("name", "minutes", "first"), [("SETTLEMENT_PERIOD", 30, 1), ("intervalo", 15, 0), ("Trading Interval No", 60, 1)]
)
def test_numbered_parts_of_days_go_on_over_the_days_on_which_clocks_are_set(plan, begins, name, minutes, first):
    local = ZoneInfo("America/New_York")
    moment = datetime(begins.year, begins.month, begins.day, tzinfo=local).astimezone(ZoneInfo("UTC"))
    until = moment + timedelta(days=18)
    days, numbers = [], []
    while moment < until:
        day = moment.astimezone(local).date()
        numbers.append(numbers[-1] + 1 if days and days[-1] == day else first)
        days.append(day)
        moment += timedelta(minutes=minutes)
    lines = plan({"date": [f"{day:%d-%b-%Y}" for day in days], name: numbers})
    assert f"file: 'date' and {name!r} are joined into one time, 'date {name}'" in lines
    assert f"spans: even, {f'{minutes} min' if minutes < 60 else '1 h'}" in lines
    assert any("1 day on which clocks were set have more or fewer" in line for line in lines)


@pytest.mark.parametrize("among", [5, 10, 30])
def test_numbers_that_do_not_divide_a_day_are_no_part_of_it(plan, among):
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(40) for _ in range(among)]
    with pytest.raises(ValueError, match="as 'interval' may be a part of it"):
        plan({"day": days, "interval": [*range(1, among + 1)] * 40})


@pytest.mark.parametrize("name", ["semestre", "Halbjahr", "half"])
def test_years_and_halves_are_joined(plan, name):
    lines = plan({"year": [1980 + row // 2 for row in range(80)], name: [1 + row % 2 for row in range(80)]})
    assert f"file: {name!r} is read as 2 equal parts of each year" in lines


def test_a_season_is_no_group(plan):
    season = ["Winter", "Spring", "Summer", "Autumn"] * 30
    with pytest.raises(ValueError, match="as 'Season' may be a part of it") as refused:
        plan({"Year": [1990 + row // 4 for row in range(120)], "Season": season})
    assert "would do" not in str(refused.value)


@pytest.mark.parametrize("names", ["15/9-{}", "3-4/{}", "7.{}/12", "2019/11-{}"])
def test_names_with_two_marks_are_no_dates(plan, names):
    wells = [names.format(1 + row // 30) for row in range(360)]
    lines = plan({"well": wells, "depth": [*range(30)] * 12}, group="well")
    assert "group: column 'well', as asked" in lines


def exchanged(day):
    return f"{day.year}-{day.day:02}-{day.month:02}" if day.day <= 12 else str(day)


def of_visits():
    draws = np.random.default_rng(3)
    first = {patient: date(2020, 1, 1) + timedelta(days=int(draws.integers(300))) for patient in range(15)}
    spans = {patient: np.cumsum(draws.integers(5, 40, 12)) for patient in range(15)}
    days = [first[patient] + timedelta(days=int(span)) for patient in first for span in spans[patient]]
    return {"patient": [f"P{row // 12}" for row in range(180)], "date": days}


def of_days(step):
    return {"date": [date(2021, 1, 1) + timedelta(days=step * row) for row in range(200)]}


@pytest.mark.parametrize("columns", [of_days(1), of_days(7), of_visits()], ids=["days", "weeks", "visits"])
def test_exchanged_days_and_months_are_refused(plan, columns):
    assert not any("exchanged" in line for line in plan(columns))
    wrong = columns | {"date": [*map(exchanged, columns["date"])]}
    changed = sum(day.day <= 12 and day.day != day.month for day in columns["date"])
    with pytest.raises(ValueError, match=r"only if day and month are exchanged in (\d+) dates") as refused:
        plan(wrong)
    # Some dates are in order both ways.
    assert 0.8 * changed <= int(str(refused.value).split("exchanged in ")[1].split()[0]) <= changed


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("first", "step", "rows", "days"),
    [(datetime(2022, 7, 2), timedelta(minutes=30), 800, 10), (datetime(2021, 1, 28), timedelta(hours=2), 240, 11),
     (datetime(2023, 9, 1, 7), timedelta(minutes=10), 2500, 11), (datetime(2020, 10, 30), timedelta(hours=4), 90, 11)],
)  # fmt: skip
def test_exchanged_days_and_months_of_a_few_days_are_refused(plan, first, step, rows, days):
    moments = [first + step * row for row in range(rows)]
    assert not any("exchanged" in line for line in plan({"date": moments}))
    wrong = [f"{exchanged(moment.date())} {moment:%H:%M}" for moment in moments]
    with pytest.raises(ValueError, match=f"from day to day if day and month are exchanged in {days} days"):
        plan({"date": wrong})
    assert any("the order of --dates may be wrong" in line for line in plan({"date": wrong}, dates="day-first"))


def test_exchanged_days_and_months_in_order_are_warned_of(plan):
    moments = [datetime(2022, 8, 3) + timedelta(minutes=20 * row) for row in range(400)]
    lines = plan({"date": [f"{exchanged(moment.date())} {moment:%H:%M}" for moment in moments]})
    # From the 3rd to the 8th of August, which is itself exchanged.
    assert any("exchanged in 5 days, the first of them 2022-03-08 in line 2" in line for line in lines)


@pytest.mark.parametrize("hours", [range(0, 24, 24), range(6, 18), range(8, 20, 4)])
def test_a_day_of_each_month_is_not_exchanged(plan, hours):
    months = [date(2014 + month // 12, 1 + month % 12, 3) for month in range(120 // len(hours) + 10)]
    moments = [datetime(day.year, day.month, day.day, hour) for day in months for hour in hours]
    assert not any("exchanged" in line for line in plan({"date": moments}))


def test_months_after_a_first_visit_on_any_day_are_not_exchanged(plan):
    first = [date(2021, 12, 14 + patient) for patient in range(14)]
    days = [day for start in first for day in (start, *(date(2022, month, 1) for month in range(1, 13)))]
    assert not any("exchanged" in line for line in plan({"patient": np.repeat(np.arange(14), 13), "date": days}))
    # So are those of many years, of which one is another.
    months = [date(1940 + row // 12, 1 + row % 12, 1 if row != 777 else 18) for row in range(980)]
    assert not any("exchanged" in line for line in plan({"date": months}))


def test_gaps_of_months_stay_gaps(plan):
    campaigns = [datetime(2022, 1, 4), datetime(2022, 3, 2), datetime(2022, 5, 9), datetime(2022, 8, 1)]
    moments = [first + timedelta(minutes=30 * row) for first in campaigns for row in range(200)]
    assert not any("exchanged" in line for line in plan({"date": moments}))


def test_dates_in_any_order_are_not_exchanged(plan):
    days = np.random.default_rng(4).permutation(of_days(1)["date"])
    assert any(line.startswith("order: rows were not in time order") for line in plan({"date": [*map(str, days)]}))


def test_months_that_became_days_of_january_are_warned_of(plan):
    months = [f"{2012 + row // 12}-01-{1 + row % 12:02}" for row in range(96)]
    assert any("of the first 12 days of one month" in line for line in plan({"date": months}))


@pytest.mark.parametrize(
    ("factor", "units"),
    [(1000, "milliseconds beside others in seconds"), (1 / 60, "minutes beside others in seconds"),
     (24, "hours beside others in days")],
)  # fmt: skip
def test_a_recording_with_times_in_another_unit_is_warned_of(plan, factor, units):
    draws = np.random.default_rng(5)
    of = np.repeat(np.arange(9), 60)
    spans = draws.uniform(0.7, 1.3, (9, 60))
    assert not any("beside others" in line for line in plan({"subject": of, "t": np.cumsum(spans, axis=1).ravel()}))
    spans[4] *= factor
    lines = plan({"subject": of, "t": np.cumsum(spans, axis=1).ravel()})
    assert any(units in line and "rows of '4'" in line for line in lines if line.startswith("warning"))


def test_rows_that_repeat_a_time_are_warned_of(plan):
    when = [*range(150), 149, *range(150, 400)]
    assert any("warning: 1 row dropped that repeat" in line for line in plan({"t": when}))


@pytest.mark.parametrize(("name", "kind"), [("daily_visits", "regression"), ("fault_class", "classification")])
def test_counts_are_amounts(tmp_path, name, kind):
    draws = np.random.default_rng(6)
    frame = pl.DataFrame({"t": range(300), "x": draws.normal(size=300), name: draws.poisson(4, 300).clip(0, 9)})
    frame.write_csv(tmp_path / "mine.csv")
    assert table.plan({"table": str(tmp_path / "mine.csv"), "target": name}).mapping["kind"] == kind


HOURS = [datetime(2023, 11, 20, 3) + timedelta(hours=row) for row in range(500)]


@pytest.mark.parametrize("names", [
    ("Rok", "Miesiac", "Dzien", "Godz"), ("rok", "mesic", "den", "hodina"), ("vuosi", "kk", "pv", "tunti"),
    ("År", "Månad", "Dag", "Timme"), ("aar", "maaned", "dag", "time"), ("år", "måned", "dag", "Time"),
    ("ano", "mês", "dia", "hora"), ("年度", "月份", "日", "時"), ("年", "月", "日", "小時"), ("연도", "월", "일", "시"),
    ("년", "월", "일", "시간"),
    ("год", "месяц", "день", "час"), ("Year", "Month (1-12)", "Day (1-31)", "Hour (LST)"),
])  # fmt: skip
def test_parts_of_a_time_in_other_languages(plan, names):
    parts = zip(names, ("year", "month", "day", "hour"), strict=True)
    columns = {name: [getattr(hour, part) for hour in HOURS] for name, part in parts}
    lines = plan(columns)
    assert f"time: column {' '.join(names)!r} (the only column of dates)" in lines
    assert "spans: even, 1 h" in lines


@pytest.mark.parametrize(
    ("date_name", "hour_name"),
    [("Datum", "Timme"), ("Dato", "Time"), ("Doba", "Godzina"), ("FCT_DT", "FCT_HR"), ("date", "Hour (UTC+01:00)"),
     ("dia", "Hora")],
)  # fmt: skip
@pytest.mark.parametrize("ending", [False, True])
def test_hours_beside_dates(plan, date_name, hour_name, ending):
    hours = [hour.hour + ending for hour in HOURS]
    lines = plan({date_name: [f"{hour:%Y-%m-%d}" for hour in HOURS], hour_name: hours})
    assert f"time: column '{date_name} {hour_name}' (the only column of dates)" in lines
    assert "spans: even, 1 h" in lines


def test_hours_of_a_zone_in_figures(plan):
    hours = [f"{hour.hour:02}00" for hour in HOURS]
    lines = plan({"Day": [f"{hour:%d.%m.%Y}" for hour in HOURS], "Hour (AEST)": hours})
    assert "spans: even, 1 h" in lines


@pytest.mark.parametrize(
    ("name", "per_day", "span"),
    [("minute_of_day", 1440, "10 min"), ("minutes since midnight", 1440, "6 min"), ("second_of_day", 86_400, "5 min"),
     ("seconds", 86_400, "30 min"), ("Minute", 1440, "20 min")],
)  # fmt: skip
def test_counts_from_midnight_beside_dates(plan, name, per_day, span):
    step = timedelta(minutes=int(span.split()[0]))
    when = [datetime(2022, 5, 9) + row * step for row in range(700)]
    of_day = [
        (moment - datetime(moment.year, moment.month, moment.day)) // timedelta(days=1 / per_day) for moment in when
    ]
    lines = plan({"date": [moment.date() for moment in when], name: of_day})
    assert f"spans: even, {span}" in lines


@pytest.mark.parametrize("among", [4, 12])
def test_numbered_parts_of_hours(plan, among):
    when = [datetime(2022, 5, 9) + row * timedelta(minutes=60 // among) for row in range(700)]
    intervals = [1 + moment.minute * among // 60 for moment in when]
    hours = [moment.hour + 1 for moment in when]
    lines = plan({"MKT_DT": [moment.date() for moment in when], "MKT_HR": hours, "MKT_INTERVAL": intervals})
    assert f"spans: even, {60 // among} min" in lines


@pytest.mark.parametrize("name", ["dekad", "Dekade", "decad"])
def test_thirds_of_months(plan, name):
    days = [date(2001 + row // 36, 1 + row // 3 % 12, 1 + 10 * (row % 3)) for row in range(36 * 8)]
    by_month = {"year": [day.year for day in days], "month": [day.month for day in days], name: [1, 2, 3] * 96}
    by_year = {"year": [day.year for day in days], name: [*range(1, 37)] * 8}
    for columns in (by_month, by_year):
        assert "spans: uneven, 8 to 11 d, median 10; models are told the time between rows" in plan(columns)


@pytest.mark.parametrize("name", ["Lauf", "prueba", "trial_block"])
def test_what_numbers_experiments_of_equal_length_is_no_copy_of_the_time(plan, name):
    rows, count = 30, 20
    when = [
        datetime(2024, 2, 1, 8) + timedelta(days=day, seconds=10 * row) for day in range(count) for row in range(rows)
    ]
    lines = plan({name: np.repeat(np.arange(1, count + 1), rows), "time": when})
    assert not any("says the same as the time" in line for line in lines)
    assert any(repr(name) in line for line in lines if line.startswith(("group: column", "warning: the rows of each")))
    minutes = [(moment - when[0]).total_seconds() / 60 for moment in when]
    assert any("'m' says the same as the time" in line for line in plan({"m": minutes, "time": when}))


@pytest.mark.parametrize(
    "name",
    ["season", "Schicht", "shift", "weekday", "dow", "Halbjahr", "dekad", "SP", "slot", "half_hour", "minute_of_day",
     "lead_min", "OPR_HR", "Hour (PST)", "Timme", "settlement_period", "lead_hours", "hodina"],
)  # fmt: skip
def test_columns_that_may_say_when_on_a_day_a_row_was(name):
    assert time_columns.may_be_of_clock(pl.Series(name, [1, 2, 3]))


@pytest.mark.parametrize("name", ["leader", "lead", "station", "patient", "temperature", "model", "block", "valve"])
def test_columns_that_say_nothing_of_when(name):
    assert not time_columns.may_be_of_clock(pl.Series(name, [1, 2, 3]))


def visits(labels, subjects=12, name="visit"):
    return {"patient": [f"P{subject}" for subject in range(subjects) for _ in labels], name: [*labels] * subjects}


LABELS = {
    "weeks": ["Baseline", *(f"Week {week}" for week in (1, 2, 4, 8, 16))],
    "letters": [f"D{day}" for day in (1, 3, 8, 15, 22)],
    "months": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul"],
    "long months": ["March", "April", "May", "June", "July"],
    "files": [f"scan-{number}.tif" for number in range(1, 15)],
    "words behind": [f"{months}-month call" for months in (3, 6, 9, 12, 24)],
    "several words": ["Screening", "Baseline", *(f"V{visit}" for visit in range(1, 13))],
}


def test_times_in_units_are_read_and_sorted(plan):
    lines = plan(visits(sorted(f"{months} months" for months in (3, 6, 9, 12, 24))))
    assert any(line.startswith("order: rows were not in time order") for line in lines)
    assert "spans: uneven, 3 to 12 month, median 3; models are told the time between rows" in lines


@pytest.mark.sampled(2)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_rows_in_alphabetical_order_are_warned_of(plan, labels):
    def said(of):
        return [line for line in plan(visits(of)) if "alphabetical order of 'visit'" in line]

    assert not said(labels)
    (line,) = said(sorted(labels))
    assert "within a value of 'patient'" in line
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(visits(sorted(labels)))
    code = line.split("in pandas: ")[1].split(", with numbers")[0].split(", and say")[0]
    exec(code, {"pandas": pandas, "table": table})  # noqa: S102
    one = table["visit"][: len(labels)].tolist()
    in_order = [labels[row] for row in range(len(labels))]
    without = len([label for label in labels if not any(map(str.isdigit, label))])
    if without in (0, 1) or "months" in line or labels[0] in ("Jan", "March"):
        assert [sorted(labels)[row] for row in np.argsort(one, kind="stable")] == in_order


def test_words_in_any_order_or_with_zeros_in_front_are_not_warned_of(plan):
    draws = np.random.default_rng(8)
    labels = [f"Week {week}" for week in range(1, 13)]
    mixed = visits(labels) | {"visit": [str(one) for _ in range(12) for one in draws.permutation(labels)]}
    padded = visits([f"run {number:02}" for number in range(1, 13)])
    assert not any("alphabetical" in line for columns in (mixed, padded) for line in plan(columns))


@pytest.mark.parametrize(
    ("labels", "told"),
    [(["Baseline", "Month 1", "Month 3", "Month 6", "Month 12"], True), (["D1", "D8", "D29", "D57"], True),
     (["D1", "D2", "D3", "D4", "D5"], False), (["A1", "A8", "A29", "A57"], False),
     (["Baseline", "Middle", "Late", "Week 2"], False)],
)  # fmt: skip
def test_uneven_times_in_words_are_warned_of(plan, labels, told):
    assert any("'visit' holds times such as" in line for line in plan(visits(labels))) == told


def warnings(lines):
    return [line for line in lines if line.startswith("warning: ")]


@pytest.mark.parametrize("name", ["countdown", "time_to_go", "match clock", "Restzeit"])
def test_clocks_that_go_down_are_warned_of(plan, name):
    left = [f"{minute:02}:{second:02}:00" for minute in range(9, -1, -1) for second in range(58, -1, -2)]
    lines = plan({name: left})
    assert any("goes down from row to row" in line for line in warnings(lines))
    assert not any("sorted by" in line for line in lines if line.startswith("order"))
    assert not any("goes down" in line for line in plan({name: left[::-1]}))


def test_a_clock_of_rows_in_reverse_is_sorted_with_a_warning(plan):
    shown = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(900, 300, -2)]
    lines = plan({"Uhrzeit": shown, "time": shown})
    assert any("goes down from row to row, and rows are sorted by it" in line for line in warnings(lines))


def at_new_year(step, before=150, after=200):
    rows = before + after
    return [datetime(2021, 1, 1) + (row - before) * step for row in range(rows)]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("step", [timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)])
def test_years_that_are_wrong_by_one_are_warned_of(plan, step):
    when = at_new_year(step)
    assert not any("by a year" in line for line in plan({"when_date": when}))
    old = [moment.replace(year=2020) if moment.year == 2021 and moment.month < 2 else moment for moment in when]
    (said,) = [line for line in plan({"when_date": old}) if "goes back by a year" in line]
    assert "line 152, from 2020-12-31" in said and "to 2020-01-01 00:00:00" in said
    ahead = [moment.replace(year=2022) if moment.year == 2021 else moment for moment in when]
    lines = plan({"when_date": ahead})
    assert any("goes ahead by a year in line 152" in line for line in lines)
    assert any(line.startswith("spans: ") and " of up to 36" in line and " d;" in line for line in lines)


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("written", ["hour", "clock", "moment"])
def test_midnights_of_the_day_that_ended(plan, minutes, written):
    pandas = pytest.importorskip("pandas")
    minutes = 60 if written == "hour" else minutes
    when = [datetime(2024, 5, 20) + (1 + row) * timedelta(minutes=minutes) for row in range(600)]
    days = [moment - timedelta(days=moment.hour + moment.minute == 0) for moment in when]
    if written == "moment":
        columns = {"time": [f"{day:%Y-%m-%d %H:%M}" for day in days]}
    elif written == "clock":
        columns = {"Datum": [f"{day:%d.%m.%Y}" for day in days], "Uhrzeit": [f"{day:%H:%M}" for day in days]}
    else:
        columns = {"date": [f"{day:%Y/%m/%d}" for day in days], "hour": [day.hour for day in days]}
    with pytest.raises(ValueError, match="midnight is written as the beginning of the day that it ends") as refused:
        plan(columns)
    if written == "moment":
        columns = {"time": [text.replace(" 00:00", " 24:00") for text in columns["time"]]}
    else:
        code = str(refused.value).split("in pandas: ")[1].split(". Or say")[0]
        table = pandas.DataFrame(columns)
        exec(code, {"table": table})  # noqa: S102
        columns = table.to_dict("list")
    assert f"spans: even, {f'{minutes} min' if minutes < 60 else '1 h'}" in plan(columns)


@pytest.mark.parametrize("finer", ["timestamp", "valid_time", "Zeitstempel"])
def test_the_finer_of_two_times_is_taken(plan, finer):
    when = [datetime(2024, 5, 20) + row * timedelta(minutes=20) for row in range(400)]
    lines = plan({"date": [moment.date() for moment in when], finer: when})
    assert any(line.startswith(f"time: column {finer!r}") for line in lines)


def test_a_time_of_storing_is_no_finer_time(plan):
    when = [datetime(2024, 5, 20) + row * timedelta(minutes=20) for row in range(400)]
    with pytest.raises(ValueError, match="repeat the time of another row with other content, by 'date'"):
        plan({"date": [moment.date() for moment in when], "import_time": when})


def test_insisting_is_offered_where_it_leads_somewhere(plan):
    numbers = [*np.random.default_rng(9).permutation(300)]
    (said,) = [line for line in plan({"t [s] of log": [0.5 * number for number in numbers]}) if "insists" in line]
    assert "--time 't [s] of log' insists" in said
    for cells in ([f"about {number} past" for number in numbers], [None] * 300):
        assert not any("insists" in line for line in plan({"time of log": cells}))


def clean_tables():
    """Tables of several kinds in which nothing about time deserves a look."""
    draws = np.random.default_rng(10)
    days = [date(2022, 3, 1) + timedelta(days=row) for row in range(400)]
    ten = [datetime(2022, 3, 1) + row * timedelta(minutes=10) for row in range(600)]
    months = [f"{date(2022, month, 1):%b}" for month in range(1, 13)]
    return {
        "days": {"date": days},
        "days in words": {"Datum": [f"{day:%d %B %Y}" for day in days]},
        "weekdays": {"date": [day for day in days if day.weekday() < 5]},
        "days of several years": {"date": [date(2015, 1, 1) + timedelta(days=row) for row in range(2500)]},
        "summers": {"date": [date(year, 6, 1 + row) for year in range(2008, 2023) for row in range(30)]},
        "ten minutes": {"timestamp": ten, "status": [*draws.choice(["run 1", "run 10", "run 2"], 600)]},
        "date and clock": {"date": [at.date() for at in ten], "time": [f"{at:%H:%M}" for at in ten]},
        "date and hour": {"date": [at.date() for at in HOURS], "hour": [at.hour for at in HOURS]},
        "with a clock of sunrise": {"date": days, "sunrise": [f"06:{59 - row % 60:02}" for row in range(400)]},
        "with a falling level": {"date": days, "level": [400.0 - row - row % 3 for row in range(400)]},
        "with numbers in words": {"date": days, "rig": [f"rig {row % 12}" for row in range(400)]},
        "elapsed": {"elapsed_s": [0.5 * row for row in range(500)]},
        "subjects": {"subject": np.repeat([f"S{k}" for k in range(12)], 30), "t": [*range(30)] * 12},
        "subjects and days": {"subject": np.repeat([f"S{k}" for k in range(12)], 30), "date": days[:30] * 12},
        "sites and years": {
            "site_id": np.repeat([f"site{k}" for k in range(9)], 365),
            "date": [date(2021, 1, 1) + timedelta(days=row) for row in range(365)] * 9,
        },
        "visits": visits([f"Visit {number}" for number in range(1, 9)]),
        "months": {"year": np.repeat(range(2005, 2020), 12), "month": [*range(1, 13)] * 15},
        "month names": {"year": np.repeat(range(2005, 2020), 12), "month": months * 15},
        "epochs": {"unix_time": [1_650_000_000 + 60 * row for row in range(500)]},
        "stored later": {"time": ten, "created_at": [at + timedelta(minutes=3) for at in ten]},
    }  # fmt: skip


@pytest.mark.sampled(2)
@pytest.mark.parametrize("columns", clean_tables().values(), ids=clean_tables())
def test_nothing_is_said_of_the_times_of_clean_tables(plan, columns):
    of_time = ("alphabetical", "goes down", "by a year", "midnight", "holds times such as", "named like a time")
    assert not [line for line in warnings(plan(columns)) if any(words in line for words in of_time)]


@pytest.mark.parametrize("stored", ["created_at", "received_at", "upload_time"])
def test_the_time_of_storing_is_not_that_of_measuring(plan, stored):
    start = datetime(2023, 3, 1)
    columns = {
        stored: [start + timedelta(days=30, seconds=row) for row in range(200)],
        "measured_at": [start + timedelta(hours=row) for row in range(200)],
    }
    assert "spans: even, 1 h" in plan(columns)


@pytest.mark.parametrize("first", [0, 1])
def test_a_column_for_each_hour_is_wide(plan, first):
    draws = np.random.default_rng(7).normal(size=(24, 90))
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(90)]
    lines = plan({"day": days} | {f"H{hour + first}": draws[hour] for hour in range(24)})
    assert any("the table looks wide: the names of 24 columns are times" in line for line in lines)


@pytest.mark.parametrize("name", ["ms", "sweep"])
def test_what_goes_up_evenly_is_said_and_no_warning(plan, name):
    lines = plan({name: [20 * row for row in range(300)]})
    assert any(line.startswith(f"counts: {name!r} goes up evenly") for line in lines)
    assert not any(line.startswith("warning") and "goes up as a time" in line for line in lines)


@pytest.mark.parametrize("begins", [datetime(2023, 3, 20), datetime(2023, 10, 20)])
def test_of_two_clocks_the_one_that_is_not_set_is_the_time(plan, begins):
    utc = [begins + timedelta(hours=row) for row in range(400)]
    local = [when.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo("Europe/Berlin")) for when in utc]
    lines = plan({"local_time": [f"{when:%Y-%m-%d %H:%M}" for when in local], "utc_time": utc})
    assert any(line.startswith("time: column 'utc_time'") for line in lines) and "spans: even, 1 h" in lines
    assert not any("daylight" in line for line in lines)
    # Of two that go on alike, the first stays.
    lines = plan({"time": utc, "time_utc": [when + timedelta(hours=2) for when in utc]})
    assert any(line.startswith("time: column 'time' ") for line in lines)
