"""The kernel of the CfC recurrence in the compiled module; `cpp/cfc.hpp` is its mathematics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.cfc.reference import ACTIVATIONS, MODES, Network
from liquidrnn.kernels.compiled import capsules, gradients_of_rows, rows
from liquidrnn.kernels.loop import Inputs
from liquidrnn.kernels.operator import Gradients, Kernel, Maps, StreamBuffers, StreamKernel

_PARAMETERS = Network._fields.index("pre")
_TENSORS = Network._fields.index("layer_sizes")
"""How many fields are parameters, and with the indices after them tensors."""


def _groups(inputs: Inputs, initial: Tensor, network: Network, kept: int) -> tuple[Any, ...]:
    tensors: Any = capsules(network[:_TENSORS])  # type: ignore[arg-type]
    mode, activation = MODES.index(network.mode), network.activation
    form = mode, list(ACTIVATIONS).index(activation), network.backbone_units, network.backbone_layers, kept
    return rows(inputs, initial), tensors[:_PARAMETERS], tensors[_PARAMETERS:], form


def _numbers(inputs: Inputs, initial: Tensor, network: Network) -> int:
    """Outputs of every map, in whole cache lines."""
    line = 64 // initial.dtype.itemsize

    def padded(count: int) -> int:
        return -(-count // line) * line

    units = initial.shape[-1] // (1 if network.memory_ih is None else 2)
    states = sum(map(padded, network.layer_sizes or (units,)))
    heads = (1 if network.mode == "pure" else 4) * states
    cell = 0 if network.memory_ih is None else 5 * states
    return heads + network.backbone_layers * padded(network.backbone_units) + cell


def _forward(inputs: Inputs, initial: Tensor, network: Network, states: Tensor, kept: Tensor) -> None:
    numbers = kept.shape[2] if kept.shape[1] else 0
    outputs = capsules((states, kept))
    module.cfc_forward(*_groups(inputs, initial, network, numbers), torch.get_num_threads(), *outputs)


def _backward(
    inputs: Inputs,
    initial: Tensor,
    network: Network,
    states: Tensor,
    kept: Tensor,
    upstream: Tensor,
    gradients: Gradients,
) -> None:
    module.cfc_backward(
        *_groups(inputs, initial, network, kept.shape[2]),
        torch.get_num_threads(),
        *capsules((states, kept, upstream)),
        gradients_of_rows(*gradients[:2]),
        capsules(gradients.equation[:_PARAMETERS]),
    )


def _stream(buffers: StreamBuffers, network: Network, maps: Maps, outputs: int) -> StreamKernel:
    groups = _groups(Inputs(buffers.values, buffers.timespans), buffers.state, network, 0)
    return module.cfc_stream(*groups, *map(capsules, maps), outputs)


KERNEL = Kernel(_numbers, _forward, _backward, _stream)
