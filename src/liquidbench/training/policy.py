"""A trained network as a policy in a task's closed loop, with NumPy arrays in the task's units."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from liquidbench.networks import SequenceModel
from liquidbench.tasks.task import Policy, Rollout, Task
from liquidrnn import Stream


class NetworkPolicy:
    """A policy that gives one observation after another to a network and returns its predictions.

    It standardises observations and time spans for the network, and converts predictions back to the task's units.

    Args:
        model: a network trained on the task.
        task: the task, whose scalers and time unit are used.

    Example:
        >>> policy = NetworkPolicy(model, task)  # doctest: +SKIP
        >>> policy.reset()  # doctest: +SKIP
        >>> force = policy(np.array([0.1, 0.0]), timespan=0.02)  # doctest: +SKIP
    """

    def __init__(self, model: SequenceModel, task: Task):
        self._task, self._head, self._mask, self._carried = task, model.head, model.mask, list(model.carried)
        self._last = np.zeros(len(task.features))
        model.eval()
        self._stream = Stream(model.layer)
        self._parameter = next(model.parameters())

    def reset(self) -> None:
        """See `liquidbench.tasks.task.Policy`."""
        self._stream.reset()
        self._last[:] = 0.0

    def __call__(
        self, observation: ArrayLike, *, timespan: float | None = None, mask: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """See `liquidbench.tasks.task.Policy`.

        Raises:
            ValueError: if the observation or its mask does not have one entry per feature, an observed feature is not
                finite, the time span is negative or not finite, or only some features are observed although the task
                has ``missing=False``.
        """
        task, size = self._task, (len(self._task.features),)
        values = np.asarray(observation, dtype=np.float64)
        observed = np.ones(size, dtype=bool) if mask is None else np.asarray(mask)
        if values.shape != size or observed.shape != size or observed.dtype != bool:
            raise ValueError(
                f"observation and mask must have shape {size}, one entry for each feature, the mask bool; got shapes "
                f"{values.shape} and {observed.shape} of {observed.dtype}"
            )
        if not np.isfinite(values[observed]).all():
            raise ValueError(f"observation must be finite where it is observed; got {values.tolist()}")
        if not task.missing and observed.any() and not observed.all():
            raise ValueError("mask must be True for all features or for none, as the task has missing=False")
        span = 1.0 if timespan is None else float(timespan) / task.timespan_unit
        if not 0 <= span < math.inf:
            raise ValueError(f"timespan must be finite and not negative; got {timespan}")
        inputs = np.where(observed, task.input_scaler.standardise(np.where(observed, values, 0.0)), 0.0)
        self._last = np.where(observed, inputs, self._last)
        if self._mask == "append":
            inputs = np.concatenate([inputs, observed])
        sample = torch.as_tensor(inputs, dtype=self._parameter.dtype, device=self._parameter.device)
        seen = None
        if not observed.any():
            # Nothing was observed: the stream adds the time span to that of the next sample.
            seen = torch.zeros_like(sample, dtype=torch.bool)
        elif self._mask == "native":
            seen = torch.as_tensor(observed, device=sample.device)
        with torch.no_grad():
            answer = self._head(self._stream(sample, span, seen)).cpu().numpy().astype(np.float64)
        if task.kind == "classification":
            likely = np.exp(answer - answer.max())
            return likely / likely.sum()
        if self._carried:
            answer += self._last[self._carried]
        return answer if task.target_scaler is None else task.target_scaler.restore(answer)


def rollout_seed(task: Task, seed: int, split: str) -> int:
    """The seed of a rollout: the same for all models, different for each study seed, outer split and split."""
    words = np.random.SeedSequence([seed, task.fold, ("validation", "test").index(split)]).generate_state(1)
    return int(words[0])


def measure_policy(task: Task, policy: Policy, seed: int) -> dict[str, tuple[float | None, str | None]]:
    """Run a task's rollout with a policy; return each measurement, or None and the reason why it is missing.

    A rollout is user code: if it raises an exception, that is the reason.

    Args:
        task: a task with a rollout.
        policy: the policy to measure.
        seed: seed of the rollout.
    """
    names = [one.name for one in task.measurements]
    assert task.rollout is not None
    try:
        found = _run_rollout(task.rollout, policy, seed, names)
    except Exception as error:
        return dict.fromkeys(names, (None, f"the rollout failed: {type(error).__name__}: {error}"))
    return {name: _finite(name, found.get(name)) for name in names}


def _run_rollout(rollout: Rollout, policy: Policy, seed: int, names: list[str]) -> Mapping[str, Any]:
    policy.reset()
    found = rollout(policy, seed)
    if not isinstance(found, Mapping):
        raise TypeError(f"it must return a mapping from names to numbers; it returned a {type(found).__name__}")
    if unknown := [name for name in found if name not in names]:
        raise ValueError(f"it measured {', '.join(map(str, unknown))}; the task declares {', '.join(names)}")
    return found


def _finite(name: str, value: Any) -> tuple[float | None, str | None]:
    if value is None:
        return None, f"the rollout gave no {name}"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None, f"the rollout's {name} must be a number; got one of type {type(value).__name__}"
    return (number, None) if math.isfinite(number) else (None, f"the rollout's {name} must be finite; got {number}")
