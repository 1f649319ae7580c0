"""Chooses how many models, trials, seeds and steps of a comparison fit into the available time.

Verdicts ignore trainings that are cut off by the clock. So the steps of each network are timed first, and the scope is
chosen such that all trainings can finish, even if none stops early.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from statistics import mean

import torch

from liquidbench import matching, networks
from liquidbench.models import UserModel, family_of, model_name
from liquidbench.search import MIDDLE_RATE, RUNGS, Settings
from liquidbench.statistics import FEWEST_SEEDS, spreads_to_show
from liquidbench.study import STEPS_ELSEWHERE
from liquidbench.tasks.task import Task
from liquidbench.training.learning import EVALUATION_BATCH, Data, optimiser_of
from liquidbench.training.trainer import FEWEST_PATIENCE, interval, shuffled, step
from liquidbench.wording import counted

TRIALS = 4
"""Trials of each search if time allows."""

FEWEST_TRIALS = 2
"""Models are dropped before the number of trials falls below this: with one trial, there is nothing to choose from."""

SEEDS = 5
"""Seeds if time allows; with fewer, verdicts have a warning."""

STEPS = STEPS_ELSEWHERE
"""Steps of a training if time allows."""

FEWEST_STEPS = FEWEST_PATIENCE
"""Smallest number of steps of a training: the smallest patience."""

SLACK = 1.25
"""Safety factor on measured times: other programs may run, and parallel fits slow each other down."""


@dataclass(frozen=True)
class Timing:
    """The times that one model takes on a task, in seconds.

    Attributes:
        step: time of a training step, averaged over structures.
        slowest: time of a training step of the slowest structure.
        evaluation: time of an evaluation on validation, averaged over structures.
        scoring: time to score the best network on test, with all shifts.
        cost: time to measure its costs.
    """

    step: float
    slowest: float
    evaluation: float = 0.0
    scoring: float = 0.0
    cost: float = 0.0

    def training(self, steps: int) -> float:
        """Seconds of a training with this number of steps."""
        return steps * self.step + ceil(steps / interval(steps)) * self.evaluation


@dataclass(frozen=True)
class Scope:
    """The scope of a comparison.

    Attributes:
        models: the models to compare.
        trials: number of trials of each search.
        seeds: number of seeds.
        steps: largest number of steps of a training.
        seconds: estimated time if no training stops early.
        cap: minutes after which a search is cut off, equal for all; much longer than expected if `enough`.
        enough: whether all trainings can finish in the available time.
        dropped: what was left out to save time, in words.
    """

    models: tuple[str | UserModel, ...]
    trials: int
    seeds: int
    steps: int
    seconds: float = 0.0
    cap: float = 0.0
    enough: bool = True
    dropped: tuple[str, ...] = field(default=())


def time_models(
    task: Task,
    models: Sequence[str | UserModel],
    parameters: int,
    batch_size: int,
    shifted: int,
    threads: int,
    seconds: float,
    on_step: Callable[[str], None] = lambda what: None,
) -> dict[str | UserModel, Timing]:
    """Time training steps and evaluations of each model on a task.

    Args:
        task: the task; its test split is not read.
        models: the models of a study.
        parameters: the budget of each model.
        batch_size: sequences per step.
        shifted: number of shifted test splits that are scored.
        threads: threads per fit.
        seconds: approximate time to spend on all models. Each is timed at least once; structures that were not timed
            are assumed to be as slow as the slowest structure of their model that was.
        on_step: called with a description of the current step.

    Returns:
        The times of each model.

    Raises:
        ValueError: if a model has no size within the budget.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return dict(_time_models(task, models, parameters, batch_size, shifted, seconds, on_step))
    finally:
        torch.set_num_threads(before)


def _time_models(
    task: Task,
    models: Sequence[str | UserModel],
    parameters: int,
    batch_size: int,
    shifted: int,
    seconds: float,
    on_step: Callable[[str], None],
) -> Iterator[tuple[str | UserModel, Timing]]:
    train, validation = Data(task.split("train")), Data(task.split("validation"))
    for model in models:
        on_step(f"timing a training step of {model_name(model)}")
        deadline = time.perf_counter() + seconds / len(models)
        timed: list[tuple[float, float]] = []
        offered = matching.fitting_structures(model, task, parameters)
        for structure, size in offered:
            if timed and time.perf_counter() > deadline:
                timed += [max(timed)] * (len(offered) - len(timed))
                break
            settings = Settings(MIDDLE_RATE, structure=structure)
            timed.append(_time_network(task, model, size, settings, train, batch_size, deadline))
        taken = [training for training, _ in timed]
        reading = mean(reading for _, reading in timed)
        # Test is about as large as validation. Measuring costs takes about 30 steps and 220 single samples.
        yield (
            model,
            Timing(
                mean(taken),
                max(taken),
                len(validation) * reading,
                (1 + shifted) * len(validation) * reading,
                30 * mean(taken) + 0.5,
            ),
        )


@torch.random.fork_rng(devices=[])
def _time_network(
    task: Task, model: str | UserModel, size: int, settings: Settings, train: Data, batch_size: int, deadline: float
) -> tuple[float, float]:
    """Seconds per training step, and per sequence of a forward pass: minima of a few calls.

    A warm-up call with two sequences is not timed.
    """
    network = networks.build(model, task, size, 0, structure=settings.structure)
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


def choose_scope(
    timings: Mapping[str | UserModel, Timing],
    minutes: float,
    processes: int,
    setup: float = 0.0,
) -> Scope:
    """Choose how many models, trials, seeds and steps fit into the available time.

    What matters least to a verdict is reduced first: trials down to `FEWEST_TRIALS`, seeds down to `FEWEST_SEEDS`, then
    the slowest models are dropped as long as one of each family remains, then trials down to one, then steps down to
    `FEWEST_STEPS`. If even that does not fit, this smallest scope is returned with `Scope.enough` False.

    Args:
        timings: the times of each model.
        minutes: available time.
        processes: number of parallel fits.
        setup: seconds that a worker needs to start and load the data.
    """
    wanted = Scope(tuple(timings), TRIALS, SEEDS, STEPS)
    chosen = wanted
    for chosen in _smaller_scopes(wanted, timings):
        chosen = replace(chosen, seconds=_seconds(chosen, timings, processes, setup))
        if chosen.seconds <= 60 * minutes:
            break
    fits = len(chosen.models) * chosen.seeds
    enough = chosen.seconds <= 60 * minutes
    if enough:
        # The cap only matters if a measured time was far too short: then one fit must not use the time of all others.
        slowest = max(
            replace(timings[model], step=timings[model].slowest).training(chosen.steps) for model in chosen.models
        )
        cap = max(3 * chosen.trials * slowest, 5.0) / 60
    else:
        cap = minutes * min(processes, fits) / fits
    return replace(chosen, cap=round(cap, 4), enough=enough, dropped=_dropped(wanted, chosen, timings))


def _smaller_scopes(wanted: Scope, timings: Mapping[str | UserModel, Timing]) -> Iterator[Scope]:
    """Scopes of decreasing size, from the wanted one to the smallest that allows a verdict."""
    now = wanted
    yield now
    for trials in range(wanted.trials - 1, FEWEST_TRIALS - 1, -1):
        yield (now := replace(now, trials=trials))
    for seeds in range(wanted.seeds - 1, FEWEST_SEEDS - 1, -1):
        yield (now := replace(now, seeds=seeds))
    while (slowest := _slowest_dispensable(now.models, timings)) is not None:
        yield (now := replace(now, models=tuple(model for model in now.models if model != slowest)))
    for trials in range(FEWEST_TRIALS - 1, 0, -1):
        yield (now := replace(now, trials=trials))
    while now.steps > FEWEST_STEPS:
        yield (now := replace(now, steps=max(now.steps // 2, FEWEST_STEPS)))


def _slowest_dispensable(
    models: Sequence[str | UserModel], timings: Mapping[str | UserModel, Timing]
) -> str | UserModel | None:
    """The slowest model that can be dropped: liquid and recurrent networks must each keep one."""
    families = list(map(family_of, models))
    spare = [
        model
        for model, family in zip(models, families, strict=True)
        if (families.count(family) > 1 if family in ("liquid", "recurrent") else len(models) > 1)
    ]
    return max(spare, key=lambda model: timings[model].training(STEPS), default=None)


def full_trainings(trials: int) -> float:
    """Expected cost of a search with pruning, in full trainings.

    Draws are independent, so the n-th trial is in the better half of n with probability max(n // 2, 1) / n. It is then
    counted in full, and otherwise up to the first rung.
    """
    first = RUNGS[0] / 8
    return sum(first + (1 - first) * max(number // 2, 1) / number for number in range(1, trials + 1))


def _seconds(asked: Scope, timings: Mapping[str | UserModel, Timing], processes: int, setup: float) -> float:
    work = full_trainings(asked.trials)
    fits = [work * timings[model].training(asked.steps) + timings[model].scoring for model in asked.models]
    # A fit starts when a process is free: in the worst case the longest one starts last.
    at_once = min(processes, len(fits) * asked.seeds)
    work = sum(fits) * asked.seeds / at_once + max(fits) * (1 - 1 / at_once)
    costs = sum(timings[model].cost for model in asked.models)
    return SLACK * (setup + work + costs)


def _dropped(wanted: Scope, chosen: Scope, timings: Mapping[str | UserModel, Timing]) -> tuple[str, ...]:
    parts = []
    if chosen.trials < wanted.trials:
        parts.append(f"{counted(chosen.trials, 'trial')} of each search rather than {wanted.trials}")
    if chosen.seeds < wanted.seeds:
        parts.append(f"{counted(chosen.seeds, 'seed')} rather than {wanted.seeds}")
    if gone := [model for model in wanted.models if model not in chosen.models]:
        parts.append(
            f"without {', '.join(f'{model_name(model)} (a step takes {_time(timings[model].step)})' for model in gone)}"
        )
    if chosen.steps < wanted.steps:
        parts.append(f"{chosen.steps:,} steps of each training rather than {wanted.steps:,}")
    return tuple(parts)


def _time(seconds: float) -> str:
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def describe(
    scope: Scope,
    parameters: int,
    minutes: float,
    processes: int,
    timings: Mapping[str | UserModel, Timing],
    setup: float,
) -> list[str]:
    """Describe the plan, what was left out, and what the result can show.

    Args:
        scope: the result of `choose_scope`.
        parameters: parameters of each model.
        minutes: available time.
        processes: number of parallel fits.
        timings: the times of each model.
        setup: as for `choose_scope`.
    """
    count = f"{counted(len(scope.models), 'model')} ({', '.join(map(model_name, scope.models))})"
    lines = [
        f"plan: {count} of about {parameters:,} parameters, {counted(scope.trials, 'trial')} of each search, "
        f"{counted(scope.seeds, 'seed')}, at most {counted(scope.steps, 'step')} of each training"
    ]
    at_once = f", {counted(processes, 'fit')} at a time"
    took = f"about {_minutes(scope.seconds)} if no training stops early"
    if scope.enough:
        lines.append(f"time: {took}{at_once}; {minutes:g} min are available")
    else:
        lines.append(
            f"warning: {minutes:g} min are too short for a verdict: the smallest comparison that allows one takes "
            f"{took}{at_once}. Trainings will be cut off, and verdicts ignore those; the run only shows that "
            f"everything works. For a verdict: --minutes {max(ceil(1.1 * scope.seconds / 60), 1)}"
        )
    if scope.dropped:
        wanted = Scope(tuple(timings), TRIALS, SEEDS, STEPS)
        full = _seconds(wanted, timings, processes, setup)
        lines.append(
            "left out to save time, by steps timed just now (another call times them anew, and may choose otherwise): "
            f"{'; '.join(scope.dropped)}. Everything fits with --minutes {ceil(1.1 * full / 60)}"
        )
    if not {"liquid", "recurrent"} <= set(map(family_of, scope.models)):
        lines.append("can show: which of these models is better; not liquid against recurrent, which needs one of each")
    elif scope.enough:
        spreads = spreads_to_show(scope.seeds)
        few = "" if scope.seeds >= SEEDS else f"; fewer than {SEEDS} seeds come with a warning"
        lines.append(
            f"can show: with {scope.seeds} seeds and a power of 80 %, a difference between two models that exceeds the "
            f"smallest relevant one by about {spreads:.1f} times its standard deviation over seeds; smaller ones "
            f"mostly remain undecided{few}"
        )
    return lines


def _minutes(seconds: float) -> str:
    return f"{ceil(seconds)} s" if seconds < 90 else f"{ceil(seconds / 60)} min"
