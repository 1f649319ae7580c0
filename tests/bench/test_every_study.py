"""Every study of the repository parses, and names what there is."""

from pathlib import Path

import pytest

from liquidbench import matching, results, tasks
from liquidbench.__main__ import main
from liquidbench.conditions import parted
from liquidbench.models import MODELS, family_of
from liquidbench.study import Study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.y*ml"))
DEMO = next(path for path in STUDIES if path.stem == "demo")


def test_there_are_studies():
    assert {"demo", "smoke", "small", "full"} <= {path.stem for path in STUDIES}


@pytest.fixture(params=STUDIES, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_it_parses_and_is_named_as_its_file(path):
    assert Study.load(path).name == path.stem


def test_it_asks_one_question(path):
    assert Study.load(path).question.endswith("?")


def test_its_tasks_exist(path):
    for task in Study.load(path).tasks:
        assert parted(task)[0] in tasks.names() if isinstance(task, str) else Path(task["table"]).is_file()


def test_it_compares_liquid_with_recurrent(path):
    families = set(map(family_of, Study.load(path).models))
    assert families >= {"liquid", "recurrent"}


def test_its_runs_are_all_different(path):
    runs = Study.load(path).runs()
    assert len({run.id("digest") for run in runs}) == len(runs)


def test_it_survives_its_copy(path, tmp_path):
    study = Study.load(path)
    copy = tmp_path / path.name
    copy.write_text(study.to_yaml(), encoding="utf-8")
    assert Study.load(copy) == study


def test_the_full_study_leaves_out_no_model_and_no_task_without_a_reason():
    study = Study.load(next(path for path in STUDIES if path.stem == "full"))
    controls = {name for name, spec in MODELS.items() if spec.family == "control"}
    assert set(study.models) == set(MODELS) - controls
    separate = Study.load(next(path for path in STUDIES if path.stem == "controls"))
    assert controls < set(separate.models)
    parts = {task for task in tasks.names() if task.endswith(("-excerpt", "-ltc", "-papers"))}
    same_data = {"physionet2012-official", "physionet2012-raindrop", "physionet2012-seft"}
    fewer_splits = {"etth1", "exchange", "traffic", "power", "ozone"}
    fewer_splits |= {"japanese-vowels", "basic-motions", "articulary-words", "scp1"}
    not_whole = {"scp2-partial", "ethanol-partial"}
    # For objectives, not for models.
    known_answers = {"spurious-fourier", "tcmnist-source", "tcmnist-step"}
    # Closed loops have studies of their own, and so will the quadrotor's recordings.
    loops = {task for task in tasks.names() if task.startswith(("flight", "hidden-dynamics")) or task.endswith("-loop")}
    loops |= {task for task in tasks.names() if task.startswith("quadrotor")}
    left_out = parts | same_data | fewer_splits | not_whole | known_answers | loops
    assert set(tasks.names()) - set(study.tasks) == left_out


@pytest.mark.slow
def test_smoke_goes_from_its_file_to_its_report(tmp_path):
    path = next(path for path in STUDIES if path.stem == "smoke")
    assert main(["run", str(path), "--results", str(tmp_path), "--plain"]) == 0
    frame = results.read(tmp_path / "smoke")
    assert frame["run"].n_unique() == len(Study.load(path).runs()) and set(frame["status"]) == {"done"}
    assert (tmp_path / "smoke" / "report.html").is_file()


@pytest.mark.parametrize("name", [task for task in Study.load(DEMO).tasks if isinstance(task, str)])
@pytest.mark.parametrize("model", Study.load(DEMO).models)
def test_the_demo_fits_its_budget(model, name):
    """`size_for_budget` refuses what comes no nearer than 5 %."""
    study = Study.load(DEMO)
    assert matching.size_for_budget(model, tasks.load(name), study.parameters) > 1
