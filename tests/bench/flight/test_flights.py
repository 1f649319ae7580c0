"""Flights: what an expert can do, what worlds do to it, and that everybody meets the same."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from liquidbench import shifts, tasks
from liquidbench.metrics import Measure
from liquidbench.system import resources
from liquidbench.system.storage import DamagedFileError
from liquidbench.tasks import flight
from liquidbench.tasks.flight import MISSIONS, demonstrations, film, fly, rendering, run, worlds
from liquidbench.tasks.flight.demonstrations import Episodes
from liquidbench.tasks.flight.expert import Expert
from liquidbench.tasks.flight.flights import STATE, Flights, Mission
from liquidbench.tasks.flight.worlds import World, world
from liquidbench.tasks.task import Constant, check

SHORT = Mission(seconds=3.0)
HOVER = Constant([0.0, 0.0, 0.0])


class Noisy(Constant):
    """Turns and moves at random, the same in each flight."""

    def reset(self, episodes=None):
        self.random = np.random.default_rng(5)

    def __call__(self, observation, *, timespan=None, mask=None):
        return np.tile(self.random.uniform(-1, 1, 3), (len(observation), 1))


def seen(count=3, steps=12, mission=None, world=None, policy=None) -> np.ndarray:
    """Pictures of flights, (steps + 1, count, 48, 64, 3)."""
    flights, policy = Flights(count, 7, mission, world), policy or Noisy([0.0, 0.0, 0.0])
    policy.reset()
    pictures = [flights.images.copy()]
    for _ in range(steps):
        flights.step(policy(flights.images))
        pictures.append(flights.images.copy())
    return np.array(pictures).reshape(steps + 1, count, 48, 64, 3)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", MISSIONS)
def test_the_expert_succeeds_in_every_mission(blind, name):
    mission = MISSIONS[name]
    found = fly(Expert(mission.command), 11, mission, count=12)
    assert found["success"] >= 0.9
    assert found["success"] + found["crash"] <= 1
    assert 1 < found["time_to_target"] < mission.seconds
    assert 0.85 < found["path"] < 1.3


@pytest.mark.slow
def test_who_does_not_look_flies_the_same_flights_without_a_camera(monkeypatch):
    looked = run(Expert(), Flights(2, 0))
    monkeypatch.setattr(rendering, "camera", None)
    for policy in (Expert(), HOVER):
        assert 0 <= fly(policy, 0, count=2)["success"] <= 1
    unseen = run(Expert(), Flights(2, 0, sight=False))
    assert np.array_equal(looked.positions, unseen.positions, equal_nan=True)
    assert looked.images.any() and not unseen.images.any()


def test_a_hovering_drone_neither_arrives_nor_crashes(blind):
    found = fly(HOVER, 1, count=8)
    assert found == pytest.approx({"success": 0, "crash": 0, "time_to_target": 15, "path": 0, "jerk": 0}, abs=1e-9)


def test_who_flies_on_crashes_and_stays_where_that_was(blind):
    flights = run(Constant([1.0, -1.0, 0.0]), Flights(4, 0))
    assert flights.crashed.all() and (flights.outcome["success"] == 0).all()
    # Down to the ball around the drone, from 1.1 to 1.5 m at one metre a second.
    assert (np.abs(flights.drones.position[:, 2] - 0.2) < 0.1).all()
    assert (flights.seconds < 2).all()
    assert np.isnan(flights.positions[0, flights.ticks[0] + 1 :]).all()
    assert np.isfinite(flights.positions[0, : flights.ticks[0] + 1]).all()


def test_success_is_the_last_second_near_the_target_looking_at_it(blind):
    class Leaving(Expert):
        """Turns away from the target for the last half second."""

        def __call__(self, observation, *, timespan=None, mask=None):
            self.calls = getattr(self, "calls", 0) + 1
            answer = super().__call__(observation)
            return answer + [0, 0, 1.5] if self.calls > 140 else answer

    assert fly(Expert(), 2, count=6)["success"] == 1
    assert fly(Leaving(), 2, count=6)["success"] == 0


def test_the_same_seed_is_the_same_flight_and_another_is_not():
    first, again = seen(), seen()
    assert (first == again).all()
    other = Flights(3, 8)
    assert (other.images.reshape(3, 48, 64, 3) != first[0]).any(axis=(1, 2, 3)).all()


def test_no_policy_has_a_part_in_what_is_drawn():
    windy = replace(world("wind", 8.0), noise=30.0, stale=0.4, blackout=0.8, gap=0.3)
    flights = [Flights(5, 3, SHORT, windy) for _ in range(2)]
    spans = []
    for one, action in zip(flights, (np.zeros((5, 3)), np.full((5, 3), 0.3)), strict=True):
        spans.append([])
        for _ in range(8):
            one.step(action)
            spans[-1].append(one.spans)
    assert (np.array(spans[0]) == spans[1]).all()
    for name in ("_wind", "_black", "_stale", "_gaps", "_corners"):
        assert (getattr(flights[0], name) == getattr(flights[1], name)).all()
    pushed = fly(HOVER, 3, SHORT, windy, count=5)["path"]
    assert pushed > 0.05


def test_names_and_levels_are_those_of_the_registry(blind):
    for name in worlds.NAMES:
        registered = shifts.WORLDS[name]
        assert world(name, 0.0) == World()
        made = [world(name, level) for level in registered.levels]
        assert len(set(made)) == len(made) and World() not in made
        most = registered.limits.get("at_most")
        assert most is not None and world(name, most)
        with pytest.raises(ValueError, match=f"level of world '{name}' must be"):
            world(name, most + 1)
    with pytest.raises(ValueError, match="world must be one of autumn, .*; got 'spring'"):
        world("spring", 1.0)
    with pytest.raises(ValueError, match="'blur' must be a whole number from 0 to 8; got 1.5"):
        world("blur", 1.5)


def test_noise_has_its_deviation():
    clean, noisy = seen(), seen(world=world("sensor_noise", 20.0))
    inner = (clean > 80) & (clean < 175)
    difference = noisy[inner].astype(float) - clean[inner]
    assert difference.std() == pytest.approx(20, rel=0.02) and abs(difference.mean()) < 0.2


def test_blur_is_a_box():
    clean, blurred = seen(steps=1)[0], seen(steps=1, world=world("blur", 2.0))[0]
    expected = ndimage.uniform_filter(clean.astype(float), size=(1, 5, 5, 1), mode="nearest")
    assert np.abs(blurred - expected).max() <= 1


def test_contrast_shrinks_about_the_mean():
    clean, flat = seen(steps=1)[0].astype(float), seen(steps=1, world=world("contrast", 0.75))[0].astype(float)
    assert flat.std(axis=(1, 2, 3)) == pytest.approx(clean.std(axis=(1, 2, 3)) / 4, rel=0.02)
    assert flat.mean(axis=(1, 2, 3)) == pytest.approx(clean.mean(axis=(1, 2, 3)), abs=0.1)


def test_hues_turn_and_greys_stay():
    three = seen(steps=1, world=world("hue", 120.0))[0].astype(int)
    clean = seen(steps=1)[0].astype(int)
    # A third of a turn exchanges the channels.
    assert np.abs(three - np.roll(clean, 1, axis=-1)).max() <= 1
    assert np.abs(three.sum(axis=-1) - clean.sum(axis=-1)).max() <= 3


def test_a_patch_covers_its_share_and_moves(blind):
    covered = seen(steps=20, world=world("occlusion", 0.25)) == 0
    assert covered.mean(axis=(2, 3, 4)) == pytest.approx(0.25, abs=0.01)
    assert (covered[0] == covered[7]).all() and (covered[0] != covered[8]).any()


def test_black_pictures_take_their_share_of_the_time(blind):
    black = (seen(count=40, steps=75, world=world("blackout", 1.0)) == 0).all(axis=(2, 3, 4))
    assert black.mean() == pytest.approx(0.4, abs=0.03)
    runs = np.diff(np.flatnonzero(np.diff(black[:, 0].astype(int))))
    assert set(runs) <= {9, 10, 11, 14, 15, 16}


def test_the_target_is_lost_for_a_while_in_that_mission(blind):
    flights = Flights(60, 0, MISSIONS["flight-lost"])
    black = flights._black
    assert 0.15 < black.mean() < 0.4
    # The last may be cut short by the end.
    lengths = [len(part) for row in black for part in "".join(".x"[int(one)] for one in row).split(".")[:-1] if part]
    assert 4 <= min(lengths) and max(lengths) <= 13
    assert set(np.unique(flights._gaps)) == {1, 2, 3}


def test_dropped_pictures_are_seen_again():
    pictures = seen(count=4, steps=40, world=world("dropped_frames", 0.5), mission=Mission(seconds=5.0))
    again = (pictures[1:] == pictures[:-1]).all(axis=(2, 3, 4))
    assert again.mean() == pytest.approx(0.5, abs=0.12)


def test_spans_are_the_time_that_passed(blind):
    flights = Flights(6, 1, SHORT, world("irregular_frames", 0.2))
    before, spans = flights.seconds, []
    while flights.flying.all():
        flights.step(np.zeros((6, 3)))
        assert np.allclose(flights.spans, flights.seconds - before)
        before = flights.seconds
        spans.append(flights.spans)
    assert set(np.round(np.unique(spans), 6)) == {0.1, 0.2, 0.3}
    while flights.flying.any():
        flights.step(np.zeros((6, 3)))
    assert np.allclose(flights.seconds, 3.0)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "level"), [("wind", 6.0), ("range", 12.0), ("actuator_lag", 0.8)])
def test_the_expert_flies_in_the_worlds_of_the_air(blind, name, level):
    calm, found = fly(Expert(), 4, count=8), fly(Expert(), 4, world=world(name, level), count=8)
    assert found["success"] > 0.8
    assert found["time_to_target"] > calm["time_to_target"] or found["jerk"] > calm["jerk"]


def test_an_answer_that_is_not_a_number_is_refused(blind):
    class Broken(Constant):
        def __call__(self, observation, *, timespan=None, mask=None):
            answer = super().__call__(observation)
            answer[2, 1] = np.nan
            return answer

    with pytest.raises(ValueError, match=r"actions must be finite; the policy answered \[0.0, nan, 0.0\] in flight 2"):
        fly(Broken([0.0, 0.0, 0.0]), 0, count=4)
    with pytest.raises(ValueError, match=r"actions must have shape \(2, 3\), one row a flight; got \(3,\)"):
        Flights(2, 0).step(np.zeros(3))
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        Flights(0, 0)


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(demonstrations, "EPISODES", {"train": 3, "validation": 2, "test": 2})
    return tmp_path / "liquidbench" / "flight"


def test_demonstrations_have_the_experts_answer_and_not_the_noise(blind):
    made = demonstrations.make(Mission(), count=8, seed=0, steps=60)
    assert made.images.shape == (8, 60, 48 * 64 * 3) and made.actions.shape == (8, 60, 3)
    assert demonstrations.steps_of(Mission()) == 128 and demonstrations.steps_of(MISSIONS["flight-sequence"]) == 192
    expert = Expert()
    assert all(np.array_equal(expert(state), action) for state, action in zip(made.states, made.actions, strict=True))
    assert np.allclose(np.diff(made.times, axis=1), 0.1)
    # The noise shows in what the drone does: speed does not follow from the commands.
    speed = made.states[:, :, STATE.index("forward speed")]
    foretold = speed[:, :1] + np.cumsum(made.actions[:, :-1, 0] * 0.1, axis=1)
    assert np.abs(np.diff(speed - np.c_[speed[:, :1], foretold], axis=1)).mean() > 0.005
    # Episodes begin in motion, some of them near.
    assert speed[:, 0].std() > 0.3
    other = demonstrations.make(Mission(), count=8, seed=1, steps=60)
    assert (other.states != made.states).any()


def test_flights_that_crash_are_flown_again(blind, monkeypatch):
    class Reckless(Expert):
        """Dives where the target was to the left at first."""

        def __call__(self, observation, *, timespan=None, mask=None):
            answer = super().__call__(observation)
            self.dives = getattr(self, "dives", observation[:, 1] > 0)
            answer[self.dives, 1] = -1.0
            return answer

    monkeypatch.setattr(demonstrations, "Expert", Reckless)
    made = demonstrations.make(Mission(), count=5, seed=0, steps=40)
    assert len(made) == 5 and len(np.unique(made.states[:, 0, 0])) == 5
    assert (made.states[:, 0, STATE.index("bearing")] <= 0).all()
    monkeypatch.setattr(demonstrations, "_fly", lambda *arguments: Episodes(*np.zeros((4, 0, 2, 3))))
    with pytest.raises(RuntimeError, match="the expert crashes in nearly all flights"):
        demonstrations.make(Mission(), count=2, seed=0)


def test_a_mirrored_episode_is_one_in_a_mirrored_scene():
    made = demonstrations.make(Mission(), count=2, seed=0, steps=20)
    other = made.mirrored
    pictures, flipped = (one.images.reshape(2, 20, 48, 64, 3) for one in (made, other))
    assert (flipped == pictures[:, :, :, ::-1]).all() and (flipped != pictures).any()
    # The expert would command this in the mirrored scene.
    assert np.allclose(Expert()(other.states.reshape(-1, 6)), other.actions.reshape(-1, 3))
    assert np.allclose(other.mirrored.actions, made.actions)


def test_episodes_are_kept_and_a_file_cut_short_is_told(small):
    mission = Mission(seconds=6.5)
    made = demonstrations.episodes(mission, "test")
    (path,) = small.glob("test-*.npz")
    again = demonstrations.episodes(mission, "test")
    assert all(np.array_equal(value, vars(again)[name]) for name, value in vars(made).items())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DamagedFileError, match=f"{path}.*Delete the file; the demonstrations are then made again"):
        demonstrations.episodes(mission, "test")
    path.unlink()
    assert np.array_equal(demonstrations.episodes(mission, "test").images, made.images)


def test_a_task_whose_flights_cannot_be_drawn_is_told_before_training(blind, small, monkeypatch):
    monkeypatch.setattr(demonstrations, "steps_of", lambda mission: 80)
    assert len(tasks.load("flight").split("test")) == 4

    def camera(*size):
        raise rendering.NoRendererError("nothing can draw here")

    monkeypatch.setattr(rendering, "camera", camera)
    with pytest.raises(rendering.NoRendererError, match="nothing can draw here"):
        tasks.load("flight").split("test")


def test_recipes_differ_where_episodes_do(monkeypatch):
    digests = {demonstrations.recipe(mission) for mission in MISSIONS.values()}
    assert len(digests) == len(MISSIONS)
    monkeypatch.setattr(demonstrations, "VERSION", 99)
    assert demonstrations.recipe(Mission()) not in digests


def test_too_little_memory_is_told_before_anything_is_flown(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 2**30)
    with pytest.raises(MemoryError, match="take .* MiB of memory, and 1,024 MiB are available; close other programs"):
        demonstrations.make(Mission(), count=10**9, seed=0)


def test_too_little_memory_is_told_before_kept_episodes_are_unpacked(small, monkeypatch):
    mission = Mission(seconds=6.5)
    demonstrations.episodes(mission, "test")
    monkeypatch.setattr(resources, "available_memory", lambda: 2**20)
    with pytest.raises(MemoryError, match="and 1 MiB are available"):
        demonstrations.episodes(mission, "test")


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", MISSIONS)
def test_every_task_keeps_its_promises(blind, small, monkeypatch, name):
    monkeypatch.setattr(demonstrations, "steps_of", lambda mission: 80)
    task = tasks.load(name)
    check(task)
    train, test = task.split("train"), task.split("test")
    # Two windows of each episode, the second shorter.
    assert train.values.shape == (12, 64, 48 * 64 * 3) and train.values.dtype == np.uint8
    assert len(test) == 4
    assert sum("mirrored" in one for one in train.recordings) == 6
    assert not any("mirrored" in one for one in test.recordings)
    assert task.timespan_unit == pytest.approx(0.2 if MISSIONS[name].lost else 0.1)
    assert (train.timespans[train.timespans > 0].std() > 0.1) == task.irregular
    assert json.dumps(task.facts().to_json())
    assert task.judged == "success" and set(task.policies) == {"trivial", "expert"}


def test_a_rollout_measures_what_the_task_declares(blind, monkeypatch):
    monkeypatch.setattr(flight, "FLIGHTS", 4)
    task = tasks.load("flight")
    declared: tuple[Measure, ...] = task.measurements
    for rollout in (task.rollout, task.elsewhere("wind", 4.0)):
        found = rollout(task.policies["expert"], 1)
        assert set(found) == {one.name for one in declared}
        assert all(one.range[0] <= found[one.name] <= one.range[1] for one in declared)
    with pytest.raises(ValueError, match="must be one of"):
        task.elsewhere("moon", 1.0)


def test_a_film_shows_what_was_flown(tmp_path):
    from PIL import Image

    flights = run(Expert(), Flights(2, 0, SHORT))
    path = film.write(flights, tmp_path / "flight.gif", number=1)
    with Image.open(path) as shown:
        assert shown.n_frames == 16 and shown.size == (336, 144)
    pictures = film.frames(flights, 1)
    small = np.array(Image.fromarray(pictures[-1][:, :192]).resize((64, 48), Image.Resampling.BOX)).astype(float)
    assert np.abs(small - flights.images[1].reshape(48, 64, 3)).mean() < 6
    with pytest.raises(ValueError, match="path must end in .gif; got .*mov"):
        film.write(flights, tmp_path / "flight.mov")
    with pytest.raises(ValueError, match="number must be from 0 to 1; got 2"):
        film.write(flights, tmp_path / "flight.gif", number=2)
    with pytest.raises(ValueError, match="pictures must have at least one"):
        film.gif([], 0.1)


def test_episodes_count():
    empty = np.zeros((3, 2, 1))
    assert len(Episodes(empty.astype(np.uint8), empty, empty, empty)) == 3


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, liquidbench.tasks as t; t.load('flight'); "
        "print([name for name in ('mujoco', 'gymnasium', 'PIL', 'torch') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_pictures_are_those_of_the_camera():
    flights = Flights(2, 0)
    expected = rendering.camera().picture(
        flights.layouts[1], flights.look, flights.drones.position[1], flights.drones.rotation[1]
    )
    assert (flights.images[1].reshape(48, 64, 3) == expected).all()
