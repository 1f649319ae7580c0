"""Flying to a target by sight: five tasks of imitating an expert, measured in a closed loop, in worlds unlike training.

A policy sees pictures of a quadrotor's forward camera, and nothing else, and commands its flight: forward, up or down,
and turning. It learns from demonstrations of an expert that knows where everything is, and then flies by itself.

- ``flight`` commands forward acceleration. Nothing measures the speed for it, so a policy has to know from what it saw
  before how fast it is, or it will not stop.
- ``flight-velocity`` commands forward velocity, for which one picture is enough: the control.
- ``flight-lost`` is ``flight`` with pictures that come unevenly and go black for up to 1.3 s.
- ``flight-sequence`` visits three targets in order, all in sight: which of them is next is not.
- ``flight-hidden`` flies drones each with another mass, thrust, drag and lag.

All policies fly the same layouts with one seed. The simulator runs on any machine that can draw
(`liquidbench.tasks.flight.rendering`); install it with ``pip install 'liquidrnn[flight]'``.
"""

import hashlib
import os
from collections.abc import Mapping

import numpy as np

from liquidbench.metrics import Measure
from liquidbench.tasks.flight import demonstrations, expert, rendering, worlds
from liquidbench.tasks.flight.flights import Flights, Mission
from liquidbench.tasks.flight.rendering import HEIGHT, WIDTH
from liquidbench.tasks.flight.worlds import World
from liquidbench.tasks.task import Constant, Feature, Policy, Recording, Rollout, Source, Task

FLIGHTS = 48
"""Flights of a rollout."""

MISSIONS: Mapping[str, Mission] = {
    "flight": Mission(),
    "flight-velocity": Mission("velocity"),
    "flight-lost": Mission(lost=True),
    "flight-sequence": Mission(targets=3, seconds=25.0),
    "flight-hidden": Mission(hidden=True),
}

_VERSION = 1
"""Of the rollout; the demonstrations have their own."""


def flight(data: str | os.PathLike[str] | None = None) -> Task:
    """Fly to a target with commands of acceleration; the speed has to be remembered."""
    return _task(
        "flight",
        "Flight to a target",
        "How an expert accelerates, climbs and turns on its way to a red target, from pictures. Speed is not measured.",
    )


def flight_velocity(data: str | os.PathLike[str] | None = None) -> Task:
    """Fly to a target with commands of velocity, for which memory is not needed."""
    return _task(
        "flight-velocity",
        "Flight by velocity",
        "How fast an expert flies, climbs and turns on its way to a red target, from pictures, each of which tells it.",
    )


def flight_lost(data: str | os.PathLike[str] | None = None) -> Task:
    """Fly to a target that is lost from view at times, with pictures at uneven times."""
    return _task(
        "flight-lost",
        "Flight, target lost at times",
        "How an expert accelerates, climbs and turns on its way to a red target, from pictures that come every 0.1 to "
        "0.3 s and go black for up to 1.3 s.",
    )


def flight_sequence(data: str | os.PathLike[str] | None = None) -> Task:
    """Fly to a red, a blue and a yellow target in this order."""
    return _task(
        "flight-sequence",
        "Flight to three targets",
        "How an expert accelerates, climbs and turns on its way to a red, then a blue, then a yellow target, from "
        "pictures.",
    )


def flight_hidden(data: str | os.PathLike[str] | None = None) -> Task:
    """Fly to a target with drones of different mass, thrust, drag and lag."""
    return _task(
        "flight-hidden",
        "Flight of unknown drones",
        "How an expert accelerates, climbs and turns on its way to a red target, from pictures, with drones each of "
        "another mass, thrust, drag and lag.",
    )


def _task(name: str, title: str, description: str) -> Task:
    mission = MISSIONS[name]
    unit = "m/s²" if mission.command == "acceleration" else "m/s"
    recipe = f"{demonstrations.recipe(mission)} {_VERSION} {FLIGHTS}"
    return Task(
        name=name,
        title=title,
        description=description,
        features=(Feature("camera", "1"),),
        image=(HEIGHT, WIDTH, 3),
        kind="regression",
        per="step",
        outputs=3,
        target_unit=f"{unit} forward, m/s up, rad/s of yaw",
        metric="mse",
        metrics=("mse", "mae"),
        time_unit="s",
        source=Source(
            "Flights simulated here, drawn by MuJoCo",
            "https://mujoco.org",
            "none needed",
            "Todorov, Erez and Tassa, MuJoCo: A physics engine for model-based control, IROS 2012",
        ),
        split_rule="By episode: each has a layout of its own. Training has a mirror image of each of its episodes.",
        recordings=lambda split: _recordings(mission, split),
        data_digest=hashlib.sha256(recipe.encode()).hexdigest(),
        baseline="mean",
        linear=False,
        window=demonstrations.WINDOW,
        irregular=mission.lost,
        fold_rule="By seed: demonstrations are drawn once, and the layouts of flights differ with each seed of a study",
        rollout=lambda policy, seed: fly(policy, seed, mission),
        elsewhere=lambda world, level: _elsewhere(mission, worlds.world(world, level)),
        worlds=worlds.NAMES,
        measurements=(
            Measure("success", "Flights that reach the target", True, (0.0, 1.0)),
            Measure("crash", "Flights that crash", False, (0.0, 1.0)),
            Measure("time_to_target", "Time to the target", False, (0.0, np.inf), "s"),
            Measure("path", "Path flown, of the straight way", False, (0.0, np.inf)),
            Measure("jerk", "Mean jerk", False, (0.0, np.inf), "m/s³"),
        ),
        judged="success",
        policies={"trivial": Constant([0.0, 0.0, 0.0]), "expert": expert.Expert(mission.command)},
    )


def _recordings(mission: Mission, split: str) -> list[Recording]:
    # Kept episodes can be read without a renderer, but training on them would end in flights that cannot be drawn.
    rendering.camera()
    made = demonstrations.episodes(mission, split)
    # Row numbers of the splits lie apart.
    row = 10**6 * list(demonstrations.EPISODES).index(split)
    recordings = []
    for mark, shown in [("", made), *[(" mirrored", made.mirrored)] * (split == "train")]:
        for number, (images, times, actions) in enumerate(zip(shown.images, shown.times, shown.actions, strict=True)):
            recordings.append(Recording(f"{split} {number}{mark}", times, images, actions, row))
            row += len(times)
    return recordings


def _elsewhere(mission: Mission, world: World) -> Rollout:
    return lambda policy, seed: fly(policy, seed, mission, world)


def fly(
    policy: Policy, seed: int, mission: Mission | None = None, world: World | None = None, count: int = FLIGHTS
) -> dict[str, float]:
    """Fly with a policy, and measure how it went.

    Args:
        policy: what commands. One with the attribute ``privileged`` is given the columns
            `liquidbench.tasks.flight.flights.STATE` in place of pictures, one with ``blind`` black pictures.
        seed: of layouts and noise.
        mission: what the flights are for.
        world: where they take place.
        count: number of flights.

    Returns:
        Means over the flights: the shares of successes and crashes, time to the target of the successes (the time limit
        if there are none), path as a share of the straight way, and jerk.

    Raises:
        ValueError: if the policy's answer is not finite, or of another shape.
        NoRendererError: if nothing can draw here.

    Example:
        >>> fly(expert.Expert(), seed=0, count=2)["success"]
        1.0
    """
    looks = not (getattr(policy, "privileged", False) or getattr(policy, "blind", False))
    flown = run(policy, Flights(count, seed, mission, world, sight=looks))
    outcome = flown.outcome
    successes = outcome["time"][outcome["success"] > 0]
    return {
        "success": float(outcome["success"].mean()),
        "crash": float(outcome["crash"].mean()),
        "time_to_target": float(successes.mean()) if len(successes) else flown.limit,
        "path": float(outcome["path"].mean()),
        "jerk": float(outcome["jerk"].mean()),
    }


def run(policy: Policy, flown: Flights) -> Flights:
    """Fly with a policy until all flights have ended; return them."""
    policy.reset(len(flown.flying))
    privileged = getattr(policy, "privileged", False)
    while flown.flying.any():
        flown.step(policy(flown.state if privileged else flown.images, timespan=flown.spans))
    return flown
