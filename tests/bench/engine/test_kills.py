"""Drivers and workers killed at random, while others go on and a reader reads the results."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from rehearsal import Rehearsal
from watched import Noting

from liquidbench import results
from liquidbench.engine import InProcess, Pool, execute, leases, plan, pool
from liquidbench.engine import driver as driver_module
from liquidbench.engine.leases import Leases
from liquidbench.engine.messages import Job
from liquidbench.study import Study
from liquidbench.system import processes
from liquidbench.system.storage import KeptFileWarning

SCRIPT = Path(__file__).with_name("watched.py")

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")


def prepared(directory: Path, seeds: int) -> Study:
    """A study's folder with its file and its tasks' facts, so that drivers start without torch."""
    study = Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU", "RNN"], "seeds": seeds})
    plan(study, directory)
    (directory / "study.yaml").write_text(study.to_yaml())
    (directory / "watch").mkdir()
    return study


def hearing() -> None:
    """Restore default signal handlers: children inherit ignored signals from the test process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Driver:
    """A driver's process, and the runs that it reported as ended."""

    def __init__(self, directory: Path):
        self.ended: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(directory), "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hearing,
        )
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # A killed driver may have written half a line.
            if line.endswith("\n"):
                self.ended.append(line.split()[1])

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            pids = [int(pid) for pid in children.read_text().split()]
            return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        except FileNotFoundError:
            return []

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


class Reader(threading.Thread):
    """Reads all the time: runs must not disappear, and nothing may look damaged."""

    def __init__(self, directory: Path):
        super().__init__()
        self.directory, self.complaint, self.looks = directory, "", 0
        self.over = threading.Event()

    def run(self) -> None:
        seen: set[str] = set()
        while not self.over.wait(0.02):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                now = set(results.done(self.directory))
            if caught or seen - now:
                self.complaint = f"{[str(one.message) for one in caught]} {seen - now}"
                return
            seen = now
            self.looks += 1


def whole(directory: Path, study: Study) -> None:
    """Check that every run is stored exactly once, for any reader of Parquet, and that no working files are left."""
    made = plan(study, directory)
    assert not made.pending
    assert not list((directory / "watch").glob("*.clash")), "two were at one run"
    frame = pl.read_parquet(directory / "runs")
    assert frame.sort(pl.all()).equals(results.read(directory).sort(pl.all()))
    rows = Counter(frame.filter(pl.col("metric") != "attempts")["run"].to_list())
    assert set(rows) == set(made.ids.values())
    # All fits have the same number of rows, so none is stored in part or twice.
    assert (
        len({rows[made.ids[run]] for run, status in made.status.items() if (run.kind, status) == ("fit", "done")}) == 1
    )
    left = {path.name for path in directory.iterdir()} - {"watch", "study.yaml", "tasks.json", "workers.log"}
    assert left == {"runs", "incoming"} and not list((directory / "incoming").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "kills"), [(40, 5), (400, 80)], ids=["short", "long"])
def test_killed_at_random_and_nothing_is_lost_or_done_twice(tmp_path, seeds, kills):
    study = prepared(tmp_path, seeds)
    seed = int.from_bytes(os.urandom(4))
    print(f"random.Random({seed})")
    chance = random.Random(seed)
    reader = Reader(tmp_path)
    reader.start()
    drivers, past = [Driver(tmp_path), Driver(tmp_path)], []
    try:
        killed: Counter[str] = Counter()
        while killed.total() < kills:
            time.sleep(chance.uniform(0.1, 0.7))
            place = chance.randrange(2)
            workers = drivers[place].workers()
            if workers and chance.random() < 0.6:
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed["worker"] += 1
            else:
                drivers[place].end()
                # Everything that the driver reported is on disk, although it was killed.
                assert set(drivers[place].ended) <= set(results.done(tmp_path))
                past.append(drivers[place])
                drivers[place] = Driver(tmp_path)
                killed["driver"] += 1
        for driver in drivers:
            code = driver.process.wait(timeout=100)
            assert code == 0, driver.process.stderr.read()
    finally:
        for driver in drivers:
            driver.end()
        reader.over.set()
        reader.join()
    assert not reader.complaint and reader.looks
    told = Counter(run for driver in [*past, *drivers] for run in driver.ended)
    assert set(told.values()) == {1}, "a run was done twice"
    whole(tmp_path, study)


def test_a_second_driver_takes_over_what_a_killed_one_was_at(tmp_path):
    study = prepared(tmp_path, 2)
    made = plan(study, tmp_path)
    fits = [run for run in made.pending if run.kind == "fit"]
    ended = []
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=where) as first:
        assert first.stdout is not None and first.stdout.readline() == "started\n"

        def kill_first(event):
            if event.kind == "finished":
                ended.append(event.run)
            if len(ended) == len(fits) - 1:
                # Only the first driver's run is left; this driver would wait for it.
                first.kill()

        outcome = execute(made, Pool(1), kill_first, worker=Rehearsal("s", made.tasks))
    assert set(outcome.finished) == set(made.pending) and not outcome.elsewhere
    assert fits[0] not in ended[: len(fits) - 1]
    whole(tmp_path, study)


HOLD = """
import sys
from pathlib import Path
from liquidbench.engine import InProcess, execute, plan
from rehearsal import Rehearsal
from liquidbench.study import Study
directory = Path(sys.argv[1])
made = plan(Study.load(directory / "study.yaml"), directory)
worker = Rehearsal("s", made.tasks, seconds=600)
execute(made, InProcess(), lambda event: print(event.kind, flush=True), worker=worker)
"""


def test_what_another_driver_has_done_counts(tmp_path):
    study = prepared(tmp_path, 3)
    made = plan(study, tmp_path)
    # Both drivers planned all runs; the second finds them done.
    worker = Rehearsal("s", made.tasks)
    assert len(execute(made, InProcess(), worker=worker).finished) == len(made.pending)
    outcome = execute(made, InProcess(), worker=worker)
    assert outcome.elsewhere == list(made.pending) and not outcome.finished
    whole(tmp_path, study)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGHUP))],
)
def test_a_driver_that_is_asked_to_end_gives_its_leases_back(tmp_path, number):
    study = prepared(tmp_path, 400)
    driver = Driver(tmp_path)
    try:
        until = time.monotonic() + 60
        while len(driver.ended) < 5 and time.monotonic() < until:
            time.sleep(0.01)
        driver.process.send_signal(number)
        if number != signal.SIGINT:
            # Signals often come in pairs.
            driver.process.send_signal(signal.SIGHUP)
        assert driver.process.wait(60) == 0
    finally:
        driver.end()
    assert 5 <= len(driver.ended) < 800 and set(driver.ended) <= set(results.done(tmp_path))
    assert not (tmp_path / "leases").exists() and not (tmp_path / "drivers").exists()
    assert plan(study, tmp_path).pending


DYING = """
import os, signal, sys
from liquidbench.engine.leases import Leases
directory, begun, *runs = sys.argv[1:]
for _ in range(12):
    if not os.fork():
        with Leases(directory) as driver:
            for run in runs:
                attempt = driver.acquire(run)
                if begun == "begun":
                    driver.mark_begun(run, attempt)
            os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
"""


@pytest.mark.sampled(2)
@pytest.mark.parametrize("begun", [False, True])
def test_drivers_that_die_count_where_a_worker_of_theirs_had_begun(tmp_path, begun):
    made = plan(prepared(tmp_path, 2), tmp_path)
    runs = [made.id(run) for run in made.pending[:2]]
    words = [sys.executable, "-c", DYING, str(tmp_path), "begun" if begun else "not yet", *runs]
    subprocess.run(words, check=True)
    assert len(list((tmp_path / "leases").glob(f"{runs[0]}.*"))) == 12
    outcome = execute(made, InProcess(), worker=Rehearsal("s", made.tasks))
    if begun:
        assert set(outcome.failed) == set(made.pending[:2])
        assert set(outcome.failed.values()) == {"lost 12 times: its driver was lost"}
        assert len(outcome.finished) == 4
    else:
        assert set(outcome.finished) == set(made.pending) and not outcome.failed
    assert not (tmp_path / "leases").exists()


def test_a_run_that_is_marked_as_ended_is_done_if_its_results_are_not_there(tmp_path):
    study = prepared(tmp_path, 2)
    made = plan(study, tmp_path)
    lost, ended = made.pending[:2]
    with Leases(tmp_path) as gone:
        for run in (lost, ended):
            assert gone.acquire(made.id(run)) == 1
            gone.mark_ended(made.id(run))
    events = []
    with Leases(tmp_path) as other:
        # One was done by a driver that is still alive, and its results are stored.
        writer = results.Writer(tmp_path, other.name)
        writer.add(made.id(ended), Rehearsal("s", made.tasks)(Job(ended), lambda message: None).rows)
        with pytest.warns(KeptFileWarning, match=f"run {made.id(lost)} .* is marked as ended, but its results"):
            outcome = execute(
                made,
                InProcess(),
                lambda event: events.append((event.kind, event.run)),
                worker=Rehearsal("s", made.tasks),
            )
        writer.consolidate()
    assert outcome.elsewhere == [ended] and set(outcome.finished) == set(made.pending) - {ended}
    assert events.count(("finished", lost)) == 1
    execute(plan(study, tmp_path), InProcess(), worker=Rehearsal("s", made.tasks))
    whole(tmp_path, study)


def test_a_driver_that_stands_still_is_told_of(tmp_path, monkeypatch):
    made = plan(prepared(tmp_path, 1), tmp_path)
    monkeypatch.setattr(leases, "UNRESPONSIVE", 0.3)
    monkeypatch.setattr(driver_module, "POLL", 0.05)
    with Leases(tmp_path) as still:
        still._beat = lambda: None
        held = made.id(made.pending[0])
        assert still.acquire(held) == 1
        release = threading.Timer(2, still.release, (held, 1))

        def hear(event):
            # Nothing else is left to do.
            if event.kind == "held" and not release.is_alive():
                release.start()

        words = rf"process {os.getpid()} on this machine.*does not respond.*kill -CONT {os.getpid()}"
        with pytest.warns(RuntimeWarning, match=words) as told:
            outcome = execute(made, InProcess(), hear, worker=Rehearsal("s", made.tasks))
        release.join()
    assert len(told) == 1 and set(outcome.finished) == set(made.pending)


def test_a_worker_that_stands_still_is_told_of(tmp_path, monkeypatch):
    made = plan(prepared(tmp_path, 1), tmp_path)
    for module in (processes, pool):
        monkeypatch.setattr(module, "WATCH", 0.1)
    timers = []

    def stop(event):
        if event.kind == "started" and not timers:
            (worker,) = [process.pid for process in multiprocessing.active_children()]
            os.kill(worker, signal.SIGSTOP)
            timers.append(threading.Timer(1, os.kill, (worker, signal.SIGCONT)))
            timers[0].start()

    with pytest.warns(RuntimeWarning, match="a worker of the study .process .*, which is stopped.*kill -CONT") as told:
        outcome = execute(made, Pool(1), stop, worker=Rehearsal("s", made.tasks, seconds=0.1))
    timers[0].join()
    assert len(told) == 1 and set(outcome.finished) == set(made.pending)


def test_what_a_worker_notes_is_told(tmp_path):
    made = plan(prepared(tmp_path, 1), tmp_path)
    with pytest.warns(KeptFileWarning, match="some journal is damaged") as told:
        outcome = execute(made, Pool(1), worker=Noting("s", made.tasks))
    assert len(told) == len(made.pending) and set(outcome.finished) == set(made.pending)
