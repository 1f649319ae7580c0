"""A user's own table: what is guessed and said, what is refused in which words, and what the task then holds."""

import gzip
import io
import json
import math
import os
import re
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from liquidbench import tasks
from liquidbench.facts import Facts
from liquidbench.metrics import METRICS
from liquidbench.study import Study
from liquidbench.tasks import leaks, table, uci
from liquidbench.tasks.task import SPLITS, check

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
START = datetime(2024, 5, 31, 13, 45)


def series(rows=400, seed=0, **columns):
    """A well-behaved table: a date each minute, two features, a label that depends on one of them, and on chance."""
    draws = np.random.default_rng(seed)
    x, z = draws.normal(size=rows), draws.normal(size=rows).round(3)
    level = x + 0.3 * draws.normal(size=rows)
    content = {
        "when": [START + timedelta(minutes=minute) for minute in range(rows)],
        "x": x,
        "z": z,
        "label": np.where(level > 0.3, "high", np.where(level < -0.3, "low", "middle")),
    }
    return pl.DataFrame(content | columns, strict=False)


def grouped(groups=10, rows=20, seed=0, **columns):
    """Subjects on unevenly spaced times, with a label that is constant within each."""
    draws = np.random.default_rng(seed)
    subject = np.repeat(np.arange(groups), rows)
    content = {
        "subject": [f"s{number:02d}" for number in subject],
        "time_s": draws.exponential(size=(groups, rows)).cumsum(axis=1).round(6).ravel(),
        "x": draws.normal(size=groups * rows),
        "y": draws.normal(size=groups * rows),
        "ill": [("no", "yes")[number % 2] for number in subject],
    }
    return pl.DataFrame(content | columns, strict=False)


@pytest.fixture
def save(tmp_path):
    def write(content, name="mine.csv"):
        path = tmp_path / name
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path) if name.endswith(".parquet") else content.write_csv(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def guess(path, target, **asked):
    return table.complete({"table": str(path), "target": target, **asked})


def said(lines, beginning):
    found = [line for line in lines if line.startswith(beginning)]
    assert len(found) == 1, lines
    return found[0]


def test_every_guess_is_said_with_its_reason(save):
    path = save(
        series(
            id=[f"row {number}" for number in range(400)],
            place=["north", "south", "south", "north", "north"] * 80,
            on=[True, False, False, True] * 100,
            same=[5.0] * 400,
        )
    )
    mapping, lines = guess(path, "label")
    assert mapping == {
        "table": str(path),
        "target": "label",
        "time": "when",
        "group": None,
        "kind": "classification",
        "per": "step",
        "features": ["x", "z", "place", "on"],
        "window": 20,
        "digest": mapping["digest"],
    }
    assert said(lines, "time") == "time: column 'when' (the only column of dates)"
    assert said(lines, "kind") == "kind: classification (target 'label' holds 3 distinct values that are no numbers)"
    assert said(lines, "classes").startswith("classes: 'high' in ")
    assert said(lines, "features") == (
        "features: 2 columns of numbers ('x', 'z'); 'on' as 0 and 1; 'place' as 2 columns of 0 and 1, one for each "
        "of 'north', 'south'"
    )
    assert (
        said(lines, "left out")
        == "left out: 'id' is named like an identifier (--features asks for it); 'same' is the same in every row"
    )
    assert said(lines, "spans") == "spans: even, 1 min"
    assert said(lines, "window").startswith("window: 20 rows (guessed from 400 rows)")
    assert said(lines, "split").startswith("split: In time: the first 216 rows are training, then 72 validation")
    assert not [line for line in lines if line.startswith("warning")]


def test_the_mapping_is_a_study_task_and_loads_the_same_again(save):
    path = save(series())
    mapping, lines = guess(path, "label")
    assert json.loads(json.dumps(mapping)) == mapping
    study = Study.parse({"name": "own", "question": "?", "tasks": [mapping], "models": ["LTC", "GRU"]})
    assert table.complete(study.tasks[0]) == (mapping, said_as_asked(lines, table.complete(mapping)[1]))
    task, again = tasks.load(mapping), tasks.load({"table": str(path), "target": "label"})
    for split in SPLITS:
        np.testing.assert_array_equal(task.split(split).values, again.split(split).values)
        np.testing.assert_array_equal(task.split(split).targets, again.split(split).targets)


def said_as_asked(guessed, asked):
    """Lines of a spelt-out mapping, after a look that they speak of the same things."""
    assert [line.split(":")[0] for line in guessed] == [line.split(":")[0] for line in asked]
    return asked


def test_values_reach_the_split_standardised_by_training_alone(save):
    frame = series()
    task = tasks.load({"table": str(save(frame)), "target": "label"})
    check(task)
    train = task.split("train")
    x = frame["x"].to_numpy()[:216]
    rows = train.rows[0]
    np.testing.assert_allclose(train.values[0, :, 0], (x[rows] - x.mean()) / x.std(), rtol=1e-4, atol=1e-5)
    assert task.classes == ("high", "low", "middle")
    assert [task.classes[number] for number in train.targets[0]] == frame["label"].to_list()[: len(rows)]
    assert (train.timespans == (train.rows >= 0)).all()
    assert task.time_unit == "min" and task.timespan_unit == 1
    assert task.gap == task.window == 20 and not task.irregular and not task.missing
    seen = [np.unique(task.split(split).rows[task.split(split).rows >= 0]) for split in SPLITS]
    assert [len(rows) for rows in seen] == [216, 72, 72]
    assert [seen[1][0] - seen[0][-1] - 1, seen[2][0] - seen[1][-1] - 1, seen[2][-1]] == [20, 20, 399]


def test_columns_become_numbers(save):
    frame = series(place=["north", "south"] * 200, on=[True, False, False, True] * 100)
    task = tasks.load({"table": str(save(frame)), "target": "label"})
    assert [feature.name for feature in task.features] == ["x", "z", "place = north", "place = south", "on"]
    raw = task.input_scaler.restore(task.split("train").values[0])
    np.testing.assert_allclose(raw[:4, 2:], [[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 1]], atol=1e-6)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["regression", "forecast", "classification"])
@pytest.mark.parametrize("offset", [2e7, 1e9])
def test_an_offset_takes_nothing_away(save, kind, offset):
    # In float32 numbers about 1e9 are 64 apart.
    def splits(added, name):
        frame = series().with_columns(pl.col("x") + added, pl.col("z") + added)
        target = "label" if kind == "classification" else "z"
        task = tasks.load({"table": str(save(frame, name)), "target": target, "kind": kind})
        check(task)
        return [task.split(split) for split in SPLITS]

    for plain, moved in zip(splits(0, "plain.csv"), splits(offset, "moved.csv"), strict=True):
        assert plain.values.dtype == moved.values.dtype == np.float32
        np.testing.assert_allclose(moved.values, plain.values, atol=1e-4)
        np.testing.assert_allclose(moved.targets, plain.targets, atol=1e-4)
        assert plain.targets.dtype == moved.targets.dtype


def test_an_offset_takes_nothing_away_from_a_target_for_each_group(save):
    levels = np.repeat(np.arange(10) * 1.5 + 0.25, 20)
    plain, moved = (
        tasks.load({"table": str(save(grouped(level=levels + offset), name)), "target": "level", "group": "subject"})
        for offset, name in ((0, "plain.csv"), (1e9, "moved.csv"))
    )
    assert plain.per == moved.per == "sequence"
    np.testing.assert_allclose(moved.split("test").targets, plain.split("test").targets, atol=1e-4)


def test_missing_values_become_a_mask(save):
    x = np.random.default_rng(1).normal(size=400).tolist()
    x[3], x[7] = None, float("nan")
    place = ["north", "south"] * 200
    place[5] = None
    mapping, lines = guess(save(series(x=x, place=place, label=["a", "a", "b", "b"] * 100)), "label")
    assert said(lines, "missing") == "missing: 0.2% of the feature values; models are told which"
    task = tasks.load(mapping)
    split = task.split("train")
    assert task.missing
    assert np.argwhere(~split.mask[0]).tolist() == [[3, 0], [5, 2], [5, 3], [7, 0]]
    assert (split.values[~split.mask] == 0).all()


@pytest.mark.parametrize("marker", ["", "NA", "?", "n/a", "None", "-"])
def test_marks_of_missing_numbers_are_understood(save, marker):
    lines = "".join(f"{marker if row == 4 else row % 7},{row % 3}\n" for row in range(200))
    task = tasks.load({"table": str(save("x,label\n" + lines)), "target": "label"})
    assert np.argwhere(~task.split("train").mask[0]).tolist() == [[4, 0]]


def test_uneven_times_become_spans(save):
    mapping, lines = guess(save(grouped()), "y", group="subject")
    assert said(lines, "time") == "time: column 'time_s' (named like a time, and its numbers are like one)"
    assert said(lines, "spans").startswith("spans: uneven, ") and " s, median " in said(lines, "spans")
    task = tasks.load(mapping)
    assert task.irregular and task.time_unit == "s" and task.per == "step"
    split = task.split("test")
    frame = pl.read_csv(mapping["table"]).filter(pl.col("subject") == split.recordings[0])
    spans = np.diff(frame["time_s"].to_numpy()) / task.timespan_unit
    np.testing.assert_allclose(split.timespans[0], [1, *spans], rtol=1e-4)


def test_nanoseconds_keep_their_last_digits(save):
    frame = series().drop("when").with_columns(timestamp=1_633_790_226_051_280_329 + 10 * pl.int_range(400))
    task = tasks.load({"table": str(save(frame)), "target": "label"})
    train = task.split("train")
    assert task.timespan_unit == 1e-8 and (train.timespans == (train.rows >= 0)).all()


def test_groups_are_recordings_in_one_split_each(save):
    mapping, lines = guess(save(grouped()), "y", group="subject")
    assert said(lines, "split") == (
        "split: By group: each value of 'subject' is in one split only, drawn by a checksum of its name (train 6, "
        "validation 2, test 2)."
    )
    task = tasks.load(mapping)
    names = {split: set(task.split(split).recordings) for split in SPLITS}
    assert [len(of) for of in names.values()] == [6, 2, 2]
    assert set.union(*names.values()) == {f"s{number:02d}" for number in range(10)}
    assert task.gap is None and task.window is None
    check(task)


def test_a_group_stays_where_it_is_when_rows_are_shuffled(save):
    frame = grouped()
    mapping, _ = guess(save(frame), "y", group="subject")
    shuffled, lines = guess(save(frame.sample(fraction=1, shuffle=True, seed=1), "other.csv"), "y", group="subject")
    assert "sorted by 'time_s'" in said(lines, "order")
    tests = [tasks.load(each).split("test") for each in (mapping, shuffled)]
    in_order = [np.argsort(split.recordings) for split in tests]
    np.testing.assert_array_equal(*(split.values[order] for split, order in zip(tests, in_order, strict=True)))


def test_a_target_constant_within_groups_is_one_for_each(save):
    mapping, lines = guess(save(grouped()), "ill", group="subject")
    assert mapping["per"] == "sequence"
    assert said(lines, "target") == "target: one for each group, as 'ill' is constant within each of 'subject'"
    task = tasks.load(mapping)
    check(task)
    for split in map(task.split, SPLITS):
        expected = [task.classes.index(("no", "yes")[int(name[1:]) % 2]) for name in split.recordings]
        assert split.targets.tolist() == expected
    # Class by class: both classes in every split, though there are two groups in validation and in test.
    assert [sorted(task.split(split).targets.tolist()) for split in SPLITS] == [[0, 0, 0, 1, 1, 1], [0, 1], [0, 1]]


def test_a_regression_per_group(save):
    level = np.repeat(np.arange(10) * 1.5 + 0.25, 20)
    mapping, _ = guess(save(grouped(level=level)), "level", group="subject")
    assert (mapping["kind"], mapping["per"]) == ("regression", "sequence")
    assert tasks.load(mapping).split("train").targets.shape == (6, 1)


def test_times_that_repeat_find_their_group(save):
    rows = grouped(time_s=np.tile(np.arange(20.0), 10))
    mapping, lines = guess(save(rows), "y")
    assert mapping["group"] == "subject"
    assert said(lines, "group") == (
        "group: column 'subject' (times repeat in the table, but never within one value of it)"
    )


def test_blocks_of_an_identifier_are_groups(save):
    rows = grouped(time_s=np.arange(200.0))
    mapping, lines = guess(save(rows), "y")
    assert mapping["group"] == "subject"
    assert "named like an identifier, and its values come in blocks of rows" in said(lines, "group")


def test_a_forecast_predicts_the_next_row(save):
    frame = series()
    mapping, _ = guess(save(frame), "z", kind="forecast")
    assert mapping["horizon"] == 1 and mapping["features"] == ["x", "z", "label"]
    for horizon in (1, 3):
        task = tasks.load({**mapping, "horizon": horizon})
        check(task)
        for split in map(task.split, SPLITS):
            there = split.rows >= 0
            z = frame["z"].to_numpy()
            expected = task.target_scaler.standardise(z[split.rows[there] + horizon, None])
            np.testing.assert_allclose(split.targets[there], expected, rtol=1e-4, atol=1e-5)
        last_target = task.split("train").rows.max() + horizon
        assert last_target < task.split("validation").rows[0, 0]


def test_a_lone_target_is_forecast_from_its_own_past(save):
    z = np.random.default_rng(0).normal(size=400).cumsum()
    mapping, lines = guess(save(series(z=z).select("when", "z")), "z")
    assert said(lines, "kind") == "kind: forecast (there is nothing but the past of 'z' to predict it from)"
    task = tasks.load(mapping)
    assert task.baseline == "last value"
    split = task.split("test")
    z = task.target_scaler.standardise(z)
    steps = split.rows[split.rows >= 0]
    assert task.trivial_score("rmse") == pytest.approx(np.sqrt(np.mean((z[steps + 1] - z[steps]) ** 2)), rel=1e-4)


def test_a_forecast_from_many_columns_is_up_against_the_targets_last_value(save):
    z = np.random.default_rng(0).normal(size=400).cumsum()
    task = tasks.load({"table": str(save(series(z=z))), "target": "z", "kind": "forecast", "horizon": 3})
    assert [feature.name for feature in task.features] == ["x", "z", "label = high", "label = low", "label = middle"]
    steps = task.split("test").rows
    steps = steps[steps >= 0]
    # In standard deviations of the column in the rows that training reads, which its targets continue.
    known = z[: task.split("train").rows.max() + 1]
    expected = np.sqrt(np.mean((z[steps + 3] - z[steps]) ** 2)) / known.std()
    assert task.trivial_score("rmse") == pytest.approx(expected, rel=1e-4)


def measured_now_and_then(groups=9, seed=0, even=False):
    """Recordings of several lengths, spans from seconds to hours, and a target that is missing in most rows."""
    draws = np.random.default_rng(seed)
    parts = []
    for number in range(groups):
        rows = int(draws.integers(20, 60))
        spans = np.ones(rows) if even else draws.lognormal(0, 2, rows)
        lab = draws.normal(size=rows).round(3)
        lab[draws.random(rows) < 0.6] = np.nan
        parts.append(
            pl.DataFrame(
                {"patient": [f"p{number}"] * rows, "time_min": spans.cumsum().round(4), "x": draws.normal(size=rows)}
            ).with_columns(lab=pl.Series(lab).fill_nan(None))
        )
    return pl.concat(parts)


def by_pandas(frame, kind, horizon):
    """Each row's target and how far ahead it is, NaN where there is none."""
    table = frame.to_pandas()
    group = table.groupby("patient")
    if kind == "forecast":
        target, at = group["lab"].shift(-horizon), group["time_min"].shift(-horizon)
    else:
        known_at = table["time_min"].where(table["lab"].notna()).groupby(table["patient"])
        target, at = (one.transform(lambda one: one.shift(-1).bfill()) for one in (group["lab"], known_at))
    return target.to_numpy(), (at - table["time_min"]).to_numpy()


@pytest.mark.parametrize(("kind", "horizon"), [("forecast", 1), ("forecast", 3), ("next-known", None)])
@pytest.mark.parametrize("grouped", [True, False])
def test_targets_of_later_and_how_far_ahead_they_are_agree_with_pandas(save, kind, horizon, grouped):
    pytest.importorskip("pandas")
    frame = measured_now_and_then() if grouped else measured_now_and_then(groups=20)
    if not grouped:
        # One after another: as one recording, which is split in time.
        later = 1e4 * (frame["patient"] != frame["patient"].shift(1)).fill_null(False).cum_sum()
        frame = frame.with_columns(time_min=frame["time_min"] + later, patient=pl.lit("one"))
    asked = {"group": ["patient"] if grouped else None, "time": "time_min", "features": ["x"], "window": 16}
    asked |= {"horizon": horizon} if horizon else {}
    path = save(frame)
    mapping, lines = guess(path, "lab", kind=kind, **asked)
    task = tasks.load(mapping)
    check(task)
    assert (mapping["kind"], mapping.get("horizon")) == (kind, horizon)
    assert [(one.name, one.unit) for one in task.features][1:] == [("lab", "as in the table"), ("time ahead", "min")]
    assert task.time_ahead and task.carried == ("lab",) and task.baseline == "last value"
    assert said(lines, "time ahead").endswith("models are told it")
    target, ahead = by_pandas(frame, kind, horizon)
    train = np.unique(task.split("train").rows)[1:]
    usual = task.input_scaler.usual_ahead
    assert usual == pytest.approx(np.median(ahead[train]))
    low, high = ahead[train].min(), ahead[train].max()
    first_of_next = [task.split(name).rows[0, 0] for name in SPLITS[1:]] + [frame.height]
    scored = 0
    for split, end in zip(map(task.split, SPLITS), first_of_next, strict=True):
        there, known = split.rows >= 0, split.target_mask
        rows = split.rows[known]
        np.testing.assert_allclose(task.target_scaler.restore(split.targets[known][:, 0]), target[rows], atol=1e-5)
        expected = np.log((1 + np.clip(ahead[split.rows[there]], low, high) / usual) / 2)
        np.testing.assert_allclose(split.values[..., -1][there], expected, rtol=1e-4, atol=1e-5)
        assert split.mask[..., -1][there].all()
        if not grouped:
            times = frame["time_min"].to_numpy()
            assert (times[rows] + ahead[rows] < times[min(end, frame.height - 1)] + (end == frame.height)).all()
        scored += len(np.unique(rows))
    # All of them, but for rows between parts.
    every = int(np.isfinite(target).sum())
    assert scored == every if grouped else 0.7 * every < scored < every


def test_only_where_spans_vary_is_a_forecast_told_how_far_it_looks(save):
    even = save(measured_now_and_then(even=True))
    of = {"table": str(even), "target": "lab", "time": "time_min", "group": ["patient"], "features": ["x"]}
    mapping, lines = table.complete(of | {"kind": "forecast"})
    task = tasks.load(mapping)
    assert [one.name for one in task.features] == ["x", "lab"] and not task.time_ahead
    assert not any(line.startswith("time ahead") for line in lines)
    # Where nothing says in which row it is known again, that varies in even series, too.
    assert tasks.load(of | {"kind": "next-known"}).features[-1].name == "time ahead"
    # Without times it is so many rows.
    rows = tasks.load(of | {"kind": "next-known", "time": None}).features[-1]
    assert (rows.name, rows.unit) == ("time ahead", "row")


def test_a_column_of_the_same_name_keeps_it(save):
    path = save(measured_now_and_then().rename({"x": "time ahead"}))
    task = tasks.load(
        {"table": str(path), "target": "lab", "time": "time_min", "group": ["patient"], "kind": "next-known"}
    )
    assert [one.name for one in task.features] == ["time ahead", "lab", "time ahead 2"]


def test_windows_have_room_for_several_known_values_where_the_next_is_predicted(save):
    draws = np.random.default_rng(0)
    lab = np.where(np.arange(3000) % 15 == 0, draws.normal(size=3000), np.nan)
    frame = pl.DataFrame({"x": draws.normal(size=3000), "lab": pl.Series(lab).fill_nan(None)})
    path = save(frame)
    assert guess(path, "lab", kind="forecast")[0]["window"] == 32
    assert guess(path, "lab", kind="next-known")[0]["window"] == 8 * 15


def test_a_forecast_of_what_is_seldom_known_is_told_of_the_other_kind(save):
    path = save(measured_now_and_then())
    _, lines = guess(path, "lab", kind="forecast")
    assert sum("--task next-known (kind: in a study) forecasts its next known value" in line for line in lines) == 1
    _, lines = guess(path, "lab", kind="next-known")
    assert not any("--task next-known" in line for line in lines)
    assert "from them, too, its next known value is predicted" in " ".join(lines)


def test_a_regression_does_not_see_its_target(save):
    mapping, _ = guess(save(series()), "z")
    assert mapping["kind"] == "regression" and mapping["features"] == ["x", "label"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1] * 200, "classification"),
        ([0.0, 1.0] * 200, "classification"),
        ([True, False] * 200, "classification"),
        ([0.5, 1.5] * 200, "regression"),
        (list(range(400, 0, -1)), "regression"),
    ],
)
def test_kind_by_the_values_of_the_target(save, values, kind):
    mapping, _ = guess(save(series(y=values)), "y")
    assert mapping["kind"] == kind
    if kind == "classification":
        expected = ("False", "True") if values[0] is True else ("0", "1")
        assert tasks.load(mapping).classes == expected


def test_a_target_that_is_not_known_everywhere_is_not_scored_there(save):
    y = np.random.default_rng(2).normal(size=400).tolist()
    y[2] = y[390] = None
    mapping, lines = guess(save(series(y=y)), "y")
    assert said(lines, "target") == "target: missing in 2 rows of 400; they are read as inputs, not scored"
    task = tasks.load(mapping)
    train = task.split("train")
    assert not train.target_mask[0, 2] and train.mask[0, 2].all() and train.target_mask[0].sum() == 19
    assert (~task.split("test").target_mask & (task.split("test").rows == 390)).sum() == 1


def test_classes_in_bunches_move_the_cuts(save):
    # Nothing happens from row 180 to 300: 60, 20 and 20 % would validate on one class.
    y = [("on" if row % 7 == 0 and not 180 <= row < 310 else "off") for row in range(400)]
    mapping, lines = guess(save(series(y=y)), "y")
    assert "not 60, 20 and 20 %, which would leave a part without one of the classes" in said(lines, "split")
    assert [len(np.unique(tasks.load(mapping).split(split).targets)) for split in SPLITS] == [2, 2, 2]


def test_a_part_without_a_class_is_warned_of(save):
    y = ["rare" if row < 40 else ("a", "b")[row % 2] for row in range(400)]
    _, lines = guess(save(series(y=y)), "y")
    warnings = [line for line in lines if line.startswith("warning")]
    assert warnings == [
        "warning: the validation part lacks 'rare' among the classes of 'y'",
        "warning: the test part lacks 'rare' among the classes of 'y'",
    ]


def test_two_classes_in_every_part_where_all_cannot_be_had(save):
    # 'rare' is gone after row 40; rows 236 to 307, which 60, 20 and 20 % would validate on, are all 'a'.
    y = ["rare" if row < 40 else "a" if 230 <= row < 315 else ("a", "b")[row % 2] for row in range(400)]
    mapping, lines = guess(save(series(y=y)), "y")
    assert "not 60, 20 and 20 %, which would leave a part with a single class" in said(lines, "split")
    assert [len(np.unique(tasks.load(mapping).split(split).targets)) for split in SPLITS] == [3, 2, 2]


def test_warnings_go_with_the_task_to_the_report(save):
    y = ["rare" if row < 40 else ("a", "b")[row % 2] for row in range(400)]
    mapping, lines = guess(save(series(y=y)), "y")
    task = tasks.load(mapping)
    assert task.warnings == tuple(line.removeprefix("warning: ") for line in lines if line.startswith("warning: "))
    assert task.facts().warnings == task.warnings
    assert task.warnings[0] == "the validation part lacks 'rare' among the classes of 'y'"
    assert tasks.load({"table": str(save(series())), "target": "label"}).warnings == ()


def test_metric_by_balance(save):
    y = ["rare" if row % 10 == 0 else "usual" for row in range(400)]
    mapping, lines = guess(save(series(y=y)), "y")
    assert said(lines, "metric").startswith("metric: balanced accuracy (90% of the training targets")
    task = tasks.load(mapping)
    assert task.metric == "balanced_accuracy" and {"auroc", "auprc"} <= set(task.metrics) <= set(METRICS)
    assert task.trivial_score() == 0.5


def test_a_drift_of_classes_is_judged_by_what_a_constant_cannot_win(save):
    draws = np.random.default_rng(0).random(400)
    y = np.where(draws < np.linspace(0.8, 0.1, 400), "early", "late")
    mapping, lines = guess(save(series(y=y)), "y")
    assert "of test would have to be of another class" in said(lines, "metric: balanced accuracy")
    facts = tasks.load(mapping).facts()
    assert facts.metric == "balanced_accuracy" and facts.drift > 0.3 and facts.constant == 0.5
    steady = np.where(draws < 0.5, "early", "late")
    assert said(guess(save(series(y=steady)), "y")[1], "metric") == "metric: accuracy"


# Leaks


def test_a_copy_of_the_target_is_left_out_and_said(save):
    frame = series(y=np.random.default_rng(3).normal(size=400)).with_columns(again=pl.col("y"))
    frame = frame.with_columns(code=pl.col("label").replace_strict({"high": 7, "low": 3, "middle": 5}))
    mapping, lines = guess(save(frame), "y")
    assert "again" not in mapping["features"]
    assert "warning: leak: 'again' equals the target; it is left out" in lines
    mapping, lines = guess(save(frame), "label")
    assert "code" not in mapping["features"]
    assert "warning: leak: 'code' tells the target exactly, value for value; it is left out" in lines


def test_a_feature_that_correlates_too_well_is_a_suspect(save):
    draws = np.random.default_rng(4)
    y = draws.normal(size=400)
    frame = series(y=y, fahrenheit=32 - 1.8 * y + 1e-3 * draws.normal(size=400), fair=y + 0.3 * draws.normal(size=400))
    mapping, lines = guess(save(frame), "y")
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert warning.startswith("warning: leak suspect: 'fahrenheit' correlates with 'y' almost perfectly (|r| = 1.0000")
    assert "fahrenheit" in mapping["features"]


def test_a_slow_target_is_no_leak_of_itself_but_its_future_is(save):
    y = np.sin(np.arange(401) / 300)
    _, lines = guess(save(series(y=y[:400])), "y", kind="forecast")
    assert not [line for line in lines if line.startswith("warning")]
    _, lines = guess(save(series(y=y[:400], future=y[1:])), "y", kind="forecast")
    assert "leak suspect: 'future' correlates with 'y''s next value" in said(lines, "warning")


LEAVE_OUT = "; if it is not known when the prediction is made, leave it out (features: in a study)"


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_a_feature_that_ranks_a_class_too_well_is_a_suspect(save, classes):
    draws = np.random.default_rng(5)
    y = draws.integers(classes, size=600)
    # Skewed, so that Pearson's r says little, and in only one of the classes out of the ordinary.
    alarm = np.where(y == 1, 0.0, np.exp(3 * draws.normal(size=600)))
    alarm[::50] = np.nan
    frame = series(600, y=[f"c{number}" for number in y], alarm=alarm)
    mapping, lines = guess(save(frame.with_columns(fair=pl.Series(y + draws.normal(size=600)))), "y")
    assert "alarm" in mapping["features"]
    told = "c0" if classes == 2 else "c1"
    # Of twenty classes, some have few rows in validation.
    lines = [line for line in lines if "too few" not in line]
    assert said(lines, "warning") == (
        f"warning: leak suspect: 'alarm' alone tells class '{told}' of 'y' from all others almost perfectly (AUROC "
        f"1.00000){LEAVE_OUT}"
    )


def test_codes_of_the_classes_are_suspects(save):
    y = np.random.default_rng(6).integers(3, size=400)
    frame = series(y=y, grade=np.array([5, 9, 2])[y], place=np.array(["east", "north", "west"])[y])
    mapping, lines = guess(save(frame.drop("place")), "y")
    assert mapping["kind"] == "classification" and "grade" in mapping["features"]
    assert said(lines, "warning") == f"warning: leak suspect: 'grade' tells 'y' exactly, value for value{LEAVE_OUT}"
    # Asked for by name, a column that would have been left out is used, and warned of column by column.
    _, lines = guess(save(frame), "y", features=["x", "place"])
    suspects = [line for line in lines if line.startswith("warning")]
    assert [re.search(r"'place = (\w+)' alone tells class '(\d)'", line).groups() for line in suspects] == [
        ("east", "0"), ("north", "1"), ("west", "2")
    ]  # fmt: skip


def test_a_handful_of_rows_makes_no_suspect(save):
    y = ["rare" if row in (3, 9, 240, 330) else ("a", "b")[row % 2] for row in range(400)]
    x = np.random.default_rng(7).normal(size=400) + np.where(np.array(y) == "rare", 10, 0)
    _, lines = guess(save(series(y=y, x=x)), "y")
    assert not [line for line in lines if "leak" in line]


def test_the_area_that_makes_a_suspect_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    draws = np.random.default_rng(8)
    values, classes = draws.integers(6, size=200) + 1e9, draws.integers(3, size=200)
    areas = [metrics.roc_auc_score(classes == label, values) for label in range(3)]
    np.testing.assert_allclose(leaks.auroc(values, classes, 3), [max(area, 1 - area) for area in areas], rtol=1e-12)


def walk(rows=400, seed=10, keep=0.8):
    """A series that remembers, rounded as a file has it."""
    y, draws = np.zeros(rows), np.random.default_rng(seed).normal(size=rows)
    for row in range(1, rows):
        y[row] = keep * y[row - 1] + draws[row]
    return y.round(3)


def ahead(y, rows, **columns):
    return series(len(y) - rows, y=y[:-rows], soon=y[rows:], **columns)


def counts(seed, most):
    return np.random.default_rng(seed).integers(1, most, size=400)


HIDDEN_LEAKS = {
    "the next value": (ahead(walk(), 1), "'soon' tells 'y' of the next row"),
    "a later value in other units": (
        ahead(walk(), 6).with_columns(soon=32 + 1.8 * pl.col("soon")),
        "'soon' tells 'y' of 6 rows later",
    ),
    "the next class": (ahead(np.where(walk() > 0, "on", "off"), 1), "'soon' tells 'y' of the next row"),
    "the next of three classes": (
        ahead(np.array(["low", "mid", "high"])[np.digitize(walk(), [-1, 1])], 2),
        "'soon' tells 'y' of 2 rows later",
    ),
    "a sum": (
        series(y=counts(1, 80) + counts(2, 300), some=counts(1, 80), others=counts(2, 300)),
        "2 columns together ('some', 'others') tell 'y' almost exactly, as a sum or a difference",
    ),
    "a difference": (
        series(y=walk() - walk(seed=11), gross=walk(), tare=walk(seed=11)),
        "2 columns together ('gross', 'tare')",
    ),
    "a mean": (
        series(y=(0.3 * walk() + 0.7 * walk(seed=11)).round(4), left=walk(), right=walk(seed=11)),
        "2 columns together ('left', 'right')",
    ),
    "a product": (
        series(y=counts(1, 20) * 0.5 * counts(2, 50), price=0.5 * counts(2, 50), sold=counts(1, 20)),
        "2 columns together ('price', 'sold') tell 'y' almost exactly, as a product or a quotient",
    ),
    "a running total": (
        series(y=counts(1, 90), total=counts(1, 90).cumsum()),
        "'total' tells 'y', which is its change",
    ),
    "a logarithm": (series(y=walk(), milli=10 ** (walk() / 2)), "'milli' is 'y' on another scale"),
    "a reciprocal": (
        series(y=walk() + 20, period=1 / (walk() + 20) ** 4),
        "the larger one is, the smaller is the other",
    ),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", HIDDEN_LEAKS)
def test_a_leak_may_be_in_another_row_in_several_columns_or_on_another_scale(save, case):
    frame, how = HIDDEN_LEAKS[case]
    lines = guess(save(frame), "y")[1]
    (suspect,) = [line for line in lines if "leak suspect" in line]
    assert how in suspect


def test_life_left_is_told_by_a_clock_and_its_end(save):
    lives = (40, 50, 45, 60, 38, 44)
    cycle = np.concatenate([np.arange(1, life + 1) for life in lives])
    end = np.repeat(lives, lives)
    content = {"unit": np.repeat(np.arange(6), lives), "cycle": cycle, "s": walk(len(end)), "end": end}
    frame = pl.DataFrame({**content, "left": end - cycle})
    for time in (None, "cycle"):
        lines = guess(save(frame), "left", time=time)[1]
        assert "('end', 'cycle')" in said(lines, "warning: leak suspect") or time is None
        assert "tell 'left' almost exactly" in said(lines, "warning: leak suspect")
    assert not [line for line in guess(save(frame.drop("end")), "left", time="cycle")[1] if "leak" in line]


def steps(rows=400):
    """A room that follows its set point, and what else goes on in it."""
    aim = np.repeat(np.random.default_rng(12).integers(15, 25, size=rows // 20), 20).astype(float)
    room = aim.copy()
    for row in range(1, rows):
        room[row] = 0.7 * room[row - 1] + 0.3 * aim[row]
    return aim, (room + 0.05 * np.random.default_rng(13).normal(size=rows)).round(2)


TIME = np.arange(400)
FAIR = {
    "a value before": {"y": walk(401)[1:], "before": walk(401)[:-1]},
    "a cosine and a sine": {"y": np.sin(TIME / 9 + 1), "sine": np.sin(TIME / 9), "cosine": np.cos(TIME / 9)},
    "a slow place and its speed": {"y": np.cos(TIME / 90), "place": np.sin(TIME / 90)},
    "two meters that only go up": {"y": counts(1, 90).cumsum(), "other": (counts(2, 90) ** 2).cumsum()},
    "a noisy sum": {"y": walk() + walk(seed=11) + 0.05 * walk(seed=12), "one": walk(), "two": walk(seed=11)},
    "a set point": {"y": steps()[1], "aim": steps()[0]},
    "a trend": {"y": 0.02 * TIME + walk(), "other": 0.06 * TIME + walk(seed=11)},
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", FAIR)
@pytest.mark.parametrize("kind", ["regression", "forecast"])
def test_what_goes_with_a_target_by_itself_is_no_leak(save, case, kind):
    lines = guess(save(series(**FAIR[case])), "y", kind=kind)[1]
    assert not [line for line in lines if "leak" in line]


def meter(end, step=13, start=0.9, rows=400):
    return (int(start * end) + np.cumsum(step + np.random.default_rng(20).integers(-3, 4, size=rows))) % end


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("end", "step", "start"), [(100_000, 60, 0.9), (65_536, 40, 0.95), (256, 4, 0.5), (1000, 5, 0)]
)
@pytest.mark.parametrize("target", ["y", "kwh"])
def test_a_meter_that_begins_again_at_the_end_of_its_range_is_warned_of(save, end, step, start, target):
    frame = series(kwh=meter(end, step, start), y=walk())
    first = int((frame["kwh"].diff() < 0).arg_max() if step > 3 else 0)
    before, after = frame["kwh"][first - 1], frame["kwh"][first]
    for kind in ("regression", "forecast"):
        (warning,) = [line for line in guess(save(frame), target, kind=kind)[1] if "begins again" in line]
        assert f"'kwh' falls from {before} to {after} in line {first + 2}" in warning and f"at {end:,};" in warning


RISE = np.arange(400)
NO_METERS = {
    "a tank that is emptied": 900 - np.abs(RISE % 100 - 5.0) * 9,
    "hours": RISE % 24,
    "a counter that is set back": RISE % 150 * 5,
    "noise": np.random.default_rng(21).integers(0, 1000, size=400),
    "a meter that goes on": meter(10**7),
}


@pytest.mark.parametrize("case", NO_METERS)
def test_what_falls_otherwise_is_no_meter(save, case):
    lines = guess(save(series(kwh=NO_METERS[case], y=walk())), "y", kind="regression")[1]
    assert not [line for line in lines if "as a counter" in line]


@pytest.mark.parametrize("cell", ["'{}.5'", "{}·5", "~{}.5~"])
def test_text_that_looks_like_numbers_is_not_called_classes(save, cell):
    frame = series(y=[cell.format(number) for number in range(400)])
    with pytest.raises(ValueError, match="look like numbers but are read as text: if they are amounts, write them as"):
        guess(save(frame), "y")
    with pytest.raises(ValueError, match="Merge classes"):
        guess(save(series(y=[f"B{number}" for number in range(400)])), "y")


def test_names_that_differ_further_down_are_said(save):
    rows = [f"{row},{row % 7}.5,{row % 5}.25" for row in range(200)]
    text = "\n".join(["t,a,b", *rows[:100], "t,a,c", *rows[100:]]) + "\n"
    warning = said(guess(save(text), "b")[1], "warning: line 102 has names again")
    assert "'c' stands where line 1 has 'b': what stands below it counts as 'b'" in warning
    words = "\n".join(["mode,a,b", *(f"{('mode', 'rest')[row % 2]},{row % 7}.5,{row % 5}.25" for row in range(200))])
    assert not [line for line in guess(save(words), "b")[1] if "names again" in line]


@pytest.mark.parametrize("rows", [200, 2000])
def test_a_value_far_from_all_others_is_warned_of(save, rows):
    pressure = 1000 + np.random.default_rng(9).normal(size=rows)
    pressure[50] = 1e9
    seldom = [row in (60, rows - 30) for row in range(rows)]
    _, lines = guess(save(series(rows, pressure=pressure, seldom=seldom)), "label")
    rest = np.delete(pressure, 50)
    assert said(lines, "warning").startswith(
        f"warning: 'pressure' reaches 1e+09 in line 52, while all others are {rest.min():.4g} to {rest.max():.4g}: "
    )
    # Of few distinct numbers it is by deviations: one value against n - 1 others that hardly differ is the root of
    # n - 1 of them off.
    _, lines = guess(save(series(rows, pressure=pressure.round(), seldom=seldom)), "label")
    train = int(re.search(r"the first (\d+) rows are training", said(lines, "split"))[1])
    assert said(lines, "warning") == (
        f"warning: 'pressure' reaches 1e+09, {math.sqrt(train - 1):.0f} standard deviations from its mean: check for "
        "errors in the data"
    )


def test_rows_out_of_order_are_sorted_and_said(save):
    frame = series()
    moved = pl.concat([frame[:9], frame[10:], frame[9:10]])
    mapping, lines = guess(save(moved), "label")
    assert said(lines, "order") == (
        "order: rows were not in time order (line 401 is the first to go back); sorted by 'when'"
    )
    plain, _ = guess(save(frame, "plain.csv"), "label")
    values = [tasks.load(each).split("train").values for each in (mapping, plain)]
    np.testing.assert_array_equal(*values)


def test_identical_rows_are_dropped_and_said(save):
    frame = series()
    mapping, lines = guess(save(pl.concat([frame, frame[5:25]])), "label")
    assert "20 rows dropped that repeat another in every column" in said(lines, "rows")
    assert sum(len(np.unique(tasks.load(mapping).split(split).rows)) for split in SPLITS) <= 400


def test_identical_rows_without_a_time_are_kept_and_warned_of(save):
    frame = series().drop("when")
    _, lines = guess(save(pl.concat([frame, frame[:100]])), "label")
    assert said(lines, "warning").startswith("warning: 100 rows of 500 repeat an earlier row in every column; kept")


def test_copies_under_new_numbers_are_warned_of_in_true_words(save):
    frame = series().drop("when")
    pasted = pl.concat([frame, frame[:100]]).with_row_index("no", 1)
    _, lines = guess(save(pasted), "label")
    assert said(lines, "warning").startswith(
        "warning: 100 rows of 500 repeat an earlier row in every column but 'no'; kept"
    )


@pytest.mark.parametrize("stars", [5, 200])
def test_few_answers_that_are_the_same_by_chance_are_no_copies(save, stars):
    draws = np.random.default_rng(3)
    columns = {"no": np.arange(1, 701), "stars": draws.integers(1, stars, 700), "answer": draws.integers(1, 4, 700)}
    frame = pl.DataFrame({"sex": draws.choice(["f", "m"], 700), **columns})
    _, lines = guess(save(frame), "answer")
    assert not any("repeat an earlier row" in line for line in lines)
    # Those that stand in one block again are told all the same.
    pasted = pl.concat([frame, frame[100:180]]).with_columns(no=np.arange(1, 781))
    _, lines = guess(save(pasted, "pasted.csv"), "answer")
    assert any("repeat an earlier row" in line or "are the same as those from" in line for line in lines)


def test_few_repeated_times_keep_the_first(save):
    frame = series()
    other = frame[7:8].with_columns(x=pl.lit(9.0))
    mapping, lines = guess(save(pl.concat([frame[:8], other, frame[8:]])), "label")
    assert any(
        "1 row dropped that repeat" in line
        and "first is kept (line 9 and line 10, both at 2024-05-31 13:52:00)" in line
        for line in lines
    )
    task = tasks.load(mapping)
    assert task.input_scaler.restore(task.split("train").values[0])[7, 0] == pytest.approx(frame["x"][7], rel=1e-5)


def test_rows_without_a_time_are_dropped_and_said(save):
    frame = series().with_columns(when=pl.when(pl.int_range(400) == 5).then(None).otherwise(pl.col("when")))
    _, lines = guess(save(frame), "label")
    assert said(lines, "rows") == "rows: 1 row without a time dropped, the first of them line 7"


# Reading


def rewritten(frame, separator, comma=False):
    text = frame.write_csv(separator=separator)
    return re.sub(r"(\d)\.(\d)", r"\1,\2", text) if comma else text


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "form",
    [
        "comma",
        "semicolon",
        "tab",
        "decimal comma",
        "BOM",
        "CRLF",
        "quoted",
        "UTF-16",
        "gz",
        "parquet",
        "row names",
        "tsv",
    ],
)
def test_every_form_of_one_table_gives_one_task(save, form):
    frame = series().with_columns(pl.col("x").round(6), when=pl.col("when").dt.strftime("%Y-%m-%d %H:%M:%S"))
    text = frame.write_csv()
    body = text.split("\n", 1)[1].splitlines()
    content, name = {
        "comma": (text, "a.csv"),
        "semicolon": (rewritten(frame, ";"), "a.csv"),
        "tab": (rewritten(frame, "\t"), "a.txt"),
        "tsv": (rewritten(frame, "\t"), "a.tsv"),
        "decimal comma": (rewritten(frame, ";", comma=True), "a.csv"),
        "BOM": (b"\xef\xbb\xbf" + text.encode(), "a.csv"),
        "CRLF": (text.replace("\n", "\r\n"), "a.csv"),
        "quoted": (frame.write_csv(quote_style="always"), "a.csv"),
        "UTF-16": (text.encode("utf-16"), "a.csv"),
        "gz": (gzip.compress(text.encode()), "a.csv.gz"),
        "parquet": (frame, "a.parquet"),
        "row names": (
            "\n".join(['"when","x","z","label"', *(f'"{i}",{row}' for i, row in enumerate(body, 1))]),
            "a.txt",
        ),
    }[form]
    expected = tasks.load({"table": str(save(text, "reference.csv")), "target": "label"}).split("test")
    mapping, lines = guess(save(content, name), "label")
    assert mapping["features"] == ["x", "z"]
    found = tasks.load(mapping).split("test")
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.timespans, expected.timespans)
    np.testing.assert_array_equal(found.targets, expected.targets)
    if form == "decimal comma":
        assert "file: 'x' is written with decimal commas" in lines
    if form == "row names":
        assert "the first is taken for a row name" in said(lines, "file")


def test_the_types_of_parquet(save):
    frame = series().with_columns(
        when=pl.date(2024, 1, 1) + pl.duration(days=pl.int_range(400)),
        place=pl.Series(["north", "south"] * 200, dtype=pl.Categorical),
        price=pl.col("z").cast(pl.Decimal(10, 3)),
        pair=pl.concat_list("x", "z"),
        empty=pl.lit(None),
    )
    mapping, lines = guess(save(frame, "mine.parquet"), "label")
    assert (mapping["time"], mapping["features"]) == ("when", ["x", "z", "place", "price"])
    assert said(lines, "spans") == "spans: even, 1 d"
    assert "'pair' holds lists or records, which are no features; 'empty' is empty" in said(lines, "left out")
    train = tasks.load(mapping).split("train")
    np.testing.assert_allclose(train.values[..., 4], train.values[..., 1], atol=1e-5)


def test_text_that_is_not_utf8_is_windows_1252_and_said(save):
    mapping, lines = guess(save(series().rename({"x": "Höhe"}).write_csv().encode("latin-1")), "label")
    assert mapping["features"] == ["Höhe", "z"]
    assert said(lines, "file") == ("file: not UTF-8 (line 1), so read as Windows-1252; look at names with accents")


@pytest.mark.parametrize(
    ("encoding", "called", "target"),
    [("cp932", "Shift-JIS", "湿度"), ("gb18030", "GB 18030", "温度"), ("cp1251", "Windows-1251", "влажность")],
)
def test_names_that_are_asked_for_tell_the_encoding(save, encoding, called, target):
    file = save(series().rename({"x": target}).write_csv().encode(encoding))
    mapping, lines = guess(file, target)
    assert mapping["target"] == target
    assert said(lines, "file") == f"file: not UTF-8 (line 1), so read as {called}; look at names with accents"
    with pytest.raises(ValueError, match="no column 'other' for the target.*hardly text.*save it as UTF-8"):
        guess(file, "other")
    assert "hardly text" in said(guess(file, "label")[1], "warning: the file")


def test_a_single_day_needs_no_order_of_day_and_month(save):
    when = [START.replace(hour=0, minute=0) + timedelta(minutes=row) for row in range(400)]
    frame = series(Date=["05/06/2024"] * 400, Time=[t.strftime("%H:%M") for t in when]).drop("when")
    mapping, lines = guess(save(frame), "label")
    assert mapping["time"] == "Date Time" and said(lines, "spans") == "spans: even, 1 min"


def test_a_column_is_read_in_its_whole_length(save):
    # Integers for a thousand rows, then a fraction: a reader that looks at the first rows alone would stumble.
    x = [*range(1000), 0.5, *range(199)]
    mapping, _ = guess(save("x,label\n" + "".join(f"{v},{i % 2}\n" for i, v in enumerate(x))), "label")
    assert mapping["features"] == ["x"]


@pytest.mark.parametrize(
    ("pattern", "remark"),
    [
        ("%Y-%m-%dT%H:%M:%S", None),
        ("%Y-%m-%dT%H:%M:%SZ", None),
        ("%Y-%m-%d %H:%M:%S.250000", None),
        ("%Y-%m-%dT%H:%M:%S+02:00", None),
        ("%Y/%m/%d %H:%M", None),
        ("%d.%m.%Y %H:%M", None),
        ("%m/%d/%Y %I:%M %p", None),
    ],
)
def test_forms_of_dates(save, pattern, remark):
    frame = series(when=[(START + timedelta(hours=hour)).strftime(pattern) for hour in range(400)])
    mapping, lines = guess(save(frame), "label")
    assert mapping["time"] == "when" and said(lines, "spans") == "spans: even, 1 h"


def test_time_zones_count(save):
    stamps = [f"2024-05-31T{12 + row % 2}:{row // 10:02d}:{row % 10:02d}+0{row % 2}:00" for row in range(400)]
    _, lines = guess(save(series(when=stamps)), "label")
    assert not [line for line in lines if line.startswith("order")]


@pytest.mark.parametrize("pattern", ["%d/%m/%Y", "%m/%d/%Y"])
def test_day_and_month_are_told_apart_by_what_follows_closely(save, pattern):
    # No day beyond the 12th, so that each cell can be read both ways.
    days = [datetime(2000 + month // 12, month % 12 + 1, day) for month in range(40) for day in range(1, 13)][:400]
    mapping, lines = guess(save(series(when=[day.strftime(pattern) for day in days])), "label")
    order = "day, month, year" if pattern == "%d/%m/%Y" else "month, day, year"
    assert said(lines, "file") == f"file: 'when' read as {order}, in which its rows follow one another"
    assert mapping["dates"] == ("day-first" if pattern == "%d/%m/%Y" else "month-first")
    assert said(lines, "spans").startswith("spans: uneven, 1 to ")


def test_a_day_and_a_time_of_day_are_one_time(save):
    when = [START + timedelta(minutes=row) for row in range(2000)]
    frame = series(2000, Date=[t.strftime("%d/%m/%Y") for t in when], Time=[t.strftime("%H:%M:%S") for t in when]).drop(
        "when"
    )
    mapping, lines = guess(save(frame), "label")
    assert mapping["time"] == "Date Time" and "Date Time" not in mapping["features"]
    assert said(lines, "file") == "file: 'Date' and 'Time' are joined into one time, 'Date Time'"
    assert said(lines, "spans") == "spans: even, 1 min"


def test_dates_that_fit_both_orders_are_read_as_asked(save):
    days = [datetime(1990 + month // 12, month % 12 + 1, 1) for month in range(400)]
    path = save(series(when=[day.strftime("%d/%m/%Y") for day in days]))
    with pytest.raises(ValueError, match="say which with --dates"):
        guess(path, "label")
    mapping, lines = guess(path, "label", dates="day-first")
    assert said(lines, "spans") == "spans: even, 31 d" and mapping["dates"] == "day-first"
    assert table.complete(mapping)[0] == mapping


def test_a_column_that_is_a_question_matters_only_if_it_would_be_the_time(save):
    born = [f"0{row % 9 + 1}/0{row % 7 + 1}/1950" for row in range(400)]
    mapping, lines = guess(save(series(born=born)), "label")
    assert mapping["time"] == "when" and "born" not in mapping["features"]
    with pytest.raises(ValueError, match="time column 'born': its dates"):
        guess(save(series(born=born).drop("when")), "label")


@pytest.mark.parametrize("slip", ["error", "2024-02-30 00:00"])
def test_one_row_with_an_unreadable_time_is_dropped_and_named(save, slip):
    when = [f"{START + timedelta(minutes=minute):%Y-%m-%d %H:%M}" for minute in range(400)]
    when[16] = slip
    mapping, lines = guess(save(series(when=when)), "label")
    assert mapping["time"] == "when"
    assert f"file: 'when' has 1 cell that is no date, {slip!r} in line 18; taken as missing" in lines
    assert said(lines, "rows") == "rows: 1 row without a time dropped, the first of them line 18"
    assert said(lines, "spans").startswith("spans: 1 min, but for 1 gap of up to 2 min; models are told")


def test_rare_gaps_are_told_to_the_models(save):
    for gap, irregular in ((timedelta(hours=6), True), (timedelta(minutes=1), True), (timedelta(seconds=20), False)):
        when = [START + timedelta(minutes=row) + (row > 250) * gap for row in range(400)]
        mapping, lines = guess(save(series(when=when)), "label")
        assert tasks.load(mapping).irregular == irregular
        assert said(lines, "spans").startswith("spans: 1 min, but for 1 gap of" if irregular else "spans: even, 1 min")


def test_parts_of_a_time_are_joined_and_no_features(save):
    when = [START + timedelta(hours=row) for row in range(400)]
    parts = {part: [getattr(moment, part) for moment in when] for part in ("year", "month", "day", "hour")}
    path = save(series(**parts).drop("when"))
    mapping, lines = guess(path, "label")
    assert mapping["time"] == "year month day hour" and mapping["features"] == ["x", "z"]
    assert said(lines, "spans") == "spans: even, 1 h"
    assert table.complete(mapping)[0] == mapping
    asked, _ = guess(path, "label", time="year", features=["x", "hour"])
    assert asked["time"] == "year month day hour" and asked["features"] == ["x", "hour"]
    without, _ = guess(path, "label", time=None)
    assert {"year", "month", "day", "hour"} & set(without["features"])


def test_the_time_again_is_no_feature(save):
    months = [datetime(1960 + row // 12, row % 12 + 1, 1) for row in range(400)]
    again = [1960 + row / 12 for row in range(400)]
    rising = np.arange(400) + np.random.default_rng(0).normal(size=400)
    path = save(series(when=months, decimal=again, rising=rising))
    mapping, lines = guess(path, "label")
    assert "'decimal' says the same as the time, 'when'" in said(lines, "left out")
    assert mapping["features"] == ["x", "z", "rising"]
    assert guess(path, "label", features=["decimal"])[0]["features"] == ["decimal"]


def test_of_several_clocks_the_first_goes_with_the_date(save):
    when = [START + timedelta(hours=row) for row in range(400)]
    clocks = {"begin": [f"{moment:%H:%M}" for moment in when], "end": [f"{moment:%H}:59" for moment in when]}
    mapping, lines = guess(save(series(date=[f"{moment:%Y-%m-%d}" for moment in when], **clocks).drop("when")), "label")
    assert mapping["time"] == "date begin" and mapping["features"] == ["x", "z"]
    assert "warning: of the clocks 'begin', 'end', the first is joined with the date" in lines


def test_a_clock_is_never_the_group(save):
    when = [START + timedelta(hours=row) for row in range(400)]
    # From 1 to 24, as hours that end are counted.
    for clock in ([f"{moment.hour + 1:02d}:00" for moment in when], [moment.hour + 1 for moment in when]):
        frame = series(date=[f"{moment:%Y-%m-%d}" for moment in when], hour=clock).drop("when")
        mapping, lines = guess(save(frame), "label")
        assert (mapping["time"], mapping["group"]) == ("date hour", None)
        assert said(lines, "spans") == "spans: even, 1 h"
    for name in ("hour", "month", "minute", "day"):
        frame = series(
            **{name: [row % 24 for row in range(400)], "when": [START + timedelta(row // 24) for row in range(400)]}
        )
        try:
            assert name not in (guess(save(frame), "label")[0]["group"] or "")
        except ValueError as refusal:
            assert "repeat the time of another row" in str(refusal)


def test_minutes_and_seconds_are_told_from_a_clock(save):
    clock = [f"{row // 60:02d}:{row % 60:02d}" for row in range(400)]
    _, lines = guess(save(series(time=clock).drop("when")), "label")
    warning = said(lines, "warning: the clocks of 'time' have two numbers")
    assert "name the column 'time (mm:ss)', or write an hour in front" in warning
    _, lines = guess(save(series(clock=clock).drop("when")), "label")
    assert not any("have two numbers" in line for line in lines)
    mapping, lines = guess(save(series(**{"time (mm:ss)": clock}).drop("when")), "label")
    assert mapping["time"] == "time (mm:ss)" and said(lines, "spans") == "spans: even, 1 s"
    assert "file: 'time (mm:ss)' read as minutes and seconds" in lines
    # Spreadsheets leave out the hour.
    shown = [f"{row * 30 // 60 % 60:02d}:{row * 30 % 60:02d}.0" for row in range(400)]
    _, lines = guess(save(series(time=shown).drop("when")), "label")
    assert "file: 'time' read as minutes and seconds; it begins a new hour 3 times, and each adds an hour" in lines
    assert said(lines, "spans") == "spans: even, 30 s"


@pytest.mark.parametrize("asked", [{}, {"group": "patient"}])
def test_groups_in_merged_cells_are_to_be_filled_down(save, asked):
    patient = [f"P{row // 40}" if row % 40 == 0 else None for row in range(400)]
    frame = series(patient=patient, time=[row % 40 for row in range(400)]).drop("when")
    with pytest.raises(ValueError, match="'patient' .*is empty in 390 rows of 400 and written only where it changes"):
        guess(save(frame), "label", **asked)
    filled = save(frame.with_columns(pl.col("patient").forward_fill()))
    assert guess(filled, "label")[0]["group"] == "patient"


def test_dates_in_merged_cells_are_to_be_filled_down(save):
    frame = series()
    days = [when.date() for when in frame["when"]]
    day = [day if row == 0 or day != days[row - 1] else None for row, day in enumerate(days)]
    clock = [f"{when:%H:%M}" for when in frame["when"]]
    path = save(frame.drop("when").with_columns(pl.Series("date", day), pl.Series("clock", clock)))
    with pytest.raises(ValueError, match="time column 'date' is empty in .* as merged cells are. Fill it down first"):
        guess(path, "label")


def test_a_unit_that_shares_labels_between_parts_is_warned_of(save):
    rows = range(360)
    frame = pl.DataFrame(
        {
            "subject": [f"S{row // 60}" for row in rows],
            "session": [row // 20 % 3 for row in rows],
            "time": [row % 20 for row in rows],
            "x": [row * 37 % 101 for row in rows],
            "ill": [int(row < 120) for row in rows],
        }
    )
    mapping, lines = guess(save(frame), "ill")
    assert mapping["group"] == ["session", "subject"]
    assert said(lines, "target").endswith("'ill' is constant within each of 'session' and 'subject'")
    assert "'ill' is constant within each of 'subject', whose values are in several parts" in " ".join(lines)


@pytest.mark.parametrize("form", ["%H:%M %d.%m.%Y", "%H:%M:%S, %Y-%m-%d", "%Y-%m-%d %H.%M", "%d.%m.%Y %Hh%M"])
def test_a_clock_is_read_before_its_date_and_with_other_marks(save, form):
    when = [f"{START + timedelta(minutes=15 * row):{form}}" for row in range(400)]
    mapping, lines = guess(save(series(when=when)), "label")
    assert mapping["time"] == "when" and said(lines, "spans") == "spans: even, 15 min"


def test_text_that_looks_like_times_is_warned_of(save):
    when = [f"{START + timedelta(minutes=15 * row):%j/%Y %H:%M}" for row in range(400)]
    _, lines = guess(save(series(when=when)), "label")
    assert "rows count as evenly spaced (write times as 2024" in said(lines, "warning: 'when' holds what looks like")


def test_text_under_the_name_of_a_time_is_warned_of(save):
    terms = [f"term {1 + row % 3} of {1900 + row // 3}" for row in range(400)]
    _, lines = guess(save(series(period=terms).drop("when")), "label")
    assert said(lines, "warning: 'period' is named like a time, but 'term 1 of 1900' is no number or date")


def test_a_clock_alone_is_a_time_that_goes_on_after_midnight(save):
    clock = [f"{START + timedelta(minutes=10 * row):%H:%M}" for row in range(400)]
    mapping, lines = guess(save(series(time=clock).drop("when")), "label")
    assert mapping["time"] == "time" and said(lines, "spans") == "spans: even, 10 min"
    read = "file: 'time' holds times without a date, read as hours and minutes"
    assert f"{read}; it passes midnight 3 times, and each adds a day" in lines
    assert not any("mm:ss" in line for line in lines)


def test_an_hour_that_is_there_twice_is_warned_of(save):
    start = datetime(2024, 10, 26, 12)
    for minutes in (15, 60):
        repeated = 60 // minutes
        last = 15 * 60 // minutes
        steps = [row if row < last else row - repeated for row in range(400)]
        when = [start + timedelta(minutes=minutes * step) for step in steps]
        _, lines = guess(save(series(when=when)), "label")
        (clock,) = [line for line in lines if "the clock goes back an hour in line" in line]
        assert "at 2024-10-27 02:00:00, as at the end of daylight saving" in clock
        assert any(line.startswith(f"warning: {repeated} row") for line in lines)
    # Few rows, of which many repeat: refused, with the same reason.
    with pytest.raises(ValueError, match="Or the clock goes back an hour in line 62, .*; write times in UTC"):
        guess(
            save(
                series(
                    100, when=when[:0] + [start + timedelta(minutes=15 * (s if s < 60 else s - 4)) for s in range(100)]
                )
            ),
            "label",
        )


@pytest.mark.parametrize(
    "index", [lambda row: row + 3 * (row > 200), lambda row: row * (row < 390) + (row >= 390) * (row + 7)]
)
def test_an_index_with_jumps_is_no_feature(save, index):
    path = save(series(index=[index(row) for row in range(400)]))
    mapping, lines = guess(path, "label")
    assert "'index' only counts the rows" in said(lines, "left out")
    shuffled = save(pl.read_csv(path).sample(fraction=1, shuffle=True, seed=0))
    assert "'index' only counts the rows" in said(guess(shuffled, "label")[1], "left out")
    counts = np.random.default_rng(0).integers(1, 4, size=400).cumsum()
    assert "rain" in guess(save(series(rain=counts)), "label")[0]["features"]


def test_what_is_only_named_like_a_time_is_warned_of(save):
    draws = np.random.default_rng(0)
    frame = (
        series()
        .drop("when")
        .with_columns(t=draws.normal(size=400), date=pl.lit("Monday") + pl.int_range(400).cast(str))
    )
    mapping, lines = guess(save(frame), "label")
    assert mapping["time"] is None and mapping["features"] == ["x", "z", "t"]
    assert "warning: 't' is named like a time, but its numbers go up and down; rows count as evenly spaced" in " ".join(
        lines
    )
    assert "'date' is named like a time, but 'Monday0' is no number or date" in " ".join(lines)


def test_a_unit_in_the_name_is_the_unit(save):
    task = tasks.load({"table": str(save(series().rename({"x": "speed [m/s]"}))), "target": "label"})
    assert [(feature.name, feature.unit) for feature in task.features] == [
        ("speed [m/s]", "m/s"),
        ("z", "as in the table"),
    ]


def test_a_unit_in_the_cells_is_the_unit(save):
    path = save(series(elapsed=[f"{30 * row} min" for row in range(400)], x=[f"{row % 7} mV" for row in range(400)]))
    mapping, lines = guess(path, "label", time="elapsed")
    assert said(lines, "spans") == "spans: even, 30 min"
    assert next(feature.unit for feature in table.load(mapping).features if feature.name == "x") == "mV"


def test_ages_that_go_down_are_warned_of(save):
    ages = np.cumsum(np.random.default_rng(0).uniform(5, 50, 400)).round(1)
    _, lines = guess(save(series(age_BP=ages[::-1]).drop("when")), "label")
    assert "If that is the time, write it with a minus" in said(lines, "warning: 'age_BP' goes down from row to row")
    _, lines = guess(save(series(age_BP=-ages[::-1]).drop("when")), "label", time="age_BP")
    assert said(lines, "spans").startswith("spans: uneven, 5")


def test_one_date_for_all_rows_is_no_time_of_theirs(save):
    mapping, lines = guess(save(series(date=["2024-01-02"] * 400).drop("when")), "label")
    assert mapping["time"] is None and "rows count as evenly spaced" in said(lines, "warning: 'date' is the same date")


def test_a_column_of_text_with_a_slip_says_where(save):
    x = [str(value) for value in range(400)]
    x[16] = "broken"
    _, lines = guess(save(series(x=x)), "label")
    assert said(lines, "warning") == (
        "warning: 'x' holds no number in 1 cell of 400, read as missing: 'broken' in line 18"
    )
    x[16:116] = ["broken"] * 100
    _, lines = guess(save(series(x=x)), "label")
    assert (
        "'x' holds numbers, but 'broken' in line 18 and 99 more; empty those cells (--missing x=broken makes it "
        "missing) to use it"
    ) in said(lines, "left out")


def test_rows_and_columns_without_content_are_dropped(save):
    text = series(40).write_csv().replace("\n", ",\n").replace("label,", "label,spare", 1) + ",,,,\n" * 2
    text += "".join(line + ",\n" for line in series(400).write_csv(include_header=False).splitlines()[40:])
    _, lines = guess(save(text), "label")
    assert said(lines, "rows") == "rows: 2 empty rows dropped, the first of them line 42"
    assert "'spare' is empty" in said(lines, "left out")


# What is refused, in words


REFUSED = {
    "unknown column": (
        series(),
        {"target": "lable"},
        "there is no column 'lable' for the target. Did you mean 'label'?",
    ),
    "columns listed": (series(), {"target": "q"}, "The columns are 'when', 'x', 'z', 'label'"),
    "unknown time": (series(), {"target": "z", "time": "whn"}, "no column 'whn' for the time. Did you mean 'when'?"),
    "unknown group": (series(), {"target": "z", "group": "g"}, "there is no column 'g' for the group"),
    "two roles": (series(), {"target": "z", "time": "z"}, "column 'z' cannot be both target and time"),
    "constant": (series(y=[3] * 400), {"target": "y"}, "target 'y' is '3' in every row where it is known"),
    "no target": (series(y=[None] * 400), {"target": "y"}, "target 'y' has no value in any row"),
    "infinite target": (
        series(y=[*range(399), math.inf]),
        {"target": "y"},
        "column 'y' holds 1 infinite value, the first in line 401; empty those cells",
    ),
    "infinite feature": (series(x=[-math.inf, *range(399)]), {"target": "z"}, "column 'x' holds 1 infinite value"),
    "too large": (series(x=[1e300, *range(399)]), {"target": "z"}, "column 'x' holds 1 infinite value"),
    "slip in target": (
        series(y=["1.5", "oops", "2", "3"] * 100),
        {"target": "y"},
        "target 'y' holds numbers, but 'oops' in line 3 and 99 more; empty those cells",
    ),
    "too many classes": (
        series(y=[f"class {row % 80}" for row in range(400)]),
        {"target": "y"},
        "target 'y' holds 80 distinct values, too many to be classes (at most 50). Merge classes",
    ),
    "numbers as classes": (
        series(),
        {"target": "z", "kind": "classification"},
        "too many to be classes (at most 50). Try --task regression",
    ),
    "text as numbers": (
        series(),
        {"target": "label", "kind": "regression"},
        "a regression needs a target of numbers; 'label' holds text such as 'middle'",
    ),
    "forecast of text": (
        series(),
        {"target": "label", "kind": "forecast"},
        "a forecast needs a target of numbers; 'label' holds text such as 'middle'",
    ),
    "unknown kind": (
        series(),
        {"target": "label", "kind": "clustering"},
        "kind must be one of classification, regression, forecast, next-known; got 'clustering'",
    ),
    "date as target": (
        series(),
        {"target": "when"},
        "target 'when' holds dates; expected numbers, text or true and false",
    ),
    "unreadable time": (
        series(when=["soon"] * 50 + [*map(str, range(350))]),
        {"target": "z", "time": "when"},
        "time column 'when' cannot be read as times: 'soon' in line 2 is no number. Expected numbers, or dates "
        "such as 2024-05-31 13:45:00",
    ),
    "impossible date": (
        series(when=[f"2023-02-{day % 28 + 1 if day < 300 else 31:02d} 00:{day % 60:02d}" for day in range(400)]),
        {"target": "z", "time": "when"},
        "time column 'when': 100 of its 400 cells are no dates, the first of them '2023-02-31 00:00' in line 302; "
        "correct or empty these cells. Or name another with --time, or none with --no-time",
    ),
    "true and false": (
        series(when=[row % 2 == 0 for row in range(400)]),
        {"target": "z", "time": "when"},
        "time column 'when' holds true and false; expected numbers, or dates such as 2024-05-31 13:45:00",
    ),
    "two-valued time": (series(), {"target": "z", "time": "label"}, "time column 'label' cannot be read as times: '"),
    "ambiguous dates": (
        series(when=[f"{row * 5 % 12 + 1}/{row * 7 % 11 + 1}/2024" for row in range(400)]),
        {"target": "z", "time": "when"},
        "time column 'when': its dates, such as '1/1/2024', can be read as day, month, year or month, day, year; say "
        "which with --dates (dates: in a study), day-first, month-first or year-first",
    ),
    "one group": (
        grouped(1, 200),
        {"target": "y", "group": "subject"},
        "group column 'subject' holds 1 group; a split by group needs at least 3, one for each of training, validation "
        "and test. Leave --group out to split in time",
    ),
    "one short group": (
        grouped(1, 20),
        {"target": "y", "group": "subject"},
        "Its 20 rows are too few to split in time as well (56 are needed)",
    ),
    "two groups": (
        grouped(2),
        {"target": "y", "group": "subject"},
        "group column 'subject' holds 2 groups; a split by group needs at least 3",
    ),
    "classes in few groups": (
        grouped(4),
        {"target": "ill", "group": "subject"},
        "no class of 'ill' has 3 groups, one for each of training, validation and test (2 of no, 2 of yes)",
    ),
    "a group a row": (
        series(label=[f"r{row}" for row in range(400)]),
        {"target": "z", "group": "label"},
        "each row has a value of its own in group column 'label', so there is no series",
    ),
    "group with holes": (
        grouped().with_columns(subject=pl.when(pl.int_range(200) > 1).then(pl.col("subject"))),
        {"target": "y", "group": "subject"},
        "group column 'subject' is missing in 2 rows, the first of them line 2",
    ),
    "too few rows": (series(40), {"target": "z"}, "40 rows are too few: split in time into 60, 20 and 20 %"),
    "too few rows for a forecast": (
        series(40),
        {"target": "z", "kind": "forecast"},
        "40 rows are too few: split in time into 60, 20 and 20 %, with 9 rows left out between the parts, each part "
        "needs a window of 8 rows, 59 rows in all",
    ),
    "too few rows with values": (
        pl.DataFrame({"x": [1.0, math.nan, 3.0], "y": [2.0, math.nan, 1.0]}),
        {"target": "y"},
        "2 rows that are left of 3 are too few",
    ),
    "ordered by class": (
        series(label=["a"] * 300 + ["b"] * 100),
        {"target": "label"},
        "the training part holds only class 'a' of 'label', so nothing can be learnt. If the rows are ordered by "
        "class, they are no time series as they stand: name the column that tells recordings apart with --group",
    ),
    "one class in validation": (
        series(label=["a", "b"] * 100 + ["a"] * 200),
        {"target": "label"},
        "the validation part holds only class 'a' of 'label', so no model can be judged by it. If the rows are ordered",
    ),
    "one class in test": (
        series(label=["a", "b"] * 140 + ["b"] * 120),
        {"target": "label"},
        "the test part holds only class 'b' of 'label', so no model can be judged by it. If the rows are ordered",
    ),
    "one class in all groups but one": (
        grouped(y=["a", "b"] * 10 + ["a"] * 180),
        {"target": "y", "group": "subject"},
        "part holds only class 'a' of 'y', so no model can be judged by it. More groups are needed",
    ),
    "repeated times": (
        pl.concat([series(200), series(200, seed=1)]),
        {"target": "z"},
        "200 rows of 400 repeat the time of another row with other content, by 'when', the first of them line 2 and "
        "line 202, both at 2024-05-31 13:45:00. If the table holds several recordings, name the column that tells them "
        "apart with --group",
    ),
    "no features": (
        series().select("when", "label"),
        {"target": "label"},
        "no column is left to predict 'label' from (there are no others)",
    ),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_words(save, case):
    frame, asked, words = REFUSED[case]
    path = save(frame)
    with pytest.raises(ValueError) as caught:
        guess(path, **asked)
    assert words in str(caught.value)
    if case != "unknown kind":
        assert str(caught.value).startswith("mine.csv: ")
    assert not re.search(r"Traceback|Error|Exception|dtype|polars|None\b", str(caught.value))


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("", "a.csv", "a.csv: the file is empty"),
        ("  \n\n", "a.csv", "a.csv: the file is empty"),
        ("x,label\n", "a.csv", "a.csv: the file has column names but no rows"),
        (
            "x,y\n1,2\n",
            "a.xlsx",
            "must end in .csv, .tsv, .txt, .dat, .data or .parquet (text files also with .gz after that); a ",
        ),
        ("x,label,label\n1,2,3\n", "a.csv", "column name 'label' occurs 2 times (columns 2, 3 of line 1); rename"),
        ("1.5,2,3\n1,2,3\n", "a.csv", "the first row holds numbers (1.5, 2, 3) where column names are expected"),
        ("x,label\n1,2\n1,2,3\n", "a.csv", "line 3 has 3 cells, but line 1 has 2 names, so it is not plain"),
        ('x,label\n1,"2\n3,4\n', "a.csv", "cannot be read as a table; is a quotation mark left open?"),
        (
            "anything",
            "a.parquet.gz",
            "must end in .csv, .tsv, .txt, .dat, .data or .parquet (text files also with .gz after that); unpack it",
        ),
        ("anything", "a.zip", "unpack it and give the table in it"),
        (b"PAR1 not really", "a.parquet", "the file is damaged, or not a Parquet file"),
        (b"not packed", "a.csv.gz", "it is not compressed with gzip, bzip2 or xz"),
    ],
)
def test_files_that_are_no_tables(save, content, name, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        guess(save(content, name), "label")


def test_a_missing_file_names_its_neighbours(save, tmp_path):
    save(series(), "readings.csv")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*reading\.csv; did you mean readings\.csv\?"):
        guess(tmp_path / "reading.csv", "label")
    with pytest.raises(ValueError, match="it is a folder: give the file in it"):
        guess(tmp_path, "label")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"traget": "x"}, ValueError, "a table has no key 'traget'. Did you mean 'target'?"),
        ({"window": 1}, ValueError, "window must be at least 2; got 1"),
        ({"window": "32"}, TypeError, "window must be a whole number of rows; got '32'"),
        ({"window": None}, ValueError, "window must be a number of rows where one recording is split in time"),
        ({"window": 200}, ValueError, "400 rows are too few"),
        ({"horizon": 2}, ValueError, "horizon is for a forecast; this is a classification"),
        (
            {"target": "z", "kind": "next-known", "horizon": 2},
            ValueError,
            "horizon is a number of rows, but next-known looks ahead to the next row in which 'z' is known",
        ),
        ({"kind": "next-known"}, ValueError, "a forecast needs a target of numbers; 'label' holds text"),
        ({"features": "x"}, TypeError, "features must be a list of column names; got 'x'"),
        ({"features": []}, ValueError, "features must be distinct column names, at least one"),
        ({"features": ["x", "label"]}, ValueError, "features must not name the target, 'label'"),
        ({"features": ["when"]}, ValueError, "features must not name 'when', which is the column of times or groups"),
        ({"features": ["y"]}, ValueError, "there is no column 'y' for the features"),
        (
            {"per": "sequence"},
            ValueError,
            "per: sequence needs groups within which the target is constant, but there are no",
        ),
        ({"digest": "0" * 64}, ValueError, "The file has changed since; put the old one back, or leave digest out"),
        ({"target": 3}, TypeError, "target must be text; got 3"),
        ({"group": 3}, TypeError, "group must be a column name, or a list of some; got 3"),
        ({"group": ["x", 3]}, TypeError, "group must be a column name, or a list of some; got ['x', 3]"),
        ({"group": ["x", "x"]}, ValueError, "group must name distinct columns; got x, x"),
        ({"group": ["x", "label"]}, ValueError, "column 'label' cannot be both target and group"),
        ({"dates": "european"}, ValueError, "dates must be one of day-first, month-first, year-first; got 'european'"),
        ({"per": "row"}, ValueError, "per must be one of step, sequence; got 'row'"),
    ],
)
def test_choices_that_cannot_be_had(save, change, error, words):
    with pytest.raises(error, match=re.escape(words)):
        tasks.load({"table": str(save(series())), "target": "label", **change})


def test_a_table_needs_a_target(save):
    with pytest.raises(ValueError, match="a table needs the key 'target'; got table"):
        tasks.load({"table": str(save(series()))})


def test_choices_are_followed(save):
    path = save(series())
    task = tasks.load(
        {"table": str(path), "target": "label", "name": "own", "features": ["z"], "window": 10, "time": None}
    )
    assert (task.name, task.window, task.time_unit) == ("own", 10, "row")
    assert [feature.name for feature in task.features] == ["z"]


def test_a_relative_table_may_lie_in_the_data_folder(save, tmp_path):
    save(series(), "inside.csv")
    assert tasks.load({"table": "inside.csv", "target": "label"}, data=tmp_path).name == "inside"


def test_no_split_is_built_by_loading(save):
    assert not tasks.load({"table": str(save(series())), "target": "label"}).constructed


def test_facts_are_ready_for_a_report(save):
    mapping, _ = guess(save(grouped()), "ill", group="subject")
    facts = tasks.load(mapping).facts()
    assert Facts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
    assert facts.source.title == "mine.csv" and facts.sequences == {"train": 6, "validation": 2, "test": 2}


# A real one


def occupancy_text():
    full, excerpt = (DATA, uci.OCCUPANCY), (table.Path(uci.__file__).parent / "excerpts", uci.OCCUPANCY_EXCERPT)
    for folder, archive in (full, excerpt):
        packed = folder / archive.folder / "occupancy_data.zip"
        if packed.is_file():
            with zipfile.ZipFile(io.BytesIO(packed.read_bytes())) as members:
                return members.read("datatraining.txt")
    raise AssertionError("the excerpt comes with the package")


def test_the_occupancy_file_as_it_is_downloaded(save):
    mapping, lines = guess(save(occupancy_text(), "datatraining.txt"), "Occupancy")
    assert mapping["features"] == ["Temperature", "Humidity", "Light", "CO2", "HumidityRatio"]
    assert (mapping["time"], mapping["kind"], mapping["per"]) == ("date", "classification", "step")
    assert "'unnamed column 1' only counts the rows" in said(lines, "left out")
    assert said(lines, "spans") == "spans: even, 1 min"
    # Rows 4,900 to 6,500 are a weekend, on which nobody came.
    assert "not 60, 20 and 20 %" in said(lines, "split")
    task = tasks.load(mapping)
    check(task)
    reference = tasks.load("occupancy-excerpt")
    ours, theirs = task.split("train"), reference.split("train")
    assert ours.values.shape[1:] == theirs.values.shape[1:]
    raw = [one.input_scaler.restore(split.values[0]) for one, split in ((task, ours), (reference, theirs))]
    np.testing.assert_allclose(*raw, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(ours.targets[:100], theirs.targets[:100])
    np.testing.assert_allclose(ours.timespans[0], theirs.timespans[0], atol=0.02)


def test_groups_have_their_turns_in_test_and_a_single_recording_has_none(tmp_path):
    for groups, folds in ((3, 3), (4, 4), (9, 5)):
        frame = pl.DataFrame(
            {
                "who": np.repeat([f"g{number}" for number in range(groups)], 40),
                "t": np.tile(np.arange(40.0), groups),
                "x": np.random.default_rng(0).normal(size=40 * groups),
                "y": np.random.default_rng(1).normal(size=40 * groups),
            }
        )
        frame.write_csv(tmp_path / "table.csv")
        task = table.load({"table": str(tmp_path / "table.csv"), "target": "y", "group": "who"})
        assert task.folds == folds and task.fold_rule.startswith("By group")
        tested = []
        for fold in range(folds):
            check(task.with_fold(fold))
            tested += [recording.name for recording in task.with_fold(fold).recordings("test")]
        assert sorted(tested) == sorted(f"g{number}" for number in range(groups)), "each once"

    frame.drop("who").write_csv(tmp_path / "single.csv")
    task = table.load({"table": str(tmp_path / "single.csv"), "target": "y", "time": None})
    with pytest.raises(
        ValueError, match="offers one outer split, numbered from 0; got 1. The rule: a single recording"
    ):
        task.with_fold(1)


def test_an_outer_split_that_cannot_be_judged_is_refused_by_its_number(tmp_path):
    # One group alone has both classes, so that a test part of others has one.
    y = np.concatenate([np.tile([0, 1], 20), np.tile([0, 1], 20), np.tile([0, 1], 20), np.zeros(40, int)])
    frame = pl.DataFrame({"who": np.repeat(["a", "b", "c", "d"], 40), "x": np.arange(160) % 7, "y": y})
    frame.write_csv(tmp_path / "table.csv")
    mapping = {"table": str(tmp_path / "table.csv"), "target": "y", "group": "who", "kind": "classification"}
    refused = []
    task = table.load(mapping)
    for fold in range(task.folds):
        try:
            task.with_fold(fold)
        except ValueError as error:
            refused.append(str(error))
    assert refused and all("outer split" in words and "holds only class '0'" in words for words in refused)


@pytest.mark.parametrize("cell", ["", "error", "---"])
def test_a_time_in_numbers_that_lacks_a_cell_loses_its_row_alone(save, cell):
    rows = [f"{3 * row},{row % 7},{row * row % 11}" for row in range(200)]
    rows[50] = f"{cell},1,2"
    mapping, lines = guess(save("time,x,y\n" + "\n".join(rows)), "y")
    assert mapping["time"] == "time"
    assert said(lines, "rows: ") == "rows: 1 row without a time dropped, the first of them line 52"
    assert said(lines, "spans: ").startswith("spans: 3 units of 'time', but for 1 gap of up to 6")


@pytest.mark.parametrize("cell", ["", "x"])
def test_a_count_of_the_rows_that_lacks_a_cell_is_no_feature(save, cell):
    rows = [f"{row},{row % 7},{row * row % 11}" for row in range(200)]
    rows[50] = f"{cell},1,2"
    mapping, lines = guess(save("No,x,y\n" + "\n".join(rows)), "y")
    assert mapping["features"] == ["x"] and said(lines, "left out: ") == "left out: 'No' only counts the rows"


def test_a_bad_cell_in_a_column_of_one_value_is_no_event(save):
    rows = [f"{'err' if row == 9 else 5},{row % 7},{row * row % 11}" for row in range(200)]
    mapping, lines = guess(save("flag,x,y\n" + "\n".join(rows)), "y")
    assert mapping["features"] == ["x"] and not [line for line in lines if line.startswith("presence")]
    assert said(lines, "left out: ") == "left out: 'flag' is the same in every row"


@pytest.mark.parametrize(("name", "step"), [("hour", 1), ("Hours", 0.25), ("day", 3), ("minute", 7)])
def test_hours_that_go_on_beyond_a_day_are_times(save, name, step):
    passed = np.cumsum([step * (1 + (row % 5 == 0)) for row in range(160)])
    rows = [f"{passed[row]},{row % 7},{row * row % 11}" for row in range(160)]
    mapping, lines = guess(save(f"{name},x,y\n" + "\n".join(rows)), "y")
    assert (mapping["time"], mapping["features"]) == (name, ["x"])
    task = table.load(mapping)
    assert task.irregular
    recording = task.recordings("train")[0]
    np.testing.assert_allclose(recording.times, passed[: len(recording)] - passed[0])


@pytest.mark.parametrize("name", ["hour", "day", "hr"])
def test_an_hour_of_the_day_is_no_time(save, name):
    rows = [f"{row % 24 if name != 'hr' else 60 + row * 7 % 31},{row % 7},{row * row % 11}" for row in range(160)]
    assert guess(save(f"{name},x,y\n" + "\n".join(rows)), "y")[0]["time"] is None


@pytest.mark.parametrize("value", [-9.99e8, 123456.7])
def test_a_target_that_sets_the_scale_of_the_errors_is_warned_of(save, value):
    frame = series()
    target = frame["x"].to_list()
    target[20] = value
    path = save(frame.with_columns(y=pl.Series(target)).select("when", "z", "y"))
    _, lines = guess(path, "y")
    assert said(lines, "warning: ").startswith(f"warning: target 'y' reaches {value:.4g} in line 22, ")
    _, lines = guess(save(frame.with_columns(y="x").select("when", "z", "y")), "y")
    assert not [line for line in lines if line.startswith("warning")]


@pytest.mark.parametrize(
    ("moment", "line"), [("1970-01-01 00:00:00", 7), ("2099-12-31 00:00:00", 7), ("1900-01-01", 7)]
)
def test_a_time_far_from_all_others_is_warned_of(save, moment, line):
    frame = series().with_columns(pl.col("when").dt.to_string("%Y-%m-%d %H:%M:%S"))
    when = frame["when"].to_list()
    when[line - 2] = moment
    _, lines = guess(save(frame.with_columns(when=pl.Series(when))), "label")
    assert said(lines, "warning: ").startswith(f"warning: the time in line {line} is {moment[:10]} 00:00:00, far from")


def test_a_gap_between_two_records_is_not(save):
    frame = series().with_columns(pl.col("when") + pl.duration(days=400 * (pl.int_range(pl.len()) > 200)))
    _, lines = guess(save(frame), "label")
    assert not [line for line in lines if line.startswith("warning")]


def test_a_category_that_only_one_part_has_is_warned_of(save):
    # Training is the first 216 rows, and 20 are left out after it.
    stage = np.where(np.arange(400) < 250, "idle", np.where(np.arange(400) % 2, "load", "idle"))
    site = np.where(np.arange(400) < 250, np.array(["a", "b"])[np.arange(400) % 2], "late")
    _, lines = guess(save(series(stage=stage, site=site)), "label")
    assert "warning: 'stage' is the same throughout the training part, so nothing can be learnt of what changes " in (
        "\n".join(lines)
    )
    assert said(lines, "warning: 'site = late'").endswith(
        "'site = late' occurs only outside of the training part, so nothing can be learnt of it"
    )


def test_a_category_that_is_missing_in_places_may_still_vary(save):
    stage = [(None, "idle", "load")[row % 3] for row in range(400)]
    _, lines = guess(save(series(stage=stage)), "label")
    assert not [line for line in lines if line.startswith("warning")]


@pytest.mark.parametrize("width", [60, 3000])
def test_a_table_on_its_side_is_refused_before_its_cells_are_read(save, width, monkeypatch):
    lines = [",".join(f"t{column}" for column in range(width))]
    lines += [",".join(f"{row + column / 7:.3f}" for column in range(width)) for row in range(4)]
    monkeypatch.setattr("liquidbench.tasks.columns._Typing", None)
    with pytest.raises(ValueError, match=rf"has 4 rows and {width:,} columns.*turn the table round"):
        guess(save("\n".join(lines)), "t1")


@pytest.mark.slow
def test_time_grows_no_faster_than_the_number_of_columns(save):
    """Each column is looked at for itself, however many others there are."""
    frame = pl.DataFrame({f"c{column}": np.arange(80) * (column % 7 + 0.5) % 11 for column in range(300)})
    selected = []
    select = pl.DataFrame.select

    def counted(self, *expressions, **named):
        if self.width > 200:
            selected.append(expressions)
        return select(self, *expressions, **named)

    path = save(frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl.DataFrame, "select", counted)
        guess(path, "c3", kind="regression")
    assert len(selected) < 50


@pytest.mark.parametrize("parts", [("train", "test"), ("Training", "Validation", "Test")])
def test_a_column_of_parts_is_no_feature(save, parts):
    rows = np.arange(300)
    frame = pl.DataFrame(
        {
            "x": np.sin(rows),
            "colour": [("red", "blue", "train")[row % 3] for row in rows],
            "set": [parts[row * 7 % 11 % len(parts)] for row in rows],
            "y": np.cos(rows * 3),
        }
    )
    mapping, lines = guess(save(frame), "y")
    assert mapping["features"] == ["x", "colour"]
    assert "left out: 'set' names the parts of a split (--features asks for it)" in lines
    assert said(lines, "warning: 'set' names the parts of a split, which is not used")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("is_test", [0, 1]),
        ("isTrain", [True, False]),
        ("train", [1, 0]),
        ("out_of_sample", [0.0, 1.0]),
        ("partition", ["calibration", "holdout"]),
        ("data_set", ["trn", "tst", "val"]),
        ("Usage", ["Public", "Private"]),
        ("split", ["A", "B", "C"]),
    ],
)
def test_a_split_of_the_user_is_no_feature_under_many_names(save, name, values):
    rows = np.arange(300)
    columns = {"x": np.sin(rows), name: [values[row // 100 % len(values)] for row in rows], "y": np.cos(rows * 3)}
    mapping, lines = guess(save(pl.DataFrame(columns)), "y")
    assert mapping["features"] == ["x"]
    assert said(lines, f"warning: {name!r} names the parts of a split, which is not used")
    assert guess(save(pl.DataFrame(columns)), "y", features=["x", name])[0]["features"] == ["x", name]


@pytest.mark.parametrize(
    ("name", "values"), [("test", [0, 1]), ("train", [4, 17, 22]), ("set", ["red", "blue"]), ("usage", ["high", "low"])]
)
def test_a_column_that_is_no_split_is_a_feature(save, name, values):
    rows = np.arange(300)
    columns = {"x": np.sin(rows), name: [values[row * 7 % 11 % len(values)] for row in rows], "y": np.cos(rows * 3)}
    assert guess(save(pl.DataFrame(columns)), "y")[0]["features"] == ["x", name]


@pytest.mark.parametrize("name", ["LabNo", "Beleg", "ticket", "MRN", "ref", "Probe", "lfd", "key"])
def test_numbers_of_rows_are_no_features(save, name):
    draws = np.random.default_rng(3)
    given_out = 40_000 + np.cumsum(draws.integers(1, 9, 300))
    frame = pl.DataFrame({name: given_out, "x": draws.normal(size=300), "y": draws.normal(size=300)})
    mapping, lines = guess(save(frame), "y")
    assert mapping["features"] == ["x"] and name in said(lines, "left out")
    # A measurement of the same name is one.
    measured = frame.with_columns(pl.Series(name, draws.normal(size=300).round(3)))
    assert guess(save(measured), "y")[0]["features"] == [name, "x"]


@pytest.mark.parametrize("name", ["fold", "CV_fold", "kfold", "cv"])
@pytest.mark.parametrize("value", [int, "fold{}".format])
def test_a_column_of_folds_is_no_feature(save, name, value):
    rows = np.arange(300)
    frame = pl.DataFrame(
        {
            "subject": [f"s{row // 30}" for row in rows],
            "x": np.sin(rows),
            "fold_change": np.cos(rows),
            name: [value(row // 30 % 5 + 1) for row in rows],
            "y": np.cos(rows * 3),
        }
    )
    mapping, lines = guess(save(frame), "y")
    assert mapping["features"] == ["x", "fold_change"]
    assert said(lines, f"warning: {name!r} names folds of a cross-validation, which are not used")


def test_folds_of_a_protein_are_a_feature(save):
    rows = np.arange(300)
    frame = pl.DataFrame({"fold": [("TIM", "Rossmann")[row % 2] for row in rows], "x": rows % 7, "y": np.cos(rows * 3)})
    assert "fold" in guess(save(frame), "y")[0]["features"]


def test_times_in_words_are_warned_of(save):
    rows = np.arange(120)
    frame = pl.DataFrame(
        {
            "patient": [f"p{row // 12}" for row in rows],
            "visit": [f"Week {row % 12}" for row in rows],
            "x": np.sin(rows),
            "y": np.cos(rows * 3),
        }
    )
    _, lines = guess(save(frame), "y")
    assert said(lines, "warning: 'visit' holds times such as 'Week 0', read as text; rows count as evenly spaced")


def test_whole_numbers_taken_for_classes_may_be_amounts(save):
    rows = np.arange(300)
    frame = pl.DataFrame({"x": np.sin(rows), "grade": rows * 7 % 13})
    _, lines = guess(save(frame), "grade")
    assert said(lines, "kind").endswith("13 distinct whole numbers; --task regression takes them as amounts)")
    frame = frame.with_columns(grade=pl.col("grade") % 2)
    assert said(guess(save(frame), "grade")[1], "kind").endswith("2 distinct whole numbers)")


MEASURED = {
    "saturation": ("SpO2", 95, 1.5, 1),
    "few of a pulse": ("resting_hr", 61, 0.8, 1),
    "blood pressure by the scale": ("diastolic", 75, 8, 5),
    "degrees": ("oil_temp", 4, 2, 1),
    "credits": ("load_factor", 28, 2, 1),
    "below 0 and above": ("offset", -3, 2, 1),
}


@pytest.mark.parametrize("case", MEASURED)
def test_whole_numbers_that_come_as_measurements_are_amounts(save, case):
    name, mean, deviation, step = MEASURED[case]
    drawn = np.random.default_rng(6).normal(mean / step, deviation / step, 400).round() * step
    frame = pl.DataFrame({"x": np.sin(range(400)), name: drawn.astype(int)})
    mapping, lines = guess(save(frame), name)
    assert mapping["kind"] == "regression"
    assert "as a measurement does; --task classification takes them as classes" in said(lines, "kind")
    assert guess(save(frame), name, kind="classification")[0]["kind"] == "classification"


def test_a_mark_of_missing_cells_does_not_make_classes_of_a_vital_sign(save):
    draws = np.random.default_rng(6)
    drawn = np.where(draws.random(400) < 0.05, 0, draws.normal(96, 1.2, 400).round().clip(91, 100)).astype(int)
    mapping, lines = guess(save(pl.DataFrame({"x": np.sin(range(400)), "sats": drawn})), "sats")
    assert mapping["kind"] == "regression" and said(lines, "warning: 0 stands apart from the other values of 'sats'")


RATED = {
    "a rating that is never 0 or 1": (
        "satisfaction",
        np.random.default_rng(7).normal(6.5, 1.6, 400).round().clip(2, 10),
    ),
    "a quality": ("quality", np.random.default_rng(7).normal(5.6, 0.8, 400).round().clip(3, 8)),
    "digits": ("y", np.arange(400) % 10),
    "stations": ("station", 101 + np.random.default_rng(7).normal(6, 2, 400).round().clip(0, 12)),
    "numbers that are given out": ("y", 101 + np.random.default_rng(7).permutation(400) ** 2 % 14),
    "states": ("machine_state", 10 + np.random.default_rng(7).poisson(4, 400).clip(0, 10)),
    "ranges of a price": ("price_range", np.arange(400) % 4),
    "levels of a pressure": ("pressure", np.arange(400) % 3),
    "ups and downs": ("power", np.arange(400) % 3 - 1),
    "hours": ("hour", 8 + np.random.default_rng(7).normal(5, 2, 400).round().clip(0, 10)),
}


@pytest.mark.parametrize("case", RATED)
def test_ratings_and_numbers_of_classes_stay_classes(save, case):
    name, values = RATED[case]
    frame = pl.DataFrame({"x": np.sin(range(400)), name: values.astype(int)})
    mapping, lines = guess(save(frame), name)
    assert mapping["kind"] == "classification" and not [line for line in lines if "read as classes" in line]


def test_classes_that_come_as_counts_do_are_warned_of(save):
    absences = np.random.default_rng(8).poisson(5, 400)
    _, lines = guess(save(pl.DataFrame({"x": np.sin(range(400)), "absences": absences})), "absences")
    assert "--task regression" in said(lines, "warning: target 'absences' holds the whole numbers from 0 to 1")


def failures(rows=300, seed=5):
    """A machine that fails now and then, and what is written down when it does."""
    failed = np.random.default_rng(seed).random(rows) < 0.2
    return series(rows, failed=failed.astype(int)), pl.Series(failed)


WRITTEN_DOWN = {
    "costs": (lambda row: f"{row * 37 % 900}.5", "filled exactly where the target is 1"),
    "codes": (lambda row: f"E{row % 3}", "filled exactly where the target is 1"),
}


@pytest.mark.parametrize("case", WRITTEN_DOWN)
def test_what_is_filled_exactly_where_the_target_is_a_class_is_a_leak(save, case):
    cell, how = WRITTEN_DOWN[case]
    frame, failed = failures()
    cells = [cell(row) if failed[row] else None for row in range(len(failed))]
    path = save(frame.with_columns(pl.Series("note", cells), delay=pl.when(~failed).then(pl.col("x"))))
    mapping, lines = guess(path, "failed")
    assert mapping["features"] == ["x", "z", "label"]
    assert said(lines, f"warning: leak: 'note' is {how}")
    assert said(lines, "warning: leak: 'delay' is filled exactly where the target is 0")
    # What is asked for stays, and its gaps tell the same.
    lines = guess(path, "failed", features=["x", "delay"])[1]
    assert said(lines, "warning: leak suspect: 'delay' is filled almost exactly where 'failed' is '0'")
    odd = frame.with_columns(delay=pl.when(~failed ^ pl.Series(np.arange(300) % 50 == 0)).then(pl.col("x")))
    assert not [line for line in guess(save(odd), "failed")[1] if "leak" in line]


def test_what_is_empty_exactly_where_an_amount_is_0_is_a_leak(save):
    frame, failed = failures()
    frame = frame.with_columns(
        rain=pl.when(failed).then(pl.col("x").abs() + 0.1).otherwise(0.0), kind=pl.when(failed).then(pl.col("label"))
    )
    lines = guess(save(frame), "rain")[1]
    assert said(lines, "warning: leak: 'kind' is empty exactly where the target is 0")


def test_a_value_that_all_of_a_few_groups_lack_is_no_leak(save):
    frame = grouped(8).with_columns(dose=pl.when(pl.col("ill") == "yes").then(pl.col("x")))
    lines = guess(save(frame), "ill", group="subject")[1]
    assert not [line for line in lines if "warning: leak: 'dose'" in line]


@pytest.mark.parametrize("target", ["label", "x"])
def test_single_notes_tell_no_target(save, target):
    labels = series()["label"].to_list()
    low, high = ([row for row in range(400) if labels[row] == label] for label in ("low", "high"))
    notes = {low[3]: "sensor cleaned", high[1]: "power cut", high[20]: "power cut"}
    frame = series().with_columns(comment=pl.Series([notes.get(row) for row in range(400)], dtype=pl.String))
    lines = guess(save(frame), target)[1]
    assert not [line for line in lines if "leak" in line and "comment" in line]


@pytest.mark.parametrize(("shut", "told"), [(lambda on: on, True), (lambda on: np.roll(on, 3), False)])
def test_zeros_that_another_column_explains_are_no_sentinels(tmp_path, shut, told):
    draws = np.random.default_rng(8)
    on = np.repeat(draws.random(20) < 0.8, 20)
    flow = np.where(on, 40 + draws.normal(size=400), 0.0)
    pump = np.where(shut(on), "on", "off")
    pl.DataFrame({"t": range(400), "pump": pump, "flow": flow, "y": draws.normal(size=400)}).write_csv(
        tmp_path / "a.csv"
    )
    lines = table.complete({"table": str(tmp_path / "a.csv"), "target": "y"})[1]
    assert any(line.startswith("zeros: 'flow' is 0") and "'pump' is off" in line for line in lines) == told
    assert any(line.startswith("warning: 0 stands apart") for line in lines) != told
