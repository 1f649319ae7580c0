"""Several processes learn what one would, and whatever happens to them changes no bit."""

import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

import liquidbench
from liquidbench import networks
from liquidbench.__main__ import main
from liquidbench.folder import TrainingFolder
from liquidbench.search import Settings
from liquidbench.system import processes, storage
from liquidbench.system.storage import KeptFileWarning, file_lock
from liquidbench.tasks import synthetic
from liquidbench.tasks.task import Feature, Split
from liquidbench.training import distributed, learning
from liquidbench.training.distributed import train
from liquidbench.training.learning import Data, loss_of, optimiser_of, predict
from liquidbench.training.replicas import Checkpoint, TrainingConfig
from liquidbench.training.trainer import (
    LEVELS,
    Evaluation,
    check_shared,
    mean_loss,
    shortest_first,
    spread,
    step,
    whole,
)
from liquidrnn.objectives import IRM, Mixup, StateMoments, VREx

pytestmark = pytest.mark.usefixtures("forked")

# Two levels with dropout, so that what the processes draw is part of what must come back.
CONFIG = TrainingConfig(
    "GRU",
    6,
    Settings(0.02, schedule="cosine", weight_decay=0.01, patience=1.0, structure={"num_layers": 2, "dropout": 0.3}),
    steps=21,
    batch_size=33,
    devices=2,
    threads=1,
)
# It draws elsewhere with another number of processes.
WITHOUT_DROPOUT = replace(CONFIG.settings, structure={})
CASES = [*product(["LSTM"], ("classification", "regression"), ("step", "sequence"), [False])]
CASES += [("LTC", "classification", "step", False), ("CfC", "regression", "sequence", False)]
CASES += [("GRU", kind, per, True) for kind in ("classification", "regression") for per in ("step", "sequence")]
# Dense parameters behind masks, parametrised ones, those of compiled kernels, of torch's own, and of a cell before.
SHARDED = [("LTC-NCP", "regression", "step", False), ("CfC-NCP", "classification", "step", False)]
SHARDED += [(model, "classification", "sequence", False) for model in ("LTC", "CfC-mm", "GRU-D")]
SHARDED += [("GRU", "regression", "step", True)]


def parity():
    return synthetic.parity_dense(sizes=(200, 41, 40))


# What a batch comes to.


def split(kind: str, per: str) -> Data:
    """Twelve sequences of uneven length in float64, with gaps in inputs and targets; the last four have no target."""
    draw = np.random.default_rng(5)
    lengths = draw.integers(3, 15, 12)
    there = np.arange(14) < lengths[:, None]
    shape = (12, 14) if per == "step" else (12,)
    known = (draw.random(shape) < 0.6) & (np.arange(12) < 8).reshape(-1, *[1] * (len(shape) - 1))
    known = known & there if per == "step" else known
    targets = draw.integers(0, 3, shape) if kind == "classification" else draw.normal(size=(*shape, 3))
    data = Data(
        Split(
            values=draw.normal(size=(12, 14, 2)).astype(np.float32),
            timespans=draw.exponential(size=(12, 14)).astype(np.float32),
            mask=(draw.random((12, 14, 2)) < 0.8) & there[..., None],
            targets=targets,
            target_mask=known,
            rows=np.zeros((12, 14), np.int64),
            recordings=("",) * 12,
        )
    )
    data.values, data.timespans = data.values.double(), data.timespans.double()
    return data


def network(model: str, per: str) -> networks.SequenceModel:
    task = replace(
        parity(), features=(Feature("a", "1"), Feature("b", "1")), outputs=3, classes=("a", "b", "c"), per=per
    )
    built = networks.build(model, task, 7, seed=3).double()
    built.idle = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    return built


def batches(data: Data) -> list[torch.Tensor]:
    """Of an odd number; of one sequence; one half without targets; all of it without."""
    targeted = [i for i in range(12) if data.target_mask[i].any()]
    return [
        torch.tensor([7, 2, 9, 0, 3, 5, 1]),
        torch.tensor(targeted[:1]),
        torch.tensor([*targeted[:2], 10, 11]),
        torch.tensor([8, 9, 11]),
        torch.arange(12),
    ]


class Uneven(StateMoments):
    """Environments are to do equally well, with slopes and states that are alike; one alone will do."""

    fewest = 1

    def statistics(self, predictions, targets, features):
        slope = IRM(loss=self.loss).statistics(predictions, targets, None)[2:]
        return torch.cat([super().statistics(predictions, targets, features), slope])

    def combine(self, sums, numbers):
        risks, slopes = sums[:, 1] / sums[:, 0], sums[:, -1] / sums[:, 0]
        if len(sums) == 1:
            return risks.sum() + slopes.square().sum()
        return risks.mean() + 3 * risks.var(correction=0) + slopes.square().mean() + self.penalty(risks, sums[:, :-1])


def objective_of(environments: bool):
    return Uneven(loss=mean_loss) if environments else None


def learnt(group, case, parallel: str = "ddp"):
    """Losses, gradients and weights of a case, step by step."""
    model, kind, per, environments = case
    data, net = split(kind, per), network(model, per)
    if environments:
        data.environments = torch.tensor([4, 0, 0, 4, 4, 9, 9, 0, 0, 4, 9, 9])
    objective = objective_of(environments)
    together = net if group is None else spread(net, group, parallel)
    optimiser = optimiser_of(net, Settings(0.01, weight_decay=0.1))
    for batch in batches(data):
        told = step(together, optimiser, data, batch, 0.05, objective, group)
        gradients = [None if p.grad is None else whole(p.grad).clone() for p in net.parameters()]
        yield told, gradients, [*whole(dict(net.state_dict())).values()]


def replica(rank: int, rendezvous: str, connection) -> None:
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    for case, parallel in [*product(CASES, ["ddp"]), *product(SHARDED, ["fsdp"])]:
        for told, gradients, weights in learnt(dist.group.WORLD, case, parallel):
            # As arrays, since a tensor is sent as memory that ends with its process.
            arrays = [None if g is None else g.numpy() for g in gradients], [w.numpy() for w in weights]
            connection.send((told[:2], *arrays))
    # A loss that is not finite in one share ends all, and changes nothing.
    data, net = split("regression", "step"), network("LSTM", "step")
    data.values[0] = np.inf
    before = [p.clone() for p in net.parameters()]
    try:
        group = dist.group.WORLD
        step(spread(net, group), optimiser_of(net, Settings(0.01)), data, torch.arange(12), 1.0, group=group)
    except FloatingPointError as error:
        connection.send((str(error), all(map(torch.equal, before, net.parameters()))))
    # As in `replicas.run_process`: threads of torch's may abort a process that ends by itself.
    signal.pause()


def test_two_processes_have_the_gradient_of_one(tmp_path):
    context = distributed.CONTEXT
    ends, processes = [], []
    for rank in range(2):
        ours, theirs = context.Pipe(duplex=False)
        processes.append(
            context.Process(target=replica, args=(rank, str(tmp_path / "rendezvous"), theirs), daemon=True)
        )
        processes[-1].start()
        theirs.close()
        ends.append(ours)
    for case in [*CASES, *SHARDED]:
        for (loss, scored, _), gradients, weights in learnt(None, case):
            first, second = (end.recv() for end in ends)
            np.testing.assert_equal(first, second)
            (their_loss, their_scored), their_gradients, their_weights = first
            assert their_scored == scored, case
            assert their_loss == pytest.approx(loss, rel=1e-12), case
            for ours, theirs in zip([*gradients, *weights], [*their_gradients, *their_weights], strict=True):
                assert (ours is None) == (theirs is None), case
                if ours is not None:
                    np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-9, atol=1e-13, err_msg=str(case))
        assert gradients[0] is None, "the idle parameter"
    for end, process in zip(ends, processes, strict=True):
        assert end.recv() == ("training loss became nan", True)
        process.kill()
        process.join()


def test_an_objective_that_processes_cannot_share_is_refused():
    check_shared(VREx())
    with pytest.raises(ValueError, match="objective must be an EnvironmentObjective .* got Mixup, .* with one process"):
        check_shared(Mixup())


# What a training comes to.


def content(folder) -> dict:
    """All that a training leaves, without how long it took."""
    at = Checkpoint.read(folder / "checkpoint.pt")
    at.progress.seconds = 0.0
    at.progress.curve = [replace(evaluation, seconds=0.0) for evaluation in at.progress.curve]
    summary = json.loads((folder / "training.json").read_text())
    return at.content | {"scores": summary["scores"], "final": dict(liquidbench.load(folder).model.state_dict())}


def assert_same(found, expected, where: str = "") -> None:
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_same(found[number], value, f"{where}[{number}]")
    else:
        assert found == expected, where


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, forked) -> dict:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(parity(), CONFIG, folder)
    return content(folder)


def test_one_process_learns_what_the_loop_of_studies_does(tmp_path):
    config = replace(CONFIG, devices=1, settings=WITHOUT_DROPOUT)
    told: list[Evaluation] = []
    trained = train(parity(), config, tmp_path / "one", on_evaluation=told.append)
    assert tuple(told) == trained.curve and [evaluation.step for evaluation in told] == [10, 20, 21]

    data, validation = (Data(parity().split(name)) for name in ("train", "validation"))
    net, order = config.build(parity()), torch.Generator().manual_seed(0)
    optimiser = optimiser_of(net, config.settings)
    losses, steps = [], []
    # Nothing is mastered in so few steps, but after three fifths of them all sequences are read.
    drawn = []
    while len(drawn) < 13:
        drawn += shortest_first(data, 33, order, 0)
    while len(drawn) < 21:
        drawn += shortest_first(data, 33, order, LEVELS)
    for number, batch in enumerate(drawn[:21], start=1):
        optimiser.param_groups[0]["lr"] = learning.learning_rate(config.settings, number, 21)
        net.train()
        steps.append(step(net, optimiser, data, batch, 1.0))
        if number in (10, 20, 21):
            loss = sum(loss * scored for loss, scored, _ in steps) / sum(scored for _, scored, _ in steps)
            targets, predictions = predict(net, validation)
            hits = float((predictions.argmax(1) == targets).double().mean())
            losses.append((loss, float(loss_of(targets, predictions)), hits))
            steps.clear()
    assert [(at.train_loss, at.validation_loss, at.score) for at in told] == losses

    again = liquidbench.load(tmp_path / "one").model
    assert_same(dict(again.state_dict()), dict(trained.model.state_dict()))


@pytest.mark.slow
def test_two_processes_learn_what_one_does_up_to_rounding(tmp_path):
    """Each of their steps is tested above; this is whole trainings."""
    config = replace(CONFIG, settings=WITHOUT_DROPOUT)
    alone, both = (train(parity(), replace(config, devices=n), tmp_path / f"{n}") for n in (1, 2))
    for one, two in zip(alone.curve, both.curve, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=1e-5)
        assert two.validation_loss == pytest.approx(one.validation_loss, rel=1e-5)


@pytest.mark.slow
def test_stopped_between_evaluations_and_then_a_process_is_killed(tmp_path, undisturbed):
    paused = train(parity(), CONFIG, tmp_path, minutes=1e-9)
    assert (paused.ended, paused.curve, paused.scores) == ("minutes", (), {})
    assert not (tmp_path / "model.json").exists()
    kept = Checkpoint.read(tmp_path / "checkpoint.pt").progress
    assert (kept.batch, kept.step) == (1, 1) and kept.total > 0

    killed = []

    def kill(_: Evaluation) -> None:
        if not killed:
            killed.append(time.monotonic())
            os.kill(next(p.pid for p in multiprocessing.active_children() if p.name == "liquidbench 1"), signal.SIGKILL)

    with pytest.raises(ChildProcessError, match=r"process 1 of 2 .*was killed by signal 9.*same command continues"):
        train(parity(), CONFIG, tmp_path, save_every=0, on_evaluation=kill)
    assert time.monotonic() - killed[0] < 10
    assert not multiprocessing.active_children()

    train(parity(), CONFIG, tmp_path)
    assert_same(content(tmp_path), undisturbed)


@pytest.mark.slow
def test_a_network_in_parts_is_trained_saved_and_gone_on_with(tmp_path, undisturbed):
    config = replace(CONFIG, parallel="fsdp")
    trained = train(parity(), config, tmp_path / "whole")
    assert train(parity(), config, tmp_path / "paused", minutes=1e-9).ended == "minutes"
    assert train(parity(), config, tmp_path / "paused", save_every=0).ended == "all steps"
    expected = content(tmp_path / "whole")
    assert_same(content(tmp_path / "paused"), expected)
    again = liquidbench.load(tmp_path / "paused").model
    assert_same(dict(again.state_dict()), dict(trained.model.state_dict()))
    # What replicas learn, up to rounding: the same seeds, batches and dropout.
    for name, tensor in undisturbed["model"].items():
        torch.testing.assert_close(expected["model"][name], tensor, rtol=1e-3, atol=1e-4)
    assert expected["optimiser"].keys() == undisturbed["optimiser"].keys()


def test_a_process_that_dies_at_its_start(tmp_path, monkeypatch, capfd):
    """As all do whose program is not guarded by its name; the network is larger than what a pipe holds."""
    monkeypatch.setattr(distributed, "CONTEXT", processes.CONTEXT)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "gone.py"), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    with pytest.raises(ChildProcessError, match="ended with exit code 1"):
        train(parity(), replace(CONFIG, hidden_size=256), tmp_path / "folder")
    assert "gone.py" in capfd.readouterr().err


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system does not tell")
def test_a_process_that_stands_still_is_told_of(monkeypatch):
    for module in (processes, distributed):
        monkeypatch.setattr(module, "WATCH", 0.05)
    ours, theirs = multiprocessing.Pipe()
    with subprocess.Popen(["sleep", "60"]) as standing:
        standing.send_signal(signal.SIGSTOP)
        goes_on = threading.Timer(0.5, theirs.send, ("patience",))
        goes_on.start()
        with pytest.warns(RuntimeWarning, match=rf"process 0 of 1 .process {standing.pid}., which is stopped") as told:
            assert distributed._listen({ours: standing}, lambda epoch: None) == "patience"
        standing.kill()
        goes_on.join()
    assert len(told) == 1


DRIVER = """
import sys
from test_distributed import CONFIG, parity
from liquidbench.training.distributed import train
if __name__ == "__main__":
    train(parity(), CONFIG, sys.argv[1], save_every=0, on_evaluation=lambda at: print(at, flush=True))
"""


def driver(folder, stdout=subprocess.DEVNULL) -> subprocess.Popen:
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
    )


@pytest.mark.slow
def test_the_driver_is_killed(tmp_path, undisturbed):
    with driver(tmp_path, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        with pytest.raises(ValueError, match="another process trains in"):
            train(parity(), CONFIG, tmp_path)
        running.kill()
    train(parity(), CONFIG, tmp_path)
    assert_same(content(tmp_path), undisturbed)
    # For others to read, and sealed all the same.
    assert storage.intact((tmp_path / "training.json").read_bytes(), "it")
    # Nothing is left of the dead but the files of locks.
    kept = {"checkpoint.pt", "model.json", "model.safetensors", "training.json"}
    assert {path.name for path in tmp_path.iterdir()} == {".lock", ".lock-checkpoint", *kept}


def test_training_waits_for_the_checkpoint_that_an_orphan_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "_GRACE", 0.1)
    part, held = tmp_path / ".checkpoint.pt.0.tmp", threading.Event()

    def orphan():
        with file_lock(TrainingFolder(tmp_path).writing):
            held.set()
            time.sleep(0.3)
            part.touch()

    thread = threading.Thread(target=orphan)
    thread.start()
    held.wait()
    words = f"waiting for process {os.getpid()} .* of the checkpoint"
    # All that comes before processes are started.
    with ExitStack() as inside, pytest.warns(RuntimeWarning, match=words):
        _, at = distributed._prepare(parity(), CONFIG, tmp_path, inside)
    thread.join()
    assert not part.exists() and at.progress.step == 0


STARTED = """
import os, signal, sys
from test_distributed import CONFIG, parity
from liquidbench.training import trainer
from liquidbench.training.distributed import train

calls, step = [], trainer.step

def dies(*arguments):
    calls.append(arguments)
    # Shortly before the first evaluation.
    if len(calls) == 10 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

trainer.step = dies
told = []
trained = train(parity(), CONFIG, sys.argv[1], save_every=0, on_evaluation=told.append)
assert set(trained.scores) == {"validation", "test"} and len(told) == (3 if os.environ["RANK"] == "0" else 0)
"""


@pytest.mark.slow
def test_processes_that_torchrun_starts_and_starts_again(tmp_path, undisturbed):
    """They learn what those of our own do, to the bit; one is killed, and torchrun starts all of them anew."""
    (tmp_path / "program.py").write_text(STARTED)
    words = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "1", str(tmp_path / "program.py")]
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, str(tmp_path / "folder")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert "exitcode: -9" in ended.stderr, ended.stderr
    assert_same(content(tmp_path / "folder"), undisturbed)


@pytest.fixture
def launched(monkeypatch):
    """As if torchrun had started two processes on this machine, of which this is the first."""
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


def test_restarts_of_torchrun_that_may_hang_are_warned_of(launched, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    with pytest.warns(RuntimeWarning, match="TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"):
        distributed._warn_of_restarts()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
        distributed._warn_of_restarts()


def test_another_number_than_torchrun_has_started_is_refused(launched, tmp_path):
    assert distributed.processes() == 2 and distributed.is_first()
    with pytest.raises(ValueError, match="devices must be the number of processes that torchrun has started, 2; got 3"):
        train(parity(), replace(CONFIG, devices=3), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="device must exist; got 'cuda', .*Use 'cpu'"):
        train(parity(), replace(CONFIG, device="cuda"), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again(tmp_path, undisturbed, seed):
    """At random moments, now the driver, now one of its processes; most while they train, some while they start."""
    draw, kills = random.Random(seed), 0
    checkpoint = tmp_path / "checkpoint.pt"
    while True:
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        with driver(tmp_path) as running:
            started = time.monotonic() + (draw.uniform(0, 4) if draw.random() < 0.2 else 120)
            while running.poll() is None and time.monotonic() < started:
                if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                    break
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.1))
            victims = [running.pid, *children(running.pid)]
            if running.poll() is None:
                os.kill(draw.choice(victims), signal.SIGKILL)
                kills += 1
                # How soon is a matter of what else the machine does.
                running.wait(120)
        if running.returncode == 0:
            break
        assert kills < 60
    assert_same(content(tmp_path), undisturbed)
    assert kills >= 3


def children(pid: int) -> list[int]:
    """Processes of `liquidbench.training.replicas` that a driver has started; the resource tracker is none of them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        # Processes end while we look.
        with suppress(OSError):
            if (
                f"PPid:\t{pid}\n" in (entry / "status").read_text()
                and b"spawn_main" in (entry / "cmdline").read_bytes()
            ):
                found.append(int(entry.name))
    return found


# What is refused.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "Transformer"}, "model must be one of LTC, "),
        ({"hidden_size": 0}, "hidden_size must be at least 1; got 0"),
        ({"devices": 34}, "devices must be at most batch_size, 33, .*got 34: use fewer"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"device": "tpu"}, "device must be one of cpu, cuda; got 'tpu'"),
        ({"settings": Settings(0.0)}, "learning_rate must be above 0"),
        ({"settings": Settings(0.1, optimiser="sgd")}, "optimiser must be one of adamw, rmsprop; got 'sgd'"),
        ({"settings": Settings(0.1, patience=2)}, "patience must be above 0 and at most 1"),
        ({"settings": Settings(0.1, warm_up=1.0)}, "warm_up must be at least 0 and below 1"),
        ({"settings": Settings(0.1, readout="first")}, "readout must be one of last, mean, attention; got 'first'"),
        ({"parallel": "tp"}, "parallel must be one of ddp, fsdp; got 'tp'"),
        ({"settings": Settings(0.1, weight_decay=float("nan"))}, "weight_decay must be at least 0"),
    ],
)
def test_a_bad_course_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(CONFIG, **changes)
    with pytest.raises(TypeError, match="steps must be a whole number; got 2.5"):
        replace(CONFIG, steps=2.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"devices": 1}, "devices must be 2, .*got 1. .*the last bits of the losses. Continue with 2"),
        ({"threads": 7}, "threads must be 1"),
        ({"parallel": "fsdp"}, "parallel must be 'ddp'"),
        ({"batch_size": 16}, "batch_size must be 33, .*got 16. Continue with 33, or start again"),
        ({"settings": replace(CONFIG.settings, clip_norm=2.0)}, "clip_norm must be 1.0"),
        ({"settings": replace(CONFIG.settings, structure={"num_layers": 2})}, "structure must be {.*dropout"),
    ],
)
def test_another_course_than_the_checkpoints_is_refused(tmp_path, changes, words):
    begun(tmp_path)
    with pytest.raises(ValueError, match=words):
        train(parity(), replace(CONFIG, **changes), tmp_path)


def test_other_data_than_the_checkpoints_are_refused(tmp_path):
    begun(tmp_path)
    with pytest.raises(ValueError, match="data must be '"):
        train(synthetic.parity_dense(sizes=(200, 41, 41)), CONFIG, tmp_path)


def test_a_damaged_checkpoint_is_set_aside_and_the_training_begins_anew(tmp_path):
    expected = begun(tmp_path).content
    path = tmp_path / "checkpoint.pt"
    content_before = path.read_bytes()
    path.write_bytes(content_before[:1000] + b"?" + content_before[1001:])
    words = r"checkpoint\.pt is damaged.*it is now .*training starts again"
    # All that comes before processes are started.
    with ExitStack() as inside, pytest.warns(KeptFileWarning, match=words):
        _, at = distributed._prepare(parity(), CONFIG, tmp_path, inside)
    assert_same(at.content, expected)
    assert [path.name for path in (tmp_path / "damaged").iterdir()] == ["checkpoint.pt"]
    assert not path.exists()


def test_another_version_of_torch_is_told(tmp_path):
    at = begun(tmp_path)
    replace(at, torch="1.0").write(tmp_path / "checkpoint.pt")
    with pytest.warns(UserWarning, match="started with torch 1.0"):
        distributed._settle_config(
            CONFIG, parity(), Checkpoint.read(tmp_path / "checkpoint.pt"), tmp_path / "checkpoint.pt"
        )


def test_threads_are_those_of_the_checkpoint(tmp_path):
    at = begun(tmp_path)
    assert distributed._settle_config(replace(CONFIG, threads=None), parity(), at, tmp_path / "checkpoint.pt") == CONFIG


def begun(folder) -> Checkpoint:
    at = Checkpoint.initial(CONFIG, parity(), CONFIG.build(parity()))
    at.write(folder / "checkpoint.pt")
    return at


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="minutes must be above 0; got 0"):
        train(parity(), CONFIG, tmp_path, minutes=0)
    with pytest.raises(ValueError, match="save_every must be at least 0; got -1"):
        train(parity(), CONFIG, tmp_path, save_every=-1)


OWN = """
import liquidrnn

class Mine(liquidrnn.CfC):
    pass
"""


def test_a_model_of_ones_own_from_the_command_line(tmp_path, capsys, monkeypatch):
    """It is trained, gone on with, and loaded; another version of its code is another model."""
    (tmp_path / "ownmodel.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words = ["train", "occupancy-excerpt", "ownmodel:Mine", "--hidden-size", "4", "--steps", "12", "--threads", "1"]
    assert main([*words, "--minutes", "0.0001"]) == 0
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "Stopped after" in told and "Mine with 4 units" in told and "step 12/12: training loss" in told
    assert "test: accuracy" in told
    folder = tmp_path / "trained" / "occupancy-excerpt-Mine"
    assert type(liquidbench.load(folder).model.layer).__name__ == "Mine"
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--seed", "1"])
    assert "seed must be 0, with which the training in" in capsys.readouterr().err
    at = Checkpoint.read(folder / "checkpoint.pt")
    assert re.fullmatch(r"ownmodel:Mine \(checksum [0-9a-f]{12}\)", at.identity["model"])
    replace(at, identity=at.identity | {"model": "ownmodel:Mine (checksum 000000000000)"}).write(
        folder / "checkpoint.pt"
    )
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "model must be 'ownmodel:Mine (checksum 000000000000)', with which" in capsys.readouterr().err
    for name, expected in (
        ("ownmodel:Yours", "has no 'Yours'; it defines Mine"),
        ("nowhere:Mine", "no module 'nowhere'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([*words[:2], name])
        assert expected in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    task = parity()
    # In the shortest sequence, which the first passes have.
    train_split = task.split("train")
    train_split.values[train_split.timespans.sum(1).argmin()] = np.inf
    with pytest.raises(FloatingPointError, match="training loss became nan in step [1-7]") as raised:
        train(task, replace(CONFIG, devices=1), tmp_path)
    assert "in process" in raised.value.__notes__[0]
