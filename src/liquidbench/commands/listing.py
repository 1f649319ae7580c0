"""`list`: what there is."""

import argparse
import os
from pathlib import Path

from liquidbench.commands.arguments import Command
from liquidbench.folder import StudyFolder


def add(command: Command) -> None:
    """Declare the command."""
    added = command("list", list_known, "List tasks, models, or studies in ./studies and ./results.")
    added.add_argument("what", nargs="?", choices=("tasks", "models", "studies"), help="default: all three")


def list_known(options: argparse.Namespace) -> int:
    """Print tasks, models, or studies in ./studies and ./results."""
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
            done = len(runs & results.done(path.parent).keys())
            told = f"{done} of {len(study.runs())} runs are finished. {study.question}"
        except (ValueError, OSError) as problem:
            told = f"cannot be read: {problem}"
        rows.append((f"{path.parent}{os.sep}", told))
    return rows
