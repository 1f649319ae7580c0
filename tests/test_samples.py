"""Sequences as they come, in the library's inner form."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from liquidrnn.samples import Samples

LENGTHS = torch.tensor([3, 5, 1, 5, 2])


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
def test_packed_sequences_are_padded_and_packed_again_as_torch_does(ordered, batch_first):
    lengths = LENGTHS.sort(descending=True).values if ordered else LENGTHS
    x = torch.randn(5, 5, 3, dtype=torch.float64)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=ordered)
    packed.data.requires_grad_()
    like = torch.zeros((), dtype=torch.float64)
    samples = Samples(packed, None, None, None, input_size=3, batch_first=batch_first, parameter=like)
    padded, _ = pad_packed_sequence(packed, batch_first=True)
    assert torch.equal(samples.values, padded) and torch.equal(samples.lengths, lengths)
    assert torch.equal(samples.inputs(backward=False).present[..., 0].sum(1), lengths)
    states = torch.randn(5, 5, 4, dtype=torch.float64, requires_grad=True)
    ours = samples.output(states)
    theirs = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=ordered)
    for name in ("data", "batch_sizes", "sorted_indices", "unsorted_indices"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a is b or torch.equal(a, b), name
    upstream = torch.randn(len(ours.data), 4, dtype=torch.float64)
    assert torch.equal(*(torch.autograd.grad(p.data, states, upstream)[0] for p in (ours, theirs)))
    upstream = torch.randn_like(padded)
    assert torch.equal(*(torch.autograd.grad(p, packed.data, upstream)[0] for p in (samples.values, padded)))


def test_spans_of_as_many_sequences_as_samples_are_transposed_as_the_input_is():
    x, spans = torch.randn(4, 4, 3), torch.rand(4, 4, 1)
    samples = Samples(x, spans, None, None, input_size=3, batch_first=False, parameter=x)
    assert torch.equal(samples.inputs(backward=False).timespans, spans.transpose(0, 1))


@pytest.mark.parametrize("backward", [False, True])
def test_padding_adds_to_no_span(backward):
    """Packed sequences take a short cut: their spans are those of a mask that marks the same samples."""
    x, spans, reset = torch.randn(5, 5, 3), torch.rand(5, 5), torch.rand(5, 5) < 0.3
    there = torch.arange(5) < LENGTHS.unsqueeze(1)
    given = [pack_padded_sequence(part, LENGTHS, batch_first=True, enforce_sorted=False) for part in (x, spans, reset)]
    packed = Samples(given[0], given[1], None, given[2], input_size=3, batch_first=True, parameter=x)
    masked = Samples(x, spans, there, reset & there, input_size=3, batch_first=True, parameter=x)
    ours, theirs = packed.inputs(backward), masked.inputs(backward)
    assert torch.equal(ours.present, theirs.present)
    assert torch.equal(ours.timespans[ours.present], theirs.timespans[theirs.present])
