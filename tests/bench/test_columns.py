"""Tables as spreadsheets, loggers and databases write them: read right, or refused with the line and the way out.

Where pandas reads a table too, told by its arguments what is found out here, the two must agree.
"""

import gzip
import io
import re
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

from liquidbench.tasks import columns, numerals, table, time_columns, words

START = datetime(2024, 3, 9, 22, 30)
ROWS = 60


def stamp(row, form="%Y-%m-%d %H:%M"):
    return (START + timedelta(minutes=15 * row)).strftime(form)


def level(row):
    return row * 37 % 101 / 4


def flow(row):
    return row * 53 % 97


def lines(form, head="", end="\n", rows=ROWS):
    return head + "".join(form(row) + end for row in range(rows))


def plain(separator=",", end="\n"):
    head = separator.join(["when", "level", "flow"]) + end
    return lines(lambda row: separator.join([stamp(row), str(level(row)), str(flow(row))]), head, end)


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, name="mine.csv", **asked):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return columns.read(path, **asked)

    return write_and_read


@pytest.fixture
def plan(tmp_path):
    def write_and_plan(content, target, **asked):
        path = tmp_path / "mine.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return table.complete({"table": str(path), "target": target, **asked})

    return write_and_plan


# One table in many forms

FORMS = {
    "as it is": plain(),
    "semicolons": plain(";"),
    "tabs": plain("\t"),
    "bars": plain("|"),
    "Hive": plain("\x01"),
    "carriage returns alone": plain(end="\r"),
    "line ends made twice": plain(end="\r\r\n"),
    "no line end at the end": plain().rstrip("\n"),
    "Excel's first line": "sep=;\r\n" + plain(";", "\r\n"),
    "Excel's first line after a mark": b"\xef\xbb\xbfsep=\t\r\n" + plain("\t", "\r\n").encode(),
    "Excel's first line, quoted and padded": '"sep=,",,\n' + plain(),
    "two marks of UTF-8": b"\xef\xbb\xbf\xef\xbb\xbf" + plain().encode(),
    "UTF-16": plain("\t").encode("utf-16"),
    "UTF-16 without a mark": plain("\t").encode("utf-16-be"),
    "UTF-32": plain().encode("utf-32"),
    "trailing separators": lines(lambda row: f"{stamp(row)},{level(row)},{flow(row)},", "when,level,flow\n"),
    "three trailing separators": lines(lambda row: f"{stamp(row)};{level(row)};{flow(row)};;;", "when;level;flow\n"),
    "trailing separators here and there": lines(
        lambda row: f"{stamp(row)},{level(row)},{flow(row)}{',' * (row % 3)}", "when,level,flow\n"
    ),
    "a trailing separator in all rows": lines(
        lambda row: f"{stamp(row)},{level(row)},{flow(row)},", "when,level,flow,\n"
    ),
    "a trailing separator in the names": plain().replace("flow\n", "flow,,\n"),
    "blanks around cells": lines(lambda row: f" {stamp(row)} , {level(row)} , {flow(row)} ", " when , level , flow \n"),
    "empty lines": plain().replace("\n", "\n\n"),
    "quoted": lines(lambda row: f'"{stamp(row)}","{level(row)}","{flow(row)}"', '"when","level","flow"\n'),
    "a title above": "Report of the plant\nMade on Sunday\n\n" + plain(),
    "a padded title above": "Report of the plant;;\nSite;North;\n;;\n" + plain(";"),
    "metadata above": "Station,Alpha\nLatitude,52.5\nLongitude,13.4\n" + plain(),
    "a hundred lines above": "".join(f"setting {n}: {n * n}\n" for n in range(100)) + plain(),
    "comments above": "# made by a logger\n# 2024\n" + plain(),
    "a comment in between": plain().replace(stamp(30), "# moved here\n" + stamp(30)),
    "names in the last comment": "# a logger\n# " + plain(),
    "names after a percent sign": "% " + plain(),
    "a row of units": plain().replace("flow\n", "flow\nUTC,degC,mm/h\n"),
    "units of some columns": plain().replace("flow\n", "flow\n,[m],\n"),
    "a ruler": plain("|").replace("flow\n", "flow\n----------------+-----+----\n"),
    "a footer of a database": plain() + f"\n({ROWS} rows affected)\n",
    "a last line that is cut off": plain() + stamp(ROWS)[:7],
    "names again in between": plain().replace(stamp(25), "when,level,flow\n" + stamp(25)),
    "Markdown": lines(
        lambda row: f"| {stamp(row)} | {level(row)} | {flow(row)} |", "| when | level | flow |\n|---|:---|---:|\n"
    ),
    "MySQL": "+--+--+--+\n"
    + lines(lambda row: f"| {stamp(row)} | {level(row)} | {flow(row)} |", "| when | level | flow |\n+--+--+--+\n")
    + "+--+--+--+\n60 rows in set (0.01 sec)\n",
    "NUL bytes behind": plain().encode() + b"\0" * 512,
    "decimal commas": lines(
        lambda row: f"{stamp(row)};{level(row):.2f};{flow(row)}".replace(".", ","), "when;level;flow\n"
    ),
    "decimal commas in quotation marks": lines(
        lambda row: f'{stamp(row)},"{level(row):.2f}",{flow(row)}'.replace(".", ","), "when,level,flow\n"
    ),
    "a minus that is a dash, and a unit": lines(
        lambda row: f"{stamp(row)},{level(row)} °C,{flow(row)}%", "when,level,flow\n"
    ),
    "a campbell logger": '"TOA5","CR6","CR6","1042","CR6.Std.07","CPU:a.CR6","4242","Min15"\n'
    '"when","level","flow"\n"TS","degC","mm"\n"","Avg","Tot"\n'
    + lines(lambda row: f'"{stamp(row)}",{level(row)},{flow(row)}'),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_table(read, form):
    found = read(FORMS[form])
    frame = found.frame
    assert frame.columns == ["when", "level", "flow"]
    times = time_columns.find(frame, found.at).frame["when"].to_list()
    assert times == [START + timedelta(minutes=15 * row) for row in range(ROWS)]
    assert frame["level"].to_list() == [level(row) for row in range(ROWS)]
    assert frame["flow"].to_list() == [flow(row) for row in range(ROWS)]


@pytest.mark.parametrize("form", FORMS)
def test_every_row_knows_its_line(read, form):
    content = FORMS[form]
    found = read(content)
    if isinstance(content, str) and "\r\r" not in content:
        text = re.split("\r\n|\r|\n", content)
        assert all(stamp(row) in text[found.lines[row] - 1] for row in range(ROWS))
        assert found.at(7) == f"line {found.lines[7]}"


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        (
            lines(lambda row: f"{row};{level(row) * 1000:,.2f};b".translate({44: 46, 46: 44}), "n;a;c\n"),
            {"decimal": ","},
        ),
        (lines(lambda row: f'{row},"{level(row) * 1000:,.1f}",b', "n,a,c\n"), {}),
        (
            lines(lambda row: f"{row:5d}   {level(row):9.3f}  {level(row) - 9:e}", "   n       a    c\n"),
            {"sep": r"\s+"},
        ),
        (lines(lambda row: f'"{row}" "x {row}" {level(row)}', '"n" "a" "c"\n'), {"sep": " "}),
        (lines(lambda row: f'{row},"say ""{row}"", or not",{level(row)}', "n,a,c\n"), {}),
        (lines(lambda row: f'{row},"two\nlines {row}",{level(row)}', "n,a,c\n"), {}),
        (lines(lambda row: f"{row},{'NA' if row % 7 == 3 else level(row)},{'' if row % 4 else 2.5}", "n,a,c\n"), {}),
        (lines(lambda row: f"{row},{level(row)},{['TRUE', 'FALSE'][row % 2]}", "n,a,c\n"), {}),
        (lines(lambda row: f"{row},{level(row)},{-row}e-3", "n,a,c\n"), {}),
    ],
)
def test_what_pandas_is_told_is_found_out(read, content, arguments):
    if arguments.get("sep") != r"\s+":
        arguments = {"sep": ";" if ";" in content else ",", **arguments}
    expected = pd.read_csv(
        io.StringIO(content),
        thousands={",": "."}.get(arguments.get("decimal"), ","),
        skipinitialspace=True,
        **arguments,
    )
    found = read(content).frame
    assert found.columns == list(expected.columns)
    for name in found.columns:
        if expected[name].dtype.kind in "fi":
            np.testing.assert_allclose(
                found[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), expected[name].to_numpy(), rtol=1e-15
            )
        else:
            assert found[name].to_list() == expected[name].to_list()


def test_a_hundred_random_tables_are_what_pandas_reads(read):
    draws = np.random.default_rng(11)
    for _ in range(100):
        separator, quoting = draws.choice([",", ";", "\t", "|"]), int(draws.integers(3))
        width, height = draws.integers(2, 6), draws.integers(2, 40)
        content = {}
        for column in range(width):
            values = [
                draws.normal(size=height).round(int(draws.integers(1, 8))),
                draws.integers(-50, 5000, size=height).astype(float),
                draws.choice(["north", 'a "b"', "x; y, z", "ü|t\tv"], size=height),
            ][int(draws.integers(3))]
            content[f"c{column} {draws.integers(9)}"] = values
        frame = pd.DataFrame(content)
        if width > 2:
            frame.iloc[draws.integers(height), 0] = np.nan if frame.iloc[:, 0].dtype.kind == "f" else None
        text = frame.to_csv(index=False, sep=separator, quoting=quoting)
        expected = pd.read_csv(io.StringIO(text), sep=separator)
        found = read(text).frame
        assert found.columns == list(expected.columns), text
        for name in found.columns:
            if expected[name].dtype.kind in "fi":
                cells = found[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
                np.testing.assert_allclose(cells, expected[name].to_numpy(), rtol=1e-15, err_msg=text)
            else:
                cells = found[name].to_list()
                assert cells == [None if pd.isna(cell) else cell for cell in expected[name]], text


def test_a_row_that_begins_like_a_comment_is_a_row(read):
    frame = read(lines(lambda row: f"{'#' if row % 9 == 4 else ''}{row},{level(row)}", "item,a\n")).frame
    assert frame.height == ROWS and frame["item"].to_list()[4] == "#4"


# What is said

SAID = {
    "Excel's padded title": (
        "Plant;;\nSite;North;\n" + plain(";"),
        "file: 2 lines before the names left out, the first of them line 1 (Plant;;); the names are in line 3",
    ),
    "units": (
        plain().replace("flow\n", "flow\nUTC,degC,mm/h\n"),
        "file: line 2 holds units, read as such ('when' in UTC, 'level' in degC, 'flow' in mm/h)",
    ),
    "trailing separators": (
        plain().replace("\n", ",\n").replace("flow,", "flow"),
        "file: each row ends in a separator with nothing behind it, which makes no column",
    ),
    "comments": (
        "# a\n#b\n" + plain(),
        "file: 2 lines beginning with '#' left out as comments, the first of them line 1",
    ),
    "thousands": (
        lines(lambda row: f"{row};{level(row):.1f};1.{row:03d}".replace(".", ",", 1), "n;a;b\n"),
        "file: 'b' is written with points between thousands ('1.000' is 1000)",
    ),
    "Windows": (
        lines(lambda row: f"{row},{level(row)}", "n,Preis €\n").encode("cp1252"),
        "file: not UTF-8 (line 1), so read as Windows-1252; look at names with accents",
    ),
    "row names": (
        lines(lambda row: f'"{row + 1}",{level(row)},{flow(row)}', '"level","flow"\n'),
        "file: rows have one cell more than the header, a count in quotation marks, so the first is taken for a "
        "row name",
    ),
    "a ruler in between": (
        plain().replace(stamp(25), "-----\n" + stamp(25)),
        "file: 1 ruler left out, the first of them line 27",
    ),
    "rulers of cells": (
        plain(";").replace("flow\n", "flow\n====;====;====\n").replace(stamp(25), '"--";"--";"--"\n' + stamp(25)),
        "file: 2 rulers left out, the first of them line 2",
    ),
    "a ruler below names": (
        plain().replace("flow\n", "flow\n---------------\n"),
        "file: 1 ruler left out, the first of them line 2",
    ),
    "bars": (
        "+---+---+---+\n" + plain("|").replace("flow\n", "flow\n---|---|---\n") + "+---+---+---+\n",
        "file: 3 rulers left out, the first of them line 1",
    ),
    "empty lines": (
        plain().replace(stamp(9), "\n" + stamp(9)),
        "file: 1 empty line left out, the first of them line 11",
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_was_found_out_is_said(read, case):
    content, words = SAID[case]
    found = read(content)
    assert words in found.remarks
    assert not found.warnings


WARNED = {
    "names again": (
        plain().replace(stamp(25), "when,level,flow\n" + stamp(25)),
        "the row of names comes again 1 time, first in line 27; left out",
    ),
    "names again, in quotation marks": (
        plain().replace(stamp(25), '"when","level","flow"\n' + stamp(25)),
        "the row of names comes again 1 time, first in line 27; left out",
    ),
    "names again, in another case": (
        plain().replace(stamp(25), "\n When , LEVEL,Flow,\n" + stamp(25)),
        "the row of names comes again 1 time, first in line 28; left out",
    ),
    "names again, behind a mark of the order of bytes": (
        plain().replace(stamp(25), "\ufeffwhen,level,flow\n" + stamp(25)),
        "the row of names comes again 1 time, first in line 27; left out",
    ),
    "names and units again": (
        plain()
        .replace("flow\n", "flow\nUTC,degC,mm/h\n")
        .replace(stamp(25), "when,level,flow\n---,---,---\nUTC,degC,mm/h\n" + stamp(25)),
        "the row of names comes again 1 time, first in line 28, with a row of units below; left out",
    ),
    "names of two rows": (
        lines(lambda row: f"{stamp(row)},{level(row)},{flow(row)}", ",level,flow\n,mean,last\n"),
        "line 2 (,mean,last) stands between the names and the first numbers and holds none; it is left out",
    ),
    "a footer": (
        plain() + "Total: 60\n",
        "line 62 at the end of the file has fewer cells than there are names; it is left",
    ),
    "cut off": (
        plain() + "2024-0",
        "line 62 at the end of the file has fewer cells than there are names; it is left out (20",
    ),
    "NUL bytes": (plain().encode() + b"\0\0", "the file ends in 2 NUL bytes, which are left out; it may be cut off"),
    "a bad byte": (
        ("ä,ö,ü\n" + lines(lambda row: f"ß,{row},{level(row)}")).encode().replace(b"59,", b"59\xff,"),
        "the file is UTF-8 but for a byte in line 61, read as '\ufffd'",
    ),
    "a line break": (
        plain().replace(f"{level(20)},{flow(20)}\n", f'"{level(20)}\n",{flow(20)}\n'),
        "a cell in quotation marks holds a line break, first from line 22 to 23",
    ),
    "more than units": (
        plain().replace("flow\n", "flow\nTicker,AAPL,MSFT\n"),
        "line 2 (Ticker,AAPL,MSFT) stands between the names and the first numbers and holds none; it is left out",
    ),
    "one bad cell": (
        plain().replace(f",{flow(40)}\n", ",stuck\n"),
        "'flow' holds no number in 1 cell of 60, read as missing: 'stuck' in line 42",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_deserves_a_look_is_a_warning(read, case):
    content, words = WARNED[case]
    found = read(content)
    assert [warning for warning in found.warnings if warning.startswith(words)], found.warnings
    assert found.frame.height == ROWS


WORDS = {
    "a sensor out of order": "ERR,ERR,ERR",
    "states that come again": "low,off,high\n5,6,7\nlow,on,high",
    "an event with its date": "2024-03-01,start,pump",
    "a summary": "mean,12.1,48",
    "a footer": "exported,by,plant",
    "a footer, filled up": "Note: mm,,\n5,6,7",
    "how values were made, below names": "n,level,flow\nSmp,Avg,Tot\n5,6,7",
    "settings": "operator,Meyer,\nplant,north,",
}


@pytest.mark.parametrize("case", WORDS)
def test_words_among_numbers_are_no_names_of_another_table(read, case):
    table = lines(lambda row: f"{row},{level(row)},{flow(row)}", "n,level,flow\n")
    assert ROWS <= read(table + WORDS[case] + "\n").frame.height <= ROWS + 3


def rated(odd, separator=",", decimal=".", rows=300):
    """A table of ratings from 1 to 5 beside decimals, with other cells in some rows."""
    cells = {row: odd[row] if row in odd else str(1 + row * 7 % 5) for row in range(rows)}
    head = separator.join(["n", "level", "rating"]) + "\n"
    return lines(
        lambda row: separator.join([str(row), f"{level(row):.2f}".replace(".", decimal), cells[row]]), head, rows=rows
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (rated({40: '"5,5"'}), "'rating' holds no number in 1 cell of 300, read as missing: '5,5' in line 42"),
        (
            rated({40: '"2,5"', 41: "x"}),
            "'rating' holds no number in 2 cells of 300, read as missing: '2,5' in line 42, 'x' in line 43",
        ),
        (
            rated({40: "2.5", 90: "3.5"}),
            "'rating' holds 5 distinct whole numbers, but a fraction in 2 cells of 300, read as missing: '2.5' in line "
            "42, '3.5' in line 92; --task regression",
        ),
        (
            rated({40: "2,5"}, ";", ","),
            "'rating' holds 5 distinct whole numbers, but a fraction in 1 cell of 300, read as missing: "
            "'2,5' in line 42",
        ),
        (
            rated({40: "2.5"}, ";", ","),
            "'rating' holds 5 distinct whole numbers, but a fraction in 1 cell of 300, read as missing: "
            "'2.5' in line 42",
        ),
    ],
)
def test_a_fraction_among_classes_is_missing_and_said(read, content, told):
    found = read(content, target="rating")
    assert found.warnings[0].startswith(told) and len(found.warnings) == 1
    assert not any("'rating'" in remark and "in 1 cell alone" not in remark for remark in found.remarks)
    assert found.frame["rating"].dtype == pl.Int64 and found.frame["rating"].null_count() == told.count(" in line ")


def test_fractions_that_are_no_slips_are_kept(read):
    halves = rated({row: "2.5" for row in range(0, 60, 10)})
    counts = rated({40: "2.5", 50: "17", 60: "17"})
    for content in (halves, counts, rated({40: "2.5"}, rows=60)):
        found = read(content, target="rating")
        assert found.frame["rating"].dtype == pl.Float64 and not found.warnings
    # Nor is anything lost where they are no classes.
    assert read(rated({40: "2.5"})).frame["rating"][40] == 2.5
    # Where no other column tells the mark, it is said for those cells alone.
    found = read(lines(lambda row: f"{row},{row % 5 if row != 7 else chr(34) + '2,5' + chr(34)}", "n,b\n", rows=200))
    assert "file: 'b' is written with decimal commas in 1 cell alone, such as '2,5'" in found.remarks
    assert found.frame["b"][7] == 2.5


@pytest.mark.parametrize("first", [4929 * 10**15, 1234567890123456000])
@pytest.mark.parametrize("step", [1, 10**6 + 1])
def test_identifiers_too_long_for_a_float_stay_text(read, tmp_path, first, step):
    cards = [first + 100 + step * (row // 12) for row in range(ROWS)]
    content = lines(lambda row: f"{cards[row]},{level(row)}", "card,level\n")
    path = tmp_path / "cards.parquet"
    pl.DataFrame({"card": cards, "level": [level(row) for row in range(ROWS)]}).write_parquet(path)
    for found in (read(content), columns.read(path)):
        assert found.frame["card"].to_list() == [str(card) for card in cards]
        assert "file: 'card' is read as text, since numbers would not keep" in found.remarks[0]


LONG = {
    "nanoseconds": lambda row: 1709000000000000000 + row // 3 * 100_000_007,
    "a counter": lambda row: 9007199254740993 + row,
    "amounts": lambda row: 10**18 + flow(row) * 987654321987 * (row + 1),
    "round amounts": lambda row: (1 + row % 7) * 10**18,
    "of several lengths": lambda row: 7 ** (20 + row % 3) + row % 2,
}


@pytest.mark.parametrize("case", LONG)
def test_long_numbers_that_are_no_identifiers_stay_numbers(read, case):
    name = "timestamp" if case == "nanoseconds" else "held"
    found = read(lines(lambda row: f"{LONG[case](row)},{level(row)}", f"{name},level\n"))
    assert found.frame[name].dtype == pl.Int64 and not found.remarks


# What is refused

REFUSED = {
    "names again in another order": (
        plain().replace(stamp(25), '"level",when,flow\n' + stamp(25)),
        "line 27 has the names of line 1 in another order, so that the values below it belong to other names",
    ),
    "names again in another order and case": (
        plain().replace(stamp(25), "Level,When,flow\n" + stamp(25)),
        "line 27 has the names of line 1 in another order, so that the values below it belong to other names",
    ),
    "names again above other units": (
        plain()
        .replace("flow\n", "flow\nUTC,degC,mm/h\n")
        .replace(stamp(25), "when,level,flow\nUTC,degF,mm/h\n" + stamp(25)),
        "line 29 gives the unit 'degF' where line 2 gives 'degC'",
    ),
    "a name too few": (
        lines(lambda row: f"{stamp(row)},{level(row)},1,{flow(row)}", "when,level,flow\n"),
        "line 2 has 4 cells, but line 1 has 3 names, so it is not plain which value belongs to which name. Each row is "
        "so. Add the name that is missing to line 1",
    ),
    "a name too few, beside a counter": (
        lines(lambda row: f"{row},{level(row)},1,{flow(row)}", "n,level,flow\n"),
        "line 2 has 4 cells, but line 1 has 3 names",
    ),
    "decimal commas and commas": (
        lines(lambda row: f"{row},{row},5,{flow(row)}", "n,level,flow\n"),
        "if commas are decimal marks too, save the table with semicolons between cells",
    ),
    "names too many": (
        lines(lambda row: f"{stamp(row)},{level(row)}", "when,level,flow\n"),
        "line 2 has 2 cells, but line 1 has 3 names, so it is not plain which value belongs to which name. Each row is "
        "so. Remove what names nothing from line 1",
    ),
    "a cell too few": (
        plain().replace(f"{stamp(30)},", f"{stamp(30)} "),
        "line 32 has 2 cells, but line 1 has 3 names, so it is not plain which value belongs to which name. Add what "
        "is missing, or remove the line (1 line of 60 has another number of cells)",
    ),
    "a cell too many": (
        plain().replace(f"{stamp(30)},", f"{stamp(30)},0,"),
        "line 32 has 4 cells, but line 1 has 3 names, so it is not plain which value belongs to which name. Quote "
        "cells that hold a ','",
    ),
    "blanks in dates": (
        plain(" "),
        "line 2 has 4 cells, but line 1 has 3 names, so it is not plain which value belongs to which name. Each row is "
        "so. Add the name that is missing to line 1; names and cells must hold no blanks, or be quoted",
    ),
    "a second table": (
        plain() + "\nevent,where\nstart,hall\nstop,hall\n",
        "line 63 has 2 cells, but line 1 has 3 names",
    ),
    "statistics under names of their own below": (
        lines(lambda row: f"{level(row)},{flow(row)}", "level,flow\n") + "mean,max\n" + "12.5,50\n" * 5,
        "line 62 (mean,max) holds words where the columns above hold numbers, as the names of another table do, with 5 "
        "rows below. If they are another table, cut the file before that line",
    ),
    "a table of places below": (
        lines(lambda row: f"S{row % 4},{level(row)},{flow(row)}", "site,level,flow\n")
        + "\nsite,plots,slope\n"
        + lines(lambda row: f"S{row},{row + 7},1.{row}", rows=4),
        "line 63 (site,plots,slope) holds words",
    ),
    "a narrower table below, filled up": (
        lines(lambda row: f"{level(row)};{flow(row)};S{row}", "level;flow;site\n") + ";;\ngain;bias;\n1;2,5;\n" * 2,
        "line 63 (gain;bias;) holds words",
    ),
    "what pandas says of columns below": (
        plain() + "\n,level,flow\ncount,60,60\nmean,12.1,48\nstd,7.3,28\n",
        "line 63 (,level,flow) holds words",
    ),
    "one column of decimal commas": (
        lines(lambda row: f"{row},5", "level\n"),
        "or read them as decimal marks with --decimal ,",
    ),
    "no names": (
        lines(lambda row: f"{stamp(row)},{level(row)}"),
        "the first row holds numbers (2024-03-09 22:30, 0.0) where",
    ),
    "no names, with classes": (
        lines(lambda row: f"{level(row)},{flow(row)},class-{row % 2}"),
        "the first row holds numbers (0.0, 0, class-0) where column names are expected; put a row of names on top",
    ),
    "NUL bytes": (plain().encode().replace(b"22:45", b"\0\0\0\0\0"), "line 3 holds a NUL byte, which text has none of"),
    "an open quotation mark": (
        plain().replace(stamp(12), '"' + stamp(12)),
        "a cell that begins in line 14 has no end, so the file cannot be read as a table; is a quotation mark left "
        "open?",
    ),
    "a giant cell": (f"n,a\n1,{'x' * 200_000}\n2,b\n", "line 2 holds a cell of more than 100,000 characters"),
    "lines quoted as a whole": (
        lines(lambda row: f'"{row},{level(row)}"', '"n,level"\n'),
        "line 1 is one cell in quotation marks with ',' in it",
    ),
    "names twice": ("n,a,a\n1,2,3\n", "column name 'a' occurs 2 times (columns 2, 3 of line 1); rename all but one"),
    "a workbook": (b"PK\x03\x04....", "this is a zip archive or a spreadsheet; unpack it and give the table in it, or"),
    "a tar archive": (b"mine.csv".ljust(257, b"\0") + b"ustar", "this is a tar archive; unpack it and give the table"),
    "a 7z archive": (b"7z\xbc\xaf'\x1c\0\4 and so on", "this is a 7z archive; unpack it and give the table in it"),
    "a page": (
        b"\n <!DOCTYPE html><html>",
        "this is a web page, perhaps an error or a login shown in place of the download",
    ),
    "a packed file": (gzip.compress(b"a"), "this is compressed with gzip; let its name end in .gz"),
    "an ARFF file": ("@relation x\n@attribute n numeric\n@data\n1\n", "this is an ARFF file; export the table as CSV"),
    "pairs of names and values": (
        lines(lambda row: f"n={row},level={level(row):.2f}"),
        "the first row holds numbers (n=0, level=0.00) where column names are expected",
    ),
    "JSON": ('[{"n": 1}]', "this is JSON; export the table as CSV"),
    "cut UTF-16": (plain().encode("utf-16")[:-1], "the file begins as UTF-16, but byte"),
    "points and commas": (
        lines(lambda row: f"{row};{row}{',.'[row % 2]}5", "n;a\n"),
        "'a' holds '1.5' as well as '0,5', and nothing in the file tells which; say what the decimal mark is with",
    ),
    "thousands or a fraction": (
        lines(lambda row: f"{row};{1 + row % 9},{500 + row}", "n;a\n"),
        "'1,500' in 'a' is 1500, or 1 and a fraction, and nothing in the file tells which; say what the decimal mark "
        "is with --decimal . or --decimal , (decimal: in a study)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_line_and_the_way_out(read, case):
    content, words = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        read(content)
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.csv: ")


def test_members_of_gzip_one_after_another_are_one_file(read):
    # As `cat` and some loggers make them.
    content = plain().encode()
    assert read(gzip.compress(content[:500]) + gzip.compress(content[500:]), "mine.csv.gz").frame.height == ROWS


def test_names_as_long_as_they_like(read):
    names = [f"{270 * 'x'} channel number {place} of the array" for place in range(900)]
    frame = read(",".join(names) + "\n" + 20 * (",".join(["1.5"] * 900) + "\n")).frame
    assert frame.columns == names and frame.shape == (20, 900)


def test_the_target_tells_which_row_holds_the_names(plan):
    # Two tables above each other: the first one's names look as good as any.
    text = "latitude,longitude,elevation\n52.5,13.4,38.0\n\n" + plain()
    mapping, said = plan(text, "flow")
    assert mapping["features"] == ["level"] and mapping["time"] == "when"
    assert "file: 2 lines before the names left out, the first of them line 1 (latitude,longitude,elevation)" in said[0]
    # A class of that name in a row is no name.
    mapping, _ = plan(
        lines(lambda row: f"{row},{level(row)},{['flow', 'ebb'][row * row % 7 % 2]}", "n,level,flow\n"), "flow"
    )
    assert mapping["kind"] == "classification"


# Numbers

NUMBERS = {
    "German": (["1.234,5", "0,25", "-1.000.000", "7"], ";", [1234.5, 0.25, -1e6, 7.0]),
    "Swiss": (["1'234.5", "0.25", "12’345", "7"], ";", [1234.5, 0.25, 12345.0, 7.0]),
    "French": (["1\u202f234,5", "0,25", "12\xa0345", "7"], ";", [1234.5, 0.25, 12345.0, 7.0]),
    "American": (['"1,234.5"', "0.25", '"1,000,000"', "7"], ",", [1234.5, 0.25, 1e6, 7.0]),
    "points between thousands in a column of commas": (["1.094", "2,5", "0,75"], ";", [1094.0, 2.5, 0.75]),
    "whole, without a mark elsewhere": (["1500", "1,25", "1,500"], ";", [1500.0, 1.25, 1.5]),
    "bookkeeping": (["(1.50)", "2.25", "(3.00)"], ",", [-1.5, 2.25, -3.0]),
    "a real minus": (["−1.5", "2.25", "−3"], ",", [-1.5, 2.25, -3.0]),
    "money": (['"$1,234.50"', "$2.25", "$3.00"], ",", [1234.5, 2.25, 3.0]),
    "per cent": (["1.5%", "2.25 %", "3%"], ",", [1.5, 2.25, 3.0]),
    "Fortran": (["1.5D+02", "2.25D-01", "3.0d0"], ",", [150.0, 0.225, 3.0]),
    "a bare point": ([".5", "2.", "-.25"], ",", [0.5, 2.0, -0.25]),
    "overflown fields": (["1.5", "******", "3"], ",", [1.5, None, 3.0]),
    "Excel's errors": (["1.5", "#DIV/0!", "#N/A"], ",", [1.5, None, None]),
    "Home Assistant": (["1.5", "unavailable", "unknown"], ",", [1.5, None, None]),
    "MySQL": (["1.5", "\\N", "3"], ",", [1.5, None, 3.0]),
    "dashes": (["1.5", "---", "-"], ",", [1.5, None, None]),
    "C": (["1.5", "-1.#IND", "nan"], ",", [1.5, None, None]),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_as_they_are_written(read, case):
    cells, separator, expected = NUMBERS[case]
    frame = read(f"n{separator}a\n" + "".join(f"{n}{separator}{cell}\n" for n, cell in enumerate(cells * 20))).frame
    assert frame["a"].to_list() == expected * 20


def test_the_rest_of_the_file_tells_what_a_point_is(read):
    weights = [f"{1 + row % 9}.{500 + row}" for row in range(ROWS)]
    beside = {",": [1000 * (1 + row % 9) + 500 + row for row in range(ROWS)], ".": [float(cell) for cell in weights]}
    for mark, expected in beside.items():
        text = lines(lambda row, mark=mark: f"{row};{level(row):.2f};{weights[row]}".replace(".", mark, 1), "n;a;b\n")
        assert read(text).frame["b"].to_list() == expected
        # What the user says goes before what is found out.
        other = ".,"[mark == "."]
        asked = read(lines(lambda row: f"{row};x;{weights[row]}", "n;a;b\n"), decimal=other).frame["b"].to_list()
        assert asked == beside[other]


def test_many_whole_numbers_below_a_thousand_make_a_mark_one_of_thousands(read):
    counts = [row * row * 3 + 7 for row in range(ROWS)]
    german = lines(lambda row: f"{row};{counts[row]:,}".replace(",", "."), "n;a\n")
    assert read(german).frame["a"].to_list() == counts
    quoted = lines(lambda row: f'{row},"{counts[row]:,}"', "n,a\n")
    assert read(quoted).frame["a"].to_list() == counts
    # Three digits after the point are nothing special where all have them.
    fixed = lines(lambda row: f"{row};{counts[row] / 7 + 1:.3f}", "n;a\n")
    assert read(fixed).frame["a"].to_list() == [round(count / 7 + 1, 3) for count in counts]


def test_addresses_are_no_numbers(read):
    frame = read(lines(lambda row: f"{row};192.168.100.{100 + row}", "n;host\n")).frame
    assert frame["host"].to_list() == [f"192.168.100.{100 + row}" for row in range(ROWS)]


def test_cells_that_excel_is_told_to_keep(read):
    frame = read(lines(lambda row: f'="{row:05d}",="{level(row)}"', "plz,a\n"), labels=lambda name: name == "plz").frame
    assert frame["plz"].to_list()[7] == "00007" and frame["a"].to_list() == [level(row) for row in range(ROWS)]


def test_points_that_may_be_between_thousands_are_said(read):
    told = "file: 'a' is read with decimal points, though '1.107' may be 1107 (--decimal , reads it so)"

    def cells(row):
        return f"{row % 9 + 1}.{107 + 7 * row % 800}"

    def written(cell, separator=";", more=""):
        return lines(
            lambda row: f"{stamp(row)}{separator}x{separator}{cell(row)}", f"when{separator}b{separator}a{more}\n"
        )

    found, asked = read(written(cells)), read(written(cells), decimal=",")
    assert told in found.remarks and found.frame["a"].to_list() == [float(cells(row)) for row in range(ROWS)]
    assert asked.frame["a"].to_list() == [int(cells(row).replace(".", "")) for row in range(ROWS)]
    for content in (
        written(cells, ","),
        written(lambda row: f"0{cells(row)[1:]}" if row == 9 else cells(row)),
        written(lambda row: "1500" if row == 9 else cells(row)),
        written(lambda row: f"{cells(row)};{level(row)}", more=";c"),
    ):
        assert not any("decimal points" in remark for remark in read(content).remarks)


def test_a_column_that_tells_its_thousands_tells_those_of_the_others(read):
    visits = [1_107 + 37 * row for row in range(ROWS)]
    sales = [412 + 53 * row for row in range(ROWS)]
    german = read(lines(lambda row: f"{visits[row]:,};{sales[row]:,}".replace(",", "."), "visits;sales\n"))
    assert german.frame["visits"].to_list() == visits and german.frame["sales"].to_list() == sales
    # Where commas are between thousands, points are none.
    english = read(lines(lambda row: f'{1 + row / 64:.3f};"{sales[row]:,}"', "kg;sales\n"))
    assert english.frame["kg"].to_list() == [round(1 + row / 64, 3) for row in range(ROWS)]
    assert not any("--decimal" in remark for remark in english.remarks)


def test_two_numbers_in_a_cell_are_no_decimal_comma(read):
    # As in surface observations: value and quality.
    frame = read(lines(lambda row: f'"{stamp(row)}","+{row:04d},1"', '"DATE","TMP"\n')).frame
    assert frame["TMP"].dtype == pl.String


@pytest.mark.parametrize("mark", [".", ","])
def test_numbers_in_any_convention_are_read_back(mark):
    draws = np.random.default_rng(3)
    values = (draws.normal(size=500) * 10.0 ** draws.integers(-3, 9, size=500)).round(4)
    text = [f"{value:,.4f}" for value in values]
    if mark == ",":
        text = [cell.translate({44: 46, 46: 44}) for cell in text]
    column = pl.Series("a", text)
    found = numerals.Marks.of(column)
    assert numerals.decimal_mark("a", column, found, None, None) == mark
    np.testing.assert_allclose(numerals.parse(column, mark).to_numpy(), values, rtol=1e-12)


# What tells things apart


def test_identifiers_stay_as_they_are_written(read):
    cells = [["7", "07", "007"][row % 3] for row in range(ROWS)]
    text = lines(
        lambda row: (
            f"{8998234000000000000000 + row % 4},{cells[row]},{row % 12 + 1:02d},{row // 10:03d},"
            f"{['2.1', '2.10'][row % 2]}"
        ),
        "iccid,code,month,patient,device\n",
    )
    found = read(text, labels=lambda name: name in ("patient", "device"))
    frame = found.frame
    assert frame["iccid"].n_unique() == 4 and frame["iccid"].dtype == pl.String
    assert frame["code"].to_list() == cells
    assert frame["month"].to_list() == [row % 12 + 1 for row in range(ROWS)]
    assert frame["patient"].to_list() == [f"{row // 10:03d}" for row in range(ROWS)]
    assert frame["device"].n_unique() == 2
    assert "file: 'code' is read as text, since numbers would not keep its 3 distinct values apart" in found.remarks


def test_identifiers_beyond_64_bits_are_groups_of_their_own(plan, tmp_path):
    text = "".join(
        f"{10**20 + unit},{stamp(100 * unit + row)},{level(row)},{flow(row + unit)}\n"
        for unit in range(6)
        for row in range(40)
    )
    _, said = plan("serial,when,a,y\n" + text, "y", group="serial")
    assert [line for line in said if line.startswith("split: By group") and "(train 4, validation 1, test 1)" in line]
    task = table.load({"table": str(tmp_path / "mine.csv"), "target": "y", "group": "serial"})
    names = {recording.name for split in ("train", "validation", "test") for recording in task.recordings(split)}
    assert names == {str(10**20 + unit) for unit in range(6)}


def test_a_class_with_zeros_in_front_keeps_them(plan):
    mapping, _ = plan(lines(lambda row: f"{stamp(row)},{level(row)},{row % 3:02d}", "when,a,y\n"), "y")
    assert mapping["kind"] == "classification"
    mapping, _ = plan(lines(lambda row: f"{stamp(row)},{level(row)},{row * 7:05d}", "when,a,y\n"), "y")
    assert mapping["kind"] == "regression"


def test_na_is_a_value_where_it_is_one_of_its_kind(read):
    states = ["DE", "NA", "ZA", "US"]
    found = read(lines(lambda row: f"{states[row % 4]},{row}", "land,n\n"))
    assert found.frame["land"].null_count() == 0
    assert found.warnings[0].startswith(
        "'NA' in 15 cells of 'land' is taken for a value, as its other values are codes of two"
    )
    moves = ["Walk", "NA", "None", "Sit"]
    found = read(lines(lambda row: f"{moves[row % 4]},{row}", "move,n\n"))
    assert found.frame["move"].n_unique() == 4
    assert "say --missing move=NA (missing: in a study)" in found.warnings[0]


def test_na_is_missing_where_it_is_rare_or_elsewhere_too(read):
    found = read(lines(lambda row: f"{'NA' if row in (3, 9) else ['Walk', 'Sit'][row % 2]},{row}", "move,n\n"))
    assert found.frame["move"].null_count() == 2 and not found.warnings
    assert found.remarks == ["file: 'NA' in 2 cells of 'move' means missing (--missing move= makes it a value)"]
    found = read(lines(lambda row: f"{['Walk', 'NA', 'Sit'][row % 3]},{'NA' if row % 5 else row}", "move,n\n"))
    assert found.frame["move"].null_count() == ROWS // 3
    found = read(lines(lambda row: f"{'NA' if row == 3 else 'Walk'},{row}", "move,n\n"), missing=["move="])
    assert found.frame["move"].null_count() == 0


# Missing, and what stands for it


def test_what_the_user_calls_missing_is(read):
    text = lines(lambda row: f"{row},{-9 if row % 6 == 1 else level(row)},{['up', 'down', 'off'][row % 3]}", "n,a,s\n")
    found = read(text, missing=["-9", "s=off"])
    assert found.frame.null_count().row(0) == (0, 10, 20)
    assert "file: missing, as asked: 'a' in 10 cells, 's' in 20 cells" in found.remarks
    assert read(text, missing=[-9.0]).frame["a"].null_count() == 10
    assert read(text.replace(",", ";").replace(".", ","), missing=["a=-9"]).frame["a"].null_count() == 10
    assert read(text, missing=["a=5.1"]).warnings == ["no cell of 'a' is '5.1', asked to be missing"]
    with pytest.raises(
        ValueError, match=r"there is no column 'b' in 'b=5'; did you mean|there is no column 'b' in 'b=5'; exp"
    ):
        read(text, missing=["b=5"])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_mapping_carries_it(tmp_path, form):
    frame = pl.DataFrame(
        {
            "n": range(200),
            "a": [-999.0 if n % 9 == 4 else level(n) for n in range(200)],
            "y": [flow(n) / 2 for n in range(200)],
        }
    )
    path = tmp_path / f"mine.{form}"
    frame.write_csv(path) if form == "csv" else frame.write_parquet(path)
    asked = {"table": str(path), "target": "y", "time": "n"}
    _, said = table.complete(asked)
    assert (
        "warning: -999 stands apart from the other values of 'a' in 22 rows of 200 (else 0 to 25); if it means that "
        in " ".join(said)
        and "say --missing a=-999 (missing: in a study)" in " ".join(said)
    )
    mapping, said = table.complete({**asked, "missing": ["a=-999"]})
    assert mapping["missing"] == ["a=-999"] and "missing: 11.0% of the feature values; models are told which" in said
    assert not [line for line in said if line.startswith("warning")]
    assert table.complete(mapping)[0] == mapping


SENTINELS = {
    "-999": ([-999.0] * 3, np.linspace(-5, 5, 200)),
    "9999": ([9999.0], np.linspace(0, 50, 200)),
    "999.9": ([999.9] * 2, np.linspace(900, 940, 200)),
    "-200, beside values that range wider": ([-200.0] * 30, np.linspace(2, 1479, 200)),
    "-127": ([-127.0] * 5, np.linspace(15, 30, 200)),
    "-1": ([-1.0] * 40, np.linspace(30, 200, 200)),
    "-1, beside few whole numbers": ([-1.0] * 9, [5.0, 6, 7, 8, 9, 10] * 30),
    "-1, beside answers from 1 on": ([-1.0] * 6, [1.0, 2, 3, 4] * 40),
    "-1, beside counts that are seldom 0": (
        [-1.0] * 14,
        np.random.default_rng(5).binomial(9, 0.5, 300).astype(float).clip(0),
    ),
    "85, as often as it takes": ([850.0] * 9, np.linspace(15, 30, 200)),
    "0 of a sensor that fell out": ([0.0] * 9, np.linspace(99, 101, 200)),
    "0 for a glucose": ([0.0] * 20, np.linspace(70, 180, 200)),
    "0 for an index of body mass": ([0.0] * 22, np.linspace(20, 40, 200)),
    "0 for a signal's strength": ([0.0] * 20, np.linspace(-90, -40, 200)),
    "0 below a few that are low": ([0.0] * 5, [24.0, 30, 38, 46, *np.linspace(52, 90, 200)]),
    "0 beside few whole numbers": ([0.0] * 10, [5.0, 6, 7, 8, 9, 10] * 20),
    "0 beside three doses": ([0.0] * 6, [36.5, 36.6, 37.0] * 40),
    "250 beside five levels": ([250.0] * 6, [1.0, 2, 3, 4, 5] * 30),
    "85 of a sensor that starts": ([85.0] * 6, np.linspace(6, 33, 200)),
    "85 of a sensor that starts three times": ([85.0] * 3, np.linspace(15, 30, 200)),
    "85 of a sensor outdoors": ([85.0] * 6, np.linspace(-15, 38, 200)),
    "several": ([-999.0] * 3 + [-998.0] * 3, np.linspace(-5, 5, 200)),
    "no answer, in three ways": ([97.0] * 4 + [98.0] * 3 + [99.0] * 5, np.linspace(1, 5, 200).round()),
    "no answer, in one figure": ([9.0] * 4, np.linspace(1, 5, 200).round()),
    "no answer, on a scale of pain": ([99.0] * 30, np.linspace(0, 10, 200).round()),
    "no answer, in two figures beside per cent": ([-99.0] * 5, np.linspace(90, 99, 200).round()),
    "no answer, in three figures": ([777.0] * 4 + [888.0] * 30, np.linspace(1, 5, 200).round()),
    "no answer, in negative codes": ([-9.0] * 4 + [-8.0] * 3 + [-7.0] * 5, np.linspace(1, 60, 200).round()),
    "netCDF": ([9.969209968386869e36] * 2, np.linspace(-5, 5, 200)),
    "both ends": ([-9999.0] * 2 + [9999.0] * 2, np.linspace(-5, 5, 200)),
}


@pytest.mark.parametrize("case", SENTINELS)
def test_numbers_that_stand_apart_are_suspects(case):
    odd, usual = SENTINELS[case]
    found = columns.sentinels(pl.Series([*usual[:100], *odd, *usual[100:]]))
    assert {(suspect.value, suspect.count) for suspect in found} == {(value, odd.count(value)) for value in odd}


@pytest.mark.parametrize("between", ["", "# Run", ";;"])
def test_lines_that_part_the_rows_into_blocks_are_warned_of(tmp_path, between):
    blocks = ["\n".join(f"{row};{row * 7 % 11};{row * 5 % 13}" for row in range(12)) for _ in range(4)]
    path = tmp_path / "mine.csv"
    for count, expected in ((4, 1), (2, 0)):
        path.write_text("a;b;c\n" + f"\n{between}\n".join(blocks[:count]))
        found = columns.read(path).warnings
        said = "lines without cells, the first of them line 14, part the rows into 4 blocks"
        assert sum(line.startswith(said) for line in found) == (expected if between != ";;" else 0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_zeros_here_and_there_are_suspects_and_those_of_a_machine_that_is_off_are_not(share):
    draws = np.random.default_rng(4)
    skin = draws.integers(16, 43, 400).astype(float)
    skin[draws.random(400) < share] = 0
    (suspect,) = columns.sentinels(pl.Series(skin))
    assert (suspect.value, suspect.least, suspect.most) == (0, 16, 42)
    if share > 0.3:
        power = np.where(np.arange(400) % 50 < 50 * share, 0, draws.integers(40, 60, 400)).astype(float)
        assert columns.sentinels(pl.Series(power)) == []


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("level", [20, -20])
def test_zeros_before_a_sensor_was_installed_are_suspects_whatever_their_share(share, level):
    draws, count = np.random.default_rng(6), int(400 * share)
    measured = (level + np.convolve(draws.normal(size=402), np.ones(3), "valid")).round(1)
    expected = [(0, count)]

    def found(values, recordings=None):
        suspects = columns.sentinels(pl.Series("pressure", values), recordings)
        return [(suspect.value, suspect.count) for suspect in suspects]

    before = np.where(np.arange(400) < count, 0, measured)
    assert found(before) == found(before[::-1]) == expected
    # At the beginning of one recording of three, which ends after all of its zeros.
    three = np.repeat([0, 1, 2], 400)
    assert found(np.concatenate((measured, before, measured)), three) == expected
    if share > 0.4:
        # A machine that is off in several recordings, or in the middle of one.
        assert found(np.concatenate((before, before, before)), three) == []
        assert found(np.roll(before, 10)) == []
        # Or that begins at a low level.
        assert found(np.append(np.zeros(count), np.sign(level) * np.linspace(30, 90, 400 - count))) == []


@pytest.mark.parametrize(("height", "told"), [(2310, False), (0, False), (-999, True)])
def test_the_height_of_a_station_is_no_sentinel(plan, height, told):
    heights = {"a": 310, "b": 284, "c": 333, "d": 301, "e": height, "f": 295}
    text = "site,day,height,y\n"
    for place, site in enumerate(heights):
        text += "".join(f"{site},{row},{heights[site]},{flow(row + place)}\n" for row in range(40))
    found = [line for line in plan(text, "y", group="site")[1] if "stands apart" in line]
    assert bool(found) == told


@pytest.mark.parametrize("month", ["{month:02d}.{year}", "{year}.{month:02d}"])
def test_months_with_points_say_nothing_of_the_decimal_mark(month, read):
    def row(number):
        when = month.format(year=1990 + number // 12, month=number % 12 + 1)
        return f"{when};{number % 9 + 1}.{number % 997 + 1:03d};{number % 7},{number % 10}5"

    table = read(lines(row, "Monat;pieces;y\n"))
    expected = [(number % 9 + 1) * 1000 + number % 997 + 1 for number in range(ROWS)]
    assert table.frame["pieces"].to_list() == expected and table.frame["y"][11] == 4.15


def drawn(seed, least, most, rows=1000):
    return np.random.default_rng(seed).integers(least, most + 1, rows).astype(float)


def signal(seed, least, most, rows=1000):
    """A random walk that ranges from one number to another."""
    walk = np.random.default_rng(seed).normal(size=rows).cumsum()
    return least + (most - least) * (walk - walk.min()) / np.ptp(walk)


FOR_MISSING = {
    "999 in all rows but a few": (999, 0.97, drawn(0, 0, 27)),
    "-200 in all rows but a few": (-200, 0.97, drawn(1, 7, 1189)),
    "-999 beside a flag": (-999, 0.05, drawn(15, 0, 1)),
    "99 beside a flag": (99, 0.05, drawn(15, 0, 1)),
    "100 for no signal": (100, 0.96, drawn(2, -104, -1)),
    "100 for no signal, seldom": (100, 0.02, drawn(2, -104, -1)),
    "-1 beside a few counts": (-1, 0.02, drawn(3, 0, 19)),
    "-1 beside rain": (-1, 0.02, np.random.default_rng(4).gamma(0.3, 3, 1000).round(1)),
    "-1 beside a signal": (-1, 0.02, signal(5, 0, 19).round()),
    "255 beside a byte": (255, 0.02, drawn(6, 0, 250)),
    "255 beside a signal": (255, 0.02, signal(7, 0, 250).round()),
    "65535": (65535, 0.02, signal(8, 0, 65_000).round()),
    "32767": (32767, 0.02, drawn(9, -30_000, 32_000)),
    "-32768": (-32768, 0.02, drawn(10, -32_000, 32_000)),
    "4294967295": (2**32 - 1, 0.02, drawn(11, 0, 4 * 10**9)),
    "99 beside ages": (99, 0.02, drawn(12, 18, 90)),
    "999 beside prices": (999, 0.02, drawn(13, 0, 980)),
}


@pytest.mark.parametrize("codes", [(98, 99), (97, 98, 99), (998, 999), (-8, -9), (88, 99)])
def test_codes_of_a_survey_hide_one_another_nowhere(codes):
    draws = np.random.default_rng(0)
    commute = np.concatenate([draws.integers(5, 62, 400), np.repeat(codes, 6)])
    found = columns.sentinels(pl.Series("commute_min", draws.permutation(commute)))
    assert {(suspect.value, suspect.count) for suspect in found} == {(code, 6) for code in codes}


def answered(scale, codes, share, shares=None, rows=600, seed=5):
    """Answers on a scale, and a share of codes."""
    draws = np.random.default_rng(seed)
    return np.where(draws.random(rows) < share, draws.choice(codes, rows), draws.choice(scale, rows, p=shares))


PERSONS = np.repeat(np.arange(60), 10)
NO_ANSWER = {
    "8 and 9, of which one follows itself": (np.append(answered([1, 2, 3, 4], [8], 0.03), [9, 9, 1, 2, 9]), None, 2),
    "more than the rarest answer": (answered([1, 2, 3, 4, 5], [8, 9], 0.08, [0.03, 0.07, 0.3, 0.4, 0.2]), None, 2),
    "a third of yes and no": (answered([0, 1], [9], 0.3, [0.8, 0.2]), None, 1),
    "of each person, 1 or 2": (answered([1, 2], [9], 0.08, rows=60)[PERSONS], PERSONS, 1),
    "of each person, yes or no": (answered([0, 1], [8, 9], 0.2, rows=60)[PERSONS], PERSONS, 2),
    "7, 8 and 9 of each person": (answered([1, 2, 3, 4], [7, 8, 9], 0.2, rows=60, seed=0)[PERSONS], PERSONS, 3),
    "weeks of visits": (np.tile([0, 1, 2, 8], 150), np.repeat(np.arange(150), 4), 0),
    "modes of a machine": (np.repeat([0, 1, 8, 0, 1, 0], 100), np.repeat(np.arange(3), 200), 0),
    "counts": (np.random.default_rng(6).geometric(0.5, 600) - 1, None, 0),
    "two humps": (np.random.default_rng(6).choice([1, 2, 3, 7, 8, 9], 600), None, 0),
    "sites": (np.repeat([1, 2, 3, 8, 9], 120), PERSONS, 0),
}


@pytest.mark.parametrize("case", NO_ANSWER)
def test_figures_beyond_a_scale_are_no_answers(case):
    answers, recordings, codes = NO_ANSWER[case]
    found = columns.sentinels(pl.Series("q", answers), recordings)
    assert [sentinel.value for sentinel in found] == [7.0, 8.0, 9.0][3 - codes :]
    assert all(sentinel.count == (answers == sentinel.value).sum() for sentinel in found)


def asked(rows=600, codes=(98, 99), share=0.04, seed=1):
    """A survey: answers of 1 to 5, ages that go on to 96, and a share of codes in both."""
    draws = np.random.default_rng(seed)
    ages = np.concatenate([np.arange(18, 97), draws.integers(18, 97, rows - 79)])
    trust, age = (
        np.where(draws.random(rows) < share, draws.choice(codes, rows), values)
        for values in (draws.integers(1, 6, rows), draws.permutation(ages))
    )
    return pl.DataFrame({"trust": trust, "age": age, "pulse": draws.normal(70, 5, rows), "y": draws.normal(size=rows)})


def test_codes_that_one_column_has_apart_are_named_for_those_that_have_them_at_an_end(plan):
    frame = asked()
    assert columns.sentinels(frame["age"]) == []
    told = [line for line in plan(frame.write_csv(), "y")[1] if "stands apart" in line]
    assert len(told) == 2
    for code, line in zip((98, 99), sorted(told), strict=True):
        assert line.startswith(f"warning: {code} stands apart from the other values of 'trust' in ")
        count = int((frame["age"] == code).sum())
        assert f", and is suspect in 'age' in {count} rows of 600 (else 18 to 96) too; if it" in line
        assert f"say --missing={code} " in line
    # Nothing is said of ages that go on to 99 as they do before, nor of per cent that 99 is within.
    ends = {"age": np.random.default_rng(2).integers(18, 100, 600), "share": np.arange(600) % 101}
    for name, values in ends.items():
        assert columns.at_an_end(pl.Series(name, values), [98.0, 99.0]) == []


@pytest.mark.parametrize(("code", "low"), [(999.9, 990), (99, 91), (-99, -104)])
def test_a_code_that_is_heaped_among_other_numbers_is_named_beside_the_column_that_has_it_apart(plan, code, low):
    draws = np.random.default_rng(3)
    among = np.where(np.arange(400) % 3 == 0, code, (low + 20 * draws.random(400)).round(1))
    apart = np.where(np.arange(400) % 9 == 0, code, draws.normal(5, 1, 400).round(2))
    frame = pl.DataFrame({"among": among, "apart": apart, "y": draws.normal(size=400).round(3)})
    (line,) = [line for line in plan(frame.write_csv(), "y")[1] if "stands apart" in line]
    count = int((frame["among"] == code).sum())
    assert f", and is suspect in 'among' in {count} rows of 400 " in line and f"say --missing={code} " in line
    # A reading that comes as often as others is none.
    even = pl.Series(np.append(np.tile(np.arange(90.0, 110), 20), [code] * 20))
    assert columns.at_an_end(even, [float(code)]) == [] or not 90 <= code < 110


@pytest.mark.parametrize("mark", [-17.8, 85.3, -0.1])
def test_a_number_again_and_again_in_scattered_rows_far_from_the_others_is_a_suspect(mark):
    draws = np.random.default_rng(4)
    values = (20 + 8 * np.sin(np.arange(600) / 40) + draws.normal(size=600)).round(1) + (20 if mark == -0.1 else 0)
    values[draws.permutation(600)[:12]] = mark
    (found,) = columns.sentinels(pl.Series("outdoor", values))
    assert (found.value, found.count) == (mark, 12)
    # A machine that is off, for a while each time, and a pack of a size of its own among prices.
    off = np.where(np.arange(600) % 150 < 6, mark, values)
    assert not columns.sentinels(pl.Series("speed", np.where(values == mark, 20.4, off)))
    prices = np.append(np.repeat(np.linspace(5, 20, 16), 30), [36.0] * 12)
    assert not columns.sentinels(pl.Series("price", draws.permutation(prices)))


SIGNS = {
    "no probe": (["SpO2", "HR", "RR"], None, True),
    "in French": (["SatO2", "fréquence cardiaque", "température"], None, True),
    "a probe that says so": (["SpO2", "pulse", "resp_rate"], "probe", True),
    "a pump": (["flow", "current", "vibration"], "pump", False),
}


@pytest.mark.parametrize("case", SIGNS)
def test_vital_signs_are_0_in_no_state(plan, case):
    names, state, told = SIGNS[case]
    draws = np.random.default_rng(3)
    off = np.repeat(draws.random(60) < 0.15, 10)
    # As few distinct values as a state has.
    few, *others = (np.where(off, 0, draws.integers(60 + 9 * n, 68 + 20 * n, 600)) for n in range(3))
    frame = pl.DataFrame(dict(zip(names, (few, *others), strict=True))).with_columns(y=draws.normal(size=600))
    frame = frame.with_columns(pl.Series(state, np.where(off, "off", "on"))) if state else frame
    # A target that is forecast is told of, too.
    lines = plan(frame.write_csv(), names[1], kind="forecast")[1]
    found = [line for line in lines if line.startswith("warning: 0 stands apart")]
    assert bool(found) == told and any(line.startswith("zeros: ") for line in lines) != told
    assert all(f"{name!r} in {off.sum()} rows" in found[0] for name in names) if told else True


SERIES = {
    "tenfold": ([0.01, 0.1, 1], 10, False),
    "from 0 on": ([0, 10, 100], 1000, False),
    "fivefold": ([1, 5, 25, 125], 625, False),
    "half-logarithmic": ([0.1, 0.3, 1, 3, 10], 30, False),
    "a mark beside doses": ([0.01, 0.1, 1], 99, True),
    "a mark beside levels": ([1, 2, 3], 100, True),
    "none beside answers": ([3, 4, 5], 0, True),
}


@pytest.mark.parametrize("case", SERIES)
def test_the_last_of_a_series_of_doses_is_no_mark(case):
    doses, last, told = SERIES[case]
    found = columns.sentinels(
        pl.Series("dose", np.random.default_rng(6).permutation([*doses, last] * 60).astype(float))
    )
    assert [sentinel.value for sentinel in found] == [last] * told


def panel(column, persons=90, waves=4, seed=5, **more):
    """A panel with a column that is made of its waves and of answers from 1 to 5."""
    draws = np.random.default_rng(seed)
    wave = np.tile(np.arange(1, waves + 1), persons)
    site = np.repeat(draws.choice(["S1", "S2", "S3"], persons), waves)
    frame = {"pid": np.repeat(1000 + 7 * np.arange(persons), waves), "wave": wave, "site": site}
    q = column(wave, site, draws.integers(1, 6, len(wave)), draws.normal(size=len(wave)))
    return pl.DataFrame({**frame, "q": q, "y": draws.normal(size=len(wave)).round(3), **more})


UNASKED = {
    "a wave": (
        lambda wave, site, answers, noise: np.where(wave == 1, 0, answers),
        "0 fills all rows in which 'wave' is 1,",
    ),
    "two waves": (
        lambda wave, site, answers, noise: np.where(wave > 2, 0, answers + 1),
        "0 fills all rows in which 'wave' is 3, 4, and no others, of 'q' in 180 rows of 360 (else 2 to 6)",
    ),
    "another code": (
        lambda wave, site, answers, noise: np.where(wave == 2, 6, answers),
        "6 fills all rows in which 'wave' is 2",
    ),
    "a site": (
        lambda wave, site, answers, noise: np.where(site == "S3", 0, answers),
        "0 fills all rows in which 'site' is S3",
    ),
    "amounts": (
        lambda wave, site, answers, noise: np.where(site == "S3", 0, (60 + 5 * noise).round(1)),
        "0 fills all rows in which 'site' is S3",
    ),
}


@pytest.mark.parametrize("case", UNASKED)
def test_a_number_that_fills_a_wave_or_a_site_and_is_nowhere_else_is_told(plan, case):
    column, said = UNASKED[case]
    for target in ("y", "q"):
        lines = plan(panel(column).write_csv(), target, kind="regression")[1]
        (warning,) = [line for line in lines if " fills all rows " in line or "stands apart" in line]
        assert warning.startswith(f"warning: {said}") and f"say --missing q={said.split()[0]} (missing:" in warning


ASKED = {
    "0 elsewhere": lambda wave, site, answers, noise: np.where(wave == 1, 0, answers - 1),
    "visits before": lambda wave, site, answers, noise: wave - 1,
    "a change from the first": lambda wave, site, answers, noise: np.where(wave == 1, 0, noise.round(1)),
    "a state of each row": lambda wave, site, answers, noise: np.where(noise > 0, 0, answers),
    "a height": lambda wave, site, answers, noise: np.where(site == "S3", 0, np.where(site == "S1", 1, 2)),
    "rain": lambda wave, site, answers, noise: np.where(site == "S3", 0, np.maximum(noise, 0).round(1)),
}


@pytest.mark.parametrize("case", ASKED)
def test_numbers_that_others_have_too_or_that_differ_by_wave_were_asked(plan, case):
    lines = plan(panel(ASKED[case]).write_csv(), "y")[1]
    assert not [line for line in lines if " fills all rows " in line or "stands apart" in line]


def test_a_dose_of_none_in_one_arm_is_a_dose(plan):
    frame = panel(lambda wave, site, answers, noise: np.where(site == "S3", 0, answers)).rename({"site": "arm"})
    assert not [line for line in plan(frame.write_csv(), "y")[1] if " fills all rows " in line]


def snow(rows=300, few="M", share=0.4, seed=4):
    """A station's days: a mark in a few cells of its temperatures, and in many of a depth that is 0 else."""
    draws = np.random.default_rng(seed)
    temperature = [few if draws.random() < 0.03 else f"{value:.1f}" for value in draws.normal(8, 5, rows)]
    depth = ["M" if draws.random() < share else "0" for _ in range(rows)]
    return pl.DataFrame({"tmax": temperature, "depth": depth, "y": draws.normal(size=rows)})


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_mark_that_is_missing_among_numbers_is_missing_beside_a_single_number(read, share):
    frame = snow(share=share)
    table = read(frame.write_csv())
    assert table.frame["depth"].dtype == pl.Int64
    assert table.frame["depth"].is_null().to_list() == (frame["depth"] == "M").to_list()
    count = (frame["depth"] == "M").sum()
    assert f"'M' in {count} cells of 'depth' is read as missing, as in 'tmax'; --missing depth= makes it a value" in (
        table.warnings
    )
    assert read(frame.write_csv(), missing=["depth="]).frame["depth"].equals(frame["depth"])


def test_marks_are_categories_where_they_are_missing_nowhere_else(read):
    for frame in (snow(few="bad"), snow().drop("tmax"), snow(share=0.4).with_columns(depth=pl.col("depth") + "1")):
        assert read(frame.write_csv()).frame["depth"].dtype == pl.String
    # A target's classes stay.
    assert read(snow().write_csv(), target="depth").frame["depth"].dtype == pl.String


@pytest.mark.parametrize("case", FOR_MISSING)
def test_codes_for_missing_values_are_suspects_at_any_distance_and_share(case):
    code, share, values = FOR_MISSING[case]
    column = np.where(np.random.default_rng(14).random(len(values)) < share, code, values)
    (suspect,) = columns.sentinels(pl.Series(column))
    assert (suspect.value, suspect.count) == (code, int((column == code).sum()))


ORDINARY = {
    "humidity up to 99": np.clip(signal(0, 30, 110), 0, 99).round(),
    "ages up to 99": drawn(1, 18, 99),
    "ages of subjects": np.repeat(drawn(2, 18, 99, 50), 20),
    "per cent": drawn(3, 0, 100),
    "a byte": drawn(4, 0, 255),
    "a signal beyond a byte": np.clip(signal(5, -50, 320), 0, 255).round(),
    "a picture": np.clip(np.random.default_rng(6).normal(128, 80, 1000), 0, 255).round(),
    "a signal beyond 16 bits": np.clip(signal(7, -50_000, 50_000), -32_768, 32_767).round(),
    "a temperature down to -1": signal(8, -1, 19).round(),
    "a count less 1": np.random.default_rng(9).poisson(5, 1000) - 1.0,
    "gears": drawn(10, -1, 8),
    "signal strengths": drawn(11, -104, -1),
    "a battery": np.clip(signal(12, 0, 120), 0, 100).round(),
    "both signs": drawn(13, -9, 9),
    "waits up to 99": np.minimum(np.random.default_rng(14).exponential(20, 1000).round(), 99),
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_columns_have_no_suspects(case):
    assert columns.sentinels(pl.Series(ORDINARY[case])) == []


@pytest.mark.parametrize("cells", [["7,07", "6,9"], ["120", "987"], ["0,125", "14"]])
def test_points_in_a_mark_for_missing_values_are_not_between_thousands(read, cells):
    table = read(
        lines(lambda row: f"{stamp(row)};{'k.A.' if row % 29 == 3 else cells[row % 2]};{row % 7},5", "when;pH;y\n")
    )
    assert not any("between thousands" in remark for remark in table.remarks)
    known = [cells[row % 2].replace(",", ".") for row in range(ROWS) if row % 29 != 3]
    assert table.frame["pH"].drop_nulls().to_list() == [float(cell) for cell in known]


@pytest.mark.parametrize("seed", range(40))
def test_whole_numbers_without_gaps_and_rounded_measurements_have_no_suspects(seed):
    draws = np.random.default_rng(seed)
    rows, least, middle, spread = 600, draws.integers(0, 110), draws.uniform(20, 120), draws.uniform(0.7, 3)
    for values in (
        np.resize(np.arange(least, least + draws.integers(2, 40)), rows),
        draws.normal(middle, spread, rows).round(),
        np.minimum(draws.normal(96, spread, rows).round(), 99),
        np.maximum(-draws.normal(96, spread, rows).round(), -99),
        draws.normal(middle, spread, rows).round(1),
        draws.poisson(spread, rows),
        np.minimum(draws.poisson(spread, rows), 9),
    ):
        assert columns.sentinels(pl.Series(draws.permutation(values)).cast(pl.Float64)) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_code_of_one_column_makes_no_other_suspect(plan, seed):
    draws = np.random.default_rng(seed)
    pain = np.where(draws.random(600) < 0.1, 99, draws.integers(0, 11, 600))
    oxygen = np.minimum(draws.normal(96, 1.2, 600).round(), 99).astype(int)
    text = lines(lambda row: f"{stamp(row)},{pain[row]},{oxygen[row]},{flow(row)}", "when,pain,spo2,y\n", rows=600)
    (warning,) = [line for line in plan(text, "y")[1] if "stands apart" in line]
    assert "'pain'" in warning and "spo2" not in warning


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).standard_cauchy(500),
        np.random.default_rng(1).exponential(size=500) ** 3,
        [-1, 1] * 100,
        [-1, 0, 1] * 100,
        [-1, 0, 1, 2, 3, 4] * 50,
        [-1, 3, 7, 11] * 50,
        [-1, *range(5, 21)] * 2,
        list(range(9900, 10_000)),
        [*range(-9, 20)] * 9,
        [*range(60, 99)] * 9,
        [0.0] * 300 + list(np.linspace(0, 80, 50)),
        [0, 1] * 200,
        np.linspace(-1, 1, 300),
        [999.0] * 300,
        [*np.random.default_rng(2).poisson(4, 400)],
        [0.0] * 60 + list(np.random.default_rng(3).lognormal(3, 1, 300).round(2)),
        [0.0] * 150 + list(np.linspace(20, 40, 150)),
        [0.0] * 30 + [*range(5, 65, 5)] * 9,
        [0.0, *np.linspace(20, 40, 200)],
        [*np.random.default_rng(4).normal(size=300)],
        [0, 1, 2, 3] * 50,
        [0.0, 5, 10, 20] * 50,
        [0.0] * 100 + [80.0, 100, 120] * 30,
        [10.0] * 60 + [1.0, 2, 3] * 10,
        [4095.0] * 30 + list(np.linspace(10, 4000, 300)),
        [100.0] * 30 + list(np.linspace(10, 90, 200)),
        [0.0, 0, 0, *np.linspace(20, 40, 400)],
        [*np.random.default_rng(5).choice([9.99, 14.99, 19.99, 24.99, 49.99], 300)],
    ],
)
def test_what_is_only_spread_wide_is_no_suspect(values):
    assert columns.sentinels(pl.Series(values).cast(pl.Float64)) == []


def test_a_zero_is_made_missing_only_where_it_may_mean_so(plan):
    text = lines(
        lambda row: (
            f"{stamp(row)},{0 if row % 9 == 4 else 70 + row % 50},{0 if row % 8 == 1 else 20 + row % 21},"
            f"{row * 7 % 3 % 2},{flow(row) / 2}"
        ),
        "when,glucose,bmi,flag,y\n",
        rows=200,
    )
    warning = next(line for line in plan(text, "y")[1] if "0 stands apart" in line)
    assert "'glucose' in 22 rows of 200 (else 70 to 119), 'bmi' in 25 rows of 200 (else 20 to 40)" in warning
    assert "say --missing glucose=0 --missing bmi=0 (missing: in a study)" in warning
    # A suspected mark hides no value that is far from all others.
    said = plan(text.replace(",72,", ",54321,", 1), "y")[1]
    assert any("'glucose' reaches 5.432e+04" in line for line in said)


def test_one_value_or_nothing_is_presence(plan):
    text = lines(
        lambda row: (
            f"{stamp(row)},{'1' if row % 5 == 2 else ''},{'x' if row % 7 == 3 else ''},{level(row)},{flow(row) / 2}"
        ),
        "when,meal,alarm,a,y\n",
        rows=200,
    )
    mapping, said = plan(text, "y")
    assert mapping["features"] == ["meal", "alarm", "a"]
    assert (
        "presence: 'meal', 'alarm' hold one value or nothing; read as 1 where it is there and 0 where it is not" in said
    )
    task = table.load(mapping)
    values = np.concatenate([recording.values for recording in task.recordings("train")])
    assert values[:, 0].tolist() == [row % 5 == 2 for row in range(len(values))]
    assert not task.missing


def test_a_lost_column_does_not_change_the_kind_of_task(plan):
    def text(share):
        return lines(
            lambda row: f"{stamp(row)},{'fault' if row % 100 < share else level(row)},{level(row) * 3 + flow(row) / 9}",
            "when,a,y\n",
            rows=200,
        )

    mapping, said = plan(text(2), "y")
    assert mapping["kind"] == "regression" and mapping["features"] == ["a"]
    assert (
        "warning: 'a' holds no number in 4 cells of 200, read as missing: 'fault' in line 2, 'fault' in line 3, "
        in " ".join(said)
    )
    with pytest.raises(
        ValueError, match=r"no column is left to predict 'y' from: 'a' holds numbers, but 'fault' in line 2 and "
    ):
        plan(text(30), "y")
    with pytest.raises(
        ValueError, match=r"features must not name 'a': it holds numbers, but 'fault' in line 2 and 59 more"
    ):
        plan(text(30), "y", features=["a"])
    mapping, _ = plan(text(30), "y", missing=["a=fault"])
    assert mapping["kind"] == "regression"
    assert plan(text(30), "y", kind="forecast")[0]["features"] == ["y"]


def test_few_bad_cells_of_the_target_are_not_known(plan):
    text = lines(lambda row: f"{row},{level(row)},{'err' if row == 17 else flow(row) / 4}", "n,a,y\n", rows=200)
    mapping, said = plan(text, "y")
    assert mapping["kind"] == "regression"
    assert "target: missing in 1 row of 200; they are read as inputs, not scored" in said
    assert "warning: 'y' holds no number in 1 cell of 200, read as missing: 'err' in line 19" in said


def test_what_training_never_shows_and_test_never_asks_is_said(plan):
    text = lines(
        lambda row: (
            f"{stamp(row)},{level(row)},{level(row + 3) if row > 120 else ''},{5 if row < 110 else row % 9},"
            f"{level(row * 3) if row < 150 else 7.25}"
        ),
        "when,a,late,stuck,y\n",
        rows=200,
    )
    said = " ".join(plan(text, "y")[1])
    assert "warning: 'late' has no value in the training part, so nothing can be learnt of it; leave it out" in said
    assert "warning: 'stuck' is the same throughout the training part, so nothing can be learnt of what changes" in said
    assert "warning: target 'y' is 7.25 throughout the test part, so a constant is all that it asks for" in said


def test_units_of_the_file_are_those_of_the_task(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(lines(lambda row: f"{row},{level(row)},{flow(row) / 2}", "n,level,y\ns,[degC],m³/h\n", rows=200))
    task = table.load({"table": str(path), "target": "y"})
    assert [feature.unit for feature in task.features] == ["degC"] and task.target_unit == "m³/h"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"decimal": ";"}, ValueError, "decimal must be a point or a comma, the mark before decimals; got ';'"),
        ({"missing": {"a": 1}}, TypeError, "missing must be a list of values, or of texts COLUMN=VALUE; got"),
        ({"missing": [None]}, TypeError, "missing must be a list of values"),
    ],
)
def test_options_that_cannot_be_had(plan, asked, error, words):
    with pytest.raises(error, match=re.escape(words)):
        plan(plain(), "flow", **asked)


@pytest.mark.parametrize("name", ["level\n(m)", "le\n\nvel", 'le "v"\nel', "a,\nb"])
def test_names_may_hold_line_breaks(read, name):
    quoted = '"' + name.replace('"', '""') + '"'
    made = read(f"when,{quoted},flow\n" + lines(lambda row: f"{stamp(row)},{level(row)},{flow(row)}"))
    assert made.frame.columns == ["when", name, "flow"]
    assert made.frame[name].to_list() == [level(row) for row in range(made.frame.height)]
    first = 2 + name.count("\n")
    assert made.lines is not None and made.lines[0] == first


def aligned(names, units, rows=ROWS):
    body = (f"  {row:4d} {row % 12 + 1:3d}{level(row):9.2f}{flow(row):8d}" for row in range(rows))
    return "\n".join((names, units, *body)) + "\n"


@pytest.mark.parametrize(
    ("names", "units", "expected"),
    [
        ("  year mon    level    flow", "                  m     l/s", {"level": "m", "flow": "l/s"}),
        ("  year mon    level    flow", "                        l/s", {"flow": "l/s"}),
        ("  year mon    level    flow", "     d              mm/hour", {"year": "d", "flow": "mm/hour"}),
        ("  year mon  level    flow", "             deg C     l/s", {"level": "deg C", "flow": "l/s"}),
        ('  year mon  "a b"    flow', "                m        s", {"a b": "m", "flow": "s"}),
    ],
)
def test_units_below_some_names_belong_to_the_columns_that_they_stand_in(read, names, units, expected):
    made = read(aligned(names, units))
    assert made.units == expected and made.frame.height == ROWS and not made.warnings
    assert made.frame["flow"][3] == flow(3)


@pytest.mark.parametrize(
    "text",
    [
        lines(lambda row: f"{row} {row % 12} {level(row)} {flow(row)}", "year mon level flow\nm l/s\n"),
        lines(lambda row: f"{row},{level(row)},{flow(row)}", "year,level,flow\nm,l/s\n"),
        lines(lambda row: f"{row}\t{level(row)}\t{flow(row)}", "year\tlevel\tflow\ns\tm\tl/s\tmm\t%\n"),
    ],
)
def test_units_of_which_it_is_not_plain_where_they_belong_are_not_used(read, text):
    made = read(text)
    (said,) = [line for line in made.warnings if "which belongs to which" in line]
    assert said.startswith("line 2 (") and said.endswith("; none is used")
    assert made.units == {} and made.frame["flow"][3] == flow(3)


def test_units_below_names_with_line_breaks(read):
    made = read('when,"water\nlevel",flow\n,m,l/s\n' + lines(lambda row: f"{stamp(row)},{level(row)},{flow(row)}"))
    assert made.units == {"water\nlevel": "m", "flow": "l/s"} and made.frame["flow"][0] == flow(0)


def test_all_trailing_nul_bytes_are_counted(read):
    made = read(plain().encode() + b"\0\0\0\r\n\0\n")
    assert made.warnings == ["the file ends in 4 NUL bytes, which are left out; it may be cut off"]


def test_two_currencies_are_not_one_unit(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("t,one,two\n" + "\n".join(f"{k},€{k}.5,{'€' if k % 9 else '$'}{k}.5" for k in range(1, 90)))
    found = columns.read(path)
    assert found.frame["one"].to_list() == [k + 0.5 for k in range(1, 90)]
    assert found.frame["two"].dtype == pl.String and found.frame["two"][0] == "€1.5"


@pytest.mark.parametrize(
    "cells",
    [
        [f"{k / 4} kW" if k % 2 else f"{k * 250} W" for k in range(60)],
        [f"{k / 4} kW" if k % 9 else f"{k * 250} W" for k in range(60)],
        [f"€{k}.5" if k % 3 else f"$ {k}.5" for k in range(60)],
        [f"{k} °C" if k % 3 else f"{k} °F" for k in range(60)],
    ],
)
def test_numbers_in_several_units_are_refused_or_left_out_in_words(tmp_path, cells):
    path = tmp_path / "t.csv"
    path.write_text("t,load,y\n" + "\n".join(f"{k},{cell},{k % 7}" for k, cell in enumerate(cells)))
    found = columns.read(path)
    assert re.search("several units, such as .*; write all of them in one|holds numbers, but", found.spoilt["load"])
    with pytest.raises(ValueError, match=r"target 'load' holds numbers"):
        table.plan({"table": str(path), "target": "load"})


@pytest.mark.parametrize(("name", "odd"), [("temp (°C)", True), ("temp_kW", True), ("t (°F)", False), ("temp", False)])
def test_cells_in_another_unit_than_their_name_are_said(read, name, odd):
    _, made = column_of(read, [f"{k} °F" for k in range(60)], name=name)
    assert any("but its cells say °F" in line for line in made.warnings) == odd


@pytest.mark.parametrize(
    "cells",
    [[f"{k} kW" for k in range(60)], [f"{k} apples" if k % 2 else f"{k} pears" for k in range(60)], list("ab") * 30],
)
def test_one_unit_and_words_are_not_several_units(tmp_path, cells):
    path = tmp_path / "t.csv"
    path.write_text("t,load,y\n" + "\n".join(f"{k},{cell},{k % 7}" for k, cell in enumerate(cells)))
    assert not columns.read(path).spoilt


def test_yes_and_no_in_several_spellings_are_said(read):
    _, made = column_of(read, ["yes", "no", "1", "0"] * 10)
    assert any("'c' spells yes and no in several ways ('0', '1', 'no', 'yes')" in line for line in made.warnings)
    for cells in (["yes", "no"] * 20, ["Yes", "no"] * 20, ["1", "0"] * 20, ["y", "n", "maybe"] * 14, ["t", "f"] * 20):
        assert not column_of(read, cells)[1].warnings
    assert not columns.may_be_missing(pl.Series(["true", "false", "1", "0"] * 10))
    assert columns.may_be_missing(pl.Series(["true", "false", "unknown", "true"] * 10)) == [("unknown", 10, True)]


@pytest.mark.parametrize(
    ("cells", "hexadecimal"),
    [
        ([f"{32 + k * 37 % 64:02X}" for k in range(60)], True),
        ([f"1{k * 37 % 100:02d}{k * 37 % 16:x}" for k in range(60)], True),
        ([f"{k}" if k % 3 else "bad" for k in range(60)], False),
    ],
)
def test_hexadecimal_numbers_are_not_told_to_be_emptied(read, cells, hexadecimal):
    told = column_of(read, cells)[1].spoilt.get("c", "")
    assert ("holds hexadecimal numbers, as" in told) == hexadecimal and ("empty those" in told) != hexadecimal


def column_of(read, cells, name="c", **asked):
    made = read(f"{name}\tn\n" + "\n".join(f"{cell}\t{row}" for row, cell in enumerate(cells)), "mine.tsv", **asked)
    return made.frame[name], made


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["4D2", "11D7", "3d9"], None),
        (["4D-1", "4D-2", "5D-1"], None),
        (["7E10", "4E2", "12E3"], r"'7E10', taken for codes and not for numbers.*with a point or a sign \(7\.0E10\)"),
        (["7e1", "4e2", "12", "5e5"], "taken for codes"),
        (["2E4", "2F4", "1024", "9911", "5310"], None),
        (["2E4", "2D4", "1024", "9911", "5310"], None),
    ],
)
def test_codes_that_look_like_numbers_with_an_exponent(read, cells, words):
    column, made = column_of(read, cells * 6)
    assert column.to_list() == cells * 6
    assert not made.warnings if words is None else re.search(words, made.warnings[0])


@pytest.mark.parametrize(
    "cells",
    [
        ["1e20"] * 90 + [str(row / 4) for row in range(30)],
        [str(row) for row in range(40)] + ["3E5", "2e3"],
        ["1E+05", "2E+07", "3E-02"] * 5,
        ["1.0E5", "2.5E7", "3.E2"] * 5,
    ],
)
def test_numbers_with_an_exponent(read, cells):
    column, made = column_of(read, cells)
    assert column.to_list() == pd.Series(cells).astype(float).to_list()
    bare = next((cell for cell in cells if re.fullmatch(r"\d+[eE]\d+", cell)), None)
    told = [f"file: {bare!r} in 'c' is read as the number {float(bare):.10g}"] if bare else []
    assert made.remarks == told and not made.warnings


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [(["2.5D1", "4D2", "0.5d-1"], [25.0, 400.0, 0.05]), (["1D+02", "3D-02"], [100.0, 0.03])],
)
def test_fortrans_numbers_are_said(read, cells, numbers):
    column, made = column_of(read, cells)
    assert column.to_list() == numbers
    assert made.remarks == ["file: 'c' is written with D before exponents, as Fortran does"]


def test_identifiers_keep_their_exponents(read):
    cells = ["3E5", "300000", "12", "13", "14", "15"] * 3
    column, made = column_of(read, cells, labels=lambda name: name == "c")
    assert column.to_list() == cells and not made.warnings


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(gzip.compress(plain().encode())), "unpacked, this is compressed with gzip; unpack it, and name"),
        (gzip.compress(b"PK\x03\x04 and so on"), "unpacked, this is a zip archive or a spreadsheet; unpack it"),
    ],
    ids=["gzip", "zip"],
)
def test_what_is_packed_twice(read, content, words):
    with pytest.raises(ValueError, match=re.escape(f"mine.csv.gz: {words}")):
        read(content, "mine.csv.gz")


@pytest.mark.parametrize("target", ["/proc/self/mem", "/proc/self/maps"])
def test_files_that_the_system_makes_up_are_empty(tmp_path, target):
    path = tmp_path / "mine.csv"
    try:
        path.symlink_to(target)
        path.stat()
    except OSError:
        pytest.skip("a system without /proc")
    with pytest.raises(ValueError, match=r"mine\.csv: the file is empty"):
        columns.read(path)
    with pytest.raises(ValueError, match=r"must end in \.csv, "):
        columns.read(path.resolve())


def test_a_file_larger_than_memory_is_refused_in_words(tmp_path, monkeypatch):
    path = tmp_path / "mine.csv"
    path.write_text(plain())

    class Huge:
        st_size = 2**62

    monkeypatch.setattr(type(path), "stat", lambda self, **_: Huge)
    with pytest.raises(ValueError, match=r"cannot be read \(it has 4,611,686,018,427,387,904 bytes, more than memory"):
        columns.read(path)


@pytest.mark.parametrize(
    ("cell", "number"), [("12,34,567", 1234567), ("1,00,000.5", 100000.5), ("-9,87,65,432", -98765432)]
)
def test_thousands_as_india_sets_them_apart(read, cell, number):
    column, made = column_of(read, [cell, "1,23,456", "999"] * 4)
    assert column.to_list() == [number, 123456, 999] * 4
    (remark,) = made.remarks
    assert remark.startswith(f"file: 'c' is written with commas between thousands ({cell!r} is {number}")


def test_numbers_with_words_are_shown_where_they_are_left_out(plan):
    def row(number):
        return f"{number},{number * 7} {'km' if number % 4 else 'm'},{level(number)},{flow(number) / 2}"

    said = plan("when,dist,x,y\n" + lines(row, rows=90), "y")[1]
    assert "'dist' holds numbers in several units, such as '0 m' and '7 km'; write all of them in one" in "".join(said)


def test_words_that_count_as_missing_among_numbers_are_said(read):
    cells = ["1", "Unknown", "0", "NA", "none"] * 8
    column, made = column_of(read, cells)
    assert column.to_list() == [1, None, 0, None, None] * 8
    told = "'Unknown' and 'none' in 16 cells of 'c', whose others are numbers, counts as missing"
    assert made.remarks == [f"file: {told}"] and not made.warnings
    _, made = column_of(read, cells, target="c")
    assert made.warnings == [f"{told}; if it is a class, write a number for it"]
    assert not column_of(read, ["1", "NA", "-", ""] * 8)[1].remarks


def test_whole_numbers_of_any_width_in_parquet(tmp_path):
    path = tmp_path / "mine.parquet"
    rows = range(60)
    pl.DataFrame(
        {
            "hash": pl.Series([2**63 + row**2 for row in rows], dtype=pl.UInt64),
            "short": pl.Series([row * 37 % 101 for row in rows], dtype=pl.UInt8),
            "y": [flow(row) for row in rows],
        }
    ).write_parquet(path)
    found = columns.read(path)
    assert found.frame["hash"].to_list() == [str(2**63 + row**2) for row in rows]
    assert "file: 'hash' is read as text, since numbers would not keep its 60 distinct values apart" in found.remarks
    assert found.frame["short"].dtype == pl.Int64
    mapping, _ = table.complete({"table": str(path), "target": "y"})
    assert mapping["features"] == ["short"]


@pytest.mark.parametrize("accents", [1, 3])
def test_a_bad_byte_costs_its_own_cell_and_no_other(read, accents):
    places = ["Zürich"] * accents + ["Bern"] * (ROWS - accents)
    content = lines(lambda row: f"{row},{places[row]}", "row,place\n").encode()
    spoilt = content.replace(b"30,Bern", b"30,K\xf6ln")
    made = read(spoilt)
    assert made.frame["place"].to_list() == [*places[:30], "K\ufffdln", *places[31:]]
    assert made.warnings == ["the file is UTF-8 but for a byte in line 32, read as '\ufffd'"]
    other = read(content.decode().encode("cp1252"))
    assert other.frame["place"].to_list() == places and "read as Windows-1252" in other.remarks[0]


CODES = {
    "ICD9_CODE": ["250.00", "250.0", "401.9", "428.0"],
    "diagnosis": ["250.00", "V45.81", "E880.9"],
    "zip": ["01067", "10115", "80331"],
    "weather_code": ["3", "51", "95"],
    "statusCode": ["200", "404", "500"],
    "Product No": ["100.10", "100.20", "205.10"],
}


@pytest.mark.parametrize("name", CODES)
def test_codes_in_figures_are_no_numbers(plan, name):
    cells = CODES[name]
    content = lines(
        lambda row: f"{row},{cells[row % 7 % len(cells)]},{level(row)},{flow(row)}", f"t,{name},x,y\n", rows=200
    )
    mapping, said = plan(content, "y")
    task = table.load(mapping)
    assert [f.name for f in task.features if f.name != "x"] == [f"{name} = {cell}" for cell in sorted(cells)]
    assert any(line.startswith(f"file: {name!r} is read as text") for line in said)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", CODES)
def test_a_target_of_codes_is_classes_unless_amounts_are_asked_for(plan, name):
    cells = CODES[name]
    content = lines(lambda row: f"{row},{cells[row % 7 % len(cells)]},{level(row)}", f"t,{name},x\n", rows=200)
    mapping, said = plan(content, name)
    assert mapping["kind"] == "classification" and table.load(mapping).classes == tuple(sorted(cells))
    # Zeros in front keep a target's figures text under any name.
    assert name == "zip" or any(line.startswith(f"file: {name!r} is read as text") for line in said)
    if name != "diagnosis":
        assert plan(content, name, kind="regression")[0]["kind"] == "regression"
    amounts = lines(lambda row: f"{row},{row * 7919 % 200 / 8},{level(row)}", f"t,{name},x\n", rows=200)
    assert plan(amounts, name)[0]["kind"] == "regression"


def test_many_codes_are_no_features(plan):
    content = lines(lambda row: f"{row},{row % 13},{level(row)},{flow(row)}", "t,status_code,x,y\n", rows=200)
    mapping, said = plan(content, "y")
    (out,) = [line for line in said if line.startswith("left out: ")]
    assert out == "left out: 'status_code' holds codes by its name, 13 distinct ones (rename it if they are amounts)"
    assert mapping["features"] == ["x"]
    with pytest.raises(ValueError, match=r"must not name 'status_code': it holds codes by its name, 13 distinct"):
        plan(content, "y", features=["x", "status_code"])


def test_codes_of_a_form_are_no_numbers_whatever_their_name(plan):
    def form(row):
        return f"{row},{f'V{row % 3 + 10}.1' if row % 20 == 7 else f'{row % 2 + 401}.9'},{level(row)},{flow(row)}"

    mapping, said = plan(lines(form, "t,c,x,y\n", rows=200), "y")
    assert "file: 'c' is read as text, codes such as '401.9'" in said
    assert len(table.load(mapping).features) == 2 + 3 + 1


def test_figures_with_zeros_in_front_are_asked_about(plan):
    content = lines(
        lambda row: f"{row},{('01067', '10115')[row % 2]},{level(row)},{flow(row)}", "t,ort,x,y\n", rows=200
    )
    assert (
        "warning: 'ort' holds figures such as '01067', read as numbers; if they are codes, leave it out (--features)"
        in plan(content, "y")[1]
    )


def test_a_minus_behind_a_number_is_one(read):
    column, made = column_of(read, ["20.16-", "3.5", "1,020.00-", "7"] * 4)
    assert column.to_list() == [-20.16, 3.5, -1020.0, 7.0] * 4
    assert "file: 'c' is written with the minus behind negative numbers ('20.16-')" in made.remarks


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1-", "2", "3-", "3", "10"], True),
        ([mark + sign for mark in "12345" for sign in ("+", "", "-")], True),
        (["2+", "2", "2-", "3", "4"], False),
        (["15-", "2", "3-", "3"], False),
        (["1.5-", "2", "3-", "3"], False),
        (["0", "2-", "3-", "3"], False),
    ],
)
def test_marks_with_a_sign_behind_are_told_from_negative_numbers(plan, cells, told):
    content = lines(lambda row: f"{row},{cells[row % len(cells)]},{flow(row)},{level(row)}", "t,mark,x,y\n", rows=200)
    found = [line for line in plan(content, "y")[1] if "for '2-'" in line]
    assert bool(found) == told and all("'mark' h" in line for line in found)


@pytest.mark.parametrize("cells", [["20.16", "-3", "7.5-", "8.1-", "9-"], ["20.5", "2.5k", "3.1k", "7.7k"]])
def test_the_cell_that_spoils_a_column_is_shown_with_its_line(plan, cells):
    content = lines(lambda row: f"{row},{cells[row % len(cells)]},{level(row)},{flow(row)}", "t,v,x,y\n", rows=200)
    content = re.sub(r"(?m)^(\d+),([^,]*\d)([-k]),", lambda cell: f"{cell[1]},{cell[1]}{cell[2]}{cell[3]},", content)
    (out,) = [line for line in plan(content, "y")[1] if line.startswith("left out")]
    first = next(number for number, line in enumerate(content.splitlines(), 1) if re.search(r",[^,]*\d[-k],", line))
    what = f"cells such as '.*-' in line {first}, which are read as|shortened numbers, '.*k' in line {first} "
    assert re.search(f"'v' holds ({what})", out), out


def test_a_unit_that_few_cells_have_is_no_number(read):
    column, made = column_of(read, [f"{row}.5 mg" if row % 40 else "0.5 g" for row in range(200)])
    assert column.to_list() == [row + 0.5 if row % 40 else None for row in range(200)]
    assert any("'0.5 g' in line 2" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("first", "second"), [("Temp (°C)", "Temp (°F)"), ("speed [km/h]", "speed_mph"), ("Level [m]", "level [ft]")]
)
def test_a_quantity_in_two_units_is_warned_of(plan, first, second):
    content = lines(
        lambda row: f"{row},{level(row)},{1.8 * level(row) + 32:.1f},{flow(row) / 2}", f"t,{first},{second},y\n"
    )
    mapping, said = plan(content, "y")
    assert (
        f"warning: {first!r} and {second!r} are one quantity in two units; leave one of them out (--features)" in said
    )
    assert mapping["features"] == [first, second]
    assert [f.unit for f in table.load(mapping).features] == [words.unit_in(name)[1] for name in (first, second)]


def test_a_column_of_units_that_change_is_warned_of_and_is_no_identifier(plan):
    content = lines(
        lambda row: f"{row},{level(row)},{('mg/dL', 'mmol/L')[row // 7 % 2]},{flow(row) / 2}",
        "t,value,unit,y\n",
        rows=200,
    )
    assert [line for line in plan(content, "y")[1] if line.startswith("warning")] == [
        "warning: 'unit' says that values are in 'mg/dL', 'mmol/L'; numbers in several units count as they stand: "
        "bring them to one unit first"
    ]


def test_a_letter_that_comes_again_beside_one_number_is_a_category(plan):
    content = lines(
        lambda row: f"{row},{'a' if row % 30 == 4 else 0},{level(row)},{flow(row)}", "t,holiday,x,y\n", rows=200
    )
    mapping, said = plan(content, "y")
    assert [feature.name for feature in table.load(mapping).features] == ["holiday = 0", "holiday = a", "x"]
    assert not [line for line in said if "no number" in line]


def with_remark(row_form, names="when,level,flow,remark", rows=40):
    return lines(row_form, names + "\n", rows=rows)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (with_remark(lambda row: f"{stamp(row)},{'1,250' if row == 9 else 900 + row},{flow(row)},"), 11),
        (with_remark(lambda row: f"{stamp(row)},{'7' if row % 9 else '7,5'},{flow(row)},"), 2),
        (with_remark(lambda row: f"{stamp(row)}\t{level(row)}\t{'' if row != 20 else chr(9)}{flow(row)}\t").replace(
            "when,level,flow,remark", "when\tlevel\tflow\tremark"), 22),
        (with_remark(lambda row: f"{stamp(row)},{'a, b' if row == 3 else 'a'},{level(row)},,",
            "when,who,level,flow,remark"), 5),
        (with_remark(lambda row: f"{stamp(row)},{'1,250' if row % 2 else 9},{flow(row)},", "when,level,flow,"), 3),
    ],
    ids=["thousands", "decimal commas", "a tab too many", "two empty columns", "a column without a name"],
)  # fmt: skip
def test_a_cell_too_many_before_an_empty_last_column_is_refused(read, content, line):
    # A reader that cuts rows at their ends would have put flow under remark.
    with pytest.raises(ValueError, match=f"line {line} has .* cells, but line 1 has .* names"):
        read(content)


@pytest.mark.parametrize(
    ("content", "pair"),
    [
        (with_remark(lambda row: f"{stamp(row)},{row},{row * 7 % 100:02d},{flow(row)},"), "0,00"),
        (with_remark(lambda row: f"{stamp(row)},Ames, J.,{level(row)},{flow(row)},", "when,who,level,flow,remark"),
         "Ames, J."),
    ],
)  # fmt: skip
def test_a_comma_in_a_cell_of_each_row_is_no_separator_at_their_ends(read, content, pair):
    with pytest.raises(ValueError, match=re.escape(f"{pair!r} may be one cell with a ',' in it")):
        read(content)


def test_a_separator_at_the_end_of_each_row_is_one_where_the_decimal_mark_is_given(read):
    content = lines(lambda row: f"{stamp(row)},{row},{row * 7 % 100:02d},\n", "when,level,flow\n", end="")
    assert read(content, decimal=".").frame["flow"].to_list() == [row * 7 % 100 for row in range(ROWS)]


def test_a_separator_at_the_end_of_some_rows_makes_no_column_where_no_row_lacks_its_last_cell(read):
    end = {3: ",", 8: ",,"}
    table = read(lines(lambda row: f"{stamp(row)},{level(row)},{flow(row)}{end.get(row, '')}", "when,level,flow\n"))
    assert table.frame["flow"].to_list() == [flow(row) for row in range(ROWS)]
    assert "file: 2 rows end in a separator with nothing behind it, which makes no column" in table.remarks


def years(first, last):
    return [str(year) for year in range(first, last)]


WORLD_BANK = {
    "an indicator's file": (
        '"Data Source","World Development Indicators",\r\n\r\n"Last Updated Date","2024-05-30",\r\n\r\n'
        '"Country Name","Country Code","Indicator Name","Indicator Code",'
        + "".join(f'"{year}",' for year in years(1990, 2010))
        + "\r\n"
        + "".join(
            f'"{name}","{name[:3].upper()}","GDP, now","NY.GDP",' + "".join(f'"{k}.5",' for k in range(20)) + "\r\n"
            for name in ("Chad", "Chile", "Cuba")
        ),
        "skiprows=4",
    ),
    "a databank's file": (
        "Series Name,Series Code,Country Name,Country Code,"
        + ",".join(f"{year} [YR{year}]" for year in years(1990, 2010))
        + "\n"
        + "".join(
            f'"GDP, now",NY.GDP,{name},{name[:3].upper()},..,' + ",".join(f"{k}.5" for k in range(1, 20)) + "\n"
            for name in ("Chad", "Chile", "Cuba")
        )
        + ",,,\nData from database: World Development Indicators,,,\n",
        "skiprows=0",
    ),
}


def followed(problem, folder, monkeypatch):
    """What the lines of pandas in an error write to ``long.csv``."""
    monkeypatch.chdir(folder)
    exec(problem.split("in pandas: ")[1], {"pandas": pd})
    return pl.read_csv(folder / "long.csv")


@pytest.mark.parametrize(("content", "skipped"), WORLD_BANK.values(), ids=WORLD_BANK)
def test_tables_of_the_world_bank_are_refused_with_the_way_to_rows(read, tmp_path, monkeypatch, content, skipped):
    with pytest.raises(ValueError, match="of the World Bank, which is wide: it has a column for each year") as problem:
        read("\ufeff" + content)
    assert skipped in str(problem.value)
    long = followed(str(problem.value), tmp_path, monkeypatch)
    assert long.columns == ["Country Name", "year", "GDP, now"] and len(long) == 60
    assert long["GDP, now"].gather([1, 19, 59]).to_list() == [1.5, 19.5, 19.5]
    (tmp_path / "long.csv").rename(tmp_path / "again.csv")
    mapping = {"table": str(tmp_path / "again.csv"), "target": "GDP, now"}
    assert table.complete(mapping)[0]["time"] == "year"


@pytest.mark.parametrize("keys", ["freq,unit,geo\\TIME_PERIOD", "unit,geo\\time"])
def test_tables_of_eurostat_are_refused_with_the_way_to_rows(read, tmp_path, monkeypatch, keys):
    some = ["12.3 p", "-4 ", ": ", ": c", "1.05 b"]
    front = "M,PC," if keys.startswith("freq") else "PC,"
    content = lines(
        lambda row: f"{front}G{row:02}\t" + "\t".join(some * 4),
        keys + "\t" + "\t".join(f"{year} " for year in years(1990, 2010)) + "\n",
    )
    with pytest.raises(
        ValueError, match="a table of Eurostat, which is wide: it has a column for each period"
    ) as problem:
        read(content, "mine.tsv")
    long = followed(str(problem.value), tmp_path, monkeypatch)
    assert {"time", "unit", "geo", "value"} <= set(long.columns) and len(long) == 20 * ROWS
    of_one = long.filter(geo="G07").sort("time")["value"]
    assert of_one.head(5).to_list() == [12.3, -4, None, None, 1.05]


def test_countries_and_years_in_rows_are_read(read):
    found = read(
        lines(
            lambda row: f"Chad,TCD,GDP,{1960 + row},{level(row)}", "Country Name,Country Code,Indicator Name,year,x\n"
        )
    )
    assert found.frame["x"].to_list() == [level(row) for row in range(ROWS)]


SHORTENED = {
    "millions": (lambda row: f"{row + 0.25:.2f}M", 1e6 * 12.25),
    "thousands among others": (lambda row: f"{row + 0.5}k" if row % 3 else str(row * 100), 1200),
    "in German": (lambda row: f'"{row},5 Mio."', 12.5e6),
    "dollars": (lambda row: f"${row}.5bn", 12.5e9),
}


@pytest.mark.parametrize(("form", "twelfth"), SHORTENED.values(), ids=SHORTENED)
def test_shortened_numbers_are_left_out_with_the_way_to_numbers(tmp_path, form, twelfth):
    path = tmp_path / "mine.csv"
    content = lines(lambda row: f"{stamp(row)},{form(row)},{flow(row)},{level(row)}", "when,volume,x,y\n")
    path.write_text(content)
    said = "".join(table.complete({"table": str(path), "target": "y"})[1])
    first = 0 if "$" in content or "Mio" in content or "M," in content else 1
    cell = form(first).strip('"')
    assert f"'volume' holds shortened numbers, {cell!r} in line {first + 2} and" in said
    frame = {"table": pd.read_csv(path)}
    exec(said.split("in pandas: ")[1].split(".astype(float)")[0] + ".astype(float)", frame)
    assert frame["table"]["volume"].to_list()[12] == pytest.approx(twelfth)
    with pytest.raises(ValueError, match="target 'volume' holds shortened numbers"):
        table.complete({"table": str(path), "target": "volume"})


def test_few_shortened_numbers_are_missing_with_a_warning(read):
    found = read(lines(lambda row: f"{stamp(row)},{'0.68M' if row == 7 else 5000 + row}", "when,volume\n"))
    assert found.frame["volume"].null_count() == 1
    (warning,) = found.warnings
    assert "'0.68M' in line 9; write shortened numbers in full" in warning
    # Distances of races are categories.
    found = read(lines(lambda row: f"{stamp(row)},{5 * (row % 2 + 1)}K", "when,race\n"))
    assert not found.spoilt and found.frame["race"].n_unique() == 2


def test_a_dash_for_zero_is_warned_of(tmp_path):
    path = tmp_path / "mine.csv"
    for zero, expected in (("-", 1), ("0", 0), ("", 0)):
        cells = [zero if row % 4 == 0 else str(9 + row % 50) for row in range(100)]
        path.write_text("cases,x\n" + "\n".join(f"{cell},{row}.5" for row, cell in enumerate(cells)))
        found = columns.read(path).warnings
        assert (
            sum("'-' in 25 cells of 'cases' counts as missing, and no cell is 0" in line for line in found) == expected
        )


def test_a_decimal_mark_that_reads_as_one_between_thousands_is_warned_of(tmp_path):
    path = tmp_path / "mine.csv"
    cells = [f"24,{310 + row}" if row % 20 == 3 else f"25.{row % 90 + 10}" for row in range(200)]
    path.write_text("t;m\n" + "\n".join(f"{row};{cell}" for row, cell in enumerate(cells)))
    (warning,) = [line for line in columns.read(path).warnings if "between thousands" in line]
    assert "('24,313' is 24313), in 10 cells alone, and all others are 25.99 at most" in warning


def test_a_column_may_have_any_name(tmp_path):
    draws = np.random.default_rng(0)
    for name in ("count", "value", "len", "literal", "index"):
        numbers = draws.integers(12, 26, 200).astype(float)
        numbers[::50] = -1
        frame = pl.DataFrame({name: numbers, "x": draws.normal(size=200), "y": draws.normal(size=200)})
        path = tmp_path / f"{name}.csv"
        frame.write_csv(path)
        for target in (name, "y"):
            assert table.load({"table": str(path), "target": target}).name == name
        for cells in (
            ["NA", "DE", "FR", "IT"],
            ["12 kg", "13", "n/a", "14"],
            ["good", "bad", "good", "good"],
            ["7", "x", "9", "8"],
        ):
            frame.with_columns(pl.Series(name, [cells[row % 4] for row in range(200)])).write_csv(path)
            assert table.plan({"table": str(path), "target": "y"}).lines


@pytest.mark.parametrize(
    ("column", "asked"),
    [
        pytest.param([None] * 40, {"group": "subject", "time": "time"}, id="empty beside groups"),
        pytest.param([1e300 * (row % 3) for row in range(40)], {}, id="numbers beyond whole ones"),
    ],
)
def test_columns_of_nothing_and_of_huge_numbers_end_in_words(tmp_path, column, asked):
    path = tmp_path / "odd.csv"
    rows = {"subject": [row % 4 for row in range(40)], "time": range(40)} if asked else {}
    draws = np.random.default_rng(0).normal(size=40)
    pl.DataFrame({**rows, "x": pl.Series(column, dtype=pl.Float64), "y": draws}).write_csv(path)
    try:
        assert table.plan({"table": str(path), "target": "y", **asked}).lines
    except ValueError as problem:
        assert str(problem).startswith("odd.csv: ")
