"""Who belongs together: which columns become the key, and that no split parts what they hold together."""

import itertools
import re
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from variants import some

from liquidbench.tasks import groups, hidden_groups, table, words
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


@pytest.mark.sampled(2)
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
        "warning: each 'session' belongs to one 'subject': rows of one 'subject' are in training and in test; "
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


def panel(frame_of, groups=8, rows=30):
    """Rows of groups, one after another; `frame_of` gives the columns but `x` and `y` by group and row."""
    draws = np.random.default_rng(1)
    group, row = np.repeat(np.arange(groups), rows), np.tile(np.arange(rows), groups)
    content = {"x": draws.normal(size=len(row)), "y": draws.normal(size=len(row))}
    return pl.DataFrame(frame_of(group, row) | content, strict=False)


def warnings_of(lines):
    return [line for line in lines if line.startswith("warning: ")]


@pytest.mark.parametrize("name", ["user", "stay_id"])
def test_groups_recorded_one_after_another_are_no_copy_of_the_time(guess, name):
    # Numbered in the order in which they came, they go up with time.
    frame = panel(lambda group, row: {name: group, "t": 1000 * group + row})
    mapping, lines = guess(frame)
    assert (mapping["time"], mapping["group"], mapping["features"]) == ("t", name, ["x"])
    assert "spans: even, 1 units of 't'" in lines
    assert_whole(mapping, 8)


def test_an_unnamed_copy_of_the_time_is_left_out_though_it_lacks_a_cell(guess):
    frame = panel(lambda group, row: {"t": 60.0 * np.arange(len(row)), "decimal": np.arange(len(row)) / 525600})
    frame = frame.with_columns(decimal=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("decimal"))
    mapping, lines = guess(frame)
    assert mapping["features"] == ["x"] and "left out: 'decimal' says the same as the time, 't'" in lines


@pytest.mark.parametrize("written", [".0", "", "e0"])
@pytest.mark.parametrize("time", ["t", None])
def test_whole_numbers_with_decimals_name_groups(guess, written, time):
    frame = panel(lambda group, row: {"subject": [f"{number}{written}" for number in group], "t": row})
    mapping, _ = guess(frame if time else frame.drop("t"))
    assert (mapping["group"], mapping["features"]) == ("subject", ["x"])
    assert_whole(mapping, 8)


@pytest.mark.parametrize("cell", ["", "NA"])
@pytest.mark.parametrize("time", ["t", None])
@pytest.mark.parametrize("numbers", [True, False])
def test_an_identifier_that_lacks_a_cell_is_asked_for_and_no_other_is_taken(guess, cell, time, numbers):
    def columns(group, row):
        names = [str(number) if numbers else f"s{number}" for number in group]
        names[70] = cell
        # Distinct at each time, but a measurement.
        return {"subject": names, "t": row, "pulse": 60 + (row * 7 + group) % 31}

    frame = panel(columns)
    with pytest.raises(ValueError, match=r"group column 'subject' is missing in 1 row, the first of them line 72"):
        guess(frame if time else frame.drop("t"))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["Settlement Period", "INTERVAL_NUM", "slot", "shift"])
def test_what_comes_again_each_day_is_asked_for(guess, name):
    frame = panel(
        lambda group, row: {
            "date": [f"2024-03-{1 + place // 12:02d}" for place in range(len(row))],
            name: [f"{place % 12 + 1}" for place in range(len(row))],
        }
    )
    with pytest.raises(ValueError, match=f"as '{name}' may be a part of it, join them into one"):
        guess(frame)
    assert guess(frame, group=name)[0]["group"] == name


@pytest.mark.parametrize(("date", "hour"), [("Datum", "Stunde"), ("Fecha", "Hora"), ("Date", "HE"), ("data", "ora")])
def test_an_hour_in_another_language_is_joined_with_its_date(guess, date, hour):
    frame = panel(
        lambda group, row: {
            date: [f"{1 + place // 24:02d}.03.2024" for place in range(len(row))],
            hour: [place % 24 + 1 for place in range(len(row))],
        }
    )
    mapping, lines = guess(frame)
    assert (mapping["group"], mapping["features"]) == (None, ["x"])
    assert "spans: even, 1 h" in lines


def test_columns_that_differ_where_an_hour_comes_twice_are_no_groups(guess):
    def columns(group, row):
        hours = np.arange(len(row))
        hours[60:] -= 1
        when = np.datetime64("2023-10-28T00:00:00") + hours * np.timedelta64(1, "h")
        return {"when": when.astype("datetime64[us]"), "wind": ["NESW"[3 * place % 4] for place in range(len(row))]}

    mapping, lines = guess(panel(columns))
    assert mapping["group"] is None and mapping["features"] == ["wind", "x"]
    assert [line for line in lines if line.startswith("warning: 1 row dropped that repeat the time")]


def test_a_measurement_taken_once_of_each_is_no_identifier(guess):
    def columns(group, row):
        creatinine = [80 + 3 * number if place == 4 else None for number, place in zip(group, row, strict=True)]
        return {"patient": group, "t": row, "creatinine": creatinine}

    assert guess(panel(columns))[0]["features"] == ["creatinine", "x"]


def test_another_name_of_each_group_is_no_feature_though_it_lacks_a_cell(guess):
    def columns(group, row):
        serial = [f"SN{number * 77}" for number in group]
        serial[50] = ""
        return {"machine": group, "serial": serial, "t": row}

    assert guess(panel(columns))[0]["features"] == ["x"]


def test_signs_and_marks_between_figures_are_no_other_way_to_write_a_name():
    values = ["A-", "A", "A+", "Day -1", "Day 1", "1-2", "12", "-3", "3", "t 1-1", "t 11"]
    assert groups.twins(pl.Series(values)) == []


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (("%d", "%d.0"), "'0' and '0.0'"),
        (("P%d", "p%d"), "'P0' and 'p0'"),
        (("site %d", "site  %d"), "'site 0' and 'site  0'"),
        (("%d", "%03d"), "'0' and '000'"),
        (("Valve %d", "Valve%d"), "'Valve 0' and 'Valve0'"),
        (("fan-%d", "fan_%d"), "'fan-0' and 'fan_0'"),
        (("%d-North", "%d north"), "'0-North' and '0 north'"),
    ],
)
def test_groups_that_may_be_one_under_two_names_are_warned_of(guess, names, twins):
    def columns(group, row):
        return {"subject": [names[place % 2] % number for number, place in zip(group, row, strict=True)], "t": row}

    _, lines = guess(panel(columns))
    (warning,) = warnings_of(lines)
    assert warning.startswith(f"warning: {twins} in 'subject' and 7 more pairs count as different")


@pytest.mark.parametrize("name", ["s%d", "P%dp", "%d", "00%d", "A %d"])
def test_groups_of_other_names_are_not(guess, name):
    _, lines = guess(panel(lambda group, row: {"subject": [name % number for number in group], "t": row}))
    assert not warnings_of(lines)


def test_a_word_among_numbers_of_groups_is_warned_of(guess):
    def columns(group, row):
        names = [str(number) for number in group]
        names[70] = "error"
        return {"subject": names, "t": row}

    _, lines = guess(panel(columns))
    (warning,) = warnings_of(lines)
    assert warning.startswith("warning: 'error' in line 72 counts as a value of 'subject', whose others are numbers")
    assert "--missing subject=error" in warning


def test_a_guess_that_is_refused_says_how_to_do_without(guess):
    frame = panel(
        lambda group, row: {"machine": ["ab"[number % 2] for number in group // 4], "t": row % 30 + 30 * (group % 4)},
        groups=8,
    )
    with pytest.raises(ValueError, match="holds 2 groups.*Take a table of one group, which is split in time$"):
        guess(frame)


@pytest.mark.parametrize("name", some("id", "Record ID", slow=["transaction_id", "visitId", "row-uuid"]))
@pytest.mark.parametrize("group", ["subject", None])
def test_what_is_named_an_identifier_is_no_feature(guess, name, group):
    def columns(group, row):
        names = [f"s{number}" for number in group]
        return {"subject": names, name: (np.arange(len(row)) * 7919) % 1009, "t": row}

    frame = panel(columns)
    mapping, lines = guess(frame if group else frame.drop("subject", "t"))
    assert (mapping["group"], mapping["features"]) == (group, ["x"])
    assert any(line.startswith(f"left out: {name!r} is named like an identifier") for line in lines)
    asked, _ = guess(frame, features=[name, "x"])
    assert asked["features"] == [name, "x"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Kundennummer",
            "Kundennr",
            "KundenNr",
            "patientnummer",
            "Maschinennr",
            "Mitarbeiter",
            "Konto",
            "Auftragsnr.",
        ),
        *("Artikelnummer", "Kostenstelle", "order_no", "cost_center", "CustomerNo", "Invoice number", "Profit Centre"),
    ],
)
def test_numbers_that_were_given_out_are_no_features(guess, name):
    draws = np.random.default_rng(0)
    values = {name: 70_000 + 13 * draws.integers(0, 20, 300), "t": np.arange(300)}
    mapping, _ = guess(pl.DataFrame(values | {"x": draws.normal(size=300), "y": draws.normal(size=300)}))
    assert words.is_named(name) and mapping["features"] == ["x"]


@pytest.mark.parametrize("name", ["node", "device", "Knoten"])
@pytest.mark.parametrize("value", ["n%d", "%d"])
def test_identifiers_that_take_turns_are_warned_of(guess, name, value):
    draws = np.random.default_rng(0)
    values = {name: [value % (1 + row % 4) for row in range(400)], "t": np.arange(400)}
    _, said = guess(pl.DataFrame(values | {"x": draws.normal(size=400), "y": draws.normal(size=400)}))
    assert any(f"--group {name} keeps them apart" in line for line in said)


@pytest.mark.parametrize(
    "name",
    ["cycle number", "Zyklusnummer", "Schritt-Nr", "octane_number", "Reynolds number", "Nr", "no", "piano", "KW-Nr"],
)
def test_numbers_that_count_or_measure_may_be_features(name):
    assert not words.is_id(name)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "key",
    [
        *some(("site", "subject"), ("subject", "trial"), slow=[("site", "patient"), ("participant", "run")]),
        *some(slow=[("driver", "trip"), ("subject", "session"), ("plant", "machine")]),
    ],
)
@pytest.mark.parametrize("shuffled", [False, True])
def test_numbers_that_begin_again_within_another_are_of_the_key_though_times_go_on(guess, key, shuffled):
    frame = visits(restart=False).rename({"subject": key[0], "session": key[1]})
    when = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(frame.height)]
    frame = frame.with_columns(t=pl.Series(when))
    mapping, said = guess(frame.sample(fraction=1, shuffle=True, seed=0) if shuffled else frame)
    assert mapping["group"] == list(key) and mapping["features"] == ["x"]
    assert any("--group" in line and repr(key[1]) in line for line in said)


@pytest.mark.parametrize("name", ["humid", "acid", "grid", "Covid", "idle", "ids"])
def test_a_word_that_ends_alike_is_one(guess, name):
    frame = panel(lambda group, row: {name: (np.arange(len(row)) * 7919) % 1009 + 0.5, "t": np.arange(len(row))})
    assert guess(frame)[0]["features"] == [name, "x"]


@pytest.mark.parametrize("name", ["user", "Patient-ID", "client-no"])
def test_groups_at_other_times_are_found_in_a_shuffled_table(guess, name):
    frame = panel(lambda group, row: {name: [f"s{number}" for number in group], "time": 1000 * group + row})
    mapping, _ = guess(frame.sample(fraction=1.0, shuffle=True, seed=3))
    assert (mapping["group"], mapping["features"]) == (name, ["x"])
    assert_whole(mapping, 8)


def restarting(runs=5, rows=40, seed=3):
    draws = np.random.default_rng(seed)
    times = draws.exponential(size=(runs, rows)).cumsum(axis=1).round(9).ravel()
    return {
        "time": times,
        "part": np.repeat([f"p{run}" for run in range(runs)], rows),
        "x": draws.normal(size=runs * rows),
    }


def test_times_that_begin_again_are_not_sorted_into_one_another(guess):
    frame = pl.DataFrame(restarting()).with_columns(y=pl.col("x") * 2 + 1 / (1 + pl.col("time")))
    words = r"the time goes back 4 times \(first in line 42\).*--group \('part' would do\), or add one.*say --no-group"
    with pytest.raises(ValueError, match=words):
        guess(frame)
    with pytest.raises(ValueError, match="with --group, or add one"):
        guess(frame.drop("part"))
    assert guess(frame, group="part")[0]["group"] == "part"
    whole = pl.concat([frame.with_columns(site=pl.lit(f"s{site}")) for site in range(4)])
    for rows, asked, times in ((frame, None, 4), (whole, "site", 16)):
        _, lines = guess(rows.with_columns(pl.col("time") + pl.int_range(rows.height) * 1e-7), group=asked)
        begins = f"warning: the time goes back {times} times"
        assert any(line.startswith(begins) and line.endswith("sorted by time, their rows are mixed") for line in lines)


def nested_visits(outer, values, inner="patient", each=5):
    """Visits of patients, of whom several share each value of a column."""
    rows = [(value, f"{value}-{one}", 2010 + year) for value in values for one in range(each) for year in range(8)]
    draws = np.random.default_rng(3).normal(size=(2, len(rows)))
    return pl.DataFrame(rows, [outer, inner, "year"], orient="row").with_columns(x=draws[0], y=draws[1])


@pytest.mark.parametrize(
    "outer", some("hospital", "nobody knows", slow=["classroom", "ward", "farm", "cage", "Betrieb", "plot"])
)
@pytest.mark.parametrize("values", [["A", "B", "C", "D"], [1, 2, 3, 4]])
def test_what_holds_several_groups_is_warned_of_under_any_name(outer, values, guess):
    mapping, lines = guess(nested_visits(outer, values))
    option = f"'{outer},patient'" if " " in outer else f"{outer},patient"
    assert mapping["group"] == "patient"
    assert [line for line in lines if line.startswith("warning")] == [
        f"warning: each 'patient' belongs to one '{outer}': rows of one '{outer}' are in training and in test; --group "
        f"{option} keeps them apart"
    ]
    assert not [
        line for line in guess(nested_visits(outer, values), group=[outer, "patient"])[1] if "keeps them apart" in line
    ]


@pytest.mark.parametrize(
    ("outer", "values"),
    [
        ("sex", ["f", "m"]), ("wing", ["east", "west"]), ("diagnosis", ["A", "B", "C"]), ("treatment_arm", [0, 1, 2]),
        ("set", ["train", "validation", "test"]), ("dose", [10, 20, 50]), ("model", ["X1", "X2", "Y1"]),
        ("height", [151, 172, 180, 190]),
    ],
)  # fmt: skip
def test_what_is_known_of_a_group_holds_no_groups(outer, values, guess):
    assert not [line for line in guess(nested_visits(outer, values))[1] if "keeps them apart" in line]


def test_two_levels_above_a_group_are_one_warning(guess):
    frame = nested_visits("school", "ABCD", "student")
    room = pl.col("school") + (pl.col("student").str.slice(2).cast(pl.Int64) % 2).cast(pl.String)
    (warning,) = [line for line in guess(frame.with_columns(classroom=room))[1] if "keeps them apart" in line]
    assert "each 'student' belongs to one 'school' and one 'classroom': rows of one 'school' are" in warning


def test_pieces_of_one_log_in_another_order_and_late_rows_are_sorted(guess):
    times = np.arange(240) * 0.5
    frame = pl.DataFrame({"time": times, "x": np.sin(times), "y": np.cos(times * 3) + 1})
    pieces = pl.concat([frame[80:160], frame[160:], frame[:80]])
    late = frame[[*range(100), 103, 100, 101, 102, *range(104, 240)]]
    for mixed in (pieces, late, pl.concat([frame, frame])):
        assert any(line.startswith("order: rows were not in time order") for line in guess(mixed)[1])


def of_time(name, times):
    draws = np.random.default_rng(4).normal(size=(2, len(times)))
    return pl.DataFrame({name: times, "x": draws[0], "y": draws[1]}, strict=False)


@pytest.mark.parametrize(
    "times", [[*range(500, 700), *range(200)], [*np.arange(0, 90, 0.5), *np.arange(0.25, 30, 0.5)]]
)
def test_times_that_begin_again_once_are_warned_of(times, guess):
    frame = of_time("uptime_s", times)
    line = int(np.argmax(np.diff(times) < 0)) + 3
    (warning,) = [line for line in guess(frame)[1] if line.startswith("warning: the time")]
    assert warning.startswith(f"warning: the time begins again in line {line}, and rows are sorted by it")
    late = frame.sort("uptime_s")[[*range(100), 103, 100, 101, 102, *range(104, 200)]]
    assert not [line for line in guess(late)[1] if "begins again" in line]
    days = frame.with_columns(pl.from_epoch(pl.col("uptime_s").cast(pl.Int64), time_unit="d")).unique("uptime_s")
    assert not [line for line in guess(days)[1] if "begins again" in line]


@pytest.mark.parametrize(("back", "every"), [(7, 1), (45, 10)])
def test_a_clock_that_is_set_back_is_warned_of(back, every, guess):
    rows = np.arange(400)
    times = every * rows - np.where(rows >= 150, back + 0.5, 0)
    frame = of_time("uptime_s", times)
    (warning,) = [line for line in guess(frame)[1] if line.startswith("warning: the time")]
    assert warning.startswith(
        f"warning: the time goes back by {back + 0.5 - every:g} in line 152 and on from there, so"
    )
    dates = frame.with_columns(pl.from_epoch((pl.col("uptime_s") * 1000).cast(pl.Int64), time_unit="ms"))
    (warning,) = [line for line in guess(dates)[1] if line.startswith("warning: the time")]
    assert warning.startswith(f"warning: the time goes back by {back + 0.5 - every:g} s in line 152")
    # Rows in no order at all are sorted.
    shuffled = frame.sort("uptime_s").sample(fraction=1, shuffle=True, seed=1)
    assert not [line for line in guess(shuffled)[1] if "goes back by" in line]


def test_a_counter_that_begins_again_goes_on_with_a_warning(guess):
    mapping, lines = guess(of_time("time_s", (80_000 + 60 * np.arange(400)) % 86_400))
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert warning.startswith("warning: 'time_s' begins again in line 109, where a counter up to 86400 would, and is")
    assert {
        span for split in SPLITS for each in table.load(mapping).recordings(split) for span in np.diff(each.times)
    } == {60.0}


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("AM/PM", ["AM", "PM"]), ("Heures", [f"{hour:02d}h-{hour + 1:02d}h" for hour in range(24)]),
        ("slot", [f"{hour}h - {hour + 1}h" for hour in range(24)]),
        ("Uhrzeit", [f"U{hour}" for hour in range(24)]),
    ],
)  # fmt: skip
def test_a_clock_is_never_advised_as_group(name, cells, guess):
    days = [datetime(2024, 1, 1) + timedelta(days=row // len(cells)) for row in range(20 * len(cells))]
    frame = of_time("Date", days).with_columns(pl.Series(name, cells * 20))
    with pytest.raises(ValueError, match="repeat the time") as refused:
        guess(frame)
    assert "would do" not in str(refused.value) and f"as {name!r} may be a part of it" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "numbers", "said"),
    [
        ("Monat", [month + year / 100 for year in range(90, 99) for month in range(1, 13)], "is named like a date"),
        ("t", [year * 10 + part for year in range(30) for part in range(1, 6)], "of 't' leap, as from 5 to 11"),
        ("month", [*range(1, 13)] * 10, ""), ("months_since_visit", np.linspace(0, 3, 100), ""), ("t", range(100), ""),
    ],
)  # fmt: skip
def test_dates_that_are_read_as_plain_numbers_are_warned_of(name, numbers, said, guess):
    lines = [line for line in guess(of_time(name, list(numbers)))[1] if line.startswith("warning")]
    assert len(lines) == bool(said) and all(said in line and "2024-05-31" in line for line in lines)


def test_months_and_days_in_one_number_are_refused_with_the_way_out(guess):
    days = [datetime(2024, 3, 1) + timedelta(days=row) for row in range(300)]
    with pytest.raises(ValueError, match=r"If numbers such as 1\.03 are dates, write them with their year"):
        guess(of_time("Datum", [day.day + day.month / 100 for day in days]))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["m1", "m2", "m3"], "--group device keeps them apart"),
        (["m1", "m2"], r"take the rows of one \(2 are too few to split by\)"),
    ],
)
def test_identifiers_that_come_by_turns_are_warned_of(guess, names, words):
    rows = np.arange(240)
    device = np.array(names)[rows // 20 % len(names)]
    frame = pl.DataFrame({"device": device, "x": np.sin(rows), "y": np.cos(rows * 3) + 1})
    mapping, lines = guess(frame)
    assert mapping["group"] is None
    (warning,) = [line for line in lines if "named like an identifier" in line]
    assert re.search(words, warning)


def test_classes_and_categories_that_differ_in_case_are_warned_of(guess):
    rows = np.arange(240)
    # Blanks around cells are no part of them; the last two differ in how one letter is composed.
    valve = np.array(["open", "Open ", " OPEN", "shut", "caf\u00e9", "cafe\u0301"])[rows * 7 % 6]
    frame = pl.DataFrame({"valve": valve, "x": np.sin(rows), "y": np.array(["ok", "OK", "bad"])[rows * 5 % 3]})
    _, lines = guess(frame)
    warnings = [line for line in lines if "count as different" in line]
    assert "'ok' and 'OK' of 'y' count as different classes" in warnings[1]
    assert warnings[0].count(" and ") >= 3 and "of 'valve' count as different values" in warnings[0]


@pytest.mark.parametrize(
    ("variable", "value"), [("parameter", "Wert"), ("itemid", "valuenum"), ("_field", "_value"), ("sensor", "value")]
)
def test_a_long_table_is_shown_the_way_to_a_wide_one(guess, variable, value):
    names = [101, 102, 103] if variable == "itemid" else ["hr", "temp", "sbp"]
    frame = pl.DataFrame(
        {
            "subject": np.repeat([f"s{number}" for number in range(8)], 60),
            "time": np.tile(np.repeat(np.arange(20), 3), 8),
            variable: names * 160,
            value: np.random.default_rng(0).normal(size=480),
            "y": np.repeat([0, 1] * 4, 60),
        }
    )
    way = f"table.pivot(index=['subject', 'time', 'y'], columns='{variable}', values='{value}').reset_index()"
    with pytest.raises(ValueError, match=r"the table looks long") as refused:
        guess(frame, group="subject")
    assert way in str(refused.value)
    _, lines = guess(frame, group=["subject", variable])
    assert any(line.startswith("warning: the table looks long") and way in line for line in lines)


def test_measurements_are_not_offered_as_groups(guess):
    draws = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "time": np.repeat(np.arange(100), 4),
            "pulse": draws.integers(50, 500, 400),
            "mote": list(range(4)) * 100,
            "y": draws.normal(size=400),
        }
    )
    with pytest.raises(ValueError, match=r"with --group \('mote' would do\)"):
        guess(frame)


def test_what_goes_up_like_a_time_under_another_name_is_warned_of(guess):
    rows = np.arange(240)
    frame = pl.DataFrame({"km": np.cumsum(1 + np.sin(rows) ** 2), "x": np.sin(rows), "y": np.cos(rows * 3) + 1})
    mapping, lines = guess(frame)
    assert mapping["time"] is None
    assert any(line.startswith("warning: 'km' goes up as a time does, but is not named like one") for line in lines)


@pytest.mark.parametrize(
    ("name", "first", "step", "said"),
    [("year", 1990, 1 / 12, 1), ("Year", -2000, 10, 1), ("year", 800, 5, 1), ("doy", 1, 0.25, 1), ("doy", 1, 1, 0)],
)
def test_a_part_of_a_date_that_goes_up_beyond_one_is_warned_of(guess, name, first, step, said):
    rows = np.arange(240)
    frame = pl.DataFrame({name: first + rows * step, "x": np.sin(rows), "y": np.cos(rows * 3) + 1})
    mapping, lines = guess(frame)
    assert mapping["time"] is None
    assert (
        sum(line.startswith(f"warning: {name!r} goes up as a time does, in numbers that no part") for line in lines)
        == said
    )


def test_a_date_of_each_subject_is_not_the_time_of_its_rows(guess):
    rows = np.arange(200)
    frame = pl.DataFrame(
        {
            "patient": [f"p{row // 20}" for row in rows],
            "date of birth": [f"19{50 + row // 20}-03-{10 + row // 20}" for row in rows],
            "measured": [f"2024-05-{1 + row // 20:02d} {row % 20:02d}:15" for row in rows],
            "x": np.sin(rows),
            "y": np.cos(rows * 3) + 1,
        }
    )
    mapping, lines = guess(frame)
    assert (mapping["time"], mapping["group"]) == ("measured", "patient")
    assert "time: column 'measured' (the others are 'date of birth'; --time names another)" in lines


@pytest.mark.parametrize("name", ["USUBJID", "SubjID", "Gerät", "Fahrzeug-Nr", "capteur id", "MRN"])
def test_identifiers_under_more_names(name):
    assert words.is_named(name)


def test_blocks_of_rows_under_a_name_that_says_nothing_are_warned_of(guess):
    rows = np.arange(240)
    frame = pl.DataFrame({"bench": [f"b{row // 30}" for row in rows], "x": np.sin(rows), "y": np.cos(rows * 3) + 1})
    mapping, lines = guess(frame)
    assert mapping["group"] is None
    assert any("each value of 'bench' stand together" in line and "--group bench keeps" in line for line in lines)
    phases = frame.with_columns(bench=pl.Series([f"b{row // 80}" for row in rows]))
    assert not any(line.startswith("warning") and "bench" in line and "--group" in line for line in guess(phases)[1])


PANELS = {
    "waves": ("xwaveid", "wave", lambda who, step: step + 1),
    "years from various ones on": ("gvkey", "fyear", lambda who, step: 2000 + who * 7 % 3 + step),
    "visits by name": ("RID", "VISCODE", lambda who, step: ["bl", "m06", "m12", "m24", "m36", "m48"][step]),
    "weeks": ("ferret", "week", lambda who, step: 4 * step),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", PANELS)
def test_a_column_that_begins_again_with_each_value_of_another_is_warned_of(guess, case):
    who, when, value = PANELS[case]
    rows = [(1001 + subject, value(subject, step)) for subject in range(40) for step in range(6)]
    draws = np.random.default_rng(0).normal(size=(2, len(rows)))
    frame = pl.DataFrame({who: [row[0] for row in rows], when: [row[1] for row in rows], "x": draws[0], "y": draws[1]})
    mapping, lines = guess(frame)
    assert mapping["group"] is None
    warning = f"warning: {when!r} begins again with each value of {who!r}"
    assert [line for line in lines if line.startswith(warning) and line.endswith(f"--group {who} keeps them apart")]
    assert not [line for line in guess(frame, group=[who])[1] if "begins again" in line]
    mixed = frame.with_columns(pl.col(when).shuffle(seed=1))
    assert not [line for line in guess(mixed)[1] if "begins again" in line]


def test_short_recordings_of_a_named_identifier_are_warned_of(guess):
    draws = np.random.default_rng(0).normal(size=(2, 240))
    frame = pl.DataFrame({"patient": [row // 6 for row in range(240)], "x": draws[0], "y": draws[1]})
    mapping, lines = guess(frame)
    assert mapping["group"] is None and any("'patient' is named like an identifier" in line for line in lines)


def test_hours_begin_again_with_each_day_of_one_recording(guess):
    hours = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 20, 23), "1h", eager=True)
    draws = np.random.default_rng(0).normal(size=(2, len(hours)))
    frame = pl.DataFrame(
        {"time": hours, "serial": hours.dt.ordinal_day(), "hour": hours.dt.hour(), "x": draws[0], "y": draws[1]}
    )
    assert not any("begins again" in line for line in guess(frame)[1])


@pytest.mark.parametrize(
    ("name", "values", "feature"),
    [
        ("age", [61, 34, 58, 77, 45, 29, 50, 66], True),
        ("dose", [10, 25, 50, 75, 100, 150, 200, 300], True),
        ("income", [1_250_000, 3_450_000, 2_200_000, 1_800_000, 4_100_000, 5_050_000, 2_700_000, 6_000_000], True),
        ("number of units", [4, 7, 2, 9, 12, 5, 20, 3], True),
        ("place", [3, 1, 2, 8, 5, 4, 7, 6], False),
        ("badge", [61, 34, 58, 77, 45, 29, 50, 66], False),
        ("mark", [884_201, 790_113, 655_982, 120_405, 333_871, 990_071, 450_026, 512_349], False),
        ("patient number", [61, 34, 58, 77, 45, 29, 50, 66], False),
    ],
)
def test_a_whole_number_of_each_subject_is_a_feature_unless_it_numbers_them(guess, name, values, feature):
    mapping, lines = guess(visits(sessions=1).with_columns(pl.Series(name, np.repeat(values, 20))))
    assert mapping["group"] == "subject" and (name in mapping["features"]) == feature
    assert feature or any(line.startswith("left out: ") and repr(name) in line for line in lines)


@pytest.mark.parametrize("name", ["treatment_group", "age group", "dose.group", "risk-group"])
def test_a_group_of_treatment_or_age_is_known_of_a_subject_and_is_not_whom_a_split_keeps_whole(guess, name):
    mapping, _ = guess(visits(sessions=1).with_columns(pl.Series(name, np.repeat(list("abcdabcd"), 20))))
    assert mapping["group"] == "subject" and name in mapping["features"]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ADY", "d"),
        ("study_day", "d"),
        ("week_in_study", "week"),
        ("hours_post_dose", "h"),
        pytest.param("weeks since baseline", "week", marks=pytest.mark.slow),
        *(pytest.param(name, "d", marks=pytest.mark.slow) for name in ("VSDY", "visitdy", "StudyDay", "relative day")),
    ],
)
def test_days_of_a_study_are_times_though_each_subject_has_few(guess, name, unit):
    days = np.tile([-7, 1, 8, 29], 20)
    draws = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"USUBJID": np.repeat([f"s{n:02d}" for n in range(20)], 4), name: days, "x": draws.normal(size=80)}
        | {"y": draws.normal(size=80)}
    )
    mapping, lines = guess(frame)
    assert (mapping["time"], mapping["group"], mapping["features"]) == (name, "USUBJID", ["x"])
    # CDISC's days have none of number 0.
    median = 7 if name.upper().endswith("DY") else 8
    (spans,) = [line for line in lines if line.startswith("spans: ")]
    assert spans.startswith(f"spans: uneven, 7 to 21 {unit}, median {median};")
    assert table.load(mapping).time_unit == unit


@pytest.mark.parametrize(("who", "count"), [("pid", "wave"), ("nflId", "frameId"), ("respondent", "Round No")])
def test_waves_and_frames_are_times_of_whom_they_count(guess, who, count):
    draws = np.random.default_rng(0)
    # By wave, and not by whom: in the order of the file nothing follows.
    frame = pl.DataFrame({count: np.repeat(np.arange(1, 6), 60), who: np.tile(np.arange(10_001, 10_061), 5)})
    frame = frame.with_columns(x=pl.Series(draws.normal(size=300)), y=pl.Series(draws.normal(size=300)))
    mapping, _ = guess(frame)
    assert (mapping["time"], mapping["group"], mapping["features"]) == (count, who, ["x"])


def test_waves_in_words_are_no_times(guess):
    frame = visits(40, 1, 5).with_columns(wave=pl.Series([f"Wave {n}" for n in range(5)] * 40)).drop("t")
    assert guess(frame.sample(fraction=1, shuffle=True, seed=0))[0]["time"] is None


HEADERS = {
    "dates": [f"2024-01-{day:02d}" for day in range(1, 9)],
    "years": [str(year) for year in range(2015, 2023)],
    "weeks": [f"week {week}" for week in range(1, 9)],
    "clocks": [f"{hour:02d}:00" for hour in range(8)],
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("names", HEADERS.values(), ids=HEADERS)
def test_times_in_the_header_are_warned_of(guess, names):
    values = np.random.default_rng(0).normal(size=(120, len(names)))
    frame = pl.DataFrame({"station": [f"s{n}" for n in range(120)], **dict(zip(names, values.T, strict=True))})
    frame = frame.with_columns(y=pl.Series(np.arange(120) % 3))
    (warning,) = [line for line in guess(frame)[1] if line.startswith("warning: the table looks wide")]
    assert f"the names of {len(names)} columns are times ({names[0]!r}, " in warning
    assert "table.melt(id_vars=['station', 'y'], var_name='time')" in warning
    frame = frame.rename({name: f"t{place}" for place, name in enumerate(names)}).with_columns(
        time=pl.Series(range(120))
    )
    assert not [line for line in guess(frame)[1] if "looks wide" in line], "several temperatures"


def test_wavelengths_and_wave_numbers_are_no_times():
    for waves in (range(1100, 2500, 2), range(4000, 398, -4), range(1650, 2351, 50), range(12_000, 3_900, -8)):
        for unit in ("", ".5", ".25"):
            assert words.in_header(["id", "protein", *(f"{wave}{unit}" for wave in waves)]) == []
    for first, last in ((1961, 2024), (1850, 2101), (2020, 2101)):
        years = [str(year) for year in range(first, last)]
        assert words.in_header(["0", "country", *years]) == years


@pytest.mark.parametrize(
    ("name", "first", "step", "unit"),
    [
        ("ADT", 22_000, 30, "d"),
        ("time_in_cycles", 1, 1, "units of 'time_in_cycles'"),
    ],
)
def test_dates_of_sas_and_cycles_are_times(guess, name, first, step, unit):
    frame = visits(sessions=1, rows=10).rename({"t": name}).with_columns(pl.col(name) * step + first)
    mapping, _ = guess(frame)
    assert (mapping["time"], mapping["group"], mapping["features"]) == (name, "subject", ["x"])
    assert table.load(mapping).time_unit == unit


def test_what_goes_up_within_each_identifier_is_warned_of(guess):
    frame = visits(sessions=1, rows=10).rename({"t": "observationoffset", "subject": "patientunitstayid"})
    # Even steps say no more than the order of the rows.
    frame = frame.with_columns(pl.col("observationoffset") ** 2)
    mapping, said = guess(frame)
    assert mapping["group"] == "patientunitstayid" and mapping["time"] is None
    assert any("'observationoffset' goes up as a time does, but is not named like one" in line for line in said)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("branches", [2, 3, 4])
@pytest.mark.parametrize("names", [("cohort", "step"), ("vintage", "age class")])
def test_stacked_series_with_a_counter_of_two_levels_are_warned_of(guess, branches, names):
    branch, outer, inner = (part.ravel() for part in np.meshgrid(range(branches), range(4), range(8), indexing="ij"))
    draws = np.random.default_rng(0)
    frame = pl.DataFrame({"branch": [f"b{number}" for number in branch], names[0]: outer, names[1]: inner})
    frame = frame.with_columns(x=draws.normal(size=len(branch)), y=draws.normal(size=len(branch)))
    _, lines = guess(frame)
    (warning,) = [line for line in warnings_of(lines) if "begins again" in line]
    assert warning.startswith(f"warning: {names[0]!r} begins again with each value of 'branch'")
    assert ("2 are too few to split by" if branches == 2 else "--group branch keeps") in warning


@pytest.mark.parametrize(("year", "part"), [("fiscal_year", "period"), ("MMWR Year", "MMWR Week"), ("season", "round")])
def test_stacked_series_by_years_and_their_parts_are_groups(guess, year, part):
    group, outer, inner = (part.ravel() for part in np.meshgrid(range(3), range(4), range(10), indexing="ij"))
    draws = np.random.default_rng(0)
    frame = pl.DataFrame({"cost_centre": [f"b{number}" for number in group], year: outer + 2015, part: inner + 1})
    frame = frame.with_columns(x=draws.normal(size=len(group)), y=draws.normal(size=len(group)))
    mapping, _ = guess(frame)
    assert (mapping["time"], mapping["group"], mapping["features"]) == (f"{year} {part}", "cost_centre", ["x"])
    assert table.complete(mapping)[0] == mapping


def test_blocks_of_which_no_number_begins_again_are_phases_of_one_recording(guess):
    draws = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "phase": np.repeat(["rest", "work", "rest again"], 40),
            "lap": np.arange(120) // 4,
            "x": draws.normal(size=120),
            "y": draws.normal(size=120),
        }
    )
    assert not [line for line in warnings_of(guess(frame)[1]) if "begins again" in line]


def test_identifiers_in_blocks_are_the_groups_rather_than_what_each_of_them_passes(guess):
    bus, stop = (part.ravel() for part in np.meshgrid(range(9), range(15), indexing="ij"))
    draws = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "bus_id": [f"B{number}" for number in bus],
            "station_id": [f"S{number}" for number in stop],
            "rank": stop,
            "time": bus * 20 + stop * 4 + bus % 2,
            "y": draws.normal(size=len(bus)),
        }
    )
    assert guess(frame)[0]["group"] == "bus_id"


@pytest.mark.parametrize("name", ["TradingInterval", "position", "Settlement Period"])
def test_counters_are_not_recommended_as_groups(guess, name):
    draws = np.random.default_rng(0)
    frame = pl.DataFrame({"time": np.repeat(np.arange(40), 6), name: list(range(6)) * 40, "y": draws.normal(size=240)})
    words = rf"as '{name}' may be a part of it.*--group, or several"
    with pytest.raises(ValueError, match=words):
        guess(frame)


def shuffled(frame, seed=3):
    return frame.sample(frame.height, shuffle=True, seed=seed)


def crossed(who, when, values, subjects=12, name="p{}".format, seed=0):
    """Each subject at each of these times, with what was measured."""
    draws = np.random.default_rng(seed)
    rows = [(name(subject), value) for subject in range(subjects) for value in values]
    return pl.DataFrame(
        {who: [row[0] for row in rows], when: [row[1] for row in rows]}
        | {column: draws.normal(size=len(rows)) for column in ("x", "y")}
    )


LONE_PARTS = {
    "weeks": ("clinic", "Woche", [1, 3, 4, 9, 10, 22, 30, 41, 52]),
    "days": ("patient", "jour", [1, 2, 5, 9, 17, 28]),
    "hours": ("stay_id", "hour", [0, 1, 4, 6, 12, 13, 20]),
    "minutes": ("animal", "minute", [0, 2, 5, 10, 20, 30, 45, 59]),
    "months": ("store", "month", [1, 2, 3, 5, 8, 12]),
}


@pytest.mark.parametrize("order", some(shuffled, slow=[lambda frame: frame, lambda frame: frame[::-1]]))
@pytest.mark.parametrize("case", LONE_PARTS)
def test_a_part_of_a_time_that_each_subject_has_once_is_the_time(guess, case, order):
    who, when, values = LONE_PARTS[case]
    frame = crossed(who, when, values)
    mapping, lines = guess(order(frame), group=[who])
    assert mapping["time"] == when
    assert any(line.startswith(f"time: column {when!r} (no number comes twice within a value of") for line in lines)
    task = table.load(mapping)
    recording = next(iter(task.recordings("train")))
    np.testing.assert_array_equal(recording.times, np.subtract(values, values[0]))


def test_a_part_of_a_time_finds_its_group_where_none_is_given(guess):
    mapping, _ = guess(shuffled(crossed("patient", "week", [1, 2, 4, 7, 12, 30])))
    assert (mapping["time"], mapping["group"], mapping["features"]) == ("week", "patient", ["x"])


def test_an_hour_of_a_week_of_one_recording_is_no_time_of_its_weekdays(guess):
    hours = np.arange(160)
    frame = pl.DataFrame(
        {"day_name": [f"day {hour // 24}" for hour in hours], "hour": hours % 24}
        | {column: np.random.default_rng(4).normal(size=160) for column in ("x", "y")}
    )
    assert guess(frame)[0]["time"] is None


def test_a_day_that_comes_in_several_rows_and_never_goes_back_is_warned_of(guess):
    lines = guess(crossed("patient", "day", np.repeat([2, 5, 9, 11, 20], 2)))[1]
    assert any(line.startswith("warning: 'day' never goes back within a value of 'patient'") for line in lines)


def test_a_part_of_a_time_within_what_is_not_named_like_an_identifier_is_warned_of(guess):
    mapping, lines = guess(shuffled(crossed("seedling", "month", [1, 2, 3, 5, 8, 12])))
    assert mapping["time"] is None
    assert any(line.endswith("say --time month --group seedling") for line in lines if "'month'" in line)


@pytest.mark.parametrize("years", [range(1990, 2002), [1991, 1992, 1995, 1996, 2001, 2003, 2010]])
@pytest.mark.parametrize("name", ["p{}".format, lambda subject: subject + 11])
@pytest.mark.parametrize("order", some(shuffled, slow=[lambda frame: frame.sort("year"), lambda frame: frame[::-1]]))
def test_a_year_is_the_time_where_each_subject_has_it_once(guess, years, name, order):
    mapping, _ = guess(order(crossed("firm", "year", years, name=name)))
    assert (mapping["time"], mapping["group"], mapping["features"]) == ("year", "firm", ["x"])
    spans = {*np.diff(next(iter(table.load(mapping).recordings("train"))).times)}
    assert min(spans) > 0


def test_a_year_is_the_time_where_two_columns_have_it_once(guess):
    frame = crossed("household", "year", range(2000, 2010), subjects=16, name=lambda subject: subject)
    frame = frame.with_columns(household=pl.col("household") // 4 + 1, member=pl.col("household") % 4 + 1)
    mapping, _ = guess(shuffled(frame))
    assert (mapping["time"], set(mapping["group"])) == ("year", {"household", "member"})
    mapping, lines = guess(shuffled(frame), group=["household"])
    assert mapping["time"] is None
    assert any(line.startswith("warning: 'year' comes in several rows") for line in lines)


def test_a_year_within_numbers_of_no_name_is_asked_for(guess):
    with pytest.raises(ValueError, match="'fips' would do"):
        guess(crossed("fips", "year", range(1982, 1995), name=lambda subject: 3 * subject + 1).sort("year"))


def test_a_month_that_no_year_has_is_warned_of(guess):
    rows = [(year, month) for year in range(2000, 2012) for month in range(1, 14)]
    draws = np.random.default_rng(1).normal(size=(2, len(rows)))
    frame = pl.DataFrame(
        {"YYYY": [row[0] for row in rows], "MON": [row[1] for row in rows], "x": draws[0], "y": draws[1]}
    )
    mapping, lines = guess(frame)
    assert mapping["time"] is None
    assert any(line.startswith("warning: 'MON' is 13 in line 14 and 11 more rows") for line in lines)


@pytest.mark.parametrize("name", ["", "index", "record_no", "Zeile", "frame"])
def test_a_number_of_the_rows_that_they_do_not_follow_is_their_order(guess, name):
    rows = np.arange(150)
    frame = pl.DataFrame({name: rows, "x": np.sin(rows / 5), "y": np.cos(rows / 5)})
    mapping, lines = guess(shuffled(frame))
    assert mapping["time"] == (name or "unnamed column 1")
    assert any("sorted by" in line for line in lines if line.startswith("order:"))
    assert mapping["features"] == ["x"]
    down = guess(frame[::-1])
    assert any(line.startswith("warning:") and "down from row to row" in line for line in down[1])


@pytest.mark.parametrize("name", some("visit_no", "cycle", slow=["trial", "sample"]))
@pytest.mark.parametrize("order", [shuffled, lambda frame: frame.sort(frame.columns[1], maintain_order=True)])
def test_numbers_of_the_rows_of_each_subject_are_their_order(guess, name, order):
    frame = crossed("subject", name, range(1, 15))
    mapping, lines = guess(order(frame))
    assert (mapping["time"], mapping["group"]) == (name, "subject")
    assert not [line for line in lines if f"--group {name}" in line]
    lines = guess(frame[::-1])[1]
    assert any(line.startswith("warning:") and f"{name!r} goes down" in line for line in lines)


def test_other_numbers_that_each_subject_has_once_are_warned_of_where_rows_are_in_another_order(guess):
    # They may be those of what was shown to each as well.
    mapping, lines = guess(shuffled(crossed("child", "age_months", range(1, 40, 3))))
    assert mapping["time"] is None
    assert any(line.startswith("warning: no number of 'age_months' comes twice") for line in lines)


def test_numbers_of_many_are_no_order_of_the_rows(guess):
    frame = crossed("subject", "id", range(14)).with_columns(id=pl.Series((np.arange(168) * 7919) % 100_003))
    assert guess(frame)[0]["time"] is None


MEASURED = {
    "charge": ("battery", lambda row: 96 - row // 12),
    "people": ("person", lambda row: round(4 + 3 * np.sin(row / 9))),
    "volts": ("unit", lambda row: round(12.8 - row / 90, 2)),
    "level": ("station", lambda row: 80 - abs(row % 60 - 30) // 2),
}


@pytest.mark.parametrize("case", MEASURED)
def test_what_is_measured_is_no_identifier_by_its_name(guess, case):
    name, value = MEASURED[case]
    draws = np.random.default_rng(2).normal(size=(2, 240))
    times = pl.datetime_range(datetime(2024, 3, 4), datetime(2024, 3, 4, 23, 54), "6m", eager=True)
    content = {"when": times, name: [value(row) for row in range(240)], "x": draws[0], "y": draws[1]}
    mapping, lines = guess(pl.DataFrame(content))
    assert (mapping["group"], mapping["features"]) == (None, [name, "x"])
    assert any(line.startswith(f"warning: {name!r} is named like an identifier, but its numbers") for line in lines)
    # The identifier beside it is the group.
    devices = pl.concat([pl.DataFrame(content | {"device_id": [f"d{number}"] * 240}) for number in range(4)])
    mapping, _ = guess(devices.sort("when", "device_id"))
    assert (mapping["group"], mapping["features"]) == ("device_id", [name, "x"])


def test_numbers_given_out_in_blocks_are_groups_though_they_go_up_one_by_one(guess):
    for number in (lambda row: 7 + row // 20, lambda row: 5 + 37 * (row // 20) % 12):
        draws = np.random.default_rng(2).normal(size=(2, 240))
        frame = pl.DataFrame({"t": np.arange(240), "machine": [number(row) for row in range(240)], "x": draws[0]})
        assert guess(frame.with_columns(y=draws[1]))[0]["group"] == "machine"


@pytest.mark.parametrize(("period", "jitter"), [(45, 20), (120, 50), (600, 0)])
def test_clocks_that_are_set_are_warned_of_though_spans_vary(guess, period, jitter):
    import pandas as pd

    draws = np.random.default_rng(period)
    rows = 4 * 3600 // period + 40
    seconds = np.cumsum(period + draws.integers(-jitter, jitter + 1, size=rows))
    for start, back in (("2023-10-28 22:40", True), ("2023-03-25 23:10", False)):
        local = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(seconds, unit="s")
        local = local.tz_convert("Europe/Berlin").tz_localize(None).strftime("%Y-%m-%d %H:%M:%S")
        frame = pl.DataFrame({"when": list(local)}).with_columns(x=draws.normal(size=rows), y=draws.normal(size=rows))
        if back and not jitter:
            with pytest.raises(ValueError, match="Or the clock goes back an hour"):
                guess(frame)
            continue
        said = "the clock goes back an hour" if back else "the clock goes an hour ahead"
        line = next(place for place in range(1, rows) if local[place][:13] > local[place - 1][:13][:11] + "02") + 2
        found = [text for text in guess(frame)[1] if text.startswith(f"warning: {said}")]
        assert len(found) == 1 and (back or f"in line {line}," in found[0])
        utc = frame.with_columns(pl.col("when") + "Z")
        assert back or not [text for text in guess(utc)[1] if "daylight" in text]


@pytest.mark.parametrize("apart", [True, False])
def test_subjects_who_are_numbered_at_each_site_are_named_by_both(guess, apart):
    sites, subjects, rows = (part.ravel() for part in np.meshgrid(range(5), range(6), range(16), indexing="ij"))
    draws = np.random.default_rng(8).normal(size=(2, len(rows)))
    times = rows + 20 * (6 * sites + subjects) * apart
    frame = pl.DataFrame(
        {
            "clinic": [f"C{site}" for site in sites],
            "patient_no": subjects + 1,
            "time": times,
            "x": draws[0],
            "y": draws[1],
        }
    )
    if apart:
        lines = guess(frame)[1]
        assert any(line.endswith("--group clinic,patient_no keeps them apart") for line in lines)
        assert not [line for line in lines if "--group patient_no" in line or "--group clinic keeps" in line]
    else:
        assert guess(frame)[0]["group"] == ["clinic", "patient_no"]
    mapping, _ = guess(frame, group=["clinic", "patient_no"])
    assert_whole(mapping, 5)


@pytest.mark.parametrize("seed", range(4))
def test_dates_alone_have_no_clock_that_could_be_set(guess, seed):
    draws = np.random.default_rng(seed)
    days = np.concatenate([np.cumsum(draws.integers(20, 90, 8)) for _ in range(20)])
    frame = pl.DataFrame({"patient": np.repeat([f"p{number:02}" for number in range(20)], 8)})
    frame = frame.with_columns(visit_date=pl.date(2022, 3, 1) + pl.duration(days=pl.Series(days)))
    frame = frame.with_columns(x=draws.normal(size=160), y=draws.normal(size=160))
    assert not [line for line in guess(frame, group=["patient"])[1] if "clock" in line]


@pytest.mark.parametrize("name", ["trip_duration", "pace", "Laufzeit", "sunrise", "sleepDuration"])
def test_how_long_something_took_is_not_when_it_was(guess, name):
    draws = np.random.default_rng(3)
    took = [f"{draws.integers(0, 3):02}:{draws.integers(0, 60):02}:{draws.integers(0, 60):02}" for _ in range(120)]
    frame = pl.DataFrame({"date": pl.date_range(pl.date(2023, 1, 2), pl.date(2023, 5, 1), "1d", eager=True)})
    frame = frame.with_columns(pl.Series(name, took), x=draws.normal(size=120), y=draws.normal(size=120))
    mapping, lines = guess(frame)
    assert mapping["time"] == "date" and "spans: even, 1 d" in lines
    assert any(line.startswith("left out:") and repr(name) in line for line in lines)


def test_a_minimum_beside_a_maximum_is_no_minute(guess):
    draws = np.random.default_rng(4)
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 7, 23), "1h", eager=True)
    frame = pl.DataFrame({"date": times.dt.date(), "hour": times.dt.hour()})
    frame = frame.with_columns(
        min=pl.Series(draws.integers(0, 30, len(times))), y=pl.Series(draws.normal(size=len(times)))
    )
    mapping, lines = guess(frame.with_columns(max=pl.col("min") + 9))
    assert mapping["features"] == ["min", "max"] and "spans: even, 1 h" in lines


def test_kilowatts_are_no_calendar_weeks(guess):
    draws = np.random.default_rng(5)
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 5), "1h", eager=True)
    frame = pl.DataFrame({"time": times}).with_columns(
        power_kw=pl.Series(draws.uniform(0, 9, len(times)).round(2)), y=pl.Series(draws.normal(size=len(times)))
    )
    assert not [line for line in guess(frame)[1] if "named like a date" in line]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
@pytest.mark.parametrize("rows", ["taken out", "one below another"])
def test_the_index_of_a_table_that_lost_rows_is_no_feature(guess, name, rows):
    draws = np.random.default_rng(6)
    numbers = np.sort(draws.permutation(240)[:120]) if rows == "taken out" else np.tile(np.arange(60), 2)
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 3), "15m", eager=True)[:120]
    frame = pl.DataFrame({name: numbers, "time": times, "x": draws.normal(size=120), "y": draws.normal(size=120)})
    mapping, lines = guess(frame)
    assert mapping["features"] == ["x"] and any("only counts the rows" in line for line in lines)


def walks(count, rows, seed=3):
    """As many series that wander on their own, one below another in each row."""
    return np.random.default_rng(seed).normal(size=(rows, count)).cumsum(axis=0)


def written_together(name="room", values=("A", "B"), rows=200, block=1, noise=False, **columns):
    """Recordings that take turns, in rows or in blocks of rows, and a column of all of them."""
    turns = [
        (row, at) for first in range(0, rows, block) for at in range(len(values)) for row in range(first, first + block)
    ]
    x, y = walks(len(values), rows), walks(len(values), rows, seed=4)
    if noise:
        x, y = np.diff(x, axis=0, prepend=0), np.diff(y, axis=0, prepend=0)
    content = {
        name: [values[at] for _, at in turns],
        "x": [x[row, at] for row, at in turns],
        "y": [y[row, at] for row, at in turns],
    }
    content |= {column: [value(row, at) for row, at in turns] for column, value in columns.items()}
    return pl.DataFrame(content)


def seconds_apart(row, at):
    return datetime(2024, 5, 31) + timedelta(minutes=5 * row, seconds=2 * at)


GOES_ON = "within each of them 'y' goes on from its last row, and not from the row before"
TURNS = "they take turns"
ROUNDS = "the times of each round are close together"
TOGETHER = {
    "two": (written_together("feed"), GOES_ON),
    "three": (written_together("feed", "ABC"), GOES_ON),
    "integers": (written_together("feed", (1, 2, 3)), GOES_ON),
    "in blocks": (written_together("feed", block=10), GOES_ON),
    "a few rows lacking": (written_together("feed", "ABC").with_row_index("n").filter(pl.col("n") % 29 > 0), GOES_ON),
    "in any order": (written_together("feed", "ABC").with_columns(
        pl.all().shuffle(1).over(pl.int_range(pl.len()) // 3)), GOES_ON),
    "noise in rooms": (written_together("room", noise=True), TURNS),
    "noise in tanks": (written_together("tank_no", (1, 2, 3), noise=True), TURNS),
    "noise in zones, a few rows lacking": (
        written_together("zone", "ABC", noise=True).with_row_index("n").filter(pl.col("n") % 29 > 0), TURNS
    ),
    "noise in blocks": (written_together("room", block=5, noise=True), TURNS),
    "noise, seconds apart": (written_together("src", noise=True, when=seconds_apart), ROUNDS),
}  # fmt: skip


@pytest.mark.parametrize("case", TOGETHER)
def test_recordings_that_were_written_together_are_found(case):
    frame, why = TOGETHER[case]
    frame = frame.drop("n", strict=False)
    time = "when" if "when" in frame.columns else None
    assert hidden_groups.interleaved(frame, "y", time) == {frame.columns[0]: why}


def one(name, values, rows=400, **columns):
    """One recording with a column that comes back by itself."""
    x, y = walks(1, rows)[:, 0], walks(1, rows, seed=4)[:, 0]
    values = list(itertools.islice(itertools.cycle(values), rows))
    return pl.DataFrame({name: values, "x": x, "y": y} | columns)


def every(**span):
    return [datetime(2024, 5, 31) + number * timedelta(**span) for number in range(400)]


SIGNS, STEPS = np.tile([1, -1], 200), np.arange(400)
BY_ITSELF = {
    "a valve": one("valve", ["on", "off"]),
    "a valve in figures": one("valve", [1, 0]),
    "a valve that lifts what is measured": one("valve", "AB", x=walks(1, 400)[:, 0] + 20 * SIGNS),
    "a polarity": one("polarity", "PN", x=SIGNS * (20 + walks(1, 400)[:, 0])),
    "a valve without flow": one("valve", "AB", x=np.where(SIGNS > 0, walks(1, 400)[:, 0], 0.0)),
    "a valve with a fixed duty": one("room", ["open", "closed"], when=[
        datetime(2024, 5, 31) + timedelta(minutes=10 * (number // 2) + number % 2) for number in range(400)]),
    "day and night": one("part", ["day", "night"], when=every(hours=12)),
    "shifts": one("shift", "ABC", when=every(hours=8)),
    "weekdays": one("wd", range(1, 8), when=every(days=1), x=(1 + STEPS / 100) * (3 + STEPS % 7)),
    "noise": one("src", "AB", x=np.random.default_rng(1).normal(size=400), y=np.random.default_rng(2).normal(size=400)),
    "rare events": one("src", np.random.default_rng(1).choice(["A", "B"], 400).tolist(),
                       x=np.exp(3 * np.random.default_rng(2).normal(size=400))),
    "rooms that are visited": one("room", ["hall"] * 3 + ["bath"] * 7 + ["hall"] * 2 + ["bed"] * 5),
    "a condition": one("condition", "AB"),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_ITSELF)
def test_what_comes_back_by_itself_tells_no_recordings_apart(case):
    frame = BY_ITSELF[case]
    assert hidden_groups.interleaved(frame, "y", "when" if "when" in frame.columns else None) == {}


def test_of_names_for_the_same_recordings_the_finest_and_first_is_told():
    frame = written_together("room", "ABCD")
    twin = frame.with_columns(called=pl.col("room").str.to_lowercase(), floor=pl.col("room").is_in(["A", "B"]) + 1)
    assert list(hidden_groups.interleaved(twin.select("floor", *frame.columns, "called"), "y", None)) == ["room"]


def test_recordings_that_were_written_together_are_warned_of(guess):
    _, lines = guess(written_together("room", "ABC"))
    assert lines[-1] == (
        f"warning: the values of 'room' come again and again, and {GOES_ON}, as where recordings were written "
        "together, but their rows are read as one recording; if each has a series of its own, --group room keeps them "
        "apart"
    )
    _, lines = guess(written_together("room", "ABC"), group=None)
    assert not [line for line in lines if "come again and again" in line]
    _, lines = guess(written_together("room", when=seconds_apart))
    assert lines[-1].endswith("if each has a series of its own, take the rows of one (2 are too few to split by)")


def test_recordings_that_were_written_together_within_subjects_are_warned_of(guess):
    frame = pl.concat(written_together("side").with_columns(subject=pl.lit(f"s{number}")) for number in range(6))
    mapping, lines = guess(frame)
    assert mapping["group"] == "subject"
    (warning,) = [line for line in lines if "come again and again" in line]
    assert warning.endswith(
        "but their rows are read as one recording of each 'subject'; if each has a series of its own, --group "
        "subject,side keeps them apart"
    )
    assert not [line for line in guess(frame, group=["subject", "side"])[1] if "come again and again" in line]


@pytest.mark.parametrize("values", ["AB", (1, 2), "ABC", (10, 20, 30)])
def test_recordings_of_the_same_times_are_asked_for(guess, values):
    frame = written_together("tank", values, when=lambda row, at: seconds_apart(row, 0))
    way = r" \('tank' would do\)" if len(values) > 2 else ", but of 'tank' take the rows of one"
    with pytest.raises(ValueError, match=f"repeat the time of another row.*--group{way}.*in two columns, join them"):
        guess(frame)


def test_sessions_whose_times_go_on_within_a_subject_are_sequences_of_their_own(guess):
    frame = visits(restart=False)
    # Days lie between sessions, which differ from subject to subject.
    days = (7 * 86400 * (pl.col("session") - 1) + 3 * pl.col("subject").str.tail(2).cast(pl.Int64)).cast(pl.Int64)
    frame = frame.with_columns(t=days + pl.col("t") % 20)
    mapping, lines = guess(frame)
    assert mapping["group"] == ["subject", "session"] and mapping["features"] == ["x"]
    assert any("cut into sequences by 'session' within it" in line for line in lines)
    recordings = [one for split in SPLITS for one in table.load(mapping).recordings(split)]
    assert len(recordings) == 24 and max(np.diff(one.times).max() for one in recordings) < 20


def blocks(values, rows=20, pause=60.0, seed=1, **columns):
    """A recording for each value, ten minutes from row to row, and a pause (in minutes) before each but the first."""
    count = len(values) * rows
    minutes = 10 * np.arange(count) + pause * np.repeat(np.arange(len(values)), rows)
    draws = np.random.default_rng(seed).normal(size=(2, count)).round(3)
    content = {
        "time": [datetime(2024, 1, 1) + timedelta(minutes=float(minute)) for minute in minutes],
        "number": np.repeat(values, rows),
        "a": draws[0],
        "y": draws[1],
    }
    return pl.DataFrame(content | columns)


@pytest.mark.parametrize(
    ("values", "pause"),
    [
        ([4711, 1203, 9934, 2048, 7761, 3310], 0.0),
        ([35, 36, 38, 39, 40, 44], 333.0),
        ([3, 6, 1, 5, 2, 4], 0.0),
        ([7000123, 7000998, 7000341, 7000652, 7000207], 0.0),
    ],
    ids=["given out", "in order, with pauses", "counted, in another order", "long"],
)
@pytest.mark.parametrize("name", some("number", slow=["voyage", "fish"]))
def test_numbers_of_recordings_in_blocks_are_warned_of_whatever_their_name(guess, values, pause, name):
    for timed in (True, False) if not pause else (True,):
        frame = blocks(values, pause=pause).rename({"number": name})
        lines = guess(frame if timed else frame.drop("time"))[1]
        (warning,) = [line for line in lines if f"value of {name!r} stand together" in line]
        assert warning.endswith(f"--group {name} keeps them apart")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "values",
    [
        np.arange(1, 9),
        np.arange(4500, 4510),
        [682488, 680878, 705546, 628458, 839636, 518642, 546267],
        [106, 155, 174, 285, 332],
    ],
    ids=["from 1", "one after another", "one pair close", "rising"],
)
@pytest.mark.parametrize("timed", [True, False])
def test_numbers_of_recordings_without_pauses_are_warned_of(guess, values, timed):
    frame = blocks(values, pause=0.0).rename({"number": "fa"})
    lines = guess(frame if timed else frame.drop("time"))[1]
    assert sum("value of 'fa' stand together" in line for line in lines) == 1


def test_what_adds_up_numbers_no_recordings(guess):
    draws = np.random.default_rng(5)
    tips = np.cumsum(draws.random(600) < 0.05)
    frame = pl.DataFrame({"tips": tips, "x": draws.normal(size=600), "y": draws.normal(size=600)})
    assert not any("stand together" in line for line in guess(frame)[1])


def test_numbers_given_out_that_come_back_are_warned_of(guess):
    order = np.repeat([2207, 3391, 1182, 4410, 1182, 2207, 3391, 4410, 3391], 20)
    frame = pl.DataFrame({"wer": order, "x": np.sin(np.arange(180)), "y": np.cos(3 * np.arange(180))})
    (line,) = [line for line in guess(frame)[1] if "look as if they were given out" in line]
    assert line.startswith("warning: the numbers of 'wer' (1182, 2207, 3391 and 1 more)")
    # Set points are round, or near one another.
    for points in ({2207: 1500, 3391: 3000, 1182: 750, 4410: 2250}, {2207: 1501, 3391: 1503, 1182: 1504, 4410: 1506}):
        other = frame.with_columns(pl.col("wer").replace_strict(points))
        assert not any("given out" in line for line in guess(other)[1])


def test_places_and_ages_that_change_together_are_warned_of(guess):
    draws = np.random.default_rng(2)
    of_rows = np.repeat(np.arange(7), 30)
    content = {"x": draws.normal(size=210), "y": draws.normal(size=210)}
    where = {"lat": (47 + draws.random(7)).round(3)[of_rows], "lon": (8 + draws.random(7)).round(3)[of_rows]}
    flags = {f"who_{k}": (of_rows == k).astype(int) for k in range(7)}
    said = "change together, in 6 rows, and are the same in between, as where 7 recordings stand one below another"
    for columns in (where, flags):
        (line,) = [line for line in guess(pl.DataFrame(columns | content))[1] if "change together" in line]
        assert said in line
    (line,) = [
        line for line in guess(pl.DataFrame({"lat": where["lat"]} | content))[1] if "recordings stand one" in line
    ]
    assert line.startswith("warning: 'lat' changes, in 6 rows, and is the same in between")
    # Not where they come back, or change one after the other.
    back = {name: np.concatenate([values, values]) for name, values in (where | content).items()}
    slow = where | {"lon": np.roll(where["lon"], 5)}
    for columns in (back, slow | content):
        assert not any("change together" in line for line in guess(pl.DataFrame(columns))[1])


def test_a_column_for_each_subject_is_a_wide_table(guess):
    draws = np.random.default_rng(1).normal(size=(6, 200)).round(2)
    for names in ([f"subj{k:02d}" for k in range(6)], [f"{what}_P{k}" for k in range(3) for what in ("hr", "eda")]):
        frame = pl.DataFrame(dict(zip(names, draws, strict=True)))
        lines = guess(frame, target=names[0])[1]
        assert sum("the table looks wide: 6 columns are numbered as subjects are" in line for line in lines) == 1
    sensors = pl.DataFrame({f"s{k}": draws[k] for k in range(6)})
    assert not any("looks wide" in line for line in guess(sensors, target="s0")[1])


def test_subjects_within_the_names_of_recordings_are_warned_of(guess):
    names = [f"S{who}_walk_{trial}" for who in range(6) for trial in range(4)]
    frame = pl.DataFrame(
        {"recording": np.repeat(names, 12), "x": np.sin(np.arange(288)), "y": np.cos(3 * np.arange(288))}
    )
    mapping, lines = guess(frame)
    assert mapping["group"] == "recording"
    (line,) = [line for line in lines if "share a part of their names" in line]
    assert "'S0_walk_0' and 'S0_walk_1'" in line and "(6 parts, 24 names)" in line
    pattern = re.search(r"extract\(r'(.*)'\), and", line)[1]
    whose = frame["recording"].str.extract(pattern)
    assert whose.unique(maintain_order=True).to_list() == [f"S{who}" for who in range(6)]
    mapping, lines = guess(frame.with_columns(whose=whose), group=["whose", "recording"])
    assert mapping["group"] == ["whose", "recording"]
    assert not any("share a part of their names" in line for line in lines)


SLOW = {
    "a set point that comes again": ([1500, 1207, 1811, 1207, 1500, 1811], 0.0),
    "a set point of round numbers": ([1500, 1200, 1800, 1400, 1900, 1700], 0.0),
    "a staircase": ([10, 21, 32, 43, 54, 65], 0.0),
    "a slow measurement": ([1013, 1011, 1012, 1015, 1014, 1016, 1018, 1017, 1019, 1021, 1020, 1022, 1024, 1023], 0.0),
    "a daily amount": ([8123, 9410, 7211, 8809, 7919, 9001], 1440.0 - 200),
}


@pytest.mark.parametrize("case", SLOW)
def test_set_points_and_what_changes_slowly_are_features_without_a_warning(guess, case):
    values, pause = SLOW[case]
    mapping, lines = guess(blocks(values, pause=pause))
    assert mapping["features"] == ["number", "a"] and mapping["group"] is None
    assert not [line for line in lines if "stand together" in line or "one recording;" in line]


def chained(parts, subjects=8, rows=10, order="blocks", **columns):
    """Subjects with a series for each part, whose rows are counted within it."""
    axes = [np.arange(subjects), np.arange(len(parts)), np.arange(rows)]
    subject, part, row = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    place = np.lexsort((part, row, subject)) if order == "alternating" else np.arange(len(row))
    draws = np.random.default_rng(2).normal(size=(2, len(row))).round(3)
    content = {"subject": subject[place] + 1, "part": [parts[number] for number in part[place]], "count": row[place]}
    return pl.DataFrame({**content, "x": draws[0], "y": draws[1]} | columns)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("order", ["blocks", "alternating"])
@pytest.mark.parametrize("parts", some(["OD", "OS"], [1, 2, 3], slow=[["rest", "task", "sleep"]]), ids=str)
@pytest.mark.parametrize("names", some(("eye", "visit"), ("electrode", "k"), slow=[("condition", "sample")]), ids=str)
def test_series_of_one_subject_that_are_chained_are_warned_of(guess, parts, order, names):
    frame = chained(parts, order=order).rename({"part": names[0], "count": names[1]})
    mapping, lines = guess(frame)
    if mapping["group"] == "subject":
        (warning,) = [line for line in lines if "begins again" in line]
        assert f"{names[1]!r} begins again with each value of {names[0]!r} within each 'subject'" in warning
        assert f"--group subject,{names[0]} keeps them apart" in warning
    assert not [line for line in guess(frame, group=["subject", names[0]])[1] if "begins again" in line]


def test_phases_of_one_series_are_not_chained(guess):
    going_on = chained(["before", "after"]).with_columns(count=pl.col("count") + 10 * (pl.col("part") == "after"))
    noise = chained(["before", "after"]).with_columns(count=pl.col("x") * 2)
    traits = chained(["only"]).with_columns(
        part=pl.when(pl.col("subject") > 4).then(pl.lit("f")).otherwise(pl.lit("m"))
    )
    for frame in (going_on, noise, traits):
        assert not [line for line in guess(frame)[1] if "begins again" in line and "within each" in line]


def polled(devices, rounds=80, shuffled=False, seed=3):
    """Devices that are asked one after another, a minute each, and then a pause; all of them follow one weather."""
    draws = np.random.default_rng(seed)
    order = np.concatenate(
        [draws.permutation(len(devices)) if shuffled else np.arange(len(devices)) for _ in range(rounds)]
    )
    row = np.arange(len(order))
    minutes = row + 2 * (row // len(devices))
    weather = draws.normal(size=rounds)[row // len(devices)]
    content = {
        "time": [datetime(2024, 1, 1) + timedelta(minutes=float(minute)) for minute in minutes],
        "who": [devices[number] for number in order],
        "a": (weather + order).round(3),
        "y": (2 * weather - order + draws.normal(size=len(row))).round(3),
    }
    return pl.DataFrame(content)


DEVICES = {
    "mac": ["a4cf12de01", "a4cf12de02", "b8f009aa11"],
    "imei": [356938035643809, 356938035643810, 356938035643817],
    "vin": ["WVWZZZ1JZXW000001", "WVWZZZ1JZXW000382", "1HGCM82633A004352"],
    "tag": ["TAG-001", "TAG-002", "TAG-117", "TAG-118"],
    "number": [70012, 70013, 70551],
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("name", DEVICES)
def test_devices_that_are_polled_in_rounds_are_warned_of_by_their_numbers(guess, name, shuffled):
    frame = polled(DEVICES[name], shuffled=shuffled).rename({"who": name})
    for rows in (frame, frame.filter(pl.int_range(pl.len()) % 97 != 5)):
        lines = guess(rows)[1]
        (warning,) = [line for line in lines if "come again and again" in line]
        assert f"--group {name} keeps them apart" in warning


@pytest.mark.parametrize("states", [["red", "green", "amber"], ["fill", "heat", "drain"], [10, 20, 30]], ids=str)
def test_states_that_take_turns_are_no_devices(guess, states):
    assert not [line for line in guess(polled(states).rename({"who": "state"}))[1] if "again and again" in line]


def test_codes_that_come_at_random_are_no_devices(guess):
    draws = np.random.default_rng(4)
    frame = polled(DEVICES["mac"]).with_columns(who=pl.Series(draws.choice(["E101", "E205", "E307"], 240)))
    assert not [line for line in guess(frame.rename({"who": "error"}))[1] if "again and again" in line]


@pytest.mark.parametrize(
    "cells", [["1.1899E+19", "3.2041E+18", "4.1772E+18", "5.0031E+18"], ["3.56938E+14", "3.57E+14", "3.5811e+14"] * 2]
)
def test_identifiers_that_a_spreadsheet_has_rounded_are_warned_of(guess, cells):
    cells = list(dict.fromkeys(cells))
    frame = blocks(range(len(cells)), rows=60).with_columns(patient=pl.Series(np.repeat(cells, 60))).drop("number")
    lines = guess(frame, group="patient")[1]
    (warning,) = [line for line in lines if "spreadsheet" in line]
    assert "'patient' holds long numbers such as" in warning and "E+1" in warning
    whole = [11899123456789012345 + 7 * number for number in range(4)]
    for ids in (
        whole,
        [11899123456 + number for number in range(4)],
        [0.5, 1.5, 2.5, 3.5],
        ["E+1", "E+2", "E+3", "E+4"],
    ):
        fair = blocks(range(4), rows=60).with_columns(patient=pl.Series(np.repeat(list(map(str, ids)), 60)))
        assert not [line for line in guess(fair.drop("number"), group="patient")[1] if "spreadsheet" in line]


def countries(total, years=30, seed=5):
    """Countries by year, with one that is made of the others."""
    parts = np.random.default_rng(seed).normal(100, 9, size=(6, years)) * np.arange(1, 7)[:, None]
    names = ["Austria", "Belgium", "Chad", "Denmark", "Egypt", "France", "All"]
    content = {"where": np.repeat(names, years), "year": np.tile(np.arange(1990, 1990 + years), 7)}
    deaths = np.concatenate([parts, total(parts)[None]]).round(1)
    return pl.DataFrame({**content, "gdp": np.random.default_rng(6).normal(size=7 * years), "deaths": deaths.ravel()})


def test_a_group_that_is_the_sum_of_all_others_is_warned_of(guess):
    summed = countries(lambda parts: parts.sum(axis=0))
    for frame, target in ((summed, "deaths"), (summed, "gdp"), (summed.sort("year"), "deaths")):
        lines = guess(frame, target, group="where")[1]
        (warning,) = [line for line in lines if "is the sum of" in line]
        assert "'All' of 'where' is the sum of all others in 'deaths'" in warning
    for other in (lambda parts: parts[0] * 22, lambda parts: parts.mean(axis=0)):
        lines = guess(countries(other), "deaths", group="where")[1]
        assert not [line for line in lines if "is the sum of" in line]


def test_columns_of_a_year_and_a_day_are_named_where_clock_times_repeat(guess):
    row = np.arange(300)
    frame = pl.DataFrame(
        {"Year": 2024, "Day": row // 24 + 1, "Time": (row % 24 + 1) * 100, "a": row % 7, "y": row % 11}
    )
    with pytest.raises(ValueError, match="as 'Year', 'Day' may be a part of it"):
        guess(frame.select(pl.all().cast(int)), "y", kind="regression")


def test_sums_of_some_groups_are_warned_of_each_by_itself(guess):
    summed = countries(lambda parts: parts[:3].sum(axis=0)).with_columns(pl.col("where").replace("All", "North"))
    every = countries(lambda parts: parts.sum(axis=0)).filter(pl.col("where") == "All")
    lines = guess(pl.concat([summed, every]), "deaths", group="where")[1]
    found = [line for line in lines if "is the sum of" in line]
    assert [line.split(" of ")[0] for line in found] == ["warning: 'North'", "warning: 'All'"]
    assert "is the sum of 'Austria', 'Belgium', 'Chad' in 'deaths'" in found[0]
    # Of fewer years than groups, any is a sum of some.
    few = summed.filter(pl.col("year") < 1995).with_columns(where="where")
    assert not [line for line in guess(few, "deaths", group="where")[1] if "is the sum of" in line]


def test_totals_and_averages_are_known_by_their_names(guess):
    for name, told in (("EU27", True), ("Store average", True), ("Total", True), ("Estonia", False), ("Allen", False)):
        frame = countries(lambda parts: parts.max(axis=0)).with_columns(pl.col("where").replace("All", name))
        lines = guess(frame, "deaths", group="where")[1]
        assert any(f"{name!r} of 'where' is named like a total" in line for line in lines) == told


def test_hours_and_months_as_columns_are_warned_of_beside_dates(guess):
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 4, 10), eager=True).alias("date")
    values = np.random.default_rng(0).normal(size=(24, 100))
    for names in ([f"HE{hour}" for hour in range(1, 25)], [f"{hour}:30" for hour in range(24)]):
        frame = pl.DataFrame([days, *(pl.Series(name, row) for name, row in zip(names, values, strict=True))])
        assert [line for line in guess(frame, names[-1])[1] if "looks wide" in line and "id_vars=['date']" in line]
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    frame = pl.DataFrame({"Year": range(1900, 2000), **dict(zip(months, values[:12], strict=True))})
    assert [line for line in guess(frame, "Dec")[1] if "looks wide" in line]
    # A few heat flows, or sensors by number.
    frame = pl.DataFrame([days, *(pl.Series(f"h{n}", values[n]) for n in range(1, 6))])
    assert not [line for line in guess(frame, "h5")[1] if "looks wide" in line]


def test_currencies_are_units(guess):
    content = {"date": pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 7, 19), eager=True), "amount": range(200)}
    frame = pl.DataFrame(content).with_columns(
        amount=pl.Series(np.random.default_rng(1).normal(9, 1, 200)),
        Währung=pl.Series(["CHF", "SEK"] * 100),
        y=pl.Series(np.random.default_rng(2).normal(size=200)),
    )
    assert any("'Währung' says that values are in 'CHF', 'SEK'" in line for line in guess(frame)[1])


def test_flags_are_no_identifiers_and_a_number_sign_is_a_number(guess):
    assert words.is_named("subject#") and words.is_named("Pump station #") and words.is_named("run")
    assert not words.is_named("is_run") and not words.is_named("has_file")


def test_a_group_that_is_the_mean_of_all_others_is_warned_of(guess):
    draws = np.random.default_rng(6)
    of_region = 20 + 5 * draws.normal(size=(6, 60))
    for first, expected in (
        (of_region[1:].mean(axis=0), 1),
        (of_region[1:].mean(axis=0) + 2 * draws.normal(size=60), 0),
    ):
        values = np.vstack([first[None], of_region[1:]])
        frame = pl.DataFrame(
            {
                "region": np.repeat(["Bund", *"ABCDE"], 60),
                "day": np.tile(np.arange(60), 6),
                "x": values.ravel().round(2),
                "y": draws.normal(size=360).round(2),
            }
        )
        lines = guess(frame, time="day", group="region")[1]
        assert sum("'Bund' of 'region' is the mean of all others in 'x'" in line for line in lines) == expected
    # Storks that fly together are no means of one another.
    together = frame.with_columns(x=50 + 0.1 * pl.col("day") + pl.Series(0.01 * draws.normal(size=360)))
    assert not any("all others" in line for line in guess(together, time="day", group="region")[1])


def test_a_clock_of_twelve_hours_is_refused(guess):
    hours = [8, 9, 10, 11, 12, 1, 2, 3, 4, 5]
    when = [f"2023-03-{day:02d} {hour}:00" for day in range(1, 31) for hour in hours]
    draws = np.random.default_rng(1).normal(size=(2, 300)).round(3)
    frame = pl.DataFrame({"time": when, "x": draws[0], "y": draws[1]})
    with pytest.raises(ValueError, match="'time' goes from 1 to 12 and back in 30 rows, the first of them line 7"):
        guess(frame)
    assert guess(frame, time=None)[0]["time"] is None
    # Mornings alone, or the other half written as it should be.
    for rows in (
        frame.filter(pl.int_range(300) % 10 < 5),
        frame.with_columns(
            time=pl.Series(
                [f"2023-03-{day:02d} {hour + 12 * (hour < 8):02d}:00" for day in range(1, 31) for hour in hours]
            )
        ),
    ):
        assert guess(rows)[0]["time"] == "time"


def test_subjects_with_few_visits_are_groups(guess):
    visits = np.tile(np.arange(1, 6), 40)
    draws = np.random.default_rng(2).normal(size=(2, 200)).round(3)
    frame = pl.DataFrame({"patient": np.repeat(np.arange(40) + 1, 5), "visit": visits, "x": draws[0], "y": draws[1]})
    mapping, lines = guess(frame)
    assert mapping["group"] == "patient" and "patient" not in mapping["features"]
    assert any("another column numbers the rows of each of its values" in line for line in lines)
    assert_whole(mapping, 40)


@pytest.mark.parametrize("other", ["P3", "\u0420\u0030\u0033", "P03\u200b"])
def test_a_subject_under_two_spellings_is_warned_of(other):
    column = pl.Series(["P01", "P02", "P03", other, "P10"])
    assert groups.twins(column) == [("P03", other)]
    assert groups.twins(pl.Series(["v1.03", "v1.3", "a-0", "b0"])) == []


def patients(who="id", visit="visit", first=101, count=60, times=5, order="who"):
    """Patients with something of their own, who come several times."""
    draws = np.random.default_rng(3)
    own = np.repeat(draws.normal(27, 3, count), times)
    frame = pl.DataFrame(
        {
            who: np.repeat(np.arange(count) + first, times),
            visit: np.tile(np.arange(times) + 1, count),
            "bmi": (own + 0.3 * draws.normal(size=count * times)).round(1),
            "y": (100 + own + draws.normal(size=count * times)).round(2),
        }
    )
    return shuffled(frame) if order == "mixed" else frame.sort(who if order == "who" else visit, maintain_order=True)


@pytest.mark.parametrize(
    ("who", "visit", "order", "time"),
    [
        ("id", "visit", "who", None),
        ("id", "visit", "visit", "visit"),
        ("Id", "visit", "mixed", "visit"),
        ("nr", "session", "visit", None),
        ("case", "trial", "who", None),
    ],
)
@pytest.mark.parametrize(("first", "count", "times"), [(101, 60, 5), (1, 10, 12)])
def test_persons_under_names_that_rows_have_too_are_no_order(guess, who, visit, order, time, first, count, times):
    mapping, lines = guess(patients(who, visit, first, count, times, order))
    assert (mapping["group"], mapping["time"]) == (who, time)
    said = f"if it only numbers the rows of each {visit!r}, say --group {visit} --time {who}"
    assert any(said in line for line in lines) == (who not in ("id", "Id"))


@pytest.mark.parametrize(("name", "outer"), [("id", "visit"), ("nr", "session"), ("no", "trial"), ("case", "visit")])
def test_numbers_of_the_rows_of_each_session_are_no_persons(guess, name, outer):
    draws = np.random.default_rng(4)
    walks = np.cumsum(draws.normal(size=(8, 40)), axis=1).ravel()
    frame = pl.DataFrame({outer: np.repeat(np.arange(8) + 1, 40), name: np.tile(np.arange(40) + 1, 8), "x": walks})
    frame = frame.with_columns(y=pl.col("x") + pl.Series(draws.normal(size=320)))
    assert groups.visited(frame, "y", None) is None
    assert guess(frame)[0]["group"] == outer


def constants(draws, persons, recordings=3):
    """Recordings of persons of whom age, height and weight are known."""
    known = np.stack(
        [draws.integers(20, 80, persons), draws.integers(150, 195, persons), draws.normal(75, 12, persons)]
    )
    known = np.repeat(known.round(1), 12 * recordings, axis=1)
    rows = persons * recordings
    return pl.DataFrame(
        {"recording": np.repeat([f"r{number * 37 % rows:03d}" for number in range(rows)], 12)}
        | {"t": np.tile(np.arange(12), rows), "x": draws.normal(size=12 * rows), "y": draws.normal(size=12 * rows)}
        | dict(zip(("age", "height_cm", "weight_kg"), known, strict=True))
    )


@pytest.mark.parametrize(("drop", "persons"), [([], 20), (["age"], 20), (["height_cm"], 12)])
def test_recordings_of_persons_who_have_no_name_are_warned_of(guess, drop, persons):
    frame = constants(np.random.default_rng(5), persons).drop(drop)
    (line,) = [line for line in guess(frame)[1] if "more often than by chance" in line]
    assert f"{3 * persons} values of 'recording' share {persons} combinations" in line
    assert line.endswith("and say --group whose,recording")


def test_what_recordings_share_by_chance_or_by_design_is_no_person(guess):
    draws = np.random.default_rng(6)
    alone = constants(draws, 60, 1)
    designed = alone.with_columns(
        age=pl.Series(np.repeat(np.tile([1, 2, 3, 4], 15), 12)),
        weight_kg=pl.Series(np.repeat(np.tile([5, 10, 15], 20), 12)),
    ).drop("height_cm")
    for frame in (alone, designed, constants(draws, 20).drop("height_cm", "weight_kg")):
        assert not any("more often than by chance" in line for line in guess(frame)[1])
