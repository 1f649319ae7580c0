import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from optuna.distributions import FloatDistribution

import liquidbench
import liquidrnn as lr
from liquidbench import measuring, networks, predictions, results, search
from liquidbench.measuring import measure_cost
from liquidbench.rows import failure
from liquidbench.search import Settings
from liquidbench.study import Robustness, Run, Search, Training
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered
from liquidbench.training import fit as fit_module
from liquidbench.training import learning, trainer
from liquidbench.training.fit import fit
from liquidbench.training.learning import Data
from liquidrnn import kernels

CORRUPTION = Robustness(removed_steps=(0.0, 0.5), noise=(0.0, 1.0))


def task(kind="classification", per="step", missing=False, garbage=0.0, target_mask=True) -> Task:
    """Recordings of uneven length, whose target is the sign, or the value, of the sum of the latest inputs.

    Args:
        garbage: what stands where a target is masked.
    """

    def recordings(split: str) -> list[Recording]:
        random = np.random.default_rng({"train": 1, "validation": 2, "test": 3}[split])
        parts = []
        for index in range({"train": 22, "validation": 9, "test": 9}[split]):
            steps = int(random.integers(5, 12))
            values = random.normal(size=(steps, 2)).astype(np.float32)
            sums = np.cumsum(values.sum(axis=1)) if per == "step" else values[-2:].sum()
            known = random.random(steps) < 0.7
            observed = random.random((steps, 2)) < 0.8
            observed[0] = True
            if kind == "classification":
                targets = (sums > 0).astype(np.int64)
            else:
                targets = np.atleast_1d(sums)[..., None].astype(np.float32)
                targets = targets if per == "step" else targets[0]
            if per == "step" and target_mask:
                targets = np.where(known if kind == "classification" else known[:, None], targets, garbage).astype(
                    targets.dtype
                )
            parts.append(
                Recording(
                    f"{split}{index}",
                    np.cumsum(random.exponential(size=steps)),
                    values,
                    targets,
                    0,
                    mask=observed if missing else None,
                    target_mask=known if per == "step" and target_mask else None,
                )
            )
        offset = {"train": 0, "validation": 1000, "test": 2000}[split]
        return [replace(part, first_row=offset + part.first_row) for part in numbered(parts)]

    classes = kind == "classification"
    return Task(
        name="toy",
        title="Toy",
        description="Made up.",
        features=(Feature("a", "m"), Feature("b", "1")),
        kind=kind,
        per=per,
        outputs=2 if classes else 1,
        target_unit="1",
        classes=("no", "yes") if classes else None,
        metric="accuracy" if classes else "mse",
        metrics=("accuracy", "auroc", "cross_entropy") if classes else ("mse", "mae"),
        time_unit="s",
        source=Source("Toy", "", "none", ""),
        split_rule="By recording.",
        recordings=recordings,
        data_digest="0" * 64,
        baseline="prior" if classes else "mean",
        irregular=True,
        missing=missing,
    )


def run(kind="fit", model="GRU", **changes) -> Run:
    made = Run(
        kind=kind,
        task="toy",
        model=model,
        variant="matched",
        seed=4,
        fold=0,
        matching="parameters",
        parameters=1250,
        training=Training(steps=12, batch_size=8),
        search=Search(trials=2),
        tuned=(4, 0),
        robustness=CORRUPTION if kind == "fit" else Robustness(),
    )
    made = replace(made, **changes)
    return made if "tuned" in changes else replace(made, tuned=(made.seed, made.fold))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Trainings are so short here that they are evaluated after each pass of three batches."""
    monkeypatch.setattr(trainer, "interval", lambda steps: 3)
    monkeypatch.setattr(trainer, "FEWEST_PATIENCE", 3)


@pytest.fixture
def drawn(monkeypatch):
    """Has trials try given learning rates to their ends, with Adam and all steps unless told otherwise."""

    def instead(*rates, **others):
        common = {"optimiser": "adamw", "schedule": "constant", "weight_decay": 0.0, "clip_norm": 1.0}
        common |= {"patience": 1.0, "warm_up": 0.0}

        def of_trial(run, number, space):
            readout = {"readout": "last"} if space.readouts else {}
            structure = {"structure": search._label(space.structures[0])}
            return common | others | readout | structure | {"learning_rate": rates[number]}

        for name in ("learning_rate", "clip_norm", "weight_decay", "patience", "warm_up"):
            monkeypatch.setitem(search.SHARED, name, FloatDistribution(0.0, 1e30))
        # None is stopped for another.
        monkeypatch.setattr(fit_module, "RUNGS", ())
        monkeypatch.setattr(search, "_draw", of_trial)

    return instead


def select(rows, **columns):
    return [row for row in rows if all(row[name] == value for name, value in columns.items())]


def value(rows, **columns):
    (row,) = select(rows, **columns)
    return row["value"]


def numbers(rows):
    return [{name: row[name] for name in row if name not in ("started", "seconds")} for row in rows]


@pytest.fixture
def fitted():
    return fit(run(), task())


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("per", ["step", "sequence"])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_fit_gives_the_rows_that_are_promised(tmp_path, drawn, kind, per, missing):
    drawn(0.03, 0.01)
    toy = task(kind, per, missing)
    rows = fit(run(), toy)
    results.write(tmp_path, [row | {"study": "s"} for row in rows])
    frame = results.read(tmp_path)
    assert set(frame["status"]) == {"done"} and set(frame["run"]) == {run().id(toy.data_digest)}

    clean = {"split": "test", "corruption": "", "level": 0.0, "step": None}
    for metric in toy.metrics:
        assert math.isfinite(value(rows, metric=metric, **clean))
        assert math.isfinite(value(rows, metric=metric, **(clean | {"split": "validation"})))
    assert value(rows, metric="trivial") == toy.trivial_score()
    for corruption in ("removed_steps", "noise"):
        assert sorted({row["metric"] for row in select(rows, corruption=corruption)}) == sorted(toy.metrics)
        here = select(rows, corruption=corruption, metric=toy.metric)
        assert len(here) == 2
        # Level 0 is the clean split.
        assert here[0]["value"] == pytest.approx(value(rows, metric=toy.metric, **clean), rel=1e-5)
        assert here[1]["value"] != here[0]["value"] or kind == "classification"
    for trial in (0, 1):
        for split in ("train", "validation"):
            curve = select(rows, metric="loss", split=split, trial=trial)
            assert [row["step"] for row in curve] == [3, 6, 9, 12]
    (best,) = select(rows, metric="best_step")
    assert value(rows, metric="parameters") == best["parameters"]
    assert {row["fold"] for row in rows} == {0} and {row["matching"] for row in rows} == {"parameters"}
    scores = [row["value"] for row in select(rows, metric="trial_score")]
    chosen = max(scores) if kind == "classification" else min(scores)
    assert scores[best["trial"]] == chosen == value(rows, metric=toy.metric, **(clean | {"split": "validation"}))
    assert json.loads(best["settings"])["learning_rate"] == best["learning_rate"]


@pytest.mark.parametrize("model", ["LTC", "CfC", "LRCU", "LSTM"])
def test_it_learns(drawn, model):
    drawn(0.03, 0.01)
    rows = fit(run(model=model, training=Training(steps=75, batch_size=8)), task("regression", "sequence"))
    assert value(rows, metric="mse", split="test", corruption="") < 0.8 * value(rows, metric="trivial")


def test_the_test_split_is_built_when_nothing_is_left_to_choose(drawn):
    drawn(0.03, 0.01)
    toy, told, seen = task(), [], []

    def watch(stage):
        told.append(stage)
        seen.append(toy.constructed)

    fit(run(), toy, on_stage=watch)
    assert [(stage.trial, stage.step) for stage in told] == [
        (trial, step) for trial in (0, 1) for step in (3, 6, 9, 12)
    ]
    assert set(seen) == {frozenset({"train", "validation"})}
    assert toy.constructed == {"train", "validation", "test"}


def batches_of(fitted: Run, monkeypatch) -> list[list[int]]:
    batches = []
    step = trainer.step

    def watched(model, optimiser, data, batch, *others):
        batches.append(batch.tolist())
        return step(model, optimiser, data, batch, *others)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "step", watched)
        fit(fitted, task())
    return batches


def test_all_models_and_trials_see_the_same_batches_in_the_same_order(drawn, monkeypatch):
    drawn(0.03, 0.01)
    seen = {model: batches_of(run(model=model), monkeypatch) for model in ("GRU", "LSTM", "CfC", "LTC-NCP")}
    assert all(batches == seen["GRU"] for batches in seen.values())
    trials, epochs, sizes = 2, 4, [8, 8, 6]
    assert [len(batch) for batch in seen["GRU"]] == sizes * epochs * trials
    first, second = seen["GRU"][: 3 * epochs], seen["GRU"][3 * epochs :]
    assert first == second
    # Every sequence once an epoch, the last partial batch among them, in an order that changes.
    orders = [sum(first[start : start + 3], []) for start in range(0, 12, 3)]
    assert all(sorted(order) == list(range(22)) for order in orders)
    assert len(set(map(tuple, orders))) == epochs


def test_a_fit_can_be_repeated_and_leaves_the_global_generator_alone(fitted):
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    again = fit(run(), task())
    assert torch.equal(torch.rand(3), expected)
    assert numbers(again) == numbers(fitted)
    assert numbers(fit(run(seed=5), task())) != numbers(fitted)


def test_masked_targets_and_padding_count_for_nothing(drawn):
    drawn(0.03, 0.01)
    one, other = (fit(run(), task("regression", garbage=garbage)) for garbage in (0.0, 77.0))
    assert numbers(one) == numbers(other)


def test_the_best_step_of_the_best_trial_is_what_is_scored(drawn):
    drawn(1e-6, 0.1, patience=0.25)
    toy = task()
    hasty = run(training=Training(steps=36, batch_size=8))
    rows = fit(hasty, toy)
    trial = select(rows, metric="best_step")[0]["trial"]
    assert trial == 1
    curve = [row["value"] for row in select(rows, metric="loss", split="validation", trial=trial)]
    best = int(value(rows, metric="best_step"))
    # Patience was spent, so the weights of the last step are not those of the best.
    assert best / 3 < len(curve) == best / 3 + 3 or len(curve) == 12
    restored = value(rows, metric="cross_entropy", split="validation", step=None)
    assert restored == pytest.approx(curve[best // 3 - 1], rel=1e-5)


def test_patience_ends_a_trial(drawn):
    # At such a rate nothing improves on the first steps for long.
    drawn(0.5, patience=2 / 60)
    rows = fit(run(search=Search(trials=1), training=Training(steps=180, batch_size=8)), task())
    (steps,) = select(rows, metric="steps")
    assert steps["reason"] == "patience"
    assert steps["value"] == value(rows, metric="best_step") + 6 < 180


def test_minutes_cap_a_trial_even_between_evaluations(monkeypatch):
    capped = run(training=Training(steps=150, batch_size=8), search=Search(trials=2, minutes=1e-9))
    rows = fit(capped, task())
    assert [(row["value"], row["reason"]) for row in select(rows, metric="steps")] == [(1, "minutes")] * 2
    one_batch_a_trial = batches_of(capped, monkeypatch)
    assert len(one_batch_a_trial) == 2


def test_a_trial_that_diverges_is_recorded_and_the_other_goes_on(tmp_path, drawn):
    drawn(1e20, 0.01)
    rows = fit(run(), task("regression"), tmp_path)
    assert [row["value"] is None for row in select(rows, metric="trial_score")] == [True, False]
    (diverged,) = [row for row in rows if row["metric"] == "loss" and row["value"] is None]
    assert diverged["trial"] == 0 and "training loss became" in diverged["reason"]
    assert select(rows, metric="best_step")[0]["trial"] == 1
    results.write(tmp_path, [row | {"study": "s"} for row in rows])
    assert set(results.done(tmp_path).values()) == {"done"}


def test_a_run_fails_when_all_its_trials_do(tmp_path, drawn):
    drawn(1e20, 1e25)
    toy = task("regression")
    rows = fit(run(), toy, tmp_path)
    assert {row["status"] for row in rows} == {"failed"}
    assert "all of 2 trials failed; the first, with learning rate 1e+20: training loss" in rows[-1]["reason"]
    assert "test" not in toy.constructed
    results.write(tmp_path, [row | {"study": "s"} for row in rows])
    assert set(results.done(tmp_path).values()) == {"failed"}


def test_without_targets_to_train_on_a_run_fails_in_words():
    toy = task()
    plain = toy.recordings

    def recordings(split):
        return [replace(part, target_mask=np.zeros(len(part), dtype=bool)) for part in plain(split)]

    assert "no training sequence has a target" in fit(run(), replace(toy, recordings=recordings))[-1]["reason"]


def test_an_undefined_metric_is_a_reason_and_no_number():
    toy = replace(task(per="sequence"), metrics=("accuracy", "auroc"))
    plain = toy.recordings

    def recordings(split):
        # All of one class on test.
        return [replace(part, targets=1) if split == "test" else part for part in plain(split)]

    rows = fit(run(), replace(toy, recordings=recordings))
    (undefined,) = select(rows, metric="auroc", split="test", corruption="")
    assert undefined["value"] is None and "undefined" in undefined["reason"] and undefined["status"] == "done"

    rows = fit(run(), replace(toy, recordings=recordings, metric="auroc"))
    assert rows[-1]["status"] == "failed" and "no auroc on test" in rows[-1]["reason"]


def test_authors_sizes_and_rates_are_taken_from_the_catalogue():
    rows = fit(run(model="LSTM", variant="author", matching="", parameters=None, search=Search(trials=1)), task())
    assert not select(rows, metric="trial_score") and len(select(rows, metric="steps")) == 1
    (best,) = select(rows, metric="best_step")
    assert (best["hidden_size"], best["learning_rate"]) == (32, 0.001)


def test_a_budget_out_of_reach_is_an_error():
    with pytest.raises(ValueError, match="parameters must be within"):
        fit(run(parameters=10), task())


def test_cost_is_measured_without_the_test_split(tmp_path):
    toy = task()
    rows = measure_cost(run("cost"), toy)
    measured = {row["metric"]: row["value"] for row in rows}
    assert toy.constructed == {"train"}
    parameters = measured["parameters"]
    assert abs(parameters - 1250) <= 62 and measured["deployed_bytes"] == 4 * parameters
    # At least a gradient and Adam's two moments for each parameter.
    assert measured["training_memory_bytes"] > 3 * 4 * parameters
    assert 0 < measured["inference_memory_bytes"] < measured["training_memory_bytes"]
    assert measured["seconds_per_epoch"] > 0 and measured["step_latency_us"] > 0
    results.write(tmp_path, [row | {"study": "s"} for row in rows])


def test_peak_memory_is_exact_on_what_is_known():
    kept = torch.zeros(1000)

    def action():
        big = torch.zeros(1_000_000)
        del big
        return torch.zeros(200_000) + kept.sum()

    peak = measuring._peak_memory(action)
    assert peak == pytest.approx(4_000_000, rel=0.001)


@pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")
def test_peak_memory_knows_what_kernels_hold_for_themselves():
    layer, x = lr.LTC(5, 64), torch.zeros(3, 32, 5)

    def action():
        layer(x)[0].sum().backward()

    within = kernels.peak_bytes(action)
    layer.zero_grad()
    # Four sums for each synapse, in a vector of 16 bytes at least.
    assert within > 4 * 16 * layer.num_synapses
    kept = 3 * 32 * 64 * 2 * 6 * 4
    assert measuring._peak_memory(action) > within + kept


def test_training_takes_more_memory_than_inference():
    memory = {row["metric"]: row["value"] for row in measure_cost(run("cost", "CTRNN"), task())}
    assert memory["inference_memory_bytes"] < memory["training_memory_bytes"] - memory["saved_for_backward_bytes"] / 2


@pytest.mark.parametrize("compiled", [True, False])
def test_rows_say_what_they_were_made_with(tmp_path, drawn, monkeypatch, compiled):
    drawn(0.03)
    compiled &= kernels.cpu is not None
    model = "LTC"
    if not compiled:
        monkeypatch.setattr(kernels.ltc.operator, "kernels", {})
    expected = ("cpu", kernels.cpu.instruction_set()) if compiled else ("reference", None)
    short = {"search": Search(trials=1), "training": Training(steps=3, batch_size=8)}
    for rows in (fit(run(model=model, **short), task()), measure_cost(run("cost", model=model, **short), task())):
        results.write(tmp_path, [row | {"study": "s"} for row in rows])
        assert {(row["backend"], row["instruction_set"]) for row in rows} == {expected}
        assert {(row["version"], row["torch"]) for row in rows} == {(liquidbench.__version__, torch.__version__)}
    assert results.read(tmp_path)["machine"].str.len_chars().min() > 0


def test_a_failure_outside_is_a_row():
    (row,) = failure(run(), "0" * 64, "worker died with signal 9")
    # What would have run it is not known.
    assert row["backend"] is None and row["instruction_set"] is None and results.pack([row | {"study": "s"}])
    assert row["status"] == "failed" and row["reason"] == "worker died with signal 9" and row["value"] is None


def test_batches_are_cut_to_their_longest_sequence_without_changing_anything():
    toy = task(missing=True)
    data = learning.Data(toy.split("train"))
    model = networks.build("GRU", toy, 8, seed=0)
    index = torch.tensor([int(data.lengths.argmin())])
    values, timespans, mask = data.inputs(index)
    assert values.shape[1] == int(data.lengths[index]) < data.values.shape[1]
    with torch.no_grad():
        cut = data.scored(index, model(values, timespans, mask))
        whole = data.scored(index, model(data.values[index], data.timespans[index], data.mask[index]))
    assert torch.equal(cut[0], whole[0]) and torch.equal(cut[1], whole[1])


def test_a_training_that_only_gets_worse_keeps_the_untrained_network(drawn):
    drawn(1e6, patience=3 / 20)
    rows = fit(run(search=Search(trials=1), training=Training(steps=60, batch_size=8)), task())
    assert value(rows, metric="best_step") == 0
    (steps,) = select(rows, metric="steps")
    assert (steps["value"], steps["reason"]) == (9, "patience")


def test_a_cosine_ends_near_zero(drawn, monkeypatch):
    rates = []
    step = trainer.step

    def watched(model, optimiser, *others):
        rates.append(optimiser.param_groups[0]["lr"])
        return step(model, optimiser, *others)

    monkeypatch.setattr(trainer, "step", watched)
    drawn(0.01, schedule="cosine")
    fit(run(search=Search(trials=1)), task())
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * done / 12)) / 2 for done in range(12)])


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("rmsprop", torch.optim.RMSprop)])
def test_settings_reach_the_optimiser(name, kind):
    model = networks.build("GRU", task(), 4, seed=0)
    optimiser = learning.optimiser_of(model, search.Settings(0.02, optimiser=name, weight_decay=0.3))
    assert type(optimiser) is kind and optimiser.defaults["lr"] == 0.02 and optimiser.defaults["weight_decay"] == 0.3


def test_a_fit_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole = fit(run(search=Search(trials=3)), task(), tmp_path / "whole")

    def stop(stage):
        if (stage.trial, stage.step) == (2, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(run(search=Search(trials=3)), task(), tmp_path / "stopped", stop)
    trained = []
    rest = fit(run(search=Search(trials=3)), task(), tmp_path / "stopped", lambda stage: trained.append(stage.trial))
    best = select(whole, metric="best_step")[0]["trial"]
    # The trial in flight again, and the best of those before it, whose weights are gone.
    assert set(trained) == {2, best}
    assert numbers(rest) == numbers(whole)

    # Once more, there is nothing to search; and a search for more goes on behind the last trial.
    trained.clear()
    assert numbers(fit(run(search=Search(trials=3)), task(), tmp_path / "whole", lambda e: trained.append(e.trial)))
    assert set(trained) == {best}
    trained.clear()
    fit(run(search=Search(trials=4)), task(), tmp_path / "whole", lambda stage: trained.append(stage.trial))
    assert trained[0] == 3


def test_a_cheap_search_is_made_once_and_its_best_is_trained_with_other_seeds(tmp_path):
    cheap = Search(trials=3, mode="cheap")
    first = fit(run(search=cheap, tuned=(4, 0)), task(), tmp_path)
    told = []
    other = fit(run(seed=5, search=cheap, tuned=(4, 0)), task(), tmp_path, told.append)
    (best,), (followed,) = (select(rows, metric="best_step") for rows in (first, other))
    assert (best["trial"], best["settings"]) == (followed["trial"], followed["settings"])
    assert {stage.trial for stage in told} == {best["trial"]}
    assert len(select(first, metric="trial_score")) == 3 and not select(other, metric="trial_score")
    assert len(select(other, metric="steps")) == 1
    assert {row["search"] for row in first + other} == {"cheap"}
    losses = [[row["value"] for row in select(rows, metric="loss", trial=best["trial"])] for rows in (first, other)]
    assert losses[0] != losses[1]

    # Whoever comes first makes the search, and it is the same: the order of runs does not matter.
    reversed_order = fit(run(seed=5, search=cheap, tuned=(4, 0)), task(), tmp_path / "again")
    assert numbers(reversed_order) == numbers(other)
    assert numbers(fit(run(search=cheap, tuned=(4, 0)), task(), tmp_path / "again")) == numbers(first)


def test_predictions_are_kept_and_give_the_scores_again(tmp_path):
    for kind in ("classification", "regression"):
        for per in ("step", "sequence"):
            toy, made = task(kind, per), run(seed=int(per == "step"), search=Search(trials=1))
            rows = fit(made, toy, tmp_path)
            kept = predictions.read(tmp_path, rows[0]["run"])
            again = predictions.rescored(rows, kept, toy.metrics)
            stored, computed = (
                {
                    (r["split"], r["corruption"], r["level"], r["metric"]): r["value"]
                    for r in part
                    if r["metric"] in toy.metrics
                }
                for part in (rows, again)
            )
            assert computed == stored and len(again) == len(rows)
            for split in ("validation", "test"):
                data = toy.split(split)
                assert np.array_equal(kept[split][0], data.targets[data.target_mask])


def test_cost_is_that_of_what_the_search_found(tmp_path):
    before = measure_cost(run("cost"), task(), tmp_path)
    assert json.loads(before[0]["settings"])["structure"] == {"num_layers": 1}
    rows = fit(run(search=Search(trials=6)), task(), tmp_path)
    (best,) = select(rows, metric="best_step")
    after = measure_cost(run("cost"), task(), tmp_path)
    assert {row["settings"] for row in after} == {best["settings"]}
    assert after[0]["hidden_size"] == best["hidden_size"] and after[0]["parameters"] == best["parameters"]


def with_environments(toy):
    plain = toy.recordings

    def recordings(split):
        return [replace(part, environment=index % 3) for index, part in enumerate(plain(split))]

    return replace(toy, recordings=recordings)


def trials_of(rows):
    return [json.loads(row["settings"]) for row in select(rows, metric="trial_score")]


def test_an_objectives_strength_is_searched_and_nothing_else_is_drawn_differently():
    toy, searched = with_environments(task()), run(training=Training(steps=12, batch_size=8, objective="vrex"))
    plain, ours = trials_of(fit(run(), toy)), fit(searched, toy)
    strengths = [trial.pop("strength") for trial in trials_of(ours)]
    assert len(set(strengths)) == 2 and all(0.1 <= strength <= 1e4 for strength in strengths)
    assert [trial | {"strength": None} for trial in trials_of(ours)] == [trial | {"strength": None} for trial in plain]
    assert {row["model"] for row in ours} == {"GRU+vrex"} and {row["status"] for row in ours} == {"done"}


@pytest.mark.parametrize("objective", ["irm=1", "group_dro=0.1", "coral=1", "state_moments=1"])
def test_every_objective_trains(objective, drawn):
    drawn(0.03, 0.01)
    toy = with_environments(task("regression"))
    rows = fit(run(training=Training(steps=12, batch_size=8, objective=objective)), toy)
    assert {row["status"] for row in rows} == {"done"}
    plain = fit(run(), toy)
    losses = [value(part, metric="loss", split="train", step=12, trial=0) for part in (rows, plain)]
    assert losses[0] != losses[1]


def test_an_objective_that_cannot_take_effect_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(fit_module, "Trainer", lambda *_, **__: pytest.fail("nothing is trained"))
    with pytest.raises(ValueError, match="vrex on 'toy' needs environments, and its recordings have none"):
        fit(run(training=Training(steps=12, batch_size=8, objective="vrex=1")), task())


# Selection


def trained_without(toy, searched, settings, number):
    """Scores of a network at each evaluation, which has not seen an environment, in that one; made by hand."""
    train = toy.split("train")
    own = train.environments == number
    parts = []
    for kept in (~own, own):
        fields = {name: getattr(train, name) for name in vars(train)}
        arrays = {name: part[kept] for name, part in fields.items() if isinstance(part, np.ndarray)}
        parts.append(Data(replace(train, **arrays)))
    torch.manual_seed(searched.seed)
    model, _ = fit_module.network(searched, toy, settings)
    torch.manual_seed(searched.seed)
    one = trainer.Trainer(
        model, settings, *parts, steps=searched.steps, batch_size=8, seed=searched.seed, metric=toy.main
    )
    one.run()
    return {at.step: at.score for at in one.progress.curve}


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_environments_that_are_left_out_choose_trial_and_step(tmp_path, drawn, kind):
    drawn(0.03, 0.001)
    toy, seen = with_environments(task(kind)), []
    searched = run(search=Search(trials=2, selection="environments"))
    rows = fit(searched, toy, tmp_path, lambda stage: seen.append((stage, "test" in toy.constructed)))
    assert not any(built for _, built in seen), "nothing is chosen on test"
    assert {row["status"] for row in rows} == {"done"} and {row["search"] for row in rows} == {"full, environments"}
    higher, expected = kind == "classification", []
    for trial in trials_of(rows):
        curves = [trained_without(toy, searched, Settings(**trial), number) for number in range(3)]
        means = {step: float(np.mean([curve[step] for curve in curves])) for step in curves[0]}
        step = (max if higher else min)(means, key=means.get)
        expected.append((means[step], step))
    scores = [row["value"] for row in select(rows, metric="trial_score")]
    assert scores == pytest.approx([score for score, _ in expected], rel=1e-6)
    (best,) = select(rows, metric="best_step")
    assert best["trial"] == (np.argmax if higher else np.argmin)(scores)
    assert best["value"] == expected[best["trial"]][1]
    # The network that is scored has seen all environments, up to that step.
    curve = select(rows, metric="loss", split="train", trial=best["trial"])
    assert [row["step"] for row in curve] == list(range(3, int(best["value"]) + 1, 3))
    last = [(stage.trial, stage.step, stage.steps) for stage, _ in seen if stage.steps == searched.steps]
    assert last[-1] == (best["trial"], best["value"], searched.steps)
    assert {stage.steps for stage, _ in seen} == {searched.steps, 3 * searched.steps}
    # Another process goes on from the journal, and trains the last network alone.
    again = []
    assert numbers(fit(searched, toy, tmp_path, again.append)) == numbers(rows)
    assert {stage.steps for stage in again} == {searched.steps}


def test_other_seeds_of_a_cheap_search_train_up_to_the_step_that_was_chosen(tmp_path, drawn):
    drawn(0.03, 0.001)
    toy, cheap = with_environments(task()), Search(trials=2, mode="cheap", selection="environments")
    first = fit(run(search=cheap, tuned=(4, 0)), toy, tmp_path)
    other = fit(run(seed=5, search=cheap, tuned=(4, 0)), toy, tmp_path)
    assert value(first, metric="best_step") == value(other, metric="best_step")
    assert not select(other, metric="trial_score")


def test_an_oracle_chooses_on_test_and_is_called_so(drawn):
    drawn(0.03, 0.003)
    toy = task("regression")
    rows = fit(run(search=Search(trials=2, selection="oracle")), toy)
    assert {row["search"] for row in rows} == {"full, oracle"}
    reached = value(rows, metric="mse", split="test", corruption="")
    assert reached == min(row["value"] for row in select(rows, metric="trial_score"))
    # The same trainings, of which another step or trial may be taken.
    assert reached <= value(fit(run(), toy), metric="mse", split="test", corruption="")


def test_environments_that_cannot_be_left_out_are_refused_before_training(monkeypatch):
    monkeypatch.setattr(fit_module, "Trainer", lambda *_, **__: pytest.fail("nothing is trained"))
    with pytest.raises(ValueError, match="environments on 'toy' needs environments, and its recordings have none"):
        fit(run(search=Search(selection="environments")), task())


def test_an_environment_in_which_training_fails_is_named(drawn):
    drawn(1e20, 0.01)
    rows = fit(run(search=Search(trials=2, selection="environments")), with_environments(task("regression")))
    failures = [row["reason"] for row in select(rows, metric="loss", split="train", trial=0) if row["reason"]]
    assert failures and all(reason.startswith("without environment 0: ") for reason in failures)
