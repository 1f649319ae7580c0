"""torch's own RNN, LSTM and GRU behind the contract of the liquid layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from liquidrnn.arguments import choice, described, positive_int
from liquidrnn.recurrent import Recurrence, RecurrentLayer, Stacking, State
from liquidrnn.synapses import drawn

Time = Literal["ignore", "append", "decay"] | None


class LSTM(RecurrentLayer):
    r"""Applies ``torch.nn.LSTM`` to a sequence, with a say in what elapsed time does.

    The equations, parameters and kernels of a level are torch's; without ``time`` so are its numbers, from the same
    seed. What a discrete network does with ``timespans`` is a choice, ``time``:

    - None: nothing, so passing ``timespans``, or ``timespan`` to a step, is an error.
    - "ignore": nothing, knowingly: ``timespans`` is accepted and has no effect.
    - "append": the span is one more input feature, after the others.
    - "decay": before each sample the state :math:`h` shrinks by :math:`e^{-\lambda \Delta t}`, with a learned
      rate :math:`\lambda = \mathrm{softplus}(r) \ge 0` per unit; an LSTM's cell state does not shrink.

    Masks mean what they mean for every layer: absent samples are taken out, and torch's kernel runs on the rest.

    Streaming with :meth:`step` equals the whole sequence to rounding, not bit for bit: torch multiplies a whole
    sequence's inputs at once. ``torch.compile(fullgraph=True)`` and ``torch.func.vmap`` over parameters refuse torch's
    recurrent networks, here as elsewhere.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: levels stacked on one another.
        time: what to do with ``timespans``: None, "ignore", "append" or "decay".
        proj_size: width to which torch projects the hidden state within the recurrence; 0 for none.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are pairs (h, c). Parameters of a level:
        ``rnn.*`` as in ``torch.nn.LSTM``, which lists them; ``raw_decay`` (hidden,), with effective rate 0.1 at the
        start.

    A trace (``return_tau=True``) holds "gate", the forget gate, and "tau", :math:`-\Delta t / \ln(gate)`: the time
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
        *,
        time: Time = None,
        proj_size: int = 0,
        **stacking: Unpack[Stacking],
    ):
        positive_int("hidden_size", hidden_size)
        if isinstance(proj_size, bool) or not isinstance(proj_size, int):
            raise TypeError(f"proj_size must be an int, but got {described(proj_size)}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be from 0 to hidden_size - 1 = {hidden_size - 1}, but got {proj_size}")
        build = _builder(nn.LSTM, hidden_size, time, stacking, proj_size=proj_size)
        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time


class GRU(RecurrentLayer):
    r"""Applies ``torch.nn.GRU`` to a sequence, with a say in what elapsed time does.

    See :class:`LSTM` for ``time``, masks and streaming, which are the same.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: levels stacked on one another.
        time: what to do with ``timespans``: None, "ignore", "append" or "decay", see :class:`LSTM`.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. Parameters of a level: ``rnn.*`` as in ``torch.nn.GRU``;
        ``raw_decay`` (hidden,).

    A trace (``return_tau=True``) holds "gate", the update gate z, and "tau", :math:`-\Delta t / \ln z`.

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
        *,
        time: Time = None,
        **stacking: Unpack[Stacking],
    ):
        super().__init__(_builder(nn.GRU, hidden_size, time, stacking), input_size, num_layers, **stacking)
        self.time = time


class RNN(RecurrentLayer):
    r"""Applies ``torch.nn.RNN`` to a sequence, with a say in what elapsed time does.

    See :class:`LSTM` for ``time``, masks and streaming, which are the same.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: levels stacked on one another.
        time: what to do with ``timespans``: None, "ignore", "append" or "decay", see :class:`LSTM`.
        nonlinearity: "tanh" or "relu".
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`. Parameters of a level: ``rnn.*`` as in ``torch.nn.RNN``;
        ``raw_decay`` (hidden,).

    A trace (``return_tau=True``) holds the state alone: there is no gate.

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
        *,
        time: Time = None,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        **stacking: Unpack[Stacking],
    ):
        build = _builder(nn.RNN, hidden_size, time, stacking, nonlinearity=nonlinearity)
        super().__init__(build, input_size, num_layers, **stacking)
        self.time = time


def _builder(kind: Callable[..., nn.RNNBase], hidden_size: int, time: Time, stacking: Stacking, **options):
    positive_int("hidden_size", hidden_size)
    choice("time", time, ("ignore", "append", "decay", None))
    if "mixed_memory" in stacking:
        raise TypeError(
            f"{kind.__name__} has no mixed_memory: an LSTM brings its own memory, LTC, CfC and others take one"
        )
    generator, device, dtype = (stacking.get(name) for name in ("generator", "device", "dtype"))

    def build(width: int) -> Recurrence:
        rnn = kind(width + (time == "append"), hidden_size, batch_first=True, device=device, dtype=dtype, **options)
        if generator is not None:
            with torch.no_grad():
                for parameter in rnn.parameters():
                    start = drawn(nn.init.uniform_, *parameter.shape, generator=generator, device=device, dtype=dtype)
                    parameter.copy_((2 * start - 1) * hidden_size**-0.5)
        return _TorchRecurrence(rnn, width, time)

    return build


class _TorchRecurrence(Recurrence):
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

    def _run(self, input: Tensor, state: State) -> tuple[Tensor, State]:
        """Torch's own kernel over (batch, time, features)."""
        hx = tuple(s.unsqueeze(0).contiguous() for s in state)
        output, end = self.rnn(input, hx if len(hx) == 2 else hx[0])
        return output, tuple(s.squeeze(0) for s in (end if isinstance(end, tuple) else (end,)))

    def _entering(self, input: Tensor, state: State, timespan: Tensor) -> tuple[Tensor, State]:
        """Input and state as torch's cell is to see them, once time has had its say."""
        if self.time == "append":
            return torch.cat([input, timespan], -1), state
        if self.raw_decay is not None:
            return input, (state[0] * torch.exp(-F.softplus(self.raw_decay) * timespan), *state[1:])
        return input, state

    def update(self, coefficients, input, state, timespan):
        input, state = self._entering(input, state, timespan)
        return self._run(input.unsqueeze(1), state)[1]

    def unroll(self, input, state, timespans, observed):
        batch, time, _ = input.shape
        # Torch's kernel takes lengths as numbers, which there are none of on the meta device or in an exported graph.
        unknown = observed is not None and (observed.is_meta or torch.compiler.is_exporting())
        if self.raw_decay is not None or time == 0 or batch == 0 or unknown:
            return super().unroll(input, state, timespans, observed)
        input, _ = self._entering(input, state, timespans)
        if observed is None:
            return self._run(input, state)
        # Observed samples first, in order, so that torch's kernel sees sequences of unequal length and nothing else.
        there = observed.squeeze(-1)
        order = torch.argsort(~there, dim=1, stable=True)
        counts = there.sum(1)
        compact = input.gather(1, order.unsqueeze(-1).expand_as(input))
        packed = pack_padded_sequence(compact, counts.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        hx = tuple(s.unsqueeze(0).contiguous() for s in state)
        output, end = self.rnn(packed, hx if len(hx) == 2 else hx[0])
        states, _ = pad_packed_sequence(output, batch_first=True, total_length=time)
        # After sample t stands the state of the last observed one, or the initial state before the first.
        states = torch.cat([state[0].unsqueeze(1), states], 1)
        index = there.cumsum(1).unsqueeze(-1).expand(-1, -1, self.output_size)
        any_there = (counts > 0).unsqueeze(-1)
        end = tuple(s.squeeze(0) for s in (end if isinstance(end, tuple) else (end,)))
        return states.gather(1, index), tuple(
            torch.where(any_there, new, old) for new, old in zip(end, state, strict=True)
        )

    def examine(self, coefficients, input, state, timespan):
        input, state = self._entering(input, state, timespan)
        updated = self._run(input.unsqueeze(1), state)[1]
        if isinstance(self.rnn, nn.RNN):
            return updated, {}
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(self.rnn, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        gates = F.linear(input, weight_ih, bias_ih) + F.linear(state[0], weight_hh, bias_hh)
        # The forget gate of an LSTM and the update gate of a GRU both stand second.
        logit = gates.split(self.hidden_size, -1)[1]
        return updated, {"gate": torch.sigmoid(logit), "tau": timespan / F.softplus(-logit)}
