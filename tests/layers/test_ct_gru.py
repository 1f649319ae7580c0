"""CT-GRU against its equations in NumPy, and against released code."""

import numpy as np
import pytest
import torch
from released import case, given
from scipy.special import softmax

import liquidrnn as lr


def written_out(layer, x, spans):
    """The five steps of the paper for one sequence (time, features), scale by scale; the decay comes first."""
    recurrence = layer.recurrences[0]
    p = {name: value.detach().numpy() for name, value in recurrence.named_parameters()}
    (w_r, w_s, w_q), (u_r, u_s, u_q), (b_r, b_s, b_q) = (
        np.split(p[name], 3) for name in ("weight_ih", "weight_hh", "bias")
    )
    tau = recurrence.shortest * 10 ** (np.arange(recurrence.scales) / 2)
    traces, states = np.zeros((recurrence.scales, layer.hidden_size)), []
    for u, span in zip(x, spans, strict=True):
        traces = traces * np.exp(-span / tau)[:, None]
        h = traces.sum(0)
        r, s = (
            softmax(-((w @ u + v @ h + b - np.log(tau)[:, None]) ** 2), axis=0)
            for w, v, b in ((w_r, u_r, b_r), (w_s, u_s, b_s))
        )
        q = np.tanh(w_q @ u + u_q @ (r * traces).sum(0) + b_q)
        traces = (1 - s) * traces + s * q
        states.append(traces.sum(0))
    return np.array(states)


@pytest.mark.parametrize("arguments", [{}, {"scales": 3, "shortest": 0.2}])
def test_the_equations(arguments):
    layer = lr.CTGRU(3, 5, batch_first=True, dtype=torch.float64, **arguments)
    x, spans = torch.randn(2, 9, 3).double(), 3 * torch.rand(2, 9).double()
    states = layer(x, timespans=spans)[0].detach()
    for row in range(2):
        expected = written_out(layer, x[row].numpy(), spans[row].numpy())
        np.testing.assert_allclose(states[row], expected, rtol=1e-11, atol=1e-13)


def test_the_cell_of_ode_lstms_authors_with_one_scale_per_unit():
    kept = case("CT-GRU")
    weights = torch.cat([kept[f"{name}.kernel"].T for name in "rsq"])
    layer = given(
        lr.CTGRU(3, 4, batch_first=True),
        weight_ih=weights[:, :3],
        weight_hh=weights[:, 3:],
        bias=torch.cat([kept[f"{name}.bias"] for name in "rsq"]),
    )
    torch.testing.assert_close(layer(kept["x"], timespans=kept["spans"])[0], kept["outputs"], rtol=1e-10, atol=1e-12)


def test_it_has_the_parameters_of_a_gru_and_the_scales_of_the_paper():
    count = sum(p.numel() for p in lr.CTGRU(7, 32).parameters())
    assert count == 3 * 32 * (7 + 32) + 3 * 32
    tau = lr.CTGRU(2, 3).recurrences[0].coefficients().tau.flatten()
    np.testing.assert_allclose(tau, np.sqrt(10.0) ** np.arange(8), rtol=1e-6)


def test_a_trace_decays_by_its_own_scale_and_the_shortest_too():
    """In LTC's code the first scale, whose logarithm is 0, decays at once, and spans are not read."""
    layer = lr.CTGRU(1, 1, scales=2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    h = torch.tensor([[[1.0, 1.0]]], dtype=torch.float64)
    for span in (0.5, 2.0):
        _, after = layer(torch.zeros(1, 1, 1, dtype=torch.float64), h, timespans=span)
        kept = 1 - softmax(-(np.log([1.0, 10**0.5]) ** 2))
        np.testing.assert_allclose(after[0, 0].detach(), kept * np.exp([-span, -span / 10**0.5]), rtol=1e-12)


def test_the_trace_is_the_scale_that_is_stored_to():
    layer = lr.CTGRU(2, 3, batch_first=True, dtype=torch.float64)
    tau = layer(torch.randn(2, 5, 2).double(), return_trace=True)[2]["tau"]
    assert ((tau > 1) & (tau < 10**3.5)).all()
    with torch.no_grad():
        layer.recurrences[0].bias[3:6] = torch.tensor([-50.0, 0.0, 50.0])
    tau = layer(torch.randn(2, 5, 2).double(), return_trace=True)[2]["tau"]
    np.testing.assert_allclose(tau[..., 0].detach(), 1, rtol=1e-6)
    np.testing.assert_allclose(tau[..., 2].detach(), 10**3.5, rtol=1e-6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="shortest must be a positive number, a time scale, but got 0"):
        lr.CTGRU(3, 4, shortest=0)
    with pytest.raises(ValueError, match="scales must be at least 1, but got 0"):
        lr.CTGRU(3, 4, scales=0)
