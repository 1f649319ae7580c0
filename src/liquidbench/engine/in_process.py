"""An executor that does runs one after another in the driver's own process, for debuggers and profilers."""

import time
from collections.abc import Callable
from pathlib import Path

from liquidbench.engine.executor import Worker
from liquidbench.engine.messages import Job, Message


class InProcess:
    """One worker: this process.

    Args:
        threads: the number of threads that torch computes on.
    """

    remote = False

    def __init__(self, threads: int = 1):
        if threads < 1:
            raise ValueError(f"threads must be at least 1; got {threads}")
        self._threads = threads
        self._job: Job | None = None

    def open(self, worker: Worker, log: Path) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        import torch

        self._worker, self._threads_before = worker, torch.get_num_threads()
        torch.set_num_threads(self._threads)

    def room(self) -> int:
        """See `liquidbench.engine.executor.Executor`."""
        return 1 if self._job is None else 0

    def submit(self, job: Job, exclusive: bool) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        self._job = job

    def wait(self, on_message: Callable[[Job, Message], None], seconds: float) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        job = self._job
        if job is None:
            time.sleep(seconds)
            return
        ended = self._worker(job, lambda message: on_message(job, message))
        self._job = None
        on_message(job, ended)

    def close(self) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        import torch

        torch.set_num_threads(self._threads_before)
