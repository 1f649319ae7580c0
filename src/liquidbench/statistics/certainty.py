"""How sure models are, and whether that is true, from stored predictions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench import calibration, conformal
from liquidbench.metrics import score
from liquidbench.predictions import Predicted, place_of_key
from liquidbench.statistics.task_results import TaskResults
from liquidbench.wording import percent

SHARE = 0.9
"""The share of targets that intervals and sets of reports are to hold."""

CENTRES = tuple((bin + 0.5) / 10 for bin in range(10))
"""Centres of the bins of confidence in reliability diagrams."""

NOMINAL = tuple(level / 10 for level in range(1, 10))
"""The shares that intervals of values are to hold, in reliability diagrams."""

KEPT = tuple(share / 10 for share in range(1, 11))
"""The shares of predictions kept, in curves of risk against coverage."""

FEWEST_IN_BIN = 10
"""Predictions in a bin of a reliability diagram at least; the share of fewer that is true is mostly chance."""

CERTAINTY_RULE = (
    f"Intervals and sets are to hold {percent(SHARE)} of the targets. They are those of split conformal prediction, "
    "with scores of validation: absolute errors of values, 1 minus the probability of a class. That is a promise for "
    "targets that come about as those of validation did. Validation also chose the network, and shifted data are not "
    "alike, so coverage is measured. An ensemble takes the mean of the probabilities, or values, of one model’s seeds. "
    "It is scored on unchanged data only, as each seed draws a shift of its own."
)

Place = tuple[str, float]
"""The key of a shift and its level; ("", 0.0) is unchanged data."""

CLEAN: Place = ("", 0.0)


@dataclass(frozen=True)
class Certainty:
    """How sure a model is on a task and how true that is: means over its runs, on test.

    Attributes:
        task: the task's name.
        model: the model's name.
        members: number of networks in each ensemble; 1 for single networks.
        runs: number of runs, or ensembles.
        left_out: number of runs without stored predictions.
        numbers: ``calibration_error``, and of classes ``tempered_error`` (after temperature scaling on validation),
            ``brier`` and ``cross_entropy``; ``area_under_risk`` where there is a confidence, as of classes and of
            ensembles. Those that are undefined are absent.
        coverage: the share of targets in intervals or sets, and their mean width or size, by place; empty with too few
            validation targets.
        reliability: how often what was said came true minus how often it was said to, by confidence (`CENTRES`), or by
            the share that intervals are to hold (`NOMINAL`).
        risk: share of wrong classes, or mean absolute error, among the surest predictions, by the share kept (`KEPT`).
    """

    task: str
    model: str
    members: int
    runs: int
    left_out: int
    numbers: Mapping[str, float]
    coverage: Mapping[Place, tuple[float, float]]
    reliability: Mapping[float, float]
    risk: Mapping[float, float]


def certainties(task: TaskResults, predicted: Callable[[str], Mapping[str, Predicted] | None]) -> list[Certainty]:
    """The certainty of each matched model of a task, and of its seeds as an ensemble.

    Args:
        task: the task.
        predicted: ``predicted(run_id)`` returns a run's predictions, or None (`liquidbench.predictions.found`).
    """
    found = []
    for model in task.models:
        runs = task.scores(model)
        ids = {place: task.cells[model, "matched"][place].run for place in sorted(runs)}
        read = {place: known for place, run in ids.items() if (known := predicted(run)) is not None}
        made = [_measured(known) for known in read.values()]
        found.append(_mean(task.name, model, 1, made, len(ids) - len(read)))
        folds = {fold: [known for (at, _), known in read.items() if at == fold] for fold, _ in read}
        sizes = {len(members) for members in folds.values()}
        if len(sizes) == 1 and min(sizes) > 1:
            ensembles = [_measured(*_together(members)) for members in folds.values()]
            found.append(_mean(task.name, model, sizes.pop(), ensembles, 0))
    return found


@dataclass(frozen=True)
class _Measured:
    numbers: dict[str, float]
    coverage: dict[Place, tuple[float, float]]
    reliability: dict[float, float]
    risk: dict[float, float]


def _mean(task: str, model: str, members: int, made: Sequence[_Measured], left_out: int) -> Certainty:
    def mean(parts: Sequence[Mapping[Any, float]]) -> dict[Any, float]:
        """Of what all have."""
        names = [name for name in parts[0] if all(name in part for part in parts)] if parts else []
        return {name: fmean(part[name] for part in parts) for name in names}

    covered, sizes = (mean([{at: one[i] for at, one in part.coverage.items()} for part in made]) for i in (0, 1))
    # Bins that one run has and another lacks still say something.
    said = {at for part in made for at in part.reliability}
    return Certainty(
        task=task,
        model=model,
        members=members,
        runs=len(made),
        left_out=left_out,
        numbers=mean([part.numbers for part in made]),
        coverage={at: (share, sizes[at]) for at, share in covered.items()},
        reliability={at: fmean(part.reliability[at] for part in made if at in part.reliability) for at in sorted(said)},
        risk=mean([part.risk for part in made]),
    )


def _together(
    members: Sequence[Mapping[str, Predicted]],
) -> tuple[dict[str, Predicted], dict[str, NDArray[np.float64]]]:
    """The predictions of an ensemble, and of values how far its members are apart; validation and unchanged test."""
    joined: dict[str, Predicted] = {}
    spread: dict[str, NDArray[np.float64]] = {}
    for key in ("validation", "test"):
        targets, every = members[0][key][0], np.stack([member[key][1].astype(np.float64) for member in members])
        if np.issubdtype(targets.dtype, np.integer):
            # Logits of the mean probabilities, floored where float64 has none.
            mean = np.maximum(calibration.softmax(every).mean(axis=0), np.finfo(np.float64).tiny)
            joined[key] = targets, np.log(mean)
        else:
            joined[key] = targets, every.mean(axis=0)
            spread[key] = every.std(axis=0)
    return joined, spread


def _measured(known: Mapping[str, Predicted], spread: Mapping[str, NDArray[np.float64]] | None = None) -> _Measured:
    targets, _ = known["test"]
    return _of_classes(known) if np.issubdtype(targets.dtype, np.integer) else _of_values(known, spread or {})


def _of_classes(known: Mapping[str, Predicted]) -> _Measured:
    targets, logits = known["test"]
    shares = calibration.softmax(logits)
    wrong, sure = shares.argmax(axis=1) != targets, shares.max(axis=1)
    numbers = {
        "calibration_error": calibration.reliability(targets, shares).error,
        "brier": calibration.brier(targets, shares),
        "cross_entropy": score("cross_entropy", targets, logits),
        "area_under_risk": calibration.area_under_risk(wrong, sure),
    }
    try:
        tempered = calibration.softmax(logits / calibration.temperature(*known["validation"]))
        numbers["tempered_error"] = calibration.reliability(targets, tempered).error
    except ValueError:
        # No temperature is best, as where all of validation is right.
        pass
    bins = calibration.reliability(targets, shares, len(CENTRES))
    centres = [CENTRES[math.ceil(said * len(CENTRES) - 1e-9) - 1] for said in bins.said]
    reliability = {
        centre: float(true - said)
        for centre, said, true, count in zip(centres, bins.said, bins.true, bins.counts, strict=True)
        if count >= FEWEST_IN_BIN
    }
    labels, validated = known["validation"]
    scores = conformal.lac(calibration.softmax(validated))[np.arange(len(labels)), labels]
    coverage = {}
    if len(scores) >= conformal.fewest(1 - SHARE):
        bound = conformal.quantile(scores, 1 - SHARE)
        for place, (true, answers) in _tested(known).items():
            sets = conformal.lac(calibration.softmax(answers)) <= bound
            coverage[place] = conformal.set_coverage(true, sets), float(sets.sum(axis=1).mean())
    return _Measured(numbers, coverage, reliability, _risk(wrong, sure))


def _of_values(known: Mapping[str, Predicted], spread: Mapping[str, NDArray[np.float64]]) -> _Measured:
    targets, values = known["test"]
    numbers, coverage, risk = {}, {}, {}
    scores, errors = conformal.absolute(*known["validation"]), conformal.absolute(targets, values)
    reliability = {
        level: float(np.mean(errors <= conformal.quantile(scores, 1 - level))) - level
        for level in NOMINAL
        if len(scores) >= conformal.fewest(1 - level)
    }
    if len(reliability) == len(NOMINAL):
        numbers["calibration_error"] = fmean(map(abs, reliability.values()))
    if len(scores) >= conformal.fewest(1 - SHARE):
        bound = conformal.quantile(scores, 1 - SHARE)
        for place, (true, answers) in _tested(known).items():
            lower, upper = conformal.interval(answers, bound)
            coverage[place] = conformal.coverage(true, lower, upper), float(np.mean(upper - lower))
    if "test" in spread:
        lost, sure = errors.mean(axis=1), -spread["test"].mean(axis=1)
        numbers["area_under_risk"] = calibration.area_under_risk(lost, sure)
        risk = _risk(lost, sure)
    return _Measured(numbers, coverage, reliability, risk)


def _tested(known: Mapping[str, Predicted]) -> dict[Place, Predicted]:
    """Targets and predictions of test by place, where there are some and all are numbers."""
    return {
        place_of_key(key): (targets, values)
        for key, (targets, values) in known.items()
        if key != "validation" and len(values) and np.isfinite(values).all()
    }


def _risk(losses: NDArray[Any], sure: NDArray[np.float64]) -> dict[float, float]:
    _, risk = calibration.risk_coverage(losses, sure)
    return {share: float(risk[max(math.ceil(share * len(risk) - 1e-9), 1) - 1]) for share in KEPT}
