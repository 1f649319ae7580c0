"""The kernel of gated recurrences in the compiled module; `cpp/gated.hpp` and `cpp/cells.hpp` are its mathematics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from liquidrnn.kernels import cpu as module
from liquidrnn.kernels.compiled import capsules, gradients_of_rows, rows
from liquidrnn.kernels.gated.reference import GATES, SOLVERS, Cell
from liquidrnn.kernels.loop import Inputs
from liquidrnn.kernels.operator import Gradients, Kernel, Maps, StreamBuffers, StreamKernel

_PARAMETERS = Cell._fields.index("kind")
_KINDS = {kind: number for number, kind in enumerate(GATES)}
_STAGES = {"semi_implicit": 1, "euler": 1, "heun": 2, "rk4": 4}


def _groups(inputs: Inputs, initial: Tensor, cell: Cell, kept: int) -> tuple[Any, ...]:
    form = _KINDS[cell.kind], cell.units, int(cell.appends), SOLVERS.index(cell.solver), cell.unfolds, kept
    observed, *parameters = capsules((inputs.observed, *cell[:_PARAMETERS]))  # type: ignore[arg-type]
    return rows(inputs, initial), observed, parameters, form


def _numbers(inputs: Inputs, initial: Tensor, cell: Cell) -> int:
    """Values of each gate, in whole cache lines."""
    line = 64 // initial.dtype.itemsize
    units, outputs = -(-cell.units // line) * line, -(-cell.outputs // line) * line
    decay = 0 if cell.rate is None else outputs
    if cell.kind == "LSTM":
        return 5 * units + decay + (0 if cell.weight_hr is None else outputs)
    if cell.kind == "CT_RNN":
        return (1 + cell.unfolds * _STAGES[cell.solver]) * units
    return (1 if cell.kind.startswith("RNN") else 4) * units + decay


def _forward(inputs: Inputs, initial: Tensor, cell: Cell, states: Tensor, kept: Tensor) -> None:
    numbers = kept.shape[2] if kept.shape[1] else 0
    outputs = capsules((states, kept))
    module.gated_forward(*_groups(inputs, initial, cell, numbers), torch.get_num_threads(), *outputs)


def _backward(
    inputs: Inputs,
    initial: Tensor,
    cell: Cell,
    states: Tensor,
    kept: Tensor,
    upstream: Tensor,
    gradients: Gradients,
) -> None:
    module.gated_backward(
        *_groups(inputs, initial, cell, kept.shape[2]),
        torch.get_num_threads(),
        *capsules((states, kept, upstream)),
        gradients_of_rows(*gradients[:2]),
        capsules(gradients.equation[:_PARAMETERS]),
    )


def _stream(buffers: StreamBuffers, cell: Cell, maps: Maps, outputs: int) -> StreamKernel:
    inputs = Inputs(buffers.values, buffers.timespans, observed=buffers.observed)
    return module.gated_stream(*_groups(inputs, buffers.state, cell, 0), *map(capsules, maps), outputs)


KERNEL = Kernel(_numbers, _forward, _backward, _stream, spares=True)
