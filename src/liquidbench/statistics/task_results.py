"""The results of one task: read from a table, paired by seed and outer split, and compared two models at a time."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench import results
from liquidbench.facts import Facts
from liquidbench.models import Family
from liquidbench.statistics.cost import Price, measured, prices
from liquidbench.statistics.inference import (
    ALPHA,
    LEVEL,
    MOST_SEEDS,
    POWER,
    Effect,
    Interval,
    PairedTest,
    differences,
    effect_size,
    holm,
    mean_interval,
    paired_test,
    places,
    resampled_test,
    score_interval,
    seeds_to_equate,
    seeds_to_show,
)
from liquidbench.statistics.wording import counted, linear_model, number, percent, significant

FEWEST_SEEDS = 3
"""Two models are judged from so many common seeds on: the spread of two differences is hardly known."""

FEW_SEEDS = 5
"""A verdict on a task with fewer comes with a warning."""

FoldAndSeed = tuple[int, int]
"""What tells the runs of one model and variant apart."""

REACH = ((2.0, "within reach"), (10.0, "costly"), (math.inf, "out of reach"))
"""Each word holds up to so many times the seeds that there are."""

PROSPECT_RULE = (
    "Where no difference is shown: the number of seeds that would show one with a power of "
    f"{percent(POWER)} if difference and spread are as observed, or equivalence where the difference is below the "
    "smallest that counts. The level is that of Holm's first step. “Within reach”: at most twice the present seeds; "
    f"“costly”: at most ten times; “out of reach”: more, or more than {MOST_SEEDS:,}."
)


@dataclass(frozen=True)
class Standing:
    """How a model did on one task.

    Attributes:
        task: the task's name.
        model: its name.
        variant: "matched", or "author" for a row that no rank and no verdict counts.
        family: of the model.
        mean: of `values`; None without any.
        interval: of that mean (`mean_interval`), within the range of the score; None below two values.
        values: test scores, one a seed; on several outer splits their means over seeds, one a split.
        splits: number of outer splits that the task was run on.
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
    values: tuple[float, ...] = ()
    splits: int = 1


@dataclass(frozen=True)
class Prospect:
    """What more seeds would show where none has been shown yet, were difference and spread the true ones.

    Attributes:
        aim: "different", or "equivalent" where the difference seen lies below the smallest that counts.
        seeds: how many would show that with a chance of `POWER`; None above `MOST_SEEDS`.
        now: how many there are.
    """

    aim: Literal["different", "equivalent"]
    seeds: int | None
    now: int

    @property
    def reach(self) -> str:
        """A word of `REACH`."""
        return "out of reach" if self.seeds is None else next(w for end, w in REACH if self.seeds <= end * self.now)

    @property
    def sentence(self) -> str:
        """That in words."""
        show = "the two to be equivalent" if self.aim == "equivalent" else "a difference"
        many = f"more than {MOST_SEEDS:,}" if self.seeds is None else f"about {self.seeds:,}"
        text = (
            f"If difference and spread are as observed, {many} seeds would show {show} with a power of "
            f"{percent(POWER)} (there are {self.now}): {self.reach}."
        )
        return text + " With so few seeds the spread is uncertain." if self.now < FEW_SEEDS else text


@dataclass(frozen=True)
class Pair:
    """Two models on one task, over the seeds that both finished.

    Where the task was run on several outer splits, pairs are splits: differences are means over the seeds of a split,
    and test and interval allow for training data that overlap (`resampled_test`).

    Attributes:
        task: the task's name.
        first: a model.
        second: another.
        difference: mean score of the first less that of the second; None without a common seed.
        interval: of the difference; None where it is unknown: below two pairs, or where all differ alike.
        p: corrected by Holm's method; None where there is no `outcome`.
        outcome: the test before correction; None below two pairs, and for splits that all differ alike.
        margin: the smallest difference that counts, in units of the score.
        seeds: number of common seeds; on several splits the smallest of any.
        left_out: runs that one of the two has not finished.
        verdict: on the first: "better", "worse", "equivalent", "no difference shown" or "cannot say".
        reason: why nothing can be said; "" where something can.
        differences: score of the first less that of the second of each pair, in the order of seeds or splits.
        effect: how large the difference is, positive where the first has the larger score; None below three pairs.
        tests: number of p-values that the correction counts.
        over: what the pairs are, "seed" or "split".
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
    differences: tuple[float, ...] = ()
    effect: Effect | None = None
    tests: int = 1
    over: Literal["seed", "split"] = "seed"

    @property
    def extent(self) -> str:
        """What the pairs are, in words."""
        if self.over == "seed":
            return counted(self.seeds, "seed")
        return f"over {counted(len(self.differences), 'split')}, {counted(self.seeds, 'seed')} each"

    @property
    def prospect(self) -> Prospect | None:
        """What more seeds would show; None where something is shown, nothing can be said, or the spread is unknown.

        None over splits too: a task has no more of them, and more seeds tell nothing of other data. The level is that
        of Holm's first step, at worst; a verdict of equivalence is not corrected.
        """
        if self.verdict != "no difference shown" or self.difference is None or self.interval is None:
            return None
        if self.over == "split":
            return None
        spread = float(np.std(self.differences, ddof=1))
        if _counts(self.difference, self.margin):
            return Prospect("different", seeds_to_show(self.difference, spread, ALPHA / self.tests), self.seeds)
        needed = seeds_to_equate(self.difference, spread, self.margin, 1 - LEVEL)
        return Prospect("equivalent", needed, self.seeds)


@dataclass(frozen=True, slots=True)
class _Scores:
    """One run's scores; NaN where it failed."""

    test: float
    validation: float


@dataclass(frozen=True, slots=True)
class Training:
    """How a training ended whose weights were scored; see `liquidbench.results.trainings`."""

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
"""By kind of run, columns that should say the same of all models of a task; ``backend`` of each model by itself."""


@dataclass(frozen=True)
class Trainings:
    """How the trainings of a matched model ended.

    Attributes:
        number: how many there were, those of all trials.
        cut: of each that the time limit ended, its steps, or epochs.
        chosen: those whose weights were scored, one a run.
        unit: what they count in, "step" or "epoch".
    """

    number: int = 0
    cut: Sequence[float] = ()
    chosen: Sequence[Training] = ()
    unit: str = "step"


class TaskResults:
    """What the runs of one task scored, by model."""

    def __init__(
        self,
        name: str,
        cells: Mapping[tuple[str, str], Mapping[FoldAndSeed, _Scores]],
        facts: Facts | None,
        trainings: Mapping[str, Trainings],
        trivial: float | None,
        linear: float | None,
        costs: Mapping[str, Mapping[str, float]],
        circumstances: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]],
        smallest_difference: float,
        families: Mapping[str, Family],
    ):
        self.name, self.cells, self.trainings, self.trivial, self.linear = name, cells, trainings, trivial, linear
        self.costs, self.circumstances, self.families = costs, circumstances, families
        told = facts or Facts()
        self.title, self.warnings, self.measure = told.title or name, told.warnings, told.measure
        self.linear_name, self.higher = linear_model(told), told.higher_is_better
        label = self.measure.label
        self.words = label[:1].lower() + label[1:]
        self.models = [model for model, variant in cells if variant == "matched"]
        self.splits = len({fold for runs in cells.values() for fold, _ in runs})
        self.test_to_train = test_to_train(name, facts) if self.splits > 1 and facts else 0.0
        self.margin = smallest_difference
        # Without a greatest value a score has no known scale either.
        if not self.higher or math.isinf(self.measure.range[1]):
            reference = self.representative(["recurrent"]) or self.representative(["liquid", "other", "yours"])
            self.margin *= abs(self.mean(reference)) if reference else 1.0

    def words_of(self, score: float) -> str:
        """A score with the name of its metric."""
        return f"{self.words} {number(score, significant([score]))}"

    def members(self, families: Collection[str]) -> list[str]:
        """The matched models of some families."""
        return [model for model in self.models if self.families.get(model, "other") in families]

    def ahead(self, one: float, other: float) -> bool:
        """Whether a score is better than another."""
        return one > other if self.higher else one < other

    def scores(self, model: str, variant: str = "matched") -> dict[FoldAndSeed, float]:
        """Test scores of the runs that did not fail."""
        found = {run: cell.test for run, cell in self.cells[model, variant].items()}
        return {run: score for run, score in found.items() if math.isfinite(score)}

    def values(self, scores: Mapping[FoldAndSeed, float]) -> list[float]:
        """Scores as they are, where there is one split; of several, their means over seeds, one a split."""
        if self.splits == 1:
            return [scores[run] for run in sorted(scores)]
        folds = sorted({fold for fold, _ in scores})
        return [fmean(score for (fold, _), score in scores.items() if fold == one) for one in folds]

    def mean(self, model: str) -> float:
        """Mean test score of a matched model that has any."""
        return fmean(self.values(self.scores(model)))

    def failures(self, model: str, variant: str = "matched") -> int:
        """How many runs of a model failed or gave no finite score."""
        return len(self.cells[model, variant]) - len(self.scores(model, variant))

    def shown_ahead(self, model: str, reference: float) -> bool:
        """Whether the whole interval of a model's mean lies beyond a score that has no spread."""
        values = self.values(self.scores(model))
        bounds = mean_interval(values, test_to_train=self.test_to_train) if len(values) > 1 else ()
        return bool(bounds) and all(self.ahead(end, reference) for end in bounds)

    def trainings_of(self, model: str) -> Trainings:
        """How the trainings of a model ended; none in results of early versions."""
        return self.trainings.get(model, Trainings())

    def cut_short(self, model: str) -> str:
        """In words, that the time limit ended what was scored of a model; "" where it did not."""
        chosen = self.trainings_of(model).chosen
        cut = sum(training.ended == "minutes" for training in chosen)
        return f"the time limit ended {cut} of {len(chosen)} chosen trainings of {model}" if cut else ""

    def runs_of_all(self, models: Sequence[str]) -> list[FoldAndSeed]:
        """The seeds, on each split, that all of some matched models have run."""
        runs = [set(self.cells.get((model, "matched"), {})) for model in models]
        return sorted(set.intersection(*runs)) if runs else []

    def representative(self, families: Collection[str]) -> str | None:
        """The model that validation chooses; the study's order decides between equals.

        Means over other seeds are other quantities, so only seeds count that every matched model of the task has run
        and no candidate failed.
        """
        runs = self.runs_of_all(self.models)

        def finished(model: str) -> set[FoldAndSeed]:
            cells = self.cells[model, "matched"]
            return {run for run in runs if math.isfinite(cells[run].test) and math.isfinite(cells[run].validation)}

        members = {model: finished(model) for model in self.members(families)}
        most = max(map(len, members.values()), default=0)
        candidates = {model: found for model, found in members.items() if len(found) == most}
        common = set.intersection(*candidates.values()) if candidates else set()

        def key(model: str) -> float:
            mean = fmean(self.values({run: self.cells[model, "matched"][run].validation for run in common}))
            return -mean if self.higher else mean

        return min(candidates, key=key) if common else None

    def common(self, first: str, second: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`values` of two models over the runs that both finished, in one order."""
        a, b = self.scores(first), self.scores(second)
        runs = a.keys() & b.keys()
        return np.array(self.values({run: a[run] for run in runs})), np.array(
            self.values({run: b[run] for run in runs})
        )

    def pair(self, first: str, second: str) -> Pair:
        """Two matched models over the runs that both finished; its p and verdict are still to be corrected."""
        a, b = self.common(first, second)
        runs = self.scores(first).keys() & self.scores(second).keys()
        planned = self.cells[first, "matched"].keys() | self.cells[second, "matched"].keys()
        spread = len(a) > 1 and np.ptp(differences(a, b)) > 0
        over = "seed" if self.splits == 1 else "split"
        outcome = None
        if over == "seed" and len(a) > 1:
            outcome = paired_test(a, b)
        elif over == "split" and spread:
            outcome = resampled_test(a, b, self.test_to_train)
        reasons = [words for model in (first, second) if (words := self.cut_short(model))]
        if not len(a):
            reasons.append("they share no seed that both finished")
        elif len(a) < FEWEST_SEEDS:
            reasons.append(f"{counted(len(a), over)} {'is' if len(a) == 1 else 'are'} too few")
        return Pair(
            task=self.name,
            first=first,
            second=second,
            difference=float((a - b).mean()) if len(a) else None,
            interval=mean_interval(a - b, test_to_train=self.test_to_train) if spread else None,
            p=outcome.p if outcome else None,
            outcome=outcome,
            margin=self.margin,
            seeds=min(Counter(fold for fold, _ in runs).values(), default=0),
            left_out=len(planned) - len(runs),
            verdict="no difference shown",
            reason=" and ".join(reasons),
            differences=tuple((a - b).tolist()),
            effect=effect_size(a, b) if len(a) >= FEWEST_SEEDS else None,
            over=over,
        )

    def lead(self, difference: float) -> float:
        """A difference of scores, positive where the first is better."""
        return difference if self.higher else -difference

    def prices(self, pair: Pair) -> tuple[Price, ...]:
        """What the lead of a pair's first over its second costs; nothing without a common seed."""
        if pair.difference is None:
            return ()
        ends = sorted(map(self.lead, pair.interval)) if pair.interval else None
        return prices(
            pair.first,
            pair.second,
            costs=[(self.costs.get(pair.first, {}), self.costs.get(pair.second, {}))],
            gains=[self.lead(pair.difference)],
            interval=(ends[0], ends[1]) if ends else None,
            verdict=pair.verdict,
            words=lambda rate: (
                f"{self.words} {number(rate, significant([rate]))} {'higher' if self.higher else 'lower'}"
            ),
        )

    def family_pair(self) -> Pair | None:
        """The representatives of liquid and recurrent networks; None where a family has none."""
        liquid, recurrent = self.representative(["liquid"]), self.representative(["recurrent"])
        return self.pair(liquid, recurrent) if liquid and recurrent else None

    def places(self, models: Sequence[str]) -> NDArray[np.float64]:
        """Ranks of some matched models, (runs, models), for the seeds and splits that all of them have run."""
        cells = [self.cells.get((model, "matched"), {}) for model in models]
        runs = self.runs_of_all(models)
        if not runs:
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
) -> list[TaskResults]:
    """The results of each task in a table; `compare` says what it must hold."""
    names = frame.filter(pl.col("kind") == "fit").select(pl.col("task").unique()).collect()["task"]
    found = []
    for task in sorted(names):
        # No more than one task's rows are copied at a time: a large study has millions.
        rows = frame.filter(pl.col("task") == task).collect()
        found.append(
            TaskResults(
                name=task,
                cells=_cells(rows, task, tasks.get(task), families),
                facts=tasks.get(task),
                trainings=_trainings(rows),
                trivial=results.baseline_scores(rows, "trivial").get(task),
                linear=results.baseline_scores(rows, "linear").get(task),
                costs=measured(rows),
                circumstances={kind: _circumstances(rows, kind, columns) for kind, columns in CIRCUMSTANCES.items()},
                smallest_difference=smallest_difference,
                families=families,
            )
        )
    return found


def test_to_train(task: str, facts: Facts) -> float:
    """Rows of a task's data for testing, divided by those for training, on its official split.

    Raises:
        ValueError: the facts do not tell.
    """
    rows = facts.rows
    if not rows.get("train") or not rows.get("test"):
        raise ValueError(
            f"tasks must tell the rows of {task!r} in training and test, as it was run on several splits; write "
            "tasks.json anew: liquidbench resume"
        )
    return rows["test"] / rows["train"]


def in_order(models: Collection[str], families: Mapping[str, Family]) -> list[str]:
    """Models as a mapping of families lists them, unknown ones last."""
    known = list(families)
    return sorted(models, key=lambda model: (known.index(model) if model in families else len(known), model))


def _cells(
    rows: pl.DataFrame, task: str, facts: Facts | None, families: Mapping[str, Family]
) -> dict[tuple[str, str], dict[FoldAndSeed, _Scores]]:
    """A task's main scores, by model and variant, then by split and seed."""
    fits = rows.filter(pl.col("kind") == "fit")
    failed = set(fits.filter(pl.col("status") == "failed")["run"])
    metrics = {} if facts is None else {task: facts.metric}
    test, validation = (
        dict(results.main_scores(fits, metrics, split).select("run", "value").iter_rows())
        for split in ("test", "validation")
    )
    cells: dict[tuple[str, str], dict[FoldAndSeed, _Scores]] = {}
    order = {model: place for place, model in enumerate(in_order(set(fits["model"]), families))}
    runs = fits.select("run", "model", "variant", "fold", "seed").unique(maintain_order=True)
    for run, model, variant, fold, seed in sorted(
        runs.iter_rows(), key=lambda row: (row[2] != "matched", order[row[1]], row[3:])
    ):
        if facts is None and run not in failed:
            raise ValueError(f"tasks must hold the facts of every task with scores; {task!r} is not among them")
        known = cells.setdefault((model, variant), {})
        if (fold, seed) in known:
            raise ValueError(
                f"frame must hold one study's present runs; {model} ({variant}) on {task!r} with seed {seed} is "
                "there twice: name the study's runs to liquidbench.results.read, and its matchings to compare"
            )
        nothing = run in failed
        known[fold, seed] = _Scores(
            math.nan if nothing else test.get(run, math.nan), math.nan if nothing else validation.get(run, math.nan)
        )
    return cells


def _circumstances(rows: pl.DataFrame, kind: str, columns: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Under what a task's matched models were run, where it was not all the same: column, what it says, models."""
    done = rows.filter(pl.col("kind") == kind, pl.col("variant") == "matched", pl.col("status") == "done")
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for column in columns:
        told = done.select("model", pl.col(column).cast(pl.String)).drop_nulls().unique()
        if column == "backend":
            # Not every model has a compiled recurrence.
            told = told.filter(pl.len().over("model") > 1)
        if told[column].n_unique() > 1:
            found[column] = {
                value: tuple(sorted(models))
                for value, models in told.group_by(column).agg("model").sort(column).iter_rows()
            }
    return found


def _trainings(rows: pl.DataFrame) -> dict[str, Trainings]:
    """How the trainings of a task's matched models ended, by model."""
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


def corrected_pairs(pairs: Sequence[Pair], higher: Sequence[bool]) -> list[Pair]:
    """Pairs with p corrected for their number, and the verdict that follows from it."""
    raw = {index: pair.p for index, pair in enumerate(pairs) if pair.p is not None}
    corrected = dict(zip(raw, holm(list(raw.values())).tolist(), strict=True))
    judged = []
    for index, (pair, direction) in enumerate(zip(pairs, higher, strict=True)):
        pair = replace(pair, p=corrected.get(index), tests=max(len(raw), 1))
        judged.append(replace(pair, verdict=_word(pair, direction)))
    return judged


def _word(pair: Pair, higher: bool) -> str:
    if pair.reason:
        return "cannot say"
    if pair.interval and -pair.margin < pair.interval[0] and pair.interval[1] < pair.margin:
        return "equivalent"
    if pair.difference is None or pair.p is None or not _counts(pair.difference, pair.margin) or pair.p >= ALPHA:
        return "no difference shown"
    return "better" if (pair.difference > 0) == higher else "worse"


def _counts(difference: float, margin: float) -> bool:
    # Rounding must not decide whether 0.91 - 0.90 reaches 0.01.
    return abs(difference) >= margin * (1 - 1e-9)
