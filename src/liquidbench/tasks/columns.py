"""Columns from a file of text or Parquet, in whatever form people write numbers, dates and missing cells.

`read` finds out how a file is encoded, what separates its cells and whether its decimals have commas, and makes
each column numbers, truth values, dates, times of day or, where nothing else fits all its cells, text. What it had
to guess it says.
"""

import csv
import hashlib
import io
import re
from pathlib import Path

import numpy as np
import polars as pl

from liquidbench.packed import decompressed

ENDINGS = (".csv", ".tsv", ".txt", ".parquet")

_MISSING_NUMBER = ("", "na", "n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing")
_MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")


def read(path: Path) -> tuple[pl.DataFrame, str, list[str]]:
    """Read a table.

    Args:
        path: a file with one of the `ENDINGS`; text may be compressed, with ``.gz`` after that.

    Returns:
        The columns, as ``Float64`` or whole numbers, ``Boolean``, ``Datetime("us")``, ``Time`` or ``String`` (a
        Parquet file may hold others yet), null where a cell is missing; the file's SHA-256; remarks for the user.

    Raises:
        ValueError: in words, where the file is no table.
    """
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    packed = path.suffix.lower() == ".gz"
    ending = Path(path.stem if packed else path.name).suffix.lower()
    if ending not in ENDINGS or (packed and ending == ".parquet"):
        raise ValueError(
            f"{path.name}: the file must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} (text files also with .gz "
            "after that); a spreadsheet can be saved as CSV"
        )
    if not raw.strip():
        raise ValueError(f"{path.name}: the file is empty")
    if ending == ".parquet":
        try:
            lazy = pl.scan_parquet(io.BytesIO(raw))
            cells = lazy.select(pl.len()).collect().item() * len(lazy.collect_schema())
            if cells > 100 * len(raw) + 10_000_000:
                raise ValueError(
                    f"{path.name}: the file claims {cells:,} cells in {len(raw):,} bytes, more than data come to; if "
                    "you trust it, save it as CSV"
                )
            frame, remarks, comma = lazy.collect(), [], False
        except pl.exceptions.PolarsError as problem:
            raise ValueError(f"{path.name}: the file is damaged, or not a Parquet file") from problem
    else:
        try:
            raw = decompressed(raw) if packed else raw
        except ValueError as problem:
            raise ValueError(f"{path.name}: {problem}") from problem
        frame, remarks, comma = _cells(path.name, raw)
    if not frame.height:
        raise ValueError(f"{path.name}: the file has column names but no rows")
    columns = []
    for column in frame:
        typed, remark = _typed(column, comma)
        columns.append(typed)
        remarks += remark
    return pl.DataFrame(columns), digest, remarks


def numbers(column: pl.Series) -> pl.Series:
    """Cells as numbers, null where they are none."""
    return column.cast(pl.Float64, strict=False)


def _cells(name: str, raw: bytes) -> tuple[pl.DataFrame, list[str], bool]:
    """All columns as text; remarks; whether decimals may be written with a comma."""
    remarks = []
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        remarks.append("file: not UTF-8, so read as Latin-1; look at names with accents")
    text = text.lstrip("\r\n")
    sample = text[:100_000].splitlines(keepends=True)
    sample = "".join(sample if len(text) <= 100_000 else sample[:-1])
    separator = max(",;\t", key=lambda separator: _table_likeness(sample, separator))
    header, *rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=separator))[:50]
    header = [cell.strip() for cell in header]
    rows = [row for row in rows if row]
    if rows and all(len(row) == len(header) + 1 for row in rows):
        header = ["", *header]
        remarks.append("file: rows have one cell more than the header, so the first is taken for a row name")
    if all(re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?", cell, re.IGNORECASE) for cell in header):
        raise ValueError(
            f"{name}: the first row holds numbers ({', '.join(header[:3])}, ...) where column names are expected; "
            "put a row of names on top"
        )
    header = [cell or f"unnamed column {place + 1}" for place, cell in enumerate(header)]
    for cell in header:
        if header.count(cell) > 1:
            places = [str(place + 1) for place, other in enumerate(header) if other == cell]
            raise ValueError(
                f"{name}: column name {cell!r} occurs {len(places)} times (columns {', '.join(places)}); rename all "
                "but one, or remove copies"
            )
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()),
            has_header=False,
            skip_rows=1,
            new_columns=header,
            schema={cell: pl.String for cell in header},
            separator=separator,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError as problem:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator)):
            if len(row) > len(header):
                raise ValueError(
                    f"{name}: data row {number} has {len(row)} cells, the header {len(header)}; quote cells that hold "
                    f"a {separator!r}"
                ) from problem
        raise ValueError(f"{name}: the file cannot be read as a table; is a quotation mark left open?") from problem
    return frame, remarks, separator != ","


def _table_likeness(sample: str, separator: str) -> tuple[bool, float, int]:
    """How much text looks like a table with this separator; larger is more."""
    lengths = [len(row) for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator) if row][:50]
    several = lengths[0] > 1 and (len(lengths) == 1 or lengths[1] > 1)
    alike = float(np.mean([length == lengths[-1] for length in lengths[1:]])) if len(lengths) > 1 else 1.0
    return several, alike, lengths[0]


def _typed(column: pl.Series, decimal_comma: bool) -> tuple[pl.Series, list[str]]:
    """A column as numbers, booleans, dates, times of day or text, if all its cells can be read so; remarks."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype.is_float() or column.dtype.is_decimal() or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_nan(None), []
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")), []
    if column.dtype != pl.String:
        return column, []
    column = column.str.strip_chars()
    text = column.set(column.is_in(_MISSING_TEXT), None)
    if text.null_count() == len(text):
        return text.cast(pl.Float64), []
    figures = column.set(column.str.to_lowercase().is_in(_MISSING_NUMBER), None)
    if figures.null_count() < len(figures):
        for dtype in (pl.Int64, pl.Float64):
            cast = figures.cast(dtype, strict=False)
            if cast.null_count() == figures.null_count():
                return (cast.fill_nan(None) if dtype == pl.Float64 else cast), []
        if decimal_comma and figures.drop_nulls().str.contains(r"^[+-]?\d*,?\d+(?:[eE][+-]?\d+)?$").all():
            cast = figures.str.replace(",", ".", literal=True).cast(pl.Float64)
            return cast, [f"file: {column.name!r} is written with decimal commas"]
    lower = text.str.to_lowercase()
    if lower.drop_nulls().is_in(["true", "false"]).all():
        return lower == "true", []
    return text, []
