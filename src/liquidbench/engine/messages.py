"""The messages between a driver and its workers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from liquidbench.study import Run

if TYPE_CHECKING:
    from liquidbench.training.fit import TrialProgress


@dataclass(frozen=True)
class Job:
    """A run for a worker to do.

    Attributes:
        run: what to do.
        losses: why earlier attempts were lost, in order; empty on the first attempt. An attempt is
            lost when its worker or driver dies, which is no failure of the run.
        journal: content of the search journal that the run needs, for a worker without access to the study's folder.
    """

    run: Run
    losses: tuple[str, ...] = ()
    journal: bytes | None = None


@dataclass(frozen=True)
class Started:
    """The worker has started the run."""


@dataclass(frozen=True)
class Warned:
    """The worker found a damaged file; the run goes on.

    Attributes:
        text: the warning: which file, and what was done about it.
    """

    text: str


@dataclass(frozen=True)
class Status:
    """What the worker is doing when that is not a step and may take long.

    Attributes:
        text: what it loads, or what it waits for.
    """

    text: str


@dataclass(frozen=True)
class Ended:
    """The run has completed or failed; either is its result.

    Attributes:
        rows: its results, as `liquidbench.results.pack` returns them.
        status: whether it completed.
        score: of a fit that completed, the test score by the task's main metric.
        reason: of a run that failed, why.
        seconds: how long it took.
        predictions: of a fit, the content of its predictions file, from a worker without access to the study's folder.
        journal: content of the search journal, from such a worker.
    """

    rows: bytes
    status: Literal["done", "failed"]
    score: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    predictions: bytes | None = None
    journal: bytes | None = None


@dataclass(frozen=True)
class WorkerLost:
    """The worker died or cannot be reached any more.

    Attributes:
        reason: what is known about the cause.
    """

    reason: str


@dataclass(frozen=True)
class InputsChanged:
    """The run cannot be done: the data or a user's code differ from those that the study was planned with.

    Attributes:
        reason: which of them differ.
    """

    reason: str


@dataclass(frozen=True)
class StorageFailed:
    """The worker could not read or write its files, for a reason outside the run such as a full disk.

    Attributes:
        number: the error's ``errno``.
        reason: the system's message.
        file: the file concerned, where it is known.
    """

    number: int
    reason: str
    file: str | None = None


Message: TypeAlias = "Started | Status | TrialProgress | Warned | Ended | WorkerLost | InputsChanged | StorageFailed"
"""A worker's message about a job: `Started`, statuses, stages and warnings; then one of the others, which is the last.

The last one may also come first, without `Started`."""
