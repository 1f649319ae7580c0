"""Names of all files in the folder of a study or a training; no other module knows them."""

import os
from pathlib import Path

from liquidbench.system.places import file_name
from liquidbench.system.storage import DAMAGED


class StudyFolder:
    """Paths in the folder of a study; the files need not exist.

    Args:
        root: the folder.

    Attributes:
        root: the folder.
        study: the study that was run, as YAML.
        tasks: facts of the tasks, for planning and reports.
        runs: folder of consolidated results: Parquet files of many runs each.
        incoming: folder of results that are not consolidated yet, one file per run.
        table: results in one file, for passing them on; optional.
        searches: folder of search journals.
        encoders: folder of the encoders that all networks of a task, seed and split share.
        predictions: folder of predictions, one file per fit, with its network.
        models: folder of the networks that were kept, see `kept`.
        report: the report.
        tables: folder of the report's tables as text.
        tensorboard: the export for TensorBoard.
        mlflow: the export for MLflow.
        log: output of workers.
        drivers: folder of heartbeats, one file per driver.
        leases: folder of leases: which driver does which run.
        damaged: folder that damaged files are moved to.

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
        self.encoders = self.root / "encoders"
        self.predictions = self.root / "predictions"
        self.models = self.root / "models"
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

    def encoder(self, made_from: str) -> Path:
        """A shared encoder, by the digest of what it was made from."""
        return self.encoders / file_name(f"{made_from}.npz")

    def predicted(self, run: str) -> Path:
        """The predictions of a run, by its id."""
        return self.predictions / file_name(f"{run}.npz")

    def kept(self, task: str, model: str) -> Path:
        """The folder of a network that was kept, by the names of its task and model."""
        return self.models / file_name(task) / file_name(model)

    def kept_of(self, task: str) -> list[Path]:
        """The folders of a task's networks that were kept, by the task's name."""
        return sorted(path.parent for path in (self.models / file_name(task)).glob("*/model.json"))


class ModelFolder:
    """Paths in the folder of a network that was kept; the files need not exist.

    Args:
        root: the folder.

    Attributes:
        root: the folder.
        description: everything but the weights, as JSON.
        weights: the weights, in the format of safetensors.
        explanation: what the network does on test, see `liquidbench.explanations`; optional.
        flights: what it did in flights, see `liquidbench.flown`; optional.
    """

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)
        self.description = self.root / "model.json"
        self.weights = self.root / "model.safetensors"
        self.explanation = self.root / "explanation.npz"
        self.flights = self.root / "flights.npz"


class TrainingFolder(ModelFolder):
    """Paths in the folder of ``liquidbench train``, which is also that of the network; the files need not exist.

    Args:
        root: the folder.

    Attributes:
        checkpoint: the state that an interrupted training resumes from.
        summary: the network's scores and settings.
        lock: held while training.
        writing: held by the process that writes checkpoints, which may outlive the one that started it by a moment.
    """

    def __init__(self, root: str | os.PathLike[str]):
        super().__init__(root)
        self.checkpoint = self.root / "checkpoint.pt"
        self.summary = self.root / "training.json"
        self.lock = self.root / ".lock"
        self.writing = self.root / ".lock-checkpoint"
