"""What users import, and what comes with it."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import liquidrnn as lr

DOCS = Path(__file__).parents[2] / "docs"

NAMES = [
    "CTGRU",
    "CTLSTM",
    "CTRNN",
    "CfC",
    "CoRNN",
    "FeedForward",
    "GRU",
    "GRUD",
    "GRUODE",
    "LRC",
    "LRCU",
    "LSTM",
    "LTC",
    "MinGRU",
    "MinLSTM",
    "ODELSTM",
    "ODERNN",
    "PhasedLSTM",
    "RNN",
    "RecurrentLayer",
    "STC",
    "StackedLSTM",
    "Stream",
    "backends",
    "from_ncps",
    "timespans_from_timestamps",
    "wirings",
]
WIRINGS = ["AutoNCP", "FullyConnected", "Layered", "NCP", "NeuronTable", "Random", "Recipe", "Shuffled", "Wiring"]
HEAVY = {
    "matplotlib",
    "scipy",
    "polars",
    "triton",
    "onnx",
    "ray",
    "yaml",
    "rich",
    "jinja2",
    "ncps",
    "liquidbench",
    "torchdiffeq",
}


def test_public_names_are_these():
    assert sorted(NAMES) == NAMES
    public = {
        name
        for name, value in vars(lr).items()
        # Importing a submodule makes it an attribute; wirings alone is meant to be one.
        if not name.startswith("_") and (not isinstance(value, ModuleType) or name == "wirings")
    }
    assert sorted(public) == NAMES


def test_public_wirings_are_these():
    own = {
        name
        for name, value in vars(lr.wirings).items()
        if isinstance(value, type) and value.__module__ == "liquidrnn.wirings"
    }
    assert sorted(own) == WIRINGS


def test_the_version_is_the_distributions():
    import liquidbench

    project = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.search(r'^version = "(.+)"', project, re.M)
    assert declared and lr.__version__ == liquidbench.__version__ == declared[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_documented(name):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    assert re.search(rf"^\.\. auto\w+:: liquidrnn\.{name}$", pages, re.M)
    assert getattr(lr, name).__doc__


def loaded_by(*modules: str) -> dict[str, set[str]]:
    """Top-level packages that are loaded once a module, and those before it, have been imported in a new process."""
    code = """
import sys
for module in sys.argv[1:]:
    __import__(module)
    print(*{name.partition(".")[0] for name in sys.modules})
"""
    command = [sys.executable, "-c", code, *modules]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return dict(zip(modules, map(set, map(str.split, process.stdout.splitlines())), strict=True))


def test_the_library_brings_in_torch_and_numpy_alone():
    loaded = loaded_by("liquidrnn")["liquidrnn"]
    assert {"torch", "numpy"} <= loaded
    assert loaded & HEAVY == set()


def test_data_judging_and_reporting_load_no_torch():
    parts = ("__main__", "metrics", "study", "results", "statistics", "report", "tasks", "tasks.table")
    for module, loaded in loaded_by(*(f"liquidbench.{part}" for part in parts)).items():
        assert loaded & {"torch", "liquidrnn", "matplotlib", "ncps"} == set(), module
