"""Lets trained networks, and a task's own policies, act in every world of its closed loop; prints a table.

    liquidbench train walker2d-loop GRU --parameters 5000 --steps 1500 --patience 1
    liquidbench train walker2d-loop FeedForward --parameters 5000 --steps 1500 --patience 1
    python benchmarks/worlds.py walker2d-loop trained/walker2d-loop-GRU trained/walker2d-loop-FeedForward

A row is a policy. Cells are means over seeds: each measurement in the world of training, then what the task is judged
by in each other world at each level. All policies meet the same episodes.
"""

import argparse
from pathlib import Path
from statistics import fmean

from liquidbench import kept, networks, shifts, tasks
from liquidbench.tasks.task import Policy, Task
from liquidbench.training.policy import NetworkPolicy, measure_policy


def measured(task: Task, policy: Policy, seeds: int, world: str = "", level: float = 0.0) -> dict[str, float]:
    """Means over seeds, without those where a measurement has no value, such as a time to a target never reached."""
    found = [measure_policy(task, policy, seed, world, level) for seed in range(seeds)]
    known = {one.name: [at[one.name][0] for at in found if at[one.name][0] is not None] for one in task.measurements}
    return {name: fmean(value for value in values if value is not None) for name, values in known.items() if values}


def policy_in(folder: Path, task: Task) -> Policy:
    network = kept.read(folder)
    return NetworkPolicy(networks.unpack(network.form, network.weights, task), task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a task with a closed loop")
    parser.add_argument("folders", nargs="*", type=Path, help="folders of networks trained on it")
    parser.add_argument("--seeds", type=int, default=1, help="rollouts in each world (default: 1)")
    given = parser.parse_args()
    task = tasks.load(given.task)
    policies = {**task.policies, **{folder.name: policy_in(folder, task) for folder in given.folders}}
    worlds = [(world, level) for world in task.worlds for level in shifts.find(world).levels]
    names = [one.name for one in task.measurements]
    print("| Policy | " + " | ".join([*names, *(f"{world} {level:g}" for world, level in worlds)]) + " |")
    print("| --- " * (len(names) + len(worlds) + 1) + "|")
    for name, policy in policies.items():
        at_home = measured(task, policy, given.seeds)
        cells = [at_home.get(one) for one in names]
        cells += [measured(task, policy, given.seeds, *world).get(task.judged) for world in worlds]
        print(f"| {name} | " + " | ".join("-" if cell is None else f"{cell:,.4g}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
