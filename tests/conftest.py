"""What every test starts from: seeds, and uninitialised memory filled with NaN."""

import matplotlib
import pytest
import torch

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def reproducible():
    torch.manual_seed(0)
    # Also fills torch.empty with NaN, so that a kernel that forgets a cell is seen.
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
