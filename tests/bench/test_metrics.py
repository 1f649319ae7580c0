"""Every metric against another implementation, and what is undefined against its words."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from liquidbench.metrics import METRICS, Metric, best_constant, score


def _balanced(targets, logits):
    return np.mean([(logits.argmax(1)[targets == label] == label).mean() for label in set(targets.tolist())])


def _f1(targets, logits):
    predicted, scores = logits.argmax(1), []
    for label in set(targets.tolist()) | set(predicted.tolist()):
        hits = ((predicted == label) & (targets == label)).sum()
        scores.append(2 * hits / ((predicted == label).sum() + (targets == label).sum()))
    return np.mean(scores)


def _auroc(targets, logits):
    """The share of pairs of either class that are in the right order, equals counting half."""
    values = logits[:, 1] - logits[:, 0]
    order = np.sign(values[targets == 1][:, None] - values[targets == 0])
    return (order + 1).mean() / 2


def _average_precision(targets, logits):
    """Precision at each threshold, weighted by the recall that it adds."""
    values, total, before = logits[:, 1] - logits[:, 0], 0.0, 0.0
    for threshold in sorted(set(values.tolist()), reverse=True):
        taken = values >= threshold
        recall = (taken & (targets == 1)).sum() / (targets == 1).sum()
        total += (recall - before) * (taken & (targets == 1)).sum() / taken.sum()
        before = recall
    return total


def _r2(targets, predictions):
    return np.mean(1 - ((targets - predictions) ** 2).sum(0) / ((targets - targets.mean(0)) ** 2).sum(0))


def _sensitivity(targets, logits):
    """The largest share of positives above a threshold that at most a tenth of negatives exceed."""
    values = logits[:, 1] - logits[:, 0]
    found = [(values[targets == 1] >= at).mean() for at in values if (values[targets == 0] >= at).mean() <= 0.1]
    return max(found, default=0.0)


# scikit-learn's own are in the package where a plain definition is not: each is checked with what the other has.
CLASSIFICATION = {
    "accuracy": lambda y, z: sk.accuracy_score(y, z.argmax(1)),
    "balanced_accuracy": _balanced,
    "f1_macro": _f1,
    "cross_entropy": lambda y, z: sk.log_loss(y, np.exp(_log_softmax(z)), labels=range(z.shape[1])),
}
BINARY = {
    "auroc": _auroc,
    "auprc": _average_precision,
    "sensitivity_at_90_specificity": _sensitivity,
    "brier": lambda y, z: sk.brier_score_loss(y, expit(z[:, 1] - z[:, 0])),
}
REGRESSION = {
    "mse": sk.mean_squared_error,
    "rmse": lambda y, p: np.sqrt(sk.mean_squared_error(y, p)),
    "mae": sk.mean_absolute_error,
    "r2": _r2,
}


def _log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def test_every_metric_is_checked():
    assert set(METRICS) == set(CLASSIFICATION) | set(BINARY) | set(REGRESSION) | {"calibration_error"}


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("classes", [2, 5])
def test_classification_agrees_with_another_implementation(name, classes):
    random = np.random.default_rng(1)
    targets = random.integers(0, classes, 300)
    logits = random.normal(size=(300, classes)) + 1.5 * np.eye(classes)[targets]
    assert score(name, targets, logits) == pytest.approx(CLASSIFICATION[name](targets, logits), abs=1e-12)


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro"])
def test_classes_that_are_absent_do_not_count(name):
    targets = np.array([0, 0, 2, 2, 2])
    logits = np.eye(5)[[0, 2, 2, 2, 0]]
    assert score(name, targets, logits) == pytest.approx(CLASSIFICATION[name](targets, logits))


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=40)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=40).filter(
        lambda pairs: len({target for target, _ in pairs}) == 2
    )
)
def test_ranking_metrics_agree_with_their_definitions_ties_included(name, pairs):
    targets = np.array([target for target, _ in pairs])
    logits = np.array([[0.5, 0.5 + value] for _, value in pairs])
    assert score(name, targets, logits) == pytest.approx(BINARY[name](targets, logits), abs=1e-12)


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_agrees_with_another_implementation(name, outputs):
    random = np.random.default_rng(2)
    targets = random.normal(size=(200, outputs)) * [[1.0, 10.0, 0.1][:outputs]]
    predictions = targets + random.normal(size=targets.shape)
    assert score(name, targets, predictions) == pytest.approx(REGRESSION[name](targets, predictions), rel=1e-12)


def test_huge_logits_do_not_overflow():
    assert score("cross_entropy", [1], [[0.0, 1e4]]) == 0.0
    assert score("cross_entropy", [0], [[0.0, 1e4]]) == 1e4


def test_direction_of_each_metric_is_right():
    targets, good = np.array([0, 1, 1, 0]), np.array([[2.0, 0], [0, 2.0], [0, 2.0], [2.0, 0]])
    values = np.array([[0.0], [1.0], [2.0], [4.0]])
    for metric in METRICS.values():
        if metric.kind == "classification":
            better, worse = score(metric.name, targets, good), score(metric.name, targets, -good)
        else:
            better, worse = score(metric.name, values, values), score(metric.name, values, -values)
        assert (better > worse) == metric.higher_is_better, metric.name


@pytest.mark.parametrize(
    ("name", "targets", "predictions", "words"),
    [
        ("acuracy", [0], [[0, 1]], "metric must be one of accuracy, balanced_accuracy"),
        ("auroc", [1, 1], [[0, 1], [1, 0]], "undefined: all 2 targets are of class 1"),
        ("auprc", [0, 0], [[0, 1], [1, 0]], "undefined: all 2 targets are of class 0"),
        ("auroc", [0, 1], [[0, 1, 2], [1, 0, 2]], "two classes; predictions have 3"),
        ("accuracy", [0.0, 1.0], [[0, 1], [1, 0]], "class numbers of shape (n,); got float64"),
        ("accuracy", [0, 2], [[0, 1], [1, 0]], "0 to 1, one class per logit; got 0 to 2"),
        ("accuracy", [0, 1], [0.2, 0.3], "logits of shape (2, classes); got (2,)"),
        ("accuracy", [0, 1], [[0, np.nan], [1, 0]], "finite; 1 are not"),
        ("mse", [1.0, 2.0], [1.0, 2.0], "one shape (n, outputs); got (2,)"),
        ("mse", [[1.0], [2.0]], [[1.0, 2.0]], "got (2, 1) and (1, 2)"),
        ("mse", np.zeros((0, 1)), np.zeros((0, 1)), "targets are empty"),
        ("r2", [[1.0], [1.0]], [[1.0], [2.0]], "output 0 has the same target in all 2 rows"),
    ],
)
def test_invalid_predictions_are_refused_with_a_message(name, targets, predictions, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        score(name, targets, predictions)


def test_no_constant_is_better_than_the_best():
    random = np.random.default_rng(4)
    targets, values = random.choice(3, size=50, p=[0.2, 0.5, 0.3]), random.gamma(2.0, size=(50, 1))
    shares = np.bincount(targets) / 50
    assert best_constant("accuracy", targets, 3) == shares.max()
    assert best_constant("balanced_accuracy", targets, 3) == pytest.approx(1 / 3)
    assert best_constant("auroc", targets % 2, 2) == 0.5
    assert best_constant("cross_entropy", targets, 3) == pytest.approx(-(shares * np.log(shares)).sum())
    assert best_constant("mse", values, 1) == pytest.approx(values.var())
    assert best_constant("mae", values, 1) == pytest.approx(np.abs(values - np.median(values)).mean())
    assert best_constant("r2", values, 1) == pytest.approx(0, abs=1e-12)
    assert best_constant("auroc", targets, 3) is None, "undefined for three classes"
    for _ in range(20):
        logits = np.tile(random.normal(size=3), (50, 1))
        assert score("accuracy", targets, logits) <= best_constant("accuracy", targets, 3)
        assert score("cross_entropy", targets, logits) >= best_constant("cross_entropy", targets, 3)
        constant = np.full((50, 1), random.normal(2))
        assert score("mse", values, constant) >= best_constant("mse", values, 1)
        assert score("mae", values, constant) >= best_constant("mae", values, 1)


class TestOneOfOnesOwn:
    def test_it_is_scored_by_its_function_and_checked_like_all(self):
        def reach(targets, predictions):
            return np.abs(targets - predictions).max()

        metric = Metric("reach", "Largest error", False, (0.0, np.inf), kind="regression", function=reach)
        assert score(metric, [[1.0], [2.0]], [[1.5], [-1.0]]) == 3.0
        with pytest.raises(ValueError, match="targets and predictions of reach must share one shape"):
            score(metric, [[1.0]], [1.0])

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (lambda targets, predictions: 1 / 0, "odd fails: ZeroDivisionError: division by zero"),
            (lambda targets, predictions: "much", "could not convert string to float"),
            (lambda targets, predictions: float("nan"), "odd has no finite value on these data; got nan"),
        ],
    )
    def test_undefined_scores_are_reported(self, function, message):
        with pytest.raises(ValueError, match=message):
            score(Metric("odd", "Odd", True, kind="regression", function=function), [[1.0]], [[2.0]])


def test_calibration_error_weights_the_groups_of_a_calibration_curve():
    random = np.random.default_rng(0)
    logits = random.normal(size=(400, 2))
    targets = (random.random(400) < expit(0.3 * (logits[:, 1] - logits[:, 0]))).astype(np.int64)
    there, said = calibration_curve(targets, expit(logits[:, 1] - logits[:, 0]), n_bins=10, strategy="quantile")
    assert score("calibration_error", targets, logits) == pytest.approx(np.abs(there - said).mean(), abs=0.005)
    # Overconfident by a factor of three in the logits, so far from 0; shares of the classes alone are calibrated.
    assert score("calibration_error", targets, logits) > 0.1
    assert score("calibration_error", targets, np.log([[1 - targets.mean(), targets.mean()]] * 400)) < 1e-12
