"""What a study asks for, and what of it is there already."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import liquidbench
from liquidbench import results
from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder
from liquidbench.own import Own
from liquidbench.study import Run, Study, task_name
from liquidbench.system import storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning

if TYPE_CHECKING:
    from liquidbench.tasks.task import Task


@dataclass(frozen=True)
class Plan:
    """What a study asks for, and what of it is there already.

    Attributes:
        study: the study.
        directory: its folder of results.
        data: the folder of raw files, None for the usual places (see `liquidbench.tasks.files`).
        tasks: each task's facts by name, as in ``tasks.json``: its digest and main metric among them.
        ids: each run's name in the results, in the study's order.
        status: of each run of the study with results: ``"done"`` or ``"failed"``.
        pending: runs to do, fits first and the seeds in turn, so that a study cut short has compared all models
            on the same seeds; costs last.
    """

    study: Study
    directory: Path
    data: str | None
    tasks: Mapping[str, Facts]
    ids: Mapping[Run, str] = field(default_factory=dict)
    status: Mapping[Run, str] = field(default_factory=dict)
    pending: tuple[Run, ...] = ()

    def id(self, run: Run) -> str:
        """The run's name in the results."""
        return self.ids[run]


def plan(
    study: Study,
    directory: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
    loaded: "Mapping[str, Task] | None" = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> Plan:
    """Find out what is to be done, and whether it can be.

    Tasks are loaded and checked, and the facts that the report needs about them are written. That builds the test
    splits, to count and to check them; it happens in this process, and the tasks built here are dropped. A worker
    that trains loads its own, and builds its test split when its model is chosen.

    A task that was checked for the same study before is not loaded again: workers refuse data that are not those of
    its facts. A user's table is, when its file has changed.

    Args:
        study: what to do.
        directory: the study's folder of results; it is made where it does not exist.
        data: the folder of raw files, None for the usual places.
        retry_failed: run again what failed before.
        loaded: tasks by name that need not be loaded again.
        on_step: told what is going on, before each thing that may last.

    Returns:
        The plan, for `execute`.

    Raises:
        ValueError: for an unknown task, data that break a promise, more outer splits than a task has, a model with
            no size within the budget, or runs of a study that counts epochs.
        FileNotFoundError: where the data are not there.
    """
    facts = _facts(study, directory, data, loaded or {}, on_step)
    on_step(f"looking for results in {directory}")
    runs = study.runs()
    ids = {run: run.id(facts[run.task_name].digest) for run in runs}
    there = results.done(directory)
    status = {run: there[name] for run, name in ids.items() if name in there}
    to_do = (None, "failed") if retry_failed else (None,)
    pending = [run for run in runs if status.get(run) in to_do]
    pending.sort(key=study.turn)
    for run in pending:
        # Says what to do where the study counts epochs, before anything is done.
        run.steps  # noqa: B018
    return Plan(study, Path(directory), None if data is None else str(data), facts, ids, status, tuple(pending))


def _facts(
    study: Study,
    directory: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    loaded: "Mapping[str, Task]",
    on_step: Callable[[str], None],
) -> dict[str, Facts]:
    """Facts of the study's tasks, those that are known or else found out and written."""
    try:
        known = results.read_tasks(directory)
    except FileNotFoundError:
        known = {}
    except DamagedFileError as error:
        path = StudyFolder(directory).tasks
        warnings.warn(f"{error}. It is now {storage.set_aside(path)}, and is made anew", KeptFileWarning, stacklevel=3)
        known = {}
    facts: dict[str, Facts] = {}
    for entry in study.tasks:
        name = task_name(entry)
        checked = _checked(study, entry)
        if name in known and known[name].checked == checked:
            facts[name] = known[name]
            continue
        # Loads torch, which a study that is all known need not wait for.
        from liquidbench import matching, tasks
        from liquidbench.tasks.task import check

        on_step(f"loading {name}")
        task = loaded[name] if name in loaded else tasks.load(entry, data)
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
            check(task.with_fold(fold))
        facts[task.name] = replace(task.facts(), checked=checked)
    if facts != known:
        results.write_tasks(directory, facts)
    return facts


def _checked(study: Study, task: str | Mapping[str, Any] | Own) -> str:
    """A mark of all that the check of a task depends on, except for the data of a known one."""
    asked = hashlib.sha256(f"{liquidbench.__version__} {replace(study, tasks=(task,)).to_yaml()}".encode())
    if isinstance(task, Mapping) and Path(task["table"]).is_file():
        asked.update(Path(task["table"]).read_bytes())
    return asked.hexdigest()[:16]
