"""What every test starts from: seeds, and uninitialised memory filled with NaN."""

import os

import hypothesis
import pytest
import torch

# Not by importing it, for few tests draw.
os.environ["MPLBACKEND"] = "Agg"
# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


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
