"""What `compare` makes of a table, and warns of in it."""

import pytest

from liquidbench.tasks import table


@pytest.fixture
def planned(tmp_path):
    """The plan of a frame."""

    def plan_of(frame, target="y", **asked):
        path = tmp_path / "mine.csv"
        frame.write_csv(path)
        return table.plan({"table": str(path), "target": target, **asked})

    return plan_of


@pytest.fixture
def warnings(planned):
    def warnings_of(frame, target="y", **asked):
        lines = planned(frame, target, **asked).lines
        return [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]

    return warnings_of
