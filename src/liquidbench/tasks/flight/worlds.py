"""What changes in a world, and by how much at each level.

The names, default levels and words are those of `liquidbench.shifts.WORLDS`; here is what they do to a flight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from liquidbench.tasks.flight.scenes import DISTRACTORS, SHAPES


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

_WHOLE = {"blur": 8, "distractors": DISTRACTORS, "target_shape": len(SHAPES) - 1}
"""Worlds whose levels are whole numbers, with the largest."""

_MOST = {
    **dict.fromkeys(("autumn", "winter", "dusk", "urban", "contrast", "occlusion", "dropped_frames"), 1.0),
    **{"fog": 30.0, "sensor_noise": 255.0, "hue": 180.0, "blackout": 2.4, "irregular_frames": 1.9},
    **{"wind": 30.0, "range": 30.0, "actuator_lag": 5.0},
    **_WHOLE,
}

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
    whole = name in _WHOLE
    if not 0 <= level <= _MOST[name] or (whole and level != round(level)):
        expected = "a whole number" if whole else "a number"
        raise ValueError(f"level of world {name!r} must be {expected} from 0 to {_MOST[name]:g}; got {level!r}")
    return _WORLDS[name](level) if level else World()
