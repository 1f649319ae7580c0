"""Measurements of cost wait for nobody else's fits on this machine; what `compare` warns of in a table."""

import os
import tempfile
from multiprocessing.util import get_temp_dir

import pytest

from liquidbench.tasks import table


@pytest.fixture(autouse=True, scope="session")
def machine_of_their_own():
    before = os.environ.get("TMPDIR")
    # multiprocessing removes its own after all fixtures are gone.
    get_temp_dir()
    # Of this process and of those that it starts. Short, for Ray puts sockets there.
    with tempfile.TemporaryDirectory(prefix="lb", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"], tempfile.tempdir = folder, folder
        yield
        tempfile.tempdir = None
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before


@pytest.fixture
def warnings(tmp_path):
    def warnings_of(frame, target="y", **asked):
        path = tmp_path / "mine.csv"
        frame.write_csv(path)
        lines = table.complete({"table": str(path), "target": target, **asked})[1]
        return [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]

    return warnings_of
