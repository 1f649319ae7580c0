"""A normal distribution over the weights of the last layer, from the curvature of the loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal

from liquidrnn.arguments import choice, described, number

_LARGEST = 20_000
"""Weights of the largest head of a classifier: their covariance has as many rows and columns."""


class LastLayerLaplace:
    r"""Laplace's approximation for the last linear layer of a trained network (MacKay 1992; Daxberger et al. 2021).

    With weights and bias :math:`\theta` of that layer, a prior :math:`N(0, \delta^{-1} I)` and its inputs
    :math:`\phi`, a 1 appended,

    .. math:: \theta \sim N\left(\theta_{MAP}, (H + \delta I)^{-1}\right), \qquad
        H = \sum_n \Lambda_n \otimes \phi_n \phi_n^\top,

    where :math:`\Lambda_n` is the Hessian of the negative log-likelihood by the outputs:
    :math:`\operatorname{diag}(p_n) - p_n p_n^\top` for classes, :math:`\sigma^{-2} I` for values. For a last layer this
    generalised Gauss-Newton matrix is the Hessian itself. The outputs are linear in :math:`\theta`, so they are normal:
    for values the prediction is exact, and if the network is a linear model at its ridge solution, it is Bayesian
    linear regression. Probabilities of classes use MacKay's approximation,
    :math:`\operatorname{softmax}(f_c / \sqrt{1 + \pi v_c / 8})` for outputs of mean f and variance v.

    The prior precision :math:`\delta`, and for values the noise variance :math:`\sigma^2`, maximise the marginal
    likelihood at :math:`\theta_{MAP}`,

    .. math:: \log p(y) \approx \log p(y \mid \theta) - \tfrac{\delta}{2} \lVert \theta \rVert^2
        + \tfrac{1}{2} \log \frac{|\delta I|}{|H + \delta I|}.

    Args:
        model: the trained network. It returns a tensor (..., outputs): the last layer's output, and perhaps something
            that does not depend on it added.
        batches: training data, ``(inputs, targets)`` for each batch, ``inputs`` a tensor or a tuple of the model's
            arguments. Targets are classes (...) or values (..., outputs), one for each output.
        likelihood: ``"classes"`` or ``"values"``.
        head: the last layer; None for the last `torch.nn.Linear` of the model.
        prior_precision: :math:`\delta`; None to maximise the marginal likelihood.
        noise_variance: :math:`\sigma^2`; None to maximise the marginal likelihood. Of values only.

    Attributes:
        prior_precision, noise_variance: as given or found; the noise is None for classes.
        log_marginal_likelihood: its value.

    Raises:
        TypeError: if the model returns something else than a tensor, ``head`` is no `torch.nn.Linear` of it, or classes
            are not whole numbers.
        ValueError: if there are no data, outputs or targets are not finite, classes do not exist, shapes do not fit,
            a number is not positive, or the noise cannot be found because the network reproduces its targets.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
        >>> x = torch.randn(64, 3)
        >>> laplace = LastLayerLaplace(model, [(x, torch.randn(64, 1))], "values")
        >>> laplace.predict(torch.randn(5, 3)).stddev.shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Any, Tensor]],
        likelihood: Literal["classes", "values"],
        *,
        head: nn.Linear | None = None,
        prior_precision: float | None = None,
        noise_variance: float | None = None,
    ):
        choice("likelihood", likelihood, ("classes", "values"))
        self.classes = likelihood == "classes"
        if self.classes and noise_variance is not None:
            raise ValueError("noise_variance must be left out for classes, whose likelihood has none")
        for name, value in (("prior_precision", prior_precision), ("noise_variance", noise_variance)):
            if value is not None:
                number(name, value, math.ulp(0.0), math.inf, "a positive number")
        self.model, self.head = model, _head_of(model, head)
        curvature, self._outputs, self._count, fit = self._curvature(batches)
        # Eigenvalues below 0 are rounding.
        values, self._vectors = torch.linalg.eigh(curvature)
        self._eigenvalues = values.clamp(min=0)
        weights = [self.head.weight, *([] if self.head.bias is None else [self.head.bias])]
        self._size = float(sum(part.detach().double().square().sum() for part in weights))
        self.prior_precision, self.noise_variance = self._hyperparameters(prior_precision, noise_variance, fit)
        self.log_marginal_likelihood = self._evidence(fit)

    def outputs(self, *inputs: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The normal distribution of the network's outputs.

        Returns:
            Their mean (..., outputs), which is the network's prediction, and their covariance (..., outputs, outputs),
            without noise.
        """
        mean, features = self._evaluate(inputs, kwargs)
        precision = self._precision()
        if self.classes:
            vectors = self._vectors.reshape(self._outputs, features.shape[-1], -1)
            along = torch.einsum("...i,cip->...cp", features, vectors)
            covariance = torch.einsum("...cp,...kp->...ck", along / precision, along)
        else:
            variance = ((features @ self._vectors).square() / precision).sum(-1)
            covariance = variance[..., None, None] * torch.eye(self._outputs, device=variance.device)
        return mean, covariance.to(mean.dtype)

    def predict(self, *inputs: Any, **kwargs: Any) -> Distribution:
        """The distribution of the targets, noise included.

        Args:
            *inputs: the network's arguments.
            **kwargs: its keyword arguments.

        Returns:
            A `torch.distributions.Categorical` with ``probs`` (..., classes), or a `torch.distributions.Normal` with
            ``mean`` and ``stddev`` (..., outputs).
        """
        mean, covariance = self.outputs(*inputs, **kwargs)
        variance = covariance.diagonal(dim1=-2, dim2=-1)
        if self.noise_variance is None:
            return Categorical(logits=mean / (1 + math.pi / 8 * variance).sqrt())
        return Normal(mean, (variance + self.noise_variance).sqrt())

    def _curvature(self, batches: Iterable[tuple[Any, Tensor]]) -> tuple[Tensor, int, int, float]:
        """The curvature without noise; the outputs; the targets; their log-likelihood, or sum of squared errors."""
        total, fit, count, outputs = None, 0.0, 0, 0
        for inputs, targets in batches:
            inputs = inputs if isinstance(inputs, tuple) else (inputs,)
            mean, features = self._evaluate(inputs, {})
            expected = mean.shape[:-1] if self.classes else mean.shape
            if targets.shape != expected:
                raise ValueError(
                    f"targets must be {'classes' if self.classes else 'values'} of shape {tuple(expected)}, as the "
                    f"model's outputs of shape {tuple(mean.shape)} need, but got {described(targets)}"
                )
            outputs = mean.shape[-1]
            _check_values(targets, mean, self.classes)
            if total is None:
                self._check_head(inputs, mean)
            mean, features = mean.double().reshape(-1, outputs), features.reshape(-1, features.shape[-1])
            if self.classes:
                if (most := outputs * features.shape[-1]) > _LARGEST:
                    raise ValueError(
                        f"head must have at most {_LARGEST:,} weights for an exact Laplace approximation, but has "
                        f"{most:,}; use an Ensemble or SWAG"
                    )
                shares = mean.log_softmax(-1)
                fit += float(shares.gather(1, targets.reshape(-1, 1).long()).sum())
                p = shares.exp()
                hessian = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
                part = torch.einsum("nck,ni,nj->cikj", hessian, features, features).reshape(most, most)
                count += len(mean)
            else:
                fit += float((targets.double().reshape(-1, outputs) - mean).square().sum())
                part = features.T @ features
                count += mean.numel()
            total = part if total is None else total + part
        if total is None or not count:
            raise ValueError("batches must have data, but there are none; an iterator can be read only once")
        return total, outputs, count, fit

    @torch.no_grad()
    def _evaluate(self, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """The outputs, and the inputs of the last layer in double precision, 1 appended for its bias."""
        read: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
        modes = {module: module.training for module in self.model.modules()}
        try:
            outputs = self.model.eval()(*inputs, **kwargs)
        finally:
            handle.remove()
            for module, training in modes.items():
                module.training = training
        if not isinstance(outputs, Tensor):
            raise TypeError(f"model must return a tensor, but it returned {described(outputs)}")
        if len(read) != 1 or outputs.shape != (*read[0].shape[:-1], self.head.out_features):
            raise ValueError(
                f"model must return what its last layer does, perhaps with something added, but it calls the head "
                f"{len(read)} times and returns {described(outputs)}: name the last layer with head="
            )
        features = read[0].double()
        if self.head.bias is not None:
            features = torch.cat([features, torch.ones_like(features[..., :1])], -1)
        return outputs, features

    def _check_head(self, inputs: tuple[Any, ...], outputs: Tensor) -> None:
        """Raises unless the outputs move with the head's, one for one."""
        step = float(outputs.detach().abs().max().clamp(min=1))

        def move(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
            return output + step

        handle = self.head.register_forward_hook(move)
        try:
            moved = self._evaluate(inputs, {})[0] - outputs
        finally:
            handle.remove()
        if not torch.allclose(moved, torch.full_like(moved, step), rtol=1e-3):
            name = next(name for name, module in self.model.named_modules() if module is self.head)
            raise ValueError(
                f"model must return the output of its last layer, perhaps with something added, but what it returns "
                f"does not move with the output of {name!r}: name the last layer with head=, and leave out what "
                "follows it, such as a softmax"
            )

    def _precision(self) -> Tensor:
        """The eigenvalues of the posterior precision."""
        assert self.prior_precision is not None
        return self._eigenvalues / (self.noise_variance or 1.0) + self.prior_precision

    def _repeats(self) -> int:
        """How often each eigenvalue counts: outputs that are values share them."""
        return 1 if self.classes else self._outputs

    def _hyperparameters(self, precision: float | None, noise: float | None, fit: float) -> tuple[float, float | None]:
        if self.classes:
            return precision or self._best_precision(1.0), None
        if noise is not None:
            return precision or self._best_precision(noise), noise
        if fit == 0.0:
            raise ValueError("noise_variance must be given, as the network reproduces its targets without any error")
        noise = fit / self._count
        for _ in range(1000):
            best = precision or self._best_precision(noise)
            scaled = self._eigenvalues / noise
            known = self._repeats() * float((scaled / (scaled + best)).sum())
            if known >= self._count * (1 - 1e-9):
                raise ValueError(
                    f"noise_variance must be given: {self._count} targets are too few to tell noise from "
                    f"{self._repeats() * len(scaled)} weights"
                )
            before, noise = noise, fit / (self._count - known)
            if abs(noise - before) <= 1e-12 * before:
                break
        return precision or self._best_precision(noise), noise

    def _best_precision(self, noise: float) -> float:
        r"""The root of the evidence's derivative, :math:`\delta |\theta|^2 = \sum \lambda / (\lambda + \delta)`.

        The left side rises with :math:`\delta` and the right one falls, so there is one root.
        """
        scaled = self._eigenvalues / noise
        if not self._size or not float(scaled.max()):
            raise ValueError("prior_precision must be given, as the last layer's weights or its inputs are all 0")
        low, high = math.log(1e-300), math.log(1e300)
        for _ in range(200):
            middle = (low + high) / 2
            delta = math.exp(middle)
            rising = delta * self._size > self._repeats() * float((scaled / (scaled + delta)).sum())
            low, high = (low, middle) if rising else (middle, high)
        return math.exp((low + high) / 2)

    def _evidence(self, fit: float) -> float:
        if self.noise_variance is not None:
            spread = self._count * math.log(2 * math.pi * self.noise_variance)
            fit = -(fit / self.noise_variance + spread) / 2
        shrunk = (math.log(self.prior_precision) - self._precision().log()).sum()
        return fit - self.prior_precision * self._size / 2 + self._repeats() * float(shrunk) / 2


def _check_values(targets: Tensor, outputs: Tensor, classes: bool) -> None:
    if not bool(outputs.isfinite().all()):
        raise ValueError(
            "batches must have inputs for which the model's outputs are finite, but some are NaN or infinite"
        )
    if not classes:
        if not bool(targets.isfinite().all()):
            raise ValueError("targets must be finite, but some are NaN or infinite: leave these out")
        return
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise TypeError(f"targets must be class numbers, such as int64, but got {described(targets)}")
    if targets.numel() and not bool(((targets >= 0) & (targets < outputs.shape[-1])).all()):
        raise ValueError(
            f"targets must be classes from 0 to {outputs.shape[-1] - 1}, but are from {int(targets.min())} to "
            f"{int(targets.max())}: leave out what is not known"
        )


def _head_of(model: nn.Module, head: nn.Linear | None) -> nn.Linear:
    if head is None:
        found = [module for module in model.modules() if isinstance(module, nn.Linear)]
        if not found:
            raise TypeError(f"model must end in a torch.nn.Linear, but {type(model).__name__} has none")
        return found[-1]
    if not isinstance(head, nn.Linear) or all(module is not head for module in model.modules()):
        raise TypeError(f"head must be a torch.nn.Linear of the model, but got {type(head).__name__}")
    return head
