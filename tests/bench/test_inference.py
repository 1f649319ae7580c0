"""Intervals, tests and ranks against SciPy and print."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from liquidbench.statistics.inference import (
    average_ranks,
    bootstrap_interval,
    friedman,
    holm,
    mean_interval,
    paired_test,
    score_interval,
    signed_rank_test,
)

VALUES = st.floats(-100, 100).map(lambda value: round(value, 3))
SAMPLES = st.lists(VALUES, min_size=2, max_size=15)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=12)


def test_mean_interval_is_scipys():
    sample = np.random.default_rng(0).normal(size=7)
    expected = stats.ttest_1samp(sample, 0.0).confidence_interval(0.9)
    assert mean_interval(sample, level=0.9) == pytest.approx((expected.low, expected.high))


def test_bootstrap_interval_is_scipys():
    sample = np.random.default_rng(0).exponential(size=25)
    expected = stats.bootstrap(
        (sample,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert bootstrap_interval(sample, resamples=20000) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_with_three_values_only_students_interval_covers_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(size=(1000, 3))

    def coverage(interval, **options):
        bounds = [interval(sample, **options) for sample in samples]
        return np.mean([low <= 0 <= high for low, high in bounds])

    assert coverage(mean_interval) == pytest.approx(0.95, abs=0.03)
    assert coverage(bootstrap_interval, resamples=500) < 0.8


@given(SAMPLES)
def test_intervals_hold_the_mean_and_ignore_the_order(sample):
    for interval in (mean_interval, lambda values: bootstrap_interval(values, resamples=500)):
        low, high = interval(sample)
        assert low - 1e-9 <= np.mean(sample) <= high + 1e-9
        assert interval(sample[::-1]) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [2, 3, 6, 30])
def test_seeds_get_scipys_paired_t_test_however_many(n):
    a, b = np.random.default_rng(n).normal(size=(2, n))
    outcome, expected = paired_test(a, b), stats.ttest_rel(a, b)
    assert outcome.test == "paired t-test"
    assert (outcome.statistic, outcome.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert outcome.effect == pytest.approx((a - b).mean() / (a - b).std(ddof=1))


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


@pytest.mark.parametrize("test", [paired_test, signed_rank_test])
@given(pairs=PAIRS)
def test_tests_are_symmetric_and_ignore_the_order_of_pairs(test, pairs):
    a, b = np.array(pairs).T
    outcome, swapped, turned = test(a, b), test(b, a), test(a[::-1], b[::-1])
    assert 0 <= outcome.p <= 1
    assert swapped.p == pytest.approx(outcome.p) == turned.p
    assert swapped.effect == pytest.approx(-outcome.effect)


def test_three_seeds_that_differ_alike_prove_nothing():
    # 0.9 - 0.8 and 0.8 - 0.7 differ in the last bit, which must not pass for a tiny spread.
    assert paired_test([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]).p == 0.25
    assert paired_test([0.9, 0.8], [0.9, 0.8]).p == 1.0


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0], [2.0], "first must be at least 2 numbers"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "must pair up; got 2 and 3"),
        ([1.0, 2.0], [1.0, math.nan], "second must be finite; 1 are not"),
    ],
)
def test_bad_samples_are_refused_in_words(first, second, words):
    with pytest.raises(ValueError, match=words):
        paired_test(first, second)


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
    assert average_ranks(scores, higher_is_better=True).tolist() == [1.5, 3.0, 1.75, 3.75]
    assert average_ranks([[0.1, 0.2, math.nan]], higher_is_better=False).tolist() == [1, 2, 3]


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
