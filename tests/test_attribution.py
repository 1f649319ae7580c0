"""Attributions, against closed forms, the method's axioms and lesions made by hand."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import liquidrnn as lr
from liquidrnn import attribution

NCP = lr.wirings.AutoNCP(10, outputs=2)
LAYERS = [(lr.LTC, {}), (lr.CfC, {}), (lr.LRCU, {}), (lr.LSTM, {}), (lr.GRUD, {}), (lr.ODERNN, {})]


# Integrated gradients


def test_a_polynomial_has_its_closed_form():
    """F = a b^2 + c: along the line, a gets F / 3, b two thirds, c itself."""
    x = torch.tensor([[2.0, 3.0, 5.0], [-1.0, 0.5, 0.0]], dtype=torch.float64)
    found = attribution.integrated_gradients(lambda x: x[:, 0] * x[:, 1] ** 2 + x[:, 2], x, steps=2)
    product = x[:, 0] * x[:, 1] ** 2
    torch.testing.assert_close(found.values, torch.stack([product / 3, 2 * product / 3, x[:, 2]], 1))
    assert found.gap.abs().max() < 1e-12


def test_a_product_with_a_baseline():
    """(a + 1)(b + 2) - 2 = 2a + b + ab from (-1, -2), by hand."""
    x, start = torch.tensor([[1.0, 4.0]]), torch.tensor([-1.0, -2.0])
    found = attribution.integrated_gradients(lambda x: x[:, 0] * x[:, 1], x, start)
    # The mean of b along the line is 1, of a 0.
    torch.testing.assert_close(found.values, torch.tensor([[2.0, 0.0]]))


@pytest.mark.parametrize("kind, options", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_completeness(kind, options, dtype):
    layer = kind(3, 6, batch_first=True, dtype=dtype, **options)
    x, dt = torch.randn(2, 12, 3, dtype=dtype), torch.rand(2, 12, dtype=dtype)
    spans = {} if kind is lr.LSTM else {"timespans": dt}

    def score(x):
        return layer(x, **spans)[0][:, -1].sum(-1)

    found = attribution.integrated_gradients(score, x, steps=48)
    change = (score(x) - score(torch.zeros_like(x))).detach()
    torch.testing.assert_close(found.values.sum((1, 2)), change, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.gap, change - found.values.sum((1, 2)))
    assert change.abs().max() > 1e-3


@pytest.mark.parametrize("kind", [lr.CfC, lr.GRUD, lr.LTC])
def test_a_masked_nan_gets_nothing_and_changes_nothing(kind):
    layer, x = kind(3, 6, batch_first=True), torch.randn(2, 5, 3)
    mask = torch.ones(2, 5, 3, dtype=torch.bool)
    mask[0, 2] = mask[1, 1, 0] = False
    found = [
        attribution.integrated_gradients(
            lambda x: layer(x, mask=mask)[0][:, -1].sum(-1), torch.where(mask, x, other), steps=8
        )
        for other in (torch.nan, 7.0)
    ]
    assert not found[0].values[~mask].any() and found[0].values[mask].all()
    torch.testing.assert_close(found[0].values, torch.where(mask, found[1].values, 0))
    torch.testing.assert_close(found[0].gap, found[1].gap)


@given(seed=st.integers(0, 99))
@settings(max_examples=10)
def test_values_that_do_not_matter_get_nothing(seed):
    """Sensitivity: later samples, features that are equal to the baseline, and features that were not observed."""
    g = torch.Generator().manual_seed(seed)
    layer = lr.LTC(3, 6, batch_first=True, generator=g)
    x = torch.randn(2, 9, 3, generator=g)
    x[..., 1] = 0
    mask = torch.ones(2, 9, 3, dtype=torch.bool)
    mask[:, 3, 2] = False
    found = attribution.integrated_gradients(lambda x: layer(x, mask=mask)[0][:, 5, 0], x).values
    assert (found[:, 6:] == 0).all() and (found[..., 1] == 0).all() and (found[:, 3, 2] == 0).all()
    assert (found[:, 5, 0] != 0).all()


def test_backends_agree_and_training_is_not_disturbed():
    x = torch.randn(2, 8, 3)
    found = []
    for backend in ("reference", "cpu"):
        layer = lr.CfC(3, 6, batch_first=True, backend=backend, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            found.append(attribution.integrated_gradients(lambda x, layer=layer: layer(x)[0][:, -1, 0], x).values)
        assert all(p.grad is None for p in layer.parameters())
    torch.testing.assert_close(*found)


def test_time_spans_can_be_attributed():
    layer = lr.LTC(3, 6, batch_first=True, dtype=torch.float64)
    x, dt = torch.randn(2, 8, 3).double(), torch.rand(2, 8).double()
    found = attribution.integrated_gradients(lambda dt: layer(x, timespans=dt)[0][:, -1, 0], dt)
    assert found.values.shape == dt.shape and found.gap.abs().max() < 1e-3


@pytest.mark.parametrize(
    "score, arguments, kind, words",
    [
        (lambda x: x, {}, ValueError, r"score must return one number per sequence, \(2,\), but returned"),
        (lambda x: x.detach().sum((1, 2)), {}, ValueError, "score must depend on its input"),
        (lambda x: x.sum((1, 2)), {"baseline": torch.ones(7)}, ValueError, r"broadcast to input \(2, 5, 3\)"),
        (lambda x: x.sum((1, 2)), {"steps": 0}, ValueError, "steps must be at least 1"),
    ],
)
def test_words(score, arguments, kind, words):
    with pytest.raises(kind, match=words):
        attribution.integrated_gradients(score, torch.ones(2, 5, 3), **arguments)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="input must be a floating-point Tensor"):
        attribution.integrated_gradients(lambda x: x.sum(1), torch.ones(2, 5, dtype=torch.long))


# Lesions


@pytest.mark.parametrize("kind, options", [(lr.LTC, {}), (lr.CfC, {}), (lr.LRCU, {"mixed_memory": True})])
def test_a_lesion_is_that_of_a_lesioned_copy_and_ends(kind, options):
    layer = kind(4, NCP, batch_first=True, **options)
    model = nn.Sequential(layer)
    x = torch.randn(2, 6, 4)
    before, whole, identities = copy.deepcopy(model.state_dict()), model(x)[0], [id(p) for p in model.parameters()]
    with attribution.lesion(layer, neurons=[5]) as same:
        assert same is layer
        assert torch.equal(model(x)[0], layer(x)[0]) and not torch.equal(model(x)[0], whole)
        inside = model(x)[0]
    assert torch.equal(layer.lesioned(layer.wiring.ablate(neurons=[5]))(x)[0], inside)
    assert torch.equal(model(x)[0], whole)
    assert [id(p) for p in model.parameters()] == identities
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_lesion_ends_after_an_error_and_may_be_within_another():
    layer = lr.LTC(4, NCP, batch_first=True)
    whole = layer.wiring
    with pytest.raises(RuntimeError, match="mine"), attribution.lesion(layer, neurons=[5]):
        raise RuntimeError("mine")
    assert layer.wiring == whole
    pre, post, _ = whole.synapses
    with attribution.lesion(layer, neurons=[5]):
        kept = [(a, b) for a, b in zip(pre, post, strict=True) if 5 not in (a, b)]
        with attribution.lesion(layer, synapses=kept[:1]):
            assert layer.wiring.num_synapses == len(kept) - 1
        assert layer.wiring.num_synapses == len(kept)
    assert layer.wiring == whole


@pytest.mark.parametrize("part", ["neurons", "synapses", "sensory_synapses"])
def test_effects_are_those_of_each_lesion_made_by_hand(part):
    layer = lr.LTC(4, NCP, batch_first=True)
    x = torch.randn(3, 9, 4)
    found = attribution.lesion_effects(layer, lambda: layer(x)[0].square().sum(), part)
    wiring = layer.wiring
    every = range(10) if part == "neurons" else list(zip(*getattr(wiring, part)[:2], strict=True))
    expected = [layer.lesioned(wiring.ablate(**{part: [one]}))(x)[0].square().sum().item() for one in every]
    assert found.whole == layer(x)[0].square().sum().item()
    np.testing.assert_allclose(found.changes, np.array(expected) - found.whole, rtol=1e-6, atol=1e-6)
    assert np.abs(found.changes).max() > 0


def test_a_neuron_that_drives_nothing_has_no_effect():
    """Neuron 2 has a synapse to itself alone."""
    adjacency = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1]])
    wiring = lr.wirings.Wiring(adjacency, np.array([[0, 1, 1]]), outputs=1)
    layer = lr.LTC(1, wiring, batch_first=True)
    x = torch.randn(2, 9, 1)
    changes = attribution.lesion_effects(layer, lambda: layer(x)[0].sum()).changes
    assert changes[2] == 0 and (changes[:2] != 0).all()


def smaller(module, gates, unit):
    """The torch module without a unit, whose rows and columns are deleted."""
    units = module.hidden_size
    other = type(module)(module.input_size, units - 1, batch_first=True)
    rows = [gate * units + one for gate in range(gates) for one in range(units) if one != unit]
    columns = [one for one in range(units) if one != unit]
    with torch.no_grad():
        other.weight_ih_l0.copy_(module.weight_ih_l0[rows])
        other.weight_hh_l0.copy_(module.weight_hh_l0[rows][:, columns])
        other.bias_ih_l0.copy_(module.bias_ih_l0[rows])
        other.bias_hh_l0.copy_(module.bias_hh_l0[rows])
    return other


@pytest.mark.parametrize(("name", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_without_a_unit_a_network_is_the_smaller_one(name, gates):
    module = getattr(nn, name)(3, 6, batch_first=True)
    layer = getattr(lr, name)(3, 6, batch_first=True)
    layer.recurrences[0].rnn.load_state_dict(module.state_dict())
    x, unit = torch.randn(2, 9, 3), 4
    with attribution.lesion(layer, units=[unit]):
        output, end = layer(x)
    expected, expected_end = smaller(module, gates, unit)(x)
    others = [one for one in range(6) if one != unit]
    torch.testing.assert_close(output[..., others], expected)
    first, expected_first = (part if name != "LSTM" else part[0] for part in (end, expected_end))
    torch.testing.assert_close(first[..., others], expected_first)
    assert not output[..., unit].any()
    torch.testing.assert_close(layer(x)[0], module(x)[0])


SILENT = {
    "CfC": lr.CfC,
    "LTC": lr.LTC,
    "CT-RNN": lr.CTRNN,
    "GRU-D": lr.GRUD,
    "ODE-RNN": lr.ODERNN,
    "CT-GRU": lr.CTGRU,
    "CT-LSTM": lr.CTLSTM,
    "Phased LSTM": lr.PhasedLSTM,
    "coRNN": lr.CoRNN,
    "minLSTM": lr.MinLSTM,
    "mixed memory": lambda *a, **k: lr.CfC(*a, mixed_memory=True, **k),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_unit_is_zero_in_every_layer_and_speaks_again(name):
    layer = SILENT[name](3, 6, batch_first=True)
    x, dt = torch.randn(2, 7, 3), torch.rand(2, 7)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[0, 0] = mask[1, 3] = False
    spans = {"timespans": dt} if layer.recurrences[0].uses_timespans else {}
    whole = layer(x, mask=mask, **spans)[0]
    with attribution.lesion(layer, units=[0, 4]):
        without, _, trace = layer(x, mask=mask, return_trace=True, **spans)
        torch.testing.assert_close(layer(x, mask=mask, **spans)[0], without)
    assert not without[..., [0, 4]].any() and not trace["state"][..., [0, 4]].any()
    others = [1, 2, 3, 5]
    assert without[..., others].isfinite().all() and without[..., others].any()
    # minLSTM has no connections among its units.
    assert torch.allclose(without[..., others], whole[..., others]) == (name == "minLSTM")
    assert torch.equal(layer(x, mask=mask, **spans)[0], whole)


def test_units_count_on_over_recurrences():
    layer = lr.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    x = torch.randn(2, 5, 3)
    with attribution.lesion(layer, units=[9, 14]):
        output, h_n = layer(x)
    # Units 8 to 11 are those of the upper layer forward, 12 to 15 backward.
    assert not output[..., [1, 6]].any() and output[..., [0, 2, 3, 4, 5, 7]].all()
    assert not h_n[2, :, 1].any() and not h_n[3, :, 2].any() and h_n[:2].all()
    with pytest.raises(ValueError, match="units must be from 0 to 15, the last of the layer, but hold 16"):
        attribution.lesion_effects(layer, lambda: 0.0, "units", [[16]])
    with (
        pytest.raises(ValueError, match=r"3 units and parts of \(2, 3\)"),
        attribution.lesion(lr.LSTM(3, 3, proj_size=2), units=[0]),
    ):
        pass


def test_effects_of_units_and_of_groups():
    layer, x = lr.GRU(3, 5, batch_first=True), torch.randn(4, 6, 3)

    def score():
        return layer(x)[0].square().sum()

    found = attribution.lesion_effects(layer, score, "units")
    by_hand = []
    for unit in range(5):
        with attribution.lesion(layer, units=[unit]):
            by_hand.append(score().item() - found.whole)
    np.testing.assert_allclose(found.changes, by_hand, rtol=1e-6)
    assert (found.changes < 0).all()
    wired = lr.LTC(4, NCP, batch_first=True)
    x = torch.randn(4, 6, 4)
    pre, post, _ = wired.wiring.synapses
    pairs = list(zip(pre, post, strict=True))
    changes = attribution.lesion_effects(wired, lambda: wired(x)[0].sum(), "synapses", [pairs, pairs[:2], []]).changes
    all_cut = wired.lesioned(wired.wiring.ablate(synapses=pairs))(x)[0].sum() - wired(x)[0].sum()
    assert changes[0] == pytest.approx(all_cut.item(), rel=1e-5) and changes[2] == 0 != changes[1]


def test_layers_without_wiring_are_refused():
    called = []
    with pytest.raises(ValueError, match="this GRU has no wiring"):
        attribution.lesion_effects(lr.GRU(3, 4), lambda: called.append(1) or 0.0)
    assert not called
    with pytest.raises(ValueError, match="part must be 'units'"):
        attribution.lesion_effects(lr.LTC(3, 4), lambda: 0.0, "cells")  # type: ignore[arg-type]
