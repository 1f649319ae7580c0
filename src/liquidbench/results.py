"""The results of a study: one Parquet file a run, in one long table, one row a value.

A run's file appears whole or not at all, so a study can be killed at any time and go on from there, and
several processes can write into one folder.
"""

import json
import numbers
import os
import re
import uuid
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from liquidbench.study import MATCHINGS, MODES

SCHEMA = pl.Schema(
    {
        "run": pl.String,
        "study": pl.String,
        "task": pl.String,
        "model": pl.String,
        "variant": pl.String,
        "seed": pl.Int64,
        "fold": pl.Int64,
        "matching": pl.String,
        "search": pl.String,
        "kind": pl.String,
        "status": pl.String,
        "split": pl.String,
        "metric": pl.String,
        "corruption": pl.String,
        "level": pl.Float64,
        "epoch": pl.Int64,
        "trial": pl.Int64,
        "value": pl.Float64,
        "reason": pl.String,
        "parameters": pl.Int64,
        "hidden_size": pl.Int64,
        "learning_rate": pl.Float64,
        "settings": pl.String,
        "version": pl.String,
        "commit": pl.String,
        "python": pl.String,
        "torch": pl.String,
        "machine": pl.String,
        "threads": pl.Int64,
        "started": pl.String,
        "seconds": pl.Float64,
    }
)
"""Columns of a result and their types.

``fold`` is the outer split; ``matching`` what is equal among models and ``search`` its mode, both "" for published
sizes. ``level`` is 0 where ``corruption`` is ""; ``epoch`` is null for a score of the finished model; ``trial`` is the
number of a draw of the search and ``settings`` all that was drawn, as JSON; ``started`` is UTC in ISO 8601 and
``seconds`` how long the run took. The other columns say by their names what they are.
"""

NULLABLE = frozenset({"epoch", "trial", "value", "reason", "parameters", "hidden_size", "learning_rate", "settings"})
"""Columns that may be null, and left out of a row to write."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "variant": ("matched", "author"),
    "matching": (*MATCHINGS, ""),
    "search": (*MODES, ""),
    "kind": ("fit", "cost"),
    "status": ("done", "failed"),
    "split": ("train", "validation", "test", ""),
    "corruption": ("", "removed_steps", "noise"),
}
"""Columns of few words, and the words."""


class DamagedResultWarning(UserWarning):
    """A file among the results could not be used; the message names it."""


def write(directory: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write one run's rows, replacing the run's earlier file if there is one.

    Args:
        directory: the study's folder; it is made where it does not exist.
        rows: at least one mapping with the columns of `SCHEMA`, all of one run. Columns of `NULLABLE` may be
            left out.

    Returns:
        The file, ``<directory>/runs/<run>.parquet``.

    Raises:
        ValueError: for a missing or unknown column, or a value out of its column's choices.
        TypeError: for a value of another type than its column's.
    """
    if not rows:
        raise ValueError("rows must hold at least one row; a run that failed has a row that says why")
    table = [_checked(index, row) for index, row in enumerate(rows)]
    runs = sorted({row["run"] for row in table})
    if len(runs) > 1:
        raise ValueError(f"rows must be of one run, as a file holds one; column 'run' has {', '.join(runs)}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", runs[0]):
        raise ValueError(f"column 'run' must hold letters, digits, '_' and '-', for it names a file; got {runs[0]!r}")
    frame = pl.DataFrame(table, schema=SCHEMA)
    path = Path(directory) / "runs" / f"{runs[0]}.parquet"
    _replace(path, lambda part: frame.write_parquet(part))
    return path


def read(directory: str | os.PathLike[str], runs: Collection[str] | None = None) -> pl.DataFrame:
    """Read the results of a study.

    Args:
        directory: the study's folder.
        runs: ids of the runs wanted; None for all there are, which includes those of earlier versions of the
            study.

    Returns:
        All rows with the columns of `SCHEMA`, ordered by run; an empty frame with these columns if there are
        none. A file that cannot be used is named in a `DamagedResultWarning` and left out.
    """
    found = _runs(directory, runs)
    return pl.concat(found.values()) if found else SCHEMA.to_frame()


def done(directory: str | os.PathLike[str]) -> dict[str, str]:
    """What is finished.

    Args:
        directory: the study's folder.

    Returns:
        The id of each run with a whole file, and its status: "done" or "failed". A damaged file is none, so
        that its run is repeated.
    """
    return {
        run: "failed" if (frame["status"] == "failed").any() else "done"
        for run, frame in _runs(directory, None).items()
    }


def main_scores(frame: pl.DataFrame, metrics: Mapping[str, str], split: str = "test") -> pl.DataFrame:
    """Rows of each task's main score on undamaged data, one for each fit that has it.

    Args:
        frame: rows of results.
        metrics: name of the main metric by task; rows of other tasks are left out.
        split: ``"test"`` or ``"validation"``.
    """
    main = pl.col("task").replace_strict(list(metrics), list(metrics.values()), default=None, return_dtype=pl.String)
    return frame.filter(
        pl.col("metric") == main,
        pl.col("split") == split,
        pl.col("corruption") == "",
        pl.col("epoch").is_null(),
        pl.col("value").is_not_null(),
    )


def baseline_scores(frame: pl.DataFrame, baseline: Literal["trivial", "linear"]) -> dict[str, float]:
    """Main score on test, by task, of the trivial predictor or of the linear model: the mean over outer splits."""
    rows = frame.filter(pl.col("metric") == baseline, pl.col("split") == "test", pl.col("value").is_finite())
    splits = rows.group_by("task", "fold").agg(pl.col("value").median())
    return dict(splits.group_by("task").agg(pl.col("value").mean()).iter_rows())


def compared(frame: pl.DataFrame, matching: str) -> pl.DataFrame:
    """The part of a study's results that is judged together: one matching, on all outer splits.

    Rows at published sizes belong to every matching.

    Args:
        frame: rows of results.
        matching: one of `liquidbench.study.MATCHINGS`.
    """
    return frame.filter(pl.col("matching").is_in([matching, ""]))


def trials(frame: pl.DataFrame) -> pl.DataFrame:
    """Every trial of the searches in some results: what was drawn, and its score on validation, null where it failed.

    Args:
        frame: rows of results.

    Returns:
        Columns ``run``, ``task``, ``model``, ``matching``, ``fold``, ``seed``, ``trial``, ``score``,
        ``learning_rate`` and ``settings``. Tuning curves come from them: the draws of a search are independent.
    """
    found = frame.filter(pl.col("metric") == "trial_score")
    columns = ("run", "task", "model", "matching", "fold", "seed", "trial")
    return found.select(*columns, "learning_rate", "settings", score="value").sort(*columns[1:])


def trainings(frame: pl.DataFrame) -> pl.DataFrame:
    """How trainings ended, one row for each trial of a fit that came to an end.

    Args:
        frame: rows of results.

    Returns:
        Columns ``run``, ``task``, ``model``, ``variant``, ``seed``, ``learning_rate``; ``epochs``, how many there
        were; ``ended``, by what ("all epochs", "patience" or "minutes"); ``best_epoch``, whose weights were kept,
        null but for the training that validation chose. Ordered by task, model, variant, seed and trial.
    """
    shared = ("run", "task", "model", "variant", "seed", "trial", "learning_rate")
    told = frame.filter(pl.col("value").is_not_null())
    chosen = told.filter(pl.col("metric") == "best_epoch").select("run", "trial", best_epoch="value")
    ends = told.filter(pl.col("metric") == "epochs").select(*shared, epochs="value", ended="reason")
    ends = ends.join(chosen, on=("run", "trial"), how="left")
    return ends.sort("task", "model", "variant", "seed", "trial").drop("trial")


def sweep(directory: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote has left; for the only process at work there.

    Args:
        directory: the study's folder.
    """
    for part in [part for folder in (".", "runs", "predictions") for part in (Path(directory) / folder).glob(".*.tmp")]:
        part.unlink(missing_ok=True)


def write_tasks(directory: str | os.PathLike[str], tasks: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write what a report says about tasks, so that it can be made without the data.

    Args:
        directory: the study's folder; it is made where it does not exist.
        tasks: by task name, facts that JSON can hold.

    Returns:
        The file, ``<directory>/tasks.json``.
    """
    text = json.dumps(tasks, indent=2, ensure_ascii=False, allow_nan=False)
    path = Path(directory) / "tasks.json"
    _replace(path, lambda part: part.write_text(text + "\n", encoding="utf-8"))
    return path


def read_tasks(directory: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read what `write_tasks` wrote.

    Args:
        directory: the study's folder.

    Returns:
        Facts by task name.

    Raises:
        FileNotFoundError: where there is no ``tasks.json``.
        ValueError: where it is no JSON of this form.
    """
    path = Path(directory) / "tasks.json"
    if not path.is_file():
        raise FileNotFoundError(f"directory must be a study's folder of results; {path} does not exist")
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run the study again") from error
    if not isinstance(tasks, dict) or not all(isinstance(facts, dict) for facts in tasks.values()):
        raise ValueError(f"{path} must hold a mapping of facts by task name; delete it and run the study again")
    return tasks


def _checked(index: int, row: Mapping[str, Any]) -> dict[str, Any]:
    for column in row:
        if column not in SCHEMA:
            raise ValueError(
                f"rows[{index}] has the column {column!r}, which is unknown; known are {', '.join(SCHEMA)}"
            )
    checked: dict[str, Any] = {}
    for column, kind in SCHEMA.items():
        if column not in row and column not in NULLABLE:
            raise ValueError(f"rows[{index}] lacks the column {column!r}")
        checked[column] = _typed(index, column, kind, row.get(column))
    for column, choices in CHOICES.items():
        if checked[column] not in choices:
            words = ", ".join(repr(choice) for choice in choices)
            raise ValueError(f"column {column!r} of rows[{index}] must be one of {words}; got {checked[column]!r}")
    if checked["status"] == "failed" and not checked["reason"]:
        raise ValueError(f"column 'reason' of rows[{index}] must say why, as its status is 'failed'")
    return checked


def _typed(index: int, column: str, kind: pl.DataType, value: Any) -> str | int | float | None:
    if value is None and column in NULLABLE:
        return None
    if kind == pl.String and isinstance(value, str):
        return str(value)
    # The abstract classes take NumPy's numbers too. True is a whole number to Python and none to us.
    if kind == pl.Int64 and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if kind == pl.Float64 and isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    words = {pl.String: "text", pl.Int64: "a whole number", pl.Float64: "a number"}[type(kind)]
    null = " or None" if column in NULLABLE else ""
    raise TypeError(f"column {column!r} of rows[{index}] must be {words}{null}; got {type(value).__name__} {value!r}")


def _runs(directory: str | os.PathLike[str], wanted: Collection[str] | None) -> dict[str, pl.DataFrame]:
    frames = {}
    for path in sorted((Path(directory) / "runs").glob("*.parquet")):
        if wanted is not None and path.stem not in wanted:
            continue
        try:
            # Read in one go: polars opens a path more than once, and between times a writer may have renamed
            # another file to it.
            frame = pl.read_parquet(path.read_bytes())
        # A file of any content may come here, and polars may fail on it in any way, its own panics included.
        except (Exception, pl.exceptions.PanicException) as error:
            _warn(path, f"it cannot be read ({error})")
            continue
        if frame.schema != SCHEMA:
            columns = {**SCHEMA, **frame.schema}
            odd = [name for name in columns if frame.schema.get(name) != SCHEMA.get(name)]
            _warn(path, f"it is no result of this version (see {', '.join(odd) or 'the order of columns'})")
        elif frame.is_empty() or (frame["run"] != path.stem).any():
            _warn(path, "it holds no rows, or rows of another run than its name says")
        else:
            frames[path.stem] = frame
    return frames


def _warn(path: Path, reason: str) -> None:
    warnings.warn(f"{path} is left out: {reason}", DamagedResultWarning, stacklevel=4)


def _replace(path: Path, write: Any) -> None:
    """Write beside ``path`` and rename, so that no one ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            write(part)
        except pl.exceptions.PolarsError as error:
            # polars says of a full disk that the file's format is wrong.
            raise OSError(f"{part} cannot be written: {error}") from error
        # A rename can reach the disk before the content does; a power cut would then leave an empty file.
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
