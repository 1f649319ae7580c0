"""What better scores cost, on tables whose answer is known."""

import math

import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, ERROR, costs, table

from liquidbench.statistics import compare

NOISE = np.array([0.0, 0.002, -0.002, 0.001])
BETTER = {"CfC": 0.95 + NOISE, "GRU": 0.90 + NOISE[[1, 2, 3, 0]]}
LEVEL = {"CfC": 0.9 + 20 * NOISE, "GRU": 0.91 + 20 * NOISE[[1, 2, 3, 0]]}


def price(times, scores=BETTER, facts=ACCURACY, metric="seconds_per_epoch"):
    """Of the only cost, of which CfC takes so many times as much as GRU."""
    spent = costs({"CfC": {metric: 2.0 * times}, "GRU": {metric: 2.0}})
    frame = pl.concat([table(scores, metric=facts.metric), spent])
    (found,) = compare(frame, {"t": facts}, 0.01).verdict.judgements[0].prices
    return found


def test_a_gain_at_a_higher_cost_has_a_rate():
    found = price(4.0)
    assert (found.cost, found.first, found.second) == ("seconds_per_epoch", "CfC", "GRU")
    assert found.ratio == pytest.approx(4.0)
    assert found.per_doubling == pytest.approx(found.gain / 2) == pytest.approx(0.05 / 2)
    pair = compare(table(BETTER), {"t": ACCURACY}, 0.01).pairs[0]
    assert found.interval == pytest.approx([end / 2 for end in pair.interval])
    assert found.sentence == (
        "CfC is better than GRU at 4 times the training time: accuracy 0.0250 higher for each doubling."
    )


def test_the_rate_is_that_of_the_better_model():
    turned = {"CfC": BETTER["GRU"], "GRU": BETTER["CfC"]}
    found = price(0.25, turned)
    assert found.per_doubling == pytest.approx(0.025) and found.gain == pytest.approx(-0.05)
    assert found.interval[0] < found.per_doubling < found.interval[1]
    assert found.sentence.startswith("GRU is better than CfC at 4 times the training time: accuracy 0.0250 higher")


def test_a_gain_in_errors_is_a_lower_error():
    errors = {model: 1 - scores for model, scores in BETTER.items()}
    found = price(4.0, errors, ERROR)
    assert found.gain == pytest.approx(0.05)
    assert found.sentence.endswith("mean squared error 0.0250 lower for each doubling.")


@pytest.mark.parametrize(
    ("times", "scores", "sentence"),
    [
        (0.3, BETTER, "CfC is better than GRU at 0.3 times the training time: there is no trade-off."),
        (1.05, BETTER, "CfC is better than GRU at about the same training time."),
        (12.4, LEVEL, "CfC has 12 times the training time of GRU, for no gain that was shown."),
        (0.95, LEVEL, "CfC and GRU are about equal in training time."),
        (0.5, {"CfC": 0.9 + NOISE, "GRU": 0.9 + NOISE[[1, 2, 3, 0]]},
         "GRU has 2 times the training time of CfC, for an equivalent score."),
        (3.0, {"CfC": [0.9, 0.91], "GRU": [0.8, 0.81]},
         "CfC has 3 times the training time of GRU, and the scores cannot be compared."),
    ],
)  # fmt: skip
def test_without_a_gain_or_a_higher_cost_there_is_no_rate(times, scores, sentence):
    found = price(times, scores)
    assert found.sentence == sentence
    assert (found.per_doubling, found.interval) == (None, None)


def test_costs_that_were_not_measured_of_both_are_left_out():
    frame = table(BETTER)
    judgement = compare(frame, {"t": ACCURACY}, 0.01).verdict.judgements[0]
    assert judgement.prices == ()
    one = pl.concat([frame, costs({"CfC": {"step_latency_us": 3.0, "training_memory_bytes": math.nan}})])
    assert compare(one, {"t": ACCURACY}, 0.01).verdict.judgements[0].prices == ()


def test_parameters_are_known_from_the_fits():
    sizes = pl.col("model").replace_strict({"CfC": 8000, "GRU": 4000}, return_dtype=pl.Int64)
    frame = table(BETTER).with_columns(parameters=sizes)
    (found,) = compare(frame, {"t": ACCURACY}, 0.01).verdict.judgements[0].prices
    assert (found.cost, found.ratio) == ("parameters", 2.0)


def test_costs_of_families_are_those_of_the_networks_that_count():
    scores = {"LTC": [0.95, 0.95, 0.95], "CfC": [0.94, 0.94, 0.94], "GRU": [0.8, 0.8, 0.8], "LSTM": [0.7, 0.7, 0.7]}
    spread = {model: [one + 0.001 * seed for seed, one in enumerate(values)] for model, values in scores.items()}
    known = {model: {"seconds_per_epoch": cost} for model, cost in zip(scores, (8.0, 1.0, 2.0, 1.0), strict=True)}
    frame = pl.concat([table(spread), costs(known)])
    judgement = compare(frame, {"t": ACCURACY}, 0.01).verdict.judgements[0]
    (found,) = judgement.prices
    # The best of two by validation is always LTC, and GRU.
    assert found.ratio == pytest.approx(4.0)
    assert judgement.verdict != "liquid better" or found.sentence.startswith("liquid networks are better than")


def test_costs_are_described_if_a_floor_is_not_beaten():
    scores = {"CfC": [0.90, 0.91, 0.92], "GRU": [0.90, 0.92, 0.91]}
    frame = pl.concat(
        [
            table(scores, baselines={"linear": 0.95}),
            costs({m: {"seconds_per_epoch": c} for m, c in (("CfC", 3.0), ("GRU", 1.0))}),
        ]
    )
    (found,) = compare(frame, {"t": ACCURACY}, 0.01).verdict.judgements[0].prices
    assert found.sentence == "CfC has 3 times the training time of GRU, for a score that takes no network."


def test_plain_pytorch_is_no_rival_of_compiled_kernels():
    spent = costs({model: {"seconds_per_epoch": 2.0, "parameters": 10.0} for model in ("CfC", "GRU")})

    def compared(cfc, gru):
        backend = pl.when(pl.col("model") == "CfC").then(pl.lit(cfc)).otherwise(pl.lit(gru))
        found = compare(pl.concat([table(BETTER), spent.with_columns(backend=backend)]), {"t": ACCURACY}, 0.01).verdict
        told = [warning for warning in found.warnings if "plain PyTorch" in warning]
        return {price.cost for price in found.judgements[0].prices}, told

    assert compared("cpu", "cpu") == compared("reference", "reference") == ({"seconds_per_epoch", "parameters"}, [])
    assert compared("cpu", "reference") == (
        {"parameters"},
        [
            "GRU ran in plain PyTorch, other models in compiled kernels: their times, memory and energy are left out, "
            "since they would compare implementations."
        ],
    )
