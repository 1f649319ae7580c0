"""What layers with a learned differential equation share: its right side as a network, and the choice of a solver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, number, positive_int
from liquidrnn.integrate import ADAPTIVE, TABLEAUX, advance, advance_adaptively
from liquidrnn.synapses import Factory, drawn, module_of_torch

UNFOLDS = 4
"""Steps per sample of a solver with fixed steps, unless others are asked for."""


class Flow(nn.Sequential):
    """The right side of an equation dx/dt = f(x): linear layers with tanh between them.

    Weights start Xavier-normal, a tenth of that in the last layer, so that the state moves slowly at first; biases
    start at 0.

    Args:
        widths: of the state, of each hidden layer, and of the state again.
        factory: generator, device and dtype of the parameters.
    """

    def __init__(self, widths: Sequence[int], factory: Factory):
        super().__init__()
        for number_of_layer, ends in enumerate(pairwise(widths), 1):
            linear, last = module_of_torch(nn.Linear, *ends, **factory), number_of_layer == len(widths) - 1
            with torch.no_grad():
                start = drawn(nn.init.xavier_normal_, *linear.weight.shape, **factory)
                linear.weight.copy_(0.1 * start if last else start)
                linear.bias.zero_()
            self.extend([linear] if last else [linear, nn.Tanh()])


class Solver(NamedTuple):
    """How an equation is solved over a span; see :func:`solver_of`.

    Attributes:
        name: a name in :data:`liquidrnn.integrate.TABLEAUX` or :data:`liquidrnn.integrate.ADAPTIVE`, or of a method of
            the layer's own.
        unfolds: number of steps; 0 if the method chooses.
        rtol: relative tolerance, if the method chooses its steps.
        atol: absolute tolerance.
    """

    name: str
    unfolds: int
    rtol: float
    atol: float

    @property
    def evaluations(self) -> int:
        """How often the right side is evaluated over a span; 0 if that depends on the data."""
        return self.unfolds * len(TABLEAUX[self.name].stages) if self.name in TABLEAUX else self.unfolds

    def advance(self, slope: Callable[[Tensor], Tensor], state: Tensor, span: Tensor) -> Tensor:
        """The state after ``span``, (batch, 1), of dx/dt = slope(x)."""
        if self.name in ADAPTIVE:
            return advance_adaptively(slope, state, span, self.name, rtol=self.rtol, atol=self.atol)
        return advance(slope, state, span, self.unfolds, self.name)


def solver_of(
    name: str, ode_unfolds: int | None, rtol: float | None, atol: float | None, own: tuple[str, ...] = ()
) -> Solver:
    """The solver that a layer's arguments ask for.

    Args:
        name: a method with fixed steps, or an adaptive one.
        ode_unfolds: number of steps of the former; None for :data:`UNFOLDS`.
        rtol: relative tolerance of the latter; None for 1e-3.
        atol: absolute tolerance; None for 1e-4.
        own: names of methods that the layer itself implements.

    Raises:
        ValueError: the method is unknown, or an argument has no effect with it.
        ImportError: the method needs a package that is not installed.
    """
    choice("solver", name, (*own, *TABLEAUX, *ADAPTIVE))
    adaptive = name in ADAPTIVE
    idle = {"ode_unfolds": ode_unfolds} if adaptive else {"rtol": rtol, "atol": atol}
    for argument, value in idle.items():
        if value is not None:
            why = "which chooses its steps" if adaptive else "which has fixed steps"
            raise ValueError(f"{argument} has no effect with solver={name!r}, {why}, but got {value!r}: leave it out")
    if not adaptive:
        return Solver(name, positive_int("ode_unfolds", UNFOLDS if ode_unfolds is None else ode_unfolds), 0.0, 0.0)
    if find_spec("torchdiffeq") is None:
        raise ImportError(f"solver={name!r} needs torchdiffeq: install it with pip install 'liquidrnn[ode]'")
    rtol, atol = (
        number(argument, default if given is None else given, 1e-15, 1.0, "a tolerance above 0 and at most 1")
        for argument, given, default in (("rtol", rtol, 1e-3), ("atol", atol, 1e-4))
    )
    return Solver(name, 0, rtol, atol)
