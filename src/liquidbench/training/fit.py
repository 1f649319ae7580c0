"""Fits one model to one task: searches, trains, and returns rows of results.

With one seed, all models see the same batches in the same order, and have the same number of trials, steps and minutes.
The validation score of the main metric decides when to stop and which trial is best, or what the study selects by
(`liquidbench.study.SELECTIONS`); where a task is judged by a rollout, trials are compared by that of validation. The
test split is read only after both decisions, but by an oracle.
"""

import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from liquidbench import kept, matching, networks, objectives, predictions, search, shifts
from liquidbench.encoder import ImageEncoder
from liquidbench.metrics import Measure
from liquidbench.models import READOUTS
from liquidbench.networks import SequenceModel
from liquidbench.rows import Row, Rows, scored_or_why
from liquidbench.search import RUNGS, Settings, ShouldPrune, Space, Trial
from liquidbench.study import Robustness, Run
from liquidbench.tasks import environments, floors
from liquidbench.tasks.shifted import shifted
from liquidbench.tasks.task import Policy, Split, Task
from liquidbench.training import encoding
from liquidbench.training.learning import Data, device_of, forked_generators, predict
from liquidbench.training.policy import NetworkPolicy, measure_policy, rollout_seed
from liquidbench.training.trainer import Evaluation, NoTargetsError, Trainer, objective_of, sampler_of


@dataclass(frozen=True)
class TrialProgress:
    """Progress of a trial, which `fit` reports after each evaluation.

    Attributes:
        trial: number of the trial, from 0.
        trials: number of trials.
        step: steps done.
        steps: largest number of steps of a trial.
        train_loss: mean training loss of the steps since the last evaluation.
        validation_loss: validation loss after these steps.
    """

    trial: int
    trials: int
    step: int
    steps: int
    train_loss: float
    validation_loss: float


@dataclass
class _TrialResult:
    """A trained network with the weights of its best step, and how its training went."""

    model: SequenceModel
    hidden_size: int
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    ended: str = "all steps"
    failure: str | None = None
    steps: int = 0
    best_step: int = 0
    improving: bool = False
    best_score: float | None = None
    validated: tuple[Tensor, Tensor] | None = None
    rolled_out: dict[str, tuple[float | None, str | None]] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)

    @property
    def record(self) -> dict[str, Any]:
        """What the search journal stores about the trial."""
        return {
            "curve": self.curve,
            "ended": self.ended,
            "failure": self.failure,
            "steps": self.steps,
            "best_step": self.best_step,
            "improving": self.improving,
            "hidden_size": self.hidden_size,
            "parameters": matching.count_parameters(self.model),
        }


Baselines = dict[tuple[str, int, int, Robustness], list[Row]]
"""Rows of scores that depend on no network, by task, outer split, seed and shifts."""


def fit(
    run: Run,
    task: Task,
    folder: str | os.PathLike[str] | None = None,
    on_stage: Callable[[TrialProgress], None] | None = None,
    on_status: Callable[[str], None] | None = None,
    baselines: Baselines | None = None,
) -> list[Row]:
    """Search hyperparameters, train one model on one task with one seed, and score the best trial on test.

    Batches depend only on the run's seed, so all models and all trials with one seed see the same batches in the same
    order. The seed also determines the shifts of the test split.

    A trial fails if its loss becomes infinite or NaN; a row states the reason. The run fails if all trials fail, or if
    the best one has no score on test.

    Args:
        run: the run, of kind ``"fit"``.
        task: the task. Training and validation data are read at the start, test data after the model is chosen.
        folder: the study's folder, in which the search journal and the predictions are stored. An interrupted run
            continues from the journal. None stores neither.
        on_stage: called after every evaluation on validation.
        on_status: called with what else the run does: waits for another process, or trains the shared encoder.
        baselines: what earlier runs on the same tasks measured without a network; what is missing is added.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: if the model has no size within the budget on this task, the data fail a check, the objective
            cannot take effect on them, or the device does not exist.
    """
    with forked_generators(device_of(run.device)):
        return _fit(run, task, folder, on_stage, on_status, {} if baselines is None else baselines)


def _fit(
    run: Run,
    task: Task,
    folder: str | os.PathLike[str] | None,
    on_stage: Callable[[TrialProgress], None] | None,
    on_status: Callable[[str], None] | None,
    baselines: Baselines,
) -> list[Row]:
    task = task.with_fold(run.fold)
    objectives.check(run.objective, task, run.training.batch_size)
    leaving_out = run.search.selection == "environments"
    if leaving_out:
        environments.check(task, run.objective)
    encoding.check(run.training, task)
    rows = Rows(run, task.data_digest)
    trainer = _TrialTrainer(run, task, folder, on_stage, on_status)
    trained: dict[int, _TrialResult] = {}
    until = None
    if run.variant == "author":
        number, settings = 0, Settings(networks.published(run.model).learning_rate)
    else:
        trials, trained = _search_trials(run, task, trainer, folder, on_status)
        chosen = search.best_trial(trials, _compared_by(run, task).higher_is_better)
        if run.searches:
            for trial in trials:
                rows.add_trial(trial, of_training=not leaving_out or trial is not chosen)
        if chosen is None:
            first = f"the first, with learning rate {trials[0].settings.learning_rate:.3g}"
            return rows.failed(f"all of {len(trials)} trials failed; {first}: {trials[0].record['failure']}")
        number, settings = chosen.number, chosen.settings
        until = chosen.record["best_step"] if leaving_out else None
    if number not in trained:
        # The weights of the best trial are not in memory: it was another run's search, or an interrupted one. Training
        # from the same seed gives the same weights. If environments were left out, no network has seen all of them yet.
        again = trained[number] = trainer.train(settings, number, run.search.trials, until=until)
        if not run.searches or leaving_out:
            rows.add_trial(Trial(number, settings, again.best_score, again.record), of_search=False)
        if again.failure is not None:
            return rows.failed(again.failure)
    best = trained[number]
    model = best.model
    rows.configured(model, best.hidden_size)
    about = {"trial": number, "learning_rate": settings.learning_rate, "settings": settings.to_json()}
    rows.add("best_step", best.best_step, **about)
    rows.add("still_improving", float(best.improving), **about)
    operations = None if model.operations is None else matching.count_operations(model)
    for metric, value in (
        ("parameters", matching.count_parameters(model)),
        *(() if operations is None else vars(operations).items()),
        ("state_size", matching.count_state(model)),
    ):
        rows.add(metric, value, **about)
    validated = best.validated
    assert validated is not None
    rows.add_scores(task.scores.values(), validated, split="validation", **about)
    rows.add_measured(best.rolled_out or _rolled_out(run, task, model, "validation"), split="validation", **about)

    # All choices are made: test data may be read now.
    test = task.split("test")
    tested = predict(model, Data(test, trainer.device))
    reasons = rows.add_scores(task.scores.values(), tested, split="test", **about)
    reasons |= rows.add_measured(_rolled_out(run, task, model, "test"), split="test", **about)
    for world, level, found in in_worlds(NetworkPolicy(model, task), task, run.robustness, run.seed):
        rows.add_measured(found, split="test", corruption=world, level=level, **about)
    predicted = {"validation": validated, "test": tested}
    for shift, level, answers in under_shifts(model, task, run.robustness, run.seed):
        predicted[predictions.shifted(shift, level)] = answers
        where = {"split": "test", "corruption": shift, "level": level}
        rows.add_scores(task.scores.values(), answers, **where, **about)
    if folder is not None:
        arrays = {key: (targets.numpy(), values.numpy()) for key, (targets, values) in predicted.items()}
        form, weights = networks.pack(_form(run, settings, best.hidden_size), model)
        origin = {"run": run.id(task.data_digest), "seed": run.seed, "fold": run.fold, "matching": run.matching}
        packed = kept.describe(task, form, _scores(rows, task), origin), weights
        predictions.write(folder, run.id(task.data_digest), arrays, predictions.recordings_of(test), packed)
    for needed in filter(None, (task.metric, task.judged)):
        if needed in reasons:
            return rows.failed(f"no {needed} on test: {reasons[needed]}")
    same = (task.name, task.fold, run.seed, run.robustness)
    if same not in baselines:
        baselines[same] = _baselines(run, task)
    rows.rows += baselines[same]
    return rows.done()


def under_shifts(
    model: SequenceModel, task: Task, robustness: Robustness, seed: int
) -> Iterator[tuple[str, float, tuple[Tensor, Tensor]]]:
    """A network's targets and predictions on test at each level of each shift that applies to the task.

    Args:
        model: the network.
        task: the task, of the outer split that it was trained on.
        robustness: the shifts and their levels.
        seed: the run's, from which shifts are drawn.

    Yields:
        The shift's key, the level, and targets and predictions.
    """
    test, device = task.split("test"), next(model.parameters()).device
    for name, levels in robustness.levels.items():
        shift = shifts.find(name)
        # Why a shift does not apply, reports say.
        for level in () if shift.is_world or shift.why_not(task) else levels:
            yield shift.key, level, predict(model, Data(shifted(test, name, level, seed, task.missing), device))


def in_worlds(
    policy: Policy, task: Task, robustness: Robustness, seed: int, known: Collection[tuple[str, float]] = ()
) -> Iterator[tuple[str, float, Mapping[str, tuple[float | None, str | None]]]]:
    """What a policy's rollouts measure at each level of each world that the task has.

    Args:
        policy: the policy.
        task: the task, of the outer split that a network was trained on.
        robustness: the worlds and their levels.
        seed: the run's, as for the rollout in the world of training: episodes are the same.
        known: keys and levels of worlds to leave out.

    Yields:
        The world's key, the level, and what `measure_policy` returns.
    """
    for name, levels in robustness.levels.items():
        world = shifts.find(name)
        for level in levels if world.is_world and not world.why_not(task) else ():
            if (world.key, level) not in known:
                yield world.key, level, measure_policy(task, policy, rollout_seed(task, seed, "test"), name, level)


def tried_elsewhere(
    network: kept.Kept, known: Collection[tuple[str, float]], task: Task, robustness: Robustness, seed: int
) -> Iterator[tuple[str, str, float, Mapping[str, tuple[float | None, str | None]]]]:
    """What the rollouts of a fit's network, and of the task's policies, measure in further worlds; trains nothing.

    Args:
        network: what `kept.of_run` returns.
        known: keys and levels of worlds in which it has acted.
        task: the task, of the fit's outer split.
        robustness: the worlds and their levels.
        seed: the fit's seed.

    Yields:
        The policy's name, "" for the network, and what `in_worlds` yields.
    """
    policy = NetworkPolicy(networks.unpack(network.form, network.weights, task), task)
    for name, one in {"": policy, **task.policies}.items():
        for found in in_worlds(one, task, robustness, seed, known):
            yield name, *found


def tried_again(
    network: kept.Kept, stored: Mapping[str, predictions.Predicted], task: Task, robustness: Robustness, seed: int
) -> dict[str, predictions.Predicted]:
    """What a fit's network predicts at those levels of shifts for which no predictions are stored; trains nothing.

    Args:
        network: what `kept.of_run` returns.
        stored: the fit's predictions, as `predictions.read` returns them.
        task: the task, of the fit's outer split.
        robustness: the shifts and their levels.
        seed: the fit's seed.

    Returns:
        Targets and predictions by the keys of `predictions.shifted`.

    Raises:
        ValueError: if on unchanged data the network does not predict what is stored, to rounding: data or network are
            not those of the fit.
    """
    new = {
        name: tuple(level for level in levels if predictions.shifted(shifts.find(name).key, level) not in stored)
        for name, levels in robustness.levels.items()
    }
    if not any(new.values()):
        return {}
    model = networks.unpack(network.form, network.weights, task)
    targets, answers = (part.numpy() for part in predict(model, Data(task.split("test"))))
    known, expected = stored["test"]
    # Processors differ in rounding; another network or other data differ in the first digits.
    if not np.array_equal(targets, known) or not np.allclose(answers, expected, rtol=0.01, atol=0.01):
        raise ValueError(
            f"the network of a fit on {task.name!r} with seed {seed} no longer predicts what it did; restore the data "
            "that it was tested on, or repeat the fit in a new folder"
        )
    return {
        predictions.shifted(shift, level): (expected.numpy(), answers.numpy())
        for shift, level, (expected, answers) in under_shifts(model, task, Robustness.parse(new), seed)
    }


def _scores(rows: Rows, task: Task) -> dict[str, dict[str, float | None]]:
    """The scores on unchanged data so far, by split and metric."""
    found: dict[str, dict[str, float | None]] = {"validation": {}, "test": {}}
    for row in rows.rows:
        if row["metric"] in task.scores and not row["corruption"]:
            found[row["split"]][row["metric"]] = row["value"]
    return found


def _rolled_out(run: Run, task: Task, model: SequenceModel, split: str) -> dict[str, tuple[float | None, str | None]]:
    """What the network measures in the task's closed loop, if it has one."""
    if task.rollout is None:
        return {}
    return measure_policy(task, NetworkPolicy(model, task), rollout_seed(task, run.seed, split))


def _compared_by(run: Run, task: Task) -> Measure:
    """What the trials of a search are compared by."""
    return task.judged_by if run.search.selection == "validation" else task.main


def _baselines(run: Run, task: Task) -> list[Row]:
    """The scores that a network should beat: those of simple predictors, and of the task's own policies."""
    rows = Rows(run, task.data_digest)
    if not task.judged:
        if task.baseline is not None:
            rows.add("trivial", task.trivial_score(), split="test")
        if task.linear:
            rows.add("linear", task.linear_score(), split="test")
        for name, (value, reason) in floors.scores(task).items():
            rows.add(name, value, split="test", reason=reason)
    for name, policy in task.policies.items():
        found = measure_policy(task, policy, rollout_seed(task, run.seed, "test"))
        rows.add_measured(found, of=name, split="test")
        for world, level, elsewhere in in_worlds(policy, task, run.robustness, run.seed):
            rows.add_measured(elsewhere, of=name, split="test", corruption=world, level=level)
        if name == "trivial" and task.judged:
            value, reason = found[task.judged]
            rows.add("trivial", value, split="test", reason=reason)
    return rows.rows


def _search_trials(
    run: Run,
    task: Task,
    trainer: "_TrialTrainer",
    folder: str | os.PathLike[str] | None,
    on_status: Callable[[str], None] | None,
) -> tuple[list[Trial], dict[int, _TrialResult]]:
    """All trials of the run's search, and the result of the best one if it was trained in this call."""
    seed, fold = run.tuned
    searching = replace(run, seed=seed, fold=fold)
    # If the run follows another run's search that is not finished, finish it here: the result is the same.
    searcher = (
        trainer if run.searches else _TrialTrainer(searching, task.with_fold(fold), folder, trainer.on_stage, on_status)
    )
    sign = 1 if _compared_by(run, task).higher_is_better else -1
    best: dict[int, _TrialResult] = {}

    def score_trial(number: int, settings: Settings, should_prune: ShouldPrune) -> tuple[float | None, dict[str, Any]]:
        if run.search.selection == "environments":
            left_out = searcher.left_out(settings, number, run.search.trials)
            return left_out.best_score, left_out.record
        # A network with a higher loss may be the better one in a closed loop.
        halving = _compared_by(run, task) is task.main
        made = searcher.train(settings, number, run.search.trials, should_prune if halving else lambda _, score: False)
        if made.ended == "pruned":
            return made.best_score, made.record
        beaten = [other.best_score for other in best.values() if other.best_score is not None]
        if made.best_score is not None and all(sign * made.best_score > sign * score for score in beaten):
            best.clear()
            best[number] = made
        return made.best_score, made.record

    trials = search.run_search(searching, _space(searching, task), score_trial, _journal(run, task, folder), on_status)
    return trials, best if run.searches else {}


def _journal(run: Run, task: Task, folder: str | os.PathLike[str] | None) -> Path | None:
    return None if folder is None else search.journal_path(folder, run, task.data_digest)


def _space(run: Run, task: Task) -> Space:
    assert run.parameters is not None
    offered = matching.fitting_structures(run.model, task, run.parameters, run.seed, run.matching)
    readouts = READOUTS if task.per == "sequence" else ()
    objective, given = objectives.parse(run.objective)
    strengths = objective.searched if given is None else None
    structures, rates = [structure for structure, _ in offered], run.search.learning_rates
    return Space(structures, readouts, task.main.higher_is_better, strengths, rates)


def best_known_settings(run: Run, task: Task, folder: str | os.PathLike[str] | None) -> Settings:
    """The settings of the best finished trial, or defaults if there is none; trains nothing."""
    if run.variant == "author":
        return Settings(networks.published(run.model).learning_rate)
    searching = replace(run, seed=run.tuned[0], fold=run.tuned[1])
    space = _space(searching, task)
    journal = _journal(run, task, folder)
    trials = [] if journal is None else search.read_trials(journal, space)
    found = search.best_trial(trials, _compared_by(run, task).higher_is_better)
    strength = None if space.strengths is None else math.sqrt(math.prod(space.strengths))
    return found.settings if found else Settings(search.MIDDLE_RATE, structure=space.structures[0], strength=strength)


def network(run: Run, task: Task, settings: Settings) -> tuple[SequenceModel, int]:
    """Build the run's untrained network; return it with its hidden size."""
    if run.variant == "author":
        size = networks.published(run.model).hidden_size
    else:
        assert run.parameters is not None
        structure = settings.structure
        offered = matching.fitting_structures(run.model, task, run.parameters, run.seed, run.matching)
        sizes = [size for known, size in offered if known == structure]
        # A random wiring may be outside the tolerance with another seed; then `size_for_budget` raises an error.
        size = (
            sizes[0]
            if sizes
            else matching.size_for_budget(run.model, task, run.parameters, run.seed, run.matching, structure)
        )
    return networks.build(task=task, **_form(run, settings, size)), size


def _form(run: Run, settings: Settings, hidden_size: int) -> dict[str, Any]:
    """Arguments of `networks.build` other than the task."""
    form = {"model": run.model, "hidden_size": hidden_size, "seed": run.seed, "variant": run.variant}
    if run.variant == "author":
        return form
    return {**form, "structure": dict(settings.structure), "readout": settings.readout}


class _TrialTrainer:
    """Trains the trials of a run; loads the data when the first trial needs them."""

    def __init__(
        self,
        run: Run,
        task: Task,
        folder: str | os.PathLike[str] | None,
        on_stage: Callable[[TrialProgress], None] | None,
        on_status: Callable[[str], None] | None,
    ):
        self.run, self.task, self.on_stage, self.device = run, task, on_stage, device_of(run.device)
        self._folder, self._on_status = folder, on_status

    @cached_property
    def encoder(self) -> ImageEncoder | None:
        """The encoder that all networks share; None where each has its own, or there are no images."""
        if self.run.training.encoder == "own":
            return None
        return encoding.shared(self.run, self.task, self._folder, self._on_status).to(self.device)

    @cached_property
    def train_data(self) -> Data:
        data = Data(self.task.split("train"), self.device)
        return data if self.encoder is None else encoding.encoded(data, self.encoder, encoding.COPIES, self.run.seed)

    @cached_property
    def validation(self) -> Data:
        return self._read(self.task.split("validation"))

    @cached_property
    def selecting(self) -> Data:
        """What chooses the step: validation, or test for an oracle."""
        return self._read(self.task.split("test")) if self.run.search.selection == "oracle" else self.validation

    def _read(self, split: Split) -> Data:
        data = Data(split, self.device)
        return data if self.encoder is None else encoding.encoded(data, self.encoder)

    def train(
        self,
        settings: Settings,
        number: int,
        trials: int,
        should_prune: ShouldPrune = lambda eighths, score: False,
        until: int | None = None,
    ) -> _TrialResult:
        """Train one network and score it.

        Args:
            settings: its settings.
            number: the number of the trial, from 0.
            trials: how many there are.
            should_prune: says at a rung whether to stop.
            until: the step whose weights to keep; None for the best on what selects.
        """

        def tell(evaluation: Evaluation) -> None:
            self._tell(number, trials, evaluation)

        trained = self._trained(settings, self.train_data, self.selecting, tell, should_prune, until)
        if trained.failure is None:
            trained.validated = predict(trained.model, self.validation)
            chosen_by = self.selecting
            found = trained.validated if chosen_by is self.validation else predict(trained.model, chosen_by)
            trained.best_score, reason = scored_or_why(self.task.main, found)
            compared_by = _compared_by(self.run, self.task)
            if self.encoder is not None:
                trained.model.encoder = self.encoder
            if compared_by is not self.task.main and trained.best_score is not None:
                trained.rolled_out = _rolled_out(self.run, self.task, trained.model, "validation")
                trained.best_score, reason = trained.rolled_out[compared_by.name]
            if trained.best_score is None:
                where = "validation" if chosen_by is self.validation else "test"
                trained.failure = f"no {compared_by.name} on {where}: {reason}"
        return trained

    def left_out(self, settings: Settings, number: int, trials: int) -> _TrialResult:
        """Train a network without each environment, and score it there at every evaluation.

        Returns:
            The means over environments, each of which counts alike: losses, and the best score with its step. The model
            is that of the last training.

        Source: leave-one-domain-out cross-validation of Gulrajani and Lopez-Paz, In Search of Lost Domain
        Generalization, ICLR 2021, section 3, which chooses settings and step.
        """
        every: list[_TrialResult] = []
        parts = list(environments.left_out(self.task.split("train")))
        for place, (environment, others, own) in enumerate(parts):

            def tell(evaluation: Evaluation, place: int = place) -> None:
                self._tell(number, trials, evaluation, place, len(parts))

            train, validation = Data(others, self.device), Data(own, self.device)
            trained = self._trained(settings, train, validation, tell, share=1 / len(parts))
            if trained.failure is not None:
                trained.failure = f"without environment {environment}: {trained.failure}"
                return trained
            every.append(trained)
        result, sign = every[-1], 1 if self.task.main.higher_is_better else -1
        best: float | None = None
        result.curve, result.best_step = [], 0
        # Where time was up, the last evaluation is at a step of its own.
        for at in zip(*(one.evaluations[: -1 if one.ended == "minutes" else None] for one in every), strict=False):
            result.steps = at[0].step
            result.curve.append((result.steps, fmean(e.train_loss for e in at), fmean(e.validation_loss for e in at)))
            scores = [one.score for one in at if one.score is not None]
            if len(scores) == len(at) and (best is None or sign * fmean(scores) > sign * best):
                best, result.best_step = fmean(scores), result.steps
        ends = {one.ended for one in every}
        result.ended = next(one for one in ("minutes", "patience", "all steps") if one in ends)
        result.improving, result.best_score = any(one.improving for one in every), best
        if best is None:
            result.failure = (
                "time was up before the first evaluation"
                if not result.curve
                else f"no step has a {self.task.metric} in all environments that were left out"
            )
        return result

    def _tell(self, number: int, trials: int, evaluation: Evaluation, place: int = 0, networks: int = 1) -> None:
        """Report progress, of one of the networks of a trial."""
        if self.on_stage is None:
            return
        steps, losses = self.run.steps, (evaluation.train_loss, evaluation.validation_loss)
        self.on_stage(TrialProgress(number, trials, place * steps + evaluation.step, networks * steps, *losses))

    def _trained(
        self,
        settings: Settings,
        train: Data,
        validation: Data,
        tell: Callable[[Evaluation], None],
        should_prune: ShouldPrune = lambda eighths, score: False,
        until: int | None = None,
        share: float = 1.0,
    ) -> _TrialResult:
        """A network trained on some sequences, in a share of the time of a trial."""
        run, steps = self.run, self.run.steps
        model, hidden_size = network(run, self.task, settings)
        if self.encoder is not None:
            # What it is trained on is encoded already.
            model.encoder = None
        trained = _TrialResult(model, hidden_size)
        rungs = iter(RUNGS)
        rung = next(rungs, 0)

        def at_rung(step: int, score: float | None) -> bool:
            nonlocal rung
            # With few steps, one evaluation may cover several rungs.
            while rung and 8 * step >= rung * steps:
                if should_prune(rung, math.nan if score is None else score):
                    return True
                rung = next(rungs, 0)
            return False

        # Dropout uses the global generator.
        torch.manual_seed(run.seed)
        trainer = None
        objective = objective_of(run.objective, settings.strength, train, steps)
        try:
            trainer = Trainer(
                model,
                settings,
                train,
                validation,
                steps=steps,
                until=until,
                batch_size=run.training.batch_size,
                seed=run.seed,
                metric=self.task.main,
                objective=objective,
                sampler=sampler_of(self.task, objective),
            )
            seconds = math.inf if run.search.cap is None else 60 * run.search.cap * share
            trained.ended = trainer.run(seconds=seconds, on_evaluation=tell, halt=at_rung)
        except (NoTargetsError, FloatingPointError) as error:
            trained.failure = str(error)
        if trainer is not None:
            at = trainer.progress
            trained.evaluations = list(at.curve)
            trained.curve = [(one.step, one.train_loss, one.validation_loss) for one in at.curve]
            trained.steps, trained.best_step = at.step, at.best_step
            trained.improving = trained.failure is None and trainer.improving
        return trained
