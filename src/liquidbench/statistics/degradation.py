"""How much of a score is lost when the data shift, and which network loses least."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

from scipy import integrate

from liquidbench import shifts
from liquidbench.models import Family
from liquidbench.statistics.across import FEWEST_BOOTSTRAPPED, FEWEST_SIGNED
from liquidbench.statistics.inference import (
    ALPHA,
    LEVEL,
    Interval,
    hierarchical_interval,
    holm,
    mean_interval,
    signed_rank_test,
)
from liquidbench.statistics.pairs import Pair, corrected_pairs
from liquidbench.statistics.task_results import FLOORS, FoldAndSeed, TaskResults
from liquidbench.wording import counted, listed, number, p_value, percent, significant

DEGRADATION_RULE = (
    "When the data shift, or the world of a closed loop changes, a drop is the score on unchanged data (in the world "
    "of training) minus that on shifted data (in the other world) of the same run (for errors the reverse), so that "
    "more is worse. The area is that under the drops over the levels, by trapezoids, with the strongest level at 1: "
    "the mean drop from no shift to the strongest. A relative drop is its share of the lead of the model's mean over "
    "the trivial predictor; 100 % is all that was learnt. “Shown”: the areas of two models in the same runs differ by "
    f"more than the smallest difference that counts, in a paired test with p below {ALPHA:g} after Holm's correction "
    "for all pairs of one task and shift; several shifts are not corrected for each other. These claims cover seeds "
    "(or splits), not other test recordings."
)

FAMILY_SHIFT_RULE = (
    "Families when the data shift, over tasks: a family's loss on a task is the mean of its models' relative areas, in "
    "the same runs. The difference is the liquid networks' loss less the recurrent ones', so that below zero liquid "
    f"networks lose less. With at least {FEWEST_BOOTSTRAPPED} tasks it has an interval, a bootstrap over tasks and, "
    f"within each, over seeds; with at least {FEWEST_SIGNED} a signed-rank test over tasks, and “shown” means p below "
    f"{ALPHA:g} after Holm's correction for all shifts. Tasks on which a model has no lead over the trivial predictor, "
    "or no run has all models, are left out."
)

_SIDES: tuple[Family, Family] = ("liquid", "recurrent")


@dataclass(frozen=True)
class Loss:
    """A mean of drops, or of areas under them, over runs; more is worse.

    Attributes:
        mean: the mean, in units of the score.
        interval: its interval (`mean_interval`); None with fewer than two values.
        relative: the mean as a share of the model's lead over the trivial predictor on unchanged data; None without
            such a lead.
        relative_interval: the interval in the same unit; the lead is taken as known.
    """

    mean: float
    interval: Interval | None
    relative: float | None
    relative_interval: Interval | None


@dataclass(frozen=True)
class Degradation:
    """What a model loses on one task under one shift.

    Attributes:
        model: the model's name.
        clean: mean score on unchanged data, of the same runs.
        drops: the loss at each level above 0.
        area: the area under the curve of drops over the levels, scaled to [0, 1].
        runs: number of runs with scores at all levels.
        left_out: number of runs without one.
    """

    model: str
    clean: float
    drops: Mapping[float, Loss]
    area: Loss
    runs: int
    left_out: int


@dataclass(frozen=True)
class ShiftEffect:
    """One shift on one task: what each model loses, and who loses least.

    Attributes:
        task: the task's name.
        shift: the shift's key.
        models: the models, the smallest area first.
        pairs: every two of them, compared by their areas; "better" has the smaller one.
    """

    task: str
    shift: str
    models: tuple[Degradation, ...]
    pairs: tuple[Pair, ...]

    def verdict(self, model: str) -> str:
        """The verdict on the pair of the first of `models` and another: "better" if the first is shown to lose less."""
        first = self.models[0].model
        pair = next(one for one in self.pairs if {one.first, one.second} == {first, model})
        swapped = {"better": "worse", "worse": "better"}
        return pair.verdict if pair.first == first else swapped.get(pair.verdict, pair.verdict)

    @property
    def sentence(self) -> str:
        """Who degrades least, and whether that is shown."""
        least, *others = self.models
        shift = shifts.recorded(self.shift).title
        loss = number(least.area.mean, significant([one.area.mean for one in self.models]))
        if not others:
            return f"{shift}: {least.model} loses {loss} on average over the levels."
        found = f"{shift}: {least.model} degrades least, losing {loss} on average over the levels"
        verdicts = {one.model: self.verdict(one.model) for one in others}
        if set(verdicts.values()) == {"cannot say"}:
            reason = next(pair.reason for pair in self.pairs if least.model in (pair.first, pair.second))
            return f"{found}; this study cannot say whether that holds: {reason}.{self._by_share}"
        shown, alike = ([model for model, one in verdicts.items() if one == word] for word in ("better", "equivalent"))
        rest = [model for model in verdicts if model not in (*shown, *alike)]
        if len(shown) == len(others):
            return f"{found}; that is shown against {'every other' if len(shown) > 1 else shown[0]}.{self._by_share}"
        words = [f"equivalent to {_named(alike)}"] if alike else []
        words += [f"shown against {_named(shown)}"] if shown else []
        if len(rest) == len(others):
            words.append("that is shown against no other")
        elif rest:
            words.append(f"not shown against {_named(rest)}")
        return f"{found}; {', '.join(words)}.{self._by_share}"

    @property
    def _by_share(self) -> str:
        """Who loses least of what it had learnt, if that is another model: a poor one has little to lose."""
        shares = {one.model: one.area.relative for one in self.models if one.area.relative is not None}
        least = min(shares, key=lambda model: shares[model], default="")
        if least in ("", self.models[0].model):
            return ""
        return f" As a share of its lead over the trivial predictor, {least} loses least."


@dataclass(frozen=True)
class FamilyLoss:
    """One shift over all tasks: do liquid or recurrent networks lose less of what they have learnt?

    Losses are shares of the lead over the trivial predictor, by `FAMILY_SHIFT_RULE`.

    Attributes:
        shift: the shift's key.
        tasks: number of tasks.
        left_out: number of tasks with this shift that are left out.
        liquid: mean loss of the liquid networks over tasks.
        recurrent: that of the recurrent networks.
        less: number of tasks on which the liquid networks lose less, on average over runs.
        interval: interval of the difference, liquid less recurrent; None with fewer than `FEWEST_BOOTSTRAPPED` tasks.
        p: p-value of the signed-rank test, corrected for all shifts; None with fewer than `FEWEST_SIGNED` tasks.
    """

    shift: str
    tasks: int
    left_out: int
    liquid: float
    recurrent: float
    less: int
    interval: Interval | None
    p: float | None

    @property
    def difference(self) -> float:
        """Loss of the liquid networks less that of the recurrent ones."""
        return self.liquid - self.recurrent

    @property
    def verdict(self) -> str:
        """The family that is shown to lose less, "no difference shown", or "cannot say"."""
        if self.p is None:
            return "cannot say"
        if self.p >= ALPHA:
            return "no difference shown"
        return "liquid" if self.difference < 0 else "recurrent"

    @property
    def sentence(self) -> str:
        """Who loses less, with the numbers."""
        said = {
            "liquid": "liquid networks lose less of what they have learnt",
            "recurrent": "recurrent networks lose less of what they have learnt",
            "no difference shown": "no difference between liquid and recurrent networks is shown",
            "cannot say": f"which family loses less cannot be said from fewer than {FEWEST_SIGNED} tasks",
        }[self.verdict]
        facts = [f"{number(100 * self.liquid, 1)} % against {number(100 * self.recurrent, 1)} % of their leads"]
        if self.interval:
            low, high = (number(100 * end, 1) for end in self.interval)
            difference = number(100 * self.difference, 1, signed=True)
            facts.append(f"difference {difference} points, {percent(LEVEL)} interval [{low}, {high}]")
        if self.p is not None:
            facts.append(p_value(self.p))
        facts.append(f"less on {self.less} of {counted(self.tasks, 'task')}")
        if self.left_out:
            facts.append(f"{counted(self.left_out, 'task')} left out")
        return f"{shifts.recorded(self.shift).title}: {said} ({'; '.join(facts)})."


def family_losses(tasks: Sequence[TaskResults]) -> list[FamilyLoss]:
    """What each shift costs liquid and recurrent networks over tasks; empty without both families."""
    keys = sorted({key for task in tasks for key in task.shifted}, key=shifts.place_of)
    found = [one for key in keys if (one := _family_loss(tasks, key)) is not None]
    tested = {one.shift: one.p for one in found if one.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())).tolist(), strict=True)) if tested else {}
    return [replace(one, p=corrected.get(one.shift)) for one in found]


def _family_loss(tasks: Sequence[TaskResults], key: str) -> FamilyLoss | None:
    shifted = [task for task in tasks if key in task.shifted and all(task.members([side]) for side in _SIDES)]
    losses = [found for task in shifted if (found := _losses_of_families(task, key))]
    if not losses:
        return None
    means = [[fmean(of) for of in zip(*pairs, strict=True)] for pairs in losses]
    differences = [[liquid - recurrent for liquid, recurrent in pairs] for pairs in losses]
    over = [fmean(values) for values in differences]
    bounds = hierarchical_interval(differences) if len(losses) >= FEWEST_BOOTSTRAPPED else None
    return FamilyLoss(
        shift=key,
        tasks=len(losses),
        left_out=len(shifted) - len(losses),
        liquid=fmean(liquid for liquid, _ in means),
        recurrent=fmean(recurrent for _, recurrent in means),
        less=sum(difference < 0 for difference in over),
        interval=None if bounds is None else (float(bounds[0]), float(bounds[1])),
        p=signed_rank_test(over, [0.0] * len(over)).p if len(over) >= FEWEST_SIGNED else None,
    )


def _losses_of_families(task: TaskResults, key: str) -> list[tuple[float, float]]:
    """Relative areas of the families, means over their models, for each run that all of these have done."""
    levels, drops = _drops(task, key)
    members = {side: task.members([side]) for side in _SIDES}
    models = [model for side in _SIDES for model in members[side]]
    if not levels or not all(model in drops for model in models):
        return []
    leads = {model: _lead(task, model, drops[model]) for model in models}
    if not all(lead > 0 for lead in leads.values()):
        return []
    runs = sorted(set.intersection(*(set(drops[model]) for model in models)))

    def loss(side: Family, run: FoldAndSeed) -> float:
        return fmean(_area(levels, drops[model][run]) / leads[model] for model in members[side])

    return [(loss("liquid", run), loss("recurrent", run)) for run in runs]


def degradations(task: TaskResults) -> list[ShiftEffect]:
    """The effects of all shifts on a task, for its matched models."""
    return [found for key in task.shifted if (found := _effect(task, key))]


def _drops(task: TaskResults, key: str) -> tuple[list[float], dict[str, dict[FoldAndSeed, list[float]]]]:
    """The levels of a shift, and each model's drops at them in its runs with scores at all."""
    scores = task.shifted[key]
    levels = sorted({level for runs in scores.values() for found in runs.values() for level in found if level > 0})
    clean = {model: task.scores(model) for model in task.models}
    drops = {
        model: {
            run: [task.lead(clean[model][run] - found[level]) for level in levels]
            for run, found in scores.get(model, {}).items()
            if run in clean[model] and found.keys() >= set(levels)
        }
        for model in task.models
    }
    return levels, {model: runs for model, runs in drops.items() if runs}


def _effect(task: TaskResults, key: str) -> ShiftEffect | None:
    levels, drops = _drops(task, key)
    if not levels or not drops:
        return None
    areas = {model: {run: _area(levels, lost) for run, lost in runs.items()} for model, runs in drops.items()}
    models = [_degradation(task, model, levels, drops[model], areas[model]) for model in drops]
    judged = task.judged_by(areas)
    contests = [judged.pair(one, other) for one, other in combinations(areas, 2)]
    return ShiftEffect(
        task=task.name,
        shift=key,
        models=tuple(sorted(models, key=lambda one: one.area.mean)),
        pairs=tuple(corrected_pairs(contests, [False] * len(contests))),
    )


def _area(levels: Sequence[float], drops: Sequence[float]) -> float:
    """Area under drops over levels scaled to [0, 1]; there is no drop at level 0."""
    return float(integrate.trapezoid([0.0, *drops], [0.0, *levels])) / levels[-1]


def _degradation(
    task: TaskResults,
    model: str,
    levels: Sequence[float],
    drops: Mapping[FoldAndSeed, Sequence[float]],
    areas: Mapping[FoldAndSeed, float],
) -> Degradation:
    lead = _lead(task, model, drops)

    def loss(values: Mapping[FoldAndSeed, float]) -> Loss:
        sample = task.values(values)
        mean = fmean(sample)
        bounds = mean_interval(sample, test_to_train=task.test_to_train) if len(sample) > 1 else None
        if not lead > 0:
            return Loss(mean, bounds, None, None)
        return Loss(mean, bounds, mean / lead, bounds and (bounds[0] / lead, bounds[1] / lead))

    return Degradation(
        model=model,
        clean=_clean(task, model, drops),
        drops={level: loss({run: lost[place] for run, lost in drops.items()}) for place, level in enumerate(levels)},
        area=loss(areas),
        runs=len(drops),
        left_out=len(task.cells[model, "matched"]) - len(drops),
    )


def _clean(task: TaskResults, model: str, runs: Collection[FoldAndSeed]) -> float:
    """Mean score of a model on unchanged data, of some runs."""
    scores = task.scores(model)
    return fmean(task.values({run: scores[run] for run in runs}))


def _lead(task: TaskResults, model: str, runs: Collection[FoldAndSeed]) -> float:
    """Lead of this mean over the trivial predictor; NaN where there is none."""
    trivial = task.floors.get(FLOORS["trivial"])
    return math.nan if trivial is None else task.lead(_clean(task, model, runs) - trivial)


def _named(models: Sequence[str]) -> str:
    return " and ".join(models) if len(models) == 2 else listed(models, most=4, quote=False)
