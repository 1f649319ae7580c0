"""Processes on this machine, each doing one run after another.

The pool is our own because of what the standard ones do when a process dies: a ``multiprocessing.Pool`` waits for its
result for ever, a ``ProcessPoolExecutor`` gives up all others. Here each worker has a pipe of its own, for a queue that
many write to can be left locked by one that is killed. Its end tells that the worker is gone; the others go on.
"""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from liquidbench.engine.executor import Worker
from liquidbench.engine.messages import Ended, Job, Lost, Message, Stale, Unkept
from liquidbench.system.processes import CONTEXT, WATCH, StandstillWatch, end_with_parent, start


class Pool:
    """Processes on this machine. A driver that is killed takes them with it.

    Args:
        processes: most of them at a time.
        threads: how many each computes on.
        devices: numbers of GPUs, of which each process sees one, in turn; None for those that this process may use.
    """

    apart = False

    def __init__(self, processes: int, threads: int = 1, devices: Sequence[str] | None = None):
        for name, value in (("processes", processes), ("threads", threads)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        self._processes, self._threads = processes, threads
        self._devices = _devices() if devices is None else tuple(devices)
        # By place, of which each has its share of the machine.
        self._idle: dict[int, _Process] = {}
        # By connection, whose class depends on the operating system.
        self._busy: dict[object, _Process] = {}
        self._watch = StandstillWatch()

    def open(self, worker: Worker, log: Path) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        self._worker, self._log = worker, log

    def room(self) -> int:
        """See `liquidbench.engine.executor.Executor`."""
        return self._processes - len(self._busy)

    def begin(self, job: Job, alone: bool) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        process = self._free()
        process.begin(job)
        self._busy[process.connection] = process

    def wait(self, tell: Callable[[Job, Message], None], seconds: float) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        heard = wait([process.connection for process in self._busy.values()], min(seconds, WATCH))
        workers = [process.process.pid for process in self._busy.values()]
        self._watch.look(dict.fromkeys((pid for pid in workers if pid), "a worker of the study"))
        for connection in heard:
            process = self._busy[connection]
            assert process.job is not None
            try:
                message: Message = process.connection.recv()
            except (EOFError, OSError):
                message = Lost(_cause(process.end(patience=5)))
                del self._busy[connection]
            else:
                if isinstance(message, Ended | Stale | Unkept):
                    self._idle[process.place] = self._busy.pop(connection)
            tell(process.job, message)

    def close(self) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        for process in [*self._idle.values(), *self._busy.values()]:
            process.end()
        self._idle.clear()
        self._busy.clear()

    def _free(self) -> "_Process":
        while self._idle:
            _, process = self._idle.popitem()
            if process.process.is_alive():
                return process
            process.end()
        taken = {process.place for process in self._busy.values()}
        place = next(place for place in range(self._processes) if place not in taken)
        environment = {"OMP_NUM_THREADS": str(self._threads)}
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[place % len(self._devices)]
        return _Process(place, self._worker, self._log, environment)


class _Process:
    """The driver's side of a process that does one job after another."""

    def __init__(self, place: int, worker: Worker, log: Path, environment: dict[str, str]):
        self.place = place
        self.connection, theirs = CONTEXT.Pipe()
        arguments = (theirs, worker, log)
        self.process = CONTEXT.Process(target=_work, args=arguments, name="liquidbench worker")
        start(self.process, environment)
        # The worker now has the only other end, so that hearing a dead one ends rather than waits.
        theirs.close()
        self.job: Job | None = None

    def begin(self, job: Job) -> None:
        """Give it a job, to be heard of at its connection."""
        self.job = job
        # Should it have died this moment, hearing it will tell.
        with suppress(OSError):
            self.connection.send(job)

    def end(self, patience: float = 0.0) -> int | None:
        """End the process, and say how it ended; it has some seconds to do so by itself."""
        self.process.join(patience)
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        return self.process.exitcode


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"worker ended with exit code {code}; see workers.log"
    return f"worker died with signal {-code}{', perhaps out of memory' if code == -signal.SIGKILL else ''}"


def _devices() -> tuple[str, ...]:
    """GPUs that this process may use, found without loading torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip())
    return tuple(sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")))


def _work(connection: Connection, worker: Worker, log: Path) -> None:
    """A worker's life."""
    # Through a link, in a folder that somebody else has made, it would be any file of this user's.
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o644)
    for output in (1, 2):
        os.dup2(opened, output)
    end_with_parent()

    def tell(message: Message) -> None:
        try:
            connection.send(message)
        except OSError:
            # No one listens any more: the driver is gone.
            os._exit(1)

    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        tell(worker(job, tell))
