"""Control characters in names are visible, and spreadsheets do not evaluate names."""

import csv
import io
import unicodedata

import pytest

from liquidbench.system.names import cell, shown


@pytest.mark.parametrize(
    "hidden", ["\x1b[31m", "\x07", "\x00", "\r", "\x9b2J", "\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\u2028"]
)
def test_what_is_not_seen_is_spelt_out(hidden):
    told = shown(f"a{hidden}b")
    assert told.isprintable() and told.startswith("a\\") and told.endswith("b")


def test_what_is_seen_stays():
    for text in ("speed [km/h]", "Größe", "大きさ", "حجم", "नमस्ते", "👩\u200d🔬", "50 % – “so”"):
        assert shown(text) == text


def test_lines_stay_where_there_may_be_some():
    assert shown("a\tb\n\x1b", lines=True) == "a\tb\n\\x1b"
    assert shown("a\tb\n") == "a\\tb\\n"


def test_every_control_and_mark_of_direction_is_spelt_out():
    marks = [chr(code) for code in range(0x110000) if unicodedata.bidirectional(chr(code)) in BIDI]
    assert len(marks) == 9
    for letter in [*marks, *map(chr, range(32)), *map(chr, range(127, 160))]:
        assert shown(letter).isascii() and shown(letter).isprintable()


BIDI = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text):
    written = io.StringIO()
    csv.writer(written).writerow([cell(text)])
    (row,) = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert row == [f"'{text}"]


@pytest.mark.parametrize("text", ["", "flow", "-1.5", "+3e4", "a=b", "'=1"])
def test_other_cells_stay(text):
    assert cell(text) == text
