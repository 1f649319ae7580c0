"""How a network learns from batches of a split, and what it then says of another."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidbench.catalogue import SequenceModel
from liquidbench.search import Settings
from liquidbench.tasks.task import Split

EVALUATION_BATCH = 256


class Data:
    """A split as torch tensors, made once; batches are cut from it by index."""

    def __init__(self, split: Split):
        self.values, self.timespans = torch.from_numpy(split.values), torch.from_numpy(split.timespans)
        self.targets, self.target_mask = torch.from_numpy(split.targets), torch.from_numpy(split.target_mask)
        mask = torch.from_numpy(split.mask)
        # Layers are quicker where nothing is missing, and give the same numbers.
        self.mask = None if bool(mask.all()) else mask
        needed = mask.any(-1)
        if self.target_mask.ndim == 2:
            needed = needed | self.target_mask
        steps = torch.arange(1, needed.shape[1] + 1)
        self.lengths = (needed * steps).amax(1).clamp(min=1)

    def __len__(self) -> int:
        return len(self.values)

    def batches(self, size: int, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Indices of all sequences, in a drawn order or their own, the last batch perhaps smaller."""
        if generator is None:
            return torch.arange(len(self)).split(size)
        return torch.randperm(len(self), generator=generator).split(size)

    def inputs(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, time spans and mask of some sequences, cut to the longest of them."""
        length = int(self.lengths[index].max())
        mask = None if self.mask is None else self.mask[index, :length]
        return self.values[index, :length], self.timespans[index, :length], mask

    def scored(self, index: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor]:
        """Targets and predictions where there is a target, the sequences and steps in one axis."""
        known, targets = self.target_mask[index], self.targets[index]
        if known.ndim == 2:
            known, targets = known[:, : predictions.shape[1]], targets[:, : predictions.shape[1]]
        return targets[known], predictions[known]


def optimiser_of(model: SequenceModel, settings: Settings) -> torch.optim.Optimizer:
    """The optimiser that settings name, over all parameters of a model."""
    parameters, rate, decay = model.parameters(), settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay)
    raise ValueError(f"optimiser must be one of adamw, rmsprop; got {settings.optimiser!r}")


def learning_rate(settings: Settings, epoch: int, epochs: int) -> float:
    """What the schedule that settings name makes of the learning rate in an epoch, counted from 1, of so many."""
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
    return settings.learning_rate


def step(
    model: SequenceModel,
    optimiser: torch.optim.Optimizer,
    data: Data,
    batch: Tensor,
    clip_norm: float,
) -> tuple[float, int]:
    """One update; the loss before it, and the number of predictions it is the mean of."""
    targets, predictions = data.scored(batch, model(*data.inputs(batch)))
    if not len(targets):
        return 0.0, 0
    loss = loss_of(targets, predictions)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()
    return float(loss.detach()), len(targets)


@torch.inference_mode()
def predict(model: SequenceModel, data: Data) -> tuple[Tensor, Tensor]:
    """Targets and predictions of a whole split, (n,) and (n, outputs) where it has targets."""
    model.eval()
    parts = [data.scored(batch, model(*data.inputs(batch))) for batch in data.batches(EVALUATION_BATCH)]
    targets, predictions = zip(*parts, strict=True)
    return torch.cat(targets), torch.cat(predictions)


def loss_of(targets: Tensor, predictions: Tensor) -> Tensor:
    """Mean cross-entropy of class numbers, mean squared error of values."""
    if targets.is_floating_point():
        return F.mse_loss(predictions, targets)
    return F.cross_entropy(predictions, targets)
