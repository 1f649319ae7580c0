"""Rigid bodies and their controller, against MuJoCo's integrator and against what commands ask for."""

import mujoco
import numpy as np
import pytest

from liquidbench.tasks.flight import quadrotor
from liquidbench.tasks.flight.quadrotor import GRAVITY, STEP, Dynamics, Quadrotors

SIDE = quadrotor.ARM / np.sqrt(2)
MOTORS = ((SIDE, SIDE, -1), (-SIDE, SIDE, 1), (-SIDE, -SIDE, -1), (SIDE, -SIDE, 1))
"""Front left, rear left, rear right, front right: place and direction of turning."""


def in_mujoco() -> tuple:
    sites = "".join(f'<site name="m{n}" pos="{x} {y} 0"/>' for n, (x, y, _) in enumerate(MOTORS))
    # A propeller that turns to the right pushes the body to the left.
    motors = "".join(
        f'<motor site="m{n}" gear="0 0 1 0 0 {-turn * quadrotor.YAW_TORQUE}"/>' for n, (*_, turn) in enumerate(MOTORS)
    )
    inertia = " ".join(map(str, quadrotor.INERTIA))
    model = mujoco.MjModel.from_xml_string(
        f"""<mujoco><option timestep="{STEP}" integrator="Euler" gravity="0 0 -{GRAVITY}"/>
        <worldbody><body pos="0 0 5"><freejoint/><inertial pos="0 0 0" mass="{quadrotor.MASS}" diaginertia="{inertia}"/>
        {sites}</body></worldbody><actuator>{motors}</actuator></mujoco>"""
    )
    return model, mujoco.MjData(model)


def drones(count: int, command="velocity", **changes) -> Quadrotors:
    nominal = vars(Dynamics.nominal(count))
    given = {name: np.full(count, value, dtype=float) for name, value in changes.items()}
    return Quadrotors(np.tile([0.0, 0.0, 5.0], (count, 1)), Dynamics(**nominal | given), command)


def test_motion_is_that_of_mujocos_rigid_body():
    model, data = in_mujoco()
    one = drones(1, drag=0.0)
    random = np.random.default_rng(0)
    for step in range(200):
        if step % 40 == 0:
            command = random.uniform(-1, 1, (1, 3)) * quadrotor.LIMITS["velocity"]
        one.advance(command)
        data.ctrl[:] = one.thrusts[0]
        mujoco.mj_step(model, data)
    assert np.abs(one.rates).max() > 0.1 and np.abs(one.velocity[0]).max() > 0.2
    assert np.allclose(one.position[0], data.qpos[:3], atol=2e-3)
    assert np.allclose(one.attitude[0], data.qpos[3:], atol=2e-3)
    assert np.allclose(one.velocity[0], data.qvel[:3], atol=5e-3)
    assert np.allclose(one.rates[0], data.qvel[3:], atol=2e-2)
    expected = np.zeros(9)
    mujoco.mju_quat2Mat(expected, data.qpos[3:])
    assert np.allclose(one.rotation[0].ravel(), expected, atol=5e-3)


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_commands_are_followed(yaw):
    wanted = np.array([[1.5, 0.0, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 1.0], [1.0, -0.4, -0.8]])
    four = drones(4, drag=0.0)
    four.turn(np.full(4, yaw))
    for _ in range(400):
        four.advance(wanted)
    own = four.own_velocity
    assert np.allclose(own[:, [0, 2]], wanted[:, :2], atol=0.05)
    assert np.allclose(own[:, 1], 0, atol=0.1)
    assert np.allclose(four.rates[:, 2], wanted[:, 2], atol=0.05)


def test_acceleration_adds_up_to_speed_and_nothing_holds_it():
    one = drones(1, "acceleration", drag=0.0)
    for _ in range(200):
        one.advance(np.array([[1.0, 0.0, 0.0]]))
    for _ in range(100):
        one.advance(np.zeros((1, 3)))
    gained = one.own_velocity[0, 0]
    assert gained == pytest.approx(2.0, rel=0.1)
    for _ in range(100):
        one.advance(np.zeros((1, 3)))
    assert one.own_velocity[0, 0] == pytest.approx(gained, rel=0.01)


def test_drag_follows_the_wind():
    one = drones(1, "acceleration", drag=0.5)
    for _ in range(1000):
        one.advance(np.zeros((1, 3)), wind=np.array([[3.0, 0.0, 0.0]]))
    assert one.velocity[0, 0] == pytest.approx(3 * (1 - np.exp(-5)), rel=0.02)


def test_a_heavy_drone_sinks_and_a_light_one_rises():
    two = Quadrotors(
        np.zeros((2, 3)), Dynamics(np.array([1.2, 0.85]), np.ones(2), np.zeros(2), np.zeros(2)), "acceleration"
    )
    for _ in range(300):
        two.advance(np.zeros((2, 3)))
    # In balance the controller's pull against the climb rate carries what it does not know of.
    assert two.velocity[:, 2] == pytest.approx(GRAVITY * (1 - two.dynamics.mass) / 4, rel=0.01)


def test_commands_arrive_late_by_the_lag():
    quick, slow = drones(1), drones(1, lag=0.5)
    for _ in range(50):
        quick.advance(np.array([[0.0, 0.0, 1.0]]))
        slow.advance(np.array([[0.0, 0.0, 1.0]]))
    assert quick.rates[0, 2] == pytest.approx(1, abs=0.05)
    assert 0.4 < slow.rates[0, 2] < 1 - np.exp(-1)


def test_those_that_do_not_move_stay_as_they_are():
    two = drones(2)
    before = {name: np.array(value) for name, value in vars(two).items() if isinstance(value, np.ndarray)}
    two.advance(np.ones((2, 3)), moving=np.array([True, False]))
    for name in ("position", "velocity", "attitude", "rates", "thrusts"):
        assert (getattr(two, name)[1] == before[name][1]).all()
    assert (two.thrusts[0] != before["thrusts"][0]).any()
