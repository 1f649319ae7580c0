"""What tasks say together, on tables whose answer is known."""

import math
from dataclasses import replace

import baycomp
import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, CUT, ERROR, PATIENCE, costs, table
from scipy import stats
from statsmodels.stats.multitest import multipletests

from liquidbench.models import MODELS
from liquidbench.statistics import WinTieLoss, compare, hierarchical_interval

TASKS = "abcdefghijkl"
SPREAD = np.array([0.0, 0.002, -0.002, 0.001])


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


def test_ranks_have_an_interval_with_at_least_six_tasks():
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
    names = {task: replace(ACCURACY, **facts) for task in "abcdefghij"[: len(means)]}
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
        f"{expected.statistic:.2f}, p = {expected.pvalue:.2f}; with so few tasks p is approximate)."
    )
    assert over_tasks(means[:2]).friedman is None
    assert over_tasks([{"CfC": 0.9, "GRU": 0.8}] * 4).friedman is None


def test_a_failure_ranks_last_in_friedmans_test_too():
    scores = {"CfC": 0.9, "LSTM": 0.8, "GRU": 0.7}
    whole, failed = over_tasks([scores] * 3), over_tasks([scores | {"GRU": None}] * 3)
    assert whole.friedman == failed.friedman == pytest.approx((6.0, math.exp(-3)))
    assert whole.sentence.startswith("Over 3 tasks Friedman's test finds a difference")


def test_six_tasks_let_liquid_and_recurrent_be_compared_over_tasks():
    means = [{"CfC": 0.8 + lead, "GRU": 0.8} for lead in (0.02, 0.03, 0.04, 0.05, 0.06, 0.07)]
    found = over_tasks(means)
    # All leads are larger than the smallest difference: p = 2 / 2^6.
    assert found.leads.p == pytest.approx(2 / 64) and found.leads.n == 6
    assert found.sentence == (
        "Over 6 tasks liquid networks are better than recurrent ones (p = 0.031 by exact signed-rank test of whether "
        "they lead by more than the smallest difference that counts)."
    )
    small = over_tasks([{"CfC": 0.8 + lead / 10, "GRU": 0.8} for lead in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)])
    assert small.leads.p == 1.0 and "liquid networks are not shown to differ from recurrent ones" in small.sentence
    turned = over_tasks(means, metric_label="Mean squared error", higher_is_better=False)
    assert "recurrent networks are better than liquid ones" in turned.sentence
    assert over_tasks(means[:5]).leads is None and over_tasks(means[:5]).sentence == ""
    assert over_tasks(means, smallest_difference=0.0).leads is None, "leads of no common unit"
    mixed = over_tasks([*means[:3], *({"CfC": 0.7, "GRU": 0.9},) * 3])
    assert "not shown to differ" in mixed.sentence


def matched(leads, facts=ACCURACY, smallest_difference=0.01, base=0.8, extra=()):
    """Matchup of CfC and GRU on tasks a, b, ..., on which CfC's scores are so much larger."""
    frames = [
        table({"CfC": base + lead + SPREAD, "GRU": base + SPREAD[[1, 2, 3, 0]]}, task=task, metric=facts.metric)
        for task, lead in zip(TASKS, leads, strict=False)
    ]
    comparison = compare(pl.concat([*frames, *extra]), dict.fromkeys(TASKS[: len(leads)], facts), smallest_difference)
    return comparison.over_tasks.matchup("CfC", "GRU")


def test_a_matchup_has_the_numbers_of_its_leads():
    leads = np.array([0.05, 0.03, 0.02, -0.015, 0.004, 0.04, 0.06])
    found = matched(leads)
    assert (found.tasks, found.left_out, found.record) == (7, 0, WinTieLoss(5, 1, 1))
    assert found.lead == pytest.approx(leads.mean() / 0.01)
    assert found.p == found.outcome.p == pytest.approx(stats.wilcoxon(leads, method="exact").pvalue)
    groups = [(lead + SPREAD - SPREAD[[1, 2, 3, 0]]) / 0.01 for lead in leads]
    assert found.interval == pytest.approx(hierarchical_interval(groups))
    expected = baycomp.SignedRankTest(np.zeros(7), leads, 0.01, nsamples=20000, random_state=0).probs()
    assert found.probabilities == pytest.approx(expected, abs=0.02)


def test_verdicts_of_matchups():
    assert matched([0.02, 0.03, 0.04, 0.05, 0.06, 0.07]).verdict == "better"
    assert matched([-0.02, -0.03, -0.04, -0.05, -0.06, -0.07]).verdict == "worse"
    assert matched([0.002, -0.003, 0.004, 0.001, -0.002, 0.001]).verdict == "equivalent"
    assert matched([0.02, 0.03, 0.04, 0.05, 0.06]).verdict == "cannot say", "five tasks can show nothing"
    # All leads on one side, but small ones: shown, and of no consequence.
    small = matched([0.006, 0.007, 0.008, 0.013, 0.009, 0.0125])
    assert small.p < 0.05 and small.lead < 1 and small.verdict == "no difference shown"


def test_an_extreme_task_does_not_decide_a_matchup():
    found = matched([-0.02, -0.021, -0.022, -0.023, -0.024, -0.025, -0.026, -0.027, -0.028, 0.9])
    assert found.lead > 1 and found.outcome.effect < 0
    assert found.verdict == "no difference shown"


def test_for_errors_a_matchup_turns_and_its_unit_is_relative():
    found = matched([-0.08, -0.09, -0.1, -0.11, -0.12, -0.13], ERROR, 0.05)
    assert found.verdict == "better"
    assert found.lead == pytest.approx(0.105 / (0.05 * (0.8 + SPREAD.mean())))


def test_where_any_difference_counts_leads_have_no_unit():
    found = matched([0.02, 0.03, 0.04, 0.05, 0.06, 0.07], smallest_difference=0.0)
    assert (found.lead, found.record, found.p, found.probabilities, found.verdict) == (None,) * 4 + ("cannot say",)
    assert found.sentence == "Over 6 tasks, it cannot be said whether CfC or GRU is better."


def test_tasks_without_a_verdict_are_left_out_of_a_matchup_and_counted():
    failing = table({"CfC": [0.9, None, None, 0.9], "GRU": [0.8] * 4}, task="g")
    frames = [
        table({"CfC": 0.8 + lead + SPREAD, "GRU": 0.8 + SPREAD}, task=task)
        for task, lead in zip("abcdef", (0.02, 0.03, 0.04, 0.05, 0.06, 0.07), strict=True)
    ]
    comparison = compare(pl.concat([*frames, failing]), dict.fromkeys("abcdefg", ACCURACY), 0.01)
    found = comparison.over_tasks.matchup("CfC", "GRU")
    assert (found.tasks, found.left_out) == (6, 1)
    assert found.sentence.endswith("; 1 task left out).")


def test_models_that_a_task_lacks_keep_their_matchups():
    frames = [table({"CfC": 0.9 + SPREAD, "GRU": 0.8 + SPREAD}, task="a")]
    frames += [table({"LTC": 0.7 + SPREAD, "CfC": 0.9 + SPREAD, "GRU": 0.8 + SPREAD}, task=task) for task in "bc"]
    over = compare(pl.concat(frames), dict.fromkeys("abc", ACCURACY), 0.01).over_tasks
    found = {(m.first, m.second): (m.tasks, m.record) for m in over.matchups}
    assert found == {
        ("LTC", "CfC"): (2, WinTieLoss(0, 0, 2)),
        ("LTC", "GRU"): (2, WinTieLoss(0, 0, 2)),
        ("CfC", "GRU"): (3, WinTieLoss(3, 0, 0)),
    }


def test_the_sentence_of_a_matchup_names_the_better_one_first():
    leads = [0.02, 0.03, 0.04, 0.05, 0.06, 0.07]
    found, turned = matched(leads), matched([-lead for lead in leads])
    assert found.sentence.startswith("Over 6 tasks, CfC is better than GRU (CfC leads by 4.5 smallest differences on ")
    assert (
        "; wins 6, ties 0, losses 0; p = 0.031 by exact signed-rank test; uncorrected probability of " in found.sentence
    )
    assert turned.sentence.startswith("Over 6 tasks, GRU is better than CfC (GRU leads by 4.5 smallest differences on ")
    assert turned.sentence == turned.swapped().sentence
    assert turned.swapped().swapped() == turned


def everyone(tasks=12, models=("LTC", "CfC", "RNN", "LSTM", "GRU"), seeds=4, step=0.01, noise=0.01):
    """A study in which each model is better than the one before by a step."""
    random = np.random.default_rng(0)
    frames = []
    for task in TASKS[:tasks]:
        level = random.random() / 2
        scores = {
            model: level + step * place + noise * random.normal() + noise / 2 * random.normal(size=seeds)
            for place, model in enumerate(models)
        }
        frames.append(table(scores, task=task))
    return compare(pl.concat(frames), dict.fromkeys(TASKS[:tasks], ACCURACY), 0.01)


def test_matchups_are_corrected_for_all_pairs():
    over = everyone().over_tasks
    assert len(over.matchups) == 10
    raw = np.array([found.outcome.p for found in over.matchups])
    assert [found.p for found in over.matchups] == pytest.approx(multipletests(raw, method="holm")[1])
    assert over.matchup("GRU", "LTC") == over.matchup("LTC", "GRU").swapped()
    with pytest.raises(ValueError, match="two of the study's matched models; got 'GRU' and 'CTRNN'"):
        over.matchup("GRU", "CTRNN")


def test_groups_are_those_of_the_tests():
    # Seconds to import, with seaborn behind it.
    import scikit_posthocs

    comparison = everyone()
    over, groups = comparison.over_tasks, comparison.over_tasks.groups
    order = [model for model, _ in groups.ranks]
    assert order[0] == "GRU" and order[-1] == "LTC"
    means = {(line.task, line.model): line.rank for line in comparison.leaderboard}
    places = np.array([[means[task, model] for model in order] for task in TASKS])
    p = scikit_posthocs.posthoc_nemenyi_friedman(places).to_numpy()
    together = {(a, b) for i, a in enumerate(order) for j, b in enumerate(order) if i < j and p[i, j] >= 0.05}
    assert together == {(a, b) for group in groups.nemenyi for i, a in enumerate(group) for b in group[i + 1 :]}
    assert len(groups.nemenyi) > 1
    alike = {frozenset((m.first, m.second)) for m in over.matchups if m.p >= 0.05}
    grouped = {frozenset((a, b)) for group in groups.signed_rank for a in group for b in group if a != b}
    assert alike == grouped
    for group in groups.nemenyi:
        assert f"{', '.join(group)}" in groups.sentence or len(group) == 1


def test_where_friedman_finds_nothing_nemenyi_separates_nothing():
    over = everyone(step=0.0).over_tasks
    assert over.friedman[1] > 0.05 and len(over.groups.nemenyi) == 1
    assert everyone(tasks=2).over_tasks.groups is None


def test_too_few_tasks_for_the_number_of_pairs_are_reported():
    groups = everyone(tasks=6).over_tasks.groups
    # Ten pairs: 2 / 2^8 is 0.0078, ten times that more than 0.05; of nine tasks it is 0.039.
    assert groups.enough == 9
    assert groups.sentence.endswith(
        "With 6 tasks no signed-rank test corrected for all pairs of 5 models can show a difference; "
        "9 tasks are needed."
    )
    assert len(groups.signed_rank) == 1
    assert everyone(tasks=5).over_tasks.groups.signed_rank is None
    assert "no signed-rank test" not in everyone(tasks=12).over_tasks.groups.sentence


def test_prices_of_a_lead_over_tasks():
    leads = [0.02, 0.03, 0.04, 0.05, 0.06, 0.076]
    spent = [
        costs({"CfC": {"seconds_per_epoch": times, "parameters": 4000}, "GRU": {"seconds_per_epoch": 1.0}}, task=task)
        for task, times in zip(TASKS, (2.0, 8.0, 4.0, 4.0, 2.0, 8.0), strict=False)
    ]
    (price,) = matched(leads, extra=spent).prices
    assert (price.cost, price.ratio, price.gain) == ("seconds_per_epoch", pytest.approx(4.0), pytest.approx(4.6))
    assert price.per_doubling == pytest.approx(2.3)
    assert price.sentence == (
        "CfC is better than GRU at 4 times the training time: 2.3 smallest differences for each doubling."
    )
    assert matched(leads, extra=spent[:5]).prices == (), "a cost that is not known on all tasks has no mean"


@pytest.mark.slow
def test_twenty_models_on_twelve_tasks_are_all_compared():
    models = list(MODELS)[:20]
    random = np.random.default_rng(0)
    frames = [table({model: random.random() + random.random(10) for model in models}, task=task) for task in TASKS]
    frame = pl.concat(frames)
    found = compare(frame, dict.fromkeys(TASKS, ACCURACY), 0.01)
    assert len(found.over_tasks.matchups) == 190 and len(found.pairs) == 12 * 190
