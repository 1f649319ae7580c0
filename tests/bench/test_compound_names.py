"""Names of recordings that contain the names of whom they are of."""

import polars as pl
import pytest

from liquidbench.tasks.compound_names import shared_part

SHARED = {
    "a word between": ([f"{who}_jump_{trial}" for who in ("AB3", "CD4", "EF5", "GH6") for trial in (1, 2)], "AB3"),
    "a path": ([f"raw/p-{who}/s-{run}/log.csv" for who in range(10, 15) for run in range(3)], "10"),
    "a trial first": ([f"trial{run}_horse{who}" for run in range(5) for who in range(4)], "horse0"),
    "names of people": ([f"{who}-{run}" for who in ("anna", "bo", "cleo") for run in range(4)], "anna"),
    "figures alone": ([f"{who}{run:02d}" for who in range(4, 9) for run in range(1, 4)], "4"),
    "capitals": ([f"P{who:02d}T{run}" for who in range(7) for run in range(2)], "P00"),
    "dates and subjects": ([f"2021-03-{day:02d}_P{who:02d}" for day in (4, 11, 18) for who in range(5)], "P00"),
    "dates without marks": ([f"rec_202103{day:02d}_B{who}" for day in (4, 11, 18) for who in range(5)], "B0"),
    "initials": ([f"{who}{run}" for who in ("AM", "KB", "LS") for run in (1, 2, 3)], "AM"),
    "copies": ([f"rec{who}{end}" for who in range(12, 20) for end in ("", "-rot90", "-mirror")], "rec12"),
    "copies of files": ([f"a/{who:03d}{end}.npy" for who in range(8) for end in ("", "_noise2")], "a/000"),
    "copies of some": ([f"{who}" for who in range(30, 50)] + [f"{who}aug" for who in range(30, 34)], "30"),
    "copies with spaces": ([f"Vp {who}{end}" for who in "abcdef" for end in ("", " (gespiegelt)")], "Vp a"),
    "one that is shorter": ([f"K{who}.{run}" for who in range(9) for run in range(3)] + ["K1"], "K0"),
}


@pytest.mark.parametrize("case", SHARED)
def test_the_part_that_several_names_share_is_found(case):
    names, first = SHARED[case]
    shared = shared_part(pl.Series(names * 3))
    assert shared is not None and shared.names == len(names)
    parts = pl.Series(names).str.extract(shared.pattern)
    assert parts[0] == first and 3 <= parts.drop_nulls().n_unique() < len(names)
    one, other = pl.Series([shared.first, shared.second]).str.extract(shared.pattern)
    assert one == other and shared.first != shared.second


@pytest.mark.parametrize(
    "names",
    [
        [f"pump-{number}" for number in range(12)],
        [f"2024-0{month}-{day:02d}" for month in range(1, 5) for day in range(1, 9)],
        [f"week_2024_{week:02d}" for week in range(1, 30)],
        [str(number) for number in range(101, 125)],
        ["Nevada", "New York", "New Jersey", "Ohio", "South Dakota", "North Dakota"],
        ["a", "b", "c"],
        [f"s{number:x}f{number * 7 % 31}" for number in range(31)],
        ["North", "North-East", "South", "South-West", "East", "West", "Main Street", "Main Street 2"],
        ["pump", "pump2", "pump3", "valve", "valve2", "fan"],
    ],
    ids=["one part", "dates", "weeks", "numbers that go on", "words", "letters", "codes", "places", "things"],
)
def test_names_that_share_no_part(names):
    assert shared_part(pl.Series(names)) is None
