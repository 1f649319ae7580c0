"""What a worker does with a run, wherever it is."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from liquidbench import results, tasks, training
from liquidbench.engine.machine import occupied
from liquidbench.engine.messages import Ended, Job, Message, Stale, Started
from liquidbench.study import Run
from liquidbench.tasks.task import Task
from liquidbench.training import Row


@dataclass
class Work:
    """Trains and measures. It is sent to workers as it is.

    Attributes:
        study: the study's name.
        data: the folder of raw files, None for the usual places.
        tasks: each task's facts.
    """

    study: str
    data: str | None
    tasks: Mapping[str, Mapping[str, Any]]
    _loaded: dict[str, Task] = field(default_factory=dict)

    def __call__(self, job: Job, tell: Callable[[Message], None]) -> Ended | Stale:
        """Do a job: an error in it is its result, and the study goes on.

        Args:
            job: the job.
            tell: is told that it has started, and of its epochs.
        """
        run = job.run
        facts = self.tasks[run.task_name]
        with occupied(alone=run.kind == "cost"):
            started = time.monotonic()
            tell(Started())
            try:
                task = self._task(run)
                if task.data_digest != facts["digest"]:
                    return Stale(
                        f"the data of task {run.task_name!r} are not those that the study was planned with (digest "
                        f"{task.data_digest[:12]}, not {facts['digest'][:12]})"
                    )
                rows = training.fit(run, task, tell) if run.kind == "fit" else training.measure_cost(run, task)
                return self._ended(job, rows, started)
            except Exception as error:
                traceback.print_exc()
                return self._ended(job, self._failure(run, f"{type(error).__name__}: {error}"), started)

    def failed(self, job: Job) -> Ended:
        """What is told of a job that was lost too often."""
        *earlier, last = job.losses
        reason = f"{last}; so ended each of {len(job.losses)} attempts"
        return self._ended(Job(job.run, tuple(earlier)), self._failure(job.run, reason), time.monotonic())

    def _task(self, run: Run) -> Task:
        if run.task_name not in self._loaded:
            self._loaded[run.task_name] = tasks.load(run.task, self.data)
        # A copy has no splits yet: the test split of the run before must not lie ready for this one.
        return replace(self._loaded[run.task_name])

    def _failure(self, run: Run, reason: str) -> list[Row]:
        return training.failure(run, self.tasks[run.task_name]["digest"], reason)

    def _ended(self, job: Job, rows: Sequence[Row], started: float) -> Ended:
        rows = [{**row, "study": self.study} for row in rows]
        status = rows[-1]["status"]
        reason = rows[-1]["reason"] if status == "failed" else None
        if job.losses:
            neutral = dict.fromkeys(results.NULLABLE) | {"split": "", "corruption": "", "level": 0.0}
            told = {"metric": "attempts", "value": 1.0 + len(job.losses), "reason": "; ".join(job.losses)}
            rows.append({**rows[-1], **neutral, **told})
        score = self._score(job.run, rows)
        return Ended(results.pack(rows), status, score, reason, time.monotonic() - started)

    def _score(self, run: Run, rows: Sequence[Row]) -> float | None:
        main = ("test", self.tasks[run.task_name]["metric"], "")
        return next((row["value"] for row in rows if (row["split"], row["metric"], row["corruption"]) == main), None)
