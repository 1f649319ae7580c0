"""The results of a study: one long table in Parquet files, one row a value, each run there whole or not at all.

A run that ends first gets a file of its own in ``incoming/``, renamed into place when complete. Now and then the
driver whose run it was rewrites its newest file in ``runs/`` with such runs added, again by renaming a complete
one into place, and begins another when that is full. So a study can be killed at any time and go on from there,
and a hundred thousand runs are some dozens of files, each run in one of them, for any reader of Parquet.

Several drivers may write into one folder, as each rewrites none but its own files. Those of a driver that is gone
are renamed by the next, which succeeds for one. Should a driver that was thought gone write after all, or be
killed between writing and tidying up, a run is there twice rather than not at all; `read` then takes one, and the
next driver removes the other.
"""

import io
import numbers
import os
import re
import uuid
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl

from liquidbench import storage
from liquidbench.storage import DamagedFileError, KeptFileWarning
from liquidbench.study import MATCHINGS, MODES

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
        "machine": pl.String,
        "threads": pl.Int64,
        "started": pl.String,
        "seconds": pl.Float64,
    }
)
"""Columns of a result and their types.

``fold`` is the outer split; ``matching`` what is equal among models and ``search`` its mode, both "" for published
sizes. ``level`` is 0 where ``corruption`` is ""; ``epoch`` is null for a score of the finished model; ``trial`` is the
number of a draw of the search and ``settings`` all that was drawn, as JSON; ``started`` is UTC in ISO 8601 and
``seconds`` how long the run took. The other columns say by their names what they are.
"""

NULLABLE = frozenset({"epoch", "trial", "value", "reason", "parameters", "hidden_size", "learning_rate", "settings"})
"""Columns that may be null, and left out of a row to write."""

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


_WORD = pl.Categorical(pl.Categories("words of results", physical=pl.UInt16))
_TYPES = {
    **{name: _WORD for name, kind in SCHEMA.items() if kind == pl.String},
    **dict.fromkeys(("run", "reason", "started"), pl.Categorical()),
    **dict.fromkeys(("fold", "epoch", "trial", "hidden_size", "threads"), pl.Int32()),
}

COMPACT = pl.Schema(
    {name: _TYPES.get(name, kind) for name, kind in SCHEMA.items() if name not in ("study", "search", "settings")}
)
"""The columns that a report asks for, in types that take a third of the memory: text is of few words over and over."""


FULL = 200_000
"""Rows from which on a file of results is left as it is."""


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
    if not re.fullmatch(r"[A-Za-z0-9_-]+", runs[0]):
        raise ValueError(f"column 'run' must hold letters, digits, '_' and '-', for it names a file; got {runs[0]!r}")
    return sealed(pl.DataFrame(table, schema=SCHEMA))


def sealed(frame: pl.DataFrame) -> bytes:
    """Rows as the content of a Parquet file that carries its checksum, for `liquidbench.storage.keep`."""
    content = io.BytesIO()
    frame.write_parquet(content, metadata={"checksum": storage.SEAL})
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
    path = Path(directory) / "runs" / f"{rows[0]['run']}.parquet"
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
        Rows with these columns; an empty frame with these columns if there are none. A file that cannot be used is
        named in a `liquidbench.storage.KeptFileWarning` and left out, and files without a checksum are told of in one.
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
    return {run: status for run, (status, _) in _look(directory).runs.items()}


class Writer:
    """Puts the results of one driver's runs into the study's folder; the head of this module says how.

    Files of drivers that are gone become this one's, and damaged ones are moved to ``damaged/``. Those without a
    checksum get one.

    Args:
        directory: the study's folder; it is made where it does not exist.
        owner: the driver's name, which no other ever has; letters and digits.
        others: names of the drivers at work there besides, whose files are left alone.

    Attributes:
        known: of each run that was there before, its status: "done" or "failed".
    """

    def __init__(self, directory: str | os.PathLike[str], owner: str, others: Collection[str] = ()):
        self._directory, self._owner, self._number = Path(directory), owner, 0
        others = frozenset(others)
        for folder in ("incoming", "runs"):
            (self._directory / folder).mkdir(parents=True, exist_ok=True)
            for path in [*self._directory.glob(f"{folder}/*.parquet"), *self._directory.glob(f"{folder}/.*.tmp")]:
                if _owner(path) not in others:
                    self._claim(path)
        found = _look(directory)
        self.known = {run: status for run, (status, _) in found.runs.items()}
        # Whether there is something to put together, though nothing may have come in.
        self._untidy = False
        # Files to be put together, and runs in each of which another file of this driver has the rows to take.
        self._small: dict[Path, set[str]] = {}
        self._full: set[Path] = set()
        self._redone: set[str] = set()
        for path, height in found.heights.items():
            if self._is_mine(path):
                doubled = {run for run in found.doubled[path] if self._is_mine(found.runs[run][1])}
                unsealed = path in found.unsealed
                self._untidy |= unsealed
                if height < FULL or doubled or unsealed:
                    self._small[path] = doubled
                else:
                    self._full.add(path)
        self._homes = {run: path for run, (_, path) in found.runs.items()}
        for path in filter(self._is_mine, found.damaged):
            storage.set_aside(path, self._directory)

    def add(self, run: str, packed: bytes) -> None:
        """Keep what `pack` made of a run's rows: it is on the disk when this returns.

        It takes the place of what was there of the run before, but for what is in other drivers' files.
        """
        path = self._directory / "incoming" / f"{run}.{self._owner}.parquet"
        _replace(path, packed, self._owner)
        self._replace_in_runs(run)
        self._small[path] = set()

    def remove(self, run: str) -> None:
        """Take a run's results away, so that it is done again; they are gone after the next `consolidate`.

        What other drivers' files have of it stays.
        """
        home = self._homes.get(run)
        self._replace_in_runs(run)
        self._untidy = True
        if home is not None and home.parent.name == "incoming":
            del self._small[home]
            home.unlink(missing_ok=True)

    def consolidate(self) -> None:
        """Put what has come in since the last time together with the newest file in ``runs/``.

        A file that has been damaged meanwhile is set aside, with a warning: its runs are not there any more.
        """
        if not self._untidy and len(self._small) < 2:
            if not any(path.parent.name == "incoming" or doubled for path, doubled in self._small.items()):
                return
        frames: dict[Path, pl.DataFrame] = {}
        for path, doubled in list(self._small.items()):
            try:
                content = storage.content_of(path)
                storage.intact(content, path)
                frame = pl.read_parquet(content)
            except DamagedFileError as error:
                del self._small[path]
                warnings.warn(
                    f"{error}; it is now {storage.set_aside(path, self._directory)}, and `liquidbench resume "
                    f"{self._directory}` makes its runs again",
                    KeptFileWarning,
                    stacklevel=2,
                )
                continue
            if path.parent.name == "runs":
                doubled = doubled | self._redone
            frame = frame.filter(~pl.col("run").is_in(doubled)) if doubled else frame
            if frame.is_empty():
                del self._small[path]
                path.unlink(missing_ok=True)
                continue
            frames[path] = frame
            if sum(frame.height for frame in frames.values()) >= FULL:
                self._full.add(self._join(frames))
                frames = {}
        if frames:
            self._small[self._join(frames)] = set()
        self._redone.clear()
        self._untidy = False

    def _join(self, frames: Mapping[Path, pl.DataFrame]) -> Path:
        """One file of several, in place of one of them that is in ``runs/`` already, if there is one."""
        target = next((path for path in frames if path.parent.name == "runs"), None) or self._next()
        _replace(target, sealed(pl.concat(frames.values())), self._owner)
        for path in frames:
            del self._small[path]
            if path != target:
                path.unlink(missing_ok=True)
        return target

    def _replace_in_runs(self, run: str) -> None:
        """See that the next `consolidate` leaves out what is there of a run."""
        if run in self._homes:
            self._redone.add(run)
            home = self._homes.pop(run)
            if home in self._full:
                self._full.remove(home)
                self._small[home] = set()

    def _claim(self, path: Path) -> None:
        """Make a file this driver's, unless another is faster."""
        if path.suffix == ".tmp":
            path.unlink(missing_ok=True)
            return
        with suppress(FileNotFoundError):
            if path.parent.name == "runs":
                path.rename(self._next())
            else:
                path.rename(path.with_name(f"{path.name.partition('.')[0]}.{self._owner}.parquet"))

    def _is_mine(self, path: Path) -> bool:
        return _owner(path) == self._owner

    def _next(self) -> Path:
        self._number += 1
        return self._directory / "runs" / f"{self._owner}-{self._number:04d}.parquet"


def without_curves(seeds: Collection[int]) -> pl.Expr:
    """What to `read` of a large study: all but the training curves of other seeds than these, which are most rows."""
    return (pl.col("metric") != "loss") | pl.col("epoch").is_null() | pl.col("seed").is_in(list(seeds))


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
        pl.col("epoch").is_null(),
        pl.col("value").is_not_null(),
    )


def baseline_scores(frame: pl.DataFrame, baseline: Literal["trivial", "linear"]) -> dict[str, float]:
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
        Columns ``run``, ``task``, ``model``, ``variant``, ``seed``, ``learning_rate``; ``epochs``, how many there
        were; ``ended``, by what ("all epochs", "patience" or "minutes"); ``best_epoch``, whose weights were kept,
        null but for the training that validation chose. Ordered by task, model, variant, seed and trial.
    """
    shared = ("run", "task", "model", "variant", "seed", "trial", "learning_rate")
    told = frame.filter(pl.col("value").is_not_null())
    chosen = told.filter(pl.col("metric") == "best_epoch").select("run", "trial", best_epoch="value")
    ends = told.filter(pl.col("metric") == "epochs").select(*shared, epochs="value", ended="reason")
    ends = ends.join(chosen, on=("run", "trial"), how="left")
    return ends.sort("task", "model", "variant", "seed", "trial").drop("trial")


def write_tasks(directory: str | os.PathLike[str], tasks: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write what a report says about tasks, so that it can be made without the data.

    Args:
        directory: the study's folder; it is made where it does not exist.
        tasks: by task name, facts that JSON can hold.

    Returns:
        The file, ``<directory>/tasks.json``.
    """
    path = Path(directory) / "tasks.json"
    storage.keep(path, storage.sealed_json(tasks))
    return path


def read_tasks(directory: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read what `write_tasks` wrote.

    Args:
        directory: the study's folder.

    Returns:
        Facts by task name.

    Raises:
        FileNotFoundError: where there is no ``tasks.json``.
        DamagedFileError: where it has changed since, or is no JSON of this form.
    """
    path = Path(directory) / "tasks.json"
    again = f"make it anew: liquidbench resume {directory}"
    try:
        with storage.reading(path) as content:
            tasks = storage.from_json(content)
            if not all(isinstance(facts, dict) for facts in tasks.values()):
                raise ValueError("it must hold facts by task name")
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
        frames: by file, what was wanted of its rows.
        heights: by file, how many rows it has.
        runs: the status of each run, and the file whose rows of it count.
        doubled: by file, runs in it of which another file's rows count.
        damaged: files that are of no use, with the reason.
        unsealed: files of use that have no checksum.
    """

    frames: dict[Path, pl.DataFrame] = field(default_factory=dict)
    heights: dict[Path, int] = field(default_factory=dict)
    runs: dict[str, tuple[str, Path]] = field(default_factory=dict)
    doubled: dict[Path, set[str]] = field(default_factory=dict)
    damaged: dict[Path, str] = field(default_factory=dict)
    unsealed: set[Path] = field(default_factory=set)

    def add(self, path: Path, frame: pl.DataFrame, statuses: Mapping[str, str], height: int) -> None:
        """Take a file in. A run that is there twice counts where it is done, else where it was met first."""
        self.frames[path], self.heights[path], self.doubled[path] = frame, height, set()
        for run, status in statuses.items():
            earlier = self.runs.get(run)
            if earlier is None or (earlier[0], status) == ("failed", "done"):
                self.runs[run] = (status, path)
            if earlier is not None:
                self.doubled[path if self.runs[run] is earlier else earlier[1]].add(run)


_Lessened = Callable[[pl.LazyFrame], pl.LazyFrame]
"""What is wanted of a file's rows."""

_Content = tuple[pl.DataFrame, dict[str, str], int, bool]
"""A file's rows as far as wanted, the status of its runs, its height, and whether it carries a checksum."""


def _look(directory: str | os.PathLike[str], lessened: _Lessened | None = None) -> _Found:
    """Read all files, whatever drivers do to them meanwhile.

    A run moves from one file to another by being written there and then removed here. So all are there in a list of
    files, incoming ones first, of which none was gone before it was read; files that have not changed since they
    were read for an earlier list need not be read again.
    """
    kept: dict[Path, tuple[Any, ...]] = {}
    folders = [Path(directory) / "incoming", Path(directory) / "runs"]
    while True:
        listed = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
        try:
            read = {path: _read(path, lessened, kept) for path in listed}
        except FileNotFoundError:
            continue
        # A long list is not made in one moment, and may miss what is renamed meanwhile.
        if set(folders[1].glob("*.parquet")) <= read.keys():
            break
    found = _Found()
    for path, content in read.items():
        if isinstance(content, str):
            found.damaged[path] = content
        else:
            found.add(path, *content[:-1])
            if not content[-1]:
                found.unsealed.add(path)
    for path, doubled in found.doubled.items():
        if doubled:
            found.frames[path] = found.frames[path].filter(~pl.col("run").is_in(doubled))
    for path, reason in found.damaged.items():
        warnings.warn(f"{path} is left out: {reason}", KeptFileWarning, stacklevel=3)
    if found.unsealed:
        storage.tell_unsealed(Path(directory) / "runs", stacklevel=4)
    return found


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
        file = pl.scan_parquet(content)
        schema = file.collect_schema()
        if schema != SCHEMA:
            odd = [name for name in {**SCHEMA, **schema} if schema.get(name) != SCHEMA.get(name)]
            return f"it is no result of this version (see {', '.join(odd) or 'the order of columns'})"
        # Where no rows are wanted, all are looked at: runs in a file that cannot be read are to be done again.
        frame = lessened(file).collect() if lessened else file.collect().clear()
        failed = (pl.col("status") == "failed").any()
        runs = file.group_by("run", maintain_order=True).agg(failed=failed, height=pl.len()).collect()
    # A file of any content may come here, and polars may fail on it in any way, its own panics included.
    except (Exception, pl.exceptions.PanicException) as error:
        return f"it cannot be read ({error})"
    if runs.is_empty():
        return "it holds no rows"
    statuses = {run: "failed" if any_failed else "done" for run, any_failed, _ in runs.iter_rows()}
    return frame, statuses, int(runs["height"].sum()), sealed


def _owner(path: Path) -> str:
    """The driver whose file it is, "" for none: RUN.OWNER.parquet, OWNER-NUMBER.parquet, .NAME.OWNER.tmp."""
    if path.suffix == ".tmp":
        return path.name.split(".")[-2]
    return path.stem.partition(".")[2] if path.parent.name == "incoming" else path.stem.rpartition("-")[0]


def _replace(path: Path, content: bytes, owner: str | None = None) -> None:
    """Write elsewhere and rename, so that no one ever sees half a file."""
    # Not among the results, for readers that take a folder whole.
    staging = path.parent.with_name("incoming") if path.parent.name == "runs" else path.parent
    staging.mkdir(parents=True, exist_ok=True)
    storage.keep(path, content, staging / f".{path.name}.{owner or uuid.uuid4().hex}.tmp")
