"""Results of a made-up task of flight in a closed loop, in several worlds, whose answer is known."""

import random

import polars as pl

from liquidbench.facts import Facts, Feature
from liquidbench.metrics import Measure
from liquidbench.results import SCHEMA, policy_metric
from liquidbench.shifts import WORLDS

SUCCESS = Measure("success", "Flights that reach the target", True, (0.0, 1.0))
LOSS = Measure("mse", "Mean squared error", False, (0.0, float("inf")))
FLIGHT = Facts(
    title="Flight to a target",
    kind="regression",
    per="step",
    outputs=3,
    metric="success",
    metric_label=SUCCESS.label,
    higher_is_better=True,
    metric_range=(0.0, 1.0),
    metrics=("mse",),
    selection=LOSS,
    measurements=(SUCCESS, Measure("crash", "Flights that crash", False, (0.0, 1.0))),
    features=(Feature("camera", "1"),),
    image=(48, 64, 3),
    time_unit="s",
    timespan_unit=0.1,
    worlds=tuple(WORLDS),
    sequences={"train": 300, "validation": 60, "test": 60},
)
SKILL = {"CfC": 0.86, "LTC": 0.85, "GRU": 0.93, "LSTM": 0.92, "FeedForward": 0.2}
POLICIES = {"expert": 1.0, "trivial": 0.0}
LEVELS = {world: shift.levels for world, shift in WORLDS.items()}
LEVELS |= {"winter": (0.25, 0.5, 1.0), "fog": (1.0, 2.0, 4.0), "wind": (2.0, 4.0, 6.0)}
HARM = {"winter": {"CfC": 0.1, "LTC": 0.1, "GRU": 0.7, "LSTM": 0.7}, "fog": {"CfC": 0.5, "LTC": 0.5}}


def scores(models=tuple(SKILL), worlds=("winter", "fog", "wind"), seeds=5, task="flight", losses=None):
    """Rows of fits; liquid networks lose less in winter and more in fog, and nobody loses in the wind.

    `losses` maps a test score to the loss on validation.
    """
    rows = []
    for model in models:
        for seed in range(seeds):
            draw = random.Random(f"{model} {seed}")
            shared = dict.fromkeys(SCHEMA) | {
                "run": f"{task}-{model}-{seed}",
                "task": task,
                "model": model,
                "variant": "matched",
                "seed": seed,
                "fold": 0,
                "matching": "parameters",
                "search": "full",
                "kind": "fit",
                "status": "done",
                "split": "test",
                "corruption": "",
                "level": 0.0,
            }

            def add(metric, value, shared=shared, **columns):
                rows.append(shared | {"metric": metric, "value": value} | columns)

            home = min(max(SKILL.get(model, 0.5) + draw.gauss(0, 0.02), 0.0), 1.0)
            add("success", home)
            add("crash", 1 - home)
            add("success", home, split="validation")
            add("mse", (losses or (lambda score: 1 - score))(home), split="validation")
            add("trivial", POLICIES["trivial"])
            for policy, value in POLICIES.items():
                add(policy_metric(policy, "success"), value)
            for world in worlds:
                for place, level in enumerate(LEVELS[world], 1):
                    harm = HARM.get(world, {}).get(model, 0.0) * place / 3
                    value = min(max(home - harm + draw.gauss(0, 0.01), 0.0), 1.0)
                    add("success", value, corruption=world, level=level)
                    for policy, known in POLICIES.items():
                        add(policy_metric(policy, "success"), known * (1 - 0.1 * place), corruption=world, level=level)
    return pl.DataFrame(rows, schema=SCHEMA)
