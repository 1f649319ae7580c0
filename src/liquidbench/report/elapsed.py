"""The part of the report on elapsed time: what models lose on each task if they are not told it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liquidbench.report import figures, tables
from liquidbench.report.across import heat
from liquidbench.report.charts import Figure
from liquidbench.report.figures import MatrixCell
from liquidbench.report.svg import Mark
from liquidbench.report.tables import Table
from liquidbench.report.task_summary import TaskSummary
from liquidbench.statistics import ElapsedTime, TimeUse
from liquidbench.wording import counted, number


@dataclass(frozen=True)
class TaskOnTime:
    """What is said of one task: a sentence, and one for each model, family and condition."""

    anchor: str
    title: str
    sentence: str
    details: list[str]


@dataclass(frozen=True)
class OnTime:
    """The page on elapsed time; for a figure that is None, the words say why."""

    tasks: list[TaskOnTime]
    figure: Figure | None
    words: str
    table: Table


def on_time(
    found: Sequence[ElapsedTime],
    summaries: Mapping[str, TaskSummary],
    models: Mapping[str, Mark],
    anchors: Mapping[str, str],
) -> OnTime | None:
    """Build the page on elapsed time; None if no task was run with the time told and withheld.

    Args:
        found: whether elapsed time is used on each task.
        summaries: results by task.
        models: the mark of each model.
        anchors: the place of each task's page.
    """
    if not found:
        return None
    figure, words = _heat_map(found, models)
    return OnTime(
        tasks=[
            TaskOnTime(
                anchors.get(one.task, ""), one.title, one.sentence, [use.sentence for use in (*one.families, *one.uses)]
            )
            for one in found
        ],
        figure=figure,
        words=words,
        table=tables.elapsed(found, summaries),
    )


def _heat_map(found: Sequence[ElapsedTime], models: Mapping[str, Mark]) -> tuple[Figure | None, str]:
    uses = [use for one in found for use in one.uses]
    losses = [use.drop / use.pair.margin for use in uses if use.drop is not None and use.pair.margin]
    if not losses or not all(use.pair.margin for use in uses):
        return (
            None,
            "Losses on different tasks have no common unit here: any difference counts, or no run has finished.",
        )
    largest = max(map(abs, losses))
    marks = [mark for model, mark in models.items() if any(use.who == model for use in uses)]
    rows = [
        (
            f"{one.title}: {contrast.title[:1].lower()}{contrast.title[1:]}",
            [
                next(
                    (
                        _cell(use, mark, largest)
                        for use in one.uses
                        if (use.who, use.contrast) == (mark.label, contrast)
                    ),
                    None,
                )
                for mark in marks
            ],
        )
        for one in found
        for contrast in one.contrasts
    ]
    shown = sum(use.verdict == "uses elapsed time" for use in uses)
    words = (
        "Each cell: by how much the mean test score of the model above is worse if it is not told the time, in units "
        "of the smallest difference that counts; negative if it is better then. The colour is deeper for a larger "
        "loss; none if it is too small to count. Framed and bold: shown to use elapsed time, "
        f"{shown} of {counted(len(uses), 'cell')}."
    )
    drawing = figures.heat_map("What models lose without elapsed time, by task and condition", marks, rows)
    return Figure(drawing, words, broad=True), ""


def _cell(use: TimeUse, mark: Mark, largest: float) -> MatrixCell | None:
    if use.drop is None:
        return None
    loss = use.drop / use.pair.margin
    text = number(loss, 1 if abs(loss) < 9.95 else 0, signed=True)
    strength = heat(loss, largest) if loss > 0 else 0.0
    return MatrixCell(text, strength, mark.family, use.verdict == "uses elapsed time", use.sentence)
