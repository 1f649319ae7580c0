"""What each part of a liquid network is worth: networks beside themselves without it, from the study of controls.

    liquidbench run studies/controls.yaml && python benchmarks/keep.py controls
    python benchmarks/controls.py       # writes docs/results/controls/parts.md

A difference is that of test accuracies of one seed, and over tasks the mean of these; intervals are Student's over
seeds.
"""

from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from liquidbench.statistics.inference import holm, mean_interval

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "controls"
PARTS = (
    ("a time constant that depends on the inputs", "LTC", "LTC-fixed"),
    ("six solver steps in place of one", "LTC-6-steps", "LTC-1-step"),
    ("the layers of an NCP in place of random synapses", "LTC-NCP", "LTC-random"),
    ("an NCP of LTC neurons in place of LSTMs of its widths", "LTC-NCP", "LSTM-NCP"),
    ("the time in the gate of CfC", "CfC", "CfC-append"),
    ("an elastance that depends on the input, LRC", "LRC", "STC-rate"),
    ("an elastance that depends on the input, STC", "STC", "STC-rate"),
    ("memory: the LTC", "LTC", "FeedForward"),
    ("memory: the LSTM", "LSTM", "FeedForward"),
)


def main() -> None:
    """Write the table."""
    rows = pl.read_parquet(RESULTS / "results.parquet")
    scores = rows.filter(pl.col("kind") == "fit", pl.col("split") == "test", pl.col("metric") == "accuracy")
    tasks = scores["task"].unique(maintain_order=True).to_list()
    of = {
        (task, model, seed): value
        for task, model, seed, value in scores.select("task", "model", "seed", "value").rows()
    }
    seeds = sorted({seed for _, _, seed in of})

    def differences(task: str, first: str, second: str) -> np.ndarray:
        return np.array([of[task, first, seed] - of[task, second, seed] for seed in seeds])

    pairs = [np.stack([differences(task, first, second) for task in tasks]) for _, first, second in PARTS]
    values = [float(stats.ttest_1samp(pair.mean(axis=0), 0)[1]) for pair in pairs]
    lines = [
        f"| What is there | Pair | {' | '.join(tasks)} | mean, 95 % interval | p |",
        f"|---|---|{'---|' * len(tasks)}---|---|",
    ]
    for (what, first, second), pair, p in zip(PARTS, pairs, holm(values), strict=True):
        low, high = mean_interval(pair.mean(axis=0))[:2]
        each = " | ".join(f"{100 * difference:+.1f}" for difference in pair.mean(axis=1))
        mean = f"{100 * pair.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        lines.append(f"| {what} | {first} − {second} | {each} | {mean} | {p:.2f} |")
    text = (
        "# What each part of a liquid network is worth\n\nMade by `python benchmarks/controls.py`. Differences of test "
        f"accuracy in points, means of {len(seeds)} seeds; the interval of the mean over tasks covers seeds, p is "
        "corrected by Holm's method.\n\n" + "\n".join(lines) + "\n"
    )
    (RESULTS / "parts.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
