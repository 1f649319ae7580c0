"""The LSTM cell that a state may pass through before a recurrence's own update."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Memory(NamedTuple):
    """Its parameters, gates in the order candidate, write, forget, read.

    Attributes:
        weight_ih: (4 * units, inputs).
        weight_hh: (4 * units, units).
        bias: (4 * units,).
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor


def remember(memory: Memory, input: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """State and cell after the cell has read an input (batch, inputs); both (batch, units)."""
    gates = F.linear(input, memory.weight_ih, memory.bias) + F.linear(h, memory.weight_hh)
    candidate, write, forget, read = gates.chunk(4, 1)
    c = c * torch.sigmoid(forget + 1.0) + torch.tanh(candidate) * torch.sigmoid(write)
    return torch.tanh(c) * torch.sigmoid(read), c
