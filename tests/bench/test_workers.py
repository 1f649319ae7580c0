"""The pool, with real processes: what is lost when one of them, or their driver, is killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from liquidbench import results, training, workers
from liquidbench.rows import failure
from liquidbench.study import Study
from liquidbench.workers import Plan, execute, plan


def study(**changes) -> Study:
    content = {
        "name": "small",
        "tasks": ["occupancy-excerpt"],
        "models": ["GRU", "RNN"],
        "parameters": 1000,
        "seeds": 2,
        "search": {"trials": 1},
        "training": {"epochs": 2},
    }
    return Study.parse(content | changes)


def kinds(events) -> Counter:
    return Counter(event.kind for event in events)


def children() -> list[int]:
    return [process.pid for process in multiprocessing.active_children()]


def fits(made: Plan) -> list:
    return [run for run in made.pending if run.kind == "fit"]


def test_a_study_is_run_once_and_then_nothing_is_left(tmp_path):
    events = []
    made = plan(study(), tmp_path)
    assert len(made.pending) == 2 * 2 + 2 and not made.status
    outcome = execute(made, 2, events.append)

    assert set(outcome.finished) == set(made.pending)
    assert not outcome.failed and not outcome.left_out and not outcome.interrupted
    assert kinds(events) == {"started": 6, "epoch": 8, "finished": 6}
    # Costs are measured when all else is done, one at a time though there are two processes.
    assert [(event.run.kind, event.kind) for event in events[-4:]] == [("cost", "started"), ("cost", "finished")] * 2
    frame = results.read(tmp_path)
    assert set(frame["run"]) == {made.id(run) for run in made.pending}
    assert set(frame["study"]) == {"small"} and set(frame["threads"]) == {1}
    # The score that is told is the one that is written.
    told = {made.id(event.run): event.score for event in events if event.score is not None}
    written = frame.filter(split="test", metric="accuracy", corruption="")
    assert dict(written.select("run", "value").iter_rows()) == told and len(told) == 4

    again = plan(study(), tmp_path)
    assert again.pending == () and set(again.status.values()) == {"done"} and len(again.status) == 6
    assert not children()


def test_seeds_come_in_turn_and_costs_last(tmp_path):
    made = plan(study(author_defaults=True), tmp_path)
    order = [(run.kind, run.variant, run.seed) for run in made.pending]
    assert order == sorted(order, key=lambda run: (run[0] == "cost", run[1] == "author", run[2]))
    assert [run.model for run in made.pending[:2]] == ["GRU", "RNN"]


def test_a_killed_worker_costs_its_run_and_no_other(tmp_path):
    made = plan(study(models=["GRU"]), tmp_path)
    victim = fits(made)[0]
    events = []

    def kill_it(event):
        events.append(event)
        if event.run == victim and event.kind == "started":
            (worker,) = children()
            os.kill(worker, signal.SIGKILL)

    outcome = execute(made, 1, kill_it)
    assert outcome.failed == {victim: "worker died with signal 9, perhaps out of memory"}
    assert len(outcome.finished) == len(made.pending) - 1
    assert events[-1].kind == "finished"
    rows = results.read(tmp_path, [made.id(victim)])
    assert rows["status"].to_list() == ["failed"] and rows["reason"].to_list() == [outcome.failed[victim]]

    # A failure is a result: it is not tried again unasked.
    assert plan(study(models=["GRU"]), tmp_path).pending == ()
    retried = plan(study(models=["GRU"]), tmp_path, retry_failed=True)
    assert retried.pending == (victim,) and retried.status[victim] == "failed"
    assert execute(retried, 1).finished == [victim]
    assert set(results.done(tmp_path).values()) == {"done"}


def test_an_error_in_a_run_is_its_result(tmp_path):
    made = plan(study(models=["GRU"], seeds=1), tmp_path)
    facts = {"occupancy-excerpt": {**made.tasks["occupancy-excerpt"], "digest": "f" * 64}}
    outcome = execute(replace(made, tasks=facts), 1)
    assert not outcome.finished and set(outcome.failed) == set(made.pending)
    assert all("ValueError: the data of task" in reason for reason in outcome.failed.values())
    assert "Traceback" in (tmp_path / "workers.log").read_text()


def test_a_worker_never_has_the_test_split_of_the_run_before(tmp_path, monkeypatch):
    made = plan(study(), tmp_path)
    met = []

    def fit(run, task, folder, on_epoch):
        met.append(task.constructed)
        task.split("test")
        return failure(run, task.data_digest, "not tried")

    monkeypatch.setattr(training, "fit", fit)
    loaded = {}
    for run in fits(made):
        workers._rows(run, made, loaded, lambda epoch: None)
    assert met == [frozenset()] * 4 and len(loaded) == 1


def test_an_interrupt_ends_the_workers_and_keeps_what_is_finished(tmp_path):
    made = plan(study(training={"epochs": 2000}, seeds=[0, 1, 2]), tmp_path)

    def interrupt(event):
        if event.kind == "epoch":
            raise KeyboardInterrupt

    outcome = execute(made, 1, interrupt)
    assert outcome.interrupted and outcome.left_out == list(made.pending)
    assert not children() and not results.done(tmp_path)


def test_when_the_minutes_are_spent_fits_are_left_out_and_costs_are_not(tmp_path):
    made = plan(study(seeds=1), tmp_path)
    outcome = execute(made, 1, minutes=1e-9)
    assert outcome.left_out == fits(made) and not outcome.interrupted
    assert {run.kind for run in outcome.finished} == {"cost"}
    # They wait for another time.
    assert list(plan(study(seeds=1), tmp_path).pending) == fits(made)


def long_study() -> Study:
    return study(models=["GRU", "RNN"], seeds=5, training={"epochs": 4})


def slow_study() -> Study:
    """One whose epochs take minutes, so that a worker has nothing to tell its driver."""
    return study(models=["LTC"], parameters=20_000, seeds=1, training={"epochs": 1, "batch_size": 1})


DRIVER = """
import sys
sys.path.insert(0, {here!r})
from test_workers import *
if __name__ == "__main__":
    execute(plan({study}(), {directory!r}), 2, lambda event: print(event.kind, flush=True))
"""


@contextmanager
def driver(study: str, folder: Path) -> Iterator[subprocess.Popen]:
    """A process that executes a study with two workers and prints its events."""
    script = folder / "driver.py"
    script.write_text(DRIVER.format(here=str(Path(__file__).parent), study=study, directory=str(folder / "results")))
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as begun:
        try:
            yield begun
        finally:
            begun.kill()


def kill(driver: subprocess.Popen) -> None:
    """Kill a driver, and see that its workers end as well."""
    workers = [int(pid) for pid in Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()]
    driver.kill()
    driver.wait()
    assert len(workers) >= 2
    ends = time.monotonic() + 5
    while any(map(alive, workers)):
        assert time.monotonic() < ends, "a worker outlives its driver"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")


@needs_proc
def test_a_killed_driver_loses_the_runs_in_flight_alone(tmp_path):
    with driver("long_study", tmp_path) as begun:
        assert begun.stdout is not None
        finished = (line for line in begun.stdout if line == "finished\n")
        next(finished), next(finished)
        kill(begun)

    directory = tmp_path / "results"
    kept = {path: path.read_bytes() for path in (directory / "runs").glob("*.parquet")}
    made = plan(long_study(), directory)
    total = len(long_study().runs())
    assert 2 <= len(kept) < total, "killed in the middle"
    assert len(made.pending) == total - len(kept)

    events = []
    outcome = execute(made, 2, events.append)
    assert kinds(events)["started"] == total - len(kept) == len(outcome.finished)
    assert set(results.done(directory)) == {made.id(run) for run in long_study().runs()}
    assert {path: path.read_bytes() for path in kept} == kept


@needs_proc
def test_a_killed_driver_takes_silent_workers_along(tmp_path):
    with driver("slow_study", tmp_path) as begun:
        assert begun.stdout is not None and next(begun.stdout) == "started\n"
        kill(begun)


def test_what_cannot_be_done_is_said_before_anything_is(tmp_path):
    with pytest.raises(ValueError, match="task must be one of .*; got 'occupacy'"):
        plan(study(tasks=["occupacy"]), tmp_path)
    with pytest.raises(ValueError, match="parameters must be within 5%"):
        plan(study(parameters=3), tmp_path)
    with pytest.raises(ValueError, match="processes must be at least 1; got 0"):
        execute(plan(study(), tmp_path), 0)
    assert not results.done(tmp_path)


def test_a_second_driver_is_refused_and_leftovers_are_swept(tmp_path):
    planned = plan(study(), tmp_path)
    (tmp_path / "runs").mkdir(exist_ok=True)
    (tmp_path / "runs" / ".left.tmp").write_text("half")
    with workers._alone(tmp_path), pytest.raises(ValueError, match="another liquidbench is at work in"):
        execute(planned, 1)
    execute(replace(planned, pending=()), 1)
    assert not (tmp_path / "runs" / ".left.tmp").exists()


def test_splits_that_a_task_has_not_are_refused_and_those_it_has_are_run(tmp_path):
    with pytest.raises(ValueError, match="splits must be at most 4 with task 'occupancy-excerpt'; got 5. Its rule: By"):
        plan(study(splits=5), tmp_path)
    made = plan(study(models=["GRU"], seeds=1, splits=2), tmp_path)
    assert [(run.kind, run.fold) for run in made.pending] == [("fit", 0), ("fit", 1), ("cost", 0)]
    assert not execute(made, 1).failed
    frame = results.read(tmp_path).filter(pl.col("metric") == "trivial")
    assert dict(frame.select("fold", "value").iter_rows()) == pytest.approx({0: 0.673787, 1: 0.787670}, abs=1e-5)


def test_a_stopped_study_goes_on_within_its_searches(tmp_path):
    made = plan(study(models=["GRU"], seeds=1, search={"trials": 4}), tmp_path)

    def interrupt(event):
        if event.epoch is not None and event.epoch.trial == 2:
            raise KeyboardInterrupt

    assert execute(made, 1, interrupt).interrupted
    tried = []
    outcome = execute(made, 1, lambda event: event.epoch and tried.append(event.epoch.trial))
    assert not outcome.failed and tried[0] == 2
    scores = results.trials(results.read(tmp_path))
    assert scores["trial"].to_list() == [0, 1, 2, 3]
    # The best again, if its weights were those of a process that is gone.
    assert set(tried) <= {2, 3, scores.sort("score")["trial"][-1]}
