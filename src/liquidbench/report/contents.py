"""The contents of the report for the template: texts, tables and drawings."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from liquidbench import objectives, results, shifts, statistics
from liquidbench.conditions import CONDITIONS, parted
from liquidbench.explanations import Explanation
from liquidbench.facts import Facts, Source
from liquidbench.flown import Flown
from liquidbench.models import FAMILIES
from liquidbench.report import charts, figures, svg, tables
from liquidbench.report.across import Across, across, task_matrix
from liquidbench.report.charts import Figure
from liquidbench.report.elapsed import OnTime, on_time
from liquidbench.report.explained import Explained, explained
from liquidbench.report.flights import Flights, flights
from liquidbench.report.next_steps import NextStep, next_step
from liquidbench.report.svg import Mark
from liquidbench.report.tables import Table
from liquidbench.report.task_summary import TaskSummary, decimals, marks
from liquidbench.report.worlds import Worlds, worlds
from liquidbench.statistics import (
    ALPHA,
    CERTAINTY_RULE,
    CHEAP,
    COST_RULE,
    DEGRADATION_RULE,
    ELAPSED_RULE,
    FAMILY_SHIFT_RULE,
    FEWEST_SEEDS,
    GROUP_RULE,
    MATCHUP_RULE,
    ORACLE,
    PROSPECT_RULE,
    WORLD_RULE,
    Comparison,
    Interval,
    InWorlds,
    Pair,
)
from liquidbench.study import MATCHINGS, Study, Training, task_name
from liquidbench.wording import counted, number, percent, significant

MANY_TASKS = 5
"""Number of tasks for the compact overview: sentences of verdicts are folded, scores are below their drawings."""

WIDEST_TABS = 75
"""Number of letters of tasks' titles that fit into the row of tabs."""

MOST_SHARES = 5
"""Largest number of classes whose shares are listed."""

MOST_DRAWN_PAIRS = 15
"""Largest number of pairs on a task that are drawn one by one; more are shown as a matrix."""


@dataclass(frozen=True)
class Cell:
    """A model's score on a task; bold if it is compared with the task's best and not shown to be worse."""

    text: str
    interval: str
    svg: str
    failures: int
    bold: bool


@dataclass(frozen=True)
class Line:
    """A model in the leaderboard, with a cell per task."""

    mark: Mark
    key: str
    rank: str
    interval: str
    cells: list[Cell]


@dataclass(frozen=True)
class TaskVerdict:
    """The verdict on a task: a sentence, two words, a drawing of the lead, and what would change it."""

    anchor: str
    title: str
    sentence: str
    tag: str
    tone: str
    svg: str
    change: str
    prices: list[str]
    selections: list[tuple[str, str, str]]


@dataclass(frozen=True)
class PairRow:
    """Two models on one task; the lead is that of the first."""

    first: Mark
    second: Mark
    keys: tuple[str, str]
    svg: str
    lead: str
    interval: str
    p: str
    verdict: str
    tone: str


@dataclass(frozen=True)
class Setting:
    """A model on a task: score, size, chosen settings, why training ended, and cost."""

    mark: Mark
    key: str
    score: str
    interval: str
    validation: str
    seeds: str
    failures: int
    hidden: str
    rates: str
    epochs: str
    ended: str
    costs: list[str]


@dataclass(frozen=True)
class Failure:
    """A failed run, trial or score."""

    task: str
    model: str
    variant: str
    seed: str
    what: str
    run: str
    reason: str


@dataclass(frozen=True)
class TaskPage:
    """Everything about one task."""

    anchor: str
    tab: str
    name: str
    title: str
    description: str
    judgement: TaskVerdict | None
    scores: Figure | None
    costs: list[Figure]
    cost_caption: str
    learning: list[Figure]
    tuning: Figure | None
    tuning_words: str
    worlds: Worlds | None
    robustness: list[Figure]
    shifts: Table | None
    shifts_left_out: list[str]
    certainty: Table | None
    certainty_figures: list[Figure]
    certainty_left_out: list[str]
    explained: list[Explained]
    flights: list[Flights]
    matrix: Figure | None
    contests: list[PairRow]
    matched: list[Setting]
    authors: list[Setting]
    cost_heads: list[str]
    sources: list[tuple[str, str]]
    failures: list[Failure]
    source: Source | None
    facts: list[tuple[str, str]]
    features: list[tuple[str, str]]
    tables: list[Table]
    loop: Table | None


@dataclass(frozen=True)
class Page:
    """The whole report."""

    name: str
    question: str
    headline: str
    warnings: Sequence[str]
    margin: bool
    judgements: list[TaskVerdict]
    families: Mapping[str, str]
    legend: list[tuple[str, list[tuple[str, str]]]]
    columns: list[tuple[str, str, str, str]]
    leaderboard: list[Line]
    baselines: list[tuple[str, list[str]]]
    leaderboard_note: str
    close: bool
    crowded: bool
    over_tasks: str
    costs: list[Figure]
    cost_caption: str
    next_steps: list[NextStep]
    across: Across | None
    on_time: OnTime | None
    tasks: list[TaskPage]
    failures: list[Failure]
    matchings: list[str]
    under_matchings: list[tuple[str, str, list[tuple[str, str]]]]
    stands: str
    runs: str
    methods: list[tuple[str, str]]
    thresholds: Sequence[str]
    environment: list[tuple[str, str]]
    commands: str
    tables: Mapping[str, Table]
    study_file: str


def page(
    study: Study,
    frame: pl.DataFrame,
    tasks: Mapping[str, Facts],
    comparison: Comparison,
    explanations: Mapping[str, Sequence[Explanation]] | None = None,
    flown: Mapping[str, Sequence[Flown]] | None = None,
) -> Page:
    """Build the contents of the report.

    Args:
        study: the study.
        frame: all its results; those of the first matching are shown.
        tasks: facts by task name.
        comparison: the result of `liquidbench.statistics.compare`.
        explanations: what kept networks do, by task; None for none.
        flown: how kept networks fly, by task; None for none.

    Returns:
        The contents; parts without results are empty.
    """
    # Lazy, so that each query copies only the rows it needs.
    study, rows = _without_folders(study, results.compared(frame.lazy(), study.matching[0]))
    names = _in_order(map(task_name, study.tasks), _distinct(rows, "task"))
    models = marks(_in_order(study.model_names, _distinct(rows, "model")), study.families)
    anchors = _anchors(names)
    found = [TaskSummary(name, tasks.get(name, Facts()), rows, models, comparison) for name in names]
    away = {one.task: one for one in comparison.worlds}
    pages = [
        _task_page(
            task,
            anchors[task.name],
            study,
            (explanations or {}).get(task.name, ()),
            (flown or {}).get(task.name, ()),
            away.get(task.name),
        )
        for task in found
    ]
    # Conditioned tasks have pages of their own, but are no further tasks.
    bases = [task for task in found if not parted(task.name)[1]]
    close, several = len(bases) >= MANY_TASKS, sum(bool(task.spreads) for task in bases) > 1
    together = across(comparison, models)
    time = on_time(comparison.elapsed, {task.name: task for task in found}, models, anchors)
    over_tasks_rules = (MATCHUP_RULE, GROUP_RULE) if together else ()
    floors = dict.fromkeys(name for task in bases for name in task.floors)
    baselines = [
        (name, [task.text(task.floors[name]) if name in task.floors else "" for task in bases]) for name in floors
    ]
    return Page(
        name=study.name,
        question=study.question,
        headline=comparison.verdict.headline,
        warnings=comparison.verdict.warnings,
        margin=study.smallest_difference > 0,
        judgements=[one.judgement for one in pages if one.judgement],
        families={family: look.title for family, look in FAMILIES.items()},
        legend=_legend(models),
        columns=[(anchors[task.name], task.title, task.metric_label, task.direction) for task in bases],
        leaderboard=_leaderboard(bases, models, comparison, close),
        baselines=baselines,
        leaderboard_note=_leaderboard_note(bases),
        close=close,
        crowded=sum(len(one.tab) for one in pages) > WIDEST_TABS,
        over_tasks=comparison.over_tasks.sentence,
        costs=charts.costs_over_tasks(bases, comparison.overall, models)
        if several
        else next((one.costs for one in pages if one.costs), []),
        cost_caption=charts.cost_caption(bases, over_tasks=several),
        next_steps=[step for task in bases if (step := next_step(study, task, rows, anchors[task.name]))],
        across=together,
        on_time=time,
        tasks=pages,
        failures=[failure for one in pages for failure in one.failures],
        matchings=[f"Equal {matching}" for matching in study.matching] if comparison.others else [],
        under_matchings=_under_matchings(bases, comparison, anchors),
        stands=comparison.stands,
        runs=_runs(rows),
        methods=_methods(study, rows, comparison),
        thresholds=[*comparison.verdict.thresholds, *over_tasks_rules, PROSPECT_RULE, COST_RULE]
        + [DEGRADATION_RULE] * bool(comparison.shifts)
        + [FAMILY_SHIFT_RULE] * bool(comparison.family_losses)
        + [WORLD_RULE] * bool(comparison.worlds)
        + [ELAPSED_RULE] * bool(comparison.elapsed)
        + [CERTAINTY_RULE] * any(one.runs for one in comparison.certainties),
        environment=_environment(rows),
        commands=_commands(study, rows),
        tables={table.name: table for table in (*_tables(study, bases, comparison), *([time.table] if time else []))},
        study_file=study.to_yaml(),
    )


def _tables(study: Study, found: Sequence[TaskSummary], comparison: Comparison) -> list[Table]:
    """The tables of the whole study."""
    made = [tables.leaderboard(found, comparison)] if comparison.leaderboard else []
    if len(found) > 1 and comparison.over_tasks.matchups:
        made.append(tables.matchups(comparison))
    if len(found) > 1 and comparison.family_losses:
        made.append(tables.family_losses(comparison))
    if comparison.others:
        made.append(tables.matchings(found, comparison, study.matching[0]))
    return made


def _without_folders(study: Study, rows: pl.LazyFrame) -> tuple[Study, pl.LazyFrame]:
    """The study and its results without the folders of users' tables, which readers should not see."""
    named, names = [], {}
    for task in study.tasks:
        if isinstance(task, Mapping):
            names[task["table"]] = Path(task["table"]).name
            task = {**task, "table": names[task["table"]]}
        named.append(task)
    if names:
        # The longest match, since one table's path may be the beginning of another's.
        rows = rows.with_columns(pl.col("reason").cast(pl.String).str.replace_many(names, leftmost=True))
    return replace(study, tasks=tuple(named)), rows


def _task_page(
    task: TaskSummary,
    anchor: str,
    study: Study,
    explanations: Sequence[Explanation],
    flown: Sequence[Flown],
    in_worlds: InWorlds | None,
) -> TaskPage:
    tuning, tuning_words = charts.tuning(task) if task.spreads else (None, "")
    many = len(task.pairs) > MOST_DRAWN_PAIRS
    loop = tables.loop(task, f"{anchor}-loop") if task.facts.measurements and task.spreads else None
    shifted = tables.shifts(task, f"{anchor}-shifts") if task.effects else None
    away = worlds(task, in_worlds, f"{anchor}-worlds")
    _, condition = parted(task.name)
    sure = tables.certainty(task, f"{anchor}-certainty") if any(one.runs for one in task.certainties) else None
    return TaskPage(
        anchor=anchor,
        tab=f"· {CONDITIONS[condition].title}" if condition else task.title,
        name=task.name,
        title=task.title,
        description=task.facts.description,
        judgement=_judgement(task, anchor),
        scores=charts.scores(task),
        costs=charts.costs(task),
        cost_caption=charts.cost_caption([task], over_tasks=False),
        learning=charts.learning(task),
        tuning=tuning,
        tuning_words=tuning_words,
        worlds=away,
        robustness=charts.robustness(task),
        shifts=shifted,
        shifts_left_out=_shifts_left_out(study, task),
        certainty=sure,
        certainty_figures=charts.certainty(task) if sure else [],
        certainty_left_out=_certainty_left_out(task),
        explained=[explained(one, task.title) for one in explanations],
        flights=[flights(one, task.title, f"{anchor}-flights-{number}") for number, one in enumerate(flown, 1)],
        matrix=task_matrix(task) if many else None,
        contests=_contests(task, drawn=not many),
        matched=_settings(task, "matched"),
        authors=_settings(task, "author"),
        cost_heads=tables.cost_heads(task),
        sources=[
            (f"{model}†", study.authors.get(model, "not recorded"))
            for model, variant in task.standings
            if variant == "author"
        ],
        failures=_failures(task),
        source=task.facts.source,
        facts=_facts(task),
        features=[(feature.name, feature.unit) for feature in task.facts.features],
        tables=[
            tables.scores(task, anchor),
            tables.pairs(task, f"{anchor}-pairs"),
            *filter(None, (loop, away.table if away else None, shifted, sure)),
        ]
        if task.spreads
        else [],
        loop=loop,
    )


def _shifts_left_out(study: Study, task: TaskSummary) -> list[str]:
    """The shifts of the study that do not apply to a task, each with the reason."""
    if not task.facts.known:
        return []
    asked = [shifts.find(name) for name in study.robustness.levels]
    loop = task.facts.selection is not None
    # A task without any world is not about worlds.
    told = [shift for shift in asked if (task.facts.worlds if shift.is_world else not loop)]
    reasons = [(shift.title, shift.why_not(task.facts)) for shift in told if shift.key not in task.shifts]
    lines = [f"{title}: {reason}" for title, reason in reasons if reason]
    if loop and not all(shift.is_world for shift in asked):
        measured, kept = task.facts.measure.label, task.facts.selecting.label
        lines.insert(
            0,
            f"All shifts of the test split: {measured} is measured in a closed loop, which they do not change; "
            f"{kept} is in the results",
        )
    return lines


def _certainty_left_out(task: TaskSummary) -> list[str]:
    """What is missing for certainty, a sentence each."""
    alone = [one for one in task.certainties if one.members == 1]
    lines = [
        f"{one.model}: {counted(one.left_out, 'run')} left no predictions, and {'is' if one.left_out == 1 else 'are'} "
        "left out; repeat them in a new folder to have them"
        for one in alone
        if one.left_out
    ]
    if any(one.runs and not one.coverage for one in alone):
        lines.append("There are too few validation targets for intervals or sets that hold so many")
    return lines


def _under_matchings(
    found: Sequence[TaskSummary], comparison: Comparison, anchors: Mapping[str, str]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Each task's anchor and title, and its verdict under every matching: a tone, and words."""
    if not comparison.others:
        return []
    known = [
        {one.task: (_tone(one), one.short) for one in verdict.judgements}
        for verdict in (comparison.verdict, *comparison.others.values())
    ]
    missing = ("neutral", "not run yet")
    return [(anchors[one.name], one.title, [tags.get(one.name, missing) for tags in known]) for one in found]


def _tone(judgement: statistics.Judgement) -> str:
    return {"liquid better": "liquid", "recurrent better": "recurrent"}.get(judgement.verdict, "neutral")


def _judgement(task: TaskSummary, anchor: str) -> TaskVerdict | None:
    judgement = task.judgement
    if judgement is None:
        return None
    pair, drawn, tone = judgement.pair, "", _tone(judgement)
    if pair is not None and pair.difference is not None:
        lead, bounds = task.lead(pair.difference, pair.interval)
        drawn = figures.difference(
            f"Lead of {pair.first} over {pair.second} on {task.title}. {judgement.sentence}",
            lead,
            bounds,
            pair.margin,
            _reach((lead, *(bounds or ()), 1.5 * pair.margin)),
            tone,
            ends=(f"{pair.second} better", f"{pair.first} better"),
        )
    prices = [price.sentence for price in judgement.prices]
    return TaskVerdict(
        anchor=anchor,
        title=task.title,
        sentence=judgement.sentence,
        tag=judgement.short,
        tone=tone,
        svg=drawn,
        change=_change(judgement.verdict, pair, task),
        prices=prices,
        selections=_selections(judgement, task),
    )


def _change(verdict: str, pair: Pair | None, task: TaskSummary) -> str:
    """What would change the verdict; "" if nothing is known about that."""
    if pair is None or pair.difference is None:
        return ""
    if pair.prospect:
        return pair.prospect.sentence
    if verdict == "floor not beaten":
        return "There could be a verdict if a network were shown to be better than the best floor."
    if CHEAP in pair.reason:
        return "A verdict needs a separate search for each seed: mode full."
    if ORACLE in pair.reason:
        return "A verdict needs another rule of selection than an oracle."
    if (pairs := len(pair.differences)) < FEWEST_SEEDS:
        return f"A verdict needs {FEWEST_SEEDS} {pair.over}s that both have finished; there are {pairs}."
    if pair.reason:
        return "There could be a verdict if the time limit had not ended trainings."
    # The factor of Holm's correction for this p-value; it depends on other tasks, so this is approximate.
    correction = pair.p / pair.uncorrected if pair.p and pair.uncorrected else pair.tests
    bounds = pair.estimate.interval(1 - ALPHA / correction) if pair.estimate else None
    if bounds is None or verdict not in ("equivalent", "liquid better", "recurrent better"):
        return ""
    sizes = sorted(map(abs, bounds))
    if verdict == "equivalent":
        words = f"It holds for every smallest difference above {number(sizes[1], significant([sizes[1]]))}"
    else:
        words = f"It holds for every smallest difference up to {number(sizes[0], significant([sizes[0]]))}"
    return f"{words}; in this study it is {number(pair.margin, significant([pair.margin]))}."


def _selections(judgement: statistics.Judgement, task: TaskSummary) -> list[tuple[str, str, str]]:
    """For each rule that chooses a family's networks: the rule, liquid's lead, and its interval."""
    leads = [
        (rule, task.lead(pair.difference, pair.interval))
        for rule, pair in judgement.selections.items()
        if pair.difference is not None
    ]
    return [(rule, task.text(lead, signed=True), task.span(bounds)) for rule, (lead, bounds) in leads]


def _contests(task: TaskSummary, drawn: bool) -> list[PairRow]:
    found = [(pair, *task.lead(pair.difference, pair.interval)) for pair in task.pairs if pair.difference is not None]
    reach = _reach(end for _, lead, bounds in found for end in (lead, *(bounds or ())))
    widths = [(bounds[1] - bounds[0]) / 2 for _, _, bounds in found if bounds]
    places = decimals(median(widths), 0) if widths else task.places
    contests = []
    for pair, lead, bounds in found:
        first, second = task.mark(pair.first), task.mark(pair.second)
        better = {"better": first, "worse": second}.get(pair.verdict)
        verdict = f"{better.label} better" if better else pair.verdict
        tone = better.family if better else "neutral"
        title = f"{first.label} against {second.label}: {verdict}{f', {pair.reason}' if pair.reason else ''}"
        interval = f"[{number(bounds[0], places)}, {number(bounds[1], places)}]" if bounds else ""
        contests.append(
            PairRow(
                first=first,
                second=second,
                keys=(svg.key(first), svg.key(second)),
                svg=figures.difference(title, lead, bounds, pair.margin, reach, tone) if drawn else "",
                lead=number(lead, places, signed=True),
                interval=interval,
                p="" if pair.p is None else tables.plain_p(pair.p),
                verdict=verdict,
                tone=tone,
            )
        )
    # Decided pairs come first, since most pairs usually show no difference.
    return sorted(contests, key=lambda one: (one.tone == "neutral", one.verdict != "equivalent"))


def _reach(ends: Iterable[float]) -> float:
    """Half the width of an axis around zero that contains all ends."""
    return 1.08 * max(map(abs, ends), default=0.0) or 1.0


def _legend(models: Mapping[str, Mark]) -> list[tuple[str, list[tuple[str, str]]]]:
    families = {
        family: [(svg.key(mark), mark.label) for mark in models.values() if mark.family == family]
        for family in FAMILIES
    }
    return [(family, names) for family, names in families.items() if names]


def _leaderboard(
    found: Sequence[TaskSummary], models: Mapping[str, Mark], comparison: Comparison, close: bool
) -> list[Line]:
    overall = {one.model: one for one in comparison.overall}
    spans = [_range(task) for task in found]
    lines = []
    for model, one in overall.items():
        lines.append(
            Line(
                mark=models[model],
                key=svg.key(models[model]),
                rank="" if one.rank is None else f"{one.rank:.1f}",
                interval=f"{one.interval[0]:.1f} to {one.interval[1]:.1f}" if one.interval else "",
                cells=[_cell(task, model, span, close) for task, span in zip(found, spans, strict=True)],
            )
        )
    return lines


def _range(task: TaskSummary) -> Interval:
    """Ends of the axes in a task's column."""
    compared = [spread for (_, variant), spread in task.spreads.items() if variant == "matched"]
    ends = [end for spread in compared for end in (spread.mean, *(spread.interval or ()))]
    if not ends:
        return 0.0, 1.0
    room = 0.05 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _cell(task: TaskSummary, model: str, span: Interval, close: bool) -> Cell:
    standing = task.standings.get((model, "matched"))
    spread = task.spreads.get((model, "matched"))
    failures = standing.failures if standing else 0
    if spread is None:
        return Cell("failed" if failures else "not run yet", "", "", failures, bold=False)
    mark = task.mark(model)
    svg = figures.interval(task.spoken(model, spread), mark, spread.mean, spread.interval, span, small=close)
    return Cell(task.text(spread.mean), task.span(spread.interval), svg, failures, task.unbeaten(model))


def _leaderboard_note(found: Sequence[TaskSummary]) -> str:
    several = any(spread.interval for task in found for spread in task.spreads.values())
    splits = max((task.splits for task in found), default=1)
    over = " over outer splits, each a mean over seeds" if splits > 1 else ""
    spread = "with 95 % intervals" if several else "of a single seed, so their spread is unknown"
    words = (
        f"Mean test scores{over}, {spread}; bold: not shown to be worse than the task’s best. "
        f"Rank is the mean rank over {'splits, ' * (splits > 1)}seeds and tasks, 1 the best."
    )
    if any(task.linear is not None for task in found):
        words += " The linear model has no memory: it reads the current step, or a sequence’s means and last values."
    return words


def _settings(task: TaskSummary, variant: str) -> list[Setting]:
    scored = task.best_first(variant)
    rows = []
    for model in [
        *scored,
        *(name for name, kind in task.standings if kind == variant and name not in scored),
    ]:
        standing = task.standings[model, variant]
        spread = task.spreads.get((model, variant))
        mark = task.mark(model)
        places, validation = task.best_places(model, variant), task.validation(model, variant)
        rows.append(
            Setting(
                mark=mark,
                key=svg.key(mark),
                score=task.text(spread.mean) if spread else "none",
                interval=task.span(spread.interval) if spread else "",
                validation="" if validation is None else task.text(validation),
                seeds=tables.seeds(standing),
                failures=standing.failures,
                hidden=_tally(task.chosen(model, variant, "hidden_size")),
                rates=_span(task.chosen(model, variant, "learning_rate")),
                epochs=f"{task.unit} {median(places):g}" if places else "",
                ended=_tally(task.ended(model, variant)),
                costs=tables.costs(task, model, variant),
            )
        )
    return rows


def _length(training: Training) -> str:
    if training.epochs is not None:
        return counted(training.epochs, "epoch")
    asked = training.steps
    steps = sorted(set(asked.values())) if isinstance(asked, Mapping) else [asked or 0]
    many = (
        f"{steps[0]:,} to {steps[-1]:,} steps, depending on the task," if len(steps) > 1 else counted(steps[0], "step")
    )
    return many


def _tally(values: Iterable[float | str]) -> str:
    """Distinct values, with their counts if there are several."""
    counts = Counter(value if isinstance(value, str) else f"{value:g}" for value in values)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} × {value}" for value, count in counts.most_common())


def _span(values: Sequence[float]) -> str:
    """From the smallest to the largest."""
    ends = list(dict.fromkeys(f"{value:.2g}" for value in (min(values), max(values)))) if values else []
    return " to ".join(ends)


def _failures(task: TaskSummary) -> list[Failure]:
    """Failed runs, then failures within other runs: a trial, or a score."""
    failed = task.odd.filter(pl.col("status") == "failed")
    # The row without a metric is about the whole run; others may be about one learning rate.
    failed = failed.sort(pl.col("metric") != "").unique("run", keep="first", maintain_order=True)
    parts = task.odd.filter(pl.col("status") == "done", pl.col("reason").is_not_null())
    return [
        Failure(
            task=task.title,
            model=row["model"],
            variant="published size and rate" if row["variant"] == "author" else "compared",
            seed="" if row["kind"] == "cost" else _seed(row["seed"], row["fold"]),
            what=_what(row),
            run=row["run"],
            reason=row["reason"] or "no reason was recorded",
        )
        for rows in (failed, parts)
        for row in rows.sort("model", "variant", "seed", maintain_order=True).iter_rows(named=True)
    ]


def _seed(seed: int, fold: int) -> str:
    return f"{seed}, split {fold}" if fold else str(seed)


def _what(row: Mapping[str, Any]) -> str:
    if row["status"] == "failed":
        return "measurement of cost" if row["kind"] == "cost" else "the whole fit"
    if row["metric"] == "loss":
        return f"one trial, learning rate {row['learning_rate']:.3g}"
    shift = f", {shifts.recorded(row['corruption']).told(row['level'])}" if row["corruption"] else ""
    return f"one score, {row['metric']} on {row['split']}{shift}"


def _facts(task: TaskSummary) -> list[tuple[str, str]]:
    facts = task.facts
    if not facts.known:
        return []
    unit = facts.target_unit
    target = f"one per {facts.per}" if facts.per else ""
    if facts.classes:
        target += f"; classes: {', '.join(facts.classes)}"
    elif facts.outputs:
        target += f"; {counted(facts.outputs, 'value')}"
        target += f", in {unit}" if unit not in ("1", "as the features") else ""
        target += ", in the features’ units" if unit == "as the features" else ""
    if facts.standardised_targets:
        target += "; standardised with training statistics, and scored so"
    time = [f"in {facts.time_unit}"] if facts.time_unit else []
    time += [f"median span in training {facts.timespan_unit:.3g} {facts.time_unit}"] if facts.timespan_unit else []
    time += ["irregularly sampled" if facts.irregular else "evenly spaced"]
    trivial = {
        "prior": "class frequencies of the training targets",
        "mean": "mean of the training targets",
        "last value": "the last observed value",
    }.get(facts.baseline, "")
    if facts.selection is not None:
        # Verdicts are then about policies, not about this predictor.
        trivial = ""
    if task.trivial is not None:
        trivial += f"{': ' if trivial else ''}{task.text(task.trivial)}"
    loop = ", ".join(measure.label for measure in facts.measurements)
    rows = [
        ("Kind", facts.kind),
        ("Target", target.removeprefix("; ")),
        ("Score", task.score_label if facts.selection else f"{task.metric_label}, {task.direction}"),
        ("Selected by", f"{facts.selection.label} on validation" if facts.selection else ""),
        ("Measured in a closed loop", loop),
        ("Trivial predictor", trivial),
        ("Best constant on test", "" if task.constant is None else task.text(task.constant)),
        ("Classes’ shares", _shares(facts)),
        ("Linear model", "" if task.linear is None else f"{facts.linear_name}: {task.text(task.linear)}"),
        ("Split", facts.split_rule),
        ("Sequences", ", ".join(f"{number(count)} {split}" for split, count in facts.sequences.items())),
        ("Longest sequence", f"{number(facts.window)} steps" if facts.window else "as recorded"),
        ("Time", "; ".join(time)),
        (
            "Missing values",
            "some; models also read the mask" if facts.missing else "none",
        ),
        ("Checksum", f"sha256 {facts.digest}" if facts.digest else ""),
    ]
    return [(name, text) for name, text in rows if text]


def _shares(facts: Facts) -> str:
    """The classes' shares in each split, if there are few classes."""
    if not facts.classes or len(facts.classes) > MOST_SHARES:
        return ""
    parts = (
        f"{split} " + ", ".join(f"{name} {percent(share)}" for name, share in zip(facts.classes, shares, strict=False))
        for split, shares in facts.class_shares.items()
    )
    return "; ".join(parts)


def _distinct(rows: pl.LazyFrame, column: str) -> list[Any]:
    """Distinct values of a column without null, in order of first appearance."""
    return rows.select(pl.col(column).drop_nulls().unique(maintain_order=True)).collect()[column].to_list()


def _runs(rows: pl.LazyFrame) -> str:
    runs = len(_distinct(rows, "run"))
    if not runs:
        return "No run has finished yet"
    failed = len(_distinct(rows.filter(pl.col("status") == "failed"), "run"))
    return f"{counted(runs, 'run')}, {f'{failed} of which failed' if failed else 'none failed'}"


def _environment(rows: pl.LazyFrame) -> list[tuple[str, str]]:
    lines = [
        (label, "; ".join(map(str, sorted(_distinct(rows, column)))))
        for column, label in (
            ("version", "liquidbench"),
            ("commit", "Commit"),
            ("python", "Python"),
            ("torch", "PyTorch"),
            ("backend", "Layers run by"),
            ("instruction_set", "Kernels compiled for"),
            ("machine", "Machine"),
            ("threads", "Threads per run"),
        )
    ]
    started = sorted(_distinct(rows, "started"))
    if started:
        span = f"{started[0]} to {started[-1]}" if len(started) > 1 else started[0]
        lines.append(("Runs started", span.replace("T", " ").replace("+00:00", " UTC")))
    seconds = rows.select("run", "seconds").unique("run").collect()["seconds"].sum()
    if seconds:
        lines.append(("Computing time", f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{seconds / 60:.1f} min"))
    return [(label, text) for label, text in lines if text]


def _commands(study: Study, rows: pl.LazyFrame) -> str:
    versions, commits = (sorted(set(_distinct(rows, column)) - {""}) for column in ("version", "commit"))
    lines = [f"# liquidbench {' and '.join(versions)}".rstrip() + ", in a checkout of its repository"]
    if not commits:
        lines.append("# at the commit that created these results, which is not recorded")
    elif len(commits) > 1:
        lines.append(f"# of several commits: {', '.join(commits)}")
    else:
        changed = "  # with uncommitted changes" if commits[0].endswith("-dirty") else ""
        lines.append(f"git checkout {commits[0].removesuffix('-dirty')}{changed}")
    return "\n".join(
        (
            *lines,
            "pip install '.[bench]'",
            f"# {study.name}.yaml is printed below",
            f"liquidbench run {study.name}.yaml",
            f"liquidbench report results/{study.name}  # writes the report again from the results",
        )
    )


def _energy(rows: pl.LazyFrame) -> str:
    measured = _distinct(rows, "metric")
    if "training_energy_joules" in measured:
        return "of the processor’s packages in training steps, by their own counters; idle power is not subtracted."
    # Earlier versions did not measure it.
    if "saved_for_backward_bytes" not in measured:
        return "not measured yet."
    return "not available on this machine or to this user."


def _methods(study: Study, rows: pl.LazyFrame, comparison: Comparison) -> list[tuple[str, str]]:
    training, search = study.training, study.search
    cap = f" within {search.minutes:g} minutes" if search.minutes else ""
    repeated = {
        "full": "Each seed and split has its own search.",
        "cheap": "There is one search, with the first seed; other seeds train with its result, so their spread does "
        "not include that of the search: nothing is ranked, and there is no verdict.",
    }[search.mode]
    drawn, halving, choice = (
        ("patience", "", "Validation loss chooses the epoch, the validation score the trial.")
        if training.epochs is not None
        else (
            "the readout of a sequence",
            "A trial continues after an eighth, a quarter and half of its steps only if it is in the better half of "
            "the trials so far, but for closed loops, in which all are trained to their end. ",
            "The validation score chooses the step and the trial.",
        )
    )
    match search.selection:
        case "environments":
            halving = ""
            choice = (
                "A trial trains a network without each environment of training; the mean of their scores there chooses "
                "the step and the trial. The network that is scored is then trained on all environments, up to that "
                "step. With n environments, a search of k trials trains n times k networks, and this one."
            )
        case "oracle":
            choice = (
                "Not here: this study selects by an oracle. The test score chooses the step and the trial, so scores "
                "say what could be reached by choosing well, and nothing about other data."
            )
    if search.selection != "oracle":
        choice = f"{choice} Test data are built only then, and nothing is chosen on them."
    splits = f" on each of {study.splits} outer splits" if study.splits > 1 else ""
    others = [f"equal {MATCHINGS[matching]}" for matching in study.matching[1:]]
    besides = [objectives.parse(one)[0].title for one in training.objectives if one != objectives.DEFAULT]
    words = [
        (
            "The same for every model",
            f"{_budget(study)}; {counted(search.trials, 'trial')}{cap}, each up to {_length(training)} "
            f"in batches of {training.batch_size}; {counted(len(study.seeds), 'seed')}{splits}, each with the same "
            "data in the same order.",
        ),
        (
            "Search",
            f"Trials draw the learning rate, optimiser, schedule, clipping, weight decay and {drawn} from ranges that "
            "are the same for all models, and one of the model’s few structures at the given size. The k-th trial "
            f"draws the same values for all models. {halving}{repeated}",
        ),
        *(
            [
                (
                    "Images",
                    "All networks with a seed and split read images through one encoder. It was trained before, with a "
                    "network that is neither liquid nor recurrent, and then fixed.",
                )
            ]
            if training.encoder == "shared"
            else []
        ),
        *(
            [
                (
                    "Objectives",
                    f"A model whose name has a “+” was trained with what stands after it ({', '.join(besides)}) in "
                    "place of the mean loss, as another model of its own. Its strength is drawn in the search unless "
                    "it is given. Validation is on the environments of training.",
                )
            ]
            if besides
            else []
        ),
        *(
            [
                (
                    "Other matchings",
                    f"The results also hold {' and '.join(others)}."
                    + (" The overview shows their verdicts." if comparison.others else "")
                    + " Everything else in this report is for the first matching.",
                )
            ]
            if others
            else []
        ),
        (
            "Test data come last",
            f"{choice} Scalers are fitted on training data; no raw row is in two splits.",
        ),
        (
            "Intervals",
            "Every interval of a score is Student’s 95 % interval of the mean over seeds, clipped to the score’s "
            "range. It covers other seeds, not other data. Intervals may overlap although the paired "
            "difference is clear; verdicts use paired differences, whose intervals also cover other test recordings "
            "if predictions are kept; each verdict states its scope."
            + (
                " On several outer splits, each split’s mean over seeds is one value, and intervals are widened for "
                "overlapping training data (Nadeau and Bengio); they cover other splits."
                if study.splits > 1
                else ""
            ),
        ),
        (
            "Damaged data",
            "Models trained on undamaged data are tested with steps removed (their time is added to the next span) "
            "and with Gaussian noise on the standardised inputs, the same for all models of a seed.",
        ),
        (
            "Cost",
            "Measured in separate runs: the median time of a training step times the steps of an epoch; sequences "
            "of a batch by that time, and by that of a forward pass; the median time of one step of one sequence; the "
            "allocator’s peak, above what it held before, in one training step and in one forward pass; what autograd "
            f"saves of a batch for the backward pass. Energy: {_energy(rows)}",
        ),
        (
            "Failures",
            "Runs that diverged, ran out of memory or could not be built are listed with the reason and rank last.",
        ),
        (
            "Rounding",
            "Scores are rounded to the first digit of the typical interval’s half-width on the task, or one more "
            "if that digit is 1. A single seed gets two significant figures.",
        ),
    ]
    if study.author_defaults:
        words.append(
            (
                "† At published sizes and rates",
                "Models also ran at a published size and learning rate; each task names the sources. Epochs, "
                "batches and splits are those of this study, so this does not reproduce a paper. These rows are marked "
                "†, are listed separately, and count neither in ranks nor in verdicts.",
            )
        )
    return words


def _budget(study: Study) -> str:
    matching, parameters = study.matching[0], f"{number(study.parameters)} trained parameters"
    if matching == "parameters":
        return f"{parameters} within 5 %"
    return f"about as many {MATCHINGS[matching]} as a GRU of {parameters}"


def _in_order(first: Iterable[str], rest: Iterable[str]) -> list[str]:
    """Names in their given order, then the others by name."""
    named = list(first)
    return [*named, *sorted(set(rest) - set(named))]


def _anchors(names: Sequence[str]) -> dict[str, str]:
    """A unique anchor for each task, from its name."""
    anchors: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
        anchor, again = f"task-{plain}", 2
        while anchor in anchors.values():
            anchor, again = f"task-{plain}-{again}", again + 1
        anchors[name] = anchor
    return anchors
