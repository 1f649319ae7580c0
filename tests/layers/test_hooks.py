"""Parameters that hooks compute: forward, step, trace and Stream read them as they are now."""

import copy
import warnings

import pytest
import torch
from test_every_layer import NCP, data
from torch import nn
from torch.nn.utils import parametrize, prune

import liquidrnn as lr
from liquidrnn.recurrence import Recurrence

PLACES = [
    (lr.LTC, 8, {}, "", "raw_w"),
    (lr.LTC, NCP, {}, "synapses", "mu"),
    (lr.LTC, NCP, {}, "input_map", "weight"),
    (lr.LTC, 8, {"mixed_memory": True}, "", "weight_hh"),
    (lr.LTC, 8, {"mixed_memory": True}, "inner.sensory_synapses", "sigma"),
    (lr.STC, NCP, {}, "sensory_synapses", "sigma"),
    (lr.LRC, 8, {}, "output_map", "bias"),
    (lr.LRCU, 8, {}, "", "sensory_k"),
    (lr.LRCU, 8, {"mixed_memory": True}, "inner", "o"),
    (lr.CfC, 8, {}, "heads", "weight"),
    (lr.CfC, 8, {}, "backbone.0", "bias"),
    (lr.CfC, NCP, {}, "", "weight"),
    (lr.CfC, 8, {"mode": "pure"}, "", "A"),
    (lr.CfC, NCP, {"mixed_memory": True}, "inner", "bias"),
    (lr.CTRNN, 8, {}, "", "weight_ih"),
    (lr.CTRNN, 8, {"mixed_memory": True}, "inner", "bias"),
    (lr.ODERNN, 8, {}, "", "weight_hh"),
    (lr.ODERNN, 8, {}, "flow.0", "weight"),
    (lr.RNN, 8, {}, "rnn", "weight_ih_l0"),
    (lr.LSTM, 8, {}, "rnn", "weight_hh_l0"),
    (lr.GRU, 8, {"time": "decay"}, "", "raw_decay"),
]


def name_of(place):
    kind, hidden, arguments, module, name = place
    return f"{kind.__name__}-{type(hidden).__name__}-{'-'.join(arguments)}-{module}.{name}"


class Scaled(prune.BasePruningMethod):
    """A mask that leaves out every other number."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::2] = 0
        return mask


@pytest.mark.parametrize("place", PLACES, ids=name_of)
def test_pruned_layers_train_and_stream(place):
    kind, hidden, arguments, where, name = place
    layer = kind(5, hidden, batch_first=True, generator=torch.Generator().manual_seed(3), **arguments).double()
    module = layer.get_submodule(f"layers.0.0.{where}".rstrip("."))
    Scaled.apply(module, name)
    x, _ = data()
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(x)[0].square().sum().backward()
        optimizer.step()
    # From here on the parameter has changed, and no forward has run since.
    stream, (stepped, _) = lr.Stream(layer, batch=len(x)), layer.step(x[:, 0])
    with torch.no_grad():
        layer(x)
    plain = copy.deepcopy(layer)
    prune.remove(plain.get_submodule(f"layers.0.0.{where}".rstrip(".")), name)
    expected = plain(x[:, :1])[0][:, 0]
    exact = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(stepped, expected, **exact)
    torch.testing.assert_close(stream(x[:, 0]), expected.detach(), **exact)
    torch.testing.assert_close(layer(x[:, :1], return_trace=True)[0][:, 0], expected, **exact)
    with torch.no_grad():
        getattr(module, f"{name}_orig").mul_(3.0)
        plain.get_submodule(f"layers.0.0.{where}".rstrip(".")).get_parameter(name).mul_(3.0)
        moved = layer.step(x[:, 0])[0]
        torch.testing.assert_close(moved, plain.step(x[:, 0])[0], **exact)
    assert layer.training and layer.get_submodule("layers.0.0").training


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_weight_norm_and_spectral_norm_by_hooks(norm):
    layer = lr.CTRNN(5, 8, batch_first=True, dtype=torch.float64).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        getattr(nn.utils, norm)(layer.layers[0][0], "weight_hh")
    x, _ = data()
    stored = "weight_hh_v" if norm == "weight_norm" else "weight_hh_orig"
    with torch.no_grad():
        before = layer.step(x[:, 0], torch.ones(1, len(x), 8, dtype=x.dtype))[0]
        getattr(layer.layers[0][0], stored).copy_(torch.randn(8, 8))
        after = layer.step(x[:, 0], torch.ones(1, len(x), 8, dtype=x.dtype))[0]
        assert not torch.allclose(before, after)
        outputs, _ = layer(x)
    stream = lr.Stream(layer, batch=len(x))
    torch.testing.assert_close(torch.stack([stream(x[:, t]) for t in range(x.shape[1])], 1), outputs)


def test_parametrizations_apply_everywhere():
    class Twice(nn.Module):
        def forward(self, value):
            return 2 * value

    layer = lr.LTC(5, NCP, batch_first=True, dtype=torch.float64)
    plain = copy.deepcopy(layer)
    with torch.no_grad():
        plain.layers[0][0].synapses.mu.mul_(2)
    parametrize.register_parametrization(layer.layers[0][0].synapses, "mu", Twice())
    x, _ = data()
    assert torch.equal(layer(x)[0], plain(x)[0])
    assert torch.equal(layer.step(x[:, 0])[0], plain.step(x[:, 0])[0])
    assert torch.equal(lr.Stream(layer, batch=3)(x[:, 0]), lr.Stream(plain, batch=3)(x[:, 0]))


def test_the_cost_of_a_stream_is_not_random():
    layer = lr.CTRNN(5, 8, 2, dropout=0.5)
    Scaled.apply(layer.layers[0][0], "weight_hh")
    before = torch.get_rng_state()
    lr.Stream(layer)
    assert torch.equal(torch.get_rng_state(), before) and layer.training


def test_lesions_of_computed_parameters_are_refused():
    layer = lr.LTC(5, NCP)
    Scaled.apply(layer.layers[0][0].synapses, "sigma")
    layer(torch.ones(2, 1, 5))
    with pytest.raises(TypeError, match=r"'sigma' as a parameter.*prune.remove"):
        layer.lesioned(layer.wiring.ablate(neurons=[0]))


def test_what_is_not_fused_runs_sample_by_sample_whatever_its_coefficients():
    """Its own update is called, not the operator, which would compute something else."""
    layer = lr.CTRNN(3, 4).double()
    (recurrence,) = layer.recurrences

    class Halving(Recurrence):
        def update(self, coefficients, inputs, state):
            return (0.5 * state[0],)

    class Own(type(recurrence), Halving):
        def fused(self):
            return False

    recurrence.__class__ = Own
    assert len(recurrence.coefficients())
    x, start = torch.randn(5, 2, 3).double(), torch.ones(1, 2, 4).double()
    output, h_n = layer(x, start)
    expected = 0.5 ** torch.arange(1, 6).double()
    assert torch.equal(output, expected[:, None, None].expand(5, 2, 4))
    assert torch.equal(layer.step(x[0], start)[1], 0.5 * start)
    assert torch.equal(h_n, start / 32)
