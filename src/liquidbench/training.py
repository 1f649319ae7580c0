"""The loop: a run and its task in, rows of results out.

Every model gets the same: the same batches in the same order for a seed, the same trials of learning rates, epochs,
patience and minutes, the same clipping. Validation loss says when to stop, the validation score of the main metric
says which learning rate was best, and only when both are settled is the test split asked for.
"""

import math
import platform
import subprocess
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import liquidbench
from liquidbench import catalogue
from liquidbench.catalogue import SequenceModel
from liquidbench.metrics import score
from liquidbench.study import Run
from liquidbench.tasks.corruption import add_noise, remove_steps
from liquidbench.tasks.task import Split, Task

Row = dict[str, Any]

_EVALUATION_BATCH = 256
_MEASURED_BATCHES = 5
_MEASURED_STEPS = 200


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


@dataclass(frozen=True)
class _Trial:
    """One learning rate, trained: its curves and the weights of its best epoch."""

    index: int
    learning_rate: float
    curve: list[Epoch]
    ended: str
    failure: str | None = None
    best_epoch: int = 0
    best_loss: float = math.inf
    validation_score: float = math.nan
    weights: dict[str, Tensor] | None = None


def fit(run: Run, task: Task, on_epoch: Callable[[Epoch], None] | None = None) -> list[Row]:
    """Train one model on one task with one seed, once per learning rate, and score the best on test.

    Batches are drawn from the run's seed alone, so all models with one seed see the same batches in the same
    order, and so do all learning rates. Corruptions of the test split are drawn from it too.

    A trial whose loss stops being finite has failed, and its reason is a row; so is a trial that cannot be
    scored. When all trials have failed, so has the run: the rows say so.

    Args:
        run: what to train, of kind ``"fit"``.
        task: its data. Train and validation are asked for at the start, test when the model is chosen.
        on_epoch: called after every epoch.

    Returns:
        Rows for `liquidbench.results.write`, the study's name left out.

    Raises:
        ValueError: the run's model cannot be built to its budget on this task; or data break a promise.
    """
    clock = _Clock()
    hidden_size, learning_rates = _configuration(run, task)
    with torch.random.fork_rng(devices=[]):
        train, validation = (_Data(task.split(name)) for name in ("train", "validation"))
        seconds = None if run.training.minutes is None else 60 * run.training.minutes / len(learning_rates)
        trials = []
        model = catalogue.build(run.model, task, hidden_size, run.seed, run.variant)
        for index, learning_rate in enumerate(learning_rates):
            model = catalogue.build(run.model, task, hidden_size, run.seed, run.variant)
            tell = _Teller(index, len(learning_rates), run.training.epochs, on_epoch)
            trials.append(_train(model, task, train, validation, run, learning_rate, seconds, tell))

        rows = _Rows(run, task, clock, hidden_size, catalogue.count_parameters(model))
        for trial in trials:
            _record_curve(rows, trial, task)
        finished = [trial for trial in trials if trial.failure is None]
        if not finished:
            reasons = "; ".join(f"learning rate {t.learning_rate:g}: {t.failure}" for t in trials)
            return rows.finish(failure=f"every trial failed: {reasons}")
        sign = 1 if METRICS[task.metric].higher_is_better else -1
        best = max(finished, key=lambda trial: (sign * trial.validation_score, -trial.best_loss))
        assert best.weights is not None
        model.load_state_dict(best.weights)

        chosen = {"trial": best.index, "learning_rate": best.learning_rate}
        rows.add("best_epoch", best.best_epoch, **chosen)
        rows.add("parameters", rows.parameters, **chosen)
        _record_scores(rows, task, "validation", _predict(model, validation), chosen)

        # From here on nothing is chosen any more.
        test = task.split("test")
        _record_scores(rows, task, "test", _predict(model, _Data(test)), chosen)
        rows.add("trivial", *_scored(lambda: task.trivial_score()), split="test")
        for corruption, levels, damage in (
            ("removed_steps", run.robustness.removed_steps, remove_steps),
            ("noise", run.robustness.noise, add_noise),
        ):
            for level in levels:
                predictions = _predict(model, _Data(damage(test, level, run.seed)))
                value, reason = _scored(lambda p=predictions: score(task.metric, *p))
                rows.add(task.metric, value, reason, "test", corruption=corruption, level=level, **chosen)
        return rows.finish()


def measure_cost(run: Run, task: Task) -> list[Row]:
    """What a model costs, on an otherwise idle machine; the test split is not asked for.

    - ``seconds_per_epoch``: median wall-clock of five training steps (forward, backward, clipping, update) on full
      batches, after one to warm up, times the batches of an epoch.
    - ``step_latency_us``: median wall-clock of 200 calls of ``layer.step`` on one sample, in inference mode,
      after 20 to warm up.
    - ``training_memory_bytes``: most memory that torch's allocator held, above what it held before, during one
      training step from scratch, so gradients and the optimiser's state are counted, parameters and data are
      not. It is the maximum of the running sum of the allocations and releases that ``torch.profiler`` records
      (``profile_memory=True``), so it depends on no sampling and on no other process.
    - ``inference_memory_bytes``: the same for one forward pass of a batch in inference mode.
    - ``parameters``: trained ones; ``deployed_bytes``: all parameters and buffers.

    Args:
        run: what to measure, of kind ``"cost"``.
        task: for the shapes of a batch.

    Returns:
        Rows for `liquidbench.results.write`, the study's name left out.

    Raises:
        ValueError: the run's model cannot be built to its budget on this task; or data break a promise.
    """
    clock = _Clock()
    hidden_size, learning_rates = _configuration(run, task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        data = _Data(task.split("train"))
        batches = list(data.batches(run.training.batch_size, torch.Generator().manual_seed(run.seed)))
        model = catalogue.build(run.model, task, hidden_size, run.seed, run.variant)
        rows = _Rows(run, task, clock, hidden_size, catalogue.count_parameters(model))

        optimiser = torch.optim.Adam(model.parameters(), lr=learning_rates[0])
        # Only full batches are timed, and of different content: sequences differ in length.
        measured = [index for index in batches if len(index) == len(batches[0])][: _MEASURED_BATCHES + 1]
        times = []
        for number in range(_MEASURED_BATCHES + 1):
            started = time.perf_counter()
            _step(model, optimiser, data, measured[number % len(measured)], run.training.clip_norm)
            times.append(time.perf_counter() - started)
        rows.add("seconds_per_epoch", median(times[1:]) * len(batches))
        rows.add("step_latency_us", 1e6 * _step_latency(model, data))

        def train_once() -> None:
            fresh = torch.optim.Adam(model.parameters(), lr=learning_rates[0])
            _step(model, fresh, data, measured[0], run.training.clip_norm)

        # Gradients of the timed steps and the state of their optimiser are no part of the baseline.
        del optimiser
        model.zero_grad(set_to_none=True)
        rows.add("training_memory_bytes", _peak_memory(train_once))

        @torch.inference_mode()
        def infer_once() -> None:
            model(*data.inputs(measured[0]))

        model.eval()
        rows.add("inference_memory_bytes", _peak_memory(infer_once))
        rows.add("parameters", rows.parameters)
        rows.add("deployed_bytes", sum(t.numel() * t.element_size() for t in model.state_dict().values()))
        return rows.finish()


def failed(run: Run, task: str, digest: str, reason: str) -> list[Row]:
    """The rows of a run that came to nothing for a reason outside its training."""
    raise NotImplementedError


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
        order = torch.arange(len(self)) if generator is None else torch.randperm(len(self), generator=generator)
        return order.split(size)

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


def _loss(targets: Tensor, predictions: Tensor) -> Tensor:
    """Mean cross-entropy of class numbers, mean squared error of values."""
    if targets.is_floating_point():
        return F.mse_loss(predictions, targets)
    return F.cross_entropy(predictions, targets)
