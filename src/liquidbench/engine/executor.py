"""Where runs are done: the one interface of all executors."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from liquidbench.engine.messages import Ended, Job, Message, Stale, Unkept


class Worker(Protocol):
    """What an executor moves to its workers and calls there; see `liquidbench.engine.work.Work`."""

    def __call__(self, job: Job, tell: Callable[[Message], None]) -> Ended | Stale | Unkept:
        """Do a job."""
        ...

    def failed(self, job: Job) -> Ended:
        """What is told of a job that was lost too often; called where the driver is."""
        ...


class Executor(Protocol):
    """Workers, here or elsewhere, each at one job at a time.

    Executors know nothing of studies, leases and results. They bring jobs to workers and messages back, and tell
    of workers that are gone; what that means for a job is not theirs to say.

    Attributes:
        apart: whether workers may be where the study's folder is not, and have of it what jobs bring along.
    """

    apart: bool

    def open(self, worker: Worker, log: Path) -> None:
        """Get ready.

        Args:
            worker: does the jobs.
            log: file for what is printed at work, where the executor can catch that.
        """
        ...

    def room(self) -> int:
        """How many more jobs can begin now."""
        ...

    def begin(self, job: Job, alone: bool) -> None:
        """Take a job; there is room for it.

        Args:
            job: the job.
            alone: whether it is to have nothing beside it; then it has nothing of this driver's.
        """
        ...

    def wait(self, tell: Callable[[Job, Message], None], seconds: float) -> None:
        """Tell what has happened; wait for something, but no longer than so."""
        ...

    def close(self) -> None:
        """End all workers, those at work in the middle of it."""
        ...
