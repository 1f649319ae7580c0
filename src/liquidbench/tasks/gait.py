"""Robots that run and walk in a closed loop: policies that imitate an expert, in MuJoCo environments of Gymnasium.

The expert acts on the whole state. The policies see where the joints are and not how fast they move, and they see it at
irregular times: after each action the robot moves on for a random number of frames of the simulator, with the same
action, before it is observed again. How fast the joints move is in the last observations and the time between them.
"""

import functools
import hashlib
import importlib
import importlib.util
import io
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.metrics import Measure
from liquidbench.tasks import files
from liquidbench.tasks.task import SPLITS, Constant, Feature, Policy, Recording, Source, Task, numbered

EXPERTS = Path(__file__).parent / "gaits"
"""Folder of the experts' weights, which `benchmarks/gaits.py` trains."""

SIZES = {"train": 32, "validation": 8, "test": 8}
"""Demonstrations by split."""

LENGTH = 500
"""Observations of a demonstration."""

EPISODES = 16
"""Episodes of a rollout."""

STEPS = 1000
"""Usual steps that an episode lasts at most, as in Gymnasium."""

PERSISTENCE, LARGEST = 0.8, 0.3
"""Of the noise on the demonstrator's actions: correlation between actions that follow, and largest deviation."""

VERSION = 2
"""Number of the way in which demonstrations are made; a change in it gets the next."""


@dataclass(frozen=True)
class Robot:
    """An environment of Gymnasium, and when it is observed.

    Attributes:
        name: what tasks and files of weights call it.
        environment: its id in Gymnasium.
        title: its name in reports.
        does: what it does, in words.
        page: its page in Gymnasium's documentation.
        joints: the joints that have an action each, in the order of its angles and actions.
        frame: seconds of a frame of the simulator.
        usual: frames of a usual step, at which the expert was trained.
        gaps: least and largest number of frames between observations.
    """

    name: str
    environment: str
    title: str
    does: str
    page: str
    joints: tuple[str, ...]
    frame: float
    usual: int
    gaps: tuple[int, int]

    @property
    def longest(self) -> float:
        """Seconds that an episode lasts at most."""
        return STEPS * self.usual * self.frame


CHEETAH = Robot(
    name="halfcheetah",
    environment="HalfCheetah-v5",
    title="Half-Cheetah",
    does="runs",
    page="https://gymnasium.farama.org/environments/mujoco/half_cheetah/",
    joints=("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot"),
    frame=0.01,
    usual=5,
    gaps=(2, 8),
)
WALKER = Robot(
    name="walker2d",
    environment="Walker2d-v5",
    title="Walker2d",
    does="walks",
    page="https://gymnasium.farama.org/environments/mujoco/walker2d/",
    joints=("thigh", "leg", "foot", "left thigh", "left leg", "left foot"),
    frame=0.002,
    usual=4,
    gaps=(1, 7),
)

ROBOTS: Mapping[str, Robot] = {robot.name: robot for robot in (CHEETAH, WALKER)}


@dataclass(frozen=True)
class World:
    """What differs from the world of training.

    Attributes:
        gaps: factor of the frames between observations.
        noise: standard deviation of noise on what is observed, in rad, and in m for the height.
        mass: factor of all masses and moments of inertia.
        friction: factor of the friction of all surfaces.
        gravity: factor of gravity.
        late: seconds by which actions are late.
    """

    gaps: float = 1.0
    noise: float = 0.0
    mass: float = 1.0
    friction: float = 1.0
    gravity: float = 1.0
    late: float = 0.0


WORLDS: Mapping[str, Callable[[float], World]] = {
    "longer_gaps": lambda level: World(gaps=1 + level),
    "angle_noise": lambda level: World(noise=level),
    "added_mass": lambda level: World(mass=1 + level),
    "slippery": lambda level: World(friction=1 - level),
    "gravity": lambda level: World(gravity=1 + level),
    "command_delay": lambda level: World(late=level / 1000),
}
"""What each of these `liquidbench.shifts.WORLDS` is at a level."""


class Expert:
    """A network without memory that was trained by reinforcement on the whole state, evaluated in NumPy.

    Args:
        weights: mean and deviation of states, then weights and biases, first layer first.
    """

    privileged = True

    def __init__(self, weights: Mapping[str, NDArray[np.floating[Any]]]):
        arrays = {name: np.asarray(array, dtype=np.float64) for name, array in weights.items()}
        self._mean, self._deviation = arrays["mean"], arrays["deviation"]
        self._layers = [(arrays[f"weight_{n}"].T, arrays[f"bias_{n}"]) for n in range((len(arrays) - 2) // 2)]

    def reset(self, episodes: int | None = None) -> None:
        """See `liquidbench.tasks.task.Policy`."""

    def __call__(
        self, observation: NDArray[Any], *, timespan: Any = None, mask: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Actions (..., 6) for states (..., 17)."""
        hidden = np.clip((observation - self._mean) / self._deviation, -10.0, 10.0)
        for weight, bias in self._layers[:-1]:
            hidden = np.tanh(hidden @ weight + bias)
        weight, bias = self._layers[-1]
        # The last digits differ by processor, and a gait makes much of them: rounded, it is the same on all.
        return np.clip(np.round(hidden @ weight + bias, 6), -1.0, 1.0)


class Robots:
    """Robots side by side in one world.

    Args:
        robot: what they are.
        count: how many.
        seed: seed of their first states, of what they are observed with, and of when.
        differs: what differs from the world of training.
    """

    def __init__(self, robot: Robot, count: int, seed: int, differs: World = World()):
        self._robot, self._world = robot, differs
        self._random = np.random.default_rng(seed)
        self._simulators = [_simulator(robot, differs) for _ in range(count)]
        seeds = self._random.integers(2**31, size=count)
        states = [simulator.reset(seed=int(one))[0] for simulator, one in zip(self._simulators, seeds, strict=True)]
        self._states = np.stack(states)
        self._frames = np.zeros(count, dtype=np.int64)
        self._fell = np.zeros(count, dtype=bool)
        late = round(differs.late / robot.frame)
        # What was commanded and has not been carried out: frames and action.
        self._pending = [deque([(late, np.zeros(len(robot.joints)))] if late else []) for _ in range(count)]
        self.returns = np.zeros(count)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which have neither fallen nor come to the end of their episodes, (robots,)."""
        return ~self._fell & (self._frames < STEPS * self._robot.usual)

    @property
    def states(self) -> NDArray[np.float64]:
        """Positions and velocities, (robots, 17)."""
        return self._states.copy()

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each has been moving, (robots,)."""
        return (self._frames * self._robot.frame).astype(np.float64)

    def observe(self) -> NDArray[np.float64]:
        """Positions as they are seen, (robots, 8)."""
        noise = self._random.normal(size=(len(self._states), _SEEN))
        return self._states[:, :_SEEN] + self._world.noise * noise

    def gaps(self) -> NDArray[np.int64]:
        """Frames until each is observed again, (robots,)."""
        least, most = self._robot.gaps
        drawn = self._random.integers(least, most, size=len(self._states), endpoint=True)
        return np.maximum(np.rint(self._world.gaps * drawn), 1).astype(np.int64)

    def act(self, actions: NDArray[np.floating[Any]], frames: NDArray[np.int64]) -> None:
        """Move on those that are active.

        Args:
            actions: (robots, 6); what is beyond -1 and 1 is cut off.
            frames: for how many frames, (robots,).

        Raises:
            ValueError: if actions have another shape or are not finite.
        """
        expected = (len(self._states), len(self._robot.joints))
        if np.shape(actions) != expected:
            raise ValueError(f"actions must have shape {expected}, one row for each episode; got {np.shape(actions)}")
        if not np.isfinite(actions[self.active]).all():
            raise ValueError("actions must be finite; the policy gave NaN or infinity")
        for number in np.flatnonzero(self.active).tolist():
            left = min(int(frames[number]), STEPS * self._robot.usual - int(self._frames[number]))
            pending = self._pending[number]
            pending.append((left, np.clip(actions[number], -1.0, 1.0)))
            while left and not self._fell[number]:
                length, action = pending.popleft()
                now = min(length, left)
                if now < length:
                    pending.appendleft((length - now, action))
                self._move(number, action, now)
                left -= now

    def _move(self, number: int, action: NDArray[np.float64], frames: int) -> None:
        simulator = self._simulators[number]
        simulator.frame_skip = frames
        self._states[number], reward, fell, _, _ = simulator.step(action)
        # Gymnasium's reward is per step and made of rates, so that a part of a step counts as that part.
        self.returns[number] += float(reward) * frames / self._robot.usual
        self._frames[number] += frames
        self._fell[number] = fell


_SEEN = 8
"""Positions at the head of the state: height, pitch and six joints. How far the robot has come is not in the state."""


def _simulator(robot: Robot, differs: World) -> Any:
    """An environment without time limit and checks, in a world."""
    import gymnasium

    # Its stubs lack these functions.
    mujoco: Any = importlib.import_module("mujoco")
    usual = mujoco.get_mju_user_warning()
    # The models that come with Gymnasium use an attribute that MuJoCo says is deprecated, each time and into a file.
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        made: Any = gymnasium.make(robot.environment).unwrapped
    finally:
        mujoco.set_mju_user_warning(usual)
    model = made.model
    model.body_mass *= differs.mass
    model.body_inertia *= differs.mass
    model.geom_friction *= differs.friction
    model.opt.gravity *= differs.gravity
    return made


def rollout(robot: Robot, differs: World, policy: Policy, seed: int) -> dict[str, float]:
    """Run `EPISODES` episodes side by side; a privileged policy sees the whole state at every usual step.

    Args:
        robot: what to run.
        differs: what differs from the world of training.
        policy: the policy.
        seed: seed of first states, noise and gaps.

    Returns:
        Means over episodes: ``return`` as Gymnasium counts it, and ``length`` in seconds.
    """
    robots = Robots(robot, EPISODES, seed, differs)
    privileged = getattr(policy, "privileged", False)
    policy.reset(EPISODES)
    spans = None
    while robots.active.any():
        # Drawn for a privileged policy too, so that its noise is that of the others.
        seen, frames = robots.observe(), robots.gaps()
        if privileged:
            seen, frames = robots.states, np.full(EPISODES, robot.usual)
        before = robots.seconds
        robots.act(policy(seen, timespan=spans), frames)
        # Those that are not active are given any span; nothing is made of what the policy says of them.
        spans = np.where(robots.active, robots.seconds - before, robot.usual * robot.frame)
    return {"return": float(robots.returns.mean()), "length": float(robots.seconds.mean())}


def demonstrations(robot: Robot, expert: Expert, seed: int, count: int) -> dict[str, NDArray[Any]]:
    """Episodes of `LENGTH` observations in which an expert acts, disturbed by noise, without a fall.

    The noise is on what is done and not on the action that is recorded, so that demonstrations show how to recover
    (DART: Laskey et al., Conference on Robot Learning 2017, arXiv 1703.09327).

    Args:
        robot: what to demonstrate.
        expert: the expert.
        seed: seed of everything random.
        count: number of demonstrations.

    Returns:
        ``times`` (count, `LENGTH`), ``seen`` (count, `LENGTH`, 8) and ``actions`` (count, `LENGTH`, 6).
    """
    random = np.random.default_rng(seed)
    kept: list[tuple[NDArray[Any], ...]] = []
    while len(kept) < count:
        robots = Robots(robot, count, int(random.integers(2**31)))
        deviation = random.uniform(0.0, LARGEST, (count, 1))
        noise = np.zeros((count, len(robot.joints)))
        times, seen, actions = [], [], []
        for _ in range(LENGTH):
            times.append(robots.seconds)
            seen.append(robots.observe())
            actions.append(expert(robots.states))
            fresh = random.normal(size=noise.shape)
            noise = PERSISTENCE * noise + np.sqrt(1 - PERSISTENCE**2) * deviation * fresh
            robots.act(actions[-1] + noise, robots.gaps())
        upright = robots.active
        kept += zip(*(np.stack(one, axis=1)[upright] for one in (times, seen, actions)), strict=True)
    arrays = (np.stack(one) for one in zip(*kept[:count], strict=True))
    return dict(zip(("times", "seen", "actions"), arrays, strict=True))


def halfcheetah_loop(data: str | os.PathLike[str] | None = None) -> Task:
    """Half-Cheetah in a closed loop; demonstrations are simulated on first use."""
    return _loop(CHEETAH)


def walker2d_loop(data: str | os.PathLike[str] | None = None) -> Task:
    """Walker2d in a closed loop; demonstrations are simulated on first use."""
    return _loop(WALKER)


def _loop(robot: Robot) -> Task:
    """The task of acting as the expert does.

    Raises:
        ImportError: if the simulator is not installed.
    """
    if missing := [name for name in ("gymnasium", "mujoco", "imageio") if importlib.util.find_spec(name) is None]:
        raise ImportError(
            f"the task {robot.name}-loop needs {', '.join(missing)}: pip install 'liquidrnn[flight]'",
            name=missing[0],
        )
    weights = (EXPERTS / f"{robot.name}.npz").read_bytes()
    expert = _expert(weights)
    recipe = f"{VERSION} {robot} {SIZES} {LENGTH} {PERSISTENCE} {LARGEST}".encode() + weights
    digest = hashlib.sha256(recipe).hexdigest()

    @functools.cache
    def recordings() -> list[Recording]:
        arrays = files.parsed_once(digest, _demonstrated, [robot.name.encode(), weights])
        drawn = zip(arrays["times"], arrays["seen"], arrays["actions"], strict=True)
        return numbered(
            Recording(f"demonstration {number}", times, values, targets, first_row=0)
            for number, (times, values, targets) in enumerate(drawn)
        )

    def of(split: str) -> list[Recording]:
        first = sum(SIZES[name] for name in SPLITS[: SPLITS.index(split)])
        return recordings()[first : first + SIZES[split]]

    return Task(
        name=f"{robot.name}-loop",
        title=f"{robot.title} in a closed loop",
        description=f"What an expert does that sees the whole state of a robot that {robot.does}, from where its "
        "joints are at irregular times; then, whether the robot still does so.",
        features=(
            Feature("height", "m"),
            Feature("torso pitch", "rad"),
            *(Feature(f"{joint} angle", "rad") for joint in robot.joints),
        ),
        kind="regression",
        per="step",
        outputs=len(robot.joints),
        target_unit="1",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="s",
        source=Source(
            title=f"{robot.environment} (MuJoCo, simulated with Gymnasium)",
            url=robot.page,
            licence="none needed: generated by this package",
            citation="Towers et al., Gymnasium: A Standard Interface for Reinforcement Learning Environments, 2024 "
            "(arXiv 2407.17032); Todorov, Erez and Tassa, MuJoCo: A physics engine for model-based control, IROS 2012",
        ),
        split_rule=f"By demonstration, each simulated anew: {SIZES['train']} train, {SIZES['validation']} validation, "
        f"{SIZES['test']} test.",
        recordings=of,
        data_digest=digest,
        baseline="mean",
        window=64,
        stride=32,
        irregular=True,
        fold_rule="By simulation there is one: demonstrations are all alike.",
        rollout=functools.partial(rollout, robot, World()),
        worlds=tuple(WORLDS),
        elsewhere=lambda name, level: functools.partial(rollout, robot, WORLDS[name](level)),
        measurements=(
            Measure("return", "Return", True),
            Measure("length", "Length of an episode", True, (0.0, robot.longest), "s"),
        ),
        judged="return",
        policies={"trivial": Constant(np.zeros(len(robot.joints)).tolist()), "expert": expert},
    )


def _demonstrated(raw: list[bytes]) -> dict[str, NDArray[Any]]:
    """All demonstrations of a robot, given its name and its expert's weights."""
    name, weights = raw
    return demonstrations(ROBOTS[name.decode()], _expert(weights), seed=0, count=sum(SIZES.values()))


def _expert(weights: bytes) -> Expert:
    with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
        return Expert(dict(arrays))
