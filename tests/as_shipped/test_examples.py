"""Every script of examples/ runs as its first lines say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAYS = {
    "draw_wiring.py": "Wiring(16 inputs, 32 units",
    "first_steps.py": "after training: ",
    "read_results.py": "learning_rate",
}


def test_every_example_is_tried():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_it_runs(name, tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert SAYS[name] in ran.stdout
    if name == "first_steps.py":
        assert float(ran.stdout.split("after training: ")[1].split(";")[0]) < 0.25
