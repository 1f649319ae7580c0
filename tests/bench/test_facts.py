"""Facts of a task are the same after they have been written and read."""

import json
import math

import pytest

from liquidbench.facts import Facts, Feature, Source
from liquidbench.metrics import Measure
from liquidbench.statistics import score_interval

FACTS = Facts(
    title="Stand",
    kind="regression",
    metric="held",
    metrics=("mse",),
    metric_label="Time held",
    metric_unit="s",
    metric_range=(0.0, math.inf),
    selection=Measure("mse", "Mean squared error", False, (0.0, math.inf)),
    measurements=(Measure("held", "Time held", True, (0.0, math.inf), "s"), Measure("odd", "Odd", False)),
    source=Source("Made up", "", "none", ""),
    features=(Feature("angle", "rad"),),
    sequences={"train": 3},
    window=None,
    classes=("a", "b"),
    timespan_unit=0.25,
)


@pytest.mark.parametrize("facts", [FACTS, Facts()])
def test_they_come_back(facts):
    assert Facts.from_json(json.loads(json.dumps(facts.to_json(), allow_nan=False))) == facts


def test_those_of_another_version_are_read_as_far_as_they_go():
    found = Facts.from_json({"metric": "r2", "metric_label": "R²", "higher_is_better": True, "of a later version": 3})
    assert found.measure == Measure("r2", "R²", True, (-math.inf, 1.0)) == found.selecting
    assert score_interval([0.9, 1.0], found.measure)[1] == 1.0


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (3, "must be a mapping; got int"),
        ({"metric": 3}, "metric of a task must be of type str; got 3"),
        ({"classes": "ab"}, "classes of a task cannot be read: it must be a list of strings"),
        ({"features": [{"name": "a"}]}, "features of a task cannot be read"),
        ({"measurements": [{"name": "a"}]}, "measurements of a task cannot be read"),
        ({"rows": [1]}, "rows of a task must be of type dict"),
        ({"higher_is_better": "yes"}, "higher_is_better of a task must be of type bool"),
    ],
)
def test_what_are_no_facts_is_said(told, message):
    with pytest.raises(ValueError, match=message):
        Facts.from_json(told)
