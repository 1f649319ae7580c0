"""Long series cut in time: the parts, their targets, and the raw files as pandas reads them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from liquidbench import tasks
from liquidbench.tasks import series
from liquidbench.tasks.task import SPLITS, Recording

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
FILES = {
    "etth1": "ett/ETTh1.csv.gz",
    "exchange": "exchange_rate/exchange_rate.txt.gz",
    "traffic": "traffic/Metro_Interstate_Traffic_Volume.csv.gz",
    "traffic-ltc": "traffic/Metro_Interstate_Traffic_Volume.csv.gz",
    "power": "power/household_power_consumption_hourly.csv.gz",
    "power-ltc": "power/household_power_consumption_first28days.txt.gz",
    "ozone": "ozone/eighthr.data.gz",
    "ozone-ltc": "ozone/eighthr.data.gz",
}
_loaded = {}


def load(name):
    if not (DATA / FILES[name]).is_file():
        pytest.skip(f"no raw files of {name} in {DATA}; set LIQUIDBENCH_DATA")
    if name not in _loaded:
        _loaded[name] = tasks.load(name, DATA)
    return _loaded[name]


def raw(name, **how) -> pd.DataFrame:
    load(name)
    return pd.read_csv(DATA / FILES[name], **how)


@pytest.mark.parametrize("name", ["etth1", "exchange", "traffic", "power", "ozone"])
def test_parts_follow_one_another_with_a_window_between_them(name):
    task = load(name)
    rows = {split: np.concatenate([part.row_numbers for part in task.recordings(split)]) for split in SPLITS}
    # Of a forecast the last rows are targets alone, and must be before the gap too.
    ahead = {"etth1": 24, "exchange": 1, "power": 1}.get(name, 0)
    for before, after in (("train", "validation"), ("validation", "test")):
        assert rows[before].max() + ahead + task.gap < rows[after].min()
    assert task.gap >= task.window


@pytest.mark.parametrize(("name", "ahead"), [("etth1", 24), ("exchange", 1), ("power", 1)])
def test_nothing_later_than_a_part_changes_it(name, ahead, monkeypatch):
    """Rows after the last target of training are replaced; inputs, targets and statistics of training stay the same."""
    task = load(name)
    last = task.recordings("train")[-1].row_numbers[-1] + ahead
    stamps, header = (0, 0) if name == "exchange" else (1, 1)
    cells = series._cells

    def other(raw, separator=","):
        rows = cells(raw, separator)
        first = header + last + 1
        return rows[:first] + [row[:stamps] + ["90000"] * (len(row) - stamps) for row in rows[first:]]

    monkeypatch.setattr(series, "_cells", other)
    changed = tasks.load(name, DATA)
    for array in ("values", "targets", "mask", "target_mask", "timespans"):
        assert np.array_equal(getattr(task.split("train"), array), getattr(changed.split("train"), array))
    assert not np.array_equal(task.split("test").values, changed.split("test").values)
    assert np.array_equal(task.target_scaler.mean, changed.target_scaler.mean)


@pytest.mark.parametrize(
    ("name", "column", "how"),
    [("etth1", "date", {}), ("traffic", "date_time", {}), ("power", 0, {}), ("ozone", 0, {"header": None})],
)
def test_a_window_is_of_the_season_of_the_middle_of_what_it_scores(name, column, how):
    task, frame = load(name), raw(name, **how)
    dates = pd.to_datetime(frame[column] if isinstance(column, str) else frame.iloc[:, column])
    seasons = {12: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 8: 2, 9: 3, 10: 3, 11: 3}
    for split in SPLITS:
        part = task.split(split)
        for rows, season in zip(part.rows, part.environments, strict=True):
            scored = rows[rows >= 0][task.context :]
            assert season == seasons[dates[scored[len(scored) // 2]].month]
    # Nothing that training reads without environments depends on them.
    plain = replace(task, environment_of="step")
    for array in ("values", "targets", "mask", "target_mask", "timespans", "rows"):
        assert np.array_equal(getattr(task.split("train"), array), getattr(plain.split("train"), array))
    assert set(np.unique(task.split("train").environments)) == {0, 1, 2, 3}


def test_statistics_are_those_of_training_alone():
    task, frame = load("etth1"), raw("etth1")
    steps = task.recordings("train")[0].row_numbers
    known = frame["HUFL"].to_numpy()[steps]
    low, high = np.quantile(known, (0.005, 0.995))
    known = np.clip(known, low - (high - low), high + (high - low))
    assert task.input_scaler.mean[0] == pytest.approx(known.mean(), rel=1e-9)
    assert task.input_scaler.deviation[0] == pytest.approx(known.std(), rel=1e-9)
    assert task.input_scaler.mean[0] != pytest.approx(frame["HUFL"].mean(), rel=1e-3)


def test_transformer_forecasts_are_the_next_24_hours():
    task, frame = load("etth1"), raw("etth1", parse_dates=["date"])
    months = 30 * 24
    assert len(frame) == 17_420 and (frame["date"].diff().dropna() == pd.Timedelta("1h")).all()
    for split, first, last in (("train", 0, 12), ("validation", 12, 16), ("test", 16, 20)):
        (part,) = task.recordings(split)
        assert part.row_numbers[0] == first * months
        assert part.row_numbers[-1] + 24 == last * months - 1 - (0 if split == "test" else task.gap)
        assert np.array_equal(part.values, frame[["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]].to_numpy()[
            part.row_numbers
        ])  # fmt: skip
        for lead in (1, 7, 24):
            assert np.array_equal(part.targets[:, lead - 1], frame["OT"].shift(-lead)[part.row_numbers])
        assert np.array_equal(
            part.times * 3600, (frame["date"] - frame["date"][0]).dt.total_seconds()[part.row_numbers]
        )


def test_the_last_value_is_worth_what_pandas_says():
    task, frame = load("etth1"), raw("etth1")
    test, scaler = task.split("test"), task.target_scaler
    scored = test.rows[test.target_mask]
    errors = [
        ((frame["OT"].shift(-lead)[scored] - frame["OT"][scored]) / scaler.deviation[lead - 1]) ** 2
        for lead in range(1, 25)
    ]
    # 95 hours of history at the beginning, 24 hours of targets at the end.
    assert len(scored) == 2_880 - 95 - 24 and len(set(scored.tolist())) == len(scored)
    assert task.trivial_score() == pytest.approx(np.mean(errors), rel=1e-4)


def test_rates_are_forecast_a_day_ahead():
    task, frame = load("exchange"), raw("exchange", header=None)
    assert frame.shape == (7_588, 8)
    for split, first in (("train", 0), ("validation", int(0.6 * 7_588)), ("test", int(0.8 * 7_588))):
        (part,) = task.recordings(split)
        assert part.row_numbers[0] == first
        assert np.array_equal(part.values, frame.to_numpy()[part.row_numbers])
        assert np.array_equal(part.targets, frame.to_numpy()[part.row_numbers + 1])
    assert task.recordings("test")[0].row_numbers[-1] == 7_586


def test_an_hour_of_traffic_has_one_row_and_a_holiday_all_day():
    task = load("traffic")
    frame = raw("traffic", keep_default_na=False, parse_dates=["date_time"])
    assert frame["traffic_volume"].mean() == pytest.approx(3259.818355)
    hours = frame.drop_duplicates("date_time")
    parts = [part for split in SPLITS for part in task.recordings(split)]
    steps = np.concatenate([part.row_numbers for part in parts])
    assert len(hours) == 40_575 and set(steps) <= set(hours.index) and len(steps) == len(set(steps))
    chosen = frame.loc[steps]
    values = np.concatenate([part.values for part in parts])
    days = set(frame.loc[frame["holiday"] != "None", "date_time"].dt.date)
    stamps = chosen["date_time"].dt
    assert np.array_equal(values[:, 0], chosen["date_time"].map(lambda stamp: stamp.date() in days))
    assert np.array_equal(values[:, 1:5], chosen[["temp", "rain_1h", "snow_1h", "clouds_all"]])
    np.testing.assert_allclose(
        np.arctan2(values[:, 5], values[:, 6]) % (2 * np.pi), stamps.hour * np.pi / 12, atol=1e-9
    )
    of_week = (stamps.day_of_week * 24 + stamps.hour) / 168
    np.testing.assert_allclose(values[:, 7], np.sin(2 * np.pi * of_week), atol=1e-9)
    np.testing.assert_allclose(values[:, 8], np.cos(2 * np.pi * of_week), atol=1e-9)
    assert np.array_equal(np.concatenate([part.targets for part in parts])[:, 0], chosen["traffic_volume"])
    # The volume is in no feature, of this hour or another.
    assert max(abs(np.corrcoef(values.T, chosen["traffic_volume"])[-1, :-1])) < 0.8
    assert max(np.diff(part.times).max(initial=0) for part in parts) <= 24
    bounds = {split: frame["date_time"][task.recordings(split)[0].row_numbers[0]] for split in SPLITS}
    assert bounds["validation"] == pd.Timestamp("2016-10-01") and bounds["test"] == pd.Timestamp("2017-10-01")


def test_hours_without_all_minutes_are_missing():
    task, frame = load("power"), raw("power", parse_dates=["datetime"])
    parts = {split: task.recordings(split)[0] for split in SPLITS}
    years = {split: set(frame["datetime"].dt.year[part.row_numbers]) for split, part in parts.items()}
    assert years == {"train": {2006, 2007, 2008}, "validation": {2009}, "test": {2010}}
    for part in parts.values():
        there = frame.loc[part.row_numbers]
        complete = (there["Voltage"] / 60 >= 220).to_numpy()
        assert np.array_equal(part.mask.all(axis=1), complete) and np.array_equal(part.mask.any(axis=1), complete)
        np.testing.assert_allclose(part.values[complete, 0], there["Global_active_power"][complete] / 60)
        np.testing.assert_allclose(part.values[complete, 6], there["Sub_metering_3"][complete])
        later = frame["Global_active_power"].to_numpy()[part.row_numbers + 1] / 60
        known = frame["Voltage"].to_numpy()[part.row_numbers + 1] / 60 >= 220
        assert np.array_equal(part.target_mask, known)
        np.testing.assert_allclose(part.targets[known, 0], later[known])
    voltages = task.recordings("train")[0].values[:, 2]
    assert 223 < voltages[voltages > 0].min() and voltages.max() < 255


def test_sums_by_the_hour_are_those_of_the_minutes():
    hours = raw("power", parse_dates=["datetime"]).set_index("datetime")
    minutes = raw("power-ltc", sep=";", na_values="?")
    stamps = pd.to_datetime(minutes["Date"] + " " + minutes["Time"], format="%d/%m/%Y %H:%M:%S")
    sums = minutes["Global_active_power"].groupby(stamps.dt.floor("h")).sum()[1:-1]
    np.testing.assert_allclose(sums, hours["Global_active_power"][sums.index], rtol=1e-9)


def test_ozone_days_are_as_in_the_file():
    task, frame = load("ozone"), raw("ozone", header=None, na_values="?")
    days = pd.to_datetime(frame[0], format="%m/%d/%Y")
    parts = {split: task.recordings(split)[0] for split in SPLITS}
    for split, years in (("train", {1998, 1999, 2000}), ("validation", {2001, 2002}), ("test", {2003, 2004})):
        part = parts[split]
        assert set(days.dt.year[part.row_numbers]) == years
        expected = frame.loc[part.row_numbers, 1:72].to_numpy()
        assert np.array_equal(part.mask, ~np.isnan(expected))
        assert np.array_equal(part.values[part.mask], expected[part.mask])
        assert np.array_equal(part.targets, frame.loc[part.row_numbers, 73])
        assert np.array_equal(part.times, (days[part.row_numbers] - days[0]).dt.days)
    assert frame[73].sum() == 160 and len(task.features) == 72


@pytest.mark.parametrize(
    ("name", "stride", "sizes"), [("traffic-ltc", 4, (9033, 1204, 1806)), ("power-ltc", 32, (960, 128, 192))]
)
def test_the_papers_windows_are_dealt_as_in_its_code(name, stride, sizes):
    task = load(name)
    frame = raw(name, sep=";" if name == "power-ltc" else ",")
    starts = list(range(0, len(frame) - 32, stride))
    order = np.random.RandomState(23489).permutation(len(starts))
    valid_size, test_size = int(0.1 * len(starts)), int(0.15 * len(starts))
    dealt = {
        "validation": order[:valid_size],
        "test": order[valid_size : valid_size + test_size],
        "train": order[valid_size + test_size :],
    }
    assert tuple(len(dealt[split]) for split in SPLITS) == sizes
    column = {"power-ltc": "Global_active_power", "traffic-ltc": "traffic_volume"}[name]
    for split in SPLITS:
        recordings = task.recordings(split)
        assert [recording.first_row for recording in recordings] == [starts[place] for place in dealt[split]]
        assert all(len(recording) == 32 for recording in recordings)
        for recording in recordings[:20]:
            rows = frame[column][recording.row_numbers]
            assert np.array_equal(recording.targets[:, 0], pd.to_numeric(rows, errors="coerce").ffill())


def test_a_missing_minute_is_the_one_before():
    task = load("power-ltc")
    frame = raw("power-ltc", sep=";", na_values="?").ffill()
    columns = list(frame.columns[3:])
    for split in SPLITS:
        for recording in task.recordings(split):
            assert np.array_equal(recording.values, frame.loc[recording.row_numbers, columns])


def test_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    draw = np.random.default_rng(0)
    targets, logits = draw.integers(2, size=50), draw.normal(size=(50, 2))
    assert series._f1(targets, logits) == pytest.approx(f1_score(targets, logits.argmax(1)))
    assert series._f1(np.zeros(5, dtype=int), np.array([[1.0, 0.0]] * 5)) == 0


def test_windows_keep_within_recordings():
    values = np.arange(100.0)[:, None]
    about = series.windows(values, values, stride=16, seed=0, ends=[50, 100])
    found = sorted(r.first_row for split in SPLITS for r in about["recordings"](split))
    assert found == [0, 16, 50, 66] and about["leak"]
    assert isinstance(about["recordings"]("train")[0], Recording)
    assert not series.windows(values, values, stride=32, seed=0)["leak"]
