"""Objectives for several environments, on tasks with a known answer and on real ones: what they bring in a new one.

    python benchmarks/objectives.py                   # docs/results/objectives/, ten minutes a seed on one core
    python benchmarks/objectives.py power --seeds 2   # some of it

Trains a GRU with each objective at each strength. Of the checkpoints of all strengths, one rule takes that which is
best on validation data of the training environments, another that which is best on data of the test environment, which
nobody has: an oracle. Both are scored on other data of the test environment. On `spurious-fourier` and `tcmnist-source`
that is the task's own; on real tasks each environment is the test environment in turn, and training sees the others.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import matplotlib
import numpy as np
import torch

from liquidbench import networks, objectives, tasks
from liquidbench.metrics import score
from liquidbench.search import Settings
from liquidbench.tasks.environments import left_out
from liquidbench.tasks.invariance import spurious_fourier, tcmnist_source
from liquidbench.tasks.task import Split, Task
from liquidbench.training.learning import Data, predict
from liquidbench.training.trainer import Evaluation, Trainer, objective_of, sampler_of

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

PENALTIES = {"erm": (None,), "irm": (10.0,), "vrex": (10.0,), "group_dro": (0.1,), "coral": (1.0,)}
KNOWN = {"erm": (None,), "irm": (100.0,), "vrex": (100.0,), "group_dro": (0.1,), "coral": (10.0,)}
MODEL, UNITS, RATE, PLACES = "GRU", 24, 0.01, 10
RESULTS = Path(__file__).parents[1] / "docs" / "results" / "objectives"
# From the colour-blind-safe palette of Okabe and Ito.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Problem:
    """A task, and what is tried on it.

    Attributes:
        task: loads it, with the seed of generated data.
        strengths: of each objective.
        steps: of each training.
        environments: what each is called, by number; empty where the task has a test environment of its own.
        about: what its scores mean, a sentence.
    """

    task: str | Callable[[int], Task]
    strengths: Mapping[str, tuple[float | None, ...]]
    steps: int
    environments: dict[int, str]
    about: str

    def parts(self, seed: int) -> Iterator[tuple[str, Task, Split, Split, Split, Split]]:
        """Name of the test environment, task, training, validation, what the oracle sees, and what is scored."""
        task = tasks.load(self.task) if isinstance(self.task, str) else self.task(seed)
        train, validation, test = (task.split(name) for name in ("train", "validation", "test"))
        if not self.environments:
            first = np.arange(len(test)) < len(test) // 2
            yield "", task, train, validation, test.only(first), test.only(~first)
            return
        for number, others, _ in left_out(train):
            seen, new = (part.environments == number for part in (validation, test))
            yield self.environments[number], task, others, validation.only(~seen), validation.only(seen), test.only(new)


SEASONS = {0: "winter", 1: "spring", 2: "summer", 3: "autumn"}
UNITS_OF_CARE = {1: "coronary", 2: "cardiac surgery", 3: "medical", 4: "surgical"}
MISLEADING = (
    "Who follows the invariant cause is right in 75 % of cases everywhere, who follows the spurious one in 85 % in "
    "training and in 10 % in test."
)
PROBLEMS = {
    "spurious-fourier": Problem(
        lambda seed: spurious_fourier(sizes=(1000, 200, 1000), seed=seed),
        KNOWN | {"state_moments": (10.0,), "mixup": (0.2,)},
        600,
        {},
        MISLEADING,
    ),
    "tcmnist-source": Problem(
        lambda seed: tcmnist_source(sizes=(1000, 200, 1000), seed=seed), KNOWN, 400, {}, MISLEADING
    ),
    "physionet2012": Problem(
        "physionet2012-official",
        PENALTIES,
        100,
        UNITS_OF_CARE,
        "Trained on three intensive-care units of set a, tested on the fourth in set b; the oracle sees validation "
        "stays of that unit.",
    ),
    "traffic": Problem(
        "traffic",
        PENALTIES,
        200,
        SEASONS,
        "Trained on three seasons of 2012 to 2016, tested on the fourth in the year from October 2017; the oracle sees "
        "it in the year before. The squared error is in units of the variance in training.",
    ),
    "power": Problem(
        "power",
        PENALTIES,
        100,
        SEASONS,
        "Trained on three seasons of 2007 and 2008, tested on the fourth in 2010; the oracle sees it in 2009. The "
        "squared error is in units of the variance in training.",
    ),
}

Checkpoint = tuple[int, float, float, float]
"""Step, score on validation, on what the oracle sees, and on test."""


def checkpoints(
    task: Task, parts: Sequence[Split], name: str, strength: float | None, seed: int, steps: int
) -> list[Checkpoint]:
    """Places of one training, evenly spaced."""
    train, validation, seen, test = map(Data, parts)
    objective = objective_of(name, strength, train, steps)
    model = networks.build(MODEL, task, UNITS, seed)
    torch.manual_seed(seed)
    trainer = Trainer(
        model,
        Settings(RATE, patience=1.0),
        train,
        validation,
        steps=steps,
        batch_size=64,
        seed=seed,
        metric=task.main,
        objective=objective,
        sampler=sampler_of(task, objective),
    )
    found: list[Checkpoint] = []

    def scored(data: Data) -> float:
        targets, predictions = predict(model, data)
        return score(task.main, targets.numpy(), predictions.numpy())

    def look(evaluation: Evaluation) -> None:
        if evaluation.step < steps * (len(found) + 1) / PLACES:
            return
        assert evaluation.score is not None
        found.append((evaluation.step, evaluation.score, scored(seen), scored(test)))

    trainer.run(on_evaluation=look)
    return found


Found = dict[str, list[tuple[str, list[list[Checkpoint]]]]]
"""By objective, for each test environment and seed: the environment, and the checkpoints of each strength."""


def chosen(strengths: list[list[Checkpoint]], by: int, higher: bool) -> Checkpoint:
    """The checkpoint with the best score in one column."""
    return (max if higher else min)((one for found in strengths for one in found), key=lambda one: one[by])


def rows(problem: Problem, found: Found, higher: bool) -> list[str]:
    """The table: an objective each."""
    digits = ".1%" if higher and not problem.environments else ".3f"
    lines = []
    for name, runs in found.items():
        by_rule = [[chosen(strengths, by, higher) for _, strengths in runs] for by in (1, 2)]
        validation, test, oracle = [c[1] for c in by_rule[0]], [c[3] for c in by_rule[0]], [c[3] for c in by_rule[1]]
        base = [chosen(strengths, 1, higher)[3] for _, strengths in found["erm"]]
        changes = [own - other for own, other in zip(test, base, strict=True)]
        better = sum(change > 0 if higher else change < 0 for change in changes)
        against = "" if name == "erm" else f"{fmean(changes):+{digits}}, better in {better} of {len(changes)}"
        tried = ", ".join("" if one is None else f"{one:g}" for one in problem.strengths[name])
        each = {where: fmean(t for (e, _), t in zip(runs, test, strict=True) if e == where) for where, _ in runs}
        worst = format((min if higher else max)(each.values()), digits)
        cells = [fmean(validation), fmean(test), fmean(oracle)]
        known = [format(one, digits) for one in cells]
        known.insert(2, against)
        lines.append(
            f"| {objectives.OBJECTIVES[name].title} | {tried} | {' | '.join(known)} |"
            + (f" {worst} |" if problem.environments else "")
        )
    return lines


def page(name: str, problem: Problem, found: Found, metric: str, higher: bool, asked: argparse.Namespace) -> str:
    heads = ["objective", "strengths", "validation, in distribution", "test, chosen in distribution"]
    heads += ["against ERM", "test, chosen by an oracle"] + ["worst environment"] * bool(problem.environments)
    where = f"each of the environments {', '.join(problem.environments.values())} in turn as test, " * bool(
        problem.environments
    )
    return "\n".join(
        [
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
            *rows(problem, found, higher),
            "",
            f"{metric[:1].upper()}{metric[1:]} ({'higher' if higher else 'lower'} is better) of a {MODEL} of {UNITS} "
            f"units, {problem.steps} steps of 64 sequences with Adam at a rate of {RATE}, {PLACES} checkpoints of each "
            f"training; {where}{asked.seeds} seed{'s' * (asked.seeds > 1)}. {problem.about} Made by "
            f"`python benchmarks/objectives.py {name} --seeds {asked.seeds}`.",
            "",
        ]
    )


def draw(name: str, found: Found, metric: str, higher: bool) -> None:
    """Learning curves: means over test environments and seeds, of the strength that validation chooses in each."""
    plt.rcParams |= {"svg.hashsalt": "objectives", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.3), layout="constrained", sharey=True)
    best = max if higher else min
    for colour, (objective, runs) in zip(COLOURS, found.items(), strict=False):
        curves = [best(strengths, key=lambda one: best(at[1] for at in one)) for _, strengths in runs]
        steps = [at[0] for at in curves[0]]
        for axis, column in zip(axes, (1, 3), strict=True):
            means = np.mean([[at[column] for at in curve] for curve in curves], axis=0)
            axis.plot(steps, means, ".-", color=colour, label=objectives.OBJECTIVES[objective].title)
    for axis, title in zip(axes, ("Validation, environments of training", "Test, a new environment"), strict=True):
        axis.set(xlabel="step", title=title)
    axes[0].set(ylabel=metric)
    axes[1].legend(fontsize=7)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="TASK", help=f"some of {', '.join(PROBLEMS)}; all by default")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(PROBLEMS):
        parser.error(f"TASK must be among {', '.join(PROBLEMS)}; got {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in asked.names or PROBLEMS:
        problem, found, main_metric = PROBLEMS[name], {objective: [] for objective in PROBLEMS[name].strengths}, None
        for seed in range(asked.seeds):
            for where, task, *parts in problem.parts(seed):
                main_metric = task.main
                for objective, strengths in problem.strengths.items():
                    trained = partial(checkpoints, task, parts, objective, seed=seed, steps=problem.steps)
                    found[objective].append((where, [trained(strength=strength) for strength in strengths]))
                print(name, seed, where, *rows(problem, found, task.main.higher_is_better), sep="\n", flush=True)
        assert main_metric is not None
        about = main_metric.label, main_metric.higher_is_better
        (RESULTS / f"{name}.md").write_text(page(name, problem, found, *about, asked), encoding="utf-8")
        draw(name, found, *about)


if __name__ == "__main__":
    main()
