"""Does what is left of a study: hands runs to an executor, keeps what comes back, and shares with other drivers."""

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
from liquidbench.engine.leases import LOOK, Leases
from liquidbench.engine.messages import Doing, Ended, Job, Lost, Message, Noted, Stale, Started, Unkept
from liquidbench.engine.planning import Plan
from liquidbench.folder import StudyFolder
from liquidbench.study import Run
from liquidbench.system.processes import Stopped, Stops, stoppable
from liquidbench.system.storage import KeptFileWarning

if TYPE_CHECKING:
    from liquidbench.training.fit import TrialStage

ATTEMPTS = 3
"""How often a run is begun whose worker is lost each time, before that is its result."""

DRIVERS = 10
"""How many drivers may be lost while a worker of theirs does a run, before that is its result."""

TIDYING = 15.0
"""Seconds after which, at the latest, finished runs are put together."""

TOGETHER = 500
"""Finished runs after which they are put together at once."""


@dataclass(frozen=True)
class Event:
    """What is told about a run while a study goes on.

    Attributes:
        kind: what happened. A run that is ``"started"`` ends ``"finished"`` or ``"failed"``, or its worker is
            ``"lost"`` and it is started again. One that is ``"elsewhere"`` was ended by another driver, one that is
            ``"held"`` is waited for, as another driver is at it and nothing else is left to do.
        run: to whom.
        stage: for ``"stage"``, how far it has come.
        score: for a ``"finished"`` fit, its score on test by the task's main metric.
        reason: for ``"failed"`` and ``"lost"``, why; for ``"doing"``, what it does; for ``"held"``, who holds it.
        seconds: for ``"finished"`` and ``"failed"``, how long it took.
    """

    kind: Literal["started", "doing", "stage", "lost", "finished", "failed", "elsewhere", "held"]
    run: Run
    stage: "TrialStage | None" = None
    score: float | None = None
    reason: str | None = None
    seconds: float | None = None


@dataclass
class Outcome:
    """How an execution ended.

    Attributes:
        finished: runs that it completed.
        failed: runs that failed, with the reason.
        elsewhere: runs that another driver ended meanwhile.
        left_out: runs that it did not begin, the time being spent or the execution interrupted.
        interrupted: number of the signal that stopped it, SIGINT for Ctrl-C; 0 where none did.
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
    """Do what is pending. Fits run side by side, then costs one at a time with nothing beside them.

    The results of each run are in the study's folder when its ``"finished"`` or ``"failed"`` event comes. A run
    whose worker is lost is begun again, `ATTEMPTS` times in all; errors and losses that are not finite are results.
    Other drivers may be at work in the folder: no run is done twice, those of a driver that dies are taken over, and
    this one ends when all runs have ended. Ctrl-C ends the workers and returns, and so do SIGTERM and SIGHUP.

    Args:
        plan: what `plan` found.
        executor: who does the runs.
        on_event: called in this process with all that happens.
        minutes: no fit begins after so many minutes; None for no limit.
        worker: what does a run, if not `Work`.

    Returns:
        What became of the pending runs.

    Raises:
        ValueError: where data are not those of the plan.
        OSError: where results cannot be written, or their folder is gone.
        RuntimeError: where this driver was taken for dead by another, being silent for too long.
    """
    started = time.monotonic()
    deadline = math.inf if minutes is None else started + 60 * minutes
    outcome = Outcome()
    if worker is None:
        # Loads torch, which nothing else here needs.
        from liquidbench.engine.work import Work

        worker = Work(plan.study.name, plan.data, plan.tasks, None if executor.apart else plan.directory)
    with stoppable() as stops, Leases(plan.directory) as leases:
        # Read now that others know of this driver: what ends from here on is seen from its leases.
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
    """One execution."""

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
        # What another driver holds, and what one says to have ended, which is believed when its results have been seen.
        self.held: list[Run] = []
        self.claimed: list[Run] = []
        self.mistold: set[Run] = set()
        self.quiet: set[str] = set()
        self.told: str | None = None
        self.attempts: dict[Run, int] = {}
        self.losses: dict[Run, tuple[str, ...]] = {}
        # How many of these were other drivers.
        self.drivers: dict[Run, int] = {}
        self.busy: set[Run] = set()
        self.fresh = 0
        self.tidied = self.looked = self.checked = time.monotonic()

    def run(self, deadline: float) -> None:
        """All that is pending, or what of it begins before the deadline (of ``time.monotonic``)."""
        for run in self.plan.pending:
            if self._is_there(run, self.writer.known):
                self._elsewhere(run)
            else:
                self._queue(run)
        while True:
            in_time = time.monotonic() < deadline
            self._fill(in_time)
            if not self.busy and not self.costs and not (in_time and (self.fits or self.held)):
                if not self.claimed:
                    return
                self._look_for_claimed()
                continue
            if self.held and not self.busy:
                self._tell_held()
            self.executor.wait(self._hear, LOOK if self.held else TIDYING)
            self._keep_house()

    def close(self) -> None:
        """Give back what was not ended, and leave the folder tidy."""
        for run, attempt in self.attempts.items():
            self.leases.release(self.plan.id(run), attempt)
        if self.leases.standing():
            self.writer.consolidate()
            left_out = set(self.outcome.left_out)
            self.leases.tidy({name for run, name in self.plan.ids.items() if run not in left_out})

    def _queue(self, run: Run) -> None:
        (self.fits if run.kind == "fit" else self.costs).append(run)

    def _fill(self, in_time: bool) -> None:
        """Begin what there is room for: measurements of cost when nothing else is going on or left to begin."""
        while self.executor.room():
            if any(run.kind == "cost" for run in self.busy):
                return
            if in_time and (run := self._next_fit()) is not None:
                self._begin(run)
            elif self.costs and not self.busy:
                self._begin(self.costs.popleft())
            else:
                return

    def _next_fit(self) -> Run | None:
        """The first in turn, but for those that want what the search of another finds which is under way."""
        for place, run in enumerate(self.fits):
            seed, fold = run.tuned
            if replace(run, seed=seed, fold=fold) not in self.busy:
                del self.fits[place]
                return run
        return None

    def _begin(self, run: Run) -> None:
        name = self.plan.id(run)
        if run not in self.attempts:
            with self.stops.held():
                if not self._take(run, name):
                    return
        job = Job(run, self.losses[run])
        if self.drivers[run] >= DRIVERS:
            self._keep(run, self.worker.failed(job))
            return
        self.busy.add(run)
        if self.executor.apart and (journal := self._journal(run)).is_file():
            job = replace(job, journal=journal.read_bytes())
        self.executor.begin(job, alone=run.kind == "cost")

    def _take(self, run: Run, name: str) -> bool:
        """Try to get a run's lease."""
        attempt = self.leases.take(name)
        if attempt is None:
            (self.claimed if self.leases.ended(name) else self.held).append(run)
            return False
        # Its driver may have died between keeping its results and telling so; and where one told so in vain, yet
        # another may have done the run since.
        if (attempt > 1 or run in self.mistold) and self._is_there(run, results.done(self.plan.directory)):
            self.leases.end(name)
            self._elsewhere(run)
            return False
        self.attempts[run] = attempt
        self.drivers[run] = self.leases.losses(name, attempt)
        self.losses[run] = ("its driver was lost",) * self.drivers[run]
        return True

    def _hear(self, job: Job, message: Message) -> None:
        run = job.run
        match message:
            case Started():
                with self.stops.held():
                    self.leases.begin(self.plan.id(run), self.attempts[run])
                self.on_event(Event("started", run))
            case Noted(text):
                warnings.warn(text, KeptFileWarning, stacklevel=2)
            case Doing(what):
                self.on_event(Event("doing", run, reason=what))
            case Ended():
                self.busy.remove(run)
                self._keep(run, message)
            case Lost(reason):
                self.busy.remove(run)
                self.losses[run] += (reason,)
                if len(self.losses[run]) - self.drivers[run] < ATTEMPTS:
                    (self.fits if run.kind == "fit" else self.costs).appendleft(run)
                    self.on_event(Event("lost", run, reason=reason))
                else:
                    self._keep(run, self.worker.failed(Job(run, self.losses[run])))
            case Stale(reason):
                raise ValueError(reason)
            case Unkept(number, reason, file):
                raise OSError(number, reason, file)
            case stage:
                self.on_event(Event("stage", run, stage))

    def _keep(self, run: Run, ended: Ended) -> None:
        self._stand()
        name = self.plan.id(run)
        with self.stops.held():
            # From here on its lease is not given back: whoever takes it over looks whether the results are there.
            del self.attempts[run]
            # The results last: where they are, all is.
            if ended.journal is not None:
                search.adopt(self._journal(run), ended.journal)
            if ended.predictions is not None:
                predictions.keep(self.plan.directory, name, ended.predictions)
            self.writer.add(name, ended.rows)
            self.leases.end(name)
        self.fresh += 1
        if ended.status == "done":
            self.outcome.finished.append(run)
            event = Event("finished", run, score=ended.score, seconds=ended.seconds)
        else:
            self.outcome.failed[run] = ended.reason or ""
            event = Event("failed", run, reason=ended.reason, seconds=ended.seconds)
        self.on_event(event)

    def _journal(self, run: Run) -> Path:
        return search.journal(self.plan.directory, run, self.plan.tasks[run.task_name].digest)

    def _is_there(self, run: Run, statuses: Mapping[str, str]) -> bool:
        """Whether a run needs not be done; a failure that this plan is to try again does not count."""
        status = statuses.get(self.plan.id(run))
        return status == "done" or status != self.plan.status.get(run)

    def _tell_held(self) -> None:
        """Say who is waited for, when that changes."""
        holders = " and ".join(self.leases.holders())
        if holders != self.told:
            self.told = holders
            self.on_event(Event("held", self.held[0], reason=holders))

    def _elsewhere(self, run: Run) -> None:
        self.outcome.elsewhere.append(run)
        self.on_event(Event("elsewhere", run))

    def _look_for_claimed(self) -> None:
        """See whether the results of runs are there that others say to have ended; if not, these are done again."""
        statuses = results.done(self.plan.directory)
        claimed, self.claimed = self.claimed, []
        for run in claimed:
            if self._is_there(run, statuses):
                self._elsewhere(run)
                continue
            # They were there before it was told, so they are lost for good.
            warnings.warn(
                f"run {self.plan.id(run)} ({run.task_name}, {run.model_name}) is marked as ended, but its results are "
                "not there; it is done again",
                KeptFileWarning,
                stacklevel=2,
            )
            self.leases.disown(self.plan.id(run))
            self.mistold.add(run)
            self._queue(run)

    def _look_for_quiet(self) -> None:
        """Say once of each driver on this machine that it holds runs and stands still."""
        quiet = self.leases.quiet()
        for name, pid in quiet.items():
            if name not in self.quiet:
                warnings.warn(
                    f"another liquidbench (process {pid} on this machine) is waited for and shows no sign of life: it "
                    f"is stopped or hangs. To let it go on: kill -CONT {pid}; to take its runs over: kill -KILL {pid}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        self.quiet = set(quiet)

    def _stand(self) -> None:
        if not self.leases.standing():
            # Workers may have made the folder again, but not the file that planning has left there.
            if not (self.plan.directory / "tasks.json").exists():
                gone = "the folder of results was moved, renamed or removed while its study ran"
                raise FileNotFoundError(errno.ENOENT, gone, str(self.plan.directory))
            raise RuntimeError(
                "this driver was silent for so long that another took it for dead and its runs over; what it was at "
                "is dropped, and all that was finished is kept"
            )

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now - self.looked > LOOK:
            self.looked = now
            self._stand()
            if self.held:
                self._look_for_quiet()
            held, self.held = self.held, []
            for run in held:
                self._queue(run)
        if self.fresh >= TOGETHER or (self.fresh and now - self.tidied > TIDYING):
            self.writer.consolidate()
            self.leases.tidy()
            self.fresh, self.tidied = 0, now
        if self.claimed and now - self.checked > TIDYING:
            self._look_for_claimed()
            self.checked = time.monotonic()
