r"""Objectives: what training minimises, where the data come from several environments.

An environment is what some sequences have in common beside the question: a subject, a hospital unit, a season, a
machine. A network that is to do well in a new one must not rely on what changes from one to the next. Every objective
is called in the same way, in any training loop and with any model, and gives the scalar to differentiate::

    objective = VREx(weight=10.0)
    for values, labels, environments in batches:
        loss = objective(model, Batch((values,), labels, environments))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

An objective calls the model itself, so that it may change what the model reads (`Mixup`) or look at what the model has
made of it (`CORAL`, `StateMoments`). State, such as the weights of `GroupDRO`, is in its ``state_dict``; it changes
while the objective is in training mode, as in any `torch.nn.Module`.

All but `Mixup` depend on a batch through sums over the sequences of each environment (`EnvironmentObjective`), so that
several processes, each with a share of the batch, can add up their sums and know the objective of all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from liquidrnn import arguments

Model = Callable[..., Any]
"""``model(*inputs)`` gives predictions, (batch, outputs) or (batch, time, outputs); where `Objective.features` is not
"", a pair of predictions and features."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""``loss(predictions, targets)`` gives the mean loss of n predictions, (n, outputs), such as
`torch.nn.functional.cross_entropy` for class numbers, (n,), and `torch.nn.functional.mse_loss` for values."""


@dataclass(frozen=True)
class Batch:
    """What an objective is given: sequences, what is to be predicted, and where they come from.

    Attributes:
        inputs: arguments of the model, each with the sequences on its first axis, or None.
        targets: (batch, ...), or (batch, time, ...) where each step has a prediction.
        environments: whole numbers (batch,), the environment of each sequence, or (batch, time), that of each step;
            kept as int64.
        scored: bool (batch,) or (batch, time), True where the target is known; None where all are.
        present: bool (batch, time), True where hidden states count; None where all do.

    Raises:
        TypeError: if inputs are no tuple of tensors, environments not whole numbers, or a mask is not bool.
        ValueError: if shapes contradict each other.
    """

    inputs: tuple[Tensor | None, ...]
    targets: Tensor
    environments: Tensor
    scored: Tensor | None = None
    present: Tensor | None = None

    def __post_init__(self) -> None:
        inputs, environments = self.inputs, self.environments
        if not isinstance(inputs, tuple) or not all(one is None or isinstance(one, Tensor) for one in inputs):
            raise TypeError(
                f"inputs must be a tuple of the model's arguments, tensors or None, but got "
                f"{arguments.described(inputs)}: write (values,) for a single one"
            )
        for name, tensor in (("targets", self.targets), ("environments", environments)):
            if not isinstance(tensor, Tensor) or not tensor.ndim:
                raise TypeError(f"{name} must be a Tensor (batch, ...), but got {arguments.described(tensor)}")
        if environments.is_floating_point() or environments.is_complex() or environments.dtype == torch.bool:
            raise TypeError(
                f"environments must be whole numbers, such as int64; got {arguments.described(environments)}"
            )
        object.__setattr__(self, "environments", environments.long())
        for name, mask in (("scored", self.scored), ("present", self.present)):
            # Whole numbers would be read as places, not as a mask.
            if mask is not None and (not isinstance(mask, Tensor) or mask.dtype != torch.bool):
                raise TypeError(f"{name} must be a bool Tensor, but got {arguments.described(mask)}: use .bool()")
        for name, tensor, axes in (
            ("environments", environments, (1, 2)),
            ("scored", self.scored, (1, 2)),
            ("present", self.present, (2,)),
        ):
            if tensor is not None and (tensor.ndim not in axes or len(tensor) != len(self.targets)):
                raise ValueError(
                    f"{name} must have shape {'(batch,) or ' if 1 in axes else ''}(batch, time), for the "
                    f"{len(self.targets)} sequences of targets; got {tuple(tensor.shape)}"
                )
        for number, one in enumerate(inputs):
            if one is not None and (not one.ndim or len(one) != len(self.targets)):
                raise ValueError(
                    f"inputs must have the {len(self.targets)} sequences of targets on their first axis; number "
                    f"{number} is {arguments.described(one)}"
                )


class Objective(nn.Module):
    """What training minimises: called with a model and a batch, it gives a scalar.

    Subclasses may call the model as they like in `forward`; those of `EnvironmentObjective` say what they add up and
    how it is combined.

    Args:
        loss: the mean loss of predictions, see `Loss`.

    Attributes:
        features: what the model must give beside its predictions: "" for nothing; "readout" for what its last linear
            map reads, (batch, units) or (batch, time, units) as the predictions; "states" for its hidden states,
            (batch, time, units).
        fewest: environments that a batch must have; 0 where the objective does not tell them apart.
    """

    features: ClassVar[Literal["", "readout", "states"]] = ""
    fewest: int = 0

    def __init__(self, loss: Loss = F.cross_entropy):
        super().__init__()
        self.loss = loss

    def forward(self, model: Model, batch: Batch) -> Tensor:
        """The scalar to minimise."""
        raise NotImplementedError

    def outputs(self, model: Model, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Predictions, and features where the objective needs them.

        Raises:
            TypeError: if the model gives no features where it must.
            ValueError: if there are not as many predictions as sequences.
        """
        given = model(*batch.inputs)
        predictions = given[0] if isinstance(given, tuple) and given else given
        if not isinstance(predictions, Tensor) or not predictions.ndim or len(predictions) != len(batch.targets):
            raise ValueError(
                f"model must return predictions for the {len(batch.targets)} sequences of targets; it returned "
                f"{arguments.described(predictions)}"
            )
        if not self.features:
            return predictions, None
        if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[1], Tensor):
            what = "hidden states" if self.features == "states" else "what its last linear map reads"
            raise TypeError(
                f"model must return (predictions, features) for {type(self).__name__}, features being {what}; it "
                f"returned {arguments.described(given)}"
            )
        return given


class EnvironmentObjective(Objective):
    """An objective that depends on a batch through sums over each of its environments.

    Subclasses override `combine`, which makes a scalar of the sums of all environments, and, for more than their
    losses, `statistics`, which adds up over one. Where processes share a batch, each calls `sums` with its share, all
    add these up, and each calls `combine` with the result.
    """

    fewest: int = 1

    def forward(self, model: Model, batch: Batch) -> Tensor:
        """The objective of a batch.

        Raises:
            ValueError: if the batch has targets from too few environments.
        """
        numbers = self.numbers(batch)
        return self.combine(self.sums(model, batch, numbers), numbers)

    def numbers(self, batch: Batch) -> Tensor:
        """The environments with a target in a batch, (environments,), in ascending order.

        Raises:
            ValueError: if there are too few.
        """
        found = batch.environments
        if batch.scored is not None:
            found = _expanded("environments", found, batch.scored.shape)[batch.scored]
        found = found.unique()
        if len(found) < self.fewest:
            raise ValueError(
                f"environments must have at least {self.fewest} that differ in each batch, with targets, for "
                f"{type(self).__name__}; got {found.tolist()}: draw batches from several environments"
            )
        return found

    def sums(self, model: Model, batch: Batch, numbers: Tensor) -> Tensor:
        """`statistics` of each environment, (environments, k).

        Args:
            model: see `Model`.
            batch: a batch, or a part of one.
            numbers: the environments, some of which may be absent.

        Raises:
            ValueError: if each step has an environment but no prediction.
        """
        predictions, features = self.outputs(model, batch)
        if batch.environments.ndim > 1 and predictions.ndim < 3:
            raise ValueError(
                "environments must be those of sequences, (batch,), where predictions are too; got "
                f"{tuple(batch.environments.shape)} for predictions of {tuple(predictions.shape)}"
            )
        scored = _Counted(batch.scored, predictions, "scored")
        own = scored.rows("environments", batch.environments)
        targets, flat = scored.rows("targets", batch.targets), scored.rows("predictions", predictions)
        if features is None:
            return torch.stack([self.statistics(flat[own == one], targets[own == one], None) for one in numbers])
        states = self.features == "states"
        counted = _Counted(batch.present if states else batch.scored, features, "present" if states else "scored")
        rows, origin = counted.rows("features", features), counted.rows("environments", batch.environments)
        return torch.stack(
            [self.statistics(flat[own == one], targets[own == one], rows[origin == one]) for one in numbers]
        )

    def statistics(self, predictions: Tensor, targets: Tensor, features: Tensor | None) -> Tensor:
        """Sums over one environment, (k,): first the number of targets, then the sum of their losses.

        Args:
            predictions: (n, outputs); n may be 0 in a part of a batch.
            targets: (n, ...).
            features: (m, units), where the objective needs them.
        """
        return torch.stack([predictions.new_tensor(len(predictions)), self._total(predictions, targets)])

    def combine(self, sums: Tensor, numbers: Tensor) -> Tensor:
        """The scalar to minimise.

        Args:
            sums: (environments, k), over the whole batch.
            numbers: (environments,), which they are.
        """
        raise NotImplementedError

    def _total(self, predictions: Tensor, targets: Tensor) -> Tensor:
        # The mean of nothing is no number; the sum of nothing is zero and has a gradient of zeros.
        return self.loss(predictions, targets) * len(predictions) if len(predictions) else predictions.sum()


class ERM(EnvironmentObjective):
    r"""Empirical risk minimisation: the mean loss over all n targets, from whichever environment they are.

    .. math:: \frac{1}{n} \sum_i \ell(f(x_i), y_i)

    Source: Vapnik, Principles of risk minimization for learning theory, NeurIPS 1991.

    Example:
        >>> model, values = nn.Linear(3, 2), torch.ones(4, 3)
        >>> batch = Batch((values,), torch.tensor([0, 1, 1, 0]), environments=torch.tensor([0, 0, 1, 1]))
        >>> bool(ERM()(model, batch) == F.cross_entropy(model(values), batch.targets))
        True
    """

    fewest = 0

    def forward(self, model: Model, batch: Batch) -> Tensor:
        """The mean loss."""
        predictions, _ = self.outputs(model, batch)
        scored = _Counted(batch.scored, predictions, "scored")
        rows = scored.rows("predictions", predictions)
        if not len(rows):
            raise ValueError("scored must be True somewhere in each batch: no targets have no mean loss")
        return self.loss(rows, scored.rows("targets", batch.targets))

    def combine(self, sums: Tensor, numbers: Tensor) -> Tensor:
        """The mean loss."""
        return sums[:, 1].sum() / sums[:, 0].sum()


class _Penalised(EnvironmentObjective):
    r"""The mean risk of the environments and a penalty.

    With the mean loss (risk) :math:`R_e` of each of the :math:`E` environments in a batch,

    .. math:: \frac{1}{E} \sum_e R_e + \lambda P

    Every environment counts alike, however many of its sequences there are.
    """

    updates: Tensor

    def __init__(self, weight: float = 1.0, loss: Loss = F.cross_entropy, *, anneal: int = 0):
        super().__init__(loss)
        self.weight = arguments.number("weight", weight, 0.0, math.inf, "a finite number of at least 0")
        self.anneal = arguments.whole("anneal", anneal)
        if self.anneal < 0:
            raise ValueError(f"anneal must be at least 0, but got {anneal}")
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def combine(self, sums: Tensor, numbers: Tensor) -> Tensor:
        """The mean risk and the weighted penalty."""
        weight = min(self.weight, 1.0) if int(self.updates) < self.anneal else self.weight
        if self.training:
            self.updates += 1
        risks = sums[:, 1] / sums[:, 0]
        return risks.mean() + weight * self.penalty(risks, sums)

    def penalty(self, risks: Tensor, sums: Tensor) -> Tensor:
        """The penalty, given the risks, (environments,), and all sums."""
        raise NotImplementedError


class IRM(_Penalised):
    r"""Invariant risk minimisation, version 1: one last layer is to be the best in every environment at once.

    .. math::

        \frac{1}{E} \sum_e R_e + \lambda \frac{1}{E} \sum_e
        \Big( \frac{\partial}{\partial w} R_e(w \cdot f) \Big|_{w = 1} \Big)^2

    where :math:`R_e(w \cdot f)` is the risk of predictions that are :math:`w` times those of the model. The paper adds
    up over environments; here both sums are means.

    Args:
        weight: :math:`\lambda`, not negative.
        loss: the mean loss of predictions, twice differentiable; see `Loss`.
        anneal: calls in training mode until which the weight is at most 1: with a large one from the beginning,
            networks learn to predict nothing.

    Source: Arjovsky, Bottou, Gulrajani and Lopez-Paz, Invariant Risk Minimization, 2019 (arXiv 1907.02893), section 3.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> batch = Batch((torch.randn(4, 3),), torch.tensor([0, 1, 1, 0]), environments=torch.tensor([0, 0, 1, 1]))
        >>> loss = IRM(weight=100.0)(model, batch)
        >>> loss.backward()
    """

    def statistics(self, predictions: Tensor, targets: Tensor, features: Tensor | None) -> Tensor:
        """Number of targets, sum of losses, and its derivative by a factor of all predictions."""
        with torch.enable_grad():
            scale = predictions.new_ones((), requires_grad=True)
            total = self._total(predictions * scale, targets)
            (slope,) = torch.autograd.grad(total, scale, create_graph=True)
        return torch.stack([predictions.new_tensor(len(predictions)), total, slope])

    def penalty(self, risks: Tensor, sums: Tensor) -> Tensor:
        """The mean squared derivative."""
        return (sums[:, 2] / sums[:, 0]).square().mean()


class VREx(_Penalised):
    r"""Variance risk extrapolation: the risks of environments are to be equal.

    .. math::

        \frac{1}{E} \sum_e R_e + \lambda \frac{1}{E} \sum_e (R_e - \bar R)^2,
        \qquad \bar R = \frac{1}{E} \sum_e R_e

    The paper adds up the risks; a :math:`\lambda` of the paper is here :math:`\lambda / E`.

    Args:
        weight: :math:`\lambda`, not negative.
        loss: see `Loss`.
        anneal: calls in training mode until which the weight is at most 1.

    Source: Krueger et al., Out-of-Distribution Generalization via Risk Extrapolation, ICML 2021 (arXiv 2003.00688),
    section 3.2.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> batch = Batch((torch.randn(4, 3),), torch.randn(4, 1), environments=torch.tensor([5, 5, 2, 2]))
        >>> VREx(weight=10.0, loss=F.mse_loss)(model, batch).backward()
    """

    fewest = 2

    def penalty(self, risks: Tensor, sums: Tensor) -> Tensor:
        """The variance of the risks."""
        return risks.var(correction=0)


class GroupDRO(EnvironmentObjective):
    r"""Group distributionally robust optimisation: the worst environment is to be as good as can be.

    Each call first raises the weights :math:`q` of environments with a large risk and then weights the risks by them:

    .. math::

        q_e \leftarrow \frac{q_e \exp(\eta R_e)}{\sum_k q_k \exp(\eta R_k)}, \qquad \sum_e q_e R_e

    An environment that is absent from a batch counts as one with a risk of 0. The weights begin equal; they are state
    and change in training mode alone.

    Args:
        environments: how many there are in the whole data, numbered from 0.
        rate: :math:`\eta`, positive.
        loss: see `Loss`.

    Attributes:
        weights: :math:`q`, (environments,), a buffer.

    Source: Sagawa, Koh, Hashimoto and Liang, Distributionally Robust Neural Networks for Group Shifts, ICLR 2020
    (arXiv 1911.08731), algorithm 1.

    Example:
        >>> objective, model = GroupDRO(environments=3), nn.Linear(3, 2)
        >>> batch = Batch((torch.randn(4, 3),), torch.tensor([0, 1, 1, 0]), environments=torch.tensor([0, 0, 2, 2]))
        >>> objective(model, batch).backward()
        >>> objective.weights.shape
        torch.Size([3])
    """

    weights: Tensor

    def __init__(self, environments: int, rate: float = 0.01, loss: Loss = F.cross_entropy):
        super().__init__(loss)
        count = arguments.positive_int("environments", environments)
        self.rate = arguments.number("rate", rate, math.ulp(0.0), math.inf, "a positive number")
        self.register_buffer("weights", torch.full((count,), 1 / count))

    def numbers(self, batch: Batch) -> Tensor:
        """As in the base class.

        Raises:
            ValueError: if one is not a number from 0 to that of all.
        """
        found = super().numbers(batch)
        if int(found[0]) < 0 or int(found[-1]) >= len(self.weights):
            raise ValueError(
                f"environments must be from 0 to {len(self.weights) - 1}, as there are {len(self.weights)} in all; got "
                f"{found.tolist()}"
            )
        return found

    def combine(self, sums: Tensor, numbers: Tensor) -> Tensor:
        """The weighted sum of risks, after a step of the weights."""
        risks = sums[:, 1] / sums[:, 0]
        if self.training:
            if not bool(risks.isfinite().all()):
                raise FloatingPointError(
                    f"risks must be finite, for the weights of GroupDRO would be NaN ever after; got "
                    f"{risks.tolist()} in environments {numbers.tolist()}. The weights are unchanged"
                )
            raised = torch.zeros_like(self.weights).index_copy(0, numbers, risks.detach().to(self.weights.dtype))
            self.weights.copy_((self.weights.log() + self.rate * raised).softmax(0))
        return (self.weights[numbers].to(risks.dtype) * risks).sum()


class CORAL(_Penalised):
    r"""Correlation alignment: what the last layer reads is to have the same covariance in all environments.

    .. math::

        \frac{1}{E} \sum_e R_e + \lambda \frac{2}{E (E - 1)} \sum_{e < f} \frac{1}{4 d^2} \lVert C_e - C_f \rVert_F^2

    with the unbiased covariance matrix :math:`C_e` of the :math:`d` features. The paper has two environments, of which
    one, without targets, is the test environment; here all are of training, as usual where that is not known.

    Args:
        weight: :math:`\lambda`, not negative.
        loss: see `Loss`.
        anneal: calls in training mode until which the weight is at most 1.

    Source: Sun and Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation, 2016 (arXiv 1607.01719),
    section 3.1.

    Example:
        >>> class Network(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 2)
        ...
        ...     def forward(self, values):
        ...         states, _ = self.layer(values)
        ...         return self.head(states[:, -1]), states[:, -1]
        >>> environments = torch.tensor([0, 0, 1, 1])
        >>> batch = Batch((torch.randn(4, 20, 3),), torch.tensor([0, 1, 1, 0]), environments)
        >>> CORAL(weight=1.0)(Network(), batch).backward()
    """

    features: ClassVar[Literal["", "readout", "states"]] = "readout"
    fewest = 2

    def statistics(self, predictions: Tensor, targets: Tensor, features: Tensor | None) -> Tensor:
        """Number of targets, sum of losses; number of features, their sum, and that of their products.

        In double precision: sums of squares of features far from 0 would round what differs between them.
        """
        assert features is not None
        features = features.double()
        count = features.new_tensor([len(features)])
        known = super().statistics(predictions, targets, features)
        return torch.cat([known, count, features.sum(0), (features.T @ features).flatten()])

    def penalty(self, risks: Tensor, sums: Tensor) -> Tensor:
        """The mean squared distance of covariance matrices."""
        counts, rest = sums[:, 2:3], sums[:, 3:]
        if bool((counts < 2).any()):
            raise ValueError(
                "environments must have at least 2 rows of features each in a batch for CORAL, as one has no "
                f"covariance; got {counts.flatten().int().tolist()}: draw larger batches"
            )
        # There are d sums and d² sums of products.
        size = round(math.sqrt(rest.shape[1] + 0.25) - 0.5)
        total, products = rest[:, :size], rest[:, size:].reshape(-1, size, size)
        outer = total[:, :, None] * total[:, None] / counts[:, :, None]
        covariances = (products - outer) / (counts[:, :, None] - 1)
        return _mean_squared_distance(covariances.flatten(1)) / (4 * size**2)


class StateMoments(_Penalised):
    r"""Hidden states are to have the same mean and variance in all environments.

    With the mean :math:`m_e` and the variance :math:`v_e` of each of :math:`d` units over all sequences of an
    environment and all their steps that are present,

    .. math::

        \frac{1}{E} \sum_e R_e + \lambda \frac{2}{E (E - 1)} \sum_{e < f}
        \frac{\lVert m_e - m_f \rVert^2 + \lVert v_e - v_f \rVert^2}{d}

    These are the first two terms of the central moment discrepancy of Zellinger et al., in which we square the
    distances, so that the gradient is smooth where environments agree, and leave out its scale by the range of the
    states.

    Args:
        weight: :math:`\lambda`, not negative.
        loss: see `Loss`.
        anneal: calls in training mode until which the weight is at most 1.

    Source: Zellinger, Grubinger, Lughofer, Natschläger and Saminger-Platz, Central Moment Discrepancy (CMD) for
    Domain-Invariant Representation Learning, ICLR 2017 (arXiv 1702.08811), definition 2.

    Example:
        >>> class Network(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 2)
        ...
        ...     def forward(self, values):
        ...         states, _ = self.layer(values)
        ...         return self.head(states[:, -1]), states
        >>> environments = torch.tensor([0, 0, 1, 1])
        >>> batch = Batch((torch.randn(4, 20, 3),), torch.tensor([0, 1, 1, 0]), environments)
        >>> StateMoments(weight=1.0)(Network(), batch).backward()
    """

    features: ClassVar[Literal["", "readout", "states"]] = "states"
    fewest = 2

    def statistics(self, predictions: Tensor, targets: Tensor, features: Tensor | None) -> Tensor:
        """Number of targets, sum of losses; number of states, their sum, and that of their squares.

        In double precision, as in `CORAL`.
        """
        assert features is not None
        features = features.double()
        count = features.new_tensor([len(features)])
        known = super().statistics(predictions, targets, features)
        return torch.cat([known, count, features.sum(0), features.square().sum(0)])

    def penalty(self, risks: Tensor, sums: Tensor) -> Tensor:
        """The mean squared distance of means and variances.

        Raises:
            ValueError: if no state of an environment is present.
        """
        if not bool(sums[:, 2].all()):
            raise ValueError(
                "present must be True somewhere in each environment for StateMoments, as no states have no mean; got "
                f"{sums[:, 2].int().tolist()} states of each"
            )
        mean, square = (sums[:, 3:] / sums[:, 2:3]).chunk(2, dim=1)
        return _mean_squared_distance(torch.cat([mean, square - mean.square()], 1)) / mean.shape[1]


class Mixup(Objective):
    r"""Mixup of sequences: networks are to be linear between two of them.

    With :math:`\lambda` drawn from a beta distribution, one for each batch, and a partner :math:`j` of each sequence,

    .. math::

        \tilde x_i = \lambda x_i + (1 - \lambda) x_j, \qquad
        \lambda \, \ell(f(\tilde x_i), y_i) + (1 - \lambda) \, \ell(f(\tilde x_i), y_j)

    which for cross-entropy is the loss of the mixed target, and for squared error has its gradient. All floating-point
    inputs are mixed step by step, time spans too. It draws from torch's global generators.

    Args:
        alpha: both parameters of the beta distribution, positive; below 1 most mixtures are near one of the two.
        partners: "any" for a partner from the whole batch, "within" for one from the same environment, "between" for
            one from another.
        loss: see `Loss`.

    Source: Zhang, Cissé, Dauphin and Lopez-Paz, mixup: Beyond Empirical Risk Minimization, ICLR 2018 (arXiv
    1710.09412); between environments: Yan, Song, Li, Zou and Ren, Improve Unsupervised Domain Adaptation with Mixup
    Training, 2020 (arXiv 2001.00677).

    Example:
        >>> model = nn.Linear(3, 2)
        >>> batch = Batch((torch.randn(4, 3),), torch.tensor([0, 1, 1, 0]), environments=torch.tensor([0, 0, 1, 1]))
        >>> Mixup(alpha=0.2, partners="between")(model, batch).backward()
    """

    def __init__(
        self,
        alpha: float = 0.2,
        partners: Literal["any", "within", "between"] = "any",
        loss: Loss = F.cross_entropy,
    ):
        super().__init__(loss)
        self.alpha = arguments.number("alpha", alpha, math.ulp(0.0), math.inf, "a positive number")
        arguments.choice("partners", partners, ("any", "within", "between"))
        self.partners, self.fewest = partners, {"any": 0, "within": 1, "between": 2}[partners]

    def forward(self, model: Model, batch: Batch) -> Tensor:
        """The loss of a mixture of sequences.

        Raises:
            ValueError: if sequences are not observed at the same steps, or have no partner.
        """
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        other = self._partners(batch)
        inputs = tuple(None if one is None else _mixed(one, other, share) for one in batch.inputs)
        predictions, _ = self.outputs(model, replace(batch, inputs=inputs))
        terms = []
        for part, targets, scored in (
            (share, batch.targets, batch.scored),
            (1 - share, batch.targets[other], None if batch.scored is None else batch.scored[other]),
        ):
            counted = _Counted(scored, predictions, "scored")
            rows = counted.rows("predictions", predictions)
            # Where no partner has a target there is nothing to learn from it.
            if len(rows):
                terms.append(part * self.loss(rows, counted.rows("targets", targets)))
        if not terms:
            raise ValueError("scored must be True somewhere in each batch: no targets have no mean loss")
        return torch.stack(terms).sum()

    def _partners(self, batch: Batch) -> Tensor:
        """The number of each sequence's partner, (batch,)."""
        environments, size = batch.environments, len(batch.targets)
        if self.partners == "any":
            return torch.randperm(size, device=batch.targets.device)
        if environments.ndim > 1:
            raise ValueError(
                f"environments must be those of sequences, (batch,), for partners {self.partners!r}; got one for each "
                "step: use partners 'any'"
            )
        alike = environments[:, None] == environments
        allowed = alike if self.partners == "within" else ~alike
        if not bool(allowed.any(1).all()):
            raise ValueError(
                "environments must have at least 2 that differ in each batch for partners 'between'; got "
                f"{environments.unique().tolist()}: draw batches from several environments"
            )
        return torch.multinomial(allowed.float(), 1).flatten()


def _mixed(one: Tensor, other: Tensor, share: float) -> Tensor:
    partner = one[other]
    if one.dtype.is_floating_point:
        return share * one + (1 - share) * partner
    if not torch.equal(one, partner):
        raise ValueError(
            "inputs of Mixup must be floating-point, or the same for all sequences, such as a mask that is True where "
            f"all are observed; got {arguments.described(one)} that differs: there is no mean of what was observed and "
            "what was not"
        )
    return one


class _Counted:
    """The sequences, or their steps, that count.

    Args:
        mask: bool (batch,) or (batch, time); None where all count.
        like: (batch, k), or (batch, time, k) if there is a row for each step.
        name: of the mask, in errors.
    """

    def __init__(self, mask: Tensor | None, like: Tensor, name: str):
        self.mask, self.name, self.shape = mask, name, like.shape[:2] if like.ndim > 2 else like.shape[:1]
        if mask is None:
            self.counted = like.new_ones(self.shape, dtype=torch.bool)
            return
        if mask.ndim > len(self.shape):
            raise ValueError(
                f"{name} must have shape (batch,), where the model gives one row for each sequence, "
                f"{tuple(like.shape)}; got {tuple(mask.shape)}"
            )
        if mask.ndim > 1 and bool(mask[:, self.shape[1] :].any()):
            raise ValueError(
                f"{name} must be False after the {self.shape[1]} steps that the model gives; got {tuple(mask.shape)}"
            )
        self.counted = _expanded(name, mask, self.shape)

    def rows(self, name: str, values: Tensor) -> Tensor:
        """What counts of values (batch, ...) or (batch, time, ...), with one axis for sequences and steps.

        Steps that the model does not give may be there only where a mask says that they do not count.
        """
        stepwise = len(self.shape) > 1 and values.ndim > 1
        if stepwise and values.shape[1] > self.shape[1] and (self.mask is None or self.mask.ndim == 1):
            raise ValueError(
                f"{name} must have the {self.shape[1]} steps that the model gives, or {self.name} a mask that is False "
                f"after them; got {tuple(values.shape)}"
            )
        return _expanded(name, values, self.shape)[self.counted]


def _expanded(name: str, values: Tensor, shape: torch.Size) -> Tensor:
    """Values of sequences, (batch,), at each step, where the shape is (batch, time); steps beyond the shape are cut."""
    if len(shape) == 1:
        return values
    if values.ndim == 1:
        return values[:, None].expand(shape)
    if values.shape[1] < shape[1]:
        raise ValueError(f"{name} must be (batch,), or have all {shape[1]} steps; got {tuple(values.shape)}")
    return values[:, : shape[1]]


def _mean_squared_distance(points: Tensor) -> Tensor:
    """The mean of the squared distances between all pairs of n points, (n, k)."""
    return 2 / (len(points) - 1) * (points - points.mean(0)).square().sum()
