"""Numbers and names in words: how messages and reports count, list and round."""

import math
from collections.abc import Iterable, Sequence


def counted(number: int, word: str) -> str:
    """A number of things for reading.

    Example:
        >>> counted(1, "seed"), counted(1200, "run")
        ('1 seed', '1,200 runs')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def number(value: float, decimals: int = 0, *, signed: bool = False) -> str:
    """A number for reading: true minus sign, thousands grouped.

    Measured values (not counts, which are of type int) from 100,000 on or below 0.0001 are in scientific notation,
    with three decimals at most.

    Example:
        >>> number(-12345.678, 1), number(0.02, 2, signed=True), number(120_000)
        ('−12,345.7', '+0.02', '120,000')
        >>> number(123_456.7, 1), number(0.00001234, 8), number(0.00001234, 3)
        ('1.235×10⁵', '1.234×10⁻⁵', '0.000')
    """
    rounded = round(value, decimals)
    size = abs(rounded)
    if isinstance(value, int) or not (0 < size < 1e-4 or 1e5 <= size < math.inf):
        text = f"{size:,.{max(decimals, 0)}f}"
    else:
        places = min(max(math.floor(math.log10(size)) + decimals, 0), 3)
        mantissa, exponent = f"{size:.{places}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}×10{str(int(exponent)).translate(_RAISED)}"
    if rounded < 0:
        return f"−{text}"
    return f"+{text}" if signed and rounded > 0 else text


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(numbers: Sequence[float]) -> int:
    """Decimals that give the largest of some numbers three significant figures.

    Example:
        >>> significant([0.912, 0.05]), significant([12.3]), significant([0.000123])
        (3, 1, 6)
    """
    largest = max(map(abs, numbers))
    return min(max(2 - math.floor(math.log10(largest)), 0), 15) if largest else 3


def listed(names: Iterable[str], most: int = 8, quote: bool = True) -> str:
    """The first names, and how many more there are.

    Example:
        >>> listed("abc"), listed("abc", most=2, quote=False)
        ("'a', 'b', 'c'", 'a, b and 1 more')
    """
    names = list(names)
    shown = ", ".join(repr(name) if quote else name for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def columns_named(names: Iterable[str]) -> str:
    """Columns of these names."""
    names = list(names)
    return f"column {names[0]!r}" if len(names) == 1 else f"columns {' and '.join(map(repr, names))}"


def p_value(value: float) -> str:
    """A p-value for reading.

    Example:
        >>> p_value(0.0412), p_value(0.41), p_value(1e-5)
        ('p = 0.041', 'p = 0.41', 'p < 0.001')
    """
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def percent(chance: float) -> str:
    """A chance for reading, never none or all of it: what is estimated is not certain.

    Example:
        >>> percent(0.954), percent(0.0), percent(0.9951)
        ('95 %', '< 1 %', '> 99 %')
    """
    if chance < 0.005:
        return "< 1 %"
    return "> 99 %" if chance > 0.995 else f"{chance:.0%}".replace("%", " %")
