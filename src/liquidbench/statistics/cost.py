"""What a better score costs: cost ratios, and the gain per doubling of cost."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from liquidbench.statistics.inference import Interval, gain_per_doubling


@dataclass(frozen=True)
class Cost:
    """Names and unit of a measured cost.

    Attributes:
        name: its name in a sentence.
        head: the head of its column in a table.
        axis: the label of its axis in a figure.
        unit: see `liquidbench.report.svg.quantity`.
        scale: factor that converts the metric to that unit.
    """

    name: str
    head: str
    axis: str
    unit: str
    scale: float = 1.0


OTHER_LOAD = "other_load"
"""Cores that other programs used while times were measured."""

REFERENCE = "reference"
"""The backend that is plain PyTorch, of `liquidrnn.backends`."""

BUSY = 0.2
"""Cores of other programs above which times are not believed without a warning."""

COSTS: Mapping[str, Cost] = {
    "parameters": Cost("parameters", "Parameters", "Trained parameters", "1"),
    "seconds_per_epoch": Cost("training time", "One epoch", "Time for one training epoch", "s"),
    "training_sequences_per_second": Cost(
        "speed in training", "Sequences, training", "Sequences a second in training", "/s"
    ),
    "inference_sequences_per_second": Cost("speed in use", "Sequences, use", "Sequences a second in use", "/s"),
    "step_latency_us": Cost("time of a step", "One step", "Time for one step in use", "s", 1e-6),
    "training_memory_bytes": Cost("training memory", "Memory, training", "Peak memory in training", "B"),
    "saved_for_backward_bytes": Cost("memory for backward", "Kept for backward", "Memory kept for backward", "B"),
    "inference_memory_bytes": Cost("memory in use", "Memory, use", "Peak memory in use", "B"),
    "training_energy_joules": Cost("training energy", "Energy, one epoch", "Energy for one training epoch", "J"),
    OTHER_LOAD: Cost("load of other programs", "Other programs", "Cores that other programs used", "cores"),
}
"""The measured costs by metric, in the order of tables."""

WEIGHED = (
    "seconds_per_epoch",
    "step_latency_us",
    "training_memory_bytes",
    "inference_memory_bytes",
    "training_energy_joules",
    "parameters",
)
"""The costs that scores are compared with."""

SAME_COST = 1.1
"""Costs up to this ratio count as equal: repeated timings differ by as much."""

COST_RULE = (
    "What a better score costs: the gain for each doubling of cost, given only where a model is better and costs more. "
    "It is a rate between two points, not a scaling law. Costs within a tenth of each other count as equal. Costs are "
    "taken as exact: the interval is that of the gain."
)


@dataclass(frozen=True)
class Price:
    """The cost of one model's lead over another, on a task or over tasks.

    Attributes:
        cost: one of `WEIGHED`.
        first: name of the first model.
        second: name of the second model.
        ratio: the first's cost divided by the second's; over tasks the geometric mean.
        gain: the first's lead over the second, positive if it is better, in units of the score; over tasks the mean, in
            units of the smallest difference that counts.
        per_doubling: gain of the better model per doubling of cost, in the unit of `gain`; None if no model is shown to
            be better, or the better one costs no more.
        interval: interval of `per_doubling`, from that of the gain; costs are taken as exact.
        sentence: the result in words, by fixed thresholds.
    """

    cost: str
    first: str
    second: str
    ratio: float
    gain: float
    per_doubling: float | None
    interval: Interval | None
    sentence: str


def fallbacks(rows: pl.DataFrame) -> list[str]:
    """The models of a task whose costs were measured in plain PyTorch while compiled kernels ran others, sorted."""
    costs = rows.filter(pl.col("kind") == "cost", pl.col("status") == "done").drop_nulls("backend")
    plain = costs.filter(pl.col("backend") == REFERENCE)
    return sorted(plain["model"].unique()) if plain.height < costs.height else []


def comparable(costs: pl.DataFrame) -> pl.DataFrame:
    """The rows of a task's costs without time, memory and energy of `fallbacks`: these measure the implementation."""
    plain = pl.col("model").is_in(fallbacks(costs)) & (pl.col("backend") == REFERENCE).fill_null(False)
    return costs.filter(~plain | pl.col("metric").is_in(["parameters", "deployed_bytes"]))


def measured(rows: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Positive costs of a task's matched models, by model, then by the key of `COSTS`."""
    matched = rows.filter(pl.col("variant") == "matched", pl.col("status") == "done")
    # Fits have sizes even if the study has no cost measurements.
    fits = matched.filter(pl.col("kind") == "fit", pl.col("parameters") > 0)
    sizes = fits.group_by("model").agg(pl.col("parameters").median())
    found = {model: {"parameters": size} for model, size in sizes.iter_rows()}
    costs = matched.filter(pl.col("kind") == "cost", pl.col("metric").is_in(WEIGHED), pl.col("value") > 0)
    for model, metric, value in comparable(costs).group_by("model", "metric").agg(pl.col("value").median()).iter_rows():
        found.setdefault(model, {})[metric] = value
    return found


def loads(rows: pl.DataFrame) -> list[float]:
    """Cores that other programs used during each measurement of a task's costs."""
    return rows.filter(pl.col("kind") == "cost", pl.col("metric") == OTHER_LOAD)["value"].drop_nulls().to_list()


def prices(
    first: str,
    second: str,
    costs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
    gains: Sequence[float],
    interval: Interval | None,
    verdict: str,
    words: Callable[[float], str],
) -> tuple[Price, ...]:
    """Compare a lead with each cost that was measured for both models on all tasks.

    Args:
        first: name of the first model.
        second: name of the second model.
        costs: costs of both models on each task.
        gains: the first's lead on each task.
        interval: interval of the mean gain.
        verdict: verdict on the first: "better", "worse", "equivalent", "no difference shown", "floor not beaten" or
            "cannot say".
        words: formats a gain per doubling.
    """
    found = []
    for cost in WEIGHED:
        if not costs or not all(cost in one and cost in other for one, other in costs):
            continue
        ratios = [one[cost] / other[cost] for one, other in costs]
        ratio = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
        rate, bounds = None, None
        if (verdict == "better" and ratio > SAME_COST) or (verdict == "worse" and ratio < 1 / SAME_COST):
            rate = gain_per_doubling(gains, ratios)
            if interval is not None:
                low, high = sorted(end / math.log2(ratio) for end in interval)
                bounds = low, high
        found.append(
            Price(
                cost=cost,
                first=first,
                second=second,
                ratio=ratio,
                gain=math.fsum(gains) / len(gains),
                per_doubling=rate,
                interval=bounds,
                sentence=_sentence(
                    first, second, COSTS[cost].name, ratio, verdict, "" if rate is None else words(rate)
                ),
            )
        )
    return tuple(found)


def _sentence(first: str, second: str, label: str, ratio: float, verdict: str, rate: str) -> str:
    if verdict in ("better", "worse"):
        winner, loser, times = (first, second, ratio) if verdict == "better" else (second, first, 1 / ratio)
        better = f"{winner} {_verb(winner, 'is', 'are')} better than {loser}"
        if times > SAME_COST:
            return f"{better} at {_times(times)} the {label}: {rate} for each doubling."
        if times < 1 / SAME_COST:
            return f"{better} at {_times(times)} the {label}: there is no trade-off."
        return f"{better} at about the same {label}."
    dear, cheap, times = (first, second, ratio) if ratio >= 1 else (second, first, 1 / ratio)
    if times <= SAME_COST:
        return f"{first} and {second} are about equal in {label}."
    ending = {
        "equivalent": "for an equivalent score",
        "no difference shown": "for no gain that was shown",
        "floor not beaten": "for a score that takes no network",
        "cannot say": "and the scores cannot be compared",
    }
    return f"{dear} {_verb(dear, 'has', 'have')} {_times(times)} the {label} of {cheap}, {ending[verdict]}."


def _verb(name: str, one: str, many: str) -> str:
    """The form that fits a model, or the networks of a family."""
    return many if name.endswith(" networks") else one


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"
