"""Every refusal in words: the argument, what was expected, what came, what to do."""

import re

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import liquidrnn as lr

LAYER = lr.LTC(4, 6, batch_first=True)
TIME_FIRST = lr.LTC(4, 6)
MEMORY = lr.LSTM(4, 6, batch_first=True)
BOTH_WAYS = lr.CfC(4, 6, bidirectional=True)
X = torch.zeros(2, 5, 4)

REFUSALS = [
    (lambda: lr.LTC(0, 6), ValueError, "input_size must be at least 1, but got 0"),
    (lambda: lr.LTC(4.0, 6), TypeError, "input_size must be an int, but got float"),
    (lambda: lr.LTC(4, 0), ValueError, "hidden_size must be at least 1, but got 0"),
    (lambda: lr.LTC(4, "32"), TypeError, "hidden_size must be a number of units, a recipe such as wirings.AutoNCP"),
    (
        lambda: lr.LTC(4, lr.wirings.FullyConnected(6).build(3, seed=1)),
        ValueError,
        "the wiring was drawn for 3 inputs, but this layer has 4",
    ),
    (
        lambda: lr.CTRNN(4, lr.wirings.FullyConnected(6)),
        TypeError,
        "hidden_size must be an int, but got FullyConnected",
    ),
    (lambda: lr.GRU(4, lr.wirings.FullyConnected(6)), TypeError, "hidden_size must be an int, but got FullyConnected"),
    (lambda: lr.LTC(4, 6, 0), ValueError, "num_layers must be at least 1, but got 0"),
    (lambda: lr.LTC(4, 6, dropout=1.5), ValueError, "dropout must be a probability in [0, 1], but got 1.5"),
    (lambda: lr.LTC(4, 6, dropout=0.1), ValueError, "dropout acts between layers and has no effect with num_layers=1"),
    (lambda: lr.LTC(4, 6, output_size=0), ValueError, "output_size must be at least 1, but got 0"),
    (lambda: lr.LTC(4, 6, ode_unfolds=0), ValueError, "ode_unfolds must be at least 1, but got 0"),
    (
        lambda: lr.LTC(4, 6, input_mapping="x"),
        ValueError,
        "input_mapping must be 'affine', 'linear' or None, but got 'x'",
    ),
    (
        lambda: lr.LTC(4, 6, constraint="relu"),
        ValueError,
        "constraint must be 'softplus', 'clamp' or None, but got 'relu'",
    ),
    (lambda: lr.CfC(4, 6, mode="fast"), ValueError, "mode must be 'default', 'pure' or 'no_gate', but got 'fast'"),
    (
        lambda: lr.CfC(4, 6, activation="elu"),
        ValueError,
        "activation must be 'lecun_tanh', 'tanh', 'relu', 'gelu', 'silu' or None, but got 'elu'",
    ),
    (
        lambda: lr.CfC(4, 6, backbone_dropout=2),
        ValueError,
        "backbone_dropout must be a probability in [0, 1], but got 2",
    ),
    (
        lambda: lr.CfC(4, lr.wirings.FullyConnected(6), backbone_units=3),
        ValueError,
        "backbone_units has no effect with a wiring, which has no backbone, but got 3: leave it out",
    ),
    (
        lambda: lr.CfC(4, 6, backbone_layers=0, activation="tanh"),
        ValueError,
        "activation has no effect with backbone_layers=0, which has no backbone, but got 'tanh'",
    ),
    (
        lambda: lr.LRC(4, 6, elastance="interp"),
        ValueError,
        "elastance must be 'symmetric', 'asymmetric' or 'constant', but got 'interp'",
    ),
    (
        lambda: lr.LRCU(4, 6, elastance=None),
        ValueError,
        "elastance must be 'symmetric', 'asymmetric' or 'constant', but got None",
    ),
    (lambda: lr.STC(4, 6, solver="rk4"), ValueError, "solver must be 'hybrid' or 'explicit', but got 'rk4'"),
    (
        lambda: lr.CTRNN(4, 6, solver="x"),
        ValueError,
        "solver must be 'semi_implicit', 'euler', 'heun' or 'rk4', but got 'x'",
    ),
    (
        lambda: lr.ODERNN(4, 6, solver="midpoint"),
        ValueError,
        "solver must be 'euler', 'heun', 'rk4' or 'dopri5', but got 'midpoint'",
    ),
    (lambda: lr.ODERNN(4, 6, ode_unfolds=0), ValueError, "ode_unfolds must be at least 1, but got 0"),
    (lambda: lr.ODERNN(4, 6, ode_units=0), ValueError, "ode_units must be at least 1, but got 0"),
    (lambda: lr.ODERNN(4, 6, ode_layers=0), ValueError, "ode_layers must be at least 1, but got 0"),
    (lambda: lr.LSTM(4, 6, proj_size=6), ValueError, "proj_size must be from 0 to hidden_size - 1 = 5, but got 6"),
    (lambda: LAYER([1.0]), TypeError, "input must be a Tensor or a PackedSequence, but got list"),
    (lambda: LAYER(torch.zeros(4)), ValueError, "input must be (batch, time, 4), or (time, 4) unbatched, but got"),
    (
        lambda: TIME_FIRST(torch.zeros(2, 5, 3)),
        ValueError,
        "input must be (time, batch, 4): 4 features on the last axis",
    ),
    (
        lambda: LAYER(X.double()),
        ValueError,
        "input has dtype torch.float64, but the layer's parameters have torch.float32",
    ),
    (lambda: LAYER(X.to("meta")), ValueError, "input is on meta, but the layer's parameters are on cpu"),
    (lambda: LAYER(X, timespans="1"), TypeError, "timespans must be a number or a Tensor, but got str"),
    (
        lambda: LAYER(X, timespans=torch.ones(2, 4)),
        ValueError,
        "timespans must be a number, (time,) = (5,), or (batch, time)",
    ),
    (lambda: TIME_FIRST(X, timespans=torch.ones(5, 2)), ValueError, "or (time, batch) = (2, 5)"),
    (lambda: LAYER(X[0], timespans=torch.ones(1, 5)), ValueError, "(time,) = (5,), with or without a last"),
    (lambda: LAYER(X, timespans=-1.0), ValueError, "timespans must be finite and not negative, but got -1.0"),
    (lambda: LAYER(X, timespans=torch.full((5,), torch.nan)), ValueError, "timespans must be finite and not negative"),
    (
        lambda: LAYER(X, timespans=pack_sequence([torch.ones(5)])),
        TypeError,
        "timespans is a PackedSequence, so input must",
    ),
    (
        lambda: LAYER(X, mask=torch.ones(2, 5)),
        TypeError,
        "mask must be a bool Tensor, True where observed, but got torch.float32",
    ),
    (
        lambda: LAYER(X, mask=torch.ones(5, 2, dtype=torch.bool)),
        ValueError,
        "mask must be (batch, time) or (batch, time, feature)",
    ),
    (
        lambda: LAYER(X, torch.zeros(2, 6)),
        ValueError,
        "hx must be (num_layers * num_directions, batch, width) = (1, 2, 6), but got (2, 6)",
    ),
    (lambda: LAYER(X, (torch.zeros(1, 2, 6),) * 2), TypeError, "hx must be a Tensor, but got tuple"),
    (lambda: MEMORY(X, torch.zeros(1, 2, 6)), TypeError, "hx must be a pair (h_0, c_0) of Tensors, but got Tensor"),
    (lambda: lr.LTC(4, 6, epsilon=-5.0), ValueError, "epsilon must be a number in [0, 1], but got -5.0"),
    (lambda: lr.LTC(4, 6, epsilon="x"), TypeError, "epsilon must be a number in [0, 1], but got str"),
    (lambda: lr.LTC(4, 6, bidirectional="yes"), TypeError, "bidirectional must be True or False, but got 'yes'"),
    (lambda: lr.LTC(4, 6, batch_first="no"), TypeError, "batch_first must be True or False, but got 'no'"),
    (lambda: lr.LTC(4, 6, mixed_memory=1), TypeError, "mixed_memory must be True or False, but got 1"),
    (lambda: lr.LTC(4, 6, generator=3), TypeError, "generator must be a torch.Generator, but got int"),
    (
        lambda: lr.LTC(4, 6, dtype=torch.int32),
        TypeError,
        "dtype must be a floating-point torch.dtype, but got torch.int32",
    ),
    (
        lambda: lr.CfC(4, 6, backbone_dropout="a"),
        TypeError,
        "backbone_dropout must be a probability in [0, 1], but got str",
    ),
    (lambda: lr.CfC(4, 6, backbone_layers=False), TypeError, "backbone_layers must be an int, but got bool"),
    (lambda: lr.CfC(4, 6, backbone_layers=0.5), TypeError, "backbone_layers must be an int, but got float"),
    (lambda: lr.LSTM(4, "8"), TypeError, "hidden_size must be an int, but got str"),
    (lambda: lr.LSTM(4, 6, proj_size=2.0), TypeError, "proj_size must be an int, but got float"),
    (lambda: lr.LSTM(4, 6, mixed_memory=True), TypeError, "unexpected keyword argument 'mixed_memory'"),
    (lambda: lr.LSTM(4, 6, 1, "yes"), TypeError, "bias must be True or False, but got 'yes'"),
    (lambda: lr.RNN(4, 6, 1, True), ValueError, "nonlinearity must be 'tanh' or 'relu', but got True"),
    (lambda: LAYER(X, return_trace="no"), TypeError, "return_trace must be True or False, but got 'no'"),
    (
        lambda: LAYER(X.long()),
        ValueError,
        "input has dtype torch.int64, but must be floating-point: use input.to(torch.float32)",
    ),
    (
        lambda: LAYER(X, timespans=torch.ones(2, 5) > 0),
        TypeError,
        "timespans must be real numbers, but got torch.bool (2, 5)",
    ),
    (
        lambda: LAYER(X, timespans=torch.ones(2, 5) * 1j),
        TypeError,
        "timespans must be real numbers, but got torch.complex64",
    ),
    (lambda: LAYER(X, timespans=torch.tensor(1e300, dtype=torch.float64)), ValueError, "timespans must be at most"),
    (lambda: LAYER(X, timespans=torch.ones(5, device="meta")), ValueError, "timespans is on meta, but the layer's"),
    (lambda: LAYER(X, mask=[True]), TypeError, "mask must be a bool Tensor, True where observed, but got list"),
    (lambda: LAYER(X, {"h": 1}), TypeError, "hx must be a Tensor, but got dict"),
    (lambda: MEMORY(X, [1, 2]), TypeError, "hx must be a pair (h_0, c_0) of Tensors, but got list"),
    (
        lambda: LAYER(X, torch.zeros(1, 2, 6, dtype=torch.long)),
        ValueError,
        "hx has dtype torch.int64, but must be floating",
    ),
    (
        lambda: LAYER(pack_sequence([X[0], X[0, :3]]), timespans=pack_sequence([X[0, :, 0], X[0, :2, 0]])),
        ValueError,
        "timespans must be packed like input, with lengths [5, 3], but have lengths [5, 2]",
    ),
    (
        lambda: LAYER.step(X[:, 0, :3]),
        ValueError,
        "input of step() must be one sample (batch, 4), but got torch.float32 (2, 3)",
    ),
    (
        lambda: LAYER.step(X[:, 0], timespan=torch.ones(3)),
        ValueError,
        "timespan must be a number or (batch,) = (2,), but got",
    ),
    (lambda: LAYER.step(X[:, 0], timespan=-1.0), ValueError, "timespan must be finite and not negative, but got -1.0"),
    (lambda: LAYER.lesioned(3), TypeError, "wiring must be a Wiring, but got int"),
    (
        lambda: LAYER.lesioned(lr.wirings.Wiring(LAYER.wiring.adjacency, LAYER.wiring.sensory_adjacency, 2)),
        ValueError,
        "wiring must have the layer's output_size, but it is another",
    ),
    (
        lambda: LAYER.lesioned(LAYER.wiring.replaced(-LAYER.wiring.adjacency, LAYER.wiring.sensory_adjacency)),
        ValueError,
        "wiring must have no synapse that the layer lacks, but its adjacency (6, 6) has one",
    ),
    (
        lambda: lr.timespans_from_timestamps(torch.tensor([1.0, torch.nan])),
        ValueError,
        "timestamps must be finite, but hold NaN or infinity",
    ),
    (
        lambda: lr.timespans_from_timestamps(torch.tensor([1.0]), first=-3),
        ValueError,
        "first must be finite and not negative, but got -3: a span is the time since the previous sample",
    ),
    (lambda: BOTH_WAYS.step(X[:, 0]), ValueError, "step() streams forward in time, but this layer is bidirectional"),
    (
        lambda: LAYER.step(X),
        ValueError,
        "input of step() must be one sample (batch, 4), but got torch.float32 (2, 5, 4)",
    ),
    (
        lambda: LAYER.step(X[:, 0], mask=torch.zeros(2, 4, dtype=torch.bool)),
        ValueError,
        "mask of step() must have an observed feature in every row",
    ),
    (
        lambda: LAYER.step(X[:, 0], mask=torch.ones(2, dtype=torch.bool)),
        ValueError,
        "mask of step() must be bool (2, 4)",
    ),
    (
        lambda: lr.timespans_from_timestamps(torch.tensor([1.0, 0.5])),
        ValueError,
        "timestamps must not decrease along axis 0 (time), but the smallest step is -0.5: sort",
    ),
    (
        lambda: lr.timespans_from_timestamps([1, 2]),
        TypeError,
        "timestamps must be a Tensor, but got list",
    ),
]


@pytest.mark.parametrize("call, kind, words", REFUSALS, ids=[words[:40] for _, _, words in REFUSALS])
def test_refusal(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def test_a_saved_wiring_of_another_size_is_refused_with_the_way_out():
    recipe = lr.wirings.NCP(6, 4, 2, 3, 2, 4, 2)
    sparse, full = lr.LTC(4, recipe), lr.LTC(4, 12)
    with pytest.raises(
        RuntimeError, match="the saved wiring has .* synapses, this layer's has 144; build the layer with"
    ):
        full.load_state_dict(sparse.state_dict())


def test_timestamps_become_spans():
    stamps = torch.tensor([[10, 12, 12], [3, 4, 9]])
    expected = torch.tensor([[0.5, 2.0, 0.0], [0.5, 1.0, 5.0]])
    assert torch.equal(lr.timespans_from_timestamps(stamps, first=0.5, batch_first=True), expected)
    assert torch.equal(lr.timespans_from_timestamps(stamps.T, first=0.5), expected.T)
    assert lr.timespans_from_timestamps(torch.zeros(0)).shape == (0,)
    large = torch.tensor([1.7e9, 1.7e9 + 0.25], dtype=torch.float64)
    assert lr.timespans_from_timestamps(large)[1] == 0.25


def test_sizes_may_be_numpy_or_tensor_integers():
    layer = lr.LTC(np.int64(3), np.int32(4), np.int8(2), ode_unfolds=torch.tensor(3), dropout=np.float32(0.5))
    assert layer.extra_repr() == lr.LTC(3, 4, 2, ode_unfolds=3, dropout=0.5).extra_repr()
    assert lr.CfC(3, np.int64(4), backbone_layers=np.int64(0), batch_first=np.bool_(True)).batch_first is True
    assert type(lr.GRU(np.int64(3), np.int64(4)).hidden_size) is int
    for value in (np.float64(3.0), np.bool_(True), torch.tensor(3.0), torch.tensor([3, 4]), "3", None):
        with pytest.raises(TypeError, match="input_size must be an int, but got"):
            lr.LTC(value, 4)
