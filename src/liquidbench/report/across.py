"""The part of the report on all tasks together: mean ranks, and every model against every other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liquidbench.conditions import parted
from liquidbench.report import figures, tables
from liquidbench.report.charts import Figure
from liquidbench.report.figures import MatrixCell
from liquidbench.report.svg import Mark
from liquidbench.report.task_summary import TaskSummary
from liquidbench.statistics import ALPHA, Comparison, Groups, Matchup, Pair
from liquidbench.statistics.across import FEWEST_SIGNED
from liquidbench.wording import counted, number, p_value, percent

MOST_IN_HALF = 10
"""Largest number of models for which a matrix fits half the width of a page."""


@dataclass(frozen=True)
class MatchupRow:
    """A row of the table of matchups; the leading model is first."""

    first: str
    second: str
    lead: str
    interval: str
    record: str
    p: str
    chances: str
    verdict: str
    tone: str


@dataclass(frozen=True)
class ShiftRow:
    """A row of `tables.family_losses`, with a drawing of the difference."""

    cells: Sequence[str]
    drawing: str
    tone: str


@dataclass(frozen=True)
class Across:
    """The page over tasks; for a figure that is None, the words say why."""

    sentence: str
    ranking: Figure | None
    ranking_words: str
    matrix: Figure | None
    matrix_words: str
    matchups: list[MatchupRow]
    shifts: list[ShiftRow]
    shifts_words: str


def across(comparison: Comparison, models: Mapping[str, Mark]) -> Across | None:
    """Build the page over tasks; None with fewer than two tasks or two models.

    Args:
        comparison: the study's statistics.
        models: the mark of each model.
    """
    over = comparison.over_tasks
    tasks = {line.task for line in comparison.leaderboard if line.variant == "matched" and not parted(line.task)[1]}
    if len(tasks) < 2 or not over.matchups:
        return None
    ranking, words = _ranking(comparison, models)
    matrix, matrix_words = _matrix(comparison, models)
    matchups = [_matchup_row(one, models) for one in over.matchups if one.tasks]
    matchups.sort(key=lambda one: (one.tone == "neutral", one.verdict != "equivalent"))
    shifted, shifts_words = _shifts(comparison)
    return Across(over.sentence, ranking, words, matrix, matrix_words, matchups, shifted, shifts_words)


def _shifts(comparison: Comparison) -> tuple[list[ShiftRow], str]:
    """A row for each shift, and what all of them say."""
    losses = comparison.family_losses
    if not losses:
        return [], ""
    ends = [abs(end) for one in losses for end in (one.interval or (one.difference,))]
    reach = 1.08 * max(ends, default=0.0) or 1.0
    shown = {side: sum(one.verdict == side for one in losses) for side in ("liquid", "recurrent")}
    words = (
        f"Of {counted(len(losses), 'shift')}, liquid networks are shown to lose less of what they have learnt under "
        f"{shown['liquid']}, recurrent networks under {shown['recurrent']}."
    )
    rows = []
    for one, cells in zip(losses, tables.family_losses(comparison).rows, strict=True):
        tone = one.verdict if one.verdict in shown else "neutral"
        drawing = figures.difference(one.sentence, one.difference, one.interval, 0.0, reach, tone)
        rows.append(ShiftRow(cells, drawing, tone))
    return rows, words


def _ranking(comparison: Comparison, models: Mapping[str, Mark]) -> tuple[Figure | None, str]:
    over = comparison.over_tasks
    groups = over.groups
    if groups is None:
        return None, (
            "A diagram of mean ranks needs three models and three tasks on which all of them were ranked; "
            f"there are {counted(over.models, 'model')} and {counted(over.tasks, 'such task')}."
        )
    kinds = [("Nemenyi", [group for group in groups.nemenyi if len(group) > 1])]
    if groups.signed_rank is not None:
        kinds.append(("Signed rank", [group for group in groups.signed_rank if len(group) > 1]))
    drawing = figures.ranking(
        f"Critical-difference diagram. {groups.sentence}",
        [(models[model], rank) for model, rank in groups.ranks],
        groups.critical_difference,
        kinds,
        f"Mean rank over {counted(groups.tasks, 'task')}, 1 is best",
    )
    return Figure(drawing, _ranking_words(groups, over.friedman), len(groups.ranks) > MOST_IN_HALF), ""


def _ranking_words(groups: Groups, friedman: tuple[float, float] | None) -> str:
    tests = "by Nemenyi’s test, whose critical difference is the bar at the top"
    if groups.signed_rank is not None:
        tests += ", and by signed-rank tests of every two after Holm’s correction"
    words = [f"A line with dots joins models that are not shown to differ: {tests}."]
    if friedman and friedman[1] >= ALPHA:
        words.append("Friedman’s test finds no difference among all models, so no two are compared.")
    if groups.tasks < groups.enough:
        words.append(
            f"{counted(groups.tasks, 'task')} are too few for signed-rank tests: corrected for all pairs of "
            f"{len(groups.ranks)} models, they need {groups.enough} tasks to show a difference."
        )
    return " ".join(words)


def _matrix(comparison: Comparison, models: Mapping[str, Mark]) -> tuple[Figure | None, str]:
    over = comparison.over_tasks
    known = {(one.first, one.second): one for one in over.matchups}
    if all(one.lead is None for one in known.values()):
        return None, (
            "Leads on different tasks have no common unit here: any difference counts, or no two models share a task "
            "on which they can be compared."
        )
    order = [model for model, _ in over.groups.ranks] if over.groups else [line.model for line in comparison.overall]
    largest = max(abs(one.lead) for one in known.values() if one.lead is not None)
    contests = [
        [_matrix_cell(over.matchup(first, second), models, largest) for first in order[:row]]
        for row, second in enumerate(order)
    ]
    drawing = figures.matrix(
        "Every model against every other: mean lead over tasks", [models[model] for model in order], contests
    )
    words = _caption("mean lead", [one.verdict for one in known.values()])
    if all(one.outcome is None for one in known.values()):
        words += f" Tests of pairs need {FEWEST_SIGNED} tasks."
    return Figure(drawing, words, len(order) > MOST_IN_HALF), ""


def _caption(what: str, verdicts: Sequence[str]) -> str:
    shown = sum(verdict in ("better", "worse") for verdict in verdicts)
    equal = verdicts.count("equivalent")
    return (
        f"Each cell: the {what} of the model above over the one to the left, in units of the smallest difference that "
        "counts. The colour is the leader’s, deeper for a larger lead; none if the lead is too small to count. "
        f"Framed and bold: shown to differ, {shown} of {counted(len(verdicts), 'pair')}; ≈: equivalent, {equal}."
    )


def _matrix_cell(one: Matchup, models: Mapping[str, Mark], largest: float) -> MatrixCell | None:
    if one.lead is None:
        return None
    shown, equal = one.verdict in ("better", "worse"), one.verdict == "equivalent"
    leader = one.first if one.lead >= 0 else one.second
    return MatrixCell(_lead(one.lead, equal), heat(one.lead, largest), models[leader].family, shown, one.sentence)


def _lead(lead: float, equal: bool) -> str:
    return ("≈" if equal else "") + number(lead, 1 if abs(lead) < 9.95 else 0, signed=True)


def heat(lead: float, largest: float) -> float:
    """Strength of a lead's colour, from 0 if it does not count to 1, on a logarithmic scale.

    Args:
        lead: lead in units of the smallest difference that counts.
        largest: the largest lead.
    """
    if abs(lead) < 1:
        return 0.0
    return 0.2 + 0.8 * (math.log(abs(lead)) / math.log(largest) if largest > 1 else 0.0)


def _matchup_row(one: Matchup, models: Mapping[str, Mark]) -> MatchupRow:
    one = one.swapped() if one.lead is not None and one.lead < 0 else one
    better = {"better": one.first, "worse": one.second}.get(one.verdict)
    return MatchupRow(
        first=one.first,
        second=one.second,
        lead="" if one.lead is None else number(one.lead, 1, signed=True),
        interval=f"[{number(one.interval[0], 1)}, {number(one.interval[1], 1)}]" if one.interval else "",
        record=f"{one.record.wins}, {one.record.ties}, {one.record.losses}" if one.record else "",
        p="" if one.p is None else tables.plain_p(one.p),
        chances=", ".join(map(percent, one.probabilities)) if one.probabilities else "",
        verdict=f"{better} better" if better else one.verdict,
        tone=models[better].family if better else "neutral",
    )


def task_matrix(task: TaskSummary) -> Figure | None:
    """The matrix of every two models on one task; None if leads have no unit."""
    pairs: dict[frozenset[str], Pair] = {
        frozenset((pair.first, pair.second)): pair for pair in task.pairs if pair.difference is not None
    }
    order: Sequence[str] = task.best_first("matched")
    if not pairs or not all(pair.margin for pair in pairs.values()):
        return None
    largest = max(abs(pair.difference or 0.0) / pair.margin for pair in pairs.values())

    def contest(first: str, second: str) -> MatrixCell | None:
        pair = pairs.get(frozenset((first, second)))
        if pair is None:
            return None
        lead, bounds = task.lead(pair.difference or 0.0, pair.interval)
        if pair.first != first:
            lead, bounds = -lead, (-bounds[1], -bounds[0]) if bounds else None
        p = f", {p_value(pair.p)}" if pair.p is not None else ""
        winner = {"better": pair.first, "worse": pair.second}.get(pair.verdict)
        said = pair.reason or (f"{winner} better" if winner else pair.verdict)
        scores = f"{task.text(lead, signed=True)} {task.span(bounds)}".strip()
        hover = f"{first} over {second}: {scores}{p}: {said}"
        shown, equal = winner is not None, pair.verdict == "equivalent"
        tone = task.mark(first if lead >= 0 else second).family
        return MatrixCell(_lead(lead / pair.margin, equal), heat(lead / pair.margin, largest), tone, shown, hover)

    contests = [[contest(first, second) for first in order[:row]] for row, second in enumerate(order)]
    drawing = figures.matrix(
        f"Every model against every other on {task.title}", [task.mark(model) for model in order], contests
    )
    words = _caption("lead", [pair.verdict for pair in pairs.values()])
    return Figure(drawing, words, len(order) > MOST_IN_HALF)
