"""How fast a real quadrotor flies, and where it will be in a second, from its inertial sensor.

The recordings are of a DJI Phantom 4 RTK with an inertial sensor of its own clock, in sessions of several flights. What
the flights have in common is the airframe; they differ in the manoeuvre: back and forth in the horizontal plane, up and
down in a vertical one, straight ahead.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered

QUADROTOR = Archive(
    title="Quadrotor flights with inertial sensors (one of four sensors)",
    folder="flight-ansfl-quadrotor",
    url="https://github.com/ansfl/Quadrotor-Dead-Reckoning-with-Multiple-Inertial-Sensors",
    published=(),
    copies=(("gt.csv", "imu_1.csv.gz"),),
    members=r"(gt|imu_1)\.csv",
    content=files.lines_content,
    digest="d93cf15864236fa7ddf35bc2f6e9e5498be2070a645a4ba713b76a5a9029247a",
)

MANOEUVRES = ("horizontal", "vertical", "straight")

SESSIONS = (
    *(("horizontal", 1, 0, 0.7), ("horizontal", 5, 1, 0.05), ("horizontal", 7, 1, 0.15), ("horizontal", 15, 2, 0.4)),
    *(("horizontal", 21, 3, -0.35), ("horizontal", 27, 4, -0.65)),
    *(("vertical", 7, 5, 0.0), ("vertical", 8, 6, 0.0), ("vertical", 14, 7, 0.05), ("vertical", 17, 8, 0.05)),
    *(("vertical", 22, 8, 0.1), ("vertical", 30, 9, 0.0)),
    ("straight", 4, 10, 0.05),
)
"""Manoeuvre, last flight, number of the session and seconds by which the sensor's clock is ahead of the receiver's.

The clocks are apart by the lag at which the sensor's roll and pitch agree best with those of the drone's autopilot, to
0.05 s; it is the same for all flights of a row."""

STEP = 0.1
"""Seconds between fixes of the satellite receiver, which are the steps."""

AHEAD = 10
"""Steps of the displacement: one second."""

FOLDS = 5
"""Outer splits of the horizontal flights: of five that follow one another, one is in test and one in validation."""

_WRAP = 2**32 / 1e6
"""Seconds after which the sensor's clock begins again."""

_INERTIAL = (
    *(Feature(f"acceleration {axis}", "m/s^2") for axis in "xyz"),
    *(Feature(f"angular velocity {axis}", "deg/s") for axis in "xyz"),
    Feature("roll", "deg"),
    Feature("pitch", "deg"),
)

_ABOUT: dict[str, Any] = {
    "kind": "regression",
    "per": "step",
    "outputs": 2,
    "metric": "mse",
    "metrics": ("mse", "rmse", "mae", "r2"),
    "time_unit": "s",
    "source": Source(
        title="Quadrotor Dead Reckoning with Multiple Inertial Sensors",
        url=QUADROTOR.url,
        licence="CC BY 4.0",
        citation="Hurwitz and Klein, Quadrotor Dead Reckoning with Multiple Inertial Sensors, 2023 (arXiv 2310.13452)",
    ),
    "data_digest": QUADROTOR.digest,
    "window": 100,
    "stride": 20,
    "context": 20,
}


@dataclass(frozen=True, eq=False)
class Flight:
    """A flight at the fixes of its receiver, on the receiver's clock.

    Attributes:
        manoeuvre: ``"horizontal"``, ``"vertical"`` or ``"straight"``.
        number: number of the flight within its manoeuvre.
        session: number of the recording session.
        times: float64 (n,), seconds.
        inertial: float64 (n, 8), means of the inertial sensor over the `STEP` seconds up to each fix.
        places: float64 (n, 2), metres north and east of the first fix.
        heading: float64 (n,), radians from north to east.
    """

    manoeuvre: str
    number: int
    session: int
    times: NDArray[np.float64]
    inertial: NDArray[np.float64]
    places: NDArray[np.float64]
    heading: NDArray[np.float64]

    def in_body(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vectors (n, 2) to north and east as forward and to the right, one for each fix."""
        cos, sin, north, east = np.cos(self.heading), np.sin(self.heading), *vectors.T
        return np.stack([cos * north + sin * east, cos * east - sin * north], axis=1)

    def recording(self, steps: slice, more: NDArray[np.float64], targets: NDArray[np.float64]) -> Recording:
        """A recording of some steps.

        Args:
            steps: which of the flight's.
            more: (steps, features), what is known besides the inertial sensor.
            targets: (steps, outputs).
        """
        times = self.times[steps]
        return Recording(
            name=f"{self.manoeuvre} {self.number}",
            times=times,
            values=np.concatenate([self.inertial[steps], more], axis=1),
            targets=targets,
            first_row=0,
            environment=self.session,
        )


def velocity(data: str | os.PathLike[str] | None = None) -> Task:
    """Velocity from the inertial sensor, on other flights with the manoeuvre of training."""
    return _velocity("quadrotor-velocity", "Velocity of a quadrotor", flights(data))


def velocity_ood(data: str | os.PathLike[str] | None = None) -> Task:
    """Velocity from the inertial sensor, on manoeuvres that training has none of."""
    return _velocity("quadrotor-velocity-ood", "Velocity of a quadrotor in other manoeuvres", flights(data))


def displacement(data: str | os.PathLike[str] | None = None) -> Task:
    """Displacement in the next second, on other flights with the manoeuvre of training."""
    return _displacement("quadrotor-displacement", "Displacement of a quadrotor", flights(data))


def displacement_ood(data: str | os.PathLike[str] | None = None) -> Task:
    """Displacement in the next second, on manoeuvres that training has none of."""
    return _displacement("quadrotor-displacement-ood", "Displacement of a quadrotor in other manoeuvres", flights(data))


def _velocity(name: str, title: str, flown: list[Flight]) -> Task:
    def recording(flight: Flight) -> Recording:
        # Central differences: the truth may know what comes after, which the sensor does not.
        speeds = flight.in_body(np.gradient(flight.places, STEP, axis=0))[1:-1]
        return flight.recording(slice(1, -1), np.zeros((len(speeds), 0)), speeds)

    return Task(
        name=name,
        title=title,
        description="How fast a quadrotor flies forward and to the right, from the means of its inertial sensor over "
        "each tenth of a second so far.",
        features=_INERTIAL,
        target_unit="m/s",
        baseline="mean",
        **_ABOUT,
        **_dealt(name, flown, recording),
    )


def _displacement(name: str, title: str, flown: list[Flight]) -> Task:
    def recording(flight: Flight) -> Recording:
        speeds = flight.in_body(np.diff(flight.places, axis=0, prepend=np.nan) / STEP)
        ahead = flight.places[AHEAD:] - flight.places[:-AHEAD]
        ahead = flight.in_body(np.pad(ahead, ((0, AHEAD), (0, 0))))
        steps = slice(1, -AHEAD)
        return replace(
            flight.recording(steps, speeds[steps], ahead[steps]), target_times=flight.times[steps] + AHEAD * STEP
        )

    carried = ("forward velocity", "velocity to the right")
    return Task(
        name=name,
        title=title,
        description="How far forward and to the right a quadrotor will be in a second, from its velocity and the means "
        "of its inertial sensor over each tenth of a second so far; at constant velocity, by the trivial predictor.",
        features=(*_INERTIAL, *(Feature(feature, "m/s") for feature in carried)),
        target_unit="m",
        baseline="last value",
        carried=carried,
        **_ABOUT,
        **_dealt(name, flown, recording),
    )


def _dealt(name: str, flown: list[Flight], recording: Callable[[Flight], Recording]) -> dict[str, Any]:
    """The splits of the task of this name, in words and as recordings."""
    every = dict(zip(flown, numbered(map(recording, flown)), strict=True))

    def dealt(split_of: Callable[[Flight], str]) -> Callable[[str], list[Recording]]:
        return lambda split: [one for flight, one in every.items() if split_of(flight) == split]

    if name.endswith("-ood"):
        return {
            "recordings": dealt(_by_manoeuvre),
            "split_rule": "By manoeuvre: horizontal flights are training, every fifth from 5 on validation; test is "
            "all vertical and straight ones.",
            "fold_rule": "By manoeuvre there is one: training has horizontal flights alone.",
        }
    return {
        "recordings": dealt(partial(_by_number, 0)),
        "dealt": lambda fold: dealt(partial(_by_number, fold)),
        "folds": FOLDS,
        "split_rule": "By flight, horizontal ones alone: every fifth from 4 on is test, every fifth from 5 on "
        "validation, the others training. Flights of one session may be in all three.",
        "fold_rule": "By flight: which of five flights that follow one another are in validation and test moves on by "
        "one, so that each is in test once.",
    }


def _by_manoeuvre(flight: Flight) -> str:
    if flight.manoeuvre != "horizontal":
        return "test"
    return "train" if flight.number % FOLDS else "validation"


def _by_number(fold: int, flight: Flight) -> str:
    if flight.manoeuvre != "horizontal":
        return ""
    # Flights 4, 9, 14, ... are in test of the first split, 5, 10, 15, ... in validation.
    return {4: "test", 0: "validation"}.get((flight.number - fold) % FOLDS, "train")


def flights(data: str | os.PathLike[str] | None = None) -> list[Flight]:
    """All flights, in the order of the file."""
    members = files.read(QUADROTOR, data)
    arrays = files.parsed_once(QUADROTOR.digest, _parse, [members["gt.csv"], members["imu_1.csv"]])
    fixes, samples = arrays["fixes"], arrays["samples"]
    found = []
    for code in dict.fromkeys(fixes[:, 0].tolist()):
        found.append(_flight(int(code), fixes[fixes[:, 0] == code, 1:], samples[samples[:, 0] == code, 1:]))
    return found


def _flight(code: int, fixes: NDArray[np.float64], samples: NDArray[np.float64]) -> Flight:
    number = code % 100
    manoeuvre = MANOEUVRES[code // 100]
    session, ahead = next(row[2:] for row in SESSIONS if row[0] == manoeuvre and number <= row[1])
    times, clock = fixes[:, 0], samples[:, 0]
    clock = np.where(clock < 0, clock + _WRAP, clock) - ahead
    # Row `i` of `totals` is the sum of the first i samples.
    totals = np.concatenate([np.zeros((1, len(_INERTIAL))), np.cumsum(samples[:, 1:], axis=0)])
    begin, end = (np.searchsorted(clock, at + 1e-4, side="right") for at in (times - STEP, times))
    # Where the sensor was on for the whole tenth of a second.
    there = (times - STEP > clock[0] - 0.01) & (times < clock[-1] + 0.01)
    means = (totals[end] - totals[begin])[there] / (end - begin)[there, None]
    north_east, heading = fixes[there, 2:], np.radians(fixes[there, 1])
    return Flight(manoeuvre, number, session, times[there], means, north_east, heading)


def _parse(raw: list[bytes]) -> dict[str, NDArray[Any]]:
    """The columns that are used, after a number that tells manoeuvre and flight."""

    def columns(content: bytes, *names: str) -> NDArray[np.float64]:
        head, *lines = files.lines_content(content).decode().split("\n")
        used = [head.split(",").index(name) for name in names]
        table = []
        for line in lines:
            cells = line.split(",")
            code = 100 * MANOEUVRES.index(cells[0]) + int(cells[1])
            table.append([code, *(cells[at] for at in used)])
        return np.array(table, dtype=np.float64)

    return {
        "fixes": columns(raw[0], "time_s", "heading_deg", "north_m", "east_m"),
        "samples": columns(
            raw[1],
            *("time_s", "acc_x_mps2", "acc_y_mps2", "acc_z_mps2", "gyr_x_dps", "gyr_y_dps", "gyr_z_dps"),
            *("euler_x_deg", "euler_y_deg"),
        ),
    }
