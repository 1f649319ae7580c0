"""Objectives against NumPy's formulas of their papers, and what all of them promise."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from liquidrnn.objectives import CORAL, ERM, IRM, Batch, EnvironmentObjective, GroupDRO, Mixup, StateMoments, VREx

ENVIRONMENTS = torch.tensor([2, 0, 0, 1, 2, 1, 0, 2, 1, 0, 2, 2])
"""Of twelve sequences: 4, 3 and 5 of each."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def each(*arrays):
    """The parts of some arrays that belong to each environment."""
    numbers = ENVIRONMENTS.numpy()
    return [tuple(array[numbers == one] for array in arrays) for one in range(3)]


def given(predictions, features=None):
    """A model that has its predictions, and features, already."""
    return lambda: predictions if features is None else (predictions, features)


def batch(targets, **others):
    return Batch((), targets, **{"environments": ENVIRONMENTS, **others})


OBJECTIVES = {
    "erm": ERM(F.mse_loss),
    "irm": IRM(7.0, F.mse_loss),
    "vrex": VREx(3.0, F.mse_loss),
    "group_dro": GroupDRO(3, 0.5, F.mse_loss),
    "coral": CORAL(2.0, F.mse_loss),
    "state_moments": StateMoments(2.0, F.mse_loss),
}


def features_for(objective):
    if objective.features == "states":
        return random(12, 5, 3, seed=3)
    return random(12, 3, seed=3) if objective.features else None


def test_erm_is_the_mean_over_all_known_targets():
    predictions, targets = random(12, 4, 2), random(12, 4, 2, seed=1)
    scored = random(12, 4, seed=2) > 0
    expected = ((predictions - targets).numpy()[scored.numpy()] ** 2).mean()
    assert float(ERM(F.mse_loss)(given(predictions), batch(targets, scored=scored))) == pytest.approx(expected)


def test_irms_penalty_for_squared_errors_is_its_closed_form():
    """The penalty and its gradient, a derivative of a derivative, of a linear model."""
    values, targets, weights = random(12, 4), random(12, 1, seed=1), random(4, 1, seed=2)
    x, y, w = values.numpy(), targets.numpy(), weights.numpy()
    risks, penalties, gradient = [], [], np.zeros_like(w)
    for own, known in each(x, y):
        f = own @ w
        slope = 2 * np.mean(f * (f - known))
        risks.append(np.mean((f - known) ** 2))
        penalties.append(slope**2)
        gradient += (2 * own.T @ (f - known) / len(f)) / 3
        gradient += 7.0 * 2 * slope * (2 * own.T @ (2 * f - known) / len(f)) / 3
    weights.requires_grad_()
    loss = IRM(7.0, F.mse_loss)(lambda inputs: inputs @ weights, Batch((values,), targets, ENVIRONMENTS))
    loss.backward()
    assert loss.item() == pytest.approx(np.mean(risks) + 7.0 * np.mean(penalties))
    np.testing.assert_allclose(weights.grad.numpy(), gradient, rtol=1e-10)


def test_irms_penalty_for_cross_entropy_is_its_closed_form():
    logits, targets = random(12, 3), torch.arange(12) % 3
    expected = []
    for z, y in each(logits.numpy(), targets.numpy()):
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        expected.append(np.mean((p * z).sum(1) - z[np.arange(len(z)), y]) ** 2)
    with_penalty, without = (IRM(weight)(given(logits), batch(targets)).item() for weight in (1.0, 0.0))
    assert with_penalty - without == pytest.approx(np.mean(expected))


def test_vrex_is_mean_and_variance_of_the_risks():
    predictions, targets = random(12, 2), random(12, 2, seed=1)
    risks = [np.mean((f - y) ** 2) for f, y in each(predictions.numpy(), targets.numpy())]
    loss = VREx(3.0, F.mse_loss)(given(predictions), batch(targets))
    assert float(loss) == pytest.approx(np.mean(risks) + 3 * np.var(risks))


def test_group_dros_weights_follow_their_recursion():
    objective, q = GroupDRO(4, 0.5, F.mse_loss), np.full(4, 0.25)
    for seed in range(5):
        predictions, targets = random(12, 2, seed=seed), random(12, 2, seed=seed + 10)
        # The fourth environment is never there, another one in some batches.
        numbers = ENVIRONMENTS if seed % 2 else ENVIRONMENTS.clamp(max=1)
        risks = np.zeros(4)
        for one in numbers.unique().tolist():
            own = (numbers == one).numpy()
            risks[one] = np.mean((predictions.numpy()[own] - targets.numpy()[own]) ** 2)
        q = q * np.exp(0.5 * risks)
        q /= q.sum()
        loss = objective(given(predictions), batch(targets, environments=numbers))
        assert float(loss) == pytest.approx(q @ risks, rel=1e-6)
        np.testing.assert_allclose(objective.weights.numpy(), q, rtol=1e-5)


def test_group_dros_weights_are_state_that_changes_in_training_alone():
    objective, other = GroupDRO(3, 0.5, F.mse_loss), GroupDRO(3, 0.5, F.mse_loss)
    arguments = given(random(12, 2)), batch(random(12, 2, seed=1))
    objective(*arguments)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(objective.weights, other.weights) and other.weights.unique().numel() == 3
    other.eval()
    assert other(*arguments) == other(*arguments)
    assert torch.equal(objective.weights, other.weights)


def test_coral_is_the_distance_of_numpys_covariances():
    predictions, targets, features = random(12, 2), random(12, 2, seed=1), random(12, 3, seed=2)
    risks = [np.mean((f - y) ** 2) for f, y in each(predictions.numpy(), targets.numpy())]
    a, b, c = (np.cov(own, rowvar=False) for (own,) in each(features.numpy()))
    pairs = [np.linalg.norm(one - other) ** 2 / (4 * 3**2) for one, other in ((a, b), (a, c), (b, c))]
    loss = CORAL(2.0, F.mse_loss)(given(predictions, features), batch(targets))
    assert float(loss) == pytest.approx(np.mean(risks) + 2 * np.mean(pairs))


def test_state_moments_are_those_of_all_steps_that_are_present():
    predictions, targets, states = random(12, 2), random(12, 2, seed=1), random(12, 5, 3, seed=2)
    present = torch.arange(5) < 1 + torch.arange(12)[:, None] % 5
    risks = [np.mean((f - y) ** 2) for f, y in each(predictions.numpy(), targets.numpy())]
    own = [rows[there] for rows, there in each(states.numpy(), present.numpy())]
    moments = [np.concatenate([rows.mean(0), rows.var(0)]) for rows in own]
    pairs = [np.sum((moments[i] - moments[j]) ** 2) / 3 for i, j in ((0, 1), (0, 2), (1, 2))]
    loss = StateMoments(2.0, F.mse_loss)(given(predictions, states), batch(targets, present=present))
    assert float(loss) == pytest.approx(np.mean(risks) + 2 * np.mean(pairs))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_are_those_of_differences(name):
    objective, targets = OBJECTIVES[name].eval(), random(12, 2, seed=1)
    features = features_for(objective)
    inputs = [random(12, 2).requires_grad_(), *([] if features is None else [features.requires_grad_()])]
    assert torch.autograd.gradcheck(lambda *outputs: objective(given(*outputs), batch(targets)), inputs)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_sums_of_parts_add_up_to_those_of_the_batch(name):
    """Of parts without some environments, and without any sequence that counts."""
    objective, predictions, targets = OBJECTIVES[name].eval(), random(12, 2), random(12, 2, seed=1)
    features, numbers = features_for(objective), torch.arange(3)
    expected = objective.sums(given(predictions, features), batch(targets), numbers)
    total = torch.zeros_like(expected)
    for part in ([0, 1, 2], [3], [4, 5, 6, 7, 8, 9, 10, 11]):
        model = given(predictions[part], None if features is None else features[part])
        total += objective.sums(model, batch(targets[part], environments=ENVIRONMENTS[part]), numbers)
    model = given(predictions[:1], None if features is None else features[:1])
    nothing = {"scored": torch.zeros(1, dtype=torch.bool), "present": torch.zeros(1, 5, dtype=torch.bool)}
    empty = objective.sums(model, batch(targets[:1], environments=ENVIRONMENTS[:1], **nothing), numbers)
    assert not empty.any()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(
        objective.combine(total, numbers), objective(given(predictions, features), batch(targets))
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_steps_have_the_environment_of_their_sequence(name):
    """With a target for each step, as with a target for each sequence where the steps are sequences."""
    objective, predictions, targets = OBJECTIVES[name].eval(), random(12, 4, 2), random(12, 4, 2, seed=1)
    scored = random(12, 4, seed=5) > -0.5
    features = random(12, 4, 3, seed=3) if objective.features else None
    given_states = {"present": scored} if objective.features == "states" else {}
    steps = objective(given(predictions, features), batch(targets, scored=scored, **given_states))
    own = ENVIRONMENTS[:, None].expand(12, 4)
    as_steps = batch(targets, scored=scored, environments=own, **given_states)
    torch.testing.assert_close(steps, objective(given(predictions, features), as_steps))
    flat = None if features is None else features[scored]
    if objective.features == "states":
        flat = flat[:, None]
    rows = batch(targets[scored], environments=own[scored])
    torch.testing.assert_close(steps, objective(given(predictions[scored], flat), rows))


def test_environments_of_steps():
    """Those of a sequence may differ: here each of three steps is one."""
    predictions, targets = random(12, 3, 2), random(12, 3, 2, seed=1)
    steps = torch.arange(3).expand(12, 3)
    risks = ((predictions - targets) ** 2).mean((0, 2)).numpy()
    loss = VREx(3.0, F.mse_loss)(given(predictions), batch(targets, environments=steps))
    assert float(loss) == pytest.approx(risks.mean() + 3 * risks.var())


def test_a_large_weight_waits():
    predictions, targets = random(12, 2), random(12, 2, seed=1)
    objective = VREx(50.0, F.mse_loss, anneal=2)
    found = [float(objective(given(predictions), batch(targets))) for _ in range(4)]
    early, late = (float(VREx(weight, F.mse_loss)(given(predictions), batch(targets))) for weight in (1.0, 50.0))
    assert found == [early, early, late, late]
    assert int(objective.state_dict()["updates"]) == 4


@pytest.mark.parametrize("partners", ["any", "within", "between"])
def test_mixup_mixes_inputs_and_targets_alike(partners):
    torch.manual_seed(3)
    values, targets, seen = torch.eye(12, dtype=torch.float64), torch.arange(12) % 3, []
    head = random(12, 3)

    def model(mixed):
        seen.append(mixed)
        return mixed @ head

    pairs = set()
    for _ in range(20):
        loss = Mixup(0.7, partners)(model, Batch((values,), targets, ENVIRONMENTS))
        # Of rows of the unit matrix, a mixture shows what it is made of; a partner may be the sequence itself.
        made = seen.pop().numpy()
        known = np.eye(3)[targets.numpy()]
        logits = made @ head.numpy()
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        assert float(loss) == pytest.approx(-np.mean((made @ known * logs).sum(1)))
        np.testing.assert_allclose(made.sum(1), 1)
        own = ENVIRONMENTS.numpy()
        for i, j in zip(*np.nonzero(made - np.diag(np.diag(made)) > 1e-12), strict=True):
            pairs.add(bool(own[i] == own[j]))
    assert pairs == {"any": {True, False}, "within": {True}, "between": {False}}[partners]


def test_mixup_of_steps_counts_the_targets_that_each_of_the_two_has():
    torch.manual_seed(0)
    values, targets = random(2, 4, 1), random(2, 4, 1, seed=1)
    scored, seen = torch.tensor([[True, True, False, False], [False, True, True, True]]), []

    def model(mixed):
        seen.append(mixed)
        return mixed

    loss = Mixup(0.5, "between", F.mse_loss)(model, Batch((values,), targets, torch.tensor([4, 9]), scored))
    mixed, x, y, known = seen[0].numpy(), values.numpy(), targets.numpy(), scored.numpy()
    share = ((mixed - x[::-1]) / (x - x[::-1])).mean()
    errors, other = (mixed - y) ** 2, (mixed - y[::-1]) ** 2
    expected = share * errors[known].mean() + (1 - share) * other[known[::-1]].mean()
    assert float(loss) == pytest.approx(expected)


def test_mixup_mixes_what_was_observed_at_the_same_steps_alone():
    model, values = (lambda x, mask: x[:, -1]), random(2, 4, 1)
    numbers, mask = torch.tensor([0, 0]), torch.ones(2, 4, 1, dtype=torch.bool)
    mixup = Mixup(0.5, "within", F.mse_loss)
    for _ in range(5):
        mixup(model, Batch((values, mask), values[:, -1], numbers))
    mask[0, 2] = False
    with pytest.raises(ValueError, match="inputs of Mixup must be floating-point, or the same for all sequences"):
        for _ in range(20):
            mixup(model, Batch((values, mask), values[:, -1], numbers))


@pytest.mark.parametrize("name", ["vrex", "coral", "state_moments"])
def test_one_environment_is_refused(name):
    objective, targets = OBJECTIVES[name], random(12, 2)
    message = r"environments must have at least 2 that differ in each batch.*got \[1\]"
    with pytest.raises(ValueError, match=message):
        objective(
            given(targets, features_for(objective)), batch(targets, environments=torch.ones(12, dtype=torch.int64))
        )
    # As one that has targets where the others have none.
    with pytest.raises(ValueError, match=message):
        objective(given(targets, features_for(objective)), batch(targets, scored=ENVIRONMENTS == 1))


def test_bad_arguments_are_refused_with_their_names():
    targets = random(12, 2)
    with pytest.raises(ValueError, match="weight must be a finite number of at least 0, but got -1"):
        IRM(-1)
    with pytest.raises(ValueError, match="anneal must be at least 0, but got -3"):
        VREx(anneal=-3)
    with pytest.raises(ValueError, match="rate must be a positive number, but got 0"):
        GroupDRO(3, 0)
    with pytest.raises(ValueError, match="partners must be 'any', 'within' or 'between', but got 'all'"):
        Mixup(partners="all")
    with pytest.raises(TypeError, match="environments must be whole numbers.*got torch.float32"):
        batch(targets, environments=torch.ones(12))
    with pytest.raises(ValueError, match=r"environments must have shape .* 12 sequences of targets; got \(3,\)"):
        batch(targets, environments=torch.arange(3))
    with pytest.raises(ValueError, match=r"environments must be from 0 to 1, as there are 2 in all; got \[0, 1, 2\]"):
        GroupDRO(2, loss=F.mse_loss)(given(targets), batch(targets))
    with pytest.raises(TypeError, match=r"model must return \(predictions, features\) for StateMoments.*hidden states"):
        StateMoments()(given(targets), batch(targets))
    with pytest.raises(ValueError, match=r"at least 2 rows of features each .* for CORAL.*got \[1, 11\]"):
        numbers = (torch.arange(12) > 0).long()
        CORAL(loss=F.mse_loss)(given(targets, targets), batch(targets, environments=numbers))
    with pytest.raises(ValueError, match=r"environments must be those of sequences, \(batch,\), where predictions are"):
        IRM(loss=F.mse_loss)(given(targets), batch(targets, environments=torch.zeros(12, 4, dtype=torch.int64)))


def test_an_objective_of_ones_own():
    """The largest risk, from the sums that every objective of environments has."""

    class Worst(EnvironmentObjective):
        def combine(self, sums, numbers):
            return (sums[:, 1] / sums[:, 0]).max()

    model, values, targets = nn.Linear(4, 2).double(), random(12, 4), random(12, 2, seed=1)
    loss = Worst(F.mse_loss)(model, Batch((values,), targets, ENVIRONMENTS))
    with torch.no_grad():
        errors = ((model(values) - targets) ** 2).numpy()
    assert loss.item() == pytest.approx(max(np.mean(own) for (own,) in each(errors)))


TARGETS = torch.tensor([0, 1, 1, 0])
ORIGIN = torch.tensor([0, 0, 1, 1])
WRONG = {
    "a mask of whole numbers": (TypeError, "scored must be a bool Tensor", {"scored": ORIGIN}),
    "present as whole numbers": (TypeError, "present must be a bool Tensor", {"present": torch.ones(4, 5).int()}),
    "present of sequences": (ValueError, r"present must have shape \(batch, time\)", {"present": ORIGIN > 0}),
    "a list of environments": (TypeError, "environments must be a Tensor", {"environments": [0, 0, 1, 1]}),
    "inputs that are a tensor": (
        TypeError,
        "inputs must be a tuple.* write \\(values,\\)",
        {"inputs": torch.ones(4, 3)},
    ),
    "too few inputs": (ValueError, "inputs must have the 4 sequences of targets", {"inputs": (torch.ones(3, 3),)}),
    "too few masks": (ValueError, "scored must have shape", {"scored": torch.ones(3, dtype=torch.bool)}),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_batch_that_cannot_be_meant_is_refused(case):
    error, message, changed = WRONG[case]
    with pytest.raises(error, match=message):
        Batch(**{"inputs": (torch.ones(4, 3),), "targets": TARGETS, "environments": ORIGIN, **changed})


def test_environments_of_any_whole_numbers_are_read_alike():
    model, values = nn.Linear(3, 2), torch.randn(4, 3)
    losses = [
        VREx(2.0)(model, Batch((values,), TARGETS, ORIGIN.to(dtype))).item()
        for dtype in (torch.int64, torch.uint8, torch.int32)
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("objective", [ERM(F.mse_loss), IRM(1.0, F.mse_loss), Mixup(0.5, "any", F.mse_loss)])
def test_steps_without_a_prediction_may_not_count(objective):
    predictions, targets = random(12, 4, 2), random(12, 6, 2, seed=1)
    with pytest.raises(ValueError, match="targets must have the 4 steps that the model gives"):
        objective(given(predictions), batch(targets))
    scored = torch.ones(12, 6, dtype=torch.bool)
    with pytest.raises(ValueError, match="scored must be False after the 4 steps"):
        objective(given(predictions), batch(targets, scored=scored))
    torch.manual_seed(0)
    cut = objective(given(predictions), batch(targets[:, :4]))
    scored[:, 4:] = False
    torch.manual_seed(0)
    torch.testing.assert_close(objective(given(predictions), batch(targets, scored=scored)), cut)


def test_steps_that_are_too_few_are_refused():
    predictions, targets = random(12, 4, 2), random(12, 4, 2, seed=1)
    with pytest.raises(ValueError, match="targets must be .* all 4 steps"):
        ERM(F.mse_loss)(given(predictions), batch(targets[:, :3]))
    with pytest.raises(ValueError, match="environments must be .* all 4 steps"):
        IRM(1.0, F.mse_loss)(given(predictions), batch(targets, environments=ENVIRONMENTS[:, None].expand(12, 3)))
    with pytest.raises(ValueError, match="present must be .* all 4 steps"):
        present = torch.ones(12, 3, dtype=torch.bool)
        StateMoments(1.0, F.mse_loss)(given(predictions, predictions), batch(targets, present=present))
    with pytest.raises(ValueError, match=r"scored must have shape \(batch,\), where the model gives one row"):
        ERM(F.mse_loss)(given(predictions[:, 0]), batch(targets[:, 0], scored=torch.ones(12, 2, dtype=torch.bool)))
    with pytest.raises(ValueError, match="model must return predictions for the 12 sequences of targets"):
        ERM(F.mse_loss)(given(predictions[:3]), batch(targets))


@pytest.mark.parametrize("objective", [CORAL(1.0, F.mse_loss), StateMoments(1.0, F.mse_loss)])
def test_a_large_mean_of_features_does_not_round_the_penalty(objective):
    # 1000 more is exact for multiples of 1/256.
    features, zero = (random(12, 3) * 256).round().div(256).float(), torch.zeros(12, 2)
    exact = objective(given(zero, features.double()), batch(zero))
    torch.testing.assert_close(objective(given(zero, features + 1000), batch(zero)), exact, rtol=1e-6, atol=0)


def test_nothing_scored_is_refused():
    zero, nothing = torch.zeros(12, 2), {"scored": torch.zeros(12, dtype=torch.bool)}
    for objective in (ERM(F.mse_loss), Mixup(0.5, "any", F.mse_loss)):
        with pytest.raises(ValueError, match="scored must be True somewhere in each batch"):
            objective(given(zero), batch(zero, **nothing))
    absent = (ENVIRONMENTS != 1)[:, None].expand(12, 5)
    with pytest.raises(ValueError, match=r"present must be True somewhere .* got \[20, 0, 25\] states"):
        StateMoments(1.0, F.mse_loss)(given(zero, torch.zeros(12, 5, 3)), batch(zero, present=absent))


def test_a_nan_does_not_get_into_group_dros_weights():
    objective, targets = GroupDRO(3, 0.5, F.mse_loss), random(12, 2)
    objective(given(random(12, 2, seed=1)), batch(targets))
    before = objective.weights.clone()
    with pytest.raises(FloatingPointError, match="risks must be finite"):
        objective(given(targets.clone().fill_(torch.nan)), batch(targets))
    assert torch.equal(objective.weights, before) and before.isfinite().all()
