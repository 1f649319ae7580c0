"""What a kept network did in flights that were looked at, as arrays in one file beside it, from which reports draw.

`liquidbench.flying` flies it. ``flights.npz`` has a checksum and the run of the network that it is of, so that it is
never shown for another.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench import kept
from liquidbench.folder import ModelFolder


@dataclass(frozen=True)
class Attention:
    """How much of what commands depend on is at the target, over many frames.

    Attributes:
        method: how it is measured.
        share: share of the attributions that is on the target's pixels, a mean over flights.
        interval: its interval over flights; None with fewer than two flights.
        commands: the share for each command alone that depends on a pixel.
        pixels: the target's share of the pixels of the same frames.
        frames: number of frames.
        flights: number of flights that they are of.
    """

    method: str
    share: float
    interval: tuple[float, float] | None
    commands: dict[str, float]
    pixels: float
    frames: int
    flights: int


@dataclass(frozen=True, eq=False)
class Map:
    """One flight from above, n ticks long, with m solids in sight.

    Attributes:
        path: (n, 2) metres, ahead of the start and to its left.
        kinds: (m,), "tree", "building" or "distractor" as 0, 1 or 2.
        places: (m, 2), centres in metres.
        halves: (m, 2), half the edges in metres, of trees the radius of the crown.
        yaws: (m,), turn to the left in radians.
        targets: (targets, 2), in the order in which they are to be visited.
    """

    path: NDArray[np.float32]
    kinds: NDArray[np.int64]
    places: NDArray[np.float32]
    halves: NDArray[np.float32]
    yaws: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frames:
    """What one flight's commands depended on in k of its frames.

    Attributes:
        seconds: (k,), time of each.
        pictures: uint8 (k, height, width, 3), what the network saw.
        targets: bool (k, height, width), pixels of the target.
        gradients: (k, height, width), sizes of integrated gradients, summed over colours and commands.
        patches: (k, rows, columns), by how much commands change where a patch is covered, summed over commands.
    """

    seconds: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    targets: NDArray[np.bool_]
    gradients: NDArray[np.float32]
    patches: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Inside:
    """A layer along one flight of n frames.

    Attributes:
        times: (n,) seconds.
        spans: (n,) seconds since the frame before.
        states: (n, units), outputs of some of the layer's units.
        time_constants: quantiles of all units' time constants in seconds, (m, n) for the m of
            `liquidbench.explanations.QUANTILES`; of no rows if the layer has none.
    """

    times: NDArray[np.float64]
    spans: NDArray[np.float64]
    states: NDArray[np.float32]
    time_constants: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Place:
    """Flights in one world.

    Attributes:
        world: the world's name; "" for that of training.
        level: its level.
        outcomes: of each flight, "success", "crash" or "missed".
        near: metres from the target within which a flight has to end.
        maps: the first flights from above.
        attention: by each method; empty where no frame shows the target, or no command depends on a pixel of one.
        frames: of the first flight.
        inside: of the first flight.
        film: the first flight as a GIF, bytes as uint8.
    """

    world: str
    level: float
    outcomes: tuple[str, ...]
    near: float
    maps: Sequence[Map]
    attention: Sequence[Attention]
    frames: Frames
    inside: Inside
    film: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Flown:
    """What a network did in flights on the test layouts of its task.

    Attributes:
        run: id of the run that trained it.
        model: its name.
        places: the world of training first.
        missing: why something is missing, a sentence each.
    """

    run: str
    model: str
    places: Sequence[Place]
    missing: tuple[str, ...] = ()


_PARTS = {"frames": Frames, "inside": Inside}


def write(found: Flown, folder: str | os.PathLike[str]) -> Path:
    """Write flights beside the network that flew, atomically.

    Args:
        found: the flights.
        folder: the network's folder.

    Returns:
        The file.
    """
    arrays: dict[str, NDArray[Any]] = {}
    places = []
    for number, place in enumerate(found.places):
        for part in _PARTS:
            arrays |= {f"{number}_{part}_{name}": array for name, array in vars(getattr(place, part)).items()}
        for flight, one in enumerate(place.maps):
            arrays |= {f"{number}_map{flight}_{name}": array for name, array in vars(one).items()}
        arrays[f"{number}_film"] = place.film
        about = {name: getattr(place, name) for name in ("world", "level", "outcomes", "near")}
        places.append({**about, "maps": len(place.maps), "attention": [vars(one) for one in place.attention]})
    about = {"run": found.run, "model": found.model, "missing": found.missing, "places": places}
    return kept.attach(ModelFolder(folder).flights, found.run, about, arrays)


def read(folder: str | os.PathLike[str]) -> Flown:
    """Read what `write` wrote.

    Raises:
        FileNotFoundError: if there are no flights, or no network that they could be of.
        DamagedFileError: if the file has changed, or is of another network than the one in the folder.
    """
    return kept.attached(ModelFolder(folder).flights, _parsed)


def _parsed(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Flown:
    def part(kind: Any, name: str) -> Any:
        return kind(**{one.name: arrays[f"{name}_{one.name}"] for one in fields(kind)})

    places = [
        Place(
            world=told["world"],
            level=told["level"],
            outcomes=tuple(told["outcomes"]),
            near=told["near"],
            maps=[part(Map, f"{number}_map{flight}") for flight in range(told["maps"])],
            attention=[_attention(one) for one in told["attention"]],
            film=arrays[f"{number}_film"],
            **{name: part(kind, f"{number}_{name}") for name, kind in _PARTS.items()},
        )
        for number, told in enumerate(about["places"])
    ]
    return Flown(about["run"], about["model"], places, tuple(about["missing"]))


def _attention(told: dict[str, Any]) -> Attention:
    ends = told["interval"]
    return Attention(**{**told, "interval": None if ends is None else (ends[0], ends[1])})


def of_task(directory: str | os.PathLike[str], task: str) -> list[Flown]:
    """The flights of a task's kept networks, in the order of their folders.

    A damaged file is left out with a warning.

    Args:
        directory: the study's folder.
        task: the task's name.
    """
    return kept.attached_of_task(directory, task, lambda folder: folder.flights, read)
