"""Facts of a task are the same after they have been written and read."""

import json
import math

import pytest

from liquidbench.facts import Facts, Feature, Source
from liquidbench.metrics import Measure
from liquidbench.statistics import score_interval
from liquidbench.tasks import load

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
def test_facts_survive_a_round_trip(facts):
    assert Facts.from_json(json.loads(json.dumps(facts.to_json(), allow_nan=False))) == facts


def test_facts_of_other_versions_are_read():
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
def test_invalid_facts_are_refused(told, message):
    with pytest.raises(ValueError, match=message):
        Facts.from_json(told)


def test_drift_is_the_part_of_test_that_would_have_to_change_class():
    shares = {"train": (0.6, 0.4, 0.0), "validation": (0.2, 0.4, 0.4), "test": (0.3, 0.4, 0.3)}
    facts = Facts(class_shares=shares, constant=0.4)
    assert facts.drift == pytest.approx(0.3) and Facts().drift == 0.0
    assert Facts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_a_task_tells_its_classes_shares_and_the_best_constant():
    task = load("occupancy-excerpt")
    facts = task.facts()
    for split, shares in facts.class_shares.items():
        known = task.split(split).targets[task.split(split).target_mask]
        assert shares == pytest.approx([(known == 0).mean(), (known == 1).mean()])
    assert facts.constant == max(facts.class_shares["test"]) >= task.trivial_score()
    regression = load("cheetah-excerpt").facts()
    assert regression.class_shares == {} and 0 < regression.constant <= load("cheetah-excerpt").trivial_score() * 2
