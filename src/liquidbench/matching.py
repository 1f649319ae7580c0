"""How large a network is, by three measures, and the hidden size at which it is as large as the others.

==========  ========================================================  =========
matching    what is equal                                             tolerance
==========  ========================================================  =========
parameters  trained parameters, head included                         5 %
compute     multiply-adds and synapse evaluations a sample            10 %
state       numbers carried from one sample to the next               5 %
==========  ========================================================  =========

A study names one budget, in parameters. For the other two matchings a network gets what `REFERENCE`, with that many
parameters, has on the same task, so that one number serves all tasks. Compute grows with the square of the width, so
small networks cannot come nearer than the tolerance says.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from liquidbench import catalogue
from liquidbench.catalogue import SequenceModel
from liquidbench.models import ModelSpec, OwnModel, find
from liquidbench.study import MATCHINGS
from liquidbench.tasks.task import Task
from liquidrnn.recurrent import MixedMemory

REFERENCE = "GRU"
"""The model whose compute and state stand for a number of parameters."""

TOLERANCE = {"parameters": 0.05, "compute": 0.10, "state": 0.05}
"""How far, relatively, a matched model may lie from the budget."""


@dataclass(frozen=True)
class Operations:
    """What a network computes for one sample of one sequence.

    Terms of sums over connections are counted, and nothing that is done once for a unit: a width of n costs n² of the
    first and n of the second.

    - A weight in a matrix product is one multiply-add.
    - A synapse of LTC, STC, LRC or LRCU is one evaluation of its sigmoid and three multiply-adds: the argument, and
      the terms of two sums; with an elastance (LRC, LRCU) four. Synapses among units count once for each solver step,
      those from inputs once.
    - A connection that a wiring lacks counts nothing, whatever a dense implementation multiplies by zero.
    - The head counts where each step has a target.

    Attributes:
        multiply_adds: products that are added up.
        synapse_evaluations: sigmoids of synapses.
    """

    multiply_adds: int
    synapse_evaluations: int

    @property
    def total(self) -> int:
        """Both, an evaluation counted as one."""
        return self.multiply_adds + self.synapse_evaluations

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(
            self.multiply_adds + other.multiply_adds, self.synapse_evaluations + other.synapse_evaluations
        )


def count_parameters(network: nn.Module) -> int:
    """Trained parameters: every number that the optimiser changes, once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_operations(network: SequenceModel) -> Operations:
    """Operations a sample; see `Operations` for what counts.

    Raises:
        ValueError: nobody has said what the layer computes.
    """
    head = Operations(network.head.weight.numel() if network.per == "step" else 0, 0)
    return sum((_operations(network, recurrence) for recurrence in network.layer.recurrences), head)


def count_state(network: SequenceModel) -> int:
    """Numbers carried from one sample to the next, those of memory cells included."""
    return sum(sum(recurrence.state_sizes) for recurrence in network.layer.recurrences)


MEASURES: Mapping[str, Callable[[SequenceModel], int]] = {
    "parameters": count_parameters,
    "compute": lambda network: count_operations(network).total,
    "state": count_state,
}
"""What each of `liquidbench.study.MATCHINGS` makes equal."""


def budget(task: Task, parameters: int, matching: str = "parameters") -> int:
    """What a network may have on a task, in the measure of a matching.

    Args:
        task: for the sizes of inputs and outputs.
        parameters: the study's budget.
        matching: a key of `MEASURES`.

    Raises:
        ValueError: for an unknown matching, or where `REFERENCE` has no size within the budget.
    """
    if matching not in MEASURES:
        raise ValueError(f"matching must be one of {', '.join(MEASURES)}; got {matching!r}")
    if matching == "parameters":
        return parameters
    size = size_for_budget(REFERENCE, task, parameters)
    return MEASURES[matching](catalogue.build(REFERENCE, task, size, seed=0))


def size_for_budget(
    model: str | OwnModel | ModelSpec,
    task: Task,
    parameters: int,
    seed: int = 0,
    matching: str = "parameters",
    structure: Mapping[str, Any] | None = None,
) -> int:
    """The hidden size at which a model is as large as a budget allows.

    Args:
        model: see `liquidbench.models.find`.
        task: for the sizes of inputs and outputs.
        parameters: the study's budget.
        seed: of the network; a drawn wiring has a few synapses more or fewer with another one.
        matching: what counts, a key of `MEASURES`.
        structure: as in `liquidbench.catalogue.build`.

    Returns:
        The size whose count comes nearest; it is within `TOLERANCE` of the budget.

    Raises:
        ValueError: for an unknown model or matching, or where no size comes that near; the message names the nearest.
    """
    wanted, tolerance = budget(task, parameters, matching), TOLERANCE[matching]
    size, counts = _nearest(model, task, wanted, seed, matching, structure)
    if abs(counts[size] - wanted) > tolerance * wanted:
        nearest = " and ".join(f"{counts[size]:,} with {size} units" for size in sorted(counts)[:2])
        means = "" if matching == "parameters" else f", {wanted:,} {MATCHINGS[matching]}"
        raise ValueError(
            f"parameters must be within {tolerance:.0%} of what {find(model).name} can have on {task.name!r} (matching "
            f"{matching}); got {parameters:,}{means}, but the nearest are {nearest}: choose another budget, or a "
            "larger one"
        )
    return size


_sizes: dict[tuple[Any, ...], tuple[tuple[Mapping[str, Any], int], ...]] = {}


def structures(
    model: str | OwnModel | ModelSpec, task: Task, parameters: int, seed: int = 0, matching: str = "parameters"
) -> tuple[tuple[Mapping[str, Any], int], ...]:
    """The structures of a model that fit a budget, each with its hidden size.

    Args:
        model: see `liquidbench.models.find`.
        task: for the sizes of inputs and outputs.
        parameters: the study's budget.
        seed: of the network.
        matching: what counts, a key of `MEASURES`.

    Raises:
        ValueError: where not even the first, which is the model as the catalogue builds it, fits.
    """
    # Counting takes some hundredths of a second, and a worker does many runs of one task; only wirings depend on seeds.
    spec = find(model)
    drawn = seed if spec.wired else None
    key = (model, len(task.features), task.missing, task.outputs, task.per, parameters, matching, drawn)
    if key not in _sizes:
        first, *others = spec.combinations
        fitting = [(first, size_for_budget(model, task, parameters, seed, matching, first))]
        for structure in others:
            wanted = budget(task, parameters, matching)
            size, counts = _nearest(model, task, wanted, seed, matching, structure)
            if abs(counts[size] - wanted) <= TOLERANCE[matching] * wanted:
                fitting.append((structure, size))
        _sizes[key] = tuple(fitting)
    return _sizes[key]


def _nearest(
    model: str | OwnModel | ModelSpec,
    task: Task,
    wanted: int,
    seed: int,
    matching: str,
    structure: Mapping[str, Any] | None,
) -> tuple[int, dict[int, int]]:
    """The size whose count is nearest to the one wanted, and the counts of the nearest, best first."""
    spec = find(model)
    smallest = task.outputs + 3 if spec.wired else 1

    @cache
    def count(size: int) -> int:
        # Only sizes count. A build on the meta device takes the same time at any size, more than one of few units with
        # its numbers; a user's layer may need numbers to be built.
        meta = size > 128 and isinstance(model, str)
        # Numbers drawn for counting must not change those that are drawn afterwards.
        with torch.random.fork_rng(devices=()), torch.device("meta") if meta else nullcontext():
            return MEASURES[matching](catalogue.build(model, task, size, seed, structure=structure))

    # Counts grow at least with the size and at most with its square, so that the root falls short rather than beyond.
    below, above = smallest - 1, smallest
    while count(above) < wanted:
        root = (wanted / count(above)) ** 0.5 if above > smallest else 2
        below, above = above, max(2 * above, int(above * root))
        if count(above) <= count(below):
            raise ValueError(
                f"the hidden size of {spec.name} must decide how large it is, but with {below} and {above} "
                f"units it has {count(below):,} and {count(above):,} {MATCHINGS[matching]}"
            )
    halve = False
    while above - below > 1:
        # Interpolation is near at once; halving in turn bounds the steps for counts of any shape.
        share = 0.5 if halve else (wanted - count(below)) / (count(above) - count(below))
        tried = min(max(round(below + share * (above - below)), below + 1), above - 1)
        below, above = (tried, above) if count(tried) < wanted else (below, tried)
        halve = not halve
    # A drawn wiring's count does not rise strictly with its size, so neighbours are looked at as well.
    reach = 3 if spec.wired else 1
    near = sorted(range(max(smallest, above - reach), above + reach), key=lambda size: abs(count(size) - wanted))
    return near[0], {size: count(size) for size in near[:2]}


def _operations(network: SequenceModel, recurrence: Any) -> Operations:
    if isinstance(recurrence, MixedMemory):
        memory = recurrence.weight_ih.numel() + recurrence.weight_hh.numel()
        return Operations(memory, 0) + _operations(network, recurrence.inner)
    if network.operations is None:
        raise ValueError(
            f"operations of {type(network.layer).__name__} must be known to match by compute: name a "
            "liquidbench.models.ModelSpec that says what it computes"
        )
    return Operations(*network.operations(recurrence))
