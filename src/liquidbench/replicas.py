r"""A training's course, its checkpoint, and the processes that learn together.

Each process (a replica) has the whole network and takes a share of every batch. With losses :math:`\ell_i` of the
:math:`n` scored targets of a batch, of which :math:`n_r` fall to process :math:`r`, the gradient of the batch's loss is

.. math::

    \nabla \frac{1}{n} \sum_{i} \ell_i = \sum_r \frac{n_r}{n} \, \nabla \Big( \frac{1}{n_r} \sum_{i \in r} \ell_i \Big)

so each process weights its mean loss by its part of the targets, and the gradients are summed. All processes know the
whole batch, hence :math:`n`, before they compute anything.
"""

import io
import math
import os
import pickle
import signal
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from liquidbench import catalogue, storage
from liquidbench.catalogue import SequenceModel
from liquidbench.learning import EVALUATION_BATCH, Data, learning_rate, loss_of, optimiser_of
from liquidbench.models import find
from liquidbench.packed import check_zip
from liquidbench.processes import end_with_parent
from liquidbench.search import Settings
from liquidbench.storage import DamagedFileError
from liquidbench.tasks.task import Task

_FORMAT = 1
_SAVE, _PAUSE = 1.0, 2.0


@dataclass(frozen=True)
class Course:
    """All that decides how one network is trained, save the data.

    Attributes:
        model: a key of `liquidbench.models.MODELS`.
        hidden_size: its units.
        settings: learning rate, optimiser, schedule, weight decay, largest norm of the gradient, patience, structure.
        epochs: passes over the training split, at most.
        batch_size: sequences a step, over all processes.
        seed: of initial values, of the order of the data, and of dropout.
        devices: processes that share each batch.
        threads: of each process; None for the cores divided among the processes, or what a checkpoint was made with.

    Raises:
        TypeError: for a number of another type.
        ValueError: for an unknown model or a number out of range.
    """

    model: str
    hidden_size: int
    settings: Settings
    epochs: int = 50
    batch_size: int = 64
    seed: int = 0
    devices: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        find(self.model)
        for name in ("hidden_size", "epochs", "batch_size", "seed", "devices", "threads"):
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
            ("patience", 0 < settings.patience <= 1, "above 0 and at most 1, a share of the epochs"),
        ):
            value = getattr(settings, name)
            if not (allowed and math.isfinite(value)):
                raise ValueError(f"{name} must be {bound}; got {value}")
        for name, known in (("optimiser", ("adamw", "rmsprop")), ("schedule", ("constant", "cosine"))):
            if getattr(settings, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {getattr(settings, name)!r}")

    def build(self, task: Task) -> SequenceModel:
        """The network with its initial values."""
        return catalogue.build(self.model, task, self.hidden_size, self.seed, structure=self.settings.structure)

    def identity(self, task: Task) -> dict[str, Any]:
        """Everything on which the losses depend, by name."""
        content = asdict(self)
        settings = content.pop("settings")
        return {"task": task.name, "data": task.data_digest, "fold": task.fold, **content, **settings}


@dataclass(frozen=True)
class Epoch:
    """What came of an epoch.

    Attributes:
        epoch: from 1.
        train_loss: mean over the epoch's training targets, as they were met.
        validation_loss: after the epoch.
        seconds: its steps took, without validation and checkpoints.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    seconds: float


@dataclass
class Checkpoint:
    """Where a training stands between two steps.

    Attributes:
        identity: of the course, see `Course.identity`.
        torch: version with which the training was begun.
        model: the network's state.
        optimiser: the optimiser's state.
        order: state, at the epoch's beginning, of the generator that the order of the data is drawn from.
        generators: states of the generators that dropout draws from, one a process.
        epoch: the one that is under way, from 1.
        step: batches of it that are done.
        total: sum of its losses so far, over targets.
        scored: number of these.
        seconds: that its steps took so far.
        curve: fields of each `Epoch` that is complete.
        best_epoch: the one with the lowest validation loss, 0 for the untrained network.
        best_loss: that loss; None before the first validation.
        best: the network's state then.
        ended: why the training is over, "" while it is not.
    """

    identity: dict[str, Any]
    torch: str
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    order: Tensor
    generators: list[Tensor]
    epoch: int = 1
    step: int = 0
    total: float = 0.0
    scored: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    ended: str = ""

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
            torch.Generator().manual_seed(course.seed).get_state(),
            [torch.Generator().manual_seed(seed).get_state() for seed in seeds],
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """The one that a file holds.

        Raises:
            DamagedFileError: where the file is not what was written, or none.
            ValueError: where it is one of another version.
        """
        content = loaded(path)
        try:
            version = content.pop("format")
        except (KeyError, AttributeError, TypeError) as error:
            raise DamagedFileError(f"{path} is no checkpoint ({error})") from error
        if version != _FORMAT or content.keys() != {entry.name for entry in fields(cls)}:
            raise ValueError(
                f"{path} is a checkpoint of another version of liquidbench, of format {version}, and this one reads "
                f"{_FORMAT}; go on with that version, or remove the file to begin anew"
            )
        return cls(**content)

    def write(self, path: Path) -> None:
        """Replace a file: whatever happens, either the old content is there or the new."""
        # Under a name of its own till then: processes of a driver that was killed may take a moment to notice.
        save({"format": _FORMAT, **vars(self)}, path)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def save(content: Mapping[str, Any], path: Path) -> None:
    """`torch.save` of a file that carries its checksum and is there whole or not at all."""
    archive = io.BytesIO()
    torch.save(content, archive)
    storage.keep(path, storage.sealed_zip(archive))


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
            return torch.load(io.BytesIO(content), weights_only=True)
        # Its reader fails on odd files in many ways, and then advises to run what is in them.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0].partition('.')[0]}"
            raise DamagedFileError(f"{path} is none of ours, or damaged ({reason})") from error


class PeerLost(RuntimeError):
    """Another process did not answer: it has ended, and knows why."""


def step(
    model: SequenceModel,
    optimiser: torch.optim.Optimizer,
    data: Data,
    batch: Tensor,
    clip_norm: float,
    wish: float = 0.0,
) -> tuple[float, int, float]:
    """`liquidbench.learning.step` by all processes of the default group, each with a share of the batch.

    The update is that of one process up to rounding, and the same bits in all. A parameter that no process has a
    gradient of has none; a batch without targets changes nothing.

    Args:
        model: with the same parameters in every process, all of one type.
        optimiser: over these, in the same state.
        data: the whole split.
        batch: (batch,) indices of sequences, the same in every process.
        clip_norm: largest norm of the whole gradient.
        wish: summed over the processes, so that all can act on what one of them decides.

    Returns:
        The batch's mean loss before the update, the number of targets, and the sum of wishes (0 without targets).

    Raises:
        FloatingPointError: in all processes, where the loss is not finite; nothing is updated then.
        PeerLost: where another process has ended.
    """
    scored = int(data.target_mask[batch].sum())
    if not scored:
        return 0.0, 0, 0.0
    share = batch.tensor_split(dist.get_world_size())[dist.get_rank()]
    optimiser.zero_grad(set_to_none=True)
    loss = 0.0
    if bool(data.target_mask[share].any()):
        targets, predictions = data.scored(share, model(*data.inputs(share)))
        part = loss_of(targets, predictions) * (len(targets) / scored)
        part.backward()
        loss = float(part.detach())
    loss, wishes = _sum_gradients([p for p in model.parameters() if p.requires_grad], [loss, wish])
    if not math.isfinite(loss):
        raise FloatingPointError(f"training loss became {loss}")
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()
    return loss, scored, wishes


def _sum_gradients(parameters: list[torch.nn.Parameter], numbers: list[float]) -> list[float]:
    """Sum gradients over all processes, in place, and some numbers with them: one exchange for everything."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    # A sum of zeros is not the same as no gradient, with which an optimiser lets a parameter alone.
    told = [float(p.grad is not None) for p in parameters]
    everything = torch.cat([part.reshape(-1) for part in (*parts, parts[0].new_tensor([*told, *numbers]))])
    _sum(everything)
    *summed, tail = everything.split([*(p.numel() for p in parameters), len(told) + len(numbers)])
    tail = tail.tolist()
    for parameter, gradient, known in zip(parameters, summed, tail, strict=False):
        parameter.grad = gradient.view_as(parameter) if known else None
    return tail[len(told) :]


def _sum(tensor: Tensor) -> None:
    try:
        dist.all_reduce(tensor)
    except RuntimeError as error:
        raise PeerLost(str(error)) from error


class Replica:
    """One process's part in a training, from a checkpoint on.

    Args:
        course: what is trained.
        model: a network to fill.
        checkpoint: where to begin; it moves on with the training.
        train: the training split.
        validation: the validation split.
        path: the checkpoint's file.
        save_every: seconds between checkpoints, besides those after each epoch.
        seconds: of training, after which it stops at a checkpoint.
        on_epoch: called after every epoch, its checkpoint being written.
    """

    def __init__(
        self,
        course: Course,
        model: SequenceModel,
        checkpoint: Checkpoint,
        train: Data,
        validation: Data,
        path: Path,
        save_every: float,
        seconds: float,
        on_epoch: Callable[[Epoch], None],
    ):
        self.course, self.model, self.at, self.train, self.validation = course, model, checkpoint, train, validation
        self.path, self.save_every, self.on_epoch = path, save_every, on_epoch
        self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        model.load_state_dict(checkpoint.model)
        self.optimiser = optimiser_of(model, course.settings)
        self.optimiser.load_state_dict(checkpoint.optimiser)
        # Dropout draws from the global generator.
        torch.set_rng_state(checkpoint.generators[self.rank])
        self.order = torch.Generator()
        self.saved = time.monotonic()
        self.deadline = self.saved + seconds

    def run(self) -> str:
        """Train to the end, or as long as there is time; why it ended."""
        at = self.at
        if at.best_loss is None:
            # The untrained network is the first to beat: one that only got worse has learnt nothing.
            at.best_loss = self._validate("before training")
            at.best = self._weights()
            self._save()
        while not at.ended:
            if not self._train_epoch():
                return "minutes"
        return at.ended

    def _train_epoch(self) -> bool:
        """Go on to the epoch's end; whether there was time for it."""
        at, course = self.at, self.course
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(course.settings, at.epoch, course.epochs)
        self.model.train()
        self.order.set_state(at.order)
        for batch in self.train.batches(course.batch_size, self.order)[at.step :]:
            began = time.monotonic()
            try:
                loss, scored, wish = step(
                    self.model, self.optimiser, self.train, batch, course.settings.clip_norm, self._wish()
                )
            except FloatingPointError as error:
                raise FloatingPointError(f"{error} in epoch {at.epoch}") from error
            at.total, at.scored, at.step = at.total + loss * scored, at.scored + scored, at.step + 1
            at.seconds += time.monotonic() - began
            if wish:
                self._save()
            if wish == _PAUSE:
                return False
        epoch = Epoch(at.epoch, at.total / at.scored, self._validate(f"in epoch {at.epoch}"), at.seconds)
        at.curve.append(asdict(epoch))
        assert at.best_loss is not None
        if epoch.validation_loss < at.best_loss:
            at.best_epoch, at.best_loss, at.best = at.epoch, epoch.validation_loss, self._weights()
        if at.epoch == course.epochs:
            at.ended = "all epochs"
        elif at.epoch - at.best_epoch >= max(1, round(course.settings.patience * course.epochs)):
            at.ended = "patience"
        at.epoch, at.step, at.total, at.scored, at.seconds = at.epoch + 1, 0, 0.0, 0, 0.0
        at.order = self.order.get_state()
        self._save()
        self.on_epoch(epoch)
        return True

    @torch.inference_mode()
    def _validate(self, when: str) -> float:
        """Mean loss on validation, each process with its share of the sequences."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64)
        for batch in torch.arange(len(self.validation)).tensor_split(self.processes)[self.rank].split(EVALUATION_BATCH):
            if len(batch) and bool(self.validation.target_mask[batch].any()):
                targets, predictions = self.validation.scored(batch, self.model(*self.validation.inputs(batch)))
                loss = float(loss_of(targets, predictions))
                sums += torch.tensor([loss * len(targets), len(targets)], dtype=sums.dtype)
        _sum(sums)
        loss = float(sums[0] / sums[1])
        if not math.isfinite(loss):
            raise FloatingPointError(f"validation loss became {loss} {when}")
        return loss

    def _wish(self) -> float:
        """What the first process wants all to do after the step; the clocks of the others do not count."""
        now = time.monotonic()
        if self.rank:
            return 0.0
        return _PAUSE if now > self.deadline else _SAVE if now - self.saved >= self.save_every else 0.0

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def _save(self) -> None:
        """Write the checkpoint, if this is the first process; all give their generators' states."""
        own = torch.get_rng_state()
        self.at.generators = [torch.empty_like(own) for _ in range(self.processes)]
        try:
            dist.all_gather(self.at.generators, own)
        except RuntimeError as error:
            raise PeerLost(str(error)) from error
        if self.rank == 0:
            self.at.model, self.at.optimiser = self.model.state_dict(), self.optimiser.state_dict()
            self.at.write(self.path)
        self.saved = time.monotonic()


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
    """A process's life, as `liquidbench.distributed.train` starts it.

    Over the connection the first process tells every `Epoch` and, at last, why the training ended; any of them an
    exception that ends it.

    Args:
        rank: number of the process.
        course: what is trained.
        train: the training split, in memory that the processes share.
        validation: the validation split.
        path: the checkpoint's file.
        rendezvous: a file by which the processes find each other.
        connection: to the driver. Model and checkpoint come from there, pickled, so that each process has its own.
        save_every: see `Replica`.
        seconds: see `Replica`.
    """
    # Ctrl-C is for the driver, which ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()

    def tell(what: Epoch | str) -> None:
        if rank == 0:
            connection.send(what)

    try:
        assert course.threads is not None
        torch.set_num_threads(course.threads)
        model, checkpoint = pickle.loads(connection.recv_bytes())  # noqa: S301
        try:
            dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=course.devices)
        except RuntimeError as error:
            raise PeerLost(str(error)) from error
        tell(Replica(course, model, checkpoint, train, validation, path, save_every, seconds, tell).run())
        # The driver ends all. On a way out of its own, now and then threads of torch abort the process, and one that
        # leaves early could take from another what it has not read yet.
        threading.Event().wait()
    except Exception as error:
        error.add_note(f"in process {rank} of {course.devices}:\n{traceback.format_exc()}")
        connection.send(error)
        os._exit(1)
