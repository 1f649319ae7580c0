"""Networks without the part that is in question: what they lack, and what they keep."""

import pytest
import torch
from scipy.special import expit
from torch import nn

import liquidrnn as lr

compiled = pytest.mark.skipif("cannot" in lr.backends()["cpu"], reason="the compiled module is not here")
BACKENDS = ["reference", pytest.param("cpu", marks=compiled)]
NCP = lr.wirings.AutoNCP(12, outputs=3)


def data(time=6):
    g = torch.Generator().manual_seed(1)
    return torch.randn(3, time, 4, generator=g).double(), 2 * torch.rand(3, time, generator=g).double()


def pair(kind, hidden, **arguments):
    """A control and the layer it belongs to, with the same parameters where both have them."""
    make = {"batch_first": True, "dtype": torch.float64}
    control = kind(4, hidden, generator=torch.Generator().manual_seed(0), **make, **arguments)
    layer = kind(4, hidden, generator=torch.Generator().manual_seed(0), **make)
    return control, layer


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("hidden", [5, NCP])
def test_an_ltc_with_a_fixed_time_constant_by_its_equation(hidden, backend):
    control, layer = pair(lr.LTC, hidden, time_constant="fixed", backend=backend)
    control.load_state_dict(layer.state_dict())
    recurrence = control.recurrences[0]
    p = {name: value.detach().numpy() for name, value in recurrence.state_dict().items()}
    w, sensory_w = recurrence.w.detach().numpy(), recurrence.sensory_w.detach().numpy()
    g, c = (nn.functional.softplus(getattr(recurrence, name)).detach().numpy() for name in ("raw_gleak", "raw_cm"))
    (x, spans), states = data(), []
    for u, some in zip(x.numpy(), spans.numpy(), strict=True):
        v = 0 * c
        for sample, span in zip(u, some, strict=True):
            for _ in range(6):
                drive, total = g * p["vleak"], g + 1e-8
                for prefix, of, source in (("", w, v), ("sensory_", sensory_w, sample)):
                    name = f"{prefix}synapses"
                    y = source[p[f"{name}.pre"]]
                    s = expit(p[f"{name}.sigma"] * (y - p[f"{name}.mu"]))
                    for synapse, neuron in enumerate(p[f"{name}.post"]):
                        drive[neuron] += of[synapse] * s[synapse] * p[f"{prefix}erev"][synapse]
                        total[neuron] += of[synapse] / 2
                v = (c * v + span / 6 * drive) / (c + span / 6 * total)
        states.append(torch.tensor(v))
    _, h, trace = control(x, timespans=spans, return_trace=True)
    torch.testing.assert_close(h[0], torch.stack(states), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(trace["tau"][0, 0], torch.tensor(c / total), rtol=1e-10, atol=0)
    assert (trace["tau"] == trace["tau"][0, 0]).all(), "whatever the inputs"
    liquid = layer(x, timespans=spans, return_trace=True)[2]["tau"]
    assert liquid.std((0, 1)).min() > 0


def test_where_all_synapses_are_half_open_both_ltcs_are_the_same():
    control, layer = pair(lr.LTC, 5, time_constant="fixed")
    with torch.no_grad():
        for synapses in (layer.recurrences[0].synapses, layer.recurrences[0].sensory_synapses):
            synapses.sigma.zero_()
    control.load_state_dict(layer.state_dict())
    x, spans = data()
    torch.testing.assert_close(control(x, timespans=spans)[0], layer(x, timespans=spans)[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("solver", ["hybrid", "explicit"])
def test_a_constant_elastance_is_an_stc_over_a_learned_share_of_the_time(solver, backend):
    control = lr.LRC(4, 5, elastance="constant", solver=solver, batch_first=True, dtype=torch.float64, backend=backend)
    stc = lr.STC(4, 5, solver=solver, batch_first=True, dtype=torch.float64, backend=backend)
    shared = {name: value for name, value in control.state_dict().items() if "elastance" not in name}
    stc.load_state_dict(shared)
    assert sum(p.numel() for p in control.parameters()) == sum(p.numel() for p in stc.parameters()) + 5
    x, spans = data()
    assert (control(x, return_trace=True)[2]["elastance"] == 0.5).all(), "where an asymmetric one starts"
    with torch.no_grad():
        control.recurrences[0].elastance_bias.fill_(-1.0)
    share = torch.sigmoid(torch.tensor(-1.0)).item()
    spans = spans / 2
    torch.testing.assert_close(control(x, timespans=spans)[0], stc(x, timespans=share * spans)[0], rtol=1e-6, atol=1e-7)
    control(x, timespans=spans)[0].sum().backward()
    assert control.recurrences[0].elastance_bias.grad.abs().min() > 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
def test_a_cfc_whose_gate_sees_no_time(mode, backend):
    make = {"mode": mode, "backbone_units": 6, "batch_first": True, "dtype": torch.float64, "backend": backend}
    x, spans = data()
    plain, wider = lr.CfC(4, 5, **make), lr.CfC(5, 5, **make)
    blind, reading = lr.CfC(4, 5, time="ignore", **make), lr.CfC(4, 5, time="append", **make)
    blind.load_state_dict(plain.state_dict())
    reading.load_state_dict(wider.state_dict())
    expected = plain(x, timespans=1.0)
    torch.testing.assert_close(blind(x, timespans=spans)[0], expected[0], rtol=0, atol=0)
    joined = torch.cat([x, spans[..., None]], -1)
    torch.testing.assert_close(reading(x, timespans=spans)[0], wider(joined, timespans=1.0)[0], rtol=0, atol=0)
    mine, theirs = reading(x, timespans=spans, return_trace=True)[2], wider(joined, return_trace=True)[2]
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("time", ["append", "ignore"])
def test_streams_and_hooked_modules_of_such_a_cfc(time):
    layer = lr.CfC(4, 5, time=time, dtype=torch.float64)
    x, spans = data()
    whole = layer(x.transpose(0, 1), timespans=spans.T)[0]
    stream = lr.Stream(layer, batch=3)
    for t in range(6):
        assert torch.equal(stream(x[:, t], timespan=spans[:, t]), whole[t])
    layer.recurrences[0].heads.register_forward_hook(lambda *_: None)
    torch.testing.assert_close(layer(x.transpose(0, 1), timespans=spans.T)[0], whole, rtol=1e-10, atol=1e-12)


def test_a_cfc_with_a_wiring_or_a_memory_has_its_time_in_the_gate():
    with pytest.raises(ValueError, match="time must be 'gate' with a wiring, but got 'append'"):
        lr.CfC(4, NCP, time="append")
    with pytest.raises(ValueError, match="time must be 'gate' with mixed_memory, but got 'ignore'"):
        lr.CfC(4, 5, time="ignore", mixed_memory=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stack_is_torchs_lstms_on_top_of_one_another(backend):
    layer = lr.StackedLSTM(4, NCP, batch_first=True, dtype=torch.float64, backend=backend)
    widths = (NCP.ncp.inter, NCP.ncp.command, NCP.ncp.motor)
    x, _ = data()
    h = torch.randn(2, 1, 3, 12, dtype=torch.float64)
    output, (h_n, c_n) = layer(x, tuple(h))
    below, ends = x, []
    starts = zip(*(part.split(widths, -1) for part in h), strict=True)
    for cell, width, start in zip(layer.recurrences[0].cells, widths, starts, strict=True):
        lstm = nn.LSTM(below.shape[-1], width, batch_first=True, dtype=torch.float64)
        lstm.load_state_dict({f"{name}_l0": value for name, value in cell.named_parameters()})
        below, end = lstm(below, tuple(part.contiguous() for part in start))
        ends.append(end)
    torch.testing.assert_close(output, below, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(h_n, torch.cat([h for h, _ in ends], -1), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(c_n, torch.cat([c for _, c in ends], -1), rtol=1e-10, atol=1e-12)
    assert output.shape[-1] == 3 and layer.hidden_size == 12


def test_the_span_is_read_by_each_lstm_of_a_stack():
    appended = lr.StackedLSTM(4, (5, 3), time="append")
    assert [cell.weight_ih.shape[1] for cell in appended.recurrences[0].cells] == [5, 6]
    with pytest.raises(ValueError, match="this StackedLSTM does not use timespans"):
        lr.StackedLSTM(4, (5, 3))(torch.zeros(2, 1, 4), timespans=1.0)


def test_what_a_stack_refuses():
    for given in (8, "ncp", (), lr.wirings.Random(8)):
        with pytest.raises(TypeError, match="hidden_size must be widths, such as"):
            lr.StackedLSTM(4, given)
    with pytest.raises(ValueError, match=r"hidden_size\[1\] must be at least 1, but got 0"):
        lr.StackedLSTM(4, (5, 0))
