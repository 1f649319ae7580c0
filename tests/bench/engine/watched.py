"""A driver to be killed, and workers for tests. Both start without torch.

python watched.py DIRECTORY PROCESSES    # does the pending runs, and prints those that end
"""

import multiprocessing
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rehearsal import Rehearsal

from liquidbench.engine import Pool, execute, plan
from liquidbench.engine.messages import Message, Started, Warned
from liquidbench.study import Study


@dataclass
class Deadly(Rehearsal):
    """A worker whose first fit kills its process."""

    def __call__(self, job, send):
        if job.run.kind == "fit" and job.run.seed == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(job, send)


@dataclass
class Noting(Rehearsal):
    """A worker that warns of a damaged file in each run."""

    def __call__(self, job, send):
        send(Warned(f"some journal is damaged, {job.run.kind} {job.run.model}"))
        return super().__call__(job, send)


@dataclass
class Busy(Rehearsal):
    """A worker that computes without end and says nothing more."""

    def __call__(self, job, send):
        send(Started())
        while True:
            sum(range(100_000))


@dataclass
class Refusing(Rehearsal):
    """A worker that gives the same answer to each job."""

    answer: Message = Started()

    def __call__(self, job, send):
        return self.answer


@dataclass
class Held(Rehearsal):
    """A worker whose search runs until an independent fit has started."""

    folder: str = ""

    def __call__(self, job, send):
        begun = Path(self.folder) / "begun"
        if job.run.variant == "author":
            begun.touch()
        elif job.run.kind == "fit" and job.run.seed == 0:
            until = time.monotonic() + 60
            while not begun.exists():
                assert time.monotonic() < until
                time.sleep(0.01)
        return super().__call__(job, send)


@dataclass
class Watched(Rehearsal):
    """A worker that detects when another one does the same run."""

    folder: str = ""

    def __call__(self, job, send):
        name = job.run.id(self.tasks[job.run.task_name].digest)
        driver = multiprocessing.parent_process().pid
        mark = Path(self.folder) / f"{name}.busy"
        try:
            with mark.open("x") as opened:
                opened.write(f"{driver}")
        except FileExistsError:
            # Left by a killed worker, if its driver is gone or is our own.
            other = mark.read_text()
            if other and int(other) != driver and alive(int(other)):
                (Path(self.folder) / f"{name}.clash").touch()
        time.sleep(random.uniform(0, 0.03))
        ended = super().__call__(job, send)
        mark.unlink(missing_ok=True)
        return ended


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    planned = plan(Study.load(directory / "study.yaml"), directory)
    worker = Watched(planned.study.name, planned.tasks, folder=str(directory / "watch"))
    assert "torch" not in sys.modules, "a driver starts quickly"
    outcome = execute(
        planned,
        Pool(int(sys.argv[2])),
        lambda event: event.kind in ("finished", "failed") and print(event.kind, planned.id(event.run), flush=True),
        worker=worker,
    )
