"""Numbers that were filled in where nothing was measured, and flags that say where that was."""

import numpy as np
import polars as pl
import pytest
from drawn import ROWS, frame_of, signal
from scipy.interpolate import interp1d

SLOW = np.cumsum(signal(71))
"""Numbers that go on from row to row."""


def filled(found):
    return [one for one in found if "leave them empty" in one or "leave these cells empty" in one]


def holes(share=0.1, seed=72):
    return np.random.default_rng(seed).random(ROWS) < share


@pytest.mark.parametrize(("middle", "what"), [(np.mean, "mean"), (np.median, "median")])
@pytest.mark.parametrize("digits", [2, 3, 15])
def test_means_and_medians_in_place_of_missing_numbers_are_warned_of(warnings, middle, what, digits):
    gone, numbers = holes(), 20 + 3 * signal(73)
    x = np.where(gone, middle(numbers[~gone]), numbers).round(digits)
    # One that was measured may be the same.
    same = x == x[gone.argmax()]
    (said,) = filled(warnings(frame_of(x=x, y=SLOW)))
    assert said.startswith(f"'x' is {x[gone.argmax()]:.8g} in {same.sum()} rows, the first of them line ")
    assert f"line {same.argmax() + 2}, which is the {what} of all other rows" in said


def test_zeros_in_standardised_numbers_are_their_mean(warnings):
    numbers, gone = signal(74, keeps=0.999), holes()
    standard = (numbers - numbers[~gone].mean()) / numbers[~gone].std()
    assert len(filled(warnings(frame_of(x=np.where(gone, 0, standard), y=SLOW)))) == 1
    # What is at rest at 0 comes to it slowly.
    at_rest = np.where(np.abs(standard) < 0.4, 0, standard - 0.4 * np.sign(standard))
    assert not filled(warnings(frame_of(x=at_rest, y=SLOW)))


def test_means_in_coarser_numbers_are_warned_of_whatever_they_are_the_mean_of(warnings):
    numbers, gone = (20 + 3 * signal(85)).round(1), holes()
    x = np.where(gone, numbers[:200].mean(), numbers)
    (said,) = filled(warnings(frame_of(x=x, y=SLOW)))
    assert "which has more decimals than all other rows" in said


@pytest.mark.parametrize("digits", [0, 1])
def test_medians_of_coarse_numbers_are_warned_of(warnings, digits):
    numbers, gone = (80 + 9 * signal(86)).round(digits), holes(0.25)
    x = np.where(gone, np.median(numbers[~gone]), numbers)
    (said,) = filled(warnings(frame_of(x=x, y=SLOW)))
    assert "which is the median of all other rows" in said


def test_means_of_each_subject_are_warned_of(warnings):
    gone = holes(0.2)
    frame = frame_of(x=(50 + 9 * signal(75)).round(2), y=signal(76).round(2), who=np.arange(ROWS) // (ROWS // 6))
    frame = frame.with_columns(pl.format("p{}", "who").alias("subject"), gone=pl.Series(gone)).drop("who")
    mean = pl.when(~pl.col("gone")).then("x").mean().over("subject")
    frame = frame.with_columns(x=pl.when("gone").then(mean).otherwise("x")).drop("gone")
    (said,) = filled(warnings(frame, group="subject"))
    assert said.startswith("'x' has one number far more often than any other in 6 of 'subject', ")


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param((20 + signal(77)).round(0), id="coarse"),
        pytest.param(np.where(holes(), 21.5, 20 + signal(78)), id="a set point that is no mean"),
        pytest.param(20 + signal(79), id="measured"),
    ],
)
def test_what_is_no_mean_is_not_warned_of(warnings, numbers):
    assert not filled(warnings(frame_of(x=numbers, y=SLOW)))


@pytest.mark.parametrize("rows", [10, 25])
@pytest.mark.parametrize("digits", [2, 15])
def test_straight_lines_across_gaps_are_warned_of(warnings, rows, digits):
    gone = np.zeros(ROWS, dtype=bool)
    for place in (40, 130, 300):
        gone[place : place + rows] = True
    there = np.flatnonzero(~gone)
    x = interp1d(there, (5 * SLOW)[there])(np.arange(ROWS)).round(digits)
    (said,) = filled(warnings(frame_of(x=x, y=SLOW)))
    # With the measured row on either side.
    assert f"through the {rows + 2} rows from line {40 + 1} on, and so on in 2 more places" in said


def test_lines_in_time_are_straight_where_spans_differ(warnings):
    spans = np.random.default_rng(80).integers(1, 9, ROWS)
    seconds = np.cumsum(spans)
    gone = (np.arange(ROWS) >= 200) & (np.arange(ROWS) < 230)
    x = np.interp(seconds, seconds[~gone], (5 * SLOW)[~gone])
    (said,) = filled(warnings(frame_of(time=seconds, x=x, y=SLOW).select("time", "x", "y"), time="time"))
    assert "through the 32 rows from line 201 on, and" in said


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(
            np.interp(np.arange(ROWS), np.arange(0, ROWS, 30), signal(81)[: len(range(0, ROWS, 30))]), id="ramps"
        ),
        pytest.param(np.sin(np.arange(ROWS) / 90), id="smooth"),
        pytest.param(np.sin(np.arange(ROWS) / 50).round(2), id="smooth and rounded"),
        pytest.param(np.abs(np.arange(ROWS) % 60 - 30.0), id="a triangle"),
        pytest.param(5 * SLOW, id="measured"),
    ],
)
def test_what_is_straight_by_itself_is_not_warned_of(warnings, numbers):
    assert not filled(warnings(frame_of(x=numbers, y=signal(82))))


@pytest.mark.parametrize(
    ("name", "usual", "other", "whose"),
    [
        ("x_qc", 1, 4, "'x'"),
        ("qc_x", "good", "bad", "'x'"),
        ("X quality", 0, 1, "'x'"),
        ("x_valid", True, False, "'x'"),
        ("QualityFlag", "P", "E", "other columns"),
        ("x_remark", "", "e", "'x'"),
        ("quality", 192, 0, "other columns"),
        ("source", "Measured", "Gap filled", "other columns"),
        ("imputed", "no", "yes", "other columns"),
    ],
)
def test_flags_of_quality_are_warned_of(warnings, name, usual, other, whose):
    flags = [other if rejected else usual for rejected in holes()]
    found = [
        one for one in warnings(frame_of(x=SLOW, y=signal(83)).with_columns(pl.Series(name, flags))) if "flag" in one
    ]
    assert f"looks like a flag of the quality of {whose} (" in found[0]
    assert f"in {holes().sum()}" in found[0]


@pytest.mark.parametrize("name", ["grade", "valve_flag", "x_grade"])
def test_other_names_are_no_flags_of_quality(warnings, name):
    flags = [4 if rejected else 1 for rejected in holes()]
    found = warnings(frame_of(x=SLOW, y=signal(84)).with_columns(pl.Series(name, flags)))
    assert not [one for one in found if "flag of the quality" in one]
