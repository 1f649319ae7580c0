"""What is to be had without a recurrent network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_fit import task

from liquidbench import tasks
from liquidbench.metrics import score
from liquidbench.tasks import floors
from liquidbench.tasks.floors import NoFloorError, boosting_inputs, boosting_predictions, convolution_predictions
from liquidbench.tasks.task import Feature, Recording


def waves(length=40, features=1, lengths=None):
    """Sequences of noise, half of them with a short wave somewhere in it, which no mean or last value shows."""

    def recordings(split):
        draw = np.random.default_rng(len(split))
        made = []
        for index in range(80):
            steps = length if lengths is None else lengths[index % len(lengths)]
            values = 0.3 * draw.normal(size=(steps, features))
            if index % 2:
                begin = draw.integers(0, steps - 12)
                values[begin : begin + 12, 0] += np.sin(np.arange(12) * np.pi / 2)
            row = 10_000 * ("train", "validation", "test").index(split) + 100 * index
            made.append(Recording(f"{split}{index}", np.arange(steps) * 1.0, values.astype(np.float32), index % 2, row))
        return made

    toy = task(per="sequence")
    named = tuple(Feature(f"f{number}", "1") for number in range(features))
    return replace(toy, features=named, recordings=recordings, irregular=False, missing=False)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("per", ["step", "sequence"])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_boosting_predicts_every_target(kind, per, missing):
    toy = task(kind, per, missing)
    asked = toy.split("test")
    predicted = boosting_predictions(toy)
    assert predicted.shape == (*asked.target_mask.shape, toy.outputs) and np.isfinite(predicted).all()
    np.testing.assert_array_equal(predicted, boosting_predictions(toy))
    found, reason = floors.scores(toy)["boosting"]
    assert reason is None
    assert found == score(toy.main, asked.targets[asked.target_mask], predicted[asked.target_mask])


def test_lags_are_those_of_pandas():
    toy = task(missing=True)
    split = toy.split("train")
    inputs, features = boosting_inputs(toy, split), split.values.shape[-1]
    for number in range(len(split)):
        seen = pd.DataFrame(np.where(split.mask[number], split.values[number].astype(float), np.nan)).ffill()
        expected = [seen, None, None, *(seen.shift(lag) for lag in floors._LAGS)]
        starts = [0, None, None, *(2 * features + 1 + index * features for index in range(len(floors._LAGS)))]
        for start, frame in zip(starts, expected, strict=True):
            if frame is not None:
                np.testing.assert_array_equal(inputs[number, :, start : start + features], frame)
        told = pd.DataFrame(np.where(split.mask[number], split.values[number].astype(float), np.nan))
        means = told.expanding(min_periods=1).mean()
        np.testing.assert_allclose(inputs[number, :, features : 2 * features], means, rtol=1e-9)


def test_summaries_are_those_of_pandas():
    toy = task(per="sequence", missing=True)
    split = toy.split("train")
    inputs, features = boosting_inputs(toy, split), split.values.shape[-1]
    for number in range(len(split)):
        told = pd.DataFrame(np.where(split.mask[number], split.values[number].astype(float), np.nan))
        there = told[split.rows[number] >= 0]
        before = [column.dropna().iloc[-2] if column.count() > 1 else np.nan for _, column in told.items()]
        expected = [told.mean(), told.std(ddof=0), told.min(), told.max(), told.bfill().iloc[0], told.ffill().iloc[-1]]
        expected += [before, there.notna().mean()]
        for index, one in enumerate(expected):
            np.testing.assert_allclose(inputs[number, index * features : (index + 1) * features], one, rtol=1e-6)


def test_boosting_follows_a_level_that_training_has_not_seen():
    """A random walk from another level: the last value is hard to beat, and easy for trees to lose."""

    def recordings(split):
        draw = np.random.default_rng(len(split))
        level = {"train": 0.0, "validation": 20.0, "test": 50.0}[split]
        made = []
        for index in range(20):
            walk = (level + draw.normal(size=(41, 1)).cumsum(0)).astype(np.float32)
            row = 10_000 * ("train", "validation", "test").index(split) + 100 * index
            made.append(Recording(f"{split}{index}", np.arange(40.0), walk[:-1], walk[1:], row))
        return made

    toy = replace(task("regression"), features=(Feature("f", "1"),), outputs=1, recordings=recordings)
    toy = replace(toy, irregular=False, missing=False)
    forecast = replace(toy, baseline="last value", carried=("f",))
    errors = [floors.scores(one)["boosting"][0] for one in (toy, forecast)]
    assert errors[1] < 1.1 * forecast.trivial_score() and errors[0] > 100 * errors[1]


def test_floors_do_not_read_test_targets():
    toy = task()
    plain = boosting_predictions(toy)
    other = replace(toy)
    other.split("test").targets[:] = 1 - other.split("test").targets
    np.testing.assert_array_equal(boosting_predictions(other), plain)


def test_convolutions_classify_waves_that_summaries_cannot():
    toy = waves(features=2)
    asked = toy.split("test")
    assert score("accuracy", asked.targets, convolution_predictions(toy)) > 0.9
    assert toy.linear_score("accuracy") < 0.8
    assert set(floors.scores(toy)) == {"boosting", "convolution"}


def test_a_kernel_is_the_documented_convolution():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(3, 9, 1)).astype(np.float32)
    found = floors.minirocket(values)(values)
    # With nine steps there is one dilation; the first kernel has its threes at the first three taps.
    weights = np.array([2.0] * 3 + [-1.0] * 6)
    convolved = np.stack([np.convolve(np.pad(one[:, 0], 4), weights[::-1], "valid") for one in values])
    limits = np.quantile(np.stack([convolved[i] for i in _sampled(3)]), _quantiles(len(found[0]) // 84))
    np.testing.assert_allclose(found[:, : len(limits)], np.stack([(convolved > x).mean(1) for x in limits], 1))


def _quantiles(number):
    return (np.arange(1, number + 1) * (np.sqrt(5) + 1) / 2) % 1


def _sampled(sequences):
    draw = np.random.default_rng(0)
    for _ in range(84):
        draw.choice(1, min(1, int(2 ** draw.uniform(0, np.log2(2)))), False)
    return draw.integers(sequences, size=sequences)


@pytest.mark.parametrize(
    ("toy", "words"),
    [
        (task(), "each step has a target"),
        (task(per="sequence", missing=True), "values are missing"),
        (waves(lengths=(30, 41)), "sequences have different lengths, 30 to 41 steps"),
    ],
)
def test_convolutions_are_for_equally_long_complete_even_sequences(toy, words):
    with pytest.raises(NoFloorError, match=words):
        convolution_predictions(toy)
    assert "convolution" not in floors.scores(toy)


def test_one_class_in_training_has_no_boosting():
    toy = task(per="sequence")
    plain = toy.recordings
    one = replace(toy, recordings=lambda split: [replace(part, targets=0) for part in plain(split)])
    with pytest.raises(NoFloorError, match="all training targets are of class 0"):
        boosting_predictions(one)
    assert "boosting" not in floors.scores(one)


@pytest.mark.slow
def test_boosting_beats_the_trivial_predictor_on_excerpts():
    for name in ("occupancy-excerpt", "cheetah-excerpt"):
        toy = tasks.load(name)
        found, trivial = floors.scores(toy)["boosting"][0], toy.trivial_score()
        assert found is not None and (found > trivial) == toy.main.higher_is_better
