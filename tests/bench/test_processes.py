"""Who holds a lock is said to whoever waits for it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from liquidbench.engine.machine import occupied
from liquidbench.processes import holders
from liquidbench.storage import alone

fcntl = pytest.importorskip("fcntl")
told = pytest.mark.skipif(not Path("/proc/locks").is_file(), reason="the system does not tell who holds a lock")

HOLD = """
import fcntl, sys
held = open(sys.argv[1], "a")
fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that holds a lock until its context ends."""

    def __init__(self, lock: Path):
        words = [sys.executable, "-c", HOLD, str(lock)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"
        return self

    def leave(self):
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)

    def __exit__(self, *_):
        self.leave()
        assert self.process.stdout is not None
        self.process.stdout.close()


@told
def test_holders_are_named_with_their_command(tmp_path):
    lock = tmp_path / "lock"
    assert holders(lock) == []
    lock.touch()
    assert holders(lock) == []
    with Holder(lock) as other:
        (found,) = holders(lock)
        assert found.startswith(f"process {other.process.pid} ({sys.executable} -c")
    assert holders(lock) == []


@told
def test_several_that_share_a_lock_are_all_named(tmp_path):
    with (tmp_path / "lock").open("a") as one, (tmp_path / "lock").open("a") as two:
        for file in (one, two):
            fcntl.flock(file, fcntl.LOCK_SH)
        # The same process, which is one.
        (found,) = holders(tmp_path / "lock")
        assert found.startswith(f"process {os.getpid()} ")


def test_a_lock_that_is_waited_for_is_said_once_and_a_free_one_not(tmp_path):
    said: list[str] = []
    with alone(tmp_path / "lock", on_wait=said.append):
        assert not said
    with Holder(tmp_path / "lock") as other:

        def hear(reason: str) -> None:
            said.append(reason)
            threading.Thread(target=other.leave).start()

        with alone(tmp_path / "lock", on_wait=hear):
            assert len(said) == 1 and said[0].startswith("waiting for ")
            if Path("/proc/locks").is_file():
                assert f"process {other.process.pid} (" in said[0]


@pytest.mark.parametrize(("file", "measured"), [("door", False), ("room", False), ("room", True)])
def test_a_run_that_waits_for_the_machine_says_for_whom(file, measured, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with occupied(alone=measured):
        (folder,) = tmp_path.iterdir()
    said: list[str] = []
    with Holder(folder / file) as other:

        def hear(reason: str) -> None:
            said.append(reason)
            threading.Thread(target=other.leave).start()

        with occupied(measured, hear):
            assert len(said) == 1 and "a measurement has the machine to itself" in said[0]
