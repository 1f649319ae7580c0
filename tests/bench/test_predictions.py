"""Predictions on disk: what comes back, and the scores that can be made of it."""

import numpy as np
import pytest

from liquidbench import predictions
from liquidbench.metrics import METRICS, Metric, score
from liquidbench.system.storage import KeptFileWarning
from liquidbench.tasks import load

random = np.random.default_rng(0)
CLASSES = {
    "validation": (random.integers(0, 3, 20), random.normal(size=(20, 3)).astype(np.float32)),
    "test": (random.integers(0, 3, 30), random.normal(size=(30, 3)).astype(np.float32)),
}


def row(**changes):
    neutral = {"run": "r", "split": "test", "metric": "accuracy", "corruption": "", "epoch": None, "level": 0.0}
    return neutral | {"value": 0.5, "reason": None, "trial": 2} | changes


def test_they_come_back_in_the_smallest_type_that_changes_nothing(tmp_path):
    path = predictions.write(tmp_path, "r", CLASSES)
    assert path == tmp_path / "predictions" / "r.npz" and not list(path.parent.glob(".*"))
    for split, (targets, values) in predictions.read(tmp_path, "r").items():
        assert np.array_equal(targets, CLASSES[split][0]) and targets.dtype == np.uint8
        assert np.array_equal(values, CLASSES[split][1]) and values.dtype == np.float32


def test_missing_and_damaged_predictions_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError):
        predictions.read(tmp_path, "r")
    path = predictions.write(tmp_path, "r", CLASSES)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="r.npz is damaged"):
        predictions.read(tmp_path, "r")


def test_new_metrics_need_no_training(monkeypatch):
    rows = [
        row(metric="loss", split="train", epoch=1),
        row(),
        row(split="validation"),
        row(corruption="noise", level=1.0),
        row(metric="trivial", split="test"),
    ]

    def worst(targets, logits):
        return float(np.mean(logits.argmin(axis=1) == targets))

    monkeypatch.setitem(
        METRICS, "worst", Metric("worst", "Worst", False, (0.0, 1.0), kind="classification", function=worst)
    )
    again = predictions.rescored(rows, CLASSES, ("worst",))
    assert again[: len(rows)] == rows
    assert [(one["split"], one["value"], one["trial"]) for one in again[len(rows) :]] == [
        (split, worst(*CLASSES[split]), 2) for split in ("validation", "test")
    ]

    again = predictions.rescored(again, CLASSES, ("accuracy", "worst", "auroc"))
    assert len(again) == len(rows) + 4, "replaced, not repeated"
    found = {(one["split"], one["metric"]): one for one in again if not one["corruption"]}
    assert found["test", "accuracy"]["value"] == score("accuracy", *CLASSES["test"])
    assert found["test", "auroc"]["value"] is None and "two classes" in found["test", "auroc"]["reason"]
    assert row(corruption="noise", level=1.0) in again


def test_shifted_data_are_scored_again_where_their_predictions_are_kept(tmp_path):
    key = predictions.shifted("noise", 0.5)
    noisy = CLASSES["test"][0], random.normal(size=(30, 3)).astype(np.float32)
    predictions.write(tmp_path, "r", CLASSES | {key: noisy})
    found = predictions.read(tmp_path, "r")
    assert set(found) == {"validation", "test", key}
    assert all(map(np.array_equal, found[key], noisy))
    # Targets that are those of the split are stored once; fewer of them are stored as they are.
    fewer = predictions.shifted("removed_steps", 0.5), (noisy[0][:7], noisy[1][:7])
    path = predictions.write(tmp_path, "s", CLASSES | {key: noisy} | dict([fewer]))
    with np.load(path) as stored:
        assert f"{key}_targets" not in stored and len(stored[f"{fewer[0]}_targets"]) == 7
    assert np.array_equal(predictions.read(tmp_path, "s")[fewer[0]][0], noisy[0][:7])
    rows = [row(), row(corruption="noise", level=0.5), row(corruption="noise", level=1.0)]
    again = predictions.rescored(rows, found, ("accuracy",))
    values = {(one["split"], one["corruption"], one["level"]): one["value"] for one in again}
    assert len(again) == 4 and values["test", "noise", 0.5] == score("accuracy", *noisy)
    assert values["test", "noise", 1.0] == 0.5, "its predictions were not kept"


def test_scores_without_each_recording_are_those_of_the_rest(tmp_path):
    targets, logits = CLASSES["test"]
    recordings = np.repeat([4, 0, 7, 2, 9], 6)
    predictions.write(tmp_path, "r", CLASSES, recordings)
    found = predictions.scores_without(tmp_path, "r", "accuracy")
    kept = [recordings != one for one in np.unique(recordings)]
    assert found == pytest.approx([score("accuracy", targets[here], logits[here]) for here in kept])
    assert set(predictions.read(tmp_path, "r")) == {"validation", "test"}
    predictions.write(tmp_path, "many", CLASSES, np.arange(30) % 3 + 40 * np.arange(30))
    assert len(predictions.scores_without(tmp_path, "many", "accuracy")) == predictions.MOST_BLOCKS


def test_without_recordings_or_a_metric_there_are_no_scores(tmp_path):
    assert predictions.scores_without(tmp_path, "r", "accuracy") is None
    predictions.write(tmp_path, "r", CLASSES)
    assert predictions.scores_without(tmp_path, "r", "accuracy") is None
    predictions.write(tmp_path, "r", CLASSES, np.arange(30) // 10)
    assert predictions.scores_without(tmp_path, "r", "return_of_a_rollout") is None
    assert predictions.scores_without(tmp_path, "r", "auroc") is None, "undefined for three classes"
    path = predictions.write(tmp_path, "alone", CLASSES, np.zeros(30, dtype=int))
    assert predictions.scores_without(tmp_path, "alone", "accuracy") is None
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(KeptFileWarning, match="alone.npz is damaged.*verdicts are made without it"):
        assert predictions.scores_without(tmp_path, "alone", "accuracy") is None


@pytest.mark.parametrize("name", ["gesture-excerpt", "cheetah-excerpt"])
def test_recordings_are_numbered_in_the_order_of_predictions(name):
    split = load(name).split("test")
    numbers = predictions.recordings_of(split)
    names = split.groups or split.recordings
    expected = [one for one, known in zip(names, split.target_mask, strict=True) for _ in range(int(known.sum()))]
    assert len(numbers) == split.target_mask.sum()
    assert len(set(zip(numbers.tolist(), expected, strict=True))) == len(set(expected)) == len(set(numbers.tolist()))
