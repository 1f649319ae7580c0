"""Demonstrations: episodes of the expert, which flies with noise on what it commands, and is recorded without it.

The noise drives the drone off the expert's way, so that a policy sees how to return (DART, Laskey et al., Conference on
Robot Learning 2017); episodes begin in motion and anywhere on the way, for the same reason. They are made on first use
and kept in the user's cache folder, compressed and with a checksum. Their folder can be deleted at any time.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquidbench.system import resources, storage
from liquidbench.system.storage import DamagedFileError
from liquidbench.tasks import files
from liquidbench.tasks.flight.expert import Expert
from liquidbench.tasks.flight.flights import TICK, Flights, Mission
from liquidbench.tasks.flight.quadrotor import Array
from liquidbench.tasks.flight.rendering import HEIGHT, WIDTH

VERSION = 1
"""Of the simulator and of this recipe. Whatever changes what episodes contain gets the next number."""

WINDOW = 64
"""Pictures of a sequence in training; an episode is as many of them as fit into a mission's time."""

NOISE, NOISE_TIME = (0.47, 0.15, 0.47), 0.5
"""Standard deviations of the noise on each command, and the time in seconds over which it fades."""

EPISODES: Mapping[str, int] = {"train": 200, "validation": 25, "test": 25}
"""Episodes of each split."""

_BATCH, _MOST_BATCHES = 50, 20
_MOST_SECONDS = 0.3
"""Longest time between pictures in any mission of training."""


@dataclass(frozen=True)
class Episodes:
    """Some episodes.

    Attributes:
        images: uint8 (episodes, steps, height * width * 3).
        times: (episodes, steps), in seconds.
        states: (episodes, steps, 6), the columns `liquidbench.tasks.flight.flights.STATE`.
        actions: (episodes, steps, 3), what the expert commands, without the noise.
    """

    images: NDArray[np.uint8]
    times: Array
    states: Array
    actions: Array

    def __len__(self) -> int:
        return len(self.images)

    @property
    def mirrored(self) -> "Episodes":
        """The same episodes with left and right exchanged."""
        pictures = self.images.reshape(*self.images.shape[:2], HEIGHT, WIDTH, 3)[:, :, :, ::-1]
        return Episodes(
            pictures.reshape(self.images.shape),
            self.times,
            self.states * (1, -1, 1, 1, -1, 1),
            self.actions * (1, 1, -1),
        )


def recipe(mission: Mission) -> str:
    """Digest of what episodes are made from: version, numbers and settings, not pixels, which differ by renderer."""
    content = {
        "version": VERSION,
        "mission": asdict(mission),
        "episodes": dict(EPISODES),
        "steps": steps_of(mission),
        "noise": [*NOISE, NOISE_TIME],
        "size": [HEIGHT, WIDTH],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def steps_of(mission: Mission) -> int:
    """Pictures of an episode.

    Example:
        >>> steps_of(Mission(seconds=15.0))
        128
    """
    return WINDOW * (round(mission.seconds / TICK) // WINDOW)


def make(mission: Mission, count: int, seed: int, steps: int | None = None) -> Episodes:
    """Fly with the expert; flights that touch something are left out, and others flown in their place.

    Args:
        mission: what the flights are for; they begin as those of `Mission.perturbed`.
        count: how many episodes.
        seed: what they depend on.
        steps: pictures of each; None for `steps_of` the mission.

    Raises:
        MemoryError: if there is too little memory for the pictures.
        ModuleNotFoundError: if MuJoCo is not installed.
        NoRendererError: if nothing can draw here.
        RuntimeError: if nearly all flights touch something.

    Example:
        >>> episodes = make(Mission(), count=2, seed=0, steps=5)
        >>> episodes.images.shape, episodes.actions.shape
        ((2, 5, 9216), (2, 5, 3))
    """
    steps = steps or steps_of(mission)
    _check_memory(count, steps)
    mission = replace(mission, perturbed=True, seconds=steps * _MOST_SECONDS + 1)
    made: list[Episodes] = []
    for first in range(0, _BATCH * (count + _MOST_BATCHES), _BATCH):
        if not (missing := count - sum(map(len, made))):
            break
        made.append(_fly(mission, min(_BATCH, missing), seed, first, steps))
    else:
        raise RuntimeError(f"the expert crashes in nearly all flights of {mission}; give it another mission")
    return (
        made[0]
        if len(made) == 1
        else Episodes(
            *(np.concatenate([getattr(one, name) for one in made]) for name in ("images", "times", "states", "actions"))
        )
    )


def _fly(mission: Mission, count: int, seed: int, first: int, steps: int) -> Episodes:
    flights, expert = Flights(count, seed, mission, first=first), Expert(mission.command)
    random = np.random.default_rng([seed, first, 2])
    keeping = np.exp(-TICK / NOISE_TIME)
    noise = random.normal(size=(count, 3))
    images, times, states, actions = [], [], [], []
    for _ in range(steps):
        state = flights.state
        action = expert(state)
        images.append(flights.images.copy())
        times.append(flights.seconds)
        states.append(state)
        actions.append(action)
        noise = keeping * noise + np.sqrt(1 - keeping**2) * random.normal(size=(count, 3))
        flights.step(action + noise * NOISE)
    kept = ~flights.crashed
    return Episodes(*(np.stack(each, axis=1)[kept] for each in (images, times, states, actions)))


def episodes(mission: Mission, split: str) -> Episodes:
    """The episodes of a split, from the cache folder or made now.

    Raises:
        DamagedFileError: if the file in the cache folder was cut short or has changed.
        MemoryError: if there is too little memory for the pictures.
    """
    _check_memory(EPISODES[split], steps_of(mission))
    path = files.cache_folder() / "flight" / f"{split}-{recipe(mission)[:20]}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with storage.file_lock(path.with_suffix(".lock")):
        if path.exists():
            return read(path)
        made = make(mission, EPISODES[split], seed=list(EPISODES).index(split))
        storage.keep(path, _packed(made))
    return made


def read(path: Path) -> Episodes:
    """The episodes in a file.

    Raises:
        DamagedFileError: if it was cut short or has changed; the message says what to do.
        FileNotFoundError: if it does not exist.
    """
    try:
        with storage.reading(path) as content, np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Episodes(**{name: arrays[name] for name in ("images", "times", "states", "actions")})
    except DamagedFileError as problem:
        raise DamagedFileError(f"{problem}. Delete the file; the demonstrations are then made again") from problem


def _packed(made: Episodes) -> bytes:
    archive = io.BytesIO()
    # The lowest level: pictures take seconds, and higher ones take minutes for a tenth less.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for name, array in vars(made).items():
            with opened.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return storage.sealed_zip(archive)


def _check_memory(count: int, steps: int) -> None:
    """Refuse to begin what cannot be finished: pictures are held twice while they are put together or unpacked."""
    needed, available = 2 * count * steps * HEIGHT * WIDTH * 3, resources.available_memory()
    if available is not None and needed > available:
        raise MemoryError(
            f"the demonstrations take {needed / 2**20:,.0f} MiB of memory, and {available / 2**20:,.0f} MiB are "
            "available; close other programs, raise the memory limit of a container or job, or ask for fewer episodes"
        )
