"""How much of a comparison fits into the minutes that there are, found out before anything is trained.

A training that the clock cuts off says nothing of its model, and no verdict is built on one. So steps of each network
are timed first, and then so much is planned that all of it ends by itself, even if no training stops early.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from statistics import mean

import torch

from liquidbench import catalogue, matching
from liquidbench.models import OwnModel, family_of, model_name
from liquidbench.search import MIDDLE_RATE, RUNGS, Settings
from liquidbench.statistics import FEWEST_SEEDS, spreads_to_show
from liquidbench.study import STEPS_ELSEWHERE
from liquidbench.tasks.task import Task
from liquidbench.training.learning import EVALUATION_BATCH, Data, optimiser_of
from liquidbench.training.trainer import FEWEST_PATIENCE, interval, shuffled, step
from liquidbench.wording import counted

TRIALS = 4
"""Trials of each search where time allows."""

FEWEST_TRIALS = 2
"""Trials of each search before a model is given up for time: with one, validation has nothing to choose from."""

SEEDS = 5
"""Seeds where time allows: with fewer, a verdict comes with a warning."""

STEPS = STEPS_ELSEWHERE
"""Steps of a training where time allows."""

FEWEST_STEPS = FEWEST_PATIENCE
"""Steps that there are in any case: as many as are waited for in vain before a training stops."""

SLACK = 1.25
"""Room for what was timed too short: other work on the machine, fits that are in each other's way."""


@dataclass(frozen=True)
class Pace:
    """What one model takes on a task, in seconds.

    Attributes:
        step: one step of training, the mean of its structures.
        slowest: the same of its slowest structure.
        evaluation: one pass over validation, the mean of its structures.
        scoring: of a chosen network on test, with all corruptions.
        cost: to measure its costs.
    """

    step: float
    slowest: float
    evaluation: float = 0.0
    scoring: float = 0.0
    cost: float = 0.0

    def training(self, steps: int) -> float:
        """Seconds of a training of so many steps."""
        return steps * self.step + ceil(steps / interval(steps)) * self.evaluation


@dataclass(frozen=True)
class Allowance:
    """What is run in the time there is.

    Attributes:
        models: those that are compared.
        trials: of each search.
        seeds: each with all models.
        steps: of a training, at most.
        seconds: the time for all of it if no training stops for want of patience.
        cap: minutes after which a search is cut off, the same for all: far more than it should need, if `enough`.
        enough: whether all trainings can end by themselves within the minutes.
        dropped: what was left out for want of time, in words.
    """

    models: tuple[str | OwnModel, ...]
    trials: int
    seeds: int
    steps: int
    seconds: float = 0.0
    cap: float = 0.0
    enough: bool = True
    dropped: tuple[str, ...] = field(default=())


def paces(
    task: Task,
    models: Sequence[str | OwnModel],
    parameters: int,
    batch_size: int,
    corruptions: int,
    threads: int,
    seconds: float,
    on_step: Callable[[str], None] = lambda what: None,
) -> dict[str | OwnModel, Pace]:
    """Time steps of each model's networks on a task, with throw-away copies; nothing is kept of them.

    Args:
        task: its data, of which the test split is not asked for.
        models: of a study.
        parameters: the budget of each.
        batch_size: sequences a step.
        corruptions: how often test is scored, beside once as it is.
        threads: that each fit computes on.
        seconds: about how long to time, over all models. Each is timed once in any case; structures that the time
            does not reach are taken to be as slow as the slowest of their model that it did.
        on_step: told which model is timed.

    Returns:
        The pace of each model.

    Raises:
        ValueError: a model has no size within the budget.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return dict(_paces(task, models, parameters, batch_size, corruptions, seconds, on_step))
    finally:
        torch.set_num_threads(before)


def _paces(
    task: Task,
    models: Sequence[str | OwnModel],
    parameters: int,
    batch_size: int,
    corruptions: int,
    seconds: float,
    on_step: Callable[[str], None],
) -> Iterator[tuple[str | OwnModel, Pace]]:
    train, validation = Data(task.split("train")), Data(task.split("validation"))
    for model in models:
        on_step(f"timing a training step of {model_name(model)}")
        deadline = time.perf_counter() + seconds / len(models)
        timed: list[tuple[float, float]] = []
        offered = matching.structures(model, task, parameters)
        for structure, size in offered:
            if timed and time.perf_counter() > deadline:
                timed += [max(timed)] * (len(offered) - len(timed))
                break
            settings = Settings(MIDDLE_RATE, structure=structure)
            timed.append(_timed(task, model, size, settings, train, batch_size, deadline))
        taken = [training for training, _ in timed]
        reading = mean(reading for _, reading in timed)
        # Test is about as large as validation. Costs are some thirty steps and 220 samples, one at a time.
        yield (
            model,
            Pace(
                mean(taken),
                max(taken),
                len(validation) * reading,
                (1 + corruptions) * len(validation) * reading,
                30 * mean(taken) + 0.5,
            ),
        )


@torch.random.fork_rng(devices=[])
def _timed(
    task: Task, model: str | OwnModel, size: int, settings: Settings, train: Data, batch_size: int, deadline: float
) -> tuple[float, float]:
    """Seconds for a training step, and for reading one sequence; the least of a few, since disturbances only add.

    The first call is not timed, for it chooses kernels and fetches memory; it is on two sequences, lest it last.
    """
    network = catalogue.build(model, task, size, 0, structure=settings.structure)
    optimiser = optimiser_of(network, settings)
    batches = shuffled(train, batch_size, torch.Generator().manual_seed(0))[:4]
    read = torch.arange(min(EVALUATION_BATCH, len(train)))
    network.train()

    def reading(batch: torch.Tensor) -> None:
        with torch.inference_mode():
            network(*train.inputs(batch))

    def training(batch: torch.Tensor) -> None:
        step(network, optimiser, train, batch, settings.clip_norm)

    least = []
    for action, timed in ((training, batches), (reading, (read, read, read))):
        action(timed[0][:2])
        taken = []
        for number, batch in enumerate(timed):
            began = time.perf_counter()
            action(batch)
            taken.append(time.perf_counter() - began)
            if number and time.perf_counter() > deadline:
                break
        least.append(min(taken))
    return least[0], least[1] / len(read)


def allot(
    found: Mapping[str | OwnModel, Pace],
    minutes: float,
    processes: int,
    setup: float = 0.0,
) -> Allowance:
    """Choose how many models, trials, seeds and steps fit.

    What goes first for want of time is what costs a verdict least: trials down to `FEWEST_TRIALS`, then seeds down to
    `FEWEST_SEEDS`, then the slowest models, as long as one liquid and one recurrent network are left of those there
    were, then the choice among trials, then steps down to `FEWEST_STEPS`. If not even that fits, it is what is tried,
    cut off by the clock.

    Args:
        found: each model's pace.
        minutes: there are.
        processes: fits at the same time.
        setup: seconds in which a worker starts and loads the data.
    """
    wanted = Allowance(tuple(found), TRIALS, SEEDS, STEPS)
    chosen = wanted
    for chosen in _fewer(wanted, found):
        chosen = replace(chosen, seconds=_seconds(chosen, found, processes, setup))
        if chosen.seconds <= 60 * minutes:
            break
    fits = len(chosen.models) * chosen.seeds
    enough = chosen.seconds <= 60 * minutes
    if enough:
        # Only for what was timed quite wrongly: then one fit does not eat up the time of all others.
        slowest = max(
            replace(found[model], step=found[model].slowest).training(chosen.steps) for model in chosen.models
        )
        cap = max(3 * chosen.trials * slowest, 5.0) / 60
    else:
        cap = minutes * min(processes, fits) / fits
    return replace(chosen, cap=round(cap, 4), enough=enough, dropped=_dropped(wanted, chosen, found))


def _fewer(wanted: Allowance, found: Mapping[str | OwnModel, Pace]) -> Iterator[Allowance]:
    """From all that is wanted to the least that a verdict can be built on."""
    now = wanted
    yield now
    for trials in range(wanted.trials - 1, FEWEST_TRIALS - 1, -1):
        yield (now := replace(now, trials=trials))
    for seeds in range(wanted.seeds - 1, FEWEST_SEEDS - 1, -1):
        yield (now := replace(now, seeds=seeds))
    while (slowest := _spare(now.models, found)) is not None:
        yield (now := replace(now, models=tuple(model for model in now.models if model != slowest)))
    for trials in range(FEWEST_TRIALS - 1, 0, -1):
        yield (now := replace(now, trials=trials))
    while now.steps > FEWEST_STEPS:
        yield (now := replace(now, steps=max(now.steps // 2, FEWEST_STEPS)))


def _spare(models: Sequence[str | OwnModel], found: Mapping[str | OwnModel, Pace]) -> str | OwnModel | None:
    """The slowest model without which each family that a verdict compares still has one."""
    families = list(map(family_of, models))
    spare = [
        model
        for model, family in zip(models, families, strict=True)
        if (families.count(family) > 1 if family in ("liquid", "recurrent") else len(models) > 1)
    ]
    return max(spare, key=lambda model: found[model].training(STEPS), default=None)


def whole_trainings(trials: int) -> float:
    """As how many whole trainings a search of so many trials counts, as trials that do worse are stopped at a rung.

    Draws come in any order, so the n-th of them is among the better half of n by chance; it is counted to the end then,
    and to the first rung else.
    """
    first = RUNGS[0] / 8
    return sum(first + (1 - first) * max(number // 2, 1) / number for number in range(1, trials + 1))


def _seconds(asked: Allowance, found: Mapping[str | OwnModel, Pace], processes: int, setup: float) -> float:
    work = whole_trainings(asked.trials)
    fits = [work * found[model].training(asked.steps) + found[model].scoring for model in asked.models]
    # Fits begin one after another as processes get free: at worst the longest is the last to begin.
    at_once = min(processes, len(fits) * asked.seeds)
    work = sum(fits) * asked.seeds / at_once + max(fits) * (1 - 1 / at_once)
    costs = sum(found[model].cost for model in asked.models)
    return SLACK * (setup + work + costs)


def _dropped(wanted: Allowance, chosen: Allowance, found: Mapping[str | OwnModel, Pace]) -> tuple[str, ...]:
    parts = []
    if chosen.trials < wanted.trials:
        parts.append(f"{counted(chosen.trials, 'trial')} of each search rather than {wanted.trials}")
    if chosen.seeds < wanted.seeds:
        parts.append(f"{counted(chosen.seeds, 'seed')} rather than {wanted.seeds}")
    if gone := [model for model in wanted.models if model not in chosen.models]:
        parts.append(
            f"without {', '.join(f'{model_name(model)} (a step takes {_time(found[model].step)})' for model in gone)}"
        )
    if chosen.steps < wanted.steps:
        parts.append(f"{chosen.steps:,} steps of each training rather than {wanted.steps:,}")
    return tuple(parts)


def _time(seconds: float) -> str:
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def in_words(
    allowance: Allowance,
    parameters: int,
    minutes: float,
    processes: int,
    found: Mapping[str | OwnModel, Pace],
    setup: float,
) -> list[str]:
    """What is planned, what was left out and why, and what the outcome can decide.

    Args:
        allowance: what `allot` chose.
        parameters: of each model.
        minutes: there are.
        processes: fits at the same time.
        found: each model's pace.
        setup: as for `allot`.
    """
    count = f"{counted(len(allowance.models), 'model')} ({', '.join(map(model_name, allowance.models))})"
    lines = [
        f"plan: {count} of about {parameters:,} parameters, {counted(allowance.trials, 'trial')} of each search, "
        f"{counted(allowance.seeds, 'seed')}, at most {counted(allowance.steps, 'step')} of each training"
    ]
    at_once = f", {counted(processes, 'fit')} at a time"
    took = f"about {_minutes(allowance.seconds)} if no training stops early"
    if allowance.enough:
        lines.append(f"time: {took}{at_once}; {minutes:g} min are there")
    else:
        lines.append(
            f"warning: {minutes:g} min are too few for a verdict: the least that one can be built on takes {took}"
            f"{at_once}. Trainings will be cut off, and what is cut off is not judged; the run shows "
            f"only that all works. For a verdict: --minutes {max(ceil(1.1 * allowance.seconds / 60), 1)}"
        )
    if allowance.dropped:
        wanted = Allowance(tuple(found), TRIALS, SEEDS, STEPS)
        full = _seconds(wanted, found, processes, setup)
        lines.append(
            f"left out for want of time: {'; '.join(allowance.dropped)}. All would fit with --minutes "
            f"{ceil(1.1 * full / 60)}"
        )
    if not {"liquid", "recurrent"} <= set(map(family_of, allowance.models)):
        lines.append("can show: which of these models is better; not liquid against recurrent, which takes one of each")
    elif allowance.enough:
        spreads = spreads_to_show(allowance.seeds)
        few = "" if allowance.seeds >= SEEDS else f"; fewer than {SEEDS} seeds come with a warning"
        lines.append(
            f"can show: with {allowance.seeds} seeds, most likely (in 80 %), a difference between two models that "
            f"exceeds the smallest that counts by about {spreads:.1f} times its own spread from seed to seed; smaller "
            f"ones mostly stay open{few}"
        )
    return lines


def _minutes(seconds: float) -> str:
    return f"{ceil(seconds)} s" if seconds < 90 else f"{ceil(seconds / 60)} min"
