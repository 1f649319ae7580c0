"""Configuration and checkpoints of `liquidbench train`, and the work of each of its processes."""

import io
import math
import os
import pickle
import signal
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from liquidbench import networks
from liquidbench.folder import TrainingFolder
from liquidbench.metrics import Metric
from liquidbench.models import READOUTS, UserModel, find
from liquidbench.networks import SequenceModel
from liquidbench.search import Settings
from liquidbench.study import DEVICES, STEPS_ELSEWHERE
from liquidbench.system import storage
from liquidbench.system.packed import check_zip
from liquidbench.system.processes import end_with_parent
from liquidbench.system.storage import DamagedFileError, file_lock
from liquidbench.tasks.task import Task
from liquidbench.training.learning import Data, device_of, optimiser_of
from liquidbench.training.trainer import PARALLEL, Evaluation, Progress, Sampler, Trainer, beginning, sampler_of

_FORMAT = 4


@dataclass(frozen=True)
class TrainingConfig:
    """How one network is trained: everything that determines the result, except the data.

    Attributes:
        model: a key of `liquidbench.models.MODELS`, or a user-defined model.
        hidden_size: number of units.
        settings: learning rate, optimiser, schedule, weight decay, gradient clipping, patience, warm-up, structure,
            readout.
        steps: largest number of optimiser steps.
        batch_size: sequences per step, over all processes.
        seed: seed of initial values, order of the data, and dropout.
        devices: number of processes that share each batch.
        threads: threads per process; None for the number that the checkpoint was made with or, without a checkpoint,
            the cores divided by the number of processes.
        device: one of `liquidbench.study.DEVICES`; with "cuda", each process has its own GPU.
        parallel: one of `liquidbench.training.trainer.PARALLEL`: with "ddp" each process has the whole network; with
            "fsdp" each has a part of the parameters, gradients and optimiser state, for networks too large for one GPU.

    Raises:
        TypeError: if a number has the wrong type.
        ValueError: if the model is unknown or a number is out of range.
        CodeError: if a user-defined model is missing or has changed.
    """

    model: str | UserModel
    hidden_size: int
    settings: Settings
    steps: int = STEPS_ELSEWHERE
    batch_size: int = 64
    seed: int = 0
    devices: int = 1
    threads: int | None = None
    device: str = "cpu"
    parallel: str = "ddp"

    def __post_init__(self) -> None:
        find(self.model)
        for name in ("hidden_size", "steps", "batch_size", "seed", "devices", "threads"):
            value, least = getattr(self, name), 0 if name == "seed" else 1
            if name == "threads" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number; got {value!r}")
            if value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}")
        if self.devices > self.batch_size:
            raise ValueError(
                f"devices must be at most batch_size, {self.batch_size}, as each process needs a sequence of each "
                f"batch; got {self.devices}: use fewer, or a larger batch_size"
            )
        settings = self.settings
        for name, allowed, bound in (
            ("learning_rate", settings.learning_rate > 0, "above 0"),
            ("clip_norm", settings.clip_norm > 0, "above 0"),
            ("weight_decay", settings.weight_decay >= 0, "at least 0"),
            ("patience", 0 < settings.patience <= 1, "above 0 and at most 1, a share of the steps"),
            ("warm_up", 0 <= settings.warm_up < 1, "at least 0 and below 1, a share of the steps"),
        ):
            value = getattr(settings, name)
            if not (allowed and math.isfinite(value)):
                raise ValueError(f"{name} must be {bound}; got {value}")
        for name, value, known in (
            ("optimiser", settings.optimiser, ("adamw", "rmsprop")),
            ("schedule", settings.schedule, ("constant", "cosine")),
            ("readout", settings.readout, READOUTS),
            ("device", self.device, DEVICES),
            ("parallel", self.parallel, PARALLEL),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")

    @property
    def form(self) -> dict[str, Any]:
        """Arguments of `liquidbench.networks.build` other than the task."""
        return {
            "model": self.model,
            "hidden_size": self.hidden_size,
            "seed": self.seed,
            "structure": dict(self.settings.structure),
            "readout": self.settings.readout,
        }

    def build(self, task: Task) -> SequenceModel:
        """Build the untrained network."""
        return networks.build(task=task, **self.form)

    def identity(self, task: Task) -> dict[str, Any]:
        """Everything that the losses depend on, by name."""
        content = asdict(self)
        settings = content.pop("settings")
        if isinstance(self.model, UserModel):
            # The checksum identifies the model; its name does not matter.
            content["model"] = f"{self.model.code} (checksum {self.model.checksum})"
        return {"task": task.name, "data": task.data_digest, "fold": task.fold, **content, **settings}


@dataclass
class Checkpoint:
    """The state from which a training is resumed.

    Attributes:
        identity: `TrainingConfig.identity`.
        torch: version of torch with which the training started.
        model: the network's state.
        optimiser: the optimiser's state.
        generators: state of each process's dropout generator.
        progress: the trainer's progress.
    """

    identity: dict[str, Any]
    torch: str
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    generators: list[Tensor]
    progress: Progress

    @classmethod
    def initial(cls, config: TrainingConfig, task: Task, model: SequenceModel) -> Self:
        """The state before the first step."""
        seeds = [
            int(np.random.SeedSequence((config.seed, rank)).generate_state(1)[0]) for rank in range(config.devices)
        ]
        return cls(
            config.identity(task),
            str(torch.__version__),
            model.state_dict(),
            optimiser_of(model, config.settings).state_dict(),
            [torch.Generator(config.device).manual_seed(seed).get_state() for seed in seeds],
            beginning(config.seed, sampler_of(task)),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a checkpoint file.

        Raises:
            FileNotFoundError: if there is no file.
            DamagedFileError: if the file is damaged or not a checkpoint.
            ValueError: if another version of liquidbench wrote it.
        """
        return cls.from_content(read_file(path), path)

    @classmethod
    def from_content(cls, content: Any, path: Path) -> Self:
        """The checkpoint with this `content`; error messages name ``path``. Raises as `read` does."""
        try:
            version = content.pop("format")
            if version != _FORMAT or content.keys() != {entry.name for entry in fields(cls)}:
                raise ValueError(
                    f"{path} was written by another version of liquidbench, in format {version}; this one reads format "
                    f"{_FORMAT}. Continue with that version, or remove the file to start again"
                )
            progress = dict(content.pop("progress"))
            progress["curve"] = [Evaluation(**evaluation) for evaluation in progress["curve"]]
            return cls(**content, progress=Progress(**progress))
        except (KeyError, AttributeError, TypeError) as error:
            raise DamagedFileError(f"{path} is not a checkpoint ({error})") from error

    @property
    def content(self) -> dict[str, Any]:
        """The checkpoint as tensors, numbers and text."""
        progress = vars(self.progress) | {"curve": list(map(asdict, self.progress.curve))}
        return {"format": _FORMAT, **vars(self), "progress": progress}

    def write(self, path: Path) -> None:
        """Write the file atomically: at any time it has either the old content or the new."""
        write_file(self.content, path)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def serialise(content: Mapping[str, Any]) -> io.BytesIO:
    """`torch.save` to memory."""
    archive = io.BytesIO()
    torch.save(content, archive)
    return archive


def deserialise(archive: bytes) -> Any:
    """The inverse of `serialise`, with tensors on the CPU; executes no code of the archive."""
    return torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)


def write_file(content: Mapping[str, Any], path: Path) -> None:
    """Write a torch file atomically, with a checksum."""
    storage.keep(path, storage.sealed_zip(serialise(content)))


def read_file(path: Path) -> Any:
    """Read a file that `write_file` wrote: tensors, numbers and text. The file need not be trusted; none of it runs.

    Raises:
        FileNotFoundError: if there is no file.
        DamagedFileError: if the file is damaged.
    """
    with storage.reading(path) as content:
        # torch does not compress; an archive that unpacks to more than its own size is not one of torch's.
        check_zip(content, len(content))
        # Files of earlier versions have only the checksums of the archive's members, which torch ignores.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if (part := archive.testzip()) is not None:
                raise DamagedFileError(f"{path} is damaged: {part} in it does not match its checksum")
        try:
            return deserialise(content)
        # torch may raise anything for a bad file, and its messages recommend weights_only=False, which runs code.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0].partition('.')[0]}"
            raise DamagedFileError(f"{path} is damaged, or liquidbench did not write it ({reason})") from error


class PeerLostError(RuntimeError):
    """Another process does not answer. It has ended, and reports the cause itself."""


@contextmanager
def peer_errors() -> Iterator[None]:
    """Context manager that turns torch's communication errors into `PeerLostError`."""
    try:
        yield
    except RuntimeError as error:
        # gloo raises a plain RuntimeError whose message has the path of its source file.
        if isinstance(error, dist.DistError) or "/gloo/" in str(error):
            raise PeerLostError(str(error)) from error
        raise


def join_group(device: torch.device, **where: Any) -> None:
    """Add this process to torch's default process group.

    Args:
        device: the process's device; tensors are exchanged on it and on the CPU.
        **where: arguments of ``torch.distributed.init_process_group`` by which the processes find each other.
    """
    backend, device_id = ("gloo", None) if device.type == "cpu" else ("cpu:gloo,cuda:nccl", device)
    with peer_errors():
        dist.init_process_group(backend, device_id=device_id, **where)


def train_rank(
    config: TrainingConfig,
    model: SequenceModel,
    checkpoint: Checkpoint,
    train: Data,
    validation: Data,
    path: Path,
    metric: Metric,
    sampler: Sampler,
    save_every: float,
    seconds: float,
    on_evaluation: Callable[[Evaluation], None],
) -> str:
    """Train as one rank of the default process group, from a checkpoint on.

    Args:
        config: the configuration.
        model: the network; at the end it has the weights of its best step.
        checkpoint: the state to start from; it is updated during training.
        train: the training split, on this process's device.
        validation: the validation split, on this process's device.
        path: the checkpoint file, which rank 0 writes.
        metric: the metric that chooses the best step.
        sampler: draws the batches.
        save_every: seconds between checkpoints, in addition to one after each evaluation.
        seconds: training time after which it stops with a checkpoint.
        on_evaluation: called after every evaluation, when its checkpoint is written.

    Returns:
        Why training ended.

    Raises:
        FloatingPointError: in all processes, if a loss is infinite or NaN.
        PeerLostError: if another process has ended.
    """
    rank, group = dist.get_rank(), dist.group.WORLD
    with peer_errors():
        trainer = Trainer(
            model,
            config.settings,
            train,
            validation,
            steps=config.steps,
            batch_size=config.batch_size,
            seed=config.seed,
            metric=metric,
            sampler=sampler,
            group=group,
            parallel=config.parallel,
        )
        # The mean loss, which has no state.
        at = {"model": checkpoint.model, "optimiser": checkpoint.optimiser, "objective": {}}
        trainer.load_state_dict({**at, "generator": checkpoint.generators[rank]})
        trainer.progress = checkpoint.progress

        def save() -> None:
            state = trainer.state_dict()
            checkpoint.generators = [torch.empty_like(state["generator"]) for _ in range(dist.get_world_size())]
            dist.all_gather(checkpoint.generators, state["generator"])
            if rank == 0:
                checkpoint.model, checkpoint.optimiser = state["model"], state["optimiser"]
                checkpoint.write(path)

        return trainer.run(seconds=seconds, pause=True, save=save, save_every=save_every, on_evaluation=on_evaluation)


def run_process(
    rank: int,
    config: TrainingConfig,
    train: Data,
    validation: Data,
    path: Path,
    rendezvous: Path,
    connection: Connection,
    save_every: float,
    seconds: float,
) -> None:
    """Main function of the processes that `liquidbench.training.distributed.train` starts.

    Rank 0 sends every `Evaluation` over its connection and, at the end, the reason why training ended. Every rank sends
    the exception that ends it.

    Args:
        rank: number of the process.
        config: the configuration.
        train: the training split, in shared memory.
        validation: the validation split, in shared memory.
        path: the checkpoint file.
        rendezvous: the file through which the processes find each other.
        connection: the connection to the driver, which sends the pickled model, checkpoint, metric and
            sampler over it.
        save_every: see `train_rank`.
        seconds: see `train_rank`.
    """
    # The driver handles Ctrl-C and ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()

    def tell(what: Evaluation | str) -> None:
        if rank == 0:
            connection.send(what)

    try:
        assert config.threads is not None
        torch.set_num_threads(config.threads)
        model, checkpoint, metric, sampler = pickle.loads(connection.recv_bytes())  # noqa: S301
        device = device_of(config.device, rank)
        join_group(device, init_method=f"file://{rendezvous}", rank=rank, world_size=config.devices)
        for data in (train, validation):
            data.to(device)
        with file_lock(TrainingFolder(path.parent).writing) if rank == 0 else nullcontext():
            how = (path, metric, sampler, save_every, seconds, tell)
            tell(train_rank(config, model, checkpoint, train, validation, *how))
        # Wait for the driver to kill this process. If it exited by itself, torch's threads would sometimes abort it,
        # and another process might lose data that it has not read yet.
        threading.Event().wait()
    except Exception as error:
        error.add_note(f"in process {rank} of {config.devices}:\n{traceback.format_exc()}")
        connection.send(error)
        os._exit(1)
