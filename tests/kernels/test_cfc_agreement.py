"""The compiled CfC and gated cells against the references that define them, in all forms, at sizes no kernel likes."""

from functools import cache

import mpmath  # torch brings it
import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.utils.prune
from instruction_sets import SETS, using
from test_agreement import check_operator, check_without_keeping, differentiated, every_mask, problem_of
from threads import on
from transforms import check_compiled_graph, check_gradients_of_each

import liquidrnn as lr
from liquidrnn import kernels
from liquidrnn.kernels import cfc, gated
from liquidrnn.layers.cfc import gates_apart

pytestmark = pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")
if kernels.cpu is not None:
    from liquidrnn.kernels import _cpu

INPUTS = 5
FORMS = {
    "default": {},
    "pure": {"mode": "pure"},
    "no_gate": {"mode": "no_gate", "activation": "gelu"},
    "deep": {"backbone_layers": 3, "activation": "silu", "backbone_units": 19},
    "deep, pure, memory": {"mode": "pure", "backbone_layers": 2, "activation": "gelu", "mixed_memory": True},
    "tanh": {"activation": "tanh", "backbone_units": 16},
    "relu": {"activation": "relu", "backbone_layers": 2, "backbone_units": 33},
    "without a backbone": {"backbone_layers": 0},
    "without a backbone, pure": {"backbone_layers": 0, "mode": "pure"},
    "memory": {"mixed_memory": True, "backbone_units": 20},
    "memory without a backbone": {"mixed_memory": True, "backbone_layers": 0},
    "wired": {"wired": True},
    "wired, pure": {"wired": True, "mode": "pure"},
    "wired, no_gate": {"wired": True, "mode": "no_gate"},
    "wired, memory": {"wired": True, "mixed_memory": True},
    "converted": {"wired": True, "apart": True},
}
GATED = {
    "RNN": {"kind": lr.RNN, "time": "append"},
    "RNN, relu, decay": {"kind": lr.RNN, "nonlinearity": "relu", "time": "decay", "bias": False},
    "LSTM": {"kind": lr.LSTM, "time": "append", "bias": False},
    "LSTM, projected, decay": {"kind": lr.LSTM, "proj_size": True, "time": "decay"},
    "GRU": {"kind": lr.GRU, "time": "ignore", "bias": False},
    "GRU, decay": {"kind": lr.GRU, "time": "decay"},
    "CT-RNN": {"kind": lr.CTRNN, "ode_unfolds": 3},
    "CT-RNN, euler": {"kind": lr.CTRNN, "solver": "euler", "ode_unfolds": 1},
    "CT-RNN, heun": {"kind": lr.CTRNN, "solver": "heun", "ode_unfolds": 2},
    "CT-RNN, rk4": {"kind": lr.CTRNN, "solver": "rk4", "ode_unfolds": 2},
    "GRU-D": {"kind": lr.GRUD},
    "GRU-D, of a layer above": {"kind": lr.GRUD, "above": True},
}
FORMS |= GATED
every_form = pytest.mark.parametrize("form", FORMS)
# Of gated cells one of each kind.
ONE_OF_EACH = ["RNN, relu, decay", "LSTM, projected, decay", "GRU, decay", "CT-RNN, rk4", "GRU-D"]
distinct_forms = pytest.mark.parametrize("form", [form for form in FORMS if form not in GATED or form in ONE_OF_EACH])
SOME = ["default", "deep, pure, memory", "wired, memory", "converted", "GRU-D"]
some_forms = pytest.mark.parametrize("form", SOME)


def layer_of(form, units=8, inputs=INPUTS, dtype=torch.float64, **more):
    """A layer of this form, with every parameter at random."""
    settings = {"batch_first": True, "dtype": dtype} | FORMS[form] | more
    generator = torch.Generator().manual_seed(units)
    wired, apart = settings.pop("wired", False), settings.pop("apart", False)
    kind, above = settings.pop("kind", lr.CfC), settings.pop("above", False)
    if settings.get("proj_size") is True:
        settings["proj_size"] = units - 1
    if wired:
        # Layers of a wiring are of neurons in any order.
        hidden = lr.wirings.AutoNCP(units, 2, sparsity=0.4) if units > 5 else lr.wirings.Random(units, sparsity=0.4)
    else:
        hidden = units
    layer = kind(inputs, hidden, num_layers=1 + above, generator=generator, **settings)
    if apart:
        recurrence = layer.recurrences[0]
        gates_apart(recurrence, np.random.default_rng(3).random((inputs + units, units)) < 0.5)
        with torch.no_grad():
            recurrence.gate_weight.normal_(0, 0.3, generator=generator)
    with torch.no_grad():
        for parameter in layer.parameters():
            # Small enough for long sequences not to be chaotic, where roundings grow.
            size = 0.3 * parameter.shape[-1] ** -0.5
            parameter.add_(size * torch.randn(parameter.shape, generator=generator).to(dtype))
    return layer


def problem(form, batch, time, units, masked=False, dtype=torch.float64):
    """Arguments of the operator: tensors that require gradients where they can, and settings."""
    recurrence = layer_of(form, units, dtype=dtype).recurrences[-1]
    return problem_of(recurrence.operator, recurrence, batch, time, masked, dtype, seed=1)


@pytest.mark.sampled(2)
@every_form
@every_mask
@pytest.mark.parametrize("units", [1, pytest.param(7, marks=pytest.mark.slow), 33])
def test_states_and_gradients(form, masked, units):
    sizes = [(0, 3), (2, 0), (1, 13), (17, 9)]
    if form not in GATED:
        # More than a block of samples, once: the reference takes its time with each.
        sizes += [(1, 1), (3, 5), (33, 2), *[(1, 70)] * (units == 33 and bool(masked))]
    for batch, time in sizes:
        p = problem(form, batch, time, units, masked)
        expected = p.reference()
        # Nothing to differentiate without a sample.
        gradients = differentiated(expected, p.tensors) if expected.requires_grad else ()
        for name in SETS:
            with using(name):
                found = p.compiled()
                torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
                with torch.no_grad():
                    assert torch.equal(p.compiled(), found)
                for a, b in zip(differentiated(found, p.tensors) if gradients else (), gradients, strict=True):
                    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@distinct_forms
def test_single_precision(form):
    """Compared with float64 of the same numbers, no worse than the reference in float32 by much.

    How much an error grows along a sequence depends on the numbers, and which of the two makes the unlucky one is
    chance: so the medians of several draws are compared.
    """
    found, plain = [], []
    p = problem(form, 17, 6, 33, dtype=torch.float32)
    for seed in range(5):
        values = torch.randn(p.tensors[0].shape, generator=torch.Generator().manual_seed(seed))
        tensors = [values.requires_grad_(), *p.tensors[1:]]
        exact_tensors = [
            t if t is None or not t.is_floating_point() else t.detach().double().requires_grad_() for t in tensors
        ]
        exact = p.reference(exact_tensors)
        expected = (exact, *differentiated(exact, exact_tensors))

        def errors(states, tensors=tensors, expected=expected):
            pairs = zip((states, *differentiated(states, tensors)), expected, strict=True)
            return torch.stack([(a.double() - b).abs().max() / b.abs().max().clamp(min=1e-30) for a, b in pairs])

        plain.append(errors(p.reference(tensors)).detach())
        for name in SETS:
            with using(name):
                found.append(errors(p.compiled(tensors)).detach())
    plain = torch.stack(plain).median(0).values
    # One row for each instruction set.
    found = torch.stack(found).unflatten(0, (5, len(SETS))).median(0).values
    assert (found < 4 * plain + 2e-6).all(), (SETS, found, plain)


@every_form
def test_gradcheck(form):
    p = problem(form, 3, 2, 6, masked="episodes")
    wanted = [n for n, t in enumerate(p.tensors) if t is not None and t.requires_grad]

    def run(*values):
        whole = list(p.tensors)
        for n, value in zip(wanted, values, strict=True):
            whole[n] = value
        return p.compiled(whole)

    assert torch.autograd.gradcheck(run, [p.tensors[n] for n in wanted], fast_mode=True)
    # Gradients of gradients are the reference's.
    assert torch.autograd.gradgradcheck(run, [p.tensors[n] for n in wanted], fast_mode=True)


@pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.slow), "episodes"])
@some_forms
def test_opcheck(form, masked):
    p = problem(form, 3, 4, 7, masked=masked, dtype=torch.float32)
    # `test_compiled_graph` traces every form.
    check_operator(p, traced=form in ("deep, pure, memory", "GRU-D"))


@some_forms
def test_strided_arguments(form):
    p = problem(form, 4, 5, 7)
    expected = p.compiled()
    strided = [t if t is None else torch.stack([t, t], -1)[..., 0] for t in p.tensors]
    strided[0] = p.tensors[0].transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(p.compiled(strided), expected)
    expected.sum().backward()
    first = p.tensors[0].grad.clone()
    p.tensors[0].grad = None
    p.compiled(strided).sum().backward()
    assert torch.equal(p.tensors[0].grad, first)


@every_mask
@some_forms
def test_nothing_needs_to_be_kept(form, masked, keep):
    """Then the backward pass takes the sequence again, a piece at a time."""
    check_without_keeping(problem(form, 5, 7, 9, masked=masked), keep)


@some_forms
def test_the_same_bits_for_any_number_of_threads(form):
    p = problem(form, 70, 4, 20, masked="episodes", dtype=torch.float32)
    results = []
    for threads in (1, 2, 5):
        with on(threads):
            states = p.compiled()
            results.append((states, *differentiated(states, p.tensors)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.sampled(2)
@distinct_forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_and_a_step_have_the_same_bits_as_the_whole(instruction_set, form, dtype):
    """The order of additions is one for any number of rows and samples."""
    layer = layer_of(form, 21, dtype=dtype)
    for batch in (1, 3, 8, 13):
        x, spans = torch.randn(batch, 6, INPUTS, dtype=dtype), torch.rand(batch, 6, dtype=dtype)
        whole, _ = layer(x, timespans=spans)
        state = None
        for t in range(6):
            output, state = layer.step(x[:, t], state, timespan=spans[:, t])
            assert torch.equal(output, whole[:, t])
        for row in range(batch):
            assert torch.equal(layer(x[row : row + 1], timespans=spans[row : row + 1])[0][0], whole[row])


# For float32 in float64, for float64 in forty digits, and where to look.
EXACT = {
    "exp": (np.exp, mpmath.exp, (-87.0, 87.0), (-708.0, 708.0)),
    "sigmoid": (scipy.special.expit, lambda x: 1 / (1 + mpmath.exp(-x)), (-87.0, 30.0), (-700.0, 50.0)),
    "tanh": (np.tanh, mpmath.tanh, (-12.0, 12.0), (-25.0, 25.0)),
    "normal": (scipy.special.ndtr, mpmath.ncdf, (-12.0, 8.0), (-36.0, 10.0)),
}
# In units of the last place of the result.
BOUNDS = {"exp": 1, "sigmoid": 2.5, "tanh": 2.5, "normal": 6}


def points(dtype, low, high, count):
    near_zero = torch.logspace(-30, 0, count // 10, dtype=torch.float64)
    return torch.cat([torch.linspace(low, high, count, dtype=torch.float64), near_zero, -near_zero]).to(dtype)


@cache
def in_forty_digits(name):
    """What a function is at the points of float64, with the unit in the last place of each; once for all sets."""
    _, function, _, double = EXACT[name]
    with mpmath.workdps(40):
        rights = [function(mpmath.mpf(value)) for value in points(torch.float64, *double, 2_000).tolist()]
        return [(right, mpmath.mpf(2) ** (mpmath.floor(mpmath.log(abs(right), 2)) - 52)) for right in rights]


@pytest.mark.parametrize("name", EXACT)
def test_errors_of_elementary_functions(instruction_set, name):
    exact, _, single, double = EXACT[name]
    x = points(torch.float32, *single, 200_000)
    found = torch.empty_like(x)
    _cpu.elementary(name, x, found)
    right = torch.from_numpy(exact(x.double().numpy()))
    unit = 2.0**-23 * torch.exp2(torch.floor(torch.log2(right.abs().clamp(min=2.0**-126))))
    assert float(((found.double() - right).abs() / unit).max()) < BOUNDS[name]

    x = points(torch.float64, *double, 2_000)
    found = torch.empty_like(x)
    _cpu.elementary(name, x, found)
    with mpmath.workdps(40):
        for result, (right, unit) in zip(found.tolist(), in_forty_digits(name), strict=True):
            assert abs(result - right) < BOUNDS[name] * unit

    special = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, 3e38, -3e38])
    found = torch.empty_like(special)
    _cpu.elementary(name, special, found)
    wanted = torch.from_numpy(exact(special.clamp(-1e3, 87.33).double().numpy())).float()
    torch.testing.assert_close(found, wanted, equal_nan=True, rtol=1e-5, atol=2e-38)


@pytest.fixture
def fresh_graphs():
    # Else dynamo takes sizes that differ from one test to the next for dynamic.
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@some_forms
def test_compiled_graph(fresh_graphs, form):
    layer = layer_of(form, dtype=torch.float32)
    check_compiled_graph(layer, torch.randn(4, 6, INPUTS))


@distinct_forms
def test_gradients_that_are_not_needed_change_no_others(form):
    p = problem(form, 3, 9, 8, masked="episodes")
    found = dict(zip(wanted_of(p), differentiated(p.compiled(), p.tensors), strict=True))
    # Without those of values and spans, with theirs alone, and without those of the first parameter.
    for asked in (set(found) - {0, 2}, {0}, {2}, set(found) - {p.operator._rows}):
        tensors = [None if t is None else t.detach().requires_grad_(at in asked) for at, t in enumerate(p.tensors)]
        for at, gradient in zip(sorted(asked), differentiated(p.compiled(tensors), tensors), strict=True):
            assert torch.equal(gradient, found[at]), at


def wanted_of(p):
    return [at for at, t in enumerate(p.tensors) if t is not None and t.requires_grad]


@some_forms
def test_vmap_and_functional_gradients(form):
    layer = layer_of(form)
    x = torch.randn(3, 2, 6, INPUTS, dtype=torch.float64, requires_grad=True)
    expected = torch.stack([layer(part)[0] for part in x])
    mapped = torch.vmap(lambda part: layer(part)[0])(x)
    torch.testing.assert_close(mapped, expected)
    wanted = [x, *layer.parameters()]
    both = (torch.autograd.grad(output.square().sum(), wanted) for output in (mapped, expected))
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b)
    check_gradients_of_each(layer, x.detach())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_forward_mode_takes_the_reference():
    layer = layer_of("wired, memory")
    x = torch.randn(2, 3, INPUTS, dtype=torch.float64)
    output, slope = torch.func.jvp(lambda x: layer(x)[0], (x,), (torch.ones_like(x),))
    torch.testing.assert_close(output, layer(x)[0])
    shifted = (layer(x + 1e-6)[0] - layer(x - 1e-6)[0]) / 2e-6
    torch.testing.assert_close(slope, shifted, rtol=1e-5, atol=1e-8)


@distinct_forms
def test_layers_on_either_backend(form):
    """Masks, two directions, traces."""
    named = [layer_of(form, bidirectional=not FORMS[form].get("apart"), backend=name) for name in ("cpu", "reference")]
    named[1].load_state_dict(named[0].state_dict())
    g = torch.Generator().manual_seed(2)
    x, spans = torch.randn(4, 9, INPUTS, generator=g).double(), torch.rand(4, 9, generator=g).double()
    observed = torch.rand(x.shape, generator=g) < 0.4
    (output, h_n, trace), (expected, h_expected, trace_expected) = (
        layer(x, timespans=spans, mask=observed, return_trace=True) for layer in named
    )
    torch.testing.assert_close((output, h_n), (expected, h_expected), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(trace, trace_expected, equal_nan=True, rtol=1e-9, atol=1e-12)
    assert not torch.equal(output, expected)


def test_pruned_and_hooked_inner_modules_are_called():
    layer = lr.CfC(INPUTS, 8, batch_first=True)
    linear, x = layer.recurrences[0].backbone[0], torch.randn(2, 5, INPUTS)
    with torch.no_grad():
        before = layer(x)[0]
    torch.nn.utils.prune.random_unstructured(linear, "weight", 0.9)
    for _ in range(2):
        layer.zero_grad()
        output = layer(x)[0]
        output.sum().backward()
    assert linear.weight_orig.grad[linear.weight_mask == 0].abs().max() == 0
    assert not torch.allclose(output, before)
    torch.nn.utils.prune.remove(linear, "weight")
    torch.testing.assert_close(layer(x)[0], output)  # by the kernel again, from the pruned weights
    called = []
    handle = linear.register_forward_hook(lambda *_: called.append(1))
    layer(x)
    assert len(called) == 5
    layer.recurrences[0].run_on("cpu")
    with pytest.raises(RuntimeError, match="backend='cpu' cannot run this CfC, since a module inside has hooks"):
        layer(x)
    handle.remove()
    layer(x)
    layer.recurrences[0].backbone[1] = torch.nn.ELU()
    with pytest.raises(RuntimeError, match="since a module inside was replaced; use backend=None"):
        layer(x)


@pytest.mark.parametrize("mixed_memory", [False, True])
def test_dropout_in_the_backbone_is_drawn_at_every_sample(mixed_memory):
    layer = lr.CfC(INPUTS, 8, backbone_dropout=0.5, batch_first=True, backend="cpu", mixed_memory=mixed_memory)
    x = torch.randn(2, 5, INPUTS)
    with pytest.raises(RuntimeError, match="since backbone_dropout has a new mask at every sample in training"):
        layer(x)
    layer.eval()
    expected = layer(x)[0]
    layer.recurrences[0].run_on(None)
    assert torch.equal(layer(x)[0], expected)
    layer.train()
    assert not torch.allclose(layer(x)[0], expected) and not torch.equal(layer(x)[0], layer(x)[0])


def test_the_operator_checks_its_arguments():
    p = problem("default", 2, 3, 4, dtype=torch.float32)

    def run(p, n, tensor):
        changed = p.detached()
        changed[n] = tensor
        with torch.no_grad():
            p.compiled(changed)

    for n, tensor, message in (
        (1, torch.zeros(3, 4), "initial must have the batch of input"),
        (2, torch.zeros(2, 4, 1), "timespans, present and reset must be"),
        (4, torch.zeros(2, 3, 2, dtype=torch.bool), "timespans, present and reset must be"),
        (6, torch.zeros(16, 3), "has the wrong size"),
        (8, torch.zeros(4), "A and w_tau belong to pure mode"),
    ):
        with pytest.raises(ValueError, match=message):
            run(p, n, tensor)
    states, kept = cfc.operator.forward(*p.arguments(p.detached()))
    with pytest.raises(ValueError, match="kept must be as many numbers as the kernel keeps"):
        inputs, initial, network = p.grouped(p.detached())
        wrong = kept[:-2].view(2, 3, -1)[..., :-1].contiguous()
        cfc.cpu.KERNEL.forward(inputs, initial, network, states, wrong)
    p = problem("wired", 2, 3, 8, dtype=torch.float32)
    with pytest.raises(ValueError, match="must be indices of sources and units"):
        run(p, 14, p.tensors[14] + 5)
    # Of a gated cell: parameters follow the six that have rows.
    for form, n, tensor, message in (
        ("GRU, decay", 6, torch.zeros(3 * 4, 4), "a parameter of a cell, or its gradient, has the wrong size"),
        ("GRU, decay", 9, None, "biases go together"),
        ("GRU, decay", 12, torch.ones(4), "tau belongs to a CT-RNN"),
        ("LSTM", 1, torch.zeros(2, 4), "initial must have all parts of the cell's state"),
        ("CT-RNN", 5, torch.ones(2, 3, INPUTS, dtype=torch.bool), "observed must be of a GRU-D"),
        ("GRU-D", 5, torch.ones(2, 3, 1, dtype=torch.bool), "observed must be of a GRU-D, and shaped as input"),
        ("GRU-D", 16, None, "a GRU-D has all its parameters"),
        ("GRU-D", 18, None, "a GRU-D has decay_weight, decay_bias and mean, or none of them"),
    ):
        with pytest.raises(ValueError, match=message):
            run(problem(form, 2, 3, 4, dtype=torch.float32), n, tensor)


def test_settings_match_those_of_the_kernel():
    assert cfc.reference.MODES == ("default", "pure", "no_gate")
    assert list(cfc.reference.ACTIVATIONS) == ["lecun_tanh", "tanh", "relu", "gelu", "silu"]
    assert list(gated.reference.GATES) == ["RNN_TANH", "RNN_RELU", "LSTM", "GRU", "CT_RNN", "GRU_D"]
    assert gated.reference.SOLVERS == ("semi_implicit", "euler", "heun", "rk4")
