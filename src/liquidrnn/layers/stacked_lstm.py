"""LSTM layers of different widths as one layer, for networks with the widths of a neural circuit policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from liquidrnn.arguments import choice, positive_int
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.kernels.operator import StreamBuffers
from liquidrnn.recurrence import FusedRecurrence, Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, within
from liquidrnn.wirings import NCP, AutoNCP, Recipe

Time = Literal["ignore", "append"] | None


class StackedLSTM(RecurrentLayer):
    r"""Applies LSTMs of different widths, one on top of another, to a sequence.

    With the sizes of a neural circuit policy's inter, command and motor neurons, this is the network that remains of
    one when its synapses are replaced by gates: a control for sparse wirings.

    .. math::
        h^1_t, c^1_t = \mathrm{LSTM}_1(u_t, (h^1_{t-1}, c^1_{t-1})), \qquad
        h^k_t, c^k_t = \mathrm{LSTM}_k(h^{k-1}_t, (h^k_{t-1}, c^k_{t-1}))

    The output is that of the last. A layer of equal widths is ``LSTM(..., num_layers=k)``. ``time`` is as in
    :class:`liquidrnn.MinGRU`; "append" appends the span to what each of the LSTMs reads.

    Args:
        input_size: features of one sample.
        hidden_size: widths of the LSTMs, the one that reads the input first; or ``wirings.AutoNCP(...)`` or
            ``wirings.NCP(...)`` for the numbers of their inter, command and motor neurons.
        num_layers: layers of this kind stacked on one another.
        time: how ``timespans`` are used: None, "ignore" or "append".
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are pairs (h, c), each (..., sum of widths),
        in the order of the widths. ``cells.k``: parameters as in ``torch.nn.LSTMCell``, uniform in
        :math:`\pm N^{-1/2}` for N units.

    A trace (``return_trace=True``) holds "gate", the forget gates, and "tau", :math:`-\Delta t / \ln(gate)`.

    Source: torch.nn.LSTM; Lechner et al., Neural circuit policies enabling auditable autonomy, Nature Machine
    Intelligence 2020, for the widths.

    Example:
        >>> layer = StackedLSTM(16, lr.wirings.AutoNCP(19, outputs=1), batch_first=True)
        >>> output, (h_n, c_n) = layer(torch.randn(5, 100, 16))
        >>> output.shape, h_n.shape
        (torch.Size([5, 100, 1]), torch.Size([1, 5, 19]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Sequence[int] | NCP | AutoNCP,
        num_layers: int = 1,
        *,
        time: Time = None,
        **stacking: Unpack[Stacking],
    ):
        choice("time", time, ("ignore", "append", None))
        widths, factory = _widths(hidden_size), factory_of(stacking)

        def build(width: int) -> Recurrence:
            return _Stack(width, widths, time, factory)

        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time


def _widths(hidden_size: Sequence[int] | NCP | AutoNCP) -> tuple[int, ...]:
    if isinstance(hidden_size, AutoNCP):
        hidden_size = hidden_size.ncp
    if isinstance(hidden_size, NCP):
        return hidden_size.inter, hidden_size.command, hidden_size.motor
    if isinstance(hidden_size, str | Recipe) or not isinstance(hidden_size, Sequence) or not hidden_size:
        raise TypeError(
            "hidden_size must be widths, such as (12, 6, 1), or a recipe wirings.AutoNCP or wirings.NCP, but got "
            f"{hidden_size!r}"
        )
    return tuple(positive_int(f"hidden_size[{place}]", width) for place, width in enumerate(hidden_size))


class _CellRecurrence(FusedRecurrence):
    """One LSTM of the stack."""

    operator = gated.operator

    def __init__(self, input_size: int, units: int, appends: bool, factory: Factory):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, units, units
        self.state_sizes, self.num_synapses, self.appends = (units, units), units * (input_size + units), appends
        uniform = partial(within, units**-0.5, **factory)
        self.weight_ih, self.weight_hh = uniform(4 * units, input_size + appends), uniform(4 * units, units)
        self.bias_ih, self.bias_hh = uniform(4 * units), uniform(4 * units)

    def coefficients(self) -> Cell:
        return Cell(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, kind="LSTM", appends=self.appends)

    def explain(self, equation: Cell, inputs: Inputs, state: State) -> Trace:
        return gated.reference.explain(equation, inputs, state)


class _Stack(FusedRecurrence):
    """The LSTMs, each of which reads whole sequences of the one below."""

    operator = gated.operator

    def __init__(self, input_size: int, widths: tuple[int, ...], time: Time, factory: Factory):
        super().__init__()
        self.widths = widths
        below = (input_size, *widths)
        cells = [_CellRecurrence(*ends, time == "append", factory) for ends in zip(below, widths, strict=False)]
        self.cells = nn.ModuleList(cells)
        self.input_size, self.hidden_size, self.output_size = input_size, sum(widths), widths[-1]
        self.state_sizes, self.uses_timespans = (self.hidden_size, self.hidden_size), time is not None
        self.num_synapses = sum(cell.num_synapses for cell in cells)

    def run_on(self, backend: str | None) -> None:
        super().run_on(backend)
        for cell, _ in self._with_state(()):
            cell.run_on(backend)

    def stream(self, buffers: StreamBuffers) -> None:
        return None

    def coefficients(self) -> tuple[Any, ...]:
        return tuple(cell(cell.coefficients) for cell, _ in self._with_state(()))

    def _with_state(self, state: State) -> Iterator[tuple[_CellRecurrence, State]]:
        """Each LSTM with its part of a state."""
        parts = [part.split(self.widths, -1) for part in state]
        for place, cell in enumerate(self.cells):
            assert isinstance(cell, _CellRecurrence)
            yield cell, tuple(part[place].contiguous() for part in parts)

    def unroll(self, inputs: Inputs, state: State) -> tuple[State, State]:
        states, ends = [], []
        for cell, start in self._with_state(state):
            parts, end = cell(cell.unroll, inputs, start)
            states.append(parts)
            ends.append(end)
            inputs = inputs._replace(values=parts[0], observed=None)
        return _joined(states), _joined(ends)

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        states = []
        for (cell, start), own in zip(self._with_state(state), coefficients, strict=True):
            states.append(cell.update(own, inputs, start))
            inputs = inputs._replace(values=states[-1][0], observed=None)
        return _joined(states)

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        states, traces = [], []
        for (cell, start), own in zip(self._with_state(state), coefficients, strict=True):
            updated, trace = cell.examine(own, inputs, start)
            states.append(updated)
            traces.append(trace)
            inputs = inputs._replace(values=updated[0], observed=None)
        return _joined(states), {name: torch.cat([trace[name] for trace in traces], -1) for name in traces[0]}

    def trace(self, inputs: Inputs, state: State) -> tuple[State, State, Trace]:
        return Recurrence.trace(self, inputs, state)

    def output(self, inputs: Inputs, states: State) -> Tensor:
        """The state of the last LSTM."""
        return states[0][..., -self.output_size :]


def _joined(states: list[State]) -> State:
    """The parts of several states, each concatenated."""
    return tuple(torch.cat(parts, -1) for parts in zip(*states, strict=True))
