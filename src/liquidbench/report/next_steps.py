"""What to do with the result: the predictor to use on each task, and what would decide an open question."""

import math
from dataclasses import dataclass

import polars as pl

from liquidbench import kept
from liquidbench.folder import StudyFolder
from liquidbench.report.task_summary import TaskSummary
from liquidbench.statistics.pairs import FAMILIES_COMPARED, Pair
from liquidbench.study import Study
from liquidbench.wording import counted, number

_POWERS = {"rmse": 1, "mae": 1, "mse": 2}
"""Metrics with a unit, and the power of the target's unit that it is."""


@dataclass(frozen=True)
class NextStep:
    """What to do on one task: sentences, and the command that makes the chosen network predict."""

    anchor: str
    title: str
    use: str
    more: str
    command: str


def next_step(study: Study, task: TaskSummary, rows: pl.LazyFrame, anchor: str) -> NextStep | None:
    """The next step on a task; None before a fit has finished.

    Args:
        study: the study.
        task: the task's results.
        rows: all results under the study's first matching.
        anchor: the task's place on the page.
    """
    own = rows.filter(pl.col("task") == task.name).collect()
    try:
        model, run = kept.best_run(own, task.metric, task.higher)
    except ValueError:
        return None
    seed = own.filter(pl.col("run") == run)["seed"][0]
    folder = StudyFolder(f"results/{study.name}").kept(task.name, model)
    floor = (max if task.higher else min)(task.floors.items(), key=lambda one: one[1], default=None)
    judgement = task.judgement
    if judgement is not None and judgement.verdict == "floor not beaten" and floor is not None:
        use = (
            f"Use the {floor[0].removeprefix('the ')}: no network was shown to be better than its "
            f"{task.metric_label.lower()} of {task.text(floor[1])}{_in_units(task, floor[1])}. "
            f"If it has to be a network, use {model} (seed {seed}), which was best on validation"
        )
    else:
        use = f"Use {model} (seed {seed}), which was best on validation"
    spread = task.spreads.get((model, "matched"))
    if spread is not None:
        use += (
            f"; its {task.metric_label.lower()} on test is {task.text(spread.mean)}"
            f"{_in_units(task, spread.mean)} on average over seeds"
        )
    command = f"liquidbench predict {folder} NEW.csv --out PREDICTED.csv" if task.name in study.tables else ""
    return NextStep(anchor, task.title, f"{use}.", _more(task, own), command)


def _in_units(task: TaskSummary, value: float) -> str:
    """A score in the target's unit, in parentheses; "" where it is in that already, or in none."""
    deviation, power = task.facts.target_deviation, _POWERS.get(task.metric)
    if deviation is None or power is None or not task.scaled:
        return ""
    unit = task.facts.target_unit
    named = "units of the target" if unit in ("1", "as in the table") else unit
    squared = "" if power == 1 else " squared"
    scaled = value * deviation**power
    return f" ({number(scaled, max(2 - math.floor(math.log10(abs(scaled) or 1.0)), 0))} {named}{squared})"


def _more(task: TaskSummary, rows: pl.DataFrame) -> str:
    """How long it would take to decide what is open; "" if nothing is, or more seeds alone would not."""
    pair = None if task.judgement is None else task.judgement.pair
    if pair is None or (prospect := pair.prospect) is None or prospect.seeds is None:
        return ""
    fits = rows.filter((pl.col("kind") == "fit") & (pl.col("variant") == "matched")).unique("run")
    seconds = fits.filter(pl.col("model").is_in(_models_of(pair, task))).group_by("model").agg(pl.col("seconds").mean())
    minutes = (prospect.seeds - prospect.now) * seconds["seconds"].sum() / 60
    return (
        f"{counted(prospect.seeds - prospect.now, 'more seed')} may decide the open question, about "
        f"{counted(max(round(minutes), 1), 'minute')} of one core: {prospect.reach}."
    )


def _models_of(pair: Pair, task: TaskSummary) -> list[str]:
    if pair.first not in FAMILIES_COMPARED:
        return [pair.first, pair.second]
    return [model for model in task.models if task.mark(model).family in FAMILIES_COMPARED]
