"""What a driver and its workers tell each other of a run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from liquidbench.study import Run

if TYPE_CHECKING:
    from liquidbench.training.fit import TrialStage


@dataclass(frozen=True)
class Job:
    """A run given to a worker.

    Attributes:
        run: what to do.
        losses: why earlier attempts came to nothing, which had nothing to do with the run; the first attempt has none.
        journal: what is known of the search that it needs, for a worker that cannot look.
    """

    run: Run
    losses: tuple[str, ...] = ()
    journal: bytes | None = None


@dataclass(frozen=True)
class Started:
    """The worker has begun."""


@dataclass(frozen=True)
class Noted:
    """The worker has met with a damaged file, without harm to the run.

    Attributes:
        text: which, and what became of it.
    """

    text: str


@dataclass(frozen=True)
class Doing:
    """The worker is at something that is no step, and may last.

    Attributes:
        what: in words: what it loads, or whom it waits for.
    """

    what: str


@dataclass(frozen=True)
class Ended:
    """The worker has come to an end with a run.

    Attributes:
        rows: its results, as `liquidbench.results.pack` gives them.
        status: whether it came to something.
        score: of a fit that did, the score on test by the task's main metric.
        reason: why it did not.
        seconds: how long it took.
        predictions: of a fit, the content of their file, from a worker that could not put it into the study's folder.
        journal: the search that it made or was given, from such a worker.
    """

    rows: bytes
    status: Literal["done", "failed"]
    score: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    predictions: bytes | None = None
    journal: bytes | None = None


@dataclass(frozen=True)
class Lost:
    """The worker is gone, or cannot be reached any more.

    Attributes:
        reason: what is known of how.
    """

    reason: str


@dataclass(frozen=True)
class Stale:
    """The run cannot be done, as its data, or a user's code, are not those that the study was planned with.

    Attributes:
        reason: which ones.
    """

    reason: str


@dataclass(frozen=True)
class Unkept:
    """The run came to nothing as the worker could not write or read what it keeps, which is not the run's doing.

    Attributes:
        number: the system's, of the error.
        reason: its words for it.
        file: at which it happened, where that is known.
    """

    number: int
    reason: str
    file: str | None = None


Message: TypeAlias = "Started | Doing | TrialStage | Noted | Ended | Lost | Stale | Unkept"
"""What is told of a job: `Started`, what it does, stages, notes; at last one of the others, which may come at once."""
