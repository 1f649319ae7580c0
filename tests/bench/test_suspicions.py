"""What deserves a look before any training: units that change midway, meters that were reset, leaks of many forms."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from drawn import ROWS, START, frame_of, signal

from liquidbench.tasks import table


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


def in_order(rows=ROWS, classes=30):
    """Class numbers as they were performed: one after another, from the first to the last, twice."""
    return np.arange(rows) * 2 * classes // rows % classes


def test_class_numbers_that_are_read_as_amounts_are_warned_of(planned):
    features = {"x": signal(3).round(3), "z": signal(4).round(3)}
    said = "is named like a class, but its 30 distinct whole numbers are read as amounts; --task classification"
    for name, told in (("pose_id", True), ("Buchstabe", True), ("class_size", False), ("level", False)):
        frame = frame_of(**features, **{name: in_order()})
        lines = planned(frame, name).lines
        assert any(line.startswith(f"warning: target {name!r} {said}") for line in lines) == told
        # A meter would be named otherwise.
        assert any("only goes up" in line for line in lines) != told
        assert any("only goes up" in line for line in planned(frame, "x").lines) != told
        asked = planned(frame, name, kind="regression").lines
        assert not any(said in line for line in asked)
    # Classes of which there are too many, or that are none.
    for values in (in_order(classes=60), in_order() / 4):
        assert not any(said[:22] in line for line in planned(frame_of(**features, pose=values), "pose").lines)


def test_whole_numbers_of_too_few_groups_for_classes_may_be_amounts(planned):
    batches = np.repeat(np.arange(12), ROWS // 12)
    rows = len(batches)
    frame = frame_of(x=signal(3)[:rows].round(3), y=70 + batches * 5 % 13)
    frame = frame.with_columns(batch=pl.Series([f"B{batch}" for batch in batches]))
    with pytest.raises(ValueError, match="give more groups, or say --task regression .* if its numbers are amounts"):
        planned(frame, group="batch")
    assert planned(frame, group="batch", kind="regression").task.kind == "regression"
    words = frame.with_columns(pl.format("grade {}", "y").alias("y"))
    with pytest.raises(ValueError, match="give more groups$"):
        planned(words, group="batch")


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


def test_a_clock_that_falls_back_to_its_first_date_is_warned_of(warnings):
    frame = frame_of(x=signal(1).round(3), y=signal(2).round(3))
    reset = [datetime(2000, 1, 1) + timedelta(minutes=15 * row) for row in range(200)]
    fallen = frame.with_columns(time=pl.Series([*frame["time"][:-200], *reset]))
    (warning,) = [line for line in warnings(fallen) if "times leap" in line]
    assert "to 2023-03-02 00:00:00 in line 2, further than all rows" in warning
    # Years with a gap of years are no such clock.
    yearly = frame.with_columns(time=pl.Series([datetime(1500 + row, 1, 1) for row in range(ROWS)]))
    assert not any("times leap" in line for line in warnings(yearly))


def test_an_amount_of_one_class_only_is_suspected(warnings):
    draws = np.random.default_rng(3)
    left = (np.arange(ROWS) % 7 == 0).astype(int)
    refund = np.where((left == 1) & (draws.random(ROWS) < 0.8), draws.gamma(2, 20, ROWS).round(2), 0.0)
    for amount in (refund, [float(value) or None for value in refund]):
        frame = frame_of(x=signal(1).round(3), refund=amount, y=left)
        (warning,) = [line for line in warnings(frame) if "refund" in line and "leak suspect" in line]
        assert "goes with class '1'" in warning or "go with class '1' of 'y' only" in warning
    # One that others have too, now and then.
    usual = np.where(draws.random(ROWS) < 0.1, 5.0, refund)
    assert not any("leak suspect: 'refund'" in line for line in warnings(frame_of(x=signal(1), refund=usual, y=left)))


FORMULAS = {
    "the length of a vector": (
        np.hypot,
        0,
        "2 columns together ('a', 'b') tell 'y' almost exactly, as the root of a sum",
    ),
    "an index of two": (
        lambda a, b: 70 * a / b**2,
        12,
        "('a', 'b') tell 'y' almost exactly, as a product or a quotient",
    ),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_a_formula_of_features_is_suspected_though_it_is_rounded(warnings, case):
    formula, offset, said = FORMULAS[case]
    a, b = (offset + 2 * signal(seed, keeps=0).round(2) for seed in (1, 2))
    frame = frame_of(c=signal(3, keeps=0).round(3), a=a, b=b, y=formula(a, b).round(2))
    (warning,) = [line for line in warnings(frame, kind="regression") if "together" in line]
    assert said in warning and "'c'" not in warning
    noisy = frame.with_columns(y=frame["y"] + pl.Series(0.3 * signal(4, keeps=0)))
    assert not any("together" in line for line in warnings(noisy, kind="regression"))


def test_what_the_target_is_the_change_of_is_suspected_in_more_forms(warnings):
    price = 100 * np.exp(np.cumsum(0.01 * signal(1, keeps=0)))
    growth = np.append(0, np.diff(price) / price[:-1]).round(5)
    frame = frame_of(x=signal(2).round(3), price=price.round(4), y=growth)
    assert any("'price' tells 'y', which is its relative change" in line for line in warnings(frame))
    up = frame.with_columns(y=pl.Series((growth > 0).astype(int)))
    assert any("'price' tells 'y' by its change" in line for line in warnings(up))
    sales = np.abs(signal(3, keeps=0)).round(2)
    so_far = np.concatenate([np.cumsum(part) for part in np.split(sales, 7)]).round(2)
    of_month = frame_of(x=signal(2).round(3), so_far=so_far, y=sales)
    assert any("'so_far' adds up 'y'" in line for line in warnings(of_month))
    assert not any("adds up" in line for line in warnings(of_month.with_columns(y=pl.Series(signal(4).round(2)))))


def test_a_target_that_all_groups_share_is_warned_of(warnings):
    hours = [START + timedelta(hours=hour) for hour in range(80)]
    frame = pl.DataFrame(
        {
            "sensor": np.repeat([f"s{k}" for k in range(5)], 80),
            "time": hours * 5,
            "x": np.random.default_rng(1).normal(size=400).round(3),
            "y": np.tile(signal(2, 80).round(3), 5),
        }
    )
    (warning,) = [line for line in warnings(frame) if "is the same of all 'sensor'" in line]
    assert "at 80 of 80 times" in warning and "table.pivot" in warning
    own = frame.with_columns(y=pl.Series(np.random.default_rng(3).normal(size=400).round(3)))
    assert not any("is the same of all" in line for line in warnings(own))


def test_dates_of_birth_are_not_the_time_of_rows(warnings, tmp_path):
    born = [START - timedelta(days=int(days)) for days in np.random.default_rng(1).integers(7000, 30000, ROWS)]
    frame = frame_of(x=signal(1).round(3), y=signal(2).round(3)).drop("time")
    for name in ("date_of_birth", "Erstzulassung", "hire_date"):
        found = warnings(frame.with_columns(pl.Series(name, born)))
        assert any(f"{name!r} is named like a date of whom or what a row is" in line for line in found)
        assert table.complete({"table": str(tmp_path / "mine.csv"), "target": "y"})[0]["time"] is None


def test_years_of_two_figures_in_the_future_are_warned_of(warnings):
    frame = frame_of(x=signal(1).round(3), y=signal(2).round(3))
    months = [
        f"{'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()[row % 12]}-{50 + row // 12}" for row in range(420)
    ]
    (warning,) = [line for line in warnings(frame.with_columns(time=pl.Series(months))) if "in the future" in line]
    assert "years of two figures that are read as up to 2068" in warning
    recent = [month.replace(month[4:], f"{int(month[4:]) - 30:02d}") for month in months[:60]]
    assert not any("in the future" in line for line in warnings(frame[:60].with_columns(time=pl.Series(recent))))


@pytest.mark.parametrize(("slope", "told"), [(0.5, True), (-0.5, True), (0.0, False)])
def test_targets_beyond_those_of_training_are_warned_of(warnings, slope, told):
    frame = frame_of(x=signal(11), y=signal(12) + slope * np.arange(ROWS))
    assert any("nothing like it is ever shown" in line for line in warnings(frame)) == told


def test_parts_of_a_single_group_are_warned_of(warnings):
    frame = of_pumps({"a": 90, "b": 80, "c": 85, "d": 95})
    (said,) = [one for one in warnings(frame, group="pump") if "a single 'pump'" in one]
    assert said.startswith("parts of the split hold a single 'pump' (validation '") and "test '" in said
    many = of_pumps({f"p{number}": 60 for number in range(12)})
    assert not [one for one in warnings(many, group="pump") if "a single 'pump'" in one]


def test_parts_with_hardly_any_rows_are_warned_of(warnings):
    # Which pump is in which part, its name decides.
    dealt = of_pumps({name: 40 for name in "abcd"})
    (said,) = [one for one in warnings(dealt, group="pump") if "a single 'pump'" in one]
    of_test = said.split("test '")[1][0]
    frame = of_pumps({name: 13 if name == of_test else 200 for name in "abcd"})
    (said,) = [one for one in warnings(frame, group="pump") if "hardly any" in one]
    assert "of the 613 rows are in one (test 13)" in said


def of_pumps(rows):
    """Recordings of so many rows each."""
    draws = np.random.default_rng(9)
    return pl.concat(
        pl.DataFrame(
            {"pump": [name] * count, "t": range(count), "x": draws.normal(size=count), "y": draws.normal(size=count)}
        )
        for name, count in rows.items()
    )
