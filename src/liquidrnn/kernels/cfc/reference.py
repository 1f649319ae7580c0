"""The CfC recurrence in plain PyTorch: its definition, against which kernels are tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.kernels import loop
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.kernels.lstm_cell import CellParameters, lstm_cell

MODES = ("default", "pure", "no_gate")


def lecun_tanh(x: Tensor) -> Tensor:
    """Elementwise, 1.7159 tanh(0.666 x)."""
    return 1.7159 * torch.tanh(0.666 * x)


ACTIVATIONS = {"lecun_tanh": lecun_tanh, "tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu, "silu": F.silu}


class Network(NamedTuple):
    """Parameters and settings of a CfC. H heads per unit: 1 in pure mode, else 4 (ff1, ff2, time_a, time_b).

    Attributes:
        backbone: weight (units, width before) and bias of each layer of the backbone, flattened and concatenated; None
            without a backbone.
        weight: weight of the heads, (H * units, width before); in a wired network (H, connections), or (2, connections)
            if the gate has its own connections.
        bias: bias of the heads, (H * units,).
        A: (units,), in pure mode.
        w_tau: (units,), in pure mode.
        gate_weight: weight of the time heads (2, connections), if they have their own connections.
        memory_ih: see :class:`liquidrnn.kernels.lstm_cell.CellParameters`, as for the next two.
        memory_hh: recurrent weight of the memory cell.
        memory_bias: bias of the memory cell.
        pre: source of each connection of a wired network; inputs are numbered before units.
        post: target unit of each connection.
        layer: number of the layer of each unit, (units,).
        gate_pre: as ``pre``, for the time heads.
        gate_post: as ``post``, for the time heads.
        layer_sizes: number of units in each layer, in order of evaluation, as in ``layer``.
        mode: one of MODES.
        activation: activation of the backbone, one of ACTIVATIONS.
        backbone_units: width of the backbone, 0 without one.
        backbone_layers: depth of the backbone.
    """

    backbone: Tensor | None
    weight: Tensor
    bias: Tensor
    A: Tensor | None = None
    w_tau: Tensor | None = None
    gate_weight: Tensor | None = None
    memory_ih: Tensor | None = None
    memory_hh: Tensor | None = None
    memory_bias: Tensor | None = None
    pre: Tensor | None = None
    post: Tensor | None = None
    layer: Tensor | None = None
    gate_pre: Tensor | None = None
    gate_post: Tensor | None = None
    layer_sizes: tuple[int, ...] = ()
    mode: str = "default"
    activation: str = "lecun_tanh"
    backbone_units: int = 0
    backbone_layers: int = 0

    @property
    def cell(self) -> CellParameters | None:
        """Parameters of the LSTM cell before the update, or None."""
        if self.memory_ih is None or self.memory_hh is None or self.memory_bias is None:
            return None
        return CellParameters(self.memory_ih, self.memory_hh, self.memory_bias)

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Units of each layer of a wired network, in order of evaluation."""
        return () if self.layer is None else in_order(self.layer, self.layer_sizes)


def in_order(layer: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Units of each layer, from the number of each unit's layer (units,) and the layers' sizes."""
    units = len(layer)
    # Distinct keys, since ONNX has no stable sort.
    return (layer * units + torch.arange(units, device=layer.device)).argsort().split(list(sizes))


def combine(mode: str, heads: Tensor, timespan: Tensor, A: Tensor | None, w_tau: Tensor | None) -> Tensor:
    """New states (batch, n) from heads (batch, H * n) and spans (batch, 1); A and w_tau are (n,)."""
    if mode == "pure":
        assert A is not None and w_tau is not None
        return A - A * torch.exp(-timespan * (w_tau.abs() + heads.abs())) * heads
    ff1, ff2, time_a, time_b = heads.chunk(4, -1)
    gate = torch.sigmoid(time_a * timespan + time_b)
    first, second = torch.tanh(ff1), torch.tanh(ff2)
    return first + gate * second if mode == "no_gate" else first * (1.0 - gate) + gate * second


def explain(mode: str, heads: Tensor, timespan: Tensor, w_tau: Tensor | None) -> dict[str, Tensor]:
    """Time scale and gate."""
    if mode == "pure":
        assert w_tau is not None
        return {"tau": 1 / (w_tau.abs() + heads.abs())}
    _, _, time_a, time_b = heads.chunk(4, -1)
    return {"tau": 1 / time_a.abs(), "gate": torch.sigmoid(time_a * timespan + time_b)}


class Layer(NamedTuple):
    """Units whose heads are evaluated together.

    Attributes:
        units: their indices, or None for all.
        weight: weight of their heads, (H * n, width before).
        bias: (H * n,).
    """

    units: Tensor | None
    weight: Tensor
    bias: Tensor


def heads_of(network: Network, inputs: int, units: int) -> list[Layer]:
    """The heads of each layer as one affine map, with zeros for absent connections."""
    if network.layer is None:
        return [Layer(None, network.weight, network.bias)]
    matrices = _matrices(network.weight, network.pre, network.post, inputs + units, units)
    if network.gate_weight is not None:
        matrices += _matrices(network.gate_weight, network.gate_pre, network.gate_post, inputs + units, units)
    bias = network.bias.view(-1, units)
    return [
        Layer(chosen, torch.cat([matrix[chosen] for matrix in matrices]), bias[:, chosen].flatten())
        for chosen in network.layers
    ]


def _matrices(weight: Tensor, pre: Tensor | None, post: Tensor | None, sources: int, units: int) -> list[Tensor]:
    assert pre is not None and post is not None
    empty = weight.new_zeros(units, sources)
    return [empty.index_put((post, pre), head) for head in weight]


def features(network: Network, z: Tensor) -> Tensor:
    """Output of the backbone for input and state, (batch, width)."""
    if network.backbone is None:
        return z
    start, width = 0, network.backbone_units
    for _ in range(network.backbone_layers):
        end = start + width * z.shape[-1]
        weight, bias = network.backbone[start:end].view(width, -1), network.backbone[end : end + width]
        z = ACTIVATIONS[network.activation](F.linear(z, weight, bias))
        start = end + width
    return z


def evaluate(
    network: Network, heads: list[Layer], input: Tensor, h: Tensor, timespan: Tensor
) -> Iterator[tuple[Tensor | None, Tensor, Tensor]]:
    """For each layer in order, its units, their heads, and all states after it.

    Args:
        network: parameters.
        heads: the result of :func:`heads_of`.
        input: (batch, inputs).
        h: state before, (batch, units).
        timespan: (batch, 1).
    """
    for units, weight, bias in heads:
        values = F.linear(features(network, torch.cat([input, h], -1)), weight, bias)
        A, w_tau = (p if p is None or units is None else p[units] for p in (network.A, network.w_tau))
        new = combine(network.mode, values, timespan, A, w_tau)
        h = new if units is None else h.index_copy(-1, units, new)
        yield units, values, h


def sample(network: Network, heads: list[Layer], values: Tensor, state: State, timespan: Tensor) -> State:
    """State after one sample.

    Args:
        network: parameters and settings.
        heads: the result of :func:`heads_of`.
        values: (batch, inputs).
        state: state before, (batch, units), and with a memory cell its state too.
        timespan: (batch, 1), or any shape that broadcasts with the state.
    """
    if network.cell is not None:
        state = lstm_cell(network.cell, values, *state)
    h, *cell = state
    *_, (_, _, new) = evaluate(network, heads, values, h, timespan)
    return new, *cell


def unroll(inputs: Inputs, initial: Tensor, network: Network) -> Tensor:
    """States after every sample, (batch, time, units), with a memory cell (batch, time, 2 * units).

    Args:
        inputs: the sequences.
        initial: (batch, units); with a memory cell (batch, 2 * units), state and cell state concatenated.
        network: parameters and settings.
    """
    parts = 1 if network.cell is None else 2
    heads = heads_of(network, inputs.values.shape[-1], initial.shape[-1] // parts)

    def update(inputs: Inputs, state: State) -> State:
        return sample(network, heads, inputs.values, state, inputs.timespans)

    states, _ = loop.unroll(update, inputs, tuple(part.contiguous() for part in initial.chunk(parts, -1)))
    return torch.cat(states, -1)
