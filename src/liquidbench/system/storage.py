"""Files that are there whole or not at all and notice damage, and locks that end with their process.

A file that is kept carries a seal: a checksum of everything else in it, in a place that other readers of its format
skip (the metadata of a Parquet file, the comment of a zip archive, a key of a JSON object). So it is copied, moved and
replaced together with its file. A reader that finds another checksum raises `DamagedFileError`; whoever can make the
file again sets it aside and does so. Files of earlier versions have no seal; they are read with a `KeptFileWarning`.
"""

import errno
import hashlib
import io
import json
import os
import stat
import uuid
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from liquidbench.system.processes import lock_holders

try:
    import fcntl
except ImportError:
    # Windows has none; there nothing stops a second process.
    fcntl = None

_HEAD, _TAIL = b"<liquidbench-seal ", b" liquidbench-seal>"
_BLANK = b"0" * 32

SEAL = (_HEAD + _BLANK + _TAIL).decode()
"""What a writer puts where the seal is to be, behind all that it does not choose itself."""

_KEY = "checksum of this file"

DAMAGED = "damaged"
"""The folder of files that are set aside."""


class DamagedFileError(ValueError):
    """A kept file is not what was written; the message names it and says how that shows."""


class KeptFileWarning(UserWarning):
    """A kept file is damaged, or has no checksum that could tell; the message names it."""


def sealed(content: bytes) -> bytes:
    """The content with its checksum filled in where `SEAL` is.

    Raises:
        ValueError: where it has no `SEAL`.
    """
    start = content.rfind(SEAL.encode())
    if start < 0:
        raise ValueError("content must hold SEAL, for its checksum to be filled in there; it does not")
    start += len(_HEAD)
    return content[:start] + _checksum(content, start) + content[start + len(_BLANK) :]


def intact(content: bytes, name: str | os.PathLike[str]) -> bool:
    """Whether a content has a seal, which is right.

    Args:
        content: of a file.
        name: of the file, for the error.

    Raises:
        DamagedFileError: where its seal is wrong. One damaged bit in the seal itself counts as well: each of its two
            marks is enough to know that there is one.
    """
    start, end = content.rfind(_HEAD), content.rfind(_TAIL)
    if start < 0 and end < 0:
        return False
    start += len(_HEAD)
    if end - start != len(_BLANK) or content[start:end] != _checksum(content, start):
        raise DamagedFileError(f"{os.fspath(name)} is damaged: its content does not match its checksum")
    return True


def without_waiting(path: str | os.PathLike[str], flags: int) -> int:
    """As `os.open`; a pipe is not waited at until somebody opens its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def content_of(path: Path) -> bytes:
    """The bytes of an ordinary file.

    Raises:
        FileNotFoundError: where there is nothing.
        DamagedFileError: for a link to nothing, a pipe that would be waited for, a folder, or a disk that fails.
    """
    try:
        opened = without_waiting(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP):
            raise DamagedFileError(f"{path} is damaged: it is a link to nothing") from error
        if error.errno == errno.ENXIO:
            raise DamagedFileError(f"{path} is damaged: it is not an ordinary file") from error
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise DamagedFileError(f"{path} is damaged: it is not an ordinary file")
    with open(opened, "rb") as file:
        try:
            return file.read()
        except OSError as error:
            raise DamagedFileError(f"{path} is damaged: the disk does not give it back ({error.strerror})") from error


@contextmanager
def reading(path: Path) -> Iterator[bytes]:
    """The content of a kept file, which is what was written. Within it the content is to be made sense of.

    Where that fails for a file without a checksum, the file is damaged.

    Raises:
        FileNotFoundError: where there is none.
        DamagedFileError: where it has changed.
    """
    content = content_of(path)
    sealed = intact(content, path)
    try:
        yield content
    # It may hold anything, and whatever reads it may fail in any way.
    except Exception as error:
        if sealed or isinstance(error, DamagedFileError):
            raise
        raise DamagedFileError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    if not sealed:
        tell_unsealed(path.parent, stacklevel=5)


def tell_unsealed(folder: Path, stacklevel: int) -> None:
    """Warn of files without a seal; in the same words for all of a folder, so that it is told once."""
    warnings.warn(
        f"{folder} has files of an earlier version or written by another program, which carry no checksum, so damage "
        "to them may go unnoticed",
        KeptFileWarning,
        stacklevel=stacklevel,
    )


def keep(path: Path, content: bytes, part: Path | None = None) -> None:
    """Write a sealed content: its folder is made where there is none, and no one ever sees half of the file.

    Args:
        path: where it is to be.
        content: as `sealed` gives it.
        part: as for `replacing`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, part) as file:
        file.write(content)


def set_aside(path: Path, into: Path | None = None) -> Path:
    """Move a damaged file out of the way.

    Args:
        path: the file.
        into: the folder whose `DAMAGED` it goes to; None for its own.

    Returns:
        Where it is now, beside others of its name that are there already.
    """
    folder = (into or path.parent) / DAMAGED
    folder.mkdir(parents=True, exist_ok=True)
    to, number = folder / path.name, 1
    while os.path.lexists(to):
        number += 1
        to = folder / f"{path.name}.{number}"
    path.rename(to)
    return to


def sealed_zip(archive: io.BytesIO, of: str = "") -> bytes:
    """The content of a zip archive, which ``.npz`` files and those of torch are, with a seal in its comment.

    Args:
        archive: the archive.
        of: whose content it is, one word, for a file that could be taken for another's; `check_owner` compares it.
    """
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = f"{of} {SEAL}".lstrip().encode()
    return sealed(archive.getvalue())


def check_owner(content: bytes, of: str, path: Path) -> None:
    """See that a zip archive is whose it should be, if it says so: files may change places, and each still be whole.

    Raises:
        DamagedFileError: where it is another's.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        owner, mark, _ = archive.comment.partition(b" " + _HEAD)
    if mark and owner != of.encode():
        raise DamagedFileError(f"{path} is damaged: it holds what belongs to {owner.decode(errors='replace')}")


def sealed_json(mapping: Mapping[str, Any]) -> bytes:
    """A mapping as JSON text, with a seal as its last entry."""
    return sealed(f"{json.dumps({**mapping, _KEY: SEAL}, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode())


def from_json(content: bytes) -> dict[str, Any]:
    """The mapping that `sealed_json` was given.

    Raises:
        ValueError: for anything else than a mapping in JSON.
    """
    mapping = json.loads(content)
    if not isinstance(mapping, dict):
        raise ValueError("it must hold a mapping")
    mapping.pop(_KEY, None)
    return mapping


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
def file_lock(lock: Path, wait: bool = True, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """One process at a time. The system lets go of the lock however a process ends.

    Args:
        lock: a file, made where it does not exist.
        wait: for another process to end.
        on_wait: told whom it waits for, if it has to.

    Raises:
        BlockingIOError: there is another one, and it is not to be waited for.
    """
    with open(lock, "a", opener=without_waiting) as held:
        if fcntl is not None:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                if on_wait is not None:
                    others = " and ".join(lock_holders(lock)) or "another process"
                    on_wait(f"waiting for {others}, which holds the lock")
                fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _checksum(content: bytes, start: int) -> bytes:
    """The checksum of all but itself, which begins at ``start``."""
    total = hashlib.blake2b(digest_size=len(_BLANK) // 2)
    view = memoryview(content)
    total.update(view[:start])
    total.update(_BLANK)
    total.update(view[start + len(_BLANK) :])
    return total.hexdigest().encode()
