"""minGRU and minLSTM: the parallel scan against the recurrence, the paper's scan of logarithms, and released code."""

import pytest
import torch
import torch.nn.functional as F
from released import case, given

import liquidrnn as lr
from liquidrnn.kernels import loop
from liquidrnn.layers.min_rnn import scan

KINDS = [lr.MinGRU, lr.MinLSTM]


def of_logarithms(layer, x):
    """Appendix B of the paper: the scan divides by products of gates, so all is in logarithms. Starts at 0."""
    recurrence = layer.recurrences[0]
    rows = F.linear(x, recurrence.weight, recurrence.bias).chunk(recurrence.rows, -1)
    *gates, candidate = rows
    if len(gates) == 1:
        log_keep, log_take = -F.softplus(gates[0]), -F.softplus(-gates[0])
    else:
        ratio = F.softplus(-gates[0]) - F.softplus(-gates[1])
        log_keep, log_take = -F.softplus(ratio), -F.softplus(-ratio)
    log_candidate = torch.where(candidate >= 0, (F.relu(candidate) + 0.5).log(), -F.softplus(-candidate))
    products = log_keep.cumsum(1)
    return (products + (log_take + log_candidate - products).logcumsumexp(1)).exp()


@pytest.mark.parametrize("kind", KINDS)
def test_the_scan_of_products_is_the_papers_scan_of_logarithms(kind):
    layer = kind(3, 8, batch_first=True, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 50, 3, dtype=torch.float64, requires_grad=True)
    mine, theirs = layer(x)[0], of_logarithms(layer, x)
    torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)
    of_mine, of_theirs = (torch.autograd.grad(h.square().sum(), [x, *layer.parameters()]) for h in (mine, theirs))
    for one, other in zip(of_mine, of_theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_parallel_and_the_sequential_form_agree_from_any_state_with_masks_and_episodes(kind, scale):
    """Where gates are nearly 0 or 1, the scan of logarithms is wrong in single precision; this one is not."""
    layer = kind(3, 8, batch_first=True, generator=torch.Generator().manual_seed(0))
    g = torch.Generator().manual_seed(1)
    x, h = scale * torch.randn(4, 200, 3, generator=g), torch.randn(4, 8, generator=g)
    inputs = loop.Inputs(
        x,
        torch.ones(4, 200, 1),
        torch.rand(4, 200, 1, generator=g) > 0.3,
        None,
        torch.rand(4, 200, 1, generator=g) < 0.05,
    )
    recurrence = layer.recurrences[0]
    (parallel,), (end,) = recurrence.unroll(inputs, (h,))
    (sequential,), (last,) = loop.unroll(lambda one, state: recurrence.update((), one, state), inputs, (h,))
    assert (parallel < 0).any(), "a state of either sign"
    torch.testing.assert_close(parallel, sequential, rtol=1e-5, atol=1e-5 * scale)
    torch.testing.assert_close(end, last, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("time", [1, 2, 3, 8, 13])
def test_the_scan_composes_maps(time):
    factors, terms = torch.randn(2, 1, time, 3, dtype=torch.float64)
    product, total = scan(factors, terms)
    h = torch.randn(3, dtype=torch.float64)
    expected = h
    for t in range(time):
        expected = factors[0, t] * expected + terms[0, t]
        torch.testing.assert_close(product[0, t] * h + total[0, t], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_released_cells(kind):
    """Theirs have no bias, and rows in another order: candidate first."""
    kept = case(kind.__name__.replace("Min", "min"))
    (name,) = (key for key in kept if key.startswith("to_hidden"))
    candidate, *gates = kept[name].chunk(2 if kind is lr.MinGRU else 3)
    weight = torch.cat([*gates, candidate])
    layer = given(kind(3, 3, batch_first=True), weight=weight, bias=torch.zeros(len(weight)))
    torch.testing.assert_close(layer(kept["x"])[0], kept["outputs"], rtol=1e-10, atol=1e-12)


def test_time_spans_are_refused_unless_they_are_used():
    x, spans = torch.randn(2, 5, 3), torch.rand(2, 5)
    with pytest.raises(ValueError, match="this MinGRU does not use timespans: build it with time='append'"):
        lr.MinGRU(3, 4, batch_first=True)(x, timespans=spans)
    ignoring = lr.MinLSTM(3, 4, time="ignore", batch_first=True)
    assert torch.equal(ignoring(x, timespans=spans)[0], ignoring(x)[0])
    with pytest.raises(ValueError, match="time must be 'ignore', 'append' or None, but got 'decay'"):
        lr.MinGRU(3, 4, time="decay")


@pytest.mark.parametrize("kind", KINDS)
def test_states_stay_between_the_initial_state_and_the_candidates(kind):
    layer = kind(3, 8, batch_first=True, dtype=torch.float64)
    x, h = torch.randn(2, 40, 3, dtype=torch.float64), torch.randn(1, 2, 8, dtype=torch.float64)
    recurrence = layer.recurrences[0]
    candidate = F.linear(x, recurrence.weight, recurrence.bias).chunk(recurrence.rows, -1)[-1]
    candidate = torch.where(candidate >= 0, candidate + 0.5, candidate.sigmoid())
    states = layer(x, h)[0]
    assert (states <= torch.maximum(candidate.amax(1, keepdim=True), h[0][:, None])).all()
    assert (states >= torch.minimum(candidate.amin(1, keepdim=True), h[0][:, None])).all()
