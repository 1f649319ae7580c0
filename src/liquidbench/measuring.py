"""Measures what a network costs on this machine: time, memory and energy."""

import os
import time
import weakref
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile

from liquidbench.encoder import OUTPUTS
from liquidbench.energy import EnergyCounters
from liquidbench.networks import SequenceModel
from liquidbench.rows import Row, Rows
from liquidbench.study import Run
from liquidbench.tasks.task import Task
from liquidbench.training.fit import best_known_settings, network
from liquidbench.training.learning import CPU, Data, device_of, forked_generators, loss_of, optimiser_of, synchronise
from liquidbench.training.trainer import shuffled, step
from liquidrnn import Stream, kernels


def measure_cost(run: Run, task: Task, folder: str | os.PathLike[str] | None = None) -> list[Row]:
    """Measure what a model costs on the run's device. Keep the machine otherwise idle, or the numbers mean nothing.

    The structure and the optimiser are those that the run's search has found, or the first of the search space if there
    was none; column ``settings`` records them.

    - ``seconds_per_epoch``: median wall-clock time of five training steps (forward, backward, clipping,
      update) on full batches, after one warm-up step, times the number of batches.
    - ``training_sequences_per_second``: sequences in a full batch, divided by that median time of a step.
    - ``inference_sequences_per_second``: the same for forward passes of the same batches in inference mode: the median
      of five after one warm-up pass.
    - ``step_latency_us``: median wall-clock time of 200 samples through a ``liquidrnn.Stream``, one at a time, after
      20 warm-up samples; of a network that reads images, without its encoder.
    - ``training_memory_bytes``: peak memory of torch's allocator, above its level before, during one training step with
      a new optimiser. It includes gradients and the optimiser's state, but not parameters and data. It is the maximum
      of the running sum of the allocations and releases that ``torch.profiler`` records with ``profile_memory=True``,
      plus the peak of the compiled kernels' own buffers; so it is exact, and other processes do not count. On a GPU it
      is the peak that the CUDA allocator reports.
    - ``saved_for_backward_bytes``: memory that autograd keeps between the forward and the backward pass of one batch,
      the loss included. Each storage counts once in full, however many views of it are kept. The model's parameters and
      buffers and the batch's values, time spans, mask and targets, which exist anyway, do not count.
    - ``inference_memory_bytes``: as ``training_memory_bytes``, for the forward pass of one batch in inference mode.
    - ``training_energy_joules``: energy that the processor packages used (`EnergyCounters`), as a mean over training
      steps that are repeated for half a second and at least five times, times the number of batches. Idle power and
      other programs are not subtracted. There is no such row on a GPU or where the machine has no counters.
    - ``other_load``: cores that other programs kept busy while times were measured, as a mean (`OtherLoad`). There is
      no such row where the operating system does not count them.
    - ``parameters``: number of trained parameters. ``deployed_bytes``: size of all parameters and buffers.

    Networks that share an encoder (``training.encoder: shared``) are measured behind it, but for ``deployed_bytes``.

    Args:
        run: what to measure, of kind ``"cost"``.
        task: its data; the test split is not built.
        folder: the study's folder, which contains the search journal.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: if the model has no size within the budget on this task, the data fail a check, or the device does
            not exist.
    """
    device = device_of(run.device)
    with forked_generators(device):
        return _measure(run, task, folder, device)


def _measure(run: Run, task: Task, folder: str | os.PathLike[str] | None, device: torch.device) -> list[Row]:
    task = task.with_fold(run.fold)
    settings = best_known_settings(run, task, folder)
    rows = Rows(run, task.data_digest)
    torch.manual_seed(run.seed)
    model, hidden_size = network(run, task, settings)
    model.to(device)
    rows.configured(model, hidden_size)
    about = {"learning_rate": settings.learning_rate, "settings": settings.to_json()}
    deployed = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    data = Data(task.split("train"), device)
    if run.training.encoder == "shared":
        # Networks train on what the encoder has read before. What it read makes no difference to time and memory.
        model.encoder = None
        data.values = torch.rand(*data.values.shape[:2], OUTPUTS, device=device)
    batches = shuffled(data, run.training.batch_size, torch.Generator().manual_seed(run.seed))
    full = [batch for batch in batches if len(batch) == len(batches[0])]

    def training_step() -> Callable[[int], object]:
        optimiser = optimiser_of(model, settings)
        return lambda number: step(model, optimiser, data, full[number % len(full)], settings.clip_norm)

    def forward_pass(number: int) -> object:
        return model(*data.inputs(full[number % len(full)]))

    others = OtherLoad()
    with others:
        seconds = _median_seconds(training_step(), 5, 1, device)
    rows.add("seconds_per_epoch", seconds * len(batches), **about)
    rows.add("training_sequences_per_second", len(full[0]) / seconds, **about)
    # The counters are of the processor; they do not see a GPU.
    joules = EnergyCounters().joules_of(training_step(), calls=5) if device == CPU else None
    if joules is not None:
        rows.add("training_energy_joules", joules * len(batches), **about)
    # Gradients of the timed steps must not be part of the baseline.
    model.zero_grad(set_to_none=True)
    rows.add("training_memory_bytes", _peak_memory(lambda: training_step()(0), device), **about)
    model.zero_grad(set_to_none=True)
    rows.add("saved_for_backward_bytes", _saved_for_backward(model, data, full[0]), **about)
    model.eval()
    with torch.inference_mode():
        with others:
            seconds = _median_seconds(forward_pass, 5, 1, device)
        rows.add("inference_sequences_per_second", len(full[0]) / seconds, **about)
        rows.add("inference_memory_bytes", _peak_memory(lambda: model(*data.inputs(full[0])), device), **about)
        with others:
            latency = _step_latency(model, device)
        rows.add("step_latency_us", 1e6 * latency, **about)
    if others.cores is not None:
        rows.add("other_load", others.cores, **about)
    rows.add("parameters", rows.parameters, **about)
    rows.add("deployed_bytes", deployed, **about)
    return rows.done()


def _median_seconds(action: Callable[[int], object], calls: int, warm_up: int, device: torch.device) -> float:
    """Median wall-clock time of ``action(index of the call)``, including its work on the device."""
    seconds = []
    for number in range(warm_up + calls):
        synchronise(device)
        started = time.perf_counter()
        action(number)
        synchronise(device)
        seconds.append(time.perf_counter() - started)
    return median(seconds[warm_up:])


def _step_latency(model: SequenceModel, device: torch.device) -> float:
    """Median wall-clock time of one streamed sample, in seconds."""
    stream, sample = Stream(model.layer), torch.ones(model.layer.input_size, device=device)
    return _median_seconds(lambda number: stream(sample), 200, 20, device)


def _saved_for_backward(model: SequenceModel, data: Data, batch: Tensor) -> int:
    """Bytes that autograd keeps of a batch's forward pass, without tensors that exist anyway."""
    inputs = data.inputs(batch)
    with SavedTensors() as saved:
        targets, predictions = data.scored(batch, model(*inputs))
        loss = loss_of(targets, predictions)
    given = [tensor for tensor in (*inputs, targets) if tensor is not None]
    # The loss keeps the graph, and so the saved tensors, alive.
    return saved.bytes([*model.parameters(), *model.buffers(), *given]) if loss.requires_grad else 0


class OtherLoad:
    """Cores that other programs keep busy within the blocks that it manages, as a mean over their time.

    On Linux, the processor time of the whole machine without that of this process; None elsewhere. The system counts
    in hundredths of a second, so a block of a few milliseconds tells nothing by itself.
    """

    def __init__(self):
        self._busy = self._seconds = 0.0
        self._began: tuple[float, float] | None = None

    def __enter__(self) -> Self:
        self._began = self._now()
        return self

    def __exit__(self, *raised: Any) -> None:
        began, ended = self._began, self._now()
        if began is not None and ended is not None:
            self._seconds += ended[0] - began[0]
            self._busy += ended[1] - began[1]

    @property
    def cores(self) -> float | None:
        """The mean number of cores; None where nothing was measured."""
        return max(self._busy, 0.0) / self._seconds if self._seconds else None

    @staticmethod
    def _now() -> tuple[float, float] | None:
        """Wall-clock time and the processor time of others, in seconds."""
        try:
            counted = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        except (OSError, ValueError):
            return None
        # user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user and nice.
        user, nice, system, _, _, *interrupts = map(int, counted[:8])
        busy = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), busy - time.process_time()


class SavedTensors:
    """Counts the bytes that autograd saves for the backward pass of what is computed within the block.

    It includes tensors that a ``torch.autograd.Function`` saves with ``ctx.save_for_backward``, but no others that it
    keeps.
    """

    def __init__(self):
        self._saved: list[weakref.ref[Tensor]] = []
        self._hooks = saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def __enter__(self) -> Self:
        self._hooks.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._hooks.__exit__(*raised)

    def _keep(self, tensor: Tensor) -> Tensor:
        # Returning the tensor itself would make a reference cycle with autograd.
        same = tensor.detach()
        self._saved.append(weakref.ref(same))
        return same

    def bytes(self, apart_from: Iterable[Tensor] = ()) -> int:
        """Bytes of all storages that are alive now, each counted once.

        Args:
            apart_from: tensors whose storages do not count.
        """
        alive = [tensor.untyped_storage() for one in self._saved if (tensor := one()) is not None]
        others = {tensor.untyped_storage().data_ptr() for tensor in apart_from}
        sizes = {storage.data_ptr(): storage.nbytes() for storage in alive}
        return sum(size for place, size in sizes.items() if place not in others)


def _peak_memory(action: Callable[[], object], device: torch.device = CPU) -> int:
    """Peak bytes during ``action``, above the level before, of torch's allocator plus the compiled kernels.

    The two may peak at different times, so the sum is an upper bound.
    """
    if device != CPU:
        synchronise(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        action()
        synchronise(device)
        return torch.cuda.max_memory_allocated(device) - before
    # Otherwise torch's profiler prints to standard error when it starts and stops.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        within_kernels = kernels.peak_bytes(action)
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    # Events of operators have only sums; single allocations and releases are the events named "[memory]".
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    # The type stub of this compiled class lacks some of its methods.
    changes = (event.nbytes() for event in events)  # pyright: ignore[reportAttributeAccessIssue]
    return max(accumulate(changes, initial=0)) + within_kernels
