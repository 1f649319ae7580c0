"""A kept network flown on a few test layouts, and what its commands depend on: attributions, states, time constants.

Nothing is trained. What it finds is stored by `liquidbench.flown`, for reports to draw without torch or a renderer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liquidbench import networks
from liquidbench.conditions import parted
from liquidbench.explanations import evenly, time_quantiles
from liquidbench.flown import Attention, Flown, Frames, Inside, Map, Place
from liquidbench.kept import Kept
from liquidbench.networks import SequenceModel
from liquidbench.statistics import mean_interval
from liquidbench.tasks import flight
from liquidbench.tasks.flight import film, rendering, scenes, worlds
from liquidbench.tasks.flight.flights import NEAR, TICK, Flights, Mission
from liquidbench.tasks.flight.rendering import HEIGHT, WIDTH
from liquidbench.tasks.task import Policy, Task
from liquidbench.training.policy import NetworkPolicy, rollout_seed
from liquidrnn import attribution
from liquidrnn.recurrent import State

FLIGHTS, MAPS = 8, 4
"""Flights that are flown in each world, and those of them that are drawn from above."""

FRAMES, SHOWN = 6, 4
"""Frames of each flight that are attributed, evenly spaced, and those of the first flight that are shown."""

STEPS = 16
"""Points of the quadrature of integrated gradients."""

PATCH = 8
"""Pixels to each side of the patches that are covered."""

LEAST = 4
"""Pixels of the target at least in a frame whose attributions count."""

COMMANDS = ("forward", "climb", "turn")

MOST_UNITS = 32
"""Units at most whose states are kept, evenly spaced over those of the layer."""

SIGHT = 4.0
"""Metres around path and targets within which a map shows what stands there."""

ELSEWHERE = 2
"""Worlds besides that of training at most."""

_FILM_EVERY, _FILM_AFTER = 5, 15
"""Of a film: ticks from picture to picture, and ticks after the arrival."""


def mission(task: Task) -> Mission | None:
    """What flights of a task are for; None for a task of something else."""
    return flight.MISSIONS.get(parted(task.name)[0])


def look(network: Kept, task: Task, elsewhere: Sequence[tuple[str, float]] = ()) -> Flown:
    """Fly a network on the test layouts of its seed, and look at it.

    A command is attributed in standard deviations of the expert's commands, to the pixels of the present frame; what
    the network remembers of earlier ones is held as it is. A pixel is compared with its absence: the frame's mean
    colour.

    Args:
        network: the kept network.
        task: its task, one of `liquidbench.tasks.flight.MISSIONS`.
        elsewhere: worlds in which to fly besides that of training, with their levels.

    Raises:
        ValueError: if the network is not of this task.
        CodeError: if a user-defined model is missing or has changed.
        NoRendererError: if nothing can draw here.
    """
    model = networks.unpack(network.form, network.weights, task)
    model.requires_grad_(False)
    seed = rollout_seed(task, int(network.description["origin"].get("seed", 0)), "test")
    places = [_place(model, task, seed, world, level) for world, level in (("", 0.0), *elsewhere)]
    missing = []
    if not any(place.attention for place in places):
        missing.append("No command depends on a pixel of any frame that was looked at and shows the target")
    if not len(places[0].inside.time_constants):
        missing.append(f"{type(model.layer).__name__} has no time constants")
    return Flown(network.run, network.model, places, tuple(missing))


@dataclass(frozen=True)
class _Journey:
    """What a network was shown in one flight of n frames.

    Attributes:
        images: uint8 (n, values).
        spans: (n,), in the task's unit.
        ticks: (n,), when that was.
        stages: (n,), which target was to be visited.
    """

    images: NDArray[np.uint8]
    spans: Tensor
    ticks: NDArray[np.int64]
    stages: NDArray[np.int64]


class _Watched:
    """A policy that notes what it was shown."""

    def __init__(self, policy: Policy, flown: Flights):
        self._policy, self._flown = policy, flown
        self._noted: list[tuple[NDArray[Any], ...]] = []

    def reset(self, episodes: int | None = None) -> None:
        self._policy.reset(episodes)

    def __call__(
        self, observation: NDArray[Any], *, timespan: Any = None, mask: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        flown = self._flown
        noted = (observation, timespan, flown.ticks, flown.stage, flown.flying)
        self._noted.append(tuple(np.array(part) for part in noted))
        return self._policy(observation, timespan=timespan, mask=mask)

    def journey(self, number: int, unit: float) -> _Journey:
        """What was seen in a flight.

        Args:
            number: of the flight.
            unit: seconds of a time span of 1.
        """
        *parts, flying = (np.stack(part)[:, number] for part in zip(*self._noted, strict=True))
        images, spans, ticks, stages = (part[flying] for part in parts)
        return _Journey(images, torch.tensor(spans / unit, dtype=torch.float32), ticks, stages)


def _place(model: SequenceModel, task: Task, seed: int, world: str, level: float) -> Place:
    aim = mission(task)
    flown = Flights(FLIGHTS, seed, aim, worlds.world(world, level) if world else None)
    watched = _Watched(NetworkPolicy(model, task), flown)
    flight.run(watched, flown)
    outcome = flown.outcome
    words = np.select([outcome["success"] > 0, outcome["crash"] > 0], ["success", "crash"], "missed")
    journeys = [watched.journey(number, task.timespan_unit) for number in range(FLIGHTS)]
    looked = [_look_at(model, flown, number, journey) for number, journey in enumerate(journeys)]
    first = [looked[0][number] for number in evenly(len(looked[0]), SHOWN)]
    return Place(
        world=world,
        level=level,
        outcomes=tuple(map(str, words)),
        near=NEAR,
        maps=[_map(flown, number) for number in range(MAPS)],
        attention=_attention(looked),
        frames=Frames(
            seconds=np.array([one.seconds for one in first], dtype=np.float32),
            pictures=np.array([one.picture for one in first], dtype=np.uint8).reshape(-1, HEIGHT, WIDTH, 3),
            targets=np.array([one.target for one in first], dtype=bool).reshape(-1, HEIGHT, WIDTH),
            gradients=np.array([one.gradients.sum(0) for one in first], np.float32).reshape(-1, HEIGHT, WIDTH),
            patches=np.array([one.patches.sum(0) for one in first], np.float32).reshape(
                -1, HEIGHT // PATCH, WIDTH // PATCH
            ),
        ),
        inside=_inside(model, journeys[0], task.timespan_unit),
        film=_film(flown),
    )


@dataclass(frozen=True, eq=False)
class _Looked:
    """One frame: picture, pixels of the target, and for each command sizes of attributions and effects of patches."""

    seconds: float
    picture: NDArray[np.uint8]
    target: NDArray[np.bool_]
    gradients: NDArray[np.float32]
    patches: NDArray[np.float32]


def _look_at(model: SequenceModel, flown: Flights, number: int, journey: _Journey) -> list[_Looked]:
    """Attributions of some frames of a flight, of those that show the target."""
    encoder, camera = model.encoder, rendering.camera()
    assert encoder is not None
    with torch.no_grad():
        encoded = encoder(torch.as_tensor(journey.images)[None])
    found = []
    for step in evenly(len(journey.ticks), FRAMES):
        tick, image = journey.ticks[step], torch.as_tensor(journey.images[step], dtype=torch.float32)
        position, rotation = flown.positions[number, tick], flown.rotations[number, tick]
        target = camera.target(flown.layouts[number], flown.look, position, rotation, int(journey.stages[step]))
        if target.sum() < LEAST or not image.any():
            continue
        state = None
        if step:
            with torch.no_grad():
                _, state = model.layer(encoded[:, :step], timespans=journey.spans[None, :step])
        span = journey.spans[step]

        def commands(frames: Tensor, state: Tensor | State | None = state, span: Tensor = span) -> Tensor:
            many = len(frames)
            read = encoder(frames[:, None])
            output, _ = model.layer(read, _repeated(state, many), timespans=span.expand(many, 1))
            return model.head(output[:, -1])

        found.append(
            _Looked(
                seconds=float(tick * TICK),
                picture=journey.images[step].reshape(HEIGHT, WIDTH, 3),
                target=target,
                gradients=_gradients(commands, image),
                patches=_patches(commands, image),
            )
        )
    return found


def _gradients(commands: Any, image: Tensor) -> NDArray[np.float32]:
    """Sizes of integrated gradients of each command, (commands, height, width)."""
    each = torch.arange(len(COMMANDS))
    found = attribution.integrated_gradients(
        lambda frames: commands(frames)[each, each], image.expand(len(COMMANDS), -1), _absent(image), steps=STEPS
    )
    return found.values.reshape(len(COMMANDS), HEIGHT, WIDTH, 3).abs().sum(-1).numpy()


def _patches(commands: Any, image: Tensor) -> NDArray[np.float32]:
    """By how much each command changes where a patch is covered, (commands, rows, columns)."""
    rows, columns = HEIGHT // PATCH, WIDTH // PATCH
    covered = image.repeat(rows * columns + 1, 1).reshape(-1, HEIGHT, WIDTH, 3)
    colour = _absent(image).reshape(HEIGHT, WIDTH, 3)[0, 0]
    for patch in range(rows * columns):
        top, left = PATCH * (patch // columns), PATCH * (patch % columns)
        covered[patch, top : top + PATCH, left : left + PATCH] = colour
    with torch.no_grad():
        answers = commands(covered.reshape(len(covered), -1))
    return (answers[:-1] - answers[-1]).abs().T.reshape(len(COMMANDS), rows, columns).numpy()


def _absent(image: Tensor) -> Tensor:
    """A frame of the mean colour of another."""
    return image.reshape(-1, 3).mean(0).repeat(HEIGHT * WIDTH)


def _repeated(state: Tensor | State | None, many: int) -> Any:
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.expand(-1, many, -1).contiguous()
    return tuple(part.expand(-1, many, -1).contiguous() for part in state)


def _attention(looked: Sequence[Sequence[_Looked]]) -> list[Attention]:
    """The share of attributions that is on the target, by each method; none where no command depends on a pixel."""
    found = []
    for method, name in (("integrated gradients", "gradients"), ("effects of covered patches", "patches")):
        flights = [[one for one in frames if getattr(one, name).any()] for frames in looked]
        flights = [frames for frames in flights if frames]
        if not flights:
            continue
        shares = [[_shares(getattr(one, name), one.target) for one in frames] for frames in flights]
        *commands, whole = (
            [_mean([one[column] for one in frames]) for frames in shares] for column in range(len(COMMANDS) + 1)
        )
        bounds = mean_interval(whole) if len(flights) > 1 else None
        means = {command: _mean(values) for command, values in zip(COMMANDS, commands, strict=True)}
        found.append(
            Attention(
                method=method,
                share=fmean(whole),
                interval=bounds and (max(bounds[0], 0.0), min(bounds[1], 1.0)),
                commands={command: share for command, share in means.items() if math.isfinite(share)},
                pixels=fmean(fmean(float(one.target.mean()) for one in frames) for frames in flights),
                frames=sum(map(len, flights)),
                flights=len(flights),
            )
        )
    return found


def _mean(values: Sequence[float]) -> float:
    """Mean of what is known; NaN of nothing."""
    known = [value for value in values if math.isfinite(value)]
    return fmean(known) if known else math.nan


def _shares(sizes: NDArray[np.float32], target: NDArray[np.bool_]) -> list[float]:
    """Share of sizes (commands, rows, columns) that is on the target's pixels, for each command and for their sum.

    NaN for a command that depends on nothing.
    """
    all_of_them = np.concatenate([sizes, sizes.sum(axis=0, keepdims=True)]).astype(np.float64)
    rows, columns = sizes.shape[1:]
    # A patch is spread evenly over its pixels.
    on_target = target.reshape(rows, HEIGHT // rows, columns, WIDTH // columns).mean(axis=(1, 3))
    total = all_of_them.sum(axis=(1, 2))
    there = (all_of_them * on_target).sum(axis=(1, 2))
    return [float(part / whole) if whole else math.nan for part, whole in zip(there, total, strict=True)]


def _inside(model: SequenceModel, journey: _Journey, unit: float) -> Inside:
    """States and time constants of the layer along a flight."""
    encoder = model.encoder
    assert encoder is not None
    with torch.no_grad():
        encoded = encoder(torch.as_tensor(journey.images)[None])
        output, _, trace = model.layer(encoded, timespans=journey.spans[None], return_trace=True)
    states = output[0].numpy()
    constants = np.zeros((0, len(states)), dtype=np.float32)
    if "tau" in trace:
        constants = time_quantiles(trace["tau"][0].double().numpy() * unit)
    spans = journey.spans.double().numpy() * unit
    kept = evenly(states.shape[1], MOST_UNITS)
    times = np.asarray(TICK * journey.ticks, dtype=np.float64)
    return Inside(times, spans, states[:, kept].astype(np.float32), constants)


def _map(flown: Flights, number: int) -> Map:
    layout = flown.layouts[number]
    path = flown.positions[number, :, :2]
    path = path[~np.isnan(path[:, 0])]
    reach = np.concatenate([path, layout.targets])
    low, high = reach.min(axis=0) - SIGHT, reach.max(axis=0) + SIGHT
    trees, buildings = 2 * scenes.TREES, scenes.BUILDINGS
    numbers = np.arange(scenes.COUNT)
    kinds = np.select([numbers < trees, numbers < trees + buildings], [0, 1], 2)
    places, halves = layout.positions[:, :2], layout.sizes[:, :2].copy()
    # A crown and a ball have a radius alone.
    halves[:, 1] = np.where(layout.kinds == scenes.BOX, halves[:, 1], halves[:, 0])
    largest = halves.max(axis=1, keepdims=True)
    within = ((places + largest > low) & (places - largest < high)).all(axis=1)
    standing = layout.positions[:, 2] > 0
    # A tree is seen from above as its crown; targets are drawn by themselves.
    shown = within & standing & ((numbers >= trees) | layout.foliage) & (numbers < scenes.COUNT - _TARGET_SOLIDS)
    return Map(
        path=path.astype(np.float32),
        kinds=kinds[shown],
        places=places[shown].astype(np.float32),
        halves=halves[shown].astype(np.float32),
        yaws=layout.yaws[shown].astype(np.float32),
        targets=layout.targets.astype(np.float32),
    )


_TARGET_SOLIDS = scenes.PARTS * scenes.MOST_TARGETS


def _film(flown: Flights) -> NDArray[np.uint8]:
    """The first flight as a GIF at twice its speed, up to a little after its arrival."""
    arrival = round(float(flown.outcome["time"][0]) / TICK)
    pictures = film.frames(flown)[: arrival + _FILM_AFTER : _FILM_EVERY]
    return np.frombuffer(film.gif(pictures, _FILM_EVERY * TICK / 2), np.uint8)
