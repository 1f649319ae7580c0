"""Who does which run, among drivers that share a folder and nothing else.

A lease is a file that one driver alone can make: a hard link to a card with its name, under the name of the run
and the number of the attempt. A link either is there with its content or is not, on NFS too. It holds for as long
as its driver lives; then the next attempt is free, and its link too can be made once. When a worker begins with the
run, its driver writes so into the lease: only what is lost from then on may be the run's own doing.

A driver lives while its file in ``drivers/`` does, which it rewrites every few seconds. On its own machine the
kernel tells at once that it is gone, by a lock that no dead process holds; one that holds it in silence is stopped or
hangs. From elsewhere it is gone when its file has not changed for a minute of the observer's own clock; no two clocks
are ever compared. Whoever finds that removes the file, and a driver that wakes up without its file has to stop.
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
from liquidbench.processes import holders
from liquidbench.storage import DamagedFileError, content_of, without_waiting

try:
    import fcntl
except ImportError:
    # Windows has none; there a driver on the same machine is judged as one from elsewhere.
    fcntl = None

BEAT = 5.0
"""Seconds between two signs of life."""

SILENCE = 60.0
"""Seconds without one after which a driver on another machine is taken for gone."""

QUIET = 3 * BEAT
"""Seconds without one after which a driver on this machine, which is there, is taken for stopped or hanging."""

LOOK = 1.0
"""Seconds between two looks at what other drivers have done."""

_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"""What file systems without hard links say when one is to be made."""

_BEGUN = " begun"


class Leases:
    """One driver's leases, and its presence among the others; a context.

    Args:
        directory: the study's folder; it is made where it does not exist.

    Attributes:
        name: this driver's name, which no other ever has.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}x{uuid.uuid4().hex[:8]}"
        self._leases, self._drivers = Path(directory) / "leases", Path(directory) / "drivers"
        self._file = self._drivers / self.name
        self._card = self._leases / f".{self.name}.card"
        self._ended: set[str] = set()
        # What the others' files said, and when it was first seen to.
        self._heard: dict[str, tuple[str, float]] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        # It appears locked, so that nobody finds it lying there without its driver.
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
                # Somebody tidied up just before it was locked.
                self._open.close()
        self._show_card()
        self._heart = threading.Thread(target=self._live, name="liquidbench heartbeat", daemon=True)
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
            # Another's are still there, perhaps.
            with suppress(OSError):
                folder.rmdir()

    def take(self, run: str) -> int | None:
        """Try to get the lease of a run.

        Returns:
            Which attempt at the run this is, from 1: one more than there were drivers that died with its lease, of
            which `losses` tells what may have been the run's doing. None if another driver is at it or has ended it,
            which `ended` tells apart.
        """
        attempt = 1
        while not self._link(f"{run}.{attempt}"):
            try:
                holder = self._told(run, attempt).removesuffix(_BEGUN)
            except FileNotFoundError:
                # Given back this moment.
                continue
            if holder == self.name:
                # A file server may have done what it says it could not, when its first answer was lost.
                break
            # What no driver wrote, or was damaged since, is nobody's.
            if re.fullmatch(results.DRIVER, holder) and self._alive(holder):
                return None
            attempt += 1
        if self.ended(run):
            # Its driver ended it before it died, or between our two looks.
            self.release(run, attempt)
            return None
        return attempt

    def begin(self, run: str, attempt: int) -> None:
        """Write down that a worker has begun with a run whose lease this driver has."""
        part = self._leases / f".{self.name}.begun"
        part.write_text(self.name + _BEGUN)
        part.replace(self._leases / f"{run}.{attempt}")

    def losses(self, run: str, attempt: int) -> int:
        """How many of the drivers before this attempt died when a worker had begun with the run."""
        lost = 0
        for earlier in range(1, attempt):
            with suppress(FileNotFoundError):
                lost += self._told(run, earlier).endswith(_BEGUN)
        return lost

    def disown(self, run: str) -> None:
        """Take back what `end` told of a run whose results turn out not to be there."""
        (self._leases / f"{run}.ended").unlink(missing_ok=True)
        self._ended.discard(run)

    def release(self, run: str, attempt: int) -> None:
        """Give back the lease of a run that was not ended."""
        (self._leases / f"{run}.{attempt}").unlink(missing_ok=True)

    def end(self, run: str) -> None:
        """Tell the others that a run's results are there, before which they must be."""
        self._link(f"{run}.ended")
        self._ended.add(run)

    def ended(self, run: str) -> bool:
        """Whether one of the drivers at work has ended the run."""
        if (self._leases / f"{run}.ended").exists():
            self._ended.add(run)
        return run in self._ended

    def others(self) -> list[str]:
        """Names of the other drivers at work."""
        # A file server's client may remember an older list; a change of its own makes it ask again.
        probe = self._drivers / ".probe"
        probe.touch()
        probe.unlink(missing_ok=True)
        names = [path.name for path in self._drivers.iterdir() if not path.name.startswith(".")]
        return [name for name in names if name != self.name and self._alive(name)]

    def at_work(self) -> list[str]:
        """Names of the other drivers, of which one at least is certainly at work; a minute's wait where none may be.

        One elsewhere may have been killed: it is waited for until it gives a sign of life, or counts as gone.
        """
        first: dict[str, str] = {}
        while others := self.others():
            for name in others:
                told = self._heard.get(name, ("", 0.0))[0]
                if told != first.setdefault(name, told) or (fcntl is not None and told.startswith(f"{_machine()} ")):
                    return others
            time.sleep(LOOK)
        return []

    def quiet(self) -> dict[str, int]:
        """Drivers on this machine that hold leases which were asked for and give no sign of life; their process ids."""
        since, found = time.monotonic() - QUIET, {}
        for name, (told, heard) in self._heard.items():
            match told.split():
                case machine, _, pid if machine == _machine() and heard < since and (self._drivers / name).exists():
                    found[name] = int(pid)
        return found

    def holders(self) -> list[str]:
        """Who the other drivers are, in words: processes of this machine, or when one elsewhere began."""
        found = []
        for name in self.others():
            began = f"a liquidbench elsewhere, which began {name[9:11]}:{name[11:13]} UTC"
            found += holders(self._drivers / name) or [began]
        return found

    def standing(self) -> bool:
        """Whether this driver still counts as alive; one that does not may have lost its runs to another."""
        try:
            return os.path.samestat(os.fstat(self._open.fileno()), os.stat(self._file))
        except FileNotFoundError:
            return False

    def tidy(self, over: Collection[str] | None = None) -> None:
        """Remove the leases of ended runs, if nobody is there who might not know that they have ended.

        Args:
            over: runs whose results are there, for a driver that goes and takes no more; then those go as well that
                ended unknown to it, and what killed drivers have left.
        """
        # Listed before looking for others: who comes later reads the results later, and finds these runs there.
        listed = list(self._leases.iterdir())
        if self.others():
            return
        ended = {path.stem for path in listed if path.suffix == ".ended"}
        ended = ended & self._ended if over is None else ended | set(over)
        # The marks last, for without leases a run must not look as if it had not ended.
        for path in sorted(listed, key=lambda path: path.suffix == ".ended"):
            if path.stem in ended or (over is not None and path.suffix in (".card", ".begun") and path != self._card):
                path.unlink(missing_ok=True)
        for path in self._drivers.glob(".*") if over is not None else ():
            self._alive(path.name)

    def _show_card(self) -> None:
        with _created(self._card) as card:
            card.write(self.name)

    def _link(self, name: str) -> bool:
        """Make a file with this driver's name in it, unless it is there."""
        try:
            os.link(self._card, self._leases / name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _NO_LINKS:
                reason = (
                    f"{error.strerror}: its file system makes no hard links, by which runs are shared out; FAT, exFAT "
                    "and some network drives are such"
                )
                raise OSError(errno.EOPNOTSUPP, reason) from error
            if error.errno != errno.EMLINK:
                raise
            # A file has some ten thousand links at most.
            self._card.unlink()
            self._show_card()
            return self._link(name)
        return True

    def _told(self, run: str, attempt: int) -> str:
        """What a lease says."""
        try:
            return content_of(self._leases / f"{run}.{attempt}").decode(errors="replace")
        except DamagedFileError:
            return ""

    def _alive(self, name: str) -> bool:
        """Whether a driver is; if not, it is buried."""
        file = self._drivers / name
        try:
            with open(file, errors="replace", opener=without_waiting) as opened:
                told = opened.read()
                if told != self._heard.get(name, ("", 0.0))[0]:
                    self._heard[name] = (told, time.monotonic())
                if told.startswith(f"{_machine()} ") and fcntl is not None:
                    fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
                elif told and time.monotonic() - self._heard[name][1] < SILENCE:
                    return True
        except BlockingIOError:
            return True
        except (FileNotFoundError, IsADirectoryError):
            return False
        if name != self.name:
            file.unlink(missing_ok=True)
        return False

    def _live(self) -> None:
        while not self._stopping.wait(BEAT):
            # A full disk or a file server that is away for a moment is no reason to die.
            with suppress(OSError):
                self._beat()

    def _beat(self) -> None:
        self._beats += 1
        # In place: the lock is on this very file.
        self._open.seek(0)
        self._open.write(f"{_machine()} {self._beats:012d} {os.getpid()}\n")
        self._open.flush()
        os.fsync(self._open.fileno())


def _created(path: Path) -> IO[str]:
    """A new file, and its folder, which another driver may remove as empty at any moment."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("w")


@cache
def _machine() -> str:
    """This machine since it was started; containers on it, which share its kernel and its locks, are the same."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.node().replace(" ", "-") or "unknown"
