"""Each condition beside what it should do, computed in another way: sequence by sequence, on absolute times."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_task import recording, three
from test_task import task as toy

from liquidbench import conditions, tasks
from liquidbench.conditions import CONDITIONS, CONTRASTS
from liquidbench.study import STEPS, Study, Training
from liquidbench.tasks import conditioned as transforms
from liquidbench.tasks import floors
from liquidbench.tasks.conditioned import conditioned
from liquidbench.tasks.task import SPLITS, Feature, Recording, Split, Task, check, numbered

DROPPING = [name for name, one in CONDITIONS.items() if one.drops]


def uneven(per: str = "step", missing: bool = False, seed: int = 0, **changes) -> Task:
    """A task with uneven time; some features, and some whole steps, are unobserved if asked."""
    random = np.random.default_rng(seed)

    def one(name: str, steps: int) -> Recording:
        mask = random.random((steps, 2)) < 0.6
        made = recording(name, steps, seed=int(random.integers(10**6)), mask=mask if missing else None)
        return made if per == "step" else replace(made, targets=int(random.integers(2)))

    split = {
        name: [one(f"{name} {number}", int(random.integers(2, 14))) for number in range(count)]
        for name, count in (("train", 8), ("validation", 3), ("test", 5))
    }
    rows = iter(numbered(record for name in SPLITS for record in split[name]))
    split = {name: [next(rows) for _ in split[name]] for name in SPLITS}
    shape = {"window": 5, "stride": 3} if per == "step" else {"window": None, "stride": None}
    return toy(split, irregular=True, missing=missing, per=per, **shape, **changes)


every_condition = pytest.mark.parametrize("name", CONDITIONS)
every_form = pytest.mark.parametrize(("per", "missing"), [(p, m) for p in ("step", "sequence") for m in (False, True)])


def present(split: Split, sequence: int) -> np.ndarray:
    return np.flatnonzero(split.mask[sequence].any(axis=1))


def steps_of(split: Split, sequence: int) -> dict[int, tuple]:
    """What is known of each step that is read, by its raw row: time since the start, values, target, whether scored."""
    found = {}
    elapsed = 0.0
    for step in present(split, sequence):
        elapsed += float(split.timespans[sequence, step])
        scored = bool(split.target_mask[sequence, step]) if split.target_mask.ndim == 2 else None
        target = int(split.targets[sequence, step]) if split.target_mask.ndim == 2 else None
        values = tuple(split.values[sequence, step, :2].tolist())
        found[int(split.rows[sequence, step])] = (elapsed, values, target, scored)
    return found


def test_every_condition_is_computed_and_every_contrast_is_of_conditions():
    assert set(transforms._TRANSFORMS) == set(CONDITIONS)
    assert {name for one in CONTRASTS for name in (one.told, one.withheld)} - {""} == set(CONDITIONS)


@every_condition
@every_form
def test_what_every_condition_keeps(name, per, missing):
    """Targets, sequences and groups; what is absent stays empty, values finite, types the same."""
    base = uneven(per, missing)
    changed = conditioned(base, name)
    for part in SPLITS:
        one, other = base.split(part), changed.split(part)
        assert len(one) == len(other) and one.recordings == other.recordings and one.groups == other.groups
        for field in fields(Split):
            before, after = getattr(one, field.name), getattr(other, field.name)
            assert type(before) is type(after) and getattr(before, "dtype", None) == getattr(after, "dtype", None)
        assert np.isfinite(other.values).all() and np.isfinite(other.timespans).all() and (other.timespans >= 0).all()
        there = other.mask.any(axis=2)
        assert not other.values[~other.mask].any() and not other.timespans[~there].any()
        assert not other.targets[~other.target_mask].any()
        assert (other.rows[there] >= 0).all()
        for sequence in range(len(one)):
            known, now = steps_of(one, sequence), steps_of(other, sequence)
            assert now.keys() <= known.keys() and list(now) == sorted(now)
            for row, (_, values, target, scored) in now.items():
                if scored:
                    assert known[row][2:] == (target, scored) and known[row][1] == values
        if per == "sequence":
            assert np.array_equal(one.targets, other.targets) and np.array_equal(one.target_mask, other.target_mask)
        if name in ("constant", "shuffled"):
            for unchanged in ("values", "mask", "targets", "target_mask", "rows"):
                assert np.array_equal(getattr(one, unchanged), getattr(other, unchanged))


@every_condition
@every_form
def test_a_conditioned_task_is_a_task(name, per, missing):
    base = uneven(per, missing)
    made = conditioned(base, name)
    check(made)
    assert made.name == f"toy@{name}" and made.title.startswith("Toy, ") and CONDITIONS[name].words in made.description
    assert made.constructed == frozenset(SPLITS) and base.constructed == frozenset()
    facts = made.facts()
    assert facts.digest == made.data_digest != base.data_digest and len(made.data_digest) == 64
    assert (CONDITIONS[name].words in facts.split_rule) == CONDITIONS[name].drops
    assert len(facts.features) == made.split("train").values.shape[2]
    assert np.isfinite(made.linear_score()) and np.isfinite(made.trivial_score())
    assert np.isfinite(floors.scores(made)["boosting"][0] or np.nan)


def test_digests_differ_between_conditions_and_versions(monkeypatch):
    base = uneven()
    digests = {conditioned(base, name).data_digest for name in CONDITIONS}
    monkeypatch.setitem(CONDITIONS, "constant", replace(CONDITIONS["constant"], version=2))
    assert CONDITIONS["constant"].key == "constant@2"
    assert len(digests | {base.data_digest, conditioned(base, "constant").data_digest}) == len(CONDITIONS) + 2


@every_form
def test_constant_spans_are_1_wherever_there_is_a_step(per, missing):
    found = conditioned(uneven(per, missing), "constant").split("test")
    for sequence in range(len(found)):
        expected = np.zeros(found.timespans.shape[1])
        expected[present(found, sequence)] = 1.0
        assert np.array_equal(found.timespans[sequence], expected)


@given(seed=st.integers(0, 1000), missing=st.booleans())
@settings(max_examples=20, deadline=None)
def test_shuffled_spans_are_the_same_in_another_order(seed, missing):
    base = uneven("sequence", missing, seed)
    one, other = base.split("train"), conditioned(base, "shuffled").split("train")
    assert not np.array_equal(one.timespans, other.timespans)
    for sequence in range(len(one)):
        steps = present(one, sequence)
        before, after = one.timespans[sequence, steps], other.timespans[sequence, steps]
        assert sorted(before[1:]) == sorted(after[1:]) and np.array_equal(before[:1], after[:1])


def test_every_order_of_shuffled_spans_is_equally_likely():
    """Of three spans there are six orders; over many sequences each comes about as often (chi-squared with 5 df)."""
    split = {name: [] for name in SPLITS}
    steps = iter(range(0, 10**6, 4))
    for name, count in (("train", 600), ("validation", 1), ("test", 1)):
        for number in range(count):
            made = recording(f"{name} {number}", 4, next(steps), number)
            split[name].append(replace(made, times=np.array([0.0, 1.0, 3.0, 6.0]), targets=0))
    task = toy(split, per="sequence", window=None, stride=None, irregular=True)
    found = conditioned(task, "shuffled").split("train").timespans
    assert (found[:, 0] == 1).all()
    orders = np.unique(found[:, 1:], axis=0, return_counts=True)[1]
    assert len(orders) == 6 and ((orders - 100) ** 2 / 100).sum() < 20.5  # p = 0.001


@pytest.mark.parametrize("name", DROPPING)
@every_form
def test_half_of_the_observed_steps_are_dropped(name, per, missing):
    base = uneven(per, missing)
    one, other = base.split("train"), conditioned(base, name).split("train")
    for sequence in range(len(one)):
        before = len(present(one, sequence))
        remain = sum(other.mask[sequence, :, :2].any(axis=1))
        assert remain == max(before - round(0.5 * before), min(before, 1))


@every_form
def test_the_three_drop_the_same_samples_and_score_the_same_targets(per, missing):
    base = uneven(per, missing)
    untold, span, mask = (conditioned(base, name).split("test") for name in DROPPING)
    plain = base.split("test")
    for sequence in range(len(plain)):
        kept = [row for row, *_ in _read(untold, sequence)]
        assert kept == [row for row, *_ in _read(span, sequence)] == [row for row, *_ in _read(mask, sequence)]
        before = {row: (values, step) for row, values, step in _read(plain, sequence)}
        for split in (untold, span, mask):
            assert all(values == before[row][0] for row, values, _ in _read(split, sequence))
        if per == "step":
            wanted = [row for row in kept if plain.target_mask[sequence, before[row][1]]]
            for split in (untold, span, mask):
                scored = split.rows[sequence][split.target_mask[sequence]].tolist()
                assert scored == wanted
                targets = split.targets[sequence][split.target_mask[sequence]].tolist()
                assert targets == [plain.targets[sequence, before[row][1]] for row in wanted]
    everything = [split.targets[split.target_mask].tolist() for split in (untold, span, mask)]
    assert everything[0] == everything[1] == everything[2]


def _read(split: Split, sequence: int) -> list[tuple[int, tuple, int]]:
    """Rows, values and places of the steps of which something is observed, the mark apart."""
    steps = np.flatnonzero(split.mask[sequence, :, :2].any(axis=1))
    return [(int(split.rows[sequence, s]), tuple(split.values[sequence, s, :2].tolist()), int(s)) for s in steps]


@every_form
def test_told_spans_are_the_times_between_the_samples_that_remain(per, missing):
    base = uneven(per, missing)
    plain, span, untold = base.split("test"), *(conditioned(base, f"dropped-{told}").split("test") for told in _TOLD)
    for sequence in range(len(plain)):
        known, now = steps_of(plain, sequence), steps_of(span, sequence)
        assert [now[row][0] for row in now] == pytest.approx([known[row][0] for row in now], rel=1e-5)
        steps = present(untold, sequence)
        # Nothing says where something is gone: steps follow each other at spans of 1, and then there is padding.
        assert steps.tolist() == list(range(len(steps))) and (untold.timespans[sequence, steps] == 1).all()
        assert (untold.rows[sequence, len(steps) :] == -1).all()
    assert span.values.shape[1] == max(len(present(span, sequence)) for sequence in range(len(span)))


_TOLD = ("span", "untold")


@every_form
def test_marked_steps_stay_where_they_are(per, missing):
    base = uneven(per, missing)
    changed = conditioned(base, "dropped-span-mask")
    plain, marked = base.split("test"), changed.split("test")
    assert changed.features[2] == Feature("observed", "1") and marked.values.shape[2] == 3
    assert np.array_equal(marked.rows, plain.rows) and np.array_equal(marked.timespans, plain.timespans)
    there = plain.mask.any(axis=2)
    assert np.array_equal(marked.mask.any(axis=2), there)
    gone = there & ~marked.mask[:, :, :2].any(axis=2)
    # Standardised as a column of ones would be: 0 is observed, -1 is not.
    assert np.array_equal(marked.values[:, :, 2], -gone.astype(np.float32))


def test_the_time_ahead_is_told_at_dropped_steps_too():
    split = {
        name: [replace(one, target_times=one.times + 1 + np.arange(len(one)) % 3) for one in of]
        for name, of in three().items()
    }
    features = (Feature("a", "m"), Feature("b", "1"), Feature("time ahead", "s"))
    base = toy(split, features=features, time_ahead=True, irregular=True)
    changed = conditioned(base, "dropped-span-mask")
    assert [one.name for one in changed.features] == ["a", "b", "observed", "time ahead"]
    plain, marked = base.split("test"), changed.split("test")
    assert np.array_equal(marked.values[:, :, 3], plain.values[:, :, 2])
    assert np.array_equal(marked.mask[:, :, 3], plain.mask[:, :, 2]) and marked.time_ahead


def test_draws_depend_on_the_data_and_the_sequence_alone():
    """Not on the other sequences, the split or the order: a recording is thinned alike wherever it stands."""
    base = uneven("sequence")
    assert base.dealt is None
    moved = {"train": base.recordings("test"), "validation": base.recordings("validation")}
    turned = replace(base, recordings=(moved | {"test": base.recordings("train")[::-1]}).__getitem__)
    one, other = (conditioned(task, "dropped-span") for task in (base, turned))
    rows = {row[0]: row[row >= 0].tolist() for row in one.split("train").rows}
    assert {row[0]: row[row >= 0].tolist() for row in other.split("test").rows} == rows
    unlike = conditioned(replace(base, data_digest="1" * 64), "dropped-span").split("train").rows
    assert {row[0]: row[row >= 0].tolist() for row in unlike} != rows


def test_folds_are_those_of_the_task():
    deals = {0: three(), 1: {"train": three()["test"], "validation": three()["validation"], "test": three()["train"]}}
    base = toy(deals[0], folds=2, fold_rule="two", dealt=lambda fold: deals[fold].__getitem__)
    made = conditioned(base, "dropped-span")
    assert made.folds == 2 and made.with_fold(1).split("test").recordings[0] == "train"
    assert made.with_fold(1).split("test").mask.sum() < base.with_fold(1).split("test").mask.sum()


def test_new_rows_are_changed_as_well():
    base = uneven("sequence")
    made = conditioned(base, "constant")
    assert (made.assemble(base.recordings("test"), "new").timespans <= 1).all()


@pytest.mark.parametrize("name", ["constant", "shuffled"])
def test_even_spans_cannot_be_withheld(name):
    even = {
        part: [replace(one, times=np.arange(len(one)) * 60 + np.arange(len(one)) % 2) for one in of]
        for part, of in three().items()
    }
    expected = f"task 'toy@{name}': all spans of toy are equal, within 10 % of their median, so {name} spans say"
    with pytest.raises(ValueError, match=expected) as refused:
        conditioned(toy(even), name)
    assert all(other in str(refused.value) for other in DROPPING)
    # One gap is something to tell.
    even["train"][0].times[9:] += 60
    assert conditioned(toy(even), name).name == f"toy@{name}"


def test_what_has_no_condition_says_why():
    with pytest.raises(ValueError, match="toy@constant has a condition already"):
        conditioned(conditioned(uneven(), "constant"), "shuffled")
    with pytest.raises(ValueError, match="must be one of constant, shuffled, dropped-untold, .*; got 'slow'"):
        conditioned(uneven(), "slow")
    names = (Feature("observed", "1"), Feature("b", "1"))
    with pytest.raises(ValueError, match="toy has a feature 'observed' already"):
        conditioned(uneven(features=names), "dropped-span-mask")


def test_tasks_are_loaded_by_name():
    made = tasks.load("occupancy-excerpt@dropped-span")
    assert made.name == "occupancy-excerpt@dropped-span" and made.split("test").values.shape[1] == 16
    with pytest.raises(ValueError, match="occupancy-excerpt@shuffled': all spans of occupancy-excerpt are equal"):
        tasks.load("occupancy-excerpt@shuffled")
    with pytest.raises(ValueError, match="a condition must be one of constant, .*; got 'constan'"):
        tasks.load("gesture-excerpt@constan")
    with pytest.raises(ValueError, match="task must be one of occupancy, .*; got 'ocupancy'; did you mean 'occupancy'"):
        tasks.load("ocupancy@constant")
    ahead = tasks.load("gesture-excerpt-3-ahead@shuffled")
    assert ahead.name == "gesture-excerpt-3-ahead@shuffled" and ahead.time_ahead


def test_names_come_apart():
    assert conditions.parted(conditions.named("a@b", "constant")) == ("a@b", "constant")
    assert conditions.parted("@constant") == ("@constant", "") and conditions.named("a", "") == "a"


def study(names, **changes):
    return Study.parse({"name": "s", "tasks": names, "models": ["GRU"], **changes})


def test_studies_have_the_base_task_of_each_condition_and_its_steps():
    names = ["gesture", "gesture@constant", "gesture@shuffled"]
    made = study(names, training={"steps": {"gesture": 70, "gesture@shuffled": 90}})
    assert [made.training.on(name).steps for name in names] == [70, 70, 90]
    assert Training().on("gesture@constant").steps == STEPS["gesture"]
    assert study(names).to_yaml() == Study.parse(_read_yaml(study(names).to_yaml())).to_yaml()
    with pytest.raises(ValueError, match=r"tasks\[0\] is 'gesture' under a condition, and 'gesture' must be there too"):
        study(["gesture@constant"])
    table = {"table": "t.csv", "target": "y", "name": "gesture@constant"}
    with pytest.raises(ValueError, match=r"tasks\[1\] must have another name than 'gesture@constant'"):
        study(["gesture", table])


def _read_yaml(text):
    import yaml

    return yaml.safe_load(text)


@pytest.mark.parametrize("name", ["dropped-untold", "dropped-span"])
def test_environments_of_steps_stay_with_their_steps(name):
    split = uneven().split("train")
    # The number of the row serves as the environment of each step.
    split = replace(split, environments=split.rows.astype(np.int64))
    draws = np.random.default_rng(0).random(split.rows.shape)
    found = transforms._TRANSFORMS[name](split, draws)
    assert found.environments is not None and found.environments.shape == found.rows.shape != split.rows.shape
    assert np.array_equal(found.environments[found.rows >= 0], found.rows[found.rows >= 0])
