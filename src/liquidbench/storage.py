"""Files that are there whole or not at all, and locks that end with their process."""

import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from liquidbench.processes import holders

try:
    import fcntl
except ImportError:
    # Windows has none; there nothing stops a second process.
    fcntl = None


def regular(path: Path, what: str) -> Path:
    """The path, if a file of some content is there; a pipe or a device might be waited for without an end.

    Args:
        path: of a file that is to be read.
        what: it is to be, for the message, such as "a table".

    Raises:
        FileNotFoundError: there is none, or a link whose target is not there.
        ValueError: it is something else; the message says what, and what to do.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise FileNotFoundError(
                f"{path} must be {what}; it is a link to {os.readlink(path)}, which is not there"
            ) from None
        raise FileNotFoundError(f"there is none at {path}, which must be {what}") from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ValueError(f"{_short(path)} must be {what}, but cannot be looked at ({reason})") from problem
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} must be {what}; it is a folder: name the file in it")
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise ValueError(f"{path} must be {what}; it is {kind}: write what comes from it into a file, and name that")
    return path


def _short(path: Path) -> str:
    return str(path) if len(str(path)) <= 200 else f"{str(path)[:200]}..."


@contextmanager
def replacing(path: Path, part: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of another at the end, so that no one ever sees half of it.

    If writing fails, what was at ``path`` stays there.

    Args:
        path: where it is to be.
        part: where it is until then, on the same disk; None for a hidden name beside it that nobody else has.
    """
    part = part or path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            # A rename can reach the disk before the content does; a power cut would then leave an empty file.
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path, wait: bool = True, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """One process at a time. The system lets go of the lock however a process ends.

    Args:
        lock: a file, made where it does not exist.
        wait: for another process to end.
        on_wait: told whom it waits for, if it has to.

    Raises:
        BlockingIOError: there is another one, and it is not to be waited for.
    """
    with lock.open("a") as held:
        if fcntl is not None:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                if on_wait is not None:
                    on_wait(f"waiting for {' and '.join(holders(lock)) or 'another process'}, which is at the same")
                fcntl.flock(held, fcntl.LOCK_EX)
        yield
