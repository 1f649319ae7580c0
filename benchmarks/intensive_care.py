"""Mortality in intensive care beyond the report of a study: calibration, unit types, intervals over patients, papers.

    liquidbench run studies/icu.yaml && liquidbench run studies/icu-raindrop.yaml
    python benchmarks/intensive_care.py      # docs/results/icu/tables.md and reliability.svg

Reads the predictions that the two studies left in their folders, so nothing is trained. Intervals are of 95 %, by a
bootstrap: each resample draws patients, and a seed for each of them a network may have come from, with replacement, the
same patients for every model, so that differences between models are paired.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import speed
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.calibration import calibration_curve

from liquidbench import predictions, results, study_file, tasks
from liquidbench.metrics import CALIBRATION_GROUPS, score
from liquidbench.tasks import floors
from liquidbench.tasks.task import Task

ROOT = Path(__file__).parents[1]
OFFICIAL, RAINDROP = "physionet2012-official", "physionet2012-raindrop"
REPORTED = ("auroc", "auprc", "sensitivity_at_90_specificity", "brier", "calibration_error")
HEADS = ("AUROC", "AUPRC", "sensitivity at 90 % specificity", "Brier score", "calibration error")
UNITS = {1: "coronary care", 2: "cardiac surgery", 3: "medical", 4: "surgical"}

PUBLISHED = {
    "GRU-D": ((0.819, 0.021), (0.461, 0.047)),
    "mTAND": ((0.842, 0.008), (0.482, 0.034)),
    "Raindrop": ((0.828, 0.017), (0.440, 0.030)),
    "ContiFormer": ((0.821, 0.022), (0.448, 0.035)),
    "ViTST": ((0.851, 0.008), (0.511, 0.041)),
    "Warpformer": ((0.865, 0.012), (0.543, 0.027)),
    "GraFITi": ((0.866, 0.011), (0.548, 0.031)),
    "MTM": ((0.880, 0.010), (0.586, 0.041)),
}
"""AUROC and AUPRC on Raindrop's splits, mean and deviation over splits: table 3 of arXiv 2509.17809."""

Predicted = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Targets (patients,) and logits (networks, patients, 2)."""


def networks(folder: Path, task: str) -> dict[str, dict[int, Predicted]]:
    """What each model predicted on test: by model and outer split, with one network for each seed that is done."""
    study = study_file.read(folder)
    frame = results.read(folder, study_file.run_ids(study, study_file.facts(study, folder)))
    fits = frame.filter(kind="fit", task=task, variant="matched", metric="auroc", split="test", corruption="")
    found: dict[str, dict[int, Predicted]] = {}
    for model in study.models:
        for fold in sorted(fits["fold"].unique()):
            runs = fits.filter(model=str(model), fold=fold).sort("seed")["run"].to_list()
            read = [predictions.read(folder, run)["test"] for run in runs]
            if read:
                found.setdefault(str(model), {})[fold] = (
                    read[0][0].astype(np.int64),
                    np.stack([logits for _, logits in read]).astype(np.float64),
                )
    return found


def of_floors(task: Task) -> dict[str, Predicted]:
    """What needs no network, in the form of `networks`."""
    asked = task.split("test")
    found = {
        "gradient boosting": floors.boosting_predictions(task)[asked.target_mask],
        "linear": task.linear_predictions()[asked.target_mask],
    }
    return {name: (asked.targets.astype(np.int64), logits[None].astype(np.float64)) for name, logits in found.items()}


def together(networks: Predicted) -> Predicted:
    """The networks of all seeds as one: the mean of their probabilities."""
    targets, logits = networks
    return targets, np.log(softmax(logits, axis=-1).mean(axis=0, keepdims=True))


def bootstrap(
    predicted: Mapping[str, Predicted], metrics: Sequence[str], chosen: NDArray[np.bool_], resamples: int
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Scores by model and metric, (1 + resamples,): the mean over networks first, then that of each resample."""
    found: dict[str, dict[str, list[float]]] = {model: {metric: [] for metric in metrics} for model in predicted}
    for resample in range(resamples + 1):
        draw = np.random.default_rng(resample)
        patients = np.flatnonzero(chosen)
        if resample:
            patients = draw.choice(patients, len(patients))
        for model, (targets, logits) in predicted.items():
            drawn = draw.choice(len(logits), len(logits)) if resample else np.arange(len(logits))
            for metric in metrics:
                each = {
                    number: score(metric, targets[patients], logits[number][patients]) for number in np.unique(drawn)
                }
                found[model][metric].append(float(np.mean([each[number] for number in drawn])))
    return {model: {metric: np.array(values) for metric, values in scores.items()} for model, scores in found.items()}


def interval(values: NDArray[np.float64]) -> str:
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


def in_order(scores: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> list[str]:
    return sorted(scores, key=lambda model: -scores[model]["auroc"][0])


def differences(scores: Mapping[str, Mapping[str, NDArray[np.float64]]], models: Sequence[str]) -> str:
    """A table: by how much the best of the models is ahead of every other row."""
    best = next(model for model in in_order(scores) if model in models)
    rows = [
        (model, *(interval(scores[best][metric] - scores[model][metric]) for metric in ("auroc", "auprc")))
        for model in in_order(scores)
        if model != best
    ]
    return speed.table(f"{best} minus | AUROC | AUPRC", rows)


def reliability(predicted: Mapping[str, Predicted], picture: Path) -> None:
    """Draw the share of deaths over the probability predicted, in groups of equally many patients."""
    figure, axes = plt.subplots(figsize=(6, 5))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, label="calibrated")
    for model, (targets, logits) in predicted.items():
        # All networks of a model together: every patient counts once for each.
        said = expit(logits[..., 1] - logits[..., 0]).ravel()
        there, mean = calibration_curve(
            np.tile(targets, len(logits)), said, n_bins=CALIBRATION_GROUPS, strategy="quantile"
        )
        axes.plot(mean, there, marker="o", markersize=3, linewidth=1, label=model)
    axes.set(xlabel="predicted probability of death", ylabel="share that died", xlim=(0, 0.8), ylim=(0, 0.8))
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    # Without a date, the same figures make the same file.
    figure.savefig(picture, metadata={"Date": None})


def published_beside_ours(ours: Mapping[str, Mapping[int, Predicted]], task: Task) -> str:
    def both(parts: Sequence[Predicted]) -> list[str]:
        cells = []
        for metric in ("auroc", "auprc"):
            each = [np.mean([score(metric, targets, one) for one in logits]) for targets, logits in parts]
            deviation = f" ± {np.std(each, ddof=1):.3f}" if len(each) > 1 else ""
            cells.append(f"{np.mean(each):.3f}{deviation}")
        return [*cells, str(len(parts))]

    rows = [(model, "this study", *both(list(folds.values()))) for model, folds in ours.items()]
    of_each = [of_floors(task.with_fold(fold)) for fold in range(task.folds)]
    rows += [(floor, "this study", *both([found[floor] for found in of_each])) for floor in of_each[0]]
    rows.sort(key=lambda row: row[2], reverse=True)
    rows += [
        (model, "published", *(f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in pair), "5")
        for model, pair in PUBLISHED.items()
    ]
    return speed.table("model | from | AUROC | AUPRC | splits", rows)


def main() -> None:
    """Computes everything and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where studies have their folders")
    parser.add_argument("--data", help="folder with raw data")
    parser.add_argument("--resamples", type=int, default=500)
    options = parser.parse_args()
    to = ROOT / "docs/results/icu"
    task = tasks.load(OFFICIAL, options.data)
    trained = {model: folds[0] for model, folds in networks(options.results / "icu", OFFICIAL).items()}
    predicted = {**trained, **of_floors(task)}
    asked = task.split("test")
    everyone = np.ones(len(asked), dtype=bool)
    scores = bootstrap(predicted, REPORTED, everyone, options.resamples)
    seeds = min(len(logits) for _, logits in trained.values())
    text = [
        f"Made by `python benchmarks/intensive_care.py`: means over {seeds} seeds on {len(asked):,} patients, with "
        f"95 % intervals of {options.resamples} resamples of patients and seeds.",
        "",
        speed.table(
            "model | " + " | ".join(HEADS),
            [(model, *(interval(scores[model][metric]) for metric in REPORTED)) for model in in_order(scores)],
        ),
        "Paired differences:",
        "",
        differences(scores, list(trained)),
    ]
    ensembles = {model: together(predicted[model]) for model in trained}
    of_all = bootstrap(ensembles, REPORTED, everyone, options.resamples)
    text += [
        f"The {seeds} networks of a model together, their probabilities averaged; intervals of patients alone:",
        "",
        speed.table(
            "model | " + " | ".join(HEADS),
            [(model, *(interval(of_all[model][metric]) for metric in REPORTED)) for model in in_order(of_all)],
        ),
    ]
    column = [feature.name for feature in task.features].index("ICUType")
    values = task.input_scaler.restore(asked.values)[..., column]
    unit = np.where(asked.mask[..., column].any(1), np.where(asked.mask[..., column], values, 0.0).max(1).round(), 0)
    kinds = {name: unit == number for number, name in UNITS.items()}
    apart = {name: bootstrap(predicted, REPORTED[:2], chosen, options.resamples) for name, chosen in kinds.items()}
    head = " | ".join(
        f"{name}: {chosen.sum():,} patients, {asked.targets[chosen].mean():.1%} died" for name, chosen in kinds.items()
    )
    for metric, label in (("auroc", "AUROC"), ("auprc", "AUPRC")):
        text += [
            f"{label} by the type of unit:",
            "",
            speed.table(
                f"model | {head}",
                [(model, *(interval(apart[name][model][metric]) for name in kinds)) for model in in_order(scores)],
            ),
        ]
    folder = options.results / "icu-raindrop"
    if folder.exists():
        text += [
            "Raindrop's splits, means and standard deviations over splits. Published rows are others' work, from\n"
            "table 3 of arXiv 2509.17809:",
            "",
            published_beside_ours(networks(folder, RAINDROP), tasks.load(RAINDROP, options.data)),
        ]
    to.mkdir(parents=True, exist_ok=True)
    (to / "tables.md").write_text("\n".join(text), encoding="utf-8")
    # The linear model's scores are no probabilities.
    reliability({model: found for model, found in predicted.items() if model != "linear"}, to / "reliability.svg")
    print(f"written to {to}")


if __name__ == "__main__":
    main()
