"""The command line: run a study, go on with one, report on one, or compare networks on one's own table.

Exit codes: 0 for success, 1 where every run failed, 2 for a wrong command or input (said in one sentence), 130
when stopped with Ctrl-C. Modules are imported where a command needs them, so that help, ``list`` and ``report``
never load torch.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import liquidbench

if TYPE_CHECKING:
    from liquidbench.study import Study

_STUDY_FILE = "study.yaml"
_REPORT_FILE = "report.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line, without the program's name; None takes those it was called with.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    # One line each, without the source line that Python would show below it.
    warnings.formatwarning = lambda message, *_, **__: f"liquidbench: {message}\n"
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("liquidbench: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liquidbench",
        description="Should I use a liquid network here? An experiment whose numbers can be believed.",
        epilog="Begin with:  liquidbench compare my-table.csv --target COLUMN   or   liquidbench list",
    )
    parser.add_argument("--version", action="version", version=f"liquidbench {liquidbench.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(command=act)
        return added

    def add_running(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--data",
            metavar="DIR",
            help="folder with raw data; by default $LIQUIDBENCH_DATA, else they are downloaded once",
        )
        added.add_argument(
            "--processes",
            type=_positive(int),
            metavar="N",
            help=f"fits at the same time, each on one core (default: the cores there are, {_cores()} here)",
        )
        added.add_argument("--plain", action="store_true", help="one line an event, even on a terminal")
        added.add_argument(
            "--retry-failed", action="store_true", help="run those again that have failed before"
        )

    def add_results(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--results",
            metavar="DIR",
            default="results",
            help="folder for the study's folder of results (default: results)",
        )

    added = command("run", _run, "Run a study: all its fits, measurements of cost, and a report.")
    added.add_argument("study", metavar="STUDY.yaml", help="the study")
    add_results(added)
    add_running(added)
    added.add_argument(
        "--minutes",
        type=_positive(float),
        metavar="M",
        help="start no further fit after so many minutes; `resume` goes on",
    )

    added = command("resume", _resume, "Go on with a study that was stopped: only what is missing is run.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/first")
    add_running(added)
    added.add_argument("--minutes", type=_positive(float), metavar="M", help="as for `run`")

    added = command("report", _report, "Make a study's report again from its results; needs no data, no torch.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/first")

    added = command("list", _list, "List tasks, models, or studies in ./studies and ./results.")
    added.add_argument("what", nargs="?", choices=("tasks", "models", "studies"), help="default: all three")

    added = command("compare", _compare, "Compare liquid and recurrent networks on a table of your own.")
    added.add_argument("table", metavar="FILE", help="a .csv or .parquet file, one row a time step")
    added.add_argument("--target", required=True, metavar="COLUMN", help="what is to be predicted")
    added.add_argument("--time", metavar="COLUMN", help="when each row was measured; guessed by default")
    added.add_argument(
        "--group", metavar="COLUMN", help="whose row it is (subject, machine, trip); guessed by default"
    )
    added.add_argument(
        "--task",
        choices=("classification", "regression", "forecast"),
        help="what kind of prediction; guessed by default from the target",
    )
    added.add_argument(
        "--minutes",
        type=_positive(float),
        default=10.0,
        metavar="M",
        help="time to spend on fits, roughly (default: 10)",
    )
    added.add_argument(
        "--models",
        nargs="+",
        metavar="NAME",
        default=["LTC", "CfC", "LRCU", "LSTM", "GRU"],
        help="models to compare (default: LTC CfC LRCU LSTM GRU; see `liquidbench list models`)",
    )
    add_results(added)
    add_running(added)
    return parser


def _positive(kind: type[int] | type[float]) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a {noun} above 0; got {text!r}")
        return value

    return parse


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _input() -> Iterator[None]:
    """Input that is refused ends the command with one sentence; other errors keep their traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError) as problem:
        _refuse(str(problem))


def _refuse(sentence: str) -> NoReturn:
    print(f"liquidbench: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def _run(options: argparse.Namespace) -> int:
    from liquidbench.study import Study

    with _input():
        study = Study.load(options.study)
        directory = Path(options.results) / study.name
        _keep(study, directory)
    return _carry_out(study, directory, options)


def _resume(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    with _input():
        study = _kept(directory)
    return _carry_out(study, directory, options)


def _kept(directory: Path) -> "Study":
    from liquidbench.study import Study

    path = directory / _STUDY_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{directory} is no folder of a study's results, for it has no {_STUDY_FILE}; name the folder that "
            "`liquidbench run` made, such as results/first"
        )
    return Study.load(path)


def _keep(study: "Study", directory: Path) -> None:
    """Store the study with its results, once; refuse a folder that holds those of another."""
    path = directory / _STUDY_FILE
    if path.is_file():
        stored = _kept(directory)
        if stored != study:
            changed = [f.name for f in fields(study) if getattr(stored, f.name) != getattr(study, f.name)]
            raise ValueError(
                f"{directory} holds the results of another version of study {study.name!r}, which differs in "
                f"{', '.join(changed)}. To go on with that one: liquidbench resume {directory}. To run this one: "
                "give it another name, choose another --results folder, or delete the old one"
            )
        return
    directory.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(study.to_yaml(), encoding="utf-8")
    part.replace(path)


def _carry_out(study: "Study", directory: Path, options: argparse.Namespace) -> int:
    """Run what is missing of a study and report on all of it."""
    from liquidbench import console, workers

    with _input():
        plan = workers.plan(study, directory, options.data, options.retry_failed)
    if not plan.pending:
        failed = sum(status == "failed" for status in plan.status.values())
        again = f", {failed} of them failed (--retry-failed runs those again)" if failed else ""
        print(f"All {len(plan.status)} runs of study {study.name!r} are there{again}; nothing is left to run.")
    else:
        processes = options.processes or _cores()
        metrics = {name: facts["metric"] for name, facts in _facts(directory).items()}
        with console.progress(study, metrics, processes, plain=options.plain) as progress:
            for run, status in plan.status.items():
                if run not in plan.pending:
                    progress.known(run, status, _test_score(plan, run, metrics))

            def tell(event: workers.Event) -> None:
                if event.kind == "started":
                    progress.started(event.run)
                elif event.kind == "finished":
                    progress.finished(event.run, _test_score(plan, event.run, metrics))
                elif event.kind == "failed":
                    progress.failed(event.run, event.reason or "for an unknown reason")
                elif event.epoch is not None:
                    at = event.epoch
                    stage = console.Stage(at.trial, at.trials, at.epoch, at.epochs, at.validation_loss)
                    progress.epoch(event.run, stage)

            outcome = workers.execute(plan, processes, tell, options.minutes)
            if not outcome.interrupted:
                for run in outcome.left_out:
                    progress.left_out(run)
        if outcome.interrupted:
            done = len(study.runs()) - len(outcome.left_out)
            print(
                f"Stopped: {done} of {len(study.runs())} runs are done and kept. "
                f"To go on: liquidbench resume {directory}"
            )
            return 130
    return _report_on(study, directory)


def _facts(study: "Study", directory: Path) -> dict[str, dict[str, Any]]:
    """What is known of the study's tasks, in its order."""
    from liquidbench import results
    from liquidbench.study import task_name

    known = results.read_tasks(directory)
    names = [task_name(task) for task in study.tasks]
    if missing := [name for name in names if name not in known]:
        raise ValueError(
            f"{directory / 'tasks.json'} lacks {', '.join(missing)}; make it anew: liquidbench resume {directory}"
        )
    return {name: known[name] for name in names}


def _test_scores(study: "Study", directory: Path, runs: Collection["Run"]) -> dict["Run", float]:
    """Main score on test of each run that has one."""
    import polars as pl

    from liquidbench import results

    facts = _facts(study, directory)
    ids = {run.id(facts[run.task_name]["digest"]): run for run in runs}
    rows = results.read(directory, ids).filter(
        (pl.col("split") == "test") & (pl.col("corruption") == "") & pl.col("epoch").is_null()
    )
    return {
        ids[run]: value
        for run, metric, value in rows.select("run", "metric", "value").iter_rows()
        if metric == facts[ids[run].task_name]["metric"] and value is not None
    }
