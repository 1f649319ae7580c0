"""A stream gives what stepping through the layer gives, bit for bit."""

import copy
import pickle

import pytest
import torch

import liquidrnn as lr

LAYERS = {
    "LTC": lambda **k: lr.LTC(5, 9, **k),
    "LTC, wired, two levels": lambda **k: lr.LTC(5, lr.wirings.AutoNCP(12, outputs=3), 2, **k),
    "LTC, no maps": lambda **k: lr.LTC(5, 9, input_mapping=None, output_mapping="linear", **k),
    "LRC": lambda **k: lr.LRC(5, 17, elastance="asymmetric", ode_unfolds=2, **k),
    "LRCU, wired": lambda **k: lr.LRCU(5, lr.wirings.AutoNCP(12, outputs=3), **k),
    "STC": lambda **k: lr.STC(5, 9, **k),
    "CfC": lambda **k: lr.CfC(5, 9, backbone_units=11, **k),
    "CfC, pure, no backbone": lambda **k: lr.CfC(5, 9, mode="pure", backbone_layers=0, **k),
    "CfC, wired": lambda **k: lr.CfC(5, lr.wirings.AutoNCP(12, outputs=3), **k),
    "CfC, mixed memory": lambda **k: lr.CfC(5, 9, mixed_memory=True, backbone_dropout=0.5, **k),
}
SLOW = {
    "LTC, mixed memory": lambda **k: lr.LTC(5, 9, mixed_memory=True, **k),
    "CT-RNN": lambda **k: lr.CTRNN(5, 9, **k),
    "LSTM": lambda **k: lr.LSTM(5, 9, time="append", **k),
}
compiled = pytest.mark.skipif("cannot" in lr.backends()["cpu"], reason="the compiled module is not here")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [None, 1, 3, 20])
@pytest.mark.parametrize("make", [*LAYERS.values(), *SLOW.values()], ids=[*LAYERS, *SLOW])
def test_a_stream_is_the_step(make, batch, dtype):
    layer = make(dtype=dtype, generator=torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))  # maps that do something
    g = torch.Generator().manual_seed(1)
    samples = torch.randn(6, *(() if batch is None else (batch,)), 5, generator=g, dtype=dtype)
    stream, state = lr.Stream(layer, batch=batch), None
    for n, sample in enumerate(samples):
        with torch.no_grad():  # torch's own layers round otherwise with gradients
            expected, state = layer.step(sample, state, timespan=0.3 * n)
        assert torch.equal(stream(sample, timespan=0.3 * n), expected)
    for mine, theirs in zip(*(s if isinstance(s, tuple) else (s,) for s in (stream.state, state)), strict=True):
        assert torch.equal(mine, theirs)


@compiled
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_liquid_layers_are_compiled(make):
    assert lr.Stream(make().train()).backend == "cpu"
    assert lr.Stream(make(backend="reference")).backend == "reference"
    assert lr.Stream(make(dtype=torch.bfloat16)).backend == "reference"


def test_other_layers_stream_too():
    assert all(lr.Stream(make()).backend == "reference" for make in SLOW.values())


def test_a_stream_is_of_the_parameters_as_they_were_and_in_evaluation():
    layer = lr.LSTM(3, 4, 2, dropout=0.9, time="ignore")
    before, stream = copy.deepcopy(layer).eval(), lr.Stream(layer)
    x = torch.randn(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert torch.equal(stream(x), before.step(x)[0])
    assert layer.training and all(p.requires_grad for p in layer.parameters())


def test_state_and_reset():
    layer = lr.LTC(3, lr.wirings.AutoNCP(12, outputs=2), output_size=4)
    x = torch.randn(3, 3)
    stream = lr.Stream(layer)
    outputs = [stream(sample) for sample in x]
    middle = lr.Stream(layer)
    middle(x[0])
    kept = middle.state
    middle(x[1])
    middle.reset(kept)  # the state was no view of what has moved on since
    for sample, expected in zip(x[1:], outputs[1:], strict=True):
        assert torch.equal(middle(sample), expected)
    stream.reset()
    assert torch.equal(stream(x[0]), outputs[0])
    started = lr.Stream(layer, kept)
    assert torch.equal(started(x[1]), outputs[1])
    assert not outputs[0].requires_grad


def test_strided_samples():
    layer = lr.CfC(3, 8)
    x = torch.randn(6)[::2]
    assert torch.equal(lr.Stream(layer)(x), lr.Stream(layer)(x.clone()))


def test_layers_with_streams_can_still_be_saved():
    layer = lr.LTC(3, 8)
    lr.Stream(layer)
    assert torch.equal(pickle.loads(pickle.dumps(layer)).step(torch.ones(3))[0], layer.step(torch.ones(3))[0])


def test_refusals():
    layer = lr.LTC(3, 8)
    stream = lr.Stream(layer)
    with pytest.raises(ValueError, match=r"input must be \(3,\) of torch.float32 on cpu, .* but got .*\(1, 3\)"):
        stream(torch.randn(1, 3))
    with pytest.raises(ValueError, match=r"input must be .* of torch.float32"):
        stream(torch.randn(3, dtype=torch.float64))
    for span in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timespan must be finite and not negative, .* but got"):
            stream(torch.randn(3), timespan=span)
    with pytest.raises(ValueError, match="bidirectional: build it without"):
        lr.Stream(lr.LTC(3, 8, bidirectional=True))
    with pytest.raises(TypeError, match="layer must be a RecurrentLayer, but got Linear"):
        lr.Stream(torch.nn.Linear(3, 8))
    with pytest.raises(ValueError, match="hx must be"):
        lr.Stream(layer, torch.zeros(2, 8))
    with pytest.raises((TypeError, ValueError), match="batch must be"):
        lr.Stream(layer, batch=0)
    assert repr(stream).startswith("Stream(LTC(") and "backend=" in repr(stream)
    with pytest.raises(TypeError, match=r"input must be a Tensor of shape \(3,\), but got list"):
        stream([0.0, 0.0, 0.0])
    for span, got in ((torch.tensor(1.0), r"torch.float32 \(\)"), ("1", "str"), (None, "NoneType"), (True, "bool")):
        with pytest.raises(TypeError, match=f"timespan must be a number, .* but got {got}"):
            stream(torch.zeros(3), span)
