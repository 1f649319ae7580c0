"""Flights without pictures, for tests of what happens in the air."""

import numpy as np
import pytest

from liquidbench.tasks.flight import rendering

pytest.importorskip("mujoco", reason="flights need MuJoCo: pip install 'liquidrnn[flight]'")


class Blind:
    """A camera that sees nothing."""

    def picture(self, layout, look, position, rotation):
        return np.full((48, 64, 3), 100, dtype=np.uint8)


@pytest.fixture
def blind(monkeypatch):
    monkeypatch.setattr(rendering, "camera", lambda *size: Blind())
