"""Loads tasks: the built-in ones by name, a user's own table, or a task that a user wrote.

Example:
    >>> from liquidbench import tasks
    >>> task = tasks.load("occupancy-excerpt")
    >>> task.split("train").values.shape[1:]
    (32, 5)
"""

import difflib
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from liquidbench import conditions
from liquidbench.tasks import (
    conditioned,
    dynamics,
    flight,
    gait,
    icu,
    invariance,
    mnist,
    mujoco_traces,
    person,
    quadrotor,
    series,
    synthetic,
    uci,
    uea,
)
from liquidbench.tasks.task import Task
from liquidbench.user_code import CodeError, UserCode, is_code

_LOADERS: dict[str, Callable[[str | os.PathLike[str] | None], Task]] = {
    "occupancy": uci.occupancy,
    "occupancy-excerpt": uci.occupancy_excerpt,
    "gesture": uci.gesture,
    "gesture-excerpt": uci.gesture_excerpt,
    "cheetah": mujoco_traces.cheetah,
    "cheetah-excerpt": mujoco_traces.cheetah_excerpt,
    "walker": mujoco_traces.walker,
    "halfcheetah-loop": gait.halfcheetah_loop,
    "walker2d-loop": gait.walker2d_loop,
    "physionet2012": icu.physionet2012,
    "physionet2012-official": icu.physionet2012_official,
    "physionet2012-raindrop": icu.physionet2012_raindrop,
    "physionet2012-seft": icu.physionet2012_seft,
    "physionet2012-excerpt": icu.physionet2012_excerpt,
    "etth1": series.etth1,
    "exchange": series.exchange,
    "traffic": series.traffic,
    "traffic-ltc": series.traffic_ltc,
    "power": series.power,
    "power-ltc": series.power_ltc,
    "ozone": series.ozone,
    "ozone-ltc": series.ozone_ltc,
    "person-partial": person.person_partial,
    "person-ltc": person.person_ltc,
    "quadrotor-velocity": quadrotor.velocity,
    "quadrotor-velocity-ood": quadrotor.velocity_ood,
    "quadrotor-displacement": quadrotor.displacement,
    "quadrotor-displacement-ood": quadrotor.displacement_ood,
    "mnist-rows": mnist.mnist_rows,
    "mnist-events": mnist.mnist_events,
    "japanese-vowels": uea.japanese_vowels,
    "basic-motions": uea.basic_motions,
    "articulary-words": uea.articulary_words,
    "scp1": uea.scp1,
    "scp1-papers": uea.scp1_papers,
    "scp2-partial": uea.scp2_partial,
    "ethanol-partial": uea.ethanol_partial,
    "parity-dense": synthetic.parity_dense,
    "parity-events": synthetic.parity_events,
    "parity-running": synthetic.parity_running,
    "spurious-fourier": invariance.spurious_fourier,
    "tcmnist-source": invariance.tcmnist_source,
    "tcmnist-step": invariance.tcmnist_step,
    "flight": flight.flight,
    "flight-velocity": flight.flight_velocity,
    "flight-lost": flight.flight_lost,
    "flight-sequence": flight.flight_sequence,
    "flight-hidden": flight.flight_hidden,
    "hidden-dynamics": dynamics.hidden_dynamics,
    "hidden-dynamics-uneven": dynamics.hidden_dynamics_uneven,
}

_AHEAD = re.compile(r"(.+)-([1-9]\d{0,5})-ahead")


def names() -> tuple[str, ...]:
    """Names of the tasks that `load` knows."""
    return tuple(_LOADERS)


def load(task: str | Mapping[str, Any] | UserCode, data: str | os.PathLike[str] | None = None) -> Task:
    """Load a task by name, a user's table, or a task that a user has written.

    Args:
        task: one of `names`, or a mapping ``{"table": path, "target": ..., ...}`` (see
            `liquidbench.tasks.table`), or ``package.module:name`` of a `Task` or of a function annotated as
            returning one (``-> Task``), which may have a parameter ``data``. A name with the suffix ``-N-ahead`` is the
            forecast of that task, N steps ahead (`liquidbench.tasks.task.Task.with_horizon`); one with the suffix
            ``@CONDITION`` is that task under a condition (`liquidbench.tasks.conditioned`).
        data: the folder of raw data files; None for the environment variable ``LIQUIDBENCH_DATA``, then the user's
            cache, then a download from the source (see `liquidbench.tasks.files`). Excerpts come with the package and
            generated tasks need no files.

    Returns:
        The task; its splits are built on first use.

    Raises:
        ValueError: for an unknown name, a condition that cannot change anything on the task, or raw files with
            unexpected content.
        CodeError: if a user's task is missing, is not a task, or has changed since the study was planned.
        FileNotFoundError: if the given folder lacks the files.
        OSError: if a download fails.
    """
    if isinstance(task, Mapping):
        # Imports polars, which no other task needs.
        from liquidbench.tasks import table

        return table.load(task, data)
    if isinstance(task, str) and is_code(task):
        task = UserCode(task)
    if isinstance(task, UserCode):
        return _yours(task, data)
    base, at, condition = str(task).rpartition("@")
    if at:
        # An unknown condition is refused before data are read.
        conditions.find(condition)
        return conditioned.conditioned(load(base, data), condition)
    if ahead := _AHEAD.fullmatch(str(task)):
        return load(ahead[1], data).with_horizon(int(ahead[2]))
    if task not in _LOADERS:
        near = difflib.get_close_matches(str(task).lower(), _LOADERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"task must be one of {', '.join(_LOADERS)}, a mapping with a table, or "
            f"package.module:name of your own; got {task!r}{hint}"
        )
    return _LOADERS[task](data)


def _yours(task: UserCode, data: str | os.PathLike[str] | None) -> Task:
    if task.name in _LOADERS:
        raise CodeError(
            f"{task.code} has the name of a built-in task, {task.name!r}; give it another name: "
            f"{{code: {task.code}, name: ANOTHER}}"
        )
    found = task.load()
    if not isinstance(found, Task):
        # A study may come from an untrusted source: only functions that are annotated as task loaders are called.
        said = getattr(found, "__annotations__", {}).get("return") if inspect.isfunction(found) else None
        if said is not Task and str(said).strip("'\"").rpartition(".")[2] != "Task":
            raise CodeError(
                f"{task.code} must be a liquidbench.tasks.task.Task, or a function annotated as returning one "
                f"(-> Task); it is of type {type(found).__name__}"
            )
        try:
            made = found(**({"data": data} if "data" in inspect.signature(found).parameters else {}))
        # A user's code may raise anything.
        except Exception as error:
            raise CodeError(f"{task.code} fails: {type(error).__name__}: {error}") from error
        if not isinstance(made, Task):
            raise CodeError(
                f"{task.code} must return a liquidbench.tasks.task.Task; it returned a {type(made).__name__}"
            )
        found = made
    return replace(found, name=task.name)
