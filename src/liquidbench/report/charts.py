"""The report's figures with captions that are computed from the same numbers."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import geometric_mean

import numpy as np

from liquidbench import shifts
from liquidbench.report import figures
from liquidbench.report.svg import Mark, quantity
from liquidbench.report.task_summary import TaskSummary, decimals, outdone
from liquidbench.statistics import COSTS, SHARE, Overall, expected_best
from liquidbench.wording import counted, number, percent

DRAWN = {
    metric: COSTS[metric] for metric in ("parameters", "training_memory_bytes", "seconds_per_epoch", "step_latency_us")
}
"""The costs that scores are drawn against."""

SAME = 1.15
"""Smallest ratio of costs for a chart: sizes of matched models differ by rounding to whole units."""

MOST_NAMED = 8
"""Number of lines with names; if there are more, only the best are named and the others are faint."""

MOST_THREADS = 30
"""Largest number of lines of single seeds in a figure."""


@dataclass(frozen=True)
class Figure:
    """A drawing and its caption; a broad one has the full width of the page."""

    svg: str
    caption: str
    broad: bool = False


def scores(task: TaskSummary) -> Figure | None:
    """Every model's test score: seeds, mean and interval."""
    rows = []
    for variant in ("matched", "author"):
        for model in task.best_first(variant):
            spread, mark = task.spreads[model, variant], task.mark(model, variant)
            text = task.spoken(mark.label, spread)
            rows.append(figures.Row(mark, spread.values, spread.mean, spread.interval, text))
    if not rows:
        return None
    words = []
    compared = task.best_first("matched")
    if compared:
        best = task.text(task.spreads[compared[0], "matched"].mean)
        words.append(f"{compared[0]} has the best mean, {best}." if len(compared) > 1 else f"Mean {best}.")
    beaten = {
        "trivial predictor": "A model that has learnt anything beats the trivial predictor",
        "best constant": "One that reads its inputs beats the best constant on test",
        "linear model": f"One that uses memory beats {task.facts.linear_name}",
    }
    for floor, score in task.floors.items() if compared else ():
        says = beaten.get(floor, f"A network that is worth its cost beats {floor}")
        words.append(f"{says}, {task.text(score)}: {_who_beats(task, compared, score)}.")
    words.append(
        f"Dots are {_dots(task)}, the large mark is their mean, the bar its 95 % interval."
        if any(len(row.values) > 1 for row in rows)
        else f"One {task.over} each, so there are no intervals and the spread is unknown."
    )
    if any(row.mark.apart for row in rows):
        words.append("† At a published size and rate, outside the comparison.")
    title = f"Test scores on {task.title}"
    broad = len(compared) > MOST_NAMED + 2
    drawing = figures.strip(title, rows, task.score_label, task.references, broad=broad)
    return Figure(drawing, " ".join(words), broad)


def _dots(task: TaskSummary) -> str:
    return "seeds" if task.splits == 1 else "outer splits, means over seeds"


def _who_beats(task: TaskSummary, models: Sequence[str], score: float) -> str:
    """How many means are better than a score, in words."""
    beaten = sum(task.beats(model, score) for model in models)
    if beaten == len(models):
        return "every mean does" if beaten > 1 else "it does"
    return f"{beaten} of {len(models)} means do" if beaten else "none does"


def costs(task: TaskSummary) -> list[Figure]:
    """Score against each measured cost in which models differ, with the Pareto front."""
    drawn = []
    for metric, drawn_cost in DRAWN.items():
        label, unit, scale = drawn_cost.axis, drawn_cost.unit, drawn_cost.scale
        known = {
            (model, variant): scale * cost
            for model, variant in task.spreads
            if (cost := task.cost(model, variant, metric))
        }
        compared = {model: cost for (model, variant), cost in known.items() if variant == "matched"}
        if not known or max(known.values()) / min(known.values()) < SAME:
            continue
        # If models are matched in a cost, its differences mean nothing.
        differ = bool(compared) and max(compared.values()) / min(compared.values()) >= SAME
        better = task.outdone(compared) if differ else {}
        points = []
        for (model, variant), cost in known.items():
            spread, mark = task.spreads[model, variant], task.mark(model, variant)
            rival = better.get(model, "") if variant == "matched" else ""
            said = [task.spoken(mark.label, spread), f"{label.lower()}: {quantity(cost, unit)}"]
            said += [f"{rival} is better and costs no more"] if rival else []
            whole = task.spreads.get((model, "matched"))
            origin = (compared[model], whole.mean) if mark.apart and whole and model in compared else None
            front = variant == "matched" and better.get(model) == ""
            if len(compared) > MOST_NAMED and not front:
                mark = replace(mark, behind=True)
            points.append(figures.Point(mark, cost, spread.mean, spread.interval, "; ".join(said), origin, front))
        title = f"{task.title}: {task.metric_label} against {label.lower()}"
        direction = "up" if task.higher else "down"
        axis = f"{task.metric_label}, {task.direction}"
        drawing = figures.scatter(title, points, axis, label, unit, task.references, direction)
        drawn.append(Figure(drawing, _front_caption([model for model, rival in better.items() if not rival])))
    return drawn


def costs_over_tasks(
    study: Sequence[TaskSummary], overall: Sequence[Overall], models: Mapping[str, Mark]
) -> list[Figure]:
    """Mean rank against each cost relative to the cheapest model's, geometric means over tasks, with the front."""
    ranks = {line.model: line.rank for line in overall if line.rank is not None}
    drawn = []
    for metric, drawn_cost in DRAWN.items():
        label = drawn_cost.axis
        typical = typical_costs(study, metric, ranks)
        if len(typical) < 2 or max(typical.values()) / min(typical.values()) < SAME:
            continue
        times = {model: cost / min(typical.values()) for model, cost in typical.items()}
        better = outdone(times, {model: -ranks[model] for model in times})
        points = []
        for model, cost in times.items():
            mark, rival = models[model], better[model]
            said = f"{model}: mean rank {number(ranks[model], 1)}; {label.lower()}: {quantity(cost, '×')} the least"
            said += f"; {rival} is better and costs no more" if rival else ""
            mark = replace(mark, behind=True) if rival and len(times) > MOST_NAMED else mark
            points.append(figures.Point(mark, cost, ranks[model], None, said, front=not rival))
        title = f"Mean rank over tasks against {label.lower()}"
        axes = ("Mean rank, 1 is best", f"{label}, times the least", "×", (), "down")
        drawn.append(
            Figure(
                figures.scatter(title, points, *axes),
                _front_caption([model for model, rival in better.items() if not rival]),
            )
        )
    return drawn


def typical_costs(study: Sequence[TaskSummary], metric: str, models: Collection[str]) -> dict[str, float]:
    """Geometric mean of a cost over the tasks on which it was measured for all these models; empty without any."""
    tables = [{model: task.cost(model, "matched", metric) for model in models} for task in study]
    whole = [table for table in tables if all(table.values())]
    if not whole:
        return {}
    return {model: geometric_mean([cost for table in whole if (cost := table[model])]) for model in models}


def _front_caption(front: Sequence[str]) -> str:
    if not front:
        return "Compared models are matched in this cost, so there is no front."
    return f"At the front: {', '.join(front[:-1])}{' and ' * (len(front) > 1)}{front[-1]}."


def cost_caption(study: Sequence[TaskSummary], over_tasks: bool) -> str:
    """The caption of the charts of scores against costs; "" if there are no scores.

    Args:
        study: the tasks.
        over_tasks: whether the figures are of all tasks together.
    """
    if not any(task.spreads for task in study):
        return ""
    models = list(dict.fromkeys(model for task in study for model in task.best_first("matched")))
    words = []
    for metric, drawn_cost in DRAWN.items():
        label, unit, scale = drawn_cost.axis, drawn_cost.unit, drawn_cost.scale
        found = [
            scale * cost
            for task in study
            for model in task.best_first("matched")
            if (cost := task.cost(model, "matched", metric))
        ]
        typical = typical_costs(study, metric, models)
        if not found:
            words.append(f"{label}: not measured yet.")
        elif metric == "parameters":
            words.append(
                f"Compared models train {quantity(min(found), unit)} to {quantity(max(found), unit)} parameters."
            )
        elif len(typical) > 1 and max(typical.values()) / min(typical.values()) >= SAME:
            least, most = min(typical, key=typical.__getitem__), max(typical, key=typical.__getitem__)
            ratio = typical[most] / typical[least]
            least_cost = "" if over_tasks else f" ({quantity(scale * typical[least], unit)})"
            words.append(
                f"{label}: least with {least}{least_cost}, most with {most} "
                f"({number(ratio, 1 if ratio < 10 else 0)} times as much)."
            )
    words.append(
        "The line is the Pareto front of the means: no model is both cheaper and better than those on it. "
        "Costs are on logarithmic axes."
    )
    if not over_tasks and any(variant == "author" for task in study for _, variant in task.spreads):
        words.append("Faint marks, joined to the model: † at a published size and rate, outside the comparison.")
    return " ".join(words)


def _kept_back(models: Sequence[str], task: TaskSummary) -> dict[str, Mark]:
    """Marks of models, best first; only the first ones are named."""
    return {model: replace(task.mark(model), behind=place >= MOST_NAMED) for place, model in enumerate(models)}


def _named_words(models: Sequence[str]) -> list[str]:
    if len(models) <= MOST_NAMED:
        return []
    return [f"Named: the {MOST_NAMED} best by test score; point at a line for its name."]


def learning(task: TaskSummary) -> list[Figure]:
    """Training and validation loss of the chosen trials by step."""
    found = []
    marks = _kept_back(task.best_first("matched"), task)
    for split, label in (("train", "Training loss"), ("validation", "Validation loss")):
        threads = {model: seeds for model in marks if (seeds := task.learning(model, split))}
        shown = sum(map(len, threads.values())) <= MOST_THREADS
        series, lowest = [], []
        for model, seeds in threads.items():
            # The mean ends where the first run stopped; after that it would jump as runs drop out.
            together = list(zip(*seeds, strict=False))
            x = [places[0][0] for places in together]
            y = [math.fsum(loss for _, loss in places) / len(seeds) for places in together]
            low, place = min(zip(y, x, strict=True))
            lowest.append((low, place, model))
            places = decimals(None, low) + 1
            text = f"{model}: lowest {number(low, places)} in {task.unit} {place:.0f}"
            texts = [f"{model}, {task.unit} {at:.0f}: {number(loss, places)}" for at, loss in zip(x, y, strict=True)]
            many = len(marks) > MOST_NAMED
            series.append(
                figures.Series(
                    marks[model], x, y, (), () if many else texts, seeds if shown else (), text if many else ""
                )
            )
        if not series:
            continue
        loss, place, model = min(lowest)
        words = [
            f"{label} falls lowest for {model}, to {number(loss, decimals(None, loss))} in {task.unit} {place:.0f}."
        ]
        if any(len(seeds) > 1 for seeds in threads.values()):
            ends = "Thick: the mean, until the first run stops. Thin: each run to its own end."
            words.append(ends if shown else "Means over runs, until the first of them stops.")
        read, trained = len(threads[series[0].mark.label]), task.trained(series[0].mark.label)
        if read < trained:
            words.append(f"Only the first {read} of {trained} runs.")
        words += _named_words(list(marks))
        kind = "cross-entropy in nats" if task.facts.kind == "classification" else "mean squared error"
        title = f"{label} by {task.unit} on {task.title}"
        drawing = figures.curves(title, series, task.unit.capitalize(), f"{label} ({kind})", whole_steps=True)
        found.append(Figure(drawing, " ".join(words)))
    return found


def tuning(task: TaskSummary) -> tuple[Figure | None, str]:
    """The expected validation score of the best of k trials, or the reason why there is no curve."""
    searches = {model: task.searches[model] for model in task.best_first("matched") if model in task.searches}
    trials = max((len(search) for found in searches.values() for search in found), default=0)
    if trials < 2:
        single = "Each search had a single trial, so there is no tuning curve."
        return None, single if trials else "The results hold no trials of a search."
    # An unfinished search would look like one with fewer trials.
    searches = {model: [search for search in found if len(search) == trials] for model, found in searches.items()}
    known = [value for found in searches.values() for search in found for value in search if value is not None]
    if not known:
        return None, "No trial of any search has a score."
    selecting = task.facts.selecting
    # The trivial predictor is scored by the metric of verdicts, not by the one that selects.
    higher, trivial = selecting.higher_is_better, None if task.facts.selection else task.trivial
    worst = trivial if trivial is not None else min(known) if higher else max(known)
    marks = _kept_back(list(searches), task)
    many = len(marks) > MOST_NAMED
    series = []
    for model, found in searches.items():
        if not found:
            continue
        filled = [[worst if value is None else value for value in search] for search in found]
        curve = np.mean([expected_best(search, higher) for search in filled], axis=0).tolist()
        texts = [f"{model}, best of {counted(k, 'trial')}: {task.text(at)}" for k, at in enumerate(curve, 1)]
        steps = [float(k) for k in range(1, trials + 1)]
        series.append(
            figures.Series(marks[model], steps, curve, (), () if many else texts, (), texts[-1] if many else "")
        )
    gains = {one.mark.label: abs(one.y[-1] - one.y[-2]) for one in series}
    most = max(gains, key=gains.__getitem__)
    words = [
        "The expected best score of k trials of each search, averaged over searches. The last of "
        f"{trials} trials helps {most} most, {number(gains[most], decimals(None, gains[most]))}: where a line still "
        f"{'rises' if higher else 'falls'}, more trials would help."
    ]
    failed = sum(value is None for found in searches.values() for search in found for value in search)
    if failed:
        worth = "the trivial predictor’s score" if trivial is not None else "the worst score"
        words.append(f"{counted(failed, 'failed trial')} {'counts' if failed == 1 else 'count'} as {worth}.")
    words += _named_words(list(marks))
    title = f"{task.title}: expected best validation score over the number of trials"
    label = f"{selecting.label} on validation, {'higher' if higher else 'lower'} is better"
    return Figure(figures.curves(title, series, "Trials", label, whole_steps=True), " ".join(words)), ""


def robustness(task: TaskSummary) -> list[Figure]:
    """The test score on shifted data, one figure for each shift."""
    found = []
    marks = _kept_back(task.best_first("matched"), task)
    many = len(marks) > MOST_NAMED
    for key in task.shifts:
        shift, levels = shifts.recorded(key), task.levels(key)
        series = []
        for model, mark in marks.items():
            spreads = {level: task.shifted(model, key, level) for level in levels}
            measured = {level: spread for level, spread in spreads.items() if spread}
            if len(measured) < 2:
                continue
            spoken = [task.spoken(f"{model}, {shift.told(level)}", spread) for level, spread in measured.items()]
            series.append(
                figures.Series(
                    mark,
                    list(measured),
                    [spread.mean for spread in measured.values()],
                    () if many else [spread.interval for spread in measured.values()],
                    () if many else spoken,
                    (),
                    spoken[-1] if many else "",
                )
            )
        if not series:
            continue
        words = [task.effects[key].sentence] if key in task.effects else []
        if shift.name == "removed_steps":
            words.append("A removed step is gone; its time is added to the next span.")
        if any(bounds for one in series for bounds in one.intervals):
            words.append("Bars are 95 % intervals.")
        words += _named_words(list(marks))
        title = f"{task.metric_label} on {task.title}: {shift.label[:1].lower()}{shift.label[1:]}"
        drawing = figures.curves(
            title, series, shift.label, task.score_label, references=task.references, percent=shift.percent
        )
        found.append(Figure(drawing, " ".join(words)))
    return found


def certainty(task: TaskSummary) -> list[Figure]:
    """Reliability, selective prediction, and coverage of intervals or sets under each shift; one line a model."""
    marks = _kept_back(task.best_first("matched"), task)
    alone = {one.model: one for one in task.certainties if one.members == 1 and one.runs and one.model in marks}
    many = len(marks) > MOST_NAMED
    classes = task.facts.kind == "classification"

    def drawn(
        lines: Mapping[str, Mapping[float, float]],
        title: str,
        labels: tuple[str, str],
        caption: str,
        references: Sequence[tuple[float, str]] = (),
        percents: bool = True,
    ) -> list[Figure]:
        series = []
        for model, line in lines.items():
            if len(line) < 2:
                continue
            told = [
                f"{model}, {percent(at) if percents else f'{at:g}'}: {number(value, 3)}" for at, value in line.items()
            ]
            texts = ("", told[-1]) if many else (told, "")
            series.append(
                figures.Series(marks[model], list(line), list(line.values()), (), texts[0] or (), (), texts[1])
            )
        if not series:
            return []
        words = [caption, *_named_words(list(marks))]
        drawing = figures.curves(f"{title} on {task.title}", series, *labels, references=references, percent=percents)
        return [Figure(drawing, " ".join(words))]

    found = drawn(
        {model: one.reliability for model, one in alone.items()},
        "Reliability",
        ("Confidence" if classes else "Share to be held", "True minus said"),
        "Above the line a model is right more often than it says, below it is overconfident."
        if classes
        else "Intervals of several shares: above the line they hold more targets than they are to, below fewer.",
        [(0.0, "as said")],
    )
    found += drawn(
        {model: one.risk for model, one in alone.items()},
        "Risk and coverage",
        ("Predictions kept, the surest first", "Share that is wrong" if classes else "Mean error"),
        "Where confidence tells right from wrong, lines rise to the right: abstaining from the least sure helps.",
    )
    for key in task.shifts:
        shift = shifts.recorded(key)
        lines = {
            model: {level: share for (at, level), (share, _) in sorted(one.coverage.items()) if at in ("", key)}
            for model, one in alone.items()
        }
        found += drawn(
            lines,
            "Coverage",
            (shift.label, "Share of targets held"),
            f"Intervals or sets were calibrated on unchanged data to hold {percent(SHARE)}.",
            [(SHARE, f"asked {percent(SHARE)}")],
            shift.percent,
        )
    return found
