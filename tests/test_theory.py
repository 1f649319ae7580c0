"""Measurements of theory, against SciPy, torchdiffeq, finite differences and systems whose numbers are known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torchdiffeq import odeint

import liquidrnn as lr
from liquidrnn import theory
from liquidrnn.recurrent import Recurrence, RecurrentLayer

DOUBLE = {"batch_first": True, "dtype": torch.float64}


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Map(Recurrence):
    """A map of the state that reads no input."""

    def __init__(self, size: int, step):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size, self.state_sizes = 1, size, size, (size,)
        self.num_synapses, self.map = 0, step

    def update(self, coefficients, inputs, state):
        return (self.map(state[0], inputs.timespans),)


def mapped(size: int, step) -> RecurrentLayer:
    return RecurrentLayer(lambda _: Map(size, step), 1, batch_first=True)


def exact_decay(x, spans):
    """Towards 0.3 at rate 2: the flow of an equation."""
    return 0.3 + (x - 0.3) * torch.exp(-2 * spans)


def spectrum(step, size: int, start, samples: int, discard: int, timespan: float = 1.0) -> np.ndarray:
    hx = torch.as_tensor(start, dtype=torch.float32).reshape(1, -1, size)
    layer = mapped(size, step)
    # A state in double precision, since chaos loses a digit every few samples.
    layer.register_buffer("kind", torch.zeros(1, dtype=torch.float64))
    zeros = torch.zeros(hx.shape[1], samples, 1, dtype=torch.float64)
    jacobians = theory.jacobians(layer, zeros, hx.double(), timespan)
    return theory.lyapunov_exponents(jacobians, timespan, discard=discard).mean(0).numpy()


# Bounds


def wild(kind, scale: float, seed: int, **options) -> RecurrentLayer:
    """A layer with parameters far from where they start."""
    g = generator(seed)
    layer = kind(3, 5, generator=g, batch_first=True, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=g))
    return layer


@pytest.mark.parametrize("kind", [lr.LTC, lr.STC, lr.LRC, lr.LRCU])
@given(
    scale=st.floats(0.1, 20),
    size=st.floats(0, 1e3),
    span=st.floats(-6, 6).map(lambda e: 10**e),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_no_state_and_no_time_constant_leaves_its_bounds(kind, scale, size, span, seed):
    layer = wild(kind, scale, seed)
    hx = 3 * torch.randn(1, 2, 5, generator=generator(seed))
    x = size * torch.randn(2, 12, 3, generator=generator(seed + 1))
    _, _, trace = layer(x, hx, timespans=span, return_trace=True)
    for name, (low, high) in {
        "state": theory.state_bounds(layer, hx),
        "tau": theory.time_constant_bounds(layer),
    }.items():
        rounding = 1e-5 * torch.maximum(high, -low).clamp(min=1e-6)
        assert (trace[name] >= low - rounding).all() and (trace[name] <= high + rounding).all(), name


def test_bounds_of_states_hold_over_ten_thousand_samples_and_are_reached():
    layer = wild(lr.LTC, 1.0, 1)
    x = 5 * torch.randn(1, 10_000, 3, generator=generator())
    states = layer(x, timespans=10.0 ** torch.linspace(-3, 3, 10_000), return_trace=True)[2]["state"]
    low, high = theory.state_bounds(layer)
    assert (states >= low - 1e-5).all() and (states <= high + 1e-5).all()
    # One synapse that is wide open alone sets the state: then its reversal potential is reached.
    driven = lr.LTC(1, 1, generator=generator(), batch_first=True)
    r = driven.recurrences[0]
    with torch.no_grad():
        r.raw_w.fill_(-50)
        r.raw_gleak.fill_(-50)
        r.raw_sensory_w.fill_(5)
    end = driven(torch.full((1, 1, 1), 9.0), timespans=1e4, return_trace=True)[2]["state"].flatten()
    torch.testing.assert_close(end, r.sensory_erev)
    assert end.item() in [float(bound) for bound in theory.state_bounds(driven)]


@torch.no_grad()
def test_bounds_of_ltc_are_those_of_its_synapses():
    """Computed from the parameters by loops over synapses."""
    layer = lr.LTC(3, lr.wirings.AutoNCP(8, outputs=2), generator=generator())
    r = layer.recurrences[0]
    low, high, slow, fast = [], [], [], []
    for i in range(8):
        ends, total = [0.0, float(r.vleak[i])], 0.0
        for synapses, erev, w in ((r.synapses, r.erev, r.w), (r.sensory_synapses, r.sensory_erev, r.sensory_w)):
            for s in range(len(synapses)):
                if int(synapses.post[s]) == i:
                    ends.append(float(erev[s]))
                    total += float(w[s])
        cm, gleak = (float(torch.nn.functional.softplus(p[i])) for p in (r.raw_cm, r.raw_gleak))
        low, high = [*low, min(ends)], [*high, max(ends)]
        slow, fast = [*slow, cm / gleak], [*fast, cm / (gleak + total)]
    torch.testing.assert_close(tuple(theory.state_bounds(layer)), (torch.tensor(low), torch.tensor(high)))
    torch.testing.assert_close(tuple(theory.time_constant_bounds(layer)), (torch.tensor(fast), torch.tensor(slow)))


def test_without_constraint_states_leave_the_interval():
    """What the authors' package allows where nobody calls its clipping: negative conductances."""
    layer = lr.LTC(3, 8, constraint=None, batch_first=True, generator=generator())
    low, high = theory.state_bounds(layer)
    with torch.no_grad():
        layer.recurrences[0].raw_w.neg_()
    x = torch.randn(4, 100, 3, generator=generator())
    states = layer(x, return_trace=True)[2]["state"]
    assert (states < low - 1).any() or (states > high + 1).any()
    with pytest.raises(ValueError, match="w must not be negative for the bound to hold, but its least is -0.99"):
        theory.state_bounds(layer)


@pytest.mark.parametrize(
    "kind, options",
    [
        (lr.CTRNN, {}),
        (lr.CfC, {}),
        (lr.CfC, {"mode": "no_gate"}),
        (lr.CfC, {"mode": "pure"}),
        (lr.LSTM, {}),
        (lr.GRU, {"bidirectional": True}),
        (lr.RNN, {"num_layers": 2}),
        (lr.GRUD, {}),
        (lr.LTC, {"mixed_memory": True}),
    ],
)
def test_bounds_of_other_layers(kind, options):
    layer = kind(3, 5, batch_first=True, generator=generator(), **options)
    x = 100 * torch.randn(4, 50, 3, generator=generator())
    states = layer(x, return_trace=True)[2]["state"]
    low, high = theory.state_bounds(layer)
    assert (states[..., : len(low)] >= low - 1e-6).all() and (states[..., : len(low)] <= high + 1e-6).all()
    assert states[..., : len(low)].abs().max() > 0.2 * high.max()


# The equation and its solvers


def ltc_slope(layer: lr.LTC, u: np.ndarray):
    """The right side of equation 1 in NumPy, from dense matrices."""
    r = layer.recurrences[0]
    n = r.hidden_size
    parts = []
    for synapses, w, erev in ((r.synapses, r.w, r.erev), (r.sensory_synapses, r.sensory_w, r.sensory_erev)):
        matrix = np.zeros((4, synapses.sources, n))
        for row, values in enumerate((w, synapses.sigma, synapses.mu, erev)):
            matrix[row, synapses.pre.numpy(), synapses.post.numpy()] = values.detach().numpy()
        parts.append(matrix)
    cm, gleak = (np.log1p(np.exp(p.detach().numpy())) for p in (r.raw_cm, r.raw_gleak))
    vleak = r.vleak.detach().numpy()

    def slope(_, x):
        current = gleak * (vleak - x)
        for (w, sigma, mu, erev), y in zip(parts, (x, u), strict=True):
            current += (w / (1 + np.exp(-sigma * (y[:, None] - mu))) * (erev - x)).sum(0)
        return current / cm

    return slope


def test_velocity_and_exact_solution_of_ltc_are_scipys():
    layer = lr.LTC(3, 6, generator=generator(), **DOUBLE)
    x, hx = torch.randn(2, 3, generator=generator()).double(), torch.rand(1, 2, 6, generator=generator()).double()
    velocity, end = theory.velocity(layer, x, hx), theory.held(layer, x, hx, 0.8, steps=60, method="rk4")
    for row in range(2):
        slope = ltc_slope(layer, x[row].numpy())
        np.testing.assert_allclose(velocity[row], slope(0, hx[0, row].numpy()), rtol=1e-6)
        solution = solve_ivp(slope, (0, 0.8), hx[0, row].numpy(), method="DOP853", rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(end[row], solution.y[:, -1], atol=1e-7)


def test_velocity_and_exact_solution_of_a_ctrnn_are_torchdiffeqs():
    layer = lr.CTRNN(3, 6, generator=generator(), **DOUBLE)
    r = layer.recurrences[0]
    x, hx = torch.randn(2, 3).double(), torch.randn(1, 2, 6).double()

    def slope(_, h):
        return torch.tanh(x @ r.weight_ih.T + r.bias + h @ r.weight_hh.T) - h / torch.nn.functional.softplus(r.raw_tau)

    with torch.no_grad():
        exact = odeint(slope, hx[0], torch.tensor([0.0, 2.0]), method="dopri5", rtol=1e-10, atol=1e-12)[-1]
        torch.testing.assert_close(theory.velocity(layer, x, hx), slope(0, hx[0]), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(theory.held(layer, x, hx, 2.0, steps=50, method="rk4"), exact, rtol=0, atol=1e-6)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "kind, method, order",
    [(lr.LTC, "layer", 1), (lr.LTC, "euler", 1), (lr.LTC, "heun", 2), (lr.LTC, "rk4", 4), (lr.LRC, "layer", 1)],
)
def test_order_of_solvers(kind, method, order):
    layer = kind(3, 6, ode_unfolds=1, generator=generator(), **DOUBLE)
    x, span = torch.randn(3, 3, generator=generator()).double(), 0.5 if kind is lr.LTC else 8.0
    few, many = theory.solver_error(layer, x, timespan=span, steps=(20, 40), method=method, accurate=80).mean(1)
    assert math.log2(few / many) == pytest.approx(order, abs=0.25)


def test_explicit_methods_diverge_where_the_fused_step_does_not():
    layer = lr.LTC(7, 16, ode_unfolds=1, generator=generator(), **DOUBLE)
    x = torch.randn(2, 7, generator=generator()).double()
    fused, euler = (theory.solver_error(layer, x, steps=1, method=m, accurate=24) for m in ("layer", "euler"))
    assert (fused < 0.5).all() and (euler > 1).all()


def test_a_layer_without_equation_has_no_velocity():
    layer = lr.CfC(3, 6)
    with pytest.raises(ValueError, match="a zero time span changes the state of this CfC by up to"):
        theory.velocity(layer, torch.randn(2, 3))


# Flows


@given(span=st.floats(-3, 2).map(lambda e: 10**e))
@settings(max_examples=20)
def test_an_exact_decay_is_a_flow(span):
    gaps = theory.flow_gaps(mapped(4, exact_decay), torch.zeros(3, 1), torch.randn(1, 3, 4), span)
    assert gaps.semigroup < 1e-6 and gaps.identity < 1e-6 and gaps.movement > 0


def test_gaps_of_layers():
    x, hx = torch.randn(8, 3, generator=generator()), torch.rand(1, 8, 6, generator=generator()) - 0.5
    ltc, cfc = (kind(3, 6, generator=generator()) for kind in (lr.LTC, lr.CfC))
    solved, closed = theory.flow_gaps(ltc, x, hx), theory.flow_gaps(cfc, x, hx)
    assert solved.identity == 0 and solved.semigroup < 0.2 * solved.movement
    assert closed.identity > 0.5 * closed.movement and closed.semigroup > 0.2 * closed.movement
    two = cfc.step(x, cfc.step(x, hx, 0.5)[1], 0.5)[1]
    assert closed.semigroup == pytest.approx((two - cfc.step(x, hx, 1.0)[1]).square().mean().sqrt().item())


# Jacobians


LAYERS = [
    (lr.LTC, {}),
    (lr.CfC, {"num_layers": 2}),
    (lr.LSTM, {"time": "decay", "num_layers": 2}),
    (lr.GRU, {"time": "append"}),
    (lr.LRCU, {"mixed_memory": True}),
    (lr.ODERNN, {}),
]


@pytest.mark.parametrize("kind, options", LAYERS)
@pytest.mark.parametrize("batch_first", [True, False])
def test_jacobians_are_finite_differences_of_whole_sequences(kind, options, batch_first):
    layer = kind(3, 4, generator=generator(), batch_first=batch_first, dtype=torch.float64, **options)
    x, spans = torch.randn(2, 5, 3).double(), torch.rand(2, 5).double()
    if not batch_first:
        x, spans = x.transpose(0, 1), spans.T
    sizes = layer.recurrences[0].state_sizes
    hx = tuple(torch.rand(layer.num_layers, 2, size).double() for size in sizes)
    jacobians = theory.jacobians(layer, x, hx if len(hx) > 1 else hx[0], spans)
    chain = torch.eye(jacobians.shape[-1]).double().expand(2, -1, -1)
    for jacobian in jacobians.unbind(1):
        chain = jacobian @ chain

    def end(hx):
        state = layer(x, hx if len(hx) > 1 else hx[0], timespans=spans)[1]
        parts = (state,) if isinstance(state, torch.Tensor) else state
        return torch.cat([part[row] for row in range(layer.num_layers) for part in parts], -1)

    column, shift = 0, 1e-6
    for row in range(layer.num_layers):
        for part, size in enumerate(sizes):
            for unit in range(size):
                moved = [[p.clone() for p in hx] for _ in range(2)]
                moved[0][part][row, :, unit] += shift
                moved[1][part][row, :, unit] -= shift
                with torch.no_grad():
                    slope = (end(tuple(moved[0])) - end(tuple(moved[1]))) / (2 * shift)
                torch.testing.assert_close(chain[:, :, column], slope, rtol=1e-5, atol=1e-8)
                column += 1


def test_gradient_norms_are_autograds_and_do_not_underflow():
    layer = lr.GRU(3, 6, generator=generator(), batch_first=True)
    x = torch.randn(1, 9, 3)
    hx = torch.zeros(1, 1, 6, requires_grad=True)
    end = layer(x, hx)[1].flatten()
    whole = torch.stack([torch.autograd.grad(unit, hx, retain_graph=True)[0].flatten() for unit in end])
    logs = theory.log_gradient_norms(theory.jacobians(layer, x))
    assert logs[0, -1].exp() == pytest.approx(float(torch.linalg.matrix_norm(whole, 2)), rel=1e-4)
    tenths = theory.log_gradient_norms(0.1 * torch.eye(2).expand(1, 500, 2, 2))
    assert tenths[0, -1] == pytest.approx(500 * math.log(0.1), rel=1e-4)


# Lyapunov exponents of systems that are known


def test_a_linear_maps_exponents_are_its_eigenvalues():
    matrix = torch.tensor([[0.9, 0.4, 0.1], [-0.2, 0.5, 0.3], [0.0, 0.2, -1.2]], dtype=torch.float64)
    found = spectrum(lambda x, _: x @ matrix.T, 3, [[0.1, 0.2, 0.3]], 400, 100)
    assert found == pytest.approx(np.sort(np.log(np.abs(np.linalg.eigvals(matrix.numpy()))))[::-1], abs=1e-2)


def test_exponents_are_per_unit_of_time():
    assert spectrum(exact_decay, 2, [[0.1, 0.9]], 20, 0, timespan=0.25) == pytest.approx([-2, -2])


def test_the_logistic_maps_exponent_is_log_2():
    starts = [[x] for x in np.linspace(0.11, 0.89, 50)]
    assert spectrum(lambda x, _: 4 * x * (1 - x), 1, starts, 300, 50) == pytest.approx([math.log(2)], abs=0.01)


def test_the_henon_maps_exponents():
    """Sprott, Chaos and Time-Series Analysis, 2003: 0.41922, -1.62319, whose sum is ln 0.3."""

    def henon(x, _):
        return torch.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1)

    found = spectrum(henon, 2, [[0.1 + 0.01 * i, 0.1] for i in range(40)], 400, 100)
    assert found == pytest.approx([0.41922, -1.62319], abs=0.01)
    assert found.sum() == pytest.approx(math.log(0.3), abs=1e-6)


def test_lorenzs_exponents():
    """Sprott, 2003: 0.9056, 0, -14.5723; their sum is the divergence, -(10 + 1 + 8/3)."""
    from liquidrnn.integrate import advance

    def slope(x):
        a, b, c = x.unbind(-1)
        return torch.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], -1)

    starts = [[1.0 + 0.1 * i, 1.0, 20.0] for i in range(120)]
    found = spectrum(lambda x, span: advance(slope, x, span, 2, "rk4"), 3, starts, 600, 200, timespan=0.02)
    assert found[0] == pytest.approx(0.9056, abs=0.03) and found[1] == pytest.approx(0, abs=0.03)
    assert found.sum() == pytest.approx(-(11 + 8 / 3), abs=1e-3)


# Paths


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_length_ignores_scale_place_and_rotation(scale, seed):
    g = generator(seed)
    angle = torch.linspace(0, 2 * torch.pi, 2001, dtype=torch.float64)
    ellipse = torch.stack([2 * angle.cos(), angle.sin()], -1)
    into = torch.linalg.qr(torch.randn(5, 2, generator=g).double())[0]
    path = (scale * (ellipse @ into.T) + torch.randn(5, generator=g).double())[None]
    # Perimeter of an ellipse with axes 2 and 1, 4 a E(e); root mean square radius sqrt((4 + 1) / 2).
    from scipy.special import ellipe

    expected = 8 * ellipe(0.75) / math.sqrt(2.5)
    assert float(theory.trajectory_length(path)) == pytest.approx(expected, rel=1e-3)
    assert float(theory.trajectory_length(path, 2)) == pytest.approx(expected, rel=1e-3)
    assert float(theory.trajectory_length(path, 1)) == pytest.approx(8 / math.sqrt(2), rel=1e-3)


def test_smoothness_of_a_sine():
    t = torch.arange(1000) / 1000
    wave = torch.sin(2 * torch.pi * 5 * t + 0.3)
    found = theory.smoothness(torch.stack([3 * wave, torch.ones(1000)], -1)[None])
    assert float(found.total_variation) == pytest.approx(5 * 4 * math.sqrt(2), rel=0.01)
    assert float(found.sign_changes) == pytest.approx(10 / 998)
    assert float(found.largest_step) == pytest.approx(2 * math.pi * 5 / 1000 * math.sqrt(2), rel=0.01)


@pytest.mark.parametrize("kind", [lr.LTC, lr.STC, lr.LRC])
def test_a_span_is_found_for_a_rate(kind):
    layer = kind(2, 6, generator=generator(), batch_first=True)
    x = torch.randn(3, 40, 2)
    span = theory.timespan_at_rate(layer, x, 0.2)
    tau = layer(x, timespans=span, return_trace=True)[2]["tau"]
    assert float((span / tau).mean().detach()) == pytest.approx(0.2, rel=0.01)


# Words


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: theory.jacobians(lr.LSTM(3, 4), torch.ones(2, 3)), r"input must be sequences \(time, batch, 3\)"),
        (lambda: theory.jacobians(lr.GRU(3, 4), torch.ones(2, 5, 3), timespans=torch.ones(7)), "timespans must be a"),
        (lambda: theory.held(lr.LTC(3, 4), torch.ones(3)), r"input must be one sample \(batch, 3\)"),
        (lambda: theory.held(lr.LTC(3, 4), torch.ones(2, 3), method="midpoint"), "method must be 'layer'"),
        (lambda: theory.flow_gaps(lr.CfC(3, 4, 2, dropout=0.1), torch.ones(2, 3)), "call layer.eval"),
        (lambda: theory.state_bounds(lr.CTRNN(3, 4, solver="rk4")), "this one has 'rk4'"),
        (lambda: theory.state_bounds(lr.LTC(3, 4), shortest=0.1), "leave it out"),
        (lambda: theory.state_bounds(lr.RNN(3, 4, nonlinearity="relu")), "'relu'"),
        (lambda: theory.lyapunov_exponents(torch.ones(2, 3)), r"jacobians must be \(batch, time, size, size\)"),
        (lambda: theory.lyapunov_exponents(torch.ones(1, 3, 2, 2), discard=3), "discard must be from 0 to 2"),
        (lambda: theory.trajectory_length(torch.ones(3)), r"states must be \(batch, time, units\)"),
        (lambda: theory.smoothness(torch.ones(1, 2, 3)), "at least 3 samples"),
        (lambda: theory.timespan_at_rate(lr.RNN(3, 4, time="decay"), torch.ones(5, 2, 3), 1.0), "RNN has none"),
    ],
)
def test_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_layers_without_known_bounds():
    for bounds, layer in ((theory.state_bounds, lr.ODERNN(3, 4)), (theory.time_constant_bounds, lr.GRU(3, 4))):
        with pytest.raises(TypeError, match=f"is known for {type(layer).__name__}"):
            bounds(layer)
    with pytest.raises(TypeError, match="layer must be a RecurrentLayer, but got LSTM"):
        theory.jacobians(torch.nn.LSTM(3, 4), torch.ones(1, 2, 3))


def test_lyapunov_exponents_discard_whole_samples():
    with pytest.raises(TypeError, match="discard must be an int"):
        theory.lyapunov_exponents(torch.ones(1, 3, 2, 2), discard=1.5)
