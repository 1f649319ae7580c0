"""Explicit Runge-Kutta methods: with fixed steps, each given by its tableau, and those of torchdiffeq that choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from liquidrnn.arguments import readable


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method.

    Attributes:
        order: order of convergence.
        stages: for each stage, its weights on the slopes of the stages before it.
        weights: weights of all slopes in the step.
    """

    order: int
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


TABLEAUX = {
    "euler": Tableau(1, ((),), (1.0,)),
    "heun": Tableau(2, ((), (1.0,)), (0.5, 0.5)),
    "rk4": Tableau(4, ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}

ADAPTIVE = ("dopri5",)
"""Methods of torchdiffeq that choose their steps."""


def advance(slope: Callable[[Tensor], Tensor], state: Tensor, span: Tensor | float, steps: int, method: str) -> Tensor:
    """Integrates dx/dt = slope(x) over ``span`` in equal steps.

    Args:
        slope: right side of an autonomous equation, (batch, hidden) to (batch, hidden).
        state: initial value, (batch, hidden).
        span: time to cover, a number or (batch, 1); 0 returns the state exactly.
        steps: number of steps.
        method: a name in ``TABLEAUX``: "euler", "heun" or "rk4".

    Returns:
        The state after ``span``. Explicit methods diverge if a step is long compared with the equation's fastest time
        constant.

    Source: Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I, 2nd edition, section II.1.

    Example:
        >>> advance(lambda x: -x, torch.ones(1, 1), 1.0, steps=8, method="rk4")
        tensor([[0.3679]])
    """
    if method not in TABLEAUX:
        raise ValueError(f"method must be one of {', '.join(TABLEAUX)}, but got {method!r}")
    tableau, h = TABLEAUX[method], span / steps
    for _ in range(steps):
        slopes: list[Tensor] = []
        for stage in tableau.stages:
            at = state
            for weight, k in zip(stage, slopes, strict=True):
                at = at + h * weight * k if weight else at
            slopes.append(slope(at))
        for weight, k in zip(tableau.weights, slopes, strict=True):
            state = state + h * weight * k
    return state


def advance_adaptively(
    slope: Callable[[Tensor], Tensor], state: Tensor, span: Tensor, method: str, *, rtol: float, atol: float
) -> Tensor:
    """Integrates dx/dt = slope(x) over ``span`` in steps that keep an estimate of the error within a tolerance.

    All rows of a batch take the same steps, in parts of their spans. So the result of a row depends on the others,
    within the tolerance. Gradients are those of the steps that were taken.

    Args:
        slope: right side of an autonomous equation, (batch, hidden) to (batch, hidden).
        state: initial value, (batch, hidden).
        span: time to cover, (batch, 1); 0 returns the state exactly.
        method: a name in ``ADAPTIVE``, Dormand and Prince's of order 5.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step.

    Raises:
        RuntimeError: the equation is too stiff for the method, or not finite; or the values of a tensor cannot be read,
            as in a graph of ``torch.compile``.

    Source: Dormand, Prince, A family of embedded Runge-Kutta formulae, Journal of Computational and Applied
    Mathematics 6, 1980; the package torchdiffeq (Chen, 2018).

    Example:
        >>> advance_adaptively(lambda x: -x, torch.ones(1, 1), torch.ones(1, 1), "dopri5", rtol=1e-6, atol=1e-6)
        tensor([[0.3679]])
    """
    # Slow to import, and optional.
    from torchdiffeq import odeint

    if not (readable(state) and readable(span)):
        raise RuntimeError(
            f"solver={method!r} chooses its steps by the values of the state, so it cannot be part of a graph: use a "
            "solver with fixed steps"
        )
    if not state.numel():
        return state
    ends = torch.tensor([0.0, 1.0], dtype=state.dtype, device=state.device)
    try:
        # A step ends at the end; beyond it the result would be interpolated, which no tolerance controls.
        states: Any = odeint(
            lambda _, x: span * slope(x), state, ends, rtol=rtol, atol=atol, method=method, options={"step_t": ends[1:]}
        )
    except AssertionError as error:
        raise RuntimeError(
            f"solver={method!r} cannot follow the equation ({error}): its right side is too steep for the spans, or "
            "not finite; shorten the spans, raise rtol and atol, or use a solver with fixed steps"
        ) from error
    # Its steps are fractions of the span that do not add up to one exactly, which moves a state that is to stay.
    return torch.where(span == 0, state, states[1])
