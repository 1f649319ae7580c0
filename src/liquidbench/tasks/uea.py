"""Sets of the UEA archive of multivariate time series: one class a sequence, read whole.

The archive publishes a training and a test set of each. Here validation is every fifth training sequence of each
class, in the order of the file. The papers on long sequences (LinOSS, LrcSSM) join the two sets instead and deal them
at random, five times; where their splits are known, a task has them as its outer splits.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import SPLITS, Feature, Recording, Source, Task, rotate


def _raw_array_content(raw: bytes) -> bytes:
    array = _array(raw)
    return f"{array.dtype.str} {array.shape}".encode() + array.tobytes()


# None of these could be downloaded from the archive for checking; the copies' content is what it describes.
_URL = "https://www.timeseriesclassification.com/aeon-toolkit/"
VOWELS = Archive(
    title="JapaneseVowels",
    folder="uea",
    url=_URL,
    published=("JapaneseVowels.zip",),
    copies=(),
    members=r"JapaneseVowels_(TRAIN|TEST)\.ts",
    content=files.lines_content,
    digest="3d51a65a961091cacffd38670f4374e648c48e9cfb1c02447a173b7de173b264",
)
MOTIONS = replace(
    VOWELS,
    title="BasicMotions",
    published=("BasicMotions.zip",),
    members=r"BasicMotions_(TRAIN|TEST)\.ts",
    digest="d7cb481766eae57e050ae1743027a7eb5d9fc98f39a29dd8bc4413ee78d19f01",
)
WORDS = replace(
    VOWELS,
    title="ArticularyWordRecognition",
    published=("ArticularyWordRecognition.zip",),
    members=r"ArticularyWordRecognition_(TRAIN|TEST)\.ts",
    digest="32325e0865e31b2f5800ab4b3ad3962418cb423a01177e7fe8edafafcf26ccbd",
)
SCP1 = replace(
    VOWELS,
    title="SelfRegulationSCP1",
    published=("SelfRegulationSCP1.zip",),
    copies=(("SelfRegulationSCP1_arff.zip",),),
    members=r"SelfRegulationSCP1Dimension[1-6]_(TRAIN|TEST)\.arff",
    digest="b334fc116c29720b25d7c56f2dadc798113e3a16ac809d210ef544fdcd500c6c",
)
# Which cases are in which of the five splits, recovered from the papers' data.
SCP1_SPLITS = replace(
    VOWELS,
    title="SelfRegulationSCP1, splits of the LinOSS and LrcSSM papers",
    url="https://github.com/MoniFarsang/LrcSSM",
    published=(),
    copies=(("SelfRegulationSCP1_paper_splits.json",),),
    members=r"SelfRegulationSCP1_paper_splits\.json",
    digest="56290c974f70fe563f260f87feb6a4417f2950a940dd97df6a13b74a01d2a8f0",
)
SCP2 = replace(
    SCP1_SPLITS,
    title="SelfRegulationSCP2 (311 of 380 cases)",
    copies=(("SelfRegulationSCP2_partial.npz",),),
    members=r"(X|y|(val|test)_\d{4})\.npy",
    content=_raw_array_content,
    digest="977f6117f2b8eec39eb106d417a55792d49742bcf4942d2a3d895cc4e216def5",
)
ETHANOL = replace(
    SCP2,
    title="EthanolConcentration (448 of 524 cases)",
    copies=(("EthanolConcentration_partial.npz",),),
    digest="5a2f4ed66347665e34aebd8bde271ed00d9048e1125ad4307129ce59bb6c4496",
)

SEEDS = (2345, 3456, 4567, 5678, 6789)
"""Names of the papers' five splits."""


def _eeg(channels: int) -> tuple[Feature, ...]:
    """Features of the EEG sets, named for what is in them."""
    later = (f", {channels * number} samples later" for number in range(1, channels))
    return tuple(Feature(f"EEG A1-Cz{shift}", "uV") for shift in ("", *later))


_EEG_WARNING = (
    "The archive's dimensions are not the {0} channels that it describes, but the first channel {0} times, each {0} "
    "samples later than the one before; the last {1} values of the last are of another channel."
)
_ARCHIVE = (
    "Bagnall, Dau, Lines, Flynn, Large, Bostrom, Southam and Keogh, The UEA multivariate time series classification "
    "archive, 2018 (arXiv 1811.00075)"
)
_PAPERS = (
    "Rusch and Rus, Oscillatory State-Space Models, ICLR 2025 (arXiv 2410.03943); Farsang, Hasani, Rus and Grosu, "
    "Scaling Up Liquid-Resistance Liquid-Capacitance Networks, NeurIPS 2025 (arXiv 2505.21717)"
)
_SMALL = "A test set has about {} sequences, of which one is {} % of accuracy."


def japanese_vowels(data: str | os.PathLike[str] | None = None) -> Task:
    """Which of nine men says a vowel: 640 utterances of 7 to 29 frames."""
    cases, labels, train = _read_ts(files.read(VOWELS, data), "JapaneseVowels")
    return _official(
        name="japanese-vowels",
        title="Japanese vowels",
        description="Which of nine men says two Japanese vowels, from 7 to 29 frames of speech.",
        features=tuple(Feature(f"LPC cepstrum coefficient {number}", "1") for number in range(1, 13)),
        # Frames of 25.6 ms begin every 6.4 ms.
        step=6.4,
        time_unit="ms",
        cases=cases,
        labels=labels,
        classes=tuple(f"man {number}" for number in range(1, 10)),
        train=train,
        archive=VOWELS,
        cited="Kudo, Toyama and Shimbo, Multidimensional curve classification using passing-through regions, Pattern "
        "Recognition Letters 20(11-13):1103-1111, 1999",
    )


def basic_motions(data: str | os.PathLike[str] | None = None) -> Task:
    """What somebody with a smart watch does: 80 recordings of ten seconds."""
    cases, labels, train = _read_ts(files.read(MOTIONS, data), "BasicMotions")
    return _official(
        name="basic-motions",
        title="Basic motions",
        description="Whether somebody with a smart watch stands, runs, walks or plays badminton, from ten seconds of "
        "its accelerometer and gyroscope.",
        features=tuple(
            Feature(f"{what} {axis}", "as recorded") for what in ("acceleration", "angular velocity") for axis in "xyz"
        ),
        step=0.1,
        time_unit="s",
        cases=cases,
        labels=labels,
        classes=("standing", "running", "walking", "badminton"),
        train=train,
        archive=MOTIONS,
        warnings=(
            "It is small (40 recordings to train on, of four students) and easy: many methods have an accuracy of 1.",
        ),
    )


def articulary_words(data: str | os.PathLike[str] | None = None) -> Task:
    """Which of 25 words is spoken, from sensors on tongue and lips: 575 recordings."""
    cases, labels, train = _read_ts(files.read(WORDS, data), "ArticularyWordRecognition")
    return _official(
        name="articulary-words",
        title="Articulated words",
        description="Which of 25 words is spoken, from the movements of three sensors on tongue and lips.",
        features=tuple(Feature(f"sensor {number} {axis}", "as recorded") for number in (1, 2, 3) for axis in "xyz"),
        # All words are stretched to 144 samples.
        step=1.0,
        time_unit="sample",
        cases=cases,
        labels=labels,
        classes=tuple(f"word {number}" for number in range(1, 26)),
        train=train,
        archive=WORDS,
        cited="Wang, Balasubramanian, Mojica de la Vega, Green, Samal and Prabhakaran, Word recognition from "
        "continuous articulatory movement time-series data using symbolic representations, SLPAT 2013",
    )


def scp1(data: str | os.PathLike[str] | None = None) -> Task:
    """Whether a brain's slow potential is steered up or down: 561 trials of 896 samples."""
    cases, labels, train = _read_scp1(data)
    return _official(
        **_ABOUT_SCP1,
        name="scp1",
        title="Slow cortical potentials",
        cases=cases,
        labels=labels,
        train=train,
        archive=SCP1,
        warnings=(_EEG_WARNING.format(6, 30), "All trials are of one person, those of training from two days."),
    )


def scp1_papers(data: str | os.PathLike[str] | None = None) -> Task:
    """Slow cortical potentials on the five splits of the LinOSS and LrcSSM papers, 70 : 15 : 15 at random."""
    cases, labels, _ = _read_scp1(data)
    (raw,) = files.read(SCP1_SPLITS, data).values()
    keys = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
    deals = [{split: part[key] for split, key in keys.items()} for part in map(json.loads(raw).get, map(str, SEEDS))]
    return _as_in_papers(
        **_ABOUT_SCP1,
        name="scp1-papers",
        title="Slow cortical potentials, splits of the papers",
        cases=cases,
        labels=labels,
        deals=deals,
        archive=replace(SCP1, digest=hashlib.sha256(f"{SCP1.digest} {SCP1_SPLITS.digest}".encode()).hexdigest()),
        warnings=(_EEG_WARNING.format(6, 30), _SMALL.format(85, 1.2)),
    )


def scp2_partial(data: str | os.PathLike[str] | None = None) -> Task:
    """Slow cortical potentials of a paralysed patient, on the papers' five splits; some training trials are missing."""
    return _partial(
        SCP2,
        data,
        name="scp2-partial",
        title="Slow cortical potentials of a patient (partial)",
        description="Whether a paralysed patient steers a slow cortical potential of the brain up or down, from 4.5 "
        "seconds of EEG.",
        features=_eeg(7),
        step=1 / 256,
        time_unit="s",
        classes=("negativity", "positivity"),
        cited="Birbaumer et al., A brain-controlled spelling device for the completely paralyzed, Nature "
        "398:297-298, 1999",
        kept=(197, 266),
        warnings=(_EEG_WARNING.format(7, 42), _SMALL.format(57, 1.8)),
    )


def ethanol_partial(data: str | os.PathLike[str] | None = None) -> Task:
    """How strong a spirit is, from spectra of its bottle, on the papers' five splits; some training is missing."""
    return _partial(
        ETHANOL,
        data,
        name="ethanol-partial",
        title="Ethanol concentration (partial)",
        description="How much ethanol is in a bottle of spirit, from three spectra taken through the glass.",
        features=tuple(Feature(f"spectrum {number}", "as recorded") for number in (1, 2, 3)),
        # 226 to 1,101 nm; time is the wavelength.
        step=0.5,
        time_unit="nm",
        classes=("35 %", "38 %", "40 %", "45 %"),
        cited="Large, Kemsley, Wellner, Goodall and Bagnall, Detecting forged alcohol non-invasively through "
        "vibrational spectroscopy and machine learning, PAKDD 2018",
        kept=(290, 366),
        warnings=(
            _SMALL.format(79, 1.3),
            "Bottles are in training and in test: the archive keeps them apart, the papers' splits do not.",
        ),
    )


_ABOUT_SCP1: dict[str, Any] = {
    "description": "Whether a healthy person steers a slow cortical potential of the brain up or down, from 3.5 "
    "seconds of EEG.",
    "features": _eeg(6),
    "step": 1 / 256,
    "time_unit": "s",
    "classes": ("negativity", "positivity"),
    "cited": "Birbaumer et al., A brain-controlled spelling device for the completely paralyzed, Nature 398:297-298, "
    "1999",
}


def _official(
    train: int,
    labels: NDArray[np.int64],
    archive: Archive,
    cited: str = "",
    warnings: tuple[str, ...] = (),
    **about: Any,
) -> Task:
    """A task on the archive's split; its training sequences are the first ``train`` cases."""
    held = (_spread(labels[:train]) * np.bincount(labels[:train])[labels[:train]]).astype(int) % 5 == 4
    official = {
        "train": np.flatnonzero(~held),
        "validation": np.flatnonzero(held),
        "test": np.arange(train, len(labels)),
    }
    # The file of training is often sorted by class. Dealt in this order, every split has all of them.
    mixed = {split: cases[np.argsort(_spread(labels[cases]), kind="stable")] for split, cases in official.items()}
    folds = -(-len(labels) // len(official["test"]))

    def deal(fold: int) -> dict[str, list[int]]:
        turned = rotate({split: cases.tolist() for split, cases in mixed.items()}, fold * len(official["test"]))
        return {split: sorted(cases) for split, cases in turned.items()}

    return _task(
        **about,
        labels=labels,
        deal=deal,
        folds=folds,
        archive=archive,
        split_rule="As published: test is the archive's. Of the training set, every fifth sequence of each class, in "
        "the order of the file, is validation.",
        fold_rule="By sequence: all sequences form a circle (test, training, validation, the classes of each spread "
        f"evenly over it) and the splits are rotated by {len(official['test'])}, so that each sequence is in test at "
        "least once.",
        citation=f"{cited}; {_ARCHIVE}" if cited else _ARCHIVE,
        warnings=warnings,
    )


def _spread(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where each case stands among those of its class, from 0 to 1."""
    counts = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    rank = np.empty(len(labels))
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return (rank + 0.5) / counts[labels]


def _as_in_papers(deals: list[dict[str, list[int]]], cited: str, rest: str = "", **about: Any) -> Task:
    return _task(
        **about,
        deal=deals.__getitem__,
        folds=len(deals),
        split_rule="As in the LinOSS and LrcSSM papers: training and test set of the archive are joined and dealt 70 : "
        f"15 : 15 at random, with seed {SEEDS[0]}.{rest}",
        fold_rule=f"By the papers' seeds: {', '.join(map(str, SEEDS))}. A sequence may be in test of several splits, "
        "or of none.",
        citation=f"{cited}; {_ARCHIVE}; {_PAPERS}",
    )


def _partial(archive: Archive, data: str | os.PathLike[str] | None, kept: tuple[int, int], **about: Any) -> Task:
    arrays = {name.removesuffix(".npy"): _array(raw) for name, raw in files.read(archive, data).items()}
    deals = []
    for seed in SEEDS:
        held = {"validation": arrays[f"val_{seed}"].tolist(), "test": arrays[f"test_{seed}"].tolist()}
        others = sorted(set(range(len(arrays["y"]))) - {*held["validation"], *held["test"]})
        deals.append({"train": others, **held})
    missing = f" Of the {kept[1]} training sequences {kept[0]} are here; validation and test are complete."
    warnings = (
        f"{kept[1] - kept[0]} of the papers' {kept[1]} training sequences are missing, so scores are not comparable.",
        *about.pop("warnings"),
    )
    return _as_in_papers(
        **about,
        cases=list(arrays["X"]),
        labels=arrays["y"].astype(np.int64),
        deals=deals,
        archive=archive,
        rest=missing,
        warnings=warnings,
    )


def _task(
    name: str,
    title: str,
    description: str,
    features: tuple[Feature, ...],
    step: float,
    time_unit: str,
    cases: list[NDArray[np.floating[Any]]],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    deal: Callable[[int], dict[str, list[int]]],
    folds: int,
    archive: Archive,
    split_rule: str,
    fold_rule: str,
    citation: str,
    warnings: tuple[str, ...],
) -> Task:
    firsts = np.cumsum([0, *map(len, cases)])

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        return lambda split: [
            Recording(
                name=f"case {number}",
                times=np.arange(len(cases[number]), dtype=np.float64) * np.float64(step),
                values=cases[number],
                targets=int(labels[number]),
                first_row=int(firsts[number]),
            )
            for number in deal(fold)[split]
        ]

    return Task(
        name=name,
        title=title,
        description=description,
        features=features,
        kind="classification",
        per="sequence",
        outputs=len(classes),
        target_unit="1",
        classes=classes,
        metric="accuracy",
        metrics=("accuracy", "balanced_accuracy", "f1_macro", "cross_entropy"),
        time_unit=time_unit,
        source=Source(
            title=f"{archive.title.split(' ')[0]} (UEA archive)",
            url=f"https://www.timeseriesclassification.com/description.php?Dataset={archive.title.split(' ')[0]}",
            licence="none stated",
            citation=citation,
        ),
        split_rule=split_rule,
        recordings=dealt(0),
        data_digest=archive.digest,
        baseline="prior",
        folds=folds,
        fold_rule=fold_rule,
        dealt=dealt,
        warnings=warnings,
    )


def _read_ts(members: dict[str, bytes], name: str) -> tuple[list[NDArray[np.float64]], NDArray[np.int64], int]:
    """The cases of both sets, each (time, features), their class numbers, and how many are of the training set."""
    cases, labels, counts = [], [], []
    for part in ("TRAIN", "TEST"):
        head, _, body = members[f"{name}_{part}.ts"].decode("latin-1").partition("@data")
        declared = re.search(r"^@classLabel true (.*)$", head, re.M)
        assert declared is not None
        classes = declared[1].split()
        lines = body.split("\n")[1:]
        rows = [line.strip().split(":") for line in lines if line.strip()]
        cases += [np.array([row.split(",") for row in columns], dtype=np.float64).T for *columns, _ in rows]
        labels += [classes.index(label) for *_, label in rows]
        counts.append(len(rows))
    return cases, np.array(labels), counts[0]


def _read_scp1(
    data: str | os.PathLike[str] | None,
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64], int]:
    """As `_read_ts`; a file has one dimension of all cases."""
    members = files.read(SCP1, data)
    dimensions, labels, counts = [], [], []
    for part in ("TRAIN", "TEST"):
        columns, of_cases = [], []
        for number in range(1, 7):
            body = members[f"SelfRegulationSCP1Dimension{number}_{part}.arff"].decode().partition("@data")[2]
            rows = [line.rsplit(",", 1) for line in body.split()]
            columns.append(np.array([row[0].split(",") for row in rows], dtype=np.float32))
            of_cases = [_ABOUT_SCP1["classes"].index(row[1]) for row in rows]
        dimensions.append(np.stack(columns, axis=-1))
        labels += of_cases
        counts.append(len(of_cases))
    return list(np.concatenate(dimensions)), np.array(labels), counts[0]


def _array(raw: bytes) -> NDArray[Any]:
    return np.load(io.BytesIO(raw), allow_pickle=False)
