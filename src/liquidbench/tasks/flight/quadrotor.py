r"""Quadrotors: rigid bodies with four motors each, and the controller that turns commands into thrusts. NumPy alone.

Many fly side by side: every array has a row for each. With position :math:`p` in the world, velocity :math:`v`,
rotation :math:`R` from body to world, body rates :math:`\omega` and motor thrusts :math:`f`,

.. math::

    \dot p &= v, & m \dot v &= R \begin{pmatrix} 0 & 0 & \sum_i f_i \end{pmatrix}^\top - m g e_z - m c\,(v - w), \\
    \dot R &= R\,[\omega]_\times, & J \dot\omega &= \tau(f) - \omega \times J \omega, \qquad
    \tau_f \dot f = k u - f,

with wind :math:`w` and motor commands :math:`u`. A semi-implicit Euler step takes `STEP`.

A command is a forward acceleration or velocity, a climb rate and a yaw rate. The controller measures the drone's own
motion exactly; it holds the sideways velocity at 0, and, for commands of velocity, the forward velocity as well. From
the wanted acceleration follow thrust and tilt, from the tilt body rates, from these torques, and from all of them,
through the mixer, the commands of the motors (the cascade of Mahony, Kumar and Corke, IEEE Robotics & Automation
Magazine 19(3), 2012). It knows nothing of the wind, and expects the nominal drone whatever flies.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

GRAVITY = 9.81
STEP = 0.01
"""Seconds of one step of the physics."""

RADIUS = 0.25
"""Of the ball around a drone that must touch nothing, in metres."""

MASS, ARM, MOST_THRUST, YAW_TORQUE = 1.0, 0.17, 5.5, 0.02
INERTIA = np.array([0.008, 0.008, 0.015])
MOTOR_LAG, DRAG = 0.03, 0.1

Command: TypeAlias = Literal["acceleration", "velocity"]
LIMITS: dict[Command, Array] = {"acceleration": np.array([3.0, 1.0, 1.5]), "velocity": np.array([2.5, 1.0, 1.5])}
"""Largest commands: forward in m/s² or m/s, climb in m/s, yaw rate in rad/s. What goes beyond is clipped."""

_VELOCITY_GAIN, _CLIMB_GAIN, _TILT_GAIN, _RATE_GAINS = 2.0, 4.0, 8.0, np.array([20.0, 20.0, 8.0])
_MOST_TILT, _MOST_YAW = np.tan(np.radians(35)), 0.06
_SPINNING_UP = -np.expm1(-STEP / MOTOR_LAG)

# Thrusts of the motors (front left, rear left, rear right, front right) to torques about ahead, left and up.
_SIDE = ARM / np.sqrt(2)
MIXER = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [-1, 1, 1, -1], [1, -1, 1, -1]]) * np.array(
    [[1.0], [_SIDE], [_SIDE], [YAW_TORQUE]]
)
"""Total thrust and the three torques of the motors' thrusts, (4, 4)."""

_UNMIXER = np.linalg.inv(MIXER)


@dataclass(frozen=True)
class Dynamics:
    """What drones differ in, an array with an entry for each.

    Attributes:
        mass: in kg; inertia grows with it.
        thrust: of the motors, as a share of what the controller expects.
        drag: linear, in 1/s.
        lag: time constant with which commands arrive, in seconds; 0 for at once.
    """

    mass: Array
    thrust: Array
    drag: Array
    lag: Array

    @classmethod
    def nominal(cls, count: int) -> "Dynamics":
        """Those that the controller expects."""
        return cls(np.full(count, MASS), np.ones(count), np.full(count, DRAG), np.zeros(count))

    @classmethod
    def drawn(cls, count: int, random: np.random.Generator) -> "Dynamics":
        """Mass from 85 to 120 %, thrust from 90 to 110 %, drag from 0.5 to 4 times, lag from 0 to 0.3 s."""
        return cls(
            MASS * random.uniform(0.85, 1.2, count),
            random.uniform(0.9, 1.1, count),
            DRAG * np.exp(random.uniform(np.log(0.5), np.log(4), count)),
            random.uniform(0, 0.3, count),
        )


class Quadrotors:
    """Some quadrotors side by side.

    Args:
        position: (n, 3), where they start.
        dynamics: what they differ in.
        command: what the first of the three commands is.

    Attributes:
        position: (n, 3), in the world, metres.
        velocity: (n, 3), in the world, m/s.
        attitude: (n, 4), unit quaternions from body to world, the scalar first.
        rates: (n, 3), about the body's axes ahead, left and up, rad/s.
        thrusts: (n, 4), of the motors, N.

    Example:
        >>> drones = Quadrotors(np.array([[0.0, 0.0, 1.3]]), Dynamics.nominal(1), "velocity")
        >>> for _ in range(300):
        ...     drones.advance(np.array([[1.0, 0.0, 0.0]]))
        >>> bool(abs(drones.velocity[0, 0] - 1.0) < 0.1)
        True
    """

    def __init__(self, position: Array, dynamics: Dynamics, command: Command):
        count = len(position)
        self.position = np.array(position, dtype=np.float64)
        self.velocity, self.rates = np.zeros((count, 3)), np.zeros((count, 3))
        self.attitude = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
        self.dynamics, self._command = dynamics, command
        self._limits = LIMITS[command]
        self.thrusts = np.repeat((dynamics.mass * GRAVITY / 4)[:, None], 4, axis=1)
        self._arrived = np.zeros((count, 3))
        self._inertia = INERTIA * (dynamics.mass / MASS)[:, None]
        self._thrust, self._drag = dynamics.thrust[:, None], dynamics.drag[:, None]
        lag = dynamics.lag[:, None]
        self._arriving = np.where(lag > 0, -np.expm1(-STEP / np.maximum(lag, 1e-9)), 1.0)

    @property
    def rotation(self) -> Array:
        """(n, 3, 3), whose columns are the body's directions ahead, left and up in the world."""
        w, x, y, z = self.attitude.T
        rows = (
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
        return np.stack(rows, axis=1).reshape(-1, 3, 3)

    @property
    def heading(self) -> Array:
        """(n,), the direction ahead as an angle in the ground plane, in radians."""
        w, x, y, z = self.attitude.T
        return np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))

    @property
    def own_velocity(self) -> Array:
        """(n, 3), velocity forward along the heading, sideways to the left, and up."""
        cosine, sine = np.cos(self.heading), np.sin(self.heading)
        x, y, z = self.velocity.T
        return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=1)

    def turn(self, yaw: Array) -> None:
        """Turn them about the vertical, by (n,) radians."""
        half = yaw / 2
        turned = np.stack([np.cos(half), *np.zeros((2, len(yaw))), np.sin(half)], axis=1)
        self.attitude = _product(turned, self.attitude)

    def advance(self, commands: Array, wind: Array | float = 0.0, moving: NDArray[np.bool_] | None = None) -> None:
        """Let time pass by `STEP`.

        Args:
            commands: (n, 3), forward, climb and yaw rate; beyond `LIMITS` they are clipped.
            wind: (n, 3), in the world, m/s.
            moving: bool (n,), those for which time passes; None for all.
        """
        wanted = np.clip(commands, -self._limits, self._limits)
        arrived = self._arrived + self._arriving * (wanted - self._arrived)
        rotation = self.rotation
        reached = self._thrust * np.clip(self._control(arrived, rotation), 0.0, MOST_THRUST)
        thrusts = self.thrusts + _SPINNING_UP * (reached - self.thrusts)
        total, *torques = MIXER @ thrusts.T
        pull = total / self.dynamics.mass
        acceleration = rotation[:, :, 2] * pull[:, None] - self._drag * (self.velocity - wind)
        acceleration[:, 2] -= GRAVITY
        p, q, r = self.rates.T
        jx, jy, jz = self._inertia.T
        spin = np.stack([(jz - jy) * q * r, (jx - jz) * r * p, (jy - jx) * p * q], axis=1)
        velocity = self.velocity + STEP * acceleration
        rates = self.rates + STEP * (np.stack(torques, axis=1) - spin) / self._inertia
        position = self.position + STEP * velocity
        attitude = _product(self.attitude, _turned(STEP * rates))
        attitude /= np.sqrt((attitude * attitude).sum(axis=1, keepdims=True))
        after = (arrived, thrusts, velocity, rates, position, attitude)
        if moving is not None and not moving.all():
            before = (self._arrived, self.thrusts, self.velocity, self.rates, self.position, self.attitude)
            after = (np.where(moving[:, None], *pair) for pair in zip(after, before, strict=True))
        self._arrived, self.thrusts, self.velocity, self.rates, self.position, self.attitude = after

    def _control(self, commands: Array, rotation: Array) -> Array:
        """Thrusts that the controller asks for, (n, 4)."""
        forward, climb, yaw_rate = commands.T
        ahead_x, ahead_y = rotation[:, 0, 0], rotation[:, 1, 0]
        size = np.sqrt(ahead_x * ahead_x + ahead_y * ahead_y)
        cosine, sine = ahead_x / size, ahead_y / size
        x, y, rising = self.velocity.T
        speed, sideways = cosine * x + sine * y, cosine * y - sine * x
        if self._command == "velocity":
            forward = _VELOCITY_GAIN * (forward - speed)
        # In a turn at a forward speed, the direction of flight turns as well.
        left = yaw_rate * speed - _VELOCITY_GAIN * sideways
        up = np.maximum(GRAVITY + _CLIMB_GAIN * (climb - rising), 0.3 * GRAVITY)
        tilting = np.minimum(1, _MOST_TILT * up / np.maximum(np.sqrt(forward * forward + left * left), 1e-9))
        forward, left = tilting * forward, tilting * left
        force = np.stack([cosine * forward - sine * left, sine * forward + cosine * left, up], axis=1)
        # The force as the body sees it: how far the body is tilted from it, and about which axis.
        along, across, thrust = MASS * (rotation * force[:, :, None]).sum(axis=1).T
        pull = MASS * np.sqrt((force * force).sum(axis=1))
        p, q, r = self.rates.T
        roll, pitch, yaw = INERTIA * _RATE_GAINS
        torques = (
            roll * (-_TILT_GAIN * across / pull - p),
            pitch * (_TILT_GAIN * along / pull - q),
            # Yawing takes much of the motors' range, and must leave enough for the tilt.
            np.clip(yaw * (yaw_rate - r), -_MOST_YAW, _MOST_YAW),
        )
        return np.stack([thrust, *torques], axis=1) @ _UNMIXER.T


def _product(first: Array, second: Array) -> Array:
    """Products of quaternions (n, 4)."""
    w, x, y, z = first.T
    a, b, c, d = second.T
    return np.stack(
        [
            w * a - x * b - y * c - z * d,
            w * b + x * a + y * d - z * c,
            w * c - x * d + y * a + z * b,
            w * d + x * c - y * b + z * a,
        ],
        axis=1,
    )


def _turned(angles: Array) -> Array:
    """Quaternions (n, 4) of turns by rotation vectors (n, 3)."""
    half = np.sqrt((angles * angles).sum(axis=1, keepdims=True)) / 2
    # Below this, sine over angle is 1 to the last bit.
    share = np.sin(half) / np.maximum(half, 1e-9) / 2
    return np.concatenate([np.cos(half), angles * np.where(half > 1e-9, share, 0.5)], axis=1)
