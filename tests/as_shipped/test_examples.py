"""Every script of examples/ runs as its first lines say."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
import yaml

from liquidbench.__main__ import main

ROOT = Path(__file__).parents[2]
SAYS = {
    "draw_wiring.py": "Wiring(16 inputs, 32 units",
    "first_steps.py": "after training: ",
    "raptor.py": "largest difference in 2 sequences of 500 steps",
    "read_results.py": "learning_rate",
}


@pytest.fixture(autouse=True)
def as_a_user(monkeypatch, tmp_path):
    """In an empty folder; the examples are ordinary programs."""
    monkeypatch.chdir(tmp_path)
    torch.use_deterministic_algorithms(False)


def test_every_example_is_tried():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_examples_run(name, tmp_path, monkeypatch, capsys):
    if name == "raptor.py":
        pytest.importorskip("foundation_policy", reason="RAPTOR's weights: pip install 'liquidrnn[dynamics]'")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    told = capsys.readouterr().out
    assert SAYS[name] in told
    if name == "first_steps.py":
        assert float(told.split("after training: ")[1].split(";")[0]) < 0.25


def test_a_study_of_a_user_defined_layer_and_task_runs(tmp_path, monkeypatch, capsys):
    own = ROOT / "examples" / "own"
    study = yaml.safe_load((own / "study.yaml").read_text())
    study |= {"seeds": 1, "search": {"trials": 1}, "training": {"steps": 10}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.syspath_prepend(own)
    assert main(["run", "study.yaml", "--in-process", "--plain"]) == 0
    told = capsys.readouterr().out
    assert "8 of 8 runs" in told and "Leaky-deep" in told


def test_user_defined_tasks_pass_the_checks_of_every_task(monkeypatch):
    from liquidbench import tasks
    from liquidbench.tasks.task import check

    monkeypatch.syspath_prepend(ROOT / "examples" / "own")
    task = tasks.load("swings:swings")
    check(task)
    assert task.trivial_score() < 0.6
