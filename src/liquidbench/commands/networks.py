"""`keep`, `explain` and `predict`: networks that a study has trained."""

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import liquidbench
from liquidbench.commands.arguments import Command, add_data, add_directory, file_size, positive
from liquidbench.commands.refusing import refusing, refusing_write_errors
from liquidbench.commands.reports import write_report
from liquidbench.folder import StudyFolder
from liquidbench.system import resources, storage
from liquidbench.system.names import shown
from liquidbench.waiting import Steps

if TYPE_CHECKING:
    import polars as pl

    from liquidbench.facts import Facts
    from liquidbench.study import Study
    from liquidbench.tasks.task import Task


def add(command: Command) -> None:
    """Declare the commands."""
    added = command(
        "keep",
        keep_networks,
        "Write a network that a study has trained to a folder of its own, for `predict` and `load`.",
    )
    add_directory(added)
    added.add_argument("--task", metavar="NAME", help="the task (default: each task of the study)")
    added.add_argument("--model", metavar="NAME", help="the model (default: the best one on validation)")
    added.add_argument("--to", metavar="FOLDER", help="the folder to write (default: DIR/models/TASK/MODEL)")

    added = command(
        "explain",
        explain_networks,
        "Explain kept networks on test: attributions, time constants, lesions, flights; and report. Needs data, torch.",
    )
    add_directory(added)
    added.add_argument("--task", metavar="NAME", help="the task (default: each task with a kept network)")
    added.add_argument("--model", metavar="NAME", help="the model (default: each that was kept, see `keep`)")
    add_data(added)

    added = command("predict", predict_rows, "Predict from the rows of a table with a network that was kept.")
    added.add_argument("model", metavar="MODEL", help="its folder, with model.json and model.safetensors")
    added.add_argument("table", metavar="FILE", help="a table like the one it was trained on; it needs no target")
    added.add_argument(
        "--out", metavar="FILE", help="file for the predictions, .csv or .parquet (default: CSV to the terminal)"
    )
    added.add_argument(
        "--any-spans",
        action="store_true",
        help="accept times whose spans are far from those of training, which suggests another unit",
    )
    added.add_argument(
        "--ahead",
        type=positive(float),
        metavar="SPAN",
        help="how far to look ahead from the last rows, whose later row is not in FILE, in the time unit of training; "
        "for networks that are told it (default: as far as usual in training)",
    )
    added.add_argument(
        "--interval",
        type=float,
        metavar="SHARE",
        help="add intervals, or sets of classes, that hold this share of the targets, such as 0.9",
    )
    added.add_argument(
        "--dates",
        choices=("day-first", "month-first", "year-first"),
        help="how to read dates such as 01/02/2024 (default: as the cells tell, else as in training)",
    )
    added.add_argument(
        "--decimal",
        choices=(".", ","),
        metavar="MARK",
        help="decimal separator, . or , (default: as the file tells, else as in training)",
    )


def keep_networks(options: argparse.Namespace) -> int:
    """Write networks that a study has trained to folders of their own."""
    directory = Path(options.directory)
    with refusing(), refusing_write_errors(directory):
        study, facts, frame = _validated(directory)
        asked = _asked(options, facts)
        if options.to is not None and len(asked) > 1:
            raise ValueError(f"--to takes one network, and the study has {len(asked)} tasks: choose one with --task")
        for task in asked:
            model, folder = _kept(directory, frame, task, facts[task], options.model, options.to)
            print(f"{shown(task)}: {model} in {shown(str(folder))}")
    return 0


def keep_best(directory: Path) -> None:
    """Keep the best network of each task of a study that has just been done, and say what to do with it."""
    with refusing(), refusing_write_errors(directory):
        study, facts, frame = _validated(directory)
        print("\nNetworks that were best on validation:")
        for task, about in facts.items():
            try:
                model, folder = _kept(directory, frame, task, about)
            except (ValueError, FileNotFoundError) as problem:
                print(f"  {shown(task)}: none is kept ({problem})")
                continue
            print(f"  {shown(task)}: {model} in {shown(str(folder))}")
            if task in study.tables:
                print(f"  new rows: liquidbench predict {shlex.quote(str(folder))} NEW.csv --out PREDICTED.csv")


def _asked(options: argparse.Namespace, facts: "Mapping[str, Facts]") -> list[str]:
    """The study's tasks, or the one that ``--task`` names."""
    if options.task is None:
        return list(facts)
    if options.task not in facts:
        raise ValueError(f"--task must be one of the study's tasks, {', '.join(facts)}; got {options.task!r}")
    return [options.task]


def _validated(directory: Path) -> "tuple[Study, Mapping[str, Facts], pl.DataFrame]":
    """A study, the facts of its tasks, and the results on validation that are compared with each other."""
    import polars as pl

    from liquidbench import results, study_file

    study = study_file.read(directory)
    facts = study_file.facts(study, directory)
    frame = results.read(directory, study_file.run_ids(study, facts), pl.col("split") == "validation")
    return study, facts, results.compared(frame, study.matching[0])


def _kept(
    directory: Path,
    validated: "pl.DataFrame",
    task: str,
    facts: "Facts",
    model: str | None = None,
    to: str | None = None,
) -> tuple[str, Path]:
    """Keep a network of a study; return its model's name and its folder."""
    from liquidbench import kept

    main = facts.measure
    try:
        named, run = kept.best_run(validated.filter(task=task), main.name, main.higher_is_better, model)
    except ValueError as problem:
        raise ValueError(f"task {task!r}: {problem}") from problem
    folder = Path(to) if to is not None else StudyFolder(directory).kept(task, named)
    return named, kept.write(kept.of_run(directory, run), folder)


def explain_networks(options: argparse.Namespace) -> int:
    """Explain kept networks on test, and report."""
    from liquidbench import kept, study_file

    directory = Path(options.directory)
    folder = StudyFolder(directory)
    with refusing():
        study = study_file.read(directory)
        facts = study_file.facts(study, directory)
        asked = _asked(options, facts)
        found = [(task, path) for task in asked for path in folder.kept_of(task)]
        if options.model is not None:
            found = [(task, path) for task, path in found if path == folder.kept(task, options.model)]
        if not found:
            of = "" if options.model is None else f" of model {options.model!r}"
            more = "" if options.task is None else f" --task {shlex.quote(options.task)}"
            more += "" if options.model is None else f" --model {shlex.quote(options.model)}"
            raise ValueError(
                f"there is no kept network{of} to explain in {folder.models}; keep one: "
                f"liquidbench keep {shlex.quote(str(directory))}{more}"
            )
    with refusing((ValueError, *resources.LACKING)), refusing_write_errors(directory), Steps() as now:
        now("starting")
        from liquidbench import explaining, explanations, flown, flying

        elsewhere = [(name, max(levels)) for name, levels in study.robustness.levels.items()]

        loaded: dict[str, Task] = {}
        for task, path in found:
            now(f"explaining {path.name} on {task}")
            network = kept.read(path)
            if task not in loaded:
                loaded[task] = study_file.load_task(study, facts, task, options.data)
            of_fold = loaded[task].with_fold(network.description["origin"]["fold"])
            if flying.mission(of_fold) is not None:
                worlds = [(name, level) for name, level in elsewhere if name in of_fold.worlds and level]
                explained = flying.look(network, of_fold, worlds[: flying.ELSEWHERE])
                written = flown.write(explained, path)
            elif of_fold.image is not None:
                print(f"{shown(task)}: its samples are images, which are explained for the tasks of flight alone")
                continue
            else:
                explained = explaining.explain(network, of_fold)
                written = explanations.write(explained, path)
            print(f"{shown(task)}: {shown(explained.model)} in {shown(str(written))}")
            for reason in explained.missing:
                print(f"  {shown(reason)}")
    return write_report(study, directory)


def predict_rows(options: argparse.Namespace) -> int:
    """Predict from the rows of a table with a kept network."""
    out = None if options.out is None else Path(options.out)
    with refusing(), Steps(plain=True) as now:
        if out is not None and out.suffix.lower() not in (".csv", ".parquet"):
            raise ValueError(f"--out must end in .csv or .parquet; got {options.out!r}")
        if out is not None and out.exists() and os.path.samefile(out, options.table):
            raise ValueError(f"--out must not be the table itself, whose rows would be lost; got {options.out!r}")
        now("loading torch")
        from liquidbench.tasks.new_rows import NewRowsWarning

        predictor = liquidbench.load(options.model)
        now(f"reading {options.table}{file_size(Path(options.table))}")
        with warnings.catch_warnings():
            # They are among the lines, which are printed below.
            warnings.simplefilter("ignore", NewRowsWarning)
            found = predictor.predict(
                options.table,
                options.any_spans,
                dates=options.dates,
                decimal=options.decimal,
                ahead=options.ahead,
                interval=options.interval,
            )
    for line in predictor.lines:
        print(shown(line), file=sys.stderr)
    if out is None:
        print(found.write_csv(), end="")
        return 0
    with refusing(), refusing_write_errors(out.parent):
        with storage.replacing(out) as file:
            found.write_csv(file) if out.suffix.lower() == ".csv" else found.write_parquet(file)
    print(f"{found.height:,} predictions: {shown(str(out))}")
    return 0
