"""Gated recurrences in plain PyTorch: their definition, against which kernels are tested.

torch's RNN, LSTM and GRU with their gates and names, continuous-time RNNs, and GRU-D.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from liquidrnn.integrate import advance
from liquidrnn.kernels import loop
from liquidrnn.kernels.loop import Inputs, State, implicit_step


class Cell(NamedTuple):
    """Parameters and settings of a cell. N units; G gates, concatenated; R features read, P outputs.

    Attributes:
        weight_ih: (G * N, R).
        weight_hh: (G * N, P).
        bias_ih: (G * N,); None without biases.
        bias_hh: (G * N,), for torch's cells.
        weight_hr: (P, N), for an LSTM with a projected state.
        rate: (P,), rate at which the state of torch's cells decays between samples.
        tau: (N,), time constants of a CT-RNN.
        weight_mh: (3 * N, inputs), for a GRU-D, as are the rest.
        decay_weight: (inputs,), decay rate of missing features; None if no feature is ever missing.
        decay_bias: (inputs,).
        state_decay_weight: (N, inputs).
        state_decay_bias: (N,).
        mean: (inputs,), value that a missing feature decays to; None if no feature is ever missing.
        kind: one of GATES.
        appends: whether the span is appended to the features.
        solver: solver of a CT-RNN, one of SOLVERS.
        unfolds: solver steps per sample.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None
    rate: Tensor | None = None
    tau: Tensor | None = None
    weight_mh: Tensor | None = None
    decay_weight: Tensor | None = None
    decay_bias: Tensor | None = None
    state_decay_weight: Tensor | None = None
    state_decay_bias: Tensor | None = None
    mean: Tensor | None = None
    kind: str = "GRU"
    appends: bool = False
    solver: str = "semi_implicit"
    unfolds: int = 1

    @property
    def units(self) -> int:
        """Number of units."""
        return self.weight_ih.shape[0] // GATES[self.kind]

    @property
    def outputs(self) -> int:
        """Width of the output state."""
        return self.weight_hh.shape[1]

    def widths(self, width: int) -> tuple[int, ...]:
        """Width of each part of a state of this total width."""
        if self.kind == "LSTM":
            return self.outputs, self.units
        features = (width - self.units) // 2
        return (self.units, features, features) if self.kind == "GRU_D" else (self.units,)


GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3, "CT_RNN": 1, "GRU_D": 3}
"""Kinds of cells, torch's by torch's names, with the number of gates per unit."""

SOLVERS = ("semi_implicit", "euler", "heun", "rk4")
"""Solvers of CT-RNNs."""


def entering(appends: bool, rate: Tensor | None, inputs: Inputs, state: State) -> tuple[Tensor, State]:
    """Input and state of torch's cell after the span was appended and the state has decayed; see :class:`Cell`."""
    values, (h, *more) = inputs.values, state
    if appends:
        values = torch.cat([values, inputs.timespans], -1)
    if rate is not None:
        h = h * torch.exp(-rate * inputs.timespans)
    return values, (h, *more)


def _logits(cell: Cell, values: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Contributions of inputs and state to the gates."""
    return F.linear(values, cell.weight_ih, cell.bias_ih), F.linear(h, cell.weight_hh, cell.bias_hh)


def rnn(cell: Cell, inputs: Inputs, state: State) -> State:
    """``torch.nn.RNN``."""
    values, (h,) = entering(cell.appends, cell.rate, inputs, state)
    of_input, of_state = _logits(cell, values, h)
    return ((torch.tanh if cell.kind == "RNN_TANH" else torch.relu)(of_input + of_state),)


def lstm(cell: Cell, inputs: Inputs, state: State) -> State:
    """``torch.nn.LSTM``."""
    values, (h, c) = entering(cell.appends, cell.rate, inputs, state)
    of_input, of_state = _logits(cell, values, h)
    write, forget, candidate, read = (of_input + of_state).chunk(4, -1)
    c = torch.sigmoid(forget) * c + torch.sigmoid(write) * torch.tanh(candidate)
    h = torch.sigmoid(read) * torch.tanh(c)
    return (h if cell.weight_hr is None else F.linear(h, cell.weight_hr)), c


def gru(cell: Cell, inputs: Inputs, state: State) -> State:
    """``torch.nn.GRU``."""
    values, (h,) = entering(cell.appends, cell.rate, inputs, state)
    (r, z, candidate), (of_r, of_z, of_candidate) = (logits.chunk(3, -1) for logits in _logits(cell, values, h))
    z = torch.sigmoid(z + of_z)
    candidate = torch.tanh(candidate + torch.sigmoid(r + of_r) * of_candidate)
    return ((1 - z) * candidate + z * h,)


def ct_rnn(cell: Cell, inputs: Inputs, state: State) -> State:
    """The solver steps of one sample; the input is constant."""
    (x,), tau = state, cell.tau
    assert tau is not None
    drive = F.linear(inputs.values, cell.weight_ih, cell.bias_ih)
    if cell.solver == "semi_implicit":
        delta = implicit_step(inputs.timespans, cell.unfolds)
        for _ in range(cell.unfolds):
            x = (x + delta * torch.tanh(drive + F.linear(x, cell.weight_hh))) / (1 + delta / tau)
        return (x,)

    def slope(x: Tensor) -> Tensor:
        return torch.tanh(drive + F.linear(x, cell.weight_hh)) - x / tau

    return (advance(slope, x, inputs.timespans, cell.unfolds, cell.solver),)


def gru_d(cell: Cell, inputs: Inputs, state: State) -> State:
    """Che et al. 2018, equations 10 to 15."""
    return _gru_d(cell, inputs, state)[0]


def _gru_d(cell: Cell, inputs: Inputs, state: State) -> tuple[State, dict[str, Tensor]]:
    h, last, elapsed = state
    seen = torch.ones_like(inputs.values, dtype=torch.bool) if inputs.observed is None else inputs.observed
    values, age = inputs.values, inputs.timespans.expand_as(inputs.values)
    assert cell.weight_mh is not None and cell.state_decay_weight is not None
    if cell.decay_weight is not None and cell.decay_bias is not None and cell.mean is not None:
        age = elapsed + inputs.timespans
        keep = torch.exp(-F.relu(cell.decay_weight * age + cell.decay_bias))
        values = torch.where(seen, values, cell.mean + keep * last)
        last, elapsed = torch.where(seen, values - cell.mean, last), age.masked_fill(seen, 0)
    decay = torch.exp(-F.relu(F.linear(age, cell.state_decay_weight, cell.state_decay_bias)))
    h = decay * h
    read = F.linear(values, cell.weight_ih, cell.bias_ih) + F.linear(seen.to(h.dtype), cell.weight_mh)
    of_gates, of_state = cell.weight_hh.split((2 * cell.units, cell.units))
    gates, candidate = read.split((2 * cell.units, cell.units), -1)
    reset, update = torch.sigmoid(gates + F.linear(h, of_gates)).chunk(2, -1)
    candidate = torch.tanh(candidate + F.linear(reset * h, of_state))
    h = (1 - update) * h + update * candidate
    return (h, last, elapsed), {"gate": update, "decay": decay}


_EQUATIONS: dict[str, Callable[[Cell, Inputs, State], State]] = {
    "RNN_TANH": rnn,
    "RNN_RELU": rnn,
    "LSTM": lstm,
    "GRU": gru,
    "CT_RNN": ct_rnn,
    "GRU_D": gru_d,
}


def explain(cell: Cell, inputs: Inputs, state: State) -> dict[str, Tensor]:
    """Time constant and gates of one sample of each sequence, from the state before it."""
    if cell.kind == "CT_RNN":
        assert cell.tau is not None
        return {"tau": cell.tau.expand_as(state[0])}
    if cell.kind == "GRU_D":
        return _gru_d(cell, inputs, state)[1]
    if cell.kind in ("LSTM", "GRU"):
        values, (h, *_) = entering(cell.appends, cell.rate, inputs, state)
        of_input, of_state = _logits(cell, values, h)
        # The forget gate of an LSTM and the update gate of a GRU are both the second gate.
        logit = (of_input + of_state).split(cell.units, -1)[1]
        return {"gate": torch.sigmoid(logit), "tau": inputs.timespans / F.softplus(-logit)}
    return {}


def unroll(inputs: Inputs, initial: Tensor, cell: Any) -> Tensor:
    """States after every sample, (batch, time, width).

    Args:
        inputs: the sequences.
        initial: (batch, width), all parts of the state concatenated: the output state; an LSTM's cell state; a GRU-D's
            last values relative to their means, and the time since they were observed.
        cell: parameters and settings.
    """
    parts = tuple(part.contiguous() for part in initial.split(cell.widths(initial.shape[-1]), -1))
    states, _ = loop.unroll(partial(_EQUATIONS[cell.kind], cell), inputs, parts)
    return torch.cat(states, -1)
