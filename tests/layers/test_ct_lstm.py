"""CT-LSTM against the authors' cell, and against its equations in NumPy."""

import numpy as np
import torch
from released import case, given
from scipy.special import expit

import liquidrnn as lr


def test_the_authors_cell():
    """Their rows are in the order i, f, o, z, i of the target, f of the target, rate, as here; inputs come first."""
    kept = case("CT-LSTM")
    units = kept["outputs"].shape[-1]
    layer = given(
        lr.CTLSTM(units, units, batch_first=True),
        weight_ih=kept["linear.weight"][:, :units],
        weight_hh=kept["linear.weight"][:, units:],
        bias=kept["linear.bias"],
    )
    torch.testing.assert_close(layer(kept["x"], timespans=kept["spans"])[0], kept["outputs"], rtol=1e-10, atol=1e-12)


def test_the_equations_over_continued_time():
    """The cell between samples, followed in small steps of its own differential equation."""
    layer = lr.CTLSTM(2, 3, batch_first=True, dtype=torch.float64)
    p = {name: value.detach().numpy() for name, value in layer.recurrences[0].named_parameters()}
    x, spans = np.random.default_rng(0).normal(size=(6, 2)), np.random.default_rng(1).uniform(0, 2, 6)
    cell, target, rate, gate = np.zeros((4, 3))
    for u, span in zip(x, spans, strict=True):
        steps = 20_000
        for _ in range(steps):
            cell = cell + span / steps * rate * (target - cell)
        h = gate * np.tanh(cell)
        i, f, o, z, i_bar, f_bar, d = np.split(p["weight_ih"] @ u + p["weight_hh"] @ h + p["bias"], 7)
        cell, target = expit(f) * cell + expit(i) * np.tanh(z), expit(f_bar) * target + expit(i_bar) * np.tanh(z)
        rate, gate = np.logaddexp(0, d), expit(o)
    output, state = layer(torch.tensor(x)[None], timespans=torch.tensor(spans)[None])
    np.testing.assert_allclose(output[0, -1].detach(), gate * np.tanh(cell), rtol=1e-4)
    for mine, expected in zip(state, (cell, target, rate, gate), strict=True):
        np.testing.assert_allclose(mine[0, 0].detach(), expected, rtol=1e-4)


def test_after_a_long_time_a_cell_is_at_its_target():
    """In ODE-LSTM's code a cell is not changed by time, only the output."""
    layer = lr.CTLSTM(2, 3, batch_first=True, dtype=torch.float64)
    x = torch.randn(1, 1, 2).double()
    _, (cell, target, rate, gate) = layer(x)
    assert not torch.allclose(cell, target)
    late, _ = layer(x, (cell, target, rate, gate), timespans=1e3)
    there, _ = layer(x, (target, target, rate, gate), timespans=0.0)
    torch.testing.assert_close(late, there)
