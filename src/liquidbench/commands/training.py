"""`train`: one network on one task."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from liquidbench.commands.arguments import Command, add_data, add_table, positive, seed, table_options
from liquidbench.commands.refusing import refuse, refusing
from liquidbench.system.names import shown
from liquidbench.system.resources import ResourceError

if TYPE_CHECKING:
    from liquidbench.tasks.task import Task


def add(command: Command) -> None:
    """Declare the command."""
    added = command(
        "train", train_network, "Train one network on one task with one or more processes; resumes if interrupted."
    )
    added.add_argument("task", metavar="TASK", help="a name of `liquidbench list tasks`, or a table of your own")
    added.add_argument(
        "model", metavar="MODEL", help="a name of `liquidbench list models`, or package.module:name of your own"
    )
    added.add_argument("--target", metavar="COLUMN", default=argparse.SUPPRESS, help="column of the table to predict")
    add_table(added)
    size = added.add_mutually_exclusive_group()
    size.add_argument("--hidden-size", type=positive(int), metavar="N", help="units of the layer")
    size.add_argument(
        "--parameters",
        type=positive(int),
        default=4000,
        metavar="N",
        help="or trained parameters of the whole network, within 5 %% (default: 4000)",
    )
    added.add_argument(
        "--steps",
        type=positive(int),
        metavar="N",
        help="largest number of optimiser steps (default: see docs/tasks.md; 2000 for tasks that are not listed)",
    )
    for option, kind, default, meaning in (
        ("--batch-size", int, 64, "sequences per step, over all processes"),
        ("--learning-rate", float, 0.003, "learning rate after warm-up"),
        ("--clip-norm", float, 1.0, "norm that the gradient is clipped to"),
        ("--patience", float, 0.2, "share of the steps, at least 300, without a better score before training stops"),
    ):
        name = "S" if option == "--patience" else "N" if kind is int else "X"
        added.add_argument(
            option, type=positive(kind), default=default, metavar=name, help=f"{meaning} (default: {default})"
        )
    added.add_argument(
        "--devices",
        type=positive(int),
        metavar="N",
        help="number of processes that share each batch (default: 1, or those that torchrun has started)",
    )
    added.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="device of each process (default: cpu)")
    added.add_argument(
        "--parallel",
        choices=("ddp", "fsdp"),
        default="ddp",
        help="each process has the whole network (ddp), or a part of it, for large networks (fsdp) (default: ddp)",
    )
    added.add_argument(
        "--warm-up",
        type=float,
        default=0.05,
        metavar="S",
        help="share of the steps during which the learning rate rises (default: 0.05)",
    )
    added.add_argument(
        "--readout",
        choices=("last", "mean", "attention"),
        default="last",
        help="how outputs are combined if a sequence has one target (default: last)",
    )
    added.add_argument("--weight-decay", type=float, default=0.0, metavar="X", help="weight decay (default: 0)")
    for option, choices in (("--optimiser", ("adamw", "rmsprop")), ("--schedule", ("constant", "cosine"))):
        added.add_argument(option, choices=choices, default=choices[0], help=f"default: {choices[0]}")
    added.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of all random numbers (default: 0)")
    added.add_argument(
        "--threads",
        type=positive(int),
        metavar="N",
        help="threads per process (default: cores divided by the number of processes)",
    )
    added.add_argument(
        "--folder", metavar="DIR", help="for checkpoint, network and scores (default: trained/TASK-MODEL)"
    )
    add_data(added)
    added.add_argument(
        "--minutes", type=positive(float), metavar="M", help="stop after this time; the same command continues"
    )
    added.add_argument(
        "--save-every", type=float, default=60.0, metavar="S", help="seconds between checkpoints (default: 60)"
    )


def train_network(options: argparse.Namespace) -> int:
    """Train one network on one task, or go on with it."""
    from liquidbench import matching
    from liquidbench.models import UserModel, model_name
    from liquidbench.search import Settings
    from liquidbench.study import STEPS, STEPS_ELSEWHERE
    from liquidbench.training import distributed
    from liquidbench.training.replicas import PeerLostError, TrainingConfig
    from liquidbench.training.trainer import Evaluation
    from liquidbench.user_code import is_code

    chosen = ("learning_rate", "optimiser", "schedule", "weight_decay", "clip_norm", "patience", "warm_up", "readout")
    settings = Settings(**{name: getattr(options, name) for name in chosen})

    with refusing():
        task = _task_to_train(options)
        model = UserModel.from_code(options.model) if is_code(options.model) else options.model
        folder = Path(options.folder or Path("trained") / f"{task.name}-{model_name(model)}")
        size = options.hidden_size or matching.size_for_budget(model, task, options.parameters, options.seed)
        config = TrainingConfig(
            model,
            size,
            settings,
            options.steps or STEPS.get(task.name, STEPS_ELSEWHERE),
            options.batch_size,
            options.seed,
            options.devices or distributed.processes(),
            options.threads,
            options.device,
            options.parallel,
        )
        parameters = matching.count_parameters(config.build(task))
    # Under torchrun, only one process prints.
    say = print if distributed.is_first() else lambda *words, **how: None
    say(f"{model_name(model)} with {size} units, {parameters:,} parameters, on {task.name}, in {folder}", flush=True)

    def tell(at: Evaluation) -> None:
        scored = "undefined" if at.score is None else f"{at.score:.4g}"
        say(
            f"step {at.step:>{len(str(config.steps))}}/{config.steps}: training loss {at.train_loss:.4g}, validation "
            f"loss {at.validation_loss:.4g}, {task.metric} {scored}, {at.sequences / at.seconds:,.0f} sequences/s",
            flush=True,
        )

    try:
        with refusing((ValueError, TypeError, ModuleNotFoundError, MemoryError, ResourceError)):
            trained = distributed.train(
                task, config, folder, minutes=options.minutes, save_every=options.save_every, on_evaluation=tell
            )
    except (FloatingPointError, ChildProcessError, PeerLostError) as problem:
        print(f"liquidbench: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        refuse(f"{folder} must be a folder that can be written to ({problem.strerror or problem}); choose another one")
    if trained.ended == "minutes":
        say(f"Stopped after {options.minutes:g} minutes; the same command continues")
        return 0
    say(f"Ended: {trained.ended}; the best step was {trained.best_step}")
    for split, scores in trained.scores.items():
        known = (f"{metric} {'undefined' if value is None else f'{value:.4g}'}" for metric, value in scores.items())
        say(f"{split}: {', '.join(known)}")
    say(f"Network: {folder}")
    return 0


def _task_to_train(options: argparse.Namespace) -> "Task":
    """A task by its name, or that of a table, which is described."""
    from liquidbench import tasks
    from liquidbench.tasks import columns, table
    from liquidbench.training import distributed

    asked = table_options(options)
    path = Path(options.task.removesuffix(".gz"))
    if path.suffix.lower() not in columns.ENDINGS:
        if asked:
            given = "--task" if (first := next(iter(asked))) == "kind" else f"--{first}"
            raise ValueError(f"{given} is for a table; {options.task!r} is the name of a task")
        return tasks.load(options.task, options.data)
    if "target" not in asked:
        raise ValueError(f"--target must name the column of {options.task} to predict")
    planned = table.plan({"table": options.task, **asked}, options.data)
    if distributed.is_first():
        for line in planned.lines:
            print(shown(line))
    return planned.task
