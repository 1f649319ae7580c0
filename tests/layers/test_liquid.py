"""What is particular to one liquid layer, against SciPy and against the equations written out in NumPy."""

from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import liquidrnn as lr
from liquidrnn.kernels.loop import Inputs


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def arrays(recurrence):
    """Parameters as float64 arrays, matrices where a layer is fully connected."""
    out = {name.replace(".", "_"): p.detach().double().numpy() for name, p in recurrence.named_parameters()}
    for name, value in out.items():
        for prefix, synapses in (("sensory_", recurrence.sensory_synapses), ("", recurrence.synapses)):
            if value.shape == (len(synapses),) and ("sensory" in name) == bool(prefix):
                out[name] = value.reshape(synapses.sources, synapses.neurons)
    return out


def ltc_slope(p, u):
    """Right side of the LTC's equation with the input held."""
    u = u * p["input_map_weight"] + p["input_map_bias"]
    gleak, cm = softplus(p["raw_gleak"]), softplus(p["raw_cm"])

    def slope(_, v):
        s = softplus(p["raw_w"]) * sigmoid(p["synapses_sigma"] * (v[:, None] - p["synapses_mu"]))
        r = softplus(p["raw_sensory_w"]) * sigmoid(
            p["sensory_synapses_sigma"] * (u[:, None] - p["sensory_synapses_mu"])
        )
        current = gleak * (p["vleak"] - v)
        current += (s * (p["erev"] - v)).sum(0) + (r * (p["sensory_erev"] - v)).sum(0)
        return current / cm

    return slope


def test_ltc_solves_its_equation_to_first_order():
    """The fused solver closes in on SciPy's solution as the first power of the step."""
    u = torch.randn(1, 1, 3, dtype=torch.float64)
    errors = []
    for unfolds in (100, 200, 400):
        layer = lr.LTC(3, 6, ode_unfolds=unfolds, batch_first=True, generator=torch.Generator().manual_seed(1)).double()
        p = arrays(layer.recurrences[0])
        exact = scipy.integrate.solve_ivp(ltc_slope(p, u[0, 0].numpy()), (0, 0.7), np.zeros(6), rtol=1e-11, atol=1e-12)
        _, h = layer(u, timespans=0.7)
        errors.append(np.abs(h[0, 0].detach().numpy() - exact.y[:, -1]).max())
    assert errors[0] < 0.01
    assert abs(errors[0] / errors[2] - 4) < 0.5


@settings(max_examples=25)
@given(span=st.floats(0, 1e4), scale=st.floats(0, 1e6), unfolds=st.integers(1, 6), seed=st.integers(0, 2**31 - 1))
def test_ltc_states_stay_between_leak_and_reversal_potentials(span, scale, unfolds, seed):
    g = torch.Generator().manual_seed(seed)
    layer = lr.LTC(4, 5, ode_unfolds=unfolds, batch_first=True, generator=g)
    recurrence = layer.recurrences[0]
    ends = torch.cat([recurrence.vleak, recurrence.erev, recurrence.sensory_erev, torch.zeros(1)])
    x = scale * torch.randn(2, 30, 4, generator=g)
    _, _, trace = layer(x, timespans=span, return_trace=True)
    assert trace["state"].min() >= ends.min() - 1e-5 and trace["state"].max() <= ends.max() + 1e-5


def test_ltc_time_constant_is_bounded_by_its_leak():
    """Theorem 1 of the paper, in synapse form: cm / (gleak + sum w) <= tau <= cm / gleak."""
    layer = lr.LTC(4, 6, batch_first=True).double()
    p = arrays(layer.recurrences[0])
    cm, gleak = softplus(p["raw_cm"]), softplus(p["raw_gleak"])
    total = gleak + softplus(p["raw_w"]).sum(0) + softplus(p["raw_sensory_w"]).sum(0)
    _, _, trace = layer(3 * torch.randn(5, 20, 4, dtype=torch.float64), return_trace=True)
    tau = trace["tau"].detach().numpy()
    assert (tau >= cm / total * (1 - 1e-6)).all() and (tau <= cm / gleak * (1 + 1e-6)).all()


def test_ltc_starts_in_the_published_ranges():
    recurrence = lr.LTC(20, 50).recurrences[0]
    p = arrays(recurrence)
    for name, low, high in (
        ("raw_gleak", 0.001, 1), ("raw_cm", 0.4, 0.6), ("raw_w", 0.001, 1), ("raw_sensory_w", 0.001, 1)
    ):  # fmt: skip
        values = softplus(p[name])
        assert low - 1e-6 <= values.min() and values.max() <= high + 1e-6
        assert abs(values.mean() - (low + high) / 2) < 0.2 * (high - low)
    assert 3 <= p["synapses_sigma"].min() and p["synapses_sigma"].max() <= 8
    assert set(np.unique(p["erev"])) == {-1, 1}


@pytest.mark.parametrize("inputs, units", [(1, 32), (7, 32), (17, 64)])
def test_parameter_counts_are_the_published_ones(inputs, units):
    """field tables: LTC 4N(N+M) + 3N + 2M + 2N; LRC asymmetric 5N(N+M) + 5N + 2M; CfC with a backbone of 128."""

    def count(layer):
        return sum(p.numel() for p in layer.parameters())

    pairs = units * (units + inputs)
    assert count(lr.LTC(inputs, units)) == 4 * pairs + 5 * units + 2 * inputs
    assert count(lr.LRC(inputs, units, elastance="asymmetric")) == 5 * pairs + 5 * units + 2 * inputs
    assert count(lr.LRC(inputs, units)) == 5 * pairs + 6 * units + 2 * inputs
    assert count(lr.CfC(inputs, units)) == (inputs + units) * 128 + 128 + 4 * (128 * units + units)
    assert count(lr.CfC(inputs, units, backbone_layers=0)) == 4 * pairs + 4 * units


def lrc_step(p, u, h, dt, elastance, solver):
    u = u * p["input_map_weight"] + p["input_map_bias"]
    s = sigmoid(p["synapses_sigma"] * (h[:, None] - p["synapses_mu"]))
    r = sigmoid(p["sensory_synapses_sigma"] * (u[:, None] - p["sensory_synapses_mu"]))
    gleak = softplus(p["raw_gleak"])
    f = gleak + (softplus(p["raw_w"]) * s).sum(0) + (softplus(p["raw_sensory_w"]) * r).sum(0)
    g = gleak + (p["k"] * s).sum(0) + (p["sensory_k"] * r).sum(0)
    eps = 1.0
    if elastance:
        o = h @ p["o"] + u @ p["sensory_o"] + p["elastance_bias"]
        kappa = softplus(p["raw_kappa"]) if elastance == "symmetric" else None
        eps = sigmoid(o) if kappa is None else sigmoid(o + kappa) - sigmoid(o - kappa)
    drive = p["vleak"] * np.tanh(g)
    if solver == "hybrid":
        return (h + dt * eps * drive) / (1 + dt * eps * sigmoid(f))
    return h + np.minimum(dt * eps, 1) * (drive - sigmoid(f) * h)


@pytest.mark.parametrize("solver", ["hybrid", "explicit"])
@pytest.mark.parametrize("elastance", [None, "symmetric", "asymmetric"])
def test_lrc_and_stc_are_their_equations(elastance, solver):
    options = {"solver": solver, "batch_first": True}
    layer = (lr.LRC(3, 6, elastance=elastance, **options) if elastance else lr.STC(3, 6, **options)).double()
    p = arrays(layer.recurrences[0])
    x, spans = torch.randn(1, 5, 3, dtype=torch.float64), 3 * torch.rand(1, 5, dtype=torch.float64)
    h = np.zeros(6)
    for u, dt in zip(x[0].numpy(), spans[0].numpy(), strict=True):
        h = lrc_step(p, u, h, dt, elastance, solver)
    np.testing.assert_allclose(layer(x, timespans=spans)[1][0, 0].detach().numpy(), h, rtol=1e-10, atol=1e-12)


def test_lrcu_is_one_explicit_step_of_lrc():
    a = lr.LRCU(3, 6, batch_first=True, generator=torch.Generator().manual_seed(1))
    b = lr.LRC(3, 6, solver="explicit", batch_first=True, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 5, 3)
    assert torch.equal(a(x)[0], b(x)[0])


@settings(max_examples=25)
@given(
    span=st.floats(0, 1e4),
    scale=st.floats(0, 1e6),
    seed=st.integers(0, 2**31 - 1),
    solver=st.sampled_from(["hybrid", "explicit"]),
)
def test_lrc_states_are_bounded_by_twice_the_leak_potential(span, scale, seed, solver):
    g = torch.Generator().manual_seed(seed)
    layer = lr.LRC(4, 5, solver=solver, batch_first=True, generator=g)
    _, _, trace = layer(scale * torch.randn(2, 30, 4, generator=g), timespans=span, return_trace=True)
    assert (trace["state"].abs() <= 2 * layer.recurrences[0].vleak.abs() + 1e-6).all()


def test_ctrnn_solves_its_equation():
    layer = lr.CTRNN(3, 6, solver="rk4", ode_unfolds=20, batch_first=True).double()
    r = layer.recurrences[0]
    w, v, b = (p.detach().numpy() for p in (r.weight_ih, r.weight_hh, r.bias))
    u = torch.randn(1, 1, 3, dtype=torch.float64)
    exact = scipy.integrate.solve_ivp(
        lambda _, x: np.tanh(w @ u[0, 0].numpy() + v @ x + b) - x, (0, 1.3), np.zeros(6), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(layer(u, timespans=1.3)[1][0, 0].detach().numpy(), exact.y[:, -1], rtol=1e-5, atol=1e-6)


def test_wired_cfc_uses_exactly_the_recurrent_command_synapses():
    wiring = lr.wirings.NCP(4, 3, 2, 2, 2, 2, 2).build(3, seed=5)
    layer = lr.CfC(3, wiring, batch_first=True).double()
    recurrence = layer.recurrences[0]
    x = torch.randn(1, 3, dtype=torch.float64)
    h = torch.randn(1, wiring.units, dtype=torch.float64)

    def advance(h, x):
        return recurrence.update(recurrence.coefficients(), Inputs(x, torch.ones_like(x[:, :1])), (h,))[0]

    from_state, from_input = torch.autograd.functional.jacobian(advance, (h, x))
    from_state, from_input = from_state[0, :, 0].T.numpy() != 0, from_input[0, :, 0].T.numpy() != 0
    # Paths within one sample: old states reach a neuron directly, new ones through the layers before it.
    place = {neuron: i for i, layer_ in enumerate(wiring.layers) for neuron in layer_}
    exists = wiring.adjacency != 0
    old = np.eye(wiring.units, dtype=bool)
    later = np.zeros_like(old)
    for pre, post in zip(*np.nonzero(exists), strict=True):
        (later if place[pre] < place[post] else old)[pre, post] = True
    reach = np.linalg.inv(np.eye(wiring.units) - later) != 0
    np.testing.assert_array_equal(from_state, (old.astype(int) @ reach.astype(int)) > 0)
    np.testing.assert_array_equal(from_input, ((wiring.sensory_adjacency != 0).astype(int) @ reach.astype(int)) > 0)


def test_cfc_starts_where_its_documentation_says():
    recurrence = lr.CfC(3, 6, mode="pure").recurrences[0]
    assert torch.equal(recurrence.A, torch.ones(6)) and torch.equal(recurrence.w_tau, torch.full((6,), 0.01))


def test_cfc_is_a_gate_and_not_a_flow():
    """Documented: two half steps are not one whole, by far more than a solver's error."""
    layer = lr.CfC(4, 16, batch_first=True)
    x = torch.randn(8, 1, 4)
    _, h = layer(torch.randn(8, 5, 4))
    whole = layer(x, h, timespans=1.0)[1]
    half = layer(x.expand(-1, 2, -1), h, timespans=0.5)[1]
    assert (whole - half).abs().max() > 0.05


def test_a_clamped_network_trains_at_zero_spans_and_revives_its_synapses():
    torch.manual_seed(1)
    layer = lr.LTC(5, 12, constraint="clamp", output_size=1, batch_first=True)
    optimiser = torch.optim.Adam(layer.parameters(), 0.1)
    x, spans = torch.randn(8, 20, 5), 2 * torch.rand(8, 20)
    spans[:, ::4] = 0
    for _ in range(40):
        loss = (layer(x, timespans=spans)[0] - x[..., :1].cumsum(1)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert all(p.grad.isfinite().all() for p in layer.parameters())
    recurrence = layer.recurrences[0]
    assert recurrence.raw_cm.min() < 0 or recurrence.raw_w.min() < 0
    recurrence.raw_w.data.fill_(-1e-3)
    assert recurrence.w.abs().max() == 0
    layer.zero_grad()
    layer(x, timespans=spans)[0].sum().backward()
    assert recurrence.raw_w.grad.abs().max() > 0


def test_symmetric_elastance_is_even_and_never_cancels_to_zero():
    layer = lr.LRC(1, 1, batch_first=True, input_mapping=None)
    recurrence = layer.recurrences[0]
    with torch.no_grad():
        recurrence.o.zero_()
        recurrence.sensory_o.fill_(1.0)
    x = torch.tensor([-18.0, 18.0, -2.0, 2.0]).view(4, 1, 1)
    elastance = layer(x, return_trace=True)[2]["elastance"].flatten()
    assert elastance[0] == elastance[1] > 0 and elastance[2] == elastance[3] > elastance[0]
    exact = sigmoid(np.float64(19)) - sigmoid(np.float64(17))
    assert abs(elastance[1].item() / exact - 1) < 1e-3


def test_traces_belong_to_their_run_even_with_dropout():
    layer = lr.CfC(4, 8, backbone_dropout=0.5, batch_first=True)
    output, _, trace = layer(torch.randn(2, 5, 4), return_trace=True)
    assert torch.equal(output, trace["state"])


def test_a_saturated_gate_has_an_infinite_time_constant():
    layer = lr.LSTM(4, 6, batch_first=True)
    with torch.no_grad():
        layer.recurrences[0].rnn.bias_ih_l0[6:12] = 500.0
    tau = layer(torch.zeros(1, 1, 4), return_trace=True)[2]["tau"]
    assert (tau > 1e9).all()


@pytest.mark.parametrize("kind", [lr.LTC, lr.CfC, lr.LRCU])
def test_loading_a_state_dict_loads_the_wiring(kind):
    def make(seed):
        recipe = lr.wirings.Random(8, outputs=3, sparsity=0.5)
        return kind(4, recipe, batch_first=True, generator=torch.Generator().manual_seed(seed))

    a, b = make(1), make(2)
    assert a.wiring != b.wiring
    if len(a.recurrences[0].synapses) != len(b.recurrences[0].synapses):
        # A CfC's own states may or may not be among the drawn synapses.
        with pytest.raises(RuntimeError, match="the saved wiring has"):
            b.load_state_dict(a.state_dict())
        return
    b.load_state_dict(a.state_dict())
    assert a.wiring == b.wiring
    x = torch.randn(2, 5, 4)
    assert torch.equal(b.lesioned(b.wiring)(x)[0], a(x)[0])


@pytest.mark.parametrize(
    "layer",
    [
        lr.LTC(4, 6),
        lr.LTC(4, lr.wirings.AutoNCP(12, 2)),
        lr.CfC(4, lr.wirings.AutoNCP(12, 2)),
        lr.LRCU(4, 6),
        lr.CTRNN(4, 6),
        lr.ODERNN(4, 6),
    ],
)
def test_time_spans_can_be_mapped_and_compiled(layer):
    torch._dynamo.reset()
    x, spans = torch.randn(5, 2, 4), torch.rand(3, 5, 2)
    mapped = torch.func.vmap(lambda s: layer(x, timespans=s)[0])(spans)
    for row, s in zip(mapped, spans, strict=True):
        torch.testing.assert_close(row, layer(x, timespans=s)[0])
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, timespans=spans[0])[0], layer(x, timespans=spans[0])[0])


@pytest.mark.parametrize("solver", ["explicit", "hybrid"])
@pytest.mark.parametrize("elastance", ["symmetric", "asymmetric", "interp"])
def test_lrc_and_stc_are_the_authors_cell(elastance, solver):
    """lrc_reference.py says how the numbers were made; the authors' "interp" is an STC."""
    with np.load(Path(__file__).with_name("lrc_reference.npz")) as kept:
        case = {
            name.split("/")[2]: torch.from_numpy(kept[name])
            for name in kept
            if name.startswith(f"{elastance}/{solver}/")
        }
    options = {"solver": solver, "batch_first": True}
    layer = lr.STC(3, 5, **options) if elastance == "interp" else lr.LRC(3, 5, elastance=elastance, **options)
    r = layer.recurrences[0]

    def raw(value):
        return torch.log(torch.expm1(value.double())).float()

    with torch.no_grad():
        r.raw_gleak.copy_(raw(case["gleak"]))
        r.vleak.copy_(case["vleak"])
        for prefix, synapses in (("", r.synapses), ("sensory_", r.sensory_synapses)):
            synapses.sigma.copy_(case[f"{prefix}sigma"].flatten())
            synapses.mu.copy_(case[f"{prefix}mu"].flatten())
            getattr(r, f"raw_{prefix}w").copy_(raw(case[f"{prefix}w"].flatten()))
            getattr(r, f"{prefix}k").copy_(case[f"{prefix}h"].flatten())
        if elastance != "interp":
            r.sensory_o.copy_(case["kernel"][:3].flatten())
            r.o.copy_(case["kernel"][3:].flatten())
            r.elastance_bias.copy_(case["bias"])
        if elastance == "symmetric":
            r.raw_kappa.copy_(raw(case["distr_shift"]))
        for side in ("input", "output"):
            getattr(r, f"{side}_map").weight.copy_(case[f"{side}_w"])
            getattr(r, f"{side}_map").bias.copy_(case[f"{side}_b"])
    output, _, trace = layer(case["x"], timespans=case["spans"], return_trace=True)
    torch.testing.assert_close(trace["state"], case["states"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output, case["outputs"], rtol=1e-5, atol=1e-6)
