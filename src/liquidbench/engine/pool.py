"""An executor of worker processes on this machine.

The standard library's pools do not survive the death of a worker: ``multiprocessing.Pool`` waits forever for its
result, and ``ProcessPoolExecutor`` terminates all others. Here each worker has its own pipe, since a worker that is
killed can leave a shared queue locked. The end of the pipe shows that the worker died; the others go on.
"""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from liquidbench.engine.executor import Worker
from liquidbench.engine.messages import Ended, InputsChanged, Job, Message, StorageFailed, WorkerLost
from liquidbench.system.processes import CONTEXT, WATCH, StoppedWatch, end_with_parent, start


class Pool:
    """Worker processes on this machine. They end when the driver is killed.

    Args:
        processes: the largest number at a time.
        threads: the number of threads that each computes on.
        devices: ids of GPUs, assigned to the processes round-robin, one each; None for those that this process may
            use.
    """

    remote = False

    def __init__(self, processes: int, threads: int = 1, devices: Sequence[str] | None = None):
        for name, value in (("processes", processes), ("threads", threads)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        self._processes, self._threads = processes, threads
        self._devices = _devices() if devices is None else tuple(devices)
        # By slot; the slot determines the GPU.
        self._idle: dict[int, _Process] = {}
        # By connection; the class of a connection depends on the operating system.
        self._busy: dict[object, _Process] = {}
        self._watch = StoppedWatch()

    def open(self, worker: Worker, log: Path) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        self._worker, self._log = worker, log

    def room(self) -> int:
        """See `liquidbench.engine.executor.Executor`."""
        return self._processes - len(self._busy)

    def submit(self, job: Job, exclusive: bool) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        process = self._idle_process()
        process.begin(job)
        self._busy[process.connection] = process

    def wait(self, on_message: Callable[[Job, Message], None], seconds: float) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        ready = wait([process.connection for process in self._busy.values()], min(seconds, WATCH))
        workers = [process.process.pid for process in self._busy.values()]
        self._watch.look(dict.fromkeys((pid for pid in workers if pid), "a worker of the study"))
        for connection in ready:
            process = self._busy[connection]
            assert process.job is not None
            try:
                message: Message = process.connection.recv()
            except (EOFError, OSError):
                message = WorkerLost(_cause(process.end(patience=5)))
                del self._busy[connection]
            else:
                if isinstance(message, Ended | InputsChanged | StorageFailed):
                    self._idle[process.slot] = self._busy.pop(connection)
            on_message(process.job, message)

    def close(self) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        for process in [*self._idle.values(), *self._busy.values()]:
            process.end()
        self._idle.clear()
        self._busy.clear()

    def _idle_process(self) -> "_Process":
        while self._idle:
            _, process = self._idle.popitem()
            if process.process.is_alive():
                return process
            process.end()
        used = {process.slot for process in self._busy.values()}
        slot = next(slot for slot in range(self._processes) if slot not in used)
        environment = {"OMP_NUM_THREADS": str(self._threads)}
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[slot % len(self._devices)]
        return _Process(slot, self._worker, self._log, environment)


class _Process:
    """The driver's handle of a worker process."""

    def __init__(self, slot: int, worker: Worker, log: Path, environment: dict[str, str]):
        self.slot = slot
        self.connection, theirs = CONTEXT.Pipe()
        arguments = (theirs, worker, log)
        self.process = CONTEXT.Process(target=_serve, args=arguments, name="liquidbench worker")
        start(self.process, environment)
        # The worker must have the only other end, or reading from a dead worker would block.
        theirs.close()
        self.job: Job | None = None

    def begin(self, job: Job) -> None:
        """Send it a job; its messages arrive at `connection`."""
        self.job = job
        # If it has just died, the next read from the connection shows it.
        with suppress(OSError):
            self.connection.send(job)

    def end(self, patience: float = 0.0) -> int | None:
        """Terminate the process, if it does not end within so many seconds, and return its exit code."""
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
    """Ids of the GPUs that this process may use, found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip())
    return tuple(sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")))


def _serve(connection: Connection, worker: Worker, log: Path) -> None:
    """Main function of a worker process: does jobs until the connection is closed."""
    # A symbolic link in a folder made by somebody else could redirect the log to any file of this user.
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o644)
    for output in (1, 2):
        os.dup2(opened, output)
    end_with_parent()

    def send(message: Message) -> None:
        try:
            connection.send(message)
        except OSError:
            # The driver is gone.
            os._exit(1)

    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        send(worker(job, send))
