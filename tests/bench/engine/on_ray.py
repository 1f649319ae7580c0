"""A study on a Ray cluster of this machine, in a process of its own, since Ray leaves much to the garbage collector.

python on_ray.py CASE DIRECTORY    # prints the outcome as JSON
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from ray.cluster_utils import Cluster as Nodes
from rehearsal import Rehearsal
from watched import Deadly

from liquidbench.engine import execute, plan
from liquidbench.engine.cluster import Cluster
from liquidbench.study import Study


@dataclass
class Unknown(Rehearsal):
    """A worker that cannot be unpickled."""

    def __setstate__(self, state):
        raise ModuleNotFoundError("no liquidbench on this node")


@contextmanager
def cluster():
    """A cluster of one node with one core."""
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield nodes
    finally:
        nodes.shutdown()


def done(made, nodes, worker, on_event=lambda event: None) -> dict:
    counts: Counter[str] = Counter()

    def hear(event) -> None:
        counts[event.kind] += 1
        on_event(event)

    outcome = execute(made, Cluster(nodes.address), hear, worker=worker)
    return {
        "finished": [made.id(run) for run in outcome.finished],
        "failed": {made.id(run): reason for run, reason in outcome.failed.items()},
        "counts": counts,
    }


@dataclass
class Placed(Rehearsal):
    """A worker that records its node and process for each run, and never finishes on the node that will be lost."""

    folder: str = ""
    doomed: str = ""

    def __call__(self, job, send):
        name = job.run.id(self.tasks[job.run.task_name].digest)
        node = ray.get_runtime_context().get_node_id()
        (Path(self.folder) / f"{name}.node").write_text(f"{node} {os.getpid()}")
        worker = replace(self, seconds=100.0) if node == self.doomed else self
        return Rehearsal.__call__(worker, job, send)


def lost_node(made) -> dict:
    """A second node is lost during a run."""
    watch, killed, lost = made.directory / "watch", [], []
    with cluster() as nodes:
        second = nodes.add_node(num_cpus=1)

        def lose_it(event) -> None:
            if event.kind == "lost":
                lost.append(made.id(event.run))
            if event.kind == "started" and not killed:
                node, process = (watch / f"{made.id(event.run)}.node").read_text().split()
                if node == second.node_id:
                    killed.append(made.id(event.run))
                    # A machine that is lost takes all its processes with it; here this one would survive its node.
                    os.kill(int(process), signal.SIGKILL)
                    nodes.remove_node(second, allow_graceful=False)
                    # Until Ray notices, it may send the run there again, which would be lost once more.
                    while any(one["Alive"] and one["NodeID"] == node for one in ray.nodes()):
                        time.sleep(0.05)

        worker = Placed(made.study.name, made.tasks, seconds=0.3, folder=str(watch), doomed=second.node_id)
        return {"killed": killed, "lost": lost} | done(made, nodes, worker, lose_it)


def deadly_runs(made) -> dict:
    """Some fits kill their process."""
    with cluster() as nodes:
        return done(made, nodes, Deadly("s", made.tasks))


def killed_driver(made) -> dict:
    """Another process drives the study first and is killed."""
    with cluster() as nodes:
        command = [sys.executable, __file__, "drive", str(made.directory), nodes.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
            heard = [next(driver.stdout).split() for _ in range(8)]
            driver.kill()
        told = [run for kind, run in heard if kind == "finished"]
        again = plan(made.study, made.directory)
        assert not {again.id(run) for run in again.pending} & set(told)
        return {"told": told, "left": len(again.pending)} | done(again, nodes, Rehearsal("s", made.tasks))


def unfit_node(made) -> dict:
    with cluster() as nodes:
        try:
            return done(made, nodes, Unknown("s", made.tasks))
        except RuntimeError as error:
            return {"error": str(error)}


@dataclass
class Watching(Rehearsal):
    """A worker that records its import path and the addresses on which this user's processes listen."""

    log: str = ""

    def __call__(self, job, send):
        user, listens = os.getuid(), []
        for kind in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
                _, local, _, state, _, _, _, owner, _, inode, *_ = line.split()
                if state == "0A" and int(owner) == user:
                    listens.append((inode, local.partition(":")[0]))
        Path(self.log).write_text(json.dumps({"path": sys.path, "listens": listens, "folder": os.getcwd()}))
        return super().__call__(job, send)


def alone(made) -> dict:
    """A local Ray instance, started from a folder of data."""
    data, log = made.directory / "data", made.directory / "log"
    data.mkdir()
    os.chdir(data)
    before = {
        line.split()[9] for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()
    }
    outcome = execute(made, Cluster("local", 1), worker=Watching("s", made.tasks, log=str(log)))
    told = json.loads(log.read_text())
    listens = {address for inode, address in told["listens"] if inode not in before}
    return told | {"finished": len(outcome.finished), "listens": sorted(listens)}


def nowhere(made) -> dict:
    try:
        execute(made, Cluster("auto"), worker=Rehearsal("s", made.tasks))
    except ValueError as error:
        return {"error": str(error)}
    return {}


if __name__ == "__main__":
    case, directory = sys.argv[1], Path(sys.argv[2])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Nodes are processes here; this lets them import these workers.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    made = plan(Study.load(directory / "study.yaml"), directory)
    if case == "drive":
        worker = Rehearsal("s", made.tasks, seconds=0.3)
        execute(
            made, Cluster(sys.argv[3]), lambda event: print(event.kind, made.id(event.run), flush=True), worker=worker
        )
    else:
        print(json.dumps(globals()[case](made)))
