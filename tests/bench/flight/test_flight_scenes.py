"""Layouts and pictures: drawn from a seed, changed only in what is asked for, and what MuJoCo makes of them."""

import os
import subprocess
import sys
import textwrap
from ctypes.util import find_library

import mujoco
import numpy as np
import pytest

from liquidbench.tasks.flight import rendering, scenes
from liquidbench.tasks.flight.scenes import BALL, BOX, POST

SEEDS = range(30)
HERE, AHEAD = np.array([0.0, 0.0, 1.3]), np.eye(3)


def picture(seed=0, position=HERE, look=None, **changes):
    return rendering.camera().picture(scenes.draw([seed], **changes), look or scenes.look(), position, AHEAD)


def test_targets_are_where_they_should_be_and_the_way_there_is_clear():
    for seed in SEEDS:
        layout = scenes.draw([seed], targets=3)
        legs = np.diff(np.concatenate([np.zeros((1, 2)), layout.targets]), axis=0)
        lengths, turns = np.linalg.norm(legs, axis=1), np.degrees(np.arctan2(legs[:, 1], legs[:, 0]))
        assert 7 <= lengths[0] <= 14 and abs(turns[0]) <= 40
        assert (lengths[1:] >= 6).all() and (lengths[1:] <= 9).all()
        bends = np.abs(np.diff(turns))
        assert (bends >= 38).all() and (bends <= 52).all()
        start = np.zeros(2)
        for target in layout.targets:
            # Drones stop about three metres before a target.
            stop = target - 3 * (target - start) / np.linalg.norm(target - start)
            way = start + np.linspace(0, 1, 20)[:, None] * (stop - start)
            heights = np.full((20, 1), 1.3)
            assert not scenes.Obstacles([layout] * 20).touching(np.hstack([way, heights]), 0.3).any()
            start = stop


@pytest.mark.parametrize(
    ("changes", "same"),
    [({"beside": 4}, "trees"), ({"shape": "ball"}, "trees"), ({"shape": "post"}, "others"), ({"urban": 1.0}, "others")],
)
def test_a_change_leaves_the_rest_of_a_layout_alone(changes, same):
    plain, changed = scenes.draw([3]), scenes.draw([3], **changes)
    assert (plain.targets == changed.targets).all()
    assert (plain.sun == changed.sun).all() and plain.tint == changed.tint
    trees = slice(0, 2 * scenes.TREES)
    others = slice(2 * scenes.TREES + scenes.BUILDINGS, 2 * scenes.TREES + scenes.BUILDINGS + scenes.DISTRACTORS)
    part = trees if same == "trees" else others
    assert (plain.positions[part] == changed.positions[part]).all()
    assert not (plain.positions == changed.positions).all()


def test_distractors_go_where_the_target_is_and_far_ones_lie_farther():
    plain, beside, far = scenes.draw([3]), scenes.draw([3], beside=4), scenes.draw([3], farther=10.0)
    at = slice(2 * scenes.TREES + scenes.BUILDINGS, 2 * scenes.TREES + scenes.BUILDINGS + scenes.DISTRACTORS)
    away = np.linalg.norm(beside.positions[at, :2] - beside.targets[0], axis=1)
    assert (away >= 1.6).all() and (away <= 2.4).all()
    assert np.linalg.norm(far.targets[0]) == pytest.approx(np.linalg.norm(plain.targets[0]) + 10)


@pytest.mark.parametrize("kind", [BOX, BALL, POST])
def test_what_touches_what_is_what_mujoco_says(kind):
    random = np.random.default_rng(kind)
    names = {BOX: "box", BALL: "sphere", POST: "cylinder"}
    sizes, yaw, radius = np.array([0.5, 0.8, 0.3]), 0.7, 0.25
    model = mujoco.MjModel.from_xml_string(
        f"""<mujoco><worldbody>
        <geom type="{names[kind]}" size=".5 .8 .3" pos="1 2 3" euler="0 0 {np.degrees(yaw)}"/>
        <body><freejoint/><geom type="sphere" size="{radius}" mass="1"/></body></worldbody></mujoco>"""
    )
    data = mujoco.MjData(model)
    blank = scenes.draw([0])
    below = np.tile([0.0, 0.0, -100.0], (scenes.COUNT, 1))
    layout = scenes.Layout(
        np.full(scenes.COUNT, kind),
        np.concatenate([[[1.0, 2.0, 3.0]], below[1:]]),
        np.full(scenes.COUNT, yaw),
        np.tile(sizes, (scenes.COUNT, 1)),
        *(blank.colours, blank.foliage, blank.targets, blank.sun, 1.0, 1.0),
    )
    points = np.array([1.0, 2.0, 3.0]) + random.uniform(-1.3, 1.3, (400, 3))
    expected = []
    for point in points:
        data.qpos[:3] = point
        mujoco.mj_kinematics(model, data)
        expected.append(mujoco.mj_geomDistance(model, data, 0, 1, 10.0, None) < 0)
    assert 30 < sum(expected) < 370
    assert (scenes.Obstacles([layout] * 400).touching(points, radius) == expected).all()


def test_the_ground_is_touched():
    obstacles = scenes.Obstacles([scenes.draw([0])] * 2)
    assert obstacles.touching(np.array([[0, 0, 0.2], [0, 0, 0.3]]), 0.25).tolist() == [True, False]


def red(seen) -> np.ndarray:
    values = seen.astype(int)
    return (values[..., 0] > 60) & (values[..., 0] > 2.5 * values[..., 1]) & (values[..., 0] > 2.5 * values[..., 2])


def test_the_target_is_seen_where_it_stands_and_grows():
    found = 0
    for seed in SEEDS:
        layout = scenes.draw([seed])
        x, y = layout.targets[0]
        where = np.array([x, y, 1.3]) - 5 * np.array([np.cos(np.arctan2(y, x)), np.sin(np.arctan2(y, x)), 0])
        far, near = (
            red(rendering.camera().picture(layout, scenes.look(), position, AHEAD)) for position in (HERE, where)
        )
        assert near.sum() > 12 and near.sum() > far.sum()
        column = np.flatnonzero(near.any(axis=0)).mean()
        # A pinhole camera: the tangent of the bearing, and columns from the left.
        expected = 31.5 - 24 / np.tan(np.radians(35)) * y / x
        found += abs(column - expected) < 3
    assert found > 0.9 * len(SEEDS)


def test_a_picture_depends_on_nothing_drawn_before():
    looks = [scenes.look(), scenes.look("winter", 0.5), scenes.look(fog=0.1), scenes.look("dusk")]
    first = [picture(1, look=look) for look in looks]
    again = [picture(1, look=look) for look in reversed(looks)][::-1]
    for one, other in zip(first, again, strict=True):
        assert (one == other).all()
    assert not any((first[0] == other).all() for other in first[1:])


def test_solids_out_of_view_may_be_left_out(monkeypatch):
    camera = rendering.camera()
    tilted = np.array([[0.93, -0.2, 0.31], [0.27, 0.94, -0.2], [-0.25, 0.27, 0.93]])
    tilted = np.linalg.qr(tilted)[0] * -1
    for rotation in (AHEAD, tilted):
        few = [camera.picture(scenes.draw([seed], urban=0.5), scenes.look(), HERE, rotation) for seed in SEEDS]
        monkeypatch.setattr(camera, "_slope", 1e9)
        every = [camera.picture(scenes.draw([seed], urban=0.5), scenes.look(), HERE, rotation) for seed in SEEDS]
        monkeypatch.undo()
        assert (np.array(few) == every).all()


def test_fog_hides_what_is_far():
    clear, foggy = picture(2).astype(int), picture(2, look=scenes.look(fog=1 / 8)).astype(int)
    haze = np.round(255 * rendering.HAZE)
    assert np.abs(foggy[:23] - haze).max() <= 2
    assert np.abs(clear[:23] - haze).mean() > 10
    # The ground at one's feet is seen through little fog.
    assert np.abs(foggy[-1] - clear[-1]).mean() < 0.5 * np.abs(haze - clear[-1]).mean()


def test_without_a_renderer_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rendering, "find_library", lambda name: None)
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    with pytest.raises(rendering.NoRendererError, match="apt-get install libegl1.*libosmesa6.*macOS"):
        rendering.mujoco.__wrapped__()


@pytest.mark.parametrize(("there", "chosen"), [({"EGL", "OSMesa"}, "egl"), ({"OSMesa"}, "osmesa")])
def test_the_renderer_is_chosen_and_a_choice_is_respected(monkeypatch, there, chosen):
    monkeypatch.setattr(rendering, "find_library", lambda name: name if name in there else None)
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.setattr(rendering.importlib, "import_module", lambda name: name)
    monkeypatch.setenv("LP_NUM_THREADS", "0")
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    rendering.mujoco.__wrapped__()
    assert rendering.os.environ["MUJOCO_GL"] == "glfw"
    monkeypatch.setenv("MUJOCO_GL", "")
    rendering.mujoco.__wrapped__()
    assert rendering.os.environ["MUJOCO_GL"] == chosen


def test_a_renderer_that_fails_is_told(monkeypatch):
    class Broken:
        @staticmethod
        def GLContext(width, height):
            raise RuntimeError("no display")

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.setattr(rendering.importlib, "import_module", lambda name: Broken)
    # It remembers what it has imported.
    monkeypatch.setattr(rendering, "mujoco", lambda: Broken)
    with pytest.raises(rendering.NoRendererError, match="MUJOCO_GL=egl.*no display.*apt-get install"):
        rendering.Camera(7, 9)


@pytest.mark.parametrize("way", ["osmesa", "nothing-that-draws"])
def test_a_way_to_draw_that_is_not_there_is_told(way):
    """In a process of its own, as MuJoCo reads the choice once, when it is imported."""
    if way == "osmesa" and find_library("OSMesa"):
        pytest.skip("OSMesa is installed here")
    code = """
        from liquidbench.tasks.flight import rendering
        try:
            rendering.camera()
        except rendering.NoRendererError as error:
            print(error)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "MUJOCO_GL": way},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert told.startswith(f"MuJoCo cannot draw here (MUJOCO_GL={way}): ") and "apt-get install libegl1" in told


def test_mujoco_that_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(rendering.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'liquidrnn\[flight\]'"):
        rendering.mujoco.__wrapped__()
