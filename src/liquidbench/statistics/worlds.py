"""Which networks act better where the world of a closed loop changes, and how well the loss foretells it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

from scipy import stats

from liquidbench import shifts
from liquidbench.statistics.inference import ALPHA, LEVEL, Estimate
from liquidbench.statistics.pairs import FAMILIES_COMPARED, Pair, corrected_pairs, family_words
from liquidbench.statistics.task_results import TaskResults
from liquidbench.wording import counted, listed, number, p_value, percent, significant

WORLD_RULE = (
    "In other worlds: networks learn and are chosen in the world of training alone. A run's score in a world is the "
    "mean over its levels, and families are compared by it as in the verdict: the best of equally many networks of "
    "each, chosen by validation on other seeds, seed by seed. “Shown”: they differ by more than the smallest "
    f"difference that counts, with p below {ALPHA:g} after Holm's correction for all worlds of one task; the mean "
    "over all worlds is a test of its own. Where neither family is shown to be better than the trivial policy in that "
    "world, there is no verdict."
)

MEMORYLESS = "FeedForward"
"""The network without memory that stands beside the families."""

FEWEST_FITS = 5
"""Smallest number of fits for a rank correlation."""


@dataclass(frozen=True)
class WorldVerdict:
    """Liquid against recurrent networks in one world of a task, or over all of them.

    Attributes:
        world: the world's key; "" for the mean over all worlds.
        pair: liquid against recurrent networks; None if a family has no network.
        metric: name of the score, in a sentence.
        beside: mean scores there of what is outside the comparison: the network without memory, the task's policies.
        alone: where no difference of families is shown, the single networks of both that are shown to differ, the
            better first.
    """

    world: str
    pair: Pair | None
    metric: str
    beside: Mapping[str, float]
    alone: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The world's name in reports."""
        return shifts.recorded(self.world).title if self.world else "Over all worlds"

    @property
    def better(self) -> str:
        """The side that is shown to be better; "" if none is."""
        if self.pair is None:
            return ""
        return {"better": self.pair.first, "worse": self.pair.second}.get(self.pair.verdict, "")

    @property
    def sentence(self) -> str:
        """Who acts better there, with the numbers."""
        told = listed([f"{one} is better than {other}" for one, other in self.alone], most=3, quote=False)
        single = f" Of single networks, p corrected over their pairs, {told}." if self.alone else ""
        return f"{self.title}: {self._said}{self._beside}.{single}"

    @property
    def _said(self) -> str:
        pair = self.pair
        if pair is None or pair.means is None or pair.difference is None:
            return "liquid and recurrent networks cannot be compared"
        first, second = map(family_words, (pair.first, pair.second))
        lead, bounds = pair.difference, pair.interval
        places = max(significant([*pair.means, lead]) - 1, 2)
        numbers = f"{self.metric} {number(pair.means[0], places)} against {number(pair.means[1], places)}"
        span = (
            f", {percent(LEVEL)} interval [{number(bounds[0], places)}, {number(bounds[1], places)}]" if bounds else ""
        )
        tested = f", {p_value(pair.p)}" if pair.p is not None else ""
        facts = f"({numbers}; difference {number(lead, places, signed=True)}{span}{tested})"
        if pair.verdict in ("better", "worse"):
            ahead, behind = (first, second) if pair.verdict == "better" else (second, first)
            return f"{ahead} {_verb(self.better)} shown to be better than {behind} {facts}"
        sides = f"{first} and {second}"
        if pair.verdict == "equivalent":
            return f"{sides} are equivalent {facts}"
        if pair.verdict == "no difference shown":
            return f"no difference between {sides} is shown {facts}"
        return f"no verdict on {sides}, as {pair.reason} {facts}"

    @property
    def _beside(self) -> str:
        if not self.beside:
            return ""
        places = max(significant(list(self.beside.values())) - 1, 2)
        told = [f"{name} {number(value, places)}" for name, value in self.beside.items()]
        return f"; beside them {listed(told, most=len(told), quote=False)}"


@dataclass(frozen=True)
class Foretold:
    """How well the score on validation that chose the step foretells how they act, over the fits of a task.

    Attributes:
        loss: name of that score, in a sentence.
        metric: name of the score of acting.
        home: Spearman's rank correlation with it in the world of training, 1 if the order is the same; None where it is
            undefined, as all scores are equal.
        away: the same with its mean over all worlds.
        fits: number of fits.
        models: number of models.
    """

    loss: str
    metric: str
    home: float | None
    away: float | None
    fits: int
    models: int

    @property
    def sentence(self) -> str:
        """How well, in a sentence."""
        found = [one for one in (self.home, self.away) if one is not None]
        if not found:
            return f"Whether {self.loss} on validation foretells {self.metric} cannot be said: all fits score alike."
        worth = ("hardly", "weakly", "in part", "closely")[sum(min(found) >= end for end in _WORTHS)]
        told = [
            f"{number(value, 2)} {where}"
            for value, where in (
                (self.home, "in the world of training"),
                (self.away, "on average over the other worlds"),
            )
            if value is not None
        ]
        return (
            f"Over {counted(self.fits, 'fit')} of {counted(self.models, 'network')}, {self.loss} on validation "
            f"foretells {self.metric} {worth}: Spearman’s rank correlation, 1 if a better one always goes with the "
            f"other, is {' and '.join(told)}."
        )


_WORTHS = (0.3, 0.6, 0.9)
"""Rank correlations from which on a score foretells another weakly, in part and closely."""


@dataclass(frozen=True)
class InWorlds:
    """What happens on one task where the world changes.

    Attributes:
        task: the task's name.
        verdicts: on each world, p corrected over them.
        together: on the mean over all worlds.
        foretold: how well the loss foretells the scores; None with fewer than `FEWEST_FITS` fits.
    """

    task: str
    verdicts: tuple[WorldVerdict, ...]
    together: WorldVerdict
    foretold: Foretold | None

    @property
    def sentence(self) -> str:
        """In how many worlds a family is shown to be better."""
        if self.together.pair is None:
            return "Liquid and recurrent networks were not both run, so there is no verdict on worlds."
        names = {name: family_words(name) for name in (self.together.pair.first, self.together.pair.second)}
        parts = []
        for name, words in names.items():
            where = [one.title.lower() for one in self.verdicts if one.better == name]
            told = f" ({listed(where, most=len(where), quote=False)})" if where else ""
            verb = _verb(name)
            parts.append(f"{words} {verb} shown to be better in {len(where) or 'none'}{told}")
        rest = Counter(one.pair.verdict for one in self.verdicts if one.pair and not one.better)
        parts += [f"{_REST.get(word, word)} in {count}" for word, count in sorted(rest.items())]
        return f"Of {counted(len(self.verdicts), 'world')}: {'; '.join(parts)}."


_REST = {
    "no difference shown": "no difference is shown",
    "equivalent": "they are equivalent",
    "cannot say": "this study cannot say",
    "floor not beaten": "neither is shown to be better than the trivial policy",
}


def in_worlds(task: TaskResults) -> InWorlds | None:
    """The verdicts on the worlds of a task; None if it was run in none."""
    keys = [key for key in task.shifted if shifts.recorded(key).is_world]
    if not keys:
        return None
    contests = {key: pair for key in keys if (pair := task.under([key]).family_pair())}
    judged = dict(zip(contests, corrected_pairs(list(contests.values()), [task.higher] * len(contests)), strict=True))
    whole = task.under(keys).family_pair()
    together = corrected_pairs([whole], [task.higher])[0] if whole else None
    return InWorlds(
        task.name,
        tuple(_verdict(task, key, [key], judged.get(key)) for key in keys),
        _verdict(task, "", keys, together),
        _foretold(task, keys),
    )


def _verdict(task: TaskResults, world: str, keys: Sequence[str], pair: Pair | None) -> WorldVerdict:
    away = task.under(keys)
    beside = {}
    if MEMORYLESS in task.models and (found := away.scores(MEMORYLESS)):
        beside[MEMORYLESS] = fmean(away.values(found))
    policies = {
        policy: fmean(fmean(known[key].values()) for key in keys)
        for policy, known in task.policies.items()
        if all(known.get(key) for key in keys)
    }
    # The expert first, as the best that can be done.
    first = sorted(policies, key=lambda name: name != "expert")
    beside |= {f"the {name}{' policy' * (name == 'trivial')}": policies[name] for name in first}
    trivial = policies.get("trivial")
    if pair and pair.sides and not pair.reason and trivial is not None:
        if not any(_beats(task, side, trivial) for side in pair.sides):
            pair = replace(
                pair, verdict="floor not beaten", reason="neither is shown to be better than the trivial policy"
            )
    alone = _single_networks(away) if pair and pair.verdict == "no difference shown" else ()
    return WorldVerdict(world, pair, task.words, beside, alone)


def _single_networks(task: TaskResults) -> tuple[tuple[str, str], ...]:
    """Single networks of different families that are shown to differ, the better first and the clearest first."""
    members = [task.members([family]) for family in FAMILIES_COMPARED]
    if min(map(len, members)) == 1 == max(map(len, members)):
        return ()
    contests = [task.pair(one, other) for one, other in combinations(task.models, 2)]
    found = [
        pair
        for pair in corrected_pairs(contests, [task.higher] * len(contests))
        if pair.verdict in ("better", "worse")
        and {task.families.get(pair.first), task.families.get(pair.second)} == set(FAMILIES_COMPARED)
    ]
    found.sort(key=lambda pair: -abs(pair.difference or 0.0))
    return tuple((one.first, one.second) if one.verdict == "better" else (one.second, one.first) for one in found)


def _beats(task: TaskResults, side: Estimate, floor: float) -> bool:
    return all(task.ahead(end, floor) for end in side.interval() or (side.difference,))


def _foretold(task: TaskResults, keys: Sequence[str]) -> Foretold | None:
    away, selecting = task.under(keys), task.facts.selection
    if selecting is None:
        return None
    fits = [
        (model, cell.selecting, cell.test, away.cells[model, variant][run].test)
        for (model, variant), cells in task.cells.items()
        if variant == "matched"
        for run, cell in cells.items()
    ]
    fits = [fit for fit in fits if all(map(math.isfinite, fit[1:]))]
    if len(fits) < FEWEST_FITS:
        return None
    _, losses, homes, aways = zip(*fits, strict=True)
    same = selecting.higher_is_better == task.higher

    def agreement(scores: Sequence[float]) -> float | None:
        # Undefined where either side is constant.
        if len(set(losses)) < 2 or len(set(scores)) < 2:
            return None
        result: Any = stats.spearmanr(losses, scores)
        found = float(result.statistic)
        return found if same else -found

    label = selecting.label
    return Foretold(
        label[:1].lower() + label[1:],
        task.words,
        agreement(homes),
        agreement(aways),
        len(fits),
        len({fit[0] for fit in fits}),
    )


def _verb(name: str) -> str:
    return "are" if family_words(name) != name else "is"
