"""The recurrence of liquid-resistance liquid-capacitance networks, including LRCU and STC."""

from liquidrnn.kernels import cpu as _module
from liquidrnn.kernels.lrc import cpu, reference
from liquidrnn.kernels.lrc.reference import Equation as Equation
from liquidrnn.kernels.lrc.reference import Neurons as Neurons
from liquidrnn.kernels.lrc.reference import Sigmoids as Sigmoids
from liquidrnn.kernels.operator import Operator

operator = Operator("lrc", Equation, reference.unroll)
if _module is not None:
    operator.register("cpu", cpu.KERNEL)
