"""What tasks say together, on tables whose answer is known."""

import math

import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, CUT, PATIENCE, table
from scipy import stats

from liquidbench.statistics import compare


def test_tests_over_tasks_leave_out_what_was_cut_short():
    scores = {"CfC": [0.9] * 3, "GRU": [0.8] * 3, "LSTM": [0.7] * 3}

    def over(cut):
        frames = [
            table(scores, task=task, ended=dict.fromkeys(scores, [CUT if task in cut else PATIENCE] * 3))
            for task in "abcdef"
        ]
        return compare(pl.concat(frames), dict.fromkeys("abcdef", ACCURACY), 0.01).over_tasks

    assert over("").leads.n == 6 and over("").tasks == 6
    assert over("a").leads is None and over("a").tasks == 5


def test_ranks_have_an_interval_from_six_tasks_on():
    random = np.random.default_rng(0)
    tables = [table({model: random.random(3) for model in ("CfC", "GRU")}, task=task) for task in "abcdef"]
    for tasks in (1, 5, 6):
        overall = compare(pl.concat(tables[:tasks]), dict.fromkeys("abcdef", ACCURACY), 0.01).overall
        assert all((line.interval is not None) == (tasks == 6) for line in overall)


def over_tasks(means, seeds=3, smallest_difference=0.01, **facts):
    """Tests over tasks named a, b, ... whose models score so much, whatever the seed."""
    frames = [
        table({model: [score] * seeds for model, score in scores.items()}, task=task)
        for task, scores in zip("abcdefghij", means, strict=False)
    ]
    names = {task: ACCURACY | facts for task in "abcdefghij"[: len(means)]}
    return compare(pl.concat(frames), names, smallest_difference).over_tasks


def test_friedman_over_tasks_takes_three_models_and_three_tasks():
    random = np.random.default_rng(0)
    means = [dict(zip(("CfC", "LSTM", "GRU"), random.random(3), strict=True)) for _ in range(4)]
    found = over_tasks(means)
    expected = stats.friedmanchisquare(*np.array([list(scores.values()) for scores in means]).T)
    assert found.friedman == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.tasks, found.models) == (4, 3)
    assert found.sentence == (
        f"Over 4 tasks Friedman's test finds no difference between the ranks of the 3 models (χ² = "
        f"{expected.statistic:.2f}, p = {expected.pvalue:.2f}; with so few tasks that p is rough)."
    )
    assert over_tasks(means[:2]).friedman is None
    assert over_tasks([{"CfC": 0.9, "GRU": 0.8}] * 4).friedman is None


def test_a_failure_ranks_last_in_friedmans_test_too():
    scores = {"CfC": 0.9, "LSTM": 0.8, "GRU": 0.7}
    whole, failed = over_tasks([scores] * 3), over_tasks([scores | {"GRU": None}] * 3)
    assert whole.friedman == failed.friedman == pytest.approx((6.0, math.exp(-3)))
    assert whole.sentence.startswith("Over 3 tasks Friedman's test finds a difference")


def test_six_tasks_let_liquid_and_recurrent_be_compared_over_tasks():
    means = [{"CfC": 0.8 + lead, "GRU": 0.8} for lead in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)]
    found = over_tasks(means)
    # All signs alike: p = 2 / 2^6.
    assert found.leads.p == pytest.approx(2 / 64) and found.leads.n == 6
    assert found.sentence == (
        "Over 6 tasks the liquid networks' best are better than the recurrent networks' (p = 0.031 by exact "
        "signed-rank test, each task's lead in units of the smallest difference that counts)."
    )
    turned = over_tasks(means, metric_label="Mean squared error", higher_is_better=False)
    assert "the recurrent networks' best are better than the liquid networks'" in turned.sentence
    assert over_tasks(means[:5]).leads is None and over_tasks(means[:5]).sentence == ""
    assert over_tasks(means, smallest_difference=0.0).leads is None, "leads of no common unit"
    mixed = over_tasks([*means[:3], *({"CfC": 0.7, "GRU": 0.9},) * 3])
    assert "not shown to differ" in mixed.sentence
