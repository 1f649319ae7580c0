"""Features that were computed from the target, or that know what comes later, are named before any training."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from drawn import frame_of, signal

ROWS = 420


@pytest.fixture
def suspects(warnings):  # noqa: F811
    """What is said of leaks, by the column that is named first."""

    def suspects_of(frame, target="y", **asked):
        said = [line.removeprefix("leak suspect: ") for line in warnings(frame, target, **asked) if "leak s" in line]
        return {line.split("'")[1]: line for line in said}

    return suspects_of


def hourly(y, **columns):
    """A table of hours with a feature of no account."""
    when = [datetime(2022, 5, 2) + timedelta(hours=row) for row in range(len(y))]
    return pl.DataFrame({"time": when, "wind": signal(99, len(y)).round(2), **columns, "y": y})


def target(seed=1, rows=ROWS, digits=2):
    return (40 + 9 * signal(seed, rows)).round(digits)


def over_groups(y, groups, how, digits):
    """An aggregate of each group's rows, in each of them."""
    frame = pl.DataFrame({"y": y, "group": groups})
    return frame.select(how(pl.col("y")).over("group")).to_series().round(digits)


WEEKS = np.arange(ROWS) // 28
HOURS = np.arange(ROWS) % 24
AGGREGATES = {
    "mean": (WEEKS, pl.Expr.mean, "is the mean of 'y' in each run of rows"),
    "sum": (WEEKS, pl.Expr.sum, "is the sum of 'y' in each run"),
    "greatest": (WEEKS, pl.Expr.max, "is the greatest of 'y' in each run"),
    "least": (WEEKS, pl.Expr.min, "is the least of 'y' in each run"),
    "median": (WEEKS, pl.Expr.median, "is the median of 'y' in each run"),
    "deviation": (WEEKS, pl.Expr.std, "is the standard deviation of 'y' in each run"),
    "last": (WEEKS, pl.Expr.last, "is the last of 'y' in each run"),
    "mean of hours of the day": (HOURS, pl.Expr.mean, "is the mean of 'y' in all rows in which it has the same value"),
}


@pytest.mark.parametrize(("groups", "how", "what"), AGGREGATES.values(), ids=AGGREGATES)
def test_an_aggregate_of_the_target_over_a_stretch_or_a_category_is_suspected(suspects, groups, how, what):
    y = target()
    found = suspects(hourly(y, level=over_groups(y, groups, how, 3)), kind="forecast")
    assert list(found) == ["level"] and found["level"].startswith(f"'level' {what}")


def test_an_aggregate_of_counts_with_gaps_is_suspected(suspects):
    y = pl.Series(np.random.default_rng(5).poisson(3, ROWS))
    y = pl.select(pl.when(pl.Series(np.arange(ROWS) % 11 != 3)).then(y)).to_series()
    found = suspects(hourly(y, total=over_groups(y, WEEKS, pl.Expr.sum, 0)), kind="regression")
    assert "sum of 'y'" in found["total"]


def test_the_mean_of_a_class_in_each_category_is_suspected(suspects):
    """Target encoding, of a class by name."""
    draws = np.random.default_rng(3)
    line = draws.integers(0, 9, ROWS)
    label = np.where(draws.random(ROWS) < 0.1 + 0.08 * line, "stop", "run")
    rate = over_groups((label == "stop") * 1.0, line, pl.Expr.mean, 4)
    found = suspects(hourly(label, rate=rate))
    assert "is the mean of 'y = stop' in all rows in which it has the same value" in found["rate"]


def test_the_mean_over_recordings_of_their_one_target_is_suspected(suspects):
    draws = np.random.default_rng(8)
    ward, died, length = np.arange(120) % 6, draws.integers(0, 2, 120), draws.integers(5, 12, 120)
    rate = over_groups(died * 1.0, ward, pl.Expr.mean, 4).to_numpy()
    frame = pl.DataFrame(
        {
            "stay": np.repeat(np.arange(700, 820), length),
            "hour": np.concatenate([np.arange(rows) for rows in length]),
            "pulse": signal(2, length.sum()).round(2),
            "ward_rate": np.repeat(rate, length),
            "y": np.repeat(died, length),
        }
    )
    assert "is the mean of 'y' in all recordings" in suspects(frame)["ward_rate"]


def window(y, first, last, how="mean", digits=3):
    """An aggregate of the rows from `first` to `last` counted from each row, as far as there are such."""
    parts = [y[max(row + first, 0) : max(row + last + 1, 0)] for row in range(len(y))]
    return np.array([getattr(np, how)(part) if len(part) else y[0] for part in parts]).round(digits)


def shifted(y, rows):
    """The value some rows later; at the end the last one."""
    return y[np.clip(np.arange(len(y)) + rows, 0, len(y) - 1)]


Y = target()
LATER = {
    "centred mean": (window(Y, -2, 2), "is the mean of 'y' over 5 rows, from 2 before to 2 after its own"),
    "centred mean of an even number": (window(Y, -6, 5), "over 12 rows, from 6 before to 5 after its own"),
    "mean of what follows": (window(Y, 1, 12), "is the mean of 'y' over the 12 rows after it"),
    "sum of the week ahead": (window(Y, 0, 6, "sum"), "is the sum of 'y' over its own row and 6 rows after it"),
    "rounded mean": (window(Y, -10, 10, digits=1), "over 21 rows, from 10 before to 10 after its own"),
    "greatest of what follows": (window(Y, 0, 8, "max"), "is the greatest of 'y' in rows up to 8 rows later"),
    "least of what follows": (window(Y, 0, 5, "min"), "is the least of 'y' in rows up to 5 rows later"),
    "change": ((shifted(Y, 1) - Y).round(2), "is the change of 'y' to the next row"),
    "change, downwards": ((Y - shifted(Y, 3)).round(2), "is the change of 'y' to 3 rows later"),
    "return": ((shifted(Y, 1) / Y - 1).round(5), "is the relative change of 'y' to the next row"),
    "return in percent": ((100 * shifted(Y, 5) / Y - 100).round(2), "is the change in percent of 'y' to 5 rows later"),
    "logarithmic return": (np.log(shifted(Y, 2) / Y), "is the change of the logarithm of 'y' to 2 rows later"),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["regression", "forecast"])
@pytest.mark.parametrize(("feature", "what"), LATER.values(), ids=LATER)
def test_what_holds_later_targets_is_suspected(suspects, feature, what, kind):
    found = suspects(hourly(Y, feature=feature), kind=kind)
    assert list(found) == ["feature"] and what in found["feature"]


OWN = {
    "mean": (window(Y, -8, 0), "is the mean of 'y' over its own row and 8 rows before it"),
    "sum": (window(Y, -23, 0, "sum"), "is the sum of 'y' over its own row and 23 rows before it"),
    "exponential mean": (
        pl.Series(Y).ewm_mean(alpha=0.2, adjust=False).to_numpy(),
        "tells 'y' almost exactly together with its value in the row before",
    ),
    "greatest": (window(Y, -11, 0, "max"), "is the greatest of 'y' in rows up to its own row"),
    "change": ((Y - shifted(Y, -1)).round(2), "is the change of 'y' from the row before"),
    "return": ((Y / shifted(Y, -4) - 1).round(5), "is the relative change of 'y' from 4 rows before"),
}


def shifted_back(y, rows):
    return np.concatenate((np.full(rows, y[0]), y[:-rows]))


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("feature", "what"), OWN.values(), ids=OWN)
def test_what_holds_its_own_rows_target_is_suspected_where_that_is_asked_for(suspects, feature, what):
    found = suspects(hourly(Y, feature=feature), kind="regression")
    assert list(found) == ["feature"] and what in found["feature"]
    # Up to its own row, a forecast may know; up to the row before, anything may.
    assert not suspects(hourly(Y, feature=feature), kind="forecast")
    assert not suspects(hourly(Y, feature=shifted_back(feature, 1)), kind="regression")


def test_a_window_over_recordings_one_after_another_is_within_each(suspects):
    parts = [target(seed, 60) for seed in range(6)]
    frame = pl.DataFrame(
        {
            "machine": np.repeat([f"m{number}" for number in range(6)], 60),
            "t": np.tile(np.arange(60), 6),
            "wind": signal(98, 360).round(2),
            "smooth": np.concatenate([window(part, -3, 3) for part in parts]),
            "y": np.concatenate(parts),
        }
    )
    assert "over 7 rows, from 3 before to 3 after its own" in suspects(frame)["smooth"]


def test_a_share_of_classes_over_rows_around_is_suspected(suspects):
    busy = signal(4) + signal(5, keeps=0) > 0.2
    found = suspects(hourly(np.where(busy, "busy", "free"), load=window(busy * 1.0, -4, 4, digits=4)))
    assert "mean of 'y = busy' over 9 rows, from 4 before" in found["load"]


@pytest.mark.parametrize("kind", ["forecast", "next-known"])
def test_gaps_filled_by_what_follows_are_suspected(suspects, kind):
    known = np.flatnonzero(np.random.default_rng(6).random(ROWS) < 0.4)
    y = [value if row in set(known) else None for row, value in enumerate(Y)]
    filled = np.interp(np.arange(ROWS), known, Y[known]).round(3)
    carried = Y[known][np.clip(np.searchsorted(known, np.arange(ROWS), "right") - 1, 0, None)]
    found = suspects(hourly(y, filled=filled, carried=carried), kind=kind)
    assert list(found) == ["filled"] and "fills the gaps of 'y' by what follows them" in found["filled"]


def corrected(y, share, seed=7):
    draws = np.random.default_rng(seed)
    return np.where(draws.random(len(y)) < share, draws.uniform(y.min(), y.max(), len(y)).round(2), y)


A, B, C = (target(seed) for seed in (11, 12, 13))
RAINY = np.maximum(A - 35, 0).round(2)
COPIES = {
    "corrected": (Y, {"raw": corrected(Y, 0.2)}, "'raw' equals 'y' in "),
    "corrected where it rains": (RAINY, {"gauge": np.where(RAINY > 0, corrected(RAINY, 0.3), 3.5)}, "'gauge' equals"),
    "of a display": (
        Y,
        {"display": np.minimum(Y, np.quantile(Y, 0.35))},
        f"'display' is 'y' clipped at {np.quantile(Y, 0.35):.6g};",
    ),
    "of what is clipped": (np.clip(Y, 40, 46), {"raw": Y}, "'raw' is 'y' before that is clipped at 40 and 46"),
    "greatest of three": (
        np.max([A, B, C], axis=0),
        {"a": A, "b": B, "c": C},
        "in each row, 'y' is one of 'a', 'b', 'c'",
    ),
    "one or the other": (
        np.where(C > 40, A, B),
        {"a": A, "b": B, "open": (C > 40) * 1},
        "in each row, 'y' is one of 'a', 'b'",
    ),
}


@pytest.mark.parametrize(("y", "columns", "what"), COPIES.values(), ids=COPIES)
def test_a_copy_in_most_rows_is_suspected(suspects, y, columns, what):
    (said,) = suspects(hourly(y, **columns), kind="regression").values()
    assert what in said
    # A forecast knows it, but for one of the next row.
    assert not suspects(hourly(y, **columns), kind="forecast")


def test_a_corrected_copy_of_the_next_row_is_suspected_in_a_forecast(suspects):
    found = suspects(hourly(Y, raw=corrected(shifted(Y, 1), 0.2)), kind="forecast")
    assert "equals 'y' of the next row in " in found["raw"]


def test_a_corrected_copy_of_labels_is_suspected(suspects):
    draws = np.random.default_rng(9)
    y = np.array(["idle", "heat", "cool", "vent"])[np.digitize(signal(3), [-0.7, 0, 0.7])]
    other = np.where(draws.random(ROWS) < 0.08, draws.choice(["idle", "heat", "cool", "vent"], ROWS), y)
    found = suspects(hourly(y, first_label=other))
    assert "'first_label' has the labels of 'y', and the same one in 9" in found["first_label"]
    # The label of the row before, and a poor guess, are no copies.
    rough = np.where(draws.random(ROWS) < 0.4, draws.choice(["idle", "heat", "cool", "vent"], ROWS), y)
    assert not suspects(hourly(y, before=shifted_back(y, 1), rough=rough))


LENGTHS = np.random.default_rng(10).integers(9, 40, 30)
ELAPSED = np.concatenate([np.arange(rows) for rows in LENGTHS])
LEFT = np.repeat(LENGTHS, LENGTHS) - 1 - ELAPSED
ENDS = {
    "days of the stay": (np.repeat((LENGTHS / 24).round(2), LENGTHS), "is the length of each recording"),
    "rows": (np.repeat(LENGTHS, LENGTHS), "is the length of each recording"),
    "minutes left": (60 * LEFT, "counts down to the end of each recording"),
    "hours left, rounded": (((LEFT + 0.4) / 2).round(0), "counts down to the end of each recording"),
    "progress": (100 * ELAPSED / np.repeat(LENGTHS - 1, LENGTHS), "says how much of each recording is over"),
}


def stays(**columns):
    return pl.DataFrame(
        {
            "stay": np.repeat(np.arange(400, 430), LENGTHS),
            "hour": ELAPSED,
            "pulse": signal(5, LENGTHS.sum()).round(2),
            **columns,
        }
    )


@pytest.mark.parametrize(("feature", "what"), ENDS.values(), ids=ENDS)
def test_what_knows_the_end_of_recordings_is_suspected(suspects, feature, what):
    y = signal(6, LENGTHS.sum()).round(2)
    died = np.repeat(np.random.default_rng(12).integers(0, 2, 30), LENGTHS)
    for targets in (y, died):
        found = suspects(stays(column=feature.round(3), y=targets))
        assert list(found) == ["column"] and what in found["column"]


def test_time_left_as_the_target_and_what_counts_down_to_no_end_are_no_suspects(suspects):
    tank = np.repeat(np.random.default_rng(13).integers(60, 90, 30), LENGTHS) - ELAPSED
    age = np.repeat(np.random.default_rng(14).integers(20, 90, 30), LENGTHS)
    assert not suspects(stays(tank=tank, age=age, elapsed=60 * ELAPSED, y=LEFT), kind="regression")
    assert not suspects(stays(tank=tank, age=age, y=signal(7, LENGTHS.sum()).round(2)))


def test_a_column_that_counts_down_in_a_table_of_one_recording_is_no_suspect(suspects):
    assert not suspects(hourly(Y, countdown=ROWS - np.arange(ROWS) + 5.0))


def steps(seed, values, rows):
    """One of some values for so many rows, then another."""
    return np.repeat(np.random.default_rng(seed).choice(values, ROWS // rows + 1), rows)[:ROWS]


def following(goal, speed):
    """What goes to a set point."""
    y = np.full(ROWS, goal[0], dtype=float)
    for row in range(1, ROWS):
        y[row] = y[row - 1] + speed * (goal[row] - y[row - 1])
    return y


def clean(seed):
    """Tables of which no feature was computed from what is asked for."""
    y, coarse = target(seed), target(seed, digits=0)
    draws = np.random.default_rng(seed)
    goal = steps(seed, np.arange(16, 30), 20)
    counts = draws.poisson(np.exp(signal(seed + 500))) * (draws.random(ROWS) < 0.4)
    slow = (10 * np.sin(np.arange(ROWS) / 30) + 0.01 * signal(seed)).round(2)
    meter = np.cumsum(5 + signal(seed)).round(2)
    level = steps(seed, [1.25, 2.5, 3.75, 5.0, 7.5], 12)
    days = np.arange(ROWS) // 24
    daily = over_groups(y, days, pl.Expr.mean, 2).to_numpy()
    twins = [(y + 0.3 * signal(seed + k, keeps=0)).round(0) for k in (600, 700)]
    past = {f"lag {k}": shifted_back(coarse, k) for k in (1, 2, 24)}
    trailing = pl.Series(y)
    return {
        "set points": (hourly((goal + 0.2 * signal(seed)).round(1), goal=goal), "regression"),
        "set points that are reached": (hourly(following(goal, 0.4).round(3), goal=goal), "regression"),
        "counts with many zeros": (hourly(counts, promo=(draws.random(ROWS) < 0.2) * 1, sold=counts), "forecast"),
        "seldom counted": (hourly(counts, visits=counts + draws.poisson(1, ROWS)), "regression"),
        "never exceeded": (hourly(counts, asked=counts + draws.poisson(2, ROWS)), "regression"),
        "smooth": (hourly(slow, other=shifted_back(slow, 3), cosine=np.cos(np.arange(ROWS) / 30)), "regression"),
        "a meter": (hourly(meter, power=np.diff(meter, prepend=0).round(2), midnight=meter[24 * days]), "regression"),
        "levels": (hourly(level, before=shifted_back(level, 1)), "regression"),
        "yesterday": (hourly(y, yesterday=shifted_back(daily, 24)), "regression"),
        "two thermometers": (hourly(twins[0], other=twins[1]), "regression"),
        "its past": (hourly(coarse, **past), "regression"),
        "trailing": (
            hourly(
                y,
                mean=window(y, -6, 0),
                high=window(y, -23, 0, "max"),
                so_far=trailing.cum_max(),
                weighted=trailing.ewm_mean(alpha=0.3),
                change=(y - shifted(y, -1)).round(2),
            ),
            "forecast",
        ),
        "limits": (
            hourly(np.minimum(y, steps(seed, [44, 46, 48, 51], 35)), limit=steps(seed, [44, 46, 48, 51], 35)),
            "regression",
        ),
    }


CLEAN = clean(20)


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_known_gives_no_alarm(suspects, name):
    frame, kind = CLEAN[name]
    assert not suspects(frame, kind=kind)


@pytest.mark.parametrize("ahead", [25, 48, 144])
def test_a_copy_of_a_target_far_ahead_is_suspected(warnings, ahead):
    y = signal(91, ROWS + ahead).round(3)
    frame = frame_of(planned=y[ahead:], past=signal(92, ROWS), y=y[:-ahead])
    (said,) = [one for one in warnings(frame) if "rows later" in one]
    assert said.startswith(f"leak suspect: 'planned' holds 'y' of {ahead} rows later")
    # What was measured before is known.
    assert not [one for one in warnings(frame, target="planned") if "rows later" in one]
