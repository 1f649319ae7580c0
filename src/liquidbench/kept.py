"""A trained network in a folder of its own: weights in safetensors, everything else in JSON.

``model.json`` has a schema version, the network's form, the task without its data (names, units, classes, scalers, how
new rows are read), its scores, those of `calibration`, and where the network comes from, with checksums of itself and
of ``model.safetensors``. Nothing in the folder is code, so that it need not be trusted.
"""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

import liquidbench
from liquidbench import conformal, predictions
from liquidbench.calibration import softmax
from liquidbench.folder import ModelFolder, StudyFolder
from liquidbench.system import storage
from liquidbench.system.packed import check_zip
from liquidbench.system.storage import DamagedFileError
from liquidbench.tasks import frozen
from liquidbench.tasks.task import Task
from liquidbench.wording import listed

SCHEMA = 2
"""Version of the form of ``model.json``; 1 has no `calibration`, and is read too."""

T = TypeVar("T")

MOST_ATTACHED = 2**28
"""Largest total size of the arrays in a file beside a network, in bytes."""
_ABOUT = "about"
"""Name of the array among them that holds what JSON can represent."""

MOST_CALIBRATED = 5000
"""Validation targets at most whose scores are kept. More are drawn from: a random part of exchangeable data is such."""


@dataclass(frozen=True)
class Kept:
    """A network as text and bytes.

    Attributes:
        description: what ``model.json`` has, without the checksums.
        weights: what ``model.safetensors`` has.
    """

    description: Mapping[str, Any]
    weights: bytes

    @property
    def run(self) -> str:
        """The id of the run that trained it."""
        return self.description["origin"]["run"]

    @property
    def form(self) -> Mapping[str, Any]:
        """Its form, for `liquidbench.networks.unpack`.

        Raises:
            ValueError: if the description has none.
        """
        form = self.description.get("network", {})
        for part, of in (("network", self.description), ("model", form)):
            if part not in of:
                raise ValueError(f"network must be described completely; {part!r} is missing")
        return form

    @property
    def model(self) -> str:
        """The name of its model."""
        named = self.form["model"]
        return named["name"] if isinstance(named, Mapping) else named


def describe(
    task: Task, form: Mapping[str, Any], scores: Mapping[str, Mapping[str, float | None]], origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe a trained network; JSON can represent the result.

    Args:
        task: the task on which it was trained.
        form: the network's form, as `liquidbench.networks.pack` returns it.
        scores: by split and metric.
        origin: what trained it.
    """
    return {
        "schema": SCHEMA,
        "liquidbench": liquidbench.__version__,
        "network": form,
        "task": frozen.freeze(task),
        "origin": dict(origin),
        "scores": {split: dict(of) for split, of in scores.items()},
    }


def calibration(targets: NDArray[Any], predictions: NDArray[Any]) -> dict[str, Any]:
    """Nonconformity scores of validation, for intervals and sets of new predictions; JSON can represent the result.

    Args:
        targets: class numbers (n,), or values (n, outputs).
        predictions: logits (n, classes), or values (n, outputs).

    Returns:
        ``scores``, (m,) of `liquidbench.conformal.lac`, or (m, outputs) of `liquidbench.conformal.absolute` on the
        scale of the predictions; ``targets`` is n, of which m are drawn where it is above `MOST_CALIBRATED`.
    """
    if np.issubdtype(targets.dtype, np.integer):
        scores = conformal.lac(softmax(predictions))[np.arange(len(targets)), targets]
    else:
        scores = conformal.absolute(targets, predictions)
    if len(scores) > MOST_CALIBRATED:
        scores = np.random.default_rng(0).choice(scores, MOST_CALIBRATED, replace=False)
    return {"targets": len(targets), "scores": scores.tolist()}


def write(kept: Kept, folder: str | os.PathLike[str]) -> Path:
    """Write a network's folder; the files in it are replaced.

    Returns:
        The folder.
    """
    files = ModelFolder(folder)
    files.root.mkdir(parents=True, exist_ok=True)
    with storage.replacing(files.weights) as file:
        file.write(kept.weights)
    # A process that dies before this leaves weights that the old description does not name: they are refused.
    digest = hashlib.sha256(kept.weights).hexdigest()
    storage.keep(files.description, storage.sealed_json({**kept.description, "weights_sha256": digest}))
    return files.root


def read(folder: str | os.PathLike[str]) -> Kept:
    """Read what `write` wrote.

    Raises:
        FileNotFoundError: if there is no such folder, or a file is missing in it.
        ValueError: if it has another schema version, or is no folder of a network.
        DamagedFileError: if a file has changed.
    """
    files = ModelFolder(folder)
    for path in (files.description, files.weights):
        if not path.is_file():
            raise FileNotFoundError(
                f"model must be a folder with {files.description.name} and {files.weights.name}, as `liquidbench keep` "
                f"and `liquidbench train` write it; {files.root} "
                f"{'has no ' + path.name if files.root.is_dir() else 'is no folder'}"
            )
    try:
        content = storage.content_of(files.description)
        if not storage.intact(content, files.description):
            raise DamagedFileError(f"{files.description} is damaged: it has no checksum")
        description = storage.from_json(content)
        weights = storage.content_of(files.weights)
        if (schema := description.get("schema")) not in range(1, SCHEMA + 1):
            raise ValueError(
                f"{files.root} has schema {schema}, written by liquidbench {description.get('liquidbench')}; this "
                f"version reads schemas up to {SCHEMA}. Use that version, or write the network again with this one"
            )
        if hashlib.sha256(weights).hexdigest() != description.pop("weights_sha256", None):
            raise DamagedFileError(f"{files.weights} is damaged, or belongs to another {files.description.name}")
    except DamagedFileError as error:
        again = "run `liquidbench keep` on the study's folder, or the same `liquidbench train`, to write it again"
        raise DamagedFileError(f"{error}; {again}") from error
    return Kept(description, weights)


def of_run(directory: str | os.PathLike[str], run: str) -> Kept:
    """The network of a fit, from the study's folder.

    Args:
        directory: the study's folder.
        run: the run's id.

    Raises:
        FileNotFoundError: if the fit left none.
        DamagedFileError: if its file is damaged.
    """
    found = predictions.network(directory, run)
    if found is None:
        raise FileNotFoundError(
            f"run {run} left no network: it was done by an earlier version; do it again in a new folder to keep one"
        )
    description, weights = found
    scores = calibration(*predictions.read(directory, run)["validation"])
    return Kept({**description, "schema": SCHEMA, "calibration": scores}, weights)


def attach(to: Path, run: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write what was found out about a network to a file in its folder, atomically.

    The file has a checksum and the network's run, so that what it says is never shown for another network.

    Args:
        to: the file.
        run: the network's run.
        about: what JSON can represent.
        arrays: by name.

    Returns:
        The file.
    """
    content = io.BytesIO()
    told = {_ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
    np.savez_compressed(content, **arrays, **told)  # pyright: ignore[reportArgumentType]
    storage.keep(to, storage.sealed_zip(content, run))
    return to


def attached(of: Path, parse: Callable[[dict[str, Any], dict[str, NDArray[Any]]], T]) -> T:
    """Read what `attach` wrote.

    Args:
        of: the file.
        parse: what to make of ``about`` and the arrays.

    Raises:
        FileNotFoundError: if there is no such file, or no network that it could be of.
        DamagedFileError: if it has changed, or is of another network than the one in the folder.
    """
    with storage.reading(of) as content:
        check_zip(content, MOST_ATTACHED)
        storage.check_owner(content, read(of.parent).run, of)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        return parse(json.loads(arrays.pop(_ABOUT).tobytes()), arrays)


def attached_of_task(
    directory: str | os.PathLike[str],
    task: str,
    file: Callable[[ModelFolder], Path],
    read: Callable[[str | os.PathLike[str]], T],
) -> list[T]:
    """What is attached to a task's networks, in the order of their folders.

    A damaged file is left out with a warning.

    Args:
        directory: the study's folder.
        task: the task's name.
        file: which file of a network's folder.
        read: reads that file of a folder.
    """
    found = []
    for folder in StudyFolder(directory).kept_of(task):
        if not os.path.lexists(file(ModelFolder(folder))):
            continue
        try:
            found.append(read(folder))
        except (DamagedFileError, FileNotFoundError) as error:
            warnings.warn(
                f"{error}; the report leaves it out. Write it again: liquidbench explain {directory}",
                storage.KeptFileWarning,
                stacklevel=3,
            )
    return found


def best_run(frame: pl.DataFrame, metric: str, higher_is_better: bool, model: str | None = None) -> tuple[str, str]:
    """The fit to keep, chosen on validation alone: of the model with the best mean, the seed with the best score.

    Args:
        frame: results of one task, as `liquidbench.results.read` returns them.
        metric: the task's main metric.
        higher_is_better: of this metric.
        model: its name; None for any.

    Returns:
        The model's name and the run's id.

    Raises:
        ValueError: if there is no such fit.
    """
    fits = frame.filter(
        (pl.col("kind") == "fit")
        & (pl.col("variant") == "matched")
        & (pl.col("status") == "done")
        & (pl.col("split") == "validation")
        & (pl.col("metric") == metric)
        & (pl.col("corruption") == "")
        & pl.col("value").is_not_null()
    ).with_columns(worth=pl.col("value") if higher_is_better else -pl.col("value"))
    if fits.is_empty():
        raise ValueError("no fit has finished, so there is no network to keep")
    known = sorted(set(fits["model"]))
    if model is not None and model not in known:
        raise ValueError(f"model must be one with a finished fit, {listed(known)}; got {model!r}")
    fits = fits if model is None else fits.filter(pl.col("model") == model)
    best_first = {"by": ["worth", "model"], "descending": [True, False]}
    # Mean over fits: of a size, a seed and an outer split each.
    chosen = fits.group_by("model").agg(pl.col("worth").mean()).sort(**best_first)["model"][0]
    own = fits.filter(pl.col("model") == chosen)
    return chosen, own.sort("worth", "run", descending=[True, False])["run"][0]
