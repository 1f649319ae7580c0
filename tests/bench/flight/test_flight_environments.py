"""The Gymnasium environment, against Gymnasium's own checker."""

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from liquidbench.tasks.flight import environments  # noqa: E402
from liquidbench.tasks.flight.expert import Expert  # noqa: E402
from liquidbench.tasks.flight.flights import Mission  # noqa: E402
from liquidbench.tasks.flight.quadrotor import LIMITS  # noqa: E402


@pytest.mark.parametrize("command", ["acceleration", "velocity"])
def test_gymnasiums_checker_has_nothing_to_say(command):
    env = gymnasium.make(environments.NAME, mission=Mission(command, seconds=2.0), render_mode="rgb_array")
    check_env(env.unwrapped)


def test_environments_side_by_side():
    many = gymnasium.make_vec(environments.NAME, num_envs=3, world="winter", level=0.5)
    pictures, _ = many.reset(seed=4)
    assert pictures.shape == (3, 48, 64, 3)
    assert len({one.tobytes() for one in pictures}) == 3
    one = gymnasium.make(environments.NAME, world="winter", level=0.5)
    assert (one.reset(seed=5)[0] == pictures[1]).all()
    pictures, *_ = many.step(np.zeros((3, 3), dtype=np.float32))
    assert (one.step(np.zeros(3, dtype=np.float32))[0] == pictures[1]).all()


def test_an_expert_is_rewarded_and_the_time_limit_truncates(blind):
    env, expert = environments.FlyToTarget(), Expert()
    _, info = env.reset(seed=0)
    start, total, ended, terminated = info["state"][0], 0.0, False, False
    while not ended:
        action = expert(info["state"][None])[0] / LIMITS["acceleration"]
        _, reward, terminated, ended, info = env.step(action.astype(np.float32))
        total += reward
        assert not terminated
    assert info["success"] and info["timespan"] == pytest.approx(0.1)
    assert total == pytest.approx(start - info["state"][0] + environments.REACHED)


def test_a_crash_terminates(blind):
    env = environments.FlyToTarget()
    env.reset(seed=0)
    terminated = False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(np.array([0, -1, 0], dtype=np.float32))
        assert not truncated
    assert reward < environments.CRASHED / 2 and not info["success"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"render_mode": "human"}, "render_mode must be 'rgb_array' or None; got 'human'"),
        ({"level": 0.5}, "level must be left out without a world; got 0.5"),
        ({"world": "spring", "level": 0.5}, "world must be one of"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        environments.FlyToTarget(**arguments)


def test_options_and_steps_before_a_reset_are_refused(blind):
    env = environments.FlyToTarget()
    with pytest.raises(RuntimeError, match="reset must be called before step"):
        env.step(np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match="options must be left out"):
        env.reset(options={"wind": 3})
