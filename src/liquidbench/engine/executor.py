"""The interfaces of executors and workers."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from liquidbench.engine.messages import Ended, InputsChanged, Job, Message, StorageFailed


class Worker(Protocol):
    """The function that workers call for each job; see `liquidbench.engine.work.Work`. It must be picklable."""

    def __call__(self, job: Job, send: Callable[[Message], None]) -> Ended | InputsChanged | StorageFailed:
        """Do a job; return its last message and pass earlier ones to ``send``."""
        ...

    def failed(self, job: Job) -> Ended:
        """The result of a job that was lost too often; called in the driver's process."""
        ...


class Executor(Protocol):
    """A set of workers, local or remote, each of which does one job at a time.

    An executor delivers jobs to workers and messages to the driver, and reports workers that died. It knows nothing of
    studies, leases and results, and never retries: that is the driver's decision.

    Attributes:
        remote: whether workers may be without access to the study's folder, so that jobs and results must carry the
            files they need.
    """

    remote: bool

    def open(self, worker: Worker, log: Path) -> None:
        """Get ready.

        Args:
            worker: does the jobs.
            log: file for what workers print, where the executor can capture it.
        """
        ...

    def room(self) -> int:
        """How many more jobs can start now."""
        ...

    def submit(self, job: Job, exclusive: bool) -> None:
        """Start a job. There must be `room`.

        Args:
            job: the job.
            exclusive: the job needs its machine to itself; the driver submits no other job until it has ended.
        """
        ...

    def wait(self, on_message: Callable[[Job, Message], None], seconds: float) -> None:
        """Pass on the messages that have arrived, waiting for the first at most so many seconds."""
        ...

    def close(self) -> None:
        """Terminate all workers, busy ones included."""
        ...
