"""Gated recurrent units with decay, for series with missing values (Che et al., 2018)."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn

from liquidrnn.arguments import described, positive_int
from liquidrnn.kernels import gated
from liquidrnn.kernels.gated import Cell
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import FusedRecurrence, Recurrence, Trace
from liquidrnn.recurrent import RecurrentLayer, Stacking, factory_of
from liquidrnn.synapses import Factory, drawn


class GRUD(RecurrentLayer):
    r"""Applies a GRU-D to a sequence: a GRU that reads which features are missing, and for how long.

    Let :math:`m_t` be 1 where a feature was observed, else 0, and :math:`\delta_t` the time since each feature was last
    observed. A missing feature decays from its last value :math:`u'` to its mean :math:`\bar u`, and the state decays
    too, before a GRU reads both and the mask:

    .. math::
        \gamma^u_t &= e^{-\max(0,\, w_u \odot \delta_t + b_u)}, \qquad
        \gamma^h_t = e^{-\max(0,\, W_\gamma \delta_t + b_\gamma)} \\
        \hat u_t &= m_t \odot u_t + (1 - m_t) \odot \big(\gamma^u_t \odot u' + (1 - \gamma^u_t) \odot \bar u\big),
        \qquad \hat h = \gamma^h_t \odot h_{t-1} \\
        z_t &= \sigma(W_z \hat u_t + V_z m_t + U_z \hat h + b_z), \qquad
        r_t = \sigma(W_r \hat u_t + V_r m_t + U_r \hat h + b_r) \\
        \tilde h_t &= \tanh(W \hat u_t + V m_t + U (r_t \odot \hat h) + b), \qquad
        h_t = (1 - z_t) \odot \hat h + z_t \odot \tilde h_t

    Mark missing features with ``mask``; without a mask every feature is observed. The last values and their ages are
    part of the state, so a stream or a continued sequence has them.

    Args:
        input_size: features of one sample.
        hidden_size: number of units.
        num_layers: layers stacked on one another. Those above the first read outputs, which are never missing, so they
            have no ``decay_weight``, ``decay_bias`` and ``mean``.
        mean: (input_size,), value that a missing feature decays to; None is 0, the mean of a standardised feature.
        **stacking: ``batch_first``, ``bidirectional``, ``dropout``, ``output_size``, ``generator``, ``device``,
            ``dtype``, ``backend``: see :class:`liquidrnn.recurrent.Stacking`.

    Shape:
        See :class:`liquidrnn.recurrent.RecurrentLayer`; ``hx`` and ``h_n`` are triples: the state (..., N), the last
        value of each feature relative to its mean (..., M), and the time since it was observed (..., M). ``weight_ih``
        (3 N, M), ``weight_mh`` (3 N, M) and ``weight_hh`` (3 N, N), in the order r, z, candidate, and ``bias`` (3 N,),
        uniform in :math:`\pm N^{-1/2}`; ``decay_weight`` (M,) and ``state_decay_weight`` (N, M), uniform in
        :math:`[0, N^{-1/2}]`; ``decay_bias`` (M,) and ``state_decay_bias`` (N,), 0. ``mean`` is a buffer (M,).

    A trace (``return_trace=True``) holds "gate", the update gate z, and "decay", :math:`\gamma^h`.

    Source: Che, Purushotham, Cho, Sontag, Liu, Recurrent Neural Networks for Multivariate Time Series with Missing
    Values, Scientific Reports 8, 2018 (arXiv 1606.01865), equations 10 to 15.

    Example:
        >>> layer = GRUD(16, 32, batch_first=True)
        >>> x, mask = torch.randn(5, 100, 16), torch.rand(5, 100, 16) > 0.7
        >>> output, (h_n, last, elapsed) = layer(x, timespans=torch.rand(5, 100), mask=mask)
        >>> output.shape, elapsed.shape
        (torch.Size([5, 100, 32]), torch.Size([1, 5, 16]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        mean: Tensor | None = None,
        **stacking: Unpack[Stacking],
    ):
        input_size, hidden_size = positive_int("input_size", input_size), positive_int("hidden_size", hidden_size)
        if mean is not None and (not isinstance(mean, Tensor) or tuple(mean.shape) != (input_size,)):
            raise ValueError(
                f"mean must be a Tensor ({input_size},), one number per feature, but got {described(mean)}"
            )
        factory = factory_of(stacking)

        def build(width: int) -> Recurrence:
            first = len(self.layers) == 0
            return _GRUDRecurrence(width, hidden_size, input_size, mean, first, factory)

        super().__init__(build, input_size, num_layers, **stacking)


class _GRUDRecurrence(FusedRecurrence):
    operator = gated.operator
    reads_mask = True
    state_names = ("h", "last", "elapsed")

    def __init__(
        self, input_size: int, hidden_size: int, features: int, mean: Tensor | None, imputes: bool, factory: Factory
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        # The same for all layers, as in hx.
        self.state_sizes = (hidden_size, features, features)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        place: dict[str, Any] = {"device": factory["device"], "dtype": factory["dtype"]}
        bound = hidden_size**-0.5

        def uniform(*shape: int, low: float = -bound) -> nn.Parameter:
            return nn.Parameter(low + (bound - low) * drawn(nn.init.uniform_, *shape, **factory))

        self.weight_ih, self.weight_mh = uniform(3 * hidden_size, input_size), uniform(3 * hidden_size, input_size)
        self.weight_hh, self.bias = uniform(3 * hidden_size, hidden_size), uniform(3 * hidden_size)
        # Rates below 0 count as 0 and have no gradient there.
        self.decay_weight = uniform(input_size, low=0.0) if imputes else None
        self.decay_bias = nn.Parameter(torch.zeros(input_size, **place)) if imputes else None
        self.state_decay_weight = uniform(hidden_size, input_size, low=0.0)
        self.state_decay_bias = nn.Parameter(torch.zeros(hidden_size, **place))
        self.mean: Tensor | None
        like = torch.empty(input_size, **place)
        start = torch.zeros_like(like) if mean is None else mean.detach().to(like, copy=True)
        self.register_buffer("mean", start if imputes else None)
        if not imputes:
            self._register_load_state_dict_pre_hook(_without_imputation)

    def coefficients(self) -> Cell:
        return Cell(
            self.weight_ih,
            self.weight_hh,
            self.bias,
            weight_mh=self.weight_mh,
            decay_weight=self.decay_weight,
            decay_bias=self.decay_bias,
            state_decay_weight=self.state_decay_weight,
            state_decay_bias=self.state_decay_bias,
            mean=self.mean,
            kind="GRU_D",
        )

    def silenced(self, state: State, units: Tensor) -> State:
        h, *observed = state
        return h.index_fill(-1, units, 0.0), *observed

    def explain(self, equation: Cell, inputs: Inputs, state: State) -> Trace:
        return gated.reference.explain(equation, inputs, state)


def _without_imputation(state_dict, prefix, *_) -> None:
    """Drops what an earlier version saved for a layer above the first, where nothing read it."""
    for name in ("decay_weight", "decay_bias", "mean"):
        state_dict.pop(prefix + name, None)
