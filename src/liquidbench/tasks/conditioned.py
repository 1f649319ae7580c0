"""Computes the conditions of `liquidbench.conditions`: a task that tells its models something else about elapsed time.

Sequences are changed after they have been cut, all splits alike. What is drawn depends only on the data and on a
sequence's first raw row: it is the same for all models and all conditions, and in every split, fold and order of
sequences. Targets stay as they are. Where samples are dropped and each step has a target, only steps that remain are
scored; which these are does not depend on what models are told.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liquidbench import conditions
from liquidbench.conditions import DROPPED
from liquidbench.facts import Feature
from liquidbench.tasks.shifted import first_share
from liquidbench.tasks.task import Split, Task, carry_spans
from liquidbench.wording import percent

Transform: TypeAlias = Callable[[Split, NDArray[np.float64]], Split]
"""``transform(split, draws) -> Split``, with a draw from [0, 1) for each step, (sequence, time)."""

VARIES = 0.1
"""Time spans count as equal unless one differs from their median by more than this share of it."""

MARK = Feature("observed", "1")
"""The feature that says which steps are observed."""


def conditioned(task: Task, condition: str) -> Task:
    """A task under a condition.

    Args:
        task: the task, under no condition yet. For "constant" and "shuffled" its training recordings are read, to see
            whether their spans differ.
        condition: a key of `liquidbench.conditions.CONDITIONS`.

    Returns:
        A task with a name, title, description and digest of its own, of which no split has been built yet. It has the
        same folds.

    Raises:
        ValueError: for an unknown condition, or one that cannot change anything on the task.

    Example:
        >>> conditioned(task, "shuffled").name  # doctest: +SKIP
        'gesture@shuffled'
    """
    found = conditions.find(condition)
    name = conditions.named(task.name, found.name)
    if task.conditioned is not None:
        raise ValueError(f"task {name!r}: {task.name} has a condition already, and there is one at most")
    if task.rollout is not None:
        raise ValueError(f"task {name!r}: {task.name} is measured in a closed loop, which a condition does not change")
    if not found.drops and _evenly_spaced(task):
        dropping = ", ".join(one.name for one in conditions.CONDITIONS.values() if one.drops)
        raise ValueError(
            f"task {name!r}: all spans of {task.name} are equal, within {percent(VARIES)} of their median, so "
            f"{found.name} spans say the same; take a condition that drops samples: {dropping}"
        )
    seed = int(hashlib.sha256(task.data_digest.encode()).hexdigest()[:16], 16)
    marked = found.name == "dropped-span-mask"
    scored = " Only steps that remain are scored." if task.per == "step" else ""
    features = (*task.measured, *[MARK] * marked, *task.features[len(task.measured) :])
    if marked and MARK.name in {feature.name for feature in task.features}:
        raise ValueError(f"task {name!r}: {task.name} has a feature {MARK.name!r} already, which the mask would be")
    return replace(
        task,
        name=name,
        title=f"{task.title}, {found.title}",
        description=f"{task.description} {found.words}",
        split_rule=f"{task.split_rule} After splitting: {found.words}{scored}" if found.drops else task.split_rule,
        features=features,
        irregular=_IRREGULAR.get(found.name, task.irregular),
        marked=marked,
        conditioned=partial(_changed, _TRANSFORMS[found.name], seed),
        data_digest=hashlib.sha256(f"{task.data_digest} {found.key}".encode()).hexdigest(),
    )


def _evenly_spaced(task: Task) -> bool:
    """Whether the steps of training that have an observation follow each other at equal spans."""
    recordings = task.recordings("train")
    spans = np.concatenate([np.diff(one.times[one.observed.any(axis=1)]) for one in recordings])
    median = np.median(spans) if len(spans) else 0.0
    return bool((np.abs(spans - median) <= VARIES * median).all())


def _changed(transform: Transform, seed: int, split: Split) -> Split:
    steps = split.rows.shape[1]
    first_rows = (int(row) % 2**63 for row in split.rows[:, 0])
    return transform(split, np.stack([np.random.default_rng([seed, row]).random(steps) for row in first_rows]))


def _constant(split: Split, draws: NDArray[np.float64]) -> Split:
    """Every span is 1: what the first step of a sequence counts as, and what layers assume if they are not told."""
    return replace(split, timespans=np.any(split.mask, axis=2).astype(split.timespans.dtype))


def _shuffled(split: Split, draws: NDArray[np.float64]) -> Split:
    """The spans of a sequence in another order, but for the first, before which there is no sample."""
    present = np.any(split.mask, axis=2)
    moved = present & (np.cumsum(present, axis=1) > 1)
    # Both come first in their rows, the places in order and the spans in a random order.
    places = np.argsort(~moved, axis=1, kind="stable")
    drawn = np.take_along_axis(split.timespans, np.argsort(np.where(moved, draws, np.inf), axis=1), axis=1)
    spans = np.empty_like(split.timespans)
    np.put_along_axis(spans, places, drawn, axis=1)
    return replace(split, timespans=np.where(moved, spans, split.timespans))


def _dropped_untold(split: Split, draws: NDArray[np.float64]) -> Split:
    """Only what remains, as if the samples had followed each other."""
    return _constant(_dropped_span(split, draws), draws)


def _dropped_span(split: Split, draws: NDArray[np.float64]) -> Split:
    """Only what remains, each with the time since the sample before that remains."""
    kept = _kept(split, draws)
    longest = max(int(kept.sum(axis=1).max()), 1)
    places = np.argsort(~kept, axis=1, kind="stable")[:, :longest]
    there = np.take_along_axis(kept, places, axis=1)

    def closed_up(part: NDArray, empty: int = 0) -> NDArray:
        """The steps that remain, one after another, and then padding."""
        wide = (slice(None), slice(None), *[None] * (part.ndim - 2))
        return np.where(there[wide], np.take_along_axis(part, places[wide], axis=1), part.dtype.type(empty))

    split = replace(
        split,
        values=closed_up(split.values),
        timespans=closed_up(carry_spans(split.timespans, kept)),
        mask=closed_up(split.mask),
        rows=closed_up(split.rows, empty=-1),
    )
    if split.environments is not None and split.environments.ndim > 1:
        split = replace(split, environments=closed_up(split.environments))
    if split.target_mask.ndim < 2:
        return split
    return _scored(replace(split, targets=closed_up(split.targets)), closed_up(split.target_mask))


def _dropped_span_mask(split: Split, draws: NDArray[np.float64]) -> Split:
    """All steps in their places, those that are dropped without values, and one more feature that says which these are.

    It is observed at each of them, so that layers, which skip steps without any observation, read them too.
    """
    kept, present = _kept(split, draws), np.any(split.mask, axis=2)
    place = split.values.shape[2] - split.time_ahead
    observed = split.mask & kept[:, :, None]
    # The time ahead is part of the question, so it is told at dropped steps as well.
    observed[:, :, place:] = split.mask[:, :, place:]
    # As it would be standardised: 1 where observed, which is its mean, and 0 where not.
    mark = np.where(present & ~kept, np.float32(-1), np.float32(0))
    changed = replace(
        split,
        values=np.insert(np.where(observed, split.values, np.float32(0)), place, mark, axis=2),
        mask=np.insert(observed, place, present, axis=2),
    )
    return changed if split.target_mask.ndim < 2 else _scored(changed, split.target_mask & kept)


_TRANSFORMS: Mapping[str, Transform] = {
    "constant": _constant,
    "shuffled": _shuffled,
    "dropped-untold": _dropped_untold,
    "dropped-span": _dropped_span,
    "dropped-span-mask": _dropped_span_mask,
}
_IRREGULAR: Mapping[str, bool] = {"constant": False, "dropped-untold": False, "dropped-span": True}
"""Whether spans vary under a condition, where it decides that."""


def _kept(split: Split, draws: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The steps that remain: of those with an observation, all but a share that is drawn; (sequence, time)."""
    present = np.any(split.mask, axis=2)
    return present & ~first_share(draws, present, DROPPED)


def _scored(split: Split, target_mask: NDArray[np.bool_]) -> Split:
    """The split with fewer scored steps; targets of others are 0, as everywhere."""
    known = target_mask[..., None] if split.targets.ndim > target_mask.ndim else target_mask
    return replace(split, target_mask=target_mask, targets=np.where(known, split.targets, split.targets.dtype.type(0)))
