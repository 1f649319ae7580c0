"""Whose rows they are: subjects with few rows, tables of all first visits and then all second ones, reused numbers."""

import numpy as np
import polars as pl
import pytest
from drawn import beside_noise

from liquidbench.tasks import table, words


@pytest.fixture
def plan(planned):
    """What is made of a table with these columns besides two of noise, and the warnings."""

    def plan_of(columns, **asked):
        made = planned(beside_noise(columns, seed=1), **asked)
        return made.mapping, [line for line in made.lines if line.startswith("warning")]

    return plan_of


def dealt(people, each, seed=2):
    """Each person's number in `each` rows, in any order."""
    return np.random.default_rng(seed).permutation(np.repeat(7 * np.arange(people) + 70_011, each))


@pytest.mark.parametrize("name", ["MRN", "participant", "customer_id", "Proband"])
@pytest.mark.parametrize("each", [2, 3, 7])
@pytest.mark.parametrize("dated", [True, False])
def test_few_rows_of_many_people_are_told_and_their_numbers_are_no_features(plan, name, each, dated):
    people = dealt(60, each)
    mapping, warnings = plan({name: people, **({"t": np.arange(len(people))} if dated else {})})
    assert mapping["group"] is None and mapping["features"] == ["x"]
    assert any(f"--group {name} keeps them apart" in line for line in warnings)


@pytest.mark.parametrize("visits", [["pre", "post", "follow-up"], ["T1", "T2"], [1, 2, 3, 4]])
@pytest.mark.parametrize("names", [("subject", "visit"), ("PatID", "timepoint"), ("cow", "wave")])
@pytest.mark.parametrize("numbered", [True, False])
def test_all_first_visits_and_then_all_second_ones_are_read_by_subject(plan, visits, names, numbered):
    who, visit = names
    people = [number if numbered else f"P{number:03}" for number in range(1, 41)]
    columns = {who: people * len(visits), visit: [one for one in visits for _ in people]}
    mapping, _ = plan(columns)
    assert mapping["group"] in (who, [who]) and who not in mapping["features"]


@pytest.mark.parametrize("visit", ["session", "trial", "run_no"])
def test_several_rows_of_each_visit_are_sequences_of_the_subject(plan, visit):
    sessions, people, rows = (part.ravel() for part in np.meshgrid(range(5), range(12), range(9), indexing="ij"))
    mapping, _ = plan({visit: sessions, "subject": people, "time": np.arange(len(rows))})
    assert mapping["group"] == ["subject", visit]


def test_numbers_of_people_that_come_once_in_each_visit_are_no_time(plan):
    draws = np.random.default_rng(4)
    people = np.sort(draws.choice(90_000, 40, replace=False))
    rows = draws.permutation([(person, f"Visit {visit}") for visit in range(12) for person in people])
    mapping, _ = plan({"nr": rows[:, 0].astype(int), "visit": rows[:, 1]})
    assert mapping["time"] is None


@pytest.mark.parametrize(("again", "told"), [(True, True), (False, False)])
def test_numbers_that_come_again_at_another_site_may_be_others(plan, again, told):
    sites, people, rows = (part.ravel() for part in np.meshgrid(range(4), range(9), range(12), indexing="ij"))
    columns = {"site": [f"S{site}" for site in sites], "patient": people + (0 if again else 9) * sites}
    _, warnings = plan({**columns, "day": 30 * sites + rows}, time="day")
    assert any("--group site,patient keeps them apart" in line for line in warnings) == told


@pytest.mark.parametrize("inner", ["beepno", "ball", "trial"])
def test_numbers_that_begin_again_each_day_are_no_series(plan, inner):
    people, days, within = (part.ravel() for part in np.meshgrid(range(9), range(10), range(6), indexing="ij"))
    mapping, warnings = plan({"subject": people, "day": days + 1, inner: within + 1})
    assert mapping["group"] in ("subject", ["subject"]) and mapping["time"] is None
    assert not any(f"subject,{inner}" in line for line in warnings)


@pytest.mark.parametrize(("name", "told"), [("patient_id", True), ("subject", True), ("sample_weight", False)])
def test_one_row_of_each_subject_is_no_series(plan, name, told):
    _, warnings = plan({name: np.random.default_rng(3).permutation(900)[:150] + 1000})
    assert any("their order means nothing" in line for line in warnings) == told


@pytest.mark.parametrize(("name", "told"), [("lap", True), ("session", False)])
def test_laps_that_go_on_are_one_recording(plan, name, told):
    laps = np.repeat(np.arange(12), 40)
    _, warnings = plan({"t": np.arange(480) + (0 if told else 500) * laps, name: laps + 1})
    assert any("as in one recording that they only cut" in line for line in warnings) == told


@pytest.mark.parametrize("counter", ["time_in_trial", "time_in_block"])
def test_the_time_within_a_trial_is_the_time(plan, counter):
    people, trials, rows = (part.ravel() for part in np.meshgrid(range(8), range(6), range(10), indexing="ij"))
    mapping, _ = plan({"participant": people, "trial": trials + 1, counter: 0.1 * rows})
    assert mapping["time"] == counter and mapping["group"] == ["participant", "trial"]


def test_two_words_for_few_rows_are_no_group(plan):
    hours = np.sort(np.append(np.arange(600), np.arange(0, 600, 25)))
    weather = np.where(np.diff(hours, prepend=-1) == 0, "Mist", "Rain")
    with pytest.raises(ValueError, match="24 rows of 624 repeat the time") as refused:
        plan({"hour since start": hours, "weather": weather})
    assert "would do" not in str(refused.value) and "may be a part" not in str(refused.value)


@pytest.mark.parametrize("names", [("RecordID", "Parameter"), ("patient", "analyte"), ("station", "pollutant")])
def test_the_way_out_of_a_long_table_keeps_patients_apart(tmp_path, names):
    people, times, parts = (
        part.ravel() for part in np.meshgrid(range(9), range(8), ["HR", "NO2", "Na"], indexing="ij")
    )
    columns = {names[0]: people.astype(int), "minute": times.astype(int), names[1]: parts}
    frame = pl.DataFrame(columns | {"value": np.random.default_rng(5).normal(size=len(parts))})
    frame.write_csv(tmp_path / "long.csv")
    with pytest.raises(ValueError, match="the table looks long") as refused:
        table.plan({"table": str(tmp_path / "long.csv"), "target": "value", "time": "minute"})
    pandas = pytest.importorskip("pandas")
    line = str(refused.value).split("in pandas: ")[1]
    wide = eval(line, {"table": pandas.read_csv(tmp_path / "long.csv")})
    assert len(wide) == 72 and {"HR", "NO2", "Na"} <= set(wide.columns)


@pytest.mark.parametrize(
    ("names", "told"), [(("family", "child"), True), (("herd_no", "cow"), True), (("dose", "rat"), False)]
)
def test_numbers_of_what_holds_several_are_told_and_no_features(plan, names, told):
    outer, inner, rows = (part.ravel() for part in np.meshgrid(range(6), range(4), range(15), indexing="ij"))
    numbers = np.random.default_rng(6).choice(np.arange(10_000, 99_999), 6, replace=False)
    columns = {names[1]: [f"A{4 * one + other}" for one, other in zip(outer, inner, strict=True)]}
    mapping, warnings = plan({names[0]: numbers[outer], **columns, "day": rows}, time="day")
    assert any(f"--group {names[0]},{names[1]} keeps them apart" in line for line in warnings) == told
    assert (names[0] in mapping["features"]) != told


def test_a_time_that_is_not_used_and_begins_again_is_told(plan):
    _, warnings = plan({"time_s": np.tile(0.5 * np.arange(40), 6)}, time=None)
    assert any("'time_s' begins again 5 times, first in line 42" in line for line in warnings)
    assert not plan({"time_s": 0.5 * np.arange(240)}, time=None)[1]


@pytest.mark.parametrize("name", ["race", "kind", "sex", "species", "diagnosis", "cat"])
def test_what_many_subjects_share_is_not_what_a_split_is_by(plan, name):
    shared = np.random.default_rng(8).choice(["A", "B", "C", "D"], 40)
    columns = {
        "patient_id": np.repeat(np.arange(40), 12),
        name: np.repeat(shared, 12),
        "hour": np.tile(np.arange(12), 40),
    }
    mapping, _ = plan(columns)
    assert mapping["group"] in ("patient_id", ["patient_id"]) and name in mapping["features"]


@pytest.mark.parametrize("trait", sorted(words._TRAITS))
def test_no_trait_names_whom(trait):
    assert not words.is_named(trait)
