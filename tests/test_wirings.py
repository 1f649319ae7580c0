"""Wirings against ncps, against their own promises on drawn examples, and the words of every error."""

import copy
import json
import pickle
import subprocess
import sys

import ncps.wirings
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidrnn.wirings import NCP, AutoNCP, FullyConnected, Layered, Random, Recipe, Shuffled, Wiring

RECIPES = [
    FullyConnected(6, outputs=2),
    FullyConnected(5, self_connections=False),
    Random(10, outputs=3, sparsity=0.6),
    Layered((7, 5, 4, 2), density=(0.4, 0.5, 0.3, 0.9), recurrent=(0.1, 0, 0.5, 0)),
    NCP(12, 6, 2, 6, 4, 9, 3),
    AutoNCP(20, outputs=3, sparsity=0.7),
]
recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: type(recipe).__name__)


@st.composite
def policies(draw):
    inter, command, motor = (draw(st.integers(1, 9)) for _ in range(3))
    return NCP(
        inter,
        command,
        motor,
        sensory_fanout=draw(st.integers(1, inter)),
        inter_fanout=draw(st.integers(1, command)),
        recurrent_command_synapses=draw(st.integers(0, command**2)),
        motor_fanin=draw(st.integers(1, command)),
    )


@st.composite
def layered(draw):
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=5))
    return Layered(
        sizes,
        density=[draw(st.floats(0.01, 1)) for _ in sizes],
        recurrent=[draw(st.floats(0, 1)) for _ in sizes],
    )


automatic = st.integers(4, 40).flatmap(
    lambda units: st.builds(AutoNCP, st.just(units), st.integers(1, units - 3), st.floats(0.1, 0.9))
)
others = st.one_of(
    st.builds(FullyConnected, st.integers(2, 8), st.integers(1, 2), st.booleans()),
    st.builds(Random, st.integers(2, 8), st.integers(1, 2), st.floats(0, 0.99)),
)


any_recipe = st.one_of(policies(), layered(), automatic, others)
# Hypothesis' time limit for a single example would fail tests on a busy machine.
relaxed = settings(max_examples=60)


@st.composite
def wirings(draw, recipe=any_recipe):
    return draw(recipe).build(draw(st.integers(1, 8)), seed=draw(st.integers(0, 2**32)))


def reached(adjacency, start):
    """Neurons that a signal in ``start`` gets to, (units,) bool."""
    while (further := start | (start @ np.abs(adjacency.astype(int)) > 0)).sum() > start.sum():
        start = further
    return start


class TestRecipes:
    @recipes
    def test_the_seed_determines_the_wiring(self, recipe):
        np.random.seed(0)
        first = recipe.build(5, seed=3)
        np.random.seed(1)
        assert recipe.build(5, seed=3) == first
        assert recipe.build(5, seed=np.int64(3)) == first
        second = recipe.build(5, seed=4)
        assert second != first
        more = [recipe.build(5, seed).adjacency for seed in range(5, 10)]
        assert any((first.adjacency * other < 0).any() for other in more), "polarity ignores the seed"

    @recipes
    def test_recipes_are_immutable_and_comparable(self, recipe):
        assert isinstance(recipe, Recipe)
        assert copy.deepcopy(recipe) == recipe
        assert hash(copy.deepcopy(recipe)) == hash(recipe)
        with pytest.raises(AttributeError):
            recipe.units = 3
        wiring = recipe.build(5, seed=0)
        assert wiring.units == recipe.units
        assert wiring.output_size == (recipe.outputs or recipe.units)
        assert wiring.input_size == 5

    @relaxed
    @given(wirings(st.one_of(policies(), layered(), automatic)))
    def test_signals_reach_every_neuron_and_motor_neurons_from_every_input(self, wiring):
        assert reached(wiring.adjacency, wiring.sensory_adjacency.any(0)).all()
        for outgoing in wiring.sensory_adjacency != 0:
            assert reached(wiring.adjacency, outgoing)[: wiring.output_size].any()

    @relaxed
    @given(wirings())
    def test_every_input_reaches_something(self, wiring):
        assert wiring.sensory_adjacency.any(axis=1).all()

    @relaxed
    @given(wirings(st.one_of(policies(), layered())))
    def test_synapses_stay_in_a_layer_or_go_to_the_next(self, wiring):
        depth = np.empty(wiring.units, int)
        for number, layer in enumerate(wiring.layers):
            depth[list(layer)] = number
            assert len({wiring.kinds[i] for i in layer}) == 1
        pre, post, _ = wiring.synapses
        assert set(depth[post] - depth[pre]) <= {0, 1}
        assert not depth[wiring.sensory_synapses[1]].any()
        assert wiring.layers[-1] == tuple(range(wiring.output_size))

    def test_two_synapses_in_three_are_excitatory_in_unstructured_wirings_and_half_in_layered_ones(self):
        for recipe, share in ((FullyConnected(60), 2 / 3), (Random(85), 2 / 3), (Layered((60, 60), 1.0), 1 / 2)):
            wiring = recipe.build(60, seed=0)
            for polarity in (wiring.synapses[2], wiring.sensory_synapses[2]):
                # Four standard deviations of a share of 2500 or more draws.
                assert (polarity > 0).mean() == pytest.approx(share, abs=0.04)

    def test_self_connections_can_be_excluded(self):
        wiring = FullyConnected(5, self_connections=False).build(2, seed=0)
        assert not wiring.adjacency.diagonal().any()
        assert wiring.num_synapses == 20

    @relaxed
    @given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 0.999))
    def test_random_has_the_share_asked_for_or_one_synapse_an_input(self, units, inputs, sparsity):
        wiring = Random(units, sparsity=sparsity).build(inputs, seed=0)
        assert wiring.num_synapses == round(units**2 * (1 - sparsity))
        assert wiring.num_sensory_synapses == max(inputs, round(units * inputs * (1 - sparsity)))

    @relaxed
    @given(policies(), st.integers(1, 6))
    def test_recurrent_command_synapses_are_exactly_as_many_as_asked(self, recipe, inputs):
        wiring = recipe.build(inputs, seed=1)
        command = [i for i, kind in enumerate(wiring.kinds) if kind == "command"]
        assert np.count_nonzero(wiring.adjacency[np.ix_(command, command)]) == recipe.recurrent_command_synapses

    def test_layered_with_three_layers_is_an_ncp(self):
        recipe = Layered((12, 6, 2), density=(0.5, 2 / 3, 0.5), recurrent=(0, 0.25, 0))
        assert recipe.build(8, seed=5) == NCP(12, 6, 2, 6, 4, 9, 3).build(8, seed=5)

    def test_layered_names_its_layers_and_keeps_lists_as_tuples(self):
        recipe = Layered([4, 3, 2, 1], density=[1, 1, 1, 1])
        assert recipe == Layered((4, 3, 2, 1), density=(1, 1, 1, 1))
        assert recipe.build(2, seed=0).kinds == (
            *["motor"], *["command"] * 2, *["inter 2"] * 3, *["inter 1"] * 4,
        )  # fmt: skip
        assert set(Layered((3, 2)).build(2, seed=0).kinds) == {"command", "motor"}
        assert set(Layered((3,)).build(2, seed=0).kinds) == {"motor"}

    def test_a_recurrent_share_counts_the_pairs_of_its_layer(self):
        wiring = Layered((8, 6, 2), recurrent=(0.25, 0.5, 1)).build(3, seed=0)
        within = [np.count_nonzero(wiring.adjacency[np.ix_(layer, layer)]) for layer in wiring.layers]
        assert within == [16, 18, 4]


class TestAgainstNcps:
    @pytest.mark.parametrize("units, outputs, sparsity", [(32, 4, 0.5), (19, 1, 0.3), (64, 8, 0.9), (7, 2, 0.1)])
    def test_auto_ncp_has_the_same_layers_and_numbers(self, units, outputs, sparsity):
        theirs = ncps.wirings.AutoNCP(units, outputs, sparsity)
        theirs.build(16)
        ours = AutoNCP(units, outputs, sparsity)
        wiring = ours.build(16, seed=0)
        for number, layer in enumerate(wiring.layers):
            assert list(layer) == theirs.get_neurons_of_layer(number)
        assert list(wiring.kinds) == [theirs.get_type_of_neuron(i) for i in range(units)]
        for name in ("sensory_fanout", "inter_fanout", "motor_fanin", "recurrent_command_synapses"):
            assert getattr(ours.ncp, name) == getattr(theirs, f"_{name}"), name

    def test_ncp_has_the_same_fans(self):
        theirs = ncps.wirings.NCP(12, 6, 3, 4, 3, 10, 4)
        theirs.build(20)
        wiring = NCP(12, 6, 3, 4, 3, 10, 4).build(20, seed=0)
        inter, command, motor = (list(layer) for layer in wiring.layers)
        for sensory, internal in (
            (wiring.sensory_adjacency, wiring.adjacency),
            (theirs.sensory_adjacency_matrix, theirs.adjacency_matrix),
        ):
            # With so many sources nobody is forgotten, and so nobody gets more than the fan asked for.
            assert set(np.count_nonzero(sensory, axis=1)) == {4}
            assert set(np.count_nonzero(internal[np.ix_(inter, command)], axis=1)) == {3}
            assert set(np.count_nonzero(internal[np.ix_(command, motor)], axis=0)) == {4}

    def test_ncps_itself_has_fewer_recurrent_synapses_than_specified(self):
        theirs = ncps.wirings.NCP(12, 6, 3, 4, 3, 36, 4)
        theirs.build(20)
        # If ncps no longer draws with repetition, the docstring of NCP is out of date.
        assert np.count_nonzero(theirs.adjacency_matrix[3:9, 3:9]) < 36
        assert np.count_nonzero(NCP(12, 6, 3, 4, 3, 36, 4).build(20, seed=0).adjacency[3:9, 3:9]) == 36

    def test_a_neuron_without_synapses_gets_the_mean_number(self):
        # Two inputs with a fan-out of 2 leave at least 16 of the 20 inter neurons without: the mean is below 1, so 1.
        theirs = ncps.wirings.NCP(20, 4, 1, 2, 2, 0, 2)
        theirs.build(2)
        wiring = NCP(20, 4, 1, 2, 2, 0, 2).build(2, seed=0)
        for sensory in (wiring.sensory_adjacency, theirs.sensory_adjacency_matrix):
            fan_in = np.count_nonzero(sensory, axis=0)[5:]
            assert fan_in.min() == 1
            assert fan_in.sum() >= 20

    def test_the_mean_can_be_more_than_one(self):
        # 6 inputs with a fan-out of 2 make 12 synapses, 3 for each of 4 inter neurons, forgotten ones included.
        recipe = NCP(4, 1, 1, 2, 1, 0, 1)
        synapses = {recipe.build(6, seed).num_sensory_synapses for seed in range(100)}
        assert {12, 15} <= synapses <= {12, 15, 18}
        theirs = set()
        for seed in range(100):
            wiring = ncps.wirings.NCP(4, 1, 1, 2, 1, 0, 1, seed=seed)
            wiring.build(6)
            theirs.add(wiring.sensory_synapse_count)
        assert synapses == theirs

    def test_full_and_random_wirings_have_as_many_synapses(self):
        for ours, theirs in (
            (FullyConnected(7), ncps.wirings.FullyConnected(7)),
            (FullyConnected(7, self_connections=False), ncps.wirings.FullyConnected(7, self_connections=False)),
            (Random(9, sparsity=0.35), ncps.wirings.Random(9, sparsity_level=0.35)),
        ):
            theirs.build(4)
            wiring = ours.build(4, seed=0)
            assert wiring.num_synapses == np.count_nonzero(theirs.adjacency_matrix)
            assert wiring.num_sensory_synapses == np.count_nonzero(theirs.sensory_adjacency_matrix)

    def test_a_wiring_of_ncps_can_be_taken_over(self):
        theirs = ncps.wirings.AutoNCP(20, 3)
        theirs.build(5)
        wiring = Wiring(
            theirs.adjacency_matrix,
            theirs.sensory_adjacency_matrix,
            outputs=theirs.output_dim,
            kinds=[theirs.get_type_of_neuron(i) for i in range(20)],
            layers=[np.array(theirs.get_neurons_of_layer(i)) for i in range(theirs.num_layers)],
        )
        np.testing.assert_array_equal(wiring.adjacency, theirs.adjacency_matrix)
        assert wiring.num_sensory_synapses == theirs.sensory_synapse_count
        assert wiring.num_synapses == theirs.synapse_count


class TestWiring:
    @relaxed
    @given(wirings())
    def test_json_pickle_and_deepcopy_give_the_same_wiring(self, wiring):
        for again in (
            Wiring.from_dict(json.loads(json.dumps(wiring.to_dict()))),
            pickle.loads(pickle.dumps(wiring)),
            copy.deepcopy(wiring),
        ):
            assert again == wiring
            assert hash(again) == hash(wiring)
            assert not again.adjacency.flags.writeable
            assert not again.sensory_adjacency.flags.writeable

    @relaxed
    @given(wirings())
    def test_synapses_are_the_adjacency_row_by_row(self, wiring):
        for synapses, matrix, count in (
            (wiring.synapses, wiring.adjacency, wiring.num_synapses),
            (wiring.sensory_synapses, wiring.sensory_adjacency, wiring.num_sensory_synapses),
        ):
            pre, post, polarity = synapses
            assert len(pre) == len(post) == len(polarity) == count
            assert (np.diff(pre * wiring.units + post) > 0).all()
            again = np.zeros_like(matrix)
            again[pre, post] = polarity
            np.testing.assert_array_equal(again, matrix)

    def test_equality_compares_every_part(self):
        given_ = {"adjacency": np.eye(3), "sensory_adjacency": np.ones((2, 3)), "outputs": 2}
        wiring = Wiring(**given_)
        assert wiring == Wiring(**given_)
        assert wiring != "wiring"
        for change in (
            {"adjacency": -np.eye(3)},
            {"sensory_adjacency": -np.ones((2, 3))},
            {"sensory_adjacency": np.ones((3, 3))},
            {"outputs": 1, "kinds": wiring.kinds},
            {"kinds": ["motor", "motor", "command"]},
            {"layers": [[2], [0, 1]]},
        ):
            assert Wiring(**given_ | change) != wiring, change

    def test_is_fully_connected(self):
        assert FullyConnected(4).build(2, seed=0).is_fully_connected
        assert not FullyConnected(4, self_connections=False).build(2, seed=0).is_fully_connected
        assert not AutoNCP(8, 2).build(2, seed=0).is_fully_connected

    def test_wirings_are_immutable(self):
        adjacency = np.eye(2)
        wiring = Wiring(adjacency, [[1, 1]])
        adjacency[:] = 0
        assert wiring.num_synapses == 2, "the wiring must not share memory with what it was made from"
        with pytest.raises(AttributeError, match="a Wiring is immutable, so output_size cannot be set"):
            wiring.output_size = 1
        with pytest.raises(AttributeError, match="a Wiring is immutable, so kinds cannot be deleted"):
            del wiring.kinds
        for matrix in (wiring.adjacency, wiring.sensory_adjacency):
            assert matrix.dtype == np.int8
            with pytest.raises(ValueError, match="read-only"):
                matrix[0, 0] = -1

    def test_repr_has_sizes_and_density(self):
        wiring = Wiring([[0, 1, 0], [0, 0, -1], [0, 0, 0]], [[0, 0, 1]], 1, ["motor", "command", "inter"])
        assert repr(wiring) == (
            "Wiring(1 input, 3 units (1 inter, 1 command, 1 motor), 1 sensory + 2 internal synapses, density 25%)"
        )

    @relaxed
    @given(wirings())
    def test_neuron_table_counts_what_is_there(self, wiring):
        table = wiring.neuron_table()
        assert [row["neuron"] for row in table] == list(range(wiring.units))
        assert tuple(row["kind"] for row in table) == wiring.kinds
        assert sum(row["fan_in"] for row in table) == wiring.num_synapses
        assert sum(row["fan_out"] for row in table) == wiring.num_synapses
        assert sum(row["sensory_fan_in"] for row in table) == wiring.num_sensory_synapses
        for row in table:
            assert row["fan_in"] + row["sensory_fan_in"] == row["excitatory_in"] + row["inhibitory_in"]
        json.dumps(table)

    def test_neuron_table_prints_aligned(self):
        table = Wiring([[0, 1, 1], [0, 0, -1], [0, -1, 0]], [[0, -1, 1]], outputs=1).neuron_table()
        assert table[1] == {
            "neuron": 1, "kind": "inter", "fan_in": 2, "sensory_fan_in": 1, "fan_out": 1,
            "excitatory_in": 1, "inhibitory_in": 2,
        }  # fmt: skip
        lines = str(table).splitlines()
        assert lines[0].split() == list(table[0])
        assert lines[2].split() == ["1", "inter", "2", "1", "1", "1", "2"]
        assert len({len(line) for line in lines}) == 1


class TestLesions:
    @relaxed
    @given(wirings(), st.data())
    def test_ablated_neurons_and_synapses_are_gone_and_nothing_else_is(self, wiring, data):
        before = wiring.to_dict()
        neurons = data.draw(st.lists(st.integers(0, wiring.units - 1)))
        pairs = {
            name: data.draw(st.lists(st.sampled_from(list(zip(*there[:2], strict=True))))) if len(there[0]) else []
            for name, there in (("synapses", wiring.synapses), ("sensory_synapses", wiring.sensory_synapses))
        }
        lesioned = wiring.ablate(neurons=neurons, **pairs)
        for cut, left, whole in (
            (pairs["synapses"], lesioned.adjacency, wiring.adjacency),
            (pairs["sensory_synapses"], lesioned.sensory_adjacency, wiring.sensory_adjacency),
        ):
            expected = np.array(whole)
            for pre, post in cut:
                expected[pre, post] = 0
            expected[:, neurons] = 0
            if whole is wiring.adjacency:
                expected[neurons] = 0
            np.testing.assert_array_equal(left, expected)
        assert (lesioned.kinds, lesioned.layers, lesioned.output_size) == (
            wiring.kinds, wiring.layers, wiring.output_size,
        )  # fmt: skip
        assert wiring.to_dict() == before

    @relaxed
    @given(wirings(), st.floats(0, 1))
    def test_pruning_removes_the_weakest_synapses(self, wiring, fraction):
        # Polarity is random; strengths of both signs, no two alike in size.
        rng = np.random.default_rng(0)
        total = wiring.num_synapses + wiring.num_sensory_synapses
        strength, sensory = np.split(rng.permutation(total) + 1.0, [wiring.num_synapses])
        pruned = wiring.prune(fraction, strength=-strength, sensory_strength=sensory)
        assert pruned.num_synapses + pruned.num_sensory_synapses == total - round(fraction * total)
        pre, post, _ = wiring.synapses
        source, neuron, _ = wiring.sensory_synapses
        stays = np.concatenate([pruned.adjacency[pre, post], pruned.sensory_adjacency[source, neuron]]) != 0
        np.testing.assert_array_equal(stays, np.concatenate([strength, sensory]) > round(fraction * total))

    @pytest.mark.parametrize(
        "call, error, words",
        [
            (
                {"synapses": [(0, 0)]},
                ValueError,
                r"synapses must hold pairs that this wiring connects \(see Wiring.synapses\), but holds \(0, 0\)",
            ),
            ({"synapses": [(-1, 0)]}, ValueError, r"but holds \(-1, 0\)"),
            ({"sensory_synapses": [(1, 0)]}, ValueError, r"sensory_synapses must hold pairs .* holds \(1, 0\)"),
            (
                {"neurons": [2]},
                ValueError,
                "each of neurons must be from 0 to 1, the last neuron, but got 2",
            ),
            ({"neurons": [-1]}, ValueError, "each of neurons must be from 0 to 1, the last neuron, but got -1"),
            ({"neurons": [0.5]}, TypeError, "each of neurons must be an int, but got 0.5"),
        ],
    )
    def test_a_lesion_of_a_missing_synapse_is_an_error(self, call, error, words):
        with pytest.raises(error, match=words):
            Wiring([[0, 1], [1, 0]], [[1, 1]]).ablate(**call)

    @pytest.mark.parametrize(
        "fraction, strength, error, words",
        [
            (1.5, [1, 2], ValueError, r"fraction must be in \[0, 1\], but got 1.5"),
            (float("nan"), [1, 2], ValueError, r"fraction must be in \[0, 1\], but got nan"),
            ("half", [1, 2], TypeError, "fraction must be a number, but got 'half'"),
            (0.5, [1], ValueError, r"strength must be \(2,\), one number a synapse, but got shape \(1,\)"),
            (0.5, [1, np.nan], ValueError, "strength must be finite, but holds nan"),
        ],
    )
    def test_pruning_by_something_else_is_an_error(self, fraction, strength, error, words):
        with pytest.raises(error, match=words):
            Wiring([[0, 1], [1, 0]], [[1, 1]]).prune(fraction, strength=strength, sensory_strength=[1, 2])

    def test_pruning_names_the_sensory_strength_too(self):
        with pytest.raises(ValueError, match=r"sensory_strength must be \(2,\), .* got shape \(2, 1\)"):
            Wiring([[0, 1], [1, 0]], [[1, 1]]).prune(0.5, strength=[1, 2], sensory_strength=[[1], [2]])


class TestErrors:
    @pytest.mark.parametrize(
        "change, error, words",
        [
            (
                {"adjacency": np.ones((2, 3))},
                ValueError,
                r"adjacency must be square, \(units, units\), but got \(2, 3\)",
            ),
            (
                {"adjacency": [1, 1]},
                ValueError,
                r"adjacency must be a matrix with rows and columns, but has shape \(2,\)",
            ),
            ({"adjacency": np.ones((0, 0))}, ValueError, r"adjacency must be a matrix .* has shape \(0, 0\)"),
            ({"adjacency": [[1, 0], [1]]}, ValueError, "adjacency must be a matrix, but its rows differ in length"),
            ({"adjacency": [[0.5, 0], [0, 1]]}, ValueError, r"adjacency must hold -1, 0 and \+1 only, but holds 0.5"),
            (
                {"sensory_adjacency": np.ones((4, 3))},
                ValueError,
                r"sensory_adjacency must be \(inputs, 2\), as adjacency is for 2 units, but got \(4, 3\)",
            ),
            (
                {"sensory_adjacency": [[2, 0]]},
                ValueError,
                r"sensory_adjacency must hold -1, 0 and \+1 only, but holds 2",
            ),
            ({"outputs": 0}, ValueError, "outputs must be from 1 to 2, the number of units, but got 0"),
            ({"outputs": 3}, ValueError, "outputs must be from 1 to 2, the number of units, but got 3"),
            ({"outputs": 1.0}, TypeError, "outputs must be an int, but got 1.0"),
            ({"kinds": ["motor"]}, ValueError, r"kinds must name the kind of each of the 2 units, but got \['motor'\]"),
            ({"kinds": "mi"}, ValueError, "kinds must name the kind of each of the 2 units, but got 'mi'"),
            ({"layers": [[0]]}, ValueError, r"layers must hold each of the 2 units exactly once, .* got \[\(0,\)\]"),
            ({"layers": [[0, 1], []]}, ValueError, "layers must .* none may be empty"),
        ],
    )
    def test_invalid_wirings_are_refused(self, change, error, words):
        with pytest.raises(error, match=words):
            Wiring(**{"adjacency": np.eye(2), "sensory_adjacency": [[1, 1]]} | change)

    def test_a_dict_with_other_keys_is_refused(self):
        content = Wiring([[1]], [[1]]).to_dict()
        with pytest.raises(ValueError, match="content must hold the keys adjacency, kinds, .* but has colour"):
            Wiring.from_dict({"colour": "red"})
        del content["kinds"]
        with pytest.raises(ValueError, match="but has adjacency, layers, outputs, sensory_adjacency"):
            Wiring.from_dict(content)

    @pytest.mark.parametrize(
        "make, error, words",
        [
            (lambda: FullyConnected(0), ValueError, "units must be at least 1, but got 0"),
            (lambda: FullyConnected(4.0), TypeError, "units must be an int, but got 4.0"),
            (lambda: FullyConnected(True), TypeError, "units must be an int, but got True"),
            (lambda: FullyConnected(4, 5), ValueError, "outputs must be from 1 to 4, the number of units, but got 5"),
            (lambda: Random(4, 0), ValueError, "outputs must be from 1 to 4, the number of units, but got 0"),
            (lambda: Random(4, sparsity=1), ValueError, r"sparsity must be in \[0, 1\), but got 1"),
            (lambda: Random(4, sparsity=-0.1), ValueError, r"sparsity must be in \[0, 1\), but got -0.1"),
            (lambda: Random(4, sparsity="0.5"), TypeError, "sparsity must be a number, but got '0.5'"),
            (lambda: Layered(12), TypeError, "sizes must be a sequence of ints, motor neurons last, but got 12"),
            (lambda: Layered(()), ValueError, "sizes must name at least one layer, the motor neurons, but is empty"),
            (lambda: Layered((4, 0)), ValueError, r"sizes\[1\] must be at least 1, but got 0"),
            (lambda: Layered((4, 2), density=0), ValueError, r"density must be in \(0, 1\], but got 0"),
            (lambda: Layered((4, 2), density=(0.5, 2)), ValueError, r"density must be in \(0, 1\], but got 2"),
            (
                lambda: Layered((4, 2), density=(0.5,)),
                ValueError,
                r"density must be one number, or one for each of the 2 layers, but got \(0.5,\)",
            ),
            (lambda: Layered((4, 2), recurrent=-1), ValueError, r"recurrent must be in \[0, 1\], but got -1"),
            (lambda: Layered((4, 2), recurrent="no"), TypeError, "recurrent must be a number, but got 'no'"),
            (lambda: NCP(0, 6, 1, 1, 1, 1, 1), ValueError, "inter must be at least 1, but got 0"),
            (
                lambda: NCP(12, 6, 1, 13, 4, 4, 6),
                ValueError,
                "sensory_fanout must be from 1 to 12, the number of inter neurons, but got 13",
            ),
            (
                lambda: NCP(12, 6, 1, 6, 7, 4, 6),
                ValueError,
                "inter_fanout must be from 1 to 6, the number of command neurons, but got 7",
            ),
            (
                lambda: NCP(12, 6, 1, 6, 4, 37, 6),
                ValueError,
                "recurrent_command_synapses must be from 0 to 36, the number of pairs of the 6 command neurons, "
                "but got 37",
            ),
            (
                lambda: NCP(12, 6, 1, 6, 4, 4, 0),
                ValueError,
                "motor_fanin must be from 1 to 6, the number of command neurons, but got 0",
            ),
            (lambda: NCP(12, 6, 1, 6, 4.5, 4, 6), TypeError, "inter_fanout must be an int, but got 4.5"),
            (lambda: AutoNCP(3, 1), ValueError, "units must be at least 4, but got 3"),
            (
                lambda: AutoNCP(32, 30),
                ValueError,
                "outputs must be from 1 to 29, which leaves inter and command neurons, but got 30",
            ),
            (lambda: AutoNCP(32, 4, sparsity=0.95), ValueError, r"sparsity must be in \[0.1, 0.9\], but got 0.95"),
            (lambda: AutoNCP(32, 4).build(0, seed=1), ValueError, "input_size must be at least 1, but got 0"),
            (lambda: AutoNCP(32, 4).build(3, seed=None), TypeError, "seed must be an int, but got None"),
            (lambda: AutoNCP(32, 4).build(3, seed=1.0), TypeError, "seed must be an int, but got 1.0"),
            (lambda: AutoNCP(32, 4).build(3, seed=-1), ValueError, "seed must be at least 0, but got -1"),
        ],
    )
    def test_invalid_recipes_are_refused(self, make, error, words):
        with pytest.raises(error, match=words):
            make()


class TestDrawing:
    @pytest.fixture(autouse=True)
    def closed(self):
        import matplotlib.pyplot as plt

        yield
        plt.close("all")

    def test_every_kind_is_in_the_legend_and_every_node_on_the_page(self):
        wiring = Layered((5, 4, 3, 2), recurrent=(0, 0, 0.5, 0)).build(6, seed=0)
        ax = wiring.draw(labels=True)
        legend = {text.get_text() for text in ax.get_legend().get_texts()}
        assert legend == {
            "sensory", "inter 1", "inter 2", "command", "motor", "excitatory synapse", "inhibitory synapse",
        }  # fmt: skip
        nodes = {line.get_marker(): 0 for line in ax.lines if line.get_markerfacecolor() != "none"}
        for line in ax.lines:
            if line.get_markerfacecolor() != "none":
                nodes[line.get_marker()] += len(line.get_xdata())
        assert nodes == {"s": 6, "o": 14}
        numbers = [text.get_text() for text in ax.texts if text.get_text().isdigit()]
        assert sorted(map(int, numbers)) == sorted([*range(6), *range(14)])

    def test_every_synapse_is_drawn_once_in_the_colour_of_its_polarity(self):
        from matplotlib.colors import to_hex

        wiring = AutoNCP(20, outputs=3).build(5, seed=2)
        ax = wiring.draw()
        drawn = {}
        for bundle in ax.collections:
            colour = to_hex(bundle.get_edgecolor()[0])
            drawn[colour] = drawn.get(colour, 0) + len(bundle.get_paths())
        for arc in ax.patches:
            drawn[to_hex(arc.get_edgecolor())] += 1
        for line in ax.lines:
            if line.get_markerfacecolor() == "none":
                drawn[to_hex(line.get_markeredgecolor())] += 1
        polarity = np.concatenate([wiring.synapses[2], wiring.sensory_synapses[2]])
        assert sorted(drawn.values()) == sorted([(polarity > 0).sum(), (polarity < 0).sum()])
        command = [i for i, kind in enumerate(wiring.kinds) if kind == "command"]
        recurrent = wiring.adjacency[np.ix_(command, command)]
        assert len(ax.patches) == np.count_nonzero(recurrent) - np.count_nonzero(recurrent.diagonal())

    def test_it_draws_where_it_is_told_and_leaves_the_figure_alone(self):
        import matplotlib.pyplot as plt

        figure, (left, right) = plt.subplots(1, 2)
        assert FullyConnected(3, outputs=1).build(2, seed=0).draw(right, ink="#abcdef") is right
        assert not left.has_data()
        assert figure.patch.get_alpha() is None
        assert {text.get_color() for text in right.texts} == {"#abcdef"}
        figure.canvas.draw()

    def test_the_smallest_wiring_can_be_drawn(self):
        ax = FullyConnected(1).build(1, seed=0).draw()
        ax.figure.canvas.draw()
        assert ax.figure.patch.get_alpha() == 0


def test_wirings_need_numpy_only():
    # torch comes with the package; the module itself, loaded alone, must not bring it or matplotlib.
    script = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('wirings', sys.argv[1])\n"
        "module = sys.modules['wirings'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.AutoNCP(8, 2).build(3, seed=0)\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, sys.modules[Wiring.__module__].__file__], check=True)


def test_examples_in_docstrings():
    import doctest

    import matplotlib.pyplot as plt

    result = doctest.testmod(sys.modules[Wiring.__module__])
    plt.close("all")
    assert result.attempted > 10
    assert not result.failed


@pytest.mark.parametrize(
    "recipe", [AutoNCP(20, outputs=3), NCP(12, 6, 1, 6, 4, 6, 6), Random(9, outputs=2, sparsity=0.6)]
)
def test_shuffled_synapses_are_as_many_elsewhere(recipe):
    ordered, moved = recipe.build(7, seed=3), Shuffled(recipe).build(7, seed=3)
    assert (moved.units, moved.output_size, moved.input_size) == (ordered.units, ordered.output_size, 7)
    assert sorted(moved.synapses[2]) == sorted(ordered.synapses[2])
    for mine, theirs in zip(moved.sensory_adjacency, ordered.sensory_adjacency, strict=True):
        assert sorted(mine) == sorted(theirs), "each input keeps its own"
    assert not np.array_equal(moved.adjacency, ordered.adjacency) and len(moved.layers) == 1
    assert moved == Shuffled(recipe).build(7, seed=3) != Shuffled(recipe).build(7, seed=4)


def test_shuffled_synapses_are_anywhere_alike():
    """Over many draws each pair is connected equally often, which an NCP's are not."""
    recipe = AutoNCP(10, outputs=2)
    shares = [
        np.mean([made.build(3, seed=seed).adjacency != 0 for seed in range(400)], 0)
        for made in (recipe, Shuffled(recipe))
    ]
    assert shares[0].min() == 0 and shares[0].max() > 0.5
    np.testing.assert_allclose(shares[1], shares[0].mean(), atol=0.08)


def test_only_a_recipe_can_be_shuffled():
    with pytest.raises(TypeError, match="recipe must be a recipe, such as AutoNCP"):
        Shuffled(8)
