"""Predictions of fits, one file per run, from which any metric can be computed later, and the networks that made them.

A file has the scored targets and the predictions for validation, test, and test at each level of each shift, in the
types that training used, so that scores computed from it are equal to the last digit. Class targets are stored in the
smallest integer type that holds them. The file also has the recording of each test target, so that the influence of the
choice of recordings can be computed, and the network itself (`liquidbench.kept`), as text and bytes.
"""

import io
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.folder import StudyFolder
from liquidbench.metrics import METRICS, score
from liquidbench.system import storage
from liquidbench.system.packed import check_zip
from liquidbench.tasks.task import Split

SPLITS = ("validation", "test")
"""The keys of predictions on unchanged data; `shifted` makes the others."""

MOST = 2**30
"""Largest total size of a file's arrays, in bytes."""

MOST_BLOCKS = 30
"""Blocks of recordings at most, each left out once (`scores_without`): so many tell a variance well enough."""

_RECORDINGS = "test_recordings"
_NETWORK, _WEIGHTS = "network", "weights"
_PLACE = ("split", "corruption", "level")
"""The columns of a row of results that say which data were predicted."""

_TARGETS, _PREDICTIONS = "_targets", "_predictions"

Predicted = tuple[NDArray[Any], NDArray[np.float32]]
"""Targets (n,) or (n, outputs), and predictions (n, outputs)."""


def shifted(shift: str, level: float) -> str:
    """The key of predictions on the test split at a level of a shift.

    Args:
        shift: its key (`liquidbench.shifts.Shift.key`).
        level: the level.

    Example:
        >>> shifted("noise", 0.5)
        'test noise 0.5'
    """
    return f"test {shift} {level!r}"


def place_of_key(key: str) -> tuple[str, float]:
    """The key of the shift and the level of a key of predictions on test; ("", 0.0) without a shift.

    Example:
        >>> place_of_key(shifted("noise", 0.5)), place_of_key("test")
        (('noise', 0.5), ('', 0.0))
    """
    return _place(key)[1:]


def path(directory: str | os.PathLike[str], run: str) -> Path:
    """The file of a run's predictions: ``<directory>/predictions/<run>.npz``."""
    return StudyFolder(directory).predicted(run)


def write(
    directory: str | os.PathLike[str],
    run: str,
    predicted: Mapping[str, Predicted],
    recordings: NDArray[np.int64] | None = None,
    network: tuple[Mapping[str, Any], bytes] | None = None,
) -> Path:
    """Write one run's predictions, atomically.

    Args:
        directory: the study's folder; it is created if it does not exist.
        run: the run's id.
        predicted: targets and predictions by key: `SPLITS`, and those of `shifted`.
        recordings: (n,) the recording of each test target, as `recordings_of` numbers them.
        network: the network's description, of what JSON can represent, and its weights.

    Returns:
        The file.
    """
    content = io.BytesIO()
    arrays = _arrays(predicted, predicted["test"][0])
    if recordings is not None:
        arrays[_RECORDINGS] = recordings.astype(np.min_scalar_type(int(recordings.max(initial=0))))
    if network is not None:
        description, weights = network
        arrays[_NETWORK] = np.frombuffer(json.dumps(description).encode(), np.uint8)
        arrays[_WEIGHTS] = np.frombuffer(weights, np.uint8)
    np.savez_compressed(content, **arrays)
    return keep(directory, run, storage.sealed_zip(content, run))


def add(directory: str | os.PathLike[str], run: str, predicted: Mapping[str, Predicted]) -> Path:
    """Add predictions to a run's file, atomically.

    Args:
        directory: the study's folder.
        run: the run's id.
        predicted: targets and predictions by the keys of `shifted`; they replace those of the same key.

    Returns:
        The file.

    Raises:
        FileNotFoundError, DamagedFileError: as for `read`.
    """
    arrays = _read(directory, run)
    again = {key.removesuffix(_PREDICTIONS) for key in arrays if key.endswith(_PREDICTIONS)} & predicted.keys()
    dropped = {f"{key}{part}" for key in again for part in (_TARGETS, _PREDICTIONS)}
    test = arrays["test_targets"]
    merged: dict[str, Any] = {name: array for name, array in arrays.items() if name not in dropped}
    merged |= {**_arrays(predicted, test), **_read(directory, run, (_NETWORK, _WEIGHTS))}
    content = io.BytesIO()
    np.savez_compressed(content, **merged)
    return keep(directory, run, storage.sealed_zip(content, run))


def keep(directory: str | os.PathLike[str], run: str, content: bytes) -> Path:
    """Write atomically the content of a file that `write` created in another folder.

    Args:
        directory: the study's folder; it is created if it does not exist.
        run: the run's id.
        content: content of the file.

    Returns:
        The file.
    """
    to = path(directory, run)
    storage.keep(to, content)
    return to


def sweep(directory: str | os.PathLike[str]) -> None:
    """Remove temporary files that killed processes left behind, of predictions and of shared encoders.

    Call it only while no other driver is at work.

    Args:
        directory: the study's folder.
    """
    files = StudyFolder(directory)
    for folder in (files.predictions, files.encoders):
        for part in folder.glob(".*.tmp"):
            part.unlink(missing_ok=True)


def read(directory: str | os.PathLike[str], run: str) -> dict[str, Predicted]:
    """Read one run's predictions.

    Args:
        directory: the study's folder.
        run: the run's id.

    Returns:
        Targets and predictions by key: `SPLITS`, and those of `shifted` unless an earlier version wrote the file.

    Raises:
        FileNotFoundError: if the run has none because it failed or measured cost.
        DamagedFileError: if the file is damaged or belongs to another run.
    """
    arrays = _read(directory, run)
    keys = [name.removesuffix(_PREDICTIONS) for name in arrays if name.endswith(_PREDICTIONS)]
    test = arrays[f"test{_TARGETS}"]
    return {key: (arrays.get(f"{key}{_TARGETS}", test), arrays[f"{key}{_PREDICTIONS}"]) for key in keys}


def found(directory: str | os.PathLike[str], run: str) -> dict[str, Predicted] | None:
    """As `read`; None where the run left no predictions or, with a warning, where the file is damaged."""
    try:
        return read(directory, run)
    except FileNotFoundError:
        return None
    except storage.DamagedFileError as error:
        warnings.warn(f"{error}; its certainty is not measured", storage.KeptFileWarning, stacklevel=2)
        return None


def network(directory: str | os.PathLike[str], run: str) -> tuple[dict[str, Any], bytes] | None:
    """The network that a run trained: its description and its weights; None if an earlier version wrote the file.

    Args:
        directory: the study's folder.
        run: the run's id.

    Raises:
        FileNotFoundError: if the run has no predictions because it failed or measured cost.
        DamagedFileError: if the file is damaged or belongs to another run.
    """
    arrays = _read(directory, run, (_NETWORK, _WEIGHTS))
    if _NETWORK not in arrays:
        return None
    return json.loads(arrays[_NETWORK].tobytes()), arrays[_WEIGHTS].tobytes()


def recordings_of(split: Split) -> NDArray[np.int64]:
    """(n,) a number for the recording of each target that is scored, in the order of predictions.

    Recordings of one group (a patient, a subject) have one number: they are no evidence of other groups.
    """
    names = split.groups or split.recordings
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    shape = (-1, *[1] * (split.target_mask.ndim - 1))
    return np.broadcast_to(numbers.reshape(shape), split.target_mask.shape)[split.target_mask]


def scores_without(directory: str | os.PathLike[str], run: str, metric: str) -> NDArray[np.float64] | None:
    """A run's score on test with each block of recordings left out: what another choice of them would have changed.

    Args:
        directory: the study's folder.
        run: the run's id.
        metric: a key of `METRICS`.

    Returns:
        (blocks,) scores, of at most `MOST_BLOCKS`, the same blocks for all runs that have the same test data; None
        where the run left no predictions, or those of a version that kept no recordings, where there is a single
        recording, where the metric is not in `METRICS` or undefined without a block, or, with a warning, where the
        file is damaged.
    """
    if metric not in METRICS:
        return None
    try:
        arrays = _read(directory, run)
    except FileNotFoundError:
        return None
    except storage.DamagedFileError as error:
        warnings.warn(f"{error}; verdicts are made without it", storage.KeptFileWarning, stacklevel=2)
        return None
    if _RECORDINGS not in arrays:
        return None
    targets, predictions = arrays["test_targets"], arrays["test_predictions"]
    numbers, place = np.unique(arrays[_RECORDINGS], return_inverse=True)
    if len(numbers) < 2:
        return None
    blocks = place % min(len(numbers), MOST_BLOCKS)
    try:
        kept = (blocks != block for block in range(int(blocks.max()) + 1))
        return np.array([score(metric, targets[here], predictions[here]) for here in kept])
    except ValueError:
        return None


def rescored(
    rows: Iterable[Mapping[str, Any]], predicted: Mapping[str, Predicted], metrics: Iterable[str]
) -> list[dict[str, Any]]:
    """Rows of one fit, with its scores recomputed from its predictions.

    Args:
        rows: all rows of the fit.
        predicted: as `read` returns it.
        metrics: names of the metrics to compute; other scores are unchanged.

    Returns:
        The other rows, then one for each metric and key of ``predicted``. Where a metric is undefined, the row has no
        value but the reason.
    """
    rows, metrics = [dict(row) for row in rows], tuple(metrics)
    places = {key: _place(key) for key in predicted}
    scored = set(places.values())

    def is_score(row: Mapping[str, Any]) -> bool:
        return row["metric"] in METRICS and tuple(row[column] for column in _PLACE) in scored

    # A task whose metrics are all its own has no such score.
    pattern = next((row for row in rows if is_score(row)), None) or next(
        r for r in rows if r["metric"] in ("best_step", "best_epoch")
    )
    kept = [row for row in rows if not (is_score(row) and row["metric"] in metrics)]
    for key, (targets, predictions) in predicted.items():
        for metric in metrics:
            value, reason = None, None
            try:
                value = score(metric, targets, predictions)
            except ValueError as error:
                reason = str(error)
            place = dict(zip(_PLACE, places[key], strict=True))
            kept.append(pattern | place | {"metric": metric, "value": value, "reason": reason})
    return kept


def _place(key: str) -> tuple[str, str, float]:
    """The values of `_PLACE` for a key of predictions."""
    split, corruption, level = key.split() if " " in key else (key, "", "0")
    return split, corruption, float(level)


def _read(directory: str | os.PathLike[str], run: str, names: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """The arrays of these names that there are; without names, all but those of the network."""
    of = path(directory, run)
    with storage.reading(of) as content:
        check_zip(content, MOST)
        storage.check_owner(content, run, of)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if names:
                return {name: arrays[name] for name in names if name in arrays}
            needed = [f"{split}{part}" for split in SPLITS for part in (_TARGETS, _PREDICTIONS)]
            found = [name for name in arrays if name == _RECORDINGS or name.startswith("test ")]
            return {name: arrays[name] for name in (*needed, *found)}


def _arrays(predicted: Mapping[str, Predicted], test: NDArray[Any]) -> dict[str, Any]:
    """Arrays by their names in a file whose test targets are ``test``."""
    arrays = {}
    for key, (targets, predictions) in predicted.items():
        arrays[f"{key}{_PREDICTIONS}"] = predictions
        # Most shifts leave the targets of the split as they are.
        if key not in SPLITS and np.array_equal(targets, test):
            continue
        if np.issubdtype(targets.dtype, np.integer) and targets.size:
            targets = targets.astype(np.min_scalar_type(int(targets.max())))
        arrays[f"{key}{_TARGETS}"] = targets
    return arrays
