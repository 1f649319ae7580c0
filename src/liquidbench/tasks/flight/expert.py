"""The policy that knows the state, and shows how to fly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks.flight.quadrotor import Array, Command

STOP, HEIGHT, FASTEST = 3.0, 1.3, 2.0
"""Metres from the target at which the expert stops, its height in metres, and its speed in m/s."""


class Expert:
    r"""Flies straight to the target and stops before it, from the state of the drone.

    At distance :math:`d`, bearing :math:`b` and height :math:`z`, the wanted speed is :math:`\min(0.8 (d - 3), 2)
    \cos^2 b`, not less than -1 m/s, the yaw rate :math:`1.5 b` and the climb rate :math:`2 (1.3 - z)`. Where
    acceleration is commanded, it is 1.5 times what the speed lacks.

    Args:
        command: what the first of the three commands is.
    """

    privileged = True

    def __init__(self, command: Command = "acceleration"):
        self.command = command

    def reset(self, episodes: int | None = None) -> None:
        """Nothing is carried along."""

    def __call__(
        self, observation: NDArray[np.floating[Any]], *, timespan: Any = None, mask: NDArray[np.bool_] | None = None
    ) -> Array:
        """The command in each flight.

        Args:
            observation: (flights, 6), `liquidbench.tasks.flight.flights.Flights.state`.
            timespan: ignored.
            mask: ignored.

        Returns:
            (flights, 3).
        """
        distance, bearing, height, forward, *_ = np.asarray(observation, dtype=np.float64).T
        speed = np.clip(0.8 * (distance - STOP), -1.0, FASTEST) * np.cos(np.clip(bearing, -1.5, 1.5)) ** 2
        first = speed if self.command == "velocity" else np.clip(1.5 * (speed - forward), -2.5, 2.5)
        return np.stack([first, np.clip(2 * (HEIGHT - height), -1.0, 1.0), np.clip(1.5 * bearing, -1.2, 1.2)], axis=1)
