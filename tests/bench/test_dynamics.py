"""Quadrotors of unknown dynamics: against Crazyflow's simulator and SciPy's solvers, and what flights must show."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial.transform import Rotation

from liquidbench import tasks
from liquidbench.shifts import WORLDS
from liquidbench.tasks.dynamics import flights, quadrotors, teacher
from liquidbench.tasks.dynamics.flights import Expert, Raptor, World, fly
from liquidbench.tasks.dynamics.quadrotors import LONGEST_DELAY, TICK, advance, at_rest, draw, hover, perturbed, thrust
from liquidbench.tasks.dynamics.teacher import Teacher
from liquidbench.tasks.task import Constant
from liquidbench.training.policy import measure_policy

CRAZYFLOW = Path(__file__).parent / "on_crazyflow.py"
NAMES = ("hidden-dynamics", "hidden-dynamics-uneven")


def drones(count=5, seed=0, **changed):
    return replace(draw(np.random.default_rng(seed), count), **changed)


def calm(count=5, seed=0, **changed):
    found = drones(count, seed)
    return replace(found, wind=np.zeros((count, 3)), **changed)


class Watching:
    """Commands that hover on average, and everything that it was shown."""

    def reset(self, episodes=None):
        self.episodes, self.seen, self.spans = episodes, [], []

    def __call__(self, observation, *, timespan=None, mask=None):
        self.seen.append(observation)
        self.spans.append(timespan)
        return np.full((self.episodes, 4), 0.1)


# The simulator.


@pytest.mark.slow
def test_trajectories_are_those_of_crazyflow(tmp_path):
    """In a process of its own, as Crazyflow has to be imported before SciPy."""
    random = np.random.default_rng(3)
    flown = drones(6, seed=3, delay=np.zeros(6, dtype=np.int64))
    # Motors that differ from each other as well.
    flown = replace(flown, thrust=flown.thrust * random.uniform(0.9, 1.1, (6, 4, 1)))
    state = perturbed(flown, random)
    commands = np.clip(hover(flown) + 0.1 * random.normal(size=(100, 6, 4)), 0, 1)
    start = {name: getattr(state, name) for name in ("position", "rotation", "velocity", "rates", "motors")}
    given = {field.name: getattr(flown, field.name) for field in fields(flown)}
    np.savez(tmp_path / "given.npz", commands=commands, **start, **given)
    # MuJoCo writes a log into the working directory.
    command = [sys.executable, CRAZYFLOW, "given.npz", "flown.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "No module named 'crazyflow'" in done.stderr:
        pytest.skip("needs Crazyflow: pip install crazyflow")
    assert done.returncode == 0, done.stderr
    theirs, ours = np.load(tmp_path / "flown.npy"), []
    for command in commands:
        state = advance(flown, state, command, 5)
        parts = (state.position, state.rotation.reshape(6, 9), state.velocity, state.rates, state.motors)
        ours.append(np.concatenate(parts, axis=1))
    assert np.abs(theirs[..., :3]).max() > 1
    np.testing.assert_allclose(np.stack(ours), theirs, rtol=0, atol=1e-9)


def test_a_drone_at_rest_stays_at_rest_without_wind():
    still = calm()
    state = advance(still, at_rest(still), hover(still), 200)
    for moved in (state.position, state.velocity, state.rates):
        np.testing.assert_allclose(moved, 0, atol=1e-9)
    np.testing.assert_allclose(state.rotation, np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-9)


def test_a_falling_drone_reaches_the_speed_at_which_drag_carries_its_weight():
    falling = calm(drag=20 * drones().mass, thrust=np.zeros((5, 4, 3)))
    state = advance(falling, at_rest(drones()), np.zeros((5, 4)), 1000)
    np.testing.assert_allclose(state.velocity[:, 2], -quadrotors.GRAVITY / 20)


def test_a_drone_on_which_nothing_acts_keeps_its_angular_momentum():
    free = calm(thrust=np.zeros((5, 4, 3)))
    start = perturbed(calm(), np.random.default_rng(1))
    state = advance(free, start, np.zeros((5, 4)), 500)

    def momentum(state):
        return (state.rotation @ (free.inertia * state.rates)[..., None])[..., 0]

    error = np.linalg.norm(momentum(state) - momentum(start), axis=1) / np.linalg.norm(momentum(start), axis=1)
    # Of first order in the length of a step.
    assert error.max() < 0.01 and np.abs(state.rates - start.rates).max() > 0.05


def test_motors_follow_commands_after_the_delay_with_their_time_constants():
    delayed = calm(delay=np.array([0, 3, 7, 10, LONGEST_DELAY - 1]))
    start = at_rest(delayed)
    up, down = advance(delayed, start, np.ones((5, 4)), 12), advance(delayed, start, np.zeros((5, 4)), 12)
    for drone, delay in enumerate(delayed.delay):
        done = max(12 - delay, 0)
        rise = (1 - TICK / delayed.rising[drone]) ** done
        np.testing.assert_allclose(1 - up.motors[drone], (1 - start.motors[drone]) * rise)
        fall = (1 - TICK / delayed.falling[drone]) ** done
        np.testing.assert_allclose(down.motors[drone], start.motors[drone] * fall)


def test_several_calls_are_one_flight():
    flown = drones()
    random = np.random.default_rng(2)
    start, commands = perturbed(flown, random), random.random((5, 4))
    once = advance(flown, start, commands, 9)
    twice = advance(flown, advance(flown, start, commands, 4), commands, 5)
    for field in fields(once):
        np.testing.assert_allclose(getattr(once, field.name), getattr(twice, field.name), atol=1e-12)


def test_rotations_are_those_of_scipy():
    vectors = np.random.default_rng(0).normal(size=(50, 3)) * np.logspace(-9, 1, 50)[:, None]
    np.testing.assert_allclose(quadrotors.rotations(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


def test_each_motor_turns_the_drone_as_its_place_says():
    """Motors are front right, back right, back left, front left; axes are forward, left, up."""
    still = calm(1)
    forward, left = np.array([1, -1, -1, 1]), np.array([-1, -1, 1, 1])
    for motor in range(4):
        stronger = hover(still) + 0.1 * np.eye(4)[motor]
        rates = advance(still, at_rest(still), stronger, 20).rates[0]
        # A push at the left rolls to the right, about the forward axis; one at the front lifts the nose.
        assert np.sign(rates[0]) == left[motor] and np.sign(rates[1]) == -forward[motor]
        # The first propeller's drag turns the drone clockwise, seen from above; neighbours turn against each other.
        assert np.sign(rates[2]) == (-1, 1, -1, 1)[motor]


def test_drones_are_as_different_as_they_are_said_to_be():
    many = drones(2000)
    strongest = thrust(many, np.ones((2000, 4)))
    np.testing.assert_allclose(strongest.sum(axis=1) / (9.81 * many.mass), many.thrust_to_weight)
    turning = 2 * strongest[:, 0] * many.arm / many.inertia[:, 0]
    for value, low, high in (
        (many.thrust_to_weight, 1.8, 4.0),
        (turning, 80, 800),
        (many.rising, 0.03, 0.1),
        (many.falling, 0.03, 0.2),
        (many.mass, 0.03, 3.0),
        (many.delay, 0, 10),
        (np.linalg.norm(many.wind, axis=1), 0, 3),
        (hover(many), 0.2, 0.8),
    ):
        assert low <= value.min() and value.max() <= high
        assert np.quantile(value, 0.95) - np.quantile(value, 0.05) > 0.4 * (high - low)


# Teachers.


def test_the_regulator_solves_the_riccati_equation_of_scipy():
    random = np.random.default_rng(0)
    transition, control = random.normal(size=(3, 6, 6)) * 0.6, random.normal(size=(3, 6, 2))
    costs, price = np.diag(random.random(6)), np.diag([0.5, 2.0])
    found = teacher.regulator(transition, control, costs, price)
    for one, moved, entering in zip(found, transition, control, strict=True):
        value = scipy.linalg.solve_discrete_are(moved, entering, costs, price)
        expected = np.linalg.solve(price + entering.T @ value @ entering, entering.T @ value @ moved)
        np.testing.assert_allclose(one, expected, rtol=1e-6, atol=1e-9)


def test_a_drone_that_cannot_be_flown_is_refused():
    with pytest.raises(ValueError, match="a drone cannot be stabilised by its teacher"):
        teacher.regulator(2 * np.eye(3)[None], np.zeros((1, 3, 1)), np.eye(3), np.eye(1))


@pytest.mark.parametrize("period", [5, 20])
def test_teachers_bring_drones_to_the_target_in_any_wind(period):
    flown = drones(60, seed=7)
    state, pilot = perturbed(flown, np.random.default_rng(8)), Teacher(flown, period)
    for _ in range(2500 // period):
        state = advance(flown, state, pilot(state), period)
    assert np.linalg.norm(state.position, axis=1).max() < 0.05


def test_the_teacher_of_another_drone_is_worse():
    """So what is unknown matters; a teacher of all would not have to adapt."""
    flown = drones(60, seed=9)
    other = draw(np.random.default_rng(10), 60)
    start, ends = perturbed(flown, np.random.default_rng(11)), []
    for known in (flown, other):
        state, pilot = start, Teacher(known)
        with np.errstate(all="ignore"):
            for _ in range(500):
                state = advance(flown, state, pilot(state), 5)
        ends.append(np.nan_to_num(np.linalg.norm(state.position, axis=1), nan=np.inf))
    assert (ends[0] < 0.2).all() and (ends[1] < 0.2).mean() < 0.3


# Flights.


@pytest.fixture
def short(monkeypatch):
    """Flights of half a second, for what shows at once."""
    monkeypatch.setattr(flights, "LIMIT", 0.5)


@pytest.fixture(scope="module")
def expert():
    return fly(Expert(), 1)


def test_the_expert_succeeds_and_constant_commands_do_not(expert):
    assert expert["success"] == 1 and expert["crash"] == 0 and expert["distance"] < 0.02
    assert 0.2 < expert["settling"] < 2
    lost = fly(Constant([0.1] * 4), 1)
    assert lost["success"] == 0 and lost["crash"] > 0.9 and lost["settling"] == flights.LIMIT
    assert lost["roughness"] == 0 and lost["distance"] > 3.5
    assert set(expert) == set(lost) == {one.name for one in flights.MEASUREMENTS}


def test_a_seed_decides_everything(short):
    once = fly(Expert(), 1)
    assert fly(Expert(), 1) == once != fly(Expert(), 2)


def test_what_a_policy_sees(short):
    watching = Watching()
    fly(watching, 4)
    assert watching.episodes == flights.EPISODES and len(watching.seen) == 50
    assert watching.spans == [None, *[5 * TICK] * 49]
    random = np.random.default_rng([4, 0])
    flown = draw(random, flights.EPISODES)
    state, last = perturbed(flown, random), np.zeros((flights.EPISODES, 4))
    for seen in watching.seen[:20]:
        position, rotation, velocity, rates, before = np.split(seen, [3, 12, 15, 18], axis=1)
        np.testing.assert_allclose(position, state.position)
        # Row by row: the first three are the world's x axis in the body.
        np.testing.assert_allclose(rotation[:, :3], state.rotation[:, 0])
        np.testing.assert_allclose(velocity, state.velocity)
        np.testing.assert_allclose(rates, state.rates)
        np.testing.assert_allclose(before, last)
        last = np.full((flights.EPISODES, 4), 0.1)
        state = advance(flown, state, np.full((flights.EPISODES, 4), 0.55), 5)
    assert len(flights.FEATURES) == 22 and flights.FEATURES[18].name == "last command front right"


@pytest.mark.parametrize(("action", "told"), [(np.full((48, 4), np.nan), "not finite"), (np.zeros((48, 3)), "48, 3")])
def test_a_policy_that_gives_no_commands_is_refused(action, told):
    broken = type("Broken", (), {"reset": lambda self, episodes=None: None, "__call__": lambda self, *a, **k: action})()
    with pytest.raises(ValueError, match=rf"finite commands of shape \(48, 4\).*{told}"):
        fly(broken, 0)
    value, reason = measure_policy(tasks.load("hidden-dynamics"), broken, 0)["success"]
    assert value is None and "finite commands" in reason


# Worlds.


def test_each_world_changes_what_it_says():
    flown = drones(flights.EPISODES)

    def changed(**differs):
        return World(**differs).changed(flown, np.random.default_rng(0))

    heavy = changed(payload=0.5)
    np.testing.assert_allclose(heavy.mass, 1.5 * flown.mass)
    np.testing.assert_allclose(heavy.thrust_to_weight, flown.thrust_to_weight / 1.5)
    weak = changed(weakness=0.25).thrust.sum(axis=2) / flown.thrust.sum(axis=2)
    np.testing.assert_allclose(np.sort(weak, axis=1), np.tile([0.75, 1, 1, 1], (flights.EPISODES, 1)))
    assert len(set(weak.argmin(axis=1))) == 4
    np.testing.assert_array_equal(changed(lag=20).delay, flown.delay + 10)
    np.testing.assert_allclose(np.linalg.norm(changed(wind=6.0).wind, axis=1), 6)
    for name in ("mass", "inertia", "thrust", "delay", "wind"):
        np.testing.assert_array_equal(getattr(changed(), name), getattr(flown, name))


@pytest.mark.parametrize(
    ("world", "level", "spans"), [("uneven_control", 0.8, (2, 18)), ("slow_control", 20, (30, 30))]
)
def test_policies_are_told_the_true_spans(world, level, spans):
    watching = Watching()
    flights.elsewhere(flights.USUAL, world, level)(watching, 0)
    found = np.array(watching.spans[1:]) * 1e3
    assert (found.min().round(6), found.max().round(6)) == spans
    assert sum(watching.spans[1:]) < flights.LIMIT
    assert found.mean() == pytest.approx(np.mean(spans), abs=0.6)


def test_noise_is_as_large_as_it_is_said_to_be():
    state = at_rest(calm(2000))
    seen = flights.observe(state, np.zeros((2000, 4)), 0.05, np.random.default_rng(0))
    assert seen[:, :3].std() == pytest.approx(0.05, rel=0.05)
    assert seen[:, 12:15].std() == pytest.approx(0.05, rel=0.05)
    turned = Rotation.from_matrix(seen[:, 3:12].reshape(-1, 3, 3)).as_rotvec(degrees=True)
    assert turned.std() == pytest.approx(0.5, rel=0.05)
    assert np.degrees(seen[:, 15:18]).std() == pytest.approx(5, rel=0.05)
    assert not seen[:, 18:].any()


def test_flights_elsewhere_are_paired_with_those_at_home(short):
    here, there = Watching(), Watching()
    fly(here, 3)
    flights.elsewhere(flights.USUAL, "payload", 0.4)(there, 3)
    np.testing.assert_array_equal(here.seen[0], there.seen[0])
    assert (here.seen[1] != there.seen[1]).any()


def test_worlds_are_registered_and_no_others_are_flown():
    assert set(flights.WORLDS) <= set(WORLDS)
    for name in NAMES:
        task = tasks.load(name)
        assert set(task.worlds) == set(flights.WORLDS) - ({"uneven_control"} if name.endswith("uneven") else set())
    with pytest.raises(ValueError, match=r"world must be one of payload, .*; got 'fog'"):
        flights.elsewhere(flights.USUAL, "fog", 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("world", flights.WORLDS)
def test_levels_grade_what_a_drone_can_do(world):
    """The expert flies at the weakest default level; what it does not see and cannot know, it may fail at later."""
    levels = WORLDS[world].levels
    found = [flights.elsewhere(flights.USUAL, world, level)(Expert(), 1) for level in levels]
    assert found[0]["success"] > 0.9
    assert all(one["success"] > 0.3 for one in found)


# Demonstrations and tasks.


def test_demonstrations_say_what_the_teacher_does_and_show_what_goes_wrong():
    times, seen, said = flights.demonstrations(30, 60, seed=5)
    np.testing.assert_allclose(np.diff(times), 5 * TICK)
    random = np.random.default_rng(5)
    flown = draw(random, 30)
    first = Teacher(flown)(at_rest(flown))
    assert seen.shape == (30, 60, 22) and said.shape == (30, 60, 4) and first.shape == (30, 4)
    assert np.abs(said).max() <= 1
    # What was executed is seen one step later, and differs from what was said.
    executed = seen[:, 1:, 18:]
    assert 0.1 < np.abs(executed - said[:, :-1]).mean() < 0.6
    # It is what moved the drone: flown again with the same commands it is in the same places.
    random.permutation(30)
    state = perturbed(flown, random)
    for step in range(59):
        np.testing.assert_allclose(seen[:, step, :3], state.position, atol=1e-9)
        state = advance(flown, state, (executed[:, step] + 1) / 2, 5)


def test_uneven_demonstrations_have_uneven_times():
    times, _, _ = flights.demonstrations(4, 200, 0, flights.UNEVEN)
    spans = np.diff(times)
    assert spans.min() == pytest.approx(0.002) and spans.max() == pytest.approx(0.018)


def test_the_task_measures_its_policies():
    task = tasks.load("hidden-dynamics")
    assert task.judged == "success" and {"trivial", "expert"} <= set(task.policies)
    assert ("raptor" in task.policies) == Raptor.available
    found = measure_policy(task, task.policies["expert"], 1, "payload", 0.2)
    assert all(reason is None for _, reason in found.values()) and found["success"][0] > 0.9
    assert task.data_digest != tasks.load("hidden-dynamics-uneven").data_digest


def test_raptor_flies_drones_that_it_was_not_trained_on():
    """Which it can only if frames, signs, order of motors and scales are those of its training."""
    pytest.importorskip("foundation_policy", reason="RAPTOR's weights: pip install 'liquidrnn[dynamics]'")
    found = fly(Raptor(), 1)
    assert found["success"] > 0.6 and found["crash"] < 0.2
