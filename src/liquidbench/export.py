"""A study's curves and scores in the formats of other tools: TensorBoard's event files, or a store of MLflow's.

Both are copies to look at. What counts is in the results; what has been exported before is left as it is, so that a
study that goes on can be exported again.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl

from liquidbench.places import within

FORMATS = ("tensorboard", "mlflow")

_ASKED = ("task", "model", "variant", "matching", "search", "fold", "seed")


@dataclass(frozen=True)
class _Run:
    """One fit.

    Attributes:
        facts: what is the same in all its rows.
        curves: losses, columns ``trial``, ``split``, ``epoch``, ``value``, in this order.
        trials: what each came to on validation, columns ``trial``, ``value``.
        scores: of the finished model on whole data, columns ``split``, ``metric``, ``value``.
        best_epoch: whose weights were kept.
    """

    facts: dict[str, Any]
    curves: pl.DataFrame
    trials: pl.DataFrame
    scores: pl.DataFrame
    best_epoch: int

    @property
    def began(self) -> float:
        """When, in seconds since 1970; a curve's points have no other time, for none was written down."""
        return datetime.fromisoformat(self.facts["started"]).timestamp()


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
        How many fits were exported, and how many had been before.

    Raises:
        ValueError: for an unknown format, or where the tool is not installed.
    """
    if to not in FORMATS:
        raise ValueError(f"to must be one of {', '.join(FORMATS)}; got {to!r}")
    return (_to_tensorboard if to == "tensorboard" else _to_mlflow)(_runs(frame), Path(path), name)


def _runs(frame: pl.DataFrame) -> Iterator[_Run]:
    fits = frame.filter(kind="fit")
    shared = (*_ASKED, "status", "hidden_size", "parameters", "version", "commit", "machine")
    for rows in fits.partition_by("run", maintain_order=True):
        told = rows.filter(pl.col("value").is_not_null())
        best = told.filter(metric="best_epoch")
        facts = rows.select("run", "started", "seconds", *shared).row(-1, named=True)
        for column in ("learning_rate", "settings"):
            facts[column] = best[column][0] if len(best) else None
        facts["reason"] = rows["reason"].drop_nulls().first() if facts["status"] == "failed" else None
        curves = told.filter(pl.col("metric") == "loss", pl.col("epoch").is_not_null())
        scores = told.filter(
            pl.col("split").is_in(["validation", "test"]),
            pl.col("epoch").is_null(),
            pl.col("corruption") == "",
            pl.col("metric") != "trial_score",
        )
        yield _Run(
            facts,
            curves.select("trial", "split", "epoch", "value").sort("trial", "split", "epoch"),
            told.filter(metric="trial_score").select("trial", "value").sort("trial"),
            scores.select("split", "metric", "value"),
            int(best["value"][0]) if len(best) else 0,
        )


def _to_tensorboard(runs: Iterator[_Run], folder: Path, name: str) -> tuple[int, int]:
    try:
        # Their names are made when they are loaded, so type checkers do not know them.
        from tensorboard.compat.proto import event_pb2, summary_pb2  # pyright: ignore[reportMissingImports]
        from tensorboard.summary.writer.event_file_writer import (  # pyright: ignore[reportMissingImports]
            EventFileWriter,
        )
    except ImportError:
        raise _missing("tensorboard") from None
    event: Any = vars(event_pb2)["Event"]
    summary: Any = vars(summary_pb2)["Summary"]

    exported = before = 0
    for run in runs:
        facts = run.facts
        model = "-".join(filter(None, (facts["model"], facts["variant"], facts["matching"])))
        fold = f"-split-{facts['fold']}" if facts["fold"] else ""
        place = within(folder, facts["task"], model, f"seed-{facts['seed']}{fold}-{facts['run']}")
        if place.exists():
            before += 1
            continue
        # Named last, so that what was cut off is exported again.
        part = place.with_name(f".{place.name}.part")
        for (trial,), curve in run.curves.partition_by("trial", as_dict=True).items():
            writer = EventFileWriter(str(part / f"trial-{trial}"))
            for split, epoch, value in curve.select("split", "epoch", "value").rows():
                point = summary.Value(tag=f"loss/{split}", simple_value=value)
                writer.add_event(event(wall_time=run.began, step=epoch, summary=summary(value=[point])))
            for (value,) in run.trials.filter(trial=trial).select("value").rows():
                point = summary.Value(tag="trial_score", simple_value=value)
                writer.add_event(event(wall_time=run.began, step=len(curve) // 2, summary=summary(value=[point])))
            writer.close()
        writer = EventFileWriter(str(part))
        points = [
            summary.Value(tag=f"{split}/{metric}", simple_value=value) for split, metric, value in run.scores.rows()
        ]
        writer.add_event(event(wall_time=run.began, step=run.best_epoch, summary=summary(value=points)))
        writer.close()
        part.rename(place)
        exported += 1
    return exported, before


def _to_mlflow(runs: Iterator[_Run], store: Path, name: str) -> tuple[int, int]:
    try:
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
        from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise _missing("mlflow") from None

    if any(mark in str(store.resolve()) for mark in "?%"):
        raise ValueError(f"{store} must have no ? or % in its path, which MLflow reads as something else; see --out")
    store.parent.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(f"sqlite:///{store.resolve()}")
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name, store.resolve().parent.as_uri())
    there = set()
    page: str | None = ""
    while page is not None:
        found = client.search_runs([experiment], "attributes.status != 'RUNNING'", max_results=1000, page_token=page)
        there |= {run.data.tags.get("liquidbench.run") for run in found}
        page = found.token or None
    exported = before = 0
    for run in runs:
        facts = run.facts
        if facts["run"] in there:
            before += 1
            continue
        began = int(1000 * run.began)
        tags = {"liquidbench.run": facts["run"], "mlflow.note.content": facts["reason"] or ""}
        fold = f" split {facts['fold']}" if facts["fold"] else ""
        label = f"{facts['task']} {facts['model']}{fold} seed {facts['seed']}"
        made = client.create_run(experiment, began, tags, label).info.run_id
        points = [
            Metric(f"trial-{trial}/loss/{split}", value, began, epoch)
            for trial, split, epoch, value in run.curves.rows()
        ]
        points += [Metric(f"trial-{trial}/trial_score", value, began, 0) for trial, value in run.trials.rows()]
        points += [
            Metric(f"{split}/{metric}", value, began, run.best_epoch) for split, metric, value in run.scores.rows()
        ]
        told = (*_ASKED, "learning_rate", "settings", "hidden_size", "parameters", "version", "machine")
        params = [Param(key, str(facts[key])) for key in told if facts[key] not in (None, "")]
        # A store takes so many at a time.
        for start in range(0, max(len(points), 1), 1000):
            client.log_batch(made, points[start : start + 1000], params if start == 0 else ())
        # Ended last, so that what was cut off is exported again.
        status = "FAILED" if facts["status"] == "failed" else "FINISHED"
        client.set_terminated(made, status, began + int(1000 * facts["seconds"]))
        exported += 1
    return exported, before


def _missing(tool: str) -> ValueError:
    return ValueError(f'{tool} is not installed; install it with: pip install "liquidrnn[{tool}]"')
