"""The main idea of the library: a state-update equation, unrolled over unevenly spaced samples.

Two classes share the work:

- :class:`Recurrence` is one update equation with its parameters: one level, in one direction. A layer's file
  supplies it, as little more than its equation.
- :class:`RecurrentLayer` is the module that stands where ``torch.nn.LSTM`` stood. It stacks recurrences into
  levels and directions and does, once and for all layers, what has nothing to do with the equation: batch
  order, packed sequences, time spans, masks, initial states, dropout, readout and every argument check.

Inside, there is one layout, (batch, time, feature). Time and masks are brought into their final form once, at
the edge: a :class:`Recurrence` sees a span for every sample, and which samples are there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self, TypeAlias, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from liquidrnn.synapses import drawn
from liquidrnn.wirings import Wiring

State: TypeAlias = tuple[Tensor, ...]
Trace: TypeAlias = dict[str, Tensor]


class Stacking(TypedDict, total=False):
    """Keyword arguments every layer takes, besides those of its equation.

    Attributes:
        batch_first: ``input``, ``output``, ``timespans`` and ``mask`` are (batch, time, ...) instead of
            torch's default (time, batch, ...).
        bidirectional: a second recurrence per level reads the sequence backwards; outputs are concatenated.
        dropout: probability of zeroing an output between two levels, in training; needs ``num_layers`` > 1.
        output_size: a learned linear readout of this width after the last level; None returns the states
            themselves (of the motor neurons, with a wiring that has some).
        generator: source of randomness for wiring, polarity and initial values; torch's own by default.
        device: where parameters live, as in torch.
        dtype: floating-point type of the parameters, as in torch.
    """

    batch_first: bool
    bidirectional: bool
    dropout: float
    output_size: int | None
    generator: torch.Generator | None
    device: torch.device | str | None
    dtype: torch.dtype | None


class Recurrence(nn.Module):
    """One state-update equation with its parameters: one level of a layer, in one direction.

    A subclass sets ``input_size``, ``hidden_size``, ``output_size`` and ``state_sizes`` and implements
    :meth:`update`; the rest has defaults.

    Attributes:
        input_size: features of one sample.
        hidden_size: units, that is, the width of the first state tensor.
        output_size: features of one output.
        state_sizes: width of each state tensor; ``(hidden,)``, or ``(hidden, cell)`` with a memory cell.
        num_synapses: connections that exist, from inputs and from units.
        wiring: the graph of them, for an equation that has one.
    """

    input_size: int
    hidden_size: int
    output_size: int
    state_sizes: tuple[int, ...]
    num_synapses: int
    wiring: Wiring | None = None

    def coefficients(self) -> tuple[Tensor, ...]:
        """What the equation needs of the parameters and does not change along a sequence."""
        return ()

    def update(self, coefficients: tuple[Tensor, ...], input: Tensor, state: State, timespan: Tensor) -> State:
        """The equation: state after one sample.

        Args:
            coefficients: what :meth:`coefficients` returned.
            input: (batch, input_size).
            state: tuple of (batch, width).
            timespan: (batch, 1), time since the previous sample.
        """
        raise NotImplementedError

    def readout(self, states: Tensor) -> Tensor:
        """Outputs (..., output_size) from the first state tensor (..., hidden_size), elementwise in time."""
        return states[..., : self.output_size]

    def describe(self, coefficients: tuple[Tensor, ...], input: Tensor, state: State, timespan: Tensor) -> Trace:
        """Effective time constant ("tau") and gates of the update about to be made, each (batch, hidden)."""
        return {}

    def restrict(self, wiring: Wiring) -> None:
        """Keeps of the synapses, and of their parameters, those that ``wiring`` has."""
        raise TypeError(f"{type(self).__name__} has no wiring to restrict")

    def unroll(self, input: Tensor, state: State, timespans: Tensor, observed: Tensor | None) -> tuple[Tensor, State]:
        """All updates of a sequence.

        Args:
            input: (batch, time, input_size).
            state: initial state, tuple of (batch, width).
            timespans: (batch, time, 1).
            observed: bool (batch, time, 1), False where no sample is there and the state is held; or None.

        Returns:
            The first state tensor after each sample, (batch, time, hidden), and the last state.
        """
        coefficients = self.coefficients()
        states = []
        for t in range(input.shape[1]):
            updated = self.update(coefficients, input[:, t], state, timespans[:, t])
            state = updated if observed is None else hold(observed[:, t], updated, state)
            states.append(state[0])
        return (torch.stack(states, 1) if states else input.new_empty(input.shape[0], 0, self.hidden_size)), state

    def trace(self, input: Tensor, state: State, timespans: Tensor, observed: Tensor | None) -> Trace:
        """What :meth:`describe` says at every sample, (batch, time, hidden); NaN where no sample is there."""
        coefficients = self.coefficients()
        steps: list[Trace] = []
        for t in range(input.shape[1]):
            step = self.describe(coefficients, input[:, t], state, timespans[:, t])
            updated = self.update(coefficients, input[:, t], state, timespans[:, t])
            if observed is not None:
                step = {name: value.where(observed[:, t], torch.nan) for name, value in step.items()}
                updated = hold(observed[:, t], updated, state)
            state = updated
            steps.append(step | {"state": state[0]})
        return {name: torch.stack([step[name] for step in steps], 1) for name in steps[0]} if steps else {}


def hold(observed: Tensor, updated: State, state: State) -> State:
    """The updated state where a sample is there, the old one elsewhere."""
    return tuple(torch.where(observed, new, old) for new, old in zip(updated, state, strict=True))


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
        self.input_size, self.hidden_size, self.output_size = (
            inner.input_size,
            inner.hidden_size,
            inner.output_size,
        )
        self.state_sizes = (inner.hidden_size, inner.hidden_size)
        self.num_synapses, self.wiring = inner.num_synapses, inner.wiring
        units = inner.hidden_size
        factory = {"generator": generator, "device": device, "dtype": dtype}
        self.weight_ih = nn.Parameter(drawn(nn.init.xavier_uniform_, 4 * units, inner.input_size, **factory))
        self.weight_hh = nn.Parameter(drawn(nn.init.orthogonal_, 4 * units, units, **factory))
        self.bias = nn.Parameter(drawn(nn.init.uniform_, 4 * units, **factory) * 0.2 - 0.1)

    def coefficients(self) -> tuple[Tensor, ...]:
        """Of the recurrence within."""
        return self.inner.coefficients()

    def _remember(self, input: Tensor, state: State) -> State:
        h, c = state
        gates = F.linear(input, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)
        candidate, write, forget, read = gates.chunk(4, 1)
        c = c * torch.sigmoid(forget + 1.0) + torch.tanh(candidate) * torch.sigmoid(write)
        return torch.tanh(c) * torch.sigmoid(read), c

    def update(self, coefficients, input, state, timespan):
        """The LSTM cell, then the recurrence within."""
        h, c = self._remember(input, state)
        (h,) = self.inner.update(coefficients, input, (h,), timespan)
        return h, c

    def restrict(self, wiring: Wiring) -> None:
        """Of the recurrence within."""
        self.inner.restrict(wiring)
        self.wiring, self.num_synapses = self.inner.wiring, self.inner.num_synapses

    def readout(self, states: Tensor) -> Tensor:
        """Of the recurrence within."""
        return self.inner.readout(states)

    def describe(self, coefficients, input, state, timespan):
        """Of the recurrence within, at the state that the cell hands it."""
        h, _ = self._remember(input, state)
        return self.inner.describe(coefficients, input, (h,), timespan)


class RecurrentLayer(nn.Module):
    """A state-update equation unrolled over unevenly spaced samples: the one contract of all layers.

    ``output, h_n = layer(input, hx=None, *, timespans=None, mask=None)`` works as ``torch.nn.LSTM`` does:
    ``input`` is (time, batch, input_size), or (batch, time, input_size) with ``batch_first=True``, or
    (time, input_size) without a batch, or a ``PackedSequence``; ``hx`` and ``h_n`` are
    (num_layers * num_directions, batch, width), a pair of such tensors for layers with a memory cell.

    **Time.** ``timespans`` is the time since the previous sample, in the unit for which the layer's constants
    are meant (1 is a typical step): a number, (time,), or in the layout of ``input`` (batch, time) or
    (batch, time, 1). None means 1 everywhere. The first span of a sequence is the time since ``hx`` was valid. A
    zero span leaves the state of a layer defined by an ODE exactly as it was. :func:`timespans_from_timestamps`
    makes spans from timestamps.

    **Missing data.** ``mask`` is True where a value was observed, in the layout of ``input``: (batch, time) or
    (batch, time, feature). An unobserved feature is read as 0, whatever stands there, NaN included: the mean of
    a standardised feature. A sample without any observed feature is absent: its state is held and repeated, its
    span is added to the span of the next observed sample. The result is that of the sequence with the absent
    samples removed, so padding marked by the mask never changes anything.

    **Backward direction.** The span of a sample is then the time to the next observed sample; the sample that is
    read first, the last one, has the span of the sequence's first.

    Under autocast a recurrence computes in the type of its parameters: a state is a long sum.

    Attributes:
        input_size: features of one sample.
        hidden_size: units of each level.
        output_size: features of one output.
        num_layers: levels stacked on one another.
        num_directions: 2 if bidirectional, else 1.
        batch_first: whether batch comes before time.
        dropout: probability of dropout between levels.
    """

    def __init__(
        self,
        build: Callable[[int], Recurrence],
        input_size: int,
        num_layers: int = 1,
        *,
        mixed_memory: bool = False,
        batch_first: bool = False,
        bidirectional: bool = False,
        dropout: float = 0.0,
        output_size: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        """Stacks recurrences.

        Args:
            build: makes a recurrence for a number of input features; called once per level and direction.
            input_size: features of one sample.
            num_layers: levels stacked on one another.
            mixed_memory: put :class:`MixedMemory` around every recurrence.
            batch_first: see :class:`Stacking`, as all that follow.
            bidirectional: see :class:`Stacking`.
            dropout: see :class:`Stacking`.
            output_size: see :class:`Stacking`.
            generator: see :class:`Stacking`.
            device: see :class:`Stacking`.
            dtype: see :class:`Stacking`.
        """
        super().__init__()
        positive_int("input_size", input_size)
        positive_int("num_layers", num_layers)
        if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a probability in [0, 1], but got {dropout!r}")
        if dropout and num_layers == 1:
            raise ValueError(
                f"dropout acts between levels and has no effect with num_layers=1, but got dropout={dropout}; "
                "use num_layers >= 2, or put torch.nn.Dropout after the layer"
            )
        self.input_size, self.num_layers, self.num_directions = (
            input_size,
            num_layers,
            1 + bool(bidirectional),
        )
        self.batch_first, self.dropout = batch_first, float(dropout)
        self.levels = nn.ModuleList()
        width = input_size
        for _ in range(num_layers):
            level = [build(width) for _ in range(self.num_directions)]
            if mixed_memory:
                level = [MixedMemory(recurrence, generator, device, dtype) for recurrence in level]
            self.levels.append(nn.ModuleList(level))
            width = level[0].output_size * self.num_directions
        self.hidden_size = self.recurrences[0].hidden_size
        self.readout: nn.Linear | None = None
        if output_size is not None:
            positive_int("output_size", output_size)
            self.readout = nn.Linear(width, output_size, device=device, dtype=dtype)
            bound = width**-0.5
            for parameter in self.readout.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
        self.output_size = width if output_size is None else output_size

    @property
    def recurrences(self) -> list[Recurrence]:
        """All recurrences, in the order of ``hx``: level by level, forward before backward."""
        return [recurrence for level in self.levels for recurrence in level]  # type: ignore[union-attr]

    @property
    def num_synapses(self) -> int:
        """Connections that exist, over all levels and directions: from inputs to units and among units."""
        return sum(recurrence.num_synapses for recurrence in self.recurrences)

    @property
    def wiring(self) -> Wiring:
        """The graph of a layer with a single level and direction; :attr:`recurrences` hold those of others."""
        first = self.recurrences[0].wiring
        if first is None or len(self.recurrences) > 1:
            why = "no wiring" if first is None else f"{len(self.recurrences)} wirings, see its recurrences"
            raise ValueError(f"this {type(self).__name__} has {why}")
        return first

    def lesioned(self, wiring: Wiring) -> Self:
        """A copy of the layer, trained parameters included, with fewer synapses.

        Args:
            wiring: this layer's wiring after :meth:`liquidrnn.wirings.Wiring.ablate` or
                :meth:`liquidrnn.wirings.Wiring.prune`.

        Raises:
            ValueError: the layer has no wiring, or several; or ``wiring`` has a synapse that this layer lacks.

        Example:
            >>> layer = lr.LTC(4, lr.wirings.AutoNCP(12, outputs=2), batch_first=True)
            >>> without = layer.lesioned(layer.wiring.ablate(neurons=[5]))
            >>> without.num_synapses < layer.num_synapses
            True
        """
        mine = self.wiring
        for name in ("adjacency", "sensory_adjacency"):
            old, new = getattr(mine, name), getattr(wiring, name)
            if old.shape != new.shape or (new[old == 0] != 0).any():
                raise ValueError(
                    f"wiring must have no synapse that the layer lacks, but its {name} {new.shape} has one: "
                    "start from layer.wiring and remove"
                )
        copied = copy.deepcopy(self)
        copied.recurrences[0].restrict(wiring)
        return copied

    def extra_repr(self) -> str:
        """The layer in one line: sizes, what differs from the defaults, and what it costs."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [f"num_layers={self.num_layers}"] * (self.num_layers > 1)
        parts += ["bidirectional=True"] * (self.num_directions > 1)
        parts += [f"dropout={self.dropout:g}"] * bool(self.dropout)
        parts += ["batch_first=True"] * self.batch_first
        parameters = sum(p.numel() for p in self.parameters())
        parts.append(f"output_size={self.output_size}")
        return ", ".join(parts) + f"; {parameters:,} parameters, {self.num_synapses:,} synapses"

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | State | None = None,
        *,
        timespans: Tensor | float | PackedSequence | None = None,
        mask: Tensor | None = None,
        return_tau: bool = False,
    ):
        """Reads whole sequences.

        Args:
            input: (time, batch, input_size), (batch, time, input_size) if ``batch_first``, (time, input_size), or a
                ``PackedSequence``.
            hx: initial state (num_layers * num_directions, batch, width), without batch for unbatched input; a pair
                for layers with a memory cell; None is zero.
            timespans: time since the previous sample: a number, (time,), or (batch, time[, 1]) in the layout of
                ``input``, where ``input`` is packed also packed alike.
            mask: bool (batch, time[, input_size]) in the layout of ``input``, True where observed.
            return_tau: also return a dict of what the last level did at every sample.

        Returns:
            ``output`` (batch, time, output_size) in the layout of ``input``, ``h_n`` shaped as ``hx``; with
            ``return_tau`` also a dict of (batch, time, num_directions * hidden_size) tensors: "state", "tau" (the
            effective time constant, where the equation has one) and the layer's gates, by their names in the layer's
            documentation; NaN where a sample is absent.

        Raises:
            ValueError: an argument has the wrong shape or value; the message says which and what to do.
            TypeError: an argument has the wrong type.
        """
        packing, lengths = None, None
        if isinstance(input, PackedSequence):
            packing = input
            input, lengths = pad_packed_sequence(packing, batch_first=True)
            if isinstance(timespans, PackedSequence):
                timespans, _ = pad_packed_sequence(timespans, batch_first=True)
            elif isinstance(timespans, Tensor) and timespans.ndim > 1 and not self.batch_first:
                timespans = timespans.transpose(0, 1)
            if mask is not None and not self.batch_first:
                mask = mask.transpose(0, 1)
        if isinstance(timespans, PackedSequence):
            raise TypeError("timespans is a PackedSequence, so input must be one too, but it is a Tensor")
        dtype = self._check_input(input)
        batched = input.ndim == 3
        time_first = batched and not self.batch_first and packing is None
        x = input.transpose(0, 1) if time_first else input if batched else input.unsqueeze(0)
        batch, time, _ = x.shape
        layout = "batch, time" if packing is not None or self.batch_first else "time, batch"
        if timespans is not None and not all(getattr(r, "uses_timespans", True) for r in self.recurrences):
            raise ValueError(
                f"timespans have no effect on this {type(self).__name__}: build it with time='append' or time='decay', "
                "or with time='ignore' to pass them knowingly in vain"
            )
        x, spans = x.to(dtype), self._spans(timespans, batch, time, batched, time_first, layout, x)
        x, observed = self._observe(mask, x, batched, time_first, layout, lengths)
        state = self._state(hx, batch, batched, x)

        with torch.autocast(x.device.type, enabled=False):
            gaps = Gaps(spans, observed)
            trace: Trace = {}
            final: list[State] = []
            for number, level in enumerate(self.levels):
                if number and self.dropout:
                    x = F.dropout(x, self.dropout, self.training)
                last = return_tau and number == self.num_layers - 1
                outputs, traces = [], []
                for backward, recurrence in enumerate(level):  # type: ignore[arg-type]
                    start = tuple(s[len(final)] for s in state)
                    seen, there = (x.flip(1), gaps.flipped_observed()) if backward else (x, gaps.observed)
                    spans = gaps.backward() if backward else gaps.forward()
                    states, end = recurrence.unroll(seen, start, spans, there)
                    output = recurrence.readout(states)
                    outputs.append(output.flip(1) if backward else output)
                    final.append(end)
                    if last:
                        steps = recurrence.trace(seen, start, spans, there)
                        traces.append({k: v.flip(1) if backward else v for k, v in steps.items()})
                x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
                if last:
                    trace = {name: torch.cat([t[name] for t in traces], -1) for name in traces[0]}
            if self.readout is not None:
                # One product per sample, as in step(): a single one over all samples rounds differently.
                x = (
                    torch.stack([self.readout(o) for o in x.unbind(1)], 1)
                    if time
                    else x.new_empty(batch, 0, self.output_size)
                )

        h_n = tuple(torch.stack(tensors) for tensors in zip(*final, strict=True))
        h_n = h_n if batched else tuple(s.squeeze(1) for s in h_n)
        h_n = h_n[0] if len(h_n) == 1 else h_n

        def back(tensor: Tensor):
            return tensor.transpose(0, 1) if time_first else tensor if batched else tensor.squeeze(0)

        if packing is not None:
            assert lengths is not None
            output = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=packing.sorted_indices is None)
        else:
            output = back(x)
        return (output, h_n, {k: back(v) for k, v in trace.items()}) if return_tau else (output, h_n)

    def step(
        self,
        input: Tensor,
        hx: Tensor | State | None = None,
        timespan: Tensor | float | None = None,
        mask: Tensor | None = None,
    ):
        """Reads one sample: the streaming form of the layer, equal to the whole sequence bit for bit.

        Args:
            input: (batch, input_size) or (input_size,).
            hx: state as :meth:`forward` takes and returns it.
            timespan: time since the previous sample, a number or (batch,); None is 1.
            mask: bool (batch, input_size) or, without batch, (input_size,): True where observed. At least one
                feature must be: an absent sample is no step. Add its span to the next.

        Returns:
            ``output`` (batch, output_size) and the new state.
        """
        if self.num_directions == 2:
            raise ValueError("step() streams forward in time, but this layer is bidirectional: call it on sequences")
        if not isinstance(input, Tensor) or input.ndim not in (1, 2):
            got = tuple(input.shape) if isinstance(input, Tensor) else type(input).__name__
            raise ValueError(f"input of step() must be one sample (batch, {self.input_size}), but got {got}")
        batched = input.ndim == 2
        x = input if batched else input.unsqueeze(0)
        x = x.to(self._check_input(x.unsqueeze(1)))
        if mask is not None:
            mask = mask if batched else mask.unsqueeze(0)
            if mask.shape != x.shape or mask.dtype != torch.bool:
                raise ValueError(f"mask of step() must be bool {tuple(x.shape)}, but got {described(mask)}")
            if not torch.compiler.is_compiling() and not bool(mask.any(-1).all()):
                raise ValueError(
                    "mask of step() must have an observed feature in every row: a sample that is not there is no step; "
                    "leave it out and add its time span to the next"
                )
            x = torch.where(mask, x, 0)
        if isinstance(timespan, Tensor) and timespan.ndim == 1:
            timespan = timespan.unsqueeze(-1)
        spans = self._spans(timespan, x.shape[0], 1, True, False, "batch, time", x)[:, 0]
        state = self._state(hx, x.shape[0], batched, x)
        new_states: list[State] = []
        with torch.autocast(x.device.type, enabled=False):
            for number, (recurrence,) in enumerate(self.levels):  # type: ignore[misc]
                if number and self.dropout:
                    x = F.dropout(x, self.dropout, self.training)
                new = recurrence.update(recurrence.coefficients(), x, tuple(s[number] for s in state), spans)
                new_states.append(new)
                x = recurrence.readout(new[0])
            if self.readout is not None:
                x = self.readout(x)
        h_n = tuple(torch.stack(tensors) for tensors in zip(*new_states, strict=True))
        h_n = h_n if batched else tuple(s.squeeze(1) for s in h_n)
        return x if batched else x.squeeze(0), h_n[0] if len(h_n) == 1 else h_n

    def _check_input(self, input: Tensor) -> torch.dtype:
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a Tensor or a PackedSequence, but got {type(input).__name__}")
        axes = f"(batch, time, {self.input_size})" if self.batch_first else f"(time, batch, {self.input_size})"
        if input.ndim not in (2, 3):
            raise ValueError(
                f"input must be {axes}, or (time, {self.input_size}) unbatched, but got {described(input)}"
            )
        if input.shape[-1] != self.input_size:
            raise ValueError(
                f"input must be {axes}: {self.input_size} features on the last axis, as input_size says, but got "
                f"{described(input)}"
            )
        parameter = next(self.parameters())
        if input.device != parameter.device:
            raise ValueError(
                f"input is on {input.device}, but the layer's parameters are on {parameter.device}: "
                f"use input.to({str(parameter.device)!r}) or layer.to({str(input.device)!r})"
            )
        if input.dtype != parameter.dtype and not torch.is_autocast_enabled(input.device.type):
            raise ValueError(
                f"input has dtype {input.dtype}, but the layer's parameters have {parameter.dtype}: "
                f"use input.to({parameter.dtype}) or layer.to({input.dtype})"
            )
        return parameter.dtype

    def _spans(
        self,
        timespans: Tensor | float | None,
        batch: int,
        time: int,
        batched: bool,
        time_first: bool,
        layout: str,
        like: Tensor,
    ) -> Tensor:
        """Time spans in their one inner form, (batch, time, 1)."""
        dtype = next(self.parameters()).dtype
        if timespans is None:
            return torch.ones(batch, time, 1, dtype=dtype, device=like.device)
        if not isinstance(timespans, Tensor):
            if isinstance(timespans, bool) or not isinstance(timespans, int | float):
                raise TypeError(f"timespans must be a number or a Tensor, but got {type(timespans).__name__}")
            timespans = torch.tensor(float(timespans), dtype=dtype, device=like.device)
        spans = timespans
        if spans.ndim and spans.shape[-1] == 1 and spans.ndim == (3 if batched else 2):
            spans = spans.squeeze(-1)
        if spans.ndim == 2 and time_first:
            spans = spans.transpose(0, 1)
        shapes = [(), (time,)] + ([(batch, time)] if batched else [])
        if tuple(spans.shape) not in shapes:
            one = f"({layout}) = {(time, batch) if time_first else (batch, time)}, " if batched else ""
            raise ValueError(
                f"timespans must be a number, (time,) = ({time},), or {one}with or without a last axis of 1, but got "
                f"{described(timespans)}"
            )
        if not torch.compiler.is_compiling() and bool(((spans < 0) | ~spans.isfinite()).any()):
            worst = spans[(spans < 0) | ~spans.isfinite()][0].item()
            raise ValueError(
                f"timespans must be finite and not negative, but hold {worst}: they are times since the previous "
                "sample, not timestamps; timespans_from_timestamps() makes them"
            )
        return spans.to(dtype).expand(batch, time).unsqueeze(-1)

    def _observe(
        self,
        mask: Tensor | None,
        x: Tensor,
        batched: bool,
        time_first: bool,
        layout: str,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Input with 0 for what was not observed, and which samples are there, (batch, time, 1)."""
        batch, time, features = x.shape
        observed = None
        if lengths is not None:
            # A packed sequence's padding is never read; a mask may say more.
            observed = (torch.arange(time) < lengths.unsqueeze(1)).to(x.device).unsqueeze(-1)
        if mask is None:
            return x, observed
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            raise TypeError(f"mask must be a bool Tensor, True where observed, but got {described(mask)}")
        m = mask.transpose(0, 1) if time_first and mask.ndim > 1 else mask if batched else mask.unsqueeze(0)
        if m.shape == (batch, time):
            m = m.unsqueeze(-1)
        elif m.shape != x.shape:
            axes = f"({layout}" if batched else "(time"
            raise ValueError(
                f"mask must be {axes}) or {axes}, feature) like the input, here with {batch} sequences, {time} samples "
                f"and {features} features, but got {described(mask)}"
            )
        there = m.any(-1, keepdim=True)
        return torch.where(m, x, 0), there if observed is None else there & observed

    def _state(self, hx: Tensor | State | None, batch: int, batched: bool, like: Tensor) -> State:
        """Initial state as a tuple of (levels * directions, batch, width)."""
        rows = self.num_layers * self.num_directions
        sizes = self.recurrences[0].state_sizes
        if hx is None:
            return tuple(torch.zeros(rows, batch, size, dtype=like.dtype, device=like.device) for size in sizes)
        if (len(sizes) == 1) != isinstance(hx, Tensor):
            raise TypeError(
                f"hx must be {'a Tensor' if len(sizes) == 1 else 'a pair (h_0, c_0) of Tensors'}, "
                f"but got {type(hx).__name__}"
            )
        given: State = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        expected = [(rows, batch, size) if batched else (rows, size) for size in sizes]
        if [tuple(s.shape) for s in given] != expected:
            axes = "num_layers * num_directions, batch, width" if batched else "num_layers * num_directions, width"
            raise ValueError(
                f"hx must be ({axes}) = {' and '.join(map(str, expected))}, but got "
                f"{' and '.join(str(tuple(s.shape)) for s in given)}"
            )
        return tuple((s if batched else s.unsqueeze(1)).to(like.dtype) for s in given)


class Gaps:
    """Time between observed samples, read forward or backward.

    Args:
        spans: (batch, time, 1), time since the previous sample.
        observed: bool (batch, time, 1), or None where every sample is there.
    """

    def __init__(self, spans: Tensor, observed: Tensor | None):
        self.spans, self.observed = spans, observed
        if observed is not None:
            batch, time, _ = spans.shape
            there = observed.squeeze(-1).long()
            self.count = there.sum(1, keepdim=True)
            # Sample t belongs to the gap that ends at the next observed sample, t itself included.
            self.gap = there.cumsum(1) - there
            self.sums = spans.new_zeros(batch, time + 1).scatter_add(1, self.gap, spans.squeeze(-1))

    def forward(self) -> Tensor:
        """(batch, time, 1): time since the previous observed sample."""
        if self.observed is None:
            return self.spans
        return self.sums.gather(1, self.gap).unsqueeze(-1)

    def backward(self) -> Tensor:
        """(batch, time, 1), last sample first: time to the next observed sample, for the last the first span."""
        if self.observed is None:
            return self.spans.roll(-1, 1).flip(1)
        following = (self.gap + 1) % self.count.clamp(min=1)
        return self.sums.gather(1, following).unsqueeze(-1).flip(1)

    def flipped_observed(self) -> Tensor | None:
        """Which samples are there, last sample first."""
        return None if self.observed is None else self.observed.flip(1)


def timespans_from_timestamps(timestamps: Tensor, *, first: float = 1.0, batch_first: bool = False) -> Tensor:
    """Time since the previous sample, from the time of each sample.

    Args:
        timestamps: (time,), or (time, batch), or (batch, time) with ``batch_first=True``; never decreasing in time.
        first: span of the first sample, which has no predecessor: time since the initial state was valid.
        batch_first: whether batch comes before time.

    Returns:
        Spans of the same shape, in the same unit.

    Raises:
        ValueError: time runs backwards, or the shape is not one of those.

    Example:
        >>> timespans_from_timestamps(torch.tensor([10.0, 10.5, 12.5]))
        tensor([1.0000, 0.5000, 2.0000])
    """
    if not isinstance(timestamps, Tensor) or timestamps.ndim not in (1, 2):
        raise ValueError(f"timestamps must be (time,) or two-dimensional, but got {described(timestamps)}")
    axis = 1 if timestamps.ndim == 2 and batch_first else 0
    # Differences first, rounding second: two large timestamps in float32 may be equal when their times are not.
    spans = timestamps.diff(dim=axis)
    if bool((spans < 0).any()):
        raise ValueError(
            f"timestamps must not decrease along axis {axis} (time), but the smallest step is {spans.min().item()}: "
            "sort each sequence by time"
        )
    spans = spans if spans.is_floating_point() else spans.to(torch.get_default_dtype())
    head = torch.full_like(timestamps.narrow(axis, 0, min(1, timestamps.shape[axis])), first, dtype=spans.dtype)
    return torch.cat([head, spans], axis)


def positive_int(name: str, value: object) -> None:
    """Raises unless ``value`` is a whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, but got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, but got {value}")


def described(value: object) -> str:
    """Shape and dtype of a tensor, or the type of anything else, for an error message."""
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
