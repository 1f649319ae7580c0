"""Reads the results of a study: chosen learning rates, and how scores degrade when steps are removed.

python examples/read_results.py results/demo

The argument is a study's folder, or one table such as docs/results/demo/results.parquet.
"""

import sys
from pathlib import Path

import polars as pl

from liquidbench import results


def main(source: str = "docs/results/demo/results.parquet") -> None:
    frame = pl.read_parquet(source) if Path(source).is_file() else results.read(source)
    matched = frame.filter(pl.col("kind") == "fit", pl.col("status") == "done", pl.col("variant") == "matched")

    chosen = matched.filter(pl.col("metric") == "best_epoch").group_by("task", "model", "learning_rate").len("seeds")
    print(chosen.sort("task", "model", "learning_rate"))

    robustness = (
        matched.filter(pl.col("corruption") == "removed_steps")
        .group_by("task", "metric", "model", "level")
        .agg(pl.col("value").mean().round(3))
        .pivot("level", index=["task", "metric", "model"], values="value", sort_columns=True)
    )
    print(robustness.sort("task", "model"))


if __name__ == "__main__":
    main(*sys.argv[1:])
