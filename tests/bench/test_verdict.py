"""Verdicts on tables whose answer is known."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, ALL, CUT, ERROR, PATIENCE, costs, table
from scipy import stats

from liquidbench import statistics
from liquidbench.results import SCHEMA
from liquidbench.statistics import compare
from liquidbench.statistics.inference import variance_of_best
from liquidbench.statistics.task_results import SELECTIONS
from liquidbench.wording import number

NOISE = np.array([0.0, 0.002, -0.002])
CLEAR = {"CfC": 0.95 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 0]]}


def judged(scores, facts=ACCURACY, smallest_difference=0.01, **options):
    frame = table(scores, metric=facts.metric, **options)
    comparison = compare(frame, {"t": facts}, smallest_difference)
    return comparison, comparison.verdict.judgements[0]


def test_each_verdict():
    noise = np.array([0.0, 0.002, -0.002])
    other = noise[[1, 2, 0]]
    assert judged({"CfC": 0.95 + noise, "GRU": 0.90 + other})[1].verdict == "liquid better"
    assert judged({"CfC": 0.90 + noise, "GRU": 0.95 + other})[1].verdict == "recurrent better"
    assert judged({"CfC": 0.90 + noise, "GRU": 0.90 + other})[1].verdict == "equivalent"
    assert judged({"CfC": 0.90 + 20 * noise, "GRU": 0.91 + 20 * other})[1].verdict == "no difference shown"
    assert judged({"CfC": 0.90 + noise})[1].verdict == "not compared"
    assert judged({"CfC": [0.9], "GRU": [0.5]})[1].verdict == "cannot say"


def test_for_errors_lower_is_better_and_the_margin_is_relative():
    noise = np.array([0.0, 0.2, -0.2])
    comparison, judgement = judged({"CfC": 90 + noise, "GRU": 100 + noise[[1, 2, 0]]}, ERROR, 0.05)
    assert judgement.verdict == "liquid better"
    assert judgement.pair.margin == pytest.approx(5.0)
    assert judged({"CfC": 97 + noise, "GRU": 100 + noise[[1, 2, 0]]}, ERROR, 0.05)[1].verdict == "equivalent"
    assert comparison.leaderboard[0].model == "CfC"


def test_the_sentence_gives_the_interval_and_what_it_is_about():
    scores = {"CfC": [0.938, 0.936, 0.940], "GRU": [0.945, 0.936, 0.942]}
    sentence = judged(scores)[1].sentence
    assert sentence.startswith(
        "On t, GRU and CfC show no difference, 95 % interval of the difference −0.006 to 0.012 (accuracy 0.941 against "
        "0.938; "
    )
    titled = judged(scores, replace(ACCURACY, title="Room occupancy"))[1].sentence
    assert titled == sentence.replace("On t,", "On Room occupancy,")
    # Equivalence is closest: both means within 0.01 of each other.
    p = 2 * stats.ttest_1samp(np.subtract(*scores.values()), -0.01, alternative="greater").pvalue
    assert sentence.endswith(f"; p = {p:.3f}; 3 seeds; on this test set).")
    better = judged(CLEAR)[1].sentence
    low, high = stats.ttest_rel(*CLEAR.values()).confidence_interval()
    assert better.startswith(f"On t, CfC is better than GRU by {low:.3f} to {high:.3f} (accuracy 0.950 against 0.900; ")


def test_the_sentence_says_that_p_is_corrected_for_the_number_of_tasks():
    # p is 0.035 on each task alone, twice that for the two of them.
    scores = {"CfC": [0.902, 0.915, 0.927], "GRU": [0.89, 0.907, 0.911]}
    frames = [table(scores, task=task) for task in "ab"]
    alone, both = (compare(pl.concat(some), dict.fromkeys("ab", ACCURACY), 0.0) for some in (frames[:1], frames))
    p = stats.ttest_rel(*scores.values()).pvalue
    assert f"; p = {p:.3f}; 3 seeds" in alone.verdict.judgements[0].sentence
    for judgement in both.verdict.judgements:
        assert f"; p = {2 * p:.3f} after Holm's correction; 3 seeds" in judgement.sentence


def test_a_score_that_the_cap_in_minutes_cut_short_decides_nothing():
    ended = {"CfC": [PATIENCE] * 3, "GRU": [CUT, PATIENCE, PATIENCE]}
    comparison, judgement = judged(CLEAR, ended=ended, rates=(0.003, 0.01))
    assert judgement.verdict == "cannot say" and comparison.pairs[0].verdict == "cannot say"
    assert judgement.sentence.startswith(
        "On t, this study cannot say whether CfC or GRU is better: the time limit ended 1 of 3 chosen trainings of GRU"
    )
    verdict = comparison.verdict
    assert verdict.headline.endswith("cannot say on 1 of 1 task. This study cannot say which to use.")
    assert (
        "t: 2 of 6 trainings of GRU were ended by the time limit, after a median of 2 epochs; its score is "
        "no measure of the model."
    ) in verdict.warnings
    whole = judged(CLEAR, ended=dict.fromkeys(CLEAR, [PATIENCE] * 3))[0].verdict
    assert whole.judgements[0].verdict == "liquid better" and not any("time limit" in words for words in whole.warnings)


def test_fits_that_were_not_done_are_said():
    ended = {"CfC": [ALL, ALL, PATIENCE], "GRU": [("patience", 6, 0), PATIENCE, ("patience", 9, 9)]}
    warnings = judged(CLEAR, ended=ended)[0].verdict.warnings
    assert (
        "2 of 6 chosen fits were still improving at their last epoch (CfC 2): more epochs may change the scores."
        in warnings
    )
    assert "1 of 6 chosen fits was never better on validation than before training (GRU 1)." in warnings


def unlike(*frames):
    frame = pl.concat(frames)
    return [warning for warning in compare(frame, {"t": ACCURACY}, 0.01).verdict.warnings if "different" in warning]


def test_fits_of_several_versions_are_said():
    fits = table(CLEAR)
    assert not unlike(fits) and not unlike(fits.with_columns(version=pl.lit("0.1.0")))
    liquid = pl.col("model") == "CfC"
    told = fits.with_columns(version=pl.when(liquid).then(pl.lit("0.2.0")).otherwise(pl.lit("0.1.0")))
    assert unlike(told) == [
        "On t, fits were made by different versions of liquidbench: 0.1.0 (GRU); 0.2.0 (CfC); scores may differ for "
        "that reason."
    ]
    both = pl.concat([told, table(CLEAR, task="u").with_columns(told["version"])])
    warnings = compare(both, {"t": ACCURACY, "u": ACCURACY}, 0.01).verdict.warnings
    assert sum("On t and u, fits were made by different" in warning for warning in warnings) == 1
    # Other machines compute the same scores.
    assert not unlike(fits.with_columns(machine=pl.when(liquid).then(pl.lit("a")).otherwise(pl.lit("b"))))
    # Rows at published sizes are in no comparison.
    assert not unlike(
        fits.with_columns(version=pl.lit("1")), table(CLEAR, variant="author").with_columns(version=pl.lit("2"))
    )


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("machine", ["Xeon", "EPYC"], "on different machines: EPYC (GRU); Xeon (CfC)"),
        ("threads", [1, 4], "with different numbers of threads: 1 (CfC); 4 (GRU)"),
        ("torch", ["2.8.0", "2.9.0"], "with different versions of torch: 2.8.0 (CfC); 2.9.0 (GRU)"),
        ("version", ["0.1.0", "0.2.0"], "by different versions of liquidbench: 0.1.0 (CfC); 0.2.0 (GRU)"),
    ],
)
def test_costs_that_cannot_be_compared_are_said(column, values, words):
    measured = costs({"CfC": {"seconds_per_epoch": 2.0}, "GRU": {"seconds_per_epoch": 1.0}})
    first, second = (pl.lit(value, SCHEMA[column]) for value in values)
    told = measured.with_columns(pl.when(pl.col("model") == "CfC").then(first).otherwise(second).alias(column))
    assert unlike(table(CLEAR), told) == [
        f"On t, costs were measured {words}; times, memory and energy may differ for that reason."
    ]
    assert not unlike(table(CLEAR), measured.with_columns(first.alias(column)))


def test_times_measured_beside_other_programs_are_said():
    def said(cfc, gru):
        loads = {"CfC": {"seconds_per_epoch": 2.0, "other_load": cfc}, "GRU": {"other_load": gru}}
        warnings = compare(pl.concat([table(CLEAR), costs(loads)]), {"t": ACCURACY}, 0.01).verdict.warnings
        return [one for one in warnings if "other programs" in one]

    assert not said(0.1, 0.0)
    assert said(0.1, 1.26) == [
        "During 1 of 2 measurements of cost, other programs used more than 0.2 cores, up to 1.26: times are longer, "
        "and not equally so for all models."
    ]


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("torch", ["2.8.0", "2.9.0"], "with different versions of torch: 2.8.0 (CfC); 2.9.0 (GRU)"),
        ("instruction_set", ["avx2", "avx512"], "by kernels for different instruction sets: avx2 (CfC); avx512 (GRU)"),
    ],
)
def test_fits_by_other_arithmetic_are_said(column, values, words):
    fits = table(CLEAR)
    first, second = (pl.lit(value, SCHEMA[column]) for value in values)
    told = fits.with_columns(pl.when(pl.col("model") == "CfC").then(first).otherwise(second).alias(column))
    assert unlike(told) == [f"On t, fits were made {words}; scores may differ for that reason."]
    # torch's own layers have no kernels of ours.
    assert not unlike(fits.with_columns(pl.when(pl.col("model") == "CfC").then(first).alias(column)))


def test_one_model_on_several_backends_is_said_and_models_that_differ_are_not():
    liquid, first = pl.col("model") == "CfC", pl.col("seed") == 0
    fits = table(CLEAR).with_columns(backend=pl.when(liquid).then(pl.lit("cpu")).otherwise(pl.lit("reference")))
    assert not unlike(fits)
    mixed = fits.with_columns(backend=pl.when(liquid & first).then(pl.lit("reference")).otherwise(pl.col("backend")))
    assert unlike(mixed) == [
        "On t, fits were made by different backends: cpu (CfC); reference (CfC); scores may differ for that reason."
    ]


def rate_warnings(*rates):
    """What is said of rates that three fits of CfC and three of GRU have chosen: those of GRU are in the middle."""
    scores = {"CfC": 0.95 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 0]]}
    ended = dict.fromkeys(scores, [PATIENCE] * 3)
    frame = table(scores, ended=ended, rates=(0.09, 0.01))
    chosen = dict(enumerate(rates))
    rate = pl.col("seed").replace_strict(chosen, default=None, return_dtype=pl.Float64)
    frame = frame.with_columns(
        learning_rate=pl.when(pl.col("model") == "CfC", pl.col("trial") == 1).then(rate).otherwise("learning_rate")
    )
    warnings = compare(frame, {"t": ACCURACY}, 0.01).verdict.warnings
    return [warning for warning in warnings if "learning rate" in warning]


def test_chosen_rates_close_to_an_end_of_their_range_are_said():
    # The range is 0.001 to 0.1, two decades: its outermost twentieths end at 0.001 * 10**0.1 and 0.1 / 10**0.1.
    inside, outside = 0.1 / 10**0.1 * 0.999, 0.1 / 10**0.1 * 1.001
    assert rate_warnings(outside, outside, 0.01) == [
        "Many chosen learning rates are close to an end of their range, 0.001 to 0.1: CfC 2 of 3 fits to the upper "
        "one. A rate outside it may do better."
    ]
    assert not rate_warnings(inside, inside, 0.01), "the highest that was tried, and far from the end"
    assert not rate_warnings(outside, 0.01, 0.01), "one may be chance"
    assert not rate_warnings(outside, 0.001, 0.01), "nor do two at different ends speak for one of them"
    assert "CfC 3 of 3 fits to the lower one" in rate_warnings(0.001, 0.00125, 0.00101)[0]


def test_few_rates_close_to_an_end_are_chance():
    seeds = np.arange(9)
    scores = {"CfC": 0.95 + 1e-3 * seeds, "GRU": 0.90 + 1e-3 * seeds}
    frame = table(scores, ended=dict.fromkeys(scores, [PATIENCE] * 9), rates=(0.09, 0.01))
    for high, said in ((2, False), (3, True)):
        rate = pl.when(pl.col("seed") < high).then(0.099).otherwise("learning_rate")
        warnings = compare(frame.with_columns(learning_rate=rate), {"t": ACCURACY}, 0.01).verdict.warnings
        assert any(f"CfC {high} of 9 fits, GRU {high} of 9 fits to the upper one" in one for one in warnings) == said


@pytest.mark.parametrize(
    ("linear", "words"),
    [
        (0.80, None),
        (0.93, "On t, GRU was not shown better than the linear model of the current step (accuracy 0.930)."),
        (0.949, "On t, no network was shown better than the linear model of the current step (accuracy 0.949)."),
        (None, None),
    ],
)
def test_what_is_not_shown_better_than_a_linear_model_is_said(linear, words):
    warnings = judged(CLEAR, baselines={} if linear is None else {"linear": linear})[0].verdict.warnings
    assert [warning for warning in warnings if "linear" in warning] == ([words] if words else [])


def test_what_a_linear_model_reads_depends_on_the_targets():
    warnings = judged(CLEAR, replace(ACCURACY, per="sequence"), baselines={"linear": 1.0})[0].verdict.warnings
    assert any("the linear model of each feature's mean and last value" in warning for warning in warnings)


@pytest.mark.parametrize("floor", ["trivial", "linear"])
def test_where_no_network_is_shown_to_beat_a_floor_nothing_is_said_of_networks(floor):
    # The interval of CfC's mean begins at 0.945.
    for score, verdict in ((0.944, "liquid better"), (0.946, "floor not beaten"), (0.99, "floor not beaten")):
        comparison, judgement = judged(CLEAR, baselines={floor: score})
        assert judgement.verdict == verdict
    name = {"trivial": "the trivial predictor", "linear": "the linear model"}[floor]
    assert judgement.sentence.startswith(
        f"On t, neither is shown better than {name}, accuracy 0.990: CfC and GRU, 95 % interval of their difference "
    )
    assert comparison.verdict.headline == (
        "Liquid networks better on 0, recurrent better on 0, no difference shown on 0, a floor not beaten on 1 of 1 "
        "task. Simpler predictors may do as well: use one of them, or train the networks for longer."
    )
    open_ = {"CfC": 0.9 + 10 * NOISE, "GRU": 0.91 + 10 * NOISE[[1, 2, 0]]}
    assert judged(open_)[1].verdict == "no difference shown"
    assert judged(open_, baselines={floor: 0.95})[1].verdict == "floor not beaten", (
        "no difference between two that lose"
    )
    error = {model: 1 - scores for model, scores in CLEAR.items()}
    assert judged(error, ERROR, baselines={floor: 0.06})[1].verdict == "liquid better"
    assert judged(error, ERROR, baselines={floor: 0.04})[1].verdict == "floor not beaten"


def test_networks_no_better_than_a_constant_get_no_verdict():
    # The classes' shares turn round from training to test, so whoever says the second class beats the training prior.
    drifted = replace(ACCURACY, classes=("no", "yes"), constant=0.95)
    drifted = replace(drifted, class_shares={"train": (0.6, 0.4), "validation": (0.3, 0.7), "test": (0.05, 0.95)})
    comparison, judgement = judged(CLEAR, drifted, baselines={"trivial": 0.05})
    assert judgement.verdict == "floor not beaten" and "than the best constant, accuracy 0.950" in judgement.sentence
    assert (
        "t: the classes' shares differ between training and test (no 60 % and 5 %, yes 40 % and 95 %); the best "
        "constant has accuracy 0.950 on test."
    ) in comparison.verdict.warnings
    steady = replace(drifted, class_shares={"train": (0.6, 0.4), "test": (0.55, 0.45)})
    assert not any("shares differ" in warning for warning in judged(CLEAR, steady)[0].verdict.warnings)


def test_a_cheap_study_ranks_nothing_and_has_no_verdict():
    frame = table(CLEAR | {"LSTM": 0.8 + NOISE}).with_columns(search=pl.lit("cheap"))
    comparison = compare(frame, {"t": ACCURACY}, 0.01)
    judgement = comparison.verdict.judgements[0]
    assert judgement.verdict == "cannot say" and "one search serves all seeds (mode: cheap)" in judgement.sentence
    assert judgement.pair.interval is None and judgement.pair.p is None and comparison.ranks == {}
    assert {pair.verdict for pair in comparison.pairs} == {"cannot say"}
    assert any("nothing is ranked and there is no verdict" in warning for warning in comparison.verdict.warnings)
    full = compare(frame.with_columns(search=pl.lit("full")), {"t": ACCURACY}, 0.01)
    assert full.ranks and not any("cheap" in warning for warning in full.verdict.warnings)


def test_an_oracles_scores_give_no_verdict():
    frame = table(CLEAR | {"LSTM": 0.8 + NOISE}).with_columns(search=pl.lit("full, oracle"))
    comparison = compare(frame, {"t": ACCURACY}, 0.01)
    judgement = comparison.verdict.judgements[0]
    assert judgement.verdict == "cannot say" and "(selection: oracle)" in judgement.sentence
    assert {pair.verdict for pair in comparison.pairs} == {"cannot say"}
    assert any(warning.startswith("Scores are those of an oracle") for warning in comparison.verdict.warnings)
    chosen = compare(frame.with_columns(search=pl.lit("full, environments")), {"t": ACCURACY}, 0.01)
    assert chosen.verdict.judgements[0].verdict != "cannot say"
    assert not any("oracle" in warning for warning in chosen.verdict.warnings)


def test_two_seeds_are_too_few_for_any_verdict():
    sentence = judged({"CfC": [0.9, 0.9001], "GRU": [0.5, 0.5002]})[1].sentence
    assert "cannot say whether" in sentence and "is better: 2 seeds are too few, 95 % interval" in sentence
    assert judged({"CfC": [0.9, 0.9001], "GRU": [0.9, 0.9]})[1].verdict == "cannot say"
    apart = judged({"CfC": [0.9, None], "GRU": [None, 0.8]})[1]
    assert apart.verdict == "cannot say"
    assert "is better: they share no seed that both finished; 2 seeds left out" in apart.sentence


def headline(*verdicts):
    """Of as many tasks, with CfC and GRU, or others where a verdict names them, such as "liquid LTC LSTM"."""
    levels = {"liquid": (0.95, 0.90), "recurrent": (0.90, 0.95), "equal": (0.9, 0.9), "open": (0.9, 0.91)}
    frames = []
    for task, verdict in zip("abcdefghijkl", verdicts, strict=False):
        kind, *models = verdict.split()
        spread = 10 if kind == "open" else 1
        one, other = models or ("CfC", "GRU")
        first, second = levels[kind]
        scores = {one: first + spread * NOISE, other: second + spread * NOISE[[1, 2, 0]]}
        frames.append(table(scores, task=task))
    facts = dict.fromkeys("abcdefghijkl"[: len(verdicts)], ACCURACY)
    return compare(pl.concat(frames), facts, 0.02).verdict.headline.split(" tasks. ", 1)[1]


def test_advice_names_what_was_compared_and_goes_no_further():
    # Twelve tasks at the most: Holm's correction leaves such a difference shown.
    assert headline("liquid", "liquid") == "CfC was better than GRU on 2 of 2 tasks: use a liquid network here."
    assert headline("recurrent", "recurrent CfC LSTM") == (
        "GRU was better than CfC on 1 of 2 tasks, LSTM than CfC on 1: use a recurrent network here."
    )
    assert headline("liquid", "open") == (
        "CfC was better than GRU on 1 of 2 tasks, and on no task was a liquid network shown to be worse: one is worth "
        "trying here."
    )
    assert headline("recurrent", "equal") == (
        "GRU was better than CfC on 1 of 2 tasks, and on no task was a liquid network shown to be better: stay with a "
        "recurrent network here."
    )
    assert headline("liquid", "recurrent", "liquid") == (
        "CfC was better than GRU on 2 of 3 tasks, GRU than CfC on 1. It depends on the task: try both on your own data."
    )
    assert headline("equal", "equal") == "CfC and GRU were equivalent on 2 of 2 tasks: choose by cost here."
    assert headline("equal", "open").startswith("There is no reason here to change")
    assert headline(*["liquid"] * 10).endswith("on 10 of 10 tasks: use a liquid network on tasks like these.")


def test_warnings_about_a_tasks_data_are_the_verdicts():
    facts = replace(ACCURACY, title="Pumps", warnings=("the column state repeats the target.",))
    assert "Pumps: the column state repeats the target." in judged(CLEAR, facts)[0].verdict.warnings


def test_only_seeds_count_that_all_have_run():
    # Over all its seeds LTC would be better; CfC has run two of them, in which it is.
    frame = table({"LTC": [0.5, 0.5, 0.5, 1.0, 1.0], "CfC": [0.6, 0.6, 0.6], "GRU": [0.4] * 5})
    pair = compare(frame, {"t": ACCURACY}, 0.01).verdict.judgements[0].pair
    assert (pair.seeds, pair.left_out) == (3, 2)
    assert pair.means == pytest.approx((0.55, 0.4)), "either of the two liquid networks, against a single recurrent one"


def family_scores(random, liquid=("LTC", "CfC", "LRC"), recurrent=("LSTM", "GRU"), seeds=4):
    return {model: random.normal(0.8, 0.05, seeds) for model in (*liquid, *recurrent)}


def told(validation, test):
    """Rows whose validation scores differ from seed to seed, too."""
    frame, other = table(test), table(validation)
    value = pl.when(pl.col("split") == "validation").then(other["value"]).otherwise(pl.col("value"))
    return frame.with_columns(value)


def test_families_of_equal_size_are_chosen_on_other_seeds():
    random = np.random.default_rng(0)
    test, validation = family_scores(random), family_scores(random)
    pair = compare(told(validation, test), {"t": ACCURACY}, 0.01).verdict.judgements[0].pair
    assert (pair.first, pair.second, pair.subsets) == ("liquid", "recurrent", 2)
    differences = []
    for seed in range(4):
        others = [other for other in range(4) if other != seed]

        def best(models, others=others, seed=seed):
            return test[max(models, key=lambda model: validation[model][others].mean())][seed]

        liquid = np.mean([best(two) for two in combinations(("LTC", "CfC", "LRC"), 2)])
        differences.append(liquid - best(("LSTM", "GRU")))
    assert pair.differences == pytest.approx(differences) and pair.difference == pytest.approx(np.mean(differences))
    # What the networks of a family differ by is a source of error of its own.
    means = [[test[model].mean() for model in models] for models in (("LTC", "CfC", "LRC"), ("LSTM", "GRU"))]
    pooled = sum(np.var(one) * len(one) for one in means) / 3
    networks = pooled * (variance_of_best(3, 2) + variance_of_best(2, 2))
    assert pair.estimate.error == pytest.approx(math.sqrt(np.var(differences, ddof=1) / 4 + networks))
    assert pair.covers == ("seeds", "networks of the families")
    assert pair.shares[0].keys() <= {"LTC", "CfC", "LRC"} and sum(pair.shares[0].values()) == pytest.approx(1)


def test_a_lucky_seed_does_not_choose_its_own_network():
    # A single seed in which a bad network is good, on validation too, is never scored for that.
    lucky = {"LTC": [0.7, 0.7, 0.99, 0.7], "CfC": [0.8] * 4, "LSTM": [0.8] * 4, "GRU": [0.8] * 4}
    pair = compare(told(lucky, lucky), {"t": ACCURACY}, 0.01).verdict.judgements[0].pair
    assert pair.means[0] <= 0.8


def test_one_seed_a_split_cannot_choose_among_a_familys_networks():
    random = np.random.default_rng(1)
    frame = pl.concat([table(family_scores(random, seeds=1), fold=fold) for fold in range(6)])
    judgement = compare(frame, {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "cannot say"
    assert "choosing among a family's networks takes 2 seeds on each split" in judgement.sentence
    single = frame.filter(pl.col("model").is_in(["CfC", "GRU"]))
    assert compare(single, {"t": ROWS}, 0.01).verdict.judgements[0].pair.reason == ""


def test_other_rules_of_selection_stand_beside_the_verdict():
    random = np.random.default_rng(2)
    test, validation = family_scores(random), family_scores(random)
    judgement = compare(told(validation, test), {"t": ACCURACY}, 0.01).verdict.judgements[0]
    assert list(judgement.selections) == list(SELECTIONS.values())
    first, oracle, mean = judgement.selections.values()
    assert first.difference == judgement.pair.difference != oracle.difference
    by_hand = [np.mean([test[model] for model in models]) for models in (("LTC", "CfC", "LRC"), ("LSTM", "GRU"))]
    assert mean.difference == pytest.approx(by_hand[0] - by_hand[1])
    assert judged(CLEAR)[1].selections == {}, "nothing to choose from"


def test_where_families_are_not_shown_to_differ_single_networks_may_be():
    noise = np.random.default_rng(5).normal(0, 0.002, size=(4, 6))
    levels = np.array([[0.95], [0.80], [0.85], [0.84]])
    scores = dict(zip(("CfC", "LTC", "GRU", "LSTM"), levels + noise, strict=True))
    judgement = judged(scores)[1]
    assert judgement.verdict == "no difference shown" and judgement.short == "no difference shown"
    assert "; the best of 2 by validation, most often CfC and GRU; on this test set)." in judgement.sentence
    assert judgement.sentence.endswith(
        "Of single networks, p corrected over this task, CfC is better than LSTM, CfC is better than GRU, GRU is "
        "better than LTC and 1 more."
    )


def test_recordings_in_test_are_a_source_of_error():
    # CfC is better in each seed alike, but by what a few of the recordings say.
    noise = np.random.default_rng(3).normal(0, 0.1, size=12)
    scores = {"CfC": 0.95 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 0]]}
    frame = table(scores)
    values = dict(frame.filter(pl.col("split") == "test").select("run", "value").iter_rows())

    def without(run, metric):
        assert metric == "accuracy"
        left_out = (noise.sum() - noise) / (len(noise) - 1) - noise.mean()
        return values[run] + (left_out if "CfC" in run else np.zeros(12))

    alone, with_them = (compare(frame, {"t": ACCURACY}, 0.01, without=one) for one in (None, without))
    assert alone.verdict.judgements[0].verdict == "liquid better" and alone.pairs[0].scope == "on this test set"
    judgement = with_them.verdict.judgements[0]
    assert judgement.verdict == "no difference shown" and "; for such recordings)" in judgement.sentence
    moved = np.subtract(*scores.values())
    expected = math.sqrt(moved.var(ddof=1) / 3 + noise.var(ddof=1) / 12)
    assert judgement.pair.estimate.error == pytest.approx(expected)
    few = compare(frame, {"t": ACCURACY}, 0.01, without=lambda run, metric: without(run, metric)[:4])
    assert few.verdict.judgements[0].pair.scope == "on this test set"
    unknown = compare(frame, {"t": ACCURACY}, 0.01, without=lambda run, metric: None)
    assert unknown.verdict == alone.verdict


def test_a_difference_of_half_the_margin_is_never_shown():
    # The mean of three seeds is three times what is true, and p without a margin is 0.02.
    scores = {"CfC": [0.920, 0.914, 0.915], "GRU": [0.900, 0.902, 0.899]}
    assert stats.ttest_rel(*scores.values()).pvalue < 0.03
    assert judged(scores)[1].verdict == "no difference shown" and judged(scores, smallest_difference=0.0)[
        1
    ].verdict == ("liquid better")


def test_failures_are_counted_ranked_last_and_said():
    comparison, judgement = judged({"CfC": [0.99, None, 0.98], "GRU": [0.90, 0.91, 0.92], "CTRNN": [0.5, 0.4, 0.3]})
    standing = {line.model: line for line in comparison.leaderboard}["CfC"]
    assert (standing.failures, standing.seeds) == (1, 2)
    assert comparison.ranks["CfC"] == pytest.approx((1 + 3 + 1) / 3)
    assert (judgement.pair.seeds, judgement.pair.left_out) == (2, 1)
    assert "1 seed left out" in judgement.sentence
    assert any("CfC 1" in warning for warning in comparison.verdict.warnings)


def test_a_score_that_is_not_finite_is_a_failure():
    comparison, _ = judged({"CfC": [0.9, math.nan], "GRU": [0.8, 0.7]})
    assert {line.model: line.failures for line in comparison.leaderboard} == {"CfC": 1, "GRU": 0}


def test_author_rows_are_shown_and_judge_nothing():
    own, paper = table({"CfC": [0.8, 0.7], "GRU": [0.9, 0.95]}), table({"CfC": [1.0, 1.0]}, variant="author")
    with_rows, without = (compare(frame, {"t": ACCURACY}, 0.01) for frame in (pl.concat([own, paper]), own))
    assert (with_rows.verdict, with_rows.pairs, with_rows.overall) == (without.verdict, without.pairs, without.overall)
    assert with_rows.leaderboard[-1].variant == "author"


def test_the_order_of_rows_changes_nothing():
    random = np.random.default_rng(0)
    frame = table({model: random.random(4) for model in ("LTC", "CfC", "LSTM", "GRU")})
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    assert compare(frame, {"t": ACCURACY}, 0.01) == compare(shuffled, {"t": ACCURACY}, 0.01)


def test_headline_counts_and_warns():
    noise = np.array([0.0, 0.002, -0.002])
    scores = {"a": (0.95, 0.90), "b": (0.90, 0.95)}
    frames = [
        table({"CfC": liquid + noise, "GRU": recurrent + noise[[1, 2, 0]]}, task=task)
        for task, (liquid, recurrent) in scores.items()
    ]
    verdict = compare(pl.concat(frames), {"a": ACCURACY, "b": ACCURACY}, 0.01).verdict
    assert verdict.headline.startswith(
        "Liquid networks better on 1, recurrent better on 1, no difference shown on 0 of 2 tasks."
    )
    assert any("2 tasks are few" in warning for warning in verdict.warnings)
    assert any("3 seeds are few" in warning for warning in verdict.warnings)
    assert verdict.thresholds[-1] == statistics.RANKING_RULE


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (99_999.4, 0, "99,999"),
        (100_000.0, 0, "1×10⁵"),
        (-234_567.8, 2, "−2.346×10⁵"),
        (99_999.96, 1, "1×10⁵"),
        (1e-4, 6, "0.000100"),
        (0.0000956, 6, "9.6×10⁻⁵"),
        (0.0000956, 3, "0.000"),
        (-0.0004, 2, "0.00"),
        (120_000, 0, "120,000"),
    ],
)
def test_numbers_of_any_size_can_be_read(value, decimals, text):
    assert number(value, decimals) == text


def test_six_seeds_on_six_tasks_can_show_a_difference():
    noise = np.array([0.0, 0.002, -0.002, 0.001, -0.001, 0.003])
    frames = [table({"CfC": 0.95 + noise, "GRU": 0.90 + np.roll(noise, 1)}, task=task) for task in "abcdef"]
    comparison = compare(pl.concat(frames), dict.fromkeys("abcdef", ACCURACY), 0.01)
    assert {judgement.verdict for judgement in comparison.verdict.judgements} == {"liquid better"}


def test_no_results_and_duplicate_runs():
    empty = compare(SCHEMA.to_frame(), {}, 0.01)
    assert (empty.leaderboard, empty.overall, empty.pairs) == ((), (), ())
    assert empty.verdict.headline.startswith("No run has finished yet")
    frame = table({"GRU": [0.9]})
    twice = pl.concat([frame, frame.with_columns(run=pl.lit("stale"))])
    with pytest.raises(ValueError, match="is there twice"):
        compare(twice, {"t": ACCURACY}, 0.01)
    with pytest.raises(ValueError, match="'t' is missing"):
        compare(frame, {}, 0.01)


WIDE = np.array([0.0, 0.02, -0.02, 0.01, -0.015])


def prospect(difference, smallest_difference=0.01, tasks=1, spread=WIDE):
    scores = {"CfC": 0.9 + difference + spread, "GRU": 0.9 + spread[[1, 2, 3, 4, 0]]}
    frame = pl.concat([table(scores, task=task) for task in "abcdef"[:tasks]])
    return compare(frame, dict.fromkeys("abcdef", ACCURACY), smallest_difference).verdict.judgements[0]


def test_where_no_difference_is_shown_the_seeds_that_would_show_one_are_said():
    judgement = prospect(0.03)
    assert judgement.verdict == "no difference shown"
    moved = 0.03 + WIDE - WIDE[[1, 2, 3, 4, 0]]
    expected = statistics.seeds_to_show(0.03 - 0.01, moved.std(ddof=1))
    assert (judgement.prospect.aim, judgement.prospect.seeds, judgement.prospect.now) == ("different", expected, 5)
    assert judgement.prospect.sentence == (
        f"If difference and spread are as observed, about {expected} seeds would show a difference with a power of 80 "
        "% (there are 5): costly."
    )
    assert prospect(0.03, tasks=6).prospect.seeds == statistics.seeds_to_show(0.02, moved.std(ddof=1), 0.05 / 6)


def test_a_difference_that_does_not_count_is_to_be_shown_equivalent():
    found = prospect(0.002).prospect
    moved = 0.002 + WIDE - WIDE[[1, 2, 3, 4, 0]]
    assert found.aim == "equivalent" and found.seeds == statistics.seeds_to_equate(0.002, moved.std(ddof=1), 0.01)
    assert "seeds would show the two to be equivalent with" in found.sentence
    assert prospect(0.002, smallest_difference=0.0).prospect.aim == "different", "any difference counts"


def test_the_reach_of_more_seeds_in_words():
    assert prospect(0.045).prospect.reach == "within reach"
    assert prospect(0.0099).prospect.sentence == (
        "If difference and spread are as observed, more than 1,000 seeds would show the two to be equivalent with a "
        "power of 80 % (there are 5): out of reach."
    )
    few = judged({"CfC": [0.9, 0.93, 0.95], "GRU": [0.9, 0.90, 0.93]})[1]
    assert few.prospect.sentence.endswith(" With so few seeds the spread is uncertain.")


def test_what_is_shown_or_cannot_be_said_has_no_prospect():
    assert judged(CLEAR)[1].prospect is None
    assert judged({"CfC": [0.9, 0.91], "GRU": [0.8, 0.9]})[1].prospect is None
    assert judged({"CfC": [0.9, 0.8, 0.7], "GRU": [0.8, 0.7, 0.6]})[1].prospect is None, "no spread, no power"
    assert judged({"CfC": [0.9] * 3})[1].prospect is None


def test_pairs_have_their_differences_and_the_size_of_their_effect():
    pair = judged(CLEAR)[0].pairs[0]
    assert pair.differences == pytest.approx(CLEAR["CfC"] - CLEAR["GRU"])
    assert pair.effect.standardised == statistics.effect_size(CLEAR["CfC"], CLEAR["GRU"]).standardised > 0.8
    assert (pair.effect.word, pair.effect.superiority) == ("large", 1.0)
    assert judged({"CfC": [0.9, 0.91], "GRU": [0.8, 0.9]})[0].pairs[0].effect is None


ROWS = replace(ACCURACY, rows={"train": 800, "validation": 100, "test": 200})


def over_splits(leads, level=0.9, seeds=(0.01, -0.01, 0.0), **options):
    """CfC ahead of GRU by one mean lead a split; seeds differ, and not by the same in both."""
    tables = []
    for fold, lead in enumerate(leads):
        other = np.roll(seeds, 1)
        tables.append(table({"CfC": level + lead + np.array(seeds), "GRU": level + 0.5 * other}, fold=fold, **options))
    return pl.concat(tables)


def test_over_splits_the_pairs_are_splits_and_training_data_overlap():
    leads = [0.03, 0.05, 0.04, 0.06, 0.045]
    comparison = compare(over_splits(leads), {"t": ROWS}, 0.01)
    pair = comparison.verdict.judgements[0].pair
    assert (pair.over, pair.seeds, pair.left_out) == ("split", 3, 0)
    assert pair.differences == pytest.approx(leads) and pair.difference == pytest.approx(0.045)
    # By hand: Nadeau and Bengio's variance has 1/5 + 200/800 in place of 1/5.
    error = math.sqrt((1 / 5 + 200 / 800) * np.var(leads, ddof=1))
    assert (pair.estimate.error, pair.estimate.freedom) == pytest.approx((error, 4))
    assert pair.p == pytest.approx(2 * stats.t.sf((0.045 - 0.01) / error, 4))
    assert pair.interval == pytest.approx(stats.t.interval(0.95, 4, loc=0.045, scale=error))
    assert comparison.verdict.judgements[0].sentence.endswith(
        "over 5 splits, 3 seeds each; for other splits of such data)."
    )
    assert pair.prospect is None
    best = comparison.leaderboard[0]
    assert (best.model, best.seeds, best.splits) == ("CfC", 15, 5)
    assert best.values == pytest.approx([0.93, 0.95, 0.94, 0.96, 0.945]) and best.mean == pytest.approx(0.945)
    assert best.interval == pytest.approx(stats.t.interval(0.95, 4, loc=0.945, scale=error))


def test_over_splits_less_is_shown_than_of_as_many_independent_pairs():
    leads = [0.012, 0.060, 0.040, 0.075, 0.050]
    assert 2 * stats.ttest_1samp(leads, 0.01, alternative="greater").pvalue < 0.05
    judgement = compare(over_splits(leads), {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "no difference shown"
    small = replace(ACCURACY, rows={"train": 990, "validation": 5, "test": 5})
    assert compare(over_splits(leads), {"t": small}, 0.01).verdict.judgements[0].verdict == "liquid better"


def test_few_splits_are_separate_test_sets():
    # A t-test of three splits would take a mean of many of their standard deviations.
    leads = [0.03, 0.07, 0.05]
    pair = compare(over_splits(leads), {"t": ROWS}, 0.01).verdict.judgements[0].pair
    within = np.array((0.01, -0.01, 0.0)) - 0.5 * np.roll((0.01, -0.01, 0.0), 1)
    error = math.sqrt(3 * within.var(ddof=1) / 3 / 9)
    assert (pair.over, pair.seeds, pair.splits) == ("seed", 3, 3)
    assert (pair.estimate.error, pair.estimate.freedom) == pytest.approx((error, 6))
    assert pair.verdict == "better" and pair.scope == "on these test sets"
    spread = np.random.default_rng(0).normal(0, 0.1, size=10)

    def without(run, metric):
        return 0.9 + (spread if "CfC" in run else np.zeros(10))

    found = compare(over_splits(leads), {"t": ROWS}, 0.01, without=without).verdict.judgements[0].pair
    recordings = 9 * spread.var() / 3
    assert found.scope == "for such recordings"
    assert found.estimate.error == pytest.approx(math.sqrt(error**2 + recordings))


def test_two_splits_with_single_seeds_give_no_verdict():
    two = over_splits([0.05, 0.06]).filter(pl.col("seed") == 0)
    judgement = compare(two, {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "cannot say" and "2 splits are too few" in judgement.sentence
    failed = over_splits([0.05, 0.06, 0.055, 0.06, 0.05]).with_columns(
        status=pl.when(pl.col("run") == "t-CfC-matched-parameters-2-1").then(pl.lit("failed")).otherwise("status")
    )
    pair = compare(failed, {"t": ROWS}, 0.01).verdict.judgements[0].pair
    assert (len(pair.differences), pair.seeds, pair.left_out) == (5, 2, 1)
    # Seeds 0 and 2 of the third split: CfC's are 0.01 and 0 above, GRU's 0 and -0.005.
    assert pair.differences[2] == pytest.approx(0.055 + 0.005 - (-0.0025))


def test_splits_that_all_differ_alike_have_no_interval():
    pair = compare(over_splits([0.05] * 6), {"t": ROWS}, 0.01).pairs[0]
    assert pair.interval is None and pair.p == 2**-5, "the sign test"
    few = compare(over_splits([0.05] * 5), {"t": ROWS}, 0.01).verdict.judgements[0]
    assert few.verdict == "no difference shown"
    assert few.sentence.endswith("All splits differ by the same amount, so the spread is unknown.")


def test_several_splits_need_the_rows_behind_them():
    with pytest.raises(ValueError, match="tasks must have the numbers of training and test rows of 't'"):
        compare(over_splits([0.05, 0.06, 0.07, 0.05, 0.06]), {"t": ACCURACY}, 0.01)


def test_baselines_of_several_splits_are_means_over_them():
    tables = [
        table({"CfC": [0.95 + lead], "GRU": [0.9]}, fold=fold, baselines={"trivial": trivial})
        for fold, (lead, trivial) in enumerate(zip([0.001, 0.0, -0.001], [0.9, 0.96, 1.0], strict=True))
    ]
    judgement = compare(pl.concat(tables), {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "floor not beaten" and "the trivial predictor, accuracy 0.953" in judgement.sentence


def test_the_headline_is_that_of_the_first_matching_and_the_others_are_there():
    frames = [
        table({"CfC": 0.95 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 0]]}, matching="parameters"),
        table({"CfC": 0.90 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 0]]}, matching="compute"),
        table({"CfC": 0.94 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 0]]}, matching="state"),
    ]
    frame, facts = pl.concat(frames), {"t": ACCURACY}
    found = compare(frame, facts, 0.01, ("parameters", "compute", "state"))
    alone = compare(frames[0], facts, 0.01)
    assert found.verdict == alone.verdict and found.leaderboard == alone.leaderboard and alone.stands == ""
    assert {name: one.judgements[0].verdict for name, one in found.others.items()} == {
        "compute": "equivalent",
        "state": "liquid better",
    }
    assert found.stands == "The verdict changes on 1 of 1 task with equal compute."
    other = compare(frame, facts, 0.01, ("state", "parameters"))
    assert other.stands == "The verdict is the same on every task with equal parameters."
    assert other.verdict == compare(frames[2], facts, 0.01).verdict
    with pytest.raises(ValueError, match="its matchings to compare"):
        compare(frame, facts, 0.01)
