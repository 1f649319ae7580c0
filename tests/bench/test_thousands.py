"""Numbers that lost the mark between thousands: which are told, and which columns are left alone."""

import re

import numpy as np
import pytest
from drawn import frame_of, signal

from liquidbench.tasks.thousands import lost


def losing(numbers, factor=1000.0):
    return np.where(np.abs(numbers) >= factor, numbers / factor, numbers)


def amounts(seed, level, deviation, rows=420):
    return np.exp(level + deviation * signal(seed, rows, keeps=0.8)).round()


LOST = {
    "most of them": losing(amounts(1, 7.2, 0.4)),
    "rounded to tens": losing(amounts(2, 7.0, 0.4).round(-1)),
    "a few": losing(amounts(3, 6.55, 0.15)),
    "millions": losing(amounts(4, 13.9, 0.5).round(-2), 1e6),
    "with signs": losing(amounts(5, 7.0, 0.4)) * np.where(signal(6) > 0, 1, -1),
    "with nothing between as they are wide": losing(amounts(7, 6.5, 1.5)),
    "zeros and empty cells": np.where(signal(8) > 1, np.where(signal(9) > 0, np.nan, 0), losing(amounts(10, 7, 0.3))),
}


@pytest.mark.parametrize("numbers", LOST.values(), ids=LOST)
def test_numbers_that_lost_the_mark_between_thousands_are_found(numbers):
    found = lost(numbers)
    assert found is not None
    assert (found.rows == (numbers % 1 > 0)).all()
    assert found.factor == (1e6 if np.nanmax(numbers) > 1000 else 1e3)


DRAWS = np.random.default_rng(0)
STATES = np.where(signal(11) > 0, (700 + 100 * signal(12, keeps=0.5)).round(), (2.5 + 0.5 * signal(13)).clip(1.01))
CLEAN = {
    "whole": amounts(14, 6.8, 0.2),
    "prices": np.exp(2.5 + 1.2 * signal(15)).round(2),
    "three figures": np.array([float(f"{number:.3g}") for number in np.exp(4 + 1.8 * signal(16))]),
    "two states, as a display shows them": np.array([float(f"{number:.3g}") for number in STATES]),
    "doses": DRAWS.choice([0, 1.5, 2.5, 5, 10, 50, 100, 250, 500, 750], 400),
    "marks beside marks": DRAWS.choice([*np.arange(1.1, 3, 0.1).round(1), 997, 998, 999], 400),
    "marks of halves": (4 + signal(17)).round(1),
    "counts and a half": np.where(signal(18) > 1, 2.5, DRAWS.poisson(300, 420)),
}


@pytest.mark.parametrize("numbers", CLEAN.values(), ids=CLEAN)
def test_other_small_numbers_beside_large_ones_are_left_alone(numbers):
    assert lost(numbers) is None


SLIPS = np.where(np.isin(np.arange(420), [17, 90, 91, 250]), 1.094, amounts(23, 7.5, 0.3))


@pytest.mark.parametrize("visits", [losing(amounts(19, 7.2, 0.17)), losing(amounts(19, 6.45, 0.17)), SLIPS])
def test_lost_marks_between_thousands_are_warned_of_once(warnings, visits):
    (warning,) = warnings(frame_of(visits=visits, y=signal(20).round(3)))
    assert warning.startswith("'visits' is 1.0")
    assert re.search(f"in {int((visits % 1 > 0).sum())} rows?, the first of them line ", warning)
    assert "table['visits'].where(table['visits'].abs() >= " in warning


def test_two_quantities_of_which_a_column_says_which_are_no_thousands(warnings):
    full = amounts(21, 7.0, 0.3)
    frame = frame_of(value=losing(full), unit=np.where(full < 1000, "ppm", "thousand"), y=signal(22).round(3))
    assert not [warning for warning in warnings(frame) if "spreadsheet" in warning]
    (warning,) = [warning for warning in warnings(frame.drop("unit"), "value") if "spreadsheet" in warning]
    assert warning.startswith("target 'value' ")
