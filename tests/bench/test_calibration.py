"""A small version of the simulation that says how often verdicts are false; `make calibrate` is the whole one."""

import importlib.util
import sys
from pathlib import Path

import pytest
from scipy import stats

spec = importlib.util.spec_from_file_location("calibrate", Path(__file__).parents[2] / "benchmarks" / "calibrate.py")
calibrate = sys.modules["calibrate"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(calibrate)


def rare(times, studies, rate=0.05):
    """Whether so many are no more than a rate explains."""
    return stats.binomtest(times, studies, rate, alternative="greater").pvalue > 0.001


FAST = [
    one
    for one in calibrate.NULL
    if one.tasks == 1 and any(word in one.name for word in ("exactly the margin", "Cheap mode: one", "floor", "30 rec"))
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("scenario", FAST, ids=lambda one: one.name)
def test_false_verdicts_are_rare(scenario):
    told = calibrate.calibrate(scenario, 20)
    assert rare(told.false, told.studies)
    if scenario.search or scenario.floor is not None:
        assert told.false == told.liquid == told.recurrent == 0
    elif told.intervals:
        assert rare(told.intervals - told.covered, told.intervals)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", calibrate.NULL, ids=lambda one: one.name)
def test_false_verdicts_are_rare_in_many_studies(scenario):
    told = calibrate.calibrate(scenario, 40 if scenario.tasks > 1 else 200)
    assert rare(told.false, told.studies)


def test_a_large_difference_is_found():
    (scenario,) = (one for one in calibrate.REAL if one.name == "8 against 3, better by 0.08")
    told = calibrate.calibrate(scenario, 15)
    assert told.found >= 11 and told.false == 0
    assert "| 8 against 3, better by 0.08 | 15 |" in calibrate.table({scenario: told})


def test_more_networks_do_not_make_a_family_better():
    # By the best of eight against the best of three, "liquid better" came out in 0.2 of such studies.
    (scenario,) = (one for one in calibrate.NULL if one.name == "8 against 3, all of one distribution")
    told = calibrate.calibrate(scenario, 40)
    assert told.liquid + told.recurrent <= 3
