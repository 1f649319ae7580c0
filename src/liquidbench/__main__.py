"""The command line: run a study, go on with one, report on one, or compare networks on one's own table.

Exit codes: 0 for success, 1 where every fit failed, 2 for a wrong command or input (said in one sentence), 130 when
stopped with Ctrl-C, 143 with SIGTERM, 129 with SIGHUP, 141 when nobody reads the output any more. Modules are imported
where a command needs them, so that help, ``list`` and ``report`` never load torch.
"""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` puts the current folder first: a socket.py there, beside the data, would be taken for Python's own.
    if os.path.realpath(sys.path[0]) != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        del sys.path[0]

import argparse
import csv
import errno
import hashlib
import io
import json
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import liquidbench
from liquidbench.folder import StudyFolder, TrainingFolder
from liquidbench.system.names import shown
from liquidbench.waiting import Steps
from liquidbench.wording import counted

if TYPE_CHECKING:
    from liquidbench.engine import Executor, Plan
    from liquidbench.engine.leases import Leases
    from liquidbench.facts import Facts
    from liquidbench.models import OwnModel
    from liquidbench.study import Run, Study
    from liquidbench.tasks.task import Task

_MOST_CURVES = 5_000
_LONGEST_NAME = 100
_MOST = 2**31 - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line, without the program's name; None takes those it was called with.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # An output that knows no curly quotes must not end a study.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # One line each, without the source line that Python would show below it; once, though a command may read the same
    # files several times.
    told: set[str] = set()

    def line(message: Warning | str, *_: Any, **__: Any) -> str:
        text = f"liquidbench: {shown(str(message))}\n"
        if text in told:
            return ""
        told.add(text)
        return text

    warnings.formatwarning = line
    try:
        return options.command(options)
    except BrokenPipeError:
        return _unread()
    except KeyboardInterrupt:
        print("liquidbench: stopped", file=sys.stderr)
        return 130


def _unread() -> int:
    """Whoever read the output has gone, as `head` does: end without a word, also when Python flushes at its end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liquidbench",
        description="Should I use a liquid network here? An experiment whose numbers can be believed.",
        epilog="begin with:\n  liquidbench run studies/demo.yaml\n  liquidbench compare TABLE.csv --target COLUMN",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"liquidbench {liquidbench.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(command=act)
        return added

    def add_data(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--data",
            type=_folder,
            metavar="DIR",
            help="folder with raw data; by default $LIQUIDBENCH_DATA, else they are downloaded once",
        )

    def add_running(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--processes",
            type=_positive(int, 4096),
            metavar="N",
            help=f"fits at the same time (default: as many as there are cores for, {_cores()} cores here)",
        )
        added.add_argument(
            "--threads", type=_positive(int, 4096), metavar="N", default=1, help="cores for each fit (default: 1)"
        )
        added.add_argument(
            "--ray",
            metavar="ADDRESS",
            help="on the workers of a Ray cluster: `auto` for this machine's, `local` for one on this machine alone, "
            "or an address; N is then the most fits at the same time, by default all there is room for",
        )
        added.add_argument(
            "--in-process",
            action="store_true",
            help="one run after another in this very process, for debuggers and profilers",
        )
        added.add_argument("--plain", action="store_true", help="one line an event, even on a terminal")
        added.add_argument("--retry-failed", action="store_true", help="run those again that have failed before")

    def add_results(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--update",
            action="store_true",
            help="take this version of a study that has changed: runs in both versions are kept, the new ones are run",
        )
        added.add_argument(
            "--results",
            metavar="DIR",
            default="results",
            help="folder for the study's folder of results (default: results)",
        )

    added = command("run", _run, "Run a study: all its fits, measurements of cost, and a report.")
    added.add_argument("study", metavar="STUDY.yaml", help="the study")
    add_data(added)
    add_results(added)
    add_running(added)
    added.add_argument(
        "--minutes",
        type=_positive(float),
        metavar="M",
        help="start no further fit after so many minutes; `resume` goes on",
    )

    added = command("resume", _resume, "Go on with a study that was stopped: only what is missing is run.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    add_data(added)
    add_running(added)
    added.add_argument("--minutes", type=_positive(float), metavar="M", help="as for `run`")

    added = command("report", _report, "Make a study's report again from its results; needs no data, no torch.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    added.add_argument(
        "--format",
        choices=("html", "markdown", "latex", "csv"),
        default="html",
        help="html for the report (default); else its tables as text, into DIR/tables",
    )

    added = command(
        "rescore",
        _rescore,
        "Compute scores again from the predictions that fits have left, and report; trains nothing.",
    )
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    added.add_argument(
        "--metrics", nargs="+", metavar="NAME", default=[], help="metrics to compute besides those of each task"
    )

    added = command("export", _export, "Copy a study's curves and scores to where TensorBoard or MLflow reads them.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    added.add_argument("--to", required=True, choices=("tensorboard", "mlflow"), help="whose format")
    added.add_argument(
        "--out",
        metavar="PATH",
        help="TensorBoard's folder or MLflow's SQLite file (default: in DIR, named for its reader)",
    )

    added = command("list", _list, "List tasks, models, or studies in ./studies and ./results.")
    added.add_argument("what", nargs="?", choices=("tasks", "models", "studies"), help="default: all three")

    added = command("compare", _compare, "Compare liquid and recurrent networks on a table of your own.")
    added.add_argument(
        "table",
        metavar="FILE",
        help="a table with one row a time step: .csv, .tsv, .txt, .dat, .data (also with .gz) or .parquet",
    )
    added.add_argument("--target", required=True, metavar="COLUMN", help="what is to be predicted")
    for role, meaning, without in (
        ("time", "when each row was measured", "rows are evenly spaced"),
        (
            "group",
            "whose row it is (subject, machine, trip); of several (subject,session) a split keeps the first whole, and "
            "all together tell recordings apart",
            "the file is one recording",
        ),
    ):
        # What is not asked for is left out, to be guessed; None asks for none.
        either = added.add_mutually_exclusive_group()
        either.add_argument(
            f"--{role}",
            metavar="COLUMN" if role == "time" else "A,B,...",
            type=str if role == "time" else _parted("column names"),
            default=argparse.SUPPRESS,
            help=f"{meaning}; guessed by default",
        )
        either.add_argument(
            f"--no-{role}",
            dest=role,
            action="store_const",
            const=None,
            default=argparse.SUPPRESS,
            help=f"there is no such column: {without}",
        )
    added.add_argument(
        "--dates",
        choices=("day-first", "month-first", "year-first"),
        default=argparse.SUPPRESS,
        help="how to read dates such as 01/02/2024; found out by default, where cells tell",
    )
    added.add_argument(
        "--features",
        type=_parted("column names"),
        metavar="A,B,...",
        default=argparse.SUPPRESS,
        help="columns to predict from (default: all of use); quote a name with a comma in it: '\"a, b\",c'",
    )
    added.add_argument(
        "--task",
        dest="kind",
        choices=("classification", "regression", "forecast"),
        default=argparse.SUPPRESS,
        help="what kind of prediction; guessed by default from the target",
    )
    added.add_argument(
        "--missing",
        type=_parted("values, or COLUMN=VALUE,"),
        action="extend",
        metavar="VALUE,COLUMN=VALUE,...",
        default=argparse.SUPPRESS,
        help="values that mean that there is none, in all columns or in one: --missing=-999,hum=-200. COLUMN= alone: "
        "only empty cells are missing in that column of text",
    )
    added.add_argument(
        "--decimal",
        choices=(".", ","),
        metavar="MARK",
        default=argparse.SUPPRESS,
        help="the mark before decimals, . or , (default: found out)",
    )
    added.add_argument(
        "--minutes",
        type=_positive(float),
        default=10.0,
        metavar="M",
        help="time to spend on fits (default: 10); fewer trials, seeds and models are run where it is short",
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
        type=_positive(int),
        metavar="N",
        help="trained parameters of each model (default: the first number from 4000 up that all models can have)",
    )
    added.add_argument(
        "--dry-run",
        action="store_true",
        help="print the whole plan (columns, parts, models, what the minutes allow); train and write nothing",
    )
    add_results(added)
    add_running(added)
    added.set_defaults(data=None)

    added = command("train", _train, "Train one network on one task with several processes, or go on with it.")
    added.add_argument("task", metavar="TASK", help="a name of `liquidbench list tasks`")
    added.add_argument(
        "model", metavar="MODEL", help="a name of `liquidbench list models`, or package.module:name of your own"
    )
    size = added.add_mutually_exclusive_group()
    size.add_argument("--hidden-size", type=_positive(int), metavar="N", help="units of the layer")
    size.add_argument(
        "--parameters",
        type=_positive(int),
        default=4000,
        metavar="N",
        help="or trained parameters of the whole network, within 5 %% (default: 4000)",
    )
    added.add_argument(
        "--steps",
        type=_positive(int),
        metavar="N",
        help="of the optimiser, at most (default: what docs/tasks.md says that the task needs, 2000 on others)",
    )
    for option, kind, default, meaning in (
        ("--batch-size", int, 64, "sequences a step, over all processes"),
        ("--learning-rate", float, 0.003, "when it is warm"),
        ("--clip-norm", float, 1.0, "largest norm of the gradient"),
        ("--patience", float, 0.2, "share of the steps, 300 at least, without a better score before training stops"),
    ):
        name = "S" if option == "--patience" else "N" if kind is int else "X"
        added.add_argument(
            option, type=_positive(kind), default=default, metavar=name, help=f"{meaning} (default: {default})"
        )
    added.add_argument(
        "--devices",
        type=_positive(int),
        metavar="N",
        help="processes that share each batch (default: 1, or those that torchrun has started)",
    )
    added.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what each computes on (default: cpu)")
    added.add_argument(
        "--parallel",
        choices=("ddp", "fsdp"),
        default="ddp",
        help="what each process keeps: the whole network (ddp), or a part of it, for a large one (fsdp) (default: ddp)",
    )
    added.add_argument(
        "--warm-up",
        type=float,
        default=0.05,
        metavar="S",
        help="share of the steps in which the rate rises (default: 0.05)",
    )
    added.add_argument(
        "--readout",
        choices=("last", "mean", "attention"),
        default="last",
        help="what is read out of a sequence with one target (default: last)",
    )
    added.add_argument("--weight-decay", type=float, default=0.0, metavar="X", help="of the optimiser (default: 0)")
    for option, choices in (("--optimiser", ("adamw", "rmsprop")), ("--schedule", ("constant", "cosine"))):
        added.add_argument(option, choices=choices, default=choices[0], help=f"default: {choices[0]}")
    added.add_argument("--seed", type=_seed, default=0, metavar="N", help="of everything that is drawn (default: 0)")
    added.add_argument(
        "--threads", type=_positive(int), metavar="N", help="of each process (default: cores divided among them)"
    )
    added.add_argument(
        "--folder", metavar="DIR", help="for checkpoint, network and scores (default: trained/TASK-MODEL)"
    )
    add_data(added)
    added.add_argument(
        "--minutes", type=_positive(float), metavar="M", help="stop after so many; the same command goes on"
    )
    added.add_argument(
        "--save-every", type=float, default=60.0, metavar="S", help="seconds between checkpoints (default: 60)"
    )
    return parser


def _positive(kind: type[int] | type[float], most: float | None = None) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a {noun} above 0; got {_brief(text)}")
        largest = (_MOST if kind is int else sys.float_info.max) if most is None else most
        if value > largest:
            raise argparse.ArgumentTypeError(f"must be at most {largest:,}; got {_brief(text)}")
        return value

    return parse


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {2**63 - 1:,}; got {_brief(text)}")
    return value


def _brief(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _folder(text: str) -> str:
    if not Path(text).expanduser().is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder, but there is none at {text!r}")
    return text


def _parted(what: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        parts = [part.strip() for line in csv.reader([text], skipinitialspace=True) for part in line]
        if not parts or not all(parts) or len(set(parts)) < len(parts):
            raise argparse.ArgumentTypeError(f"must be distinct {what} parted by commas; got {text!r}")
        return parts

    return parse


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _input(kinds: tuple[type[Exception], ...] = (ValueError, TypeError, OSError)) -> Iterator[None]:
    """Input that is refused ends the command with one sentence; other errors keep their traceback."""
    try:
        yield
    except kinds as problem:
        _refuse(str(problem))


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """A full or read-only disk, or something else in the way, ends the command with one sentence."""
    try:
        yield
    except (BrokenPipeError, ConnectionError):
        raise
    except OSError as problem:
        if isinstance(problem, FileNotFoundError) and not StudyFolder(directory).study.exists():
            _refuse(
                f"{directory} was moved, renamed or removed while liquidbench was at work in it; what was in flight is "
                "lost. What was finished is where the folder is now; to go on there: liquidbench resume FOLDER"
            )
        _refuse(
            f"results cannot be written to {directory} ({problem.strerror or problem}); what was finished is kept. "
            f"{_remedy(problem)}, then: liquidbench resume {directory}"
        )


def _remedy(problem: OSError) -> str:
    """What to do about a file that cannot be written."""
    # Of a file that was to be renamed the place is what counts.
    named = problem.filename2 or problem.filename
    if problem.errno == errno.EISDIR and named:
        return f"Move {named} away, which is a folder where a file is to be"
    if problem.errno in (errno.ENOTDIR, errno.EEXIST) and named:
        return f"Move {named} away, which is a file where a folder is to be"
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Allow writing there"
    if problem.errno in (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK):
        return "Move the folder to a disk that can do this"
    return "Make room or allow writing there"


@contextmanager
def _placing(directory: Path, options: argparse.Namespace) -> Iterator[None]:
    """A folder of results that cannot be made or looked at is said in one sentence, before anything is run."""
    try:
        yield
    except OSError as problem:
        # Of the folder, of what is in it, or of one above it; what else fails is no fault of the folder.
        named = [os.path.abspath(name) for name in (problem.filename, problem.filename2) if isinstance(name, str)]
        place = os.path.abspath(directory)
        if not any(
            (name + os.sep).startswith(place + os.sep) or (place + os.sep).startswith(name + os.sep) for name in named
        ):
            raise
        if problem.errno == errno.ENOTDIR or (problem.errno == errno.EEXIST and not os.path.isdir(named[-1])):
            above = next((part for part in [directory, *directory.parents] if os.path.lexists(part)), directory)
            reason = f"{above} is a file" if not above.is_dir() else f"{named[-1]} is a file"
        else:
            # So says a file system that holds no files of anybody's, such as /proc.
            reason = "no folder can be made there" if problem.errno == errno.ENOENT else str(problem.strerror)
        option = "--results" if hasattr(options, "results") else "--results of `liquidbench run`"
        text = str(directory)
        raise ValueError(
            f"results cannot be kept in {text if len(text) <= 200 else f'{text[:200]}...'} ({reason}). Name a folder "
            f"that is there or can be made, and can be written to: {option}"
        ) from problem


def _refuse(sentence: str) -> NoReturn:
    print(f"liquidbench: {shown(sentence, lines=True)}", file=sys.stderr)
    raise SystemExit(2)


def _run(options: argparse.Namespace) -> int:
    from liquidbench.study import Study

    with _input():
        study = Study.load(options.study)
        directory = Path(options.results) / study.name
        with _placing(directory, options):
            _check_kept(study, directory, options.update)
    return _carry_out(study, directory, options)


def _resume(options: argparse.Namespace) -> int:
    from liquidbench import kept

    directory = Path(options.directory)
    with _input():
        study = kept.read(directory)
    return _carry_out(study, directory, options)


def _check_kept(study: "Study", directory: Path, update: bool) -> None:
    """Refuse a folder with results of another version of the study, unless that is wanted and nobody is at it."""
    from liquidbench import kept

    if not update:
        kept.check(study, directory)
    elif StudyFolder(directory).study.is_file():
        _check_alone(study, directory)


def _check_alone(study: "Study", directory: Path) -> None:
    """Refuse to change a study under those who are at work at it: they would report what its file does not say."""
    from liquidbench import kept
    from liquidbench.engine.leases import Leases

    def differs() -> bool:
        # A damaged file says nothing of what others do; to write it again is what `--update` is for.
        with suppress(ValueError):
            return kept.read(directory) != study
        return False

    if not differs():
        return
    with Leases(directory) as driver:
        at_work, who = _at_work(driver, directory)
        # The same change given several times is one change: who came first has written it before it went to work.
        if at_work and differs():
            raise ValueError(
                f"another liquidbench is at work in {directory} at another version of study {study.name!r} ({who}). "
                "Give --update when it has ended or was stopped (Ctrl-C)"
            )


def _at_work(driver: "Leases", directory: Path) -> tuple[bool, str]:
    """Whether others are at work in a folder of results, and who in words; says what it waits for."""
    with Steps(plain=True) as now:
        now(f"looking whether another liquidbench, which has left its mark in {directory}, is still at work")
        at_work = bool(driver.confirmed_others())
    return at_work, ", ".join(driver.describe_others()) if at_work else ""


def _check_temporary() -> None:
    """Refuse a folder for temporary files that is named and is none: Python would quietly take another one."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        folder = os.environ.get(name)
        if not folder:
            continue
        try:
            with tempfile.TemporaryFile(dir=folder):
                break
        except OSError as problem:
            raise ValueError(
                f"{name} must name a folder for temporary files that can be written to; got {folder} "
                f"({problem.strerror or problem}). Make it, or unset {name}"
            ) from problem
    try:
        tempfile.gettempdir()
    except FileNotFoundError as problem:
        raise ValueError(f"there is no folder for temporary files ({problem.strerror}); name one in TMPDIR") from None


def _carry_out(
    study: "Study",
    directory: Path,
    options: argparse.Namespace,
    loaded: "Mapping[str, Task] | None" = None,
    asked: str = "",
) -> int:
    """Run what is missing of a study and report on all of it.

    Args:
        study: what to run.
        directory: its folder.
        options: of the command line.
        loaded: tasks by name that need not be loaded again.
        asked: a line for the study's file that says for what it was made.
    """
    with _input(), Steps(options.plain) as now:
        now("starting")
        from liquidbench import console, engine, kept, results

        _check_temporary()
        executor, processes = _executor(options)
        # Workers of Ray have devices of their own.
        if study.device != "cpu" and not options.ray:
            from liquidbench.training.learning import device_of

            device_of(study.device)
        with _placing(directory, options):
            plan = engine.plan(study, directory, options.data, options.retry_failed, loaded, now)
            # Only now, so that a study that cannot be run leaves no folder that a corrected one would clash with.
            kept.write(study, directory, asked)
        now("looking for scores that are there")
        scores = _known_scores(plan)
    if not plan.pending:
        failed = sum(status == "failed" for status in plan.status.values())
        again = f", {failed} of them failed (--retry-failed runs those again)" if failed else ""
        print(f"All {len(plan.status)} runs of study {study.name!r} are there{again}; nothing is left to run.")
        return _report_on(study, directory)

    metrics = {task: facts.metric for task, facts in plan.tasks.items()}
    with console.progress(study, metrics, processes, plain=options.plain) as progress:
        for run in plan.status.keys() - set(plan.pending):
            progress.known(run, "failed" if plan.status[run] == "failed" else "done", scores.get(run))

        def tell(event: engine.Event) -> None:
            run = event.run
            if event.kind == "started":
                progress.started(run)
            elif event.kind == "lost":
                progress.lost(run, event.reason or "no reason is known")
            elif event.kind == "doing":
                progress.doing(run, event.reason or "")
            elif event.kind == "held":
                progress.held(event.reason or "")
            elif event.kind == "elsewhere":
                progress.known(run, "done")
            elif event.kind == "finished":
                progress.finished(run, event.score)
            elif event.kind == "failed":
                progress.failed(run, event.reason or "no reason is known")
            elif event.stage is not None:
                at = event.stage
                progress.stage(run, console.Stage(at.trial, at.trials, at.step, at.steps, at.validation_loss))

        with _input((ValueError, RuntimeError)), _writing(directory):
            outcome = engine.execute(plan, executor, tell, options.minutes)
        if not outcome.interrupted:
            for run in outcome.left_out:
                progress.left_out(run)
    if outcome.interrupted:
        # Counted on the disk: a run may have ended after the last that was heard of it.
        ended = len(results.done(directory).keys() & set(plan.ids.values()))
        print(
            f"Stopped; {ended} of {len(plan.ids)} runs are finished and kept. To go on: liquidbench resume {directory}"
        )
        return 128 + outcome.interrupted
    code = _report_on(study, directory)
    if outcome.elsewhere:
        print(f"{counted(len(outcome.elsewhere), 'run')} of these were done by another liquidbench meanwhile.")
    if outcome.left_out:
        print(
            f"{options.minutes:g} minutes were spent, {counted(len(outcome.left_out), 'run')} left out. "
            f"To go on: liquidbench resume {directory}"
        )
    return code


def _executor(options: argparse.Namespace) -> "tuple[Executor, int]":
    """Who does the runs, and how many of them at a time."""
    from liquidbench import engine

    if options.in_process:
        if options.processes or options.ray:
            raise ValueError("--in-process is one process, this one; leave out --processes and --ray")
        return engine.InProcess(options.threads), 1
    if options.ray:
        from liquidbench.engine.cluster import Cluster

        return Cluster(options.ray, options.processes, options.threads), options.processes or _cores()
    processes = options.processes or max(_cores() // options.threads, 1)
    return engine.Pool(processes, options.threads), processes


def _report(options: argparse.Namespace) -> int:
    from liquidbench import kept

    directory = Path(options.directory)
    with _input():
        study = kept.read(directory)
    return _report_on(study, directory, options.format)


def _rescore(options: argparse.Namespace) -> int:
    from liquidbench import kept, predictions, results
    from liquidbench.engine.leases import Leases
    from liquidbench.metrics import METRICS
    from liquidbench.system import storage

    directory, scored, left, damaged = Path(options.directory), 0, 0, 0
    # Runs by metric, task and reason.
    undefined: dict[tuple[str, str, str], set[str]] = {}
    with _input():
        study = kept.read(directory)
        facts = kept.facts(study, directory)
        added = _applicable(options.metrics, facts)
    with _input((ValueError,)), _writing(directory), Leases(directory) as driver:
        at_work, who = _at_work(driver, directory)
        if at_work:
            raise ValueError(f"another liquidbench is at work in {directory} ({who}); rescore when it has ended")
        writer = results.Writer(directory, driver.name)
        # Copies that it has taken over are gone before anything is read, and told of.
        writer.consolidate()
        frame = results.read(directory, kept.run_ids(study, facts))
        fits = frame.filter((frame["kind"] == "fit") & (frame["status"] == "done"))
        for rows in (part.to_dicts() for part in fits.partition_by("run", maintain_order=True)):
            run, task = rows[0]["run"], rows[0]["task"]
            try:
                predicted = predictions.read(directory, run)
            except FileNotFoundError:
                left += 1
                continue
            except storage.DamagedFileError as error:
                aside = storage.set_aside(predictions.path(directory, run), directory)
                warnings.warn(f"{error}; it is now {aside}", storage.KeptFileWarning, stacklevel=1)
                writer.remove(run)
                damaged += 1
                continue
            wanted = [name for name in facts[task].metrics if name in METRICS]
            again = predictions.rescored(rows, predicted, dict.fromkeys([*wanted, *added[task]]))
            for row in again:
                if row["metric"] in options.metrics and row["value"] is None and row["step"] is None:
                    undefined.setdefault((row["metric"], task, row["reason"] or ""), set()).add(run)
            writer.add(run, results.pack(again))
            scored += 1
        writer.consolidate()
    print(f"Scored again: {counted(scored, 'fit')}")
    if left:
        print(
            f"Left as {'it was' if left == 1 else 'they were'}: {counted(left, 'fit')} without predictions in "
            f"{StudyFolder(directory).predictions}. Put the missing files back and rescore again; to train these fits "
            "again instead, run the study in another folder (--results)"
        )
    for task, told in facts.items():
        if kept := _not_rescored(told):
            print(f"Left as they were, of {shown(task)}: {shown(', '.join(kept))}")
    if options.metrics and scored:
        at = StudyFolder(directory).runs
        print(f"Computed besides: {', '.join(options.metrics)}; they are in {at}, one row a score")
    for (metric, task, reason), runs in undefined.items():
        print(f"Without a score: {metric} of {counted(len(runs), 'fit')} of {shown(task)} ({shown(reason)})")
    if damaged:
        print(f"The predictions of {damaged} more were damaged. To do these fits again: liquidbench resume {directory}")
    return _report_on(study, directory)


def _not_rescored(facts: "Facts") -> list[str]:
    """What cannot be computed from predictions alone, each with what it takes."""
    from liquidbench.metrics import METRICS

    own = [f"{name} (a metric of the task's own code)" for name in facts.metrics if name not in METRICS]
    return own + [f"{one.name} (measured in a closed loop, which needs the network)" for one in facts.measurements]


def _applicable(metrics: Sequence[str], facts: "Mapping[str, Facts]") -> dict[str, list[str]]:
    """By task, which of the metrics that were asked for score it; those that score none of them are refused."""
    from liquidbench.metrics import METRICS

    kinds = {task.kind for task in facts.values()}
    known = [name for name, metric in METRICS.items() if metric.kind in kinds]
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"--metrics must be among {', '.join(known)}; got {name!r}")
        kind = METRICS[name].kind
        if kind not in kinds:
            raise ValueError(
                f"--metrics must be among {', '.join(known)}, which score {' and '.join(sorted(kinds))}, as all tasks "
                f"here are; {name} scores {kind}. Nothing was scored"
            )
        if others := [task for task, told in facts.items() if told.kind != kind]:
            print(f"{name} scores {kind} and is left out for {shown(', '.join(others))}", file=sys.stderr)
    return {task: [name for name in metrics if METRICS[name].kind == told.kind] for task, told in facts.items()}


def _export(options: argparse.Namespace) -> int:
    from liquidbench import kept, results
    from liquidbench.export import export

    directory = Path(options.directory)
    folder = StudyFolder(directory)
    default, look = {
        "tensorboard": (folder.tensorboard, "tensorboard --logdir {}"),
        "mlflow": (folder.mlflow, "mlflow ui --backend-store-uri sqlite:///{}"),
    }[options.to]
    path = Path(options.out or default)
    with _input():
        study = kept.read(directory)
        frame = results.read(directory, kept.run_ids(study, kept.facts(study, directory)))
        exported, before = export(frame, options.to, path, study.name)
        if not exported and not before:
            raise ValueError(
                f"{directory} holds no finished fit to export; `liquidbench resume {directory}` makes what is missing"
            )
    known = f", {before} were there" if before else ""
    print(f"Exported {counted(exported, 'fit')} to {path}{known}; look: {look.format(path)}")
    return 0


def _report_on(study: "Study", directory: Path, form: Literal["html", "markdown", "latex", "csv"] = "html") -> int:
    """Judge the results there are, write the report or its tables, print the verdict and the paths."""
    import polars as pl

    from liquidbench import console, kept, predictions, report, results, statistics

    folder = StudyFolder(directory)
    with _input():
        facts = kept.facts(study, directory)
        runs = kept.run_ids(study, facts)
        # Curves of hundreds of seeds are for no one to see, and would be most of the report.
        seeds = study.seeds[: max(_MOST_CURVES // (len(study.tasks) * len(study.models)), 1)]
        keep = None if seeds == study.seeds else results.without_curves(seeds)
        with warnings.catch_warnings():
            # What there is to say of damaged files is said once, below.
            warnings.simplefilter("ignore")
            others = len(results.done(directory).keys() - runs)
        frame = results.read(directory, runs, keep, results.COMPACT)
        if frame.is_empty():
            raise ValueError(f"{directory} holds no results yet; make some: liquidbench resume {directory}")
        # Every pair of models asks for the same runs.
        without = cache(partial(predictions.scores_without, directory))
    comparison = statistics.compare(frame, facts, study.smallest_difference, study.matching, study.families, without)
    with _writing(directory):
        path = folder.report if form == "html" else folder.tables
        if form == "html":
            report.write(study, frame, facts, comparison, path)
        else:
            report.write_tables(study, frame, facts, comparison, path, form)
    console.summary(console.Output(), comparison, facts)
    print(f"\n{'Report: ' if form == 'html' else 'Tables: '} {path}")
    at = folder.runs if folder.runs.exists() else folder.table
    print(f"Results: {at} ({frame['run'].n_unique()} of {len(runs)} runs)")
    if others:
        print(f"Ignored: {others} more there, which are of other versions of the study or of its data")
    fits = set(frame.lazy().filter(pl.col("kind") == "fit").select(pl.col("status").unique()).collect()["status"])
    if fits == {"failed"}:
        print("liquidbench: every fit failed; the report lists the reasons", file=sys.stderr)
        return 1
    return 0


def _known_scores(plan: "Plan") -> dict["Run", float]:
    """Main score on the clean test split, of the runs that have one."""
    from liquidbench import results

    runs = {plan.id(run): run for run in plan.status}
    metrics = {task: facts.metric for task, facts in plan.tasks.items()}
    found = results.main_scores(results.read(plan.directory, runs, results.without_curves(())), metrics)
    return {runs[run]: score for run, score in found.select("run", "value").iter_rows()}


def _list(options: argparse.Namespace) -> int:
    wanted = (options.what,) if options.what else ("tasks", "models", "studies")
    for number, what in enumerate(wanted):
        if len(wanted) > 1:
            print(f"{chr(10) * bool(number)}{what}:")
        rows = {"tasks": _tasks, "models": _models, "studies": _studies}[what]()
        width = max((len(name) for name, _ in rows), default=0)
        for name, told in rows:
            print(f"  {name:<{width}}  {told}".rstrip())
    return 0


def _tasks() -> list[tuple[str, str]]:
    from liquidbench import tasks

    def origin(name: str) -> str:
        if name.endswith("-excerpt"):
            return "comes with the package"
        return "made up when asked for" if name.startswith("parity-") else "raw data given with --data, or downloaded"

    return [(name, origin(name)) for name in tasks.names()]


def _models() -> list[tuple[str, str]]:
    from liquidbench.models import MODELS

    return [(name, spec.family) for name, spec in MODELS.items()]


def _studies() -> list[tuple[str, str]]:
    from liquidbench import kept, results
    from liquidbench.study import Study

    rows = []
    for path in sorted(Path("studies").glob("*.yaml")):
        try:
            rows.append((str(path), Study.load(path).question))
        except ValueError as problem:
            rows.append((str(path), f"cannot be read: {problem}"))
    for path in sorted(Path("results").glob(f"*/{StudyFolder('').study}")):
        try:
            study = kept.read(path.parent)
            runs = kept.run_ids(study, kept.facts(study, path.parent))
            told = f"{len(runs & results.done(path.parent).keys())} of {len(runs)} runs are there. {study.question}"
        except (ValueError, OSError) as problem:
            told = f"cannot be read: {problem}"
        rows.append((f"{path.parent}{os.sep}", told))
    return rows


def _compare(options: argparse.Namespace) -> int:
    with _input(), Steps(options.plain) as now:
        now(f"reading {options.table}{_size(Path(options.table))}")
        from liquidbench import kept
        from liquidbench.study import Study
        from liquidbench.tasks import table

        _check_temporary()
        began = time.monotonic()
        choices = ("time", "dates", "group", "features", "kind", "missing", "decimal")
        asked = {key: value for key, value in vars(options).items() if key in choices}
        planned = table.plan({"table": options.table, "target": options.target, **asked})
        task = planned.task
        now("building the parts for training and validation")
        # Its models' names and all that needs no timing are checked before anything is timed.
        study = Study.parse(_comparison(task, planned.mapping, options))
        directory = Path(options.results) / study.name
        at = StudyFolder(directory).study
        note = _asked(options)
        with _placing(directory, options):
            before = None if options.update else kept.made_before(study, directory, note)
        if before is None:
            task.split("validation")
            setup = time.monotonic() - began
            study, budget = _afforded(study, task, options, setup, now)
        else:
            study, budget = before, [f"plan: as it was made before for the same question, in {at}"]
        if options.dry_run:
            now("building the test part")
            described = _described(task, planned.lines)
        else:
            described = planned.lines
    for line in (*described, *budget):
        print(shown(line))
    would = "would be" if options.dry_run else "is"
    print(f"\nThe study {would} kept in {shown(str(at))}\n", flush=True)
    with _input(), _placing(directory, options):
        _check_kept(study, directory, options.update)
    if options.dry_run:
        print("Nothing was trained or written; without --dry-run it is run.")
        return 0
    if before is None:
        # What was timed too short goes on for half as long again, rather than end without the last seed.
        options.minutes *= 1.5
    return _carry_out(study, directory, options, {task.name: task}, note)


def _size(path: Path) -> str:
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        # What is wrong with it is said by whoever reads it.
        return ""
    return f" ({size / 1e6:,.0f} MB)" if size >= 1e6 else f" ({size / 1e3:,.0f} kB)"


def _asked(options: argparse.Namespace) -> str:
    """A line that says what a comparison was made for, so that the same command goes on with it.

    Timing anew would give another study, as no two measurements of time agree.
    """
    named = {name: getattr(options, name) for name in ("minutes", "models", "parameters")}
    return f"# made by compare for {json.dumps(named)}\n"


def _afforded(
    study: "Study", task: "Task", options: argparse.Namespace, setup: float, on_step: Callable[[str], None]
) -> "tuple[Study, list[str]]":
    """The comparison cut to the time there is, and what that means in words."""
    on_step("loading torch")
    began = time.monotonic()
    from dataclasses import replace

    from liquidbench import allowance

    # So long it takes a worker, too.
    setup += time.monotonic() - began
    on_step("finding sizes that all networks can have")
    parameters = options.parameters or _budget(task, study.models)
    processes = 1 if options.in_process else options.processes or max(_cores() // options.threads, 1)
    batch_size = study.training.batch_size
    corruptions = len(study.robustness.removed_steps) + len(study.robustness.noise)
    # A twentieth of the minutes, and neither more nor less than is of use.
    seconds = min(max(3 * options.minutes, 1.0), 60.0)
    found = allowance.paces(task, study.models, parameters, batch_size, corruptions, options.threads, seconds, on_step)
    fitting = allowance.allot(found, options.minutes, processes, setup)
    study = replace(
        study,
        models=fitting.models,
        parameters=parameters,
        seeds=tuple(range(fitting.seeds)),
        search=replace(study.search, trials=fitting.trials, minutes=fitting.cap),
        training=replace(study.training, steps=fitting.steps),
    )
    return study, allowance.in_words(fitting, parameters, options.minutes, processes, found, setup)


def _described(task: "Task", lines: Sequence[str]) -> list[str]:
    """All that is known of a table before anything is trained; what deserves a look at the end."""
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
        f"time: in {task.time_unit}; a span of 1 is {task.timespan_unit:g} of these",
        f"inputs: {len(task.features)} ({inputs})",
        "parts:",
        *parts,
        *warned,
    ]


def _in_unit(unit: str) -> str:
    return "" if unit in ("1", "as in the table") else f" [{unit}]"


def _comparison(task: "Task", mapping: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The study for a user's table, before it is cut to the time there is.

    Batches are small enough for sixteen steps an epoch, if there are so many sequences.
    """
    batch_size = min(max(len(task.split("train")) // 16, 1), 64)
    named = f"{Path(options.table).stem}-{options.target}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("-._")
    if len(name) > _LONGEST_NAME:
        # No folder has a name of any length; what is cut off still tells two of them apart.
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


def _budget(task: "Task", models: "Sequence[str | OwnModel]") -> int:
    """The first budget from 4,000 parameters up that every model can keep: with many columns, sizes are coarse."""
    from liquidbench import matching
    from liquidbench.models import model_name
    from liquidbench.own import CodeError

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
        f"no number of parameters up to 64,000 suits all of {named} with {len(task.features)} features "
        f"({last}); choose one with --parameters, fewer columns with --features, or other --models"
    )


def _train(options: argparse.Namespace) -> int:
    from liquidbench import matching, tasks
    from liquidbench.models import OwnModel, model_name
    from liquidbench.own import is_code
    from liquidbench.search import Settings
    from liquidbench.study import STEPS, STEPS_ELSEWHERE
    from liquidbench.training import distributed
    from liquidbench.training.replicas import Course, PeerLost
    from liquidbench.training.trainer import Evaluation

    chosen = ("learning_rate", "optimiser", "schedule", "weight_decay", "clip_norm", "patience", "warm_up", "readout")
    settings = Settings(**{name: getattr(options, name) for name in chosen})

    with _input():
        task = tasks.load(options.task, options.data)
        model = OwnModel.found(options.model) if is_code(options.model) else options.model
        folder = Path(options.folder or Path("trained") / f"{task.name}-{model_name(model)}")
        size = options.hidden_size or matching.size_for_budget(model, task, options.parameters, options.seed)
        course = Course(
            model,
            size,
            settings,
            options.steps or STEPS.get(task.name, STEPS_ELSEWHERE),
            options.batch_size,
            options.seed,
            options.devices or distributed.processes(),
            options.threads,
            options.device,
            options.parallel,
        )
        parameters = matching.count_parameters(course.build(task))
    # Of the processes that torchrun has started one speaks.
    say = print if distributed.is_first() else lambda *words, **how: None
    say(f"{model_name(model)} with {size} units, {parameters:,} parameters, on {task.name}, in {folder}", flush=True)

    def tell(at: Evaluation) -> None:
        scored = "undefined" if at.score is None else f"{at.score:.4g}"
        say(
            f"step {at.step:>{len(str(course.steps))}}/{course.steps}: training loss {at.train_loss:.4g}, validation "
            f"loss {at.validation_loss:.4g}, {task.metric} {scored}, {at.sequences / at.seconds:,.0f} sequences/s",
            flush=True,
        )

    try:
        with _input((ValueError, TypeError)):
            trained = distributed.train(
                task, course, folder, minutes=options.minutes, save_every=options.save_every, on_evaluation=tell
            )
    except (FloatingPointError, ChildProcessError, PeerLost) as problem:
        print(f"liquidbench: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        _refuse(f"{folder} must be a folder that can be written to ({problem.strerror or problem}); choose another one")
    if trained.ended == "minutes":
        say(f"Stopped after {options.minutes:g} minutes; the same command goes on")
        return 0
    say(f"Ended by {trained.ended}; the best step was {trained.best_step}")
    for split, scores in trained.scores.items():
        known = (f"{metric} {'undefined' if value is None else f'{value:.4g}'}" for metric, value in scores.items())
        say(f"{split}: {', '.join(known)}")
    say(f"Network: {TrainingFolder(folder).model}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
