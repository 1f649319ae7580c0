"""Gated recurrences: torch's RNN, LSTM and GRU, continuous-time RNNs, GRU-D."""

from liquidrnn.kernels import cpu as _module
from liquidrnn.kernels.gated import cpu, reference
from liquidrnn.kernels.gated.reference import Cell as Cell
from liquidrnn.kernels.operator import Operator

operator = Operator("gated", Cell, reference.unroll, observes=True)
if _module is not None:
    operator.register("cpu", cpu.KERNEL)
