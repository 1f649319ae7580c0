"""Every script of examples/ runs as its first lines say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SAYS = {
    "draw_wiring.py": "Wiring(16 inputs, 32 units",
    "first_steps.py": "after training: ",
    "read_results.py": "learning_rate",
}


def test_every_example_is_tried():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_examples_run(name, tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert SAYS[name] in ran.stdout
    if name == "first_steps.py":
        assert float(ran.stdout.split("after training: ")[1].split(";")[0]) < 0.25


def test_a_study_of_a_user_defined_layer_and_task_runs(tmp_path):
    own = ROOT / "examples" / "own"
    study = yaml.safe_load((own / "study.yaml").read_text())
    study |= {"seeds": 1, "search": {"trials": 1}, "training": {"steps": 10}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "liquidbench", "run", "study.yaml", "--in-process", "--plain"]
    environment = os.environ | {"PYTHONPATH": str(own), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "8 of 8 runs" in ran.stdout and "Leaky-deep" in ran.stdout


def test_user_defined_tasks_pass_the_checks_of_every_task(monkeypatch):
    from liquidbench import tasks
    from liquidbench.tasks.task import check

    monkeypatch.syspath_prepend(ROOT / "examples" / "own")
    task = tasks.load("swings:swings")
    check(task)
    assert task.trivial_score() < 0.6
