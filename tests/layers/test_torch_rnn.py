"""torch's networks behind our contract, against torch itself."""

import pytest
import torch

import liquidrnn as lr

PAIRS = [(lr.RNN, torch.nn.RNN), (lr.LSTM, torch.nn.LSTM), (lr.GRU, torch.nn.GRU)]
pairs = pytest.mark.parametrize("ours, theirs", PAIRS, ids=lambda kind: kind.__module__.split(".")[0])


def weights_of(layer, theirs):
    """Copies torch's multi-level parameters into our levels."""
    for number, level in enumerate(layer.levels):
        for backward, recurrence in enumerate(level):
            suffix = f"_l{number}" + "_reverse" * backward
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(recurrence.rnn, f"{name}_l0").data.copy_(getattr(theirs, name + suffix))


@pairs
def test_the_same_numbers_from_the_same_seed(ours, theirs):
    torch.manual_seed(3)
    a = ours(4, 6, batch_first=True)
    torch.manual_seed(3)
    b = theirs(4, 6, batch_first=True)
    x = torch.randn(2, 5, 4)
    assert torch.equal(a(x)[0], b(x)[0])


@pairs
def test_levels_and_directions_are_torchs(ours, theirs):
    b = theirs(4, 6, num_layers=2, bidirectional=True).double()
    a = ours(4, 6, 2, bidirectional=True).double()
    weights_of(a, b)
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    hx = torch.randn(4, 3, 6, dtype=torch.float64)
    hx = (hx, hx.flip(0)) if ours is lr.LSTM else hx
    output, h_n = a(x, hx)
    expected, h_expected = b(x, hx)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    for mine, his in zip(*(h if isinstance(h, tuple) else (h,) for h in (h_n, h_expected)), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-12, atol=1e-12)


@pairs
def test_packed_sequences_are_torchs(ours, theirs):
    b = theirs(4, 6, num_layers=2, bidirectional=True, batch_first=True).double()
    a = ours(4, 6, 2, bidirectional=True, batch_first=True).double()
    weights_of(a, b)
    sequences = [torch.randn(n, 4, dtype=torch.float64) for n in (3, 5, 1)]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    output, h_n = a(packed)
    expected, h_expected = b(packed)
    torch.testing.assert_close(output.data, expected.data, rtol=1e-12, atol=1e-12)
    assert torch.equal(output.batch_sizes, expected.batch_sizes)
    for mine, his in zip(*(h if isinstance(h, tuple) else (h,) for h in (h_n, h_expected)), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ours", [kind for kind, _ in PAIRS])
def test_what_time_does(ours):
    x, spans = torch.randn(2, 5, 4), torch.rand(2, 5)
    with pytest.raises(
        ValueError, match=f"this {ours.__name__} takes no notice of timespans: build it with time='append'"
    ):
        ours(4, 6, batch_first=True)(x, timespans=spans)
    with pytest.raises(ValueError, match="time must be 'ignore', 'append', 'decay' or None, but got 'add'"):
        ours(4, 6, time="add")
    ignoring = ours(4, 6, time="ignore", batch_first=True)
    assert torch.equal(ignoring(x, timespans=spans)[0], ignoring(x)[0])
    appending = ours(4, 6, time="append", batch_first=True)
    by_hand = appending.recurrences[0].rnn(torch.cat([x, spans.unsqueeze(-1)], -1))[0]
    torch.testing.assert_close(appending(x, timespans=spans)[0], by_hand)
    decaying = ours(4, 6, time="decay", batch_first=True)
    _, state = decaying(x)
    h = state[0] if isinstance(state, tuple) else state
    shrunk = h * torch.exp(-torch.nn.functional.softplus(decaying.recurrences[0].raw_decay) * 3.0)
    hx = (shrunk, state[1]) if isinstance(state, tuple) else shrunk
    expected = decaying.recurrences[0].rnn(x[:, :1], hx)[0]
    torch.testing.assert_close(decaying(x[:, :1], state, timespans=3.0)[0], expected)


def test_gates_are_torchs():
    """The state follows from the traced gate as torch's equations say."""
    layer = lr.GRU(4, 6, batch_first=True).double()
    x = torch.randn(1, 1, 4, dtype=torch.float64)
    h = torch.randn(1, 1, 6, dtype=torch.float64)
    output, _, trace = layer(x, h, return_tau=True)
    z, rnn = trace["gate"], layer.recurrences[0].rnn
    r = torch.sigmoid((x @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)[..., :6])
    n = torch.tanh(
        (x @ rnn.weight_ih_l0.T + rnn.bias_ih_l0)[..., 12:] + r * (h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)[..., 12:]
    )
    torch.testing.assert_close(output, (1 - z) * n + z * h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.exp(-1 / trace["tau"]), z, rtol=1e-9, atol=1e-12)
