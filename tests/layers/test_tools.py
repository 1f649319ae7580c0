"""What tools around PyTorch do to a layer: look at its attributes, trace it, quantise it, move it to meta."""

import copy
import inspect
import warnings

import pytest
import torch

import liquidrnn as lr

INPUT = 5
KINDS = {
    "LTC": lambda **options: lr.LTC(INPUT, 6, **options),
    "wired CfC": lambda **options: lr.CfC(INPUT, lr.wirings.AutoNCP(9, outputs=2), **options),
    "CfC": lambda **options: lr.CfC(INPUT, 6, backbone_units=8, **options),
    "CTRNN": lambda **options: lr.CTRNN(INPUT, 6, **options),
    "LSTM": lambda **options: lr.LSTM(INPUT, 6, **options),
    "GRU": lambda **options: lr.GRU(INPUT, 6, **options),
}
every = pytest.mark.parametrize("kind", KINDS)


@every
def test_every_attribute_can_be_looked_at(kind):
    for options in ({}, {"num_layers": 2}, {"bidirectional": True}):
        layer = KINDS[kind](**options)
        members = dict(inspect.getmembers(layer))
        single = not options and kind in ("LTC", "wired CfC")
        assert (members["wiring"] is None) == (not single)
        assert hasattr(layer, "wiring") and (single or getattr(layer, "wiring", 1) is None)


@every
def test_torch_jit_trace_is_refused_with_a_message(kind):
    with warnings.catch_warnings():
        # It is deprecated.
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match=r"cannot be traced by torch.jit.*torch.export.export"):
            torch.jit.trace(KINDS[kind](), (torch.randn(4, 2, INPUT),))


@pytest.mark.parametrize("around", [lambda layer: layer, torch.nn.Sequential], ids=["alone", "within"])
@every
def test_torch_jit_script_is_refused_with_a_message(kind, around):
    with warnings.catch_warnings():
        # It is deprecated.
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match=r"cannot be scripted by torch.jit.*torch.export.export"):
            torch.jit.script(around(KINDS[kind]()))


@pytest.mark.parametrize("kind", [lr.LSTM, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (lr.GRU, lr.RNN))])
@torch.no_grad()
def test_torchs_own_networks_break_a_compiled_graph_as_in_torch(kind):
    layer, x = kind(INPUT, 4), torch.randn(3, 2, INPUT)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(layer, backend="eager")(x)[0], layer(x)[0])
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="RNN, GRU, or LSTM|SKIPPED INLINING"):
        torch.compile(layer, fullgraph=True, backend="eager")(x)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(x)[0], layer(x)[0])


def quantised(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = {torch.nn.Linear, torch.nn.LSTM, torch.nn.GRU}
        return torch.ao.quantization.quantize_dynamic(layer.eval(), kinds)


@every
@pytest.mark.parametrize("output_size", [None, 3])
def test_a_quantised_layer_runs(kind, output_size):
    layer = KINDS[kind](output_size=output_size)
    small, x = quantised(layer), torch.randn(7, 2, INPUT)
    assert small is not layer
    output, state = small(x)
    torch.testing.assert_close(output, layer(x)[0], rtol=0.05, atol=0.05)
    outputs, hx = [], None
    for sample in x:
        output_now, hx = small.step(sample, hx)
        outputs.append(output_now)
    torch.testing.assert_close(torch.stack(outputs), output, rtol=0.05, atol=0.05)


def test_quantised_modules_without_parameters_use_float32():
    small = quantised(lr.CfC(INPUT, 6))
    assert not list(small.parameters())
    with pytest.raises(ValueError, match="input has dtype torch.float64"):
        small(torch.randn(3, 2, INPUT, dtype=torch.float64))


@every
def test_parameters_may_be_buffers(kind):
    layer = KINDS[kind]()
    without = copy.deepcopy(layer)
    for module in without.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                del module._parameters[name]
                module.register_buffer(name, parameter.detach())
    assert not list(without.parameters())
    x = torch.randn(4, 2, INPUT)
    torch.testing.assert_close(without(x)[0], layer(x)[0])


def test_integer_parameters_are_refused_with_a_message():
    layer = lr.CTRNN(INPUT, 6).requires_grad_(False).type(torch.int32)
    with pytest.raises(TypeError, match="parameters of this CTRNN are torch.int32.*layer.float()"):
        layer(torch.randn(4, 2, INPUT))


@every
@pytest.mark.parametrize("bidirectional", [False, True])
def test_shapes_are_known_on_the_meta_device(kind, bidirectional):
    layer = KINDS[kind](device="meta", bidirectional=bidirectional)
    here = KINDS[kind](bidirectional=bidirectional)
    x, mask = torch.randn(4, 2, INPUT), torch.rand(4, 2, INPUT) > 0.5
    for given in ({}, {"mask": mask}, {"mask": mask[..., 0]}):
        away = {name: value.to("meta") for name, value in given.items()}
        output = layer(x.to("meta"), **away)[0]
        assert output.is_meta and output.shape == here(x, **given)[0].shape
