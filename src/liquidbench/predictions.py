"""What a fit predicted: one file a run, from which every metric can be computed again, or a new one for the first time.

A file holds, for validation and test, the targets that are scored and the predictions for them, in the types in which
training had them, so that scores computed again are equal to the last digit. Targets of classes are stored in the
smallest type that holds them. Predictions on damaged data are not kept: they would be many times as much.
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
"""Bytes of a file's arrays, at most."""

Predicted = tuple[NDArray[Any], NDArray[np.float32]]
"""Targets (n,) or (n, outputs), and predictions (n, outputs)."""


def path(directory: str | os.PathLike[str], run: str) -> Path:
    """Where a run's predictions are: ``<directory>/predictions/<run>.npz``."""
    return StudyFolder(directory).predicted(run)


def write(directory: str | os.PathLike[str], run: str, predicted: Mapping[str, Predicted]) -> Path:
    """Write one run's predictions, whole or not at all.

    Args:
        directory: the study's folder; it is made where it does not exist.
        run: the run's id.
        predicted: targets and predictions by the name of their split.

    Returns:
        The file.
    """
    content = io.BytesIO()
    np.savez_compressed(content, **_arrays(predicted))
    return keep(directory, run, storage.sealed_zip(content, run))


def keep(directory: str | os.PathLike[str], run: str, content: bytes) -> Path:
    """Write the content of a file that `write` made elsewhere, whole or not at all.

    Args:
        directory: the study's folder; it is made where it does not exist.
        run: the run's id.
        content: of the file.

    Returns:
        The file.
    """
    to = path(directory, run)
    storage.keep(to, content)
    return to


def sweep(directory: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote have left; only while nobody is at work there.

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
        Targets and predictions by the name of their split.

    Raises:
        FileNotFoundError: where the run left none: it failed, or measured cost.
        DamagedFileError: where the file is not what was written, or another run's.
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
    """Rows of one fit with its scores computed anew from its predictions.

    Args:
        rows: all rows of the fit.
        predicted: as `read` gives it.
        metrics: names of the metrics to compute; scores by others are left as they are.

    Returns:
        The other rows as they were, then a row for each metric and split; where a metric is undefined, a row without a
        value that says why.
    """
    rows, metrics = [dict(row) for row in rows], tuple(metrics)

    def is_score(row: Mapping[str, Any]) -> bool:
        return row["metric"] in METRICS and row["split"] in predicted and not row["corruption"]

    # A task that has none but metrics of its own has no such score.
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
