"""Columns that are partly in another unit: which conversions count, what is found, and what is left alone."""

import numpy as np
import polars as pl
import pytest
from drawn import ROWS, frame_of, signal


def later(row, values, convert):
    return np.where(np.arange(len(values)) < row, values, convert(values))


UNITS = {
    "Celsius to Fahrenheit": (12 + 4 * signal(1), lambda x: 1.8 * x + 32, "°F, the rest in °C"),
    "Kelvin to Celsius": (288 + 3 * signal(2), lambda x: x - 273.15, "°C, the rest in K"),
    "Wh to MWh": (4e6 * np.exp(0.3 * signal(3)), lambda x: x / 1e6, "numbers 1,000,000 times as small as the rest"),
    "percent to shares": (60 + 4 * signal(4), lambda x: x / 100, "numbers 100 times as small as the rest"),
    "noise in g, then in kg": (
        500 + 60 * signal(5, keeps=0),
        lambda x: x / 1000,
        "numbers 1,000 times as small as the rest",
    ),
    "mg/dL to mmol/L": (120 * np.exp(0.2 * signal(6)), lambda x: x / 18.016, "mmol/L, the rest in mg/dL"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("values", "convert", "what"), UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("row", [130, 370])
def test_a_unit_that_changes_midway_is_warned_of(warnings, values, convert, what, row):
    mixed = later(row, values, convert).round(6)
    for columns in ({"x": mixed, "y": signal(9).round(3)}, {"other": signal(9).round(3), "x": mixed}):
        target = "y" if "y" in columns else "x"
        (warning,) = [warning for warning in warnings(frame_of(**columns), target) if "another unit" in warning]
        assert warning.startswith(f"'x' goes on in another unit from line {row + 2} on, as it seems (")
        assert what in warning


def test_units_are_looked_at_within_each_recording(warnings):
    values = np.concatenate([later(60, 20 + 2 * signal(seed, 100), lambda x: 1.8 * x + 32) for seed in range(5)])
    frame = pl.DataFrame(
        {
            "machine": np.repeat([f"m{k}" for k in range(5)], 100),
            "t": np.tile(np.arange(100), 5),
            "temp": values.round(3),
        }
    ).with_columns(y=pl.Series(signal(7, 500).round(3)))
    (warning,) = [warning for warning in warnings(frame) if "another unit" in warning]
    assert "'temp' goes on in another unit from line 62 on" in warning and "and so in 4 more recordings" in warning


def of_many(seed, name, values, step, shared=True, each=10, recordings=40):
    """A table of short recordings, each level times noise, which step from the same visit or time on."""
    draws = np.random.default_rng(seed)
    day = np.repeat(draws.integers(0, 20 if shared else 3000, recordings), each) + 60 * np.tile(
        np.arange(each), recordings
    )
    noise = np.exp(0.06 * draws.normal(size=recordings * each))
    level = np.repeat(np.exp(0.2 * draws.normal(size=recordings)), each)
    numbers = step(
        values * level * noise,
        np.tile(np.arange(each) >= 6, recordings),
        np.repeat(draws.normal(size=recordings), each),
    )
    frame = {"patient": np.repeat(np.arange(recordings), each), "day": day, name: numbers.round(2)}
    return pl.DataFrame(frame).with_columns(y=pl.Series(signal(seed, recordings * each).round(3)))


OF_MANY = {
    "HbA1c": (7.5, lambda x, late, _: np.where(late, 10.93 * x - 23.5, x), True, "mmol/mol, the rest in %"),
    "glucose": (6, lambda x, late, _: np.where(late, 18 * x, x), True, "mg/dL, the rest in mmol/L"),
    "x": (40, lambda x, late, _: np.where(late, x / 10, x), True, "numbers 10 times as small as the rest"),
    "weight": (80, lambda x, late, _: np.where(late, 2.2046 * x, x), False, "lb, the rest in kg"),
    "temp": (9, lambda x, late, _: np.where(late, 1.8 * x + 32, x), False, "°F, the rest in °C"),
}


@pytest.mark.parametrize("name", OF_MANY)
def test_a_unit_that_changes_in_many_short_recordings_is_warned_of(warnings, name):
    values, step, shared, what = OF_MANY[name]
    for target in ("y", name):
        found = warnings(of_many(3, name, values, step, shared), target, group="patient", time="day")
        (warning,) = [warning for warning in found if "another unit" in warning]
        assert warning.startswith(f"{name!r} goes on in another unit from line 8 on, as it seems (such as {what}")
        assert ("at about the same 'day'" in warning) == shared and "in 39 more recordings" in warning


def test_a_unit_may_change_in_half_of_the_recordings(warnings):
    def step(x, late, own):
        return np.where(late & (own > 0), 88.42 * x, x)

    (warning,) = [said for said in warnings(of_many(3, "creatinine", 1, step), group="patient") if "unit" in said]
    assert "µmol/L, the rest in mg/dL" in warning and "in 39 more" not in warning


OF_MANY_IN_ONE = {
    "a device that reads higher": ("x", lambda x, late, _: np.where(late, 1.3 * x, x)),
    "a treatment": ("HbA1c", lambda x, late, own: np.where(late, 0.75 * x + 0.1 * own, x)),
    "an infection that is treated": ("load", lambda x, late, own: np.where(late, x * np.exp(-4.6 + 0.9 * own), x)),
    "fewer visits for a while": ("visits", lambda x, late, _: np.where(late, x / 3, x).round()),
    "growth": ("mass", lambda x, late, _: x * np.exp(0.8 * np.tile(np.arange(10), 40))),
    "nothing": ("glucose", lambda x, late, _: x),
}


@pytest.mark.parametrize("case", OF_MANY_IN_ONE)
def test_what_changes_in_many_short_recordings_may_be_in_one_unit(warnings, case):
    name, step = OF_MANY_IN_ONE[case]
    for shared in (True, False):
        found = warnings(of_many(4, name, 8, step, shared), group="patient", time="day")
        assert not [warning for warning in found if "another unit" in warning]


def within(blocks, values, convert):
    rows = np.arange(len(values))
    odd = np.any([(first <= rows) & (rows < end) for first, end in blocks], axis=0)
    return np.where(odd, convert(values), values)


BLOCKS = {
    "°F for a while": (12 + 4 * signal(1), lambda x: 1.8 * x + 32, [(298, 419)], "°F, the rest in °C"),
    "Wh for a week": (np.exp(0.2 * signal(3)), lambda x: 1000 * x, [(98, 105)], "1,000 times as large"),
    "three blocks in mmol/L": (
        120 * np.exp(0.2 * signal(6)),
        lambda x: x / 18.016,
        [(40, 90), (150, 200), (300, 340)],
        "mmol/L, the rest in mg/dL",
    ),
    "K, not at first": (9 + 3 * signal(2), lambda x: x + 273.15, [(0, 30), (200, 260)], "K, the rest in °C"),
}


@pytest.mark.parametrize(("values", "convert", "blocks", "what"), BLOCKS.values(), ids=BLOCKS)
def test_blocks_of_rows_in_another_unit_are_warned_of(warnings, values, convert, blocks, what):
    rows = 700
    values = np.concatenate((values, values[::-1]))[:rows]
    frame = frame_of(x=within(blocks, values, convert).round(6), y=signal(9, rows).round(3))
    (warning,) = [warning for warning in warnings(frame) if "another unit" in warning]
    first, end = blocks[0]
    assert warning.startswith(f"'x' is in another unit from line {first + 2} to line {end + 1}, as it seems (such as ")
    assert what in warning and warning.endswith("bring all of it to one unit")
    assert (f"and {len(blocks) - 1} more time" in warning) == (len(blocks) > 1)


ROWS_EACH = 40


def of_groups(levels, convert, odd, spread=0.0):
    """A table of groups at these levels, of which some are converted, and their own variation."""
    values = [level + spread * signal(n, ROWS_EACH) for n, level in enumerate(levels)]
    values = [convert(x) if n in odd else x for n, x in enumerate(values)]
    return pl.DataFrame(
        {
            "station": np.repeat([f"s{n}" for n in range(len(levels))], ROWS_EACH),
            "t": np.tile(np.arange(ROWS_EACH), len(levels)),
            "x": np.concatenate(values).round(6),
            "y": signal(99, ROWS_EACH * len(levels)).round(3),
        }
    )


def draws(seed, groups):
    """Levels of groups, of deviation 1, without the extremes."""
    return np.random.default_rng(seed).permutation(np.linspace(-1.5, 1.5, groups))


GROUPS = {
    "a station in °F": (12 + 2 * draws(0, 20), lambda x: 1.8 * x + 32, [7], 3, "°F, the rest in °C"),
    "two stations in K": (12 + 2 * draws(1, 20), lambda x: x + 273.15, [3, 4], 3, "K, the rest in °C"),
    "a patient's glucose": (130 + 20 * draws(2, 15), lambda x: x / 18.016, [11], 8, "mmol/L, the rest in mg/dL"),
    "a constant weight": (75 + 7 * draws(3, 12), lambda x: x * 2.20462, [5], 0, "lb, the rest in kg"),
    "Wh of three meters": (np.exp(0.5 * draws(4, 30)), lambda x: 1000 * x, [2, 9, 21], 0.05, "1,000 times as large"),
}


@pytest.mark.parametrize(("levels", "convert", "odd", "spread", "what"), GROUPS.values(), ids=GROUPS)
def test_groups_in_another_unit_are_warned_of(warnings, levels, convert, odd, spread, what):
    frame = of_groups(levels, convert, odd, spread)
    (warning,) = [warning for warning in warnings(frame, group="station") if "another unit" in warning]
    named = ", ".join(f"s{n}" for n in odd)
    start = f"'x' is in another unit in 'station' {named} (from line {odd[0] * ROWS_EACH + 2} on) than in all others"
    assert warning.startswith(start) and what in warning
    # Rows that are sorted by time have another first one.
    mixed = frame.sort("t", maintain_order=True)
    (warning,) = [warning for warning in warnings(mixed, group="station") if "another unit" in warning]
    assert f"{named} (from line {odd[0] + 2} on)" in warning


def test_two_conversions_that_fit_are_both_named(warnings):
    frame = of_groups(100 * np.exp(0.15 * draws(5, 14)), lambda x: 2.4 * x, [6], 2)
    (warning,) = [warning for warning in warnings(frame, group="station") if "another unit" in warning]
    assert "lb, the rest in kg: numbers 2.205 times as large, or cm, the rest in in: numbers 2.54 times" in warning


SAME_UNIT_GROUPS = {
    "shops of different size": (np.exp(np.linspace(0, 5, 20)), 0.1),
    "a shop above all others": (np.exp([*np.linspace(0, 3, 15), 4.5]), 0.1),
    "a warm room": ([*(20 + draws(6, 11)), 55], 1),
    "two kinds of machine": ([*(5 + draws(7, 8)), *(50 + 10 * draws(8, 8))], 0.3),
    "set points": ([1, 1, 1, 1, 1, 10, 1, 1], 0),
}


@pytest.mark.parametrize(("levels", "spread"), SAME_UNIT_GROUPS.values(), ids=SAME_UNIT_GROUPS)
def test_groups_that_differ_are_in_one_unit(warnings, levels, spread):
    frame = of_groups(np.array(levels, dtype=float), None, [], spread)
    assert not [warning for warning in warnings(frame, group="station") if "another unit" in warning]


SAME_UNIT = {
    "a random walk": 50 + np.cumsum(signal(1, keeps=0)),
    "growth": np.exp(np.linspace(0, 7, ROWS) + 0.05 * signal(2)),
    "a ramp over 273": np.linspace(0, 546, ROWS) + signal(3),
    "a set point": later(200, 20 + 0.2 * signal(4), lambda x: x + 15),
    "a machine that was switched on": later(200, 5 + 0.5 * signal(5, keeps=0), lambda x: x + 495),
    "decay": 1000 * np.exp(-np.arange(ROWS) / 60) * (1 + 0.05 * signal(6)),
    "a machine on and off": 5 + 495 * (np.arange(ROWS) % 100 < 40) + signal(8),
    "a pump at two speeds": np.where(np.arange(ROWS) % 100 < 40, 10, 1) * np.exp(0.05 * signal(10)),
    "seasons": 12 + 20 * np.sin(np.arange(ROWS) / 40) + signal(11),
    "a warm week": within([(150, 200)], 15 + signal(12), lambda x: x + 18),
    "days and nights": np.where(np.arange(ROWS) % 96 < 40, 1.0, 30.0) * np.exp(0.2 * signal(13)),
    "counts": np.random.default_rng(7).poisson(later(200, np.full(ROWS, 4.0), lambda x: 10 * x)).astype(float),
}


@pytest.mark.parametrize("values", SAME_UNIT.values(), ids=SAME_UNIT)
def test_what_grows_or_steps_is_in_one_unit(warnings, values):
    frame = frame_of(x=values.round(5), y=signal(9).round(3))
    assert not [warning for warning in warnings(frame) if "another unit" in warning]


NAMED = {
    "pressure": (3 + 0.1 * signal(1), lambda x: 14.5038 * x, "psi, the rest in bar"),
    "Luftdruck": (1013 + 5 * signal(1), lambda x: x / 1.33322, "mmHg, the rest in hPa"),
    "sbp": (120 + 4 * signal(2), lambda x: x / 7.50062, "kPa, the rest in mmHg"),
    "wind_speed": (12 + signal(3), lambda x: 1.94384 * x, "knots, the rest in m/s"),
    "speed (km/h)": (80 + 5 * signal(1), lambda x: x / 1.609344, "mph, the rest in km/h"),
    "energy": (200 + 9 * signal(2), lambda x: 4.184 * x, "kJ, the rest in kcal"),
    "force": (30 + signal(3), lambda x: x * 4.44822, "N, the rest in lbf"),
    "power": (50 + signal(1), lambda x: 1.34102 * x, "hp, the rest in kW"),
    "fuel": (100 + 4 * signal(2), lambda x: x / 3.78541, "gal, the rest in L"),
    "lvl": (50 + 4 * signal(3), lambda x: 4 + 0.16 * x, "mA of 4 to 20, the rest in %"),
    "cholesterol": (190 * np.exp(0.1 * signal(1)), lambda x: x / 38.67, "mmol/L, the rest in mg/dL"),
    "calcium": (9 * np.exp(0.03 * signal(2)), lambda x: x / 4.008, "mmol/L, the rest in mg/dL"),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", NAMED)
def test_the_name_of_a_column_says_which_conversions_count(warnings, name):
    values, convert, what = NAMED[name]
    frame = frame_of(**{name: later(230, values, convert).round(6), "y": signal(9).round(3)})
    (warning,) = [warning for warning in warnings(frame) if "another unit" in warning]
    assert warning.startswith(f"{name!r} goes on in another unit from line 232 on, as it seems (") and what in warning


def test_conversions_of_other_quantities_do_not_count(warnings):
    mixed = later(230, 70 + signal(1), lambda x: 2.20462 * x).round(4)
    for name, said in (("weight", True), ("pressure", False), ("glucose", False)):
        found = [warning for warning in warnings(frame_of(**{name: mixed, "y": signal(9).round(3)}))]
        assert any("another unit" in warning for warning in found) == said


@pytest.mark.parametrize("rows", [slice(0, 15), slice(-15, None)], ids=["the first", "the last"])
def test_few_rows_at_an_end_are_warned_of(warnings, rows):
    values = 12 + 3 * signal(4)
    values[rows] = 1.8 * values[rows] + 32
    (warning,) = [
        warning for warning in warnings(frame_of(temp=values.round(3), y=signal(9).round(3))) if "another" in warning
    ]
    line = "is in another unit from line 2 to line 16" if rows.start == 0 else f"from line {ROWS - 13} on"
    assert line in warning and "°F, the rest in °C" in warning


@pytest.mark.sampled(2)
@pytest.mark.parametrize("odd", [[4], [4, 9]], ids=["one", "two"])
@pytest.mark.parametrize("each", [8, 30])
@pytest.mark.parametrize(
    ("name", "level", "convert", "what"),
    [
        ("creatinine", 1.0, lambda x: 88.42 * x, "µmol/L, the rest in mg/dL"),
        ("glucose", 110.0, lambda x: x / 18.016, "mmol/L, the rest in mg/dL"),
        ("paO2", 92.0, lambda x: x / 7.50062, "kPa, the rest in mmHg"),
    ],
)
def test_one_or_two_patients_of_twelve_in_another_unit_are_warned_of(warnings, name, level, convert, what, odd, each):
    levels = level * np.exp(0.2 * draws(8, 12))
    values = [levels[n] * np.exp(0.1 * signal(n, each)) for n in range(12)]
    values = [convert(x) if n in odd else x for n, x in enumerate(values)]
    frame = pl.DataFrame({"patient": np.repeat(np.arange(12), each), "t": np.tile(np.arange(each), 12)})
    frame = frame.with_columns(pl.Series(name, np.concatenate(values).round(4)), y=pl.Series(signal(99, 12 * each)))
    (warning,) = [warning for warning in warnings(frame, group="patient") if "another unit" in warning]
    assert f"in another unit in 'patient' {', '.join(map(str, odd))} (" in warning and what in warning


def shifted(seed, name):
    """Levels that shift by a random factor, for good or for a while, and no unit that changes."""
    draws = np.random.default_rng(seed)
    values = np.exp(draws.choice([0.02, 0.05, 0.1]) * signal(seed, 300, draws.choice([0.5, 0.9])))
    first = draws.integers(40, 200)
    last = first + draws.integers(20, 60) if draws.random() < 0.5 else 300
    values[first:last] *= np.exp(draws.choice([-1, 1]) * draws.uniform(0.2, 4))
    return frame_of(**{name: values.round(5), "y": signal(seed + 1, 300).round(3)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("x", 7),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (("temperature", 4), ("glucose", 4), ("pressure", 6))
        ),
    ],
)
def test_few_random_shifts_seem_to_be_a_change_of_units(warnings, name, most):
    found = [any("another unit" in said for said in warnings(shifted(seed, name))) for seed in range(20)]
    assert sum(found) <= most


SCATTERED = {
    "temp": (lambda x: 18 + 2 * x, lambda x: 1.8 * x + 32, "°F, the rest in °C"),
    "glucose": (lambda x: 110 * np.exp(0.12 * x), lambda x: x / 18.016, "mmol/L, the rest in mg/dL"),
    "weight": (lambda x: 80 + x, lambda x: 2.20462 * x, "lb, the rest in kg"),
    "level": (lambda x: 240 + 9 * x, lambda x: x / 100, "numbers 100 times as small as the rest"),
}


@pytest.mark.parametrize("name", SCATTERED)
@pytest.mark.parametrize("count", [5, 60])
def test_rows_here_and_there_in_another_unit_are_warned_of(warnings, name, count):
    level, convert, what = SCATTERED[name]
    values = level(signal(4))
    odd = np.random.default_rng(count).permutation(ROWS)[:count]
    values[odd] = convert(values[odd])
    columns = {name: values.round(2), "y": signal(9).round(3)}
    (warning,) = [line for line in warnings(frame_of(**columns)) if "another unit" in line]
    assert f"{name!r} is in another unit in {count} rows here and there" in warning and what in warning


def test_a_machine_that_is_switched_on_and_off_is_in_no_other_unit(warnings):
    draws = np.random.default_rng(2)
    on = np.arange(ROWS) // 30 % 2 == 0
    power = np.where(on, draws.normal(240, 5, ROWS), draws.normal(2.4, 0.05, ROWS)).round(3)
    found = warnings(frame_of(power=power, y=signal(9).round(3)))
    assert not any("here and there" in line for line in found)


def test_counts_of_many_regions_are_in_no_other_unit(warnings):
    told = 0
    for seed in range(6):
        draws = np.random.default_rng(seed)
        level = 400 * np.exp(0.35 * np.concatenate([signal(100 * seed + k, 104) for k in range(12)]))
        frame = pl.DataFrame(
            {
                "region": np.repeat([f"r{k}" for k in range(12)], 104),
                "week": np.tile(np.arange(104), 12),
                "cases": draws.poisson(level),
                "y": draws.normal(size=1248).round(3),
            }
        )
        told += any("another unit" in line for line in warnings(frame, group="region", time="week"))
    assert told == 0
