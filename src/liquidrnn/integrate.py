"""Explicit Runge-Kutta methods with fixed steps, each given by its tableau."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


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
