"""Rows and recordings that stand twice, and numbers that stand still."""

import numpy as np
import polars as pl
import pytest
from drawn import ROWS, frame_of, signal


def twice(found):
    return [warning for warning in found if "value for value" in warning or "hold the same rows" in warning]


def pasted(frame, source, place, rows, but=("time", "person", "t")):
    """A frame with rows copied to another place, but for some columns."""
    return frame.with_columns(
        pl.concat([column[:place], column[source : source + rows], column[place + rows :]])
        for column in frame.drop(but, strict=False)
    )


FINE = frame_of(x=signal(51).round(2), y=(5 * signal(52)).round(1))
COARSE = frame_of(x=(80 + 9 * signal(53)).round(), y=np.where(signal(54) > 0, "walk", "rest"))


@pytest.mark.parametrize("rows", [8, 31, 120])
def test_a_stretch_that_was_pasted_twice_is_warned_of(warnings, rows):
    (said,) = twice(warnings(pasted(FINE, 33, 240, rows)))
    assert said.startswith(f"the {rows} rows from line 242 on are the same as those from line 35 on, value for value: ")


def test_blocks_of_coarse_rows_are_warned_of_too(warnings):
    (said,) = twice(warnings(pasted(pasted(COARSE, 20, 210, 60), 100, 320, 40)))
    assert said.startswith("the 60 rows from line 212 on are the same as those from line 22 on")
    assert "and so is 1 more block" in said


def test_what_differs_in_one_row_of_seven_was_not_pasted(warnings):
    frame = pasted(FINE, 33, 240, 60).with_columns(
        x=pl.when(pl.int_range(ROWS) % 7 == 0).then(pl.col("x") + 0.01).otherwise("x")
    )
    assert not twice(warnings(frame))


EACH = 45


def of_people(count, seed=60):
    rows = count * EACH
    return pl.DataFrame(
        {
            "person": np.repeat([f"p{n}" for n in range(count)], EACH),
            "t": np.tile(np.arange(EACH), count),
            "pulse": (80 + 9 * signal(seed, rows)).round(1),
            "y": (5 * signal(seed + 1, rows)).round(2),
        }
    )


@pytest.mark.parametrize("rows", [EACH, 30])
def test_a_recording_under_two_names_is_warned_of(warnings, rows):
    frame = pasted(of_people(9), 2 * EACH, 7 * EACH, rows)
    (said,) = twice(warnings(frame))
    assert said.startswith("p2 and p7 of 'person' hold the same rows in large part")
    # Sorted by time, rows of a recording do not stand together in the file.
    assert twice(warnings(frame.sort("t", maintain_order=True))) == [said]
    # In numbers, and with other times.
    other = frame.with_columns(
        person=pl.col("person").str.slice(1).cast(pl.Int64) * 37 + 4100,
        t=pl.when(pl.col("person") == "p7").then(pl.col("t") + 500).otherwise("t"),
    )
    (said,) = twice(warnings(other, group="person"))
    assert said.startswith("4174 and 4359 of 'person' hold")


def test_a_stretch_that_was_pasted_into_another_recording_is_warned_of(warnings):
    (said,) = twice(warnings(pasted(of_people(9), 2 * EACH + 5, 7 * EACH + 9, 15)))
    assert said.startswith(
        f"the 15 rows from line {7 * EACH + 11} on are the same as those from line {2 * EACH + 7} on"
    )


def shops(draws, days=150, count=8):
    """Shops under one weather, of which each is closed for weeks."""
    weather = (5 * signal(int(draws.integers(1000)), days)).round(1)
    open_ = np.concatenate([signal(int(draws.integers(1000)), days, keeps=0.95) < 0.5 for _ in range(count)])
    return pl.DataFrame(
        {
            "shop": np.repeat([f"s{n}" for n in range(count)], days),
            "t": np.tile(np.arange(days), count),
            "weather": np.tile(weather, count),
            "y": np.where(open_, draws.poisson(9, days * count), 0),
        }
    )


def protocol(draws, count=7):
    speed = (10 + 3 * signal(int(draws.integers(1000)), EACH)).round(1)
    frame = of_people(count).drop("pulse").with_columns(speed=pl.Series(np.tile(speed, count)))
    return frame.with_columns(y=pl.when(pl.col("speed") > 10).then(pl.lit("fast")).otherwise(pl.lit("slow")))


def design(draws):
    first, second = (axis.ravel().round(3) for axis in np.meshgrid(np.linspace(0, 1, 18), np.linspace(0, 1, 18)))
    won = (first + second > 1) ^ (draws.random((2, 324)) < 0.06)
    return pl.DataFrame({"a": np.tile(first, 2), "b": np.tile(second, 2), "y": won.ravel().astype(int)})


def triangles(draws):
    place = np.abs(np.cumsum(draws.choice([0, 1, 1, 1, 2], ROWS)) % 120 - 60)
    return frame_of(place=place, y=place // 7 + 0.5)


def nights(draws):
    hour = np.arange(960) % 24
    sun = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * draws.normal(800, 90, 960)
    return frame_of(hour_angle=hour * 15, sun=sun.round(1), y=(sun * draws.normal(3, 0.1, 960)).round(2))


CLEAN = {
    "flags": lambda g: frame_of(**{f"f{n}": (signal(n + 70) > 0).astype(int) for n in range(4)}, y=g.poisson(2, ROWS)),
    "answers": lambda g: pl.DataFrame({name: g.integers(1, 6, 400) for name in ("q1", "q2", "q3", "y")}),
    "coarse": lambda g: COARSE,
    "a sine": lambda g: frame_of(x=np.sin(np.arange(ROWS) / 8).round(2), y=np.cos(np.arange(ROWS) / 8).round(2)),
    "a period": lambda g: frame_of(x=np.tile(g.normal(size=60).round(2), 7), y=np.tile(g.normal(size=60).round(2), 7)),
    "shops": shops,
    "a protocol": protocol,
    "a design that was done twice": design,
    "triangles": triangles,
    "nights": nights,
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("made", CLEAN.values(), ids=CLEAN)
def test_coarse_periodic_and_designed_rows_are_no_copies(warnings, made):
    for seed in range(3):
        assert not twice(warnings(made(np.random.default_rng(seed))))


def still(found):
    return [warning for warning in found if "exactly the same" in warning]


def stuck(frame, names, first, rows):
    return frame.with_columns(
        pl.when(pl.int_range(frame.height).is_between(first, first + rows - 1))
        .then(pl.col(name).get(first))
        .otherwise(name)
        .alias(name)
        for name in names
    )


@pytest.mark.parametrize("names", [["x"], ["y"], ["x", "y"]])
def test_numbers_that_stand_still_are_warned_of(warnings, names):
    (said,) = still(warnings(stuck(FINE, names, 200, 33)))
    start = "'x', 'y' are each" if len(names) > 1 else f"'{names[0]}' is"
    assert said.startswith(f"{start} exactly the same in the 33 rows from line 202 on, and else change")
    assert not still(warnings(stuck(FINE, names, 200, 19)))


def test_a_number_that_is_stuck_by_night_is_warned_of(warnings):
    frame = nights(np.random.default_rng(3)).with_columns(temp=pl.Series((10 + 4 * signal(81, 960)).round(2)))
    assert not still(warnings(frame))
    (said,) = still(warnings(stuck(frame, ["temp"], 300, 40)))
    assert said.startswith("'temp' is")


def test_two_recordings_do_not_make_one_stretch(warnings):
    people = of_people(8)
    frame = stuck(people, ["pulse"], 3 * EACH - 15, 30)
    assert not still(warnings(frame))
    (said,) = still(warnings(stuck(people, ["pulse"], 3 * EACH + 2, 30)))
    assert said.startswith(f"'pulse' is exactly the same in the 30 rows from line {3 * EACH + 4} on")


def held(values, held_for):
    return np.repeat(values, held_for)[: len(values)]


MOVING = np.where(signal(91, keeps=0.97) > 0, np.abs(40 + 9 * signal(92)), 0)
QUIET = {
    "a set point": held(signal(82).round(2), 30),
    "a slow sensor": (21 + signal(83, keeps=0.995)).round(1),
    "cut off at the top": (60 + 9 * signal(84)).clip(None, 60).round(2),
    "a meter": np.cumsum(np.where(signal(85, keeps=0.97) > -0.8, np.abs(signal(86)), 0)).round(2),
    "nothing": MOVING.round(2),
}


@pytest.mark.parametrize("values", QUIET.values(), ids=QUIET)
def test_what_may_stand_still_is_not_warned_of(warnings, values):
    assert not still(warnings(frame_of(x=values, y=signal(87).round(3))))


def test_a_place_is_the_same_while_the_speed_is_0(warnings):
    place = np.cumsum(MOVING * np.sign(signal(88))).round(3)
    place[:2] = 0.5
    frame = frame_of(place=place, speed=MOVING.round(2), y=signal(89).round(3))
    assert not still(warnings(frame))
    stopped = stuck(frame_of(place=(9 * signal(90)).round(3), y=signal(89).round(3)), ["place"], 100, 25)
    speed = np.where((np.arange(ROWS) >= 100) & (np.arange(ROWS) < 125), 0, 30 + signal(93)).round(2)
    assert still(warnings(stopped))
    assert not still(warnings(stopped.with_columns(speed=speed)))


@pytest.mark.parametrize("rows", [20, 90])
def test_a_stretch_of_one_column_that_was_pasted_is_warned_of(warnings, rows):
    frame = FINE.with_columns(z=pl.Series(signal(55).round(3)))
    (said,) = [
        line for line in warnings(pasted(frame, 33, 240, rows, but=("time", "x", "y"))) if "same numbers" in line
    ]
    assert said.startswith(f"'z' has the same numbers in the {rows} rows from line 242 on as in those from line 35 on")
    # Machines that are driven alike, and coarse numbers, say nothing.
    driven = pl.DataFrame({"machine": np.repeat(["a", "b", "c"], 140), "t": np.tile(np.arange(140), 3)})
    driven = driven.with_columns(
        drive=pl.Series(np.tile(signal(56, 140), 3).round(3)), y=pl.Series(signal(57).round(3))
    )
    for clean in (frame, driven, COARSE):
        assert not any("same numbers" in line for line in warnings(clean))


def test_a_daily_target_in_hourly_rows_is_warned_of(warnings):
    days = signal(58, 18, keeps=0).round(2)
    frame = frame_of(x=signal(59).round(2)[: 18 * 20], y=np.repeat(np.resize(days, 18) + np.arange(18), 20).round(2))
    wide = frame_of(x=signal(59).round(2), y=np.repeat(signal(58, 35, keeps=0).round(3), 12))
    assert not any("changes once in" in line for line in warnings(frame)), "too few days"
    (said,) = [line for line in warnings(wide) if "changes once in" in line]
    assert said.startswith("target 'y' changes once in 12 rows")
    steps = wide.with_columns(y=pl.Series(np.repeat(np.arange(35) % 4, 12) * 1.5))
    assert not any("changes once in" in line for line in warnings(steps, kind="regression"))
