"""The loop: a run and its task in, rows of results out.

Every model gets the same: for one seed the same batches in the same order, and as many trials, epochs,
patience and minutes as any other. Validation loss says when to stop, the validation score of the main metric
says which learning rate was best, and only when both are settled is the test split asked for.
"""

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import liquidbench
from liquidbench import catalogue
from liquidbench.catalogue import SequenceModel
from liquidbench.metrics import METRICS, score
from liquidbench.study import Run
from liquidbench.tasks.corruption import add_noise, remove_steps
from liquidbench.tasks.task import Split, Task
from liquidrnn import Stream, kernels

Row = dict[str, Any]

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """What `fit` tells its caller after each epoch.

    Attributes:
        trial: index of the learning rate, from 0.
        trials: number of learning rates.
        epoch: from 1.
        epochs: most epochs of a trial.
        train_loss: mean over the epoch's training steps, as they were met.
        validation_loss: after the epoch.
    """

    trial: int
    trials: int
    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float


@dataclass
class _Trial:
    """One learning rate: its curve, and what its best epoch gave."""

    index: int
    learning_rate: float
    curve: list[Epoch] = field(default_factory=list)
    ended: str = "all epochs"
    failure: str | None = None
    best_epoch: int = 0
    best_loss: float = math.inf
    best_score: float = math.nan
    weights: dict[str, Tensor] = field(default_factory=dict)


@torch.random.fork_rng(devices=[])
def fit(run: Run, task: Task, on_epoch: Callable[[Epoch], None] | None = None) -> list[Row]:
    """Train one model on one task with one seed, once per learning rate, and score the best on test.

    Batches are drawn from the run's seed alone, so all models with one seed see the same batches in the same
    order, and so do all learning rates; the corruptions of the test split are drawn from it too. The cap in
    minutes is shared equally among the learning rates.

    A trial whose loss stops being finite has failed, and a row says why. When all trials have failed, or the
    chosen one has no score on test, so has the run.

    Args:
        run: what to train, of kind ``"fit"``.
        task: its data. Train and validation are asked for at the start, test when the model is chosen.
        on_epoch: called after every epoch.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: the model has no size within the budget on this task, or the data break a promise.
    """
    hidden_size, learning_rates = _configuration(run, task)
    rows = _Rows(run, task.data_digest, hidden_size)
    train, validation = _Data(task.split("train")), _Data(task.split("validation"))
    model = catalogue.build(run.model, task, hidden_size, run.seed, run.variant)
    rows.parameters = catalogue.count_parameters(model)
    trials = []
    for index, learning_rate in enumerate(learning_rates):
        model = catalogue.build(run.model, task, hidden_size, run.seed, run.variant)
        trial = _Trial(index, learning_rate)
        _train(trial, model, task, train, validation, run, len(learning_rates), on_epoch)
        rows.add_curve(trial)
        trials.append(trial)

    finished = [trial for trial in trials if trial.failure is None]
    if not finished:
        reasons = "; ".join(f"learning rate {t.learning_rate:g}: {t.failure}" for t in trials)
        return rows.failed(f"every trial failed: {reasons}")
    sign = 1 if METRICS[task.metric].higher_is_better else -1
    best = max(finished, key=lambda trial: (sign * trial.best_score, -trial.best_loss))
    model.load_state_dict(best.weights)
    chosen = {"trial": best.index, "learning_rate": best.learning_rate}
    rows.add("best_epoch", best.best_epoch, **chosen)
    rows.add("parameters", rows.parameters, **chosen)
    rows.add_scores(task.metrics, _predict(model, validation), split="validation", **chosen)

    # From here on there is nothing left to choose.
    test = task.split("test")
    reasons = rows.add_scores(task.metrics, _predict(model, _Data(test)), split="test", **chosen)
    if task.metric in reasons:
        return rows.failed(f"no {task.metric} on test: {reasons[task.metric]}")
    rows.add("trivial", task.trivial_score(), split="test")
    rows.add("linear", task.linear_score(), split="test")
    damages = (
        ("removed_steps", run.robustness.removed_steps, remove_steps),
        ("noise", run.robustness.noise, add_noise),
    )
    for corruption, levels, damage in damages:
        for level in levels:
            predictions = _predict(model, _Data(damage(test, level, run.seed)))
            where = {"split": "test", "corruption": corruption, "level": level}
            rows.add_scores((task.metric,), predictions, **where, **chosen)
    return rows.done()


@torch.random.fork_rng(devices=[])
def measure_cost(run: Run, task: Task) -> list[Row]:
    """Measure what a model costs; for numbers that mean something, on an otherwise idle machine.

    - ``seconds_per_epoch``: median wall-clock time of five training steps (forward, backward, clipping,
      update) on full batches, after one to warm up, times the number of batches.
    - ``step_latency_us``: median wall-clock time of 200 samples through a ``liquidrnn.Stream``, one at a time, after
      20 to warm up.
    - ``training_memory_bytes``: the most that torch's allocator held, above what it held before, during one
      training step with a new optimiser; so gradients and the optimiser's state are counted, parameters and
      data are not. It is the maximum of the running sum of the allocations and releases that
      ``torch.profiler`` records with ``profile_memory=True``, and to it comes the most that compiled kernels held for
      themselves: nothing is sampled, no other process counts.
    - ``inference_memory_bytes``: the same for the forward pass of one batch in inference mode.
    - ``parameters``: the trained ones. ``deployed_bytes``: all parameters and buffers.

    Args:
        run: what to measure, of kind ``"cost"``.
        task: its data, of which the test split is not asked for.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: the model has no size within the budget on this task, or the data break a promise.
    """
    hidden_size, learning_rates = _configuration(run, task)
    rows = _Rows(run, task.data_digest, hidden_size)
    torch.manual_seed(run.seed)
    model = catalogue.build(run.model, task, hidden_size, run.seed, run.variant)
    rows.parameters = catalogue.count_parameters(model)
    data = _Data(task.split("train"))
    batches = data.batches(run.training.batch_size, torch.Generator().manual_seed(run.seed))
    full = [batch for batch in batches if len(batch) == len(batches[0])]

    def training_step() -> Callable[[int], object]:
        optimiser = torch.optim.Adam(model.parameters(), lr=learning_rates[0], fused=True)
        return lambda number: _step(model, optimiser, data, full[number % len(full)], run.training.clip_norm)

    rows.add("seconds_per_epoch", _median_seconds(training_step(), calls=5, warm_up=1) * len(batches))
    # The gradients that the timed steps left are no part of the baseline.
    model.zero_grad(set_to_none=True)
    rows.add("training_memory_bytes", _peak_memory(lambda: training_step()(0)))
    model.zero_grad(set_to_none=True)
    model.eval()
    with torch.inference_mode():
        rows.add("inference_memory_bytes", _peak_memory(lambda: model(*data.inputs(full[0]))))
        rows.add("step_latency_us", 1e6 * _step_latency(model))
    rows.add("parameters", rows.parameters)
    deployed = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    rows.add("deployed_bytes", deployed)
    return rows.done()


def failure(run: Run, data_digest: str, reason: str) -> list[Row]:
    """The rows of a run that ended outside of `fit` and `measure_cost`: with an error, or with its process.

    Args:
        run: what was to be done.
        data_digest: the task's.
        reason: one sentence.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.
    """
    return _Rows(run, data_digest).failed(reason)


def _configuration(run: Run, task: Task) -> tuple[int, tuple[float, ...]]:
    """Hidden size and learning rates of a run."""
    if run.variant == "author":
        author = catalogue.author(run.model)
        return author.hidden_size, (author.learning_rate,)
    assert run.parameters is not None
    return catalogue.size_for_budget(run.model, task, run.parameters, run.seed), run.learning_rates


def _train(
    trial: _Trial,
    model: SequenceModel,
    task: Task,
    train: "_Data",
    validation: "_Data",
    run: Run,
    trials: int,
    on_epoch: Callable[[Epoch], None] | None,
) -> None:
    """Train until validation loss stops improving, or the epochs or minutes are spent; fills in ``trial``."""
    training = run.training
    # Dropout draws from the global generator.
    torch.manual_seed(run.seed)
    order = torch.Generator().manual_seed(run.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=trial.learning_rate, fused=True)
    deadline = time.monotonic() + (math.inf if training.minutes is None else 60 * training.minutes / trials)
    for name, data in (("training", train), ("validation", validation)):
        if not bool(data.target_mask.any()):
            trial.failure = f"no {name} sequence has a target"
            return
    # The untrained network is the first to beat: one that only got worse has learnt nothing.
    best = _predict(model, validation)
    trial.best_loss = float(_loss(*best))
    if not math.isfinite(trial.best_loss):
        trial.failure = f"validation loss is {trial.best_loss} before training"
        return
    trial.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for epoch in range(1, training.epochs + 1):
        total, steps = 0.0, 0
        model.train()
        for batch in train.batches(training.batch_size, order):
            loss, scored = _step(model, optimiser, train, batch, training.clip_norm)
            if not math.isfinite(loss):
                trial.failure = f"training loss became {loss} in epoch {epoch}"
                return
            total, steps = total + loss * scored, steps + scored
            if steps and time.monotonic() > deadline:
                break
        predicted = _predict(model, validation)
        loss = float(_loss(*predicted))
        if not math.isfinite(loss):
            trial.failure = f"validation loss became {loss} in epoch {epoch}"
            return
        told = Epoch(trial.index, trials, epoch, training.epochs, total / steps, loss)
        trial.curve.append(told)
        if on_epoch is not None:
            on_epoch(told)
        if loss < trial.best_loss:
            trial.best_epoch, trial.best_loss, best = epoch, loss, predicted
            trial.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if time.monotonic() > deadline:
            trial.ended = "minutes"
            break
        if epoch - trial.best_epoch >= training.patience:
            trial.ended = "patience"
            break
    value, reason = _scored(task.metric, best)
    if value is None:
        trial.failure = f"no {task.metric} on validation: {reason}"
    else:
        trial.best_score = value


def _step(
    model: SequenceModel,
    optimiser: torch.optim.Optimizer,
    data: "_Data",
    batch: Tensor,
    clip_norm: float | None,
) -> tuple[float, int]:
    """One update; the loss before it, and the number of predictions it is the mean of."""
    targets, predictions = data.scored(batch, model(*data.inputs(batch)))
    if not len(targets):
        return 0.0, 0
    loss = _loss(targets, predictions)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()
    return float(loss.detach()), len(targets)


@torch.inference_mode()
def _predict(model: SequenceModel, data: "_Data") -> tuple[Tensor, Tensor]:
    """Targets and predictions of a whole split, (n,) and (n, outputs) where it has targets."""
    model.eval()
    parts = [data.scored(batch, model(*data.inputs(batch))) for batch in data.batches(_EVALUATION_BATCH)]
    targets, predictions = zip(*parts, strict=True)
    return torch.cat(targets), torch.cat(predictions)


def _loss(targets: Tensor, predictions: Tensor) -> Tensor:
    """Mean cross-entropy of class numbers, mean squared error of values."""
    if targets.is_floating_point():
        return F.mse_loss(predictions, targets)
    return F.cross_entropy(predictions, targets)


def _scored(metric: str, predicted: tuple[Tensor, Tensor]) -> tuple[float | None, str | None]:
    """A score, or None and why there is none."""
    targets, predictions = predicted
    try:
        return score(metric, targets.numpy(), predictions.numpy()), None
    except ValueError as error:
        return None, str(error)


class _Data:
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


def _median_seconds(action: Callable[[int], object], calls: int, warm_up: int) -> float:
    """Median wall-clock time of ``action(number of the call)``."""
    seconds = []
    for number in range(warm_up + calls):
        started = time.perf_counter()
        action(number)
        seconds.append(time.perf_counter() - started)
    return median(seconds[warm_up:])


def _step_latency(model: SequenceModel) -> float:
    """Median wall-clock time of one streamed sample, in seconds."""
    stream, sample = Stream(model.layer), torch.ones(model.layer.input_size)
    return _median_seconds(lambda number: stream(sample), calls=200, warm_up=20)


def _peak_memory(action: Callable[[], object]) -> int:
    """Most bytes that were held during ``action``, above what was held before: by torch's allocator and by kernels.

    The two may be at their most at different times, so that this is an upper bound.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        within_kernels = kernels.peak_bytes(action)
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    # Events of operators have sums only; the single allocations and releases are there as "[memory]".
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    # The stub of this class, which torch compiles, does not know all of its methods.
    changes = (event.nbytes() for event in events)  # pyright: ignore[reportAttributeAccessIssue]
    return max(accumulate(changes, initial=0)) + within_kernels


class _Rows:
    """Results of one run as they come, each with what all of them share."""

    def __init__(self, run: Run, data_digest: str, hidden_size: int | None = None):
        self.rows: list[Row] = []
        self.hidden_size = hidden_size
        self.parameters: int | None = None
        self._started = time.monotonic()
        self._shared = {
            "run": run.id(data_digest),
            "task": run.task_name,
            "model": run.model,
            "variant": run.variant,
            "seed": run.seed,
            "kind": run.kind,
            "version": liquidbench.__version__,
            "commit": _commit(),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "machine": _machine(),
            "threads": torch.get_num_threads(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def add(self, metric: str, value: float | None, **columns: Any) -> None:
        """One value; columns that are left out have their neutral value."""
        neutral = {"split": "", "corruption": "", "level": 0.0, "epoch": None, "trial": None, "reason": None}
        self.rows.append({**neutral, "learning_rate": None, "metric": metric, "value": value, **columns})

    def add_curve(self, trial: _Trial) -> None:
        """Losses of a trial by epoch, the validation score of its best one, and how it ended."""
        shared = {"trial": trial.index, "learning_rate": trial.learning_rate}
        for told in trial.curve:
            self.add("loss", told.train_loss, split="train", epoch=told.epoch, **shared)
            self.add("loss", told.validation_loss, split="validation", epoch=told.epoch, **shared)
        if trial.failure is None:
            self.add("epochs", len(trial.curve), **shared, reason=trial.ended)
        else:
            self.add("loss", None, split="train", epoch=len(trial.curve) + 1, **shared, reason=trial.failure)

    def add_scores(self, metrics: tuple[str, ...], predicted: tuple[Tensor, Tensor], **columns: Any) -> dict[str, str]:
        """Scores; for metrics that are undefined on these data none, but the reason, which is also returned."""
        reasons = {}
        for metric in metrics:
            value, reason = _scored(metric, predicted)
            self.add(metric, value, **columns, reason=reason)
            if reason is not None:
                reasons[metric] = reason
        return reasons

    def done(self) -> list[Row]:
        """All rows of a run that came to its end."""
        return self._finished("done")

    def failed(self, reason: str) -> list[Row]:
        """All rows of a run that failed, and one that says why."""
        self.add("", None)
        for row in self.rows:
            row["reason"] = row["reason"] or reason
        return self._finished("failed")

    def _finished(self, status: str) -> list[Row]:
        shared = self._shared | {
            "status": status,
            "parameters": self.parameters,
            "hidden_size": self.hidden_size,
            "seconds": time.monotonic() - self._started,
        }
        return [shared | row for row in self.rows]


@cache
def _commit() -> str:
    """The commit of the checkout that this module lies in, "" where it lies in none."""
    folder = Path(__file__).resolve().parent
    root = folder.parent.parent
    # An installed package may lie within somebody else's repository.
    if not (root / ".git").exists() or folder.parent.name != "src":
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def _machine() -> str:
    """Processor and operating system, without the machine's name."""
    processor = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}"
