"""What every test starts from: seeds, and uninitialised memory filled with NaN."""

import hypothesis
import matplotlib
import pytest
import torch

matplotlib.use("Agg")
# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def reproducible():
    torch.manual_seed(0)
    # Also fills torch.empty with NaN, so that a kernel that forgets a cell is seen.
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
