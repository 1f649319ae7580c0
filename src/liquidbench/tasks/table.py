"""A task from a user's own table, and the guesses that let one be named by its file and target alone.

A mapping says what a table is to be used for. Its keys, of which all but the first two may be left out to be
guessed:

==========  ==================================================================================================
table       path of the file: ``.csv``, ``.tsv``, ``.txt``, ``.dat``, ``.data`` or ``.parquet``; text also with ``.gz``
target      the column to be predicted
name        what studies and reports call the task; the file's name if left out
time        the column of times; None: rows are evenly spaced
group       the column that tells recordings (subjects, machines, ...) apart; None: the file is one recording. A
            list of columns that do so together: the first is what a split keeps whole
dates       ``"day-first"``, ``"month-first"`` or ``"year-first"``: how dates in figures are written that leave
            a choice, such as 01/02/2024
kind        ``"classification"``, ``"regression"``, ``"forecast"`` (the target ``horizon`` rows ahead, from every
            column up to now, the target's own among them), or ``"next-known"`` (likewise, in the next later row in
            which the target is known)
per         ``"step"`` (a target for each row) or ``"sequence"`` (one for each group)
features    the columns to predict from
window      most rows in a sequence; None: recordings stay whole
horizon     rows that a forecast looks ahead; 1 if left out
decimal     the decimal mark of all numbers in a file of text, ``"."`` or ``","``
missing     values that mean that there is none: a value, for all columns, or ``"column=value"``; a list of them
digest      sha256 of the file, which is refused if it has another
==========  ==================================================================================================

`complete` makes the guesses and gives a reason for each, `load` builds the task. `liquidbench.tasks.meaning` says what
the columns are, `sequences` cuts and splits the rows, and `suspicions` looks for what is odd in them.

Rows that repeat another in every column are dropped where there is a time column. Of rows that share a time
within a recording and differ, the first is kept if they are few (at most one in a hundred); if they are many
the table is refused, for it then most likely holds several recordings. Rows that are out of order are sorted
by time. Each of these is said.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquidbench.system.storage import regular
from liquidbench.tasks import dates, new_rows
from liquidbench.tasks.draft import FORECASTS
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.sequences import Sequences
from liquidbench.tasks.suspicions import suspicions
from liquidbench.tasks.task import Source, Task
from liquidbench.wording import listed

KEYS = (
    *("table", "target", "name", "time", "dates", "group", "kind", "per", "features", "window", "horizon", "decimal"),
    *("missing", "digest"),
)
KINDS = ("classification", "regression", *FORECASTS)


def complete(
    mapping: Mapping[str, Any], data: str | os.PathLike[str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    r"""Fill in what a mapping leaves to be guessed.

    Args:
        mapping: see the module's docstring.
        data: folder in which a relative ``table`` is looked for if it is not in the current one.

    Returns:
        The mapping for `load` and `Study.tasks` with every choice spelt out, and a line in words for each
        choice and its reason. A line that begins with ``warning:`` deserves a look before any training.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: in words, where the table cannot be used as asked.
        TypeError: where a key's value is of the wrong type.

    Example:
        >>> mapping, lines = complete({"table": "engines.csv", "target": "heat"})  # doctest: +SKIP
        >>> print(*lines, sep="\n")  # doctest: +SKIP
        time: column 'timestamp' (the only column of dates)
        ...
    """
    plan = _Plan(mapping, data)
    return plan.mapping, plan.lines


def load(mapping: Mapping[str, Any], data: str | os.PathLike[str] | None = None) -> Task:
    """Make a task of a table.

    Args:
        mapping: see the module's docstring; what is left out is guessed as `complete` does.
        data: folder in which a relative ``table`` is looked for if it is not in the current one.

    Returns:
        The task. The table is read and checked at once, the splits are built when asked for.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: in words, where the table cannot be used as asked.
        TypeError: where a key's value is of the wrong type.
    """
    return _Plan(mapping, data).task()


@dataclass(frozen=True)
class Planned:
    """A table that was read once: what `complete` says of it, and the task that `load` makes of it.

    Attributes:
        mapping: every choice spelt out.
        lines: a line in words for each choice and its reason.
        task: the task.
    """

    mapping: dict[str, Any]
    lines: list[str]
    task: Task


def plan(mapping: Mapping[str, Any], data: str | os.PathLike[str] | None = None) -> Planned:
    """Do what `complete` and `load` do, and read the file once for both.

    Args:
        mapping: see the module's docstring; what is left out is guessed.
        data: folder in which a relative ``table`` is looked for if it is not in the current one.

    Raises:
        FileNotFoundError, ValueError, TypeError: as `load`.
    """
    made = _Plan(mapping, data)
    return Planned(made.mapping, made.lines, made.task())


class _Plan:
    """A table with all choices made; `mapping` and `lines` are what `complete` returns."""

    def __init__(self, mapping: Mapping[str, Any], data: str | os.PathLike[str] | None):
        given = _checked(mapping)
        self.meaning = Meaning(given, _found(given["table"], data))
        self.sequences = Sequences(self.meaning)
        self.warnings = [*self.meaning.warnings, *suspicions(self.meaning, self.sequences)]
        self.lines = [*self.meaning.lines, *(f"warning: {warning}" for warning in self.warnings)]

    @property
    def mapping(self) -> dict[str, Any]:
        """Every choice spelt out, ready for YAML and JSON."""
        meaning, sequences = self.meaning, self.sequences
        named = {"name": meaning.given["name"]} if "name" in meaning.given else {}
        horizon = {"horizon": meaning.horizon} if meaning.kind == "forecast" else {}
        return {
            "table": meaning.given["table"],
            **named,
            "target": meaning.target,
            "time": meaning.time,
            **({"dates": meaning.date_order} if meaning.date_order else {}),
            "group": meaning.group if len(meaning.key) < 2 else list(meaning.key),
            "kind": meaning.kind,
            "per": meaning.per,
            **horizon,
            "features": list(meaning.features),
            "window": sequences.window,
            **{key: meaning.given[key] for key in ("decimal", "missing") if meaning.given.get(key)},
            "digest": meaning.digest,
        }

    def task(self) -> Task:
        meaning, sequences = self.meaning, self.sequences
        forecast, classification = meaning.forecasts, meaning.kind == "classification"
        ahead = "the next row" if meaning.horizon == 1 else f"the row {meaning.horizon} rows ahead"
        ahead = "the next row in which it is known" if meaning.horizon is None else ahead
        what = f"The value of {meaning.target!r} in {ahead}" if forecast else f"{meaning.target!r}"
        where = {"sequence": "of each recording", "step": "at each row"}[meaning.per]
        told = ", and the time until then" * sequences.time_ahead
        until = f"up to now{told}" if forecast else "up to then"
        description = f"{what}{'' if forecast else f' {where}'}, from {listed(meaning.features)} {until}."
        metrics = {
            "classification": ("accuracy", "balanced_accuracy", "f1_macro", "cross_entropy"),
            "regression": ("rmse", "mae", "mse", "r2"),
        }["classification" if classification else "regression"]
        if meaning.classes is not None and len(meaning.classes) == 2:
            metrics = (*metrics, "auroc", "auprc")
        return Task(
            name=meaning.name,
            title=f"{meaning.name}: {meaning.target}",
            description=description,
            features=sequences.features,
            kind="classification" if classification else "regression",
            per=meaning.per,
            outputs=1 if meaning.classes is None else len(meaning.classes),
            target_unit="1" if classification else meaning.unit(meaning.target),
            classes=meaning.classes,
            metric=sequences.metric,
            metrics=metrics,
            time_unit=sequences.time_unit,
            source=Source(
                title=meaning.path.name,
                url=meaning.path.name,
                licence="not stated",
                citation="the user's own table",
            ),
            split_rule=sequences.split_rule,
            recordings=sequences.splits.__getitem__,
            data_digest=meaning.digest,
            baseline="prior" if classification else "last value" if forecast else "mean",
            carried=(meaning.target,) if forecast else (),
            window=sequences.window,
            stride=None if sequences.window is None else max(sequences.window // 2, 1),
            gap=sequences.gap,
            irregular=sequences.irregular,
            time_ahead=sequences.time_ahead,
            missing=not meaning.observed.all(),
            warnings=tuple(self.warnings),
            folds=sequences.folds,
            fold_rule=sequences.fold_rule,
            dealt=sequences.dealt if sequences.folds > 1 else None,
            table=new_rows.description(sequences),
        )


def _checked(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping, its keys and the types of their values checked."""
    given = dict(mapping)
    for key in given:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"a table has no key {key!r}.{hint} The keys are {', '.join(KEYS)}")
    for key in ("table", "target"):
        if key not in given:
            raise ValueError(f"a table needs the key {key!r}; got {', '.join(given) or 'none'}")
    given["table"] = os.fspath(given["table"]) if isinstance(given["table"], os.PathLike) else given["table"]
    optional = {"time", "window"}
    if isinstance(given.get("group"), str) and given["group"]:
        given["group"] = [given["group"]]
    if given.get("group") is not None:
        names = given["group"]
        if (
            not isinstance(names, list | tuple)
            or not names
            or not all(isinstance(name, str) and name for name in names)
        ):
            raise TypeError(f"group must be a column name, or a list of some; got {mapping['group']!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"group must name distinct columns; got {', '.join(names)}")
    for key in ("table", "target", "name", "time", "kind", "per", "digest"):
        if key in given and not (isinstance(given[key], str) and given[key]):
            if given[key] is not None or key not in optional:
                raise TypeError(f"{key} must be text; got {given[key]!r}")
    for key, allowed in (("kind", KINDS), ("per", ("step", "sequence")), ("dates", tuple(dates.ORDERS))):
        if key in given and given[key] not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}; got {given[key]!r}")
    if given.get("decimal") not in (None, ".", ","):
        raise ValueError(f"decimal must be a point or a comma, the mark before decimals; got {given['decimal']!r}")
    if given.get("missing") is not None:
        if isinstance(given["missing"], str | int | float):
            given["missing"] = [given["missing"]]
        if not isinstance(given["missing"], list | tuple) or not all(
            isinstance(item, str | int | float) for item in given["missing"]
        ):
            raise TypeError(f"missing must be a list of values, or of texts COLUMN=VALUE; got {given['missing']!r}")
        given["missing"] = list(given["missing"])
    for key, least in (("window", 2), ("horizon", 1)):
        value = given.get(key, least)
        if value is None and key in optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{key} must be a whole number of rows; got {value!r}")
        if value < least:
            raise ValueError(f"{key} must be at least {least}; got {value}")
    if "features" in given:
        features = given["features"]
        if not isinstance(features, list | tuple) or not all(isinstance(name, str) for name in features):
            raise TypeError(f"features must be a list of column names; got {features!r}")
        if not features or len(set(features)) < len(features):
            raise ValueError(f"features must be distinct column names, at least one; got {features!r}")
    return given


def _found(table: str, data: str | os.PathLike[str] | None) -> Path:
    path = Path(table).expanduser()
    if path.is_symlink() or len(path.name.encode()) > 255:
        # Also one that leads nowhere, which is then told.
        return regular(path, "a table")
    if not path.exists() and data is not None and not path.is_absolute():
        path = Path(data).expanduser() / path
    if not path.exists():
        near = []
        if path.parent.is_dir():
            near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise FileNotFoundError(f"there is no file {path}{hint}")
    return regular(path, "a table")
