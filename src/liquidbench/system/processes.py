"""Processes that end with whoever started them, import nothing from the current folder, and end in good order."""

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
"""How processes are made: anew, for a forked one has half of its parent's threads and all of its locks."""

WATCH = 5.0
"""Seconds between two looks at whether child processes stand still."""


class Stopped(KeyboardInterrupt):
    """A signal asks this process to end.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Stops:
    """When signals that ask this process to end may take effect; see `stoppable`."""

    def __init__(self) -> None:
        self._held, self._waiting, self._stopped = 0, 0, False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it, what is done is done whole: a signal takes effect at its end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._waiting and not self._held:
            self._stop(self._waiting)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._held:
            self._waiting = self._waiting or number
        # Who is impatient may press Ctrl-C again.
        elif not self._stopped or number == signal.SIGINT:
            self._stop(number)

    def _stop(self, number: int) -> None:
        self._stopped, self._waiting = True, 0
        raise Stopped(number)


@contextmanager
def stoppable() -> Iterator[Stops]:
    """Within it, SIGTERM and SIGHUP raise `Stopped` as Ctrl-C does.

    That is how a scheduler, a service manager or a closing terminal ends a process. The first one raises; others are
    ignored until the end of the context, since they often come in pairs and must not cut short what the first began. A
    signal that was ignored before, as SIGHUP is under ``nohup``, stays so. Outside the main thread it does nothing.
    """
    stops = Stops()
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, stops.hear)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(process: BaseProcess, environment: Mapping[str, str] | None = None) -> None:
    """Start a process of `CONTEXT`, deaf to Ctrl-C, which the terminal sends to it too.

    It imports from where this program does, but never from the current folder, which may hold data: Python itself
    would take a ``socket.py`` there for its own.

    Args:
        process: not started yet.
        environment: variables that it has besides those of this process.
    """
    with ExitStack() as inside:
        inside.enter_context(interrupts_ignored())
        # It is born as `python -c`, which puts the current folder first; so is multiprocessing's resource tracker.
        inside.enter_context(_environment({"PYTHONSAFEPATH": "1", **(environment or {})}))
        inside.enter_context(closed_path())
        process.start()


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Within it, new processes are born deaf to Ctrl-C. Outside the main thread it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        # None is a handler that was not set from Python, which cannot be put back.
        signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Within it, new processes are born with these variables: torch reads them when it is loaded."""
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
    """Within it, the path of imports has no entry for whatever folder is the current one.

    multiprocessing hands the path on, with the current folder's name in the place of that entry.
    """
    before = sys.path[:]
    sys.path[:] = [entry for entry in before if entry not in ("", ".")]
    try:
        yield
    finally:
        sys.path[:] = before


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it has, in whatever way."""
    threading.Thread(target=_follow, daemon=True).start()


class StandstillWatch:
    """Says of child processes that they stand still, by SIGSTOP or a debugger, since somebody waits for them."""

    def __init__(self) -> None:
        self._told: set[int] = set()
        self._next = time.monotonic() + WATCH

    def look(self, children: Mapping[int, str]) -> None:
        """Warn of those that have come to a standstill, if the last look was not just now.

        Args:
            children: what each is, by its id.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + WATCH
        stopped = set(filter(_is_stopped, children))
        for pid in sorted(stopped - self._told):
            warnings.warn(
                f"{children[pid]} (process {pid}) is stopped and is waited for. To let it go on: kill -CONT {pid}; to "
                f"give it up: kill -KILL {pid}",
                RuntimeWarning,
                stacklevel=2,
            )
        self._told = stopped


def _is_stopped(pid: int) -> bool:
    # Not on every system.
    if not hasattr(os, "waitid"):
        return False
    try:
        # Only looked at: how the child ends is left for whoever waits for that.
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def lock_holders(lock: str | os.PathLike[str]) -> list[str]:
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
