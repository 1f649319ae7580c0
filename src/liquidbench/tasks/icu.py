"""Mortality in intensive care: the PhysioNet/Computing in Cardiology Challenge 2012.

The data are the first 48 hours of a stay: irregularly timed measurements of 37 variables, most of them missing at any
one time, and four descriptors known at admission. How the records are processed:

- A step is a minute at which anything was recorded, which is the resolution of the records: times are not rounded and
  records are not truncated. Several values of a variable in one minute are averaged.
- The descriptors (age, gender, height, type of unit) are at 00:00 as in the records and are not repeated. ``-1`` means
  unknown in the records and becomes a missing value.
- Records with nothing but descriptors (three in set a, seven in set b) are kept, as sequences of one step.
- Lines of set c that name no variable are dropped.
- Values are used as recorded. Typing errors such as a pH of 735 are kept, as in the papers.

Papers split the 12,000 stays differently, and their scores are comparable within a split only. Three of these splits
are tasks of their own: ``physionet2012-official``, ``-raindrop`` and ``-seft``.
"""

import csv
import gzip
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import SPLITS, Feature, Recording, Source, Task, rotate

PHYSIONET = Archive(
    title="PhysioNet Challenge 2012",
    folder="physionet2012",
    url="https://physionet.org/files/challenge-2012/1.0.0/",
    published=("set-a.tar.gz", "set-b.tar.gz", "Outcomes-a.txt", "Outcomes-b.txt"),
    copies=(("set-a.tar.xz", "set-b.tar.xz", "Outcomes-a.txt", "Outcomes-b.txt"),),
    members=r"\d{6}\.txt|Outcomes-[ab]\.txt",
    content=files.lines_content,
    digest="6dfcb0db469c692bde7c4aefe4420f0d4277bfb57d253f339d9ef06146b8ce98",
)
PHYSIONET_ALL = replace(
    PHYSIONET,
    published=tuple(f"{kind}-{of}.{end}" for kind, end in (("set", "tar.gz"), ("Outcomes", "txt")) for of in "abc"),
    copies=(tuple(f"{kind}-{of}.{end}" for kind, end in (("set", "tar.xz"), ("Outcomes", "txt")) for of in "abc"),),
    members=r"\d{6}\.txt|Outcomes-[abc]\.txt",
    digest="f26e36e98bb18666eb6672bcedb4b5a236390f8cd111fff1c0652c200b8382d7",
)
PHYSIONET_EXCERPT = replace(
    PHYSIONET,
    title="PhysioNet Challenge 2012 (excerpt)",
    copies=(("stays.tar.xz",),),
    digest="b6f6412ef2fccaf120cc3ef1070afabbf5a507bf03e39584261a0238b60ea045",
)

VARIABLES = (
    Feature("Albumin", "g/dL"),
    Feature("ALP", "IU/L"),
    Feature("ALT", "IU/L"),
    Feature("AST", "IU/L"),
    Feature("Bilirubin", "mg/dL"),
    Feature("BUN", "mg/dL"),
    Feature("Cholesterol", "mg/dL"),
    Feature("Creatinine", "mg/dL"),
    Feature("DiasABP", "mmHg"),
    Feature("FiO2", "1"),
    Feature("GCS", "1"),
    Feature("Glucose", "mg/dL"),
    Feature("HCO3", "mmol/L"),
    Feature("HCT", "%"),
    Feature("HR", "1/min"),
    Feature("K", "mEq/L"),
    Feature("Lactate", "mmol/L"),
    Feature("Mg", "mmol/L"),
    Feature("MAP", "mmHg"),
    Feature("MechVent", "1"),
    Feature("Na", "mEq/L"),
    Feature("NIDiasABP", "mmHg"),
    Feature("NIMAP", "mmHg"),
    Feature("NISysABP", "mmHg"),
    Feature("PaCO2", "mmHg"),
    Feature("PaO2", "mmHg"),
    Feature("pH", "1"),
    Feature("Platelets", "1/nL"),
    Feature("RespRate", "1/min"),
    Feature("SaO2", "%"),
    Feature("SysABP", "mmHg"),
    Feature("Temp", "degC"),
    Feature("TroponinI", "ug/L"),
    Feature("TroponinT", "ug/L"),
    Feature("Urine", "mL"),
    Feature("WBC", "1/nL"),
    Feature("Weight", "kg"),
    Feature("Age", "years"),
    Feature("Gender", "1"),
    Feature("Height", "cm"),
    Feature("ICUType", "1"),
)
TRAINING_STAYS = 3200
FOLDS = 5
EXCERPT_SPLITS = {"train": slice(0, 300), "validation": slice(300, 380), "test": slice(380, 500)}


def physionet2012(data: str | os.PathLike[str] | None = None) -> Task:
    """In-hospital death: 8,000 stays of sets a and b."""
    members = files.read(PHYSIONET, data)
    a, b = outcomes(members["Outcomes-a.txt"]), outcomes(members["Outcomes-b.txt"])
    order = np.random.default_rng(2012).permutation(sorted(a))
    return _mortality(
        "physionet2012",
        "Mortality in intensive care",
        PHYSIONET.digest,
        members,
        a | b,
        {
            "train": order[:TRAINING_STAYS].tolist(),
            "validation": order[TRAINING_STAYS:].tolist(),
            "test": sorted(b),
        },
        "By stay: training is 3,200 and validation 800 of the 4,000 stays of set a, drawn at random "
        "(sorted by RecordID, numpy's default_rng(2012)); test is set b, another 4,000 stays. The papers "
        "scored on a fifth of set a, whose exact choice depended on the order of a directory.",
    )


def physionet2012_official(data: str | os.PathLike[str] | None = None) -> Task:
    """In-hospital death by the sets of the challenge: training on set a, test on sets b and c."""
    members = files.read(PHYSIONET_ALL, data)
    deaths = {of: outcomes(members[f"Outcomes-{of}.txt"]) for of in "abc"}
    order = np.random.default_rng(2012).permutation(sorted(deaths["a"]))
    return _mortality(
        "physionet2012-official",
        "Mortality in intensive care, the challenge's sets",
        PHYSIONET_ALL.digest,
        members,
        deaths["a"] | deaths["b"] | deaths["c"],
        {
            "train": order[:TRAINING_STAYS].tolist(),
            "validation": order[TRAINING_STAYS:].tolist(),
            "test": sorted(deaths["b"] | deaths["c"]),
        },
        "By stay, in the sets of the challenge: training is 3,200 and validation 800 of the 4,000 stays of set a, "
        "drawn at random (sorted by RecordID, numpy's default_rng(2012)); test are the 8,000 stays of sets b and c.",
        others=(),
        fold_rule="By the challenge there is one: it has a single split.",
    )


def physionet2012_raindrop(data: str | os.PathLike[str] | None = None) -> Task:
    """In-hospital death on the five splits of the Raindrop paper, which many later papers use.

    The label is death in hospital, as in the papers' code; their descriptions say length of stay.
    """
    members, deaths = _all_sets(data)
    first, *others = (_published(f"raindrop{number}") for number in range(1, 6))
    return _mortality(
        "physionet2012-raindrop",
        "Mortality in intensive care, Raindrop's splits",
        PHYSIONET_ALL.digest,
        members,
        deaths,
        first,
        "By stay: 9,590 training, 1,199 validation and 1,199 test, of the 11,988 stays with measurements, as published "
        "with Raindrop (Zhang et al., ICLR 2022); this is the first of its five splits.",
        others=tuple(others),
        fold_rule="By the papers: the five random splits published with Raindrop, whose test parts overlap.",
    )


def physionet2012_seft(data: str | os.PathLike[str] | None = None) -> Task:
    """In-hospital death on the split of the SeFT paper."""
    members, deaths = _all_sets(data)
    split = _published("seft")
    return _mortality(
        "physionet2012-seft",
        "Mortality in intensive care, SeFT's split",
        PHYSIONET_ALL.digest,
        members,
        deaths,
        split,
        "By stay: 7,680 training, 1,920 validation and 2,400 test of the 12,000 stays, as published with SeFT (Horn et "
        "al., ICML 2020).",
        others=(),
        fold_rule="By the paper there is one: it has a single split.",
    )


def _all_sets(data: str | os.PathLike[str] | None) -> tuple[dict[str, bytes], dict[int, int]]:
    """The records of the three sets, and deaths by stay."""
    members = files.read(PHYSIONET_ALL, data)
    return members, {stay: died for of in "abc" for stay, died in outcomes(members[f"Outcomes-{of}.txt"]).items()}


@cache
def _published(name: str) -> dict[str, list[int]]:
    """A split that a paper has published: the stays of each part, in the order of their numbers."""
    text = gzip.decompress((Path(__file__).parent / "splits" / "physionet2012.csv.gz").read_bytes()).decode()
    parts: dict[str, list[int]] = {split: [] for split in SPLITS}
    for row in csv.DictReader(text.splitlines()):
        if row[name]:
            parts[row[name]].append(int(row["RecordID"]))
    return parts


def physionet2012_excerpt(data: str | os.PathLike[str] | None = None) -> Task:
    """In-hospital death: 500 stays of set a; comes with the package."""
    members = files.read(PHYSIONET_EXCERPT, files.EXCERPTS)
    deaths = outcomes(members["Outcomes-a.txt"])
    stays = list(deaths)
    return _mortality(
        "physionet2012-excerpt",
        "Mortality in intensive care (excerpt)",
        PHYSIONET_EXCERPT.digest,
        members,
        deaths,
        {split: stays[part] for split, part in EXCERPT_SPLITS.items()},
        "By stay: of 500 stays drawn at random from set a, the first 300 are training, the next 80 "
        "validation, the last 120 test.",
    )


def outcomes(raw: bytes) -> dict[int, int]:
    """1 for a death in hospital, else 0, by RecordID, in the order of an outcome file."""
    lines = raw.decode().splitlines()
    column = lines[0].split(",").index("In-hospital_death")
    return {int(cells[0]): int(cells[column]) for cells in (line.split(",") for line in lines[1:] if line)}


def _mortality(
    name: str,
    title: str,
    digest: str,
    members: dict[str, bytes],
    deaths: dict[int, int],
    splits: Mapping[str, list[int]],
    split_rule: str,
    others: tuple[Mapping[str, list[int]], ...] | None = None,
    fold_rule: str = "",
) -> Task:
    """The task, with ``others`` as further outer splits; if they are None, the stays are rotated."""
    stays = sorted(deaths)
    positions = {stay: position for position, stay in enumerate(stays)}
    steps = files.parsed_once(digest, _parsed, [members[f"{stay}.txt"] for stay in stays])
    values = np.zeros((len(steps["minutes"]), len(VARIABLES)), dtype=np.float32)
    observed = np.zeros(values.shape, dtype=bool)
    values.flat[steps["place"]] = steps["value"]
    observed.flat[steps["place"]] = True

    # Written once, at the first step: coronary, cardiac surgery, medical or surgical.
    unit = values[steps["starts"][:-1], [feature.name for feature in VARIABLES].index("ICUType")]
    units = unit.astype(np.int64).tolist()

    def recording(stay: int) -> Recording:
        first, last = steps["starts"][positions[stay] : positions[stay] + 2].tolist()
        part = slice(first, last)
        return Recording(
            name=str(stay),
            times=steps["minutes"][part] / 60.0,
            values=values[part],
            targets=deaths[stay],
            first_row=first,
            mask=observed[part],
            environment=units[positions[stay]],
        )

    step = len(deaths) // FOLDS

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        deal = rotate(splits, fold * step) if others is None else (splits, *others)[fold]
        return lambda split: [recording(stay) for stay in deal[split]]

    return Task(
        name=name,
        title=title,
        description="Whether a patient dies in hospital, from the first 48 hours in intensive care: "
        "irregularly timed measurements of 37 variables and four descriptors.",
        features=VARIABLES,
        kind="classification",
        per="sequence",
        outputs=2,
        target_unit="1",
        classes=("survives", "dies in hospital"),
        metric="auroc",
        metrics=("auroc", "auprc", "sensitivity_at_90_specificity", "brier", "calibration_error", "balanced_accuracy")
        + ("cross_entropy",),
        time_unit="h",
        source=Source(
            title="Predicting Mortality of ICU Patients: the PhysioNet Challenge 2012",
            url="https://physionet.org/content/challenge-2012/1.0.0/",
            licence="ODC-BY 1.0",
            citation="Silva, Moody, Scott, Celi and Mark, Predicting in-hospital mortality of ICU "
            "patients: the PhysioNet/Computing in Cardiology Challenge 2012, Computing in Cardiology "
            "39:245-248, 2012; Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation "
            "101(23):e215-e220, 2000",
        ),
        split_rule=f"{split_rule} No stay is in two splits; the records do not say whether two stays are of "
        "one patient.",
        recordings=dealt(0),
        data_digest=digest,
        baseline="prior",
        irregular=True,
        missing=True,
        folds=FOLDS if others is None else 1 + len(others),
        fold_rule=fold_rule
        or "By stay: all stays form a circle (test, training, validation, each in official order) and the "
        f"splits are rotated by {step:,} stays{', so that sets a and b mix' if len(deaths) > 4000 else ''}.",
        dealt=dealt if others is None or others else None,
    )


def _parsed(records: list[bytes]) -> dict[str, NDArray[Any]]:
    """The steps of all records, concatenated; those of record i are from ``starts[i]`` to ``starts[i + 1]``.

    Only observed values are listed: the one of column ``place % columns`` at step ``place // columns``.
    """
    minute_of = {f"{minute // 60:02d}:{minute % 60:02d}": minute for minute in range(48 * 60 + 1)}
    column_of = {feature.name: column for column, feature in enumerate(VARIABLES)} | {"RecordID": -1, "": -2}
    lines, minutes, columns, values = [], [], [], []
    # Parsing many records at once is about ten times as fast as line by line; all at once would need too much memory.
    for batch in (records[first : first + 200] for first in range(0, len(records), 200)):
        texts = [files.lines_content(record).split(b"\n", 1)[1] for record in batch]
        lines.extend(text.count(b"\n") + 1 for text in texts)
        cells = b",".join(texts).decode().replace("\n", ",").split(",")
        minutes.append(np.array([minute_of[cell] for cell in cells[0::3]]))
        columns.append(np.array([column_of[cell] for cell in cells[1::3]]))
        values.append(np.array([float(cell) for cell in cells[2::3]]))
    stay = np.repeat(np.arange(len(records)), lines)
    minute, column, value = (np.concatenate(parts) for parts in (minutes, columns, values))
    named = column != -2
    stay, minute, column, value = (cells[named] for cells in (stay, minute, column, value))

    # The line of the RecordID makes a step at 00:00 in every record, so that none is without steps.
    moments, step = np.unique(stay * len(minute_of) + minute, return_inverse=True)
    known = (column >= 0) & (value != -1)
    place, entry = np.unique(step[known] * len(VARIABLES) + column[known], return_inverse=True)
    means = np.bincount(entry, weights=value[known]) / np.bincount(entry)
    return {
        "starts": np.searchsorted(moments, np.arange(len(records) + 1) * len(minute_of)),
        "minutes": (moments % len(minute_of)).astype(np.int16),
        "place": place,
        "value": means.astype(np.float32),
    }
