"""A stream gives what stepping through the layer gives, bit for bit."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

import liquidrnn as lr

LAYERS = {
    "LTC": lambda **k: lr.LTC(5, 9, **k),
    "LTC, wired, two layers": lambda **k: lr.LTC(5, lr.wirings.AutoNCP(12, outputs=3), 2, **k),
    "LTC, no maps": lambda **k: lr.LTC(5, 9, input_mapping=None, output_mapping="linear", **k),
    "LRC": lambda **k: lr.LRC(5, 17, elastance="asymmetric", ode_unfolds=2, **k),
    "LRCU, wired": lambda **k: lr.LRCU(5, lr.wirings.AutoNCP(12, outputs=3), **k),
    "STC": lambda **k: lr.STC(5, 9, **k),
    "CfC": lambda **k: lr.CfC(5, 9, backbone_units=11, **k),
    "CfC, pure, no backbone": lambda **k: lr.CfC(5, 9, mode="pure", backbone_layers=0, **k),
    "CfC, wired": lambda **k: lr.CfC(5, lr.wirings.AutoNCP(12, outputs=3), **k),
    "CfC, mixed memory": lambda **k: lr.CfC(5, 9, mixed_memory=True, backbone_dropout=0.5, **k),
    "GRU, decay": lambda **k: lr.GRU(5, 9, time="decay", **k),
    "LSTM, projected": lambda **k: lr.LSTM(5, 9, proj_size=4, time="append", **k),
    "CT-RNN, heun": lambda **k: lr.CTRNN(5, 9, solver="heun", **k),
    "GRU-D": lambda **k: lr.GRUD(5, 9, **k),
}
SLOW = {
    "ODE-RNN": lambda **k: lr.ODERNN(5, 9, **k),
    "CT-GRU": lambda **k: lr.CTGRU(5, 9, **k),
    "Phased LSTM": lambda **k: lr.PhasedLSTM(5, 9, open_share=0.5, **k),
    "minLSTM": lambda **k: lr.MinLSTM(5, 9, time="append", **k),
    "stacked LSTM": lambda **k: lr.StackedLSTM(5, (9, 4), time="append", **k),
    "CfC, time appended": lambda **k: lr.CfC(5, 9, time="append", **k),
    "LTC, mixed memory": lambda **k: lr.LTC(5, 9, mixed_memory=True, **k),
    "CT-RNN": lambda **k: lr.CTRNN(5, 9, backend="reference", **k),
    "LSTM": lambda **k: lr.LSTM(5, 9, time="append", backend="reference", **k),
}
compiled = pytest.mark.skipif("cannot" in lr.backends()["cpu"], reason="the compiled module is not here")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [None, 1, 3, 20])
@pytest.mark.parametrize("make", [*LAYERS.values(), *SLOW.values()], ids=[*LAYERS, *SLOW])
def test_a_stream_equals_the_step(make, batch, dtype):
    layer = make(dtype=dtype, generator=torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))  # maps that do something
    g = torch.Generator().manual_seed(1)
    samples = torch.randn(6, *(() if batch is None else (batch,)), 5, generator=g, dtype=dtype)
    stream, state = lr.Stream(layer, batch=batch), None
    for n, sample in enumerate(samples):
        with torch.no_grad():  # torch's own layers round otherwise with gradients
            expected, state = layer.step(sample, state, timespan=0.3 * n)
        assert torch.equal(stream(sample, timespan=0.3 * n), expected)
    for mine, theirs in zip(*(s if isinstance(s, tuple) else (s,) for s in (stream.state, state)), strict=True):
        assert torch.equal(mine, theirs)


@compiled
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_liquid_layers_are_compiled(make):
    assert lr.Stream(make().train()).backend == "cpu"
    assert lr.Stream(make(backend="reference")).backend == "reference"
    assert lr.Stream(make(dtype=torch.bfloat16)).backend == "reference"


def test_other_layers_stream_too():
    assert all(lr.Stream(make()).backend == "reference" for make in SLOW.values())


def test_a_stream_copies_the_parameters_and_is_in_evaluation_mode():
    layer = lr.LSTM(3, 4, 2, dropout=0.9, time="ignore")
    before, stream = copy.deepcopy(layer).eval(), lr.Stream(layer)
    x = torch.randn(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert torch.equal(stream(x), before.step(x)[0])
    assert layer.training and all(p.requires_grad for p in layer.parameters())


def test_state_and_reset():
    layer = lr.LTC(3, lr.wirings.AutoNCP(12, outputs=2), output_size=4)
    x = torch.randn(3, 3)
    stream = lr.Stream(layer)
    outputs = [stream(sample) for sample in x]
    middle = lr.Stream(layer)
    middle(x[0])
    kept = middle.state
    middle(x[1])
    middle.reset(kept)  # the state was no view of what has moved on since
    for sample, expected in zip(x[1:], outputs[1:], strict=True):
        assert torch.equal(middle(sample), expected)
    stream.reset()
    assert torch.equal(stream(x[0]), outputs[0])
    started = lr.Stream(layer, kept)
    assert torch.equal(started(x[1]), outputs[1])
    assert not outputs[0].requires_grad


@pytest.mark.parametrize(
    "x", [torch.arange(6.0)[::2], torch._neg_view(torch.arange(3.0))], ids=["strided", "negated lazily"]
)
def test_samples_whose_memory_does_not_hold_their_values_in_order(x):
    layer = lr.CfC(3, 8)
    assert x.is_neg() or not x.is_contiguous()
    assert torch.equal(lr.Stream(layer)(x), lr.Stream(layer)(torch.tensor(x.tolist())))


def test_layers_with_streams_can_still_be_saved():
    layer = lr.LTC(3, 8)
    lr.Stream(layer)
    assert torch.equal(pickle.loads(pickle.dumps(layer)).step(torch.ones(3))[0], layer.step(torch.ones(3))[0])


def test_refusals():
    layer = lr.LTC(3, 8)
    stream = lr.Stream(layer)
    with pytest.raises(ValueError, match=r"input must be \(3,\) of torch.float32 on cpu, .* but got .*\(1, 3\)"):
        stream(torch.randn(1, 3))
    with pytest.raises(ValueError, match=r"input must be .* of torch.float32"):
        stream(torch.randn(3, dtype=torch.float64))
    for span in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timespan must be finite and not negative, but got"):
            stream(torch.randn(3), timespan=span)
    with pytest.raises(ValueError, match="bidirectional: build it with bidirectional=False"):
        lr.Stream(lr.LTC(3, 8, bidirectional=True))
    with pytest.raises(TypeError, match="layer must be a RecurrentLayer, but got Linear"):
        lr.Stream(torch.nn.Linear(3, 8))
    with pytest.raises(ValueError, match="hx must be"):
        lr.Stream(layer, torch.zeros(2, 8))
    with pytest.raises((TypeError, ValueError), match="batch must be"):
        lr.Stream(layer, batch=0)
    assert repr(stream).startswith("Stream(LTC(") and "backend=" in repr(stream)
    with pytest.raises(TypeError, match=r"input must be a Tensor of shape \(3,\), but got list"):
        stream([0.0, 0.0, 0.0])
    for span, got in (("1", "str"), (True, "bool"), ([1.0], "list: use torch.as_tensor")):
        with pytest.raises(TypeError, match=f"timespan must be a number or a Tensor, but got {got}"):
            stream(torch.zeros(3), span)
    with pytest.raises(ValueError, match=r"timespan must be a number or \(batch,\) = \(2,\), but got .*\(3,\)"):
        lr.Stream(layer, batch=2)(torch.zeros(2, 3), torch.ones(3))
    for mask in (torch.ones(3), torch.ones(2, 3, dtype=torch.bool), torch.tensor(True), [True, False, True]):
        with pytest.raises(ValueError, match=r"mask must be bool \(3,\), True where observed, but got"):
            stream(torch.zeros(3), mask=mask)


# Masks, spans of each row


def masked(layer, batch, steps=9):
    """Samples, spans and a mask with whole samples, first ones, and features missing; NaN where nothing is seen."""
    g, kind = torch.Generator().manual_seed(2), {"dtype": next(layer.parameters()).dtype}
    x = torch.randn(batch, steps, 5, generator=g, **kind)
    spans = 2 * torch.rand(batch, steps, generator=g, **kind)
    mask = torch.rand(batch, steps, 5, generator=g) > 0.3
    mask &= (torch.rand(batch, steps, 1, generator=g) > 0.4) & (torch.arange(steps).unsqueeze(-1) != 0)
    return x.masked_fill(~mask, torch.nan), spans, mask


def equal(ours, found, expected):
    """Bit for bit, but for torch's own networks and readouts, which multiply a whole sequence at once."""
    tight = {torch.float64: 1e-12, torch.float32: 1e-6}.get(found.dtype, 2e-2)
    return torch.equal(found, expected) if ours else torch.allclose(found, expected, atol=tight, rtol=tight)


OTHERS = {
    "CfC, two layers, readout": lambda **k: lr.CfC(5, 9, 2, output_size=3, **k),
    "LTC, wired, readout": lambda **k: lr.LTC(5, lr.wirings.AutoNCP(12, outputs=3), output_size=4, **k),
    "CT-RNN, rk4, mixed memory": lambda **k: lr.CTRNN(5, 9, 2, solver="rk4", mixed_memory=True, **k),
    "LTC, reference": lambda **k: lr.LTC(5, 9, backend="reference", **k),
    "LRC, bfloat16": lambda **k: lr.LRC(5, 9, **k | {"dtype": torch.bfloat16}),
    "LSTM without time": lambda **k: lr.LSTM(5, 9, output_size=2, **k),
    "GRU, reference": lambda **k: lr.GRU(5, 9, time="append", backend="reference", **k),
    "GRU-D, two layers": lambda **k: lr.GRUD(5, 9, 2, **k),
    "RNN": lambda **k: lr.RNN(5, 9, 2, time="ignore", **k),
}
EVERY = LAYERS | SLOW | OTHERS


@pytest.mark.sampled(2)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [None, 4, 20])
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_a_stream_with_masks_equals_the_whole_sequence(make, batch, dtype):
    layer = make(dtype=dtype, batch_first=True, generator=torch.Generator().manual_seed(0)).eval()
    x, spans, mask = masked(layer, batch or 1)
    spans = None if isinstance(layer, lr.LSTM) and layer.time is None else spans
    ours = all(recurrence.exact for recurrence in layer.recurrences)
    with torch.no_grad():
        whole, end = layer(x, timespans=spans, mask=mask)
    stream = lr.Stream(layer, batch=batch)
    for t in range(x.shape[1]):
        rows = 0 if batch is None else slice(None)
        span = None if spans is None else spans[rows, t]
        output = stream(x[rows, t], timespan=span, mask=mask[rows, t])
        assert equal(layer.exact, output, whole[rows, t]), t
    end = end if isinstance(end, tuple) else (end,)
    for mine, theirs in zip(stream.state if len(end) > 1 else (stream.state,), end, strict=True):
        assert equal(ours, mine, theirs if batch else theirs.squeeze(1))


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_spans_of_absent_samples_are_added_to_the_next(make):
    layer = make().eval()
    if getattr(layer, "time", "") is None:
        pytest.skip("takes no spans")
    dtype = next(layer.parameters()).dtype
    x, nothing = torch.randn(3, 5).to(dtype), torch.zeros(5, dtype=torch.bool)
    late, whole = lr.Stream(layer), lr.Stream(layer)
    first = late(x[0], timespan=0.5)
    assert torch.equal(whole(x[0], timespan=0.5), first)
    assert torch.equal(late(x[1] * torch.nan, timespan=0.25, mask=nothing), first)
    assert torch.equal(late(x[1], timespan=1, mask=nothing), first)
    assert torch.equal(late(x[2], timespan=0.75), whole(x[2], timespan=2.0))  # without a mask too
    assert torch.equal(late(x[0]), whole(x[0]))  # and only once


def test_rows_may_have_different_spans():
    for make in (*LAYERS.values(), *SLOW.values()):
        layer = make().eval()
        x, spans = torch.randn(2, 3, 5), torch.tensor([[0.0, 2.0, 0.5], [1.0, 0.25, 3.0]])
        stream, alone = lr.Stream(layer, batch=3), [lr.Stream(layer, batch=1) for _ in range(3)]
        for sample, span in zip(x, spans, strict=True):
            found = stream(sample, timespan=span)
            for row in range(3):
                expected = alone[row](sample[row : row + 1], timespan=span[row].item())
                torch.testing.assert_close(found[row : row + 1], expected)
        assert torch.equal(stream(x[0]), layer.step(x[0], stream.state)[0]) is False  # it moved on


def test_a_failed_sensor_does_not_poison_a_stream():
    stream = lr.Stream(lr.CfC(3, 8))
    bad = torch.tensor([0.1, torch.nan, torch.inf])
    assert stream(bad, mask=bad.isfinite()).isfinite().all()
    before = stream.snapshot()
    assert stream(bad).isnan().any() and stream(torch.zeros(3)).isnan().any()  # as everywhere in torch
    stream.restore(before)
    assert stream(torch.zeros(3)).isfinite().all()
    rows = lr.Stream(lr.LTC(3, 8), batch=3)
    rows(torch.stack([torch.zeros(3), bad, torch.zeros(3)]))
    lost = rows.state.isnan().any(-1).squeeze(0)
    assert lost.tolist() == [False, True, False]
    rows.reset(rows=lost)
    assert rows(torch.zeros(3, 3)).isfinite().all()


def test_a_sum_of_spans_beyond_the_dtype_is_refused_and_can_be_reset():
    layer, gone = lr.LTC(3, 8, dtype=torch.float16), torch.zeros(2, 3, dtype=torch.bool)
    x, back = torch.zeros(2, 3, dtype=torch.float16), torch.tensor([[True] * 3, [False] * 3])
    stream = lr.Stream(layer, batch=2)
    for _ in range(3):
        stream(x, timespan=3e4, mask=gone)
    with pytest.raises(
        ValueError, match=r"add up to 90001 in sequence \d, but must be at most 65504, .*: count time in a"
    ):
        stream(x, mask=back)
    stream.reset(rows=[0])
    assert stream(x, mask=back).isfinite().all()
    with pytest.raises(ValueError, match="add up to 90002"):
        stream(x)


# Episodes


@pytest.mark.parametrize(
    "rows",
    [
        [1, 3],
        (3, 1),
        range(1, 4, 2),
        np.array([1, 3]),
        torch.tensor([3, 1], dtype=torch.int32),
        torch.tensor([False, True, False, True]),
        [False, True, False, True],
        np.array([False, True, False, True]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("make", [LAYERS["LTC, wired, two layers"], LAYERS["CfC, mixed memory"], SLOW["LSTM"]])
def test_single_rows_can_be_reset(make, rows):
    layer = make().eval()
    stream, fresh = lr.Stream(layer, batch=4), lr.Stream(layer, batch=4)
    x = torch.randn(4, 5)
    stream(x)
    stream(x, mask=torch.zeros(4, 5, dtype=torch.bool))  # time waits in all rows
    old = stream.snapshot()
    stream.reset(rows=rows)
    new = stream.snapshot()
    for name in ("h", "c") if "c" in old else ("h",):
        assert torch.equal(new[name][:, [0, 2]], old[name][:, [0, 2]]) and not new[name][:, [1, 3]].any()
    assert new["pending"].tolist() == [1, 0, 1, 0]
    assert torch.equal(stream(x)[[1, 3]], fresh(x)[[1, 3]])


def test_rows_can_be_reset_to_a_state():
    layer = lr.LTC(5, 9)
    stream, start = lr.Stream(layer, batch=4), torch.rand(1, 2, 9, requires_grad=True)
    stream.reset(start, rows=[2, 0])
    assert torch.equal(stream.state[0, [2, 0]], start[0].detach()) and not stream.state[0, [1, 3]].any()
    assert not stream.state.requires_grad
    stream.reset(rows=[])
    assert torch.equal(stream.state[0, [2, 0]], start[0].detach())
    stream.reset(rows=2)
    assert not stream.state[0, 2].any() and stream.state[0, 0].any()


def test_refused_rows():
    stream = lr.Stream(lr.LTC(5, 9), batch=4)
    for rows in ([4], [-1], [1, 1], torch.tensor([0, 7])):
        with pytest.raises(ValueError, match=r"rows must be indices from 0 to 3, or bool \(4,\), each once, but got"):
            stream.reset(rows=rows)
    for rows in (["a"], [0.5], torch.tensor([True, False]), torch.zeros(2, 2, dtype=torch.long), True, 1.5):
        with pytest.raises(TypeError, match=r"rows must be indices from 0 to 3, or bool \(4,\), but got"):
            stream.reset(rows=rows)
    with pytest.raises(ValueError, match=r"hx must be .* = \(1, 2, 9\), but got \(1, 4, 9\)"):
        stream.reset(torch.zeros(1, 4, 9), rows=[0, 1])
    with pytest.raises(ValueError, match="this stream has none: leave rows out, or create the stream with batch="):
        lr.Stream(lr.LTC(5, 9)).reset(rows=[0])


# Copies and snapshots

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda stream: pickle.loads(pickle.dumps(stream)),
}


def parts(stream):
    return stream.snapshot().values()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_a_copy_owns_its_state(make, copied, batch):
    stream, shape = lr.Stream(make(), batch=batch), (5,) if batch is None else (batch, 5)
    x = torch.randn(4, *shape).to(next(stream._layer.parameters()).dtype)
    stream(x[0])
    stream(x[1], mask=torch.zeros(shape, dtype=torch.bool))
    before, other = stream.snapshot(), copied(stream)
    assert other.backend == stream.backend
    ahead = [other(x[2]), other(x[3])]
    assert all(torch.equal(*pair) for pair in zip(parts(stream), before.values(), strict=True))
    assert all(torch.equal(stream(sample), output) for sample, output in zip(x[2:], ahead, strict=True))


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_a_snapshot_can_be_saved_and_restored(make, tmp_path):
    layer = make()
    stream = lr.Stream(layer, batch=2)
    x = torch.randn(4, 2, 5).to(next(layer.parameters()).dtype)
    stream(x[0])
    stream(x[1], mask=torch.tensor([[True] * 5, [False] * 5]))
    torch.save(stream.snapshot(), tmp_path / "stream.pt")
    ahead = [stream(x[2]), stream(x[3])]
    other = lr.Stream(layer, batch=2)
    other.restore(torch.load(tmp_path / "stream.pt", weights_only=True))
    assert all(torch.equal(other(sample), output) for sample, output in zip(x[2:], ahead, strict=True))


def test_a_snapshot_is_checked():
    stream = lr.Stream(lr.CfC(3, 8, mixed_memory=True), batch=2)
    stream(torch.randn(2, 3))
    good = stream.snapshot()
    assert sorted(good) == ["c", "h", "pending"]
    bad = [
        (good | {"h": good["h"][:, :1]}, r"does not fit this stream: hx must be .* but got \(1, 1, 8\)"),
        (good | {"c": good["c"].double()}, "does not fit this stream: hx has dtype torch.float64"),
        (lr.Stream(lr.LTC(3, 8), batch=2).snapshot(), "snapshot must have h, c, pending, but has h, pending"),
        (good | {"x": good["h"]}, "must have h, c, pending, but has"),
        ({}, "but has nothing"),
        (
            good | {"pending": torch.tensor([0.0, -1.0])},
            r"snapshot\['pending'\] must be torch.float32 \(2,\), not negative, but holds -1",
        ),
        (good | {"pending": torch.tensor([0.0, torch.nan])}, "must be .* not negative, but holds nan"),
        (good | {"pending": torch.tensor(0.0)}, r"but got torch.float32 \(\)"),
    ]
    for snapshot, words in bad:
        with pytest.raises(ValueError, match=words):
            stream.restore(snapshot)
        assert all(torch.equal(*pair) for pair in zip(parts(stream), good.values(), strict=True))
    for snapshot in (None, [good["h"]], good | {"h": 1.0}):
        with pytest.raises(TypeError, match="snapshot must be a dict of Tensors as snapshot"):
            stream.restore(snapshot)


# Modes, subclasses, transforms


@pytest.mark.parametrize("made_in", [True, False], ids=["made in inference mode", "made outside"])
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_streams_work_inside_and_outside_inference_mode(make, made_in):
    with torch.inference_mode(made_in):
        layer = make()
        stream = lr.Stream(layer, batch=2)
    dtype = next(layer.parameters()).dtype
    x, seen = torch.randn(2, 5).to(dtype), torch.tensor([[True] * 5, [False] * 5])
    spans = None if getattr(layer, "time", "") is None else torch.tensor([0.5, 2.0])
    found = []
    for inside in (made_in, not made_in, made_in):
        with torch.inference_mode(inside):
            stream.reset()
            outputs = [stream(x), stream(x, mask=seen), stream(x, timespan=spans)]
            snapshot = stream.snapshot()
            stream.reset(rows=[1])
            stream.restore(snapshot)
            outputs += [copy.copy(stream)(x), stream(x)]
            found.append([output.clone() for output in outputs])
    for others in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], others, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("make", [LAYERS["LTC"], LAYERS["CfC, wired"], SLOW["CT-RNN"]])
def test_inputs_that_are_not_plain_memory_are_refused(make):
    stream = lr.Stream(make())
    x = torch.randn(5)
    expected = copy.copy(stream)(x)

    def refused(call):
        with pytest.raises(TypeError, match=r"input must be a plain Tensor .*use layer.step\(\)"):
            call()

    with FakeTensorMode() as mode:
        refused(lambda: stream(mode.from_tensor(x)))
        refused(lambda: stream(x))
    refused(lambda: stream(mode.from_tensor(x)))
    refused(lambda: stream(TwoTensor(x, x)))
    refused(lambda: torch.vmap(stream)(x.expand(2, -1)))
    refused(lambda: torch.vmap(lambda y: stream(x) + y)(x.expand(2, -1)))
    refused(lambda: torch.func.grad(lambda y: stream(y).sum())(x))
    refused(lambda: make_fx(lambda y: stream(y))(x))
    refused(lambda: torch.jit.trace(lambda y: stream(y), x))
    with Watch():
        refused(lambda: stream(x))
    layer = make()
    with FakeTensorMode(), pytest.raises(TypeError, match=r"layer must have plain tensors .*layer\.step"):
        lr.Stream(layer)
    with torch.device("meta"):
        assert torch.equal(stream(x), expected)


@pytest.mark.parametrize("make", [LAYERS["LTC"], LAYERS["GRU-D"], SLOW["CT-RNN"]])
def test_states_spans_and_flags_must_be_plain_memory_too(make):
    layer = make()
    stream = lr.Stream(layer, batch=2)
    x, mask = torch.randn(2, 5), torch.ones(2, 5, dtype=torch.bool)
    stream(x)
    before = stream.snapshot()
    escaped = []
    torch.vmap(lambda row: escaped.append(row) or row)(torch.ones(3, 2))
    mode = FakeTensorMode()

    def calls(odd):
        """Every way to hand over a tensor that is not plain."""
        parts = [odd(part) for part in (stream.state if isinstance(stream.state, tuple) else (stream.state,))]
        hx, flags = parts[0] if len(parts) == 1 else tuple(parts), torch.tensor([True, False])
        yield "hx", lambda: stream.reset(hx)
        yield "hx", lambda: lr.Stream(layer, hx, batch=2)
        yield "rows", lambda: stream.reset(rows=odd(flags))
        yield "snapshot", lambda: stream.restore({name: odd(part) for name, part in before.items()})
        yield "timespan", lambda: stream(x, timespan=odd(torch.ones(2)))
        yield "mask", lambda: stream(x, mask=odd(mask))
        yield "reset", lambda: stream(x, reset=odd(flags))

    def refused(name, call):
        with pytest.raises(TypeError, match=rf"{name} must be a plain Tensor .*, but got .*use layer.step\(\)"):
            call()

    for odd in (mode.from_tensor, lambda part: TwoTensor(part, part)):
        for name, call in calls(odd):
            refused(name, call)
    refused("timespan", lambda: stream(x, timespan=escaped[0]))
    for _, call in list(calls(lambda part: part))[:4]:
        with mode:
            with pytest.raises(TypeError, match="outside of graphs and modes"):
                call()
        with Watch(), pytest.raises(TypeError, match="outside of graphs and modes"):
            call()
    with mode, pytest.raises(TypeError, match="a stream must be called outside of graphs and modes"):
        stream.reset()
    refused("hx", lambda: torch.vmap(lambda h: stream.reset(h))(torch.ones(2, 1, 2, 9)))
    assert all(torch.equal(part, before[name]) for name, part in stream.snapshot().items())


def test_a_compiled_function_may_reset_a_stream():
    torch.compiler.reset()
    stream, x = lr.Stream(lr.LTC(5, 9), batch=2), torch.randn(2, 5)
    first = stream(x)

    @torch.compile(backend="eager")
    def again(sample, span):
        stream.reset()
        return stream(sample, timespan=span) + 0

    assert torch.equal(again(x, torch.ones(2)), first) and torch.equal(again(x, torch.ones(2)), first)
    torch.compiler.reset()


class Watch(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", [LAYERS["LTC"], LAYERS["CfC, wired"], SLOW["CT-RNN"]])
def test_inputs_of_every_kind_of_memory(make):
    layer = make()
    x = torch.randn(5, dtype=torch.complex64).conj()
    expected = lr.Stream(layer)(x.imag.clone())
    for same in (x.imag, torch.nn.Parameter(x.imag.clone()), x.imag.clone().requires_grad_()):
        output = lr.Stream(layer)(same)
        assert torch.equal(output, expected) and not output.requires_grad
    freed = torch.randn(5)
    freed.untyped_storage().resize_(0)
    if lr.Stream(layer).backend == "cpu":
        with pytest.raises(ValueError, match="input and output must be memory"):
            lr.Stream(layer)(freed)


def test_a_compiled_function_may_call_a_stream():
    torch.compiler.reset()
    layer = lr.LTC(5, 9)
    stream, other, x = lr.Stream(layer), lr.Stream(layer), torch.randn(3, 5)
    fast = torch.compile(lambda sample: stream(2 * sample) + 1, backend="eager")
    for sample in x:
        assert torch.equal(fast(sample), other(2 * sample) + 1)
    torch.compiler.reset()


def test_a_refused_mask_resets_nothing():
    stream = lr.Stream(lr.LTC(4, 5))
    stream(torch.randn(4))
    before = stream.snapshot()
    with pytest.raises(ValueError, match="mask must be bool"):
        stream(torch.randn(4), mask=torch.ones(3, dtype=torch.bool), reset=True)
    after = stream.snapshot()
    assert all(torch.equal(after[name], part) for name, part in before.items() if isinstance(part, torch.Tensor))
    assert any(isinstance(part, torch.Tensor) and part.any() for part in before.values())
