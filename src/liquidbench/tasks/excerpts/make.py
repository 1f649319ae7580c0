"""Make the excerpts of this folder from the full data.

Run ``python -m liquidbench.tasks.excerpts.make`` where the full data can be found (see
`liquidbench.tasks.files`); it writes every archive anew and prints the checksum that the task's `Archive`
must state. What is kept is kept as it is in the original, with two exceptions that leave the tasks' values as
they are: of the gestures' position files only time stamp and phase are kept, and numbers of the robots'
traces are rounded to float32.
"""

import csv
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from liquidbench.tasks import files, icu, mujoco_traces, uci

OCCUPANCY_ROWS = {"datatraining.txt": None, "datatest.txt": None, "datatest2.txt": 3000}
GESTURE_FRAMES = {"a2": None, "b1": None, "c1": None, "b3": 800, "a3": 900, "c3": 900}


def occupancy(members: dict[str, bytes]) -> dict[str, bytes]:
    """The first rows of each file."""
    return {name: _first_lines(members[name], rows) for name, rows in OCCUPANCY_ROWS.items()}


def gesture(members: dict[str, bytes]) -> dict[str, bytes]:
    """The first frames of six of the seven videos."""
    kept: dict[str, bytes] = {}
    for video, frames in GESTURE_FRAMES.items():
        kept[f"{video}_va3.csv"] = _first_lines(members[f"{video}_va3.csv"], frames)
        positions = csv.DictReader(io.StringIO(members[f"{video}_raw.csv"].decode("utf-8-sig"), newline=""))
        last = None if frames is None else frames + uci.FRAMES_BEFORE_VELOCITY
        lines = ["timestamp,phase", *(f"{row['timestamp']},{row['phase']}" for row in positions)]
        kept[f"{video}_raw.csv"] = _first_lines("\n".join(lines).encode(), last)
    return kept


def cheetah(members: dict[str, bytes]) -> dict[str, bytes]:
    """Eleven of the traces, in float32, which is what the tasks read."""
    kept: dict[str, bytes] = {}
    for numbers in mujoco_traces.CHEETAH_EXCERPT_SPLITS.values():
        for name in (f"trace_{number:04d}.npy" for number in numbers):
            packed = io.BytesIO()
            np.save(packed, files.read_array(members[name]))
            kept[name] = packed.getvalue()
    return kept


def physionet2012(members: dict[str, bytes]) -> dict[str, bytes]:
    """500 stays of set a, drawn at random."""
    header, *lines = members["Outcomes-a.txt"].splitlines(keepends=True)
    drawn = np.random.default_rng(500).permutation(len(lines))[:500]
    kept = {"Outcomes-a.txt": header + b"".join(lines[line] for line in drawn)}
    for stay in icu.outcomes(kept["Outcomes-a.txt"]):
        kept[f"{stay}.txt"] = members[f"{stay}.txt"]
    return kept


EXCERPTS = {
    "occupancy": (uci.OCCUPANCY, uci.OCCUPANCY_EXCERPT, occupancy),
    "gesture": (uci.GESTURE, uci.GESTURE_EXCERPT, gesture),
    "cheetah": (mujoco_traces.CHEETAH, mujoco_traces.CHEETAH_EXCERPT, cheetah),
    "physionet2012": (icu.PHYSIONET, icu.PHYSIONET_EXCERPT, physionet2012),
}


def _first_lines(raw: bytes, rows: int | None) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join(lines if rows is None else lines[: rows + 1])


def write(path: Path, members: dict[str, bytes]) -> None:
    """Pack members into an archive that depends on their content alone: fixed dates, sorted names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".xz":
        with tarfile.open(path, "w:xz", preset=9) as packed:
            for name in sorted(members):
                entry = tarfile.TarInfo(name)
                entry.size = len(members[name])
                packed.addfile(entry, io.BytesIO(members[name]))
        return
    with zipfile.ZipFile(path, "w") as packed:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            packed.writestr(entry, members[name], zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Write all excerpts."""
    for full, excerpt, cut in EXCERPTS.values():
        members = cut(files.read(full))
        path = files.EXCERPTS / excerpt.folder / excerpt.copies[0][0]
        write(path, members)
        sys.stdout.write(f"{path.name} {path.stat().st_size} bytes, digest {excerpt.digest_of(members)}\n")


if __name__ == "__main__":
    main()
