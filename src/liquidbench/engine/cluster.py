"""Workers of a Ray cluster, or of a Ray on this machine.

Each job is one task of Ray's, which says what happens as it comes and is never retried by Ray: what a loss means is
for the driver to say. Nothing is shared with the workers but what they are sent, so that they need no folder in common
with the driver: a search that is known comes with the job, and searches and predictions go back with the results. What
a lost worker had found out of its search is lost with it. Raw data have to be where the study looks for them on each
node.

Whoever reaches Ray's ports can have code run, as this user. A Ray that is started here therefore listens on this
machine alone; of any other that is the affair of whoever started it.
"""

import ipaddress
import os
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

from liquidbench.engine.executor import Worker
from liquidbench.engine.messages import Ended, Job, Lost, Message, Stale, Unkept
from liquidbench.system.places import private_folder

_AGAIN = 2.0
"""Seconds after which Ray is asked again how large the cluster is."""

_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Whether a Ray is for other machines too, on any system, whatever the name says. Ray reads it when it is loaded."""

_LONGEST_SOCKET = 103 - len("/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store")
"""Characters of the folder that Ray puts its sockets into, at most."""


class Cluster:
    """Workers of Ray, as many as the cluster has room for, also while it grows and shrinks.

    Args:
        address: ``"auto"`` for the cluster that this machine belongs to, ``"local"`` for a new one on this machine
            alone, or the address of a cluster.
        processes: most jobs at a time; None for as many as there are cores for.
        threads: cores of each job.
        gpus: GPUs of each job, which may be a fraction.
    """

    apart = True

    def __init__(self, address: str = "auto", processes: int | None = None, threads: int = 1, gpus: float = 0.0):
        for name, value in (("processes", processes), ("threads", threads)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        if address == "local":
            os.environ.setdefault(_CLUSTERS, "0")
        try:
            import ray.util.scheduling_strategies  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ValueError('Ray is not installed; install it with: pip install "liquidrnn[ray]"') from None
        if address == "local" and os.environ[_CLUSTERS] == "0":
            # For a program that has loaded Ray before.
            vars(sys.modules["ray._private.ray_constants"])["ENABLE_RAY_CLUSTER"] = False
        # Of no type, for where Ray is not installed.
        self._ray: Any = ray
        self._address, self._processes, self._threads, self._gpus = address, processes, threads, gpus
        self._jobs: dict[Any, Job] = {}
        self._size, self._asked = 0, float("-inf")
        # Measurements of cost are compared with each other, so one machine makes them all while it lives.
        self._measuring: str | None = None

    def open(self, worker: Worker, log: Path) -> None:
        """See `liquidbench.engine.executor.Executor`. What is printed at work is in Ray's own logs."""
        environment = {"OMP_NUM_THREADS": str(self._threads)}
        # Nobody asked for a call home.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            # Ray has workers import from what is the current folder now, before anything else.
            with chdir(sys.prefix):
                self._ray.init(
                    address=self._address,
                    logging_level="ERROR",
                    log_to_driver=False,
                    runtime_env={"env_vars": environment},
                    **(_alone() if self._address == "local" else {}),
                )
        except ConnectionError as error:
            raise ValueError(
                f"there is no Ray at {self._address!r} ({error}); start one with `ray start --head`, name its address, "
                "or take --ray local"
            ) from None
        if self._address == "local":
            self._check_alone()
        self._worker = self._ray.put(worker)
        # By which a process knows that it has the worker already, with the tasks that it has loaded.
        self._name = f"{os.getpid()} {time.time()}"
        self._do = self._ray.remote(num_returns="streaming", max_retries=0)(_work)

    def room(self) -> int:
        """See `liquidbench.engine.executor.Executor`."""
        if time.monotonic() - self._asked > _AGAIN:
            cores = self._ray.cluster_resources().get("CPU", 0)
            self._size, self._asked = int(cores // self._threads), time.monotonic()
        most = self._size if self._processes is None else min(self._processes, self._size)
        return max(most - len(self._jobs), 0)

    def begin(self, job: Job, alone: bool) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        options: dict[str, Any] = {"num_cpus": self._threads, "num_gpus": self._gpus}
        if alone:
            options |= self._whole_node()
        self._jobs[self._do.options(**options).remote(self._name, self._worker, job, os.getcwd())] = job

    def wait(self, tell: Callable[[Job, Message], None], seconds: float) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        if not self._jobs:
            time.sleep(min(seconds, _AGAIN))
            return
        # A cluster that has grown since has room for more.
        for told in self._ray.wait(list(self._jobs), timeout=min(seconds, _AGAIN), fetch_local=False)[0]:
            job = self._jobs[told]
            try:
                message = self._ray.get(next(told))
            except StopIteration:
                message = Lost("worker ended without a word")
            except self._ray.exceptions.RayTaskError as error:
                raise RuntimeError(f"a worker of Ray's cannot do any run: {_cause(error.cause)}") from error
            except self._ray.exceptions.RayError as error:
                message = Lost(_cause(error))
            if isinstance(message, Ended | Stale | Unkept | Lost):
                del self._jobs[told]
            tell(job, message)

    def close(self) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        if self._ray.is_initialized():
            for told in self._jobs:
                self._ray.cancel(told, force=True)
            self._jobs.clear()
            self._ray.shutdown()

    def _check_alone(self) -> None:
        address = self._ray.util.get_node_ip_address()
        if os.environ.get(_CLUSTERS) == "0" and not ipaddress.ip_address(address).is_loopback:
            warnings.warn(
                f"Ray listens on {address}, where other machines may reach it, and with code have it run. Set "
                f"{_CLUSTERS}=0 in the environment before Ray is imported, or stop this and use a firewall",
                stacklevel=2,
            )

    def _whole_node(self) -> dict[str, Any]:
        """Options of a task that has all cores of a node, so that Ray puts nothing beside it."""
        nodes = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]}
        if self._measuring not in nodes:
            self._measuring = max(nodes, key=lambda name: (nodes[name], name))
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._measuring, soft=False)
        return {"num_cpus": nodes[self._measuring], "scheduling_strategy": affinity}


def _alone() -> Mapping[str, Any]:
    """How a Ray of this machine alone is started, with its files where no other user can meddle."""
    folder = str(private_folder() / "ray")
    if len(folder) > _LONGEST_SOCKET:
        warnings.warn(
            f"Ray keeps its files in its usual folder, which other users of this machine can foretell, as the path of "
            f"{folder} is too long for it; set TMPDIR to a shorter one",
            stacklevel=2,
        )
        return {"include_dashboard": False}
    return {"include_dashboard": False, "_temp_dir": folder}


def _cause(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:200]}"


_WORKERS: dict[str, Worker] = {}


def _work(name: str, worker: Worker, job: Job, folder: str) -> Iterator[Message]:
    """A job, told as it goes on. Relative paths are meant from the driver's folder, where there is one like it."""
    with suppress(OSError):
        os.chdir(folder)
    worker = _WORKERS.setdefault(name, worker)
    told: queue.SimpleQueue[Message | BaseException] = queue.SimpleQueue()

    def do() -> None:
        try:
            told.put(worker(job, told.put))
        except BaseException as error:
            told.put(error)

    threading.Thread(target=do, daemon=True).start()
    while True:
        message = told.get()
        if isinstance(message, BaseException):
            raise message
        yield message
        if isinstance(message, Ended | Stale | Unkept):
            return
