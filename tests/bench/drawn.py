"""Signals that are drawn from a seed, and tables of them."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

ROWS = 420
START = datetime(2023, 3, 2)


def signal(seed, rows=ROWS, keeps=0.9):
    """An autoregression of deviation 1."""
    draws = np.random.default_rng(seed).normal(size=rows)
    values = np.zeros(rows)
    for row in range(1, rows):
        values[row] = keeps * values[row - 1] + np.sqrt(1 - keeps**2) * draws[row]
    return values


def beside_noise(columns, seed=0):
    """A table with these columns and two of noise."""
    rows = len(next(iter(columns.values())))
    draws = np.random.default_rng(seed).normal(size=(2, rows))
    return pl.DataFrame({**columns, "x": draws[0], "y": draws[1]})


def frame_of(**columns):
    rows = len(next(iter(columns.values())))
    when = [START + timedelta(minutes=15 * row) for row in range(rows)]
    return pl.DataFrame({"time": when, **columns})
