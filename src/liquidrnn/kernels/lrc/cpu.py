"""The kernel of the LRC family's recurrence in the compiled module; `cpp/lrc.hpp` is its mathematics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.compiled import capsules, gradients_of_rows, rows
from liquidrnn.kernels.loop import Inputs
from liquidrnn.kernels.lrc.reference import Equation, Sigmoids
from liquidrnn.kernels.operator import Gradients, Kernel, Maps, StreamBuffers, StreamKernel


def _groups(inputs: Inputs, initial: Tensor, equation: Equation) -> tuple[Any, ...]:
    neurons, internal, sensory, explicit, unfolds = equation
    synapses = _synapses(internal), _synapses(sensory)
    return rows(inputs, initial), capsules(neurons), *synapses, explicit, unfolds


def _synapses(synapses: Sigmoids) -> tuple[Any, ...]:
    pre, post, *parameters, o = capsules(synapses)
    return (pre, post, parameters), o


def _numbers(inputs: Inputs, initial: Tensor, equation: Equation) -> int:
    # The sums of each solver step.
    return equation.unfolds * (2 if equation.neurons.bias is None else 3) * initial.shape[1]


def _forward(inputs: Inputs, initial: Tensor, equation: Equation, states: Tensor, kept: Tensor) -> None:
    outputs = capsules((states, kept if kept.shape[1] else None))
    module.lrc_forward(*_groups(inputs, initial, equation), torch.get_num_threads(), *outputs)


def _backward(
    inputs: Inputs,
    initial: Tensor,
    equation: Equation,
    states: Tensor,
    kept: Tensor,
    upstream: Tensor,
    gradients: Gradients,
) -> None:
    neurons, internal, sensory, _, _ = gradients.equation
    of_synapses = [(capsules(synapses[2:-1]), *capsules(synapses[-1:])) for synapses in (internal, sensory)]
    module.lrc_backward(
        *_groups(inputs, initial, equation),
        torch.get_num_threads(),
        *capsules((states, kept, upstream)),
        gradients_of_rows(*gradients[:2]),
        capsules(neurons),
        *of_synapses,
    )


def _stream(buffers: StreamBuffers, equation: Equation, maps: Maps, outputs: int) -> StreamKernel:
    groups = _groups(Inputs(buffers.values, buffers.timespans), buffers.state, equation)
    return module.lrc_stream(*groups, *map(capsules, maps), outputs)


KERNEL = Kernel(_numbers, _forward, _backward, _stream)
