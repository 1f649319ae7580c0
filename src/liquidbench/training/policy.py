"""A trained network as a policy in a task's closed loop, with NumPy arrays in the task's units."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

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
        >>> policy.reset(48)  # doctest: +SKIP
        >>> forces = policy(np.zeros((48, 2)), timespan=0.02)  # doctest: +SKIP
    """

    def __init__(self, model: SequenceModel, task: Task):
        self._task, self._model, self._carried = task, model.eval(), list(model.carried)
        self._parameter = next(model.parameters())
        self._episodes: int | None = None
        self._stream = Stream(model.layer)
        self.reset()

    def reset(self, episodes: int | None = None) -> None:
        """See `liquidbench.tasks.task.Policy`."""
        if episodes != self._episodes:
            self._episodes, self._stream = episodes, Stream(self._model.layer, batch=episodes)
        self._stream.reset()
        self._last = np.zeros(self._shape(len(self._task.features)))

    def __call__(
        self,
        observation: ArrayLike,
        *,
        timespan: float | NDArray[np.floating[Any]] | None = None,
        mask: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """See `liquidbench.tasks.task.Policy`.

        Raises:
            ValueError: if the observation or its mask does not have one entry per feature (and episode), an observed
                feature is not finite, a time span is negative or not finite, or only some features are observed
                although the task has ``missing=False``.
        """
        observed = self._observed(mask)
        sample = self._sample(observation, observed)
        span = self._span(timespan)
        if self._model.mask == "append":
            sample = torch.cat([sample, torch.as_tensor(observed, device=sample.device).to(sample.dtype)], -1)
        present, seen = observed.any(-1, keepdims=True), None
        if self._model.mask == "native":
            seen = torch.as_tensor(observed, device=sample.device)
        elif not present.all():
            # Where nothing was observed, the stream adds the time span to that of the next sample.
            seen = torch.as_tensor(np.broadcast_to(present, sample.shape).copy(), device=sample.device)
        with torch.no_grad():
            answer = self._model.head(self._stream(sample, span, seen)).cpu().numpy().astype(np.float64)
        if self._task.kind == "classification":
            likely = np.exp(answer - answer.max(-1, keepdims=True))
            return likely / likely.sum(-1, keepdims=True)
        if self._carried:
            answer += self._last[..., self._carried]
        return answer if self._task.target_scaler is None else self._task.target_scaler.restore(answer)

    def _shape(self, width: int) -> tuple[int, ...]:
        return (width,) if self._episodes is None else (self._episodes, width)

    def _observed(self, mask: ArrayLike | None) -> NDArray[np.bool_]:
        """The mask, checked."""
        shape = self._shape(len(self._task.features))
        observed = np.ones(shape, dtype=bool) if mask is None else np.asarray(mask)
        if observed.shape != shape or observed.dtype != bool:
            raise ValueError(
                f"mask must be bool of shape {shape}, one entry for each feature{self._of_episodes}; got shape "
                f"{observed.shape} of {observed.dtype}"
            )
        if not self._task.missing and (observed.any(-1) & ~observed.all(-1)).any():
            raise ValueError("mask must be True for all features or for none, as the task has missing=False")
        return observed

    def _sample(self, observation: ArrayLike, observed: NDArray[np.bool_]) -> Tensor:
        """What the layer reads of an observation, but for its mask."""
        shape = self._shape(self._task.width)
        values = np.asarray(observation)
        if values.shape != shape:
            raise ValueError(
                f"observation must have shape {shape}, one entry for each "
                f"{'feature' if self._task.image is None else 'value of the image'}{self._of_episodes}; got "
                f"{values.shape}"
            )
        if self._model.encoder is not None:
            if values.dtype != np.uint8:
                raise ValueError(f"observation must be an image of uint8; got {values.dtype}")
            frames = torch.as_tensor(np.atleast_2d(values)[:, None], device=self._parameter.device)
            with torch.no_grad():
                return self._model.encoder(frames)[:, 0].reshape(self._shape(-1))
        values = values.astype(np.float64)
        if not np.isfinite(values[observed]).all():
            raise ValueError(f"observation must be finite where it is observed; got {values.tolist()}")
        inputs = np.where(observed, self._task.input_scaler.standardise(np.where(observed, values, 0.0)), 0.0)
        self._last = np.where(observed, inputs, self._last)
        return torch.as_tensor(inputs, dtype=self._parameter.dtype, device=self._parameter.device)

    def _span(self, timespan: float | NDArray[np.floating[Any]] | None) -> float | Tensor:
        """The time span in the task's unit, checked."""
        if timespan is None:
            return 1.0
        spans = np.asarray(timespan, dtype=np.float64) / self._task.timespan_unit
        if spans.shape not in ((), self._shape(1)[:-1]):
            raise ValueError(
                f"timespan must be a number{' or one for each episode' * bool(self._episodes)}; got {timespan}"
            )
        if not (np.isfinite(spans) & (spans >= 0)).all():
            raise ValueError(f"timespan must be finite and not negative; got {timespan}")
        if spans.ndim == 0:
            return float(spans)
        return torch.as_tensor(spans, dtype=self._parameter.dtype, device=self._parameter.device)

    @property
    def _of_episodes(self) -> str:
        return "" if self._episodes is None else f" of {self._episodes} episodes"


def rollout_seed(task: Task, seed: int, split: str) -> int:
    """The seed of a rollout: the same for all models, different for each study seed, outer split and split."""
    words = np.random.SeedSequence([seed, task.fold, ("validation", "test").index(split)]).generate_state(1)
    return int(words[0])


def measure_policy(
    task: Task, policy: Policy, seed: int, world: str = "", level: float = 0.0
) -> dict[str, tuple[float | None, str | None]]:
    """Run a task's rollout with a policy; return each measurement, or None and the reason why it is missing.

    A rollout is user code: if it raises an exception, that is the reason.

    Args:
        task: a task with a rollout.
        policy: the policy to measure.
        seed: seed of the rollout.
        world: one of the task's worlds; "" for that of training.
        level: its level.
    """
    names = [one.name for one in task.measurements]
    try:
        rollout = task.elsewhere(world, level) if world and task.elsewhere else task.rollout
        assert rollout is not None
        found = _run_rollout(rollout, policy, seed, names)
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
