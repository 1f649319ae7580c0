"""What a table of results shows, and what it does not: intervals, tests, ranks, and a verdict in words.

The arithmetic is in pure functions on arrays. `compare` applies it to a study's results: it pairs runs by task
and seed, counts failures, corrects for the number of comparisons and says by fixed thresholds who is better,
who is equivalent, and where nothing has been shown. Every test is two-sided.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from liquidbench import results
from liquidbench.metrics import METRICS
from liquidbench.study import FAMILIES

Interval = tuple[float, float]
Family = Literal["liquid", "recurrent", "other"]

ALPHA = 0.05
"""A difference is shown where its corrected p-value lies below this."""

LEVEL = 0.95
"""Level of every interval in a `Comparison`."""

FEWEST_RANKED = 3
"""Friedman's test takes so many models and so many tasks."""

FEWEST_SIGNED = 6
"""The signed-rank test over tasks takes so many: with five its p-value is never below 0.0625."""

FEWEST_BOOTSTRAPPED = 6
"""A mean rank has an interval from so many tasks on: a bootstrap of fewer is too narrow to be shown."""

FEWEST_SEEDS = 3
"""Two models are judged from so many common seeds on: the spread of two differences is hardly known."""

FEW_TASKS, FEW_SEEDS = 10, 5
"""A verdict on fewer tasks, or on a task with fewer seeds, comes with a warning."""

RANKING_RULE = (
    "Rank: the matched models are ranked within each task and seed, 1 being best; equals share the mean of their "
    "places, and a run that failed takes the last. Ranks are averaged over seeds, then over tasks. Seeds of a task "
    f"that some model has not run yet are left out. From {FEWEST_BOOTSTRAPPED} tasks on there is an interval, a "
    "bootstrap over tasks and, within each, over seeds."
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
        interval: of that rank; None below `FEWEST_BOOTSTRAPPED` tasks.
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
        verdict: on the first: "better", "worse", "equivalent", "no difference shown" or "cannot say".
        reason: why nothing can be said; "" where something can.
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
    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """Liquid against recurrent on one task.

    Attributes:
        task: the task's name.
        pair: the liquid representative (first) and the recurrent one, with p corrected over the tasks; None
            where a family has none.
        verdict: "liquid better", "recurrent better", "equivalent", "no difference shown", "cannot say" or "not
            compared".
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
class OverTasks:
    """What the tasks say together.

    Attributes:
        tasks: number of tasks on which all matched models were ranked, and none was cut short by the cap in minutes.
        models: number of these models.
        friedman: statistic and p-value of Friedman's test of their mean ranks; None below `FEWEST_RANKED` of either.
        leads: test of liquid against recurrent, each task with a verdict one pair, by leads in units of the smallest
            difference that counts; None below `FEWEST_SIGNED` tasks, or where any difference counts.
    """

    tasks: int
    models: int
    friedman: tuple[float, float] | None
    leads: PairedTest | None

    @property
    def sentence(self) -> str:
        """Both tests in words; "" without any."""
        words = []
        if self.friedman:
            statistic, p = self.friedman
            rough = "; with so few tasks that p is rough" if self.tasks < FEW_TASKS else ""
            words.append(
                f"Over {self.tasks} tasks Friedman's test finds {'a' if p < ALPHA else 'no'} difference between the "
                f"ranks of the {self.models} models (χ² = {statistic:.2f}, {p_value(p)}{rough})."
            )
        if self.leads:
            verdict = "are not shown to differ from" if self.leads.p >= ALPHA else "are better than"
            sides = ("recurrent", "liquid") if self.leads.effect < 0 else ("liquid", "recurrent")
            words.append(
                f"Over {self.leads.n} tasks the {sides[0]} networks' best {verdict} the {sides[1]} networks' "
                f"({p_value(self.leads.p)} by {self.leads.test}, each task's lead in units of the smallest difference "
                "that counts)."
            )
        return " ".join(words)


@dataclass(frozen=True)
class Comparison:
    """Everything that a report says of a table of results.

    Attributes:
        leaderboard: each task's models, the best mean first; author variants last.
        overall: the matched models, the best rank first.
        pairs: every two matched models of each task, p corrected over the task's pairs.
        verdict: liquid against recurrent.
        over_tasks: tests over all tasks.
        ranking_rule: how ranks come about; also the last of the verdict's thresholds.
    """

    leaderboard: tuple[Standing, ...]
    overall: tuple[Overall, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict
    over_tasks: OverTasks
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
    reach = float(stats.t.ppf(_tails(level)[1], len(sample) - 1) * sample.std(ddof=1)) / math.sqrt(len(sample))
    mean = math.fsum(sample) / len(sample)
    return mean - reach, mean + reach


def score_interval(values: ArrayLike, metric: str) -> Interval:
    """`mean_interval` of a score, cut at the ends of its metric's range.

    Raises:
        ValueError: for a name that is no key of `liquidbench.metrics.METRICS`, and as `mean_interval` does.

    Example:
        >>> score_interval([0.9, 1.0], "accuracy")[1], round(score_interval([0.9, 1.0], "mse")[1], 3)
        (1.0, 1.585)
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}")
    (low, high), (least, most) = mean_interval(values), METRICS[metric].range
    return max(low, least), min(high, most)


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
    low, high = np.quantile(sample[draws].mean(axis=1), _tails(level))
    return float(low), float(high)


def paired_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Paired t-test, two-sided, with Cohen's d of the differences: for the seeds of one task.

    A test on ranks would need many seeds to show anything: of six, its p-value is never below 0.03, which no
    correction for several tasks leaves below 0.05.

    Where all pairs differ by the same amount their spread is unknown and t would be infinite, so that three
    seeds would prove anything. `signed_rank_test` is then used: p is ``2 ** (1 - n)``, or 1 where no pair differs.

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
    a, b = _paired(first, second)
    if np.ptp(_differences(a, b)) == 0:
        return signed_rank_test(a, b)
    effect = (a - b).mean() / (a - b).std(ddof=1)
    outcome = stats.ttest_rel(a, b)
    return PairedTest(
        "paired t-test", float(outcome.statistic), float(outcome.pvalue), float(effect), "Cohen's d", len(a)
    )


def signed_rank_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Wilcoxon's signed-rank test, two-sided and exact, ties included: for pairs from different tasks.

    Pairs without a difference are left out.

    Args:
        first: (n,), n at least 2.
        second: (n,), each paired with the same place in `first`.

    Returns:
        Its outcome, with the matched-pairs rank-biserial correlation. Differences below 1e-9 of the largest value
        are rounding.

    Raises:
        ValueError: for unequal lengths, fewer than two pairs, or values that are not finite.

    Example:
        >>> signed_rank_test([3.0, 1.0, 4.0], [1.0, 0.0, 1.0]).p
        0.25
    """
    a, b = _paired(first, second)
    statistic, p, effect = _signed_rank(_differences(a, b))
    return PairedTest("exact signed-rank test", statistic, p, effect, "rank-biserial correlation", len(a))


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


def counted(number: int, word: str) -> str:
    """A number of things for reading.

    Example:
        >>> counted(1, "seed"), counted(1200, "run")
        ('1 seed', '1,200 runs')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def number(value: float, decimals: int = 0, *, signed: bool = False) -> str:
    """A number for reading: true minus sign, thousands grouped.

    Measured values (not counts, which are of type int) from 100,000 on or below 0.0001 are in scientific notation,
    with three decimals at most.

    Example:
        >>> number(-12345.678, 1), number(0.02, 2, signed=True), number(120_000)
        ('−12,345.7', '+0.02', '120,000')
        >>> number(123_456.7, 1), number(0.00001234, 8), number(0.00001234, 3)
        ('1.235×10⁵', '1.234×10⁻⁵', '0.000')
    """
    rounded = round(value, decimals)
    size = abs(rounded)
    if isinstance(value, int) or not (0 < size < 1e-4 or 1e5 <= size < math.inf):
        text = f"{size:,.{max(decimals, 0)}f}"
    else:
        places = min(max(math.floor(math.log10(size)) + decimals, 0), 3)
        mantissa, exponent = f"{size:.{places}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}×10{str(int(exponent)).translate(_RAISED)}"
    if rounded < 0:
        return f"−{text}"
    return f"+{text}" if signed and rounded > 0 else text


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(numbers: Sequence[float]) -> int:
    """Decimals that give the largest of some numbers three significant figures.

    Example:
        >>> significant([0.912, 0.05]), significant([12.3]), significant([0.000123])
        (3, 1, 6)
    """
    largest = max(map(abs, numbers))
    return min(max(2 - math.floor(math.log10(largest)), 0), 15) if largest else 3


def linear_model(facts: Mapping[str, Any]) -> str:
    """The linear model beside a task's networks, in words: what it reads depends on what a target belongs to."""
    reads = "each feature's mean and last value" if facts.get("per") == "sequence" else "the current step"
    return f"a linear model of {reads}"


def p_value(value: float) -> str:
    """A p-value for reading.

    Example:
        >>> p_value(0.0412), p_value(0.41), p_value(1e-5)
        ('p = 0.041', 'p = 0.41', 'p < 0.001')
    """
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def compare(frame: pl.DataFrame, tasks: Mapping[str, Mapping[str, Any]], smallest_difference: float) -> Comparison:
    """Judge a study's results.

    Runs are paired by task and seed. A family (liquid, recurrent) is represented on each task by the model with
    the fewest failures and, among these, the best mean score on *validation*, over the seeds that all matched models
    of the task have run; the two are compared on test. Where the cap in minutes cut short what is compared, where
    there are too few seeds, or where the better one is no better than the trivial predictor, the verdict is that
    nothing can be said.

    Args:
        frame: rows of `liquidbench.results.read`, of one study's present runs.
        tasks: by task name, the facts of ``tasks.json``: at least ``metric``, ``metric_label`` and
            ``higher_is_better``; sentences in ``warnings`` join the verdict's. A task of which no run came to
            anything may be absent.
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
    trivial, linear = results.baseline_scores(frame, "trivial"), results.baseline_scores(frame, "linear")
    trainings = _trainings(frame)
    boards = [
        _Board(
            task=task,
            cells=cells,
            facts=tasks.get(task),
            trainings=trainings.get(task, {}),
            trivial=trivial.get(task),
            linear=linear.get(task),
            smallest_difference=smallest_difference,
        )
        for task, cells in _cells(frame, tasks).items()
    ]
    pairs: list[Pair] = []
    for board in boards:
        contests = [board.pair(one, other) for one, other in combinations(board.models, 2)]
        pairs += _corrected(contests, [board.higher] * len(contests))
    contests = {board.task: pair for board in boards if (pair := board.family_pair())}
    directions = [board.higher for board in boards if board.task in contests]
    corrected = dict(zip(contests, _corrected(list(contests.values()), directions), strict=True))
    judgements = [_judge(board, corrected.get(board.task)) for board in boards]
    models = list(dict.fromkeys(model for board in boards for model in board.models))
    # A rank among fewer rivals is another quantity, so a task counts once every model has run there.
    places = {board: table for board in boards if len(table := board.places(models))}
    whole = [table for board, table in places.items() if not any(map(board.cut_short, board.models))]
    leads = [
        (judgement.pair, board.higher)
        for board, judgement in zip(boards, judgements, strict=True)
        if judgement.pair and not judgement.pair.reason
    ]
    return Comparison(
        leaderboard=tuple(line for board in boards for line in board.standings()),
        overall=_overall(boards, models, list(places.values())),
        pairs=tuple(pairs),
        verdict=Verdict(
            headline=_headline(judgements),
            judgements=tuple(judgements),
            warnings=tuple(_warnings(boards, judgements)),
            thresholds=_thresholds(smallest_difference),
        ),
        over_tasks=_over_tasks(len(models), whole, leads),
    )


@dataclass(frozen=True)
class _Cell:
    """One run's scores; NaN where it failed."""

    test: float
    validation: float


@dataclass(frozen=True)
class _Training:
    """How a training of a matched model ended; `best_epoch` is None where validation chose another learning rate."""

    learning_rate: float
    epochs: int
    ended: str
    best_epoch: int | None


class _Board:
    """The runs of one task, asked by model."""

    def __init__(
        self,
        task: str,
        cells: Mapping[tuple[str, str], Mapping[int, _Cell]],
        facts: Mapping[str, Any] | None,
        trainings: Mapping[str, Sequence[_Training]],
        trivial: float | None,
        linear: float | None,
        smallest_difference: float,
    ):
        self.task, self.cells, self.trainings, self.trivial, self.linear = task, cells, trainings, trivial, linear
        self.title: str = (facts or {}).get("title") or task
        self.warnings: Sequence[str] = (facts or {}).get("warnings", ())
        self.metric: str = (facts or {}).get("metric", "")
        self.linear_name = linear_model(facts or {})
        self.higher: bool = True if facts is None else facts["higher_is_better"]
        label: str = "score" if facts is None else facts["metric_label"]
        self.words = label[:1].lower() + label[1:]
        self.models = [model for model, variant in cells if variant == "matched"]
        self.margin = smallest_difference
        if not self.higher:
            reference = self.representative(["recurrent"]) or self.representative(["liquid", "other"])
            self.margin *= abs(self.mean(reference)) if reference else 1.0

    def words_of(self, score: float) -> str:
        return f"{self.words} {number(score, significant([score]))}"

    def members(self, families: Collection[str]) -> list[str]:
        return [model for model in self.models if FAMILIES.get(model, "other") in families]

    def ahead(self, one: float, other: float) -> bool:
        return one > other if self.higher else one < other

    def scores(self, model: str, variant: str = "matched") -> dict[int, float]:
        """Test scores by seed of the runs that did not fail."""
        found = {seed: cell.test for seed, cell in self.cells[model, variant].items()}
        return {seed: score for seed, score in found.items() if math.isfinite(score)}

    def mean(self, model: str) -> float:
        return math.fsum(self.scores(model).values()) / len(self.scores(model))

    def failures(self, model: str, variant: str = "matched") -> int:
        return len(self.cells[model, variant]) - len(self.scores(model, variant))

    def shown_ahead(self, model: str, reference: float) -> bool:
        """Whether the whole interval of a model's mean lies beyond a score that has no spread."""
        scores = list(self.scores(model).values())
        return len(scores) > 1 and all(self.ahead(end, reference) for end in mean_interval(scores))

    def chosen(self, model: str) -> list[_Training]:
        """The trainings, one a seed, whose weights were scored."""
        return [training for training in self.trainings.get(model, ()) if training.best_epoch is not None]

    def cut_short(self, model: str) -> str:
        """In words, that the cap in minutes ended what was scored of a model; "" where it did not."""
        chosen = self.chosen(model)
        cut = sum(training.ended == "minutes" for training in chosen)
        return f"the cap in minutes ended {cut} of {len(chosen)} chosen trainings of {model}" if cut else ""

    def seeds_of_all(self, models: Sequence[str]) -> list[int]:
        """The seeds that all of some matched models have run."""
        runs = [set(self.cells.get((model, "matched"), {})) for model in models]
        return sorted(set.intersection(*runs)) if runs else []

    def representative(self, families: Collection[str]) -> str | None:
        """The model that validation chooses; the study's order decides between equals.

        Means over other seeds are other quantities, so only seeds count that every matched model of the task has run
        and no candidate failed.
        """
        seeds = self.seeds_of_all(self.models)

        def finished(model: str) -> set[int]:
            cells = self.cells[model, "matched"]
            return {s for s in seeds if math.isfinite(cells[s].test) and math.isfinite(cells[s].validation)}

        members = {model: finished(model) for model in self.members(families)}
        most = max(map(len, members.values()), default=0)
        candidates = {model: found for model, found in members.items() if len(found) == most}
        common = set.intersection(*candidates.values()) if candidates else set()

        def key(model: str) -> float:
            mean = math.fsum(self.cells[model, "matched"][seed].validation for seed in common) / len(common)
            return -mean if self.higher else mean

        return min(candidates, key=key) if common else None

    def common(self, first: str, second: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of two models over the seeds that both finished, in one order."""
        a, b = self.scores(first), self.scores(second)
        seeds = sorted(a.keys() & b.keys())
        return np.array([a[seed] for seed in seeds]), np.array([b[seed] for seed in seeds])

    def pair(self, first: str, second: str) -> Pair:
        a, b = self.common(first, second)
        planned = self.cells[first, "matched"].keys() | self.cells[second, "matched"].keys()
        outcome = paired_test(a, b) if len(a) > 1 else None
        spread = len(a) > 1 and np.ptp(_differences(a, b)) > 0
        reasons = [words for model in (first, second) if (words := self.cut_short(model))]
        if not len(a):
            reasons.append("they share no seed that both finished")
        elif len(a) < FEWEST_SEEDS:
            reasons.append(f"{counted(len(a), 'seed')} {'is' if len(a) == 1 else 'are'} too few")
        return Pair(
            task=self.task,
            first=first,
            second=second,
            difference=float((a - b).mean()) if len(a) else None,
            interval=mean_interval(a - b) if spread else None,
            p=outcome.p if outcome else None,
            outcome=outcome,
            margin=self.margin,
            seeds=len(a),
            left_out=len(planned) - len(a),
            verdict="no difference shown",
            reason=" and ".join(reasons),
        )

    def family_pair(self) -> Pair | None:
        liquid, recurrent = self.representative(["liquid"]), self.representative(["recurrent"])
        return self.pair(liquid, recurrent) if liquid and recurrent else None

    def places(self, models: Sequence[str]) -> NDArray[np.float64]:
        """Ranks of some matched models, (seeds, models), for the seeds that all of them have run."""
        runs = [self.cells.get((model, "matched"), {}) for model in models]
        seeds = self.seeds_of_all(models)
        if not seeds:
            return np.empty((0, len(runs)))
        return _places(np.array([[cells[seed].test for cells in runs] for seed in seeds]), self.higher)

    def standings(self) -> list[Standing]:
        places = self.places(self.models)
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
                    interval=score_interval(scores, self.metric) if len(scores) > 1 else None,
                    seeds=len(scores),
                    failures=self.failures(model, variant),
                    rank=float(ranks[model]) if variant == "matched" and model in ranks else None,
                )
            )

        def key(line: Standing) -> tuple[bool, bool, float]:
            mean = 0.0 if line.mean is None else line.mean
            return line.variant != "matched", line.mean is None, -mean if self.higher else mean

        return sorted(lines, key=key)


def _cells(
    frame: pl.DataFrame, tasks: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[tuple[str, str], dict[int, _Cell]]]:
    """Each task's main scores, by model and variant, then by seed."""
    fits = frame.filter(pl.col("kind") == "fit")
    failed = set(fits.filter(pl.col("status") == "failed")["run"])
    metrics = {task: facts["metric"] for task, facts in tasks.items()}
    test, validation = (
        dict(results.main_scores(fits, metrics, split).select("run", "value").iter_rows())
        for split in ("test", "validation")
    )
    cells: dict[str, dict[tuple[str, str], dict[int, _Cell]]] = {}
    runs = fits.select("run", "task", "model", "variant", "seed").unique(maintain_order=True)
    place = {model: index for index, model in enumerate(FAMILIES)}
    for run, task, model, variant, seed in sorted(
        runs.iter_rows(), key=lambda row: (row[1], row[3] != "matched", place.get(row[2], len(place)), row[2], row[4])
    ):
        if task not in tasks and run not in failed:
            raise ValueError(f"tasks must hold the facts of every task with scores; {task!r} is not among them")
        seeds = cells.setdefault(task, {}).setdefault((model, variant), {})
        if seed in seeds:
            raise ValueError(
                f"frame must hold one study's present runs; {model} ({variant}) on {task!r} with seed {seed} is "
                "there twice: name the study's runs to liquidbench.results.read"
            )
        nothing = run in failed
        seeds[seed] = _Cell(
            math.nan if nothing else test.get(run, math.nan), math.nan if nothing else validation.get(run, math.nan)
        )
    return cells


def _trainings(frame: pl.DataFrame) -> dict[str, dict[str, list[_Training]]]:
    """How the matched models' trainings ended, by task and model."""
    found: dict[str, dict[str, list[_Training]]] = {}
    done = frame.filter(pl.col("kind") == "fit", pl.col("variant") == "matched", pl.col("status") == "done")
    columns = ("task", "model", "learning_rate", "epochs", "ended", "best_epoch")
    for task, model, rate, epochs, ended, best in results.trainings(done).select(columns).iter_rows():
        found.setdefault(task, {}).setdefault(model, []).append(_Training(rate, epochs, ended, best))
    return found


def _corrected(pairs: Sequence[Pair], higher: Sequence[bool]) -> list[Pair]:
    """The pairs with p corrected for their number, and the verdict that follows from it."""
    raw = {index: pair.p for index, pair in enumerate(pairs) if pair.p is not None}
    corrected = dict(zip(raw, holm(list(raw.values())).tolist(), strict=True))
    judged = []
    for index, (pair, direction) in enumerate(zip(pairs, higher, strict=True)):
        pair = replace(pair, p=corrected.get(index))
        judged.append(replace(pair, verdict=_word(pair, direction)))
    return judged


def _word(pair: Pair, higher: bool) -> str:
    if pair.reason:
        return "cannot say"
    if pair.interval and -pair.margin < pair.interval[0] and pair.interval[1] < pair.margin:
        return "equivalent"
    # Rounding must not decide whether 0.91 - 0.90 reaches 0.01.
    counts = pair.difference is not None and abs(pair.difference) >= pair.margin * (1 - 1e-9)
    if not counts or pair.difference is None or pair.p is None or pair.p >= ALPHA:
        return "no difference shown"
    return "better" if (pair.difference > 0) == higher else "worse"


def _judge(board: _Board, pair: Pair | None) -> Judgement:
    if pair is None:
        return Judgement(board.task, None, "not compared", f"On {board.title}, there is no comparison: {_gap(board)}.")
    if board.trivial is not None and pair.verdict in ("better", "worse", "equivalent"):
        means = [float(scores.mean()) for scores in board.common(pair.first, pair.second)]
        if not any(board.ahead(mean, board.trivial) for mean in means):
            reason = f"neither is better than the trivial predictor, {board.words_of(board.trivial)}"
            pair = replace(pair, verdict="cannot say", reason=reason)
    verdict = {"better": "liquid better", "worse": "recurrent better"}.get(pair.verdict, pair.verdict)
    return Judgement(board.task, pair, verdict, _sentence(board, pair))


def _gap(board: _Board) -> str:
    reasons = []
    for family in ("liquid", "recurrent"):
        members = board.members([family])
        if not members:
            reasons.append(f"no {family} network was run")
        elif not any(board.scores(model) for model in members):
            reasons.append(f"no run of a {family} network finished with a score")
        elif board.representative([family]) is None:
            reasons.append(f"no {family} network has validation scores on seeds that all models have run")
    return " and ".join(reasons)


def _sentence(board: _Board, pair: Pair) -> str:
    """The judgement in words, the better mean first."""
    a, b = board.common(pair.first, pair.second)
    if not len(a):
        return (
            f"On {board.title}, this study cannot say whether the liquid networks' best ({pair.first}) or the "
            f"recurrent networks' best ({pair.second}) is better: {pair.reason}{_left_out(pair)}."
        )
    means, interval = [float(a.mean()), float(b.mean())], pair.interval
    names = [f"the liquid networks' best ({pair.first})", f"the recurrent networks' best ({pair.second})"]
    if (means[1] > means[0]) == board.higher and means[0] != means[1]:
        names.reverse()
        means.reverse()
        interval = (-interval[1], -interval[0]) if interval else None
    places = significant(means)
    numbers = f"{board.words} {number(means[0], places)} against {number(means[1], places)}"
    if interval:
        numbers += f", {LEVEL:.0%} interval of the difference ".replace("%", " %")
        numbers += f"{number(interval[0], places)} to {number(interval[1], places)}"
    if pair.outcome and pair.p is not None:
        # The interval is not corrected, so a reader may find it at odds with the p-value.
        corrected = " after Holm's correction" if pair.p > pair.outcome.p else ""
        numbers += f", {p_value(pair.p)} by {pair.outcome.test}{corrected}"
    numbers += f", {counted(pair.seeds, 'seed')}{_left_out(pair)}"
    start, first, second = f"On {board.title},", *names
    if pair.verdict == "cannot say":
        return f"{start} this study cannot say whether {first} or {second} is better: {pair.reason} ({numbers})."
    if pair.verdict in ("better", "worse"):
        return f"{start} {first} is better than {second} ({numbers})."
    if pair.verdict == "equivalent":
        margin = number(pair.margin, max(places, significant([pair.margin]) - 2))
        return f"{start} {first} and {second} are equivalent, their difference within ±{margin} ({numbers})."
    ending = ""
    if interval is None and pair.difference:
        ending = " All seeds differ by the same amount, so nothing is known about its spread."
    elif pair.p is not None and pair.p < ALPHA:
        margin = number(pair.margin, significant([pair.margin]))
        ending = f" What difference there is lies below the smallest that counts, {margin}."
    return f"{start} {first} and {second} show no difference ({numbers}).{ending}"


def _left_out(pair: Pair) -> str:
    if not pair.left_out:
        return ""
    return f"; {counted(pair.left_out, 'seed')} left out, as one of the two failed or has not run there"


def _headline(judgements: Sequence[Judgement]) -> str:
    if not judgements:
        return "No run has finished yet, so there is nothing to compare."
    counts = Counter(judgement.verdict for judgement in judgements)
    parts = [f"Liquid networks better on {counts['liquid better']}"]
    parts.append(f"recurrent better on {counts['recurrent better']}")
    parts += [f"equivalent on {counts['equivalent']}"] if counts["equivalent"] else []
    parts.append(f"no difference shown on {counts['no difference shown']}")
    parts += [f"{rest} on {counts[rest]}" for rest in ("cannot say", "not compared") if counts[rest]]
    return f"{', '.join(parts)} of {counted(len(judgements), 'task')}. {_consequence(judgements)}"


def _consequence(judgements: Sequence[Judgement]) -> str:
    """What to do, by the models that were compared and no others."""
    counts = Counter(judgement.verdict for judgement in judgements)
    liquid, recurrent = counts["liquid better"], counts["recurrent better"]
    where = "here" if len(judgements) < FEW_TASKS else "on tasks like these"
    if len(judgements) == counts["cannot say"] + counts["not compared"]:
        return "This study cannot say which to use."
    if liquid and recurrent:
        return f"{_named(judgements)}. It depends on the task: try both on your own data."
    if liquid == len(judgements):
        return f"{_named(judgements)}: use a liquid network {where}."
    if liquid:
        return (
            f"{_named(judgements)}, and on no task was a liquid network shown to be worse: one is worth trying {where}."
        )
    if recurrent == len(judgements):
        return f"{_named(judgements)}: use a recurrent network {where}."
    if recurrent:
        return (
            f"{_named(judgements)}, and on no task was a liquid network shown to be better: stay with a recurrent "
            f"network {where}."
        )
    if counts["equivalent"] == len(judgements):
        return f"{_named(judgements)}: choose by cost {where}."
    return "Nothing here speaks for changing the network you have; more seeds may show a difference."


def _named(judgements: Sequence[Judgement]) -> str:
    """Who was better than whom, and on how many tasks; where nobody was, who were equivalent."""
    verdicts = {judgement.verdict for judgement in judgements}
    decided = verdicts & {"liquid better", "recurrent better"} or {"equivalent"}
    found: Counter[tuple[str, str]] = Counter()
    for judgement in judgements:
        if judgement.pair and judgement.verdict in decided:
            first, second = judgement.pair.first, judgement.pair.second
            found[(second, first) if judgement.verdict == "recurrent better" else (first, second)] += 1
    verb, word = ("were equivalent", "and") if "equivalent" in decided else ("was better", "than")
    (pair, times), *others = found.most_common()
    subject = f"{pair[0]} and {pair[1]} {verb}" if word == "and" else f"{pair[0]} {verb} than {pair[1]}"
    start = f"{subject} on {times} of {counted(len(judgements), 'task')}"
    return ", ".join([start, *(f"{one} {word} {other} on {count}" for (one, other), count in others)])


def _warnings(boards: Sequence[_Board], judgements: Sequence[Judgement]) -> list[str]:
    warnings = []
    if not judgements:
        return warnings
    pairs = [judgement.pair for judgement in judgements if judgement.pair]
    if len(judgements) < FEW_TASKS:
        warnings.append(
            f"{counted(len(judgements), 'task')} {'is' if len(judgements) == 1 else 'are'} few: with fewer than "
            f"{FEW_TASKS}, what holds on these says little about others."
        )
    few = min((pair.seeds for pair in pairs), default=FEW_SEEDS)
    if few < FEW_SEEDS:
        warnings.append(
            f"{counted(few, 'seed')} {'is' if few == 1 else 'are'} few: with fewer than {FEW_SEEDS}, only large "
            "differences can be shown, and “no difference shown” does not mean that there is none."
        )
    for board in boards:
        warnings += [f"{board.title}: {warning}" for warning in board.warnings]
        warnings += _cut_short(board)
        failures = {model: board.failures(model) for model in board.models if board.failures(model)}
        if failures:
            words = ", ".join(f"{model} {number}" for model, number in failures.items())
            warnings.append(f"On {board.title}, runs failed ({words}); they rank last and are in no mean.")
        best = [board.mean(m) for f in ("liquid", "recurrent") if (m := board.representative([f]))]
        if board.trivial is not None and best and not any(board.ahead(mean, board.trivial) for mean in best):
            warnings.append(
                f"On {board.title}, neither family's best is better than the trivial predictor "
                f"({board.words_of(board.trivial)}), so the comparison says little."
            )
        warnings += _no_better_than_linear(board)
    return warnings + _learning(boards)


def _cut_short(board: _Board) -> list[str]:
    warnings = []
    for model in board.models:
        trainings = board.trainings.get(model, ())
        cut = [training.epochs for training in trainings if training.ended == "minutes"]
        if cut:
            consequence = (
                "its score says little about the model"
                if board.cut_short(model)
                else "none of them was chosen, perhaps for that reason"
            )
            warnings.append(
                f"{board.title}: {len(cut)} of {counted(len(trainings), 'training')} of {model} "
                f"{'was' if len(cut) == 1 else 'were'} ended by the cap in minutes, after a median of "
                f"{median(cut):g} {'epoch' if median(cut) == 1 else 'epochs'}; {consequence}."
            )
    return warnings


def _no_better_than_linear(board: _Board) -> list[str]:
    linear = board.linear
    if linear is None:
        return []
    told = f"{board.linear_name} ({board.words_of(linear)})"
    if not any(board.shown_ahead(model, linear) for model in board.models):
        return [f"On {board.title}, no network was shown better than {told}."]
    representatives = [model for family in ("liquid", "recurrent") if (model := board.representative([family]))]
    behind = [model for model in representatives if not board.shown_ahead(model, linear)]
    return [f"On {board.title}, {' and '.join(behind)} {_was(behind)} not shown better than {told}."] if behind else []


def _learning(boards: Sequence[_Board]) -> list[str]:
    """Whether more epochs, or rates beyond the grid, might have changed the scores."""
    trainings = [(model, one) for board in boards for model in board.models for one in board.trainings.get(model, ())]
    chosen = [(model, training) for model, training in trainings if training.best_epoch is not None]
    warnings = []
    improving = [
        model for model, training in chosen if training.best_epoch == training.epochs and training.ended != "patience"
    ]
    if improving:
        warnings.append(
            f"{len(improving)} of {counted(len(chosen), 'chosen fit')} {_was(improving)} still improving at their last "
            f"epoch ({_tally(improving)}): more epochs may change the scores."
        )
    untrained = [model for model, training in chosen if training.best_epoch == 0]
    if untrained:
        warnings.append(
            f"{len(untrained)} of {counted(len(chosen), 'chosen fit')} {_was(untrained)} never better on validation "
            f"than before training ({_tally(untrained)})."
        )
    rates = sorted({training.learning_rate for _, training in trainings})
    if len(rates) > 1:
        edges = {"highest": rates[-1], "lowest": rates[0]}
        found = {edge: sum(one.learning_rate == rate for _, one in chosen) for edge, rate in edges.items()}
        if sum(found.values()):
            which = "; ".join(f"the {edge}, {edges[edge]:g}, in {count}" for edge, count in found.items() if count)
            warnings.append(
                f"The chosen learning rate lay at the edge of the grid in {sum(found.values())} of "
                f"{counted(len(chosen), 'fit')} ({which}): a rate beyond it may do better."
            )
    return warnings


def _tally(models: Sequence[str]) -> str:
    return ", ".join(f"{model} {count}" for model, count in Counter(models).items())


def _was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


def _thresholds(smallest_difference: float) -> tuple[str, ...]:
    return (
        "On each task each family is represented by its model with the fewest failed runs and, among these, the best "
        "mean score on validation, over the seeds that all matched models of the task have run; the two are compared "
        "on test, seed by seed. Models of neither family and rows at published sizes and rates take no part.",
        "Within a task the test is the paired t-test over common seeds, two-sided; where all seeds differ by the same "
        "amount, t is undefined and the exact signed-rank test stands in. p-values are corrected by Holm's method: "
        "over the tasks for liquid against recurrent, over a task's pairs in its table of pairs.",
        f"Over tasks: Friedman's test of the models' ranks, from {FEWEST_RANKED} models and {FEWEST_RANKED} tasks on; "
        f"from {FEWEST_SIGNED} tasks on Wilcoxon's signed-rank test of liquid against recurrent, exact and two-sided. "
        "Neither changes the verdict on a task. Friedman's test leaves out tasks on which the cap in minutes ended a "
        "training that was scored, the other one tasks on which nothing can be said.",
        "“Cannot say”, before all else: the cap in minutes ended a training that was scored of one of the two; or they "
        f"have fewer than {FEWEST_SEEDS} common seeds; or, where a family would be better or the two equivalent, "
        "neither mean is better than the trivial predictor's score.",
        f"“Better”: the corrected p-value lies below {ALPHA} and the mean difference is at least "
        f"{smallest_difference:g} (in units of the score where higher is better; as a fraction of the recurrent "
        "representative's mean where the score is an error).",
        f"“Equivalent”: the whole {100 * LEVEL:.0f} % interval of the mean difference lies within that margin; this "
        "goes before “better”. Anything else: “no difference shown”.",
        f"Intervals of means and of mean differences are Student's, at {100 * LEVEL:.0f} %, not corrected for the "
        "number of comparisons: a bootstrap of few seeds would be too narrow. They speak of other seeds, not of "
        "other data.",
        f"A warning is given below {FEW_TASKS} tasks and below {FEW_SEEDS} common seeds. A network is shown better "
        f"than the linear model where the whole {100 * LEVEL:.0f} % interval of its mean is.",
        RANKING_RULE,
    )


def _over_tasks(models: int, tables: Sequence[NDArray[np.float64]], contests: Sequence[tuple[Pair, bool]]) -> OverTasks:
    ranked = min(models, len(tables)) >= FEWEST_RANKED
    pairs = [(pair, higher) for pair, higher in contests if pair.difference is not None]
    leads = [(pair.difference or 0.0) * (1 if higher else -1) / pair.margin for pair, higher in pairs if pair.margin]
    tested = len(leads) == len(pairs) >= FEWEST_SIGNED
    return OverTasks(
        tasks=len(tables),
        models=models,
        friedman=friedman([table.mean(axis=0) for table in tables]) if ranked else None,
        leads=signed_rank_test(leads, np.zeros(len(leads))) if tested else None,
    )


def _overall(
    boards: Sequence[_Board], models: Sequence[str], tables: Sequence[NDArray[np.float64]], resamples: int = 5000
) -> tuple[Overall, ...]:
    seeds = sum(map(len, tables))
    ranks = np.mean([table.mean(axis=0) for table in tables], axis=0) if tables else None
    bounds = _rank_intervals(tables, resamples) if len(tables) >= FEWEST_BOOTSTRAPPED else None
    lines = [
        Overall(
            model=model,
            family=FAMILIES.get(model, "other"),
            rank=None if ranks is None else float(ranks[index]),
            interval=None if bounds is None else (float(bounds[0, index]), float(bounds[1, index])),
            tasks=len(tables),
            seeds=seeds,
            failures=sum(board.failures(model) for board in boards if model in board.models),
        )
        for index, model in enumerate(models)
    ]
    return tuple(sorted(lines, key=lambda line: (line.rank is None, line.rank)))


def _rank_intervals(tables: Sequence[NDArray[np.float64]], resamples: int) -> NDArray[np.float64]:
    """Hierarchical bootstrap of mean ranks: tasks are drawn, then seeds within each; (2, models)."""
    random = np.random.default_rng(0)
    sums = np.zeros((resamples, tables[0].shape[1]))
    for _ in tables:
        # The same seeds serve all models of a draw, since ranks within a seed belong together.
        drawn = random.integers(len(tables), size=resamples)
        for index, table in enumerate(tables):
            here = np.flatnonzero(drawn == index)
            sums[here] += table[random.integers(len(table), size=(len(here), len(table)))].mean(axis=1)
    return np.quantile(sums / len(tables), _tails(LEVEL), axis=0)


def _places(scores: NDArray[np.float64], higher_is_better: bool) -> NDArray[np.float64]:
    """Places within each row, (datasets, models); equals share, whatever is not finite comes last."""
    costs = np.where(np.isfinite(scores), -scores if higher_is_better else scores, np.inf)
    return stats.rankdata(costs, axis=1)


def _signed_rank(grid: NDArray[np.float64]) -> tuple[float, float, float]:
    """The smaller sum of signed ranks, its exact two-sided p-value, and the rank-biserial correlation."""
    moved = grid[grid != 0]
    if not len(moved):
        return 0.0, 1.0, 0.0
    # Twice the ranks, which ties cannot make fractional.
    ranks = np.rint(2 * stats.rankdata(np.abs(moved))).astype(int)
    total, positive = int(ranks.sum()), int(ranks[moved > 0].sum())
    # Chance of each sum where every sign is a fair coin.
    chances = np.zeros(total + 1)
    chances[0] = 1.0
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    smaller = min(positive, total - positive)
    p = min(1.0, 2 * math.fsum(chances[: smaller + 1]))
    return smaller / 2, p, (2 * positive - total) / total


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = _sample("first", first), _sample("second", second)
    if len(a) != len(b):
        raise ValueError(f"first and second must pair up; got {len(a)} and {len(b)} values")
    return a, b


def _differences(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences as whole multiples of 1e-9 of the largest value, so that equal ones are equal."""
    largest = max(np.abs(a).max(), np.abs(b).max())
    return np.rint((a - b) / (1e-9 * largest)) if largest else np.zeros_like(a)


def _sample(name: str, values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        raise ValueError(f"{name} must be at least 2 numbers in one axis; got shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"{name} must be finite; {(~np.isfinite(sample)).sum()} are not: leave their pairs out")
    return sample


def _table(scores: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"scores must have shape (datasets, models), neither 0; got {table.shape}")
    return table


def _tails(level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, as 0.95 does; got {level}")
    return (1 - level) / 2, (1 + level) / 2
