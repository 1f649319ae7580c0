"""A network in a closed loop says what it says of whole sequences, and a rollout may fail in any way."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from liquidbench import networks
from liquidbench.metrics import Measure
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered
from liquidbench.training.learning import Data
from liquidbench.training.policy import NetworkPolicy, measure_policy, rollout_seed

HELD = Measure("held", "Time held", True, (0.0, 9.0), "s")


def task(kind="regression", missing=False, per="step", **changes) -> Task:
    def recordings(split: str) -> list[Recording]:
        random = np.random.default_rng(("train", "validation", "test").index(split))
        parts = []
        for number in range(6):
            observed = random.random((12, 2)) < 0.6
            # A step without anything, and the others at different times of both features.
            observed[0], observed[5] = True, False
            values = random.normal(size=(12, 2)) * [30, 0.2] + [500, 1]
            sums = 7 * values.sum(axis=1, keepdims=True)
            targets = sums if kind == "regression" else (sums[:, 0] > 3500).astype(np.int64)
            parts.append(
                Recording(
                    f"{split} {number}",
                    np.cumsum(random.uniform(1, 9, 12)),
                    values,
                    targets if per == "step" else targets[-1],
                    0,
                    mask=observed if missing else None,
                )
            )
        return parts

    everything = iter(numbered([one for split in ("train", "validation", "test") for one in recordings(split)]))
    splits = {split: [next(everything) for _ in recordings(split)] for split in ("train", "validation", "test")}
    declared = {
        "name": "loop",
        "title": "Loop",
        "description": "Made up.",
        "features": (Feature("a", "K"), Feature("b", "1")),
        "kind": kind,
        "per": per,
        "outputs": 1 if kind == "regression" else 2,
        "target_unit": "K" if kind == "regression" else "1",
        "classes": None if kind == "regression" else ("n", "y"),
        "metric": "mse" if kind == "regression" else "accuracy",
        "metrics": ("mse",) if kind == "regression" else ("accuracy",),
        "time_unit": "min",
        "source": Source("Made up", "", "none", ""),
        "split_rule": "By recording.",
        "recordings": splits.__getitem__,
        "data_digest": "0" * 64,
        "missing": missing,
        "irregular": True,
    }
    return Task(**declared | changes)


@pytest.mark.parametrize("model", ["CfC", "LTC", "GRU", "GRU-D"])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", ["regression", "forecast", "classification"])
def test_a_policy_says_of_a_recording_what_the_network_says_of_its_sequence(model, missing, kind):
    continues = {"baseline": "last value", "carried": ("a",)} if kind == "forecast" else {}
    toy = task("classification" if kind == "classification" else "regression", missing, **continues)
    network = networks.build(model, toy, 6, seed=1).double()
    split, policy = toy.split("test"), NetworkPolicy(network, toy)
    data = Data(split)
    with torch.no_grad():
        mask = None if data.mask is None else data.mask
        whole = network(data.values.double(), data.timespans.double(), mask).numpy()
    for row, recording in enumerate(toy.recordings("test")):
        policy.reset()
        spans = [None, *np.diff(recording.times)]
        masks = [None] * len(recording) if recording.mask is None else recording.mask
        said = [policy(v, timespan=t, mask=m) for v, t, m in zip(recording.values, spans, masks, strict=True)]
        expected = whole[row]
        if kind != "classification":
            # In the targets' unit.
            expected = expected * toy.target_scaler.deviation + toy.target_scaler.mean
        else:
            expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
        # Split arrays are float32.
        assert np.allclose(said, expected, rtol=2e-5, atol=1e-4)


def test_a_policy_for_one_target_a_sequence_says_at_the_end_what_the_network_says():
    toy = task(per="sequence")
    network = networks.build("CfC", toy, 5, seed=2)
    data, policy = Data(toy.split("validation")), NetworkPolicy(network, toy)
    with torch.no_grad():
        whole = network(data.values, data.timespans, None).numpy()
    for row, recording in enumerate(toy.recordings("validation")):
        policy.reset()
        for values, span in zip(recording.values, [None, *np.diff(recording.times)], strict=True):
            said = policy(values, timespan=span)
        assert np.allclose(said, toy.target_scaler.restore(whole[row]), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observation": np.ones(3)}, r"must have shape \(2,\), one entry for each feature; got \(3,\)"),
        ({"observation": [1.0, math.nan]}, "finite where it is observed; got .*nan"),
        ({"observation": np.ones(2), "mask": np.array([1, 0])}, r"mask must be bool of shape \(2,\).* of int64"),
        (
            {"observation": np.ones(2), "mask": np.array([True, False])},
            "mask must be True for all features or for none",
        ),
        ({"observation": np.ones(2), "timespan": -1.0}, "timespan must be finite and not negative; got -1.0"),
    ],
)
def test_what_no_policy_can_read_is_said(arguments, message):
    toy = task()
    policy = NetworkPolicy(networks.build("GRU", toy, 3, seed=0), toy)
    with pytest.raises(ValueError, match=message):
        policy(arguments.pop("observation"), **arguments)


@pytest.mark.parametrize("model", ["CfC", "LTC", "LSTM", "GRU-D"])
@pytest.mark.parametrize("missing", [False, True])
def test_episodes_side_by_side_are_those_one_after_another(model, missing):
    toy = task(missing=missing)
    policy = NetworkPolicy(networks.build(model, toy, 6, seed=1), toy)
    recordings = toy.recordings("test")
    spans = np.stack([np.append(1.0, np.diff(one.times)) for one in recordings], axis=1)
    values, masks = (
        np.stack(many, axis=1) for many in ([one.values for one in recordings], [one.observed for one in recordings])
    )
    policy.reset(len(recordings))
    together = [
        policy(*sample[:1], timespan=sample[1], mask=sample[2]) for sample in zip(values, spans, masks, strict=True)
    ]
    for row in range(len(recordings)):
        policy.reset()
        alone = [
            policy(sample[row], timespan=span[row], mask=mask[row])
            for sample, span, mask in zip(values, spans, masks, strict=True)
        ]
        assert np.allclose(alone, np.stack(together)[:, row], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"observation": np.ones(2)},
            r"must have shape \(3, 2\), one entry for each feature of 3 episodes; got \(2,\)",
        ),
        ({"observation": np.ones((3, 2)), "timespan": np.ones(2)}, "a number or one for each episode"),
        ({"observation": np.ones((3, 2)), "timespan": np.array([1, 1, -1])}, "not negative"),
    ],
)
def test_what_no_policy_can_read_side_by_side_is_said(arguments, message):
    toy = task()
    policy = NetworkPolicy(networks.build("GRU", toy, 3, seed=0), toy)
    policy.reset(3)
    with pytest.raises(ValueError, match=message):
        policy(arguments.pop("observation"), **arguments)


class Nothing:
    """Stands for a network."""

    def reset(self):
        pass

    def __call__(self, observation, *, timespan=None, mask=None):
        return np.zeros(1)


def _raises(error):
    def rollout(policy, seed):
        raise error

    return rollout


@pytest.mark.parametrize(
    ("rollout", "value", "reason"),
    [
        (lambda policy, seed: {"held": np.float32(2.5)}, 2.5, None),
        (_raises(ZeroDivisionError("by nothing")), None, "the rollout failed: ZeroDivisionError: by nothing"),
        (lambda policy, seed: {}, None, "the rollout gave no held"),
        (lambda policy, seed: {"held": math.inf}, None, "the rollout's held must be finite; got inf"),
        (lambda policy, seed: {"held": "long"}, None, "held must be a number; got one of type str"),
        (lambda policy, seed: {"held": 1.0, "hold": 2.0}, None, "it measured hold; the task declares held"),
        (lambda policy, seed: 3.0, None, "must return a mapping from names to numbers; it returned a float"),
        (lambda policy, seed: {"held": policy(np.ones(5))[7]}, None, "the rollout failed: IndexError"),
    ],
)
def test_however_a_rollout_ends_there_is_a_number_or_a_reason(rollout, value, reason):
    found, said = measure_policy(task(rollout=rollout, measurements=(HELD,)), Nothing(), 1)["held"]
    assert found == value and (said is None if reason is None else reason in said)


def test_seeds_of_rollouts_are_those_of_every_model_and_of_one_split_alone():
    toy = task()
    seeds = [rollout_seed(toy, seed, split) for seed in range(3) for split in ("validation", "test")]
    assert len(set(seeds)) == 6 and seeds[1] == rollout_seed(replace(toy, title="Another"), 0, "test")
