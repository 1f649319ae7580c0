"""Exports a study's curves and scores for other tools: as TensorBoard event files, or to an MLflow store.

The export is a copy for viewing. Each exported fit has a checksum of its content; a later export rewrites only the fits
whose content has changed.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl

from liquidbench import results
from liquidbench.system.places import within

FORMATS = ("tensorboard", "mlflow")

_MARK = "liquidbench.content"
"""Name of the checksum: of a file in a fit's TensorBoard folder, or of a tag of its MLflow run."""

_IDENTITY = ("task", "model", "variant", "matching", "search", "fold", "seed")


# MLflow takes neither "+" nor "@" in names.
_SHIFT = pl.col("corruption").cast(pl.String).str.replace_all("+", "-then-", literal=True)
_LEVEL = pl.col("level").cast(pl.String)
_NAME = (
    pl.when(pl.col("corruption") == "")
    .then("metric")
    .otherwise(pl.concat_str("metric", _SHIFT.str.replace_all("@", "-version-", literal=True), _LEVEL, separator="/"))
)
"""The name of a score in an export."""


@dataclass(frozen=True)
class _Fit:
    """The exported content of one fit.

    Attributes:
        facts: the columns that are equal in all its rows.
        curves: losses, sorted by their columns ``trial``, ``split``, ``place`` (step or epoch), ``value``.
        trials: validation score of each trial, columns ``trial``, ``value``.
        scores: scores of the final model, columns ``split``, ``metric``, ``value``; on shifted data, ``metric`` is
            followed by the shift and its level, as in "accuracy/noise/0.5".
        best: the step or epoch of the final weights.
    """

    facts: dict[str, Any]
    curves: pl.DataFrame
    trials: pl.DataFrame
    scores: pl.DataFrame
    best: int

    @property
    def began(self) -> float:
        """Start of the run in seconds since 1970; all points of its curves get this time."""
        return datetime.fromisoformat(self.facts["started"]).timestamp()

    @property
    def checksum(self) -> str:
        """Checksum of the exported content."""
        tables = [frame.rows() for frame in (self.curves, self.trials, self.scores)]
        return hashlib.sha256(json.dumps([self.facts, tables, self.best]).encode()).hexdigest()[:32]


def export(
    frame: pl.DataFrame, to: Literal["tensorboard", "mlflow"], path: str | os.PathLike[str], name: str
) -> tuple[int, int]:
    """Export the fits of a study.

    Args:
        frame: rows of `liquidbench.results.read`.
        to: "tensorboard" for event files in one folder per trial, "mlflow" for one MLflow run per fit in an SQLite
            store.
        path: the folder, or the store's file; created if it does not exist.
        name: name of the study, which becomes MLflow's experiment.

    Returns:
        The number of fits that were written, including rewritten ones, and the number that were up to date.

    Raises:
        ValueError: if the format is unknown, the tool is not installed, or the path cannot be used or written to.
    """
    if to not in FORMATS:
        raise ValueError(f"to must be one of {', '.join(FORMATS)}; got {to!r}")
    path = Path(path)
    if frame.filter(kind="fit").is_empty():
        return 0, 0
    try:
        _check_place(path, to)
        return (_to_tensorboard if to == "tensorboard" else _to_mlflow)(_fits(frame), path, name)
    except OSError as problem:
        raise ValueError(
            f"the export cannot be written to {path} ({problem.strerror or problem}); choose a writable path with --out"
        ) from problem


def _check_place(path: Path, to: Literal["tensorboard", "mlflow"]) -> None:
    """Refuse an existing path that is not a TensorBoard folder or an MLflow store."""
    if to == "tensorboard":
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} must be a folder for TensorBoard; it is a file: name a folder with --out")
        return
    if path.is_dir():
        raise ValueError(f"{path} must be MLflow's SQLite file; it is a folder: name a file in it with --out")
    if not path.exists():
        return
    if not path.is_file():
        raise ValueError(f"{path} must be MLflow's SQLite file; it is a device or a pipe: name a file with --out")
    with path.open("rb") as file:
        head = file.read(16)
    if head and head != b"SQLite format 3\0":
        raise ValueError(f"{path} must be MLflow's SQLite file; it is a file of another kind: name another with --out")


def _fits(frame: pl.DataFrame) -> Iterator[_Fit]:
    fits = frame.filter(kind="fit")
    shared = (*_IDENTITY, "status", "hidden_size", "parameters", "version", "commit", "machine")
    for rows in fits.partition_by("run", maintain_order=True):
        present = rows.filter(pl.col("value").is_not_null())
        best = present.filter(pl.col("metric").is_in(results.BEST))
        facts = rows.select("run", "started", "seconds", *shared).row(-1, named=True)
        for column in ("learning_rate", "settings"):
            facts[column] = best[column][0] if len(best) else None
        facts["reason"] = rows["reason"].drop_nulls().first() if facts["status"] == "failed" else None
        curves = present.filter(pl.col("metric") == "loss", results.PLACE.is_not_null())
        curves = curves.with_columns(place=results.PLACE)
        scores = present.filter(
            pl.col("split").is_in(["validation", "test"]),
            results.PLACE.is_null(),
            pl.col("metric") != "trial_score",
        ).with_columns(metric=_NAME)
        yield _Fit(
            facts,
            curves.select("trial", "split", "place", "value").sort("trial", "split", "place"),
            present.filter(metric="trial_score").select("trial", "value").sort("trial"),
            scores.select("split", "metric", "value").sort("split", "metric"),
            int(best["value"][0]) if len(best) else 0,
        )


def _to_tensorboard(runs: Iterator[_Fit], folder: Path, name: str) -> tuple[int, int]:
    events = _event_files()
    exported = before = 0
    # Fits of this study that the results lack. Other studies may be in the same folder.
    others = {mark.parent for mark in folder.glob(f"*/*/seed-*/{_MARK}") if _read_mark(mark.parent)[1:] == [name]}
    for run in runs:
        facts = run.facts
        model = "-".join(filter(None, (facts["model"], facts["variant"], facts["matching"])))
        fold = f"-split-{facts['fold']}" if facts["fold"] else ""
        place = within(folder, facts["task"], model, f"seed-{facts['seed']}{fold}-{facts['run']}")
        others.discard(place)
        if _read_mark(place)[:1] == [run.checksum]:
            before += 1
            continue
        # Rename at the end: if the export is interrupted, this fit is exported again. TensorBoard would also read
        # incomplete files.
        part = place.with_name(f".{place.name}.part")
        _remove(part)
        for (trial,), curve in run.curves.partition_by("trial", as_dict=True).items():
            points = [(place, {f"loss/{split}": value}) for split, place, value in curve.drop("trial").rows()]
            tried = run.trials.filter(trial=trial)["value"].to_list()
            points += [(curve["place"].max(), {"trial_score": value}) for value in tried]
            events(part / f"trial-{trial}", run.began, points)
        scores = {f"{split}/{metric}": value for split, metric, value in run.scores.rows()}
        events(part, run.began, [(run.best, scores)])
        (part / _MARK).write_text(f"{run.checksum}\n{name}\n")
        _remove(place)
        part.rename(place)
        exported += 1
    _warn_of_others(len(others), folder)
    return exported, before


def _event_files() -> Callable[[Path, float, Sequence[tuple[int, Mapping[str, float]]]], None]:
    """A function that writes one event file to a folder: values by tag at each step, all with one time.

    TensorBoard's own writer uses a thread, which prints a traceback if the disk is full.
    """
    try:
        # Their classes are created at import, so type checkers do not know them.
        from tensorboard.compat.proto import event_pb2, summary_pb2  # pyright: ignore[reportMissingImports]
        from tensorboard.summary.writer.record_writer import RecordWriter  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise _missing("tensorboard") from None
    event: Any = vars(event_pb2)["Event"]
    summary: Any = vars(summary_pb2)["Summary"]

    def write(folder: Path, when: float, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"events.out.tfevents.{when:010.0f}.liquidbench").open("wb") as file:
            records = RecordWriter(file)
            records.write(event(wall_time=when, file_version="brain.Event:2").SerializeToString())
            for step, values in points:
                told = [summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
                records.write(event(wall_time=when, step=step, summary=summary(value=told)).SerializeToString())

    return write


def _read_mark(place: Path) -> list[str]:
    """The checksum of the fit exported to a folder, and the study's name; empty if there is none."""
    mark = place / _MARK
    return mark.read_text(errors="replace").splitlines() if mark.is_file() else []


def _warn_of_others(number: int, path: Path) -> None:
    """Warn of exported fits that are not in the results."""
    if number:
        warnings.warn(
            f"{path} has {number} more fits of this study, which are not in these results: they are from another "
            "version of the study or another folder, or were removed from the results. They stay; to remove them, "
            f"delete {path} and export again",
            stacklevel=4,
        )


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _to_mlflow(runs: Iterator[_Fit], store: Path, name: str) -> tuple[int, int]:
    try:
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
        from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]
        from sqlalchemy.exc import SQLAlchemyError  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise _missing("mlflow") from None

    if any(mark in str(store.resolve()) for mark in "?%"):
        raise ValueError(f"{store} must have no ? or % in its path, which MLflow interprets; choose another with --out")
    store.parent.mkdir(parents=True, exist_ok=True)
    # If the file cannot be opened, fail now: MLflow would retry for minutes.
    with store.open("ab"):
        pass
    try:
        return _into_store(MlflowClient(f"sqlite:///{store.resolve()}"), runs, store, name)
    except (MlflowException, SQLAlchemyError) as problem:
        said = str(problem).strip().partition("\n")[0]
        raise ValueError(
            f"{store} cannot be used as MLflow's store ({said}); name another file with --out"
        ) from problem


def _into_store(client: Any, runs: Iterator[_Fit], store: Path, name: str) -> tuple[int, int]:
    from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]

    known = client.get_experiment_by_name(name)
    if known is not None and known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    experiment = known.experiment_id if known else client.create_experiment(name, store.resolve().parent.as_uri())
    there: dict[str, list[Any]] = {}
    page: str | None = ""
    while page is not None:
        found = client.search_runs([experiment], max_results=1000, page_token=page)
        for one in found:
            there.setdefault(one.data.tags.get("liquidbench.run", ""), []).append(one)
        page = found.token or None
    exported = before = 0
    for run in runs:
        facts = run.facts
        copies = there.pop(facts["run"], [])
        # A run whose status is RUNNING was not written completely.
        whole = [one for one in copies if one.info.status != "RUNNING" and one.data.tags.get(_MARK) == run.checksum]
        if whole and len(copies) == 1:
            before += 1
            continue
        began = int(1000 * run.began)
        tags = {"liquidbench.run": facts["run"], _MARK: run.checksum, "mlflow.note.content": facts["reason"] or ""}
        fold = f" split {facts['fold']}" if facts["fold"] else ""
        label = f"{facts['task']} {facts['model']}{fold} seed {facts['seed']}"
        made = client.create_run(experiment, began, tags, label).info.run_id
        points = [
            Metric(f"trial-{trial}/loss/{split}", value, began, place)
            for trial, split, place, value in run.curves.rows()
        ]
        points += [Metric(f"trial-{trial}/trial_score", value, began, 0) for trial, value in run.trials.rows()]
        points += [Metric(f"{split}/{metric}", value, began, run.best) for split, metric, value in run.scores.rows()]
        columns = (*_IDENTITY, "learning_rate", "settings", "hidden_size", "parameters", "version", "machine")
        params = [Param(key, str(facts[key])) for key in columns if facts[key] not in (None, "")]
        # MLflow limits the number of metrics per call.
        for start in range(0, max(len(points), 1), 1000):
            client.log_batch(made, points[start : start + 1000], params if start == 0 else ())
        # Set the status at the end: if the export is interrupted, this fit is exported again.
        status = "FAILED" if facts["status"] == "failed" else "FINISHED"
        client.set_terminated(made, status, began + int(1000 * facts["seconds"]))
        # Delete old copies only now, so that there is always one.
        for one in copies:
            client.delete_run(one.info.run_id)
        exported += 1
    # Runs without the tag are not ours.
    _warn_of_others(len(there.keys() - {""}), store)
    return exported, before


def _missing(tool: str) -> ValueError:
    return ValueError(f'{tool} is not installed; install it with: pip install "liquidrnn[{tool}]"')
