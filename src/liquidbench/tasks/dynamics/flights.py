"""Flights to a target and the policies that fly them: demonstrations by teachers, and closed loops in many worlds."""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.metrics import Measure
from liquidbench.tasks.dynamics import quadrotors
from liquidbench.tasks.dynamics.quadrotors import TICK, Array, Drones, State
from liquidbench.tasks.dynamics.teacher import Teacher
from liquidbench.tasks.task import Feature, Policy, Rollout

EPISODES = 48
LIMIT = 5.0
"""Seconds that a flight lasts."""

PERIOD = 5
"""Ticks from one command to the next: 100 Hz."""

ARENA, SPIN = 4.0, 35.0
"""A drone has crashed when it is further from the target (m) or turns faster (rad/s)."""

CLOSE, HELD = 0.2, 1.0
"""Success is to be within so many metres for the last seconds."""

_MOTORS = ("front right", "back right", "back left", "front left")

FEATURES = (
    *(Feature(f"position {axis}", "m") for axis in "xyz"),
    *(Feature(f"rotation {row}{column}", "1") for row in "xyz" for column in "xyz"),
    *(Feature(f"velocity {axis}", "m/s") for axis in "xyz"),
    *(Feature(f"rate {axis}", "rad/s") for axis in "xyz"),
    *(Feature(f"last command {motor}", "1") for motor in _MOTORS),
)

MEASUREMENTS = (
    Measure("success", "Flights that end at the target", True, (0.0, 1.0)),
    Measure("crash", "Crashes", False, (0.0, 1.0)),
    Measure("distance", "Distance from the target at the end", False, (0.0, ARENA), "m"),
    Measure("settling", "Time until the target is held", False, (0.0, LIMIT), "s"),
    Measure("roughness", "Changes of the motor commands per second", False, (0.0, np.inf), "1/s"),
)


@dataclass(frozen=True)
class World:
    """What may differ from `USUAL` flights; see `WORLDS`.

    Attributes:
        payload: mass added, as a share of the drone's; it also adds to its inertia.
        weakness: share of its thrust that one motor of each drone has lost.
        lag: milliseconds added to the delay.
        wind: speed of a gusty wind, m/s; None for the steady ones of the demonstrations.
        unevenness: how much times between commands vary: uniformly by up to this share.
        slowness: milliseconds added to the time between commands.
        noise: standard deviation of the errors of position in m, of velocity in m/s, and, times 10 and 100, of attitude
            in degrees and of rates in degrees per second.
    """

    payload: float = 0.0
    weakness: float = 0.0
    lag: float = 0.0
    wind: float | None = None
    unevenness: float = 0.0
    slowness: float = 0.0
    noise: float = 0.0

    @property
    def period(self) -> int:
        """Ticks from one command to the next, on average."""
        return PERIOD + round(self.slowness / (1e3 * TICK))

    def changed(self, drones: Drones, random: np.random.Generator) -> Drones:
        """The drones in this world."""
        count = len(drones)
        broken = np.ones((count, 4))
        broken[np.arange(count), random.integers(0, 4, count)] -= self.weakness
        wind = drones.wind
        if self.wind is not None:
            wind = wind * (self.wind / np.linalg.norm(wind, axis=1, keepdims=True))
        return replace(
            drones,
            mass=drones.mass * (1 + self.payload),
            inertia=drones.inertia * (1 + self.payload),
            thrust=drones.thrust * broken[..., None],
            delay=drones.delay + round(self.lag / (1e3 * TICK)),
            wind=wind,
        )

    def intervals(self, random: np.random.Generator) -> Iterator[int]:
        """Ticks between commands, without end."""
        while True:
            yield max(round(self.period * random.uniform(1 - self.unevenness, 1 + self.unevenness)), 1)


USUAL, UNEVEN = World(), World(unevenness=0.8)
"""Worlds of demonstrations: with a command every 10 ms, and every 2 to 18 ms."""

WORLDS: Mapping[str, str] = {
    "payload": "payload",
    "weak_motor": "weakness",
    "command_delay": "lag",
    "wind": "wind",
    "uneven_control": "unevenness",
    "slow_control": "slowness",
    "state_noise": "noise",
}
"""The worlds of `liquidbench.shifts.WORLDS` that can be flown in, and the attribute of `World` that is the level."""


def elsewhere(usual: World, world: str, level: float) -> Rollout:
    """Flights in a world that differs from the usual one; see `liquidbench.tasks.task.Task.elsewhere`.

    Raises:
        ValueError: for a world that is not in `WORLDS`.
    """
    if world not in WORLDS:
        raise ValueError(f"world must be one of {', '.join(WORLDS)}; got {world!r}")
    changed = replace(usual, **{WORLDS[world]: level})
    return lambda policy, seed: fly(policy, seed, changed)


@dataclass(frozen=True, eq=False)
class Situation:
    """What a privileged policy is given in place of an observation: everything.

    Attributes:
        drones: the drones.
        state: their state.
        period: ticks to the next command, on average.
    """

    drones: Drones
    state: State
    period: int


def fly(policy: Policy, seed: int, world: World = USUAL) -> dict[str, float]:
    """Fly `EPISODES` drones that nobody has flown before, side by side.

    Args:
        policy: what flies them; one with an attribute ``privileged`` that is True is given a `Situation`.
        seed: decides drones, starts and noise.
        world: where they fly.

    Returns:
        `MEASUREMENTS` by name. A crashed drone counts as ``ARENA`` metres away; the time until the target is held is
        the mean over successful flights, and `LIMIT` if there is none.

    Raises:
        ValueError: if the policy returns anything but four finite commands for each drone.
    """
    random, noise = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    drawn = quadrotors.draw(random, EPISODES)
    # Starts are those of the unchanged drones, so that flights in all worlds are paired.
    state = quadrotors.perturbed(drawn, random)
    drones = world.changed(drawn, random)
    intervals, privileged = world.intervals(random), getattr(policy, "privileged", False)
    crashed, last, span = np.zeros(EPISODES, dtype=bool), np.zeros((EPISODES, 4)), None
    rest, gusts, given = quadrotors.at_rest(drawn), np.zeros((EPISODES, 3)), replace(drones)
    times, distances, changes, time = [0.0], [_distance(state, crashed)], [], 0.0
    policy.reset(EPISODES)
    while time < LIMIT - TICK / 2:
        seen: Any = Situation(drones, state, world.period) if privileged else observe(state, last, world.noise, noise)
        action = _checked(policy(seen, timespan=span))
        changes.append(np.abs(action - last).mean(axis=1) / 2)
        ticks = next(intervals)
        if world.wind is not None:
            # A quarter of the mean speed, remembered for half a second.
            kept = np.exp(-ticks * TICK / 0.5)
            gusts = kept * gusts + np.sqrt(1 - kept**2) * world.wind / 4 * noise.normal(size=gusts.shape)
            given = replace(drones, wind=drones.wind + gusts)
        state = quadrotors.advance(given, state, (action + 1) / 2, ticks)
        last, span = action, ticks * TICK
        time += span
        crashed |= (np.linalg.norm(state.position, axis=1) > ARENA) | (np.abs(state.rates).max(axis=1) > SPIN)
        state = rest.where(crashed, state)
        times.append(time)
        distances.append(_distance(state, crashed))
    return _measured(np.array(times), np.array(distances), crashed, np.array(changes))


def _distance(state: State, crashed: NDArray[np.bool_]) -> Array:
    return np.where(crashed, ARENA, np.linalg.norm(state.position, axis=1))


def _checked(action: Any) -> Array:
    action = np.asarray(action, dtype=np.float64)
    if action.shape != (EPISODES, 4) or not np.isfinite(action).all():
        raise ValueError(
            f"a policy must return finite commands of shape {(EPISODES, 4)}, from -1 to 1; got shape {action.shape}"
            f"{', with values that are not finite' * (not np.isfinite(action).all())}"
        )
    return np.clip(action, -1.0, 1.0)


def _measured(times: Array, distances: Array, crashed: NDArray[np.bool_], changes: Array) -> dict[str, float]:
    """The measurements from times and distances (steps, drones) and changes of commands (steps - 1, drones)."""
    end, near = times > times[-1] - HELD, distances < CLOSE
    success = near[end].all(axis=0)
    # The time of the last step that is not near, 0 where all are.
    away = np.where(near, 0.0, times[:, None]).max(axis=0)
    return {
        "success": float(success.mean()),
        "crash": float(crashed.mean()),
        "distance": float(distances[end].mean()),
        "settling": float(away[success].mean()) if success.any() else LIMIT,
        # The first command has none before it.
        "roughness": float(changes[1:].sum(axis=0).mean() / times[-1]),
    }


def observe(state: State, last: Array, error: float = 0.0, random: np.random.Generator | None = None) -> Array:
    """What a policy sees: the values of `FEATURES`, (n, 22).

    Args:
        state: the state of the drones.
        last: (n, 4), the commands before, from -1 to 1.
        error: standard deviation of the errors, see `World`.
        random: where errors come from.
    """
    position, velocity, rotation, rates = state.position, state.velocity, state.rotation, state.rates
    if random is not None and error:
        errors = error * random.normal(size=(4, *position.shape))
        position, velocity = position + errors[0], velocity + errors[1]
        rotation = rotation @ quadrotors.rotations(np.radians(10) * errors[2])
        rates = rates + np.radians(100) * errors[3]
    return np.concatenate([position, rotation.reshape(-1, 9), velocity, rates, last], axis=1)


def demonstrations(count: int, steps: int, seed: int, world: World = USUAL) -> tuple[Array, Array, Array]:
    """Flights by the teacher of each drone, from which a policy is to learn.

    What is executed is not what the teacher says, so that it shows how to recover: noise is added to all commands, and
    at times the teacher of another drone flies, which errs as a policy does that does not know the drone yet. Targets
    are always what the drone's own teacher says.

    Args:
        count: number of drones, one flight each.
        steps: commands in a flight.
        seed: where drones, starts and noise come from.
        world: `USUAL` or `UNEVEN`.

    Returns:
        times (steps,), in s; observations (count, steps, 22); commands (count, steps, 4), from -1 to 1.
    """
    random = np.random.default_rng(seed)
    drones = quadrotors.draw(random, count)
    order = random.permutation(count)
    others = replace(drones, **{field.name: getattr(drones, field.name)[order] for field in fields(drones)})
    teacher, stranger = Teacher(drones, PERIOD), Teacher(others, PERIOD)
    state, last, noise = quadrotors.perturbed(drones, random), np.zeros((count, 4)), np.zeros((count, 4))
    intervals = world.intervals(random)
    # Steps for which the other teacher still flies.
    replaced = np.where(random.random(count) < 0.5, random.integers(5, 40, count), 0)
    times, seen, said, time = [], [], [], 0.0
    for _ in range(steps):
        command = teacher(state)
        times.append(time)
        seen.append(observe(state, last))
        said.append(2 * command - 1)
        noise = 0.9 * noise + 0.05 * random.normal(size=noise.shape)
        taken_over = random.random(count) < 0.005
        replaced = np.where(taken_over, random.integers(5, 40, count), np.maximum(replaced - 1, 0))
        executed = np.clip(np.where(replaced[:, None] > 0, stranger(state), command) + noise, 0.0, 1.0)
        ticks = next(intervals)
        state, last = quadrotors.advance(drones, state, executed, ticks), 2 * executed - 1
        time += ticks * TICK
    return np.array(times), np.stack(seen, axis=1), np.stack(said, axis=1)


class Expert:
    """The teacher of each drone, which knows everything about it."""

    privileged = True

    def reset(self, episodes: int | None = None) -> None:
        """Begin other flights."""
        self._teacher: Teacher | None = None

    def __call__(self, observation: Any, *, timespan: Any = None, mask: Any = None) -> Array:
        """The commands in a `Situation`."""
        if self._teacher is None:
            self._teacher = Teacher(observation.drones, observation.period)
        return 2 * self._teacher(observation.state) - 1


class Raptor:
    """RAPTOR's published policy, as its package runs it: a GRU of 16 units, trained with other drones of this kind.

    It was trained at 100 Hz, without delays, and is told nothing of the time between its commands.

    Source: Eschmann, Albani and Loianno, RAPTOR: A foundation policy for quadrotor control, 2025 (arXiv 2509.11481).
    """

    available = importlib.util.find_spec("foundation_policy") is not None
    """Whether the package is installed: ``pip install 'liquidrnn[dynamics]'``."""

    def reset(self, episodes: int | None = None) -> None:
        """Begin other flights."""
        from foundation_policy import Raptor

        # Annotated, as its loader returns one of several classes.
        self._policy: Any = Raptor()
        self._policy.reset()

    def __call__(self, observation: Any, *, timespan: Any = None, mask: Any = None) -> Array:
        """The commands after one more observation."""
        return self._policy.evaluate_step(np.atleast_2d(observation)).reshape(*np.shape(observation)[:-1], 4)
