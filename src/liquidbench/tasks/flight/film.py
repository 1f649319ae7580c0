"""A film of a flight: what the drone saw, beside the flight from above."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquidbench.system.storage import replacing
from liquidbench.tasks.flight import rendering
from liquidbench.tasks.flight.flights import TICK, Flights
from liquidbench.tasks.flight.rendering import HEIGHT, WIDTH

SCALE = 3
"""Film pixels for each pixel of a policy's picture."""

_DOT, _COLOURS, _EVERY = 3, 128, 2


def frames(flights: Flights, number: int = 0) -> list[NDArray[np.uint8]]:
    """The pictures of a flight that has been flown, one for each tick.

    To the left is the forward view, larger than a policy sees it and without what a world does to pictures; to the
    right the scene from above, with the way so far in white.

    Args:
        flights: flights, flown.
        number: which of them.

    Returns:
        uint8 (144, 336, 3) each.
    """
    layout, look = flights.layouts[number], flights.look
    flown = ~np.isnan(flights.positions[number, :, 0])
    positions, rotations = flights.positions[number, flown], flights.rotations[number, flown]
    ahead = rendering.camera(SCALE * HEIGHT, SCALE * WIDTH)
    side = SCALE * HEIGHT
    centre, height = _above(positions, layout.targets)
    # Looking down, with the start at the bottom: the picture's up is ahead in the world.
    down = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    ground = rendering.camera(side, side).picture(layout, look, np.array([*centre, height]), down)
    metres = height * np.tan(np.radians(rendering.FIELD) / 2)
    spots = np.round(side / 2 * (1 - (positions[:, :2] - centre) / metres)).astype(int) - _DOT // 2
    made = []
    for position, rotation, (row, column) in zip(positions, rotations, spots, strict=True):
        ground[max(row, 0) : row + _DOT, max(column, 0) : column + _DOT] = 255
        made.append(np.concatenate([ahead.picture(layout, look, position, rotation), ground], axis=1))
    return made


def write(flights: Flights, path: str | Path, number: int = 0) -> Path:
    """Write a film of a flight that has been flown, as a GIF of five pictures a second.

    Args:
        flights: flights, flown.
        path: of the film; its suffix must be ``.gif``.
        number: which of the flights.

    Returns:
        The path.

    Raises:
        ValueError: for another suffix, or a number that there is not.
        ModuleNotFoundError: if Pillow is not installed.
    """
    path = Path(path)
    if path.suffix != ".gif":
        raise ValueError(f"path must end in .gif; got {str(path)!r}")
    if not 0 <= number < len(flights.layouts):
        raise ValueError(f"number must be from 0 to {len(flights.layouts) - 1}; got {number}")
    content = gif(frames(flights, number)[::_EVERY], _EVERY * TICK)
    with replacing(path) as file:
        file.write(content)
    return path


def gif(pictures: Sequence[NDArray[np.uint8]], seconds: float) -> bytes:
    """Pictures, uint8 (height, width, 3) each, as a GIF that shows each for so many seconds, again and again.

    Raises:
        ValueError: if there is no picture.
        ModuleNotFoundError: if Pillow is not installed.
    """
    if not len(pictures):
        raise ValueError("pictures must have at least one; got none")
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("films are written by Pillow: pip install 'liquidrnn[flight]'") from error
    # One palette for all pictures, which then differ in few places, and one that keeps rare colours: a yellow box must
    # not look like the target.
    some = Image.fromarray(np.concatenate(pictures[:: max(len(pictures) // 4, 1)]))
    palette = some.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE)
    first, *others = (
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures
    )
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others, duration=round(1000 * seconds), loop=0)
    return content.getvalue()


def _above(positions: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Where a camera looking down has a flight and its targets in view: the place on the ground, and the height."""
    points = np.concatenate([positions[:, :2], targets])
    least, most = points.min(axis=0), points.max(axis=0)
    width = max(float((most - least).max()), 6.0) + 4.0
    return (least + most) / 2, width / 2 / np.tan(np.radians(rendering.FIELD) / 2)
