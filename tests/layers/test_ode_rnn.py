"""ODE-RNN against torchdiffeq's adaptive solver between samples, and torch's GRU cell at them."""

import numpy as np
import pytest
import torch
from torch import nn
from torchdiffeq import odeint

import liquidrnn as lr
from liquidrnn.integrate import TABLEAUX

UNITS, FEATURES, BATCH, TIME = 4, 3, 2, 5
ENDS = torch.tensor([0.0, 1.0], dtype=torch.float64)
# A step ends at 1: otherwise the result is interpolated, which no tolerance controls.
TIGHT = {"rtol": 1e-10, "atol": 1e-12, "method": "dopri8", "options": {"step_t": ENDS[1:]}}


def lively(**arguments):
    """A layer whose state moves far between samples."""
    generator = torch.Generator().manual_seed(0)
    layer = lr.ODERNN(FEATURES, UNITS, batch_first=True, dtype=torch.float64, generator=generator, **arguments)
    with torch.no_grad():
        for parameter in layer.recurrences[0].flow.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return layer


def solved(layer, x, spans, mask, h):
    """Algorithm 1 of the paper, sequence by sequence, with the layer's parameters: states, absent samples left out."""
    p = dict(layer.recurrences[0].named_parameters())
    weights = [p[name] for name in p if name.startswith("flow") and name.endswith("weight")]
    biases = [p[name] for name in p if name.startswith("flow") and name.endswith("bias")]

    def slope(_, h):
        for weight, bias in zip(weights[:-1], biases, strict=False):
            h = torch.tanh(weight @ h + bias)
        return weights[-1] @ h + biases[-1]

    cell = nn.GRUCell(FEATURES, UNITS, dtype=torch.float64)
    gates = {name: p[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    states = []
    for row in range(len(x)):
        now, clock = h[0, row], spans.new_zeros(())
        for t in range(x.shape[1]):
            clock = clock + spans[row, t]
            if mask[row, t]:
                # From 0 to 1, so that the span has a gradient.
                now = odeint(lambda s, h, clock=clock: clock * slope(s, h), now, ENDS, **TIGHT)[1]
                now = torch.func.functional_call(cell, gates, (x[row, t][None], now[None]))[0]
                clock = spans.new_zeros(())
                states.append(now)
    return torch.stack(states)


def samples():
    g = torch.Generator().manual_seed(1)
    x, spans = torch.randn(BATCH, TIME, FEATURES, generator=g), 2 * torch.rand(BATCH, TIME, generator=g)
    mask = torch.ones(BATCH, TIME, dtype=torch.bool)
    mask[0, 2], mask[1, 0] = False, False
    return x.double(), spans.double(), mask, torch.randn(1, BATCH, UNITS, generator=g).double()


DEEP = {"ode_layers": 2, "ode_units": 6}


def with_gradients(run, layer):
    """Results of one sample after another, and the gradients of their weighted sum."""
    x, spans, mask, h = samples()
    arguments = (x.requires_grad_(), spans.requires_grad_(), h.requires_grad_())
    states = run(layer, x, spans, mask, h)
    weights = torch.linspace(-1, 1, states.numel(), dtype=torch.float64).view_as(states)
    return states, *torch.autograd.grad((weights * states).sum(), (*arguments, *layer.parameters()))


@pytest.fixture(scope="module")
def solution():
    return with_gradients(solved, lively(**DEEP))


@pytest.mark.parametrize(("solver", "steps"), [("euler", (64, 256)), ("heun", (16, 64)), ("rk4", (16, 64))])
def test_states_and_gradients_converge_to_the_solution_at_the_order_of_the_solver(solver, steps, solution):
    def run(layer, x, spans, mask, h):
        return layer(x, h, timespans=spans, mask=mask)[0][mask]

    errors = []
    for ode_unfolds in steps:
        found = with_gradients(run, lively(**DEEP, solver=solver, ode_unfolds=ode_unfolds))
        errors.append([(a - b).norm().item() for a, b in zip(found, solution, strict=True)])
    orders = np.log(np.divide(*errors)) / np.log(steps[1] / steps[0])
    assert len(orders) == 4 + 4 + 6
    np.testing.assert_allclose(orders, TABLEAUX[solver].order, rtol=0.15)
    if solver == "rk4":
        assert np.max(errors[-1]) < 1e-5


def test_over_no_time_it_is_a_gru():
    layer = lively()
    gru = nn.GRU(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    gates = {f"{n}_l0": p for n, p in layer.recurrences[0].named_parameters() if not n.startswith("flow")}
    gru.load_state_dict(gates)
    x, *_ = samples()
    torch.testing.assert_close(layer(x, timespans=0.0)[0], gru(x)[0], rtol=1e-13, atol=1e-13)


def test_the_number_of_evaluations_depends_on_no_data():
    layer = lively(solver="heun", ode_unfolds=3)
    calls = []
    layer.recurrences[0].flow.register_forward_hook(lambda *_: calls.append(1))
    x, *_ = samples()
    for spans in (1e-6, 1.0, torch.tensor([0.0, 0.1, 30.0, 1.0, 1.0])):
        calls.clear()
        layer(x, timespans=spans)
        assert len(calls) == TIME * 3 * 2 == TIME * layer.recurrences[0].evaluations


def test_a_trace_holds_the_gate_that_was_applied():
    layer, plain = lively(), lr.GRU(FEATURES, UNITS, time="ignore", batch_first=True, dtype=torch.float64)
    gates = {f"{n}_l0": p for n, p in layer.recurrences[0].named_parameters() if not n.startswith("flow")}
    plain.load_state_dict(gates)
    x, spans, _, h = samples()
    _, _, trace = layer(x, h, timespans=spans, return_trace=True)
    before = torch.cat([h.transpose(0, 1), trace["state"][:, :-1]], 1)
    flow = layer.recurrences[0].flow
    for _ in range(4):
        before = before + spans[..., None] / 4 * flow(before)
    expected = [plain(x[:, t : t + 1], before[:, t][None], return_trace=True)[2]["gate"] for t in range(TIME)]
    torch.testing.assert_close(trace["gate"], torch.cat(expected, 1))
    torch.testing.assert_close(trace["tau"], -spans[..., None] / trace["gate"].log())


def test_it_starts_as_a_slow_flow_of_the_authors_scale():
    """The authors draw all weights with a standard deviation of 0.1, at a width of 100."""
    flow = lr.ODERNN(5, 100, ode_layers=2, generator=torch.Generator().manual_seed(0)).recurrences[0].flow
    spreads = [module.weight.std().item() for module in flow if isinstance(module, nn.Linear)]
    np.testing.assert_allclose(spreads, [0.1, 0.1, 0.01], rtol=0.05)
    assert not any(module.bias.any() for module in flow if isinstance(module, nn.Linear))
