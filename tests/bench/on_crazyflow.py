"""Flies given drones with given commands in Crazyflow's own simulator; run by `test_dynamics` in a process of its own.

python on_crazyflow.py GIVEN.npz FLOWN.npy
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

# Before SciPy, as it asks for.
from crazyflow.control import Control  # noqa: E402
from crazyflow.dynamics import Dynamics  # noqa: E402
from crazyflow.sim import Sim  # noqa: E402
from crazyflow.sim.integration import Integrator  # noqa: E402
from crazyflow.sim.pipeline import remove_fn  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

RPM = 20_000.0
"""Of a motor at speed 1."""


def column(array):
    """One drone in each world."""
    return jnp.asarray(array)[:, None]


def main(given, flown):
    drones = dict(np.load(given))
    count, still = len(drones["mass"]), np.zeros_like(drones["mass"])
    sim = Sim(
        n_worlds=count,
        dynamics=Dynamics.first_principles,
        control=Control.rotor_vel,
        integrator=Integrator.symplectic_euler,
        freq=500,
    )
    # The limits of Crazyflow's own drones, and the ground.
    remove_fn(sim.step_pipeline, "clip_rotor_vel_cmd")
    remove_fn(sim.step_pipeline, "clip_floor_pos")
    sim.build_step_fn()
    curve = drones["thrust"] / RPM ** np.arange(3)
    rates = np.stack([1 / drones["rising"], still, 1 / drones["falling"], still], axis=1)
    params = sim.data.params.replace(
        mass=column(drones["mass"][:, None]),
        L=column(drones["arm"][:, None]),
        prop_inertia=column(still[:, None]),
        J=column(drones["inertia"][..., None] * np.eye(3)),
        J_inv=column(np.eye(3) / drones["inertia"][..., None]),
        rpm2thrust=column(curve),
        rpm2torque=column(curve * drones["drag_arm"][:, None, None]),
        drag_matrix=column(-drones["drag"][:, None, None] * np.eye(3)),
        rotor_dyn_coef=column(rates[:, None]),
    )
    states = sim.data.states.replace(
        pos=column(drones["position"]),
        quat=column(Rotation.from_matrix(drones["rotation"]).as_quat()),
        vel=column(drones["velocity"]),
        ang_vel=column(drones["rates"]),
        rotor_vel=column(drones["motors"] * RPM),
        # Wind is the part of the drag that does not depend on the drone's own velocity.
        force=column(drones["drag"][:, None] * drones["wind"]),
    )
    sim.data = sim.data.replace(params=params, states=states)
    found = []
    for command in drones["commands"]:
        sim.rotor_vel_control(column(command * RPM))
        sim.step(5)
        state = jax.device_get(sim.data.states)
        turned = Rotation.from_quat(np.asarray(state.quat[:, 0])).as_matrix().reshape(count, 9)
        parts = (state.pos[:, 0], turned, state.vel[:, 0], state.ang_vel[:, 0], state.rotor_vel[:, 0] / RPM)
        found.append(np.concatenate(parts, axis=1))
    np.save(flown, np.stack(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
