"""The parts of training: a split as tensors, the optimiser, the learning-rate schedule, the loss, and predictions.

`Data.to` moves splits to a device; the trainer moves networks.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidbench.networks import SequenceModel
from liquidbench.search import Settings
from liquidbench.study import DEVICES
from liquidbench.tasks.task import Split

EVALUATION_BATCH = 256
CPU = torch.device("cpu")


def device_of(kind: str, number: int = 0) -> torch.device:
    """The torch device that a process computes on.

    Args:
        kind: one of `liquidbench.study.DEVICES`.
        number: index of the device on this machine, if each process has its own.

    Raises:
        ValueError: if the kind is unknown or the device does not exist.
    """
    if kind not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}; got {kind!r}")
    if kind == "cpu":
        return CPU
    there = torch.cuda.device_count()
    if not there:
        raise ValueError(
            f"device must exist; got {kind!r}, but torch {torch.__version__} finds no CUDA device on this machine. "
            "Use 'cpu', or install a torch that is built for its GPU and driver"
        )
    if number >= there:
        raise ValueError(
            f"device must exist; got {kind!r} for process {number} of this machine, counted from 0, but it has only "
            f"{there}. Use at most one process per device"
        )
    return torch.device(kind, number)


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished all queued work, so that time can be measured."""
    if device.type != "cpu":
        torch.cuda.synchronize(device)


@contextmanager
def forked_generators(device: torch.device) -> Iterator[None]:
    """Context manager that restores torch's global random generators at its end."""
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        yield


class Data:
    """A split as torch tensors, from which batches are selected by index.

    Args:
        split: the arrays.
        device: the device of the tensors.

    Attributes:
        lengths: (sequence,) the number of steps of each sequence.
        durations: (sequence,) the sum of the time spans of these steps.
        by_duration: (sequence,) indices of the sequences, the shortest first.
        environments: the environment of each sequence, or of each of its steps, as in the split but numbered from 0;
            None if the task has no environments.
    """

    def __init__(self, split: Split, device: torch.device = CPU):
        self.values, self.timespans = torch.from_numpy(split.values), torch.from_numpy(split.timespans)
        self.targets, self.target_mask = torch.from_numpy(split.targets), torch.from_numpy(split.target_mask)
        mask = torch.from_numpy(split.mask)
        # Without a mask, layers are faster and compute the same.
        self.mask = None if bool(mask.all()) else mask
        needed = mask.any(-1)
        if self.target_mask.ndim == 2:
            needed = needed | self.target_mask
        steps = torch.arange(1, needed.shape[1] + 1)
        self.lengths = (needed * steps).amax(1).clamp(min=1)
        self.durations = (self.timespans * (steps <= self.lengths[:, None])).sum(1)
        self.by_duration = self.durations.argsort(stable=True)
        self.environments = None
        if split.environments is not None:
            self.environments = torch.from_numpy(split.environments).unique(return_inverse=True)[1]
        self.to(device)

    def to(self, device: torch.device) -> Self:
        """Move all tensors to a device, in place; return self."""
        for name, tensor in vars(self).items():
            if tensor is not None:
                setattr(self, name, tensor.to(device))
        return self

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.values.device

    def __len__(self) -> int:
        return len(self.values)

    def inputs(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, time spans and mask of some sequences, cut to the length of the longest."""
        length = int(self.lengths[index].max())
        mask = None if self.mask is None else self.mask[index, :length]
        return self.values[index, :length], self.timespans[index, :length], mask

    def scored(self, index: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor]:
        """Targets and predictions at all steps that have a target, flattened over sequences and steps."""
        known, targets = self.target_mask[index], self.targets[index]
        if known.ndim == 2:
            known, targets = known[:, : predictions.shape[1]], targets[:, : predictions.shape[1]]
        return targets[known], predictions[known]


def optimiser_of(model: SequenceModel, settings: Settings) -> torch.optim.Optimizer:
    """The optimiser given in the settings, over all parameters of a model."""
    parameters, rate, decay = model.parameters(), settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay)
    raise ValueError(f"optimiser must be one of adamw, rmsprop; got {settings.optimiser!r}")


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 1: linear warm-up, then the schedule.

    Example:
        >>> settings = Settings(0.01, schedule="cosine", warm_up=0.1)
        >>> [round(learning_rate(settings, step, 100), 6) for step in (1, 5, 10, 11, 56, 101)]
        [0.001, 0.005, 0.01, 0.01, 0.005, 0.0]
    """
    rising = round(settings.warm_up * steps)
    if step <= rising:
        return settings.learning_rate * step / rising
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 + math.cos(math.pi * (step - 1 - rising) / (steps - rising))) / 2
    return settings.learning_rate


@torch.inference_mode()
def predict(model: SequenceModel, data: Data) -> tuple[Tensor, Tensor]:
    """All n targets of the data, (n,), and their predictions, (n, outputs), on the CPU."""
    model.eval()
    batches = torch.arange(len(data)).split(EVALUATION_BATCH)
    parts = [data.scored(batch, model(*data.inputs(batch))) for batch in batches]
    targets, predictions = zip(*parts, strict=True)
    return torch.cat(targets).cpu(), torch.cat(predictions).cpu()


def loss_of(targets: Tensor, predictions: Tensor) -> Tensor:
    """Mean cross-entropy for class indices, mean squared error for real values."""
    if targets.is_floating_point():
        return F.mse_loss(predictions, targets)
    return F.cross_entropy(predictions, targets)
