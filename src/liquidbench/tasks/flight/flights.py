"""Flights to a target, many side by side: what they see, what they did, and how it ended.

A flight begins in the air, at rest, with the target in view. Every tenth of a second (`TICK`) a picture is taken, the
policy answers with a command, and the drone flies on. A flight ends at its time limit, or where the drone touches
something. It is a success if the drone spends the last second near the target, looking at it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks.flight import rendering, scenes
from liquidbench.tasks.flight.quadrotor import RADIUS, STEP, Array, Command, Dynamics, Quadrotors
from liquidbench.tasks.flight.rendering import HEIGHT, WIDTH
from liquidbench.tasks.flight.worlds import World

TICK = 0.1
"""Seconds between pictures, but where a world or a mission has them come unevenly."""

NEAR, AIMED, HOLD = 4.5, np.radians(25.0), 10
"""At the target: within so many metres and so much bearing, for so many ticks."""

PASSED = 10
"""Ticks at a target after which the next one is to be visited."""

STATE = ("distance", "bearing", "height", "forward speed", "sideways speed", "climb rate")
"""Columns of `Flights.state`: to the present target, in metres and radians to the left; metres; m/s."""

_STEPS_A_TICK = round(TICK / STEP)


@dataclass(frozen=True)
class Mission:
    """What flights are for.

    Attributes:
        command: what the first of the three commands is.
        targets: how many are to be visited, in the order of `liquidbench.tasks.flight.scenes.TARGETS`.
        seconds: time limit.
        hidden: whether every drone has dynamics of its own, `Dynamics.drawn`.
        lost: whether pictures go black for 0.4 to 1.3 s, 1 to 3 s apart, and come 0.1 to 0.3 s apart.
        perturbed: whether flights begin in motion and anywhere on the way, as those of demonstrations do.
    """

    command: Command = "acceleration"
    targets: int = 1
    seconds: float = 15.0
    hidden: bool = False
    lost: bool = False
    perturbed: bool = False


class Flights:
    """Some flights side by side.

    Whatever is random is drawn from the seed, in which no policy has a part, and a world only in what it changes: all
    policies fly in the same layouts, wind and noise.

    Args:
        count: how many.
        seed: of the layouts and of all noise.
        mission: what they are for.
        world: where they take place.
        first: number of the first layout of this seed.
        sight: whether pictures are taken. What does not look flies many times as fast without, and needs no renderer.

    Attributes:
        images: uint8 (count, height * width * 3), the last picture of each flight; black without sight.
        spans: (count,), seconds between the last picture and the one before; `TICK` at the start.
        flying: bool (count,), flights that have not ended.
        crashed: bool (count,), flights that have touched something.
        layouts: what stands where in each.
        look: the colours of all of them.
        seconds: (count,), time since the start.
        positions: (count, ticks + 1, 3), where each flight was at each tick, NaN after its end.
        rotations: (count, ticks + 1, 3, 3), likewise.

    Raises:
        ModuleNotFoundError: if MuJoCo is not installed.
        NoRendererError: if nothing can draw here.
        ValueError: for fewer flights than 1.

    Example:
        >>> flights = Flights(2, seed=0)
        >>> flights.step(np.zeros((2, 3)))
        >>> flights.images.shape, flights.seconds
        ((2, 9216), array([0.1, 0.1]))
    """

    def __init__(
        self,
        count: int,
        seed: int,
        mission: Mission | None = None,
        world: World | None = None,
        first: int = 0,
        sight: bool = True,
    ):
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}")
        self.mission, self.world = mission or Mission(), world or World()
        place = {"targets": self.mission.targets, "farther": self.world.farther, "beside": self.world.beside}
        self.layouts = [
            scenes.draw([seed, first + number], shape=self.world.shape, urban=self.world.town, **place)
            for number in range(count)
        ]
        self.look = scenes.look(self.world.season, self.world.blend, self.world.fog)
        self._obstacles = scenes.Obstacles(self.layouts)
        self._targets = np.stack([layout.targets for layout in self.layouts])
        self._rows = np.arange(count)
        seconds = self.mission.seconds + self.world.farther / 1.5
        self._limit = round(seconds / TICK)
        self._draw(np.random.SeedSequence([seed, first, 1]), count)

        self.flying, self.crashed = np.ones(count, dtype=bool), np.zeros(count, dtype=bool)
        self.ticks, self._steps = np.zeros(count, dtype=np.int64), 0
        self.stage, self._inside = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self._arrival = np.full(count, self._limit)
        self._path, self._straight = np.zeros(count), self._way()
        self._jerk, self._before = np.zeros(count), np.stack([self.drones.velocity] * 2)
        self.positions = np.full((count, self._limit + 1, 3), np.nan)
        self.rotations = np.full((count, self._limit + 1, 3, 3), np.nan)
        self.positions[:, 0], self.rotations[:, 0] = self.drones.position, self.drones.rotation
        self.spans = np.full(count, TICK)
        self.images = np.zeros((count, HEIGHT * WIDTH * 3), dtype=np.uint8)
        self._raw = np.zeros((count, HEIGHT, WIDTH, 3), dtype=np.uint8)
        self._camera = rendering.camera() if sight else None
        self._see(self.flying)

    def _draw(self, seed: np.random.SeedSequence, count: int) -> None:
        """Draw whatever is random in these flights but for the layouts, before they begin."""
        body, air, sight, self._pixels = (np.random.default_rng(child) for child in seed.spawn(4))
        ticks, world, mission = self._limit, self.world, self.mission
        dynamics = Dynamics.drawn(count, body) if mission.hidden else Dynamics.nominal(count)
        dynamics.lag[:] += world.lag
        start = np.zeros((count, 3))
        start[:, 2] = body.uniform(1.1, 1.5, count)
        if mission.perturbed:
            # Anywhere on the way to the first target, up to two metres before the drone should stop.
            along = body.uniform(0, 1, count) * (body.random(count) < 0.4)
            reach = np.linalg.norm(self._targets[:, 0], axis=1, keepdims=True)
            start[:, :2] = along[:, None] * (1 - 3 / reach) * self._targets[:, 0] + body.uniform(-0.5, 0.5, (count, 2))
            start[:, 2] = body.uniform(0.8, 2.2, count)
        self.drones = Quadrotors(start, dynamics, mission.command)
        if mission.perturbed:
            away = self._targets[:, 0] - start[:, :2]
            aimed = np.arctan2(away[:, 1], away[:, 0]) + np.radians(body.uniform(-40, 40, count))
            self.drones.turn(aimed)
            speed, climb, rate = (
                body.uniform(-0.5, 2, count),
                body.uniform(-0.4, 0.4, count),
                body.normal(0, 0.4, count),
            )
            self.drones.velocity = np.stack([speed * np.cos(aimed), speed * np.sin(aimed), climb], axis=1)
            self.drones.rates[:, 2] = rate

        turn = air.uniform(-np.pi, np.pi, count)
        gusts, steps = np.zeros((count, ticks, 3)), air.normal(size=(count, ticks, 3))
        keeping = np.exp(-TICK)
        for tick in range(1, ticks):
            gusts[:, tick] = keeping * gusts[:, tick - 1] + np.sqrt(1 - keeping**2) * steps[:, tick]
        mean = np.stack([np.cos(turn), np.sin(turn), np.zeros(count)], axis=1)[:, None]
        self._wind = world.wind * (mean + 0.3 * gusts)

        longest = max(round(world.gap / TICK), 3 if mission.lost else 1)
        self._gaps = sight.integers(1, longest + 1, (count, ticks))
        at = np.arange(ticks + 1)
        self._black = np.zeros((count, ticks + 1), dtype=bool)
        phase = sight.uniform(0, 2.5, count)[:, None]
        self._black |= (at * TICK + phase) % 2.5 >= 2.5 - world.blackout
        pauses, bursts = sight.uniform(1.0, 3.0, (count, ticks)), sight.uniform(0.4, 1.3, (count, ticks))
        if mission.lost:
            begins = (np.cumsum(pauses + bursts, axis=1) - bursts)[:, :, None]
            self._black |= ((at * TICK >= begins) & (at * TICK < begins + bursts[:, :, None])).any(axis=1)
        self._stale = sight.random((count, ticks + 1)) < world.stale
        self._corners = sight.random((count, ticks // 8 + 1, 2))

    @property
    def state(self) -> Array:
        """(count, 6), the columns `STATE`, which no policy sees but a privileged one."""
        distance, bearing = self._to_target()
        columns = (distance, bearing, self.drones.position[:, 2], *self.drones.own_velocity.T)
        return np.stack(columns, axis=1)

    @property
    def outcome(self) -> dict[str, Array]:
        """How the flights went, each (count,): success and crash as 0 or 1, time, path and jerk.

        Time is that of the first arrival at the last target, in seconds; the limit where there was none. Path is the
        length flown until then, as a share of the straight way up to `NEAR` the last target. Jerk is the mean size of
        the change of acceleration, in m/s³.
        """
        arrived = self._arrival < self._limit
        held = (self._inside >= HOLD) & (self.stage == self.mission.targets - 1)
        return {
            "success": (held & ~self.crashed).astype(np.float64),
            "crash": self.crashed.astype(np.float64),
            "time": np.where(arrived, self._arrival, self._limit) * TICK,
            "path": self._path / self._straight,
            "jerk": self._jerk / np.maximum(self.ticks, 1),
        }

    @property
    def seconds(self) -> Array:
        """(count,), time since the start."""
        return np.multiply(self.ticks, TICK, dtype=np.float64)

    @property
    def limit(self) -> float:
        """The time limit in seconds."""
        return self._limit * TICK

    def step(self, actions: NDArray[np.floating[Any]]) -> None:
        """Fly on until each flight has its next picture; those that have ended stay as they are.

        Args:
            actions: (count, 3), forward, climb and yaw rate; what is beyond
                `liquidbench.tasks.flight.quadrotor.LIMITS` is clipped.

        Raises:
            ValueError: for another shape, or an action of a flight in the air that is not finite.
        """
        commands: Array = np.asarray(actions, dtype=np.float64)
        if commands.shape != (len(self._rows), 3):
            raise ValueError(f"actions must have shape {(len(self._rows), 3)}, one row a flight; got {commands.shape}")
        if (bad := self.flying & ~np.isfinite(commands).all(axis=1)).any():
            number = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"actions must be finite; the policy answered {commands[number].tolist()} in flight {number} after "
                f"{self.seconds[number]:.1f} s"
            )
        commands = np.where(self.flying[:, None], commands, 0.0)
        gaps = self._gaps[:, min(self._steps, self._limit - 1)]
        seeing, before = self.flying.copy(), self.ticks.copy()
        for tick in range(int(gaps[self.flying].max(initial=0))):
            moving = self.flying & (tick < gaps)
            wind = self._wind[self._rows, np.minimum(self.ticks, self._limit - 1)]
            for _ in range(_STEPS_A_TICK):
                self.drones.advance(commands, wind, moving)
            self._judge(moving)
        self._steps += 1
        self.spans = np.where(seeing, (self.ticks - before) * TICK, TICK)
        self._see(seeing)

    def _judge(self, moving: NDArray[np.bool_]) -> None:
        """Note what the flights that moved have reached after a tick."""
        drones, rows = self.drones, self._rows[moving]
        self.ticks += moving
        self.positions[rows, self.ticks[moving]] = drones.position[moving]
        self.rotations[rows, self.ticks[moving]] = drones.rotation[moving]
        moved = drones.position[moving] - self.positions[rows, self.ticks[moving] - 1]
        open_way = self._arrival[moving] >= self._limit
        self._path[moving] += np.linalg.norm(moved, axis=1) * open_way
        change = drones.velocity - 2 * self._before[0] + self._before[1]
        self._jerk += moving * np.linalg.norm(change, axis=1) / TICK**2
        self._before[1, moving], self._before[0, moving] = self._before[0, moving], drones.velocity[moving]

        distance, bearing = self._to_target()
        inside = (distance < NEAR) & (np.abs(bearing) < AIMED)
        self._inside = np.where(moving, np.where(inside, self._inside + 1, 0), self._inside)
        last = self.stage == self.mission.targets - 1
        first_time = moving & last & inside & (self._arrival >= self._limit)
        self._arrival[first_time] = self.ticks[first_time]
        onward = moving & ~last & (self._inside >= PASSED)
        self.stage += onward
        self._inside[onward] = 0

        self.crashed |= moving & self._obstacles.touching(drones.position, RADIUS)
        self.flying &= ~self.crashed & (self.ticks < self._limit)

    def _to_target(self) -> tuple[Array, Array]:
        away = self._targets[self._rows, self.stage] - self.drones.position[:, :2]
        bearing = np.arctan2(away[:, 1], away[:, 0]) - self.drones.heading
        return np.linalg.norm(away, axis=1), (bearing + np.pi) % (2 * np.pi) - np.pi

    def _way(self) -> Array:
        """The straight way from target to target up to `NEAR` the last, at least a metre."""
        points = np.concatenate([self.drones.position[:, None, :2], self._targets], axis=1)
        return np.maximum(np.linalg.norm(np.diff(points, axis=1), axis=2).sum(axis=1) - NEAR, 1.0)

    def _see(self, seeing: NDArray[np.bool_]) -> None:
        """Take the next picture of each of these flights."""
        if self._camera is None:
            return
        world, ticks = self.world, np.minimum(self.ticks, self._limit)
        stale = self._stale[self._rows, ticks] & (self.ticks > 0)
        black = self._black[self._rows, ticks]
        rotations = self.drones.rotation
        for number in np.flatnonzero(seeing & ~stale & ~black):
            self._raw[number] = self._camera.picture(
                self.layouts[number], self.look, self.drones.position[number], rotations[number]
            )
        shown = self._raw.copy()
        shown = _altered(shown, world)
        if world.occlusion:
            self._cover(shown, ticks)
        if world.noise:
            noisy = shown + world.noise * self._pixels.standard_normal(shown.shape, dtype=np.float32)
            shown = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        shown[black] = 0
        fresh = seeing & ~stale
        self.images[fresh] = shown.reshape(len(shown), -1)[fresh]

    def _cover(self, shown: NDArray[np.uint8], ticks: NDArray[np.int64]) -> None:
        side = np.sqrt(self.world.occlusion)
        height, width = round(side * HEIGHT), round(side * WIDTH)
        corners = self._corners[self._rows, ticks // 8] * (HEIGHT - height + 1, WIDTH - width + 1)
        for picture, (top, left) in zip(shown, corners.astype(int), strict=True):
            picture[top : top + height, left : left + width] = 0


def _altered(shown: NDArray[np.uint8], world: World) -> NDArray[np.uint8]:
    """Pictures (n, height, width, 3) after what a world does to their colours and sharpness."""
    if not (world.hue or world.contrast or world.blur):
        return shown
    values = shown.astype(np.float32)
    if world.hue:
        values = values @ _hue_turn(world.hue).T
    if world.contrast:
        mean = values.mean(axis=(1, 2, 3), keepdims=True)
        values = mean + (1 - world.contrast) * (values - mean)
    if world.blur:
        for axis in (1, 2):
            wide = 2 * world.blur + 1
            padding = [(world.blur, world.blur) if one == axis else (0, 0) for one in range(4)]
            padded = np.pad(values, padding, mode="edge")
            size = values.shape[axis]
            values = sum(np.take(padded, range(at, at + size), axis) for at in range(wide)) / np.float32(wide)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _hue_turn(degrees: float) -> NDArray[np.float32]:
    """The turn of colours about the grey axis, (3, 3)."""
    angle = np.radians(degrees)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) / 3
    return turn.astype(np.float32)
