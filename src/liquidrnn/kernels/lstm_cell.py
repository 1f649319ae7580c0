"""The LSTM cell that a state may pass through before a recurrence's own update."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class CellParameters(NamedTuple):
    """Parameters of an LSTM cell; gates are in the order candidate, write, forget, read.

    Attributes:
        weight_ih: (4 * units, inputs).
        weight_hh: (4 * units, units).
        bias: (4 * units,).
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor


def lstm_cell(cell: CellParameters, input: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """State and cell state after an input (batch, inputs); both (batch, units)."""
    gates = F.linear(input, cell.weight_ih, cell.bias) + F.linear(h, cell.weight_hh)
    candidate, write, forget, read = gates.chunk(4, 1)
    c = c * torch.sigmoid(forget + 1.0) + torch.tanh(candidate) * torch.sigmoid(write)
    return torch.tanh(c) * torch.sigmoid(read), c
