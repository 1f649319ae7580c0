"""What `Task` does with any recordings, seen on small ones made up for the purpose."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquidbench.metrics import Measure, Metric
from liquidbench.tasks.task import (
    Feature,
    Recording,
    Scaler,
    Source,
    Task,
    carry_spans,
    check,
    numbered,
    varies_ahead,
    window_starts,
)


def recording(name="r", steps=10, first_row=0, seed=0, **changes) -> Recording:
    random = np.random.default_rng(seed)
    made = Recording(
        name=name,
        times=np.cumsum(random.uniform(0.5, 2.0, steps)),
        values=(random.normal(size=(steps, 2)) * [3, 0.1] + [10, -5]).astype(np.float32),
        targets=random.integers(0, 2, steps),
        first_row=first_row,
    )
    return replace(made, **changes)


def three(**changes) -> dict[str, list[Recording]]:
    """One recording a split; `changes` are made to the test recording."""
    train, validation, test = numbered(
        recording(name, steps, seed=seed)
        for seed, (name, steps) in enumerate([("train", 23), ("validation", 9), ("test", 13)])
    )
    return {"train": [train], "validation": [validation], "test": [replace(test, **changes)]}


def task(recordings=None, **changes) -> Task:
    recordings = recordings or three()
    declared = {
        "name": "toy",
        "title": "Toy",
        "description": "Made up.",
        "features": (Feature("a", "m"), Feature("b", "1")),
        "kind": "classification",
        "per": "step",
        "outputs": 2,
        "target_unit": "1",
        "classes": ("no", "yes"),
        "metric": "accuracy",
        "metrics": ("accuracy", "cross_entropy"),
        "time_unit": "s",
        "source": Source("Toy", "", "none", ""),
        "split_rule": "By recording.",
        "recordings": recordings.__getitem__,
        "data_digest": "0" * 64,
        "baseline": "prior",
        "window": 4,
        "stride": 2,
    }
    return Task(**declared | changes)


REGRESSION = {
    "kind": "regression",
    "classes": None,
    "metric": "mse",
    "metrics": ("mse",),
    "baseline": "mean",
}


def with_targets(targets_of) -> dict[str, list[Recording]]:
    return {
        split: [replace(record, targets=targets_of(record)) for record in records] for split, records in three().items()
    }


@given(length=st.integers(1, 200), window=st.integers(2, 40), stride=st.integers(1, 40))
def test_windows_cover_a_recording_and_leave_nothing_out(length, window, stride):
    stride = min(stride, window)
    starts = window_starts(length, window, stride)
    covered = [step for start in starts for step in range(start, min(start + window, length))]
    assert set(covered) == set(range(length))
    assert all(start + window <= length for start in starts[:-1])
    if stride == window:
        assert len(covered) == length


def test_training_windows_overlap_by_the_stride_and_test_windows_do_not():
    toy = task()
    assert toy.split("train").rows[:, 0].tolist() == list(range(0, 21, 2))
    assert toy.split("test").rows[:, 0].tolist() == [32, 36, 40, 44]
    scored = toy.split("test").rows[toy.split("test").target_mask]
    assert sorted(scored) == list(range(32, 45))


def test_a_short_last_window_is_padded():
    last = task().split("test")
    assert last.rows[-1].tolist() == [44, -1, -1, -1]
    assert last.target_mask[-1].tolist() == [True, False, False, False]
    assert not last.values[-1, 1:].any() and not last.timespans[-1, 1:].any() and not last.mask[-1, 1:].any()


def test_no_window_crosses_a_recording():
    two = three()
    two["train"] = numbered([recording("one", 5), recording("two", 6)])
    toy = task({**two, "validation": [recording("v", 4, 50)], "test": [recording("t", 4, 60)]}, stride=4)
    assert [row[row >= 0].tolist() for row in toy.split("train").rows] == [
        [0, 1, 2, 3], [4], [5, 6, 7, 8], [9, 10]
    ]  # fmt: skip
    assert toy.split("train").recordings == ("one", "one", "two", "two")


def test_values_are_standardised_by_training_alone():
    toy, raw = task(stride=4), three()
    train = raw["train"][0].values.astype(np.float64)
    valid = toy.split("train").mask[..., 0]
    np.testing.assert_allclose(toy.split("train").values[valid].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(toy.split("train").values[valid].std(axis=0), 1, atol=1e-5)
    expected = (raw["test"][0].values - train.mean(axis=0)) / train.std(axis=0)
    test = toy.split("test")
    np.testing.assert_allclose(test.values[test.mask[..., 0]], expected, atol=1e-4)


def test_only_observed_values_are_fitted_and_unobserved_ones_are_zero():
    mask = np.random.default_rng(1).random((23, 2)) < 0.5
    made = three()
    values = np.where(mask, made["train"][0].values, np.nan).astype(np.float32)
    made["train"] = [replace(made["train"][0], values=values, mask=mask)]
    toy = task(made, missing=True, window=None, stride=None)
    train = toy.split("train")
    assert np.array_equal(train.mask[0], mask)
    assert not train.values[~train.mask].any()
    np.testing.assert_allclose(train.values[0, mask[:, 0], 0].std(), 1, atol=1e-5)


def test_a_constant_feature_is_centred_and_not_blown_up():
    scaler = Scaler.fit(np.full((50, 1), 0.1, dtype=np.float32), np.ones((50, 1), dtype=bool))
    np.testing.assert_allclose(scaler.standardise(np.array([[0.1], [1.1]], dtype=np.float32)), [[0], [1]], atol=1e-6)


def test_a_constant_with_rounding_errors_is_not_blown_up():
    noisy = np.array([[0.3], [0.1 + 0.2], [0.3]])
    assert noisy.std() > 0
    for values in (noisy, 1e9 * noisy, (3 * noisy).astype(np.float32) / np.float32(3)):
        np.testing.assert_allclose(Scaler.fit(values, np.ones(values.shape, dtype=bool)).deviation, 1)


@pytest.mark.parametrize("offset", [0, 2e7, -1e9, 1e12])
def test_a_signal_on_a_large_offset_is_no_constant(offset):
    signal = np.random.default_rng(0).normal(size=(10_000, 1))
    scaler = Scaler.fit(signal + offset, np.ones(signal.shape, dtype=bool))
    expected = (signal - signal.mean()) / signal.std()
    np.testing.assert_allclose(scaler.standardise(signal + offset), expected, atol=max(1e-5, 1e-15 * abs(offset)))


def test_a_feature_that_was_never_observed_is_left_as_it_is():
    scaler = Scaler.fit(np.full((5, 1), np.nan), np.zeros((5, 1), dtype=bool))
    assert (scaler.mean.tolist(), scaler.deviation.tolist()) == ([0], [1])


def test_time_spans_are_in_units_of_the_median_and_begin_with_one():
    toy, raw = task(window=None, stride=None), three()
    spans = np.diff(raw["train"][0].times)
    assert toy.timespan_unit == pytest.approx(np.median(spans))
    train = toy.split("train")
    assert train.timespans[0, 0] == 1
    np.testing.assert_allclose(train.timespans[0, 1:], spans / np.median(spans), rtol=1e-5)


def test_time_without_any_observation_counts_at_the_next_one():
    mask = np.ones((23, 2), dtype=bool)
    mask[[0, 5, 6, 22]] = False
    made = three()
    made["train"] = [replace(made["train"][0], mask=mask)]
    toy = task(made, missing=True, window=None, stride=None)
    spans, times = toy.split("train").timespans[0], made["train"][0].times
    assert spans[[0, 5, 6, 22]].tolist() == [0, 0, 0, 0]
    assert spans[1] == pytest.approx(1 + (times[1] - times[0]) / toy.timespan_unit)
    assert spans[7] == pytest.approx((times[7] - times[4]) / toy.timespan_unit)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=30))
def test_carried_spans_keep_the_time_of_every_present_step(steps):
    spans, present = np.array([span for span, _ in steps]), np.array([here for _, here in steps])
    carried = carry_spans(spans, present)
    assert not carried[~present].any()
    np.testing.assert_allclose(np.cumsum(carried)[present], np.cumsum(spans)[present], atol=1e-9)


def test_regression_targets_are_standardised_by_training_alone():
    made = with_targets(lambda record: record.values * 7 + 3)
    toy = task(made, **REGRESSION, stride=4)
    known = toy.split("train").targets[toy.split("train").target_mask]
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(known.std(axis=0), 1, atol=1e-5)
    assert toy.trivial_score("mse", "train") == pytest.approx(1, abs=1e-5)
    as_it_is = task(made, **REGRESSION, standardise_targets=False)
    np.testing.assert_allclose(as_it_is.split("test").targets[0], made["test"][0].targets[:4], rtol=1e-6)


def test_unknown_targets_are_neither_fitted_nor_scored():
    known = np.arange(23) % 2 == 0
    made = with_targets(lambda record: record.values)
    targets = np.where(known[:, None], made["train"][0].targets, np.nan).astype(np.float32)
    made["train"] = [replace(made["train"][0], targets=targets, target_mask=known)]
    train = task(made, **REGRESSION, window=None, stride=None).split("train")
    assert np.array_equal(train.target_mask[0], known)
    assert np.isfinite(train.targets).all() and not train.targets[~train.target_mask].any()


@pytest.mark.parametrize(("kind", "target"), [("classification", 1), ("regression", np.array([2.0, 3.0], np.float32))])
def test_one_target_for_a_whole_recording(kind, target):
    changes = REGRESSION if kind == "regression" else {}
    toy = task(with_targets(lambda _: target), **changes, per="sequence", window=None, stride=None)
    split = toy.split("test")
    assert split.targets.shape == ((1, 2) if kind == "regression" else (1,))
    assert split.target_mask.tolist() == [True]
    assert split.targets.dtype == (np.float32 if kind == "regression" else np.int64)


def test_the_last_value_as_a_guess():
    made = with_targets(lambda record: record.values + np.float32(0.5))
    carried = {"baseline": "last value", "carried": ("a", "b")}
    toy = task(made, **REGRESSION | carried)
    deviation = np.concatenate([record.values for record in made["train"]]).std(0)
    assert toy.trivial_score("mse") == pytest.approx(np.mean((0.5 / deviation) ** 2), rel=1e-4)


def test_targets_are_on_the_scale_of_the_features_that_they_continue():
    # Feature b is 1, 3 in training (mean 2, deviation 1), its target ten times that and 5 more.
    def made(name, values, first_row):
        b = np.array(values, np.float32)
        pairs = np.stack([np.zeros_like(b), np.nan_to_num(b)], axis=1)
        mask = np.stack([np.ones_like(b, bool), np.isfinite(b)], axis=1)
        targets = (10 * np.nan_to_num(b) + 5)[:, None]
        return [Recording(name, np.arange(len(b), dtype=float), pairs, targets, first_row, mask)]

    nan = float("nan")
    splits = {"train": made("r", [1, 3], 0), "validation": made("v", [1, 3], 2), "test": made("t", [nan, 4, nan, 1], 4)}
    carried = {"baseline": "last value", "carried": ("b",), "outputs": 1, "missing": True}
    toy = task(splits, **REGRESSION | carried)
    # Nothing seen yet: the mean, 2; then 4, then 4 goes on, then 1. In the feature's scale: value - 2.
    np.testing.assert_allclose(toy.trivial_predictions()[0, :, 0], [0, 2, 2, -1], rtol=1e-6)
    np.testing.assert_allclose(toy.split("test").targets[0, :, 0], [3, 43, 3, 13], rtol=1e-6)
    assert toy.trivial_score("mse") == pytest.approx(np.mean([3**2, 41**2, 1**2, 14**2]), rel=1e-5)


def test_the_prior_as_a_guess():
    toy, train, test = task(stride=4), three()["train"][0].targets, three()["test"][0].targets
    frequency = np.bincount(train) / len(train)
    assert toy.trivial_score() == np.mean(test == frequency.argmax())
    assert toy.trivial_score("cross_entropy") == pytest.approx(-np.log(frequency)[test].mean())


def least_squares(train, targets, asked):
    """Ridge regression with a penalty of 1 on standardised columns, as an ordinary least-squares problem."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    columns = train.shape[1]
    rows = np.concatenate([(train - mean) / deviation, np.eye(columns)])
    intercept = np.concatenate([np.ones((len(train), 1)), np.zeros((columns, 1))])
    values = np.concatenate([targets, np.zeros((columns, targets.shape[1]))])
    weights = np.linalg.lstsq(np.concatenate([rows, intercept], axis=1), values, rcond=None)[0]
    return (asked - mean) / deviation @ weights[:-1] + weights[-1]


def holed(recordings, seed=0):
    """The recordings with about a third of their values, and of their steps' targets, taken away."""
    random = np.random.default_rng(seed)

    def made(record):
        mask = random.random(record.values.shape) < 0.7
        known = None if np.ndim(record.targets) == 0 else random.random(len(record)) < 0.7
        return replace(record, mask=mask, values=np.where(mask, record.values, np.nan), target_mask=known)

    return {split: [made(record) for record in records] for split, records in recordings.items()}


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_linear_model_of_the_current_step(kind):
    made = holed(with_targets(lambda record: record.values * 7 + 3) if kind == "regression" else three())
    changes = REGRESSION if kind == "regression" else {}
    toy = task(made, **changes, missing=True, irregular=True)

    def known(split):
        part = toy.split(split)
        places = np.argwhere(part.target_mask)
        rows = [[*part.values[i, t], *part.mask[i, t], np.log(1 + part.timespans[i, t])] for i, t in places]
        return np.array(rows, dtype=np.float64), part.targets[part.target_mask]

    (inputs, targets), (asked, expected) = known("train"), known("test")
    classes = kind == "classification"
    columns = np.stack([targets == 0, targets == 1], axis=1).astype(float) if classes else targets
    predicted = least_squares(inputs, columns, asked)
    found = toy.linear_predictions()
    assert found.shape == (*toy.split("test").target_mask.shape, 2)
    np.testing.assert_allclose(found[toy.split("test").target_mask], predicted, rtol=1e-6, atol=1e-6)
    score = np.mean(predicted.argmax(axis=1) == expected) if classes else np.mean((predicted - expected) ** 2)
    assert toy.linear_score() == pytest.approx(score)


@pytest.mark.parametrize("missing", [False, True])
def test_a_linear_model_of_a_sequence(missing):
    random = np.random.default_rng(0)
    records = numbered(recording(f"r{number}", int(random.integers(2, 9)), seed=number) for number in range(40))
    made = {"train": records[:25], "validation": records[25:30], "test": records[30:]}
    made = {
        split: [replace(record, targets=int(record.values[:, 1].mean() > -5)) for record in of]
        for split, of in made.items()
    }
    nothing = recording("nothing", 4, first_row=1000, mask=np.zeros((4, 2), dtype=bool), targets=0)
    if missing:
        made = holed(made)
        made["test"].append(nothing)
    toy = task(made, per="sequence", window=None, stride=None, missing=missing, irregular=True)

    def summary(split):
        rows = []
        for record in made[split]:
            scaled = (record.values - toy.input_scaler.mean) / toy.input_scaler.deviation
            seen = [scaled[record.observed[:, column], column] for column in range(2)]
            row = [part.mean() if len(part) else 0 for part in seen] + [part[-1] if len(part) else 0 for part in seen]
            rows.append(row + ([len(part) / len(record) for part in seen] if missing else []))
        return np.array(rows)

    classes = np.array([record.targets for record in made["train"]])
    predicted = least_squares(summary("train"), np.stack([1 - classes, classes], axis=1), summary("test"))
    np.testing.assert_allclose(toy.linear_predictions(), predicted, rtol=1e-5, atol=1e-5)
    expected = [record.targets for record in made["test"]]
    assert toy.linear_score() == np.mean(predicted.argmax(axis=1) == expected)


def test_the_linear_model_is_the_ridge_regression_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    toy = task(with_targets(lambda record: np.abs(record.values)), **REGRESSION, stride=4)
    train, test = toy.split("train"), toy.split("test")
    # Training windows do not overlap, so the features have mean 0 and deviation 1 as they are.
    ridge = linear_model.Ridge(alpha=1.0).fit(train.values[train.target_mask], train.targets[train.target_mask])
    found = toy.linear_predictions()[test.target_mask]
    np.testing.assert_allclose(found, ridge.predict(test.values[test.target_mask]), rtol=1e-4, atol=1e-5)


def test_a_linear_model_does_not_see_the_test_targets():
    made = three()
    other = {**made, "test": [replace(record, targets=1 - record.targets) for record in made["test"]]}
    np.testing.assert_array_equal(task(made).linear_predictions(), task(other).linear_predictions())
    assert task(made).linear_score() == pytest.approx(1 - task(other).linear_score())
    toy = task()
    toy.linear_score(split="validation")
    assert toy.constructed == {"train", "validation"}


def test_warnings_are_among_the_facts():
    assert task().facts().warnings == ()
    assert task(warnings=("look here",)).facts().warnings == ("look here",)


def test_a_split_is_built_when_asked_for_and_kept():
    toy = task()
    assert toy.constructed == frozenset()
    train = toy.split("train")
    toy.split("validation"), toy.timespan_unit, toy.trivial_score(split="validation")
    assert toy.constructed == {"train", "validation"}
    assert toy.split("train") is train
    toy.facts()
    assert "test" in toy.constructed


def test_asking_for_no_split():
    with pytest.raises(ValueError, match="name must be one of train, validation, test; got 'valid'"):
        task().split("valid")


def in_time(gap_between: int) -> dict[str, list[Recording]]:
    whole = recording("whole", 40)
    return {
        "train": [whole.part(slice(0, 20))],
        "validation": [whole.part(slice(20 + gap_between, None))],
        "test": [recording("other", 8, first_row=40)],
    }


def test_a_recording_cut_in_time_needs_its_gap():
    check(task(in_time(6), gap=6))
    with pytest.raises(
        ValueError, match="'validation' and 'train' come within 5 rows of each other in recording 'whole'"
    ):
        check(task(in_time(5), gap=6))
    with pytest.raises(ValueError, match="recordings 'whole' are in both .* declare a gap"):
        check(task(in_time(6)))


def test_a_row_in_two_splits_is_found():
    leaking = three()
    leaking["test"] = [recording("test", 13, first_row=30)]
    with pytest.raises(ValueError, match="2 raw rows are in both 'test' and 'validation', the first of them row 30"):
        check(task(leaking))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"times": np.arange(13.0)[::-1]}, "times must be finite and never decrease; sort"),
        ({"times": np.full(13, np.nan)}, "times must be finite"),
        ({"values": np.full((13, 2), np.nan, np.float32)}, "value of 'a' at step 0 is not finite"),
        ({"values": np.zeros((13, 3), np.float32)}, r"values must have shape \(13, 2\); got \(13, 3\)"),
        ({"mask": np.zeros((13, 2), bool)}, ".*must say missing=True"),
        ({"mask": np.ones((13, 1), bool)}, r"mask must have shape \(13, 2\)"),
        ({"targets": np.full(13, 2)}, "targets must be class numbers from 0 to 1; got 2 to 2"),
        ({"targets": np.zeros(12, int)}, r"targets must have shape \(13,\); got \(12,\)"),
        ({"rows": np.arange(3)}, r"rows must have shape \(13,\)"),
        ({"times": np.zeros(0)}, "has no steps"),
    ],
)
def test_bad_recordings_are_refused_in_words(changes, words):
    toy = task(three(**changes))
    toy.split("train"), toy.split("validation")
    with pytest.raises(ValueError, match=f"task 'toy', split 'test', recording 'test': {words}"):
        toy.split("test")


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="split 'test' has no recordings"):
        check(task({**three(), "test": []}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": (Feature("a", "m"), Feature("b", ""))}, "a name and a unit for each feature"),
        ({"features": (Feature("a", "m"), Feature("a", "m"))}, "features must be distinct names"),
        ({"classes": None}, "classes must be the class names of a classification"),
        ({"outputs": 3}, "outputs must be one per class, 2; got 3"),
        ({"metric": "mse"}, "metrics must be names among accuracy, .*'mse' included"),
        ({"metrics": ("accuracy", "mse")}, "metrics must be names among accuracy"),
        ({"window": None}, "stride and gap must be None without a window"),
        ({"window": 1}, "window must be at least 2"),
        ({"stride": 5}, "stride must be from 1 to the window, 4"),
        ({"stride": 0}, "stride must be from 1 to the window, 4"),
        ({"gap": 3}, "gap must be at least the window, 4; got 3"),
        ({"baseline": "mean"}, "baseline must be 'prior'"),
        (REGRESSION | {"baseline": "prior"}, "baseline must be 'mean' or 'last value'"),
        (
            REGRESSION | {"baseline": "last value", "outputs": 1, "carried": ("a", "b")},
            r"carried must be one feature for each output .*; got \('a', 'b'\)",
        ),
        (REGRESSION | {"carried": ("a", "b")}, "carried must be .*, else empty"),
        (
            REGRESSION | {"baseline": "last value", "carried": ("a", "b"), "standardise_targets": False},
            "standardise_targets must be True with baseline 'last value'; got False",
        ),
        (
            REGRESSION | {"baseline": "last value", "carried": ("a", "c")},
            r"carried must be names of features; got \['c'\]",
        ),
        (
            REGRESSION | {"baseline": "last value", "per": "sequence", "window": None, "stride": None},
            "baseline must be 'mean' where a sequence has one target",
        ),
    ],
)
def test_declarations_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(ValueError, match=f"task 'toy': .*{words}"):
        task(**changes)


def test_a_long_recording_is_cut_into_windows_in_time_that_grows_as_it_does():
    class Counted(Recording):
        """Tells how often all its rows are numbered."""

        numbered = 0

        @property
        def row_numbers(self):
            Counted.numbered += 1
            return super().row_numbers

    length = 4000
    plain = recording("long", steps=length)
    long = Counted(**vars(plain))
    made = task({"train": [long]}, window=20, stride=10)
    assert len(made.split("train")) == 399
    # Not once a window: with a hundred thousand of them that took minutes.
    assert Counted.numbered < 5


class TestHorizon:
    def test_targets_are_those_of_later_in_the_same_recording_as_if_shifted_by_hand(self):
        known = np.arange(23) % 5 != 2
        made = three()
        made["train"] = [replace(made["train"][0], target_mask=known)]
        toy = task(made).with_horizon(3)
        for split, parts in made.items():
            (part,), built = parts, toy.split(split)
            expected = {
                int(part.row_numbers[step]): part.targets[step + 3]
                for step in range(len(part) - 3)
                if part.target_mask is None or part.target_mask[step + 3]
            }
            scored = built.target_mask
            assert dict(zip(built.rows[scored].tolist(), built.targets[scored].tolist(), strict=True)) == expected
            assert built.rows.max() == part.row_numbers[-4], "the last steps have no later one"

    def test_of_a_recording_cut_in_time_no_part_sees_a_target_of_another(self):
        whole = recording("r", 60, targets=np.arange(60.0)[:, None] + [0, 100])
        cuts = {"train": slice(0, 30), "validation": slice(36, 44), "test": slice(50, 60)}
        parts = {split: [whole.part(steps)] for split, steps in cuts.items()}
        toy = task(parts, **REGRESSION, gap=6, standardise_targets=False).with_horizon(2)
        check(toy)
        for split, steps in cuts.items():
            built = toy.split(split)
            seen = built.targets[built.target_mask][:, 0]
            assert seen.min() == steps.start + 2 and seen.max() == steps.stop - 1

    def test_other_splits_shift_too(self):
        dealt = [three(), dict(zip(("test", "train", "validation"), three().values(), strict=True))]
        toy = task(dealt[0], folds=2, dealt=lambda fold: dealt[fold].__getitem__).with_horizon(1)
        (part,) = dealt[1]["train"]
        built = toy.with_fold(1).split("train")
        assert built.rows.max() == part.row_numbers[-2] and toy.fold == 0

    def test_it_is_another_task_with_other_data(self):
        toy = task()
        ahead = [toy.with_horizon(steps) for steps in (1, 2)]
        assert [one.name for one in ahead] == ["toy-1-ahead", "toy-2-ahead"]
        assert len({toy.data_digest, *(one.data_digest for one in ahead)}) == 3
        assert ahead[0].title == "Toy, 1 step ahead" and not ahead[0].constructed

    @pytest.mark.parametrize(
        ("steps", "changes", "message"),
        [
            (0, {}, "steps must be a whole number of at least 1; got 0"),
            (1.5, {}, "steps must be a whole number of at least 1; got 1.5"),
            (True, {}, "at least 1; got True"),
            (1, {"per": "sequence"}, "has one target a sequence"),
        ],
    )
    def test_what_makes_no_forecast_is_said(self, steps, changes, message):
        with pytest.raises(ValueError, match=message):
            task(**changes).with_horizon(steps)

    def test_a_recording_that_is_too_short_drops_out_and_a_split_without_any_is_said(self):
        made = three()
        made["train"] = numbered([*made["train"], recording("short", 3)])
        made["validation"] = [replace(made["validation"][0], first_row=100)]
        made["test"] = [replace(made["test"][0], first_row=200)]
        toy = task(made)
        assert set(toy.with_horizon(3).split("train").recordings) == {"train"}
        with pytest.raises(ValueError, match="split 'validation': no recording has a target 9 steps ahead"):
            toy.with_horizon(9).split("validation")


class TestTimeAhead:
    def test_a_forecast_of_an_uneven_task_is_told_how_far_it_looks(self):
        made = three()
        whole = task(made, irregular=True, window=None, stride=None)
        toy = whole.with_horizon(3)
        assert toy.features[-1] == Feature("time ahead", "s") and toy.features[:-1] == task().features
        (train,) = made["train"]
        usual = np.median(train.times[3:] - train.times[:-3])
        assert toy.input_scaler.usual_ahead == pytest.approx(usual, rel=1e-6)
        for split, (part,) in made.items():
            built, plain = toy.split(split), whole.split(split)
            ahead = part.times[3:] - part.times[:-3]
            seen = np.clip(ahead, toy.input_scaler.low[-1], toy.input_scaler.high[-1])
            np.testing.assert_allclose(built.values[0, :, -1], np.log((1 + seen / usual) / 2), atol=1e-5)
            assert built.time_ahead and built.mask[0, :, -1].all()
            # Nothing else about what models read has changed.
            if split == "train":
                fitted = Scaler.fit(part.values[:-3], np.ones((20, 2), dtype=bool), np.ones(2, dtype=bool))
                assert np.array_equal(built.values[0, :, :-1], fitted.standardise(part.values[:-3]))
            spans = [one.timespan_unit * of.timespans[0, 1:] for one, of in ((toy, built), (whole, plain))]
            np.testing.assert_allclose(spans[0], spans[1][:-3], rtol=1e-5)

    def test_times_ahead_add_up(self):
        made = three()
        twice = task(made, irregular=True).with_horizon(1).with_horizon(2)
        assert [one.name for one in twice.features] == ["a", "b", "time ahead"]
        once = task(made, irregular=True).with_horizon(3)
        assert np.array_equal(twice.split("test").values, once.split("test").values)

    def test_where_nothing_varies_nothing_is_told(self):
        assert task().with_horizon(2).features == task().features
        made = {name: [replace(part, times=np.arange(len(part)) * 0.1)] for name, (part,) in three().items()}
        assert not task(made, irregular=True).with_horizon(2).time_ahead
        # Spans do vary, but the times of what is forecast are those of a clock.
        led = {name: [replace(part, target_times=part.times + 0.1)] for name, (part,) in three().items()}
        assert not varies_ahead([led["train"][0]]) and varies_ahead([led["train"][0].ahead(1)])

    def test_the_next_known_target(self):
        known = np.array([True, False, False, True, False])
        later = recording(steps=5, targets=np.arange(5.0)[:, None], target_mask=known, times=2.0 ** np.arange(5))
        later = later.ahead(None)
        assert later.targets.tolist() == [[3.0]] * 3 and later.target_mask.all()
        assert later.time_ahead.tolist() == [7.0, 6.0, 4.0] and later.row_numbers.tolist() == [0, 1, 2]
        assert later.part(slice(1, 3)).time_ahead.tolist() == [6.0, 4.0]
        assert len(recording(steps=5, target_mask=np.zeros(5, dtype=bool)).ahead(None)) == 0

    def test_any_time_ahead_is_a_moderate_input(self):
        times = np.concatenate([np.full(9999, 60.0), [30 * 86400.0]])
        none = Scaler(np.zeros(0), np.ones(0))
        scaler = none.with_time_ahead(times)
        asked = np.array([[60.0], [0.0], [30 * 86400.0], [1e12]])
        # Less than the least of training is read as that.
        assert scaler.standardise(asked)[:2].ravel().tolist() == [0.0, 0.0] and scaler.usual_ahead == 60
        # What is beyond all training is read as the longest in it.
        longest = np.log((1 + 30 * 86400 / 60) / 2)
        assert scaler.standardise(asked)[2:].ravel() == pytest.approx([longest] * 2) and longest < 10
        assert not none.with_time_ahead(np.full(9, 60.0)).standardise(asked).any()

    def test_a_task_that_tells_it_needs_the_times_of_targets(self):
        told = {"features": (*task().features, Feature("time ahead", "s")), "time_ahead": True}
        with pytest.raises(ValueError, match=r"target_times must have shape \(23,\), as the task tells the time ahead"):
            task(**told).split("train")
        made = three()
        made["train"] = [replace(made["train"][0], target_times=made["train"][0].times - 1)]
        with pytest.raises(ValueError, match="target_times must be finite and never before"):
            task(made, **told).split("train")
        with pytest.raises(ValueError, match="values must have shape .23, 1., without the time ahead"):
            task(**told | {"features": told["features"][1:]}).split("train")
        with pytest.raises(ValueError, match="time_ahead must be False without a target per step"):
            task(**told, per="sequence")


class TestScores:
    OWN = Metric("share", "Share", True, (0.0, 1.0), kind="classification", function=lambda t, p: (p[:, 1] > 0).mean())
    HELD = Measure("held", "Time held", True, unit="s")

    def test_a_metric_of_the_tasks_own_stands_beside_others(self):
        toy = task(metric="share", metrics=("accuracy", self.OWN))
        assert list(toy.scores) == ["accuracy", "share"] and toy.main is self.OWN
        facts = toy.facts()
        assert (facts.metric, facts.metric_label, facts.metric_range) == ("share", "Share", (0.0, 1.0))
        assert facts.metrics == ("accuracy", "share") and facts.selection is None
        # Frequencies of the training targets, as logits: none above 0.
        assert toy.trivial_score() == 0.0 and 0 < toy.linear_score() <= 1

    def test_baselines_may_be_left_out(self):
        toy = task(baseline=None, linear=False)
        assert toy.facts().baseline == ""
        with pytest.raises(ValueError, match="no trivial predictor"):
            toy.trivial_score()
        with pytest.raises(ValueError, match="no linear model"):
            toy.linear_score()

    def test_what_is_judged_may_be_a_measurement(self):
        facts = task(rollout=lambda p, s: {"held": 1.0}, measurements=(self.HELD,), judged="held").facts()
        assert facts.measure == self.HELD and facts.selecting.name == "accuracy" and facts.measurements == (self.HELD,)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"metrics": ("accuracy", replace(OWN, kind="regression"))}, "must be for a classification; got .'share'"),
            ({"metrics": ("accuracy", replace(OWN, name="loss"))}, "names of scores must be .*; got .'loss'"),
            ({"metrics": ("accuracy", replace(OWN, name="mse"))}, "names of scores must be .*; got .'mse'"),
            ({"metrics": ("accuracy", OWN, OWN)}, "must be named differently from each other"),
            ({"metrics": (OWN,)}, "metrics must be names among .* 'accuracy' included"),
            ({"measurements": (HELD,)}, "measurements must be declared where there is a rollout"),
            ({"rollout": print}, "measurements must be declared where there is a rollout"),
            ({"rollout": print, "measurements": (replace(HELD, name="a:b"),)}, "names of scores must be"),
            ({"rollout": print, "measurements": (HELD,), "judged": "hold"}, "judged must be among .*held; got 'hold'"),
            ({"rollout": print, "measurements": (HELD,), "policies": {"a b": print}}, "policies must be named by"),
            ({"policies": {"expert": print}}, "policies must be left out where there is no rollout"),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, changes, message):
        with pytest.raises(ValueError, match=message):
            task(**changes)


def test_columns_are_clipped_at_training_percentiles_and_what_a_forecast_continues_is_not():
    draw = np.random.default_rng(0)
    values = draw.normal(7.4, 0.05, size=(2000, 2))
    values[[3, 700]] = 735.0
    observed = np.ones(values.shape, dtype=bool)
    scaler = Scaler.fit(values, observed, clipped=np.array([True, False]))
    least, most = np.quantile(values[:, 0], [0.005, 0.995])
    assert (scaler.low[0], scaler.high[0]) == (least - (most - least), most + (most - least))
    assert (scaler.low[1], scaler.high[1]) == (-np.inf, np.inf)
    clipped = np.clip(values[:, 0], scaler.low[0], scaler.high[0])
    assert scaler.mean[0] == pytest.approx(clipped.mean()) and scaler.deviation[0] == pytest.approx(clipped.std())
    assert scaler.deviation[0] < 0.06 < 1 < scaler.deviation[1]
    scaled = scaler.standardise(values)
    assert np.abs(scaled[:, 0]).max() < 9 and np.abs(np.delete(scaled[:, 0], [3, 700])).max() < 4.5
    # Nothing is far out where quantiles are one value, however rare the others are.
    rare = np.zeros((1000, 1))
    rare[:3] = 5.0
    assert Scaler.fit(rare, np.ones(rare.shape, dtype=bool), np.array([True])).standardise(rare).max() > 10


def test_what_is_clipped_is_a_tasks_affair():
    forecast = task(with_targets(lambda record: np.abs(record.values)), **REGRESSION)
    continued = replace(forecast, baseline="last value", carried=tuple(one.name for one in forecast.features))
    assert np.isfinite(forecast.input_scaler.low).any() and not np.isfinite(continued.input_scaler.low).any()


def long(steps: int, **changes) -> Task:
    """A task of one series of so many steps in each split, windows of 8 steps of which 3 are context."""
    made = numbered(recording(name, steps, seed=seed) for seed, name in enumerate(("train", "validation", "test")))
    splits = {one.name: [one] for one in made}
    return task(splits, **{"window": 8, "context": 3, "stride": 2} | changes)


@pytest.mark.parametrize("steps", [4, 8, 9, 30, 33])
def test_after_the_context_each_step_is_scored_once_with_enough_before_it(steps):
    test = long(steps).split("test")
    scored = test.rows[test.target_mask] - 2 * steps
    assert sorted(scored.tolist()) == list(range(3, steps))
    for window, known in zip(test.rows, test.target_mask, strict=True):
        assert not known[:3].any() and (np.diff(window[window >= 0]) == 1).all()
    # Training windows score as many, as often as their stride has it.
    train = long(steps).split("train")
    assert not train.target_mask[:, :3].any() and train.target_mask[:, 3:][train.rows[:, 3:] >= 0].all()


def test_targets_that_are_unknown_stay_so_after_the_context():
    known = np.arange(20) % 4 > 0
    one = recording("test", 20, first_row=99, target_mask=known)
    others = {split: [recording(split, 20, seed=1)] for split in ("train", "validation")}
    test = task(others | {"test": [one]}, window=8, context=3).split("test")
    assert sorted((test.rows[test.target_mask] - 99).tolist()) == [step for step in range(3, 20) if step % 4]
    assert np.array_equal(one.target_mask, np.arange(20) % 4 > 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"context": 8},
            "context must be from 1 to less than the window of a task with a target per step, or 0; got 8",
        ),
        ({"context": -1}, "context must be from 1 to less than the window"),
        ({"window": None, "stride": None}, "context must be from 1 to less than the window"),
        ({"stride": 6}, "stride must be at most the steps that a window scores, 5, so that none is skipped; got 6"),
        ({"leak": "windows overlap", "gap": 8}, "gap must be None where a leak is declared; got 8"),
    ],
)
def test_a_context_or_leak_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        long(20, **changes)


def test_a_recording_of_nothing_but_context_is_refused():
    with pytest.raises(ValueError, match="has 3 steps, none of them after the context of 3 that are not scored"):
        long(3).split("train")


def test_rows_in_two_splits_need_a_declared_leak():
    same = {split: [recording(split, 9)] for split in ("train", "validation", "test")}
    with pytest.raises(ValueError, match="9 raw rows are in both"):
        check(task(same))
    leaking = task(same, leak="All splits are the same.", warnings=("It is small.",))
    check(leaking)
    assert leaking.facts().warnings == ("All splits are the same.", "It is small.")


def test_statistics_do_not_depend_on_how_many_columns_are_done_at_a_time(monkeypatch):
    draw = np.random.default_rng(0)
    values, observed = draw.normal(size=(40, 7)) * 3 + 1, draw.random((40, 7)) < 0.8
    clipped = np.arange(7) % 2 == 0
    whole = Scaler.fit(values, observed, clipped)
    monkeypatch.setattr("liquidbench.tasks.task._BLOCK", 80)
    blocks = Scaler.fit(values, observed, clipped)
    for one, other in ((whole.mean, blocks.mean), (whole.deviation, blocks.deviation), (whole.low, blocks.low)):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    seen = [np.clip(values[observed[:, c], c], whole.low[c], whole.high[c]) for c in range(7)]
    assert whole.mean == pytest.approx([one.mean() for one in seen])
    assert whole.deviation == pytest.approx([one.std() for one in seen])


def test_many_sequences_are_assembled_as_one_at_a_time(monkeypatch):
    other = long(33, irregular=True).split("train")
    monkeypatch.setattr("liquidbench.tasks.task._BATCH", 40)
    one = long(33, irregular=True).split("train")
    for array in ("values", "timespans", "mask", "targets", "target_mask", "rows"):
        assert np.array_equal(getattr(one, array), getattr(other, array))
