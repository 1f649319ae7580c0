"""A file of text as rows of cells under names, each row with the number of its line.

`read` finds out how the file is encoded, what separates its cells and which line holds the names. What stands before
the names, a row of units below them, rulers, comments and a footer are told from the data and said. Where names and
cells differ in number and it is not plain which belongs to which, the file is refused with the line: no value is
ever put under another name. What cells mean is not looked at here.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import words

BLANKS = " "
"""What `Sheet.separator` is where any run of blanks and tabs separates."""

MISSING = frozenset(
    [*("*" * length for length in range(1, 13)), *("-" * length for length in range(1, 13))]
) | frozenset(
    "|na|n/a|n.a.|n.a|#n/a|#n/a n/a|#na|<na>|nan|-nan|nat|null|(null)|nul|none|nil|?|.|..|...|"
    "missing|unavailable|not available|unknown|undefined|undef|no data|nodata|no value|invalid|"
    "n.d.|n.d|nd|\\n|#value!|#ref!|#div/0!|#name?|#num!|#null!|1.#ind|-1.#ind|1.#qnan|-1.#qnan|1.#nan".split("|")
)
"""What stands in columns of numbers, in lower case, where there is none."""

_SEPARATORS = (",", ";", "\t", "|", "\x01", BLANKS)
_SAMPLE_LINES = 400
_ROWS_THAT_TELL = 100
_SAMPLE_CHARACTERS = 2_000_000
_MOST_BEFORE_NAMES = 150
_MOST_BEFORE_WIDE = 10
_LONGEST_NAMES = 10_000
_MOST_FOOTER_LINES = 5
_END = "\x00"

# Numbers, dates and times of day in any form; no words.
_FIGURE = re.compile(
    r"[(<>~]?[+\-−$€£]?\s?[.,]?\d[\d.,:/+\-\s'’eETZ%)]*(?:[ap]\.?m\.?)?(?:UTC|GMT)?"
    r"|(?:\d{1,2}|\w{3})[-\s./]+[^\W\d]{3,9}\.?[-\s./,]+\d{2,4}.*",
    re.IGNORECASE,
)
_WORD = r"^\W*[^\W\d]"
"""The beginnings of cells whose first character, but for marks, is a letter."""
_ALIGNED = re.compile(r'"[^"]*"|\S+')
"""Cells of lines that are aligned by blanks."""
_RULER = r"^[\s\"|+:=*_~,;-]*(?:--|==|__|~~|\*\*)[\s\"|+:=*_~,;-]*$"
"""Lines that only draw; of two marks in a row, as single ones stand for missing values."""
_MAGIC = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it and give the table in it, or save the sheet as CSV"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive; unpack it and give the table in it"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it and give the table in it"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip; let its name end in .gz"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"PAR1", "a Parquet file; let its name end in .parquet"),
    (b"@relation", "an ARFF file; export the table as CSV"),
    (b"%PDF", "a PDF; export the table as CSV"),
    (b"\x89HDF", "an HDF5 file; export the table as CSV"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"{\\rtf", "a text document; save it as plain text"),
    (b"<!doctype", "a web page, perhaps an error or a login shown in place of the download; fetch the file itself"),
    (b"<html", "a web page, perhaps an error or a login shown in place of the download; fetch the file itself"),
    (b"<?xml", "XML; export the table as CSV"),
    (b"[{", "JSON; export the table as CSV"),
    (b'{"', "JSON; export the table as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS; fetch the file itself with git lfs pull"),
)


_FEWEST_BLOCKS, _ROWS_OF_A_BLOCK = 3, 8
"""Blocks of rows, and rows of each, that are no accident."""


@dataclass
class Sheet:
    """A file's cells.

    Attributes:
        cells: a column of text for each name, null or empty where a cell is.
        lines: the number in the file of each row's (first) line, from 1.
        separator: what stands between cells; `BLANKS` for runs of blanks and tabs.
        units: units by name of column, where a row below the names gives them.
        remarks: what was found out, in words.
        warnings: what deserves a look.
    """

    cells: pl.DataFrame
    lines: NDArray[np.int64]
    separator: str
    units: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


_ENCODINGS = {
    "cp1252": "Windows-1252", "cp932": "Shift-JIS", "euc-jp": "EUC-JP", "gb18030": "GB 18030", "big5": "Big5",
    "cp949": "Korean (cp949)", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "koi8-r": "KOI8-R",
}  # fmt: skip
"""Encodings that are looked for where names are known, and what they are called."""


def known_format(raw: bytes) -> str | None:
    """What a file is that is no table of text, and what to do with it; None where its beginning does not tell."""
    if raw[257:262] == b"ustar":
        return "a tar archive; unpack it and give the table in it"
    start = raw[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return next((what for magic, what in _MAGIC if start.startswith(magic.lower())), None)


def read(name: str, raw: bytes, wanted: Collection[str] = (), decimal: str | None = None) -> Sheet:
    """Read a table of text.

    Args:
        name: of the file, for errors.
        raw: the file's content, unpacked.
        wanted: names that the columns must have; among several rows that could hold the names, one with them does.
        decimal: the decimal mark where the user gave one; a comma then separates cells only where they are quoted.

    Returns:
        The cells.

    Raises:
        ValueError: in words, where the file is no table, or it is not plain which value belongs to which name.
    """
    return _Reading(name, raw, wanted, decimal).sheet


class _Reading:
    """One file being read, one method a stage."""

    def __init__(self, name: str, raw: bytes, wanted: Collection[str], decimal: str | None):
        self.name = name
        self.wanted, self.decimal = set(wanted), decimal
        self.remarks: list[str] = []
        self.warnings: list[str] = []
        text = self._decoded(raw)
        self.text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
        self.lines = _lines(self.text)
        self._refuse_periods_as_columns()
        self.quoted = '"' in self.text
        # None of these is dropped before `_cells`, so that a place in `lines` is a line's number less one.
        self.kept = np.ones(len(self.lines), dtype=bool)
        self.comments = np.zeros(0, dtype=np.int64)
        self.units_line = 0
        # Where names come again, and the rows of units below them.
        self.again = np.zeros(len(self.lines), dtype=bool)
        self.separator = self._take_excels_line()
        self._leave_out_comments()
        sample = self._sample()
        self.separator = self.separator or self._found_separator(sample, decimal)
        top = self._names_row(sample)
        self.header_line = top[0]
        self.header_end, cells = self._whole_names(top[1])
        header = [cell.strip().strip("\ufeff\u200b\xa0") for cell in cells]
        if len(header) > 1:
            header[0] = re.sub(r"^(?:%|//)\s*", "", header[0])
        self.rulers = self.lines.str.contains(_RULER).to_numpy() & self.kept
        self.kept[: self.header_end] = False
        self._leave_out_odd_comments(len(header))
        self._tell_comments()
        self._leave_out_blank_lines(len(header))
        if not self.kept.any():
            raise ValueError(f"{self.name}: the file has column names but no rows")
        units = self._units(sample, header)
        self._leave_out_rulers(len(header))
        self._leave_out_repeated_names(header)
        frame, lines = self._cells(header)
        self._refuse_second_table(frame, lines)
        self._suspect_blocks(lines)
        self._suspect_cut(frame, lines)
        units = {name: unit for name, unit in units.items() if unit and name in frame.columns}
        self.sheet = Sheet(frame, lines, self.separator, units, self.remarks, self.warnings)

    def _refuse(self, problem: str) -> NoReturn:
        raise ValueError(f"{self.name}: {problem}")

    # Bytes to text

    def _decoded(self, raw: bytes) -> str:
        if what := known_format(raw):
            self._refuse(f"this is {what}")
        for mark, encoding in (
            (b"\xff\xfe\0\0", "utf-32"),
            (b"\0\0\xfe\xff", "utf-32"),
            (b"\xff\xfe", "utf-16"),
            (b"\xfe\xff", "utf-16"),
        ):
            if raw.startswith(mark):
                return self._decoded_as(raw, encoding)
        head = raw[:2000]
        for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            if (
                len(head) > 3
                and head[first::2].count(0) > 0.9 * len(head[first::2])
                and not head[1 - first :: 2].count(0)
            ):
                return self._decoded_as(raw, encoding)
        if b"\0" in raw:
            raw = self._without_nul(raw)
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            line = raw[: problem.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
        text = raw.decode("utf-8-sig", errors="replace")
        odd = text.count("\ufffd") - raw.count("\ufffd".encode())
        # Text in another encoding has next to no letter that is one of UTF-8 by accident.
        if odd <= len(re.findall(r"[^\x00-\x7f\ufffd]", text)):
            some = f"{_number(odd, 'byte')}, the first in line {line}" if odd > 1 else f"a byte in line {line}"
            self.warnings.append(f"the file is UTF-8 but for {some}, read as '\ufffd'")
            return text
        # Names that were asked for and stand in the file in one encoding tell it.
        names = [name for name in self.wanted if not name.isascii()]
        for encoding, called in _ENCODINGS.items() if names else ():
            try:
                text = raw.decode(encoding)
                if all(name.encode(encoding) in raw for name in names):
                    self.remarks.append(
                        f"file: not UTF-8 (line {line}), so read as {called}; look at names with accents"
                    )
                    return text
            except UnicodeError:
                continue
        try:
            text, encoding, strange = raw.decode("cp1252"), "Windows-1252", False
        except UnicodeDecodeError:
            text, encoding, strange = raw.decode("latin-1"), "Latin-1", True
        # Words of other letters, in which no ASCII is.
        runs = [len(run) for run in re.findall(r"[^\x00-\x7f]+", text)]
        if strange or 2 * sum(length for length in runs if length > 2) > sum(runs):
            self.warnings.append(
                f"the file is not UTF-8 (line {line}) and was read as {encoding}, in which it is hardly text; if names "
                "or words look wrong, save it as UTF-8"
            )
        else:
            self.remarks.append(f"file: not UTF-8 (line {line}), so read as {encoding}; look at names with accents")
        return text

    def _decoded_as(self, raw: bytes, encoding: str) -> str:
        try:
            return raw.decode(encoding).lstrip("\ufeff")
        except UnicodeDecodeError as problem:
            self._refuse(
                f"the file begins as {encoding.upper()}, but byte {problem.start + 1:,} does not go on so; save it "
                "as UTF-8"
            )

    def _without_nul(self, raw: bytes) -> bytes:
        nul = b"\0"
        bare = raw.rstrip(b"\0 \r\n\t")
        if b"\0" in bare:
            line = bare[: bare.index(b"\0")].count(b"\n") + 1
            self._refuse(
                f"line {line} holds a NUL byte, which text has none of: the file is no text, or was damaged when a "
                "machine stopped; remove what is damaged"
            )
        self.warnings.append(f"the file ends in {raw.count(nul):,} NUL bytes, which are left out; it may be cut off")
        return bare

    def _refuse_periods_as_columns(self) -> None:
        """Refuse what the World Bank and Eurostat publish, with the lines of pandas that make rows of the periods."""
        head = self.lines.head(_MOST_BEFORE_WIDE).to_list()
        if head and (found := re.match(r'"?([\w,]+)\\\w+"?\s*\t', head[0])):
            joined, keys = head[0].split("\t")[0], found[1].split(",")
            self._refuse(
                "this is a table of Eurostat, which is wide: it has a column for each period, keys joined by commas in "
                "the first column, and flags beside values ('12.3 p', ':'). Give each period a row of its own first, "
                f"in pandas: t = pandas.read_csv({self.name!r}, sep='\\t', dtype=str); "
                f"t = t.melt({joined!r}, var_name='time'); "
                f"t[{keys}] = t.pop({joined!r}).str.split(',', expand=True); t['time'] = t['time'].str.strip(); "
                "t['value'] = t['value'].str.extract(r'(-?[\\d.]*\\d)', expand=False).astype(float); "
                "t.to_csv('long.csv', index=False)"
            )
        for place, line in enumerate(head):
            cells = next(_reader([line], ",")) if "Country Name" in line and len(line) < _LONGEST_NAMES else []
            names = [cell.strip("\ufeff ") for cell in cells]
            what = next((name for name in ("Indicator Name", "Series Name") if name in names), "")
            years = [name for name in names if re.fullmatch(r"(?:19|20)\d\d(?: \[YR\d{4}\])?", name)]
            if what and "Country Name" in names and len(years) > 1:
                keys = [name for name in names if name.endswith((" Name", " Code"))]
                self._refuse(
                    "this is a table of the World Bank, which is wide: it has a column for each year and a row for "
                    "each country and indicator. Give each year a row of its own, and each indicator a column, in "
                    f"pandas: t = pandas.read_csv({self.name!r}, skiprows={place}, na_values='..')"
                    f".dropna(subset=['Country Name', {what!r}]); "
                    f"t = t.melt({keys}, [name for name in t if name[:4].isdigit()], 'year'); "
                    "t['year'] = t['year'].str[:4]; "
                    f"t.pivot(index=['Country Name', 'year'], columns={what!r}, values='value').to_csv('long.csv')"
                )

    # Lines that are no rows

    def _take_excels_line(self) -> str:
        """The separator that Excel's line ``sep=;`` names."""
        first = next(iter(self.lines[:1]), "")
        if found := re.fullmatch(r'"?sep=(.|\\t)"?[;,]*', first.strip("\n "), re.IGNORECASE):
            self.kept[0] = False
            return found[1].replace("\\t", "\t")
        return ""

    def _leave_out_comments(self) -> None:
        """Drop what begins with '#' where the file begins so; else what does is looked at when rows are."""
        marked = self.lines.str.starts_with("#").to_numpy()
        there = self.lines.str.strip_chars().str.len_bytes().to_numpy() > 0
        if marked.any() and marked.mean() <= 0.9 and marked[: int(np.argmax(there & ~marked & self.kept))].any():
            self.kept &= ~marked
            self.comments = np.flatnonzero(marked) + 1

    def _leave_out_odd_comments(self, width: int) -> None:
        """Drop lines that begin with '#' and are no rows; '#1' may well be an item's number."""
        if not self.separator.strip() and self.separator != "\t":
            return
        # Where there are quotation marks, a row may go on in the next line.
        marked = self.lines.str.starts_with("#") & ~self.lines.str.contains('"', literal=True)
        marked &= self.lines.str.count_matches(self.separator, literal=True) + 1 != width
        odd = marked.to_numpy() & self.kept
        if odd.any():
            self.kept &= ~odd
            self.comments = np.union1d(self.comments, np.flatnonzero(odd) + 1)

    def _tell_comments(self) -> None:
        comments = self.comments[self.comments != self.header_line]
        if len(comments):
            self.remarks.append(
                f"file: {_number(len(comments), 'line')} beginning with '#' left out as comments, the first of them "
                f"line {comments[0]}"
            )

    def _leave_out_blank_lines(self, width: int) -> None:
        blank = (self.lines.str.strip_chars().str.len_bytes() == 0).to_numpy() & self.kept
        if not blank.any():
            return
        there = np.flatnonzero(self.kept & ~blank)
        end = int(there[-1]) + 1 if len(there) else 0
        self.kept[end:] = False
        if width == 1:
            # In a single column, an empty line is a missing value.
            return
        self.kept &= ~blank
        within = int(blank[:end].sum())
        if within:
            self.remarks.append(
                f"file: {_number(within, 'empty line')} left out, the first of them line {int(blank.argmax()) + 1}"
            )

    def _suspect_blocks(self, lines: NDArray[np.int64]) -> None:
        """Warn where lines without cells part the rows into blocks, as where recordings stand one below another."""
        if self.quoted:
            # A row may have several lines.
            return
        ends = np.flatnonzero(np.diff(lines) > 1) + 1
        if len(ends) + 1 >= _FEWEST_BLOCKS and np.diff(ends, prepend=0, append=len(lines)).min() >= _ROWS_OF_A_BLOCK:
            self.warnings.append(
                f"lines without cells, the first of them line {lines[ends[0]] - 1}, part the rows into {len(ends) + 1} "
                "blocks, but the file is read as one; if each is a recording, add a column that numbers them and name "
                "it with --group"
            )

    def _suspect_cut(self, frame: pl.DataFrame, lines: NDArray[np.int64]) -> None:
        """Warn where the file ends within a number: without a line end, and with fewer decimals than all others."""
        if self.text.endswith("\n") or frame.height < _ROWS_OF_A_BLOCK or not frame.width:
            return
        cells = frame.to_series(frame.width - 1)
        if cells.dtype != pl.String or cells[-1] is None:
            return
        decimals = cells.str.strip_chars().str.extract(r"^[-+]?\d+[.,](\d*)$").str.len_bytes().fill_null(0)
        if (decimals[:-1] >= decimals[-1] + 1).all():
            self.warnings.append(
                f"the file ends in line {lines[-1]} without a line end, with {cells[-1]!r}, which has fewer decimals "
                "than all other cells of its column; if it was cut off there, remove that row"
            )

    def _leave_out_rulers(self, width: int) -> None:
        """Drop lines that only draw."""
        if width == 1:
            # In a single column, what looks like one is a missing value.
            self.rulers &= ~self.kept
        if self.rulers.any():
            self.kept &= ~self.rulers
            some = _number(int(self.rulers.sum()), "ruler")
            self.remarks.append(f"file: {some} left out, the first of them line {int(self.rulers.argmax()) + 1}")

    def _leave_out_repeated_names(self, header: Sequence[str]) -> None:
        """Drop names that come again where files were put together, and the row of units below them."""
        if len(header) == 1:
            return
        again = (self.lines == self.lines[self.header_line - 1]).to_numpy() & self.kept
        names = _plain_names(header)
        for number, row in self._split(self._with_all(header), self.separator):
            cells = _plain_names(row)
            if cells == names:
                again[number - 1] = True
            elif sorted(cells) == sorted(names):
                self._refuse(
                    f"line {number} has the names of line {self.header_line} in another order, so that the values "
                    "below it belong to other names than those above; bring the tables that were put together into "
                    "one order of columns first (pandas.concat does)"
                )
        renamed = self._renamed(header, again)
        if renamed is not None:
            number, before, after = renamed
            again[number - 1] = True
            self.warnings.append(
                f"line {number} has names again, of which {after!r} stands where line {self.header_line} has "
                f"{before!r}: what stands below it counts as {before!r}. If it is something else, bring the tables "
                "that were put together into one order of columns first (pandas.concat does)"
            )
        if not again.any():
            return
        self.kept &= ~again
        units = [place for place in map(self._next_row, np.flatnonzero(again).tolist()) if self._are_units_again(place)]
        self.kept[units] = False
        self.warnings.append(
            f"the row of names comes again {_number(int(again.sum()), 'time')}, first in line "
            f"{int(again.argmax()) + 1}{', with a row of units below' * bool(units)}; left out, and what follows is "
            "read as going on from what stands above. If it is another recording, add a column that tells them apart "
            "and name it with --group"
        )
        self.again = again
        self.again[units] = True

    def _renamed(self, header: Sequence[str], again: NDArray[np.bool_]) -> tuple[int, str, str] | None:
        """The first line with most of the names and a word for each of the others, and the first two that differ."""
        names = [cell.strip().strip('"') for cell in header]
        # A line begins or ends as the names do, or nothing says that it has some.
        ends = self.lines.str.contains(f'^"?{re.escape(names[0])}\\b|\\b{re.escape(names[-1])}"?\\s*$').to_numpy()
        places = np.flatnonzero(ends & self.kept & ~again)
        places = places[places >= self.header_line][:_SAMPLE_LINES]
        for number, row in self._split([(int(place) + 1, self.lines[int(place)]) for place in places], self.separator):
            cells = [cell.strip() for cell in row]
            others = [pair for pair in zip(names, cells, strict=False) if pair[0].casefold() != pair[1].casefold()]
            words = all(after and not re.search(r"^\W*\d", after) and after not in names for _, after in others)
            if len(cells) == len(names) and 0 < 2 * len(others) < len(names) and words:
                return number, *others[0]
        return None

    def _refuse_second_table(self, frame: pl.DataFrame, lines: NDArray[np.int64]) -> None:
        """Refuse rows under names of their own, such as a table of least and greatest values below the data."""
        figures = _columns_of_figures(frame.head(_ROWS_THAT_TELL).fill_null("").rows(), frame.width)
        # Most tables have no such row, and are done with here; the first cell of names may be empty.
        worded = [frame.to_series(place).str.contains(_WORD).fill_null(False) for place in figures[:2]]
        rows = np.logical_or.reduce([column.to_numpy() for column in worded]) if worded else np.zeros(0, dtype=bool)
        for row in np.flatnonzero(rows)[:_SAMPLE_LINES].tolist():
            # Below names that come again, words are units, or say how values were made.
            below_names = row and self.again[lines[row - 1] : lines[row] - 1].any()
            if not below_names and self._are_other_names(frame, row, figures, bool(lines[row] - lines[row - 1] > 1)):
                self._refuse(
                    f"line {lines[row]} ({_short(self.lines[int(lines[row]) - 1].strip())}) holds words where the "
                    "columns above hold numbers, as the names of another table do, with "
                    f"{_number(frame.height - row - 1, 'row')} below. If they are another table, cut the file before "
                    "that line and save what follows as a file of its own; if not, remove that line"
                )

    @staticmethod
    def _are_other_names(frame: pl.DataFrame, row: int, figures: Sequence[int], apart: bool) -> bool:
        """Whether a row has names for what stands below it.

        These are different words side by side that no other row holds, in two columns of numbers, or in one and below
        an empty line or beside a name of the first table. What they leave empty, as where a spreadsheet fills rows up
        to the width of the data, is empty below as well, where numbers stand again.

        Args:
            frame: the file's cells.
            row: the row's place.
            figures: places of the columns of numbers.
            apart: whether there are lines without cells above it.
        """
        cells = [(cell or "").strip() for cell in frame.row(row)]
        there = [place for place, cell in enumerate(cells) if cell]
        named = [cells[place].casefold() for place in there]
        if not 0 < row < frame.height - 1 or len(set(named)) < max(len(there), 2):
            return False
        if there[0] > 1 or there[-1] - there[0] >= len(there) or not all(map(_is_name, named)):
            return False
        numbers = set(there).intersection(figures)
        known = {name.strip().casefold() for name in frame.columns}
        if not numbers or (len(numbers) < 2 and not apart and known.isdisjoint(named)):
            return False
        columns = [frame.to_series(place).fill_null("").str.strip_chars() for place in range(frame.width)]
        alike = np.logical_or.reduce([(columns[place] == cells[place]).to_numpy() for place in there])
        if frame.filter(alike).unique().height > 1:
            return False
        if any((columns[place][row + 1 :] != "").any() for place in range(there[-1] + 1, frame.width)):
            return False
        below = frame[row + 1 :].head(_ROWS_THAT_TELL).fill_null("").rows()
        return not numbers.isdisjoint(_columns_of_figures(below, frame.width))

    def _next_row(self, place: int) -> int | None:
        """Place of the next line that is kept, if there is one."""
        after = np.flatnonzero(self.kept[place:])
        return place + int(after[0]) if len(after) else None

    def _are_units_again(self, place: int | None) -> bool:
        """Whether the row below names that come again holds units; refused where they are others than above."""
        rows = [] if place is None else self._split([(place + 1, self.lines[place])], self.separator)
        cells = [cell.strip() for _, row in rows for cell in row]
        if not _are_units(cells) or any(map(_FIGURE.fullmatch, cells)):
            return False
        first_units = [(self.units_line, self.lines[self.units_line - 1])] if self.units_line else []
        above = self._split(first_units, self.separator)
        for first, second in zip((cell.strip() for _, row in above for cell in row), cells, strict=False):
            if first != second:
                self._refuse(
                    f"line {(place or 0) + 1} gives the unit {second!r} where line {self.units_line} gives {first!r}; "
                    "bring the tables that were put together to the same units first"
                )
        return True

    def _with_all(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """Number and text of the lines that hold each of several names, in whatever case, and little else."""
        places = np.flatnonzero(self.kept)
        # The longest is in the fewest lines.
        for name in sorted(names, key=len, reverse=True):
            some = r"\s+".join(map(re.escape, name.split()))
            places = places[self.lines[places].str.contains(f"(?i){some}").to_numpy()]
            if not len(places):
                return []
        beside = rf'^(?:%|//)|["\s\x{{feff}}\x{{200b}}{re.escape(self.separator)}]'
        bare = self.lines[[self.header_line - 1, *places]].str.replace_all(beside, "").str.len_chars().to_numpy()
        return [(int(place) + 1, self.lines[int(place)]) for place in places[bare[1:] == bare[0]]]

    # Separator and names

    def _sample(self) -> list[tuple[int, str]]:
        """Number and text of the first lines that are not left out."""
        sample, characters = [], 0
        places = np.flatnonzero(self.kept)[: 3 * _SAMPLE_LINES]
        for place, line in zip(places, self.lines.gather(places), strict=True):
            if line.strip():
                sample.append((int(place) + 1, line))
                characters += len(line)
            if len(sample) >= _SAMPLE_LINES or (characters > _SAMPLE_CHARACTERS and len(sample) > 12):
                break
        if not sample:
            self._refuse("the file is empty")
        return sample

    def _split(self, sample: Sequence[tuple[int, str]], separator: str) -> list[tuple[int, list[str]]]:
        """Number and cells of each row; none where a cell would have no end."""
        text = [line for _, line in sample]
        try:
            reader = _reader(text, separator)
            rows, last = [], 0
            for row in reader:
                rows.append((sample[last][0], row))
                last = reader.line_num
        except csv.Error:
            return []
        return [row for row in rows if row[1]]

    def _found_separator(self, sample: Sequence[tuple[int, str]], decimal: str | None) -> str:
        """The separator with which the sample looks most like rows under names."""
        rulers = {number for number, line in sample if re.search(_RULER, line)}

        def likeness(separator: str) -> tuple[float, ...]:
            if decimal == separator and not self.quoted:
                return (-1.0,)
            rows = [
                [cell.strip() for cell in row] for number, row in self._split(sample, separator) if number not in rulers
            ]
            if not rows:
                return (-1.0,)
            # Separators at the ends of some rows make no cells.
            shortest = [_width_without_end(row) for row in rows]
            width, alike = max(
                (
                    (
                        width,
                        sum(least <= width <= len(row) for least, row in zip(shortest, rows, strict=True)) / len(rows),
                    )
                    for width in {
                        _usual(shortest[len(rows) // 2 :]),
                        _usual([len(row) for row in rows[len(rows) // 2 :]]),
                    }
                ),
                key=lambda found: (found[1], found[0]),
            )
            named = any(
                len(row) > 1
                and least - 1 <= width <= len(row) + 1
                and 2 * sum(map(bool, row)) > least
                and not any(_FIGURE.fullmatch(cell) or cell[:1].isdigit() for cell in row)
                for least, row in zip(shortest[:_MOST_BEFORE_NAMES], rows, strict=False)
            )
            return (width > 1 and alike > 0.3, named, alike, width)

        best = max(_SEPARATORS[:-1], key=likeness)
        several, named, alike, *_ = *likeness(best), 0, 0
        # Blanks stand in names and between date and clock as well.
        if several > 0 and (alike == 1 or (named and alike >= 0.5)):
            return best
        return max(best, BLANKS, key=likeness)

    def _names_row(self, sample: Sequence[tuple[int, str]]) -> tuple[int, list[str]]:
        """Line and cells of the row that holds the names."""
        rows = [
            (number, [cell.strip() for cell in row])
            for number, row in self._split(sample, self.separator)
            if not re.search(_RULER, self.lines[number - 1])
        ]
        if not rows:
            line = next((number for number, line in sample if len(line) > 100_000), sample[0][0])
            self._refuse(f"line {line} holds a cell of more than 100,000 characters; is a quotation mark left open?")
        width = _usual([len(row) for _, row in rows[len(rows) // 2 :]])
        body = [row for _, row in rows[len(rows) // 2 :] if len(row) == width]
        figures = _columns_of_figures(body, width)
        top = rows[:_MOST_BEFORE_NAMES]

        def has_figures(row: list[str]) -> bool:
            return any(place < len(row) and _FIGURE.fullmatch(row[place]) for place in figures)

        commented = self._commented_names(width)
        # Empty cells at the ends of all rows may have no names.
        least = _usual([_width_without_end(row) for row in body])
        wordy = [
            row
            for row in top
            if least - 1 <= len(row[1]) and _width_without_end(row[1]) <= width + 1 and not has_figures(row[1])
        ]
        named = [(row, row[1][: _width_without_end(row[1])]) for row in wordy]
        full = [row for row, cells in named if len(cells) >= least and all(cells[1:]) and len(set(cells)) == len(cells)]
        full = [row for row in full if len(row[1]) >= width] or full
        holding = [row for row in (*top[:1], *wordy) if self.wanted and self.wanted <= set(row[1])]
        likely = holding and (figures or holding[0] == top[0])
        if likely and not (holding[0] == top[0] and self._is_data(top[0][1], [row for _, row in rows[1:]])):
            chosen = holding[0]
        elif commented is not None and (not wordy or has_figures(top[0][1])):
            chosen = commented
        elif figures and wordy:
            chosen = full[0] if full else max(wordy, key=lambda row: sum(map(bool, row[1])))
        else:
            chosen = next((row for row in top if len(row[1]) == width), top[0])
            if self._is_data(chosen[1], [row for _, row in rows[1:]]):
                some = ", ".join(chosen[1][:3]) + (", ..." if len(chosen[1]) > 3 else "")
                self._refuse(
                    f"the first row holds numbers ({some}) where column names are expected; put a row of names on top"
                )
        if len(chosen[1]) == 1 and (found := re.search(r"[,;\t|]", chosen[1][0])) and self.quoted:
            self._refuse(
                f"line {chosen[0]} is one cell in quotation marks with {found[0]!r} in it; if each line is quoted "
                "as a whole, remove the quotation marks around the lines"
            )
        before = [number for number, _ in top if number < chosen[0]]
        if before:
            first = self.lines[before[0] - 1].strip()
            self.remarks.append(
                f"file: {_number(len(before), 'line')} before the names left out, the first of them line {before[0]} "
                f"({_short(first)}); the names are in line {chosen[0]}"
            )
        return chosen

    def _whole_names(self, names: list[str]) -> tuple[int, list[str]]:
        """Line in which the row of names ends, and its cells: names in quotation marks may hold line breaks."""
        lines = self.lines[self.header_line - 1 : self.header_line - 1 + _SAMPLE_LINES]
        if lines[0].startswith("#") or lines[0].count('"') % 2 == 0:
            return self.header_line, names
        reader = _reader(lines, self.separator)
        names = next(reader)
        return self.header_line + reader.line_num - 1, names

    def _commented_names(self, width: int) -> tuple[int, list[str]] | None:
        """The names, where a comment above the first row holds them: the one with the wanted ones, or the last."""
        found = []
        for place in range(int(np.argmax(self.kept))):
            if self.lines[place].startswith("#"):
                line = self.lines[place].lstrip("# \t")
                row = [cell.strip() for cell in next(iter(_reader([line], self.separator)), [])]
                found.append((place + 1, row))
        right = [row for row in found if len(row[1]) == width and all(row[1])]
        holding = [row for row in right if self.wanted and self.wanted <= set(row[1])]
        return holding[0] if holding else right[-1] if right and right[-1] == found[-1] else None

    @staticmethod
    def _is_data(row: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
        """Whether a row of numbers or dates is like all others, and so no row of names."""
        if all(re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?", cell, re.IGNORECASE) for cell in row):
            return True
        if not any(any(map(str.isdigit, cell)) for cell in row):
            return False
        for place, cell in enumerate(row):
            shapes = {re.sub(r"\d+", "0", other[place]) for other in others if place < len(other)}
            like = (
                any(map(_FIGURE.fullmatch, shapes)) if _FIGURE.fullmatch(cell) else re.sub(r"\d+", "0", cell) in shapes
            )
            if not like:
                return False
        return True

    def _units(self, sample: Sequence[tuple[int, str]], header: Sequence[str]) -> dict[str, str]:
        """Units by name, from a row right below the names; other rows of words there are left out and said."""
        rows = [(number, row) for number, row in self._split(sample, self.separator) if number > self.header_end]
        width = _usual([len(row) for _, row in rows]) if rows else 0
        figures = _columns_of_figures([row for _, row in rows[len(rows) // 2 :] if len(row) == width], width)
        units: dict[str, str] = {}

        def of_words(row: tuple[int, list[str]]) -> bool:
            cells = [row[1][place].strip() for place in figures if place < len(row[1])]
            # A row that goes on in the next line is none of units.
            whole = self.lines[row[0] - 1].count('"') % 2 == 0
            return (
                whole
                and not any(map(_FIGURE.fullmatch, cells))
                and any(cell.lower() not in MISSING or cell == "-" for cell in cells)
            )

        for number, row in list(takewhile(of_words, rows))[: _MOST_FOOTER_LINES if len(rows) > 10 else 1]:
            cells = [cell.strip() for cell in row]
            there = [cell for cell in cells if cell]
            if self.lines[number - 1] == self.lines[self.header_line - 1]:
                continue
            self.kept[number - 1] = False
            if all(re.fullmatch(r"[-=_+:]+", cell) for cell in there):
                self.rulers[number - 1] = True
                continue
            if not units and _are_units(there):
                self.units_line = number
                cells = self._below_names(number, cells, header, [line for line, _ in rows])
                if cells is None:
                    self.warnings.append(
                        f"line {number} ({_short(self.lines[number - 1].strip())}) holds units, but "
                        f"{_number(len(there), 'unit')} for {_number(len(header), 'name')}, so that it is not plain "
                        "which belongs to which; none is used"
                    )
                    continue
                units = {
                    name: "1" if cell == "-" else cell.strip("[]() ") for name, cell in zip(header, cells, strict=True)
                }
                said = ", ".join(f"{name!r} in {unit}" for name, unit in units.items() if unit)
                self.remarks.append(f"file: line {number} holds units, read as such ({_short(said, 120)})")
            else:
                self.warnings.append(
                    f"line {number} ({_short(self.lines[number - 1].strip())}) stands between the names and the first "
                    "numbers and holds none; it is left out"
                )
        return units

    def _below_names(
        self, number: int, cells: list[str], header: Sequence[str], below: Sequence[int]
    ) -> list[str] | None:
        """The cells of a row of units, one for each name; None where it is not plain which belongs to which.

        Blanks leave no cell where a name has no unit, so that units then belong to the column that they stand in.
        """
        if self.separator == BLANKS:
            names, units, *rows = (self.lines[line - 1].expandtabs() for line in (self.header_line, number, *below))
            # A mark before the names is none of them.
            aligned = _aligned(re.sub("^(?:#|%|//)", " ", names), units, rows)
            if len(aligned) == len(header):
                return aligned
        if len(cells) == len(header) + 1 and cells[-1]:
            # Rows have a name in front, which has none itself.
            return cells[1:]
        width = max(_width_without_end(cells), len(header))
        return cells[:width] if min(width, len(cells)) == len(header) else None

    # Lines to cells

    def _cells(self, header: list[str]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        places = np.flatnonzero(self.kept)
        lines = self.lines if len(places) == len(self.lines) else self.lines.gather(places)
        if not len(lines):
            self._refuse("the file has column names but no rows")
        numbers = places + 1
        separator = self.separator
        rows: list[list[str]] | None = None
        quoted = self.quoted and lines.str.contains('"', literal=True).any()
        if separator == BLANKS and not quoted:
            lines, separator = lines.str.strip_chars().str.replace_all(r"[ \t]+", "\t"), "\t"
        bare = lines
        if quoted:
            bare = lines.str.replace_all(r'"[^"]*"', "q")
            if separator == BLANKS or bare.str.contains('"', literal=True).any():
                rows, numbers = self._rows_by_hand(lines, numbers)
        if rows is None:
            widths = bare.str.count_matches(separator, literal=True).to_numpy().astype(np.int64) + 1
        else:
            widths = np.array([len(row) for row in rows])
        left_out = self._reconciled(header, widths, numbers, lambda at: _widths_without_end(rows, bare, separator, at))
        keep = np.ones(len(widths), dtype=bool)
        keep[left_out] = False
        numbers = numbers[keep]
        ragged = len(np.unique(widths[keep])) > 1
        if rows is None and not ragged:
            as_it_is = keep.all() and len(places) == len(self.lines) - places[0] and self.separator != BLANKS
            if not keep.all():
                lines = lines.filter(keep)
            text = self._from_line(int(places[0])) if as_it_is else lines.str.join("\n").item()
            try:
                frame = self._by_polars(text, separator, int(widths[keep][0]))
            except pl.exceptions.PolarsError:
                frame = None
            if frame is not None and frame.height == len(lines):
                return self._named(frame, header, numbers), numbers
            rows, _ = self._rows_by_hand(lines, numbers)
        else:
            if rows is None:
                rows, _ = self._rows_by_hand(lines, places + 1)
            rows = [row for row, there in zip(rows, keep, strict=True) if there]
        total = max(map(len, rows))
        columns = {str(place): [row[place] if place < len(row) else "" for row in rows] for place in range(total)}
        return self._named(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), header, numbers), numbers

    def _rows_by_hand(self, lines: pl.Series, numbers: NDArray[np.int64]) -> tuple[list[list[str]], NDArray[np.int64]]:
        """Rows whose cells may hold line breaks, and their first lines; slower."""
        rows: list[list[str]] = []
        first: list[int] = []
        last = 0
        # A quotation mark that is never closed takes this line too.
        reader = _reader([*lines, _END], self.separator)
        try:
            for row in reader:
                if last == len(lines):
                    return rows, np.array(first, dtype=np.int64)
                rows.append(row)
                first.append(int(numbers[last]))
                if 1 < reader.line_num - last and reader.line_num <= len(lines):
                    self._tell_break(first[-1], int(numbers[reader.line_num - 1]))
                last = reader.line_num
        except csv.Error:
            pass
        # Where the open cell was too long or took the last line, its row began at `last` or is the last.
        line = int(numbers[last]) if last < len(lines) else first[-1]
        self._refuse(
            f"a cell that begins in line {line} has no end, so the file cannot be read as a table; is a quotation mark "
            "left open?"
        )

    def _tell_break(self, first: int, last: int) -> None:
        if not any("line break" in warning for warning in self.warnings):
            self.warnings.append(
                f"a cell in quotation marks holds a line break, first from line {first} to {last}; if no cell should, "
                "a quotation mark is missing or too many there"
            )

    def _from_line(self, place: int) -> str:
        start = 0
        for _ in range(place):
            start = self.text.index("\n", start) + 1
        return self.text[start:]

    @staticmethod
    def _by_polars(text: str, separator: str, width: int) -> pl.DataFrame:
        names = [str(place) for place in range(width)]
        return pl.read_csv(
            io.BytesIO(text.encode()),
            has_header=False,
            new_columns=names,
            schema=dict.fromkeys(names, pl.String),
            separator=separator,
            raise_if_empty=False,
        )

    def _reconciled(
        self,
        header: list[str],
        widths: NDArray[np.int64],
        numbers: NDArray[np.int64],
        widths_without_end: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    ) -> NDArray[np.int64]:
        """Rows to leave out; the others have a cell for each name, and perhaps empty ones behind.

        The header may be changed: a separator at its end goes, a row name comes in front.
        """
        usual = _usual(widths)
        while len(header) > 1 and len(header) > usual and not header[-1]:
            header.pop()
        names = len(header)
        if len(widths) > 1:
            footer = np.flatnonzero(widths[-_MOST_FOOTER_LINES:] < names) + max(len(widths) - _MOST_FOOTER_LINES, 0)
            # One line that is cut off, or some of words alone.
            while len(footer) and not (footer[-1] == len(widths) - 1 and (widths[footer[0] :] < names).all()):
                footer = footer[1:]
            if len(footer) > 1 and (widths[footer] > 1).any():
                footer = footer[-1:] if (widths[-2] >= names) else footer[:0]
            if len(footer) == len(widths) or names == 1 or usual < names:
                footer = footer[:0]
        else:
            footer = np.zeros(0, dtype=np.int64)
        for place in footer:
            line = int(numbers[place])
            self.warnings.append(
                f"line {line} at the end of the file has fewer cells than there are names; it is left out "
                f"({_short(self.lines[line - 1].strip())})"
            )
        there = np.ones(len(widths), dtype=bool)
        there[footer] = False
        longer = np.flatnonzero((widths > names) & there)
        if len(longer) and self._ends_bare(
            header, longer, np.flatnonzero((widths == names) & there), widths_without_end
        ):
            alike = len(longer) == there.sum()
            if alike and (parted := self._parted(header, numbers)):
                self._refuse(
                    f"line {numbers[longer[0]]} and all others end in one cell more than line {self.header_line} has "
                    f"names, with nothing in it, and {parted} may be one cell with a {self.separator!r} in it, so it "
                    "is not plain which value belongs to which name. If it is one, quote such cells, or save the table "
                    "with semicolons between cells; if each row only ends in a separator, remove those, or say "
                    "--decimal . (decimal: in a study)"
                )
            some = _number(len(longer), "row")
            which = "each row ends" if alike else f"{some} {'ends' if len(longer) == 1 else 'end'}"
            self.remarks.append(f"file: {which} in a separator with nothing behind it, which makes no column")
            surplus = longer
        else:
            surplus = longer[:0]
            if (widths[there] == names + 1).all() and self._are_row_names(longer, numbers):
                self.remarks.append(
                    "file: rows have one cell more than the header, a count in quotation marks, so the first is taken "
                    "for a row name"
                )
                header.insert(0, "")
                return footer
        wrong = there & (widths != names)
        wrong[surplus] = False
        if wrong.any():
            self._refuse_widths(header, widths, numbers, wrong)
        return footer

    @staticmethod
    def _ends_bare(
        header: Sequence[str],
        longer: NDArray[np.int64],
        others: NDArray[np.int64],
        widths_without_end: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    ) -> bool:
        """Whether what rows have more than there are names are empty cells at their ends, and no other rows end empty.

        Where others lack the last value too, a cell that the separator parts in two moves all that follow it under the
        names of their neighbours and looks just so.
        """
        ends = widths_without_end(others)
        named = _width_without_end(header)
        return bool((widths_without_end(longer) <= max(named, *ends, 0)).all() and (ends >= named).all())

    def _parted(self, header: Sequence[str], numbers: NDArray[np.int64]) -> str:
        """Two cells of the first row that commas may part in each row, as in ``20,5`` or ``Meyer, K.``; else empty."""
        if self.separator != "," or self.decimal == ".":
            return ""
        lines = [(int(number), self.lines[int(number) - 1]) for number in numbers[:_SAMPLE_LINES]]
        rows = [row for _, row in self._split(lines, self.separator)]
        columns = list(zip(*(row[: len(header)] for row in rows), strict=False))
        blank = [all(cell[:1] == " " for cell in column) for column in columns]
        for place in range(1, len(columns)):
            decimals = {cell.strip() for cell in columns[place]}
            # As many figures in each row, but not the two of a flag.
            alike = len({len(cell) for cell in decimals}) == 1 and len(decimals) > 2
            whole = all(re.fullmatch(r"[+-]?\d+", cell.strip()) for cell in columns[place - 1])
            number = whole and alike and all(cell.isdecimal() for cell in decimals)
            if number or (blank[place] and not all(blank[1:])):
                return repr(f"{rows[0][place - 1]},{rows[0][place]}")
        return ""

    def _are_row_names(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> bool:
        """Whether the first cells count, in quotation marks that other numbers do not have, as R's row names do."""
        lines = self.lines.gather(numbers[rows] - 1)
        bare = re.escape(self.separator) + r"-?\d[\d.eE+-]*"
        if not lines.str.contains(f"{bare}(?:{re.escape(self.separator)}|$)").all():
            return False
        firsts = lines.str.extract(r'^"(\d+)"').cast(pl.Int64, strict=False)
        return not firsts.null_count() and bool((firsts.diff().drop_nulls() > 0).all())

    def _refuse_widths(
        self, header: list[str], widths: NDArray[np.int64], numbers: NDArray[np.int64], wrong: NDArray[np.bool_]
    ) -> NoReturn:
        place = int(wrong.argmax())
        line, cells, names = int(numbers[place]), int(widths[place]), len(header)
        many = int(wrong.sum())
        what = f"line {line} has {_number(cells, 'cell')}, but line {self.header_line} has {_number(names, 'name')}"
        if many == len(widths) and many > 1 and len(np.unique(widths)) == 1:
            way = (
                f"Each row is so. Add the {'names that are' if cells - names > 1 else 'name that is'} missing to line "
                f"{self.header_line}"
                if cells > names
                else f"Each row is so. Remove what names nothing from line {self.header_line}, or add the missing cells"
            )
            if cells > names and self.separator == ",":
                way += "; if commas are decimal marks too, save the table with semicolons between cells"
                if names == 1:
                    way += ", or read them as decimal marks with --decimal ,"
            if self.separator == BLANKS:
                way += "; names and cells must hold no blanks, or be quoted"
        else:
            others = (
                f" ({_number(many, 'line')} of {len(widths)} {'has' if many == 1 else 'have'} another number of cells)"
            )
            way = f"Quote cells that hold a {self.separator!r}, or correct the line{others}"
            if cells < names:
                way = f"Add what is missing, or remove the line{others}"
        self._refuse(f"{what}, so it is not plain which value belongs to which name. {way}")

    def _named(self, frame: pl.DataFrame, header: list[str], numbers: NDArray[np.int64]) -> pl.DataFrame:
        """The columns under their names, without the empty ones at the edges that have none."""
        frame = frame[:, : len(header)]
        drawn = self.separator == "|"
        for edge in (0, -1) if drawn else (-1,):
            while len(header) > 1 and not header[edge] and _is_empty(frame[:, edge]):
                frame = frame.drop(frame.columns[edge])
                header.pop(edge)
        names = [cell or f"unnamed column {place + 1}" for place, cell in enumerate(header)]
        for cell, count in Counter(names).items():
            if count > 1:
                places = [str(place + 1) for place, other in enumerate(names) if other == cell]
                self._refuse(
                    f"column name {_short(cell)!r} occurs {count} times (columns {', '.join(places)} of line "
                    f"{self.header_line}); rename all but one, or remove copies"
                )
        frame.columns = names
        return frame


def _reader(lines: Iterable[str], separator: str) -> Any:
    if separator == BLANKS:
        lines = (line.strip().replace("\t", " ") for line in lines)
        return csv.reader((line + "\n" for line in lines), delimiter=" ", skipinitialspace=True)
    return csv.reader((line + "\n" for line in lines), delimiter=separator)


def _lines(text: str) -> pl.Series:
    """All lines of a text, empty ones included, without what ends them."""
    if "\x01" not in text:
        # Five times as fast as splitting in Python.
        lines = pl.read_csv(
            io.BytesIO(text.encode()),
            has_header=False,
            schema={"line": pl.String},
            separator="\x01",
            quote_char=None,
            raise_if_empty=False,
        )["line"].fill_null("")
        if len(lines) == text.count("\n") + (not text.endswith("\n")):
            return lines
    return pl.Series("line", text.removesuffix("\n").split("\n"), dtype=pl.String)


def _widths_without_end(
    rows: list[list[str]] | None, lines: pl.Series, separator: str, at: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Numbers of these rows' cells, the empty ones at their ends not counted."""
    if rows is not None:
        return np.array([_width_without_end(rows[place]) for place in at])
    bare = lines.gather(at).str.strip_chars_end(f" {separator}")
    return bare.str.count_matches(separator, literal=True).to_numpy().astype(np.int64) + 1


def _width_without_end(row: Sequence[str]) -> int:
    return next((place for place in range(len(row), 0, -1) if row[place - 1].strip()), 0)


def _usual(lengths: Iterable[int] | NDArray[np.int64]) -> int:
    """The most frequent; of equally frequent ones the largest."""
    values, counts = np.unique(np.asarray(list(lengths)), return_counts=True)
    return int(values[len(counts) - 1 - int(np.argmax(counts[::-1]))])


def _aligned(names: str, units: str, rows: Iterable[str]) -> list[str]:
    """The unit below each name where lines are aligned, one below another; nothing where they are not.

    Args:
        names: the line that holds them.
        units: likewise.
        rows: lines of the table, of which those with as many cells as there are names say how wide its columns are.
    """
    places = [[found.span() for found in _ALIGNED.finditer(line)] for line in (names, *rows)]
    spans = np.array([of for of in places if len(of) == len(places[0])])
    starts, ends = spans[..., 0].min(axis=0), spans[..., 1].max(axis=0)
    if len(spans) < 2 or (starts[1:] < ends[:-1]).any():
        return []
    cells = [""] * len(starts)
    for found in _ALIGNED.finditer(units):
        over = np.flatnonzero((starts < found.end()) & (ends > found.start()))
        if len(over) != 1:
            return []
        cells[over[0]] = f"{cells[over[0]]} {found[0]}".strip()
    return cells


def _plain_names(cells: Sequence[str]) -> list[str]:
    """Names without the empty ones at their end, in lower case unless only case tells some apart."""
    names = [" ".join(cell.strip("\ufeff\u200b\xa0 ").split()) for cell in cells[: _width_without_end(cells)]]
    names[:1] = [re.sub(r"^(?:%|//)\s*", "", name) for name in names[:1]]
    folded = [name.casefold() for name in names]
    return folded if len(set(folded)) == len(set(names)) else names


def _is_name(cell: str) -> bool:
    """Whether a cell may be the name of a column: a word in small letters, and no mark of a missing value."""
    return cell not in MISSING and re.search(_WORD, cell) is not None and not _FIGURE.fullmatch(cell)


def _are_units(cells: Sequence[str]) -> bool:
    """Whether most cells, of those that are not empty, are units."""
    there = [cell for cell in cells if cell]
    return bool(there) and 2 * sum(map(words.below_names, there)) >= len(there)


def _columns_of_figures(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Places of the columns that mostly hold numbers, dates or times of day."""
    places = []
    for place in range(width):
        cells = [cell for row in rows if (cell := row[place].strip()).lower() not in MISSING]
        if cells and sum(bool(_FIGURE.fullmatch(cell)) for cell in cells) >= 0.6 * len(cells):
            places.append(place)
    return places


def _is_empty(column: pl.Series) -> bool:
    return bool((column.fill_null("").str.strip_chars() == "").all())


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _short(text: str, most: int = 60) -> str:
    """Text for a message: without what moves the cursor, and not longer than so."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."
