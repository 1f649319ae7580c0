"""What a table of results shows, and what it does not: intervals, tests, ranks, and a verdict in words.

The arithmetic is in pure functions on arrays. `compare` applies it to a study's results: it pairs runs by task
and seed, counts failures, corrects for the number of comparisons and says by fixed thresholds who is better,
who is equivalent, and where nothing has been shown. Every test is two-sided.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from liquidbench.study import FAMILIES

Interval = tuple[float, float]
Family = Literal["liquid", "recurrent", "other"]

ALPHA = 0.05
"""A difference is shown where its corrected p-value lies below this."""

LEVEL = 0.95
"""Level of every interval in a `Comparison`."""

EXACT_FROM = 6
"""From so many pairs on the exact signed-rank test is used: with five its p-value is never below 0.0625."""

FEW_TASKS, FEW_SEEDS = 10, 5
"""A verdict on fewer tasks, or on a task with fewer seeds, comes with a warning."""

RANKING_RULE = (
    "Rank: the matched models are ranked within each task and seed, 1 being best; equals share the mean of their "
    "places, and a run that failed takes the last. Ranks are averaged over seeds, then over tasks. Seeds of a task "
    "that some model has not run yet are left out. The interval is a bootstrap over tasks and, within each, over "
    "seeds; over seeds alone where there is one task."
)


@dataclass(frozen=True)
class PairedTest:
    """A two-sided test of whether paired values differ.

    Attributes:
        test: its name.
        statistic: t, or the smaller of the two sums of signed ranks.
        p: its p-value, uncorrected.
        effect: positive where the first values are larger.
        effect_name: what kind of effect size that is.
        n: number of pairs.
    """

    test: str
    statistic: float
    p: float
    effect: float
    effect_name: str
    n: int


@dataclass(frozen=True)
class Standing:
    """How a model did on one task.

    Attributes:
        task: the task's name.
        model: a key of `liquidbench.study.FAMILIES`.
        variant: "matched", or "author" for a row that no rank and no verdict counts.
        family: of the model.
        mean: of the test scores over the seeds that finished; None without any.
        interval: of that mean (`mean_interval`), within the range of the score; None below two seeds.
        seeds: runs that finished with a finite score.
        failures: runs that failed, or finished without a finite score.
        rank: mean place over seeds, by `RANKING_RULE`; None where it cannot be ranked.
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


@dataclass(frozen=True)
class Overall:
    """How a model did over all tasks.

    Attributes:
        model: a key of `liquidbench.study.FAMILIES`.
        family: of the model.
        rank: mean place, by `RANKING_RULE`; None where no task and seed was run by all models.
        interval: of that rank; None with a single task and seed.
        tasks: number of tasks behind the rank.
        seeds: number of pairs of a task and a seed behind it.
        failures: over all tasks.
    """

    model: str
    family: Family
    rank: float | None
    interval: Interval | None
    tasks: int
    seeds: int
    failures: int


@dataclass(frozen=True)
class Pair:
    """Two models on one task, over the seeds that both finished.

    Attributes:
        task: the task's name.
        first: a model.
        second: another.
        difference: mean score of the first less that of the second; None without a common seed.
        interval: of the difference; None where it is unknown: below two seeds, or where all seeds differ alike.
        p: corrected by Holm's method; None below two seeds.
        outcome: the test before correction; None below two seeds.
        margin: the smallest difference that counts, in units of the score.
        seeds: number of common seeds.
        left_out: seeds that one of the two has not finished.
        verdict: on the first: "better", "worse", "equivalent" or "no difference shown".
    """

    task: str
    first: str
    second: str
    difference: float | None
    interval: Interval | None
    p: float | None
    outcome: PairedTest | None
    margin: float
    seeds: int
    left_out: int
    verdict: str


@dataclass(frozen=True)
class Judgement:
    """Liquid against recurrent on one task.

    Attributes:
        task: the task's name.
        pair: the liquid representative (first) and the recurrent one, with p corrected over the tasks; None
            where a family has none.
        verdict: "liquid better", "recurrent better", "equivalent", "no difference shown", "not compared".
        sentence: that in plain words, with the numbers behind it.
    """

    task: str
    pair: Pair | None
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What a study answers.

    Attributes:
        headline: the answer and what follows from it.
        judgements: task by task.
        warnings: why to be careful with it.
        thresholds: the fixed rules behind the words.
    """

    headline: str
    judgements: tuple[Judgement, ...]
    warnings: tuple[str, ...]
    thresholds: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that a report says of a table of results.

    Attributes:
        leaderboard: each task's models, the best mean first; author variants last.
        overall: the matched models, the best rank first.
        pairs: every two matched models of each task, p corrected over the task's pairs.
        verdict: liquid against recurrent.
        ranking_rule: how ranks come about; also the last of the verdict's thresholds.
    """

    leaderboard: tuple[Standing, ...]
    overall: tuple[Overall, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict
    ranking_rule: str = RANKING_RULE

    @property
    def ranks(self) -> dict[str, float]:
        """Mean rank of each model that could be ranked, the best first."""
        return {line.model: line.rank for line in self.overall if line.rank is not None}


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Student's interval of a mean.

    It is the interval to use for a handful of seeds: with three normal values it covers the mean as often as it
    says, where `bootstrap_interval` at 95 % does so for three samples in four.

    Args:
        values: (n,), n at least 2.
        level: confidence, between 0 and 1.

    Returns:
        Its ends; both are the mean where all values are equal.

    Raises:
        ValueError: for fewer than two values, values that are not finite, or a level outside 0 to 1.

    Example:
        >>> low, high = mean_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    sample = _sample("values", values)
    reach = float(stats.t.ppf((1 + _level(level)) / 2, len(sample) - 1)) * _standard_error(sample)
    mean = math.fsum(sample) / len(sample)
    return mean - reach, mean + reach


def bootstrap_interval(values: ArrayLike, level: float = LEVEL, resamples: int = 5000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of a mean.

    For ten values and more: below, it is too narrow (see `mean_interval`).

    Args:
        values: (n,), n at least 2; their order does not matter.
        level: confidence, between 0 and 1.
        resamples: number of samples drawn with replacement.
        seed: of the draws; the same seed gives the same interval.

    Returns:
        Its ends.

    Raises:
        ValueError: for fewer than two values, values that are not finite, or a level outside 0 to 1.
    """
    sample = np.sort(_sample("values", values))
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}")
    draws = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))
    return _quantiles(sample[draws].mean(axis=1), _level(level))


def paired_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Test, two-sided, whether paired values differ.

    Below `EXACT_FROM` pairs: the paired t-test, with Cohen's d of the differences. From then on: Wilcoxon's
    signed-rank test with the exact distribution of its statistic, ties included, pairs without a difference left
    out; with the matched-pairs rank-biserial correlation.

    Where all pairs differ by the same amount their spread is unknown and t would be infinite, so that three
    seeds would prove anything. The signed-rank test is then used at any number of pairs: p is ``2 ** (1 - n)``,
    or 1 where no pair differs.

    Args:
        first: (n,), n at least 2.
        second: (n,), each paired with the same place in `first`.

    Returns:
        The test that was used and its outcome. Differences below 1e-9 of the largest value are rounding.

    Raises:
        ValueError: for unequal lengths, fewer than two pairs, or values that are not finite.

    Example:
        >>> outcome = paired_test([0.91, 0.93, 0.92], [0.90, 0.91, 0.92])
        >>> outcome.test, round(outcome.p, 3)
        ('paired t-test', 0.225)
    """
    a, b = _sample("first", first), _sample("second", second)
    if len(a) != len(b):
        raise ValueError(f"first and second must pair up; got {len(a)} and {len(b)} values")
    differences = a - b
    grid = _without_rounding(differences, max(np.abs(a).max(), np.abs(b).max()))
    if len(a) < EXACT_FROM and np.ptp(grid) > 0:
        effect = differences.mean() / differences.std(ddof=1)
        outcome = stats.ttest_rel(a, b)
        return PairedTest(
            "paired t-test", float(outcome.statistic), float(outcome.pvalue), float(effect), "Cohen's d", len(a)
        )
    statistic, p, effect = _signed_rank(grid)
    return PairedTest("exact Wilcoxon signed-rank test", statistic, p, effect, "rank-biserial correlation", len(a))


def holm(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values for their number by Holm's step-down method.

    Args:
        pvalues: (m,), each from 0 to 1.

    Returns:
        (m,) corrected p-values, in the order given. Rejecting those below alpha keeps the chance of any false
        rejection below alpha.

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"pvalues must be a list of numbers from 0 to 1; got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected


def average_ranks(scores: ArrayLike, higher_is_better: bool) -> NDArray[np.float64]:
    """Mean place of each model, 1 being best.

    Args:
        scores: (datasets, models); NaN where a model failed, which ranks last.
        higher_is_better: direction of the score.

    Returns:
        (models,) mean ranks over data sets. Equal scores share the mean of their places.

    Example:
        >>> average_ranks([[0.9, 0.8, 0.8], [0.7, float("nan"), 0.9]], higher_is_better=True).tolist()
        [1.5, 2.75, 1.75]
    """
    return _places(_table(scores), higher_is_better).mean(axis=0)


def friedman(scores: ArrayLike) -> tuple[float, float]:
    """Friedman's test of whether any of several models differs in rank, over data sets.

    Args:
        scores: (datasets, models), at least 2 by 3, all finite; the direction of the score does not matter.

    Returns:
        The statistic, corrected for ties, and its p-value; 0 and 1 where all models tie everywhere.
    """
    table = _table(scores)
    if len(table) < 2 or table.shape[1] < 3 or not np.isfinite(table).all():
        raise ValueError(
            f"scores must be finite, of at least 2 datasets by 3 models; got shape {table.shape}"
            + ("" if np.isfinite(table).all() else " with values that are not finite")
        )
    if (np.ptp(table, axis=1) == 0).all():
        return 0.0, 1.0
    statistic, p = stats.friedmanchisquare(*table.T)
    return float(statistic), float(p)


def compare(frame: pl.DataFrame, tasks: Mapping[str, Mapping[str, Any]], smallest_difference: float) -> Comparison:
    """Judge a study's results.

    Runs are paired by task and seed. A family (liquid, recurrent) is represented on each task by the model with
    the fewest failures and, among these, the best mean score on *validation*; the two are compared on test.

    Args:
        frame: rows of `liquidbench.results.read`, of one study's present runs.
        tasks: by task name, the facts of ``tasks.json``: at least ``metric``, ``metric_label`` and
            ``higher_is_better``. A task of which no run came to anything may be absent.
        smallest_difference: a difference below this does not count. Absolute, in units of the score, where
            higher is better (accuracy, areas under curves: scores of a known scale); where lower is better
            (errors, whose scale is the data's), as a fraction of the recurrent representative's mean error.

    Returns:
        Leaderboard, pairs and verdict; empty where the frame is.

    Raises:
        ValueError: for a negative smallest_difference, a task with scores and no facts, or two runs of one task,
            model, variant and seed.
    """
    if not smallest_difference >= 0:
        raise ValueError(f"smallest_difference must be at least 0; got {smallest_difference}")
    boards = [_Board(name, cells, tasks.get(name)) for name, cells in _cells(frame, tasks).items()]
    places = {board.task: board.places() for board in boards}
    pairs, judged = [], []
    for board in boards:
        margin = board.margin(smallest_difference)
        pairs += _corrected(
            [board.pair(one, other, margin) for one, other in combinations(board.models, 2)], board.higher
        )
        judged.append((board, board.family_pair(margin)))
    return Comparison(
        leaderboard=tuple(line for board in boards for line in board.standings(places[board.task])),
        overall=_overall(boards, list(places.values())),
        pairs=tuple(pairs),
        verdict=_verdict(judged, smallest_difference),
    )


@dataclass(frozen=True)
class _Cell:
    """One run's scores; NaN where it failed."""

    test: float
    validation: float


class _Board:
    """The runs of one task, asked by model."""

    def __init__(
        self,
        task: str,
        cells: Mapping[tuple[str, str], Mapping[int, "_Cell"]],
        facts: Mapping[str, Any] | None,
    ):
        self.task, self.cells = task, cells
        self.higher: bool = True if facts is None else facts["higher_is_better"]
        self.label: str = "score" if facts is None else facts["metric_label"]
        self.models = [model for model, variant in cells if variant == "matched"]
        self.trivial: float | None = None

    def scores(self, model: str, variant: str = "matched") -> dict[int, float]:
        """Test scores by seed of the runs that did not fail."""
        found = {seed: cell.test for seed, cell in self.cells[model, variant].items()}
        return {seed: score for seed, score in found.items() if math.isfinite(score)}

    def mean(self, model: str) -> float:
        return math.fsum(self.scores(model).values()) / len(self.scores(model))

    def failures(self, model: str, variant: str = "matched") -> int:
        return len(self.cells[model, variant]) - len(self.scores(model, variant))

    def representative(self, families: Iterable[str]) -> str | None:
        """The model that validation chooses; the study's order decides between equals."""

        def key(model: str) -> tuple[int, float]:
            cells = self.cells[model, "matched"].values()
            chosen = [cell.validation for cell in cells if math.isfinite(cell.test)]
            mean = math.fsum(chosen) / len(chosen)
            return self.failures(model), -mean if self.higher else mean

        able = [
            model
            for model in self.models
            if FAMILIES.get(model, "other") in families
            and self.scores(model)
            and all(math.isfinite(c.validation) for c in self.cells[model, "matched"].values() if math.isfinite(c.test))
        ]
        return min(able, key=key, default=None)

    def margin(self, smallest_difference: float) -> float:
        if self.higher:
            return smallest_difference
        reference = self.representative(["recurrent"]) or self.representative(["liquid", "other"])
        return smallest_difference * abs(self.mean(reference)) if reference else 0.0

    def pair(self, first: str, second: str, margin: float) -> Pair:
        a, b = self.scores(first), self.scores(second)
        common = sorted(a.keys() & b.keys())
        planned = self.cells[first, "matched"].keys() | self.cells[second, "matched"].keys()
        x, y = (np.array([scores[seed] for seed in common]) for scores in (a, b))
        outcome = paired_test(x, y) if len(common) > 1 else None
        spread = len(common) > 1 and np.ptp(_without_rounding(x - y, max(np.abs(x).max(), np.abs(y).max()))) > 0
        return Pair(
            task=self.task,
            first=first,
            second=second,
            difference=float((x - y).mean()) if common else None,
            interval=mean_interval(x - y) if spread else None,
            p=outcome.p if outcome else None,
            outcome=outcome,
            margin=margin,
            seeds=len(common),
            left_out=len(planned) - len(common),
            verdict="no difference shown",
        )

    def family_pair(self, margin: float) -> Pair | None:
        liquid, recurrent = self.representative(["liquid"]), self.representative(["recurrent"])
        return self.pair(liquid, recurrent, margin) if liquid and recurrent else None

    def places(self) -> NDArray[np.float64]:
        """Ranks of the matched models, (seeds, models), for the seeds that all of them have run."""
        runs = [self.cells[model, "matched"] for model in self.models]
        seeds = sorted(set.intersection(*(set(cells) for cells in runs))) if runs else []
        table = np.array([[cells[seed].test for cells in runs] for seed in seeds])
        return _places(table.reshape(len(seeds), len(runs)), self.higher)

    def standings(self, places: NDArray[np.float64]) -> list[Standing]:
        ranks = dict(zip(self.models, places.mean(axis=0), strict=True)) if len(places) else {}
        lines = []
        for model, variant in self.cells:
            scores = list(self.scores(model, variant).values())
            lines.append(
                Standing(
                    task=self.task,
                    model=model,
                    variant=variant,
                    family=FAMILIES.get(model, "other"),
                    mean=math.fsum(scores) / len(scores) if scores else None,
                    interval=self._within_range(mean_interval(scores)) if len(scores) > 1 else None,
                    seeds=len(scores),
                    failures=self.failures(model, variant),
                    rank=float(ranks[model]) if variant == "matched" and model in ranks else None,
                )
            )

        def key(line: Standing) -> tuple[bool, bool, float]:
            mean = 0.0 if line.mean is None else line.mean
            return line.variant != "matched", line.mean is None, -mean if self.higher else mean

        return sorted(lines, key=key)

    def _within_range(self, interval: Interval) -> Interval:
        # Every score of liquidbench.metrics ends at 1, every error at 0; Student's interval does not know.
        low, high = interval
        return (low, min(high, 1.0)) if self.higher else (max(low, 0.0), high)
