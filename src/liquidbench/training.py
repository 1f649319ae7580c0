"""The loop: a run and its task in, rows of results out.

Every model gets the same: for one seed the same batches in the same order, and as many trials, epochs and minutes as
any other. Validation loss says when to stop, the validation score of the main metric says which trial was best, and
only when both are settled is the test split asked for.
"""

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import liquidbench
from liquidbench import catalogue, matching, predictions, search
from liquidbench.catalogue import SequenceModel
from liquidbench.metrics import METRICS, score
from liquidbench.search import Settings, Trial
from liquidbench.study import Run
from liquidbench.tasks.corruption import add_noise, remove_steps
from liquidbench.tasks.task import Split, Task
from liquidrnn import Stream

Row = dict[str, Any]

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """What `fit` tells its caller after each epoch.

    Attributes:
        trial: number of the trial, from 0.
        trials: number of trials.
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
class _Training:
    """One network from its first to its last epoch, and what the best epoch gave."""

    model: SequenceModel
    hidden_size: int
    curve: list[tuple[float, float]] = field(default_factory=list)
    ended: str = "all epochs"
    failure: str | None = None
    best_epoch: int = 0
    best_loss: float = math.inf
    best_score: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """What a search keeps of it."""
        return {
            "curve": self.curve,
            "ended": self.ended,
            "failure": self.failure,
            "best_epoch": self.best_epoch,
            "hidden_size": self.hidden_size,
            "parameters": matching.count_parameters(self.model),
        }


@torch.random.fork_rng(devices=[])
def fit(
    run: Run,
    task: Task,
    folder: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Row]:
    """Search, train one model on one task with one seed, and score the best on test.

    Batches are drawn from the run's seed alone, so all models with one seed see the same batches in the same
    order, and so do all trials; the corruptions of the test split are drawn from it too.

    A trial whose loss stops being finite has failed, and a row says why. When all trials have failed, or the
    chosen one has no score on test, so has the run.

    Args:
        run: what to train, of kind ``"fit"``.
        task: its data. Train and validation are asked for at the start, test when the model is chosen.
        folder: the study's folder, for the search's journal, with which a run that was stopped goes on, and for the
            predictions; None keeps neither.
        on_epoch: called after every epoch.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: the model has no size within the budget on this task, or the data break a promise.
    """
    task = task.with_fold(run.fold)
    higher = METRICS[task.metric].higher_is_better
    rows = _Rows(run, task.data_digest)
    lessons = _Lessons(run, task, on_epoch)
    trained: dict[int, _Training] = {}
    if run.variant == "author":
        number, settings = 0, Settings(catalogue.author(run.model).learning_rate)
    else:
        trials, trained = _searched(run, task, lessons, folder)
        if run.searches:
            for trial in trials:
                rows.add_trial(trial)
        chosen = search.best(trials, higher)
        if chosen is None:
            first = f"the first, with learning rate {trials[0].settings.learning_rate:.3g}"
            return rows.failed(f"all of {len(trials)} trials failed; {first}: {trials[0].record['failure']}")
        number, settings = chosen.number, chosen.settings
    if number not in trained:
        # With another seed than the search, or stopped between the search and its end: trained, as then, from the seed.
        training = trained[number] = lessons.train(settings, number, run.search.trials)
        if not run.searches:
            rows.add_trial(Trial(number, settings, training.best_score, training.record), of_search=False)
        if training.failure is not None:
            return rows.failed(training.failure)
    best = trained[number]
    model = best.model
    model.load_state_dict(best.weights)
    rows.configured(model, best.hidden_size)
    about = {"trial": number, "learning_rate": settings.learning_rate, "settings": settings.to_json()}
    rows.add("best_epoch", best.best_epoch, **about)
    operations = matching.count_operations(model)
    for metric, value in (
        ("parameters", matching.count_parameters(model)),
        ("multiply_adds", operations.multiply_adds),
        ("synapse_evaluations", operations.synapse_evaluations),
        ("state_size", matching.count_state(model)),
    ):
        rows.add(metric, value, **about)
    validated = _predict(model, lessons.validation)
    rows.add_scores(task.metrics, validated, split="validation", **about)

    # From here on there is nothing left to choose.
    test = task.split("test")
    tested = _predict(model, _Data(test))
    reasons = rows.add_scores(task.metrics, tested, split="test", **about)
    if folder is not None:
        predicted = {"validation": validated, "test": tested}
        arrays = {split: (targets.numpy(), values.numpy()) for split, (targets, values) in predicted.items()}
        predictions.write(folder, run.id(task.data_digest), arrays)
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
            damaged = _predict(model, _Data(damage(test, level, run.seed)))
            where = {"split": "test", "corruption": corruption, "level": level}
            rows.add_scores((task.metric,), damaged, **where, **about)
    return rows.done()


@torch.random.fork_rng(devices=[])
def measure_cost(run: Run, task: Task, folder: str | os.PathLike[str] | None = None) -> list[Row]:
    """Measure what a model costs; for numbers that mean something, on an otherwise idle machine.

    The structure and the optimiser are those that the run's search found, if it has been made, else the first that the
    search space has; the rows say which.

    - ``seconds_per_epoch``: median wall-clock time of five training steps (forward, backward, clipping,
      update) on full batches, after one to warm up, times the number of batches.
    - ``step_latency_us``: median wall-clock time of 200 samples through a ``liquidrnn.Stream``, one at a time, after
      20 to warm up.
    - ``training_memory_bytes``: the most that torch's allocator held, above what it held before, during one
      training step with a new optimiser; so gradients and the optimiser's state are counted, parameters and
      data are not. It is the maximum of the running sum of the allocations and releases that
      ``torch.profiler`` records with ``profile_memory=True``: nothing is sampled, no other process counts.
    - ``inference_memory_bytes``: the same for the forward pass of one batch in inference mode.
    - ``parameters``: the trained ones. ``deployed_bytes``: all parameters and buffers.

    Args:
        run: what to measure, of kind ``"cost"``.
        task: its data, of which the test split is not asked for.
        folder: the study's folder, in which the search's journal lies.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: the model has no size within the budget on this task, or the data break a promise.
    """
    task = task.with_fold(run.fold)
    settings = _settings_so_far(run, task, folder)
    rows = _Rows(run, task.data_digest)
    torch.manual_seed(run.seed)
    model, hidden_size = _network(run, task, settings)
    rows.configured(model, hidden_size)
    about = {"learning_rate": settings.learning_rate, "settings": settings.to_json()}
    data = _Data(task.split("train"))
    batches = data.batches(run.training.batch_size, torch.Generator().manual_seed(run.seed))
    full = [batch for batch in batches if len(batch) == len(batches[0])]

    def training_step() -> Callable[[int], object]:
        optimiser = _optimiser(model, settings)
        return lambda number: _step(model, optimiser, data, full[number % len(full)], settings.clip_norm)

    rows.add("seconds_per_epoch", _median_seconds(training_step(), calls=5, warm_up=1) * len(batches), **about)
    # The gradients that the timed steps left are no part of the baseline.
    model.zero_grad(set_to_none=True)
    rows.add("training_memory_bytes", _peak_memory(lambda: training_step()(0)), **about)
    model.zero_grad(set_to_none=True)
    model.eval()
    with torch.inference_mode():
        rows.add("inference_memory_bytes", _peak_memory(lambda: model(*data.inputs(full[0]))), **about)
        rows.add("step_latency_us", 1e6 * _step_latency(model), **about)
    rows.add("parameters", rows.parameters, **about)
    deployed = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    rows.add("deployed_bytes", deployed, **about)
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


def _searched(
    run: Run, task: Task, lessons: "_Lessons", folder: str | os.PathLike[str] | None
) -> tuple[list[Trial], dict[int, _Training]]:
    """All trials of the search that the run makes or follows, and the best training if it was among those made here."""
    seed, fold = run.tuned
    searching = replace(run, seed=seed, fold=fold)
    # The search of another run is made here where it is not there yet: whoever makes it, it is the same.
    teaching = lessons if run.searches else _Lessons(searching, task.with_fold(fold), lessons.on_epoch)
    sign = 1 if METRICS[task.metric].higher_is_better else -1
    best: dict[int, _Training] = {}

    def score_trial(number: int, settings: Settings) -> tuple[float | None, dict[str, Any]]:
        made = teaching.train(settings, number, run.search.trials)
        beaten = [other.best_score for other in best.values() if other.best_score is not None]
        if made.best_score is not None and all(sign * made.best_score > sign * score for score in beaten):
            best.clear()
            best[number] = made
        return made.best_score, made.record

    trials = search.conduct(searching, _structures(searching, task), score_trial, _journal(run, task, folder))
    return trials, best if run.searches else {}


def _journal(run: Run, task: Task, folder: str | os.PathLike[str] | None) -> Path | None:
    return None if folder is None else search.journal(folder, run, task.data_digest)


def _structures(run: Run, task: Task) -> list[Mapping[str, Any]]:
    assert run.parameters is not None
    offered = matching.structures(run.model, task, run.parameters, run.seed, run.matching)
    return [structure for structure, _ in offered]


def _settings_so_far(run: Run, task: Task, folder: str | os.PathLike[str] | None) -> Settings:
    """The best that is known of a run without training anything."""
    if run.variant == "author":
        return Settings(catalogue.author(run.model).learning_rate)
    searching = replace(run, seed=run.tuned[0], fold=run.tuned[1])
    structures = _structures(searching, task)
    journal = _journal(run, task, folder)
    trials = [] if journal is None else search.kept(journal, structures)
    found = search.best(trials, METRICS[task.metric].higher_is_better)
    return found.settings if found else Settings(search.MIDDLE_RATE, structure=structures[0])


def _network(run: Run, task: Task, settings: Settings) -> tuple[SequenceModel, int]:
    """A run's network with its initial values, and its hidden size."""
    if run.variant == "author":
        size = catalogue.author(run.model).hidden_size
        return catalogue.build(run.model, task, size, run.seed, run.variant), size
    assert run.parameters is not None
    structure = settings.structure
    offered = matching.structures(run.model, task, run.parameters, run.seed, run.matching)
    sizes = [size for known, size in offered if known == structure]
    # With another seed a drawn wiring may have left the tolerance; that is then said.
    size = (
        sizes[0]
        if sizes
        else matching.size_for_budget(run.model, task, run.parameters, run.seed, run.matching, structure)
    )
    return catalogue.build(run.model, task, size, run.seed, structure=structure), size


def _optimiser(model: SequenceModel, settings: Settings) -> torch.optim.Optimizer:
    parameters, rate, decay = model.parameters(), settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay)
    raise ValueError(f"optimiser must be one of adamw, rmsprop; got {settings.optimiser!r}")


class _Lessons:
    """A run's training data, asked for when they are needed, and how networks learn from them."""

    def __init__(self, run: Run, task: Task, on_epoch: Callable[[Epoch], None] | None):
        self.run, self.task, self.on_epoch = run, task, on_epoch

    @cached_property
    def train_data(self) -> "_Data":
        return _Data(self.task.split("train"))

    @cached_property
    def validation(self) -> "_Data":
        return _Data(self.task.split("validation"))

    def train(self, settings: Settings, number: int, trials: int) -> _Training:
        """Train until validation loss stops improving, or the epochs or minutes are spent."""
        run, task, train, validation = self.run, self.task, self.train_data, self.validation
        model, hidden_size = _network(run, task, settings)
        made, epochs = _Training(model, hidden_size), run.training.epochs
        # Dropout draws from the global generator.
        torch.manual_seed(run.seed)
        order = torch.Generator().manual_seed(run.seed)
        optimiser = _optimiser(model, settings)
        patience = max(1, round(settings.patience * epochs))
        deadline = time.monotonic() + (math.inf if run.search.cap is None else 60 * run.search.cap)
        for name, data in (("training", train), ("validation", validation)):
            if not bool(data.target_mask.any()):
                made.failure = f"no {name} sequence has a target"
                return made
        # The untrained network is the first to beat: one that only got worse has learnt nothing.
        best = _predict(model, validation)
        made.best_loss = float(_loss(*best))
        if not math.isfinite(made.best_loss):
            made.failure = f"validation loss is {made.best_loss} before training"
            return made
        made.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        for epoch in range(1, epochs + 1):
            if settings.schedule == "cosine":
                for group in optimiser.param_groups:
                    group["lr"] = settings.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
            total, steps = 0.0, 0
            model.train()
            for batch in train.batches(run.training.batch_size, order):
                loss, scored = _step(model, optimiser, train, batch, settings.clip_norm)
                if not math.isfinite(loss):
                    made.failure = f"training loss became {loss} in epoch {epoch}"
                    return made
                total, steps = total + loss * scored, steps + scored
                if steps and time.monotonic() > deadline:
                    break
            predicted = _predict(model, validation)
            loss = float(_loss(*predicted))
            if not math.isfinite(loss):
                made.failure = f"validation loss became {loss} in epoch {epoch}"
                return made
            made.curve.append((total / steps, loss))
            if self.on_epoch is not None:
                self.on_epoch(Epoch(number, trials, epoch, epochs, total / steps, loss))
            if loss < made.best_loss:
                made.best_epoch, made.best_loss, best = epoch, loss, predicted
                made.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            if time.monotonic() > deadline:
                made.ended = "minutes"
                break
            if epoch - made.best_epoch >= patience:
                made.ended = "patience"
                break
        made.best_score, reason = _scored(task.metric, best)
        if made.best_score is None:
            made.failure = f"no {task.metric} on validation: {reason}"
        return made


def _step(
    model: SequenceModel,
    optimiser: torch.optim.Optimizer,
    data: "_Data",
    batch: Tensor,
    clip_norm: float,
) -> tuple[float, int]:
    """One update; the loss before it, and the number of predictions it is the mean of."""
    targets, predictions = data.scored(batch, model(*data.inputs(batch)))
    if not len(targets):
        return 0.0, 0
    loss = _loss(targets, predictions)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
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
    """Most bytes that torch's allocator held during ``action``, above what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        action()
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    # Events of operators have sums only; the single allocations and releases are there as "[memory]".
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    # The stub of this class, which torch compiles, does not know all of its methods.
    changes = (event.nbytes() for event in events)  # pyright: ignore[reportAttributeAccessIssue]
    return max(accumulate(changes, initial=0))


class _Rows:
    """Results of one run as they come, each with what all of them share."""

    def __init__(self, run: Run, data_digest: str):
        self.rows: list[Row] = []
        self.hidden_size: int | None = None
        self.parameters: int | None = None
        self._started = time.monotonic()
        self._shared = {
            "run": run.id(data_digest),
            "task": run.task_name,
            "model": run.model,
            "variant": run.variant,
            "seed": run.seed,
            "fold": run.fold,
            "matching": run.matching,
            "search": run.search.mode if run.variant == "matched" else "",
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
        neutral |= {"learning_rate": None, "settings": None}
        self.rows.append({**neutral, "metric": metric, "value": value, **columns})

    def configured(self, model: SequenceModel, hidden_size: int) -> None:
        """Say what network the rows speak of that name no other."""
        self.parameters, self.hidden_size = matching.count_parameters(model), hidden_size

    def add_trial(self, trial: Trial, of_search: bool = True) -> None:
        """Losses of a trial by epoch, how it ended, and, of one that a search made, its validation score."""
        record, settings = trial.record, trial.settings
        shared = {name: record[name] for name in ("hidden_size", "parameters")}
        shared |= {"trial": trial.number, "learning_rate": settings.learning_rate}
        for epoch, (train_loss, validation_loss) in enumerate(record["curve"], start=1):
            self.add("loss", train_loss, split="train", epoch=epoch, **shared)
            self.add("loss", validation_loss, split="validation", epoch=epoch, **shared)
        if record["failure"] is None:
            self.add("epochs", len(record["curve"]), **shared, reason=record["ended"])
        else:
            self.add("loss", None, split="train", epoch=len(record["curve"]) + 1, **shared, reason=record["failure"])
        if of_search:
            self.add("trial_score", trial.score, split="validation", **shared, settings=settings.to_json())

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
