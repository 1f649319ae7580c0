"""What changes in a world, and by how much at each level.

The names, levels and words are those of `liquidbench.shifts.WORLDS`; here is what they do to a flight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from liquidbench import shifts
from liquidbench.tasks.flight.scenes import SHAPES


@dataclass(frozen=True)
class World:
    """How flights differ from those of training, which take place in ``World()``.

    Attributes:
        season: colours of the scene, one of `liquidbench.tasks.flight.scenes.SEASONS`.
        blend: how far the colours are on the way from summer to the season, 0 to 1.
        town: share of the trees that give way to buildings, 0 to 1.
        fog: reciprocal of the distance at which nothing is seen any more, in 1/m.
        noise: standard deviation of noise on each pixel, of 255.
        blur: pixels to each side over which the picture is averaged.
        contrast: share of the contrast that is lost.
        hue: turn of all hues, in degrees.
        occlusion: share of the picture that a black patch covers, which moves every 0.8 s.
        blackout: seconds of black pictures in every 2.5 s.
        stale: share of the pictures in whose place the one before is seen again.
        gap: longest time between pictures in seconds; they are at least 0.1 s apart.
        wind: mean speed in m/s; gusts vary by 30 % of it.
        farther: metres added to the distance of the first target.
        beside: distractors that stand beside the target.
        shape: of the target, one of `liquidbench.tasks.flight.scenes.SHAPES`.
        lag: time constant in seconds with which commands arrive.
    """

    season: str = "summer"
    blend: float = 1.0
    town: float = 0.0
    fog: float = 0.0
    noise: float = 0.0
    blur: int = 0
    contrast: float = 0.0
    hue: float = 0.0
    occlusion: float = 0.0
    blackout: float = 0.0
    stale: float = 0.0
    gap: float = 0.1
    wind: float = 0.0
    farther: float = 0.0
    beside: int = 0
    shape: str = "chair"
    lag: float = 0.0


_WORLDS: Mapping[str, Callable[[float], World]] = {
    "autumn": lambda level: World(season="autumn", blend=level),
    "winter": lambda level: World(season="winter", blend=level),
    "dusk": lambda level: World(season="dusk", blend=level),
    "urban": lambda level: World(season="urban", blend=level, town=level),
    "fog": lambda level: World(fog=level / 30),
    "sensor_noise": lambda level: World(noise=level),
    "blur": lambda level: World(blur=round(level)),
    "contrast": lambda level: World(contrast=level),
    "hue": lambda level: World(hue=level),
    "occlusion": lambda level: World(occlusion=level),
    "blackout": lambda level: World(blackout=level),
    "dropped_frames": lambda level: World(stale=level),
    "irregular_frames": lambda level: World(gap=0.1 + level),
    "wind": lambda level: World(wind=level),
    "range": lambda level: World(farther=level),
    "distractors": lambda level: World(beside=round(level)),
    "target_shape": lambda level: World(shape=SHAPES[round(level)]),
    "actuator_lag": lambda level: World(lag=level),
}

_WHOLE = ("blur", "distractors", "target_shape")
"""Worlds whose levels are whole numbers."""

NAMES = tuple(_WORLDS)


def world(name: str, level: float) -> World:
    """A world at a level; a level of 0 changes nothing.

    Raises:
        ValueError: for an unknown name, or a level that it does not have.

    Example:
        >>> world("fog", 2.0).fog == 1 / 15, world("wind", 0.0) == World()
        (True, True)
    """
    if name not in _WORLDS:
        raise ValueError(f"world must be one of {', '.join(NAMES)}; got {name!r}")
    registered, whole = shifts.WORLDS[name], name in _WHOLE
    if not registered.takes(level) or (whole and level != round(level)):
        expected = "a whole number" if whole else "a number"
        most = registered.limits["at_most"]
        raise ValueError(f"level of world {name!r} must be {expected} from 0 to {most:g}; got {level!r}")
    return _WORLDS[name](level) if level else World()
