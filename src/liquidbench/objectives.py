"""The registry of objectives of training: names, what is searched for, and which tasks each applies to.

Here is what studies, results and reports need, without torch. `liquidrnn.objectives` computes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Part(Protocol):
    """What decides of a split: a `liquidbench.tasks.task.Split`."""

    @property
    def environments(self) -> "NDArray[np.int64] | None":
        """(sequence,) or (sequence, time); None where the task has none."""
        ...

    @property
    def recordings(self) -> Sequence[str]:
        """The recording of each sequence."""
        ...

    @property
    def mask(self) -> "NDArray[np.bool_]":
        """(sequence, time, feature), True where observed."""
        ...

    @property
    def target_mask(self) -> "NDArray[np.bool_]":
        """True where a prediction is scored."""
        ...


class Described(Protocol):
    """What decides of a task: a `liquidbench.tasks.task.Task`."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def shortest_first(self) -> bool:
        """Whether training begins with short sequences."""
        ...

    def split(self, name: str) -> Any:
        """One of its splits, a `Part`."""
        ...


@dataclass(frozen=True)
class Objective:
    """An objective that a study can train with.

    Attributes:
        name: what a study calls it.
        title: what people call it.
        strength: what the number after its name means, "" where there is none.
        searched: least and greatest strength that a search draws, log-uniformly.
        environments: how many a batch must have; 0 if they do not matter.
        mixes: whether sequences are mixed, so that all must be observed at the same steps.
    """

    name: str
    title: str
    strength: str = ""
    searched: tuple[float, float] | None = None
    environments: int = 0
    mixes: bool = False


_PENALTY = "weight of the penalty"
_BETA = "parameter of the beta distribution"

OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("erm", "ERM"),
        Objective("irm", "IRM", _PENALTY, (0.1, 1e4), 1),
        Objective("vrex", "V-REx", _PENALTY, (0.1, 1e4), 2),
        Objective("group_dro", "GroupDRO", "step size of the weights", (1e-3, 0.1), 1),
        Objective("coral", "CORAL", _PENALTY, (0.1, 100.0), 2),
        Objective("state_moments", "Moments of states", _PENALTY, (0.1, 100.0), 2),
        Objective("mixup", "Mixup", _BETA, (0.1, 1.0), 0, mixes=True),
        Objective("mixup_within", "Mixup within environments", _BETA, (0.1, 1.0), 1, mixes=True),
        Objective("mixup_between", "Mixup between environments", _BETA, (0.1, 1.0), 2, mixes=True),
    )
}
"""The objectives by name; the first, the mean loss over targets, is the default."""

DEFAULT = "erm"


def parse(text: object) -> tuple[Objective, float | None]:
    """An objective and its strength, from ``name`` or ``name=strength``; None for a strength that is searched for.

    Raises:
        ValueError: for an unknown name, or a strength that is none.

    Example:
        >>> parse("vrex=10")[1], parse("vrex")[1], parse("erm")[0].title
        (10.0, None, 'ERM')
    """
    name, given, number = str(text).partition("=")
    if not isinstance(text, str) or name not in OBJECTIVES:
        raise ValueError(
            f"training.objective must be one of {', '.join(OBJECTIVES)}, perhaps with a number, such as vrex=10, or a "
            f"list of these; got {text!r}"
        )
    objective = OBJECTIVES[name]
    if not given:
        return objective, None
    if not objective.strength:
        raise ValueError(f"training.objective: {name} has no strength; got {text!r}: leave out {given + number!r}")
    try:
        strength = float(number)
    except ValueError:
        strength = float("nan")
    if not 0 < strength < float("inf"):
        raise ValueError(
            f"training.objective: the {objective.strength} must be a positive finite number; got {text!r}, where "
            f"{name}=10 is one"
        )
    return objective, strength


def check(text: str, task: Described, batch_size: int) -> None:
    """Refuse an objective that cannot take effect on a task.

    Args:
        text: see `parse`.
        task: the task, of which the training split is built.
        batch_size: sequences a step.

    Raises:
        ValueError: with what is missing.
    """
    # Studies are parsed without NumPy.
    import numpy as np

    objective, _ = parse(text)
    if text == DEFAULT:
        return

    def refuse(why: str) -> None:
        raise ValueError(f"training.objective must suit the task: {objective.name} on {task.name!r} {why}")

    train: Part = task.split("train")
    if objective.mixes and not train.mask.all():
        refuse("mixes sequences, which must be observed at the same steps; here lengths or observed values differ")
    if not objective.environments:
        return
    if task.shortest_first:
        refuse("draws batches from all environments, and training on this task begins with short sequences")
    if train.environments is None:
        refuse(
            "needs environments, and its recordings have none: set environment of each liquidbench.tasks.task.Recording"
        )
        return
    numbers = np.unique(train.environments)
    if len(numbers) < objective.environments:
        refuse(f"needs at least {objective.environments} environments in training; it has {numbers.tolist()}")
    if train.environments.ndim > 1:
        found = [np.unique(own[known]) for own, known in zip(train.environments, train.target_mask, strict=True)]
        if min(map(len, found)) < objective.environments:
            refuse(f"needs at least {objective.environments} environments in each sequence, where steps have them")
        return
    if single := alone(train):
        refuse(f"needs at least 2 recordings of each environment; {single}")
    if objective.environments > 1 and batch_size < 4:
        refuse(f"needs batches of at least 2 sequences of 2 environments; training.batch_size is {batch_size}")


def alone(train: Part) -> str:
    """Which environment of sequences has a single recording, in words; "" if none has.

    Where a recording goes through several environments, as a series goes through seasons, its windows count.
    """
    assert train.environments is not None
    found: dict[int, list[str]] = {}
    for name, number in zip(train.recordings, train.environments.tolist(), strict=True):
        found.setdefault(number, []).append(name)
    passing = sum(len(set(names)) for names in found.values()) > len(set(train.recordings))
    for number, names in found.items():
        if len(names if passing else set(names)) < 2:
            return f"{number} has {f'one window of {names[0]}' if passing else names[0]} alone"
    return ""
