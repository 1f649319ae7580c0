"""The portable kernels where there is no Python, compiled for this processor."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("c++")), reason="there is no C++ compiler, or no bash")
def test_they_compile_without_warnings_and_agree_with_plain_loops():
    script = Path(__file__).with_name("portable.sh")
    environment = os.environ | {"CXX": "c++", "EMULATOR": ""}
    done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for network in ("LTC", "GRU", "LSTM"):
        for size in (4, 8):
            assert any(line.startswith(network) and f"{size} bytes, gradients" in line for line in lines), done.stdout
