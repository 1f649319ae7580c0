"""So much is planned as ends by itself, and what is given up goes in its order."""

from itertools import pairwise

import pytest

from liquidbench import tasks, time_budget
from liquidbench.time_budget import Scope, Timing, choose_scope, describe, time_models

FIVE = {"LTC": 0.04, "CfC": 0.01, "LRCU": 0.02, "LSTM": 0.004, "GRU": 0.006}


def found(**models):
    return {model: Timing(step, 1.5 * step, 2 * step) for model, step in (models or FIVE).items()}


def test_with_enough_time_nothing_is_left_out():
    planned = choose_scope(found(), minutes=1e6, processes=2)
    assert (planned.models, planned.trials, planned.seeds, planned.steps) == (tuple(FIVE), 4, 5, 2000)
    assert planned.enough and planned.dropped == ()


def test_trials_go_first_then_seeds_then_models_then_choice_then_steps():
    kept = [choose_scope(found(), minutes, 2) for minutes in (200, 60, 40, 30, 20, 12, 8, 5, 3, 1.5, 0.8, 0.3)]
    for more, less in pairwise(kept):
        assert set(less.models) <= set(more.models) and less.seeds <= more.seeds and less.steps <= more.steps
        assert less.trials <= more.trials
    for planned in kept:
        assert planned.seeds == 5 or planned.trials == 2 or len(planned.models) == 2
        assert len(planned.models) == 5 or planned.seeds == 3
        assert planned.trials > 1 or planned.models == ("CfC", "LSTM")
        assert planned.steps == 2000 or planned.trials == 1
    assert {planned.trials for planned in kept} == {4, 2, 1} or {3} < {planned.trials for planned in kept}


@pytest.mark.parametrize("minutes", [0.1, 1, 5, 30, 100])
def test_what_is_planned_fits_or_is_said_not_to(minutes):
    planned = choose_scope(found(), minutes, 2)
    assert planned.enough == (planned.seconds <= 60 * minutes)
    slowest = max(Timing(1.5 * FIVE[model], 0, 2 * FIVE[model]).training(planned.steps) for model in planned.models)
    if planned.enough:
        # Nothing is cut off by the clock, even if it takes three times as long as it was timed.
        assert 60 * planned.cap >= 3 * planned.trials * slowest - 0.01


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
    planned = choose_scope(found(**models), 0.01, 2)
    assert (planned.models, planned.seeds, planned.trials, planned.steps) == (left, 3, 1, 300)
    assert not planned.enough
    # The old rule: everybody has an equal share of the time.
    fits = 3 * len(left)
    assert planned.cap == pytest.approx(0.01 * min(2, fits) / fits, abs=1e-4)


def test_trials_that_are_stopped_count_less():
    counts = [time_budget.full_trainings(trials) for trials in (1, 2, 4, 8, 16)]
    # The second of two is the better one half of the time.
    assert counts[:2] == [1.0, 1 + 1 / 8 + 7 / 8 / 2]
    assert all(less < more < trials for trials, (less, more) in zip((2, 4, 8, 16), pairwise(counts), strict=True))


def test_a_training_is_steps_and_evaluations():
    # Every fiftieth of them, but at least every tenth.
    assert Timing(0.01, 0.01, 1.0).training(5000) == pytest.approx(50 + 50)
    assert Timing(0.01, 0.01, 1.0).training(95) == pytest.approx(0.95 + 10)


def test_more_processes_do_more_in_the_same_time():
    one, two, many = (choose_scope(found(), 20, processes) for processes in (1, 2, 64))
    assert many.seconds <= 20 * 60
    assert (len(one.models), one.trials * one.seeds) <= (len(two.models), two.trials * two.seeds)
    assert (len(two.models), two.trials * two.seeds) <= (len(many.models), many.trials * many.seeds)


def told(planned, minutes, timings=None):
    return "\n".join(describe(planned, 4000, minutes, 2, timings or found(), 1.0))


def test_words_say_what_was_left_out_and_what_it_can_show():
    words = told(choose_scope(found(), 5, 2), 5)
    assert "left out to save time, by steps timed just now" in words and "without LTC (a step takes 40 ms)" in words
    assert "Everything fits with --minutes " in words and "can show: with 3 seeds" in words and "3.3 times" in words
    ample = told(choose_scope(found(), 1e6, 2), 1e6)
    assert "left out" not in ample and "5 models (LTC, CfC, LRCU, LSTM, GRU)" in ample and "1.7 times" in ample


def test_the_minutes_that_are_named_as_enough_are_enough():
    words = told(choose_scope(found(), 5, 2, 1.0), 5)
    all_of_it = int(words.split("Everything fits with --minutes ")[1].split()[0])
    assert choose_scope(found(), all_of_it, 2, 1.0).dropped == ()
    least = told(choose_scope(found(), 0.1, 2, 1.0), 0.1)
    assert "warning: 0.1 min are too short for a verdict" in least and "can show" not in least
    assert choose_scope(found(), int(least.split("For a verdict: --minutes ")[1].split()[0]), 2, 1.0).enough


def test_a_plan_with_one_family_has_a_warning():
    only = found(LTC=0.01, CfC=0.01)
    assert "not liquid against recurrent" in told(choose_scope(only, 60, 2), 60, only)


def test_models_are_timed_on_copies_and_leave_no_trace():
    import torch

    task = tasks.load("occupancy-excerpt")
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    named: list[str] = []
    measured = time_models(task, ["CfC", "GRU"], 1000, 64, 8, 1, 0.5, named.append)
    assert list(measured) == ["CfC", "GRU"] and named == [f"timing a training step of {model}" for model in measured]
    for pace in measured.values():
        assert 0 < pace.step <= pace.slowest < 60 and 0 < pace.evaluation and 0 < pace.scoring and 0 < pace.cost
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert task.constructed == {"train", "validation"}


def test_an_allowance_says_nothing_of_what_it_keeps():
    assert time_budget._dropped(*[Scope(("LTC",), 4, 5, 2000)] * 2, {}) == ()
