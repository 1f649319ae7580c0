"""Quadrotor flights: clocks, means of the sensor, velocities and displacements, against the files read by pandas."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from liquidbench import tasks
from liquidbench.tasks import quadrotor
from liquidbench.tasks.task import SPLITS

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
FOLDER = DATA / quadrotor.QUADROTOR.folder
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no {FOLDER}; set LIQUIDBENCH_DATA")


@pytest.fixture(scope="module")
def fixes():
    return pd.read_csv(FOLDER / "gt.csv").set_index(["group", "flight"])


@pytest.fixture(scope="module")
def samples():
    return pd.read_csv(FOLDER / "imu_1.csv.gz").set_index(["group", "flight"])


@pytest.fixture(scope="module")
def flights():
    return quadrotor.flights(DATA)


def test_all_flights_are_there_but_for_what_the_other_clock_has_not(flights, fixes):
    assert [(one.manoeuvre, one.number) for one in flights] == list(dict.fromkeys(fixes.index))
    for flight in flights:
        there = fixes.loc[(flight.manoeuvre, flight.number)]
        assert len(there) - 10 <= len(flight.times) <= len(there) - 1
        np.testing.assert_allclose(np.diff(flight.times), quadrotor.STEP, atol=1e-9)


def test_roll_and_pitch_follow_those_of_the_drone_on_its_clock(flights, fixes):
    for flight in flights:
        there = fixes.loc[(flight.manoeuvre, flight.number)].set_index("time_s").loc[flight.times]
        # The mean of a tenth of a second is that of half of it before.
        for column, truth in ((6, there["roll_deg"]), (7, -there["pitch_deg"])):
            agreement = [
                np.corrcoef(flight.inertial[10 + late : len(there) - 10 + late, column], truth.iloc[10:-10])[0, 1]
                for late in range(-3, 4)
            ]
            assert max(agreement) > 0.9, (flight.manoeuvre, flight.number)
            assert np.argmax(agreement) - 3 in (0, 1), (flight.manoeuvre, flight.number, agreement)


def test_a_step_has_the_means_of_the_tenth_of_a_second_before_it(flights, samples):
    for name, number, ahead in (("horizontal", 13, 0.4), ("vertical", 21, 0.1)):
        flight = next(one for one in flights if (one.manoeuvre, one.number) == (name, number))
        there = samples.loc[(name, number)]
        clock = there["time_s"].to_numpy() - ahead
        clock = np.where(there["time_s"] < 0, clock + 4294.967296, clock)
        for step in (0, 57, 200):
            inside = (clock > flight.times[step] - 0.1 + 1e-4) & (clock <= flight.times[step] + 1e-4)
            assert 11 <= inside.sum() <= 13
            expected = there[inside].filter(regex="acc|gyr|euler_[xy]").mean()
            order = ("acc_x_mps2", "acc_y_mps2", "acc_z_mps2", "gyr_x_dps", "gyr_y_dps", "gyr_z_dps")
            order += ("euler_x_deg", "euler_y_deg")
            np.testing.assert_allclose(flight.inertial[step], expected[list(order)], rtol=1e-6, atol=1e-6)


def test_velocity_is_as_fast_as_the_drone_says_where_it_does_not_climb(fixes):
    # `speed_mps` is the receiver's own, in three dimensions.
    task = tasks.load("quadrotor-velocity", DATA)
    for recording in (one for split in SPLITS for one in task.recordings(split)):
        there = fixes.loc[("horizontal", int(recording.name.split()[1]))].set_index("time_s")
        told = there.loc[recording.times, "speed_mps"]
        speed = np.hypot(*recording.targets.T)
        assert np.corrcoef(speed, told)[0, 1] > 0.9
        assert np.abs(speed - told).mean() < 0.4


def test_displacement_is_the_integral_of_velocity_turned_by_the_heading(fixes):
    task = tasks.load("quadrotor-displacement", DATA)
    for recording in task.recordings("test"):
        there = fixes.loc[("horizontal", int(recording.name.split()[1]))].set_index("time_s")
        now, later = there.loc[recording.times], there.loc[recording.target_times.round(1)]
        moved = (later["north_m"].to_numpy() - now["north_m"]) + 1j * (later["east_m"].to_numpy() - now["east_m"])
        turned = moved * np.exp(-1j * np.radians(now["heading_deg"]))
        np.testing.assert_allclose(recording.targets, np.stack([turned.values.real, turned.values.imag], 1), atol=1e-9)
        # Constant velocity is what the trivial predictor says.
        before = there.loc[(recording.times - 0.1).round(1)]
        speed = (now[["north_m", "east_m"]].to_numpy() - before[["north_m", "east_m"]].to_numpy()) / 0.1
        np.testing.assert_allclose(np.hypot(*speed.T), np.hypot(*recording.values[:, 8:].T), atol=1e-9)


@pytest.mark.parametrize("name", ["quadrotor-velocity", "quadrotor-displacement"])
def test_other_manoeuvres_are_in_test_alone(name):
    task = tasks.load(f"{name}-ood", DATA)
    manoeuvres = {split: {one.name.split()[0] for one in task.recordings(split)} for split in SPLITS}
    assert manoeuvres == {"train": {"horizontal"}, "validation": {"horizontal"}, "test": {"vertical", "straight"}}
    environments = {split: {one.environment for one in task.recordings(split)} for split in SPLITS}
    assert environments["train"] == {0, 1, 2, 3, 4} and not environments["train"] & environments["test"]
    assert len(task.recordings("test")) == 34


def test_each_horizontal_flight_is_in_test_once():
    task = tasks.load("quadrotor-velocity", DATA)
    tested = [one.name for fold in range(task.folds) for one in task.with_fold(fold).recordings("test")]
    assert sorted(tested) == sorted(f"horizontal {number}" for number in range(1, 28))
