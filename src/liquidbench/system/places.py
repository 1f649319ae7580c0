"""Where files go: names that become paths, and folders that are this user's alone.

Names of tasks and runs come from studies, tables and results that others may have written. Wherever one becomes part
of a path, `within` makes the path.
"""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

LONGEST = 100
"""Characters of a name in a path, at most; file systems take 255 bytes, and names grow endings."""

_HARMLESS = re.compile(r"[^\W_][\w .+=,()@-]*", re.ASCII)
_ODD = re.compile(r"[^\w.+=,()@-]+", re.ASCII)
# Windows gives these to devices, whatever their ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name(name: str) -> str:
    """A name as one part of a path: never a folder above, never a folder and a file, never hidden.

    A harmless name stays as it is. Of any other, what is odd is replaced, and a checksum tells it from its like.

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
    """A path below a folder, each name being one part of it.

    Args:
        folder: where it has to be.
        names: of folders and, last, of the file; see `file_name`.

    Raises:
        ValueError: where a link leads out of the folder.
    """
    folder = Path(folder)
    path = folder.joinpath(*map(file_name, names))
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{path} must be in {folder}, but a link there leads to {path.parent.resolve()}; remove the link, or name "
            "the folder that it leads to"
        )
    return path


def private_folder() -> Path:
    """This user's folder in the temporary directory, which is the same for all processes and nobody else's.

    Others can foretell its name and make it first, to read along or to have files written elsewhere through links. So
    it is taken only if it is a folder, this user's, and closed to others.

    Raises:
        PermissionError: where it is not.
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
            "what is kept there. Remove it, or set TMPDIR to a folder of your own"
        )
    return folder
