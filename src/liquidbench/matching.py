"""Measures the size of a network in three ways, and finds the hidden size that meets a budget.

==========  ========================================================  =========
matching    what is equal                                             tolerance
==========  ========================================================  =========
parameters  trained parameters, head included                         5 %
compute     multiply-adds and synapse evaluations per sample          10 %
state       numbers carried from one sample to the next               5 %
==========  ========================================================  =========

A study has one budget, in parameters. For the other two matchings, the budget is the compute or state of a `REFERENCE`
network with that many parameters on the same task, so that one number serves all tasks. Compute grows with the square
of the width, so small networks need the larger tolerance.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from liquidbench import networks
from liquidbench.models import ModelSpec, UserModel, find
from liquidbench.networks import SequenceModel
from liquidbench.study import MATCHINGS
from liquidbench.tasks.task import Task
from liquidrnn.recurrent import MixedMemory

REFERENCE = "GRU"
"""The model that converts a number of parameters to compute and state."""

TOLERANCE = {"parameters": 0.05, "compute": 0.10, "state": 0.05}
"""Largest relative deviation of a matched model from the budget."""


@dataclass(frozen=True)
class Operations:
    """The operations of a network for one sample of one sequence.

    Only operations per connection count, of which a layer of n units has about n². Operations per unit do not.

    - Each weight of a matrix product is one multiply-add.
    - Each synapse of LTC, STC, LRC or LRCU is one evaluation of its sigmoid and three multiply-adds (the argument, and
      the terms of two sums), or four with an elastance (LRC, LRCU). Synapses between units count once per solver step,
      those from inputs once.
    - Connections that a wiring does not have do not count, even if a dense implementation multiplies by zero.
    - The head counts if each step has a target.

    Attributes:
        multiply_adds: number of multiply-adds.
        synapse_evaluations: number of sigmoids of synapses.
    """

    multiply_adds: int
    synapse_evaluations: int

    @property
    def total(self) -> int:
        """The sum of both."""
        return self.multiply_adds + self.synapse_evaluations

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(
            self.multiply_adds + other.multiply_adds, self.synapse_evaluations + other.synapse_evaluations
        )


def count_parameters(network: nn.Module) -> int:
    """Number of trained parameters; shared ones count once, and those of an encoder, alike for all models, not."""
    encoder = getattr(network, "encoder", None)
    common = set() if encoder is None else set(encoder.parameters())
    return sum(p.numel() for p in network.parameters() if p.requires_grad and p not in common)


def count_operations(network: SequenceModel) -> Operations:
    """Operations per sample; see `Operations`.

    Raises:
        ValueError: if the model's `liquidbench.models.ModelSpec` does not count its operations.
    """
    head = Operations(network.head.weight.numel() if network.per == "step" else 0, 0)
    return sum((_operations(network, recurrence) for recurrence in network.layer.recurrences), head)


def count_state(network: SequenceModel) -> int:
    """Size of the state that is carried from one sample to the next, including memory cells."""
    return sum(sum(recurrence.state_sizes) for recurrence in network.layer.recurrences)


COUNTS: Mapping[str, Callable[[SequenceModel], int]] = {
    "parameters": count_parameters,
    "compute": lambda network: count_operations(network).total,
    "state": count_state,
}
"""The count that each of `liquidbench.study.MATCHINGS` makes equal."""


def budget(task: Task, parameters: int, matching: str = "parameters") -> int:
    """The budget on a task, in the unit of a matching.

    Args:
        task: the task, for the number of inputs and outputs.
        parameters: the study's budget.
        matching: a key of `COUNTS`.

    Raises:
        ValueError: if the matching is unknown, or `REFERENCE` has no size within the budget.
    """
    if matching not in COUNTS:
        raise ValueError(f"matching must be one of {', '.join(COUNTS)}; got {matching!r}")
    if matching == "parameters":
        return parameters
    _, size = fitting_structures(REFERENCE, task, parameters)[0]
    return COUNTS[matching](networks.build(REFERENCE, task, size, seed=0))


def size_for_budget(
    model: str | UserModel | ModelSpec,
    task: Task,
    parameters: int,
    seed: int = 0,
    matching: str = "parameters",
    structure: Mapping[str, Any] | None = None,
) -> int:
    """The hidden size at which a model is nearest to the budget.

    Args:
        model: see `liquidbench.models.find`.
        task: the task, for the number of inputs and outputs.
        parameters: the study's budget.
        seed: seed of the network; the number of synapses of a random wiring depends on it.
        matching: a key of `COUNTS`.
        structure: as in `liquidbench.networks.build`.

    Returns:
        The hidden size; its count is within `TOLERANCE` of the budget.

    Raises:
        ValueError: if the model or the matching is unknown, or no size is within `TOLERANCE`; the message has the
            nearest sizes.
    """
    wanted, tolerance = budget(task, parameters, matching), TOLERANCE[matching]
    size, counts = _nearest_size(model, task, wanted, seed, matching, structure)
    if abs(counts[size] - wanted) > tolerance * wanted:
        nearest = " and ".join(f"{counts[size]:,} with {size} units" for size in sorted(counts)[:2])
        means = "" if matching == "parameters" else f", {wanted:,} {MATCHINGS[matching]}"
        raise ValueError(
            f"parameters must be within {tolerance:.0%} of a size that {find(model).name} can have on {task.name!r} "
            f"(matching {matching}); got {parameters:,}{means}, but the nearest are {nearest}: choose another budget, "
            "or a larger one"
        )
    return size


_sizes: dict[tuple[Any, ...], tuple[tuple[Mapping[str, Any], int], ...]] = {}


def fitting_structures(
    model: str | UserModel | ModelSpec, task: Task, parameters: int, seed: int = 0, matching: str = "parameters"
) -> tuple[tuple[Mapping[str, Any], int], ...]:
    """The structures of a model that fit a budget, each with its hidden size.

    Args:
        model: see `liquidbench.models.find`.
        task: the task, for the number of inputs and outputs.
        parameters: the study's budget.
        seed: seed of the network.
        matching: a key of `COUNTS`.

    Raises:
        ValueError: if the first structure, the model's default, does not fit.
    """
    # Cached, as counting is slow and a worker does many runs of one task. Only wirings depend on the seed.
    spec = find(model)
    drawn = seed if spec.wired else None
    key = (model, task.width, task.image, task.missing, task.outputs, task.per, parameters, matching, drawn)
    if key not in _sizes:
        first, *others = spec.combinations
        fitting = [(first, size_for_budget(model, task, parameters, seed, matching, first))]
        wanted = budget(task, parameters, matching)
        for structure in others:
            size, counts = _nearest_size(model, task, wanted, seed, matching, structure)
            if abs(counts[size] - wanted) <= TOLERANCE[matching] * wanted:
                fitting.append((structure, size))
        _sizes[key] = tuple(fitting)
    return _sizes[key]


def _nearest_size(
    model: str | UserModel | ModelSpec,
    task: Task,
    wanted: int,
    seed: int,
    matching: str,
    structure: Mapping[str, Any] | None,
) -> tuple[int, dict[int, int]]:
    """The size whose count is nearest to the one wanted, and the counts of the two nearest sizes, best first."""
    spec = find(model)
    smallest = task.outputs + 3 if spec.wired else 1

    @cache
    def count(size: int) -> int:
        # Only sizes count. A build on the meta device takes the same time at any size, more than one of few units with
        # its numbers; a user's layer may need numbers to be built.
        meta = size > 128 and isinstance(model, str)
        # Numbers drawn for counting must not change those that are drawn afterwards.
        with torch.random.fork_rng(devices=()), torch.device("meta") if meta else nullcontext():
            return COUNTS[matching](networks.build(model, task, size, seed, structure=structure))

    # Counts grow at least linearly and at most quadratically, so the square root does not overshoot.
    below, above = smallest - 1, smallest
    while count(above) < wanted:
        root = (wanted / count(above)) ** 0.5 if above > smallest else 2
        below, above = above, max(2 * above, int(above * root))
        if count(above) <= count(below):
            raise ValueError(
                f"{spec.name} must become larger with its hidden size, but with {below} and {above} units it "
                f"has {count(below):,} and {count(above):,} {MATCHINGS[matching]}"
            )
    halve = False
    while above - below > 1:
        # Interpolation converges fast; alternating with bisection bounds the number of steps.
        share = 0.5 if halve else (wanted - count(below)) / (count(above) - count(below))
        tried = min(max(round(below + share * (above - below)), below + 1), above - 1)
        below, above = (tried, above) if count(tried) < wanted else (below, tried)
        halve = not halve
    # The count of a random wiring is not strictly increasing in the size, so check the neighbours too.
    reach = 3 if spec.wired else 1
    near = sorted(range(max(smallest, above - reach), above + reach), key=lambda size: abs(count(size) - wanted))
    return near[0], {size: count(size) for size in near[:2]}


def _operations(network: SequenceModel, recurrence: Any) -> Operations:
    if isinstance(recurrence, MixedMemory):
        memory = recurrence.weight_ih.numel() + recurrence.weight_hh.numel()
        return Operations(memory, 0) + _operations(network, recurrence.inner)
    if network.operations is None:
        raise ValueError(
            f"operations of {type(network.layer).__name__} must be known to match by compute: give a "
            "liquidbench.models.ModelSpec with operations"
        )
    return Operations(*network.operations(recurrence))
