"""What the report says: the results table turned into rows, sentences and figures.

Nothing is judged here. Means, intervals, ranks and verdicts are those of `liquidbench.statistics`; this module
arranges them, rounds them to what the seeds support, and says in words, from each figure's own numbers, what
there is to see.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import polars as pl

from liquidbench.report import figures
from liquidbench.report.figures import Mark, number, quantity
from liquidbench.statistics import Comparison, bootstrap_interval
from liquidbench.study import FAMILIES, Study, task_name

Interval = tuple[float, float]

COSTS = (
    ("parameters", "Trained parameters", "1"),
    ("training_memory_bytes", "Peak memory in training", "B"),
    ("seconds_per_epoch", "Time for one training epoch", "s"),
)
DAMAGES = (
    ("removed_steps", "Steps removed from each sequence"),
    ("noise", "Noise added (standard deviations of the feature)"),
)


@dataclass(frozen=True)
class Figure:
    """A drawing and the words under it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Cell:
    """A model's score on a task, as one cell of a table."""

    text: str
    interval: str
    svg: str
    seeds: int
    failures: int
    among_best: bool


@dataclass(frozen=True)
class Standing:
    """A model's line in the leaderboard; the cells follow the tasks."""

    mark: Mark
    key: str
    rank: str
    cells: list[Cell]


@dataclass(frozen=True)
class Judgement:
    """The verdict on one task: in a sentence, in two words, and as the difference behind it."""

    anchor: str
    title: str
    sentence: str
    tag: str
    tone: str
    svg: str


@dataclass(frozen=True)
class Contest:
    """Two models on one task."""

    first: Mark
    second: Mark
    keys: tuple[str, str]
    difference: str
    interval: str
    p: str
    verdict: str
    tone: str
    svg: str


@dataclass(frozen=True)
class Setting:
    """What a model was on a task: its score, its size, what validation chose, and what it cost."""

    mark: Mark
    key: str
    score: str
    interval: str
    validation: str
    seeds: int
    failures: int
    parameters: str
    hidden: str
    rates: str
    epochs: str
    epoch_time: str
    latency: str
    training_memory: str
    inference_memory: str


@dataclass(frozen=True)
class Failure:
    """A run that did not finish."""

    task: str
    model: str
    variant: str
    seed: str
    run: str
    reason: str


@dataclass(frozen=True)
class TaskPage:
    """Everything about one task."""

    anchor: str
    title: str
    name: str
    description: str
    strip: Figure | None
    costs: list[str]
    learning: list[Figure]
    robustness: list[Figure]
    contests: list[Contest]
    better_when: str
    matched: list[Setting]
    authors: list[Setting]
    facts: list[tuple[str, str]]
    features: list[tuple[str, str]]
    source: dict[str, str]
    failures: list[Failure]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    name: str
    question: str
    headline: str
    warnings: list[str]
    judgements: list[Judgement]
    legend: list[tuple[str, Mark, str]]
    titles: list[tuple[str, str, str, str]]
    leaderboard: list[Standing]
    leaderboard_note: str
    cost_caption: str
    tasks: list[TaskPage]
    failures: list[Failure]
    runs: str
    methods: list[tuple[str, str]]
    thresholds: list[str]
    environment: list[tuple[str, str]]
    commands: str
    study_file: str


def page(study: Study, frame: pl.DataFrame, tasks: Mapping[str, Any], comparison: Comparison) -> Page:
    """Arrange a study's results for the template.

    Args:
        study: what was asked.
        frame: all rows of `liquidbench.results.read`.
        tasks: facts of each task by name, as in the study directory's ``tasks.json``.
        comparison: what `liquidbench.statistics.compare` made of the frame.

    Returns:
        Texts, tables and drawings, in the order of the study; whatever has no results is empty.
    """
    names = _ordered((task_name(task) for task in study.tasks), frame["task"].to_list())
    marks = _marks(_ordered(study.models, frame["model"].to_list()))
    anchors = _anchors(names)
    records = [_Record(name, tasks.get(name, {}), frame.filter(pl.col("task") == name), marks) for name in names]
    pages = [_task_page(record, anchors[record.name], study, comparison) for record in records]
    failures = [failure for one in pages for failure in one.failures]
    return Page(
        name=study.name,
        question=study.question,
        headline=comparison.verdict.headline,
        warnings=list(comparison.verdict.warnings),
        judgements=[_judgement(record, anchors, comparison) for record in records],
        legend=[(figures.key(mark), mark, mark.family) for mark in marks.values()],
        titles=[
            (anchors[record.name], record.title, record.metric_label, record.direction) for record in records
        ],
        leaderboard=_leaderboard(records, marks, comparison),
        leaderboard_note=_leaderboard_note(records),
        cost_caption=_cost_caption(records, study),
        tasks=pages,
        failures=failures,
        runs=_runs(frame),
        methods=_methods(study, records),
        thresholds=list(comparison.verdict.thresholds),
        environment=_environment(frame),
        commands=_commands(study, frame),
        study_file=study.to_yaml(),
    )


def decimals(half_width: float | None, size: float) -> int:
    """How many decimals a score deserves.

    The first digit of the interval's half-width, and one more where that digit is a 1. Without an interval two
    significant figures, since a single seed supports no more.

    Example:
        >>> decimals(0.034, 0.93), decimals(0.0134, 0.93), decimals(None, 0.93)
        (2, 3, 2)
    """
    if half_width:
        places = -math.floor(math.log10(half_width))
        return min(max(places + (half_width * 10**places < 1.95), 0), 6)
    return min(max(1 - math.floor(math.log10(abs(size))), 0), 6) if size else 2


@dataclass(frozen=True)
class _Score:
    """Values over seeds, their mean and interval."""

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    interval: Interval | None

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "_Score | None":
        rows = rows.group_by("seed").agg(pl.col("value").mean()).sort("seed").drop_nulls("value")
        values = tuple(rows["value"].to_list())
        if not values:
            return None
        bounds = bootstrap_interval(values) if len(values) > 1 else None
        return cls(tuple(rows["seed"].to_list()), values, math.fsum(values) / len(values), bounds)

    @property
    def half_width(self) -> float | None:
        return (self.interval[1] - self.interval[0]) / 2 if self.interval else None


class _Record:
    """One task's rows, asked by model."""

    def __init__(self, name: str, facts: Mapping[str, Any], rows: pl.DataFrame, marks: Mapping[str, Mark]):
        self.name, self.facts, self.rows, self.marks = name, facts, rows, marks
        self.title: str = facts.get("title") or name
        self.metric: str = facts.get("metric", "")
        self.metric_label: str = facts.get("metric_label") or self.metric or "Score"
        self.higher: bool = facts.get("higher_is_better", True)
        self.direction = "higher is better" if self.higher else "lower is better"
        done = rows.filter(pl.col("status") == "done", pl.col("value").is_not_null(), pl.col("value").is_finite())
        self.fits = done.filter(pl.col("kind") == "fit")
        self.cost_rows = done.filter(pl.col("kind") == "cost")
        self.models = [model for model in marks if model in set(rows["model"].to_list())]
        trivial = done.filter(pl.col("metric") == "trivial", pl.col("split") == "test")["value"].to_list()
        self.trivial: float | None = median(trivial) if trivial else None
        self.scores = {
            (model, variant): score
            for model in self.models
            for variant in ("matched", "author")
            if (score := self.score(model, variant))
        }
        widths = [score.half_width for key, score in self.scores.items() if key[1] == "matched" and score.half_width]
        sizes = [abs(score.mean) for score in self.scores.values()]
        # One precision a task, so that its numbers line up: what the typical interval supports.
        self.decimals = decimals(median(widths) if widths else None, median(sizes) if sizes else 0.0)

    def score(self, model: str, variant: str, split: str = "test", damage: str = "", level: float = 0.0) -> _Score | None:
        return _Score.of(
            self._of(self.fits, model, variant).filter(
                pl.col("metric") == self.metric,
                pl.col("split") == split,
                pl.col("corruption") == damage,
                (pl.col("level") - level).abs() < 1e-9,
                pl.col("epoch").is_null(),
            )
        )

    def best_first(self, variant: str) -> list[str]:
        found = [model for model in self.models if (model, variant) in self.scores]
        return sorted(found, key=lambda model: self.scores[model, variant].mean, reverse=self.higher)

    def mark(self, model: str, variant: str = "matched") -> Mark:
        mark = self.marks[model]
        return mark if variant == "matched" else Mark(f"{model}, authors", mark.family, mark.place, apart=True)

    def failures(self, model: str, variant: str) -> int:
        failed = self._of(self.rows, model, variant).filter(pl.col("status") == "failed", pl.col("kind") == "fit")
        return failed["run"].n_unique()

    def cost(self, model: str, variant: str, metric: str) -> float | None:
        values = self._of(self.cost_rows, model, variant).filter(pl.col("metric") == metric)["value"].to_list()
        if not values and metric == "parameters":
            values = self._of(self.fits, model, variant)["parameters"].drop_nulls().to_list()
        return float(median(values)) if values else None

    def setting(self, model: str, variant: str, column: str) -> list[Any]:
        """The value of a run's column for each seed, among the rows of the test score."""
        rows = self._of(self.fits, model, variant).filter(
            pl.col("metric") == self.metric, pl.col("split") == "test", pl.col("corruption") == ""
        )
        return rows.unique("seed", keep="first", maintain_order=True).sort("seed")[column].drop_nulls().to_list()

    def learning(self, model: str, split: str) -> list[list[tuple[float, float]]]:
        """Loss by epoch of each seed, for the learning rate that validation chose."""
        rows = self._of(self.fits, model, "matched")
        chosen = rows.filter(
            pl.col("metric") == self.metric, pl.col("split") == "test", pl.col("corruption") == ""
        ).select("run", pl.col("learning_rate").alias("chosen"))
        rows = rows.filter(pl.col("metric") == "loss", pl.col("split") == split, pl.col("epoch").is_not_null())
        rows = rows.join(chosen.unique("run"), on="run").filter(
            pl.col("learning_rate").is_null() | (pl.col("learning_rate") == pl.col("chosen"))
        )
        return [
            [(float(epoch), value) for epoch, value in part.sort("epoch").select("epoch", "value").iter_rows()]
            for _, part in sorted(rows.partition_by("seed", as_dict=True).items())
        ]

    def levels(self, damage: str) -> list[float]:
        found = self.fits.filter(pl.col("corruption") == damage, pl.col("metric") == self.metric)["level"]
        return sorted({0.0, *found.to_list()}) if len(found) else []

    def text(self, value: float, *, signed: bool = False) -> str:
        return number(value, self.decimals, signed=signed)

    def span(self, bounds: Interval | None) -> str:
        return f"[{self.text(bounds[0])}, {self.text(bounds[1])}]" if bounds else ""

    def spoken(self, label: str, score: _Score) -> str:
        seeds = f"{len(score.values)} seeds" if len(score.values) > 1 else "one seed"
        return f"{label}: {self.text(score.mean)} {self.span(score.interval)}".strip() + f", {seeds}"

    @property
    def axis_label(self) -> str:
        scaled = " of standardised targets" if self.facts.get("standardised_targets") else ""
        return f"{self.metric_label}{scaled} ({self.direction})"

    @property
    def reference(self) -> tuple[float, str] | None:
        return None if self.trivial is None else (self.trivial, "trivial predictor")

    @staticmethod
    def _of(rows: pl.DataFrame, model: str, variant: str) -> pl.DataFrame:
        return rows.filter(pl.col("model") == model, pl.col("variant") == variant)


def _strip(record: _Record) -> Figure | None:
    rows = []
    for variant in ("matched", "author"):
        for model in record.best_first(variant):
            score, mark = record.scores[model, variant], record.mark(model, variant)
            spoken = record.spoken(mark.label, score)
            rows.append(figures.Row(mark, score.values, score.mean, score.interval, spoken))
    if not rows:
        return None
    matched = record.best_first("matched")
    words = []
    if matched:
        best = record.scores[matched[0], "matched"]
        words.append(f"{matched[0]} has the best mean, {record.text(best.mean)}.")
        if record.trivial is not None:
            beaten = [model for model in matched if _beats(record.scores[model, "matched"], record)]
            words.append(
                f"{_count(len(beaten), len(matched))} {_have(len(beaten))} a better mean than the trivial predictor "
                f"({record.text(record.trivial)}), the dashed line."
            )
    several = any(len(row.values) > 1 for row in rows)
    words.append(
        "Small dots are seeds; the large mark is their mean, the bar a 95 % bootstrap interval."
        if several
        else "One seed each: how much another seed would change the scores is unknown, so there are no intervals."
    )
    if any(row.mark.apart for row in rows):
        words.append("Below the rule: models as their authors set them, outside the comparison.")
    title = f"Test scores on {record.title}"
    return Figure(figures.strip(title, rows, record.axis_label, record.reference), " ".join(words))


def _beats(score: _Score, record: _Record) -> bool:
    assert record.trivial is not None
    return score.mean > record.trivial if record.higher else score.mean < record.trivial


def _cost_figures(record: _Record) -> list[str]:
    drawn = []
    for metric, label, unit in COSTS:
        points = []
        for (model, variant), score in record.scores.items():
            cost = record.cost(model, variant, metric)
            if cost is None or cost <= 0:
                continue
            mark = record.mark(model, variant)
            if variant == "author":
                mark = Mark(f"{model}†", mark.family, mark.place, apart=True)
            text = f"{record.spoken(record.mark(model, variant).label, score)}; {label.lower()} {quantity(cost, unit)}"
            points.append(figures.Point(mark, cost, score.mean, score.interval, text))
        # The compared models are named first, so that theirs are the better places for names.
        points.sort(key=lambda point: point.mark.apart)
        if points:
            drawn.append(
                figures.scatter(
                    f"{record.title}: {record.metric_label} against {label.lower()}",
                    points,
                    record.axis_label,
                    label,
                    unit,
                    record.reference,
                    "up" if record.higher else "down",
                )
            )
    return drawn


def _cost_caption(records: Sequence[_Record], study: Study) -> str:
    sentences = []
    for metric, label, unit in COSTS:
        costs: dict[str, list[float]] = {}
        for record in records:
            for model in record.models:
                cost = record.cost(model, "matched", metric)
                if cost:
                    costs.setdefault(model, []).append(cost)
        if not costs:
            continue
        if metric == "parameters":
            every = [value for values in costs.values() for value in values]
            sentences.append(
                f"Compared models train {quantity(min(every), unit)} to {quantity(max(every), unit)} parameters, "
                "by design nearly the same."
            )
        elif len(costs) > 1:
            typical = {model: median(values) for model, values in costs.items()}
            least, most = min(typical, key=lambda model: typical[model]), max(typical, key=lambda model: typical[model])
            ratio = typical[most] / typical[least]
            sentences.append(
                f"{label}: least with {least} ({quantity(typical[least], unit)}, median over tasks), most with "
                f"{most} ({number(ratio, 1 if ratio < 10 else 0)} times as much)."
            )
    if not sentences:
        return ""
    if any(variant == "author" for record in records for _, variant in record.scores):
        sentences.append("† The model as its authors set it, outside the comparison.")
    return " ".join([*sentences, "Up and left is better; costs are on logarithmic axes."])


def _learning(record: _Record) -> list[Figure]:
    found = []
    for split, label in (("train", "Training loss"), ("validation", "Validation loss")):
        series, lowest = [], []
        for model in record.best_first("matched"):
            threads = record.learning(model, split)
            threads = [thread for thread in threads if thread]
            if not threads:
                continue
            # The mean stops where the first seed stopped: beyond, it would jump as seeds drop out.
            length = min(len(thread) for thread in threads)
            x = [threads[0][step][0] for step in range(length)]
            y = [math.fsum(thread[step][1] for thread in threads) / len(threads) for step in range(length)]
            places = decimals(None, min(map(abs, y))) + 1
            texts = [f"{model}, epoch {epoch:.0f}: {number(loss, places)}" for epoch, loss in zip(x, y, strict=True)]
            series.append(figures.Series(record.mark(model), x, y, [None] * length, texts, tuple(threads)))
            lowest.append((min(y), x[y.index(min(y))], model))
        if not series:
            continue
        loss, epoch, model = min(lowest)
        places = decimals(None, loss)
        caption = f"{label} is lowest for {model}: {number(loss, places)} at epoch {epoch:.0f}."
        caption += (
            " Thick lines are means over seeds up to the epoch at which the first seed stopped; thin lines are seeds."
            if any(len(one.threads) > 1 for one in series)
            else ""
        )
        title = f"{label} by epoch on {record.title}"
        drawing = figures.curves(title, series, "Epoch", label, whole_steps=True)
        found.append(Figure(drawing, caption))
    return found


def _robustness(record: _Record) -> list[Figure]:
    found = []
    for damage, label in DAMAGES:
        levels = record.levels(damage)
        if len(levels) < 2:
            continue
        series, drops = [], []
        for model in record.best_first("matched"):
            points = []
            for level in levels:
                score = _damaged(record, model, damage, level)
                if score:
                    points.append((level, score))
            if not points:
                continue
            at = [f"{model}, {_level(damage, level)}" for level, _ in points]
            series.append(
                figures.Series(
                    record.mark(model),
                    [level for level, _ in points],
                    [score.mean for _, score in points],
                    [score.interval for _, score in points],
                    [record.spoken(text, score) for text, (_, score) in zip(at, points, strict=True)],
                )
            )
            if points[0][0] == 0 and points[-1][0] == levels[-1]:
                loss = points[-1][1].mean - points[0][1].mean
                drops.append((-loss if record.higher else loss, loss, model))
        if not series:
            continue
        caption = ""
        if len(drops) > 1:
            (_, small, least), (_, large, most) = min(drops), max(drops)
            caption = (
                f"With {_level(damage, levels[-1])}, {least} changes least for the worse "
                f"({record.text(small, signed=True)}) and {most} most ({record.text(large, signed=True)}). "
            )
        caption += "Models were trained on undamaged data. "
        if damage == "removed_steps":
            caption += "A removed step is gone, and its time is added to the next span. "
        if any(interval for one in series for interval in one.intervals):
            caption += "Bars are 95 % bootstrap intervals over seeds; marks are moved apart sideways to show them."
        title = f"{record.metric_label} on {record.title} by {label.lower()}"
        drawing = figures.curves(
            title,
            series,
            label,
            record.axis_label,
            reference=record.reference,
            percent=damage == "removed_steps",
        )
        found.append(Figure(drawing, caption.strip()))
    return found


def _damaged(record: _Record, model: str, damage: str, level: float) -> _Score | None:
    score = record.score(model, "matched", "test", damage, level)
    return record.scores.get((model, "matched")) if score is None and level == 0 else score


def _level(damage: str, level: float) -> str:
    if damage == "removed_steps":
        return f"{number(100 * level)} % of steps removed" if level else "no step removed"
    return f"noise of {level:g} sd" if level else "no noise"


def _settings(record: _Record, variant: str) -> list[Setting]:
    rows = []
    unscored = [
        model
        for model in record.models
        if (model, variant) not in record.scores and record.failures(model, variant)
    ]
    for model in [*record.best_first(variant), *unscored]:
        score = record.scores.get((model, variant))
        validation = record.score(model, variant, "validation")
        parameters = record.cost(model, variant, "parameters")
        mark = record.mark(model)
        hidden = sorted(set(record.setting(model, variant, "hidden_size")))
        epochs = record._of(record.fits, model, variant).filter(pl.col("metric") == "best_epoch")["value"].to_list()

        def cost(metric: str, unit: str, scale: float = 1.0, model: str = model) -> str:
            value = record.cost(model, variant, metric)
            return "" if value is None else quantity(value * scale, unit)

        rows.append(
            Setting(
                mark=mark,
                key=figures.key(mark),
                score=record.text(score.mean) if score else "none",
                interval=record.span(score.interval) if score else "",
                validation=record.text(validation.mean) if validation else "",
                seeds=len(score.values) if score else 0,
                failures=record.failures(model, variant),
                parameters=number(parameters) if parameters else "",
                hidden=", ".join(str(size) for size in hidden),
                rates=_tally(record.setting(model, variant, "learning_rate")),
                epochs=number(median(epochs)) if epochs else "",
                epoch_time=cost("seconds_per_epoch", "s"),
                latency=cost("step_latency_us", "s", 1e-6),
                training_memory=cost("training_memory_bytes", "B"),
                inference_memory=cost("inference_memory_bytes", "B"),
            )
        )
    return rows


def _tally(values: Iterable[float]) -> str:
    counts = Counter(values)
    if len(counts) == 1:
        return f"{next(iter(counts)):g}"
    return ", ".join(f"{value:g} ({count}×)" for value, count in counts.most_common())


def _failed(record: _Record) -> list[Failure]:
    rows = record.rows.filter(pl.col("status") == "failed").unique("run", keep="first", maintain_order=True)
    return [
        Failure(
            task=record.title,
            model=row["model"],
            variant="as its authors set it" if row["variant"] == "author" else "matched",
            seed="" if row["seed"] is None or row["kind"] == "cost" else str(row["seed"]),
            run=f"{row['run']} ({'cost' if row['kind'] == 'cost' else 'fit'})",
            reason=row["reason"] or "no reason was recorded",
        )
        for row in rows.sort("model", "variant", "seed").iter_rows(named=True)
    ]


def _facts(record: _Record) -> list[tuple[str, str]]:
    facts = record.facts
    predicted = "one target a step" if facts.get("per") == "step" else "one target a sequence"
    if facts.get("classes"):
        predicted += f"; classes {', '.join(map(str, facts['classes']))}"
    elif facts.get("outputs"):
        predicted += f"; {facts['outputs']} values"
        unit = facts.get("target_unit")
        predicted += f", {'unit ' if ' ' not in unit else ''}{unit}" if unit and unit != "1" else ""
    if facts.get("standardised_targets"):
        predicted += "; standardised with training statistics, scores in those units"
    sequences = facts.get("sequences") or {}
    time = f"in {facts['time_unit']}" if facts.get("time_unit") else ""
    if facts.get("timespan_unit"):
        time += f"; a typical span is {facts['timespan_unit']:.3g} {facts.get('time_unit', '')}"
    time += "; spans vary" if facts.get("irregular") else "; evenly spaced"
    trivial = {
        "prior": "class frequencies of the training targets",
        "mean": "mean of the training targets",
        "last value": "last observed value",
    }.get(facts.get("baseline", ""), "")
    if record.trivial is not None:
        trivial = f"{trivial}: {record.text(record.trivial)}".removeprefix(": ")
    rows = [
        ("Kind", facts.get("kind", "")),
        ("Target", predicted if facts else ""),
        ("Score", f"{record.metric_label}, {record.direction}"),
        ("Trivial predictor", trivial),
        ("Split", facts.get("split_rule", "")),
        ("Sequences", ", ".join(f"{number(count)} {split}" for split, count in sequences.items())),
        ("Longest sequence", f"{number(facts['window'])} steps" if facts.get("window") else ""),
        ("Time", time.strip("; ") if facts else ""),
        ("Missing values", "some; models read the mask as further inputs" if facts.get("missing") else ""),
        ("Checksum", facts.get("digest", "")),
    ]
    return [(name, text) for name, text in rows if text]


def _task_page(record: _Record, anchor: str, study: Study, comparison: Comparison) -> TaskPage:
    learning = _learning(record)
    return TaskPage(
        anchor=anchor,
        title=record.title,
        name=record.name,
        description=record.facts.get("description", ""),
        strip=_strip(record),
        costs=_cost_figures(record),
        learning=learning,
        robustness=_robustness(record),
        contests=_contests(record, study, comparison),
        matched=_settings(record, "matched"),
        authors=_settings(record, "author"),
        facts=_facts(record),
        features=[(one["name"], one["unit"]) for one in record.facts.get("features", ())],
        source=dict(record.facts.get("source") or {}),
        failures=_failed(record),
    )


def _contests(record: _Record, study: Study, comparison: Comparison) -> list[Contest]:
    pairs = [pair for pair in comparison.pairs if pair.task == record.name]
    reach = max((abs(end) for pair in pairs for end in (pair.difference, *(pair.interval or ()))), default=0.0)
    rows = []
    for pair in pairs:
        first, second = record.mark(pair.first), record.mark(pair.second)
        # Better for the first lies to the right, whichever way the metric goes.
        mean, bounds = _turned(pair.difference, pair.interval, record.higher)
        tone = {"better": first.family, "worse": second.family}.get(pair.verdict, "neutral")
        verdict = {
            "better": f"{pair.first} better",
            "worse": f"{pair.second} better",
        }.get(pair.verdict, pair.verdict)
        title = f"{pair.first} against {pair.second}: {verdict}"
        margin = _margin(record, study)
        rows.append(
            Contest(
                first=first,
                second=second,
                keys=(figures.key(first), figures.key(second)),
                difference=record.text(pair.difference, signed=True),
                interval=record.span(pair.interval),
                p="" if pair.p is None else _p(pair.p),
                verdict=verdict,
                tone=tone,
                svg=figures.difference(title, mean, bounds, margin, reach * 1.08 or 1.0, tone),
            )
        )
    return rows


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


def _turned(value: float, bounds: Interval | None, higher: bool) -> tuple[float, Interval | None]:
    if higher:
        return value, bounds
    return -value, None if bounds is None else (-bounds[1], -bounds[0])


def _margin(record: _Record, study: Study) -> float:
    raise NotImplementedError


def _judgement(record: _Record, anchors: Mapping[str, str], comparison: Comparison) -> Judgement:
    raise NotImplementedError


def _leaderboard(
    records: Sequence[_Record], marks: Mapping[str, Mark], comparison: Comparison
) -> list[Standing]:
    spans = {record.name: _range(record) for record in records}
    ranked = sorted(marks, key=lambda model: comparison.ranks.get(model, math.inf))
    lines = []
    for model in ranked:
        rank = comparison.ranks.get(model)
        cells = [_cell(record, model, spans[record.name], comparison) for record in records]
        lines.append(
            Standing(marks[model], figures.key(marks[model]), "" if rank is None else f"{rank:.1f}", cells)
        )
    return lines


def _range(record: _Record) -> Interval:
    ends = [
        end
        for (_, variant), score in record.scores.items()
        if variant == "matched"
        for end in (score.mean, *(score.interval or ()))
    ]
    if not ends:
        return 0.0, 1.0
    room = 0.05 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _cell(record: _Record, model: str, span: Interval, comparison: Comparison) -> Cell:
    score, failures = record.scores.get((model, "matched")), record.failures(model, "matched")
    if score is None:
        return Cell("failed" if failures else "none yet", "", "", 0, failures, False)
    mark = record.mark(model)
    svg = figures.interval(record.spoken(model, score), mark, score.mean, score.interval, span)
    best = record.best_first("matched")[0]
    among_best = model == best or not _shown_apart(record, model, best, comparison)
    text = record.text(score.mean)
    return Cell(text, record.span(score.interval), svg, len(score.values), failures, among_best)


def _shown_apart(record: _Record, one: str, other: str, comparison: Comparison) -> bool:
    return any(
        pair.task == record.name and {pair.first, pair.second} == {one, other} and pair.verdict in ("better", "worse")
        for pair in comparison.pairs
    )


def _leaderboard_note(records: Sequence[_Record]) -> str:
    several = any(len(score.values) > 1 for record in records for score in record.scores.values())
    note = "Rank: mean place over the tasks, 1 is best. Scores are means over seeds on test data"
    note += (
        ", with 95 % bootstrap intervals; bold ones are not shown to be worse than the task's best."
        if several
        else " of one seed, so nothing is known about their spread."
    )
    return note


def _runs(frame: pl.DataFrame) -> str:
    runs = frame.unique("run")
    failed = runs.filter(pl.col("status") == "failed").height
    words = f"{number(runs.height)} runs" if runs.height != 1 else "1 run"
    return f"{words}, {number(failed)} of which failed" if failed else f"{words}, none failed"


def _environment(frame: pl.DataFrame) -> list[tuple[str, str]]:
    rows = [
        (label, "; ".join(str(value) for value in frame[column].drop_nulls().unique().sort().to_list()))
        for column, label in (
            ("version", "liquidbench"),
            ("commit", "Commit"),
            ("python", "Python"),
            ("torch", "PyTorch"),
            ("machine", "Machine"),
            ("threads", "Threads per run"),
        )
    ]
    started = frame["started"].drop_nulls()
    if len(started):
        first, last = started.min(), started.max()
        rows.append(("Runs started", f"{first} to {last}" if first != last else str(first)))
    seconds = frame.unique("run")["seconds"].drop_nulls().sum()
    if seconds:
        rows.append(("Computing time", f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{seconds / 60:.1f} min"))
    return [(label, text) for label, text in rows if text]


def _commands(study: Study, frame: pl.DataFrame) -> str:
    versions = frame["version"].unique().to_list()
    release = f"=={versions[0]}" if len(versions) == 1 else ""
    return "\n".join(
        (
            f"pip install 'liquidrnn[bench]{release}'",
            f"# {study.name}.yaml is the study file printed below",
            f"liquidbench run {study.name}.yaml",
            f"liquidbench report {study.name}.yaml",
        )
    )


def _methods(study: Study, records: Sequence[_Record]) -> list[tuple[str, str]]:
    training = study.training
    cap = f", at most {training.minutes:g} minutes a fit" if training.minutes else ""
    rates = ", ".join(f"{rate:g}" for rate in study.learning_rates)
    seeds = len(study.seeds)
    words = [
        (
            "The same for every model",
            f"The same data in the same order for a seed, {number(study.parameters)} trained parameters within "
            f"5 %, {_plural(len(study.learning_rates), 'learning rate')} to try ({rates}), up to "
            f"{_plural(training.epochs, 'epoch')} in batches of {training.batch_size}, stopping after "
            f"{_plural(training.patience, 'epoch')} without progress{cap}, and {_plural(seeds, 'seed')}.",
        ),
        (
            "Test data are read once",
            "Validation data choose the epoch and the learning rate. Test data are built only after that "
            "choice, and nothing is chosen by them. Scalers are fitted on training data. No raw row is in "
            "two splits.",
        ),
        (
            "Intervals",
            "95 % intervals are bootstrap intervals of the mean over seeds. They show how much another "
            "seed would change a score, not how much other data would.",
        ),
        (
            "Pairs of models",
            "Two models are compared seed by seed, two-sided: by a paired t-test below six seeds, by "
            "Wilcoxon's signed-rank test from six. Within a task, p-values are corrected by Holm's method.",
        ),
        (
            "The verdict",
            "On each task each family sends the model with its best validation score; the two are compared on "
            "test data. A difference counts when the corrected test shows it and it is no smaller than the "
            f"smallest that matters ({study.smallest_difference:g}). “No difference shown” is not “equal”: "
            "it is said that two models are equivalent only where the whole interval lies within that margin.",
        ),
        (
            "Damaged data",
            "Models trained on whole data are tested with steps removed (the time is added to the next span) "
            "and with Gaussian noise on the standardised inputs, drawn alike for all models.",
        ),
        (
            "Cost",
            "Measured in runs of their own: the median time of a training step times the steps of an epoch, "
            "the median time of a single step with batch size 1, and the allocator's peak in one training "
            "step and in one forward pass.",
        ),
        (
            "Failures",
            "A run that diverged, ran out of memory or could not be built is listed with its reason. It is "
            "never dropped in silence.",
        ),
        (
            "Rounding",
            "A task's scores are rounded to the first digit of the typical interval's half-width.",
        ),
    ]
    if study.author_defaults:
        words.append(
            (
                "As their authors set them",
                "Liquid models also ran with the sizes and learning rates of their papers. Those rows are "
                "labelled, stand apart, and count neither in ranks nor in verdicts.",
            )
        )
    return words


def _plural(count: int, word: str) -> str:
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def _count(part: int, whole: int) -> str:
    if part == whole:
        return "All models" if whole > 1 else "It"
    return f"{part} of {whole} models" if part else "No model"


def _have(count: int) -> str:
    return "have" if count > 1 else "has"


def _ordered(first: Iterable[str], rest: Iterable[str]) -> list[str]:
    """Names in the order of the study, then whatever else has results."""
    return list(dict.fromkeys([*first, *sorted(set(rest))]))


def _marks(models: Sequence[str]) -> dict[str, Mark]:
    places: Counter[str] = Counter()
    marks = {}
    for model in models:
        known = FAMILIES.get(model)
        family = "liquid" if known == "liquid" else "recurrent" if known == "recurrent" else "other"
        marks[model] = Mark(model, family, places[family])
        places[family] += 1
    return marks


def _anchors(names: Sequence[str]) -> dict[str, str]:
    """An address for each task that survives any name, and is the name itself where that is plain."""
    anchors: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
        anchor, again = f"task-{plain}", 2
        while anchor in anchors.values():
            anchor, again = f"task-{plain}-{again}", again + 1
        anchors[name] = anchor
    return anchors
