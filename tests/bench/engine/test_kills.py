"""Drivers and workers killed at random moments, while others go on and somebody reads."""

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

from liquidbench import results
from liquidbench.engine import Pool, execute, plan
from liquidbench.engine.rehearsal import Rehearsal
from liquidbench.study import Study

SCRIPT = Path(__file__).with_name("watched.py")

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")


def prepared(directory: Path, seeds: int) -> Study:
    """A study's folder with its file and its tasks' facts, so that drivers start without torch."""
    study = Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU", "RNN"], "seeds": seeds})
    plan(study, directory)
    (directory / "study.yaml").write_text(study.to_yaml())
    (directory / "watch").mkdir()
    return study


class Driver:
    """A driver's process, and the runs that it said had ended."""

    def __init__(self, directory: Path):
        self.ended: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(directory), "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # A killed one may have been in the middle of a line.
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
    """Reads all the while: what has been there once must stay, and nothing may look damaged."""

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
    """All that was asked for is there once, for any reader of Parquet, and nothing of the work is left."""
    made = plan(study, directory)
    assert not made.pending
    assert not list((directory / "watch").glob("*.clash")), "two were at one run"
    frame = pl.read_parquet(directory / "runs")
    assert frame.sort(pl.all()).equals(results.read(directory).sort(pl.all()))
    rows = Counter(frame.filter(pl.col("metric") != "attempts")["run"].to_list())
    assert set(rows) == set(made.ids.values())
    # All fits have given the same number of rows, so none is there in part, or twice.
    assert (
        len({rows[made.ids[run]] for run, status in made.status.items() if (run.kind, status) == ("fit", "done")}) == 1
    )
    left = {path.name for path in directory.iterdir()} - {"watch", "study.yaml", "tasks.json", "workers.log"}
    assert left == {"runs", "incoming"} and not list((directory / "incoming").iterdir())


@pytest.mark.parametrize(
    ("seeds", "kills"), [(60, 8), pytest.param(400, 80, marks=pytest.mark.slow)], ids=["short", "long"]
)
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
                # All that a driver said had ended is on the disk, however it ended itself.
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
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "started\n"

        def kill_first(event):
            if event.kind == "finished":
                ended.append(event.run)
            if len(ended) == len(fits) - 1:
                # Nothing is left but what that one is at; this one would wait for it.
                first.kill()

        outcome = execute(made, Pool(1), kill_first, worker=Rehearsal("s", made.tasks))
    assert set(outcome.finished) == set(made.pending) and not outcome.elsewhere
    assert fits[0] not in ended[: len(fits) - 1]
    whole(tmp_path, study)


HOLD = """
import sys
from pathlib import Path
from liquidbench.engine import InProcess, execute, plan
from liquidbench.engine.rehearsal import Rehearsal
from liquidbench.study import Study
directory = Path(sys.argv[1])
made = plan(Study.load(directory / "study.yaml"), directory)
worker = Rehearsal("s", made.tasks, seconds=600)
execute(made, InProcess(), lambda event: print(event.kind, flush=True), worker=worker)
"""


def test_what_another_driver_has_done_counts(tmp_path):
    study = prepared(tmp_path, 3)
    made = plan(study, tmp_path)
    # Both have planned all of it; the second finds it done when it gets to work.
    worker = Rehearsal("s", made.tasks)
    assert len(execute(made, Pool(1), worker=worker).finished) == len(made.pending)
    outcome = execute(made, Pool(1), worker=worker)
    assert outcome.elsewhere == list(made.pending) and not outcome.finished
    whole(tmp_path, study)
