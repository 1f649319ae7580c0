"""Flies networks trained on a task of hidden dynamics, and the task's own policies, in every world; prints a table.

    liquidbench train hidden-dynamics GRU --parameters 2084 --steps 3000 --learning-rate 0.005 --folder trained/GRU
    python benchmarks/hidden_dynamics.py hidden-dynamics trained/GRU

A row is a policy. Cells are the shares of successes and of crashes in the world of the demonstrations, and of successes
in each other world at each level, in percent. All fly the same drones from the same starts.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from liquidbench import kept, networks, shifts, tasks
from liquidbench.tasks.task import Policy, Task
from liquidbench.training.policy import NetworkPolicy, measure_policy


def flown(task: Task, policy: Policy, seeds: int, world: str = "", level: float = 0.0) -> tuple[float, float]:
    """Shares of successes and of crashes over the flights of some seeds."""
    found = [measure_policy(task, policy, seed, world, level) for seed in range(seeds)]
    for one in found:
        for value, reason in one.values():
            if value is None:
                raise ValueError(reason)
    means = [sum(one[name][0] or 0.0 for one in found) / seeds for name in ("success", "crash")]
    return means[0], means[1]


def policies(task: Task, folders: list[Path]) -> Iterator[tuple[str, Policy]]:
    yield from task.policies.items()
    for folder in folders:
        network = kept.read(folder)
        model = networks.unpack(network.description["network"], network.weights, task)
        yield folder.name, NetworkPolicy(model, task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="hidden-dynamics or hidden-dynamics-uneven")
    parser.add_argument("folders", nargs="*", type=Path, help="folders of networks trained on it")
    parser.add_argument("--seeds", type=int, default=2, help="48 flights each (default: 2)")
    given = parser.parse_args()
    task = tasks.load(given.task)
    worlds = [(world, level) for world in task.worlds for level in shifts.find(world).levels]
    print("| Policy | success | crash | " + " | ".join(f"{world} {level:g}" for world, level in worlds) + " |")
    print("| --- " * (len(worlds) + 3) + "|")
    for name, policy in policies(task, given.folders):
        shares = [*flown(task, policy, given.seeds)]
        shares += [flown(task, policy, given.seeds, world, level)[0] for world, level in worlds]
        print(f"| {name} | " + " | ".join(f"{100 * share:.0f}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
