"""What the processor's own counters say of the energy that it took."""

import re
import time
from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of Intel's and AMD's processors (RAPL)."""

LEAST_SECONDS = 0.5
"""What is measured is repeated for so long: counters move about once in a millisecond."""


class EnergyCounters:
    """Counters of the energy that whole processor packages have taken, all that runs on them and idling included.

    Domains within a package (cores, graphics) are part of it, and one of the whole machine ("psys") counts it again,
    so neither is read.

    Args:
        folder: that of the counters.

    Attributes:
        missing: why there is nothing to read; "" where there is.

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
        """Energy of one call, a mean over at least so many of them, and over `LEAST_SECONDS`.

        Args:
            action: called with the number of the call.
            calls: fewest calls.

        Returns:
            Joules; None where `missing` says why, which it then may have come to know.
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
        # A counter starts again at 0 when it has reached the end of its range.
        moved = [
            end - start if end >= start else end - start + most
            for start, end, most in zip(before, after, self._ranges, strict=True)
        ]
        if not any(moved):
            self.missing = "its counters do not move"
            return None
        return 1e-6 * sum(moved) / done

    def _read(self) -> list[int] | None:
        """Microjoules, one number a package; None where that fails, and why in `missing`."""
        try:
            return [int(_text(domain / "energy_uj")) for domain in self._domains]
        except (OSError, ValueError) as error:
            self.missing = f"its counters cannot be read ({error})"
            return None


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
