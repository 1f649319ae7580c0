"""One network trained by several processes, which can be killed at any moment and goes on as if nothing had been.

On one machine the driver (whoever calls `train`) starts the processes, listens to them, and ends them all when one has
died. On several, torchrun starts them, and each calls `train`. What they do is in `liquidbench.training.replicas`.
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
from liquidbench.catalogue import SequenceModel
from liquidbench.folder import TrainingFolder
from liquidbench.models import OwnModel
from liquidbench.own import CodeError
from liquidbench.rows import scored_or_why
from liquidbench.search import Settings
from liquidbench.system import storage
from liquidbench.system.processes import CONTEXT, WATCH, StoppedWatch, start
from liquidbench.system.storage import DamagedFileError, KeptFileWarning, file_lock
from liquidbench.tasks.task import Task
from liquidbench.training.learning import Data, device_of, predict
from liquidbench.training.replicas import (
    Checkpoint,
    Course,
    PeerLost,
    exchanging,
    join,
    loaded,
    packed,
    replicate,
    save,
    unpacked,
    work,
)
from liquidbench.training.trainer import Evaluation, NoTargetsError, Progress, check_targets, sampler_of

_PATIENCE = 3.0


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        model: the network with the weights of its best step.
        course: how it was trained, with the number of threads that was used.
        curve: its evaluations.
        best_step: after which it was best on validation, by the task's main metric; 0 for the untrained network.
        ended: ``"all steps"``, ``"patience"``, or ``"minutes"`` where the same call would go on.
        scores: by split, ``"validation"`` and ``"test"``, the task's metrics, None where one is undefined; empty
            while the training can go on.
    """

    model: SequenceModel
    course: Course
    curve: tuple[Evaluation, ...]
    best_step: int
    ended: str
    scores: Mapping[str, Mapping[str, float | None]]


def train(
    task: Task,
    course: Course,
    folder: str | os.PathLike[str],
    *,
    minutes: float | None = None,
    save_every: float = 60.0,
    on_evaluation: Callable[[Evaluation], None] | None = None,
) -> Trained:
    """Train one network, or go on with its training, and score it.

    Each of ``course.devices`` processes takes a share of each batch. The gradient is that of one process up to
    rounding: losses are means over scored targets, so each process's counts by its part of these (the equation is in
    `liquidbench.training.trainer`). It is clipped when it is complete. Dropout draws from a generator of each process's
    own.

    With the same course on the same machine, losses and weights are the same to the bit, however often the training
    was stopped in between; with another number of devices or threads only up to rounding.

    The folder holds ``checkpoint.pt``, written after each evaluation and every so many seconds, whole or not at all. At
    the end there are also ``model.pt``, for `load`, and ``training.json`` with curve and scores. Test is asked for
    when everything else is settled. Each file carries a checksum; a damaged checkpoint is moved to ``damaged/`` with a
    warning, and the training begins anew.

    A program that calls this must be guarded by ``if __name__ == "__main__":``, since processes are started.

    Args:
        task: its data. All its splits are built in this process, and their memory is shared with the others.
        course: what to train and how.
        folder: made where it does not exist. Where it has a checkpoint of the same course, that is gone on with.
        minutes: stop at a checkpoint after so many minutes of training; the same call goes on. None for no limit.
        save_every: seconds between checkpoints between evaluations, at least; 0 for one after each step.
        on_evaluation: called in this process for every evaluation, first for those of an earlier call.

    Returns:
        The network and how it did.

    Raises:
        ValueError: for a course that is not that of the folder's checkpoint, a checkpoint of another version, data
            without targets, or while another process trains in the folder.
        FloatingPointError: where a loss stops being finite.
        ChildProcessError: where a process died; the same call goes on from the last checkpoint.
        OSError: where the folder cannot be written to.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from liquidbench import tasks
        >>> task = tasks.load("occupancy-excerpt")
        >>> course = Course("GRU", 8, Settings(learning_rate=0.01), steps=20)
        >>> with TemporaryDirectory() as folder:
        ...     trained = train(task, course, folder)
        >>> trained.ended, len(trained.curve), "accuracy" in trained.scores["test"]
        ('all steps', 2, True)
    """
    for name, value, least in (("minutes", minutes, "above 0"), ("save_every", save_every, "at least 0")):
        if value is not None and not (value >= 0 and (value or name == "save_every")):
            raise ValueError(f"{name} must be {least}; got {value}")
    folder = Path(folder)
    if dist.is_torchelastic_launched():
        return _train_joined(task, course, folder, minutes, save_every, on_evaluation)
    for rank in range(course.devices):
        device_of(course.device, rank)
    with ExitStack() as inside:
        course, at = _begin(task, course, folder, inside)
        model, path = course.build(task), TrainingFolder(folder).checkpoint
        tell = on_evaluation or (lambda evaluation: None)
        for evaluation in at.progress.curve:
            tell(evaluation)
        ended = at.progress.ended or _conduct(course, model, at, task, path, minutes, save_every, tell)
        return _finish(task, course, Checkpoint.read(path).progress, ended, folder)


def processes() -> int:
    """How many processes torchrun has started, 1 where none."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def is_first() -> bool:
    """Whether this is the first of the processes that torchrun has started, or the only one."""
    return not dist.is_torchelastic_launched() or os.environ["RANK"] == "0"


def _train_joined(
    task: Task,
    course: Course,
    folder: Path,
    minutes: float | None,
    save_every: float,
    on_evaluation: Callable[[Evaluation], None] | None,
) -> Trained:
    """`train` in one of the processes that torchrun has started. The folder is the first one's affair."""
    started, here = processes(), int(os.environ["LOCAL_WORLD_SIZE"])
    if course.devices != started:
        raise ValueError(
            f"devices must be the processes that torchrun has started, {started}; got {course.devices}: leave it out, "
            "or start as many"
        )
    if course.device == "cpu" and here == started:
        os.environ.update(_loopback())
    device = device_of(course.device, int(os.environ["LOCAL_RANK"]))
    _warn_of_restarts()
    join(device)
    first, path = is_first(), TrainingFolder(folder).checkpoint
    with ExitStack() as inside, exchanging():
        at = _from_first(lambda: _begin(task, course, folder, inside)[1], path)
        # Each process checks that it is given the same as the others.
        course = _settled(course, task, at, path)
        assert course.threads is not None
        torch.set_num_threads(course.threads)
        tell = on_evaluation if first and on_evaluation else lambda evaluation: None
        for evaluation in at.progress.curve:
            tell(evaluation)
        ended = at.progress.ended
        if not ended:
            learnt, validation = _splits(task)
            seconds = math.inf if minutes is None else 60 * minutes
            data = learnt.to(device), validation.to(device)
            how = (path, task.main, sampler_of(task), save_every, seconds, tell)
            ended = replicate(course, course.build(task), at, *data, *how)
        trained = _finish(task, course, at.progress, ended, folder if first else None)
        # Who leaves early could take from another what it has not read yet.
        dist.barrier()
        dist.destroy_process_group()
        return trained


def _warn_of_restarts() -> None:
    """Say that torchrun's restarts may hang, where they may.

    Its store outlives the processes. Those that it starts anew may read in it where the dead ones could be reached, and
    then wait for half an hour.
    """
    restarts, shared = (os.environ.get(f"TORCHELASTIC_{name}") for name in ("MAX_RESTARTS", "USE_AGENT_STORE"))
    if is_first() and restarts not in (None, "0") and shared == "True":
        warnings.warn(
            "torchrun may hang when it restarts processes (--max-restarts), as they look for each other where the dead "
            "ones were; start it with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in its environment, and --standalone or "
            "--rdzv-backend c10d",
            RuntimeWarning,
            stacklevel=4,
        )


def _from_first(make: Callable[[], Checkpoint], path: Path) -> Checkpoint:
    """The checkpoint that the first process makes, in all of them."""
    size, content = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.uint8)
    if dist.get_rank() == 0:
        try:
            at = make()
            content = torch.frombuffer(packed(at.content).getbuffer(), dtype=torch.uint8)
            size[0] = len(content)
        finally:
            dist.broadcast(size, 0)
        dist.broadcast(content, 0)
        return at
    dist.broadcast(size, 0)
    if not size:
        raise PeerLost("the first process could not begin, and says why")
    content = torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(content, 0)
    return Checkpoint.of(unpacked(content.numpy().tobytes()), path)


def _begin(task: Task, course: Course, folder: Path, inside: ExitStack) -> tuple[Course, Checkpoint]:
    """The course with its number of threads, and where its training stands; the folder is locked for so long."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        inside.enter_context(file_lock(TrainingFolder(folder).lock, wait=False))
    except BlockingIOError:
        raise ValueError(
            f"folder must have nobody else training in it, but another process does in {folder}; let it finish "
            "or stop it first, or choose another folder"
        ) from None
    for left in (*folder.glob(".*.tmp"), *folder.glob(".rendezvous-*")):
        left.unlink(missing_ok=True)
    path = TrainingFolder(folder).checkpoint
    kept = _kept(path)
    course = _settled(course, task, kept, path)
    return course, kept or Checkpoint.first(course, task, course.build(task))


def _finish(task: Task, course: Course, progress: Progress, ended: str, folder: Path | None) -> Trained:
    """Score what was trained, and keep it in the folder."""
    model = course.build(task)
    model.load_state_dict(progress.best)
    if ended == "minutes":
        return Trained(model, course, tuple(progress.curve), progress.best_step, ended, {})

    # From here on there is nothing left to choose.
    device, scores = device_of(course.device), {}
    model.to(device)
    for split in ("validation", "test"):
        predicted = predict(model, Data(task.split(split), device))
        scores[split] = {name: scored_or_why(metric, predicted)[0] for name, metric in task.scores.items()}
    trained = Trained(model.cpu(), course, tuple(progress.curve), progress.best_step, ended, scores)
    if folder is not None:
        _keep(trained, task, folder)
    return trained


def _splits(task: Task) -> tuple[Data, Data]:
    """Training and validation, which have targets."""
    train, validation = (Data(task.split(name)) for name in ("train", "validation"))
    try:
        check_targets(train, validation)
    except NoTargetsError as error:
        raise ValueError(f"task must have targets to learn from; in {task.name!r} {error}") from error
    return train, validation


def load(path: str | os.PathLike[str], task: Task) -> SequenceModel:
    """The network that `train` has left.

    Args:
        path: a ``model.pt``, or its folder.
        task: the task it was trained on, for the sizes of inputs and outputs; no data are read.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for another task than that it was trained on.
        DamagedFileError: where the file is not what was written.
        CodeError: a user's model is not there any more, or has changed.
    """
    path = Path(path)
    path = TrainingFolder(path).model if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"path must be a model that `liquidbench train` has left; there is none at {path}")
    try:
        content = loaded(path)
        name, course, state = content["task"], content["course"], content["state"]
        known = course["model"]
        known = OwnModel(**known) if isinstance(known, Mapping) else known
        course = Course(**{**course, "model": known, "settings": Settings(**course["settings"])})
    except DamagedFileError as error:
        raise DamagedFileError(f"{error}; train again in its folder, and it is made from the checkpoint") from error
    except CodeError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no model that `liquidbench train` has left ({error}); train it again") from error
    if name != task.name:
        raise ValueError(f"task must be {name!r}, on which {path} was trained; got {task.name!r}")
    model = course.build(task)
    model.load_state_dict(state)
    return model.eval()


def _kept(path: Path) -> Checkpoint | None:
    """The checkpoint to go on with; a damaged one is set aside."""
    try:
        return Checkpoint.read(path)
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        warnings.warn(
            f"{error}; it is now {storage.set_aside(path)}, and the training begins anew", KeptFileWarning, stacklevel=3
        )
        return None


def _settled(course: Course, task: Task, kept: Checkpoint | None, path: Path) -> Course:
    """The course with its number of threads; it must be that of the checkpoint, if there is one."""
    if course.threads is None:
        # torchrun starts some of the processes here and some elsewhere.
        here = int(os.environ.get("LOCAL_WORLD_SIZE", course.devices))
        threads = max(torch.get_num_threads() // here, 1) if kept is None else kept.identity["threads"]
        course = replace(course, threads=threads)
    if kept is None:
        return course
    for name, value in course.identity(task).items():
        if (before := kept.identity[name]) != value:
            instead = f"begin anew in another folder, or remove {path}"
            if name == "devices":
                raise ValueError(
                    f"devices must be {before}, with which the training in {path.parent} was begun; got {value}. With "
                    "another number, sums are added up in another order, and losses would no longer be the same to "
                    f"the bit. Go on with {before}, which need not be as many cores; or {instead}"
                )
            raise ValueError(
                f"{name} must be {before!r}, with which the training in {path.parent} was begun; got {value!r}. Go on "
                f"with that, or {instead}"
            )
    if kept.torch != str(torch.__version__):
        warnings.warn(
            f"the training in {path.parent} was begun with torch {kept.torch} and goes on with {torch.__version__}: "
            "its losses may differ in their last bits from those of an undisturbed one",
            stacklevel=3,
        )
    return course


def _conduct(
    course: Course,
    model: SequenceModel,
    at: Checkpoint,
    task: Task,
    path: Path,
    minutes: float | None,
    save_every: float,
    on_evaluation: Callable[[Evaluation], None],
) -> str:
    """Start the processes and hear them to their end; why the training ended."""
    splits = _splits(task)
    rendezvous = path.parent / f".rendezvous-{os.getpid()}"
    seconds = math.inf if minutes is None else 60 * minutes
    shared = (course, *splits, path, rendezvous.resolve())
    running: dict[Any, Any] = {}
    try:
        for rank in range(course.devices):
            ours, theirs = CONTEXT.Pipe()
            process = CONTEXT.Process(
                target=work, args=(rank, *shared, theirs, save_every, seconds), name=f"liquidbench {rank}", daemon=True
            )
            start(process, _loopback())
            # The process now has the only other end, so that hearing a dead one ends rather than waits.
            theirs.close()
            running[ours] = process
        # Not among the arguments: `start` would wait for ever where a process dies before it has read so much.
        packed = _pickled(model, at, task)
        for connection in running:
            # Should it have died already, hearing it will tell.
            with suppress(OSError):
                connection.send_bytes(packed)
        return _hear(running, on_evaluation)
    finally:
        for process in running.values():
            process.kill()
            process.join()
        rendezvous.unlink(missing_ok=True)


def _pickled(model: SequenceModel, at: Checkpoint, task: Task) -> bytes:
    """What each process is sent. Of a task of a user's own, the functions that it needs must be found there."""
    try:
        return pickle.dumps((model, at, task.main, sampler_of(task)))
    # Somebody else's layer or function may fail in any way.
    except Exception as error:
        raise ValueError(
            f"model and metric must be such that other processes can have them; those of this training cannot be sent "
            f"({type(error).__name__}: {error}): define layers and functions of your own at the top level of a module"
        ) from error


def _loopback() -> dict[str, str]:
    """Has gloo listen on this machine alone, unless the user has named an interface.

    By itself it takes whichever the machine's name stands for, and trusts whoever reaches it.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ or not hasattr(socket, "if_nameindex"):
        return {}
    known = {name for _, name in socket.if_nameindex()}
    return next(({"GLOO_SOCKET_IFNAME": name} for name in ("lo", "lo0") if name in known), {})


def _hear(processes: Mapping[Connection, Any], on_evaluation: Callable[[Evaluation], None]) -> str:
    """Listen until the training ends; where a process does, for a few seconds more, and raise what was the cause."""
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
                process.join(_PATIENCE)
                if connection in troubles:
                    continue
                message = _death(process, list(processes).index(connection), len(processes))
            if isinstance(message, Evaluation):
                on_evaluation(message)
            elif isinstance(message, str):
                return message
            else:
                troubles[connection] = message
                until = min(until, time.monotonic() + _PATIENCE)
    # Those that lost another are its victims.
    raise min(troubles.values(), key=lambda trouble: isinstance(trouble, PeerLost))


def _death(process: Any, rank: int, processes: int) -> Exception:
    code = process.exitcode
    if code is not None and code < 0:
        hint = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
        how = f"was killed by signal {-code}{hint}"
    else:
        how = f"ended with exit code {code}"
    return ChildProcessError(
        f"process {rank} of {processes} (numbered from 0) {how}; the others were ended. What was trained up to the "
        "last checkpoint is kept, and the same command goes on"
    )


def _keep(trained: Trained, task: Task, folder: Path) -> None:
    """Write the network and what came of it, each file whole or not at all."""
    files = TrainingFolder(folder)
    save({"task": task.name, "course": asdict(trained.course), "state": trained.model.state_dict()}, files.model)
    content = {
        "course": trained.course.identity(task),
        "ended": trained.ended,
        "best_step": trained.best_step,
        "scores": trained.scores,
        "curve": list(map(asdict, trained.curve)),
        "version": liquidbench.__version__,
        "torch": str(torch.__version__),
    }
    storage.keep(files.summary, storage.sealed_json(content))
