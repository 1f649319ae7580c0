"""coRNN against the authors' cell and SciPy's solution of its equation."""

import numpy as np
import pytest
import torch
from released import case, given
from scipy.integrate import solve_ivp

import liquidrnn as lr


def test_the_authors_cell():
    """Theirs reads input, z and y through one matrix, and takes one step of length dt per sample."""
    kept = case("coRNN")
    weight = kept["i2h.weight"]
    layer = given(
        lr.CoRNN(3, 4, dt=0.3, solver="explicit", batch_first=True),
        weight_ih=weight[:, :3],
        weight_zh=weight[:, 3:7],
        weight_hh=weight[:, 7:],
        bias=kept["i2h.bias"],
    )
    torch.testing.assert_close(layer(kept["x"])[0], kept["outputs"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("solver", ["implicit", "explicit"])
def test_both_solvers_converge_to_the_solution(solver):
    errors = []
    for unfolds in (50, 200):
        layer = lr.CoRNN(
            2,
            3,
            dt=0.7,
            gamma=3.0,
            epsilon=0.4,
            solver=solver,
            ode_unfolds=unfolds,
            batch_first=True,
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(0),
        )
        p = {name: 2 * value.detach().numpy() for name, value in layer.recurrences[0].named_parameters()}
        layer.recurrences[0].load_state_dict({name: torch.tensor(value) for name, value in p.items()})
        x, spans = np.random.default_rng(0).normal(size=(4, 2)), np.array([0.3, 2.0, 0.0, 1.1])
        state = np.zeros(6)
        for u, span in zip(x, spans, strict=True):

            def slope(_, state, u=u, p=p):
                y, z = np.split(state, 2)
                force = np.tanh(p["weight_hh"] @ y + p["weight_zh"] @ z + p["weight_ih"] @ u + p["bias"])
                return np.concatenate([z, force - 3.0 * y - 0.4 * z])

            state = solve_ivp(slope, (0, 0.7 * span), state, rtol=1e-10, atol=1e-12).y[:, -1]
        found = torch.cat(layer(torch.tensor(x)[None], timespans=torch.tensor(spans)[None])[1], -1)
        errors.append(np.linalg.norm(found.detach().numpy().ravel() - state))
    np.testing.assert_allclose(np.log(errors[0] / errors[1]) / np.log(4), 1, atol=0.1)
    assert errors[1] < 0.01


def test_implicit_steps_are_bounded_for_any_span_and_explicit_ones_are_not():
    x = 10 * torch.randn(1, 200, 3, generator=torch.Generator().manual_seed(0)).double()
    make = {"batch_first": True, "dtype": torch.float64, "dt": 1.0}
    for span in (1.0, 30.0, 1e6):
        assert lr.CoRNN(3, 8, **make)(x, timespans=span)[0].abs().max() < 3
    assert not lr.CoRNN(3, 8, solver="explicit", **make)(x, timespans=30.0)[0].abs().max() < 1e6


def test_what_is_refused():
    with pytest.raises(ValueError, match="gamma must be a positive number, but got 0"):
        lr.CoRNN(3, 4, gamma=0)
    with pytest.raises(ValueError, match="solver must be 'implicit' or 'explicit', but got 'rk4'"):
        lr.CoRNN(3, 4, solver="rk4")
