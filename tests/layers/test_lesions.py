"""Trained layers with synapses taken out."""

import pytest
import torch

import liquidrnn as lr

NCP = lr.wirings.AutoNCP(12, outputs=2)
KINDS = [
    (lr.LTC, {}),
    (lr.LTC, {"mixed_memory": True}),
    (lr.CfC, {}),
    (lr.CfC, {"mode": "pure"}),
    (lr.STC, {}),
    (lr.LRCU, {}),
]
kinds = pytest.mark.parametrize("kind, options", KINDS)


@kinds
def test_a_lesion_that_removes_nothing_changes_nothing(kind, options):
    layer = kind(4, NCP, batch_first=True, **options)
    x = torch.randn(2, 6, 4)
    assert torch.equal(layer.lesioned(layer.wiring)(x)[0], layer(x)[0])


@kinds
def test_a_cut_off_neuron_no_longer_matters(kind, options):
    layer = kind(4, NCP, batch_first=True, **options)
    hidden = 5
    lesioned = layer.lesioned(layer.wiring.ablate(neurons=[hidden]))
    assert lesioned.num_synapses < layer.num_synapses
    assert sum(p.numel() for p in lesioned.parameters()) < sum(p.numel() for p in layer.parameters())
    x = torch.randn(2, 6, 4)
    assert not torch.equal(lesioned(x)[0], layer(x)[0])
    if not options.get("mixed_memory"):
        rows = torch.zeros(1, 2, 12)
        rows[..., hidden] = 0.7
        assert torch.equal(lesioned(x, rows)[0], lesioned(x)[0])
        assert not torch.equal(layer(x, rows)[0], layer(x)[0])
    lesioned(x)[0].sum().backward()
    assert all(p.grad is not None for p in lesioned.parameters())


def test_a_full_network_becomes_sparse():
    layer = lr.LTC(4, 6, batch_first=True)
    recurrence = layer.recurrences[0]
    weights = [w.detach().numpy() for w in (recurrence.w, recurrence.sensory_w)]
    pruned = layer.lesioned(layer.wiring.prune(0.5, strength=weights[0], sensory_strength=weights[1]))
    assert pruned.num_synapses == layer.num_synapses - layer.num_synapses // 2
    assert len(pruned.recurrences[0].synapses) < 6 * 6
    assert pruned(torch.randn(2, 5, 4))[0].shape == (2, 5, 6)


def test_words():
    layer = lr.LTC(4, NCP)
    with pytest.raises(ValueError, match="wiring must have no synapse that the layer lacks, but its adjacency"):
        layer.lesioned(lr.wirings.FullyConnected(12).build(4, seed=1))
    with pytest.raises(ValueError, match="this GRU has no wiring"):
        lr.GRU(4, 12).lesioned(layer.wiring)
    deep = lr.LTC(4, NCP, 2)
    with pytest.raises(ValueError, match="this LTC has 2 wirings, one in each of its recurrences"):
        deep.lesioned(layer.wiring)
    assert deep.wiring is None and all(recurrence.wiring for recurrence in deep.recurrences)
