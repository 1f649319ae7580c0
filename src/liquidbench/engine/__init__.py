"""The runs of a study, on one machine or many: what is left to do, who does it, and what is kept of it.

`plan` finds out what is left. `execute` is a driver: it takes a lease of each run (`leases`), hands it to an executor
(`in_process`, `pool`, `cluster`), which brings it to a worker (`work`), and keeps what comes back. Whatever is killed,
driver, worker or machine, loses at most the runs in flight. Several drivers may work at one study.
"""

from liquidbench.engine.driver import Event, Outcome, execute
from liquidbench.engine.executor import Executor
from liquidbench.engine.in_process import InProcess
from liquidbench.engine.planning import Plan, plan
from liquidbench.engine.pool import Pool

__all__ = ["Event", "Executor", "InProcess", "Outcome", "Plan", "Pool", "execute", "plan"]
