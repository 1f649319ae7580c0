"""The promise of all layers. A new layer says in CASES how to make one, and inherits every check."""

import copy
import inspect
import pickle
import re
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.utils.prune
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import liquidrnn as lr

BATCH, TIME, INPUT, UNITS = 3, 7, 5, 8


@dataclass(frozen=True)
class Case:
    """One way to make a layer, and what it is exempt from, with the reason in its documentation."""

    kind: type[lr.RecurrentLayer]
    arguments: dict = field(default_factory=dict)
    hidden: object = UNITS
    ode: bool = False  # a zero span leaves the state exactly, halving a span is what a solver's order says
    parts: int = 1  # of the state
    kernel_of_torch: bool = False  # streaming equals the whole sequence to rounding only
    rare: bool = False  # a variant of a layer whose other cases run by default: all tests of it are slow ones

    @property
    def name(self) -> str:
        arguments = ",".join(f"{k}={v}" for k, v in self.arguments.items())
        return f"{self.kind.__name__}({'' if self.hidden == UNITS else type(self.hidden).__name__}{arguments})"

    def make(self, **more) -> lr.RecurrentLayer:
        arguments = {"batch_first": True, "generator": torch.Generator().manual_seed(7)} | self.arguments | more
        return self.kind(INPUT, self.hidden, **arguments)


NCP = lr.wirings.AutoNCP(UNITS, outputs=3, sparsity=0.4)
CASES = [
    Case(lr.LTC, ode=True),
    Case(lr.LTC, hidden=NCP, ode=True),
    Case(
        lr.LTC,
        {"constraint": "clamp", "input_mapping": "linear", "output_mapping": None, "ode_unfolds": 2},
        ode=True,
    ),
    Case(lr.LTC, {"mixed_memory": True}, parts=2),
    Case(lr.CfC),
    Case(lr.CfC, {"mode": "pure", "backbone_units": 16, "backbone_layers": 2, "activation": "silu"}),
    Case(lr.CfC, {"mode": "no_gate", "backbone_layers": 0}),
    Case(lr.CfC, hidden=NCP),
    Case(lr.CfC, {"mode": "pure"}, hidden=lr.wirings.Random(UNITS, outputs=2, sparsity=0.3), rare=True),
    Case(lr.CfC, {"mixed_memory": True}, parts=2),
    Case(lr.CfC, {"time": "append"}),
    Case(lr.CfC, {"time": "ignore", "backbone_layers": 0}, rare=True),
    Case(lr.LTC, {"time_constant": "fixed"}, ode=True, rare=True),
    Case(lr.LRC, {"elastance": "constant"}, hidden=NCP, ode=True, rare=True),
    Case(lr.STC, ode=True),
    Case(lr.STC, {"solver": "explicit"}, hidden=NCP, ode=True, rare=True),
    Case(lr.LRC, {"ode_unfolds": 3}, ode=True),
    Case(lr.LRC, {"elastance": "asymmetric", "mixed_memory": True}, parts=2),
    Case(lr.LRCU, ode=True),
    Case(lr.LRCU, {"elastance": "asymmetric"}, hidden=NCP, ode=True),
    Case(lr.CTRNN, ode=True),
    Case(lr.CTRNN, {"solver": "rk4"}, ode=True, rare=True),
    Case(lr.GRUD, parts=3),
    Case(lr.ODERNN),
    Case(lr.ODERNN, {"ode_units": 6, "ode_layers": 2, "solver": "heun", "ode_unfolds": 2}, rare=True),
    Case(lr.CTGRU, {"scales": 3, "shortest": 0.3}),
    Case(lr.CTLSTM, parts=4),
    Case(lr.CoRNN, {"dt": 1.0}, ode=True, parts=2),
    Case(lr.CoRNN, {"dt": 0.7, "solver": "explicit", "ode_unfolds": 2}, ode=True, parts=2, rare=True),
    Case(lr.GRUODE, ode=True),
    Case(lr.GRUODE, {"solver": "rk4"}, ode=True, rare=True),
    Case(lr.GRUODE, {"jumps": True}),
    Case(lr.ODELSTM, parts=2),
    Case(lr.PhasedLSTM, {"periods": (1.0, 4.0), "open_share": 0.5}, parts=3),
    Case(lr.StackedLSTM, {"time": "append"}, hidden=(6, 4, 3), parts=2),
    Case(lr.MinGRU, {"time": "append"}, kernel_of_torch=True),
    Case(lr.MinLSTM, {"time": "append"}, kernel_of_torch=True),
    Case(lr.FeedForward, {"time": "append"}, kernel_of_torch=True),
    Case(lr.RNN, {"time": "append", "nonlinearity": "relu"}),
    Case(lr.LSTM, {"time": "append"}, parts=2),
    Case(lr.LSTM, {"time": "ignore", "proj_size": 3}, parts=2),
    Case(lr.LSTM, {"time": "decay", "backend": "reference"}, parts=2, kernel_of_torch=True),
    Case(lr.GRU, {"time": "append", "backend": "reference"}, kernel_of_torch=True),
    Case(lr.GRU, {"time": "decay"}),
]
every = pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * case.rare, id=case.name) for case in CASES]
)


def data(dtype=torch.float64, batch=BATCH, time=TIME, seed=1):
    """Input and spans, irregular."""
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, time, INPUT, generator=g, dtype=dtype),
        torch.rand(batch, time, generator=g, dtype=dtype) + 0.1,
    )


def parts(state) -> tuple[torch.Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def same(a, b, exact: bool) -> None:
    for x, y in zip(parts(a), parts(b), strict=True):
        torch.testing.assert_close(x, y, rtol=0 if exact else 1e-12, atol=0 if exact else 1e-12)


def test_every_public_layer_has_a_case():
    public = {
        value
        for value in vars(lr).values()
        if isinstance(value, type) and issubclass(value, lr.RecurrentLayer) and value is not lr.RecurrentLayer
    }
    assert public == {case.kind for case in CASES}


@every
@pytest.mark.parametrize("directions, layers", [(1, 1), (2, 2)])
def test_shapes(case, directions, layers):
    layer = case.make(num_layers=layers, bidirectional=directions == 2).double()
    x, spans = data()
    output, h_n = layer(x, timespans=spans)
    assert output.shape == (BATCH, TIME, layer.output_size)
    widths = layer.recurrences[0].state_sizes
    assert len(widths) == case.parts
    assert [s.shape for s in parts(h_n)] == [(layers * directions, BATCH, width) for width in widths]
    assert layer.num_layers == layers and layer.num_directions == directions
    assert layer.num_synapses == sum(r.num_synapses for r in layer.recurrences) > 0


@every
def test_layouts_agree(case):
    layer = case.make().double()
    x, spans = data()
    output, h_n = layer(x, timespans=spans)
    time_first = case.make(batch_first=False).double()
    time_first.load_state_dict(layer.state_dict())
    other, h_other = time_first(x.transpose(0, 1), timespans=spans.T)
    assert torch.equal(output, other.transpose(0, 1))
    same(h_n, h_other, exact=True)
    alone, h_alone = layer(x[1], timespans=spans[1])
    torch.testing.assert_close(alone, output[1], rtol=1e-12, atol=1e-12)
    same(h_alone, tuple(s[:, 1] for s in parts(h_n)), exact=False)
    assert [s.ndim for s in parts(h_alone)] == [2] * case.parts


@every
def test_forms_of_timespans_agree(case):
    layer = case.make().double()
    x, spans = data()
    expected, _ = layer(x, timespans=spans)
    assert torch.equal(layer(x, timespans=spans.unsqueeze(-1))[0], expected)
    assert torch.equal(layer(x, timespans=spans[:1].expand(BATCH, -1))[0], layer(x, timespans=spans[0])[0])
    assert torch.equal(layer(x, timespans=torch.full_like(spans, 0.5))[0], layer(x, timespans=0.5)[0])
    assert torch.equal(layer(x, timespans=torch.ones_like(spans))[0], layer(x)[0])


@every
def test_time_spans_belong_to_their_sequence_when_batch_equals_units(case):
    layer = case.make().double()
    x, spans = data(batch=UNITS)
    whole, _ = layer(x, timespans=spans)
    for row in range(UNITS):
        single, _ = layer(x[row : row + 1], timespans=spans[row : row + 1])
        torch.testing.assert_close(single, whole[row : row + 1], rtol=1e-12, atol=1e-12)


@pytest.mark.sampled(2)
@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layers, output_size", [(1, None), (2, 4)])
@pytest.mark.parametrize("batch", [1, BATCH])
def test_stepping_equals_the_whole_sequence(case, dtype, layers, output_size, batch):
    layer = case.make(num_layers=layers, output_size=output_size, dtype=dtype)
    x, spans = data(dtype, batch)
    whole, h_n = layer(x, timespans=spans)
    state, outputs = None, []
    for t in range(TIME):
        output, state = layer.step(x[:, t], state, timespan=spans[:, t])
        outputs.append(output)
    stepped = torch.stack(outputs, 1)
    assert layer.exact == (output_size is None and not case.kernel_of_torch)
    if layer.exact:
        assert torch.equal(stepped, whole)
    else:
        tolerance = {torch.float32: 1e-5, torch.float64: 1e-13}[dtype]
        assert (stepped - whole).abs().max() <= tolerance * whole.abs().max()
    if case.kernel_of_torch:
        torch.testing.assert_close(parts(state), parts(h_n))
    else:
        same(state, h_n, exact=True)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 7])
def test_stepping_equals_the_whole_sequence_at_odd_sizes(case, dtype, batch):
    """Matrix products may round by strides and addresses: samples come in memory of their own here."""
    if case.kernel_of_torch:
        pytest.skip("equal to rounding only, as documented")
    hidden = 33 if isinstance(case.hidden, int) else lr.wirings.AutoNCP(33, outputs=5)
    layer = case.kind(17, hidden, batch_first=True, dtype=dtype, **case.arguments)
    x = torch.randn(batch, 6, 17, dtype=dtype)
    whole, _ = layer(x)
    state = None
    for t in range(6):
        output, state = layer.step(x[:, t].contiguous(), state)
        assert torch.equal(output, whole[:, t])


@every
@pytest.mark.parametrize("cut", [0, 1, 4, TIME])
def test_cutting_a_sequence_changes_nothing(case, cut):
    layer = case.make().double()
    x, spans = data()
    whole, h_n = layer(x, timespans=spans)
    first, middle = layer(x[:, :cut], timespans=spans[:, :cut])
    second, last = layer(x[:, cut:], middle, timespans=spans[:, cut:])
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-12, atol=1e-12)
    same(last, h_n, exact=False)


@every
def test_rows_do_not_influence_each_other(case):
    layer = case.make().double()
    x, spans = data()
    before, _ = layer(x, timespans=spans)
    x, spans = x.clone(), spans.clone()
    x[0] += 100
    spans[0] *= 7
    after, _ = layer(x, timespans=spans)
    torch.testing.assert_close(after[1:], before[1:], rtol=1e-12, atol=1e-12)


@every
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_absent_sample_has_no_effect(case, bidirectional):
    layer = case.make(bidirectional=bidirectional, num_layers=2).double()
    x, spans = data(batch=1)
    observed = torch.tensor([[False, True, True, False, False, True, False]])
    x[~observed] = torch.nan
    output, h_n = layer(x, timespans=spans, mask=observed)
    kept = spans.new_tensor([[spans[0, :2].sum(), spans[0, 2], spans[0, 3:6].sum()]])
    expected, h_expected = layer(x[observed].unsqueeze(0), timespans=kept)
    torch.testing.assert_close(output[observed].unsqueeze(0), expected, rtol=1e-12, atol=1e-12)
    same(h_n, h_expected, exact=False)
    if not bidirectional:
        # The output is repeated while nothing is there.
        torch.testing.assert_close(output[:, 3:5], output[:, 2:3].expand(-1, 2, -1), rtol=0, atol=0)


@pytest.mark.sampled(2)
@every
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(case, bidirectional):
    layer = case.make(bidirectional=bidirectional, num_layers=2).double()
    x, spans = data()
    lengths = torch.tensor([TIME, 4, 1])
    observed = torch.arange(TIME) < lengths.unsqueeze(1)

    def filled(fill):
        return layer(torch.where(observed[..., None], x, fill), timespans=spans, mask=observed)

    output, h_n = filled(0.0)
    for fill in (1e30, torch.nan):
        other, h_other = filled(fill)
        assert torch.equal(other, output)
        same(h_other, h_n, exact=True)
    for row, length in enumerate(lengths):
        alone, h_alone = layer(x[row : row + 1, :length], timespans=spans[row : row + 1, :length])
        torch.testing.assert_close(output[row : row + 1, :length], alone, rtol=1e-12, atol=1e-12)
        same(tuple(s[:, row : row + 1] for s in parts(h_n)), h_alone, exact=False)
    packed = pack_padded_sequence(x, lengths, batch_first=True)
    packed_output, h_packed = layer(packed, timespans=spans)
    unpacked, _ = pad_packed_sequence(packed_output, batch_first=True)
    torch.testing.assert_close(unpacked[observed], output[observed], rtol=0, atol=0)
    same(h_packed, h_n, exact=True)


@every
def test_an_unobserved_feature_is_read_as_zero(case):
    if case.kind is lr.GRUD:
        pytest.skip("reads the mask, as documented")
    layer = case.make().double()
    x, spans = data()
    observed = torch.rand(x.shape) > 0.4
    observed[..., 0] = True
    zeroed = torch.where(observed, x, 0.0)
    expected, _ = layer(zeroed, timespans=spans)
    output, _ = layer(torch.where(observed, x, torch.nan), timespans=spans, mask=observed)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    stepped, _ = layer.step(torch.where(observed, x, torch.nan)[:, 0], timespan=spans[:, 0], mask=observed[:, 0])
    torch.testing.assert_close(stepped, expected[:, 0], rtol=1e-12, atol=1e-12)


@every
def test_masked_samples_get_no_gradient_and_give_no_nan(case):
    layer = case.make().double()
    x, spans = data()
    observed = torch.rand(x.shape) > 0.5
    x = torch.where(observed, x, torch.nan).requires_grad_()
    layer(x, timespans=spans, mask=observed)[0].sum().backward()
    assert torch.all(x.grad[~observed] == 0) and x.grad[observed].abs().sum() > 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


@every
def test_a_zero_span_leaves_an_ode_layer_where_it_was(case):
    layer = case.make(dtype=torch.float32)
    x, _ = data(torch.float32)
    _, h = layer(x)
    output, h_n = layer(x, h, timespans=0.0)
    held = all(torch.equal(a, b) for a, b in zip(parts(h), parts(h_n), strict=True))
    assert held == case.ode
    if case.ode:
        assert torch.equal(output, output[:, :1].expand_as(output))


@pytest.mark.parametrize("case", [case for case in CASES if case.ode], ids=lambda case: case.name)
def test_two_half_spans_approach_one_whole(case):
    """With the input held, the gap between one step and two closes with the span as its square or faster."""
    layer = case.make().double()
    x, _ = data(time=1)
    _, h = layer(data(time=4, seed=3)[0])
    gaps = []
    for span in (0.02, 0.01, 0.005):
        _, whole = layer(x, h, timespans=span)
        _, half = layer(x.expand(-1, 2, -1), h, timespans=span / 2)
        gaps.append(max((a - b).abs().max() for a, b in zip(parts(whole), parts(half), strict=True)))
    assert gaps[2] < gaps[0] / 3.4**2 or gaps[0] < 1e-9


@every
def test_gradients(case):
    layer = case.make(num_layers=2, output_size=2).double()
    x, spans = data(time=6, batch=2)  # long enough for a signal to pass two wirings of three layers
    names = [name for name, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    hx = tuple(0.3 * torch.randn_like(s) for s in parts(layer(x)[1]))
    used = layer.time != "ignore" if hasattr(layer, "time") else True

    # How missing features decay matters where some are missing.
    mask = torch.rand(x.shape) > 0.4 if case.kind is lr.GRUD else None

    def run(x, spans, *tensors):
        state, parameters = tensors[: case.parts], tensors[case.parts :]
        return torch.func.functional_call(
            layer,
            dict(zip(names, parameters, strict=True)),
            (x, state if case.parts > 1 else state[0]),
            {"timespans": spans if used else 1.0, "mask": mask},
        )[0]

    arguments = [x, spans, *hx, *values]
    for argument in arguments[: 2 + case.parts]:
        argument.requires_grad_()
    assert torch.autograd.gradcheck(run, arguments, fast_mode=True, atol=1e-6)
    gradients = torch.autograd.grad(run(*arguments).square().sum(), arguments, allow_unused=True)
    assert gradients[0].abs().sum() > 0
    # What a layer without memory has of its state is none of its business.
    assert bool(gradients[2] is not None and gradients[2].any()) == (case.kind is not lr.FeedForward)
    assert (gradients[1] is not None and gradients[1].abs().sum() > 0) == used
    # Only an LTC's output maps of lower layers and such may be idle; every tensor must be able to matter.
    of_parameters = zip(names, gradients[2 + case.parts :], strict=True)
    idle = [n for n, g in of_parameters if g is None or not g.abs().sum() > 0]
    assert idle == []


@every
def test_saving_and_copying(case):
    layer = case.make(num_layers=2).double()
    x, spans = data()
    expected, _ = layer(x, timespans=spans)
    fresh = case.make(num_layers=2).double()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    fresh.load_state_dict(layer.state_dict())
    for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x, timespans=spans)[0], expected)


@every
def test_dtypes(case):
    x, spans = data(torch.float32)
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        layer = case.make(dtype=dtype)
        assert {p.dtype for p in layer.parameters()} == {dtype}
        output, h_n = layer(x.to(dtype), timespans=spans)
        assert output.dtype == dtype and {s.dtype for s in parts(h_n)} == {dtype}
        assert output.isfinite().all()
    single = case.make(dtype=torch.float32)
    output, _ = single(x, timespans=spans)
    half, _ = case.make(dtype=torch.bfloat16)(x.bfloat16(), timespans=spans)
    assert (half.float() - output).abs().max() < 0.1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(single(x, timespans=spans)[0], output)
        assert single(x.bfloat16(), timespans=spans)[0].dtype == torch.float32
    layer = case.make(device="meta")
    assert {p.device.type for p in layer.parameters()} == {"meta"}


@every
def test_same_seed_same_numbers(case):
    x, spans = data(torch.float32)

    def run(seed):
        return case.make(generator=torch.Generator().manual_seed(seed))(x, timespans=spans)[0]

    assert torch.equal(run(3), run(3))
    assert run(3).shape != run(4).shape or not torch.equal(run(3), run(4))
    torch.manual_seed(5)
    first = case.make(generator=None)
    torch.manual_seed(5)
    second = case.make(generator=None)
    assert torch.equal(first(x, timespans=spans)[0], second(x, timespans=spans)[0])


@every
@pytest.mark.parametrize("output_size", [None, 4])
def test_a_generator_alone_decides_the_initial_values(case, output_size):
    before, made = torch.get_rng_state(), []
    for _ in range(2):
        made.append(case.make(num_layers=2, output_size=output_size))
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        before = torch.get_rng_state()
    assert all(torch.equal(*pair) for pair in zip(*(layer.parameters() for layer in made), strict=True))


@every
def test_parameters_are_trained_and_constants_are_buffers(case):
    layer = case.make()
    assert all(p.requires_grad for p in layer.parameters())
    assert all(not b.is_floating_point() or name.endswith("mean") for name, b in layer.named_buffers())
    recurrence = getattr(layer.recurrences[0], "inner", layer.recurrences[0])
    if isinstance(case.hidden, lr.wirings.Recipe):
        wiring = recurrence.wiring
        assert layer.num_synapses == wiring.num_synapses + wiring.num_sensory_synapses


@pytest.mark.sampled(2)
@every
def test_initial_layers_are_stable(case):
    if case.arguments.get("solver") in ("rk4", "explicit") and case.kind is not lr.STC:
        pytest.skip("an explicit method diverges at long spans, as its documentation says")
    if case.kind is lr.RNN:
        pytest.skip("torch's RNN with relu has no bound; that is torch's")
    layer = case.make(dtype=torch.float32)
    g = torch.Generator().manual_seed(2)
    for scale in (1.0, 1e3, 1e6):
        for span in (0.0, 1e-6, 1.0, 1e2, 1e4):
            x = (scale * torch.randn(2, 12, INPUT, generator=g)).requires_grad_()
            output, h_n = layer(x, timespans=span)
            assert output.isfinite().all(), (scale, span)
            output.square().mean().backward()
            assert x.grad.isfinite().all(), (scale, span)
            assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters()), (scale, span)


@pytest.mark.sampled(2)
@every
def test_long_sequences_stay_finite(case):
    explicit = case.arguments.get("solver") in ("rk4", "explicit") and case.kind is not lr.STC
    if explicit or case.kind in (lr.RNN, lr.ODERNN, lr.ODELSTM, lr.MinGRU, lr.MinLSTM):
        pytest.skip("no bound, as documented")
    layer = case.make(dtype=torch.float32)
    x = torch.randn(1, 400, INPUT)
    for span in (0.0, 1.0, 1e4):
        if case.arguments.get("mode") == "pure" and span == 0:
            continue  # no bound at spans of exactly zero, as its documentation says
        with torch.no_grad():
            output, _ = layer(x, timespans=span)
        assert output.isfinite().all() and output.abs().max() < 1e3, span


@every
def test_the_gradient_of_a_span_is_continuous_at_zero(case):
    if not case.ode:
        pytest.skip("not defined by an ODE")
    layer = case.make().double()
    x, _ = data()

    def slope(span):
        spans = torch.full((BATCH, TIME), 0.5, dtype=x.dtype)
        spans[:, 3] = span
        return torch.autograd.grad(layer(x, timespans=spans.requires_grad_())[0].sum(), spans)[0][:, 3]

    assert slope(0.0).abs().min() > 0
    torch.testing.assert_close(slope(0.0), slope(1e-7), rtol=1e-4, atol=1e-5)


@every
def test_packed_sequences_keep_their_rows(case):
    layer = case.make(num_layers=2, bidirectional=True).double()
    x, spans = data(batch=4)
    lengths = torch.tensor([3, TIME, 3, 5])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed_spans = pack_padded_sequence(spans, lengths, batch_first=True, enforce_sorted=False)
    hx = tuple(torch.randn_like(s) for s in parts(layer(x)[1]))
    hx = hx if case.parts > 1 else hx[0]
    output, h_n = layer(packed, hx, timespans=packed_spans)
    assert torch.equal(output.sorted_indices, packed.sorted_indices)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    observed = torch.arange(TIME) < lengths.unsqueeze(1)
    expected, h_expected = layer(x, hx, timespans=spans, mask=observed)
    unpacked, _ = pad_packed_sequence(output, batch_first=True)
    torch.testing.assert_close(unpacked[observed], expected[observed], rtol=0, atol=0)
    same(h_n, h_expected, exact=True)


@every
def test_inner_modules_can_be_hooked_and_pruned(case):
    layer = case.make()
    recurrence = layer.recurrences[0]
    called = []
    recurrence.register_forward_hook(lambda *_: called.append(1))
    x, spans = data(torch.float32)
    layer(x, timespans=spans)
    assert called == [1]
    own = next((name for name, _ in recurrence.named_parameters(recurse=False)), None)
    if own is None:
        return
    torch.nn.utils.prune.random_unstructured(recurrence, own, 0.5)
    for _ in range(2):
        layer.zero_grad()
        layer(x, timespans=spans)[0].sum().backward()
    assert recurrence.get_parameter(own + "_orig").grad is not None


@pytest.mark.sampled(2)
@every
def test_made_under_another_default_device(case):
    with torch.device("meta"):
        layer = case.make(generator=None)
    tensors = [*layer.parameters(), *layer.buffers()]
    assert {t.device.type for t in tensors} == {"meta"}
    output, _ = layer(torch.zeros(BATCH, TIME, INPUT, device="meta"), timespans=torch.ones(TIME, device="meta"))
    assert output.shape == (BATCH, TIME, layer.output_size)


@every
@pytest.mark.parametrize("batch, time", [(0, 3), (2, 0), (1, 1)])
def test_empty_and_single(case, batch, time):
    layer = case.make(output_size=2)
    output, h_n = layer(torch.zeros(batch, time, INPUT))
    assert output.shape == (batch, time, 2)
    assert all(s.shape[1] == batch for s in parts(h_n))


@every
def test_trace(case):
    layer = case.make(bidirectional=True).double()
    x, spans = data()
    output, h_n = layer(x, timespans=spans)
    same_output, same_h, trace = layer(x, timespans=spans, return_trace=True)
    if case.kernel_of_torch:
        torch.testing.assert_close(output, same_output, rtol=1e-12, atol=1e-12)
    else:
        assert torch.equal(output, same_output)
    same(h_n, same_h, exact=not case.kernel_of_torch)
    width = layer.recurrences[0].state_sizes[0]
    assert trace["state"].shape == (BATCH, TIME, 2 * width)
    final = parts(h_n)[0]
    torch.testing.assert_close(trace["state"][:, -1, :width], final[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(trace["state"][:, 0, width:], final[1], rtol=1e-12, atol=1e-12)
    if case.kind not in (lr.RNN, lr.GRUD, lr.FeedForward):
        # A memory cell or CfC may have gates at the edge; a time constant is never negative.
        assert trace["tau"].shape[:2] == (BATCH, TIME) and (trace["tau"] >= 0).all()
    observed = torch.ones(BATCH, TIME, dtype=torch.bool)
    observed[0, 2] = False
    _, _, masked = layer(x, timespans=spans, mask=observed, return_trace=True)
    assert masked["state"].isfinite().all()
    if "tau" in masked:
        assert masked["tau"][0, 2].isnan().all() and not masked["tau"][1].isnan().any()


@every
def test_repr_has_sizes_and_arguments(case):
    layer = case.make(num_layers=2)
    text = repr(layer)
    assert text.startswith(f"{case.kind.__name__}(")
    assert f"{sum(p.numel() for p in layer.parameters()):,} parameters" in text
    assert f"{layer.num_synapses:,} synapses" in text


@pytest.mark.parametrize(
    "kind", sorted({case.kind for case in CASES}, key=lambda k: k.__name__), ids=lambda k: k.__name__
)
def test_documented_arguments_are_the_real_ones(kind):
    real = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "stacking")]
    arguments = re.search(r"Args:\n(.*?)\n\n", inspect.getdoc(kind), re.S).group(1)
    documented = re.findall(r"^ {4}(\w+):", arguments, re.M)
    assert documented == real
    stacked = "stacking" in inspect.signature(kind.__init__).parameters
    assert bool(re.search(r"^ {4}\*\*stacking:", arguments, re.M)) == stacked
    for section in ("Shape:", "Source:", "Example:"):
        assert section in kind.__doc__


@every
def test_dropout_acts_between_layers_in_training_only(case):
    layer = case.make(num_layers=2, dropout=0.5).double()
    x, spans = data()
    torch.manual_seed(1)
    first = layer(x, timespans=spans)[0]
    second = layer(x, timespans=spans)[0]
    assert not torch.equal(first, second)
    layer.eval()
    assert torch.equal(layer(x, timespans=spans)[0], layer(x, timespans=spans)[0])
    with pytest.raises(ValueError, match="dropout acts between layers and has no effect with num_layers=1"):
        case.make(dropout=0.5)


@pytest.mark.sampled(2)
@every
def test_an_optimiser_can_train_it(case):
    layer = case.make(output_size=1)
    x, spans = data(torch.float32, batch=8)
    target = x[..., :1].cumsum(1).tanh()
    optimiser = torch.optim.Adam(layer.parameters(), 0.03)
    losses = []
    for _ in range(40):
        loss = nn.functional.mse_loss(layer(x, timespans=spans)[0], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [lr.CfC, lr.LTC, lr.LRCU, lr.CTRNN])
def test_a_compiled_layer_takes_spans_after_another_batch_size(kind):
    """The batch is a symbol then in input, and a number in spans that are seen for the first time."""
    torch.compiler.reset()
    layer = kind(INPUT, UNITS, batch_first=True)
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for batch, time, with_spans in ((4, 6, False), (3, 6, False), (3, 6, True), (5, 6, True), (5, 7, True)):
        x, spans = data(torch.float32, batch, time)
        spans = spans if with_spans else None
        torch.testing.assert_close(fast(x, timespans=spans)[0], layer(x, timespans=spans)[0])
    with pytest.raises(
        Exception, match="timespans must be|Observed exception"
    ):  # older versions of torch lose the words
        fast(x, timespans=spans[:, 1:])
    torch.compiler.reset()
