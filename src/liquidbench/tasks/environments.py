"""Training without one environment, to see how well settings do in one that training has not seen."""

from collections.abc import Iterator

import numpy as np

from liquidbench import objectives
from liquidbench.tasks.task import Split, Task


def left_out(train: Split) -> Iterator[tuple[int, Split, Split]]:
    """Leave out each environment in turn.

    Windows may overlap: those that share a raw row with one that is left out are in neither part. Both parts are
    standardised as the whole split is.

    Args:
        train: a split with an environment of each sequence.

    Yields:
        The environment's number, the sequences of all others, and its own.

    Example:
        >>> task = tasks.load("physionet2012-excerpt")  # doctest: +SKIP
        >>> for unit, others, own in left_out(task.split("train")):  # doctest: +SKIP
        ...     print(unit, len(others), len(own))
    """
    assert train.environments is not None
    for number in np.unique(train.environments).tolist():
        own = train.environments == number
        rows = np.unique(train.rows[own])
        shared = np.isin(train.rows, rows[rows >= 0]).any(axis=1)
        yield number, train.only(~own & ~shared), train.only(own)


def check(task: Task, objective: str) -> None:
    """Refuse to leave out environments that a task does not have.

    Args:
        task: the task, of which the training split is built.
        objective: what is minimised, see `liquidbench.objectives.parse`.

    Raises:
        ValueError: with what is missing.
    """

    def refuse(why: str) -> None:
        raise ValueError(
            f"search.selection must suit the task: environments on {task.name!r} {why}; or select by validation"
        )

    train = task.split("train")
    if train.environments is None:
        refuse("needs environments, and its recordings have none: set environment of each Recording")
        return
    if train.environments.ndim > 1:
        refuse("needs an environment of each sequence, to leave it out; here each step has its own")
    numbers, (named, _) = np.unique(train.environments).tolist(), objectives.parse(objective)
    if len(numbers) < 2:
        refuse(f"needs at least 2 environments in training, of which one is left out; it has {numbers}")
    if len(numbers) <= named.environments:
        refuse(
            f"and objective {named.name} need at least {named.environments + 1} environments in training, of which one "
            f"is left out; it has {numbers}"
        )
    if single := objectives.alone(train):
        refuse(f"needs at least 2 recordings of each environment; {single}")
    for number, others, own in left_out(train):
        for part, sequences in (("the others", others), (f"environment {number}", own)):
            if not sequences.target_mask.any():
                refuse(f"needs targets in {part} when {number} is left out; there are none")
