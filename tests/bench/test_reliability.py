"""Calibration of probabilities, against scikit-learn, MAPIE, SciPy, and sums written out."""

import numpy as np
import pytest
from mapie.metrics.calibration import expected_calibration_error
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from liquidbench import calibration
from liquidbench.metrics import score

draw = np.random.default_rng(0)
LOGITS = 2 * draw.normal(size=(400, 3))
TARGETS = np.array([draw.choice(3, p=shares) for shares in calibration.softmax(LOGITS / 3)])
SHARES = calibration.softmax(LOGITS)


def test_the_expected_calibration_error_is_that_of_its_definition():
    found = calibration.reliability(TARGETS, SHARES, bins=10)
    confidence, right = SHARES.max(axis=1), SHARES.argmax(axis=1) == TARGETS
    total = 0.0
    for low in np.arange(10) / 10:
        here = (low < confidence) & (confidence <= low + 0.1)
        total += abs((confidence[here] - right[here]).sum())
    assert found.error == pytest.approx(total / 400) and found.error > 0.1
    assert found.counts.sum() == 400
    true, said = calibration_curve(right, confidence, n_bins=10)
    np.testing.assert_allclose(found.true, true)
    np.testing.assert_allclose(found.said, said)


def test_mapie_has_the_same_error():
    right, confidence = (SHARES.argmax(axis=1) == TARGETS).astype(int), SHARES.max(axis=1)
    # MAPIE counts edges.
    other = expected_calibration_error(right, confidence, num_bins=21, split_strategy="uniform")
    assert calibration.reliability(TARGETS, SHARES, bins=20).error == pytest.approx(other)


def test_edges_of_bins():
    found = calibration.reliability([0, 0, 1], [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]], bins=2)
    assert found.counts.tolist() == [2, 1] and found.true.tolist() == [0.5, 1.0]
    sure = calibration.reliability([0], [[1.0 + 1e-7, -1e-7]], bins=4)
    assert sure.counts.tolist() == [1]


def test_brier_is_that_of_scikit_learn():
    assert calibration.brier(TARGETS, SHARES) == pytest.approx(brier_score_loss(TARGETS, SHARES, labels=[0, 1, 2]))
    two = calibration.softmax(LOGITS[:, :2])
    positive = np.minimum(TARGETS, 1)
    assert calibration.brier(positive, two) == pytest.approx(brier_score_loss(positive, two[:, 1]))
    assert score("brier", positive, LOGITS[:, :2]) == pytest.approx(brier_score_loss(positive, two[:, 1]))


def test_the_temperature_minimises_the_log_loss():
    found = calibration.temperature(TARGETS, LOGITS)
    best = minimize_scalar(
        lambda t: log_loss(TARGETS, calibration.softmax(LOGITS / t)), bounds=(0.1, 20), options={"xatol": 1e-10}
    )
    assert found == pytest.approx(best.x, rel=1e-5) and found == pytest.approx(3, rel=0.3)
    # Logits of any size, and shifted by any number for each row, tell the same.
    shifted = 1e4 * LOGITS + draw.normal(size=(400, 1))
    assert calibration.temperature(TARGETS, shifted) == pytest.approx(1e4 * found, rel=1e-6)
    before, after = (score("cross_entropy", TARGETS, LOGITS / t) for t in (1, found))
    assert after < before


def test_no_temperature_is_best_for_perfect_or_useless_logits():
    with pytest.raises(ValueError, match="all 2 predictions are right"):
        calibration.temperature([0, 1], [[1.0, 0.0], [0.0, 1.0]])
    for logits in ([[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]):
        with pytest.raises(ValueError, match="no more than chance"):
            calibration.temperature([0, 1], logits)


def test_risk_coverage_is_that_of_sorting_and_ties_have_no_order():
    losses, confidence = draw.random(50), draw.random(50)
    kept, risk = calibration.risk_coverage(losses, confidence)
    order = np.argsort(-confidence)
    np.testing.assert_allclose(risk, [losses[order[: k + 1]].mean() for k in range(50)])
    assert kept[-1] == 1 and risk[-1] == pytest.approx(losses.mean())
    assert calibration.area_under_risk(losses, -losses) < calibration.area_under_risk(losses, losses)
    _, flat = calibration.risk_coverage(losses, np.ones(50))
    np.testing.assert_allclose(flat, losses.mean())


@pytest.mark.parametrize(
    "targets, shares, words",
    [
        ([0, 1], [[0.5, 0.5], [0.7, 0.7]], "row 1 sums to 1.4"),
        ([0], [[1.5, -0.5]], "at least 0 and sum to 1 in each row; row 0 sums to 1, with a smallest of -0.5"),
        ([0], [[np.nan, 0.5]], "row 0 sums to nan"),
        ([0.0], [[0.5, 0.5]], r"class numbers of shape \(1,\); got float64"),
        ([2], [[0.5, 0.5]], "must lie in 0 to 1"),
        ([], np.empty((0, 2)), r"shape \(n, classes\), with n at least 1"),
    ],
)
def test_what_are_no_probabilities_is_refused(targets, shares, words):
    for function in (calibration.reliability, calibration.brier):
        with pytest.raises(ValueError, match=words):
            function(targets, shares)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match="bins must be at least 1; got 0"):
        calibration.reliability([0], [[0.5, 0.5]], bins=0)
    with pytest.raises(ValueError, match=r"of one shape \(n,\)"):
        calibration.risk_coverage([0.0, 1.0], [0.5])
