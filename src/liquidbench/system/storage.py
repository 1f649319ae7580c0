"""Atomic writes, checksums that detect damage, and file locks that end with their process.

A kept file carries a seal: a checksum of the rest of its content, in a place that other readers of the format ignore
(the metadata of a Parquet file, the comment of a zip archive, a key of a JSON object), so that it is copied, moved and
replaced together with the file. A reader that finds a wrong checksum raises `DamagedFileError`; code that can create
the file again moves it aside and does so. Files of earlier versions have no seal and are read with a `KeptFileWarning`.
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
    # Windows has no flock: there, nothing stops a second process.
    fcntl = None

_HEAD, _TAIL = b"<liquidbench-seal ", b" liquidbench-seal>"
_BLANK = b"0" * 32

SEAL = (_HEAD + _BLANK + _TAIL).decode()
"""Placeholder for the seal. A writer puts it behind all content that it does not control."""

_KEY = "checksum of this file"

DAMAGED = "damaged"
"""Name of the folder that damaged files are moved to."""


class DamagedFileError(ValueError):
    """A kept file is not what was written; the message names the file and the evidence."""


class KeptFileWarning(UserWarning):
    """A kept file is damaged or has no checksum; the message names it."""


def sealed(content: bytes) -> bytes:
    """The content with its checksum in the place of `SEAL`.

    Raises:
        ValueError: if it does not contain `SEAL`.
    """
    start = content.rfind(SEAL.encode())
    if start < 0:
        raise ValueError("content must contain SEAL, which its checksum replaces; it does not")
    start += len(_HEAD)
    return content[:start] + _checksum(content, start) + content[start + len(_BLANK) :]


def intact(content: bytes, name: str | os.PathLike[str]) -> bool:
    """Whether a content has a seal, after checking that it is right.

    Args:
        content: content of a file.
        name: name of the file, for the error.

    Raises:
        DamagedFileError: if the seal is wrong or damaged itself; either of its two delimiters shows that there is one.
    """
    start, end = content.rfind(_HEAD), content.rfind(_TAIL)
    if start < 0 and end < 0:
        return False
    start += len(_HEAD)
    if end - start != len(_BLANK) or content[start:end] != _checksum(content, start):
        raise DamagedFileError(f"{os.fspath(name)} is damaged: its content does not match its checksum")
    return True


def without_waiting(path: str | os.PathLike[str], flags: int) -> int:
    """An opener like `os.open` that does not block on a pipe whose other end nobody opens."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def content_of(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        FileNotFoundError: if nothing is there.
        DamagedFileError: for a dangling link, a pipe, a folder, or a read error of the disk.
    """
    try:
        opened = without_waiting(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP):
            raise DamagedFileError(f"{path} is damaged: it is a link to a file that does not exist") from error
        if error.errno == errno.ENXIO:
            raise DamagedFileError(f"{path} is damaged: it is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise DamagedFileError(f"{path} is damaged: it is not a regular file")
    with open(opened, "rb") as file:
        try:
            return file.read()
        except OSError as error:
            raise DamagedFileError(f"{path} is damaged: the disk cannot read it ({error.strerror})") from error


@contextmanager
def reading(path: Path) -> Iterator[bytes]:
    """The content of a kept file, after checking its seal. Parse it within the block.

    An exception in the block means that the file is damaged if it has no checksum.

    Raises:
        FileNotFoundError: if it does not exist.
        DamagedFileError: if it has changed.
    """
    content = content_of(path)
    sealed = intact(content, path)
    try:
        yield content
    # The content may be anything, and the code that parses it may raise anything.
    except Exception as error:
        if sealed or isinstance(error, DamagedFileError):
            raise
        raise DamagedFileError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    if not sealed:
        warn_unsealed(path.parent, stacklevel=5)


def warn_unsealed(folder: Path, stacklevel: int) -> None:
    """Warn of files without a seal; the message is the same for all of a folder, so that it is shown once."""
    warnings.warn(
        f"{folder} has files of an earlier version or written by another program, which carry no checksum, so damage "
        "to them may go unnoticed",
        KeptFileWarning,
        stacklevel=stacklevel,
    )


def keep(path: Path, content: bytes, part: Path | None = None) -> None:
    """Write a sealed content atomically; creates its folder.

    Args:
        path: the file.
        content: as `sealed` returns it.
        part: as for `replacing`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, part) as file:
        file.write(content)


def set_aside(path: Path, into: Path | None = None, name: str = "") -> Path:
    """Move a damaged file out of the way.

    Args:
        path: the file.
        into: the folder whose subfolder `DAMAGED` it is moved to; None for its own folder.
        name: its name there; by default the one it has.

    Returns:
        Its new path; a number is appended if there is such a file already.
    """
    folder = (into or path.parent) / DAMAGED
    folder.mkdir(parents=True, exist_ok=True)
    name = name or path.name
    to, number = folder / name, 1
    while os.path.lexists(to):
        number += 1
        to = folder / f"{name}.{number}"
    path.rename(to)
    return to


def sealed_zip(archive: io.BytesIO, of: str = "") -> bytes:
    """A zip archive, such as a ``.npz`` file or one of torch, with a seal in its comment.

    Args:
        archive: the archive.
        of: id of the owner, without spaces, which `check_owner` compares; "" for none.
    """
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = f"{of} {SEAL}".lstrip().encode()
    return sealed(archive.getvalue())


def check_owner(content: bytes, of: str, path: Path) -> None:
    """Check the owner of a zip archive that names one: files that were swapped are each intact.

    Raises:
        DamagedFileError: if it belongs to another owner.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        owner, mark, _ = archive.comment.partition(b" " + _HEAD)
    if mark and owner != of.encode():
        raise DamagedFileError(f"{path} is damaged: its content belongs to {owner.decode(errors='replace')}")


def sealed_json(mapping: Mapping[str, Any]) -> bytes:
    """A mapping as JSON, with a seal as its last entry."""
    return sealed(f"{json.dumps({**mapping, _KEY: SEAL}, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode())


def from_json(content: bytes) -> dict[str, Any]:
    """The mapping that was passed to `sealed_json`.

    Raises:
        ValueError: for anything but a JSON object.
    """
    mapping = json.loads(content)
    if not isinstance(mapping, dict):
        raise ValueError("it must contain a mapping")
    mapping.pop(_KEY, None)
    return mapping


def regular(path: Path, what: str) -> Path:
    """The path, after checking that it is a regular file: reading a pipe or a device could block forever.

    Args:
        path: a file to be read.
        what: description of the file for the message, such as "a table".

    Raises:
        FileNotFoundError: if it does not exist, or is a dangling link.
        ValueError: if it is something else; the message says what, and what to do.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise FileNotFoundError(
                f"{path} must be {what}; it is a link to {os.readlink(path)}, which does not exist"
            ) from None
        raise FileNotFoundError(f"{path} must be {what}; it does not exist") from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ValueError(f"{_short(path)} must be {what}, but cannot be accessed ({reason})") from problem
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} must be {what}; it is a folder: give the file in it")
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise ValueError(f"{path} must be {what}; it is {kind}: save its content to a file and give that")
    return path


def _short(path: Path) -> str:
    return str(path) if len(str(path)) <= 200 else f"{str(path)[:200]}..."


@contextmanager
def replacing(path: Path, part: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to write, which replaces ``path`` atomically at the end of the block.

    If the block raises, the file at ``path`` is unchanged.

    Args:
        path: the file to replace or create.
        part: temporary path on the same file system; None for a unique hidden one beside it.
    """
    part = part or path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            # A rename can reach the disk before the content: after a power failure the file would be empty.
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def file_lock(lock: Path, wait: bool = True, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lock; the kernel releases it however the process ends.

    Args:
        lock: the lock file; it is created if it does not exist.
        wait: wait until the lock is free.
        on_wait: called with a description of what it waits for, if it has to wait.

    Raises:
        BlockingIOError: if another process holds the lock and ``wait`` is False.
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
    """The checksum of everything but the checksum itself, which starts at ``start``."""
    total = hashlib.blake2b(digest_size=len(_BLANK) // 2)
    view = memoryview(content)
    total.update(view[:start])
    total.update(_BLANK)
    total.update(view[start + len(_BLANK) :])
    return total.hexdigest().encode()
