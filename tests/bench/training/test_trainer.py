"""The loop alone: what a step comes to, what objectives and samplers are given, and that a pause changes nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_fit import task

from liquidbench import networks
from liquidbench.metrics import Metric
from liquidbench.search import Settings
from liquidbench.tasks.synthetic import parity_events, parity_running
from liquidbench.training import trainer
from liquidbench.training.learning import Data, loss_of, optimiser_of
from liquidbench.training.trainer import (
    CURRICULUM,
    LEVELS,
    MASTERED,
    NoTargetsError,
    Trainer,
    balanced,
    mean_loss,
    shortest_first,
    shuffled,
    step,
)
from liquidrnn.objectives import CORAL, EnvironmentObjective, GroupDRO, Mixup, StateMoments, VREx

SETTINGS = Settings(0.02, schedule="cosine", patience=1.0, structure={"num_layers": 2, "dropout": 0.3})


def with_environments(toy, numbers=(3, 1, 8)):
    """The task with its recordings from so many environments in turn."""
    plain = toy.recordings

    def recordings(split):
        return [replace(part, environment=numbers[i % len(numbers)]) for i, part in enumerate(plain(split))]

    return replace(toy, recordings=recordings)


def built(toy, seed=0):
    return networks.build("GRU", toy, 6, seed, structure=SETTINGS.structure)


def made(toy, **changes) -> Trainer:
    train, validation = (Data(toy.split(name)) for name in ("train", "validation"))
    how = {"steps": 9, "batch_size": 8, "seed": 1} | changes
    ready = Trainer(built(toy), SETTINGS, train, validation, **how)
    torch.manual_seed(5)
    return ready


def weights(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("per", ["step", "sequence"])
def test_a_step_is_the_plain_one_to_the_bit(kind, per):
    toy = task(kind, per)
    data = Data(toy.split("train"))
    ours, plain = built(toy), built(toy)
    optimisers = [optimiser_of(model, SETTINGS) for model in (ours, plain)]
    for batch in shuffled(data, 8, torch.Generator().manual_seed(2)):
        torch.manual_seed(7)
        told = step(ours, optimisers[0], data, batch, 0.1)
        torch.manual_seed(7)
        targets, predictions = data.scored(batch, plain(*data.inputs(batch)))
        loss = loss_of(targets, predictions)
        plain.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        optimisers[1].step()
        assert (told.loss, told.scored) == (float(loss.detach()), len(targets))
        assert torch.equal(weights(ours), weights(plain))


class Largest(EnvironmentObjective):
    """The largest risk; remembers what it was given."""

    def __init__(self):
        super().__init__(mean_loss)
        self.seen = []

    def combine(self, sums, numbers):
        self.seen.append(((sums[:, 1] / sums[:, 0]).tolist(), sums[:, 0].tolist(), numbers.tolist()))
        return (sums[:, 1] / sums[:, 0]).max()


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_an_objective_is_given_each_environments_loss(per):
    toy = with_environments(task("regression", per))
    data = Data(toy.split("train"))
    model, batch = built(toy).eval(), torch.tensor([9, 4, 1, 16, 5, 6, 0, 10, 2])
    expected, counts = [], []
    numbers = torch.from_numpy(toy.split("train").environments)
    with torch.no_grad():
        for number in (1, 3, 8):
            own = batch[numbers[batch] == number]
            targets, predictions = data.scored(own, model(*data.inputs(own)))
            expected.append(float(loss_of(targets, predictions)))
            counts.append(len(targets))
    objective = Largest()
    told = step(model, optimiser_of(model, SETTINGS), data, batch, 1.0, objective)
    ((losses, sizes, named),) = objective.seen
    assert losses == pytest.approx(expected, rel=1e-5) and sizes == counts and named == [0, 1, 2]
    assert told.loss == max(losses) and told.scored == sum(sizes)


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_an_objective_looks_at_what_the_head_reads_or_at_states(per):
    toy = with_environments(task("regression", per))
    data, batch = Data(toy.split("train")), torch.arange(12)
    model = built(toy).eval()
    values, timespans, mask = data.inputs(batch)
    observed = None if mask is None else mask.any(-1)
    with torch.no_grad():
        states, _ = model.layer(values, timespans=timespans, mask=observed)
        if per == "step":
            read, numbers = data.scored(batch, states)[1], data.environments[batch, None].expand(states.shape[:2])
            numbers = numbers[data.target_mask[batch][:, : states.shape[1]]]
        else:
            read, numbers = states[:, -1], data.environments[batch]
        present = torch.ones(states.shape[:2], dtype=torch.bool) if observed is None else observed
        origin = data.environments[batch, None].expand(states.shape[:2])[present]
    every = [one.numpy() for one in (read, numbers, states[present], origin)]
    covariances = [np.cov(every[0][every[1] == number], rowvar=False) for number in range(3)]
    moments = [every[2][every[3] == number] for number in range(3)]
    moments = [np.concatenate([own.mean(0), own.var(0)]) for own in moments]
    plain = VREx(0.0, mean_loss)
    for objective, terms, scale in ((CORAL, covariances, 4 * 6**2), (StateMoments, moments, 6)):
        penalty = np.mean([((terms[i] - terms[j]) ** 2).sum() / scale for i, j in ((0, 1), (0, 2), (1, 2))])
        losses = []
        for one in (objective(1000.0, mean_loss), plain):
            fresh = built(toy).eval()
            losses.append(step(fresh, optimiser_of(fresh, SETTINGS), data, batch, 1.0, one).loss)
        assert losses[0] - losses[1] == pytest.approx(1000 * penalty, rel=1e-2)


def test_mixup_trains():
    toy = task("classification", "step")
    data = Data(toy.split("train"))
    data.mask, data.lengths = None, data.lengths.amax().expand(len(data))
    model = built(toy).eval()
    assert math.isfinite(
        step(model, optimiser_of(model, SETTINGS), data, torch.arange(12), 1.0, Mixup(loss=mean_loss)).loss
    )


def test_erm_does_not_tell_environments_apart():
    apart, together = [], []
    for toy, found in ((task(), together), (with_environments(task()), apart)):
        data, model = Data(toy.split("train")), built(toy).eval()
        found += [step(model, optimiser_of(model, SETTINGS), data, torch.arange(22), 1e9).loss]
        found += [p.grad for p in model.parameters()]
    assert apart[0] == together[0]
    assert all(map(torch.equal, apart[1:], together[1:]))


def test_an_objective_that_is_not_finite_changes_nothing():
    class Infinite(EnvironmentObjective):
        def combine(self, sums, numbers):
            return sums[:, 1].sum() / 0

    toy = task()
    data, model = Data(toy.split("train")), built(toy)
    before = weights(model)
    with pytest.raises(FloatingPointError, match="training loss became inf"):
        step(model, optimiser_of(model, SETTINGS), data, torch.arange(5), 1.0, Infinite(mean_loss))
    assert torch.equal(weights(model), before)


def test_balanced_batches_have_as_many_sequences_of_each_environment():
    data = Data(with_environments(task(), (3, 1, 8, 8, 8)).split("train"))
    sizes = data.environments.bincount().tolist()
    assert sizes == [5, 5, 12]
    batches = balanced(data, 6, torch.Generator().manual_seed(0))
    assert [data.environments[batch].bincount().tolist() for batch in batches] == [[2, 2, 2]] * (22 // 6)
    # No sequence twice before all others of its environment.
    own = torch.cat([batch[data.environments[batch] == 0] for batch in batches]).tolist()
    assert len(set(own[:5])) == 5
    again = balanced(data, 6, torch.Generator().manual_seed(0))
    assert all(map(torch.equal, batches, again))
    # With more environments than half a batch, two sequences of each of some.
    batches = balanced(data, 4, torch.Generator().manual_seed(0))
    found = [sorted(data.environments[batch].bincount(minlength=3).tolist()) for batch in batches]
    assert found == [[0, 2, 2]] * (22 // 4)
    # A batch of more than there are repeats some.
    (batch,) = balanced(data, 30, torch.Generator().manual_seed(0))
    assert data.environments[batch].bincount().tolist() == [10, 10, 10]


def test_a_sampler_draws_the_batches(monkeypatch):
    toy, batches, plain = with_environments(task()), [], trainer.step

    def watched(network, optimiser, data, batch, *others):
        batches.append(data.environments[batch].bincount().tolist())
        return plain(network, optimiser, data, batch, *others)

    monkeypatch.setattr(trainer, "step", watched)
    made(toy, batch_size=6, sampler=balanced).run()
    assert batches == [[2, 2, 2]] * 9


def test_short_sequences_come_first():
    """Longer ones level by level: their durations count, not their numbers of steps."""
    parity = parity_events(sizes=(4000, 10, 10))
    data = Data(parity.split("train"))
    bits = torch.tensor([recording.times[-1] + 1 for recording in parity.recordings("train")])
    assert torch.equal(data.durations, bits.float())
    generator = torch.Generator().manual_seed(0)

    def drawn(level, batch_size=64):
        batches = shortest_first(data, batch_size, generator, level)
        assert all(len(batch) == batch_size for batch in batches[:-1])
        together = torch.cat(batches)
        assert len(together.unique()) == len(together)
        return together

    for level in (0, 1, 11, LEVELS - 1):
        assert torch.equal(drawn(level, 4).sort().values, (bits <= 2 + level).nonzero().flatten())
    assert len(drawn(LEVELS)) == len(data)
    assert len(drawn(0, 64)) == 64, "a pass has a full batch"
    assert not torch.equal(drawn(15), drawn(15)), "in another order each time"


@pytest.fixture
def taught(monkeypatch):
    """Runs a training whose losses are given; returns the level that each step was drawn from, and the progress."""

    learn = trainer.step

    def run(losses):
        levels, given = [], iter(losses)

        def told(*arguments):
            levels.append(training.progress.level)
            return learn(*arguments)._replace(loss=next(given))

        monkeypatch.setattr(trainer, "step", told)
        training = made(parity_running(sizes=(64, 8, 8)), steps=len(losses), batch_size=4, sampler=shortest_first)
        training.run()
        return levels, training.progress

    return run


def test_a_level_is_mastered_when_the_smoothed_loss_is_low(taught):
    levels, progress = taught([0.0] * 100)
    # The first loss is as low as can be; after that, the average has to fall by half.
    half = math.ceil(math.log(0.5) / math.log(0.97))
    assert levels[:60] == [0] + [1] * half + [2] * half + [3] * (59 - 2 * half)
    assert set(levels[60:]) == {LEVELS} and progress.complete == 60, "three fifths of the steps are over"

    levels, progress = taught([MASTERED * progress.untrained_loss * 1.01] * 100)
    assert set(levels[:60]) == {0} and set(levels[60:]) == {LEVELS}


def test_training_has_all_sequences_when_the_last_level_is_mastered(taught, monkeypatch):
    monkeypatch.setattr(trainer, "LEVELS", 4)
    levels, progress = taught([0.0] * 120)
    assert progress.complete == levels.index(4) == 1 + 3 * 23 < CURRICULUM * 120


def test_neither_patience_nor_a_rung_ends_a_training_before_its_curriculum(monkeypatch):
    monkeypatch.setattr(trainer, "FEWEST_PATIENCE", 1)
    monkeypatch.setattr(trainer, "interval", lambda steps: 1)
    halted = []

    def trained(sampler):
        training = made(task(), steps=20, sampler=sampler)
        # A rate of nothing: no step is better than the one before training.
        training.settings = replace(SETTINGS, learning_rate=1e-30, patience=0.1)
        return training.run(halt=lambda step, score: halted.append(step) or False), training.progress.step

    assert trained(shuffled) == ("patience", 2)
    halted.clear()
    assert trained(shortest_first) == ("patience", CURRICULUM * 20 + 2) and halted == [12, 13]


@pytest.mark.parametrize("environments", [False, True])
def test_a_pause_after_each_step_changes_no_bit(environments):
    toy = with_environments(task()) if environments else task()

    def how():
        objective = GroupDRO(3, 1.0, mean_loss)
        return {"sampler": balanced, "batch_size": 6, "objective": objective} if environments else {}

    whole = made(toy, **how())
    assert whole.run() == "all steps"

    state, progress, calls = None, None, 0
    while True:
        again = made(toy, **how())
        if state is not None:
            again.load_state_dict(state)
            again.progress = progress
        if again.run(seconds=0, pause=True) != "minutes":
            break
        state, progress, calls = again.state_dict(), again.progress, calls + 1
    assert calls >= 9
    curves = [[replace(at, seconds=0.0) for at in one.progress.curve] for one in (whole, again)]
    assert curves[0] == curves[1]
    assert torch.equal(weights(whole.model), weights(again.model))
    if environments:
        assert torch.equal(whole.objective.weights, again.objective.weights)
        assert whole.objective.weights.unique().numel() == 3


def test_it_saves_where_it_could_go_on():
    calls = []
    training = made(task(), steps=25)
    training.run(save=lambda: calls.append((training.progress.step, training.progress.batch)))
    # Three batches are a pass over the data.
    assert calls == [(0, 0), (10, 1), (20, 2), (25, 1)]
    calls.clear()
    training = made(task(), steps=25)
    training.run(save=lambda: calls.append((training.progress.step, training.progress.batch)), save_every=0)
    assert calls[:6] == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 1), (5, 2)]


def test_the_metric_chooses_and_patience_is_in_steps(monkeypatch):
    monkeypatch.setattr(trainer, "FEWEST_PATIENCE", 25)
    toy = task("classification")
    scores = iter([0.5, 0.6, 0.7, 0.7, 0.65, 0.7, 0.6, 0.6])

    def next_score(targets, predictions):
        return next(scores)

    metric = Metric("made_up", "Made up", True, kind="classification", function=next_score)
    training = made(toy, steps=80, metric=metric)
    training.settings = replace(SETTINGS, patience=0.1)
    # Of steps 20, 30 and 50, which are equally good, the one with the least loss.
    monkeypatch.setattr(trainer, "loss_of", lambda *_: torch.tensor(1.0))
    monkeypatch.setattr(trainer, "step", lambda *_: trainer.Step(1.0, 8, 0.0))
    assert training.run() == "patience"
    assert (training.progress.best_step, training.progress.best_score, training.progress.step) == (20, 0.7, 50)
    assert [one.score for one in training.progress.curve] == [0.6, 0.7, 0.7, 0.65, 0.7]
    assert not training.improving and training.progress.untrained == 0.5


@pytest.mark.parametrize(("last", "improving"), [(0.9, True), (0.805, False)])
def test_a_training_is_still_improving_where_its_last_tenth_brought_much(monkeypatch, last, improving):
    scores = iter([0.5, *[0.8] * 9, last])
    metric = Metric("made_up", "Made up", True, kind="classification", function=lambda *_: next(scores))
    training = made(task("classification"), steps=100, metric=metric)
    monkeypatch.setattr(trainer, "step", lambda *_: trainer.Step(1.0, 8, 0.0))
    assert training.run() == "all steps"
    assert training.progress.best_step == 100 and training.improving == improving


def test_it_is_halted_for_good():
    asked = []

    def halt(step, best):
        asked.append(step)
        return step == 20

    training = made(task(), steps=40)
    assert training.run(halt=halt) == "pruned" and asked == [10, 20]
    assert training.progress.step == 20


def test_batches_without_targets_are_no_steps():
    toy = task()
    toy.split("train").target_mask[5:] = False
    training = made(toy, steps=10, batch_size=1)
    training.run()
    assert training.progress.step == 10 and training.progress.curve[-1].sequences == 10
    training = made(toy, steps=10, sampler=lambda *_: [torch.tensor([20])])
    with pytest.raises(NoTargetsError, match="no batch has a target"):
        training.run()


def test_without_targets_there_is_nothing_to_learn():
    toy = task()
    toy.split("validation").target_mask[:] = False
    with pytest.raises(NoTargetsError, match="no validation sequence has a target"):
        made(toy)


def test_environments_of_recordings_are_those_of_their_sequences():
    toy = replace(with_environments(task()), window=4, stride=2)
    split = toy.split("train")
    numbers = {part.name: part.environment for part in toy.recordings("train")}
    assert len(split) > 22 and split.environments.dtype == np.int64
    assert split.environments.tolist() == [numbers[name] for name in split.recordings]
    assert task().split("train").environments is None and Data(task().split("train")).environments is None


def test_environments_of_some_recordings_alone_are_refused():
    with pytest.raises(ValueError, match="environment must be a number for each recording or None .*'train1' has None"):
        with_environments(task(), (3, None)).split("train")
