"""A kept network at work: predictions for new rows in original units, all at once or one after another."""

import os
import warnings
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from liquidbench import conditions, conformal, kept, networks
from liquidbench.tasks import frozen
from liquidbench.tasks.new_rows import NewRows, NewRowsWarning
from liquidbench.training.learning import Data, predict
from liquidbench.training.policy import NetworkPolicy
from liquidbench.user_code import CodeError
from liquidbench.wording import counted, percent


class Predictor:
    """A trained network with everything that it needs to read new data.

    Attributes:
        task: names, units, classes and scalers; it has no data.
        model: the network, a `torch.nn.Module`.
        scores: its scores when it was trained, by split and metric.
        lines: what the last `predict` found out, ignored or warned of, a sentence each.

    Example:
        >>> predictor = liquidbench.load("results/engines-heat/models/CfC")  # doctest: +SKIP
        >>> predictor.predict("new.csv")  # doctest: +SKIP
    """

    def __init__(self, network: kept.Kept):
        about = network.description
        self.task = frozen.thaw(about["task"])
        self.model = networks.unpack(network.form, network.weights, self.task)
        self._calibration: Mapping[str, Any] | None = about.get("calibration")
        self.scores: Mapping[str, Mapping[str, float | None]] = about["scores"]
        self.lines: list[str] = []

    def predict(
        self,
        table: Any,
        any_spans: bool = False,
        *,
        dates: str | None = None,
        decimal: str | None = None,
        ahead: float | None = None,
        interval: float | None = None,
    ) -> pl.DataFrame:
        """Predict from the rows of a table, read and checked as the one that the network was trained on.

        What deserves a look, such as values far outside of training, is given as a
        `liquidbench.tasks.new_rows.NewRowsWarning`, through Python's `warnings`; it is in `lines`, too.

        Recordings are cut into windows as those of validation and test were, so the same rows have the same
        predictions, up to rounding that depends on how many there are.

        Args:
            table: the path of a file, or a frame of polars or pandas. It needs no target.
            any_spans: accept times whose spans are far from those of training.
            dates: ``"day-first"``, ``"month-first"`` or ``"year-first"``, if dates in figures leave a choice.
            decimal: decimal mark of the numbers in a file of text; None for what the file tells, else as in training.
            ahead: for a network that is told how far ahead it looks (``task.time_ahead``), that time for the rows whose
                later row is not in the table, the last of each recording, in ``task.time_unit``. None for the usual one
                of training.
            interval: share of targets, such as 0.9, that intervals of values or sets of classes are to hold, by split
                conformal prediction with the scores of validation (`liquidbench.conformal`). They do so for new rows
                that come about as those of validation did; None for none.

        Returns:
            The columns of groups and of time, and ``predicted TARGET`` in the target's unit, or the class; of classes
            also ``probability of CLASS``. With ``interval`` also ``lower TARGET`` and ``upper TARGET``, or ``set has
            CLASS``, which may be false for every class. There is one row for each of the table, in its order, null
            where a row was dropped, as copies are; for tasks with one target a recording, one for each recording.

        Raises:
            FileNotFoundError, TypeError, ValueError: as `liquidbench.tasks.new_rows.NewRows`, or if the network was not
                trained on a table, or ahead is given for one that is not told it, or interval is no share, or the
                network was kept with no scores of validation, or with too few.
        """
        bound = None if interval is None else self._bound(interval)
        task = self.task
        if task.table is None:
            raise ValueError(
                f"model must be trained on a table to read one; it was trained on the task {task.name!r}: give its "
                "values to `stream()`, or to `model`"
            )
        rows = NewRows(task, table, any_spans, dates, decimal, ahead)
        self.lines = [*rows.lines, *(f"warning: {warning}" for warning in rows.warnings)]
        for warning in dict.fromkeys(rows.warnings):
            warnings.warn(warning, NewRowsWarning, stacklevel=2)
        if interval is not None:
            what = "intervals" if task.classes is None else "sets"
            assert self._calibration is not None
            self.lines.append(
                f"{what}: they hold {percent(interval)} of the targets if new rows come about as those of validation "
                f"did, by the scores of {counted(len(self._calibration['scores']), 'target')}"
            )
        split = task.assemble(rows.recordings, "new rows")
        _, outputs = predict(self.model, Data(split))
        found = self._in_units(outputs.numpy(), bound)
        keys = [name for name in (*rows.key, rows.time) if name is not None]
        if task.per == "sequence":
            starts = [recording.first_row for recording in rows.recordings]
            return rows.frame[starts].select(rows.key).with_columns(found)
        number = pl.Series("row", rows.row[split.rows[split.target_mask]])
        found = found.with_columns(number)
        given = pl.DataFrame([*(rows.frame[name] for name in keys), pl.Series("row", rows.row)])
        every = pl.DataFrame({"row": np.arange(rows.height)}, schema={"row": number.dtype})
        return every.join(given, on="row", how="left").join(found, on="row", how="left").sort("row").drop("row")

    def stream(self) -> NetworkPolicy:
        """The network for one sample after another, with values in the features' units.

        Returns:
            A callable ``(values, *, timespan=None, mask=None)`` that returns the prediction in the target's unit, or
            the probability of each class, and keeps its state until ``reset()``. Values are in the order of
            ``task.features``; with ``task.time_ahead`` the last is how far ahead to look, in ``task.time_unit``.

        Raises:
            ValueError: for a readout other than the last output, which needs the whole sequence, or a network that was
                trained under a condition, which changes whole sequences too.
        """
        base, condition = conditions.parted(self.task.name)
        if condition:
            raise ValueError(
                f"the network was trained under the condition {condition!r}, which does not apply to samples that come "
                f"one after another; a stream needs a network of {base!r}"
            )
        if self.task.per == "sequence" and self.model.readout != "last":
            raise ValueError(
                f"the network's readout is {self.model.readout!r}, over the whole sequence; a stream needs a network "
                "with readout 'last'"
            )
        return NetworkPolicy(self.model, self.task)

    def _bound(self, interval: object) -> NDArray[np.float64]:
        """The largest score that an interval or a set includes."""
        if isinstance(interval, bool) or not isinstance(interval, Real) or not 0 < float(interval) < 1:
            raise ValueError(f"interval must be a share of targets between 0 and 1, such as 0.9; got {interval!r}")
        if self._calibration is None:
            raise ValueError(
                "interval needs the scores of validation, which this network was kept without, by an earlier version: "
                "write it again with `liquidbench keep` on the study's folder, or with the same `liquidbench train`"
            )
        scores, alpha = self._calibration["scores"], 1 - float(interval)
        if len(scores) < conformal.fewest(alpha):
            raise ValueError(
                f"interval must be at most {len(scores) / (len(scores) + 1):.3g} for this network, which was kept with "
                f"the scores of only {counted(len(scores), 'validation target')}; got {interval}"
            )
        return conformal.quantile(scores, alpha)

    def _in_units(self, outputs: NDArray[Any], bound: NDArray[np.float64] | None) -> pl.DataFrame:
        task = self.task
        assert task.table is not None
        target = task.table["target"]
        ahead = task.table["horizon"]
        name = f"predicted {target}"
        if task.table["kind"] == "forecast":
            name += f", {ahead} {'row' if ahead == 1 else 'rows'} ahead"
        if task.table["kind"] == "next-known":
            name += ", next known"
        if task.classes is not None:
            likely = torch.from_numpy(outputs).double().softmax(-1).numpy()
            classes = [task.classes[best] for best in likely.argmax(axis=1)]
            shares = {f"probability of {label}": likely[:, number] for number, label in enumerate(task.classes)}
            sets = {}
            if bound is not None:
                within = conformal.lac(likely) <= bound
                sets = {f"set has {label}": within[:, number] for number, label in enumerate(task.classes)}
            return pl.DataFrame({name: classes, **shares, **sets})
        values = {"predicted": outputs.astype(np.float64)}
        if bound is not None:
            values["lower"], values["upper"] = conformal.interval(values["predicted"], bound)
        if (scaler := task.target_scaler) is not None:
            values = {what: scaler.restore(one) for what, one in values.items()}
        return pl.DataFrame({name.replace("predicted", what, 1): one[:, 0] for what, one in values.items()})


def load(folder: str | os.PathLike[str]) -> Predictor:
    """Load a network that ``liquidbench keep``, ``run`` or ``compare`` has kept.

    Args:
        folder: its folder, with ``model.json`` and ``model.safetensors``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it has another schema version, or is not of a network.
        DamagedFileError: if a file in it has changed.
        CodeError: if a user-defined model is missing or has changed.
    """
    network = kept.read(folder)
    try:
        return Predictor(network)
    except CodeError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{Path(folder)} is not the folder of a network ({error}); keep it again") from error
