"""Child processes that end with their parent and import nothing from the current folder; signals; lock holders."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

CONTEXT = multiprocessing.get_context("spawn")
"""Processes are spawned: a forked one would inherit its parent's locks, but not the threads that hold them."""

WATCH = 5.0
"""Seconds between two checks whether child processes are stopped."""


class Stopped(KeyboardInterrupt):
    """Raised when a signal asks this process to end.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Stops:
    """Handles the signals that ask this process to end, and can defer them; see `stoppable`."""

    def __init__(self) -> None:
        self._depth, self._pending, self._stopped = 0, 0, False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer signals to the end of the block, so that it is not interrupted."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._pending and not self._depth:
            self._stop(self._pending)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._depth:
            self._pending = self._pending or number
        # Ctrl-C may be pressed again to interrupt the clean-up.
        elif not self._stopped or number == signal.SIGINT:
            self._stop(number)

    def _stop(self, number: int) -> None:
        self._stopped, self._pending = True, 0
        raise Stopped(number)


@contextmanager
def stoppable() -> Iterator[Stops]:
    """Within the block, SIGTERM and SIGHUP raise `Stopped`, as Ctrl-C does.

    Schedulers, service managers and closing terminals end processes with these. The first signal raises; later ones are
    ignored until the end of the block, since they often come in pairs and must not interrupt the clean-up. A signal
    that was ignored before, as SIGHUP is under ``nohup``, stays ignored. Outside the main thread this does nothing.
    """
    stops = Stops()
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, stops.handle)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(process: BaseProcess, environment: Mapping[str, str] | None = None) -> None:
    """Start a process of `CONTEXT` that ignores Ctrl-C, which a terminal sends to child processes too.

    It has this program's import path without the current folder, which may hold data: Python would import a
    ``socket.py`` there in place of its own.

    Args:
        process: a process that has not been started.
        environment: environment variables to add to those of this process.
    """
    with ExitStack() as inside:
        inside.enter_context(interrupts_ignored())
        # It starts as `python -c`, which puts the current folder first; so does multiprocessing's resource tracker.
        inside.enter_context(_environment({"PYTHONSAFEPATH": "1", **(environment or {})}))
        inside.enter_context(closed_path())
        process.start()


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Within the block, new processes ignore Ctrl-C. Outside the main thread this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        # None stands for a handler that was not set from Python; it cannot be restored.
        signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Within the block, new processes have these variables from the start: torch reads them on import."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def closed_path() -> Iterator[None]:
    """Within the block, ``sys.path`` has no entry for the current folder.

    multiprocessing passes the path on to child processes, with the current folder's absolute path in such entries.
    """
    before = sys.path[:]
    sys.path[:] = [entry for entry in before if entry not in ("", ".")]
    try:
        yield
    finally:
        sys.path[:] = before


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, in whatever way."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()


class StoppedWatch:
    """Warns of child processes that are stopped, by SIGSTOP or a debugger, while this process waits for them."""

    def __init__(self) -> None:
        self._warned: set[int] = set()
        self._next = time.monotonic() + WATCH

    def look(self, children: Mapping[int, str]) -> None:
        """Warn once of each process that is stopped; checks at most every `WATCH` seconds.

        Args:
            children: descriptions by process id.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + WATCH
        stopped = set(filter(_is_stopped, children))
        for pid in sorted(stopped - self._warned):
            warnings.warn(
                f"waiting for {children[pid]} (process {pid}), which is stopped. To let it continue: kill -CONT {pid}; "
                f"to give it up: kill -KILL {pid}",
                RuntimeWarning,
                stacklevel=2,
            )
        self._warned = stopped


def _is_stopped(pid: int) -> bool:
    # Windows has no waitid.
    if not hasattr(os, "waitid"):
        return False
    try:
        # WNOWAIT leaves the child's status for whatever code waits for its end.
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def lock_holders(lock: str | os.PathLike[str]) -> list[str]:
    """Descriptions of the processes that hold a lock on a file; empty where the system does not list locks.

    Args:
        lock: a file locked with ``flock``.

    Returns:
        Each process once, by its id and, where it is visible, its command line; for a worker process, those of the
        program that started it.
    """
    with suppress(OSError):
        file = os.stat(lock)
        place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
        entries = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        # "7: FLOCK ADVISORY WRITE 4711 08:01:131 0 EOF"; waiting processes have an arrow before FLOCK.
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
            # "4711 (python worker) S 4710 ...": a name in parentheses may contain spaces.
            first = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
        command = " ".join(words)
        return f"process {first} ({command if len(command) <= 80 else f'{command[:77]}...'})"
    return f"process {process}"


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
