"""What a study leaves, and where: the one place that knows the names of its files."""

import os
from pathlib import Path

from liquidbench.system.places import file_name
from liquidbench.system.storage import DAMAGED


class StudyFolder:
    """The folder of a study; nothing in it need be there.

    Args:
        root: the folder.

    Attributes:
        root: the folder.
        study: the study that was run, as YAML.
        tasks: what a report says about the data.
        runs: results, in Parquet files of many runs each.
        incoming: results of the last seconds, a file a run.
        table: results in one file, where somebody has put them together to hand them on.
        searches: a journal for each search.
        predictions: what each fit predicted.
        report: the report.
        tables: its tables as text.
        tensorboard: what TensorBoard reads of it.
        mlflow: what MLflow reads of it.
        log: what workers print.
        drivers: who is at work here.
        leases: who does which run.
        damaged: files that were damaged, out of the way.

    Example:
        >>> StudyFolder("results/demo").journal("0123456789abcdef").as_posix()
        'results/demo/searches/0123456789abcdef.journal'
    """

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)
        self.study = self.root / "study.yaml"
        self.tasks = self.root / "tasks.json"
        self.runs = self.root / "runs"
        self.incoming = self.root / "incoming"
        self.table = self.root / "results.parquet"
        self.searches = self.root / "searches"
        self.predictions = self.root / "predictions"
        self.report = self.root / "report.html"
        self.tables = self.root / "tables"
        self.tensorboard = self.root / "tensorboard"
        self.mlflow = self.root / "mlflow.db"
        self.log = self.root / "workers.log"
        self.drivers = self.root / "drivers"
        self.leases = self.root / "leases"
        self.damaged = self.root / DAMAGED

    def journal(self, search: str) -> Path:
        """The journal of a search, by its id."""
        return self.searches / file_name(f"{search}.journal")

    def predicted(self, run: str) -> Path:
        """What a run predicted, by its id."""
        return self.predictions / file_name(f"{run}.npz")


class TrainingFolder:
    """The folder of ``liquidbench train``; nothing in it need be there.

    Args:
        root: the folder.

    Attributes:
        root: the folder.
        checkpoint: what an interrupted training goes on from.
        model: the network that was trained.
        summary: its scores, and how it was trained.
        lock: held by whoever trains.
    """

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)
        self.checkpoint = self.root / "checkpoint.pt"
        self.model = self.root / "model.pt"
        self.summary = self.root / "training.json"
        self.lock = self.root / ".lock"
