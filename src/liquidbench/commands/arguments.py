"""Types of arguments of the command line, and what several commands read from them."""

import argparse
import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

_MOST = 2**31 - 1


class Command(Protocol):
    """Adds a command to the command line."""

    def __call__(self, name: str, act: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        """Add a command that calls ``act``, and return its parser."""
        ...


def positive(kind: type[int] | type[float], most: float | None = None) -> Callable[[str], int | float]:
    """Parses a number above 0, and at most ``most``."""

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


def seed(text: str) -> int:
    """A seed of random numbers."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {2**63 - 1:,}; got {_shortened(text)}")
    return value


def existing_folder(text: str) -> str:
    """The name of a folder that is there."""
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


def comma_separated(what: str) -> Callable[[str], list[str]]:
    """Parses distinct values, separated by commas and quoted as in CSV."""

    def parse(text: str) -> list[str]:
        parts = [part.strip() for line in csv.reader([text], skipinitialspace=True) for part in line]
        if not parts or not all(parts) or len(set(parts)) < len(parts):
            raise argparse.ArgumentTypeError(f"must be distinct {what} separated by commas; got {text!r}")
        return parts

    return parse


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def table_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options that say how a table is read, as far as they are given."""
    names = ("target", "time", "dates", "group", "features", "kind", "missing", "decimal", "horizon", "window")
    return {key: value for key, value in vars(options).items() if key in names}


def file_size(path: Path) -> str:
    """The size of a file, in brackets; "" if it cannot be known."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        # Reading the file will report the error.
        return ""
    return f" ({size / 1e6:,.0f} MB)" if size >= 1e6 else f" ({size / 1e3:,.0f} kB)"


def add_directory(added: argparse.ArgumentParser) -> None:
    """Add the argument that names a study's folder of results."""
    added.add_argument("directory", metavar="DIR", help="the study's folder of results, such as results/demo")


def add_data(added: argparse.ArgumentParser) -> None:
    """Add the option that names the folder of raw data."""
    added.add_argument(
        "--data",
        type=existing_folder,
        metavar="DIR",
        help="folder with raw data (default: $LIQUIDBENCH_DATA; else they are downloaded once)",
    )


def add_running(added: argparse.ArgumentParser) -> None:
    """Add the options that say how runs are done."""
    added.add_argument(
        "--processes",
        type=positive(int, 4096),
        metavar="N",
        help=f"number of parallel fits (default: cores divided by threads; there are {cores()} cores)",
    )
    added.add_argument(
        "--threads", type=positive(int, 4096), metavar="N", default=1, help="cores for each fit (default: 1)"
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
    """Add the options of a folder of results."""
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
            type=str if role == "time" else comma_separated("column names"),
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
        type=comma_separated("column names"),
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
        type=positive(int),
        metavar="ROWS",
        default=argparse.SUPPRESS,
        help="rows that --task forecast looks ahead (default: 1)",
    )
    added.add_argument(
        "--window",
        type=positive(int),
        metavar="ROWS",
        default=argparse.SUPPRESS,
        help="longest sequence, at least 2 rows; longer recordings are cut (default: chosen from their lengths)",
    )
    added.add_argument(
        "--missing",
        type=comma_separated("values, or COLUMN=VALUE,"),
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
