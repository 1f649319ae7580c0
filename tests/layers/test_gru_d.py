"""GRU-D against its equations, written out feature by feature in NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import expit

import liquidrnn as lr


def written_out(layer, x, spans, mask):
    """Equations 10 to 15 of the paper, for one sequence (time, features)."""
    p = {name: value.detach().numpy() for name, value in layer.recurrences[0].state_dict().items()}
    units, features = layer.hidden_size, layer.input_size
    w_r, w_z, w_h = np.split(p["weight_ih"], 3)
    v_r, v_z, v_h = np.split(p["weight_mh"], 3)
    u_r, u_z, u_h = np.split(p["weight_hh"], 3)
    b_r, b_z, b_h = np.split(p["bias"], 3)
    h, last, since, states = np.zeros(units), p["mean"].copy(), np.zeros(features), []
    for t in range(len(x)):
        delta = since + spans[t]
        read = np.empty(features)
        for d in range(features):
            keep = np.exp(-max(0.0, p["decay_weight"][d] * delta[d] + p["decay_bias"][d]))
            read[d] = x[t, d] if mask[t, d] else keep * last[d] + (1 - keep) * p["mean"][d]
            last[d] = x[t, d] if mask[t, d] else last[d]
        h = h * np.exp(-np.maximum(0, p["state_decay_weight"] @ delta + p["state_decay_bias"]))
        m = mask[t].astype(float)
        r = expit(w_r @ read + v_r @ m + u_r @ h + b_r)
        z = expit(w_z @ read + v_z @ m + u_z @ h + b_z)
        h = (1 - z) * h + z * np.tanh(w_h @ read + v_h @ m + u_h @ (r * h) + b_h)
        since = np.where(mask[t], 0, delta)
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize("mean", [None, torch.tensor([0.5, -1.0, 2.0])])
def test_the_equations(mean):
    generator = torch.Generator().manual_seed(0)
    layer = lr.GRUD(3, 5, mean=mean, batch_first=True, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    x, spans = torch.randn(2, 9, 3, generator=generator).double(), 2 * torch.rand(2, 9, generator=generator).double()
    mask = torch.rand(2, 9, 3, generator=generator) > 0.5
    mask[..., 0] |= ~mask.any(-1)  # an absent sample is no sample, see the test below
    states = layer(x, timespans=spans, mask=mask)[0]
    for row in range(2):
        expected = written_out(layer, x[row].numpy(), spans[row].numpy(), mask[row].numpy())
        np.testing.assert_allclose(states[row].detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_a_missing_feature_depends_only_on_time():
    layer = lr.GRUD(2, 4, batch_first=True)
    x, mask = torch.randn(1, 6, 2), torch.ones(1, 6, 2, dtype=torch.bool)
    mask[0, 2:4, 1] = False
    expected = layer(x, mask=mask)[0]
    x[0, 2:4, 1] = torch.nan
    assert torch.equal(layer(x, mask=mask)[0], expected)
    assert not torch.allclose(layer(x.nan_to_num(), mask=None)[0], expected)
    assert not torch.allclose(layer(x, timespans=3.0, mask=mask)[0][0, 3], expected[0, 3])


def test_ages_of_features_continue_in_the_state():
    layer = lr.GRUD(2, 4, batch_first=True)
    mask = torch.tensor([[[True, True], [True, False], [False, False], [True, False]]])
    _, (_, last, elapsed) = layer(torch.ones(1, 4, 2), timespans=torch.tensor([1.0, 2.0, 4.0, 8.0]), mask=mask)
    assert elapsed.tolist() == [[[0.0, 14.0]]] and last.tolist() == [[[1.0, 1.0]]]


@pytest.mark.parametrize("backend", [None, "reference"])
@pytest.mark.parametrize("units", [3, 4])
@pytest.mark.parametrize("layers, directions", [(1, 1), (3, 1), (2, 2)])
def test_every_parameter_learns(layers, directions, units, backend):
    generator = torch.Generator().manual_seed(0)
    layer = lr.GRUD(
        3, units, layers, bidirectional=directions == 2, batch_first=True, generator=generator, backend=backend
    )
    x = torch.randn(5, 8, 3, generator=generator)
    layer(x, mask=torch.rand(5, 8, 3, generator=generator) > 0.5)[0].square().sum().backward()
    unused = [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused
    assert [recurrence.mean is None for recurrence in layer.recurrences] == [
        n >= directions for n in range(layers * directions)
    ]


def test_unused_parameters_of_earlier_versions_are_dropped_on_loading():
    layer, other = lr.GRUD(3, 3, 2), lr.GRUD(3, 3, 2)
    older = layer.state_dict()
    older |= {f"layers.1.0.{name}": torch.ones(3) for name in ("decay_weight", "decay_bias", "mean")}
    other.load_state_dict(older)
    assert all(torch.equal(tensor, older[name]) for name, tensor in other.state_dict().items())
    del older["layers.0.0.mean"]
    with pytest.raises(RuntimeError, match=r"Missing key.*layers\.0\.0\.mean"):
        other.load_state_dict(older)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"mean must be a Tensor \(3,\)"):
        lr.GRUD(3, 4, mean=torch.zeros(4))


@pytest.mark.parametrize("features", [3, 4])
def test_layers_above_the_first_have_nothing_missing(features):
    layer = lr.GRUD(features, 4, 2, batch_first=True)
    x, mask = torch.randn(2, 6, features), torch.rand(2, 6, features) > 0.4
    below, above = lr.GRUD(features, 4, batch_first=True), lr.GRUD(4, 4, batch_first=True)
    below.recurrences[0].load_state_dict(layer.recurrences[0].state_dict())
    above.recurrences[0].load_state_dict(layer.recurrences[1].state_dict(), strict=False)
    outputs = below(x, mask=mask)[0]
    present = mask.any(-1)
    torch.testing.assert_close(layer(x, mask=mask)[0], above(outputs, mask=present)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_the_means_are_a_copy(dtype):
    mean = torch.tensor([1, 2, 3, 4], dtype=dtype)
    one, other = lr.GRUD(4, 5, mean=mean), lr.GRUD(4, 5, mean=mean, bidirectional=True)
    inputs, mask = torch.randn(9, 1, 4), torch.rand(9, 1, 4) > 0.5
    before = one(inputs, mask=mask)[0]
    other.load_state_dict(lr.GRUD(4, 5, mean=torch.full((4,), 7.0), bidirectional=True).state_dict())
    mean.zero_()
    assert torch.equal(one(inputs, mask=mask)[0], before)
    first, second = (recurrence.mean for recurrence in other.recurrences)
    assert first.data_ptr() != second.data_ptr() and first.dtype == torch.float32
