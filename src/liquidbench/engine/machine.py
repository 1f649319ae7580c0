"""Measurements of cost have their machine to themselves, whoever else is at work on it.

Two locks of the kernel's, which a process loses however it ends: every run is in the room, a measurement alone.
Before that, it stands in the door, so that no new run enters while it waits for those inside to leave.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from liquidbench.places import private_folder

try:
    import fcntl
except ImportError:
    # Windows has none; there, only one driver's own runs keep out of each other's way.
    fcntl = None


@contextmanager
def occupied(alone: bool) -> Iterator[None]:
    """Within it, no run is measured that is not alone on this machine; waits for its turn first.

    It counts all runs of this user, of whatever study and driver.

    Args:
        alone: whether this one is to have nothing beside it.
    """
    if fcntl is None:
        yield
        return
    folder = private_folder()
    with ExitStack() as inside:
        with (folder / "door").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            room = inside.enter_context((folder / "room").open("a"))
            if alone:
                fcntl.flock(room, fcntl.LOCK_EX)
        if not alone:
            fcntl.flock(room, fcntl.LOCK_SH)
        yield
