"""`report` and `export`: what a study has found, as a page, as tables, and for other programs."""

import argparse
import sys
import warnings
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from liquidbench.commands.arguments import Command, add_directory
from liquidbench.commands.refusing import refusing, refusing_write_errors
from liquidbench.folder import StudyFolder
from liquidbench.wording import counted

if TYPE_CHECKING:
    from liquidbench.study import Study

_MOST_CURVES = 5_000


def add(command: Command) -> None:
    """Declare the commands."""
    added = command("report", report_study, "Write a study's report from its results; needs neither data nor torch.")
    add_directory(added)
    added.add_argument(
        "--format",
        choices=("html", "markdown", "latex", "csv"),
        default="html",
        help="html for the report (default); other formats write its tables as text to DIR/tables",
    )

    added = command("export", export_study, "Export a study's curves and scores for TensorBoard or MLflow.")
    add_directory(added)
    added.add_argument("--to", required=True, choices=("tensorboard", "mlflow"), help="format of the export")
    added.add_argument(
        "--out",
        metavar="PATH",
        help="TensorBoard's folder or MLflow's SQLite file (default: DIR/tensorboard or DIR/mlflow.db)",
    )


def report_study(options: argparse.Namespace) -> int:
    """Write a study's report, or its tables, from its results."""
    from liquidbench import study_file

    directory = Path(options.directory)
    with refusing():
        study = study_file.read(directory)
    return write_report(study, directory, options.format)


def write_report(study: "Study", directory: Path, form: Literal["html", "markdown", "latex", "csv"] = "html") -> int:
    """Evaluate the results, write the report or its tables, and print the verdict and the paths."""
    import polars as pl

    from liquidbench import console, explanations, flown, predictions, report, results, statistics, study_file

    folder = StudyFolder(directory)
    with refusing():
        facts = study_file.facts(study, directory)
        runs = study_file.run_ids(study, facts)
        # Nobody can read the curves of hundreds of seeds, and they would dominate the size of the report.
        seeds = study.seeds[: max(_MOST_CURVES // (len(study.tasks) * len(study.models)), 1)]
        keep = None if seeds == study.seeds else results.without_curves(seeds)
        with warnings.catch_warnings():
            # `read` below gives the same warnings about damaged files.
            warnings.simplefilter("ignore")
            others = len(results.done(directory).keys() - runs)
        frame = results.read(directory, runs, keep, results.COMPACT)
        if frame.is_empty():
            those = f"those of {counted(others, 'run')} there are from other versions of the study or its data; "
            raise ValueError(
                f"{directory} has no results yet; {those if others else ''}do the runs: liquidbench resume {directory}"
            )
        # Cached, as every pair of models asks for the same runs.
        without = cache(partial(predictions.scores_without, directory))
    # It reads predictions; any other error than that they cannot be read is one of ours.
    with refusing((OSError,)):
        comparison = statistics.compare(
            frame,
            facts,
            study.smallest_difference,
            study.matching,
            study.families,
            without,
            partial(predictions.found, directory),
            study.search.learning_rates,
        )
    with refusing_write_errors(directory):
        path = folder.report if form == "html" else folder.tables
        if form == "html":
            explained = {task: explanations.of_task(directory, task) for task in facts}
            looked = {task: flown.of_task(directory, task) for task in facts}
            report.write(study, frame, facts, comparison, path, explained, looked)
        else:
            report.write_tables(study, frame, facts, comparison, path, form)
    console.summary(console.Output(), comparison, facts)
    print(f"\n{'Report: ' if form == 'html' else 'Tables: '} {path}")
    at = folder.runs if folder.runs.exists() else folder.table
    print(f"Results: {at} ({frame['run'].n_unique()} of {len(study.runs())} runs)")
    if others:
        print(f"Ignored: {others} more runs there, which are from other versions of the study or its data")
    fits = set(frame.lazy().filter(pl.col("kind") == "fit").select(pl.col("status").unique()).collect()["status"])
    if fits == {"failed"}:
        print("liquidbench: every fit failed; the report lists the reasons", file=sys.stderr)
        return 1
    return 0


def export_study(options: argparse.Namespace) -> int:
    """Export a study's curves and scores."""
    from liquidbench import results, study_file
    from liquidbench.export import export

    directory = Path(options.directory)
    folder = StudyFolder(directory)
    default, look = {
        "tensorboard": (folder.tensorboard, "tensorboard --logdir {}"),
        "mlflow": (folder.mlflow, "mlflow ui --backend-store-uri sqlite:///{}"),
    }[options.to]
    path = Path(options.out or default)
    with refusing():
        study = study_file.read(directory)
        frame = results.read(directory, study_file.run_ids(study, study_file.facts(study, directory)))
        exported, before = export(frame, options.to, path, study.name)
        if not exported and not before:
            raise ValueError(
                f"{directory} has no finished fit to export; do the missing runs: liquidbench resume {directory}"
            )
    known = f", {before} were up to date" if before else ""
    print(f"Exported {counted(exported, 'fit')} to {path}{known}; view them: {look.format(path)}")
    return 0
