"""What this machine lacks: the errors that say so, and how much memory is left."""

from collections.abc import Iterator
from pathlib import Path

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class ResourceError(RuntimeError):
    """This machine lacks something that is not a file, a package or memory; the message says what to do."""


LACKING = (ModuleNotFoundError, MemoryError, OSError, ResourceError)
"""Errors of the machine, not of the user's input: after it has been mended, the same command succeeds."""


def reason(problem: Exception) -> str:
    """The message of an error; a `MemoryError` of Python has none."""
    return str(problem) or ("there is too little memory" if isinstance(problem, MemoryError) else repr(problem))


def available_memory() -> int | None:
    """Bytes that this process can still take; None if the system does not tell.

    On Linux this is what the machine has, or less in a control group with a limit, as of a container or a batch job.
    """
    return min([*_machine(), *_control_groups()], default=None)


def _machine() -> Iterator[int]:
    for kibibytes in _fields(_PROC / "meminfo", ("MemAvailable:",)):
        yield 1024 * kibibytes


def _control_groups() -> Iterator[int]:
    """What the control groups of this process leave to it, those of version 2 and of version 1."""
    for line in _lines(_PROC / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, most, used, files = _GROUPS, "memory.max", "memory.current", ("active_file", "inactive_file")
        elif "memory" in controllers.split(","):
            root, most, used = _GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            files = ("total_active_file", "total_inactive_file")
        else:
            continue
        # A limit holds for the groups inside, too. In a container the path may be one that only its host has.
        inner = root / path.lstrip("/")
        for group in (inner, *inner.parents):
            limit, usage = _lines(group / most), _lines(group / used)
            if limit and usage and limit[0].isdigit():
                # The system drops its copies of files where memory gets short.
                yield max(int(limit[0]) - int(usage[0]) + sum(_fields(group / "memory.stat", files)), 0)
            if group == root:
                break


def _fields(path: Path, names: tuple[str, ...]) -> list[int]:
    """Numbers of a file whose lines begin with a name and a number."""
    return [int(number) for name, number, *_ in map(str.split, _lines(path)) if name in names]


def _lines(path: Path) -> list[str]:
    """The lines of a file; none if there is no such file."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
