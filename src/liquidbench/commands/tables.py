"""`compare`: networks on a table of one's own."""

import argparse
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liquidbench.commands.arguments import (
    Command,
    add_results,
    add_running,
    add_table,
    cores,
    file_size,
    positive,
    table_options,
)
from liquidbench.commands.refusing import check_temporary, checking_folder, refusing
from liquidbench.commands.running import check_stored_study, execute
from liquidbench.folder import StudyFolder
from liquidbench.system.names import shown
from liquidbench.waiting import Steps

if TYPE_CHECKING:
    from liquidbench.models import UserModel
    from liquidbench.study import Study
    from liquidbench.tasks.task import Task

_LONGEST_NAME = 100


def add(command: Command) -> None:
    """Declare the command."""
    added = command("compare", compare_networks, "Compare liquid and recurrent networks on a table of your own.")
    added.add_argument(
        "table",
        metavar="FILE",
        help="a table with one row per time step: .csv, .tsv, .txt, .dat, .data (also with .gz) or .parquet",
    )
    added.add_argument("--target", required=True, metavar="COLUMN", help="column to predict")
    add_table(added)
    added.add_argument(
        "--minutes",
        type=positive(float),
        default=10.0,
        metavar="M",
        help="time to spend on fits (default: 10); if it is short, there are fewer trials, seeds and models",
    )
    added.add_argument(
        "--models",
        nargs="+",
        metavar="NAME",
        default=["LTC", "CfC", "LRCU", "LSTM", "GRU"],
        help="models to compare (default: LTC CfC LRCU LSTM GRU; see `liquidbench list models`)",
    )
    added.add_argument(
        "--parameters",
        type=positive(int),
        metavar="N",
        help="trained parameters of each model (default: 4000, or more if a model cannot be that small)",
    )
    added.add_argument(
        "--dry-run",
        action="store_true",
        help="print the plan (columns, splits, models, what the time allows); train and write nothing",
    )
    add_results(added)
    add_running(added)
    added.set_defaults(data=None)


def compare_networks(options: argparse.Namespace) -> int:
    """Plan a comparison on a table within the time that there is, and do it."""
    with refusing(), Steps(options.plain) as now:
        now(f"reading {options.table}{file_size(Path(options.table))}")
        from liquidbench import study_file
        from liquidbench.study import Study
        from liquidbench.tasks import table

        check_temporary()
        began = time.monotonic()
        planned = table.plan({"table": options.table, **table_options(options)})
        task = planned.task
        now("building the splits for training and validation")
        # Check model names and other settings before timing anything.
        study = Study.parse(_comparison_study(task, planned.mapping, options))
        directory = Path(options.results) / study.name
        at = StudyFolder(directory).study
        note = _origin_line(options)
        with checking_folder(directory, options):
            before = None if options.update else study_file.find_earlier(study, directory, note)
        if before is None:
            task.split("validation")
            setup = time.monotonic() - began
            study, budget = _fit_to_time(study, task, options, setup, now)
        else:
            study, budget = before, [f"plan: the existing one for the same question, in {at}"]
        if options.dry_run:
            now("building the test split")
            described = _description(task, planned.lines)
        else:
            described = planned.lines
    for line in (*described, *budget):
        print(shown(line))
    would = "would be" if options.dry_run else "is"
    print(f"\nThe study {would} stored in {shown(str(at))}\n", flush=True)
    with refusing(), checking_folder(directory, options):
        check_stored_study(study, directory, options.update)
    if options.dry_run:
        print("Nothing was trained or written; leave out --dry-run to run the comparison.")
        return 0
    if before is None:
        # If the times were underestimated, allow half as much time again rather than lose the last seed.
        options.minutes *= 1.5
    return execute(study, directory, options, {task.name: task}, note)


def _origin_line(options: argparse.Namespace) -> str:
    """A comment line with the options of a comparison, by which the same command finds and continues its study.

    Another timing would give another study.
    """
    named = {name: getattr(options, name) for name in ("minutes", "models", "parameters")}
    return f"# made by compare for {json.dumps(named)}\n"


def _fit_to_time(
    study: "Study", task: "Task", options: argparse.Namespace, setup: float, on_step: Callable[[str], None]
) -> "tuple[Study, list[str]]":
    """The comparison reduced to fit into the available time, and a description of the result."""
    on_step("loading torch")
    began = time.monotonic()
    from dataclasses import replace

    from liquidbench import shifts, time_budget

    # A worker needs this time, too.
    setup += time.monotonic() - began
    on_step("finding sizes that all networks can have")
    parameters = options.parameters or _choose_parameters(task, study.models)
    processes = 1 if options.in_process else options.processes or max(cores() // options.threads, 1)
    batch_size = study.training.batch_size
    shifted = sum(
        len(levels) for name, levels in study.robustness.levels.items() if not shifts.find(name).why_not(task)
    )
    # A twentieth of the available time, within limits.
    seconds = min(max(3 * options.minutes, 1.0), 60.0)
    found = time_budget.time_models(
        task, study.models, parameters, batch_size, shifted, options.threads, seconds, on_step
    )
    fitting = time_budget.choose_scope(found, options.minutes, processes, setup)
    study = replace(
        study,
        models=fitting.models,
        parameters=parameters,
        seeds=tuple(range(fitting.seeds)),
        search=replace(study.search, trials=fitting.trials, minutes=fitting.cap),
        training=replace(study.training, steps=fitting.steps),
    )
    return study, time_budget.describe(fitting, parameters, options.minutes, processes, found, setup)


def _description(task: "Task", lines: Sequence[str]) -> list[str]:
    """What is known about a table before training, with warnings at the end."""
    facts = task.facts()
    inputs = ", ".join(f"{feature.name}{_in_unit(feature.unit)}" for feature in task.features)
    target = f"{facts.kind} of {', '.join(task.classes)}" if task.classes else facts.kind
    parts = [
        f"  {name}: {facts.rows[name]:,} rows in {facts.sequences[name]:,} sequences"
        for name in ("train", "validation", "test")
    ]
    warned = [line for line in lines if line.startswith("warning:")]
    return [
        *(line for line in lines if line not in warned),
        f"predicted: {task.description} ({target}{_in_unit(task.target_unit)})",
        f"time: in {task.time_unit}; a time span of 1 is {task.timespan_unit:g} of these",
        f"inputs: {len(task.features)} ({inputs})",
        "splits:",
        *parts,
        *warned,
    ]


def _in_unit(unit: str) -> str:
    return "" if unit in ("1", "as in the table") else f" [{unit}]"


def _comparison_study(task: "Task", mapping: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The study for a user's table, before it is reduced to fit into the available time.

    The batch size allows sixteen steps per epoch if there are enough sequences.
    """
    batch_size = min(max(len(task.split("train")) // 16, 1), 64)
    named = f"{Path(options.table).stem}-{options.target}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("-._")
    if len(name) > _LONGEST_NAME:
        # Names of folders have a maximum length; the hash keeps two long names apart.
        name = f"{name[: _LONGEST_NAME - 9]}-{hashlib.sha256(named.encode(errors='replace')).hexdigest()[:8]}"
    return {
        "name": name or "table",
        "question": shown(f"Liquid or recurrent, to predict {options.target} in {Path(options.table).name}?"),
        "tasks": [{**mapping, "table": str(Path(options.table).resolve())}],
        "models": options.models,
        **({"parameters": options.parameters} if options.parameters else {}),
        "training": {"batch_size": batch_size},
        "robustness": {"removed_steps": [0.0, 0.1, 0.3, 0.5], "noise": [0.0, 0.25, 0.5, 1.0]},
    }


def _choose_parameters(task: "Task", models: "Sequence[str | UserModel]") -> int:
    """The smallest budget, from 4,000 parameters, that every model can meet; with many columns, sizes are coarse."""
    from liquidbench import matching
    from liquidbench.models import model_name
    from liquidbench.user_code import CodeError

    for budget in (4_000, 6_000, 8_000, 12_000, 16_000, 24_000, 32_000, 64_000):
        try:
            for model in models:
                matching.size_for_budget(model, task, budget)
            return budget
        except CodeError:
            raise
        except ValueError as problem:
            last = problem
    named = ", ".join(map(model_name, models))
    raise ValueError(
        f"no number of parameters up to 64,000 is possible for all of {named} with {len(task.features)} features "
        f"({last}); choose one with --parameters, fewer columns with --features, or other --models"
    )
