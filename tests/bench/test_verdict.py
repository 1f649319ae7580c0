"""Verdicts on tables whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, ALL, CUT, ERROR, PATIENCE, costs, table
from scipy import stats

from liquidbench import statistics
from liquidbench.results import SCHEMA
from liquidbench.statistics import compare
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


def test_the_sentence_gives_the_numbers_and_the_test():
    scores = {"CfC": [0.938, 0.936, 0.940], "GRU": [0.945, 0.936, 0.942]}
    sentence = judged(scores)[1].sentence
    assert sentence.startswith(
        "On t, the recurrent networks' best (GRU) and the liquid networks' best (CfC) show no difference "
        "(accuracy 0.941 against 0.938, 95 % interval of the difference −0.006 to 0.012, "
    )
    titled = judged(scores, replace(ACCURACY, title="Room occupancy"))[1].sentence
    assert titled == sentence.replace("On t,", "On Room occupancy,")
    p = stats.ttest_rel([0.938, 0.936, 0.940], [0.945, 0.936, 0.942]).pvalue
    assert f"p = {p:.2f} by paired t-test, 3 seeds" in sentence


def test_the_sentence_says_that_p_is_corrected_for_the_number_of_tasks():
    # p is 0.035 on each task alone, twice that for the two of them.
    scores = {"CfC": [0.902, 0.915, 0.927], "GRU": [0.89, 0.907, 0.911]}
    frames = [table(scores, task=task) for task in "ab"]
    alone, both = (compare(pl.concat(some), dict.fromkeys("ab", ACCURACY), 0.0) for some in (frames[:1], frames))
    p = stats.ttest_rel(*scores.values()).pvalue
    assert f"p = {p:.3f} by paired t-test, 3 seeds" in alone.verdict.judgements[0].sentence
    for judgement in both.verdict.judgements:
        assert f"p = {2 * p:.3f} by paired t-test after Holm's correction, 3 seeds" in judgement.sentence


def test_a_score_that_the_cap_in_minutes_cut_short_decides_nothing():
    ended = {"CfC": [PATIENCE] * 3, "GRU": [CUT, PATIENCE, PATIENCE]}
    comparison, judgement = judged(CLEAR, ended=ended, rates=(0.003, 0.01))
    assert judgement.verdict == "cannot say" and comparison.pairs[0].verdict == "cannot say"
    assert "this study cannot say whether the liquid networks' best (CfC) or" in judgement.sentence
    assert "is better: the time limit ended 1 of 3 chosen trainings of GRU (accuracy 0.950" in judgement.sentence
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
        (0.93, "On t, GRU was not shown better than a linear model of the current step (accuracy 0.930)."),
        (0.949, "On t, no network was shown better than a linear model of the current step (accuracy 0.949)."),
        (None, None),
    ],
)
def test_what_is_not_shown_better_than_a_linear_model_is_said(linear, words):
    warnings = judged(CLEAR, baselines={} if linear is None else {"linear": linear})[0].verdict.warnings
    assert [warning for warning in warnings if "linear" in warning] == ([words] if words else [])


def test_what_a_linear_model_reads_depends_on_the_targets():
    warnings = judged(CLEAR, replace(ACCURACY, per="sequence"), baselines={"linear": 1.0})[0].verdict.warnings
    assert any("a linear model of each feature's mean and last value" in warning for warning in warnings)


def test_no_better_than_the_trivial_predictor_is_no_verdict():
    for trivial, verdict in ((0.94, "liquid better"), (0.95, "cannot say"), (0.99, "cannot say")):
        comparison, judgement = judged(CLEAR, baselines={"trivial": trivial})
        assert judgement.verdict == verdict
    assert "neither is better than the trivial predictor, accuracy 0.990 (accuracy 0.950 against" in judgement.sentence
    assert comparison.verdict.headline.endswith("This study cannot say which to use.")
    alike = {"CfC": 0.9 + NOISE, "GRU": 0.9 + NOISE[[1, 2, 0]]}
    assert judged(alike, baselines={"trivial": 0.95})[1].verdict == "cannot say"
    error = {model: 1 - scores for model, scores in CLEAR.items()}
    assert judged(error, ERROR, baselines={"trivial": 0.06})[1].verdict == "liquid better"
    assert judged(error, ERROR, baselines={"trivial": 0.04})[1].verdict == "cannot say"


def test_two_seeds_are_too_few_for_any_verdict():
    sentence = judged({"CfC": [0.9, 0.9001], "GRU": [0.5, 0.5002]})[1].sentence
    assert "cannot say whether" in sentence and "is better: 2 seeds are too few (accuracy" in sentence
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


def test_representatives_are_chosen_on_seeds_that_all_have_run():
    # Over all its seeds LTC's validation would be better; on the two that CfC has too, CfC's is.
    frame = table({"LTC": [0.5, 0.5, 1.0, 1.0], "CfC": [0.6, 0.6], "GRU": [0.4] * 4})
    judgement = compare(frame, {"t": ACCURACY}, 0.01).verdict.judgements[0]
    assert judgement.pair.first == "CfC"


def test_validation_chooses_the_representative_and_test_does_not():
    scores = {"LTC": [0.99, 0.98], "CfC": [0.80, 0.81], "GRU": [0.9, 0.92]}
    judgement = judged(scores, validation={"LTC": 0.5, "CfC": 0.6, "GRU": 0.5})[1]
    assert (judgement.pair.first, judgement.pair.second) == ("CfC", "GRU")


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


def test_nothing_yet_and_two_runs_of_one_cell():
    empty = compare(SCHEMA.to_frame(), {}, 0.01)
    assert (empty.leaderboard, empty.overall, empty.pairs) == ((), (), ())
    assert empty.verdict.headline.startswith("No run has finished yet")
    frame = table({"GRU": [0.9]})
    twice = pl.concat([frame, frame.with_columns(run=pl.lit("stale"))])
    with pytest.raises(ValueError, match="is there twice"):
        compare(twice, {"t": ACCURACY}, 0.01)
    with pytest.raises(ValueError, match="'t' is not among them"):
        compare(frame, {}, 0.01)


WIDE = np.array([0.0, 0.02, -0.02, 0.01, -0.015])


def prospect(difference, smallest_difference=0.01, tasks=1, spread=WIDE):
    scores = {"CfC": 0.9 + difference + spread, "GRU": 0.9 + spread[[1, 2, 3, 4, 0]]}
    frame = pl.concat([table(scores, task=task) for task in "abcdef"[:tasks]])
    return compare(frame, dict.fromkeys("abcdef", ACCURACY), smallest_difference).verdict.judgements[0]


def test_where_no_difference_is_shown_the_seeds_that_would_show_one_are_said():
    judgement = prospect(0.02)
    assert judgement.verdict == "no difference shown"
    moved = 0.02 + WIDE - WIDE[[1, 2, 3, 4, 0]]
    expected = statistics.seeds_to_show(0.02, moved.std(ddof=1))
    assert (judgement.prospect.aim, judgement.prospect.seeds, judgement.prospect.now) == ("different", expected, 5)
    assert judgement.prospect.sentence == (
        f"If difference and spread are as observed, about {expected} seeds would show a difference with a power of 80 "
        "% (there are 5): costly."
    )
    assert prospect(0.02, tasks=6).prospect.seeds == statistics.seeds_to_show(0.02, moved.std(ddof=1), 0.05 / 6)


def test_a_difference_that_does_not_count_is_to_be_shown_equivalent():
    found = prospect(0.002).prospect
    moved = 0.002 + WIDE - WIDE[[1, 2, 3, 4, 0]]
    assert found.aim == "equivalent" and found.seeds == statistics.seeds_to_equate(0.002, moved.std(ddof=1), 0.01)
    assert "seeds would show the two to be equivalent with" in found.sentence
    assert prospect(0.002, smallest_difference=0.0).prospect.aim == "different", "any difference counts"


def test_the_reach_of_more_seeds_in_words():
    assert prospect(0.035).prospect.reach == "within reach"
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
    leads = [0.03, 0.05, 0.04, 0.06]
    comparison = compare(over_splits(leads), {"t": ROWS}, 0.01)
    pair = comparison.verdict.judgements[0].pair
    assert (pair.over, pair.seeds, pair.left_out) == ("split", 3, 0)
    assert pair.differences == pytest.approx(leads) and pair.difference == pytest.approx(0.045)
    # By hand: Nadeau and Bengio's variance has 1/4 + 200/800 in place of 1/4.
    error = math.sqrt((1 / 4 + 200 / 800) * np.var(leads, ddof=1))
    assert pair.outcome.test == "corrected resampled t-test"
    assert pair.outcome.statistic == pytest.approx(0.045 / error)
    assert pair.p == pytest.approx(2 * stats.t.sf(0.045 / error, 3))
    assert pair.interval == pytest.approx(stats.t.interval(0.95, 3, loc=0.045, scale=error))
    # It is what scipy says of the same differences when their standard error is so much larger.
    naive = stats.ttest_1samp(leads, 0)
    assert pair.outcome.statistic == pytest.approx(naive.statistic / math.sqrt(1 + 4 * 200 / 800))
    assert "by corrected resampled t-test, over 4 splits, 3 seeds each)" in comparison.verdict.judgements[0].sentence
    assert any(words.startswith("4 splits are few") for words in comparison.verdict.warnings)
    assert pair.prospect is None
    best = comparison.leaderboard[0]
    assert (best.model, best.seeds, best.splits) == ("CfC", 12, 4)
    assert best.values == pytest.approx([0.93, 0.95, 0.94, 0.96]) and best.mean == pytest.approx(0.945)
    assert best.interval == pytest.approx(stats.t.interval(0.95, 3, loc=0.945, scale=error))


def test_over_splits_less_is_shown_than_of_as_many_independent_pairs():
    leads = [0.015, 0.060, 0.040, 0.065]
    assert stats.ttest_1samp(leads, 0).pvalue < 0.05
    judgement = compare(over_splits(leads), {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "no difference shown" and judgement.pair.interval[0] < 0 < judgement.pair.interval[1]
    small = replace(ACCURACY, rows={"train": 990, "validation": 5, "test": 5})
    assert compare(over_splits(leads), {"t": small}, 0.01).verdict.judgements[0].verdict == "liquid better"


def test_two_splits_say_nothing_and_a_failed_run_leaves_the_others():
    judgement = compare(over_splits([0.05, 0.06]), {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "cannot say" and "2 splits are too few" in judgement.sentence
    failed = over_splits([0.05, 0.06, 0.055, 0.06]).with_columns(
        status=pl.when(pl.col("run") == "t-CfC-matched-parameters-2-1").then(pl.lit("failed")).otherwise("status")
    )
    pair = compare(failed, {"t": ROWS}, 0.01).verdict.judgements[0].pair
    assert (len(pair.differences), pair.seeds, pair.left_out) == (4, 2, 1)
    # Seeds 0 and 2 of the third split: CfC's are 0.01 and 0 above, GRU's 0 and -0.005.
    assert pair.differences[2] == pytest.approx(0.055 + 0.005 - (-0.0025))


def test_splits_that_all_differ_alike_show_nothing():
    pair = compare(over_splits([0.05] * 6), {"t": ROWS}, 0.01).pairs[0]
    assert pair.outcome is None and pair.verdict == "no difference shown"
    sentence = compare(over_splits([0.05] * 6), {"t": ROWS}, 0.01).verdict.judgements[0].sentence
    assert sentence.endswith("All splits differ by the same amount, so the spread is unknown.")


def test_several_splits_need_the_rows_behind_them():
    with pytest.raises(ValueError, match="tasks must tell the rows of 't' in training and test"):
        compare(over_splits([0.05, 0.06, 0.07]), {"t": ACCURACY}, 0.01)


def test_baselines_of_several_splits_are_means_over_them():
    tables = [
        table({"CfC": [0.95 + lead], "GRU": [0.9]}, fold=fold, baselines={"trivial": trivial})
        for fold, (lead, trivial) in enumerate(zip([0.001, 0.0, -0.001], [0.9, 0.96, 1.0], strict=True))
    ]
    judgement = compare(pl.concat(tables), {"t": ROWS}, 0.01).verdict.judgements[0]
    assert judgement.verdict == "cannot say" and "the trivial predictor, accuracy 0.953" in judgement.sentence


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
