"""A fake worker for the engine, which trains nothing and makes up results in the form of real ones."""

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
from liquidbench.facts import Facts
from liquidbench.study import Run


@dataclass
class Rehearsal:
    """Stands in for `liquidbench.engine.work.Work`.

    Attributes:
        study: the study's name.
        tasks: facts by task name.
        seconds: how long each run sleeps.
        evaluations: number of made-up evaluations per trial, two rows each.
    """

    study: str
    tasks: Mapping[str, Facts]
    seconds: float = 0.0
    evaluations: int = 5

    def __call__(self, job: Job, send: Callable[[Message], None]) -> Ended:
        started = time.monotonic()
        send(Started())
        time.sleep(self.seconds)
        rows = self.rows(job.run)
        score = rows[-1]["value"] if job.run.kind == "fit" else None
        return Ended(results.pack(rows), "done", score, seconds=time.monotonic() - started)

    def failed(self, job: Job) -> Ended:
        reason = f"lost {len(job.losses)} times: {job.losses[-1]}"
        row = self._shared(job.run) | {"status": "failed", "split": "", "metric": "", "value": None, "reason": reason}
        return Ended(results.pack([row]), "failed", reason=reason)

    def rows(self, run: Run) -> list[dict[str, Any]]:
        """Made-up results of a run."""
        shared, rows = self._shared(run), []

        def add(**columns: Any) -> None:
            rows.append({**shared, **columns})

        drawn = random.Random(f"{run.task_name} {run.model_name} {run.seed} {run.fold}")
        if run.kind == "cost":
            metrics = ("seconds_per_epoch", "step_latency_us", "training_memory_bytes", "parameters")
            for metric in metrics:
                add(split="", metric=metric, value=drawn.uniform(1, 100))
            return rows
        metric = self.tasks[run.task_name].metric
        skill = random.Random(run.model_name).uniform(0.6, 0.9)
        chosen, best = {}, 0.0
        for trial in range(run.search.trials if run.searches else 1):
            rate = 10 ** drawn.uniform(-3, -1)
            tried = {"trial": trial, "learning_rate": rate}
            for number in range(1, self.evaluations + 1):
                for split in ("train", "validation"):
                    add(split=split, metric="loss", value=1 / number, step=number, **tried)
            told = {"metric": "steps", "value": float(self.evaluations), "reason": "all steps"}
            add(split="", **tried, **told)
            tried["settings"] = json.dumps({"learning_rate": rate})
            score = drawn.gauss(skill, 0.03)
            if run.searches:
                add(split="validation", metric="trial_score", value=score, **tried)
            if score > best:
                chosen, best = tried, score
        add(split="", metric="best_step", value=float(self.evaluations), **chosen)
        for name in ("trivial", "linear"):
            add(split="test", metric=name, value=0.5)
        add(split="validation", metric=metric, value=best, **chosen)
        add(split="test", metric=metric, value=drawn.gauss(skill, 0.03), **chosen)
        return rows

    def _shared(self, run: Run) -> dict[str, Any]:
        return {
            **run.columns(self.tasks[run.task_name].digest),
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
        }
