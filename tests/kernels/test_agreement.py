"""Every compiled recurrence against the reference that defines it, at sizes no kernel likes."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import product
from types import ModuleType

import numpy as np
import pytest
import torch
from instruction_sets import LAYOUTS, SETS, laid_out, using
from threads import on
from torch.utils.checkpoint import checkpoint
from transforms import check_compiled_graph, check_gradients_of_each

import liquidrnn as lr
from liquidrnn import kernels
from liquidrnn.kernels import lrc, ltc, operator
from liquidrnn.kernels.loop import Inputs

pytestmark = pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")
if kernels.cpu is not None:
    from liquidrnn.kernels import _cpu


@dataclass(frozen=True)
class Case:
    """A recurrence: a layer that has it, and its kernels."""

    kind: type[lr.RecurrentLayer]
    kernel: ModuleType
    options: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.kind.__name__}({','.join(f'{k}={v}' for k, v in self.options.items())})"

    def __hash__(self):
        return hash(self.name)

    @property
    def operator(self):
        return self.kernel.operator

    def make(self, input_size=5, hidden=8, **options) -> lr.RecurrentLayer:
        return self.kind(input_size, hidden, batch_first=True, **self.options, **options)


CASES = [
    Case(lr.LTC, ltc),
    Case(lr.STC, lrc),
    Case(lr.STC, lrc, {"solver": "explicit", "ode_unfolds": 2}),
    Case(lr.LRC, lrc, {"ode_unfolds": 3}),
    Case(lr.LRC, lrc, {"elastance": "asymmetric"}),
    Case(lr.LRCU, lrc),
]
every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
one_of_each_kernel = pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=lambda case: case.name)
every_layout = pytest.mark.parametrize("layout", LAYOUTS, indirect=True)
# With episodes some samples are missing too; masks without them are tested layer by layer.
MASKED = {"all there": False, "masked, in episodes": "episodes"}
every_mask = pytest.mark.parametrize("masked", MASKED.values(), ids=MASKED)


@dataclass
class Problem:
    """Arguments of an operator: tensors that require gradients where they can, and settings."""

    operator: operator.Operator
    tensors: list[torch.Tensor | None]
    settings: tuple

    def grouped(self, tensors=None):
        return self.operator.grouped([*(tensors or self.tensors), *self.settings])

    def reference(self, tensors=None):
        return self.operator.reference(*self.grouped(tensors))

    def arguments(self, tensors=None):
        """As torch's registry has them."""
        return (*(tensors or self.tensors), *self.settings, True)

    def compiled(self, tensors=None):
        return self.operator(*self.grouped(tensors), "cpu")

    def detached(self):
        return [None if t is None else t.detach() for t in self.tensors]

    def kept(self):
        """What a forward pass leaves for the backward pass, (batch, samples, numbers)."""
        kept = self.operator.forward(*self.arguments(self.detached()))[1]
        inputs, initial, equation = self.grouped()
        numbers = self.operator.kernels["cpu"].numbers(inputs, initial, equation)
        return operator._by_sample(kept, len(initial), numbers)


def problem_of(operator, recurrence, batch, time, masked, dtype, seed):
    """A problem with the parameters of a recurrence, each changed at random."""
    g = torch.Generator().manual_seed(seed)
    spans = 3 * torch.rand(batch, time, 1, generator=g, dtype=dtype)
    spans[torch.rand(batch, time, 1, generator=g) < 0.2] = 0
    present = torch.rand(batch, time, 1, generator=g) < 0.7 if masked else None
    reset = torch.rand(batch, time, 1, generator=g) < 0.3 if masked == "episodes" else None
    values = torch.randn(batch, time, recurrence.input_size, generator=g, dtype=dtype)
    initial = torch.randn(batch, sum(recurrence.state_sizes), generator=g).to(dtype)
    inputs = Inputs(values, spans, present, None, reset)
    if recurrence.reads_mask:
        inputs = inputs._replace(observed=torch.rand(values.shape, generator=g) < 0.6)
    *tensors, _ = operator.arguments(inputs, initial, recurrence.coefficients())
    count = operator._count
    tensors, settings = [None if t is None else t.detach().clone() for t in tensors[:count]], tuple(tensors[count:])
    for n, tensor in enumerate(tensors):
        if tensor is not None and tensor.is_floating_point():
            # Some parameters start as equal numbers.
            noise = 0.2 * torch.rand(tensor.shape, generator=g).to(dtype) if n > 4 else 0
            tensors[n] = (tensor + noise).requires_grad_()
    return Problem(operator, tensors, settings)


def problem(case, batch, time, units, dense=True, masked=False, dtype=torch.float64, inputs=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    hidden = units if dense else lr.wirings.Random(units, sparsity=0.6)
    recurrence = case.make(inputs, hidden, generator=g, dtype=dtype).recurrences[0]
    return problem_of(case.operator, recurrence, batch, time, masked, dtype, seed)


def differentiated(states, tensors):
    wanted = [t for t in tensors if t is not None and t.requires_grad]
    g = torch.Generator().manual_seed(9)
    upstream = torch.randn(states.shape, generator=g, dtype=torch.float64).to(states.dtype)
    return torch.autograd.grad(states, wanted, upstream, materialize_grads=True)


@every
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@every_mask
@pytest.mark.parametrize("units", [1, pytest.param(7, marks=pytest.mark.slow), 33])
def test_states_and_gradients(case, dense, masked, units):
    for batch, time in [(0, 3), (2, 0), (1, 1), (1, 5), (3, 5), (17, 5), (33, 2)]:
        p = problem(case, batch, time, units, dense, masked)
        expected = p.reference()
        # Nothing to differentiate without a sample.
        gradients = differentiated(expected, p.tensors) if expected.requires_grad else ()
        for name, layout in product(SETS, LAYOUTS):
            with using(name), laid_out(layout):
                found = p.compiled()
                torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
                for a, b in zip(differentiated(found, p.tensors) if gradients else (), gradients, strict=True):
                    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@every
@every_layout
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
def test_single_precision(instruction_set, case, layout, dense):
    """Compared with float64 of the same numbers, no worse than the reference in float32 by much."""
    p = problem(case, 17, 6, 33, dense, dtype=torch.float32)
    exact_tensors = [
        t if t is None or not t.is_floating_point() else t.detach().double().requires_grad_() for t in p.tensors
    ]
    exact = p.reference(exact_tensors)
    exact_gradients = differentiated(exact, exact_tensors)

    def errors(states):
        pairs = zip((states, *differentiated(states, p.tensors)), (exact, *exact_gradients), strict=True)
        return torch.stack([(a.double() - b).abs().max() / b.abs().max() for a, b in pairs])

    found, plain = errors(p.compiled()), errors(p.reference())
    assert (found < 4 * plain + 2e-6).all(), (found, plain)


@every_layout
def test_a_symmetric_elastance_at_its_peak(layout):
    """Nothing pulls a unit from where its gate is 0: the reference's derivative there is that of an even function."""
    p = problem(CASES[-1], 3, 1, 7)
    data, bias = p.tensors[:2], p.tensors[7]
    with torch.no_grad():
        for tensor in (*data, bias):
            tensor.zero_()
    states = p.compiled()
    for a, b in zip(differentiated(states, p.tensors), differentiated(p.reference(), p.tensors), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@every
@every_layout
def test_gradcheck(case, layout):
    p = problem(case, 3, 2, 4, dense=False, masked="episodes")
    wanted = [n for n, t in enumerate(p.tensors) if t is not None and t.requires_grad]

    def run(*values):
        whole = list(p.tensors)
        for n, value in zip(wanted, values, strict=True):
            whole[n] = value
        return p.compiled(whole)

    assert torch.autograd.gradcheck(run, [p.tensors[n] for n in wanted], fast_mode=True)
    # Gradients of gradients are the reference's, which has no layout.
    if layout == "batch in lanes":
        assert torch.autograd.gradgradcheck(run, [p.tensors[n] for n in wanted], fast_mode=True)


@one_of_each_kernel
@every_mask
def test_opcheck(case, masked):
    check_operator(problem(case, 3, 4, 7, dense=False, masked=masked, dtype=torch.float32), traced=masked)


def check_operator(p, traced):
    """torch's own checks; that a trace with its gradients is the operator's takes most of their time."""
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(
        p.operator.forward, p.arguments(), test_utils=(*checks, *["test_aot_dispatch_dynamic"] * bool(traced))
    )
    plain = p.arguments(p.detached())
    states, kept = p.operator.forward(*plain)
    gradients = torch.randn_like(states)
    torch.library.opcheck(p.operator.backward, (states, kept, gradients, *plain), test_utils=checks)


@every
@every_mask
def test_nothing_needs_to_be_kept(case, masked, keep):
    """Then the backward pass takes the sequence again, a piece at a time."""
    check_without_keeping(problem(case, 5, 7, 9, masked=masked), keep)


def check_without_keeping(p, keep):
    whole, sample = differentiated(p.compiled(), p.tensors), p.kept()[:, :1].nbytes
    for samples in (0, 1, 3, 6):
        keep(p.operator, samples * sample + 5)
        assert p.kept().shape[1] == (samples if p.operator.kernels["cpu"].partly else 0)
        pieces = differentiated(p.compiled(), p.tensors)
        for a, b in zip(whole, pieces, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


@every
def test_checkpointing_of_a_sequence_in_pieces(case):
    layer, x = case.make(dtype=torch.float64), torch.randn(3, 10, 5, dtype=torch.float64)
    whole = torch.autograd.grad(layer(x)[1].sum(), list(layer.parameters()), materialize_grads=True)
    state = None
    for piece in x.split(4, dim=1):
        _, state = checkpoint(layer, piece, state, use_reentrant=False)
    pieces = torch.autograd.grad(state.sum(), list(layer.parameters()), materialize_grads=True)
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


@every
def test_strided_arguments(case):
    p = problem(case, 4, 5, 7)
    states = p.compiled()
    strided = [t if t is None else torch.stack([t, t], -1)[..., 0] for t in p.tensors]
    strided[0] = p.tensors[0].transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(p.compiled(strided), states)
    states.sum().backward()
    first = p.tensors[0].grad.clone()
    p.tensors[0].grad = None
    p.compiled(strided).sum().backward()
    assert torch.equal(p.tensors[0].grad, first)


@every
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@every_layout
@pytest.mark.parametrize("sizes", [(70, 4, 20), (1, 7, 70), (6, 5, 50)], ids=["many", "one", "few"])
def test_the_same_bits_for_any_number_of_threads(case, dense, layout, sizes):
    """Of many sequences each thread does some; of one, or few, all threads do the same together."""
    p = problem(case, *sizes, dense, masked="episodes", dtype=torch.float32)
    results = []
    for threads in (1, 2, 5):
        with on(threads):
            states = p.compiled()
            results.append((states, *differentiated(states, p.tensors)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 3])
def test_fewer_threads_than_requested(limit):
    code = """
import torch, liquidrnn as lr
torch.manual_seed(0)
layer, x = lr.LTC(5, 80), torch.randn(9, 1, 5)
results = []
for threads in (1, 4):
    torch.set_num_threads(threads)
    lr.kernels.cpu.suppose_cores(threads)
    output = layer(x)[0]
    results.append((output, *torch.autograd.grad(output.sum(), list(layer.parameters()))))
assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*results, strict=True))
print("agree")
"""
    assert run(code, OMP_THREAD_LIMIT=str(limit), OMP_NUM_THREADS="4") == "agree\n"


@every_layout
@every_mask
def test_the_same_bits_however_much_of_an_ltc_is_kept(layout, masked, keep):
    for batch, threads in ((3, 1), (3, 2), (16, 2), (21, 1)):
        p = problem(CASES[0], batch, 5, 44, dense=False, masked=masked, dtype=torch.float32)
        sample = batch * 2 * p.settings[0] * 44 * 4
        results = []
        for kept_bytes in (0, 2 * sample + 7, 5 * sample):
            keep(p.operator, kept_bytes)
            assert p.kept().shape[1] == kept_bytes // sample
            with on(threads):
                states = p.compiled()
                results.append((states, *differentiated(states, p.tensors)))
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def ulps(found, exact):
    unit = torch.finfo(found.dtype).eps * torch.exp2(torch.floor(torch.log2(exact)))
    return float(((found.double() - exact).abs() / unit).max())


@pytest.mark.parametrize("flushing", [False, True], ids=["", "small numbers flushed, as in kernels"])
def test_error_of_the_sigmoid(instruction_set, flushing):
    t = torch.linspace(-125, 125, 500_001)
    special = torch.tensor([torch.inf, -torch.inf, torch.nan, 3e38, -3e38, 0.0, 1e-45, -1e-45, 127.0])
    arguments = t, t.double(), special
    found = [torch.empty_like(t) for t in arguments]
    torch.set_flush_denormal(flushing)
    try:
        for of, to in zip(arguments, found, strict=True):
            _cpu.opened(of, to)
    finally:
        torch.set_flush_denormal(False)
    exact = torch.from_numpy(1 / (1 + np.exp2(t.numpy().astype(np.float64))))
    assert ulps(found[0], exact) < 3.5
    assert ulps(found[0][t < 0], exact[t < 0]) < 2
    assert ulps(found[1], exact) < 5  # the comparison itself is in float64
    limits = torch.tensor([0.0, 1.0, torch.nan, 0.0, 1.0, 0.5, 0.5, 0.5, 0.0])
    torch.testing.assert_close(found[2], limits, equal_nan=True, rtol=0, atol=0)


@one_of_each_kernel
def test_compiled_graph(case):
    layer = case.make(hidden=lr.wirings.AutoNCP(12, outputs=3))
    check_compiled_graph(layer, torch.randn(4, 6, 5))


@one_of_each_kernel
def test_vmap_and_functional_gradients(case):
    layer = case.make().double()
    x = torch.randn(3, 2, 6, 5, dtype=torch.float64)
    expected = torch.stack([layer(part)[0] for part in x])
    torch.testing.assert_close(torch.vmap(lambda part: layer(part)[0])(x), expected)
    check_gradients_of_each(layer, x)


@one_of_each_kernel
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_forward_mode_takes_the_reference(case):
    layer = case.make().double()
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    output, slope = torch.func.jvp(lambda x: layer(x)[0], (x,), (torch.ones_like(x),))
    torch.testing.assert_close(output, layer(x)[0])
    shifted = (layer(x + 1e-6)[0] - layer(x - 1e-6)[0]) / 2e-6
    torch.testing.assert_close(slope, shifted, rtol=1e-5, atol=1e-8)


def test_a_backend_is_asked_for_by_name():
    x = torch.randn(2, 3, 5)
    named = [
        lr.LTC(5, 8, generator=torch.Generator().manual_seed(0), backend=name) for name in ("cpu", "reference", None)
    ]
    outputs = [layer(x)[0] for layer in named]
    assert torch.equal(outputs[0], outputs[2])
    torch.testing.assert_close(outputs[1], outputs[0])
    assert not torch.equal(outputs[1], outputs[0])
    assert "backend='reference'" in repr(named[1]) and "backend" not in repr(named[2])
    with pytest.raises(ValueError, match="backend must be None, 'reference' or 'cpu', but got 'cuda'"):
        lr.LTC(5, 8, backend="cuda")
    with pytest.raises(ValueError, match="backend must be 'reference' or None for this .*, but got 'cpu'"):
        lr.recurrent.Recurrence().run_on("cpu")
    half = lr.LTC(5, 8, backend="cpu", dtype=torch.bfloat16)
    with pytest.raises(RuntimeError, match="backend='cpu' needs float32 or float64 on the CPU"):
        half(x.bfloat16())


def run(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=os.environ | environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_measured_peak_rates():
    clock, sigmoids = _cpu.cycles_per_second(), _cpu.sigmoids_per_second(500)
    assert 1e8 < clock < 1e10
    # No vector here has more than 16 lanes, and no sigmoid of a vector takes less than a cycle.
    assert 1e6 < sigmoids < 16 * clock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_too():
    """Sizes at which torch's own operators, around a kernel, share work among threads."""
    code = """
import itertools, os, torch, liquidrnn as lr
torch.manual_seed(0)
torch.set_num_threads(2)
inputs = torch.randn(1, 6, 5), torch.randn(64, 20, 5)
for kind, x in itertools.product((lr.LTC, lr.CfC, lr.LRC, lr.GRU), inputs):
    layer = kind(5, 96, batch_first=True, output_size=3)
    def work():
        output = layer(x)[0]
        found = output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()), materialize_grads=True)
        return *found, layer.step(x[:, 0])[0], lr.Stream(layer, batch=len(x))(x[:, 0])
    expected = work()
    child = os.fork()
    if not child:
        try:
            # The readout's gradient is a product of torch's, which sums in another order with fewer threads.
            pairs = zip(work(), expected, strict=True)
            same = all((a - b).abs().max() <= 1e-6 * b.abs().max().clamp(min=1) for a, b in pairs)
            os._exit(0 if same and torch.get_num_threads() == 1 else 3)
        finally:
            os._exit(4)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.get_num_threads() == 2
print("equal")
"""
    assert run(code) == "equal\n"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_no_more_threads_than_cores():
    code = """
import os, torch, liquidrnn as lr
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
layer = lr.LTC(5, 80)
def threads_of(sequences):
    with torch.no_grad():
        layer(torch.randn(9, sequences, 5))
    return len(os.listdir("/proc/self/task"))
torch.set_num_threads(1)
before = threads_of(1)
torch.set_num_threads(8)
assert threads_of(1) == threads_of(40) == before
lr.kernels.cpu.suppose_cores(3)
assert threads_of(1) > before
print("as many")
"""
    assert run(code) == "as many\n"


def test_a_module_of_another_version_is_not_used():
    code = """
import importlib, sys
from pathlib import Path
import types
import liquidrnn.kernels as kernels
kernels.cpu.interface = 1
module = importlib.reload(kernels)
assert module.cpu is None
print(module.backends()["cpu"])
"""
    assert "compiled from another version of its sources; install a wheel" in run(code)


def test_without_the_compiled_module_the_reference_runs_and_says_so_once():
    code = """
import sys, warnings
sys.modules["liquidrnn.kernels._cpu"] = None
import torch, liquidrnn as lr
layer = lr.LTC(5, 8)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for _ in range(2):
        assert layer(torch.randn(3, 2, 5))[0].isfinite().all()
assert len(told) == 1 and "slow reference" in str(told[0].message), told
assert "cannot run" in lr.backends()["cpu"]
try:
    lr.LTC(5, 8, backend="cpu")
except RuntimeError as error:
    print(error)
"""
    assert "cannot run" in run(code)
