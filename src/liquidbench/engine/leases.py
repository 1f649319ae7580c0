"""Leases: which driver does which run, among drivers that share only a folder.

A lease is a file named after the run and the number of the attempt, which contains the name of the driver that holds
it. It is made as a hard link to a file that has that content already. Making a link is atomic, on NFS too: it succeeds
for exactly one driver, and no reader ever sees it without its content. A lease is valid while its driver is alive;
after that, the lease of the next attempt can be acquired in the same way. When a worker has started the run, the driver
marks the lease as begun: only a loss after that may be the run's own doing.

A driver is alive while its file in ``drivers/`` exists, which it rewrites every few seconds: its heartbeat.

- A driver on the same machine is judged by its lock on that file, which the kernel releases when the process dies. One
  that holds the lock without a heartbeat is stopped or hangs.
- A driver on another machine counts as dead when its file has not changed for a minute of the observer's own clock;
  clocks of two machines are never compared.

A driver that finds another one dead removes its file; a driver whose own file is gone has to stop.
"""

import errno
import os
import platform
import re
import threading
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from liquidbench import results
from liquidbench.folder import StudyFolder
from liquidbench.system.processes import lock_holders
from liquidbench.system.storage import DamagedFileError, content_of, without_waiting

try:
    import fcntl
except ImportError:
    # Windows has no flock: there, a driver on the same machine is judged by its heartbeat alone.
    fcntl = None

HEARTBEAT = 5.0
"""Seconds between two heartbeats."""

TIMEOUT = 60.0
"""Seconds without a heartbeat after which a driver on another machine counts as dead."""

UNRESPONSIVE = 3 * HEARTBEAT
"""Seconds without a heartbeat after which a living driver on this machine counts as stopped or hanging."""

POLL = 1.0
"""Seconds between two checks of what other drivers have done."""

_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"""Errors of ``os.link`` on file systems without hard links."""

_BEGUN = " begun"


class Leases:
    """One driver's leases and its heartbeat; a context manager.

    Args:
        directory: the study's folder; it is created if it does not exist.

    Attributes:
        name: this driver's name, which is unique.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}x{uuid.uuid4().hex[:8]}"
        folder = StudyFolder(directory)
        self._leases, self._drivers = folder.leases, folder.drivers
        self._file = self._drivers / self.name
        # The file that leases are links to.
        self._card = self._leases / f".{self.name}.card"
        self._ended: set[str] = set()
        # The last heartbeat of each other driver, and when it was first seen.
        self._heartbeats: dict[str, tuple[str, float]] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        # Locked before it gets its name, so that nobody can take its driver for dead in between.
        hidden = self._drivers / f".{self.name}"
        while True:
            self._open: IO[str] = _created(hidden)
            if fcntl is not None:
                fcntl.flock(self._open, fcntl.LOCK_EX)
            self._beats = 0
            self._beat()
            try:
                hidden.rename(self._file)
                break
            except FileNotFoundError:
                # Another driver cleaned it up before it was locked.
                self._open.close()
        self._write_card()
        self._heart = threading.Thread(target=self._keep_beating, name="liquidbench heartbeat", daemon=True)
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._heart.join()
        self._card.unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)
        self._open.close()
        for folder in (self._leases, self._drivers):
            # Fails if it still has another driver's files.
            with suppress(OSError):
                folder.rmdir()

    def acquire(self, run: str) -> int | None:
        """Try to acquire the lease of a run.

        Returns:
            The number of this attempt at the run, from 1: one more than the number of drivers that died while they held
            its lease (`losses` says how many of these may be the run's doing). None if another driver holds the lease
            or has ended the run; `ended` tells which.
        """
        attempt = 1
        while not self._link(f"{run}.{attempt}"):
            try:
                holder = self._read(run, attempt).removesuffix(_BEGUN)
            except FileNotFoundError:
                # Released since the link failed.
                continue
            if holder == self.name:
                # NFS may report a failure although the link was made, when its first answer was lost.
                break
            # A damaged lease, or one that no driver wrote, is held by nobody.
            if re.fullmatch(results.DRIVER, holder) and self._is_alive(holder):
                return None
            attempt += 1
        if self.ended(run):
            # Ended by a driver that died since, or between our two checks.
            self.release(run, attempt)
            return None
        return attempt

    def mark_begun(self, run: str, attempt: int) -> None:
        """Record that a worker has started a run whose lease this driver holds."""
        part = self._leases / f".{self.name}.begun"
        part.write_text(self.name + _BEGUN)
        part.replace(self._leases / f"{run}.{attempt}")

    def losses(self, run: str, attempt: int) -> int:
        """How many drivers died, before this attempt, after a worker of theirs had started the run."""
        lost = 0
        for earlier in range(1, attempt):
            with suppress(FileNotFoundError):
                lost += self._read(run, earlier).endswith(_BEGUN)
        return lost

    def release(self, run: str, attempt: int) -> None:
        """Release the lease of a run that has not ended."""
        (self._leases / f"{run}.{attempt}").unlink(missing_ok=True)

    def mark_ended(self, run: str) -> None:
        """Tell other drivers that a run has ended; its results must be stored before."""
        self._link(f"{run}.ended")
        self._ended.add(run)

    def unmark_ended(self, run: str) -> None:
        """Undo `mark_ended` for a run whose results turn out to be missing."""
        (self._leases / f"{run}.ended").unlink(missing_ok=True)
        self._ended.discard(run)

    def ended(self, run: str) -> bool:
        """Whether this driver or another one at work has ended the run."""
        if (self._leases / f"{run}.ended").exists():
            self._ended.add(run)
        return run in self._ended

    def others(self) -> list[str]:
        """Names of the other drivers that count as alive."""
        # An NFS client may have cached an older listing; a change of our own makes it ask the server again.
        probe = self._drivers / ".probe"
        probe.touch()
        probe.unlink(missing_ok=True)
        names = [path.name for path in self._drivers.iterdir() if not path.name.startswith(".")]
        return [name for name in names if name != self.name and self._is_alive(name)]

    def confirmed_others(self) -> list[str]:
        """Names of the other drivers, once at least one is known to be alive; takes up to a minute.

        A driver on another machine may have been killed within the last minute: this waits for its next heartbeat, or
        until it counts as dead.
        """
        first: dict[str, str] = {}
        while others := self.others():
            for name in others:
                beat = self._heartbeats.get(name, ("", 0.0))[0]
                if beat != first.setdefault(name, beat) or (fcntl is not None and beat.startswith(f"{_machine()} ")):
                    return others
            time.sleep(POLL)
        return []

    def unresponsive(self) -> dict[str, int]:
        """Process ids, by name, of local drivers that hold a lease this one asked for, but give no heartbeat."""
        since, found = time.monotonic() - UNRESPONSIVE, {}
        for name, (beat, seen) in self._heartbeats.items():
            match beat.split():
                case machine, _, pid if machine == _machine() and seen < since and (self._drivers / name).exists():
                    found[name] = int(pid)
        return found

    def describe_others(self) -> list[str]:
        """The other drivers in words: the process of one on this machine, the start time of one elsewhere."""
        found = []
        for name in self.others():
            elsewhere = f"a liquidbench on another machine, started at {name[9:11]}:{name[11:13]} UTC"
            found += lock_holders(self._drivers / name) or [elsewhere]
        return found

    def alive(self) -> bool:
        """Whether this driver still counts as alive; if not, other drivers may have taken over its runs."""
        try:
            return os.path.samestat(os.fstat(self._open.fileno()), os.stat(self._file))
        except FileNotFoundError:
            return False

    def clean_up(self, stored: Collection[str] | None = None) -> None:
        """Remove the leases of ended runs, unless there are other drivers, which might not know that they ended.

        Args:
            stored: runs whose results are stored, from a driver that acquires no more leases. The leases of all of
                them are removed, whichever driver ended them, and so are files that killed drivers left behind.
        """
        # List first, then look for others: a driver that comes later reads the results later, and finds these runs.
        listed = list(self._leases.iterdir())
        if self.others():
            return
        ended = {path.stem for path in listed if path.suffix == ".ended"}
        ended = ended & self._ended if stored is None else ended | set(stored)
        # Marks of ended runs last: a run without leases and mark would look as if it had not ended.
        for path in sorted(listed, key=lambda path: path.suffix == ".ended"):
            leftover = stored is not None and path.suffix in (".card", ".begun") and path != self._card
            if path.stem in ended or leftover:
                path.unlink(missing_ok=True)
        for path in self._drivers.glob(".*") if stored is not None else ():
            self._is_alive(path.name)

    def _write_card(self) -> None:
        with _created(self._card) as card:
            card.write(self.name)

    def _link(self, name: str) -> bool:
        """Create a file that contains this driver's name; False if it exists already."""
        try:
            os.link(self._card, self._leases / name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _NO_LINKS:
                reason = (
                    f"{error.strerror}: its file system makes no hard links, which drivers need to share runs (FAT, "
                    "exFAT and some network drives have none)"
                )
                raise OSError(errno.EOPNOTSUPP, reason) from error
            if error.errno != errno.EMLINK:
                raise
            # A file can have only so many links, on some file systems about ten thousand.
            self._card.unlink()
            self._write_card()
            return self._link(name)
        return True

    def _read(self, run: str, attempt: int) -> str:
        """The content of a lease; empty if it is damaged."""
        try:
            return content_of(self._leases / f"{run}.{attempt}").decode(errors="replace")
        except DamagedFileError:
            return ""

    def _is_alive(self, name: str) -> bool:
        """Whether another driver is alive; if it is not, its file is removed."""
        file = self._drivers / name
        try:
            with open(file, errors="replace", opener=without_waiting) as opened:
                beat = opened.read()
                if beat != self._heartbeats.get(name, ("", 0.0))[0]:
                    self._heartbeats[name] = (beat, time.monotonic())
                if beat.startswith(f"{_machine()} ") and fcntl is not None:
                    fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
                elif beat and time.monotonic() - self._heartbeats[name][1] < TIMEOUT:
                    return True
        except BlockingIOError:
            return True
        except (FileNotFoundError, IsADirectoryError):
            return False
        if name != self.name:
            file.unlink(missing_ok=True)
        return False

    def _keep_beating(self) -> None:
        while not self._stopping.wait(HEARTBEAT):
            # The disk may be full or the file server unreachable for a moment; the next heartbeat tries again.
            with suppress(OSError):
                self._beat()

    def _beat(self) -> None:
        self._beats += 1
        # In place, since the lock is on this inode.
        self._open.seek(0)
        self._open.write(f"{_machine()} {self._beats:012d} {os.getpid()}\n")
        self._open.flush()
        os.fsync(self._open.fileno())


def _created(path: Path) -> IO[str]:
    """A new file in a folder that another driver may remove, while it is empty, at any moment."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("w")


@cache
def _machine() -> str:
    """An id of this machine and boot; containers on one machine share it, as they share its kernel and locks."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.node().replace(" ", "-") or "unknown"
