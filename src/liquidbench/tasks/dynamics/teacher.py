r"""The teacher of each drone: a linear-quadratic regulator that knows the drone's parameters and its whole state.

Close to hovering, in axes that turn with the drone's heading, a drone is linear in its position, velocity, tilt and
heading, rates, speeds of motors, and the commands that are still under way. The regulator minimises

.. math::
    \sum_k x_k^\top Q x_k + u_k^\top \varrho\, u_k

over the drone's own linear model, one for each drone. It holds against the wind, which it also knows. Far from the
target it steers for a point on the way there, as a linear controller would tilt the drone over.
"""

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks.dynamics import quadrotors
from liquidbench.tasks.dynamics.quadrotors import GRAVITY, TICK, Array, Drones, State

COSTS = np.repeat([8.0, 2.0, 1.0, 2.0, 0.02, 0.0], [3, 3, 2, 1, 3, 4])
"""Diagonal of Q: position (1/m²), velocity, tilt (1/rad²), heading, rates, speeds of motors."""

COMMAND_COST = 4.0
STRIDE = 0.4
"""Metres to which the distance from the target is shortened."""

_STATES = len(COSTS)


class Teacher:
    """The regulators of some drones, flown side by side.

    Args:
        drones: the drones.
        period: ticks from one command to the next.

    Example:
        >>> drones = quadrotors.draw(np.random.default_rng(0), 4)
        >>> state = quadrotors.perturbed(drones, np.random.default_rng(1))
        >>> teacher = Teacher(drones)
        >>> for _ in range(500):
        ...     state = quadrotors.advance(drones, state, teacher(state), 5)
        >>> bool((np.linalg.norm(state.position, axis=1) < 0.1).all())
        True
    """

    def __init__(self, drones: Drones, period: int = 5):
        self._period = period
        self._pending = -(-int(drones.delay.max()) // period)
        # What the wind pushes with, the drone leans against.
        push = drones.drag[:, None] * drones.wind / drones.mass[:, None]
        self._lean = -push / GRAVITY
        self._speed = quadrotors.hover(drones)
        transition, control = _periods(*_linear(drones, self._speed), drones.delay, period, self._pending)
        costs = np.concatenate([COSTS, np.zeros(4 * self._pending)])
        self._gain = regulator(transition, control, np.diag(costs), COMMAND_COST * np.eye(4))

    def __call__(self, state: State) -> Array:
        """The commands for this state, (n, 4), from 0 to 1."""
        heading = np.arctan2(state.rotation[:, 1, 0], state.rotation[:, 0, 0])
        position = state.position * np.minimum(1.0, STRIDE / np.maximum(_length(state.position), STRIDE))
        up = state.rotation[:, :, 2]
        # The axis and angle that lead from upright to the drone's own up.
        sine = np.hypot(up[:, 0], up[:, 1])
        stretch = np.arctan2(sine, up[:, 2]) / np.maximum(sine, 1e-9)
        lean = _turned(up * stretch[:, None] - self._lean, heading)
        sent = state.commands[np.arange(self._pending) * self._period]
        error = np.concatenate(
            [
                _turned(position, heading),
                _turned(state.velocity, heading),
                np.stack([-lean[:, 1], lean[:, 0], heading], axis=1),
                state.rates,
                state.motors - self._speed,
                *(sent - self._speed),
            ],
            axis=1,
        )
        return np.clip(self._speed - (self._gain @ error[..., None])[..., 0], 0.0, 1.0)


def _length(vectors: Array) -> Array:
    return np.linalg.norm(vectors, axis=1, keepdims=True)


def _turned(vectors: Array, heading: Array) -> Array:
    """Vectors (n, 3) of the world in axes that are turned by the heading (n,)."""
    cosine, sine = np.cos(heading), np.sin(heading)
    x, y, z = vectors.T
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=1)


def _linear(drones: Drones, speed: Array) -> tuple[Array, Array]:
    """The continuous model about hovering, where motors have a speed of (n, 4): (n, states, states), (n, states, 4)."""
    count, axes = len(drones), np.arange(3)
    slope = drones.thrust[..., 1] + 2 * drones.thrust[..., 2] * speed
    lag = 2 / (drones.rising + drones.falling)
    model = np.zeros((count, _STATES, _STATES))
    rates, motors = slice(9, 12), slice(12, 16)
    model[:, axes, 3 + axes] = 1.0
    model[:, 3 + axes, 3 + axes] = -(drones.drag / drones.mass)[:, None]
    model[:, 3, 7], model[:, 4, 6] = GRAVITY, -GRAVITY
    model[:, 5, motors] = slope / drones.mass[:, None]
    model[:, 6 + axes, 9 + axes] = 1.0
    model[:, rates, motors] = drones.levers * slope[:, None] / drones.inertia[..., None]
    model[:, np.arange(12, 16), np.arange(12, 16)] = -lag[:, None]
    control = np.zeros((count, _STATES, 4))
    control[:, motors] = lag[:, None, None] * np.eye(4)
    return model, control


def _periods(model: Array, control: Array, delay: NDArray[np.int64], period: int, pending: int) -> tuple[Array, Array]:
    """The model from one command to the next, its state extended by the commands of the last ``pending`` periods."""
    count, extended = len(model), _STATES + 4 * pending
    step = TICK * model
    tick = np.eye(_STATES) + step + step @ step / 2
    entering = TICK * (control + step @ control / 2)
    moved = np.broadcast_to(np.eye(_STATES), model.shape)
    # How much the command of the present period, of the last one, of the one before it, ... moves the state.
    shares = np.zeros((pending + 1, count, _STATES, 4))
    for number in reversed(range(period)):
        ago = -((number - delay) // period)
        shares[ago, np.arange(count)] += moved @ entering
        moved = moved @ tick
    transition, new = np.zeros((count, extended, extended)), np.zeros((count, extended, 4))
    transition[:, :_STATES, :_STATES], new[:, :_STATES] = moved, shares[0]
    for ago in range(1, pending + 1):
        columns = slice(_STATES + 4 * (ago - 1), _STATES + 4 * ago)
        transition[:, :_STATES, columns] = shares[ago]
        if ago == 1:
            new[:, columns] = np.eye(4)
        else:
            transition[:, columns, columns.start - 4 : columns.start] = np.eye(4)
    return transition, new


def regulator(transition: Array, control: Array, state_cost: Array, control_cost: Array) -> Array:
    r"""Gains K of the linear-quadratic regulators u = -K x of some systems, by structure-preserving doubling.

    Args:
        transition: A, (n, states, states).
        control: B, (n, states, controls).
        state_cost: Q, (states, states).
        control_cost: (controls, controls).

    Returns:
        (n, controls, states).

    Raises:
        ValueError: where a system cannot be stabilised.

    Source: Chu, Fan, Lin and Wang, Structure-preserving algorithms for periodic discrete-time algebraic Riccati
    equations, International Journal of Control 77(8), 2004.
    """
    moved, spread = transition, control @ np.linalg.solve(control_cost, control.mT)
    value, identity = np.broadcast_to(state_cost, transition.shape), np.eye(transition.shape[-1])
    # What cannot be stabilised grows until it is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(30):
            inverse = np.linalg.inv(identity + spread @ value)
            halfway = moved @ inverse
            gained = moved.mT @ value @ inverse @ moved
            spread = spread + halfway @ spread @ moved.mT
            moved, value = halfway @ moved, value + gained
            if not np.isfinite(value).all():
                break
            if np.abs(gained).max() < 1e-9 * np.abs(value).max():
                weighted = control.mT @ value
                return np.asarray(
                    np.linalg.solve(control_cost + weighted @ control, weighted @ transition), dtype=float
                )
    raise ValueError("a drone cannot be stabilised by its teacher; its parameters must let it hover and turn")
