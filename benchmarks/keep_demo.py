"""Keeps what `make demo` found: report, results in one table, and a page of them for the documentation.

    make demo && python benchmarks/keep_demo.py       # writes docs/results/demo and docs/images/report.png

The picture needs Chromium on the path.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from liquidbench import results
from liquidbench.statistics import Standing, compare
from liquidbench.study import Study

ROOT = Path(__file__).parents[1]
FOUND, KEPT = ROOT / "results/demo", ROOT / "docs/results/demo"


def cell(standing: Standing) -> str:
    if standing.mean is None:
        return "failed"
    low, high = standing.interval or (float("nan"), float("nan"))
    return f"{standing.mean:.3f} [{low:.3f}, {high:.3f}]"


def page(study: Study) -> str:
    frame = results.compared(results.read(FOUND), study.matching[0])
    tasks = json.loads((FOUND / "tasks.json").read_text())
    found = compare(frame, tasks, study.smallest_difference)
    scores = {(s.task, s.model, s.variant): cell(s) for s in found.leaderboard}
    costs = {
        (task, model, metric): value
        for task, model, metric, value in frame.filter(kind="cost", variant="matched")
        .select("task", "model", "metric", "value")
        .iter_rows()
    }
    machine = frame["machine"][0]
    head = " | ".join(f"{tasks[t]['title']}, {tasks[t]['metric_label'].lower()}" for t in tasks)
    rows = [
        f"| {entry.model} | {entry.rank:.1f} | " + " | ".join(scores[t, entry.model, "matched"] for t in tasks) + " |"
        for entry in found.overall
    ]
    rows += [
        f"| {model}, published size and rate | | " + " | ".join(scores[t, model, "author"] for t in tasks) + " |"
        for model in study.models
        if ("author" in {v for _, m, v in scores if m == model})
    ]
    spent = [
        f"| {model} | "
        + " | ".join(
            f"{costs[t, model, 'parameters']:,.0f}, {costs[t, model, 'training_memory_bytes'] / 1e6:.1f} MB, "
            f"{1000 * costs[t, model, 'seconds_per_epoch']:.0f} ms"
            for t in tasks
        )
        + " |"
        for model in study.models
    ]
    note = "At published sizes and rates epochs, batches and splits are this study's: no reproduction of a paper."
    lines = [
        "# What the demo found",
        "",
        f"Made by `make demo && python benchmarks/keep_demo.py` on {machine}, torch {frame['torch'][0]}, one thread a "
        "run. The [report](report.html) itself, and all [results](results.parquet) in one table.",
        "",
        f"**{found.verdict.headline}**",
        "",
        *(f"- {judgement.sentence}" for judgement in found.verdict.judgements),
        *(f"- {warning}" for warning in found.verdict.warnings),
        "",
        f"Mean test scores of {len(study.seeds)} seeds at {study.parameters:,} parameters, with 95 % intervals.",
        "",
        f"| model | mean rank | {head} |",
        "|---|---|" + "---|" * len(tasks),
        *rows,
        "",
        *([note, ""] if study.author_defaults else []),
        "Trained parameters, peak memory of a training step, time of an epoch:",
        "",
        "| model | " + " | ".join(tasks[t]["title"] for t in tasks) + " |",
        "|---|" + "---|" * len(tasks),
        *spent,
    ]
    return "\n".join(lines) + "\n"


def photograph(report: Path, picture: Path) -> None:
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        window = [
            f"--user-data-dir={profile}",
            "--window-size=1280,1560",
            "--hide-scrollbars",
            f"--screenshot={picture}",
        ]
        subprocess.run(["chromium", *options, *window, report.as_uri()], check=True, capture_output=True)


def main() -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOUND / "report.html", KEPT / "report.html")
    results.read(FOUND).write_parquet(KEPT / "results.parquet")
    (KEPT / "README.md").write_text(page(Study.load(FOUND / "study.yaml")))
    photograph(KEPT / "report.html", ROOT / "docs/images/report.png")
    print(f"kept in {KEPT}")


if __name__ == "__main__":
    main()
