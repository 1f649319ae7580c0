"""What is searched for, and how: all search spaces in one place, the same effort for every model.

Every trial draws `SHARED`, which is the same for all models, and one of the model's structures, at the size that the
study's budget gives it. Draws are independent and uniform, so that the best of k of them can be told for any k, and so
that no model gains by having more to set. They come from seed, split, task and number of the trial alone: all models
draw the same values in their trials of one number, and are equally lucky.

A search stops trials early that do worse, by successive halving (Optuna's `SuccessiveHalvingPruner`): at each rung a
trial goes on if its best score so far is in the better half of those that it and the trials before it had there.
Nothing else counts, neither time nor what other processes do, so that a search comes out the same wherever it is made
and however often it is interrupted.

A search is kept in a journal of Optuna's, one file a search, to which a trial is added when it has been scored. A
process that is killed loses the trial that it was at; whoever comes next goes on behind the last one. Each line has a
checksum, and says which line of which search it is, in entries that Optuna does not read, so that a damaged journal is
gone on with behind its last sound line.
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

from liquidbench.folder import StudyFolder
from liquidbench.study import Run
from liquidbench.system import storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning, file_lock
from liquidbench.wording import counted

LEARNING_RATES = (3e-4, 3e-2)
"""Ends of the range of learning rates, which is even on a logarithmic scale."""

EARLIER_LEARNING_RATES = (1e-3, 1e-1)
"""Those of studies of earlier versions, which counted epochs."""

SHARED: Mapping[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(*LEARNING_RATES, log=True),
    "optimiser": CategoricalDistribution(("adamw", "rmsprop")),
    "schedule": CategoricalDistribution(("constant", "cosine")),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "clip_norm": FloatDistribution(0.3, 3.0, log=True),
}
"""Ranges that are the same for every model, in the order in which they are drawn; see `Settings`."""

RUNGS = (1, 2, 4)
"""Successive halving: after so many eighths of its steps a trial goes on if it is in the better half."""

MIDDLE_RATE = 0.003
"""A learning rate in the middle of its range, for what is measured and not trained to an end."""


@dataclass(frozen=True)
class Settings:
    """All that a trial decides; as it stands here, Adam without decay, for what is not searched.

    Attributes:
        learning_rate: of the optimiser, when it is warm.
        optimiser: "adamw" or "rmsprop".
        schedule: "constant", or "cosine" down to zero over the most steps there may be.
        weight_decay: decoupled (AdamW's) or, with RMSprop, added to the gradient.
        clip_norm: largest norm of the gradient.
        patience: steps without a better validation score before training stops, as a share of the most there may be;
            `liquidbench.training.trainer.FEWEST_PATIENCE` of them in any case.
        structure: keyword arguments of the model's layer.
        readout: one of `liquidbench.models.READOUTS`, where a sequence has one target.
        warm_up: share of the most steps over which the learning rate rises from zero.
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

    def to_json(self) -> str:
        """As results hold them."""
        return json.dumps(asdict(self), separators=(", ", ": "))


@dataclass(frozen=True)
class Trial:
    """One draw, and what became of it.

    Attributes:
        number: from 0.
        settings: what was drawn.
        score: on validation, by the task's main metric; None where the trial failed.
        record: what whoever scored it wants to be kept, in terms that JSON knows.
        pruned: whether it was stopped at a rung, for others were better there.
    """

    number: int
    settings: Settings
    score: float | None
    record: Mapping[str, Any]
    pruned: bool = False


@dataclass(frozen=True)
class Space:
    """What a search draws from, besides `SHARED`.

    Attributes:
        structures: of the model.
        readouts: some of `liquidbench.models.READOUTS`, the same for every model; none where each step has a target.
        higher_is_better: of the score.
    """

    structures: Sequence[Mapping[str, Any]]
    readouts: tuple[str, ...] = ()
    higher_is_better: bool = True

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """As Optuna has them, in the order of drawing: what is drawn alike for all models comes first."""
        readout = {"readout": CategoricalDistribution(self.readouts)} if self.readouts else {}
        labels = tuple(map(_label, self.structures))
        return {**SHARED, **readout, "structure": CategoricalDistribution(labels)}

    def settings(self, drawn: Mapping[str, Any]) -> Settings:
        """What was drawn, as a training has it."""
        labelled = {_label(structure): structure for structure in self.structures}
        return Settings(**{**drawn, "structure": labelled[drawn["structure"]]})


Halt = Callable[[int, float], bool]
"""``halt(eighths, score)``: whether a trial is to be stopped after so many eighths of its steps, one of `RUNGS`."""

ScoreTrial = Callable[[int, Settings, Halt], tuple[float | None, Mapping[str, Any]]]


def draw(run: Run, number: int, space: Space) -> Settings:
    """What a trial of a run's search tries.

    Args:
        run: whose search; a run of mode "cheap" draws what the one that it follows draws.
        number: of the trial, from 0.
        space: to draw from.
    """
    return space.settings(_drawn(run, number, space))


def conduct(
    run: Run,
    space: Space,
    score_trial: ScoreTrial,
    journal: Path | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> list[Trial]:
    """All trials of a run's search: those that the journal has, then the others, one after another.

    While one process is at it, others that need the same search wait.

    Args:
        run: whose search.
        space: to draw from.
        score_trial: trains number and settings, as long as it is not halted; gives the best score, None where there is
            none, and a record to keep.
        journal: the file to keep it in, made where it does not exist; None keeps it in memory.
        on_wait: told who else is at the search, where that is waited for.

    Returns:
        As many trials as `run.search` asks for, in the order of their numbers.
    """
    if journal is None:
        return _conducted(run, space, score_trial, InMemoryStorage())
    journal.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(journal.with_suffix(".lock"), on_wait=on_wait):
        _repair(journal)
        return _conducted(run, space, score_trial, _stored(journal))


def kept(journal: Path, space: Space) -> list[Trial]:
    """The trials that a journal has; none where there is no journal."""
    if not os.path.lexists(journal):
        return []
    with file_lock(journal.with_suffix(".lock")):
        _repair(journal)
        return _trials(_opened(_stored(journal)), space)


def journal(directory: str | os.PathLike[str], run: Run, data_digest: str) -> Path:
    """Where the search of a run is kept: ``<directory>/searches/<its id>.journal``."""
    return StudyFolder(directory).journal(run.search_id(data_digest))


def adopt(journal: Path, content: bytes) -> None:
    """Keep a journal that was written elsewhere, unless the one that is here has as many trials.

    Args:
        journal: the file, made where it does not exist.
        content: of the other one. While somebody is making the search here, it is dropped.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with suppress(BlockingIOError), file_lock(journal.with_suffix(".lock"), wait=False):
        part = journal.with_suffix(".part")
        # Written anew: through a link that lies there it would be written elsewhere.
        part.unlink(missing_ok=True)
        part.write_bytes(content)
        trials = []
        for file in (journal, part):
            _repair(file)
            trials.append(len(_opened(_stored(file)).trials) if file.is_file() else 0)
        if trials[0] < trials[1]:
            part.replace(journal)
        part.unlink(missing_ok=True)


def best(trials: Sequence[Trial], higher_is_better: bool) -> Trial | None:
    """The trial with the best score, the first of equals; None where all have failed.

    One that was stopped early is taken only where none was trained to its end.
    """
    scored = [trial for trial in trials if trial.score is not None]
    scored = [trial for trial in scored if not trial.pruned] or scored
    sign = 1 if higher_is_better else -1
    return max(scored, key=lambda trial: sign * (trial.score or 0.0), default=None)


def _conducted(run: Run, space: Space, score_trial: ScoreTrial, storage: BaseStorage) -> list[Trial]:
    kept_trials = _opened(storage)
    # Where trials live while they are trained; a journal has them in one piece when they are done, and never one that
    # nobody is at.
    contest = optuna.create_study(
        direction="maximize" if space.higher_is_better else "minimize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    )
    contest.add_trials(kept_trials.get_trials(deepcopy=False)[: run.search.trials])
    for number in range(len(contest.trials), run.search.trials):
        drawn, living, pruned = _drawn(run, number, space), contest.ask(), False

        def halt(eighths: int, score: float, living: optuna.Trial = living) -> bool:
            nonlocal pruned
            living.report(score, eighths)
            pruned = living.should_prune()
            return pruned

        score, record = score_trial(number, space.settings(drawn), halt)
        states = optuna.trial.TrialState
        state = states.FAIL if score is None else states.PRUNED if pruned else states.COMPLETE
        contest.tell(living, score if state == states.COMPLETE else None, state)
        ended = contest.get_trials(deepcopy=False)[number]
        kept_trials.add_trial(
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
    return _trials(kept_trials, space)[: run.search.trials]


class _Journal(JournalFileBackend):
    """Optuna's, with a checksum in each line; whoever opens it is alone with it."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        path = Path(self._file_path)
        there = path.read_bytes().count(b"\n") if path.exists() else 0
        lines = b"".join(_line(log, path.stem, number) for number, log in enumerate(logs, there))
        with path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _line(log: Mapping[str, Any], search: str, number: int) -> bytes:
    # Whose line it is and which: journals may change places and lines be there twice, each of them whole.
    entries = {**log, "search": search, "line": number, "checksum": storage.SEAL}
    return storage.sealed(f"{json.dumps(entries, separators=(',', ':'))}\n".encode())


def _stored(journal: Path) -> BaseStorage:
    return JournalStorage(_Journal(str(journal)))


def _opened(storage: BaseStorage) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Which way is better is the task's affair; Optuna only keeps the scores.
    return optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)


def _trials(optuna_study: optuna.Study, space: Space) -> list[Trial]:
    pruned = optuna.trial.TrialState.PRUNED
    return [
        Trial(found.number, space.settings(found.params), found.value, found.user_attrs, found.state == pruned)
        for found in optuna_study.get_trials(deepcopy=False)
    ]


def _drawn(run: Run, number: int, space: Space) -> dict[str, Any]:
    # Not from the model, so that all draw alike; from the task, so that luck on one says nothing of another.
    source = (*run.tuned, number, zlib.crc32(run.task_name.encode()))
    seed = int(np.random.SeedSequence(source).generate_state(1)[0])
    sampler = optuna.samplers.RandomSampler(seed=seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=sampler).ask(space.distributions).params


def _label(structure: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in structure.items())


def _repair(journal: Path) -> None:
    """See that all lines of a journal are sound.

    What a process that was killed while it wrote has left is taken away: half a line, and Optuna's own lock. A journal
    with a damaged line is set aside, and what comes before that line goes on. Lines of earlier versions, which have no
    checksum, get one.
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
                raise DamagedFileError(f"{journal} is damaged: its line {number + 1} is not that, but {other}")
            sound.append(_line(log, journal.stem, number))
        # A whole line but for its end is no half of one.
        if half and half.endswith(b"}", 0, -1) and storage.intact(half[:-1] + b"\n", journal):
            raise DamagedFileError(f"{journal} is damaged: the end of its last line has changed")
    except DamagedFileError as error:
        trouble = str(error)
    except (ValueError, RecursionError, AttributeError) as error:
        trouble = f"{journal} is damaged ({error})"
    if unsealed and not trouble:
        try:
            _trials_of(sound)
        # Without checksums lines may say anything, and Optuna fails on it in any way.
        except Exception as error:
            sound, trouble = [], f"{journal} is damaged ({type(error).__name__}: {error})"
        else:
            storage.warn_unsealed(journal.parent, stacklevel=4)
    if trouble:
        warnings.warn(
            f"{trouble}; it is now {storage.set_aside(journal)}, and its search goes on after "
            f"{counted(_trials_of(sound), 'trial')} before the damage",
            KeptFileWarning,
            stacklevel=3,
        )
    if trouble or half or unsealed:
        storage.keep(journal, b"".join(sound))


class _Lines(BaseJournalBackend):
    """Lines in memory."""

    def __init__(self, lines: Sequence[bytes]):
        self._logs = [json.loads(line) for line in lines]

    def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._logs += logs


def _trials_of(lines: Sequence[bytes]) -> int:
    return len(_opened(JournalStorage(_Lines(lines))).trials)
