"""What every test starts from: seeds, and uninitialised memory filled with NaN."""

import multiprocessing
import os
import tempfile
from collections import Counter
from multiprocessing.util import get_temp_dir

import hypothesis
import pytest
import torch

# Not by importing it, for few tests draw.
os.environ["MPLBACKEND"] = "Agg"
# As `make test` does: tests run side by side, one thread each, and so do the processes that they start.
torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))
# Small tables gain nothing from more.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of tests with the mark ``sampled(n)`` one case in n runs by default; the others are slow."""
    cases = Counter()
    for item in items:
        if sampled := item.get_closest_marker("sampled"):
            name = item.nodeid.partition("[")[0]
            if cases[name] % sampled.args[0]:
                item.add_marker(pytest.mark.slow)
            cases[name] += 1


@pytest.fixture(autouse=True)
def reproducible():
    # As torch.manual_seed, which also notes the whole stack for each kind of device that is not in use yet: two
    # milliseconds.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)
    # Also fills torch.empty with NaN, so that a kernel that forgets a cell is seen.
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True, scope="session")
def machine_of_their_own():
    """A temporary folder of the tests, so that they wait for no study that runs on this machine."""
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


@pytest.fixture(scope="module")
def forked():
    """Processes that train are forked from one that has imported torch, which else takes each of them seconds.

    They find environment variables as they were when the first one started. Tests of commands start processes as users
    do.
    """
    # Not by all tests: those of the library run without liquidbench.
    from liquidbench.engine import pool
    from liquidbench.training import distributed

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "liquidbench.training.fit", "liquidbench.training.replicas"])
    with pytest.MonkeyPatch.context() as patch:
        for module in (distributed, pool):
            patch.setattr(module, "CONTEXT", context)
        yield
