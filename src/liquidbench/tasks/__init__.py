"""The tasks that studies can name, and the way to a user's own table.

Example:
    >>> from liquidbench import tasks
    >>> task = tasks.load("occupancy-excerpt")
    >>> task.split("train").values.shape[1:]
    (32, 5)
"""

import difflib
import os
from collections.abc import Callable, Mapping
from typing import Any

from liquidbench.tasks import icu, mujoco_traces, synthetic, uci
from liquidbench.tasks.task import Task

_LOADERS: dict[str, Callable[[str | os.PathLike[str] | None], Task]] = {
    "occupancy": uci.occupancy,
    "occupancy-excerpt": uci.occupancy_excerpt,
    "gesture": uci.gesture,
    "gesture-excerpt": uci.gesture_excerpt,
    "cheetah": mujoco_traces.cheetah,
    "cheetah-excerpt": mujoco_traces.cheetah_excerpt,
    "walker": mujoco_traces.walker,
    "physionet2012": icu.physionet2012,
    "physionet2012-excerpt": icu.physionet2012_excerpt,
    "parity-dense": synthetic.parity_dense,
    "parity-events": synthetic.parity_events,
}


def names() -> tuple[str, ...]:
    """Names of the tasks that `load` knows."""
    return tuple(_LOADERS)


def load(task: str | Mapping[str, Any], data: str | os.PathLike[str] | None = None) -> Task:
    """Load a task by name, or a user's table.

    Args:
        task: one of `names`, or a mapping ``{"table": path, "target": ..., ...}`` (see
            `liquidbench.tasks.table`).
        data: the folder in which raw files lie; None looks at the environment variable ``LIQUIDBENCH_DATA``,
            then in the user's cache, then at the source (see `liquidbench.tasks.files`). Excerpts come with
            the package and generated tasks need no files, so a study that mixes tasks can use one folder for
            all.

    Returns:
        The task; its splits are built when asked for.

    Raises:
        ValueError: for an unknown name, or raw files with other content than expected.
        FileNotFoundError: where the given folder lacks the files.
        OSError: where the files would have to be downloaded and could not be.
    """
    if isinstance(task, Mapping):
        # Imported here because it brings in polars, which no other task needs.
        from liquidbench.tasks import table

        return table.load(task, data)
    if task not in _LOADERS:
        near = difflib.get_close_matches(str(task).lower(), _LOADERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"task must be one of {', '.join(_LOADERS)}, or a mapping with a table; got {task!r}{hint}")
    return _LOADERS[task](data)
