"""Statistics as pure functions on arrays: intervals, tests, ranks, effect sizes, tuning curves. Tests are two-sided."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from liquidbench.metrics import METRICS, Measure

Interval = tuple[float, float]
Claim = Literal["above", "below", "within"]
"""The claim about a true difference: above or below the smallest difference that counts, or within it."""

ALPHA = 0.05
"""A difference is shown if its corrected p-value is below this."""

LEVEL = 0.95
"""Confidence level of every interval in a `Comparison`."""

POWER = 0.8
"""Power with which the suggested number of seeds would show a difference of the observed size."""

MOST_SEEDS = 1000
"""Largest number of seeds that is suggested; a study could not show a difference that needs more."""

EFFECT_WORDS = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"), (math.inf, "large"))
"""Words for sizes of a standardised difference, each with its upper limit."""


@dataclass(frozen=True)
class PairedTest:
    """A two-sided test of whether paired values differ.

    Attributes:
        test: name of the test.
        statistic: the smaller of the two sums of signed ranks.
        p: p-value, uncorrected.
        effect: the matched-pairs rank-biserial correlation; positive if the first values are larger.
        n: number of pairs.
    """

    test: str
    statistic: float
    p: float
    effect: float
    n: int


@dataclass(frozen=True)
class Effect:
    """How large a difference between paired values is.

    Attributes:
        standardised: Hedges' g of the differences, positive if the first values are larger; None if all pairs differ by
            the same amount, so that their spread is unknown.
        superiority: probability that a random first value is larger than a random second one; ties count half.
    """

    standardised: float | None
    superiority: float

    @property
    def word(self) -> str:
        """The size as a word of `EFFECT_WORDS`; "" if it is unknown."""
        if self.standardised is None:
            return ""
        return next(word for end, word in EFFECT_WORDS if abs(self.standardised) < end)


@dataclass(frozen=True)
class WinTieLoss:
    """Number of tasks on which the first of two models won, tied and lost."""

    wins: int
    ties: int
    losses: int


def mean_interval(values: ArrayLike, level: float = LEVEL, test_to_train: float = 0.0) -> Interval:
    """Student's interval of a mean.

    It suits few seeds: with three normal values it covers the mean at its nominal rate, while a 95 % percentile
    bootstrap covers it in three samples of four.

    Args:
        values: (n,), n at least 2.
        level: confidence level, between 0 and 1.
        test_to_train: if the values are of n splits of the same data, the number of test samples divided by that of
            training samples (see `estimate`). 0 for independent values.

    Returns:
        The ends of the interval; both are the mean if all values are equal.

    Raises:
        ValueError: for fewer than two values, values that are not finite, a level outside 0 to 1, or a negative ratio.

    Example:
        >>> low, high = mean_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    found = estimate(_sample("values", values), test_to_train)
    return found.interval(level) or (found.difference, found.difference)


def score_interval(values: ArrayLike, metric: str | Measure, test_to_train: float = 0.0) -> Interval:
    """`mean_interval` of a score, clipped to the range of its metric.

    Raises:
        ValueError: if the name is not in `liquidbench.metrics.METRICS`, and as `mean_interval` does.

    Example:
        >>> score_interval([0.9, 1.0], "accuracy")[1], round(score_interval([0.9, 1.0], "mse")[1], 3)
        (1.0, 1.585)
    """
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}")
        metric = METRICS[metric]
    (low, high), (least, most) = mean_interval(values, test_to_train=test_to_train), metric.range
    return max(low, least), min(high, most)


def hierarchical_interval(
    groups: Sequence[ArrayLike], level: float = LEVEL, resamples: int = 5000, seed: int = 0
) -> NDArray[np.float64]:
    """Bootstrap interval of a mean over groups of values: tasks, and seeds within each.

    In each resample T of the T groups are drawn with replacement, and within each draw n_t of its n_t values::

        θ* = 1/T Σ_i 1/n_t(i) Σ_j y[t(i), s(i, j)]

    so that the interval covers other tasks and other seeds. Values of one group are not independent: a bootstrap of the
    pooled values is far too narrow if groups differ. The ends are expanded percentiles, with the tail
    Φ(-√(T / (T - 1)) · t) and Student's quantile t with T - 1 degrees of freedom, because plain percentiles are too
    narrow with few groups: with six groups, 95 % intervals cover in 85 % of cases. If groups differ far less than the
    values within them, the interval is too wide, since the spread within groups is counted twice.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8, with replacement at both
    levels; Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69, 2015, on expanded
    percentiles.

    Args:
        groups: T arrays, T at least 2, each (n_t,) or (n_t, k), n_t at least 1: k quantities, such as the scores of k
            models, are resampled together, since those of one seed are paired.
        level: confidence level, between 0 and 1.
        resamples: number of resamples.
        seed: random seed; the same seed gives the same interval.

    Returns:
        (2,) or (2, k), the lower and the upper ends.

    Raises:
        ValueError: if there are fewer than two groups, a group is empty or has values that are not finite, k differs
            between groups, or the level is not between 0 and 1.

    Example:
        >>> low, high = hierarchical_interval([[0.1, 0.2], [0.3, 0.4], [0.0, 0.1], [0.2, 0.2], [0.1, 0.3]])
        >>> bool(0.0 < low < 0.19 < high < 0.4)
        True
    """
    tables = [np.asarray(group, dtype=np.float64) for group in groups]
    if len(tables) < 2:
        raise ValueError(f"groups must be at least 2; got {len(tables)}")
    for index, table in enumerate(tables):
        if table.ndim not in (1, 2) or not len(table) or table.shape[1:] != tables[0].shape[1:]:
            raise ValueError(
                f"groups must have shapes (n,), or (n, k) of one k, n at least 1; groups[{index}] has {table.shape}, "
                f"groups[0] {tables[0].shape}"
            )
        if not np.isfinite(table).all():
            raise ValueError(f"groups[{index}] must be finite; leave out what is not")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}")
    quantile = special.stdtrit(len(tables) - 1, _tails(level)[1])
    tail = float(special.ndtr(-math.sqrt(len(tables) / (len(tables) - 1)) * quantile))
    return np.quantile(_hierarchical_means(tables, resamples, seed), (tail, 1 - tail), axis=0)


@dataclass(frozen=True)
class Estimate:
    """A mean difference and its standard error, to which each source of error contributes.

    Attributes:
        difference: the estimate.
        error: its standard error; 0 if all pairs differ by the same amount, so that it is unknown.
        freedom: degrees of freedom of the error.
        pairs: number of pairs.
    """

    difference: float
    error: float
    freedom: float
    pairs: int

    def interval(self, level: float = LEVEL) -> Interval | None:
        """Student's interval; None if the error is unknown."""
        if not self.error:
            return None
        reach = float(special.stdtrit(self.freedom, _tails(level)[1])) * self.error
        return self.difference - reach, self.difference + reach

    def claim(self, margin: float = 0.0) -> tuple[Claim, float]:
        """The claim with the strongest support, and its p-value.

        There are three claims: the true difference d is above the margin m, below -m, or within ± m (not for a margin
        of 0). Each is tested one-sided at the boundary of its region; p is twice the smallest of the three p-values::

            p = 2 · min(P(T > (D - m) / e), P(T > (-D - m) / e), max(P(T > (m - D) / e), P(T > (m + D) / e)))

        with the estimate D, its error e and Student's T. For any d, the probability that a false claim has p below α is
        at most α: if d = m exactly, half of it for "above" and half for "within". With a margin of 0 it is the t-test.
        If the error is unknown, p is that of the sign test: ``2 ** (1 - n)``.

        Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987, for equivalence; Murphy and
        Myors, Journal of Applied Psychology 84, 1999, for a smallest effect.

        Example:
            >>> estimate([0.03, 0.05, 0.04, 0.05]).claim(margin=0.01)[0]
            'above'
        """
        # Rounding errors must not decide whether 0.91 - 0.90 reaches 0.01.
        margin, size = margin * (1 - 1e-9), abs(self.difference)
        outside: Claim = "above" if self.difference > 0 else "below"
        if not self.error:
            p = 2.0 ** (1 - self.pairs) if size or margin else 1.0
            return ("within" if size < margin else outside), p

        def beyond(distance: float) -> float:
            return float(special.stdtr(self.freedom, -distance / self.error))

        chances: list[tuple[float, Claim]] = [(beyond(size - margin), outside)]
        if margin:
            chances.append((beyond(margin - size), "within"))
        p, found = min(chances)
        return found, min(1.0, 2 * p)


def estimate(
    differences: ArrayLike, test_to_train: float = 0.0, others: Sequence[tuple[float, float]] = ()
) -> Estimate:
    """A mean of paired differences; its variance is the sum over independent sources of error.

    The variance of the differences themselves is var(d) / n, as in the paired t-test, with n - 1 degrees of freedom.
    For a sum of variances v_i with ν_i degrees of freedom, Satterthwaite's degrees are (Σ v_i)² / Σ v_i² / ν_i.

    If the pairs are of different splits of the same data, training sets overlap and scores are correlated, so that a
    paired t-test shows differences that do not exist. The variance is then (1/n + n_test/n_train) · var(d), as in the
    corrected resampled t-test. Several seeds on one split need no correction.

    Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003; Satterthwaite, An
    Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 2, 1946.

    Args:
        differences: (n,), n at least 2.
        test_to_train: if they are of n splits of the same data, the number of test samples divided by that of training
            samples: 1/9 for ten folds. 0 for independent differences.
        others: (variance, degrees of freedom) of further sources of error of the mean difference, such as the choice of
            test recordings.

    Raises:
        ValueError: if there are fewer than two differences, one is not finite, or the ratio is negative.

    Example:
        >>> first, second = np.array([0.91, 0.93, 0.94]), np.array([0.90, 0.91, 0.91])
        >>> round(estimate(first - second).claim()[1], 3), round(estimate(first - second, 1 / 9).claim()[1], 3)
        (0.074, 0.095)
    """
    if not 0 <= test_to_train < math.inf:
        raise ValueError(f"test_to_train must be at least 0; got {test_to_train}")
    sample = _sample("differences", differences)
    n, spread = len(sample), float(sample.std(ddof=1))
    # Differences within rounding errors are equal.
    spread = 0.0 if spread < 1e-9 * float(np.abs(sample).max()) else spread
    return combined(math.fsum(sample) / n, n, [((1 / n + test_to_train) * spread**2, n - 1), *others])


def combined(difference: float, pairs: int, parts: Sequence[tuple[float, float]]) -> Estimate:
    """An estimate whose variance is the sum of parts, each (variance, degrees of freedom); see `estimate`."""
    variance = math.fsum(part for part, _ in parts)
    squares = math.fsum(part**2 / freedom for part, freedom in parts if part)
    return Estimate(difference, math.sqrt(variance), variance**2 / squares if squares else 1.0, pairs)


def jackknife(without: ArrayLike) -> tuple[float, float]:
    """Variance of a score due to the choice of recordings, and its degrees of freedom.

    From its values θ_i without each of G blocks of recordings::

        var = (G - 1) / G · Σ (θ_i - mean(θ))²,  G - 1 degrees of freedom

    Unlike a formula for each metric, it holds for any score that changes smoothly with the data, including areas under
    curves; unlike a bootstrap, it needs only G scores.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11.

    Args:
        without: (G,), G at least 2.

    Example:
        >>> values = np.array([1.0, 2.0, 4.0, 7.0])
        >>> variance, freedom = jackknife([np.delete(values, i).mean() for i in range(4)])
        >>> bool(np.isclose(variance, values.var(ddof=1) / 4)), freedom
        (True, 3)
    """
    sample = _sample("without", without)
    return float((len(sample) - 1) * sample.var()), len(sample) - 1


def best_of(n: int, k: int) -> NDArray[np.float64]:
    """(n,) probability of each of n items, the best first, to be the best of k drawn without replacement.

    Example:
        >>> best_of(4, 2).round(3).tolist(), best_of(3, 3).tolist()
        ([0.5, 0.333, 0.167, 0.0], [1.0, 0.0, 0.0])
    """
    return _chances_of_best(n)[::-1, k - 1]


@cache
def variance_of_best(n: int, k: int) -> float:
    """Variance of the mean best of k, over all subsets of k, of n independent standard normal values.

    It is the part of the variance of a family's score that is due to the choice of its networks. It is that of a
    U-statistic, with c members shared by two subsets::

        C(n, k)⁻¹ Σ_c C(k, c) C(n - k, k - c) ζ_c,  ζ_c = var(E[max of k | c of them])

    Source: Hoeffding, A Class of Statistics with Asymptotically Normal Distribution, 1948.

    Example:
        >>> variance_of_best(5, 1), round(variance_of_best(3, 3), 3)
        (0.2, 0.559)
    """
    if k == 1:
        return 1 / n
    x = np.linspace(-8.0, 8.0, 4001)
    below = special.ndtr(x)

    def density(members: int) -> NDArray[np.float64]:
        """Density of the largest of so many values."""
        return members * below ** (members - 1) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

    step, total = x[1] - x[0], 0.0
    for shared in range(1, k + 1):
        if shared == k:
            expected = x
        else:
            rest = x * density(k - shared)
            expected = x * below ** (k - shared) + np.cumsum(rest[::-1])[::-1] * step
        weight = density(shared) * step
        zeta = float(weight @ expected**2 - (weight @ expected) ** 2)
        total += math.comb(k, shared) * math.comb(n - k, k - shared) * zeta
    return total / math.comb(n, k)


def signed_rank_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Wilcoxon's signed-rank test, two-sided and exact even with ties, for pairs from different tasks.

    Pairs without a difference are left out. Source: Demšar, Statistical Comparisons of Classifiers over Multiple
    Data Sets, JMLR 7, 2006, section 3.1.3.

    Args:
        first: (n,), n at least 2.
        second: (n,), paired with `first`.

    Returns:
        The outcome, with the matched-pairs rank-biserial correlation. Differences below 1e-9 of the largest value count
        as rounding errors.

    Raises:
        ValueError: if lengths differ, there are fewer than two pairs, or a value is not finite.

    Example:
        >>> signed_rank_test([3.0, 1.0, 4.0], [1.0, 0.0, 1.0]).p
        0.25
    """
    moved = differences(first, second)
    statistic, p, effect = _signed_rank(moved)
    return PairedTest("exact signed-rank test", statistic, p, effect, len(moved))


def bayesian_signed_rank(
    leads: ArrayLike, rope: float, prior: float = 0.5, samples: int = 10_000, seed: int = 0
) -> NDArray[np.float64]:
    """Bayesian signed-rank test with a region of practical equivalence (rope): for pairs from different tasks.

    With leads z_1 ... z_n and a pseudo-observation z_0 = 0 of weight s, weights w ~ Dirichlet(s, 1, ..., 1) give the
    probability that the mean of two leads is below, within or above the region::

        above = Σ_ij w_i w_j [z_i + z_j > 2 · rope],  below likewise,  within = 1 - above - below

    (ties count half). The result is how often each is the largest of the three. Unlike a p-value it can show that two
    models are equivalent, and it does not depend on the number of pairs that are examined.

    Source: Benavoli, Mangili, Corani, Zaffalon and Ruggeri, A Bayesian Wilcoxon signed-rank test based on the
    Dirichlet process, ICML 2014; with rope, Benavoli, Corani, Demšar and Zaffalon, Time for a Change, JMLR 18, 2017.

    Args:
        leads: (n,), or (n, k) for k tests at once: differences of paired scores, one per task, in a common unit.
        rope: half the width of the region, in that unit; 0 for no region.
        prior: the weight s.
        samples: number of draws of w. The standard error of a probability is at most 0.5 / √samples, 0.005 by default.
        seed: random seed; the same seed gives the same result.

    Returns:
        (3,) or (3, k): probabilities of below, within and above, which add up to 1.

    Raises:
        ValueError: if there are no leads, one is not finite, rope is negative, prior is not positive, or samples is 0.

    Example:
        >>> below, within, above = bayesian_signed_rank([3.0, 2.0, 4.0, 2.5, 3.5], rope=1.0)
        >>> bool(above > 0.95)
        True
    """
    table = np.asarray(leads, dtype=np.float64)
    if table.ndim not in (1, 2) or not len(table) or not np.isfinite(table).all():
        raise ValueError(f"leads must be finite, (n,) or (n, k), n at least 1; got shape {table.shape}")
    if not rope >= 0 or not prior > 0 or samples < 1:
        raise ValueError(
            f"rope must be at least 0, prior positive and samples at least 1; got {rope}, {prior} and {samples}"
        )
    observed = np.concatenate([np.zeros((1, *table.shape[1:])), table])
    one, other = np.triu_indices(len(observed))
    sums = observed[one] + observed[other]
    sums = sums.reshape(len(sums), -1)
    threshold = np.full_like(sums, 2 * rope)
    regions = np.concatenate([_above(-sums, threshold), _above(sums, threshold)], axis=1)
    repeated = np.where(one == other, 1.0, 2.0)
    alpha = np.ones(len(observed))
    alpha[0] = prior
    weights = np.random.default_rng(seed).dirichlet(alpha, size=samples)
    counts = np.zeros((3, sums.shape[1]))
    # With many tasks the products of all pairs of weights need much memory.
    for part in np.array_split(weights, max(1, samples * len(sums) // 2_000_000)):
        below, above = np.split((part[:, one] * part[:, other] * repeated) @ regions, 2, axis=1)
        winner = np.stack([below, 1 - below - above, above]).argmax(axis=0)
        counts += [(winner == index).sum(axis=0) for index in range(3)]
    return (counts / samples).reshape(3, *table.shape[1:])


def effect_size(first: ArrayLike, second: ArrayLike) -> Effect:
    """How large a difference between paired values is, regardless of its significance.

    Hedges' g is the mean difference in standard deviations of the differences d, corrected for the bias of this ratio
    in small samples: with three seeds it is three quarters too large on average::

        g = J(n - 1) · mean(d) / sd(d),  J(m) = Γ(m/2) / (√(m/2) Γ((m - 1)/2))

    Source: Hedges, Distribution Theory for Glass's Estimator of Effect Size, Journal of Educational Statistics 6,
    1981; the words are Cohen's, Statistical Power Analysis, 1988, section 2.2. Superiority: Vargha and Delaney, A
    Critique and Improvement of the CL Common Language Effect Size Statistics, Journal of Educational and Behavioral
    Statistics 25, 2000.

    Args:
        first: (n,), n at least 3.
        second: (n,), paired with `first`.

    Returns:
        Both effect sizes.

    Raises:
        ValueError: if lengths differ, there are fewer than three pairs, or a value is not finite.

    Example:
        >>> effect = effect_size([0.91, 0.93, 0.92, 0.94], [0.90, 0.91, 0.92, 0.91])
        >>> round(effect.standardised, 2), effect.word, effect.superiority
        (0.84, 'large', 0.84375)
    """
    a, b = _paired(first, second)
    if len(a) < 3:
        raise ValueError(f"first and second must be at least 3 pairs, as 2 do not show an effect's size; got {len(a)}")
    moved = differences(a, b)
    superiority = float(_above(a[:, None], b[None, :]).mean())
    if np.ptp(moved) == 0:
        return Effect(None if moved.any() else 0.0, superiority)
    m = len(a) - 1
    correction = math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)
    return Effect(correction * float((a - b).mean() / (a - b).std(ddof=1)), superiority)


def win_tie_loss(leads: ArrayLike, margin: float) -> WinTieLoss:
    """Counts the tasks on which a model was ahead of another by a margin, neither was, or it was behind.

    Source: Demšar, JMLR 7, 2006, section 3.1.4, there without a margin.

    Args:
        leads: (n,) differences in a common unit, positive where the first model is better.
        margin: the smallest lead that is not a tie, up to rounding; with 0 only equal scores are ties.

    Raises:
        ValueError: if a lead is not finite, or the margin is negative.

    Example:
        >>> win_tie_loss([0.02, 0.01, -0.005, -0.03], margin=0.01)
        WinTieLoss(wins=2, ties=1, losses=1)
    """
    table = np.asarray(leads, dtype=np.float64)
    if table.ndim != 1 or not np.isfinite(table).all() or not margin >= 0:
        raise ValueError(f"leads must be finite, (n,), and margin at least 0; got shape {table.shape} and {margin}")
    counts = np.abs(table) >= margin * (1 - 1e-9) if margin else table != 0
    wins, losses = int((counts & (table > 0)).sum()), int((counts & (table < 0)).sum())
    return WinTieLoss(wins, len(table) - wins - losses, losses)


def holm(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values for their number by Holm's step-down method.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6, 1979.

    Args:
        pvalues: (m,), each from 0 to 1.

    Returns:
        (m,) corrected p-values, in the given order. If those below alpha are rejected, the probability of any false
        rejection is at most alpha.

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"pvalues must be a list of numbers from 0 to 1; got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected


def places(scores: ArrayLike, higher_is_better: bool) -> NDArray[np.float64]:
    """Rank of each model on each data set, 1 being best.

    Args:
        scores: (datasets, models); scores that are not finite, such as those of failed runs, rank last.
        higher_is_better: direction of the score.

    Returns:
        (datasets, models); equal scores share the mean of their ranks.

    Example:
        >>> places([[0.9, 0.8, 0.8]], higher_is_better=True).tolist()
        [[1.0, 2.5, 2.5]]
    """
    table = _table(scores)
    costs = np.where(np.isfinite(table), -table if higher_is_better else table, np.inf)
    return stats.rankdata(costs, axis=1)


def friedman(scores: ArrayLike) -> tuple[float, float]:
    """Friedman's test of whether any of several models differ in rank over data sets.

    Source: Demšar, JMLR 7, 2006, section 3.2.2.

    Args:
        scores: (datasets, models), at least 2 by 3, all finite; the direction of the score does not matter.

    Returns:
        The statistic, corrected for ties, and its p-value; 0 and 1 if all models tie everywhere.

    Raises:
        ValueError: if the shape is different, or a value is not finite.

    Example:
        >>> statistic, p = friedman([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.9, 0.7, 0.6], [0.6, 0.5, 0.4]])
        >>> statistic, round(p, 3)
        (8.0, 0.018)
    """
    table = _ranked(scores)
    if (np.ptp(table, axis=1) == 0).all():
        return 0.0, 1.0
    statistic, p = stats.friedmanchisquare(*table.T)
    return float(statistic), float(p)


def critical_difference(models: int, datasets: int, alpha: float = ALPHA) -> float:
    """The smallest difference of mean ranks at which Nemenyi's test finds two models different.

    With q the quantile of the studentised range of k models with infinite degrees of freedom, over N data sets::

        CD = q(1 - α; k, ∞) / √2 · √(k (k + 1) / (6 N))

    It includes the correction for comparing all pairs. It depends on the number of models: leaving one out can separate
    two others.

    Source: Nemenyi, Distribution-free Multiple Comparisons, 1963; Demšar, JMLR 7, 2006, section 3.2.2, whose table 5
    holds q / √2.

    Args:
        models: number of models k, at least 2.
        datasets: number of data sets N, at least 2.
        alpha: probability of finding any difference if there is none.

    Raises:
        ValueError: if there are fewer models or data sets, or alpha is not between 0 and 1.

    Example:
        >>> round(critical_difference(models=4, datasets=14), 2)
        1.25
    """
    if models < 2 or datasets < 2 or not 0 < alpha < 1:
        raise ValueError(
            f"models and datasets must be at least 2, and alpha between 0 and 1; got {models}, {datasets} and {alpha}"
        )
    quantile = float(stats.studentized_range.ppf(1 - alpha, models, np.inf))
    return quantile / math.sqrt(2) * math.sqrt(models * (models + 1) / (6 * datasets))


def seeds_to_show(
    difference: float, spread: float, alpha: float = ALPHA, power: float = POWER, most: int = MOST_SEEDS
) -> int | None:
    """Number of seeds with which the paired t-test would show a difference, if it and its spread are the true ones.

    It is the smallest n at which a noncentral t with n - 1 degrees of freedom and noncentrality √n · d / spread, d the
    size of the difference, exceeds the quantile 1 - α/2 of Student's t with the given probability. A significant
    difference of the wrong sign does not count. With few seeds, difference and spread are uncertain, so the result
    is only an order of magnitude.

    Source: Cohen, Statistical Power Analysis, 1988, section 2.4; in the exact form.

    Args:
        difference: mean of the paired differences.
        spread: their standard deviation, positive.
        alpha: level of the test; divide it by the number of tests that a correction counts.
        power: probability of showing the difference.
        most: largest number of seeds to consider.

    Returns:
        The number of seeds, at least 2; None if more than `most` are needed.

    Raises:
        ValueError: if the spread is not positive, a value is not finite, or a probability is not between 0 and 1.

    Example:
        >>> seeds_to_show(difference=0.01, spread=0.02)
        34
    """
    _check_plan(difference, spread, alpha, power)
    n = np.arange(2, most + 1)
    return _first(n, _chance_beyond(np.sqrt(n) * abs(difference) / spread, n - 1, alpha) >= power)


def spreads_to_show(seeds: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest difference that a paired t-test with this number of seeds would show.

    The inverse of `seeds_to_show`.

    Args:
        seeds: at least 2.
        alpha: level of the test.
        power: probability of showing it.

    Returns:
        The smallest true difference, divided by the standard deviation of the paired differences.

    Raises:
        ValueError: if there are fewer seeds, or a probability is not between 0 and 1.

    Example:
        >>> f"{spreads_to_show(5):.2f}"
        '1.68'
    """
    if seeds < 2:
        raise ValueError(f"seeds must be at least 2; got {seeds}")
    _check_plan(0.0, 1.0, alpha, power)
    freedom = np.array([seeds - 1])
    low, high = 0.0, 1e3
    while high - low > 1e-6:
        middle = (low + high) / 2
        shown = _chance_beyond(np.array([math.sqrt(seeds) * middle]), freedom, alpha)[0] >= power
        low, high = (low, middle) if shown else (middle, high)
    return high


def seeds_to_equate(
    difference: float,
    spread: float,
    margin: float,
    alpha: float = ALPHA,
    power: float = POWER,
    most: int = MOST_SEEDS,
) -> int | None:
    """Number of seeds that would show two models to be equivalent, if their difference and spread are the true ones.

    Equivalent means that Student's interval of the mean difference, at level 1 - α, lies within ± margin, which is two
    one-sided tests at α/2. The power of each is exact, from a noncentral t; that of both is at least their sum minus 1,
    so the result is an upper bound.

    Source: Schuirmann, A Comparison of the Two One-Sided Tests Procedure and the Power Approach, Journal of
    Pharmacokinetics and Biopharmaceutics 15, 1987.

    Args:
        difference: mean of the paired differences.
        spread: their standard deviation, positive.
        margin: half the width of the region of equivalence, positive.
        alpha: 1 minus the level of the interval.
        power: probability of showing equivalence.
        most: largest number of seeds to consider.

    Returns:
        The number of seeds, at least 2; None if more than `most` are needed, as for any difference beyond the margin.

    Raises:
        ValueError: if the spread or the margin is not positive, a value is not finite, or a probability is not between
            0 and 1.

    Example:
        >>> seeds_to_equate(difference=0.0, spread=0.01, margin=0.01), seeds_to_equate(0.02, 0.01, 0.01)
        (13, None)
    """
    _check_plan(difference, spread, alpha, power)
    if not 0 < margin < math.inf:
        raise ValueError(f"margin must be positive; got {margin}")
    n = np.arange(2, most + 1)
    gaps = np.array([margin - difference, margin + difference])[:, None]
    chances = _chance_beyond(np.maximum(np.sqrt(n) * gaps / spread, 0.0), n - 1, alpha)
    return _first(n, (chances.sum(axis=0) - 1 >= power) & (gaps > 0).all())


def gain_per_doubling(gains: ArrayLike, cost_ratios: ArrayLike) -> float:
    """The gain of a model over another per doubling of cost, over some tasks.

    It is a rate between two points, the mean gain divided by the mean number of doublings, not a scaling law::

        Σ gain / Σ log2(cost / other cost)

    Both means are over tasks, so a task on which the costs are nearly equal does not dominate, as it would in a mean of
    rates.

    Source: the ratio estimator, Cochran, Sampling Techniques, 1977, chapter 6.

    Args:
        gains: (n,), positive if the model is better, in a common unit.
        cost_ratios: (n,), its cost divided by the other's.

    Returns:
        The rate. It is negative if the model gains at a lower cost or loses at a higher one: then there is no
        trade-off.

    Raises:
        ValueError: if lengths differ, a value is not finite, a ratio is not positive, or costs are equal on average.

    Example:
        >>> gain_per_doubling([0.02, 0.04], [2.0, 4.0])
        0.02
    """
    gain, ratio = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (gains, cost_ratios))
    if gain.shape != ratio.shape or gain.ndim != 1 or not len(gain):
        raise ValueError(f"gains and cost_ratios must pair up, (n,); got shapes {gain.shape} and {ratio.shape}")
    if not np.isfinite(gain).all() or not ((ratio > 0) & np.isfinite(ratio)).all():
        raise ValueError("gains must be finite, and cost_ratios finite and positive: leave out the others")
    doublings = math.fsum(np.log2(ratio))
    if abs(doublings) < 1e-9 * len(ratio):
        raise ValueError("cost_ratios must differ from 1 on average; at equal cost the gain has no price")
    return math.fsum(gain) / doublings


def expected_best(scores: ArrayLike, higher_is_better: bool) -> NDArray[np.float64]:
    """Tuning curve: the expected score of the best of k trials, for k from 1 to the number of trials.

    A model with more trials has a better best score. This gives the expected result of k trials, so that searches of
    different lengths can be compared at the same k. For the n scores x in ascending order, the expected largest of k
    drawn without replacement (the smallest likewise) is::

        E_k = Σ_i x_(i) · C(i - 1, k - 1) / C(n, k)

    which is unbiased for k new trials of the same search. Drawing with replacement, as in Dodge et al., gives
    Σ_i x_(i) ((i/n)^k - ((i - 1)/n)^k), which is too pessimistic for k above 1.

    Source: Dodge, Gururangan, Card, Schwartz and Smith, Show Your Work, EMNLP 2019 (with replacement); Tang, Lee, Xin,
    Liu, Yu and Lin, Showing Your Work Doesn't Always Work, ACL 2020 (without).

    Args:
        scores: (n,), n at least 1, validation scores of independent draws from one search space; for a grid the curve
            describes trying its points in random order.
        higher_is_better: direction of the score.

    Returns:
        (n,): the expectation for 1, ..., n trials. The last one is the best score observed.

    Raises:
        ValueError: if there are no scores, or one is not finite: a failed trial counts too, so give it a score, such as
            the trivial predictor's.

    Example:
        >>> expected_best([0.7, 0.9, 0.8], higher_is_better=True).round(3).tolist()
        [0.8, 0.867, 0.9]
        >>> expected_best([0.7, 0.9, 0.8], higher_is_better=False).round(3).tolist()
        [0.8, 0.733, 0.7]
    """
    sample = np.asarray(scores, dtype=np.float64)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise ValueError(
            f"scores must be finite, (n,), n at least 1; got shape {sample.shape}: give a failed trial a "
            "score too, such as the trivial predictor's"
        )
    ordered = np.sort(sample) if higher_is_better else np.sort(sample)[::-1]
    return ordered @ _chances_of_best(len(ordered))


def differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """First minus second of paired values, rounded to 1e-9 of the largest value, so that equal differences are equal.

    Raises:
        ValueError: if lengths differ, there are fewer than two pairs, or a value is not finite.

    Example:
        >>> bool(0.9 - 0.8 == 0.8 - 0.7), len(set(differences([0.9, 0.8], [0.8, 0.7])))
        (False, 1)
    """
    a, b = _paired(first, second)
    unit = 1e-9 * max(np.abs(a).max(), np.abs(b).max())
    return np.rint((a - b) / unit) * unit if unit else np.zeros_like(a)


def _chance_beyond(noncentrality: NDArray[np.float64], freedom: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """Probability that a noncentral t exceeds the quantile 1 - alpha / 2 of Student's t."""
    return 1 - special.nctdtr(freedom, noncentrality, special.stdtrit(freedom, 1 - alpha / 2))


def _check_plan(difference: float, spread: float, alpha: float, power: float) -> None:
    if not math.isfinite(difference) or not 0 < spread < math.inf:
        raise ValueError(f"difference must be finite and spread positive; got {difference} and {spread}")
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(f"alpha and power must lie between 0 and 1; got {alpha} and {power}")


def _first(numbers: NDArray[np.int64], reached: NDArray[np.bool_]) -> int | None:
    return int(numbers[reached.argmax()]) if reached.any() else None


def _hierarchical_means(tables: Sequence[NDArray[np.float64]], resamples: int, seed: int) -> NDArray[np.float64]:
    """The mean of each resample, (resamples,) or (resamples, k)."""
    random = np.random.default_rng(seed)
    drawn = random.integers(len(tables), size=resamples * len(tables))
    means = np.zeros((resamples, *tables[0].shape[1:]))
    for group, table in enumerate(tables):
        # A resample occurs once for each time that it drew the group.
        rows = np.flatnonzero(drawn == group)[:, None] // len(tables)
        cells = len(table) * rows + random.integers(len(table), size=(len(rows), len(table)))
        counts = np.bincount(cells.ravel(), minlength=resamples * len(table))
        means += counts.reshape(resamples, -1) @ (table / (len(tables) * len(table)))
    return means


@cache
def _chances_of_best(n: int) -> NDArray[np.float64]:
    """[i, k - 1]: probability that the (i + 1)th of n in ascending order is the largest of k without replacement."""
    chances = np.zeros((n, n))
    chances[-1] = np.arange(1, n + 1) / n
    # C(i, k) / C(n, k) is computed from its neighbour, without binomial coefficients.
    for i in range(n - 1, 0, -1):
        k = np.arange(1, i + 1)
        chances[i - 1, :i] = chances[i, :i] * (i - k + 1) / i
    return chances


def _above(values: NDArray[np.float64], threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 above a threshold, 0 below, and one half at it, up to rounding."""
    near = 1e-9 * (np.abs(values) + np.abs(threshold))
    return np.where(np.abs(values - threshold) <= near, 0.5, values > threshold)


def _signed_rank(moved: NDArray[np.float64]) -> tuple[float, float, float]:
    """The smaller sum of signed ranks, its exact two-sided p-value, and the rank-biserial correlation."""
    moved = moved[moved != 0]
    if not len(moved):
        return 0.0, 1.0, 0.0
    # Twice the ranks, which are integers even with ties.
    ranks = np.rint(2 * stats.rankdata(np.abs(moved))).astype(int)
    total, positive = int(ranks.sum()), int(ranks[moved > 0].sum())
    # Probability of each sum if every sign is random.
    chances = np.zeros(total + 1)
    chances[0] = 1.0
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    smaller = min(positive, total - positive)
    p = min(1.0, 2 * math.fsum(chances[: smaller + 1]))
    return smaller / 2, p, (2 * positive - total) / total


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = _sample("first", first), _sample("second", second)
    if len(a) != len(b):
        raise ValueError(f"first and second must pair up; got {len(a)} and {len(b)} values")
    return a, b


def _sample(name: str, values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        raise ValueError(f"{name} must be at least 2 numbers in one axis; got shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"{name} must be finite; {(~np.isfinite(sample)).sum()} are not: leave out their pairs")
    return sample


def _table(scores: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"scores must have shape (datasets, models), both at least 1; got {table.shape}")
    return table


def _ranked(scores: ArrayLike) -> NDArray[np.float64]:
    table = _table(scores)
    if len(table) < 2 or table.shape[1] < 3 or not np.isfinite(table).all():
        raise ValueError(
            f"scores must be finite, of at least 2 datasets by 3 models; got shape {table.shape}"
            + ("" if np.isfinite(table).all() else " with values that are not finite")
        )
    return table


def _tails(level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, as 0.95 does; got {level}")
    return (1 - level) / 2, (1 + level) / 2
