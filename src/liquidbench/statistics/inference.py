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
"""Where a true difference is said to lie: beyond the smallest that counts on either side, or within it."""

ALPHA = 0.05
"""A difference is shown where its corrected p-value lies below this."""

LEVEL = 0.95
"""Level of every interval in a `Comparison`."""

POWER = 0.8
"""Chance with which so many seeds as are asked for would show a difference of the size that was seen."""

MOST_SEEDS = 1000
"""More seeds are never asked for: such a difference is none that a study could show."""

EFFECT_WORDS = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"), (math.inf, "large"))
"""Each word holds below its size of a standardised difference."""


@dataclass(frozen=True)
class PairedTest:
    """A two-sided test of whether paired values differ.

    Attributes:
        test: its name.
        statistic: the smaller of the two sums of signed ranks.
        p: its p-value, uncorrected.
        effect: the matched-pairs rank-biserial correlation; positive where the first values are larger.
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
        standardised: Hedges' g of the differences, positive where the first values are larger; None where all pairs
            differ by the same amount, so that their spread is unknown.
        superiority: chance that a first value is larger than a second one, not of its pair; equals count half.
    """

    standardised: float | None
    superiority: float

    @property
    def word(self) -> str:
        """The size in a word of `EFFECT_WORDS`; "" where it is unknown."""
        if self.standardised is None:
            return ""
        return next(word for end, word in EFFECT_WORDS if abs(self.standardised) < end)


@dataclass(frozen=True)
class WinTieLoss:
    """On how many tasks the first of two models was ahead, level, behind."""

    wins: int
    ties: int
    losses: int


def mean_interval(values: ArrayLike, level: float = LEVEL, test_to_train: float = 0.0) -> Interval:
    """Student's interval of a mean.

    It suits a handful of seeds: with three normal values it covers the mean at its nominal rate, where a 95 %
    percentile bootstrap covers it in three samples of four.

    Args:
        values: (n,), n at least 2.
        level: confidence, between 0 and 1.
        test_to_train: where the values are of n splits of the same data, samples for testing, divided by those for
            training (see `estimate`). 0 for independent values.

    Returns:
        Its ends; both are the mean where all values are equal.

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
    """`mean_interval` of a score, cut at the ends of its metric's range.

    Raises:
        ValueError: for a name that is no key of `liquidbench.metrics.METRICS`, and as `mean_interval` does.

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

    so that the interval speaks of other tasks and other seeds. Values of one group are no independent task about
    other groups: a bootstrap of the pooled values is far too narrow wherever groups differ. Its ends are expanded
    percentiles, the tail Φ(-√(T / (T - 1)) · t) with Student's quantile t of T - 1 degrees of freedom, for plain ones
    are too narrow with few groups: of six, at 95 %, they cover in 85 cases of 100. Where groups differ far less than
    their values it is too wide, since the spread within is drawn twice.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8, with replacement at both
    levels; Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69, 2015, on expanded
    percentiles.

    Args:
        groups: T arrays, T at least 2, each (n_t,) or (n_t, k), n_t at least 1: k quantities, such as the scores of k
            models, are resampled together, since those of one seed belong together.
        level: confidence, between 0 and 1.
        resamples: number of resamples.
        seed: of the draws; the same seed gives the same interval.

    Returns:
        (2,) or (2, k), the lower ends and the upper ends.

    Raises:
        ValueError: for fewer than two groups, a group without values or with others than finite ones, groups of
            unequal k, or a level outside 0 to 1.

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
    """A mean difference and how far it may be off, by the part that each source of error has in it.

    Attributes:
        difference: the estimate.
        error: its standard error; 0 where all pairs differ by the same amount, so that it is unknown.
        freedom: degrees of freedom of that error.
        pairs: number of pairs that it is the mean of.
    """

    difference: float
    error: float
    freedom: float
    pairs: int

    def interval(self, level: float = LEVEL) -> Interval | None:
        """Student's interval; None where the error is unknown."""
        if not self.error:
            return None
        reach = float(special.stdtrit(self.freedom, _tails(level)[1])) * self.error
        return self.difference - reach, self.difference + reach

    def claim(self, margin: float = 0.0) -> tuple[Claim, float]:
        """The claim that is best supported, and its p-value.

        There are three: the true difference d is above the margin m, below -m, or within ± m (none for a margin of
        0). Each is tested by itself, one-sided, at the end of its region where it is hardest to tell; p is twice the
        smallest of the three::

            p = 2 · min(P(T > (D - m) / e), P(T > (-D - m) / e), max(P(T > (m - D) / e), P(T > (m + D) / e)))

        with the estimate D, its error e and Student's T. Whatever d is, a claim that is false has p below α with a
        chance of at most α: where d = m exactly, a half each for "above" and "within". With a margin of 0 it is the
        t-test. Where the error is unknown, p is that of the sign test: ``2 ** (1 - n)``.

        Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987, for equivalence; Murphy and
        Myors, Journal of Applied Psychology 84, 1999, for a smallest effect.

        Example:
            >>> estimate([0.03, 0.05, 0.04, 0.05]).claim(margin=0.01)[0]
            'above'
        """
        # Rounding must not decide whether 0.91 - 0.90 reaches 0.01.
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
    """A mean of paired differences, its variance the sum of those of independent sources of error.

    The differences' own share is var(d) / n, as in the paired t-test, with n - 1 degrees of freedom. The degrees of a
    sum of variances v_i with ν_i are Satterthwaite's, (Σ v_i)² / Σ v_i² / ν_i.

    Where the data are split anew for each pair, training sets overlap and make scores alike, so that a paired t-test
    finds differences where there are none. The share is then (1/n + n_test/n_train) · var(d): the corrected resampled
    t-test. Seeds that train anew on one split need no correction.

    Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003; Satterthwaite, An
    Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 2, 1946.

    Args:
        differences: (n,), n at least 2.
        test_to_train: where they are of n splits of the same data, samples for testing, divided by those for training:
            1/9 for ten folds. 0 for independent ones.
        others: (variance, degrees of freedom) of the mean difference for other reasons than what the pairs differ in,
            such as the recordings that happen to be in test.

    Raises:
        ValueError: for fewer than two differences, others than finite ones, or a negative ratio.

    Example:
        >>> first, second = np.array([0.91, 0.93, 0.94]), np.array([0.90, 0.91, 0.91])
        >>> round(estimate(first - second).claim()[1], 3), round(estimate(first - second, 1 / 9).claim()[1], 3)
        (0.074, 0.095)
    """
    if not 0 <= test_to_train < math.inf:
        raise ValueError(f"test_to_train must be at least 0; got {test_to_train}")
    sample = _sample("differences", differences)
    n, spread = len(sample), float(sample.std(ddof=1))
    # What differs by rounding alone does not differ.
    spread = 0.0 if spread < 1e-9 * float(np.abs(sample).max()) else spread
    return combined(math.fsum(sample) / n, n, [((1 / n + test_to_train) * spread**2, n - 1), *others])


def combined(difference: float, pairs: int, parts: Sequence[tuple[float, float]]) -> Estimate:
    """An estimate whose variance is the sum of parts, (variance, degrees of freedom) each; see `estimate`."""
    variance = math.fsum(part for part, _ in parts)
    squares = math.fsum(part**2 / freedom for part, freedom in parts if part)
    return Estimate(difference, math.sqrt(variance), variance**2 / squares if squares else 1.0, pairs)


def jackknife(without: ArrayLike) -> tuple[float, float]:
    """Variance of a score for the recordings that it happens to be computed from, and its degrees of freedom.

    From its values θ_i with each of G blocks of recordings left out::

        var = (G - 1) / G · Σ (θ_i - mean(θ))²,  G - 1 degrees of freedom

    Unlike a formula for each metric it holds for any score that changes smoothly with the data, areas under curves
    among them, and unlike a bootstrap it needs no more than G scores.

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
    """(n,) chance of each of n, the best first, to be the best of k drawn from them without replacement.

    Example:
        >>> best_of(4, 2).round(3).tolist(), best_of(3, 3).tolist()
        ([0.5, 0.333, 0.167, 0.0], [1.0, 0.0, 0.0])
    """
    return _chances_of_best(n)[::-1, k - 1]


@cache
def variance_of_best(n: int, k: int) -> float:
    """Variance of the mean best of k, over all subsets of k, of n independent standard normal values.

    What a family's score owes to which of its networks happen to be in a study. Of a U-statistic, with c members
    shared by two subsets::

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
        """Of the largest of some values."""
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
    """Wilcoxon's signed-rank test, two-sided and exact, ties included: for pairs from different tasks.

    Pairs without a difference are left out. Source: Demšar, Statistical Comparisons of Classifiers over Multiple
    Data Sets, JMLR 7, 2006, section 3.1.3.

    Args:
        first: (n,), n at least 2.
        second: (n,), each paired with the same place in `first`.

    Returns:
        Its outcome, with the matched-pairs rank-biserial correlation. Differences below 1e-9 of the largest value
        are rounding.

    Raises:
        ValueError: for unequal lengths, fewer than two pairs, or values that are not finite.

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
    chance that the mean of two leads lies below, within or above the region::

        above = Σ_ij w_i w_j [z_i + z_j > 2 · rope],  below alike,  within = 1 - above - below

    (equality counts half), and the result is how often each is the largest of the three. Unlike a p-value it can say
    that two models are equivalent, and it does not shrink with the number of pairs of models looked at.

    Source: Benavoli, Mangili, Corani, Zaffalon and Ruggeri, A Bayesian Wilcoxon signed-rank test based on the
    Dirichlet process, ICML 2014; with rope, Benavoli, Corani, Demšar and Zaffalon, Time for a Change, JMLR 18, 2017.

    Args:
        leads: (n,), or (n, k) for k tests at once: differences of paired scores, one a task, in a common unit.
        rope: half the width of the region, in that unit; 0 for none.
        prior: the weight s.
        samples: draws of w. The error of a probability is at most 0.5 / √samples, 0.005 by default.
        seed: of the draws; the same seed gives the same result.

    Returns:
        (3,) or (3, k): probabilities of below, within and above, which add up to 1.

    Raises:
        ValueError: for no leads, others than finite ones, a negative rope, a prior that is not positive, or no sample.

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
    # Products of all pairs of weights are large where there are many tasks.
    for part in np.array_split(weights, max(1, samples * len(sums) // 2_000_000)):
        below, above = np.split((part[:, one] * part[:, other] * repeated) @ regions, 2, axis=1)
        winner = np.stack([below, 1 - below - above, above]).argmax(axis=0)
        counts += [(winner == index).sum(axis=0) for index in range(3)]
    return (counts / samples).reshape(3, *table.shape[1:])


def effect_size(first: ArrayLike, second: ArrayLike) -> Effect:
    """How large a difference between paired values is, whatever its significance.

    Hedges' g is the mean difference in standard deviations of the differences d, freed from the bias that this ratio
    has in small samples: three seeds overstate it by three quarters on average::

        g = J(n - 1) · mean(d) / sd(d),  J(m) = Γ(m/2) / (√(m/2) Γ((m - 1)/2))

    Source: Hedges, Distribution Theory for Glass's Estimator of Effect Size, Journal of Educational Statistics 6,
    1981; the words are Cohen's, Statistical Power Analysis, 1988, section 2.2. Superiority: Vargha and Delaney, A
    Critique and Improvement of the CL Common Language Effect Size Statistics, Journal of Educational and Behavioral
    Statistics 25, 2000.

    Args:
        first: (n,), n at least 3.
        second: (n,), each paired with the same place in `first`.

    Returns:
        Both effect sizes.

    Raises:
        ValueError: for unequal lengths, fewer than three pairs, or values that are not finite.

    Example:
        >>> effect = effect_size([0.91, 0.93, 0.92, 0.94], [0.90, 0.91, 0.92, 0.91])
        >>> round(effect.standardised, 2), effect.word, effect.superiority
        (0.84, 'large', 0.84375)
    """
    a, b = _paired(first, second)
    if len(a) < 3:
        raise ValueError(f"first and second must be at least 3 pairs, as two tell no effect's size; got {len(a)}")
    moved = differences(a, b)
    superiority = float(_above(a[:, None], b[None, :]).mean())
    if np.ptp(moved) == 0:
        return Effect(None if moved.any() else 0.0, superiority)
    m = len(a) - 1
    correction = math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)
    return Effect(correction * float((a - b).mean() / (a - b).std(ddof=1)), superiority)


def win_tie_loss(leads: ArrayLike, margin: float) -> WinTieLoss:
    """Count where a model was ahead of another by a margin, where neither was, and where it was behind.

    Source: Demšar, JMLR 7, 2006, section 3.1.4; there without a margin.

    Args:
        leads: (n,) differences in a common unit, positive where the first model is better.
        margin: a smaller lead is a tie, one as large as this (but for rounding) is not; 0 leaves equals as ties.

    Raises:
        ValueError: for leads that are not finite, or a negative margin.

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
        (m,) corrected p-values, in the order given. Rejecting those below alpha keeps the chance of any false
        rejection below alpha.

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
    """Place of each model on each data set, 1 being best.

    Args:
        scores: (datasets, models); whatever is not finite, as where a model failed, comes last.
        higher_is_better: direction of the score.

    Returns:
        (datasets, models); equal scores share the mean of their places.

    Example:
        >>> places([[0.9, 0.8, 0.8]], higher_is_better=True).tolist()
        [[1.0, 2.5, 2.5]]
    """
    table = _table(scores)
    costs = np.where(np.isfinite(table), -table if higher_is_better else table, np.inf)
    return stats.rankdata(costs, axis=1)


def friedman(scores: ArrayLike) -> tuple[float, float]:
    """Friedman's test of whether any of several models differs in rank, over data sets.

    Source: Demšar, JMLR 7, 2006, section 3.2.2.

    Args:
        scores: (datasets, models), at least 2 by 3, all finite; the direction of the score does not matter.

    Returns:
        The statistic, corrected for ties, and its p-value; 0 and 1 where all models tie everywhere.

    Raises:
        ValueError: for other shapes, or values that are not finite.

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
    """The difference of mean ranks from which on Nemenyi's test finds two of several models different.

    With q the quantile of the studentised range of k models and infinite degrees of freedom, over N data sets::

        CD = q(1 - α; k, ∞) / √2 · √(k (k + 1) / (6 N))

    The correction for comparing all pairs is in it. It depends on how many models there are: leaving one out can
    separate two others.

    Source: Nemenyi, Distribution-free Multiple Comparisons, 1963; Demšar, JMLR 7, 2006, section 3.2.2, whose table 5
    holds q / √2.

    Args:
        models: their number k, at least 2.
        datasets: their number N, at least 2.
        alpha: chance of finding any difference where there is none.

    Raises:
        ValueError: for fewer models or data sets, or an alpha outside 0 to 1.

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
    """How many seeds would show a difference by the paired t-test, were it and its spread the true ones.

    The least n at which a noncentral t with n - 1 degrees of freedom and noncentrality √n · d / spread, d the size of
    the difference, lies beyond the quantile 1 - α/2 of Student's t with the chance asked for. A significant difference
    of the wrong sign does not count. What was seen of few seeds is itself uncertain, so take it for an order of
    magnitude.

    Source: Cohen, Statistical Power Analysis, 1988, section 2.4; in the exact form.

    Args:
        difference: mean of the paired differences.
        spread: their standard deviation, positive.
        alpha: level of the test; divide it by the number of tests that a correction counts.
        power: chance of showing it.
        most: where more are needed there is no answer.

    Returns:
        The number of seeds, at least 2; None where it would be more than `most`.

    Raises:
        ValueError: for a spread that is not positive, values that are not finite, or chances outside 0 to 1.

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
        power: chance of showing it.

    Returns:
        The smallest true difference, divided by the standard deviation of the paired differences.

    Raises:
        ValueError: for fewer seeds, or chances outside 0 to 1.

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
    """How many seeds would show two models equivalent, were their difference and its spread the true ones.

    Equivalent means that Student's interval of the mean difference, at level 1 - α, lies within ± margin, which is two
    one-sided tests at α/2. Each one's power is exact, of a noncentral t; that of both is at least their sum less 1, so
    the answer errs upwards.

    Source: Schuirmann, A Comparison of the Two One-Sided Tests Procedure and the Power Approach, Journal of
    Pharmacokinetics and Biopharmaceutics 15, 1987.

    Args:
        difference: mean of the paired differences.
        spread: their standard deviation, positive.
        margin: half the width of the region of equivalence, positive.
        alpha: 1 less the level of the interval.
        power: chance of showing it.
        most: where more are needed there is no answer.

    Returns:
        The number of seeds, at least 2; None where it would be more than `most`, as for any difference beyond the
        margin.

    Raises:
        ValueError: for a spread or a margin that is not positive, values that are not finite, or chances outside 0
            to 1.

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

    An exchange rate between two points, mean gain over mean number of doublings, and no law of how scores grow with
    cost::

        Σ gain / Σ log2(cost / other cost)

    Both means are over tasks, so that a task where the costs are nearly equal does not decide alone, as it would in a
    mean of rates.

    Source: the ratio estimator, Cochran, Sampling Techniques, 1977, chapter 6.

    Args:
        gains: (n,), positive where the model is better, in a common unit; a single one for a single task.
        cost_ratios: (n,), its cost divided by the other's.

    Returns:
        The rate. It is negative where the model gains at a lower cost, or loses at a higher one: then there is nothing
        to weigh.

    Raises:
        ValueError: for unequal lengths, values that are not finite, ratios that are not positive, or costs that are
            equal on average.

    Example:
        >>> gain_per_doubling([0.02, 0.04], [2.0, 4.0])
        0.02
    """
    gain, ratio = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (gains, cost_ratios))
    if gain.shape != ratio.shape or gain.ndim != 1 or not len(gain):
        raise ValueError(f"gains and cost_ratios must pair up, (n,); got shapes {gain.shape} and {ratio.shape}")
    if not np.isfinite(gain).all() or not ((ratio > 0) & np.isfinite(ratio)).all():
        raise ValueError("gains must be finite, and cost_ratios finite and positive: leave out what is not")
    doublings = math.fsum(np.log2(ratio))
    if abs(doublings) < 1e-9 * len(ratio):
        raise ValueError("cost_ratios must differ from 1 on average; at equal cost the gain has no price")
    return math.fsum(gain) / doublings


def expected_best(scores: ArrayLike, higher_is_better: bool) -> NDArray[np.float64]:
    """Tuning curve: the score to expect of the best of k trials, for k from 1 to their number.

    A model that was tried more often has a better best. This says what k trials would have found, so that searches of
    different lengths can be compared at the same k. Of the n scores in ascending order, for the largest of k drawn
    without replacement (the smallest alike)::

        E_k = Σ_i x_(i) · C(i - 1, k - 1) / C(n, k)

    which is unbiased for k new trials of the same search. Drawing with replacement, as the paper that brought these
    curves into use does, gives Σ_i x_(i) ((i/n)^k - ((i - 1)/n)^k), too pessimistic for k above 1.

    Source: Dodge, Gururangan, Card, Schwartz and Smith, Show Your Work, EMNLP 2019 (with replacement); Tang, Lee, Xin,
    Liu, Yu and Lin, Showing Your Work Doesn't Always Work, ACL 2020 (without).

    Args:
        scores: (n,), n at least 1, of independent draws from one search space, by validation; of a grid, which is no
            such draw, the curve describes trying its points in random order.
        higher_is_better: direction of the score.

    Returns:
        (n,): the expectation for 1, ..., n trials. The last one is the best score seen.

    Raises:
        ValueError: for no scores, or others than finite ones: a trial that failed still is one, so give it a score
            that it is worth, such as the trivial predictor's.

    Example:
        >>> expected_best([0.7, 0.9, 0.8], higher_is_better=True).round(3).tolist()
        [0.8, 0.867, 0.9]
        >>> expected_best([0.7, 0.9, 0.8], higher_is_better=False).round(3).tolist()
        [0.8, 0.733, 0.7]
    """
    sample = np.asarray(scores, dtype=np.float64)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise ValueError(
            f"scores must be finite, (n,), n at least 1; got shape {sample.shape}: give a trial that failed a score "
            "that it is worth, such as the trivial predictor's"
        )
    ordered = np.sort(sample) if higher_is_better else np.sort(sample)[::-1]
    return ordered @ _chances_of_best(len(ordered))


def differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """First less second of paired values, as multiples of 1e-9 of the largest value, so that equal ones are equal.

    Raises:
        ValueError: for unequal lengths, fewer than two pairs, or values that are not finite.

    Example:
        >>> bool(0.9 - 0.8 == 0.8 - 0.7), len(set(differences([0.9, 0.8], [0.8, 0.7])))
        (False, 1)
    """
    a, b = _paired(first, second)
    unit = 1e-9 * max(np.abs(a).max(), np.abs(b).max())
    return np.rint((a - b) / unit) * unit if unit else np.zeros_like(a)


def _chance_beyond(noncentrality: NDArray[np.float64], freedom: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """Chance that a noncentral t lies above the quantile 1 - alpha / 2 of Student's t."""
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
        # A resample is here once for each time that it drew the group.
        rows = np.flatnonzero(drawn == group)[:, None] // len(tables)
        cells = len(table) * rows + random.integers(len(table), size=(len(rows), len(table)))
        counts = np.bincount(cells.ravel(), minlength=resamples * len(table))
        means += counts.reshape(resamples, -1) @ (table / (len(tables) * len(table)))
    return means


@cache
def _chances_of_best(n: int) -> NDArray[np.float64]:
    """[i, k - 1]: that the (i + 1)th of n in ascending order is the largest of k drawn without replacement."""
    chances = np.zeros((n, n))
    chances[-1] = np.arange(1, n + 1) / n
    # C(i, k) / C(n, k) follows from its neighbour, so that no binomial coefficient is ever computed.
    for i in range(n - 1, 0, -1):
        k = np.arange(1, i + 1)
        chances[i - 1, :i] = chances[i, :i] * (i - k + 1) / i
    return chances


def _above(values: NDArray[np.float64], threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 above a threshold, 0 below, and one half at it but for rounding."""
    near = 1e-9 * (np.abs(values) + np.abs(threshold))
    return np.where(np.abs(values - threshold) <= near, 0.5, values > threshold)


def _signed_rank(moved: NDArray[np.float64]) -> tuple[float, float, float]:
    """The smaller sum of signed ranks, its exact two-sided p-value, and the rank-biserial correlation."""
    moved = moved[moved != 0]
    if not len(moved):
        return 0.0, 1.0, 0.0
    # Twice the ranks, which ties cannot make fractional.
    ranks = np.rint(2 * stats.rankdata(np.abs(moved))).astype(int)
    total, positive = int(ranks.sum()), int(ranks[moved > 0].sum())
    # Chance of each sum where every sign is a fair coin.
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
        raise ValueError(f"{name} must be finite; {(~np.isfinite(sample)).sum()} are not: leave their pairs out")
    return sample


def _table(scores: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"scores must have shape (datasets, models), neither 0; got {table.shape}")
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
