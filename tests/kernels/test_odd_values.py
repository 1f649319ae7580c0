"""Infinities, NaN and numbers near the ends of a type's range stay where they belong."""

import copy

import numpy as np
import pytest
import test_agreement
import test_cfc_agreement
import torch
from instruction_sets import SETS, using
from threads import on

import liquidrnn as lr
from liquidrnn import kernels

pytestmark = pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")

ODD = {"inf": torch.inf, "-inf": -torch.inf, "nan": torch.nan, "large": 0.9, "-large": -0.9}
every_odd = pytest.mark.parametrize("odd", ODD)
# In episodes some samples are there and some are not.
masks = pytest.mark.parametrize("masked", [pytest.param(False, marks=pytest.mark.slow), "episodes"])
RECURRENCES = test_agreement.CASES
every_recurrence = pytest.mark.parametrize("case", RECURRENCES, ids=lambda case: case.name)


def put(input, place, odd):
    """``odd`` at a place, where large ones are a part of the largest number."""
    value = ODD[odd]
    with torch.no_grad():
        input[place] = value if odd in ("inf", "-inf", "nan") else value * torch.finfo(input.dtype).max


def check_against(expected, run, tensors):
    """The states of ``run()``, and gradients of the finite ones, are finite where the reference's are, and as there.

    The reference's own gradients are NaN where autograd multiplies 0 by infinity.
    """
    finite = expected.isfinite()
    g = torch.Generator().manual_seed(9)
    upstream = torch.randn(expected.shape, generator=g, dtype=torch.float64).to(expected.dtype).where(finite, 0)
    wanted = [t for t in tensors if t is not None and t.requires_grad]
    right = torch.autograd.grad(expected, wanted, upstream, materialize_grads=True)
    rough = 2e-3 if expected.dtype == torch.float32 else 1e-9
    for name in SETS:
        with using(name):
            states = run()
            assert (states.isfinite() | ~finite).all()
            for found, exact in zip(
                (states, *torch.autograd.grad(states, wanted, upstream, materialize_grads=True)),
                (expected, *right),
                strict=True,
            ):
                exact, there = exact.detach(), exact.isfinite()
                scale = max(1.0, float(exact[there].abs().max())) if there.any() else 1.0
                torch.testing.assert_close(found[there] / scale, exact[there] / scale, rtol=rough, atol=rough / 100)
            yield states


@every_odd
@every_recurrence
@test_agreement.every_layout
@masks
def test_states_and_gradients_of_a_random_wiring(case, layout, masked, odd):
    for seed, (batch, units, dtype) in enumerate(
        [(1, 9, torch.float32), (5, 21, torch.float64), (18, 9, torch.float32)]
    ):
        p = test_agreement.problem(case, batch, 4, units, dense=False, masked=masked, dtype=dtype, seed=seed)
        place = torch.randint(batch, ()), 1, torch.randint(5, ())
        put(p.tensors[0], place, odd)
        expected = p.reference()
        for states in check_against(expected, lambda p=p: p.compiled(), p.tensors):
            assert torch.equal(states.isfinite(), expected.isfinite())


@every_odd
@masks
@test_cfc_agreement.distinct_forms
def test_states_and_gradients_of_a_cfc(form, masked, odd):
    """Its reference is dense: with a wiring it multiplies zeros by what is odd, and is finite less often."""
    for batch, units, dtype in [(1, 9, torch.float32), (11, 20, torch.float64)]:
        p = test_cfc_agreement.problem(form, batch, 4, units, masked, dtype)
        put(p.tensors[0], (batch // 2, 1, 2), odd)
        expected = p.reference()
        run = lambda p=p: p.compiled()  # noqa: E731
        for states in check_against(expected, run, p.tensors):
            if "wired" not in form and form != "converted":
                assert torch.equal(states.isfinite(), expected.isfinite())


def differences(states, others):
    return (states != others) & ~(states.isnan() & others.isnan())


@pytest.mark.sampled(2)
@every_odd
@every_recurrence
@test_agreement.every_layout
def test_other_sequences_have_the_same_bits(instruction_set, case, layout, odd):
    """States, and gradients of what belongs to a sequence."""
    for batch, units in ((3, 20), (19, 7)):
        p = test_agreement.problem(case, batch, 4, units, dense=False, masked="episodes", dtype=torch.float32)
        results = []
        for changed in (False, True):
            if changed:
                put(p.tensors[0], (1, 2, 0), odd)
            states = p.compiled()
            results.append((states, *test_agreement.differentiated(states, p.tensors)[:3]))
        for before, after in zip(*results, strict=True):
            others = torch.arange(batch) != 1
            assert torch.equal(before[others], after[others])


@every_odd
@pytest.mark.parametrize("form", ["wired", "wired, pure", "wired, memory", "converted", "default"])
def test_other_sequences_of_a_cfc_have_the_same_bits(instruction_set, form, odd):
    p = test_cfc_agreement.problem(form, 11, 4, 12, masked="episodes", dtype=torch.float32)
    results = []
    for changed in (False, True):
        if changed:
            put(p.tensors[0], (1, 2, 0), odd)
        states = p.compiled()
        results.append((states, *test_agreement.differentiated(states, p.tensors)[:3]))
    for before, after in zip(*results, strict=True):
        others = torch.arange(11) != 1
        assert torch.equal(before[others], after[others])


@every_odd
@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_odd_values_spread_along_connections_only_in_a_wired_cfc(instruction_set, mode, odd):
    """Units that no path reaches from the input by then have the same bits as without it."""
    spared = 0
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        layer = lr.CfC(4, lr.wirings.Random(19, sparsity=0.9), batch_first=True, mode=mode, generator=generator)
        wiring = layer.wiring
        x = torch.randn(3, 4, 4, generator=generator)
        before = layer(x)[0]
        put(x, (2, 1, 1), odd)
        after = layer(x)[0]
        reached = np.zeros(19, bool)
        for t in range(4):
            # A layer reads those before it as they are after this sample; `reached` is changed as they are.
            for units in wiring.layers:
                now = reached.copy()
                for unit in units:
                    now[unit] |= (wiring.adjacency[:, unit] != 0) @ reached
                    now[unit] |= t == 1 and wiring.sensory_adjacency[1, unit] != 0
                reached = now
            spared += (~reached).sum()
            assert not differences(before[2, t], after[2, t])[torch.from_numpy(~reached)].any()
        assert not differences(before[:2], after[:2]).any()
    assert spared


@every_odd
@pytest.mark.parametrize("kind", [lr.LTC, lr.LRC, lr.STC, lr.LRCU, lr.CfC])
@pytest.mark.parametrize("memory", [False, True], ids=["", "mixed memory"])
def test_a_stream_equals_the_layer(kind, memory, odd):
    layer = kind(4, lr.wirings.Random(19, outputs=5, sparsity=0.7), batch_first=True, mixed_memory=memory)
    x = torch.randn(6, 5, 4)
    put(x, (3, 1, 2), odd)
    with torch.no_grad():
        whole = layer(x)[0]
    stream = lr.Stream(layer, batch=6)
    for t in range(5):
        assert not differences(stream(x[:, t]), whole[:, t]).any()


@every_recurrence
@test_agreement.every_layout
def test_a_last_chunk_does_not_depend_on_the_first(instruction_set, case, layout):
    """One strand takes both where there are more chunks than strands; the last one has lanes without a sequence."""
    lanes = {"avx512": 16, "avx2": 8, "portable": 4}[instruction_set] if layout == "batch in lanes" else 8
    p = test_agreement.problem(case, 32 * lanes + 3, 2, 3, masked="episodes", dtype=torch.float32)
    put(p.tensors[0], (0, 0, 0), "nan")
    last = [
        t if t is None or n > 4 else t[-3:].detach().requires_grad_(t.requires_grad) for n, t in enumerate(p.tensors)
    ]
    found, alone = p.compiled(), p.compiled(last)
    assert torch.equal(found[-3:], alone)
    for a, b in zip(
        torch.autograd.grad(found.sum(), p.tensors[:3]), torch.autograd.grad(alone.sum(), last[:3]), strict=True
    ):
        assert torch.equal(a[-3:], b)


@every_recurrence
@test_agreement.every_layout
def test_gradients_of_parameters_over_many_chunks(instruction_set, case, layout):
    lanes = {"avx512": 8, "avx2": 4, "portable": 2}[instruction_set] if layout == "batch in lanes" else 8
    for more in (1, lanes - 1):
        p = test_agreement.problem(case, 32 * lanes + more, 2, 3, dense=False)
        found, expected = p.compiled(), p.reference()
        for a, b in zip(*(test_agreement.differentiated(s, p.tensors) for s in (found, expected)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


LAYERS = {
    "LTC": lambda **k: lr.LTC(4, 19, **k),
    "LRC": lambda **k: lr.LRC(4, lr.wirings.AutoNCP(19, outputs=3), **k),
    "CfC": lambda **k: lr.CfC(4, 19, **k),
    "CfC, pure": lambda **k: lr.CfC(4, 19, mode="pure", backbone_layers=0, **k),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_numbers_too_small_to_be_normal_count_as_zero(instruction_set, make):
    """With the same bits for any number of threads, and in a stream; other code on the thread still has them."""
    least = torch.finfo(torch.float32).tiny
    layer = make(batch_first=True)
    reference = copy.deepcopy(layer)
    reference.recurrences[0].run_on("reference")
    x, upstream = least * torch.randn(70, 3, 4), least * torch.randn(70, 3, layer.output_size)
    parameters = list(layer.layers.parameters())
    results = []
    for threads in (1, 2, 5):
        with on(threads):
            output = layer(x)[0]
            results.append(
                (output.detach(), *torch.autograd.grad(output, parameters, upstream, materialize_grads=True))
            )
            assert (torch.full((99,), least) / 4 > 0).all()
    torch.testing.assert_close(results[0][0], reference(x)[0].detach())
    stream = lr.Stream(layer, batch=70)
    assert torch.equal(torch.stack([stream(sample) for sample in x.unbind(1)], 1), results[0][0])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_small_gradients_in_kernels(instruction_set):
    p = test_agreement.problem(RECURRENCES[0], 3, 4, 9, dtype=torch.float32)
    states = p.compiled()
    found = torch.autograd.grad(states, p.tensors[0], torch.full_like(states, 1e-40))[0]
    assert not found.any()
