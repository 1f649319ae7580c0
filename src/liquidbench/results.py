"""The results of a study: one long table in Parquet files, one row per value. A run is stored whole or not at all.

**Writing.** A run that ends is first written to a file of its own in ``incoming/``, by atomic renaming. From time to
time its driver consolidates such files: it rewrites its newest file in ``runs/`` with these runs added, again
atomically, and starts another file when that one is full. So a study can be killed at any time and be resumed, and a
hundred thousand runs are a few dozen files, with each run in one of them, for any reader of Parquet.

**Several drivers** may write to one folder, since each rewrites only its own files. Files of a driver that died are
claimed by renaming, which succeeds for one driver. If a driver that was taken for dead writes after all, or is killed
between writing and removing, a run is stored twice rather than lost; `read` takes one copy, and the next driver removes
the other.

**Versions** differ in their columns. Missing columns that may be null are read as null, and added when a driver
rewrites the file. Columns that this version does not know are not read, but kept, with a warning. A file of another
results format (`liquidbench.study.RESULTS_FORMAT`) is refused.

**Copies** of files, made by users or cloud folders, may be there under any name. No run is read twice because of them:
of several files with the same run, one rule (`_Found.choose`) decides which counts. A copy with different rows causes a
warning, and the next driver moves it to ``damaged/``.
"""

import io
import itertools
import numbers
import os
import re
import uuid
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder
from liquidbench.shifts import recorded
from liquidbench.study import MATCHINGS, RESULTS_FORMAT, SEARCHES
from liquidbench.system import storage
from liquidbench.system.places import file_name
from liquidbench.system.storage import DamagedFileError, KeptFileWarning

SCHEMA = pl.Schema(
    {
        "run": pl.String,
        "study": pl.String,
        "task": pl.String,
        "model": pl.String,
        "variant": pl.String,
        "seed": pl.Int64,
        "fold": pl.Int64,
        "matching": pl.String,
        "search": pl.String,
        "kind": pl.String,
        "status": pl.String,
        "split": pl.String,
        "metric": pl.String,
        "corruption": pl.String,
        "level": pl.Float64,
        "epoch": pl.Int64,
        "step": pl.Int64,
        "trial": pl.Int64,
        "value": pl.Float64,
        "reason": pl.String,
        "parameters": pl.Int64,
        "hidden_size": pl.Int64,
        "learning_rate": pl.Float64,
        "settings": pl.String,
        "version": pl.String,
        "commit": pl.String,
        "python": pl.String,
        "torch": pl.String,
        "backend": pl.String,
        "instruction_set": pl.String,
        "machine": pl.String,
        "threads": pl.Int64,
        "started": pl.String,
        "seconds": pl.Float64,
    }
)
"""Columns of a result and their types.

``fold`` is the outer split; ``matching`` is what is equal among models and ``search`` the mode of the search, both ""
for published sizes. ``corruption`` is the key of a shift of the test split (`liquidbench.shifts.Shift.key`), "" for
unchanged data, for which ``level`` is 0; ``step`` is that of the optimiser on a training curve, null
for a score of the finished model; studies of earlier versions have ``epoch`` in its place;
``trial`` is the number of a trial of the search and ``settings`` its drawn settings as JSON; ``commit`` is "" outside a
git checkout; ``backend`` is what ran the model's recurrence, such as "cpu", "reference" or "torch", and
``instruction_set`` that of the compiled kernels, null for other backends; ``machine`` begins with the processor's
model; ``started`` is UTC in ISO 8601 and ``seconds`` the duration of the run. The names of the other columns are
self-explanatory.
"""

NULLABLE = frozenset(
    {"epoch", "step", "trial", "value", "reason", "parameters", "hidden_size", "learning_rate", "settings"}
    | {"backend", "instruction_set"}
)
"""Columns that may be null, omitted from a row to write, and missing in a file. Every new column must be one."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "variant": ("matched", "author"),
    "matching": (*MATCHINGS, ""),
    "search": (*SEARCHES, ""),
    "kind": ("fit", "cost"),
    "status": ("done", "failed"),
    "split": ("train", "validation", "test", ""),
}
"""Columns with a fixed set of values, and the values."""


PLACE = pl.coalesce("step", "epoch")
"""Where on a training's curve a loss is: after so many steps or, in studies of earlier versions, epochs."""

BEST = ("best_step", "best_epoch")
"""What rows call the place on the curve whose weights were kept."""

_LENGTHS = {"steps": "step", "epochs": "epoch"}
"""What rows call the length of a training, and in what it counts."""

_WORD = pl.Categorical(pl.Categories("words of results", physical=pl.UInt16))
_TYPES = {
    **{name: _WORD for name, kind in SCHEMA.items() if kind == pl.String},
    **dict.fromkeys(("run", "reason", "started"), pl.Categorical()),
    **dict.fromkeys(("epoch", "step", "trial", "hidden_size", "parameters"), pl.Int32()),
    **dict.fromkeys(("fold", "threads"), pl.Int16()),
}

COMPACT = pl.Schema(
    {name: _TYPES.get(name, kind) for name, kind in SCHEMA.items() if name not in ("study", "settings")}
)
"""The columns that a report needs, in types that take a third of the memory: text columns repeat few values."""


FULL = 200_000
"""A file of results with at least so many rows is full and not rewritten any more."""

ROW = ("run", "split", "metric", "corruption", "level", "epoch", "step", "trial")
"""The key of a row: no two rows of a study's results agree in all of these."""

DRIVER = r"\d{8}T\d{6}x[0-9a-f]{8}"
"""Regular expression of drivers' names: start time in UTC, and random digits."""

_RUN = r"[A-Za-z0-9_-]+"

_FORMAT = "format of results"
"""Metadata key of the results format; missing in files of early versions."""


class OtherFormatError(ValueError):
    """Results are of a format that this version cannot read; the message says what to do."""


def pack(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One run's rows as the content of a Parquet file, for `Writer.add`.

    Args:
        rows: at least one mapping with the columns of `SCHEMA`, all of one run. Columns of `NULLABLE` may be
            left out.

    Raises:
        ValueError: for a missing or unknown column, or a value that is not among its column's `CHOICES`.
        TypeError: for a value of the wrong type.
    """
    if not rows:
        raise ValueError("rows must hold at least one row; a failed run has a row with the reason")
    table = _checked(rows)
    runs = sorted(set(table["run"]))
    if len(runs) > 1:
        raise ValueError(f"rows must be of one run; column 'run' has {', '.join(runs)}")
    if not re.fullmatch(_RUN, runs[0]):
        raise ValueError(
            f"column 'run' must hold letters, digits, '_' and '-', since it becomes a file name; got {runs[0]!r}"
        )
    return sealed(pl.DataFrame(table, schema=SCHEMA))


def sealed(frame: pl.DataFrame) -> bytes:
    """Rows as the content of a Parquet file with a seal, for `liquidbench.system.storage.keep`."""
    content = io.BytesIO()
    frame.write_parquet(content, metadata={_FORMAT: str(RESULTS_FORMAT), "checksum": storage.SEAL})
    return storage.sealed(content.getvalue())


def write(directory: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write one run's rows to a file of its own, replacing that of an earlier call.

    Use `Writer` for runs that a driver has consolidated.

    Args:
        directory: the study's folder; it is created if it does not exist.
        rows: as for `pack`, with the same errors.

    Returns:
        The file, ``<directory>/runs/<run>.parquet``. The next driver consolidates it with others.
    """
    content = pack(rows)
    path = StudyFolder(directory).runs / f"{rows[0]['run']}.parquet"
    _replace(path, content)
    return path


def read(
    directory: str | os.PathLike[str],
    runs: Collection[str] | None = None,
    keep: pl.Expr | None = None,
    schema: pl.Schema = SCHEMA,
) -> pl.DataFrame:
    """Read the results of a study.

    Args:
        directory: the study's folder.
        runs: ids of the runs to read; None for all in the folder, including those of earlier versions of the study.
        keep: filter of rows, such as ``pl.col("split") == "test"``; None for all. It is applied file by file, so that
            other rows need no memory.
        schema: columns to read and their types: `SCHEMA`, or `COMPACT` for many rows.

    Returns:
        A frame with these columns, perhaps empty. No two rows agree in all of `ROW`, whatever files are there. A file
        that cannot be used is skipped with a `liquidbench.system.storage.KeptFileWarning`; files without a checksum,
        copies, and files that contradict each other also cause one.
    """
    wanted = None if runs is None else pl.Series("run", list(runs), dtype=pl.String).implode()

    def selected(rows: pl.LazyFrame) -> pl.LazyFrame:
        if wanted is not None:
            rows = rows.filter(pl.col("run").is_in(wanted))
        rows = rows if keep is None else rows.filter(keep)
        return rows.select(pl.col(name).cast(kind) for name, kind in schema.items())

    # An error in `keep` is raised here; below it would be taken for damage of a file.
    nothing = selected(SCHEMA.to_frame().lazy()).collect()
    return pl.concat([nothing, *_look(directory, selected).frames.values()])


def done(directory: str | os.PathLike[str]) -> dict[str, str]:
    """Statuses of the runs that have ended.

    Args:
        directory: the study's folder.

    Returns:
        "done" or "failed" by run id. Runs in a damaged file are not included, so that they are repeated.
    """
    found = _look(directory)
    return {run: found.statuses[path][run] for run, path in found.homes.items()}


class Writer:
    """Writes the results of one driver's runs, as the top of this module describes.

    It claims the files of dead drivers, and copies under names that no driver gives. Damaged files are moved to
    ``damaged/``, and so are those with rows that contradict another file that counts. Files without a checksum get one.

    Args:
        directory: the study's folder; it is created if it does not exist.
        owner: the driver's unique name, of letters and digits.
        others: names of the other drivers at work, whose files are not touched.

    Attributes:
        known: status, "done" or "failed", of each run that was there before.
    """

    def __init__(self, directory: str | os.PathLike[str], owner: str, others: Collection[str] = ()):
        self._directory, self._owner, self._number = Path(directory), owner, 0
        self._folder = StudyFolder(directory)
        others = frozenset(others)
        # What claimed files were called before: users know them by these names.
        names = self._names = dict[Path, Path]()
        _check_formats(self._folder)
        for folder in (self._folder.incoming, self._folder.runs):
            folder.mkdir(parents=True, exist_ok=True)
            for path in [*_listed(folder), *folder.glob(".*.tmp")]:
                if _owner(path) not in others and (now := self._claim(path)) is not None:
                    names[now] = path
        found = _look(directory, names=names)
        self.known = {run: found.statuses[path][run] for run, path in found.homes.items()}
        mine = {path: statuses for path, statuses in found.statuses.items() if self._is_mine(path)}
        # For each run in these files, the file that keeps its rows. Even if another driver's file counts for a run, it
        # is kept here too, since that driver may remove it.
        self._homes: dict[str, Path | None] = {run: found.choose(run, paths) for run, paths in _files_of(mine).items()}
        # Files that must not stay: their rows are consolidated with others, then they are removed or, if they
        # contradict what counts, set aside.
        self._contrary = found.contrary & mine.keys()
        self._foreign = {path for path in mine if found.is_foreign(path)} | self._contrary
        self._doubled = found.doubled & mine.keys()
        self._full: set[Path] = set()
        # In order of arrival.
        self._small: dict[Path, None] = {}
        for path in mine:
            whole = path not in found.unsealed | found.earlier | found.doubled | self._foreign
            whole &= path.parent.name == "runs"
            whole &= all(self._homes[run] == path for run in mine[path])
            if whole and found.heights[path] >= FULL:
                self._full.add(path)
            else:
                self._small[path] = None
                self._must_rewrite |= not whole
        for path, reason in found.damaged.items():
            if self._is_mine(path):
                warnings.warn(
                    f"{names[path]} is left out: {reason}; it was moved to {self._set_aside(path)}",
                    KeptFileWarning,
                    stacklevel=2,
                )

    _must_rewrite = False
    """Whether `consolidate` has work even if no runs were added."""

    def add(self, run: str, packed: bytes) -> None:
        """Store a run's rows as `pack` returned them; they are on disk when this returns.

        They replace earlier rows of the run, except for those in other drivers' files.
        """
        path = self._folder.incoming / f"{run}.{self._owner}.parquet"
        _replace(path, packed, self._owner)
        self._drop(run)
        self._homes[run] = path
        self._small[path] = None

    def remove(self, run: str) -> None:
        """Remove a run's results with the next `consolidate`, so that it is done again.

        Rows in other drivers' files are not removed.
        """
        self._drop(run)
        self._homes[run] = None

    def consolidate(self) -> None:
        """Merge the runs added since the last call into the newest file in ``runs/``.

        A file that has been damaged in the meantime is set aside with a warning; its runs are lost.
        """
        if not self._must_rewrite and len(self._small) < 2:
            return
        # The first file that stays receives the rows of the others.
        frames: dict[Path, pl.DataFrame] = {}
        for path in list(self._small):
            try:
                content = storage.content_of(path)
                storage.intact(content, path)
                frame = _with_all_columns(pl.read_parquet(content))
            except DamagedFileError as error:
                del self._small[path]
                warnings.warn(
                    f"{error}; it was moved to {self._set_aside(path)}, and `liquidbench resume "
                    f"{self._directory}` does its runs again",
                    KeptFileWarning,
                    stacklevel=2,
                )
                continue
            gone = [run for run in frame["run"].unique() if self._homes.get(run, path) != path]
            if path in self._doubled:
                frame, ambiguous = _once(frame)
                gone += ambiguous
            frame = frame.filter(~pl.col("run").is_in(gone)) if gone else frame
            if frame.is_empty():
                self._discard(path)
                continue
            frames[path] = frame
            if sum(frame.height for frame in frames.values()) >= FULL:
                self._full.add(self._join(frames))
                frames = {}
        if frames:
            self._small[self._join(frames)] = None
        self._must_rewrite = False

    def _join(self, frames: Mapping[Path, pl.DataFrame]) -> Path:
        """Merge several files into one: one of them that is in ``runs/`` already, or else a new one."""
        own = (path for path in frames if path.parent.name == "runs" and path not in self._foreign)
        target = next(own, None) or self._next()
        joined = _together(list(frames.values()))
        _replace(target, sealed(joined), self._owner)
        self._homes.update(dict.fromkeys(joined["run"].unique(), target))
        for path in frames:
            if path == target:
                del self._small[path]
            else:
                self._discard(path)
        return target

    def _discard(self, path: Path) -> None:
        """Remove a file whose rows are in another, or do not count."""
        del self._small[path]
        if path in self._contrary:
            with suppress(FileNotFoundError):
                self._set_aside(path)
        else:
            path.unlink(missing_ok=True)

    def _set_aside(self, path: Path) -> Path:
        return storage.set_aside(path, self._directory, self._names.get(path, path).name)

    def _drop(self, run: str) -> None:
        """Mark the stored rows of a run to be dropped by the next `consolidate`."""
        self._must_rewrite = True
        home = self._homes.get(run)
        if home in self._full:
            self._full.remove(home)
            self._small[home] = None

    def _claim(self, path: Path) -> Path | None:
        """Rename a file to an unused name of this driver; None if another driver was faster."""
        if path.suffix == ".tmp":
            path.unlink(missing_ok=True)
            return None
        if path.parent.name == "runs":
            to = self._next("" if _is_drivers(path) else _TAKEN)
        else:
            stem, _, _ = path.name.partition(".")
            to = path.with_name(f"{stem}.{self._owner}.parquet")
            if not _is_drivers(path) or os.path.lexists(to):
                # No run has such an id, so `add` cannot overwrite it.
                stem = file_name(stem.partition(_TAKEN)[0])
                names = (f"{stem}{_TAKEN}{number}.{self._owner}.parquet" for number in itertools.count(1))
                to = next(to for name in names if not os.path.lexists(to := path.with_name(name)))
        try:
            path.rename(to)
        except FileNotFoundError:
            return None
        return to

    def _is_mine(self, path: Path) -> bool:
        return _owner(path) == self._owner

    def _next(self, mark: str = "") -> Path:
        while True:
            self._number += 1
            path = self._folder.runs / f"{self._owner}-{self._number:04d}{mark}.parquet"
            if not os.path.lexists(path):
                return path


def without_curves(seeds: Collection[int]) -> pl.Expr:
    """A filter for `read` that leaves out the training curves of all but some seeds; curves are most of the rows."""
    return (pl.col("metric") != "loss") | PLACE.is_null() | pl.col("seed").is_in(list(seeds))


def main_scores(frame: pl.DataFrame, metrics: Mapping[str, str], split: str = "test") -> pl.DataFrame:
    """Rows of each task's main score on unchanged data, one for each fit that has it.

    Args:
        frame: rows of results.
        metrics: name of the main metric by task; rows of other tasks are left out.
        split: ``"test"`` or ``"validation"``.
    """
    main = pl.col("task").replace_strict(list(metrics), list(metrics.values()), default=None, return_dtype=pl.String)
    return frame.filter(
        pl.col("metric") == main,
        pl.col("split") == split,
        pl.col("corruption") == "",
        PLACE.is_null(),
        pl.col("value").is_not_null(),
    )


def baseline_scores(frame: pl.DataFrame, baseline: str) -> dict[str, float]:
    """Main test score, by task, of a floor such as "trivial" or "boosting": the mean over outer splits."""
    rows = frame.filter(pl.col("metric") == baseline, pl.col("split") == "test", pl.col("value").is_finite())
    splits = rows.group_by("task", "fold").agg(pl.col("value").median())
    return dict(splits.group_by("task").agg(pl.col("value").mean()).iter_rows())


_Rows = TypeVar("_Rows", pl.DataFrame, pl.LazyFrame)


def compared(frame: _Rows, matching: str) -> _Rows:
    """The rows that are compared with each other: those of one matching, on all outer splits.

    Rows at published sizes belong to every matching.

    Args:
        frame: rows of results, eager or lazy.
        matching: one of `liquidbench.study.MATCHINGS`.
    """
    return frame.filter(pl.col("matching").is_in([matching, ""]))


def trials(frame: pl.DataFrame) -> pl.DataFrame:
    """All trials of searches: what was drawn, and the validation score, null if the trial failed.

    Args:
        frame: rows of results.

    Returns:
        Columns ``run``, ``task``, ``model``, ``matching``, ``fold``, ``seed``, ``trial``, ``score``,
        ``learning_rate`` and ``settings``. The draws of a search are independent, so tuning curves can be computed from
        them.
    """
    found = frame.filter(pl.col("metric") == "trial_score")
    columns = ("run", "task", "model", "matching", "fold", "seed", "trial")
    return found.select(*columns, "learning_rate", "settings", score="value").sort(*columns[1:])


def trainings(frame: pl.DataFrame) -> pl.DataFrame:
    """How trainings ended: one row for each completed trial of a fit.

    Args:
        frame: rows of results.

    Returns:
        Columns ``run``, ``task``, ``model``, ``variant``, ``seed``, ``learning_rate``; ``length``, the number of
        steps, or epochs, as ``unit`` says ("step", or "epoch" in studies of earlier versions); ``ended``, the reason
        ("all steps", "all epochs", "patience", "pruned" or "minutes"); ``best``, after how many of them the weights
        were kept, and ``improving``, whether it was still improving at its end, both null except for the trial that
        validation selected. Sorted by task, model, variant, seed and trial.
    """
    shared = ("run", "task", "model", "variant", "seed", "trial", "learning_rate")
    told = frame.filter(pl.col("value").is_not_null())
    chosen = told.filter(pl.col("metric").is_in(BEST)).select("run", "trial", best="value")
    late = told.filter(pl.col("metric") == "still_improving").select("run", "trial", late=pl.col("value") > 0)
    unit = pl.col("metric").cast(pl.String).replace_strict(_LENGTHS, return_dtype=pl.String)
    ends = told.filter(pl.col("metric").is_in(list(_LENGTHS)))
    ends = ends.select(*shared, length="value", ended="reason", unit=unit)
    ends = ends.join(chosen, on=("run", "trial"), how="left").join(late, on=("run", "trial"), how="left")
    # Studies of earlier versions counted as improving whatever was best in its last epoch.
    last = (pl.col("best") == pl.col("length")) & (pl.col("ended").cast(pl.String) != "patience")
    ends = ends.with_columns(improving=pl.coalesce("late", last)).drop("late")
    return ends.sort("task", "model", "variant", "seed", "trial").drop("trial")


def policy_metric(policy: str, measurement: str) -> str:
    """The metric name of a measurement of one of a task's reference policies, on test."""
    return f"{policy}:{measurement}"


def write_tasks(directory: str | os.PathLike[str], tasks: Mapping[str, Facts]) -> Path:
    """Write the facts of tasks, so that reports can be built without the data.

    Args:
        directory: the study's folder; it is created if it does not exist.
        tasks: facts by task name.

    Returns:
        The file, ``<directory>/tasks.json``.
    """
    path = StudyFolder(directory).tasks
    storage.keep(path, storage.sealed_json({name: facts.to_json() for name, facts in tasks.items()}))
    return path


def read_tasks(directory: str | os.PathLike[str]) -> dict[str, Facts]:
    """Read what `write_tasks` wrote.

    Args:
        directory: the study's folder.

    Returns:
        Facts by task name.

    Raises:
        FileNotFoundError: if there is no ``tasks.json``.
        DamagedFileError: if it has changed, or is not JSON of this form.
    """
    path = StudyFolder(directory).tasks
    again = f"create it again: liquidbench resume {directory}"
    try:
        with storage.reading(path) as content:
            tasks = {name: Facts.from_json(told) for name, told in storage.from_json(content).items()}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"directory must be a study's folder of results; {path} does not exist. If it was removed, {again}"
        ) from error
    except DamagedFileError as error:
        raise DamagedFileError(f"{error}; {again}") from error
    return tasks


def _checked(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The rows' columns."""
    needed = SCHEMA.keys() - NULLABLE
    for index, row in enumerate(rows):
        for column in row.keys() - SCHEMA.keys():
            raise ValueError(
                f"rows[{index}] has the column {column!r}, which is unknown; known are {', '.join(SCHEMA)}"
            )
        for column in needed - row.keys():
            raise ValueError(f"rows[{index}] lacks the column {column!r}")
    table = {column: _column(column, kind, [row.get(column) for row in rows]) for column, kind in SCHEMA.items()}
    for column, choices in CHOICES.items():
        for odd in set(table[column]) - set(choices):
            words = ", ".join(repr(choice) for choice in choices)
            index = table[column].index(odd)
            raise ValueError(f"column {column!r} of rows[{index}] must be one of {words}; got {odd!r}")
    for key in set(table["corruption"]) - {""}:
        try:
            recorded(key)
        except ValueError as error:
            raise ValueError(f"column 'corruption' of rows[{table['corruption'].index(key)}]: {error}") from error
    for index, (status, reason) in enumerate(zip(table["status"], table["reason"], strict=True)):
        if status == "failed" and not reason:
            raise ValueError(f"column 'reason' of rows[{index}] must give the reason, as its status is 'failed'")
    return table


def _column(column: str, kind: pl.DataType, values: list[Any]) -> list[Any]:
    # Fast path: a run has thousands of values, nearly all of the right type.
    plain = {pl.String: str, pl.Int64: int, pl.Float64: float}[type(kind)]
    if set(map(type, values)) <= ({plain, type(None)} if column in NULLABLE else {plain}):
        return values
    return [_typed(index, column, kind, value) for index, value in enumerate(values)]


def _typed(index: int, column: str, kind: pl.DataType, value: Any) -> str | int | float | None:
    if value is None and column in NULLABLE:
        return None
    if kind == pl.String and isinstance(value, str):
        return str(value)
    # The abstract classes include NumPy's numbers. bool is an int in Python, but not accepted here.
    if kind == pl.Int64 and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if kind == pl.Float64 and isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    words = {pl.String: "text", pl.Int64: "a whole number", pl.Float64: "a number"}[type(kind)]
    null = " or None" if column in NULLABLE else ""
    raise TypeError(f"column {column!r} of rows[{index}] must be {words}{null}; got {type(value).__name__} {value!r}")


@dataclass
class _Found:
    """The results found in a study's folder.

    Attributes:
        names: earlier names of files that were renamed when they were claimed.
        frames: the selected rows, by file.
        heights: the number of rows, by file.
        statuses: status of each run, by file.
        homes: the file whose rows count, by run.
        damaged: unusable files, with the reason.
        unsealed: usable files without a checksum.
        earlier: usable files that lack columns.
        doubled: files with duplicate rows.
        contrary: files with rows that contradict those which count.
    """

    names: Mapping[Path, Path]
    frames: dict[Path, pl.DataFrame] = field(default_factory=dict)
    heights: dict[Path, int] = field(default_factory=dict)
    statuses: dict[Path, dict[str, str]] = field(default_factory=dict)
    homes: dict[str, Path] = field(default_factory=dict)
    damaged: dict[Path, str] = field(default_factory=dict)
    unsealed: set[Path] = field(default_factory=set)
    earlier: set[Path] = field(default_factory=set)
    doubled: set[Path] = field(default_factory=set)
    contrary: set[Path] = field(default_factory=set)

    def is_foreign(self, path: Path) -> bool:
        """Whether the file was written by neither a driver nor `write`, judging by its name and runs."""
        name, runs = self.names.get(path, path), self.statuses[path]
        return not _is_drivers(name) and not (name.parent.name == "runs" and list(runs) == [name.stem])

    def choose(self, run: str, paths: Collection[Path]) -> Path:
        """The file whose rows of a run count: done before failed, then own before foreign files, then the first."""
        return min(paths, key=lambda path: (self.statuses[path][run] == "failed", self.is_foreign(path)))


def _files_of(statuses: Mapping[Path, Mapping[str, str]]) -> dict[str, list[Path]]:
    """The files that contain each run."""
    files: dict[str, list[Path]] = {}
    for path, runs in statuses.items():
        for run in runs:
            files.setdefault(run, []).append(path)
    return files


_Selection = Callable[[pl.LazyFrame], pl.LazyFrame]
"""Selects rows and columns of a file."""


@dataclass(frozen=True)
class _Content:
    """The content of a file.

    Attributes:
        frame: its selected rows, without duplicates.
        statuses: status of each run.
        height: the number of rows.
        sealed: whether it has a checksum.
        lacking: whether it lacks columns.
        unknown: columns that this version does not know.
        twice: runs with duplicate rows.
        ambiguous: runs with rows that contradict each other; they are left out.
    """

    frame: pl.DataFrame
    statuses: dict[str, str]
    height: int
    sealed: bool
    lacking: bool
    unknown: list[str]
    twice: list[str]
    ambiguous: list[str]


def _look(
    directory: str | os.PathLike[str],
    selection: _Selection | None = None,
    names: Mapping[Path, Path] | None = None,
) -> _Found:
    """Read all files while drivers may be rewriting them.

    A driver moves a run by writing it to its new file before removing the old one. So a listing of the files, incoming
    ones first, contains all runs if none of the listed files was gone when it was read. Otherwise this lists again;
    files that have not changed since an earlier listing are not read again.
    """
    kept: dict[Path, tuple[Any, ...]] = {}
    folder = StudyFolder(directory)
    folders = [folder.incoming, folder.runs]
    while True:
        listed = [path for one in folders for path in _listed(one)]
        listed += [folder.table] if os.path.lexists(folder.table) else []
        try:
            read = {path: _read(path, selection, kept) for path in listed}
        except FileNotFoundError:
            continue
        # Listing a large folder is not atomic and may miss files that are renamed meanwhile.
        if set(_listed(folders[1])) <= read.keys():
            break
    found = _Found(names or {})
    messages: list[str] = []
    for path, content in read.items():
        if isinstance(content, str):
            found.damaged[path] = content
            # Whoever has claimed a file says what becomes of it.
            if path not in found.names:
                messages.append(f"{path} is left out: {content}")
            continue
        found.frames[path], found.heights[path] = content.frame, content.height
        found.statuses[path] = content.statuses
        if not content.sealed:
            found.unsealed.add(path)
        if content.lacking:
            found.earlier.add(path)
        if content.twice:
            found.doubled.add(path)
        name = found.names.get(path, path)
        if content.ambiguous:
            found.contrary.add(path)
            messages.append(
                f"{name} has {_runs(content.ambiguous)} twice, with rows that contradict each other: ignored. "
                f"`liquidbench resume {os.fspath(directory)}` does it again"
            )
        if same := sorted({*content.twice} - {*content.ambiguous}):
            messages.append(f"{name} has duplicate rows of {_runs(same)}: one of each counts")
    doubled: dict[Path, dict[Path, list[str]]] = {}
    for run, paths in _files_of(found.statuses).items():
        home = found.homes[run] = paths[0] if len(paths) == 1 else found.choose(run, paths)
        for path in paths:
            if path != home:
                doubled.setdefault(path, {}).setdefault(home, []).append(run)
    for path, others in doubled.items():
        left_out = [run for runs in others.values() for run in runs]
        found.frames[path] = found.frames[path].filter(~pl.col("run").is_in(left_out))
        for home, runs in others.items():
            messages += _about_duplicates(found, path, home, runs)
    unknown = sorted({name for content in read.values() if isinstance(content, _Content) for name in content.unknown})
    if unknown:
        messages.append(
            f"results in {os.fspath(directory)} have {'columns' if len(unknown) > 1 else 'the column'} "
            f"{', '.join(unknown)}, which this version of liquidbench does not know: they are ignored here, and "
            "kept. A newer version reads them (pip install --upgrade liquidrnn)"
        )
    for message in messages:
        warnings.warn(message, KeptFileWarning, stacklevel=3)
    if found.unsealed:
        storage.warn_unsealed(folder.root if found.unsealed == {folder.table} else folder.runs, stacklevel=4)
    return found


def _listed(folder: Path) -> list[Path]:
    """The Parquet files in a folder, by name; none if it does not exist.

    Raises:
        OSError: if it exists and cannot be listed, or is a link to nowhere, as of a disk that is not mounted.
            ``Path.glob`` would find nothing in it, and all runs would look missing.
    """
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(".parquet"))
    except FileNotFoundError:
        if folder.is_symlink():
            raise
        return []


def _about_duplicates(found: _Found, path: Path, home: Path, runs: Sequence[str]) -> list[str]:
    """Messages about runs that are in two files, of which ``home`` counts."""
    name, counts = found.names.get(path, path), found.names.get(home, home)
    if _is_drivers(name) and _is_drivers(counts):
        # No message if the incoming file is newer and not consolidated yet, or a failed run has been done since.
        newer = counts.parent.name == "incoming" and name.parent.name == "runs"
        runs = [run for run in runs if not newer and found.statuses[path][run] == found.statuses[home][run]]
    if not runs:
        return []
    try:
        one, other = (_rows_of(file, runs) for file in (path, home))
    except (FileNotFoundError, DamagedFileError):
        # A driver has just moved it; the next read finds what is left.
        return []
    differing = [run for run in runs if not one.filter(run=run).equals(other.filter(run=run))]
    same = sorted({*runs} - {*differing})
    messages = []
    if same and (found.is_foreign(path) or found.is_foreign(home)):
        messages.append(f"{name} is a copy: it has {_runs(same)} with the same rows as {counts}; they count once")
    if differing:
        found.contrary.add(path)
        messages.append(
            f"{name} and {counts} have different rows of {_runs(differing)}; those of {counts} count. Remove the wrong "
            "file if it has no other runs; or `liquidbench rescore` moves the one that does not count to damaged, and "
            "keeps the runs that only it has"
        )
    return messages


def _rows_of(path: Path, runs: Sequence[str]) -> pl.DataFrame:
    """All rows of some runs in a file, in an order that depends only on their content."""
    content = storage.content_of(path)
    storage.intact(content, path)
    rows = _known_columns(pl.scan_parquet(content)).filter(pl.col("run").is_in(runs)).collect()
    return _once(rows)[0].sort(*ROW, "value", "reason")


def _runs(runs: Sequence[str]) -> str:
    """Runs in words."""
    shown = ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
    return f"run{'s' if len(runs) > 1 else ''} {shown}"


def _doubles(file: pl.LazyFrame) -> tuple[int, list[str], list[str]]:
    """The number of rows in a file, the runs with duplicate keys, and those of them whose rows contradict."""
    keys = file.select(ROW).collect()
    # Hashing is fast, and different rows hardly ever have equal hashes.
    if keys.hash_rows().n_unique() == keys.height:
        return keys.height, [], []
    twice = keys.filter(keys.is_duplicated())["run"].unique().sort().to_list()
    return keys.height, twice, _once(file.collect())[1]


def _once(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Rows without duplicates, and the runs that still have two rows with one key: these contradict each other."""
    frame = frame.unique(maintain_order=True)
    keys = frame.select(ROW)
    return frame, keys.filter(keys.is_duplicated())["run"].unique().sort().to_list()


def _read(path: Path, selection: _Selection | None, kept: dict[Path, tuple[Any, ...]]) -> _Content | str:
    """The content of a file, or why it is unusable."""
    # lstat, since the target of a link may not exist.
    stat = path.lstat()
    stamp = stat.st_ino, stat.st_mtime_ns, stat.st_size
    if path not in kept or kept[path][0] != stamp:
        kept[path] = stamp, _checked_file(path, selection)
    return kept[path][1]


def _checked_file(path: Path, selection: _Selection | None) -> _Content | str:
    try:
        # Read at once: polars opens a path more than once, and a writer may replace the file in between.
        content = storage.content_of(path)
        sealed = storage.intact(content, path)
    except DamagedFileError as error:
        return str(error).removeprefix(f"{path} is damaged: ")
    try:
        _check_format(path, content)
        file = pl.scan_parquet(content)
        schema = file.collect_schema()
        if trouble := _not_results(schema):
            return trouble
        file = _known_columns(file)
        height, twice, ambiguous = _doubles(file)
        if twice:
            file = _once(file.collect())[0].filter(~pl.col("run").is_in(ambiguous)).lazy()
        failed = (pl.col("status") == "failed").any()
        runs = file.group_by("run", maintain_order=True).agg(failed=failed).collect()
        # Without a selection all rows are read all the same: runs in an unreadable file must be done again.
        frame = selection(file).collect() if selection else file.collect().clear()
    except OtherFormatError:
        raise
    # The file may contain anything, and polars may raise anything on it, including its own panics.
    except (Exception, pl.exceptions.PanicException) as error:
        return f"it cannot be read ({error})"
    if not height:
        return "it holds no rows"
    statuses = {run: "failed" if any_failed else "done" for run, any_failed in runs.iter_rows()}
    lacking, unknown = bool(SCHEMA.keys() - schema.keys()), [name for name in schema if name not in SCHEMA]
    return _Content(frame, statuses, height, sealed, lacking, unknown, twice, ambiguous)


def _check_format(path: Path, content: bytes | Path) -> None:
    """Refuse an intact file of another results format."""
    of = pl.read_parquet_metadata(content).get(_FORMAT, str(RESULTS_FORMAT))
    if of == str(RESULTS_FORMAT):
        return
    newer = of.isdecimal() and int(of) > RESULTS_FORMAT
    remedy = (
        "Upgrade to the version of liquidbench that wrote it (pip install --upgrade liquidrnn)"
        if newer
        else "Use the version of liquidbench that wrote it"
    )
    raise OtherFormatError(
        f"{path} holds results of format {of[:20]}, and this version of liquidbench reads format {RESULTS_FORMAT}; "
        f"nothing was changed. {remedy}, or move the file to another folder to ignore it"
    )


def _check_formats(folder: StudyFolder) -> None:
    """Refuse a folder with results of another format before any of its files is changed."""
    for path in (*_listed(folder.incoming), *_listed(folder.runs)):
        try:
            # Opening a pipe would block.
            _check_format(path, storage.regular(path, "results"))
        except OtherFormatError:
            raise
        # An unreadable file is damaged, which reading it reports.
        except (Exception, pl.exceptions.PanicException):
            continue


def _not_results(schema: pl.Schema) -> str:
    """Why columns are not those of results; "" if they are those of some version."""
    odd = [name for name in SCHEMA if name not in schema and name not in NULLABLE]
    # Other programs may drop the type of a column that is entirely null.
    odd += [
        f"{name}, which must be {kind} and is {schema[name]}"
        for name, kind in SCHEMA.items()
        if name in schema and schema[name] != kind and not (name in NULLABLE and schema[name] == pl.Null)
    ]
    unknown = [name for name in schema if name not in SCHEMA]
    return f"it has no results of this version (see {', '.join([*odd, *unknown])})" if odd else ""


def _known_columns(file: pl.LazyFrame) -> pl.LazyFrame:
    """The columns that this version knows, null if a file lacks them."""
    there = file.collect_schema()
    return file.select(
        (pl.col(name) if name in there else pl.lit(None, kind).alias(name)).cast(kind) for name, kind in SCHEMA.items()
    )


def _with_all_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that this version knows, followed by those that it does not."""
    known = _known_columns(frame.lazy()).collect()
    return known.hstack(frame.select(name for name in frame.columns if name not in SCHEMA))


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of several frames. Columns that this version does not know become text where their types differ."""
    kinds: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            kinds.setdefault(name, set()).add(kind)
    mixed = [name for name, of in kinds.items() if len(of) > 1]
    texts = [frame.with_columns(pl.col(name).cast(pl.String) for name in mixed if name in frame) for frame in frames]
    return pl.concat(texts, how="diagonal")


_TAKEN = "+"
"""Marks the name of a claimed file whose earlier name was not given by a driver."""


def _owner(path: Path) -> str:
    """The driver that owns a file, "" for none: RUN.OWNER.parquet, OWNER-NUMBER.parquet, .NAME.OWNER.tmp."""
    if path.suffix == ".tmp":
        return path.name.split(".")[-2]
    return path.stem.partition(".")[2] if path.parent.name == "incoming" else path.stem.rpartition("-")[0]


def _is_drivers(path: Path) -> bool:
    """Whether a file has a name that a driver gives; copies usually have another."""
    form = rf"{_RUN}\.{DRIVER}" if path.parent.name == "incoming" else rf"{DRIVER}-\d{{4,}}"
    return re.fullmatch(form, path.stem) is not None


def _replace(path: Path, content: bytes, owner: str | None = None) -> None:
    """Write a file atomically."""
    # The temporary file is not in ``runs/``, for programs that read the whole folder.
    staging = path.parent.with_name("incoming") if path.parent.name == "runs" else path.parent
    staging.mkdir(parents=True, exist_ok=True)
    storage.keep(path, content, staging / f".{path.name}.{owner or uuid.uuid4().hex}.tmp")
