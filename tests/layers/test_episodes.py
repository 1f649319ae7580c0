"""Several episodes in one sequence are what each is as a sequence of its own."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import liquidrnn as lr

NCP = lr.wirings.AutoNCP(12, outputs=3)
LAYERS = {
    "LTC": lambda **k: lr.LTC(3, 9, **k),
    "LTC, wired, readout": lambda **k: lr.LTC(3, NCP, output_size=2, **k),
    "LTC, reference": lambda **k: lr.LTC(3, 9, backend="reference", **k),
    "LTC, mixed memory": lambda **k: lr.LTC(3, 6, mixed_memory=True, **k),
    "LRC": lambda **k: lr.LRC(3, 17, ode_unfolds=2, **k),
    "STC": lambda **k: lr.STC(3, NCP, **k),
    "CfC": lambda **k: lr.CfC(3, 9, **k),
    "CfC, wired, mixed memory": lambda **k: lr.CfC(3, NCP, mixed_memory=True, **k),
    "CfC, reference": lambda **k: lr.CfC(3, 9, mixed_memory=True, backend="reference", **k),
    "CT-RNN": lambda **k: lr.CTRNN(3, 9, **k),
    "GRU-D": lambda **k: lr.GRUD(3, 9, **k),
    "ODE-RNN": lambda **k: lr.ODERNN(3, 9, **k),
    "ODE-LSTM": lambda **k: lr.ODELSTM(3, 9, **k),
    "GRU-ODE, jumps": lambda **k: lr.GRUODE(3, 9, jumps=True, **k),
    "CT-GRU": lambda **k: lr.CTGRU(3, 9, **k),
    "CT-LSTM": lambda **k: lr.CTLSTM(3, 9, **k),
    "Phased LSTM": lambda **k: lr.PhasedLSTM(3, 9, open_share=0.5, **k),
    "without memory": lambda **k: lr.FeedForward(3, 9, time="append", **k),
    "coRNN": lambda **k: lr.CoRNN(3, 9, **k),
    "minGRU": lambda **k: lr.MinGRU(3, 9, time="append", **k),
    "stacked LSTM": lambda **k: lr.StackedLSTM(3, (9, 4), time="append", **k),
    "LSTM": lambda **k: lr.LSTM(3, 9, time="append", **k),
    "LSTM, projected": lambda **k: lr.LSTM(3, 9, proj_size=4, time="ignore", **k),
    "GRU, decay": lambda **k: lr.GRU(3, 9, time="decay", **k),
    "RNN": lambda **k: lr.RNN(3, 9, time="append", **k),
}
every = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
BATCH, TIME = 5, 11


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def samples(seed=0):
    g = torch.Generator().manual_seed(seed)
    x, spans = torch.randn(BATCH, TIME, 3, generator=g).double(), 2 * torch.rand(BATCH, TIME, generator=g).double()
    mask, reset = torch.rand(BATCH, TIME, 3, generator=g) > 0.5, torch.rand(BATCH, TIME, generator=g) < 0.3
    mask[0, :5] = False  # with an episode of which nothing is there
    reset[0, :6] = torch.tensor([False, True, True, False, False, True])
    reset[1] = False
    reset[2, 0], reset[3] = True, True
    return x, spans, mask, reset


def one_by_one(layer, x, spans, mask, reset, hx):
    """Outputs, and last states of the first and of the last episode."""
    outputs, ends = [], []
    for row in range(len(x)):
        starts = [0, *[t for t in range(1, x.shape[1]) if reset[row, t]], x.shape[1]]
        found = []
        for number, (first, last) in enumerate(zip(starts, starts[1:], strict=False)):
            begun = reset[row, first]
            backward = layer.num_directions == 2
            start = [part[:, row : row + 1].clone() for part in parts(hx)]
            for part in start:
                part[:1] = 0 if number or begun else part[:1]
                part[1:] = 0 if backward and last < x.shape[1] else part[1:]
            start = tuple(start) if len(start) > 1 else start[0]
            now = row, slice(first, last)
            output, end = layer(x[now][None], start, timespans=spans[now][None], mask=mask[now][None])
            found.append((output, parts(end)))
        outputs.append(torch.cat([output for output, _ in found], 1))
        ends.append(tuple(torch.cat([a[:1], b[1:]]) for a, b in zip(found[-1][1], found[0][1], strict=True)))
    return torch.cat(outputs), tuple(torch.cat(rows, 1) for rows in zip(*ends, strict=True))


@pytest.mark.sampled(2)
@every
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("masked", [False, True], ids=["all there", "masked"])
def test_each_episode_equals_a_separate_sequence(make, bidirectional, masked):
    layer = make(batch_first=True, dtype=torch.float64, bidirectional=bidirectional)
    x, spans, mask, reset = samples()
    mask = mask if masked else torch.ones_like(mask)
    hx = tuple(torch.randn_like(part) for part in parts(layer(x)[1]))
    if isinstance(layer, lr.GRUD):
        hx = (*hx[:2], hx[2].abs())
    hx = hx if len(hx) > 1 else hx[0]
    expected, ends = one_by_one(layer, x, spans, mask, reset, hx)
    given = mask if masked else None
    if isinstance(layer, lr.GRUD) and not masked:
        given = mask
    output, end = layer(x, hx, timespans=spans, mask=given, reset=reset)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-13)
    for found, right in zip(parts(end), ends, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-13)


@every
def test_no_gradient_leaves_an_episode(make):
    layer = make(batch_first=True)
    x = torch.randn(2, 6, 3, requires_grad=True)
    hx = tuple(torch.zeros_like(part).requires_grad_() for part in parts(layer(x)[1]))
    reset = torch.zeros(2, 6, dtype=torch.bool)
    reset[0, 3] = reset[1, 0] = True
    output, _ = layer(x, hx if len(hx) > 1 else hx[0], timespans=0.5, reset=reset)
    of_x, *of_hx = torch.autograd.grad(output[:, 3:].sum(), (x, *hx), allow_unused=True, materialize_grads=True)
    assert not of_x[0, :3].any() and of_x[0, 3:].any()
    # Without memory the first sample has no part in what comes after it.
    assert bool(of_x[1, 0].any()) == (not isinstance(layer, lr.FeedForward))
    assert not any(part.any() for part in of_hx)


@every
def test_steps_and_streams_begin_episodes_too(make):
    layer = make(batch_first=True, dtype=torch.float64).eval()
    x, spans, mask, reset = samples(1)
    with torch.no_grad():
        whole, end = layer(x, timespans=spans, mask=mask, reset=reset)
        stream = lr.Stream(layer, batch=BATCH)
        streamed = [stream(x[:, t], spans[:, t], mask=mask[:, t], reset=reset[:, t]) for t in range(TIME)]
        torch.testing.assert_close(torch.stack(streamed, 1), whole, rtol=1e-12, atol=1e-13)
        for mine, theirs in zip(parts(stream.state), parts(end), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-13)
        state, stepped = None, []
        for t in range(TIME):
            output, state = layer.step(x[:, t], state, spans[:, t], reset=reset[:, t])
            stepped.append(output)
        whole = layer(x, timespans=spans, reset=reset)[0]
        torch.testing.assert_close(torch.stack(stepped, 1), whole, rtol=1e-12, atol=1e-13)
        single = lr.Stream(layer)
        first = single(x[0, 0])
        single(x[0, 1], reset=False)
        torch.testing.assert_close(single(x[0, 0], reset=True), first, rtol=0, atol=0)
        torch.testing.assert_close(layer.step(x[0, 0], None)[0], layer.step(x[0, 0], state_of(stream), reset=True)[0])


def state_of(stream):
    state = tuple(part[:, 0] for part in parts(stream.state))
    return state if len(state) > 1 else state[0]


def test_layouts():
    layer = lr.CfC(3, 7)
    x, reset = torch.randn(6, 4, 3), torch.rand(6, 4) < 0.4
    expected = layer(x, reset=reset)[0]
    assert torch.equal(layer(x, reset=reset.unsqueeze(-1))[0], expected)
    assert torch.equal(layer(x[:, 1], reset=reset[:, 1])[0], layer(x[:, 1:2], reset=reset[:, 1:2])[0][:, 0])
    assert torch.equal(layer(x, reset=reset[:, 0])[0], layer(x, reset=reset[:, :1].expand(6, 4))[0])
    assert not torch.allclose(layer(x)[0], expected)


def test_packed_sequences():
    layer, lengths = lr.LTC(3, 7, bidirectional=True), [6, 2, 4]
    x, reset = torch.randn(6, 3, 3), torch.rand(6, 3) < 0.5
    packed, flags = (pack_padded_sequence(t, lengths, enforce_sorted=False) for t in (x, reset.unsqueeze(-1)))
    output, _ = layer(packed, reset=flags)
    for row, length in enumerate(lengths):
        alone = layer(x[:length, row], reset=reset[:length, row])[0]
        mine = torch.nn.utils.rnn.pad_packed_sequence(output)[0][:length, row]
        torch.testing.assert_close(mine, alone)


def test_traces_restart_with_each_episode():
    layer = lr.LTC(3, 7, batch_first=True)
    x, reset = torch.randn(1, 6, 3), torch.tensor([[False, False, True, False, True, False]])
    trace = layer(x, reset=reset, return_trace=True)[2]
    parts = [layer(x[:, i : i + 2], return_trace=True)[2] for i in (0, 2, 4)]
    for name, values in trace.items():
        torch.testing.assert_close(values, torch.cat([part[name] for part in parts], 1))


@pytest.mark.parametrize(
    "reset, error, message",
    [
        (torch.zeros(4, 6), TypeError, "reset must be a bool Tensor, True where an episode begins"),
        (True, TypeError, "reset must be a bool Tensor"),
        (torch.zeros(6, 4, dtype=torch.bool), ValueError, r"reset must be \(time,\) = \(6,\), or \(batch, time\)"),
        (torch.zeros(4, 6, 2, dtype=torch.bool), ValueError, "reset must be"),
        (torch.tensor(True), ValueError, "reset must be"),
    ],
)
def test_what_is_refused(reset, error, message):
    layer, x = lr.LRCU(3, 5, batch_first=True), torch.randn(4, 6, 3)
    with pytest.raises(error, match=message):
        layer(x, reset=reset)


@pytest.mark.parametrize("reset", [1, torch.zeros(4), torch.zeros(3, dtype=torch.bool)], ids=str)
def test_invalid_resets_of_steps_are_refused(reset):
    layer, x = lr.LRCU(3, 5), torch.randn(4, 3)
    for call in (lambda: layer.step(x, reset=reset), lambda: lr.Stream(layer, batch=4)(x, reset=reset)):
        with pytest.raises(
            (TypeError, ValueError), match=r"reset must be a bool, or a bool Tensor \(batch,\) = \(4,\)"
        ):
            call()
