"""What deserves a look before any training: units that change midway, meters that were reset, leaks of many forms."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from liquidbench.tasks import table

ROWS = 420
START = datetime(2023, 3, 2)


@pytest.fixture
def warnings(tmp_path):
    def warnings_of(frame, target="y", **asked):
        path = tmp_path / "mine.csv"
        frame.write_csv(path)
        lines = table.complete({"table": str(path), "target": target, **asked})[1]
        return [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]

    return warnings_of


def signal(seed, rows=ROWS, keeps=0.9):
    """An autoregression of deviation 1."""
    draws = np.random.default_rng(seed).normal(size=rows)
    values = np.zeros(rows)
    for row in range(1, rows):
        values[row] = keeps * values[row - 1] + np.sqrt(1 - keeps**2) * draws[row]
    return values


def frame_of(**columns):
    rows = len(next(iter(columns.values())))
    when = [START + timedelta(minutes=15 * row) for row in range(rows)]
    return pl.DataFrame({"time": when, **columns})


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


@pytest.mark.parametrize(("values", "convert", "what"), UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("row", [130, 370])
def test_a_unit_that_changes_midway_is_warned_of(warnings, values, convert, what, row):
    mixed = later(row, values, convert).round(6)
    for columns in ({"level": mixed, "y": signal(9).round(3)}, {"other": signal(9).round(3), "level": mixed}):
        target = "y" if "y" in columns else "level"
        (warning,) = [warning for warning in warnings(frame_of(**columns), target) if "another unit" in warning]
        assert warning.startswith(f"'level' goes on in another unit from line {row + 2} on, as it seems (")
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
    frame = frame_of(level=within(blocks, values, convert).round(6), y=signal(9, rows).round(3))
    (warning,) = [warning for warning in warnings(frame) if "another unit" in warning]
    first, end = blocks[0]
    assert warning.startswith(
        f"'level' is in another unit from line {first + 2} to line {end + 1}, as it seems (such as "
    )
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
            "level": np.concatenate(values).round(6),
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
    start = (
        f"'level' is in another unit in 'station' {named} (from line {odd[0] * ROWS_EACH + 2} on) than in all others"
    )
    assert warning.startswith(start) and what in warning
    # Rows that are sorted by time have another first one.
    mixed = frame.sort("t", maintain_order=True)
    (warning,) = [warning for warning in warnings(mixed, group="station") if "another unit" in warning]
    assert f"{named} (from line {odd[0] + 2} on)" in warning


def test_two_conversions_that_fit_are_both_named(warnings):
    frame = of_groups(100 * np.exp(0.15 * draws(5, 14)), lambda x: 2.4 * x, [6], 2)
    (warning,) = [warning for warning in warnings(frame, group="station") if "another unit" in warning]
    assert "such as lb, the rest in kg, or cm, the rest in in" in warning


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
    frame = frame_of(level=values.round(5), y=signal(9).round(3))
    assert not [warning for warning in warnings(frame) if "another unit" in warning]


def test_a_meter_that_was_replaced_is_warned_of(warnings):
    used = np.abs(signal(3)) / 4
    total = np.cumsum(used) + 8200
    total[250:] -= total[250] - 1.5
    frame = frame_of(gas=total.round(2), y=signal(4).round(3))
    (warning,) = [warning for warning in warnings(frame) if "only goes up" in warning]
    start = (
        f"'gas' falls from {total[249].round(2):.15g} to 1.5 in line 252, and else only goes up, as a meter that was"
    )
    assert warning.startswith(start)


def test_what_begins_again_each_day_or_goes_both_ways_is_no_meter(warnings):
    since_midnight = np.arange(ROWS) % 96 * 0.25
    stock = 500 + np.cumsum(np.where(np.arange(ROWS) % 60 == 59, -58.0, 1.0) + signal(3))
    for values in (since_midnight, stock, signal(2) * 10 + 50):
        frame = frame_of(level=values.round(3), y=signal(4).round(3))
        assert not [warning for warning in warnings(frame) if "only goes up" in warning]


def suspects(found):
    return [warning for warning in found if warning.startswith("leak suspect")]


STEPS = {
    "rounded to tens": lambda y: np.floor(y / 10) * 10,
    "binned in words": lambda y: np.array(["low", "usual", "high"])[np.digitize(y, [45, 58])],
    "an alarm": lambda y: (y > 60).astype(int),
    "upside down": lambda y: -np.round(y / 5),
}


@pytest.mark.parametrize("made", STEPS.values(), ids=STEPS)
def test_a_target_in_steps_is_suspected(warnings, made):
    y = (50 + 10 * signal(8)).round(2)
    (suspect,) = suspects(warnings(frame_of(other=signal(9).round(3), made=made(y), y=y)))
    assert "'made" in suspect and "is 'y' in steps: each of its values has a range of targets to itself" in suspect


def test_steps_that_overlap_and_nights_are_no_suspects(warnings):
    y = (50 + 10 * signal(8)).round(2)
    off = np.where(np.random.default_rng(0).random(ROWS) < 0.05, signal(3), 0)
    assert not suspects(warnings(frame_of(made=np.round(y / 10 + off), y=y)))
    night = np.arange(ROWS) % 48 < 20
    frame = frame_of(night=night.astype(int), y=np.where(night, 0, np.abs(signal(2)) + 1).round(3))
    assert not [suspect for suspect in suspects(warnings(frame)) if "in steps" in suspect]


def test_a_feature_computed_from_each_groups_targets_is_suspected(warnings):
    targets = [(30 * k + 40 + 6 * signal(k, 70)).round(3) for k in range(6)]
    content = {"person": np.repeat([f"p{k}" for k in range(6)], 70), "t": np.tile(np.arange(70), 6)}
    for made in (lambda y: y - y.mean(), lambda y: (y - y.min()) / np.ptp(y), lambda y: y / y[0]):
        frame = pl.DataFrame({**content, "made": np.concatenate([made(y) for y in targets]).round(6)})
        (suspect,) = suspects(warnings(frame.with_columns(y=pl.Series(np.concatenate(targets)))))
        assert "'made' correlates with 'y' almost perfectly within each 'person'" in suspect
    # What is left of a life goes down with each cycle, which is the question and no answer.
    frame = pl.DataFrame(content).with_columns(cycle="t", y=70 + pl.col("person").rank("dense") * 9 - pl.col("t"))
    frame = frame.with_columns(x=pl.Series(signal(1, 420).round(3)))
    assert not suspects(warnings(frame, features=["cycle", "x"], kind="regression"))


def test_finer_classes_are_suspected(warnings):
    draws = np.random.default_rng(2)
    animal = draws.choice(["cat", "dog", "owl"], size=ROWS)
    breed = np.array([f"{name}-{n}" for name, n in zip(animal, draws.integers(2, size=ROWS), strict=True)])
    found = suspects(warnings(frame_of(x=signal(1).round(3), breed=breed, y=animal)))
    assert found and all("'breed' has values that go with class" in suspect for suspect in found)
    assert not suspects(warnings(frame_of(x=signal(1).round(3), breed=breed, y=draws.permutation(animal))))


def test_flags_of_which_each_means_the_class_are_suspected(warnings):
    draws = np.random.default_rng(3)
    cause = np.where(draws.random(1500) < 0.1, draws.integers(3, size=1500), -1)
    flags = {name: (cause == n).astype(int) for n, name in enumerate(("worn", "hot", "loose"))}
    frame = frame_of(x=signal(1, 1500).round(3), **flags, y=(cause >= 0).astype(int))
    (suspect,) = suspects(warnings(frame))
    assert "'worn', 'hot', 'loose' have values that go with class '1' of 'y' only, in 100% of its rows" in suspect
    # Flags that are seldom set, and not only then.
    noise = {name: np.where(draws.random(1500) < 0.03, 1, flag) for name, flag in flags.items()}
    assert not suspects(warnings(frame.with_columns(**{name: pl.Series(flag) for name, flag in noise.items()})))


def test_a_class_that_compares_two_columns_is_suspected(warnings):
    home, away = np.random.default_rng(4).poisson((1.6, 1.2), size=(ROWS, 2)).T
    result = np.array(["lost", "drawn", "won"])[np.sign(home - away) + 1]
    (suspect,) = suspects(warnings(frame_of(x=signal(1).round(3), home=home, away=away, y=result)))
    assert "the difference of 'home' and 'away' tells class" in suspect
    other = np.random.default_rng(5).permutation(result)
    assert not suspects(warnings(frame_of(x=signal(1).round(3), home=home, away=away, y=other)))


def test_rows_in_the_order_of_the_target_are_warned_of(warnings):
    frame = frame_of(x=signal(1).round(3), y=signal(2).round(3))
    down = frame.sort("y", descending=True).drop("time")
    assert any("the rows are sorted by the target, 'y'" in warning for warning in warnings(down))
    for other in (frame.drop("time"), frame.with_columns(pl.col("y").sort())):
        assert not [warning for warning in warnings(other) if "sorted by the target" in warning]


def test_a_last_row_of_sums_is_dropped(warnings, tmp_path):
    frame = frame_of(x=(signal(1) + 9).round(2), z=(signal(2) + 9).round(1), y=(signal(3) + 9).round(2)).drop("time")
    total = frame.sum().with_columns(pl.all().round(2))
    found = warnings(pl.concat([frame, total]))
    assert any("line 422 holds the sums of all rows above" in warning for warning in found)
    assert table.load({"table": str(tmp_path / "mine.csv"), "target": "y"}).warnings == tuple(found)
    # Nor is one that is near the sums, or the sum of one column among others.
    for other in (total * 1.01, total.with_columns(x=9.0, z=9.0)):
        assert not any("holds the sums" in warning for warning in warnings(pl.concat([frame, other])))
