"""Tensors that are not plain memory, and callers that watch or transform: right numbers or an error, never garbage."""

import functools

import pytest
import torch
from test_every_layer import CASES, NCP, data, every
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import liquidrnn as lr

LOOPS = (lr.ODERNN, lr.ODELSTM, lr.GRUODE, lr.CTGRU, lr.CTLSTM, lr.PhasedLSTM, lr.CoRNN, lr.FeedForward)
"""Layers without a kernel."""
COMPILED = [case for case in CASES if not case.kernel_of_torch and case.kind not in LOOPS]
compiled = pytest.mark.parametrize("case", COMPILED, ids=lambda case: case.name)


class Labelled(torch.Tensor):
    """A subclass that is memory like any other, as images and parameters with a label are in other libraries."""


class Seen(TorchDispatchMode):
    """Notes the operators that reach the dispatcher."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.sampled(3)
@every
def test_fake_tensors_have_shapes_and_gradients(case):
    layer, (x, spans) = case.make().double(), data(time=3)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(x).requires_grad_()
        mask = None if case.kernel_of_torch else mode.from_tensor(torch.ones(x.shape[:2], dtype=torch.bool))
        output, _ = layer(fake, timespans=mode.from_tensor(spans), mask=mask)
        output.sum().backward()
    assert isinstance(output, FakeTensor) and output.shape == layer(x)[0].shape
    assert isinstance(fake.grad, FakeTensor)


@pytest.mark.sampled(3)
@every
def test_a_layer_can_be_built_of_fake_tensors(case):
    with FakeTensorMode():
        layer = case.make(generator=None)
        output, _ = layer(torch.randn(2, 3, 5))
        step, _ = layer.step(torch.randn(2, 5))
    assert isinstance(output, FakeTensor) and output.shape == (2, 3, layer.output_size)
    assert isinstance(step, FakeTensor)
    assert all(isinstance(tensor, FakeTensor) for tensor in layer.state_dict().values())


@pytest.mark.sampled(3)
@every
def test_a_wrapper_of_two_tensors_is_computed_twice(case):
    layer, (x, spans) = case.make().double(), data()
    if case.kernel_of_torch:
        pytest.skip("torch's own LSTM and GRU do not take such tensors")
    pair = TwoTensor(x, 2 * x).requires_grad_()
    output, _ = layer(pair, timespans=spans)
    torch.testing.assert_close(output.a, layer(x, timespans=spans)[0])
    torch.testing.assert_close(output.b, layer(2 * x, timespans=spans)[0])
    output.sum().backward()
    plain = (2 * x).requires_grad_()
    layer(plain, timespans=spans)[0].sum().backward()
    torch.testing.assert_close(pair.grad.b, plain.grad)


@every
def test_a_subclass_that_only_labels_values_computes_as_they_do(case):
    layer, (x, spans) = case.make().double(), data()
    mask = torch.rand(x.shape) > 0.3
    plain, labelled = x.clone().requires_grad_(), x.as_subclass(Labelled).requires_grad_()
    expected, _ = layer(plain, timespans=spans, mask=mask)
    output, _ = layer(labelled, timespans=spans.as_subclass(Labelled), mask=mask)
    assert isinstance(output, Labelled)
    torch.testing.assert_close(output.as_subclass(torch.Tensor), expected)
    expected.sum().backward()
    output.sum().backward()
    torch.testing.assert_close(labelled.grad.as_subclass(torch.Tensor), plain.grad)


@compiled
def test_parameters_may_be_labelled(case):
    layer, (x, spans) = case.make().double(), data()
    labelled = {name: value.clone().as_subclass(Labelled) for name, value in layer.state_dict().items()}
    twin = case.make().double()
    twin.load_state_dict(labelled, assign=True)
    for one in (layer, twin):
        one(x, timespans=spans)[0].square().sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(torch.Tensor(twin(x)[0]), layer(x)[0])
    for found, expected in zip(twin.parameters(), layer.parameters(), strict=True):
        assert isinstance(found, Labelled)
        assert (found.grad is None) == (expected.grad is None)
        if expected.grad is not None:
            torch.testing.assert_close(torch.Tensor(found.grad), expected.grad)


@pytest.mark.sampled(3)
# Tracing takes half a second each; the first case of each layer stands for the others.
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.slow] * any(case.kind is earlier.kind for earlier in CASES[:number]))
        for number, case in enumerate(CASES)
    ],
    ids=lambda case: case.name,
)
def test_a_traced_graph_recomputes_with_gradients(case):
    layer = case.make().double()
    parameters = {name: p.detach().requires_grad_() for name, p in layer.named_parameters()}

    def gradients(x, spans, *values):
        x = x.detach().requires_grad_()
        named = dict(zip(parameters, values, strict=True))
        output, _ = torch.func.functional_call(layer, named, (x,), {"timespans": spans})
        return output, *torch.autograd.grad(output.square().sum(), (x, *values), allow_unused=True)

    values = tuple(parameters.values())
    graph = make_fx(gradients)(*data(time=3, seed=1), *values)
    x, spans = data(time=3, seed=2)
    for traced, eager in zip(graph(x, spans, *values), gradients(x, spans, *values), strict=True):
        assert (traced is None and eager is None) or torch.equal(traced, eager)


@compiled
def test_dispatch_modes_see_the_operator_forward_and_backward(case):
    layer, (x, _) = case.make().double(), data()
    with Seen() as seen:
        layer(x)[0].sum().backward()
    ours = [name for name in seen.names if name.startswith("liquidrnn.")]
    operators = len(case.hidden) if case.kind is lr.StackedLSTM else 1
    expected = 0 if case.arguments.get("mixed_memory") and case.kind is not lr.CfC else 2 * operators
    assert len(ours) == expected or (expected == 0 and len(ours) % 2 == 0 and ours)


@compiled
def test_batched_gradients(case):
    layer, (x, _) = case.make().double(), data()
    output, _ = layer(x.requires_grad_())
    several = torch.randn(3, *output.shape, dtype=x.dtype)
    (batched,) = torch.autograd.grad(output, x, several, is_grads_batched=True, retain_graph=True)
    for one, expected in zip(batched, several, strict=True):
        (found,) = torch.autograd.grad(output, x, expected, retain_graph=True)
        torch.testing.assert_close(one, found)


@compiled
def test_views_with_a_negative_sign(case):
    layer, (x, spans) = case.make().double(), data()
    negative = torch.complex(torch.zeros_like(x), x).conj().imag
    assert negative.is_neg()
    assert torch.equal(layer(negative, timespans=spans)[0], layer(-x, timespans=spans)[0])


@compiled
def test_selective_checkpointing_finds_the_operator(case):
    layer, (x, spans) = case.make().double(), data()
    found = []

    def keep(context, function, *arguments, **options):
        found.append(str(function))
        ours = "liquidrnn" in str(function)
        return CheckpointPolicy.MUST_SAVE if ours else CheckpointPolicy.PREFER_RECOMPUTE

    contexts = functools.partial(create_selective_checkpoint_contexts, keep)
    once, twice = x.clone().requires_grad_(), x.clone().requires_grad_()
    checkpoint(lambda x: layer(x, timespans=spans)[0], once, use_reentrant=False, context_fn=contexts).sum().backward()
    layer(twice, timespans=spans)[0].sum().backward()
    assert torch.equal(once.grad, twice.grad) and any("liquidrnn" in name for name in found)


@pytest.mark.parametrize(
    "case", [pytest.param(COMPILED[0], marks=pytest.mark.slow), COMPILED[4]], ids=lambda case: case.name
)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_autograd(case):
    layer, (x, _) = case.make().double(), data()
    graph, eager = x.clone().requires_grad_(), x.clone().requires_grad_()
    output, _ = layer(graph)
    with torch._dynamo.compiled_autograd._enable(torch.compile(backend="eager")):
        output.square().sum().backward()
    layer(eager)[0].square().sum().backward()
    assert torch.equal(graph.grad, eager.grad)


@pytest.mark.parametrize("make", [lambda x: x.to_sparse(), lambda x: x.to_mkldnn()], ids=["sparse", "mkldnn"])
def test_other_layouts_are_refused(make):
    with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
        lr.LTC(5, 4, batch_first=True)(make(torch.randn(2, 3, 5)))


def test_compiled_kernels_refuse_tensors_without_memory():
    layer = lr.LTC(5, NCP).requires_grad_(False)
    layer.layers[0][0].vleak = torch.nn.Parameter(TwoTensor(torch.zeros(8), torch.zeros(8)), requires_grad=False)
    with pytest.raises(TypeError, match="plain tensors, but got a TwoTensor.*reference"):
        lr.Stream(layer)
