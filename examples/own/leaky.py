"""A user-defined layer: leaky units, each with a learned time constant."""

import torch
import torch.nn.functional as F
from torch import nn

from liquidbench.models import ModelSpec
from liquidrnn.kernels.loop import Inputs, State
from liquidrnn.recurrence import Recurrence
from liquidrnn.recurrent import RecurrentLayer


class Leaky(RecurrentLayer):
    """Units that decay towards their input: over a span t a unit keeps a share exp(-t / tau) of its state."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, generator=None, **stacking):
        def build(width: int) -> Recurrence:
            return _LeakyRecurrence(width, hidden_size, generator)

        super().__init__(build, input_size, num_layers, generator=generator, **stacking)


class _LeakyRecurrence(Recurrence):
    def __init__(self, input_size: int, hidden_size: int, generator: torch.Generator | None):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.state_sizes = (hidden_size,)
        self.num_synapses = hidden_size * (input_size + hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.raw_tau = nn.Parameter(torch.zeros(hidden_size))
        # Only the generator is used for random numbers, so that a seed determines the network.
        nn.init.xavier_uniform_(self.weight_ih, generator=generator)
        nn.init.orthogonal_(self.weight_hh, generator=generator)

    def update(self, coefficients: tuple[()], inputs: Inputs, state: State) -> State:
        (h,) = state
        kept = torch.exp(-inputs.timespans / (0.1 + F.softplus(self.raw_tau)))
        target = torch.tanh(F.linear(inputs.values, self.weight_ih, self.bias) + F.linear(h, self.weight_hh))
        return (kept * h + (1 - kept) * target,)


def operations(recurrence: _LeakyRecurrence) -> tuple[int, int]:
    """Multiply-adds and synapse evaluations of one sample."""
    return recurrence.weight_ih.numel() + recurrence.weight_hh.numel(), 0


DEEP_LEAKY = ModelSpec(
    name="Leaky-deep",
    layer=Leaky,
    family="liquid",
    structures={"num_layers": (2, 3)},
    operations=operations,
)
