"""The part of a task's page on other worlds: scores by network, world and level, and who acts better where."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from liquidbench import shifts
from liquidbench.report import figures, tables
from liquidbench.report.charts import Figure
from liquidbench.report.figures import Columns, MatrixCell
from liquidbench.report.svg import Mark
from liquidbench.report.tables import Table
from liquidbench.report.task_summary import Spread, TaskSummary
from liquidbench.statistics import InWorlds
from liquidbench.wording import number

MOST_PLACES = 2
"""Decimals at most in a cell of the heat map, where scores have a finite range."""


@dataclass(frozen=True)
class Worlds:
    """What is shown of a task's worlds.

    Attributes:
        sentences: what is found, first of all worlds together.
        figure: the heat map.
        details: a sentence for each world.
        table: the numbers with their intervals.
    """

    sentences: list[str]
    figure: Figure
    details: list[str]
    table: Table


def worlds(task: TaskSummary, found: InWorlds | None, name: str) -> Worlds | None:
    """Arrange what happens in a task's worlds; None if it was run in none.

    Args:
        task: the task's results.
        found: the verdicts.
        name: name of the table's file.
    """
    if found is None:
        return None
    sentences = [found.sentence]
    if found.together.pair is not None:
        sentences.append(found.together.sentence)
    if found.foretold is not None:
        sentences.append(found.foretold.sentence)
    return Worlds(
        sentences=sentences,
        figure=_heat_map(task),
        details=[one.sentence for one in found.verdicts],
        table=tables.worlds(task, name),
    )


def _heat_map(task: TaskSummary) -> Figure:
    rows = [task.mark(model) for model in task.best_first("matched")]
    policies = task.policies_judged
    rows += [Mark(policy, "other", place, apart=True) for place, policy in enumerate(policies)]
    keys = [key for key in task.shifts if shifts.recorded(key).is_world]

    def spread(row: int, key: str, level: float) -> Spread | None:
        if row < len(rows) - len(policies):
            return task.shifted(rows[row].label, key, level)
        return task.policy(rows[row].label, key, level)

    def column(key: str, level: float) -> list[Spread | None]:
        return [spread(row, key, level) for row in range(len(rows))]

    at_home = column("", 0.0)
    away = {key: {level: column(key, level) for level in task.levels(key) if level} for key in keys}
    known = [one.mean for one in at_home if one]
    known += [one.mean for levels in away.values() for spreads in levels.values() for one in spreads if one]
    ends = _ends(task, known)
    places = min(task.places, MOST_PLACES) if all(map(math.isfinite, task.facts.measure.range)) else task.places

    def cells(spreads: Sequence[Spread | None], where: str) -> list[MatrixCell | None]:
        return [
            None
            if one is None
            else MatrixCell(
                number(one.mean, places),
                min(max((one.mean - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0),
                mark.family,
                False,
                task.spoken(f"{mark.label}, {where}", one),
            )
            for mark, one in zip(rows, spreads, strict=True)
        ]

    groups = [Columns("", ["training"], [cells(at_home, "the world of training")])]
    for key, levels in away.items():
        shift = shifts.recorded(key)
        groups.append(
            Columns(
                shift.title,
                [f"{100 * level:.3g} %" if shift.percent else f"{level:g}" for level in levels],
                [cells(spreads, shift.told(level)) for level, spreads in levels.items()],
            )
        )
    drawing = figures.grouped_heat_map(
        f"{task.metric_label} on {task.title} by network, world and level", rows, len(policies), groups
    )
    words = (
        f"{task.score_label}: means over {task.over}s, by network (the best in the world of training first) and, "
        "below, by the task’s own policies. Columns: the world of training, then each world at its levels. The colour "
        "is the family’s, deeper for a better score; point at a cell for its interval. Every network learnt in the "
        "world of training alone."
    )
    return Figure(drawing, words, broad=True)


def _ends(task: TaskSummary, known: Sequence[float]) -> tuple[float, float]:
    """The scores without and with the full colour."""
    low, high = task.facts.measure.range
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = min(known), max(known)
    if low == high:
        low, high = low - 1, high + 1
    return (low, high) if task.higher else (high, low)
