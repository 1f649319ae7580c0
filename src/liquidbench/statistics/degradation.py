"""How much of a score is lost when the data shift, and which network loses least."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from scipy import integrate

from liquidbench import shifts
from liquidbench.statistics.inference import ALPHA, Interval, mean_interval
from liquidbench.statistics.pairs import Pair, corrected_pairs
from liquidbench.statistics.task_results import FLOORS, FoldAndSeed, TaskResults
from liquidbench.wording import listed, number, significant

DEGRADATION_RULE = (
    "When the data shift, a drop is the score on unchanged data minus that on shifted data of the same run (for errors "
    "the reverse), so that more is worse. The area is that under the drops over the levels, by trapezoids, with the "
    "strongest level at 1: the mean drop from no shift to the strongest. A relative drop is its share of the lead of "
    "the model's mean over the trivial predictor; 100 % is all that was learnt. “Shown”: the areas of two models in "
    "the same runs differ by more than the smallest difference that counts, in a paired test with p below "
    f"{ALPHA:g} after Holm's correction for all pairs of one task and shift; several shifts are not corrected for each "
    "other. These claims cover seeds (or splits), not other test recordings."
)


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


def degradations(task: TaskResults) -> list[ShiftEffect]:
    """The effects of all shifts on a task, for its matched models."""
    return [found for key, scores in task.shifted.items() if (found := _effect(task, key, scores))]


def _effect(
    task: TaskResults, key: str, scores: Mapping[str, Mapping[FoldAndSeed, Mapping[float, float]]]
) -> ShiftEffect | None:
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
    drops = {model: runs for model, runs in drops.items() if runs}
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
    scores = task.scores(model)
    clean = fmean(task.values({run: scores[run] for run in drops}))
    trivial = task.floors.get(FLOORS["trivial"])
    lead = math.nan if trivial is None else task.lead(clean - trivial)

    def loss(values: Mapping[FoldAndSeed, float]) -> Loss:
        sample = task.values(values)
        mean = fmean(sample)
        bounds = mean_interval(sample, test_to_train=task.test_to_train) if len(sample) > 1 else None
        if not lead > 0:
            return Loss(mean, bounds, None, None)
        return Loss(mean, bounds, mean / lead, bounds and (bounds[0] / lead, bounds[1] / lead))

    return Degradation(
        model=model,
        clean=clean,
        drops={level: loss({run: lost[place] for run, lost in drops.items()}) for place, level in enumerate(levels)},
        area=loss(areas),
        runs=len(drops),
        left_out=len(task.cells[model, "matched"]) - len(drops),
    )


def _named(models: Sequence[str]) -> str:
    return " and ".join(models) if len(models) == 2 else listed(models, most=4, quote=False)
