"""Converted ncps networks against ncps itself, in values and gradients."""

import ncps.torch
import ncps.wirings
import pytest
import torch

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
