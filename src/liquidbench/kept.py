"""The study that a folder of results was made for: read, written, and compared with the one that is asked for.

A folder that this version cannot go on with is refused, in words that say which version can.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from liquidbench import results
from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder
from liquidbench.study import RESULTS_FORMAT, Study, normal, task_name
from liquidbench.system import storage

_FORMAT_LINE = "# results of liquidbench, format {}"
_FORMAT = re.compile(rb"# results of liquidbench, format (\d+)\s*")

_UNSEALED_KEYS = (
    *("name", "tasks", "models", "question", "parameters", "matching", "seeds", "splits", "search", "training"),
    *("robustness", "author_defaults", "smallest_difference"),
)
"""What versions without checksums wrote of a study, all of it."""


def read(directory: str | os.PathLike[str]) -> Study:
    """The study that a folder of results was made for.

    Args:
        directory: the study's folder.

    Raises:
        FileNotFoundError: it is no such folder.
        ValueError: its study is damaged, or of a version whose results this one cannot read; the message says what to
            do.
    """
    folder = StudyFolder(directory)
    path = folder.study
    try:
        there = path.exists()
    except OSError as problem:
        raise ValueError(
            f"there is no folder of a study's results at {str(directory)[:200]} ({problem.strerror}); name the folder "
            "that `liquidbench run` made, such as results/demo"
        ) from problem
    if not there:
        raise FileNotFoundError(
            f"{directory} is no folder of a study's results, for it has no {path.name}; name the folder that "
            "`liquidbench run` made, such as results/demo"
        )
    above = os.path.normpath(folder.root / os.pardir)
    again = (
        f"Give the study as it should be, and keep its results: liquidbench run STUDY.yaml --update --results {above}"
    )
    try:
        content = storage.content_of(path)
        sealed = storage.intact(content, path)
    except storage.DamagedFileError as error:
        raise ValueError(f"{error}, or it was edited. {again}") from error
    if not content.strip(b"\0 \t\r\n"):
        raise ValueError(f"{path} is damaged: it is empty. {again}")
    lost = f"{path} is damaged: its checksum is missing, as if it was cut short or edited. {again}"
    first, end, _ = content.partition(b"\n")
    found = _FORMAT.fullmatch(first)
    if found and int(found[1]) > RESULTS_FORMAT:
        raise ValueError(
            f"{directory} was made by a newer version of liquidbench: its results are of format {int(found[1])}, and "
            f"this version knows {RESULTS_FORMAT}. Take the newer one for it (pip install --upgrade liquidrnn), or run "
            "the study again into another folder (--results)"
        )
    cut = not end and _FORMAT_LINE.format(RESULTS_FORMAT).encode().startswith(first)
    if not cut and (not found or int(found[1]) < RESULTS_FORMAT):
        # What has lost its checksum and its first line must not be taken for one of those versions.
        if not found and _carries_seal(folder.tasks):
            raise ValueError(lost)
        raise ValueError(
            f"{directory} was made by a version of liquidbench whose results this one cannot read (it reads format "
            f"{RESULTS_FORMAT}). Use that version for it, or run the study again into another folder (--results)"
        )
    if sealed:
        try:
            return Study.load(path)
        except ValueError as error:
            raise ValueError(
                f"{error}. The file is what some version of liquidbench wrote, and this one does not understand it: "
                "take a newer one (pip install --upgrade liquidrnn), or the one that wrote it"
            ) from error
    # There is no checksum in files of versions before it. A file that has lost its own must not be taken for one.
    study = None
    with suppress(ValueError):
        study = Study.load(path)
    # Those versions wrote all that a study had, in one form to the letter, and no checksums in any file.
    body = re.sub(r"\A[^\n]*\n(# made by compare for [^\n]*\n)?", "", content.decode(errors="replace"))
    if not study or normal(body) != (_UNSEALED_KEYS, body) or _carries_seal(folder.tasks):
        raise ValueError(lost)
    storage.warn_unsealed(folder.root, stacklevel=3)
    return study


def write(study: Study, directory: str | os.PathLike[str], asked: str = "") -> None:
    """Keep a study in its folder; one that is there and says the same is left as it is.

    Args:
        study: the study.
        directory: its folder; it is made where it does not exist.
        asked: a line of its own, a comment, that says for what it was made.
    """
    path = StudyFolder(directory).study
    text = f"{_FORMAT_LINE.format(RESULTS_FORMAT)}\n{asked}{study.to_yaml()}"
    with suppress(FileNotFoundError, ValueError):
        if read(directory) == study:
            # With the line that says for what it was made.
            text = path.read_text(encoding="utf-8")
            if storage.intact(text.encode(), path):
                return
    storage.keep(path, storage.sealed(f"{text}# checksum: {storage.SEAL}\n".encode()))


def check(study: Study, directory: str | os.PathLike[str]) -> None:
    """Refuse a folder with results of another version of the study.

    Raises:
        ValueError: the study there differs, or cannot be read.
    """
    if not StudyFolder(directory).study.is_file():
        return
    kept = read(directory)
    if kept != study:
        changed = [f.name for f in fields(study) if getattr(kept, f.name) != getattr(study, f.name)]
        # These are part of every run.
        every = {"parameters", "training", "search", "robustness"} & set(changed)
        kept_too = "which has no run in common with it" if every else "and keep what the two share"
        raise ValueError(
            f"{directory} holds the results of another version of study {study.name!r}, which differs in "
            f"{', '.join(changed)}. To go on with that one: liquidbench resume {directory}. To take this one, "
            f"{kept_too}: --update. To keep both: another name, or another folder with --results"
        )


def made_before(study: Study, directory: str | os.PathLike[str], asked: str) -> Study | None:
    """The study in a folder if it was made for the same tables and question.

    Args:
        study: what is asked for, of which the one there may have less.
        directory: the folder.
        asked: the line that says for what it would be made.
    """
    try:
        kept = read(directory)
        with StudyFolder(directory).study.open(encoding="utf-8", errors="replace") as file:
            same = asked in (file.readline(), file.readline())
    except (FileNotFoundError, ValueError):
        # The latter is said when the folder is to be used.
        return None
    same = same and set(kept.models) <= set(study.models)
    return kept if same and (kept.tasks, kept.question) == (study.tasks, study.question) else None


def facts(study: Study, directory: str | os.PathLike[str]) -> dict[str, Facts]:
    """What the folder knows of the study's tasks, in the study's order.

    Raises:
        FileNotFoundError: it knows nothing of tasks.
        ValueError: of some it does not, or the file is damaged.
    """
    known = results.read_tasks(directory)
    names = [task_name(task) for task in study.tasks]
    if missing := [name for name in names if name not in known]:
        raise ValueError(
            f"{StudyFolder(directory).tasks} lacks {', '.join(missing)}; make it anew: liquidbench resume {directory}"
        )
    return {name: known[name] for name in names}


def run_ids(study: Study, facts: Mapping[str, Facts]) -> set[str]:
    """The ids of all runs of a study."""
    return {run.id(facts[run.task_name].digest) for run in study.runs()}


def _carries_seal(path: Path) -> bool:
    """Whether a file has a checksum, be it right or wrong."""
    try:
        return storage.intact(storage.content_of(path), path)
    except storage.DamagedFileError:
        return True
    except OSError:
        return False
