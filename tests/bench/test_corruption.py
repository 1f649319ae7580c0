from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquidbench import tasks
from liquidbench.tasks.corruption import add_noise, remove_steps
from liquidbench.tasks.task import Split, carry_spans


def uneven_split(seed: int, per_step: bool = True) -> Split:
    """Sequences of several lengths, some of whose features, and some of whose whole steps, are unobserved."""
    random = np.random.default_rng(seed)
    valid = np.arange(12) < random.integers(1, 13, size=6)[:, None]
    mask = (random.random((6, 12, 3)) < 0.6) & valid[:, :, None]
    mask[:, 0] = True
    spans = np.where(valid, random.exponential(size=(6, 12)), 0).astype(np.float32)
    return Split(
        values=np.where(mask, random.normal(size=mask.shape), 0).astype(np.float32),
        timespans=carry_spans(spans, mask.any(axis=2)),
        mask=mask,
        targets=random.integers(0, 2, size=(6, 12) if per_step else 6),
        target_mask=valid if per_step else np.ones(6, dtype=bool),
        rows=np.where(valid, np.arange(72).reshape(6, 12), -1),
        recordings=tuple("abcdef"),
    )


def assert_equal(one: Split, other: Split, *, but: tuple[str, ...] = ()):
    for field in fields(Split):
        if field.name not in but:
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None), field.name


@given(seed=st.integers(0, 10**6), fraction=st.floats(0, 0.999))
def test_time_is_passed_on_to_the_steps_that_stay(seed, fraction):
    split = uneven_split(seed)
    thinned = remove_steps(split, fraction, seed)
    present, kept = split.mask.any(axis=2), thinned.mask.any(axis=2)
    assert (kept <= present).all() and kept.any(axis=1).all()
    expected = np.minimum(np.round(fraction * present.sum(axis=1)), present.sum(axis=1) - 1)
    assert np.array_equal((present & ~kept).sum(axis=1), expected)
    for sequence in range(len(split)):
        last = np.flatnonzero(kept[sequence])[-1] + 1
        assert thinned.timespans[sequence, :last].sum() == pytest.approx(
            split.timespans[sequence, :last].sum(), rel=1e-5
        )
    assert not thinned.timespans[~kept].any()
    assert not thinned.values[~thinned.mask].any()
    assert np.array_equal(thinned.values[kept], split.values[kept])
    assert np.array_equal(thinned.mask[kept], split.mask[kept])
    assert not thinned.target_mask[present & ~kept].any()
    assert_equal(thinned, split, but=("values", "timespans", "mask", "target_mask"))


def test_the_time_ahead_is_not_measured_and_gets_no_noise():
    split = uneven_split(2)
    plain, told = add_noise(split, 0.5, seed=1), add_noise(replace(split, time_ahead=True), 0.5, seed=1)
    assert np.array_equal(told.values[..., -1], split.values[..., -1])
    assert np.array_equal(told.values[..., :-1], plain.values[..., :-1])
    assert not np.array_equal(plain.values[..., -1], split.values[..., -1])


def test_targets_of_whole_sequences_stay():
    split = uneven_split(3, per_step=False)
    assert remove_steps(split, 0.5, seed=0).target_mask.all()


def test_nothing_is_done_at_level_zero():
    for split in (uneven_split(4), tasks.load("physionet2012-excerpt").split("validation")):
        assert_equal(remove_steps(split, 0.0, seed=1), split)
        assert_equal(add_noise(split, 0.0, seed=1), split)


def test_a_larger_fraction_removes_all_that_a_smaller_one_did():
    split = uneven_split(5)
    less, more = (remove_steps(split, fraction, seed=7).mask.any(axis=2) for fraction in (0.3, 0.6))
    assert (more <= less).all() and more.sum() < less.sum()


def test_the_seed_alone_decides_what_is_damaged():
    split = uneven_split(6)
    for damage, level in ((remove_steps, 0.4), (add_noise, 0.5)):
        assert_equal(damage(split, level, seed=1), damage(split, level, seed=1))
        assert not np.array_equal(damage(split, level, seed=1).values, damage(split, level, seed=2).values)


def test_removing_steps_of_a_real_split_leaves_the_share_it_says():
    split = tasks.load("gesture-excerpt").split("test")
    thinned = remove_steps(split, 0.3, seed=0)
    kept = thinned.mask.any(axis=2).sum() / split.mask.any(axis=2).sum()
    # Whole steps: 10 of a window of 32.
    assert kept == pytest.approx(1 - 10 / 32, abs=0.002)
    assert thinned.target_mask.sum() == thinned.mask.any(axis=2).sum()


def test_noise_is_gaussian_and_touches_observed_values_only():
    split = tasks.load("physionet2012-excerpt").split("test")
    noisy = add_noise(split, 0.5, seed=3)
    assert_equal(noisy, split, but=("values",))
    noise = noisy.values - split.values
    assert not noise[~split.mask].any()
    observed = noise[split.mask]
    assert observed.mean() == pytest.approx(0, abs=0.01) and observed.std() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_fractions_that_leave_nothing_are_refused(fraction):
    with pytest.raises(ValueError, match="fraction must be at least 0 and below 1; got"):
        remove_steps(uneven_split(0), fraction, seed=0)


@pytest.mark.parametrize("deviation", [-1.0, float("inf"), float("nan")])
def test_deviations_that_mean_nothing_are_refused(deviation):
    with pytest.raises(ValueError, match="deviation must be finite and not negative; got"):
        add_noise(uneven_split(0), deviation, seed=0)
