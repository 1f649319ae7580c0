"""The CfC recurrence as an operator over the compiled module; `cpp/cfc.hpp` is its mathematics."""

from __future__ import annotations

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.cfc import reference
from liquidrnn.kernels.cfc.reference import ACTIVATIONS, MODES, Network
from liquidrnn.kernels.operator import Operator, Samples, Settings, Steps, Tensors, dense, memory

_PARAMETERS, _INDICES = Network._fields[:9], Network._fields[9:14]


def unroll(input: Tensor, initial: Tensor, timespans: Tensor, observed: Tensor | None, network: Network) -> Tensor:
    """States after every sample; see :func:`liquidrnn.kernels.cfc.reference.unroll`."""
    return operator(*arguments(input, initial, timespans, observed, network))


def stream(samples: Samples, network: Network, outputs: int) -> Steps:
    """One sample after another, see :class:`liquidrnn.kernels.operator.Samples`; the first units are outputs."""
    tensors, settings = memory(dense((*samples, None, *network[:14]))), arguments(*samples, None, network)[18:22]
    return module.cfc_stream(*tensors[:4], tensors[4:13], tensors[13:], (*settings, 0), outputs)


def arguments(
    input: Tensor, initial: Tensor, timespans: Tensor, observed: Tensor | None, network: Network
) -> tuple[Tensor | int | None, ...]:
    """What the operator takes."""
    mode, activation = MODES.index(network.mode), list(ACTIVATIONS).index(network.activation)
    settings = (mode, activation, network.backbone_units, network.backbone_layers, _kept(initial, network), 1)
    return (input, initial, timespans, observed, *network[:14], *settings)


def _kept(initial: Tensor, network: Network) -> int:
    """Values per sample that the way back needs: outputs of every map, in whole cache lines."""
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
    return *tensors[:4], tensors[4:13], tensors[13:]


def _shapes(tensors: Tensors, settings: Settings):
    input, initial = tensors[:2]
    assert input is not None and initial is not None
    batch, time = input.shape[:2]
    return (batch, time, initial.shape[1]), (batch * time * settings[4] * settings[5],)


def _forward(tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor) -> None:
    *form, per_sample, keep = settings
    form = *form, per_sample * keep
    module.cfc_forward(*_grouped(memory(tensors)), form, torch.get_num_threads(), *memory((states, kept)))


def _backward(
    tensors: Tensors, settings: Settings, states: Tensor, kept: Tensor, upstream: Tensor, found: list[Tensor]
) -> None:
    *form, keep = settings
    if not keep:  # as under a map over the batch
        states, kept = operator.run(*tensors, *form, 1)
    filled = iter(memory(found))
    gradients = (next(filled), next(filled), next(filled), [None if p is None else next(filled) for p in tensors[4:13]])
    threads = torch.get_num_threads()
    module.cfc_backward(*_grouped(memory(tensors)), form, threads, *memory((states, kept, upstream)), *gradients)


def _reference(input, initial, timespans, observed, *rest) -> Tensor:
    mode, activation, width, depth, _, _ = rest[14:]
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


def _bare(settings: Settings) -> Settings:
    return *settings[:5], 0


operator = Operator(
    "cfc",
    tensors=(
        *("input", "initial", "timespans", "observed?"),
        *(name if name in ("weight", "bias") else f"{name}?" for name in _PARAMETERS + _INDICES),
    ),
    settings=("mode", "activation", "backbone_units", "backbone_layers", "per_sample", "keep"),
    rows=4,
    reference=_reference,
    shapes=_shapes,
    forward=_forward,
    backward=_backward,
    bare=_bare,
)
