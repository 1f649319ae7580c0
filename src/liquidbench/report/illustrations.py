"""The report's figures with their captions: what is drawn, and in words drawn from the same numbers what to see."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from liquidbench.report import figures
from liquidbench.report.evidence import Evidence, decimals
from liquidbench.report.figures import quantity
from liquidbench.statistics import linear_model, number

COSTS = (
    ("parameters", "Trained parameters", "1"),
    ("training_memory_bytes", "Peak memory in training", "B"),
    ("seconds_per_epoch", "Time for one training epoch", "s"),
)
CORRUPTIONS = (
    ("removed_steps", "Steps removed from each sequence"),
    ("noise", "Noise added to each feature, in its standard deviations"),
)


@dataclass(frozen=True)
class Figure:
    """A drawing and the words under it."""

    svg: str
    caption: str


def scores(evidence: Evidence) -> Figure | None:
    """Every model's test score: seeds, mean and interval."""
    rows = []
    for variant in ("matched", "author"):
        for model in evidence.best_first(variant):
            spread, mark = evidence.spreads[model, variant], evidence.mark(model, variant)
            text = evidence.spoken(mark.label, spread)
            rows.append(figures.Row(mark, spread.values, spread.mean, spread.interval, text))
    if not rows:
        return None
    words = []
    compared = evidence.best_first("matched")
    if compared:
        best = evidence.text(evidence.spreads[compared[0], "matched"].mean)
        words.append(f"{compared[0]} has the best mean, {best}." if len(compared) > 1 else f"Mean {best}.")
    for score, beaten in (
        (evidence.trivial, "To have learnt anything a model must beat the trivial predictor"),
        (evidence.linear, f"To have used more than that, it must beat {linear_model(evidence.facts)}"),
    ):
        if compared and score is not None:
            words.append(f"{beaten}, {evidence.text(score)}: {_who_beats(evidence, compared, score)}.")
    words.append(
        "Dots are seeds, the large mark is their mean, the bar its 95 % interval."
        if any(len(row.values) > 1 for row in rows)
        else "One seed each, so there are no intervals: what another seed would give is unknown."
    )
    if any(row.mark.apart for row in rows):
        words.append("† At a published size and rate, outside the comparison.")
    title = f"Test scores on {evidence.title}"
    return Figure(figures.strip(title, rows, evidence.score_label, evidence.references), " ".join(words))


def _who_beats(evidence: Evidence, models: Sequence[str], score: float) -> str:
    """In words, whose mean is better than a score."""
    beaten = sum(evidence.beats(model, score) for model in models)
    if beaten == len(models):
        return "every mean does" if beaten > 1 else "it does"
    return f"{beaten} of {len(models)} means do" if beaten else "none does"


def costs(evidence: Evidence) -> list[str]:
    """Score against each cost that was measured."""
    drawn = []
    for metric, label, unit in COSTS:
        points = []
        for (model, variant), spread in evidence.spreads.items():
            cost = evidence.cost(model, variant, metric)
            if cost:
                mark = evidence.mark(model, variant)
                text = f"{evidence.spoken(mark.label, spread)}; {label.lower()}: {quantity(cost, unit)}"
                compared = evidence.spreads.get((model, "matched"))
                origin = evidence.cost(model, "matched", metric) if mark.apart else None
                at = (origin, compared.mean) if origin and compared else None
                points.append(figures.Point(mark, cost, spread.mean, spread.interval, text, at))
        if points:
            title = f"{evidence.title}: {evidence.metric_label} against {label.lower()}"
            better = "up" if evidence.higher else "down"
            score_label = f"{evidence.metric_label}, {evidence.direction}"
            axes = (score_label, label, unit, evidence.references, better)
            drawn.append(figures.scatter(title, points, *axes))
    return drawn


def cost_caption(study: Sequence[Evidence]) -> str:
    """What the costs of all tasks show; "" where there is no score to set against them."""
    words = []
    for metric, label, unit in COSTS:
        found: dict[str, list[float]] = {}
        for evidence in study:
            for model in evidence.best_first("matched"):
                if cost := evidence.cost(model, "matched", metric):
                    found.setdefault(model, []).append(cost)
        if not found:
            words.append(f"{label}: not measured yet.")
        elif metric == "parameters":
            low, high = min(map(min, found.values())), max(map(max, found.values()))
            words.append(f"Compared models train {quantity(low, unit)} to {quantity(high, unit)} parameters.")
        elif len(found) > 1:
            typical = {model: median(costs) for model, costs in found.items()}
            least, most = min(typical, key=typical.__getitem__), max(typical, key=typical.__getitem__)
            ratio = typical[most] / typical[least]
            words.append(
                f"{label}: least with {least} ({quantity(typical[least], unit)}), most with {most} "
                f"({number(ratio, 1 if ratio < 10 else 0)} times as much)."
            )
    if not any(evidence.spreads for evidence in study):
        return ""
    words.append("The higher and the further left, the better; costs are on logarithmic axes.")
    if any(variant == "author" for evidence in study for _, variant in evidence.spreads):
        words.append("Faint marks, joined to the model: † at a published size and rate, outside the comparison.")
    return " ".join(words)


def learning(evidence: Evidence) -> list[Figure]:
    """Training and validation loss by epoch, with the learning rate that was chosen."""
    found = []
    for split, label in (("train", "Training loss"), ("validation", "Validation loss")):
        series, lowest = [], []
        for model in evidence.best_first("matched"):
            threads = evidence.learning(model, split)
            if not threads:
                continue
            # The mean ends where the first seed stopped: beyond, it would jump as seeds drop out.
            together = list(zip(*threads, strict=False))
            x = [epochs[0][0] for epochs in together]
            y = [math.fsum(loss for _, loss in epochs) / len(threads) for epochs in together]
            low, epoch = min(zip(y, x, strict=True))
            lowest.append((low, epoch, model))
            places = decimals(None, low) + 1
            texts = [f"{model}, epoch {at:.0f}: {number(loss, places)}" for at, loss in zip(x, y, strict=True)]
            series.append(figures.Series(evidence.mark(model), x, y, [None] * len(x), texts, threads))
        if not series:
            continue
        loss, epoch, model = min(lowest)
        words = [f"{label} falls lowest for {model}, to {number(loss, decimals(None, loss))} in epoch {epoch:.0f}."]
        if any(len(one.threads) > 1 for one in series):
            words.append("Thick: the mean, until the first seed stops. Thin: each seed to its own end.")
        shown, trained = len(series[0].threads), len(evidence.spreads[series[0].mark.label, "matched"].values)
        if shown < trained:
            words.append(f"Only the first {shown} of {trained} seeds.")
        kind = "cross-entropy in nats" if evidence.facts.get("kind") == "classification" else "mean squared error"
        title = f"{label} by epoch on {evidence.title}"
        drawing = figures.curves(title, series, "Epoch", f"{label} ({kind})", whole_steps=True)
        found.append(Figure(drawing, " ".join(words)))
    return found


def robustness(evidence: Evidence) -> list[Figure]:
    """The test score as test data are damaged."""
    found = []
    for corruption, label in CORRUPTIONS:
        levels = evidence.levels(corruption)
        series, losses = [], []
        for model in evidence.best_first("matched"):
            spreads = {level: evidence.damaged(model, corruption, level) for level in levels}
            measured = {level: spread for level, spread in spreads.items() if spread}
            if len(measured) < 2:
                continue
            series.append(
                figures.Series(
                    evidence.mark(model),
                    list(measured),
                    [spread.mean for spread in measured.values()],
                    [spread.interval for spread in measured.values()],
                    [
                        evidence.spoken(f"{model}, {damage(corruption, level)}", spread)
                        for level, spread in measured.items()
                    ],
                )
            )
            clean, worst = spreads[levels[0]], spreads[levels[-1]]
            if clean and worst:
                losses.append((evidence.lead(worst.mean - clean.mean, None)[0], worst.mean - clean.mean, model))
        if not series:
            continue
        words = []
        if len(losses) > 1:
            (_, large, most), (_, small, least) = min(losses), max(losses)
            words.append(
                f"With {damage(corruption, levels[-1])}, {least} is harmed least ({evidence.text(small, signed=True)}) "
                f"and {most} most ({evidence.text(large, signed=True)})."
            )
        words.append("All were trained on whole data.")
        if corruption == "removed_steps":
            words.append("A removed step is gone; its time is added to the next span.")
        if any(bounds for one in series for bounds in one.intervals):
            words.append("Bars are 95 % intervals, set side by side.")
        title = f"{evidence.metric_label} on {evidence.title}: {label.lower()}"
        drawing = figures.curves(
            title,
            series,
            label,
            evidence.score_label,
            references=evidence.references,
            percent=corruption == "removed_steps",
        )
        found.append(Figure(drawing, " ".join(words)))
    return found


def damage(corruption: str, level: float) -> str:
    """A level of a corruption in words."""
    if corruption == "removed_steps":
        return f"{100 * level:.3g} % of steps removed" if level else "no step removed"
    return f"noise of {level:g} standard deviation{'' if level == 1 else 's'}" if level else "no noise"
