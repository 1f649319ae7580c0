"""Measures kept networks, and a task's own policies, in the worlds of its closed loop.

    liquidbench train walker2d-loop GRU --parameters 5000 --steps 1500 --patience 1
    liquidbench train walker2d-loop FeedForward --parameters 5000 --steps 1500 --patience 1
    python benchmarks/worlds.py walker2d-loop trained/walker2d-loop-GRU trained/walker2d-loop-FeedForward

Each row is a world, with the task's judged measurement at each of its levels. All policies meet the same episodes.
"""

import argparse
from pathlib import Path

from liquidbench import kept, networks, shifts, tasks
from liquidbench.tasks.task import Policy, Task
from liquidbench.training.policy import NetworkPolicy, measure_policy


def policy_in(folder: Path, task: Task) -> Policy:
    network = kept.read(folder)
    return NetworkPolicy(networks.unpack(network.form, network.weights, task), task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    task = tasks.load(chosen.task)
    policies = {folder.name: policy_in(folder, task) for folder in chosen.folders} | task.policies
    for world in ("", *task.worlds):
        levels = shifts.find(world).levels if world else (0.0,)
        print(world or "that of training", *levels)
        for name, policy in policies.items():
            found = (measure_policy(task, policy, chosen.seed, world, level)[task.judged] for level in levels)
            print(f"  {name}:", *(reason if value is None else f"{value:,.5g}" for value, reason in found))


if __name__ == "__main__":
    main()
