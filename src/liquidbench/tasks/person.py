"""What a person does, from tags that report their positions at uneven times.

The data are the part of the Localization Data for Person Activity that could be checked: its first tenth, in which one
person goes three times through the same scenario.
"""

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks import files, series
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import Feature, Recording, Source, Task, rotate

PERSON = Archive(
    title="Localization Data for Person Activity (first tenth)",
    folder="person",
    url="https://archive.ics.uci.edu/dataset/196/localization+data+for+person+activity",
    published=(),
    copies=(("ConfLongDemo_JSI_first10percent.csv.gz",),),
    members=r"ConfLongDemo_JSI_first10percent\.csv",
    content=files.lines_content,
    digest="079d261a97a0fc6ca1e55a46ca5ea8c1b191986c37b2de9d42efea2ea9eb8b10",
)

TAGS = {
    "010-000-024-033": "left ankle",
    "010-000-030-096": "right ankle",
    "020-000-033-111": "chest",
    "020-000-032-221": "belt",
}
ACTIVITIES = {
    "lying": "lying",
    "lying down": "lying",
    "sitting": "sitting",
    "sitting down": "sitting",
    "standing up from lying": "standing up",
    "standing up from sitting": "standing up",
    "standing up from sitting on the ground": "standing up",
    "walking": "walking",
    "falling": "falling",
    "on all fours": "on all fours",
    "sitting on the ground": "sitting on the ground",
}
"""The papers' seven classes, by the eleven words of the file."""

CLASSES = tuple(dict.fromkeys(ACTIVITIES.values()))

_TICKS = 10_000_000
"""Ticks of the file's clock in a second."""

_ABOUT = {
    "kind": "classification",
    "per": "step",
    "outputs": len(CLASSES),
    "target_unit": "1",
    "classes": CLASSES,
    "metric": "accuracy",
    "metrics": ("accuracy", "balanced_accuracy", "f1_macro", "cross_entropy"),
    "source": Source(
        title="Localization Data for Person Activity",
        url="https://archive.ics.uci.edu/dataset/196/localization+data+for+person+activity",
        licence="CC BY 4.0",
        citation="Kaluza, Mirchevska, Dovgan, Lustrek and Gams, An agent-based approach to care in independent "
        "living, International Joint Conference on Ambient Intelligence 2010",
    ),
    "baseline": "prior",
}


def person_partial(data: str | os.PathLike[str] | None = None) -> Task:
    """What a person does: a step is the report of one tag, which the others miss; three recordings of one person."""
    (raw,) = files.read(PERSON, data).values()
    names, tags, ticks, places, labels = _columns(raw)
    recordings = {}
    for name in sorted(set(names)):
        # Two reports are a few milliseconds earlier than the one before them.
        order = np.flatnonzero(names == name)
        order = order[np.argsort(ticks[order], kind="stable")]
        values = np.zeros((len(order), len(TAGS), 3), dtype=np.float32)
        mask = np.zeros(values.shape, dtype=bool)
        values[np.arange(len(order)), tags[order]] = places[order]
        mask[np.arange(len(order)), tags[order]] = True
        recordings[name] = Recording(
            name=str(name),
            times=(ticks[order] - ticks[order[0]]) / _TICKS,
            values=values.reshape(len(order), -1),
            targets=labels[order],
            first_row=int(order.min()),
            mask=mask.reshape(len(order), -1),
            rows=order,
        )
    official = {"train": ["A01"], "validation": ["A02"], "test": ["A03"]}

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        deal = rotate(official, fold)
        return lambda split: [recordings[name] for name in deal[split]]

    return Task(
        name="person-partial",
        title="Person activity (first tenth)",
        description="What a person does (lying, sitting, standing up, walking, falling, ...), from tags at ankles, "
        "chest and belt that report their positions one at a time.",
        features=tuple(Feature(f"{tag} {axis}", "m") for tag in TAGS.values() for axis in "xyz"),
        time_unit="s",
        split_rule="By recording: training is A01, validation A02, test A03, of which the end is missing. All three "
        "are of one person, who goes through the same scenario each time.",
        recordings=dealt(0),
        data_digest=PERSON.digest,
        window=64,
        stride=16,
        irregular=True,
        missing=True,
        warnings=("This is the first tenth of the data set, of one person of five; nothing is said of other people.",),
        folds=3,
        fold_rule="By recording: the three form a circle (test, training, validation) and the splits are rotated by "
        "one, so that each is in test once.",
        dealt=dealt,
        **_ABOUT,
    )


def person_ltc(data: str | os.PathLike[str] | None = None) -> Task:
    """Person activity as in the LTC paper, of the first tenth: its features, and its split, which leaks."""
    (raw,) = files.read(PERSON, data).values()
    names, tags, _, places, labels = _columns(raw)
    values = np.concatenate([np.eye(len(TAGS))[tags], places], axis=-1)
    ends = [int(np.flatnonzero(names == name)[-1]) + 1 for name in sorted(set(names))]
    split = series.windows(values, labels, stride=16, seed=27731, ends=ends)
    return Task(
        name="person-ltc",
        title="Person activity (first tenth), split of the LTC paper",
        description="What a person does, from reports of tags: which of them it is and where, with the rows, features "
        "and split of the LTC paper.",
        features=(*(Feature(tag, "1") for tag in TAGS.values()), *(Feature(f"place {axis}", "m") for axis in "xyz")),
        time_unit="row",
        data_digest=PERSON.digest,
        window=32,
        warnings=("This is the first tenth of the data set, so scores are not comparable with the LTC paper's.",),
        **split,
        **_ABOUT,
    )


def _columns(
    raw: bytes,
) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Recording, number of the tag, clock, place (n, 3) and number of the class, of each row."""
    rows = [line.split(",") for line in files.lines_content(raw).decode().split("\n")[1:]]
    return (
        np.array([row[1] for row in rows]),
        np.array([list(TAGS).index(row[2]) for row in rows]),
        np.array([row[3] for row in rows], dtype=np.int64),
        np.array([row[4:7] for row in rows], dtype=np.float64),
        np.array([CLASSES.index(ACTIVITIES[row[7]]) for row in rows]),
    )
