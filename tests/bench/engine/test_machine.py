"""Cost measurements have the machine to themselves, across processes, drivers and studies."""

import json
import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from itertools import combinations

import pytest
from rehearsal import Rehearsal

from liquidbench.engine import Pool, execute, plan
from liquidbench.engine.machine import occupied
from liquidbench.study import Study

SPAWN = multiprocessing.get_context("spawn")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the kernel's locks")


def stay(path, plans) -> None:
    stays = []
    for alone, seconds in plans:
        with occupied(alone):
            began = time.monotonic()
            time.sleep(seconds)
            stays.append((alone, began, time.monotonic()))
    path.write_text(json.dumps(stays))


@pytest.mark.slow
def test_nothing_is_beside_what_is_alone(tmp_path):
    plans = [[(False, 0.03)] * 20, [(False, 0.05)] * 12, [(False, 0.02), (True, 0.05)] * 4, [(True, 0.05)] * 2]
    guests = [SPAWN.Process(target=stay, args=(tmp_path / f"{n}", each)) for n, each in enumerate(plans)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join(30)
        assert guest.exitcode == 0
    stays = [stay for path in sorted(tmp_path.iterdir()) for stay in json.loads(path.read_text())]
    assert len(stays) == 20 + 12 + 8 + 2
    beside = [(one[0], other[0]) for one, other in combinations(stays, 2) if one[1] < other[2] and other[1] < one[2]]
    assert beside and not any(alone for pair in beside for alone in pair)
    # Measurements are not starved: they run before all other runs have finished.
    assert min(end for alone, _, end in stays if alone) < max(end for alone, _, end in stays if not alone)


@dataclass
class Measured(Rehearsal):
    """A worker that records when it did which kind of run."""

    path: str = ""

    def __call__(self, job, send):
        with occupied(exclusive=job.run.kind == "cost"):
            began = time.monotonic()
            ended = super().__call__(job, send)
            with open(self.path, "a") as log:
                log.write(json.dumps([job.run.kind == "cost", began, time.monotonic()]) + "\n")
        return ended


def test_a_driver_measures_when_its_fits_are_done_one_at_a_time(tmp_path):
    study = Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU", "RNN", "CfC"], "seeds": 2})
    made = plan(study, tmp_path)
    log = tmp_path / "log"
    worker = Measured("s", made.tasks, seconds=0.05, path=str(log))
    # Costs first in the plan: their exclusivity does not depend on its order.
    outcome = execute(replace(made, pending=made.pending[::-1]), Pool(3), worker=worker)
    assert len(outcome.finished) == 9
    stays = [json.loads(line) for line in log.read_text().splitlines()]
    costs = [stay for stay in stays if stay[0]]
    assert len(costs) == 3
    for _, began, ended in costs:
        assert sum(other[1] < ended and began < other[2] for other in stays) == 1
    assert max(end for alone, _, end in stays if not alone) <= min(began for _, began, _ in costs)


@dataclass
class Environment(Rehearsal):
    """A worker that records its environment variables."""

    path: str = ""

    def __call__(self, job, send):
        time.sleep(0.05)
        with open(self.path, "a") as log:
            log.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ.get('OMP_NUM_THREADS')}\n")
        return super().__call__(job, send)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("devices", "seen"), [(["0", "3"], ["0", "0", "3"]), ([], [str(os.environ.get("CUDA_VISIBLE_DEVICES"))])]
)
def test_each_process_sees_one_device_and_its_threads(tmp_path, devices, seen):
    study = Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU"], "seeds": 8})
    made = plan(study, tmp_path)
    before = dict(os.environ)
    worker = Environment("s", made.tasks, path=str(tmp_path / "log"))
    execute(made, Pool(len(seen), threads=3, devices=devices), worker=worker)
    lines = {tuple(line.split()) for line in (tmp_path / "log").read_text().splitlines()}
    assert sorted(device for _, device, _ in lines) == seen and {threads for _, _, threads in lines} == {"3"}
    assert len({pid for pid, _, _ in lines}) == len(seen)
    assert dict(os.environ) == before


def test_devices_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 7")
    assert Pool(1)._devices == ("2", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Pool(1)._devices == ()
