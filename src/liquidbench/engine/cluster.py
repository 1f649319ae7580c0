"""An executor on a Ray cluster, or on a Ray instance started on this machine.

Each job is one Ray task, which streams its messages. Ray never retries it: the driver decides what to do about a lost
worker. Workers need no folder in common with the driver: a job carries the journal of its search, and the results carry
search journals and predictions back. Progress in a search is lost with its worker. The raw data must be on each node,
where the study looks for them.

Anyone who can reach Ray's ports can run code as this user. A Ray instance started here therefore listens on the
loopback interface only; the security of any other one is up to its owner.
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
from liquidbench.engine.messages import Ended, InputsChanged, Job, Message, StorageFailed, WorkerLost
from liquidbench.system.places import private_folder

_POLL = 2.0
"""Seconds between two queries of the cluster's size."""

_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray binds to the loopback interface if this is 0, on every system despite its name. Ray reads it on import."""

_LONGEST_FOLDER = 103 - len("/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store")
"""Longest path of the folder for Ray's files; the system limits the paths of the sockets in it."""


class Cluster:
    """Ray workers, as many as the cluster has cores for, also while it grows and shrinks.

    Args:
        address: ``"auto"`` for the cluster that this machine belongs to, ``"local"`` for a new instance on this machine
            only, or the address of a cluster.
        processes: the largest number of jobs at a time; None for as many as there are cores for.
        threads: the number of cores of each job.
        gpus: the number of GPUs of each job, which may be a fraction.
    """

    remote = True

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
            # For a program that has imported Ray before, so that the variable is read too late.
            vars(sys.modules["ray._private.ray_constants"])["ENABLE_RAY_CLUSTER"] = False
        # Any, since Ray may not be installed.
        self._ray: Any = ray
        self._address, self._processes, self._threads, self._gpus = address, processes, threads, gpus
        self._jobs: dict[Any, Job] = {}
        self._size, self._asked = 0, float("-inf")
        # The node that measures cost: always the same one while it lives, since measurements are compared.
        self._measuring: str | None = None

    def open(self, worker: Worker, log: Path) -> None:
        """See `liquidbench.engine.executor.Executor`. What workers print is in Ray's own logs."""
        environment = {"OMP_NUM_THREADS": str(self._threads)}
        # No usage statistics unless the user asks for them.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            # Ray puts the current folder first in the workers' import path, and it may hold data.
            with chdir(sys.prefix):
                self._ray.init(
                    address=self._address,
                    logging_level="ERROR",
                    log_to_driver=False,
                    runtime_env={"env_vars": environment},
                    **(_local_options() if self._address == "local" else {}),
                )
        except ConnectionError as error:
            raise ValueError(
                f"there is no Ray at {self._address!r} ({error}); start one with `ray start --head`, give its address, "
                "or use --ray local"
            ) from None
        if self._address == "local":
            self._check_loopback()
        self._worker = self._ray.put(worker)
        # The key under which a process caches the worker, and with it the tasks it has loaded.
        self._name = f"{os.getpid()} {time.time()}"
        self._do = self._ray.remote(num_returns="streaming", max_retries=0)(_serve)

    def room(self) -> int:
        """See `liquidbench.engine.executor.Executor`."""
        if time.monotonic() - self._asked > _POLL:
            cores = self._ray.cluster_resources().get("CPU", 0)
            self._size, self._asked = int(cores // self._threads), time.monotonic()
        most = self._size if self._processes is None else min(self._processes, self._size)
        return max(most - len(self._jobs), 0)

    def submit(self, job: Job, exclusive: bool) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        options: dict[str, Any] = {"num_cpus": self._threads, "num_gpus": self._gpus}
        if exclusive:
            options |= self._whole_node()
        self._jobs[self._do.options(**options).remote(self._name, self._worker, job, os.getcwd())] = job

    def wait(self, on_message: Callable[[Job, Message], None], seconds: float) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        if not self._jobs:
            time.sleep(min(seconds, _POLL))
            return
        # Not longer than until the next query of the cluster's size: it may have grown.
        for stream in self._ray.wait(list(self._jobs), timeout=min(seconds, _POLL), fetch_local=False)[0]:
            job = self._jobs[stream]
            try:
                message = self._ray.get(next(stream))
            except StopIteration:
                message = WorkerLost("worker ended without a result")
            except self._ray.exceptions.RayTaskError as error:
                raise RuntimeError(f"a Ray worker cannot do any run: {_cause(error.cause)}") from error
            except self._ray.exceptions.RayError as error:
                message = WorkerLost(_cause(error))
            if isinstance(message, Ended | InputsChanged | StorageFailed | WorkerLost):
                del self._jobs[stream]
            on_message(job, message)

    def close(self) -> None:
        """See `liquidbench.engine.executor.Executor`."""
        if self._ray.is_initialized():
            for stream in self._jobs:
                self._ray.cancel(stream, force=True)
            self._jobs.clear()
            self._ray.shutdown()

    def _check_loopback(self) -> None:
        address = self._ray.util.get_node_ip_address()
        if os.environ.get(_CLUSTERS) == "0" and not ipaddress.ip_address(address).is_loopback:
            warnings.warn(
                f"Ray listens on {address}, where other machines may reach it and run code as this user. Set "
                f"{_CLUSTERS}=0 in the environment before Ray is imported, or stop this and set up a firewall",
                stacklevel=2,
            )

    def _whole_node(self) -> dict[str, Any]:
        """Options for a task that reserves all cores of a node, so that Ray runs nothing else there."""
        nodes = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]}
        if self._measuring not in nodes:
            self._measuring = max(nodes, key=lambda name: (nodes[name], name))
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._measuring, soft=False)
        return {"num_cpus": nodes[self._measuring], "scheduling_strategy": affinity}


def _local_options() -> Mapping[str, Any]:
    """Options for a Ray instance on this machine only, with its files out of reach of other users."""
    folder = str(private_folder() / "ray")
    if len(folder) > _LONGEST_FOLDER:
        warnings.warn(
            f"Ray puts its files into its default folder, whose name other users can predict, since the path {folder} "
            "is too long for its sockets; set TMPDIR to a shorter path",
            stacklevel=2,
        )
        return {"include_dashboard": False}
    return {"include_dashboard": False, "_temp_dir": folder}


def _cause(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:200]}"


_WORKERS: dict[str, Worker] = {}


def _serve(name: str, worker: Worker, job: Job, folder: str) -> Iterator[Message]:
    """Do a job and yield its messages, in a folder of the driver's path if there is one, for relative paths."""
    with suppress(OSError):
        os.chdir(folder)
    worker = _WORKERS.setdefault(name, worker)
    messages: queue.SimpleQueue[Message | BaseException] = queue.SimpleQueue()

    def do() -> None:
        try:
            messages.put(worker(job, messages.put))
        except BaseException as error:
            messages.put(error)

    threading.Thread(target=do, daemon=True).start()
    while True:
        message = messages.get()
        if isinstance(message, BaseException):
            raise message
        yield message
        if isinstance(message, Ended | InputsChanged | StorageFailed):
            return
