"""Finds or downloads the raw files of a data set, and verifies their content.

A task reads its `Archive` and gets the same bytes from any of these places:

1. the folder given as ``data``, else the one named by the environment variable ``LIQUIDBENCH_DATA``, laid out
   as ``<folder>/<archive.folder>/<file>``. If a folder is given, no other place is searched;
2. else the user's cache, ``$XDG_CACHE_HOME/liquidbench`` or ``~/.cache/liquidbench``;
3. else the original source, from which the files are downloaded into the cache.

Copies of a data set differ in packing (zip, tar, single files), line ends and quotation marks. The checksum is
therefore over the decoded content of the members that a task reads, and is the same for every form.
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
"""Folder of the excerpts that come with the package, with the layout of a data folder."""


def table_content(raw: bytes) -> bytes:
    """Content of a comma-separated file, independent of line ends, quotation marks and byte order mark."""
    text = raw.decode("utf-8-sig", errors="replace")
    return "\n".join(",".join(cells) for cells in csv.reader(io.StringIO(text, newline="")) if cells).encode()


def lines_content(raw: bytes) -> bytes:
    """Content of a plain text file, independent of line ends; much faster than `table_content`."""
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
        raise ValueError("it is not a .npy file of numbers")
    shape, _, kind = reader(stream)
    # NumPy allocates what the header claims before it reads the content.
    if not kind.hasobject and math.prod(shape) * kind.itemsize > len(raw):
        raise ValueError(f"its header claims {math.prod(shape):,} numbers, but it has fewer")
    return np.load(io.BytesIO(raw), allow_pickle=False).astype(np.float32)


@dataclass(frozen=True)
class Archive:
    """The raw files of one data set.

    Attributes:
        title: for error messages.
        folder: folder inside a data folder.
        url: address of the folder of files that the source publishes; of a page about them if none is published.
        published: names of the files there that contain the data. A file may be a zip (``.npz`` included), a tar, a
            single member, or one compressed with gzip. Empty where a copy is all that could be checked.
        copies: other sets of file names, of re-packed copies.
        members: regular expression that must match the whole base name of a wanted member.
        content: the decoded content of a member, over which the digest is computed.
        digest: SHA-256 over the wanted members, sorted by name.
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
        """Sets of file names, each of which contains all data."""
        return (*self.copies, *[self.published] * bool(self.published))

    def digest_of(self, members: dict[str, bytes]) -> str:
        """SHA-256 over names and content of the members."""
        total = hashlib.sha256()
        for name in sorted(members):
            content = self.content(members[name])
            total.update(f"{name}:{len(content)}:".encode())
            total.update(content)
        return total.hexdigest()


def read(archive: Archive, data: str | os.PathLike[str] | None = None) -> dict[str, bytes]:
    """The wanted members of an archive, after checking their digest.

    Args:
        archive: the archive.
        data: the only folder to search; None for the places listed at the top of this module.

    Returns:
        Raw content by base name.

    Raises:
        FileNotFoundError: if a folder was given that lacks the files, or they cannot be downloaded.
        DamagedFileError: if the content is not what the task was written for.
        OSError: if a download fails.
    """
    given = data if data is not None else os.environ.get("LIQUIDBENCH_DATA") or None
    origin = "data, --data on the command line: " if data is not None else "LIQUIDBENCH_DATA="
    try:
        folder = cache_folder() if given is None else Path(given).expanduser()
    except RuntimeError as problem:
        raise ValueError(
            f"{origin}{given} must be a folder; its user has no home folder: name one by its path"
        ) from problem
    for form in archive.forms:
        paths = [folder / archive.folder / name for name in form]
        if all(path.is_file() for path in paths):
            return _verified(archive, paths)
    if given is None and archive.published:
        return _download(archive, folder / archive.folder)
    looked = " or ".join(" + ".join(_shortened(form)) for form in archive.forms)
    if not archive.published:
        searched = origin + str(given) if given is not None else "data and LIQUIDBENCH_DATA are unset"
        raise FileNotFoundError(
            f"{archive.title}: {folder / archive.folder} does not contain {looked} (searched because {searched}). It "
            f"cannot be downloaded in this form; the original is described at {archive.url}. Put a copy into "
            f"<folder>/{archive.folder}/ and pass data=<folder>, on the command line --data <folder>"
        )
    raise FileNotFoundError(
        f"{archive.title}: {folder / archive.folder} does not contain {looked} (searched because of "
        f"{origin}{given}). Put the files there, from {archive.url}, or leave data and LIQUIDBENCH_DATA "
        f"unset to have them downloaded into {cache_folder()}"
    )


def cache_folder() -> Path:
    """Folder for downloaded data; it can be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liquidbench"


def parsed_once(
    digest: str, parse: Callable[[list[bytes]], dict[str, np.ndarray]], raw: list[bytes]
) -> dict[str, np.ndarray]:
    """The result of ``parse(raw)``, cached on disk for other processes if it takes more than a second.

    The key is the checksum of the raw content and of the source code of ``parse``, so a change of either parses again.
    If the cache cannot be written, there is a warning, and the only cost is time.
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
            warnings.warn(f"{problem}; it is created again", KeptFileWarning, stacklevel=2)
    begun = time.perf_counter()
    arrays = parse(raw)
    if time.perf_counter() - begun > 1:
        try:
            packed = io.BytesIO()
            np.savez(packed, **arrays)  # pyright: ignore[reportArgumentType]
            storage.keep(kept, storage.sealed_zip(packed))
        except OSError as problem:
            warnings.warn(f"parsed data cannot be cached for the next process: {problem}", stacklevel=2)
    return arrays


def _shortened(names: tuple[str, ...]) -> tuple[str, ...]:
    return names if len(names) <= 4 else (names[0], "...", names[-1])


def _verified(archive: Archive, paths: list[Path]) -> dict[str, bytes]:
    shown = ", ".join(_shortened(tuple(map(str, paths))))
    try:
        for path in paths:
            if path.stat().st_size > packed.MOST:
                raise ValueError(f"{path.name} is larger than {packed.MOST // 2**20} MiB, the limit for a data set")
        members = packed.members({path.name: path.read_bytes() for path in paths}, archive.members)
        digest = archive.digest_of(members)
    except PermissionError:
        # Its content may be sound.
        raise
    # The file may contain anything, and decoding it may raise anything.
    except Exception as problem:
        raise DamagedFileError(
            f"{archive.title}: {shown} cannot be unpacked ({problem}). Replace it with the one from {archive.url}"
        ) from problem
    if not members:
        raise DamagedFileError(
            f"{archive.title}: {shown} holds none of the files that the task reads (names that match "
            f"{archive.members}). Replace it with the one from {archive.url}"
        )
    if digest != archive.digest:
        raise DamagedFileError(
            f"{archive.title}: the content of {shown} has checksum {digest}, expected {archive.digest}. The files are "
            f"damaged, edited or another version; replace them with those from {archive.url}"
        )
    return members


def _download(archive: Archive, target: Path) -> dict[str, bytes]:
    target.mkdir(parents=True, exist_ok=True)
    # Files are moved into place after all have been downloaded and checked: the cache never has half a data set.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".arriving-") as arriving:
        paths = [Path(arriving) / name for name in archive.published]
        for name, path in zip(archive.published, paths, strict=True):
            url = archive.url + urllib.parse.quote(name)
            try:
                with urllib.request.urlopen(url, timeout=60) as reply:
                    # One byte more than the limit, so that the check sees that the file is too large.
                    path.write_bytes(reply.read(packed.MOST + 1))
            except (OSError, http.client.HTTPException) as problem:
                reason = getattr(problem, "reason", problem)
                raise OSError(
                    f"{archive.title}: could not download {url} ({reason}). Without network access, get the file "
                    f"elsewhere, put it into <folder>/{archive.folder}/ and set LIQUIDBENCH_DATA=<folder> "
                    "or pass data=<folder>, on the command line --data <folder>"
                ) from problem
        members = _verified(archive, paths)
        for path in paths:
            os.replace(path, target / path.name)
    return members
