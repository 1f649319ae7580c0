"""Safe paths: names from untrusted files as parts of paths, and this user's private temporary folder.

Names of tasks and runs come from studies, tables and results that others may have written. `within` builds every path
that contains one.
"""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

LONGEST = 100
"""Longest name in a path, in characters; file systems allow 255 bytes, and file names get suffixes."""

_HARMLESS = re.compile(r"[^\W_][\w .+=,()@-]*", re.ASCII)
_ODD = re.compile(r"[^\w.+=,()@-]+", re.ASCII)
# Windows reserves these names for devices, with any suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name(name: str) -> str:
    """A name as one component of a path: it never leads out of its folder, contains no separator and is not hidden.

    A harmless name is unchanged. In any other, odd characters are replaced and a checksum is appended, so that
    different names stay different.

    Args:
        name: any text.

    Example:
        >>> file_name("room 7"), file_name("../../etc/passwd")
        ('room 7', 'etc-passwd-3754d6cb')
    """
    if _HARMLESS.fullmatch(name) and len(name) <= LONGEST and name[-1] not in ". " and not _DEVICES.fullmatch(name):
        return name
    checksum = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    words = _ODD.sub("-", name).strip("-. _")[: LONGEST - len(checksum) - 1]
    return f"{words}-{checksum}" if words else checksum


def within(folder: str | os.PathLike[str], *names: str) -> Path:
    """A path below a folder, with each name as one component.

    Args:
        folder: the folder that the path must stay in.
        names: names of subfolders and, last, of the file; see `file_name`.

    Raises:
        ValueError: if a symbolic link leads out of the folder.
    """
    folder = Path(folder)
    path = folder.joinpath(*map(file_name, names))
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{path} must be in {folder}, but a link there leads to {path.parent.resolve()}; remove the link, or give "
            "the folder that it leads to"
        )
    return path


def private_folder() -> Path:
    """This user's private folder in the temporary directory, the same for all processes.

    Its name is predictable, so another user could create it first, to read what is written or to redirect it through
    links. It is accepted only if it is a real folder that belongs to this user and is closed to others.

    Raises:
        PermissionError: if it is not.
    """
    user = os.getuid() if hasattr(os, "getuid") else "all"
    folder = Path(tempfile.gettempdir()) / f"liquidbench-{user}"
    if not folder.is_symlink():
        folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid"):
        found = folder.lstat()
        if stat.S_ISLNK(found.st_mode):
            problem = f"is a link to {os.readlink(folder)}"
        elif found.st_uid != user:
            problem = f"belongs to user {found.st_uid}"
        elif found.st_mode & 0o077:
            problem = f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
        else:
            return folder
        raise PermissionError(
            f"{folder} must be a folder of user {user} with mode 0700, but it {problem}, so others could meddle with "
            "its files. Remove it, or set TMPDIR to a folder of your own"
        )
    return folder
