"""A worker that learns nothing, to try the engine on: what it gives looks like the results of real runs."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import liquidbench
from liquidbench import results
from liquidbench.engine.messages import Ended, Job, Message, Started
from liquidbench.study import Run


@dataclass
class Rehearsal:
    """In place of `liquidbench.engine.work.Work`.

    Attributes:
        study: the study's name.
        tasks: each task's facts.
        seconds: how long a run takes, which is spent asleep.
        epochs: how many are made up for each trial, two rows each.
    """

    study: str
    tasks: Mapping[str, Mapping[str, Any]]
    seconds: float = 0.0
    epochs: int = 5

    def __call__(self, job: Job, tell: Callable[[Message], None]) -> Ended:
        """See `liquidbench.engine.executor.Worker`."""
        started = time.monotonic()
        tell(Started())
        time.sleep(self.seconds)
        rows = self._rows(job.run)
        score = rows[-1]["value"] if job.run.kind == "fit" else None
        return Ended(results.pack(rows), "done", score, seconds=time.monotonic() - started)

    def failed(self, job: Job) -> Ended:
        """See `liquidbench.engine.executor.Worker`."""
        reason = f"lost {len(job.losses)} times: {job.losses[-1]}"
        row = self._row(job.run, status="failed", split="", metric="", value=None, reason=reason)
        return Ended(results.pack([row]), "failed", reason=reason)

    def _rows(self, run: Run) -> list[dict[str, Any]]:
        drawn = random.Random(f"{run.task_name} {run.model} {run.seed} {run.fold}")
        if run.kind == "cost":
            metrics = ("seconds_per_epoch", "step_latency_us", "training_memory_bytes", "parameters")
            return [self._row(run, split="", metric=metric, value=drawn.uniform(1, 100)) for metric in metrics]
        metric = self.tasks[run.task_name]["metric"]
        skill = random.Random(run.model).uniform(0.6, 0.9)
        rows, chosen, best = [], {}, 0.0
        for trial in range(run.search.trials if run.searches else 1):
            rate = 10 ** drawn.uniform(-3, -1)
            tried = {"trial": trial, "learning_rate": rate}
            for epoch in range(1, self.epochs + 1):
                for split in ("train", "validation"):
                    rows.append(self._row(run, split=split, metric="loss", value=1 / epoch, epoch=epoch, **tried))
            told = {"metric": "epochs", "value": float(self.epochs), "reason": "all epochs"}
            rows.append(self._row(run, split="", **tried, **told))
            tried["settings"] = json.dumps({"learning_rate": rate})
            score = drawn.gauss(skill, 0.03)
            if run.searches:
                rows.append(self._row(run, split="validation", metric="trial_score", value=score, **tried))
            if score > best:
                chosen, best = tried, score
        rows.append(self._row(run, split="", metric="best_epoch", value=float(self.epochs), **chosen))
        rows += [self._row(run, split="test", metric=name, value=0.5) for name in ("trivial", "linear")]
        rows.append(self._row(run, split="validation", metric=metric, value=best, **chosen))
        rows.append(self._row(run, split="test", metric=metric, value=drawn.gauss(skill, 0.03), **chosen))
        return rows

    def _row(self, run: Run, **columns: Any) -> dict[str, Any]:
        return {
            **run.columns(self.tasks[run.task_name]["digest"]),
            "study": self.study,
            "status": "done",
            "corruption": "",
            "level": 0.0,
            "parameters": run.parameters,
            "version": liquidbench.__version__,
            "commit": "",
            "python": "",
            "torch": "",
            "machine": "rehearsal",
            "threads": 1,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": self.seconds,
            **columns,
        }
