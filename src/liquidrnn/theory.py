r"""Measurements of what is proved, or claimed, about layers: bounds, solver error, flows, smoothness and memory.

``from liquidrnn import theory``. A measurement takes any :class:`~liquidrnn.RecurrentLayer`, of this package or your
own, and uses its public contract alone: ``step``, ``forward`` and traces. The two bounds are for particular equations.
Measurements in double precision (``layer.double()``) are not limited by rounding.

Sequences are in the layout of the layer, ``batch_first`` or not; results are (batch, ...).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, described, number, positive_int, whole
from liquidrnn.integrate import TABLEAUX, advance
from liquidrnn.kernels.loop import State
from liquidrnn.layers.cfc import CfC
from liquidrnn.layers.ctrnn import CTRNN
from liquidrnn.layers.gru_d import GRUD
from liquidrnn.layers.lrc import LRC, LRCU, STC
from liquidrnn.layers.ltc import LTC
from liquidrnn.layers.torch_rnn import GRU, LSTM, RNN
from liquidrnn.recurrence import MixedMemory, Recurrence
from liquidrnn.recurrent import RecurrentLayer

Hidden: TypeAlias = Tensor | State | None
"""A state as layers take and return it."""


class Bounds(NamedTuple):
    """Bounds of each unit of the last layer, (units,), in the order of a trace.

    Attributes:
        low: lower bounds.
        high: upper bounds.
    """

    low: Tensor
    high: Tensor


def time_constant_bounds(layer: RecurrentLayer) -> Bounds:
    r"""Bounds of the "tau" of a trace, for any input and state.

    Every open synapse adds a conductance, so a synapse can only shorten a neuron's memory:

    .. math::
        \frac{c_i}{g_i + \sum_j w_{ij}} \le \tau_i \le \frac{c_i}{g_i} \quad \text{(LTC)}, \qquad
        \frac{1}{\bar\epsilon_i\, \sigma(g_i + \sum_j w_{ij})} \le \tau_i \le \frac{1}{\underline\epsilon_i\,
        \sigma(g_i)} \quad \text{(STC, LRC)}

    STC has elastance 1. An LRC's is between 0 and 1, or :math:`\tanh(\kappa_i / 2)` if symmetric, so its time constants
    have no upper bound.

    Args:
        layer: LTC, STC, LRC, LRCU or CTRNN.

    Raises:
        TypeError: no bound is known for the layer.
        ValueError: a conductance or capacitance is negative, as ``constraint=None`` allows.

    Source: Hasani et al., Liquid Time-constant Networks, AAAI 2021 (arXiv 2006.04439), theorem 1, for its synapses with
    weights; for STC and LRC from the equations.

    Example:
        >>> layer = lr.LTC(4, 8, batch_first=True)
        >>> _, _, trace = layer(torch.randn(2, 50, 4), return_trace=True)
        >>> low, high = time_constant_bounds(layer)
        >>> bool(((low <= trace["tau"]) & (trace["tau"] <= high)).all())
        True
    """
    return _of_last_layer(layer, _time_constants)


def _time_constants(layer: RecurrentLayer, recurrence: Recurrence) -> Bounds:
    equation: Any = recurrence.coefficients()
    if isinstance(layer, LTC):
        cm, _, leak = equation.membrane
        return Bounds(cm / (leak + _conductance(layer, recurrence)), cm / leak)
    if isinstance(layer, STC | LRC | LRCU):
        leak, _, bias, kappa = equation.neurons
        fastest = torch.sigmoid(leak + _conductance(layer, recurrence))
        if bias is None:
            return Bounds(1 / fastest, 1 / torch.sigmoid(leak))
        elastance = 1.0 if kappa is None else torch.tanh(kappa / 2)
        return Bounds(1 / (elastance * fastest), torch.full_like(leak, torch.inf))
    if isinstance(layer, CTRNN):
        return Bounds(equation.tau, equation.tau)
    raise TypeError(f"no bound of time constants is known for {type(layer).__name__}: pass an LTC, STC, LRC or CTRNN")


def state_bounds(layer: RecurrentLayer, hx: Hidden = None, *, shortest: float | None = None) -> Bounds:
    r"""An interval that no state of the last layer leaves, for any input and any time spans.

    Each solver step of LTC, STC, LRC and LRCU is a weighted mean of the state and of values in a fixed interval, so
    that interval, extended by the initial state, is invariant for steps of any length:

    ============================  ==============================================================================
    layer                         interval, extended by the initial state
    ============================  ==============================================================================
    LTC                           from the least to the greatest of leak and reversal potentials of the unit
    STC, LRC, LRCU                :math:`\pm |v_i| \tanh(\max |g_i|) / \sigma(g^{leak}_i)`, within ±2 :math:`|v_i|`
    CTRNN, semi-implicit          :math:`\pm \tau_i`
    CfC                           ±1, "no_gate" ±2, "pure" :math:`\pm |A| (1 + 1 / (e \Delta t))`
    LSTM, GRU, RNN (tanh), GRUD   ±1
    ============================  ==============================================================================

    Args:
        layer: one of these; with ``mixed_memory`` the state comes from an LSTM cell, and ±1 is added.
        hx: initial state, of which the first part counts; None is zero.
        shortest: shortest time span, for a pure CfC alone; None is 1.

    Raises:
        TypeError: no bound is known for the layer.
        ValueError: the bound does not hold for its settings: negative conductances, an explicit solver, "relu",
            projected states.

    Source: Hasani et al., AAAI 2021 (arXiv 2006.04439), theorem 2, per unit and for the fused step; the others follow
    from the equations.

    Example:
        >>> layer = lr.LTC(4, 8, batch_first=True)
        >>> _, _, trace = layer(100 * torch.randn(2, 50, 4), timespans=1e6, return_trace=True)
        >>> low, high = state_bounds(layer)
        >>> bool(((low <= trace["state"]) & (trace["state"] <= high)).all())
        True
    """
    pure = isinstance(layer, CfC) and _inner(layer.recurrences[-1]).mode == "pure"  # type: ignore[attr-defined]
    if shortest is not None and not pure:
        raise ValueError("shortest has an effect on the bound of CfC(mode='pure') alone: leave it out")
    span = 1.0 if shortest is None else number("shortest", shortest, 1e-30, 1e30, "a positive time span")

    def one(layer: RecurrentLayer, recurrence: Recurrence) -> Bounds:
        low, high = _states(layer, recurrence, span)
        return (
            Bounds(low.clamp(max=-1), high.clamp(min=1)) if isinstance(recurrence, MixedMemory) else Bounds(low, high)
        )

    low, high = _of_last_layer(layer, one)
    if hx is None:
        return Bounds(low.clamp(max=0), high.clamp(min=0))
    first = hx if isinstance(hx, Tensor) else hx[0]
    rows = first.reshape(layer.num_layers, layer.num_directions, -1, first.shape[-1])[-1]
    ends = torch.cat([torch.stack([row.amin(0), row.amax(0)]) for row in rows.detach()], -1)
    return Bounds(torch.minimum(low, ends[0]), torch.maximum(high, ends[1]))


def _states(layer: RecurrentLayer, recurrence: Recurrence, span: float) -> Bounds:
    equation: Any = recurrence.coefficients()
    if isinstance(layer, LTC):
        _conductance(layer, recurrence)
        _, leak_drive, leak = equation.membrane
        ends = []
        for largest, reduce in ((torch.inf, "amin"), (-torch.inf, "amax")):
            end = torch.where(leak > 0, leak_drive / leak, largest)
            for synapses in (equation.internal, equation.sensory):
                potential = torch.where(synapses.w > 0, synapses.w_erev / synapses.w, largest)
                end = end.scatter_reduce(0, synapses.post, potential, reduce)
            # Without any open conductance the state does not move.
            ends.append(torch.where(end.isinf(), 0, end))
        return Bounds(*ends)
    if isinstance(layer, STC | LRC | LRCU):
        leak, potential, *_ = equation.neurons
        drives = [leak, leak]
        for synapses in (equation.internal, equation.sensory):
            drives[0] = drives[0].index_add(0, synapses.post, synapses.k.clamp(max=0))
            drives[1] = drives[1].index_add(0, synapses.post, synapses.k.clamp(min=0))
        high = potential.abs() * torch.tanh(torch.maximum(-drives[0], drives[1])) / torch.sigmoid(leak)
    elif isinstance(layer, CTRNN):
        if equation.solver != "semi_implicit":
            raise ValueError(
                f"states of a CTRNN have a bound with solver='semi_implicit', but this one has {equation.solver!r}"
            )
        high = equation.tau
    elif isinstance(layer, CfC):
        inner: Any = _inner(recurrence)
        like = torch.ones_like(next(inner.parameters())[0].flatten()[:1]).expand(inner.hidden_size)
        scale = 1 + torch.exp(torch.tensor(-1.0)).item() / span
        high = {"default": like, "no_gate": 2 * like}.get(inner.mode)
        high = inner.A.abs() * scale if high is None else high
    elif isinstance(layer, RNN | LSTM | GRU | GRUD):
        if isinstance(layer, RNN) and layer.nonlinearity != "tanh":
            raise ValueError("states of an RNN have a bound with nonlinearity='tanh', but this one has 'relu'")
        if isinstance(layer, LSTM) and layer.proj_size:
            raise ValueError("states of an LSTM have no simple bound with proj_size: leave it at 0")
        high = next(recurrence.parameters()).new_ones(recurrence.hidden_size)
    else:
        raise TypeError(f"no bound of states is known for {type(layer).__name__}")
    return Bounds(-high, high)


def _conductance(layer: RecurrentLayer, recurrence: Recurrence) -> Tensor:
    """Sum of the conductances of each unit's synapses, (units,)."""
    equation: Any = recurrence.coefficients()
    if isinstance(layer, LTC):
        named = {"cm": equation.membrane.cm, "gleak": equation.membrane.leak}
        named |= {"w": equation.internal.w, "sensory_w": equation.sensory.w}
        for name, values in named.items():
            if (values < 0).any():
                raise ValueError(
                    f"{name} must not be negative for the bound to hold, but its least is {float(values.min()):.3g}: "
                    "use constraint='softplus' or 'clamp'"
                )
    total = equation.internal.w.new_zeros(recurrence.hidden_size)
    for synapses in (equation.internal, equation.sensory):
        total = total.index_add(0, synapses.post, synapses.w)
    return total


def _inner(recurrence: Recurrence) -> Recurrence:
    return recurrence.inner if isinstance(recurrence, MixedMemory) else recurrence


def _of_last_layer(layer: RecurrentLayer, bounds) -> Bounds:
    _checked(layer)
    with torch.no_grad():
        each = [bounds(layer, recurrence) for recurrence in layer.recurrences[-layer.num_directions :]]
    return Bounds(*(torch.cat(ends) for ends in zip(*each, strict=True)))


def velocity(layer: RecurrentLayer, input: Tensor, hx: Hidden = None) -> Tensor:
    r"""The right side of a layer's differential equation, for one sample that is held.

    For a layer that solves an equation, the derivative of a step by its time span is, at a span of zero, the velocity
    of the state, whatever the solver:

    .. math::
        \dot x = \frac{\partial}{\partial \Delta t}\, \mathrm{step}(u, x, \Delta t) \Big|_{\Delta t = 0}

    Args:
        layer: LTC, STC, LRC, LRCU, CTRNN, or a layer of your own that solves an equation.
        input: one sample of each sequence, (batch, input_size).
        hx: state, as ``layer.step`` takes it; None is zero.

    Returns:
        (batch, state size). State size is the width of all parts of all layers, layer by layer.

    Raises:
        ValueError: a zero span changes the state, so the layer is not the solution of an equation.

    Example:
        >>> layer = lr.CTRNN(1, 1, batch_first=True)
        >>> velocity(layer, torch.zeros(1, 1), torch.full((1, 1, 1), 0.0))
        tensor([[0.]])
    """
    return _velocity(layer, input, _start(layer, input, hx))


def _velocity(layer: RecurrentLayer, input: Tensor, state: Tensor) -> Tensor:
    # A copy of each row for each of its units, so that one backward pass gives the derivatives of all of them.
    batch, size = state.shape
    rows, samples = state.repeat_interleave(size, 0), input.repeat_interleave(size, 0)
    spans = state.new_zeros(batch * size, requires_grad=True)
    with torch.enable_grad():
        there = _joined(layer.step(samples, _split(layer, rows), spans)[1])
        own = there.unflatten(0, (batch, size)).diagonal(dim1=1, dim2=2)
        (slope,) = torch.autograd.grad(own.sum(), spans)
    moved = (own.detach() - state).abs().max()
    if moved > 0:
        raise ValueError(
            f"layer must solve a differential equation, but a zero time span changes the state of this "
            f"{type(layer).__name__} by up to {float(moved):.2g}"
        )
    return slope.view(batch, size)


def held(
    layer: RecurrentLayer,
    input: Tensor,
    hx: Hidden = None,
    timespan: float = 1.0,
    *,
    steps: int = 1,
    method: str = "layer",
) -> Tensor:
    """The state after one sample was held for a time, reached in equal steps.

    Args:
        layer: a layer that solves a differential equation; for "layer" any layer that takes time spans.
        input: one sample of each sequence, (batch, input_size).
        hx: state before; None is zero.
        timespan: how long.
        steps: number of steps. For "layer" each is a call of ``layer.step``, itself of ``ode_unfolds`` solver steps.
        method: "layer", its own solver; or "euler", "heun" or "rk4" on its :func:`velocity`.

    Returns:
        (batch, state size).

    Example:
        >>> layer = lr.CTRNN(3, 8, ode_unfolds=1, dtype=torch.float64)
        >>> x = torch.randn(5, 3, dtype=torch.float64)
        >>> own, rk4 = (held(layer, x, steps=20, method=method) for method in ("layer", "rk4"))
        >>> bool((own - rk4).abs().max() < 0.05)
        True
    """
    choice("method", method, ("layer", *TABLEAUX))
    steps, timespan = (
        positive_int("steps", steps),
        number("timespan", timespan, 0.0, 1e30, "a number that is not negative"),
    )
    state = _start(layer, input, hx)
    if method != "layer":
        return advance(lambda x: _velocity(layer, input, x), state, timespan, steps, method)
    with torch.no_grad():
        for _ in range(steps):
            state = _joined(layer.step(input, _split(layer, state), timespan / steps)[1])
    return state


def solver_error(
    layer: RecurrentLayer,
    input: Tensor,
    hx: Hidden = None,
    timespan: float = 1.0,
    *,
    steps: int | tuple[int, ...],
    method: str = "layer",
    accurate: int = 100,
) -> Tensor:
    """Largest error of a solver over units, against the classical Runge-Kutta method with many steps.

    Args:
        layer: see :func:`held`. Its own ``ode_unfolds`` multiply ``steps``.
        input: one sample of each sequence, (batch, input_size).
        hx: state before; None is zero.
        timespan: how long the sample is held.
        steps: number of steps, or several.
        method: see :func:`held`.
        accurate: steps of the solution that counts as exact. They must be short compared with the equation's fastest
            time constant.

    Returns:
        (batch,) or, for several numbers of steps, (steps, batch). It may be infinite or NaN where a method diverges.

    Example:
        >>> layer = lr.CTRNN(3, 8, ode_unfolds=1, dtype=torch.float64)
        >>> x = torch.randn(5, 3, dtype=torch.float64)
        >>> few, many = solver_error(layer, x, steps=(10, 20), accurate=20).mean(1)
        >>> round(float(few / many))  # first order
        2
    """
    several = steps if isinstance(steps, tuple) else (steps,)
    exact = held(layer, input, hx, timespan, steps=accurate, method="rk4")
    reached = [held(layer, input, hx, timespan, steps=count, method=method) for count in several]
    errors = torch.stack([(end - exact).abs().amax(-1) for end in reached])
    return errors if isinstance(steps, tuple) else errors[0]


class FlowGaps(NamedTuple):
    """How far a layer is from the flow of a differential equation; root mean squares over batch and units.

    Attributes:
        semigroup: difference between a step, and two steps of half the span with the same input.
        identity: movement in no time.
        movement: movement in the whole span, with which to compare the others.
    """

    semigroup: float
    identity: float
    movement: float


def flow_gaps(layer: RecurrentLayer, input: Tensor, hx: Hidden = None, timespan: float = 1.0) -> FlowGaps:
    r"""Measures whether steps compose as the flow of an equation does.

    The solution :math:`\varphi` of a differential equation, with the input held, is a semigroup:
    :math:`\varphi_0 = \mathrm{id}` and :math:`\varphi_{s + t} = \varphi_s \circ \varphi_t`. A solver's
    second gap is its error; for a layer that only reads the time span both may be anything.

    Args:
        layer: any layer that takes time spans.
        input: one sample of each sequence, (batch, input_size).
        hx: state before; None is zero. The gaps are those of its first part, the hidden state.
        timespan: the whole span.

    Example:
        >>> layer = lr.CTRNN(3, 8)
        >>> flow_gaps(layer, torch.randn(5, 3)).identity
        0.0
    """
    timespan = number("timespan", timespan, 1e-30, 1e30, "a positive time span")
    start = _split(layer, _start(layer, input, hx))

    def after(*spans: float) -> Tensor:
        state: Any = start
        for span in spans:
            state = layer.step(input, state, span)[1]
        return state if isinstance(state, Tensor) else state[0]

    def rms(gap: Tensor) -> float:
        return float(gap.square().mean().sqrt())

    with torch.no_grad():
        before, whole = start if isinstance(start, Tensor) else start[0], after(timespan)
        halves = after(timespan / 2, timespan / 2)
        return FlowGaps(rms(whole - halves), rms(after(0.0) - before), rms(whole - before))


def jacobians(
    layer: RecurrentLayer, input: Tensor, hx: Hidden = None, timespans: Tensor | float | None = None
) -> Tensor:
    r"""Jacobian of each update along sequences, :math:`J_t = \partial h_t / \partial h_{t-1}`.

    What follows from them: the Lipschitz constant of the update, the largest
    ``torch.linalg.matrix_norm(jacobians, 2)``; :func:`log_gradient_norms`; :func:`lyapunov_exponents`.

    Args:
        layer: any layer of one direction; it runs on its own backend.
        input: sequences, (batch, time, input_size) or (time, batch, input_size), as the layer takes them.
        hx: state before; None is zero.
        timespans: a number, (time,), or (batch, time) in the layout of ``input``; None is 1.

    Returns:
        (batch, time, state size, state size): all parts of the state, memory cells included, layer by layer.

    Example:
        >>> layer = lr.GRU(3, 8, batch_first=True)
        >>> jacobians(layer, torch.randn(2, 50, 3)).shape
        torch.Size([2, 50, 8, 8])
    """
    x, spans = _sequences(layer, input, timespans)
    state = _start(layer, x[:, 0], hx)
    before = []
    with torch.no_grad():
        for t in range(x.shape[1]):
            before.append(state)
            state = _joined(layer.step(x[:, t], _split(layer, state), None if spans is None else spans[:, t])[1])
    samples = torch.stack(before, 1).flatten(0, 1).requires_grad_()
    with torch.enable_grad():
        flat = None if spans is None else spans.flatten()
        after = _joined(layer.step(x.flatten(0, 1), _split(layer, samples), flat)[1])
        rows = [
            torch.autograd.grad(column.sum(), samples, retain_graph=True, materialize_grads=True)[0]
            for column in after.unbind(-1)
        ]
    return torch.stack(rows, 1).unflatten(0, x.shape[:2])


def log_gradient_norms(jacobians: Tensor) -> Tensor:
    r"""How much of the first state reaches later ones: :math:`\ln \lVert \partial h_t / \partial h_0 \rVert_2`.

    Args:
        jacobians: (batch, time, size, size), see :func:`jacobians`.

    Returns:
        (batch, time), natural logarithms; their slope is the largest Lyapunov exponent per sample.

    Source: Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks, ICML 2013
    (arXiv 1211.5063), section 2.

    Example:
        >>> halves = 0.5 * torch.eye(3).expand(1, 4, 3, 3)
        >>> log_gradient_norms(halves).exp()
        tensor([[0.5000, 0.2500, 0.1250, 0.0625]])
    """
    _check_jacobians(jacobians)
    product = torch.eye(jacobians.shape[-1]).to(jacobians).expand_as(jacobians[:, 0])
    scale, logs = jacobians.new_zeros(len(jacobians)), []
    for jacobian in jacobians.unbind(1):
        product = jacobian @ product
        norm = torch.linalg.matrix_norm(product, 2)
        scale = scale + norm.log()
        logs.append(scale)
        # Only its direction is needed from here, so that it neither overflows nor underflows.
        product = product / norm.clamp(min=torch.finfo(norm.dtype).tiny)[:, None, None]
    return torch.stack(logs, 1)


def lyapunov_exponents(jacobians: Tensor, timespan: float = 1.0, *, discard: int = 0) -> Tensor:
    r"""Lyapunov exponents along sequences: the mean rates at which small differences between states grow or shrink.

    Differences are kept orthogonal by a QR decomposition at every sample,
    :math:`Q_t R_t = J_t Q_{t-1}`, and the exponents are the means of :math:`\ln |\mathrm{diag}\, R_t|`.

    Args:
        jacobians: (batch, time, size, size), see :func:`jacobians`.
        timespan: time per sample.
        discard: number of first samples that only align the directions.

    Returns:
        (batch, size), per unit of time, the largest first. A negative largest one means that the state depends on the
        inputs alone in the long run; -inf, that a direction is forgotten within one sample.

    Source: Benettin, Galgani, Giorgilli, Strelcyn, Lyapunov characteristic exponents for smooth dynamical systems,
    Meccanica 15, 1980; for recurrent networks Engelken, Wolf, Abbott, Lyapunov spectra of chaotic recurrent neural
    networks, 2023 (arXiv 2006.02427).

    Example:
        >>> lyapunov_exponents(torch.diag(torch.tensor([2.0, 0.5])).expand(1, 10, 2, 2))
        tensor([[ 0.6931, -0.6931]])
    """
    _check_jacobians(jacobians)
    timespan = number("timespan", timespan, 1e-30, 1e30, "a positive time span")
    if not 0 <= (discard := whole("discard", discard)) < jacobians.shape[1]:
        raise ValueError(f"discard must be from 0 to {jacobians.shape[1] - 1}, so that a sample is left, got {discard}")
    directions = torch.eye(jacobians.shape[-1]).to(jacobians).expand_as(jacobians[:, 0])
    total = jacobians.new_zeros(jacobians.shape[0], jacobians.shape[-1])
    for t, jacobian in enumerate(jacobians.unbind(1)):
        directions, growth = torch.linalg.qr(jacobian @ directions)
        if t >= discard:
            total = total + growth.diagonal(dim1=-2, dim2=-1).abs().log()
    return (total / ((jacobians.shape[1] - discard) * timespan)).sort(-1, descending=True).values


def trajectory_length(states: Tensor, dimensions: int | None = None) -> Tensor:
    r"""Length of the path of states, in units of its size.

    :math:`\sum_t \lVert h_{t+1} - h_t \rVert`, divided by the root mean square of :math:`\lVert h_t - \bar h \rVert`.
    The length alone grows with every factor on the states, which says nothing about the shape of the path.

    Args:
        states: (batch, time, units), for example the "state" of a trace.
        dimensions: project each path on so many of its principal axes first, as Hasani et al. do on 2; None does not.

    Returns:
        (batch,). A circle, closed, has :math:`2 \pi`.

    Source: Raghu et al., On the Expressive Power of Deep Neural Networks, ICML 2017 (arXiv 1606.05336); Hasani et al.,
    AAAI 2021 (arXiv 2006.04439), section 5, without the division.

    Example:
        >>> angle = torch.linspace(0, 2 * torch.pi, 1001)
        >>> trajectory_length(7 * torch.stack([angle.cos(), angle.sin()], -1)[None])
        tensor([6.2832])
    """
    _check_states(states)
    centred = states.detach() - states.detach().mean(1, keepdim=True)
    size = centred.square().sum(-1).mean(-1).sqrt()
    if dimensions is not None:
        dimensions = positive_int("dimensions", dimensions)
        _, _, axes = torch.linalg.svd(centred, full_matrices=False)
        centred = centred @ axes[:, :dimensions].mT
        size = centred.square().sum(-1).mean(-1).sqrt()
    return centred.diff(dim=1).norm(dim=-1).sum(-1) / size


class Smoothness(NamedTuple):
    """How restless states are, means over units, (batch,). The first and the last are in standard deviations of a unit.

    Attributes:
        total_variation: sum of the sizes of all changes.
        sign_changes: share of samples at which a rise becomes a fall or the reverse.
        largest_step: largest change from one sample to the next.
    """

    total_variation: Tensor
    sign_changes: Tensor
    largest_step: Tensor


def smoothness(states: Tensor) -> Smoothness:
    """Measures how restless states are.

    Args:
        states: (batch, time, units), for example the "state" of a trace. Units that do not move are left out.

    Example:
        >>> states = torch.tensor([0.0, 1.0, 0.0, 1.0]).reshape(1, 4, 1)
        >>> smoothness(states).sign_changes
        tensor([1.])
    """
    _check_states(states)
    if states.shape[1] < 3:
        raise ValueError(f"states must have at least 3 samples, but have {states.shape[1]}")
    changes = states.detach().diff(dim=1)
    size = states.detach().std(1, correction=0)
    moves = size > 0
    turns = (changes[:, 1:] * changes[:, :-1] < 0).to(states.dtype).mean(1)

    def mean(values: Tensor) -> Tensor:
        return torch.where(moves, values, 0).sum(-1) / moves.sum(-1)

    return Smoothness(mean(changes.abs().sum(1) / size), mean(turns), mean(changes.abs().amax(1) / size))


def timespan_at_rate(layer: RecurrentLayer, input: Tensor, rate: float, *, iterations: int = 30) -> float:
    r"""The time span per sample at which a layer forgets at a given mean rate.

    Layers differ in speed at the same span. To compare how smooth they are, or how much they remember, give each the
    span at which the mean of :math:`\Delta t / \tau` over samples and units is the same.

    Args:
        layer: a layer whose trace has "tau".
        input: sequences, as the layer takes them.
        rate: wanted mean of :math:`\Delta t / \tau`.
        iterations: of the fixed-point iteration, since :math:`\tau` depends on the states.

    Raises:
        ValueError: the layer has no time constant, or the iteration did not come within 1 % of the rate.

    Example:
        >>> layer = lr.CTRNN(3, 8, batch_first=True)  # tau = 1
        >>> round(timespan_at_rate(layer, torch.randn(2, 20, 3), 0.5), 3)
        0.5
    """
    _checked(layer)
    rate = number("rate", rate, 1e-30, 1e30, "a positive number")
    span, mean = 1.0, 0.0
    with torch.no_grad():
        for _ in range(positive_int("iterations", iterations)):
            trace = layer(input, timespans=span, return_trace=True)[2]
            if "tau" not in trace:
                raise ValueError(f"layer must have a time constant in its trace, but {type(layer).__name__} has none")
            mean = span * float((1 / trace["tau"]).nanmean())
            if abs(mean / rate - 1) < 1e-4:
                break
            span *= rate / mean
    if abs(mean / rate - 1) > 0.01:
        raise ValueError(f"no time span was found at rate {rate:g}: the last one, {span:.3g}, has {mean:.3g}")
    return span


def _checked(layer: RecurrentLayer) -> None:
    if not isinstance(layer, RecurrentLayer):
        raise TypeError(f"layer must be a RecurrentLayer, but got {described(layer)}")
    random = layer.dropout or any(isinstance(module, nn.Dropout) and module.p for module in layer.modules())
    if layer.training and random:
        raise ValueError("layer is in training mode and has dropout, so that its steps are random: call layer.eval()")


def _start(layer: RecurrentLayer, input: Tensor, hx: Hidden) -> Tensor:
    """The initial state as one tensor, (batch, state size)."""
    _checked(layer)
    if not isinstance(input, Tensor) or input.ndim != 2 or input.shape[1] != layer.input_size:
        raise ValueError(f"input must be one sample (batch, {layer.input_size}), but got {described(input)}")
    if hx is not None:
        return _joined(hx).detach()
    width = sum(size for recurrence in layer.recurrences for size in recurrence.state_sizes)
    return layer._like().new_zeros(len(input), width)


def _joined(state: Tensor | State) -> Tensor:
    """All parts of all layers, layer by layer, (batch, state size)."""
    parts = (state,) if isinstance(state, Tensor) else state
    return torch.cat([part[row] for row in range(len(parts[0])) for part in parts], -1)


def _split(layer: RecurrentLayer, joined: Tensor) -> Tensor | State:
    """The reverse of :func:`_joined`."""
    sizes = [recurrence.state_sizes for recurrence in layer.recurrences]
    pieces = joined.split([size for parts in sizes for size in parts], -1)
    count = len(sizes[0])
    parts = tuple(torch.stack(pieces[part::count]) for part in range(count))
    return parts[0] if count == 1 else parts


def _sequences(layer: RecurrentLayer, input: Tensor, timespans: Tensor | float | None) -> tuple[Tensor, Tensor | None]:
    """Sequences (batch, time, input_size) and their spans (batch, time)."""
    _checked(layer)
    if not isinstance(input, Tensor) or input.ndim != 3 or input.shape[2] != layer.input_size or not input.numel():
        axes = "batch, time" if layer.batch_first else "time, batch"
        raise ValueError(f"input must be sequences ({axes}, {layer.input_size}), but got {described(input)}")
    x = input if layer.batch_first else input.transpose(0, 1)
    if timespans is None:
        return x, None
    spans = torch.as_tensor(timespans, dtype=x.dtype, device=x.device)
    if spans.ndim == 2 and not layer.batch_first:
        spans = spans.transpose(0, 1)
    if spans.ndim > 2 or spans.shape not in ((), x.shape[1:2], x.shape[:2]):
        raise ValueError(
            f"timespans must be a number, (time,) = ({x.shape[1]},), or one for every sample in the layout of input, "
            f"but got {described(timespans)}"
        )
    return x, spans.expand(x.shape[:2])


def _check_jacobians(jacobians: Tensor) -> None:
    square = isinstance(jacobians, Tensor) and jacobians.ndim == 4 and jacobians.shape[2] == jacobians.shape[3]
    if not square or not jacobians.shape[1]:
        raise ValueError(f"jacobians must be (batch, time, size, size), but got {described(jacobians)}")


def _check_states(states: Tensor) -> None:
    if not isinstance(states, Tensor) or states.ndim != 3 or not states.numel():
        raise ValueError(f"states must be (batch, time, units), but got {described(states)}")
