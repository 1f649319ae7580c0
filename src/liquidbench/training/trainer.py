r"""The one loop by which networks learn, in a study's fits and in `liquidbench train`, by one process or by several.

What a step minimises is an objective of `liquidrnn.objectives`, by default the mean loss of the scored targets.

Several processes of a process group train together, each with the whole network and a share of every batch. An
objective :math:`J` of sums :math:`s` over the sequences of each environment
(`liquidrnn.objectives.EnvironmentObjective`) has, with the part :math:`s_r` of process :math:`r`, the gradient

.. math::

    \nabla J(s) = \sum_r \nabla \Big( \frac{\partial J}{\partial s} \cdot s_r \Big), \qquad s = \sum_r s_r

so the processes add up their sums, each takes the derivatives of the objective by them, and torch's
``DistributedDataParallel`` adds up the gradients; or each keeps a part of every parameter and of what the optimiser
knows of it, and torch's ``fully_shard`` gathers a recurrence's parameters when it is read and scatters the sums of its
gradients.
"""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from liquidbench import objectives
from liquidbench.metrics import Metric, score
from liquidbench.networks import SequenceModel
from liquidbench.search import Settings
from liquidbench.tasks.task import Task
from liquidbench.training.learning import (
    EVALUATION_BATCH,
    Data,
    learning_rate,
    loss_of,
    optimiser_of,
    predict,
    synchronise,
)
from liquidrnn.objectives import (
    CORAL,
    ERM,
    IRM,
    Batch,
    EnvironmentObjective,
    GroupDRO,
    Mixup,
    Objective,
    StateMoments,
    VREx,
)

PARALLEL = ("ddp", "fsdp")
"""How processes share a network: each has all of it, or a part of each of its parameters."""

FEWEST_PATIENCE = 300
"""Steps without a better validation score that are waited for in any case."""

IMPROVING = 0.02
"""A training whose last tenth of steps brought more than this share of all that it gained was still improving."""

Sampler = Callable[[Data, int, torch.Generator, int], Sequence[Tensor]]
"""``sampler(data, batch_size, generator, level)`` gives the batches of a pass over the data as indices of sequences;
``level``, from 0 to `LEVELS`, is how far a curriculum has come. The batches must depend on these arguments alone: every
process draws them for itself, and so does a training that resumes within a pass."""

LEVELS = 30
"""Levels of the curriculum of `shortest_first`; at the last one it draws from all sequences."""

MASTERED = 0.15
"""A level is mastered when the smoothed training loss is below this share of the untrained network's loss."""

CURRICULUM = 0.6
"""The share of steps after which training reads all sequences, whatever levels have been mastered."""

_SMOOTHING = 0.97

_SAVE, _STOP = 1.0, 2.0


def mean_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """The loss of `liquidrnn.objectives`: `liquidbench.training.learning.loss_of`."""
    return loss_of(targets, predictions)


def shuffled(data: Data, batch_size: int, generator: torch.Generator, level: int = LEVELS) -> tuple[Tensor, ...]:
    """All sequences in a drawn order, the last batch perhaps smaller."""
    return torch.randperm(len(data), generator=generator).split(batch_size)


def shortest_first(data: Data, batch_size: int, generator: torch.Generator, level: int) -> tuple[Tensor, ...]:
    """A curriculum: the short sequences in a drawn order; longer ones too once the network has mastered these.

    The longest duration in a pass is the shortest in the data plus ``level / LEVELS`` of the range of durations. The
    trainer raises the level when the loss is low (`MASTERED`), and after `CURRICULUM` of the steps in any case. A pass
    has at least one full batch, if the data have.

    Source: Bengio, Louradour, Collobert and Weston, Curriculum learning, ICML 2009; when the level rises is our rule.
    """
    order = data.by_duration
    durations = data.durations[order]
    longest = durations[0] + (durations[-1] - durations[0]) * level / LEVELS
    short = max(int((durations <= longest).sum()), min(batch_size, len(data)))
    return order[torch.randperm(short, generator=generator)].split(batch_size)


def balanced(data: Data, batch_size: int, generator: torch.Generator, level: int = LEVELS) -> tuple[Tensor, ...]:
    """Batches with as many sequences of each environment, whose sequences are drawn anew once all have been read.

    A pass has as many batches as one of all sequences. Where there are more environments than half of a batch, each
    batch has two sequences of each of some, which are drawn.
    """
    assert data.environments is not None
    members = [(data.environments == one).nonzero().flatten() for one in data.environments.unique()]
    some = min(len(members), max(batch_size // 2, 1))
    sizes = [len(part) for part in torch.arange(batch_size).tensor_split(some)]
    decks: list[Tensor] = [own[:0] for own in members]

    def dealt(number: int, count: int) -> Tensor:
        own = members[number]
        while len(decks[number]) < count:
            drawn = own[torch.randperm(len(own), generator=generator).to(own.device)]
            decks[number] = torch.cat([decks[number], drawn])
        hand, decks[number] = decks[number][:count], decks[number][count:]
        return hand

    def batch() -> Tensor:
        chosen = torch.randperm(len(members), generator=generator)[:some].tolist()
        return torch.cat([dealt(number, count) for number, count in zip(chosen, sizes, strict=True)])

    return tuple(batch() for _ in range(max(len(data) // batch_size, 1)))


def sampler_of(task: Task, objective: Objective | None = None) -> Sampler:
    """The sampler that a task asks for, and an objective."""
    environments = None if objective is None or not objective.fewest else task.split("train").environments
    # Where steps have environments, each sequence has several.
    if environments is not None and environments.ndim == 1:
        return balanced
    return shortest_first if task.shortest_first else shuffled


def objective_of(text: str, strength: float | None, data: Data, steps: int) -> Objective:
    """The objective that a study names.

    Weights of IRM and V-REx are at most 1 in the first quarter of the steps. DomainBed waits too (Gulrajani and
    Lopez-Paz, In Search of Lost Domain Generalization, ICLR 2021), by default for a tenth; on the tasks of
    `liquidbench.tasks.invariance` networks have learnt nothing by then that a penalty could choose from.

    Args:
        text: see `liquidbench.objectives.parse`.
        strength: what a search has drawn; None for what the text gives.
        data: the training split.
        steps: largest number of steps.

    Raises:
        ValueError: if neither gives a strength that the objective needs.
    """
    named, given = objectives.parse(text)
    if named.strength and given is None and strength is None:
        raise ValueError(f"strength must be given for objective {named.name}: its {named.strength}")
    how = strength if given is None else given
    if how is None:
        return ERM(mean_loss)
    match named.name:
        case "irm":
            return IRM(how, mean_loss, anneal=steps // 4)
        case "vrex":
            return VREx(how, mean_loss, anneal=steps // 4)
        case "group_dro":
            assert data.environments is not None
            return GroupDRO(int(data.environments.max()) + 1, how, mean_loss)
        case "coral":
            return CORAL(how, mean_loss)
        case "state_moments":
            return StateMoments(how, mean_loss)
        case "mixup_within":
            return Mixup(how, "within", mean_loss)
        case "mixup_between":
            return Mixup(how, "between", mean_loss)
        case _:
            return Mixup(how, "any", mean_loss)


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
class Evaluation:
    """How a training stands after some of its steps.

    Attributes:
        step: after how many.
        train_loss: mean over the training targets since the evaluation before, as they were met.
        validation_loss: mean over validation targets.
        score: on validation, by the metric that chooses; None where that is undefined.
        seconds: that the steps since the evaluation before took, without validation and checkpoints.
        sequences: that these steps read, over all processes.
    """

    step: int
    train_loss: float
    validation_loss: float
    score: float | None
    seconds: float
    sequences: int


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        order: state, at the beginning of this pass over the data, of the generator that draws batches.
        level: level of the curriculum that the pass is drawn from.
        mastered: levels that are mastered; `LEVELS` without a curriculum. If there are more than ``level``, the pass
            ends.
        complete: steps that were done when all sequences began to be read.
        smoothed: moving average of the training loss, by which levels are mastered; None before the first step.
        batch: batches of the pass that are done.
        step: steps that are done.
        total: since the last evaluation, sum of each batch's loss times its targets.
        scored: since then, targets.
        sequences: since then, sequences.
        seconds: since then, of steps.
        curve: all evaluations after training began.
        untrained: score before training, None where it is undefined.
        untrained_loss: the validation loss then; None before the first validation.
        best_step: after which the validation score was best; 0 for the untrained network.
        best_score: the score then.
        best_loss: the validation loss then; None before the first validation.
        best: the network's state then, whole in each process.
        ended: why the training is over, "" while it is not.
    """

    order: Tensor
    level: int = LEVELS
    mastered: int = LEVELS
    complete: int = 0
    smoothed: float | None = None
    batch: int = 0
    step: int = 0
    total: float = 0.0
    scored: int = 0
    sequences: int = 0
    seconds: float = 0.0
    curve: list[Evaluation] = field(default_factory=list)
    untrained: float | None = None
    untrained_loss: float | None = None
    best_step: int = 0
    best_score: float | None = None
    best_loss: float | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    ended: str = ""


def beginning(seed: int, sampler: Sampler) -> Progress:
    """The progress of a training that has not begun, given the seed of the order of the data."""
    level = 0 if sampler is shortest_first else LEVELS
    return Progress(torch.Generator().manual_seed(seed).get_state(), level, level)


def interval(steps: int) -> int:
    """Steps from one evaluation on validation to the next: a fiftieth of the most there may be, but at least 10."""
    return max(10, steps // 50)


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
    objective: Objective | None = None,
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
        objective: what is minimised, None for the mean loss; for a group an `EnvironmentObjective`, in the same state
            in every process.
        group: the processes, None for this one alone.
        wish: summed over the processes, so that all can act on what one of them decides.

    Returns:
        The objective and the number of targets over the whole batch; for a batch without any, zeros.

    Raises:
        ValueError: if the batch has targets from too few environments, or several processes cannot share the objective.
        FloatingPointError: in all processes, where the loss is not finite; nothing is updated then.
    """
    scored = int(data.target_mask[batch].sum())
    if not scored:
        return Step(0.0, 0, 0.0)
    optimiser.zero_grad(set_to_none=True)
    objective = ERM(mean_loss) if objective is None else objective
    model = network if not objective.features else partial(network, features=objective.features)
    if group is None:
        loss = objective(model, _given(data, batch))
        value = float(loss.detach())
    else:
        loss, value, wish = _shared_loss(model, data, batch, objective, group, wish)
    if not math.isfinite(value):
        raise FloatingPointError(f"training loss became {value}")
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimiser.step()
    return Step(value, scored, wish)


def _shared_loss(
    model: Callable[..., Any],
    data: Data,
    batch: Tensor,
    objective: Objective,
    group: dist.ProcessGroup,
    wish: float,
) -> tuple[Tensor, float, float]:
    """What this process is to differentiate, the objective of the whole batch, and the sum of wishes."""
    check_shared(objective)
    assert isinstance(objective, EnvironmentObjective)
    share = batch.tensor_split(group.size())[group.rank()]
    # A process without a sequence reads one for nothing: all of a group must pass through the network.
    own = _given(data, share) if len(share) else _unscored(_given(data, batch[:1]))
    numbers = objective.numbers(_given(data, batch))
    parts = objective.sums(model, own, numbers)
    told = torch.cat([parts.detach().flatten(), parts.new_tensor([wish])])
    dist.all_reduce(told, group=group)
    total = told[:-1].reshape(parts.shape).requires_grad_()
    loss = objective.combine(total, numbers)
    (weights,) = torch.autograd.grad(loss, total)
    return (parts * weights).sum(), float(loss.detach()), float(told[-1])


def check_shared(objective: Objective) -> None:
    """Refuse an objective that several processes cannot compute together.

    Raises:
        ValueError: if it is not made of sums over environments.
    """
    if not isinstance(objective, EnvironmentObjective):
        raise ValueError(
            f"objective must be an EnvironmentObjective for several processes, which share each batch; got "
            f"{type(objective).__name__}, which looks at all sequences of a batch at once: train with one process"
        )


def _given(data: Data, index: Tensor) -> Batch:
    """Some sequences as an objective reads them."""
    values, timespans, mask = data.inputs(index)
    known = data.target_mask[index]
    environments = torch.zeros(len(index), dtype=torch.int64, device=data.device)
    if data.environments is not None:
        environments = data.environments[index]
    present = None if mask is None else mask.any(-1)
    return Batch((values, timespans, mask), data.targets[index], environments, known, present)


def _unscored(batch: Batch) -> Batch:
    """A batch of which nothing counts."""
    values = batch.inputs[0]
    assert values is not None and batch.scored is not None
    nowhere = torch.zeros(values.shape[:2], dtype=torch.bool, device=values.device)
    return replace(batch, scored=torch.zeros_like(batch.scored), present=nowhere)


def spread(model: SequenceModel, group: dist.ProcessGroup, parallel: str = "ddp") -> nn.Module:
    """A network whose gradients are summed over a group of processes in the backward pass.

    Args:
        model: the network; with "fsdp" its parameters become `DTensor`, of which each process has a part.
        group: the processes.
        parallel: one of `PARALLEL`.
    """
    return _replicated(model, group) if parallel == "ddp" else _Sharded(model, group)


def _replicated(model: SequenceModel, group: dist.ProcessGroup) -> DistributedDataParallel:
    # The sum is to have the same bits whenever it is made. Its order depends on where in torch's buckets a gradient
    # lies, and torch arranges them anew after the first step, so that a training that goes on from a checkpoint would
    # add up in another order than one that was never stopped; but not where it is to look for unused parameters in each
    # step.
    with warnings.catch_warnings():
        # The argument's new name is not known to all versions of torch that we run with.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        together = DistributedDataParallel(
            _WithUnused(model), process_group=group, broadcast_buffers=False, find_unused_parameters=True
        )
    # Without a hook it would be their mean.
    together.register_comm_hook(group, _sum)
    return together


class _Sharded(nn.Module):
    """A network of which each process keeps a part; a recurrence's parameters are whole while it reads its inputs."""

    def __init__(self, model: SequenceModel, group: dist.ProcessGroup):
        super().__init__()
        mesh = DeviceMesh.from_group(group, next(model.parameters()).device.type)
        for part in (*model.layer.recurrences, model):
            sharded = fully_shard(part, mesh=mesh)
            assert isinstance(sharded, FSDPModule)
            # Sums of gradients, not their means; gloo can only add.
            sharded.set_gradient_divide_factor(1.0)
            sharded.set_force_sum_reduction_for_comms(True)
        self.model = model

    def forward(self, *inputs: Tensor | None, **asked: str) -> Any:
        with warnings.catch_warnings():
            # Nobody changes these outputs in place.
            warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
            return self.model(*inputs, **asked)


def whole(state: Any) -> Any:
    """A state of a network or an optimiser with its tensors whole, which all processes of a group must ask for."""
    if isinstance(state, dict):
        return {name: whole(part) for name, part in state.items()}
    return state.full_tensor() if isinstance(state, DTensor) else state


def parted(state: Any, like: Tensor) -> Any:
    """A tensor, or all in a dictionary that are as large as one, as parts of a whole; each process has the whole."""
    if isinstance(state, dict):
        return {name: parted(part, like) for name, part in state.items()}
    if not isinstance(like, DTensor) or not isinstance(state, Tensor) or state.shape != like.shape:
        return state
    return distribute_tensor(state.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


class _WithUnused(nn.Module):
    """A network with a parameter that is not used: torch warns on stderr where it looks for some and finds none."""

    def __init__(self, model: SequenceModel):
        super().__init__()
        self.model, self.unused = model, nn.Parameter(next(model.parameters()).new_zeros(1))

    def forward(self, *inputs: Tensor | None, **asked: str) -> Any:
        return self.model(*inputs, **asked)


def _sum(
    group: dist.ProcessGroup,
    bucket: dist.GradBucket,  # pyright: ignore[reportPrivateImportUsage]
) -> torch.futures.Future[Tensor]:
    pending = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    assert pending is not None
    return pending.get_future().then(lambda done: done.value()[0])


class Trainer:
    """Trains one network until its validation score stops improving, or steps or time are spent.

    After every `interval` of steps it is scored on validation, by the metric or, where two scores are equal or there
    is no metric, by the loss. Dropout draws from torch's global generator of the device, which is for the caller to
    seed.

    Args:
        model: the network, which is moved to the device of the data; at the end it has the weights of its best step.
        settings: learning rate, optimiser, schedule, weight decay, largest norm of the gradient, patience, warm-up.
        train: the training split.
        validation: the validation split, on the same device.
        steps: updates of the network, at most. A batch without targets is none.
        until: the step at which to end and whose weights to keep, one of those that are evaluated; None for the best on
            validation.
        batch_size: sequences a step, over all processes.
        seed: of the order of the data.
        metric: chooses the best step on validation; None for the loss.
        objective: what a step minimises, None for the mean loss over targets. Validation loss is that mean in any case.
        sampler: draws the batches.
        group: the processes that train together, None for this one alone. Those on other devices than the CPU each have
            one of their own.
        parallel: one of `PARALLEL`: how they share the network.

    Raises:
        NoTargetsError: for a split without targets.
        ValueError: for a group, if several processes cannot share the objective.

    Example:
        >>> from liquidbench import networks, tasks
        >>> task = tasks.load("occupancy-excerpt")
        >>> train, validation = (Data(task.split(name)) for name in ("train", "validation"))
        >>> model = networks.build("GRU", task, hidden_size=8, seed=0)
        >>> how = {"steps": 20, "batch_size": 64, "metric": task.main}
        >>> trainer = Trainer(model, Settings(learning_rate=0.01), train, validation, **how)
        >>> trainer.run()
        'all steps'
        >>> [evaluation.step for evaluation in trainer.progress.curve]
        [10, 20]
    """

    def __init__(
        self,
        model: SequenceModel,
        settings: Settings,
        train: Data,
        validation: Data,
        *,
        steps: int,
        batch_size: int,
        until: int | None = None,
        seed: int = 0,
        metric: Metric | None = None,
        objective: Objective | None = None,
        sampler: Sampler = shuffled,
        group: dist.ProcessGroup | None = None,
        parallel: str = "ddp",
    ):
        check_targets(train, validation)
        self.model, self.settings, self.train, self.validation = model.to(train.device), settings, train, validation
        self.steps, self.batch_size, self.metric, self.until = steps, batch_size, metric, until
        self.objective = (ERM(mean_loss) if objective is None else objective).to(train.device)
        self.sampler, self.group = sampler, group
        if group is not None:
            check_shared(self.objective)
        self._network = model if group is None else spread(model, group, parallel)
        self._optimiser = optimiser_of(model, settings)
        self._order = torch.Generator()
        self.progress = beginning(seed, sampler)

    @property
    def patience(self) -> int:
        """Steps without a better validation score, once all sequences are read, before training stops."""
        return max(FEWEST_PATIENCE, round(self.settings.patience * self.steps))

    @property
    def improving(self) -> bool:
        """Whether the training was still improving when its steps were spent, so that more might change its score.

        It was where the last tenth of its steps brought more than `IMPROVING` of all that it gained on validation.
        """
        at = self.progress
        if at.ended != "all steps" or self.until is not None:
            return False
        first = self._worth(at.untrained, 0.0)[0]
        worth = [(one.step, self._worth(one.score, one.validation_loss)[0]) for one in at.curve]
        late = max(value for _, value in worth)
        early = max([first, *(value for step, value in worth if step <= 0.9 * self.steps)])
        return math.isfinite(first) and late - early > IMPROVING * (late - first)

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser, objective and dropout's generator: with `progress`, all that the next step depends on.

        Of several processes all must ask.
        """
        return {
            "model": whole(dict(self.model.state_dict())),
            "optimiser": whole(self._optimiser.state_dict()),
            "objective": dict(self.objective.state_dict()),
            "generator": self._generator_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, also in a process before."""
        self._load(state["model"])
        optimiser, parameters = state["optimiser"], list(self.model.parameters())
        parts = {number: parted(known, parameters[number]) for number, known in optimiser["state"].items()}
        self._optimiser.load_state_dict({**optimiser, "state": parts})
        self.objective.load_state_dict(state["objective"])
        self._set_generator_state(state["generator"])

    def run(
        self,
        *,
        seconds: float = math.inf,
        pause: bool = False,
        save: Callable[[], None] = lambda: None,
        save_every: float = math.inf,
        on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
        halt: Callable[[int, float | None], bool] = lambda step, best_score: False,
    ) -> str:
        """Train to the end, or as long as there is time.

        Of several processes, the clock of the first counts.

        Args:
            seconds: after which it stops at the next step.
            pause: go on another time from that step; else the training is over, and it is evaluated as it is.
            save: called in all processes where the training could go on: before it, after each evaluation, and at a
                pause.
            save_every: seconds between two calls between evaluations.
            on_evaluation: called after every evaluation, when it is saved.
            halt: called after that, once all sequences are read, with the steps that are done and the best score so
                far; whether to stop for good.

        Returns:
            Why it ended: "all steps", "patience", "pruned" where it was halted, or "minutes".

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
            at.best_loss, at.untrained = self._validate()
            at.untrained_loss = at.best_loss
            if not math.isfinite(at.best_loss):
                raise FloatingPointError(f"validation loss is {at.best_loss} before training")
            at.best_score, at.best = at.untrained, self._weights()
            kept()
        while not at.ended:
            stopped = self._train(clock, kept)
            if stopped and pause:
                kept()
                return "minutes"
            evaluation = self._evaluate(stopped)
            kept()
            on_evaluation(evaluation)
            # Validation has all lengths: until they are read, its scores must not end a training.
            if not at.ended and at.mastered == LEVELS and halt(at.step, at.best_score):
                at.ended = "pruned"
        self._load(at.best)
        return at.ended

    def _train(self, clock: "_Clock", kept: Callable[[], None]) -> bool:
        """Go on to the next evaluation; whether time was up before."""
        at, every = self.progress, interval(self.steps)
        self._network.train()
        evaluated = at.curve[-1].step if at.curve else 0
        until = min((evaluated // every + 1) * every, self.steps)
        while True:
            self._order.set_state(at.order)
            batches = self.sampler(self.train, self.batch_size, self._order, at.level)
            before = at.step if at.batch == 0 else -1
            for batch in batches[at.batch :]:
                if at.step == until:
                    return False
                if at.mastered > at.level:
                    break
                wish = self._step(batch, clock)
                if wish == _STOP:
                    return True
                if wish == _SAVE:
                    kept()
            if at.step == before:
                raise NoTargetsError("no batch has a target")
            at.batch, at.level, at.order = 0, at.mastered, self._order.get_state()

    def _step(self, batch: Tensor, clock: "_Clock") -> float:
        """One update, if the batch has targets; what is to be done after it."""
        at, began = self.progress, time.monotonic()
        for parameters in self._optimiser.param_groups:
            parameters["lr"] = learning_rate(self.settings, at.step + 1, self.steps)
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
            raise FloatingPointError(f"{error} in step {at.step + 1}") from error
        synchronise(self.train.device)
        at.batch += 1
        if scored:
            at.step, at.sequences = at.step + 1, at.sequences + len(batch)
            at.total, at.scored = at.total + loss * scored, at.scored + scored
            self._advance(loss)
            at.seconds += time.monotonic() - began
        return wish

    def _advance(self, loss: float) -> None:
        """Raise the curriculum's level if the loss of the last steps shows that it is mastered."""
        at = self.progress
        if at.mastered == LEVELS:
            return
        assert at.untrained_loss is not None
        before = loss if at.smoothed is None else at.smoothed
        at.smoothed = _SMOOTHING * before + (1 - _SMOOTHING) * loss
        if at.step >= CURRICULUM * self.steps:
            at.mastered = LEVELS
        elif at.smoothed < (low := MASTERED * at.untrained_loss):
            # The next level has to be shown for some steps.
            at.mastered, at.smoothed = at.mastered + 1, 2 * low
        if at.mastered == LEVELS:
            at.complete = at.step

    def _evaluate(self, stopped: bool) -> Evaluation:
        """Validate, and see whether the training has ended."""
        at = self.progress
        loss, found = self._validate()
        if not math.isfinite(loss):
            raise FloatingPointError(f"validation loss became {loss} in step {at.step}")
        trained = at.total / at.scored if at.scored else math.nan
        evaluation = Evaluation(at.step, trained, loss, found, at.seconds, at.sequences)
        at.curve.append(evaluation)
        assert at.best_loss is not None
        better = self._worth(found, loss) > self._worth(at.best_score, at.best_loss)
        # Towards a given step, the last weights are those to keep.
        if better or self.until is not None:
            at.best_step, at.best_score, at.best_loss, at.best = at.step, found, loss, self._weights()
        if stopped:
            at.ended = "minutes"
        elif at.step == (self.steps if self.until is None else self.until):
            at.ended = "all steps"
        elif at.mastered == LEVELS and at.step - max(at.best_step, at.complete) >= self.patience:
            at.ended = "patience"
        at.total, at.scored, at.sequences, at.seconds = 0.0, 0, 0, 0.0
        return evaluation

    def _worth(self, found: float | None, loss: float) -> tuple[float, float]:
        """What is to be as large as can be: the score, and of equal scores that with the lower loss."""
        if self.metric is None:
            return -loss if found is None else -found, -loss
        if found is None:
            return -math.inf, -loss
        return (found if self.metric.higher_is_better else -found), -loss

    def _validate(self) -> tuple[float, float | None]:
        """Mean loss on validation and the score, which is the loss where there is no metric."""
        targets, predictions = predict(self.model, self.validation) if self.group is None else self._predicted()
        loss = float(loss_of(targets, predictions))
        if self.metric is None:
            return loss, loss
        try:
            return loss, score(self.metric, targets.numpy(), predictions.numpy())
        except ValueError:
            # Undefined on these targets: whoever reports on the training says why.
            return loss, None

    @torch.no_grad()
    def _predicted(self) -> tuple[Tensor, Tensor]:
        """As `predict`, each process a share of each batch, so that all of them pass through the network as often."""
        assert self.group is not None
        data, size, rank = self.validation, self.group.size(), self.group.rank()
        known = data.target_mask
        self._network.eval()
        found = []
        for batch in torch.arange(len(data)).split(size * EVALUATION_BATCH):
            shares = batch.tensor_split(size)
            own = shares[rank]
            _, predictions = data.scored(own, self._network(*data.inputs(own if len(own) else batch[:1]))[: len(own)])
            counts = [int(known[share].sum()) for share in shares]
            together = [predictions.new_zeros(max(counts), predictions.shape[-1]) for _ in shares]
            padded = torch.zeros_like(together[0])
            padded[: len(predictions)] = predictions
            dist.all_gather(together, padded, group=self.group)
            found += [part[:count] for part, count in zip(together, counts, strict=True)]
        return data.targets[known].cpu(), torch.cat(found).cpu()

    def _weights(self) -> dict[str, Tensor]:
        # Of a network that is in parts for its size, the device need not hold all of it.
        return {
            name: tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor.clone()
            for name, tensor in self.model.state_dict().items()
        }

    def _load(self, weights: dict[str, Tensor]) -> None:
        now = self.model.state_dict()
        self.model.load_state_dict({name: parted(tensor, now[name]) for name, tensor in weights.items()})

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
        """What is to be done after the step."""
        now = time.monotonic()
        if not self._first:
            return 0.0
        return _STOP if now > self._deadline else _SAVE if now - self.saved >= self._save_every else 0.0
