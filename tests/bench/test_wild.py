"""Cells that are far from all others: wild ones that hide one another, lost signs, numbers that wrapped."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drawn import ROWS, frame_of, signal

from liquidbench.tasks import wild


def looked_at(numbers, codes=None):
    """What is said of a column of numbers, in the order of its rows."""
    rows = np.arange(len(numbers))
    meaning: Any = SimpleNamespace(row=rows, at="row {}".format)
    codes = np.zeros(len(numbers), dtype=np.int64) if codes is None else codes
    looks = (wild._wrapped, wild._turned, wild._wild)
    return [said for look in looks if (said := look(meaning, np.asarray(numbers, dtype=float), rows, codes))]


def spoilt(values, places, convert, decimals=2):
    values = values.copy()
    values[list(places)] = convert(values[list(places)])
    return values.round(decimals)


LEVEL = 40 + 3 * signal(21)
FEW = [17, 90, 91, 160, 233]
WILD = {
    "lost points": (FEW, lambda x: 100 * x, "a decimal point that was lost"),
    "three, a thousand times": (FEW[::2], lambda x: 1000 * x, "a decimal point that was lost"),
    "two": (FEW[:2], lambda x: 10 * x, "a decimal point that was lost"),
    "garbage": (FEW, lambda x: 1e7 * np.arange(1, len(x) + 1), ""),
    "on both sides": (FEW[:2], lambda x: np.array([-5e3, 4e3]), ""),
    "in the test part": ([ROWS - 40, ROWS - 9], lambda x: 100 * x, "a decimal point that was lost"),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("places", "convert", "why"), WILD.values(), ids=WILD)
@pytest.mark.parametrize("column", ["level", "y"])
def test_wild_cells_are_warned_of_though_they_hide_one_another(warnings, places, convert, why, column):
    values = spoilt(LEVEL, places, convert)
    frame = frame_of(**{"level": signal(22).round(3), "y": signal(23).round(3), column: values})
    (said,) = [warning for warning in warnings(frame) if "reaches" in warning]
    rest = np.delete(values, places)
    what = "target 'y'" if column == "y" else "'level'"
    assert said.startswith(f"{what} reaches {values[places[0]]:.4g} in line {places[0] + 2}")
    assert f"while all others are {rest.min():.4g} to {rest.max():.4g}: check for errors" in said
    assert (f", and {len(places) - 1} more row" in said) == (len(places) > 1)
    assert why in said


def test_wild_cells_of_a_forecast_are_warned_of_once(warnings):
    frame = frame_of(y=spoilt(LEVEL, FEW, lambda x: 100 * x))
    found = [warning for warning in warnings(frame, kind="forecast") if "reaches" in warning]
    assert len(found) == 1 and found[0].startswith("'y' reaches ")


def test_a_number_that_may_mean_that_there_is_no_value_is_warned_of_once(warnings):
    frame = frame_of(level=spoilt(LEVEL, FEW, lambda x: -999), y=signal(22).round(3))
    found = [warning for warning in warnings(frame) if "-999" in warning]
    assert len(found) == 1 and "stands apart" in found[0]


def states(draws, rows, on, off):
    """Whether a machine is on, by how long it is on and off on average."""
    found, now = [], False
    while len(found) < rows:
        found += [now] * draws.geometric(1 / (on if now else off))
        now = not now
    return np.array(found[:rows])


def smooth(draws, rows, keeps=0.9):
    values = draws.normal(size=rows)
    for row in range(1, rows):
        values[row] = keeps * values[row - 1] + np.sqrt(1 - keeps**2) * values[row]
    return values


REAL = {
    "normal": lambda g, n: g.normal(5, 2, n),
    "smooth": smooth,
    "random walk": lambda g, n: np.cumsum(g.normal(size=n)),
    "lognormal": lambda g, n: np.exp(g.normal(size=n)),
    "wide lognormal": lambda g, n: np.exp(1.5 * g.normal(size=n)),
    "exponential": lambda g, n: g.exponential(size=n),
    "Weibull": lambda g, n: g.weibull(0.5, n),
    "rain": lambda g, n: np.where(g.random(n) < 0.8, 0, g.gamma(0.5, 8, n)).round(1),
    "showers": lambda g, n: np.where(g.random(n) < 0.85, 0, np.exp(1 + 1.3 * g.normal(size=n))).round(1),
    "incomes": lambda g, n: 100 * (1 + g.pareto(1.5, n)),
    "prices": lambda g, n: np.exp(4 + np.cumsum(0.02 * g.standard_t(3, n))).round(2),
    "returns": lambda g, n: g.normal(size=n) * np.exp(0.8 * smooth(g, n, 0.97)),
    "Student's t": lambda g, n: g.standard_t(3, n),
    "rare counts": lambda g, n: g.poisson(0.1, n),
    "counts": lambda g, n: g.poisson(np.exp(3 + 0.5 * smooth(g, n))),
    "claims": lambda g, n: g.negative_binomial(0.5, 0.02, n),
    "motor": lambda g, n: np.where(states(g, n, 30, 60), 1450 + 10 * g.normal(size=n), 0).round(),
    "motor with noise": lambda g, n: np.where(states(g, n, 20, 60), 1450 + 10 * g.normal(size=n), g.random(n)).round(2),
    "floods": lambda g, n: 10 * np.exp(1.5 * smooth(g, n, 0.97)),
    "growth": lambda g, n: np.exp(np.linspace(0, 7, n) + 0.05 * smooth(g, n)),
    "sun": lambda g, n: np.maximum(0, np.sin(np.arange(n) / 4)) * g.normal(800, 100, n),
    "beats": lambda g, n: 0.05 * smooth(g, n) + np.exp(-(((np.arange(n) % 50 - 25) / 1.5) ** 2)),
    "monthly pay": lambda g, n: np.where(np.arange(n) % 30 == 0, 5000, np.abs(g.normal(30, 10, n))),
    "battery": lambda g, n: np.where(states(g, n, 40, 80), -10, 10) + 0.5 * g.normal(size=n),
    "black and white": lambda g, n: np.where(states(g, n, 9, 9), g.normal(243, 5, n), g.normal(12, 5, n)).clip(0, 255),
    "bytes": lambda g, n: g.integers(0, 256, n),
    "directions": lambda g, n: (60 * smooth(g, n, 0.95) % 360).round(),
    "levels of groups": lambda g, n: np.repeat(np.exp(1.5 * g.normal(size=n // 20)), 20) * g.normal(1, 0.02, n),
}


def test_real_columns_are_hardly_ever_warned_of():
    warned = [
        (name, rows, seed)
        for name, made in REAL.items()
        for rows in (40, 120, 400)
        for seed in range(12)
        if looked_at(np.round(made(np.random.default_rng([seed, rows]), rows), 6))
    ]
    assert len(warned) < 0.01 * len(REAL) * 3 * 12, warned


SIGNS = {
    "a block": (50 + 6 * signal(31), range(200, 260)),
    "single rows": (300 + 20 * signal(32, keeps=0), [40, 120, 310]),
    "positive among negative": (-(50 + 6 * signal(33)), range(90, 130)),
}


@pytest.mark.parametrize(("values", "places"), SIGNS.values(), ids=SIGNS)
def test_a_sign_that_is_turned_in_some_rows_is_warned_of(warnings, values, places):
    frame = frame_of(level=spoilt(values, places, np.negative), y=signal(22).round(3))
    (said,) = [warning for warning in warnings(frame) if "mirror image" in warning]
    way = "negative" if values[0] > 0 else "positive"
    assert said.startswith(f"'level' is {way} in {len(places)} rows, the first of them line {places[0] + 2}, and else")


def test_one_number_again_and_again_is_no_mirror_image():
    values = (20 + 3 * signal(36)).round(1)
    values[[40, 120, 310, 350]] = -17.8
    assert not [said for said in looked_at(values) if "mirror" in said]


def test_what_has_both_signs_is_right():
    # A block whose sizes leap, as those of a machine that runs the other way at its own speed.
    turned = np.where(np.arange(ROWS) // 30 % 7 == 3, -1, 1) * (50 + 6 * signal(34, keeps=0))
    for values in (signal(35), 5 + signal(35), turned):
        assert not looked_at(values.round(2))


def wrapped(values, end):
    return np.where(values < 0, values + end, values)


WRAPS = {
    "tenths of 16 bits": ((6 * signal(41) + 4).round(1), 6553.6),
    "seldom": ((3 * signal(42) + 7).round(1), 6553.6),
    "mostly negative": ((40 * signal(43) - 30).round(), 65536),
    "32 bits": ((500 * signal(44)).round(), 2**32),
    "a byte": ((8 * signal(45) + 6).round(), 256),
}


@pytest.mark.parametrize(("values", "end"), WRAPS.values(), ids=WRAPS)
def test_negative_numbers_that_wrapped_are_warned_of(warnings, values, end):
    frame = frame_of(level=wrapped(values, end), y=signal(22).round(3))
    (said,) = [warning for warning in warnings(frame) if "wrapped" in warning]
    below = values < 0
    assert (
        f" in {below.sum()} row{'s' if below.sum() > 1 else ''}, the first of them line {below.argmax() + 2}, " in said
    )
    assert said.endswith(f"subtract {end:.10g} from them")
    assert not [warning for warning in warnings(frame) if "reaches" in warning]


def test_counters_and_what_is_near_an_end_did_not_wrap():
    up = (65300 + np.cumsum(np.random.default_rng(5).integers(0, 4, ROWS))) % 65536
    dark = np.where(np.arange(ROWS) // 12 % 2, 5 + 4 * signal(46), 250 + 4 * signal(47)).round().clip(0, 255)
    for values in (up, dark):
        assert not [said for said in looked_at(values) if "wrapped" in said]


@pytest.mark.parametrize("count", [1, 12])
def test_numbers_that_were_exchanged_between_two_columns_are_warned_of(warnings, count):
    warm, damp = (20 + 0.7 * signal(61)).round(2), (55 + 2 * signal(62)).round(2)
    odd = np.random.default_rng(count).permutation(ROWS)[:count]
    warm[odd], damp[odd] = damp[odd], warm[odd]
    frame = frame_of(warm=warm, damp=damp, y=signal(63).round(3))
    (said,) = [line for line in warnings(frame) if "exchanged" in line]
    assert said.startswith(f"the numbers of 'warm' and 'damp' are exchanged in {count} row")
    assert f"the first of them line {odd.min() + 2}:" in said
    # A valve that opens moves both, but not to each other's numbers.
    open_ = np.isin(np.arange(ROWS), odd)
    both = frame_of(flow=np.where(open_, 90, 20) + signal(61), p=np.where(open_, 2, 8) + 0.1 * signal(62), y=signal(63))
    assert not any("exchanged" in line for line in warnings(both))
    # Nor does a short dip of one with a rise of the other, which the rows beside it lead to.
    dip = np.exp(-(((np.arange(ROWS) - 100) / 3) ** 2))
    smooth = frame_of(hr=85 + 0.3 * signal(61) - 33 * dip, map=75 + 0.3 * signal(62) + 22 * dip, y=signal(63))
    assert not any("exchanged" in line for line in warnings(smooth))
