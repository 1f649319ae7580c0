"""The core of the library: a state-update equation, unrolled over unevenly spaced samples.

There are two classes:

- :class:`~liquidrnn.recurrence.Recurrence` is one update equation with its parameters: one layer in one direction. Each
  layer's module defines one, which is little more than the equation.
- :class:`RecurrentLayer` is the drop-in replacement for ``torch.nn.LSTM``. It stacks recurrences into layers and
  directions and implements everything that does not depend on the equation: initial states, dropout, readout,
  streaming.

Internally there is one layout, (batch, time, feature). :class:`liquidrnn.samples.Samples` converts layouts, time spans
and masks once, on entry: a recurrence gets a span for every sample, and which samples are present.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Self, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from liquidrnn.arguments import described, flag, positive_int, probability, readable
from liquidrnn.kernels.loop import Inputs, State, begun, contiguous_copy
from liquidrnn.recurrence import MixedMemory as MixedMemory
from liquidrnn.recurrence import Recurrence as Recurrence
from liquidrnn.recurrence import Trace
from liquidrnn.samples import Samples, check_kind
from liquidrnn.spans import row_flags, row_spans
from liquidrnn.synapses import Factory, module_of_torch, within
from liquidrnn.wirings import Wiring


class Stacking(TypedDict, total=False):
    """Keyword arguments of every layer, in addition to those of its equation.

    Attributes:
        batch_first: ``input``, ``output``, ``timespans`` and ``mask`` are (batch, time, ...) instead of
            torch's default (time, batch, ...).
        bidirectional: a second recurrence per layer reads the sequence backwards; outputs are concatenated.
        dropout: probability of zeroing an output between two layers, in training; needs ``num_layers`` > 1.
        output_size: a learned linear readout of this width after the last layer; None returns the states
            (with a wiring that has motor neurons, theirs).
        generator: random generator for wiring, polarity and initial values; torch's default generator if None.
        device: device of the parameters, as in torch.
        dtype: floating-point type of the parameters, as in torch.
        backend: what runs the recurrence: "reference" (plain PyTorch), "cpu" (compiled), or None for the fastest
            available one. A backend that is named but cannot run raises an error. See :func:`liquidrnn.backends`.
    """

    batch_first: bool
    bidirectional: bool
    dropout: float
    output_size: int | None
    generator: torch.Generator | None
    device: torch.device | str | None
    dtype: torch.dtype | None
    backend: str | None


def factory_of(stacking: Stacking) -> Factory:
    """The arguments with which parameters are created."""
    return {name: stacking.get(name) for name in ("generator", "device", "dtype")}  # type: ignore[return-value]


class RecurrentLayer(nn.Module):
    """A state-update equation unrolled over unevenly spaced samples: the common base class of all layers.

    ``output, h_n = layer(input, hx=None, *, timespans=None, mask=None)`` works as ``torch.nn.LSTM`` does:
    ``input`` is (time, batch, input_size), or (batch, time, input_size) with ``batch_first=True``, or
    (time, input_size) without a batch, or a ``PackedSequence``; ``hx`` and ``h_n`` are
    (num_layers * num_directions, batch, width), a pair of such tensors for layers with a memory cell.

    **Time.** ``timespans`` is the time since the previous sample, in the unit that the layer's constants
    assume (1 is a typical step): a number, (time,), or in the layout of ``input`` (batch, time) or
    (batch, time, 1). None means 1 everywhere. The first span of a sequence is the time since ``hx`` was valid. A
    zero span leaves the state of a layer whose input drives an ODE exactly as it was. :func:`timespans_from_timestamps`
    computes spans from timestamps.

    **Missing data.** ``mask`` is True where a value was observed, in the layout of ``input``: (batch, time) or
    (batch, time, feature). An unobserved feature is read as 0, the mean of a standardised feature, whatever
    its value is (even NaN). A sample without any observed feature is absent: the state is held and repeated, and its
    span is added to that of the next observed sample. The result equals that of the sequence without the absent
    samples, so padding that the mask marks never changes anything.

    **Episodes.** ``reset`` is True where a new episode begins: the state is set to 0 before that sample, so that the
    result equals that of each episode as a separate sequence. The span of an episode's first sample is the time since
    the episode began; spans of absent samples are only added to samples of the same episode.

    **Streaming.** :meth:`step` and :class:`~liquidrnn.Stream` read one sample at a time. If :attr:`exact` is true,
    they return the same bits as :meth:`forward`; otherwise a library computes whole sequences at once, and they agree
    to rounding.

    **Backward direction.** The span of a sample is the time to the next observed sample; the last sample, which is read
    first, has the span of the sequence's first.

    Under autocast a recurrence computes in the dtype of its parameters, since a state accumulates over many samples.

    Attributes:
        input_size: features of one sample.
        hidden_size: units of each layer.
        output_size: features of one output.
        num_layers: number of stacked layers.
        num_directions: 2 if bidirectional, else 1.
        batch_first: whether batch comes before time.
        dropout: probability of dropout between layers.
        backend: the backend that runs the recurrences; None for the fastest available one.
    """

    def __init__(
        self,
        build: Callable[[int], Recurrence],
        input_size: int,
        num_layers: int = 1,
        *,
        mixed_memory: bool = False,
        wrapper: type[MixedMemory] = MixedMemory,
        batch_first: bool = False,
        bidirectional: bool = False,
        dropout: float = 0.0,
        output_size: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        backend: str | None = None,
    ):
        """Stacks recurrences.

        Args:
            build: creates a recurrence for a number of input features; called once per layer and direction, when
                ``self.layers`` holds the layers below.
            input_size: features of one sample.
            num_layers: number of stacked layers.
            mixed_memory: wrap every recurrence in ``wrapper``.
            wrapper: :class:`MixedMemory`, or a subclass with a faster implementation for an equation.
            batch_first: see :class:`Stacking`, as for all that follow.
            bidirectional: see :class:`Stacking`.
            dropout: see :class:`Stacking`.
            output_size: see :class:`Stacking`.
            generator: see :class:`Stacking`.
            device: see :class:`Stacking`.
            dtype: see :class:`Stacking`.
            backend: see :class:`Stacking`.
        """
        super().__init__()
        input_size, num_layers = positive_int("input_size", input_size), positive_int("num_layers", num_layers)
        dropout = probability("dropout", dropout)
        batch_first, bidirectional = flag("batch_first", batch_first), flag("bidirectional", bidirectional)
        mixed_memory = flag("mixed_memory", mixed_memory)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(f"generator must be a torch.Generator, but got {described(generator)}")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype must be a floating-point torch.dtype, but got {dtype!r}")
        if dropout and num_layers == 1:
            raise ValueError(
                f"dropout acts between layers and has no effect with num_layers=1, but got dropout={dropout}; "
                "use num_layers >= 2, or put torch.nn.Dropout after the layer"
            )
        self.input_size, self.num_layers, self.num_directions = input_size, num_layers, 1 + bidirectional
        self.batch_first, self.dropout = batch_first, dropout
        self.layers = nn.ModuleList()
        width = input_size
        for _ in range(num_layers):
            layer = [build(width) for _ in range(self.num_directions)]
            if mixed_memory:
                layer = [wrapper(recurrence, generator, device, dtype) for recurrence in layer]
            self.layers.append(nn.ModuleList(layer))
            width = layer[0].output_size * self.num_directions
        for recurrence in self.recurrences:
            recurrence.run_on(backend)
        self.backend = backend
        self.hidden_size, self._state_sizes = self.recurrences[0].hidden_size, self.recurrences[0].state_sizes
        self.readout: nn.Linear | None = None
        if output_size is not None:
            output_size = positive_int("output_size", output_size)
            factory: Factory = {"generator": generator, "device": device, "dtype": dtype}
            self.readout = module_of_torch(nn.Linear, width, output_size, **factory)
            with torch.no_grad():
                for parameter in self.readout.parameters():
                    parameter.copy_(within(width**-0.5, *parameter.shape, **factory))
        self.output_size = width if output_size is None else output_size
        self._register_load_state_dict_pre_hook(self._rename_older)

    def _rename_older(self, state_dict, prefix, *_) -> None:
        """Renames parameters that an earlier version saved as ``levels.*``."""
        for name in [name for name in state_dict if name.startswith(f"{prefix}levels.")]:
            state_dict[f"{prefix}layers.{name.removeprefix(f'{prefix}levels.')}"] = state_dict.pop(name)

    @property
    def recurrences(self) -> list[Recurrence]:
        """All recurrences in the order of ``hx``, layer by layer, forward before backward."""
        return [recurrence for layer in self.layers for recurrence in layer]  # type: ignore[union-attr]

    @property
    def exact(self) -> bool:
        """Whether :meth:`step` and :class:`~liquidrnn.Stream` return the same bits as :meth:`forward`.

        They do not with a readout (``output_size``), which is one matrix product over all samples of a sequence, nor
        where RNN, LSTM and GRU are torch's own, whose kernels multiply the inputs of a whole sequence. Then outputs
        agree to rounding: to 1e-5 of the largest in float32, 1e-13 in float64.
        """
        return self.readout is None and all(recurrence.exact for recurrence in self.recurrences)

    @property
    def num_synapses(self) -> int:
        """Number of connections, from inputs to units and among units, over all layers and directions."""
        return sum(recurrence.num_synapses for recurrence in self.recurrences)

    @property
    def wiring(self) -> Wiring | None:
        """The graph of a layer with ``num_layers=1`` and one direction; None for a layer without one.

        With several layers or directions each of :attr:`recurrences` has its own, and this is None.
        """
        return self.recurrences[0].wiring if len(self.recurrences) == 1 else None

    def _like(self) -> Tensor:
        """A tensor with the dtype and device that samples and states must have: a parameter, if there is one.

        Raises:
            TypeError: parameters are not floating-point.
            RuntimeError: under ``torch.jit.trace``.
        """
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            raise RuntimeError(
                f"{type(self).__name__} cannot be traced by torch.jit, which would fix sizes and spans of its example: "
                "use torch.export.export, or torch.onnx.export(..., dynamo=True)"
            )
        for kind in ("_parameters", "_buffers"):
            found = _first_floating(self, kind)
            if found is not None:
                return found
        for parameter in self.parameters():
            raise TypeError(
                f"parameters of this {type(self).__name__} are {parameter.dtype}, but must be floating-point: use "
                "layer.float()"
            )
        # Quantised modules have no parameters; their inputs and outputs are of this kind.
        return torch.empty(0, dtype=torch.float32, device="cpu")

    def __prepare_scriptable__(self):
        """Called when ``torch.jit.script`` compiles the layer or a module that contains it."""
        raise RuntimeError(f"{type(self).__name__} cannot be scripted by torch.jit: use torch.export.export")

    def lesioned(self, wiring: Wiring) -> Self:
        """A copy of the layer, trained parameters included, with fewer synapses.

        Args:
            wiring: this layer's wiring after :meth:`liquidrnn.wirings.Wiring.ablate` or
                :meth:`liquidrnn.wirings.Wiring.prune`.

        Raises:
            ValueError: the layer has no wiring or several, or ``wiring`` has a synapse that this layer lacks.

        Example:
            >>> layer = lr.LTC(4, lr.wirings.AutoNCP(12, outputs=2), batch_first=True)
            >>> without = layer.lesioned(layer.wiring.ablate(neurons=[5]))
            >>> without.num_synapses < layer.num_synapses
            True
        """
        mine = self.wiring
        if mine is None:
            several = len(self.recurrences) > 1 and self.recurrences[0].wiring is not None
            why = f"{len(self.recurrences)} wirings, one in each of its recurrences" if several else "no wiring"
            raise ValueError(f"lesioned() takes a layer with one wiring, but this {type(self).__name__} has {why}")
        if not isinstance(wiring, Wiring):
            raise TypeError(f"wiring must be a Wiring, but got {described(wiring)}")
        advice = "start from layer.wiring and remove"
        for name in ("adjacency", "sensory_adjacency"):
            old, new = getattr(mine, name), getattr(wiring, name)
            if old.shape != new.shape or (new[new != old] != 0).any():
                raise ValueError(
                    f"wiring must have no synapse that the layer lacks, but its {name} {new.shape} has one: {advice}"
                )
        for name in ("output_size", "kinds", "layers"):
            if getattr(mine, name) != getattr(wiring, name):
                raise ValueError(f"wiring must have the layer's {name}, but it is another: {advice}")
        copied = self._copied()
        copied.recurrences[0].restrict(wiring)
        return copied

    def _copied(self) -> Self:
        """A copy, hooks included."""
        modes = {module: module.training for module in self.modules()}
        if any(module._forward_pre_hooks for module in modes):
            # Tensors that hooks computed are part of an autograd graph and cannot be copied: a forward pass without
            # gradients makes the hooks compute them again.
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                parameter = self._like()
                self.eval()(torch.zeros(1, 1, self.input_size, dtype=parameter.dtype, device=parameter.device))
            for module, training in modes.items():
                module.training = training
        return copy.deepcopy(self)

    def extra_repr(self) -> str:
        """Sizes, arguments that differ from their defaults, and numbers of parameters and synapses."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [f"num_layers={self.num_layers}"] * (self.num_layers > 1)
        parts += ["bidirectional=True"] * (self.num_directions > 1)
        parts += [f"dropout={self.dropout:g}"] * bool(self.dropout)
        parts += ["batch_first=True"] * self.batch_first
        parameters = sum(p.numel() for p in self.parameters())
        parts += [f"backend={self.backend!r}"] * (self.backend is not None)
        parts.append(f"output_size={self.output_size}")
        return ", ".join(parts) + f"; {parameters:,} parameters, {self.num_synapses:,} synapses"

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | State | None = None,
        *,
        timespans: Tensor | float | PackedSequence | None = None,
        mask: Tensor | None = None,
        reset: Tensor | PackedSequence | None = None,
        return_trace: bool = False,
    ):
        """Processes whole sequences.

        Args:
            input: (time, batch, input_size), (batch, time, input_size) if ``batch_first``, (time, input_size), or a
                ``PackedSequence``.
            hx: initial state (num_layers * num_directions, batch, width), without batch for unbatched input; a pair
                for layers with a memory cell; None is zero.
            timespans: time since the previous sample: a number, (time,), or (batch, time[, 1]) in the layout of
                ``input``; a ``PackedSequence`` if ``input`` is one.
            mask: bool (batch, time[, input_size]) in the layout of ``input``, True where observed.
            reset: bool (time,) or (batch, time[, 1]) in the layout of ``input``, a ``PackedSequence`` if that is one:
                True where a new episode begins with the sample.
            return_trace: also return a dict with the internal quantities of the last layer at every sample.

        Returns:
            ``output`` (batch, time, output_size) in the layout of ``input``, ``h_n`` shaped as ``hx``; with
            ``return_trace`` also a dict of tensors (batch, time, num_directions * units): "state", which is
            repeated for an absent sample; "tau", the effective time constant, if the equation has one; and the gates,
            by their names in the layer's documentation. "tau" and gates are NaN where a sample is absent.

        Raises:
            ValueError: an argument has the wrong shape or value; the message says which and what to do.
            TypeError: an argument has the wrong type.

        Graphs of ``torch.compile`` and ``torch.export`` check shapes, but not the values of spans. NaN in an observed
        value gives NaN outputs, as everywhere in torch.
        """
        return_trace = flag("return_trace", return_trace)
        self._check_clock("timespans", timespans)
        parameter = self._like()
        samples = Samples(
            input, timespans, mask, reset, input_size=self.input_size, batch_first=self.batch_first, parameter=parameter
        )
        x, directions = samples.values, [samples.inputs(backward=bool(n)) for n in range(self.num_directions)]
        starts = self._starts(hx, samples.batch, samples.batched, parameter)
        trace: Trace = {}
        final: list[State] = []
        with full_precision(x.device):
            for number, layer in enumerate(self.layers):
                if number and self.dropout:
                    x = F.dropout(x, self.dropout, self.training)
                traced = return_trace and number == self.num_layers - 1
                outputs, traces = [], []
                for backward, recurrence in enumerate(layer):  # type: ignore[arg-type]
                    start = starts[len(final)]
                    inputs = directions[backward]
                    if number:
                        inputs = inputs._replace(values=x.flip(1) if backward else x, observed=None)
                    output, end, steps = recurrence(recurrence.read, inputs, start, traced)
                    outputs.append(output.flip(1) if backward else output)
                    traces.append({k: v.flip(1) if backward else v for k, v in steps.items()})
                    final.append(end)
                x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
                if traced:
                    trace = {name: torch.cat([steps[name] for steps in traces], -1) for name in traces[0]}
            if self.readout is not None:
                x = self.readout(x)
        h_n = self._final(final, samples.batched)
        output = samples.output(x)
        return (output, h_n, {k: samples.outer(v) for k, v in trace.items()}) if return_trace else (output, h_n)

    def step(
        self,
        input: Tensor,
        hx: Tensor | State | None = None,
        timespan: Tensor | float | None = None,
        mask: Tensor | None = None,
        reset: Tensor | bool | None = None,
    ):
        """Processes one sample, for streaming. The result is that of the whole sequence, see :attr:`exact`.

        Args:
            input: (batch, input_size) or (input_size,).
            hx: state as :meth:`forward` takes and returns it.
            timespan: time since the previous sample, a number or (batch,); None is 1.
            mask: bool (batch, input_size) or, without batch, (input_size,): True where observed. At least one
                feature must be observed: leave out an absent sample and add its span to the next.
            reset: bool (batch,), or one bool for all: True where a new episode begins, with state 0.

        Returns:
            ``output`` (batch, output_size) and the new state.
        """
        if self.num_directions == 2:
            raise ValueError("step() streams forward in time, but this layer is bidirectional: call it on sequences")
        if not isinstance(input, Tensor) or input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"input of step() must be one sample (batch, {self.input_size}), but got {described(input)}"
            )
        parameter = self._like()
        check_kind("input", input, parameter)
        batched = input.ndim == 2
        x = (input if batched else input.unsqueeze(0)).to(parameter.dtype)
        batch = len(x)
        if mask is not None:
            if not isinstance(mask, Tensor) or mask.shape != input.shape or mask.dtype != torch.bool:
                raise ValueError(f"mask of step() must be bool {tuple(input.shape)}, but got {described(mask)}")
            if readable(mask) and not bool(mask.any(-1).all()):
                raise ValueError(
                    "mask of step() must have an observed feature in every row: leave out an absent sample and add its "
                    "time span to the next"
                )
            x = torch.where(mask, x, 0)
            mask = mask if batched else mask.unsqueeze(0)
        self._check_clock("timespan", timespan)
        spans = row_spans("timespan", 1.0 if timespan is None else timespan, batch, parameter).to(parameter.dtype)
        starts = self._starts(hx, batch, batched, parameter)
        if reset is not None:
            begins = row_flags("reset", reset, batch, parameter)
            starts = [begun(state, begins) for state in starts]
        new_states: list[State] = []
        with full_precision(x.device):
            for number, (recurrence,) in enumerate(self.layers):  # type: ignore[misc]
                if number and self.dropout:
                    x = F.dropout(x, self.dropout, self.training)
                inputs = Inputs(contiguous_copy(x), contiguous_copy(spans), None, None if number else mask)
                x, new = recurrence(recurrence.step, inputs, starts[number])
                new_states.append(new)
            if self.readout is not None:
                x = self.readout(contiguous_copy(x))
        return x if batched else x.squeeze(0), self._final(new_states, batched)

    def _check_clock(self, name: str, spans: object) -> None:
        """Raises if spans are given but a recurrence would ignore them."""
        if spans is not None and not all(recurrence.uses_timespans for recurrence in self.recurrences):
            raise ValueError(
                f"this {type(self).__name__} does not use {name}: build it with time='append' or time='decay' to "
                "use them, or with time='ignore' to accept and ignore them"
            )

    def _starts(self, hx: Tensor | State | None, batch: int, batched: bool, parameter: Tensor) -> list[State]:
        """The initial state of each recurrence, parts (batch, width)."""
        if hx is None:
            # One for all, since nobody writes to it.
            return [self._zeros((batch,), parameter)] * (self.num_layers * self.num_directions)
        parts = self._state(hx, batch, batched, parameter)
        return [tuple([contiguous_copy(part) for part in state]) for state in zip(*parts, strict=True)]

    def _zeros(self, lead: tuple[int, ...], parameter: Tensor) -> State:
        """A state of zeros, parts (*lead, width)."""
        # Not parameter.new_zeros(): under fully_shard the parameter is a shard of a tensor.
        kind = {"dtype": parameter.dtype, "device": parameter.device}
        return tuple([torch.zeros(*lead, size, **kind) for size in self._state_sizes])

    def _state(self, hx: Tensor | State | None, batch: int, batched: bool, parameter: Tensor) -> State:
        """Initial state as a tuple of (layers * directions, batch, width)."""
        rows, sizes = self.num_layers * self.num_directions, self._state_sizes
        if hx is None:
            return self._zeros((rows, batch), parameter)
        given = (hx,) if isinstance(hx, Tensor) else hx
        if (
            not isinstance(given, tuple | list)
            or len(given) != len(sizes)
            or any(not isinstance(s, Tensor) for s in given)
        ):
            parts = "a pair (h_0, c_0)" if len(sizes) == 2 else f"a tuple of {len(sizes)}"
            wanted = "a Tensor" if len(sizes) == 1 else f"{parts} of Tensors"
            raise TypeError(f"hx must be {wanted}, but got {type(hx).__name__}")
        for tensor in given:
            check_kind("hx", tensor, parameter)
        expected = [(rows, batch, size) if batched else (rows, size) for size in sizes]
        if [tuple(s.shape) for s in given] != expected:
            axes = "num_layers * num_directions, batch, width" if batched else "num_layers * num_directions, width"
            raise ValueError(
                f"hx must be ({axes}) = {' and '.join(map(str, expected))}, but got "
                f"{' and '.join(str(tuple(s.shape)) for s in given)}"
            )
        return tuple((s if batched else s.unsqueeze(1)).to(parameter.dtype) for s in given)

    def _final(self, states: list[State], batched: bool) -> Tensor | State:
        """Last states of all layers and directions, in the form of ``hx``."""
        h_n = tuple(torch.stack(tensors) for tensors in zip(*states, strict=True))
        h_n = h_n if batched else tuple(s.squeeze(1) for s in h_n)
        return h_n[0] if len(h_n) == 1 else h_n


def full_precision(device: torch.device):
    """Disables autocast, which does not support meta tensors, for a recurrence."""
    kind = device.type
    # A graph may run under autocast later.
    if kind == "meta" or not (torch.compiler.is_compiling() or torch.is_autocast_enabled(kind)):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def _first_floating(module: nn.Module, kind: str) -> Tensor | None:
    """The first floating-point tensor among a module's ``_parameters`` or ``_buffers``, its submodules included.

    ``modules()`` takes longer to find it than a short sequence does.
    """
    for tensor in getattr(module, kind).values():
        if tensor is not None and tensor.is_floating_point():
            return tensor
    for child in module._modules.values():
        found = None if child is None else _first_floating(child, kind)
        if found is not None:
            return found
    return None
