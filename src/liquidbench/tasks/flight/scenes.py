"""Outdoor scenes: what stands where, drawn from a seed, and what colours a season gives it. NumPy alone.

A `Layout` is a table of solids, one a row, in world coordinates: x ahead of where a flight starts, y to its left, z up,
in metres. `liquidbench.tasks.flight.rendering` draws it, and `Obstacles` say what flies into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

TREES, BUILDINGS, DISTRACTORS, MOST_TARGETS = 14, 10, 4, 3

TARGETS = ((0.85, 0.08, 0.06), (0.1, 0.25, 0.85), (0.95, 0.8, 0.1))
"""Colours of the targets in the order in which they are to be visited: red, blue, yellow."""

DECOYS = ((0.1, 0.25, 0.85), (0.95, 0.8, 0.1), (0.1, 0.75, 0.8), (0.92, 0.92, 0.92))
"""Colours of the distractors, of which those of targets are replaced by the last two."""

SHAPES = ("chair", "crate", "ball", "post")

BOX, BALL, POST = 0, 1, 2
"""Kinds of solids and their sizes: half the edges of a box, the radius of a ball, radius and half height of a post."""

PARTS = 4
"""Solids that make up a target."""

COUNT = 2 * TREES + BUILDINGS + DISTRACTORS + PARTS * MOST_TARGETS
"""Solids of every layout; those not needed are below the ground."""

_CLEARANCE = {"tree": 3.0, "building": 6.0, "distractor": 1.8}
"""Least distance in metres from the straight way to the targets."""


@dataclass(frozen=True)
class Layout:
    """What stands where in one flight.

    Attributes:
        kinds: int (solids,), `BOX`, `BALL` or `POST`.
        positions: (solids, 3), centres in metres.
        yaws: (solids,), turn about the vertical in radians.
        sizes: (solids, 3), as for the kind.
        colours: (solids, 3), red, green and blue from 0 to 1, before the season's foliage.
        foliage: bool (solids,), the crowns of trees, which take the season's colours.
        targets: (targets, 2), where the targets stand, in order.
        sun: (3,), direction of sunlight.
        brightness: of all lights, about 1.
        tint: of the ground, about 1.
    """

    kinds: NDArray[np.int64]
    positions: NDArray[np.float64]
    yaws: NDArray[np.float64]
    sizes: NDArray[np.float64]
    colours: NDArray[np.float64]
    foliage: NDArray[np.bool_]
    targets: NDArray[np.float64]
    sun: NDArray[np.float64]
    brightness: float
    tint: float

    @cached_property
    def rotations(self) -> NDArray[np.float64]:
        """(solids, 9), the rows of their rotation matrices, one after another."""
        cosine, sine, zero = np.cos(self.yaws), np.sin(self.yaws), np.zeros(len(self.yaws))
        return np.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, zero + 1], axis=1)

    @cached_property
    def reach(self) -> NDArray[np.float64]:
        """(solids,), how far a solid reaches from its centre at most; minus infinity for those below the ground."""
        return np.where(self.positions[:, 2] < -1, -np.inf, np.linalg.norm(self.sizes, axis=1))


def draw(
    seed: Sequence[int],
    *,
    targets: int = 1,
    farther: float = 0.0,
    beside: int = 0,
    shape: str = "chair",
    urban: float = 0.0,
) -> Layout:
    """Draw a layout. Whatever an argument does not concern is the same for all of its values.

    The first target is 7 to 14 m from the start, at most 40 degrees from straight ahead; each further one 6 to 9 m from
    the one before, 38 to 52 degrees from the way there.

    Args:
        seed: numbers that the layout depends on.
        targets: 1 to `MOST_TARGETS`.
        farther: metres added to the distance of the first target.
        beside: how many of the distractors stand 1.6 to 2.4 m from the last target, on its far side.
        shape: of the targets, one of `SHAPES`.
        urban: share of the trees that give way to buildings, 0 to 1.

    Example:
        >>> layout = draw([1])
        >>> bool(7 <= np.hypot(*layout.targets[0]) <= 14)
        True
    """
    way, objects, light = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    places = _ways(way, farther)[:targets]
    facing = way.uniform(-np.pi, np.pi, MOST_TARGETS)
    legs = np.concatenate([np.zeros((1, 2)), places])
    solids: list[tuple[int, ArrayLike, float, ArrayLike, ArrayLike, bool]] = []

    fewer = round(TREES * (1 - 0.7 * urban))
    spots = _spots(objects, legs, _CLEARANCE["tree"], TREES, 4.0, 26.0)
    for number, (x, y) in enumerate(spots):
        trunk, crown, shade = objects.uniform(1.4, 2.4), objects.uniform(0.8, 1.4), objects.uniform(0.75, 1.25)
        depth = -100.0 if number >= fewer else 0.0
        solids.append((POST, (x, y, trunk / 2 + depth), 0.0, (0.16, trunk / 2, 0), (0.32, 0.22, 0.14), False))
        solids.append((BALL, (x, y, trunk + 0.7 * crown + depth), 0.0, (crown, 0, 0), (shade,) * 3, True))

    shown = 4 + round((BUILDINGS - 4) * urban)
    # Those that only a town has stand nearer.
    spots = np.concatenate(
        [
            _spots(objects, legs, 14.0, 4, 18.0, 40.0),
            _spots(objects, legs, _CLEARANCE["building"], BUILDINGS - 4, 8.0, 24.0),
        ]
    )
    for number, (x, y) in enumerate(spots):
        half = np.array([*objects.uniform(1.5, 3.0, 2), objects.uniform(2.0, 5.0)])
        colour = objects.uniform(0.45, 0.75) + objects.uniform(-0.06, 0.06, 3)
        depth = -100.0 if number >= shown else 0.0
        solids.append((BOX, (x, y, half[2] + depth), objects.uniform(-np.pi, np.pi), half, colour, False))

    last, before = legs[-1], legs[-2]
    approach = np.arctan2(*(last - before)[::-1])
    spots = _spots(objects, legs, _CLEARANCE["distractor"], DISTRACTORS, 2.0, 12.0)
    near = approach + objects.uniform(-1.9, 1.9, DISTRACTORS)
    reach = objects.uniform(1.6, 2.4, DISTRACTORS)
    colours = [colour for colour in DECOYS if colour not in TARGETS[:targets]]
    for number, spot in enumerate(spots):
        turn = near[number]
        x, y = last + reach[number] * np.array([np.cos(turn), np.sin(turn)]) if number < beside else spot
        half = objects.uniform(0.25, 0.5, 3)
        colour = colours[number % len(colours)]
        solids.append((BOX, (x, y, half[2]), objects.uniform(-np.pi, np.pi), half, colour, False))

    for number in range(MOST_TARGETS):
        depth = 0.0 if number < targets else -100.0
        place = places[min(number, targets - 1)]
        for kind, offset, size in _PARTS_OF[shape]:
            turn = facing[number]
            x, y = place + offset[0] * np.array([np.cos(turn), np.sin(turn)])
            x, y = np.array([x, y]) + offset[1] * np.array([-np.sin(turn), np.cos(turn)])
            solids.append((kind, (x, y, offset[2] + depth), turn, size, TARGETS[number], False))

    azimuth, height = light.uniform(-np.pi, np.pi), light.uniform(0.6, 1.3)
    kinds, positions, yaws, sizes, colours, foliage = zip(*solids, strict=True)
    return Layout(
        np.array(kinds),
        np.array(positions, dtype=np.float64),
        np.array(yaws, dtype=np.float64),
        np.array(sizes, dtype=np.float64),
        np.array(colours, dtype=np.float64),
        np.array(foliage),
        places,
        -np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)]),
        light.uniform(0.8, 1.2),
        light.uniform(0.75, 1.1),
    )


_NOWHERE = (BOX, (0.0, 0.0, -100.0), (0.1, 0.1, 0.1))
_PARTS_OF = {
    "chair": (
        (BOX, (0.0, 0.0, 0.5), (0.5, 0.5, 0.07)),
        (BOX, (-0.45, 0.0, 0.9), (0.06, 0.5, 0.4)),
        (BOX, (0.0, 0.45, 0.3), (0.5, 0.06, 0.3)),
        (BOX, (0.0, -0.45, 0.3), (0.5, 0.06, 0.3)),
    ),
    "crate": ((BOX, (0.0, 0.0, 0.5), (0.5, 0.5, 0.5)), *[_NOWHERE] * 3),
    "ball": ((BALL, (0.0, 0.0, 0.6), (0.6, 0.0, 0.0)), *[_NOWHERE] * 3),
    "post": ((POST, (0.0, 0.0, 0.9), (0.18, 0.9, 0.0)), *[_NOWHERE] * 3),
}


def _ways(random: np.random.Generator, farther: float) -> NDArray[np.float64]:
    """Where targets stand, (`MOST_TARGETS`, 2)."""
    lengths = np.concatenate([random.uniform(7, 14, 1) + farther, random.uniform(6, 9, MOST_TARGETS - 1)])
    turns = np.radians(random.uniform(-40, 40, MOST_TARGETS))
    # A drone that has stopped before one target has the next in view, and does not meet this one on its way there.
    turns[1:] = np.sign(turns[1:]) * np.radians(38) + 0.35 * turns[1:]
    turns = np.cumsum(turns)
    return np.cumsum(lengths[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0)


def _spots(
    random: np.random.Generator, legs: NDArray[np.float64], clearance: float, count: int, least: float, most: float
) -> NDArray[np.float64]:
    """Some places ``least`` to ``most`` metres from the middle of the way, and clear of it, (count, 2)."""
    tries = 40 * count
    distance = np.sqrt(random.uniform(least**2, most**2, tries))
    turn = random.uniform(-np.pi, np.pi, tries)
    middle = (legs.min(axis=0) + legs.max(axis=0)) / 2
    spots = middle + distance[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    clear = np.min([_distance(spots, *ends) for ends in zip(legs[:-1], legs[1:], strict=True)], axis=0)
    # Clear ones first, and those in the order in which they were drawn.
    return spots[np.argsort(clear < clearance, kind="stable")[:count]]


def _distance(points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of points (n, 2) from a line between two points."""
    along = end - start
    share = np.clip((points - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)


class Obstacles:
    """The solids of several layouts side by side, for contacts.

    Args:
        layouts: one for each flight.
    """

    def __init__(self, layouts: list[Layout]):
        kinds = np.stack([one.kinds for one in layouts])
        sizes = np.stack([one.sizes for one in layouts])
        self._positions = np.stack([one.positions for one in layouts])
        yaws = np.stack([one.yaws for one in layouts])
        self._cosines, self._sines = np.cos(yaws), np.sin(yaws)
        # Every solid is a box, rounded by a radius: none for a box, all of a ball, and that of a post seen from above.
        self._half = np.where((kinds == BOX)[..., None], sizes, 0.0)
        self._half[..., 2] = np.where(kinds == POST, sizes[..., 1], self._half[..., 2])
        self._radius = np.where(kinds == BOX, 0.0, sizes[..., 0])
        self._flat = kinds == POST

    def touching(self, positions: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
        """Which flights touch something, or the ground.

        Args:
            positions: (flights, 3).
            radius: of what flies, a ball.
        """
        x, y, z = np.moveaxis(positions[:, None] - self._positions, -1, 0)
        local = np.stack([self._cosines * x + self._sines * y, self._cosines * y - self._sines * x, z], axis=-1)
        outside = np.maximum(np.abs(local) - self._half, 0.0)
        across = np.hypot(outside[..., 0], outside[..., 1])
        # A post is flat at its ends, so that its radius counts across alone.
        across = np.where(self._flat, np.maximum(across - self._radius, 0.0), across)
        away = np.hypot(across, outside[..., 2]) - np.where(self._flat, 0.0, self._radius)
        return (away < radius).any(axis=1) | (positions[:, 2] < radius)


@dataclass(frozen=True)
class Look:
    """Colours of a season, each red, green and blue from 0 to 1.

    Attributes:
        ground: (3, 3), three colours of which the ground is a mixture.
        foliage: (3, 3), colours of which each tree has one.
        zenith: of the sky overhead.
        horizon: of the sky at the horizon.
        sun: of sunlight.
        ambient: of light from everywhere.
        fog: the reciprocal of the distance, in metres, at which nothing is seen any more; 0 for no fog.
    """

    ground: NDArray[np.float64]
    foliage: NDArray[np.float64]
    zenith: NDArray[np.float64]
    horizon: NDArray[np.float64]
    sun: NDArray[np.float64]
    ambient: NDArray[np.float64]
    fog: float = 0.0


_SEASONS = {
    "summer": (
        ((0.24, 0.38, 0.14), (0.32, 0.45, 0.18), (0.40, 0.42, 0.22)),
        ((0.13, 0.33, 0.10), (0.18, 0.38, 0.12), (0.23, 0.42, 0.15)),
        ((0.25, 0.45, 0.80), (0.72, 0.82, 0.92), (0.75, 0.73, 0.68), (0.42, 0.43, 0.45)),
    ),
    "autumn": (
        ((0.42, 0.28, 0.12), (0.55, 0.34, 0.14), (0.36, 0.34, 0.16)),
        ((0.72, 0.32, 0.08), (0.78, 0.55, 0.12), (0.58, 0.20, 0.08)),
        ((0.45, 0.55, 0.72), (0.82, 0.80, 0.76), (0.72, 0.62, 0.48), (0.42, 0.40, 0.38)),
    ),
    "winter": (
        ((0.82, 0.85, 0.90), (0.92, 0.94, 0.97), (0.70, 0.73, 0.78)),
        ((0.62, 0.68, 0.68), (0.75, 0.80, 0.82), (0.45, 0.52, 0.48)),
        ((0.62, 0.68, 0.75), (0.86, 0.88, 0.90), (0.55, 0.57, 0.62), (0.50, 0.52, 0.56)),
    ),
    "dusk": (
        ((0.24, 0.38, 0.14), (0.32, 0.45, 0.18), (0.40, 0.42, 0.22)),
        ((0.13, 0.33, 0.10), (0.18, 0.38, 0.12), (0.23, 0.42, 0.15)),
        ((0.07, 0.08, 0.20), (0.50, 0.26, 0.18), (0.28, 0.17, 0.10), (0.11, 0.11, 0.16)),
    ),
    "urban": (
        ((0.36, 0.36, 0.37), (0.44, 0.44, 0.44), (0.50, 0.49, 0.47)),
        ((0.16, 0.30, 0.12), (0.20, 0.34, 0.14), (0.24, 0.36, 0.18)),
        ((0.45, 0.55, 0.70), (0.78, 0.80, 0.82), (0.70, 0.69, 0.67), (0.45, 0.45, 0.46)),
    ),
}

SEASONS = tuple(_SEASONS)


@cache
def look(season: str = "summer", level: float = 1.0, fog: float = 0.0) -> Look:
    """The colours on the way from summer to a season.

    Args:
        season: one of `SEASONS`.
        level: 0 is summer, 1 the season.
        fog: as of `Look`.
    """
    summer, there = _SEASONS["summer"], _SEASONS[season]
    ground, foliage, others = (
        (1 - level) * np.array(one) + level * np.array(other) for one, other in zip(summer, there, strict=True)
    )
    zenith, horizon, sun, ambient = others
    return Look(ground, foliage, zenith, horizon, sun, ambient, fog)


@cache
def pattern(size: int) -> NDArray[np.float64]:
    """Shares of the three colours of the ground at each of its points, (size, size, 3): patches of several widths."""
    random = np.random.default_rng(0)
    total = np.zeros((size, size, 3))
    for cells in (4, 16, 64, size):
        total += np.kron(random.normal(size=(cells, cells, 3)), np.ones((size // cells, size // cells, 1)))
    shares = np.exp(total)
    return shares / shares.sum(axis=-1, keepdims=True)
