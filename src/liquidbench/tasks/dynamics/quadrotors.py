r"""Quadrotors that differ in everything a pilot does not see, simulated side by side in NumPy.

The equations are the first-principles model of Crazyflow 0.4.0, with its semi-implicit Euler steps and its motors:

.. math::
    m \dot v &= -m g e_z + R\, e_z \textstyle\sum_i f(s_i) - d\,(v - w), \qquad \dot p = v \\
    J \dot\omega &= M\,(l f(s), l f(s), \kappa f(s)) - \omega \times J \omega, \qquad \dot R = R [\omega]_\times \\
    \dot s_i &= (u_i - s_i) / \tau_\pm, \qquad f(s) = c_0 + c_1 s + c_2 s^2

Speeds of motors s and their commands u go from 0 to 1; :math:`\tau_+` holds while a motor speeds up, :math:`\tau_-`
while it slows down; w is the wind, which Crazyflow takes as a force. Commands take effect after a delay, which
Crazyflow does not have. Axes are forward, left, up. Motors are front right, back right, back left, front left; the drag
of the first turns the drone clockwise, seen from above.

Crazyflow itself is not called: it cannot be imported after SciPy, which the harness needs, and starts for longer than
all flights of a rollout take here. The tests compare trajectories with its simulator.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRAVITY = 9.81
TICK = 0.002
"""Seconds of one step of the simulation."""

LONGEST_DELAY = 50
"""Ticks."""

MIXING = np.array([[-1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
"""How the thrust of each motor (columns) turns the drone about each axis (rows), per metre of lever."""

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class Drones:
    """Parameters of some quadrotors, of which a policy that flies them is told nothing.

    Attributes:
        mass: (n,), kg.
        inertia: (n, 3), about the body's axes, kg m².
        arm: (n,), distance of the motors from the body's axes, m.
        thrust: (n, 4, 3), coefficients of each motor's thrust curve, N.
        drag_arm: (n,), drag torque of a propeller over its thrust, m.
        rising: (n,), time constant of motors that speed up, s.
        falling: (n,), time constant of motors that slow down, s.
        delay: int64 (n,), ticks until a command reaches the motors.
        drag: (n,), drag of the body, N/(m/s).
        wind: (n, 3), m/s.
    """

    mass: Array
    inertia: Array
    arm: Array
    thrust: Array
    drag_arm: Array
    rising: Array
    falling: Array
    delay: NDArray[np.int64]
    drag: Array
    wind: Array

    def __len__(self) -> int:
        return len(self.mass)

    @property
    def levers(self) -> Array:
        """Torque about each axis per newton of each motor, (n, 3, 4), m."""
        return MIXING * np.stack([self.arm, self.arm, self.drag_arm], axis=1)[..., None]

    @property
    def thrust_to_weight(self) -> Array:
        """Greatest thrust of all motors over weight, (n,)."""
        return self.thrust.sum(axis=(1, 2)) / (GRAVITY * self.mass)


def draw(random: np.random.Generator, count: int) -> Drones:
    """Draw quadrotors that differ as those from a toy to a carrier of cameras do.

    Thrust over weight, torque over inertia and the time constants of motors lie inside the ranges of RAPTOR's
    training (its published parameters: 1.5 to 5, 40 to 1200 rad/s², 0.03 to 0.1 s and 0.03 to 0.3 s). Delays are extra.

    Args:
        random: where the numbers come from.
        count: number of drones.
    """

    def uniform(low: float, high: float) -> Array:
        return random.uniform(low, high, count)

    mass = np.exp(uniform(np.log(0.03), np.log(3.0)))
    arm = 0.12 * np.cbrt(mass) * uniform(0.8, 1.2)
    strongest = uniform(1.8, 4.0) * mass * GRAVITY / 4
    constant, linear = uniform(0.0, 0.05), uniform(0.0, 0.5)
    curve = strongest[:, None] * np.stack([constant, linear, 1 - constant - linear], axis=1)
    roll = 2 * strongest * arm / np.exp(uniform(np.log(80.0), np.log(800.0)))
    rising = uniform(0.03, 0.1)
    angle, speed = uniform(0.0, 2 * np.pi), uniform(0.0, 3.0)
    return Drones(
        mass=mass,
        inertia=np.stack([roll, roll * uniform(0.85, 1.2), roll * uniform(1.5, 2.0)], axis=1),
        arm=arm,
        thrust=np.repeat(curve[:, None], 4, axis=1),
        drag_arm=arm * uniform(0.1, 0.3),
        rising=rising,
        falling=rising * uniform(1.0, 2.0),
        delay=random.integers(0, 11, count),
        drag=mass * uniform(0.1, 0.4),
        wind=speed[:, None] * np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=1),
    )


@dataclass(frozen=True, eq=False)
class State:
    """Where some drones are.

    Attributes:
        position: (n, 3), from the target, m.
        rotation: (n, 3, 3), from the body to the world.
        velocity: (n, 3), m/s.
        rates: (n, 3), angular velocity in the body's axes, rad/s.
        motors: (n, 4), speeds from 0 to 1.
        commands: (`LONGEST_DELAY`, n, 4), those of the last ticks, the latest first.
    """

    position: Array
    rotation: Array
    velocity: Array
    rates: Array
    motors: Array
    commands: Array

    def where(self, which: NDArray[np.bool_], other: "State") -> "State":
        """The state of those drones for which ``which`` (n,) is True, of ``other`` for the rest."""

        def chosen(mine: Array, theirs: Array) -> Array:
            return np.where(which.reshape(-1, *[1] * (mine.ndim - 1)), mine, theirs)

        return State(
            position=chosen(self.position, other.position),
            rotation=chosen(self.rotation, other.rotation),
            velocity=chosen(self.velocity, other.velocity),
            rates=chosen(self.rates, other.rates),
            motors=chosen(self.motors, other.motors),
            commands=np.where(which[:, None], self.commands, other.commands),
        )


def hover(drones: Drones) -> Array:
    """Speed of each motor at which all carry the same part of the weight, (n, 4); 1 where a motor cannot.

    Example:
        >>> drones = draw(np.random.default_rng(0), 3)
        >>> np.allclose(thrust(drones, hover(drones)).sum(axis=1), GRAVITY * drones.mass)
        True
    """
    constant, linear, square = np.moveaxis(drones.thrust, -1, 0)
    wanted = drones.mass[:, None] * GRAVITY / 4 - constant
    # In this form it also holds for a curve without a square.
    return np.clip(2 * wanted / (linear + np.sqrt(linear**2 + 4 * square * wanted)), 0.0, 1.0)


def thrust(drones: Drones, motors: Array) -> Array:
    """Thrust of each motor at its speed, (n, 4), N."""
    constant, linear, square = np.moveaxis(drones.thrust, -1, 0)
    return constant + motors * (linear + motors * square)


def at_rest(drones: Drones) -> State:
    """Upright at the target, motors at the speed that carries the weight."""
    count = len(drones)
    motors = hover(drones)
    still = np.zeros((count, 3))
    upright = np.repeat(np.eye(3)[None], count, axis=0)
    return State(still, upright, still, still, motors, np.repeat(motors[None], LONGEST_DELAY, axis=0))


def perturbed(drones: Drones, random: np.random.Generator) -> State:
    """Up to 1 m off, moving at up to 1 m/s, tilted and turned by up to 45°, and turning at up to 1 rad/s."""
    count, rest = len(drones), at_rest(drones)

    def vectors(longest: float) -> Array:
        direction = random.normal(size=(count, 3))
        return direction * (longest * random.uniform(size=(count, 1)) / np.linalg.norm(direction, axis=1)[:, None])

    heading, tilt = random.uniform(0, 2 * np.pi, count), random.uniform(0, np.pi / 4, count)
    lean = np.stack([np.cos(heading), np.sin(heading), np.zeros(count)], axis=1) * tilt[:, None]
    turn = random.uniform(-np.pi / 4, np.pi / 4, count)[:, None] * UP
    return replace(
        rest,
        position=vectors(1.0),
        velocity=vectors(1.0),
        rotation=rotations(lean) @ rotations(turn),
        rates=vectors(1.0),
    )


def advance(drones: Drones, state: State, commands: Array, ticks: int) -> State:
    """The state some ticks later, while the same commands are given.

    Args:
        drones: the drones.
        state: their state.
        commands: (n, 4), from 0 to 1; anything beyond is clipped.
        ticks: how many steps of `TICK` seconds.
    """
    # The latest first, so that the one that reaches a motor is further back by the delay.
    given = np.repeat(np.clip(commands, 0.0, 1.0)[None], ticks, axis=0)
    sent = np.concatenate([given, state.commands])
    position, rotation, velocity = state.position, state.rotation, state.velocity
    rates, motors = state.rates, state.motors
    rising, falling, everyone = drones.rising[:, None], drones.falling[:, None], np.arange(len(drones))
    mass, levers, inertia = drones.mass[:, None], drones.levers, drones.inertia
    blown, weight = drones.drag[:, None] / mass, GRAVITY * UP
    # Euler's equations, for one axis after another.
    following, preceding = [1, 2, 0], [2, 0, 1]
    spin = inertia[:, following] - inertia[:, preceding]
    for tick in range(ticks):
        reached = sent[ticks - 1 - tick + drones.delay, everyone]
        force = thrust(drones, motors)
        torque = (levers @ force[..., None])[..., 0]
        pushed = rotation[:, :, 2] * (force.sum(axis=1, keepdims=True) / mass)
        velocity = velocity + TICK * (pushed - weight - blown * (velocity - drones.wind))
        rates = rates + TICK * (torque + spin * rates[:, following] * rates[:, preceding]) / inertia
        constant = np.where(reached > motors, rising, falling)
        motors = motors + TICK * (reached - motors) / constant
        position = position + TICK * velocity
        rotation = rotation @ rotations(TICK * rates)
    return State(position, rotation, velocity, rates, motors, sent[:LONGEST_DELAY])


def rotations(vectors: Array) -> Array:
    """Rotation matrices (n, 3, 3) about vectors (n, 3) by as many radians as they are long."""
    square = np.einsum("ni,ni->n", vectors, vectors)
    angle = np.sqrt(square)
    # sin(a) / a, (1 - cos a) / a² and cos a.
    first, second = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    turned = second[:, None, None] * (vectors[:, :, None] * vectors[:, None, :])
    x, y, z = (first[:, None] * vectors).T
    turned[:, 0, 1] -= z
    turned[:, 1, 0] += z
    turned[:, 0, 2] += y
    turned[:, 2, 0] -= y
    turned[:, 1, 2] -= x
    turned[:, 2, 1] += x
    turned[:, [0, 1, 2], [0, 1, 2]] += (1 - second * square)[:, None]
    return turned
