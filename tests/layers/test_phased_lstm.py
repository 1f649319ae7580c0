"""Phased LSTM: torch's LSTM cell behind the time gate of the paper, in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

import liquidrnn as lr


def lively(**arguments):
    arguments = {"periods": (1.0, 5.0), "open_share": 0.4} | arguments
    generator = torch.Generator().manual_seed(0)
    return lr.PhasedLSTM(3, 6, batch_first=True, dtype=torch.float64, generator=generator, **arguments)


def gates(layer, times, leak):
    """Equation 6 of the paper at absolute times, (time, units)."""
    r = layer.recurrences[0]
    tau = np.logaddexp(0, r.raw_period.detach().numpy())
    share = 1 / (1 + np.exp(-r.raw_open.detach().numpy()))
    phase = np.mod(times[:, None] - r.shift.detach().numpy(), tau) / tau
    rising, falling = 2 * phase / share, 2 - 2 * phase / share
    return np.where(phase < share / 2, rising, np.where(phase < share, falling, leak * phase))


@pytest.mark.parametrize("training", [True, False])
def test_the_equations(training):
    layer = lively(leak=0.01).train(training)
    recurrence = layer.recurrences[0]
    cell = nn.LSTMCell(3, 6, dtype=torch.float64)
    cell.load_state_dict({name: getattr(recurrence, name) for name, _ in cell.named_parameters()})
    x, spans = torch.randn(1, 30, 3).double(), torch.rand(30).double()
    k = gates(layer, np.cumsum(spans.numpy()), 0.01 if training else 0.0)
    assert 0.25 < (k > 0.011).mean() < 0.55
    h = c = torch.zeros(1, 6, dtype=torch.float64)
    states = []
    for t in range(30):
        new_h, new_c = cell(x[:, t], (h, c))
        h, c = (torch.tensor(k[t]) * new + (1 - torch.tensor(k[t])) * old for new, old in ((new_h, h), (new_c, c)))
        states.append(h)
    output, (_, c_n, _) = layer(x, timespans=spans)
    torch.testing.assert_close(output, torch.stack(states, 1), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(c_n[0], c, rtol=1e-9, atol=1e-11)
    trace = layer(x, timespans=spans, return_trace=True)[2]
    np.testing.assert_allclose(trace["gate"][0].detach(), k, rtol=1e-9, atol=1e-11)


def test_a_gate_opens_fully():
    """In ODE-LSTM's code it rises to the square of its share."""
    k = lively(open_share=0.2)(torch.zeros(1, 2000, 3).double(), timespans=0.01, return_trace=True)[2]["gate"]
    assert (k.amax(1) > 0.9).all() and (k <= 1).all() and (k >= 0).all()
    np.testing.assert_allclose((k > 0.0011).double().mean(), 0.2, atol=0.03)


def test_a_unit_outside_its_share_holds_its_state_when_not_training():
    layer = lively().eval()
    x, spans = torch.randn(1, 40, 3).double(), torch.rand(40).double()
    output, _, trace = layer(x, timespans=spans, return_trace=True)
    closed = trace["gate"][0, 1:] == 0
    held = output[0, 1:] == output[0, :-1]
    assert closed.any() and torch.equal(held, closed)


def test_clocks_go_on_in_the_state_and_stay_exact_over_long_times():
    layer = lively().eval()
    state = layer(torch.zeros(1, 1, 3).double(), timespans=1e6 + 0.25)[1]
    tau = torch.nn.functional.softplus(layer.recurrences[0].raw_period.detach())
    torch.testing.assert_close(state[2][0, 0], torch.remainder(1e6 + 0.25, tau) / tau, rtol=1e-6, atol=1e-7)
    assert (state[2] >= 0).all() and (state[2] < 1).all()


def test_how_it_starts():
    recurrence = lr.PhasedLSTM(3, 4000, generator=torch.Generator().manual_seed(0)).recurrences[0]
    tau = nn.functional.softplus(recurrence.raw_period.detach())
    assert 0.99 < tau.min() < 1.01 and 19.9 < tau.max() < 20.1
    np.testing.assert_allclose(tau.log().mean(), np.log(20) / 2, atol=0.05)
    assert (recurrence.shift >= 0).all() and (recurrence.shift <= tau).all()
    np.testing.assert_allclose(recurrence.raw_open.detach().sigmoid(), 0.05, rtol=1e-5)


def test_what_is_refused():
    with pytest.raises(ValueError, match="periods must be the shortest and the longest, in this order"):
        lr.PhasedLSTM(3, 4, periods=(5.0, 1.0))
    with pytest.raises(TypeError, match="periods must be a pair"):
        lr.PhasedLSTM(3, 4, periods=3.0)
    with pytest.raises(ValueError, match="open_share must be a share above 0 and below 1, but got 1"):
        lr.PhasedLSTM(3, 4, open_share=1)
