"""What a prediction depends on: which values of the input, and which neurons and synapses of a wiring.

``from liquidrnn import attribution``. Time constants and gates along a sequence are traces of the layers
(``return_trace=True``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from liquidrnn.arguments import choice, described, positive_int
from liquidrnn.recurrent import RecurrentLayer

Layer = TypeVar("Layer", bound=RecurrentLayer)
Part = Literal["neurons", "synapses", "sensory_synapses"]


class Attribution(NamedTuple):
    """Shares of a score that belong to values of its input.

    Attributes:
        values: shaped as the input; in the unit of the score.
        gap: (batch,), score minus score of the baseline minus the sum of the values: the error of the integral. If it
            is not small compared with the difference of the scores, take more steps.
    """

    values: Tensor
    gap: Tensor


def integrated_gradients(
    score: Callable[[Tensor], Tensor], input: Tensor, baseline: Tensor | float = 0.0, *, steps: int = 32
) -> Attribution:
    r"""Attributes a score to the values of its input by integrated gradients.

    .. math::
        a_i = (u_i - u'_i) \int_0^1 \frac{\partial F}{\partial u_i}\big(u' + \alpha (u - u')\big)\, d\alpha,
        \qquad \sum_i a_i = F(u) - F(u')

    The sum is the method's completeness; the integral is computed by Gauss-Legendre quadrature. Gradients are those of
    the layers' own backends, compiled ones included.

    Args:
        score: from inputs (batch, ...) to one number for each, (batch,), for example ``lambda x: model(x)[:, 3]``. It
            must compute each sequence by itself, as all layers do, and be deterministic: call ``model.eval()``.
        input: values, most often (batch, time, feature). Anything that the score is differentiable in can be
            attributed, time spans among them. NaN, a value that was not observed, gets 0; the score must not read it.
        baseline: values that count as absent, a number or broadcast to ``input``; 0 is the mean of a standardised
            feature, and what layers read for a value that was not observed.
        steps: points of the quadrature, each a forward and a backward pass.

    Raises:
        ValueError: the score is not (batch,), or does not depend on the input.

    Source: Sundararajan, Taly, Yan, Axiomatic Attribution for Deep Networks, ICML 2017 (arXiv 1703.01365), equation 1
    and section 3 (completeness).

    Example:
        >>> layer = lr.LTC(4, 8, batch_first=True).eval()
        >>> x, dt = torch.randn(2, 20, 4), torch.rand(2, 20)
        >>> found = integrated_gradients(lambda x: layer(x, timespans=dt)[0][:, -1, 0], x)
        >>> found.values.shape, bool(found.gap.abs().max() < 1e-3)
        (torch.Size([2, 20, 4]), True)
    """
    if not isinstance(input, Tensor) or not input.is_floating_point() or not input.ndim:
        raise TypeError(f"input must be a floating-point Tensor (batch, ...), but got {described(input)}")
    steps, input = positive_int("steps", steps), input.detach()
    start = torch.as_tensor(baseline, dtype=input.dtype, device=input.device).detach()
    try:
        start = start.expand_as(input)
    except RuntimeError:
        raise ValueError(
            f"baseline must be a number or broadcast to input {tuple(input.shape)}, but got {described(baseline)}"
        ) from None
    absent = input.isnan()
    # Both ends keep the NaN, so that the score leaves the value out at both, and no distance is attributed.
    start = torch.where(absent, input, start)
    with torch.no_grad():
        change = _scores(score, input) - _scores(score, start)
    places, weights = np.polynomial.legendre.leggauss(steps)
    slope = torch.zeros_like(input)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        with torch.enable_grad():
            between = torch.lerp(start, input, place).requires_grad_()
            total = _scores(score, between).sum()
            if not total.requires_grad:
                raise ValueError("score must depend on its input through differentiable operations, but does not")
            slope += weight * torch.autograd.grad(total, between, materialize_grads=True)[0]
    values = torch.where(absent, 0, (input - start) * slope)
    return Attribution(values, change - values.flatten(1).sum(1) if input.ndim > 1 else change - values)


def _scores(score: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    scores = score(input)
    if not isinstance(scores, Tensor) or scores.shape != input.shape[:1]:
        raise ValueError(
            f"score must return one number per sequence, ({len(input)},), but returned {described(scores)}"
        )
    return scores


@contextmanager
def lesion(
    layer: Layer,
    *,
    neurons: Iterable[int] = (),
    synapses: Iterable[tuple[int, int]] = (),
    sensory_synapses: Iterable[tuple[int, int]] = (),
) -> Iterator[Layer]:
    """Takes neurons or synapses out of a layer, inside whatever model it is part of, and puts them back at the end.

    They are back after an error too. Inside, the layer's parameters are copies, so do not train it; for a lesioned
    layer to keep and train use :meth:`liquidrnn.RecurrentLayer.lesioned`. Streams that were made before do not change.

    Args:
        layer: a layer with one wiring.
        neurons: see :meth:`liquidrnn.wirings.Wiring.ablate`, as for the others.
        synapses: (pre, post) pairs of neurons.
        sensory_synapses: (input, neuron) pairs.

    Yields:
        The same layer.

    Raises:
        ValueError: the layer has no wiring or several, or a neuron or synapse does not exist.

    Example:
        >>> layer = lr.LTC(4, lr.wirings.AutoNCP(12, outputs=2), batch_first=True)
        >>> model, x = torch.nn.Sequential(layer), torch.randn(2, 20, 4)
        >>> whole, _ = model(x)
        >>> with lesion(layer, neurons=[5]):
        ...     without, _ = model(x)
        >>> torch.equal(without, whole), torch.equal(model(x)[0], whole)
        (False, True)
    """
    wiring = layer.wiring
    # Without a wiring, lesioned() says why.
    without = layer.lesioned(
        wiring
        if wiring is None
        else wiring.ablate(neurons=neurons, synapses=synapses, sensory_synapses=sensory_synapses)  # type: ignore[arg-type]
    )
    whole = layer.layers
    layer.layers = without.layers
    try:
        yield layer
    finally:
        layer.layers = whole


class LesionEffects(NamedTuple):
    """What lesions do to a score.

    Attributes:
        whole: the score without a lesion.
        changes: score with a lesion minus ``whole``, for each neuron (units,), or for each synapse in the order of
            ``wiring.synapses`` or ``wiring.sensory_synapses``, which is the order of the layer's parameters.
    """

    whole: float
    changes: np.ndarray


def lesion_effects(layer: RecurrentLayer, score: Callable[[], float], part: Part = "neurons") -> LesionEffects:
    """How a score changes as each neuron, or each synapse, is taken out alone.

    Args:
        layer: a layer with one wiring, in whatever model.
        score: computes the score of that model, for example on validation data; called once for each lesion, without
            gradients.
        part: "neurons", "synapses" or "sensory_synapses".

    Example:
        >>> layer = lr.LTC(4, lr.wirings.AutoNCP(12, outputs=2), batch_first=True)
        >>> x, y = torch.randn(8, 20, 4), torch.randn(8, 20, 2)
        >>> whole, changes = lesion_effects(layer, lambda: float((layer(x)[0] - y).square().mean()))
        >>> changes.shape
        (12,)
    """
    choice("part", part, ("neurons", "synapses", "sensory_synapses"))
    with torch.no_grad():
        # Also raises for a layer without a wiring, before anything is computed.
        with lesion(layer):
            pass
        wiring, whole, changes = layer.wiring, float(score()), []
        assert wiring is not None
        lesions = range(wiring.units) if part == "neurons" else list(zip(*getattr(wiring, part)[:2], strict=True))
        for one in lesions:
            taken: dict[str, Any] = {part: [one]}
            with lesion(layer, **taken):
                changes.append(float(score()) - whole)
    return LesionEffects(whole, np.array(changes))
