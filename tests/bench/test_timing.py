"""When the rows of a user's table were: numbered parts of days and years, exchanged days and months, units."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from liquidbench.tasks import table


@pytest.fixture
def plan(tmp_path):
    """What is said of a table with these columns besides two of noise."""

    def plan_of(columns, **asked):
        rows = len(next(iter(columns.values())))
        draws = np.random.default_rng(0).normal(size=(2, rows))
        pl.DataFrame({**columns, "x": draws[0], "y": draws[1]}).write_csv(tmp_path / "mine.csv")
        return table.plan({"table": str(tmp_path / "mine.csv"), "target": "y", **asked}).lines

    return plan_of


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
