"""A task: uninterrupted recordings, cut into splits of padded, standardised sequences, and checked for leaks.

A loader says where the recordings of each split come from; everything after that happens here, in one way for
every task. The scalers are fitted on the training recordings alone, a split is built when it is first asked
for (so test data do not exist before a model has been chosen), and every split is checked on being built: no
raw row in two splits, times that never go back, finite values, a unit for every feature.
"""

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from liquidbench.facts import Facts, Feature, Source
from liquidbench.metrics import METRICS, Measure, Metric, best_constant, score, shares_of
from liquidbench.shifts import WORLDS

T = TypeVar("T")

SPLITS = ("train", "validation", "test")

LINEAR_PENALTY = 1.0
"""Weight of the squared coefficients in the ridge regression of `Task.linear_predictions`."""

CLIPPED = (0.005, 0.995)
"""Quantiles of the training values of a column. What lies further outside of them than they are apart is clipped: a
typing error must not be the largest signal there is, and what is merely far out stays what it is."""

_BLOCK = 2**22
"""Values of which the scaler makes copies at a time, column by column."""

_BATCH = 2**22
"""Values of the recordings that are put into a split at a time."""

_NAME = re.compile(r"[A-Za-z]\w{0,39}")

RESERVED = frozenset(
    ("loss", "epochs", "trial_score", "best_epoch", "attempts", "trivial", "linear", "parameters", "state_size")
    + ("multiply_adds", "synapse_evaluations", "steps", "best_step", "still_improving", "boosting", "convolution")
)
"""Names in the results that no score of a task may have."""


class Policy(Protocol):
    """What acts in a closed loop: a trained network, or whatever a task sets against it. NumPy on both sides.

    It acts in one episode, or in several side by side, which is faster; arrays then have a leading axis of episodes.

    A task's own rollout may ask a policy for two attributes: one with ``privileged = True`` is given the state of the
    simulation in place of an observation, one with ``blind = True`` observations that say nothing.
    """

    def reset(self, episodes: int | None = None) -> None:
        """Begin another episode, or as many side by side."""
        ...

    def __call__(
        self,
        observation: NDArray[Any],
        *,
        timespan: float | NDArray[np.floating[Any]] | None = None,
        mask: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float64]:
        """The action after one more observation.

        Args:
            observation: (features,) or (episodes, features), in the features' units; of a task with `Task.image` uint8
                (values,) or (episodes, values).
            timespan: time since the observation before, in the task's time unit, a number or (episodes,); None is the
                task's `timespan_unit`.
            mask: bool (features,) or (episodes, features), True where observed; None where everything is.

        Returns:
            (outputs,) or (episodes, outputs): values in the targets' unit, or the probability of each class.
        """
        ...


class Constant:
    """A policy that always does the same, whatever it is shown.

    Args:
        action: (outputs,).

    Example:
        >>> Constant([0.0, 1.0])(np.zeros((3, 5)))
        array([[0., 1.],
               [0., 1.],
               [0., 1.]])
    """

    blind = True

    def __init__(self, action: Sequence[float]):
        self._action = np.array(action, dtype=np.float64)

    def reset(self, episodes: int | None = None) -> None:
        """See `Policy`."""

    def __call__(
        self, observation: NDArray[Any], *, timespan: Any = None, mask: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """See `Policy`."""
        return np.broadcast_to(self._action, (*observation.shape[:-1], len(self._action))).copy()


Rollout: TypeAlias = Callable[[Policy, int], Mapping[str, float]]
"""``rollout(policy, seed) -> measurements by name``."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One uninterrupted record, as read from the raw files.

    Attributes:
        name: subject, file, patient.
        times: float64 (n,), never decreasing, in the task's time unit.
        values: float (n, features), in the features' units; anything where `mask` is False. float64 where the
            values may be large beside their spread, which float32 would round away before it is standardised. Of
            images uint8 (n, values), see `Task.image`.
        targets: per step int64 (n,) or float (n, outputs); per sequence a scalar or float (outputs,).
        first_row: number of its first raw row within the whole data set.
        mask: bool (n, features), True where observed; None where everything is.
        target_mask: bool (n,), True where the target is known; None where all are.
        rows: int64 (n,), raw row numbers where they are not ``first_row, first_row + 1, ...``.
        group: what a split by recording keeps on one side, such as the subject of several sessions; the name if
            left out.
        environment: number of the circumstances under which it was recorded, where a task tells them apart, or int64
            (n,), those of each step; all recordings of a split have such a number, all have such an array, or none has
            either.
        target_times: float64 (n,), when what each target tells is measured, on the clock of `times`; None where that
            is at the step itself.
    """

    name: str
    times: NDArray[np.float64]
    values: NDArray[np.floating[Any]]
    targets: Any
    first_row: int
    mask: NDArray[np.bool_] | None = None
    target_mask: NDArray[np.bool_] | None = None
    rows: NDArray[np.int64] | None = None
    group: str = ""
    environment: int | NDArray[np.int64] | None = None
    target_times: NDArray[np.float64] | None = None

    def __post_init__(self):
        if not self.group:
            object.__setattr__(self, "group", self.name)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """Raw row number of each step, (n,)."""
        return np.arange(self.first_row, self.first_row + len(self)) if self.rows is None else self.rows

    @property
    def observed(self) -> NDArray[np.bool_]:
        """True where a value was observed, (n, features)."""
        if self.mask is not None:
            return self.mask
        # An image is one feature, seen or not.
        return np.ones((len(self), 1) if self.values.dtype == np.uint8 else self.values.shape, dtype=bool)

    @property
    def time_ahead(self) -> NDArray[np.float64]:
        """Time from each step to what its target tells, (n,)."""
        return np.zeros(len(self)) if self.target_times is None else self.target_times - self.times

    def ahead(self, steps: int | None) -> "Recording":
        """What there is to forecast: each step with a target of later, and when that is; for targets per step.

        The last steps have no later target and are left out, so that nothing outside of this recording is one.

        Args:
            steps: how many steps later; None for the next later step at which the target is known.
        """
        known = np.ones(len(self), dtype=bool) if self.target_mask is None else self.target_mask
        later = later_steps(known, steps)
        later = later[later < len(self)]
        times = self.times if self.target_times is None else self.target_times
        return replace(
            self.part(slice(0, len(later))),
            targets=self.targets[later],
            target_mask=None if self.target_mask is None else self.target_mask[later],
            target_times=times[later],
        )

    def telling_time_ahead(self) -> "Recording":
        """The recording with one more value at each step, the last: `time_ahead`, which is always observed."""
        # In the type of the values, by which rounding is told from variation.
        ahead = self.time_ahead[:, None].astype(self.values.dtype)
        return replace(
            self,
            values=np.concatenate([self.values, ahead], axis=1),
            mask=None if self.mask is None else np.concatenate([self.mask, np.ones(ahead.shape, dtype=bool)], axis=1),
        )

    def part(self, steps: slice) -> "Recording":
        """Some consecutive steps, under the same name and with the same row numbers; for targets per step."""
        rows = self.row_numbers[steps]
        return replace(
            self,
            times=self.times[steps],
            values=self.values[steps],
            targets=self.targets[steps],
            first_row=int(rows[0]) if len(rows) else self.first_row,
            mask=None if self.mask is None else self.mask[steps],
            target_mask=None if self.target_mask is None else self.target_mask[steps],
            rows=None if self.rows is None else rows,
            environment=self.environment[steps] if isinstance(self.environment, np.ndarray) else self.environment,
            target_times=None if self.target_times is None else self.target_times[steps],
        )


def later_steps(known: NDArray[np.bool_], steps: int | None) -> NDArray[np.int64]:
    """The step whose target each step of a recording is to forecast; the number of steps where there is none.

    Args:
        known: bool (n,), True where the target is known.
        steps: how many steps later that is; None for the next later step at which it is known.

    Example:
        >>> known = np.array([True, False, False, True, False])
        >>> later_steps(known, 2), later_steps(known, None)
        (array([2, 3, 4, 5, 5]), array([3, 3, 3, 5, 5]))
    """
    count = len(known)
    if steps is not None:
        return np.minimum(np.arange(count) + steps, count)
    next_known = np.minimum.accumulate(np.where(known, np.arange(count), count)[::-1])[::-1]
    return np.append(next_known[1:], count)[:count]


def varies_ahead(recordings: Iterable[Recording]) -> bool:
    """Whether targets are not all equally far ahead of their steps, but for rounding."""
    ahead = np.concatenate([recording.time_ahead for recording in recordings])
    return bool(len(ahead)) and float(np.ptp(ahead)) > 1e-6 * float(np.abs(ahead).max())


def time_ahead_feature(features: Iterable[Feature], unit: str) -> Feature:
    """What a task calls the time ahead beside these features."""
    taken = {feature.name for feature in features}
    numbered = (f"time ahead {number}" for number in itertools.count(2))
    return Feature(next(name for name in itertools.chain(["time ahead"], numbered) if name not in taken), unit)


def numbered(recordings: Iterable[Recording]) -> list[Recording]:
    """The recordings with row numbers that follow one another, as if their files were one."""
    result, first_row = [], 0
    for recording in recordings:
        result.append(replace(recording, first_row=first_row))
        first_row += len(recording)
    return result


def rotate(deal: Mapping[str, Sequence[T]], steps: int) -> dict[str, list[T]]:
    """Another deal of the same things into splits of the same sizes, with others of them in test.

    All stand in a circle, those in test first, then those in training and validation, and the places of the splits move
    on along it.

    Args:
        deal: the things in each of `SPLITS`.
        steps: how far to move on; 0 changes nothing.

    Example:
        >>> rotate({"train": [1, 2, 3], "validation": [4], "test": [5, 6]}, 2)
        {'test': [1, 2], 'train': [3, 4, 5], 'validation': [6]}
    """
    order = ("test", "train", "validation")
    circle = [thing for name in order for thing in deal[name]]
    things = iter(circle[steps:] + circle[:steps])
    return {name: [next(things) for _ in deal[name]] for name in order}


@dataclass(frozen=True, eq=False)
class Split:
    """What training sees: sequences padded at their end to one length.

    Attributes:
        values: float32 (sequence, time, feature), standardised; 0 where unobserved or padded. Of images uint8
            (sequence, time, value), as they are.
        timespans: float32 (sequence, time), time since the sequence's previous observed step in units of
            `Task.timespan_unit`. The first step counts as 1. A step with nothing observed has 0, its time
            being counted at the next observed step; so has padding.
        mask: bool (sequence, time, feature), True where observed.
        targets: int64 (sequence, time) or (sequence,); float32 (sequence, time, output) or (sequence,
            output).
        target_mask: bool (sequence, time) or (sequence,), True where a prediction is scored.
        rows: int64 (sequence, time), raw row numbers; -1 at padding.
        recordings: name of each sequence's recording.
        groups: group of each sequence's recording, which no other split has unless recordings are cut in time.
        environments: int64 (sequence,), environment of each sequence, or (sequence, time), that of each step, at
            padding that of the last; None where the task has none.
        time_ahead: whether the last feature is the time ahead, see `Task.time_ahead`; no sensor measures it.
    """

    values: NDArray[Any]
    timespans: NDArray[np.float32]
    mask: NDArray[np.bool_]
    targets: NDArray[np.int64] | NDArray[np.float32]
    target_mask: NDArray[np.bool_]
    rows: NDArray[np.int64]
    recordings: tuple[str, ...]
    groups: tuple[str, ...] = ()
    environments: NDArray[np.int64] | None = None
    time_ahead: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def only(self, kept: NDArray[np.bool_]) -> "Split":
        """Some of its sequences.

        Args:
            kept: bool (sequence,).
        """

        def chosen(part: Any) -> Any:
            if isinstance(part, np.ndarray):
                return part[kept]
            return tuple(itertools.compress(part, kept)) if isinstance(part, tuple) else part

        return Split(**{one.name: chosen(getattr(self, one.name)) for one in fields(self)})


@dataclass(frozen=True)
class Scaler:
    r"""Mean and standard deviation of each column, as ``standardise`` needs them, and where it is clipped before.

    Attributes:
        mean: (columns,), of clipped values.
        deviation: (columns,), of clipped values.
        low: (columns,), the least that is not clipped; None where nothing is.
        high: (columns,), the greatest.
        usual_ahead: the usual time ahead :math:`u`, where the last column has the time ahead; None where none has. A
            time :math:`t` is read as :math:`\log((1 + t / u) / 2)`, clipped to those of training: spans differ by
            orders of magnitude, and of hours among minutes neither mean nor deviation says anything.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    usual_ahead: float | None = None

    @classmethod
    def fit(
        cls,
        values: NDArray[Any],
        observed: NDArray[np.bool_],
        clipped: NDArray[np.bool_] | None = None,
        alike: bool = False,
    ) -> "Scaler":
        """Fit on the observed entries of values (n, columns); a column that never varies is only centred.

        Args:
            values: (n, columns).
            observed: bool (n, columns).
            clipped: bool (columns,), which of them are clipped, see `CLIPPED`; None for none.
            alike: whether all columns get the mean and deviation of all values together.
        """
        columns = values.shape[1]
        low, high = np.full(columns, -np.inf), np.full(columns, np.inf)
        moments = []
        # In blocks, as the copies in float64 of a large data set do not fit into memory.
        width = max(_BLOCK // max(len(values), 1), 1)
        for block in (slice(first, first + width) for first in range(0, columns, width)):
            kept, there = values[:, block], observed[:, block]
            if clipped is not None:
                low[block], high[block] = _limits(kept, there, clipped[block])
                kept = np.clip(kept, low[block], high[block])
            moments.append(_moments(kept, there))
        counts, mean, deviation, least, most = map(np.concatenate, zip(*moments, strict=True))
        if alike:
            pooled = counts @ mean / counts.sum()
            deviation[:] = np.sqrt(counts @ (deviation**2 + (mean - pooled) ** 2) / counts.sum())
            mean[:], least[:], most[:] = pooled, least.min(), most.max()
        # A spread of rounding errors must not be blown up; those are as large as the type of the values makes them,
        # so that a signal on a large offset is told from them as long as it has survived in that type.
        rounding = 4 * np.finfo(np.result_type(values.dtype, np.float32)).eps
        constant = (most - least <= rounding * np.maximum(np.abs(least), np.abs(most))) | (deviation == 0)
        deviation = np.where(constant, 1.0, deviation)
        return cls(mean, deviation) if clipped is None else cls(mean, deviation, low, high)

    def with_time_ahead(self, times: NDArray[np.floating[Any]]) -> "Scaler":
        """The scaler with one more column, the last, for the time ahead; see `usual_ahead`.

        Args:
            times: (n,), the times ahead in training.
        """
        positive = times[times > 0]
        usual = float(np.median(positive)) if len(positive) else 1.0
        every = np.full(len(self.mean), np.inf)
        low, high = (-every, every) if self.low is None or self.high is None else (self.low, self.high)
        return Scaler(
            np.append(self.mean, np.log(2.0)),
            np.append(self.deviation, 1.0),
            np.append(low, times.min()),
            np.append(high, times.max()),
            usual,
        )

    def standardise(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values (..., columns), clipped, with mean 0 and deviation 1 on the data of the fit."""
        if self.low is not None:
            values = np.clip(values, self.low, self.high)
        if self.usual_ahead is not None:
            values = np.concatenate([values[..., :-1], np.log1p(values[..., -1:] / self.usual_ahead)], axis=-1)
        return ((values - self.mean) / self.deviation).astype(np.float32)

    def restore(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Undo `standardise`."""
        return values * self.deviation + self.mean


def _moments(values: NDArray[Any], observed: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Count, mean, deviation, least and greatest of the observed values of each column."""
    counts = np.maximum(observed.sum(axis=0), 1).astype(np.float64)
    kept = np.where(observed, values, 0.0).astype(np.float64)
    mean = kept.sum(axis=0) / counts
    deviation = np.sqrt((np.where(observed, kept - mean, 0.0) ** 2).sum(axis=0) / counts)
    least = np.where(observed, kept, np.inf).min(axis=0, initial=np.inf)
    most = np.where(observed, kept, -np.inf).max(axis=0, initial=-np.inf)
    return counts, mean, deviation, least, most


def _limits(
    values: NDArray[Any], observed: NDArray[np.bool_], clipped: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What columns are clipped at, infinite where they are not: where quantiles do not differ, nothing is far out."""
    low, high = np.full(values.shape[1], -np.inf), np.full(values.shape[1], np.inf)
    for column in np.flatnonzero(clipped & observed.any(axis=0)):
        least, most = np.quantile(values[observed[:, column], column].astype(np.float64), CLIPPED)
        if most > least:
            low[column], high[column] = least - (most - least), most + (most - least)
    return low, high


def carry_spans(spans: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[Any]:
    """Move the time spans of absent steps to the next present step.

    Args:
        spans: (..., time), time since the step before.
        present: bool (..., time), False where a step is absent.

    Returns:
        Array like spans: 0 at absent steps, and at each present step the time since the last present one.

    Example:
        >>> carry_spans(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]))
        array([1., 0., 5.])
    """
    elapsed = np.cumsum(spans, axis=-1, dtype=np.float64)
    reached = np.maximum.accumulate(np.where(present, elapsed, 0.0), axis=-1)
    before = np.concatenate([np.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1)
    return np.where(present, elapsed - before, 0.0).astype(spans.dtype)


def window_starts(length: int, window: int | None, stride: int) -> list[int]:
    """First steps of the windows that cover a recording; the last window may be shorter than the others.

    Example:
        >>> window_starts(70, window=32, stride=32)
        [0, 32, 64]
    """
    if window is None or length <= window:
        return [0]
    starts = list(range(0, length - window + 1, stride))
    if starts[-1] + window < length:
        starts.append(starts[-1] + stride)
    return starts


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What is to be predicted from what, and the data to learn and test it on.

    Attributes:
        name: what a study calls it.
        title: what a report calls it.
        description: one or two sentences: what is predicted from what.
        features: name and unit of each column of `Split.values`.
        kind: ``"classification"`` or ``"regression"``.
        per: ``"step"`` (a target for each step) or ``"sequence"`` (one for the whole).
        outputs: number of a model's outputs: classes, or target columns.
        target_unit: unit of the targets as recorded; ``"1"`` for classes.
        metric: name of the main metric; the first to be reported, and the one that selects on validation.
        metrics: all metrics to report, the main one among them: names among `liquidbench.metrics.METRICS`, or metrics
            of the task's own.
        time_unit: unit of `Recording.times`.
        source: where the data come from.
        split_rule: in words: how the splits are made, and what keeps them apart.
        recordings: ``recordings(split name) -> list[Recording]``.
        data_digest: sha256 of the raw content.
        classes: class names, or None for regression.
        window: most steps in a sequence; None leaves recordings whole. No window crosses a recording.
        stride: steps between the starts of training windows. Validation and test windows never overlap, so
            each of their steps is scored once.
        context: steps at the beginning of each window that are read but not scored, so that every prediction has at
            least so much history. Windows of validation and test overlap by as many, and each of their steps is still
            scored once, but for the first of a recording.
        gap: None where no recording may be in two splits; else one recording may be cut in time, and its
            splits must lie at least this many raw rows apart.
        leak: in words, what test has in common with training, for a split of a paper that is not free of leaks. Its
            splits may then share rows, and whoever reads the results is warned; "" for every other task.
        irregular: whether time spans vary by the nature of the data.
        time_ahead: whether models are told how far ahead they are to look: the last of `features` is then the time from
            each step to its target (`Recording.time_ahead`), in `time_unit`, which `Recording.values` lack. It says
            when, which is part of the question, and never what.
        missing: whether single features can be unobserved; models then read the mask as further inputs.
        baseline: the trivial predictor: ``"prior"`` (class frequencies of the training targets), ``"mean"``
            (of the training targets), ``"last value"`` (each target is what `carried` was last observed to be); None
            for none.
        shortest_first: whether training begins with the short sequences: for tasks that networks do not learn from long
            ones alone (`liquidbench.training.trainer.shortest_first`).
        linear: whether there is a linear model to compare with (`linear_predictions`).
        carried: for ``"last value"``, the name of the feature that each target column continues. Networks and boosting
            then predict the change since its last observed value.
        alike: whether all features are of one kind, such as the pixels of an image, and standardised together: a pixel
            that is seldom anything but paper must not be the largest signal there is. Nothing is clipped then.
        standardise_targets: whether regression targets are standardised with training statistics, those of the features
            that they continue where they do; metrics are then in units of one standard deviation.
        warnings: what whoever reads the results should know about the data, a sentence each.
        folds: outer splits on offer, `split_rule` being that of the first.
        fold_rule: in words: how the others are made, or why there are none.
        dealt: ``dealt(fold)`` is `recordings` for that split.
        fold: which of them this is.
        image: (height, width, channels), where each sample is an image: its values are uint8, flattened in this order,
            and `features` has one entry, the camera. Every network reads it through the same convolutional encoder.
        rollout: puts a policy into a closed loop and measures how it does there: called with the trained network and a
            seed, which is the same for all models. It must draw from nothing but the seed.
        worlds: the changed worlds that `elsewhere` knows, names in `liquidbench.shifts.WORLDS`.
        elsewhere: ``elsewhere(world, level)`` is `rollout` in that world.
        measurements: what `rollout` measures; it gives a finite number for each.
        judged: name of the measurement that verdicts are about, and by which the trials of a search are compared, in
            rollouts of validation; "" for the main metric. The step of a training is chosen by the main metric.
        table: for a task from a user's table, how new rows are read (`liquidbench.tasks.new_rows`); None for others.
        environment_of: what has an environment of its own where recordings tell that of each step: the "step", or the
            "window", which has that of the middle of the steps that it scores. A series that goes through seasons has
            windows of each.
        policies: policies without a network, by name, to be rolled out as well, such as an expert. Beating one
            called ``"trivial"`` is the least that a verdict asks for.
        conditioned: changes each split after it has been cut (`liquidbench.tasks.conditioned`); None for a task under
            no condition.
        marked: whether it adds a feature, the last of `features` but for the time ahead, which recordings lack.
    """

    name: str
    title: str
    description: str
    features: tuple[Feature, ...]
    kind: Literal["classification", "regression"]
    per: Literal["step", "sequence"]
    outputs: int
    target_unit: str
    metric: str
    metrics: tuple[str | Metric, ...]
    time_unit: str
    source: Source
    split_rule: str
    recordings: Callable[[str], list[Recording]] = field(repr=False)
    data_digest: str
    baseline: Literal["prior", "mean", "last value"] | None = None
    shortest_first: bool = False
    linear: bool = True
    carried: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    window: int | None = None
    stride: int | None = None
    context: int = 0
    gap: int | None = None
    leak: str = ""
    irregular: bool = False
    time_ahead: bool = False
    missing: bool = False
    alike: bool = False
    standardise_targets: bool = True
    warnings: tuple[str, ...] = ()
    folds: int = 1
    fold_rule: str = "there is one official split, and no other is defined"
    dealt: Callable[[int], Callable[[str], list[Recording]]] | None = field(default=None, repr=False)
    fold: int = 0
    image: tuple[int, int, int] | None = None
    rollout: Rollout | None = field(default=None, repr=False)
    worlds: tuple[str, ...] = ()
    elsewhere: Callable[[str, float], Rollout] | None = field(default=None, repr=False)
    measurements: tuple[Measure, ...] = ()
    judged: str = ""
    table: Mapping[str, Any] | None = field(default=None, repr=False)
    policies: Mapping[str, Policy] = field(default_factory=dict, repr=False)
    conditioned: Callable[[Split], Split] | None = field(default=None, repr=False)
    marked: bool = False
    environment_of: Literal["step", "window"] = "step"
    _splits: dict[str, Split] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        """Refuse a declaration that contradicts itself; data are checked as splits are built."""

        def refuse(argument: str, expected: str, got: object) -> None:
            raise ValueError(f"task {self.name!r}: {argument} must be {expected}; got {got!r}")

        unnamed = [feature for feature in self.features if not feature.name or not feature.unit]
        if not self.features or unnamed:
            refuse("features", 'a name and a unit for each feature ("1" where there is no unit)', unnamed)
        if len({feature.name for feature in self.features}) < len(self.features):
            refuse("features", "distinct names", [feature.name for feature in self.features])
        if (self.classes is None) != (self.kind == "regression"):
            refuse("classes", "the class names of a classification, None for a regression", self.classes)
        if self.classes is not None and self.outputs != len(self.classes):
            refuse("outputs", f"one per class, {len(self.classes)}", self.outputs)
        if self.outputs < 1:
            refuse("outputs", "at least 1", self.outputs)
        self._check_scores(refuse)
        if self.window is None and (self.stride is not None or self.gap is not None):
            refuse("stride and gap", "None without a window", (self.stride, self.gap))
        if self.context and (self.window is None or self.per == "sequence" or not 0 < self.context < self.window):
            refuse("context", "from 1 to less than the window of a task with a target per step, or 0", self.context)
        scored = (self.window or 0) - self.context
        if self.context and self.stride is not None and self.stride > scored:
            refuse("stride", f"at most the steps that a window scores, {scored}, so that none is skipped", self.stride)
        if self.leak and self.gap is not None:
            refuse("gap", "None where a leak is declared", self.gap)
        if self.window is not None and self.window < 2:
            refuse("window", "at least 2 steps", self.window)
        if self.window is not None and self.stride is not None and not 1 <= self.stride <= self.window:
            refuse("stride", f"from 1 to the window, {self.window}, so that no step is skipped", self.stride)
        if self.window is not None and self.gap is not None and self.gap < self.window:
            refuse("gap", f"at least the window, {self.window}", self.gap)
        if self.environment_of == "window" and self.window is None:
            refuse("environment_of", "'step' without a window", self.environment_of)
        if self.baseline == "prior" and self.kind != "classification":
            refuse("baseline", "'mean' or 'last value' for a regression", self.baseline)
        if self.baseline not in (None, "prior") and self.kind != "regression":
            refuse("baseline", "'prior' for a classification", self.baseline)
        if self.baseline == "last value" and self.per != "step":
            refuse("baseline", "'mean' where a sequence has one target", self.baseline)
        if len(self.carried) != (self.outputs if self.baseline == "last value" else 0):
            refuse("carried", "one feature for each output with baseline 'last value', else empty", self.carried)
        if self.carried and not self.standardise_targets:
            refuse("standardise_targets", "True with baseline 'last value'", False)
        if self.time_ahead and (self.per != "step" or len(self.features) < 2):
            refuse("time_ahead", "False without a target per step and a feature besides the time ahead", True)
        if unknown := set(self.carried) - {feature.name for feature in self.measured}:
            refuse("carried", "names of features", sorted(unknown))
        if self.folds < 1 or (self.folds > 1) != (self.dealt is not None):
            refuse("folds", "more than 1 where dealt says how, else 1", self.folds)
        if self.image is not None:
            self._check_image(refuse)

    def _check_image(self, refuse: Callable[[str, str, object], None]) -> None:
        image: Any = self.image
        if (
            not isinstance(image, tuple)
            or len(image) != 3
            or not all(isinstance(one, int) and one > 0 for one in image)
        ):
            refuse("image", "(height, width, channels), or None", image)
        if len(self.features) != 1:
            refuse("features", "one, the camera, of a task with images", [feature.name for feature in self.features])
        if self.linear or self.carried:
            refuse("linear and baseline", "False and not 'last value' for images", (self.linear, self.baseline))

    def _check_scores(self, refuse: Callable[[str, str, object], None]) -> None:
        known = tuple(name for name, metric in METRICS.items() if metric.kind == self.kind)
        mine = [metric for metric in self.metrics if isinstance(metric, Metric)]
        named = {metric for metric in self.metrics if isinstance(metric, str)}
        if self.metric not in self.scores or not named <= set(known):
            refuse("metrics", f"names among {', '.join(known)} or a Metric, {self.metric!r} included", self.metrics)
        if odd := [metric.name for metric in mine if metric.kind != self.kind]:
            refuse("metrics", f"for a {self.kind}", odd)
        own = [measure.name for measure in (*mine, *self.measurements)]
        if bad := [name for name in own if not _NAME.fullmatch(name) or name in RESERVED or name in METRICS]:
            refuse("names of scores", f"letters, digits and '_', and none of {', '.join(sorted(RESERVED))}", bad)
        if len({*own, *named}) < len(self.metrics) + len(self.measurements):
            refuse("metrics and measurements", "named differently from each other", [*named, *own])
        if (self.rollout is None) != (not self.measurements):
            refuse("measurements", "declared where there is a rollout, and nowhere else", self.measurements)
        if bool(self.worlds) != (self.elsewhere is not None) or (self.worlds and self.rollout is None):
            refuse("worlds", "declared where there is a rollout elsewhere, and nowhere else", self.worlds)
        if unknown := [world for world in self.worlds if world not in WORLDS]:
            refuse("worlds", f"among {', '.join(WORLDS)}", unknown)
        if self.rollout is None and self.policies:
            refuse("policies", "left out where there is no rollout", sorted(self.policies))
        if bad := [name for name in self.policies if not _NAME.fullmatch(name)]:
            refuse("policies", "named by letters, digits and '_'", bad)
        if self.judged and self.judged not in {measure.name for measure in self.measurements}:
            refuse("judged", f"among the measurements {', '.join(one.name for one in self.measurements)}", self.judged)

    @cached_property
    def scores(self) -> Mapping[str, Metric]:
        """The metrics by name, in the order of reports."""
        found = (METRICS.get(metric) if isinstance(metric, str) else metric for metric in self.metrics)
        return {metric.name: metric for metric in found if metric is not None}

    @cached_property
    def continued(self) -> tuple[int, ...]:
        """The number of the feature that each output continues, see `carried`."""
        names = [feature.name for feature in self.features]
        return tuple(names.index(name) for name in self.carried)

    @property
    def width(self) -> int:
        """Number of values of a sample: one for each feature, or those of an image."""
        return len(self.features) if self.image is None else math.prod(self.image)

    @property
    def measured(self) -> tuple[Feature, ...]:
        """The features that recordings have: all but what a condition adds, and the time ahead."""
        return self.features[: len(self.features) - self.marked - self.time_ahead]

    @property
    def main(self) -> Metric:
        """The metric that selects on validation."""
        return self.scores[self.metric]

    @property
    def constructed(self) -> frozenset[str]:
        """Names of the splits built so far."""
        return frozenset(self._splits)

    def with_fold(self, fold: int) -> "Task":
        """The task on another of its outer splits, where other recordings are in test.

        Args:
            fold: from 0, which is the official one, to `folds` - 1.

        Returns:
            A task of which no split has been built yet; this one where it is that already.

        Raises:
            ValueError: for a split that the task does not offer; the message says why.
        """
        if fold == self.fold:
            return self
        if self.dealt is None or not 0 <= fold < self.folds:
            offered = "one outer split" if self.folds == 1 else f"{self.folds} outer splits"
            raise ValueError(
                f"task {self.name!r} offers {offered}, numbered from 0; got {fold}. The rule: {self.fold_rule}"
            )
        return replace(self, fold=fold, recordings=self.dealt(fold))

    def with_horizon(self, steps: int) -> "Task":
        """The task of forecasting: each step's target is the one of some steps later in the same recording.

        Targets are shifted within each recording of a split, whose last steps drop out, so that no target comes from
        another recording or split. Recordings that are too short, or know no later target, drop out whole. Where
        sampling is irregular and targets are not all equally far ahead in training, whose recordings are then read,
        models are told how far (`time_ahead`).

        Args:
            steps: how many steps later, at least 1.

        Returns:
            A task with a name and a `data_digest` of its own, of which no split has been built yet.

        Raises:
            ValueError: for fewer steps than 1, or a task with one target a sequence.

        Example:
            >>> task.with_horizon(5).name  # doctest: +SKIP
            'occupancy-5-ahead'
        """
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise ValueError(f"steps must be a whole number of at least 1; got {steps!r}")
        if self.per != "step":
            raise ValueError(f"task {self.name!r} has one target a sequence, and so none of some steps later")
        plural = "step" if steps == 1 else "steps"

        def shifted(recordings: Callable[[str], list[Recording]]) -> Callable[[str], list[Recording]]:
            def of(split: str) -> list[Recording]:
                later = [recording.ahead(steps) for recording in recordings(split) if len(recording) > steps]
                found = [one for one in later if one.target_mask is None or one.target_mask.any()]
                if not found:
                    raise ValueError(
                        f"task {self.name!r}, split {split!r}: no recording has a target {steps} {plural} ahead; "
                        "forecast fewer steps"
                    )
                return found

            return of

        dealt, recordings = self.dealt, shifted(self.recordings)
        told = self.irregular and not self.time_ahead and varies_ahead(recordings("train"))
        return replace(
            self,
            name=f"{self.name}-{steps}-ahead",
            title=f"{self.title}, {steps} {plural} ahead",
            description=f"{self.description} Each target is that of {steps} {plural} later"
            f"{'; models are told how much later that is' * told}.",
            features=(*self.features, *[time_ahead_feature(self.features, self.time_unit)] * told),
            time_ahead=self.time_ahead or told,
            recordings=recordings,
            dealt=None if dealt is None else lambda fold: shifted(dealt(fold)),
            data_digest=hashlib.sha256(f"{self.data_digest} {steps} ahead{', told' * told}".encode()).hexdigest(),
        )

    def split(self, name: str) -> Split:
        """The arrays of one split, built on the first call and kept.

        Args:
            name: ``"train"``, ``"validation"`` or ``"test"``.

        Raises:
            ValueError: for another name, or where the data break a promise of the task (in words).
        """
        if name not in SPLITS:
            raise ValueError(f"name must be one of {', '.join(SPLITS)}; got {name!r}")
        if name not in self._splits:
            recordings = self._checked(name)
            if name == "train" and "_fitted" not in vars(self):
                self.fix_scalers(*self._fit(recordings))
            split = self._assemble(recordings, name == "train")
            for other, built in self._splits.items() if not self.leak else ():
                self._check_apart(name, split, other, built)
            self._splits[name] = split
        return self._splits[name]

    def assemble(self, recordings: list[Recording], split: str) -> Split:
        """The arrays of recordings that belong to no split, cut as those of validation and test are.

        Args:
            recordings: at least one.
            split: what error messages call them.

        Raises:
            ValueError: where the data break a promise of the task.
        """
        return self._assemble(self._prepared(recordings, split), training=False)

    def fix_scalers(self, inputs: Scaler, targets: Scaler | None, timespan_unit: float) -> None:
        """Take these statistics in place of those of the training data, which are not read then."""
        self.__dict__["_fitted"] = (inputs, targets, timespan_unit)

    @property
    def timespan_unit(self) -> float:
        """What a time span of 1 stands for, in `time_unit`; it is the median positive span in training."""
        return self._fitted[2]

    @property
    def input_scaler(self) -> Scaler:
        """Statistics of the observed training values, in the features' units, and where values are clipped."""
        return self._fitted[0]

    @property
    def target_scaler(self) -> Scaler | None:
        """Statistics of the training targets; None where targets are left as they are."""
        return self._fitted[1]

    def trivial_predictions(self, split: str = "test") -> NDArray[np.float64]:
        """What the trivial predictor says, in the layout of a model's outputs.

        Returns:
            (sequence, time, outputs) or (sequence, outputs): logits, or values in the targets' scale.

        Raises:
            ValueError: the task has no trivial predictor.
        """
        if self.baseline is None:
            raise ValueError(f"task {self.name!r} has no trivial predictor: its baseline is None")
        asked = self.split(split)
        shape = (*asked.target_mask.shape, self.outputs)
        if self.baseline == "last value":
            steps = np.arange(asked.values.shape[1])[:, None]
            # Until a feature is observed this is the first step, whose value of 0 stands for the training mean.
            observed = np.maximum.accumulate(np.where(asked.mask, steps, 0), axis=1)
            last = np.take_along_axis(asked.values, observed, axis=1)
            return last[..., self.continued].astype(np.float64)
        train = self.split("train")
        known = train.targets[train.target_mask]
        if self.baseline == "mean":
            return np.broadcast_to(known.mean(axis=0, dtype=np.float64), shape)
        counts = np.bincount(known.astype(np.int64), minlength=self.outputs)
        # A class that training never saw would otherwise have probability 0 and cost infinity.
        return np.broadcast_to(np.log(np.maximum(counts, 0.5) / len(known)), shape)

    def trivial_score(self, metric: str | None = None, split: str = "test") -> float:
        """Score of the trivial predictor (`baseline`), which a model must beat to have learnt anything."""
        return self._score(self.trivial_predictions(split), metric, split)

    def linear_predictions(self, split: str = "test") -> NDArray[np.float64]:
        """What a linear model without memory says, in the layout of a model's outputs.

        Ridge regression with an intercept and a penalty of `LINEAR_PENALTY`, in closed form, fitted on the
        training steps (or sequences) with a target, as often as they are in training windows. Its inputs are,
        per step, the features at that step, with the mask where `missing`, and the logarithm of 1 + the time span
        where `irregular`; per sequence, the mean and the last observed value of each feature, with the share of
        steps that observe it where `missing`. Each has mean 0 and deviation 1 on training. Classes are fitted as
        columns of 0 and 1.

        Returns:
            (sequence, time, outputs) or (sequence, outputs): scores that serve as logits, or values in the
            targets' scale.

        Raises:
            ValueError: the task has no linear model.
        """
        if not self.linear:
            raise ValueError(f"task {self.name!r} has no linear model: its linear is False")
        train = self.split("train")
        inputs = self._linear_inputs(train)[train.target_mask]
        known = train.targets[train.target_mask]
        targets = np.eye(self.outputs)[known.astype(np.int64)] if self.kind == "classification" else known
        scaler = Scaler.fit(inputs, np.ones(inputs.shape, dtype=bool))
        inputs = (inputs - scaler.mean) / scaler.deviation
        intercept = targets.mean(axis=0, dtype=np.float64)
        penalised = inputs.T @ inputs + LINEAR_PENALTY * np.eye(inputs.shape[1])
        weights = np.linalg.solve(penalised, inputs.T @ (targets - intercept))
        return (self._linear_inputs(self.split(split)) - scaler.mean) / scaler.deviation @ weights + intercept

    def linear_score(self, metric: str | None = None, split: str = "test") -> float:
        """Score of `linear_predictions`, which a model must beat to have made use of its memory.

        Raises:
            ValueError: for an unknown metric or split, or where the metric is undefined.
        """
        return self._score(self.linear_predictions(split), metric, split)

    @property
    def judged_by(self) -> Measure:
        """What `judged` names: a measurement of the rollout, or else the main metric."""
        return next((one for one in self.measurements if one.name == self.judged), self.main)

    def facts(self) -> Facts:
        """What planning, verdicts and reports need to know of this task.

        Builds every split, so call it when models are chosen.
        """
        judged = self.judged_by
        main, known = self.main, {name: self.split(name).targets[self.split(name).target_mask] for name in SPLITS}
        return Facts(
            title=self.title,
            description=self.description,
            kind=self.kind,
            per=self.per,
            classes=self.classes,
            outputs=self.outputs,
            target_unit=self.target_unit,
            metric=judged.name,
            metrics=tuple(self.scores),
            metric_label=judged.label,
            higher_is_better=judged.higher_is_better,
            metric_unit=judged.unit,
            metric_range=judged.range,
            selection=None
            if judged is main
            else Measure(main.name, main.label, main.higher_is_better, main.range, main.unit),
            measurements=self.measurements,
            standardised_targets=self.kind == "regression" and self.standardise_targets,
            target_deviation=self._target_deviation,
            baseline=self.baseline or "",
            time_unit=self.time_unit,
            timespan_unit=self.timespan_unit,
            source=self.source,
            split_rule=self.split_rule,
            folds=self.folds,
            fold_rule=self.fold_rule,
            features=self.features,
            class_shares={}
            if self.classes is None
            else {name: shares_of(known[name], self.outputs) for name in SPLITS},
            constant=best_constant(main, known["test"], self.outputs) if judged is main else None,
            sequences={name: len(self.split(name)) for name in SPLITS},
            # Windows may overlap in training, rows do not.
            rows={name: len(_distinct(self.split(name).rows)) for name in SPLITS},
            irregular=self.irregular,
            missing=self.missing,
            image=self.image,
            worlds=self.worlds,
            window=self.window,
            digest=self.data_digest,
            warnings=(*[self.leak] * bool(self.leak), *self.warnings),
        )

    @property
    def _target_deviation(self) -> float | None:
        if self.target_scaler is None or self.outputs > 1:
            return None
        return float(self.target_scaler.deviation[0])

    def _score(self, predictions: NDArray[np.float64], metric: str | None, split: str) -> float:
        asked = self.split(split)
        name = metric or self.metric
        return score(self.scores.get(name, name), asked.targets[asked.target_mask], predictions[asked.target_mask])

    def _linear_inputs(self, split: Split) -> NDArray[np.float64]:
        """Inputs of the linear model, (sequence, time, columns) or (sequence, columns)."""
        if self.per == "step":
            extra = [split.mask] if self.missing else []
            extra += [np.log1p(split.timespans, dtype=np.float64)[..., None]] if self.irregular else []
            return np.concatenate([split.values, *extra], axis=-1, dtype=np.float64)
        counts = split.mask.sum(axis=1)
        # Where a feature is not observed its value is 0, the training mean.
        mean = split.values.sum(axis=1, dtype=np.float64) / np.maximum(counts, 1)
        steps = np.arange(split.values.shape[1])[:, None]
        latest = np.where(split.mask, steps, 0).max(axis=1, keepdims=True)
        last = np.take_along_axis(split.values, latest, axis=1)[:, 0].astype(np.float64)
        share = [counts / (split.rows >= 0).sum(axis=1, keepdims=True)] if self.missing else []
        return np.concatenate([mean, last, *share], axis=-1)

    @cached_property
    def _fitted(self) -> tuple[Scaler, Scaler | None, float]:
        return self._fit(self._checked("train"))

    def _fit(self, recordings: list[Recording]) -> tuple[Scaler, Scaler | None, float]:
        # Images are left as they are.
        inputs = Scaler(np.zeros(1), np.ones(1)) if self.image is not None else self._fit_inputs(recordings)
        targets = None
        if self.carried:
            at = list(self.continued)
            targets = Scaler(inputs.mean[at], inputs.deviation[at])
        elif self.kind == "regression" and self.standardise_targets:
            known = np.concatenate([self._known_targets(recording) for recording in recordings])
            targets = Scaler.fit(known, np.ones(known.shape, dtype=bool))
        spans = np.concatenate([recording.times[1:] - recording.times[:-1] for recording in recordings])
        positive = spans[spans > 0]
        return inputs, targets, float(f"{np.median(positive):.9g}") if len(positive) else 1.0

    def _fit_inputs(self, recordings: list[Recording]) -> Scaler:
        values = np.concatenate([recording.values for recording in recordings])
        measured = len(self.measured)
        inputs = Scaler.fit(
            values[:, :measured],
            np.concatenate([recording.observed[:, :measured] for recording in recordings]),
            # A forecast continues its column from wherever it has got to.
            clipped=np.array([feature.name not in self.carried and not self.alike for feature in self.measured]),
            alike=self.alike,
        )
        return inputs.with_time_ahead(values[:, -1]) if self.time_ahead else inputs

    def _known_targets(self, recording: Recording) -> NDArray[Any]:
        """The targets of a recording that are known, with a leading axis."""
        if self.per == "sequence":
            return np.asarray(recording.targets)[None]
        return recording.targets if recording.target_mask is None else recording.targets[recording.target_mask]

    def _checked(self, name: str) -> list[Recording]:
        return self._prepared(self.recordings(name), name)

    def _prepared(self, recordings: list[Recording], name: str) -> list[Recording]:
        """The recordings, checked, with all that models are told."""
        self._check_recordings(recordings, name)
        return [recording.telling_time_ahead() for recording in recordings] if self.time_ahead else recordings

    def _check_recordings(self, recordings: list[Recording], name: str) -> None:
        if not recordings:
            raise ValueError(f"task {self.name!r}: split {name!r} has no recordings")
        for recording in recordings:
            self._check_recording(recording, name)
        forms = {type(recording.environment) for recording in recordings}
        if type(None) in forms and len(forms) > 1:
            unknown = next(recording.name for recording in recordings if recording.environment is None)
            raise ValueError(
                f"task {self.name!r}, split {name!r}: environment must be a number for each recording or None for all; "
                f"recording {unknown!r} has None, others have numbers"
            )
        if np.ndarray in forms and (len(forms) > 1 or self.per == "sequence"):
            raise ValueError(
                f"task {self.name!r}, split {name!r}: environment must be a number for each recording, or an array for "
                f"each where steps have targets; got {', '.join(sorted(form.__name__ for form in forms))}"
            )

    def _check_recording(self, recording: Recording, split: str) -> None:
        def refuse(problem: str) -> None:
            raise ValueError(f"task {self.name!r}, split {split!r}, recording {recording.name!r}: {problem}")

        steps = len(recording)
        if not steps:
            refuse("has no steps")
        if steps <= self.context:
            refuse(f"has {steps} steps, none of them after the context of {self.context} that are not scored")
        shape = (steps, len(self.measured) if self.image is None else self.width)
        if recording.values.shape != shape:
            told = ", without the time ahead" * self.time_ahead
            refuse(f"values must have shape {shape}{told}; got {recording.values.shape}")
        if self.image is not None and recording.values.dtype != np.uint8:
            refuse(f"values must be uint8, as the task has images; got {recording.values.dtype}")
        seen = (steps, len(self.measured))
        if recording.mask is not None and recording.mask.shape != seen:
            refuse(f"mask must have shape {seen}, one entry for each feature; got {recording.mask.shape}")
        if recording.row_numbers.shape != (steps,):
            refuse(f"rows must have shape {(steps,)}; got {recording.row_numbers.shape}")
        if recording.mask is not None and not self.missing and not recording.mask.all():
            refuse("has unobserved values, so the task must say missing=True")
        if isinstance(recording.environment, np.ndarray) and recording.environment.shape != (steps,):
            refuse(f"environment must be a number, or have shape {(steps,)}; got {recording.environment.shape}")
        if not np.isfinite(recording.times).all() or (recording.times[1:] < recording.times[:-1]).any():
            refuse("times must be finite and never decrease; sort the rows by time")
        if self.time_ahead:
            of_targets = np.array(None) if recording.target_times is None else recording.target_times
            if of_targets.shape != (steps,):
                got = None if recording.target_times is None else of_targets.shape
                refuse(f"target_times must have shape {(steps,)}, as the task tells the time ahead; got {got}")
            elif not np.isfinite(of_targets).all() or (of_targets < recording.times).any():
                refuse("target_times must be finite and never before the times of their steps")
        if self.image is None:
            bad = ~np.isfinite(recording.values)
            if recording.mask is not None:
                bad &= recording.mask
            if bad.any():
                step, column = np.argwhere(bad)[0]
                refuse(f"value of {self.features[column].name!r} at step {step} is not finite but marked as observed")
        targets = np.asarray(recording.targets)
        expected = (steps,) if self.per == "step" else ()
        if self.kind == "regression":
            expected = (*expected, self.outputs)
        if targets.shape != expected:
            refuse(f"targets must have shape {expected}; got {targets.shape}")
        known = self._known_targets(recording)
        if self.classes is None:
            if not np.isfinite(known).all():
                refuse("targets must be finite where target_mask does not exclude them")
        elif known.size and not 0 <= known.min() <= known.max() < self.outputs:
            refuse(f"targets must be class numbers from 0 to {self.outputs - 1}; got {known.min()} to {known.max()}")

    def _assemble(self, recordings: list[Recording], training: bool) -> Split:
        inputs, target_scaler, unit = self._fitted
        scored = (self.window or 0) - self.context
        step = self.stride or scored if training else scored
        pieces = [
            (recording, slice(start, start + (self.window or len(recording))))
            for recording in recordings
            for start in window_starts(len(recording), self.window, step)
        ]
        time = max(len(recording.times[piece]) for recording, piece in pieces)
        size = (len(pieces), time)
        seen = len(self.measured) + self.time_ahead
        if self.image is None:
            values = np.zeros((*size, seen), dtype=np.float32)
        else:
            values = np.zeros((*size, self.width), dtype=np.uint8)
        timespans = np.zeros(size, dtype=np.float32)
        mask = np.zeros((*size, seen), dtype=bool)
        rows = np.full(size, -1, dtype=np.int64)
        target_mask = np.zeros(size if self.per == "step" else size[:1], dtype=bool)
        if self.kind == "classification":
            targets = np.zeros(target_mask.shape, dtype=np.int64)
        else:
            targets = np.zeros((*target_mask.shape, self.outputs), dtype=np.float32)

        # Made once: of a recording of a million rows there are a hundred thousand pieces.
        whole = {id(recording): (recording.observed, recording.row_numbers) for recording in recordings}
        lengths = np.array([len(recording.times[piece]) for recording, piece in pieces])
        # Many pieces at a time: of short ones there are tens of thousands.
        many = max(_BATCH // (time * self.width), 1)
        for first in range(0, len(pieces), many):
            batch, long = pieces[first : first + many], lengths[first : first + many]
            starts = np.cumsum(long) - long
            sequences = slice(first, first + len(batch))
            step = np.arange(long.sum()) - np.repeat(starts, long)
            here = (np.repeat(np.arange(first, first + len(batch)), long), step)
            observed = np.concatenate([whole[id(recording)][0][piece] for recording, piece in batch])
            raw = np.concatenate([recording.values[piece] for recording, piece in batch])
            values[here] = np.where(observed, raw if self.image is not None else inputs.standardise(raw), 0)
            mask[here] = observed
            rows[here] = np.concatenate([whole[id(recording)][1][piece] for recording, piece in batch])
            times = np.concatenate([recording.times[piece] for recording, piece in batch])
            spans = np.zeros((len(batch), time))
            before = np.roll(times, 1)
            before[starts] = times[starts] - unit
            spans[here[0] - first, step] = (times - before) / unit
            timespans[sequences] = carry_spans(spans, np.any(mask[sequences], axis=2))
            if self.per == "step":
                known = np.concatenate(
                    [
                        np.ones(length, dtype=bool) if recording.target_mask is None else recording.target_mask[piece]
                        for (recording, piece), length in zip(batch, long, strict=True)
                    ]
                )
                known &= step >= self.context
                batch_targets = np.concatenate([recording.targets[piece] for recording, piece in batch])
            else:
                here, known = sequences, np.ones(len(batch), dtype=bool)
                batch_targets = np.array([recording.targets for recording, _ in batch])
            if target_scaler is not None:
                batch_targets = target_scaler.standardise(batch_targets)
            target_mask[here] = known
            targets[here] = np.where(known[..., None] if targets.ndim > target_mask.ndim else known, batch_targets, 0)
        names = tuple(recording.name for recording, _ in pieces)
        groups = tuple(recording.group for recording, _ in pieces)
        environments = None
        if isinstance(recordings[0].environment, np.ndarray):
            told = (np.asarray(recording.environment)[piece] for recording, piece in pieces)
            if self.environment_of == "window":
                told = (one[(self.context + len(one)) // 2] for one in told)
            else:
                told = (np.pad(one, (0, time - len(one)), mode="edge") for one in told)
            environments = np.stack(list(told)).astype(np.int64)
        elif recordings[0].environment is not None:
            environments = np.array([recording.environment for recording, _ in pieces], dtype=np.int64)
        split = Split(
            *(values, timespans, mask, targets, target_mask, rows, names, groups, environments),
            time_ahead=self.time_ahead,
        )
        return split if self.conditioned is None else self.conditioned(split)

    def _check_apart(self, name: str, split: Split, other: str, built: Split) -> None:
        rows, built_rows = _distinct(split.rows), _distinct(built.rows)
        shared = np.intersect1d(rows, built_rows, assume_unique=True)
        if len(shared):
            raise ValueError(
                f"task {self.name!r}: {len(shared)} raw rows are in both {name!r} and {other!r}, "
                f"the first of them row {shared[0]}"
            )
        common = sorted(set(split.recordings) & set(built.recordings))
        if self.gap is None:
            for what, shared in (("recordings", common), ("groups", sorted(set(split.groups) & set(built.groups)))):
                if shared:
                    raise ValueError(
                        f"task {self.name!r}: {what} {', '.join(map(repr, shared[:3]))} are in both {name!r} and "
                        f"{other!r}; keep each in one split, or cut a recording in time and declare a gap"
                    )
        for recording in common:
            distance = _distance(_rows_of(split, recording), _rows_of(built, recording))
            if self.gap is not None and distance - 1 < self.gap:
                raise ValueError(
                    f"task {self.name!r}: {name!r} and {other!r} come within {distance - 1} rows of each "
                    f"other in recording {recording!r}; the declared gap is {self.gap}"
                )


def check(task: Task) -> None:
    """Build every split of a task, which checks the data and that the splits stay apart.

    Raises:
        ValueError: in words, where the data break a promise of the task.
    """
    for name in SPLITS:
        task.split(name)


def _rows_of(split: Split, recording: str) -> NDArray[np.int64]:
    return _distinct(split.rows[np.array([name == recording for name in split.recordings])])


def _distinct(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row numbers, sorted, once each; sorting millions of them is much faster than NumPy's hashing of them."""
    ordered = np.sort(rows[rows >= 0])
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _distance(rows: NDArray[np.int64], others: NDArray[np.int64]) -> int:
    following = np.clip(np.searchsorted(others, rows), 0, len(others) - 1)
    preceding = np.maximum(following - 1, 0)
    return int(np.minimum(np.abs(others[following] - rows), np.abs(others[preceding] - rows)).min())
