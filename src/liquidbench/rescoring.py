"""Scores of finished fits computed again: metrics from stored predictions, shifts and worlds from stored networks.

Nothing is trained. Only shifts need the data and torch.
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liquidbench import kept, predictions, results, study_file
from liquidbench.engine.leases import Leases
from liquidbench.facts import Facts
from liquidbench.metrics import METRICS
from liquidbench.predictions import Predicted
from liquidbench.study import Robustness, Study
from liquidbench.system import storage

if TYPE_CHECKING:
    from liquidbench.tasks.task import Task


@dataclass
class Rescored:
    """What became of the fits of a study.

    Attributes:
        scored: number of fits that were scored again.
        shifted: number of them whose networks were tried on further shifts.
        without: number of fits without predictions, which are unchanged.
        damaged: number of fits whose predictions were damaged; they are pending again.
        undefined: runs by metric, task and reason, where a requested metric has no value.
    """

    scored: int = 0
    shifted: int = 0
    without: int = 0
    damaged: int = 0
    undefined: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)


def rescore(
    study: Study,
    facts: Mapping[str, Facts],
    directory: str | os.PathLike[str],
    driver: Leases,
    *,
    metrics: Mapping[str, Sequence[str]],
    robustness: Robustness,
    data: str | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> Rescored:
    """Score all finished fits of a study again, and write their rows.

    Args:
        study: the study.
        facts: of its tasks, by name.
        directory: its folder.
        driver: the only one at work in the folder.
        metrics: names of metrics to compute in addition to those of each task, by task.
        robustness: shifts on which to try the networks too, where they have not been tried yet.
        data: the folder of raw data files, see `liquidbench.tasks.load`; used for shifts alone.
        on_step: called with a description before each step that may take long.

    Raises:
        ValueError: if a fit left no network to try, or data are not those of the study.
    """
    found, tested = Rescored(), _Tested(study, facts, directory, data)
    writer = results.Writer(directory, driver.name)
    # Before reading, so that no copies are left, and damaged files are reported.
    writer.consolidate()
    frame = results.read(directory, study_file.run_ids(study, facts))
    fits = frame.filter((frame["kind"] == "fit") & (frame["status"] == "done"))
    for rows in (part.to_dicts() for part in fits.partition_by("run", maintain_order=True)):
        run, task = rows[0]["run"], rows[0]["task"]
        if not predictions.path(directory, run).is_file():
            found.without += 1
            continue
        try:
            predicted = predictions.read(directory, run)
            if robustness.levels:
                on_step(f"trying {rows[0]['model']} with seed {rows[0]['seed']} on {task} when the data shift")
                more = tested.under_shifts(rows[0], predicted, robustness)
                predicted |= more
                found.shifted += bool(more)
        except storage.DamagedFileError as error:
            aside = storage.set_aside(predictions.path(directory, run), Path(directory))
            warnings.warn(f"{error}; it is now {aside}", storage.KeptFileWarning, stacklevel=1)
            writer.remove(run)
            found.damaged += 1
            continue
        elsewhere = tested.elsewhere(rows, robustness)
        found.shifted += bool(elsewhere)
        wanted = [name for name in facts[task].metrics if name in METRICS]
        again = predictions.rescored([*rows, *elsewhere], predicted, dict.fromkeys([*wanted, *metrics[task]]))
        for row in again:
            if row["metric"] in metrics[task] and row["value"] is None and row["step"] is None:
                found.undefined.setdefault((row["metric"], task, row["reason"] or ""), set()).add(run)
        writer.add(run, results.pack(again))
        found.scored += 1
    writer.consolidate()
    return found


class _Tested:
    """Tries the networks of a study on its test data, which are loaded when they are needed."""

    def __init__(self, study: Study, facts: Mapping[str, Facts], directory: str | os.PathLike[str], data: str | None):
        self._study, self._facts, self._directory, self._data = study, facts, Path(directory), data
        self._loaded: dict[str, Task] = {}
        self._folds: dict[tuple[str, int], Task] = {}

    def under_shifts(
        self, fit: Mapping[str, Any], stored: Mapping[str, Predicted], robustness: Robustness
    ) -> dict[str, Predicted]:
        """Predictions of a fit's network under shifts for which none are stored; they are added to its file."""
        # Imports torch.
        from liquidbench.training.fit import tried_again

        network, task = self._network(fit), self._task(fit["task"], fit["fold"])
        found = tried_again(network, stored, task, robustness, fit["seed"])
        if found:
            predictions.add(self._directory, fit["run"], found)
        return found

    def elsewhere(self, rows: Sequence[Mapping[str, Any]], robustness: Robustness) -> list[dict[str, Any]]:
        """Rows of what a fit's network does in worlds in which it has not acted; none if its task has no such world."""
        fit, worlds = rows[0], self._facts[rows[0]["task"]].worlds
        asked = {name: levels for name, levels in robustness.levels.items() if name in worlds}
        if not asked:
            return []
        from liquidbench.training.fit import tried_elsewhere

        known = {(row["corruption"], row["level"]) for row in rows}
        measured = {measure.name for measure in self._facts[fit["task"]].measurements}
        pattern = next(row for row in rows if row["metric"] in measured and row["split"] == "test")
        task, further = self._task(fit["task"], fit["fold"]), Robustness.parse(asked)
        found = []
        for policy, world, level, values in tried_elsewhere(self._network(fit), known, task, further, fit["seed"]):
            for name, (value, reason) in values.items():
                metric = results.policy_metric(policy, name) if policy else name
                place = {"corruption": world, "level": level}
                # As in the fit, a policy's row does not name a trial.
                trial = {"trial": None, "learning_rate": None, "settings": None} if policy else {}
                found.append({**pattern, **trial, **place, "metric": metric, "value": value, "reason": reason})
        return found

    def _network(self, fit: Mapping[str, Any]) -> kept.Kept:
        try:
            return kept.of_run(self._directory, fit["run"])
        except FileNotFoundError as error:
            raise ValueError(f"shifts need the networks of all fits: {error}") from error

    def _task(self, name: str, fold: int) -> "Task":
        # With its splits, which are built once.
        if (name, fold) not in self._folds:
            if name not in self._loaded:
                self._loaded[name] = study_file.load_task(self._study, self._facts, name, self._data)
            self._folds[name, fold] = self._loaded[name].with_fold(fold)
        return self._folds[name, fold]
