"""Ranks and copies of the target among rows that share something, and targets that go round, are named."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from drawn import frame_of, signal

RACES, STARTERS, HORSES = 60, 6, 18
DRAWS = np.random.default_rng(4)
ENTERED = np.concatenate([DRAWS.permutation(HORSES)[:STARTERS] for _ in range(RACES)])
RACE = np.repeat(np.arange(RACES), STARTERS)
SECONDS = (90 + 0.05 * ENTERED + DRAWS.normal(size=len(RACE))).round(2)


def ranked(how="min", descending=False):
    frame = pl.DataFrame({"race": RACE, "y": SECONDS})
    return frame.select(pl.col("y").rank(how, descending=descending).over("race"))["y"].to_numpy().astype(float)


def races(feature):
    """Races, of which each has a date and horses that come again."""
    return pl.DataFrame(
        {
            "race_id": [f"R{race:03}" for race in RACE],
            "race_date": [datetime(2022, 1, 1) + timedelta(days=6 * int(race)) for race in RACE],
            "horse": [f"H{horse:02}" for horse in ENTERED],
            "odds": DRAWS.random(len(RACE)).round(2),
            "f": feature,
            "y": SECONDS,
        }
    )


RANKS = {
    "place": (ranked(), "is the rank of 'y'"),
    "from the other end": (ranked("average", descending=True), "is the rank of 'y'"),
    "percentage": ((100 * ranked() / STARTERS).round(1), "is the rank of 'y', or a share of it"),
    "winner": ((ranked() == 1) * 1.0, "marks the row with the least 'y'"),
    "last": ((ranked(descending=True) == 1) * 1.0, "marks the row with the greatest 'y'"),
}


def within(said):
    marks = ("is the rank of", "marks the row", "copy on another scale, among")
    return [line for line in said if any(mark in line for mark in marks)]


@pytest.mark.parametrize(("feature", "what"), RANKS.values(), ids=RANKS)
def test_a_rank_within_a_race_is_suspected(warnings, feature, what):
    said = within(warnings(races(feature)))
    assert len(said) == 1 and what in said[0] and "'f'" in said[0] and "among the rows of one 'race_" in said[0]


def test_numbers_of_starters_and_ranks_of_guesses_are_no_ranks(warnings):
    gate = np.tile(np.arange(1.0, STARTERS + 1), RACES)
    assert not within(warnings(races(gate)))
    noisy = SECONDS + 0.5 * DRAWS.normal(size=len(SECONDS))
    guess = pl.DataFrame({"race": RACE, "y": noisy}).select(pl.col("y").rank().over("race"))["y"]
    assert not within(warnings(races(guess)))


PATIENTS, VISITS = 40, 7
PATIENT = np.repeat(np.arange(PATIENTS), VISITS)
FEMALE = (PATIENT * 7 % 3 == 0) * 1
LEVEL = 1.4 * np.exp(0.3 * signal(12, PATIENTS, keeps=0))[PATIENT]
CREATININE = (LEVEL * np.exp(0.12 * signal(13, len(PATIENT), keeps=0))).round(2)
AGE = 40 + PATIENT * 11 % 37


def visits(feature, y=CREATININE):
    return pl.DataFrame(
        {
            "patient": PATIENT + 500,
            "visit_day": np.tile(30 * np.arange(VISITS), PATIENTS),
            "sex": np.where(FEMALE == 1, "F", "M"),
            "sbp": (130 + 9 * signal(14, len(PATIENT))).round(0),
            "f": feature,
            "y": y,
        }
    )


def z_scores(y):
    frame = pl.DataFrame({"patient": PATIENT, "y": y})
    level, spread = pl.col("y").mean().over("patient"), pl.col("y").std().over("patient")
    return frame.select((pl.col("y") - level) / spread)["y"].to_numpy().round(2)


OF_GROUPS = {
    "a formula of what is known of each": (175 * CREATININE**-1.154 * AGE**-0.203 * (1 - 0.258 * FEMALE)).round(1),
    "deviations of each": z_scores(CREATININE),
    "a device of each": ((1.1 + 0.3 * np.sin(PATIENT)) * CREATININE + np.cos(PATIENT)).round(3),
    "a unit by sex": np.where(FEMALE == 1, 9 / 5 * CREATININE + 32, 88.4 * CREATININE).round(3),
}


@pytest.mark.parametrize("feature", OF_GROUPS.values(), ids=OF_GROUPS)
def test_a_copy_on_a_scale_of_each_group_is_suspected(warnings, feature):
    said = within(warnings(visits(feature)))
    assert len(said) == 1 and "'f' is the" in said[0] and "copy on another scale, among the rows of one '" in said[0]


GROWTH = 1 + np.tile(np.arange(VISITS), PATIENTS) + 0.3 * np.sin(PATIENT)
NO_COPIES = {
    "a noisy proxy": ((CREATININE * (1 + 0.05 * signal(15, len(PATIENT), keeps=0))).round(2), CREATININE),
    "both grow": ((3 + GROWTH**1.5).round(2), (10 + 2 * GROWTH).round(2)),
    "the number of a visit": (np.tile(np.arange(1.0, VISITS + 1), PATIENTS), (10 + 2 * GROWTH).round(2)),
    "what belongs to each": (1.0 * AGE, CREATININE),
    "the visit before": (np.roll(CREATININE, 1), CREATININE),
}


@pytest.mark.parametrize(("feature", "y"), NO_COPIES.values(), ids=NO_COPIES)
def test_what_grows_along_or_follows_roughly_is_no_copy(warnings, feature, y):
    assert not within(warnings(visits(feature, y)))


def test_stations_whose_order_never_changes_have_no_rank(warnings):
    """The higher a station, the colder it is, at each time."""
    height = np.tile([100, 900, 1700, 2500], 100)
    frame = pl.DataFrame(
        {
            "station": np.tile(["A", "B", "C", "D"], 100),
            "time": [datetime(2022, 1, 1) + timedelta(hours=row // 4) for row in range(400)],
            "f": height + signal(21, 400, keeps=0).round(1),
            "y": (np.repeat(5 * signal(22, 100), 4) - height / 100 + 0.2 * signal(23, 400)).round(2),
        }
    )
    assert not within(warnings(frame))


def test_a_target_without_its_season_is_suspected(warnings):
    rows = 240
    when = [datetime(2000 + month // 12, month % 12 + 1, 1) for month in range(rows)]
    y = (100 + 20 * np.sin(np.arange(rows) * np.pi / 6) + 8 * signal(31, rows)).round(1)
    season = pl.DataFrame({"m": np.arange(rows) % 12, "y": y}).select(pl.col("y").mean().over("m"))["y"].to_numpy()
    frame = pl.DataFrame({"date": when, "rate": signal(32, rows).round(2), "f": (100 * y / season).round(1), "y": y})
    assert "month of the year" in within(warnings(frame))[0]


TURNED = np.cumsum(signal(41, keeps=0.5))
ANGLES = {
    "degrees": (np.rint(50 * TURNED) % 360, "0 to 360", "np.deg2rad(table['y'])"),
    "both ways": (((50 * TURNED + 180) % 360 - 180).round(1), "-180 to 180", "np.deg2rad(table['y'])"),
    "radians": ((0.8 * TURNED % (2 * np.pi)).round(3), "0 to 6.283", "np.sin(table['y'])"),
    "hours": ((3 * TURNED % 24).round(2), "0 to 24", "hours of the day"),
}


@pytest.mark.parametrize(("y", "span", "what"), ANGLES.values(), ids=ANGLES)
def test_a_target_that_goes_round_is_warned_of(warnings, y, span, what):
    said = [line for line in warnings(frame_of(x=signal(42), y=y)) if "go round" in line]
    assert len(said) == 1 and f"from one end of {span} to the other" in said[0] and what in said[0]


STRAIGHT = {
    "any number": np.random.default_rng(1).uniform(0, 360, 420).round(1),
    "on and off": np.where(signal(43, keeps=0.5) > 0, 352 + 3 * signal(44), 2.0).clip(0, 360).round(1),
    "a walk that stays": (180 + 60 * signal(45)).clip(0, 360).round(1),
    "south": (180 + 30 * signal(46)).round(0),
    "temperature": (12 + 5 * signal(47)).clip(0, 24).round(1),
    "rain since midnight": np.concatenate([np.cumsum(day) for day in np.abs(signal(48)).reshape(-1, 20)])
    .round(1)
    .clip(0, 24),
}


@pytest.mark.parametrize("y", STRAIGHT.values(), ids=STRAIGHT)
def test_numbers_that_leap_or_stay_within_a_turn_do_not_go_round(warnings, y):
    assert not [line for line in warnings(frame_of(x=signal(42), y=y)) if "go round" in line]
