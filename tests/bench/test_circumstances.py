"""Warnings of runs that were not done alike."""

import polars as pl
import pytest
from results_table import ACCURACY, costs, table

from liquidbench.statistics import compare
from liquidbench.statistics.circumstances import differences

ALIKE = {"machine": "AMD, 2 cores", "version": "1.0", "commit": "", "torch": "2.1", "instruction_set": "avx2"}


def made(**changes):
    """Fits of two models and what these cost; `changes` are those of GRU's rows."""
    fits = table({"CfC": [0.9, 0.8, 0.9], "GRU": [0.8, 0.8, 0.7]})
    whole = pl.concat([fits, costs({"CfC": {"step_latency_us": 1.0}, "GRU": {"step_latency_us": 2.0}})])
    whole = whole.with_columns(pl.lit(value).alias(name) for name, value in ALIKE.items())
    whole = whole.with_columns(backend=pl.when(model="CfC").then(pl.lit("cpu")).otherwise(pl.lit("reference")))
    return whole.with_columns(
        pl.when(model="GRU").then(pl.lit(value, whole.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in changes.items()
    )


def test_runs_that_were_done_alike_call_for_no_word():
    assert differences(made()) == []
    assert differences(made(instruction_set=None, backend="cpu")) == [], "models differ in what can run them"
    assert differences(made(machine=None, version=None, torch=None)) == [], "what is not known says nothing"


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("machine", "2 machines (AMD, 2 cores; other)"),
        ("version", "2 versions of liquidbench (1.0; other)"),
        ("torch", "2 versions of PyTorch (2.1; other)"),
        ("instruction_set", "2 instruction sets (avx2; other)"),
    ],
)
def test_each_difference_is_named_for_scores_and_for_costs(column, words):
    scores, cost = differences(made(**{column: "other"}))
    assert scores == f"Scores come from {words}, so a difference between paired runs may be due to these, too."
    assert cost == f"Costs come from {words}, so times and memory of models that differ in these do not compare."


def test_costs_and_scores_are_told_apart():
    fits = made().filter(kind="fit")
    elsewhere = made(machine="Intel").filter(kind="cost")
    (sentence,) = differences(pl.concat([fits, elsewhere]))
    assert sentence.startswith("Costs come from 2 machines (AMD, 2 cores; Intel)")


def test_one_model_on_two_backends_is_told_of():
    frame = made()
    other = pl.when(model="CfC", seed=1).then(pl.lit("reference")).otherwise(pl.col("backend"))
    (sentence,) = differences(frame.with_columns(backend=other))
    assert sentence.startswith("Scores come from 2 backends of CfC (cpu; reference), so")


def test_many_are_not_all_named():
    frames = [made().with_columns(commit=pl.lit(f"c{number}")) for number in range(9)]
    assert "9 commits of liquidbench (c0; c1; c2; c3; and 5 more)" in differences(pl.concat(frames))[0]


def test_a_comparison_warns_of_them():
    found = compare(made(torch="2.2"), {"t": ACCURACY}, 0.01).verdict.warnings
    assert any(one.startswith("Scores come from 2 versions of PyTorch (2.1; 2.2)") for one in found)
    assert not any("come from" in one for one in compare(made(), {"t": ACCURACY}, 0.01).verdict.warnings)
