"""Verdicts: which network is better, which are equivalent, and where nothing was shown, by fixed thresholds."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import median

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench import models, results
from liquidbench.conditions import parted
from liquidbench.facts import DRIFT, Facts
from liquidbench.models import Family
from liquidbench.predictions import Predicted
from liquidbench.search import EARLIER_LEARNING_RATES
from liquidbench.statistics.across import (
    FEW_TASKS,
    FEWEST_RANKED,
    FEWEST_SIGNED,
    RANKING_RULE,
    Overall,
    OverTasks,
    judge_over_tasks,
    leads_over_tasks,
    overall_standings,
)
from liquidbench.statistics.certainty import Certainty, certainties
from liquidbench.statistics.cost import BUSY, Price
from liquidbench.statistics.degradation import FamilyLoss, ShiftEffect, degradations, family_losses
from liquidbench.statistics.elapsed import ElapsedTime, elapsed_time
from liquidbench.statistics.inference import ALPHA, LEVEL, Estimate
from liquidbench.statistics.pairs import (
    FAMILIES_COMPARED,
    FEW_SEEDS,
    FEWEST_SEEDS,
    Pair,
    Prospect,
    corrected_pairs,
    family_words,
)
from liquidbench.statistics.task_results import (
    CONSTANT,
    FEWEST_RECORDINGS,
    FEWEST_SPLITS,
    FLOORS,
    SELECTIONS,
    Standing,
    TaskResults,
    Training,
    in_order,
    results_by_task,
)
from liquidbench.statistics.worlds import InWorlds, in_worlds
from liquidbench.study import LEARNING_RATES
from liquidbench.wording import counted, listed, number, p_value, percent, significant

EDGE = 0.05
"""A learning rate is close to an end of its range if it is within this share of the logarithmic range."""

MANY_AT_EDGE = 0.25
"""There is a warning if at least this share of a model's chosen rates, and at least two, are close to one end.

If the rate did not matter, a share of `EDGE` would be; if the most extreme rate were always best, 40 % of searches of
ten trials would choose one there.
"""

EDGE_RULE = (
    "A model gets a warning if at least two, and at least a quarter, of its chosen learning rates are in the "
    "lowest or in the highest twentieth of the range, on its logarithmic scale. If the rate did not matter, a "
    "twentieth would be; if the most extreme rate were always best, 40 % of searches of ten trials would choose one "
    "there."
)


@dataclass(frozen=True)
class Judgement:
    """Liquid against recurrent on one task.

    Attributes:
        task: the task's name.
        pair: liquid (first) and recurrent networks, with p corrected over the tasks; None if a family has no network.
        verdict: "liquid better", "recurrent better", "equivalent", "no difference shown", "floor not beaten", "cannot
            say" or "not compared".
        sentence: the verdict in words, with its numbers.
        prospect: if no difference is shown, how many seeds would show one, or equivalence; otherwise None.
        prices: the cost of the lead, for each cost that was measured for both.
        selections: the same comparison, uncorrected, for each rule of `SELECTIONS`, by its description; empty if no
            family has several networks.
    """

    task: str
    pair: Pair | None
    verdict: str
    sentence: str
    prospect: Prospect | None = None
    prices: tuple[Price, ...] = ()
    selections: Mapping[str, Pair] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """The verdict in two words, with the name of the better one, if any."""
        if self.pair is None or self.verdict not in ("liquid better", "recurrent better"):
            return self.verdict
        return f"{self.pair.first if self.verdict == 'liquid better' else self.pair.second} better"


@dataclass(frozen=True)
class Verdict:
    """The result of a study.

    Attributes:
        headline: the result and a recommendation.
        judgements: the judgement on each task.
        warnings: reasons for caution.
        thresholds: the fixed rules for verdicts.
    """

    headline: str
    judgements: tuple[Judgement, ...]
    warnings: tuple[str, ...]
    thresholds: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All statistics of a table of results.

    Attributes:
        leaderboard: each task's models, the best mean first; author variants last.
        overall: the matched models, the best rank first; without conditioned tasks, as `verdict` and `over_tasks`.
        pairs: every two matched models on each task, with p corrected over the task's pairs.
        verdict: liquid against recurrent networks.
        over_tasks: tests over all tasks.
        others: the verdicts under the study's other matchings, by matching.
        shifts: what models lose when the data shift, for each task and shift.
        family_losses: what families lose over all tasks, for each shift.
        elapsed: whether elapsed time is used, for each task with a conditioned form.
        worlds: what happens where the world of a closed loop changes, for each task with worlds.
        certainties: how sure models are, and whether that is true; empty without their predictions.
    """

    leaderboard: tuple[Standing, ...]
    overall: tuple[Overall, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict
    over_tasks: OverTasks
    others: Mapping[str, Verdict] = field(default_factory=dict)
    shifts: tuple[ShiftEffect, ...] = ()
    family_losses: tuple[FamilyLoss, ...] = ()
    elapsed: tuple[ElapsedTime, ...] = ()
    certainties: tuple[Certainty, ...] = ()
    worlds: tuple[InWorlds, ...] = ()

    @property
    def stands(self) -> str:
        """Whether the verdict is the same under the other matchings, in words; "" without any."""
        if not self.others:
            return ""
        here = {judgement.task: judgement.verdict for judgement in self.verdict.judgements}
        changed = {
            matching: sum(here.get(one.task) != one.verdict for one in other.judgements)
            for matching, other in self.others.items()
        }
        parts = [
            f"on {count} of {counted(len(here), 'task')} with equal {name}" for name, count in changed.items() if count
        ]
        if not any(changed.values()):
            return f"The verdict is the same on every task with equal {' and equal '.join(changed)}."
        return f"The verdict changes {' and '.join(parts)}."

    @property
    def ranks(self) -> dict[str, float]:
        """Mean rank of each ranked model, the best first."""
        return {line.model: line.rank for line in self.overall if line.rank is not None}


def compare(
    frame: pl.DataFrame | pl.LazyFrame,
    tasks: Mapping[str, Facts],
    smallest_difference: float,
    matchings: Sequence[str] = (),
    families: Mapping[str, Family] | None = None,
    without: Callable[[str, str], NDArray[np.float64] | None] | None = None,
    predicted: Callable[[str], Mapping[str, Predicted] | None] | None = None,
    rates: tuple[float, float] = LEARNING_RATES,
) -> Comparison:
    """Judge a study's results.

    Runs are paired by task, outer split and seed, and compared by test scores. On each task, equally many liquid and
    recurrent networks are compared, the best of each (`TaskResults.family_pair`). The verdict's `thresholds` have the
    full rules. Conditioned tasks (`liquidbench.conditions`) are no further tasks: they say whether elapsed time is
    used, and count in no verdict, rank or test over tasks.

    Args:
        frame: rows of `liquidbench.results.read`, the current runs of one study.
        tasks: facts by task name: at least the score, and ``rows`` if there are several splits; ``warnings`` are added
            to the verdict's. A task without any successful run may be absent.
        smallest_difference: the smallest difference that counts. Absolute, in units of the score, if higher is better
            and there is a largest value (accuracy, areas under curves: scores with a known scale); otherwise (errors,
            whose scale is that of the data) as a fraction of the recurrent representative's mean score.
        matchings: the study's matchings, if `frame` has more than one: the first is used, and `others` has the verdicts
            of the rest.
        families: family of each model, in the order of the leaderboard: `Study.families` if a study has user-defined
            models; None for the built-in ones. Other models have the family "other".
        without: ``without(run_id, metric)`` returns the test score without each block of test recordings, or None
            (`liquidbench.predictions.scores_without`). Without it verdicts hold only for the test set used.
        predicted: ``predicted(run_id)`` returns the predictions of a run, or None (`liquidbench.predictions.found`);
            `Comparison.certainties` come from them.
        rates: smallest and largest learning rate that searches drew.

    Returns:
        Leaderboard, pairs and verdict; empty if the frame is empty.

    Raises:
        ValueError: if smallest_difference is negative, a task has scores but no facts, or two runs have the same task,
            model, variant, split and seed.
    """
    if matchings:
        first, *rest = (
            # Certainty is told of the first matching.
            compare(
                results.compared(frame.lazy(), one),
                tasks,
                smallest_difference,
                (),
                families,
                without,
                predicted if one == matchings[0] else None,
                rates,
            )
            for one in matchings
        )
        return replace(first, others={name: one.verdict for name, one in zip(matchings[1:], rest, strict=True)})
    if not smallest_difference >= 0:
        raise ValueError(f"smallest_difference must be at least 0; got {smallest_difference}")
    families = models.families() if families is None else families
    found = results_by_task(frame.lazy(), tasks, smallest_difference, families, without)
    pairs: list[Pair] = []
    for task in found:
        contests = [task.pair(one, other) for one, other in combinations(task.models, 2)]
        pairs += corrected_pairs(contests, [task.higher] * len(contests))
    # The same data under a condition are not another task.
    bases = [task for task in found if not parted(task.name)[1]]
    judgements = [
        _with_single_networks(task, judgement, [pair for pair in pairs if pair.task == task.name])
        for task, judgement in zip(bases, judge(bases), strict=True)
    ]
    names = in_order({model for task in bases for model in task.models}, families)
    # A rank among fewer models is not comparable, so a task counts only if every model has run there.
    places = {task: table for task in bases if len(table := task.places(names))}
    whole = [table for task, table in places.items() if not any(map(task.cut_short, task.models))]
    return Comparison(
        leaderboard=tuple(line for task in found for line in task.standings()),
        overall=overall_standings(bases, names, list(places.values()), families),
        pairs=tuple(pairs),
        verdict=Verdict(
            headline=_headline(judgements),
            judgements=tuple(judgements),
            warnings=tuple(_warnings(bases, judgements, rates)),
            thresholds=_thresholds(smallest_difference),
        ),
        over_tasks=judge_over_tasks(
            bases,
            names,
            whole,
            [pair for pair in pairs if not parted(pair.task)[1]],
            leads_over_tasks(bases, [judgement.pair for judgement in judgements]),
        ),
        shifts=tuple(effect for task in found for effect in degradations(task)),
        family_losses=tuple(family_losses(bases)),
        elapsed=tuple(elapsed_time(found)),
        certainties=tuple(one for task in found for one in certainties(task, predicted)) if predicted else (),
        worlds=tuple(told for task in found if (told := in_worlds(task))),
    )


def _with_single_networks(task: TaskResults, judgement: Judgement, pairs: Sequence[Pair]) -> Judgement:
    """Adds the single networks that are shown to differ if the families are not."""
    if judgement.verdict != "no difference shown" or not judgement.pair or not _of_families(judgement.pair):
        return judgement
    found = [
        (pair.first, pair.second) if pair.verdict == "better" else (pair.second, pair.first)
        for pair in sorted(pairs, key=lambda pair: -abs(pair.difference or 0.0))
        if pair.verdict in ("better", "worse")
        and {task.families.get(pair.first), task.families.get(pair.second)} == set(FAMILIES_COMPARED)
    ]
    if not found:
        return judgement
    told = listed([f"{one} is better than {other}" for one, other in found], most=3, quote=False)
    return replace(judgement, sentence=f"{judgement.sentence} Of single networks, p corrected over this task, {told}.")


def judge(tasks: Sequence[TaskResults]) -> list[Judgement]:
    """Liquid against recurrent on each task, with p corrected over the tasks."""
    contests = {task.name: pair for task in tasks if (pair := task.family_pair())}
    directions = [task.higher for task in tasks if task.name in contests]
    corrected = dict(zip(contests, corrected_pairs(list(contests.values()), directions), strict=True))
    return [_judge(task, corrected.get(task.name)) for task in tasks]


def _judge(task: TaskResults, pair: Pair | None) -> Judgement:
    if pair is None:
        return Judgement(task.name, None, "not compared", f"On {task.title}, there is no comparison: {_gap(task)}.")
    floor = task.floor
    if floor and pair.sides and not pair.reason and not any(_beats(task, side, floor[1]) for side in pair.sides):
        reason = f"neither is shown better than {floor[0]}, {task.words_of(floor[1])}"
        pair = replace(pair, verdict="floor not beaten", reason=reason)
    verdict = {"better": "liquid better", "worse": "recurrent better"}.get(pair.verdict, pair.verdict)
    selections = {label: found for kind, label in SELECTIONS.items() if (found := task.family_pair(kind))}
    return Judgement(
        task.name,
        pair,
        verdict,
        _sentence(task, pair),
        pair.prospect,
        task.prices(pair),
        selections if _of_families(pair) else {},
    )


def _beats(task: TaskResults, side: Estimate, floor: float) -> bool:
    """Whether the whole interval of a mean is better than a fixed score."""
    return all(task.ahead(end, floor) for end in side.interval() or (side.difference,))


def _gap(task: TaskResults) -> str:
    reasons = []
    for family in FAMILIES_COMPARED:
        members = task.members([family])
        if not members:
            reasons.append(f"no {family} network was run")
        elif not any(task.scores(model) for model in members):
            reasons.append(f"no run of a {family} network finished with a score")
        elif task.representative([family]) is None:
            reasons.append(f"no {family} network has validation scores on seeds that all models have run")
    return " and ".join(reasons) or "no seed was finished by both liquid and recurrent networks"


def _sentence(task: TaskResults, pair: Pair) -> str:
    """The judgement in words, the better mean first."""
    start = f"On {task.title},"
    if pair.means is None or pair.difference is None:
        either = f"{family_words(pair.first)} or {family_words(pair.second)} {_are(pair.first)}"
        return f"{start} this study cannot say whether {either} better: {pair.reason}{_left_out(pair)}."
    sides, means, bounds = [pair.first, pair.second], list(pair.means), pair.interval
    if task.lead(pair.difference) < 0:
        sides.reverse()
        means.reverse()
        bounds = (-bounds[1], -bounds[0]) if bounds else None
    lead = tuple(sorted(map(task.lead, bounds))) if bounds else None
    places = significant(means)
    first, second = map(family_words, sides)
    span = f"{number(lead[0], places)} to {number(lead[1], places)}" if lead else ""
    numbers = [f"{task.words} {number(means[0], places)} against {number(means[1], places)}"]
    if pair.p is not None and pair.uncorrected is not None and pair.verdict != "cannot say":
        # The interval is not corrected, so it may seem to contradict the p-value.
        corrected = " after Holm's correction" if pair.p > pair.uncorrected else ""
        numbers.append(f"{p_value(pair.p)}{corrected}")
    numbers += [f"{pair.extent}{_left_out(pair)}", *_who(pair), pair.scope]
    told = "; ".join(numbers)
    if pair.verdict in ("better", "worse"):
        by = f"by {span}" if span else "by the same amount with every seed"
        return f"{start} {first} {_are(sides[0])} better than {second} {by} ({told})."
    if pair.verdict == "floor not beaten":
        interval = f", {percent(LEVEL)} interval of their difference {span}" if span else ""
        return f"{start} {pair.reason}: {first} and {second}{interval} ({told})."
    interval = f", {percent(LEVEL)} interval of the difference {span}" if span else ""
    if pair.verdict == "cannot say":
        either = f"{first} or {second} {_are(sides[0])}"
        return f"{start} this study cannot say whether {either} better: {pair.reason}{interval} ({told})."
    if pair.verdict == "equivalent":
        margin = number(pair.margin, max(places, significant([pair.margin]) - 2))
        return f"{start} {first} and {second} are equivalent, within ±{margin}{interval} ({told})."
    ending = ""
    if not span and pair.difference:
        ending = f" All {pair.over}s differ by the same amount, so the spread is unknown."
    return f"{start} {first} and {second} show no difference{interval} ({told}).{ending}"


def _of_families(pair: Pair) -> bool:
    """Whether a family of several networks is compared."""
    return pair.first in FAMILIES_COMPARED or pair.second in FAMILIES_COMPARED


def _are(side: str) -> str:
    return "are" if side in FAMILIES_COMPARED else "is"


def _who(pair: Pair) -> list[str]:
    """In words, which networks represent the families; empty for two single networks."""
    if not _of_families(pair):
        return []
    most = [max(shares, key=lambda model: shares[model]) for shares in pair.shares if shares]
    best = f"the best of {pair.subsets} by validation" if pair.subsets > 1 else "the mean of single networks"
    return [f"{best}, most often {' and '.join(most)}"]


def _left_out(pair: Pair) -> str:
    if not pair.left_out:
        return ""
    what = counted(pair.left_out, "seed" if pair.over == "seed" else "run")
    return f"; {what} left out, where one of the two failed or has not run"


def _headline(judgements: Sequence[Judgement]) -> str:
    if not judgements:
        return "No run has finished yet, so there is nothing to compare."
    counts = Counter(judgement.verdict for judgement in judgements)
    parts = [f"Liquid networks better on {counts['liquid better']}"]
    parts.append(f"recurrent better on {counts['recurrent better']}")
    parts += [f"equivalent on {counts['equivalent']}"] if counts["equivalent"] else []
    parts.append(f"no difference shown on {counts['no difference shown']}")
    parts += [f"a floor not beaten on {counts['floor not beaten']}"] if counts["floor not beaten"] else []
    parts += [f"{rest} on {counts[rest]}" for rest in ("cannot say", "not compared") if counts[rest]]
    return f"{', '.join(parts)} of {counted(len(judgements), 'task')}. {_consequence(judgements)}"


def _consequence(judgements: Sequence[Judgement]) -> str:
    """The recommendation; it is only about the compared networks."""
    counts = Counter(judgement.verdict for judgement in judgements)
    liquid, recurrent = counts["liquid better"], counts["recurrent better"]
    where = "here" if len(judgements) < FEW_TASKS else "on tasks like these"
    if counts["floor not beaten"] == len(judgements):
        return "Simpler predictors may do as well: use one of them, or train the networks for longer."
    if len(judgements) == counts["cannot say"] + counts["not compared"] + counts["floor not beaten"]:
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
    return "There is no reason here to change the network you have; more seeds may show a difference."


def _named(judgements: Sequence[Judgement]) -> str:
    """Which network was better than which, and on how many tasks; if none was, which were equivalent."""
    verdicts = {judgement.verdict for judgement in judgements}
    decided = verdicts & {"liquid better", "recurrent better"} or {"equivalent"}
    found: Counter[tuple[str, str]] = Counter()
    for judgement in judgements:
        if judgement.pair and judgement.verdict in decided:
            first, second = judgement.pair.first, judgement.pair.second
            found[(second, first) if judgement.verdict == "recurrent better" else (first, second)] += 1
    (pair, times), *others = found.most_common()
    one, other = map(family_words, pair)
    word = "and" if "equivalent" in decided else "than"
    was = "were" if pair[0] in FAMILIES_COMPARED else "was"
    subject = f"{one} and {other} were equivalent" if word == "and" else f"{one} {was} better than {other}"
    subject = subject if one == pair[0] else subject[0].upper() + subject[1:]
    start = f"{subject} on {times} of {counted(len(judgements), 'task')}"
    more = (f"{family_words(one)} {word} {family_words(other)} on {count}" for (one, other), count in others)
    return ", ".join([start, *more])


def _warnings(tasks: Sequence[TaskResults], judgements: Sequence[Judgement], rates: tuple[float, float]) -> list[str]:
    warnings = []
    if not judgements:
        return warnings
    pairs = [judgement.pair for judgement in judgements if judgement.pair]
    if len(judgements) < FEW_TASKS:
        warnings.append(
            f"{counted(len(judgements), 'task')} {'is' if len(judgements) == 1 else 'are'} few: results on fewer than "
            f"{FEW_TASKS} say little about other tasks."
        )
    if any(task.cheap for task in tasks):
        warnings.append(
            "One search per network serves all its seeds (mode: cheap): intervals do not include the spread of "
            "searches, which is mostly several times as large, so nothing is ranked and there is no verdict."
        )
    if any(task.oracle for task in tasks):
        warnings.append(
            "Scores are those of an oracle (selection: oracle): test itself chose settings and steps, so they say what "
            "could be reached by choosing well, networks do worse on other data, and there is no verdict."
        )
    for over in ("seed", "split"):
        # Where there is no difference, the judgement says why.
        found = (len(pair.differences) for pair in pairs if pair.over == over and pair.differences)
        few = min(found, default=FEW_SEEDS)
        if few < FEW_SEEDS:
            warnings.append(
                f"{counted(few, over)} {'is' if few == 1 else 'are'} few: with fewer than {FEW_SEEDS}, only large "
                "differences can be shown, and “no difference shown” does not mean that there is none."
            )
    for task in tasks:
        warnings += [f"{task.title}: {warning}" for warning in task.warnings]
        warnings += _cut_short(task)
        failures = {model: task.failures(model) for model in task.models if task.failures(model)}
        if failures:
            words = ", ".join(f"{model} {number}" for model, number in failures.items())
            warnings.append(f"On {task.title}, runs failed ({words}); they rank last and are left out of means.")
        warnings += _drifted(task)
        warnings += _no_better_than_floor(task)
    return (
        warnings
        + _narrow(tasks, judgements)
        + _unlike(tasks)
        + _fallbacks(tasks)
        + _disturbed(tasks)
        + _learning(tasks, rates)
    )


def _narrow(tasks: Sequence[TaskResults], judgements: Sequence[Judgement]) -> list[str]:
    """Warns of claims that hold only for the recordings in test."""
    decided = {"liquid better", "recurrent better", "equivalent"}
    titles = [
        task.title
        for task, judgement in zip(tasks, judgements, strict=True)
        if judgement.verdict in decided and judgement.pair and judgement.pair.scope.startswith("on th")
    ]
    if not titles:
        return []
    return [
        f"On {listed(titles, quote=False)}, the verdict holds only for this test set: other recordings may give "
        f"another, as fewer than {FEWEST_RECORDINGS} are in test or their predictions were not kept."
    ]


def _cut_short(task: TaskResults) -> list[str]:
    warnings = []
    for model in task.models:
        trainings = task.trainings_of(model)
        if cut := trainings.cut:
            consequence = (
                "its score is no measure of the model"
                if task.cut_short(model)
                else "none of them was chosen, perhaps because of that"
            )
            warnings.append(
                f"{task.title}: {len(cut)} of {counted(trainings.number, 'training')} of {model} "
                f"{'was' if len(cut) == 1 else 'were'} ended by the time limit, after a median of "
                f"{median(cut):g} {trainings.unit}{'' if median(cut) == 1 else 's'}; {consequence}."
            )
    return warnings


def _drifted(task: TaskResults) -> list[str]:
    """Warns if the classes' shares differ between training and test."""
    if task.facts.drift <= DRIFT:
        return []
    shares = zip(
        *(task.facts.class_shares[split] for split in ("train", "test")), task.facts.classes or (), strict=False
    )
    moved = sorted(shares, key=lambda one: -abs(one[0] - one[1]))[:3]
    told = listed([f"{name} {percent(train)} and {percent(test)}" for train, test, name in moved], quote=False)
    best = ""
    if (constant := task.floors.get(CONSTANT)) is not None:
        best = f"; {CONSTANT} has {task.words_of(constant)} on test"
    return [f"{task.title}: the classes' shares differ between training and test ({told}){best}."]


def _no_better_than_floor(task: TaskResults) -> list[str]:
    """Warns if networks are not shown to be better than the best floor."""
    floor = task.floor
    if floor is None:
        return []
    reads = f" of {task.facts.linear_name.removeprefix('a linear model of ')}" if floor[0] == FLOORS["linear"] else ""
    told = f"{floor[0]}{reads} ({task.words_of(floor[1])})"
    if not any(task.shown_ahead(model, floor[1]) for model in task.models):
        return [f"On {task.title}, no network was shown better than {told}."]
    representatives = [model for family in FAMILIES_COMPARED if (model := task.representative([family]))]
    behind = [model for model in representatives if not task.shown_ahead(model, floor[1])]
    return [f"On {task.title}, {' and '.join(behind)} {_was(behind)} not shown better than {told}."] if behind else []


def _unlike(tasks: Sequence[TaskResults]) -> list[str]:
    """Warns if compared runs were done by different versions, or costs measured on different machines."""
    kinds = {
        "fit": ("fits were made", "scores may differ for that reason"),
        "cost": ("costs were measured", "times, memory and energy may differ for that reason"),
    }
    differences = {
        "version": "by different versions of liquidbench",
        "machine": "on different machines",
        "threads": "with different numbers of threads",
        "torch": "with different versions of torch",
        "instruction_set": "by kernels for different instruction sets",
        "backend": "by different backends",
    }
    found: dict[str, list[str]] = {}
    for kind, (what, consequence) in kinds.items():
        for task in tasks:
            for column, told in task.circumstances[kind].items():
                values = "; ".join(f"{value} ({', '.join(models)})" for value, models in told.items())
                found.setdefault(f"{what} {differences[column]}: {values}; {consequence}.", []).append(task.title)
    return [
        f"On {', '.join(titles[:-1])}{' and ' * (len(titles) > 1)}{titles[-1]}, {text}"
        for text, titles in found.items()
    ]


def _fallbacks(tasks: Sequence[TaskResults]) -> list[str]:
    """Whether costs of plain PyTorch are left out, since others are those of compiled kernels."""
    models = sorted({model for task in tasks for model in task.fallbacks})
    if not models:
        return []
    return [
        f"{listed(models, quote=False)} ran in plain PyTorch, other models in compiled kernels: their times, memory "
        "and energy are left out, since they would compare implementations."
    ]


def _disturbed(tasks: Sequence[TaskResults]) -> list[str]:
    """Whether other programs were busy while times were measured."""
    loads = [load for task in tasks for load in task.loads]
    busy = [load for load in loads if load > BUSY]
    if not busy:
        return []
    return [
        f"During {len(busy)} of {counted(len(loads), 'measurement')} of cost, other programs used more than {BUSY:g} "
        f"cores, up to {max(busy):.2f}: times are longer, and not equally so for all models."
    ]


def _learning(tasks: Sequence[TaskResults], rates: tuple[float, float]) -> list[str]:
    """Warns if more steps, or learning rates outside the range, might change the scores."""
    chosen = [(model, one) for task in tasks for model in task.models for one in task.trainings_of(model).chosen]
    warnings = []
    unit = next((training.unit for _, training in chosen), "step")
    improving = [model for model, training in chosen if training.improving]
    if improving:
        warnings.append(
            f"{len(improving)} of {counted(len(chosen), 'chosen fit')} {_was(improving)} still improving at their last "
            f"{unit} ({_tally(improving)}): more {unit}s may change the scores."
        )
    untrained = [model for model, training in chosen if training.best == 0]
    if untrained:
        warnings.append(
            f"{len(untrained)} of {counted(len(chosen), 'chosen fit')} {_was(untrained)} never better on validation "
            f"than before training ({_tally(untrained)})."
        )
    rates = EARLIER_LEARNING_RATES if unit == "epoch" else rates
    edges = {end: _at_end(chosen, end, rates) for end in ("lower", "upper")}
    near = [f"{words} to the {end} one" for end, words in edges.items() if words]
    if near:
        low, high = rates
        warnings.append(
            f"Many chosen learning rates are close to an end of their range, {low:g} to {high:g}: {'; '.join(near)}. "
            "A rate outside it may do better."
        )
    return warnings


def _at_end(chosen: Sequence[tuple[str, Training]], end: str, rates: tuple[float, float]) -> str:
    """The models with many chosen rates close to an end of the range, in words; "" for none."""
    low, high = map(math.log, rates)
    fits = Counter(model for model, _ in chosen)
    close: Counter[str] = Counter()
    for model, training in chosen:
        place = (math.log(training.learning_rate) - low) / (high - low)
        close[model] += (place if end == "lower" else 1 - place) <= EDGE
    many = {model: count for model, count in close.items() if count >= max(2, MANY_AT_EDGE * fits[model])}
    return ", ".join(f"{model} {count} of {counted(fits[model], 'fit')}" for model, count in many.items())


def _tally(models: Sequence[str]) -> str:
    return ", ".join(f"{model} {count}" for model, count in Counter(models).items())


def _was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


def _thresholds(smallest_difference: float) -> tuple[str, ...]:
    return (
        "A family's networks are those with the fewest failed runs. With n liquid and m recurrent networks, each "
        "family is represented by the best of k = min(n, m), averaged over all subsets of k, since the best of more "
        "networks is better by chance alone. The best network for a seed is chosen by validation on all other seeds of "
        "the same split. Networks of neither family and rows at published sizes and rates do not count.",
        "The variance of the mean difference is the sum of up to three variances: of seeds (or of outer splits, if "
        f"there are at least {FEWEST_SPLITS}, with Nadeau and Bengio's correction for overlapping training data); of "
        f"test recordings, by the jackknife, if predictions are kept and there are at least {FEWEST_RECORDINGS}; and "
        "of networks, pooled within the families, if a family has several. Degrees of freedom are Satterthwaite's.",
        f"“Better”: the difference is shown to be larger than {smallest_difference:g} (in units of the score if higher "
        "is better and there is a largest value; as a fraction of the recurrent representative's mean if the score is "
        "an error or has no largest value). “Equivalent”: it is shown to be smaller. Otherwise: “no "
        f"difference shown”. Shown means that the one-sided t-test of that claim has p below {ALPHA / 2:g}, doubled "
        "and corrected by Holm's method: over the tasks for liquid against recurrent, over a task's pairs in its table "
        "of pairs. So "
        f"at most {percent(ALPHA)} of studies claim anything false.",
        "“Cannot say”, which is checked first: the study has one search for all seeds (mode: cheap), or test itself "
        "chose settings (selection: oracle); the time limit "
        "ended a scored training of a network that counts; or there are fewer than "
        f"{FEWEST_SEEDS} common seeds, or splits. “Floor not beaten”: otherwise, neither mean is shown to be better "
        f"(see below) than the best of the floors that were run ({listed(FLOORS.values(), quote=False)}) and "
        f"{CONSTANT} on test.",
        f"Intervals are Student's, at {percent(LEVEL)}, not corrected for the number of comparisons. Those of single "
        "scores cover other seeds. A verdict “on this test set” does not cover other recordings, one “for such "
        "recordings” does; both hold for this training data only. One “for other splits” covers other training data "
        "too.",
        f"Over tasks: Friedman's test of the models' ranks, with at least {FEWEST_RANKED} models and {FEWEST_RANKED} "
        f"tasks; with at least {FEWEST_SIGNED} tasks Wilcoxon's signed-rank test of liquid against recurrent, exact "
        "and two-sided. "
        "Neither changes the verdict on a task. Friedman's test leaves out tasks on which the time limit ended a "
        "training that was scored; the signed-rank test leaves out tasks with the verdict “cannot say” or “floor "
        "not beaten”.",
        f"There is a warning with fewer than {FEW_TASKS} tasks, or fewer than {FEW_SEEDS} common seeds or splits. A "
        f"network is shown to be better than a floor if the whole {percent(LEVEL)} interval of its mean is.",
        EDGE_RULE,
        RANKING_RULE,
    )
