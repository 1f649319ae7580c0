"""The instruction sets, for tests that take them one by one."""

import pytest
from instruction_sets import SETS, laid_out, using


@pytest.fixture(params=SETS)
def instruction_set(request):
    with using(request.param):
        yield request.param


@pytest.fixture
def layout(request):
    with laid_out(request.param):
        yield request.param


@pytest.fixture
def keep(monkeypatch):
    """Has an operator keep so many bytes for the backward pass."""

    def set_bytes(operator, kept_bytes):
        monkeypatch.setitem(operator.kernels, "cpu", operator.kernels["cpu"]._replace(kept_bytes=kept_bytes))

    return set_bytes
