"""Torch's networks behind our contract, against torch itself."""

import pytest
import torch

import liquidrnn as lr

PAIRS = [(lr.RNN, torch.nn.RNN), (lr.LSTM, torch.nn.LSTM), (lr.GRU, torch.nn.GRU)]
pairs = pytest.mark.parametrize("ours, theirs", PAIRS, ids=lambda kind: kind.__module__.split(".")[0])


def same_positions(kind):
    """Positional arguments, of which torch's RNN has one more."""
    nonlinearity = ("relu",) if kind is lr.RNN else ()
    return (4, 6, 2, *nonlinearity, False, True, 0.0, True)


@pairs
def test_the_same_numbers_from_the_same_seed(ours, theirs):
    torch.manual_seed(3)
    a = ours(4, 6, batch_first=True)
    torch.manual_seed(3)
    b = theirs(4, 6, batch_first=True)
    x = torch.randn(2, 5, 4)
    assert all(torch.equal(mine, his) for mine, his in zip(a.parameters(), b.parameters(), strict=True))
    torch.testing.assert_close(a(x)[0], b(x)[0])
    a.recurrences[0].run_on("reference")
    assert torch.equal(a(x)[0], b(x)[0]) and not a.exact


@pairs
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_gradients_are_as_in_torch(ours, theirs, dtype, ragged):
    more = {"proj_size": 5} if ours is lr.LSTM else {}
    b = theirs(4, 17, num_layers=2, bidirectional=True, batch_first=True, dtype=dtype, **more)
    a = ours(4, 17, 2, bidirectional=True, batch_first=True, dtype=dtype, **more)
    a.load_state_dict(b.state_dict())
    lengths = [9, 2, 7, 1, 9, 4, 4, 3, 6, 8] if ragged else [9] * 10
    sequences = [torch.randn(n, 4, dtype=dtype, requires_grad=True) for n in lengths]
    found = []
    for layer in (a, b):
        x = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False) if ragged else torch.stack(sequences)
        output, h_n = layer(x)
        last = sum(part.sin().sum() for part in (h_n if isinstance(h_n, tuple) else (h_n,)))
        loss = (output.data if ragged else output).square().sum() + last
        names = (
            dict(layer.named_parameters()) if layer is b else {n: getattr(layer, n) for n, _ in b.named_parameters()}
        )
        found.append(torch.autograd.grad(loss, (*sequences, *names.values())))
    rough = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    for mine, his in zip(*found, strict=True):
        torch.testing.assert_close(mine, his, **rough)


@pairs
def test_stacking_and_directions_are_as_in_torch(ours, theirs):
    b = theirs(4, 6, num_layers=2, bidirectional=True).double()
    a = ours(4, 6, 2, bidirectional=True).double()
    a.load_state_dict(b.state_dict())
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    hx = torch.randn(4, 3, 6, dtype=torch.float64)
    hx = (hx, hx.flip(0)) if ours is lr.LSTM else hx
    output, h_n = a(x, hx)
    expected, h_expected = b(x, hx)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    for mine, his in zip(*(h if isinstance(h, tuple) else (h,) for h in (h_n, h_expected)), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-12, atol=1e-12)


@pairs
def test_packed_sequences_are_as_in_torch(ours, theirs):
    b = theirs(4, 6, num_layers=2, bidirectional=True, batch_first=True).double()
    a = ours(4, 6, 2, bidirectional=True, batch_first=True).double()
    a.load_state_dict(b.state_dict())
    sequences = [torch.randn(n, 4, dtype=torch.float64) for n in (3, 5, 1)]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    output, h_n = a(packed)
    expected, h_expected = b(packed)
    torch.testing.assert_close(output.data, expected.data, rtol=1e-12, atol=1e-12)
    assert torch.equal(output.batch_sizes, expected.batch_sizes)
    for mine, his in zip(*(h if isinstance(h, tuple) else (h,) for h in (h_n, h_expected)), strict=True):
        torch.testing.assert_close(mine, his, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ours", [kind for kind, _ in PAIRS])
def test_each_option_of_time(ours):
    x, spans = torch.randn(2, 5, 4), torch.rand(2, 5)
    with pytest.raises(ValueError, match=f"this {ours.__name__} does not use timespans: build it with time='append'"):
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


def test_gates_are_as_in_torch():
    """The state follows from the traced gate as torch's equations say."""
    layer = lr.GRU(4, 6, batch_first=True).double()
    x = torch.randn(1, 1, 4, dtype=torch.float64)
    h = torch.randn(1, 1, 6, dtype=torch.float64)
    output, _, trace = layer(x, h, return_trace=True)
    z, rnn = trace["gate"], layer.recurrences[0].rnn
    r = torch.sigmoid((x @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)[..., :6])
    n = torch.tanh(
        (x @ rnn.weight_ih_l0.T + rnn.bias_ih_l0)[..., 12:] + r * (h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)[..., 12:]
    )
    torch.testing.assert_close(output, (1 - z) * n + z * h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.exp(-1 / trace["tau"]), z, rtol=1e-9, atol=1e-12)


@pairs
def test_torchs_positional_arguments(ours, theirs):
    torch.manual_seed(3)
    a = ours(*same_positions(ours))
    torch.manual_seed(3)
    b = theirs(*same_positions(ours))
    x = torch.randn(3, 5, 4)
    torch.testing.assert_close(a(x)[0], b(x)[0])
    for name in ("bias", "batch_first", "dropout", "bidirectional", "num_layers", "hidden_size", "input_size", "mode"):
        assert getattr(a, name) == getattr(b, name), name
    assert [len(weights) for weights in a.all_weights] == [len(weights) for weights in b.all_weights]
    a.flatten_parameters()
    torch.testing.assert_close(a(x, return_trace=True)[0], b(x)[0])


@pairs
@pytest.mark.parametrize("bias", [True, False])
def test_state_dicts_go_both_ways(ours, theirs, bias):
    more = {"proj_size": 3} if ours is lr.LSTM else {}
    b = theirs(4, 6, num_layers=2, bias=bias, bidirectional=True, **more).double()
    # Within another module, as people have it.
    a = torch.nn.ModuleDict({"rnn": ours(4, 6, 2, bias=bias, bidirectional=True, **more)}).double()
    outer = torch.nn.ModuleDict({"rnn": b})
    assert not any(a.load_state_dict(outer.state_dict()))
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(a["rnn"](x)[0], b(x)[0], rtol=1e-12, atol=1e-12)
    back = theirs(4, 6, num_layers=2, bias=bias, bidirectional=True, **more).double()
    back.load_state_dict(a["rnn"].torch_state_dict())
    assert torch.equal(back(x)[0], b(x)[0])
    again = ours(4, 6, 2, bias=bias, bidirectional=True, **more).double()
    again.load_state_dict(a["rnn"].state_dict())
    assert torch.equal(again(x)[0], a["rnn"](x)[0])


@pairs
def test_parameters_by_torchs_names(ours, theirs):
    layer, module = ours(4, 6, 2, bidirectional=True), theirs(4, 6, 2, bidirectional=True)
    for name, parameter in module.named_parameters():
        assert getattr(layer, name).shape == parameter.shape
    layer.weight_hh_l1_reverse = torch.nn.Parameter(torch.zeros_like(layer.weight_hh_l1_reverse))
    assert not layer.layers[1][1].rnn.weight_hh_l0.any() and len(list(layer.parameters())) == 16
    for name in ("weight_hh_l2", "weight_ih_l0_backward", "bias"):
        assert hasattr(layer, name) == hasattr(module, name)


def test_parameters_that_torch_lacks_are_refused():
    with pytest.raises(ValueError, match=r"GRU has no layers.0.0.raw_decay"):
        lr.GRU(4, 6, time="decay").torch_state_dict()
    with pytest.raises(ValueError, match=r"LSTM has no readout.weight, readout.bias"):
        lr.LSTM(4, 6, output_size=2).torch_state_dict()
    appending = lr.LSTM(4, 6, time="append")
    module = torch.nn.LSTM(5, 6)
    module.load_state_dict(appending.torch_state_dict())
    x, spans = torch.randn(5, 3, 4), torch.rand(5, 3)
    torch.testing.assert_close(module(torch.cat([x, spans.unsqueeze(-1)], -1))[0], appending(x, timespans=spans)[0])
