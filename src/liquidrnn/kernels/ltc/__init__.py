"""The recurrence of liquid time-constant networks."""

from liquidrnn.kernels import cpu as _module
from liquidrnn.kernels.ltc import cpu, reference
from liquidrnn.kernels.ltc.reference import Equation as Equation
from liquidrnn.kernels.ltc.reference import Membrane as Membrane
from liquidrnn.kernels.ltc.reference import Sigmoids as Sigmoids
from liquidrnn.kernels.operator import Operator

operator = Operator("ltc", Equation, reference.unroll)
if _module is not None:
    operator.register("cpu", cpu.KERNEL)
