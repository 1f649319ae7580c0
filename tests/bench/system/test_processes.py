"""Signals, stopped child processes, and holders of locks."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from liquidbench.engine.machine import occupied
from liquidbench.system import processes
from liquidbench.system.processes import Stopped, StoppedWatch, interrupts_ignored, lock_holders, stoppable
from liquidbench.system.storage import file_lock

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
    assert lock_holders(lock) == []
    lock.touch()
    assert lock_holders(lock) == []
    with Holder(lock) as other:
        (found,) = lock_holders(lock)
        assert found.startswith(f"process {other.process.pid} ({sys.executable} -c")
    assert lock_holders(lock) == []


@told
def test_several_that_share_a_lock_are_all_named(tmp_path):
    with (tmp_path / "lock").open("a") as one, (tmp_path / "lock").open("a") as two:
        for file in (one, two):
            fcntl.flock(file, fcntl.LOCK_SH)
        # The same process, listed once.
        (found,) = lock_holders(tmp_path / "lock")
        assert found.startswith(f"process {os.getpid()} ")


def test_a_lock_that_is_waited_for_is_said_once_and_a_free_one_not(tmp_path):
    said: list[str] = []
    with file_lock(tmp_path / "lock", on_wait=said.append):
        assert not said
    with Holder(tmp_path / "lock") as other:

        def hear(reason: str) -> None:
            said.append(reason)
            threading.Thread(target=other.leave).start()

        with file_lock(tmp_path / "lock", on_wait=hear):
            assert len(said) == 1 and said[0].startswith("waiting for ")
            if Path("/proc/locks").is_file():
                assert f"process {other.process.pid} (" in said[0]


@pytest.mark.parametrize(("file", "measured"), [("door", False), ("room", False), ("room", True)])
def test_a_run_that_waits_for_the_machine_says_for_whom(file, measured, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with occupied(exclusive=measured):
        (folder,) = tmp_path.iterdir()
    said: list[str] = []
    with Holder(folder / file) as other:

        def hear(reason: str) -> None:
            said.append(reason)
            threading.Thread(target=other.leave).start()

        with occupied(measured, hear):
            assert len(said) == 1 and "a cost measurement needs the machine to itself" in said[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_and_others_do_not_cut_short_what_follows(number):
    before = signal.signal(number, signal.SIG_DFL)
    try:
        tidied = False
        with pytest.raises(Stopped) as stopped, stoppable():
            try:
                os.kill(os.getpid(), number)
                pytest.fail("nothing was raised")
            finally:
                for again in (signal.SIGTERM, signal.SIGHUP, number):
                    os.kill(os.getpid(), again)
                tidied = True
        assert tidied and stopped.value.signal == number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_held_is_done_whole(number):
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        steps = []
        with stoppable() as stops, pytest.raises(Stopped) as stopped:
            with stops.deferred():
                with stops.deferred():
                    os.kill(os.getpid(), number)
                    steps.append("inner")
                steps.append("outer")
            steps.append("after")
        assert steps == ["inner", "outer"] and stopped.value.signal == number
    finally:
        signal.signal(number, before)


def test_what_was_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone():
    handlers = []

    def look() -> None:
        with stoppable(), interrupts_ignored():
            handlers.append((signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))]


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system does not tell")
def test_a_child_that_stands_still_is_told_of_once_each_time(monkeypatch):
    monkeypatch.setattr(processes, "WATCH", 0.0)
    watch = StoppedWatch()

    def looks(pid: int) -> list[str]:
        # The signal takes a moment.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                watch.look({pid: "the sleeper"})
                time.sleep(0.01)
        return [str(one.message) for one in caught]

    with subprocess.Popen(["sleep", "60"]) as child:
        assert looks(child.pid) == []
        for _ in range(2):
            child.send_signal(signal.SIGSTOP)
            (told,) = looks(child.pid)
            assert told.startswith(f"waiting for the sleeper (process {child.pid}), which is stopped")
            assert f"kill -CONT {child.pid}" in told and f"kill -KILL {child.pid}" in told
            child.send_signal(signal.SIGCONT)
            assert looks(child.pid) == []
        child.kill()
        assert child.wait() == -signal.SIGKILL, "how it ended is still there to be asked for"
        assert looks(child.pid) == []
