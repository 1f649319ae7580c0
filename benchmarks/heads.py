"""How many training steps policies need behind a shared encoder: trains each at one rate, and flies it; prints a table.

    python benchmarks/heads.py flight LTC:0.01 CfC:0.003 GRU:0.003 --steps 2000 4000 12000

A row is a network and a number of steps: AdamW with a cosine schedule, batches of 8. It acts in as many rollouts as are
asked for, of seeds that no study uses. With ``--window`` the first row is the encoder's own network, which looks back
over 16 images. The encoder is kept in ``--folder``.
"""

import argparse
import time
from collections import deque
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from liquidbench import matching, networks, tasks
from liquidbench.networks import SequenceModel
from liquidbench.search import Settings
from liquidbench.study import Robustness, Run, Search, Training
from liquidbench.tasks.task import Policy, Task
from liquidbench.training import encoding
from liquidbench.training.learning import Data
from liquidbench.training.policy import NetworkPolicy, measure_policy
from liquidbench.training.trainer import Trainer

SEEDS = 10_000
"""First seed of the rollouts."""


class WindowPolicy:
    """The encoder's own network, which is given the last `encoding.WINDOW` pictures at each step."""

    def __init__(self, model: SequenceModel, task: Task):
        self._model, self._task = model, task
        self._seen: deque[tuple[NDArray[np.uint8], NDArray[np.floating[Any]]]] = deque(maxlen=encoding.WINDOW)

    def reset(self, episodes: int | None = None) -> None:
        """Forget what was seen."""
        self._seen.clear()

    def __call__(self, observation: Any, *, timespan: Any = None, mask: Any = None) -> NDArray[np.float64]:
        """The command in each flight."""
        self._seen.append((observation, np.broadcast_to(timespan, len(observation)) / self._task.timespan_unit))
        frames, spans = (torch.as_tensor(np.stack(part, axis=1)) for part in zip(*self._seen, strict=True))
        with torch.inference_mode():
            answer = self._model(frames, spans.float(), None)[:, -1].numpy().astype(np.float64)
        return answer if self._task.target_scaler is None else self._task.target_scaler.restore(answer)


def flown(task: Task, policy: Policy, rollouts: int) -> float:
    """The mean over rollouts of what the task is judged by."""
    found = [measure_policy(task, policy, SEEDS + seed)[task.judged] for seed in range(rollouts)]
    assert all(value is not None for value, _ in found), found
    return fmean(value for value, _ in found if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a task with images and a closed loop")
    parser.add_argument("networks", nargs="*", metavar="MODEL:RATE", help="networks and their learning rates")
    parser.add_argument("--steps", nargs="+", type=int, default=[12_000])
    parser.add_argument("--parameters", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rollouts", type=int, default=2)
    parser.add_argument("--window", action="store_true", help="train and fly the encoder's own network too")
    parser.add_argument("--folder", type=Path, default=Path("results/heads"))
    given = parser.parse_args()
    task = tasks.load(given.task)
    run = Run(
        *("fit", task.name, "GRU", "matched", given.seed, 0, "parameters", given.parameters),
        training=Training(steps=encoding.STEPS, encoder="shared"),
        search=Search(),
        tuned=(given.seed, 0),
        robustness=Robustness(),
    )
    print(f"| network | steps | best after | validation {task.metric} | {task.judged} | seconds |")
    print("|---|---|---|---|---|---|")
    if given.window:
        began = time.perf_counter()
        policy = WindowPolicy(encoding.window_network(run, task), task)
        seconds = time.perf_counter() - began
        judged = flown(task, policy, given.rollouts)
        print(f"| the encoder's own | {encoding.STEPS:,} | | | {judged:.3f} | {seconds:.0f} |", flush=True)
    images = encoding.shared(run, task, given.folder)
    train = encoding.encoded(Data(task.split("train")), images, encoding.COPIES, given.seed)
    validation = encoding.encoded(Data(task.split("validation")), images)
    for name, rate in (one.split(":") for one in given.networks):
        size = matching.size_for_budget(name, task, given.parameters, given.seed)
        for steps in given.steps:
            model = networks.build(name, task, size, given.seed)
            model.encoder = None
            torch.manual_seed(given.seed)
            settings = Settings(float(rate), schedule="cosine")
            how = {"steps": steps, "batch_size": 8, "seed": given.seed, "metric": task.main}
            trainer = Trainer(model, settings, train, validation, **how)
            began = time.perf_counter()
            trainer.run()
            seconds, at = time.perf_counter() - began, trainer.progress
            model.encoder = images
            judged = flown(task, NetworkPolicy(model.eval(), task), given.rollouts)
            told = f"{steps:,} | {at.best_step:,} | {at.best_score:.3f} | {judged:.3f} | {seconds:.0f}"
            print(f"| {name}, {rate} | {told} |", flush=True)


if __name__ == "__main__":
    main()
