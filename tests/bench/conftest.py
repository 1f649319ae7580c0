"""Measurements of cost wait for nobody else's fits on this machine."""

import os
import tempfile

import pytest


@pytest.fixture(autouse=True, scope="session")
def machine_of_their_own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    before = os.environ.get("TMPDIR")
    # Of this process and of those that it starts.
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), str(folder)
    yield
    tempfile.tempdir = None
    os.environ.pop("TMPDIR")
    if before is not None:
        os.environ["TMPDIR"] = before
