"""GRU-ODE against the authors' cell, SciPy's solution of its equation, and torch's GRU cell."""

import numpy as np
import pytest
import torch
from released import case, given
from scipy.integrate import solve_ivp
from scipy.special import expit
from torch import nn

import liquidrnn as lr


def test_the_authors_full_cell():
    """Euler's method, four steps per sample. Their biases are those of the input."""
    kept = case("GRU-ODE")
    layer = given(
        lr.GRUODE(3, 4, solver="euler", batch_first=True),
        flow_ih=kept["lin_x.weight"],
        flow_hh=torch.cat([kept[f"lin_h{name}.weight"] for name in "rzh"]),
        flow_bias=kept["lin_x.bias"],
    )
    torch.testing.assert_close(layer(kept["x"], timespans=kept["spans"])[0], kept["outputs"], rtol=1e-10, atol=1e-12)


def solved(layer, x, spans, mask):
    """The equation of the paper, and a GRU at samples if there are jumps, for one sequence."""
    recurrence, states = layer.recurrences[0], []
    p = {name: value.detach().numpy() for name, value in recurrence.named_parameters()}
    (u_r, u_z, u_g), (b_r, b_z, b_g) = np.split(p["flow_hh"], 3), np.split(p["flow_bias"], 3)
    cell = nn.GRUCell(x.shape[1], layer.hidden_size, dtype=torch.float64)
    if recurrence.jumps:
        cell.load_state_dict({name: torch.tensor(p[name]) for name, _ in cell.named_parameters()})
    h, clock = np.zeros(layer.hidden_size), 0.0
    for u, span, there in zip(x, spans, mask, strict=True):
        clock += span
        if not there:
            continue
        w_r, w_z, w_g = (0, 0, 0) if recurrence.jumps else (w @ u for w in np.split(p["flow_ih"], 3))

        def slope(_, h, w_r=w_r, w_z=w_z, w_g=w_g):
            r, z = expit(w_r + u_r @ h + b_r), expit(w_z + u_z @ h + b_z)
            return (1 - z) * (np.tanh(w_g + u_g @ (r * h) + b_g) - h)

        h = solve_ivp(slope, (0, clock), h, rtol=1e-10, atol=1e-12).y[:, -1] if clock else h
        if recurrence.jumps:
            with torch.no_grad():
                h = cell(torch.tensor(u)[None], torch.tensor(h)[None])[0].numpy()
        states.append(h)
        clock = 0.0
    return np.array(states)


ORDERS = {"semi_implicit": 1, "euler": 1, "heun": 2, "rk4": 4}


@pytest.mark.parametrize("jumps", [False, True])
@pytest.mark.parametrize("solver", [*ORDERS, "dopri5"])
def test_every_solver_converges_to_the_solution(solver, jumps):
    x, spans = np.random.default_rng(0).normal(size=(5, 2)), np.array([0.5, 1.5, 0.0, 1.0, 2.0])
    mask = np.array([True, True, True, False, True])
    errors = []
    for unfolds in (8, 32):
        precision = {"rtol": 1e-9, "atol": 1e-9} if solver == "dopri5" else {"ode_unfolds": unfolds}
        generator = torch.Generator().manual_seed(0)
        layer = lr.GRUODE(
            2, 4, jumps=jumps, solver=solver, batch_first=True, dtype=torch.float64, generator=generator, **precision
        )
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(3)
        output = layer(torch.tensor(x)[None], timespans=torch.tensor(spans), mask=torch.tensor(mask)[None])[0]
        errors.append(np.linalg.norm(output[0].detach().numpy()[mask] - solved(layer, x, spans, mask)))
    if solver == "dopri5":
        assert errors[0] < 1e-7
    else:
        np.testing.assert_allclose(np.log(errors[0] / errors[1]) / np.log(4), ORDERS[solver], rtol=0.15)


def test_semi_implicit_steps_stay_bounded_for_any_span():
    layer = lr.GRUODE(3, 8, batch_first=True, dtype=torch.float64)
    h = torch.rand(1, 2, 8).double() * 2 - 1
    for span in (0.1, 10.0, 1e8):
        assert layer(50 * torch.randn(2, 40, 3).double(), h, timespans=span)[0].abs().max() <= 1


def test_with_no_time_between_samples_jumps_are_a_gru():
    layer = lr.GRUODE(3, 4, jumps=True, batch_first=True, dtype=torch.float64)
    gru = nn.GRU(3, 4, batch_first=True, dtype=torch.float64)
    gru.load_state_dict(
        {f"{name}_l0": value for name, value in layer.recurrences[0].named_parameters() if "flow" not in name}
    )
    x = torch.randn(2, 6, 3).double()
    torch.testing.assert_close(layer(x, timespans=0.0)[0], gru(x)[0], rtol=1e-12, atol=1e-12)


def test_dopri5_leaves_a_state_whose_span_is_zero_exactly():
    """In single precision, where fractions of a span do not add up to one; beside sequences whose span is not zero."""
    layer, start = lr.GRUODE(3, 4, solver="dopri5"), torch.rand(1, 64, 4, requires_grad=True)
    still = torch.arange(64) % 2 == 0
    _, end = layer.step(torch.randn(64, 3), start, torch.where(still, 0.0, 1.0))
    assert torch.equal(end[:, still], start[:, still]) and not torch.equal(end[:, ~still], start[:, ~still])
    (slope,) = torch.autograd.grad(end[:, still].sum(), start)
    assert torch.equal(slope[:, still], torch.ones_like(slope[:, still]))
