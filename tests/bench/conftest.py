"""What `compare` warns of in a table."""

import pytest

from liquidbench.tasks import table


@pytest.fixture
def warnings(tmp_path):
    def warnings_of(frame, target="y", **asked):
        path = tmp_path / "mine.csv"
        frame.write_csv(path)
        lines = table.complete({"table": str(path), "target": target, **asked})[1]
        return [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]

    return warnings_of
