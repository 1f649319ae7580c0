"""A study's curves and scores in the formats of other tools: TensorBoard's event files, or a store of MLflow's.

Both are copies to look at. What counts is in the results. Each fit is kept there with a checksum of all that was
written of it: as long as that stays the same, it is left as it is; where the results say something else, it is written
anew in place of what was there.
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
"""Where the checksum is: a file in the folder of a fit, or a tag of MLflow's run."""

_ASKED = ("task", "model", "variant", "matching", "search", "fold", "seed")


@dataclass(frozen=True)
class _Run:
    """One fit.

    Attributes:
        facts: what is the same in all its rows.
        curves: losses, columns ``trial``, ``split``, ``place`` (step, or epoch), ``value``, in this order.
        trials: what each came to on validation, columns ``trial``, ``value``.
        scores: of the finished model on whole data, columns ``split``, ``metric``, ``value``.
        best: the step, or epoch, whose weights were kept.
    """

    facts: dict[str, Any]
    curves: pl.DataFrame
    trials: pl.DataFrame
    scores: pl.DataFrame
    best: int

    @property
    def began(self) -> float:
        """When, in seconds since 1970; a curve's points have no other time, for none was written down."""
        return datetime.fromisoformat(self.facts["started"]).timestamp()

    @property
    def checksum(self) -> str:
        """Of all that is exported."""
        tables = [frame.rows() for frame in (self.curves, self.trials, self.scores)]
        return hashlib.sha256(json.dumps([self.facts, tables, self.best]).encode()).hexdigest()[:32]


def export(
    frame: pl.DataFrame, to: Literal["tensorboard", "mlflow"], path: str | os.PathLike[str], name: str
) -> tuple[int, int]:
    """Write what other tools show of a study.

    Args:
        frame: rows of `liquidbench.results.read`.
        to: whose format: event files in a folder for each trial of a fit, or one run for each fit in an SQLite store.
        path: the folder, or the store's file; it is made where it does not exist.
        name: the study's, that of MLflow's experiment.

    Returns:
        How many fits were exported, those in place of an older copy included, and how many were there as they are.

    Raises:
        ValueError: for an unknown format, where the tool is not installed, or for a path that cannot be the folder or
            the store, or cannot be written to.
    """
    if to not in FORMATS:
        raise ValueError(f"to must be one of {', '.join(FORMATS)}; got {to!r}")
    path = Path(path)
    if frame.filter(kind="fit").is_empty():
        return 0, 0
    try:
        _check_place(path, to)
        return (_to_tensorboard if to == "tensorboard" else _to_mlflow)(_runs(frame), path, name)
    except OSError as problem:
        raise ValueError(
            f"what is exported cannot be written to {path} ({problem.strerror or problem}); name a place that can be "
            "written to with --out"
        ) from problem


def _check_place(path: Path, to: Literal["tensorboard", "mlflow"]) -> None:
    """Refuse what is there and cannot be what is to be written."""
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


def _runs(frame: pl.DataFrame) -> Iterator[_Run]:
    fits = frame.filter(kind="fit")
    shared = (*_ASKED, "status", "hidden_size", "parameters", "version", "commit", "machine")
    for rows in fits.partition_by("run", maintain_order=True):
        told = rows.filter(pl.col("value").is_not_null())
        best = told.filter(pl.col("metric").is_in(results.BEST))
        facts = rows.select("run", "started", "seconds", *shared).row(-1, named=True)
        for column in ("learning_rate", "settings"):
            facts[column] = best[column][0] if len(best) else None
        facts["reason"] = rows["reason"].drop_nulls().first() if facts["status"] == "failed" else None
        curves = told.filter(pl.col("metric") == "loss", results.PLACE.is_not_null())
        curves = curves.with_columns(place=results.PLACE)
        scores = told.filter(
            pl.col("split").is_in(["validation", "test"]),
            results.PLACE.is_null(),
            pl.col("corruption") == "",
            pl.col("metric") != "trial_score",
        )
        yield _Run(
            facts,
            curves.select("trial", "split", "place", "value").sort("trial", "split", "place"),
            told.filter(metric="trial_score").select("trial", "value").sort("trial"),
            scores.select("split", "metric", "value").sort("split", "metric"),
            int(best["value"][0]) if len(best) else 0,
        )


def _to_tensorboard(runs: Iterator[_Run], folder: Path, name: str) -> tuple[int, int]:
    events = _event_files()
    exported = before = 0
    # Of this study; others may have theirs in the same folder.
    others = {mark.parent for mark in folder.glob(f"*/*/seed-*/{_MARK}") if _marked(mark.parent)[1:] == [name]}
    for run in runs:
        facts = run.facts
        model = "-".join(filter(None, (facts["model"], facts["variant"], facts["matching"])))
        fold = f"-split-{facts['fold']}" if facts["fold"] else ""
        place = within(folder, facts["task"], model, f"seed-{facts['seed']}{fold}-{facts['run']}")
        others.discard(place)
        if _marked(place)[:1] == [run.checksum]:
            before += 1
            continue
        # Named last, so that what was cut off is exported again; what that has left would be read as well.
        part = place.with_name(f".{place.name}.part")
        _clear(part)
        for (trial,), curve in run.curves.partition_by("trial", as_dict=True).items():
            points = [(place, {f"loss/{split}": value}) for split, place, value in curve.drop("trial").rows()]
            tried = run.trials.filter(trial=trial)["value"].to_list()
            points += [(curve["place"].max(), {"trial_score": value}) for value in tried]
            events(part / f"trial-{trial}", run.began, points)
        scores = {f"{split}/{metric}": value for split, metric, value in run.scores.rows()}
        events(part, run.began, [(run.best, scores)])
        (part / _MARK).write_text(f"{run.checksum}\n{name}\n")
        _clear(place)
        part.rename(place)
        exported += 1
    _tell_others(len(others), folder)
    return exported, before


def _event_files() -> Callable[[Path, float, Sequence[tuple[int, Mapping[str, float]]]], None]:
    """What writes one event file into a folder: values by tag at steps, all at one time.

    TensorBoard's own writer writes from a thread, which a full disk ends with a traceback.
    """
    try:
        # Their names are made when they are loaded, so type checkers do not know them.
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


def _marked(place: Path) -> list[str]:
    """The checksum of what was exported to a folder, and the study's name; nothing where there is no such mark."""
    mark = place / _MARK
    return mark.read_text(errors="replace").splitlines() if mark.is_file() else []


def _tell_others(number: int, path: Path) -> None:
    """Warn of fits that the results have no more, or never had; they may be from another folder of the same study."""
    if number:
        warnings.warn(
            f"{path} has {number} more fits of this study, which are not in these results: of another version of the "
            f"study, taken away since, or from another folder. They stay; to be rid of them, delete {path} and export "
            "again",
            stacklevel=4,
        )


def _clear(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _to_mlflow(runs: Iterator[_Run], store: Path, name: str) -> tuple[int, int]:
    try:
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
        from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]
        from sqlalchemy.exc import SQLAlchemyError  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise _missing("mlflow") from None

    if any(mark in str(store.resolve()) for mark in "?%"):
        raise ValueError(f"{store} must have no ? or % in its path, which MLflow reads as something else; see --out")
    store.parent.mkdir(parents=True, exist_ok=True)
    # MLflow says of a file that cannot be opened that it tries again, for minutes.
    with store.open("ab"):
        pass
    try:
        return _into_store(MlflowClient(f"sqlite:///{store.resolve()}"), runs, store, name)
    except (MlflowException, SQLAlchemyError) as problem:
        said = str(problem).strip().partition("\n")[0]
        raise ValueError(
            f"{store} cannot be used as MLflow's store ({said}); name another file with --out"
        ) from problem


def _into_store(client: Any, runs: Iterator[_Run], store: Path, name: str) -> tuple[int, int]:
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
        # A run that has not ended was cut off while it was written.
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
        told = (*_ASKED, "learning_rate", "settings", "hidden_size", "parameters", "version", "machine")
        params = [Param(key, str(facts[key])) for key in told if facts[key] not in (None, "")]
        # A store takes so many at a time.
        for start in range(0, max(len(points), 1), 1000):
            client.log_batch(made, points[start : start + 1000], params if start == 0 else ())
        # Ended last, so that what was cut off is exported again.
        status = "FAILED" if facts["status"] == "failed" else "FINISHED"
        client.set_terminated(made, status, began + int(1000 * facts["seconds"]))
        # Only now, so that one is there at any time.
        for one in copies:
            client.delete_run(one.info.run_id)
        exported += 1
    # What bears no tag was put there by somebody else.
    _tell_others(len(there.keys() - {""}), store)
    return exported, before


def _missing(tool: str) -> ValueError:
    return ValueError(f'{tool} is not installed; install it with: pip install "liquidrnn[{tool}]"')
