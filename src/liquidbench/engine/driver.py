"""The driver: submits pending runs to an executor, stores their results, and shares runs with other drivers."""

import errno
import math
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from liquidbench import predictions, results, search
from liquidbench.engine.executor import Executor, Worker
from liquidbench.engine.leases import POLL, Leases
from liquidbench.engine.messages import (
    Ended,
    InputsChanged,
    Job,
    Message,
    Started,
    Status,
    StorageFailed,
    Warned,
    WorkerLost,
)
from liquidbench.engine.planning import Plan
from liquidbench.folder import StudyFolder
from liquidbench.study import Run
from liquidbench.system.processes import Stopped, Stops, stoppable
from liquidbench.system.storage import KeptFileWarning

if TYPE_CHECKING:
    from liquidbench.training.fit import TrialProgress

MAX_ATTEMPTS = 3
"""A run whose worker is lost this many times has failed."""

MAX_DRIVER_LOSSES = 10
"""A run has failed when this many drivers were lost while a worker of theirs was doing it."""

CONSOLIDATE_SECONDS = 15.0
"""Results of finished runs are consolidated into one file after at most so many seconds,"""

CONSOLIDATE_RUNS = 500
"""or as soon as there are this many."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes:
        kind: what happened. After ``"started"`` comes ``"finished"`` or ``"failed"``, or the worker is ``"lost"`` and
            the run is started again. ``"elsewhere"``: another driver has ended the run. ``"held"``: another driver is
            doing the run, and this one has nothing else left to do but wait. ``"doing"``: a status of the worker.
        run: the run.
        stage: for ``"stage"``, how far it has come.
        score: for a ``"finished"`` fit, its test score by the task's main metric.
        reason: for ``"failed"`` and ``"lost"``, why; for ``"doing"``, the status; for ``"held"``, the drivers it waits
            for.
        seconds: for ``"finished"`` and ``"failed"``, how long it took.
    """

    kind: Literal["started", "doing", "stage", "lost", "finished", "failed", "elsewhere", "held"]
    run: Run
    stage: "TrialProgress | None" = None
    score: float | None = None
    reason: str | None = None
    seconds: float | None = None


@dataclass
class Outcome:
    """What became of the pending runs.

    Attributes:
        finished: runs that this driver completed.
        failed: runs that failed, with the reason.
        elsewhere: runs that another driver ended in the meantime.
        left_out: runs that were not done because the time was up or the execution was interrupted.
        interrupted: number of the signal that stopped the execution, SIGINT for Ctrl-C; 0 if none did.
        seconds: how long it took.
    """

    finished: list[Run] = field(default_factory=list)
    failed: dict[Run, str] = field(default_factory=dict)
    elsewhere: list[Run] = field(default_factory=list)
    left_out: list[Run] = field(default_factory=list)
    interrupted: int = 0
    seconds: float = 0.0


def execute(
    plan: Plan,
    executor: Executor,
    on_event: Callable[[Event], None] | None = None,
    minutes: float | None = None,
    worker: Worker | None = None,
) -> Outcome:
    """Do the pending runs: fits in parallel, then cost measurements one at a time, each alone on its machine.

    The results of a run are stored in the study's folder before its ``"finished"`` or ``"failed"`` event. A run whose
    worker is lost is started again, `MAX_ATTEMPTS` times in total. An exception in a run, and a loss that is not
    finite, is a failure: its result, which is not retried.

    Other drivers may work in the same folder. No run is done twice, runs of a driver that dies are taken over, and
    this function returns when all runs have ended. On Ctrl-C, SIGTERM and SIGHUP it terminates the workers and returns.

    Args:
        plan: what `plan` returned.
        executor: its workers do the runs.
        on_event: called in this process with every event.
        minutes: start no fit after so many minutes; None for no limit.
        worker: does a run; None for `liquidbench.engine.work.Work`.

    Returns:
        What became of the pending runs.

    Raises:
        ValueError: if data or code differ from those of the plan.
        OSError: if results cannot be written, or their folder is gone.
        RuntimeError: if this driver gave no heartbeat for so long that another one took over its runs.
    """
    started = time.monotonic()
    deadline = math.inf if minutes is None else started + 60 * minutes
    outcome = Outcome()
    if worker is None:
        # Imports torch, which nothing else here needs.
        from liquidbench.engine.work import Work

        worker = Work(plan.study.name, plan.data, plan.tasks, None if executor.remote else plan.directory)
    with stoppable() as stops, Leases(plan.directory) as leases:
        # Read after this driver has become visible: others keep the marks of runs that end from here on.
        others = leases.others()
        writer = results.Writer(plan.directory, leases.name, others)
        if not others:
            predictions.sweep(plan.directory)
        driver = _Driver(plan, executor, leases, writer, outcome, worker, on_event or (lambda event: None), stops)
        try:
            executor.open(worker, StudyFolder(plan.directory).log)
            driver.run(deadline)
        except KeyboardInterrupt as stop:
            outcome.interrupted = stop.signal if isinstance(stop, Stopped) else signal.SIGINT
        finally:
            ended = {*outcome.finished, *outcome.failed, *outcome.elsewhere}
            outcome.left_out = [run for run in plan.pending if run not in ended]
            executor.close()
            driver.close()
            outcome.seconds = time.monotonic() - started
    return outcome


class _Driver:
    """The state of one `execute`."""

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        leases: Leases,
        writer: results.Writer,
        outcome: Outcome,
        worker: Worker,
        on_event: Callable[[Event], None],
        stops: Stops,
    ):
        self.plan, self.executor, self.leases, self.writer = plan, executor, leases, writer
        self.outcome, self.worker, self.on_event, self.stops = outcome, worker, on_event, stops
        self.fits: deque[Run] = deque()
        self.costs: deque[Run] = deque()
        # Runs whose lease another driver holds.
        self.held: list[Run] = []
        # Runs that are marked as ended, until their results have been seen; and those whose results were missing.
        self.unconfirmed: list[Run] = []
        self.wrongly_marked: set[Run] = set()
        self.unresponsive: set[str] = set()
        self.reported: str | None = None
        self.attempts: dict[Run, int] = {}
        self.losses: dict[Run, tuple[str, ...]] = {}
        # How many of these were losses of other drivers.
        self.driver_losses: dict[Run, int] = {}
        self.busy: set[Run] = set()
        self.unconsolidated = 0
        self.last_consolidated = self.last_polled = self.last_confirmed = time.monotonic()

    def run(self, deadline: float) -> None:
        """Do the pending runs; no fit starts after the deadline (of ``time.monotonic``)."""
        for run in self.plan.pending:
            if self._is_stored(run, self.writer.known):
                self._elsewhere(run)
            else:
                self._queue(run)
        while True:
            in_time = time.monotonic() < deadline
            self._fill(in_time)
            if not self.busy and not self.costs and not (in_time and (self.fits or self.held)):
                if not self.unconfirmed:
                    return
                self._confirm_ended()
                continue
            if self.held and not self.busy:
                self._report_held()
            self.executor.wait(self._on_message, POLL if self.held else CONSOLIDATE_SECONDS)
            self._maintain()

    def close(self) -> None:
        """Release the remaining leases and clean up the folder."""
        for run, attempt in self.attempts.items():
            self.leases.release(self.plan.id(run), attempt)
        if self.leases.alive():
            self.writer.consolidate()
            left_out = set(self.outcome.left_out)
            self.leases.clean_up({name for run, name in self.plan.ids.items() if run not in left_out})

    def _queue(self, run: Run) -> None:
        (self.fits if run.kind == "fit" else self.costs).append(run)

    def _fill(self, in_time: bool) -> None:
        """Start runs while there is room; a cost measurement only when nothing else runs or is left to start."""
        while self.executor.room():
            if any(run.kind == "cost" for run in self.busy):
                return
            if in_time and (run := self._next_fit()) is not None:
                self._start(run)
            elif self.costs and not self.busy:
                self._start(self.costs.popleft())
            else:
                return

    def _next_fit(self) -> Run | None:
        """The first fit in the queue that does not need the result of a search that is still running."""
        for index, run in enumerate(self.fits):
            seed, fold = run.tuned
            if replace(run, seed=seed, fold=fold) not in self.busy:
                del self.fits[index]
                return run
        return None

    def _start(self, run: Run) -> None:
        name = self.plan.id(run)
        if run not in self.attempts:
            with self.stops.deferred():
                if not self._acquire(run, name):
                    return
        job = Job(run, self.losses[run])
        if self.driver_losses[run] >= MAX_DRIVER_LOSSES:
            self._store(run, self.worker.failed(job))
            return
        self.busy.add(run)
        if self.executor.remote and (journal := self._journal(run)).is_file():
            job = replace(job, journal=journal.read_bytes())
        self.executor.submit(job, exclusive=run.kind == "cost")

    def _acquire(self, run: Run, name: str) -> bool:
        """Try to acquire a run's lease."""
        attempt = self.leases.acquire(name)
        if attempt is None:
            (self.unconfirmed if self.leases.ended(name) else self.held).append(run)
            return False
        # Its driver may have died after it stored the results and before it marked the run as ended. And a run whose
        # mark was wrong may have been done by another driver since.
        if (attempt > 1 or run in self.wrongly_marked) and self._is_stored(run, results.done(self.plan.directory)):
            self.leases.mark_ended(name)
            self._elsewhere(run)
            return False
        self.attempts[run] = attempt
        self.driver_losses[run] = self.leases.losses(name, attempt)
        self.losses[run] = ("its driver was lost",) * self.driver_losses[run]
        return True

    def _on_message(self, job: Job, message: Message) -> None:
        run = job.run
        match message:
            case Started():
                with self.stops.deferred():
                    self.leases.mark_begun(self.plan.id(run), self.attempts[run])
                self.on_event(Event("started", run))
            case Warned(text):
                warnings.warn(text, KeptFileWarning, stacklevel=2)
            case Status(text):
                self.on_event(Event("doing", run, reason=text))
            case Ended():
                self.busy.remove(run)
                self._store(run, message)
            case WorkerLost(reason):
                self.busy.remove(run)
                self.losses[run] += (reason,)
                if len(self.losses[run]) - self.driver_losses[run] < MAX_ATTEMPTS:
                    (self.fits if run.kind == "fit" else self.costs).appendleft(run)
                    self.on_event(Event("lost", run, reason=reason))
                else:
                    self._store(run, self.worker.failed(Job(run, self.losses[run])))
            case InputsChanged(reason):
                raise ValueError(reason)
            case StorageFailed(number, reason, file):
                raise OSError(number, reason, file)
            case stage:
                self.on_event(Event("stage", run, stage))

    def _store(self, run: Run, ended: Ended) -> None:
        self._check_alive()
        name = self.plan.id(run)
        with self.stops.deferred():
            # The results last: they show that everything is stored.
            if ended.journal is not None:
                search.import_journal(self._journal(run), ended.journal)
            if ended.predictions is not None:
                predictions.keep(self.plan.directory, name, ended.predictions)
            self.writer.add(name, ended.rows)
            # From here on the lease is not released: a driver that takes it over looks for the results first.
            del self.attempts[run]
            self.leases.mark_ended(name)
        self.unconsolidated += 1
        if ended.status == "done":
            self.outcome.finished.append(run)
            event = Event("finished", run, score=ended.score, seconds=ended.seconds)
        else:
            self.outcome.failed[run] = ended.reason or ""
            event = Event("failed", run, reason=ended.reason, seconds=ended.seconds)
        self.on_event(event)

    def _journal(self, run: Run) -> Path:
        return search.journal_path(self.plan.directory, run, self.plan.tasks[run.task_name].digest)

    def _is_stored(self, run: Run, statuses: Mapping[str, str]) -> bool:
        """Whether a run has results; a failure that this plan is to retry does not count."""
        status = statuses.get(self.plan.id(run))
        return status == "done" or status != self.plan.status.get(run)

    def _report_held(self) -> None:
        """Report which drivers this one waits for, when that changes."""
        others = " and ".join(self.leases.describe_others())
        if others != self.reported:
            self.reported = others
            self.on_event(Event("held", self.held[0], reason=others))

    def _elsewhere(self, run: Run) -> None:
        self.outcome.elsewhere.append(run)
        self.on_event(Event("elsewhere", run))

    def _confirm_ended(self) -> None:
        """Look for the results of runs that are marked as ended; queue those without results again."""
        statuses = results.done(self.plan.directory)
        unconfirmed, self.unconfirmed = self.unconfirmed, []
        for run in unconfirmed:
            if self._is_stored(run, statuses):
                self._elsewhere(run)
                continue
            # Results are stored before the mark is made, so they are lost.
            warnings.warn(
                f"run {self.plan.id(run)} ({run.task_name}, {run.model_name}) is marked as ended, but its results are "
                "missing; it is done again",
                KeptFileWarning,
                stacklevel=2,
            )
            self.leases.unmark_ended(self.plan.id(run))
            self.wrongly_marked.add(run)
            self._queue(run)

    def _warn_unresponsive(self) -> None:
        """Warn once of each driver on this machine that holds runs but gives no heartbeat."""
        unresponsive = self.leases.unresponsive()
        for name, pid in unresponsive.items():
            if name not in self.unresponsive:
                warnings.warn(
                    f"waiting for another liquidbench (process {pid} on this machine), which does not respond: it is "
                    f"stopped or hangs. To let it continue: kill -CONT {pid}; to take over its runs: kill -KILL {pid}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        self.unresponsive = set(unresponsive)

    def _check_alive(self) -> None:
        if not self.leases.alive():
            # Workers may have created the folder again, but not this file, which planning wrote.
            if not (self.plan.directory / "tasks.json").exists():
                gone = "the folder of results was moved, renamed or removed while its study was running"
                raise FileNotFoundError(errno.ENOENT, gone, str(self.plan.directory))
            raise RuntimeError(
                "this liquidbench gave no heartbeat for so long that another one took over its runs; finished runs are "
                "kept, runs in progress are dropped"
            )

    def _maintain(self) -> None:
        now = time.monotonic()
        if now - self.last_polled > POLL:
            self.last_polled = now
            self._check_alive()
            if self.held:
                self._warn_unresponsive()
            held, self.held = self.held, []
            for run in held:
                self._queue(run)
        if self.unconsolidated >= CONSOLIDATE_RUNS or (
            self.unconsolidated and now - self.last_consolidated > CONSOLIDATE_SECONDS
        ):
            self.writer.consolidate()
            self.leases.clean_up()
            self.unconsolidated, self.last_consolidated = 0, now
        if self.unconfirmed and now - self.last_confirmed > CONSOLIDATE_SECONDS:
            self._confirm_ended()
            self.last_confirmed = time.monotonic()
