"""The recurrence of closed-form continuous-time networks."""

from liquidrnn.kernels import cpu as _module
from liquidrnn.kernels.cfc import cpu, reference
from liquidrnn.kernels.cfc.reference import Network as Network
from liquidrnn.kernels.operator import Operator

operator = Operator("cfc", Network, reference.unroll)
if _module is not None:
    operator.register("cpu", cpu.KERNEL)
