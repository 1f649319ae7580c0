"""What a kept network does on test, as arrays in one file beside it, from which reports draw.

`liquidbench.explaining` computes it. ``explanation.npz`` has a checksum and the run of the network that it is of, so
that it is never shown for another.
"""

import io
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench import kept
from liquidbench.folder import ModelFolder, StudyFolder
from liquidbench.system import storage
from liquidbench.system.packed import check_zip

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles over units of the time constants that are kept."""

MOST = 2**28
"""Largest total size of a file's arrays, in bytes."""

_ARRAYS = ("times", "spans", "values", "attributions", "time_constants")
_LESIONS = {"lesions": "lesion", "synapses": "synapse"}
"""What lesions an explanation has, and how the names of their arrays begin."""
_OF_LESIONS, _ABOUT = ("units", "effects"), "about"


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
    arrays[_ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    content, to = io.BytesIO(), ModelFolder(folder).explanation
    np.savez_compressed(content, **arrays)  # pyright: ignore[reportArgumentType]
    storage.keep(to, storage.sealed_zip(content, found.run))
    return to


def read(folder: str | os.PathLike[str]) -> Explanation:
    """Read what `write` wrote.

    Raises:
        FileNotFoundError: if there is no explanation, or no network that it could be of.
        DamagedFileError: if it has changed, or is of another network than the one in the folder.
    """
    of = ModelFolder(folder).explanation
    with storage.reading(of) as content:
        check_zip(content, MOST)
        storage.check_owner(content, kept.read(folder).description["origin"]["run"], of)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(arrays[_ABOUT].tobytes())
            lesions = {}
            for of, prefix in _LESIONS.items():
                told = about.pop(of, None)
                there = {name: arrays.get(f"{prefix}_{name}") for name in _OF_LESIONS}
                lesions[of] = told and Lesions(**{**told, "kinds": tuple(told["kinds"])}, **there)
            records = [
                Record(**record, **{name: arrays.get(f"{name}_{number}") for name in _ARRAYS})
                for number, record in enumerate(about.pop("records"))
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
    found = []
    for folder in StudyFolder(directory).kept_of(task):
        if not os.path.lexists(ModelFolder(folder).explanation):
            continue
        try:
            found.append(read(folder))
        except (storage.DamagedFileError, FileNotFoundError) as error:
            warnings.warn(
                f"{error}; the report leaves it out. Write it again: liquidbench explain {directory}",
                storage.KeptFileWarning,
                stacklevel=2,
            )
    return found
