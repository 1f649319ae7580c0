"""Every example that users are shown: in the README, in the pages of docs/, and in docstrings.

Blocks of one page share a namespace and run in their order, in an empty folder, without a network.
"""

import doctest
import importlib
import pkgutil
import re
import shlex
import signal
import socket
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import liquidbench
import liquidrnn as lr
from liquidbench import __main__ as command_line
from liquidbench import results, tasks
from liquidbench.conditions import CONDITIONS
from liquidbench.folder import StudyFolder, TrainingFolder
from liquidbench.metrics import METRICS
from liquidbench.models import MODELS
from liquidbench.shifts import SHIFTS
from liquidbench.study import STEPS, STEPS_ELSEWHERE, Robustness, Search, Study, Training
from liquidbench.training import fit
from liquidrnn import kernels
from liquidrnn.kernels import cfc, lrc, ltc

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ARCHITECTURE = DOCS / "architecture.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
SECONDS = 30


def text(page: str | Path) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """Fenced blocks of some languages, each with the number of its first line."""
    content = text(page)
    found = re.finditer(rf"^```(?:{'|'.join(languages)})\n(.*?)^```$", content, re.M | re.S)
    return [(content[: block.start(1)].count("\n") + 1, block[1]) for block in found]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """An empty folder and cache, one thread, no network, and no more than so many seconds."""

    connect = socket.socket.connect

    def refuse(connecting, address):
        # Processes of this machine have sockets that are files.
        if connecting.family != getattr(socket, "AF_UNIX", None):
            raise AssertionError("an example must not need a network")
        connect(connecting, address)

    def late(*_):
        raise TimeoutError(f"an example takes more than {SECONDS} s")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """A folder with ``results/demo`` in it: the demo's study, cut to a second."""
    folder = tmp_path_factory.mktemp("demo")
    whole = Study.load(ROOT / "studies" / "demo.yaml")
    study = replace(
        whole,
        tasks=("occupancy-excerpt",),
        models=("CfC", "GRU"),
        parameters=1000,
        seeds=(0, 1),
        search=replace(whole.search, trials=1),
        training=replace(whole.training, epochs=None, steps=10),
        robustness=Robustness(),
        author_defaults=False,
    )
    task = tasks.load("occupancy-excerpt")
    for run in study.runs():
        if run.kind == "fit":
            rows = fit.fit(run, task, folder / "results" / "demo")
            results.write(folder / "results" / "demo", [{**row, "study": study.name} for row in rows])
    results.write_tasks(folder / "results" / "demo", {task.name: task.facts()})
    return folder


@every_page
@pytest.mark.usefixtures("forked")
def test_python_blocks_run(page, demo, monkeypatch):
    if "results/demo" in text(page):
        monkeypatch.chdir(demo)
    # A page may add a device; other tests in this process are not to meet it.
    monkeypatch.setattr(kernels, "_backends", dict(kernels._backends))
    for operator in (cfc.operator, lrc.operator, ltc.operator):
        monkeypatch.setattr(operator, "kernels", dict(operator.kernels))
    # The examples are ordinary programs.
    torch.use_deterministic_algorithms(False)
    namespace = {"__name__": "__main__"}
    for line, block in blocks(page, "python"):
        # Blank lines in front, so that a traceback has the line of the page.
        exec(compile("\n" * (line - 1) + block, str(page), "exec"), namespace)


@every_page
def test_commands_are_understood(page):
    """Words of `liquidbench` commands are those that it takes; nothing is run."""
    for _, block in blocks(page, "console", "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["liquidbench"]:
                command_line._parser().parse_args(words[1:])
            elif words[:1] == ["make"]:
                targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.M)
                assert set(words[1:]) <= set(targets), line


@every_page
def test_yaml_blocks_are_studies(page, monkeypatch):
    import yaml

    monkeypatch.syspath_prepend(ROOT / "examples" / "own")
    for _, block in blocks(page, "yaml"):
        content = yaml.safe_load(block)
        Study.parse({"name": "any", "models": ["GRU"], **content})


@every_page
def test_links_have_targets(page):
    prose = re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", text(linked), re.M)
            slugs = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
            assert heading in slugs, f"{page.name}: {target}"


def modules() -> list[str]:
    packages = (lr, liquidbench)
    found = [
        module.name
        for package in packages
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return sorted([*(package.__name__ for package in packages), *found])


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("name", modules())
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in finder.find(module, extraglobs={"torch": torch, "lr": lr}):
        torch.manual_seed(0)
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0


def test_named_tests_exist():
    """A difference from ncps has a test: that of the page's table, by its name."""
    named = re.findall(r"`(tests/[\w/]+\.py)?(?:::)?((?:\w+::)?test_\w+)`", text("from_ncps.md"))
    assert len(named) > 20
    for file, test in named:
        source = (ROOT / (file or "tests/test_differences.py")).read_text(encoding="utf-8")
        for part in test.split("::"):
            assert re.search(rf"^ *(?:class|def) {part}\b", source, re.M), (file, test)


def test_every_difference_is_on_the_page():
    source = (ROOT / "tests" / "test_differences.py").read_text(encoding="utf-8")
    for test in re.findall(r"^def (test_\w+)", source, re.M):
        assert f"`{test}`" in text("from_ncps.md"), test


def test_every_shift_and_its_default_levels_are_on_the_page():
    for name, shift in SHIFTS.items():
        levels = ", ".join(f"{level:g}" for level in shift.levels)
        assert re.search(rf"^\| `{name}` \| .* \| {re.escape(levels)} \|$", text("comparing.md"), re.M), name


def test_every_condition_is_on_the_page():
    for name in CONDITIONS:
        assert re.search(rf"^\| `{name}` \| ", text("comparing.md"), re.M), name


def test_a_studys_keys_and_defaults_are_on_the_page():
    page = text("comparing.md")
    for prefix, part in (("", Study), ("search.", Search), ("training.", Training), ("robustness.", Robustness)):
        for entry in fields(part):
            # Shifts have a table of their own.
            if entry.name in ("search", "training", "robustness", "shifts"):
                continue
            cell = re.search(rf"^\| `{prefix}{entry.name}` \| ([^|]+) \|", page, re.M)
            assert cell, f"{prefix}{entry.name}"
            default = entry.default
            if isinstance(default, bool | None):
                assert cell[1] in (str(default).lower(), "null")
            elif entry.name == "seeds":
                assert int(cell[1]) == len(default)
            elif isinstance(default, int | float):
                assert float(cell[1]) == default
            elif isinstance(default, tuple):
                assert cell[1] == (", ".join(map(str, default)) or "none")


def test_columns_metrics_models_and_options_are_on_the_page():
    page = text("comparing.md")
    for word in (*results.SCHEMA, *METRICS, *MODELS):
        assert f"`{word}`" in page, word
    (commands,) = (action for action in command_line._parser()._actions if isinstance(action.choices, dict))
    for name, command in commands.choices.items():
        assert f"`{name}" in page, name
        for option in {option for action in command._actions for option in action.option_strings}:
            assert f"`{option}`" in page or option in ("-h", "--help"), option


def test_files_of_a_study_and_of_a_training_are_on_the_page():
    page = text("comparing.md")
    for folder in (StudyFolder("here"), TrainingFolder("here")):
        for path in vars(folder).values():
            if path.name != "here" and not path.name.startswith("."):
                assert f"`{path.name}`" in page or f"`{path.name}/`" in page, path.name


def test_keys_of_a_table_are_on_the_page():
    from liquidbench.tasks import table

    for key in table.KEYS:
        assert re.search(rf"^\| `{key}` \|", text("comparing.md"), re.M), key


def test_budgets_are_on_the_page_of_tasks():
    assert set(STEPS) == set(tasks.names())
    for name, steps in {**STEPS, "any other": STEPS_ELSEWHERE}.items():
        row = f"| `{name}` | {steps:,} |" if name in STEPS else f"| {name} | {steps:,} |"
        assert row in text("tasks.md"), row


def test_layers_in_the_pages_match_the_contracts():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    drawn = ["\n".join(" ".join(line.split()) for line in block.splitlines()) for _, block in blocks(ARCHITECTURE, "")]
    for contract in contracts:
        if "containers" in contract:
            assert "\n".join(contract["layers"]) in drawn, contract["name"]


def test_every_module_has_its_place():
    page = text(ARCHITECTURE)
    for package in ("liquidrnn", "liquidbench"):
        for path in sorted((ROOT / "src" / package).glob("[a-z]*.py")):
            assert f"`{path.name}`" in page, path.name


def test_every_dependency_has_its_reason():
    lists = [
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    ]
    page = text("decisions.md")
    for requirement in {re.split(r"[<>=\[ ]", entry)[0] for entries in lists for entry in entries} - {"liquidrnn"}:
        assert re.search(rf"\*\*[^*]*\b{re.escape(requirement)}\b[^*]*\*\*", page), requirement
