"""Features that are weighted sums of the target's neighbours are named before any training."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from drawn import signal

ROWS = 420
Y = (40 + 9 * signal(1, ROWS)).round(2)
NOISE = signal(6, ROWS, keeps=0)


def hourly(y, feature):
    when = [datetime(2022, 5, 2) + timedelta(hours=row) for row in range(len(y))]
    return pl.DataFrame({"time": when, "wind": signal(99, len(y)).round(2), "f": feature, "y": y})


def weighted(y, weights):
    """A sum over as many rows on each side."""
    half = len(weights) // 2
    return np.convolve(np.pad(y, half, mode="edge"), weights[::-1], "valid")


def gaussian(deviation, half):
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / deviation) ** 2)
    return weights / weights.sum()


def exponential(y, share):
    means = y.copy()
    for row in range(1, len(y)):
        means[row] = share * y[row] + (1 - share) * means[row - 1]
    return means


def penalised(y, weight):
    """What Whittaker, Hodrick and Prescott smooth."""
    second = np.diff(np.eye(len(y)), 2, axis=0)
    return np.linalg.solve(np.eye(len(y)) + weight * second.T @ second, y)


TRIANGLE = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25
SAVITZKY = np.array([-21, 14, 39, 54, 59, 54, 39, 14, -21]) / 231
EARLIER = np.append(Y[:1], Y[:-1])

SMOOTHED = {
    "Gaussian": (weighted(Y, gaussian(4, 12)).round(1), "weighted sum"),
    "triangle": (weighted(Y, TRIANGLE).round(1), "from 4 rows before it to 4 rows after it"),
    "Savitzky and Golay": (weighted(Y, SAVITZKY).round(2), "from 4 rows before it to 4 rows after it"),
    "what smoothing leaves": ((Y - weighted(Y, TRIANGLE)).round(2), "weighted sum"),
    "centred difference": (np.gradient(Y).round(3), "from 1 row before it to 1 row after it"),
    "slope ahead": (((np.append(Y[3:], Y[-3:]) - Y) / 3).round(3), "from it to 3 rows after it"),
    "trailing triangle": (weighted(Y, np.array([1, 2, 3, 4, 0, 0, 0]) / 10).round(2), "from 3 rows before it to it"),
    "exponential": (exponential(Y, 0.1).round(2), "weighted mean of 'y' over its own row and those before it"),
    "from both sides": (
        exponential(exponential(Y, 0.2)[::-1], 0.2)[::-1].round(2),
        "over rows before and after its own",
    ),
    "penalised": (penalised(Y, 100), "over rows before and after its own"),
}


@pytest.mark.parametrize(("feature", "what"), SMOOTHED.values(), ids=SMOOTHED)
def test_a_weighted_sum_of_rows_around_is_suspected(warnings, feature, what):
    said = [line for line in warnings(hourly(Y, feature), kind="regression") if "weighted" in line]
    assert len(said) == 1 and "leak suspect: 'f' is a" in said[0] and what in said[0]


def driven(drive, keeps, gain, begin):
    """What a drive moves, without any noise."""
    values = np.full(len(drive), begin)
    for row in range(1, len(drive)):
        values[row] = keeps * values[row - 1] + gain * drive[row - 1]
    return values.round(2)


WALK = np.cumsum(NOISE).round(2)
CLEAN = {
    "lag": (Y, EARLIER),
    "noisy smooth": (Y, (weighted(Y, gaussian(4, 12)) + 0.3 * NOISE).round(1)),
    "noisy proxy": (Y, (Y + NOISE).round(1)),
    "past exponential": (Y, exponential(EARLIER, 0.2).round(2)),
    "past triangle": (Y, weighted(EARLIER, np.array([1, 2, 3, 4, 0, 0, 0]) / 10).round(2)),
    "past change": (Y, np.diff(EARLIER, prepend=Y[0]).round(2)),
    "two walks": (WALK, np.cumsum(signal(8, ROWS, keeps=0)).round(2)),
    "what heats": (driven(Y - 40, 0.9, 0.1, 20.0), Y),
    "what empties": (driven(Y - 40, 1.0, -0.02, 50.0), Y),
    "waves": ((20 + 5 * np.sin(np.arange(ROWS) / 4)).round(2), np.cos(np.arange(ROWS) / 4).round(2)),
}


@pytest.mark.parametrize(("y", "feature"), CLEAN.values(), ids=CLEAN)
def test_what_the_past_tells_or_noise_separates_is_no_weighted_sum(warnings, y, feature):
    assert not [line for line in warnings(hourly(y, feature), kind="regression") if "weighted" in line]


def test_what_holds_the_present_is_known_in_a_forecast(warnings):
    trailing, centred = SMOOTHED["trailing triangle"][0], SMOOTHED["triangle"][0]
    assert not [line for line in warnings(hourly(Y, trailing), kind="forecast") if "weighted" in line]
    assert [line for line in warnings(hourly(Y, centred), kind="forecast") if "weighted" in line]
