"""Finds out which runs of a study are pending."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import liquidbench
from liquidbench import objectives, results, study_file
from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder
from liquidbench.study import Run, Study, task_name
from liquidbench.system import resources, storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning
from liquidbench.user_code import UserCode

if TYPE_CHECKING:
    from liquidbench.tasks.task import Task


_FAULTS = (*resources.LACKING, DamagedFileError)
"""Errors for which a task is left out: they say nothing against the study."""


@dataclass(frozen=True)
class Plan:
    """The runs of a study, and which of them are pending.

    Attributes:
        study: the study.
        directory: its folder of results.
        data: the folder of raw data files, None for the default locations (see `liquidbench.tasks.files`).
        tasks: each task's facts by name, as stored in ``tasks.json``, such as its digest and main metric.
        ids: each run's id in the results, in the study's order.
        status: ``"done"`` or ``"failed"``, of each run that has results.
        pending: the runs to do: fits, seed by seed, so that a study cut short has compared all models on the same
            seeds; then cost measurements.
        unavailable: tasks that cannot be built on this machine, with the reason. Their runs are left out of this plan;
            once the reason is gone, another plan has them.
    """

    study: Study
    directory: Path
    data: str | None
    tasks: Mapping[str, Facts]
    ids: Mapping[Run, str] = field(default_factory=dict)
    status: Mapping[Run, str] = field(default_factory=dict)
    pending: tuple[Run, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)

    def id(self, run: Run) -> str:
        """The run's id in the results."""
        return self.ids[run]


def plan(
    study: Study,
    directory: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
    loaded: "Mapping[str, Task] | None" = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> Plan:
    """Find out which runs are pending, after checking that they can be done.

    Tasks are loaded and checked, and their facts, which the report needs, are written to ``tasks.json``. Checking
    builds the test splits, but only in this process, which then drops the tasks. A worker that trains loads its own and
    builds its test split after its model has been chosen.

    A task that this machine lacks something for, such as its data, a package, memory or a renderer, is left out of the
    plan as long as another task can be built.

    A task that was checked for the same study before is not loaded again: workers refuse data whose digest differs from
    the one in its facts. A user's table is loaded again when its file has changed.

    Args:
        study: the study.
        directory: the study's folder of results; it is created if it does not exist.
        data: the folder of raw data files, None for the default locations.
        retry_failed: make failed runs pending again.
        loaded: tasks by name that are loaded already.
        on_step: called with a description before each step that may take long.

    Returns:
        The plan, for `execute`.

    Raises:
        ValueError: for an unknown task, data that fail a check, more outer splits than a task has, an objective or a
            rule of selection that cannot take effect on a task, a model with no size within the parameter budget, or
            runs of a study that counts epochs or that another version began; and if none of several tasks can be
            built.
        OSError, DamagedFileError, MemoryError, ModuleNotFoundError, ResourceError: if the only task cannot be built, as
            where its data are missing.
    """
    study_file.check_named_version(study, directory)
    facts, unavailable = _facts(study, directory, data, loaded or {}, on_step)
    on_step(f"looking for results in {directory}")
    runs = [run for run in study.runs() if run.task_name in facts]
    ids = {run: run.id(facts[run.task_name].digest) for run in runs}
    there = results.done(directory)
    status = {run: there[name] for run, name in ids.items() if name in there}
    to_do = (None, "failed") if retry_failed else (None,)
    pending = [run for run in runs if status.get(run) in to_do]
    pending.sort(key=study.turn)
    if pending:
        study_file.check_version(study, directory)
    for run in pending:
        # Says what to do where the study counts epochs, before anything is done.
        run.steps  # noqa: B018
    folder = None if data is None else str(data)
    return Plan(study, Path(directory), folder, facts, ids, status, tuple(pending), unavailable)


def _facts(
    study: Study,
    directory: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    loaded: "Mapping[str, Task]",
    on_step: Callable[[str], None],
) -> tuple[dict[str, Facts], dict[str, str]]:
    """Facts of the study's tasks, read if known, otherwise determined and written; and why tasks cannot be built."""
    try:
        known = results.read_tasks(directory)
    except FileNotFoundError:
        known = {}
    except DamagedFileError as error:
        path = StudyFolder(directory).tasks
        warnings.warn(
            f"{error}. It was moved to {storage.set_aside(path)} and is created again", KeptFileWarning, stacklevel=3
        )
        known = {}
    facts: dict[str, Facts] = {}
    kept: dict[str, Facts] = {}
    unavailable: dict[str, str] = {}
    for entry in study.tasks:
        name = task_name(entry)
        checked = _checked(study, entry)
        if name in known and known[name].checked == checked:
            facts[name] = kept[name] = known[name]
            continue
        try:
            made = _determined(study, entry, data, loaded.get(name), on_step)
        except _FAULTS as problem:
            # Where a table of the user's own cannot be read, the study names a wrong one.
            if isinstance(entry, Mapping) or len(study.tasks) == 1:
                raise
            unavailable[name] = resources.reason(problem)
            if name in known:
                # Reports need them for the results that an earlier check has led to.
                kept[name] = known[name]
            continue
        facts[name] = kept[name] = replace(made, checked=checked)
    if not facts:
        each = "; ".join(f"{name}: {reason}" for name, reason in unavailable.items())
        raise ValueError(f"none of the study's tasks can be built here. {each}")
    if kept != known:
        results.write_tasks(directory, kept)
    return facts, unavailable


def _determined(
    study: Study,
    entry: str | Mapping[str, Any] | UserCode,
    data: str | os.PathLike[str] | None,
    task: "Task | None",
    on_step: Callable[[str], None],
) -> Facts:
    """Facts of a task, after checking that the study can be run on it; None for a task that is to be loaded."""
    # Imports torch, which takes seconds; not needed if all tasks are known.
    from liquidbench import matching, tasks
    from liquidbench.tasks import environments
    from liquidbench.tasks.task import check
    from liquidbench.training import encoding

    name = task_name(entry)
    on_step(f"loading {name}")
    task = task or tasks.load(entry, data)
    encoding.check(study.training, task)
    on_step(f"finding the sizes of the networks for {name}")
    for model, equal in product(study.models, study.matching):
        matching.size_for_budget(model, task, study.parameters, study.seeds[0], equal)
    if study.splits > task.folds:
        raise ValueError(
            f"splits must be at most {task.folds} with task {task.name!r}; got {study.splits}. Its rule: "
            f"{task.fold_rule}"
        )
    on_step(f"building and checking the parts of {name}")
    for fold in range(study.splits):
        check(dealt := task.with_fold(fold))
        for objective in study.training.objectives:
            objectives.check(objective, dealt, study.training.batch_size)
            if study.search.selection == "environments":
                environments.check(dealt, objective)
    return task.facts()


def _checked(study: Study, task: str | Mapping[str, Any] | UserCode) -> str:
    """A hash of everything that the check of a task depends on, except for the data of a built-in task."""
    asked = hashlib.sha256(f"{liquidbench.__version__} {replace(study, tasks=(task,)).to_yaml()}".encode())
    if isinstance(task, Mapping) and Path(task["table"]).is_file():
        asked.update(Path(task["table"]).read_bytes())
    return asked.hexdigest()[:16]
