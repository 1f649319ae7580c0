"""How often a verdict is false, and how often a real difference is found: the product's own code on made-up results.

    python benchmarks/calibrate.py    # make calibrate; writes docs/results/calibration.md

Scores are drawn with a known truth, written as rows of results, and judged by `liquidbench.statistics` as any are.
A network's score is its own mean, a part that its search and seed add, and a part that the recordings in test add::

    score(m, f, s) = level + shift(family of m) + network(m) + split(m, f) + recordings(m, f) + seed(m, f, s)

all normal but level and shift. Validation has a seed's part in common with test, correlated by `SHARED`.
"""

import argparse
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from liquidbench import models
from liquidbench.facts import Facts
from liquidbench.results import SCHEMA
from liquidbench.statistics.across import leads_over_tasks
from liquidbench.statistics.inference import ALPHA
from liquidbench.statistics.task_results import results_by_task
from liquidbench.statistics.verdict import Judgement, judge

RESULT = Path(__file__).parents[1] / "docs" / "results" / "calibration.md"
LIQUID = ("LTC", "CfC", "LRC", "LRCU", "STC", "LTC-NCP", "CfC-NCP", "CfC-mm")
RECURRENT = ("GRU", "LSTM", "RNN")

SEED_SPREAD, MARGIN, LEVEL, SHARED = 0.02, 0.01, 0.85, 0.7


@dataclass(frozen=True)
class Scenario:
    """A truth, and a study of it.

    Attributes:
        name: what it is, in words.
        liquid: number of liquid networks.
        recurrent: number of recurrent ones.
        shift: by how much every liquid network is truly better.
        network: standard deviation of networks of one family.
        tasks: number of tasks, each drawn anew.
        seeds: of each network, on each split.
        splits: outer splits; a fifth of the data is in test.
        split: standard deviation of what a split adds to a network; a fifth of its variance is common to all splits,
            as training data overlap.
        recordings: in each test set; 0 where predictions were not kept.
        recording: standard deviation of what one recording adds to a network.
        search: standard deviation of what the one search of a cheap study adds to a network; 0 for a full study.
        floor: of a model without a network.
    """

    name: str
    liquid: int = 8
    recurrent: int = 3
    shift: float = 0.0
    network: float = 0.0
    tasks: int = 1
    seeds: int = 5
    splits: int = 1
    split: float = 0.0
    recordings: int = 0
    recording: float = 0.0
    search: float = 0.0
    floor: float | None = None

    @property
    def truth(self) -> str:
        """What may be claimed of every task."""
        size = abs(self.shift)
        if self.search or self.floor is not None:
            return ""
        return "equivalent" if size < MARGIN else "liquid better" if size > MARGIN else ""


NULL = (
    Scenario("One network each, equally good", 1, 1),
    Scenario("One network each, apart by exactly the margin", 1, 1, shift=MARGIN),
    Scenario("8 against 3 networks, all equally good"),
    Scenario("8 against 3, all of one distribution", network=0.02),
    Scenario("8 against 3, all of one distribution, 10 seeds", network=0.02, seeds=10),
    Scenario("8 against 3, all of one wide distribution", network=0.04),
    Scenario("3 against 2, all of one distribution", 3, 2, network=0.02),
    Scenario("8 against 3, all of one distribution, 20 tasks", network=0.02, tasks=20),
    Scenario("8 against 3, apart by half the margin", network=0.01, shift=MARGIN / 2),
    Scenario("8 against 3, apart by half the margin, 3 seeds", network=0.005, shift=MARGIN / 2, seeds=3),
    Scenario("8 against 3, apart by exactly the margin", shift=MARGIN),
    Scenario("Cheap mode: one search, its spread 5 times a seed's", 1, 1, search=0.1),
    Scenario("Cheap mode, 8 against 3, 5 splits", search=0.1, splits=5),
    Scenario("3 splits, 3 seeds each, 30 recordings", 1, 1, splits=3, seeds=3, recordings=10, recording=0.08),
    Scenario("5 splits, 2 seeds each", 1, 1, splits=5, seeds=2, split=0.02),
    Scenario("10 splits, 2 seeds each", 1, 1, splits=10, seeds=2, split=0.02),
    Scenario("8 against 3, 5 splits, 2 seeds each", network=0.02, splits=5, seeds=2, split=0.02),
    Scenario("4 recordings in test: the claim is on this test set", 1, 1, recordings=4, recording=0.05),
    Scenario("6 recordings in test", 1, 1, recordings=6, recording=0.05),
    Scenario("30 recordings in test", 1, 1, recordings=30, recording=0.08),
    Scenario("8 against 3, 30 recordings in test", network=0.01, recordings=30, recording=0.08),
    Scenario("Liquid truly better, but both lose to a floor", 1, 1, shift=0.08, floor=LEVEL + 0.2),
)
REAL = tuple(
    Scenario(f"{name}, better by {shift:g}", **{**sizes, "shift": shift})
    for name, sizes in (
        ("One network each", {"liquid": 1, "recurrent": 1}),
        ("One network each, 10 seeds", {"liquid": 1, "recurrent": 1, "seeds": 10}),
        ("8 against 3", {"network": 0.01}),
        ("8 against 3, 10 seeds", {"network": 0.01, "seeds": 10}),
        ("8 against 3, 20 tasks", {"network": 0.01, "tasks": 20}),
        ("3 against 2", {"liquid": 3, "recurrent": 2, "network": 0.01}),
        (
            "One network each, 3 splits, 3 seeds each, 30 recordings",
            {"liquid": 1, "recurrent": 1, "splits": 3, "seeds": 3, "recordings": 10, "recording": 0.08},
        ),
        (
            "One network each, 5 splits, 2 seeds each",
            {"liquid": 1, "recurrent": 1, "splits": 5, "seeds": 2, "split": 0.02},
        ),
        (
            "One network each, 10 splits, 2 seeds each",
            {"liquid": 1, "recurrent": 1, "splits": 10, "seeds": 2, "split": 0.02},
        ),
        (
            "One network each, 30 recordings in test",
            {"liquid": 1, "recurrent": 1, "recordings": 30, "recording": 0.08},
        ),
    )
    for shift in (0.03, 0.05, 0.08)
)


@dataclass
class Outcome:
    """What studies of one scenario said.

    Attributes:
        studies: how many there were.
        false: those that claimed anything false, on any task or over tasks.
        tasks: how many tasks were judged.
        found: those with the true claim.
        liquid: those with "liquid better".
        recurrent: those with "recurrent better".
        covered: those whose interval holds the truth, of those with an interval.
        intervals: those with an interval.
        over_tasks: studies whose test over tasks found a difference.
    """

    studies: int = 0
    false: int = 0
    tasks: int = 0
    found: int = 0
    liquid: int = 0
    recurrent: int = 0
    covered: int = 0
    intervals: int = 0
    over_tasks: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def study(scenario: Scenario, seed: int) -> Outcome:
    """Draw one study, judge it, and compare with the truth."""
    random = _random(scenario, seed)
    names = (*LIQUID[: scenario.liquid], *RECURRENT[: scenario.recurrent])
    rows, without, truths = [], {}, {}
    for task in (f"t{number}" for number in range(scenario.tasks)):
        drawn = _draw(scenario, task, names, random)
        rows += drawn[0]
        without |= drawn[1]
        truths[task] = drawn[2]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    facts = Facts(metric="accuracy", higher_is_better=True, rows={"train": 800, "test": 200})
    found = results_by_task(
        frame.lazy(),
        dict.fromkeys(truths, facts),
        MARGIN,
        models.families(),
        (lambda run, metric: without[run]) if scenario.recordings else None,
    )
    judgements = judge(found)
    over = leads_over_tasks(found, [judgement.pair for judgement in judgements])
    claims = [_claimed(scenario, one, truths[one.task]) for one in judgements]
    counts = Counter(one.verdict for one in judgements)
    intervals = [
        (one.pair.interval, _true_difference(scenario, one, truths[one.task]))
        for one in judgements
        if one.pair and one.pair.interval
    ]
    wrong_over = over is not None and over.p < ALPHA and (abs(scenario.shift) <= MARGIN or over.effect < 0)
    return Outcome(
        studies=1,
        false=int(any(claimed and not true for claimed, true in claims) or wrong_over),
        tasks=len(judgements),
        found=sum(one.verdict == scenario.truth for one in judgements),
        liquid=counts["liquid better"],
        recurrent=counts["recurrent better"],
        covered=sum(low <= true <= high for (low, high), true in intervals),
        intervals=0 if scenario.search else len(intervals),
        over_tasks=int(over is not None and over.p < ALPHA),
    )


def _true_difference(scenario: Scenario, one: Judgement, realised: float) -> float:
    """What the interval is of: the shift, or what these test sets make of it where the claim is about them."""
    assert one.pair is not None
    return realised if one.pair.scope.startswith("on th") and scenario.liquid == 1 else scenario.shift


def _claimed(scenario: Scenario, one: Judgement, realised: float) -> tuple[bool, bool]:
    """Whether anything is claimed, and whether it is true."""
    if one.verdict not in ("liquid better", "recurrent better", "equivalent"):
        return False, True
    if scenario.search or scenario.floor is not None:
        return True, False
    true = _true_difference(scenario, one, realised)
    # Exactly at the margin neither claim is true.
    claim = {"liquid better": true > MARGIN, "recurrent better": true < -MARGIN, "equivalent": abs(true) < MARGIN}
    return True, bool(claim[one.verdict]) and not np.isclose(abs(true), MARGIN)


def _draw(scenario, task, names, random):
    """Rows of one task, test scores without each recording by run, and what these test sets make of the difference."""
    rows, without, realised = [], {}, {}
    for name in names:
        family = models.MODELS[name].family
        mean = LEVEL + (scenario.shift if family == "liquid" else 0.0) + scenario.network * random.normal()
        mean += scenario.search * random.normal()
        shared, parts = random.normal() * np.sqrt(0.2), []
        for fold in range(scenario.splits):
            split = scenario.split * (shared + np.sqrt(0.8) * random.normal())
            noise = scenario.recording * random.normal(size=max(scenario.recordings, 1))
            parts.append(mean + split + noise.mean())
            for seed in range(scenario.seeds):
                luck, other = SEED_SPREAD * random.normal(size=2)
                test = parts[-1] + luck
                validation = mean + SHARED * luck + np.sqrt(1 - SHARED**2) * other
                run = f"{task}-{name}-{fold}-{seed}"
                if scenario.recordings:
                    size = len(noise)
                    without[run] = test - noise.mean() + (noise.sum() - noise) / (size - 1)
                base = dict.fromkeys(SCHEMA) | {
                    "run": run,
                    "task": task,
                    "model": name,
                    "variant": "matched",
                    "seed": seed,
                    "fold": fold,
                    "matching": "parameters",
                    "search": "cheap" if scenario.search else "full",
                    "kind": "fit",
                    "status": "done",
                    "metric": "accuracy",
                    "corruption": "",
                    "level": 0.0,
                }
                rows.append(base | {"split": "test", "value": test})
                rows.append(base | {"split": "validation", "value": validation})
                if scenario.floor is not None:
                    rows.append(base | {"split": "test", "metric": "linear", "value": scenario.floor})
        realised.setdefault(family, []).append(float(np.mean(parts)))
    return rows, without, float(np.mean(realised["liquid"]) - np.mean(realised["recurrent"]))


def calibrate(scenario: Scenario, studies: int, run=map) -> Outcome:
    """Judge so many studies of a scenario."""
    return sum(run(partial(study, scenario), range(studies)), Outcome())


def plainly(scenario: Scenario, seed: int) -> int:
    """What a plain rule says, for comparison: 1 if the best liquid network is better than the best recurrent, or -1.

    Both are the best of all by mean validation score; better means p below 0.05 by the paired t-test, and a mean
    difference of the smallest that counts.
    """
    rows, _, _ = _draw(
        scenario, "t", (*LIQUID[: scenario.liquid], *RECURRENT[: scenario.recurrent]), _random(scenario, seed)
    )
    scores = {split: {} for split in ("validation", "test")}
    for row in rows:
        scores[row["split"]].setdefault(row["model"], []).append(row["value"])
    best = [max(family & scores["test"].keys(), key=lambda m: np.mean(scores["validation"][m])) for family in _FAMILIES]
    first, second = (np.array(scores["test"][model]) for model in best)
    shown = stats.ttest_rel(first, second).pvalue < ALPHA and abs((first - second).mean()) >= MARGIN
    return int(shown * np.sign((first - second).mean()))


_FAMILIES = (set(LIQUID), set(RECURRENT))


def _random(scenario: Scenario, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, *scenario.name.encode()])


def comparison(studies: int) -> str:
    """The plain rule where all networks are of one distribution, in words."""
    (scenario,) = (one for one in NULL if one.name == "8 against 3, all of one distribution")
    said = Counter(plainly(scenario, seed) for seed in range(studies))
    return (
        f"For comparison, the best of all 8 against the best of all 3, all of one distribution, by a plain t-test: "
        f"liquid better in {said[1] / studies:.3f} of tasks, recurrent better in {said[-1] / studies:.3f}.\n"
    )


def table(outcomes: dict[Scenario, Outcome]) -> str:
    """What came out, in Markdown."""
    lines = []
    null = {one: told for one, told in outcomes.items() if one in NULL}
    real = {one: told for one, told in outcomes.items() if one not in null}
    if null:
        lines += [
            "| Nothing or little to find | Studies | False, per study | Liquid better, per task | Recurrent better | "
            "Interval covers |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
    for one, told in null.items():
        covers = f"{told.covered / told.intervals:.3f}" if told.intervals else ""
        lines.append(
            f"| {one.name} | {told.studies:,} | {told.false / told.studies:.3f} | {told.liquid / told.tasks:.3f} | "
            f"{told.recurrent / told.tasks:.3f} | {covers} |"
        )
    if real:
        lines += [
            "",
            "| A real difference | Studies | Found, per task | False, per study | Test over tasks |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
    for one, told in real.items():
        over = f"{told.over_tasks / told.studies:.2f}" if one.tasks > 5 else ""
        lines.append(
            f"| {one.name} | {told.studies:,} | {told.found / told.tasks:.2f} | {told.false / told.studies:.3f} | "
            f"{over} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000, help="a quarter for power, a fifth of many tasks")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="scenarios whose name holds this; nothing is written then")
    options = parser.parse_args()
    outcomes = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for scenario in (*NULL, *REAL):
            if options.only.lower() not in scenario.name.lower():
                continue
            fewer = 5 if scenario.tasks > 5 else 1 if scenario in NULL else 4
            studies = max(options.studies // fewer, 1)
            outcomes[scenario] = calibrate(scenario, studies, partial(pool.map, chunksize=10))
            print(table({scenario: outcomes[scenario]}), flush=True)
    if not options.only:
        RESULT.write_text(f"{HEAD}\n{table(outcomes)}\n{comparison(options.studies)}", encoding="utf-8")


HEAD = f"""# How often verdicts are false

Made by `make calibrate` ([benchmarks/calibrate.py](../../benchmarks/calibrate.py)): results drawn with a known truth
and judged by the package's own code. Seeds spread by {SEED_SPREAD:g}, the smallest difference that counts is
{MARGIN:g}; of one distribution means that networks' true scores spread by 0.02 (0.04 if it is wide). Five seeds and one
split where nothing else is said. The rules are in [protocol.md](../protocol.md#when-a-difference-counts).

A study is false if it claims anything false on any task, or over tasks. With 1,000 studies a rate of 0.05 is known
within 0.014. Exactly at the margin is the hardest case: there neither "better" nor "equivalent" is true. A claim on
this test set is true if it holds for the recordings that are in it.
"""

if __name__ == "__main__":
    main()
