"""Processes that live and die with whoever started them, and import nothing that merely lies about."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

CONTEXT = multiprocessing.get_context("spawn")
"""How processes are made: anew, for a forked one has half of its parent's threads and all of its locks."""


def start(process: BaseProcess, environment: Mapping[str, str] | None = None) -> None:
    """Start a process of `CONTEXT`, deaf to Ctrl-C, which the terminal sends to it too.

    It imports from where this program does, but never from the current folder, which may hold data: Python itself
    would take a ``socket.py`` there for its own.

    Args:
        process: not started yet.
        environment: variables that it has besides those of this process.
    """
    with ExitStack() as inside:
        inside.enter_context(_interrupts_ignored())
        # It is born as `python -c`, which puts the current folder first; so is multiprocessing's resource tracker.
        inside.enter_context(_environment({"PYTHONSAFEPATH": "1", **(environment or {})}))
        inside.enter_context(_closed_path())
        process.start()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Within it, new processes are born with these variables: torch reads them when it is loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _closed_path() -> Iterator[None]:
    """Within it, the path of imports has no entry for whatever folder is the current one.

    multiprocessing hands the path on, with the current folder's name in the place of that entry.
    """
    before = sys.path[:]
    sys.path[:] = [entry for entry in before if entry not in ("", ".")]
    try:
        yield
    finally:
        sys.path[:] = before


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it has, in whatever way."""
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
