"""Computes the shifts of `liquidbench.shifts`: a split as it would be if the data had changed.

A seed determines everything that is drawn, at all levels at once: it changes the same places for every model, and a
stronger level changes what a weaker one does, further. Shifts leave targets as they are, keep the values of what is not
observed at 0, and keep time: the span of a step is the time since the step before that has an observation. The time
ahead of a forecast, which no sensor measures, stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liquidbench import shifts
from liquidbench.shifts import SPIKE
from liquidbench.tasks.task import Split, carry_spans

Transform: TypeAlias = Callable[[Split, float, np.random.Generator, bool], Split]
"""``transform(split, level, random, missing) -> Split`` for a level above 0."""

_WAVES = 3
"""Waves in a pace that varies: the slowest has half a period in a sequence, the fastest one and a half."""


def shifted(split: Split, shift: str, level: float, seed: int, missing: bool = False) -> Split:
    """A split after a shift.

    Args:
        split: the sequences.
        shift: a name of `liquidbench.shifts.SHIFTS`, or several joined by "+", applied in this order.
        level: how strong it is, see there; 0 returns the split itself.
        seed: determines what is drawn. Another level changes the same places, or more of them.
        missing: whether single features can be unobserved in the task (`liquidbench.tasks.task.Task.missing`). If not,
            a feature that is lost is read as 0, its mean in training, since models do not read the mask.

    Returns:
        A split with the same targets. Steps that are removed have no observed value, value 0 and time span 0, and are
        not scored if targets are per step. Only label_shift leaves out sequences.

    Raises:
        ValueError: for an unknown shift, a world of closed loops, or a level outside its limits.

    Example:
        >>> noisy = shifted(task.split("test"), "noise", level=0.5, seed=0)  # doctest: +SKIP
    """
    found = shifts.find(shift)
    if found.is_world:
        raise ValueError(
            f"a shift must be among {', '.join(shifts.SHIFTS)}; got {shift!r}, a world of closed loops, which "
            "changes no recorded data"
        )
    if not found.takes(level):
        limits = " and ".join(f"{word.replace('_', ' ')} {limit:g}" for word, limit in found.limits.items())
        raise ValueError(f"level of {shift} must be {limits}; got {level}")
    if not level:
        return split
    if not found.parts:
        return _TRANSFORMS[shift](split, level, np.random.default_rng(seed), missing)
    for place, part in enumerate(found.parts):
        # The first draws what it draws alone; no two parts draw the same numbers.
        random = np.random.default_rng([seed, place] if place else seed)
        split = _TRANSFORMS[part.name](split, level * max(part.levels), random, missing)
    return split


def _noise(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """Gaussian noise of this standard deviation; another level scales the same noise."""
    noise = random.standard_normal(split.values.shape, dtype=np.float32)
    return _added(split, np.float32(level) * noise)


def _impulses(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """A spike, up or down, in this share of the values."""
    hit = random.random(split.values.shape) < level
    return _added(split, np.where(hit, np.float32(SPIKE), np.float32(0)) * _signs(split.values.shape, random))


def _bias(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """The same error at all steps, up or down by feature and sequence."""
    return _added(split, np.float32(level) * _signs(_per_feature(split), random))


def _drift(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """An error that grows with time, from 0 at the first observation of a sequence to this size at the last."""
    growth = np.float32(level) * _elapsed(split).astype(np.float32)[..., None]
    return _added(split, growth * _signs(_per_feature(split), random))


def _amplitude(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """Values that are further from their training mean by this factor, less 1."""
    return _added(split, split.values * np.float32(level))


def _removed_steps(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """This share of each sequence's observed steps, rounded to whole steps, is removed; one remains."""
    present = _present(split)
    return _without_steps(split, first_share(random.random(present.shape), present, level))


def _sampling_rate(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """Of k = 1 + level observed steps the first is kept; if k is not whole, so that one of k is kept on average."""
    present = _present(split)
    number = np.cumsum(present, axis=1) - 1
    kept = np.floor(number / (1 + level)) > np.floor((number - 1) / (1 + level))
    return _without_steps(split, present & ~kept)


def _sensor_dropout(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """This share of the features that a sequence observes, rounded, is lost in the whole sequence; one remains."""
    seen = np.any(split.mask, axis=1) & _measured(split)
    lost = first_share(random.random(seen.shape), seen, level)[:, None, :]
    if missing:
        return _observing(split, split.mask & ~lost)
    return replace(split, values=np.where(lost, np.float32(0), split.values))


def _frequency(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """The same values in less time: all spans are divided by 1 + level."""
    return _paced(split, np.full(split.timespans.shape, 1 / (1 + level)))


def _time_warp(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """The same values at a pace that varies smoothly: spans are multiplied by exp(level · g), g of variance 1."""
    waves = np.arange(1, _WAVES + 1)
    phases = random.random((len(split), 1, _WAVES)) * 2 * np.pi
    pace = np.cos(np.pi * waves * _elapsed(split)[..., None] + phases).sum(axis=2) * np.sqrt(2 / _WAVES)
    return _paced(split, np.exp(level * pace))


def _label_shift(split: Split, level: float, random: np.random.Generator, missing: bool) -> Split:
    """Sequences are left out, so that shares of classes change.

    Classes are put in a random order: the first keeps all its sequences, the last loses this share of them, and those
    between lose shares in proportion to their places. One sequence of each class remains.
    """
    known = np.flatnonzero(split.target_mask)
    classes, place = np.unique(split.targets[known], return_inverse=True)
    shares = level * random.permutation(len(classes)) / max(len(classes) - 1, 1)
    order = random.random(len(split))[known]
    kept = np.ones(len(split), dtype=bool)
    for label, share in enumerate(shares):
        members = (place == label)[None]
        kept[known[first_share(order[None], members, share)[0]]] = False
    return split.only(kept)


_TRANSFORMS: Mapping[str, Transform] = {
    "removed_steps": _removed_steps,
    "noise": _noise,
    "impulses": _impulses,
    "sensor_dropout": _sensor_dropout,
    "bias": _bias,
    "drift": _drift,
    "sampling_rate": _sampling_rate,
    "time_warp": _time_warp,
    "frequency": _frequency,
    "amplitude": _amplitude,
    "label_shift": _label_shift,
}


def _per_feature(split: Split) -> tuple[int, int, int]:
    """Shape of one number for each feature of each sequence."""
    return len(split), 1, split.values.shape[2]


def _signs(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    return np.where(random.random(shape) < 0.5, np.float32(-1), np.float32(1))


def _added(split: Split, error: NDArray[np.float32]) -> Split:
    """The split with an error in each observed value."""
    return replace(split, values=np.where(split.mask & _measured(split), split.values + error, split.values))


def _measured(split: Split) -> NDArray[np.bool_]:
    """Which features are measured, (feature,)."""
    features = np.arange(split.values.shape[2])
    return features < len(features) - split.time_ahead


def first_share(order: NDArray[np.float64], there: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Of what is there, per row, this share that comes first in an order, rounded to whole numbers, but not all.

    Args:
        order: (row, column), the least comes first.
        there: bool (row, column).
        share: from 0 to 1.

    Example:
        >>> first_share(np.array([[0.3, 0.1, 0.2]]), np.array([[True, False, True]]), 0.5)
        array([[False, False,  True]])
    """
    rank = np.where(there, order, np.inf).argsort(axis=1).argsort(axis=1)
    counts = there.sum(axis=1, keepdims=True)
    return there & (rank < np.minimum(np.round(share * counts), counts - 1))


def _without_steps(split: Split, removed: NDArray[np.bool_]) -> Split:
    thinned = _observing(split, split.mask & ~removed[:, :, None])
    if split.target_mask.ndim < 2:
        return thinned
    return replace(thinned, target_mask=split.target_mask & ~removed)


def _observing(split: Split, mask: NDArray[np.bool_]) -> Split:
    """The split with fewer observations; the time of steps that have none now is counted at the next that has one."""
    spans = carry_spans(split.timespans, np.any(mask, axis=2))
    return replace(split, values=np.where(mask, split.values, np.float32(0)), timespans=spans, mask=mask)


def _present(split: Split) -> NDArray[np.bool_]:
    """Where a step has an observation, (sequence, time)."""
    return np.any(split.mask, axis=2)


def _first(split: Split) -> NDArray[np.bool_]:
    """Where a step is the first of its sequence with an observation, (sequence, time)."""
    present = _present(split)
    return present & (np.cumsum(present, axis=1) == 1)


def _elapsed(split: Split) -> NDArray[np.float64]:
    """Time since a sequence's first observation as a share of that until its last, (sequence, time)."""
    first = _first(split)
    times = np.cumsum(np.where(first, 0.0, split.timespans), axis=1, dtype=np.float64)
    return times / np.where(times[:, -1:] > 0, times[:, -1:], 1.0)


def _paced(split: Split, factor: NDArray[np.float64]) -> Split:
    """The split with spans multiplied by a factor.

    The first step of a sequence counts as 1, as nothing is known of the time before it; only what is beyond is time.
    """
    first = _first(split)
    spans = split.timespans.astype(np.float64)
    fixed = np.where(first, np.minimum(spans, 1.0), 0.0)
    return replace(split, timespans=(fixed + (spans - fixed) * factor).astype(split.timespans.dtype))
