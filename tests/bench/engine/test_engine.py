"""Studies on every executor, and on the pool with real processes, some of which die."""

import errno
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rehearsal import Rehearsal
from watched import Busy, Deadly, Held, Refusing

from liquidbench import predictions, results, search, study_file, tasks
from liquidbench.engine import InProcess, Plan, Pool, execute, plan
from liquidbench.engine.leases import Leases
from liquidbench.engine.messages import InputsChanged, Job, StorageFailed
from liquidbench.engine.work import Work
from liquidbench.rows import failure
from liquidbench.study import Study
from liquidbench.system.storage import DamagedFileError, KeptFileWarning
from liquidbench.tasks.flight import rendering
from liquidbench.training import fit

pytestmark = pytest.mark.usefixtures("forked")


def study(**changes) -> Study:
    content = {
        "name": "small",
        "tasks": ["occupancy-excerpt"],
        "models": ["GRU", "RNN"],
        "parameters": 1000,
        "seeds": 2,
        "search": {"trials": 1},
        "training": {"steps": 20},
    }
    return Study.parse(content | changes)


def kinds(events) -> Counter:
    # How often data are loaded depends on which worker does which run.
    return Counter(event.kind for event in events if event.kind != "doing")


def children() -> list[int]:
    return [process.pid for process in multiprocessing.active_children()]


def fits(made: Plan) -> list:
    return [run for run in made.pending if run.kind == "fit"]


@pytest.mark.parametrize(
    ("executor", "worker", "stages"),
    # The pool's processes train in `test_a_run_whose_worker_was_killed_is_begun_again`.
    [(lambda: InProcess(), lambda facts: None, 8), (lambda: Pool(2), lambda facts: Rehearsal("small", facts), 0)],
    ids=["in process", "pool"],
)
def test_a_study_is_run_once_and_then_nothing_is_left(tmp_path, executor, worker, stages):
    events = []
    made = plan(study(), tmp_path)
    assert len(made.pending) == 2 * 2 + 2 and not made.status
    outcome = execute(made, executor(), events.append, worker=worker(made.tasks))

    assert set(outcome.finished) == set(made.pending)
    assert not outcome.failed and not outcome.left_out and not outcome.interrupted
    assert kinds(events) == Counter({"started": 6, "stage": stages, "finished": 6})
    # Costs are measured last and one at a time, although there are two processes.
    assert [(event.run.kind, event.kind) for event in events[-4:]] == [("cost", "started"), ("cost", "finished")] * 2
    frame = results.read(tmp_path)
    assert set(frame["run"]) == {made.id(run) for run in made.pending}
    assert set(frame["study"]) == {"small"} and set(frame["threads"]) == {1}
    # Events have the scores that are stored.
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


def test_a_run_whose_worker_was_killed_is_begun_again(tmp_path):
    """Also that an error in a run, which would occur again, is its result at once."""
    made = plan(study(models=["GRU"], seeds=1), tmp_path)
    victim, wrong = fits(made)[0], replace(fits(made)[0], model="NTM")
    made = replace(made, pending=(victim, wrong, *made.pending[1:]), ids={**made.ids, wrong: "f" * 16})
    events = []

    def kill_it_once(event):
        events.append(event)
        if event.run == victim and event.kind == "started" and kinds(events)["lost"] == 0:
            (worker,) = children()
            os.kill(worker, signal.SIGKILL)

    outcome = execute(made, Pool(1), kill_it_once)
    assert set(outcome.finished) == set(made.pending) - {wrong} and set(outcome.failed) == {wrong}
    assert kinds(events) == {"started": 4, "lost": 1, "stage": 2, "finished": 2, "failed": 1}
    assert "Traceback" in (tmp_path / "workers.log").read_text()
    frame = results.read(tmp_path)
    assert set(frame["threads"]) == {1}
    # The lost attempt is recorded in its results.
    rows = frame.filter(metric="attempts")
    assert rows.select("run", "value", "reason").rows() == [
        (made.id(victim), 2.0, "worker died with signal 9, perhaps out of memory")
    ]


def test_a_run_that_kills_every_worker_fails_and_costs_no_other(tmp_path):
    made = plan(study(models=["GRU"]), tmp_path)
    victim = fits(made)[0]
    events = []
    outcome = execute(made, Pool(1), events.append, worker=Deadly("small", made.tasks))
    assert outcome.failed == {victim: "lost 3 times: worker died with signal 9, perhaps out of memory"}
    assert len(outcome.finished) == len(made.pending) - 1
    assert kinds(events)["lost"] == 2 and events[-1].kind == "finished"

    # A failure is a result: it is only retried on request.
    assert plan(study(models=["GRU"]), tmp_path).pending == ()
    retried = plan(study(models=["GRU"]), tmp_path, retry_failed=True)
    assert retried.pending == (victim,) and retried.status[victim] == "failed"
    assert execute(retried, Pool(1), worker=Rehearsal("small", made.tasks)).finished == [victim]
    assert set(results.done(tmp_path).values()) == {"done"}
    # The failure is no longer in the files either.
    assert set(pl.read_parquet(tmp_path / "runs")["status"]) == {"done"}


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt("from a model"), GeneratorExit()], ids=repr)
def test_a_model_that_ends_the_process_ends_its_run_alone(tmp_path, monkeypatch, end):
    def ending(run, *rest):
        if run.seed == 0:
            raise end
        return failure(run, made.tasks[run.task_name].digest, "reached")

    made = plan(study(models=["GRU"]), tmp_path)
    made = replace(made, pending=tuple(fits(made)))
    monkeypatch.setattr(fit, "fit", ending)
    outcome = execute(made, InProcess())
    assert not outcome.interrupted and not outcome.left_out
    told = results.read(tmp_path).filter(pl.col("status") == "failed")
    assert dict(told.select("seed", "reason").iter_rows()) == {0: f"{type(end).__name__}: {end}", 1: "reached"}


def test_a_signal_in_a_run_ends_the_driver(tmp_path, monkeypatch):
    made = plan(study(models=["GRU"]), tmp_path)
    monkeypatch.setattr(fit, "fit", lambda *asked: signal.raise_signal(signal.SIGINT))
    # A shell that starts the tests in the background has it ignored, and an ignored signal ends nothing.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = execute(made, InProcess())
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.interrupted == signal.SIGINT and not outcome.failed


def test_other_data_than_those_of_the_plan_end_the_study(tmp_path):
    made = plan(study(models=["GRU"], seeds=1), tmp_path)
    facts = {"occupancy-excerpt": replace(made.tasks["occupancy-excerpt"], digest="f" * 64)}
    with pytest.raises(ValueError, match="the data of task 'occupancy-excerpt' differ from .*tasks.json to continue"):
        execute(replace(made, tasks=facts), InProcess())
    assert not results.done(tmp_path) and not (tmp_path / "leases").exists()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (InputsChanged("the data differ"), (ValueError, "the data differ")),
        (StorageFailed(errno.ENOSPC, "no space", "journal"), (OSError, "no space: 'journal'")),
    ],
    ids=["inputs changed", "storage failed"],
)
def test_what_a_process_cannot_work_with_ends_the_study(tmp_path, answer, error):
    made = plan(study(models=["GRU"], seeds=1), tmp_path)
    with pytest.raises(error[0], match=error[1]):
        execute(made, Pool(1), worker=Refusing("small", made.tasks, answer=answer))
    assert not results.done(tmp_path) and not children() and not (tmp_path / "leases").exists()


def test_known_tasks_are_not_loaded_again(tmp_path, monkeypatch):
    made = plan(study(), tmp_path)
    monkeypatch.setattr(tasks, "load", lambda *_: pytest.fail("a known task was loaded"))
    again = plan(study(), tmp_path)
    assert again.tasks == made.tasks and again.ids == made.ids
    # Other models may have no valid size on this task.
    with pytest.raises(pytest.fail.Exception):
        plan(study(models=["GRU", "LTC"]), tmp_path)


def test_a_worker_never_has_the_test_split_of_the_run_before(tmp_path, monkeypatch):
    made = plan(study(), tmp_path)
    met = []

    def failing(run, task, *reports):
        met.append(task.constructed)
        task.split("test")
        return failure(run, task.data_digest, "not tried")

    monkeypatch.setattr(fit, "fit", failing)
    work = Work("small", None, made.tasks, tmp_path)
    for run in fits(made):
        work(Job(run), lambda message: None)
    assert met == [frozenset()] * 4 and len(work._loaded) == 1


def test_an_interrupt_ends_the_workers_and_keeps_what_is_finished(tmp_path):
    made = plan(study(seeds=[0, 1, 2]), tmp_path)

    def interrupt(event):
        if event.kind == "started":
            raise KeyboardInterrupt

    outcome = execute(made, Pool(1), interrupt, worker=Busy("small", made.tasks))
    assert outcome.interrupted and outcome.left_out == list(made.pending)
    assert not children() and not results.done(tmp_path)


def test_when_the_minutes_are_spent_fits_are_left_out_and_costs_are_not(tmp_path):
    made = plan(study(seeds=1), tmp_path)
    outcome = execute(made, InProcess(), minutes=1e-9, worker=Rehearsal("small", made.tasks))
    assert outcome.left_out == fits(made) and not outcome.interrupted
    assert {run.kind for run in outcome.finished} == {"cost"}
    # They are still pending.
    assert list(plan(study(seeds=1), tmp_path).pending) == fits(made)


DRIVER = """
import sys
sys.path.insert(0, {here!r})
from watched import Busy, Pool, Study, execute, plan
if __name__ == "__main__":
    made = plan(Study.load({study!r}), {directory!r})
    execute(made, Pool(2), lambda event: print(event.kind, flush=True), worker=Busy("small", made.tasks))
"""


@contextmanager
def driver(folder: Path) -> Iterator[subprocess.Popen]:
    """A process that executes a study with two workers and prints its events."""
    made, script = folder / "small.yaml", folder / "driver.py"
    made.write_text(study().to_yaml())
    # It finds the task's facts there, and starts without torch.
    plan(study(), folder / "results")
    script.write_text(
        DRIVER.format(here=str(Path(__file__).parent), study=str(made), directory=str(folder / "results"))
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as begun:
        try:
            yield begun
        finally:
            begun.kill()


def kill(driver: subprocess.Popen) -> None:
    """Kill a driver and check that its workers end too."""
    workers = [int(pid) for pid in Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()]
    driver.kill()
    driver.wait()
    assert len(workers) >= 2
    ends = time.monotonic() + 60
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
def test_a_killed_driver_takes_silent_workers_along(tmp_path):
    with driver(tmp_path) as begun:
        assert begun.stdout is not None and next(begun.stdout) == "started\n"
        kill(begun)


def test_a_lost_run_says_how_often(tmp_path):
    made = plan(study(), tmp_path)
    ended = Work("small", None, made.tasks, tmp_path).failed(
        Job(fits(made)[0], ("node is gone", "node is gone", "worker died"))
    )
    rows = pl.read_parquet(ended.rows)
    assert ended.status == "failed" and ended.reason == "worker died; all 3 attempts were lost"
    assert rows.filter(metric="attempts").select("value", "reason", "status").rows() == [
        (3.0, "node is gone; node is gone", "failed")
    ]


def test_what_cannot_be_done_is_said_before_anything_is(tmp_path):
    with pytest.raises(ValueError, match="task must be one of .*; got 'occupacy'"):
        plan(study(tasks=["occupacy"]), tmp_path)
    with pytest.raises(ValueError, match="parameters must be within 5%"):
        plan(study(parameters=3), tmp_path)
    with pytest.raises(ValueError, match="processes must be at least 1; got 0"):
        Pool(0)
    with pytest.raises(ValueError, match="threads must be at least 1; got 0"):
        Pool(1, threads=0)
    assert not results.done(tmp_path)


FAULTS = [
    rendering.NoRendererError("install a renderer"),
    ModuleNotFoundError("pip install mujoco"),
    MemoryError(),
    DamagedFileError("episodes.npz is damaged"),
    OSError("could not download it"),
]


def broken(monkeypatch, name, problem) -> None:
    """Make a built-in task fail once its data are needed."""

    def recordings(split):
        raise problem

    made = replace(tasks.load(name), recordings=recordings)
    monkeypatch.setitem(tasks._LOADERS, name, lambda data: made)


@pytest.mark.parametrize("problem", FAULTS, ids=lambda problem: type(problem).__name__)
def test_a_task_that_cannot_be_built_here_is_left_out_until_it_can(tmp_path, monkeypatch, problem):
    both = study(tasks=["gesture-excerpt", "occupancy-excerpt"], parameters=4000)
    with monkeypatch.context() as patch:
        broken(patch, "gesture-excerpt", problem)
        made = plan(both, tmp_path)
        assert made.unavailable == {"gesture-excerpt": str(problem) or "there is too little memory"}
        assert set(made.tasks) == {"occupancy-excerpt"} == {run.task_name for run in made.pending}
        assert not execute(made, InProcess(), worker=Rehearsal("small", made.tasks)).failed
        assert len(results.done(tmp_path)) == len(made.pending) == 6
        again = plan(both, tmp_path)
        assert not again.pending and again.unavailable == made.unavailable
        # Alone, it is refused.
        with pytest.raises(type(problem), match=f"^{problem}$"):
            plan(replace(both, tasks=("gesture-excerpt",)), tmp_path / "alone")
        # What is wrong with the study itself is said at once.
        with pytest.raises(ValueError, match="got 'occupacy'"):
            plan(replace(both, tasks=("gesture-excerpt", "occupacy")), tmp_path / "misspelt")
        assert not (tmp_path / "alone").exists() and not (tmp_path / "misspelt").exists()
    made = plan(both, tmp_path)
    assert not made.unavailable and {run.task_name for run in made.pending} == {"gesture-excerpt"}
    assert len(made.pending) == 6 == len(made.status)


def test_results_of_a_task_that_cannot_be_built_any_more_are_still_reported(tmp_path, monkeypatch):
    both = study(tasks=["gesture-excerpt", "occupancy-excerpt"], parameters=4000)
    before = plan(both, tmp_path).tasks
    # With more models, tasks are checked again.
    broken(monkeypatch, "gesture-excerpt", FAULTS[0])
    made = plan(replace(both, models=("GRU", "RNN", "LSTM")), tmp_path)
    assert set(made.unavailable) == {"gesture-excerpt"} and set(made.tasks) == {"occupancy-excerpt"}
    assert study_file.facts(both, tmp_path)["gesture-excerpt"] == before["gesture-excerpt"]


def test_a_study_of_which_no_task_can_be_built_is_refused_with_every_reason(tmp_path, monkeypatch):
    broken(monkeypatch, "gesture-excerpt", FAULTS[0])
    broken(monkeypatch, "occupancy-excerpt", FAULTS[2])
    with pytest.raises(ValueError, match="gesture-excerpt: install a renderer; occupancy-excerpt: there is too little"):
        plan(study(tasks=["gesture-excerpt", "occupancy-excerpt"], parameters=4000), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_data_that_are_wrong_are_no_fault_of_the_machine(tmp_path, monkeypatch):
    broken(monkeypatch, "gesture-excerpt", ValueError("times must increase"))
    with pytest.raises(ValueError, match="times must increase"):
        plan(study(tasks=["gesture-excerpt", "occupancy-excerpt"], parameters=4000), tmp_path)


def test_leftovers_are_swept_when_nobody_else_is_at_work(tmp_path):
    made = replace(plan(study(), tmp_path), pending=())
    left = [tmp_path / folder / ".left.npz.tmp" for folder in ("runs", "incoming", "encoders", "predictions")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    with Leases(tmp_path):
        execute(made, InProcess(), worker=Rehearsal("small", made.tasks))
        # The other driver may be writing it.
        assert left[-1].exists()
    execute(made, InProcess(), worker=Rehearsal("small", made.tasks))
    assert not any(path.exists() for path in left)


def test_an_encoder_for_all_is_refused_before_training_where_there_are_no_images(tmp_path):
    with pytest.raises(
        ValueError, match="training.encoder must be 'own' on tasks without images; got 'shared' on 'occ"
    ):
        plan(study(training={"steps": 10, "encoder": "shared"}), tmp_path)


def test_splits_that_a_task_has_not_are_refused_and_those_it_has_are_run(tmp_path):
    with pytest.raises(ValueError, match="splits must be at most 4 with task 'occupancy-excerpt'; got 5. Its rule: By"):
        plan(study(splits=5), tmp_path)
    made = plan(study(models=["GRU"], seeds=1, splits=2), tmp_path)
    assert [(run.kind, run.fold) for run in made.pending] == [("fit", 0), ("fit", 1), ("cost", 0)]
    assert not execute(made, InProcess()).failed
    frame = results.read(tmp_path).filter(pl.col("metric") == "trivial")
    assert dict(frame.select("fold", "value").iter_rows()) == pytest.approx({0: 0.673787, 1: 0.787670}, abs=1e-5)


@pytest.mark.slow
def test_a_stopped_study_goes_on_within_its_searches(tmp_path):
    made = plan(study(models=["GRU"], seeds=1, search={"trials": 4}), tmp_path)

    def interrupt(event):
        if event.stage is not None and event.stage.trial == 2:
            raise KeyboardInterrupt

    assert execute(made, Pool(1), interrupt).interrupted
    tried = []
    outcome = execute(made, Pool(1), lambda event: event.stage and tried.append(event.stage.trial))
    assert not outcome.failed and tried[0] == 2
    scores = results.trials(results.read(tmp_path))
    assert scores["trial"].to_list() == [0, 1, 2, 3]
    # The best trial again, if its weights were only in the killed process.
    assert set(tried) <= {2, 3, scores.sort("score")["trial"][-1]}


def test_a_fit_begins_when_the_search_that_it_follows_has_ended(tmp_path):
    made = plan(study(models=["GRU"], seeds=4, search={"mode": "cheap"}, author_defaults=True), tmp_path)
    told = []

    def hear(event):
        if event.run.kind == "fit":
            told.append((event.kind, event.run.variant, event.run.seed))

    # Fits at published settings do not wait for the search, or it would never end.
    outcome = execute(made, Pool(2), hear, worker=Held("small", made.tasks, folder=str(tmp_path)))
    assert not outcome.failed
    ended = told.index(("finished", "matched", 0))
    assert not [one for one in told[:ended] if one[1] == "matched" and one[2] > 0]
    assert len(told) == 2 * 8


@pytest.mark.parametrize(
    "executor",
    [lambda: InProcess(), pytest.param(lambda: Pool(1), marks=pytest.mark.slow)],
    ids=["in process", "pool"],
)
def test_a_fit_with_a_damaged_journal_is_done_and_the_damage_told(tmp_path, executor):
    made = plan(study(models=["GRU"], seeds=1, training={"steps": 10}), tmp_path)
    (run,) = fits(made)
    journal = search.journal_path(tmp_path, run, made.tasks[run.task_name].digest)
    journal.parent.mkdir()
    journal.write_bytes(b"\0" * 99 + b"\n")
    with pytest.warns(KeptFileWarning, match="journal is damaged .* after 0 trials? before the damage"):
        outcome = execute(replace(made, pending=(run,)), executor())
    assert outcome.finished == [run] and not outcome.failed
    assert [path.name for path in (journal.parent / "damaged").iterdir()] == [journal.name]


@pytest.mark.parametrize(
    ("folder", "executor"),
    [
        pytest.param("searches", lambda: Pool(1), marks=pytest.mark.slow),
        ("searches", lambda: InProcess()),
        ("predictions", lambda: InProcess()),
    ],
    ids=["pool", "search in process", "predictions in process"],
)
def test_what_cannot_be_kept_is_no_failure_of_the_run(tmp_path, executor, folder):
    made = plan(study(models=["GRU"], seeds=1, training={"steps": 10}), tmp_path)
    made = replace(made, pending=tuple(fits(made)))
    (tmp_path / folder).touch()
    with pytest.raises(OSError, match=folder):
        execute(made, executor())
    assert not results.done(tmp_path) and not children() and not (tmp_path / "leases").exists()
    (tmp_path / folder).unlink()
    assert len(execute(made, InProcess()).finished) == 1


@pytest.mark.parametrize("removed", [False, True], ids=["renamed", "removed"])
def test_a_folder_that_is_gone_while_its_study_runs_is_said(tmp_path, removed):
    made = plan(study(models=["GRU"], seeds=3), tmp_path / "s")

    def gone(event):
        if event.kind == "finished" and (tmp_path / "s").exists():
            (tmp_path / "s").rename(tmp_path / "elsewhere")
            if removed:
                shutil.rmtree(tmp_path / "elsewhere")

    with pytest.raises(FileNotFoundError):
        execute(made, InProcess(), gone, worker=Rehearsal("s", made.tasks))
    assert removed or len(results.done(tmp_path / "elsewhere")) == 1
    assert not (tmp_path / "s" / "incoming").exists() and not (tmp_path / "s" / "runs").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_no_failure_of_the_run(tmp_path, monkeypatch, number):
    made = plan(study(models=["GRU"], seeds=1), tmp_path)
    monkeypatch.setattr(fit, "fit", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    with pytest.raises(OSError, match=os.strerror(number)):
        execute(made, InProcess())
    assert not results.done(tmp_path)


def test_after_a_full_disk_no_driver_counts_as_lost(tmp_path, monkeypatch):
    made = plan(study(models=["GRU"], seeds=1), tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(results.Writer, "add", full)
        with pytest.raises(OSError, match="No space left"):
            execute(made, InProcess(), worker=Rehearsal("small", made.tasks))
    assert not (tmp_path / "leases").exists() and not results.done(tmp_path)
    execute(made, InProcess(), worker=Rehearsal("small", made.tasks))
    assert results.read(tmp_path).filter(pl.col("reason").str.contains("lost")).is_empty()


def test_a_temporary_folder_of_somebody_else_is_no_failure_of_the_run(tmp_path, monkeypatch):
    made = plan(study(models=["GRU"], seeds=1), tmp_path / "s")
    (tmp_path / f"liquidbench-{os.getuid()}").symlink_to("elsewhere")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(OSError, match="it is a link to elsewhere, so others could meddle"):
        execute(made, InProcess())
    assert not results.done(tmp_path / "s")


class Remote(InProcess):
    """Its worker has only what it is sent, as on another machine."""

    remote = True

    def open(self, worker, log):
        assert str(log.parent) not in str(worker)
        super().open(pickle.loads(pickle.dumps(worker)), log)


def test_a_worker_without_the_folder_gives_what_one_with_it_does(tmp_path):
    asked = study(models=["GRU"], seeds=2, search={"trials": 2, "mode": "cheap"})
    trials = {}
    for name, executor in (("with", InProcess()), ("without", Remote())):
        made = plan(asked, tmp_path / name)
        told = []
        outcome = execute(made, executor, lambda event, told=told: event.stage and told.append(event))
        assert len(outcome.finished) == 3
        # The second seed makes no search: it uses the one of the first.
        trials[name] = [(event.run.seed, event.stage.trial) for event in told]
    assert trials["with"] == trials["without"]
    columns = ("run", "kind", "split", "metric", "step", "trial", "value", "settings", "reason")
    told = ["loss", "accuracy", "trial_score", "best_step", "parameters", "trivial"]
    frames = [results.read(tmp_path / name).filter(pl.col("metric").is_in(told)) for name in trials]
    first, second = (frame.select(columns).sort(columns) for frame in frames)
    assert first.equals(second)
    # Cost is measured with the settings that the search found.
    (costed,) = frames[1].filter(kind="cost")["settings"].unique()
    (chosen,) = frames[1].filter(kind="fit", metric="best_step")["settings"].unique()
    assert costed == chosen
    for run in frames[0].filter(kind="fit")["run"].unique():
        one, other = (predictions.read(tmp_path / name, run) for name in trials)
        for split in predictions.SPLITS:
            for a, b in zip(one[split], other[split], strict=True):
                np.testing.assert_array_equal(a, b)
    assert [path.name for path in (tmp_path / "with" / "searches").glob("*.journal")] == [
        path.name for path in (tmp_path / "without" / "searches").glob("*.journal")
    ]


def test_environments_that_a_task_lacks_are_said_when_a_study_is_planned(tmp_path):
    asked = study(tasks=["gesture-excerpt"], parameters=4000, search={"trials": 1, "selection": "environments"})
    with pytest.raises(ValueError, match="environments on 'gesture-excerpt' needs environments, and its recordings"):
        plan(asked, tmp_path)
    # Training on the occupancy of an office has five days.
    assert plan(replace(asked, tasks=("occupancy-excerpt",)), tmp_path / "days").pending
