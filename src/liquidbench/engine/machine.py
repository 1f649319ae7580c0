"""Measurements of cost have their machine to themselves, whoever else is at work on it.

Two locks of the kernel's, which a process loses however it ends: every run is in the room, a measurement alone.
Before that, it stands in the door, so that no new run enters while it waits for those inside to leave.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from liquidbench.system.places import private_folder
from liquidbench.system.processes import holders

try:
    import fcntl
except ImportError:
    # Windows has none; there, only one driver's own runs keep out of each other's way.
    fcntl = None


@contextmanager
def occupied(alone: bool, on_wait: Callable[[str], None] = lambda reason: None) -> Iterator[None]:
    """Within it, no run is measured that is not alone on this machine; waits for its turn first.

    It counts all runs of this user, of whatever study and driver.

    Args:
        alone: whether this one is to have nothing beside it.
        on_wait: is told whom it has to wait for, if it has to.
    """
    if fcntl is None:
        yield
        return
    folder = private_folder()
    with ExitStack() as inside:
        with (folder / "door").open("a") as door:
            _lock(door, fcntl.LOCK_EX, on_wait, "where a measurement has the machine to itself, or is about to")
            room = inside.enter_context((folder / "room").open("a"))
            if alone:
                _lock(room, fcntl.LOCK_EX, on_wait, "since a measurement has the machine to itself")
        if not alone:
            _lock(room, fcntl.LOCK_SH, on_wait, "where a measurement has the machine to itself")
        yield


def _lock(file: IO[str], kind: int, on_wait: Callable[[str], None], why: str) -> None:
    assert fcntl is not None
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait(f"waiting for {' and '.join(holders(file.name)) or 'another run on this machine'}, {why}")
        fcntl.flock(file, kind)
