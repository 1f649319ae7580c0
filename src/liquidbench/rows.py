"""Builds the rows of results of a run."""

import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import liquidbench
from liquidbench import matching
from liquidbench.metrics import Metric, score
from liquidbench.networks import SequenceModel
from liquidbench.results import policy_metric
from liquidbench.search import Trial
from liquidbench.study import Run

Row = dict[str, Any]


def failure(run: Run, data_digest: str, reason: str) -> list[Row]:
    """The rows of a run that failed outside of `fit` and `measure_cost`: with an exception, or with its process.

    Args:
        run: the run.
        data_digest: the digest of its task's data.
        reason: why it failed, in one sentence.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.
    """
    return Rows(run, data_digest).failed(reason)


def scored_or_why(metric: Metric, predicted: tuple[Tensor, Tensor]) -> tuple[float | None, str | None]:
    """A score, or None and the reason why it is undefined."""
    targets, predictions = predicted
    try:
        return score(metric, targets.numpy(), predictions.numpy()), None
    except ValueError as error:
        return None, str(error)


class Rows:
    """Collects the rows of one run and adds the columns that all of them share."""

    def __init__(self, run: Run, data_digest: str):
        self.rows: list[Row] = []
        self.hidden_size: int | None = None
        self.parameters: int | None = None
        self.backend: str | None = None
        self.instruction_set: str | None = None
        self._started = time.monotonic()
        self._shared = {
            **run.columns(data_digest),
            "version": liquidbench.__version__,
            "commit": _commit(),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "machine": _machine(run.device),
            "threads": torch.get_num_threads(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def add(self, metric: str, value: float | None, **columns: Any) -> None:
        """Add a row with one value; columns that are left out get their neutral value."""
        neutral = {"split": "", "corruption": "", "level": 0.0, "step": None, "trial": None, "reason": None}
        neutral |= {"learning_rate": None, "settings": None}
        self.rows.append({**neutral, "metric": metric, "value": value, **columns})

    def configured(self, model: SequenceModel, hidden_size: int) -> None:
        """Set the network that rows describe unless they name another."""
        self.parameters, self.hidden_size = matching.count_parameters(model), hidden_size
        self.backend, self.instruction_set = model.backend, model.instruction_set

    def add_trial(self, trial: Trial, of_search: bool = True, of_training: bool = True) -> None:
        """Add a trial: its losses by step and how it ended; and, if it belongs to a search, its score there."""
        record, settings = trial.record, trial.settings
        shared = {name: record[name] for name in ("hidden_size", "parameters")}
        shared |= {"trial": trial.number, "learning_rate": settings.learning_rate}
        if of_training:
            for step, train_loss, validation_loss in record["curve"]:
                self.add("loss", train_loss, split="train", step=step, **shared)
                self.add("loss", validation_loss, split="validation", step=step, **shared)
            if record["failure"] is None:
                self.add("steps", record["steps"], **shared, reason=record["ended"])
            else:
                self.add("loss", None, split="train", step=record["steps"] + 1, **shared, reason=record["failure"])
        if of_search:
            self.add("trial_score", trial.score, split="validation", **shared, settings=settings.to_json())

    def add_scores(self, metrics: Iterable[Metric], predicted: tuple[Tensor, Tensor], **columns: Any) -> dict[str, str]:
        """Add scores. A metric that is undefined on these data gets the reason instead; reasons are also returned."""
        return self.add_measured({metric.name: scored_or_why(metric, predicted) for metric in metrics}, **columns)

    def add_measured(
        self, found: Mapping[str, tuple[float | None, str | None]], of: str = "", **columns: Any
    ) -> dict[str, str]:
        """Add values, or the reasons why they are missing, of a policy if ``of`` names one; return the reasons."""
        for name, (value, reason) in found.items():
            self.add(policy_metric(of, name) if of else name, value, **columns, reason=reason)
        return {name: reason for name, (_, reason) in found.items() if reason is not None}

    def done(self) -> list[Row]:
        """All rows of a run that completed."""
        return self._finished("done")

    def failed(self, reason: str) -> list[Row]:
        """All rows of a run that failed, and one with the reason."""
        self.add("", None)
        for row in self.rows:
            row["reason"] = row["reason"] or reason
        return self._finished("failed")

    def _finished(self, status: str) -> list[Row]:
        shared = self._shared | {
            "status": status,
            "parameters": self.parameters,
            "hidden_size": self.hidden_size,
            "backend": self.backend,
            "instruction_set": self.instruction_set,
            "seconds": time.monotonic() - self._started,
        }
        return [shared | row for row in self.rows]


@cache
def _commit() -> str:
    """The commit of the checkout that contains this module, "" if it is not in one."""
    folder = Path(__file__).resolve().parent
    root = folder.parent.parent
    # An installed package may be inside another project's repository.
    if not (root / ".git").exists() or folder.parent.name != "src":
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def _machine(device: str) -> str:
    """Processor, operating system, and the GPU if that is what computes, without the machine's name."""
    processor = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    gpu = f", {torch.cuda.get_device_name()}" if device != "cpu" and torch.cuda.is_available() else ""
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}{gpu}"
