"""What a prediction depends on: which values of the input, and which units, neurons and synapses.

``from liquidrnn import attribution``. Time constants and gates along a sequence are traces of the layers
(``return_trace=True``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, described, positive_int
from liquidrnn.arguments import whole as whole_number
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer
from liquidrnn.wirings import Wiring

Layer = TypeVar("Layer", bound=RecurrentLayer)
T = TypeVar("T")
Part = Literal["units", "neurons", "synapses", "sensory_synapses"]


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


class _Silenced(Recurrence):
    """A recurrence of which some units are 0 before and after every sample."""

    exact = False
    units: Tensor

    def __init__(self, inner: Recurrence, units: list[int]):
        super().__init__()
        self.inner = inner
        self.input_size, self.hidden_size, self.output_size = inner.input_size, inner.hidden_size, inner.output_size
        self.state_sizes, self.state_names, self.num_synapses = inner.state_sizes, inner.state_names, inner.num_synapses
        self.uses_timespans, self.reads_mask = inner.uses_timespans, inner.reads_mask
        self.register_buffer("units", torch.tensor(units, device=next(inner.parameters()).device))
        # Refuses states that have no number for each unit.
        inner.silenced(tuple(torch.zeros(size, device=self.units.device) for size in inner.state_sizes), self.units)

    @property
    def wiring(self) -> Wiring | None:
        return self.inner.wiring

    def coefficients(self) -> tuple[Any, ...]:
        return self.inner.coefficients()

    def _silent(self, state: State) -> State:
        return self.inner.silenced(state, self.units)

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        return self._silent(self.inner.update(coefficients, inputs, self._silent(state)))

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        state, trace = self.inner.examine(coefficients, inputs, self._silent(state))
        return self._silent(state), trace

    def output(self, inputs: Inputs, states: State) -> Tensor:
        return self.inner.output(inputs, self._silent(states))

    def forward(self, method: Callable[..., T], *arguments) -> T:
        """The hooks of the recurrence run too."""
        return self.inner(method, *arguments)


@contextmanager
def lesion(
    layer: Layer,
    *,
    units: Iterable[int] = (),
    neurons: Iterable[int] = (),
    synapses: Iterable[tuple[int, int]] = (),
    sensory_synapses: Iterable[tuple[int, int]] = (),
) -> Iterator[Layer]:
    """Takes units, neurons or synapses out of a layer, inside whatever model it is part of, and puts them back.

    They are back after an error too. Inside, parameters of a layer without neurons or synapses are copies, so do not
    train it; for a lesioned layer to keep and train use :meth:`liquidrnn.RecurrentLayer.lesioned`. Streams that were
    made before do not change.

    Args:
        layer: any layer for units; for neurons and synapses, a layer with one wiring.
        units: numbers of units whose state, memory cells included, is 0 before and after every sample, so that they
            remember nothing and nobody reads them. Those of further recurrences count on, in the order of
            ``layer.recurrences``. Within a sample they still move where an update takes several steps, as that of a
            differential equation; a neuron without synapses is out of that too. It runs sample by sample, and slowly.
        neurons: see :meth:`liquidrnn.wirings.Wiring.ablate`, as for the others.
        synapses: (pre, post) pairs of neurons.
        sensory_synapses: (input, neuron) pairs.

    Yields:
        The same layer.

    Raises:
        ValueError: the layer has no wiring or several, or a unit, neuron or synapse does not exist.

    Example:
        >>> layer = lr.LTC(4, lr.wirings.AutoNCP(12, outputs=2), batch_first=True)
        >>> model, x = torch.nn.Sequential(layer), torch.randn(2, 20, 4)
        >>> whole, _ = model(x)
        >>> with lesion(layer, neurons=[5]):
        ...     without, _ = model(x)
        >>> torch.equal(without, whole), torch.equal(model(x)[0], whole)
        (False, True)
        >>> gru = lr.GRU(4, 8, batch_first=True)
        >>> with lesion(gru, units=[2, 3]):
        ...     gru(x)[0][..., [2, 3]].abs().max().item()
        0.0
    """
    wiring, whole = layer.wiring, layer.layers
    taken: dict[str, list[Any]] = {
        "neurons": list(neurons),
        "synapses": list(synapses),
        "sensory_synapses": list(sensory_synapses),
    }
    silent, cut = list(units), any(taken.values())
    of = _units_of(layer, silent)
    # Without a wiring, lesioned() says why.
    layers = whole if not cut else layer.lesioned(wiring if wiring is None else wiring.ablate(**taken)).layers  # type: ignore[arg-type]
    if silent:
        parts = (part for level in layers for part in level)  # type: ignore[union-attr]
        chosen = iter([_Silenced(part, own) if own else part for part, own in zip(parts, of, strict=True)])
        layers = nn.ModuleList(nn.ModuleList(next(chosen) for _ in level) for level in layers)  # type: ignore[arg-type]
    layer.layers = layers
    try:
        yield layer
    finally:
        layer.layers = whole


def _units_of(layer: RecurrentLayer, units: list[int]) -> list[list[int]]:
    """The units of each recurrence among those of all."""
    size, several = layer.hidden_size, layer.recurrences
    for unit in units:
        if not 0 <= whole_number("each of units", unit) < size * len(several):
            raise ValueError(
                f"units must be from 0 to {size * len(several) - 1}, the last of the layer, but hold {unit}"
            )
    return [[unit % size for unit in units if unit // size == place] for place in range(len(several))]


class LesionEffects(NamedTuple):
    """What lesions do to a score.

    Attributes:
        whole: the score without a lesion.
        changes: score with a lesion minus ``whole``, for each unit or neuron (units,), for each synapse in the order of
            ``wiring.synapses`` or ``wiring.sensory_synapses``, which is the order of the layer's parameters, or for
            each group.
    """

    whole: float
    changes: np.ndarray


def lesion_effects(
    layer: RecurrentLayer,
    score: Callable[[], float],
    part: Part = "neurons",
    groups: Iterable[Iterable[Any]] | None = None,
) -> LesionEffects:
    """How a score changes as each unit, neuron or synapse is taken out alone, or each of several groups.

    Args:
        layer: a layer, in whatever model; with one wiring but for units.
        score: computes the score of that model, for example on validation data; called once for each lesion, without
            gradients.
        part: "units", "neurons", "synapses" or "sensory_synapses", see :func:`lesion`.
        groups: what is taken out together; None takes out each alone.

    Example:
        >>> layer = lr.LTC(4, lr.wirings.AutoNCP(12, outputs=2), batch_first=True)
        >>> x, y = torch.randn(8, 20, 4), torch.randn(8, 20, 2)
        >>> error = lambda: float((layer(x)[0] - y).square().mean())
        >>> whole, changes = lesion_effects(layer, error)
        >>> changes.shape
        (12,)

        The synapses of each input, together:

        >>> sources, neurons, _ = layer.wiring.sensory_synapses
        >>> groups = [[(i, j) for i, j in zip(sources, neurons) if i == source] for source in range(4)]
        >>> lesion_effects(layer, error, "sensory_synapses", groups).changes.shape
        (4,)
    """
    choice("part", part, ("units", "neurons", "synapses", "sensory_synapses"))
    wiring = layer.wiring
    if part != "units" and wiring is None:
        # Says why, before anything is computed.
        layer.lesioned(wiring)  # type: ignore[arg-type]
    if groups is not None:
        lesions = [list(group) for group in groups]
    elif part == "units":
        lesions = [[unit] for unit in range(layer.hidden_size * len(layer.recurrences))]
    else:
        assert wiring is not None
        every = range(wiring.units) if part == "neurons" else zip(*getattr(wiring, part)[:2], strict=True)
        lesions = [[one] for one in every]
    with torch.no_grad():
        whole, changes = float(score()), []
        for group in lesions:
            taken: dict[str, Any] = {part: group}
            with lesion(layer, **taken):
                changes.append(float(score()) - whole)
    return LesionEffects(whole, np.array(changes))
