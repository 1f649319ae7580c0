"""Who belongs together: which columns become the key, and that no split parts what they hold together."""

import itertools

import numpy as np
import polars as pl
import pytest

from liquidbench.tasks import groups, table
from liquidbench.tasks.task import SPLITS, check


def visits(subjects=8, sessions=3, rows=20, restart=True, nested=False, seed=0, **columns):
    """Subjects in sessions whose times restart, or go on; sessions numbered within subjects, or through all."""
    draws = np.random.default_rng(seed)
    subject, session, row = (
        part.ravel() for part in np.meshgrid(*map(np.arange, (subjects, sessions, rows)), indexing="ij")
    )
    content = {
        "subject": [f"s{number:02d}" for number in subject],
        "session": subject * sessions + session if nested else session + 1,
        "t": row if restart else row + rows * session,
        "x": draws.normal(size=len(row)),
        "y": draws.normal(size=len(row)),
    }
    return pl.DataFrame(content | columns, strict=False)


@pytest.fixture
def guess(tmp_path):
    def complete(frame, target="y", **asked):
        path = tmp_path / "mine.csv"
        frame.write_csv(path)
        return table.complete({"table": str(path), "target": target, **asked})

    return complete


def subjects_of(task, split):
    return {recording.group for recording in task.recordings(split)}


def assert_whole(mapping, count):
    """No group is in two parts, in any outer split, and each is in test once."""
    task, tested = table.load(mapping), []
    for fold in range(task.folds):
        here = task.with_fold(fold)
        check(here)
        parts = [subjects_of(here, split) for split in SPLITS]
        assert all(not one & other for one, other in itertools.combinations(parts, 2))
        assert [set(here.split(split).groups) for split in SPLITS] == parts
        assert set.union(*parts) <= {recording.group for split in SPLITS for recording in task.recordings(split)}
        tested += parts[2]
    assert len(set(tested)) == count
    assert len(tested) == count or task.per == "sequence", (
        "of each class a group, though there are fewer than outer splits"
    )
    return task


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("time", ["t", "date", None])
def test_subjects_are_split_and_sessions_are_sequences(guess, nested, time):
    frame = visits(nested=nested)
    if time == "date":
        frame = frame.with_columns(t="2024-03-01 10:" + pl.col("t").cast(str).str.zfill(2)).rename({"t": "when"})
    elif time is None:
        frame = frame.drop("t")
    mapping, lines = guess(frame)
    assert mapping["group"] == ["subject", "session"] and mapping["features"] == ["x"]
    assert [line for line in lines if line.startswith("warning")] and "session" in lines[-1]
    task = assert_whole(mapping, 8)
    assert [len(task.recordings(split)) for split in SPLITS] == [12, 6, 6]
    assert all(
        len(recording) == 20 and recording.name.startswith(f"{recording.group} / ")
        for recording in task.recordings("test")
    )
    assert table.complete(mapping)[0] == mapping


def test_the_rule_of_the_split_names_both(guess):
    _, lines = guess(visits(nested=True))
    (rule,) = [line for line in lines if line.startswith("split")]
    assert rule == (
        "split: By group: each value of 'subject' is in one split only, drawn by a checksum of its name (train 4, "
        "validation 2, test 2; recordings told apart by 'session': train 12, validation 6, test 6)."
    )
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert warning == (
        "warning: each of 'session' belongs to one of 'subject' (8 values), so the split is by 'subject' and the "
        "sequences by 'session'; --group session splits by 'session', and parts then share values of 'subject'"
    )


def test_a_group_of_its_own_wish_that_parts_what_belongs_together_is_warned_of(guess):
    mapping, lines = guess(visits(nested=True), group="session")
    assert mapping["group"] == "session" and "subject" not in mapping["features"]
    assert (
        "warning: each value of 'session' belongs to one of 'subject', so that parts share values of 'subject'; "
        "--group subject,session keeps them apart"
    ) in lines
    mapping, lines = guess(visits(nested=True), group=["subject", "session"])
    assert not [line for line in lines if line.startswith("warning")]
    assert_whole(mapping, 8)


def test_the_order_of_asked_columns_says_what_is_split(guess):
    frame = visits()
    by_subject, _ = guess(frame, group=["subject", "session"])
    assert_whole(by_subject, 8)
    by_session, _ = guess(frame, group=["session", "subject"])
    assert by_session["group"] == ["session", "subject"]
    task = assert_whole(by_session, 3)
    assert {recording.name for recording in task.recordings("test")} == {
        f"{recording.group} / s{number:02d}" for recording in task.recordings("test")[:1] for number in range(8)
    }


def test_one_asked_column_in_which_times_repeat_is_refused_with_the_way_out(guess):
    with pytest.raises(
        ValueError,
        match=r"repeat the time of another row within a group of column 'subject'.*'subject,session' would do",
    ):
        guess(visits(), group="subject")


def test_pairs_that_are_not_named_like_identifiers_are_proposed(guess):
    frame = visits().rename({"subject": "who", "session": "round"})
    with pytest.raises(ValueError, match=r"with --group \('who,round' would do\), or several \(--group A,B\)"):
        guess(frame)
    assert_whole(guess(frame, group=["who", "round"])[0], 8)


@pytest.mark.parametrize(
    "names", [("site", "patient"), ("machine", "run"), ("user_id", "trial"), ("Device", "Recording")]
)
def test_the_coarsest_identifier_with_enough_values_is_the_group(guess, names):
    coarse, fine = names
    frame = visits(4, 3, nested=True).rename({"subject": coarse, "session": fine})
    mapping, _ = guess(frame)
    assert mapping["group"] == [coarse, fine]
    assert_whole(mapping, 4)


def test_an_identifier_with_too_few_values_to_split_is_named(guess):
    mapping, lines = guess(visits(2, 6, nested=True))
    assert mapping["group"] == "session" and "subject" not in mapping["features"]
    assert (
        "warning: 'subject' has 2 values, too few to split by; what belongs to one of them is in several parts, by "
        "'session'"
    ) in lines


def test_a_coarse_identifier_that_tells_the_class_is_no_unit_of_a_split(guess):
    # Three arms of a study, one class each: no part could hold two classes.
    arm = np.repeat(["a", "b", "c"], 4 * 20)
    frame = visits(12, 1, ill=arm, group=arm).drop("session")
    mapping, _ = guess(frame, "ill", features=["x"])
    assert mapping["group"] == "subject" and mapping["per"] == "sequence"
    assert_whole(mapping, 12)


def test_identifiers_are_no_features_unless_asked_for(guess):
    subject = np.repeat(np.arange(8), 60)
    frame = visits(
        8, 1, 60, serial=[f"SN{700 + 13 * s}" for s in subject], badge=1000 + 37 * subject, weight=60.5 + subject
    )
    frame = frame.drop("session").with_columns(clinic_id=pl.Series(subject // 4))
    mapping, lines = guess(frame)
    assert mapping["group"] == "subject" and set(mapping["features"]) == {"x", "weight"}
    (out,) = [line for line in lines if line.startswith("left out")]
    assert "'serial' has one value for each of 'subject', and so only names them (--features asks for it)" in out
    assert "'badge' has one value" in out and "'clinic_id' is an identifier" in out
    assert guess(frame, features=["x", "serial", "badge"])[0]["features"] == ["x", "serial", "badge"]


def test_sessions_with_a_label_each(guess):
    frame = visits(nested=True)
    label = pl.when(pl.col("session") * 7 % 3 == 0).then(pl.lit("up")).otherwise(pl.lit("down"))
    frame = frame.with_columns(label=label)
    mapping, _ = guess(frame, "label")
    assert mapping["per"] == "sequence" and mapping["group"] == ["subject", "session"]
    task = assert_whole(mapping, 8)
    of = dict(frame.select(pl.col("subject") + " / " + pl.col("session").cast(str), "label").unique().iter_rows())
    for split in SPLITS:
        assert [task.classes[recording.targets] for recording in task.recordings(split)] == [
            of[recording.name] for recording in task.recordings(split)
        ]


def test_a_group_keeps_its_part_when_sessions_are_added(guess):
    few = table.load(guess(visits(sessions=2), group=["subject", "session"])[0])
    parts = {name: subjects_of(few, name) for name in SPLITS}
    many = table.load(guess(visits(sessions=4), group=["subject", "session"])[0])
    assert {name: subjects_of(many, name) for name in SPLITS} == parts


@pytest.mark.parametrize("name", ["hour", "HH", "minute", "month", "day", "year", "doy", "Day of year"])
def test_parts_of_a_time_are_no_candidates(name):
    frame = pl.DataFrame({"t": np.repeat(np.arange(40), 12), name: np.tile(np.arange(12), 40), "y": np.arange(480.0)})
    assert groups.candidates(frame, "y", "t") == []
    assert groups.candidates(frame.rename({name: "who"}), "y", "t") == ["who"]


@pytest.mark.parametrize("seed", range(8))
def test_codes_are_those_of_the_rows_in_order(seed):
    draws = np.random.default_rng(seed)
    frame = pl.DataFrame({"a": draws.integers(3, size=50), "b": [str(n) for n in draws.integers(4, size=50)]})
    for key in (("a",), ("b",), ("a", "b"), ("b", "a")):
        seen = {}
        expected = [seen.setdefault(row, len(seen)) for row in frame.select(key).iter_rows()]
        assert groups.codes(frame, key).tolist() == expected
    assert groups.codes(frame, ()).tolist() == [0] * 50


def test_a_nested_identifier_is_seen_whatever_the_order_of_rows_and_columns(guess):
    frame = visits(nested=True).with_columns(t="2024-03-01 10:" + pl.col("t").cast(str).str.zfill(2))
    frame = frame.sample(fraction=1, shuffle=True, seed=3).select("y", "session", "t", "x", "subject")
    mapping, _ = guess(frame)
    assert mapping["group"] == ["subject", "session"]
    assert_whole(mapping, 8)
