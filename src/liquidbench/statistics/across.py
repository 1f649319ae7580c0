"""All tasks together: mean ranks, and tests whose pairs are tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liquidbench.statistics.board import Board, Family, Pair
from liquidbench.statistics.inference import (
    ALPHA,
    Interval,
    PairedTest,
    friedman,
    hierarchical_interval,
    signed_rank_test,
)
from liquidbench.statistics.wording import p_value
from liquidbench.study import FAMILIES

FEWEST_RANKED = 3
"""Friedman's test takes so many models and so many tasks."""

FEWEST_SIGNED = 6
"""The signed-rank test over tasks takes so many: with five its p-value is never below 0.0625."""

FEWEST_BOOTSTRAPPED = 6
"""A mean rank has an interval from so many tasks on: a bootstrap of fewer is too narrow to be shown."""


FEW_TASKS, FEW_SEEDS = 10, 5
"""A verdict on fewer tasks, or on a task with fewer seeds, comes with a warning."""

RANKING_RULE = (
    "Rank: the matched models are ranked within each task and seed, 1 being best; equals share the mean of their "
    "places, and a run that failed takes the last. Ranks are averaged over seeds, then over tasks. Seeds of a task "
    f"that some model has not run yet are left out. From {FEWEST_BOOTSTRAPPED} tasks on there is an interval, a "
    "bootstrap over tasks and, within each, over seeds."
)


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


def judge_over_tasks(
    models: int, tables: Sequence[NDArray[np.float64]], contests: Sequence[tuple[Pair, bool]]
) -> OverTasks:
    """Tests over tasks, of each task's table of mean places and of the leads of liquid over recurrent."""
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


def overall_standings(
    boards: Sequence[Board], models: Sequence[str], tables: Sequence[NDArray[np.float64]], resamples: int = 5000
) -> tuple[Overall, ...]:
    """The matched models by mean rank, from each task's places, (seeds, models)."""
    seeds = sum(map(len, tables))
    ranks = np.mean([table.mean(axis=0) for table in tables], axis=0) if tables else None
    bounds = hierarchical_interval(tables, resamples=resamples) if len(tables) >= FEWEST_BOOTSTRAPPED else None
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
