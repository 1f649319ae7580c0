"""Whatever is computed on is on the device that was asked for: shown on one that is emulated, as no test has a GPU."""

import pytest
import torch
from test_fit import run, task
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

from liquidbench.measuring import measure_cost
from liquidbench.search import Settings
from liquidbench.training import learning, trainer
from liquidbench.training.fit import fit
from liquidbench.training.learning import Data, device_of, predict
from liquidbench.training.trainer import Trainer

FAR = torch.device("meta")
# CUDA too takes indices from the CPU, and copies between devices.
CROSSING = ("copy", "index", "index_put", "_index_put_impl", "_to_copy")


class Far(torch.Tensor):
    """A tensor on `FAR` that has numbers all the same, for they are kept on the CPU."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, near):
        made = torch.Tensor._make_wrapper_subclass(
            cls, near.size(), strides=near.stride(), dtype=near.dtype, device=FAR, requires_grad=near.requires_grad
        )
        made.near = near
        return made

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        return computed(op, args, kwargs or {})


class Emulated(TorchDispatchMode):
    """Within it `FAR` is a device like a GPU: what meets in an operation must be on one device."""

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        return computed(op, args, kwargs or {})


def computed(op, args, kwargs):
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    far = [isinstance(tensor, Far) for tensor in tensors]
    name = op._schema.name.removeprefix("aten::").rstrip("_")
    if any(far) and any(tensor.ndim and not isinstance(tensor, Far) for tensor in tensors) and name not in CROSSING:
        raise RuntimeError(f"{op} has tensors on two devices")
    asked = kwargs.get("device")
    there = any(far) if asked is None else torch.device(asked) == FAR
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    args, kwargs = tree_map_only(Far, lambda tensor: tensor.near, (args, kwargs))
    with _disable_current_modes():
        result = op(*args, **kwargs)
    if op._schema.is_mutable and far and far[0]:
        return tensors[0]
    return tree_map_only(torch.Tensor, Far, result) if there else result


@pytest.fixture
def emulated(monkeypatch):
    monkeypatch.setattr(
        torch.Tensor, "new_tensor", lambda self, data: torch.tensor(data, dtype=self.dtype).to(self.device)
    )
    # An emulated device has nothing to wait for.
    waited = []
    monkeypatch.setattr(trainer, "synchronise", waited.append)
    with Emulated():
        yield waited


class Network(nn.Module):
    def __init__(self, careless=False):
        super().__init__()
        self.inner, self.head, self.careless = nn.Linear(3, 8), nn.Linear(8, 2), careless

    def forward(self, values, timespans, mask):
        hidden = torch.tanh(self.inner(torch.cat([values, timespans[..., None]], -1)))
        return self.head(hidden * torch.ones(8) if self.careless else hidden)


def trained(device, **how):
    torch.manual_seed(0)
    toy, model = task(), Network(**how)
    train, validation = (Data(toy.split(name), device) for name in ("train", "validation"))
    # torch's fused AdamW is no operation that the emulation knows.
    training = Trainer(model, Settings(0.05, "rmsprop", patience=1.0), train, validation, steps=9, batch_size=8)
    training.run()
    assert {tensor.device.type for tensor in (*model.parameters(), train.values, train.lengths)} == {device.type}
    targets, predictions = predict(model, validation)
    assert {type(targets), type(predictions)} == {torch.Tensor}, "what is scored is on the CPU"
    return [(one.train_loss, one.validation_loss) for one in training.progress.curve], predictions


def test_a_training_stays_on_its_device(emulated):
    curve, predictions = trained(FAR)
    assert emulated == [FAR] * 9, "before a clock is read, the device has done its work"
    expected, values = trained(torch.device("cpu"))
    assert curve == expected and len(curve) == 1
    assert torch.equal(predictions, values)


def test_the_emulation_tells_devices_apart(emulated):
    with pytest.raises(RuntimeError, match="tensors on two devices"):
        trained(FAR, careless=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused_in_words():
    for asked in (lambda: fit(run(device="cuda"), task()), lambda: measure_cost(run("cost", device="cuda"), task())):
        with pytest.raises(ValueError, match="device must exist; got 'cuda', .*finds no CUDA device"):
            asked()
    with pytest.raises(ValueError, match="device must be one of cpu, cuda; got 'gpu'"):
        device_of("gpu")


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_of("cuda", number) for number in (0, 1)] == [torch.device("cuda", 0), torch.device("cuda", 1)]
    with pytest.raises(
        ValueError, match="got 'cuda' for process 2 of this machine, .* has only 2. Use at most one process"
    ):
        device_of("cuda", 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_fit_and_its_costs_on_a_gpu():
    rows = fit(run(device="cuda"), task())
    assert {row["status"] for row in rows} == {"done"} and torch.cuda.get_device_name() in rows[0]["machine"]
    measured = {row["metric"]: row["value"] for row in measure_cost(run("cost", device="cuda"), task())}
    assert 0 < measured["inference_memory_bytes"] < measured["training_memory_bytes"]


def test_the_generators_are_left_as_they_were():
    torch.manual_seed(3)
    with learning.forked_generators(device_of("cpu")):
        torch.rand(5)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
