"""Exclusive use of the machine for cost measurements, across all processes, drivers and studies of this user.

It is a readers-writer lock made of two ``flock`` locks, which the kernel releases however a process ends. Every run
holds ``room``: shared, or exclusive for a measurement. Every run passes through ``door`` first; a measurement keeps it
locked while it waits for ``room``, so that no new run gets in and the measurement cannot starve.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from liquidbench.system.places import private_folder
from liquidbench.system.processes import lock_holders

try:
    import fcntl
except ImportError:
    # Windows has no flock: there, only the runs of one driver are kept apart.
    fcntl = None


@contextmanager
def occupied(exclusive: bool, on_wait: Callable[[str], None] = lambda reason: None) -> Iterator[None]:
    """Hold the machine for a run, after waiting for the lock.

    Args:
        exclusive: let no other run of this user run meanwhile, of whatever study and driver.
        on_wait: called with a description of what it waits for, if it has to wait.
    """
    if fcntl is None:
        yield
        return
    folder = private_folder()
    with ExitStack() as inside:
        with (folder / "door").open("a") as door:
            _lock(door, fcntl.LOCK_EX, on_wait)
            room = inside.enter_context((folder / "room").open("a"))
            if exclusive:
                _lock(room, fcntl.LOCK_EX, on_wait)
        if not exclusive:
            _lock(room, fcntl.LOCK_SH, on_wait)
        yield


def _lock(file: IO[str], kind: int, on_wait: Callable[[str], None]) -> None:
    assert fcntl is not None
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        others = " and ".join(lock_holders(file.name)) or "another run on this machine"
        on_wait(f"waiting for {others}: a cost measurement needs the machine to itself")
        fcntl.flock(file, kind)
