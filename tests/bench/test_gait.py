"""Robots in a closed loop: time, reward and worlds against Gymnasium's own loop, and what a rollout promises."""

import importlib.util

import numpy as np
import pytest
import torch

from liquidbench import shifts, tasks
from liquidbench.tasks import gait
from liquidbench.tasks.task import SPLITS, Constant
from liquidbench.training.policy import measure_policy

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("mujoco")

ROBOTS = [pytest.param(robot, id=robot.name) for robot in gait.ROBOTS.values()]
WORLDS = [
    ("longer_gaps", 1.0),
    ("angle_noise", 0.1),
    ("added_mass", 0.5),
    ("slippery", 0.75),
    ("gravity", 0.5),
    ("command_delay", 20.0),
]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Episodes of 60 usual steps, four at a time."""
    monkeypatch.setattr(gait, "STEPS", 60)
    monkeypatch.setattr(gait, "EPISODES", 4)


def expert(robot: gait.Robot) -> gait.Expert:
    with np.load(gait.EXPERTS / f"{robot.name}.npz") as arrays:
        return gait.Expert(dict(arrays))


def waves(number: int, count: int = 1) -> np.ndarray:
    """Actions of one step."""
    return np.tile(0.6 * np.sin(0.9 * number + np.arange(6)), (count, 1))


def seeded(robot: gait.Robot, seed: int, frame_skip: int):
    """Gymnasium's environment in the first state of the first robot of this seed."""
    environment = gymnasium.make(robot.environment, frame_skip=frame_skip).unwrapped
    first = int(np.random.default_rng(seed).integers(2**31, size=1)[0])
    return environment, environment.reset(seed=first)[0]


@pytest.mark.parametrize("robot", ROBOTS)
def test_weights_are_small_and_act_as_the_network_that_torch_makes_of_them(robot):
    path = gait.EXPERTS / f"{robot.name}.npz"
    assert path.stat().st_size < 100_000
    with np.load(path) as arrays:
        layers = []
        for number in range((len(arrays) - 2) // 2):
            weight, bias = torch.tensor(arrays[f"weight_{number}"]), torch.tensor(arrays[f"bias_{number}"])
            layers += [torch.nn.Linear(*weight.T.shape), torch.nn.Tanh()]
            layers[-2].weight.data, layers[-2].bias.data = weight, bias
        network = torch.nn.Sequential(*layers[:-1])
        states = np.random.default_rng(0).normal(size=(5, 17))
        standardised = ((states - arrays["mean"]) / arrays["deviation"]).clip(-10, 10)
        expected = network(torch.tensor(standardised, dtype=torch.float32)).detach().clamp(-1, 1)
    np.testing.assert_allclose(expert(robot)(states), expected, atol=1e-5)


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_last_digits_of_a_processor_do_not_change_an_action(robot):
    states = np.random.default_rng(1).normal(size=(200, 17))
    acts = expert(robot)
    assert np.array_equal(acts(states), acts(states * (1 + 1e-14)))


@pytest.mark.parametrize("robot", ROBOTS)
def test_at_usual_steps_it_is_the_environment_of_gymnasium(robot):
    robots = gait.Robots(robot, 1, seed=3)
    environment, state = seeded(robot, 3, robot.usual)
    total, fell, number = 0.0, False, 0
    while number < 60 and not fell:
        np.testing.assert_array_equal(robots.states[0], state)
        np.testing.assert_array_equal(robots.observe()[0], state[:8])
        robots.act(waves(number), np.array([robot.usual]))
        state, reward, fell, _, _ = environment.step(waves(number)[0])
        total, number = total + reward, number + 1
    assert not robots.active.any()
    assert robots.returns[0] == pytest.approx(total, abs=1e-9)
    assert robots.seconds[0] == pytest.approx(number * environment.dt)


def test_a_longer_gap_is_more_frames_with_the_same_action():
    robots = gait.Robots(gait.CHEETAH, 1, seed=3)
    environment, state = seeded(gait.CHEETAH, 3, 1)
    total = 0.0
    for number, frames in enumerate((3, 8, 2, 7)):
        robots.act(waves(number), np.array([frames]))
        for _ in range(frames):
            state, reward, *_ = environment.step(waves(number)[0])
            total += reward / gait.CHEETAH.usual
    np.testing.assert_allclose(robots.states[0], state, atol=1e-9)
    assert robots.returns[0] == pytest.approx(total, abs=1e-9)
    assert robots.seconds[0] == pytest.approx(0.2)


def test_delayed_commands_are_those_of_so_many_frames_before():
    robots = gait.Robots(gait.CHEETAH, 1, seed=3, differs=gait.WORLDS["command_delay"](30.0))
    environment, state = seeded(gait.CHEETAH, 3, 1)
    gaps = (2, 8, 2, 2, 7)
    commanded = [np.zeros(6)] * 3 + [waves(number)[0] for number, frames in enumerate(gaps) for _ in range(frames)]
    for number, frames in enumerate(gaps):
        robots.act(waves(number), np.array([frames]))
    for action in commanded[: sum(gaps)]:
        state, *_ = environment.step(action)
    np.testing.assert_allclose(robots.states[0], state, atol=1e-9)


def test_a_world_changes_the_model_that_it_names_and_no_other():
    usual = gait._simulator(gait.CHEETAH, gait.World()).model
    changed = gait._simulator(gait.CHEETAH, gait.World(mass=1.5, friction=0.25, gravity=1.1)).model
    original = gymnasium.make("HalfCheetah-v5").unwrapped.model
    for name, factor in (("body_mass", 1.5), ("body_inertia", 1.5), ("geom_friction", 0.25)):
        np.testing.assert_array_equal(getattr(usual, name), getattr(original, name))
        np.testing.assert_allclose(getattr(changed, name), factor * getattr(original, name))
    np.testing.assert_allclose(changed.opt.gravity, [0, 0, -9.81 * 1.1])


def test_gaps_and_noise_are_those_of_the_world():
    usual, longer = (gait.Robots(gait.CHEETAH, 60, 0, gait.World(gaps=factor)).gaps() for factor in (1.0, 2.0))
    assert set(usual) == set(range(gait.CHEETAH.gaps[0], gait.CHEETAH.gaps[1] + 1))
    np.testing.assert_array_equal(longer, 2 * usual)
    robots = gait.Robots(gait.CHEETAH, 200, 0, gait.World(noise=0.1))
    assert (robots.observe() - robots.states[:, :8]).std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("world", WORLDS, ids=[name for name, _ in WORLDS])
def test_every_world_costs_something_and_is_known_to_studies(world):
    name, level = world
    assert name in shifts.WORLDS and level in shifts.WORLDS[name].levels
    assert set(gait.WORLDS) == {name for name, _ in WORLDS}
    robot = gait.CHEETAH
    policy = Seeing(expert(robot))
    at_home = gait.rollout(robot, gait.World(), policy, 0)
    assert gait.rollout(robot, gait.WORLDS[name](level), policy, 0)["return"] < at_home["return"]
    assert gait.rollout(robot, gait.WORLDS[name](0.0), policy, 0) == at_home


class Seeing:
    """Estimates velocities from two observations and asks the expert; remembers what it was given."""

    def __init__(self, knows: gait.Expert):
        self.knows, self.spans, self.shapes = knows, [], []

    def reset(self, episodes=None):
        self.last, self.spans, self.shapes = None, [], []

    def __call__(self, observation, *, timespan=None, mask=None):
        moved = np.zeros_like(observation) if self.last is None else (observation - self.last) / timespan[:, None]
        self.last = observation
        self.spans.append(timespan)
        self.shapes.append(observation.shape)
        # Gymnasium's state does not tell how far it has come, but how fast it goes.
        return self.knows(np.concatenate([observation, np.full((len(observation), 1), 1.5), moved], axis=1))


def test_a_policy_is_told_positions_and_true_spans_and_a_privileged_one_the_state():
    policy = Seeing(expert(gait.CHEETAH))
    gait.rollout(gait.CHEETAH, gait.World(), policy, 0)
    assert set(policy.shapes) == {(4, 8)}
    spans = np.stack(policy.spans[1:-4]) / gait.CHEETAH.frame
    np.testing.assert_allclose(spans, spans.round(), atol=1e-6)
    assert set(spans.round().ravel()) == set(range(2, 9))

    class Privileged(Seeing):
        privileged = True

        def __call__(self, observation, *, timespan=None, mask=None):
            self.spans.append(timespan)
            self.shapes.append(observation.shape)
            return self.knows(observation)

    policy = Privileged(expert(gait.CHEETAH))
    gait.rollout(gait.CHEETAH, gait.World(gaps=2.0), policy, 0)
    assert policy.shapes == [(4, 17)] * 60
    np.testing.assert_allclose(np.stack(policy.spans[1:]), 0.05)


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_rollout_depends_on_its_seed_alone_and_the_expert_beats_doing_nothing(robot):
    found = {seed: gait.rollout(robot, gait.World(), expert(robot), seed) for seed in (0, 1)}
    assert found[0] == gait.rollout(robot, gait.World(), expert(robot), 0) != found[1]
    assert found[0]["return"] > gait.rollout(robot, gait.World(), Constant([0.0] * 6), 0)["return"]
    assert 0 < found[0]["length"] <= 60 * robot.usual * robot.frame


def test_what_a_policy_must_not_say_is_refused():
    robots = gait.Robots(gait.CHEETAH, 2, 0)
    with pytest.raises(ValueError, match=r"shape \(2, 6\), one row for each episode; got \(6,\)"):
        robots.act(np.zeros(6), np.array([5, 5]))
    with pytest.raises(ValueError, match="actions must be finite"):
        robots.act(np.full((2, 6), np.nan), np.array([5, 5]))


@pytest.mark.parametrize("robot", ROBOTS)
def test_demonstrations_tell_what_the_expert_would_do_and_not_what_was_done(robot, monkeypatch):
    monkeypatch.setattr(gait, "LENGTH", 25)
    arrays = gait.demonstrations(robot, expert(robot), seed=0, count=3)
    assert arrays["times"].shape == (3, 25) and arrays["seen"].shape == (3, 25, 8)
    gaps = np.diff(arrays["times"]) / robot.frame
    assert gaps.min() >= robot.gaps[0] - 1e-6 and gaps.max() <= robot.gaps[1] + 1e-6
    # With another expert, what it says is recorded.
    quiet = replace_weights(expert(robot))
    assert not gait.demonstrations(robot, quiet, seed=0, count=3)["actions"].any()
    again = gait.demonstrations(robot, expert(robot), seed=0, count=3)
    np.testing.assert_array_equal(arrays["actions"], again["actions"])


def replace_weights(one: gait.Expert) -> gait.Expert:
    one._layers = [(0 * weight, 0 * bias) for weight, bias in one._layers]
    return one


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The task of the cheetah with few and short demonstrations."""
    monkeypatch.setattr(gait, "LENGTH", 25)
    monkeypatch.setattr(gait, "SIZES", {"train": 3, "validation": 1, "test": 2})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tasks.load("halfcheetah-loop")


def test_a_task_has_each_demonstration_in_one_split_and_runs_in_its_worlds(small):
    names = [one.name for split in SPLITS for one in small.recordings(split)]
    assert names == [f"demonstration {number}" for number in range(6)]
    assert [len(small.recordings(split)) for split in SPLITS] == [3, 1, 2]
    home = measure_policy(small, small.policies["expert"], 0)
    heavy = measure_policy(small, small.policies["expert"], 0, "added_mass", 0.5)
    assert home["return"][0] is not None and heavy["return"][0] is not None
    assert home["return"][0] > heavy["return"][0]
    assert small.judged == "return" and set(small.policies) == {"trivial", "expert"}


def test_the_checksum_is_that_of_the_recipe(small, monkeypatch):
    assert tasks.load("halfcheetah-loop").data_digest == small.data_digest
    monkeypatch.setattr(gait, "LARGEST", 0.2)
    assert tasks.load("halfcheetah-loop").data_digest != small.data_digest


def test_without_the_simulator_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"halfcheetah-loop needs gymnasium, mujoco, imageio: pip install 'liquidrnn\[flight\]'"
    ):
        tasks.load("halfcheetah-loop")
