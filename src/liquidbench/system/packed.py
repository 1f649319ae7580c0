"""Unpacks archives and compressed files within limits: a file of a few hundred bytes can expand to terabytes.

Everything is unpacked in memory under base names, so that no name or link in an archive is used as a path. Any problem
with a file is a `ValueError` that describes it; callers add which file it is and what to do.
"""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

MOST = 256 * 2**20
"""Largest unpacked size of a known data set's archive, in bytes: five times the largest there is."""

MOST_MEMBERS = 20_000
"""Most files in an archive, including those in nested archives."""

DEEPEST = 3
"""Deepest nesting of archives; some data sets come as zips in a zip."""

_MIB = 2**20
_MOST_STREAMS = 1_000
_STREAMS: dict[bytes, Callable[[], Any]] = {
    b"BZh": bz2.BZ2Decompressor,
    # A header can demand 4 GiB of memory to unpack a few bytes; the strongest preset needs 65 MiB.
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=128 * _MIB),
}


def decompressed(raw: bytes, most: int | None = None) -> bytes:
    """The content of a file compressed with gzip, bzip2 or xz.

    Args:
        raw: content of the file.
        most: the largest size that it may unpack to, in bytes; None for a hundred times its own, but between 64 MiB
            and 4 GiB. Text tables compress to about a tenth, seldom to a fiftieth.

    Raises:
        ValueError: if it unpacks to more, or is damaged, truncated, or in another format.
    """
    if most is None:
        most = min(max(100 * len(raw), 64 * _MIB), 4096 * _MIB)
    try:
        if raw.startswith(b"\x1f\x8b"):
            content = bytearray()
            with gzip.open(io.BytesIO(raw)) as file:
                while chunk := file.read(_MIB):
                    content += chunk
                    _check_size(len(content), most)
            return bytes(content)
        for magic, decompressor in _STREAMS.items():
            if raw.startswith(magic):
                return _streams(raw, most, decompressor)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as problem:
        raise ValueError(f"it is damaged or incomplete ({problem})") from problem
    raise ValueError("it is not compressed with gzip, bzip2 or xz")


def check_zip(raw: bytes, most: int) -> None:
    """Refuse a zip file with a member that cannot be unpacked within the limits; unpacks nothing.

    Args:
        raw: content of the file.
        most: the largest total size of its members, in bytes.

    Raises:
        ValueError: for such a file, or one that is no zip.
    """
    with _zip(raw) as packed:
        for info in packed.infolist():
            _check_member(info)
        _check_size(sum(info.file_size for info in packed.infolist()), most)


def members(files: dict[str, bytes], wanted: str, most: int = MOST) -> dict[str, bytes]:
    """The wanted files among the given ones and in archives among them.

    Args:
        files: content by name; zip (``.npz`` included) and tar archives, and single files compressed with gzip, are
            recognised by their suffixes.
        wanted: regular expression that must match the whole base name of a wanted file. Nothing else is unpacked.
        most: the largest total unpacked size, in bytes.

    Returns:
        Content by base name, without the suffix ``.gz``.

    Raises:
        ValueError: if an archive is damaged, encrypted, too large or too deeply nested; names it.
    """
    unpacking = _Unpacking(re.compile(wanted), most)
    for name, raw in files.items():
        unpacking.take(name, raw, 0)
    return unpacking.found


class _Unpacking:
    """The files found so far, and what is left of the limits."""

    def __init__(self, wanted: re.Pattern[str], most: int):
        self.found: dict[str, bytes] = {}
        self._wanted, self._most, self._bytes, self._members = wanted, most, 0, 0

    def take(self, name: str, raw: bytes, depth: int) -> None:
        base = name.rsplit("/", 1)[-1]
        if self._wanted.fullmatch(base):
            self.found[base] = raw
            return
        if base.endswith(".gz") and self._wanted.fullmatch(base[:-3]):
            try:
                content = decompressed(raw, self._most - self._bytes)
            except ValueError as problem:
                raise ValueError(f"{base}: {problem}") from problem
            self._spend(len(content))
            self.found[base[:-3]] = content
            return
        kinds = ((r"\.(zip|npz)$", self._zip), (r"\.(tar(\.\w+)?|tgz)$", self._tar))
        for ending, unpack in kinds:
            if re.search(ending, base):
                if depth == DEEPEST:
                    raise ValueError(f"{base} is an archive in {DEEPEST} others; unpack the outer ones")
                try:
                    unpack(raw, depth + 1)
                # The standard modules raise anything on bad archives: struct.error, KeyError, RecursionError.
                except Exception as problem:
                    if isinstance(problem, ValueError) and depth:
                        raise
                    raise ValueError(f"{base}: {problem or type(problem).__name__}") from problem

    def _zip(self, raw: bytes, depth: int) -> None:
        with _zip(raw) as packed:
            for info in packed.infolist():
                self._count()
                if self._is_relevant(info.filename):
                    _check_member(info)
                    self._spend(info.file_size)
                    with packed.open(info) as file:
                        # Without a size, zipfile unpacks everything before it checks.
                        self.take(info.filename, file.read(info.file_size), depth)

    def _tar(self, raw: bytes, depth: int) -> None:
        if raw[257:262] != b"ustar" and raw[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7"):
            raw = decompressed(raw, self._most - self._bytes)
            self._spend(len(raw))
        reached = -1
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as packed:
            for entry in packed:
                self._count()
                # An entry of negative size would make tarfile go back to an earlier one, forever.
                if entry.offset <= reached or entry.size < 0:
                    raise ValueError("its entries do not follow one another")
                reached = entry.offset
                # Neither links nor devices.
                if entry.isfile() and self._is_relevant(entry.name):
                    self._spend(entry.size)
                    content = packed.extractfile(entry)
                    assert content is not None
                    self.take(entry.name, content.read(), depth)

    def _is_relevant(self, name: str) -> bool:
        base = name.rsplit("/", 1)[-1]
        return bool(
            self._wanted.fullmatch(base.removesuffix(".gz")) or re.search(r"\.(zip|npz|tar(\.\w+)?|tgz)$", base)
        )

    def _count(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise ValueError(f"it holds more than {MOST_MEMBERS:,} files")

    def _spend(self, size: int) -> None:
        self._bytes += size
        _check_size(self._bytes, self._most)


def _streams(raw: bytes, most: int, decompressor: Callable[[], Any]) -> bytes:
    parts: list[bytes] = []
    while raw:
        if len(parts) == _MOST_STREAMS:
            raise ValueError(f"it is made of more than {_MOST_STREAMS:,} compressed files")
        stream, size = decompressor(), sum(map(len, parts))
        parts.append(stream.decompress(raw, most - size + 1))
        _check_size(size + len(parts[-1]), most)
        if not stream.eof:
            raise EOFError("it ends too early")
        raw = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _zip(raw: bytes) -> zipfile.ZipFile:
    # Counted first, since zipfile creates an object for each.
    if raw.count(b"PK\x01\x02") > MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS:,} files")
    try:
        return zipfile.ZipFile(io.BytesIO(raw))
    except Exception as problem:
        raise ValueError(f"it is damaged or incomplete ({problem})") from problem


def _check_member(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 1:
        raise ValueError(f"{info.filename!r} in it is encrypted; unpack it with its password")
    # Only for these can Python limit how much it unpacks.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename!r} in it is not compressed with deflate; compress it anew")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ValueError(
            f"unpacked, it is larger than {most / _MIB:,.0f} MiB, the limit for such a file; if you trust it, unpack "
            "it yourself"
        )
