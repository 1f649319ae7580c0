"""A study's tables as text: Markdown, LaTeX with booktabs, and CSV.

Markdown and LaTeX are for reading and have the same rounded numbers as the page. CSV is for further computation: one
row per model, pair or matchup, and numbers with nine significant digits.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from liquidbench.metrics import Measure
from liquidbench.report.svg import quantity
from liquidbench.report.task_summary import TaskSummary, decimals
from liquidbench.shifts import recorded
from liquidbench.statistics import CLEAN, COSTS, SHARE, Comparison, ElapsedTime, Interval, Loss, Standing
from liquidbench.system.names import cell, shown
from liquidbench.wording import number, p_value, percent

Format = Literal["markdown", "latex", "csv"]

LONG = 40
"""Number of rows from which a LaTeX table may break over pages."""

MOST_WITH_INTERVALS = 4
"""Largest number of score columns for which the leaderboard shows intervals."""


@dataclass(frozen=True)
class Table:
    """One table, for reading and for further computation.

    Attributes:
        name: name of its file, without the extension.
        title: title of two or three words.
        caption: caption.
        columns: heads of the columns, each with whether it contains numbers.
        rows: texts; bold ones are of type `Bold`.
        records: for CSV, one mapping per row, all with the same keys.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[str]]
    records: Sequence[Mapping[str, str | float | int | bool | None]]

    def render(self, form: Format) -> str:
        """The table as text."""
        return shown(_WRITERS[form](self), lines=True)


class Bold(str):
    """Bold text."""

    __slots__ = ()


ENDINGS: Mapping[Format, str] = {"markdown": "md", "latex": "tex", "csv": "csv"}


def leaderboard(found: Sequence[TaskSummary], comparison: Comparison) -> Table:
    """All compared models by mean rank, with their scores on each task."""
    with_intervals = len(found) <= MOST_WITH_INTERVALS
    rows = []
    for line in comparison.overall:
        row = ["" if line.rank is None else number(line.rank, 1), line.model]
        for task in found:
            spread = task.spreads.get((line.model, "matched"))
            text = "" if spread is None else task.text(spread.mean)
            if spread and with_intervals:
                text = f"{text} {task.span(spread.interval)}".strip()
            row.append(Bold(text) if spread and task.unbeaten(line.model) else text)
        rows.append(row)
    for name in dict.fromkeys(name for task in found for name in task.floors):
        rows.append(["", name, *(task.text(task.floors[name]) if name in task.floors else "" for task in found)])
    ranks = comparison.ranks
    records = [
        {
            "task": task.name,
            "metric": task.metric,
            "higher_is_better": task.higher,
            "model": model,
            "variant": variant,
            "family": standing.family,
            "mean": standing.mean,
            **_ends(standing.interval),
            "seeds": standing.seeds,
            "splits": standing.splits,
            "failures": standing.failures,
            "rank_on_task": standing.rank,
            "mean_rank": ranks.get(model) if variant == "matched" else None,
        }
        for task in found
        for (model, variant), standing in task.standings.items()
    ]
    intervals = ", with 95 % intervals" if with_intervals else ""
    return Table(
        "leaderboard",
        "Leaderboard",
        f"Mean test scores{intervals}. Bold: not shown to be worse than the task’s best. "
        "Rank: mean rank over seeds and tasks.",
        [
            ("Rank", True),
            ("Model", False),
            *((f"{one.title} ({one.metric_label}, {one.direction})", True) for one in found),
        ],
        rows,
        records,
    )


def scores(task: TaskSummary, name: str) -> Table:
    """One task's models: scores, sizes and costs."""
    rows, records = [], []
    for model, variant in task.standings:
        standing, spread = task.standings[model, variant], task.spreads.get((model, variant))
        validation = task.validation(model, variant)
        text = "" if spread is None else f"{task.text(spread.mean)} {task.span(spread.interval)}".strip()
        known = {metric: task.cost(model, variant, metric) for metric in COSTS}
        rows.append(
            [
                task.mark(model, variant).label,
                Bold(text) if spread and variant == "matched" and task.unbeaten(model) else text,
                "" if validation is None else task.text(validation),
                seeds(standing) + (f" ({standing.failures} failed)" if standing.failures else ""),
                *costs(task, model, variant),
            ]
        )
        records.append(
            {
                "task": task.name,
                "metric": task.metric,
                "model": model,
                "variant": variant,
                "mean": standing.mean,
                **_ends(standing.interval),
                "validation": validation,
                "seeds": standing.seeds,
                "splits": standing.splits,
                "failures": standing.failures,
                **known,
            }
        )
    for label, score in task.floors.items():
        rows.append([label, task.text(score), *[""] * (2 + len(cost_heads(task)))])
    authors = any(variant == "author" for _, variant in task.standings)
    apart = " †: at a published size and rate, outside the comparison." if authors else ""
    return Table(
        name,
        "Scores",
        f"{task.title}: {task.score_label}. Means over {task.over}s with 95 % intervals. Bold: can "
        f"be compared with the best and is not shown to be worse.{apart}",
        [
            ("Model", False),
            ("Test score", True),
            ("Validation", True),
            ("Seeds", True),
            *((label, True) for label in cost_heads(task)),
        ],
        rows,
        records,
    )


def loop(task: TaskSummary, name: str) -> Table:
    """The measurements of a task's rollouts, for models and the task's policies; beside them the offline loss."""
    offline = task.facts.selection
    measures, places = (*task.facts.measurements, *([offline] if offline else [])), {}
    for measure in measures:
        found = [task.measured_in_loop(*who, measure) for who in task.standings]
        known = [one for one in found if one]
        widths = [(one.interval[1] - one.interval[0]) / 2 for one in known if one.interval]
        size = median(abs(one.mean) for one in known) if known else 0.0
        places[measure] = decimals(median(widths) if widths else None, size)
    rows, records = [], []
    for model, variant in task.standings:
        texts = []
        for measure in measures:
            spread, digits = task.measured_in_loop(model, variant, measure), places[measure]
            bounds = spread.interval if spread else None
            span = f" [{number(bounds[0], digits)}, {number(bounds[1], digits)}]" if bounds else ""
            texts.append(f"{number(spread.mean, digits)}{span}" if spread else "")
            records.append(
                {
                    "task": task.name,
                    "measurement": measure.name,
                    "unit": measure.unit,
                    "higher_is_better": measure.higher_is_better,
                    "model": model,
                    "variant": variant,
                    "mean": spread.mean if spread else None,
                    **_ends(bounds),
                    "seeds": len(spread.values) if spread else 0,
                }
            )
        rows.append([task.mark(model, variant).label, *texts])
    for policy, told in task.policies.items():
        values = [told.get(measure.name) for measure in measures]
        texts = ["" if v is None else number(v, places[one]) for v, one in zip(values, measures, strict=True)]
        rows.append([f"{policy} (policy of the task)", *texts])
    return Table(
        name,
        "Closed loop",
        f"{task.title}: what rollouts of the trained networks measured. Means over {task.over}s with 95 % "
        "intervals; the seeds are the same for every model."
        + (f" {offline.label} is that of demonstrations, by which networks learn." if offline else ""),
        [("Model", False), *((_head(measure), True) for measure in measures)],
        rows,
        records,
    )


def _head(measure: Measure) -> str:
    unit = "" if measure.unit == "1" else f" in {measure.unit}"
    return f"{measure.label}{unit}, {'higher' if measure.higher_is_better else 'lower'} is better"


def seeds(standing: Standing) -> str:
    """Number of runs in a score, in words."""
    return f"{standing.seeds}{f' runs in {standing.splits} splits' if standing.splits > 1 else ''}"


def cost_heads(task: TaskSummary) -> list[str]:
    """Heads of the columns that `costs` fills, for the costs that were measured on a task."""
    return [COSTS[metric].head for metric in _measured(task)]


def costs(task: TaskSummary, model: str, variant: str) -> list[str]:
    """The costs of a model on a task, as text."""
    known = [(task.cost(model, variant, metric), COSTS[metric]) for metric in _measured(task)]
    return ["" if value is None else quantity(cost.scale * value, cost.unit) for value, cost in known]


def _measured(task: TaskSummary) -> list[str]:
    return [metric for metric in COSTS if any(task.cost(*who, metric) is not None for who in task.standings)]


def pairs(task: TaskSummary, name: str) -> Table:
    """Every two models of one task, the leading one first."""
    rows, records = [], []
    for pair in task.pairs:
        records.append(
            {
                "task": task.name,
                "first": pair.first,
                "second": pair.second,
                "difference": pair.difference,
                **_ends(pair.interval),
                "smallest_difference": pair.margin,
                "seeds": pair.seeds,
                "splits": pair.splits,
                "p": pair.uncorrected,
                "p_corrected": pair.p,
                "covers": " and ".join(pair.covers),
                "verdict": pair.verdict,
                "reason": pair.reason,
            }
        )
        if pair.difference is None:
            continue
        lead, bounds = task.lead(pair.difference, pair.interval)
        first, second = pair.first, pair.second
        if lead < 0:
            first, second, lead = second, first, -lead
            bounds = None if bounds is None else (-bounds[1], -bounds[0])
        winner = {"better": pair.first, "worse": pair.second}.get(pair.verdict)
        verdict = f"{winner} better" if winner else pair.verdict
        p = "" if pair.p is None else plain_p(pair.p)
        rows.append([first, second, task.text(lead, signed=True), task.span(bounds), p, verdict])
    return Table(
        name,
        "Pairs",
        f"{task.title}: lead of each first model over the second in {task.metric_label}, with 95 % intervals; "
        "p after Holm’s correction for all pairs of the task.",
        [("First", False), ("Second", False), ("Lead", True), ("Interval", True), ("p", True), ("Verdict", False)],
        rows,
        records,
    )


def shifts(task: TaskSummary, name: str) -> Table:
    """What each model loses under each shift: the area under its drops, and for CSV the drop at each level."""
    rows, records = {model: [model] for model in task.best_first("matched")}, []
    for effect in task.effects.values():
        known = {one.model: one for one in effect.models}
        widths = [(one.area.interval[1] - one.area.interval[0]) / 2 for one in effect.models if one.area.interval]
        places = decimals(median(widths) if widths else None, median(abs(one.area.mean) for one in effect.models))
        least = effect.models[0].model
        for model, row in rows.items():
            found = known.get(model)
            text = "" if found is None else _loss(found.area, places)
            as_good = found is not None and (model == least or effect.verdict(model) not in ("better", "cannot say"))
            row.append(Bold(text) if as_good else text)
            if found is None:
                continue
            for level, loss in (*found.drops.items(), (None, found.area)):
                low, high = loss.relative_interval or (None, None)
                records.append(
                    {
                        "task": task.name,
                        "shift": effect.shift,
                        "model": model,
                        "quantity": "area" if level is None else "drop",
                        "level": level,
                        "clean": found.clean,
                        "loss": loss.mean,
                        **_ends(loss.interval),
                        "relative": loss.relative,
                        "relative_low": low,
                        "relative_high": high,
                        "runs": found.runs,
                        "left_out": found.left_out,
                    }
                )
    away = all(recorded(key).is_world for key in task.effects)
    changes, unchanged = ("world changes", "in the world of training") if away else ("data shift", "on unchanged data")
    return Table(
        name,
        "Shifts",
        f"{task.title}: what the models lose in {task.metric_label} when the {changes}: the area under the drop over "
        f"the levels, the strongest at 1, with 95 % intervals over {task.over}s; in brackets as a share of the "
        "model’s lead over the trivial predictor. Less is better. Bold: loses least, or can be compared with the one "
        "that does and is not shown to lose more. A model with a poor score "
        f"{unchanged} has little to lose.",
        [("Model", False), *((recorded(key).title, True) for key in task.effects)],
        list(rows.values()),
        records,
    )


def worlds(task: TaskSummary, name: str) -> Table:
    """The scores in each world at each level: a row for each, a column for each model and policy."""
    models, policies = task.best_first("matched"), task.policies_judged
    places = [("", 0.0), *((key, level) for key in task.shifts if recorded(key).is_world for level in task.levels(key))]
    rows, records = [], []
    for key, level in places:
        # The level 0 of each world is the world of training.
        if key and not level:
            continue
        spreads = {model: task.shifted(model, key, level) for model in models}
        spreads |= {policy: task.policy(policy, key, level) for policy in policies}
        words = recorded(key).told(level) if key else "the world of training"
        texts = [f"{task.text(one.mean)} {task.span(one.interval)}".strip() if one else "" for one in spreads.values()]
        rows.append([words[:1].upper() + words[1:], *texts])
        records += [
            {
                "task": task.name,
                "metric": task.metric,
                "world": key,
                "level": level,
                "who": who,
                "policy": who in policies,
                "mean": one.mean if one else None,
                **_ends(one.interval if one else None),
                "seeds": len(one.values) if one else 0,
            }
            for who, one in spreads.items()
        ]
    return Table(
        name,
        "Worlds",
        f"{task.title}: {task.score_label}, in each world at each level. Means over {task.over}s with 95 % intervals; "
        "networks learnt in the world of training alone.",
        [("World", False), *((model, True) for model in models), *((f"{one} (policy)", True) for one in policies)],
        rows,
        records,
    )


def certainty(task: TaskSummary, name: str) -> Table:
    """How sure each model is and whether that is true, and for CSV its coverage at each level of each shift."""
    measured = [one for one in task.certainties if one.runs]
    heads = {label: head for label, head in _CERTAINTIES.items() if any(label in one.numbers for one in measured)}
    size = "Set size" if task.facts.kind == "classification" else "Interval width"
    rows, records = [], []
    for one in measured:
        told = [number(one.numbers[label], 3) if label in one.numbers else "" for label in heads]
        held = one.coverage.get(CLEAN)
        told += ["", ""] if held is None else [percent(held[0]), number(held[1], 2)]
        rows.append([one.model if one.members == 1 else f"{one.model}, {one.members} seeds together", *told])
        common = {"task": task.name, "model": one.model, "members": one.members, "runs": one.runs}
        told_of = {(label, *CLEAN): value for label, value in one.numbers.items()}
        for place, (share, width) in one.coverage.items():
            told_of |= {("coverage", *place): share, ("size", *place): width}
        records += [
            {**common, "quantity": label, "shift": shift, "level": level, "value": value}
            for (label, shift, level), value in told_of.items()
        ]
    return Table(
        name,
        "Certainty",
        f"{task.title}: means over runs on test. {' '.join(_CERTAINTY_WORDS[label] for label in heads)} Coverage: "
        f"share of targets in the intervals or sets that are to hold {percent(SHARE)}, calibrated on validation.",
        [("Model", False), *((head, True) for head in heads.values()), ("Coverage", True), (size, True)],
        rows,
        records,
    )


_CERTAINTIES = {
    "calibration_error": "Calibration error",
    "tempered_error": "With temperature",
    "brier": "Brier score",
    "cross_entropy": "Cross-entropy",
    "area_under_risk": "Area under risk",
}
_CERTAINTY_WORDS = {
    "calibration_error": "Calibration error: mean distance between what is said and how often it is true, 0 is best.",
    "tempered_error": "With temperature: the same after temperature scaling on validation.",
    "brier": "Brier score and",
    "cross_entropy": "cross-entropy (nats): lower is better.",
    "area_under_risk": "Area under risk: mean error of the surest predictions, over all shares kept; lower is better.",
}


def _loss(loss: Loss, places: int) -> str:
    text = number(loss.mean, places)
    if loss.interval:
        text += f" [{number(loss.interval[0], places)}, {number(loss.interval[1], places)}]"
    return text if loss.relative is None else f"{text} ({number(100 * loss.relative)} %)"


def family_losses(comparison: Comparison) -> Table:
    """What each shift costs liquid and recurrent networks over all tasks."""
    rows, records = [], []
    for one in comparison.family_losses:
        low, high = one.interval or (None, None)
        span = "" if low is None or high is None else f" [{number(100 * low, 1)}, {number(100 * high, 1)}]"
        rows.append(
            [
                recorded(one.shift).title,
                number(100 * one.liquid, 1),
                number(100 * one.recurrent, 1),
                number(100 * one.difference, 1, signed=True) + span,
                f"{one.less} of {one.tasks}",
                "" if one.p is None else plain_p(one.p),
                f"{one.verdict} loses less" if one.verdict in ("liquid", "recurrent") else one.verdict,
            ]
        )
        records.append(
            {
                "shift": one.shift,
                "tasks": one.tasks,
                "tasks_left_out": one.left_out,
                "liquid": one.liquid,
                "recurrent": one.recurrent,
                "difference": one.difference,
                **_ends(one.interval),
                "liquid_less": one.less,
                "p_corrected": one.p,
                "verdict": one.verdict,
            }
        )
    return Table(
        "over-shifts",
        "Shifts over tasks",
        "What liquid and recurrent networks lose when the data shift, as a share of their lead over the trivial "
        "predictor, on average over the levels and over tasks, in percent; the difference (below zero liquid "
        "networks lose less) with 95 % intervals over tasks and seeds; p of signed-rank tests over tasks after Holm’s "
        "correction for all shifts.",
        [
            ("Shift", False),
            ("Liquid, %", True),
            ("Recurrent, %", True),
            ("Difference, points", True),
            ("Liquid loses less on", True),
            ("p", True),
            ("Verdict", False),
        ],
        rows,
        records,
    )


def elapsed(found: Sequence[ElapsedTime], summaries: Mapping[str, TaskSummary]) -> Table:
    """What each model, and each family on average, loses on each task without elapsed time."""
    rows, records = [], []
    for one in found:
        for use in (*one.uses, *one.families):
            pair, task = use.pair, summaries[use.pair.task]
            told, withheld = pair.means or (None, None)
            texts = ["" if mean is None else task.text(mean) for mean in (told, withheld)]
            loss = "" if use.drop is None else task.text(use.drop, signed=True)
            text = Bold(loss) if use.verdict == "uses elapsed time" else loss
            p = "" if pair.p is None else plain_p(pair.p)
            who = f"mean of {use.who} networks" if use in one.families else use.who
            rows.append([one.title, use.contrast.title, who, *texts, text, task.span(use.interval), p, use.verdict])
            records.append(
                {
                    "task": one.task,
                    "told": pair.first,
                    "withheld": pair.second,
                    "who": use.who,
                    "metric": task.metric,
                    "score_told": told,
                    "score_withheld": withheld,
                    "loss": use.drop,
                    **_ends(use.interval),
                    "smallest_difference": pair.margin,
                    "seeds": pair.seeds,
                    "splits": pair.splits,
                    "p": pair.uncorrected,
                    "p_corrected": pair.p,
                    "covers": " and ".join(pair.covers),
                    "verdict": use.verdict,
                    "reason": pair.reason,
                }
            )
    return Table(
        "elapsed-time",
        "Elapsed time",
        "Mean test scores of networks that are told the time between samples, and of others, trained anew, that are "
        "not, on the same samples and targets; what is lost without it, with 95 % intervals of differences within "
        "seeds (or splits); p after Holm’s correction for all models and conditions of a task. Bold: shown to use "
        "elapsed time.",
        [
            ("Task", False),
            ("What is withheld", False),
            ("Model", False),
            ("Time told", True),
            ("Withheld", True),
            ("Loss", True),
            ("Interval", True),
            ("p", True),
            ("Verdict", False),
        ],
        rows,
        records,
    )


def matchups(comparison: Comparison) -> Table:
    """Every two models over all tasks, the leading one first."""
    rows, records = [], []
    for found in comparison.over_tasks.matchups:
        one = found.swapped() if found.lead is not None and found.lead < 0 else found
        winner = {"better": one.first, "worse": one.second}.get(one.verdict)
        rows.append(
            [
                one.first,
                one.second,
                str(one.tasks),
                "" if one.lead is None else number(one.lead, 1, signed=True),
                f"[{number(one.interval[0], 1)}, {number(one.interval[1], 1)}]" if one.interval else "",
                f"{one.record.wins}, {one.record.ties}, {one.record.losses}" if one.record else "",
                "" if one.p is None else plain_p(one.p),
                ", ".join(map(percent, one.probabilities)) if one.probabilities else "",
                f"{winner} better" if winner else one.verdict,
            ]
        )
        record, chances = one.record, one.probabilities or (None, None, None)
        records.append(
            {
                "first": one.first,
                "second": one.second,
                "tasks": one.tasks,
                "tasks_left_out": one.left_out,
                "lead": one.lead,
                **_ends(one.interval),
                "wins": record.wins if record else None,
                "ties": record.ties if record else None,
                "losses": record.losses if record else None,
                "p": one.outcome.p if one.outcome else None,
                "p_corrected": one.p,
                "worse": chances[0],
                "equivalent": chances[1],
                "better": chances[2],
                "verdict": one.verdict,
            }
        )
    return Table(
        "over-tasks",
        "Over tasks",
        "Mean lead over tasks of each first model over the second, in units of the smallest difference that counts, "
        "with 95 % intervals; wins, ties and losses by task; p of signed-rank tests after Holm’s correction; "
        "uncorrected probabilities that the first is worse, equivalent, better.",
        [
            ("First", False),
            ("Second", False),
            ("Tasks", True),
            ("Lead", True),
            ("Interval", True),
            ("Wins, ties, losses", True),
            ("p", True),
            ("Worse, equivalent, better", True),
            ("Verdict", False),
        ],
        rows,
        records,
    )


def matchings(found: Sequence[TaskSummary], comparison: Comparison, first: str) -> Table:
    """Each task's verdict under every matching of the study.

    Args:
        found: the tasks.
        comparison: the study's statistics.
        first: the first matching, which the rest of the report uses.
    """
    verdicts = {first: comparison.verdict, **comparison.others}
    known = {(one.task, matching): one for matching, verdict in verdicts.items() for one in verdict.judgements}
    rows, records = [], []
    for task in found:
        judgements = {matching: known.get((task.name, matching)) for matching in verdicts}
        rows.append([task.title, *(one.short if one else "not run yet" for one in judgements.values())])
        for matching, one in judgements.items():
            pair = one.pair if one else None
            records.append(
                {
                    "task": task.name,
                    "matching": matching,
                    "liquid": pair.first if pair else None,
                    "recurrent": pair.second if pair else None,
                    "difference": pair.difference if pair else None,
                    **_ends(pair.interval if pair else None),
                    "smallest_difference": pair.margin if pair else None,
                    "p": pair.uncorrected if pair else None,
                    "p_corrected": pair.p if pair else None,
                    "verdict": one.verdict if one else None,
                }
            )
    return Table(
        "matchings",
        "Matchings",
        "Verdict on each task, the liquid networks’ best against the recurrent networks’ best, where models are equal "
        f"in {' or '.join(verdicts)}. {comparison.stands}",
        [("Task", False), *((f"Equal {matching}", False) for matching in verdicts)],
        rows,
        records,
    )


def _ends(interval: Interval | None) -> dict[str, float | None]:
    return {"low": interval[0] if interval else None, "high": interval[1] if interval else None}


def plain_p(p: float) -> str:
    """A p-value for a column that is headed p."""
    return p_value(p).removeprefix("p ").removeprefix("= ")


def _markdown(table: Table) -> str:
    def told(text: str) -> str:
        return f"**{markdown_text(text)}**" if isinstance(text, Bold) and text else markdown_text(text)

    lines = [[markdown_text(name) for name, _ in table.columns]]
    lines.append(["---:" if numbers else "---" for _, numbers in table.columns])
    lines += [[told(text) for text in row] for row in table.rows]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", markdown_text(table.caption), ""])


def markdown_text(text: str) -> str:
    r"""Text escaped for Markdown, inside or outside a table cell.

    Example:
        >>> print(markdown_text("a|b *c* <d>"))
        a\|b \*c\* &lt;d>
    """
    text = re.sub(r"([\\`*_|~])", r"\\\1", " ".join(text.split()))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")


def _latex(table: Table) -> str:
    def told(text: str) -> str:
        return rf"\textbf{{{latex_text(text)}}}" if isinstance(text, Bold) and text else latex_text(text)

    def line(cells: Sequence[str]) -> str:
        # After a line end, LaTeX would take a bracket or a star for an argument.
        guard = "{}" if cells[0].startswith(("[", "*")) else ""
        return f"    {guard}{' & '.join(cells)} \\\\"

    align = "".join("r" if numbers else "l" for _, numbers in table.columns)
    head = ["    \\toprule", line([latex_text(name) for name, _ in table.columns]), "    \\midrule"]
    body = [line([told(text) for text in row]) for row in table.rows]
    caption = rf"\caption{{{latex_text(table.caption)}}}\label{{tab:{table.name}}}"
    if len(table.rows) >= LONG:
        lines = [r"% \usepackage{booktabs,longtable}", rf"\begin{{longtable}}{{{align}}}", rf"  {caption} \\"]
        lines += [*head, "    \\endhead", "    \\bottomrule", "    \\endfoot", *body, r"\end{longtable}"]
    else:
        lines = [r"% \usepackage{booktabs}", r"\begin{table}", r"  \centering", f"  {caption}"]
        lines += [
            rf"  \begin{{tabular}}{{{align}}}",
            *head,
            *body,
            "    \\bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    return "\n".join([*lines, ""])


_LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "µ": r"\textmu{}",
    "χ": r"$\chi$",
    "†": r"\textdagger{}",
    "–": "--",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{NO-BREAK SPACE}": "~",
}
_RAISED = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))


def latex_text(text: str) -> str:
    r"""Text escaped for LaTeX; letters that are not Latin need an engine such as LuaLaTeX.

    Example:
        >>> print(latex_text("50 % of x_1 & 2×10⁻⁵"))
        50 \% of x\_1 \& 2$\times$10$^{-5}$
    """
    # LaTeX would join consecutive hyphens to a dash.
    parts = re.split("(?<=-)(?=-)", re.sub(r"[\n\r\t]", " ", text))
    text = "{}".join("".join(_LATEX.get(letter, letter) for letter in part) for part in parts)
    return re.sub(
        f"[{''.join(_RAISED)}]+", lambda found: f"$^{{{''.join(_RAISED[one] for one in found.group())}}}$", text
    )


def _csv(table: Table) -> str:
    text = io.StringIO()
    if table.records:
        writer = csv.DictWriter(text, list(table.records[0]), lineterminator="\n")
        writer.writeheader()
        for record in table.records:
            writer.writerow(
                {
                    key: f"{value:.9g}"
                    if isinstance(value, float)
                    else cell(value)
                    if isinstance(value, str)
                    else value
                    for key, value in record.items()
                }
            )
    return text.getvalue()


_WRITERS: Mapping[Format, Callable[[Table], str]] = {"markdown": _markdown, "latex": _latex, "csv": _csv}
