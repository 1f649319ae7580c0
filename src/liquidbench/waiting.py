"""What is going on while a command reads, plans and times, before its first run: nobody waits without a word.

A step that is over at once is not worth a line. One that lasts is named after half a second: on a terminal in one line
that counts the seconds and goes away, elsewhere in a line of its own that comes back every ten seconds.
"""

import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from liquidbench.system.names import shown

AFTER = 0.5
"""Seconds after which a step is named."""

AGAIN = 10.0
"""Seconds between two lines about one step where they do not replace each other."""


class Steps:
    """A context within which each call names what is now going on.

    Args:
        plain: whole lines, even on a terminal.
        stream: where to; the standard error by default.

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
        self._began = self._told = 0.0
        self._drawn = False

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._tell, name="liquidbench steps", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._clear()

    def __call__(self, what: str) -> None:
        """From now on this is what is going on."""
        with self._lock:
            self._what, self._began, self._told = shown(what), time.monotonic(), 0.0

    def _tell(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                now = time.monotonic()
                lasted = now - self._began
                if self._what is None or lasted < AFTER:
                    continue
                if self._in_place:
                    self._write(f"\r\x1b[K{self._what} ... {lasted:.0f} s")
                    self._drawn = True
                elif not self._told or now - self._told >= AGAIN:
                    since = f", {lasted:.0f} s so far" if self._told else ""
                    self._write(f"liquidbench: {self._what} ...{since}\n")
                    self._told = now

    def _clear(self) -> None:
        if self._drawn:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        # Whoever read the errors has gone: no reason to stop.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
