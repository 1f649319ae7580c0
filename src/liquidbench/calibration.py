"""Whether probabilities are true: what was said against what came about.

Probabilities are (n, classes) and sum to 1 in each row; targets are class numbers (n,). Log-likelihood is
``liquidbench.metrics.score("cross_entropy", targets, logits)``, since probabilities near 0 and 1 have lost the digits
that it needs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15
"""Bins of confidence, as in Guo et al. (2017)."""

_SUM = 1e-4
"""How far probabilities may be from a sum of 1, for rounding in float32 over many classes."""


@dataclass(frozen=True)
class Reliability:
    """What was said, and how often it was true, in each bin that has predictions; arrays (bins,).

    Attributes:
        said: mean confidence.
        true: share of predictions that were right.
        counts: number of predictions.
    """

    said: NDArray[np.float64]
    true: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def error(self) -> float:
        r"""The expected calibration error, :math:`\sum_b \frac{n_b}{n} |said_b - true_b|`."""
        return float(np.abs(self.said - self.true) @ self.counts / self.counts.sum())


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Probabilities of logits (..., classes)."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def reliability(targets: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> Reliability:
    """The reliability of the most probable class, in bins of equal width (Guo et al. 2017, equations 2 and 3).

    Bins are open on the left: a confidence of 1/2 is in the first of two.

    Args:
        targets: (n,) class numbers.
        probabilities: (n, classes).
        bins: number of bins.

    Raises:
        ValueError: if there is nothing to compare, shapes do not fit, or rows do not sum to 1.

    Example:
        >>> found = reliability([0, 0, 1, 1], [[0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [0.1, 0.9]], bins=5)
        >>> found.said, found.true, found.counts
        (array([0.75, 0.9 ]), array([1. , 0.5]), array([2, 2]))
        >>> round(found.error, 3)
        0.325
    """
    known, shares = checked(targets, probabilities)
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}")
    confidence = shares.max(axis=1)
    edges = np.linspace(0, 1, bins + 1)
    # Rounding may put a confidence above 1.
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    right = (shares.argmax(axis=1) == known).astype(np.float64)
    counts = np.bincount(place, minlength=bins)
    here = counts > 0
    said, true = (np.bincount(place, one, bins)[here] / counts[here] for one in (confidence, right))
    return Reliability(said, true, counts[here])


def brier(targets: ArrayLike, probabilities: ArrayLike) -> float:
    r"""Brier's score, :math:`\frac{1}{n} \sum_n \sum_c (p_{nc} - [y_n = c])^2`, for two classes half of it.

    Halved, that of two classes is the usual squared error of one probability, in [0, 1]; otherwise it is in [0, 2].

    Raises:
        ValueError: as `reliability`.

    Example:
        >>> round(brier([0, 1], [[0.8, 0.2], [0.4, 0.6]]), 3)
        0.1
    """
    known, shares = checked(targets, probabilities)
    if shares.shape[1] == 2:
        return float(np.mean((shares[:, 1] - known) ** 2))
    return float(np.mean(((shares - np.eye(shares.shape[1])[known]) ** 2).sum(axis=1)))


def temperature(targets: ArrayLike, logits: ArrayLike) -> float:
    r"""The temperature T for which :math:`\operatorname{softmax}(z / T)` is most likely (Guo et al. 2017, section 4.2).

    The likelihood is concave in 1/T, so its derivative has one root. Choose T on validation: dividing by it leaves the
    order of classes as it is.

    Args:
        targets: (n,) class numbers of data that were not trained on.
        logits: (n, classes).

    Raises:
        ValueError: if shapes do not fit, or no T is best: the likelihood rises for ever as T falls to 0 where every
            prediction is right, or as T grows where logits tell less than chance.

    Example:
        >>> round(temperature([0, 0, 1, 1], [[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 3.0]]), 3)
        2.731
    """
    known, _ = checked(targets, softmax(np.atleast_2d(logits)))
    scores = np.asarray(logits, np.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    true = scores[np.arange(len(known)), known]

    def slope(sharpness: float) -> float:
        return float(np.mean((softmax(sharpness * scores) * scores).sum(axis=1) - true))

    if not (scores < 0).any() or slope(0.0) >= 0:
        raise ValueError(
            "logits have no best temperature: on these targets they tell no more than chance, so the flattest "
            "probabilities are the likeliest"
        )
    if not (true < 0).any():
        raise ValueError(
            f"logits have no best temperature: all {len(known)} predictions are right, so the sharpest probabilities "
            "are the likeliest. Give more targets"
        )
    low, high = 0.0, 1.0
    while slope(high) < 0:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high)


def risk_coverage(losses: ArrayLike, confidence: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean loss of the surest predictions, by how many are kept (El-Yaniv and Wiener 2010).

    Of equally sure predictions, none comes first: each has their mean loss.

    Args:
        losses: (n,) the loss of each prediction: 1 where it is wrong, else 0, or its error.
        confidence: (n,) how sure it is, in any unit.

    Returns:
        The shares that are kept (n,), 1/n to 1, and the mean loss among them (n,).

    Raises:
        ValueError: if there is none, or shapes differ.

    Example:
        >>> risk_coverage([0, 1, 0, 1], [0.9, 0.6, 0.8, 0.7])
        (array([0.25, 0.5 , 0.75, 1.  ]), array([0.        , 0.        , 0.33333333, 0.5       ]))
    """
    lost, sure = np.asarray(losses, np.float64), np.asarray(confidence, np.float64)
    if lost.ndim != 1 or lost.shape != sure.shape or not len(lost):
        raise ValueError(
            f"losses and confidence must be of one shape (n,), with n at least 1; got {lost.shape} and {sure.shape}"
        )
    values, place = np.unique(-sure, return_inverse=True)
    means = np.bincount(place, lost, len(values)) / np.bincount(place, minlength=len(values))
    kept = np.arange(1, len(lost) + 1)
    return kept / len(lost), np.cumsum(means[np.sort(place)]) / kept


def area_under_risk(losses: ArrayLike, confidence: ArrayLike) -> float:
    """The mean of `risk_coverage` over the shares kept (AURC; Geifman et al. 2019); lower is better.

    Confidence that tells nothing has the mean loss.

    Example:
        >>> round(area_under_risk([0, 1, 0, 1], [0.9, 0.6, 0.8, 0.7]), 3)
        0.208
    """
    return float(np.mean(risk_coverage(losses, confidence)[1]))


def checked(targets: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Targets and probabilities as arrays.

    Raises:
        ValueError: if there is nothing, shapes do not fit, or rows are no probabilities.
    """
    known, shares = np.asarray(targets), np.asarray(probabilities, np.float64)
    if shares.ndim != 2 or not shares.size or shares.shape[1] < 2:
        raise ValueError(f"probabilities must be of shape (n, classes), with n at least 1; got {shares.shape}")
    if known.shape != shares.shape[:1] or not np.issubdtype(known.dtype, np.integer):
        raise ValueError(
            f"targets must be class numbers of shape ({len(shares)},); got {known.dtype} of shape {known.shape}"
        )
    if not 0 <= known.min() <= known.max() < shares.shape[1]:
        raise ValueError(
            f"targets must lie in 0 to {shares.shape[1] - 1}, one class per column of probabilities; "
            f"got {known.min()} to {known.max()}"
        )
    sums = shares.sum(axis=1)
    # Written so that NaN is refused too.
    bad = ~((np.abs(sums - 1) <= _SUM) & (shares >= -_SUM).all(axis=1))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"probabilities must be at least 0 and sum to 1 in each row; row {row} sums to {sums[row]:.6g}, with a "
            f"smallest of {shares[row].min():.6g}. Logits become probabilities by `softmax`"
        )
    return known.astype(np.int64), shares
