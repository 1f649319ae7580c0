"""Floors: scores that need no recurrent network.

In addition to the trivial predictor and the linear model, which are methods of `liquidbench.tasks.task.Task`:

- ``boosting``: gradient-boosted trees (scikit-learn's ``HistGradientBoosting``) on engineered features: summaries of
  the sequence if a sequence has one target, lags and gaps if each step has one.
- ``convolution``: MiniRocket (Dempster et al., KDD 2021, arXiv 2012.08791) and a ridge regression, if sequences have
  one target each and are equally long, complete and evenly sampled.

Both read the same data as networks, standardised and clipped in the same way, within the same windows. Validation
chooses the number of boosting rounds and the ridge penalty.
"""

import zlib
from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from liquidbench.metrics import score
from liquidbench.tasks.task import SPLITS, Split, Task

ROUNDS = 60
"""Largest number of trees per output."""

_WORK = 10_000_000
"""Largest product of rows, columns and trees per round; if there are more rows, a sample of them is used."""

_LAGS = (1, 2, 4, 8)
_FEW_LAGS = (1, 4)
_MANY = 16
"""Number of features above which `_FEW_LAGS` are used."""

_SEQUENCES = 3_000
"""Training sequences of the convolutions; if there are more, a sample of them is used."""

_BATCH = 1_000
"""Sequences of which features are computed at a time: there are thousands for each."""

_LENGTH = 9
_DILATIONS = 32
_FEATURES = 10_000

Floats = NDArray[np.float64]


class NoFloorError(ValueError):
    """The floor does not apply to the task; the message says why."""


def boosting_predictions(task: Task, split: str = "test") -> Floats:
    """Predictions of gradient boosting, in the layout of a model's outputs; it reads `boosting_inputs`.

    Args:
        task: the task.
        split: the split to predict.

    Returns:
        (sequence, time, outputs) or (sequence, outputs): logits, or values on the scale of the targets.

    Raises:
        NoFloorError: if training has a single class, or no column varies.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    train, validation, asked = (task.split(name) for name in ("train", "validation", split))
    inputs, known = _rows(task, train)
    checked, expected = _rows(task, validation)
    if task.carried:
        # The change, as in networks: trees cannot follow a level that training has not seen.
        known = (known - task.trivial_predictions("train")[train.target_mask]).astype(np.float32)
        expected = (expected - task.trivial_predictions("validation")[validation.target_mask]).astype(np.float32)
    at = boosting_inputs(task, asked)
    # Trees cannot use a constant column, and scikit-learn fails on an empty one.
    some = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in inputs.T])
    if not some.any():
        raise NoFloorError("no column varies in training")
    inputs, checked, at = inputs[:, some], checked[:, some], at[..., some]
    grown = 1 if task.kind == "classification" and task.outputs == 2 else task.outputs
    most = max(_WORK // (inputs.shape[1] * grown), 1_000)
    if len(inputs) > most:
        drawn = np.sort(np.random.default_rng(0).choice(len(inputs), most, replace=False))
        inputs, known = inputs[drawn], known[drawn]
    flat = at.reshape(-1, at.shape[-1])
    how = {"max_iter": ROUNDS, "early_stopping": False, "random_state": 0, "learning_rate": 0.15, "max_leaf_nodes": 15}
    if task.kind == "classification":
        classes = np.unique(known).astype(np.int64)
        if len(classes) < 2:
            raise NoFloorError(f"all training targets are of class {classes[0]}")
        trees = HistGradientBoostingClassifier(**how).fit(inputs, known)

        def logits(shares: Floats) -> Floats:
            # A class that is not in training would otherwise have infinite loss.
            found = np.full((len(shares), task.outputs), np.log(0.5 / len(known)))
            found[:, classes] = np.log(np.maximum(shares, 1e-12))
            return found

        rounds = _best(task, expected, map(logits, trees.staged_predict_proba(checked)))
        answer = logits(_at(trees.staged_predict_proba(flat), rounds))
    else:
        columns = []
        for output in range(task.outputs):
            trees = HistGradientBoostingRegressor(**how).fit(inputs, known[:, output])
            losses = [np.mean((guess - expected[:, output]) ** 2) for guess in trees.staged_predict(checked)]
            columns.append(_at(trees.staged_predict(flat), int(np.argmin(losses))))
        answer = np.stack(columns, axis=-1)
        if task.carried:
            answer += task.trivial_predictions(split).reshape(answer.shape)
    return answer.reshape(*at.shape[:-1], task.outputs)


def boosting_inputs(task: Task, split: Split) -> Floats:
    """The columns that the trees read, NaN where there is no value.

    Per step: the last observed value of each feature, now and 1, 2, 4 and 8 samples before (with many features 1 and
    4); its mean so far; with irregular sampling, the spans of the last three samples; with missing values, the time
    since each feature was observed; the time since the sequence began.

    Per sequence, for each feature: mean, standard deviation, minimum, maximum, first, last and second last observed
    value, the share of steps at which it was observed and the time since the last of them; and the number of steps,
    their total time, and the mean, standard deviation and maximum of their spans.

    Args:
        task: the task.
        split: a split of the task.

    Returns:
        (sequence, time, columns) or (sequence, columns).
    """
    return _lags_and_gaps(task, split) if task.per == "step" else _summaries(split)


def convolution_predictions(task: Task, split: str = "test") -> Floats:
    """Predictions of MiniRocket and a ridge regression, in the layout of a model's outputs.

    Args:
        task: the task.
        split: the split to predict.

    Returns:
        (sequence, outputs): scores that serve as logits, or values on the scale of the targets.

    Raises:
        NoFloorError: if the method does not apply to the sequences; the message says why.
    """
    if task.per != "sequence":
        raise NoFloorError("each step has a target")
    if task.irregular or task.missing:
        raise NoFloorError("sampling is irregular or values are missing")
    train, validation, asked = (task.split(name) for name in ("train", "validation", split))
    lengths = {int(length) for one in (train, validation, asked) for length in (one.rows >= 0).sum(1)}
    if len(lengths) > 1:
        raise NoFloorError(f"sequences have different lengths, {min(lengths)} to {max(lengths)} steps")
    if (length := lengths.pop()) < _LENGTH:
        raise NoFloorError(f"sequences have {length} steps, but a kernel needs {_LENGTH}")
    drawn = np.flatnonzero(train.target_mask)
    if len(drawn) > _SEQUENCES:
        drawn = np.sort(np.random.default_rng(0).choice(drawn, _SEQUENCES, replace=False))
    transform = minirocket(train.values)
    rows = transform(train.values[drawn])
    mean, deviation = rows.mean(0), rows.std(0)
    deviation[deviation == 0] = 1.0
    rows = (rows - mean) / deviation
    known = train.targets[drawn]
    wanted = np.eye(task.outputs)[known.astype(np.int64)] if task.kind == "classification" else known
    intercept = wanted.mean(axis=0, dtype=np.float64)
    # With the kernel matrix, since there are more features than sequences.
    values, vectors = np.linalg.eigh(rows @ rows.T)
    turned = vectors.T @ (wanted - intercept)
    penalties = np.logspace(-1, 5, 13)
    weights = np.concatenate(
        [rows.T @ (vectors @ (turned / (np.maximum(values, 0)[:, None] + penalty))) for penalty in penalties], axis=1
    )

    def predicted(data: NDArray[np.float32], weights: Floats) -> Floats:
        batches = (data[first : first + _BATCH] for first in range(0, len(data), _BATCH))
        return np.concatenate([(transform(batch) - mean) / deviation @ weights for batch in batches])

    expected = validation.targets[validation.target_mask]
    guesses = np.split(predicted(validation.values, weights)[validation.target_mask], len(penalties), axis=1)
    best = int(np.argmax([_worth(task, expected, guess + intercept) for guess in guesses]))
    return predicted(asked.values, np.split(weights, len(penalties), axis=1)[best]) + intercept


def minirocket(values: NDArray[np.float32], seed: int = 0) -> Callable[[NDArray[np.float32]], Floats]:
    """MiniRocket's transform; its biases are quantiles of the convolutions of some training sequences.

    The 84 kernels have length 9, six weights of -1 and three of 2. Each is applied with dilations up to the length of
    the sequences to the sum of a random subset of features. The columns are the shares of steps at which a convolution
    exceeds a bias.

    Args:
        values: training data, (sequence, time, feature).
        seed: seed of the random choices.

    Returns:
        A function from (sequence, time, feature) to (sequence, columns).
    """
    draw = np.random.default_rng(seed)
    _, length, features = values.shape
    kernels = np.array(list(combinations(range(_LENGTH), 3)))
    longest = np.log2((length - 1) / (_LENGTH - 1))
    dilations = np.unique(np.logspace(0, longest, _DILATIONS, base=2).astype(int)) if longest > 0 else np.array([1])
    biases = max(_FEATURES // (len(kernels) * len(dilations)), 1)
    subset = [
        np.sort(draw.choice(features, min(features, int(2 ** draw.uniform(0, np.log2(min(features, 9) + 1)))), False))
        for _ in range(len(kernels) * len(dilations))
    ]
    sample = values[draw.integers(len(values), size=min(len(values), 64))]
    quantiles = (np.arange(1, biases + 1) * (np.sqrt(5) + 1) / 2) % 1

    def convolved(data: NDArray[np.float32]):
        for number, dilation in enumerate(dilations):
            reach = dilation * (_LENGTH - 1) // 2
            padded = np.pad(data.astype(np.float64), ((0, 0), (reach, reach), (0, 0)))
            shifted = [padded[:, tap * dilation : tap * dilation + length] for tap in range(_LENGTH)]
            total = -np.sum(shifted, axis=0)
            for index, kernel in enumerate(kernels):
                place = number * len(kernels) + index
                chosen = subset[place]
                yield (
                    place,
                    total[..., chosen].sum(-1)
                    + 3 * np.sum([shifted[tap][..., chosen].sum(-1) for tap in kernel], axis=0),
                )

    limits = {place: np.quantile(found, quantiles) for place, found in convolved(sample)}

    def transform(data: NDArray[np.float32]) -> Floats:
        parts: list[list[Floats]] = [
            [(found > limit).mean(1) for limit in limits[place]] for place, found in convolved(data)
        ]
        return np.stack([column for part in parts for column in part], axis=-1)

    return transform


FLOORS: Mapping[str, Callable[[Task, str], Floats]] = {
    "boosting": boosting_predictions,
    "convolution": convolution_predictions,
}
"""The function that predicts a split, for each floor by its name in results."""


def scores(task: Task) -> dict[str, tuple[float | None, str | None]]:
    """Each applicable floor's test score by the task's main metric, or None and the reason why there is none.

    Cached: a process computes them once for the same data. Images have none: lags and summaries of pixels are no floor.
    """
    if task.image is not None:
        return {}
    read = ("values", "timespans", "mask", "targets", "target_mask")
    parts = [getattr(task.split(split), name) for split in SPLITS for name in read]
    key = (task.metric, *(zlib.crc32(part.tobytes()) for part in parts))
    if key not in _known:
        found: dict[str, tuple[float | None, str | None]] = {}
        for name, predictions in FLOORS.items():
            try:
                asked = task.split("test")
                predicted = predictions(task, "test")[asked.target_mask]
                found[name] = score(task.main, asked.targets[asked.target_mask], predicted), None
            except NoFloorError:
                continue
            except ValueError as error:
                found[name] = None, str(error)
        _known[key] = found
    return _known[key]


_known: dict[tuple[str | int, ...], dict[str, tuple[float | None, str | None]]] = {}


def _rows(task: Task, split: Split) -> tuple[Floats, NDArray[np.int64] | NDArray[np.float32]]:
    return boosting_inputs(task, split)[split.target_mask], split.targets[split.target_mask]


def _best(task: Task, expected: NDArray[np.int64] | NDArray[np.float32], staged: "map[Floats]") -> int:
    """The index of the round after which the validation score is best, the first if several are equal."""
    worths = [_worth(task, expected, predicted) for predicted in staged]
    return int(np.argmax(worths))


def _worth(task: Task, expected: NDArray[np.int64] | NDArray[np.float32], predicted: Floats) -> float:
    try:
        found = score(task.main, expected, predicted)
    except ValueError:
        return -np.inf
    return found if task.main.higher_is_better else -found


def _at(staged, rounds: int) -> Floats:
    for number, predicted in enumerate(staged):
        if number == rounds:
            return predicted
    raise AssertionError(rounds)


def _lags_and_gaps(task: Task, split: Split) -> Floats:
    steps = np.arange(split.values.shape[1])
    latest = np.maximum.accumulate(np.where(split.mask, steps[:, None], -1), axis=1)
    values = split.values.astype(np.float64)
    carried = np.take_along_axis(values, np.maximum(latest, 0), axis=1)
    carried[latest < 0] = np.nan
    counts = split.mask.cumsum(1)
    means = np.where(split.mask, values, 0.0).cumsum(1) / np.where(counts, counts, np.nan)
    times = split.timespans.cumsum(1, dtype=np.float64)
    parts = [carried, means, times[..., None]]
    parts += [_before(carried, lag) for lag in (_FEW_LAGS if values.shape[-1] > _MANY else _LAGS)]
    if task.irregular:
        spans = split.timespans[..., None].astype(np.float64)
        parts += [spans, _before(spans, 1), _before(spans, 2)]
    if task.missing:
        since = times[..., None] - np.take_along_axis(times[..., None], np.maximum(latest, 0), axis=1)
        parts += [np.where(latest < 0, np.nan, since)]
    return np.concatenate(parts, axis=-1)


def _before(values: Floats, steps: int) -> Floats:
    return np.concatenate([np.full_like(values[:, :steps], np.nan), values[:, :-steps]], axis=1)[:, : values.shape[1]]


def _summaries(split: Split) -> Floats:
    parts = (slice(first, first + _BATCH) for first in range(0, len(split), _BATCH))
    return np.concatenate(
        [_summarised(split.values[part], split.mask[part], split.timespans[part], split.rows[part]) for part in parts]
    )


def _summarised(
    raw: NDArray[np.float32], mask: NDArray[np.bool_], timespans: NDArray[np.float32], rows: NDArray[np.int64]
) -> Floats:
    steps, there = np.arange(raw.shape[1])[:, None], rows >= 0
    counts = mask.sum(1)
    some, number = counts > 0, np.where(counts, counts, np.nan)
    values = raw.astype(np.float64)
    mean = np.where(mask, values, 0.0).sum(1) / number
    deviation = np.sqrt((np.where(mask, values - mean[:, None], 0.0) ** 2).sum(1) / number)
    least, greatest = (
        np.where(some, fold(np.where(mask, values, empty), axis=1), np.nan)
        for fold, empty in ((np.min, np.inf), (np.max, -np.inf))
    )
    last = np.where(mask, steps, -1).max(1)
    before = np.where(mask & (steps < last[:, None]), steps, -1).max(1)
    first = np.where(mask, steps, len(steps)).min(1)

    def at(place: NDArray[np.int64]) -> Floats:
        taken = np.take_along_axis(values, np.clip(place, 0, len(steps) - 1)[:, None], axis=1)[:, 0]
        return np.where((place >= 0) & (place < len(steps)), taken, np.nan)

    times = timespans.cumsum(1, dtype=np.float64)
    total = times[:, -1:]
    since = np.where(
        some, total - np.take_along_axis(times[..., None], np.maximum(last, 0)[:, None], axis=1)[:, 0], np.nan
    )
    length = there.sum(1, keepdims=True)
    spans = np.where(there, timespans, np.nan).astype(np.float64)
    told = [np.nanmean(spans, 1, keepdims=True), np.nanstd(spans, 1, keepdims=True), np.nanmax(spans, 1, keepdims=True)]
    parts = [mean, deviation, least, greatest, at(first), at(last), at(before), counts / length, since, length, total]
    return np.concatenate([*parts, *told], axis=-1)
