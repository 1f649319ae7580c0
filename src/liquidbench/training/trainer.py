r"""The one loop by which networks learn, in a study's fits and in `liquidbench train`, by one process or by several.

Several processes of a process group train together, each with the whole network and a share of every batch. With losses
:math:`\ell_i` of the :math:`n` scored targets of a batch, of which :math:`n_r` fall to process :math:`r`, the gradient
of the batch's loss is

.. math::

    \nabla \frac{1}{n} \sum_{i} \ell_i = \sum_r \frac{n_r}{n} \, \nabla \Big( \frac{1}{n_r} \sum_{i \in r} \ell_i \Big)

so each process weights its mean loss by its part of the targets, and torch's ``DistributedDataParallel`` sums the
gradients. All processes know the whole batch, hence :math:`n`, before they compute anything.

Where a task tells environments apart, there is such a loss for each, and an objective makes one number of them. Its
derivatives by the losses weight the environments; they are taken where all processes know the losses of the whole
batch, so that it may be any function of them.
"""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from liquidbench.catalogue import SequenceModel
from liquidbench.search import Settings
from liquidbench.training.learning import Data, learning_rate, loss_of, optimiser_of, predict, synchronise

Objective = Callable[[Tensor, Tensor], Tensor]
"""``objective(losses, counts)``, of the environments in a batch: their mean losses and their numbers of scored targets,
each (environments,), in the order of their numbers; gives what is minimised, a scalar."""

Sampler = Callable[[Data, int, torch.Generator], Sequence[Tensor]]
"""``sampler(data, batch_size, generator)`` gives the batches of an epoch as indices of sequences. It depends on nothing
else, for all processes draw the same, and so does a training that goes on within an epoch."""

_SAVE, _STOP = 1.0, 2.0


def erm(losses: Tensor, counts: Tensor) -> Tensor:
    """Empirical risk: the mean over all scored targets, from whichever environment they are.

    Example:
        >>> erm(torch.tensor([1.0, 4.0]), torch.tensor([20.0, 10.0]))
        tensor(2.)
    """
    return (losses * (counts / counts.sum())).sum()


def shuffled(data: Data, batch_size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """All sequences in a drawn order, the last batch perhaps smaller."""
    return torch.randperm(len(data), generator=generator).split(batch_size)


class NoTargetsError(ValueError):
    """There is nothing to learn from, or nothing to validate on."""


def check_targets(train: Data, validation: Data) -> None:
    """Refuse splits without targets.

    Raises:
        NoTargetsError: with the name of the split.
    """
    for name, data in (("training", train), ("validation", validation)):
        if not bool(data.target_mask.any()):
            raise NoTargetsError(f"no {name} sequence has a target")


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
class Progress:
    """How far a training has come.

    Attributes:
        order: state, at the beginning of the epoch, of the generator that draws batches.
        epoch: the one it is in, from 1.
        step: batches of it that are done.
        total: sum over these of the batch's loss times its targets.
        scored: sum of targets.
        seconds: they took.
        curve: the epochs that are complete.
        best_epoch: the one with the lowest validation loss; 0 for the untrained network.
        best_loss: that loss; None before the first validation.
        best: the network's state then.
        ended: why the training is over, "" while it is not.
    """

    order: Tensor
    epoch: int = 1
    step: int = 0
    total: float = 0.0
    scored: int = 0
    seconds: float = 0.0
    curve: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    ended: str = ""


class Step(NamedTuple):
    """What came of a step: the batch's loss before the update, its scored targets, and the sum of wishes."""

    loss: float
    scored: int
    wish: float


def step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    data: Data,
    batch: Tensor,
    clip_norm: float,
    objective: Objective = erm,
    group: dist.ProcessGroup | None = None,
    wish: float = 0.0,
) -> Step:
    """One update, by this process alone or by all of a group, each with a share of the batch.

    The update of several is that of one up to rounding, and the same bits in all of them. A parameter of which no
    process has a gradient has none. A batch without targets changes nothing.

    Args:
        network: with the same parameters in every process; for a group, as `spread` gives it.
        optimiser: over these, in the same state.
        data: the whole split.
        batch: (batch,) indices of sequences, the same in every process.
        clip_norm: largest norm of the whole gradient.
        objective: what is minimised.
        group: the processes, None for this one alone.
        wish: summed over the processes, so that all can act on what one of them decides.

    Returns:
        The mean loss and the number of targets over the whole batch; for a batch without any, zeros.

    Raises:
        FloatingPointError: in all processes, where the loss is not finite; nothing is updated then.
    """
    scored = int(data.target_mask[batch].sum())
    if not scored:
        return Step(0.0, 0, 0.0)
    optimiser.zero_grad(set_to_none=True)
    share = batch if group is None else batch.tensor_split(group.size())[group.rank()]
    # A process without a sequence reads one for nothing: all of a group must pass through the network.
    predictions = network(*data.inputs(share if len(share) else batch[:1]))
    parts, counts = _parts(data, batch, scored, share, predictions[: len(share)])
    losses = parts
    if group is not None:
        told = torch.cat([parts.detach(), parts.new_tensor([wish])])
        dist.all_reduce(told, group=group)
        losses, wish = told[:-1].requires_grad_(), float(told[-1])
    loss = objective(losses, counts)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(f"training loss became {value}")
    if group is not None:
        (weights,) = torch.autograd.grad(loss, losses)
        loss = (parts * weights).sum()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimiser.step()
    return Step(value, scored, wish)


def _parts(data: Data, batch: Tensor, scored: int, share: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor]:
    """What a share adds to the mean loss of each environment of a batch, and the batch's targets of each.

    ``scored`` is how many targets the batch has in all.
    """
    targets, predicted = data.scored(share, predictions)
    if data.environments is None:
        groups = [(targets, predicted)]
        counts = [scored]
    else:
        steps = data.target_mask.shape[-1]
        everywhere = data.scored_environments(batch, steps)
        own = data.scored_environments(share, predictions.shape[1])
        numbers, sizes = everywhere.unique(return_counts=True)
        groups = [(targets[own == number], predicted[own == number]) for number in numbers]
        counts = sizes.tolist()
    parts = [
        # The sum of nothing is zero and has a gradient of zeros; the mean would be no number.
        loss_of(*group) * (len(group[0]) / count) if len(group[0]) else group[1].sum()
        for group, count in zip(groups, counts, strict=True)
    ]
    stacked = torch.stack(parts)
    return stacked, stacked.new_tensor(counts)


def spread(model: SequenceModel, group: dist.ProcessGroup) -> DistributedDataParallel:
    """A network whose gradients are summed over a group of processes in the backward pass.

    The sum is to have the same bits whenever it is made. Its order depends on where in torch's buckets a gradient lies,
    and torch arranges them anew after the first step, so that a training that goes on from a checkpoint would add up in
    another order than one that was never stopped; but not where it is to look for unused parameters in each step.
    """
    with warnings.catch_warnings():
        # The argument's new name is not known to all versions of torch that we run with.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        together = DistributedDataParallel(
            _WithUnused(model), process_group=group, broadcast_buffers=False, find_unused_parameters=True
        )
    # Without a hook it would be their mean.
    together.register_comm_hook(group, _sum)
    return together


class _WithUnused(nn.Module):
    """A network with a parameter that is not used: torch warns on stderr where it looks for some and finds none."""

    def __init__(self, model: SequenceModel):
        super().__init__()
        self.model, self.unused = model, nn.Parameter(next(model.parameters()).new_zeros(1))

    def forward(self, *inputs: Tensor | None) -> Tensor:
        return self.model(*inputs)


def _sum(
    group: dist.ProcessGroup,
    bucket: dist.GradBucket,  # pyright: ignore[reportPrivateImportUsage]
) -> torch.futures.Future[Tensor]:
    pending = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    assert pending is not None
    return pending.get_future().then(lambda done: done.value()[0])


class Trainer:
    """Trains one network until its validation loss stops improving, or epochs or time are spent.

    Dropout draws from torch's global generator of the device, which is for the caller to seed.

    Args:
        model: the network, which is moved to the device of the data; at the end it has the weights of its best epoch.
        settings: learning rate, optimiser, schedule, weight decay, largest norm of the gradient, patience.
        train: the training split.
        validation: the validation split, on the same device.
        epochs: passes over the training split, at most.
        batch_size: sequences a step, over all processes.
        seed: of the order of the data.
        objective: what a step minimises. Validation loss is the mean over targets, whatever it is.
        sampler: draws the batches.
        group: the processes that train together, None for this one alone. Those on other devices than the CPU each have
            one of their own.

    Raises:
        NoTargetsError: for a split without targets.

    Example:
        >>> from liquidbench import catalogue, tasks
        >>> task = tasks.load("occupancy-excerpt")
        >>> train, validation = (Data(task.split(name)) for name in ("train", "validation"))
        >>> model = catalogue.build("GRU", task, hidden_size=8, seed=0)
        >>> trainer = Trainer(model, Settings(learning_rate=0.01), train, validation, epochs=2, batch_size=64)
        >>> trainer.run()
        'all epochs'
        >>> len(trainer.progress.curve)
        2
    """

    def __init__(
        self,
        model: SequenceModel,
        settings: Settings,
        train: Data,
        validation: Data,
        *,
        epochs: int,
        batch_size: int,
        seed: int = 0,
        objective: Objective = erm,
        sampler: Sampler = shuffled,
        group: dist.ProcessGroup | None = None,
    ):
        check_targets(train, validation)
        self.model, self.settings, self.train, self.validation = model.to(train.device), settings, train, validation
        self.epochs, self.batch_size, self.objective, self.sampler = epochs, batch_size, objective, sampler
        self.group = group
        self._network = model if group is None else spread(model, group)
        self._optimiser = optimiser_of(model, settings)
        self._order = torch.Generator().manual_seed(seed)
        self.progress = Progress(self._order.get_state())

    @property
    def patience(self) -> int:
        """Epochs without a better validation loss before training stops."""
        return max(1, round(self.settings.patience * self.epochs))

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser and dropout's generator: with `progress`, all that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, also in a process before."""
        self.model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._set_generator_state(state["generator"])

    def run(
        self,
        *,
        seconds: float = math.inf,
        pause: bool = False,
        save: Callable[[], None] = lambda: None,
        save_every: float = math.inf,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> str:
        """Train to the end, or as long as there is time.

        Of several processes, the clock of the first counts.

        Args:
            seconds: after which it stops at the next step.
            pause: go on another time from that step; else the training is over, and the epoch counts as it is.
            save: called in all processes where the training could go on: before it, after each epoch, and at a pause.
            save_every: seconds between two calls within an epoch.
            on_epoch: called after every epoch that is saved.

        Returns:
            Why it ended: "all epochs", "patience" or "minutes".

        Raises:
            FloatingPointError: where a loss stops being finite.
        """
        clock = _Clock(seconds, save_every, first=self.group is None or self.group.rank() == 0)

        def kept() -> None:
            save()
            clock.saved = time.monotonic()

        at = self.progress
        if at.best_loss is None:
            # The untrained network is the first to beat: one that only got worse has learnt nothing.
            at.best_loss, _ = self._validate(0.0)
            if not math.isfinite(at.best_loss):
                raise FloatingPointError(f"validation loss is {at.best_loss} before training")
            at.best = self._weights()
            kept()
        while not at.ended:
            stopped = self._train_epoch(clock, kept)
            if stopped and pause:
                kept()
                return "minutes"
            epoch = self._close_epoch(clock, pause)
            kept()
            on_epoch(epoch)
        self.model.load_state_dict(at.best)
        return at.ended

    def _train_epoch(self, clock: "_Clock", kept: Callable[[], None]) -> bool:
        """Go on to the epoch's end; whether time was up before."""
        at = self.progress
        for parameters in self._optimiser.param_groups:
            parameters["lr"] = learning_rate(self.settings, at.epoch, self.epochs)
        self._network.train()
        self._order.set_state(at.order)
        for batch in self.sampler(self.train, self.batch_size, self._order)[at.step :]:
            began = time.monotonic()
            try:
                loss, scored, wish = step(
                    self._network,
                    self._optimiser,
                    self.train,
                    batch,
                    self.settings.clip_norm,
                    self.objective,
                    self.group,
                    clock.wish(),
                )
            except FloatingPointError as error:
                raise FloatingPointError(f"{error} in epoch {at.epoch}") from error
            synchronise(self.train.device)
            at.total, at.scored, at.step = at.total + loss * scored, at.scored + scored, at.step + 1
            at.seconds += time.monotonic() - began
            if wish == _STOP:
                return True
            if wish == _SAVE:
                kept()
        return False

    def _close_epoch(self, clock: "_Clock", pause: bool) -> Epoch:
        """Validate, and see whether the training has ended."""
        at = self.progress
        loss, wish = self._validate(clock.wish())
        if not math.isfinite(loss):
            raise FloatingPointError(f"validation loss became {loss} in epoch {at.epoch}")
        epoch = Epoch(at.epoch, at.total / at.scored, loss, at.seconds)
        at.curve.append(epoch)
        assert at.best_loss is not None
        if loss < at.best_loss:
            at.best_epoch, at.best_loss, at.best = at.epoch, loss, self._weights()
        if wish == _STOP and not pause:
            at.ended = "minutes"
        elif at.epoch - at.best_epoch >= self.patience:
            at.ended = "patience"
        elif at.epoch == self.epochs:
            at.ended = "all epochs"
        at.epoch, at.step, at.total, at.scored, at.seconds = at.epoch + 1, 0, 0.0, 0, 0.0
        at.order = self._order.get_state()
        return epoch

    def _validate(self, wish: float) -> tuple[float, float]:
        """Mean loss on validation, of which each process predicts a share, and the sum of wishes."""
        index = torch.arange(len(self.validation))
        share = index if self.group is None else index.tensor_split(self.group.size())[self.group.rank()]
        sums = torch.tensor([0.0, 0.0, wish], dtype=torch.float64)
        if len(share):
            targets, predictions = predict(self.model, self.validation, share)
            if len(targets):
                sums[0], sums[1] = float(loss_of(targets, predictions)) * len(targets), len(targets)
        if self.group is not None:
            sums = sums.to(self.validation.device)
            dist.all_reduce(sums, group=self.group)
        total, scored, wish = sums.tolist()
        return total / scored, wish

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def _generator_state(self) -> Tensor:
        device = self.train.device
        return torch.get_rng_state() if device.type == "cpu" else torch.cuda.get_rng_state(device)

    def _set_generator_state(self, state: Tensor) -> None:
        device = self.train.device
        if device.type == "cpu":
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, device)


class _Clock:
    """What time there is; only the first process's counts."""

    def __init__(self, seconds: float, save_every: float, first: bool):
        self.saved = time.monotonic()
        self._deadline, self._save_every, self._first = self.saved + seconds, save_every, first

    def wish(self) -> float:
        """What is to be done after the step or the epoch."""
        now = time.monotonic()
        if not self._first:
            return 0.0
        return _STOP if now > self._deadline else _SAVE if now - self.saved >= self._save_every else 0.0
