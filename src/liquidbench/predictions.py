"""Predictions of fits, one file per run, from which any metric can be computed later.

A file has the scored targets and the predictions for validation and test, in the types that training used, so that
scores computed from it are equal to the last digit. Class targets are stored in the smallest integer type that holds
them. Predictions on corrupted data are not kept, since they would take many times as much space.
"""

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.folder import StudyFolder
from liquidbench.metrics import METRICS, score
from liquidbench.system import storage
from liquidbench.system.packed import check_zip

SPLITS = ("validation", "test")

MOST = 2**30
"""Largest total size of a file's arrays, in bytes."""

Predicted = tuple[NDArray[Any], NDArray[np.float32]]
"""Targets (n,) or (n, outputs), and predictions (n, outputs)."""


def path(directory: str | os.PathLike[str], run: str) -> Path:
    """The file of a run's predictions: ``<directory>/predictions/<run>.npz``."""
    return StudyFolder(directory).predicted(run)


def write(directory: str | os.PathLike[str], run: str, predicted: Mapping[str, Predicted]) -> Path:
    """Write one run's predictions atomically.

    Args:
        directory: the study's folder; it is created if it does not exist.
        run: the run's id.
        predicted: targets and predictions by split.

    Returns:
        The file.
    """
    content = io.BytesIO()
    np.savez_compressed(content, **_arrays(predicted))
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
    """Remove temporary files that killed processes left behind; call it only while no other driver is at work.

    Args:
        directory: the study's folder.
    """
    for part in StudyFolder(directory).predictions.glob(".*.tmp"):
        part.unlink(missing_ok=True)


def read(directory: str | os.PathLike[str], run: str) -> dict[str, Predicted]:
    """Read one run's predictions.

    Args:
        directory: the study's folder.
        run: the run's id.

    Returns:
        Targets and predictions by split.

    Raises:
        FileNotFoundError: if the run has none because it failed or measured cost.
        DamagedFileError: if the file is damaged or belongs to another run.
    """
    of = path(directory, run)
    with storage.reading(of) as content:
        check_zip(content, MOST)
        storage.check_owner(content, run, of)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {split: (arrays[f"{split}_targets"], arrays[f"{split}_predictions"]) for split in SPLITS}


def rescored(
    rows: Iterable[Mapping[str, Any]], predicted: Mapping[str, Predicted], metrics: Iterable[str]
) -> list[dict[str, Any]]:
    """Rows of one fit, with its scores recomputed from its predictions.

    Args:
        rows: all rows of the fit.
        predicted: as `read` returns it.
        metrics: names of the metrics to compute; other scores are unchanged.

    Returns:
        The other rows, then one for each metric and split. Where a metric is undefined, the row has no value but the
        reason.
    """
    rows, metrics = [dict(row) for row in rows], tuple(metrics)

    def is_score(row: Mapping[str, Any]) -> bool:
        return row["metric"] in METRICS and row["split"] in predicted and not row["corruption"]

    # A task whose metrics are all its own has no such score.
    pattern = next((row for row in rows if is_score(row)), None) or next(
        r for r in rows if r["metric"] in ("best_step", "best_epoch")
    )
    kept = [row for row in rows if not (is_score(row) and row["metric"] in metrics)]
    for split, (targets, predictions) in predicted.items():
        for metric in metrics:
            value, reason = None, None
            try:
                value = score(metric, targets, predictions)
            except ValueError as error:
                reason = str(error)
            kept.append(pattern | {"split": split, "metric": metric, "value": value, "reason": reason})
    return kept


def _arrays(predicted: Mapping[str, Predicted]) -> dict[str, Any]:
    arrays = {}
    for split, (targets, predictions) in predicted.items():
        if np.issubdtype(targets.dtype, np.integer) and targets.size:
            targets = targets.astype(np.min_scalar_type(int(targets.max())))
        arrays |= {f"{split}_targets": targets, f"{split}_predictions": predictions}
    return arrays
