"""Leases between drivers in this process and drivers that are killed."""

import errno
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter

import pytest

from liquidbench.engine import leases
from liquidbench.engine.leases import Leases

SPAWN = multiprocessing.get_context("spawn")


def test_one_of_two_gets_a_run(tmp_path):
    with Leases(tmp_path) as one, Leases(tmp_path) as two:
        assert one.others() == [two.name] and two.others() == [one.name]
        assert one.acquire("a") == 1
        assert two.acquire("a") is None and not two.ended("a")
        assert two.acquire("b") == 1
        one.release("a", 1)
        assert two.acquire("a") == 1
        two.mark_ended("a")
        assert one.acquire("a") is None and one.ended("a")
        # The mark is kept while another driver might not know of it.
        two.clean_up()
        assert one.acquire("a") is None


def test_nothing_is_left_when_all_is_done(tmp_path):
    with Leases(tmp_path) as one:
        with Leases(tmp_path) as two:
            assert two.acquire("a") == 1
            two.mark_ended("a")
        assert one.acquire("a") is None and one.ended("a")
        assert one.acquire("b") == 1 and one.acquire("c") == 1
        one.mark_ended("b")
        one.clean_up()
        # A driver that starts now finds the results, so the leases are not needed any more.
        assert {path.name for path in (tmp_path / "leases").iterdir()} == {f".{one.name}.card", "c.1"}
        one.clean_up(stored=["c"])
    assert not list(tmp_path.iterdir())


def test_many_threads_get_each_run_once(tmp_path):
    taken: Counter[str] = Counter()

    def work(driver: Leases) -> None:
        for number in range(200):
            if driver.acquire(f"run{number}") is not None:
                taken[f"run{number}"] += 1

    with Leases(tmp_path) as one, Leases(tmp_path) as two, Leases(tmp_path) as three:
        threads = [threading.Thread(target=work, args=(driver,)) for driver in (one, two, three)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == 200 and set(taken.values()) == {1}


def hold(directory, told) -> None:
    with Leases(directory) as driver:
        attempts = [driver.acquire(run) for run in ("running", "over")]
        driver.mark_ended("over")
        told.send((driver.name, attempts))
        time.sleep(600)


def killed_holder(directory) -> str:
    mine, theirs = SPAWN.Pipe()
    holder = SPAWN.Process(target=hold, args=(directory, theirs))
    holder.start()
    name, attempts = mine.recv()
    assert attempts == [1, 1]
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    return name


def test_runs_of_a_killed_driver_are_taken_over_at_once_and_counted(tmp_path):
    name = killed_holder(tmp_path)
    assert (tmp_path / "drivers" / name).exists()
    with Leases(tmp_path) as one:
        assert one.acquire("running") == 2
        assert one.acquire("over") is None and one.ended("over")
        assert one.others() == [] and not (tmp_path / "drivers" / name).exists()
        with Leases(tmp_path) as two:
            assert two.acquire("running") is None


def test_of_a_driver_elsewhere_silence_is_measured_on_ones_own_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "TIMEOUT", 0.6)
    monkeypatch.setattr(leases, "HEARTBEAT", 0.05)
    monkeypatch.setattr(leases, "_machine", lambda: threading.current_thread().machine)
    here = threading.current_thread()

    here.machine = "mars"
    far = Leases(tmp_path)
    beating = threading.Event()
    beat = far._beat

    def beat_on_mars() -> None:
        threading.current_thread().machine = "mars"
        if not beating.is_set():
            beat()

    far._beat = beat_on_mars
    with far:
        assert far.acquire("a") == 1
        # A clock that is years off has no effect, since clocks are not compared.
        os.utime(tmp_path / "drivers" / far.name, (0, 0))
        here.machine = "earth"
        with Leases(tmp_path) as near:
            near._beat = lambda: None
            ends = time.monotonic() + 1.5
            while time.monotonic() < ends:
                assert near.acquire("a") is None
                time.sleep(0.05)
            assert far.alive()
            # Now the heartbeat of mars stops.
            beating.set()
            assert near.acquire("a") is None
            ends = time.monotonic() + 5
            while (attempt := near.acquire("a")) is None and time.monotonic() < ends:
                time.sleep(0.05)
            assert attempt == 2
            # The driver that was taken for dead notices it.
            assert not far.alive() and near.alive()


def test_who_may_have_been_killed_elsewhere_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "TIMEOUT", 0.3)
    monkeypatch.setattr(leases, "POLL", 0.02)
    (tmp_path / "drivers").mkdir()
    mark = tmp_path / "drivers" / "20260101T000000x00000000"
    mark.write_text("mars 000000000001 7\n")
    with Leases(tmp_path) as here:
        assert here.others() == [mark.name]
        assert here.confirmed_others() == [] and not mark.exists()
        # Another driver's heartbeat arrives.
        mark = mark.with_name("20260101T000000x00000001")
        mark.write_text("mars 000000000001 7\n")
        sign = threading.Timer(0.1, mark.write_text, ["mars 000000000002 7\n"])
        sign.start()
        assert here.confirmed_others() == [mark.name]
        sign.join()


@pytest.mark.skipif(os.name != "posix", reason="needs the kernel's locks")
def test_who_is_at_work_here_is_known_at_once(tmp_path, monkeypatch):
    # `time.sleep` raises an error for NaN: nothing may be waited for.
    monkeypatch.setattr(leases, "POLL", float("nan"))
    with Leases(tmp_path) as one, Leases(tmp_path) as two:
        assert one.confirmed_others() == [two.name]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links_is_named(tmp_path, monkeypatch, number):
    def refused(source, target):
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    monkeypatch.setattr(os, "link", refused)
    with Leases(tmp_path) as one, pytest.raises(OSError, match="its file system makes no hard links"):
        one.acquire("a")


def test_more_leases_than_a_file_may_have_links(tmp_path, monkeypatch):
    link, links = os.link, Counter()

    def few(source, target):
        if links[os.stat(source).st_ino] >= 3:
            raise OSError(errno.EMLINK, "Too many links")
        link(source, target)
        links[os.stat(source).st_ino] += 1

    monkeypatch.setattr(os, "link", few)
    with Leases(tmp_path) as one, Leases(tmp_path) as two:
        assert [one.acquire(f"run{number}") for number in range(10)] == [1] * 10
        assert [two.acquire(f"run{number}") for number in range(10)] == [None] * 10


def test_a_server_that_said_no_to_what_it_did(tmp_path, monkeypatch):
    """NFS repeats a request whose answer was lost; the second one finds the link that the first made."""
    link = os.link

    def twice(source, target):
        link(source, target)
        link(source, target)

    with Leases(tmp_path) as one:
        monkeypatch.setattr(os, "link", twice)
        assert one.acquire("a") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs the kernel's locks")
def test_a_driver_that_stands_still_on_this_machine_is_not_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "TIMEOUT", 0.0)
    with Leases(tmp_path) as one:
        one._beat = lambda: None
        assert one.acquire("a") == 1
        with Leases(tmp_path) as two:
            assert two.acquire("a") is None and two.others() == [one.name]


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
@pytest.mark.parametrize("odd", [os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.mkdir()])
def test_odd_files_hold_nothing_up(tmp_path, odd, monkeypatch):
    monkeypatch.setattr(leases, "TIMEOUT", 0.0)
    with Leases(tmp_path) as one:
        odd(tmp_path / "leases" / "a.1")
        odd(tmp_path / "drivers" / "20260101T000000x00000000")
        assert one.acquire("a") == 2 and one.others() == [] and one.losses("a", 2) == 0


@pytest.mark.parametrize("told", ["", "../elsewhere", "20260101T000000x0000000g", "\xff"])
def test_a_damaged_lease_is_nobodys(tmp_path, told):
    (tmp_path / "elsewhere").write_text("not to be touched")
    with Leases(tmp_path) as one:
        (tmp_path / "leases" / "a.1").write_text(told)
        assert one.acquire("a") == 2
    assert (tmp_path / "elsewhere").exists()


def test_a_lease_tells_whether_a_worker_has_begun(tmp_path):
    with Leases(tmp_path) as one, Leases(tmp_path) as two:
        assert one.acquire("a") == 1
        one.mark_begun("a", 1)
        assert two.acquire("a") is None, "begun or not, it is held"
        for dead in ("begun", "begun", "not"):
            with Leases(tmp_path) as short:
                attempt = short.acquire("b")
                if dead == "begun":
                    short.mark_begun("b", attempt)
        assert two.acquire("b") == 4 and two.losses("b", 4) == 2
        two.mark_ended("b")
        two.release("b", 4)
        assert one.acquire("b") is None and one.ended("b")
        one.unmark_ended("b")
        assert one.acquire("b") == 4 and not one.ended("b")
