"""The runs of a study on this machine: what is left to do, and a pool of processes that does it.

A worker trains one run at a time and writes its results itself, whole or not at all, so whatever is killed loses
at most the runs in flight. The pool is our own because of what the standard ones do when a process dies: a
``multiprocessing.Pool`` waits for its result for ever, a ``ProcessPoolExecutor`` gives up all others. Here each
worker has a pipe of its own, for a queue that many write to can be left locked by one that is killed. Its end
tells that the worker is gone; the run it had failed, and another worker goes on.
"""

import math
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import product
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import torch

from liquidbench import matching, measuring, results, tasks, training
from liquidbench.rows import Row, failure
from liquidbench.study import Run, Study
from liquidbench.tasks.task import Task, check
from liquidbench.training import Epoch

try:
    import fcntl
except ImportError:
    # Windows has none; there nothing stops a second driver.
    fcntl = None

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Plan:
    """What a study asks for, and what of it is there already.

    Attributes:
        study: the study.
        directory: its folder of results.
        data: the folder of raw files, None for the usual places (see `liquidbench.tasks.files`).
        tasks: each task's facts by name, as in ``tasks.json``: its digest and main metric among them.
        status: of each run of the study with results: ``"done"`` or ``"failed"``.
        pending: runs to do, fits first and the seeds in turn, so that a study cut short has compared all models
            on the same seeds; costs last.
    """

    study: Study
    directory: Path
    data: str | None
    tasks: Mapping[str, Mapping[str, Any]]
    status: Mapping[Run, str]
    pending: tuple[Run, ...]

    def id(self, run: Run) -> str:
        """The run's name in the results."""
        return run.id(self.tasks[run.task_name]["digest"])


@dataclass(frozen=True)
class Event:
    """What is told about a run while a study goes on.

    Attributes:
        kind: what happened. A run that is ``"started"`` ends ``"finished"`` or ``"failed"``.
        run: to whom.
        epoch: for ``"epoch"``, which one.
        score: for a ``"finished"`` fit, its score on test by the task's main metric.
        reason: for ``"failed"``, why.
        seconds: for ``"finished"`` and ``"failed"``, how long it took.
    """

    kind: Literal["started", "epoch", "finished", "failed"]
    run: Run
    epoch: Epoch | None = None
    score: float | None = None
    reason: str | None = None
    seconds: float | None = None


@dataclass
class Outcome:
    """How an execution ended.

    Attributes:
        finished: runs that it completed.
        failed: runs that failed, with the reason.
        left_out: runs that it did not begin, the time being spent or the execution interrupted.
        interrupted: whether the user stopped it.
        seconds: how long it took.
    """

    finished: list[Run] = field(default_factory=list)
    failed: dict[Run, str] = field(default_factory=dict)
    left_out: list[Run] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0


def plan(
    study: Study,
    directory: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
) -> Plan:
    """Find out what is to be done, and whether it can be.

    All tasks are loaded and checked, and the facts that the report needs about them are written. That builds the
    test splits, to count and to check them; it happens in this process, and the tasks built here are dropped.
    A worker that trains loads its own, and builds its test split when its model is chosen.

    Args:
        study: what to do.
        directory: the study's folder of results; it is made where it does not exist.
        data: the folder of raw files, None for the usual places.
        retry_failed: run again what failed before.

    Returns:
        The plan, for `execute`.

    Raises:
        ValueError: for an unknown task, data that break a promise, or a model with no size within the budget.
        FileNotFoundError: where the data are not there.
    """
    facts = {}
    for entry in study.tasks:
        task = tasks.load(entry, data)
        for model, equal in product(study.models, study.matching):
            matching.size_for_budget(model, task, study.parameters, study.seeds[0], equal)
        if study.splits > task.folds:
            raise ValueError(
                f"splits must be at most {task.folds} with task {task.name!r}; got {study.splits}. Its rule: "
                f"{task.fold_rule}"
            )
        for fold in range(study.splits):
            check(task.with_fold(fold))
        facts[task.name] = task.facts()
    results.write_tasks(directory, facts)

    empty = Plan(study, Path(directory), None if data is None else str(data), facts, {}, ())
    ended = results.done(directory)
    runs = study.runs()
    status = {run: ended[name] for run in runs if (name := empty.id(run)) in ended}
    to_do = (None, "failed") if retry_failed else (None,)
    pending = [run for run in runs if status.get(run) in to_do]
    pending.sort(key=study.turn)
    return replace(empty, status=status, pending=tuple(pending))


def execute(
    plan: Plan,
    processes: int,
    on_event: Callable[[Event], None] | None = None,
    minutes: float | None = None,
) -> Outcome:
    """Do what is pending. Fits run side by side, then costs one at a time with nothing beside them.

    The results of each run are in the study's folder when its ``"finished"`` or ``"failed"`` event comes. What
    workers print goes to ``workers.log`` there. Ctrl-C ends the workers and returns; a killed driver takes its
    workers with it.

    Args:
        plan: what `plan` found.
        processes: most workers at a time; each computes on one thread.
        on_event: called in this process with all that happens.
        minutes: no fit begins after so many minutes; None for no limit.

    Returns:
        What became of the pending runs.

    Raises:
        ValueError: for less than one process, or while another driver is at work in the folder.
        OSError: where results cannot be written.
    """
    if processes < 1:
        raise ValueError(f"processes must be at least 1; got {processes}")
    with _alone(plan.directory):
        results.sweep(plan.directory)
        return _execute(plan, processes, on_event, minutes)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One driver for a folder: two would do everything twice. The system lets go of the lock however a process ends."""
    with (directory / ".lock").open("a") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"another liquidbench is at work in {directory}; let it finish or stop it first, nothing is lost"
                ) from None
        yield


def _execute(plan: Plan, processes: int, on_event: Callable[[Event], None] | None, minutes: float | None) -> Outcome:
    outcome, started = Outcome(), time.monotonic()
    deadline = math.inf if minutes is None else started + 60 * minutes
    fits = [run for run in plan.pending if run.kind == "fit"]
    costs = [run for run in plan.pending if run.kind == "cost"]
    pool = _Pool(plan, on_event or (lambda event: None), outcome)
    try:
        pool.run(fits, processes, deadline)
        pool.run(costs, 1, math.inf)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        pool.close()
        ended = {*outcome.finished, *outcome.failed}
        outcome.left_out = [run for run in plan.pending if run not in ended]
        outcome.seconds = time.monotonic() - started
    return outcome


class _Pool:
    """Workers, and the runs they are at."""

    def __init__(self, plan: Plan, on_event: Callable[[Event], None], outcome: Outcome):
        self.plan, self.on_event, self.outcome = plan, on_event, outcome
        self.idle: list[_Worker] = []
        # By connection, whose class depends on the operating system.
        self.busy: dict[object, _Worker] = {}

    def run(self, runs: list[Run], processes: int, deadline: float) -> None:
        """All of the runs, or those that begin before the deadline (of ``time.monotonic``)."""
        waiting = deque(runs)
        while True:
            while waiting and len(self.busy) < processes and time.monotonic() < deadline:
                worker = self._free()
                worker.begin(waiting.popleft())
                self.busy[worker.connection] = worker
            if not self.busy:
                return
            for connection in wait([worker.connection for worker in self.busy.values()]):
                self._hear(self.busy[connection])

    def close(self) -> None:
        """End all workers, those at work in the middle of it."""
        for worker in [*self.idle, *self.busy.values()]:
            worker.end()
        self.idle.clear()
        self.busy.clear()

    def _free(self) -> "_Worker":
        while self.idle:
            worker = self.idle.pop()
            if worker.process.is_alive():
                return worker
            worker.end()
        return _Worker(self.plan)

    def _hear(self, worker: "_Worker") -> None:
        run = worker.run
        assert run is not None
        try:
            event: Event = worker.connection.recv()
        except (EOFError, OSError):
            del self.busy[worker.connection]
            event = self._bury(worker, run)
        else:
            if event.kind in ("finished", "failed"):
                self.idle.append(self.busy.pop(worker.connection))
        if event.kind == "finished":
            self.outcome.finished.append(run)
        elif event.kind == "failed":
            self.outcome.failed[run] = event.reason or ""
        self.on_event(event)

    def _bury(self, worker: "_Worker", run: Run) -> Event:
        """What became of a run whose worker is gone; a failure is written down here."""
        code, seconds = worker.end(patience=5), time.monotonic() - worker.began
        written = results.read(self.plan.directory, [self.plan.id(run)])
        if not written.is_empty() and (written["status"] == "done").all():
            return Event("finished", run, seconds=seconds)
        if code is not None and code < 0:
            hint = ", perhaps out of memory" if code == -signal.SIGKILL else ""
            reason = f"worker died with signal {-code}{hint}"
        else:
            reason = f"worker ended with exit code {code}; see workers.log"
        _write(self.plan, failure(run, self.plan.tasks[run.task_name]["digest"], reason))
        return Event("failed", run, reason=reason, seconds=seconds)


class _Worker:
    """The driver's side of a process that does one run after another."""

    def __init__(self, plan: Plan):
        self.connection, theirs = _CONTEXT.Pipe()
        # It hears of each run in its turn.
        arguments = (theirs, replace(plan, status={}, pending=()))
        self.process = _CONTEXT.Process(target=_work, args=arguments, name="liquidbench worker")
        with _interrupts_ignored():
            self.process.start()
        # The worker now has the only other end, so that hearing a dead one ends rather than waits.
        theirs.close()
        self.run: Run | None = None
        self.began = 0.0

    def begin(self, run: Run) -> None:
        """Give it a run, to be heard of at its connection."""
        self.run, self.began = run, time.monotonic()
        # Should it have died this moment, hearing it will tell.
        with suppress(OSError):
            self.connection.send(run)

    def end(self, patience: float = 0.0) -> int | None:
        """End the process, and say how it ended; it has some seconds to do so by itself."""
        self.process.join(patience)
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        return self.process.exitcode


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Within it, new processes are born deaf to Ctrl-C, which the terminal sends to them too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _work(connection: Connection, plan: Plan) -> None:
    """A worker's life."""
    log = os.open(plan.directory / "workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for output in (1, 2):
        os.dup2(log, output)
    threading.Thread(target=_follow_driver, daemon=True).start()
    torch.set_num_threads(1)
    loaded: dict[str, Task] = {}

    def tell(event: Event) -> None:
        try:
            connection.send(event)
        except OSError:
            # No one listens any more: the driver is gone.
            os._exit(1)

    while True:
        try:
            run: Run = connection.recv()
        except EOFError:
            return
        started = time.monotonic()
        tell(Event("started", run))
        rows = _rows(run, plan, loaded, lambda epoch, run=run: tell(Event("epoch", run, epoch)))
        _write(plan, rows)
        ended = Event("finished", run, score=_score(rows, plan.tasks[run.task_name]["metric"]))
        if rows[-1]["status"] == "failed":
            ended = Event("failed", run, reason=rows[-1]["reason"])
        tell(replace(ended, seconds=time.monotonic() - started))


def _rows(run: Run, plan: Plan, loaded: dict[str, Task], on_epoch: Callable[[Epoch], None]) -> list[Row]:
    """What a run gives: an error in it is its result, and the study goes on."""
    digest = plan.tasks[run.task_name]["digest"]
    try:
        if run.task_name not in loaded:
            loaded[run.task_name] = tasks.load(run.task, plan.data)
        task = loaded[run.task_name]
        if task.data_digest != digest:
            raise ValueError(f"the data of task {run.task_name!r} changed while the study was running")
        # A copy has no splits yet: the test split of the run before must not lie ready for this one.
        task = replace(task)
        if run.kind == "cost":
            return measuring.measure_cost(run, task, plan.directory)
        return training.fit(run, task, plan.directory, on_epoch)
    except Exception as error:
        traceback.print_exc()
        return failure(run, digest, f"{type(error).__name__}: {error}")


def _score(rows: list[Row], metric: str) -> float | None:
    """The main score of a fit."""
    clean = [row["value"] for row in rows if (row["split"], row["metric"], row["corruption"]) == ("test", metric, "")]
    return clean[0] if clean else None


def _write(plan: Plan, rows: list[Row]) -> None:
    results.write(plan.directory, [{**row, "study": plan.study.name} for row in rows])


def _follow_driver() -> None:
    """End this process as soon as its driver has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
