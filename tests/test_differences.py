"""Where this library deliberately differs from ncps 1.0.1: what ncps does, and what we do instead.

The differences that other tests show are named in ``docs/from_ncps.md``. If a test here fails because ncps has
changed, that page is out of date.
"""

import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

import liquidrnn as lr

INPUT, BATCH, TIME = 5, 4, 6


def test_layouts_and_states_are_as_in_torch():
    old = ncps.torch.CfC(INPUT, 8)
    new = lr.from_ncps(old)
    assert old.batch_first and new.batch_first and not lr.CfC(INPUT, 8).batch_first
    x, h = torch.randn(BATCH, TIME, INPUT), torch.randn(BATCH, 8)
    expected, state = old(x, h)
    output, h_n = new(x, h.unsqueeze(0))
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(h_n, state.unsqueeze(0), rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError):
        old(x, h.unsqueeze(0))
    with pytest.raises(ValueError, match="hx must be"):
        new(x, h)
    output, state_again = lr.from_ncps(old, compat=True)(x, h)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state_again, state, rtol=1e-5, atol=1e-5)


def test_all_outputs_are_returned_unless_compat():
    old = ncps.torch.CfC(INPUT, 8, return_sequences=False)
    x = torch.randn(BATCH, TIME, INPUT)
    expected, _ = old(x)
    assert expected.shape == (BATCH, 8)
    torch.testing.assert_close(lr.from_ncps(old, compat=True)(x)[0], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(lr.from_ncps(old)(x)[0][:, -1], expected, rtol=1e-5, atol=1e-5)


def test_timespans_are_a_keyword_unless_compat():
    old = ncps.torch.CfC(INPUT, 8)
    x, spans = torch.randn(1, TIME, INPUT), torch.rand(1, TIME)
    expected, _ = old(x, None, spans)
    torch.testing.assert_close(lr.from_ncps(old, compat=True)(x, None, spans)[0], expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(TypeError):
        lr.from_ncps(old)(x, None, spans)


@pytest.mark.parametrize("mixed", [False, True])
def test_states_of_a_wired_cfc_are_in_the_order_of_neuron_numbers(mixed):
    wiring = ncps.wirings.AutoNCP(12, 3)
    old = ncps.torch.CfC(INPUT, wiring, mixed_memory=mixed)
    x = torch.randn(BATCH, TIME, INPUT)
    expected, state = old(x)
    new = lr.from_ncps(old)
    _, h_n = new(x)
    state, h_n = (state, h_n) if mixed else ((state,), (h_n,))
    assert [i for i in range(12) if wiring.get_type_of_neuron(i) == "motor"] == [0, 1, 2]
    # ncps has the motor neurons last, for they are evaluated last; here they have the first numbers.
    torch.testing.assert_close(state[0][:, -3:], expected[:, -1])
    torch.testing.assert_close(h_n[0][0, :, :3], expected[:, -1], rtol=1e-5, atol=1e-5)
    _, again = lr.from_ncps(old, compat=True)(x)
    for theirs, ours in zip(state, again if mixed else (again,), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    order = lr.from_ncps(old, compat=True).order
    for theirs, ours in zip(state, h_n, strict=True):
        torch.testing.assert_close(ours[0][:, order], theirs, rtol=1e-5, atol=1e-5)


def test_a_wiring_of_one_layer_has_as_many_outputs_as_it_says():
    old = ncps.torch.CfC(INPUT, ncps.wirings.FullyConnected(8, 3))
    x = torch.randn(BATCH, TIME, INPUT)
    expected, _ = old(x)
    assert old.output_size == 3 and expected.shape[-1] == 8
    torch.testing.assert_close(lr.from_ncps(old, compat=True)(x)[0], expected, rtol=1e-5, atol=1e-5)
    new = lr.from_ncps(old)
    assert new.output_size == 3
    torch.testing.assert_close(new(x)[0], expected[..., :3], rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError):
        ncps.torch.CfC(INPUT, ncps.wirings.FullyConnected(8, 3), proj_size=2)(x)


def test_initial_ranges_apply_to_effective_values():
    old, new = ncps.torch.LTC(INPUT, 32).rnn_cell, lr.LTC(INPUT, 32).recurrences[0]
    assert softplus(old.cm).min() > 0.9 and softplus(old.w).min() > 0.69
    assert softplus(new.raw_cm).max() < 0.6 + 1e-6 and softplus(new.raw_w).max() < 1 + 1e-6


def test_the_closed_form_starts_as_documented():
    old, new = ncps.torch.CfC(INPUT, 32, mode="pure").rnn_cell, lr.CfC(INPUT, 32, mode="pure").recurrences[0]
    # Documented there as ones and zeros; the loop over all matrices draws them like weights.
    assert not (old.A == 1).any() and not (old.w_tau == 0).any()
    assert (new.A == 1).all() and (new.w_tau == 0.01).all()


def test_dropout_follows_every_layer_of_a_backbone():
    dropouts = {}
    for depth in (1, 2):
        old = ncps.torch.CfC(INPUT, 8, backbone_layers=depth, backbone_dropout=0.5)
        new = lr.CfC(INPUT, 8, backbone_layers=depth, backbone_dropout=0.5)
        converted = lr.from_ncps(old)
        dropouts[depth] = [
            sum(isinstance(part, torch.nn.Dropout) for part in backbone)
            for backbone in (old.rnn_cell.backbone, new.recurrences[0].backbone, converted.recurrences[0].backbone)
        ]
        x = torch.randn(2, TIME, INPUT)
        torch.testing.assert_close(converted.eval()(x)[0], old.eval()(x)[0], rtol=1e-5, atol=1e-5)
    assert dropouts == {1: [0, 1, 0], 2: [1, 2, 1]}


def test_synapses_within_a_layer_count_in_a_wired_cfc():
    """There: ignored, all units of a layer connected, and gates that ignore the wiring altogether."""
    wiring = ncps.wirings.NCP(4, 3, 2, 2, 2, 2, 2)
    old = ncps.torch.CfC(3, wiring)
    command = np.array(wiring.get_neurons_of_layer(1))
    promised = np.count_nonzero(wiring.adjacency_matrix[np.ix_(command, command)])
    converted = lr.from_ncps(old)
    used = converted.wiring.adjacency[np.ix_(command, command)]
    assert promised < used.size and used.all()
    assert converted.recurrences[0].gate_weight.shape[1] > converted.recurrences[0].weight.shape[1]
    ours = lr.CfC(3, lr.wirings.NCP(4, 3, 2, 2, 2, 2, 2)).wiring
    assert np.count_nonzero(ours.adjacency[np.ix_(command, command)]) == 2


def test_one_recipe_serves_many_layers():
    theirs = ncps.wirings.AutoNCP(32, 4)
    ncps.torch.LTC(16, theirs)
    before = theirs.synapse_count
    ncps.torch.LTC(16, theirs)
    assert theirs.synapse_count > before
    with pytest.raises(ValueError, match="Conflicting input dimensions"):
        ncps.torch.LTC(4, theirs)
    ours = lr.wirings.AutoNCP(32, outputs=4)
    seed = torch.Generator
    first, second = (lr.LTC(16, ours, generator=seed().manual_seed(1)) for _ in range(2))
    assert first.wiring == second.wiring
    assert lr.LTC(4, ours).wiring.input_size == 4


def test_a_seed_varies_wiring_and_polarity():
    def theirs(seed):
        torch.manual_seed(seed)
        return ncps.torch.LTC(INPUT, ncps.wirings.AutoNCP(12, 3))._wiring.adjacency_matrix

    def ours(seed):
        torch.manual_seed(seed)
        return lr.LTC(INPUT, lr.wirings.AutoNCP(12, 3)).wiring.adjacency

    np.testing.assert_array_equal(theirs(1), theirs(2))
    assert not np.array_equal(ours(1), ours(2))
    np.testing.assert_array_equal(ours(1), ours(1))


def test_every_input_of_a_random_wiring_reaches_a_neuron():
    theirs = ncps.wirings.Random(4, sparsity_level=0.75)
    theirs.build(16)
    assert not (theirs.sensory_adjacency_matrix != 0).any(1).all()
    assert (lr.wirings.Random(4, sparsity=0.75).build(16, seed=0).sensory_adjacency != 0).any(1).all()


def test_a_sparsity_outside_the_documented_range_is_refused():
    assert ncps.wirings.AutoNCP(16, 4, sparsity_level=0.95).units == 16
    with pytest.raises(ValueError, match=r"sparsity must be in \[0.1, 0.9\]"):
        lr.wirings.AutoNCP(16, 4, sparsity=0.95)


def test_a_wiring_can_be_serialised():
    theirs = ncps.wirings.NCP(12, 6, 3, 4, 3, 10, 4)
    with pytest.raises((TypeError, ValueError)):
        ncps.wirings.NCP.from_config(theirs.get_config()).build(5)
    wiring = lr.wirings.NCP(12, 6, 3, 4, 3, 10, 4).build(5, seed=0)
    assert lr.wirings.Wiring.from_dict(wiring.to_dict()) == wiring


def test_parameters_are_those_of_existing_synapses():
    old = ncps.torch.LTC(16, ncps.wirings.AutoNCP(32, 4))
    new = lr.from_ncps(old)
    synapses = int(old._wiring.synapse_count + old._wiring.sensory_synapse_count)
    everywhere = 32 * 32 + 16 * 32
    # Masks are parameters there, though not trained.
    assert sum(p.numel() for p in old.parameters() if not p.requires_grad) == everywhere
    rest = 3 * 32 + 2 * 16 + 2 * 4
    assert sum(p.numel() for p in old.parameters() if p.requires_grad) == 4 * everywhere + rest
    assert sum(p.numel() for p in new.parameters()) == 4 * synapses + rest
    assert all(p.requires_grad for p in new.parameters())


def test_synapses_are_counted_from_inputs_too():
    old = ncps.torch.LTC(INPUT, ncps.wirings.AutoNCP(12, 3))
    assert old.sensory_synapse_count == old.synapse_count != old._wiring.sensory_synapse_count
    new = lr.from_ncps(old)
    assert new.num_synapses == old._wiring.synapse_count + old._wiring.sensory_synapse_count


def test_functional_call_and_vmap_use_the_given_parameters():
    old, x = ncps.torch.LTC(INPUT, 8), torch.randn(BATCH, TIME, INPUT)
    for module, differs in ((old, False), (lr.from_ncps(old), True)):
        doubled = {name: 2 * p.detach() for name, p in module.named_parameters()}
        assert torch.equal(torch.func.functional_call(module, doubled, x)[0], module(x)[0]) != differs


def test_half_precision_stays_half():
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.bfloat16)
    assert ncps.torch.LTC(INPUT, 8).bfloat16()(x)[0].dtype == torch.float32
    with pytest.raises(RuntimeError):
        ncps.torch.CfC(INPUT, 8).bfloat16()(x)
    for kind in (lr.LTC, lr.CfC):
        assert kind(INPUT, 8, dtype=torch.bfloat16)(x)[0].dtype == torch.bfloat16


def test_an_empty_sequence_gives_an_empty_output():
    x = torch.zeros(BATCH, 0, INPUT)
    for kind in (ncps.torch.LTC, ncps.torch.CfC):
        old = kind(INPUT, 8)
        for module in (old, lr.from_ncps(old, compat=True)):
            with pytest.raises(RuntimeError):
                module(x)
        assert lr.from_ncps(old)(x)[0].shape == (BATCH, 0, 8)


def test_a_misspelt_mapping_is_an_error():
    assert not hasattr(ncps.torch.LTC(INPUT, 8, input_mapping="afine").rnn_cell, "input_w")
    with pytest.raises(ValueError, match="input_mapping must be"):
        lr.LTC(INPUT, 8, input_mapping="afine")


def test_a_full_network_has_no_wiring():
    with pytest.raises(AttributeError):
        _ = ncps.torch.CfC(INPUT, 8).wired_mode
    assert lr.CfC(INPUT, 8).wiring is None


def test_weights_of_a_wired_cfc_start_for_the_connections_that_exist():
    old = ncps.torch.CfC(64, ncps.wirings.AutoNCP(32, 4, sparsity_level=0.9)).rnn_cell._layers[0].ff1.weight
    new = lr.CfC(64, lr.wirings.AutoNCP(32, outputs=4, sparsity=0.9)).recurrences[0].weight
    # Xavier's bound, of the dense matrix there, of the synapses here.
    assert old.abs().max() <= (6 / sum(old.shape)) ** 0.5 + 1e-6
    assert new.abs().max() > 2 * old.abs().max()
