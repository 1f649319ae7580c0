"""An update equation with its parameters, and two ways to run it: sample by sample, or a sequence as one operator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from liquidrnn.kernels import check_backend, loop
from liquidrnn.kernels.loop import Inputs, State, begun
from liquidrnn.kernels.lstm_cell import CellParameters, lstm_cell
from liquidrnn.kernels.operator import Maps, Operator, StreamBuffers, StreamKernel
from liquidrnn.synapses import drawn
from liquidrnn.wirings import Wiring

Trace: TypeAlias = dict[str, Tensor]
T = TypeVar("T")


class Recurrence(nn.Module):
    """One state-update equation with its parameters: one of a module's layers, in one direction.

    A subclass sets ``input_size``, ``hidden_size``, ``output_size``, ``state_sizes`` and ``num_synapses`` and
    implements :meth:`update`; everything else has defaults. Methods that read parameters are called through
    :meth:`forward`.

    Attributes:
        input_size: features of one sample.
        hidden_size: units.
        output_size: features of one output.
        state_sizes: width of each state tensor; ``(hidden,)``, or ``(hidden, cell)`` with a memory cell.
        state_names: name of each state tensor.
        num_synapses: number of connections, from inputs and from units.
        uses_timespans: whether spans may be passed; an equation that would ignore them refuses them.
        reads_mask: whether the equation reads which features were observed.
        exact: whether a whole sequence gives the same bits as its samples one by one; otherwise they agree to rounding.
        backend: the backend that runs it; None for the fastest.

    Example:
        A leaky integrator, as a layer of its own:

        >>> class Leaky(lr.recurrent.Recurrence):
        ...     def __init__(self, size):
        ...         super().__init__()
        ...         self.input_size = self.hidden_size = self.output_size = size
        ...         self.state_sizes, self.num_synapses = (size,), size
        ...         self.rate = torch.nn.Parameter(torch.ones(size))
        ...     def update(self, coefficients, inputs, state):
        ...         keep = torch.exp(-self.rate.abs() * inputs.timespans)
        ...         return (keep * state[0] + (1 - keep) * inputs.values,)
        >>> layer = lr.recurrent.RecurrentLayer(Leaky, 3, batch_first=True)
        >>> layer(torch.ones(2, 5, 3), timespans=0.5)[0].shape
        torch.Size([2, 5, 3])
    """

    backend: str | None = None
    uses_timespans: bool = True
    reads_mask: bool = False
    exact: bool = True
    state_names: tuple[str, ...] = ("h", "c")
    input_size: int
    hidden_size: int
    output_size: int
    state_sizes: tuple[int, ...]
    num_synapses: int

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the backends that can run it."""
        return ("reference",)

    @property
    def wiring(self) -> Wiring | None:
        """The graph of its synapses, for an equation that has one."""
        return None

    def coefficients(self) -> tuple[Any, ...]:
        """Quantities that depend only on the parameters, computed once per sequence."""
        return ()

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        """The equation: the state after one sample.

        Args:
            coefficients: the result of :meth:`coefficients`.
            inputs: one sample of each sequence, (batch, ...); none is absent.
            state: the state before the sample, a tuple of (batch, width).
        """
        raise NotImplementedError

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        """:meth:`update`, and a trace: the effective time constant ("tau") and gates, each (batch, hidden)."""
        return self.update(coefficients, inputs, state), {}

    def output(self, inputs: Inputs, states: State) -> Tensor:
        """Outputs (..., output_size) from samples (..., input_size) and the states after them, (..., width).

        An absent sample has the values of one without any observed feature, and its state is the held one.
        """
        return states[0] if states[0].shape[-1] == self.output_size else states[0][..., : self.output_size]

    def silenced(self, state: State, units: Tensor) -> State:
        """A state in which some units are 0.

        Args:
            state: a tuple of (..., width).
            units: their numbers, int64 (k,).
        """
        if set(self.state_sizes) != {self.hidden_size}:
            raise ValueError(
                f"units must each have a number in every part of the state to be silenced, but this "
                f"{type(self).__name__} has {self.hidden_size} units and parts of {self.state_sizes}"
            )
        return tuple(part.index_fill(-1, units, 0.0) for part in state)

    def run_on(self, backend: str | None) -> None:
        """Sets the backend."""
        check_backend(backend, self.kernels, f"this {type(self).__name__}")
        self.backend = backend

    def stream(self, buffers: StreamBuffers) -> StreamKernel | None:
        """A compiled stream over these buffers with the current parameters; None if there is no compiled kernel."""
        return None

    def restrict(self, wiring: Wiring) -> None:
        """Removes the synapses that ``wiring`` lacks, with their parameters."""
        raise TypeError(f"{type(self).__name__} has no wiring to restrict")

    def unroll(self, inputs: Inputs, state: State) -> tuple[State, State]:
        """Applies the update to all samples of sequences.

        Args:
            inputs: the sequences.
            state: the state before the first sample, a tuple of (batch, width).

        Returns:
            The parts of the state after each sample, (batch, time, width), at least those that :meth:`output` reads;
            and the last state.
        """
        return loop.unroll(partial(self.update, self.coefficients()), inputs, state)

    def trace(self, inputs: Inputs, state: State) -> tuple[State, State, Trace]:
        """:meth:`unroll`, with the trace of :meth:`examine` at every sample, (batch, time, hidden)."""
        coefficients, steps = self.coefficients(), []

        def update(inputs: Inputs, state: State) -> State:
            updated, step = self.examine(coefficients, inputs, state)
            steps.append(step)
            return updated

        states, end = loop.unroll(update, inputs, state)
        trace = {name: torch.stack([step[name] for step in steps], 1) for name in (steps[0] if steps else ())}
        return states, end, _where_present(trace, inputs)

    def read(self, inputs: Inputs, state: State, return_trace: bool = False) -> tuple[Tensor, State, Trace]:
        """Outputs of a sequence (batch, time, output_size), the last state, and a trace if ``return_trace``."""
        trace: Trace = {}
        if return_trace:
            states, end, trace = self.trace(inputs, state)
            trace["state"] = states[0]
        else:
            states, end = self.unroll(inputs, state)
        return self.output(inputs, states), end, trace

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        """The output of one sample of each sequence, and the state after it."""
        state = self.update(self.coefficients(), inputs, state)
        return self.output(inputs, state), state

    def forward(self, method: Callable[..., T], *arguments) -> T:
        """Calls ``method(*arguments)`` (:meth:`read`, :meth:`step`, :meth:`stream` or :meth:`output`) as a module call.

        So the module's hooks run before any parameter is read. Hooks that compute parameters (``torch.nn.utils.prune``,
        the older ``weight_norm``) or gather them (``fully_shard``) depend on that.
        """
        return method(*arguments)


class FusedRecurrence(Recurrence):
    """A recurrence that runs a whole sequence as one operator, which has a kernel on some devices.

    A subclass sets :attr:`operator` and returns the operator's equation from :meth:`coefficients`. If it is not
    :meth:`fused`, the next class in the method resolution order runs the sequence sample by sample.
    """

    operator: ClassVar[Operator]

    @property
    def kernels(self) -> tuple[str, ...]:
        """The reference, the compiled kernel, and others that were registered."""
        return tuple(dict.fromkeys(("reference", "cpu", *self.operator.kernels)))

    def fused(self) -> bool:
        """Whether the operator computes the same as the submodules of this recurrence would, called one by one."""
        return True

    def sense(self, values: Tensor) -> Tensor:
        """The operator's input, computed from the values (..., input_size)."""
        return values

    def maps(self) -> Maps:
        """:meth:`sense` and :meth:`output` in the form that a compiled stream takes."""
        return Maps()

    def explain(self, equation: Any, inputs: Inputs, state: State) -> Trace:
        """The trace of many samples (samples, ...), given the states before them."""
        return {}

    def _states(self, equation: Any, inputs: Inputs, state: State) -> Tensor:
        """All parts of the state, concatenated, (batch, time, sum of widths)."""
        values, timespans, present, observed, reset = inputs
        inputs = Inputs(self.sense(values), timespans, present, observed if self.reads_mask else None, reset)
        return self.operator(inputs, _joined(state), equation, self.backend)

    def unroll(self, inputs: Inputs, state: State) -> tuple[State, State]:
        """See :meth:`Recurrence.unroll`."""
        if not self.fused():
            return super().unroll(inputs, state)
        states = self._states(self.coefficients(), inputs, state)
        end = self._parts(states[:, -1]) if states.shape[1] else state
        return self._parts(states), end

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        """Runs a sequence of one sample, so that streaming gives the same bits as the whole sequence."""
        if not self.fused():
            return super().update(coefficients, inputs, state)
        sequence = inputs.mapped(lambda part: part.unsqueeze(1))
        return self._parts(self._states(coefficients, sequence, state).squeeze(1))

    def trace(self, inputs: Inputs, state: State) -> tuple[State, State, Trace]:
        """:meth:`unroll`, with the trace of :meth:`explain` at every sample."""
        if not self.fused():
            return super().trace(inputs, state)
        equation = self.coefficients()
        states = self._states(equation, inputs, state)
        if not states.shape[1]:
            before, end = states, state
        else:
            before, end = torch.cat([_joined(state).unsqueeze(1), states[:, :-1]], 1), self._parts(states[:, -1])
        if inputs.reset is not None:
            (before,) = begun((before,), inputs.reset)
        samples = inputs.mapped(lambda part: part.flatten(0, 1))
        trace = self.explain(equation, samples, self._parts(before.flatten(0, 1)))
        trace = {name: value.unflatten(0, states.shape[:2]) for name, value in trace.items()}
        return self._parts(states), end, _where_present(trace, inputs)

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        """:meth:`update`, and the trace of :meth:`explain`."""
        if not self.fused():
            return super().examine(coefficients, inputs, state)
        return self.update(coefficients, inputs, state), self.explain(coefficients, inputs, state)

    def stream(self, buffers: StreamBuffers) -> StreamKernel | None:
        """See :meth:`Recurrence.stream`."""
        if not self.fused():
            return None
        with torch.no_grad():
            return self.operator.stream(buffers, self.coefficients(), self.maps(), self.output_size, self.backend)

    def _parts(self, states: Tensor) -> State:
        return tuple(states.split(self.state_sizes, -1)) if len(self.state_sizes) > 1 else (states,)


def _joined(state: State) -> Tensor:
    return state[0] if len(state) == 1 else torch.cat(state, -1)


def _where_present(trace: Trace, inputs: Inputs) -> Trace:
    """A trace with NaN where a sample is absent."""
    if inputs.present is None:
        return trace
    return {name: values.where(inputs.present, torch.nan) for name, values in trace.items()}


class MixedMemory(Recurrence):
    r"""A recurrence whose state passes through an LSTM cell first, to carry gradients over long times.

    .. math::
        (h', c_t) = \mathrm{LSTM}(u_t, (h_{t-1}, c_{t-1})), \qquad h_t = \mathrm{update}(u_t, h', \Delta t)

    The cell's forget gate has a constant bias of one; its recurrent weights start orthogonal. The memory
    :math:`c` does not decay with time.

    Source: Lechner and Hasani, Learning Long-Term Dependencies in Irregularly-Sampled Time Series, 2020
    (arXiv 2006.04418), in the form used with LTC and CfC networks (CfC paper, section 4, "CfC-mmRNN").
    """

    def __init__(self, inner: Recurrence, generator: torch.Generator | None, device=None, dtype=None):
        super().__init__()
        if len(inner.state_sizes) != 1:
            raise ValueError("mixed_memory needs a recurrence with a single state tensor")
        self.inner = inner
        self.input_size, self.hidden_size, self.output_size = inner.input_size, inner.hidden_size, inner.output_size
        self.state_sizes = (inner.hidden_size, inner.hidden_size)
        units = inner.hidden_size
        factory = {"generator": generator, "device": device, "dtype": dtype}
        self.weight_ih = nn.Parameter(drawn(nn.init.xavier_uniform_, 4 * units, inner.input_size, **factory))
        self.weight_hh = nn.Parameter(drawn(nn.init.orthogonal_, 4 * units, units, **factory))
        self.bias = nn.Parameter(drawn(nn.init.uniform_, 4 * units, **factory) * 0.2 - 0.1)

    @property
    def wiring(self) -> Wiring | None:
        """That of the wrapped recurrence."""
        return self.inner.wiring

    @property
    def cell(self) -> CellParameters:
        """Parameters of the cell."""
        return CellParameters(self.weight_ih, self.weight_hh, self.bias)

    def coefficients(self) -> tuple[Any, ...]:
        """That of the wrapped recurrence."""
        return self.inner.coefficients()

    def update(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> State:
        """The LSTM cell, then the wrapped recurrence."""
        h, c = lstm_cell(self.cell, inputs.values, *state)
        return *self.inner.update(coefficients, inputs, (h,)), c

    def examine(self, coefficients: tuple[Any, ...], inputs: Inputs, state: State) -> tuple[State, Trace]:
        """The trace of the wrapped recurrence at the state that the cell returns."""
        h, c = lstm_cell(self.cell, inputs.values, *state)
        (h,), trace = self.inner.examine(coefficients, inputs, (h,))
        return (h, c), trace

    def output(self, inputs: Inputs, states: State) -> Tensor:
        """That of the wrapped recurrence."""
        return self.inner.output(inputs, states[:1])

    def forward(self, method: Callable[..., T], *arguments) -> T:
        """See :meth:`Recurrence.forward`; the wrapped recurrence's hooks run too."""
        return self.inner(method, *arguments)

    @property
    def num_synapses(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the wrapped recurrence."""
        return self.inner.num_synapses

    def restrict(self, wiring: Wiring) -> None:
        """That of the wrapped recurrence."""
        self.inner.restrict(wiring)

    def run_on(self, backend: str | None) -> None:
        """That of the wrapped recurrence."""
        self.inner.run_on(backend)
