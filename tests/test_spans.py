"""What a time span may be: one rule for whole sequences, steps and streams."""

import decimal
import fractions
import re

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence
from torch.overrides import TorchFunctionMode

import liquidrnn as lr

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def three_ways(layer, spans):
    """The first output by forward, step and a stream, or what they raise."""
    x, found = torch.ones(1, layer.input_size, dtype=next(layer.parameters()).dtype), []
    calls = (
        lambda: layer(x, timespans=spans)[0][0],
        lambda: layer.step(x[0], timespan=spans)[0],
        lambda: lr.Stream(layer)(x[0], timespan=spans),
    )
    for call in calls:
        try:
            with torch.no_grad():
                found.append(call())
        except (TypeError, ValueError) as error:
            found.append(re.sub("timespans?(?= |:)", "timespan(s)", str(error)))
    return found


NUMBERS = [
    1,
    0.25,
    np.float16(0.25),
    np.float64(0.25),
    np.int8(3),
    np.uint64(3),
    np.array(0.25, np.float32),
    np.array(2),
    fractions.Fraction(1, 4),
    torch.tensor(0.25),
    torch.tensor(0.25, dtype=torch.float64),
    torch.tensor(2),
    torch.tensor(0.25, requires_grad=True),
]


@pytest.mark.parametrize("span", NUMBERS, ids=repr)
@pytest.mark.parametrize("make", [lambda: lr.STC(2, 3), lambda: lr.CTRNN(2, 3), lambda: lr.GRU(2, 3, time="decay")])
def test_numbers_of_every_type_are_spans(make, span):
    layer = make()
    whole, step, streamed = three_ways(layer, span)
    expected = three_ways(layer, float(span.detach() if isinstance(span, torch.Tensor) else span))[0]
    for found in (whole, step, streamed):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "span",
    [True, np.True_, np.array(True), "1", 1j, np.array([0.5]), [0.5], decimal.Decimal(1), np.timedelta64(1, "s")],
    ids=repr,
)
def test_spans_that_are_not_numbers_are_refused(span):
    for said in three_ways(lr.STC(2, 3), span):
        assert f"timespan(s) must be a number or a Tensor, but got {type(span).__name__}" in said
    with pytest.raises(TypeError, match="first must be a number, a time span, but got"):
        lr.timespans_from_timestamps(torch.arange(3.0), first=span)


def test_bool_and_complex_spans_are_refused():
    for span in (torch.tensor(True), torch.tensor(1j)):
        for said in three_ways(lr.STC(2, 3), span):
            assert "timespan(s) must be real numbers, but got" in said


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_largest_span_is_what_the_dtype_holds(dtype):
    layer, largest = lr.LTC(2, 3, dtype=dtype), torch.finfo(dtype).max
    for fits in (largest, torch.tensor(largest, dtype=torch.float64), torch.tensor(largest, dtype=dtype)):
        assert all(found.isfinite().all() for found in three_ways(layer, fits))
    beyond = [10**400, largest * (1 + 2**-20)] if dtype != torch.float64 else [10**400]
    if dtype != torch.float64:
        beyond += [torch.tensor(largest * (1 + 2**-20), dtype=torch.float64)]
    if dtype == torch.float16:
        beyond += [65_505, torch.tensor(65_505), torch.tensor(65_536.0), np.int64(70_000)]
    for span in beyond:
        words = three_ways(layer, span)
        assert len(set(words)) == 1, words
        assert "must be finite" in words[0] or f"must be at most {largest:g}, the largest number that" in words[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", [lr.LTC, lr.CfC, lr.STC, lr.LRC, lr.LRCU, lr.CTRNN, lr.GRUD])
def test_backends_agree_up_to_the_largest_span(kind, dtype):
    largest, eps = torch.finfo(dtype).max, torch.finfo(dtype).eps
    for span in (largest**0.5, largest * 1e-8, largest * 1e-4, largest * 1e-2, largest):
        found = []
        for backend in (None, "reference"):
            layer = kind(2, 9, dtype=dtype, backend=backend, generator=torch.Generator().manual_seed(0))
            found.append(three_ways(layer, span))
            x = torch.ones(3, 4, 2, dtype=dtype)
            output = layer(x, timespans=torch.full((3, 4), span, dtype=dtype, requires_grad=True))[0]
            output.sum().backward()
            found[-1] += [output.detach(), *(p.grad for p in layer.parameters())]
        for mine, reference in zip(*found, strict=True):
            torch.testing.assert_close(mine, reference, rtol=2e3 * eps, atol=2e3 * eps)


@pytest.mark.parametrize("span", [-1e-300, -1, float("nan"), float("inf"), np.float64("inf"), -(10**400)], ids=repr)
def test_spans_are_finite_and_not_negative(span):
    given = [span] if abs(span) > 1e300 and isinstance(span, int) else [span, torch.tensor(span, dtype=torch.float64)]
    for value in given:
        words = three_ways(lr.LTC(2, 3), value)
        assert len(set(words)) == 1
        assert words[0].startswith("timespan(s) must be finite and not negative, but got ")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_negative_zero_and_denormal_spans_hardly_change_the_state(dtype):
    for layer in (lr.LTC(2, 3, dtype=dtype), lr.LRC(2, 3, dtype=dtype), lr.CTRNN(2, 3, dtype=dtype)):
        denormal = torch.finfo(dtype).tiny / 4
        start = three_ways(layer, 0.0)[0]
        for span in (-0.0, torch.tensor(-0.0)):
            assert all(torch.equal(found, start) for found in three_ways(layer, span))
        for span in (denormal, 5e-324, torch.tensor(denormal, dtype=torch.float64)):
            for found in three_ways(layer, span):
                assert (found - start).abs().max() <= 32 * denormal


def test_spans_of_other_dtypes_are_converted():
    layer, x = lr.CfC(2, 3), torch.randn(4, 2)
    spans = torch.tensor([1, 0, 3, 200])
    expected, _ = layer(x, timespans=spans.float())
    for dtype in (torch.uint8, torch.int16, torch.int64, torch.uint16, torch.float16, torch.float64):
        assert torch.equal(layer(x, timespans=spans.to(dtype))[0], expected)
    with pytest.raises(ValueError, match="not negative, but got -2"):
        layer(x, timespans=torch.tensor([1, 1, -2, 1], dtype=torch.int8))


def test_packed_spans_obey_the_same_rule():
    layer = lr.CfC(2, 3, dtype=torch.float16)
    x = pack_sequence([torch.ones(3, 2), torch.ones(2, 2)]).to(torch.float16)
    spans = [torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0])]
    expected, _ = layer(x, timespans=torch.tensor([[1.0, 2, 3], [4, 5, 0]]).T)
    assert torch.equal(layer(x, timespans=pack_sequence(spans))[0].data, expected.data)
    spans[1][1] = 7e4
    with pytest.raises(ValueError, match=r"timespans must be at most 65504, .*torch.float16 holds, but got 70000"):
        layer(x, timespans=pack_sequence(spans))


@pytest.mark.parametrize("make", [lr.LSTM, lr.GRU, lr.RNN])
def test_a_span_without_effect_gives_the_same_error_everywhere(make):
    for span in (1.0, 0, torch.tensor(0.5), np.float32(1)):
        words = three_ways(make(2, 3), span)
        assert len(set(words)) == 1
        assert words[0].startswith(f"this {make.__name__} does not use timespan(s): build it with time='append'")
    assert all(isinstance(found, torch.Tensor) for found in three_ways(make(2, 3), None))
    assert all(isinstance(found, torch.Tensor) for found in three_ways(make(2, 3, time="ignore"), 5.0))


def test_the_default_span_is_1():
    layer = lr.LTC(2, 3)
    for found, expected in zip(three_ways(layer, None), three_ways(layer, 1), strict=True):
        assert torch.equal(found, expected)


# Devices such as MPS have no float64.


class _NoDouble(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        assert not isinstance(result, torch.Tensor) or result.dtype != torch.float64, function
        return result


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_number_spans_do_not_make_float64(dtype):
    layer, x = lr.CTRNN(2, 3, dtype=dtype), torch.ones(4, 2, dtype=dtype)
    seen = torch.tensor([True, False, True, True])
    stream = lr.Stream(layer)
    with _NoDouble():
        for span in (0.5, 3, np.float64(0.5), np.array(2.0)):
            layer(x, timespans=span, mask=seen)
            layer.step(x[0], timespan=span)
            stream(x[0], timespan=span, mask=torch.tensor([False, False]))
            stream(x[0], timespan=span)
        layer(x)
        lr.timespans_from_timestamps(torch.arange(4.0), first=0.5)


# Sums of absent samples


@pytest.mark.parametrize("bidirectional", [False, True])
def test_sums_beyond_the_dtype_are_refused(bidirectional):
    layer = lr.LTC(2, 3, dtype=torch.float16, bidirectional=bidirectional)
    x, seen = torch.ones(6, 2, dtype=torch.float16), torch.tensor([True, False, False, False, True, False])
    with pytest.raises(
        ValueError, match="absent samples and of the next observed one add up to 80000 in sequence 0, .* 65504"
    ):
        layer(x, timespans=2e4, mask=seen)
    assert layer(x, timespans=1.6e4, mask=seen)[0].isfinite().all()
    with pytest.raises(ValueError, match="add up to inf"):
        lr.LTC(2, 3)(torch.ones(3, 2), timespans=3e38, mask=torch.tensor([True, False, True]))


@pytest.mark.parametrize("backend", ["reference", None])
def test_padding_may_have_any_span(backend):
    layer = lr.LTC(2, 3, backend=backend)
    x, seen = torch.ones(6, 2), torch.tensor([True, True, False, False, False, False])
    output, _ = layer(x, timespans=3e38, mask=seen)
    output.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())
    assert torch.equal(output[:2], layer(x[:2], timespans=3e38)[0])


def test_too_long_spans_stay_finite_in_graphs():
    layer = lr.CTRNN(2, 3, dtype=torch.float16)
    x, seen = torch.ones(5, 2, dtype=torch.float16), torch.tensor([True, False, False, False, True])
    spans = torch.full((5,), 1.0)

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, spans, seen):
            return self.layer(x, timespans=spans, mask=seen)[0]

    graph = torch.export.export(Whole(), (x, spans, seen)).module()
    assert torch.equal(graph(x, spans, seen), layer(x, timespans=spans, mask=seen)[0])
    largest = torch.full((5,), 65504.0)
    for absurd in (torch.full((5,), 3e4), torch.full((5,), 1e6), torch.full((5,), torch.inf)):
        assert torch.equal(graph(x, absurd, torch.ones_like(seen)), layer(x, timespans=absurd.clamp(max=65504.0))[0])
        assert graph(x, absurd, seen).isfinite().all()
    assert torch.equal(graph(x, torch.full((5,), 1e6), ~seen)[1:4], layer(x[1:4], timespans=largest[1:4])[0])


# Timestamps

START = 1_700_000_000


@pytest.mark.parametrize(
    ("stamps", "apart"),
    [
        (START + 60.0 * torch.arange(20, dtype=torch.float64), "128 apart, and a typical step is 128"),
        (START + 0.5 * torch.arange(20, dtype=torch.float64), "128 apart, and all of them are equal"),
        (START / 3600 + 0.3 * torch.arange(20, dtype=torch.float64), "0.03125 apart"),
        (2e6 + 0.01 * torch.arange(300, dtype=torch.float64), "0.125 apart"),
    ],
)
def test_timestamps_too_coarse_for_their_steps_are_refused(stamps, apart):
    with pytest.raises(
        ValueError, match=f"torch.float32 numbers around .* are {apart}.*: pass them as float64 or int64"
    ):
        lr.timespans_from_timestamps(stamps.float())
    expected = np.diff(stamps.numpy())
    np.testing.assert_allclose(lr.timespans_from_timestamps(stamps)[1:].numpy(), expected, rtol=0)


def test_half_timestamps_too_coarse_for_their_steps_are_refused():
    for dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(ValueError, match=f"{dtype} numbers around"):
            lr.timespans_from_timestamps((100 + 0.3 * torch.arange(9)).to(dtype))
        assert torch.equal(lr.timespans_from_timestamps(torch.arange(9, dtype=dtype)), torch.ones(9, dtype=dtype))
    with pytest.raises(ValueError, match=r"torch.float64 numbers around .* are 256 apart, .*: pass them as int64"):
        lr.timespans_from_timestamps(torch.tensor([START * 1e9, START * 1e9 + 2e3], dtype=torch.float64))


def test_exact_timestamps_are_accepted():
    days = START + 86_400.0 * torch.arange(30)  # 128 in 86,400
    assert (lr.timespans_from_timestamps(days)[1:] / 86_400 - 1).abs().max() < 0.002
    whole = torch.arange(200_000.0)  # exact, though neighbours are more than 1 % of a step apart
    assert torch.equal(lr.timespans_from_timestamps(whole), torch.ones(200_000))
    quarters = START // 3600 + 0.25 * torch.arange(40)
    assert torch.equal(lr.timespans_from_timestamps(quarters, first=0.25), torch.full((40,), 0.25))
    assert lr.timespans_from_timestamps(torch.full((5,), 12.5), first=0).eq(0).all()
    uneven = torch.rand(1000, 3).cumsum(0)
    assert torch.equal(lr.timespans_from_timestamps(uneven)[1:], uneven.diff(dim=0))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.int8, torch.int16])
def test_whole_timestamps_are_subtracted_exactly(dtype):
    limits = torch.iinfo(dtype)
    stamps = [limits.min, limits.max - 100, limits.max]
    if dtype == torch.int64:
        stamps = [START * 10**9, START * 10**9 + 1, START * 10**9 + 250_000_001]
    found = lr.timespans_from_timestamps(torch.tensor(stamps, dtype=dtype))
    assert found[1:].tolist() == np.diff(np.array(stamps, object)).astype(np.float32).tolist()
    with pytest.raises(ValueError, match="must not decrease"):
        lr.timespans_from_timestamps(torch.tensor([3, 1], dtype=dtype))


def test_the_first_span_obeys_the_rule():
    stamps = torch.arange(3.0)
    for first in (np.float32(0.5), np.array(0.5), torch.tensor(0.5)):
        assert lr.timespans_from_timestamps(stamps, first=first)[0] == 0.5
    for first in (-1, float("nan"), 1e39, torch.tensor(-1.0)):
        with pytest.raises(ValueError, match="first must be"):
            lr.timespans_from_timestamps(stamps, first=first)
    with pytest.raises(TypeError, match="timestamps must be real numbers, but got torch.bool"):
        lr.timespans_from_timestamps(torch.tensor([False, True]))
