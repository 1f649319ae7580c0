"""Models and tasks of a user's own, from a module of theirs."""

import importlib
import itertools
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
import torch

import liquidrnn as lr
from liquidbench import matching, models, networks, results, tasks, time_budget, user_code
from liquidbench.__main__ import main
from liquidbench.models import FAMILIES, MODELS, Family, ModelSpec, UserModel, find
from liquidbench.study import Study
from liquidbench.training.fit import fit
from liquidbench.user_code import CodeError, UserCode, checksum

LAYERS = '''
import torch
from torch import nn

import liquidrnn as lr
from liquidbench.models import Author, ModelSpec
from liquidrnn.recurrence import Recurrence
from liquidrnn.recurrent import RecurrentLayer


class _Average(Recurrence):
    def __init__(self, inputs, units, generator):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size, self.state_sizes = inputs, units, units, (units,)
        self.num_synapses = inputs * units
        self.weight = nn.Parameter(torch.empty(units, inputs))
        nn.init.xavier_uniform_(self.weight, generator=generator)

    def update(self, coefficients, inputs, state):
        (h,), span = state, inputs.timespans
        return (h + span / (1 + span) * (torch.tanh(inputs.values @ self.weight.T) - h),)


class Average(RecurrentLayer):
    def __init__(self, input_size, hidden_size, *, generator=None, **stacking):
        def build(width):
            return _Average(width, hidden_size, generator)

        super().__init__(build, input_size, generator=generator, **stacking)


class GRU(lr.GRU):
    """Extends one of ours, and has its name."""


class Closed(lr.CfC):
    """Has an argument time, as those that read it as an input, but uses it itself."""


class Long(lr.LSTM):
    def __init__(self, *sizes, **arguments):
        super().__init__(*sizes, **arguments)


def operations(recurrence):
    return recurrence.weight.numel(), 0


COUNTED = ModelSpec(
    name="Average+",
    layer=Average,
    family="liquid",
    operations=operations,
    author=Author(5, 0.02, "a page: 5 units"),
)
TWO = ModelSpec(name="Deep GRU", layer="liquidrnn:GRU", time="append", structures={"num_layers": (2, 1)})


class Broken(RecurrentLayer):
    def __init__(self, input_size, hidden_size, **stacking):
        raise RuntimeError("no such unit")


class Fixed(Average):
    def __init__(self, input_size, hidden_size, **stacking):
        super().__init__(input_size, 4, **stacking)


class Timeless(RecurrentLayer):
    def __init__(self, input_size, hidden_size, *, generator=None, **stacking):
        def build(width):
            recurrence = _Average(width, hidden_size, generator)
            recurrence.uses_timespans = False
            return recurrence

        super().__init__(build, input_size, generator=generator, **stacking)


class Plain(nn.GRU):
    pass


LSTM_SPEC = ModelSpec(name="LSTM", layer=Average)
plain = 3
'''

TASK = """
import hashlib

import numpy as np

from liquidbench import tasks
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered


def made(data=None) -> Task:
    random = np.random.default_rng(1)
    parts = numbered(
        Recording(f"r{n}", np.arange(6.0), random.normal(size=(6, 2)).astype(np.float32), n % 2, 0) for n in range(24)
    )
    deal = {"train": parts[:12], "validation": parts[12:18], "test": parts[18:]}
    return Task(
        name="whatever", title=f"Made of {data}", description="Noise.", features=(Feature("a", "1"), Feature("b", "1")),
        kind="classification", per="sequence", outputs=2, target_unit="1", classes=("n", "y"), metric="accuracy",
        metrics=("accuracy",), time_unit="s", source=Source("Made", "", "none", ""), split_rule="By recording.",
        recordings=deal.__getitem__, data_digest=hashlib.sha256(b"1").hexdigest(), baseline="prior",
    )


TASK = made()
occupancy = TASK


def unsaid():
    return TASK


def wrong() -> "Task":
    return "no task"


def fails() -> Task:
    raise OSError("disk is gone")
"""

numbers = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of a text, with a name that no other test has; gives its name."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    # Python takes its compiled form for the same file where size and second are the same.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text: str, name: str | None = None) -> str:
        name = name or f"own{next(numbers)}"
        path = folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return name

    return write


@pytest.fixture
def layers(module):
    return module(LAYERS)


def parsed(entries, **more) -> Study:
    return Study.parse({"name": "mine", "tasks": ["occupancy-excerpt"], "models": entries, "seeds": 1, **more})


class TestNames:
    def test_a_layer_has_its_own_name_and_family(self, layers):
        study = parsed(["LSTM", f"{layers}:Average"])
        assert study.model_names == ["LSTM", "Average"]
        assert study.families["Average"] == "yours" and study.families["LSTM"] == "recurrent"
        assert study.models[1].checksum == checksum(f"{layers}:Average")

    def test_one_with_the_name_of_ours_gets_that_of_its_module_too(self, layers):
        study = parsed(["GRU", f"{layers}:GRU"])
        assert study.model_names == ["GRU", f"{layers}.GRU"]
        assert Study.parse(_content(study)) == study

    def test_a_spec_says_its_name_family_and_author(self, layers):
        study = parsed([f"{layers}:COUNTED"], author_defaults=True)
        assert study.model_names == ["Average+"] and study.families["Average+"] == "liquid"
        assert study.authors == {"Average+": "a page: 5 units"}
        assert {run.variant for run in study.runs()} == {"matched", "author"}

    def test_a_mapping_gives_another_name_and_family(self, layers):
        study = parsed([{"code": f"{layers}:Average", "name": "Mean field", "family": "recurrent"}])
        assert study.model_names == ["Mean field"] and study.families["Mean field"] == "recurrent"

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            (["M:Average", "M:Average"], "'Average' occurs twice.*another name with {code: "),
            (["M:Average", {"code": "M:Fixed", "name": "AVERAGE"}], "'average' occurs twice"),
            (["M:LSTM_SPEC"], r"models\[0\]: the name of M:LSTM_SPEC must not be that of a built-in model"),
            ([{"code": "M:Average", "name": "../x"}], r"models\[0\]: the name of M:Average must be 1 to 40 letters"),
            ([{"code": "M:Average", "family": "odd"}], "family of M:Average must be one of liquid, .*'odd'"),
            ([{"code": "M:Average", "familly": "liquid"}], "no key 'familly' .did you mean 'family'"),
            ([{"name": "Average"}], r"models\[0\]: a mapping needs the key 'code'; got name"),
            ([{"code": 3}], "given as package.module:name; got 3"),
            (["M:Average:x"], "given as package.module:name"),
            (["M:"], "given as package.module:name"),
            ([7], r"models\[0\] must be one of LTC, .*; got 7"),
        ],
    )
    def test_errors_name_the_problem(self, layers, entries, message):
        def named(entry):
            if isinstance(entry, Mapping):
                return {key: named(value) for key, value in entry.items()}
            return entry.replace("M:", f"{layers}:") if isinstance(entry, str) else entry

        with pytest.raises(ValueError, match=message.replace("M:", f"{layers}:")):
            parsed([named(entry) for entry in entries])


def _content(study: Study) -> dict:
    import yaml

    return yaml.safe_load(study.to_yaml())


class TestFinding:
    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("no_such_module_of_mine:Layer", "there is no module 'no_such_module_of_mine'. Install it.*PYTHONPATH"),
            ("M.sub:Layer", "there is no module 'M.sub'"),
            ("M:Averag", "has no 'Averag'; it defines .*Average"),
            ("M:plain", "must be a layer, .*RecurrentLayer, or a liquidbench.models.ModelSpec; it is of type int"),
            ("M:Plain", "must be a layer.*; it is the class Plain"),
            ("M:operations", "must be a layer.*; it is of type function"),
            ("os:abort", "which 'os' is not"),
            ("pip.__main__:main", "which 'pip' is not"),
        ],
    )
    def test_invalid_models_are_refused(self, layers, code, message):
        with pytest.raises(
            CodeError, match=message.replace("M", layers) if message.startswith("there is no module 'M") else message
        ):
            parsed([code.replace("M", layers, 1) if code[0] == "M" else code])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("raise RuntimeError('not today')", "importing its module fails: RuntimeError: not today"),
            ("import sys; sys.exit(3)", "its module fails: SystemExit: 3"),
            ("import a_module_nobody_has", "its module needs the module 'a_module_nobody_has', which is not installed"),
            ("def f(:", "its module fails: SyntaxError"),
        ],
    )
    def test_import_errors_are_reported(self, module, text, message):
        with pytest.raises(CodeError, match=message):
            parsed([f"{module(text)}:Layer"])

    def test_a_folder_is_refused_as_a_module(self, module):
        name = module("", "folder_of_mine.inner").partition(".")[0]
        with pytest.raises(CodeError, match="folder_of_mine is a folder, not a module"):
            parsed([f"{name}:Layer"])

    def test_nothing_is_imported_from_the_current_folder(self, tmp_path, monkeypatch):
        (tmp_path / "beside.py").write_text("raise SystemExit('it ran')")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
        importlib.invalidate_caches()
        with pytest.raises(CodeError, match="there is no module 'beside'"):
            parsed(["beside:Layer"])

    def test_a_study_that_was_planned_is_read_without_the_code(self, layers, monkeypatch):
        study = parsed(["GRU", f"{layers}:COUNTED"])
        content = _content(study)
        monkeypatch.delitem(sys.modules, layers)
        monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.endswith("code")])
        again = Study.parse(content)
        assert again == study and [run.id("d") for run in again.runs()] == [run.id("d") for run in study.runs()]
        assert layers not in sys.modules


class TestChange:
    def test_other_code_makes_other_runs_and_is_refused_by_a_planned_study(self, module, layers, monkeypatch):
        study = parsed([f"{layers}:Average"])
        find(study.models[0])
        module(LAYERS.replace("torch.tanh", "torch.sin"), layers)
        # As in another process.
        monkeypatch.delitem(sys.modules, layers)
        changed = parsed([f"{layers}:Average"])
        assert changed.models[0].name == study.models[0].name
        assert not {run.id("d") for run in study.runs()} & {run.id("d") for run in changed.runs()}
        models._load_spec.cache_clear()
        with pytest.raises(CodeError, match=f"{layers}:Average has changed since the study was planned.*--update"):
            find(study.models[0])
        find(changed.models[0])

    def test_as_long_as_a_process_has_the_old_code_its_checksum_is_the_old(self, module, layers):
        before = checksum(f"{layers}:Average")
        module(LAYERS + "# more", layers)
        assert checksum(f"{layers}:Average") == before
        importlib.reload(sys.modules[layers])
        assert checksum(f"{layers}:Average") != before

    def test_what_the_module_imports_of_its_package_counts_and_nothing_else(self, module, monkeypatch):
        files = {
            "__init__": "",
            "parts": "A = 1",
            "late": "B = 1",
            "unused": "C = 1",
            "inner.__init__": "",
            "inner.deep": "D = 1",
            "base": f"from mypackage.parts import A\n{LAYERS}",
            "mine": "from . import base\nfrom .inner.deep import D\n\n\nclass Mine(base.Average):\n"
            "    def later(self):\n        from mypackage import late\n\n        return late.B\n",
        }

        def digest(**edited: str) -> str:
            for name in [one for one in sys.modules if one.partition(".")[0] == "mypackage"]:
                monkeypatch.delitem(sys.modules, name)
            for name, text in (files | edited).items():
                module(text, f"mypackage.{name}")
            return checksum("mypackage.mine:Mine")

        first = digest()
        assert digest() == first == digest(unused="C = 2")
        others = [
            digest(**{name: f"{files[name]}\n# edited"}) for name in ("parts", "late", "inner.deep", "base", "mine")
        ]
        assert len({first, *others}) == 6

    def test_the_module_of_a_reexported_layer_counts(self, module, monkeypatch):
        inner = module(LAYERS)
        outer = module(f"from {inner} import Average")
        before = checksum(f"{outer}:Average")
        for name in (inner, outer):
            monkeypatch.delitem(sys.modules, name)
        module(f"{LAYERS}\n# edited", inner)
        assert checksum(f"{outer}:Average") != before

    def test_a_family_decides_no_number(self, layers):
        one, other = (parsed([{"code": f"{layers}:Average", "family": family}]) for family in ("yours", "liquid"))
        assert [run.id("d") for run in one.runs()] == [run.id("d") for run in other.runs()]


class TestNetworks:
    @pytest.fixture
    def toy(self, module):
        return tasks.load(f"{module(TASK)}:made")

    def own_model(self, layers, name):
        return parsed([f"{layers}:{name}"]).models[0]

    def test_a_layer_gets_time_as_that_which_it_extends(self, layers, toy):
        expected = {"GRU": "append", "Long": "append", "Closed": "native", "Average": "native"}
        assert {name: find(self.own_model(layers, name)).time for name in expected} == expected
        assert networks.build(self.own_model(layers, "Closed"), toy, 6, 0).layer.time == "gate"

    def test_a_layer_is_matched_in_parameters_and_state(self, layers, toy):
        model = self.own_model(layers, "Average")
        for equal in ("parameters", "state"):
            size = matching.size_for_budget(model, toy, 1000, matching=equal)
            wanted = matching.budget(toy, 1000, equal)
            count = matching.COUNTS[equal](networks.build(model, toy, size, 0))
            assert abs(count - wanted) <= 0.05 * wanted
        assert matching.fitting_structures(model, toy, 1000) == (({}, matching.size_for_budget(model, toy, 1000)),)

    def test_matching_by_compute_needs_counted_operations(self, layers, toy):
        with pytest.raises(ValueError, match="operations of Average must be known to match by compute"):
            matching.size_for_budget(self.own_model(layers, "Average"), toy, 1000, matching="compute")
        counted = self.own_model(layers, "COUNTED")
        size = matching.size_for_budget(counted, toy, 1000, matching="compute")
        assert matching.count_operations(networks.build(counted, toy, size, 0)).multiply_adds == 2 * size

    def test_a_layer_that_extends_one_of_ours_is_told_time_and_counted_like_it(self, layers, toy):
        ours, mine = (networks.build(one, toy, 9, 4) for one in ("GRU", self.own_model(layers, "GRU")))
        assert all(map(torch.equal, ours.state_dict().values(), mine.state_dict().values()))
        assert matching.count_operations(ours) == matching.count_operations(mine)

    def test_user_layers_get_time_spans_for_any_signature(self, layers, toy):
        network = networks.build(self.own_model(layers, "Long"), toy, 6, 0)
        values, spans = torch.randn(2, 5, 2), torch.ones(2, 5)
        with torch.no_grad():
            assert not torch.allclose(network(values, spans, None), network(values, 3 * spans, None))

    def test_outside_of_searches_it_has_the_first_of_its_structures(self, layers, toy):
        model = self.own_model(layers, "TWO")
        assert networks.build(model, toy, 6, 0).layer.num_layers == 2
        assert networks.build(model, toy, 6, 0, structure={"num_layers": 1}).layer.num_layers == 1

    def test_structures_of_a_spec_are_what_a_search_draws_from(self, layers, toy):
        offered = matching.fitting_structures(self.own_model(layers, "TWO"), toy, 1000)
        assert [structure for structure, _ in offered] == [{"num_layers": 2}, {"num_layers": 1}]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("Broken", r"Broken cannot be built: Broken\(2, 1, .*batch_first=True\) raises RuntimeError: no such unit"),
            ("Fixed", "Fixed must become larger with its hidden size, but with 1 and 2 units it has"),
            ("Timeless", "Timeless must use the elapsed time, .*time='append'"),
        ],
    )
    def test_unsuitable_layers_are_refused(self, layers, toy, name, message):
        with pytest.raises(ValueError, match=message):
            matching.size_for_budget(self.own_model(layers, name), toy, 1000)

    def test_what_is_built_must_be_a_layer_that_reads_forward(self, toy):
        spec = ModelSpec(name="odd", layer=torch.nn.GRU)
        with pytest.raises(CodeError, match="odd cannot be built: GRU"):
            networks.build(spec, toy, 3, 0)
        with pytest.raises(CodeError, match="odd must be a liquidrnn.recurrent.RecurrentLayer; .* of type list"):
            networks.build(replace(spec, layer=lambda *sizes, **arguments: []), toy, 3, 0)
        both_ways = ModelSpec(name="odd", layer=lr.CTRNN, arguments={"bidirectional": True})
        with pytest.raises(CodeError, match="odd must read .* has batch_first=True and 2 directions"):
            networks.build(both_ways, toy, 3, 0)


class TestTasks:
    def test_a_function_and_a_task_are_tasks_by_the_names_of_the_study(self, module):
        name = module(TASK)
        study = parsed(["GRU"], tasks=[f"{name}:made", {"code": f"{name}:TASK", "name": "again"}])
        made, again = (tasks.load(entry, "a folder") for entry in study.tasks)
        assert (made.name, made.title) == ("made", "Made of a folder")
        assert (again.name, again.title) == ("again", "Made of None")
        assert {run.task_name for run in study.runs()} == {"made", "again"}
        assert Study.parse(_content(study)) == study

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("unsaid", r"a function annotated as returning one \(-> Task\); it is of type function"),
            ("wrong", "wrong must return a liquidbench.tasks.task.Task; it returned a str"),
            ("fails", "fails: OSError: disk is gone"),
            ("occupancy", "has the name of a built-in task, 'occupancy'; give it another name: {code: "),
            ("Feature", "it is of type type"),
            ("missing", "has no 'missing'; it defines .*fails, made"),
        ],
    )
    def test_invalid_tasks_are_refused(self, module, name, message):
        with pytest.raises(CodeError, match=message):
            tasks.load(f"{module(TASK)}:{name}")

    def test_a_study_says_which_entry_is_wrong(self):
        with pytest.raises(CodeError, match=r"tasks\[1\]: no_module_here:task: there is no module"):
            parsed(["GRU"], tasks=["occupancy", "no_module_here:task"])
        with pytest.raises(ValueError, match=r"tasks\[0\] has no key 'table'; allowed are code, name"):
            parsed(["GRU"], tasks=[{"code": "a:b", "table": "x.csv"}])

    def test_other_code_makes_other_runs(self, module, monkeypatch):
        name = module(TASK)
        one = parsed(["GRU"], tasks=[f"{name}:made"])
        module(f"{TASK}\n# edited", name)
        monkeypatch.delitem(sys.modules, name)
        other = parsed(["GRU"], tasks=[f"{name}:made"])
        assert one.runs()[0].id("d") != other.runs()[0].id("d")
        with pytest.raises(CodeError, match="has changed since the study was planned"):
            tasks.load(one.tasks[0])


def write_study(folder: Path, layers: str, task: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(
        f"name: mine\ntasks: [{task}:made]\nmodels: [GRU, {layers}:Average, {layers}:COUNTED]\nparameters: 400\n"
        "seeds: 1\nsearch: {trials: 1}\ntraining: {steps: 10}\nauthor_defaults: true\n"
    )
    return path


# That workers import a user's code: `test_workers_with_other_code_refuse_and_no_result_is_made`.
@pytest.mark.parametrize(
    "how",
    [["--in-process"], pytest.param(["--processes", "1"], marks=pytest.mark.slow)],
    ids=["in-process", "pool"],
)
def test_a_study_runs_and_reports(how, module, layers, tmp_path, capsys):
    study = write_study(tmp_path, layers, module(TASK))
    assert main(["run", str(study), "--results", str(tmp_path), "--plain", *how]) == 0, capsys.readouterr().err
    frame = results.read(tmp_path / "mine")
    assert set(frame["status"]) == {"done"} and set(frame["task"]) == {"made"}
    assert set(frame["model"]) == {"GRU", "Average", "Average+"}
    # Where nobody has counted there is no count, rather than a wrong one.
    assert set(frame.filter(pl.col("metric") == "multiply_adds")["model"]) == {"GRU", "Average+"}
    page = (tmp_path / "mine" / "report.html").read_text()
    assert re.search(r'class="family yours".*?Yours.*?>Average<', page, re.S)
    assert re.search(r'class="family liquid".*?>Average\+<', page, re.S)
    assert "a page: 5 units" in page and "Lead of Average+ over GRU" in page


@pytest.mark.slow
def test_the_report_needs_no_code(module, layers, tmp_path, capsys):
    study = write_study(tmp_path, layers, module(TASK))
    assert main(["run", str(study), "--results", str(tmp_path), "--plain", "--in-process"]) == 0
    page = (tmp_path / "mine" / "report.html").read_text()
    # Nothing is left to run, so going on needs none either.
    code = """
import sys
from pathlib import Path
from liquidbench.__main__ import main
folder, made = sys.argv[1], []
for command in ("report", "resume"):
    assert main([command, folder]) == 0, command
    made.append((Path(folder) / "report.html").read_text())
assert made[0] == sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path / "mine")]
    ran = subprocess.run(command, cwd=tmp_path, input=page, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.usefixtures("forked")
def test_workers_with_other_code_refuse_and_no_result_is_made(module, layers, tmp_path, capsys):
    task = module(TASK)
    study = write_study(tmp_path, layers, task)
    # The driver has the old code loaded and planned with it; workers find the new.
    parsed([f"{layers}:Average"])
    module(f"{LAYERS}\n# edited", layers)
    with pytest.raises(SystemExit):
        main(["run", str(study), "--results", str(tmp_path), "--plain", "--processes", "1"])
    assert f"{layers}:Average has changed since the study was planned" in capsys.readouterr().err
    frame = results.read(tmp_path / "mine")
    assert set(frame["model"]) <= {"GRU"}


def test_a_name_that_a_process_cannot_import_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "study.yaml").write_text("name: x\ntasks: [occupancy-excerpt]\nmodels: [mine:Layer]\n")
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')")
    command = [sys.executable, "-m", "liquidbench", "run", "study.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.startswith(
        "liquidbench: study.yaml: models[0]: mine:Layer: there is no module"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["run", "study.yaml"])
    assert "importing its module fails: SystemExit: it ran" in capsys.readouterr().err


def test_the_registry_is_whole():
    """Each model is in one place, which says all of it."""
    assert [spec.name for spec in MODELS.values()] == list(MODELS)
    assert {spec.family for spec in MODELS.values()} == {"liquid", "recurrent", "other", "control"}
    assert all(spec.operations and spec.structures for spec in MODELS.values())
    assert all(not user_code.is_code(name) for name in MODELS)
    assert set(get_args(Family)) == set(FAMILIES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name of a ModelSpec must be text"),
        ({"layer": "nowhere"}, "package.module:name; got 'nowhere'"),
        ({"family": "odd"}, "family must be one of liquid, recurrent, other, control, yours; got 'odd'"),
        ({"time": "decay"}, "time must be native or append; got 'decay'"),
        (
            {"structures": {"num_layers": [1, 2]}},
            r"structures\['num_layers'\] must be a tuple of choices; got \[1, 2\]",
        ),
        ({"wired": True}, "given a sparsity"),
        ({"operations": 3}, "operations must be a function"),
        ({"author": "a paper"}, "author must be an Author; got 'a paper'"),
    ],
)
def test_a_spec_says_what_is_wrong_with_it(changes, message):
    with pytest.raises(ValueError, match=message):
        ModelSpec(**{"name": "mine", "layer": "liquidrnn:LTC", **changes})


def test_what_a_study_keeps_is_checked():
    with pytest.raises(CodeError, match="checksum of a:b must be text"):
        UserCode("a:b", "b", 3)
    with pytest.raises(CodeError, match="author of a:b must be text"):
        UserModel("a:b", "b", "c", "yours", 3)


def test_for_want_of_time_a_model_on_neither_side_goes_before_the_last_of_a_side():
    mine = UserModel("mymodule:Mine", checksum="0")
    sided = UserModel("mymodule:Sided", checksum="0", family="liquid")
    pace = time_budget.Timing(1.0, 1.0)
    found = {mine: pace, sided: time_budget.Timing(2.0, 2.0), "GRU": pace}
    chosen = time_budget.choose_scope(found, minutes=4.0, processes=1)
    assert chosen.models == (sided, "GRU")
    said = time_budget.describe(chosen, 1000, 4.0, 1, found, 0.0)
    assert "(Sided, GRU)" in said[0] and any("without Mine (a step takes 1 s)" in line for line in said)


EXAMPLES = Path(__file__).parents[2] / "examples" / "own"
ROLLED = {"mse", "r2", "upright", "effort"}


@pytest.fixture
def balance(tmp_path, monkeypatch):
    """A study of the example, with the folder of its module where workers look too."""
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    monkeypatch.syspath_prepend(EXAMPLES)
    study = tmp_path / "study.yaml"
    study.write_text(
        "{name: loop, tasks: ['balance:balance'], models: [CfC, GRU], parameters: 1000, seeds: 2, search: {trials: 1}, "
        "training: {steps: 10, batch_size: 48}, robustness: {noise: [1.0]}}"
    )
    return study


def test_no_trial_of_a_closed_loop_is_stopped_for_its_loss(balance, tmp_path):
    asked = balance.read_text().replace("trials: 1", "trials: 4").replace("steps: 10", "steps: 80")
    balance.write_text(asked.replace("[CfC, GRU]", "[GRU]").replace("seeds: 2", "seeds: 1"))
    assert main(["run", str(balance), "--results", str(tmp_path), "--plain", "--in-process"]) == 0
    curves = results.read(tmp_path / "loop").filter(metric="loss", split="validation", kind="fit")
    assert curves.group_by("trial").agg(pl.col("step").max()).sort("trial").rows() == [(n, 80) for n in range(4)]


@pytest.mark.parametrize(
    "how",
    [["--in-process"], pytest.param(["--processes", "1"], marks=pytest.mark.slow)],
    ids=["in process", "pool"],
)
def test_a_task_in_a_closed_loop_is_measured_judged_and_reported(balance, how, tmp_path, capsys):
    assert main(["run", str(balance), "--results", str(tmp_path), "--plain", *how]) == 0
    directory = tmp_path / "loop"
    frame = results.read(directory)
    fits = frame.filter(pl.col("kind") == "fit")
    assert set(fits["status"]) == {"done"}
    for split in ("validation", "test"):
        rows = fits.filter((pl.col("split") == split) & pl.col("metric").is_in(list(ROLLED)))
        rows = rows.filter(pl.col("corruption") == "")
        assert set(rows.group_by("run").agg(pl.col("metric").sort())["metric"].map_elements(tuple, pl.Object)) == {
            tuple(sorted(ROLLED))
        }
        assert rows["value"].is_finite().all()
    # The task's own policies beside the networks, and the trivial one as what is to be beaten.
    policies = {
        name: value
        for name, value in fits.filter(pl.col("metric").str.contains(":")).select("metric", "value").iter_rows()
    }
    assert set(policies) == {f"{one}:{what}" for one in ("expert", "trivial") for what in ("upright", "effort")}
    assert policies["expert:upright"] > policies["trivial:upright"] > 0 == policies["trivial:effort"]
    trivial = fits.filter(pl.col("metric") == "trivial")["value"]
    assert set(trivial) == set(fits.filter(pl.col("metric") == "trivial:upright")["value"])
    assert fits.filter(pl.col("metric") == "linear").is_empty()
    # What validation selects by is scored on shifted data; a closed loop does not shift.
    assert set(fits.filter(pl.col("corruption") != "")["metric"]) == {"mse", "r2"}

    said = capsys.readouterr().out
    assert "upright (higher is better)" in said and "(time upright " in said
    # The network that is kept was best in the closed loop of validation, not by its loss.
    loops = fits.filter(metric="upright", split="validation").group_by("model").agg(pl.col("value").mean())
    best = set(loops.filter(pl.col("value") == pl.col("value").max())["model"])
    assert any(f": {model} in {directory}" in said for model in best)
    page = (directory / "report.html").read_text()
    for words in ("In a closed loop", "Time upright in s, higher is better", "Mean force in N", "expert (policy of"):
        assert words in page, words
    assert "Mean squared error on validation" in page
    assert "All shifts of the test split: Time upright is measured in a closed loop, which they do not change" in page
    assert main(["report", str(directory), "--format", "csv"]) == 0
    told = pl.read_csv(directory / "tables" / "task-balance-loop.csv")
    means = (
        fits.filter(pl.col("metric") == "upright", pl.col("split") == "test")
        .group_by("model")
        .agg(pl.col("value").mean())
    )
    assert dict(told.filter(measurement="upright").select("model", "mean").iter_rows()) == pytest.approx(
        dict(means.iter_rows())
    )
    # Beside what was flown stands the loss of demonstrations.
    losses = fits.filter(metric="mse", split="test", corruption="").group_by("model").agg(pl.col("value").mean())
    assert dict(told.filter(measurement="mse").select("model", "mean").iter_rows()) == pytest.approx(
        dict(losses.iter_rows())
    )

    before = results.read(directory)
    capsys.readouterr()
    assert main(["rescore", str(directory), "--metrics", "mae"]) == 0
    assert "Unchanged on balance: upright (measured in a closed loop" in capsys.readouterr().out
    after = results.read(directory)
    assert after.filter(pl.col("metric") != "mae").height == before.height

    assert main(["rescore", str(directory), "--shifts", "wind=2,4"]) == 0
    windy = results.read(directory).filter(pl.col("corruption") == "wind")
    assert set(windy["level"]) == {2.0, 4.0}
    assert set(windy["metric"]) == {"upright", "effort", *policies}
    # Nothing is flown twice.
    assert main(["rescore", str(directory), "--shifts", "wind=4"]) == 0
    assert results.read(directory).filter(pl.col("corruption") == "wind").equals(windy, null_equal=True)
    assert "Wind" in (directory / "report.html").read_text()
    # As a study would have it that had asked for the wind; of one seed, for seeds do not know of each other.
    asked, changes = (
        balance.read_text(),
        {"noise: [1.0]": "wind: [4]", "name: loop": "name: windy", "seeds: 2": "seeds: 1"},
    )
    for before, after in changes.items():
        asked = asked.replace(before, after)
    balance.write_text(asked)
    assert main(["run", str(balance), "--results", str(tmp_path), "--plain", *how]) == 0
    columns = ["model", "seed", "metric", "level", "value"]
    studied = results.read(tmp_path / "windy").filter(pl.col("corruption") == "wind").select(columns).sort(columns[:4])
    assert studied.equals(windy.filter(pl.col("level") == 4, pl.col("seed") == 0).select(columns).sort(columns[:4]))


def test_rollouts_meet_the_same_episodes_for_every_model_and_again(balance, monkeypatch):
    import balance as code

    seeds = []
    task = replace(code.balance(), rollout=lambda policy, seed: seeds.append(seed) or {"upright": 1.0, "effort": 0.0})
    fits = [run for run in Study.load(balance).runs() if run.kind == "fit"]
    by_model: dict[str, list[int]] = {}
    for run in fits:
        seeds.clear()
        fit(run, task)
        # The network on validation and test, then the two policies on test.
        assert len(seeds) == 4 and len(set(seeds)) == 2 and len(set(seeds[1:])) == 1
        by_model.setdefault(run.model_name, []).extend(seeds)
    assert by_model["CfC"] == by_model["GRU"]


@pytest.mark.parametrize(
    ("measured", "judged", "status"),
    [({"upright": 1.0}, "upright", "done"), ({"effort": 1.0}, "upright", "failed"), ({}, "", "done")],
)
def test_a_rollout_that_fails_is_said_and_fails_the_fit_where_it_is_judged(balance, measured, judged, status):
    import balance as code

    task = replace(code.balance(), rollout=lambda policy, seed: measured, judged=judged, policies={})
    run = next(run for run in Study.load(balance).runs() if run.kind == "fit")
    rows = fit(run, task)
    assert {row["status"] for row in rows} == {status}
    if status == "failed":
        # Trials cannot be compared.
        assert rows[-1]["reason"].endswith("no upright on validation: the rollout gave no upright")
        return
    for name in ("upright", "effort"):
        found = [row for row in rows if row["metric"] == name]
        assert [row["split"] for row in found] == ["validation", "test"]
        for row in found:
            assert row["value"] == measured.get(name)
            if name not in measured:
                assert row["reason"] == f"the rollout gave no {name}"
    # Verdicts about predictions have predictors to be set against.
    assert {"trivial", "linear"} <= {row["metric"] for row in rows} or judged


def test_a_metric_and_no_baselines_of_a_tasks_own_are_kept_through_rescoring(module, tmp_path, capsys):
    own_metric = """
from liquidbench.metrics import Metric


def bold(targets, logits):
    return float((abs(logits[:, 1] - logits[:, 0])).mean())


BOLD = Metric("bold", "Boldness", False, (0.0, float("inf")), kind="classification", function=bold)
"""
    text = own_metric + TASK.replace('metric="accuracy",', 'metric="bold",').replace(
        'metrics=("accuracy",)', "metrics=(BOLD,)"
    ).replace('baseline="prior"', "baseline=None, linear=False")
    study = tmp_path / "study.yaml"
    study.write_text(
        f"{{name: mine, tasks: ['{module(text)}:made'], models: [GRU], parameters: 1000, seeds: 2, "
        "search: {trials: 1}, training: {steps: 10}}"
    )
    assert main(["run", str(study), "--results", str(tmp_path), "--plain", "--in-process"]) == 0
    before = results.read(tmp_path / "mine")
    assert {"bold", "trial_score"} <= set(before["metric"]) and not {"trivial", "linear"} & set(before["metric"])
    assert "Boldness" in (tmp_path / "mine" / "report.html").read_text()
    capsys.readouterr()
    assert main(["rescore", str(tmp_path / "mine"), "--metrics", "accuracy"]) == 0
    assert "Unchanged on made: bold (a metric of the task's own code)" in capsys.readouterr().out
    after = results.read(tmp_path / "mine")
    assert after.filter(pl.col("metric") == "accuracy").height == 4
    columns = ["run", "metric", "split", "trial", "step"]
    assert after.filter(pl.col("metric") != "accuracy").sort(columns).equals(before.sort(columns))


def test_a_study_names_a_forecast_of_any_task(tmp_path):
    study = parsed(["GRU"], tasks=["occupancy-excerpt", "occupancy-excerpt-7-ahead"])
    loaded = tasks.load(study.tasks[1])
    assert loaded.name == study.tasks[1] and loaded.data_digest != tasks.load(study.tasks[0]).data_digest
    with pytest.raises(ValueError, match="task must be one of .*got 'occupacy'"):
        tasks.load("occupacy-7-ahead")
