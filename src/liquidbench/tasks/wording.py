"""How messages about tables name columns and count things."""

from collections.abc import Iterable
from typing import Any


def columns_named(names: Iterable[str]) -> str:
    """Columns of these names."""
    names = list(names)
    return f"column {names[0]!r}" if len(names) == 1 else f"columns {' and '.join(map(repr, names))}"


def counted(number: Any, noun: str) -> str:
    """A number of things; the noun in the plural but for one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 8, quote: bool = True) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    shown = ", ".join(repr(name) if quote else name for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
