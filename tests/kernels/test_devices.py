"""A kernel for another device is a file and its registration."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import backend_registration

import liquidrnn as lr
from liquidrnn.kernels import ltc


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch has no such devices",
)
def test_a_kernel_for_a_device_of_numpy_arrays():
    file = Path(__file__).with_name("numpy_device.py")
    result = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and result.stdout == "agree\n", result.stderr


def test_an_operator_without_a_kernel_for_a_device_takes_the_reference(monkeypatch):
    layer, x = lr.LTC(3, 5), torch.randn(4, 2, 3)
    monkeypatch.delitem(ltc.operator.kernels, "cpu")
    expected = layer(x)[0]
    monkeypatch.undo()
    torch.testing.assert_close(layer(x)[0], expected)
    assert ltc.operator._kernel(None, torch.empty(0, device="meta")) is None
