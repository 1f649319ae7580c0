"""Who is better, who is equivalent, where nothing has been shown: words by fixed thresholds."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import median

import polars as pl

from liquidbench import models, results
from liquidbench.facts import Facts
from liquidbench.models import Family
from liquidbench.search import EARLIER_LEARNING_RATES, LEARNING_RATES
from liquidbench.statistics.across import (
    FEW_TASKS,
    FEWEST_RANKED,
    FEWEST_SIGNED,
    RANKING_RULE,
    Overall,
    OverTasks,
    judge_over_tasks,
    overall_standings,
)
from liquidbench.statistics.cost import Price
from liquidbench.statistics.inference import ALPHA, LEVEL
from liquidbench.statistics.task_results import (
    FEW_SEEDS,
    FEWEST_SEEDS,
    Pair,
    Prospect,
    Standing,
    TaskResults,
    Training,
    corrected_pairs,
    in_order,
    results_by_task,
)
from liquidbench.statistics.wording import counted, number, p_value, percent, significant

EDGE = 0.05
"""A learning rate is close to an end of its range within this share of it, on the logarithmic scale of the draws."""

MANY_AT_EDGE = 0.25
"""So large a share of a model's chosen rates, and two at least, close to one end calls for a warning.

Were the rate of no consequence, a share of `EDGE` would lie there; were the outermost always the best, one in ten draws
would in four of ten searches.
"""

EDGE_RULE = (
    "A model gets a warning where at least two, and at least a quarter, of its chosen learning rates are in the "
    "lowest or in the highest twentieth of the range, on its logarithmic scale. If the rate did not matter, a "
    "twentieth would be; if the most extreme rate were always best, 40 % of searches of ten trials would choose one "
    "there."
)


@dataclass(frozen=True)
class Judgement:
    """Liquid against recurrent on one task.

    Attributes:
        task: the task's name.
        pair: the liquid representative (first) and the recurrent one, with p corrected over the tasks; None
            where a family has none.
        verdict: "liquid better", "recurrent better", "equivalent", "no difference shown", "cannot say" or "not
            compared".
        sentence: that in plain words, with the numbers behind it.
        prospect: where no difference is shown, how many seeds would show one, or equivalence; None elsewhere.
        prices: what the lead of one costs, by each cost that was measured of both.
    """

    task: str
    pair: Pair | None
    verdict: str
    sentence: str
    prospect: Prospect | None = None
    prices: tuple[Price, ...] = ()

    @property
    def short(self) -> str:
        """The verdict in two words, with the name of the better one where there is one."""
        if self.pair is None or self.verdict not in ("liquid better", "recurrent better"):
            return self.verdict
        return f"{self.pair.first if self.verdict == 'liquid better' else self.pair.second} better"


@dataclass(frozen=True)
class Verdict:
    """What a study answers.

    Attributes:
        headline: the answer and what follows from it.
        judgements: task by task.
        warnings: why to be careful with it.
        thresholds: the fixed rules behind the words.
    """

    headline: str
    judgements: tuple[Judgement, ...]
    warnings: tuple[str, ...]
    thresholds: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that a report says of a table of results.

    Attributes:
        leaderboard: each task's models, the best mean first; author variants last.
        overall: the matched models, the best rank first.
        pairs: every two matched models of each task, p corrected over the task's pairs.
        verdict: liquid against recurrent.
        over_tasks: tests over all tasks.
        others: the verdicts under the study's further matchings, by matching.
    """

    leaderboard: tuple[Standing, ...]
    overall: tuple[Overall, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict
    over_tasks: OverTasks
    others: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def stands(self) -> str:
        """Whether the verdict is the same under the further matchings, in words; "" without any."""
        if not self.others:
            return ""
        here = {judgement.task: judgement.verdict for judgement in self.verdict.judgements}
        changed = {
            matching: sum(here.get(one.task) != one.verdict for one in other.judgements)
            for matching, other in self.others.items()
        }
        parts = [
            f"on {count} of {counted(len(here), 'task')} with equal {name}" for name, count in changed.items() if count
        ]
        if not any(changed.values()):
            return f"The verdict is the same on every task with equal {' and equal '.join(changed)}."
        return f"The verdict changes {' and '.join(parts)}."

    @property
    def ranks(self) -> dict[str, float]:
        """Mean rank of each model that could be ranked, the best first."""
        return {line.model: line.rank for line in self.overall if line.rank is not None}


def compare(
    frame: pl.DataFrame | pl.LazyFrame,
    tasks: Mapping[str, Facts],
    smallest_difference: float,
    matchings: Sequence[str] = (),
    families: Mapping[str, Family] | None = None,
) -> Comparison:
    """Judge a study's results.

    Runs are paired by task, outer split and seed. Where a task was run on several splits, it is their mean differences
    over seeds that are tested, with allowance for training data that overlap (`resampled_test`). A family (liquid,
    recurrent) is represented on each task by the model with the fewest failures and, among these, the best mean score
    on *validation*, over the seeds that all matched models of the task have run; the two are compared on test. Where
    the time limit cut short what is compared, where there are too few seeds or splits, or where the better one is
    no better than the trivial predictor, the verdict is that nothing can be said.

    Args:
        frame: rows of `liquidbench.results.read`, of one study's present runs.
        tasks: facts by task name: at least its score, and ``rows`` where there are several splits; sentences in
            ``warnings`` join the verdict's. A task of which no run came to anything may be absent.
        smallest_difference: a difference below this does not count. Absolute, in units of the score, where
            higher is better and there is a greatest value (accuracy, areas under curves: scores of a known scale);
            else (errors, whose scale is the data's) as a fraction of the recurrent representative's mean score.
        matchings: those of the study, where `frame` holds more than one: all is judged by the first, and `others` are
            the verdicts by the rest.
        families: of each model, in the order of the leaderboard: `Study.families`, where a study has models of a user's
            own; None for those that come with the package. Others are of the family "other".

    Returns:
        Leaderboard, pairs and verdict; empty where the frame is.

    Raises:
        ValueError: for a negative smallest_difference, a task with scores and no facts, or two runs of one task,
            model, variant, split and seed.
    """
    if matchings:
        first, *rest = (
            compare(results.compared(frame.lazy(), one), tasks, smallest_difference, (), families) for one in matchings
        )
        return replace(first, others={name: one.verdict for name, one in zip(matchings[1:], rest, strict=True)})
    if not smallest_difference >= 0:
        raise ValueError(f"smallest_difference must be at least 0; got {smallest_difference}")
    families = models.families() if families is None else families
    found = results_by_task(frame.lazy(), tasks, smallest_difference, families)
    pairs: list[Pair] = []
    for task in found:
        contests = [task.pair(one, other) for one, other in combinations(task.models, 2)]
        pairs += corrected_pairs(contests, [task.higher] * len(contests))
    contests = {task.name: pair for task in found if (pair := task.family_pair())}
    directions = [task.higher for task in found if task.name in contests]
    corrected = dict(zip(contests, corrected_pairs(list(contests.values()), directions), strict=True))
    judgements = [_judge(task, corrected.get(task.name)) for task in found]
    names = in_order({model for task in found for model in task.models}, families)
    # A rank among fewer rivals is another quantity, so a task counts once every model has run there.
    places = {task: table for task in found if len(table := task.places(names))}
    whole = [table for task, table in places.items() if not any(map(task.cut_short, task.models))]
    leads = [
        (judgement.pair, task.higher)
        for task, judgement in zip(found, judgements, strict=True)
        if judgement.pair and not judgement.pair.reason
    ]
    return Comparison(
        leaderboard=tuple(line for task in found for line in task.standings()),
        overall=overall_standings(found, names, list(places.values()), families),
        pairs=tuple(pairs),
        verdict=Verdict(
            headline=_headline(judgements),
            judgements=tuple(judgements),
            warnings=tuple(_warnings(found, judgements)),
            thresholds=_thresholds(smallest_difference),
        ),
        over_tasks=judge_over_tasks(found, names, whole, pairs, leads),
    )


def _judge(task: TaskResults, pair: Pair | None) -> Judgement:
    if pair is None:
        return Judgement(task.name, None, "not compared", f"On {task.title}, there is no comparison: {_gap(task)}.")
    if task.trivial is not None and pair.verdict in ("better", "worse", "equivalent"):
        means = [float(scores.mean()) for scores in task.common(pair.first, pair.second)]
        if not any(task.ahead(mean, task.trivial) for mean in means):
            reason = f"neither is better than the trivial predictor, {task.words_of(task.trivial)}"
            pair = replace(pair, verdict="cannot say", reason=reason)
    verdict = {"better": "liquid better", "worse": "recurrent better"}.get(pair.verdict, pair.verdict)
    return Judgement(task.name, pair, verdict, _sentence(task, pair), pair.prospect, task.prices(pair))


def _gap(task: TaskResults) -> str:
    reasons = []
    for family in ("liquid", "recurrent"):
        members = task.members([family])
        if not members:
            reasons.append(f"no {family} network was run")
        elif not any(task.scores(model) for model in members):
            reasons.append(f"no run of a {family} network finished with a score")
        elif task.representative([family]) is None:
            reasons.append(f"no {family} network has validation scores on seeds that all models have run")
    return " and ".join(reasons)


def _sentence(task: TaskResults, pair: Pair) -> str:
    """The judgement in words, the better mean first."""
    a, b = task.common(pair.first, pair.second)
    if not len(a):
        return (
            f"On {task.title}, this study cannot say whether the liquid networks' best ({pair.first}) or the "
            f"recurrent networks' best ({pair.second}) is better: {pair.reason}{_left_out(pair)}."
        )
    means, interval = [float(a.mean()), float(b.mean())], pair.interval
    names = [f"the liquid networks' best ({pair.first})", f"the recurrent networks' best ({pair.second})"]
    if (means[1] > means[0]) == task.higher and means[0] != means[1]:
        names.reverse()
        means.reverse()
        interval = (-interval[1], -interval[0]) if interval else None
    places = significant(means)
    numbers = f"{task.words} {number(means[0], places)} against {number(means[1], places)}"
    if interval:
        numbers += f", {percent(LEVEL)} interval of the difference "
        numbers += f"{number(interval[0], places)} to {number(interval[1], places)}"
    if pair.outcome and pair.p is not None:
        # The interval is not corrected, so a reader may find it at odds with the p-value.
        corrected = " after Holm's correction" if pair.p > pair.outcome.p else ""
        numbers += f", {p_value(pair.p)} by {pair.outcome.test}{corrected}"
    numbers += f", {pair.extent}{_left_out(pair)}"
    start, first, second = f"On {task.title},", *names
    if pair.verdict == "cannot say":
        return f"{start} this study cannot say whether {first} or {second} is better: {pair.reason} ({numbers})."
    if pair.verdict in ("better", "worse"):
        return f"{start} {first} is better than {second} ({numbers})."
    if pair.verdict == "equivalent":
        margin = number(pair.margin, max(places, significant([pair.margin]) - 2))
        return f"{start} {first} and {second} are equivalent, their difference within ±{margin} ({numbers})."
    ending = ""
    if interval is None and pair.difference:
        ending = f" All {pair.over}s differ by the same amount, so the spread is unknown."
    elif pair.p is not None and pair.p < ALPHA:
        margin = number(pair.margin, significant([pair.margin]))
        ending = f" The difference is below the smallest that counts, {margin}."
    return f"{start} {first} and {second} show no difference ({numbers}).{ending}"


def _left_out(pair: Pair) -> str:
    if not pair.left_out:
        return ""
    what = counted(pair.left_out, "seed" if pair.over == "seed" else "run")
    return f"; {what} left out, where one of the two failed or has not run"


def _headline(judgements: Sequence[Judgement]) -> str:
    if not judgements:
        return "No run has finished yet, so there is nothing to compare."
    counts = Counter(judgement.verdict for judgement in judgements)
    parts = [f"Liquid networks better on {counts['liquid better']}"]
    parts.append(f"recurrent better on {counts['recurrent better']}")
    parts += [f"equivalent on {counts['equivalent']}"] if counts["equivalent"] else []
    parts.append(f"no difference shown on {counts['no difference shown']}")
    parts += [f"{rest} on {counts[rest]}" for rest in ("cannot say", "not compared") if counts[rest]]
    return f"{', '.join(parts)} of {counted(len(judgements), 'task')}. {_consequence(judgements)}"


def _consequence(judgements: Sequence[Judgement]) -> str:
    """What to do, by the models that were compared and no others."""
    counts = Counter(judgement.verdict for judgement in judgements)
    liquid, recurrent = counts["liquid better"], counts["recurrent better"]
    where = "here" if len(judgements) < FEW_TASKS else "on tasks like these"
    if len(judgements) == counts["cannot say"] + counts["not compared"]:
        return "This study cannot say which to use."
    if liquid and recurrent:
        return f"{_named(judgements)}. It depends on the task: try both on your own data."
    if liquid == len(judgements):
        return f"{_named(judgements)}: use a liquid network {where}."
    if liquid:
        return (
            f"{_named(judgements)}, and on no task was a liquid network shown to be worse: one is worth trying {where}."
        )
    if recurrent == len(judgements):
        return f"{_named(judgements)}: use a recurrent network {where}."
    if recurrent:
        return (
            f"{_named(judgements)}, and on no task was a liquid network shown to be better: stay with a recurrent "
            f"network {where}."
        )
    if counts["equivalent"] == len(judgements):
        return f"{_named(judgements)}: choose by cost {where}."
    return "There is no reason here to change the network you have; more seeds may show a difference."


def _named(judgements: Sequence[Judgement]) -> str:
    """Who was better than whom, and on how many tasks; where nobody was, who were equivalent."""
    verdicts = {judgement.verdict for judgement in judgements}
    decided = verdicts & {"liquid better", "recurrent better"} or {"equivalent"}
    found: Counter[tuple[str, str]] = Counter()
    for judgement in judgements:
        if judgement.pair and judgement.verdict in decided:
            first, second = judgement.pair.first, judgement.pair.second
            found[(second, first) if judgement.verdict == "recurrent better" else (first, second)] += 1
    verb, word = ("were equivalent", "and") if "equivalent" in decided else ("was better", "than")
    (pair, times), *others = found.most_common()
    subject = f"{pair[0]} and {pair[1]} {verb}" if word == "and" else f"{pair[0]} {verb} than {pair[1]}"
    start = f"{subject} on {times} of {counted(len(judgements), 'task')}"
    return ", ".join([start, *(f"{one} {word} {other} on {count}" for (one, other), count in others)])


def _warnings(tasks: Sequence[TaskResults], judgements: Sequence[Judgement]) -> list[str]:
    warnings = []
    if not judgements:
        return warnings
    pairs = [judgement.pair for judgement in judgements if judgement.pair]
    if len(judgements) < FEW_TASKS:
        warnings.append(
            f"{counted(len(judgements), 'task')} {'is' if len(judgements) == 1 else 'are'} few: results on fewer than "
            f"{FEW_TASKS} say little about other tasks."
        )
    for over in ("seed", "split"):
        few = min((len(pair.differences) for pair in pairs if pair.over == over), default=FEW_SEEDS)
        if few < FEW_SEEDS:
            warnings.append(
                f"{counted(few, over)} {'is' if few == 1 else 'are'} few: with fewer than {FEW_SEEDS}, only large "
                "differences can be shown, and “no difference shown” does not mean that there is none."
            )
    for task in tasks:
        warnings += [f"{task.title}: {warning}" for warning in task.warnings]
        warnings += _cut_short(task)
        failures = {model: task.failures(model) for model in task.models if task.failures(model)}
        if failures:
            words = ", ".join(f"{model} {number}" for model, number in failures.items())
            warnings.append(f"On {task.title}, runs failed ({words}); they rank last and are in no mean.")
        best = [task.mean(m) for f in ("liquid", "recurrent") if (m := task.representative([f]))]
        if task.trivial is not None and best and not any(task.ahead(mean, task.trivial) for mean in best):
            warnings.append(
                f"On {task.title}, neither family's best is better than the trivial predictor "
                f"({task.words_of(task.trivial)}), so the comparison means little."
            )
        warnings += _no_better_than_linear(task)
    return warnings + _unlike(tasks) + _learning(tasks)


def _cut_short(task: TaskResults) -> list[str]:
    warnings = []
    for model in task.models:
        trainings = task.trainings_of(model)
        if cut := trainings.cut:
            consequence = (
                "its score is no measure of the model"
                if task.cut_short(model)
                else "none of them was chosen, perhaps because of that"
            )
            warnings.append(
                f"{task.title}: {len(cut)} of {counted(trainings.number, 'training')} of {model} "
                f"{'was' if len(cut) == 1 else 'were'} ended by the time limit, after a median of "
                f"{median(cut):g} {trainings.unit}{'' if median(cut) == 1 else 's'}; {consequence}."
            )
    return warnings


def _no_better_than_linear(task: TaskResults) -> list[str]:
    linear = task.linear
    if linear is None:
        return []
    told = f"{task.linear_name} ({task.words_of(linear)})"
    if not any(task.shown_ahead(model, linear) for model in task.models):
        return [f"On {task.title}, no network was shown better than {told}."]
    representatives = [model for family in ("liquid", "recurrent") if (model := task.representative([family]))]
    behind = [model for model in representatives if not task.shown_ahead(model, linear)]
    return [f"On {task.title}, {' and '.join(behind)} {_was(behind)} not shown better than {told}."] if behind else []


def _unlike(tasks: Sequence[TaskResults]) -> list[str]:
    """Whether runs that are compared were done by different versions, or costs measured on different machines."""
    kinds = {
        "fit": ("fits were made", "scores may differ for that reason"),
        "cost": ("costs were measured", "times, memory and energy may differ for that reason"),
    }
    differences = {
        "version": "by different versions of liquidbench",
        "machine": "on different machines",
        "threads": "with different numbers of threads",
        "torch": "with different versions of torch",
        "instruction_set": "by kernels for different instruction sets",
        "backend": "by different backends",
    }
    found: dict[str, list[str]] = {}
    for kind, (what, consequence) in kinds.items():
        for task in tasks:
            for column, told in task.circumstances[kind].items():
                values = "; ".join(f"{value} ({', '.join(models)})" for value, models in told.items())
                found.setdefault(f"{what} {differences[column]}: {values}; {consequence}.", []).append(task.title)
    return [
        f"On {', '.join(titles[:-1])}{' and ' * (len(titles) > 1)}{titles[-1]}, {text}"
        for text, titles in found.items()
    ]


def _learning(tasks: Sequence[TaskResults]) -> list[str]:
    """Whether more steps, or rates beyond their range, might have changed the scores."""
    chosen = [(model, one) for task in tasks for model in task.models for one in task.trainings_of(model).chosen]
    warnings = []
    unit = next((training.unit for _, training in chosen), "step")
    improving = [model for model, training in chosen if training.improving]
    if improving:
        warnings.append(
            f"{len(improving)} of {counted(len(chosen), 'chosen fit')} {_was(improving)} still improving at their last "
            f"{unit} ({_tally(improving)}): more {unit}s may change the scores."
        )
    untrained = [model for model, training in chosen if training.best == 0]
    if untrained:
        warnings.append(
            f"{len(untrained)} of {counted(len(chosen), 'chosen fit')} {_was(untrained)} never better on validation "
            f"than before training ({_tally(untrained)})."
        )
    rates = EARLIER_LEARNING_RATES if unit == "epoch" else LEARNING_RATES
    edges = {end: _at_end(chosen, end, rates) for end in ("lower", "upper")}
    near = [f"{words} to the {end} one" for end, words in edges.items() if words]
    if near:
        low, high = rates
        warnings.append(
            f"Many chosen learning rates are close to an end of their range, {low:g} to {high:g}: {'; '.join(near)}. "
            "A rate outside it may do better."
        )
    return warnings


def _at_end(chosen: Sequence[tuple[str, Training]], end: str, rates: tuple[float, float]) -> str:
    """The models with many chosen rates close to an end of the range, in words; "" for none."""
    low, high = map(math.log, rates)
    fits = Counter(model for model, _ in chosen)
    close: Counter[str] = Counter()
    for model, training in chosen:
        place = (math.log(training.learning_rate) - low) / (high - low)
        close[model] += (place if end == "lower" else 1 - place) <= EDGE
    many = {model: count for model, count in close.items() if count >= max(2, MANY_AT_EDGE * fits[model])}
    return ", ".join(f"{model} {count} of {counted(fits[model], 'fit')}" for model, count in many.items())


def _tally(models: Sequence[str]) -> str:
    return ", ".join(f"{model} {count}" for model, count in Counter(models).items())


def _was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


def _thresholds(smallest_difference: float) -> tuple[str, ...]:
    return (
        "On each task each family is represented by its model with the fewest failed runs and, among these, the best "
        "mean score on validation, over the seeds that all matched models of the task have run; the two are compared "
        "on test, seed by seed. Models of neither family and rows at published sizes and rates do not count.",
        "Within a task the test is the paired t-test over common seeds, two-sided; where all seeds differ by the same "
        "amount, t is undefined and the exact signed-rank test is used. On a task with several outer splits the "
        "pairs are the splits, with their mean scores over seeds, and the test is Nadeau and Bengio's corrected "
        "resampled t-test, with the ratio of test rows to training rows of the official split. "
        "p-values are corrected by Holm's method: over the tasks for liquid against recurrent, over a task's pairs in "
        "its table of pairs.",
        f"Over tasks: Friedman's test of the models' ranks, from {FEWEST_RANKED} models and {FEWEST_RANKED} tasks on; "
        f"from {FEWEST_SIGNED} tasks on Wilcoxon's signed-rank test of liquid against recurrent, exact and two-sided. "
        "Neither changes the verdict on a task. Friedman's test leaves out tasks on which the time limit ended a "
        "training that was scored; the signed-rank test leaves out tasks with the verdict “cannot say”.",
        "“Cannot say”, which is checked first: the time limit ended a training that was scored of one of the two; or "
        f"they have fewer than {FEWEST_SEEDS} common seeds, or splits; or, where a family would be better or the two "
        "equivalent, neither mean is better than the trivial predictor's score.",
        f"“Better”: the corrected p-value is below {ALPHA} and the mean difference is at least "
        f"{smallest_difference:g} (in units of the score where higher is better, up to a greatest value; as a fraction "
        "of the recurrent representative's mean where the score is an error or has no greatest value).",
        f"“Equivalent”: the whole {percent(LEVEL)} interval of the mean difference is within that margin; this "
        "takes precedence over “better”. Anything else: “no difference shown”.",
        f"Intervals of means and of mean differences are Student's, at {percent(LEVEL)}, not corrected for the "
        "number of comparisons: a bootstrap of few seeds would be too narrow. They cover other seeds, not other "
        "data; on several splits they are those of the corrected test and cover other splits of the same data.",
        f"A warning is given below {FEW_TASKS} tasks and below {FEW_SEEDS} common seeds, or splits. A network is shown "
        f"better than the linear model where the whole {percent(LEVEL)} interval of its mean is.",
        EDGE_RULE,
        RANKING_RULE,
    )
