"""Trains one network with several processes. Training can be interrupted at any time and resumed without a difference.

On one machine, the process that calls `train` (the driver) starts the others, reads their messages, and ends them all
if one dies. On several machines, torchrun starts the processes, and each calls `train`. `liquidbench.training.replicas`
has the work of each process.
"""

import math
import os
import pickle
import signal
import socket
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

import liquidbench
from liquidbench import kept, networks
from liquidbench.folder import TrainingFolder
from liquidbench.networks import SequenceModel
from liquidbench.rows import scored_or_why
from liquidbench.system import storage
from liquidbench.system.processes import CONTEXT, WATCH, StoppedWatch, start
from liquidbench.system.storage import DamagedFileError, KeptFileWarning, file_lock
from liquidbench.tasks.task import Task
from liquidbench.training.learning import Data, device_of, predict
from liquidbench.training.replicas import (
    Checkpoint,
    PeerLostError,
    TrainingConfig,
    deserialise,
    join_group,
    peer_errors,
    run_process,
    serialise,
    train_rank,
)
from liquidbench.training.trainer import Evaluation, NoTargetsError, Progress, check_targets, sampler_of

_GRACE = 3.0


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        model: the network with the weights of its best step.
        config: how it was trained, with the number of threads that was used.
        curve: its evaluations.
        best_step: the step with the best validation score of the main metric; 0 for the untrained network.
        ended: ``"all steps"``, ``"patience"``, or ``"minutes"`` if the time was up; then the same call continues.
        scores: the task's metrics on ``"validation"`` and ``"test"``, None if undefined; empty if ``ended`` is
            ``"minutes"``.
    """

    model: SequenceModel
    config: TrainingConfig
    curve: tuple[Evaluation, ...]
    best_step: int
    ended: str
    scores: Mapping[str, Mapping[str, float | None]]


def train(
    task: Task,
    config: TrainingConfig,
    folder: str | os.PathLike[str],
    *,
    minutes: float | None = None,
    save_every: float = 60.0,
    on_evaluation: Callable[[Evaluation], None] | None = None,
) -> Trained:
    """Train one network, or resume its training, and score it.

    Each of ``config.devices`` processes reads a share of each batch. The gradient equals that of a single process up to
    rounding, since each process's loss is weighted by its share of the scored targets (see
    `liquidbench.training.trainer` for the equation). The complete gradient is clipped. Each process has its own
    generator for dropout.

    With the same configuration and machine, losses and weights are equal to the bit, however often training was
    interrupted. With another number of devices or threads, they are equal up to rounding.

    The folder contains ``checkpoint.pt``, which is written atomically after each evaluation and every ``save_every``
    seconds, and at the end the network, for `liquidbench.load`, and ``training.json`` with curve and scores. Test data
    are read after training. All files have a checksum; a damaged checkpoint is moved to ``damaged/`` with a warning,
    and training starts again.

    Processes are started, so a program that calls this needs the guard ``if __name__ == "__main__":``.

    Args:
        task: the task. All its splits are built in this process; the other processes share the memory.
        config: what to train and how.
        folder: created if it does not exist. If it has a checkpoint of the same configuration, training resumes.
        minutes: stop with a checkpoint after this training time; the same call continues. None for no limit.
        save_every: minimum seconds between the checkpoints between evaluations; 0 for one after each step.
        on_evaluation: called in this process for every evaluation, beginning with those of earlier calls.

    Returns:
        The network and its scores.

    Raises:
        ValueError: if the folder's checkpoint has another configuration or version, the data have no targets, or
            another process trains in the folder.
        FloatingPointError: if a loss is infinite or NaN.
        ChildProcessError: if a process died; the same call continues from the last checkpoint.
        OSError: if the folder cannot be written to.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from liquidbench import tasks
        >>> from liquidbench.search import Settings
        >>> task = tasks.load("occupancy-excerpt")
        >>> config = TrainingConfig("GRU", 8, Settings(learning_rate=0.01), steps=20)
        >>> with TemporaryDirectory() as folder:
        ...     trained = train(task, config, folder)
        >>> trained.ended, len(trained.curve), "accuracy" in trained.scores["test"]
        ('all steps', 2, True)
    """
    for name, value, least in (("minutes", minutes, "above 0"), ("save_every", save_every, "at least 0")):
        if value is not None and not (value >= 0 and (value or name == "save_every")):
            raise ValueError(f"{name} must be {least}; got {value}")
    folder = Path(folder)
    if dist.is_torchelastic_launched():
        return _train_under_torchrun(task, config, folder, minutes, save_every, on_evaluation)
    for rank in range(config.devices):
        device_of(config.device, rank)
    with ExitStack() as inside:
        config, at = _prepare(task, config, folder, inside)
        model, path = config.build(task), TrainingFolder(folder).checkpoint
        tell = on_evaluation or (lambda evaluation: None)
        for evaluation in at.progress.curve:
            tell(evaluation)
        ended = at.progress.ended or _run_processes(config, model, at, task, path, minutes, save_every, tell)
        return _finish(task, config, Checkpoint.read(path).progress, ended, folder)


def processes() -> int:
    """The number of processes that torchrun has started; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def is_first() -> bool:
    """Whether this is rank 0 of the processes that torchrun has started, or the only process."""
    return not dist.is_torchelastic_launched() or os.environ["RANK"] == "0"


def _train_under_torchrun(
    task: Task,
    config: TrainingConfig,
    folder: Path,
    minutes: float | None,
    save_every: float,
    on_evaluation: Callable[[Evaluation], None] | None,
) -> Trained:
    """`train` in one of the processes that torchrun has started. Only rank 0 uses the folder."""
    started, here = processes(), int(os.environ["LOCAL_WORLD_SIZE"])
    if config.devices != started:
        raise ValueError(
            f"devices must be the number of processes that torchrun has started, {started}; got {config.devices}: "
            "leave it out, or start as many processes"
        )
    if config.device == "cpu" and here == started:
        os.environ.update(_loopback_environment())
    device = device_of(config.device, int(os.environ["LOCAL_RANK"]))
    _warn_of_restarts()
    join_group(device)
    first, path = is_first(), TrainingFolder(folder).checkpoint
    with ExitStack() as inside, peer_errors():
        at = _broadcast_checkpoint(lambda: _prepare(task, config, folder, inside)[1], path)
        # Each process checks that its configuration is that of the others.
        config = _settle_config(config, task, at, path)
        assert config.threads is not None
        torch.set_num_threads(config.threads)
        tell = on_evaluation if first and on_evaluation else lambda evaluation: None
        for evaluation in at.progress.curve:
            tell(evaluation)
        ended = at.progress.ended
        if not ended:
            learnt, validation = _training_data(task)
            seconds = math.inf if minutes is None else 60 * minutes
            data = learnt.to(device), validation.to(device)
            how = (path, task.main, sampler_of(task), save_every, seconds, tell)
            ended = train_rank(config, config.build(task), at, *data, *how)
        trained = _finish(task, config, at.progress, ended, folder if first else None)
        # If a process left early, another might lose data that it has not read yet.
        dist.barrier()
        dist.destroy_process_group()
        return trained


def _warn_of_restarts() -> None:
    """Warn if torchrun's restarts may hang.

    Its key-value store outlives the processes. Restarted processes may read the addresses of dead ones in it, and then
    wait for half an hour.
    """
    restarts, shared = (os.environ.get(f"TORCHELASTIC_{name}") for name in ("MAX_RESTARTS", "USE_AGENT_STORE"))
    if is_first() and restarts not in (None, "0") and shared == "True":
        warnings.warn(
            "torchrun may hang when it restarts processes (--max-restarts), as they look for each other at the "
            "addresses of the dead ones; start it with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in its environment, and "
            "--standalone or --rdzv-backend c10d",
            RuntimeWarning,
            stacklevel=4,
        )


def _broadcast_checkpoint(make: Callable[[], Checkpoint], path: Path) -> Checkpoint:
    """Call ``make`` in rank 0 and send its checkpoint to all ranks."""
    size, content = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.uint8)
    if dist.get_rank() == 0:
        try:
            at = make()
            content = torch.frombuffer(serialise(at.content).getbuffer(), dtype=torch.uint8)
            size[0] = len(content)
        finally:
            dist.broadcast(size, 0)
        dist.broadcast(content, 0)
        return at
    dist.broadcast(size, 0)
    if not size:
        raise PeerLostError("the first process could not start; it reports the reason")
    content = torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(content, 0)
    return Checkpoint.from_content(deserialise(content.numpy().tobytes()), path)


def _prepare(task: Task, config: TrainingConfig, folder: Path, inside: ExitStack) -> tuple[TrainingConfig, Checkpoint]:
    """Lock the folder until ``inside`` is closed; return the complete configuration and the state to start from."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        inside.enter_context(file_lock(TrainingFolder(folder).lock, wait=False))
    except BlockingIOError:
        raise ValueError(
            f"folder must not be in use, but another process trains in {folder}; wait until it has finished, stop it, "
            "or choose another folder"
        ) from None
    _wait_for_orphan(TrainingFolder(folder).writing)
    for left in (*folder.glob(".*.tmp"), *folder.glob(".rendezvous-*")):
        left.unlink(missing_ok=True)
    path = TrainingFolder(folder).checkpoint
    kept = _read_checkpoint(path)
    config = _settle_config(config, task, kept, path)
    return config, kept or Checkpoint.initial(config, task, config.build(task))


def _wait_for_orphan(lock: Path) -> None:
    """Wait until the first process of a driver that was killed has ended: it may still be writing a checkpoint."""

    def warn(reason: str) -> None:
        warnings.warn(f"{reason} of the checkpoint since its training was killed", RuntimeWarning, stacklevel=4)

    until = time.monotonic() + _GRACE
    while time.monotonic() < until:
        with suppress(BlockingIOError), file_lock(lock, wait=False):
            return
        time.sleep(0.01)
    with file_lock(lock, on_wait=warn):
        pass


def _finish(task: Task, config: TrainingConfig, progress: Progress, ended: str, folder: Path | None) -> Trained:
    """Score the trained network and write it to the folder."""
    model = config.build(task)
    model.load_state_dict(progress.best)
    if ended == "minutes":
        return Trained(model, config, tuple(progress.curve), progress.best_step, ended, {})

    # All choices are made: test data may be read now.
    device = device_of(config.device)
    model.to(device)
    predicted = {split: predict(model, Data(task.split(split), device)) for split in ("validation", "test")}
    scores = {
        split: {name: scored_or_why(metric, found)[0] for name, metric in task.scores.items()}
        for split, found in predicted.items()
    }
    trained = Trained(model.cpu(), config, tuple(progress.curve), progress.best_step, ended, scores)
    if folder is not None:
        targets, values = predicted["validation"]
        _write(trained, task, folder, kept.calibration(targets.numpy(), values.numpy()))
    return trained


def _training_data(task: Task) -> tuple[Data, Data]:
    """The training and validation splits; refuses a task without targets."""
    train, validation = (Data(task.split(name)) for name in ("train", "validation"))
    try:
        check_targets(train, validation)
    except NoTargetsError as error:
        raise ValueError(f"task must have targets; in {task.name!r}, {error}") from error
    return train, validation


def _read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint to resume from, or None; a damaged one is moved away."""
    try:
        return Checkpoint.read(path)
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        warnings.warn(
            f"{error}; it is now {storage.set_aside(path)}, and training starts again", KeptFileWarning, stacklevel=3
        )
        return None


def _settle_config(config: TrainingConfig, task: Task, kept: Checkpoint | None, path: Path) -> TrainingConfig:
    """The configuration with its number of threads; refuses one that differs from the checkpoint's."""
    if config.threads is None:
        # Under torchrun, only some of the processes may be on this machine.
        here = int(os.environ.get("LOCAL_WORLD_SIZE", config.devices))
        threads = max(torch.get_num_threads() // here, 1) if kept is None else kept.identity["threads"]
        config = replace(config, threads=threads)
    if kept is None:
        return config
    for name, value in config.identity(task).items():
        if (before := kept.identity[name]) != value:
            instead = f"start again in another folder, or remove {path}"
            if name == "devices":
                raise ValueError(
                    f"devices must be {before}, with which the training in {path.parent} started; got {value}. Another "
                    "number changes the order of summation, and so the last bits of the losses. Continue with "
                    f"{before} (fewer cores are enough), or {instead}"
                )
            raise ValueError(
                f"{name} must be {before!r}, with which the training in {path.parent} started; got {value!r}. Continue "
                f"with {before!r}, or {instead}"
            )
    if kept.torch != str(torch.__version__):
        warnings.warn(
            f"the training in {path.parent} started with torch {kept.torch} and continues with {torch.__version__}: "
            "the last bits of its losses may differ from those of an uninterrupted training",
            stacklevel=3,
        )
    return config


def _run_processes(
    config: TrainingConfig,
    model: SequenceModel,
    at: Checkpoint,
    task: Task,
    path: Path,
    minutes: float | None,
    save_every: float,
    on_evaluation: Callable[[Evaluation], None],
) -> str:
    """Start the processes, read their messages until training ends, and return why it ended."""
    splits = _training_data(task)
    rendezvous = path.parent / f".rendezvous-{os.getpid()}"
    seconds = math.inf if minutes is None else 60 * minutes
    shared = (config, *splits, path, rendezvous.resolve())
    running: dict[Any, Any] = {}
    try:
        for rank in range(config.devices):
            ours, theirs = CONTEXT.Pipe()
            process = CONTEXT.Process(
                target=run_process,
                args=(rank, *shared, theirs, save_every, seconds),
                name=f"liquidbench {rank}",
                daemon=True,
            )
            start(process, _loopback_environment())
            # Only the process may hold the other end: then reading ends when the process dies.
            theirs.close()
            running[ours] = process
        # Not an argument of the process: `start` would wait forever if a process died before reading all of it.
        packed = _pickled(model, at, task)
        for connection in running:
            # If it has died already, `_listen` reports that.
            with suppress(OSError):
                connection.send_bytes(packed)
        return _listen(running, on_evaluation)
    finally:
        for process in running.values():
            process.kill()
            process.join()
        rendezvous.unlink(missing_ok=True)


def _pickled(model: SequenceModel, at: Checkpoint, task: Task) -> bytes:
    """The pickled model, checkpoint, metric and sampler that each process receives."""
    try:
        return pickle.dumps((model, at, task.main, sampler_of(task)))
    # A user's layer or function may raise anything.
    except Exception as error:
        raise ValueError(
            "model and metric must be picklable, as they are sent to other processes; pickling fails with "
            f"{type(error).__name__}: {error}. Define your own layers and functions at the top level of a module"
        ) from error


def _loopback_environment() -> dict[str, str]:
    """Environment variables that make gloo listen on the loopback interface only, unless the user has chosen one.

    By default gloo uses the interface of the machine's host name, and accepts any connection.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ or not hasattr(socket, "if_nameindex"):
        return {}
    known = {name for _, name in socket.if_nameindex()}
    return next(({"GLOO_SOCKET_IFNAME": name} for name in ("lo", "lo0") if name in known), {})


def _listen(processes: Mapping[Connection, Any], on_evaluation: Callable[[Evaluation], None]) -> str:
    """Read messages until training ends. After an error, read on for a few seconds, then raise its cause."""
    running = dict(processes)
    watch = StoppedWatch()
    names = {process.pid: f"process {rank} of {len(processes)}" for rank, process in enumerate(processes.values())}
    troubles: dict[Connection, Exception] = {}
    until = math.inf
    while running and (left := until - time.monotonic()) > 0:
        heard = wait(list(running), min(left, WATCH))
        watch.look(names)
        for connection in heard:
            assert isinstance(connection, Connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):
                process = running.pop(connection)
                process.join(_GRACE)
                if connection in troubles:
                    continue
                message = _exit_error(process, list(processes).index(connection), len(processes))
            if isinstance(message, Evaluation):
                on_evaluation(message)
            elif isinstance(message, str):
                return message
            else:
                troubles[connection] = message
                until = min(until, time.monotonic() + _GRACE)
    # A PeerLostError is only a consequence of another process's error.
    raise min(troubles.values(), key=lambda trouble: isinstance(trouble, PeerLostError))


def _exit_error(process: Any, rank: int, processes: int) -> Exception:
    code = process.exitcode
    if code is not None and code < 0:
        hint = ", perhaps because memory ran out" if code == -signal.SIGKILL else ""
        how = f"was killed by signal {-code}{hint}"
    else:
        how = f"ended with exit code {code}"
    return ChildProcessError(
        f"process {rank} of {processes} (counted from 0) {how}; the others were stopped. The same command continues "
        "from the last checkpoint"
    )


def _write(trained: Trained, task: Task, folder: Path, calibration: Mapping[str, Any]) -> None:
    """Write the network and its scores, each file atomically."""
    files = TrainingFolder(folder)
    form, weights = networks.pack(trained.config.form, trained.model)
    about = kept.describe(task, form, trained.scores, trained.config.identity(task))
    kept.write(kept.Kept({**about, "calibration": calibration}, weights), folder)
    content = {
        "course": trained.config.identity(task),
        "ended": trained.ended,
        "best_step": trained.best_step,
        "scores": trained.scores,
        "curve": list(map(asdict, trained.curve)),
        "version": liquidbench.__version__,
        "torch": str(torch.__version__),
    }
    storage.keep(files.summary, storage.sealed_json(content))
