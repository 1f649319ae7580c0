"""What is packed, unpacked within bounds: a file of some hundred bytes can claim to hold, and hold, terabytes.

All is unpacked in memory and under base names, so that no name in an archive is a path and no link leads anywhere.
Whatever is wrong with a file is a `ValueError` that says it in words; callers add which file it is and what to do.
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
"""Bytes that an archive of a known data set may come to, five times the largest of them."""

MOST_MEMBERS = 20_000
"""Files in an archive, at most, those of archives in it included."""

DEEPEST = 3
"""Archives within each other, at most; some data sets come as zips in a zip."""

_MIB = 2**20
_MOST_STREAMS = 1_000
_STREAMS: dict[bytes, Callable[[], Any]] = {
    b"BZh": bz2.BZ2Decompressor,
    # A header can ask for 4 GiB to unpack a few bytes; the best of the presets takes 65 MiB.
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=128 * _MIB),
}


def decompressed(raw: bytes, most: int | None = None) -> bytes:
    """The content of a file compressed with gzip, bzip2 or xz.

    Args:
        raw: the file.
        most: bytes that it may come to; None for a hundred times as many as it has, but 64 MiB at least and 4 GiB at
            most. Tables of text have a tenth of their size when compressed, seldom a fiftieth.

    Raises:
        ValueError: for more bytes than that, or a file that is damaged, cut short, or none of the three.
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
        raise ValueError(f"it is damaged or was not copied whole ({problem})") from problem
    raise ValueError("it is not compressed with gzip, bzip2 or xz")


def check_zip(raw: bytes, most: int) -> None:
    """Refuse a zip of which anything cannot be unpacked within bounds; nothing is unpacked to find out.

    Args:
        raw: the file.
        most: bytes that its members may come to.

    Raises:
        ValueError: for such a zip, or none at all.
    """
    with _zip(raw) as packed:
        for info in packed.infolist():
            _check_member(info)
        _check_size(sum(info.file_size for info in packed.infolist()), most)


def members(files: dict[str, bytes], wanted: str, most: int = MOST) -> dict[str, bytes]:
    """The wanted files among some, archives of them being unpacked.

    Args:
        files: content by name; zip (``.npz`` included) and tar are known by their endings.
        wanted: regular expression that base names of wanted files match in full. What else is packed is not unpacked.
        most: bytes that all may come to.

    Returns:
        Base name -> content.

    Raises:
        ValueError: where an archive is damaged, encrypted, or larger or deeper than allowed; names it.
    """
    unpacking = _Unpacking(re.compile(wanted), most)
    for name, raw in files.items():
        unpacking.take(name, raw, 0)
    return unpacking.found


class _Unpacking:
    """Files found so far, and what may still come."""

    def __init__(self, wanted: re.Pattern[str], most: int):
        self.found: dict[str, bytes] = {}
        self._wanted, self._most, self._bytes, self._members = wanted, most, 0, 0

    def take(self, name: str, raw: bytes, depth: int) -> None:
        base = name.rsplit("/", 1)[-1]
        if self._wanted.fullmatch(base):
            self.found[base] = raw
            return
        kinds = ((r"\.(zip|npz)$", self._zip), (r"\.(tar(\.\w+)?|tgz)$", self._tar))
        for ending, unpack in kinds:
            if re.search(ending, base):
                if depth == DEEPEST:
                    raise ValueError(f"{base} is an archive in {DEEPEST} others; unpack the outer ones")
                try:
                    unpack(raw, depth + 1)
                # The modules that unpack raise what comes up in them: struct's errors, a KeyError, a RecursionError.
                except Exception as problem:
                    if isinstance(problem, ValueError) and depth:
                        raise
                    raise ValueError(f"{base}: {problem or type(problem).__name__}") from problem

    def _zip(self, raw: bytes, depth: int) -> None:
        with _zip(raw) as packed:
            for info in packed.infolist():
                self._count()
                if self._is_of_use(info.filename):
                    _check_member(info)
                    self._spend(info.file_size)
                    with packed.open(info) as file:
                        # Said how much, for else it unpacks what there is before it looks.
                        self.take(info.filename, file.read(info.file_size), depth)

    def _tar(self, raw: bytes, depth: int) -> None:
        if raw[257:262] != b"ustar" and raw[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7"):
            raw = decompressed(raw, self._most - self._bytes)
            self._spend(len(raw))
        reached = -1
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as packed:
            for entry in packed:
                self._count()
                # One of less than no bytes would have the next be one of those before, for ever.
                if entry.offset <= reached or entry.size < 0:
                    raise ValueError("its entries do not follow one another")
                reached = entry.offset
                # Neither links nor devices.
                if entry.isfile() and self._is_of_use(entry.name):
                    self._spend(entry.size)
                    content = packed.extractfile(entry)
                    assert content is not None
                    self.take(entry.name, content.read(), depth)

    def _is_of_use(self, name: str) -> bool:
        base = name.rsplit("/", 1)[-1]
        return bool(self._wanted.fullmatch(base) or re.search(r"\.(zip|npz|tar(\.\w+)?|tgz)$", base))

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
    # Counted before Python makes an object of each.
    if raw.count(b"PK\x01\x02") > MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS:,} files")
    try:
        return zipfile.ZipFile(io.BytesIO(raw))
    except Exception as problem:
        raise ValueError(f"it is damaged or was not copied whole ({problem})") from problem


def _check_member(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 1:
        raise ValueError(f"{info.filename!r} in it is encrypted; unpack it with its password")
    # Of these alone Python can be told to unpack no more than so much.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename!r} in it is packed by another method than deflate; pack it anew")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ValueError(
            f"unpacked, it is larger than {most / _MIB:,.0f} MiB, which is more than such a file has; if you trust it, "
            "unpack it yourself"
        )
