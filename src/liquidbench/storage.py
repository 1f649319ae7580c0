"""Files that are there whole or not at all, and locks that end with their process."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:
    # Windows has none; there nothing stops a second process.
    fcntl = None


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
def alone(lock: Path, wait: bool = True) -> Iterator[None]:
    """One process at a time. The system lets go of the lock however a process ends.

    Args:
        lock: a file, made where it does not exist.
        wait: for another process to end.

    Raises:
        BlockingIOError: there is another one, and it is not to be waited for.
    """
    with lock.open("a") as held:
        if fcntl is not None:
            fcntl.flock(held, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
