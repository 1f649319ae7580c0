"""What is counted of a network, against counts made by other means, and the sizes that follow."""

import pytest
import torch
from test_networks import task
from torch.utils._python_dispatch import TorchDispatchMode

from liquidbench import networks
from liquidbench.matching import (
    COUNTS,
    TOLERANCE,
    budget,
    count_operations,
    count_parameters,
    count_state,
    fitting_structures,
    size_for_budget,
)
from liquidbench.models import MODELS
from liquidbench.networks import build
from liquidrnn.kernels.loop import Inputs


@pytest.mark.parametrize("budget", [3000, 6000])
@pytest.mark.parametrize("model", MODELS)
def test_a_matched_size_spends_the_budget_to_within_five_percent(model, budget):
    size = size_for_budget(model, task(), budget, seed=3)
    spent = count_parameters(build(model, task(), size, seed=3))
    assert abs(spent - budget) <= 0.05 * budget
    # And no other size comes nearer.
    for other in (size - 1, size + 1):
        assert abs(count_parameters(build(model, task(), other, seed=3)) - budget) >= abs(spent - budget)


def test_only_trained_parameters_count():
    model = build("GRU", task(), 4, seed=0)
    gates, units, inputs = 3, 4, 3 + 1
    assert count_parameters(model) == gates * units * (inputs + units + 2) + 2 * (units + 1)
    model.head.bias.requires_grad_(False)
    assert count_parameters(model) == gates * units * (inputs + units + 2) + 2 * units


def test_a_budget_out_of_reach_is_refused_with_the_nearest_sizes():
    near = [count_parameters(build("LSTM", task(), size, seed=0)) for size in (2, 3)]
    with pytest.raises(ValueError) as refusal:
        size_for_budget("LSTM", task(), 80)
    for words in ("'toy'", "LSTM", "80", f"{near[0]} with 2 units", f"{near[1]} with 3 units", "5%"):
        assert words in str(refusal.value)


class Watched(TorchDispatchMode):
    """Counts what torch computes: products of matrices, and what is done once for each connection.

    The batch is of two sequences. `connections` holds the numbers of synapses; a tensor of (2, synapses) or
    (2, sources, units) is one value for each of them.
    """

    def __init__(self, connections=()):
        super().__init__()
        self.connections, self.multiply_adds, self.sigmoids = set(connections), 0, 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        out = function(*arguments, **(keywords or {}))
        name = function.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "linear"):
            matrix = [a for a in arguments if isinstance(a, torch.Tensor) and a.ndim >= 2][-1]
            # What a wiring lacks is a zero in the matrix.
            self.multiply_adds += 2 * int((matrix != 0).sum())
        elif isinstance(out, torch.Tensor) and len(out) == 2 and out.numel() // 2 in self.connections:
            self.multiply_adds += out.numel() * (name == "mul")
            self.sigmoids += out.numel() * (name == "sigmoid")
        return out


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_operations_are_those_of_the_reference_recurrences(model, missing):
    toy = task(missing=missing)
    for structure in MODELS[model].combinations:
        # In double precision, which no library takes out of torch's sight.
        network = build(model, toy, 11, seed=0, structure=structure).double()
        layer = network.layer
        for recurrence in layer.recurrences:
            recurrence.run_on("reference")
        watched = Watched()
        with torch.no_grad():
            for recurrence in layer.recurrences:
                parts = [getattr(recurrence, name, ()) for name in ("synapses", "sensory_synapses")]
                watched.connections = {len(part) for part in parts} if len(parts[1]) else set()
                assert not watched.connections & {recurrence.hidden_size, recurrence.input_size}
                coefficients = recurrence.coefficients()
                # Nothing at zero, which would be taken for a connection that is not there.
                state = tuple(torch.rand(2, size).double() + 0.1 for size in recurrence.state_sizes)
                for parameter in recurrence.parameters():
                    parameter.data[parameter == 0] = 0.1
                sample = Inputs(torch.rand(2, recurrence.input_size).double(), torch.ones(2, 1).double())
                with watched:
                    recurrence.update(coefficients, sample, state)
            with watched:
                network.head(torch.rand(2, layer.output_size).double())
        counted = count_operations(network)
        assert (counted.multiply_adds, counted.synapse_evaluations) == (watched.multiply_adds / 2, watched.sigmoids / 2)
        assert (counted.synapse_evaluations > 0) == model.startswith(("LTC", "STC", "LRC"))


def test_solver_steps_cost_operations_and_no_parameters():
    three, six = (build("LTC", task(), 10, 0, structure={"ode_unfolds": unfolds}) for unfolds in (3, 6))
    assert count_parameters(three) == count_parameters(six)
    # One evaluation and three multiply-adds for each of the 10 x 10 synapses and step.
    assert count_operations(six).total - count_operations(three).total == 3 * 4 * 100


def test_a_head_per_sequence_does_not_count_per_sample():
    step, sequence = (count_operations(build("GRU", task(per), 8, 0)) for per in ("step", "sequence"))
    assert step.multiply_adds - sequence.multiply_adds == 2 * 8


def test_state_is_counted_with_memory_cells():
    for model in MODELS:
        network = build(model, task(), 9, seed=0)
        with torch.no_grad():
            state = network.layer(torch.rand(1, 4, 3), timespans=torch.ones(1, 4))[1]
        assert count_state(network) == sum(s.numel() for s in (state if isinstance(state, tuple) else (state,)))
    assert count_state(build("LSTM", task(), 9, seed=0)) == 2 * 9


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("model", "matching"),
    [
        pytest.param(model, matching, marks=[pytest.mark.slow] * (matching == "state" and model not in ("LTC", "GRU")))
        for model in MODELS
        for matching in COUNTS
    ],
)
def test_structures_have_the_size_of_the_reference(model, matching):
    wanted = budget(task(), 4000, matching)
    offered = fitting_structures(model, task(), 4000, 3, matching)
    assert offered[0][0] == MODELS[model].combinations[0]
    for structure, size in offered:
        spent = COUNTS[matching](build(model, task(), size, seed=3, structure=structure))
        assert abs(spent - wanted) <= TOLERANCE[matching] * wanted
    structure, size = offered[-1]
    assert size == size_for_budget(model, task(), 4000, 3, matching, structure)
    left_out = [one for one in MODELS[model].combinations if one not in [structure for structure, _ in offered]]
    for structure in left_out:
        with pytest.raises(ValueError, match=f"matching {matching}"):
            size_for_budget(model, task(), 4000, 3, matching, structure)


def test_budgets_of_other_matchings_are_those_of_a_gru():
    size = size_for_budget("GRU", task(), 4000)
    network = build("GRU", task(), size, seed=1)
    assert budget(task(), 4000) == 4000
    assert budget(task(), 4000, "state") == size
    assert budget(task(), 4000, "compute") == 3 * size * (size + 4) + 2 * size == count_operations(network).total
    with pytest.raises(ValueError, match="matching must be one of parameters, compute, state; got 'time'"):
        budget(task(), 4000, "time")


def test_an_ltc_of_equal_compute_is_smaller_by_its_solver_steps():
    equal = {model: size_for_budget(model, task(), 4000, matching="compute") for model in ("LTC", "STC")}
    assert equal["LTC"] < 0.6 * equal["STC"]


@pytest.mark.parametrize("model", ["LTC", "LTC-NCP", "GRU"])
def test_few_networks_are_built_to_find_a_size_and_no_random_number_is_used_up(model, monkeypatch):
    built = []
    monkeypatch.setattr(networks, "build", lambda *given, **more: built.append(given[2]) or build(*given, **more))
    before = torch.get_rng_state()
    size = size_for_budget(model, task(), 200_000, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    # Doubling alone takes as many to come near, halving as many again.
    assert size > 100 and len(built) == len(set(built)) <= 14
