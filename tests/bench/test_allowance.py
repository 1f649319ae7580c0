"""So much is planned as ends by itself, and what is given up goes in its order."""

from itertools import pairwise

import pytest

from liquidbench import allowance, tasks
from liquidbench.allowance import Allowance, Pace, allot, in_words, paces

FIVE = {"LTC": 2.0, "CfC": 0.5, "LRCU": 1.0, "LSTM": 0.2, "GRU": 0.3}


def found(scale=1.0, **models):
    return {model: Pace(scale * epoch, 1.5 * scale * epoch) for model, epoch in (models or FIVE).items()}


def test_all_that_is_wanted_where_time_is_ample():
    planned = allot(found(), minutes=1e6, processes=2, steps=20)
    assert (planned.models, planned.trials, planned.seeds, planned.epochs) == (tuple(FIVE), 4, 5, 40)
    assert planned.enough and planned.dropped == ()


def test_trials_go_first_then_seeds_then_models_then_choice_then_passes():
    kept = [allot(found(), minutes, 2, 20) for minutes in (200, 60, 40, 30, 20, 12, 8, 5, 3, 1.5, 0.8, 0.3)]
    for more, less in pairwise(kept):
        assert set(less.models) <= set(more.models) and less.seeds <= more.seeds and less.epochs <= more.epochs
        assert less.trials <= more.trials
    for planned in kept:
        assert planned.seeds == 5 or planned.trials == 2 or len(planned.models) == 2
        assert len(planned.models) == 5 or planned.seeds == 3
        assert planned.trials > 1 or planned.models == ("CfC", "LSTM")
        assert planned.epochs == 40 or planned.trials == 1
    assert {planned.trials for planned in kept} == {4, 2, 1} or {3} < {planned.trials for planned in kept}


@pytest.mark.parametrize("minutes", [0.1, 1, 5, 30, 100])
def test_what_is_planned_fits_or_is_said_not_to(minutes):
    planned = allot(found(), minutes, 2, 20)
    assert planned.enough == (planned.seconds <= 60 * minutes)
    slowest = max(1.5 * FIVE[model] for model in planned.models)
    if planned.enough:
        # Nothing is cut off by the clock, even if it takes three times as long as it was timed.
        assert 60 * planned.cap >= 3 * planned.trials * planned.epochs * slowest - 0.01


@pytest.mark.parametrize(
    ("models", "left"),
    [
        ({"LTC": 1, "GRU": 5}, ("LTC", "GRU")),
        ({"LTC": 1, "CTRNN": 0.1, "GRU": 5}, ("LTC", "GRU")),
        ({"LTC": 3, "CfC": 1}, ("CfC",)),
        ({"CTRNN": 3}, ("CTRNN",)),
        ({"RNN": 3, "LSTM": 2, "GRU": 4, "STC": 9, "LRC": 10}, ("LSTM", "STC")),
    ],
)
def test_a_verdict_keeps_a_model_of_each_family_and_its_seeds(models, left):
    planned = allot(found(**models), 0.01, 2, 20)
    assert (planned.models, planned.seeds, planned.trials, planned.epochs) == (left, 3, 1, 5)
    assert not planned.enough
    # The old rule: everybody has an equal share of the time.
    fits = 3 * len(left)
    assert planned.cap == pytest.approx(0.01 * min(2, fits) / fits, abs=1e-4)


def test_a_long_pass_has_fewer_of_them_and_never_too_few():
    assert allot(found(), 1e9, 2, 100).epochs == 40
    assert allot(found(), 1e9, 2, 400).epochs == 10
    assert allot(found(), 1e9, 2, 100_000).epochs == 5


def test_more_processes_fit_more_in():
    one, two, many = (allot(found(), 20, processes, 20) for processes in (1, 2, 64))
    assert many.seconds <= 20 * 60
    assert (len(one.models), one.trials * one.seeds) <= (len(two.models), two.trials * two.seeds)
    assert (len(two.models), two.trials * two.seeds) <= (len(many.models), many.trials * many.seeds)


def told(planned, minutes, paces=None):
    return "\n".join(in_words(planned, 4000, minutes, 2, paces or found(), 1.0))


def test_words_say_what_was_left_out_and_what_it_can_show():
    words = told(allot(found(), 5, 2, 20), 5)
    assert "left out for want of time: " in words and "without LTC (a pass takes 2 s)" in words
    assert "All would fit with --minutes " in words and "can show: with 3 seeds" in words and "3.3 times" in words
    ample = told(allot(found(), 1e6, 2, 20), 1e6)
    assert "left out" not in ample and "5 models (LTC, CfC, LRCU, LSTM, GRU)" in ample and "1.7 times" in ample


def test_the_minutes_that_are_named_as_enough_are_enough():
    words = told(allot(found(), 5, 2, 20, 1.0), 5)
    all_of_it = int(words.split("All would fit with --minutes ")[1].split()[0])
    assert allot(found(), all_of_it, 2, 20, 1.0).dropped == ()
    least = told(allot(found(), 0.1, 2, 20, 1.0), 0.1)
    assert "warning: 0.1 min are too few for a verdict" in least and "can show" not in least
    assert allot(found(), int(least.split("For a verdict: --minutes ")[1].split()[0]), 2, 20, 1.0).enough


def test_one_family_alone_is_said_to_answer_another_question():
    only = found(LTC=0.01, CfC=0.01)
    assert "not liquid against recurrent" in told(allot(only, 60, 2, 20), 60, only)


def test_paces_are_timed_on_copies_and_leave_no_trace():
    import torch

    task = tasks.load("occupancy-excerpt")
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    named: list[str] = []
    measured = paces(task, ["CfC", "GRU"], 1000, 64, 8, 1, 0.5, named.append)
    assert list(measured) == ["CfC", "GRU"] and named == [f"timing a training step of {model}" for model in measured]
    for pace in measured.values():
        assert 0 < pace.epoch <= pace.slowest < 60 and 0 < pace.scoring and 0 < pace.cost
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert task.constructed == {"train", "validation"}


def test_an_allowance_says_nothing_of_what_it_keeps():
    assert allowance._dropped(*[Allowance(("LTC",), 4, 5, 40)] * 2, {}) == ()
