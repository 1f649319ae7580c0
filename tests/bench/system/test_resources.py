"""How much memory is left, on made-up systems."""

from pathlib import Path

import pytest

from liquidbench.system import resources

GIB = 2**30


def put(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


FREE = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {8 * 2**20} kB\n"}
V2 = FREE | {"proc/self/cgroup": "0::/job/step\n"}
V1 = FREE | {"proc/self/cgroup": "5:cpu:/job\n4:memory,hugetlb:/job\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, None),
        (FREE, 8 * GIB),
        # No limit.
        (V2 | {"groups/job/step/memory.max": "max\n", "groups/job/step/memory.current": "5\n"}, 8 * GIB),
        (V2 | {"groups/job/step/memory.max": f"{3 * GIB}\n", "groups/job/step/memory.current": f"{GIB}\n"}, 2 * GIB),
        # That of the group around it; its copies of files can be dropped.
        (
            V2
            | {
                "groups/job/memory.max": f"{3 * GIB}\n",
                "groups/job/memory.current": f"{2 * GIB}\n",
                "groups/job/memory.stat": f"anon 7\ninactive_file {GIB // 2}\nactive_file {GIB // 4}\n",
            },
            1.75 * GIB,
        ),
        # In a container, the host's path is not there.
        (V2 | {"groups/memory.max": f"{GIB}\n", "groups/memory.current": f"{2 * GIB}\n"}, 0),
        (
            V1
            | {
                "groups/memory/job/memory.limit_in_bytes": f"{4 * GIB}\n",
                "groups/memory/job/memory.usage_in_bytes": f"{3 * GIB}\n",
                "groups/memory/job/memory.stat": f"inactive_file 9\ntotal_inactive_file {GIB}\n",
            },
            2 * GIB,
        ),
    ],
    ids=["unknown", "machine", "no limit", "limit", "around", "container", "version 1"],
)
def test_memory_is_what_the_machine_has_within_the_limits_of_its_control_groups(tmp_path, monkeypatch, files, left):
    monkeypatch.setattr(resources, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(resources, "_GROUPS", tmp_path / "groups")
    put(tmp_path, files)
    assert resources.available_memory() == left
