r"""Intervals and sets that hold the truth as often as asked, whatever the network (conformal prediction).

A nonconformity score :math:`s(x, y)` says how ill y fits the prediction for x. With the scores of n targets that the
network has not seen, and the quantile of `quantile`, the set of all y with :math:`s(x, y) \le q` holds the target of a
new x with probability at least :math:`1 - \alpha`, and at most :math:`1 - \alpha + 1/(n + 1)` without ties (Vovk et al.
2005; Lei et al. 2018). It needs *exchangeable* data: calibration targets and the new one in any order are equally
likely. Where the data shift, it holds no longer; `weighted_quantile` and `Adaptive` are for that. It holds on average
over x, not for each x.

`absolute`, `normalised`, `quantile_errors`, `lac` and `aps` are scores: of values, where
``interval`` turns a quantile into ends, and of classes, where ``aps(probabilities) <= q`` is the set.
"""

from collections import deque

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def fewest(alpha: float) -> int:
    r"""The fewest scores that have a finite quantile at a level, :math:`\lceil 1/\alpha \rceil - 1`.

    Example:
        >>> fewest(0.1), fewest(0.05)
        (9, 19)
    """
    _check_level(alpha)
    # Without the rounding of 1 / 0.1 and the like.
    return int(np.ceil(1 / alpha - 1e-9)) - 1


def quantile(scores: ArrayLike, alpha: float) -> Array:
    r"""The :math:`\lceil (1 - \alpha)(n + 1) \rceil`-th smallest of n scores: the bound of split conformal prediction.

    Args:
        scores: (n, ...) scores of calibration targets; each column has its own quantile.
        alpha: share of misses, in (0, 1).

    Returns:
        (...) the quantile.

    Raises:
        ValueError: if ``alpha`` is no share, a score is NaN, or there are fewer than `fewest` scores.

    Example:
        >>> float(quantile([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0], 0.2))
        6.0
    """
    known = np.asarray(scores, np.float64)
    needed = fewest(alpha)
    if known.ndim < 1 or len(known) < needed:
        raise ValueError(
            f"scores must be at least {needed} for alpha={alpha:g}, as one more target must be able to fall outside; "
            f"got {len(known) if known.ndim else 'a number'}. Give more calibration data, or ask for less certainty"
        )
    if np.isnan(known).any():
        raise ValueError(f"scores must be numbers; {int(np.isnan(known).sum())} are NaN")
    return np.partition(known, rank(len(known), alpha) - 1, axis=0)[rank(len(known), alpha) - 1]


def rank(samples: int, alpha: float) -> int:
    """Which of the scores in order is the quantile, counted from 1."""
    return int(np.ceil((1 - alpha) * (samples + 1) - 1e-9))


def weighted_quantile(scores: ArrayLike, weights: ArrayLike, new: ArrayLike, alpha: float) -> Array:
    r"""The bound for data whose inputs follow another distribution (Tibshirani et al. 2019, corollary 1).

    With the likelihood ratio :math:`w(x) = dP_{new}(x) / dP_{calibration}(x)`, known up to a factor, it is the
    :math:`1 - \alpha` quantile of :math:`\sum_i p_i \delta_{s_i} + p_{n+1} \delta_\infty`, where
    :math:`p_i = w_i / (\sum_j w_j + w)`. Targets must depend on inputs as before: covariate shift.

    Args:
        scores: (n,) scores of calibration targets.
        weights: (n,) ratios of their inputs.
        new: (m,) ratios of the new inputs.
        alpha: share of misses, in (0, 1).

    Returns:
        (m,) a bound for each new input, infinite where the calibration data say too little about it.

    Raises:
        ValueError: if ``alpha`` is no share, shapes differ, or weights are negative, infinite or all 0.

    Example:
        >>> scores = np.arange(1.0, 10.0)
        >>> weighted_quantile(scores, np.ones(9), [1.0, 10.0], 0.2)
        array([ 8., inf])
    """
    _check_level(alpha)
    known, ratios, ahead = (np.asarray(one, np.float64) for one in (scores, weights, new))
    if known.ndim != 1 or known.shape != ratios.shape or ahead.ndim != 1:
        raise ValueError(
            f"scores and weights must be of one shape (n,), and new of shape (m,); got {known.shape}, {ratios.shape} "
            f"and {ahead.shape}"
        )
    every = np.concatenate([ratios, ahead])
    if not ((every >= 0) & np.isfinite(every)).all() or not ratios.sum() > 0:
        raise ValueError("weights must be finite likelihood ratios of at least 0, and not all 0")
    order = np.argsort(known, kind="stable")
    reached = np.cumsum(ratios[order])
    place = np.searchsorted(reached, (1 - alpha) * (reached[-1] + ahead) * (1 - 1e-12), side="left")
    return np.append(known[order], np.inf)[place]


def absolute(targets: ArrayLike, predictions: ArrayLike) -> Array:
    """Scores of values: :math:`|y - f(x)|`. Intervals have one width."""
    return np.abs(np.asarray(targets, np.float64) - np.asarray(predictions, np.float64))


def normalised(targets: ArrayLike, predictions: ArrayLike, scale: ArrayLike) -> Array:
    r"""Scores of values: :math:`|y - f(x)| / \sigma(x)`, for any positive estimate of how hard x is.

    Raises:
        ValueError: if a scale is not positive.
    """
    sizes = np.asarray(scale, np.float64)
    if not (sizes > 0).all():
        raise ValueError(f"scale must be positive; {int((~(sizes > 0)).sum())} are not")
    return absolute(targets, predictions) / sizes


def interval(predictions: ArrayLike, bound: ArrayLike, scale: ArrayLike = 1.0) -> tuple[Array, Array]:
    """Lower and upper ends of all values whose score `absolute` or `normalised` is at most the bound.

    Example:
        >>> lower, upper = interval([1.0, 2.0], 0.5, scale=[1.0, 3.0])
        >>> lower, upper
        (array([0.5, 0.5]), array([1.5, 3.5]))
    """
    middle, reach = np.asarray(predictions, np.float64), np.asarray(bound, np.float64) * np.asarray(scale, np.float64)
    return middle - reach, middle + reach


def quantile_errors(targets: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Array:
    """Scores of predicted quantiles, :math:`max(l(x) - y, y - u(x))` (CQR; Romano et al. 2019).

    The interval is ``lower - q, upper + q``; q is negative where the quantiles were too far apart.
    """
    known = np.asarray(targets, np.float64)
    return np.maximum(np.asarray(lower, np.float64) - known, known - np.asarray(upper, np.float64))


def lac(probabilities: ArrayLike) -> Array:
    """Scores of each class, 1 - p (least ambiguous sets; Sadinle et al. 2019): the smallest sets on average.

    Args:
        probabilities: (n, classes).

    Returns:
        (n, classes). Those of calibration targets are ``lac(p)[np.arange(n), targets]``, and ``lac(p) <= q`` is the
        set, which may be empty.

    Example:
        >>> lac([[0.75, 0.25]]) <= 0.5
        array([[ True, False]])
    """
    return 1 - np.asarray(probabilities, np.float64)


def aps(probabilities: ArrayLike, generator: np.random.Generator | None = None) -> Array:
    """Scores of each class: the probability of it and of all likelier ones (adaptive sets; Romano et al. 2020).

    Sets are larger where the network is less sure. Equally probable classes count as likelier in the order of columns.

    Args:
        probabilities: (n, classes).
        generator: draws the share of the class's own probability that counts, one for each row, with which coverage is
            exact; None counts all of it, so that nothing is random and sets are a little larger.

    Returns:
        (n, classes), to use as those of `lac`.

    Example:
        >>> aps([[0.5, 0.25, 0.25]])
        array([[0.5 , 0.75, 1.  ]])
    """
    shares = np.asarray(probabilities, np.float64)
    order = np.argsort(-shares, axis=1, kind="stable")
    added = np.empty_like(shares)
    np.put_along_axis(added, order, np.cumsum(np.take_along_axis(shares, order, axis=1), axis=1), axis=1)
    return added if generator is None else added - (1 - generator.random((len(shares), 1))) * shares


class Adaptive:
    r"""Adaptive conformal inference: a bound that follows a sequence (Gibbs and Candès 2021).

    .. math:: \alpha_{t+1} = \alpha_t + \gamma (\alpha - err_t)

    It needs no exchangeable data: for *any* sequence of T targets, the share of misses is within
    :math:`(\max(\alpha_1, 1 - \alpha_1) + \gamma) / (T \gamma)` of :math:`\alpha` (their proposition 4.1). The price is
    that bounds may be infinite for a while, when :math:`\alpha_t \le 0`.

    Args:
        scores: (n,) scores to begin with.
        alpha: share of misses to aim at, in (0, 1).
        rate: :math:`\gamma`: larger follows faster, and varies more.
        window: how many of the last scores are used; None for all.

    Attributes:
        level: :math:`\alpha_t`, the level that the next bound is computed for.

    Raises:
        ValueError: if ``alpha`` is no share, ``rate`` or ``window`` is not positive, or there are fewer scores than
            `fewest`.

    Example:
        >>> follows = Adaptive(np.arange(1.0, 20.0), alpha=0.1, rate=0.05)
        >>> follows.bound
        18.0
        >>> [follows.observe(score) for score in (3.0, 25.0)]
        [True, False]
        >>> round(follows.level, 3)
        0.06
    """

    def __init__(self, scores: ArrayLike, alpha: float, rate: float = 0.005, window: int | None = None):
        quantile(scores, alpha)
        if not rate > 0:
            raise ValueError(f"rate must be positive; got {rate!r}")
        if window is not None and window < fewest(alpha):
            raise ValueError(f"window must be at least {fewest(alpha)} for alpha={alpha:g}; got {window}")
        self.alpha, self.rate, self.level = alpha, rate, alpha
        self._scores = deque(np.asarray(scores, np.float64).ravel().tolist(), maxlen=window)

    @property
    def bound(self) -> float:
        """The largest score that the next target may have to be covered."""
        place = rank(len(self._scores), self.level)
        if place > len(self._scores):
            return np.inf
        return -np.inf if place < 1 else float(np.partition(self._scores, place - 1)[place - 1])

    def observe(self, score: float) -> bool:
        """Take note of the score of the next target, once it is known.

        Returns:
            Whether it was covered.

        Raises:
            ValueError: if the score is NaN.
        """
        if np.isnan(score):
            raise ValueError("score must be a number; got NaN")
        covered = bool(score <= self.bound)
        self.level += self.rate * (self.alpha - (not covered))
        self._scores.append(float(score))
        return covered


def coverage(targets: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """The share of values that lie in their intervals, ends included.

    Example:
        >>> coverage([1.0, 5.0], [0.0, 0.0], [2.0, 2.0])
        0.5
    """
    known = np.asarray(targets, np.float64)
    return float(np.mean((np.asarray(lower) <= known) & (known <= np.asarray(upper))))


def set_coverage(targets: ArrayLike, sets: ArrayLike) -> float:
    """The share of class numbers (n,) that lie in their sets, bool (n, classes).

    Example:
        >>> set_coverage([0, 1], [[True, False], [True, False]])
        0.5
    """
    members = np.asarray(sets, bool)
    return float(np.mean(members[np.arange(len(members)), np.asarray(targets)]))


def _check_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be a share of misses between 0 and 1, such as 0.1; got {alpha!r}")
