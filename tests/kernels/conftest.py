"""The instruction sets, for tests that take them one by one."""

import pytest
from instruction_sets import SETS, using


@pytest.fixture(params=SETS)
def instruction_set(request):
    with using(request.param):
        yield request.param
