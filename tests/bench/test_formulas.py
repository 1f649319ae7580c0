"""Columns that the target is computed from are named, up to what rounding leaves of the formula, and no others."""

import numpy as np
import polars as pl
import pytest
from drawn import frame_of, signal

from liquidbench.tasks.formulas import factors_in_turn, formula

ROWS = 360


def around(level, share, seed, digits):
    """Positive amounts around a level, in so many digits."""
    return np.round(level * np.exp(share * signal(seed, ROWS)), digits)


def choice(values, seed):
    return np.random.default_rng(seed).choice(values, ROWS)


def drawn(seed, deviation=1.0):
    return deviation * np.random.default_rng(seed).normal(size=ROWS)


def formula_of(y, columns, lacking=0.02):
    """What is said of a table with two more columns, of which some rows lack something, and of which columns."""
    columns = {"room": (20 + 3 * signal(91, ROWS)).round(1), **columns, "share": drawn(92).round(2)}
    table = np.stack([np.asarray(column, dtype=float) for column in columns.values()], axis=1)
    table[np.random.default_rng(93).random(table.shape) < lacking] = np.nan
    told = formula(list(columns), table, "y", y, past=tells_itself_of(y))
    how, places = told or ("", [])
    return how, {list(columns)[place] for place in places}


def tells_itself_of(y):
    """How well values before tell a series."""
    return abs(np.corrcoef(y[1:], y[:-1])[0, 1])


FLOW, RISE = around(2.4, 0.4, 1, 2), around(11.0, 0.3, 2, 1)
MASS, SPEED = around(1400, 0.2, 3, 0), around(17.0, 0.4, 4, 1)
WIDTH, LENGTH, DEPTH = around(84, 0.3, 5, 0), around(130, 0.2, 6, 0), around(31, 0.3, 7, 0)
PLAYS, FEE, REBATE = choice(np.arange(1, 30), 8), choice([0.5, 1.25, 3.2, 9.9], 9), choice([0, 0, 5, 12.5, 40], 10)
COST = around(40, 0.3, 11, 2)
PRICE = np.round(COST * np.random.default_rng(12).uniform(1.1, 2, ROWS), 2)
TORQUE, TURNS = np.round(60 * signal(13, ROWS), 1), around(1500, 0.2, 14, 0)
FORMULAS = {
    "heat": (1.163 * FLOW * RISE, 2, {"flow": FLOW, "rise": RISE}, "'flow' * 'rise'"),
    "energy": (MASS * SPEED**2 / 2000, 1, {"mass": MASS, "speed": SPEED}, "'speed'^2"),
    "a box": (WIDTH * LENGTH * DEPTH / 1e6, 3, {"w": WIDTH, "l": LENGTH, "d": DEPTH}, "'w'"),
    "slenderness": (1e3 * DEPTH / WIDTH**2, 1, {"depth": DEPTH, "width": WIDTH}, "'depth' / 'width'^2"),
    "skin": (np.sqrt(LENGTH * DEPTH / 3600), 2, {"height": LENGTH, "mass": DEPTH}, "'mass'^0.5"),
    "royalties": (
        PLAYS * FEE * (1 - REBATE / 100),
        2,
        {"plays": PLAYS, "fee": FEE, "rebate": REBATE},
        "(100 - 'rebate')",
    ),
    "gross": (
        COST * (1 + choice([0.0, 0.07, 0.19], 15)),
        2,
        {"net": COST, "vat": choice([0.0, 0.07, 0.19], 15)},
        "(1 + ",
    ),
    "margin": (1 - COST / PRICE, 3, {"cost": COST, "price": PRICE}, "(1 - 'y') is in proportion to 'cost' / 'price'"),
    "shaft": (TORQUE * TURNS / 9549, 2, {"torque": TORQUE, "turns": TURNS}, "'torque' * 'turns'"),
    "heating": (0.47 * TORQUE**2, 0, {"current": TORQUE}, "in proportion to 'current'^2"),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_a_formula_is_told_in_the_digits_that_its_columns_are_given_in(case):
    y, digits, columns, said = FORMULAS[case]
    # A few rows are corrected by hand.
    how, of = formula_of(np.where(np.arange(ROWS) % 61 == 7, 1.3 * y, y).round(digits), columns)
    assert said in how and of == set(columns)


def test_a_total_of_parts_of_which_each_is_rounded_is_told():
    parts = {"a": 40 + drawn(17, 20), "b": 90 + drawn(18, 30), "c": 200 + drawn(19, 50)}
    how, of = formula_of(
        np.sum(list(parts.values()), axis=0).round(), {name: part.round() for name, part in parts.items()}
    )
    assert "a sum or a difference" in how and of == set(parts)


SAME = 18 + 4 * signal(21, ROWS)
TREND = np.arange(ROWS) / 40
CLEAN = {
    "parts of a like weight": (PLAYS * FEE * (1 + drawn(31, 0.02)), 2, {"parts": PLAYS, "weight": FEE}),
    "a resistor that warms up": (FLOW * RISE * (1 + drawn(32, 0.01)), 3, {"current": FLOW, "voltage": RISE}),
    "three thermometers": (SAME + drawn(33, 0.4), 1, {f"t{at}": (SAME + drawn(at, 0.4)).round(1) for at in (34, 35)}),
    "in whole degrees": (SAME + drawn(33, 0.5), 0, {f"t{at}": (SAME + drawn(at, 0.5)).round() for at in (34, 35)}),
    "all that grows": (
        np.exp(0.3 * TREND + drawn(36, 0.02)),
        2,
        {
            "one": np.exp(0.1 * TREND + drawn(37, 0.02)).round(2),
            "other": np.exp(0.2 * TREND + drawn(38, 0.02)).round(2),
        },
    ),
    "slow curves": (
        20 + 4 * np.sin(TREND),
        1,
        {"a": (30 + 4 * np.sin(TREND + 1)).round(1), "b": (9 + 3 * np.cos(TREND / 2)).round(1)},
    ),
    "sold of those who come": (
        np.random.default_rng(39).binomial(PLAYS.astype(int), 0.6),
        0,
        {"come": PLAYS, "fee": FEE, "rebate": REBATE},
    ),
    "a noisy total of parts": (
        WIDTH + LENGTH + drawn(40, 4.0),
        0,
        {"a": WIDTH, "b": LENGTH},
    ),
}


@pytest.mark.parametrize("case", CLEAN)
def test_what_is_in_proportion_but_for_noise_is_no_formula(case):
    y, digits, columns = CLEAN[case]
    assert formula_of(np.round(y, digits), columns) == ("", set())


def test_a_formula_is_sought_among_many_columns():
    draws = np.random.default_rng(50)
    others = {f"x{at}": (50 + 9 * draws.normal(size=ROWS)).round(1) for at in range(25)}
    measured = {"volts": around(230, 0.01, 51, 1), "amps": RISE, "pf": np.round(1 - 0.1 * draws.random(ROWS), 3)}
    y = np.prod(list(measured.values()), axis=0) / 1000
    _, of = formula_of(y.round(3), {**others, **measured}, lacking=0.01)
    assert of == set(measured)


def test_a_formula_is_warned_of_with_what_to_do(warnings):
    frame = frame_of(room=signal(91, ROWS).round(1), kg=DEPTH, cm=LENGTH, y=(1e4 * DEPTH / LENGTH**2).round(1))
    (warning,) = [line for line in warnings(frame, kind="regression") if "leak" in line]
    assert (
        "('kg', 'cm') tell 'y' almost exactly, as a product or a quotient of them: 'y' is in proportion to 'kg'"
        in warning
    )


@pytest.mark.parametrize(("digits", "noise", "named"), [(0, 0, True), (1, 0, True), (1, 0.2, False)])
def test_a_register_adds_up_its_rows_though_it_is_read_coarsely(warnings, digits, noise, named):
    used = np.round(0.8 + 0.5 * np.abs(signal(61, 1500)), 3)
    read = (5210 + np.cumsum(used * (1 + noise * signal(62, 1500)))).round(digits)
    said = warnings(frame_of(outdoor=signal(63, 1500).round(1), register=read, y=used), kind="regression")
    assert any("'register' adds up 'y'" in line for line in said) == named


def test_a_set_point_that_seldom_leaps_adds_up_no_small_numbers(warnings):
    steps = np.repeat(np.random.default_rng(64).integers(15, 25, 15), 24).astype(float)
    frame = frame_of(outdoor=signal(65, ROWS).round(1), set_point=steps, y=(0.05 * signal(66, ROWS)).round(2))
    assert not any("leak" in line for line in warnings(frame, kind="regression"))


def test_what_all_columns_of_a_station_share_while_it_is_off_is_no_leak(warnings):
    height, period = (3 + signal(71, ROWS)).round(2), (8 + signal(72, ROWS)).round(2)
    off = np.arange(ROWS) % 13 == 5
    frame = frame_of(wind=signal(73, ROWS).round(1), period=np.where(off, 99.0, period), y=np.where(off, 99.0, height))
    said = warnings(frame, kind="regression")
    assert any("99 stands apart" in line for line in said) and not any("leak" in line for line in said)
    copied = frame.with_columns(copy=pl.col("y") * 3.281)
    assert any("leak suspect: 'copy'" in line for line in warnings(copied, kind="regression"))


def test_identifiers_longer_than_floats_keep_have_no_code_for_missing(warnings):
    card = np.where(np.arange(ROWS) % 9 == 0, 8.90198e18, 8.9027e18 + 1e13 * np.arange(ROWS))
    said = warnings(frame_of(x=signal(1, ROWS).round(2), meter=card, y=signal(2, ROWS).round(2)), kind="regression")
    assert not any("--missing meter" in line for line in said)
    filled = np.where(np.arange(ROWS) % 9 == 0, 1e20, signal(3, ROWS).round(2))
    said = warnings(frame_of(x=signal(1, ROWS).round(2), level=filled, y=signal(2, ROWS).round(2)), kind="regression")
    assert any("--missing level=1e+20" in line for line in said)


HOURS = np.arange(ROWS)
RISEN = np.where(HOURS < 200, 0.31, 0.38)
SOLD = np.random.default_rng(14).integers(20, 400, ROWS).astype(float)
MONTHLY = np.exp(np.repeat(0.4 * signal(15, 16, 0), 60))
USED = np.random.default_rng(27).uniform(0.5, 9, len(MONTHLY)).round(2)
IN_TURN = {
    "a tariff that was raised": ((FLOW * RISEN).round(2), FLOW, [0.38, 0.31]),
    "and is lower by night": (
        (FLOW * RISEN * np.where(HOURS % 24 < 10, 0.7, 1)).round(3),
        FLOW,
        [0.38, 0.31, 0.266, 0.217],
    ),
    "three classes of tickets": (SOLD * choice([4.5, 9.9, 12.0], 16), SOLD, [9.9, 4.5, 12.0]),
    "a new price each month": ((USED * MONTHLY).round(3), USED, MONTHLY[::60]),
    "losses": (-1.05 * FLOW * np.where(HOURS < 90, 1, 1.2), FLOW, [-1.26, -1.05]),
}


@pytest.mark.parametrize("case", IN_TURN)
def test_factors_that_take_turns_or_last_are_told(case):
    numbers, targets, factors = IN_TURN[case]
    found = factors_in_turn(np.where(np.arange(len(numbers)) % 97 == 5, np.nan, numbers), targets)
    assert sorted(found) == pytest.approx(sorted(factors), rel=0.01)
    assert len(factors_in_turn(targets, numbers)) == len(factors)


NOT_IN_TURN = {
    "one factor": ((0.31 * FLOW).round(2), FLOW),
    "a proxy before and after": ((FLOW * RISEN * np.exp(0.05 * drawn(17))).round(2), FLOW),
    "a rate that drifts": ((FLOW * np.exp(0.1 * signal(18, ROWS, 0.99))).round(3), FLOW),
    "a rate that goes by day": ((FLOW * np.repeat(np.exp(np.cumsum(0.01 * drawn(19)[:15])), 24)).round(2), FLOW),
    "set points": (choice([20, 25, 30], 20), (1013 + 5 * signal(21, ROWS)).round(1)),
    "ratings": (choice(np.arange(1, 6), 22), choice(np.arange(1, 6), 23)),
    "doses": (choice(2.0 ** np.arange(6), 24), choice(2.0 ** np.arange(6), 25)),
    "staff by beds": (np.ceil(SOLD / 50), SOLD),
    "two signals": (WIDTH, LENGTH),
}


@pytest.mark.parametrize("case", NOT_IN_TURN)
def test_other_ratios_are_no_factors_in_turn(case):
    numbers, targets = NOT_IN_TURN[case]
    assert not factors_in_turn(np.asarray(numbers, dtype=float), np.asarray(targets, dtype=float))


def test_a_cost_whose_tariff_was_raised_is_a_suspect(warnings):
    cost = (FLOW * RISEN).round(2)
    for target, other in (("cost", "used"), ("used", "cost")):
        (warning,) = [said for said in warnings(frame_of(cost=cost, used=FLOW, x=drawn(26)), target) if "leak" in said]
        assert warning.startswith(f"leak suspect: {other!r} is {target!r} times one of 2 factors (")
