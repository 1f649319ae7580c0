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
