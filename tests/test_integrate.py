"""Order of convergence of each method, measured against SciPy's matrix exponential."""

import numpy as np
import pytest
import scipy.linalg
import torch

from liquidrnn.integrate import TABLEAUX, advance


@pytest.mark.parametrize("method", TABLEAUX)
def test_order_of_convergence_is_the_claimed_one(method):
    matrix = torch.tensor([[-0.3, 2.0], [-1.5, -0.4]], dtype=torch.float64)
    start = torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    exact = scipy.linalg.expm(matrix.numpy() * 1.7) @ start[0].numpy()
    steps = np.array([16, 32, 64, 128])
    errors = [
        np.abs(advance(lambda x: x @ matrix.T, start, 1.7, int(n), method)[0].numpy() - exact).max() for n in steps
    ]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - TABLEAUX[method].order) < 0.15


@pytest.mark.parametrize("method", TABLEAUX)
def test_a_zero_span_returns_the_state(method):
    x = torch.randn(3, 4)
    assert torch.equal(advance(torch.tanh, x, torch.zeros(3, 1), 5, method), x)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method must be one of euler, heun, rk4, but got 'rk5'"):
        advance(torch.tanh, torch.zeros(1, 1), 1.0, 1, "rk5")
