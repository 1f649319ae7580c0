"""Processes that live and die with whoever started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Within it, new processes are born deaf to Ctrl-C, which the terminal sends to them too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it has, in whatever way."""
    threading.Thread(target=_follow, daemon=True).start()


def holders(lock: str | os.PathLike[str]) -> list[str]:
    """Which processes hold a lock on a file, in words; none where the system does not tell.

    Args:
        lock: a file that is locked as a whole (``flock``).

    Returns:
        Each process once, with its number and, where it can be seen, its command: that of the command line which
        started it rather than that of a worker.
    """
    with suppress(OSError):
        file = os.stat(lock)
        place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
        entries = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        # "7: FLOCK ADVISORY WRITE 4711 08:01:131 0 EOF"; those that wait have an arrow before FLOCK.
        found = [int(entry[4]) for entry in entries if entry[1] == "FLOCK" and entry[5] == place]
        return list(dict.fromkeys(_described(process) for process in found if process > 0))
    return []


def _described(process: int) -> str:
    first = process
    with suppress(OSError, ValueError):
        while True:
            words = Path(f"/proc/{first}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            if "--multiprocessing-fork" not in words:
                break
            # "4711 (python worker) S 4710 ...": a name in brackets may hold blanks.
            first = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
        command = " ".join(words)
        return f"process {first} ({command if len(command) <= 80 else f'{command[:77]}...'})"
    return f"process {process}"


def _follow() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
