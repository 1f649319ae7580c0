"""Hyperparameter search: the search space, the draws and the journal of a search. All models get the same effort.

Every trial draws the settings in `SHARED`, whose ranges are the same for all models, and one of the model's structures,
at the size that the study's budget allows. Draws are independent and uniform, so the expected best of k can be computed
for any k, and no model gains from having more settings. They depend only on seed, split, task and trial number: in the
trials of one number, all models draw the same values.

Successive halving (Optuna's `SuccessiveHalvingPruner`) stops poor trials early: at each rung, a trial continues if its
best score so far is in the better half of the scores that it and the trials before it had there. In closed loops no
trial is stopped: the loss, which is all that is known at a rung, foretells badly what a network does. Nothing else
matters, neither time nor other processes, so a search has the same result on any machine and after any interruption.

Each search has one Optuna journal, to which every trial is appended when it is scored. A process that is killed loses
only its current trial; the next process continues after the last one. Each line has a checksum and states its search
and line number, in entries that Optuna ignores, so that a damaged journal can be continued after its last intact line.
"""

import json
import os
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from liquidbench.conditions import parted
from liquidbench.folder import StudyFolder
from liquidbench.study import LEARNING_RATES, Run
from liquidbench.system import storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning, file_lock
from liquidbench.wording import counted

EARLIER_LEARNING_RATES = (1e-3, 1e-1)
"""`liquidbench.study.LEARNING_RATES` of studies that count epochs, made with earlier versions."""

SHARED: Mapping[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(*LEARNING_RATES, log=True),
    "optimiser": CategoricalDistribution(("adamw", "rmsprop")),
    "schedule": CategoricalDistribution(("constant", "cosine")),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "clip_norm": FloatDistribution(0.3, 3.0, log=True),
}
"""Distributions that are the same for every model, in the order in which they are drawn; see `Settings`.

A study may give another range of learning rates (`liquidbench.study.Search`).
"""

RUNGS = (1, 2, 4)
"""Rungs of successive halving, in eighths of the steps: there a trial continues if it is in the better half."""

MIDDLE_RATE = 0.003
"""A learning rate in the middle of its range, for networks that are timed rather than trained."""


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of one trial. The defaults, Adam without weight decay, apply outside of a search.

    Attributes:
        learning_rate: learning rate after warm-up.
        optimiser: "adamw" or "rmsprop".
        schedule: "constant", or "cosine" for a decay to zero over the largest number of steps.
        weight_decay: decoupled (AdamW's) or, with RMSprop, added to the gradient.
        clip_norm: norm that the gradient is clipped to.
        patience: steps without a better validation score before training stops, as a share of the largest number of
            steps; at least `liquidbench.training.trainer.FEWEST_PATIENCE`.
        structure: keyword arguments of the model's layer.
        readout: one of `liquidbench.models.READOUTS`, for tasks with one target per sequence.
        warm_up: share of the largest number of steps over which the learning rate rises from zero.
        strength: of the objective, such as the weight of its penalty (`liquidbench.objectives`); None where it has none
            or the study gives it.
    """

    learning_rate: float
    optimiser: str = "adamw"
    schedule: str = "constant"
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    patience: float = 0.2
    structure: Mapping[str, Any] = field(default_factory=dict)
    readout: str = "last"
    warm_up: float = 0.05
    strength: float | None = None

    def to_json(self) -> str:
        """The form in which results store them."""
        content = asdict(self)
        if self.strength is None:
            del content["strength"]
        return json.dumps(content, separators=(", ", ": "))


@dataclass(frozen=True)
class Trial:
    """One draw and its result.

    Attributes:
        number: number of the trial, from 0.
        settings: the settings drawn.
        score: on validation, by what the task is judged by (`Task.judged_by`); None if the trial failed.
        record: what the caller stored about the trial; JSON can represent it.
        pruned: whether it was stopped at a rung.
    """

    number: int
    settings: Settings
    score: float | None
    record: Mapping[str, Any]
    pruned: bool = False


@dataclass(frozen=True)
class Space:
    """The part of the search space that depends on model and task; `SHARED` is the rest.

    Attributes:
        structures: the model's structures.
        readouts: some of `liquidbench.models.READOUTS`, the same for every model; empty if each step has a target.
        higher_is_better: direction of the scores at rungs.
        strengths: least and greatest strength of the objective; None where it is not searched for.
        rates: smallest and largest learning rate; draws are log-uniform.
    """

    structures: Sequence[Mapping[str, Any]]
    readouts: tuple[str, ...] = ()
    higher_is_better: bool = True
    strengths: tuple[float, float] | None = None
    rates: tuple[float, float] = LEARNING_RATES

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distributions, in the order in which they are drawn: those shared by all models first."""
        readout = {"readout": CategoricalDistribution(self.readouts)} if self.readouts else {}
        labels = tuple(map(_label, self.structures))
        # Last, so that trials of one number draw the same other settings for every objective.
        strength = {"strength": FloatDistribution(*self.strengths, log=True)} if self.strengths else {}
        rate = {"learning_rate": FloatDistribution(*self.rates, log=True)} if self.rates != LEARNING_RATES else {}
        return {**SHARED, **rate, **readout, "structure": CategoricalDistribution(labels), **strength}

    def settings(self, drawn: Mapping[str, Any]) -> Settings:
        """The settings for Optuna's parameters."""
        labelled = {_label(structure): structure for structure in self.structures}
        return Settings(**{**drawn, "structure": labelled[drawn["structure"]]})


ShouldPrune = Callable[[int, float], bool]
"""``should_prune(eighths, score)``: whether to stop a trial at a rung, given in eighths of its steps (see `RUNGS`)."""

ScoreTrial = Callable[[int, Settings, ShouldPrune], tuple[float | None, Mapping[str, Any]]]


def draw_settings(run: Run, number: int, space: Space) -> Settings:
    """Draw the settings of one trial.

    Args:
        run: the run that searches. In mode "cheap", runs that share a search draw the same settings.
        number: number of the trial, from 0.
        space: the search space.
    """
    return space.settings(_draw(run, number, space))


def run_search(
    run: Run,
    space: Space,
    score_trial: ScoreTrial,
    journal: Path | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> list[Trial]:
    """Carry out a search, or the rest of it: the trials that are missing in the journal, one after another.

    While one process carries out a search, others that need the same search wait.

    Args:
        run: the run that needs the search.
        space: the search space.
        score_trial: ``score_trial(number, settings, should_prune)`` trains a trial until ``should_prune`` says stop;
            returns its best score, None if it failed, and a record to store.
        journal: the journal file, created if it does not exist; None keeps the trials in memory.
        on_wait: called with a description of the other process if this one must wait.

    Returns:
        The number of trials that `run.search` asks for, in order.
    """
    if journal is None:
        return _run_trials(run, space, score_trial, InMemoryStorage())
    journal.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(journal.with_suffix(".lock"), on_wait=on_wait):
        _repair(journal)
        return _run_trials(run, space, score_trial, _journal_storage(journal))


def read_trials(journal: Path, space: Space) -> list[Trial]:
    """The trials in a journal; empty if there is no journal."""
    if not os.path.lexists(journal):
        return []
    with file_lock(journal.with_suffix(".lock")):
        _repair(journal)
        return _to_trials(_optuna_study(_journal_storage(journal)), space)


def journal_path(directory: str | os.PathLike[str], run: Run, data_digest: str) -> Path:
    """The journal of a run's search: ``<directory>/searches/<search id>.journal``."""
    return StudyFolder(directory).journal(run.search_id(data_digest))


def import_journal(journal: Path, content: bytes) -> None:
    """Store a journal from another machine, unless the local one has at least as many trials.

    Args:
        journal: the local file, created if it does not exist.
        content: content of the other journal. It is ignored while a process carries out the search here.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with suppress(BlockingIOError), file_lock(journal.with_suffix(".lock"), wait=False):
        part = journal.with_suffix(".part")
        # Remove it first: writing through a symbolic link would change another file.
        part.unlink(missing_ok=True)
        part.write_bytes(content)
        trials = []
        for file in (journal, part):
            _repair(file)
            trials.append(len(_optuna_study(_journal_storage(file)).trials) if file.is_file() else 0)
        if trials[0] < trials[1]:
            part.replace(journal)
        part.unlink(missing_ok=True)


def best_trial(trials: Sequence[Trial], higher_is_better: bool) -> Trial | None:
    """The trial with the best score, the first if several are equal; None if all failed.

    A pruned trial is chosen only if no trial was trained to its end.
    """
    scored = [trial for trial in trials if trial.score is not None]
    scored = [trial for trial in scored if not trial.pruned] or scored
    sign = 1 if higher_is_better else -1
    return max(scored, key=lambda trial: sign * (trial.score or 0.0), default=None)


def _run_trials(run: Run, space: Space, score_trial: ScoreTrial, storage: BaseStorage) -> list[Trial]:
    stored = _optuna_study(storage)
    # The pruner needs running trials; the journal gets each trial only when it is finished.
    pruning = optuna.create_study(
        direction="maximize" if space.higher_is_better else "minimize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    )
    pruning.add_trials(stored.get_trials(deepcopy=False)[: run.search.trials])
    for number in range(len(pruning.trials), run.search.trials):
        drawn, live, pruned = _draw(run, number, space), pruning.ask(), False

        def should_prune(eighths: int, score: float, live: optuna.Trial = live) -> bool:
            nonlocal pruned
            live.report(score, eighths)
            pruned = live.should_prune()
            return pruned

        score, record = score_trial(number, space.settings(drawn), should_prune)
        states = optuna.trial.TrialState
        state = states.FAIL if score is None else states.PRUNED if pruned else states.COMPLETE
        pruning.tell(live, score if state == states.COMPLETE else None, state)
        ended = pruning.get_trials(deepcopy=False)[number]
        stored.add_trial(
            optuna.trial.create_trial(
                state=state,
                params=drawn,
                distributions=space.distributions,
                value=score,
                user_attrs=dict(record),
                system_attrs=ended.system_attrs,
                intermediate_values=ended.intermediate_values,
            )
        )
    return _to_trials(stored, space)[: run.search.trials]


class _Journal(JournalFileBackend):
    """Optuna's journal file with a checksum in each line; the caller holds the journal's lock."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        path = Path(self._file_path)
        written = path.read_bytes().count(b"\n") if path.exists() else 0
        lines = b"".join(_sealed_line(log, path.stem, number) for number, log in enumerate(logs, written))
        with path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _sealed_line(log: Mapping[str, Any], search: str, number: int) -> bytes:
    # Search and line number reveal swapped journals and duplicate lines, which have valid checksums.
    entries = {**log, "search": search, "line": number, "checksum": storage.SEAL}
    return storage.sealed(f"{json.dumps(entries, separators=(',', ':'))}\n".encode())


def _journal_storage(journal: Path) -> BaseStorage:
    return JournalStorage(_Journal(str(journal)))


def _optuna_study(storage: BaseStorage) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The direction does not matter here: Optuna only stores the scores.
    return optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)


def _to_trials(optuna_study: optuna.Study, space: Space) -> list[Trial]:
    pruned = optuna.trial.TrialState.PRUNED
    return [
        Trial(found.number, space.settings(found.params), found.value, found.user_attrs, found.state == pruned)
        for found in optuna_study.get_trials(deepcopy=False)
    ]


def _draw(run: Run, number: int, space: Space) -> dict[str, Any]:
    # Equal for all models, so that they draw the same; different for each task, so that tasks are independent. Under a
    # condition the draws are those of the task itself, since the two are compared.
    source = (*run.tuned, number, zlib.crc32(parted(run.task_name)[0].encode()))
    seed = int(np.random.SeedSequence(source).generate_state(1)[0])
    sampler = optuna.samplers.RandomSampler(seed=seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=sampler).ask(space.distributions).params


def _label(structure: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in structure.items())


def _repair(journal: Path) -> None:
    """Check and repair a journal.

    Remove what a process that was killed during writing may have left: an incomplete last line and Optuna's lock. If a
    line is damaged, move the journal away and keep a copy of the lines before it. Add checksums to lines of earlier
    versions, which have none.
    """
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if not os.path.lexists(journal):
        return
    sound: list[bytes] = []
    half, unsealed, trouble = b"", False, ""
    try:
        *lines, half = storage.content_of(journal).split(b"\n")
        for number, line in enumerate(lines):
            unsealed |= not storage.intact(line + b"\n", journal)
            log = json.loads(line)
            place = (log.get("search", journal.stem), log.get("line", number))
            if place != (journal.stem, number):
                other = f"line {place[1] + 1} of search {place[0]}"
                raise DamagedFileError(f"{journal} is damaged: instead of line {number + 1} it has {other}")
            sound.append(_sealed_line(log, journal.stem, number))
        # A complete line whose newline has changed is damage, not an interrupted write.
        if half and half.endswith(b"}", 0, -1) and storage.intact(half[:-1] + b"\n", journal):
            raise DamagedFileError(f"{journal} is damaged: the end of its last line has changed")
    except DamagedFileError as error:
        trouble = str(error)
    except (ValueError, RecursionError, AttributeError) as error:
        trouble = f"{journal} is damaged ({error})"
    if unsealed and not trouble:
        try:
            _count_trials(sound)
        # Lines without checksums may have any content, for which Optuna may raise anything.
        except Exception as error:
            sound, trouble = [], f"{journal} is damaged ({type(error).__name__}: {error})"
        else:
            storage.warn_unsealed(journal.parent, stacklevel=4)
    if trouble:
        warnings.warn(
            f"{trouble}; it is now {storage.set_aside(journal)}, and its search continues after "
            f"{counted(_count_trials(sound), 'trial')} before the damage",
            KeptFileWarning,
            stacklevel=3,
        )
    if trouble or half or unsealed:
        storage.keep(journal, b"".join(sound))


class _InMemoryJournal(BaseJournalBackend):
    """A read-only journal in memory."""

    def __init__(self, lines: Sequence[bytes]):
        self._logs = [json.loads(line) for line in lines]

    def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._logs += logs


def _count_trials(lines: Sequence[bytes]) -> int:
    return len(_optuna_study(JournalStorage(_InMemoryJournal(lines))).trials)
