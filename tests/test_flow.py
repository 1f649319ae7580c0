"""Adaptive solvers against torchdiffeq itself and SciPy, and what they are asked for."""

import re
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch._subclasses.fake_tensor import FakeTensorMode

import liquidrnn as lr
from liquidrnn import flow
from liquidrnn.integrate import advance_adaptively

KINDS = [lr.ODERNN, lr.ODELSTM, lr.GRUODE]


def lively(kind, **arguments):
    generator = torch.Generator().manual_seed(0)
    layer = kind(3, 4, batch_first=True, dtype=torch.float64, generator=generator, **arguments)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(2)
    return layer


def test_each_row_has_its_own_span_and_no_time_is_no_change():
    state = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
    spans = torch.tensor([[0.5], [0.0], [3.0]], dtype=torch.float64)
    found = advance_adaptively(lambda x: x * (1 - x / 7), state, spans, "dopri5", rtol=1e-9, atol=1e-9)
    for row in range(3):
        if span := spans[row].item():
            end = solve_ivp(lambda _, x: x * (1 - x / 7), (0, span), state[row].numpy(), rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(found[row], end.y[:, -1], rtol=1e-7)
    assert torch.equal(found[1], state[1])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", KINDS)
def test_tolerances_bound_the_error_and_gradients_are_those_of_a_fine_fixed_solver(kind):
    x, spans = torch.randn(2, 5, 3).double(), 2 * torch.rand(2, 5).double()
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[0, 2] = False

    def results(**arguments):
        layer = lively(kind, **arguments)
        output, _ = layer(x, timespans=spans, mask=mask)
        return output.detach(), torch.autograd.grad(output.square().sum(), list(layer.parameters()))

    fine, of_fine = results(solver="rk4", ode_unfolds=200)
    errors = []
    for tolerance in (1e-3, 1e-8):
        output, gradients = results(solver="dopri5", rtol=tolerance, atol=tolerance)
        errors.append((output - fine).abs().max().item())
    assert errors[1] < 1e-6 and errors[1] <= errors[0] < 0.02
    for mine, theirs in zip(gradients, of_fine, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_streams_states_and_empty_batches(kind):
    layer = lively(kind, solver="dopri5")
    x, spans = torch.randn(1, 4, 3).double(), torch.rand(1, 4).double()
    whole, _ = layer(x, timespans=spans)
    state = None
    for t in range(4):
        output, state = layer.step(x[:, t], state, timespan=spans[:, t])
        assert torch.equal(output, whole[:, t])
    fresh = kind(3, 4, batch_first=True, solver="dopri5").double()
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(x, timespans=spans)[0], whole)
    assert layer(x[:0])[0].shape == (0, 4, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_without_effect_are_refused(kind):
    with pytest.raises(ValueError, match="ode_unfolds has no effect with solver='dopri5', which chooses its steps"):
        kind(3, 4, solver="dopri5", ode_unfolds=4)
    for name in ("rtol", "atol"):
        with pytest.raises(ValueError, match=f"{name} has no effect with solver='rk4', which has fixed steps"):
            kind(3, 4, solver="rk4", **{name: 1e-3})
    with pytest.raises(ValueError, match="rtol must be a tolerance above 0 and at most 1, but got 0"):
        kind(3, 4, solver="dopri5", rtol=0)
    with pytest.raises(ValueError, match="'rk4' or 'dopri5', but got 'dopri8'"):
        kind(3, 4, solver="dopri8")


def test_without_torchdiffeq_the_error_says_what_to_install():
    with mock.patch.object(flow, "find_spec", return_value=None):
        with pytest.raises(ImportError, match=re.escape("solver='dopri5' needs torchdiffeq: install it with pip")):
            lr.ODERNN(3, 4, solver="dopri5")
        lr.ODERNN(3, 4)


def test_what_it_cannot_do_is_an_error():
    layer = lively(lr.ODERNN, solver="dopri5")
    with pytest.raises(RuntimeError, match="solver='dopri5' cannot follow the equation .* raise rtol and atol"):
        layer(torch.full((1, 1, 3), torch.nan).double(), torch.full((1, 1, 4), torch.inf).double())
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        with pytest.raises(RuntimeError, match="cannot be part of a graph: use a solver with fixed steps"):
            layer(mode.from_tensor(torch.zeros(1, 3, 3).double()))


def test_a_layer_does_not_import_torchdiffeq(monkeypatch):
    """Nor does the library: `test_the_library_brings_in_torch_and_numpy_alone`."""
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    assert lr.ODERNN(3, 4)(torch.randn(5, 2, 3))[0].isfinite().all()
