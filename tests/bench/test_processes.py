"""Signals, and child processes that stand still."""

import os
import signal
import subprocess
import threading
import time
import warnings

import pytest

from liquidbench import processes
from liquidbench.processes import StandstillWatch, Stopped, interrupts_ignored, stoppable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


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
    watch = StandstillWatch()

    def looks(pid: int) -> list[str]:
        # The system takes a moment.
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
            assert told.startswith(f"the sleeper (process {child.pid}) is stopped and is waited for")
            assert f"kill -CONT {child.pid}" in told and f"kill -KILL {child.pid}" in told
            child.send_signal(signal.SIGCONT)
            assert looks(child.pid) == []
        child.kill()
        assert child.wait() == -signal.SIGKILL, "how it ended is still there to be asked for"
        assert looks(child.pid) == []
