"""The execution engine: runs a study's pending runs on one machine or on many.

`plan` finds out which runs are pending. `execute` is the driver: it acquires a lease for each run (`leases`), submits
the run to an executor (`in_process`, `pool`, `cluster`), whose workers do it (`work`), and stores the results. A killed
driver, worker or machine loses at most the runs in flight. Several drivers may work on one study at the same time.
"""

from liquidbench.engine.driver import Event, Outcome, execute
from liquidbench.engine.executor import Executor
from liquidbench.engine.in_process import InProcess
from liquidbench.engine.planning import Plan, plan
from liquidbench.engine.pool import Pool

__all__ = ["Event", "Executor", "InProcess", "Outcome", "Plan", "Pool", "execute", "plan"]
