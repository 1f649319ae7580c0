"""The instruction sets, for tests that take them one by one."""

import pytest
from instruction_sets import SETS, using

from liquidrnn import kernels


@pytest.fixture(params=SETS)
def instruction_set(request):
    with using(request.param):
        yield request.param


@pytest.fixture
def layout(request):
    """1 for a sequence in each lane of a vector, 2 for a unit in each."""
    kernels.cpu.use_layout(request.param)
    yield request.param
    kernels.cpu.use_layout(0)


@pytest.fixture
def keep(monkeypatch):
    """Has an operator keep so many bytes for the backward pass."""

    def set_bytes(operator, kept_bytes):
        monkeypatch.setitem(operator.kernels, "cpu", operator.kernels["cpu"]._replace(kept_bytes=kept_bytes))

    return set_bytes
