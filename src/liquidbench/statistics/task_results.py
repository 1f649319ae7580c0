"""The results of one task: read from a table, paired by seed and outer split, and compared in pairs of models."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench import results
from liquidbench.facts import Facts
from liquidbench.models import Family
from liquidbench.shifts import place_of
from liquidbench.statistics.cost import Price, fallbacks, loads, measured, prices
from liquidbench.statistics.inference import (
    Estimate,
    Interval,
    best_of,
    combined,
    differences,
    estimate,
    jackknife,
    mean_interval,
    places,
    score_interval,
    variance_of_best,
)
from liquidbench.statistics.pairs import FAMILIES_COMPARED, FEWEST_SEEDS, Pair, family_words
from liquidbench.wording import counted, number, significant

FEWEST_SPLITS = 5
"""Smallest number of outer splits to use splits as pairs; with fewer, only very large differences could be shown."""

FEWEST_RECORDINGS = 5
"""Smallest number of test recordings for claims about other recordings."""

FoldAndSeed = tuple[int, int]
"""Identifies a run of one model and variant."""

Weights = Mapping[FoldAndSeed, Mapping[str, float]]
"""For each run, the weights of the models whose test scores count."""

Without = Callable[[str], NDArray[np.float64] | None]
"""Returns a run's test score without each block of test recordings (`liquidbench.predictions.scores_without`)."""

Shifted = Mapping[str, Mapping[FoldAndSeed, Mapping[float, float]]]
"""Test scores under one shift, by matched model, run and level."""

FLOORS = {
    "trivial": "the trivial predictor",
    "linear": "the linear model",
    "boosting": "gradient boosting",
    "convolution": "MiniRocket",
}
"""Floors by their metric in results, with their names in sentences."""

CONSTANT = "the best constant"
"""The best score of a constant prediction: see `liquidbench.facts.Facts.constant`."""

CHEAP = "one search serves all seeds (mode: cheap), so what another search would have chosen is unknown"

ORACLE = "test itself chose settings and steps (selection: oracle), so scores say what could be reached, not what is"

SELECTIONS = {
    "validation": "validation score, other seeds",
    "test": "test score, other seeds (an oracle)",
    "": "no choice, the family's mean",
}
"""How a family's networks are chosen; verdicts use the first, reports also show the others."""


@dataclass(frozen=True)
class Standing:
    """The result of a model on one task.

    Attributes:
        task: the task's name.
        model: the model's name.
        variant: "matched", or "author" for a row outside ranks and verdicts.
        family: the model's family.
        mean: mean of `values`; None without values.
        interval: interval of the mean (`mean_interval`), clipped to the range of the score; None with fewer than two
            values.
        values: test scores, one per seed; with several outer splits, means over the seeds of each split.
        splits: number of outer splits that the task was run on.
        seeds: number of runs that finished with a finite score.
        failures: number of runs that failed, or finished without a finite score.
        rank: mean rank over seeds, by `RANKING_RULE`; None if it cannot be ranked.
    """

    task: str
    model: str
    variant: str
    family: Family
    mean: float | None
    interval: Interval | None
    seeds: int
    failures: int
    rank: float | None
    values: tuple[float, ...] = ()
    splits: int = 1


@dataclass(frozen=True, slots=True)
class _Scores:
    """One run's scores; NaN if it failed. `selecting` is the validation score that chose the network."""

    test: float
    validation: float
    run: str = ""
    selecting: float = math.nan


@dataclass(frozen=True, slots=True)
class Training:
    """How a training that was scored ended; see `liquidbench.results.trainings`."""

    learning_rate: float
    length: int
    unit: str
    ended: str
    best: int
    improving: bool


CIRCUMSTANCES: Mapping[str, Sequence[str]] = {
    "fit": ("version", "torch", "instruction_set", "backend"),
    "cost": ("machine", "threads", "torch", "version", "instruction_set", "backend"),
}
"""By kind of run, columns that should be equal for all models of a task; ``backend`` within each model."""


@dataclass(frozen=True)
class Trainings:
    """How the trainings of a matched model ended.

    Attributes:
        number: number of trainings, including all trials.
        cut: steps, or epochs, of each training that the time limit ended.
        chosen: the trainings that were scored, one per run.
        unit: "step" or "epoch".
    """

    number: int = 0
    cut: Sequence[float] = ()
    chosen: Sequence[Training] = ()
    unit: str = "step"


class TaskResults:
    """The scores of the runs on one task, by model."""

    def __init__(
        self,
        name: str,
        cells: Mapping[tuple[str, str], Mapping[FoldAndSeed, _Scores]],
        facts: Facts | None,
        trainings: Mapping[str, Trainings],
        floors: Mapping[str, float],
        costs: Mapping[str, Mapping[str, float]],
        fallbacks: Sequence[str],
        loads: Sequence[float],
        circumstances: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]],
        smallest_difference: float,
        families: Mapping[str, Family],
        cheap: bool = False,
        oracle: bool = False,
        without: Without | None = None,
        shifted: Mapping[str, Shifted] | None = None,
        policies: Mapping[str, Mapping[str, Mapping[float, float]]] | None = None,
    ):
        self.shifted, self.policies = shifted or {}, policies or {}
        self.name, self.cells, self.trainings, self.floors, self.cheap = name, cells, trainings, floors, cheap
        self.costs, self.circumstances, self.families, self.oracle = costs, circumstances, families, oracle
        self.fallbacks, self.loads = fallbacks, loads
        told = facts or Facts()
        self.facts, self._without = told, without
        self.title, self.warnings, self.measure = told.title or name, told.warnings, told.measure
        self.higher = told.higher_is_better
        label = self.measure.label
        self.words = label[:1].lower() + label[1:]
        self.models = [model for model, variant in cells if variant == "matched"]
        self.splits = len({fold for runs in cells.values() for fold, _ in runs})
        self.test_to_train = test_to_train(name, facts) if self.splits > 1 and facts else 0.0
        self.margin = smallest_difference
        # Without a largest value a score has no known scale either.
        if not self.higher or math.isinf(self.measure.range[1]):
            reference = self.representative(["recurrent"]) or self.representative(
                ["liquid", "other", "control", "yours"]
            )
            self.margin *= abs(self.mean(reference)) if reference else 1.0

    def words_of(self, score: float) -> str:
        """A score with the name of its metric."""
        return f"{self.words} {number(score, significant([score]))}"

    def members(self, families: Collection[str]) -> list[str]:
        """The matched models of the given families."""
        return [model for model in self.models if self.families.get(model, "other") in families]

    def ahead(self, one: float, other: float) -> bool:
        """Whether a score is better than another."""
        return one > other if self.higher else one < other

    def scores(self, model: str, variant: str = "matched") -> dict[FoldAndSeed, float]:
        """Test scores of the runs that did not fail."""
        found = {run: cell.test for run, cell in self.cells[model, variant].items()}
        return {run: score for run, score in found.items() if math.isfinite(score)}

    def values(self, scores: Mapping[FoldAndSeed, float]) -> list[float]:
        """The scores with one split; with several, means over the seeds of each split."""
        if self.splits == 1:
            return [scores[run] for run in sorted(scores)]
        folds = sorted({fold for fold, _ in scores})
        return [fmean(score for (fold, _), score in scores.items() if fold == one) for one in folds]

    def mean(self, model: str) -> float:
        """Mean test score of a matched model with scores."""
        return fmean(self.values(self.scores(model)))

    def failures(self, model: str, variant: str = "matched") -> int:
        """Number of runs of a model that failed or have no finite score."""
        return len(self.cells[model, variant]) - len(self.scores(model, variant))

    def shown_ahead(self, model: str, reference: float) -> bool:
        """Whether the whole interval of a model's mean is better than a fixed score."""
        values = self.values(self.scores(model))
        bounds = mean_interval(values, test_to_train=self.test_to_train) if len(values) > 1 else ()
        return bool(bounds) and all(self.ahead(end, reference) for end in bounds)

    def trainings_of(self, model: str) -> Trainings:
        """How the trainings of a model ended; none in results of early versions."""
        return self.trainings.get(model, Trainings())

    @property
    def floor(self) -> tuple[str, float] | None:
        """The best floor: its name and score."""
        if not self.floors:
            return None
        return (max if self.higher else min)(self.floors.items(), key=lambda floor: floor[1])

    def cut_short(self, model: str) -> str:
        """A sentence part if the time limit ended a scored training of a model, else ""."""
        chosen = self.trainings_of(model).chosen
        cut = sum(training.ended == "minutes" for training in chosen)
        return f"the time limit ended {cut} of {len(chosen)} chosen trainings of {model}" if cut else ""

    def runs_of_all(self, models: Sequence[str]) -> list[FoldAndSeed]:
        """The splits and seeds that all of the given matched models have run."""
        runs = [set(self.cells.get((model, "matched"), {})) for model in models]
        return sorted(set.intersection(*runs)) if runs else []

    def candidates(self, families: Collection[str]) -> list[str]:
        """The matched models of the given families with the fewest failures, on the runs that all models have done."""
        members = {model: self._finished(model) for model in self.members(families)}
        most = max(map(len, members.values()), default=0)
        return [model for model, runs in members.items() if most and len(runs) == most]

    def representative(self, families: Collection[str]) -> str | None:
        """The model with the best mean validation score over all seeds, the first in the study's order if several tie.

        It is the model that a user would choose. Verdicts do not use its score, which this choice biases upwards.
        """
        candidates = self.candidates(families)
        common = sorted(set.intersection(*map(self._finished, candidates))) if candidates else []

        def key(model: str) -> float:
            mean = fmean(self.values({run: self.cells[model, "matched"][run].validation for run in common}))
            return -mean if self.higher else mean

        return min(candidates, key=key) if common else None

    def _finished(self, model: str) -> set[FoldAndSeed]:
        """The runs of a matched model with both scores, among those that all matched models have done."""
        cells = self.cells[model, "matched"]
        return {
            run
            for run in self.runs_of_all(self.models)
            if math.isfinite(cells[run].test) and math.isfinite(cells[run].validation)
        }

    def pair(self, first: str, second: str) -> Pair:
        """Two matched models over the runs that both finished; p and verdict are still uncorrected."""
        runs = self.scores(first).keys() & self.scores(second).keys()
        planned = self.cells[first, "matched"].keys() | self.cells[second, "matched"].keys()
        sides = [dict.fromkeys(runs, {model: 1.0}) for model in (first, second)]
        return self._compared((first, second), (sides[0], sides[1]), len(planned) - len(runs))

    def against(self, other: "TaskResults", models: Sequence[str]) -> Pair:
        """The mean of some matched models on this task and on another form of it; p and verdict are still uncorrected.

        Args:
            other: results on data with the same test recordings and targets.
            models: models with runs on both.
        """
        joined, sides = copy(self), []
        joined.cells, joined.trainings, joined.cheap = {}, {}, self.cheap or other.cheap
        joined.oracle = self.oracle or other.oracle
        for task in (self, other):
            found = {f"{model} on {task.name}": model for model in models}
            joined.cells |= {(name, "matched"): task.cells[model, "matched"] for name, model in found.items()}
            joined.trainings |= {name: task.trainings_of(model) for name, model in found.items()}
            sides.append(dict.fromkeys(found, 1 / len(models)))
        runs = set.intersection(*(set(joined.scores(name)) for name, _ in joined.cells))
        planned = {run for cells in joined.cells.values() for run in cells}
        weights = dict.fromkeys(runs, sides[0]), dict.fromkeys(runs, sides[1])
        return joined._compared((self.name, other.name), weights, len(planned) - len(runs))

    def judged_by(self, losses: Mapping[str, Mapping[FoldAndSeed, float]]) -> "TaskResults":
        """The same runs judged by a loss in units of the score, of which less is better.

        Args:
            losses: by matched model and run; a run without one counts as not finished.
        """
        other = copy(self)
        other.higher, other._without = False, None
        other.cells = {
            (model, "matched"): {
                run: _Scores(found.get(run, math.nan), math.nan, cell.run)
                for run, cell in self.cells[model, "matched"].items()
            }
            for model, found in losses.items()
        }
        return other

    def under(self, keys: Sequence[str]) -> "TaskResults":
        """The same runs judged by their scores under some shifts: means over the levels of each, then over the shifts.

        Args:
            keys: keys of `shifted`. A run without a score at every level of each counts as not finished.
        """
        levels = {
            key: {level for runs in self.shifted[key].values() for found in runs.values() for level in found if level}
            for key in keys
        }

        def score(model: str, run: FoldAndSeed) -> float:
            known = {key: self.shifted[key].get(model, {}).get(run, {}) for key in keys}
            if not all(known[key].keys() >= levels[key] for key in keys):
                return math.nan
            return fmean(fmean(known[key][level] for level in sorted(levels[key])) for key in keys)

        other = copy(self)
        # The recordings of test have no part in what happens in another world.
        other._without = None
        other.cells = {
            (model, variant): {run: replace(cell, test=score(model, run)) for run, cell in runs.items()}
            for (model, variant), runs in self.cells.items()
            if variant == "matched"
        }
        return other

    def family_pair(self, selection: str = "validation") -> Pair | None:
        """Liquid against recurrent networks; None if a family has no network that can be compared.

        With n networks of one family and m of the other, each family is represented by the best of k = min(n, m) of its
        networks, averaged over all subsets of k, since the best of more networks is better by chance alone. The choice
        for one seed uses all other seeds of its split, so that the counted scores are not biased by the choice. If a
        family has several networks, their variance is a source of error, since other networks might have been run.

        Args:
            selection: a key of `SELECTIONS`.
        """
        members = [self.candidates([family]) for family in FAMILIES_COMPARED]
        if not all(members):
            return None
        runs = sorted(set.intersection(*(self._finished(model) for models in members for model in models)))
        k = min(map(len, members)) if selection else 1
        names = [
            models[0] if len(models) == 1 else family for models, family in zip(members, FAMILIES_COMPARED, strict=True)
        ]
        planned = {run for models in members for model in models for run in self.cells[model, "matched"]}
        seeds = Counter(fold for fold, _ in runs)
        alone = {run for run in runs if seeds[run[0]] == 1}
        if not runs:
            return self._compared((names[0], names[1]), ({}, {}), len(planned))
        if selection and alone and max(map(len, members)) > 1:
            reason = "choosing among a family's networks takes 2 seeds on each split that all of them have finished"
            blank = self._compared((names[0], names[1]), ({}, {}), len(planned) - len(runs))
            return replace(blank, reason=reason, subsets=k)
        sides = [self._chosen(models, runs, k, selection) for models in members]
        freedom = sum(map(len, members)) - 2
        others = [(self._spread(members, runs) * sum(variance_of_best(len(m), k) for m in members), freedom)]
        pair = self._compared(
            (names[0], names[1]), (sides[0], sides[1]), len(planned) - len(runs), others if freedom else ()
        )
        both = tuple(self._estimate(self._scored(side), pair.over) for side in sides) if pair.estimate else None
        return replace(pair, subsets=k, sides=both and (both[0], both[1]))

    def _chosen(self, models: list[str], runs: Sequence[FoldAndSeed], k: int, selection: str) -> Weights:
        """For each run, the weights of the models of a family, chosen by the other seeds of its split."""
        if not selection or len(models) == 1:
            return dict.fromkeys(runs, dict.fromkeys(models, 1 / len(models)))
        chances = best_of(len(models), k)
        table = np.array(
            [[getattr(self.cells[model, "matched"][run], selection) for run in runs] for model in models]
        ) * (1 if self.higher else -1)
        folds = np.array([fold for fold, _ in runs])
        found: dict[FoldAndSeed, dict[str, float]] = {}
        for place, run in enumerate(runs):
            others = (folds == run[0]) & (np.arange(len(runs)) != place)
            order = np.argsort(-table[:, others].mean(axis=1), kind="stable")
            found[run] = {models[place]: float(w) for place, w in zip(order.tolist(), chances, strict=True) if w}
        return found

    def _spread(self, members: Sequence[Sequence[str]], runs: Sequence[FoldAndSeed]) -> float:
        """Variance of the mean scores of networks within a family, pooled over both families."""
        squares, freedom = 0.0, 0
        for models in members:
            cells = [self.cells[model, "matched"] for model in models]
            means = [fmean(self.values({run: cell[run].test for run in runs})) for cell in cells]
            squares += float(np.var(means)) * len(means)
            freedom += len(means) - 1
        return squares / max(freedom, 1)

    def _compared(
        self,
        names: tuple[str, str],
        sides: tuple[Weights, Weights],
        left_out: int,
        networks: Sequence[tuple[float, float]] = (),
    ) -> Pair:
        """Two sides over the same runs; p and verdict are still uncorrected."""
        runs = sorted(sides[0])
        first, second = map(self._scored, sides)
        scores = list(first.values()), list(second.values())
        apart = dict(zip(runs, differences(*scores).tolist() if len(runs) > 1 else np.subtract(*scores), strict=True))
        seeds = Counter(fold for fold, _ in runs)
        folds, fewest = len(seeds), min(seeds.values(), default=0)
        # With few splits each is a separate test set, on which seeds and recordings vary.
        over: Literal["seed", "split"] = "split" if folds >= FEWEST_SPLITS or (folds > 1 and fewest < 2) else "seed"
        pairs, *both = (
            self.values(side) if over == "split" else list(side.values()) for side in (apart, first, second)
        )
        recordings = self._recordings(sides, runs) if over == "seed" else None
        others = [*networks, *([recordings] if recordings else [])]
        # In a cheap study the spread of seeds is a fraction of that of searches, so there is no interval and no p.
        known = not self.cheap and len(pairs) > 1 and (over == "split" or fewest > 1)
        estimated = self._estimate(apart, over, others) if known else None
        shares = tuple(self._shares(side) for side in sides)
        involved = dict.fromkeys(model for share in shares for model in share)
        reasons = [words for model in involved if (words := self.cut_short(model))]
        if self.cheap:
            reasons.append(CHEAP)
        if self.oracle:
            reasons.append(ORACLE)
        if not runs:
            reasons.append("they share no seed that both finished")
        elif len(pairs) < FEWEST_SEEDS:
            reasons.append(f"{counted(len(pairs), over)} {'is' if len(pairs) == 1 else 'are'} too few")
        covers = [f"{over}s", *(["test recordings"] if recordings else [])]
        covers += ["networks of the families"] if networks else []
        return Pair(
            task=self.name,
            first=names[0],
            second=names[1],
            means=(fmean(self.values(first)), fmean(self.values(second))) if runs else None,
            sides=None,
            estimate=estimated,
            p=None,
            uncorrected=estimated.claim(self.margin)[1] if estimated else None,
            margin=self.margin,
            seeds=fewest,
            splits=max(folds, 1),
            left_out=left_out,
            covers=tuple(covers),
            verdict="no difference shown",
            reason=" and ".join(reasons),
            differences=tuple(pairs),
            values=(tuple(both[0]), tuple(both[1])),
            over=over,
            shares=(shares[0], shares[1]),
        )

    def _scored(self, side: Weights) -> dict[FoldAndSeed, float]:
        """A side's test score in each run, in order."""
        return {
            run: sum(weight * self.cells[model, "matched"][run].test for model, weight in side[run].items())
            for run in sorted(side)
        }

    def _estimate(
        self, values: Mapping[FoldAndSeed, float], over: str, others: Sequence[tuple[float, float]] = ()
    ) -> Estimate:
        """The mean of a value per run, with its error: over splits, or over the seeds of each split."""
        if over == "split":
            return estimate(self.values(values), self.test_to_train, others)
        by_fold: dict[int, list[float]] = {}
        for (fold, _), value in values.items():
            by_fold.setdefault(fold, []).append(value)
        spreads = [float(np.var(one, ddof=1)) / len(one) for one in by_fold.values() if max(one) > min(one)]
        own = (math.fsum(spreads) / len(by_fold) ** 2, len(values) - len(by_fold))
        return combined(fmean(map(fmean, by_fold.values())), len(values), [own, *others])

    def _recordings(self, sides: tuple[Weights, Weights], runs: Sequence[FoldAndSeed]) -> tuple[float, float] | None:
        """Variance of the difference due to the test recordings, and its degrees of freedom; None if unknown."""
        if self._without is None or not runs:
            return None
        by_fold: dict[int, list[NDArray[np.float64]]] = {}
        for run in runs:
            total: NDArray[np.float64] | float = 0.0
            for sign, side in zip((1, -1), sides, strict=True):
                for model, weight in side[run].items():
                    scores = self._without(self.cells[model, "matched"][run].run)
                    if scores is None:
                        return None
                    total = total + sign * weight * scores
            by_fold.setdefault(run[0], []).append(np.asarray(total))
        if any(len({len(one) for one in found}) > 1 for found in by_fold.values()):
            return None
        parts = [jackknife(np.mean(found, axis=0)) for found in by_fold.values()]
        if sum(freedom + 1 for _, freedom in parts) < FEWEST_RECORDINGS:
            return None
        variance = math.fsum(part for part, _ in parts) / len(parts) ** 2
        return variance, sum(freedom for _, freedom in parts)

    def _shares(self, side: Weights) -> dict[str, float]:
        """How often each model represents the side, the most frequent first."""
        total: dict[str, float] = {}
        for weights in side.values():
            for model, weight in weights.items():
                total[model] = total.get(model, 0.0) + weight
        return {model: total[model] / len(side) for model in sorted(total, key=lambda model: -total[model])}

    def lead(self, difference: float) -> float:
        """A difference of scores, positive if the first is better."""
        return difference if self.higher else -difference

    def prices(self, pair: Pair) -> tuple[Price, ...]:
        """The cost of the lead of the first side over the second; empty without a common seed."""
        if pair.difference is None:
            return ()
        ends = sorted(map(self.lead, pair.interval)) if pair.interval else None
        return prices(
            family_words(pair.first),
            family_words(pair.second),
            costs=[(self._typical_cost(pair.shares[0]), self._typical_cost(pair.shares[1]))],
            gains=[self.lead(pair.difference)],
            interval=(ends[0], ends[1]) if ends else None,
            verdict=pair.verdict,
            words=lambda rate: (
                f"{self.words} {number(rate, significant([rate]))} {'higher' if self.higher else 'lower'}"
            ),
        )

    def _typical_cost(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Costs that are known for all models of a side: geometric means, weighted by how often each represents it."""
        known = [self.costs.get(model, {}) for model in shares]
        metrics = set.intersection(*map(set, known)) if known else set()
        weighted = list(zip(shares.values(), known, strict=True))
        if len(weighted) == 1:
            return dict(known[0])
        return {metric: math.exp(math.fsum(w * math.log(one[metric]) for w, one in weighted)) for metric in metrics}

    def places(self, models: Sequence[str]) -> NDArray[np.float64]:
        """Ranks of the given matched models, (runs, models), for the splits and seeds that all of them have run.

        Runs of a cheap study are not ranked, since they all depend on one search.
        """
        cells = [self.cells.get((model, "matched"), {}) for model in models]
        runs = self.runs_of_all(models)
        if self.cheap or not runs:
            return np.empty((0, len(cells)))
        return places(np.array([[known[run].test for known in cells] for run in runs]), self.higher)

    def standings(self) -> list[Standing]:
        """All models and variants, the best mean first, author variants last."""
        places = self.places(self.models)
        ranks = dict(zip(self.models, places.mean(axis=0), strict=True)) if len(places) else {}
        lines = []
        for model, variant in self.cells:
            scores = self.scores(model, variant)
            values = self.values(scores)
            lines.append(
                Standing(
                    task=self.name,
                    model=model,
                    variant=variant,
                    family=self.families.get(model, "other"),
                    mean=fmean(values) if values else None,
                    interval=score_interval(values, self.measure, self.test_to_train) if len(values) > 1 else None,
                    values=tuple(values),
                    splits=self.splits,
                    seeds=len(scores),
                    failures=self.failures(model, variant),
                    rank=float(ranks[model]) if variant == "matched" and model in ranks else None,
                )
            )

        def key(line: Standing) -> tuple[bool, bool, float]:
            mean = 0.0 if line.mean is None else line.mean
            return line.variant != "matched", line.mean is None, -mean if self.higher else mean

        return sorted(lines, key=key)


def results_by_task(
    frame: pl.LazyFrame,
    tasks: Mapping[str, Facts],
    smallest_difference: float,
    families: Mapping[str, Family],
    without: Callable[[str, str], NDArray[np.float64] | None] | None = None,
) -> list[TaskResults]:
    """The results of each task in a table; see `compare` for its arguments."""
    names = frame.filter(pl.col("kind") == "fit").select(pl.col("task").unique()).collect()["task"]
    found = []
    for task in sorted(names):
        # One task's rows at a time: a large study has millions.
        rows = frame.filter(pl.col("task") == task).collect()
        searches = rows.filter(pl.col("variant") == "matched")["search"].cast(pl.String).drop_nulls().unique().to_list()
        found.append(
            TaskResults(
                name=task,
                cells=_cells(rows, task, tasks.get(task), families),
                facts=tasks.get(task),
                trainings=_trainings(rows),
                floors=floors(rows, task, tasks.get(task, Facts())),
                costs=measured(rows),
                fallbacks=fallbacks(rows),
                loads=loads(rows),
                circumstances={kind: _circumstances(rows, kind, columns) for kind, columns in CIRCUMSTANCES.items()},
                smallest_difference=smallest_difference,
                families=families,
                cheap=any(search.startswith("cheap") for search in searches),
                oracle=any(search.endswith("oracle") for search in searches),
                without=partial(_without, without, tasks[task].metric) if without and task in tasks else None,
                shifted=_shifted(rows, tasks[task].metric) if task in tasks else None,
                policies=_policies(rows, tasks[task].metric) if task in tasks else None,
            )
        )
    return found


def floors(rows: pl.DataFrame, task: str, facts: Facts) -> dict[str, float]:
    """Test scores of the floors, by the names of `FLOORS` and `CONSTANT`."""
    scores = {label: results.baseline_scores(rows, floor).get(task) for floor, label in FLOORS.items()}
    scores[CONSTANT] = facts.constant
    return {label: score for label, score in scores.items() if score is not None}


def _without(
    source: Callable[[str, str], NDArray[np.float64] | None], metric: str, run: str
) -> NDArray[np.float64] | None:
    return source(run, metric)


def test_to_train(task: str, facts: Facts) -> float:
    """Number of test rows divided by that of training rows of a task, on its official split.

    Raises:
        ValueError: if the facts do not have the numbers of rows.
    """
    rows = facts.rows
    if not rows.get("train") or not rows.get("test"):
        raise ValueError(
            f"tasks must have the numbers of training and test rows of {task!r}, as it was run on several splits; "
            "rewrite tasks.json: liquidbench resume"
        )
    return rows["test"] / rows["train"]


def in_order(models: Collection[str], families: Mapping[str, Family]) -> list[str]:
    """Models in the order of a mapping of families, unknown ones last."""
    known = list(families)
    return sorted(models, key=lambda model: (known.index(model) if model in families else len(known), model))


def _cells(
    rows: pl.DataFrame, task: str, facts: Facts | None, families: Mapping[str, Family]
) -> dict[tuple[str, str], dict[FoldAndSeed, _Scores]]:
    """A task's main scores, by model and variant, then by split and seed."""
    fits = rows.filter(pl.col("kind") == "fit")
    failed = set(fits.filter(pl.col("status") == "failed")["run"])
    main, chosen = (None, None) if facts is None else (facts.metric, facts.selecting.name)
    test, validation, selecting = (
        dict(results.main_scores(fits, {task: metric} if metric else {}, split).select("run", "value").iter_rows())
        for metric, split in ((main, "test"), (main, "validation"), (chosen, "validation"))
    )
    cells: dict[tuple[str, str], dict[FoldAndSeed, _Scores]] = {}
    order = {model: place for place, model in enumerate(in_order(set(fits["model"]), families))}
    runs = fits.select("run", "model", "variant", "fold", "seed").unique(maintain_order=True)
    for run, model, variant, fold, seed in sorted(
        runs.iter_rows(), key=lambda row: (row[2] != "matched", order[row[1]], row[3:])
    ):
        if facts is None and run not in failed:
            raise ValueError(f"tasks must have the facts of every task with scores; {task!r} is missing")
        known = cells.setdefault((model, variant), {})
        if (fold, seed) in known:
            raise ValueError(
                f"frame must have only the current runs of one study; {model} ({variant}) on {task!r} with seed {seed} "
                "is there twice: pass the study's runs to liquidbench.results.read, and its matchings to compare"
            )
        nothing = run in failed
        known[fold, seed] = _Scores(
            math.nan if nothing else test.get(run, math.nan),
            math.nan if nothing else validation.get(run, math.nan),
            run,
            math.nan if nothing else selecting.get(run, math.nan),
        )
    return cells


def _shifted(rows: pl.DataFrame, metric: str) -> dict[str, dict[str, dict[FoldAndSeed, dict[float, float]]]]:
    """Main scores under shifts, by the shift's key, model, run and level."""
    scores = rows.filter(
        pl.col("metric") == metric,
        pl.col("split") == "test",
        pl.col("corruption") != "",
        pl.col("variant") == "matched",
        pl.col("status") == "done",
        pl.col("value").is_finite(),
    )
    found: dict[str, dict[str, dict[FoldAndSeed, dict[float, float]]]] = {}
    columns = scores.select("corruption", "model", "fold", "seed", "level", "value")
    for key, model, fold, seed, level, value in columns.iter_rows():
        found.setdefault(key, {}).setdefault(model, {}).setdefault((fold, seed), {})[level] = value
    return {key: found[key] for key in sorted(found, key=place_of)}


def _policies(rows: pl.DataFrame, metric: str) -> dict[str, dict[str, dict[float, float]]]:
    """Mean scores of the task's policies, by policy, key of the shift ("" for none) and level."""
    named = pl.col("metric").cast(pl.String)
    scores = rows.filter(
        named.str.ends_with(results.policy_metric("", metric)),
        pl.col("split") == "test",
        pl.col("status") == "done",
        pl.col("value").is_finite(),
    )
    means = scores.group_by(named, "corruption", "level").agg(pl.col("value").mean())
    found: dict[str, dict[str, dict[float, float]]] = {}
    for name, key, level, value in means.sort("metric", "corruption", "level").iter_rows():
        found.setdefault(name.partition(":")[0], {}).setdefault(key, {})[level] = value
    return found


def _circumstances(rows: pl.DataFrame, kind: str, columns: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Columns that differ between a task's matched models, with the models of each value."""
    done = rows.filter(pl.col("kind") == kind, pl.col("variant") == "matched", pl.col("status") == "done")
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for column in columns:
        told = done.select("model", pl.col(column).cast(pl.String)).drop_nulls().unique()
        if column == "backend":
            # Backends may differ between models, since not every model has a compiled recurrence.
            told = told.filter(pl.len().over("model") > 1)
        if told[column].n_unique() > 1:
            found[column] = {
                value: tuple(sorted(models))
                for value, models in told.group_by(column).agg("model").sort(column).iter_rows()
            }
    return found


def _trainings(rows: pl.DataFrame) -> dict[str, Trainings]:
    """How trainings of matched models ended, by model."""
    done = rows.filter(pl.col("kind") == "fit", pl.col("variant") == "matched", pl.col("status") == "done")
    found = {}
    for (model,), ended in results.trainings(done).partition_by("model", as_dict=True).items():
        chosen = ended.filter(pl.col("best").is_not_null())
        columns = chosen.select("learning_rate", "length", "unit", "ended", "best", "improving")
        found[model] = Trainings(
            number=ended.height,
            cut=ended.filter(pl.col("ended") == "minutes")["length"].to_list(),
            chosen=[Training(*training) for training in columns.iter_rows()],
            unit=ended["unit"][0],
        )
    return found
