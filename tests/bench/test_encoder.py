"""Images reach every network through one encoder, and the budget counts what differs between networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from liquidbench import matching, networks
from liquidbench.encoder import OUTPUTS, ImageEncoder
from liquidbench.study import Robustness, Run, Search, Training
from liquidbench.tasks.frozen import freeze, thaw
from liquidbench.tasks.task import Feature, Recording, Source, Task
from liquidbench.training.fit import fit
from liquidbench.training.learning import Data
from liquidbench.training.policy import NetworkPolicy

IMAGE = (12, 16, 3)


def seen(split: str) -> list[Recording]:
    """Frames of one brightness each; the target is the mean of this brightness and the one before."""
    random = np.random.default_rng(("train", "validation", "test").index(split))
    found = []
    for number in range(24 if split == "train" else 8):
        brightness = random.uniform(0, 255, 10)
        frames = np.repeat(brightness[:, None], np.prod(IMAGE), axis=1).astype(np.uint8)
        mean = (brightness + np.append(0, brightness[:-1])) / 510
        first_row = 10 * (number + 100 * ("train", "validation", "test").index(split))
        found.append(Recording(f"{split} {number}", np.arange(10.0), frames, mean[:, None], first_row))
    return found


def task(**changes) -> Task:
    declared = {
        "name": "film",
        "title": "Film",
        "description": "Made up.",
        "features": (Feature("camera", "1"),),
        "kind": "regression",
        "per": "step",
        "outputs": 1,
        "target_unit": "1",
        "metric": "mse",
        "metrics": ("mse",),
        "time_unit": "s",
        "source": Source("Made up", "", "none", ""),
        "split_rule": "By recording.",
        "recordings": seen,
        "data_digest": "0" * 64,
        "baseline": "mean",
        "linear": False,
        "image": IMAGE,
        "window": 6,
    }
    return Task(**declared | changes)


def test_frames_stay_bytes_until_the_encoder_reads_them():
    split = task().split("test")
    assert split.values.dtype == np.uint8
    assert split.values.shape == (16, 6, 12 * 16 * 3)
    assert split.mask.shape == (16, 6, 1)
    # Windows of 6 and 4 steps: two are padding.
    assert not split.mask[1, 4:].any() and split.mask[1, :4].all()
    recording = seen("test")[0]
    assert (split.values[0] == recording.values[:6]).all()
    assert (split.values[1, :4] == recording.values[6:]).all() and not split.values[1, 4:].any()


def test_the_encoder_is_the_same_for_all_models_and_outside_of_the_budget():
    film = task()
    built = {name: networks.build(name, film, 9, seed=4) for name in ("LTC", "GRU", "CfC")}
    states = [network.encoder.state_dict() for network in built.values()]
    assert all(torch.equal(states[0][name], other[name]) for other in states for name in states[0])
    for network in built.values():
        alone = sum(p.numel() for part in (network.layer, network.head) for p in part.parameters())
        assert matching.count_parameters(network) == alone
    assert built["GRU"].layer.input_size == OUTPUTS
    of_flight = ImageEncoder((48, 64, 3), torch.Generator())
    assert 60_000 < sum(p.numel() for p in of_flight.parameters()) < 70_000


def test_training_frames_change_alike_along_a_sequence_and_test_frames_do_not():
    encoder = ImageEncoder(IMAGE, torch.Generator().manual_seed(0))
    frames = torch.randint(256, (1, 1, 12 * 16 * 3), dtype=torch.uint8).expand(3, 4, -1)
    encoder.eval()
    still = encoder(frames)
    assert torch.equal(still, still[:1, :1].expand_as(still))
    encoder.train()
    torch.manual_seed(0)
    changed = encoder._changed(encoder._scaled(frames.reshape(12, *IMAGE)).unflatten(0, (3, 4))).mean((-1, -2, -3))
    within, between = changed.std(1).mean(), changed.mean(1).std()
    # Noise averages out over pixels; brightness and contrast do not.
    assert within < 0.2 * between


def test_long_sequences_are_read_in_parts_with_the_same_result(monkeypatch):
    encoder = ImageEncoder(IMAGE, torch.Generator().manual_seed(0)).eval()
    frames = torch.randint(256, (3, 7, 12 * 16 * 3), dtype=torch.uint8)
    with torch.no_grad():
        whole = encoder(frames)
        monkeypatch.setattr("liquidbench.encoder._FRAMES", 4)
        assert torch.allclose(encoder(frames), whole, atol=1e-6)


@pytest.mark.parametrize("episodes", [None, 3])
def test_a_policy_reads_frames_as_the_network_does(episodes):
    film = task(window=None)
    network = networks.build("CfC", film, 6, seed=1)
    policy, data = NetworkPolicy(network, film), Data(film.split("test"))
    with torch.no_grad():
        whole = film.target_scaler.restore(network(*data.inputs(torch.arange(3))).numpy())
    policy.reset(episodes)
    frames = np.stack([one.values for one in seen("test")[:3]], axis=1)
    said = [policy(many if episodes else many[0]) for many in frames]
    assert np.allclose(np.stack(said, axis=1) if episodes else said, whole if episodes else whole[0], atol=1e-5)
    with pytest.raises(ValueError, match="must be an image of uint8; got float64"):
        policy(frames[0].astype(float) if episodes else frames[0, 0].astype(float))


def test_a_network_learns_from_images_and_a_stored_one_reads_them():
    film = task()
    run = Run(
        *("fit", "film", "GRU", "matched", 4, 0, "parameters", 2000),
        training=Training(steps=150, batch_size=16),
        search=Search(trials=1),
        tuned=(4, 0),
        robustness=Robustness(),
    )
    rows = fit(run, film)
    scores = {(row["metric"], row["split"]): row["value"] for row in rows}
    assert scores["mse", "test"] < 0.3 * scores["trivial", "test"]
    assert thaw(freeze(film)).image == IMAGE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": (12, 16)}, "image must be .height, width, channels."),
        ({"linear": True}, "linear and baseline must be False"),
        ({"features": (Feature("a", "1"), Feature("b", "1"))}, "features must be one, the camera"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        task(**changes)


def test_frames_of_another_kind_are_refused():
    def floats(split):
        return [replace(one, values=one.values.astype(np.float32)) for one in seen(split)]

    with pytest.raises(ValueError, match="values must be uint8, as the task has images; got float32"):
        task(recordings=floats).split("train")
