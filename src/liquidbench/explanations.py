"""What a kept network does on test, as arrays in one file beside it, from which reports draw.

`liquidbench.explaining` computes it. ``explanation.npz`` has a checksum and the run of the network that it is of, so
that it is never shown for another.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench import kept
from liquidbench.folder import ModelFolder

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles over units of the time constants that are kept."""

_ARRAYS = ("times", "spans", "values", "attributions", "time_constants")
_LESIONS = {"lesions": "lesion", "synapses": "synapse"}
"""What lesions an explanation has, and how the names of their arrays begin."""
_OF_LESIONS = ("units", "effects")


@dataclass(frozen=True, eq=False)
class Record:
    """One prediction for one test sequence; n steps, those with any observation, up to that of the prediction.

    Attributes:
        name: the recording.
        output: what is predicted: a class, or a target.
        score: the predicted number that is attributed, see `Explanation.score`.
        baseline: that number for an input of zeros, the mean of each feature.
        times: (n,) in the task's time unit, from 0.
        spans: (n,) time since the sample before.
        values: (n, features), standardised; NaN where unobserved.
        attributions: (n, features), shares of ``score - baseline``.
        time_constants: (len(`QUANTILES`), n) of the layer's units, in the task's time unit; None if it has none.
    """

    name: str
    output: str
    score: float
    baseline: float
    times: NDArray[np.float64]
    spans: NDArray[np.float64]
    values: NDArray[np.float32]
    attributions: NDArray[np.float32]
    time_constants: NDArray[np.float32] | None

    @property
    def gap(self) -> float:
        """Error of the integral: what the attributions do not add up to."""
        return self.score - self.baseline - float(self.attributions.sum(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Lesions:
    """What a score becomes as single neurons, units or synapses are taken out.

    Attributes:
        metric: name of the score, as reports call it.
        higher_is_better: its direction.
        whole: the score without a lesion.
        units: (n,) numbers of those that were taken out, each alone.
        effects: (n,) score with a lesion minus ``whole``.
        kinds: of neurons their kind in the wiring, of synapses what they connect; "" for units.
        of_units: number of all of them in the layer.
        sequences: number of test sequences that were scored.
        of_sequences: number of those there are.
        part: what they are: "neuron", "unit" or "synapse".
    """

    metric: str
    higher_is_better: bool
    whole: float
    units: NDArray[np.int64]
    effects: NDArray[np.float64]
    kinds: tuple[str, ...]
    of_units: int
    sequences: int
    of_sequences: int
    part: str = "neuron"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network does on the test split of its task.

    Attributes:
        run: id of the run that trained it.
        model: its name.
        features: names of the columns of `Record.values`.
        time_unit: unit of all times.
        score: what is attributed, in words.
        records: a few predictions.
        lesions: of neurons, or of units of a layer without a wiring; None if there are none.
        missing: why something is missing, a sentence each.
        synapses: lesions of synapses; None without a wiring.
    """

    run: str
    model: str
    features: tuple[str, ...]
    time_unit: str
    score: str
    records: Sequence[Record]
    lesions: Lesions | None
    missing: tuple[str, ...] = ()
    synapses: Lesions | None = None


def write(found: Explanation, folder: str | os.PathLike[str]) -> Path:
    """Write an explanation beside the network that it is of, atomically.

    Args:
        found: the explanation.
        folder: the network's folder.

    Returns:
        The file.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for number, record in enumerate(found.records):
        arrays |= {f"{name}_{number}": part for name in _ARRAYS if (part := getattr(record, name)) is not None}
    about = {name: getattr(found, name) for name in ("run", "model", "features", "time_unit", "score", "missing")}
    about["records"] = [
        {name: getattr(record, name) for name in ("name", "output", "score", "baseline")} for record in found.records
    ]
    for of, prefix in _LESIONS.items():
        lesions = getattr(found, of)
        if lesions is not None:
            arrays |= {f"{prefix}_{name}": getattr(lesions, name) for name in _OF_LESIONS}
            about[of] = {name: value for name, value in vars(lesions).items() if name not in _OF_LESIONS}
    return kept.attach(ModelFolder(folder).explanation, found.run, about, arrays)


def read(folder: str | os.PathLike[str]) -> Explanation:
    """Read what `write` wrote.

    Raises:
        FileNotFoundError: if there is no explanation, or no network that it could be of.
        DamagedFileError: if it has changed, or is of another network than the one in the folder.
    """
    return kept.attached(ModelFolder(folder).explanation, _parsed)


def _parsed(about: dict[str, Any], arrays: dict[str, Any]) -> Explanation:
    def named(form: str, names: Sequence[str]) -> dict[str, Any]:
        return {name: arrays.get(form.format(name)) for name in names}

    lesions: dict[str, Any] = {}
    for of, prefix in _LESIONS.items():
        told = about.pop(of, None)
        lesions[of] = told and Lesions(**{**told, "kinds": tuple(told["kinds"])}, **named(prefix + "_{}", _OF_LESIONS))
    records = [
        Record(**record, **named(f"{{}}_{number}", _ARRAYS)) for number, record in enumerate(about.pop("records"))
    ]
    about |= {name: tuple(about[name]) for name in ("features", "missing")}
    return Explanation(**about, records=records, **lesions)


def of_task(directory: str | os.PathLike[str], task: str) -> list[Explanation]:
    """The explanations of a task's kept networks, in the order of their folders.

    A damaged one is left out with a warning.

    Args:
        directory: the study's folder.
        task: the task's name.
    """
    return kept.attached_of_task(directory, task, lambda folder: folder.explanation, read)


def time_quantiles(constants: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """`QUANTILES` over units of time constants (n, units), (len(`QUANTILES`), n)."""
    # Constants may be infinite, between which nothing can be interpolated.
    return np.quantile(constants, QUANTILES, axis=1, method="nearest").astype(np.float32)


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of the numbers below count, evenly spaced, ends included.

    Example:
        >>> evenly(10, 4), evenly(2, 4)
        (array([0, 3, 6, 9]), array([0, 1]))
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
