"""What is known of a task where its data and its code are not: all that planning, judging and reporting ask."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from liquidbench.metrics import METRICS, Measure

DRIFT = 0.1
"""Classes' shares that differ by more between training and test (`Facts.drift`) are told of."""


@dataclass(frozen=True)
class Feature:
    """One measured quantity and its unit, ``"1"`` where it has none."""

    name: str
    unit: str


@dataclass(frozen=True)
class Source:
    """Where data come from and on what terms."""

    title: str
    url: str
    licence: str
    citation: str


@dataclass(frozen=True)
class Facts:
    """Facts of a task, as ``tasks.json`` keeps them; `liquidbench.tasks.task.Task` says more of those it shares.

    Without arguments, those of a task of which nothing is known.

    Attributes:
        metric: name of the score that verdicts are about.
        metric_label: what reports call that score.
        higher_is_better: its direction.
        metric_unit: its unit.
        metric_range: the least and the greatest there can be; None for those of the metric of this name.
        metrics: names of all scores of predictions.
        selection: the score that chooses on validation; None where it is the one that verdicts are about.
        measurements: what its rollout measures, the score of verdicts among them if it is one.
        standardised_targets: whether scores of predictions are in standard deviations of the training targets.
        baseline: the trivial predictor; "" where there is none.
        timespan_unit: what a time span of 1 stands for, in `time_unit`; 0 where it is not known.
        class_shares: of the scored targets of a classification, each class's share, by split.
        constant: the best that a constant prediction can score on test by `metric` (`metrics.best_constant`).
        sequences: how many there are, by split.
        rows: how many raw rows there are, by split.
        digest: checksum of the data.
        checked: a mark of what the task was checked with; "" where it was not.
    """

    title: str = ""
    description: str = ""
    kind: str = ""
    per: str = ""
    classes: tuple[str, ...] | None = None
    outputs: int = 0
    target_unit: str = "1"
    metric: str = ""
    metrics: tuple[str, ...] = ()
    metric_label: str = ""
    higher_is_better: bool = True
    metric_unit: str = "1"
    metric_range: tuple[float, float] | None = None
    selection: Measure | None = None
    measurements: tuple[Measure, ...] = ()
    standardised_targets: bool = False
    baseline: str = ""
    time_unit: str = ""
    timespan_unit: float = 0.0
    source: Source | None = None
    split_rule: str = ""
    folds: int = 1
    fold_rule: str = ""
    features: tuple[Feature, ...] = ()
    class_shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    constant: float | None = None
    sequences: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    irregular: bool = False
    missing: bool = False
    window: int | None = None
    digest: str = ""
    warnings: tuple[str, ...] = ()
    checked: str = ""

    @property
    def known(self) -> bool:
        """Whether anything is known of the task."""
        return self != Facts()

    @property
    def measure(self) -> Measure:
        """The score that verdicts are about."""
        ends = self.metric_range or getattr(METRICS.get(self.metric), "range", (-math.inf, math.inf))
        return Measure(
            self.metric, self.metric_label or self.metric or "Score", self.higher_is_better, ends, self.metric_unit
        )

    @property
    def selecting(self) -> Measure:
        """The score that chooses on validation."""
        return self.selection or self.measure

    @property
    def drift(self) -> float:
        """What part of test would have to be of another class for its classes' shares to be those of training."""
        train, test = (self.class_shares.get(split, ()) for split in ("train", "test"))
        return sum(abs(one - other) for one, other in zip(train, test, strict=False)) / 2

    @property
    def linear_name(self) -> str:
        """The linear model that is set beside networks, in words: what it reads depends on what a target belongs to."""
        reads = "each feature's mean and last value" if self.per == "sequence" else "the current step"
        return f"a linear model of {reads}"

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        told = asdict(self)
        for measure in filter(None, (told["selection"], *told["measurements"])):
            measure["range"] = _bounds(measure["range"])
        return told | {"metric_range": None if self.metric_range is None else _bounds(self.metric_range)}

    @classmethod
    def from_json(cls, told: Any) -> Self:
        """What `to_json` gave, of this version or of one that told less or more.

        Raises:
            ValueError: for what are no facts.
        """
        if not isinstance(told, Mapping):
            raise ValueError(f"facts of a task must be a mapping; got {type(told).__name__}")
        blank, found = cls(), {}
        for name in (one.name for one in fields(cls)):
            if name not in told:
                continue
            try:
                found[name] = _READERS[name](told[name]) if name in _READERS else told[name]
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(f"{name} of a task cannot be read: {error}") from error
            expected: tuple[type, ...] = _TYPES.get(name, (type(getattr(blank, name)),))
            if not isinstance(found[name], expected):
                raise ValueError(f"{name} of a task must be of type {expected[0].__name__}; got {told[name]!r}")
        return cls(**found)


def _bounds(ends: tuple[float, float]) -> list[float | None]:
    """A range without infinities, which JSON does not have."""
    return [end if math.isfinite(end) else None for end in ends]


def _range(told: Any) -> tuple[float, float]:
    least, most = told
    return (-math.inf if least is None else float(least), math.inf if most is None else float(most))


def _measure(told: Any) -> Measure:
    return Measure(**{**told, "range": _range(told["range"])})


def _all_text(told: Any) -> tuple[str, ...]:
    if isinstance(told, str) or not all(isinstance(one, str) for one in told):
        raise ValueError(f"it must be a list of texts; got {told!r}")
    return tuple(told)


_READERS = {
    "classes": lambda told: None if told is None else _all_text(told),
    "metrics": _all_text,
    "warnings": _all_text,
    "metric_range": lambda told: None if told is None else _range(told),
    "selection": lambda told: None if told is None else _measure(told),
    "class_shares": lambda told: {split: tuple(map(float, shares)) for split, shares in told.items()},
    "measurements": lambda told: tuple(map(_measure, told)),
    "source": lambda told: None if told is None else Source(**told),
    "features": lambda told: tuple(Feature(**one) for one in told),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "classes": (tuple, type(None)),
    "constant": (float, int, type(None)),
    "metric_range": (tuple, type(None)),
    "selection": (Measure, type(None)),
    "source": (Source, type(None)),
    "timespan_unit": (float, int),
    "window": (int, type(None)),
}
