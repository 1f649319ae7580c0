"""Reads the processor's energy counters."""

import re
import time
from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Where Linux exposes the energy counters (RAPL) of Intel and AMD processors."""

LEAST_SECONDS = 0.5
"""A measurement is repeated for at least so long, since the counters are updated about once per millisecond."""


class EnergyCounters:
    """Energy counters of whole processor packages; they include idle power and everything that runs.

    Domains within a package (cores, graphics) are part of its counter, and the domain of the whole platform ("psys")
    includes the packages, so neither is read.

    Args:
        folder: the folder of the counters.

    Attributes:
        missing: why the counters cannot be used; "" if they can.

    Source: the Linux kernel's documentation, Power Capping Framework.
    """

    def __init__(self, folder: Path = POWERCAP):
        self.missing = ""
        self._ranges: list[int] = []
        found = sorted(folder.glob("intel-rapl:*")) if folder.is_dir() else []
        try:
            self._domains = [
                domain
                for domain in found
                if re.fullmatch(r"intel-rapl:\d+", domain.name) and _text(domain / "name").startswith("package")
            ]
            self._ranges = [int(_text(domain / "max_energy_range_uj")) for domain in self._domains]
        except (OSError, ValueError) as error:
            self.missing = f"its counters cannot be read ({error})"
        else:
            self._read()
            if not self._domains:
                self.missing = f"there are no counters of a processor package in {folder}"

    def joules_of(self, action: Callable[[int], object], calls: int) -> float | None:
        """Mean energy of one call, over at least ``calls`` calls and `LEAST_SECONDS`.

        Args:
            action: called with the index of the call.
            calls: the smallest number of calls.

        Returns:
            Joules; None if the counters cannot be used, with the reason in `missing`.
        """
        if self.missing:
            return None
        before, started, done = self._read(), time.perf_counter(), 0
        while done < calls or time.perf_counter() - started < LEAST_SECONDS:
            action(done)
            done += 1
        after = self._read()
        if before is None or after is None:
            return None
        # A counter wraps around to 0 at the end of its range.
        moved = [
            end - start if end >= start else end - start + most
            for start, end, most in zip(before, after, self._ranges, strict=True)
        ]
        if not any(moved):
            self.missing = "its counters do not move"
            return None
        return 1e-6 * sum(moved) / done

    def _read(self) -> list[int] | None:
        """Microjoules by package; None if reading fails, with the reason in `missing`."""
        try:
            return [int(_text(domain / "energy_uj")) for domain in self._domains]
        except (OSError, ValueError) as error:
            self.missing = f"its counters cannot be read ({error})"
            return None


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
