"""Converted ncps networks against ncps itself, in values and gradients."""

import ncps.torch
import ncps.wirings
import pytest
import torch
from torch.nn.utils import parametrizations, parametrize, prune

import liquidrnn as lr

INPUT, BATCH, TIME = 5, 4, 6


def wirings():
    return {
        "full": lambda: 8,
        "ncp": lambda: ncps.wirings.AutoNCP(12, 3, sparsity_level=0.4),
        "random": lambda: ncps.wirings.Random(8, 3, sparsity_level=0.4),
    }


def compare(old, dtype, tolerance, **convert):
    """Outputs, state and gradients of the input, without time spans and with one span a sample for all the batch."""
    old = old.to(dtype)
    if hasattr(old.rnn_cell, "_params"):
        # ncps computes with a second dictionary of the same parameters; to() changed their data in place.
        assert all(p.dtype == dtype for p in old.rnn_cell._params.values())
    new = lr.from_ncps(old, **convert)
    for spans in (None, torch.rand(1, TIME, dtype=dtype) + 0.1):
        batch = 1 if spans is not None else BATCH
        x = torch.randn(batch, TIME, INPUT, dtype=dtype)
        x_old, x_new = x.clone().requires_grad_(), x.clone().requires_grad_()
        # ncps makes its own zeros in float32 whatever the module's type, and its LSTM then refuses them.
        zeros = torch.zeros(batch, old.state_size, dtype=dtype)
        expected, _ = old(x_old, (zeros, zeros) if old.use_mixed else zeros, spans)
        output, _ = new(x_new, timespans=spans)
        torch.testing.assert_close(output, expected, rtol=tolerance, atol=tolerance)
        weight = torch.randn_like(expected)
        (expected * weight).sum().backward()
        (output * weight).sum().backward()
        torch.testing.assert_close(x_new.grad, x_old.grad, rtol=10 * tolerance, atol=tolerance)
    if isinstance(new, lr.LTC) and not old.use_mixed:
        ours, theirs = new.recurrences[0], old.rnn_cell
        exists = (ours.synapses.pre, ours.synapses.post)
        for mine, his in (
            (ours.raw_w.grad, theirs.w.grad[exists]),
            (ours.synapses.sigma.grad, theirs.sigma.grad[exists]),
            (ours.erev.grad, theirs.erev.grad[exists]),
            (ours.raw_cm.grad, theirs.cm.grad),
            (ours.raw_gleak.grad, theirs.gleak.grad),
            (ours.input_map.weight.grad, theirs.input_w.grad),
        ):
            scale = his.abs().max()
            torch.testing.assert_close(mine / scale, his / scale, rtol=10 * tolerance, atol=tolerance)
    return new


dtypes = pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-10)])


@dtypes
@pytest.mark.parametrize("wiring", wirings())
@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_ltc(dtype, tolerance, wiring, implicit, mixed):
    old = ncps.torch.LTC(
        INPUT, wirings()[wiring](), implicit_param_constraints=implicit, mixed_memory=mixed, ode_unfolds=4
    )
    new = compare(old, dtype, tolerance)
    assert isinstance(new, lr.LTC)
    if wiring == "ncp":
        dense = sum(p.numel() for p in old.parameters())
        assert sum(p.numel() for p in new.parameters()) < dense
        assert (
            new.recurrences[0].num_synapses
            == abs(old._wiring.adjacency_matrix).sum() + abs(old._wiring.sensory_adjacency_matrix).sum()
        )


@dtypes
@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("layers, activation", [(1, "lecun_tanh"), (2, "silu"), (0, "relu")])
def test_cfc(dtype, tolerance, mode, mixed, layers, activation):
    old = ncps.torch.CfC(
        INPUT,
        8,
        proj_size=3,
        mode=mode,
        mixed_memory=mixed,
        backbone_layers=layers,
        backbone_units=16,
        activation=activation,
    )
    assert isinstance(compare(old, dtype, tolerance), lr.CfC)


@dtypes
@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("proj", [None, 2])
def test_wired_cfc(dtype, tolerance, mode, mixed, proj):
    old = ncps.torch.CfC(INPUT, ncps.wirings.AutoNCP(12, 3), mode=mode, mixed_memory=mixed, proj_size=proj)
    compare(old, dtype, tolerance)


@pytest.mark.parametrize("kind", [ncps.torch.LTC, ncps.torch.CfC])
def test_compat_reproduces_the_broadcast_of_spans_over_units(kind):
    old = kind(INPUT, 8)
    theirs = lr.from_ncps(old, compat=True)
    ours = lr.from_ncps(old)
    x, spans = torch.randn(8, TIME, INPUT), torch.rand(8, TIME) + 0.1
    expected, state = old(x, None, spans)
    output, h = theirs(x, None, spans)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(h, state, rtol=1e-5, atol=1e-5)
    alone = torch.cat([old(x[i : i + 1], None, spans[i : i + 1])[0] for i in range(8)])
    torch.testing.assert_close(ours(x, timespans=spans)[0], alone, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(expected, alone, atol=1e-3)
    with pytest.raises(RuntimeError):
        theirs(x[:3], None, spans[:3])


def test_compat_reproduces_nan_at_a_zero_span():
    old = ncps.torch.LTC(INPUT, 8)
    x, spans = torch.randn(1, 3, INPUT), torch.tensor([[1.0, 0.0, 1.0]])
    assert old(x, None, spans)[0][:, 1:].isnan().all()
    assert lr.from_ncps(old, compat=True)(x, None, spans)[0][:, 1:].isnan().all()
    assert lr.from_ncps(old)(x, timespans=spans)[0].isfinite().all()


def test_negative_conductances_are_clamped_unless_compat():
    old = ncps.torch.LTC(INPUT, 8, implicit_param_constraints=False)
    with torch.no_grad():
        old.rnn_cell.w[0] = -0.1
    x = torch.randn(2, TIME, INPUT)
    torch.testing.assert_close(lr.from_ncps(old, compat=True)(x)[0], old(x)[0], rtol=1e-5, atol=1e-5)
    ours = lr.from_ncps(old)(x)[0]
    assert not torch.allclose(ours, old(x)[0], atol=1e-4)
    old.rnn_cell.apply_weight_constraints()
    torch.testing.assert_close(ours, old(x)[0], rtol=1e-5, atol=1e-5)


def test_other_modules_are_refused():
    with pytest.raises(TypeError, match="module must be an ncps.torch.LTC or ncps.torch.CfC, but got LSTM"):
        lr.from_ncps(torch.nn.LSTM(2, 3))


def one_that_was_loaded(kind, **options):
    """A module built with a wiring and the state dict of another one, and that other one."""
    trained, fresh = (kind(INPUT, ncps.wirings.AutoNCP(14, 3, seed=seed), **options) for seed in (7, 8))
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    fresh.load_state_dict(trained.state_dict())
    return fresh, trained


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(
    "kind, options",
    [
        (ncps.torch.LTC, {}),
        (ncps.torch.LTC, {"mixed_memory": True}),
        (ncps.torch.LTC, {"implicit_param_constraints": False, "input_mapping": "linear", "output_mapping": None}),
        (ncps.torch.CfC, {}),
        (ncps.torch.CfC, {"mode": "pure", "proj_size": 2}),
        (ncps.torch.CfC, {"mode": "no_gate", "mixed_memory": True}),
    ],
)
def test_synapses_are_those_of_the_loaded_mask(kind, options, compat):
    fresh, trained = one_that_was_loaded(kind, **options)
    if hasattr(fresh.rnn_cell, "apply_weight_constraints"):
        fresh.rnn_cell.apply_weight_constraints()
        trained.rnn_cell.apply_weight_constraints()
    x = torch.randn(BATCH, TIME, INPUT)
    layer = lr.from_ncps(fresh, compat=compat)
    torch.testing.assert_close(layer(x)[0], trained(x)[0], rtol=1e-5, atol=1e-5)
    layer = layer.layer if compat else layer
    twin = lr.from_ncps(trained)
    assert layer.num_synapses == twin.num_synapses
    for name in ("adjacency", "sensory_adjacency"):
        mine, other = getattr(layer.wiring, name), getattr(twin.wiring, name)
        # A CfC has no reversal potentials to tell a sign by.
        assert ((mine != 0) == (other != 0)).all() and (kind is ncps.torch.CfC or (mine == other).all())


def test_a_mask_of_fractions_counts_as_weights_in_a_cfc_and_is_refused_in_an_ltc():
    cfc = ncps.torch.CfC(INPUT, ncps.wirings.AutoNCP(10, 2))
    cfc.rnn_cell.layer_0.sparsity_mask.data *= 0.5
    x = torch.randn(BATCH, TIME, INPUT)
    torch.testing.assert_close(lr.from_ncps(cfc)(x)[0], cfc(x)[0], rtol=1e-5, atol=1e-5)
    ltc = ncps.torch.LTC(INPUT, 6)
    ltc.rnn_cell.sensory_sparsity_mask.data *= 0.5
    with pytest.raises(ValueError, match="sensory_sparsity_mask must be 0 or 1"):
        lr.from_ncps(ltc)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ncps.torch.LTC(INPUT, ncps.wirings.AutoNCP(10, 2), mixed_memory=True),
        lambda: ncps.torch.CfC(INPUT, 6, proj_size=2, backbone_layers=2),
        lambda: ncps.torch.CfC(INPUT, ncps.wirings.AutoNCP(10, 2), mode="pure"),
        lambda: ncps.torch.CfC(INPUT, ncps.wirings.AutoNCP(10, 2)),
    ],
)
def test_frozen_parameters_stay_frozen(make):
    old = make().requires_grad_(False)
    assert not any(p.requires_grad for p in lr.from_ncps(old).parameters())
    old = make()
    assert all(p.requires_grad for p in lr.from_ncps(old).parameters())
    if old.use_mixed:
        old.lstm.requires_grad_(False)
        layer = lr.from_ncps(old)
        frozen = [name for name, p in layer.named_parameters() if not p.requires_grad]
        assert sorted(name.rpartition(".")[2] for name in frozen) == ["bias", "weight_hh", "weight_ih"]


def test_a_partly_frozen_parameter_is_refused():
    old = ncps.torch.CfC(INPUT, 6)
    old.rnn_cell.ff2.weight.requires_grad_(False)
    message = r"rnn_cell.ff2.weight of the module is frozen and rnn_cell.ff1.weight is not, .*heads.weight:"
    with pytest.raises(ValueError, match=message):
        lr.from_ncps(old)


class Doubled(ncps.torch.CfC):
    def forward(self, *arguments):
        output, state = super().forward(*arguments)
        return 2 * output, state


class Squared(ncps.torch.ltc_cell.LTCCell):
    def _map_inputs(self, inputs):
        return super()._map_inputs(inputs) ** 2


class Renamed(ncps.torch.LTC):
    """Computes as an LTC does."""


def test_a_customised_module_is_refused():
    with pytest.raises(TypeError, match="module is a Doubled with a forward of its own"):
        lr.from_ncps(Doubled(INPUT, 6))
    old = ncps.torch.LTC(INPUT, 6)
    old.rnn_cell.__class__ = Squared
    with pytest.raises(TypeError, match="module.rnn_cell is a Squared with a _map_inputs of its own"):
        lr.from_ncps(old)
    old = ncps.torch.LTC(INPUT, 6)
    old.forward = lambda *_: None
    with pytest.raises(TypeError, match="module is a LTC with a forward of its own"):
        lr.from_ncps(old)
    old = ncps.torch.CfC(INPUT, 6)
    prune.l1_unstructured(old.rnn_cell.ff1, "weight", 0.5)
    with pytest.raises(TypeError, match="module.rnn_cell.ff1 has hooks"):
        lr.from_ncps(old)
    prune.remove(old.rnn_cell.ff1, "weight")
    assert lr.from_ncps(old)(torch.randn(2, 3, INPUT))[0].isfinite().all()
    x, old = torch.randn(2, TIME, INPUT), Renamed(INPUT, 6)
    torch.testing.assert_close(lr.from_ncps(old)(x)[0], old(x)[0], rtol=1e-5, atol=1e-5)


def test_parameters_that_ncps_holds_twice_must_agree():
    old = ncps.torch.LTC(INPUT, 6)
    old.load_state_dict({name: value + 1 for name, value in old.state_dict().items()}, assign=True)
    with pytest.raises(ValueError, match="computes with another gleak than its state dict has"):
        lr.from_ncps(old)
    with torch.device("meta"):
        old = ncps.torch.CfC(INPUT, 6)
    with pytest.raises(ValueError, match="module is on the meta device"):
        lr.from_ncps(old)


def test_a_parametrized_module_is_converted_once_its_values_are_parameters():
    old = ncps.torch.CfC(INPUT, 6)
    parametrizations.weight_norm(old.rnn_cell.time_a)
    with pytest.raises(TypeError, match="module.rnn_cell.time_a has parametrizations"):
        lr.from_ncps(old)
    parametrize.remove_parametrizations(old.rnn_cell.time_a, "weight")
    x = torch.randn(2, TIME, INPUT)
    torch.testing.assert_close(lr.from_ncps(old)(x)[0], old(x)[0], rtol=1e-5, atol=1e-5)
