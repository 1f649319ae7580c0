"""Numbers as people and machines write them, with points or commas as decimal marks and between thousands.

``1.094`` is a number little above one, or more than a thousand. `decimal_mark` decides for a column from its own cells,
then from the rest of the file, and raises `Undecided` where neither makes it plain.

``1E5`` is a number or a code, such as the cell of a spreadsheet: `are_codes` decides for a column. ``1D5`` is a number
only in a column in Fortran's notation, which writes decimals or two figures after a sign: ``1.5D2``, ``1D+05``.
"""

import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

from liquidbench.tasks import words

_EXPONENT = r"(?:[eE][+-]?\d+)?"
_BARE_EXPONENT = r"^\d+[eEdD]\d+$"
_FORTRAN = r"^[+-]?(?:(?:\d+[.,]\d*|[.,]\d+)[dD][+-]?\d+|\d+[dD][+-]\d{2,3})$"


def _forms(mark: str) -> tuple[str, str, str]:
    """Patterns for one decimal mark: any number; what is a number with no other mark; what could have another."""
    decimal, thousands = re.escape(mark), re.escape("," if mark == "." else ".")
    sign = r"^[+-]?"
    # India sets two figures apart above the thousands: 12,34,567.
    indian = rf"[1-9]\d?(?:{thousands}\d{{2}})+{thousands}\d{{3}}"
    grouped = rf"(?:[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+|{indian})"
    # Zeros in front are for whole numbers alone: '0012,1' is rather two numbers in one cell.
    number = rf"{sign}(?:(?:{grouped}|0|[1-9]\d*)(?:{decimal}\d*)?|\d+|{decimal}\d+){_EXPONENT}$"
    plain = (
        rf"{sign}(?:\d*{decimal}(?:\d{{1,2}}|\d{{4,}})|0{decimal}\d*|{decimal}\d+|\d{{4,}}{decimal}\d*|\d+{decimal}"
        rf"|\d+{decimal}\d+[eE][+-]?\d+|[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+{decimal}\d*"
        rf"|[1-9]\d{{0,2}}(?:{thousands}\d{{3}}){{2,}}|{indian}(?:{decimal}\d*)?)$"
    )
    return number, plain, rf"{sign}[1-9]\d{{0,2}}{decimal}\d{{3}}$"


_NUMBER, _PLAIN, _EITHER = (dict(zip(".,", forms, strict=True)) for forms in zip(_forms("."), _forms(","), strict=True))
_DECIMAL = r"^[+-]?\d+(?:\.(?:\d{1,2}|\d{4,})|,(?:\d{1,2}|\d{4,}))$"
FEW_DECIMALS, FEW_SHARE = 5, 0.01
"""Cells, and share of them, up to which decimals among whole numbers are slips rather than what the column holds."""
_ENOUGH = 20
_SAMPLE = 20_000
_MOST_CODES = 50
_GROUP = r"[ \x{a0}\x{202f}\x{2009}'’]"
_GROUPED = rf"^[+-]?[1-9]\d{{0,2}}(?:{_GROUP}\d{{3}})+(?:[.,]\d+)?$"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_ADDRESS = rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"
_CURRENCY = (
    r"[€$£¥₹₽₩₺₴₪]|(?:US|R|A|C|CA|NZ|HK|S|AU|MX)\$|USD|EUR|CHF|GBP|JPY|CNY|RMB|INR|BRL|SEK|NOK|DKK|PLN|CZK|HUF|RUB|AUD|"
    r"CAD|ZAR|TRY|Rs\.?|kr\.?|Fr\.?|Kč|zł"
)
_SIGNS = rf"^({_CURRENCY})?\s*([+-]?[\d.,]*\d[\d.,'’ \x{{a0}}\x{{202f}}\x{{2009}}]*(?:[eE][+-]?\d+)?)\s*" + "{unit}$"
_DASH = r"[−–—‒－-]"
"""Dashes that stand for a minus."""
_AMOUNT = r"[\d.,]*\d"
_SUFFIX = re.compile(
    r"\d\s*([%％‰€$£¥₽円元원]|°\s?[CFK]?|[℃℉CF]|[kKMm]?W(?:h)?|[km]?V|m?A|[hk]?Pa|m?bar|k?Hz|[ckmµn]?m|[kmµun]?g|"
    r"[mµ]?[lL]|km/h|m/s|mph|kn|ft|mi|lbs?|oz|rpm|bpm|ppm|ppb|[mnµ]?g/d?[lL]|[mµμu]?g/m(?:³|3)|[mµ]?mol/[lL]|mEq/[lL]|"
    r"[mk]?I?U(?:/m?[lL])?|mmHg|dBm?|[kKMG]?(?:Ω|[oO]hm)|EUR|USD|CHF|GBP|SEK|NOK|DKK|PLN|CZK|HUF|RUB|INR|JPY|BRL|kr\.?|"
    r"zł|Kč|Ft|руб\.?|[kMG]?B|[mµn]?s|min|h|years?|yrs?|months?|weeks?|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?)$"
)
_UNITS_OF_NAMES = ((re.compile(r"(?:resist(?:ance|or)?|res|impedance|r|widerstand)", re.I), "kKMG"),)
"""Letters that are units under names of what is measured, and powers of ten under others."""

_SHORTENED = r"^([€$£¥]?\s*[+-]?[\d.,]*\d)\s*(k|K|M|G|B|T|bn|mn|mln|(?i:tsd|mio|mrd|thousand|million|billion)\.?)$"
_POWERS = {
    "k": 3, "m": 6, "g": 9, "b": 9, "t": 12, "bn": 9, "mn": 6, "mln": 6, "tsd": 3, "mio": 6, "mrd": 9, "thousand": 3,
    "million": 6, "billion": 9,
}  # fmt: skip
"""Powers of ten of what stands behind shortened numbers."""


class Undecided(ValueError):
    """A column whose numbers can be read with a point or with a comma as the decimal mark; in words."""


@dataclass(frozen=True)
class Marks:
    """How many cells of a column can be read with one decimal mark only, and how many with either.

    Attributes:
        point, comma: cells that are numbers with this decimal mark alone.
        either: cells such as ``1.094`` or ``1,094``, by the mark that they have.
        small, large: whether there are whole numbers without any mark below, or not below, a thousand.
    """

    point: int
    comma: int
    either: dict[str, int]
    small: bool
    large: bool

    @property
    def may_be_thousands(self) -> bool:
        """Whether all points could be between thousands, and no cell says that they are or are not."""
        return bool(self.either["."]) and not (self.point or self.comma or self.large)

    @property
    def own(self) -> str | None:
        """The decimal mark that the column's own cells make plain, a point or a comma; None where they do not."""
        plain = {".": self.point, ",": self.comma}
        most, least = max(plain, key=plain.__getitem__), min(plain, key=plain.__getitem__)
        if plain[most]:
            return most if plain[least] <= 0.01 * plain[most] else None
        point, comma = self.either["."], self.either[","]
        if point and comma:
            return None
        if self.small and max(point, comma) >= _ENOUGH:
            # Fractions would not all have three digits, nor would whole numbers be without.
            return "." if comma else ","
        if self.large and (point or comma):
            # Who writes 1500 puts nothing between thousands.
            return "," if comma else "."
        return None

    @classmethod
    def of(cls, column: pl.Series) -> "Marks":
        """Count the marks of a column of text, `bare`."""
        # What a part shows decides; where it shows nothing, all cells are looked at.
        for part in (column.gather_every(max(len(column) // _SAMPLE, 1)), column):
            found = cls(
                point=_count(part, _PLAIN["."]),
                comma=_count(part, _PLAIN[","]),
                either={mark: _count(part, _EITHER[mark]) for mark in ".,"},
                small=_count(part, r"^[+-]?[1-9]\d{0,2}$") > 0,
                large=_count(part, r"^[+-]?[1-9]\d{3,}$") > 0,
            )
            if found.point or found.comma:
                break
        return found


def in_fortran(column: pl.Series) -> pl.Series | None:
    """Cells with ``e`` in the place of Fortran's ``D`` before exponents; None where there is none."""
    if not column.str.contains(_FORTRAN).any():
        return None
    return column.str.replace(r"^([+-]?[\d.,]*[\d.,])[dD]([+-]?\d+)$", "${1}e$2")


def are_codes(column: pl.Series) -> bool:
    """Whether cells such as ``1E5`` are codes.

    They are beside cells such as ``1F2``, and where less than half of what the column holds are other numbers: programs
    write a point or a sign into numbers with an exponent (``1.0E5``, ``1e+05``).
    """
    known = column.drop_nulls()
    bare = known.str.contains(_BARE_EXPONENT)
    if not bare.any():
        return False
    # A number that stands for a missing value, such as 1e20, may be in most rows.
    others = known.filter(~bare).unique()
    if others.str.contains(r"^\d+[A-Za-z]\d+$").any():
        return True
    numbers = others.str.contains(_NUMBER["."]) | others.str.contains(_NUMBER[","])
    return int(numbers.sum()) < (known.filter(bare).n_unique() + len(others)) / 2


def bare_exponent(column: pl.Series) -> str | None:
    """The first cell such as ``1E5``."""
    known = column.drop_nulls()
    return next(iter(known.filter(known.str.contains(r"^\d+[eE]\d+$")).head(1)), None)


def are_mixed_codes(column: pl.Series) -> bool:
    """Whether all cells that are no numbers have a letter in front of one, as ``V45.81`` beside ``250.00`` of ICD-9."""
    known = column.drop_nulls()
    lettered = known.str.contains(r"^[A-Z]\d{2,}(?:\.\d+)?$")
    return int(lettered.sum()) > 1 and known.filter(~lettered).str.contains(r"^\d{2,}(?:\.\d+)?$").all()


def are_marks(column: pl.Series) -> bool:
    """Whether cells are marks from 1 to 10, some with a plus or a minus behind them, as ``2-`` in a school report."""
    known = column.drop_nulls()
    signed = known.str.contains(r"[+-]$")
    return bool(signed.any()) and not signed.all() and bool(known.str.contains(r"^(?:[1-9]|10)[+-]?$").all())


def looks_numeric(column: pl.Series, share: float) -> bool:
    """Whether at least this share of the cells, of which a sample is looked at, are numbers in some form."""
    sample = bare(column.drop_nulls().gather_every(max(len(column) // 1000, 1)))[0]
    if not len(sample) or sample.str.contains(_ADDRESS).all():
        return False
    found = sample.str.contains(_NUMBER["."]) | sample.str.contains(_NUMBER[","])
    return bool(found.mean() >= share)  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def bare(column: pl.Series) -> tuple[pl.Series, list[str], str]:
    """Cells without what does not depend on the decimal mark.

    Returns:
        The cells, with an ASCII minus, also for numbers in parentheses, without blanks or apostrophes between
        thousands, and without the unit that all of them have; what of this was there, in words; and the unit.
    """
    told: list[str] = []
    # So writes SAP.
    behind = column.str.contains(r"^[\d.,]*\d-$").fill_null(False)
    if behind.any() and not column.str.starts_with("-").any():
        told.append(f"with the minus behind negative numbers ({column.filter(behind)[0]!r})")
        column = column.str.replace(r"^([\d.,]*\d)-$", "-$1")
    # So do shops write that there are no cents.
    column = column.str.replace(rf"^(.*\d)[.,]{_DASH}{{1,2}}$", "$1")
    if not column.str.contains(r"[^\d.,eE+-]").any():
        return column, told, ""
    # A sign goes between a currency and its number, wherever it stands.
    column = column.str.replace(rf"^{_DASH}\s*((?:{_CURRENCY})?)\s*([\d.,])", "${1}-${2}")
    booked = rf"^(?:\(\s*((?:{_CURRENCY})?)\s*({_AMOUNT})(\s*[^\d()]*)\)|({_CURRENCY})\s*\(({_AMOUNT})\))$"
    if column.str.contains(booked).any():
        column = column.str.replace(booked, "${1}${4}-${2}${5}${3}")
        told.append("with parentheses around negative numbers")
    head = column.drop_nulls().gather_every(max(column.len() // 50, 1))
    units = Counter(found for cell in head if (found := _unit_of(cell, column.name)))
    unit = units.most_common(1)[0][0] if units else ""
    plural = unit.endswith("s") and len(unit) > 2
    pattern = _SIGNS.replace("{unit}", f"{re.escape(unit[:-1])}s?" if plural else re.escape(unit))
    signs = column.drop_nulls().str.extract(rf"^({_CURRENCY})\s*[-+\d.,]").drop_nulls()
    found_unit = ""
    # Numbers of two currencies are not of one unit.
    if signs.n_unique() <= 1 and (unit or len(signs)):
        mean = column.drop_nulls().str.contains(pattern).mean()
        if isinstance(mean, float) and mean >= 0.95:
            without = column.filter(column.str.contains(rf"^[+-]?{_AMOUNT}$"))
            column = column.str.replace(pattern, "$2").str.strip_chars()
            found_unit = unit or signs[0]
            how = f"with {unit!r} after its numbers" if unit else f"with {signs[0]!r} before its numbers"
            but = f", but for {len(without)} such as {without[0]!r}, taken for the same" if len(without) else ""
            told.append(how + but)
    grouped = column.str.contains(_GROUPED).fill_null(False)
    if grouped.any():
        told.append(f"with blanks or apostrophes between thousands ({column.filter(grouped)[0]!r})")
        column = column.str.replace_all(_GROUP, "").zip_with(grouped, column)
    return column, told, found_unit


def _unit_of(cell: str, name: str) -> str:
    """The unit behind a number; empty where there is none. K is one in a column named like a temperature."""
    if found := _SUFFIX.search(cell):
        return found[1]
    letters = "K" if "temperature" in words.quantities(name) else ""
    letters += "".join(units for named, units in _UNITS_OF_NAMES if any(map(named.fullmatch, words.split(name))))
    return cell[-1] if cell[-1:] and cell[-1] in letters and cell[-2:-1] in " 0123456789" else ""


def in_several_units(column: pl.Series) -> list[str]:
    """A cell of each unit or currency, where numbers in one column have several; else none."""
    number = _SIGNS.replace("{unit}", r"(\D*)")
    cells = column.drop_nulls()
    numbers = cells.filter(cells.str.contains(number))
    if len(cells) - len(numbers) > 0.05 * len(cells):
        return []
    sign, unit = numbers.str.extract(number, 1).fill_null(""), numbers.str.extract(number, 3).str.strip_chars()
    named = pl.DataFrame({"cell": numbers, "sign": sign, "unit": unit}).filter((unit != "") | (sign != ""))
    named = named.unique(("sign", "unit"), keep="first", maintain_order=True)
    # '1A' and '2B' are codes where they come again and again.
    if numbers.n_unique() <= _MOST_CODES and numbers.str.contains(r"^\d+[A-Z]?$").all():
        return []
    known = all(not unit or _SUFFIX.search(f"1{unit}") for unit in named["unit"])
    return named["cell"].to_list() if named.height > 1 and known else []


def shortened(column: pl.Series) -> tuple[list[int], str] | None:
    """Cells such as ``2.86M`` or ``3,4 Mio.``, in a column of numbers; None where there are none, or all may be codes.

    Returns:
        Their places, and what pandas is to replace in the column, so that all of its cells become numbers.
    """
    short = column.str.contains(_SHORTENED).fill_null(False)
    if "temperature" in words.quantities(column.name):
        # Kelvin are no thousands.
        short &= ~column.str.ends_with("K").fill_null(False)
    cells = column.filter(short)
    known = column.drop_nulls()
    numbers = known.str.contains(r"^[€$£¥]?\s*[+-]?[\d.,]*\d$").sum() + len(cells)
    # '5K' and '10K' are categories; amounts have decimals, or are many.
    amounts = cells.str.contains(r"\d[.,]\d").any() or cells.n_unique() > 10
    if not len(cells) or not amounts or numbers < 0.95 * len(known):
        return None
    marks = {",": "" if known.str.contains(".", literal=True).any() and known.str.contains(r"\d\.\d").any() else "."}
    marks = {mark: new for mark, new in marks.items() if known.str.contains(mark, literal=True).any()}
    signs = {r"[€$£¥]\s*": ""} if known.str.contains("[€$£¥]").any() else {}
    names = cells.str.extract(_SHORTENED, 2).unique(maintain_order=True)
    powers = {rf"\s*{re.escape(word)}$": f"e{_POWERS[word.rstrip('.').lower()]}" for word in names}
    return short.arg_true().to_list(), repr({**marks, **signs, **powers})


def decimal_mark(name: str, column: pl.Series, marks: Marks, of_file: str | None, usual: str | None) -> str:
    """The decimal mark of a column.

    Args:
        name: of the column.
        column: its cells, `bare`.
        marks: of the column.
        of_file: the mark that the other columns make plain.
        usual: what is taken where nothing makes it plain and nothing speaks against it.

    Returns:
        A point or a comma.

    Raises:
        Undecided: where it is not plain.
    """
    if marks.point and marks.comma and marks.own is None:
        raise Undecided(f"{name!r} holds {_example(column, _PLAIN['.'])} as well as {_example(column, _PLAIN[','])}")
    if marks.point or marks.comma or of_file is None:
        decided = marks.own
    else:
        decided = of_file
    if decided is not None:
        return decided
    point, comma = marks.either["."], marks.either[","]
    if comma or (point and marks.small and usual is None):
        cell = _example(column, _EITHER["," if comma else "."])
        digits = re.sub(r"\D", "", cell)
        raise Undecided(f"{cell} in {name!r} is {digits}, or {digits[:-3]} and a fraction")
    return "."


def parse(column: pl.Series, mark: str) -> pl.Series:
    """Cells as whole numbers where all of them are, else as ``Float64``; null where a cell is no number."""
    thousands = "," if mark == "." else "."
    if column.str.contains(thousands, literal=True).any():
        column = column.set(~column.str.contains(_NUMBER[mark]), None).str.replace_all(thousands, "", literal=True)
    if mark == ",":
        column = column.str.replace(",", ".", literal=True)
    numbers = column.cast(pl.Float64, strict=False)
    if not (numbers.drop_nulls() % 1 == 0).all():
        return numbers
    whole = column.cast(pl.Int64, strict=False)
    return whole if whole.null_count() == numbers.null_count() else numbers


def mark_of_file(marks: list[Marks], points: bool) -> str | None:
    """The decimal mark of which columns give evidence, unless some do for the other.

    Args:
        marks: of columns that have any.
        points: whether other columns have decimal points beyond doubt.

    Returns:
        A point, a comma, or None where there is evidence for neither or both.
    """
    point = points or any(found.point or found.own == "." for found in marks)
    comma = any(found.comma or found.own == "," for found in marks)
    return None if point == comma else "." if point else ","


def has_few_decimals(column: pl.Series) -> bool:
    """Whether a handful of cells are decimals and all other numbers are whole, so that these say little of marks.

    Example:
        >>> has_few_decimals(pl.Series(["5"] * 400 + ["5,5"])), has_few_decimals(pl.Series(["5", "5,5"]))
        (True, False)
    """
    marked = column.drop_nulls()
    there = len(marked)
    marked = marked.filter(marked.str.contains("[.,]"))
    return 0 < len(marked) <= min(FEW_DECIMALS, FEW_SHARE * there) and marked.str.contains(_DECIMAL).all()


def has_thousands_alone(column: pl.Series) -> bool:
    """Whether every cell that has a point has it where thousands could be set apart."""
    for cells in (column.head(1000), column):
        cells = cells.drop_nulls()
        pointed = cells.filter(cells.str.contains(".", literal=True))
        if not pointed.str.contains(r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$").all():
            return False
    return bool(len(pointed))


def are_years_with_parts(column: pl.Series) -> bool:
    """Whether all cells are a year and the number of its part, with a point that is no decimal mark: ``12.1990``."""
    known = column.drop_nulls()
    return (
        bool(len(known))
        and known.str.contains(r"^(?:\d{1,2}\.(?:1[5-9]|2[01])\d\d|(?:1[5-9]|2[01])\d\d\.\d{1,2})$").all()
    )


def _count(column: pl.Series, pattern: str) -> int:
    return int(column.str.contains(pattern).sum() or 0)


def _example(column: pl.Series, pattern: str) -> str:
    cells = column.drop_nulls()
    return repr(cells.filter(cells.str.contains(pattern))[0])
