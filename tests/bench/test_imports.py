"""Nothing that lies in the current folder is imported, neither here nor in processes that are started."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rehearsal import Rehearsal

from liquidbench.engine import Pool, execute, plan
from liquidbench.study import Study

MODULES = (
    "argparse csv json multiprocessing numpy optuna pickle polars queue random selectors socket struct subprocess "
    "tempfile threading torch yaml liquidrnn"
).split()

TESTS = [str(Path(__file__).parent), str(Path(__file__).parent / "engine")]
DRIVE = """
import sys
from pathlib import Path
sys.path += {tests!r}
import test_imports, torch
test_imports.drive(Path({folder!r}), Path({log!r}))
"""


@pytest.fixture
def trap(tmp_path):
    """A folder of modules that leave a mark when imported, and are then useless."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in MODULES:
        mark = f"open({str(tmp_path / 'RAN')!r}, 'a').write({name!r} + ' ')\nraise SystemExit('imported')\n"
        (folder / f"{name}.py").write_text(mark)
    yield folder
    ran = tmp_path / "RAN"
    assert not ran.exists(), ran.read_text()


@dataclass
class Seen(Rehearsal):
    """It writes down where it would import from."""

    log: str = ""

    def __call__(self, job, tell):
        with open(self.log, "a") as file:
            file.writelines(f"{os.path.abspath(entry)}\n" for entry in sys.path)
        return super().__call__(job, tell)


def drive(folder, log) -> None:
    study = Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU"], "seeds": 1})
    made = plan(study, folder)
    # Only now, for the program itself would import from there what it has not yet.
    sys.path.insert(0, "")
    outcome = execute(made, Pool(1), worker=Seen("s", made.tasks, log=str(log)))
    assert len(outcome.finished) == 2, outcome.failed


def ran(command, folder, **environment):
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    variables |= {"OMP_NUM_THREADS": "1", **environment}
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_workers_of_an_interactive_program(trap, tmp_path):
    # `python -c` and a prompt put the current folder first, under whatever name it has at the time.
    log = tmp_path / "path"
    code = DRIVE.format(tests=TESTS, folder=str(tmp_path / "study"), log=str(log))
    ran([sys.executable, "-P", "-c", code], trap)
    entries = log.read_text().splitlines()
    assert str(trap) not in entries
    # What the program itself has named stays: the way to code of one's own.
    assert str(Path(__file__).parent) in entries


def test_the_module_as_a_command(trap):
    # Help and lists load nothing that was not loaded for them before.
    assert "occupancy-excerpt" in ran([sys.executable, "-m", "liquidbench", "list"], trap)


@pytest.mark.slow
def test_a_whole_study_by_the_command_line(trap):
    rows = "".join(f"{i},{i % 7},{i % 13 + i % 7}\n" for i in range(400))
    (trap / "t.csv").write_text(f"time,a,y\n{rows}")
    (trap / "s.yaml").write_text(
        "{name: s, tasks: [{table: t.csv, target: y, kind: regression}], models: [GRU], parameters: 500, seeds: 1, "
        "search: {trials: 1}, training: {steps: 10}}"
    )
    assert "(2 of 2 runs)" in ran([sys.executable, "-m", "liquidbench", "run", "s.yaml", "--plain"], trap)


@pytest.mark.slow
def test_processes_that_train_together(trap):
    words = "train occupancy-excerpt GRU --hidden-size 4 --steps 10 --devices 2".split()
    assert "Ended: all steps" in ran([sys.executable, "-m", "liquidbench", *words], trap)
