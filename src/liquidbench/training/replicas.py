"""A training's course, its checkpoint, and what each of the processes does that train together."""

import io
import math
import os
import pickle
import signal
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from liquidbench import catalogue
from liquidbench.catalogue import SequenceModel
from liquidbench.metrics import Metric
from liquidbench.models import READOUTS, OwnModel, find
from liquidbench.search import Settings
from liquidbench.study import DEVICES, STEPS_ELSEWHERE
from liquidbench.system import storage
from liquidbench.system.packed import check_zip
from liquidbench.system.processes import end_with_parent
from liquidbench.system.storage import DamagedFileError
from liquidbench.tasks.task import Task
from liquidbench.training.learning import Data, device_of, optimiser_of
from liquidbench.training.trainer import PARALLEL, Evaluation, Progress, Sampler, Trainer

_FORMAT = 3


@dataclass(frozen=True)
class Course:
    """All that decides how one network is trained, save the data.

    Attributes:
        model: a key of `liquidbench.models.MODELS`, or a user's own.
        hidden_size: its units.
        settings: learning rate, optimiser, schedule, weight decay, largest norm of the gradient, patience, warm-up,
            structure, readout.
        steps: of the optimiser, at most.
        batch_size: sequences a step, over all processes.
        seed: of initial values, of the order of the data, and of dropout.
        devices: processes that share each batch.
        threads: of each process; None for the cores divided among the processes, or what a checkpoint was made with.
        device: what they compute on, one of `liquidbench.study.DEVICES`; each process has a GPU of its own.
        parallel: one of `liquidbench.training.trainer.PARALLEL`: "ddp", each process has the whole network; "fsdp",
            each keeps a part of its parameters, gradients and optimiser's state, for networks too large for one.

    Raises:
        TypeError: for a number of another type.
        ValueError: for an unknown model or a number out of range.
        CodeError: a user's model is not there, or has changed.
    """

    model: str | OwnModel
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
                f"devices must be at most batch_size, {self.batch_size}, or some would never have a sequence; got "
                f"{self.devices}: use fewer, or a larger batch_size"
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

    def build(self, task: Task) -> SequenceModel:
        """The network with its initial values."""
        settings = self.settings
        return catalogue.build(
            self.model, task, self.hidden_size, self.seed, structure=settings.structure, readout=settings.readout
        )

    def identity(self, task: Task) -> dict[str, Any]:
        """Everything on which the losses depend, by name."""
        content = asdict(self)
        settings = content.pop("settings")
        if isinstance(self.model, OwnModel):
            # Under whichever name: another version of its code is another model.
            content["model"] = f"{self.model.code} (checksum {self.model.checksum})"
        return {"task": task.name, "data": task.data_digest, "fold": task.fold, **content, **settings}


@dataclass
class Checkpoint:
    """What a training goes on from.

    Attributes:
        identity: the course's, with the data's.
        torch: version that it was begun with.
        model: the network's state.
        optimiser: its state.
        generators: state of the generator of dropout of each process.
        progress: how far it has come.
    """

    identity: dict[str, Any]
    torch: str
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    generators: list[Tensor]
    progress: Progress

    @classmethod
    def first(cls, course: Course, task: Task, model: SequenceModel) -> Self:
        """Where a training begins."""
        seeds = [
            int(np.random.SeedSequence((course.seed, rank)).generate_state(1)[0]) for rank in range(course.devices)
        ]
        return cls(
            course.identity(task),
            str(torch.__version__),
            model.state_dict(),
            optimiser_of(model, course.settings).state_dict(),
            [torch.Generator(course.device).manual_seed(seed).get_state() for seed in seeds],
            Progress(torch.Generator().manual_seed(course.seed).get_state()),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """The one that a file holds.

        Raises:
            DamagedFileError: where the file is not what was written, or none.
            ValueError: where it is one of another version.
        """
        return cls.of(loaded(path), path)

    @classmethod
    def of(cls, content: Any, path: Path) -> Self:
        """The one that `content` gave, which stands in a file of that name; see `read`."""
        try:
            version = content.pop("format")
            if version != _FORMAT or content.keys() != {entry.name for entry in fields(cls)}:
                raise ValueError(
                    f"{path} is a checkpoint of another version of liquidbench, of format {version}, and this one "
                    f"reads {_FORMAT}; go on with that version, or remove the file to begin anew"
                )
            progress = dict(content.pop("progress"))
            progress["curve"] = [Evaluation(**evaluation) for evaluation in progress["curve"]]
            return cls(**content, progress=Progress(**progress))
        except (KeyError, AttributeError, TypeError) as error:
            raise DamagedFileError(f"{path} is no checkpoint ({error})") from error

    @property
    def content(self) -> dict[str, Any]:
        """All of it as tensors, numbers and text."""
        progress = vars(self.progress) | {"curve": list(map(asdict, self.progress.curve))}
        return {"format": _FORMAT, **vars(self), "progress": progress}

    def write(self, path: Path) -> None:
        """Replace a file: whatever happens, either the old content is there or the new."""
        # Under a name of its own till then: processes of a driver that was killed may take a moment to notice.
        save(self.content, path)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def packed(content: Mapping[str, Any]) -> io.BytesIO:
    """`torch.save` into memory."""
    archive = io.BytesIO()
    torch.save(content, archive)
    return archive


def unpacked(archive: bytes) -> Any:
    """What `packed` was given, with its tensors on the CPU: no code in it runs."""
    return torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write a torch file that carries its checksum and is there whole or not at all."""
    storage.keep(path, storage.sealed_zip(packed(content)))


def loaded(path: Path) -> Any:
    """What `save` wrote, from a file that may come from anyone: tensors, numbers and text. No code of it runs.

    Raises:
        FileNotFoundError: where there is no file.
        DamagedFileError: where it is not what was written.
    """
    with storage.reading(path) as content:
        # torch packs without compressing; what unpacks to more than the file is none of its making.
        check_zip(content, len(content))
        # Checksums of parts, which torch does not look at, are all that files of earlier versions have.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if (part := archive.testzip()) is not None:
                raise DamagedFileError(f"{path} is damaged: {part} in it does not match its checksum")
        try:
            return unpacked(content)
        # Its reader fails on odd files in many ways, and then advises to run what is in them.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0].partition('.')[0]}"
            raise DamagedFileError(f"{path} is none of ours, or damaged ({reason})") from error


class PeerLost(RuntimeError):
    """Another process did not answer: it has ended, and knows why."""


@contextmanager
def exchanging() -> Iterator[None]:
    """Within it, what torch raises of an exchange between processes is `PeerLost`."""
    try:
        yield
    except RuntimeError as error:
        # gloo raises nothing more telling than a RuntimeError with the place in its source.
        if isinstance(error, dist.DistError) or "/gloo/" in str(error):
            raise PeerLost(str(error)) from error
        raise


def join(device: torch.device, **where: Any) -> None:
    """Make this process one of torch's default group.

    Args:
        device: that it computes on; processes exchange tensors on it, and on the CPU.
        **where: arguments of ``torch.distributed.init_process_group``, by which the processes find each other.
    """
    backend, device_id = ("gloo", None) if device.type == "cpu" else ("cpu:gloo,cuda:nccl", device)
    with exchanging():
        dist.init_process_group(backend, device_id=device_id, **where)


def replicate(
    course: Course,
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
    """One process's part in a training by all of the default group, from a checkpoint on.

    Args:
        course: what is trained.
        model: a network to fill; at the end it has the weights of its best step.
        checkpoint: where to begin; it moves on with the training.
        train: the training split, on this process's device.
        validation: the validation split, there too.
        path: the checkpoint's file, which the first process writes.
        metric: chooses the best step.
        sampler: draws the batches.
        save_every: seconds between checkpoints, besides those after each evaluation.
        seconds: of training, after which it stops at a checkpoint.
        on_evaluation: called after every evaluation, its checkpoint being written.

    Returns:
        Why it ended.

    Raises:
        FloatingPointError: in all processes, where a loss stops being finite.
        PeerLost: where another process has ended.
    """
    rank, group = dist.get_rank(), dist.group.WORLD
    with exchanging():
        trainer = Trainer(
            model,
            course.settings,
            train,
            validation,
            steps=course.steps,
            batch_size=course.batch_size,
            seed=course.seed,
            metric=metric,
            sampler=sampler,
            group=group,
            parallel=course.parallel,
        )
        at = {"model": checkpoint.model, "optimiser": checkpoint.optimiser}
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


def work(
    rank: int,
    course: Course,
    train: Data,
    validation: Data,
    path: Path,
    rendezvous: Path,
    connection: Connection,
    save_every: float,
    seconds: float,
) -> None:
    """A process's life, as `liquidbench.training.distributed.train` starts it.

    Over the connection the first process tells every `Evaluation` and, at last, why the training ended; any of them an
    exception that ends it.

    Args:
        rank: number of the process.
        course: what is trained.
        train: the training split, in memory that the processes share.
        validation: the validation split.
        path: the checkpoint's file.
        rendezvous: a file by which the processes find each other.
        connection: to the driver. Model, checkpoint, metric and sampler come from there, pickled, so that each
            process has its own.
        save_every: see `replicate`.
        seconds: see `replicate`.
    """
    # Ctrl-C is for the driver, which ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()

    def tell(what: Evaluation | str) -> None:
        if rank == 0:
            connection.send(what)

    try:
        assert course.threads is not None
        torch.set_num_threads(course.threads)
        model, checkpoint, metric, sampler = pickle.loads(connection.recv_bytes())  # noqa: S301
        device = device_of(course.device, rank)
        join(device, init_method=f"file://{rendezvous}", rank=rank, world_size=course.devices)
        for data in (train, validation):
            data.to(device)
        tell(replicate(course, model, checkpoint, train, validation, path, metric, sampler, save_every, seconds, tell))
        # The driver ends all. On a way out of its own, now and then threads of torch abort the process, and one that
        # leaves early could take from another what it has not read yet.
        threading.Event().wait()
    except Exception as error:
        error.add_note(f"in process {rank} of {course.devices}:\n{traceback.format_exc()}")
        connection.send(error)
        os._exit(1)
