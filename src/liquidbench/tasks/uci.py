"""Two data sets of the UCI Machine Learning Repository: room occupancy and gesture phases."""

import csv
import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered

# The archives could not be downloaded from the repository for checking. Their member names are those of the data sets'
# descriptions; members are found by base name in any folder or nested zip, and must then match the checksum.
OCCUPANCY = Archive(
    title="Occupancy Detection",
    folder="occupancy",
    url="https://archive.ics.uci.edu/static/public/357/",
    published=("occupancy+detection.zip",),
    copies=(("occupancy_data.zip",),),
    members=r"data(training|test|test2)\.txt",
    content=files.table_content,
    digest="3ae085d78a39603e0c6073e81500ac5c4a56d357ebb208e8fb2fbea070419ee8",
)
OCCUPANCY_EXCERPT = replace(
    OCCUPANCY,
    title="Occupancy Detection (excerpt)",
    digest="35bd2c557eb59e0b93fd7993719908c02604464ce0b8d0ae6da97618cce2fc28",
)
GESTURE = Archive(
    title="Gesture Phase Segmentation",
    folder="gesture",
    url="https://archive.ics.uci.edu/static/public/302/",
    published=("gesture+phase+segmentation.zip",),
    copies=(("gesture_phase_dataset.zip",),),
    members=r"[abc][123]_(raw|va3)\.csv",
    content=files.table_content,
    digest="e888a1294d74fd147c991af07011342a982f8f5e39e59be316bdad576a17f9fa",
)
GESTURE_EXCERPT = replace(
    GESTURE,
    title="Gesture Phase Segmentation (excerpt)",
    digest="03c43d70d4a5643b9223e905979906af17d0b3e4d099790a9bfa659d8873aa50",
)

VALIDATION_FROM = np.datetime64("2015-02-09T00:00:00")
GAP_MINUTES = 60
# Where the last test file is split when it is used for training and validation; its excerpt ends earlier.
VALIDATION_OF_LAST_FILE = {"occupancy": "2015-02-17T00:00:00", "occupancy-excerpt": "2015-02-13T00:00:00"}

PHASES = {"D": "rest", "P": "preparation", "S": "stroke", "H": "hold", "R": "retraction"}
GESTURE_SPLITS = {"train": ("a1", "a2", "b1", "c1"), "validation": ("b3",), "test": ("a3", "c3")}
GESTURE_EXCERPT_SPLITS = {"train": ("a2", "b1", "c1"), "validation": ("b3",), "test": ("a3", "c3")}
# Row i of the velocities belongs to row i + 4 of the positions: with this offset the phases of both files agree.
FRAMES_BEFORE_VELOCITY = 4


def occupancy(data: str | os.PathLike[str] | None = None) -> Task:
    """Whether an office is occupied: all 20,560 minutes."""
    members = files.read(OCCUPANCY, data)
    return _occupancy("occupancy", "Room occupancy", OCCUPANCY.digest, members, "all of datatest and datatest2")


def occupancy_excerpt(data: str | os.PathLike[str] | None = None) -> Task:
    """Whether an office is occupied: the same training week, fewer test days; comes with the package."""
    members = files.read(OCCUPANCY_EXCERPT, files.EXCERPTS)
    return _occupancy(
        "occupancy-excerpt",
        "Room occupancy (excerpt)",
        OCCUPANCY_EXCERPT.digest,
        members,
        "all of datatest and the first 3,000 minutes of datatest2",
    )


def gesture(data: str | os.PathLike[str] | None = None) -> Task:
    """Phase of a gesture: seven videos, 9,873 frames."""
    members = files.read(GESTURE, data)
    return _gesture("gesture", "Gesture phases", GESTURE.digest, members, GESTURE_SPLITS)


def gesture_excerpt(data: str | os.PathLike[str] | None = None) -> Task:
    """Phase of a gesture: parts of six videos; comes with the package."""
    members = files.read(GESTURE_EXCERPT, files.EXCERPTS)
    return _gesture(
        "gesture-excerpt",
        "Gesture phases (excerpt)",
        GESTURE_EXCERPT.digest,
        members,
        GESTURE_EXCERPT_SPLITS,
    )


def _occupancy(name: str, title: str, digest: str, members: dict[str, bytes], test: str) -> Task:
    recordings = numbered(
        [_occupancy_file(file, members[f"{file}.txt"]) for file in ("datatraining", "datatest", "datatest2")]
    )

    training, first, last = recordings

    def cut(recording: Recording, validation_from: Any) -> dict[str, Recording]:
        step = int(np.searchsorted(recording.times, _minutes(validation_from)))
        return {
            "train": recording.part(slice(step - GAP_MINUTES)),
            "validation": recording.part(slice(step, None)),
        }

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        tests, whole = [([first, last], []), ([training], [first]), ([first], [last]), ([last], [first])][fold]
        if fold == 1:
            parts = cut(last, np.datetime64(VALIDATION_OF_LAST_FILE[name]))
        else:
            parts = cut(training, VALIDATION_FROM)
        deal = {"train": [*whole, parts["train"]], "validation": [parts["validation"]], "test": tests}
        return deal.__getitem__

    return Task(
        name=name,
        title=title,
        description="Whether an office is occupied, minute by minute, from its light, temperature, "
        "humidity and carbon dioxide.",
        features=(
            Feature("temperature", "degC"),
            Feature("relative humidity", "%"),
            Feature("light", "lx"),
            Feature("CO2", "ppm"),
            Feature("humidity ratio", "kg/kg"),
        ),
        kind="classification",
        per="step",
        outputs=2,
        target_unit="1",
        classes=("empty", "occupied"),
        metric="accuracy",
        metrics=("accuracy", "balanced_accuracy", "f1_macro", "auroc", "auprc", "cross_entropy"),
        time_unit="min",
        source=Source(
            title="Occupancy Detection",
            url="https://archive.ics.uci.edu/dataset/357/occupancy+detection",
            licence="CC BY 4.0",
            citation="Candanedo and Feldheim, Accurate occupancy detection of an office room from light, "
            "temperature, humidity and CO2 measurements using statistical learning models, Energy and "
            "Buildings 112:28-39, 2016",
        ),
        split_rule="By file, as published, and in time: training is datatraining.txt up to Sunday 8 "
        f"February 2015 23:00, validation the same file from Monday 9 February 00:00 on ({GAP_MINUTES} "
        f"minutes between them are left out, more than a window), test is {test}, recorded in the days before "
        "and after.",
        recordings=dealt(0),
        data_digest=digest,
        baseline="prior",
        window=32,
        environment_of="window",
        stride=16,
        gap=GAP_MINUTES,
        folds=4,
        fold_rule="By file: test is datatraining.txt, datatest.txt or datatest2.txt. One other file is training, the "
        "third is cut in time, as the official split cuts datatraining.txt, and datatest2.txt before "
        f"{VALIDATION_OF_LAST_FILE[name][:10]}.",
        dealt=dealt,
    )


def _occupancy_file(name: str, raw: bytes) -> Recording:
    rows = _table(raw)[1:]
    dates = np.array([row[1] for row in rows], dtype="datetime64[s]")
    numbers = np.array([row[2:] for row in rows], dtype=np.float64)
    return Recording(
        name=f"{name}.txt",
        times=_minutes(dates),
        values=numbers[:, :5].astype(np.float32),
        targets=numbers[:, 5].astype(np.int64),
        first_row=0,
        # The day of February.
        environment=(_minutes(dates) // (24 * 60)).astype(np.int64) + 1,
    )


def _minutes(dates: Any) -> Any:
    """Minutes since the beginning of February 2015, so that the three files share one time axis."""
    return (dates - np.datetime64("2015-02-01T00:00:00")) / np.timedelta64(1, "m")


def _gesture(name: str, title: str, digest: str, members: dict[str, bytes], splits: dict[str, tuple[str, ...]]) -> Task:
    videos = sorted(video for names in splits.values() for video in names)
    recordings = {
        recording.name: recording
        for recording in numbered(
            [_video(video, members[f"{video}_raw.csv"], members[f"{video}_va3.csv"]) for video in videos]
        )
    }
    deals = [splits]
    for person in "bac":
        for story in "31":
            of_story = [video for video in videos if video[1] == story]
            judging = [video for video in of_story if video[0] == person]
            testing = [video for video in of_story if video[0] != person]
            learning = [video for video in videos if video[1] != story]
            deal = {"train": tuple(learning), "validation": tuple(judging), "test": tuple(testing)}
            if judging and testing and deal not in deals:
                deals.append(deal)

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        return lambda split: [recordings[video] for video in deals[fold][split]]

    parts = ("left hand", "right hand", "left wrist", "right wrist")
    return Task(
        name=name,
        title=title,
        description="Which phase of a gesture each frame of a video shows (rest, preparation, stroke, hold, "
        "retraction), from velocity and acceleration of hands and wrists of people telling comic stories.",
        # Positions are relative to head and spine, so without a unit; the authors measure time in frames. Their
        # description calls the last four features velocities, but they are the norms of the accelerations.
        features=(
            *(Feature(f"{part} velocity {axis}", "1/frame") for part in parts for axis in "xyz"),
            *(Feature(f"{part} acceleration {axis}", "1/frame^2") for part in parts for axis in "xyz"),
            *(Feature(f"{part} speed", "1/frame") for part in parts),
            *(Feature(f"{part} acceleration", "1/frame^2") for part in parts),
        ),
        kind="classification",
        per="step",
        outputs=len(PHASES),
        target_unit="1",
        classes=tuple(PHASES.values()),
        metric="accuracy",
        metrics=("accuracy", "balanced_accuracy", "f1_macro", "cross_entropy"),
        time_unit="s",
        source=Source(
            title="Gesture Phase Segmentation",
            url="https://archive.ics.uci.edu/dataset/302/gesture+phase+segmentation",
            licence="CC BY 4.0",
            citation="Madeo, Lima and Peres, Gesture unit segmentation using support vector machines: "
            "segmenting gestures from rest positions, ACM SAC 2013",
        ),
        split_rule="By video: "
        + "; ".join(f"{split} {', '.join(names)}" for split, names in splits.items())
        + ". The letter is the person, the digit the story: validation and test are of a story that is "
        "not in training, told by people who are (there are only three, so a split by person is not possible).",
        recordings=dealt(0),
        data_digest=digest,
        baseline="prior",
        window=32,
        stride=16,
        irregular=True,
        folds=len(deals),
        fold_rule="By story: validation and test are of story 1 or story 3, which is then not in training; "
        f"one person's video of it is validation: {'; '.join(_described(deal) for deal in deals[1:])}. Story 2 was "
        "told by only one person.",
        dealt=dealt,
    )


def _described(deal: dict[str, tuple[str, ...]]) -> str:
    return f"validation {', '.join(deal['validation'])} and test {', '.join(deal['test'])}"


def _video(name: str, raw_positions: bytes, raw_velocities: bytes) -> Recording:
    header, *positions = _table(raw_positions)
    velocities = _table(raw_velocities)[1:]
    stamps = np.array([row[header.index("timestamp")] for row in positions], dtype=np.int64)
    # Timestamps are MMSSmmm (5702026 is 57 min 2.026 s), so plain differences would be 40 s off at every full minute.
    minutes, rest = np.divmod(stamps, 100_000)
    times = (minutes * 60 + rest / 1000)[FRAMES_BEFORE_VELOCITY:]
    return Recording(
        name=name,
        times=times - times[0],
        values=np.array([row[:32] for row in velocities], dtype=np.float32),
        targets=np.array([list(PHASES).index(row[32]) for row in velocities], dtype=np.int64),
        first_row=0,
    )


def _table(raw: bytes) -> list[list[str]]:
    text = raw.decode("utf-8-sig", errors="replace")
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
