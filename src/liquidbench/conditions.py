"""The registry of conditions: what a task tells its models about elapsed time, in training, validation and test alike.

A shift (`liquidbench.shifts`) changes test data alone, so that it shows what a trained network loses. Under a condition
networks are trained anew, so that it shows what a network can do without knowing the time. A conditioned task is a task
of its own, ``task@condition``. Here are names and words, without NumPy; `liquidbench.tasks.conditioned` computes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from liquidbench.wording import percent

DROPPED = 0.5
"""Share of each sequence's samples that the conditions of dropped samples drop."""


@dataclass(frozen=True)
class Condition:
    """One way to tell models about elapsed time.

    Attributes:
        name: what stands behind the "@" in the name of a task.
        title: what stands behind a task's title in reports.
        words: what is done, in a sentence.
        drops: whether samples are dropped.
        version: number of its definition. A transform that changes gets the next number, which is part of `key` from 2
            on and so of the digest of conditioned data: runs under two definitions are never taken for one.
    """

    name: str
    title: str
    words: str
    drops: bool = False
    version: int = 1

    @property
    def key(self) -> str:
        """Its name with its version where that is not 1.

        Example:
            >>> CONDITIONS["shuffled"].key, Condition("shuffled", "", "", version=2).key
            ('shuffled', 'shuffled@2')
        """
        return self.name if self.version == 1 else f"{self.name}@{self.version}"


_HALF = f"{percent(DROPPED)} of the observed steps of each sequence are dropped at random"

CONDITIONS: Mapping[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("constant", "constant spans", "Models are told that every time span is 1, the median in training."),
        Condition(
            "shuffled",
            "shuffled spans",
            "Models are told the time spans of each sequence in a random order; values keep theirs.",
        ),
        Condition(
            "dropped-untold",
            "samples dropped, time untold",
            f"{_HALF}, and models are not told when: every time span is 1.",
            drops=True,
        ),
        Condition(
            "dropped-span",
            "samples dropped, spans told",
            f"{_HALF}, and models are told the time spans between those that remain.",
            drops=True,
        ),
        Condition(
            "dropped-span-mask",
            "samples dropped, spans and mask told",
            f"{_HALF}: they stay in place without values, and models are told the time spans and, by one more input, "
            "which steps are observed.",
            drops=True,
        ),
    )
}
"""The conditions by name."""


@dataclass(frozen=True)
class Contrast:
    """Two forms of a task with the same samples, of which one tells the elapsed time and the other does not.

    Attributes:
        told: the condition that tells it; "" for the task as it is.
        withheld: the condition that does not.
        title: its title, for the head of a column.
        when: how time is withheld, as the end of a sentence about a score that changes.
    """

    told: str
    withheld: str
    title: str
    when: str


CONTRASTS: tuple[Contrast, ...] = (
    Contrast("", "constant", "Constant spans", "when all spans are told as equal"),
    Contrast("", "shuffled", "Shuffled spans", "when spans are shuffled"),
    Contrast(
        "dropped-span",
        "dropped-untold",
        "Samples dropped: spans untold",
        "when the spans between the samples that remain are not told",
    ),
    Contrast(
        "dropped-span-mask",
        "dropped-untold",
        "Samples dropped: spans and mask untold",
        "when neither the spans between the samples that remain nor the mask is told",
    ),
)
"""What says whether elapsed time is used: both sides of each are scored on the same targets."""


def find(name: str) -> Condition:
    """A condition by its name.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> find("shuffled").title
        'shuffled spans'
    """
    if name not in CONDITIONS:
        raise ValueError(f"a condition must be one of {', '.join(CONDITIONS)}; got {name!r}")
    return CONDITIONS[name]


def named(task: str, condition: str) -> str:
    """Name of a task under a condition; "" is the task as it is.

    Example:
        >>> named("gesture", "constant"), named("gesture", "")
        ('gesture@constant', 'gesture')
    """
    return f"{task}@{condition}" if condition else task


def parted(name: str) -> tuple[str, str]:
    """The base task in a task's name, and the condition; "" if there is none.

    Example:
        >>> parted("gesture@constant"), parted("gesture"), parted("room@home")
        (('gesture', 'constant'), ('gesture', ''), ('room@home', ''))
    """
    base, _, condition = name.rpartition("@")
    return (base, condition) if base and condition in CONDITIONS else (name, "")
