"""The results of a study: one long table in Parquet files, one row a value, each run there whole or not at all.

A run that ends first gets a file of its own in ``incoming/``, renamed into place when complete. Now and then the
driver whose run it was rewrites its newest file in ``runs/`` with such runs added, again by renaming a complete
one into place, and begins another when that is full. So a study can be killed at any time and go on from there,
and a hundred thousand runs are some dozens of files, each run in one of them, for any reader of Parquet.

Several drivers may write into one folder, as each rewrites none but its own files. Those of a driver that is gone
are renamed by the next, which succeeds for one. Should a driver that was thought gone write after all, or be
killed between writing and tidying up, a run is there twice rather than not at all; `read` then takes one, and the
next driver removes the other.

Versions differ in their columns. Of a file that lacks columns which may be null these are read as null, and the driver
whose file it becomes writes them; columns that this version does not know are left out of what is read, told of, and
kept. A file of another format of results (`liquidbench.study.RESULTS_FORMAT`) is refused.

Copies that people and cloud folders make may lie there as well, under any name. No run is read twice for that: of
files that have the same run, the one that counts is chosen by one rule (`_Found.choose`), and a copy that says
something else is warned of and, by the next driver, moved to ``damaged/``.
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
from liquidbench.study import MATCHINGS, MODES, RESULTS_FORMAT
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

``fold`` is the outer split; ``matching`` what is equal among models and ``search`` its mode, both "" for published
sizes. ``level`` is 0 where ``corruption`` is ""; ``step`` is one of the optimiser, on a training curve, and null for a
score of the finished model; studies of earlier versions have ``epoch`` in its place; ``trial`` is the
number of a draw of the search and ``settings`` all that was drawn, as JSON; ``commit`` is "" outside of a checkout;
``backend`` is what ran the model's recurrence, such as "cpu", "reference" or "torch", and ``instruction_set`` that of
compiled kernels, null for others; ``machine`` begins with the processor's model; ``started`` is UTC in ISO 8601 and
``seconds`` how long the run took. The other columns say by their names what they are.
"""

NULLABLE = frozenset(
    {"epoch", "step", "trial", "value", "reason", "parameters", "hidden_size", "learning_rate", "settings"}
    | {"backend", "instruction_set"}
)
"""Columns that may be null, be left out of a row to write, and not be there in a file: every new column is one."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "variant": ("matched", "author"),
    "matching": (*MATCHINGS, ""),
    "search": (*MODES, ""),
    "kind": ("fit", "cost"),
    "status": ("done", "failed"),
    "split": ("train", "validation", "test", ""),
    "corruption": ("", "removed_steps", "noise"),
}
"""Columns of few words, and the words."""


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
    {name: _TYPES.get(name, kind) for name, kind in SCHEMA.items() if name not in ("study", "search", "settings")}
)
"""The columns that a report asks for, in types that take a third of the memory: text is of few words over and over."""


FULL = 200_000
"""Rows from which on a file of results is left as it is."""

ROW = ("run", "split", "metric", "corruption", "level", "epoch", "step", "trial")
"""What tells a row from all others: no two rows of a study's results agree in all of these."""

DRIVER = r"\d{8}T\d{6}x[0-9a-f]{8}"
"""Names of drivers, as a regular expression: when one began, in UTC, and some random digits."""

_RUN = r"[A-Za-z0-9_-]+"

_FORMAT = "format of results"
"""In the metadata of a file, by which format of results it is; not there in files of early versions."""


class OtherFormatError(ValueError):
    """Results of a format that this version cannot read; the message says which, and what to do."""


def pack(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One run's rows as the content of a Parquet file, for `Writer.add`.

    Args:
        rows: at least one mapping with the columns of `SCHEMA`, all of one run. Columns of `NULLABLE` may be
            left out.

    Raises:
        ValueError: for a missing or unknown column, or a value out of its column's choices.
        TypeError: for a value of another type than its column's.
    """
    if not rows:
        raise ValueError("rows must hold at least one row; a run that failed has a row that says why")
    table = _checked(rows)
    runs = sorted(set(table["run"]))
    if len(runs) > 1:
        raise ValueError(f"rows must be of one run, as a file holds one; column 'run' has {', '.join(runs)}")
    if not re.fullmatch(_RUN, runs[0]):
        raise ValueError(f"column 'run' must hold letters, digits, '_' and '-', for it names a file; got {runs[0]!r}")
    return sealed(pl.DataFrame(table, schema=SCHEMA))


def sealed(frame: pl.DataFrame) -> bytes:
    """Rows as the content of a Parquet file that carries its checksum, for `liquidbench.system.storage.keep`."""
    content = io.BytesIO()
    frame.write_parquet(content, metadata={_FORMAT: str(RESULTS_FORMAT), "checksum": storage.SEAL})
    return storage.sealed(content.getvalue())


def write(directory: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write one run's rows into a file of its own, replacing that of an earlier call if there is one.

    For a run that a driver has put together with others use `Writer`.

    Args:
        directory: the study's folder; it is made where it does not exist.
        rows: as for `pack`, with the same errors.

    Returns:
        The file, ``<directory>/runs/<run>.parquet``. The next driver puts it together with others.
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
        runs: ids of the runs wanted; None for all there are, which includes those of earlier versions of the
            study.
        keep: which rows are wanted, such as ``pl.col("split") == "test"``; None for all. Other rows are dropped
            file by file, so that they need no memory.
        schema: which columns are wanted, and their types: `SCHEMA`, or `COMPACT` for many rows.

    Returns:
        Rows with these columns; an empty frame with these columns if there are none. No two rows agree in all of
        `ROW`, whatever files lie there. A file that cannot be used is named in a
        `liquidbench.system.storage.KeptFileWarning` and left out; files without a checksum, copies of results and
        files that contradict each other are named in one.
    """
    wanted = None if runs is None else pl.Series("run", list(runs), dtype=pl.String).implode()

    def lessened(rows: pl.LazyFrame) -> pl.LazyFrame:
        if wanted is not None:
            rows = rows.filter(pl.col("run").is_in(wanted))
        rows = rows if keep is None else rows.filter(keep)
        return rows.select(pl.col(name).cast(kind) for name, kind in schema.items())

    # What is wrong with `keep` fails here, and is not taken for damage of a file.
    nothing = lessened(SCHEMA.to_frame().lazy()).collect()
    return pl.concat([nothing, *_look(directory, lessened).frames.values()])


def done(directory: str | os.PathLike[str]) -> dict[str, str]:
    """What is finished.

    Args:
        directory: the study's folder.

    Returns:
        The id of each run with whole results, and its status: "done" or "failed". What is in a damaged file is
        not there, so that its runs are repeated.
    """
    found = _look(directory)
    return {run: found.statuses[path][run] for run, path in found.homes.items()}


class Writer:
    """Puts the results of one driver's runs into the study's folder; the head of this module says how.

    Files of drivers that are gone become this one's, and so do copies under names that no driver gives. Damaged ones
    are moved to ``damaged/``, and so are those whose rows are contradicted by another file that counts. Files without
    a checksum get one.

    Args:
        directory: the study's folder; it is made where it does not exist.
        owner: the driver's name, which no other ever has; letters and digits.
        others: names of the drivers at work there besides, whose files are left alone.

    Attributes:
        known: of each run that was there before, its status: "done" or "failed".
    """

    def __init__(self, directory: str | os.PathLike[str], owner: str, others: Collection[str] = ()):
        self._directory, self._owner, self._number = Path(directory), owner, 0
        self._folder = StudyFolder(directory)
        others = frozenset(others)
        names: dict[Path, Path] = {}
        _check_formats(self._folder)
        for folder in (self._folder.incoming, self._folder.runs):
            folder.mkdir(parents=True, exist_ok=True)
            for path in [*folder.glob("*.parquet"), *folder.glob(".*.tmp")]:
                if _owner(path) not in others and (now := self._claim(path)) is not None:
                    names[now] = path
        found = _look(directory, names=names)
        self.known = {run: found.statuses[path][run] for run, path in found.homes.items()}
        mine = {path: statuses for path, statuses in found.statuses.items() if self._is_mine(path)}
        # Of each run in these files the one whose rows are to stay. What counts may be in another driver's file; the
        # run stays here all the same, as that driver may take it away.
        self._homes: dict[str, Path | None] = {run: found.choose(run, paths) for run, paths in _holders(mine).items()}
        # Files that are no place for results: they are put together with others, then removed or, where they
        # contradict what counts, set aside.
        self._contrary = found.contrary & mine.keys()
        self._foreign = {path for path in mine if found.is_foreign(path)} | self._contrary
        self._doubled = found.doubled & mine.keys()
        self._full: set[Path] = set()
        # In the order in which they came.
        self._small: dict[Path, None] = {}
        for path in mine:
            whole = path not in found.unsealed | found.earlier | found.doubled | self._foreign
            whole &= path.parent.name == "runs"
            whole &= all(self._homes[run] == path for run in mine[path])
            if whole and found.heights[path] >= FULL:
                self._full.add(path)
            else:
                self._small[path] = None
                self._untidy |= not whole
        for path in filter(self._is_mine, found.damaged):
            storage.set_aside(path, self._directory)

    _untidy = False
    """Whether there is something to put together, though nothing may have come in."""

    def add(self, run: str, packed: bytes) -> None:
        """Keep what `pack` made of a run's rows: it is on the disk when this returns.

        It takes the place of what was there of the run before, but for what is in other drivers' files.
        """
        path = self._folder.incoming / f"{run}.{self._owner}.parquet"
        _replace(path, packed, self._owner)
        self._leave(run)
        self._homes[run] = path
        self._small[path] = None

    def remove(self, run: str) -> None:
        """Take a run's results away, so that it is done again; they are gone after the next `consolidate`.

        What other drivers' files have of it stays.
        """
        self._leave(run)
        self._homes[run] = None

    def consolidate(self) -> None:
        """Put what has come in since the last time together with the newest file in ``runs/``.

        A file that has been damaged meanwhile is set aside, with a warning: its runs are not there any more.
        """
        if not self._untidy and len(self._small) < 2:
            return
        # The first that stays is where the others go.
        frames: dict[Path, pl.DataFrame] = {}
        for path in list(self._small):
            try:
                content = storage.content_of(path)
                storage.intact(content, path)
                frame = _with_all_columns(pl.read_parquet(content))
            except DamagedFileError as error:
                del self._small[path]
                warnings.warn(
                    f"{error}; it is now {storage.set_aside(path, self._directory)}, and `liquidbench resume "
                    f"{self._directory}` makes its runs again",
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
        self._untidy = False

    def _join(self, frames: Mapping[Path, pl.DataFrame]) -> Path:
        """One file of several, in place of one of them that is in ``runs/`` already, if there is one."""
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
        """Take away a file whose rows are elsewhere, or do not count."""
        del self._small[path]
        if path in self._contrary:
            with suppress(FileNotFoundError):
                storage.set_aside(path, self._directory)
        else:
            path.unlink(missing_ok=True)

    def _leave(self, run: str) -> None:
        """See that the next `consolidate` leaves out what is there of a run."""
        self._untidy = True
        home = self._homes.get(run)
        if home in self._full:
            self._full.remove(home)
            self._small[home] = None

    def _claim(self, path: Path) -> Path | None:
        """Make a file this driver's, unless another is faster; under a name that no other file has."""
        if path.suffix == ".tmp":
            path.unlink(missing_ok=True)
            return None
        if path.parent.name == "runs":
            to = self._next("" if _is_drivers(path) else _TAKEN)
        else:
            stem, _, _ = path.name.partition(".")
            to = path.with_name(f"{stem}.{self._owner}.parquet")
            if not _is_drivers(path) or os.path.lexists(to):
                # No run has such a name, so that `add` does not write over it.
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
    """What to `read` of a large study: all but the training curves of other seeds than these, which are most rows."""
    return (pl.col("metric") != "loss") | PLACE.is_null() | pl.col("seed").is_in(list(seeds))


def main_scores(frame: pl.DataFrame, metrics: Mapping[str, str], split: str = "test") -> pl.DataFrame:
    """Rows of each task's main score on undamaged data, one for each fit that has it.

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
    """Main score on test, by task, of the trivial predictor or of the linear model: the mean over outer splits."""
    rows = frame.filter(pl.col("metric") == baseline, pl.col("split") == "test", pl.col("value").is_finite())
    splits = rows.group_by("task", "fold").agg(pl.col("value").median())
    return dict(splits.group_by("task").agg(pl.col("value").mean()).iter_rows())


_Rows = TypeVar("_Rows", pl.DataFrame, pl.LazyFrame)


def compared(frame: _Rows, matching: str) -> _Rows:
    """The part of a study's results that is judged together: one matching, on all outer splits.

    Rows at published sizes belong to every matching.

    Args:
        frame: rows of results, or a lazy frame of them, of which nothing is copied yet.
        matching: one of `liquidbench.study.MATCHINGS`.
    """
    return frame.filter(pl.col("matching").is_in([matching, ""]))


def trials(frame: pl.DataFrame) -> pl.DataFrame:
    """Every trial of the searches in some results: what was drawn, and its score on validation, null where it failed.

    Args:
        frame: rows of results.

    Returns:
        Columns ``run``, ``task``, ``model``, ``matching``, ``fold``, ``seed``, ``trial``, ``score``,
        ``learning_rate`` and ``settings``. Tuning curves come from them: the draws of a search are independent.
    """
    found = frame.filter(pl.col("metric") == "trial_score")
    columns = ("run", "task", "model", "matching", "fold", "seed", "trial")
    return found.select(*columns, "learning_rate", "settings", score="value").sort(*columns[1:])


def trainings(frame: pl.DataFrame) -> pl.DataFrame:
    """How trainings ended, one row for each trial of a fit that came to an end.

    Args:
        frame: rows of results.

    Returns:
        Columns ``run``, ``task``, ``model``, ``variant``, ``seed``, ``learning_rate``; ``length``, how many steps there
        were, or epochs, as ``unit`` says ("step", or "epoch" in studies of earlier versions); ``ended``, by what ("all
        steps", "all epochs", "patience", "pruned" or "minutes"); ``best``, after which of them the weights were kept,
        and ``improving``, whether it was still improving at its end, both
        null but for the training that validation chose. Ordered by task, model, variant, seed and trial.
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
    """What rows call a measurement of one of the policies that a task is set against, on test."""
    return f"{policy}:{measurement}"


def write_tasks(directory: str | os.PathLike[str], tasks: Mapping[str, Facts]) -> Path:
    """Write what a report says about tasks, so that it can be made without the data.

    Args:
        directory: the study's folder; it is made where it does not exist.
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
        FileNotFoundError: where there is no ``tasks.json``.
        DamagedFileError: where it has changed since, or is no JSON of this form.
    """
    path = StudyFolder(directory).tasks
    again = f"make it anew: liquidbench resume {directory}"
    try:
        with storage.reading(path) as content:
            tasks = {name: Facts.from_json(told) for name, told in storage.from_json(content).items()}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"directory must be a study's folder of results; {path} does not exist") from error
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
    for index, (status, reason) in enumerate(zip(table["status"], table["reason"], strict=True)):
        if status == "failed" and not reason:
            raise ValueError(f"column 'reason' of rows[{index}] must say why, as its status is 'failed'")
    return table


def _column(column: str, kind: pl.DataType, values: list[Any]) -> list[Any]:
    # Nearly all are what they should be, and there are thousands in a run.
    plain = {pl.String: str, pl.Int64: int, pl.Float64: float}[type(kind)]
    if set(map(type, values)) <= ({plain, type(None)} if column in NULLABLE else {plain}):
        return values
    return [_typed(index, column, kind, value) for index, value in enumerate(values)]


def _typed(index: int, column: str, kind: pl.DataType, value: Any) -> str | int | float | None:
    if value is None and column in NULLABLE:
        return None
    if kind == pl.String and isinstance(value, str):
        return str(value)
    # The abstract classes take NumPy's numbers too. True is a whole number to Python and none to us.
    if kind == pl.Int64 and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if kind == pl.Float64 and isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    words = {pl.String: "text", pl.Int64: "a whole number", pl.Float64: "a number"}[type(kind)]
    null = " or None" if column in NULLABLE else ""
    raise TypeError(f"column {column!r} of rows[{index}] must be {words}{null}; got {type(value).__name__} {value!r}")


@dataclass
class _Found:
    """What is in a study's folder.

    Attributes:
        names: of files that were renamed when they were taken over, what they were called before.
        frames: by file, what was wanted of its rows.
        heights: by file, how many rows it has.
        statuses: by file, the status of each of its runs.
        homes: of each run, the file whose rows of it count.
        damaged: files that are of no use, with the reason.
        unsealed: files of use that have no checksum.
        earlier: files of use that lack columns.
        doubled: files with rows that are there twice.
        contrary: files with rows of a run that contradict those which count.
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
        """Whether neither a driver nor `write` has put the file there: by its name, and the runs in it."""
        name, runs = self.names.get(path, path), self.statuses[path]
        return not _is_drivers(name) and not (name.parent.name == "runs" and list(runs) == [name.stem])

    def choose(self, run: str, paths: Collection[Path]) -> Path:
        """Of files that have a run the one whose rows count: done before failed, no stranger's, the first met."""
        return min(paths, key=lambda path: (self.statuses[path][run] == "failed", self.is_foreign(path)))


def _holders(statuses: Mapping[Path, Mapping[str, str]]) -> dict[str, list[Path]]:
    """The files that have each run."""
    holders: dict[str, list[Path]] = {}
    for path, runs in statuses.items():
        for run in runs:
            holders.setdefault(run, []).append(path)
    return holders


_Lessened = Callable[[pl.LazyFrame], pl.LazyFrame]
"""What is wanted of a file's rows."""


@dataclass(frozen=True)
class _Content:
    """What a file holds.

    Attributes:
        frame: its rows as far as wanted, each once.
        statuses: of its runs.
        height: how many rows it has.
        sealed: whether it carries a checksum.
        lacking: whether there are columns that it lacks.
        unknown: columns that this version does not know.
        twice: runs of which it has rows twice.
        ambiguous: runs of which it has rows that contradict each other, and which are left out.
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
    lessened: _Lessened | None = None,
    names: Mapping[Path, Path] | None = None,
) -> _Found:
    """Read all files, whatever drivers do to them meanwhile.

    A run moves from one file to another by being written there and then removed here. So all are there in a list of
    files, incoming ones first, of which none was gone before it was read; files that have not changed since they
    were read for an earlier list need not be read again.
    """
    kept: dict[Path, tuple[Any, ...]] = {}
    folder = StudyFolder(directory)
    folders = [folder.incoming, folder.runs]
    while True:
        listed = [path for one in folders for path in sorted(one.glob("*.parquet"))]
        listed += [folder.table] if os.path.lexists(folder.table) else []
        try:
            read = {path: _read(path, lessened, kept) for path in listed}
        except FileNotFoundError:
            continue
        # A long list is not made in one moment, and may miss what is renamed meanwhile.
        if set(folders[1].glob("*.parquet")) <= read.keys():
            break
    found = _Found(names or {})
    told = [f"{path} is left out: {content}" for path, content in read.items() if isinstance(content, str)]
    for path, content in read.items():
        if isinstance(content, str):
            found.damaged[path] = content
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
            told.append(
                f"{name} holds {_runs(content.ambiguous)} twice, with rows that contradict each other: left out, as if "
                f"not there. `liquidbench resume {os.fspath(directory)}` does it again"
            )
        if same := sorted({*content.twice} - {*content.ambiguous}):
            told.append(f"{name} holds rows of {_runs(same)} twice, which are the same: one of each counts")
    doubled: dict[Path, dict[Path, list[str]]] = {}
    for run, paths in _holders(found.statuses).items():
        home = found.homes[run] = paths[0] if len(paths) == 1 else found.choose(run, paths)
        for path in paths:
            if path != home:
                doubled.setdefault(path, {}).setdefault(home, []).append(run)
    for path, others in doubled.items():
        left_out = [run for runs in others.values() for run in runs]
        found.frames[path] = found.frames[path].filter(~pl.col("run").is_in(left_out))
        for home, runs in others.items():
            told += _told_of_double(found, path, home, runs)
    unknown = sorted({name for content in read.values() if isinstance(content, _Content) for name in content.unknown})
    if unknown:
        told.append(
            f"results in {os.fspath(directory)} have {'columns' if len(unknown) > 1 else 'the column'} "
            f"{', '.join(unknown)}, which this version of liquidbench does not know: left out of what is read here, "
            "and kept. A newer version reads them (pip install --upgrade liquidrnn)"
        )
    for words in told:
        warnings.warn(words, KeptFileWarning, stacklevel=3)
    if found.unsealed:
        storage.tell_unsealed(folder.root if found.unsealed == {folder.table} else folder.runs, stacklevel=4)
    return found


def _told_of_double(found: _Found, path: Path, home: Path, runs: Sequence[str]) -> list[str]:
    """What is to be said of runs in two files, of which those in ``home`` count."""
    name, counts = found.names.get(path, path), found.names.get(home, home)
    if _is_drivers(name) and _is_drivers(counts):
        # What has come in is newer, and not yet put in place of the rest; so is what was done after it had failed.
        newer = counts.parent.name == "incoming" and name.parent.name == "runs"
        runs = [run for run in runs if not newer and found.statuses[path][run] == found.statuses[home][run]]
    if not runs:
        return []
    try:
        one, other = (_rows_of(file, runs) for file in (path, home))
    except (FileNotFoundError, DamagedFileError):
        # A driver has just put it elsewhere; what is left is found at the next look.
        return []
    differing = [run for run in runs if not one.filter(run=run).equals(other.filter(run=run))]
    same = sorted({*runs} - {*differing})
    told = []
    if same and (found.is_foreign(path) or found.is_foreign(home)):
        told.append(f"{name} is a copy: it holds {_runs(same)} with the same rows as {counts}; they count once")
    if differing:
        found.contrary.add(path)
        told.append(
            f"{name} and {counts} hold different rows of {_runs(differing)}; those of {counts} count. Remove the file "
            "that is wrong; the next `liquidbench resume` or `rescore` moves the one that does not count to damaged"
        )
    return told


def _rows_of(path: Path, runs: Sequence[str]) -> pl.DataFrame:
    """All rows of some runs in a file, in an order that depends on nothing but them."""
    content = storage.content_of(path)
    storage.intact(content, path)
    rows = _known_columns(pl.scan_parquet(content)).filter(pl.col("run").is_in(runs)).collect()
    return _once(rows)[0].sort(*ROW, "value", "reason")


def _runs(runs: Sequence[str]) -> str:
    """Runs in words."""
    shown = ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
    return f"run{'s' if len(runs) > 1 else ''} {shown}"


def _doubles(file: pl.LazyFrame) -> tuple[int, list[str], list[str]]:
    """How many rows a file has, the runs of which it has rows twice, and those of which such rows contradict."""
    keys = file.select(ROW).collect()
    # Hashes take little time, and hardly ever agree where rows do not.
    if keys.hash_rows().n_unique() == keys.height:
        return keys.height, [], []
    twice = keys.filter(keys.is_duplicated())["run"].unique().sort().to_list()
    return keys.height, twice, _once(file.collect())[1]


def _once(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Rows without those that are there already, and runs that still have two for one thing: these contradict."""
    frame = frame.unique(maintain_order=True)
    keys = frame.select(ROW)
    return frame, keys.filter(keys.is_duplicated())["run"].unique().sort().to_list()


def _read(path: Path, lessened: _Lessened | None, kept: dict[Path, tuple[Any, ...]]) -> _Content | str:
    """What a file holds, or why it is of no use."""
    # Of the link itself, if it is one: what it points to may not be there.
    stat = path.lstat()
    stamp = stat.st_ino, stat.st_mtime_ns, stat.st_size
    if path not in kept or kept[path][0] != stamp:
        kept[path] = stamp, _checked_file(path, lessened)
    return kept[path][1]


def _checked_file(path: Path, lessened: _Lessened | None) -> _Content | str:
    try:
        # Read in one go: polars opens a path more than once, and between times a writer may have renamed another
        # file to it.
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
        # Where no rows are wanted, all are looked at: runs in a file that cannot be read are to be done again.
        frame = lessened(file).collect() if lessened else file.collect().clear()
    except OtherFormatError:
        raise
    # A file of any content may come here, and polars may fail on it in any way, its own panics included.
    except (Exception, pl.exceptions.PanicException) as error:
        return f"it cannot be read ({error})"
    if not height:
        return "it holds no rows"
    statuses = {run: "failed" if any_failed else "done" for run, any_failed in runs.iter_rows()}
    lacking, unknown = bool(SCHEMA.keys() - schema.keys()), [name for name in schema if name not in SCHEMA]
    return _Content(frame, statuses, height, sealed, lacking, unknown, twice, ambiguous)


def _check_format(path: Path, content: bytes | Path) -> None:
    """Refuse a file of another format of results, which is not damaged."""
    of = pl.read_parquet_metadata(content).get(_FORMAT, str(RESULTS_FORMAT))
    if of == str(RESULTS_FORMAT):
        return
    newer = of.isdecimal() and int(of) > RESULTS_FORMAT
    remedy = (
        "Take the newer version of liquidbench that made it (pip install --upgrade liquidrnn)"
        if newer
        else "Use the version of liquidbench that made it"
    )
    raise OtherFormatError(
        f"{path} holds results of format {of[:20]}, and this version of liquidbench reads format {RESULTS_FORMAT}; "
        f"nothing was changed. {remedy}, or move the file to another folder to do without it"
    )


def _check_formats(folder: StudyFolder) -> None:
    """Refuse a folder with results of another format, before any of its files is touched."""
    for path in (*folder.incoming.glob("*.parquet"), *folder.runs.glob("*.parquet")):
        try:
            # A pipe would be waited for.
            _check_format(path, storage.regular(path, "results"))
        except OtherFormatError:
            raise
        # What cannot be read is damaged, which whoever reads it finds out.
        except (Exception, pl.exceptions.PanicException):
            continue


def _not_results(schema: pl.Schema) -> str:
    """Why columns are not those of results; "" where they are, as some version has them."""
    odd = [name for name in SCHEMA if name not in schema and name not in NULLABLE]
    # A column that is null throughout may have lost its type in other hands.
    odd += [
        f"{name}, which must be {kind} and is {schema[name]}"
        for name, kind in SCHEMA.items()
        if name in schema and schema[name] != kind and not (name in NULLABLE and schema[name] == pl.Null)
    ]
    unknown = [name for name in schema if name not in SCHEMA]
    return f"it is no result of this version (see {', '.join([*odd, *unknown])})" if odd else ""


def _known_columns(file: pl.LazyFrame) -> pl.LazyFrame:
    """The columns that this version knows, null where a file has none."""
    there = file.collect_schema()
    return file.select(
        (pl.col(name) if name in there else pl.lit(None, kind).alias(name)).cast(kind) for name, kind in SCHEMA.items()
    )


def _with_all_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that this version knows, and behind them those that it does not."""
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
"""In the name of a file that was taken over though no driver had given it its name."""


def _owner(path: Path) -> str:
    """The driver whose file it is, "" for none: RUN.OWNER.parquet, OWNER-NUMBER.parquet, .NAME.OWNER.tmp."""
    if path.suffix == ".tmp":
        return path.name.split(".")[-2]
    return path.stem.partition(".")[2] if path.parent.name == "incoming" else path.stem.rpartition("-")[0]


def _is_drivers(path: Path) -> bool:
    """Whether a driver gives such a name to a file; copies mostly get another."""
    form = rf"{_RUN}\.{DRIVER}" if path.parent.name == "incoming" else rf"{DRIVER}-\d{{4,}}"
    return re.fullmatch(form, path.stem) is not None


def _replace(path: Path, content: bytes, owner: str | None = None) -> None:
    """Write elsewhere and rename, so that no one ever sees half a file."""
    # Not among the results, for readers that take a folder whole.
    staging = path.parent.with_name("incoming") if path.parent.name == "runs" else path.parent
    staging.mkdir(parents=True, exist_ok=True)
    storage.keep(path, content, staging / f".{path.name}.{owner or uuid.uuid4().hex}.tmp")
