"""The worker: does a run, on whatever machine it is."""

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
from liquidbench.engine.messages import Ended, InputsChanged, Job, Message, Started, Status, StorageFailed, Warned
from liquidbench.facts import Facts
from liquidbench.rows import Row, failure
from liquidbench.study import Run
from liquidbench.system.processes import Stopped
from liquidbench.system.storage import KeptFileWarning
from liquidbench.tasks.task import Task
from liquidbench.training import fit
from liquidbench.user_code import CodeError

_DISK_ERRORS = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO")}


def _storage_failed(error: OSError) -> StorageFailed:
    return StorageFailed(
        error.errno or 0, error.strerror or str(error), None if error.filename is None else str(error.filename)
    )


@contextmanager
def _forwarded_warnings(send: Callable[[Message], None]) -> Iterator[None]:
    """Send every `KeptFileWarning` to the driver, where the user sees it."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def forward(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, KeptFileWarning):
                # `InProcess` makes the driver warn in this process, within `send`: that must not come back here.
                warnings.showwarning = show
                try:
                    send(Warned(str(message)))
                finally:
                    warnings.showwarning = forward
            else:
                show(message, category, *where, **more)

        warnings.simplefilter("always", KeptFileWarning)
        warnings.showwarning = forward
        yield


@dataclass
class Work:
    """The `Worker` that trains and measures; it is pickled and sent to each worker.

    Attributes:
        study: the study's name.
        data: the folder of raw data files, None for the default locations.
        tasks: each task's facts, by name.
        folder: the study's folder, for search journals and predictions; None for workers that may have no access to it,
            which return these files with the results.
    """

    study: str
    data: str | None
    tasks: Mapping[str, Facts]
    folder: Path | None
    _loaded: dict[str, Task] = field(default_factory=dict)
    _baselines: fit.Baselines = field(default_factory=dict)

    def __call__(self, job: Job, send: Callable[[Message], None]) -> Ended | InputsChanged | StorageFailed:
        """Do a job. An exception in it is its result, except for errors of the disk, such as a full one.

        Args:
            job: the job.
            send: called with the messages before the last one, which is returned.
        """
        try:
            return self._do(job, send)
        except ConnectionError:
            raise
        except OSError as error:
            # Raised outside the run itself, by a folder that it needs: the temporary one may belong to another user.
            return _storage_failed(error)

    def _do(self, job: Job, send: Callable[[Message], None]) -> Ended | InputsChanged | StorageFailed:
        run = job.run
        facts = self.tasks[run.task_name]

        def on_status(text: str) -> None:
            send(Status(text))

        with occupied(run.kind == "cost", on_status), self._working_folder(job) as folder, _forwarded_warnings(send):
            started = time.monotonic()
            send(Started())
            try:
                if run.task_name not in self._loaded:
                    on_status("loading its data")
                try:
                    models.find(run.model)
                    task = self._task(run)
                except CodeError as error:
                    return InputsChanged(str(error))
                if task.data_digest != facts.digest:
                    return InputsChanged(
                        f"the data of task {run.task_name!r} differ from those that the study was planned with (digest "
                        f"{task.data_digest[:12]}, expected {facts.digest[:12]}). Restore the planned data, or delete "
                        "the study's tasks.json to continue with the new data"
                    )
                if run.kind == "fit":
                    rows = fit.fit(run, task, folder, send, on_status, self._baselines)
                else:
                    rows = measuring.measure_cost(run, task, folder)
            except Stopped:
                raise
            except BaseException as error:
                # A user's model may raise SystemExit or KeyboardInterrupt; only a signal may end more than the run.
                if isinstance(error, OSError) and self._is_disk_error(error):
                    return _storage_failed(error)
                traceback.print_exc()
                rows = self._failure(run, f"{type(error).__name__}: {error}")
            ended = self._ended(job, rows, started)
            return ended if self.folder is not None else replace(ended, **self._files(run, folder))

    def _is_disk_error(self, error: OSError) -> bool:
        """Whether storage is at fault: as the result of the run, the error would be permanent, as failures are."""
        if error.errno in _DISK_ERRORS:
            return True
        if self.folder is None or not isinstance(error.filename, str | os.PathLike):
            return False
        return Path(error.filename).absolute().is_relative_to(Path(self.folder).absolute())

    def failed(self, job: Job) -> Ended:
        """The failure of a job that was lost too often."""
        *earlier, last = job.losses
        reason = f"{last}; all {len(job.losses)} attempts were lost"
        return self._ended(Job(job.run, tuple(earlier)), self._failure(job.run, reason), time.monotonic())

    @contextmanager
    def _working_folder(self, job: Job) -> Iterator[Path]:
        """The study's folder, or a temporary one in its place for this job."""
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="liquidbench-") as temporary:
            if job.journal is not None:
                search.import_journal(search.journal_path(temporary, job.run, self._digest(job.run)), job.journal)
            yield Path(temporary)

    def _files(self, run: Run, folder: Path) -> dict[str, bytes | None]:
        """Contents of the files that a run has left in its folder, by the field of `Ended` that carries them."""
        digest = self._digest(run)
        files = {
            "predictions": predictions.path(folder, run.id(digest)),
            "journal": search.journal_path(folder, run, digest),
        }
        return {name: path.read_bytes() if path.is_file() else None for name, path in files.items()}

    def _digest(self, run: Run) -> str:
        return self.tasks[run.task_name].digest

    def _task(self, run: Run) -> Task:
        if run.task_name not in self._loaded:
            self._loaded[run.task_name] = tasks.load(run.task, self.data)
        # A copy, which has built no splits yet: this run must not find the test split of an earlier one.
        return replace(self._loaded[run.task_name])

    def _failure(self, run: Run, reason: str) -> list[Row]:
        return failure(run, self._digest(run), reason)

    def _ended(self, job: Job, rows: Sequence[Row], started: float) -> Ended:
        rows = [{**row, "study": self.study} for row in rows]
        status = rows[-1]["status"]
        reason = rows[-1]["reason"] if status == "failed" else None
        if job.losses:
            neutral = dict.fromkeys(results.NULLABLE) | {"split": "", "corruption": "", "level": 0.0}
            attempts = {"metric": "attempts", "value": 1.0 + len(job.losses), "reason": "; ".join(job.losses)}
            rows.append({**rows[-1], **neutral, **attempts})
        score = self._score(job.run, rows)
        return Ended(results.pack(rows), status, score, reason, time.monotonic() - started)

    def _score(self, run: Run, rows: Sequence[Row]) -> float | None:
        main = ("test", self.tasks[run.task_name].metric, "")
        return next((row["value"] for row in rows if (row["split"], row["metric"], row["corruption"]) == main), None)
