"""Where the time of a study's training goes: the network, the optimiser, and data, metrics and logging.

    python benchmarks/training_loop.py    # writes docs/results/speed/training_loop.md

Fits of the demo's study are profiled, one thread each, scoring on test and under corruptions included.
"""

import cProfile
import platform
import pstats
from pathlib import Path

import torch

import liquidbench.training
from liquidbench import tasks
from liquidbench.study import Study

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "docs" / "results" / "speed" / "training_loop.md"


def shares(run, task) -> tuple[float, float, float, float]:
    """Seconds of a fit, and the shares of the network, of the optimiser, and of data, metrics and logging."""
    for split in ("train", "validation", "test"):
        task.split(split)
    liquidbench.training.fit.fit(run, task)
    profile = cProfile.Profile()
    profile.enable()
    liquidbench.training.fit.fit(run, task)
    profile.disable()
    times = pstats.Stats(profile).stats  # pyright: ignore[reportAttributeAccessIssue]

    def spent(file: str, *names: str) -> float:
        return sum(t[3] for (path, _, name), t in times.items() if path.endswith(file) and name in names)

    whole = spent("fit.py", "fit")
    network = spent("networks.py", "forward") + spent("_tensor.py", "backward")
    optimiser = (
        spent("adam.py", "step")
        + spent("adamw.py", "step")
        + spent("rmsprop.py", "step")
        + spent("clip_grad.py", "clip_grad_norm_")
    )
    return whole, network / whole, optimiser / whole, 1 - (network + optimiser) / whole


def main() -> None:
    torch.set_num_threads(1)
    study = Study.load(ROOT / "studies" / "demo.yaml")
    runs = [run for run in study.runs() if run.kind == "fit" and run.seed == study.seeds[0]]
    lines = []
    for run in runs:
        if run.model not in ("LTC", "LSTM"):
            continue
        whole, *parts = shares(run, tasks.load(run.task))
        cells = [f"{run.model} on {run.task_name}", f"{whole:.1f}", *(f"{part:.0%}" for part in parts)]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1])
    RESULT.write_text(
        f"""# The training loop

Made by `python benchmarks/training_loop.py` on {platform.machine()}, torch {torch.__version__}, one thread, under a
profiler, which makes what is written in Python look dearer than it is.

| fit | seconds | network, forward and backward | optimiser, clipping | data, metrics, logging |
| --- | --- | --- | --- | --- |
"""
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
