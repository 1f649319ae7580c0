"""Corrupts a split, to test the robustness of a trained model.

The same seed corrupts the same places for every model, and a larger fraction removes a superset of the steps that a
smaller one removes.
"""

from dataclasses import replace

import numpy as np

from liquidbench.tasks.task import Split, carry_spans


def remove_steps(split: Split, fraction: float, seed: int) -> Split:
    """Remove steps, as if a sensor reported less often.

    Removed steps are marked as missing in the mask, and their time span is added to that of the next remaining step, so
    that nothing else about the sequence changes.

    Args:
        split: the sequences.
        fraction: share of each sequence's observed steps to remove, at least 0 and below 1, rounded to whole steps. At
            least one step of each sequence remains.
        seed: chooses the steps.

    Returns:
        A split of the same shape. Removed steps have no observed value, value 0 and time span 0, and are not scored if
        targets are per step.

    Raises:
        ValueError: for a fraction outside [0, 1).

    Example:
        >>> thinned = remove_steps(task.split("test"), fraction=0.3, seed=0)  # doctest: +SKIP
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be at least 0 and below 1; got {fraction}")
    present = split.mask.any(axis=2)
    order = np.random.default_rng(seed).random(present.shape)
    order[~present] = np.inf
    rank = order.argsort(axis=1).argsort(axis=1)
    counts = present.sum(axis=1, keepdims=True)
    removed = present & (rank < np.minimum(np.round(fraction * counts), counts - 1))
    kept = present & ~removed
    mask = split.mask & kept[:, :, None]
    return replace(
        split,
        values=np.where(mask, split.values, np.float32(0)),
        timespans=carry_spans(split.timespans, kept),
        mask=mask,
        target_mask=split.target_mask & ~removed if split.target_mask.ndim == 2 else split.target_mask,
    )


def add_noise(split: Split, deviation: float, seed: int) -> Split:
    """Add Gaussian noise to the observed values, but for the time ahead, which no sensor measures.

    Args:
        split: the sequences.
        deviation: standard deviation of the noise. Values are standardised, so 1 is the standard deviation of a feature
            in the training data.
        seed: chooses the noise; another deviation scales the same noise.

    Returns:
        A split that differs only in its observed values.

    Raises:
        ValueError: for a negative or infinite deviation.
    """
    if not 0 <= deviation < np.inf:
        raise ValueError(f"deviation must be finite and not negative; got {deviation}")
    noise = np.random.default_rng(seed).standard_normal(split.values.shape, dtype=np.float32)
    if split.time_ahead:
        noise[..., -1] = 0
    return replace(split, values=np.where(split.mask, split.values + np.float32(deviation) * noise, split.values))
