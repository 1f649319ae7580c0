"""Tasks with a known answer: how often each cause agrees with the label, counted in the data themselves."""

import numpy as np
import pytest

from liquidbench.tasks import invariance, mnist
from liquidbench.tasks.task import SPLITS, check


def images(numbers, seed=0):
    """Images of one bright pixel each, in a place of its digit."""
    labels = np.random.default_rng(seed).integers(0, 10, numbers).astype(np.uint8)
    shown = np.zeros((numbers, 28, 28), dtype=np.uint8)
    shown[np.arange(numbers), 2 * labels, 3] = 200
    return shown, labels


def share(agreeing):
    return float(np.mean(agreeing))


def test_signals_have_two_frequencies_of_which_one_misleads():
    task = invariance.spurious_fourier(sizes=(1500, 300, 3000))
    check(task)
    for name in SPLITS:
        split = task.split(name)
        values = task.input_scaler.restore(split.values)[..., 0]
        spectrum = np.abs(np.fft.rfft(values, n=1000, axis=1))
        # Of a thousand samples at 100 Hz, the tenth of a Hz.
        told = spectrum[:, 70] > spectrum[:, 90]
        misleading = spectrum[:, 40] > spectrum[:, 20]
        labels = split.targets.astype(bool)
        for number, agreement in zip(np.unique(split.environments), invariance.AGREEMENT[name], strict=True):
            own = split.environments == number
            assert (
                number == round(100 * agreement) and own.sum() == {"train": 1500, "validation": 300, "test": 3000}[name]
            )
            bound = 4 * 0.5 / np.sqrt(own.sum())
            assert share(told[own] == labels[own]) == pytest.approx(0.75, abs=bound)
            assert share(misleading[own] == labels[own]) == pytest.approx(agreement, abs=bound)
            # Given the label, one tells nothing of the other.
            right = told[own] == labels[own]
            assert share((misleading == labels)[own][right]) == pytest.approx(agreement, abs=2 * bound)
        assert len(np.unique(values.round(5), axis=0)) == len(values), "no signal twice"


def test_a_signal_is_its_equation():
    (signal,) = invariance.spurious_fourier(sizes=(1, 1, 1), seed=3).recordings("test")
    times = signal.times[:, None] + np.linspace(0, 1, 20_001)
    fits = [
        np.abs((np.cos(2 * np.pi * high * times) + np.cos(2 * np.pi * low * times) / 2) / 1.5 - signal.values)
        .max(0)
        .min()
        for high in (9, 7)
        for low in (2, 4)
    ]
    assert sorted(fits)[0] < 2e-3 < 0.1 < sorted(fits)[1]


def test_another_seed_is_another_task():
    one, same, other = (invariance.spurious_fourier(sizes=(9, 9, 9), seed=seed) for seed in (0, 0, 1))
    assert one.data_digest == same.data_digest != other.data_digest
    with pytest.raises(ValueError, match="sizes must be positive"):
        invariance.spurious_fourier(sizes=(0, 1, 1))


def colours(recording):
    """The digit of each image and which of its channels is empty, from the values."""
    shown = recording.values.reshape(len(recording), 2, 14, 14)
    assert np.isin(np.unique(shown), [0, 50]).all(), "a pixel of four has 200"
    digits = shown.sum(1)[:, :, 1].argmax(1)
    return digits, shown.sum((2, 3)) == 0


@pytest.mark.slow
def test_colours_of_sequences_agree_with_labels_as_often_as_their_environment_says(monkeypatch):
    shown, labels = images(4 * 6000)
    monkeypatch.setattr(mnist, "read", lambda data: (shown, labels))
    task = invariance.tcmnist_source(sizes=(1000, 500, 3000))
    check(task)
    digits = labels.reshape(-1, 4).astype(int)
    for name in SPLITS:
        found = {}
        for recording in task.recordings(name):
            number = int(recording.name.split()[1])
            seen, empty = colours(recording)
            assert (seen == digits[number]).all() and recording.target_mask.tolist() == [False, True, True, True]
            assert not empty[0].any() and (empty[1:].sum(1) == 1).all()
            odd, told = (seen[1:] + seen[:-1]) % 2, recording.targets[1:]
            found.setdefault(recording.environment, []).append((odd == told, empty[1:].argmax(1) == told))
        assert sorted(found) == sorted(round(100 * one) for one in invariance.AGREEMENT[name])
        for environment, pairs in found.items():
            parity, colour = np.array(pairs).transpose(1, 0, 2)
            bound = 4 * 0.5 / np.sqrt(parity.size)
            assert share(parity) == pytest.approx(0.75, abs=bound)
            assert share(colour) == pytest.approx(environment / 100, abs=bound)


@pytest.mark.slow
def test_colours_of_steps_agree_with_labels_as_often_as_their_step_says(monkeypatch):
    shown, labels = images(4 * 4000)
    monkeypatch.setattr(mnist, "read", lambda data: (shown, labels))
    task = invariance.tcmnist_step(sizes=(2000, 400, 1600))
    check(task)
    train, test = task.split("train"), task.split("test")
    assert train.values.shape[1] == 3 and train.target_mask.all(0).tolist() == [False, True, True]
    assert test.values.shape[1] == 4 and test.target_mask.all(0).tolist() == [False, False, False, True]
    assert not test.target_mask[:, :3].any()
    assert (train.environments == [90, 90, 80]).all() and (test.environments == [90, 90, 80, 10]).all()
    for name, steps in (("train", {1: 0.9, 2: 0.8}), ("test", {3: 0.1})):
        parts = task.recordings(name)
        for step, agreement in steps.items():
            colour = [colours(part)[1][step].argmax() == part.targets[step] for part in parts]
            assert share(colour) == pytest.approx(agreement, abs=4 * 0.5 / np.sqrt(len(parts)))
            parity = [colours(part)[0][step - 1 : step + 1].sum() % 2 == part.targets[step] for part in parts]
            assert share(parity) == pytest.approx(0.75, abs=4 * 0.5 / np.sqrt(len(parts)))


def test_there_are_only_so_many_images(monkeypatch):
    monkeypatch.setattr(mnist, "read", lambda data: pytest.fail("nothing is read"))
    for loader in (invariance.tcmnist_source, invariance.tcmnist_step):
        with pytest.raises(ValueError, match="sizes must be positive and 17,500 in all at most"):
            loader(sizes=(17_000, 400, 400))
        with pytest.raises(ValueError, match="sizes must be positive"):
            loader(sizes=(10, 0, 10))
