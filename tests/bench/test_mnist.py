"""Digits as sequences: every pixel is in the rows, and in the events; the splits are the published ones."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from liquidbench.tasks import files, mnist
from liquidbench.tasks.task import SPLITS, Scaler, check

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
FOLDER = DATA / "mnist"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no {FOLDER}; set LIQUIDBENCH_DATA")
SIZES = (200, 60, 40)
STARTS = {"train": ("train", 0), "validation": ("train", 54_000), "test": ("t10k", 0)}


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The files are unpacked and checked once, not for every task."""
    members = files.read(mnist.MNIST, DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "read", lambda archive, data: members)
        yield


@pytest.fixture(scope="module")
def raw():
    """Images and labels by file, read from their bytes alone."""
    found = {}
    for part in ("train", "t10k"):
        with gzip.open(FOLDER / f"{part}-images-idx3-ubyte.gz") as file:
            content = file.read()
        with gzip.open(FOLDER / f"{part}-labels-idx1-ubyte.gz") as file:
            labels = list(file.read()[8:])
        found[part] = np.frombuffer(content[16:], dtype=np.uint8).reshape(-1, 28, 28), labels
    return found


@pytest.mark.parametrize("make", [mnist.mnist_rows, mnist.mnist_events])
def test_splits_are_those_of_the_files(make, raw):
    task = make(DATA, SIZES)
    check(task)
    for (split, (part, start)), size in zip(STARTS.items(), SIZES, strict=True):
        found = task.split(split)
        assert len(found) == size
        assert found.targets.tolist() == raw[part][1][start : start + size]
    names = [set(task.split(split).recordings) for split in SPLITS]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]


def test_rows_are_the_rows_of_the_image(raw):
    task = mnist.mnist_rows(DATA, SIZES)
    for split, (part, start) in STARTS.items():
        for number, recording in enumerate(task.recordings(split)):
            assert np.array_equal(recording.values, raw[part][0][start + number])
    # All pixels have one scale, that of training.
    pixels = raw["train"][0][: SIZES[0]].astype(float)
    assert np.ptp(task.input_scaler.mean) == np.ptp(task.input_scaler.deviation) == 0
    assert task.input_scaler.mean[0] == pytest.approx(pixels.mean())
    assert task.input_scaler.deviation[0] == pytest.approx(pixels.std())
    assert abs(task.split("test").values).max() < 4


def test_events_are_the_runs_of_the_papers(raw):
    task = mnist.mnist_events(DATA, SIZES)
    runs = []
    for number, recording in enumerate(task.recordings("test")):
        ink = (raw["t10k"][0][number].ravel() > 128).tolist()
        encoded, elapsed = [], 0
        for before, after in zip(ink, [*ink[1:], None], strict=True):
            elapsed += 1
            if before != after:
                encoded.append((before, elapsed))
                elapsed = 0
        runs.append(len(encoded))
        # A run's span is that of the step after it; the last step closes the last run.
        assert recording.values[:-1, 0].tolist() == [bit for bit, _ in encoded]
        assert np.diff(recording.times).tolist() == [length for _, length in encoded]
        assert recording.times[0] == 0 and recording.times[-1] == 784
    # Counts published with the papers' encoded file.
    assert runs[:5] == [41, 47, 41, 61, 63]
    spans = task.split("test").timespans[0, 1 : runs[0] + 1] * task.timespan_unit
    np.testing.assert_allclose(spans, np.diff(task.recordings("test")[0].times), rtol=1e-6)


def test_sizes_beyond_the_data_are_refused():
    with pytest.raises(ValueError, match=r"sizes must be from 1 to \(54000, 6000, 10000\) images; got \(1, 7000, 1\)"):
        mnist.mnist_rows(DATA, (1, 7000, 1))


def test_columns_alike_have_the_statistics_of_all_values():
    draw = np.random.default_rng(0)
    values, observed = draw.normal(size=(50, 6)) * np.arange(6) + np.arange(6), draw.random((50, 6)) < 0.7
    scaler = Scaler.fit(values, observed, alike=True)
    assert scaler.mean == pytest.approx([values[observed].mean()] * 6)
    assert scaler.deviation == pytest.approx([values[observed].std()] * 6)
