"""The study file in a folder of results: reading, writing, and comparing it with the study that is to be run.

A folder that this version cannot continue is refused with a message that says which version can.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from liquidbench import __version__, results
from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder
from liquidbench.study import RESULTS_FORMAT, Study, normal, task_name
from liquidbench.system import storage

if TYPE_CHECKING:
    from liquidbench.tasks.task import Task

_FORMAT_LINE = "# results of liquidbench, format {}"
_FORMAT = re.compile(rb"# results of liquidbench, format (\d+)\s*")

_UNSEALED_KEYS = (
    *("name", "tasks", "models", "question", "parameters", "matching", "seeds", "splits", "search", "training"),
    *("robustness", "author_defaults", "smallest_difference"),
)
"""All keys that versions without checksums wrote."""


def read(directory: str | os.PathLike[str]) -> Study:
    """The study that a folder of results was made for.

    Args:
        directory: the study's folder.

    Raises:
        FileNotFoundError: if it is not such a folder.
        ValueError: if its study file is damaged, or of a version whose results this one cannot read; the message says
            what to do.
    """
    folder = StudyFolder(directory)
    path = folder.study
    try:
        there = path.exists()
    except OSError as problem:
        raise ValueError(
            f"there is no folder of a study's results at {str(directory)[:200]} ({problem.strerror}); give the folder "
            "that `liquidbench run` created, such as results/demo"
        ) from problem
    if not there:
        raise FileNotFoundError(
            f"{directory} is not a folder of a study's results: it has no {path.name}; give the folder that "
            "`liquidbench run` created, such as results/demo"
        )
    above = os.path.normpath(folder.root / os.pardir)
    again = (
        f"Pass the correct study, which keeps the results: liquidbench run STUDY.yaml --update --results {above}. "
        "If the folder was renamed, first give it the study's name again"
    )
    try:
        content = storage.content_of(path)
        sealed = storage.intact(content, path)
    except storage.DamagedFileError as error:
        raise ValueError(f"{error}, or it was edited. {again}") from error
    if not content.strip(b"\0 \t\r\n"):
        raise ValueError(f"{path} is damaged: it is empty. {again}")
    lost = f"{path} is damaged: its checksum is missing, so it was truncated or edited. {again}"
    first, end, _ = content.partition(b"\n")
    found = _FORMAT.fullmatch(first)
    if found and int(found[1]) > RESULTS_FORMAT:
        raise ValueError(
            f"{directory} was made by a newer version of liquidbench: its results are of format {int(found[1])}, and "
            f"this version knows {RESULTS_FORMAT}. Upgrade (pip install --upgrade liquidrnn), or run the "
            "study again with another folder (--results)"
        )
    cut = not end and _FORMAT_LINE.format(RESULTS_FORMAT).encode().startswith(first)
    if not cut and (not found or int(found[1]) < RESULTS_FORMAT):
        # A file that lost its checksum and its first line must not be taken for one of an early version.
        if not found and _carries_seal(folder.tasks):
            raise ValueError(lost)
        raise ValueError(
            f"{directory} was made by a version of liquidbench whose results this one cannot read (it reads format "
            f"{RESULTS_FORMAT}). Use that version, or run the study again with another folder (--results)"
        )
    if sealed:
        try:
            return Study.load(path, version="")
        except ValueError as error:
            raise ValueError(
                f"{error}. The file is intact, but this version of liquidbench does not understand it: use a newer one "
                "(pip install --upgrade liquidrnn), or the one that wrote it"
            ) from error
    # Early versions wrote no checksum. A file that lost its checksum must not be taken for one of theirs.
    study = None
    with suppress(ValueError):
        study = Study.load(path, version="")
    # They wrote every key, always in the same form, and no checksum in any file.
    body = re.sub(r"\A[^\n]*\n(# made by compare for [^\n]*\n)?", "", content.decode(errors="replace"))
    if not study or normal(body) != (_UNSEALED_KEYS, body) or _carries_seal(folder.tasks):
        raise ValueError(lost)
    storage.warn_unsealed(folder.root, stacklevel=3)
    return study


def write(study: Study, directory: str | os.PathLike[str], asked: str = "") -> None:
    """Write a study to its folder; an equal one that is there already is left as it is.

    Args:
        study: the study.
        directory: its folder; it is created if it does not exist.
        asked: a comment line that records what the study was created for.
    """
    path = StudyFolder(directory).study
    text = f"{_FORMAT_LINE.format(RESULTS_FORMAT)}\n{asked}{study.to_yaml()}"
    with suppress(FileNotFoundError, ValueError):
        if read(directory) == study:
            # Keep the comment line.
            text = path.read_text(encoding="utf-8")
            if storage.intact(text.encode(), path):
                return
    storage.keep(path, storage.sealed(f"{text}# checksum: {storage.SEAL}\n".encode()))


def check(study: Study, directory: str | os.PathLike[str]) -> None:
    """Refuse a folder with results of another version of the study.

    Raises:
        ValueError: if the study in the folder differs, or cannot be read.
    """
    if not StudyFolder(directory).study.is_file():
        return
    kept = read(directory)
    if kept != study:
        changed = [f.name for f in fields(study) if getattr(kept, f.name) != getattr(study, f.name)]
        if changed == ["version"]:
            raise ValueError(
                _other_version(kept, directory) if study.version == __version__ else _names_another_version(study)
            )
        # These settings are part of every run's id.
        every = {"parameters", "training", "search", "robustness", "version"} & set(changed)
        shared = "which has no run in common with it" if every else "and keep the runs that both share"
        raise ValueError(
            f"{directory} holds the results of another version of study {study.name!r}, which differs in "
            f"{', '.join(changed)}. To continue that one: liquidbench resume {directory}. To switch to this one, "
            f"{shared}: --update. To keep both: use another name, or another folder with --results"
        )


def check_named_version(study: Study, directory: str | os.PathLike[str]) -> None:
    """Refuse a study that names another version, unless the folder holds results of that one.

    Raises:
        ValueError: for such a study. One that names none can be run by any version.
    """
    if study.version in ("", __version__):
        return
    with suppress(FileNotFoundError, ValueError):
        if read(directory).version == study.version:
            return
    raise ValueError(_names_another_version(study))


def check_version(study: Study, directory: str | os.PathLike[str]) -> None:
    """Refuse to add runs of this version to a study of another one.

    Raises:
        ValueError: if the study belongs to another version. Studies that name none can be continued by any.
    """
    if study.version not in ("", __version__):
        raise ValueError(_other_version(study, directory))


def _names_another_version(study: Study) -> str:
    install = f", or install the one that it names: pip install liquidrnn=={study.version}" if study.version else ""
    return (
        f"version of study {study.name!r} must be that of the liquidbench that runs it, {__version__}; got "
        f"{study.version!r}. Leave out the key `version`{install}"
    )


def _other_version(kept: Study, directory: str | os.PathLike[str]) -> str:
    begun = f"liquidbench {kept.version}" if kept.version else "an earlier version of liquidbench"
    finish = (
        f"To finish it: pip install liquidrnn=={kept.version}, then liquidbench resume {directory}"
        if kept.version not in ("", __version__)
        else f"To continue it: liquidbench resume {directory}"
    )
    return (
        f"{directory} holds results of {begun}, and this is {__version__}, which may train differently: runs of both "
        f"must not be compared. {finish}. To do all runs again with this version: run or compare with --update. To "
        "keep both: use another folder with --results"
    )


def find_earlier(study: Study, directory: str | os.PathLike[str], asked: str) -> Study | None:
    """The study in a folder if it was created for the same tables and question; else None.

    Args:
        study: the study to be run; the one in the folder may have fewer models.
        directory: the folder.
        asked: the comment line that `write` would add to it.
    """
    try:
        kept = read(directory)
        with StudyFolder(directory).study.open(encoding="utf-8", errors="replace") as file:
            same = asked in (file.readline(), file.readline())
    except (FileNotFoundError, ValueError):
        # A ValueError is raised again, by `read`, when the folder is used.
        return None
    same = same and set(kept.models) <= set(study.models)
    return kept if same and (kept.tasks, kept.question) == (study.tasks, study.question) else None


def facts(study: Study, directory: str | os.PathLike[str]) -> dict[str, Facts]:
    """Facts of the study's tasks from ``tasks.json``, in the study's order.

    Tasks that could not be built on any machine so far are not among them.

    Raises:
        FileNotFoundError: if there is no ``tasks.json``.
        ValueError: if it has none of the tasks, or is damaged.
    """
    known = results.read_tasks(directory)
    names = [task_name(task) for task in study.tasks]
    if not (there := [name for name in names if name in known]):
        raise ValueError(
            f"{StudyFolder(directory).tasks} lacks {', '.join(names)}; rewrite it: liquidbench resume {directory}"
        )
    return {name: known[name] for name in there}


def load_task(
    study: Study, facts: Mapping[str, Facts], name: str, data: str | os.PathLike[str] | None = None
) -> "Task":
    """Load a task of a study whose networks are to be tried again.

    Args:
        study: the study.
        facts: of its tasks, as `facts` returns them.
        name: the task's name.
        data: the folder of raw data files, see `liquidbench.tasks.load`.

    Raises:
        ValueError: if the data are not those of the study.
    """
    from liquidbench import tasks

    task = tasks.load(next(task for task in study.tasks if task_name(task) == name), data)
    if task.data_digest != facts[name].digest:
        raise ValueError(
            f"the data of task {name!r} differ from those of the study; restore them to try its networks again"
        )
    return task


def run_ids(study: Study, facts: Mapping[str, Facts]) -> set[str]:
    """The ids of all runs of a study on the tasks with facts."""
    return {run.id(facts[run.task_name].digest) for run in study.runs() if run.task_name in facts}


def _carries_seal(path: Path) -> bool:
    """Whether a file has a checksum, right or wrong."""
    try:
        return storage.intact(storage.content_of(path), path)
    except storage.DamagedFileError:
        return True
    except OSError:
        return False
