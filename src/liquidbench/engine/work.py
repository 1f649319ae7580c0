"""What a worker does with a run, wherever it is."""

import errno
import os
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from liquidbench import measuring, models, predictions, results, search, tasks
from liquidbench.engine.machine import occupied
from liquidbench.engine.messages import Doing, Ended, Job, Message, Noted, Stale, Started, Unkept
from liquidbench.facts import Facts
from liquidbench.own import CodeError
from liquidbench.rows import Row, failure
from liquidbench.study import Run
from liquidbench.system.processes import Stopped
from liquidbench.system.storage import KeptFileWarning
from liquidbench.tasks.task import Task
from liquidbench.training import fit

_OF_DISKS = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO")}


def _unkept(error: OSError) -> Unkept:
    return Unkept(
        error.errno or 0, error.strerror or str(error), None if error.filename is None else str(error.filename)
    )


@contextmanager
def _noting(tell: Callable[[Message], None]) -> Iterator[None]:
    """Within it, warnings of kept files go to the driver, where somebody reads them."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, KeptFileWarning):
                # A driver in this very process warns of it in turn, from within this call.
                warnings.showwarning = show
                try:
                    tell(Noted(str(message)))
                finally:
                    warnings.showwarning = note
            else:
                show(message, category, *where, **more)

        warnings.simplefilter("always", KeptFileWarning)
        warnings.showwarning = note
        yield


@dataclass
class Work:
    """Trains and measures. It is sent to workers as it is.

    Attributes:
        study: the study's name.
        data: the folder of raw files, None for the usual places.
        tasks: each task's facts.
        folder: the study's folder, for searches and predictions; None where it may be out of reach, so that these go
            back with the results.
    """

    study: str
    data: str | None
    tasks: Mapping[str, Facts]
    folder: Path | None
    _loaded: dict[str, Task] = field(default_factory=dict)

    def __call__(self, job: Job, tell: Callable[[Message], None]) -> Ended | Stale | Unkept:
        """Do a job: an error in it is its result, and the study goes on, but for a full disk and the like.

        Args:
            job: the job.
            tell: is told that it has started, and of its stages.
        """
        try:
            return self._done(job, tell)
        except ConnectionError:
            raise
        except OSError as error:
            # Not of the run itself: the folders that it needs, of which the one for temporary files may be another's.
            return _unkept(error)

    def _done(self, job: Job, tell: Callable[[Message], None]) -> Ended | Stale | Unkept:
        run = job.run
        facts = self.tasks[run.task_name]

        def doing(what: str) -> None:
            tell(Doing(what))

        with occupied(run.kind == "cost", doing), self._place(job) as folder, _noting(tell):
            started = time.monotonic()
            tell(Started())
            try:
                if run.task_name not in self._loaded:
                    doing("loading its data")
                try:
                    models.find(run.model)
                    task = self._task(run)
                except CodeError as error:
                    return Stale(str(error))
                if task.data_digest != facts.digest:
                    return Stale(
                        f"the data of task {run.task_name!r} are not those that the study was planned with (digest "
                        f"{task.data_digest[:12]}, not {facts.digest[:12]}). Give those, or delete the study's "
                        "tasks.json to go on with the new ones"
                    )
                if run.kind == "fit":
                    rows = fit.fit(run, task, folder, tell, doing)
                else:
                    rows = measuring.measure_cost(run, task, folder)
            except Stopped:
                raise
            except BaseException as error:
                # A user's model may well call `sys.exit`; only a signal ends more than the run.
                if isinstance(error, OSError) and self._is_of_disks(error):
                    return _unkept(error)
                traceback.print_exc()
                rows = self._failure(run, f"{type(error).__name__}: {error}")
            ended = self._ended(job, rows, started)
            return ended if self.folder is not None else replace(ended, **self._left(run, folder))

    def _is_of_disks(self, error: OSError) -> bool:
        """Whether the place where things are kept is at fault; as the result of a run it would stay for good."""
        if error.errno in _OF_DISKS:
            return True
        if self.folder is None or not isinstance(error.filename, str | os.PathLike):
            return False
        return Path(error.filename).absolute().is_relative_to(Path(self.folder).absolute())

    def failed(self, job: Job) -> Ended:
        """What is told of a job that was lost too often."""
        *earlier, last = job.losses
        reason = f"{last}; so ended each of {len(job.losses)} attempts"
        return self._ended(Job(job.run, tuple(earlier)), self._failure(job.run, reason), time.monotonic())

    @contextmanager
    def _place(self, job: Job) -> Iterator[Path]:
        """The study's folder, or one in its place for this job alone."""
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="liquidbench-") as place:
            if job.journal is not None:
                search.adopt(search.journal(place, job.run, self._digest(job.run)), job.journal)
            yield Path(place)

    def _left(self, run: Run, place: Path) -> dict[str, bytes | None]:
        """What a run has left in its own folder."""
        digest = self._digest(run)
        files = {
            "predictions": predictions.path(place, run.id(digest)),
            "journal": search.journal(place, run, digest),
        }
        return {name: path.read_bytes() if path.is_file() else None for name, path in files.items()}

    def _digest(self, run: Run) -> str:
        return self.tasks[run.task_name].digest

    def _task(self, run: Run) -> Task:
        if run.task_name not in self._loaded:
            self._loaded[run.task_name] = tasks.load(run.task, self.data)
        # A copy has no splits yet: the test split of the run before must not lie ready for this one.
        return replace(self._loaded[run.task_name])

    def _failure(self, run: Run, reason: str) -> list[Row]:
        return failure(run, self._digest(run), reason)

    def _ended(self, job: Job, rows: Sequence[Row], started: float) -> Ended:
        rows = [{**row, "study": self.study} for row in rows]
        status = rows[-1]["status"]
        reason = rows[-1]["reason"] if status == "failed" else None
        if job.losses:
            neutral = dict.fromkeys(results.NULLABLE) | {"split": "", "corruption": "", "level": 0.0}
            told = {"metric": "attempts", "value": 1.0 + len(job.losses), "reason": "; ".join(job.losses)}
            rows.append({**rows[-1], **neutral, **told})
        score = self._score(job.run, rows)
        return Ended(results.pack(rows), status, score, reason, time.monotonic() - started)

    def _score(self, run: Run, rows: Sequence[Row]) -> float | None:
        main = ("test", self.tasks[run.task_name].metric, "")
        return next((row["value"] for row in rows if (row["split"], row["metric"], row["corruption"]) == main), None)
