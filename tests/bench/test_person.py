"""Person activity: what each report of a tag becomes, against the raw file as pandas reads it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from liquidbench import tasks
from liquidbench.tasks import person
from liquidbench.tasks.task import SPLITS

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
FILE = DATA / "person" / "ConfLongDemo_JSI_first10percent.csv.gz"
pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE}; set LIQUIDBENCH_DATA")


@pytest.fixture(scope="module")
def frame():
    return pd.read_csv(FILE, skipinitialspace=True)


@pytest.fixture(scope="module")
def task():
    return tasks.load("person-partial", DATA)


def test_a_report_is_of_one_tag_at_its_time(task, frame):
    assert len(frame) == 16_486
    rows = []
    for split, name in zip(SPLITS, ("A01", "A02", "A03"), strict=True):
        (recording,) = task.recordings(split)
        there = frame.loc[recording.row_numbers]
        rows += recording.row_numbers.tolist()
        assert set(there["sequence_name"]) == {recording.name} == {name}
        assert (there["timestamp"].diff().dropna() >= 0).all()
        seconds = (there["timestamp"] - there["timestamp"].iloc[0]) / 1e7
        np.testing.assert_allclose(recording.times, seconds, rtol=0, atol=1e-9)
        assert (
            recording.mask.reshape(-1, 4, 3).all(axis=2).sum(axis=1) == 1
        ).all() and recording.mask.sum() == 3 * len(there)
        tags = [list(person.TAGS).index(tag) for tag in there["tag_indicator"]]
        values = recording.values.reshape(-1, 4, 3)[np.arange(len(there)), tags]
        np.testing.assert_allclose(values, there[["x_coordinate", "y_coordinate", "z_coordinate"]], rtol=1e-6)
        classes = [person.CLASSES.index(person.ACTIVITIES[activity]) for activity in there["activity"]]
        assert recording.targets.tolist() == classes
    assert sorted(rows) == list(range(len(frame)))


def test_spans_are_seconds_since_the_report_before_in_units_of_their_median(task):
    (recording,) = task.recordings("test")
    test, unit = task.split("test"), task.timespan_unit
    assert unit == pytest.approx(np.median(np.diff(task.recordings("train")[0].times)), rel=1e-6)
    np.testing.assert_allclose(test.timespans[1, 1:64] * unit, np.diff(recording.times[64:128]), rtol=1e-4, atol=1e-7)


def test_statistics_are_those_of_training_alone(task, frame):
    first = frame[(frame["sequence_name"] == "A01") & (frame["tag_indicator"] == "010-000-024-033")]
    others = frame[frame["tag_indicator"] == "010-000-024-033"]
    assert task.input_scaler.mean[0] == pytest.approx(first["x_coordinate"].mean(), rel=1e-6)
    assert task.input_scaler.mean[0] != pytest.approx(others["x_coordinate"].mean(), rel=1e-3)


def test_the_papers_windows_are_of_its_features(frame):
    task = tasks.load("person-ltc", DATA)
    sizes = [len(task.recordings(split)) for split in SPLITS]
    starts = []
    for name in ("A01", "A02", "A03"):
        rows = np.flatnonzero(frame["sequence_name"] == name)
        starts += list(range(rows[0], rows[-1] + 1 - 32, 16))
    order = np.random.RandomState(27731).permutation(len(starts))
    assert sum(sizes) == len(starts) and sizes[1] == len(starts) // 10
    for place, recording in zip(order, task.recordings("validation"), strict=False):
        there = frame.loc[recording.row_numbers]
        assert recording.first_row == starts[place] and there["sequence_name"].nunique() == 1
        assert [list(person.TAGS)[tag] for tag in recording.values[:, :4].argmax(1)] == there["tag_indicator"].tolist()
        np.testing.assert_allclose(recording.values[:, 4:], there.iloc[:, 4:7], rtol=1e-9)
