"""Whose rows they are: subjects with few rows, tables of all first visits and then all second ones, reused numbers."""

import numpy as np
import polars as pl
import pytest
from drawn import beside_noise

from liquidbench.tasks import groups, hidden_groups, table, words


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


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["MRN", "participant", "customer_id", "Proband"])
@pytest.mark.parametrize("each", [2, 3, 7])
@pytest.mark.parametrize("dated", [True, False])
def test_few_rows_of_many_people_are_told_and_their_numbers_are_no_features(plan, name, each, dated):
    people = dealt(60, each)
    mapping, warnings = plan({name: people, **({"t": np.arange(len(people))} if dated else {})})
    assert mapping["group"] is None and mapping["features"] == ["x"]
    assert any(f"--group {name} keeps them apart" in line for line in warnings)


@pytest.mark.sampled(2)
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


@pytest.mark.sampled(2)
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


def panel(households=30, waves=6):
    """Persons of households, one to three in each, one row in each wave: their numbers, and the wave, from 0 on."""
    draws = np.random.default_rng(6)
    homes = [home for home in range(households) for _ in range(1 + home % 3)]
    inner = [person for home in range(households) for person in range(1 + home % 3)]
    homes, inner = np.repeat(homes, waves), np.repeat(inner, waves)
    given = np.sort(draws.choice(90_000, len(homes) // waves, replace=False) + 10_000)
    return 4 * homes + 301, inner + 1, np.repeat(given, waves), np.tile(np.arange(waves), len(given))


@pytest.mark.parametrize("year", ["syear", "intyear", "svyyear", "survey_year", "Befragungsjahr"])
@pytest.mark.parametrize("names", [("hhid", "pid"), ("famid", "person"), ("idhh", "pidp"), ("HHNR", "persnr")])
def test_persons_of_a_household_are_sequences_and_households_are_split(plan, year, names):
    homes, _, persons, waves = panel()
    mapping, _ = plan({names[1]: persons, year: 2009 + waves, names[0]: homes})
    assert mapping["group"] == [*names] and mapping["time"] == year and mapping["features"] == ["x"]


@pytest.mark.parametrize(("person", "count"), [("pid", "k"), ("person", "svy"), ("xwaveid", "visit_no")])
def test_persons_are_told_apart_by_whatever_begins_again_with_each(plan, person, count):
    homes, _, persons, waves = panel()
    mapping, warnings = plan({person: persons, count: 1 + waves**2, "hid": homes})
    assert mapping["group"] == ["hid", person]
    said = [line for line in warnings if f"--group hid,{person} --time {count} takes" in line]
    assert said or mapping["time"] == count
    assert plan({person: persons, count: 1 + waves**2, "hid": homes}, group=["hid", person], time=count)[0]["time"]


@pytest.mark.parametrize(("lap", "within"), [("lap", "sector"), ("day", "hour"), ("level", "step")])
def test_laps_within_a_group_are_no_persons_of_it(plan, lap, within):
    who, laps, rows = (part.ravel() for part in np.meshgrid(range(8), range(10), range(4), indexing="ij"))
    mapping, _ = plan({"driver": who, lap: laps + 1, within: rows + 1})
    assert mapping["group"] in ("driver", ["driver"])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("time", ["wave", "year", "k"])
@pytest.mark.parametrize("names", [("hhid", "pno"), ("village", "household"), ("clinic", "patient")])
def test_numbers_within_each_of_another_column_name_something_together(plan, names, time):
    homes, inner, _, waves = panel()
    columns = {names[0]: homes, names[1]: inner, time: 2012 + waves if time == "year" else 1 + waves}
    mapping, _ = plan(columns)
    assert mapping["group"] == [*names] and mapping["time"] == (None if time == "k" else time)
    assert not {*names} & {*mapping["features"]}
    for group in ([names[0]], [names[1]]):
        if time == "k":
            assert any(f"--group {','.join(names)} keeps" in line for line in plan(columns, group=group)[1])
    if time == "wave":
        with pytest.raises(ValueError, match=f"\\('{','.join(names)}' would do"):
            plan(columns, group=[names[0]])


def schools(schools=5, classes=3, pupils=7, waves=4):
    axes = [range(1, schools + 1), range(1, classes + 1), range(1, pupils + 1), range(1, waves + 1)]
    return dict(
        zip(("school", "class", "pupil", "wave"), map(np.ravel, np.meshgrid(*axes, indexing="ij")), strict=True)
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize("order", ["pupil by pupil", "wave by wave"])
@pytest.mark.parametrize("names", [("school", "class", "pupil"), ("Klinik", "ward", "patient")])
def test_three_columns_may_name_something_together(plan, names, order):
    columns = schools()
    rows = np.argsort(columns["wave"], kind="stable") if order == "wave by wave" else slice(None)
    columns = dict(zip((*names, "wave"), (column[rows] for column in columns.values()), strict=True))
    mapping, _ = plan(columns)
    assert mapping["group"] == [*names] and mapping["time"] == "wave" and mapping["features"] == ["x"]
    for group in ([names[2]], [names[0]], [names[0], names[2]]):
        asked = plan(columns, group=group, time=None)[1]
        assert any(f"--group {','.join(names)} keeps them apart, with --time wave" in line for line in asked)
    assert not any("come again in each" in line for line in plan(columns, group=names)[1])


@pytest.mark.parametrize("place", ["condition", "task", "activity", "day_type"])
def test_subjects_under_each_condition_are_the_same(plan, place):
    places, people, rows = (part.ravel() for part in np.meshgrid(range(4), range(9), range(6), indexing="ij"))
    mapping, warnings = plan({place: [f"c{one}" for one in places], "subject": people, "k": rows})
    assert place not in (mapping["group"] or [])[:1]
    assert not any("come again in each" in line for line in warnings)


@pytest.mark.parametrize("visit", ["visit", "VISITNUM", "visit_num", "session_num", "Encounter Number"])
def test_a_number_of_visits_is_one_under_each_of_its_names(plan, visit):
    columns = {"SUBJID": np.repeat(np.arange(40) + 101, 5), visit: np.tile(np.arange(5) + 1, 40)}
    mapping, warnings = plan(columns)
    assert mapping["group"] in ("SUBJID", ["SUBJID"])
    assert not any("named like an identifier" in line for line in warnings)


@pytest.mark.parametrize("visits", [["Screening", "Day 1", "Week 4", "Week 8"], ["V1", "V2", "V3", "V4"]])
def test_visits_of_each_subject_are_no_recordings(plan, visits):
    rows = np.random.default_rng(8).permutation(4 * 30)
    who = np.repeat([f"P-{number:03d}" for number in range(30)], 4)[rows]
    _, warnings = plan({"subject": who, "visit": np.tile(visits, 30)[rows]})
    assert any("--group subject keeps" in line for line in warnings)
    assert not any("--group visit keeps" in line for line in warnings)


def test_what_begins_again_within_a_recording_does_not_go_up_evenly(planned):
    columns = {"person": np.repeat(np.arange(60), 6), "k": np.tile(np.arange(6), 60)}
    lines = planned(beside_noise(columns)).lines
    assert not any(line.startswith("counts:") for line in lines)
    counted = planned(beside_noise({"person": np.repeat(np.arange(9), 40), "k": np.tile(np.arange(40), 9)})).lines
    assert any(line.startswith("counts: 'k' goes up evenly") for line in counted)


@pytest.mark.parametrize("name", ["hid", "hhid", "hidp", "hh", "HH", "famid", "household", "HHNR", "idhh", "hhno"])
def test_households_are_kept_whole_or_told(plan, name):
    homes, _, persons, waves = panel()
    mapping, warnings = plan({"pid": persons, "year": 2010 + waves, name: homes})
    assert mapping["features"] == ["x"]
    assert mapping["group"][0] == name or any(f"--group {name},pid keeps them apart" in line for line in warnings)


def test_waves_of_households_are_read_by_household(plan):
    homes, waves = np.repeat(np.arange(40) * 3 + 1001, 5), np.tile(np.arange(5) + 1, 40)
    mapping, _ = plan({"hh": homes, "wave": waves})
    assert mapping["group"] in ("hh", ["hh"]) and mapping["time"] == "wave"


def test_who_is_asked_wave_by_wave_is_told_by_any_name_within_a_household(plan):
    homes, _, persons, waves = panel()
    mapping, _ = plan({"resp": persons, "round": waves + 1, "hhid": homes})
    assert mapping["group"] == ["hhid", "resp"] and mapping["time"] == "round"


def test_hours_under_the_name_of_a_household_are_a_feature(plan):
    people, days = (part.ravel() for part in np.meshgrid(range(12), range(20), indexing="ij"))
    hours = np.random.default_rng(9).integers(0, 24, len(days))
    mapping, warnings = plan({"pid": people, "year": 1990 + days, "hh": hours})
    assert "hh" in mapping["features"] and not any("'hh'" in line for line in warnings)


def rides(names, vehicles=2, each=9, rows=12, first=1):
    """Rides of vehicles, numbered anew for each, whose times begin again."""
    of, ride, row = (part.ravel() for part in np.meshgrid(range(vehicles), range(each), range(rows), indexing="ij"))
    return {names[0]: [f"No. {'XYZVW'[one]}" for one in of], names[1]: ride + first, "t": 5 * row}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("names", [("Kennzeichen", "Fahrt"), ("plant", "shot_no"), ("who", "nr")])
def test_what_there_are_too_few_of_to_split_by_comes_last_in_a_proposal(plan, names):
    columns = rides(names)
    if names[0] == "plant":
        mapping, warnings = plan(columns)
        assert mapping["group"] == [*reversed(names)]
    else:
        with pytest.raises(ValueError, match=f"\\('{names[1]},{names[0]}' would do"):
            plan(columns)
        mapping, warnings = plan(columns, group=[*reversed(names)])
    (warning,) = [line for line in warnings if "too few to split by, so that no score tells of another one" in line]
    assert f"the same {names[0]!r} is in training and in test; its 2 values" in warning
    with pytest.raises(ValueError, match=f"or say --group {names[1]},{names[0]}, which has each {names[0]!r} in all"):
        plan(columns, group=[*names])


def test_a_split_by_what_is_numbered_anew_in_each_of_another_is_told():
    frame = pl.DataFrame(rides(("bus", "tour"), vehicles=5))
    assert groups.parted(frame, ("tour", "bus")) == ["bus"] and groups.parted(frame, ("bus", "tour")) == []
    sessions = pl.DataFrame(rides(("patient", "session"), vehicles=5, first=7))
    assert groups.parted(sessions.sample(fraction=1, shuffle=True, seed=2), ("session", "patient")) == ["patient"]
    # Subjects under several conditions, and pupils of a class who are numbered in it.
    again = pl.DataFrame(rides(("condition", "nr"), vehicles=3)).sort("nr", maintain_order=True)
    assert groups.parted(again, ("nr", "condition")) == [] == groups.parted(again, ("condition", "nr"))
    pupils = pl.DataFrame(rides(("class", "pupil"), vehicles=4))
    assert groups.parted(pupils, ("class", "pupil")) == []


@pytest.mark.parametrize(
    ("name", "values", "holds"),
    [
        ("tariff", ["basic", "plus", "pro"], False), ("area", ["EU", "US", "APAC", "LATAM"], False),
        ("channel", ["web", "shop", "phone"], False), ("Haus", ["Haus 1", "Haus 2", "Haus 3"], True),
        ("hospital", ["North", "South", "East"], True), ("origin", [*"abcdefghijklmnopqrstuvwx"], True),
    ],
)  # fmt: skip
def test_words_that_come_again_among_the_groups_are_what_is_known_of_them(name, values, holds):
    who = np.repeat(np.arange(96), 5)
    frame = pl.DataFrame({"client": who, name: [values[one * 7 % len(values)] for one in who], "y": 0.0})
    assert groups.coarser(frame, ("client",), "y", None) == [name] * holds
    assert groups.coarser(frame.sort(name, maintain_order=True), ("client",), "y", None) == [name]


@pytest.mark.parametrize("name", ["Spieler", "HomeTeam", "product line"])
def test_names_of_what_is_measured_each_day_are_no_part_of_the_time(plan, name):
    days = [f"2023-03-{1 + row // 9:02d}" for row in range(180)]
    half = [f"{'HDA'[row * row % 7 % 3]}" for row in range(180)]
    with pytest.raises(ValueError, match="repeat the time") as refused:
        plan({"Date": days, name: [f"{'ABCDEFGHI'[row % 9]}. Meier" for row in range(180)], "half": half})
    assert "may be a part" not in str(refused.value) and f"--group ('{name}' would do)" in str(refused.value)


@pytest.mark.parametrize("names", [("Block", "Plot", "N_rate"), ("tray", "light", "pos in tray")])
def test_what_was_done_to_each_plot_of_a_block_tells_no_recordings(plan, names):
    block, plot, week = (part.ravel() for part in np.meshgrid(range(4), range(6), range(9), indexing="ij"))
    content = {"Block": block + 1, "Plot": plot + 1, "N_rate": 20 * ((5 * plot + block) % 6)}
    content |= {"tray": block + 1, "pos in tray": plot + 1, "light": content["N_rate"]}
    with pytest.raises(ValueError, match="repeat the time") as refused:
        plan({**{name: content[name] for name in names}, "Date": [f"2023-05-{1 + one:02d}" for one in week]})
    number = next(name for name in names if name[0] in "Pp")
    assert f"--group ('{names[0]},{number}' would do)" in str(refused.value)
    frame = pl.DataFrame(content)
    assert groups.numbered_by(frame, ("Plot", "N_rate"), "y", None) == "Block"
    assert groups.numbered_by(frame.drop("tray"), ("Block", "Plot"), "y", None) is None
    # Subjects who come again in each phase, under another condition.
    phases = frame.select(phase=pl.col("Block"), who=pl.col("Plot"), condition=pl.col("Block") * 7 % 4)
    assert groups.numbered_by(phases, ("who", "condition"), "y", None) is None


@pytest.mark.parametrize("lacking", [0, 20])
def test_rounds_of_what_was_written_together_are_no_recordings(plan, lacking):
    rounds, tanks = (part.ravel() for part in np.meshgrid(range(40), range(9), indexing="ij"))
    kept = np.sort(np.random.default_rng(4).permutation(360)[lacking:])
    level = 9 * tanks + np.cumsum(np.random.default_rng(5).normal(size=360).reshape(40, 9), axis=0).ravel()
    columns = {"t": np.arange(360), "pass": rounds + 31, "tank": [f"T{one}" for one in tanks], "level": level.round(2)}
    _, warnings = plan({name: np.asarray(column)[kept] for name, column in columns.items()})
    assert any("--group tank keeps them apart" in line for line in warnings)
    assert not any("--group pass" in line for line in warnings)


def test_days_since_something_tell_no_group():
    herds, days = (part.ravel() for part in np.meshgrid(range(7), range(30), indexing="ij"))
    age = days + 10 * herds
    level = np.random.default_rng(6).normal(size=(7, 30)).round(3)
    level[3] = level[[0, 1, 2, 4, 5, 6]].mean(axis=0)
    frame = pl.DataFrame({"herd": [f"H{one}" for one in herds], "day": days, "age": age, "y": 0.0})
    assert hidden_groups.totals(frame, ("herd",), "day") == {}
    assert hidden_groups.totals(frame.with_columns(age=pl.Series(level.ravel())), ("herd",), "day")


@pytest.mark.parametrize(("counter", "block"), [("Trial", "Block"), ("shot", "stint")])
def test_numbers_of_trials_that_begin_again_in_each_block_are_no_meter(plan, counter, block):
    who, of, row = (part.ravel() for part in np.meshgrid(range(8), range(2), range(40), indexing="ij"))
    columns = {"subject": who, block: of + 1, counter: row + 1}
    assert not any("as a meter that was reset" in line for line in plan(columns)[1])
    meter = np.cumsum(np.random.default_rng(3).random(640).reshape(8, 2, 40), axis=2).ravel().round(2)
    assert any("as a meter that was reset" in line for line in plan(columns | {counter: meter})[1])


@pytest.mark.parametrize(("apart", "told"), [(3600, True), (1200, True), (None, False)])
def test_an_hour_more_is_told_only_where_spans_hardly_vary(warnings, apart, told):
    draws = np.random.default_rng(8)
    spans = np.full(400, apart) if apart else draws.integers(2400, 4800, 400)
    # A Sunday in March.
    at = int(np.searchsorted(np.cumsum(spans), 5 * 86_400 + 1.5 * 3600))
    spans[at] = 4780 if apart is None else apart + 3600
    first = np.datetime64("2023-03-21T00:00:00") + np.cumsum(spans).astype("timedelta64[s]")
    frame = beside_noise({"when": [str(one).replace("T", " ") for one in first]})
    assert any("an hour ahead" in line for line in warnings(frame)) == told


OTHERS = {name: 20 for name in ("A411", "A412", "A413", "A414", "A415", "A416")}
NAMES = {name: 20 for name in ("Anna", "Ben", "Carl", "Dora", "Noah")}
NUMBERS = {str(number): 20 for number in range(411, 420)}
NOBODIES = {
    "a word": (OTHERS | {"unknown": 12}, ["unknown"]),
    "two words": (OTHERS | {"not tagged": 12, "keine Angabe": 9}, ["not tagged", "keine Angabe"]),
    "a dash": (OTHERS | {"-": 5}, ["-"]),
    "a word that says something else, in many rows": (OTHERS | {"pooled": 60}, ["pooled"]),
    "a number among names": (NAMES | {"999": 20}, ["999"]),
    "others among names": (NAMES | {"other": 20}, ["other"]),
    "0": (NUMBERS | {"0": 9}, ["0"]),
    "-1": ({str(number): 20 for number in range(9)} | {"-1": 3}, ["-1"]),
    "9999": (NUMBERS | {"9999": 9}, ["9999"]),
    "0 beside 1, in many rows": ({str(number): 20 for number in range(1, 20)} | {"0": 50}, ["0"]),
    "numbers from 0 on": ({str(number): 20 for number in range(20)}, []),
    "numbers on to 100": ({str(number): 20 for number in range(90, 101)}, []),
    "from 0, with gaps": ({number: 20 for number in "02356"}, []),
    "on both sides of 0": ({str(number): 20 for number in range(-3, 4)}, []),
    "names of horses": ({name: 20 for name in ("No Limit", "Sin City", "Other Side", "Blue")}, []),
    "a plot of reference": (OTHERS | {"Ref": 20}, []),
    "degrees": ({name: 20 for name in ("-", "+", "++", "+++")}, []),
    "one that stayed longer": (NUMBERS | {"427": 90}, []),
}


@pytest.mark.parametrize("case", NOBODIES)
def test_groups_that_stand_for_nobody(case):
    rows, found = NOBODIES[case]
    assert groups.nobodies(rows) == found


@pytest.mark.parametrize(("nobody", "asked"), [("unknown", {}), (0, {"group": ["ring_id"]})])
def test_rows_of_nobody_that_count_as_a_group_are_warned_of(plan, nobody, asked):
    names = [411 + place if nobody == 0 else f"BX{411 + place}" for place in range(12)]
    rings = np.repeat([*names, nobody], [*[20] * 12, 45])
    days = np.concatenate([np.arange(20)] * 12 + [np.arange(45)])
    mapping, warnings = plan({"ring_id": rings, "day": days}, **asked)
    assert mapping["group"] == "ring_id"
    (line,) = [line for line in warnings if "as one 'ring_id' like others" in line]
    assert f"{nobody!r} in 45 rows of 'ring_id'" in line and "no other 'ring_id' has more than 20 rows" in line
    assert line.endswith(f"table = table[table['ring_id'] != {nobody!r}]")
