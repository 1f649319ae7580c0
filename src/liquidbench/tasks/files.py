"""Where raw files come from, and proof that they are the right ones.

A task asks for the content of its `Archive` and gets the same bytes wherever they were found:

1. the folder given as ``data``, else the one named by the environment variable ``LIQUIDBENCH_DATA``, laid out
   as ``<folder>/<archive.folder>/<file>``. A folder that is given is the only place looked in;
2. else the user's cache, ``$XDG_CACHE_HOME/liquidbench`` or ``~/.cache/liquidbench``;
3. else the canonical source, from which the files are downloaded into the cache.

Copies of a data set differ in packing (zip, tar, single files), in line ends and in quotation marks, so the
checksum is over the decoded content of the members that a task reads, and every form passes the same check.
"""

import csv
import hashlib
import http.client
import inspect
import io
import math
import os
import tempfile
import time
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liquidbench.system import packed, storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning

EXCERPTS = Path(__file__).parent / "excerpts"
"""Folder of the excerpts that come with the package, laid out like any data folder."""


def table_content(raw: bytes) -> bytes:
    """Content of a comma-separated file, whatever its line ends, quotation marks and byte order mark."""
    text = raw.decode("utf-8-sig", errors="replace")
    return "\n".join(",".join(cells) for cells in csv.reader(io.StringIO(text, newline="")) if cells).encode()


def lines_content(raw: bytes) -> bytes:
    """Content of a plain text file whatever its line ends; much faster than `table_content`."""
    return raw.replace(b"\r\n", b"\n").rstrip(b"\n")


def array_content(raw: bytes) -> bytes:
    """Content of a ``.npy`` file as the tasks use it: its shape, and its numbers as little-endian float32."""
    array = read_array(raw)
    return repr(array.shape).encode() + array.astype("<f4").tobytes()


def read_array(raw: bytes) -> np.ndarray:
    """The array in a ``.npy`` file, as float32; pickled objects are refused."""
    stream, head = io.BytesIO(raw), np.lib.format
    reader = {(1, 0): head.read_array_header_1_0, (2, 0): head.read_array_header_2_0}.get(head.read_magic(stream))
    if reader is None:
        raise ValueError("it is no .npy file of numbers")
    shape, _, kind = reader(stream)
    # NumPy takes what the header claims, before it looks whether it is there.
    if not kind.hasobject and math.prod(shape) * kind.itemsize > len(raw):
        raise ValueError(f"it claims {math.prod(shape):,} numbers, and does not hold them")
    return np.load(io.BytesIO(raw), allow_pickle=False).astype(np.float32)


@dataclass(frozen=True)
class Archive:
    """The raw files of one data set.

    Attributes:
        title: for error messages.
        folder: folder inside a data folder.
        url: address of the folder of files that the source publishes.
        published: the files of that folder that hold the data. A file may be a zip (``.npz`` included), a
            tar, or a member by itself.
        copies: other sets of file names under which re-packed copies are known.
        members: regular expression that the base names of the wanted members match in full.
        content: what of a member the digest is over.
        digest: sha256 over the wanted members in order of name.
    """

    title: str
    folder: str
    url: str
    published: tuple[str, ...]
    copies: tuple[tuple[str, ...], ...]
    members: str
    content: Callable[[bytes], bytes]
    digest: str

    @property
    def forms(self) -> tuple[tuple[str, ...], ...]:
        """Sets of file names, any one of which holds the whole of the data."""
        return (*self.copies, self.published)

    def digest_of(self, members: dict[str, bytes]) -> str:
        """sha256 over names and content of the members."""
        total = hashlib.sha256()
        for name in sorted(members):
            content = self.content(members[name])
            total.update(f"{name}:{len(content)}:".encode())
            total.update(content)
        return total.hexdigest()


def read(archive: Archive, data: str | os.PathLike[str] | None = None) -> dict[str, bytes]:
    """The wanted members of an archive by base name, checked.

    Args:
        archive: what is wanted.
        data: folder to look in, and the only one; None for the order of the module's docstring.

    Returns:
        Base name -> bytes as stored.

    Raises:
        FileNotFoundError: where a folder was given that lacks the files; says where it looked and what to do.
        ValueError: where the content is not what the task was written for.
        OSError: where the files would have to be downloaded and could not be.
    """
    given = data if data is not None else os.environ.get("LIQUIDBENCH_DATA") or None
    folder = cache_folder() if given is None else Path(given).expanduser()
    for form in archive.forms:
        paths = [folder / archive.folder / name for name in form]
        if all(path.is_file() for path in paths):
            return _verified(archive, paths)
    if given is None:
        return _download(archive, folder / archive.folder)
    looked = " or ".join(" + ".join(_shortened(form)) for form in archive.forms)
    origin = "data=" if data is not None else "LIQUIDBENCH_DATA="
    raise FileNotFoundError(
        f"{archive.title}: {folder / archive.folder} does not hold {looked} (looked there because of "
        f"{origin}{given}). Put the files there, from {archive.url}, or leave data and LIQUIDBENCH_DATA "
        f"unset to have them downloaded into {cache_folder()}"
    )


def cache_folder() -> Path:
    """Folder for downloaded data; safe to delete at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liquidbench"


def parsed_once(
    digest: str, parse: Callable[[list[bytes]], dict[str, np.ndarray]], raw: list[bytes]
) -> dict[str, np.ndarray]:
    """What ``parse(raw)`` returns; if that takes more than a second, kept in the cache for the next process.

    It is kept under the checksum of the raw content and of the source of ``parse``, so a change of either
    parses anew. A cache that cannot be written to is said in a warning, and costs time only.
    """
    source = hashlib.sha256(inspect.getsource(parse).encode()).hexdigest()
    kept = cache_folder() / "parsed" / f"{digest[:16]}-{source[:16]}.npz"
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            with storage.reading(kept) as content, np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return dict(arrays)
        except DamagedFileError as problem:
            with suppress(OSError):
                storage.set_aside(kept)
            warnings.warn(f"{problem}; it is made again", KeptFileWarning, stacklevel=2)
    begun = time.perf_counter()
    arrays = parse(raw)
    if time.perf_counter() - begun > 1:
        try:
            packed = io.BytesIO()
            np.savez(packed, **arrays)  # pyright: ignore[reportArgumentType]
            storage.keep(kept, storage.sealed_zip(packed))
        except OSError as problem:
            warnings.warn(f"parsed data are not kept for the next process: {problem}", stacklevel=2)
    return arrays


def _shortened(names: tuple[str, ...]) -> tuple[str, ...]:
    return names if len(names) <= 4 else (names[0], "...", names[-1])


def _verified(archive: Archive, paths: list[Path]) -> dict[str, bytes]:
    shown = ", ".join(_shortened(tuple(map(str, paths))))
    try:
        for path in paths:
            if path.stat().st_size > packed.MOST:
                raise ValueError(f"{path.name} is larger than {packed.MOST // 2**20} MiB, as no data set here is")
        members = packed.members({path.name: path.read_bytes() for path in paths}, archive.members)
        digest = archive.digest_of(members)
    # A file of any content may come here, and have the checksum's reader fail in any way.
    except Exception as problem:
        raise ValueError(
            f"{archive.title}: {shown} cannot be unpacked ({problem}); it is damaged or incomplete. Replace "
            f"it with that from {archive.url}"
        ) from problem
    if digest != archive.digest:
        raise ValueError(
            f"{archive.title}: the content of {shown} has checksum {digest}, expected {archive.digest}. The files are "
            f"damaged, edited or another version; replace them with those from {archive.url}"
        )
    return members


def _download(archive: Archive, target: Path) -> dict[str, bytes]:
    target.mkdir(parents=True, exist_ok=True)
    # Files move into place only once all have arrived and been checked, so a cache never holds half a data
    # set.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".arriving-") as arriving:
        paths = [Path(arriving) / name for name in archive.published]
        for name, path in zip(archive.published, paths, strict=True):
            url = archive.url + urllib.parse.quote(name)
            try:
                with urllib.request.urlopen(url, timeout=60) as reply:
                    # One byte more, by which it is seen to be too much.
                    path.write_bytes(reply.read(packed.MOST + 1))
            except (OSError, http.client.HTTPException) as problem:
                reason = getattr(problem, "reason", problem)
                raise OSError(
                    f"{archive.title}: could not download {url} ({reason}). Without a network, get the file "
                    f"elsewhere, put it into <folder>/{archive.folder}/ and set LIQUIDBENCH_DATA=<folder> "
                    "or pass data=<folder>"
                ) from problem
        members = _verified(archive, paths)
        for path in paths:
            os.replace(path, target / path.name)
    return members
