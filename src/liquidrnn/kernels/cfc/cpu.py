"""The CfC recurrence as an operator over the compiled module; `cpp/cfc.hpp` is its mathematics."""

from __future__ import annotations

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.cfc import reference
from liquidrnn.kernels.cfc.reference import ACTIVATIONS, MODES, Network
from liquidrnn.kernels.operator import ROWS, Operator, Samples, Settings, Steps, Tensors, dense, memory

_PARAMETERS, _INDICES = Network._fields[:9], Network._fields[9:14]


def unroll(input: Tensor, initial: Tensor, timespans: Tensor, observed: Tensor | None, network: Network) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.cfc.reference.unroll`."""
    return operator(*arguments(input, initial, timespans, observed, network))


def stream(samples: Samples, network: Network, outputs: int) -> Steps:
    """One sample after another, see :class:`liquidrnn.kernels.operator.Samples`; the first units are outputs."""
    tensors, settings = memory(dense((*samples, None, *network[:14]))), arguments(*samples, None, network)[18:22]
    return module.cfc_stream(*_grouped(tensors), (*settings, 0), outputs)


def arguments(
    input: Tensor, initial: Tensor, timespans: Tensor, observed: Tensor | None, network: Network
) -> tuple[Tensor | int | None, ...]:
    """What the operator takes."""
    mode, activation = MODES.index(network.mode), list(ACTIVATIONS).index(network.activation)
    settings = (mode, activation, network.backbone_units, network.backbone_layers, _kept(initial, network))
    return (input, initial, timespans, observed, *network[:14], *settings)


def _kept(initial: Tensor, network: Network) -> int:
    """Values per sample that the backward pass needs: outputs of every map, in whole cache lines."""
    line = 64 // initial.dtype.itemsize

    def padded(count: int) -> int:
        return -(-count // line) * line

    units = initial.shape[-1] // (1 if network.memory_ih is None else 2)
    states = sum(padded(len(layer)) for layer in network.layers) if network.layers else padded(units)
    heads = (1 if network.mode == "pure" else 4) * states
    memory = 0 if network.memory_ih is None else 5 * states
    return heads + network.backbone_layers * padded(network.backbone_units) + memory


def _grouped(tensors: Tensors) -> tuple:
    """The operator's tensors as the compiled module takes them."""
    return tensors[:4], tensors[4:13], tensors[13:]


def _forward(tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor) -> None:
    form = *settings[:4], settings[4] if kept.shape[1] else 0
    module.cfc_forward(*_grouped(memory(tensors)), form, torch.get_num_threads(), *memory((states, kept)))


def _backward(
    tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor, upstream: Tensor, found: list[Tensor]
) -> None:
    filled = memory(found)
    remaining, threads = iter(filled[3:]), torch.get_num_threads()
    gradients = filled[:3], [None if p is None else next(remaining) for p in tensors[4:13]]
    module.cfc_backward(
        *_grouped(memory(tensors)), tuple(settings), threads, *memory((states, kept, upstream)), *gradients
    )


def _reference(input, initial, timespans, observed, *rest) -> Tensor:
    mode, activation, width, depth, _ = rest[14:]
    number = rest[11]
    layers = () if number is None else tuple((number == n).nonzero()[:, 0] for n in range(int(number.max()) + 1))
    network = Network(
        *rest[:14],
        layers=layers,
        mode=MODES[mode],
        activation=list(ACTIVATIONS)[activation],
        backbone_units=width,
        backbone_layers=depth,
    )
    return reference.unroll(input, initial, timespans, observed, network)


operator = Operator(
    "cfc",
    tensors=(
        *ROWS,
        *(name if name in ("weight", "bias") else f"{name}?" for name in _PARAMETERS + _INDICES),
    ),
    settings=("mode", "activation", "backbone_units", "backbone_layers", "per_sample"),
    reference=_reference,
    numbers=lambda tensors, settings: settings[4],
    forward=_forward,
    backward=_backward,
)
