"""Each shift beside what it should do, computed in another way: sequence by sequence, on absolute times."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from liquidbench import tasks
from liquidbench.shifts import SHIFTS, SPIKE, find
from liquidbench.tasks import shifted as transforms
from liquidbench.tasks.shifted import shifted
from liquidbench.tasks.task import Split, carry_spans

# Those that draw nothing, and those that change no value.
FIXED = {"sampling_rate", "frequency", "amplitude"}
ADDED = ("noise", "impulses", "bias", "drift")


def uneven_split(seed: int, per_step: bool = True, sequences: int = 6, whole: bool = False) -> Split:
    """Sequences of several lengths, some of whose features, and some of whose whole steps, are unobserved."""
    random = np.random.default_rng(seed)
    valid = np.arange(12) < random.integers(1, 13, size=sequences)[:, None]
    mask = ((random.random((sequences, 12, 3)) < 0.6) | whole) & valid[:, :, None]
    mask[:, 0] = True
    spans = np.where(valid, random.exponential(size=(sequences, 12)), 0).astype(np.float32)
    spans[:, 0] = 1
    return Split(
        values=np.where(mask, random.normal(size=mask.shape), 0).astype(np.float32),
        timespans=carry_spans(spans, mask.any(axis=2)),
        mask=mask,
        targets=random.integers(0, 3, size=(sequences, 12) if per_step else sequences),
        target_mask=valid if per_step else np.ones(sequences, dtype=bool),
        rows=np.where(valid, np.arange(12 * sequences).reshape(sequences, 12), -1),
        recordings=tuple(f"recording {number}" for number in range(sequences)),
        groups=tuple(f"group {number}" for number in range(sequences)),
        environments=np.arange(sequences),
    )


def assert_equal(one: Split, other: Split, *, but: tuple[str, ...] = ()):
    for field in fields(Split):
        if field.name not in but:
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None), field.name


def seen(split: Split, sequence: int) -> tuple[np.ndarray, np.ndarray]:
    """The observed steps of a sequence, and their times since it began, of which the first step is 1."""
    steps = np.flatnonzero(split.mask[sequence].any(axis=1))
    return steps, np.cumsum(split.timespans[sequence].astype(np.float64))[steps]


def strong(name: str) -> float:
    return find(name).levels[-1]


every_shift = pytest.mark.parametrize(
    "name", [*SHIFTS, "sensor_dropout+sampling_rate+noise", "time_warp+removed_steps"]
)


def test_every_shift_is_computed():
    assert set(transforms._TRANSFORMS) == set(SHIFTS)


@every_shift
def test_nothing_is_done_at_level_zero(name):
    split = uneven_split(4, per_step=False)
    assert shifted(split, name, 0.0, seed=1) is split


@every_shift
@pytest.mark.parametrize("missing", [True, False])
def test_what_every_shift_keeps(name, missing):
    """Padding and what is absent stay empty, values finite, types the same, targets where they are, and time true."""
    split = uneven_split(2, per_step=False, sequences=40, whole=not missing)
    found = shifted(split, name, strong(name), seed=3, missing=missing)
    at = np.searchsorted(split.environments, found.environments)
    assert np.array_equal(split.targets[at], found.targets) and found.target_mask.all()
    assert np.array_equal(split.rows[at], found.rows)
    assert found.recordings == tuple(split.recordings[place] for place in at)
    assert found.groups == tuple(split.groups[place] for place in at)
    for field in fields(Split):
        one, other = getattr(split, field.name), getattr(found, field.name)
        assert type(one) is type(other) and getattr(one, "dtype", None) == getattr(other, "dtype", None)
    assert (found.mask <= split.mask[at]).all() and found.mask.any(axis=(1, 2)).all()
    assert np.isfinite(found.values).all() and np.isfinite(found.timespans).all()
    assert not found.values[~found.mask].any() and not found.timespans[~found.mask.any(axis=2)].any()
    assert (found.timespans >= 0).all()
    if "time_warp" not in name and name != "frequency":
        for sequence, place in enumerate(at):
            steps, times = seen(found, sequence)
            known, before = seen(split, place)
            assert times == pytest.approx(before[np.isin(known, steps)], rel=1e-5)


@every_shift
def test_the_seed_alone_decides_what_changes(name):
    split = uneven_split(6, per_step=False, sequences=30)
    one, same, other = (shifted(split, name, strong(name), seed) for seed in (1, 1, 2))
    assert_equal(one, same)
    if name not in FIXED:
        with pytest.raises(AssertionError):
            assert_equal(one, other)


@given(seed=st.integers(0, 10**6), fraction=st.floats(0.001, 0.999))
def test_time_is_passed_on_to_the_steps_that_stay(seed, fraction):
    split = uneven_split(seed)
    thinned = shifted(split, "removed_steps", fraction, seed)
    present, kept = split.mask.any(axis=2), thinned.mask.any(axis=2)
    assert (kept <= present).all() and kept.any(axis=1).all()
    expected = np.minimum(np.round(fraction * present.sum(axis=1)), present.sum(axis=1) - 1)
    assert np.array_equal((present & ~kept).sum(axis=1), expected)
    for sequence in range(len(split)):
        last = np.flatnonzero(kept[sequence])[-1] + 1
        assert thinned.timespans[sequence, :last].sum() == pytest.approx(
            split.timespans[sequence, :last].sum(), rel=1e-5
        )
    assert not thinned.target_mask[present & ~kept].any()
    assert_equal(thinned, split, but=("values", "timespans", "mask", "target_mask"))


def test_steps_and_noise_are_those_of_the_first_version():
    """Pinned: results that are kept were made so."""
    split = uneven_split(5, whole=True)
    order = np.random.default_rng(9).random((6, 12))
    thinned = shifted(split, "removed_steps", 0.5, seed=9).mask.any(axis=2)
    noise = np.random.default_rng(9).standard_normal(split.values.shape, dtype=np.float32)
    noisy = shifted(split, "noise", 0.5, seed=9)
    for sequence in range(6):
        (steps,) = np.nonzero(split.mask[sequence].any(axis=1))
        removed = steps[np.argsort(order[sequence, steps])][: min(round(0.5 * len(steps)), len(steps) - 1)]
        assert set(steps) - set(removed) == set(np.flatnonzero(thinned[sequence]))
    assert np.array_equal(noisy.values, np.where(split.mask, split.values + np.float32(0.5) * noise, 0))


@pytest.mark.parametrize("name", ["removed_steps", "sensor_dropout", "label_shift", "impulses"])
def test_a_larger_share_changes_all_that_a_smaller_one_did(name):
    split = uneven_split(5, per_step=False, sequences=60)
    less, more = (shifted(split, name, level, seed=7, missing=True) for level in (0.35, 0.7))
    if name == "label_shift":
        assert set(more.recordings) < set(less.recordings)
    elif name == "impulses":
        one, other = (found.values - split.values for found in (less, more))
        assert np.count_nonzero(one) < np.count_nonzero(other) and np.array_equal(other[one != 0], one[one != 0])
    else:
        assert (more.mask <= less.mask).all() and more.mask.sum() < less.mask.sum()


@pytest.mark.parametrize("name", ["noise", "bias", "drift"])
def test_a_stronger_error_is_the_same_one_scaled(name):
    split = uneven_split(8)
    less, more = (shifted(split, name, level, seed=7).values - split.values for level in (0.25, 1.0))
    assert more == pytest.approx(4 * less, abs=1e-5) and less.any()


@pytest.mark.parametrize("name", ADDED)
def test_errors_touch_observed_values_only(name):
    split = uneven_split(3)
    found = shifted(split, name, strong(name), seed=3)
    assert_equal(found, split, but=("values",))
    assert not (found.values - split.values)[~split.mask].any()


def test_noise_is_gaussian():
    split = tasks.load("physionet2012-excerpt").split("test")
    noise = (shifted(split, "noise", 0.5, seed=3).values - split.values)[split.mask]
    assert stats.kstest(noise[:5000], "norm", (0, 0.5)).pvalue > 0.01


def test_impulses_hit_the_share_they_say_with_spikes_of_one_size():
    split = uneven_split(3, sequences=400, whole=True)
    error = (shifted(split, "impulses", 0.2, seed=3).values - split.values)[split.mask]
    spikes = error[error != 0]
    assert np.abs(spikes) == pytest.approx(SPIKE, abs=1e-5)
    assert stats.binomtest(len(spikes), len(error), 0.2).pvalue > 0.01
    assert stats.binomtest(int((spikes > 0).sum()), len(spikes), 0.5).pvalue > 0.01
    everywhere = shifted(split, "impulses", 1.0, seed=3).values - split.values
    assert (everywhere[split.mask] != 0).all()


def test_a_bias_is_one_error_for_each_feature_of_a_sequence():
    split = uneven_split(11, sequences=50)
    error = np.where(split.mask, shifted(split, "bias", 0.75, seed=3).values - split.values, np.nan)
    for found in error.transpose(0, 2, 1).reshape(150, 12):
        of_feature = found[~np.isnan(found)]
        assert np.abs(of_feature) == pytest.approx(0.75, abs=1e-6) and len(np.unique(of_feature > 0)) <= 1
    ups = np.nanmax(error, axis=1) > 0
    assert 0 < ups.mean(axis=0).min() and ups.mean(axis=0).max() < 1, "sequences differ"


def test_a_drift_is_a_line_over_time():
    split = uneven_split(11, sequences=50)
    error = shifted(split, "drift", 0.75, seed=3).values - split.values
    for sequence in range(50):
        steps, times = seen(split, sequence)
        for feature in range(3):
            known = split.mask[sequence, steps, feature]
            expected = np.interp(times, [times[0], times[-1] + (len(times) == 1)], [0, 0.75])[known]
            assert np.abs(error[sequence, steps, feature][known]) == pytest.approx(expected, abs=1e-5)


def test_amplitudes_grow_around_the_training_mean():
    split = uneven_split(4)
    found = shifted(split, "amplitude", 0.5, seed=0)
    assert_equal(found, split, but=("values",))
    assert found.values == pytest.approx(1.5 * split.values, rel=1e-6)


@pytest.mark.parametrize(("level", "every"), [(1.0, 2), (2.0, 3), (7.0, 8)])
def test_a_lower_sampling_rate_keeps_every_so_manieth_step(level, every):
    split = uneven_split(4, sequences=30)
    found = shifted(split, "sampling_rate", level, seed=0)
    for sequence in range(30):
        assert seen(found, sequence)[0].tolist() == seen(split, sequence)[0][::every].tolist()
        lost = np.setdiff1d(seen(split, sequence)[0], seen(found, sequence)[0])
        assert not found.target_mask[sequence, lost].any()


def test_a_sampling_rate_between_whole_numbers_keeps_its_share():
    split = uneven_split(4, sequences=30)
    found = shifted(split, "sampling_rate", 0.5, seed=0)
    for sequence in range(30):
        steps = seen(split, sequence)[0]
        # The first at or after 0, 1.5, 3, 4.5, ...
        assert seen(found, sequence)[0].tolist() == [steps[at] for at in (0, 2, 3, 5, 6, 8, 9, 11) if at < len(steps)]


def test_lost_features_are_unobserved_where_the_task_has_a_mask_and_their_mean_where_not():
    split = uneven_split(7, sequences=60)
    masked = shifted(split, "sensor_dropout", 0.4, seed=1, missing=True)
    observed, left = (found.mask.any(axis=1) for found in (split, masked))
    counts = observed.sum(axis=1)
    assert np.array_equal((observed & ~left).sum(axis=1), np.minimum(np.round(0.4 * counts), counts - 1))
    assert np.array_equal(masked.mask, split.mask & left[:, None, :])
    assert_equal(masked, split, but=("values", "mask", "timespans"))
    whole = uneven_split(7, sequences=60, whole=True)
    read = shifted(whole, "sensor_dropout", 0.4, seed=1, missing=False)
    assert_equal(read, whole, but=("values",))
    silent = ~read.values.any(axis=1)
    assert (silent.sum(axis=1) == 1).all(), "0.4 of 3 features is 1"
    assert np.array_equal(read.values, np.where(silent[:, None], 0, whole.values))


def test_a_higher_frequency_is_the_same_in_less_time():
    split = uneven_split(9)
    found = shifted(split, "frequency", 0.5, seed=0)
    assert_equal(found, split, but=("timespans",))
    for sequence in range(6):
        _, before = seen(split, sequence)
        _, after = seen(found, sequence)
        # Nothing is known of the time before the first step, which counts as 1.
        assert after - 1 == pytest.approx((before - 1) / 1.5, abs=1e-5)


def test_a_warped_pace_varies_smoothly_by_its_level():
    steps = 100
    mask = np.ones((300, steps, 1), dtype=bool)
    spans = np.ones((300, steps), dtype=np.float32)
    names = tuple(map(str, range(300)))
    split = Split(
        mask.astype(np.float32), spans, mask, np.zeros(300, int), mask[:, 0, 0], np.zeros((300, steps)), names
    )
    found, half = (shifted(split, "time_warp", level, seed=2) for level in (0.5, 0.25))
    assert_equal(found, split, but=("timespans",))
    pace = np.log(found.timespans[:, 1:].astype(np.float64))
    assert np.log(half.timespans[:, 1:]) == pytest.approx(pace / 2, abs=1e-5)
    assert pace.std() == pytest.approx(0.5, rel=0.05) and pace.mean() == pytest.approx(0, abs=0.05)
    # Three waves, of which the fastest turns one and a half times.
    assert np.abs(np.diff(pace)).max() < 0.5 * np.sqrt(2 / 3) * np.pi * (1 + 2 + 3) / (steps - 1)
    assert np.abs(pace).max() <= 0.5 * np.sqrt(6) + 1e-6
    assert (found.timespans[:, 0] == 1).all()


def test_shares_of_classes_move_and_every_class_remains():
    split = uneven_split(12, per_step=False, sequences=300)
    counts = np.bincount(split.targets)
    found = shifted(split, "label_shift", 0.75, seed=5)
    left = np.bincount(found.targets, minlength=3)
    # One class keeps all, one loses three quarters, and the one between loses half as much.
    shares = np.sort(1 - left / counts)
    assert shares == pytest.approx([0, 0.375, 0.75], abs=0.51 / counts.min())
    assert (np.diff(found.environments) > 0).all(), "in their order"
    few = shifted(uneven_split(12, per_step=False, sequences=4), "label_shift", 0.99, seed=5)
    assert set(few.targets) == set(uneven_split(12, per_step=False, sequences=4).targets)


def test_composed_shifts_are_applied_one_after_another():
    split = uneven_split(13, sequences=40)
    both = shifted(split, "removed_steps+noise", 0.5, seed=4)
    # Half of the strongest default level of each; the first draws what it draws alone.
    thinned = shifted(split, "removed_steps", 0.25, seed=4)
    assert_equal(both, thinned, but=("values",))
    noise = (both.values - thinned.values)[thinned.mask]
    assert stats.kstest(noise, "norm", (0, 0.5)).pvalue > 0.01
    alone = (shifted(split, "noise", 0.5, seed=4).values - split.values)[thinned.mask]
    assert abs(np.corrcoef(noise, alone)[0, 1]) < 0.2, "no part draws the numbers of another"
    # Order matters: what drifts first and is then read more seldom has the drift of the whole sequence.
    one, other = (shifted(split, name, 1.0, seed=4) for name in ("drift+sampling_rate", "sampling_rate+drift"))
    assert np.array_equal(one.mask, other.mask) and not np.allclose(one.values, other.values)


def test_removing_steps_of_a_real_split_leaves_the_share_it_says():
    split = tasks.load("gesture-excerpt").split("test")
    thinned = shifted(split, "removed_steps", 0.3, seed=0)
    kept = thinned.mask.any(axis=2).sum() / split.mask.any(axis=2).sum()
    # Whole steps: 10 of a window of 32.
    assert kept == pytest.approx(1 - 10 / 32, abs=0.002)
    assert thinned.target_mask.sum() == thinned.mask.any(axis=2).sum()


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("removed_steps", 1.0, "level of removed_steps must be at least 0 and below 1; got 1.0"),
        ("noise", float("nan"), "level of noise must be at least 0 and below 1e\\+06; got nan"),
        ("bias", -0.5, "level of bias must be at least 0"),
        ("time_warp", 6.0, "level of time_warp must be at least 0 and at most 5; got 6.0"),
        ("noise+bias", 1.5, "level of noise\\+bias must be at least 0 and at most 1; got 1.5"),
        ("fog", 0.5, "a shift must be among removed_steps, .*; got 'fog'"),
    ],
)
def test_levels_and_names_that_mean_nothing_are_refused(name, level, words):
    with pytest.raises(ValueError, match=words):
        shifted(uneven_split(0), name, level, seed=0)


@pytest.mark.parametrize(
    "name", [name for name in SHIFTS if name not in ("removed_steps", "sampling_rate", "label_shift")]
)
def test_the_time_ahead_is_not_measured_and_stays(name):
    split = uneven_split(2)
    split.mask[..., -1] = True
    told = shifted(replace(split, time_ahead=True), name, strong(name), seed=1, missing=True)
    assert np.array_equal(told.values[..., -1], split.values[..., -1]) and told.mask[..., -1].all()
    plain = shifted(split, name, strong(name), seed=1, missing=True)
    if name not in ("time_warp", "frequency", "sensor_dropout"):
        assert not np.array_equal(plain.values[..., -1], split.values[..., -1])


def test_a_label_shift_of_a_task_with_time_ahead_keeps_that_it_has():
    split = replace(uneven_split(3, per_step=False, sequences=12), time_ahead=True)
    assert shifted(split, "label_shift", 0.5, seed=0).time_ahead is True
