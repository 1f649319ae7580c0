"""A study's results on one task, by model.

Means, intervals and verdicts of test scores come from `liquidbench.statistics`. Other results (shifted data, learning
curves, costs) are read from the results table here, once; only what the report shows is kept, since all tasks are in
memory at the same time.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import fmean, median
from typing import Any

import polars as pl

from liquidbench import results
from liquidbench.facts import Facts
from liquidbench.metrics import Measure
from liquidbench.models import Family
from liquidbench.report.svg import Mark
from liquidbench.shifts import place_of
from liquidbench.statistics import (
    Certainty,
    Comparison,
    Interval,
    Judgement,
    Pair,
    ShiftEffect,
    Standing,
    comparable,
    floors,
    score_interval,
    test_to_train,
)
from liquidbench.wording import number

CHOSEN = ("hidden_size", "learning_rate")
"""Settings chosen by validation that the report shows."""


def decimals(half_width: float | None, size: float) -> int:
    """Number of decimals of a score.

    Up to the first digit of its interval's half-width, and one more if that digit is 1. Without an interval, two
    significant figures.

    Args:
        half_width: half of the interval's width; None or 0 for no interval.
        size: the score, used if there is no interval.

    Example:
        >>> decimals(0.034, 0.93), decimals(0.0134, 0.93), decimals(None, 0.0421)
        (2, 3, 3)
    """
    if half_width:
        places = -math.floor(math.log10(half_width))
        return min(max(places + (half_width * 10**places < 1.95), 0), 12)
    return min(max(1 - math.floor(math.log10(abs(size))), 0), 12) if size else 2


def marks(models: Sequence[str], families: Mapping[str, Family]) -> dict[str, Mark]:
    """The mark of each model, which depends only on its family and its place in it."""
    places: Counter[str] = Counter()
    found = {}
    for model in models:
        family = families.get(model, "other")
        found[model] = Mark(model, family, places[family])
        places[family] += 1
    return found


@dataclass(frozen=True)
class Spread:
    """A score over seeds, or over splits: single values, their mean, and its interval if there are several."""

    values: tuple[float, ...]
    mean: float
    interval: Interval | None


class TaskSummary:
    """One task's results.

    Args:
        name: the task's name.
        facts: facts from ``tasks.json``; ``Facts()`` if nothing is known.
        frame: results of the whole study under one matching.
        models: the mark of each model.
        comparison: statistics of the whole study.

    Attributes:
        searches: validation scores of the trials of each search, by compared model; None if a trial failed.
        policies: measurements of rollouts of the task's policies in the world of training, by policy and measurement,
            means over runs.
    """

    def __init__(
        self,
        name: str,
        facts: Facts,
        frame: pl.DataFrame | pl.LazyFrame,
        models: Mapping[str, Mark],
        comparison: Comparison,
    ):
        self.name, self.facts = name, facts
        self.title, self.metric, self.metric_label = facts.title or name, facts.metric, facts.measure.label
        self.higher = facts.higher_is_better
        rows = frame.lazy().filter(pl.col("task") == name).collect()
        present = set(rows["model"].unique())
        self.models = [model for model in models if model in present]
        self.odd = rows.filter((pl.col("status") == "failed") | pl.col("value").is_null())
        self.pairs: list[Pair] = [pair for pair in comparison.pairs if pair.task == name]
        self.judgement: Judgement | None = next(
            (one for one in comparison.verdict.judgements if one.task == name), None
        )
        self.standings: dict[tuple[str, str], Standing] = {
            (one.model, one.variant): one for one in comparison.leaderboard if one.task == name
        }
        self.splits = max((one.splits for one in self.standings.values()), default=1)
        self._marks = models
        self.spreads: dict[tuple[str, str], Spread] = {
            key: Spread(one.values, one.mean, one.interval)
            for key, one in self.standings.items()
            if one.mean is not None
        }
        self._floors = {label.removeprefix("the "): score for label, score in floors(rows, name, facts).items()}
        self.trivial, self.linear, self.constant = map(
            self._floors.get, ("trivial predictor", "linear model", "best constant")
        )
        self.searches = _searches(rows)
        done = rows.filter(pl.col("status") == "done", pl.col("value").is_finite())
        fits, costs = (done.filter(pl.col("kind") == kind) for kind in ("fit", "cost"))
        scores = pl.concat(results.main_scores(fits, {name: self.metric}, split) for split in ("test", "validation"))
        kept = scores.select("model", "variant", "split", "run", "seed", "trial", "value", *CHOSEN)
        self._scores = _Parts(kept.sort("seed", maintain_order=True), "model", "variant", "split")
        self._curves = _Parts(_curves(fits, scores), "model", "split")
        trainings = results.trainings(rows.filter(pl.col("status") == "done"))
        trainings = trainings.filter(pl.col("best").is_not_null())
        self.unit: str = next(iter(trainings["unit"]), "step")
        self._trainings = _Parts(trainings.select("model", "variant", "best", "ended"), "model", "variant")
        self._measured = _measured(fits, comparable(costs))
        self.effects: dict[str, ShiftEffect] = {one.shift: one for one in comparison.shifts if one.task == name}
        self.certainties: list[Certainty] = [one for one in comparison.certainties if one.task == name]
        self._shifted = self._on_shifted_data(fits)
        self._looped = self._in_loops(fits)
        self.policies = self._of_policies(fits)
        self._policies_judged = self._judged_policies(fits)

    @property
    def direction(self) -> str:
        """The direction of the score, in words."""
        return "higher is better" if self.higher else "lower is better"

    @property
    def over(self) -> str:
        """The unit of a score's single values: "seed", or "split" if they are means over the seeds of a split."""
        return "seed" if self.splits == 1 else "split"

    @property
    def score_label(self) -> str:
        """The score with its unit and direction, for an axis."""
        scaled = " (standardised targets)" if self.scaled else ""
        unit = "" if self.facts.metric_unit == "1" else f" in {self.facts.metric_unit}"
        return f"{self.metric_label}{unit}{scaled}, {self.direction}"

    @property
    def scaled(self) -> bool:
        """Whether the score is computed on standardised targets; measurements of rollouts are not."""
        return self.facts.standardised_targets and self.facts.selection is None

    @property
    def references(self) -> list[tuple[float, str]]:
        """`floors` with their names and scores, for lines in figures."""
        return [(score, f"{name} {self.text(score)}") for name, score in self.floors.items()]

    @property
    def floors(self) -> dict[str, float]:
        """Floors by name, with the best constant prediction if it is better than the trivial predictor."""
        ahead = self.constant is not None and (
            self.trivial is None or self.lead(self.constant - self.trivial, None)[0] > 1e-9 * abs(self.trivial)
        )
        return {name: score for name, score in self._floors.items() if ahead or name != "best constant"}

    @cached_property
    def places(self) -> int:
        """Number of decimals of all the task's scores, from a typical interval; one number, so that columns align.

        A score with a finite range, such as an accuracy, has at least as many as tell a hundredth of it.
        """
        compared = [spread for (_, variant), spread in self.spreads.items() if variant == "matched"]
        widths = [(one.interval[1] - one.interval[0]) / 2 for one in compared if one.interval]
        sizes = [abs(one.mean) for one in compared or self.spreads.values()]
        low, high = self.facts.measure.range
        least = 2 - math.floor(math.log10(high - low)) if math.isfinite(high - low) else 0
        return max(decimals(median(widths) if widths else None, median(sizes) if sizes else 0.0), least)

    def text(self, value: float, *, signed: bool = False) -> str:
        """A formatted score."""
        return number(value, self.places, signed=signed)

    def span(self, bounds: Interval | None) -> str:
        """A formatted interval, "" for none."""
        return f"[{self.text(bounds[0])}, {self.text(bounds[1])}]" if bounds else ""

    def spoken(self, label: str, spread: Spread) -> str:
        """A score in words, for tooltips and screen readers."""
        over = f"{len(spread.values)} {self.over}s" if len(spread.values) > 1 else f"one {self.over}"
        return f"{label}: {self.text(spread.mean)} {self.span(spread.interval)}".strip() + f", {over}"

    def best_first(self, variant: str) -> list[str]:
        """Models of a variant with a test score, best first."""
        found = [model for model in self.models if (model, variant) in self.spreads]
        return sorted(found, key=lambda model: self.spreads[model, variant].mean, reverse=self.higher)

    def unbeaten(self, model: str) -> bool:
        """Whether a compared model with a score can be compared with the task's best and is not shown to be worse."""
        best = self.best_first("matched")[0]
        compared = [pair for pair in self.pairs if best in (pair.first, pair.second)]
        said = [pair for pair in compared if pair.verdict != "cannot say"]
        if model == best:
            return bool(said) or not compared
        return any(model in (pair.first, pair.second) for pair in said if pair.verdict not in ("better", "worse"))

    def beats(self, model: str, score: float) -> bool:
        """Whether a compared model's mean is better than a score."""
        mean = self.spreads[model, "matched"].mean
        return mean > score if self.higher else mean < score

    def lead(self, difference: float, bounds: Interval | None) -> tuple[float, Interval | None]:
        """A difference of scores and its interval, with the sign such that better is positive."""
        if self.higher:
            return difference, bounds
        return -difference, None if bounds is None else (-bounds[1], -bounds[0])

    def mark(self, model: str, variant: str = "matched") -> Mark:
        """The mark of a model, in either variant."""
        mark = self._marks[model]
        return mark if variant == "matched" else Mark(f"{model}†", mark.family, mark.place, apart=True)

    @property
    def shifts(self) -> list[str]:
        """Keys of the shifts under which models were scored."""
        return sorted({key for _, key, _ in self._shifted}, key=place_of)

    def levels(self, shift: str) -> list[float]:
        """Levels of a shift that were measured, and 0."""
        found = {level for _, key, level in self._shifted if key == shift}
        return sorted({0.0, *found}) if found else []

    def shifted(self, model: str, shift: str, level: float) -> Spread | None:
        """A compared model's score on shifted test data; at level 0, its score on test if there is no other."""
        values = self._shifted.get((model, shift, level), ())
        if not values:
            return self.spreads.get((model, "matched")) if level == 0 else None
        return self._spread(values, self.facts.measure)

    @property
    def policies_judged(self) -> list[str]:
        """The task's policies that have the score of the verdict, the best first."""
        found = {policy: fmean(values) for (policy, key, _), values in self._policies_judged.items() if not key}
        return sorted(found, key=lambda policy: found[policy], reverse=self.higher)

    def policy(self, policy: str, world: str, level: float) -> Spread | None:
        """The score of one of the task's policies in a world, "" for that of training."""
        values = self._policies_judged.get((policy, world, level), ())
        return self._spread(values, self.facts.measure) if values else None

    def measured_in_loop(self, model: str, variant: str, measure: Measure) -> Spread | None:
        """The measurements of a model's rollouts on test."""
        values = self._looped.get((model, variant, measure.name), ())
        return self._spread(values, measure) if values else None

    def _spread(self, values: tuple[float, ...], measure: Measure) -> Spread:
        ratio = test_to_train(self.name, self.facts) if self.splits > 1 else 0.0
        return Spread(values, fmean(values), score_interval(values, measure, ratio) if len(values) > 1 else None)

    def _in_loops(self, fits: pl.DataFrame) -> dict[tuple[str, str, str], tuple[float, ...]]:
        """Measurements by model, variant and name, one per seed, or one per split as a mean over seeds.

        The score of model selection, where it has a rule of its own, is among them.
        """
        names = [measure.name for measure in (*self.facts.measurements, self.facts.selecting)]
        rows = fits.filter(pl.col("metric").is_in(names), pl.col("split") == "test", pl.col("corruption") == "")
        place = ("model", "variant", "metric")
        single = "seed" if self.splits == 1 else "fold"
        rows = rows.group_by(*place, single).agg(pl.col("value").mean()).sort(single)
        found: dict[tuple[str, str, str], tuple[float, ...]] = {}
        for model, variant, metric, value in rows.select(*place, "value").iter_rows():
            found[model, variant, metric] = (*found.get((model, variant, metric), ()), value)
        return found

    def _of_policies(self, fits: pl.DataFrame) -> dict[str, dict[str, float]]:
        names = {measure.name for measure in self.facts.measurements}
        named = pl.col("metric").cast(pl.String).str.contains(":", literal=True)
        rows = fits.filter(named, pl.col("split") == "test", pl.col("corruption") == "")
        found: dict[str, dict[str, float]] = {}
        for metric, value in sorted(rows.group_by("metric").agg(pl.col("value").mean()).iter_rows()):
            policy, _, name = metric.partition(":")
            if name in names:
                found.setdefault(policy, {})[name] = value
        return found

    def _judged_policies(self, fits: pl.DataFrame) -> dict[tuple[str, str, float], tuple[float, ...]]:
        """Main scores by policy, key of the world and level, one per seed, or one per split as a mean over seeds."""
        named = pl.col("metric").cast(pl.String)
        own = named.str.ends_with(results.policy_metric("", self.metric))
        rows = fits.filter(own, pl.col("split") == "test").with_columns(named)
        single, place = "seed" if self.splits == 1 else "fold", ("metric", "corruption", "level")
        found: dict[tuple[str, str, float], tuple[float, ...]] = {}
        rows = rows.group_by(*place, single).agg(pl.col("value").mean()).sort(single)
        for name, key, level, value in rows.select(*place, "value").iter_rows():
            at = (name.partition(":")[0], key, round(level, 9))
            found[at] = (*found.get(at, ()), value)
        return found

    def _on_shifted_data(self, fits: pl.DataFrame) -> dict[tuple[str, str, float], tuple[float, ...]]:
        """Scores by compared model, key of the shift and level, one per seed, or one per split as a mean over seeds."""
        rows = fits.filter(pl.col("metric") == self.metric, pl.col("split") == "test", pl.col("corruption") != "")
        place = ("model", "corruption", "level")
        single = "seed" if self.splits == 1 else "fold"
        rows = rows.filter(pl.col("variant") == "matched").group_by(*place, single).agg(pl.col("value").mean())
        found: dict[tuple[str, str, float], tuple[float, ...]] = {}
        for model, shift, level, value in rows.sort(single).select(*place, "value").iter_rows():
            key = (model, shift, round(level, 9))
            found[key] = (*found.get(key, ()), value)
        return found

    def learning(self, model: str, split: str) -> list[list[tuple[float, float]]]:
        """Loss by step of each run, (step, loss), for the chosen trial; see `unit`."""
        threads: dict[str, list[tuple[float, float]]] = {}
        for run, place, loss in self._curves.of(model, split).select("run", "place", "value").iter_rows():
            threads.setdefault(run, []).append((float(place), loss))
        return list(threads.values())

    def trained(self, model: str) -> int:
        """Number of runs of a compared model with a test score."""
        return self._scores.of(model, "matched", "test").height

    def cost(self, model: str, variant: str, metric: str) -> float | None:
        """A measured cost, the median if there are several; parameters are also taken from the fits."""
        return self._measured.get((model, variant), {}).get(metric)

    def chosen(self, model: str, variant: str, column: str) -> list[Any]:
        """A column of `CHOSEN` for the finished fits, one value per seed."""
        return self._scores.of(model, variant, "test")[column].drop_nulls().to_list()

    def best_places(self, model: str, variant: str) -> list[float]:
        """The step, or epoch, that validation chose, one per seed; see `unit`."""
        return self._trainings.of(model, variant)["best"].to_list()

    def ended(self, model: str, variant: str) -> list[str]:
        """Why the trainings of the chosen trials ended, one per seed."""
        return self._trainings.of(model, variant)["ended"].drop_nulls().to_list()

    def validation(self, model: str, variant: str) -> float | None:
        """Mean validation score of the fits that have a test score."""
        values = self._scores.of(model, variant, "validation")["value"].to_list()
        return math.fsum(values) / len(values) if values else None

    def outdone(self, costs: Mapping[str, float]) -> dict[str, str]:
        """For each compared model with a cost, the model that dominates it in cost and score; see `outdone`."""
        return outdone(costs, {model: self.lead(self.spreads[model, "matched"].mean, None)[0] for model in costs})


class _Parts:
    """Rows grouped by some columns; each group is a view of one sorted table."""

    def __init__(self, rows: pl.DataFrame, *columns: str):
        self.rows = rows.sort(columns, maintain_order=True)
        counts = self.rows.group_by(columns, maintain_order=True).len().rows()
        ends = accumulate(count for *_, count in counts)
        self._places = {tuple(key): (end - count, count) for (*key, count), end in zip(counts, ends, strict=True)}

    def of(self, *key: str) -> pl.DataFrame:
        return self.rows.slice(*self._places.get(key, (0, 0)))


def outdone(costs: Mapping[str, float], gains: Mapping[str, float]) -> dict[str, str]:
    """For each model, the one that dominates it in cost (lower is better) and gain (higher is better); "" if none does.

    If several dominate a model, it is the best of them, and of equally good ones the cheapest.

    Example:
        >>> outdone({"A": 1.0, "B": 2.0, "C": 3.0}, {"A": 0.9, "B": 0.8, "C": 0.95})
        {'A': '', 'B': 'A', 'C': ''}
    """
    found = {}
    for model, cost in costs.items():
        rivals = [
            rival
            for rival, other in costs.items()
            if other <= cost and gains[rival] >= gains[model] and (other, gains[rival]) != (cost, gains[model])
        ]
        found[model] = max(rivals, key=lambda rival: (gains[rival], -costs[rival]), default="")
    return found


def _curves(fits: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Losses by step, or epoch, of the trainings behind the compared models' test scores."""
    chosen = scores.filter(pl.col("split") == "test", pl.col("variant") == "matched").select("run", "trial")
    losses = fits.filter(pl.col("metric") == "loss", results.PLACE.is_not_null())
    losses = losses.with_columns(place=results.PLACE).join(chosen, on=("run", "trial"), how="semi", nulls_equal=True)
    return losses.sort("fold", "seed", "place").select("model", "split", "run", "place", "value")


def _measured(fits: pl.DataFrame, costs: pl.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Median costs by model and variant."""
    sizes = fits.drop_nulls("parameters").select("model", "variant", metric=pl.lit("parameters"), value="parameters")
    found: dict[tuple[str, str], dict[str, float]] = {}
    for rows in (sizes, costs):
        medians = rows.group_by("model", "variant", "metric").agg(pl.col("value").median())
        for model, variant, metric, value in medians.iter_rows():
            found.setdefault((model, variant), {})[metric] = value
    return found


def _searches(rows: pl.DataFrame) -> dict[str, list[list[float | None]]]:
    matched = rows.filter(pl.col("kind") == "fit", pl.col("variant") == "matched")
    scores = matched.filter(pl.col("metric") == "trial_score").sort("model", "seed", "run", "trial")
    found: dict[str, dict[str, list[float | None]]] = {}
    for model, run, value in scores.select("model", "run", "value").iter_rows():
        sound = value if value is not None and math.isfinite(value) else None
        found.setdefault(model, {}).setdefault(run, []).append(sound)
    return {model: list(searches.values()) for model, searches in found.items()}
