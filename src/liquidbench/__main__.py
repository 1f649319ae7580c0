"""The command line: run, resume and report on studies, compare networks on a table, train, keep and use one.

Exit codes: 0 for success, 1 if every fit failed, 2 for a wrong command or bad input (with a message of one sentence),
130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 if the reader of the output has gone. Modules are imported
where a command needs them, so help, ``list`` and ``report`` never load torch.
"""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` puts the current folder first on the path: a socket.py there would hide Python's own.
    if os.path.realpath(sys.path[0]) != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        del sys.path[0]

import argparse
import csv
import errno
import hashlib
import io
import json
import re
import shlex
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import liquidbench
from liquidbench.folder import StudyFolder
from liquidbench.system import storage
from liquidbench.system.names import shown
from liquidbench.system.processes import Stopped, stoppable
from liquidbench.waiting import Steps
from liquidbench.wording import counted

if TYPE_CHECKING:
    import polars as pl

    from liquidbench.engine import Executor, Plan
    from liquidbench.engine.leases import Leases
    from liquidbench.facts import Facts
    from liquidbench.models import UserModel
    from liquidbench.study import Robustness, Run, Study
    from liquidbench.tasks.task import Task

_MOST_CURVES = 5_000
_LONGEST_NAME = 100
_MOST = 2**31 - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; None for ``sys.argv``.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A character that the output cannot encode must not end a study.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Print each warning once, as one line without source code.
    printed: set[str] = set()

    def line(message: Warning | str, *_: Any, **__: Any) -> str:
        text = f"liquidbench: {shown(str(message))}\n"
        if text in printed:
            return ""
        printed.add(text)
        return text

    warnings.formatwarning = line
    try:
        with stoppable():
            code = options.command(options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _end_quietly()
    except OSError as problem:
        # Whether it was the output: what could not be written is not always kept for another try.
        try:
            print(flush=True)
        except OSError:
            _end_quietly()
            _refuse(
                f"the output cannot be written ({problem.strerror or problem}). Make room where it is redirected to, "
                "or redirect it elsewhere, then repeat the command"
            )
        raise
    except KeyboardInterrupt as stop:
        # The terminal may be gone, which is what SIGHUP says.
        with suppress(OSError):
            print("liquidbench: stopped", file=sys.stderr, flush=True)
        return 128 + (stop.signal if isinstance(stop, Stopped) else signal.SIGINT)


def _end_quietly() -> int:
    """The reader of the output has gone (as `head` does): prevent an error when Python flushes the output at exit."""
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
        description="Should I use a liquid network here? Fair comparisons of liquid and recurrent networks.",
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
            type=_existing_folder,
            metavar="DIR",
            help="folder with raw data (default: $LIQUIDBENCH_DATA; else they are downloaded once)",
        )

    def add_running(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--processes",
            type=_positive(int, 4096),
            metavar="N",
            help=f"number of parallel fits (default: cores divided by threads; there are {_cores()} cores)",
        )
        added.add_argument(
            "--threads", type=_positive(int, 4096), metavar="N", default=1, help="cores for each fit (default: 1)"
        )
        added.add_argument(
            "--ray",
            metavar="ADDRESS",
            help="use a Ray cluster: its address, `auto` for the running one, or `local` to start one on this machine; "
            "--processes then limits the number of parallel fits (default: as many as fit)",
        )
        added.add_argument(
            "--in-process",
            action="store_true",
            help="one run after another in this process, for debuggers and profilers",
        )
        added.add_argument("--plain", action="store_true", help="print one line per event, even on a terminal")
        added.add_argument("--retry-failed", action="store_true", help="repeat runs that have failed before")

    def add_results(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--update",
            action="store_true",
            help="accept changes of the study since its last run: results of runs in both versions are kept",
        )
        added.add_argument(
            "--results",
            metavar="DIR",
            default="results",
            help="parent of the study's folder of results (default: results)",
        )

    def add_table(added: argparse.ArgumentParser) -> None:
        """Options that say how a table is read; those that are not given are guessed."""
        for role, meaning, without in (
            ("time", "when each row was measured", "rows are evenly spaced"),
            (
                "group",
                "what the row belongs to (subject, machine, trip). With several columns (subject,session), splits keep "
                "each value of the first together, and all columns together identify a recording",
                "the file is one recording",
            ),
        ):
            # Options that are not given are guessed; None means that there is no such column.
            either = added.add_mutually_exclusive_group()
            either.add_argument(
                f"--{role}",
                metavar="COLUMN" if role == "time" else "A,B,...",
                type=str if role == "time" else _comma_separated("column names"),
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
            help="how to read dates such as 01/02/2024 (default: inferred from the cells if possible)",
        )
        added.add_argument(
            "--features",
            type=_comma_separated("column names"),
            metavar="A,B,...",
            default=argparse.SUPPRESS,
            help="columns to predict from (default: all useful ones); quote a name that contains a comma: '\"a, b\",c'",
        )
        added.add_argument(
            "--task",
            dest="kind",
            choices=("classification", "regression", "forecast", "next-known"),
            default=argparse.SUPPRESS,
            help="kind of prediction (default: guessed from the target, but for next-known: the next value of a target "
            "that is measured now and then)",
        )
        added.add_argument(
            "--horizon",
            type=_positive(int),
            metavar="ROWS",
            default=argparse.SUPPRESS,
            help="rows that --task forecast looks ahead (default: 1)",
        )
        added.add_argument(
            "--window",
            type=_positive(int),
            metavar="ROWS",
            default=argparse.SUPPRESS,
            help="longest sequence, at least 2 rows; longer recordings are cut (default: chosen from their lengths)",
        )
        added.add_argument(
            "--missing",
            type=_comma_separated("values, or COLUMN=VALUE,"),
            action="extend",
            metavar="VALUE,COLUMN=VALUE,...",
            default=argparse.SUPPRESS,
            help="values that mark missing cells, in all columns or in one: --missing=-999,hum=-200. COLUMN= alone: "
            "only empty cells are missing in that text column",
        )
        added.add_argument(
            "--decimal",
            choices=(".", ","),
            metavar="MARK",
            default=argparse.SUPPRESS,
            help="decimal separator, . or , (default: inferred)",
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
        help="start no more fits after this time; `resume` continues",
    )

    added = command("resume", _resume, "Continue an interrupted study: do the runs that are missing.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    add_data(added)
    add_running(added)
    added.add_argument("--minutes", type=_positive(float), metavar="M", help="as for `run`")

    added = command("report", _report, "Write a study's report from its results; needs neither data nor torch.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    added.add_argument(
        "--format",
        choices=("html", "markdown", "latex", "csv"),
        default="html",
        help="html for the report (default); other formats write its tables as text to DIR/tables",
    )

    added = command(
        "rescore",
        _rescore,
        "Compute scores again from stored predictions and networks, and report; trains nothing.",
    )
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    added.add_argument(
        "--metrics", nargs="+", metavar="NAME", default=[], help="metrics to compute in addition to those of each task"
    )
    added.add_argument(
        "--shifts",
        nargs="+",
        metavar="NAME[=LEVEL,...]",
        default=[],
        help="shifts of the test data to try the trained networks on as well, such as noise=0.5,1 or bias for its "
        "default levels; `all` for every shift. This needs the data and torch",
    )
    add_data(added)

    added = command("export", _export, "Export a study's curves and scores for TensorBoard or MLflow.")
    added.add_argument("directory", metavar="DIR", help="its folder of results, such as results/demo")
    added.add_argument("--to", required=True, choices=("tensorboard", "mlflow"), help="format of the export")
    added.add_argument(
        "--out",
        metavar="PATH",
        help="TensorBoard's folder or MLflow's SQLite file (default: DIR/tensorboard or DIR/mlflow.db)",
    )

    added = command(
        "keep", _keep, "Write a network that a study has trained to a folder of its own, for `predict` and `load`."
    )
    added.add_argument("directory", metavar="DIR", help="the study's folder of results, such as results/demo")
    added.add_argument("--task", metavar="NAME", help="the task (default: each task of the study)")
    added.add_argument("--model", metavar="NAME", help="the model (default: the best one on validation)")
    added.add_argument("--to", metavar="FOLDER", help="the folder to write (default: DIR/models/TASK/MODEL)")

    added = command(
        "explain",
        _explain,
        "Explain kept networks on test: attributions, time constants, lesions, flights; and report. Needs data, torch.",
    )
    added.add_argument("directory", metavar="DIR", help="the study's folder of results, such as results/demo")
    added.add_argument("--task", metavar="NAME", help="the task (default: each task with a kept network)")
    added.add_argument("--model", metavar="NAME", help="the model (default: each that was kept, see `keep`)")
    add_data(added)

    added = command("predict", _predict, "Predict from the rows of a table with a network that was kept.")
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
        type=_positive(float),
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

    added = command("list", _list, "List tasks, models, or studies in ./studies and ./results.")
    added.add_argument("what", nargs="?", choices=("tasks", "models", "studies"), help="default: all three")

    added = command("compare", _compare, "Compare liquid and recurrent networks on a table of your own.")
    added.add_argument(
        "table",
        metavar="FILE",
        help="a table with one row per time step: .csv, .tsv, .txt, .dat, .data (also with .gz) or .parquet",
    )
    added.add_argument("--target", required=True, metavar="COLUMN", help="column to predict")
    add_table(added)
    added.add_argument(
        "--minutes",
        type=_positive(float),
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
        type=_positive(int),
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

    added = command(
        "train", _train, "Train one network on one task with one or more processes; resumes if interrupted."
    )
    added.add_argument("task", metavar="TASK", help="a name of `liquidbench list tasks`, or a table of your own")
    added.add_argument(
        "model", metavar="MODEL", help="a name of `liquidbench list models`, or package.module:name of your own"
    )
    added.add_argument("--target", metavar="COLUMN", default=argparse.SUPPRESS, help="column of the table to predict")
    add_table(added)
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
        help="largest number of optimiser steps (default: see docs/tasks.md; 2000 for tasks that are not listed)",
    )
    for option, kind, default, meaning in (
        ("--batch-size", int, 64, "sequences per step, over all processes"),
        ("--learning-rate", float, 0.003, "learning rate after warm-up"),
        ("--clip-norm", float, 1.0, "norm that the gradient is clipped to"),
        ("--patience", float, 0.2, "share of the steps, at least 300, without a better score before training stops"),
    ):
        name = "S" if option == "--patience" else "N" if kind is int else "X"
        added.add_argument(
            option, type=_positive(kind), default=default, metavar=name, help=f"{meaning} (default: {default})"
        )
    added.add_argument(
        "--devices",
        type=_positive(int),
        metavar="N",
        help="number of processes that share each batch (default: 1, or those that torchrun has started)",
    )
    added.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="device of each process (default: cpu)")
    added.add_argument(
        "--parallel",
        choices=("ddp", "fsdp"),
        default="ddp",
        help="each process has the whole network (ddp), or a part of it, for large networks (fsdp) (default: ddp)",
    )
    added.add_argument(
        "--warm-up",
        type=float,
        default=0.05,
        metavar="S",
        help="share of the steps during which the learning rate rises (default: 0.05)",
    )
    added.add_argument(
        "--readout",
        choices=("last", "mean", "attention"),
        default="last",
        help="how outputs are combined if a sequence has one target (default: last)",
    )
    added.add_argument("--weight-decay", type=float, default=0.0, metavar="X", help="weight decay (default: 0)")
    for option, choices in (("--optimiser", ("adamw", "rmsprop")), ("--schedule", ("constant", "cosine"))):
        added.add_argument(option, choices=choices, default=choices[0], help=f"default: {choices[0]}")
    added.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of all random numbers (default: 0)")
    added.add_argument(
        "--threads",
        type=_positive(int),
        metavar="N",
        help="threads per process (default: cores divided by the number of processes)",
    )
    added.add_argument(
        "--folder", metavar="DIR", help="for checkpoint, network and scores (default: trained/TASK-MODEL)"
    )
    add_data(added)
    added.add_argument(
        "--minutes", type=_positive(float), metavar="M", help="stop after this time; the same command continues"
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
            raise argparse.ArgumentTypeError(f"must be a {noun} above 0; got {_shortened(text)}")
        largest = (_MOST if kind is int else sys.float_info.max) if most is None else most
        if value > largest:
            raise argparse.ArgumentTypeError(f"must be at most {largest:,}; got {_shortened(text)}")
        return value

    return parse


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {2**63 - 1:,}; got {_shortened(text)}")
    return value


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _existing_folder(text: str) -> str:
    try:
        there = Path(text).expanduser().is_dir()
    except (OSError, RuntimeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "there is no such user"
        raise argparse.ArgumentTypeError(
            f"must be a folder that can be read; got {_shortened(text)} ({reason})"
        ) from None
    if not there:
        raise argparse.ArgumentTypeError(f"must be a folder, but there is none at {_shortened(text)}")
    return text


def _comma_separated(what: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        parts = [part.strip() for line in csv.reader([text], skipinitialspace=True) for part in line]
        if not parts or not all(parts) or len(set(parts)) < len(parts):
            raise argparse.ArgumentTypeError(f"must be distinct {what} separated by commas; got {text!r}")
        return parts

    return parse


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _refusing(kinds: tuple[type[Exception], ...] = (ValueError, TypeError, OSError)) -> Iterator[None]:
    """End the command with one sentence for errors that mean bad input; others keep their traceback."""
    try:
        yield
    except kinds as problem:
        _refuse(_unreadable(problem) or _unusable(problem) or str(problem))


def _unreadable(problem: Exception) -> str:
    """One sentence if the error is that this user may not read a file or folder, else ""."""
    if not isinstance(problem, PermissionError) or problem.filename2 or (place := _place(problem)) is None:
        return ""
    if os.access(place, os.R_OK | (os.X_OK if place.is_dir() else 0)):
        return ""
    return f"{place} cannot be read ({problem.strerror}); allow reading it, then repeat the command"


def _unusable(problem: Exception) -> str:
    """One sentence if the error is the system's and about a file or folder, else ""."""
    if not isinstance(problem, OSError) or not problem.strerror or not isinstance(problem.filename, str):
        return ""
    return f"{problem.filename} cannot be used ({problem.strerror}). {_remedy(problem)}, then repeat the command"


def _place(problem: OSError) -> Path | None:
    """The file or folder that an error names, or the closest folder above that can be reached."""
    # If renaming failed, the target is what matters.
    named = problem.filename2 or problem.filename
    if not isinstance(named, str):
        return None
    return next((place for place in (Path(named), *Path(named).parents) if os.path.lexists(place)), None)


@contextmanager
def _refusing_write_errors(directory: Path) -> Iterator[None]:
    """End the command with one sentence if results cannot be written, as on a full disk."""
    try:
        yield
    except (BrokenPipeError, ConnectionError):
        raise
    except OSError as problem:
        if isinstance(problem, FileNotFoundError) and not StudyFolder(directory).study.exists():
            _refuse(
                f"{directory} was moved, renamed or removed while liquidbench was using it. Results of unfinished runs "
                "are lost; finished ones are in the moved folder. To continue there: liquidbench resume FOLDER"
            )
        if sentence := _unreadable(problem):
            _refuse(sentence)
        _refuse(
            f"results cannot be written to {directory} ({problem.strerror or problem}); finished runs are kept. "
            f"{_remedy(problem)}, then repeat the command"
        )


def _remedy(problem: OSError) -> str:
    """What to do about a file or folder that cannot be used."""
    place = _place(problem)
    if problem.errno == errno.EISDIR and place:
        return f"Move {place} away: it is a folder, but a file is needed there"
    if problem.errno in (errno.ENOTDIR, errno.EEXIST) and place:
        return f"Move {place} away: it is a file, but a folder is needed there"
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Allow writing there"
    if problem.errno in (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK):
        return "Move the folder to a file system that supports this"
    if problem.errno == errno.ENOENT:
        return "Put it back, or mount its disk"
    if problem.errno == errno.EIO:
        return "Check the disk"
    if problem.errno == errno.ENAMETOOLONG:
        return "Choose a shorter name"
    return "Make room or allow writing there"


@contextmanager
def _checking_folder(directory: Path, options: argparse.Namespace) -> Iterator[None]:
    """Raise a ValueError with one sentence if the folder of results cannot be created or read."""
    try:
        yield
    except OSError as problem:
        # Only errors about the folder, its content, or its parents.
        named = [os.path.abspath(name) for name in (problem.filename, problem.filename2) if isinstance(name, str)]
        place = os.path.abspath(directory)
        if not any(
            (name + os.sep).startswith(place + os.sep) or (place + os.sep).startswith(name + os.sep) for name in named
        ):
            raise
        if sentence := _unreadable(problem):
            raise ValueError(sentence) from problem
        if problem.errno == errno.ENOTDIR or (problem.errno == errno.EEXIST and not os.path.isdir(named[-1])):
            above = next((part for part in [directory, *directory.parents] if os.path.lexists(part)), directory)
            reason = f"{above} is a file" if not above.is_dir() else f"{named[-1]} is a file"
        else:
            # Virtual file systems such as /proc report ENOENT.
            reason = "no folder can be created there" if problem.errno == errno.ENOENT else str(problem.strerror)
        option = "--results" if hasattr(options, "results") else "--results of `liquidbench run`"
        text = str(directory)
        raise ValueError(
            f"results cannot be stored in {text if len(text) <= 200 else f'{text[:200]}...'} ({reason}). Choose a "
            f"writable folder with {option}"
        ) from problem


def _refuse(sentence: str) -> NoReturn:
    print(f"liquidbench: {shown(sentence, lines=True)}", file=sys.stderr)
    raise SystemExit(2)


def _run(options: argparse.Namespace) -> int:
    from liquidbench.study import Study

    with _refusing():
        study = Study.load(options.study)
        directory = Path(options.results) / study.name
        with _checking_folder(directory, options):
            _check_stored_study(study, directory, options.update)
    return _execute(study, directory, options)


def _resume(options: argparse.Namespace) -> int:
    from liquidbench import study_file

    directory = Path(options.directory)
    with _refusing():
        study = study_file.read(directory)
    return _execute(study, directory, options)


def _check_stored_study(study: "Study", directory: Path, update: bool) -> None:
    """Refuse a folder with results of another version of the study, unless ``update`` is given and it is not in use."""
    from liquidbench import study_file

    if not update:
        study_file.check(study, directory)
    elif StudyFolder(directory).study.is_file():
        _check_no_other_driver(study, directory)


def _check_no_other_driver(study: "Study", directory: Path) -> None:
    """Refuse to change a study while another liquidbench is running it: its report would not match the study's file."""
    from liquidbench import study_file
    from liquidbench.engine.leases import Leases

    def differs() -> bool:
        # A damaged file does not show what others are running; `--update` replaces it.
        with suppress(ValueError):
            return study_file.read(directory) != study
        return False

    if not differs():
        return
    with Leases(directory) as driver:
        others = _other_drivers(driver, directory)
        # Check again: another liquidbench may have made the same change in the meantime.
        if others and differs():
            raise ValueError(
                f"another liquidbench is running another version of study {study.name!r} in {directory} ({others}). "
                "Use --update when it has ended, or stop it (Ctrl-C)"
            )


def _other_drivers(driver: "Leases", directory: Path) -> str:
    """Description of the other drivers that use a folder of results; "" if there are none."""
    with Steps(plain=True) as now:
        now(f"checking whether another liquidbench is still running in {directory}")
        confirmed = driver.confirmed_others()
    return ", ".join(driver.describe_others()) if confirmed else ""


def _check_temporary() -> None:
    """Refuse a TMPDIR that cannot be used: Python would silently use another folder."""
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
                f"({problem.strerror or problem}). Create it, or unset {name}"
            ) from problem
    try:
        tempfile.gettempdir()
    except FileNotFoundError as problem:
        raise ValueError(f"there is no folder for temporary files ({problem.strerror}); name one in TMPDIR") from None


def _execute(
    study: "Study",
    directory: Path,
    options: argparse.Namespace,
    loaded: "Mapping[str, Task] | None" = None,
    asked: str = "",
) -> int:
    """Do the missing runs of a study, then report on all runs.

    Args:
        study: the study.
        directory: its folder.
        options: options of the command line.
        loaded: tasks that are already loaded, by name.
        asked: a comment line for the study's file that says what the study was made for.
    """
    with _refusing(), Steps(options.plain) as now:
        now("starting")
        from liquidbench import console, engine, results, study_file

        _check_temporary()
        executor, processes = _executor(options)
        # Ray workers may be on machines with other devices.
        if study.device != "cpu" and not options.ray:
            from liquidbench.training.learning import device_of

            device_of(study.device)
        with _checking_folder(directory, options):
            plan = engine.plan(study, directory, options.data, options.retry_failed, loaded, now)
            # Written after planning: a study that cannot be run must not leave a folder that blocks the corrected one.
            study_file.write(study, directory, asked)
        now("reading known scores")
        scores = _known_scores(plan)
    if not plan.pending:
        failed = sum(status == "failed" for status in plan.status.values())
        again = f", {failed} of them failed (--retry-failed repeats those)" if failed else ""
        print(f"All {len(plan.status)} runs of study {study.name!r} are finished{again}; nothing is left to run.")
        return _write_report(study, directory)

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

        with _refusing((ValueError, RuntimeError)), _refusing_write_errors(directory):
            outcome = engine.execute(plan, executor, tell, options.minutes)
        if not outcome.interrupted:
            for run in outcome.left_out:
                progress.left_out(run)
    if outcome.interrupted:
        # Counted on disk: a run may have finished after its last message.
        ended = len(results.done(directory).keys() & set(plan.ids.values()))
        print(
            f"Stopped; {ended} of {len(plan.ids)} runs are finished and stored. "
            f"To continue: liquidbench resume {directory}"
        )
        return 128 + outcome.interrupted
    code = _write_report(study, directory)
    _keep_best(directory)
    if outcome.elsewhere:
        print(f"Another liquidbench did {counted(len(outcome.elsewhere), 'run')} of these in the meantime.")
    if outcome.left_out:
        print(
            f"The {options.minutes:g} minutes are over, {counted(len(outcome.left_out), 'run')} left out. "
            f"To continue: liquidbench resume {directory}"
        )
    return code


def _executor(options: argparse.Namespace) -> "tuple[Executor, int]":
    """The executor that the options ask for, and its number of parallel runs."""
    from liquidbench import engine

    if options.in_process:
        if options.processes or options.ray:
            raise ValueError("--in-process uses this process only; leave out --processes and --ray")
        return engine.InProcess(options.threads), 1
    if options.ray:
        from liquidbench.engine.cluster import Cluster

        return Cluster(options.ray, options.processes, options.threads), options.processes or _cores()
    processes = options.processes or max(_cores() // options.threads, 1)
    return engine.Pool(processes, options.threads), processes


def _report(options: argparse.Namespace) -> int:
    from liquidbench import study_file

    directory = Path(options.directory)
    with _refusing():
        study = study_file.read(directory)
    return _write_report(study, directory, options.format)


def _rescore(options: argparse.Namespace) -> int:
    from liquidbench import rescoring, study_file
    from liquidbench.engine.leases import Leases

    directory = Path(options.directory)
    with _refusing():
        if options.data and not options.shifts:
            raise ValueError("--data has no effect without --shifts: other scores are computed from predictions")
        robustness = _levels_of_shifts(options.shifts)
        study = study_file.read(directory)
        facts = study_file.facts(study, directory)
        metrics = _metrics_by_task(options.metrics, facts)
    with (
        _refusing((ValueError, FileNotFoundError)),
        _refusing_write_errors(directory),
        Leases(directory) as driver,
        Steps() as now,
    ):
        if others := _other_drivers(driver, directory):
            raise ValueError(f"another liquidbench is running in {directory} ({others}); rescore when it has ended")
        found = rescoring.rescore(
            study, facts, directory, driver, metrics=metrics, robustness=robustness, data=options.data, on_step=now
        )
    print(f"Scored again: {counted(found.scored, 'fit')}")
    if options.shifts:
        print(f"Tried on further shifts: {counted(found.shifted, 'network')}")
    if found.without:
        print(
            f"Unchanged: {counted(found.without, 'fit')} without predictions in {StudyFolder(directory).predictions}. "
            "Put the missing files back and rescore again; to train these fits again instead, run the study in another "
            "folder (--results)"
        )
    for task, task_facts in facts.items():
        if unchanged := _not_rescored(task_facts):
            print(f"Unchanged on {shown(task)}: {shown(', '.join(unchanged))}")
    if options.metrics and found.scored:
        at = StudyFolder(directory).runs
        print(f"Also computed: {', '.join(options.metrics)}; they are in {at}, one row per score")
    for (metric, task, reason), runs in found.undefined.items():
        print(f"Undefined: {metric} of {counted(len(runs), 'fit')} on {shown(task)} ({shown(reason)})")
    if found.damaged:
        print(
            f"The predictions of {found.damaged} more were damaged. To repeat these fits: "
            f"liquidbench resume {directory}"
        )
    return _write_report(study, directory)


def _levels_of_shifts(asked: Sequence[str]) -> "Robustness":
    """The shifts of ``--shifts`` with their levels."""
    from liquidbench.shifts import SHIFTS, WORLDS
    from liquidbench.study import Robustness

    levels: dict[str, Any] = {}
    for entry in asked:
        name, equals, values = entry.partition("=")
        try:
            given = [float(value) for value in values.split(",")] if equals else True
        except ValueError:
            raise ValueError(f"levels of --shifts must be numbers, such as noise=0.5,1; got {entry!r}") from None
        for one in (*SHIFTS, *WORLDS) if entry == "all" else (name,):
            if one in levels:
                raise ValueError(f"--shifts must name each shift once; {one!r} is there twice")
            levels[one] = given
    try:
        return Robustness.parse(levels)
    except ValueError as error:
        raise ValueError(str(error).replace("robustness", "--shifts", 1)) from error


def _not_rescored(facts: "Facts") -> list[str]:
    """Scores that cannot be computed from predictions, each with the reason."""
    from liquidbench.metrics import METRICS

    own = [f"{name} (a metric of the task's own code)" for name in facts.metrics if name not in METRICS]
    return own + [f"{one.name} (measured in a closed loop, which needs the network)" for one in facts.measurements]


def _metrics_by_task(metrics: Sequence[str], facts: "Mapping[str, Facts]") -> dict[str, list[str]]:
    """The requested metrics that apply to each task; a metric that applies to no task is refused."""
    from liquidbench.metrics import METRICS

    kinds = {task.kind for task in facts.values()}
    known = [name for name, metric in METRICS.items() if metric.kind in kinds]
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"--metrics must be among {', '.join(known)}; got {name!r}")
        kind = METRICS[name].kind
        if kind not in kinds:
            raise ValueError(
                f"--metrics must be among {', '.join(known)}, as all tasks of this study are "
                f"{' and '.join(sorted(kinds))}; {name} scores {kind}. Nothing was scored"
            )
        if others := [task for task, known in facts.items() if known.kind != kind]:
            print(f"{name} scores {kind} and is left out for {shown(', '.join(others))}", file=sys.stderr)
    return {task: [name for name in metrics if METRICS[name].kind == known.kind] for task, known in facts.items()}


def _export(options: argparse.Namespace) -> int:
    from liquidbench import results, study_file
    from liquidbench.export import export

    directory = Path(options.directory)
    folder = StudyFolder(directory)
    default, look = {
        "tensorboard": (folder.tensorboard, "tensorboard --logdir {}"),
        "mlflow": (folder.mlflow, "mlflow ui --backend-store-uri sqlite:///{}"),
    }[options.to]
    path = Path(options.out or default)
    with _refusing():
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


def _write_report(study: "Study", directory: Path, form: Literal["html", "markdown", "latex", "csv"] = "html") -> int:
    """Evaluate the results, write the report or its tables, and print the verdict and the paths."""
    import polars as pl

    from liquidbench import console, explanations, flown, predictions, report, results, statistics, study_file

    folder = StudyFolder(directory)
    with _refusing():
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
    with _refusing((OSError,)):
        comparison = statistics.compare(
            frame,
            facts,
            study.smallest_difference,
            study.matching,
            study.families,
            without,
            partial(predictions.found, directory),
        )
    with _refusing_write_errors(directory):
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
    print(f"Results: {at} ({frame['run'].n_unique()} of {len(runs)} runs)")
    if others:
        print(f"Ignored: {others} more runs there, which are from other versions of the study or its data")
    fits = set(frame.lazy().filter(pl.col("kind") == "fit").select(pl.col("status").unique()).collect()["status"])
    if fits == {"failed"}:
        print("liquidbench: every fit failed; the report lists the reasons", file=sys.stderr)
        return 1
    return 0


def _known_scores(plan: "Plan") -> dict["Run", float]:
    """The main score on the unchanged test split, for the runs that have one."""
    from liquidbench import results

    runs = {plan.id(run): run for run in plan.status}
    metrics = {task: facts.metric for task, facts in plan.tasks.items()}
    found = results.main_scores(results.read(plan.directory, runs, results.without_curves(())), metrics)
    return {runs[run]: score for run, score in found.select("run", "value").iter_rows()}


def _keep(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    with _refusing(), _refusing_write_errors(directory):
        study, facts, frame = _validated(directory)
        if options.task is not None and options.task not in facts:
            raise ValueError(f"--task must be one of the study's tasks, {', '.join(facts)}; got {options.task!r}")
        asked = facts if options.task is None else [options.task]
        if options.to is not None and len(asked) > 1:
            raise ValueError(f"--to takes one network, and the study has {len(asked)} tasks: choose one with --task")
        for task in asked:
            model, folder = _kept(directory, frame, task, facts[task], options.model, options.to)
            print(f"{shown(task)}: {model} in {shown(str(folder))}")
    return 0


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

    selecting = facts.selecting
    try:
        named, run = kept.best_run(validated.filter(task=task), selecting.name, selecting.higher_is_better, model)
    except ValueError as problem:
        raise ValueError(f"task {task!r}: {problem}") from problem
    folder = Path(to) if to is not None else StudyFolder(directory).kept(task, named)
    return named, kept.write(kept.of_run(directory, run), folder)


def _keep_best(directory: Path) -> None:
    """Keep the best network of each task of a study that has just been done, and say what to do with it."""
    with _refusing(), _refusing_write_errors(directory):
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


def _explain(options: argparse.Namespace) -> int:
    from liquidbench import kept, study_file

    directory = Path(options.directory)
    folder = StudyFolder(directory)
    with _refusing():
        study = study_file.read(directory)
        facts = study_file.facts(study, directory)
        if options.task is not None and options.task not in facts:
            raise ValueError(f"--task must be one of the study's tasks, {', '.join(facts)}; got {options.task!r}")
        asked = facts if options.task is None else [options.task]
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
    from liquidbench.tasks.flight.rendering import NoRendererError

    wrong = (ValueError, FileNotFoundError, ModuleNotFoundError, NoRendererError)
    with _refusing(wrong), _refusing_write_errors(directory), Steps() as now:
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
    return _write_report(study, directory)


def _predict(options: argparse.Namespace) -> int:
    out = None if options.out is None else Path(options.out)
    with _refusing(), Steps(plain=True) as now:
        if out is not None and out.suffix.lower() not in (".csv", ".parquet"):
            raise ValueError(f"--out must end in .csv or .parquet; got {options.out!r}")
        if out is not None and out.exists() and os.path.samefile(out, options.table):
            raise ValueError(f"--out must not be the table itself, whose rows would be lost; got {options.out!r}")
        now("loading torch")
        from liquidbench.tasks.new_rows import NewRowsWarning

        predictor = liquidbench.load(options.model)
        now(f"reading {options.table}{_file_size(Path(options.table))}")
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
    with _refusing(), _refusing_write_errors(out.parent):
        with storage.replacing(out) as file:
            found.write_csv(file) if out.suffix.lower() == ".csv" else found.write_parquet(file)
    print(f"{found.height:,} predictions: {shown(str(out))}")
    return 0


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
            return "included in the package"
        return "generated on demand" if name.startswith("parity-") else "raw data given with --data, or downloaded"

    return [(name, origin(name)) for name in tasks.names()]


def _models() -> list[tuple[str, str]]:
    from liquidbench.models import MODELS

    return [(name, spec.family) for name, spec in MODELS.items()]


def _studies() -> list[tuple[str, str]]:
    from liquidbench import results, study_file
    from liquidbench.study import Study

    rows = []
    for path in sorted(Path("studies").glob("*.yaml")):
        try:
            rows.append((str(path), Study.load(path).question))
        except ValueError as problem:
            rows.append((str(path), f"cannot be read: {problem}"))
    for path in sorted(Path("results").glob(f"*/{StudyFolder('').study}")):
        try:
            study = study_file.read(path.parent)
            runs = study_file.run_ids(study, study_file.facts(study, path.parent))
            told = f"{len(runs & results.done(path.parent).keys())} of {len(runs)} runs are finished. {study.question}"
        except (ValueError, OSError) as problem:
            told = f"cannot be read: {problem}"
        rows.append((f"{path.parent}{os.sep}", told))
    return rows


def _compare(options: argparse.Namespace) -> int:
    with _refusing(), Steps(options.plain) as now:
        now(f"reading {options.table}{_file_size(Path(options.table))}")
        from liquidbench import study_file
        from liquidbench.study import Study
        from liquidbench.tasks import table

        _check_temporary()
        began = time.monotonic()
        planned = table.plan({"table": options.table, **_table_options(options)})
        task = planned.task
        now("building the splits for training and validation")
        # Check model names and other settings before timing anything.
        study = Study.parse(_comparison_study(task, planned.mapping, options))
        directory = Path(options.results) / study.name
        at = StudyFolder(directory).study
        note = _origin_line(options)
        with _checking_folder(directory, options):
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
    with _refusing(), _checking_folder(directory, options):
        _check_stored_study(study, directory, options.update)
    if options.dry_run:
        print("Nothing was trained or written; leave out --dry-run to run the comparison.")
        return 0
    if before is None:
        # If the times were underestimated, allow half as much time again rather than lose the last seed.
        options.minutes *= 1.5
    return _execute(study, directory, options, {task.name: task}, note)


def _table_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options that say how a table is read, as far as they are given."""
    names = ("target", "time", "dates", "group", "features", "kind", "missing", "decimal", "horizon", "window")
    return {key: value for key, value in vars(options).items() if key in names}


def _file_size(path: Path) -> str:
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        # Reading the file will report the error.
        return ""
    return f" ({size / 1e6:,.0f} MB)" if size >= 1e6 else f" ({size / 1e3:,.0f} kB)"


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
    processes = 1 if options.in_process else options.processes or max(_cores() // options.threads, 1)
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
        f"time: in units of {task.time_unit}; a time span of 1 is {task.timespan_unit:g} of these",
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


def _train(options: argparse.Namespace) -> int:
    from liquidbench import matching
    from liquidbench.models import UserModel, model_name
    from liquidbench.search import Settings
    from liquidbench.study import STEPS, STEPS_ELSEWHERE
    from liquidbench.training import distributed
    from liquidbench.training.replicas import PeerLostError, TrainingConfig
    from liquidbench.training.trainer import Evaluation
    from liquidbench.user_code import is_code

    chosen = ("learning_rate", "optimiser", "schedule", "weight_decay", "clip_norm", "patience", "warm_up", "readout")
    settings = Settings(**{name: getattr(options, name) for name in chosen})

    with _refusing():
        task = _task_to_train(options)
        model = UserModel.from_code(options.model) if is_code(options.model) else options.model
        folder = Path(options.folder or Path("trained") / f"{task.name}-{model_name(model)}")
        size = options.hidden_size or matching.size_for_budget(model, task, options.parameters, options.seed)
        config = TrainingConfig(
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
        parameters = matching.count_parameters(config.build(task))
    # Under torchrun, only one process prints.
    say = print if distributed.is_first() else lambda *words, **how: None
    say(f"{model_name(model)} with {size} units, {parameters:,} parameters, on {task.name}, in {folder}", flush=True)

    def tell(at: Evaluation) -> None:
        scored = "undefined" if at.score is None else f"{at.score:.4g}"
        say(
            f"step {at.step:>{len(str(config.steps))}}/{config.steps}: training loss {at.train_loss:.4g}, validation "
            f"loss {at.validation_loss:.4g}, {task.metric} {scored}, {at.sequences / at.seconds:,.0f} sequences/s",
            flush=True,
        )

    try:
        with _refusing((ValueError, TypeError)):
            trained = distributed.train(
                task, config, folder, minutes=options.minutes, save_every=options.save_every, on_evaluation=tell
            )
    except (FloatingPointError, ChildProcessError, PeerLostError) as problem:
        print(f"liquidbench: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        _refuse(f"{folder} must be a folder that can be written to ({problem.strerror or problem}); choose another one")
    if trained.ended == "minutes":
        say(f"Stopped after {options.minutes:g} minutes; the same command continues")
        return 0
    say(f"Ended: {trained.ended}; the best step was {trained.best_step}")
    for split, scores in trained.scores.items():
        known = (f"{metric} {'undefined' if value is None else f'{value:.4g}'}" for metric, value in scores.items())
        say(f"{split}: {', '.join(known)}")
    say(f"Network: {folder}")
    return 0


def _task_to_train(options: argparse.Namespace) -> "Task":
    """A task by its name, or that of a table, which is described."""
    from liquidbench import tasks
    from liquidbench.tasks import columns, table
    from liquidbench.training import distributed

    asked = _table_options(options)
    path = Path(options.task.removesuffix(".gz"))
    if path.suffix.lower() not in columns.ENDINGS:
        if asked:
            given = "--task" if (first := next(iter(asked))) == "kind" else f"--{first}"
            raise ValueError(f"{given} is for a table; {options.task!r} is the name of a task")
        return tasks.load(options.task, options.data)
    if "target" not in asked:
        raise ValueError(f"--target must name the column of {options.task} to predict")
    planned = table.plan({"table": options.task, **asked}, options.data)
    if distributed.is_first():
        for line in planned.lines:
            print(shown(line))
    return planned.task


if __name__ == "__main__":
    sys.exit(main())
