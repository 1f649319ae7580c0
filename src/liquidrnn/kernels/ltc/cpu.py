"""The kernel of the LTC recurrence in the compiled module; `cpp/ltc.hpp` is its mathematics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.compiled import capsules, gradients_of_rows, rows
from liquidrnn.kernels.loop import Inputs
from liquidrnn.kernels.ltc.reference import Equation, Sigmoids
from liquidrnn.kernels.operator import Gradients, Kernel, Maps, StreamBuffers, StreamKernel


def _groups(inputs: Inputs, initial: Tensor, equation: Equation) -> tuple[Any, ...]:
    membrane, internal, sensory, unfolds = equation
    return rows(inputs, initial), capsules(membrane), _synapses(internal), _synapses(sensory), unfolds


def _synapses(synapses: Sigmoids) -> tuple[Any, ...]:
    pre, post, *parameters = capsules(synapses)
    return pre, post, parameters


def _numbers(inputs: Inputs, initial: Tensor, equation: Equation) -> int:
    # Two for each solver step of each unit.
    return 2 * equation.unfolds * initial.shape[1]


def _forward(inputs: Inputs, initial: Tensor, equation: Equation, states: Tensor, kept: Tensor) -> None:
    module.ltc_forward(*_groups(inputs, initial, equation), torch.get_num_threads(), *capsules((states, kept)))


def _backward(
    inputs: Inputs,
    initial: Tensor,
    equation: Equation,
    states: Tensor,
    kept: Tensor,
    upstream: Tensor,
    gradients: Gradients,
) -> None:
    membrane, internal, sensory, _ = gradients.equation
    filled = capsules(membrane), capsules(internal[2:]), capsules(sensory[2:])
    module.ltc_backward(
        *_groups(inputs, initial, equation),
        torch.get_num_threads(),
        *capsules((states, kept, upstream)),
        gradients_of_rows(*gradients[:2]),
        *filled,
    )


def _stream(buffers: StreamBuffers, equation: Equation, maps: Maps, outputs: int) -> StreamKernel:
    groups = _groups(Inputs(buffers.values, buffers.timespans), buffers.state, equation)
    return module.ltc_stream(*groups, *map(capsules, maps), outputs)


KERNEL = Kernel(_numbers, _forward, _backward, _stream, partly=True)
