"""Intervals, tests, ranks and plans against other packages, print, enumeration and simulation."""

import math
from itertools import combinations

import baycomp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from liquidbench.statistics.inference import (
    WinTieLoss,
    bayesian_signed_rank,
    best_of,
    critical_difference,
    differences,
    effect_size,
    estimate,
    expected_best,
    friedman,
    gain_per_doubling,
    hierarchical_interval,
    holm,
    jackknife,
    mean_interval,
    places,
    score_interval,
    seeds_to_equate,
    seeds_to_show,
    signed_rank_test,
    variance_of_best,
    win_tie_loss,
)

VALUES = st.floats(-100, 100).map(lambda value: round(value, 3))
SAMPLES = st.lists(VALUES, min_size=2, max_size=15)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=12)


def test_mean_interval_is_scipys():
    sample = np.random.default_rng(0).normal(size=7)
    expected = stats.ttest_1samp(sample, 0.0).confidence_interval(0.9)
    assert mean_interval(sample, level=0.9) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_three_values_covers_the_mean_at_its_nominal_rate():
    samples = np.random.default_rng(0).normal(size=(1000, 3))
    bounds = [mean_interval(sample) for sample in samples]
    assert np.mean([low <= 0 <= high for low, high in bounds]) == pytest.approx(0.95, abs=0.03)


@given(SAMPLES)
def test_an_interval_holds_the_mean_and_ignores_the_order(sample):
    low, high = mean_interval(sample)
    assert low - 1e-9 <= np.mean(sample) <= high + 1e-9
    assert mean_interval(sample[::-1]) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [2, 3, 6, 30])
def test_without_a_margin_a_claim_is_scipys_paired_t_test(n):
    a, b = np.random.default_rng(n).normal(size=(2, n))
    found, expected = estimate(a - b), stats.ttest_rel(a, b)
    claim, p = found.claim()
    assert p == pytest.approx(expected.pvalue) and claim == ("above" if expected.statistic > 0 else "below")
    assert found.interval(0.9) == pytest.approx(tuple(expected.confidence_interval(0.9)))


@pytest.mark.parametrize("shift", [-3.0, -0.6, 0.0, 0.6, 3.0])
def test_with_a_margin_a_claim_is_the_best_of_scipys_one_sided_tests(shift):
    moved, margin = np.random.default_rng(5).normal(shift, 0.5, size=8), 1.0
    p = {
        "above": stats.ttest_1samp(moved, margin, alternative="greater").pvalue,
        "below": stats.ttest_1samp(moved, -margin, alternative="less").pvalue,
        "within": max(
            stats.ttest_1samp(moved, -margin, alternative="greater").pvalue,
            stats.ttest_1samp(moved, margin, alternative="less").pvalue,
        ),
    }
    best = min(p, key=p.__getitem__)
    assert estimate(moved).claim(margin) == (best, pytest.approx(min(1.0, 2 * p[best])))


@pytest.mark.parametrize(("true", "false"), [(0.0, {"above", "below"}), (1.0, {"above", "below", "within"})])
def test_false_claims_are_at_most_alpha(true, false):
    moved = np.random.default_rng(0).normal(true, 0.4, size=(2000, 6))
    claims = [estimate(row).claim(1.0) for row in moved]
    wrong = np.mean([claim in false and p < 0.05 for claim, p in claims])
    assert wrong == (pytest.approx(0.05, abs=0.015) if true else 0.0)


def test_sources_of_error_add_up_with_satterthwaites_degrees_of_freedom():
    a, b = np.random.default_rng(1).normal(size=7), np.random.default_rng(2).normal(scale=3, size=12)
    other = (b.var(ddof=1) / 12, 11)
    found = estimate(a, others=[other])
    expected = stats.ttest_ind(a, b, equal_var=False)
    # Welch's test has the same sum of two variances.
    assert (found.error, found.freedom) == pytest.approx(
        (abs(a.mean() - b.mean()) / abs(expected.statistic), expected.df)
    )


def test_the_jackknife_of_a_mean_is_its_variance_and_of_a_ratio_close_to_the_bootstraps():
    random = np.random.default_rng(3)
    x, y = random.gamma(5, size=(2, 40))
    variance, freedom = jackknife([np.delete(x, i).mean() for i in range(40)])
    assert (variance, freedom) == (pytest.approx(x.var(ddof=1) / 40), 39)
    draws = random.integers(40, size=(4000, 40))
    ratio = [np.delete(x, i).sum() / np.delete(y, i).sum() for i in range(40)]
    assert jackknife(ratio)[0] == pytest.approx((x[draws].sum(1) / y[draws].sum(1)).var(), rel=0.15)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 1), (2, 2), (3, 2), (8, 3)])
def test_the_best_of_a_subset_is_what_all_subsets_say(n, k):
    values = -np.sort(-np.random.default_rng(0).normal(size=(20_000, n)), axis=1)
    by_hand = np.mean([values[:, list(subset)].max(axis=1) for subset in combinations(range(n), k)], axis=0)
    assert values @ best_of(n, k) == pytest.approx(by_hand)
    assert variance_of_best(n, k) == pytest.approx(by_hand.var(), rel=0.05)


@pytest.mark.parametrize("n", [6, 10, 30])
def test_tasks_get_scipys_exact_signed_rank_test(n):
    a, b = np.random.default_rng(n).normal(size=(2, n))
    outcome, expected = signed_rank_test(a, b), stats.wilcoxon(a, b, method="exact")
    assert (outcome.statistic, outcome.p) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_and_zeros_the_signed_rank_test_is_that_of_all_sign_flips(seed):
    differences = np.random.default_rng(seed).integers(-3, 5, size=9).astype(float)
    moved = differences[differences != 0]
    flips = stats.permutation_test(
        (moved,),
        lambda d: (np.sign(d) * stats.rankdata(np.abs(d))).sum(),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert signed_rank_test(differences, np.zeros(9)).p == pytest.approx(flips.pvalue)


@given(pairs=PAIRS)
def test_tests_are_symmetric_and_ignore_the_order_of_pairs(pairs):
    a, b = np.array(pairs).T
    outcome, swapped, turned = signed_rank_test(a, b), signed_rank_test(b, a), signed_rank_test(a[::-1], b[::-1])
    assert 0 <= outcome.p <= 1
    assert swapped.p == pytest.approx(outcome.p) == turned.p
    assert swapped.effect == pytest.approx(-outcome.effect)
    (claim, p), (other, q) = estimate(a - b).claim(5.0), estimate((b - a)[::-1]).claim(5.0)
    assert 0 <= p <= 1 and q == pytest.approx(p, abs=1e-9)
    assert other == {"above": "below", "below": "above"}.get(claim, claim) or np.isclose(a.mean(), b.mean())


def test_three_seeds_with_equal_differences_show_nothing():
    # 0.9 - 0.8 and 0.8 - 0.7 differ in the last bit, which must not pass for a tiny spread.
    alike = estimate(differences([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]))
    assert alike.claim() == ("above", 0.25) and alike.interval() is None
    assert estimate([0.0, 0.0]).claim()[1] == 1.0 and estimate([0.0] * 8).claim(0.1) == ("within", 2**-7)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0], [2.0], "first must be at least 2 numbers"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "must pair up; got 2 and 3"),
        ([1.0, 2.0], [1.0, math.nan], "second must be finite; 1 are not"),
    ],
)
def test_bad_samples_are_refused_with_a_message(first, second, words):
    with pytest.raises(ValueError, match=words):
        signed_rank_test(first, second)


def test_holm_on_a_table_worked_by_hand():
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []
    assert holm([0.7, 0.8]).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_raw_and_bonferroni(p):
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(len(p) * np.array(p), 1) + 1e-12).all()


def test_ranks_of_equals_and_failures():
    scores = [[0.9, 0.8, 0.8, 0.1], [0.7, math.nan, 0.9, math.nan]]
    assert places(scores, higher_is_better=True).mean(axis=0).tolist() == [1.5, 3.0, 1.75, 3.75]
    assert places([[0.1, 0.2, math.nan]], higher_is_better=False).tolist() == [[1, 2, 3]]


def test_friedman_is_scipys_and_knows_when_all_tie():
    scores = np.random.default_rng(0).normal(size=(8, 4))
    expected = stats.friedmanchisquare(*scores.T)
    assert friedman(scores) == pytest.approx((expected.statistic, expected.pvalue))
    assert friedman(np.ones((4, 3))) == (0.0, 1.0)
    with pytest.raises(ValueError, match="at least 2 datasets by 3 models"):
        friedman(scores[:, :2])


def test_intervals_stay_within_what_a_score_can_be():
    assert score_interval([0.0, 0.9], "auroc") == (0.0, 1.0)
    assert score_interval([0.1, 0.9], "mse")[0] == 0.0 and score_interval([0.1, 0.9], "mse")[1] > 1
    assert score_interval([0.1, 0.9], "r2")[0] < 0 and score_interval([0.1, 0.9], "r2")[1] == 1.0
    assert score_interval([0.4, 0.5, 0.6], "accuracy") == mean_interval([0.4, 0.5, 0.6])
    with pytest.raises(ValueError, match="metric must be one of accuracy.*; got 'acuracy'"):
        score_interval([0.1, 0.2], "acuracy")


def expanded(level, groups):
    """Level of the plain percentiles that are as wide as the expanded ones."""
    return 1 - 2 * stats.norm.sf(math.sqrt(groups / (groups - 1)) * stats.t.ppf((1 + level) / 2, groups - 1))


def test_groups_of_one_value_give_the_plain_bootstrap_with_wider_tails():
    values = np.random.default_rng(0).exponential(size=25)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        method="percentile",
        confidence_level=expanded(0.95, 25),
        n_resamples=20000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = hierarchical_interval(values[:, None], resamples=20000)
    assert found == pytest.approx((expected.low, expected.high), abs=0.02)


def test_unequal_groups_are_drawn_as_a_loop_draws_them():
    random = np.random.default_rng(0)
    groups = [random.normal(shift, 1, size=size) for shift, size in ((0, 2), (1, 7), (5, 4), (2, 1))]

    def mean():
        drawn = [groups[index] for index in random.integers(4, size=4)]
        return np.mean([random.choice(group, size=len(group)).mean() for group in drawn])

    tail = (1 - expanded(0.8, 4)) / 2
    expected = np.quantile([mean() for _ in range(8000)], (tail, 1 - tail))
    assert hierarchical_interval(groups, level=0.8, resamples=40000) == pytest.approx(expected, abs=0.08)


def test_quantities_of_one_seed_are_drawn_together():
    tables = np.random.default_rng(0).normal(size=(6, 5, 3))
    tables[..., 2] = 1 - tables[..., 1]
    low, high = hierarchical_interval(tables)
    assert (low[0], high[0]) == pytest.approx(hierarchical_interval(tables[..., 0]))
    assert (low[2], high[2]) == pytest.approx((1 - high[1], 1 - low[1]))


@pytest.mark.parametrize("tasks", [6, 15])
def test_only_the_hierarchical_bootstrap_covers_the_mean_over_tasks(tasks):
    random = np.random.default_rng(0)
    scores = random.normal(size=(400, tasks, 1)) + random.normal(size=(400, tasks, 5))

    def coverage(interval):
        return np.mean([low <= 0 <= high for low, high in map(interval, scores)])

    assert coverage(lambda table: hierarchical_interval(table, resamples=800)) == pytest.approx(0.95, abs=0.025)
    # The pooled values are too alike within a task to stand for as many tasks.
    assert coverage(lambda table: mean_interval(table.ravel())) < 0.8


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([[1.0]], "groups must be at least 2; got 1"),
        ([[1.0], []], r"groups\[1\] has \(0,\)"),
        ([[[1.0, 2.0]], [[1.0]]], r"groups\[1\] has \(1, 1\), groups\[0\] \(1, 2\)"),
        ([[1.0], [math.inf]], r"groups\[1\] must be finite"),
    ],
)
def test_bad_groups_are_refused_with_a_message(groups, words):
    with pytest.raises(ValueError, match=words):
        hierarchical_interval(groups)


@pytest.mark.parametrize("folds", [3, 10])
def test_the_corrected_resampled_t_test_is_baycomps(folds):
    a, b = np.random.default_rng(folds).normal(size=(2, folds))
    below, above = baycomp.CorrelatedTTest(a, b).probs()
    p = estimate(a - b, test_to_train=1 / (folds - 1)).claim()[1]
    assert p == pytest.approx(2 * min(below, above)) and p > estimate(a - b).claim()[1]


def test_repeated_splits_need_the_correction():
    # Scores of two equal models on 10 splits share training data: correlated by the test's share, a fifth.
    random = np.random.default_rng(0)
    moved = random.normal(size=(1000, 1)) * math.sqrt(0.2) + random.normal(size=(1000, 10)) * math.sqrt(0.8)
    corrected = np.mean([estimate(row, 0.25).claim()[1] < 0.05 for row in moved])
    plain = np.mean([estimate(row).claim()[1] < 0.05 for row in moved])
    assert corrected == pytest.approx(0.05, abs=0.02) and plain > 0.2


@pytest.mark.parametrize("rope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("tasks", [3, 8, 15])
def test_bayesian_signed_rank_is_baycomps(tasks, rope):
    second, first = np.random.default_rng(tasks).normal([[0.0], [0.5]], 1.0, size=(2, tasks))
    expected = baycomp.SignedRankTest(second, first, rope, nsamples=20000, random_state=0).probs()
    found = bayesian_signed_rank(first - second, rope, samples=40_000)
    assert found.tolist() == pytest.approx(expected, abs=0.015)
    assert found.sum() == pytest.approx(1)


def test_bayesian_signed_rank_of_many_pairs_is_that_of_each():
    leads = np.random.default_rng(0).normal(0.5, 1.0, size=(9, 4))
    together = bayesian_signed_rank(leads, 0.5)
    assert together.shape == (3, 4)
    for index in range(4):
        assert bayesian_signed_rank(leads[:, index], 0.5).tolist() == together[:, index].tolist()


def test_bayesian_signed_rank_turns_with_the_pair_and_tells_equivalence():
    leads = np.random.default_rng(0).normal(0.5, 1.0, size=12)
    assert bayesian_signed_rank(-leads, 0.2) == pytest.approx(bayesian_signed_rank(leads, 0.2)[::-1])
    assert bayesian_signed_rank(leads / 100, 1.0).tolist() == [0, 1, 0]
    assert bayesian_signed_rank([1e12, 0.9, -0.9, 0.8, 0.7], 1.0)[1] > 0.5, "a wild task leaves the others as they are"
    with pytest.raises(ValueError, match="rope must be at least 0"):
        bayesian_signed_rank(leads, -1.0)


def test_hedges_correction_frees_the_effect_of_its_bias():
    samples = np.random.default_rng(0).normal(1.0, 1.0, size=(8000, 5))
    found = [effect_size(sample, np.zeros(5)).standardised for sample in samples]
    raw = [sample.mean() / sample.std(ddof=1) for sample in samples[:2000]]
    assert np.mean(found) == pytest.approx(1.0, abs=0.03) and np.mean(raw) > 1.15


@given(PAIRS.filter(lambda pairs: len(pairs) > 2))
def test_superiority_is_mann_whitneys(pairs):
    a, b = np.array(pairs).T
    expected = stats.mannwhitneyu(a, b, method="asymptotic").statistic / len(a) ** 2
    assert effect_size(a, b).superiority == pytest.approx(expected)


def test_words_for_effect_sizes():
    def word(size):
        moved = np.array([-1.0, 0.0, 1.0])
        bias = effect_size(moved + 1, np.zeros(3)).standardised
        return effect_size(moved + size / bias, np.zeros(3)).word

    assert [word(size) for size in (0.0, 0.19, -0.21, 0.51, -0.81)] == [
        "negligible", "negligible", "small", "medium", "large"
    ]  # fmt: skip
    alike = effect_size([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])
    assert (alike.standardised, alike.word) == (None, "")
    assert effect_size([0.9, 0.8, 0.7], [0.9, 0.8, 0.7]).standardised == 0.0
    with pytest.raises(ValueError, match="at least 3 pairs"):
        effect_size([1.0, 2.0], [1.0, 3.0])


def test_wins_ties_and_losses_by_a_margin():
    # 0.91 - 0.90 is less than 0.01 by a rounding, and counts.
    leads = [0.91 - 0.90, 0.90 - 0.91, 0.009, 0.0, -0.5]
    assert win_tie_loss(leads, 0.01) == WinTieLoss(1, 2, 2)
    assert win_tie_loss(leads, 0.0) == WinTieLoss(2, 1, 2)
    assert win_tie_loss([], 0.01) == WinTieLoss(0, 0, 0)
    with pytest.raises(ValueError, match="margin at least 0"):
        win_tie_loss(leads, -0.1)


@pytest.mark.parametrize("tests", [1, 2, 12])
def test_holm_is_statsmodels(tests):
    p = np.random.default_rng(tests).random(tests) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_places_are_scipys():
    scores = np.random.default_rng(0).integers(5, size=(6, 7)).astype(float)
    assert (places(scores, higher_is_better=False) == stats.rankdata(scores, axis=1)).all()
    assert (places(scores, higher_is_better=True) == stats.rankdata(-scores, axis=1)).all()


def test_critical_differences_match_published_tables():
    # Demsar 2006, table 5 (a): q / sqrt(2) for two to ten models.
    printed = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for models, q in zip(range(2, 11), printed, strict=True):
        unit = math.sqrt(models * (models + 1) / (6 * 20))
        assert critical_difference(models, 20) / unit == pytest.approx(q, abs=1e-3)
    with pytest.raises(ValueError, match="must be at least 2"):
        critical_difference(1, 5)


@pytest.mark.parametrize("shape", [(5, 3), (12, 8), (30, 20)])
def test_the_critical_difference_separates_what_scikit_posthocs_does(shape):
    # Seconds to import, with seaborn behind it.
    import scikit_posthocs

    scores = np.random.default_rng(0).normal(np.arange(shape[1]) / 4, 1.0, size=shape)
    ranks = places(scores, higher_is_better=True).mean(axis=0)
    apart = np.abs(ranks[:, None] - ranks) >= critical_difference(shape[1], shape[0])
    assert (apart == (scikit_posthocs.posthoc_nemenyi_friedman(scores).to_numpy() <= 0.05)).all()


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 12])
@pytest.mark.parametrize("effect", [0.12, 0.5, 1.0, 3.0])
def test_seeds_to_show_a_difference_are_statsmodels(effect, alpha):
    found = seeds_to_show(-effect, 1.0, alpha)
    power = TTestPower().power
    assert power(effect, found, alpha) >= 0.8
    assert found == 2 or power(effect, found - 1, alpha) < 0.8
    assert seeds_to_show(effect, 1.0, alpha, most=found - 1) is None


def test_extreme_differences_need_none_or_two_seeds():
    assert seeds_to_show(0.0, 1.0) is None
    assert seeds_to_show(1e6, 1.0) == seeds_to_show(50.0, 1.0) == 2
    with pytest.raises(ValueError, match="spread positive; got 0.1 and 0"):
        seeds_to_show(0.1, 0.0)


@pytest.mark.parametrize("difference", [0.0, -0.4, 0.7])
def test_seeds_to_equate_have_the_requested_power(difference):
    def power(n):
        """Exact: over the distribution of the standard deviation s, the mean must lie within ± (1 - t s / sqrt(n))."""
        quantile = stats.t.ppf(0.975, n - 1)

        def integrand(s):
            reach = 1 - quantile * s / math.sqrt(n)
            ends = stats.norm.cdf([-reach, reach], difference, 1 / math.sqrt(n))
            return max(ends[1] - ends[0], 0.0) * stats.chi.pdf(s * math.sqrt(n - 1), n - 1) * math.sqrt(n - 1)

        return integrate.quad(integrand, 0, math.sqrt(n) / quantile)[0]

    found = seeds_to_equate(difference, 1.0, 1.0)
    assert power(found) >= 0.8 > power(found - 2)


def test_differences_beyond_the_margin_are_never_equivalent():
    assert seeds_to_equate(0.02, 0.001, 0.01) is None
    with pytest.raises(ValueError, match="margin must be positive"):
        seeds_to_equate(0.0, 1.0, 0.0)


def test_a_gain_for_each_doubling_of_cost():
    assert gain_per_doubling([0.03], [8.0]) == pytest.approx(0.01)
    assert gain_per_doubling([-0.03], [1 / 8]) == pytest.approx(0.01), "the same two models, named the other way"
    # A task at nearly the same cost has next to no say.
    assert gain_per_doubling([0.02, 0.02], [4.0, 1.0001]) == pytest.approx(0.02, rel=1e-3)
    with pytest.raises(ValueError, match="must differ from 1 on average"):
        gain_per_doubling([0.1, 0.2], [2.0, 0.5])
    with pytest.raises(ValueError, match="finite and positive"):
        gain_per_doubling([0.1], [0.0])


@given(st.lists(VALUES, min_size=1, max_size=7), st.booleans())
def test_the_tuning_curve_is_that_of_all_orders_of_trials(scores, higher):
    best = max if higher else min
    found = expected_best(scores, higher)
    for k in range(1, len(scores) + 1):
        assert found[k - 1] == pytest.approx(np.mean([best(drawn) for drawn in combinations(scores, k)]))


def test_the_tuning_curve_is_unbiased():
    searches = np.random.default_rng(0).random((4000, 6))
    curves = np.array([expected_best(s, True) for s in searches])
    # The largest of k uniform numbers is k / (k + 1) on average.
    expected = np.arange(1, 7) / np.arange(2, 8)
    assert curves.mean(axis=0) == pytest.approx(expected, abs=0.01)


def test_a_long_tuning_curve_and_a_failed_trial():
    curve = expected_best(np.arange(2000.0), higher_is_better=True)
    assert curve[-1] == 1999 and (np.diff(curve) > 0).all() and curve[0] == pytest.approx(999.5)
    with pytest.raises(ValueError, match="give a failed trial a score"):
        expected_best([0.5, math.nan], higher_is_better=True)


@given(PAIRS)
def test_differences_are_plain_ones_without_their_rounding(pairs):
    a, b = np.array(pairs).T
    assert differences(a, b) == pytest.approx(a - b, abs=1e-6)
    assert np.ptp(differences(a + 0.1, a)) == 0


def test_the_interval_over_splits_belongs_to_its_test():
    first, second = np.array([0.91, 0.93, 0.94, 0.95]), np.array([0.90, 0.91, 0.91, 0.90])
    low, high = mean_interval(first - second, test_to_train=0.25)
    error = np.std(first - second, ddof=1) * math.sqrt(1 / 4 + 0.25)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, loc=(first - second).mean(), scale=error))
    # At its end the test has a p-value of one less the level.
    assert estimate(first - low - second, 0.25).claim()[1] == pytest.approx(0.05)
    assert score_interval([0.9, 1.0, 0.95], "accuracy", 0.5)[1] == 1.0
    with pytest.raises(ValueError, match="test_to_train must be at least 0; got -0.1"):
        mean_interval([0.1, 0.2], test_to_train=-0.1)
