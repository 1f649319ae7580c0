"""Names of recordings that contain the name of whom they are of, such as ``S01_walk_2``."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from liquidbench.tasks import words

_PART = r"[^\W\d_]+\d*|\d+"
"""A word with the figures behind it, or figures."""
_DATE = r"(?<!\d)(?:19|20)\d\d(?:[-/._]?[01]\d(?:[-/._]?[0-3]\d)?|[-/._]?[wW]?\d\d)(?!\d)"
_ENDING = r"\.[^\W\d_]\w{0,4}"
"""A file's ending."""
_BEHIND = r"[\W_]+\w.*|(?<=\d)[^\W\d_]{3,}\d*"
"""What may stand behind a name in that of a copy of it."""
_FEWEST = 3
_MOST_NAMES = 10_000
"""Names that are looked at: the first in order."""
_MOST_KINDS = 12
"""Different ends that names of copies have, at most."""
_ALIKE = 0.9
"""Share of the names that have as many parts as the rest."""
_SHARED = 2 / 3
"""Share of a part's values that several names have."""


class Shared(NamedTuple):
    """A part of names that several of them have.

    Attributes:
        pattern: a regular expression whose group is the part.
        first, second: two names that have one.
        names, parts: how many names there are, and how many different parts they have.
    """

    pattern: str
    first: str
    second: str
    names: int
    parts: int


def shared_part(column: pl.Series) -> Shared | None:
    """The part of names that most likely says whom they are of; None where no part is shared, or names are dates.

    Of several it is a word with figures that counts no recordings by its name, as ``trial3`` does, or else the first.
    Where names are those of others and one of a few ends, such as ``clip7`` and ``clip7_flip``, it is what these share.

    Example:
        >>> names = [f"S{subject:02d}_walk_{trial}" for subject in range(5) for trial in range(4)]
        >>> shared = shared_part(pl.Series(names))
        >>> shared.first, shared.second, shared.parts
        ('S00_walk_0', 'S00_walk_1', 5)
        >>> pl.Series(names).str.extract(shared.pattern).head(5).to_list()
        ['S00', 'S00', 'S00', 'S00', 'S01']
    """
    return next(_shared(column, several=False), None)


def shared_parts(column: pl.Series) -> Iterator[Shared]:
    """Every part, and what stands before a part, that several names share, the likeliest first.

    Example:
        >>> names = [f"{field}-{plot}-{scan}" for field in "AB" for plot in range(4) for scan in range(3)]
        >>> [pl.Series(names).str.extract(shared.pattern)[0] for shared in shared_parts(pl.Series(names))]
        ['0', '0', 'A-0']
    """
    return _shared(column, several=True)


def _shared(column: pl.Series, several: bool) -> Iterator[Shared]:
    names = column.drop_nulls().cast(pl.String).unique().sort().head(_MOST_NAMES).to_list()
    if len(names) <= _FEWEST:
        return
    if copied := _of_copies(names):
        yield copied
        return
    dated = [re.search(_DATE, name) for name in names]
    split = [re.findall(_PART, name) for name in names]
    lengths = [len(parts) for parts in split]
    usual = max(set(lengths), key=lengths.count)
    if lengths.count(usual) < _ALIKE * len(names):
        return
    if usual == 1:
        if single := _of_figures(names) or _of_initials(names):
            yield single
        return
    kept = [(name, parts) for name, parts in zip(names, split, strict=True) if len(parts) == usual]
    places = [place for place in range(usual) if _is_shared([parts[place] for _, parts in kept])]
    if 2 * sum(map(bool, dated)) > len(names):
        places = [place for place in places if not _is_of_date(names, place)]

    def rank(place: int) -> tuple[bool, bool, int]:
        before = kept[0][1][place - 1] if place and kept[0][1][place].isdigit() else ""
        word = re.sub(r"\d", "", kept[0][1][place]) or before
        mixed = re.fullmatch(r"[^\W\d]+\d+", kept[0][1][place])
        return words.is_within(word) or words.is_part(word), not mixed, place

    for place in sorted(places, key=rank):
        before = rf"(?:(?:{_PART})[\W_]*){{{place}}}" if place else ""
        yield _of(rf"^[\W_]*{before}({_PART})", names)
    for place in range(1, usual - 1) if several else ():
        if _is_shared([" ".join(parts[: place + 1]) for _, parts in kept]):
            yield _of(rf"^[\W_]*((?:{_PART})(?:[\W_]*(?:{_PART})){{{place}}})", names)


def _is_shared(values: list[str]) -> bool:
    """Whether most values of a part are those of several names; a file's ending is that of all of them."""
    counts = Counter(values)
    shared = sum(count > 1 for count in counts.values())
    return _FEWEST <= len(counts) < len(values) and shared >= _SHARED * len(counts)


def _is_of_date(names: list[str], place: int) -> bool:
    """Whether a part of most names is one of a date in them."""
    inside = 0
    for name in names:
        date, parts = re.search(_DATE, name), list(re.finditer(_PART, name))
        inside += bool(date and place < len(parts) and date.start() <= parts[place].start() < date.end())
    return 2 * inside > len(names)


def _of_copies(names: list[str]) -> Shared | None:
    """Names of which several are another's and one of a few ends behind it, as those of copies that were changed."""
    endings = [re.search(rf"{_ENDING}$", name) for name in names]
    ending = endings[0][0] if endings[0] else ""
    if not all(found and found[0] == ending for found in endings):
        ending = ""
    bare = {name.removesuffix(ending) for name in names}
    ends: dict[str, int] = {}
    for name in bare:
        places = (place for place in range(1, len(name)) if name[:place] in bare)
        found = (re.compile(_BEHIND).fullmatch(name, place) for place in places)
        if end := next((match[0] for match in found if match), ""):
            ends[end] = ends.get(end, 0) + 1
    often = sorted(end for end, count in ends.items() if count >= _FEWEST)
    if not often or len(often) > _MOST_KINDS or sum(ends[end] for end in often) < _ALIKE * sum(ends.values()):
        return None
    return _of(rf"^(.+?)(?:{'|'.join(map(re.escape, often))})?{re.escape(ending)}$", names)


def _of_initials(names: list[str]) -> Shared | None:
    """Initials with figures behind them, such as AM1, AM2, KB1."""
    found = [re.fullmatch(r"([^\W\d_]{2,3})\d{1,2}", name) for name in names]
    if not all(found) or not _is_shared([match[1] for match in found if match]):
        return None
    return _of(r"^([^\W\d_]+)", names)


def _of_figures(names: list[str]) -> Shared | None:
    """Numbers such as 101, 102, 201, 202, of which the last figures count on with each of the first."""
    if not all(name.isdigit() for name in names) or len({len(name) for name in names}) > 1:
        return None
    for figures in range(len(names[0]) - 1, 0, -1):
        of_first: dict[str, list[int]] = {}
        for name in names:
            of_first.setdefault(name[:-figures], []).append(int(name[-figures:]))
        counts = list(of_first.values())
        counted = all(min(count) <= 1 and len(count) == max(count) - min(count) + 1 for count in counts)
        # Numbers that go on from one to the next count all of them.
        full = any(len(count) == 10**figures for count in counts)
        if len(counts) >= _FEWEST and counted and not full and min(map(len, counts)) > 1:
            return _of(rf"^(\d+)\d{{{figures}}}$", names)
    return None


def _of(pattern: str, names: list[str]) -> Shared:
    found = [re.search(pattern, name) for name in names]
    parts = [match[1] if match else "" for match in found]
    counts = Counter(parts)
    one = next(part for part in parts if part and counts[part] > 1)
    first, second = [name for name, part in zip(names, parts, strict=True) if part == one][:2]
    return Shared(pattern, first, second, len(names), len(set(parts)))
