"""Facts of a task: what planning, verdicts and reports need when its data and code are not available."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from liquidbench.metrics import METRICS, Measure

DRIFT = 0.1
"""Reports warn if `Facts.drift` between training and test is larger."""


@dataclass(frozen=True)
class Feature:
    """One measured quantity and its unit, ``"1"`` if it has none."""

    name: str
    unit: str


@dataclass(frozen=True)
class Source:
    """Origin and licence of data."""

    title: str
    url: str
    licence: str
    citation: str


@dataclass(frozen=True)
class Facts:
    """Facts of a task, as stored in ``tasks.json``; `liquidbench.tasks.task.Task` documents the shared attributes.

    ``Facts()`` stands for a task about which nothing is known.

    Attributes:
        metric: name of the main metric, on which verdicts are based.
        metric_label: its name in reports.
        higher_is_better: its direction.
        metric_unit: its unit.
        metric_range: its smallest and largest possible value; None for those of the metric of this name.
        metrics: names of all metrics of predictions.
        selection: the score on validation that model selection uses; None for the main metric.
        measurements: what its rollout measures, the main metric among them if it is one.
        standardised_targets: whether scores of predictions are in standard deviations of the training targets.
        target_deviation: standard deviation of the training targets, in `target_unit`, if targets are standardised and
            a model has one output; else None.
        baseline: the trivial predictor; "" if there is none.
        timespan_unit: length of a time span of 1, in `time_unit`; 0 if unknown.
        class_shares: share of each class among the scored targets of a classification, by split.
        constant: the best score on test that a constant prediction can have (`metrics.best_constant`).
        sequences: number of sequences by split.
        rows: number of raw rows by split.
        digest: checksum of the data.
        checked: hash of what the task was checked with; "" if it was not checked.
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
    target_deviation: float | None = None
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
    image: tuple[int, ...] | None = None
    worlds: tuple[str, ...] = ()
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
        """The main metric."""
        ends = self.metric_range or getattr(METRICS.get(self.metric), "range", (-math.inf, math.inf))
        return Measure(
            self.metric, self.metric_label or self.metric or "Score", self.higher_is_better, ends, self.metric_unit
        )

    @property
    def selecting(self) -> Measure:
        """The score on validation that model selection uses."""
        return self.selection or self.measure

    @property
    def drift(self) -> float:
        """Total variation distance between the class shares of the training and the test split."""
        train, test = (self.class_shares.get(split, ()) for split in ("train", "test"))
        return sum(abs(one - other) for one, other in zip(train, test, strict=False)) / 2

    @property
    def linear_name(self) -> str:
        """The linear model that networks are compared with, in words; its inputs depend on `per`."""
        reads = "each feature's mean and last value" if self.per == "sequence" else "the current step"
        return f"a linear model of {reads}"

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can represent."""
        content = asdict(self)
        for measure in filter(None, (content["selection"], *content["measurements"])):
            measure["range"] = _bounds(measure["range"])
        return content | {"metric_range": None if self.metric_range is None else _bounds(self.metric_range)}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Facts from the result of `to_json` in this version, or in one with fewer or more attributes.

        Raises:
            ValueError: if an attribute has a wrong type.
        """
        if not isinstance(content, Mapping):
            raise ValueError(f"facts of a task must be a mapping; got {type(content).__name__}")
        blank, found = cls(), {}
        for name in (one.name for one in fields(cls)):
            if name not in content:
                continue
            try:
                found[name] = _READERS[name](content[name]) if name in _READERS else content[name]
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(f"{name} of a task cannot be read: {error}") from error
            expected: tuple[type, ...] = _TYPES.get(name, (type(getattr(blank, name)),))
            if not isinstance(found[name], expected):
                raise ValueError(f"{name} of a task must be of type {expected[0].__name__}; got {content[name]!r}")
        return cls(**found)


def _bounds(ends: tuple[float, float]) -> list[float | None]:
    """A range without infinities, which JSON does not have."""
    return [end if math.isfinite(end) else None for end in ends]


def _range(content: Any) -> tuple[float, float]:
    least, most = content
    return (-math.inf if least is None else float(least), math.inf if most is None else float(most))


def _measure(content: Any) -> Measure:
    return Measure(**{**content, "range": _range(content["range"])})


def _all_text(content: Any) -> tuple[str, ...]:
    if isinstance(content, str) or not all(isinstance(one, str) for one in content):
        raise ValueError(f"it must be a list of strings; got {content!r}")
    return tuple(content)


_READERS = {
    "classes": lambda content: None if content is None else _all_text(content),
    "metrics": _all_text,
    "worlds": _all_text,
    "image": lambda content: None if content is None else tuple(map(int, content)),
    "warnings": _all_text,
    "metric_range": lambda content: None if content is None else _range(content),
    "selection": lambda content: None if content is None else _measure(content),
    "class_shares": lambda content: {split: tuple(map(float, shares)) for split, shares in content.items()},
    "measurements": lambda content: tuple(map(_measure, content)),
    "source": lambda content: None if content is None else Source(**content),
    "features": lambda content: tuple(Feature(**one) for one in content),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "classes": (tuple, type(None)),
    "constant": (float, int, type(None)),
    "image": (tuple, type(None)),
    "metric_range": (tuple, type(None)),
    "selection": (Measure, type(None)),
    "source": (Source, type(None)),
    "target_deviation": (float, int, type(None)),
    "timespan_unit": (float, int),
    "window": (int, type(None)),
}
