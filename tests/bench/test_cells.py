"""What single cells may be: marks of missing ones among words, codes beside scales, amounts with signs and units."""

import numpy as np
import polars as pl
import pytest
from drawn import ROWS, frame_of, signal

from liquidbench.tasks import columns, table


def warned(plan, *words):
    return [line for line in plan.lines if line.startswith("warning: ") and all(word in line for word in words)]


def some(seed, values, rows=ROWS):
    return np.random.default_rng(seed).choice(values, size=rows)


def with_cells(seed, values, cell, share=0.06):
    """Values of which a share, here and there, is a cell; and how many are."""
    draws = np.random.default_rng(seed)
    there = draws.random(len(values)) < share
    return np.where(there, cell, values), int(there.sum())


# Numbers that have too many digits


def test_numbers_of_many_digits_stay_text_though_they_are_all_distinct(planned):
    draws = np.random.default_rng(3)
    cells = [f"4{draws.integers(10**9, 10**10)}{draws.integers(10**10, 10**11)}" for _ in range(ROWS)]
    plan = planned(frame_of(token=cells, x=signal(1).round(3), y=signal(2).round(3)))
    assert f"file: 'token' is read as text, since numbers would not keep all digits, as of '{cells[0]}'" in plan.lines
    assert any(line.startswith("left out: 'token'") for line in plan.lines)


# Marks of missing cells among words

CERTAIN = ["n/a", "N.A.", "N/a", "--", "Not Available", "no data", "NO DATA", "K.A.", "unavailable", "Undefined"]
DOUBTFUL = ["-", ".", "Unknown", "UNK", "missing", "*", "None", "nil", "tbd", "-9", "999", "0"]
STATES = ["drive", "park", "charge"]


def of_states(marks):
    """A column of words for each mark, which some of its cells hold; how many do; and the table of the columns."""
    made = {f"state {place}": with_cells(place, some(50 + place, STATES), mark) for place, mark in enumerate(marks)}
    counts = {name: (mark, count) for (name, (_, count)), mark in zip(made.items(), marks, strict=True)}
    return counts, frame_of(x=signal(1).round(3), **{name: cells for name, (cells, _) in made.items()})


@pytest.mark.parametrize("target", ["x", "state 0"])
def test_certain_marks_are_missing_among_words(planned, target):
    counts, frame = of_states(CERTAIN)
    plan = planned(frame, target)
    for name, (mark, count) in counts.items():
        told = f"file: {mark!r} in {count} cells of {name!r} means missing (--missing {name}= makes it a value)"
        assert told.replace(f"{name}=", f"'{name}='") in plan.lines
    (features,) = [line for line in plan.lines if line.startswith("features: ")]
    assert features.count("3 columns of 0 and 1, one for each of 'charge', 'drive', 'park'") >= len(CERTAIN) - 1
    if target != "x":
        assert plan.task.classes == tuple(sorted(STATES))
    kept = planned(frame, target, missing=[f"{name}=" for name in counts])
    assert not [line for line in kept.lines if "means missing" in line or "no value" in line]


@pytest.mark.parametrize("target", ["x", "state 0"])
def test_doubtful_marks_stay_with_a_warning(planned, target):
    counts, frame = of_states(DOUBTFUL)
    plan = planned(frame, target)
    for name, (mark, count) in counts.items():
        (line,) = warned(plan, repr(name), "that there is no value")
        what = "class" if name == target else "category"
        assert line.startswith(
            f"warning: {mark!r} in {count} rows of {name!r} counts as a {what}; if it means that there"
        )
        assert columns.option(name, mark) in line


VALUES = [
    ["none", "rain", "none", "none", "hail"], ["-", "+", "++", "--"], ["none", "mild", "severe", "severe"],
    ["N", "R", "S"], ["2", "3", "4 or more"], ["Ohio", "Nebraska"], ["ok", "-"], ["None", "Rain", "Hail"],
]  # fmt: skip


def test_values_like_marks_are_not_warned_of(planned):
    states = {f"state {place}": some(6, values) for place, values in enumerate(VALUES)}
    plan = planned(frame_of(x=signal(1).round(3), y=signal(2).round(3), **states))
    assert not warned(plan, "'state")
    assert not [line for line in plan.lines if "means missing" in line]


# What ends, and what parts of a split know


def test_features_that_are_measured_no_more_are_warned_of(planned):
    level = (12 + 2 * signal(7)).round(2)
    gone = [None if row > 220 else value for row, value in enumerate(level.tolist())]
    late = [None if row > 390 else value for row, value in enumerate(level.tolist())]
    off = np.where(np.arange(ROWS) > 300, 0, level)
    plan = planned(frame_of(gone=gone, late=late, off=off, y=signal(2).round(3)))
    (line,) = warned(plan, "'gone'")
    assert line.startswith("warning: 'gone' has no value in the validation and test parts, so")
    (line,) = warned(plan, "'off'", "to the end")
    assert line.startswith("warning: 'off' is 0 in all rows from line 303 to the end, and changed before")
    assert not warned(plan, "'late'")


def test_what_rests_as_long_before_has_not_ended(planned):
    draws = np.random.default_rng(8)
    rain = np.where(np.arange(ROWS) % 140 < 110, 0, draws.gamma(1, 5, ROWS)).round(1)[::-1]
    flag = np.arange(ROWS) < 200
    plan = planned(frame_of(rain=rain, flag=flag.astype(int), y=signal(2).round(3)))
    assert not warned(plan, "'rain'") and not warned(plan, "to the end")


def test_parts_with_few_rows_of_a_class_are_told(planned):
    rare = np.where(np.isin(np.arange(ROWS), [20, 30, 40, 50, 60, 70, 300, 310, 400]), "leak", "sound")
    (line,) = warned(planned(frame_of(x=signal(1).round(3), y=rare)), "of 'leak'")
    assert line.startswith(
        "warning: the validation part has 2 rows of 'leak'; the test part has 1 row of 'leak': too few to tell how"
    )
    often = some(3, ["leak", "sound"])
    assert not warned(planned(frame_of(x=signal(1).round(3), y=often)), "too few")


def test_parts_that_seldom_know_the_target_are_told(planned):
    y = signal(2).round(3).tolist()
    plan = planned(
        frame_of(x=signal(1).round(3), y=[v if row < 340 or row % 9 == 0 else None for row, v in enumerate(y)])
    )
    (line,) = warned(plan, "is known in only")
    rows = len(plan.task.recordings("test")[0])
    known = sum(row % 9 == 0 for row in range(ROWS - rows, ROWS))
    assert f"'y', is known in only {known} of the {rows} rows of the test part; no other rows" in line
    half = planned(frame_of(x=signal(1).round(3), y=[v if row % 3 else None for row, v in enumerate(y)]))
    assert not warned(half, "is known in only")


def test_empty_cells_between_faults_may_be_a_class(planned):
    begins = np.random.default_rng(8).choice(ROWS // 4, ROWS // 14, replace=False) * 4
    cells = [("leak", "heat")[row % 8 == 0] if row in begins else None for row in range(ROWS)]
    (line,) = warned(planned(frame_of(x=signal(1).round(3), y=cells)), "is known in only")
    assert line.endswith("it is a class too: give it a name of its own first, in pandas: table['y'] = "
                         "table['y'].fillna('none')")  # fmt: skip
    # Every ninth row was labelled.
    cells = [("leak", "heat")[row % 2] if row % 9 == 0 else None for row in range(ROWS)]
    assert not any("a class too" in line for line in planned(frame_of(x=signal(1).round(3), y=cells)).lines)


# Codes beside numbers


def suspected(values):
    """The codes that are suspected in a column of numbers, and the range of all others."""
    found = columns.sentinels(pl.Series("answer", values))
    return sorted(sentinel.value for sentinel in found), {(sentinel.least, sentinel.most) for sentinel in found}


CODED = {
    "wages": (lambda g, n: g.integers(600, 9000, n), [-1, -3, -8]),
    "hours": (lambda g, n: g.integers(0, 45, n), [-1, -2, -7, -9]),
    "a scale": (lambda g, n: g.integers(1, 8, n), [-2, -1]),
    "a scale from 0": (lambda g, n: g.integers(0, 7, n), [-1]),
    "decimals": (lambda g, n: g.uniform(0, 30, n).round(1), [-3]),
    "counts": (lambda g, n: g.poisson(6, n), [-1]),
    "yes and no": (lambda g, n: g.integers(0, 2, n), [8, 9]),
    "sexes": (lambda g, n: g.integers(1, 3, n), [7, 9]),
    "answers": (lambda g, n: g.integers(1, 5, n), [7, 8, 9]),
    "four answers": (lambda g, n: g.integers(0, 5, n), [8]),
}


@pytest.mark.parametrize(("made", "codes"), CODED.values(), ids=CODED)
def test_codes_beside_numbers_are_suspected_together(made, codes):
    draws = np.random.default_rng(11)
    values = made(draws, ROWS).astype(float)
    rest = values.min(), values.max()
    for code in codes:
        values[draws.integers(0, ROWS, 9)] = code
    assert suspected(values) == (sorted(codes), {rest})


USUAL = {
    "falling counts": lambda g, n: np.minimum(g.geometric(0.4, n) - 1, 9),
    "rare counts": lambda g, n: g.negative_binomial(0.5, 0.4, n),
    "differences": lambda g, n: np.round(g.normal(2, 1.5, n)),
    "goals": lambda g, n: g.poisson(1.4, n) - g.poisson(1.1, n),
    "whole degrees": lambda g, n: np.round(8 + 5 * signal(int(g.integers(1000)), n)),
    "answers on both sides": lambda g, n: g.integers(-2, 3, n),
    "directions": lambda g, n: g.integers(-1, 2, n),
    "modes that last": lambda g, n: np.repeat(g.choice([0, 1, 2, 8], n // 6 + 1, p=[0.4, 0.3, 0.25, 0.05]), 6)[:n],
    "eighths of the sky": lambda g, n: g.choice(9, n, p=[0.2, 0.1, 0.08, 0.07, 0.07, 0.08, 0.1, 0.15, 0.15]),
    "dice": lambda g, n: g.integers(1, 7, n) + g.integers(1, 7, n),
}


@pytest.mark.parametrize("made", USUAL.values(), ids=USUAL)
def test_counts_differences_and_states_have_no_codes(made):
    found = [suspected(made(np.random.default_rng([seed, 3]), 200 + 40 * seed))[0] for seed in range(12)]
    assert not any(found)


# Zeros that are no amounts, and what thermometers give out


@pytest.mark.parametrize(
    ("name", "made", "zeros"),
    [
        ("pulse", lambda g, n: g.normal(70, 9, n).round(), 5),
        ("HeartRate", lambda g, n: (66 + 9 * signal(3, n)).round(), 4),
        ("Age", lambda g, n: g.integers(19, 93, n), 90),
        ("unit_price", lambda g, n: g.lognormal(4, 0.5, n).round(2), 120),
        ("SkinThickness", lambda g, n: g.normal(28, 7, n).clip(8, 60).round(), 200),
        ("strength", lambda g, n: g.lognormal(5, 0.4, n).round(), 12),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_zeros_that_are_no_amounts_are_suspected(name, made, zeros):
    draws = np.random.default_rng(12)
    values = made(draws, 900).astype(float)
    values[draws.choice(900, zeros, replace=False)] = 0
    (sentinel,) = columns.sentinels(pl.Series(name, values))
    assert (sentinel.value, sentinel.count) == (0, zeros)


def test_amounts_of_nothing_are_not_suspected():
    for seed in range(8):
        draws = np.random.default_rng([seed, 9])
        there = draws.random(600)
        made = {
            "rain": np.where(there < 0.8, 0, draws.gamma(0.5, 8, 600)).round(1),
            "rare_rain": np.where(there < 0.03, 0, draws.gamma(0.5, 8, 600)).round(1),
            "sales": np.where(there < 0.3, 0, draws.lognormal(4, 0.6, 600)).round(2),
            "energy_price": (30 + 25 * signal(seed, 600)).round(),
            "age": draws.integers(0, 90, 600),
            "insulin_dose": np.where(there < 0.9, 0, draws.integers(4, 30, 600)),
        }
        assert not [name for name, values in made.items() if columns.sentinels(pl.Series(name, values.astype(float)))]


@pytest.mark.parametrize("value", [85.0, -40.0, -55.0, 100.0, 125.0])
def test_what_thermometers_give_out_is_suspected(value):
    temperature = (18 + 9 * signal(5, keeps=0.98)).round(2)
    odd = temperature.copy()
    odd[[70, 230, 231]] = value
    (sentinel,) = columns.sentinels(pl.Series("water_temp", odd))
    assert (sentinel.value, sentinel.count) == (value, 3)
    assert not columns.sentinels(pl.Series("water_temp", temperature))


def test_a_thermometer_that_is_led_there_is_right():
    oven = (60 + 40 * np.sin(np.arange(ROWS) / 9)).round().clip(25, 85)
    kettle = (92 + 9 * signal(6, keeps=0.97)).round()
    for values in (oven, kettle):
        assert not columns.sentinels(pl.Series("temp", values))


# Amounts with signs, currencies and units

AMOUNTS = {
    "minus before": (["$8.50", "-$5.20", "$1,200.00"], [8.5, -5.2, 1200.0]),
    "minus behind": (["£8.50", "£-5.20", "£3.00"], [8.5, -5.2, 3.0]),
    "booked": (["€8.50", "(€5.20)", "€(3.00)"], [8.5, -5.2, -3.0]),
    "booked with a unit": (["8.5%", "(5.2%)", "3%"], [8.5, -5.2, 3.0]),
    "booked in front of a currency": (["8,50 €", "(5,20 €)", "0,75 €"], [8.5, -5.2, 0.75]),
    "long dashes": (["8.5", "\u20145.2", "\uff0d3"], [8.5, -5.2, -3.0]),
    "a dash apart": (["$ 8.50", "- $ 5.20", "- $3.00"], [8.5, -5.2, -3.0]),
    "no cents": (["8.50", "5.-", "3.\u2013"], [8.5, 5.0, 3.0]),
    "rupees": (["Rs. 8.50", "Rs. 12,34,567", "-Rs. 3"], [8.5, 1234567.0, -3.0]),
    "zlotys": (["8,50 zł", "1 205,20 zł", "-0,75 zł"], [8.5, 1205.2, -0.75]),
    "yen": (["850円", "-520円", "3円"], [850, -520, 3]),
    "days": (["8 days", "1 day", "30 days"], [8, 1, 30]),
    "decibels": (["-85 dBm", "-52 dBm", "-103 dBm"], [-85, -52, -103]),
    "air": (["8.5 µg/m³", "5.2 µg/m³", "3.0 µg/m³"], [8.5, 5.2, 3.0]),
    "full width": (["8.5％", "5.2％", "3.0％"], [8.5, 5.2, 3.0]),
}


@pytest.mark.parametrize(("cells", "expected"), AMOUNTS.values(), ids=AMOUNTS)
def test_amounts_are_read_with_their_signs_and_units(tmp_path, cells, expected):
    path = tmp_path / "amounts.csv"
    pl.DataFrame({"amount": 8 * cells, "row": range(8 * len(cells))}).write_csv(path)
    found = columns.read(path)
    assert found.frame["amount"].to_list() == 8 * expected
    assert not found.warnings


def test_cells_without_the_unit_of_the_others_are_said(tmp_path):
    path = tmp_path / "units.csv"
    cells = [f"{20 + row % 9}%" for row in range(60)]
    cells[17] = "0.21"
    pl.DataFrame({"share": cells, "row": range(60)}).write_csv(path)
    (remark,) = columns.read(path).remarks
    assert remark == "file: 'share' is written with '%' after its numbers, but for 1 such as '0.21', taken for the same"


@pytest.mark.parametrize(("name", "unit"), [("air temperature", "K"), ("Temp", "K"), ("resistance", "M"), ("res", "k")])
def test_letters_behind_numbers_are_units_of_what_is_named(tmp_path, name, unit):
    path = tmp_path / "units.csv"
    pl.DataFrame({name: [f"{293 + row / 7:.2f} {unit}" for row in range(40)], "row": range(40)}).write_csv(path)
    found = columns.read(path)
    assert found.frame[name][7] == 294.0 and found.units == {name: unit}
    pl.DataFrame({"followers": [f"{293 + row / 7:.2f}K" for row in range(40)], "row": range(40)}).write_csv(path)
    assert "'e3'" in columns.read(path).spoilt["followers"]


# Numbers and words in one column


@pytest.mark.parametrize(
    "values",
    [["P", "R", "1", "2", "3", "4"], ["EG", "1", "2", "UG"], ["1", "2", "2b", "3"], ["1A", "1B", "2A", "3C"]],
    ids="".join,
)
@pytest.mark.parametrize("target", ["y", "stage"])
def test_codes_among_few_numbers_make_categories(planned, values, target):
    plan = planned(frame_of(x=signal(1).round(3), stage=some(14, values), y=signal(2).round(3)), target)
    if target == "y":
        names = ", ".join(map(repr, sorted(values)))
        assert any(
            f"'stage' as {len(values)} columns of 0 and 1, one for each of {names}" in line for line in plan.lines
        )
    else:
        assert plan.task.classes == tuple(sorted(values))
    if len(set(values) & set("1234")) > 2:
        assert any(line.startswith("file: 'stage' holds ") and "taken for categories" in line for line in plan.lines)


def test_rare_words_among_numbers_stay_missing(planned):
    answers = some(15, ["1", "2", "3", "4", "5"])
    for word in ("DK", "error"):
        cells, count = with_cells(16, answers, word, 0.03)
        plan = planned(frame_of(x=cells, y=signal(2).round(3)))
        assert warned(plan, f"'x' holds no number in {count} cells of {ROWS}, read as missing")


def test_many_floors_with_words_may_be_merged(planned):
    cells, _ = with_cells(16, some(15, [str(floor) for floor in range(1, 15)]), "EG", 0.2)
    plan = planned(frame_of(floor=cells, x=signal(1).round(3), y=signal(2).round(3)))
    assert any("merge them into ten categories" in line for line in plan.lines if line.startswith("left out"))


# Lengths of time

LENGTHS = {
    "minutes": (lambda s: f"{s // 60}:{s % 60:02}", lambda s: s),
    "hours": (lambda s: f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}", lambda s: s),
    "ISO 8601": (lambda s: f"PT{s % 90}M", lambda s: 60 * (s % 90)),
    "days": (lambda s: f"{s % 4}.{s // 300:02}:00:00", lambda s: 86400 * (s % 4) + 3600 * (s // 300)),
}


@pytest.mark.parametrize(("write", "length"), LENGTHS.values(), ids=LENGTHS)
def test_lengths_of_time_are_left_out_with_the_line_that_makes_seconds(planned, write, length):
    pandas = pytest.importorskip("pandas")
    seconds = some(17, np.arange(90, 1400))
    frame = frame_of(lap=[write(int(s)) for s in seconds], x=signal(1).round(3), y=signal(2).round(3))
    (line,) = [line for line in planned(frame).lines if line.startswith("left out")]
    code = line.split("in pandas: ")[1].split(", as minutes")[0]
    made = {"table": pandas.DataFrame({"lap": frame["lap"].to_list()}), "pandas": pandas}
    exec(code, made)
    assert made["table"]["lap"].to_list() == length(seconds).tolist()
    with pytest.raises(ValueError, match="to_timedelta"):
        planned(frame, "lap")


# Columns that change places, versions, and numbers that are too large


@pytest.mark.parametrize("target", ["y", "flow"])
def test_columns_that_change_places_are_warned_of(planned, target):
    flow, level = (12 + signal(1)).round(2), (60 + 7 * signal(2)).round(2)
    after = np.arange(ROWS) >= 250
    flow, level = np.where(after, level, flow), np.where(after, flow, level)
    plan = planned(frame_of(flow=flow, level=level, x=signal(4).round(3), y=signal(3).round(3)), target)
    (line,) = warned(plan, "change places")
    assert "'flow'" in line and "'level'" in line and "from line 252 on" in line


def test_columns_that_rise_and_fall_together_keep_their_places(planned):
    heat = np.where(np.arange(ROWS) >= 250, 80, 20) + 2 * signal(1)
    cold = np.where(np.arange(ROWS) >= 250, 4, 15) + signal(2)
    plan = planned(frame_of(heat=heat.round(2), cold=cold.round(2), y=signal(3).round(3)))
    assert not warned(plan, "change places")


def test_versions_stay_text(planned):
    plan = planned(
        frame_of(firmware=some(18, ["1.9", "1.10", "1.1"]), x=some(19, ["1.9", "1.10"]), y=signal(2).round(3))
    )
    assert any(
        "'firmware' as 3 columns of 0 and 1, one for each of '1.1', '1.10', '1.9'" in line for line in plan.lines
    )
    assert any("1 column of numbers ('x')" in line for line in plan.lines)


def test_an_infinite_value_is_refused_with_the_option_that_makes_it_missing(planned):
    cells = np.where(np.arange(ROWS) == 30, 1e77, signal(1).round(3))
    frame = frame_of(x=cells, y=signal(2).round(3))
    with pytest.raises(ValueError, match="--missing x=1e\\+77 makes them missing"):
        planned(frame)
    assert planned(frame, missing=["x=1e+77"])


@pytest.mark.parametrize(
    ("end", "told"), [("4", True), ("41.", True), ("41.3", True), ("4\n", False), ("41.27", False)]
)
def test_a_file_that_ends_within_a_number_is_warned_of(tmp_path, end, told):
    draws = np.random.default_rng(9)
    rows = [f"{row},{draws.normal():.3f},{40 + draws.normal():.1f}5" for row in range(60)]
    (tmp_path / "cut.csv").write_text("\n".join(["t,x,y", *rows, f"60,0.125,{end}"]))
    plan = table.plan({"table": str(tmp_path / "cut.csv"), "target": "y", "kind": "regression"})
    assert bool(warned(plan, "without a line end")) == told
