"""Bad input and files that cannot be used end a command with one sentence that says what to do."""

import argparse
import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from liquidbench.folder import StudyFolder
from liquidbench.system import resources
from liquidbench.system.names import shown


def refuse(sentence: str) -> NoReturn:
    """End the command with exit code 2 and a sentence."""
    print(f"liquidbench: {shown(sentence, lines=True)}", file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def refusing(kinds: tuple[type[Exception], ...] = (ValueError, TypeError, *resources.LACKING)) -> Iterator[None]:
    """End the command with one sentence for errors of the input or the machine; others keep their traceback."""
    try:
        yield
    except kinds as problem:
        refuse(_unreadable(problem) or _unusable(problem) or resources.reason(problem))


@contextmanager
def refusing_write_errors(directory: Path) -> Iterator[None]:
    """End the command with one sentence if results cannot be written, as on a full disk."""
    try:
        yield
    except (BrokenPipeError, ConnectionError):
        raise
    except OSError as problem:
        if isinstance(problem, FileNotFoundError) and not StudyFolder(directory).study.exists():
            refuse(
                f"{directory} was moved, renamed or removed while liquidbench was using it. Results of unfinished runs "
                "are lost; finished ones are in the moved folder. To continue there: liquidbench resume FOLDER"
            )
        if sentence := _unreadable(problem):
            refuse(sentence)
        refuse(
            f"results cannot be written to {directory} ({problem.strerror or problem}); finished runs are kept. "
            f"{_remedy(problem)}, then repeat the command"
        )


@contextmanager
def checking_folder(directory: Path, options: argparse.Namespace) -> Iterator[None]:
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


def check_temporary() -> None:
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
