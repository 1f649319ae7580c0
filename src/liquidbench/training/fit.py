"""A fit: a run and its task in, rows of results out.

Every model gets the same: for one seed the same batches in the same order, and as many trials, steps and minutes as
any other. The validation score of the main metric says when to stop and which trial was best, and only when both are
settled is the test split asked for.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from liquidbench import catalogue, matching, predictions, search
from liquidbench.catalogue import SequenceModel
from liquidbench.models import READOUTS
from liquidbench.rows import Row, Rows, scored_or_why
from liquidbench.search import RUNGS, Halt, Settings, Space, Trial
from liquidbench.study import Run
from liquidbench.tasks import floors
from liquidbench.tasks.corruption import add_noise, remove_steps
from liquidbench.tasks.task import Task
from liquidbench.training.learning import Data, device_of, own_generators, predict
from liquidbench.training.policy import NetworkPolicy, measured, seed_of
from liquidbench.training.trainer import Evaluation, NoTargetsError, Trainer, sampler_of


@dataclass(frozen=True)
class TrialStage:
    """What `fit` tells its caller after each evaluation.

    Attributes:
        trial: number of the trial, from 0.
        trials: number of trials.
        step: after how many steps.
        steps: most steps of a trial.
        train_loss: mean over training targets since the evaluation before, as they were met.
        validation_loss: after these steps.
    """

    trial: int
    trials: int
    step: int
    steps: int
    train_loss: float
    validation_loss: float


@dataclass
class _Trained:
    """A network with the weights of its best step, and how its training went."""

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

    @property
    def record(self) -> dict[str, Any]:
        """What a search keeps of it."""
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


def fit(
    run: Run,
    task: Task,
    folder: str | os.PathLike[str] | None = None,
    on_stage: Callable[[TrialStage], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> list[Row]:
    """Search, train one model on one task with one seed, and score the best on test.

    Batches are drawn from the run's seed alone, so all models with one seed see the same batches in the same
    order, and so do all trials; the corruptions of the test split are drawn from it too.

    A trial whose loss stops being finite has failed, and a row says why. When all trials have failed, or the
    chosen one has no score on test, so has the run.

    Args:
        run: what to train, of kind ``"fit"``.
        task: its data. Train and validation are asked for at the start, test when the model is chosen.
        folder: the study's folder, for the search's journal, with which a run that was stopped goes on, and for the
            predictions; None keeps neither.
        on_stage: called after every evaluation on validation.
        on_wait: told whom the search has to wait for, where another process is at it.

    Returns:
        Rows for `liquidbench.results.write`, without the study's name.

    Raises:
        ValueError: the model has no size within the budget on this task, the data break a promise, or the device is
            not there.
    """
    with own_generators(device_of(run.device)):
        return _fit(run, task, folder, on_stage, on_wait)


def _fit(
    run: Run,
    task: Task,
    folder: str | os.PathLike[str] | None,
    on_stage: Callable[[TrialStage], None] | None,
    on_wait: Callable[[str], None] | None,
) -> list[Row]:
    task = task.with_fold(run.fold)
    rows = Rows(run, task.data_digest)
    lessons = _Lessons(run, task, on_stage)
    trained: dict[int, _Trained] = {}
    if run.variant == "author":
        number, settings = 0, Settings(catalogue.author(run.model).learning_rate)
    else:
        trials, trained = _searched(run, task, lessons, folder, on_wait)
        if run.searches:
            for trial in trials:
                rows.add_trial(trial)
        chosen = search.best(trials, task.main.higher_is_better)
        if chosen is None:
            first = f"the first, with learning rate {trials[0].settings.learning_rate:.3g}"
            return rows.failed(f"all of {len(trials)} trials failed; {first}: {trials[0].record['failure']}")
        number, settings = chosen.number, chosen.settings
    if number not in trained:
        # With another seed than the search, or stopped between the search and its end: trained, as then, from the seed.
        again = trained[number] = lessons.train(settings, number, run.search.trials)
        if not run.searches:
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
    _roll_out(rows, run, task, model, "validation", **about)

    # From here on there is nothing left to choose.
    test = task.split("test")
    tested = predict(model, Data(test, lessons.device))
    reasons = rows.add_scores(task.scores.values(), tested, split="test", **about)
    reasons |= _roll_out(rows, run, task, model, "test", **about)
    if folder is not None:
        predicted = {"validation": validated, "test": tested}
        arrays = {split: (targets.numpy(), values.numpy()) for split, (targets, values) in predicted.items()}
        predictions.write(folder, run.id(task.data_digest), arrays, predictions.recordings_of(test))
    for needed in filter(None, (task.metric, task.judged)):
        if needed in reasons:
            return rows.failed(f"no {needed} on test: {reasons[needed]}")
    _add_baselines(rows, run, task)
    damages = (
        ("removed_steps", run.robustness.removed_steps, remove_steps),
        ("noise", run.robustness.noise, add_noise),
    )
    for corruption, levels, damage in damages:
        for level in levels:
            damaged = predict(model, Data(damage(test, level, run.seed), lessons.device))
            where = {"split": "test", "corruption": corruption, "level": level}
            rows.add_scores((task.main,), damaged, **where, **about)
    return rows.done()


def _roll_out(rows: Rows, run: Run, task: Task, model: SequenceModel, split: str, **about: Any) -> dict[str, str]:
    """Put the network into the task's closed loop, if it has one, and say why where nothing was measured."""
    if task.rollout is None:
        return {}
    found = measured(task, NetworkPolicy(model, task), seed_of(task, run.seed, split))
    return rows.add_measured(found, split=split, **about)


def _add_baselines(rows: Rows, run: Run, task: Task) -> None:
    """What a network is to be set against: predictors on the score that verdicts are about, and the task's policies."""
    if not task.judged:
        if task.baseline is not None:
            rows.add("trivial", task.trivial_score(), split="test")
        if task.linear:
            rows.add("linear", task.linear_score(), split="test")
        for name, (value, reason) in floors.scores(task).items():
            rows.add(name, value, split="test", reason=reason)
    for name, policy in task.policies.items():
        found = measured(task, policy, seed_of(task, run.seed, "test"))
        rows.add_measured(found, of=name, split="test")
        if name == "trivial" and task.judged:
            value, reason = found[task.judged]
            rows.add("trivial", value, split="test", reason=reason)


def _searched(
    run: Run,
    task: Task,
    lessons: "_Lessons",
    folder: str | os.PathLike[str] | None,
    on_wait: Callable[[str], None] | None,
) -> tuple[list[Trial], dict[int, _Trained]]:
    """All trials of the search that the run makes or follows, and the best training if it was among those made here."""
    seed, fold = run.tuned
    searching = replace(run, seed=seed, fold=fold)
    # The search of another run is made here where it is not there yet: whoever makes it, it is the same.
    teaching = lessons if run.searches else _Lessons(searching, task.with_fold(fold), lessons.on_stage)
    sign = 1 if task.main.higher_is_better else -1
    best: dict[int, _Trained] = {}

    def score_trial(number: int, settings: Settings, halt: Halt) -> tuple[float | None, dict[str, Any]]:
        made = teaching.train(settings, number, run.search.trials, halt)
        if made.ended == "pruned":
            return made.best_score, made.record
        beaten = [other.best_score for other in best.values() if other.best_score is not None]
        if made.best_score is not None and all(sign * made.best_score > sign * score for score in beaten):
            best.clear()
            best[number] = made
        return made.best_score, made.record

    trials = search.conduct(searching, _space(searching, task), score_trial, _journal(run, task, folder), on_wait)
    return trials, best if run.searches else {}


def _journal(run: Run, task: Task, folder: str | os.PathLike[str] | None) -> Path | None:
    return None if folder is None else search.journal(folder, run, task.data_digest)


def _space(run: Run, task: Task) -> Space:
    assert run.parameters is not None
    offered = matching.structures(run.model, task, run.parameters, run.seed, run.matching)
    readouts = READOUTS if task.per == "sequence" else ()
    return Space([structure for structure, _ in offered], readouts, task.main.higher_is_better)


def settings_so_far(run: Run, task: Task, folder: str | os.PathLike[str] | None) -> Settings:
    """The best that is known of a run without training anything."""
    if run.variant == "author":
        return Settings(catalogue.author(run.model).learning_rate)
    searching = replace(run, seed=run.tuned[0], fold=run.tuned[1])
    space = _space(searching, task)
    journal = _journal(run, task, folder)
    trials = [] if journal is None else search.kept(journal, space)
    found = search.best(trials, space.higher_is_better)
    return found.settings if found else Settings(search.MIDDLE_RATE, structure=space.structures[0])


def network(run: Run, task: Task, settings: Settings) -> tuple[SequenceModel, int]:
    """A run's network with its initial values, and its hidden size."""
    if run.variant == "author":
        size = catalogue.author(run.model).hidden_size
        return catalogue.build(run.model, task, size, run.seed, run.variant), size
    assert run.parameters is not None
    structure = settings.structure
    offered = matching.structures(run.model, task, run.parameters, run.seed, run.matching)
    sizes = [size for known, size in offered if known == structure]
    # With another seed a drawn wiring may have left the tolerance; that is then said.
    size = (
        sizes[0]
        if sizes
        else matching.size_for_budget(run.model, task, run.parameters, run.seed, run.matching, structure)
    )
    return catalogue.build(run.model, task, size, run.seed, structure=structure, readout=settings.readout), size


class _Lessons:
    """A run's training data, asked for when they are needed, and how networks learn from them."""

    def __init__(self, run: Run, task: Task, on_stage: Callable[[TrialStage], None] | None):
        self.run, self.task, self.on_stage, self.device = run, task, on_stage, device_of(run.device)

    @cached_property
    def train_data(self) -> Data:
        return Data(self.task.split("train"), self.device)

    @cached_property
    def validation(self) -> Data:
        return Data(self.task.split("validation"), self.device)

    def train(
        self, settings: Settings, number: int, trials: int, halt: Halt = lambda eighths, score: False
    ) -> _Trained:
        """Train one network, unless it is halted at one of the search's rungs, and score it on validation."""
        run, steps = self.run, self.run.steps
        model, hidden_size = network(run, self.task, settings)
        trained = _Trained(model, hidden_size)

        def tell(evaluation: Evaluation) -> None:
            if self.on_stage is not None:
                losses = evaluation.train_loss, evaluation.validation_loss
                self.on_stage(TrialStage(number, trials, evaluation.step, steps, *losses))

        rungs = iter(RUNGS)
        rung = next(rungs, 0)

        def at_rung(step: int, score: float | None) -> bool:
            nonlocal rung
            # With few steps one evaluation may be that of several rungs.
            while rung and 8 * step >= rung * steps:
                if halt(rung, math.nan if score is None else score):
                    return True
                rung = next(rungs, 0)
            return False

        # Dropout draws from the global generator.
        torch.manual_seed(run.seed)
        trainer = None
        try:
            trainer = Trainer(
                model,
                settings,
                self.train_data,
                self.validation,
                steps=steps,
                batch_size=run.training.batch_size,
                seed=run.seed,
                metric=self.task.main,
                sampler=sampler_of(self.task),
            )
            seconds = math.inf if run.search.cap is None else 60 * run.search.cap
            trained.ended = trainer.run(seconds=seconds, on_evaluation=tell, halt=at_rung)
        except (NoTargetsError, FloatingPointError) as error:
            trained.failure = str(error)
        if trainer is not None:
            at = trainer.progress
            trained.curve = [(one.step, one.train_loss, one.validation_loss) for one in at.curve]
            trained.steps, trained.best_step = at.step, at.best_step
            trained.improving = trained.failure is None and trainer.improving
        if trained.failure is None:
            trained.validated = predict(model, self.validation)
            trained.best_score, reason = scored_or_why(self.task.main, trained.validated)
            if trained.best_score is None:
                trained.failure = f"no {self.task.metric} on validation: {reason}"
        return trained
