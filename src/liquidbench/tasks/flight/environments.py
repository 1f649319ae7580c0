"""Flights as Gymnasium environments, for learning by reward and for policies of other packages.

Importing this module registers ``liquidbench/FlyToTarget-v0``, so that both of these make one::

    gymnasium.make("liquidbench.tasks.flight.environments:liquidbench/FlyToTarget-v0", world="fog", level=1.0)
    gymnasium.make_vec("liquidbench.tasks.flight.environments:liquidbench/FlyToTarget-v0", num_envs=8)

Many flights in one process are faster side by side, with `liquidbench.tasks.flight.flights.Flights`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks.flight import worlds
from liquidbench.tasks.flight.flights import Flights, Mission
from liquidbench.tasks.flight.quadrotor import LIMITS
from liquidbench.tasks.flight.rendering import HEIGHT, WIDTH

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "environments need Gymnasium, which is not installed: pip install 'liquidrnn[flight]'"
    ) from error

NAME = "liquidbench/FlyToTarget-v0"

REACHED, CRASHED = 10.0, -10.0
"""Rewards at the end of a flight that is a success, and of one that touches something."""


class FlyToTarget(gymnasium.Env[NDArray[np.uint8], NDArray[np.float32]]):
    """One flight to a target.

    Observations are pictures, uint8 (48, 64, 3). Actions are forward acceleration or velocity, climb rate and yaw rate,
    each as a share of the largest, from -1 to 1. The reward of a step is by how many metres the drone has come nearer
    to the target, and at the end `REACHED` or `CRASHED`. A crash terminates an episode, and the time limit truncates
    it. ``info`` has the ``state`` (the columns `liquidbench.tasks.flight.flights.STATE`), the ``timespan`` since the
    picture before and, at the end, ``success``.

    Args:
        mission: what flights are for; None for ``Mission()``.
        world: the name of a world, one of `liquidbench.tasks.flight.worlds.NAMES`; "" for that of training.
        level: its level.
        render_mode: "rgb_array" or None.

    Raises:
        ValueError: for an unknown world, level or render mode.

    Example:
        >>> env = gymnasium.make(NAME)
        >>> picture, info = env.reset(seed=1)
        >>> picture, reward, terminated, truncated, info = env.step(np.zeros(3, dtype=np.float32))
        >>> picture.shape, terminated
        ((48, 64, 3), False)
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        mission: Mission | None = None,
        world: str = "",
        level: float = 0.0,
        render_mode: str | None = None,
    ):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be 'rgb_array' or None; got {render_mode!r}")
        if level and not world:
            raise ValueError(f"level must be left out without a world; got {level}")
        self.mission = mission or Mission()
        self.world = worlds.world(world, level) if world else worlds.World()
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
        self._flights: Flights | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin a flight in another layout.

        Args:
            seed: of this layout and those after it.
            options: none are known.

        Raises:
            ValueError: for options.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"options must be left out, as none are known; got {options}")
        self._flights = Flights(1, int(self.np_random.integers(2**31)), self.mission, self.world)
        return self._picture, self._info

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Fly on until the next picture."""
        flights = self._flying
        before = flights.state[0, 0], flights.stage[0]
        flights.step(np.asarray(action)[None] * LIMITS[self.mission.command])
        # At a target that is passed, the distance jumps to that of the next one.
        reward = float(before[0] - flights.state[0, 0]) if flights.stage[0] == before[1] else 0.0
        crashed, ended, info = bool(flights.crashed[0]), not flights.flying[0], self._info
        if ended:
            info["success"] = bool(flights.outcome["success"][0])
            reward += CRASHED if crashed else REACHED * info["success"]
        return self._picture, reward, crashed, bool(ended and not crashed), info

    def render(self) -> NDArray[np.uint8] | None:
        """The last picture; None without a render mode."""
        return self._picture if self.render_mode else None

    @property
    def _flying(self) -> Flights:
        if self._flights is None:
            raise RuntimeError("reset must be called before step or render")
        return self._flights

    @property
    def _picture(self) -> NDArray[np.uint8]:
        return self._flying.images[0].reshape(HEIGHT, WIDTH, 3).copy()

    @property
    def _info(self) -> dict[str, Any]:
        return {"state": self._flying.state[0], "timespan": float(self._flying.spans[0])}


gymnasium.register(NAME, entry_point=f"{__name__}:{FlyToTarget.__name__}")
