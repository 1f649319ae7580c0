"""What a state dict means: all that decides a result, on every backend, in whatever order it comes."""

import numpy as np
import pytest
import torch
from test_every_layer import CASES, NCP, data, every

import liquidrnn as lr

BACKENDS = ["reference", "cpu"] if lr.kernels.cpu is not None else ["reference"]
FULL = [(lr.LTC, 6), (lr.LRC, 6), (lr.STC, 6), (lr.LRCU, 6)]
WIRED = [(kind, NCP) for kind in (lr.LTC, lr.CfC, lr.LRC)]


def shuffled(layer):
    """The layer's state dict with the synapses of each group in another order."""
    state, orders = layer.state_dict(), {}
    for name in [name for name in state if name.endswith(".pre")]:
        orders[name.removesuffix("pre")] = torch.randperm(len(state[name]))
    groups = {
        "raw_w": "synapses.", "erev": "synapses.", "k": "synapses.", "o": "synapses.", "weight": "synapses.",
        "raw_sensory_w": "sensory_synapses.", "sensory_erev": "sensory_synapses.",
        "sensory_k": "sensory_synapses.", "sensory_o": "sensory_synapses.",
    }  # fmt: skip
    for name in state:
        prefix, _, last = name.rpartition(".")
        order = orders.get(f"{prefix}.")
        if order is None and last in groups:
            order = orders.get(f"{prefix}.{groups[last]}")
        if order is not None:
            state[name] = state[name][..., order]
    return state


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind, hidden", FULL + WIRED, ids=lambda value: getattr(value, "__name__", None))
def test_synapses_come_in_any_order(kind, hidden, backend):
    layer = kind(5, hidden, batch_first=True, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    other = kind(5, layer.wiring, batch_first=True, dtype=torch.float64, backend=backend)
    other.load_state_dict(shuffled(layer))
    x, spans = data()
    assert not torch.equal(other.recurrences[0].synapses.pre, layer.recurrences[0].synapses.pre)
    for found, expected in zip(
        other(x, timespans=spans, return_trace=True)[2].values(),
        layer(x, timespans=spans, return_trace=True)[2].values(),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    (again,) = torch.autograd.grad(other(x.requires_grad_(), timespans=spans)[0].sum(), x)
    (gradient,) = torch.autograd.grad(layer(x, timespans=spans)[0].sum(), x)
    torch.testing.assert_close(again, gradient, rtol=1e-9, atol=1e-12)
    assert other.wiring == layer.wiring


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_order_of_evaluation_is_loaded(backend):
    all_to_all, inputs = np.ones((4, 4), int) - np.eye(4, dtype=int), np.ones((5, 4), int)
    first = lr.wirings.Wiring(all_to_all, inputs, outputs=1, layers=[[3], [1, 2], [0]])
    second = lr.wirings.Wiring(all_to_all, inputs, outputs=1, layers=[[1], [0], [2], [3]])
    trained = lr.CfC(5, first, batch_first=True, dtype=torch.float64)
    loaded = lr.CfC(5, second, batch_first=True, dtype=torch.float64, backend=backend)
    x, spans = data()
    loaded.load_state_dict(trained.state_dict())
    torch.testing.assert_close(loaded(x, timespans=spans)[0], trained(x, timespans=spans)[0])
    torch.testing.assert_close(loaded.step(x[:, 0])[0], trained.step(x[:, 0])[0])
    assert loaded.wiring == trained.wiring and loaded.wiring.layers == first.layers


def test_a_state_dict_from_before_the_order_was_saved():
    layer = lr.CfC(5, NCP)
    old = layer.state_dict()
    del old["layers.0.0.layer"]
    old._metadata["layers.0.0"] = {"version": 1}
    other = lr.CfC(5, layer.wiring)
    assert not any(other.load_state_dict(old))
    assert torch.equal(other(torch.ones(3, 1, 5))[0], layer(torch.ones(3, 1, 5))[0])


@every
def test_layers_from_the_meta_device_load_state_dicts(case):
    layer, (x, spans) = case.make().double(), data()
    with torch.device("meta"):
        # Structure is drawn from torch's own generator there.
        empty = case.make(generator=None) if layer.wiring is None else None
    if empty is None:
        with torch.device("meta"):
            empty = case.kind(5, layer.wiring, batch_first=True, **case.arguments)
    empty = empty.double().to_empty(device="cpu")
    for tensor in (*empty.parameters(), *empty.buffers()):
        tensor.detach().zero_()  # what memory from the system may hold, which nothing must rely on
    empty.load_state_dict(layer.state_dict())
    assert torch.equal(empty(x, timespans=spans)[0], layer(x, timespans=spans)[0])
    with torch.no_grad():
        assert torch.equal(empty.step(x[:, 0])[0], layer.step(x[:, 0])[0])
    structure = case.hidden if layer.wiring is None else layer.wiring
    assigned = case.kind(5, structure, batch_first=True, device="meta", **case.arguments)
    assigned.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(assigned(x, timespans=spans)[0], layer(x, timespans=spans)[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_state_dict_has_every_tensor_that_results_depend_on(case):
    """Each tensor of a layer is saved."""
    layer = case.make()
    tensors = {name for name, _ in (*layer.named_parameters(), *layer.named_buffers())}
    assert tensors == set(layer.state_dict())


@pytest.mark.parametrize("name, place, value, message", [
    ("pre", 0, 99, r"synapse \(99, \d+\) is no synapse from"),
    ("post", 1, -1, r"synapse \(\d+, -1\) is no synapse from"),
    ("both", 2, None, "is there more than once"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [lr.LTC, lr.CfC])
def test_invalid_synapse_indices_are_refused(kind, name, place, value, message):
    layer = kind(5, NCP)
    state = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
    expected = layer.recurrences[0].synapses.adjacency()
    prefix = "layers.0.0.synapses."
    if name == "both":
        state[prefix + "pre"][place], state[prefix + "post"][place] = (
            state[prefix + "pre"][0],
            state[prefix + "post"][0],
        )
    else:
        state[prefix + name][place] = value
    with pytest.raises(RuntimeError, match=message):
        layer.load_state_dict(state)
    assert np.array_equal(layer.recurrences[0].synapses.adjacency(), expected)


def test_layer_numbers_must_have_no_gap():
    layer = lr.CfC(5, NCP)
    state = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
    state["layers.0.0.layer"] += 1
    with pytest.raises(RuntimeError, match="numbers of layers must be 0 to"):
        layer.load_state_dict(state)


@pytest.fixture
def process_group():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("case", CASES[:9:2] + CASES[10:11] + CASES[14:15] + CASES[-2:-1], ids=lambda case: case.name)
@pytest.mark.parametrize("each", [False, True], ids=["whole", "each recurrence"])
def test_sharded_from_the_meta_device(case, each, process_group):
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    layer, (x, spans) = case.make().double(), data()
    hidden = case.hidden if isinstance(case.hidden, int) else layer.wiring
    sharded = case.kind(5, hidden, batch_first=True, device="meta", dtype=torch.float64, **case.arguments)
    if each:
        for recurrence in sharded.recurrences:
            fully_shard(recurrence, mesh=process_group)
    fully_shard(sharded, mesh=process_group)
    register_fsdp_forward_method(sharded, "step")
    sharded.to_empty(device="cpu")
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(sharded, layer.state_dict(), options=options)
    assert torch.equal(sharded(x, timespans=spans)[0], layer(x, timespans=spans)[0])
    assert torch.equal(sharded.step(x[:, 0], timespan=0.5)[0], layer.step(x[:, 0], timespan=0.5)[0])


@pytest.mark.parametrize("make", [lambda: lr.CfC(3, 5, 2), lambda: lr.LSTM(3, 4, 2, time="decay")], ids=["CfC", "LSTM"])
def test_names_of_an_earlier_version_load(make):
    saved, layer = make().state_dict(), make()
    older = {name.replace("layers.", "levels.", 1): tensor for name, tensor in saved.items()}
    assert not set(older) & set(saved)
    torch.nn.Sequential(layer).load_state_dict({f"0.{name}": tensor for name, tensor in older.items()})
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, saved[name])


@pytest.mark.parametrize("mixed_memory", [False, True])
def test_the_number_of_synapses_is_that_of_the_loaded_graph(mixed_memory):
    """Two graphs may differ in it and have parameters of the same shapes."""
    layers = []
    for seed in (0, 8):
        torch.manual_seed(seed)
        layers.append(lr.CfC(4, lr.wirings.AutoNCP(12, outputs=3), mixed_memory=mixed_memory))
    one, other = layers
    assert one.num_synapses != other.num_synapses
    other.load_state_dict(one.state_dict())
    assert other.num_synapses == one.num_synapses
    assert f"{one.num_synapses:,} synapses" in repr(other)
