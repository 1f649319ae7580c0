"""All tasks together: mean ranks, comparisons of every two models, and tests with tasks as pairs."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from liquidbench.models import Family
from liquidbench.statistics.cost import Price, prices
from liquidbench.statistics.inference import (
    ALPHA,
    LEVEL,
    Interval,
    PairedTest,
    WinTieLoss,
    bayesian_signed_rank,
    critical_difference,
    friedman,
    hierarchical_interval,
    holm,
    places,
    signed_rank_test,
    win_tie_loss,
)
from liquidbench.statistics.pairs import Pair
from liquidbench.statistics.task_results import TaskResults
from liquidbench.wording import counted, number, p_value, percent

FEWEST_RANKED = 3
"""Smallest number of models, and of tasks, for Friedman's test."""

FEWEST_SIGNED = 6
"""Smallest number of tasks for signed-rank tests: with five the p-value is never below 0.0625."""

FEWEST_BOOTSTRAPPED = 6
"""Smallest number of tasks for an interval of a mean over tasks: a bootstrap of fewer is too narrow."""

FEW_TASKS = 10
"""A verdict on fewer tasks has a warning."""

RANKING_RULE = (
    "Rank: matched models are ranked within each task, split and seed, 1 being best; ties share their mean rank, and a "
    "failed run ranks last. Ranks are averaged over splits and seeds, then over tasks. Seeds that some model has not "
    f"run yet are left out. With at least {FEWEST_BOOTSTRAPPED} tasks there is an interval, a bootstrap over tasks "
    "and, within each, over seeds."
)

MATCHUP_RULE = (
    "Two models over tasks: a lead is the mean difference of scores in units of the smallest difference that counts. "
    f"With at least {FEWEST_SIGNED} tasks, “better”: the exact signed-rank test's p-value, corrected by Holm's method "
    f"for all pairs of models, is below {ALPHA} and the mean lead is at least 1. “Equivalent”, which takes precedence: "
    "its probability by the Bayesian signed-rank test, with ±1 as the region of practical equivalence, is at least "
    f"{percent(LEVEL)}. Otherwise: “no difference shown”. Tasks on which the time limit ended a training that was "
    "scored, or with too few common seeds, are left out. Wins and losses are leads of at least 1."
)

GROUP_RULE = (
    "Groups not shown to differ: by Nemenyi's test after Friedman's, models whose mean ranks differ by less than the "
    "critical difference; by corrected signed-rank tests, models no two of which differ."
)


@dataclass(frozen=True)
class Overall:
    """The result of a model over all tasks.

    Attributes:
        model: name of the model.
        family: its family.
        rank: mean rank, by `RANKING_RULE`; None if no task and seed was run by all models.
        interval: interval of the rank; None with fewer than `FEWEST_BOOTSTRAPPED` tasks.
        tasks: number of tasks in the rank.
        seeds: number of pairs of a task and a seed in the rank.
        failures: failed runs over all tasks.
    """

    model: str
    family: Family
    rank: float | None
    interval: Interval | None
    tasks: int
    seeds: int
    failures: int


@dataclass(frozen=True)
class Matchup:
    """Two models over the tasks on which they can be compared.

    A lead is a mean difference of scores, positive if the first model is better, in units of the smallest difference
    that counts on the task. So tasks with different scores are comparable, and ±1 is the region of practical
    equivalence.

    Attributes:
        first: name of the first model.
        second: name of the second model.
        tasks: number of tasks on which they can be compared.
        left_out: number of tasks that both have run but on which they cannot be compared.
        record: tasks on which the first leads by at least 1, by less either way, trails by at least 1; None if any
            difference counts, so that leads have no unit.
        lead: mean lead over tasks; None without a task or a unit.
        interval: interval of the mean lead, by `hierarchical_interval`; None also with fewer than
            `FEWEST_BOOTSTRAPPED` tasks.
        outcome: the signed-rank test of leads before correction; None with fewer than `FEWEST_SIGNED` tasks or without
            a unit.
        p: p-value corrected by Holm's method for the number of matchups tested.
        probabilities: probabilities that the first is worse, equivalent, better, by `bayesian_signed_rank`; None if
            `outcome` is None.
        verdict: verdict on the first: "better", "worse", "equivalent", "no difference shown" or "cannot say".
        prices: the cost of the lead, for each cost that is known on all these tasks; gains in units of the lead.
    """

    first: str
    second: str
    tasks: int
    left_out: int
    record: WinTieLoss | None
    lead: float | None
    interval: Interval | None
    outcome: PairedTest | None
    p: float | None
    probabilities: tuple[float, float, float] | None
    verdict: str
    prices: tuple[Price, ...] = ()

    @property
    def sentence(self) -> str:
        """The matchup in words, the better mean lead first, with the numbers behind them."""
        if self.lead is not None and self.lead < 0:
            return self.swapped().sentence
        over = f"Over {counted(self.tasks, 'task')}"
        verdict = {
            "better": f"{self.first} is better than {self.second}",
            "worse": f"{self.second} is better than {self.first}",
            "equivalent": f"{self.first} and {self.second} are equivalent",
            "no difference shown": f"{self.first} and {self.second} show no difference",
            "cannot say": f"it cannot be said whether {self.first} or {self.second} is better",
        }[self.verdict]
        facts = []
        if self.lead is not None:
            lead = f"{self.first} leads by {number(self.lead, 1)} smallest differences on average"
            facts.append(lead + (f", {percent(LEVEL)} interval {_span(self.interval)}" if self.interval else ""))
        if self.record:
            facts.append(f"wins {self.record.wins}, ties {self.record.ties}, losses {self.record.losses}")
        if self.p is not None and self.outcome is not None:
            corrected = " after Holm's correction" if self.p > self.outcome.p else ""
            facts.append(f"{p_value(self.p)} by {self.outcome.test}{corrected}")
        if self.probabilities:
            worse, equal, better = map(percent, self.probabilities)
            facts.append(f"uncorrected probability of better {better}, equivalent {equal}, worse {worse}")
        if self.left_out:
            facts.append(f"{counted(self.left_out, 'task')} left out")
        return f"{over}, {verdict}" + (f" ({'; '.join(facts)})." if facts else ".")

    def swapped(self) -> "Matchup":
        """The same matchup, seen from the second model."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            record=WinTieLoss(self.record.losses, self.record.ties, self.record.wins) if self.record else None,
            lead=None if self.lead is None else -self.lead,
            interval=(-self.interval[1], -self.interval[0]) if self.interval else None,
            outcome=replace(self.outcome, effect=-self.outcome.effect) if self.outcome else None,
            probabilities=(self.probabilities[2], self.probabilities[1], self.probabilities[0])
            if self.probabilities
            else None,
            verdict={"better": "worse", "worse": "better"}.get(self.verdict, self.verdict),
            prices=tuple(
                replace(price, first=price.second, second=price.first, ratio=1 / price.ratio, gain=-price.gain)
                for price in self.prices
            ),
        )


@dataclass(frozen=True)
class Groups:
    """Which models are not shown to differ over tasks, as in a critical-difference diagram.

    Attributes:
        ranks: mean rank of each model, the best first. Each task gives ranks 1 to k by the models' mean ranks over its
            seeds, as Friedman's and Nemenyi's tests need them; an `Overall` rank averages the ranks themselves.
        critical_difference: Nemenyi's critical difference, at `ALPHA`.
        nemenyi: the largest groups whose mean ranks differ by less than it; all models if Friedman's test finds no
            difference.
        signed_rank: the largest groups no two of which differ by the corrected signed-rank tests; they need not be
            neighbours in rank. None if these tests do not cover all pairs.
        enough: smallest number of tasks with which a corrected signed-rank test of so many pairs can show a difference.
        tasks: number of tasks.
    """

    ranks: tuple[tuple[str, float], ...]
    critical_difference: float
    nemenyi: tuple[tuple[str, ...], ...]
    signed_rank: tuple[tuple[str, ...], ...] | None
    enough: int
    tasks: int

    @property
    def sentence(self) -> str:
        """The groups in words."""
        text = (
            f"By Nemenyi's test (critical difference {self.critical_difference:.2f}), not shown to differ: "
            f"{_listed(self.nemenyi)}."
        )
        if self.signed_rank is not None:
            text += f" By signed-rank tests after Holm's correction: {_listed(self.signed_rank)}."
        if self.tasks < self.enough:
            text += (
                f" With {counted(self.tasks, 'task')} no signed-rank test corrected for all pairs of "
                f"{len(self.ranks)} models can show a difference; {self.enough} tasks are needed."
            )
        return text


@dataclass(frozen=True)
class OverTasks:
    """The joint result of all tasks.

    Attributes:
        tasks: number of tasks on which all matched models were ranked, and none was cut short by the time limit.
        models: number of these models.
        friedman: statistic and p-value of Friedman's test of their mean ranks; None with fewer than `FEWEST_RANKED`
            models or tasks.
        leads: test of liquid against recurrent networks, `leads_over_tasks`; None with fewer than `FEWEST_SIGNED`
            tasks, or if any difference counts.
        matchups: every two matched models, in the order of the study's families.
        groups: models that are not shown to differ; None if `friedman` is None.
    """

    tasks: int
    models: int
    friedman: tuple[float, float] | None
    leads: PairedTest | None
    matchups: tuple[Matchup, ...] = ()
    groups: Groups | None = None

    @property
    def sentence(self) -> str:
        """Both tests in words; "" without tests."""
        words = []
        if self.friedman:
            statistic, p = self.friedman
            rough = "; with so few tasks p is approximate" if self.tasks < FEW_TASKS else ""
            words.append(
                f"Over {self.tasks} tasks Friedman's test finds {'a' if p < ALPHA else 'no'} difference between the "
                f"ranks of the {self.models} models (χ² = {statistic:.2f}, {p_value(p)}{rough})."
            )
        if self.leads:
            verdict = "are not shown to differ from" if self.leads.p >= ALPHA else "are better than"
            sides = ("recurrent", "liquid") if self.leads.effect < 0 else ("liquid", "recurrent")
            words.append(
                f"Over {self.leads.n} tasks {sides[0]} networks {verdict} {sides[1]} ones ({p_value(self.leads.p)} by "
                f"{self.leads.test} of whether they lead by more than the smallest difference that counts)."
            )
        return " ".join(words)

    def matchup(self, first: str, second: str) -> Matchup:
        """The matchup of two models, seen from the first.

        Raises:
            ValueError: if the two have no matchup.
        """
        for found in self.matchups:
            if (found.first, found.second) == (first, second):
                return found
            if (found.first, found.second) == (second, first):
                return found.swapped()
        raise ValueError(f"first and second must be two of the study's matched models; got {first!r} and {second!r}")


def leads_over_tasks(tasks: Sequence[TaskResults], pairs: Sequence[Pair | None]) -> PairedTest | None:
    """Test of whether liquid or recurrent networks lead by more than the smallest difference that counts.

    Each task with a comparison is one pair; the exact signed-rank test is of leads minus that difference.

    Args:
        tasks: the tasks of a study.
        pairs: the judged pair of liquid and recurrent networks on each task; None without a comparison.

    Returns:
        The test; None with fewer than `FEWEST_SIGNED` tasks, or if any difference counts, so that leads have no common
        unit.
    """
    said = [(task, pair) for task, pair in zip(tasks, pairs, strict=True) if pair and not pair.reason and pair.means]
    leads = [task.lead(pair.difference or 0.0) / pair.margin for task, pair in said if pair.margin]
    if not len(leads) == len(said) >= FEWEST_SIGNED:
        return None
    side = 1.0 if math.fsum(leads) >= 0 else -1.0
    outcome = signed_rank_test(leads, np.full(len(leads), side))
    return outcome if outcome.effect * side > 0 else replace(outcome, p=1.0, effect=0.0)


def judge_over_tasks(
    tasks: Sequence[TaskResults],
    models: Sequence[str],
    tables: Sequence[NDArray[np.float64]],
    pairs: Sequence[Pair],
    leads: PairedTest | None,
) -> OverTasks:
    """The joint result of all tasks.

    Args:
        tasks: all tasks.
        models: the matched models.
        tables: ranks on each task that all models have run and where none was cut short, (seeds, models).
        pairs: the judged pairs of every two models on each task.
        leads: the result of `leads_over_tasks`.
    """
    ranked = min(len(models), len(tables)) >= FEWEST_RANKED
    scores = np.array([table.mean(axis=0) for table in tables])
    ranks = dict(zip(models, places(scores, higher_is_better=False).mean(axis=0), strict=True)) if len(tables) else {}
    matchups = _matchups({task.name: task for task in tasks}, models, pairs)
    outcome = friedman(scores) if ranked else None
    return OverTasks(
        tasks=len(tables),
        models=len(models),
        friedman=outcome,
        leads=leads,
        matchups=matchups,
        groups=_groups(ranks, len(tables), outcome[1], matchups) if outcome else None,
    )


def _matchups(tasks: Mapping[str, TaskResults], models: Sequence[str], pairs: Sequence[Pair]) -> tuple[Matchup, ...]:
    together: dict[tuple[str, str], list[Pair]] = {names: [] for names in combinations(models, 2)}
    for pair in pairs:
        together[pair.first, pair.second].append(pair)
    contests = {names: [pair for pair in found if not pair.reason] for names, found in together.items()}
    # Leads on each task, one per seed. Unless an error is 0, either all tasks have a unit or none has.
    leads = {
        names: [
            np.array([tasks[pair.task].lead(difference) for difference in pair.differences]) / pair.margin
            for pair in found
        ]
        for names, found in contests.items()
        if found and all(pair.margin for pair in found)
    }
    means = {names: np.array([lead.mean() for lead in found]) for names, found in leads.items()}
    intervals = _intervals({names: found for names, found in leads.items() if len(found) >= FEWEST_BOOTSTRAPPED})
    tested = {names: mean for names, mean in means.items() if len(mean) >= FEWEST_SIGNED}
    outcomes = {names: signed_rank_test(mean, np.zeros(len(mean))) for names, mean in tested.items()}
    corrected = dict(zip(outcomes, holm([outcome.p for outcome in outcomes.values()]).tolist(), strict=True))
    chances = _chances(tested)
    matchups = []
    for (first, second), found in contests.items():
        names = (first, second)
        mean, interval = means.get(names), intervals.get(names)
        lead = None if mean is None else float(mean.mean())
        verdict = _verdict(lead, outcomes.get(names), corrected.get(names), chances.get(names))
        costs = [(tasks[pair.task].costs.get(first, {}), tasks[pair.task].costs.get(second, {})) for pair in found]
        matchups.append(
            Matchup(
                first=first,
                second=second,
                tasks=len(found),
                left_out=len(together[names]) - len(found),
                record=None if mean is None else win_tie_loss(mean, 1.0),
                lead=lead,
                interval=interval,
                outcome=outcomes.get(names),
                p=corrected.get(names),
                probabilities=chances.get(names),
                verdict=verdict,
                prices=()
                if mean is None
                else prices(first, second, costs, mean.tolist(), interval, verdict, _smallest_differences),
            )
        )
    return tuple(matchups)


def _verdict(
    lead: float | None,
    outcome: PairedTest | None,
    p: float | None,
    chances: tuple[float, float, float] | None,
) -> str:
    if lead is None or outcome is None or p is None or chances is None:
        return "cannot say"
    if chances[1] >= LEVEL:
        return "equivalent"
    # A mean with the opposite sign of the ranks is dominated by an extreme task and decides nothing.
    if p >= ALPHA or abs(lead) < 1 - 1e-9 or (lead > 0) != (outcome.effect > 0):
        return "no difference shown"
    return "better" if lead > 0 else "worse"


def _intervals(leads: Mapping[tuple[str, str], Sequence[NDArray[np.float64]]]) -> dict[tuple[str, str], Interval]:
    """Hierarchical intervals of mean leads; matchups with the same numbers of seeds share their resamples."""
    alike: defaultdict[tuple[int, ...], list[tuple[str, str]]] = defaultdict(list)
    for names, tables in leads.items():
        alike[tuple(map(len, tables))].append(names)
    found: dict[tuple[str, str], Interval] = {}
    for sizes, members in alike.items():
        groups = [np.column_stack([leads[names][task] for names in members]) for task in range(len(sizes))]
        low, high = hierarchical_interval(groups)
        found |= {names: (float(low[index]), float(high[index])) for index, names in enumerate(members)}
    return found


def _chances(
    means: Mapping[tuple[str, str], NDArray[np.float64]],
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Probabilities of worse, equivalent and better; matchups with the same number of tasks share their draws."""
    alike: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for names, mean in means.items():
        alike[len(mean)].append(names)
    found: dict[tuple[str, str], tuple[float, float, float]] = {}
    for members in alike.values():
        worse, equal, better = bayesian_signed_rank(np.column_stack([means[names] for names in members]), rope=1.0)
        for index, names in enumerate(members):
            found[names] = float(worse[index]), float(equal[index]), float(better[index])
    return found


def _groups(ranks: Mapping[str, float], tasks: int, p: float, matchups: Sequence[Matchup]) -> Groups:
    order = sorted(ranks, key=lambda model: ranks[model])
    levels = np.array([ranks[model] for model in order])
    critical = critical_difference(len(order), tasks)
    apart = (np.abs(levels[:, None] - levels) >= critical) & (p < ALPHA)
    shown = np.zeros_like(apart)
    for found in matchups:
        i, j = order.index(found.first), order.index(found.second)
        shown[i, j] = shown[j, i] = found.p is not None and found.p < ALPHA
    tested = all(found.p is not None for found in matchups)
    return Groups(
        ranks=tuple((model, float(ranks[model])) for model in order),
        critical_difference=critical,
        nemenyi=_named(order, apart),
        signed_rank=_named(order, shown) if tested else None,
        # The smallest p-value with n tasks is 2 / 2^n, and Holm's correction multiplies it by the number of pairs.
        enough=math.floor(math.log2(2 * len(matchups) / ALPHA)) + 1,
        tasks=tasks,
    )


def _named(order: Sequence[str], apart: NDArray[np.bool_]) -> tuple[tuple[str, ...], ...]:
    """The largest groups no two of which are apart: the maximal cliques of the graph of pairs that are not apart."""
    # Importing it takes a quarter of a second, and only studies of several tasks have groups.
    import networkx

    groups: list[list[int]] = [sorted(group) for group in networkx.find_cliques(networkx.from_numpy_array(~apart))]
    return tuple(tuple(order[index] for index in group) for group in sorted(groups))


def _listed(groups: Sequence[Sequence[str]]) -> str:
    several = [", ".join(group) for group in groups if len(group) > 1]
    return "; ".join(several) if several else "no two models"


def _smallest_differences(rate: float) -> str:
    return f"{number(rate, 1)} smallest differences"


def _span(bounds: Interval) -> str:
    return f"{number(bounds[0], 1)} to {number(bounds[1], 1)}"


def overall_standings(
    tasks: Sequence[TaskResults],
    models: Sequence[str],
    tables: Sequence[NDArray[np.float64]],
    families: Mapping[str, Family],
) -> tuple[Overall, ...]:
    """The matched models by mean rank, from the ranks on each task, (seeds, models)."""
    seeds = sum(map(len, tables))
    ranks = np.mean([table.mean(axis=0) for table in tables], axis=0) if tables else None
    bounds = hierarchical_interval(tables) if len(tables) >= FEWEST_BOOTSTRAPPED else None
    lines = [
        Overall(
            model=model,
            family=families.get(model, "other"),
            rank=None if ranks is None else float(ranks[index]),
            interval=None if bounds is None else (float(bounds[0, index]), float(bounds[1, index])),
            tasks=len(tables),
            seeds=seeds,
            failures=sum(task.failures(model) for task in tasks if model in task.models),
        )
        for index, model in enumerate(models)
    ]
    return tuple(sorted(lines, key=lambda line: (line.rank is None, line.rank)))
