"""Closed-form continuous-time networks (Hasani et al., Nature Machine Intelligence 2022)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, positive_int, probability, readable, whole
from liquidrnn.kernels import cfc
from liquidrnn.kernels.cfc import Network
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.kernels.lstm_cell import CellParameters, lstm_cell
from liquidrnn.kernels.operator import StreamBuffers, StreamKernel
from liquidrnn.recurrence import FusedRecurrence, MixedMemory, Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, Synapses, drawn, module_of_torch, wire, within
from liquidrnn.wirings import Recipe, Wiring

Mode = Literal["default", "pure", "no_gate"]
Time = Literal["gate", "append", "ignore"]


class LeCunTanh(nn.Module):
    """The scaled tanh of LeCun et al., Efficient BackProp (1998): unit variance in, unit variance out."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, 1.7159 tanh(0.666 x)."""
        return cfc.reference.lecun_tanh(x)


ACTIVATIONS = {"lecun_tanh": LeCunTanh, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class CfC(RecurrentLayer):
    r"""Applies a closed-form continuous-time network to a sequence.

    The state moves between two learned targets; a gate that depends on the elapsed time says how far. With a feature
    vector :math:`z` of the input and the state, four affine heads give, elementwise,

    .. math::
        z &= \mathrm{backbone}([u_t, h_{t-1}]) \\
        T &= \sigma(a(z)\,\Delta t + b(z)) \\
        h_t &= (1 - T)\,\tanh f_1(z) + T\,\tanh f_2(z) && \text{mode="default"} \\
        h_t &= \tanh f_1(z) + T\,\tanh f_2(z) && \text{mode="no\_gate"} \\
        h_t &= A - A\, e^{-\Delta t\,(|w_\tau| + |f_1(z)|)}\, f_1(z) && \text{mode="pure"}

    It is equivalent to this loop::

        for t in range(time):
            z = backbone(cat([u[t], h]))
            gate = sigmoid(time_a(z) * timespan[t] + time_b(z))
            h = (1 - gate) * tanh(ff1(z)) + gate * tanh(ff2(z))
            output[t] = h[:outputs]

    A gate is not a flow: two steps of half the time differ from one whole step, and a zero time span changes the state.
    Mark padding with ``mask``. States stay within 1 (default) and 2 (no_gate); in pure mode within
    :math:`|A| (1 + 1 / (e \Delta t))`, so there spans of exactly 0, many in a row, may grow without bound.

    ``time`` says how ``timespans`` are used, to see what the gate's time is worth: "gate" as above; "append", the gate
    sees :math:`\Delta t = 1` at every sample, and the span is an additional input feature, the last one, as other
    networks read it; "ignore", it sees 1, and ``timespans`` is accepted and has no effect.

    **With a wiring** there is no backbone. Heads read, neuron by neuron, the sources that the wiring connects and the
    neuron's own state; the wiring's layers are updated in order within one sample, each from the new states of the
    layers before it and the old states of its own, so synapses within a layer, the recurrent command synapses
    among them, carry the past. Weights are signed as learned, whatever the polarity.

    Args:
        input_size: features of one sample.
        hidden_size: number of units, or a wiring, such as ``wirings.AutoNCP(32, outputs=4)``.
        num_layers: layers stacked on one another.
        mode: "default", "pure" or "no_gate".
        activation: of the backbone: "lecun_tanh", "tanh", "relu", "gelu" or "silu"; None is "lecun_tanh".
        backbone_units: width of the backbone; None is 128.
        backbone_layers: depth of the backbone, 0 for heads directly on input and state; None is 1.
        backbone_dropout: probability of dropout after each layer of the backbone, in training; None is 0. Every sample
            has its own dropout mask, so in training such a layer runs module by module, without a kernel.
        time: how ``timespans`` are used: "gate", or, without a wiring and ``mixed_memory``, "append" or "ignore".
        mixed_memory: pass the state through an LSTM cell first, see :class:`liquidrnn.recurrent.MixedMemory`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. N units, Z the width of the backbone (without one: inputs + N):
        ``heads.weight`` (4 N, Z) and ``heads.bias`` (4 N,), in the order ff1, ff2, time_a, time_b; in pure mode (N, Z),
        (N,), ``A`` (N,) starting at 1 and ``w_tau`` (N,) starting at 0.01. With a wiring of S connections (synapses and
        own states): ``weight`` (4, S), ``bias`` (4, N). Weights start Xavier-uniform, a head at a time.

    If modules of the backbone or the heads have hooks, as ``torch.nn.utils.prune`` adds them, or were replaced, they
    are called one by one, in plain PyTorch; ``backend="cpu"`` then raises an error.

    A trace (``return_trace=True``) holds "gate" (T, except in pure mode) and "tau": the time scale
    :math:`1 / |a(z)|` of the gate, in pure mode :math:`1 / (|w_\tau| + |f_1(z)|)`.

    Source: Hasani, Lechner, Amini, Liebenwein, Ray, Tschaikowski, Teschl, Rus, Closed-form continuous-time neural
    networks, Nature Machine Intelligence 2022 (arXiv 2106.13898), equations 2 to 4 and methods; signs, activations and
    initial values as in the authors' package ncps. Different there: wired networks ignore synapses within a layer and
    connect all units of a layer, their gates ignore the wiring, dropout never follows the first backbone layer, and in
    pure mode A and w_tau start as noise.

    Example:
        >>> layer = CfC(16, 32, batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape, h_n.shape
        (torch.Size([5, 100, 32]), torch.Size([1, 5, 32]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Recipe | Wiring,
        num_layers: int = 1,
        *,
        mode: Mode = "default",
        activation: str | None = None,
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
        backbone_dropout: float | None = None,
        time: Time = "gate",
        mixed_memory: bool = False,
        **stacking: Unpack[Stacking],
    ):
        choice("mode", mode, ("default", "pure", "no_gate"))
        backbone = {
            "activation": activation,
            "backbone_units": backbone_units,
            "backbone_layers": backbone_layers,
            "backbone_dropout": backbone_dropout,
        }
        choice("time", time, ("gate", "append", "ignore"))
        for other, given in (("a wiring", isinstance(hidden_size, Recipe | Wiring)), ("mixed_memory", mixed_memory)):
            if time != "gate" and given:
                raise ValueError(f"time must be 'gate' with {other}, but got {time!r}")
        without = "a wiring" if isinstance(hidden_size, Recipe | Wiring) else "backbone_layers=0"
        for name, value in backbone.items():
            if value is not None and (without == "a wiring" or (backbone_layers == 0 and name != "backbone_layers")):
                raise ValueError(
                    f"{name} has no effect with {without}, which has no backbone, but got {value!r}: leave it out"
                )
        choice("activation", activation, (*ACTIVATIONS, None))
        depth = 1 if backbone_layers is None else whole("backbone_layers", backbone_layers)
        if depth:
            positive_int("backbone_layers", depth)
        width_within = positive_int("backbone_units", 128 if backbone_units is None else backbone_units)
        chance = probability("backbone_dropout", 0.0 if backbone_dropout is None else backbone_dropout)
        units = hidden_size if isinstance(hidden_size, Recipe | Wiring) else positive_int("hidden_size", hidden_size)
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            if isinstance(units, Recipe | Wiring):
                return _WiredRecurrence(wire(units, width, factory["generator"]), mode, factory)
            backbone = _Backbone(activation or "lecun_tanh", width_within, depth, chance)
            return _BackboneRecurrence(width, units, mode, backbone, time, factory)

        super().__init__(build, input_size, num_layers, mixed_memory=mixed_memory, wrapper=_RememberingCfC, **stacking)
        self.time = time


class _CfCRecurrence(FusedRecurrence):
    """Base class of both forms."""

    operator = cfc.operator
    time: Time = "gate"

    def __init__(self, hidden_size: int, mode: Mode, factory: Factory):
        super().__init__()
        self.hidden_size, self.state_sizes, self.mode = hidden_size, (hidden_size,), mode
        self.heads_per_unit = 1 if mode == "pure" else 4
        pure, place = mode == "pure", {"device": factory["device"], "dtype": factory["dtype"]}
        self.A = nn.Parameter(torch.ones(hidden_size, **place)) if pure else None
        # Not 0, where |w_tau| has no gradient and would never change.
        self.w_tau = nn.Parameter(torch.full((hidden_size,), 0.01, **place)) if pure else None

    def network(self, cell: CellParameters | None) -> Network:
        """The parameters as the operator takes them."""
        raise NotImplementedError

    def coefficients(self) -> tuple[Any, ...]:
        return self.network(None) if self.fused() else ()

    def timed(self, inputs: Inputs) -> Inputs:
        """What backbone and gate read of samples."""
        if self.time == "gate":
            return inputs
        values = torch.cat([inputs.values, inputs.timespans], -1) if self.time == "append" else inputs.values
        return inputs._replace(values=values, timespans=torch.ones_like(inputs.timespans))

    def _states(self, equation: Any, inputs: Inputs, state: State) -> Tensor:
        return super()._states(equation, self.timed(inputs), state)

    def stream(self, buffers: StreamBuffers) -> StreamKernel | None:
        # The compiled stream reads spans as they are.
        return super().stream(buffers) if self.time == "gate" else None

    def explain(self, equation: Network, inputs: Inputs, state: State) -> Trace:
        """Time scale and gate of all units."""
        inputs = self.timed(inputs)
        (h, *c), trace = state, Trace()
        if equation.cell is not None:
            h, _ = lstm_cell(equation.cell, inputs.values, h, *c)
        heads = cfc.reference.heads_of(equation, inputs.values.shape[-1], self.hidden_size)
        for units, values, _ in cfc.reference.evaluate(equation, heads, inputs.values, h, inputs.timespans):
            w_tau = self.w_tau if units is None or self.w_tau is None else self.w_tau[units]
            for name, value in cfc.reference.explain(self.mode, values, inputs.timespans, w_tau).items():
                whole = trace.get(name, torch.zeros_like(h))
                trace[name] = value if units is None else whole.index_copy(-1, units, value)
        return trace


class _RememberingCfC(FusedRecurrence, MixedMemory):
    """A CfC and its LSTM cell as one operator."""

    operator = cfc.operator
    inner: _CfCRecurrence

    @property
    def backend(self) -> str | None:  # type: ignore[override]
        """The backend of the wrapped recurrence."""
        return self.inner.backend

    def fused(self) -> bool:
        return self.inner.fused()

    def coefficients(self) -> tuple[Any, ...]:
        return self.inner.network(self.cell) if self.fused() else ()

    def explain(self, equation: Network, inputs: Inputs, state: State) -> Trace:
        return self.inner.explain(equation, inputs, state)


class _Backbone(NamedTuple):
    """Settings of a backbone."""

    activation: str
    units: int
    layers: int
    dropout: float


class _ModuleByModule(Recurrence):
    """A CfC whose modules are called one by one, sample by sample, in plain PyTorch."""

    backbone: nn.Sequential
    heads: nn.Linear
    mode: Mode
    A: nn.Parameter | None
    w_tau: nn.Parameter | None

    def timed(self, inputs: Inputs) -> Inputs:
        """See :meth:`_CfCRecurrence.timed`."""
        raise NotImplementedError

    def _heads(self, inputs: Inputs, state: State) -> Tensor:
        return self.heads(self.backbone(torch.cat([inputs.values, state[0]], -1)))

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        inputs = self.timed(inputs)
        heads = self._heads(inputs, state)
        return (cfc.reference.combine(self.mode, heads, inputs.timespans, self.A, self.w_tau),)

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        inputs = self.timed(inputs)
        heads = self._heads(inputs, state)
        new = cfc.reference.combine(self.mode, heads, inputs.timespans, self.A, self.w_tau)
        return (new,), cfc.reference.explain(self.mode, heads, inputs.timespans, self.w_tau)


class _BackboneRecurrence(_CfCRecurrence, _ModuleByModule):
    def __init__(self, input_size: int, hidden_size: int, mode: Mode, form: _Backbone, time: Time, factory: Factory):
        super().__init__(hidden_size, mode, factory)
        self.time = time
        self.input_size, self.output_size, self.activation = input_size, hidden_size, form.activation
        self.num_synapses = (input_size + hidden_size) * hidden_size
        width = input_size + (time == "append") + hidden_size
        backbone: list[nn.Module] = []
        for _ in range(form.layers):
            backbone += [module_of_torch(nn.Linear, width, form.units, **factory), ACTIVATIONS[form.activation]()]
            backbone += [nn.Dropout(form.dropout)] if form.dropout else []
            width = form.units
        self.backbone = nn.Sequential(*backbone)
        self.heads = module_of_torch(nn.Linear, width, self.heads_per_unit * hidden_size, **factory)
        for linear in [*(m for m in backbone if isinstance(m, nn.Linear)), self.heads]:
            units, rows = linear.in_features, hidden_size if linear is self.heads else linear.out_features
            with torch.no_grad():
                linear.bias.copy_(within(units**-0.5, linear.out_features, **factory))
                for head in linear.weight.split(rows):
                    head.copy_(drawn(nn.init.xavier_uniform_, rows, units, **factory))

    def network(self, cell: CellParameters | None) -> Network:
        linears = [module for module in self.backbone if isinstance(module, nn.Linear)]
        flat = [p.flatten() for linear in linears for p in (linear.weight, linear.bias)]
        return Network(
            torch.cat(flat) if flat else None,
            self.heads.weight,
            self.heads.bias,
            self.A,
            self.w_tau,
            None,
            *(cell or (None, None, None)),
            mode=self.mode,
            activation=self.activation,
            backbone_units=linears[0].out_features if linears else 0,
            backbone_layers=len(linears),
        )

    def _own_way(self) -> str | None:
        """Why the modules inside must be called one by one; None if they need not be."""
        order = []
        for module in (*self.backbone, self.heads):
            if module._forward_pre_hooks or module._forward_hooks:
                return "a module inside has hooks"
            if module._backward_pre_hooks or module._backward_hooks:
                return "a module inside has hooks for the backward pass"
            if isinstance(module, nn.Dropout | nn.Identity):
                if isinstance(module, nn.Dropout) and module.training and module.p:
                    return "backbone_dropout has a new mask at every sample in training"
                continue
            order.append(module)
        kinds = (nn.Linear, ACTIVATIONS[self.activation])
        if any(type(module).forward is not kinds[place % 2].forward for place, module in enumerate(order)):
            return "a module inside was replaced"
        return None

    def fused(self) -> bool:
        why = self._own_way()
        if why is not None and self.backend not in (None, "reference"):
            raise RuntimeError(
                f"backend={self.backend!r} cannot run this CfC, since {why}; use backend=None or 'reference'"
            )
        return why is None


class _WiredRecurrence(_CfCRecurrence):
    """CfC neurons that read the sources which the wiring connects to them, layer by layer within a sample.

    The two time heads read the same sources as the others, unless :func:`gates_apart` gave them their own.

    Attributes:
        layer: (units,) number of the layer of each neuron, in order of evaluation.
    """

    _version = 2
    layer: Tensor

    def __init__(self, wiring: Wiring, mode: Mode, factory: Factory):
        super().__init__(wiring.units, mode, factory)
        device = factory["device"]
        self.input_size, self.output_size, self.drawn = wiring.input_size, wiring.output_size, wiring
        connections = _connections(wiring)
        self.synapses = _with_own_states(wiring, device)
        self.weight = nn.Parameter(_xavier(connections, self.heads_per_unit, factory))
        self.gate_synapses: Synapses | None = None
        self.gate_weight: nn.Parameter | None = None
        bound = torch.tensor(np.count_nonzero(connections, 0) ** -0.5, dtype=self.weight.dtype, device=device)
        self.bias = within(bound, self.heads_per_unit, wiring.units, **factory)
        number = np.empty(wiring.units, np.int64)
        for place, layer in enumerate(wiring.layers):
            number[list(layer)] = place
        self.register_buffer("layer", torch.tensor(number, device=device))
        # Stored separately, so that a graph need not read the buffer.
        self.layer_sizes = tuple(map(len, wiring.layers))

    @property
    def order(self) -> tuple[Tensor, ...]:
        """Neurons of each layer, in order of evaluation."""
        return cfc.reference.in_order(self.layer, self.layer_sizes)

    @property
    def num_synapses(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The current number; while values cannot be read, the number when the wiring was drawn."""
        wiring = self.wiring if readable(self.layer) else self.drawn
        return wiring.num_synapses + wiring.num_sensory_synapses

    @property
    def wiring(self) -> Wiring:
        """The current wiring; loading a state dict and lesions change it."""
        connections = self.synapses.adjacency()
        layers = [neurons.tolist() for neurons in self.order]
        return self.drawn.replaced(connections[self.input_size :], connections[: self.input_size], layers)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        if (local_metadata.get("version") or 1) < 2:
            # The order of evaluation was not saved then.
            state_dict.setdefault(prefix + "layer", self.layer)
        saved = state_dict.get(prefix + "layer")
        if saved is not None and saved.shape == self.layer.shape and readable(saved):
            numbers, sizes = torch.unique(saved, return_counts=True)
            if numbers.tolist() != list(range(len(numbers))):
                error_msgs.append(
                    f"{prefix}layer: numbers of layers must be 0 to {len(numbers) - 1}, but are {numbers.tolist()}; "
                    "is the file damaged?"
                )
                return
            self.layer_sizes = tuple(sizes.tolist())
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def restrict(self, wiring: Wiring) -> None:
        """See :meth:`liquidrnn.recurrence.Recurrence.restrict`."""
        self.synapses.restrict(_connections(wiring), self, ("weight",))
        if self.gate_synapses is not None:
            self.gate_synapses.restrict(_connections(wiring), self, ("gate_weight",))

    def network(self, cell: CellParameters | None) -> Network:
        gate = self.gate_synapses
        return Network(
            None,
            self.weight,
            self.bias.flatten(),
            self.A,
            self.w_tau,
            self.gate_weight,
            *(cell or (None, None, None)),
            self.synapses.pre,
            self.synapses.post,
            self.layer,
            *((None, None) if gate is None else (gate.pre, gate.post)),
            layer_sizes=self.layer_sizes,
            mode=self.mode,
        )


def _connections(wiring: Wiring) -> np.ndarray:
    """The sources of each neuron, (inputs + units, units), nonzero where it reads a source."""
    connections = np.concatenate([wiring.sensory_adjacency, wiring.adjacency])
    own = np.arange(wiring.units)
    connections[wiring.input_size + own, own] = 1
    return connections


def _with_own_states(wiring: Wiring, device) -> Synapses:
    """The wiring's synapses and each neuron's own state, which is not a synapse but part of its dynamics.

    Without it a neuron would remember only through others. Its polarity is 0 if the wiring has no such synapse.
    """
    given = np.concatenate([wiring.sensory_adjacency, wiring.adjacency])
    return Synapses(_connections(wiring), device, polarity=given)


def _xavier(connections: np.ndarray, heads: int, factory: Factory) -> Tensor:
    """Xavier-uniform (heads, synapses) with the fan-in and fan-out that each connection has."""
    pre, post = np.nonzero(connections)
    fans = np.count_nonzero(connections, 0)[post] + np.count_nonzero(connections, 1)[pre]
    weight = drawn(nn.init.uniform_, heads, len(pre), **factory)
    return (2 * weight - 1) * torch.tensor((6 / fans) ** 0.5, dtype=weight.dtype, device=weight.device)


def gates_apart(recurrence: Recurrence, connections: np.ndarray) -> None:
    """Gives the time heads of a wired CfC their own connections, with weights of zero to be set by the caller.

    Networks converted from ncps need it: there gates ignore the wiring.

    Args:
        recurrence: of a CfC with a wiring, with gates.
        connections: (inputs + units, units), nonzero where a time head reads a source.
    """
    assert isinstance(recurrence, _WiredRecurrence) and recurrence.mode != "pure"
    weight = recurrence.weight
    recurrence.gate_synapses = Synapses(connections, weight.device)
    recurrence.weight = nn.Parameter(weight.detach()[:2].clone())
    recurrence.gate_weight = nn.Parameter(weight.new_zeros(2, len(recurrence.gate_synapses)))
