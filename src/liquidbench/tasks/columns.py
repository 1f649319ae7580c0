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
from numpy.typing import NDArray

from liquidbench.packed import decompressed

ENDINGS = (".csv", ".tsv", ".txt", ".parquet")

_MISSING_NUMBER = ("", "na", "n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing")
_MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
_DATE = r"^(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})(?:[T ]+(.+))?$"
_CLOCK = r"(?i)^(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?\s*([AP]M)?\s*(?:Z|UTC|([+-]\d{2}):?(\d{2}))?$"
_CLOCK_ALONE = r"^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?$"


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
    frame, remark = _join_date_and_clock(pl.DataFrame(columns))
    return frame, digest, remarks + remark


def numbers(column: pl.Series) -> pl.Series:
    """Cells as numbers, null where they are none."""
    return column.cast(pl.Float64, strict=False)


def dates(column: pl.Series) -> tuple[pl.Series, bool, list[str]]:
    """Text as dates.

    Args:
        column: of text; year, month and day in figures and in any usual order, perhaps with a time of day and zone.

    Returns:
        The dates, in UTC where they have a zone, null where a cell is none; whether day and month cannot be told
        apart; remarks for the user.
    """
    if not column.drop_nulls().head(100).str.contains(_DATE).any():
        return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us")), False, []
    cells = column.str.extract_groups(_DATE).struct.unnest()
    cells.columns = ["first", "second", "third", "clock"]
    of_day = pl.select(pl.when(cells["clock"].is_null()).then(0).otherwise(_microseconds(cells["clock"]))).to_series()

    def ordered(year: str, month: str, day: str) -> pl.Series:
        written = cells[year] + "-" + cells[month] + "-" + cells[day]
        written = written.set(cells[year].str.len_chars() != 4, None)
        date = written.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
        return (date.cast(pl.Int64) + of_day).cast(pl.Datetime("us")).alias(column.name)

    iso = ordered("first", "second", "third")
    day_first, month_first = ordered("third", "second", "first"), ordered("third", "first", "second")
    if iso.null_count() <= min(day_first.null_count(), month_first.null_count()):
        return iso, False, []
    if day_first.null_count() != month_first.null_count():
        return min(day_first, month_first, key=lambda read: read.null_count()), False, []
    # Both readings are possible throughout. Read wrongly, neighbouring days lie months apart.
    travelled = [np.nansum(np.abs(np.diff(seconds(read)))) for read in (day_first, month_first)]
    if travelled[0] == travelled[1]:
        # As for a single day: the spans are the same either way.
        return day_first, False, []
    if max(travelled) < 2 * min(travelled):
        return day_first, True, []
    better, order = (day_first, "day/month/year") if travelled[0] < travelled[1] else (month_first, "month/day/year")
    return better, False, [f"file: {column.name!r} read as {order}, in which its rows follow each other closely"]


def seconds(column: pl.Series) -> NDArray[np.float64]:
    """Seconds for dates, else numbers as they are, NaN where missing; whole numbers counted from their least.

    As floating-point numbers, nanoseconds since 1970 would not keep their last digits.
    """
    scale = 1.0
    if column.dtype.is_temporal():
        column, scale = column.cast(pl.Datetime("us")).cast(pl.Int64), 1e6
    if column.dtype.is_integer():
        column = column - column.min()
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy() / scale


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
    if text.drop_nulls().str.contains(_CLOCK_ALONE).all():
        padded = text.str.replace(r"^(\d):", "0$1:").str.replace(r"^(\d\d:\d\d)$", "$1:00")
        clock = padded.str.to_time("%H:%M:%S%.f", strict=False)
        return (clock if clock.null_count() == text.null_count() else text), []
    found, ambiguous, remarks = dates(text)
    if not ambiguous and found.null_count() == text.null_count():
        return found, remarks
    return text, []


def _microseconds(clock: pl.Series) -> pl.Series:
    """Times of day in text as microseconds since midnight UTC, null where a cell is none."""
    parts = clock.str.strip_chars().str.extract_groups(_CLOCK).struct.unnest()
    parts.columns = ["hour", "minute", "second", "half", "zone_hour", "zone_minute"]
    hour, half = parts["hour"].cast(pl.Int64), parts["half"].str.to_uppercase()
    hour = pl.select(
        pl.when(half == "PM").then(hour % 12 + 12).when(half == "AM").then(hour % 12).otherwise(hour)
    ).to_series()
    second = parts["second"].str.replace(",", ".", literal=True).cast(pl.Float64).fill_null(0.0)
    sign = pl.select(pl.when(parts["zone_hour"].str.starts_with("-")).then(-1).otherwise(1)).to_series()
    zone = parts["zone_hour"].cast(pl.Int64).fill_null(0) * 60 + sign * parts["zone_minute"].cast(pl.Int64).fill_null(0)
    minutes = hour * 60 + parts["minute"].cast(pl.Int64) - zone
    return minutes * 60_000_000 + (second * 1e6).round().cast(pl.Int64)


def _join_date_and_clock(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Make one column of times where a table has the day in one and the time of day in another."""
    clocks = [column for column in frame if column.dtype == pl.Time]
    days = [column for column in frame if column.dtype == pl.Datetime]
    if len(clocks) != 1 or len(days) != 1 or (days[0].cast(pl.Int64) % 86_400_000_000 != 0).any():
        return frame, []
    day, clock = days[0], clocks[0]
    joined = (day.cast(pl.Int64) + clock.cast(pl.Int64) // 1000).cast(pl.Datetime("us"))
    name = f"{day.name} {clock.name}"
    remark = f"file: {day.name!r} and {clock.name!r} are joined into one time, {name!r}"
    return frame.with_columns(joined.alias(day.name)).rename({day.name: name}).drop(clock.name), [remark]
