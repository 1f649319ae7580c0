"""Dropout that stays on when a network predicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from liquidrnn.arguments import described, positive_int


@torch.no_grad()
def mc_dropout(model: nn.Module, *inputs: Any, samples: int = 30, **kwargs: Any) -> Tensor:
    r"""Outputs of a network with dropout on, several times (Gal and Ghahramani 2016).

    .. math:: p(y \mid x) \approx \frac{1}{S} \sum_{s=1}^{S} p(y \mid x, \theta \odot m_s),
        \qquad m_s \sim \operatorname{Bernoulli}(1 - p)

    Dropout means `torch.nn` modules of it, and layers with a ``dropout`` above 0: those of this library, torch's
    recurrent ones and its attention. They, and the modules around them, are in training mode meanwhile; all others,
    such as batch normalisation, predict as they do in evaluation. Modes are restored.

    Args:
        model: the network; it returns a tensor.
        *inputs: its arguments.
        **kwargs: its keyword arguments.
        samples: number of passes. Each draws its masks anew from torch's default generator, for every sequence.

    Returns:
        (samples, ...) outputs, without gradients.

    Raises:
        TypeError: if the model returns something else than a tensor.
        ValueError: if the model has no dropout, or none that reaches its output, or ``samples`` is below 2.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 2))
        >>> outputs = mc_dropout(model, torch.randn(8, 3), samples=50)
        >>> outputs.shape, bool((outputs.std(0) > 0).all())
        (torch.Size([50, 8, 2]), True)
    """
    if (samples := positive_int("samples", samples)) < 2:
        raise ValueError(f"samples must be at least 2, to differ from each other, but got {samples}")
    dropping = {name for name, module in model.named_modules() if _drops(module)}
    if not dropping:
        raise ValueError(
            f"model must have dropout with a probability above 0, but {type(model).__name__} has none: train it with "
            "dropout, or use Ensemble, LastLayerLaplace or SWAG"
        )
    modes = {module: module.training for module in model.modules()}
    try:
        for name, module in model.named_modules():
            around = not name or any(inner.startswith(f"{name}.") for inner in dropping)
            module.training = around or name in dropping
        outputs = [model(*inputs, **kwargs) for _ in range(samples)]
    finally:
        for module, training in modes.items():
            module.training = training
    if not isinstance(outputs[0], Tensor):
        raise TypeError(
            f"model must return a tensor, but it returned {described(outputs[0])}: wrap it in a module that returns "
            "the prediction alone"
        )
    if all(torch.equal(outputs[0], other) for other in outputs[1:]):
        raise ValueError(
            "model must apply its dropout on the way to its output, but all samples are equal: an attribute dropout of "
            f"{sorted(name or type(model).__name__ for name in dropping)} has no effect, as in an LSTM of one layer"
        )
    return torch.stack(outputs)


def _drops(module: nn.Module) -> bool:
    if isinstance(module, _DropoutNd):
        return module.p > 0
    probability = getattr(module, "dropout", 0.0)
    return isinstance(probability, float) and probability > 0
