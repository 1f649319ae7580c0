"""How much faster one network trains with two processes, or two threads.

    python benchmarks/scaling.py    # writes docs/results/speed/scaling.md

Trainings with one process, two processes of one thread, and one process of two threads take turns, so that other load
on the machine affects all of them. The first epoch of every turn is left out, and the rate is the median of the others;
validation and checkpoints are not counted.
"""

import os
import platform
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from liquidbench import matching, tasks
from liquidbench.search import Settings
from liquidbench.training.distributed import Course, train

RESULT = Path(__file__).parents[1] / "docs" / "results" / "speed" / "scaling.md"
TASK = "cheetah-excerpt"
SIZES = {"LTC": 128, "LSTM": 256}
WAYS = {"1 process": (1, 1), "2 processes": (2, 1), "1 process, 2 threads": (1, 2)}
TURNS, EPOCHS, BATCH = 5, 4, 64


def rates(model: str, task) -> dict[str, float]:
    """Sequences a second in each way."""
    sequences = len(task.split("train"))
    seen: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(TURNS):
        for way, (devices, threads) in WAYS.items():
            settings = Settings(learning_rate=0.001, patience=1.0)
            course = Course(model, SIZES[model], settings, EPOCHS, BATCH, devices=devices, threads=threads)
            with TemporaryDirectory() as folder:
                curve = train(task, course, folder).curve
            seen[way] += [sequences / epoch.seconds for epoch in curve[1:]]
    return {way: median(values) for way, values in seen.items()}


def main() -> None:
    task = tasks.load(TASK)
    shape = task.split("train").values.shape
    lines = []
    for model, size in SIZES.items():
        measured = rates(model, task)
        one, *others = measured.values()
        parameters = matching.count_parameters(Course(model, size, Settings(0.001)).build(task))
        cells = [f"{model}, {size} units", f"{parameters:,}", f"{one:.0f}"]
        cells += [f"{other:.0f} ({other / one:.2f} times)" for other in others]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    RESULT.write_text(
        f"| network | parameters | {' | '.join(f'{way}, sequences/s' for way in WAYS)} |\n"
        "| --- | --- | --- | --- | --- |\n"
        + "\n".join(lines)
        + f"\n\n`{TASK}`, {shape[0]} sequences of {shape[1]} samples, batches of {BATCH}, medians over {TURNS} turns "
        f"of {EPOCHS - 1} epochs; {platform.machine()} with {os.cpu_count()} cores.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
