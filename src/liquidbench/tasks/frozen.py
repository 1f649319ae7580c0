"""A task without its data, as numbers and text: what a trained network has to know about its inputs and outputs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NoReturn

import numpy as np

from liquidbench.tasks.task import Feature, Scaler, Source, Task

_KEPT = (
    *("name", "title", "description", "kind", "per", "outputs", "target_unit", "time_unit", "data_digest", "classes"),
    *("window", "context", "irregular", "time_ahead", "missing", "split_rule", "baseline"),
)


def freeze(task: Task) -> dict[str, Any]:
    """Describe a task; JSON can represent the result.

    Args:
        task: the task. Its training data are read for the scalers if they have not been.

    Returns:
        What `thaw` needs: names, units, classes, the window, how new rows are read, and the scalers.
    """
    inputs, targets = task.input_scaler, task.target_scaler
    return {
        **{name: getattr(task, name) for name in _KEPT},
        "classes": None if task.classes is None else list(task.classes),
        "features": [asdict(feature) for feature in task.features],
        "carried": list(task.carried),
        "source": asdict(task.source),
        "table": task.table,
        "image": task.image,
        "timespan_unit": task.timespan_unit,
        "input_scaler": _as_lists(inputs),
        "target_scaler": None if targets is None else _as_lists(targets),
    }


def thaw(description: Mapping[str, Any]) -> Task:
    """Make a task of a description. It has the scalers of the original, and no data.

    Args:
        description: what `freeze` returned.

    Raises:
        KeyError, TypeError, ValueError: if it is something else.
    """
    classes = description["classes"]

    def no_data(split: str) -> NoReturn:
        raise ValueError(f"task {description['name']!r} was stored with a network, without its data")

    classification = description["kind"] == "classification"
    task = Task(
        **{name: description[name] for name in _KEPT if name != "classes"},
        classes=None if classes is None else tuple(classes),
        features=tuple(Feature(**feature) for feature in description["features"]),
        carried=tuple(description["carried"]),
        # A network of a version without images has none.
        image=tuple(description["image"]) if description.get("image") else None,
        linear=False,
        source=Source(**description["source"]),
        table=description["table"],
        metric="cross_entropy" if classification else "mse",
        metrics=("cross_entropy",) if classification else ("mse",),
        recordings=no_data,
    )
    targets = description["target_scaler"]
    task.fix_scalers(
        _as_scaler(description["input_scaler"]),
        None if targets is None else _as_scaler(targets),
        float(description["timespan_unit"]),
    )
    return task


def _as_lists(scaler: Scaler) -> dict[str, Any]:
    columns = {name: column for name, column in vars(scaler).items() if name != "usual_ahead"}
    lists = {name: None if column is None else _numbers(column) for name, column in columns.items()}
    return {**lists, "usual_ahead": scaler.usual_ahead}


def _numbers(column: Any) -> list[float | None]:
    # JSON has no infinity: None where a column is not clipped.
    return [value if np.isfinite(value) else None for value in column.tolist()]


def _as_scaler(lists: Mapping[str, Any]) -> Scaler:
    low, high, usual = lists["low"], lists["high"], lists["usual_ahead"]
    return Scaler(
        np.array(lists["mean"], dtype=np.float64),
        np.array(lists["deviation"], dtype=np.float64),
        None if low is None else np.array([-np.inf if value is None else value for value in low]),
        None if high is None else np.array([np.inf if value is None else value for value in high]),
        None if usual is None else float(usual),
    )
