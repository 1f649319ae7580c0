"""Conformal prediction, against MAPIE, crepes, the papers' definitions, and the coverage that they prove."""

import numpy as np
import pytest
from crepes import ConformalClassifier, ConformalRegressor
from mapie.classification import SplitConformalClassifier
from mapie.metrics.classification import classification_coverage_score, classification_mean_width_score
from mapie.metrics.regression import regression_coverage_score
from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from liquidbench import conformal
from liquidbench.calibration import softmax

draw = np.random.default_rng(0)
X = draw.normal(size=(300, 1))
Y = X[:, 0] + (0.2 + np.abs(X[:, 0])) * draw.normal(size=300)
SHARES = softmax(draw.normal(size=(300, 4)))
LABELS = np.array([draw.choice(4, p=one) for one in SHARES])
FIT, NEW = slice(0, 200), slice(200, 300)


class Value(RegressorMixin, BaseEstimator):
    """Predicts its input, or that and a number more."""

    def __init__(self, more=0.0):
        self.more, self.is_fitted = more, True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return X[:, 0] + self.more


class Shares(ClassifierMixin, BaseEstimator):
    """Predicts its inputs as probabilities."""

    classes_ = np.arange(4)

    def __init__(self):
        self.is_fitted = True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.37])
def test_intervals_are_those_of_mapie_and_crepes(alpha):
    bound = conformal.quantile(conformal.absolute(Y[FIT], X[FIT, 0]), alpha)
    lower, upper = conformal.interval(X[NEW, 0], bound)
    other = SplitConformalRegressor(Value(), confidence_level=1 - alpha, prefit=True).conformalize(X[FIT], Y[FIT])
    _, ends = other.predict_interval(X[NEW])
    np.testing.assert_allclose(np.stack([lower, upper], 1), ends[..., 0])
    found = conformal.coverage(Y[NEW], lower, upper)
    assert found == pytest.approx(float(regression_coverage_score(Y[NEW], ends)[0]))
    sizes = 0.2 + np.abs(X[:, 0])
    bound = conformal.quantile(conformal.normalised(Y[FIT], X[FIT, 0], sizes[FIT]), alpha)
    ours = np.stack(conformal.interval(X[NEW, 0], bound, sizes[NEW]), 1)
    crepes = ConformalRegressor().fit(Y[FIT] - X[FIT, 0], sigmas=sizes[FIT])
    np.testing.assert_allclose(ours, crepes.predict_int(X[NEW, 0], sigmas=sizes[NEW], confidence=1 - alpha))


def test_conformalised_quantiles_are_those_of_mapie():
    models = [Value(-0.4), Value(0.4), Value()]
    other = ConformalizedQuantileRegressor(models, confidence_level=0.9, prefit=True).conformalize(X[FIT], Y[FIT])
    _, ends = other.predict_interval(X[NEW], symmetric_correction=True)
    lower, upper, _ = (model.predict(X) for model in models)
    bound = conformal.quantile(conformal.quantile_errors(Y[FIT], lower[FIT], upper[FIT]), 0.1)
    np.testing.assert_allclose(np.stack([lower[NEW] - bound, upper[NEW] + bound], 1), ends[..., 0])


class Drawn:
    """A generator that draws what MAPIE does; there, the share of the class's own probability that does not count."""

    def __init__(self, seed):
        self.state = np.random.RandomState(seed)

    def random(self, shape):
        return 1 - self.state.uniform(size=shape[0])[:, None]


@pytest.mark.parametrize("name", ["lac", "aps"])
def test_sets_are_those_of_mapie(name):
    lac, score = name == "lac", getattr(conformal, name)
    known = score(SHARES[FIT]) if lac else score(SHARES[FIT], Drawn(7))
    sets = score(SHARES[NEW]) <= conformal.quantile(known[np.arange(200), LABELS[FIT]], 0.1)
    other = SplitConformalClassifier(
        Shares(), confidence_level=0.9, conformity_score=name, prefit=True, random_state=None if lac else 7
    )
    other.conformalize(SHARES[FIT], LABELS[FIT])
    _, theirs = other.predict_set(
        SHARES[NEW], **({} if lac else {"conformity_score_params": {"include_last_label": False}})
    )
    # Without an empty set: MAPIE keeps the likeliest class.
    empty = ~sets.any(axis=1)
    assert empty.sum() == (0 if lac else 1)
    sets[empty, SHARES[NEW][empty].argmax(axis=1)] = True
    np.testing.assert_array_equal(sets, theirs[..., 0])
    assert conformal.set_coverage(LABELS[NEW], sets) == float(classification_coverage_score(LABELS[NEW], theirs)[0])
    assert sets.sum(axis=1).mean() == float(classification_mean_width_score(theirs)[0])


def test_lac_sets_are_those_of_crepes():
    scores = conformal.lac(SHARES)
    known = scores[np.arange(200), LABELS[FIT]]
    theirs = ConformalClassifier().fit(known).predict_set(scores[NEW], confidence=0.9, smoothing=False)
    np.testing.assert_array_equal(scores[NEW] <= conformal.quantile(known, 0.1), theirs.astype(bool))


def test_coverage_is_that_of_the_theorem():
    # With continuous scores, coverage given the calibration data is Beta(k, n + 1 - k): its mean is k / (n + 1).
    n, alpha = 30, 0.2
    scores = draw.exponential(size=(4000, n + 1))
    covered = scores[:, n] <= conformal.quantile(scores[:, :n].T, alpha)
    assert covered.mean() == pytest.approx(conformal.rank(n, alpha) / (n + 1), abs=0.025)
    # Randomised adaptive sets cover exactly 1 - alpha of labels that are drawn from the probabilities.
    many = softmax(2 * draw.normal(size=(20_000, 4)))
    labels = (many.cumsum(axis=1) < draw.random((20_000, 1))).sum(axis=1)
    sets = conformal.aps(many, np.random.default_rng(1)) <= 0.9
    assert conformal.set_coverage(labels, sets) == pytest.approx(0.9, abs=0.01)
    assert conformal.set_coverage(labels, conformal.aps(many) <= 0.9) < 0.9


def test_aps_puts_likelier_classes_first_and_ties_in_order():
    np.testing.assert_allclose(conformal.aps([[0.25, 0.5, 0.25]]), [[0.75, 0.5, 1.0]])


def test_equal_weights_are_the_unweighted_quantile_and_others_that_of_the_definition():
    scores = draw.exponential(size=50)
    for alpha in (0.1, 0.33, 0.5):
        plain = conformal.weighted_quantile(scores, np.full(50, 3.0), [3.0], alpha)
        assert plain[0] == conformal.quantile(scores, alpha)
    weights, new = draw.exponential(size=50), draw.exponential(size=8)
    found = conformal.weighted_quantile(scores, weights, new, 0.2)
    for bound, own in zip(found, new, strict=True):
        shares = np.append(weights, own) / (weights.sum() + own)
        below = [shares[:-1][scores <= candidate].sum() for candidate in np.sort(scores)]
        reached = np.flatnonzero(np.array(below) >= 0.8)
        assert bound == (np.sort(scores)[reached[0]] if len(reached) else np.inf)
    assert conformal.weighted_quantile(scores, weights, [1e9], 0.2)[0] == np.inf


def test_weights_restore_coverage_under_covariate_shift():
    # Inputs are N(0, 1) in calibration and N(1, 1) later; noise grows with the input.
    noise = lambda x: np.exp(x) * draw.normal(size=len(x))  # noqa: E731
    seen, later = draw.normal(size=2000), 1 + draw.normal(size=2000)
    scores, new = np.abs(noise(seen)), np.abs(noise(later))
    assert np.mean(new <= conformal.quantile(scores, 0.1)) < 0.8
    bounds = conformal.weighted_quantile(scores, np.exp(seen - 0.5), np.exp(later - 0.5), 0.1)
    assert np.mean(new <= bounds) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("rate", [0.005, 0.05])
def test_adaptive_bounds_miss_as_often_as_asked_on_any_sequence(rate):
    follows, steps, alpha = conformal.Adaptive(draw.exponential(size=100), 0.1, rate, window=100), 3000, 0.1
    scores = draw.exponential(size=steps) * np.linspace(1, 30, steps) * (1 + 5 * (np.arange(steps) % 700 > 350))
    level, known, missed = alpha, list(follows._scores), []
    for score in scores:
        place = int(np.ceil((1 - level) * 101 - 1e-9))
        bound = np.inf if place > 100 else np.sort(known)[place - 1] if place > 0 else -np.inf
        missed.append(score > bound)
        assert follows.observe(score) == (score <= bound)
        level += rate * (alpha - missed[-1])
        known = [*known[1:], score]
    assert follows.level == pytest.approx(level)
    assert abs(np.mean(missed) - alpha) <= (max(alpha, 1 - alpha) + rate) / (steps * rate)


def test_too_few_scores_and_bad_arguments_are_refused():
    assert np.isfinite(conformal.quantile(np.arange(9.0), 0.1))
    with pytest.raises(ValueError, match="scores must be at least 9 for alpha=0.1.*got 8. Give more calibration data"):
        conformal.quantile(np.arange(8.0), 0.1)
    for alpha in (0, 1, -0.1, np.nan, 90):
        with pytest.raises(ValueError, match="alpha must be a share of misses between 0 and 1"):
            conformal.quantile(np.arange(99.0), alpha)
    with pytest.raises(ValueError, match="1 are NaN"):
        conformal.quantile([np.nan] * 1 + [0.0] * 20, 0.1)
    with pytest.raises(ValueError, match="scale must be positive; 1 are not"):
        conformal.normalised([1.0], [1.0], [0.0])
    with pytest.raises(ValueError, match="not all 0"):
        conformal.weighted_quantile([1.0], [0.0], [1.0], 0.5)
    with pytest.raises(ValueError, match=r"one shape \(n,\)"):
        conformal.weighted_quantile([1.0], [1.0, 2.0], [1.0], 0.5)
    for arguments, words in (
        ((np.arange(5.0), 0.1), "at least 9"),
        ((np.arange(9.0), 0.1, 0.0), "rate must be positive"),
        ((np.arange(9.0), 0.1, 0.1, 5), "window must be at least 9"),
    ):
        with pytest.raises(ValueError, match=words):
            conformal.Adaptive(*arguments)
    with pytest.raises(ValueError, match="score must be a number"):
        conformal.Adaptive(np.arange(9.0), 0.1).observe(np.nan)
