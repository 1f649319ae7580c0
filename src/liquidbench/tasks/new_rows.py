"""New rows of a user's table, read as those were that a network has learnt from.

`description` says how a table was read, `NewRows` reads another so. A column that is missing, an unknown category, a
cell that is no number, and times of another kind or unit are refused, with the line; columns that were no inputs are
ignored, and named.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from liquidbench.system.storage import regular
from liquidbench.tasks import columns, dates, recordings, timing, words
from liquidbench.tasks.draft import FORECASTS, Draft, kind_of_content, labelled
from liquidbench.tasks.sequences import Sequences
from liquidbench.tasks.task import Recording, Task, later_steps
from liquidbench.wording import counted, listed


class NewRowsWarning(UserWarning):
    """Of what deserves a look in new rows: values far outside of training, say, or other spans between them."""


STRANGE = 6.0
"""Deviations of a column in training beyond which values are most likely in another unit or mark missing cells."""

UNEVEN = 0.5
"""Share by which spans may differ from those of training, if these were even."""

FAR = 10.0
"""Times the spans of training beyond which the median span of new rows is most likely in another unit."""


def description(sequences: Sequences) -> dict[str, Any]:
    """How a table was read; JSON can represent the result."""
    draft = sequences.meaning
    spans = np.concatenate([np.diff(recording.times) for recording in sequences.splits["train"]])
    positive = spans[spans > 0]
    parts = [part for part, joined in draft.found.joined.items() if joined == draft.time]
    written = parts or ([] if draft.time is None else [draft.time])
    return {
        "target": draft.target,
        "kind": draft.kind,
        "horizon": draft.horizon,
        "time": draft.time,
        "time_columns": written,
        "dates": draft.date_order,
        "date_marks": [dates.mark(draft.file.frame[name]) for name in written if name in draft.file.frame],
        "unit_of_time": None if draft.time is None else draft.file.units.get(draft.time),
        "elapsed": draft.time is not None and draft.frame[draft.time].dtype.is_numeric(),
        "time_scale": sequences.time_scale,
        "spans": [float(positive.min()), float(positive.max())] if len(positive) else None,
        "group": list(draft.key),
        "decimal": draft.given.get("decimal"),
        "mark": _mark(draft),
        "missing": list(draft.given.get("missing") or ()),
        "columns": [_column(draft, name) for name in draft.features],
    }


def _mark(draft: Draft) -> str | None:
    """The decimal mark of the numbers in a file, if they have one."""
    found = set(draft.file.marks.values())
    return found.pop() if len(found) == 1 else None


def _column(draft: Draft, name: str) -> dict[str, Any]:
    column = draft.frame[name]
    about: dict[str, Any] = {"name": name, "missing": column.null_count() > 0}
    if name in draft.presence:
        return {**about, "kind": "presence", "values": [draft.presence[name]]}
    if column.dtype == pl.Boolean:
        return {**about, "kind": "truth"}
    if column.dtype == pl.String:
        return {**about, "kind": "category", "values": column.drop_nulls().unique().sort().to_list()}
    return {**about, "kind": "number", "unit": draft.file.units.get(name)}


class NewRows(Draft):
    """A table as recordings of a task that was made from another.

    Args:
        task: the task; its `Task.table` says how to read.
        table: the path of a file, or a frame of polars or pandas.
        any_spans: accept times whose spans are far from those of training.
        ahead: for tasks that tell it, the time ahead of rows whose later row is not in the table, in the task's time
            unit; None for the usual one of training.
        order, decimal: how dates and numbers in figures are written, as in `liquidbench.tasks.table`; None for as in
            training, where the file does not tell.

    Attributes:
        recordings: the rows as recordings, in the order of groups and times; all targets are 0.
        lines: what was found out or left out, a sentence each.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: if ``table`` is something else.
        ValueError: where the table cannot be read as the other was; the message says what to do.
    """

    def __init__(
        self,
        task: Task,
        table: Any,
        any_spans: bool = False,
        order: str | None = None,
        decimal: str | None = None,
        ahead: float | None = None,
    ):
        assert task.table is not None
        self.task, self.how = task, task.table
        how = self.how
        _check_ahead(ahead, task)
        self._columns: dict[str, Mapping[str, Any]] = {column["name"]: column for column in how["columns"]}
        path = regular(Path(table).expanduser(), "a table") if isinstance(table, str | os.PathLike) else None
        given = {"time": how["time"], "group": how["group"] or None, "target": None, "features": [*self._columns]}
        file = self._read(path, table, decimal)
        as_known = None if order else self._known_order(file)
        given |= {"dates": found} if (found := order or as_known) else {}
        super().__init__(given, path or Path("the table"), file)
        if not self.height:
            self.refuse("it has no rows")
        self.target = how["target"] if how["target"] in self._columns else ""
        self._select()
        timing.find(self)
        self._check_units()
        timing.choose(self)
        if as_known and self.found.orders:
            self.lines.append(f"time: dates that leave a choice are read as {dates.ORDERS[as_known]}, as in training")
        self._check_clock()
        recordings.choose(self)
        recordings.put_in_order(self)
        if not self.frame.height:
            self.refuse("none of its rows can be predicted from")
        self._encode()
        self.recordings = self._cut()
        self._check_spans(any_spans)
        if task.time_ahead:
            self.recordings = self._look_ahead(ahead)

    def _read(self, path: Path | None, table: Any, decimal: str | None) -> columns.Table:
        how = self.how
        categories = {name: one["values"] for name, one in self._columns.items() if one["kind"] == "category"}
        kept_as_written = {*how["group"], *categories}
        needed = {*self._columns, *how["group"], *how["time_columns"]}
        missing = [item for item in how["missing"] if _name(item) in {"", *needed}]
        if path is None:
            return columns.of_frame(table, needed, missing)
        # NA was a value in training, so it is one here.
        missing += [f"{name}=" for name, values in categories.items() if "NA" in values]
        return columns.read(
            path,
            wanted=needed,
            labels=lambda name: name in kept_as_written,
            decimal=decimal or how["decimal"],
            usual=how["mark"],
            missing=missing,
        )

    def _known_order(self, file: columns.Table) -> str | None:
        """The order of dates in training, if these have the same marks: what points mean says nothing of slashes."""
        cells = [file.frame[name] for name in self.how["time_columns"] if name in file.frame.columns]
        text = [column for column in cells if column.dtype == pl.String]
        marks = {dates.mark(column) for column in text} - {None}
        return self.how["dates"] if text and marks <= set(self.how.get("date_marks", ())) else None

    def _select(self) -> None:
        """Keep the columns that are inputs, times and groups."""
        needed = {name: "feature" for name in self._columns}
        needed |= {name: "time" for name in self.how["time_columns"]}
        needed |= {name: "group" for name in self.how["group"]}
        there = self.frame.columns
        if absent := [name for name in needed if name not in there]:
            near = difflib.get_close_matches(absent[0], there, n=3)
            hint = f"did you mean {' or '.join(map(repr, near))}? Rename it; " if near else ""
            self.refuse(
                f"the model needs the {needed[absent[0]]} column {listed(absent)}, which the table lacks; {hint}"
                f"the columns are {listed(there, 20)}"
            )
        if surplus := [name for name in there if name not in needed and name != self.how["target"]]:
            self.lines.append(f"ignored, as the model was not trained on them: {listed(surplus)}")
        self.frame = self.frame.select(list(needed))

    def _check_units(self) -> None:
        """Refuse values in other units than those of training, where the file says so."""
        known = {name: one["unit"] for name, one in self._columns.items() if one["kind"] == "number"}
        known |= {name: self.how["unit_of_time"] for name in self.how["time_columns"]}
        for name, told in known.items():
            unit, here = told or words.unit_in(name)[1], self.file.units.get(name)
            if unit and here and not words.same_unit(unit, here):
                self.refuse(f"{name!r} must be in {unit}, as in training; the table says {here}. Convert it")
            if told and not here:
                self.warnings.append(f"the table does not say the unit of {name!r}; in training it was {told}")

    def _check_clock(self) -> None:
        """Refuse a clock without dates whose rows are not in order: it tells days apart by passing midnight."""
        times = self.times()
        order = np.argsort(self.codes(), kind="stable")
        back = (np.diff(times[order]) < 0) & (np.diff(self.codes()[order]) == 0)
        if self.clock and back.any():
            self.refuse(
                f"rows must be in the order of time, as {self.time!r} is a clock without dates; "
                f"{self.at(int(order[1:][back][0]))} goes back. Sort the rows of each recording, the oldest first"
            )

    def _encode(self) -> None:
        values, observed = [], []
        for name, one in self._columns.items():
            column = self.frame[name]
            there = column.is_not_null().to_numpy()
            if one["kind"] in ("presence", "category"):
                encoded = self._as_categories(name, column, one["values"])
            else:
                encoded = [self._as_numbers(name, column, one["kind"])]
            if one["kind"] == "presence":
                there = np.ones(len(there), dtype=bool)
            self._check_missing(name, there)
            values += encoded
            observed += [there] * len(encoded)
        self.values = np.stack(values, axis=1).astype(np.float64)
        self.observed = np.stack(observed, axis=1)
        self._check_ranges()

    def _check_ranges(self) -> None:
        """Warn of columns with values of another size than in training: in another unit, or marks of missing cells."""
        scaler = self.task.input_scaler
        numbers = {name for name, one in self._columns.items() if one["kind"] == "number"}
        for place, feature in enumerate(self.task.measured):
            there = self.observed[:, place]
            if feature.name not in numbers or not there.any():
                continue
            mean, reach = scaler.mean[place], STRANGE * scaler.deviation[place]
            low, high = mean - reach, mean + reach
            if scaler.low is not None and scaler.high is not None and np.isfinite(scaler.low[place]):
                low, high = min(low, scaler.low[place]), max(high, scaler.high[place])
            values, usual = self.values[:, place], f"({mean:.4g} ± {scaler.deviation[place]:.2g})"
            strange = there & ((values < low) | (values > high))
            median = float(np.median(values[there]))
            if not low <= median <= high:
                self.warnings.append(
                    f"{feature.name!r} is {median:.4g} at the median, far outside of training {usual}: if it is in "
                    "another unit, convert it"
                )
            elif strange.any():
                first = int(strange.argmax())
                self.warnings.append(
                    f"{feature.name!r} is {values[first]:.6g} in {self.at(first)}{_more(strange)}, far outside of "
                    f"training {usual}: if that marks a missing value, empty the cell"
                )

    def _as_categories(self, name: str, column: pl.Series, known: list[str]) -> list[Any]:
        """For each value that training had, whether a row has it."""
        if column.null_count() == len(column):
            return [np.zeros(len(column), dtype=bool) for _ in known]
        text = pl.Series(name, labelled(column), strict=False).set(column.is_null(), None)
        if column.dtype == pl.Boolean:
            # Beside other words, true and false were kept as they were written.
            written = {value.lower(): value for value in known}
            text = text.str.to_lowercase().replace(written)
        strange = (~text.is_in(known)).fill_null(False).to_numpy()
        if strange.any():
            first = int(strange.argmax())
            what = f"{name!r} is {text[first]!r} in {self.at(first)}{_more(strange)}"
            if self._columns[name]["kind"] == "presence":
                self.refuse(
                    f"{what}; in training it was {known[0]!r} or empty. Empty the cells where it is not there, and "
                    f"write {known[0]!r} where it is"
                )
            self.refuse(
                f"{what}, which the model does not know; it was trained on {listed(known, 20)}. Correct the cell, "
                "empty it if missing values are allowed, or train again with such rows"
            )
        return [(text == value).fill_null(False).to_numpy() for value in known]

    def _as_numbers(self, name: str, column: pl.Series, kind: str) -> Any:
        if column.null_count() == len(column):
            return np.zeros(len(column))
        if (kind == "truth") != (column.dtype == pl.Boolean) or not (kind == "truth" or column.dtype.is_numeric()):
            some = labelled(column.drop_nulls())[0]
            expected = "true and false" if kind == "truth" else "numbers"
            self.refuse(
                f"{name!r} must hold {expected}, as in training; it holds {kind_of_content(column)} such as {some!r}"
            )
        self.refuse_infinite(name)
        return column.cast(pl.Float64).fill_null(0.0).to_numpy()

    def _check_missing(self, name: str, there: Any) -> None:
        if not there.any() and self._columns[name]["missing"]:
            self.warnings.append(
                f"{name!r} has no value in any row, though it had some in training: predictions may be worse"
            )
        if there.all() or self._columns[name]["missing"]:
            return
        what = f"{name!r} has no value in {self.at(int((~there).argmax()))}{_more(~there)}"
        if not self.task.missing:
            self.refuse(
                f"{what}; the model was trained on a table without missing values and takes none: fill the cell in, "
                "remove the row, or train on a table with such gaps"
            )
        self.warnings.append(f"{what}, though it always had one in training: predictions from there on may be worse")

    def _cut(self) -> list[Recording]:
        how, task = self.how, self.task
        if how["time"] is not None and how["elapsed"] != self.frame[how["time"]].dtype.is_numeric():
            expected, found = ("numbers", "dates") if how["elapsed"] else ("dates or clock times", "numbers")
            self.refuse(
                f"times in {how['time']!r} must be {expected}, as in training; they are {found}. Write them in that way"
            )
        codes, times = self.codes(), self.times()
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        cut = []
        for first, end in zip(starts, np.append(starts[1:], len(codes)), strict=True):
            rows = slice(first, end)
            count = end - first
            shape = () if task.per == "sequence" else (count,)
            shape += (task.outputs,) if task.kind == "regression" else ()
            labels = [labelled(self.frame[name][first : first + 1])[0] for name in self.key]
            cut.append(
                Recording(
                    name=" / ".join(labels) or self.path.name,
                    times=(times[rows] - times[first]) / how["time_scale"],
                    values=self.values[rows],
                    targets=np.zeros(shape, dtype=np.float32 if task.kind == "regression" else np.int64),
                    first_row=int(first),
                    mask=self.observed[rows],
                )
            )
        return cut

    def _look_ahead(self, ahead: float | None) -> list[Recording]:
        """The recordings with the time of what is to be predicted from each row, as far as the table tells it."""
        scaler, target = self.task.input_scaler, self.how["target"]
        usual = scaler.usual_ahead
        assert usual is not None and scaler.low is not None and scaler.high is not None
        column = [feature.name for feature in self.task.features].index(target)
        looking, unknown = [], 0
        for recording in self.recordings:
            later = later_steps(recording.observed[:, column], self.how["horizon"])
            there = later < len(recording)
            times = recording.times + (usual if ahead is None else ahead)
            times[there] = recording.times[later[there]]
            unknown += int((~there).sum())
            looking.append(replace(recording, target_times=times))
        unit = self.task.time_unit
        what = "later row" if self.how["horizon"] is not None else f"next known {target!r}"
        of = f"{counted(unknown, 'row')} whose {what} is not in the table"
        if ahead is None:
            self.lines.append(
                f"time ahead: the usual one of training, {usual:.4g} {unit}, for {of}; --ahead (ahead=) says another"
            )
            return looking
        self.lines.append(f"time ahead: {ahead:.4g} {unit} for {of}, as asked")
        least, most = float(scaler.low[-1]), float(scaler.high[-1])
        if not least <= ahead <= most:
            self.warnings.append(
                f"ahead is {ahead:.4g} {unit}, but training had {least:.4g} to {most:.4g}; it counts as "
                f"{min(max(ahead, least), most):.4g}"
            )
        return looking

    def _check_spans(self, any_spans: bool) -> None:
        known = self.how["spans"]
        spans = np.concatenate([np.diff(recording.times) for recording in self.recordings])
        spans = spans[spans > 0]
        if any_spans or known is None or self.how["time"] is None or not len(spans):
            return
        median, unit = float(np.median(spans)), self.task.time_unit
        if not known[0] / FAR <= median <= known[1] * FAR:
            self.refuse(
                f"rows are {median:.4g} {unit} apart at the median, those of training {known[0]:.4g} to "
                f"{known[1]:.4g}: the times of {self.how['time']!r} seem to be in another unit. Convert them, or say "
                "--any-spans (any_spans=True) if they are right"
            )
        usual = self.task.timespan_unit
        if not self.task.irregular and (odd := np.abs(spans / usual - 1) > UNEVEN).any():
            self.warnings.append(
                f"{int(odd.sum()):,} of {counted(len(spans), 'span')} between rows are not {usual:.4g} {unit}, as all "
                "are in training: what is predicted from there on, and how far ahead, may be wrong"
            )


def _check_ahead(ahead: float | None, task: Task) -> None:
    if ahead is None:
        return
    if not task.time_ahead:
        what = task.table["kind"] if task.table else ""
        why = "its rows were evenly spaced" if what in FORECASTS else f"it is for a {what}, not for a forecast"
        raise ValueError(f"ahead must be left out: the network is not told how far ahead it looks, as {why}")
    if isinstance(ahead, bool) or not isinstance(ahead, Real) or not 0 < float(ahead) < np.inf:
        raise ValueError(f"ahead must be a positive number of {task.time_unit}; got {ahead!r}")


def _name(item: object) -> str:
    """The column of ``column=value``; "" for a value of all columns."""
    return str(item).rpartition("=")[0]


def _more(odd: Any) -> str:
    others = int(odd.sum()) - 1
    return f" and {counted(others, 'more row')}" if others else ""
