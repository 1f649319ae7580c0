"""Sets of the UEA archive: the files as another reader reads them, and whose case is in which split."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from liquidbench import tasks
from liquidbench.tasks import uea
from liquidbench.tasks.task import SPLITS

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
FOLDER = DATA / "uea"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no {FOLDER}; set LIQUIDBENCH_DATA")
SETS = {
    "japanese-vowels": ("JapaneseVowels", 270, 370),
    "basic-motions": ("BasicMotions", 40, 40),
    "articulary-words": ("ArticularyWordRecognition", 275, 300),
}


def lines_of(name, part):
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as packed:
        text = packed.read(f"{name}_{part}.ts").decode("latin-1")
    return [line for line in text.splitlines() if line and line[0] not in "#@"]


@pytest.mark.parametrize("name", SETS)
def test_cases_are_those_of_the_files(name):
    task = tasks.load(name, DATA)
    title, training, testing = SETS[name]
    lines = {part: lines_of(title, part) for part in ("TRAIN", "TEST")}
    assert (len(lines["TRAIN"]), len(lines["TEST"])) == (training, testing)
    every = lines["TRAIN"] + lines["TEST"]
    labels: dict[str, int] = {}
    for split in SPLITS:
        for recording in task.recordings(split)[::7]:
            *columns, label = every[int(recording.name.split()[1])].split(":")
            read = np.array([np.loadtxt(io.StringIO(column), delimiter=",") for column in columns]).T
            assert np.array_equal(recording.values, read)
            assert labels.setdefault(label, recording.targets) == recording.targets
    assert len(set(labels.values())) == len(labels)


@pytest.mark.parametrize("name", SETS)
def test_test_is_the_archives_and_validation_a_fifth_of_each_class(name):
    task = tasks.load(name, DATA)
    _, training, testing = SETS[name]
    numbers = {split: [int(r.name.split()[1]) for r in task.recordings(split)] for split in SPLITS}
    assert numbers["test"] == list(range(training, training + testing))
    assert sorted(numbers["train"] + numbers["validation"]) == list(range(training))
    counts = {split: np.bincount([r.targets for r in task.recordings(split)]) for split in SPLITS}
    share = counts["validation"] / (counts["train"] + counts["validation"])
    assert (abs(share - 0.2) < 0.03).all()


def test_statistics_are_those_of_training_alone():
    task = tasks.load("japanese-vowels", DATA)
    train, every = (
        np.concatenate([r.values for s in splits for r in task.recordings(s)]) for splits in (SPLITS[:1], SPLITS)
    )
    low, high = np.quantile(train[:, 0], (0.005, 0.995))
    clipped = np.clip(train[:, 0], low - (high - low), high + (high - low))
    assert task.input_scaler.mean[0] == pytest.approx(clipped.mean(), rel=1e-9)
    assert task.input_scaler.mean[0] != pytest.approx(every[:, 0].mean(), rel=1e-3)


@pytest.fixture(scope="module")
def potentials():
    return {name: tasks.load(name, DATA) for name in ("scp1", "scp1-papers")}


@pytest.mark.slow
def test_potentials_are_dealt_as_in_the_papers(potentials):
    task = potentials["scp1-papers"]
    splits = json.loads((FOLDER / "SelfRegulationSCP1_paper_splits.json").read_text())
    for fold, seed in enumerate(uea.SEEDS):
        dealt = task.with_fold(fold)
        for split, key in (("train", "train"), ("validation", "val"), ("test", "test")):
            numbers = [int(recording.name.split()[1]) for recording in dealt.recordings(split)]
            assert numbers == splits[str(seed)][key]
    assert task.data_digest != potentials["scp1"].data_digest


def test_potentials_are_those_of_the_files(potentials):
    with zipfile.ZipFile(FOLDER / "SelfRegulationSCP1_arff.zip") as packed:
        text = packed.read("SelfRegulationSCP1Dimension3_TEST.arff").decode().partition("@data")[2].split()
    recordings = potentials["scp1"].recordings("test")
    assert len(recordings) == len(text) == 293
    for recording, line in list(zip(recordings, text, strict=True))[::40]:
        *numbers, label = line.split(",")
        assert np.array_equal(recording.values[:, 2], np.array(numbers, dtype=np.float32))
        assert ("negativity", "positivity")[recording.targets] == label
    assert [sum(r.targets == 0 for r in recordings), sum(r.targets for r in recordings)] == [147, 146]


def test_all_dimensions_of_potentials_are_one_channel(potentials):
    """What the task warns of, and names its features for."""
    partial = tasks.load("scp2-partial", DATA)
    for task, channels in ((potentials["scp1"], 6), (partial, 7)):
        for recording in task.recordings("test"):
            assert np.array_equal(recording.values[channels:, :-1], recording.values[:-channels, 1:])
        assert f"each {channels} samples later" in task.warnings[0] or f"each {channels} samples" in " ".join(
            task.warnings
        )
        assert task.features[2].name == f"EEG A1-Cz, {2 * channels} samples later"


@pytest.mark.parametrize(
    ("name", "file", "sizes"),
    [
        ("scp2-partial", "SelfRegulationSCP2_partial.npz", (197, 57, 57)),
        ("ethanol-partial", "EthanolConcentration_partial.npz", (290, 79, 79)),
    ],
)
def test_partial_sets_have_the_papers_validation_and_test(name, file, sizes):
    task = tasks.load(name, DATA)
    with np.load(FOLDER / file) as arrays:
        for fold, seed in enumerate(uea.SEEDS):
            dealt = task.with_fold(fold)
            numbers = {split: [int(r.name.split()[1]) for r in dealt.recordings(split)] for split in SPLITS}
            assert tuple(len(numbers[split]) for split in SPLITS) == sizes
            assert numbers["validation"] == arrays[f"val_{seed}"].tolist()
            assert numbers["test"] == arrays[f"test_{seed}"].tolist()
            assert not set(numbers["train"]) & {*numbers["validation"], *numbers["test"]}
        (first, *_) = task.recordings("test")
        place = int(first.name.split()[1])
        assert np.array_equal(first.values, arrays["X"][place]) and first.targets == arrays["y"][place]
    assert "missing" in task.warnings[0]
