"""Shows what a command is doing before its first run, while it reads data, plans and measures times.

A step is shown after half a second; shorter ones are not. On a terminal it is one line that counts the seconds and then
disappears; elsewhere it is a line that is repeated every ten seconds.
"""

import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from liquidbench.system.names import shown

AFTER = 0.5
"""Seconds after which a step is shown."""

AGAIN = 10.0
"""Seconds between two lines about a step where lines cannot be replaced."""


class Steps:
    """Context manager that shows the current step; call it with a description when a step begins.

    Args:
        plain: print separate lines, even on a terminal.
        stream: output stream; standard error by default.

    Example:
        >>> with Steps() as now:
        ...     now("reading machines.csv (198 MB)")
    """

    def __init__(self, plain: bool = False, stream: TextIO | None = None):
        self._stream = sys.stderr if stream is None else stream
        self._in_place = not plain and self._stream is not None and self._stream.isatty()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._what: str | None = None
        self._began = self._printed = 0.0
        self._drawn = False

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._show, name="liquidbench steps", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._clear()

    def __call__(self, what: str) -> None:
        """Begin a step."""
        with self._lock:
            self._what, self._began, self._printed = shown(what), time.monotonic(), 0.0

    def _show(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                now = time.monotonic()
                lasted = now - self._began
                if self._what is None or lasted < AFTER:
                    continue
                if self._in_place:
                    self._write(f"\r\x1b[K{self._what} ... {lasted:.0f} s")
                    self._drawn = True
                elif not self._printed or now - self._printed >= AGAIN:
                    since = f", {lasted:.0f} s so far" if self._printed else ""
                    self._write(f"liquidbench: {self._what} ...{since}\n")
                    self._printed = now

    def _clear(self) -> None:
        if self._drawn:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        # A closed stream is no reason to stop the command.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
