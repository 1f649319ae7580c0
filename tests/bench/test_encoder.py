"""Images reach every network through one encoder, and the budget counts what differs between networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from liquidbench import kept, matching, networks
from liquidbench.encoder import OUTPUTS, ImageEncoder
from liquidbench.study import Robustness, Run, Search, Training
from liquidbench.system.storage import KeptFileWarning
from liquidbench.tasks.frozen import freeze, thaw
from liquidbench.tasks.task import Feature, Recording, Source, Task
from liquidbench.training import encoding
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


def run_of(name: str, **changes) -> Run:
    run = Run(
        *("fit", "film", name, "matched", 4, 0, "parameters", 2000),
        training=Training(steps=150, batch_size=16, encoder="shared"),
        search=Search(trials=1),
        tuned=(4, 0),
        robustness=Robustness(),
    )
    return replace(run, **changes)


def stored_encoder(folder, run: Run, film: Task) -> dict[str, torch.Tensor]:
    found = kept.of_run(folder, run.id(film.data_digest))
    return networks.unpack(found.form, found.weights, film).encoder.state_dict()


def test_networks_behind_a_shared_encoder_learn_and_read_images_alike(tmp_path):
    film, told = task(), []
    for model in ("GRU", "CfC"):
        rows = fit(run_of(model), film, tmp_path, on_status=told.append)
        scores = {(row["metric"], row["split"]): row["value"] for row in rows}
        assert scores["mse", "test"] < 0.5 * scores["trivial", "test"]
    # Trained once, for both.
    assert told == ["training the encoder that all networks of this seed share"]
    assert len(list((tmp_path / "encoders").glob("*.npz"))) == 1
    of_gru, of_cfc = (stored_encoder(tmp_path, run_of(model), film) for model in ("GRU", "CfC"))
    shared = encoding.shared(run_of("LTC"), film, tmp_path).state_dict()
    assert all(torch.equal(shared[name], one[name]) for one in (of_gru, of_cfc) for name in shared)


def test_a_shared_encoder_depends_on_the_seed_and_the_split_and_on_nothing_of_the_model(tmp_path):
    film, few = task(), Training(steps=10, batch_size=16, encoder="shared")
    for changes in ({}, {"model": "LTC"}, {"search": Search(trials=9)}, {"parameters": 500}):
        encoding.shared(run_of("GRU", **{"training": few} | changes), film, tmp_path)
    assert len(list((tmp_path / "encoders").glob("*.npz"))) == 1
    alone = encoding.shared(run_of("GRU", training=few), film, None)
    read = encoding.shared(run_of("GRU", training=few), film, tmp_path)
    assert all(torch.equal(alone.state_dict()[name], tensor) for name, tensor in read.state_dict().items())
    assert not any(parameter.requires_grad for parameter in alone.parameters())
    for changes in ({"seed": 5}, {"fold": 1}, {"training": replace(few, steps=11)}):
        encoding.shared(run_of("GRU", **{"training": few} | changes), film, tmp_path)
    assert len(list((tmp_path / "encoders").glob("*.npz"))) == 4


def test_a_damaged_encoder_is_moved_aside_and_trained_again(tmp_path):
    film, run = task(), run_of("GRU", training=Training(steps=10, batch_size=16, encoder="shared"))
    encoding.shared(run, film, tmp_path)
    (path,) = (tmp_path / "encoders").glob("*.npz")
    content = path.read_bytes()
    encoding.shared(replace(run, seed=5), film, tmp_path / "another")
    (other,) = (tmp_path / "another" / "encoders").glob("*.npz")
    flipped = content[:500] + bytes([content[500] ^ 1]) + content[501:]
    for damaged in (b"", content[:-100], flipped, other.read_bytes()):
        path.write_bytes(damaged)
        with pytest.warns(KeptFileWarning, match="is damaged.*the encoder is trained again"):
            encoding.shared(run, film, tmp_path)
        assert path.read_bytes() == content


def test_encoded_sequences_are_those_that_the_network_would_read():
    film = task()
    network, data = networks.build("GRU", film, 6, seed=1), Data(film.split("train"))
    network.eval()
    read = encoding.encoded(data, network.encoder)
    changed = encoding.encoded(data, network.encoder, copies=3, seed=2)
    again = encoding.encoded(data, network.encoder, copies=3, seed=2)
    assert read.values.shape == (len(data), 6, OUTPUTS) and changed.values.shape == (3 * len(data), 6, OUTPUTS)
    assert torch.equal(changed.values, again.values)
    assert not torch.allclose(changed.values[: len(data)], changed.values[len(data) : 2 * len(data)])
    for name in ("targets", "target_mask", "timespans", "lengths"):
        assert torch.equal(getattr(changed, name), getattr(data, name).repeat(3, *[1] * (getattr(data, name).ndim - 1)))
    some = torch.arange(4)
    whole = network(*data.inputs(some))
    network.encoder = None
    assert torch.allclose(network(*read.inputs(some)), whole, atol=1e-5)


def test_a_shared_encoder_needs_images():
    plain = task(image=None, recordings=lambda split: [replace(r, values=r.values[:, :1]) for r in seen(split)])
    with pytest.raises(ValueError, match="training.encoder must be 'own' on tasks without images; got 'shared'"):
        fit(run_of("GRU"), plain)


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
