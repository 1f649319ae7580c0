from dataclasses import replace

import pytest

from liquidbench import shifts, tasks
from liquidbench.facts import Facts, Feature
from liquidbench.shifts import SHIFTS, find, recorded


@pytest.mark.parametrize("name", [*SHIFTS, "noise+bias"])
def test_every_shift_begins_at_nothing_and_takes_its_own_levels(name):
    shift = find(name)
    assert shift.levels[0] > 0 and list(shift.levels) == sorted(set(shift.levels))
    assert all(map(shift.takes, (0.0, *shift.levels))) and not shift.takes(-0.1)
    told = [shift.told(level) for level in (0.0, *shift.levels)]
    assert told[0] == "unchanged data" and len(set(told)) == len(told)
    assert recorded(shift.key) == shift


def test_a_later_version_is_another_shift(monkeypatch):
    later = replace(SHIFTS["noise"], version=2)
    monkeypatch.setattr(shifts, "SHIFTS", {**SHIFTS, "noise": later})
    assert find("noise").key == "noise@2" and find("bias+noise").key == "bias+noise@2"
    # Rows of before stay what they were.
    assert recorded("noise").version == 1 and recorded("noise").title == "Noise"
    assert recorded("noise@2").title == "Noise (version 2)"


@pytest.mark.parametrize("key", ["mist", "noise+", "", "noise@2", "noise bias"])
def test_unknown_names_are_refused(key):
    with pytest.raises(ValueError, match="a shift must be among removed_steps, .*joined by"):
        find(key)


@pytest.mark.parametrize("key", ["mist", "noise@1", "noise@", "noise@two", "mist@2"])
def test_unknown_keys_of_results_are_refused(key):
    with pytest.raises(ValueError, match="got"):
        recorded(key)


def test_what_does_not_apply_says_why():
    one = Facts(kind="regression", per="step", features=(Feature("a", "1"),))
    assert "single feature" in find("sensor_dropout").why_not(one)
    assert "targets are values" in find("label_shift").why_not(one)
    assert "each step has a target" in find("label_shift").why_not(replace(one, kind="classification"))
    assert "single feature" in find("noise+sensor_dropout").why_not(one)
    assert not find("noise").why_not(one)
    # A task says what its facts say.
    task = tasks.load("physionet2012-excerpt")
    assert not find("label_shift").why_not(task) and not find("sensor_dropout").why_not(task)


def test_they_have_one_order():
    keys = ["noise+bias", "label_shift", "bias@2", "noise", "removed_steps", "bias"]
    assert sorted(keys, key=shifts.place_of) == [
        "removed_steps",
        "noise",
        "bias",
        "bias@2",
        "label_shift",
        "noise+bias",
    ]
