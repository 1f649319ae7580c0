"""A Gaussian over the weights that the last steps of training passed through."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from liquidrnn.arguments import described, number, positive_int


class SWAG:
    r"""SWA-Gaussian: a normal distribution fitted to weights along training (Maddox et al. 2019, algorithm 1).

    .. math:: \theta \sim N\left(\bar\theta, \tfrac{1}{2} \Sigma_{diag} + \frac{D D^\top}{2 (K - 1)}\right), \qquad
        \Sigma_{diag} = \overline{\theta^2} - \bar\theta^2

    over the weights :math:`\theta_i` collected, with columns :math:`D_i = \theta_i - \bar\theta_i` of the last K, where
    :math:`\bar\theta_i` is the mean up to then. Train to convergence, then go on with a constant, rather large learning
    rate, and collect once an epoch. Buffers are those of the network when it samples; if it has batch normalisation,
    give each sample statistics of its own with `torch.optim.swa_utils.update_bn`.

    Args:
        model: the network that is trained; it is not copied.
        rank: K, the number of the last deviations that are kept, each as large as the network.

    Attributes:
        count: number of collected weights.
        mean: (parameters,) their mean, as `torch.nn.utils.parameters_to_vector` orders them.

    Example:
        >>> model = torch.nn.Linear(3, 1)
        >>> optimiser, swag = torch.optim.SGD(model.parameters(), lr=0.1), SWAG(model, rank=10)
        >>> x, y = torch.randn(64, 3), torch.randn(64, 1)
        >>> for epoch in range(20):
        ...     batch = torch.randint(64, (8,))
        ...     optimiser.zero_grad()
        ...     torch.nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
        ...     _ = optimiser.step()
        ...     swag.collect()
        >>> swag.predict(x, samples=5).shape
        torch.Size([5, 64, 1])
    """

    def __init__(self, model: nn.Module, rank: int = 20):
        if (rank := positive_int("rank", rank)) < 2:
            raise ValueError(f"rank must be at least 2, for K - 1 divides, but got {rank}")
        if not any(True for _ in model.parameters()):
            raise ValueError(f"model must have parameters, but {type(model).__name__} has none")
        self.model, self.rank, self.count = model, rank, 0
        self.mean = torch.zeros_like(self._weights())
        self._squared = torch.zeros_like(self.mean)
        self._deviations: deque[Tensor] = deque(maxlen=rank)

    def collect(self) -> None:
        """Add the network's present weights, as after each epoch."""
        weights = self._weights()
        self.count += 1
        before = weights - self.mean
        self.mean += before / self.count
        # Welford's sum of squared deviations: the difference of two means of squares would be rounding in float32.
        self._squared += before * (weights - self.mean)
        self._deviations.append(weights - self.mean)

    @property
    def variance(self) -> Tensor:
        r"""(parameters,) the diagonal :math:`\Sigma_{diag}`."""
        return self._squared / max(self.count, 1)

    def sample(self, generator: torch.Generator | None = None, scale: float = 1.0) -> nn.Module:
        """Draw a network.

        Args:
            generator: random generator; None for torch's.
            scale: factor of the covariance; 0 gives the mean (stochastic weight averaging).

        Returns:
            A copy of the network with drawn weights.

        Raises:
            ValueError: if fewer than two weights were collected, or ``scale`` is negative.
        """
        scale = number("scale", scale, 0.0, float("inf"), "a number of at least 0")
        if self.count < 2:
            raise ValueError(f"weights must be collected at least twice before sampling, but were {self.count} times")
        like = {"generator": generator, "device": self.mean.device, "dtype": self.mean.dtype}
        deviations = torch.stack(list(self._deviations), 1)
        spread = self.variance.sqrt() * torch.randn(len(self.mean), **like)
        low_rank = deviations @ torch.randn(deviations.shape[1], **like) / (deviations.shape[1] - 1) ** 0.5
        drawn = copy.deepcopy(self.model)
        with torch.no_grad():
            weights, parameters = self.mean + (scale / 2) ** 0.5 * (spread + low_rank), list(drawn.parameters())
            parts = weights.split([parameter.numel() for parameter in parameters])
            for parameter, part in zip(parameters, parts, strict=True):
                # Into it, so that it keeps its type.
                parameter.copy_(part.view_as(parameter))
        return drawn

    @torch.no_grad()
    def predict(
        self,
        *inputs: Any,
        samples: int = 30,
        generator: torch.Generator | None = None,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> Tensor:
        """Outputs of drawn networks in evaluation mode, (samples, ...), without gradients.

        Args:
            *inputs: arguments of the network, which returns a tensor.
            samples: number of networks.
            generator: see `sample`.
            scale: see `sample`.
            **kwargs: keyword arguments of the network.

        Raises:
            TypeError: if the network returns something else than a tensor.
            ValueError: as `sample`.
        """
        drawn = (self.sample(generator, scale).eval() for _ in range(positive_int("samples", samples)))
        outputs = [network(*inputs, **kwargs) for network in drawn]
        if not isinstance(outputs[0], Tensor):
            raise TypeError(f"model must return a tensor, but it returned {described(outputs[0])}")
        return torch.stack(outputs)

    def _weights(self) -> Tensor:
        return parameters_to_vector(self.model.parameters()).detach().clone()
