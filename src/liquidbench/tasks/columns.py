"""Columns from a file of text or Parquet, in whatever form people write numbers, dates and missing cells.

`read` makes each column numbers, truth values or, where neither fits its cells, text; dates are text as yet.
`liquidbench.tasks.reading` finds the cells, `liquidbench.tasks.numerals` reads numbers. What was guessed is said.

- A few cells that are no number in a column of numbers become missing, and are counted and shown.
- What tells things apart (identifiers, classes) stays text where numbers would not keep it: ``007``, twenty digits.
- ``NA`` among words is a value where it is as frequent as the others, or they are codes of the same kind.
"""

import difflib
import hashlib
import io
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.system.packed import decompressed
from liquidbench.tasks import numerals, reading, summaries, words
from liquidbench.wording import listed

ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet")
BAD_CELLS = 0.05
"""Share of cells that are no numbers up to which a column is one of numbers, and those cells missing."""

_PACKED = (".zip", ".tar", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".lz4", ".7z", ".rar", ".z")
"""Endings of archives and compressed files that are not read."""

_MISSING_TEXT = (
    *("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?", "---", "----", "#N/A", "<NA>", "\\N", "(null)"),
    *("#VALUE!", "#REF!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"),
)
"""What stands in columns of words where there is none, as it is written."""
_MISSING_WORDS = frozenset(
    "n/a|n.a.|n.a|#n/a|#n/a n/a|#na|<na>|(null)|not available|unavailable|no data|nodata|no value|undefined|undef|"
    "k.a.|k. a.".split("|")
) | {"-" * length for length in range(2, 13)}
"""The same in any case."""
_MAY_BE_MISSING = (reading.MISSING - _MISSING_WORDS - {"", "na"}) | frozenset(
    "unk|unkn|tbd|not known|not specified|not recorded|not stated|unbekannt|keine angabe|inconnu|desconocido|"
    "sconosciuto|onbekend|не известно|неизвестно|不明|未知".split("|")
)
"""What may be missing in a column of words, or a value: nothing was found, or nobody knows; in lower case."""
_AMOUNTS_OF_NONE = frozenset("mild minor slight low light weak some partial few moderate little small single".split())
"""Words beside which none is the least of a scale."""


class Table(NamedTuple):
    """A file's columns.

    Attributes:
        frame: as ``Float64`` or whole numbers, ``Boolean``, ``Datetime("us")``, ``Time`` or ``String`` (a Parquet
            file may hold others yet), null where a cell is missing.
        digest: the file's SHA-256.
        remarks: what was found out or guessed, in words.
        warnings: what deserves a look.
        units: units of columns, where a row of the file or their cells give them.
        bad: columns of numbers some of whose cells hold none, and are missing therefore.
        spoilt: columns of text that would be of numbers but for many cells; what is said of each.
        padded: a cell of columns of numbers whose figures are all of one length, with zeros in front, as codes are.
        lines: number in the file of each row's line; None for Parquet.
        marks: decimal marks of columns of text that hold points or commas.
    """

    frame: pl.DataFrame
    digest: str
    remarks: list[str]
    warnings: list[str]
    units: dict[str, str]
    bad: list[str]
    spoilt: dict[str, str]
    padded: dict[str, str]
    lines: NDArray[np.int64] | None
    marks: dict[str, str]

    def at(self, row: int) -> str:
        """Where a row stands in the file, rows counted from 0."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


def read(
    path: Path,
    *,
    wanted: Collection[str] = (),
    target: str | None = None,
    labels: Callable[[str], bool] = lambda name: False,
    codes: Callable[[str], bool] = lambda name: False,
    decimal: str | None = None,
    usual: str | None = None,
    missing: Sequence[object] = (),
    fewest: int = 1,
) -> Table:
    """Read a table.

    Args:
        path: a file with one of the `ENDINGS`; text may be compressed, with ``.gz`` after that.
        wanted: names that the columns must have; by them the row of names is known where several could be it.
        target: the column whose values may be classes.
        labels: whether a column of this name tells things apart, so that its cells are kept as they are written.
        codes: whether figures in a column of this name are codes, which are text.
        decimal: the decimal mark of all numbers, a point or a comma; found out if None.
        usual: the decimal mark where nothing in the file tells it; None if there is no other knowledge of that.
        missing: values that mean that there is none: a value, for all columns, or text ``column=value``. ``column=``
            alone leaves only empty cells missing in a column of text.
        fewest: rows below which a table that is much wider than it is long is refused, before its cells are looked at.

    Returns:
        The columns.

    Raises:
        ValueError: in words, where the file is no table.
    """
    packed = path.suffix.lower() == ".gz"
    ending = Path(path.stem if packed else path.name).suffix.lower()
    if ending not in ENDINGS or (packed and ending == ".parquet"):
        hint = (
            "unpack it and give the table in it"
            if path.suffix.lower() in _PACKED or packed
            else "a spreadsheet can be saved as CSV"
        )
        raise ValueError(
            f"{path.name}: the file must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} (text files also with .gz "
            f"after that); {hint}"
        )
    raw = _content(path)
    digest = hashlib.sha256(raw).hexdigest()
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
            table = Table(lazy.collect(), digest, [], [], {}, [], {}, {}, None, {})
        except pl.exceptions.PolarsError as problem:
            raise ValueError(f"{path.name}: the file is damaged, or not a Parquet file") from problem
        separator = None
    else:
        try:
            raw = decompressed(raw) if packed else raw
        except ValueError as problem:
            raise ValueError(f"{path.name}: {problem}") from problem
        if packed and (what := reading.known_format(raw)):
            raise ValueError(
                f"{path.name}: unpacked, this is {what.split(';')[0]}; unpack it, and name the table in it"
            )
        sheet = reading.read(path.name, raw, wanted, decimal)
        table = Table(sheet.cells, digest, sheet.remarks, sheet.warnings, sheet.units, [], {}, {}, sheet.lines, {})
        separator = sheet.separator
    if sums := summaries.named(table.frame):
        rows = listed((f"{what!r} in {table.at(row)}" for row, what in sums.items()), 4, quote=False)
        table.warnings.append(f"rows named as what sums up others are left out: {rows}")
        kept = np.delete(np.arange(table.frame.height), list(sums))
        table = table._replace(frame=table.frame[kept], lines=None if table.lines is None else table.lines[kept])
    if not table.frame.height:
        raise ValueError(f"{path.name}: the file has column names but no rows")
    rows, width = table.frame.shape
    if rows < fewest and width > _SIDEWAYS * rows:
        raise ValueError(
            f"{path.name}: the file has {_count(rows, 'row')} and {width:,} columns; expected a row for each time "
            f"step, at least {fewest}, and a column for each quantity. If times run along the columns, turn the table "
            "round (in pandas: table.T)"
        )
    try:
        asked = _by_column(missing, table.frame.columns)
        frame = _Typing(table, separator, target, labels, codes, decimal, usual, asked).frame
    except ValueError as problem:
        raise ValueError(f"{path.name}: {problem}") from problem
    return table._replace(frame=frame)


@dataclass(frozen=True)
class Sentinel:
    """A number that stands apart from all others of its column, as those do that mean that there is none.

    Attributes:
        value: the number.
        count: how many rows have it.
        least, most: range of the other values.
    """

    value: float
    count: int
    least: float
    most: float


def sentinels(column: pl.Series, recordings: NDArray[np.int64] | None = None) -> list[Sentinel]:
    """Numbers that may well mean that there is no value.

    A number is suspected if it is the least or the greatest of its column, with a gap to the others

    - wider than they range, and it is one that is often used so (-999, 9999, -200, 32767, ...);
    - wider than three times their range, and many rows have it;
    - wide for the bulk of them and for the gaps between those of them that are near it, where it is 0 in a few rows
      in a hundred or more, or twice as far off as they range, or any number that comes again and again as the others
      do not, though not in so many rows that it is as usual as they are, unless it is 0 from where a recording begins
      on, or until it ends, and never else, as before a sensor was installed;
    - of any width, where it is such a number, the only negative one (or a 100, the only positive one), and several
      rows have it. For -1, which may be a class or a direction, the others have to be many, or have decimals, or the
      gap has to be wider than those between the least of them;
    - wider than those between the values next to it, where it is such a number or at the end of a machine's range
      (255, 65535, ...), several rows have it, and the rows beside these have values from anywhere;
    - a 9 in several rows beyond a scale of answers, such as 1 to 5; 8 and 9, or 7 to 9, scattered in fewer rows than
      any answer, or far beyond the scale. What is the same throughout most recordings is counted by these.

    Negative numbers of one figure beside others that have no sign are codes together, where there is a gap between
    them, or where they come more often than the least of the others do.

    What goes on from the others by a step like theirs is one of them, as 95 to 99 are beside 92, 93 and 94, and so is
    the next of doses such as 0.01, 0.1 and 1.

    Args:
        column: numbers, in the order of their rows.
        recordings: number of each row's recording; None if all rows are of one.
    """
    numbers = column.cast(pl.Float64).drop_nulls().drop_nans()
    if codes := _negative_codes(numbers) or _beyond_answers(column, recordings):
        rest = numbers.filter(~numbers.is_in(codes))
        least, most = float(rest.min()), float(rest.max())  # pyright: ignore[reportArgumentType]
        found = [Sentinel(code, int((numbers == code).sum()), least, most) for code in codes]
        return found + sentinels(rest)
    usual, outer = numbers, []
    for end in (pl.Series.min, pl.Series.max):
        while len(outer) < _MOST_SENTINELS and len(usual):
            value = float(end(usual))  # pyright: ignore[reportArgumentType]
            alone = value == 100 and len(usual) > 1 and bool((usual.filter(usual != value) < 0).all())
            if not (alone or is_often_missing(value) or value in _OF_BYTES):
                break
            outer.append(value)
            usual = usual.filter(usual != value)
    outer = _apart(outer, usual)
    usual = numbers.filter(~numbers.is_in(outer)) if outer else numbers
    found = [sentinel for value in outer if (sentinel := _suspected(numbers, usual, value, often_used=True))]
    known = [sentinel.value for sentinel in found]
    numbers = numbers.filter(~numbers.is_in(known)) if known else numbers
    not_installed = _is_at_an_end(column, recordings)
    for end in (pl.Series.min, pl.Series.max):
        if len(numbers):
            value = float(end(numbers))  # pyright: ignore[reportArgumentType]
            usual = numbers.filter(numbers != value)
            if sentinel := _suspected(numbers, usual, value, often_used=False, not_installed=not_installed):
                found.append(sentinel)
    if "temperature" in words.quantities(column.name):
        known = [sentinel.value for sentinel in found]
        usual = numbers.filter(~numbers.is_in(known)) if known else numbers
        found += [sentinel for value in _OF_THERMOMETERS if (sentinel := _of_no_reading(usual, value))]
    return found


def at_an_end(column: pl.Series, codes: Sequence[float]) -> list[Sentinel]:
    """Those of some codes for missing values that stand beyond all other values of a column, or come far more often.

    Beyond them, they stand apart, or come more often than the values next to them do, as 98 and 99 beside ages.

    Args:
        column: numbers.
        codes: what stands apart in other columns of the table.
    """
    numbers = column.cast(pl.Float64).drop_nulls().drop_nans()
    values, counts = np.unique(numbers.filter(~numbers.is_in(codes)).to_numpy(), return_counts=True)
    if len(values) < _FEWEST_CATEGORIES:
        return []
    found = []
    for code in codes:
        count = int((numbers == code).sum())
        order = np.argsort(np.abs(values - code))[: _NEAR + 1]
        distances = np.abs(values - code)[order]
        apart = distances[0] > 2 * np.diff(distances).max()
        piled = count >= _FEWEST_CATEGORIES and count > _PILED * counts[order].mean()
        beyond = not values[0] <= code <= values[-1] and (apart or piled)
        if count and beyond or count > _HEAPED * counts.max():
            found.append(Sentinel(code, count, float(values[0]), float(values[-1])))
    return found


def is_often_missing(value: float) -> bool:
    """Whether a number, such as -999 or 9999, is one that is often written where there is none.

    Example:
        >>> is_often_missing(-999.0), is_often_missing(9999.0), is_often_missing(905.0)
        (True, True, False)
    """
    return bool(_USED_AS_MISSING.fullmatch(f"{value:.10g}"))


_MOST_SENTINELS = 6
_PILED = 2
"""Times as often as the values next to it that a code then comes."""
_HEAPED = 10
"""Times as often as any other value that a code comes where it stands among them."""
_USED_AS_MISSING = re.compile(
    r"-?9{2,}(?:\.9+|\.0)?|-?9{1,}\.9+|-?(?:77|88|9[5-8])(?:\.0)?|-(?:1|[789]|200|100|111|222|555|777|888|7777|8888|6999|7999|32767|32768|127|273|9998|9997|998|"
    r"997)(?:\.0)?|(?:777|888|6999|7999|7777|8888|32767|65535|2147483647|4294967295|9998|9997|998|997)(?:\.0)?"
    r"|-(?:2147483648|21474836\d\d)(?:\.0)?|-?(?:[1-9](?:\.\d+)?e\+(?:1[5-9]|[23]\d|308))"
)
_OF_THERMOMETERS = (85.0, 100.0, 125.0, 150.0, -40.0, -50.0, -55.0, -127.0)
"""What thermometers give out that have just been switched on or are disconnected, and the ends of their ranges."""
_LEAPS = 3
"""Times as far as between nearly all rows that it is from such a number to the rows beside it."""
_OF_BYTES = (127.0, 254.0, 255.0, 511.0, 1023.0, 16383.0, -128.0)
"""Ends of a byte's range, and of those of converters, which are numbers like others where one row has them."""


def _apart(outer: list[float], usual: pl.Series) -> list[float]:
    """Those of the outermost values that are not the next step of the others: 95 to 99 go on from 92, 93, 94."""
    inner = usual.unique().sort().to_numpy()
    kept = list(outer)
    # The last that was set aside is the innermost of its side.
    for value in reversed(outer):
        near = np.sort(np.abs(inner - value))[: _NEAR + 1]
        across = len(inner) and (value < 0 <= inner[0] or inner[-1] < 0 < value)
        if len(near) > 1 and not across and near[0] <= 1.001 * np.median(np.diff(near)):
            kept.remove(value)
            inner = np.append(inner, value)
    return kept


def _suspected(
    numbers: pl.Series, usual: pl.Series, value: float, often_used: bool, not_installed: bool = False
) -> Sentinel | None:
    if len(usual) < 3 or (len(usual) < 0.05 * len(numbers) and not often_used):
        return None
    least, most = float(usual.min()), float(usual.max())  # pyright: ignore[reportArgumentType]
    spread, gap = most - least, max(least - value, value - most)
    count = int((numbers == value).sum())
    several = count >= max(3, 0.001 * len(numbers))
    if not often_used:
        # Of few values, each is many rows, and the one far from the others may be as good as they are.
        rare = usual.n_unique() > 10 or count <= _MOST_ODD * len(usual)
        several = several and usual.n_unique() >= _FEWEST_CATEGORIES
        # A machine that is off is so for a while; what was not measured is 0 here and there.
        share = _MOST_SCATTERED if value == 0 and _is_scattered(numbers, value) else _MOST_ODD
        # What was measured only later may be 0 in most rows.
        low, high = np.quantile(usual.to_numpy(), (0.05, 0.95))
        not_installed &= value == 0 and usual.n_unique() >= _FEWEST_AMOUNTS and gap > _FAR_FROM_0 * (high - low)
        share = np.inf if not_installed else share
        odd = (rare and gap > 3 * spread > 0) or _is_odd_one_out(numbers, usual, value, gap, share)
        none = value == 0 < least and _is_no_amount(numbers, usual, count)
        suspected = several and (odd or none or (value == _NO_ANSWER and _is_scale(usual)))
        suspected = suspected and not _goes_on(usual, value, count)
    elif value == -1:
        distinct = usual.n_unique()
        lower = usual.unique().sort().head(max(distinct // 2, _FEWEST_CATEGORIES)).diff().drop_nulls()
        apart = distinct >= _FEWEST_CATEGORIES and least >= 1 and gap > float(lower.max() or 0)  # pyright: ignore
        many = most >= 20 and distinct > 20 and count > 3 * len(usual) / distinct
        of_amounts = distinct >= _FEWEST_AMOUNTS and _ends_amounts(numbers, usual, value)
        # Of counts, the next below 0 would be as rare as the least are.
        least_of_all = usual.filter(usual <= least + 1).len() / 2
        of_counts = least == 0 and distinct > _NEAR and count > 2 * least_of_all and _beside(numbers, value)[0]
        suspected = several and least >= 0 and (apart or many or of_amounts or of_counts)
    else:
        alone = value < 0 <= least or most < 0 < value
        wide = gap > spread > 0 and (several or value not in _OF_BYTES)
        # Codes stand side by side, as 98 and 99, and so do the brightest of a picture.
        others = usual if is_often_missing(value) else numbers.filter(numbers != value)
        suspected = wide or (several and (alone or _is_beyond(numbers, others, value)))
    return Sentinel(value, count, least, most) if suspected else None


_ALIKE_STEPS = 1.15
"""Times as large as the least of them factors between doses are, at most: 1, 3, 10, 30 go up by 3 and by 3.33."""
_FEWEST_DOSES, _MOST_DOSES = 2, 20
_AS_OFTEN = 3
"""Times as often as others, or as seldom, that one of them may come."""


def _goes_on(usual: pl.Series, value: float, count: int) -> bool:
    """Whether a number is the next of a series of doses, each so many times the one before, and as usual."""
    doses, counts = np.unique(usual.filter(usual > 0).to_numpy(), return_counts=True)
    if not _FEWEST_DOSES <= len(doses) <= _MOST_DOSES or value < doses[-1]:
        return False
    factors = np.append(doses, value)[1:] / doses
    often = count / float(np.median(counts))
    return bool(factors.max() <= _ALIKE_STEPS * factors.min() and 1 / _AS_OFTEN <= often <= _AS_OFTEN)


def _is_at_an_end(column: pl.Series, recordings: NDArray[np.int64] | None) -> bool:
    """Whether zeros are one long block from where a recording begins on, or until it ends, and not all of it."""
    there = column.is_not_null().to_numpy()
    zero = (column == 0).fill_null(False).to_numpy()[there]
    codes = np.zeros(len(zero), dtype=np.int64) if recordings is None else recordings[there]
    count = int(zero.sum())
    if count < _LONG_BLOCK:
        return False
    first = int(zero.argmax())
    last = first + count - 1
    if not zero[first : last + 1].all() or codes[first] != codes[last]:
        return False
    begins = first == 0 or codes[first - 1] != codes[first]
    ends = last == len(codes) - 1 or codes[last + 1] != codes[last]
    return begins != ends


def _of_no_reading(numbers: pl.Series, value: float) -> Sentinel | None:
    """A number in several rows that a signal leaps to and back from."""
    rows = numbers.to_numpy()
    there = rows == value
    others, count = rows[~there], int(there.sum())
    turns = np.flatnonzero(there[1:] != there[:-1])
    if count < 2 or 2 * count > len(rows) or len(np.unique(others)) <= _MOST_CLASSES / 2:
        return None
    usual = float(np.quantile(np.abs(np.diff(others)), 0.95))
    leaps = np.abs(np.diff(rows)[turns])
    if not 0 < _LEAPS * usual < leaps.min():
        return None
    return Sentinel(value, count, float(others.min()), float(others.max()))


_LONG_BLOCK = 20
"""Rows at an end of a recording that are no accident."""
_FAR_FROM_0 = 1.2
"""Times as far from 0 as they range that other numbers then are: those of a machine begin lower, once it is on."""
_LOWEST = 8
"""Distinct values above 0 whose gaps say how wide one is that is no accident."""
_FEW_ZEROS = 0.05
"""Share of the others up to which zeros are rather lost values than the amount of nothing."""


def _is_no_amount(numbers: pl.Series, usual: pl.Series, count: int) -> bool:
    """Whether zeros are no amounts: few and scattered, or in what is never 0 by its name, and far below the others."""
    values = usual.unique().sort()
    gaps = values.head(_LOWEST + 1).diff().drop_nulls().to_numpy()
    if len(gaps) < _LOWEST:
        return False
    if words.is_never_zero(numbers.name):
        return bool(count <= _MOST_SCATTERED * len(usual) and values[0] >= 1.5 * np.median(gaps))
    few = count <= _FEW_ZEROS * len(usual) and len(values) >= 2 * _LOWEST
    return bool(few and values[0] >= _NEAR * gaps.max() and _is_scattered(numbers, 0.0))


_NO_ANSWER = 9
"""What surveys write for no answer where the answers are numbers of one figure."""
_MOST_ANSWERS = 6
_FEWEST_NO_ANSWERS, _FEWEST_PERSONS = 3, 2
"""Rows without an answer, and persons of whom there is none, that are no accident."""
_MOSTLY_SAME = 1.5
"""Times as many stretches of one answer as recordings, up to which it is one of each person."""
_LEFT_OUT = 6
"""Rows that numbers between a scale and codes would have, were they as frequent as these, which is no accident."""


def _is_scale(usual: pl.Series) -> bool:
    """Whether values are those of a scale of answers, such as 1 to 5."""
    values = usual.unique().sort()
    steps = values.diff().drop_nulls()
    return len(steps) > 1 and values[0] in (0, 1) and values[-1] <= _MOST_ANSWERS and bool((steps == 1).all())


_MOST_CODES = 6
"""Distinct codes of one column."""
_RARER = 0.6
"""Times as many rows as the rarest answer that a code beyond a scale may have."""
_BELOW_GROUND = frozenset("floor floors level storey story etage stock stockwerk geschoss piso piano".split())
"""Words in the names of what is -1 below ground."""


def _negative_codes(numbers: pl.Series) -> list[float]:
    """Negative numbers of one figure that are codes, such as -1, -2, -8 and -9 in surveys, the lowest first."""
    values, counts = np.unique(numbers.to_numpy(), return_counts=True)
    codes, of_codes = values[values < 0], counts[values < 0]
    rest, of_rest = values[values >= 0], counts[values >= 0]
    count = int(of_codes.sum())
    if not 0 < len(codes) <= _MOST_CODES or codes[0] < -9 or (codes % 1).any() or len(rest) < _FEWEST_CATEGORIES:
        return []
    if count < max(3, 0.001 * len(numbers)) or count > 0.5 * len(numbers):
        return []
    # The least of counts or degrees are rare; so is what is below them.
    least = float(of_rest[rest <= rest[0] + 2].mean())
    answers = (np.diff(rest) == 1).all() and rest[0] <= 1 and 4 <= rest[-1] <= 10
    flat = bool(answers and of_rest.min() >= 2 * of_codes.max())
    if len(codes) == 1:
        if not _is_scattered(numbers, codes[0]) or _BELOW_GROUND.intersection(words.split(numbers.name)):
            return []
        if (rest % 1).any():
            often = count > max(of_rest[rest > 0].max(), 3 * of_rest.mean()) and len(rest) > _MOST_CLASSES
        else:
            # Below 0 there would be fewer than there are zeros.
            none = int(of_rest[rest == 0].sum())
            counted = words.counts_things(numbers.name) or (len(rest) > _NEAR and count >= 2 * none + 3)
            often = codes[0] == -1 and rest[0] <= 1 and (counted or flat)
        return codes.tolist() if often else []
    steps = np.diff(codes)
    beyond = int(of_codes[: int(np.flatnonzero(steps > 1)[-1]) + 1].sum()) if (steps > 1).any() else 0
    apart = rest[0] - codes[-1] > _NEAR * np.median(np.diff(rest[: _NEAR + 1]))
    often = of_codes.max() > (2 if beyond >= 3 else 3) * least or (beyond >= 3 and steps.max() > 3)
    return codes.tolist() if apart or flat or often else []


def _beyond_answers(column: pl.Series, recordings: NDArray[np.int64] | None) -> list[float]:
    """7, 8 and 9, or some of them, where they mean that there is no answer on a scale such as 1 to 5 or 0 and 1."""
    numbers = column.cast(pl.Float64).fill_nan(None)
    there = numbers.is_not_null().to_numpy()
    answers = numbers.drop_nulls().to_numpy()
    values, counts = np.unique(answers, return_counts=True)
    tail = values >= 7 if 7 in values and values[values < 7].max(initial=0) < 6 else values >= 8
    codes, scale = values[tail], values[~tail]
    if not len(codes) or len(scale) < 2 or codes[-1] > 9 or not {8, 9}.intersection(codes) or (values % 1).any():
        return []
    gap = codes[0] - scale[-1]
    if scale[0] not in (0, 1) or (np.diff(scale) != 1).any() or gap < 2 or words.counts_things(column.name):
        return []
    if recordings is not None:
        # What a person was asked once stands in all of their rows.
        of = recordings[there]
        begins = np.append(True, (np.diff(answers) != 0) | (np.diff(of) != 0))[: len(answers)]
        if begins.sum() < _MOSTLY_SAME * (np.count_nonzero(np.diff(of)) + 1):
            answers = answers[begins]
            counts = np.array([np.count_nonzero(answers == value) for value in values])
    of_codes, of_answers = counts[tail], counts[~tail]
    several = of_codes.sum() >= (_FEWEST_NO_ANSWERS if len(answers) == there.sum() else _FEWEST_PERSONS)
    rare = of_codes.max() <= _RARER * of_answers.min()
    # Counts would come between as well, about as often as they do beyond; visits after so many weeks come all as often.
    far = of_codes.mean() * (gap - 1) >= _LEFT_OUT and of_codes.max() <= _RARER * of_answers.max()
    far = far and not words.is_occasion(column.name)
    return codes.tolist() if several and (rare or far) and _come_by_chance(answers, codes) else []


def _come_by_chance(answers: NDArray[np.float64], codes: NDArray[np.float64]) -> bool:
    """Whether each of some codes, few of which may be there, follows itself about as often as by chance."""
    for code in codes:
        there = answers == code
        count, again = int(there.sum()), int((there[1:] & there[:-1]).sum())
        expected = count**2 / len(answers)
        if again > expected + max(0.1 * count, 3 * expected**0.5) + 1:
            return False
    return True


_FEWEST_AMOUNTS = 12
"""Distinct values from 0 on that are amounts rather than classes."""
_NEAR = 5
"""Gaps next to a value that say how wide one is that is no accident."""


def _is_beyond(numbers: pl.Series, others: pl.Series, value: float) -> bool:
    """Whether a value at an end of others is none of theirs, by the gap to them or by the rows beside its own."""
    near = np.unique((others - value).abs().to_numpy())[: _NEAR + 1]
    anywhere, leaps = _beside(numbers, value)
    return (
        len(near) > _NEAR
        and near[0] > np.diff(near).min()
        and (leaps or (anywhere and near[0] > 3 * np.diff(near).max()))
    )


def _ends_amounts(numbers: pl.Series, usual: pl.Series, value: float) -> bool:
    """Whether a value below amounts is hardly the least of them."""
    anywhere, leaps = _beside(numbers, value)
    counts = usual.alias("value").value_counts().sort("value")["count"].to_numpy()
    # Of counts that get fewer towards their least, -1 may be the next.
    ends = bool((usual % 1 != 0).any()) or counts[:2].mean() > 0.6 * counts[2:5].mean()
    return leaps or (ends and anywhere)


def _beside(numbers: pl.Series, value: float) -> tuple[bool, bool]:
    """Whether rows beside those with a value at an end have others than near that end, and far from it for one step.

    A signal comes to its least and its greatest value step by step.
    """
    there, rows = (numbers == value).to_numpy(), numbers.to_numpy()
    turns = np.flatnonzero(there[1:] != there[:-1])
    steps = np.abs(np.diff(rows[~there]))
    if not len(turns) or not len(steps):
        return False, False
    beside = np.where(there[turns], rows[turns + 1], rows[turns])
    middle, others = float(np.median(beside)), rows[~there]
    nearer = others >= middle if value > others.max() else others <= middle
    return bool(nearer.mean() > 0.25), abs(value - middle) > 3 * float(np.quantile(steps, 0.95)) > 0


_MOST_ODD = 0.4
"""Share of the other values from which on a value is as usual as they are."""


_MOST_SCATTERED = 2.0
"""The same for zeros that are scattered over the rows as by chance."""


def _is_scattered(numbers: pl.Series, value: float) -> bool:
    """Whether rows with a value follow one another about as often as by chance, and not in stretches."""
    there = (numbers == value).to_numpy()
    again = float(np.mean(there[1:][there[:-1]])) if there[:-1].any() else 0.0
    share = float(there.mean())
    return again <= share + max(0.1, 3 * (share / max(there.sum(), 1)) ** 0.5)


def _is_odd_one_out(numbers: pl.Series, usual: pl.Series, value: float, gap: float, share: float) -> bool:
    """Whether a value stands so far from other numbers, and is so much rarer, that it hardly is one of them.

    A count, a sum of money or a signal has small values too, or is often 0. What is not 0 has to come again as no
    measurement does, more often the nearer it is.
    """
    count, distances = len(numbers) - len(usual), (usual - value).abs().to_numpy()
    low, high = np.quantile(distances, (0.05, 0.95))
    near, counts = np.unique(distances, return_counts=True)
    near = near[: max(len(near) // 2, 2)]
    if value == 0:
        enough = count >= 0.01 * len(usual) or gap > 2 * (high - low)
    elif gap > high - low and usual.n_unique() >= _FEWEST_AMOUNTS and _is_scattered(numbers, value):
        enough = count > max(2 * np.median(counts), _FEWEST_CATEGORIES)
    else:
        enough = count > 3 * counts.max()
    apart = gap > 0.4 * (high - low) > 0 and gap > 2 * np.diff(near).max()
    return bool(apart and enough and count <= share * len(usual))


_DASHES = ("-", "--", "\u2013", "\u2014")
"""What accounts and offices of statistics write for 0."""
_FEWEST_DASHES = 3
_NANOSECONDS = 6 * 10**17, 22 * 10**17
"""Nanoseconds from 1970 to 1989 and to 2039."""
_FEW_GROUPED = 0.25
"""Share of the cells up to which those with a mark between thousands may be slips."""
_LEAP_TO_THOUSANDS = 5
"""Times as large as all others they are then."""


class _Typing:
    """The columns of a table made what their cells are; what is said of them goes to the table."""

    def __init__(
        self,
        table: Table,
        separator: str | None,
        target: str | None,
        labels: Callable[[str], bool],
        codes: Callable[[str], bool],
        decimal: str | None,
        usual: str | None,
        missing: Mapping[str, Sequence[str]],
    ):
        self.table, self.target, self.labels, self.codes, self.missing = table, target, labels, codes, missing
        self.usual = usual
        self.emptied: dict[str, int] = {}
        self.exponents: dict[str, str] = {}
        self.categories: dict[str, str] = {}
        self.no_numbers: dict[str, str] = {}
        self.bad = table.bad
        native = {column.name: _native(column) for column in table.frame}
        text = {name: column for name, column in native.items() if column.dtype == pl.String}
        done = {name: column for name, column in native.items() if name not in text}
        quick, self.open, self.words = {}, {}, {}
        for name, column in text.items():
            if column.str.contains(r"\d[.,]?[eEdD][+-]?\d").any():
                if self._are_codes(column):
                    self.words[name] = self._without(column.str.strip_chars(), missing.get(name, ()))
                    continue
                if (in_e := numerals.in_fortran(column)) is not None:
                    table.remarks.append(f"file: {name!r} is written with D before exponents, as Fortran does")
                    text[name] = column = in_e
            if name not in missing and (numbers := _plain_numbers(column)) is not None:
                quick[name] = numbers
                continue
            column = column.str.strip_chars()
            if column.str.starts_with('="').any():
                # Excel is told so to keep a cell as it is.
                column = column.str.replace('^="(.*)"$', "$1")
                if (numbers := _plain_numbers(column)) is not None:
                    quick[name], text[name] = numbers, column
                    continue
            if name in missing:
                column = self._without(column, missing[name])
            figures = column.set(column.str.to_lowercase().is_in(list(reading.MISSING)), None)
            if figures.null_count() == len(figures):
                self.words[name] = column
            elif (numbers := _plain_numbers(figures)) is not None:
                quick[name], text[name] = numbers, figures
            elif numerals.are_mixed_codes(figures) and (name != target or codes(name)):
                table.remarks.append(f"file: {name!r} is read as text, codes such as {figures.drop_nulls()[0]!r}")
                self.words[name] = column
            elif numerals.looks_numeric(figures, 0.5):
                self.open[name] = figures
                self.words[name] = column
            else:
                self.words[name] = column
        self._read_figures(quick, text, separator, decimal)
        self._read_beside_marks(quick, text)
        table.remarks.extend(remark for name, remark in self.categories.items() if name in self.words)
        for name, numbers in quick.items():
            done[name] = self._kept_apart(text[name], numbers)
            self._tell_words(name, table.frame[name], done[name])
            if name in self.exponents and done[name].dtype.is_numeric():
                table.remarks.append(self.exponents[name])
        for name in self.words.keys() - done.keys():
            if name not in table.spoilt and len(cells := numerals.in_several_units(self.words[name])) > 1:
                some = " and ".join(map(repr, cells[:2]))
                table.spoilt[name] = f"holds numbers in several units, such as {some}; write all of them in one"
            if found := numerals.shortened(self.words[name]):
                places, way = found
                cell = f"{self.words[name][places[0]]!r} in {table.at(places[0])}"
                table.spoilt[name] = (
                    f"holds shortened numbers, {cell}{f' and {len(places) - 1} more' * (len(places) > 1)}; write them "
                    f"in full, in pandas: table[{name!r}] = table[{name!r}].replace({way}, regex=True).astype(float),"
                )
            done[name] = self._as_words(self.words[name])
        self._keep_codes(text, done)
        self._keep_digits(text, done)
        for name in missing:
            done[name] = self._without(done[name], missing[name])
        if target in done:
            done[target] = self._without_fractions(done[target])
        self._tell_missing(missing)
        if more := self.bad[_MOST_TOLD:]:
            self.table.warnings.append(
                f"{_count(len(more), 'more column')} with a few cells that are no numbers, read as missing: "
                f"{', '.join(map(repr, more[:20]))}{', ...' if len(more) > 20 else ''}"
            )
        self.frame = pl.DataFrame([done[name] for name in table.frame.columns])

    # Numbers

    def _are_codes(self, column: pl.Series) -> bool:
        """Whether cells such as '1E5' are codes and no numbers, which is said where they could be either."""
        cells = column.str.strip_chars().str.replace('^="(.*)"$', "$1")
        cells = cells.set(cells.str.to_lowercase().is_in(list(reading.MISSING)), None)
        cell = numerals.bare_exponent(cells)
        if cell is None:
            return False
        codes = self.labels(column.name) or numerals.are_codes(cells)
        if codes and _plain_numbers(cells) is not None and not self.labels(column.name):
            self.table.warnings.append(
                f"{column.name!r} holds cells such as {cell!r}, taken for codes and not for numbers; if they are "
                f"numbers, write them with a point or a sign ({re.sub('[eE]', '.0E', cell)})"
            )
        elif not codes:
            self.exponents[column.name] = f"file: {cell!r} in {column.name!r} is read as the number {float(cell):.10g}"
        return codes

    def _read_figures(
        self, quick: dict[str, pl.Series], text: dict[str, pl.Series], separator: str | None, decimal: str | None
    ) -> None:
        """Read the columns that are of numbers, but not as a computer writes them; `quick` gets them."""
        bare = {name: numerals.bare(column) for name, column in self.open.items()}
        marks = {name: numerals.Marks.of(column) for name, (column, _, _) in bare.items()}
        if separator not in (",", None) or any(found.comma or found.either[","] for found in marks.values()):
            # Points that were taken for decimal marks may be between thousands.
            floats = {name: text[name] for name, numbers in quick.items() if numbers.dtype == pl.Float64}
            floats = {name: cells for name, cells in floats.items() if not numerals.are_years_with_parts(cells)}
            alone = {name for name, column in floats.items() if numerals.has_thousands_alone(column)}
            for name in alone:
                bare[name], marks[name] = (text[name], [], ""), numerals.Marks.of(text[name])
            slips = {name for name, (column, _, _) in bare.items() if numerals.has_few_decimals(column)}
            telling = [found for name, found in marks.items() if name not in slips]
            pointed = (column for name, column in floats.items() if name not in alone)
            points = any(not numerals.has_few_decimals(column) for column in pointed)
            of_file = numerals.mark_of_file(telling, points)
        else:
            slips = set()
            of_file = "."
        of_file = of_file or self.usual
        pointed = (name for name, numbers in quick.items() if numbers.dtype == pl.Float64)
        self.table.marks.update(dict.fromkeys((name for name in pointed if name not in bare), "."))
        for name, (column, told, unit) in bare.items():
            try:
                usual = "." if separator in (",", None) else None
                mark = decimal or (of_file if name in slips else None)
                mark = mark or numerals.decimal_mark(name, column, marks[name], of_file, usual)
            except numerals.Undecided as problem:
                raise ValueError(
                    f"{problem}, and nothing in the file tells which; say what the decimal mark is with --decimal . or "
                    "--decimal , (decimal: in a study)"
                ) from problem
            numbers = numerals.parse(column, mark)
            if not self._take_numbers(name, column, numbers):
                continue
            if mark == "." and decimal is None and of_file is None and marks[name].may_be_thousands:
                cell = column.drop_nulls().filter(column.drop_nulls().str.contains(".", literal=True))[0]
                self.table.remarks.append(
                    f"file: {name!r} is read with decimal points, though {cell!r} may be {cell.replace('.', '')} "
                    "(--decimal , reads it so)"
                )
            if name in quick and numbers.equals(quick[name], check_dtypes=False):
                continue
            quick[name], text[name] = numbers, column
            if column.str.contains("[.,]").any():
                self.table.marks[name] = mark
            self.words.pop(name, None)
            self._tell_form(name, column.filter(numbers.is_not_null()), mark, told)
            if name in self.open and numerals.are_marks(self.open[name]):
                signed = self.open[name].drop_nulls()
                signed = signed.filter(signed.str.ends_with("-"))
                self.table.warnings.append(
                    f"{name!r} has {_count(len(signed), 'cell')} such as {signed[0]!r}, read as negative numbers; if "
                    "they are marks a little above or below whole ones, write them as numbers, such as 2.3 for '2-'"
                )
            if unit:
                self.table.units.setdefault(name, unit)
                named = words.unit_in(name)[1]
                if named and not words.same_unit(named, unit):
                    self.table.warnings.append(
                        f"{name!r} is named in {named}, but its cells say {unit}; they are taken as they are"
                    )

    def _take_numbers(self, name: str, column: pl.Series, numbers: pl.Series) -> bool:
        """Whether a column is one of numbers; its few other cells are said."""
        there = len(column) - column.null_count()
        odd = np.flatnonzero((numbers.is_null() & column.is_not_null()).to_numpy())
        if not len(odd):
            return True
        words = self.words.get(name, column)
        others = words.filter(numbers.is_null() & column.is_not_null()).alias("value").value_counts()
        again = (others["count"] >= _FEWEST_CATEGORIES).all()
        if numbers.n_unique() <= _FEWEST_CATEGORIES and again:
            # A word that comes again beside two numbers is a category, such as 'a' beside 0.
            return False
        values = words.filter(column.is_not_null()).n_unique()
        few = values <= _MOST_CODED and bool((numbers.drop_nulls() % 1 == 0).all())
        many = len(odd) > max(BAD_CELLS * there, 1)
        coded = (
            others["value"].str.contains(_CODE).all() and not others["value"].str.to_lowercase().is_in(_NO_CODES).any()
        )
        if few and again and (many or coded) and values <= _MOST_CATEGORIES:
            # As gears are: R, N, 1, 2, 3.
            self.categories[name] = (
                f"file: {name!r} holds {_count(numbers.drop_nulls().n_unique(), 'number')} and "
                f"{listed(others['value'].sort(), 4)}, taken for categories"
            )
            return False
        some = [f"{words[int(place)]!r} in {self.table.at(int(place))}" for place in odd[:3]]
        more = f" and {len(odd) - len(some)} more" if len(odd) > len(some) else ""
        if many or there - len(odd) < 5 or self.labels(name):
            values = list(dict.fromkeys(words[int(place)] for place in odd))
            way = f"{option(name, values[0])} makes {'it' if len(values) == 1 else 'the first'} missing"
            if words.drop_nulls().str.contains(_HEXADECIMAL).all():
                self.table.spoilt[name] = f"holds hexadecimal numbers, as {values[0]!r}; write them as decimal ones"
            elif numerals.are_marks(self.open.get(name, words)):
                self.table.spoilt[name] = (
                    f"holds marks with a plus or a minus behind them, as {values[0]!r}; write them as numbers, such as "
                    "2.3 for '2-'"
                )
            elif len(odd) <= 0.5 * there:
                self.table.spoilt[name] = (
                    f"holds numbers, but {some[0]}{f' and {len(odd) - 1} more' if len(odd) > 1 else ''}; empty those "
                    f"cells ({way}){', or merge them into ten categories with letters in each' * few}"
                )
            return False
        self.bad.append(name)
        marks = others.filter(others["value"].str.contains(r"^\p{L}+$") & (others["count"] >= _FEWEST_CATEGORIES))
        self.no_numbers |= {mark: name for mark in marks["value"] if mark not in self.no_numbers}
        if len(self.bad) > _MOST_TOLD:
            return True
        way = "; write shortened numbers in full, or large ones are missing" * bool(numerals.shortened(words))
        self.table.warnings.append(
            f"{name!r} holds no number in {_count(len(odd), 'cell')} of {there}, read as missing: "
            f"{', '.join(some)}{more}{way}"
        )
        return True

    def _read_beside_marks(self, quick: dict[str, pl.Series], text: dict[str, pl.Series]) -> None:
        """Read columns of few numbers and words that are missing cells elsewhere, such as 0 and M, as numbers."""
        kept = {self.target, *self.table.spoilt}
        for name in [name for name in self.words if name not in kept and not self.labels(name)]:
            cells = self.words[name]
            marked = cells.is_in(list(self.no_numbers))
            rest = cells.set(marked | cells.str.to_lowercase().is_in(list(reading.MISSING)), None)
            numbers = _plain_numbers(rest) if marked.any() and "" not in self.missing.get(name, ()) else None
            if numbers is None:
                continue
            quick[name], text[name] = numbers, rest
            del self.words[name]
            self.bad.append(name)
            mark = cells.filter(marked)[0]
            self.table.warnings.append(
                f"{mark!r} in {_count(int(marked.sum()), 'cell')} of {name!r} is read as missing, as in "
                f"{self.no_numbers[mark]!r}; {option(name, '')} makes it a value"
            )

    def _tell_words(self, name: str, written: pl.Series, read: pl.Series) -> None:
        """Say which words of a column of numbers count as missing: 'unknown' may be an answer as well."""
        if not read.has_nulls():
            return
        words = written.filter(read.is_null()).str.strip_chars()
        dashes = int(words.is_in(_DASHES).sum())
        least = read.cast(pl.Float64, strict=False).min() if read.dtype.is_numeric() else None
        if dashes >= _FEWEST_DASHES and least is not None and float(least) > 0:  # pyright: ignore[reportArgumentType]
            self.table.warnings.append(
                f"{words.filter(words.is_in(_DASHES))[0]!r} in {_count(dashes, 'cell')} of {name!r} counts as missing, "
                "and no cell is 0; if it means 0, as in accounts and statistics, write 0"
            )
        words = words.filter(words.str.to_lowercase().is_in(_WORDS_FOR_MISSING))
        if not len(words):
            return
        some = " and ".join(map(repr, words.unique(maintain_order=True)))
        told = f"{some} in {_count(len(words), 'cell')} of {name!r}, whose others are numbers, counts as missing"
        if name == self.target:
            self.table.warnings.append(f"{told}; if it is a class, write a number for it")
        else:
            self.table.remarks.append(f"file: {told}")

    def _tell_form(self, name: str, cells: pl.Series, mark: str, told: list[str]) -> None:
        """Say how the numbers of a column are written; `cells` are those that are numbers."""
        self.table.remarks.extend(f"file: {name!r} is written {how}" for how in told)
        decimals = cells.filter(cells.str.contains(",", literal=True)) if mark == "," else cells.head(0)
        thousands = "," if mark == "." else "."
        grouped = cells.filter(cells.str.contains(thousands, literal=True))
        if len(decimals):
            few = f" in {_count(len(decimals), 'cell')} alone, such as {decimals[0]!r}"
            self.table.remarks.append(
                f"file: {name!r} is written with decimal commas{few * numerals.has_few_decimals(cells)}"
            )
        if len(grouped):
            word = {".": "points", ",": "commas"}[thousands]
            shown = numerals.parse(grouped.head(1), mark)[0]
            way = f"{name!r} is written with {word} between thousands ({grouped[0]!r} is {shown})"
            few = len(grouped) <= _FEW_GROUPED * len(cells)
            plain = cells.filter(~cells.str.contains(thousands, literal=True))
            least = numerals.parse(grouped, mark).min() if few else None
            most = numerals.parse(plain, mark).max() if few else None
            if least is not None and most is not None and least > _LEAP_TO_THOUSANDS * most:  # pyright: ignore
                self.table.warnings.append(
                    f"{way}, in {_count(len(grouped), 'cell')} alone, and all others are {most:.6g} at most; if that "
                    "mark is a decimal one, correct these cells"
                )
            else:
                self.table.remarks.append(f"file: {way}")

    def _without_fractions(self, column: pl.Series) -> pl.Series:
        """The target with a handful of fractions missing, where all else is few whole numbers that come again.

        A 5.5 among ratings would make amounts of all of them.
        """
        if not column.dtype.is_float() or not column.is_finite().fill_null(True).all():
            return column
        odd = (column % 1 != 0).fill_null(False)
        count, there = int(odd.sum()), len(column) - column.null_count()
        if not 0 < count <= min(numerals.FEW_DECIMALS, numerals.FEW_SHARE * there):
            return column
        whole = column.filter(~odd).drop_nulls().value_counts()["count"]
        # Of amounts, the largest come once or twice.
        if not 1 < len(whole) <= _MOST_CODED or float(whole.min()) < max(_FEWEST_CATEGORIES, count + 1):  # pyright: ignore
            return column
        written = self.table.frame[column.name]
        some = ", ".join(f"{str(written[row]).strip()!r} in {self.table.at(row)}" for row in odd.arg_true())
        self.table.warnings.append(
            f"{column.name!r} holds {len(whole)} distinct whole numbers, but a fraction in {_count(count, 'cell')} of "
            f"{there}, read as missing: {some}; --task regression (kind: in a study) takes all of them as amounts"
        )
        return column.set(odd, None).cast(pl.Int64)

    def _keep_codes(self, text: Mapping[str, pl.Series], done: dict[str, pl.Series]) -> None:
        """Make figures text in columns whose names are those of codes."""
        named = [name for name, column in done.items() if column.dtype.is_numeric() and self.codes(name)]
        # A target is named like codes and an amount where hardly a number comes again, as in 'product'.
        named = [
            name
            for name in named
            if name != self.target or done[name].n_unique() <= min(_MOST_CLASSES, len(done[name]) / 10)
        ]
        # Nor are there codes with decimals of which hardly one comes again.
        named = [
            name for name in named if not (done[name].dtype.is_float() and 2 * done[name].n_unique() > len(done[name]))
        ]
        named += [name for name, column in done.items() if name not in named and self._are_versions(text, column)]
        for name in named:
            cells = text[name].str.strip_chars() if name in text else done[name].cast(pl.String)
            done[name] = cells.set(done[name].is_null(), None)
        if named:
            self.table.remarks.append(
                f"file: {', '.join(map(repr, named))} {'is' if len(named) == 1 else 'are'} read as text, as named like "
                "codes"
            )

    def _keep_digits(self, text: Mapping[str, pl.Series], done: dict[str, pl.Series]) -> None:
        """Make whole numbers text that are identifiers, such as those of cards, and too long for a float.

        All are as long, and come again, or some are the same as floats. Times in nanoseconds are as long.
        """
        for name, numbers in done.items():
            # Most columns are done with here.
            if not numbers.dtype.is_integer() or int(numbers.abs().min() or 0) <= 2**53:  # pyright: ignore
                continue
            known = numbers.drop_nulls()
            floats = known.cast(pl.Float64)
            distinct, kept = known.n_unique(), floats.n_unique()
            # The largest 64-bit float is beyond all whole numbers of 64 bits.
            exact = (floats.cast(pl.Int128) == known.cast(pl.Int128)).all()
            alike = known.cast(pl.String).str.len_bytes().n_unique() == 1
            if exact or not alike or distinct < 2 or name == self.target or _may_be_times(known):
                continue
            if kept == distinct and 2 * distinct > len(known):
                continue
            cells = text[name].str.strip_chars() if name in text else numbers.cast(pl.String)
            done[name] = cells.set(numbers.is_null(), None)
            lost = f"its {distinct} distinct values apart" if kept < distinct else f"all digits, as of {known[0]!r}"
            self.table.remarks.append(f"file: {name!r} is read as text, since numbers would not keep {lost}")

    def _are_versions(self, text: Mapping[str, pl.Series], numbers: pl.Series) -> bool:
        """Whether all numbers are versions, such as 1.9 and 1.10."""
        if numbers.dtype != pl.Float64 or numbers.name not in text or not words.is_version(numbers.name):
            return False
        written = text[numbers.name].filter(numbers.is_not_null())
        return written.n_unique() <= _MOST_CLASSES and written.str.contains(r"^\s*\d+\.\d{1,3}\s*$").all()

    def _kept_apart(self, text: pl.Series, numbers: pl.Series) -> pl.Series:
        """Numbers, or text where numbers would not keep apart what it does."""
        name = numbers.name
        label = self.labels(name)
        padded = False
        if numbers.dtype == pl.Int64:
            padded = bool((text.str.starts_with("0") & (text.str.len_bytes() > 1) & numbers.is_not_null()).any())
        elif label:
            # '1.10' is not '1.1' where it is no number.
            padded = text.n_unique() != numbers.n_unique() or bool(text.str.contains(r"\.\d*[1-9]0+$").any())
        elif float(numbers.abs().max() or 0) > 2**53:  # pyright: ignore[reportArgumentType]
            padded = bool(text.str.contains(r"^[+-]?\d{16,}$").all())
        if not padded:
            return numbers
        cells = text.set(text.str.to_lowercase().is_in(list(reading.MISSING)), None)
        distinct = cells.drop_nulls().n_unique()
        keeps = distinct == numbers.drop_nulls().n_unique()
        if keeps and not label and not (name == self.target and distinct <= _MOST_CLASSES):
            alike = name != self.target and cells.str.len_chars().n_unique() == 1 and distinct > 1
            if not alike or numbers.dtype == pl.Int64:
                if alike and not self.codes(name):
                    self.table.padded[name] = cells.filter(cells.str.starts_with("0"))[0]
                return numbers
        if not keeps or numbers.dtype != pl.Int64:
            lost = (
                f"its {distinct} distinct values apart" if not keeps else f"all digits, as of {cells.drop_nulls()[0]!r}"
            )
            self.table.remarks.append(f"file: {name!r} is read as text, since numbers would not keep {lost}")
        return cells

    # Words

    def _as_words(self, column: pl.Series) -> pl.Series:
        if "" in self.missing.get(column.name, ()):
            text = column.set(column == "", None)
        else:
            text = column.set(_mean_missing(column), None)
            self._tell_marks(column.filter(text.is_null() & column.is_not_null()))
        if text.null_count() == len(text):
            return text.cast(pl.Float64)
        if (column == "NA").any() and self._is_value(column, text):
            text = text.set((column == "NA").fill_null(False), "NA")
        lower = text.str.to_lowercase()
        spelt = set(lower.drop_nulls().unique().to_list())
        if len(spelt) > 2 and len([pair for pair in _TRUTHS if spelt & pair]) > 1 and spelt <= set().union(*_TRUTHS):
            self.table.warnings.append(
                f"{column.name!r} spells yes and no in several ways ({', '.join(map(repr, sorted(spelt)))}), each of "
                "which is a category of its own; write those alike that mean the same"
            )
        return lower == "true" if lower.drop_nulls().is_in(["true", "false"]).all() else text

    def _tell_marks(self, cells: pl.Series) -> None:
        """Say what counts as missing among words; of ``NA`` it is said where that is decided."""
        marks = cells.filter(~cells.is_in(["", "NA"]))
        if len(marks):
            some = " and ".join(map(repr, marks.unique(maintain_order=True)))
            self.table.remarks.append(
                f"file: {some} in {_count(len(marks), 'cell')} of {cells.name!r} means missing "
                f"({option(cells.name, '')} makes it a value)"
            )

    def _is_value(self, column: pl.Series, text: pl.Series) -> bool:
        """Whether ``NA`` is one value among others rather than a mark of a missing one."""
        name, count = column.name, int((column == "NA").sum())
        others = text.drop_nulls().alias("value").value_counts(sort=True)
        codes = len(others) > 2 and bool(others["value"].str.contains("^[A-Z]{2}$").all())
        alike = 0.5 * float(others["count"].mean()) <= count <= 2 * float(others["count"].max())  # pyright: ignore
        elsewhere = any(
            (other == "NA").any()
            for other in [*self.words.values(), *(self.table.frame[place] for place in self.table.frame.columns)]
            if other.name != name and other.dtype == pl.String
        )
        if name in self.missing and "" in self.missing[name]:
            return True
        if codes or (alike and len(others) <= _MOST_CLASSES and not elsewhere):
            why = "its other values are codes of two letters" if codes else "it is as frequent as its other values"
            self.table.warnings.append(
                f"'NA' in {_count(count, 'cell')} of {name!r} is taken for a value, as {why}; if it means missing, say "
                f"{option(name, 'NA')} (missing: in a study)"
            )
            return True
        self.table.remarks.append(
            f"file: 'NA' in {_count(count, 'cell')} of {name!r} means missing ({option(name, '')} makes it a value)"
        )
        return False

    # What the user says is missing

    def _without(self, column: pl.Series, values: Sequence[str]) -> pl.Series:
        """The column without these values, which are counted."""
        gone = _holding(column, values)
        self.emptied[column.name] = self.emptied.get(column.name, 0) + int(gone.sum())
        return column.set(gone, None) if gone.any() else column

    def _tell_missing(self, missing: Mapping[str, Sequence[str]]) -> None:
        found = {name: count for name, count in self.emptied.items() if count}
        if found:
            said = ", ".join(f"{name!r} in {_count(count, 'cell')}" for name, count in found.items())
            self.table.remarks.append(f"file: missing, as asked: {said}")
        for name, values in missing.items():
            if not self.emptied.get(name) and any(values) and len(missing) < self.table.frame.width:
                self.table.warnings.append(
                    f"no cell of {name!r} is {' or '.join(map(repr, values))}, asked to be missing"
                )
        if missing and not found and len(missing) == self.table.frame.width:
            self.table.warnings.append("no cell holds any of the values asked to be missing")


def _may_be_times(numbers: pl.Series) -> bool:
    """Whether whole numbers go up, or are named like times, as those in nanoseconds since 1970 are."""
    steps = numbers.diff().drop_nulls()
    rising = (steps > 0).mean()
    in_order = numbers.is_unique().all() and bool((steps > 0).all())
    in_range = _NANOSECONDS[0] <= int(numbers.min()) <= int(numbers.max()) <= _NANOSECONDS[1]  # pyright: ignore
    return words.time_name(numbers.name) is not None or in_order or (in_range and float(rising or 0) >= 0.5)  # pyright: ignore


def _mean_missing(column: pl.Series) -> pl.Series:
    """Whether cells of words are marks of missing ones."""
    lower = column.str.to_lowercase()
    marks = column.is_in(_MISSING_TEXT) | lower.is_in(list(_MISSING_WORDS))
    # Beside '+' and '++', dashes are values.
    if column.str.contains(r"^[+±]+$").any():
        marks &= ~column.str.contains("^-+$")
    return marks


def may_be_missing(column: pl.Series) -> list[tuple[str, int, bool]]:
    """Values of a column of words that may mean that there is none: marks such as ``-`` or ``unknown``, and numbers.

    Returns:
        Each with the number of its cells, and whether it is rarer than another value and no word as the others are,
        as marks are.
    """
    of = column.drop_nulls().alias("value").value_counts()
    values, lower = of["value"], of["value"].str.to_lowercase()
    if lower.is_in(list(set().union(*_TRUTHS))).all():
        return []
    marks = lower.is_in(list(_MAY_BE_MISSING))
    if values.str.contains(r"^[+±]+$").any():
        marks &= ~values.str.contains("^-+$")
    if lower.is_in(list(_AMOUNTS_OF_NONE)).any():
        marks &= lower != "none"
    numbers = values.str.contains(r"^[+-]?\d+(?:\.\d*)?$")
    # Codes with letters and figures are others' neighbours.
    if values.filter(~numbers & ~marks).str.contains(r"^[^\d]*[^\W\d]{3}[^\d]*$").all() and numbers.sum() <= 2:
        marks |= numbers
    others = of.filter(~marks)
    if others.height < 2:
        return []
    found, most = of.filter(marks).sort("count", descending=True), max(others["count"])
    # Python writes None, where there may be no rain or no alarm.
    lowered = others["value"].str.contains("^[a-z]").all()
    nothing = {"none"} if lowered else {"none", "None"}
    return [(value, count, count < most and value not in nothing) for value, count in found.iter_rows()]


_WORDS_FOR_MISSING = sorted(word for word in reading.MISSING if re.fullmatch(r"[a-z ]{5,}|none", word))
_MOST_CLASSES = 50
_TRUTHS = tuple(set(pair.split()) for pair in ("yes no", "y n", "true false", "t f", "1 0", "on off"))
_FEWEST_CATEGORIES = 3
_MOST_CATEGORIES, _MOST_CODED = 10, 20
"""Distinct values of a column with numbers and words up to which they are categories, or may be."""
_CODE = r"^(?:[A-Za-z]{1,2}\d?|\d{1,2}[A-Za-z])$"
_HEXADECIMAL = r"^(?:0[xX])?(?:[\dA-F]{2}|[\dA-F]{4}|[\dA-F]{8}|[\da-f]{2}|[\da-f]{4}|[\da-f]{8})$"
_NO_CODES = ("dk", "rf", "ns", "er", "na", "nd")
"""What looks so and means that there was no answer, or an error."""
_MOST_TOLD = 8
_SIDEWAYS = 10
"""Times as many columns as rows from which on a table of few rows most likely lies on its side."""


def _content(path: Path) -> bytes:
    """The bytes of a file; those that the system makes up as they are read may have no end, or be none."""
    size = 0
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            raw = file.read(size)
    except (OSError, MemoryError, OverflowError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else f"it has {size:,} bytes, more than memory holds"
        raise ValueError(
            f"{path.name}: the file cannot be read ({reason}); expected a table that was saved"
        ) from problem
    if len(raw) < size:
        raise ValueError(
            f"{path.name}: the file ends after {len(raw):,} of its {size:,} bytes; copy it again, or wait until it is "
            "written"
        )
    return raw


def of_frame(frame: Any, wanted: Collection[str], missing: Sequence[object] = ()) -> Table:
    """The columns of a frame of polars or pandas.

    Args:
        frame: the frame.
        wanted: names of the columns that are used; others may have cells of any type, which are left out.
        missing: as for `read`; those of columns that the frame lacks do nothing.

    Raises:
        TypeError: if it is something else, or a wanted column has cells that are not numbers, text or times.
        ValueError: if two columns have one name.
    """
    if not isinstance(frame, pl.DataFrame):
        if not hasattr(frame, "columns") or not hasattr(frame, "to_numpy"):
            raise TypeError(
                f"table must be the path of a file, or a frame of polars or pandas; got {type(frame).__name__}"
            )
        # An index with a name is a column, such as the time; one without only counts the rows.
        if any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        names = [str(name) for name in frame.columns]
        if double := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"table must have one column of each name; there are several of {double[0]!r}")
        frame = pl.DataFrame([_of_pandas(name, frame[given]) for name, given in zip(names, frame, strict=True)])
    asked = _by_column(missing, {*wanted, *frame.columns})
    columns = []
    for name in frame.columns:
        column = frame[name]
        if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
            if name in wanted:
                raise _unreadable(column)
            column = pl.repeat(None, len(column), dtype=pl.String, eager=True).alias(name)
        column = _native(column)
        gone = _holding(column, asked.get(name, ()))
        columns.append(column.set(gone, None) if gone.any() else column)
    return Table(pl.DataFrame(columns), "", [], [], {}, [], {}, {}, None, {})


def _unreadable(column: pl.Series) -> TypeError:
    cell = next((cell for cell in column.to_list() if cell is not None), None)
    return TypeError(
        f"table must have cells of numbers, text, booleans, dates or times; column {column.name!r} has cells of type "
        f"{type(cell).__name__}, such as {cell!r}: convert it first"
    )


def _of_pandas(name: str, column: Any) -> pl.Series:
    cells = column.to_numpy()
    if cells.dtype.kind in "mM":
        # polars has no times in seconds.
        return pl.Series(name, cells.astype(f"{cells.dtype.kind}8[{'ns' if 'ns' in cells.dtype.str else 'us'}]"))
    if cells.dtype.kind == "f":
        return pl.Series(name, cells.astype(np.float64))
    if cells.dtype != object:
        return pl.Series(name, cells)
    gone = column.isna().to_numpy()
    known = [None if missing else cell for cell, missing in zip(cells, gone, strict=True)]
    kinds = {bool if isinstance(cell, bool) else type(cell) for cell in known if cell is not None}
    if str in kinds and kinds <= {str, int, float, bool}:
        # As a file of text would have them.
        return pl.Series(name, [None if cell is None else str(cell) for cell in known], dtype=pl.String)
    return pl.Series(name, known, strict=False) if kinds <= {int, float} else pl.Series(name, known)


def _holding(column: pl.Series, values: Sequence[str]) -> pl.Series:
    """Whether each cell holds one of some values, as they are written on the command line."""
    held = pl.repeat(False, len(column), dtype=pl.Boolean, eager=True)
    for value in values:
        if column.dtype == pl.String:
            held |= (column == value).fill_null(False)
        elif column.dtype.is_numeric() and (number := _number(value)) is not None:
            held |= (column == number).fill_null(False)
        elif column.dtype == pl.Boolean:
            held |= (column.cast(pl.String) == value.lower()).fill_null(False)
    return held


def _native(column: pl.Series) -> pl.Series:
    """A column in one of the types of `Table.frame`, or of text."""
    if column.dtype.is_float() or column.dtype.is_decimal() or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_nan(None)
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        # What is larger is a hash or an identifier more often than a number, and read as figures in a file of text are.
        return whole if whole.null_count() == column.null_count() else column.cast(pl.String)
    return column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column


def _plain_numbers(column: pl.Series) -> pl.Series | None:
    """Numbers, where all cells are written as a computer does."""
    head = column.head(100)
    for dtype in (pl.Int64, pl.Float64):
        if head.cast(dtype, strict=False).null_count() != head.null_count():
            continue
        cast = column.cast(dtype, strict=False)
        if cast.null_count() == column.null_count() < len(column):
            return cast.fill_nan(None) if dtype == pl.Float64 else cast
    return None


def _by_column(items: Sequence[object], names: Collection[str]) -> dict[str, list[str]]:
    """The values that mean missing by column, from values for all and ``column=value``."""
    found: dict[str, list[str]] = {}
    for item in items:
        text = str(item)
        name, equals, value = text.rpartition("=")
        if equals and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"missing: there is no column {name!r} in {text!r}; {hint}expected a value, for all columns, or "
                "COLUMN=VALUE"
            )
        for place in [name] if equals else names:
            found.setdefault(place, []).append(value if equals else text)
    return found


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def option(name: str, value: str) -> str:
    """The option of the command line that makes a value of a column missing, quoted for a shell."""
    item = f"{name}={value}"
    return f"--missing {shlex.quote(f'{chr(34)}{item}{chr(34)}' if ',' in item else item)}"


def numbers(column: pl.Series) -> pl.Series:
    """Cells as numbers, null where they are none."""
    return column.cast(pl.Float64, strict=False)
