"""Numbers from predictions.

Classification metrics take raw logits, shape (n, classes), and integer targets, shape (n,). Regression
metrics take predictions and targets of one shape, (n, outputs). A score that is undefined for the data at
hand is an error in words, never a number that looks like a score.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liquidbench.calibration import brier

CALIBRATION_GROUPS = 10
"""Groups of equally many predictions, from the least probable to the most, in which ``calibration_error`` compares the
mean prediction with the share of positives."""

Targets = NDArray[np.int64] | NDArray[np.float64]
Predictions = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """What a number says of a model, whatever it is computed from.

    Attributes:
        name: what studies and result files call it.
        label: what reports call it.
        higher_is_better: direction of improvement.
        range: the least and the greatest there can be.
        unit: ``"1"`` where it has none.
    """

    name: str
    label: str
    higher_is_better: bool
    range: tuple[float, float] = (-math.inf, math.inf)
    unit: str = "1"


@dataclass(frozen=True)
class Metric(Measure):
    """One way of scoring predictions; a task may come with its own.

    Attributes:
        kind: the kind of task it scores.
        function: ``(targets, predictions) -> float``. Targets are class numbers (n,) or values (n, outputs),
            predictions logits (n, classes) or values (n, outputs). Where the score is undefined it raises a
            ValueError that says why.

    Example:
        >>> def share(targets, logits):
        ...     return (logits.argmax(axis=1) != targets).mean()
        >>> wrong = Metric("wrong", "Share of errors", False, (0.0, 1.0), kind="classification", function=share)
        >>> score(wrong, [0, 1, 1], [[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
        0.3333333333333333
    """

    kind: Literal["classification", "regression"] = field(kw_only=True)
    function: Callable[[Targets, Predictions], float] = field(kw_only=True)


def score(metric: str | Metric, targets: ArrayLike, predictions: ArrayLike) -> float:
    """Score predictions.

    Args:
        metric: a key of `METRICS`, or a metric of one's own.
        targets: class numbers (n,), or values (n, outputs).
        predictions: logits (n, classes), or values (n, outputs).

    Returns:
        The score; the metric says whether higher is better.

    Raises:
        ValueError: for an unknown name, shapes that do not fit, predictions that are not finite, or data for
            which the metric is undefined.

    Example:
        >>> score("accuracy", [0, 1, 1], [[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
        0.6666666666666666
    """
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}")
        metric = METRICS[metric]
    name = metric.name
    predicted = np.asarray(predictions, dtype=np.float64)
    if metric.kind == "classification":
        expected = np.asarray(targets)
        if expected.ndim != 1 or not np.issubdtype(expected.dtype, np.integer):
            raise ValueError(
                f"targets of {name} must be class numbers of shape (n,); got {expected.dtype} of shape {expected.shape}"
            )
        if predicted.ndim != 2 or len(predicted) != len(expected) or predicted.shape[1] < 2:
            raise ValueError(
                f"predictions of {name} must be logits of shape ({len(expected)}, classes); got {predicted.shape}"
            )
        if len(expected) and not 0 <= expected.min() <= expected.max() < predicted.shape[1]:
            raise ValueError(
                f"targets of {name} must lie in 0 to {predicted.shape[1] - 1}, one class per logit; "
                f"got {expected.min()} to {expected.max()}"
            )
    else:
        expected = np.asarray(targets, dtype=np.float64)
        if expected.ndim != 2 or predicted.shape != expected.shape:
            raise ValueError(
                f"targets and predictions of {name} must share one shape (n, outputs); "
                f"got {expected.shape} and {predicted.shape}"
            )
    if not len(expected):
        raise ValueError(f"{name} of nothing is undefined; targets are empty")
    if not np.isfinite(predicted).all():
        raise ValueError(f"predictions of {name} must be finite; {(~np.isfinite(predicted)).sum()} are not")
    try:
        value = float(metric.function(expected, predicted))
    except ValueError:
        raise
    # Somebody else's function may fail in any way.
    except Exception as error:
        raise ValueError(f"{name} fails: {type(error).__name__}: {error}") from error
    if not math.isfinite(value):
        raise ValueError(f"{name} has no finite value on these data; got {value}")
    return value


def shares_of(targets: NDArray[Any], classes: int) -> tuple[float, ...]:
    """Each class's share of some targets."""
    return tuple((np.bincount(targets.astype(np.int64), minlength=classes) / max(len(targets), 1)).tolist())


def best_constant(metric: str | Metric, targets: ArrayLike, outputs: int) -> float | None:
    """The best score that one prediction for all targets can have: what is no skill whatever the score.

    It is chosen with the targets in sight, so no constant that is chosen elsewhere is better. Tried are each class, and
    the classes' shares as probabilities; of values their mean and median.

    Args:
        metric: a key of `METRICS`, or a metric of one's own.
        targets: class numbers (n,), or values (n, outputs).
        outputs: number of classes or values.

    Returns:
        None where the metric is undefined for every one of them.

    Example:
        >>> best_constant("accuracy", [0, 1, 1, 1], 2), best_constant("balanced_accuracy", [0, 1, 1, 1], 2)
        (0.75, 0.5)
    """
    known = np.asarray(targets)
    metric = METRICS[metric] if isinstance(metric, str) else metric
    if metric.kind == "classification":
        tried = [*np.eye(outputs), np.log(np.maximum(shares_of(known, outputs), 1e-300))]
    else:
        tried = [known.mean(axis=0, dtype=np.float64), np.median(known, axis=0)]
    found = []
    for constant in tried:
        try:
            found.append(score(metric, known, np.broadcast_to(constant, (len(known), outputs))))
        except ValueError:
            continue
    return (max if metric.higher_is_better else min)(found, default=None)


# scikit-learn and SciPy take a second to load, for which help and lists need not wait: they are imported where they
# compute.


def _accuracy(targets: Targets, logits: Predictions) -> float:
    return float(np.mean(logits.argmax(axis=1) == targets))


def _balanced_accuracy(targets: Targets, logits: Predictions) -> float:
    from sklearn.metrics import recall_score

    # Of the classes that are there: `balanced_accuracy_score` is the same and warns of others that were predicted.
    return float(recall_score(targets, logits.argmax(axis=1), labels=np.unique(targets), average="macro"))


def _f1_macro(targets: Targets, logits: Predictions) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(targets, logits.argmax(axis=1), average="macro"))


def _binary(name: str, targets: Targets, logits: Predictions) -> tuple[NDArray[np.bool_], Predictions]:
    if logits.shape[1] != 2:
        raise ValueError(f"{name} is defined for two classes; predictions have {logits.shape[1]}")
    positive = targets == 1
    if positive.all() or not positive.any():
        raise ValueError(
            f"{name} is undefined: all {len(targets)} targets are of class {targets[0]}, none of the other"
        )
    return positive, logits[:, 1] - logits[:, 0]


def _auroc(targets: Targets, logits: Predictions) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_binary("auroc", targets, logits)))


def _auprc(targets: Targets, logits: Predictions) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(*_binary("auprc", targets, logits)))


def _sensitivity_at_90_specificity(targets: Targets, logits: Predictions) -> float:
    from sklearn.metrics import roc_curve

    positive, scores = _binary("sensitivity_at_90_specificity", targets, logits)
    wrong, found, _ = roc_curve(positive, scores, drop_intermediate=False)
    return float(found[wrong <= 0.1 + 1e-12].max())


def _brier(targets: Targets, logits: Predictions) -> float:
    positive, shares = _probability("brier", targets, logits)
    return brier(positive.astype(np.int64), np.column_stack([1 - shares, shares]))


def _calibration_error(targets: Targets, logits: Predictions) -> float:
    positive, shares = _probability("calibration_error", targets, logits)
    order = np.argsort(shares, kind="stable")
    # Equal predictions are in one group, whatever the order of the data, so that a constant has one.
    group = np.searchsorted(shares[order], shares, side="left") * CALIBRATION_GROUPS // len(shares)
    counts, said, there = (np.bincount(group, weights) for weights in (None, shares, positive.astype(float)))
    return float(np.abs(said - there).sum() / counts.sum())


def _probability(name: str, targets: Targets, logits: Predictions) -> tuple[NDArray[np.bool_], Predictions]:
    from scipy.special import expit

    positive, difference = _binary(name, targets, logits)
    return positive, expit(difference)


def _cross_entropy(targets: Targets, logits: Predictions) -> float:
    from scipy.special import log_softmax

    # scikit-learn's takes probabilities, which sure logits leave no digits of.
    return float(-np.mean(log_softmax(logits, axis=1)[np.arange(len(targets)), targets.astype(np.int64)]))


def _mse(targets: Targets, predictions: Predictions) -> float:
    return float(np.mean((targets - predictions) ** 2))


def _rmse(targets: Targets, predictions: Predictions) -> float:
    return math.sqrt(_mse(targets, predictions))


def _mae(targets: Targets, predictions: Predictions) -> float:
    return float(np.mean(np.abs(targets - predictions)))


def _r2(targets: Targets, predictions: Predictions) -> float:
    from sklearn.metrics import r2_score

    spread = np.ptp(targets, axis=0)
    if not (spread > 0).all():
        raise ValueError(
            f"r2 is undefined: output {int(np.argmin(spread))} has the same target in all {len(targets)} rows"
        )
    return float(r2_score(targets, predictions))


_SHARE, _ERROR = (0.0, 1.0), (0.0, math.inf)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "Accuracy", True, _SHARE, kind="classification", function=_accuracy),
        Metric(
            "balanced_accuracy", "Balanced accuracy", True, _SHARE, kind="classification", function=_balanced_accuracy
        ),
        Metric("f1_macro", "Macro F1", True, _SHARE, kind="classification", function=_f1_macro),
        Metric("auroc", "Area under the ROC curve", True, _SHARE, kind="classification", function=_auroc),
        Metric("auprc", "Average precision", True, _SHARE, kind="classification", function=_auprc),
        Metric(
            "sensitivity_at_90_specificity",
            "Sensitivity at 90 % specificity",
            True,
            _SHARE,
            kind="classification",
            function=_sensitivity_at_90_specificity,
        ),
        Metric("brier", "Brier score", False, _SHARE, kind="classification", function=_brier),
        Metric(
            "calibration_error", "Calibration error", False, _SHARE, kind="classification", function=_calibration_error
        ),
        Metric("cross_entropy", "Cross-entropy (nats)", False, _ERROR, kind="classification", function=_cross_entropy),
        Metric("mse", "Mean squared error", False, _ERROR, kind="regression", function=_mse),
        Metric("rmse", "Root mean squared error", False, _ERROR, kind="regression", function=_rmse),
        Metric("mae", "Mean absolute error", False, _ERROR, kind="regression", function=_mae),
        Metric("r2", "Coefficient of determination", True, (-math.inf, 1.0), kind="regression", function=_r2),
    )
}
