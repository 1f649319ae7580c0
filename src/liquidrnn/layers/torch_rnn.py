"""torch's RNN, LSTM and GRU with the interface of all layers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from liquidrnn.arguments import choice, flag, positive_int, whole
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.gated.reference import entering, explain
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import FusedRecurrence, Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, factory_of
from liquidrnn.synapses import module_of_torch, within

Time = Literal["ignore", "append", "decay"] | None

_TORCHS = re.compile(r"((?:weight|bias)_(?:ih|hh|hr))_l(\d+)(_reverse)?")
"""torch's names of the parameters of several layers and directions in one module."""


class _TorchLayer(RecurrentLayer):
    """Base class of the three: torch's arguments in torch's order, its attributes, and its parameter names.

    State dicts of torch's module load unchanged; :meth:`torch_state_dict` creates one.
    """

    def __init__(
        self,
        kind: Callable[..., nn.RNNBase],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        time: Time,
        options: dict[str, Any],
        stacking: dict[str, Any],
    ):
        hidden_size = positive_int("hidden_size", hidden_size)
        choice("time", time, ("ignore", "append", "decay", None))
        factory = factory_of(stacking)  # type: ignore[arg-type]
        options = {"bias": flag("bias", bias), "batch_first": True, **options}

        def build(width: int) -> Recurrence:
            rnn = module_of_torch(kind, width + (time == "append"), hidden_size, **factory, **options)
            if factory["generator"] is not None:
                with torch.no_grad():
                    for parameter in rnn.parameters():
                        parameter.copy_(within(hidden_size**-0.5, *parameter.shape, **factory))
            return _TorchRecurrence(rnn, width, time)

        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time
        self._register_load_state_dict_pre_hook(self._rename)

    @property
    def modules_of_torch(self) -> list[nn.RNNBase]:
        """The torch modules, one for each layer and direction, in the order of ``hx``."""
        return [recurrence.rnn for recurrence in self.recurrences]  # type: ignore[misc]

    @property
    def bias(self) -> bool:
        """Whether there are biases."""
        return self.modules_of_torch[0].bias

    @property
    def bidirectional(self) -> bool:
        """Whether each layer has a second recurrence that reads backwards."""
        return self.num_directions == 2

    @property
    def proj_size(self) -> int:
        """Width to which the hidden state is projected; 0 for none."""
        return self.modules_of_torch[0].proj_size

    @property
    def mode(self) -> str:
        """The torch name of the equation: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"."""
        return self.modules_of_torch[0].mode

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, as torch lists them."""
        return [weights for module in self.modules_of_torch for weights in module.all_weights]

    def flatten_parameters(self) -> None:
        """Lets torch store the parameters contiguously, which is faster on a GPU."""
        for module in self.modules_of_torch:
            module.flatten_parameters()

    def torch_state_dict(self) -> dict[str, Tensor]:
        """The parameters under torch's names, detached.

        Load them with ``torch.nn.LSTM(...).load_state_dict(layer.torch_state_dict())``; ``layer.load_state_dict()``
        loads torch's. With ``time="append"`` torch's module has one more input, the span.

        Raises:
            ValueError: the layer has parameters that torch's module lacks, of a decay or a readout.

        Example:
            >>> layer = lr.LSTM(3, 4, num_layers=2)
            >>> module = torch.nn.LSTM(3, 4, num_layers=2)
            >>> module.load_state_dict(layer.torch_state_dict())
            <All keys matched successfully>
            >>> x = torch.randn(5, 2, 3)
            >>> torch.allclose(module(x)[0], layer(x)[0], atol=1e-6)
            True
        """
        state = self.state_dict()
        names = {ours: theirs for theirs, ours in self._names().items()}
        if more := [name for name in state if name not in names]:
            raise ValueError(f"torch's {self.mode} has no {', '.join(more)}, which this layer has: build it without")
        return {names[name]: tensor for name, tensor in state.items()}

    def _names(self) -> dict[str, str]:
        """Our parameter names by torch's."""
        found = {}
        for number, layer in enumerate(self.layers):
            for backward, recurrence in enumerate(layer):  # type: ignore[arg-type]
                for name, _ in recurrence.rnn.named_parameters():
                    theirs = f"{name.removesuffix('_l0')}_l{number}{'_reverse' * backward}"
                    found[theirs] = f"layers.{number}.{backward}.rnn.{name}"
        return found

    def _rename(self, state_dict, prefix, *_) -> None:
        """Renames torch's parameter names to ours before a state dict is loaded."""
        for theirs, ours in self._names().items():
            if prefix + theirs in state_dict:
                state_dict[prefix + ours] = state_dict.pop(prefix + theirs)

    def _place(self, name: str) -> tuple[nn.RNNBase, str] | None:
        """The module with the parameter of torch's name, and the parameter's name in it."""
        # Every lookup of a submodule comes through here, so this must be quick.
        match = _TORCHS.fullmatch(name) if name[0] in "wb" else None
        if match is None or "layers" not in self._modules:
            return None
        place = int(match[2]) * self.num_directions + (match[3] is not None)
        modules = self.modules_of_torch
        known = place < len(modules) and (match[3] is None or self.num_directions == 2)
        return (modules[place], f"{match[1]}_l0") if known else None

    def __getattr__(self, name: str) -> Any:
        place = self._place(name)
        return super().__getattr__(name) if place is None else getattr(*place)

    def __setattr__(self, name: str, value: Any) -> None:
        place = self._place(name)
        if place is None:
            super().__setattr__(name, value)
        else:
            setattr(*place, value)


class LSTM(_TorchLayer):
    r"""Applies the equations of ``torch.nn.LSTM`` to a sequence, with a choice of how elapsed time is used.

    .. math::
        i, f, g, o &= W_{ih} u_t + b_{ih} + W_{hh} h_{t-1} + b_{hh} \\
        c_t &= \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh g, \qquad h_t = \sigma(o) \odot \tanh c_t

    Equations, parameters, and initial values from a seed (without ``generator``) are torch's. ``time`` says how
    ``timespans`` are used:

    - None: not at all; passing ``timespans``, or ``timespan`` to a step, is an error.
    - "ignore": not at all; ``timespans`` is accepted and has no effect.
    - "append": the span is an additional input feature, the last one.
    - "decay": before each sample the state :math:`h` is multiplied by :math:`e^{-\lambda \Delta t}`, with a learned
      rate :math:`\lambda = \mathrm{softplus}(r) \ge 0` per unit; an LSTM's cell state does not decay.

    In float32 and float64 on the CPU a kernel of this library runs: masks and sequences of unequal length cost nothing,
    and streaming gives the same bits as the whole sequence (:attr:`exact`). Otherwise (on other devices, with
    ``backend="reference"``, or if the torch module inside has hooks or was replaced) torch's own implementation runs
    (cuDNN on a GPU), on the present samples; streaming then agrees to rounding, and ``torch.func.vmap`` over parameters
    raises an error. ``torch.compile`` breaks its graph at this layer, as at any with a recurrent module of torch, and
    raises an error with ``fullgraph=True``, unless ``torch._dynamo.config.allow_rnn`` was set to True before.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        bias: whether there are biases.
        batch_first: ``input``, ``output``, ``timespans`` and ``mask`` are (batch, time, ...).
        dropout: probability of dropout between layers.
        bidirectional: a second recurrence of each layer reads backwards.
        proj_size: width to which torch projects the hidden state within the recurrence; 0 for none.
        device: device of the parameters.
        dtype: dtype of the parameters.
        time: how ``timespans`` are used: None, "ignore", "append" or "decay".
        output_size: see :class:`liquidrnn.recurrent.Stacking`, as for the next two.
        generator: random generator for the initial values.
        backend: "cpu", "reference" (torch's own), or None for the fastest that can run.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are pairs (h, c). Parameters of a layer:
        ``rnn.*`` as in ``torch.nn.LSTM``, which lists them; ``raw_decay`` (hidden,), with effective rate 0.1 at the
        start.

    A trace (``return_trace=True``) holds "gate", the forget gate, and "tau", :math:`-\Delta t / \ln(gate)`: the time
    after which the cell has forgotten all but 1/e.

    Source: torch.nn.LSTM; Hochreiter and Schmidhuber 1997. Decay: Mozer et al. 2017 and Che et al. 2018
    (arXiv 1606.01865), equation 10, with one rate per unit.

    Example:
        >>> layer = LSTM(16, 32, time="append", batch_first=True)
        >>> output, (h_n, c_n) = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape, c_n.shape
        (torch.Size([5, 100, 32]), torch.Size([1, 5, 32]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        time: Time = None,
        output_size: int | None = None,
        generator: torch.Generator | None = None,
        backend: str | None = None,
    ):
        hidden_size = positive_int("hidden_size", hidden_size)
        proj_size = whole("proj_size", proj_size)
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be from 0 to hidden_size - 1 = {hidden_size - 1}, but got {proj_size}")
        stacking = {
            "batch_first": batch_first,
            "dropout": dropout,
            "bidirectional": bidirectional,
            "device": device,
            "dtype": dtype,
            "output_size": output_size,
            "generator": generator,
            "backend": backend,
        }
        options = {"proj_size": proj_size}
        super().__init__(nn.LSTM, input_size, hidden_size, num_layers, bias, time, options, stacking)


class GRU(_TorchLayer):
    r"""Applies the equations of ``torch.nn.GRU`` to a sequence, with a choice of how elapsed time is used.

    .. math::
        r, z &= \sigma(W_{ir, iz} u_t + b_{ir, iz} + W_{hr, hz} h_{t-1} + b_{hr, hz}) \\
        h_t &= (1 - z) \odot \tanh\big(W_{in} u_t + b_{in} + r \odot (W_{hn} h_{t-1} + b_{hn})\big) + z \odot h_{t-1}

    ``time``, masks, streaming and backends are as for :class:`LSTM`.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        bias: whether there are biases.
        batch_first: ``input``, ``output``, ``timespans`` and ``mask`` are (batch, time, ...).
        dropout: probability of dropout between layers.
        bidirectional: a second recurrence of each layer reads backwards.
        device: device of the parameters.
        dtype: dtype of the parameters.
        time: how ``timespans`` are used: None, "ignore", "append" or "decay", see :class:`LSTM`.
        output_size: see :class:`liquidrnn.recurrent.Stacking`, as for the next two.
        generator: random generator for the initial values.
        backend: as for :class:`LSTM`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. Parameters of a layer: ``rnn.*`` as in ``torch.nn.GRU``;
        ``raw_decay`` (hidden,).

    A trace (``return_trace=True``) holds "gate", the update gate z, and "tau", :math:`-\Delta t / \ln z`.

    Source: torch.nn.GRU; Cho et al. 2014.

    Example:
        >>> layer = GRU(16, 32, time="decay", batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        time: Time = None,
        output_size: int | None = None,
        generator: torch.Generator | None = None,
        backend: str | None = None,
    ):
        stacking = {
            "batch_first": batch_first,
            "dropout": dropout,
            "bidirectional": bidirectional,
            "device": device,
            "dtype": dtype,
            "output_size": output_size,
            "generator": generator,
            "backend": backend,
        }
        super().__init__(nn.GRU, input_size, hidden_size, num_layers, bias, time, {}, stacking)


class RNN(_TorchLayer):
    r"""Applies the equation of ``torch.nn.RNN`` to a sequence, with a choice of how elapsed time is used.

    .. math::
        h_t = \tanh(W_{ih} u_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    ``time``, masks, streaming and backends are as for :class:`LSTM`.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: ``input``, ``output``, ``timespans`` and ``mask`` are (batch, time, ...).
        dropout: probability of dropout between layers.
        bidirectional: a second recurrence of each layer reads backwards.
        device: device of the parameters.
        dtype: dtype of the parameters.
        time: how ``timespans`` are used: None, "ignore", "append" or "decay", see :class:`LSTM`.
        output_size: see :class:`liquidrnn.recurrent.Stacking`, as for the next two.
        generator: random generator for the initial values.
        backend: as for :class:`LSTM`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. Parameters of a layer: ``rnn.*`` as in ``torch.nn.RNN``;
        ``raw_decay`` (hidden,).

    A trace (``return_trace=True``) holds only the state: there is no gate.

    Source: torch.nn.RNN; Elman 1990.

    Example:
        >>> layer = RNN(16, 32, time="ignore", batch_first=True)
        >>> output, h_n = layer(torch.randn(5, 100, 16), timespans=torch.rand(5, 100))
        >>> output.shape
        torch.Size([5, 100, 32])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        time: Time = None,
        output_size: int | None = None,
        generator: torch.Generator | None = None,
        backend: str | None = None,
    ):
        choice("nonlinearity", nonlinearity, ("tanh", "relu"))
        stacking = {
            "batch_first": batch_first,
            "dropout": dropout,
            "bidirectional": bidirectional,
            "device": device,
            "dtype": dtype,
            "output_size": output_size,
            "generator": generator,
            "backend": backend,
        }
        options = {"nonlinearity": nonlinearity}
        super().__init__(nn.RNN, input_size, hidden_size, num_layers, bias, time, options, stacking)

    @property
    def nonlinearity(self) -> str:
        """Activation of the state: "tanh" or "relu"."""
        return self.recurrences[0].rnn.nonlinearity  # type: ignore[union-attr,return-value]


class _OfTorch(Recurrence):
    """Runs torch's own implementation, which supports neither masks nor episodes."""

    rnn: nn.RNNBase
    time: Time
    raw_decay: nn.Parameter | None

    @property
    def rate(self) -> Tensor | None:
        """Rate at which the state decays between samples."""
        return None if self.raw_decay is None else F.softplus(self.raw_decay)

    def cell(self) -> Cell:
        """Parameters and settings."""
        rnn: Any = self.rnn
        biases = (rnn.bias_ih_l0, rnn.bias_hh_l0) if rnn.bias else (None, None)
        projection = rnn.weight_hr_l0 if rnn.proj_size else None
        return Cell(
            rnn.weight_ih_l0,
            rnn.weight_hh_l0,
            *biases,
            projection,
            self.rate,
            kind=rnn.mode,
            appends=self.time == "append",
        )

    def _run(self, input: Tensor | PackedSequence, state: State) -> tuple[Any, State]:
        """Torch's own kernel over (batch, time, features), or packed."""
        hx = tuple(s.unsqueeze(0).contiguous() for s in state)
        output, end = self.rnn(input, hx if len(hx) == 2 else hx[0])
        return output, tuple(s.squeeze(0) for s in (end if isinstance(end, tuple) else (end,)))

    def update(self, coefficients: tuple[()], inputs: Inputs, state: State) -> State:
        values, state = entering(self.time == "append", self.rate, inputs, state)
        return self._run(values.unsqueeze(1), state)[1]

    def unroll(self, inputs: Inputs, state: State) -> tuple[State, State]:
        batch, time, _ = inputs.values.shape
        whole = inputs.present is None and inputs.reset is None
        # Torch's kernel needs lengths as numbers, which are unknown on the meta device and in an exported graph.
        unknown = not whole and (inputs.values.is_meta or torch.compiler.is_exporting())
        if self.raw_decay is not None or time == 0 or batch == 0 or unknown:
            return super().unroll(inputs, state)
        values, _ = entering(self.time == "append", None, inputs, state)
        if whole:
            output, end = self._run(values, state)
            return (output,), end
        return self._by_episode(values, inputs, state)

    def _by_episode(self, values: Tensor, inputs: Inputs, state: State) -> tuple[State, State]:
        """Runs torch's kernel on sequences of unequal length, one per episode, of its present samples."""
        batch, time, _ = values.shape
        there, episode = values.new_ones(batch, time, dtype=torch.bool), values.new_zeros(batch, time, dtype=torch.long)
        if inputs.present is not None:
            there = inputs.present.squeeze(-1)
        if inputs.reset is not None:
            episode = inputs.reset.squeeze(-1).long().cumsum(1)
        width = int(episode.max()) + 1
        sequence = episode + width * torch.arange(batch, device=values.device).unsqueeze(1)
        counts = torch.bincount(sequence[there], minlength=batch * width)
        # Number of present samples of the same episode up to each one, itself included.
        so_far = there.long().cumsum(1)
        before = (counts.view(batch, width).cumsum(1) - counts.view(batch, width)).gather(1, episode)
        so_far = so_far - before
        compact = values.new_zeros(batch * width, max(int(counts.max()), 1), values.shape[-1])
        compact = compact.index_put((sequence[there], so_far[there] - 1), values[there])
        packed = pack_padded_sequence(compact, counts.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        # An episode begins at state 0, except for the first, which continues from ``state``.
        starts = tuple(F.pad(part.unsqueeze(1), (0, 0, 0, width - 1)).flatten(0, 1) for part in state)
        output, end = self._run(packed, starts)
        states, _ = pad_packed_sequence(output, batch_first=True)
        states = torch.cat([starts[0].unsqueeze(1), states], 1)[sequence, so_far]
        last = sequence[:, -1]
        ran = (counts[last] > 0).unsqueeze(-1)
        ended = tuple(torch.where(ran, new[last], old[last]) for new, old in zip(end, starts, strict=True))
        return (states,), ended

    def examine(self, coefficients: tuple[()], inputs: Inputs, state: State) -> tuple[State, Trace]:
        return self.update(coefficients, inputs, state), explain(self.cell(), inputs, state)


class _TorchRecurrence(FusedRecurrence, _OfTorch):
    operator = gated.operator

    def __init__(self, rnn: nn.RNNBase, input_size: int, time: Time):
        super().__init__()
        self.rnn, self.input_size, self.time = rnn, input_size, time
        self.uses_timespans = time is not None
        self.hidden_size, self.output_size = rnn.hidden_size, rnn.proj_size or rnn.hidden_size
        widths = (self.output_size, self.hidden_size)
        self.state_sizes = widths if isinstance(rnn, nn.LSTM) else widths[:1]
        self.num_synapses = self.hidden_size * (input_size + self.output_size)
        # softplus(-2.25) = 0.1
        start = torch.full_like(rnn.weight_hh_l0[0], -2.25)  # type: ignore[index]
        self.raw_decay = nn.Parameter(start.detach()) if time == "decay" else None

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """True if our kernel runs: torch's multiplies the inputs of a whole sequence at once."""
        return self.fused()

    @staticmethod
    def _own_way(rnn: nn.RNNBase) -> str | None:
        """Why the torch module inside must be called; None if it need not be."""
        if type(rnn).forward not in _FORWARDS:
            return "its torch module was replaced"
        hooked = rnn._forward_pre_hooks or rnn._forward_hooks or rnn._backward_pre_hooks or rnn._backward_hooks
        return "its torch module has hooks" if hooked else None

    def fused(self) -> bool:
        """Whether one of our kernels runs it; without one, torch's implementation is faster than the reference."""
        if self.backend == "reference":
            return False
        rnn: Any = self.rnn
        why, asked = self._own_way(rnn), self.backend is not None
        if why is not None and asked:
            raise RuntimeError(
                f"backend={self.backend!r} cannot run this {rnn.mode}, since {why}; use backend=None or 'reference'"
            )
        if why is not None or asked:
            return asked
        weight = rnn.weight_hh_l0
        kernel = self.operator.kernels.get(weight.device.type)
        # ONNX has the networks of torch, but not our operators.
        exporting = torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export()
        return kernel is not None and weight.dtype in kernel.dtypes and not exporting

    def coefficients(self) -> Any:
        return self.cell() if self.fused() else ()

    def explain(self, equation: Cell, inputs: Inputs, state: State) -> Trace:
        return explain(equation, inputs, state)


_FORWARDS = tuple(kind.forward for kind in (nn.RNN, nn.LSTM, nn.GRU))
