"""Studies: a YAML file with one question becomes the list of runs that answer it.

A `Run` has everything that determines its result except the data, and its id is a hash of its content and the data.
Any two machines therefore agree about which runs of a study are finished.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from liquidbench import __version__, objectives
from liquidbench.conditions import parted
from liquidbench.models import MODELS, Family, UserModel, author_of, families, family_of, model_name
from liquidbench.shifts import KNOWN, SHIFTS, WORLDS, find
from liquidbench.system.storage import regular
from liquidbench.user_code import CodeError, UserCode, checksum, is_code

RESULTS_FORMAT = 2
"""Version of the meaning of results. It is part of every run's id, so results with another meaning are never reused.

Additions need no new version: a field of a run whose default is the former behaviour, or a column that may be null.
"""

MATCHINGS: Mapping[str, str] = {
    "parameters": "trained parameters",
    "compute": "multiply-adds and synapse evaluations a sample",
    "state": "numbers carried from sample to sample",
}
"""The quantities by which networks can be matched in size, in words; `liquidbench.matching` counts them."""

MODES = ("full", "cheap")

SELECTIONS: Mapping[str, str] = {
    "validation": "validation chooses step and trial",
    "environments": "environments of training that are left out choose step and trial",
    "oracle": "test itself chooses step and trial (an oracle)",
}
"""What hyperparameters, and the step whose weights are kept, can be chosen by, in words; the first is the default."""

ENCODERS: Mapping[str, str] = {
    "own": "each network trains an encoder of its own with itself",
    "shared": "all networks of a seed and split read images through one encoder, trained before and then fixed",
}
"""Encoders of images (`Training.encoder`)."""

SEARCHES = tuple(mode if by == "validation" else f"{mode}, {by}" for by in SELECTIONS for mode in MODES)
"""What the column ``search`` of results says of a search: its mode, and what selects if that is not validation."""

LEARNING_RATES = (3e-4, 3e-2)
"""Smallest and largest learning rate that a search draws, unless a study gives others; draws are log-uniform."""

DEVICES = ("cpu", "cuda")
"""Devices on which networks can be trained and measured."""

MOST_RUNS = 1_000_000
"""Largest number of runs of a study."""

_MOST = {
    "parameters": 100_000_000,
    "splits": 1_000,
    "search.trials": 100_000,
    "training.steps": 100_000_000,
    "training.epochs": 1_000_000,
    "training.batch_size": 2**31 - 1,
    "seeds": 100_000,
}
"""Largest accepted whole numbers: larger ones are mistakes, and would take hours or exhaust memory."""

_LARGEST_SEED = 2**63 - 1

_LONGEST_NAME = 100
_DEEPEST = 20
_MOST_NODES = 200_000
_MOST_BYTES = 4_000_000


STEPS: Mapping[str, int] = {
    "occupancy": 1_000,
    "occupancy-excerpt": 1_000,
    "gesture": 1_000,
    "gesture-excerpt": 1_000,
    "cheetah": 4_000,
    "cheetah-excerpt": 4_000,
    "walker": 6_000,
    "halfcheetah-loop": 3_000,
    "walker2d-loop": 3_000,
    "physionet2012": 1_000,
    "physionet2012-official": 1_000,
    "physionet2012-raindrop": 1_000,
    "physionet2012-seft": 1_000,
    "physionet2012-excerpt": 1_000,
    "etth1": 1_000,
    "exchange": 1_000,
    "traffic": 2_000,
    "traffic-ltc": 4_000,
    "power": 2_000,
    "power-ltc": 2_000,
    "ozone": 500,
    "ozone-ltc": 1_000,
    "person-partial": 1_000,
    "person-ltc": 2_000,
    "quadrotor-velocity": 1_000,
    "quadrotor-velocity-ood": 1_000,
    "quadrotor-displacement": 500,
    "quadrotor-displacement-ood": 500,
    "mnist-rows": 6_000,
    "mnist-events": 10_000,
    "japanese-vowels": 1_000,
    "basic-motions": 500,
    "articulary-words": 2_000,
    "scp1": 1_000,
    "scp1-papers": 1_000,
    "scp2-partial": 1_000,
    "ethanol-partial": 1_000,
    "parity-dense": 20_000,
    "parity-events": 20_000,
    "parity-running": 500,
    "spurious-fourier": 1_000,
    "tcmnist-source": 2_000,
    "tcmnist-step": 2_000,
    "flight": 4_000,
    "flight-velocity": 4_000,
    "flight-lost": 4_000,
    "flight-sequence": 4_000,
    "flight-hidden": 4_000,
    "hidden-dynamics": 3_000,
    "hidden-dynamics-uneven": 3_000,
}
"""Optimiser steps that networks need on a task, with batches of 64; `docs/tasks.md` has the learning curves."""

STEPS_ELSEWHERE = 2_000
"""Default number of steps on other tasks."""


@dataclass(frozen=True)
class Training:
    """How every model of a study is trained.

    Everything else is searched for; see `liquidbench.search`.

    Attributes:
        epochs: largest number of epochs, only in studies of earlier versions. Their results can be read, but missing
            runs cannot be done. None for a budget in steps.
        batch_size: sequences per step.
        steps: largest number of optimiser steps: one number for all tasks, or a mapping by task name. A study adds
            `STEPS` for tasks without a number. In a `Run` it is a number.
        objective: what is minimised: a name in `liquidbench.objectives.OBJECTIVES`, whose strength is searched for, or
            ``name=strength``. Several are compared: every model trains with each. In a `Run` it is one.
        encoder: on tasks with images, a key of `ENCODERS`: whether each network trains an encoder of its own, or all
            with a seed and split read images through the same one, which is trained before and then fixed.
    """

    epochs: int | None = None
    batch_size: int = 64
    steps: int | Mapping[str, int] | None = field(default=None, hash=False)
    objective: str | tuple[str, ...] = objectives.DEFAULT
    encoder: Literal["own", "shared"] = "own"

    def __post_init__(self) -> None:
        _known("training.encoder", self.encoder, ENCODERS)
        for one in self.objectives:
            objectives.parse(one)
        _distinct("training.objective", self.objectives, "name each once")
        _set(self, "objective", self.objectives[0] if len(self.objectives) == 1 else self.objectives)
        _set(self, "batch_size", _whole("training.batch_size", self.batch_size, at_least=1))
        if self.epochs is not None:
            _set(self, "epochs", _whole("training.epochs", self.epochs, at_least=1))
            if self.steps is not None:
                raise ValueError("training must have steps or, in studies of earlier versions, epochs; got both")
        if isinstance(self.steps, Mapping):
            most = _MOST["training.steps"]
            steps = {
                str(task): _whole(f"training.steps.{task}", count, at_least=1, at_most=most)
                for task, count in self.steps.items()
            }
            _set(self, "steps", steps)
        elif self.steps is not None:
            _set(self, "steps", _whole("training.steps", self.steps, at_least=1))

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that are compared, in order."""
        if isinstance(self.objective, list | tuple):
            return tuple(_list("training.objective", self.objective, f"names among {', '.join(objectives.OBJECTIVES)}"))
        return (self.objective,)

    def on(self, task: str) -> "Training":
        """How models are trained on one task: with a number of steps; under a condition, with that of the base task."""
        if self.epochs is not None or isinstance(self.steps, int):
            return self
        steps, (base, _) = self.steps or {}, parted(task)
        return replace(self, steps=steps.get(task, steps.get(base, STEPS.get(base, STEPS_ELSEWHERE))))


@dataclass(frozen=True)
class Search:
    """How hyperparameters are found, with the same effort for every model; what is drawn is in `liquidbench.search`.

    Attributes:
        trials: number of draws that are trained.
        mode: "full" searches for each seed and outer split; "cheap" searches only with the first seed on the first
            split, and every other seed and split trains once with the best settings found.
        minutes: wall-clock limit of a search in minutes, shared equally among its trials; None for no limit. A training
            outside of a search has the share of one trial.
        learning_rates: smallest and largest learning rate that is drawn.
        selection: a key of `SELECTIONS`. With "environments", a trial trains a network without each of the training
            environments, and is as good as these are on average in the one that they have not seen. With "oracle" test
            selects: its scores say what could be reached by choosing well, and are no estimate of anything else.
    """

    trials: int = 10
    mode: Literal["full", "cheap"] = "full"
    minutes: float | None = None
    learning_rates: tuple[float, float] = LEARNING_RATES
    selection: Literal["validation", "environments", "oracle"] = "validation"

    def __post_init__(self) -> None:
        _set(self, "trials", _whole("search.trials", self.trials, at_least=1))
        if self.mode not in MODES:
            raise ValueError(f"search.mode must be one of {', '.join(MODES)}; got {_shown(self.mode)}")
        if self.minutes is not None:
            _set(self, "minutes", _number("search.minutes", self.minutes, above=0))
        expected = "the smallest and the largest rate"
        rates = _list("search.learning_rates", self.learning_rates, expected)
        if len(rates) != 2:
            raise ValueError(f"search.learning_rates must be {expected}; got {_shown(self.learning_rates)}")
        low = _number("search.learning_rates[0]", rates[0], above=0)
        _set(self, "learning_rates", (low, _number("search.learning_rates[1]", rates[1], above=low, at_most=1)))
        _known("search.selection", self.selection, SELECTIONS)

    @property
    def label(self) -> str:
        """What results call it, one of `SEARCHES`."""
        return self.mode if self.selection == "validation" else f"{self.mode}, {self.selection}"

    @property
    def cap(self) -> float | None:
        """Minutes of one training; None for no cap."""
        return None if self.minutes is None else self.minutes / self.trials


@dataclass(frozen=True)
class Robustness:
    """Shifts of the test split, and worlds of closed loops, for models trained without; see `liquidbench.shifts`.

    Attributes:
        removed_steps: levels of the shift of this name, each at least 0 and below 1. ``True``, here and below, means
            the default levels of a shift.
        noise: levels of the shift of this name, each at least 0.
        shifts: levels of other shifts by name, "a+b" for b after a. In a study's file these are keys of
            ``robustness`` like the two above.
    """

    removed_steps: tuple[float, ...] = ()
    noise: tuple[float, ...] = ()
    shifts: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("removed_steps", "noise"):
            _set(self, name, _levels(name, getattr(self, name)))
        found = {name: _levels(name, levels) for name, levels in self.shifts.items()}
        _set(self, "shifts", {name: levels for name, levels in found.items() if levels})

    @classmethod
    def parse(cls, mapping: Any) -> Self:
        """The content of the key ``robustness`` of a study's file.

        Raises:
            ValueError: if it is not a mapping of shifts to levels.
        """
        if not isinstance(mapping, Mapping):
            raise ValueError(f"robustness must be a mapping with keys among {KNOWN}; got {_shown(mapping)}")
        own = {name: mapping[name] for name in ("removed_steps", "noise") if name in mapping}
        return cls(**own, shifts={name: levels for name, levels in mapping.items() if name not in own})

    def to_mapping(self) -> dict[str, Any]:
        """What `parse` reads."""
        return {"removed_steps": list(self.removed_steps), "noise": list(self.noise), **_plain(self.shifts)}

    @property
    def levels(self) -> dict[str, tuple[float, ...]]:
        """The levels of each shift that has any, by name."""
        found = {"removed_steps": self.removed_steps, "noise": self.noise, **self.shifts}
        return {name: levels for name, levels in found.items() if levels}


@dataclass(frozen=True)
class Run:
    """One fit, or one measurement of cost: everything that determines its result, except the data.

    Attributes:
        kind: "fit" searches, trains and scores; "cost" measures time and memory.
        task: name of a task, mapping that describes a user's table, or user-defined task.
        model: a key of `liquidbench.models.MODELS`, or a user-defined model.
        variant: "matched" for the study's size and a search; "author" for a published size and learning rate, with
            `matching` "" and `parameters` None.
        seed: seed of initial values, order of the data, and the draws of the run's own search.
        fold: number of the task's outer split; 0 is the official one.
        matching: a key of `MATCHINGS`: the quantity that is equal for all models.
        parameters: budget of trained parameters, or None; for other matchings, see `liquidbench.matching`.
        training: see `Training`.
        search: see `Search`.
        tuned: seed and fold of the search that chooses its settings; its own, except in mode "cheap".
        robustness: see `Robustness`.
        device: one of `DEVICES`.
        version: the version of liquidbench that does it; "" in studies of versions that did not record theirs.
    """

    kind: Literal["fit", "cost"]
    task: str | Mapping[str, Any] | UserCode = field(hash=False)
    model: str | UserModel
    variant: Literal["matched", "author"]
    seed: int
    fold: int
    matching: str
    parameters: int | None
    training: Training
    search: Search
    tuned: tuple[int, int]
    robustness: Robustness
    device: str = "cpu"
    version: str = ""

    def __hash__(self) -> int:
        # A mapping has none; without the task's name, the runs of all tasks would share one.
        return hash((self.kind, self.task_name, self.model_name, self.variant, self.seed, self.fold, self.matching))

    @property
    def task_name(self) -> str:
        """The task's name in results and reports."""
        return task_name(self.task)

    @property
    def objective(self) -> str:
        """What is minimised: a name in `liquidbench.objectives.OBJECTIVES`, perhaps with a strength."""
        assert isinstance(self.training.objective, str)
        return self.training.objective

    @property
    def model_name(self) -> str:
        """The model's name in results and reports, such as "GRU", or "GRU+vrex" with an objective of its own."""
        return trained_name(self.model, self.objective)

    @property
    def steps(self) -> int:
        """Largest number of steps of each training.

        Raises:
            ValueError: if the study is from an earlier version and counts epochs.
        """
        if not isinstance(self.training.steps, int):
            raise ValueError(
                f"training.steps must be the number of optimiser steps of each training; this study counts epochs "
                f"(training.epochs: {self.training.epochs}), as earlier versions did; such results can only be read. "
                "Replace training.epochs by training.steps, or leave it out for each task's default, and "
                "give the study another name"
            )
        return self.training.steps

    @property
    def searches(self) -> bool:
        """Whether the run has its own search."""
        return self.variant == "matched" and self.tuned == (self.seed, self.fold)

    def id(self, data_digest: str) -> str:
        """The run's id in the results: 16 hexadecimal digits.

        It depends on the run's content, the version of liquidbench included, the digest of the data and
        `RESULTS_FORMAT`, but not on the order of keys or the path of a user's table. User-defined code is included by
        its checksum, so another version of the code gives other runs. Fields that were added later are left out if they
        have their default, so that earlier results are found.

        Args:
            data_digest: the task's ``data_digest``.

        Returns:
            The first 16 digits of a SHA-256.
        """
        return self._digest(data_digest)

    def columns(self, data_digest: str) -> dict[str, Any]:
        """The columns that identify the run in each row of its results.

        Args:
            data_digest: the task's ``data_digest``.
        """
        return {
            "run": self.id(data_digest),
            "task": self.task_name,
            "model": self.model_name,
            "variant": self.variant,
            "seed": self.seed,
            "fold": self.fold,
            "matching": self.matching,
            "search": self.search.label if self.variant == "matched" else "",
            "kind": self.kind,
        }

    def search_id(self, data_digest: str) -> str:
        """The id of the search that chooses the run's settings: 16 hexadecimal digits.

        It depends only on what influences a search, so several runs may share one. It does not depend on the number of
        trials, so that a search can be continued with more.

        Args:
            data_digest: the task's ``data_digest``.
        """
        # Of a search, the cap is what trials, mode and minutes mean to it.
        search = {"cap": self.search.cap, **_content(self.search, always=())}
        shared = {"kind": "search", "seed": self.tuned[0], "fold": self.tuned[1], "robustness": None, "search": search}
        return self._digest(data_digest, **shared)

    def _digest(self, data_digest: str, **changes: Any) -> str:
        content = _content(self)
        if isinstance(self.task, Mapping):
            options = {key: value for key, value in self.task.items() if key != "table"}
            content["task"] = {**options, "name": self.task_name}
        content |= {**changes, "data": data_digest, "format": RESULTS_FORMAT}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_content)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


_ALWAYS: Mapping[type, tuple[str, ...]] = {
    Run: (
        *("kind", "task", "model", "variant", "seed", "fold", "matching", "parameters", "training", "search", "tuned"),
        "robustness",
    ),
    Training: ("epochs", "batch_size"),
    Search: ("trials", "mode", "minutes"),
    Robustness: ("removed_steps", "noise"),
    # Family and publication of a model do not influence results.
    UserModel: ("code", "name", "checksum"),
    UserCode: ("code", "name", "checksum"),
}
"""The fields that are always part of an id. Never add a new field here."""

_NEVER: Mapping[type, tuple[str, ...]] = {UserModel: ("family", "author")}
"""Fields that are never part of an id, as they do not influence results."""


def _content(part: Any, always: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The part of an id for a run or one of its parts: fields in `_ALWAYS`, and others that are not at their default.

    Args:
        part: a `Run`, or a part of one.
        always: of its fields in `_ALWAYS`, those to name; None for all of them.
    """
    first = next(kind for kind in type(part).__mro__ if kind in _ALWAYS)
    named = _ALWAYS[first] if always is None else always
    content = {name: getattr(part, name) for name in named}
    for one in fields(part):
        if one.name in (*_ALWAYS[first], *_NEVER.get(first, ())):
            continue
        default = one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
        value = getattr(part, one.name)
        if value != default:
            content[one.name] = value
    return content


@dataclass(frozen=True)
class Study:
    """A question and the runs that answer it.

    Attributes:
        name: the study's name and that of its folder of results.
        tasks: names of tasks, perhaps with a condition (``task@condition``, see `liquidbench.conditions`; the task
            itself must be there too), mappings with a key ``table`` for a user's own, or ``package.module:name`` of a
            task that a user has written.
        models: keys of `liquidbench.models.MODELS`, or ``package.module:name`` of a user's own. What is given so, or as
            a mapping with a key ``code``, becomes an `UserCode` with the checksum of its code.
        question: what the study asks, in one sentence.
        parameters: budget of trained parameters for the whole model; sizes are chosen within 5 % of it.
        matching: keys of `MATCHINGS`, by each of which all models run; verdicts are those of the first. For compute
            and state the budget is what a GRU of so many parameters has on the task.
        seeds: the seeds, each with every model. A number ``n`` means 0 to n - 1.
        splits: how many of each task's outer splits, the official one first.
        search: see `Search`.
        training: see `Training`.
        robustness: see `Robustness`.
        author_defaults: whether models whose size and learning rate were published also run with these, in rows of
            their own that no verdict counts.
        smallest_difference: a difference below it does not matter; in the metric's unit for bounded scores,
            as a fraction of the recurrent networks' score for errors (see `liquidbench.statistics.compare`).
        device: one of `DEVICES`, on which everything is trained and measured.
        version: the version of liquidbench that does the runs; by default this one. Another version may train
            differently, so it does not add runs to the study.

    Example:
        >>> study = Study.parse({"name": "try", "tasks": ["occupancy"], "models": ["CfC", "GRU"], "seeds": 2})
        >>> [(run.model, run.seed) for run in study.runs() if run.kind == "fit"]
        [('CfC', 0), ('CfC', 1), ('GRU', 0), ('GRU', 1)]
    """

    name: str
    tasks: tuple[str | Mapping[str, Any] | UserCode, ...] = field(hash=False)
    models: tuple[str | UserModel, ...]
    question: str = ""
    parameters: int = 4000
    matching: tuple[str, ...] = ("parameters",)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    splits: int = 1
    search: Search = field(default_factory=Search)
    training: Training = field(default_factory=Training)
    robustness: Robustness = field(default_factory=Robustness)
    author_defaults: bool = False
    smallest_difference: float = 0.01
    device: str = "cpu"
    version: str = __version__

    def __post_init__(self) -> None:
        _text("name", self.name)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(
                "name must begin with a letter or digit, followed by letters, digits, '.', '_' or '-', "
                f"since it names a folder; got {_shown(self.name)}"
            )
        if len(self.name) > _LONGEST_NAME:
            raise ValueError(
                f"name must have at most {_LONGEST_NAME} characters, since it names a folder; got {len(self.name)}: "
                f"{_shown(self.name)}"
            )
        if not isinstance(self.question, str) or not self.question.isprintable():
            raise ValueError(f"question must be one line of text; got {_shown(self.question)}")
        _set(self, "tasks", _tasks(self.tasks))
        _set(self, "models", _models(self.models))
        _set(self, "parameters", _whole("parameters", self.parameters, at_least=1))
        _set(self, "matching", _names("matching", self.matching, MATCHINGS))
        _set(self, "seeds", _seeds(self.seeds))
        _set(self, "splits", _whole("splits", self.splits, at_least=1))
        if self.training.epochs is None and not isinstance(self.training.steps, int):
            names = map(task_name, self.tasks)
            _set(self, "training", replace(self.training, steps={name: self.training.on(name).steps for name in names}))
        if self.training.encoder == "shared" and self.search.selection == "environments":
            raise ValueError(
                "training.encoder must be 'own' where search.selection is 'environments'; got 'shared', an encoder "
                "that has seen all environments"
            )
        if not isinstance(self.author_defaults, bool):
            raise ValueError(f"author_defaults must be true or false; got {_shown(self.author_defaults)}")
        _set(self, "smallest_difference", _number("smallest_difference", self.smallest_difference, at_least=0))
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}; got {_shown(self.device)}")
        if not isinstance(self.version, str):
            raise ValueError(f"version must be text, such as {__version__!r}; got {_shown(self.version)}: quote it")
        variants = sum(len(self._variants(model)) for model in self.models)
        fits = len(self.tasks) * variants * self.splits * len(self.seeds) * len(self.training.objectives)
        if fits > MOST_RUNS:
            raise ValueError(
                f"a study may have {MOST_RUNS:,} fits; these tasks, models, objectives, matchings, splits and seeds "
                f"make {fits:,}. Take fewer seeds, or make several studies"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str], version: str = __version__) -> Self:
        """Read a study from a YAML file.

        Args:
            path: the file. A relative ``table`` in it is relative to the file's folder.
            version: the study's version if the file names none.

        Returns:
            The study.

        Raises:
            FileNotFoundError: where there is no such file.
            ValueError: if the file is not valid YAML or not a study; the message begins with the path.
        """
        path, text = regular(Path(path), "a study's YAML file"), ""
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path}: a study has at most {_MOST_BYTES:,} bytes, but this file is larger")
        try:
            text = path.read_text(encoding="utf-8-sig")
            content = yaml.load(text, _Loader)  # noqa: S506
            study = cls.parse({"version": version, **content} if isinstance(content, dict) else content)
        except yaml.MarkedYAMLError as error:
            line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
            raise ValueError(f"{path}: {line}{error.problem or error}: this is not valid YAML") from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise ValueError(
                f"{path}: line {line} has a control character ({error.character:#04x}), which YAML does not allow; "
                "remove it, or save the study as text in UTF-8"
            ) from error
        except UnicodeDecodeError as error:
            line, byte = error.object[: error.start].count(b"\n") + 1, error.object[error.start]
            raise ValueError(
                f"{path}: line {line} has a byte ({byte:#04x}) that is not valid UTF-8; save the study as text in UTF-8"
            ) from error
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: {error}") from error
        except OSError as error:
            if error.filename is not None:
                raise
            raise ValueError(f"{path}: the disk cannot read it ({error.strerror}); give another copy") from error
        folder = path.resolve().parent
        placed = [
            {**task, "table": str(folder / Path(task["table"]).expanduser())} if isinstance(task, Mapping) else task
            for task in study.tasks
        ]
        return replace(study, tasks=tuple(placed))

    @classmethod
    def parse(cls, mapping: Mapping[str, Any]) -> Self:
        """Create a study from the content of a YAML file.

        Args:
            mapping: keys are the attributes of `Study`; ``search`` and ``training`` are mappings of their attributes,
                ``robustness`` is one of shifts to their levels.

        Returns:
            The study.

        Raises:
            ValueError: if a key is unknown, missing or invalid; the message has the key and what is allowed.
        """
        _check_keys("a study", mapping, cls)
        values = dict(mapping)
        for key, part in (("search", Search), ("training", Training)):
            if key in values:
                _check_keys(key, values[key], part)
                values[key] = part(**values[key])
        if "robustness" in values:
            values["robustness"] = Robustness.parse(values["robustness"])
        study = cls(**values)
        names = [task_name(task) for task in study.tasks]
        for index, (base, condition) in enumerate(map(parted, names)):
            if condition and base not in names:
                raise ValueError(
                    f"tasks[{index}] is {base!r} under a condition, and {base!r} must be there too: verdicts count no "
                    f"conditioned task; got {_shown(names[index])}"
                )
        asked = getattr(values.get("training"), "steps", None)
        for name in asked if isinstance(asked, Mapping) else ():
            _known("a task of training.steps", name, names)
        return study

    def to_yaml(self) -> str:
        """The study as YAML; parsing it gives an equal study."""
        content = asdict(self) | {"robustness": self.robustness.to_mapping()}
        if self.training.objective == objectives.DEFAULT:
            # Files of versions that had no other objective stay the same.
            del content["training"]["objective"]
        if self.training.encoder == "own":
            del content["training"]["encoder"]
        if self.search.selection == "validation":
            del content["search"]["selection"]
        if self.search.learning_rates == LEARNING_RATES:
            del content["search"]["learning_rates"]
        return _dumped(_plain(content))

    @property
    def model_names(self) -> list[str]:
        """The models' names in results and reports."""
        return [trained_name(model, one) for model in self.models for one in self.training.objectives]

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tasks that are users' tables."""
        return frozenset(task_name(task) for task in self.tasks if isinstance(task, Mapping))

    @property
    def families(self) -> dict[str, Family]:
        """The family of each model by its name, those that come with the package included."""
        known = families(self.models)
        for model in self.models:
            known.update({trained_name(model, one): family_of(model) for one in self.training.objectives})
        return known

    @property
    def authors(self) -> dict[str, str]:
        """Where sizes and learning rates of its models were published, by name; without those that have none."""
        return {model_name(model): author_of(model) for model in self.models if author_of(model)}

    def runs(self) -> list[Run]:
        """All runs: the fits, task by task and model by model, then the costs, one for each model and task."""
        first = (self.seeds[0], 0)
        fits = [
            Run(
                kind="fit",
                task=task,
                model=model,
                variant=variant,
                seed=seed,
                fold=fold,
                matching=matching,
                parameters=self.parameters if variant == "matched" else None,
                training=replace(self.training.on(task_name(task)), objective=objective),
                # What is published is not drawn, but has the time of a whole search.
                search=self.search if variant == "matched" else Search(trials=1, minutes=self.search.minutes),
                tuned=first if variant == "matched" and self.search.mode == "cheap" else (seed, fold),
                robustness=self.robustness,
                device=self.device,
                version=self.version,
            )
            for task in self.tasks
            for model in self.models
            for objective in self.training.objectives
            for variant, matching in self._variants(model)
            # What is published was trained with the mean loss.
            if variant == "matched" or objective == objectives.DEFAULT
            for fold in range(self.splits)
            for seed in self.seeds
        ]
        # Cost depends on no seed; its run carries the first, so that it is the same model as the first fit. It is that
        # of the mean loss: the network is the same with any objective.
        measured = [run for run in fits if (run.seed, run.fold) == first and run.objective == objectives.DEFAULT]
        return fits + [replace(run, kind="cost", robustness=Robustness()) for run in measured]

    def turn(self, run: Run) -> tuple[int, ...]:
        """Sort key of a run: seed by seed, so that an interrupted study has all models with the same seeds."""
        matching = self.matching.index(run.matching) if run.matching else 0
        return run.kind == "cost", matching, run.variant == "author", run.fold, self.seeds.index(run.seed)

    def _variants(self, model: str | UserModel) -> list[tuple[Literal["matched", "author"], str]]:
        variants: list[tuple[Literal["matched", "author"], str]] = [("matched", matching) for matching in self.matching]
        return [*variants, ("author", "")] if self.author_defaults and author_of(model) else variants


def trained_name(model: str | UserModel, objective: str) -> str:
    """What results and reports call a model that was trained with an objective.

    Example:
        >>> trained_name("GRU", "erm"), trained_name("GRU", "vrex=10")
        ('GRU', 'GRU+vrex=10')
    """
    return model_name(model) if objective == objectives.DEFAULT else f"{model_name(model)}+{objective}"


def task_name(task: str | Mapping[str, Any] | UserCode) -> str:
    """A task's name in results and reports.

    Args:
        task: a task's name, a mapping with ``table`` and perhaps ``name``, or a user's own.

    Returns:
        The name; for a table without one, its file's name without the ending.
    """
    if isinstance(task, str):
        return task
    if isinstance(task, UserCode):
        return task.name
    return str(task["name"]) if "name" in task else Path(task["table"]).stem


def normal(text: str) -> tuple[tuple[str, ...], str]:
    """The keys of a YAML mapping, and the mapping in the form of `Study.to_yaml`; empty if it is not a mapping."""
    try:
        content = yaml.load(text, _Loader)  # noqa: S506
    except (ValueError, yaml.YAMLError):
        return (), ""
    return (tuple(content), _dumped(content)) if isinstance(content, dict) else ((), "")


def _dumped(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads 1e-3 as a number, refuses duplicate keys, and limits nesting and the size of anchors."""

    def __init__(self, stream: str):
        super().__init__(stream)
        self._depth = 0
        # Number of nodes in each node; an anchor counts as often as it is used.
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        line, anchor = self.peek_event().start_mark.line + 1, self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"line {line}: lists and mappings are nested more than {_DEEPEST} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None or node in self._sizes:
            return node
        if anchor:
            raise ValueError(f"line {line}: an anchor contains itself")
        if isinstance(node, yaml.CollectionNode):
            inside = [one for entry in node.value for one in (entry if isinstance(entry, tuple) else (entry,))]
            size = 1 + sum(self._sizes[one] for one in inside)
        else:
            size = 1
        if size > _MOST_NODES:
            raise ValueError(f"line {line}: with anchors expanded, there are more than {_MOST_NODES:,} entries")
        self._sizes[node] = size
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(node.value)
        if len(text) > 100:
            line = node.start_mark.line + 1
            raise ValueError(
                f"line {line}: {text[:20]}... is a whole number of {len(text)} digits, too many for any setting"
            )
        # In YAML 1.1, 010 is 8 and 1:30 is 90, which is hardly ever meant.
        if re.match(r"[-+]?0[0-7_]+$", text) or ":" in text:
            line = node.start_mark.line + 1
            raise ValueError(
                f"line {line}: YAML reads {text} as {super().construct_yaml_int(node)}; write the number without "
                f"leading zeros and colons, or {text!r} for text"
            )
        return super().construct_yaml_int(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ValueError(f"the key {key.value!r} is given twice, again in line {line}; keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """YAML that quotes text which the loader would read as a number."""


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)

for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


def _check_keys(where: str, mapping: Any, part: type[Study] | type[Search] | type[Training]) -> None:
    allowed = [entry.name for entry in fields(part)]
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where} must be a mapping with keys among {', '.join(allowed)}; got {_shown(mapping)}")
    for key in mapping:
        if key not in allowed:
            raise ValueError(f"{where} has no key {key!r}{_nearest(key, allowed)}; allowed are {', '.join(allowed)}")
    if part is Study:
        for key in ("name", "tasks", "models"):
            if key not in mapping:
                raise ValueError(f"{where} needs the key {key!r}; got {', '.join(mapping) or 'no keys'}")


def _nearest(word: object, allowed: Iterable[str]) -> str:
    close = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(str(word).lower(), close, n=1)
    return f" (did you mean {close[found[0]]!r}?)" if found else ""


def _tasks(tasks: Any) -> tuple[str | Mapping[str, Any] | UserCode, ...]:
    entries = _list("tasks", tasks, "names, or mappings with a table")
    for index, task in enumerate(entries):
        where = f"tasks[{index}]"
        if isinstance(task, UserCode):
            continue
        if is_code(task) or (isinstance(task, Mapping) and "code" in task):
            entries[index] = _own(where, task, ("name",), _found_task, UserCode)
        elif isinstance(task, Mapping):
            for key in task:
                _text(f"a key of {where}", key)
            if "table" not in task:
                close = _nearest("table", task)
                raise ValueError(
                    f"{where} must have the key 'table', the path of a file, as it is a mapping; got the "
                    f"keys {', '.join(task) or '(none)'}{close}"
                )
            _text(f"{where}.table", task["table"])
            if "name" in task:
                _text(f"{where}.name", task["name"])
            try:
                json.dumps(task, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{where} may hold text, finite numbers, true, false, null, lists and mappings; quote "
                    f"text that YAML reads as something else, such as a date ({error})"
                ) from error
        elif not isinstance(task, str) or not task.strip():
            raise ValueError(f"{where} must be a name, or a mapping with a table; got {_shown(task)}")
    names = [task_name(task) for task in entries]
    _distinct("tasks", names, "give one of the tables another 'name'")
    for index, (name, task) in enumerate(zip(names, entries, strict=True)):
        if parted(name)[1] and not isinstance(task, str):
            raise ValueError(
                f"tasks[{index}] must have another name than {name!r}: only built-in tasks have conditions"
            )
    return tuple(dict(task) if isinstance(task, Mapping) else task for task in entries)


def _models(models: Any) -> tuple[str | UserModel, ...]:
    entries = _list("models", models, f"names among {', '.join(MODELS)}, or package.module:name of your own")
    for index, model in enumerate(entries):
        where = f"models[{index}]"
        if isinstance(model, UserModel):
            continue
        if is_code(model) or isinstance(model, Mapping):
            entries[index] = _own(where, model, ("name", "family"), UserModel.from_code, UserModel)
        else:
            _known(where, model, MODELS)
    # Names become folders, and not every system tells capitals apart.
    names = [model_name(model) for model in entries]
    _distinct("models", names, _APART)
    _distinct("models", [name.lower() for name in names], _APART)
    return tuple(entries)


_APART = "name each once; give one of your own another name with {code: package.module:NAME, name: ANOTHER}"


def _own(where: str, entry: Any, besides: tuple[str, ...], found: Callable[..., UserCode], kind: type[UserCode]) -> Any:
    """A user's own model or task: as it is now, or, where the entry has a checksum, as a study was planned with it."""
    entry = {"code": entry} if isinstance(entry, str) else entry
    kept = entry.get("checksum", "") != ""
    allowed = [one.name for one in fields(kind)] if kept else ["code", *besides]
    for key in entry:
        if key not in allowed:
            raise ValueError(
                f"{where} has no key {_shown(key)}{_nearest(key, allowed)}; allowed are {', '.join(allowed)}"
            )
    try:
        if "code" not in entry:
            raise CodeError(f"a mapping needs the key 'code'; got {', '.join(map(str, entry)) or 'no keys'}")
        return kind(**entry) if kept else found(**entry)
    except CodeError as error:
        raise CodeError(f"{where}: {error}") from error


def _found_task(code: str, name: str = "") -> UserCode:
    return UserCode(code, name, checksum(code))


def _names(what: str, names: Any, known: Collection[str]) -> tuple[str, ...]:
    entries = _list(what, names, f"names among {', '.join(known)}")
    for index, name in enumerate(entries):
        _known(f"{what}[{index}]", name, known)
    _distinct(what, entries, "name each once")
    return tuple(entries)


def _known(where: str, name: Any, known: Collection[str]) -> None:
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{where} must be one of {', '.join(known)}; got {_shown(name)}{_nearest(name, known)}")


def _seeds(seeds: Any) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return tuple(range(_whole("seeds", seeds, at_least=1)))
    if isinstance(seeds, list | tuple) and len(seeds) > _MOST["seeds"]:
        raise ValueError(f"seeds must be at most {_MOST['seeds']:,} numbers; got {len(seeds):,}")
    entries = [
        _whole(f"seeds[{index}]", seed, at_least=0, at_most=_LARGEST_SEED)
        for index, seed in enumerate(_list("seeds", seeds, "whole numbers, or one number of seeds"))
    ]
    _distinct("seeds", entries, "a seed twice is the same run twice")
    return tuple(entries)


def _levels(name: Any, values: Any) -> tuple[float, ...]:
    """Levels of a shift; its default ones for True."""
    try:
        shift = find(name)
    except (ValueError, AttributeError) as error:
        near = _nearest(name, [*SHIFTS, *WORLDS])
        raise ValueError(f"robustness has no key {name!r}{near}; allowed are {KNOWN}") from error
    if values is True:
        return shift.levels
    where = f"robustness.{name}"
    entries = _list(where, values, "numbers, or true for its default levels", may_be_empty=True)
    levels = [_number(f"{where}[{index}]", value, **shift.limits) for index, value in enumerate(entries)]
    _distinct(where, levels, "name each once")
    return tuple(levels)


def _list(name: str, values: Any, of: str, may_be_empty: bool = False) -> list[Any]:
    if not isinstance(values, list | tuple) or not (values or may_be_empty):
        raise ValueError(f"{name} must be a list of {of}; got {_shown(values)}")
    return list(values)


def _distinct(name: str, values: Collection[Any], remedy: str) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name} must be distinct; {value!r} occurs twice: {remedy}")
        seen.add(value)


def _whole(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    at_most = _MOST[name] if at_most is None else at_most
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}; got {_shown(value)}")
    if value > at_most:
        raise ValueError(f"{name} must be at most {at_most:,}; got {_shown(value)}")
    return value


def _number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    limits = {"above": above, "at least": at_least, "below": below, "at most": at_most}
    words = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -sys.float_info.max <= value <= sys.float_info.max
        or (above is not None and not value > above)
        or (at_least is not None and not value >= at_least)
        or (below is not None and not value < below)
        or (at_most is not None and not value <= at_most)
    ):
        raise ValueError(f"{name} must be a finite number {words}; got {_shown(value)}")
    return float(value)


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be text; got {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except ValueError:
        # Python writes no whole number of more than some thousand digits.
        text = f"a number of about {int(math.log10(abs(value)))} digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _plain(value: Any) -> Any:
    """Tuples as lists, which YAML can write."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _set(part: Study | Search | Training | Robustness, name: str, value: Any) -> None:
    object.__setattr__(part, name, value)
