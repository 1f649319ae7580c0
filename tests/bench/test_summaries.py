"""Rows that sum up others, by their names, their numbers, or within groups."""

import numpy as np
import polars as pl
import pytest

from liquidbench.tasks import summaries, words

ROWS = 150
STATISTICS = {
    "sum": lambda column: column.sum(),
    "mean": lambda column: column.mean(),
    "median": lambda column: column.median(),
    "standard deviation": lambda column: column.std(),
    "standard deviation (n)": lambda column: column.std(ddof=0),
}


def measured(seed=0, rows=ROWS):
    draws = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": (40 + 9 * draws.normal(size=rows)).round(1),
            "z": (7 + draws.normal(size=rows)).round(3),
            "y": (9 + draws.normal(size=rows)).round(2),
        }
    )


def row_of(frame, statistic, decimals=2):
    return frame.select(pl.Series(name, [round(float(statistic(frame[name])), decimals)]) for name in frame.columns)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", STATISTICS)
@pytest.mark.parametrize("decimals", [1, 6])
def test_a_row_with_a_statistic_of_all_others_is_left_out(warnings, kind, decimals):
    frame = measured()
    row = row_of(frame, STATISTICS[kind], decimals)
    (found,) = [line for line in warnings(pl.concat([frame, row])) if "of all other rows" in line]
    expected = kind if decimals > 1 else kind.removesuffix(" (n)")
    assert found.startswith(f"line {ROWS + 2} holds the {expected}") and found.endswith("left out")
    (found,) = [line for line in warnings(pl.concat([row, frame])) if "of all other rows" in line]
    assert found.startswith("line 2 holds the ")
    # Nor is one that is near, or holds a statistic of one column only.
    for other in (row * 1.02, row.with_columns(x=35.5, z=6.4)):
        assert not any("of all other rows" in line for line in warnings(pl.concat([frame, other])))


def test_several_rows_of_statistics_are_left_out_together():
    frame = measured()
    rows = [row_of(frame, statistic, 3) for statistic in (pl.Series.min, pl.Series.max, pl.Series.mean, pl.Series.std)]
    assert summaries.unnamed(pl.concat([frame, *rows])) == (0, 4, "minimum")


def test_rising_numbers_end_in_no_summary():
    frame = pl.DataFrame({"x": np.arange(50) * 1.5, "z": np.arange(50) ** 1.5, "y": np.arange(50.0)})
    assert summaries.unnamed(frame) == summaries.unnamed(frame.reverse()) == (0, 0, "")
    for seed in range(60):
        assert summaries.unnamed(measured(seed, rows=40)) == (0, 0, "")
    # An offset leaves as little to chance.
    for seed in range(20):
        assert summaries.unnamed(measured(seed, rows=40) + 1e9) == (0, 0, "")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("word", ["Mean", "Mittelwert", "Std. dev.", "USL", "max", "Grand total", "lower spec limit"])
@pytest.mark.parametrize("column", ["no", "when"])
def test_a_row_with_the_name_of_a_statistic_is_left_out(warnings, word, column):
    frame = measured()
    first = [
        f"2024-03-{1 + row // 24:02d} {row % 24:02d}:00" if column == "when" else str(row + 1) for row in range(ROWS)
    ]
    frame = frame.select(pl.Series(column, first), *frame.columns)
    odd = pl.DataFrame({column: [word], "x": [61.2], "z": [0.5], "y": [3.0]})
    for place in (0, ROWS):
        found = warnings(pl.concat([frame[:place], odd, frame[place:]]))
        assert f"rows named as what sums up others are left out: {word!r} in line {place + 2}" in found


def test_words_among_words_are_values(warnings):
    assert not any(
        "sums up" in line for line in warnings(measured().with_columns(pen=pl.Series(["Max", "Ida", "Mean"] * 50)))
    )
    assert not words.is_statistic("mean-field") and not words.is_statistic("Maxim") and not words.is_statistic("Q1")


def test_the_last_row_of_each_group_may_be_a_mean_of_the_others(warnings):
    parts = [measured(seed, rows=20) for seed in range(6)]
    with_means = [pl.concat([part, row_of(part, pl.Series.mean)]) for part in parts]
    said = "the last row of each 'subject' holds the mean of its other rows"
    for these, expected in ((with_means, 1), (parts, 0)):
        rows = len(these[0])
        frame = pl.concat(these).select(
            pl.Series("subject", np.repeat([f"p{k}" for k in range(6)], rows)), "x", "z", "y"
        )
        assert sum(line.startswith(said) for line in warnings(frame)) == expected


def mostly_zero(seed, rows=ROWS):
    draws = np.random.default_rng(seed)
    rain = np.maximum(0, draws.normal(-1.1, 1, rows)).round(1)
    flow = np.maximum(0, draws.normal(-0.9, 1, rows)).round(2)
    rain[[0, 1, -2, -1]] = flow[[0, 1, -2, -1]] = 0
    return pl.DataFrame({"rain": rain, "y": flow})


def hours(rows=ROWS):
    return pl.Series("when", [f"2024-03-{1 + row // 24:02d} {row % 24:02d}:00" for row in range(rows)])


def test_rows_of_zeros_among_many_are_no_median(warnings):
    for seed in range(8):
        assert summaries.unnamed(mostly_zero(seed)) == (0, 0, "")
    frame = mostly_zero(seed=8)
    for timed in (frame, frame.select(hours(), "rain", "y"), frame.select(hours().reverse(), "rain", "y")):
        assert not any("of all other rows" in line for line in warnings(timed, kind="regression"))
    # A mean of numbers that are mostly 0 is none of them.
    assert summaries.unnamed(pl.concat([frame, row_of(frame, pl.Series.mean)])) == (0, 1, "mean")


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("name", ["when", "sample", "site", "raining"])
def test_a_row_that_is_named_as_the_others_are_is_no_summary(place, name):
    frame = measured()
    row = row_of(frame, pl.Series.median, 3)
    labels = {
        "when": hours(ROWS + 1).str.to_datetime(),
        "sample": [f"R{row:03d}" for row in range(ROWS + 1)],
        "site": [("north", "south", "west")[row % 3] for row in range(ROWS + 1)],
        "raining": [row % 3 == 0 for row in range(ROWS + 1)],
    }[name]
    parts = [frame, row] if place == "last" else [row, frame]
    whole = pl.concat(parts)
    found = (0, 1, "median") if place == "last" else (1, 0, "median")
    assert summaries.unnamed(whole) == found
    assert summaries.unnamed(whole.with_columns(pl.Series(name, labels))) == (0, 0, "")
    # One without its name, among others that have theirs, or one with a name of its own.
    at = ROWS if place == "last" else 0
    emptied = pl.Series(name, list(labels))
    emptied[at] = None
    assert summaries.unnamed(whole.with_columns(emptied)) == found
    if name in ("sample", "site"):
        emptied[at] = "Total"
        assert summaries.unnamed(whole.with_columns(emptied)) == found


def test_whole_numbers_near_the_median_are_measured(warnings):
    for seed in range(8):
        draws = np.random.default_rng(seed)
        frame = pl.DataFrame({name: draws.normal(level, 3, ROWS).round() for name, level in (("x", 75), ("y", 16))})
        whole = pl.concat([frame.select(pl.all().median().round()), frame])
        assert summaries.unnamed(whole) == (0, 0, "")
        assert not any(
            "of all other rows" in line for line in warnings(whole.select(hours(ROWS + 1), "x", "y"), kind="regression")
        )


def test_the_last_row_of_each_day_is_no_median_where_nights_are_dark(warnings):
    days = [
        pl.DataFrame(
            {
                "day": f"d{day}",
                "light": [max(0.0, round(9 * np.sin((hour - 6) / 12 * np.pi) + day / 7, 2)) for hour in range(24)],
                "y": [max(0.0, round(4 * np.sin((hour - 6) / 12 * np.pi) - day / 9, 2)) for hour in range(24)],
            }
        )
        for day in range(6)
    ]
    assert not any("the last row of each" in line for line in warnings(pl.concat(days), group="day"))
