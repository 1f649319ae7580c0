"""Keeps what a study found: report, results in one table, a page for the documentation, the best networks.

What is kept is a study's folder, so that ``liquidbench report docs/results/demo`` makes its report again. In ``models``
is the best network of each task by validation, for `liquidbench.load`.

    make demo && python benchmarks/keep.py demo       # writes docs/results/demo and docs/images/report.png
    liquidbench run studies/small.yaml && python benchmarks/keep.py small

A study in progress goes on from what is kept: ``cp -r docs/results/flight results/``, then
``liquidbench resume results/flight``.

The picture, of the demo's report alone, needs Chromium on the path.
"""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import fmean

import polars as pl

from liquidbench import kept, predictions, results, study_file
from liquidbench.conditions import parted
from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder
from liquidbench.report import tables
from liquidbench.report.tables import Table
from liquidbench.report.task_summary import TaskSummary, marks
from liquidbench.shifts import recorded
from liquidbench.statistics import Comparison, Standing, compare, floors
from liquidbench.study import Study
from liquidbench.wording import counted

ROOT = Path(__file__).parents[1]
COMMANDS = {"demo": "make demo", "flight-demo": "make flight", "dynamics-demo": "make flight"} | {
    study: f"liquidbench run studies/{study}.yaml"
    for study in ("small", "medium", "time", "icu", "icu-raindrop", "controls", "flight", "dynamics")
}


def cell(standing: Standing) -> str:
    if standing.mean is None:
        return "failed"
    if standing.interval is None:
        return f"{standing.mean:.3f}"
    low, high = standing.interval
    return f"{standing.mean:.3f} [{low:.3f}, {high:.3f}]"


def learnt(study: Study, frame: pl.DataFrame, tasks: Mapping[str, Facts], found: Comparison) -> list[str]:
    """A table of each task's budget, how its trainings ended, the best floor and the best network."""
    ended = results.trainings(frame).filter(pl.col("best").is_not_null(), pl.col("variant") == "matched")
    lines = [
        "| task | steps, at most | best after, median | still improving | best floor | best network |",
        "|---|---|---|---|---|---|",
    ]
    for name, facts in tasks.items():
        chosen = ended.filter(pl.col("task") == name)
        known = floors(frame, name, facts)
        floor = (max if facts.higher_is_better else min)(known, key=known.__getitem__)
        best = next(line for line in found.leaderboard if line.task == name and line.variant == "matched")
        budget = study.training.on(name).steps
        lines.append(
            f"| {facts.title} | {budget:,} | {chosen['best'].median():,.0f} | {int(chosen['improving'].sum())} of "
            f"{len(chosen)} | {floor}, {known[floor]:.3f} | {best.model}, {cell(best)} |"
        )
    return lines


def written(table: Table) -> list[str]:
    """A table's caption and lines."""
    return [
        table.caption,
        "",
        "| " + " | ".join(name for name, _ in table.columns) + " |",
        "|" + "---|" * len(table.columns),
        *("| " + " | ".join(map(str, row)) + " |" for row in table.rows),
    ]


def shifted(found: Comparison) -> list[str]:
    """A table of what each shift costs the families, or nothing."""
    if len(found.family_losses) < 2:
        return []
    made = tables.family_losses(found)
    models = [entry.model for entry in found.overall]
    losses = {
        (one.shift, model): [
            100 * of.area.relative
            for effect in found.shifts
            if effect.shift == one.shift
            for of in effect.models
            if of.model == model and of.area.relative is not None
        ]
        for one in found.family_losses
        for model in models
    }
    by_model = [
        f"| {recorded(one.shift).title} | "
        + " | ".join(f"{fmean(lost):.1f}" if (lost := losses[one.shift, model]) else "" for model in models)
        + " |"
        for one in found.family_losses
    ]
    caption, *lines = written(made)
    return [
        "",
        f"{caption} Tried with `liquidbench rescore results/STUDY --shifts all` where the study itself has fewer.",
        *lines,
        "",
        "The same by model, means over the tasks on which it has a lead:",
        "",
        f"| Shift | {' | '.join(models)} |",
        "|---|" + "---|" * len(models),
        *by_model,
    ]


def in_worlds(study: Study, frame: pl.DataFrame, tasks: Mapping[str, Facts], found: Comparison) -> list[str]:
    """For each task with worlds, the table of scores in each."""
    models = marks(study.model_names, study.families)
    summaries = [TaskSummary(name, facts, frame, models, found) for name, facts in tasks.items() if facts.worlds]
    return [line for one in summaries for line in ("", *written(tables.worlds(one, one.name)))]


def of_time(found: Comparison) -> list[str]:
    """What is lost without elapsed time: the mean of each family, on each task and in each way of withholding it."""
    if not found.elapsed:
        return []
    return [
        "",
        "Whether elapsed time is used:",
        "",
        *(f"- {one.sentence}" for one in found.elapsed),
        "",
        "| task | what is withheld | mean of networks | with the time | without | loss, 95 % interval | verdict |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {one.title} | {use.contrast.title} | {use.who} | {use.pair.means[0]:.3f} | {use.pair.means[1]:.3f} | "
            f"{use.drop:+.3f}{f' [{use.interval[0]:+.3f}, {use.interval[1]:+.3f}]' if use.interval else ''} | "
            f"{use.verdict} |"
            for one in found.elapsed
            for use in one.families
            if use.drop is not None and use.pair.means is not None
        ),
    ]


def page(study: Study, frame: pl.DataFrame, tasks: Mapping[str, Facts], found_in: Path) -> str:
    frame = results.compared(frame, study.matching[0])
    without = partial(predictions.scores_without, found_in)
    found = compare(frame, tasks, study.smallest_difference, without=without, rates=study.search.learning_rates)
    # A task under a condition has no verdict of its own.
    tasks = {name: facts for name, facts in tasks.items() if not parted(name)[1]}
    scores = {(s.task, s.model, s.variant): cell(s) for s in found.leaderboard}
    costs = {
        (task, model, metric): value
        for task, model, metric, value in frame.filter(kind="cost", variant="matched")
        .select("task", "model", "metric", "value")
        .iter_rows()
    }
    machine = frame["machine"][0]
    head = " | ".join(f"{tasks[t].title}, {tasks[t].metric_label.lower()}" for t in tasks)
    rows = [
        f"| {entry.model} | {'' if entry.rank is None else f'{entry.rank:.1f}'} | "
        + " | ".join(scores.get((t, entry.model, "matched"), "") for t in tasks)
        + " |"
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
            if (t, model, "seconds_per_epoch") in costs
            else "not measured"
            for t in tasks
        )
        + " |"
        for model in study.models
    ]
    done = frame.filter(kind="fit")["run"].n_unique()
    wanted = sum(run.kind == "fit" for run in study.runs())
    part = f" **In progress: {done:,} of {wanted:,} fits are done.**" if done < wanted else ""
    note = "At published sizes and rates epochs, batches and splits are this study's: no reproduction of a paper."
    lines = [
        f"# What the study {study.name} found",
        "",
        f"Made by `{COMMANDS[study.name]} && python benchmarks/keep.py {study.name}` on {machine}, torch "
        f"{frame['torch'][0]}, one thread a run. The [report](report.html) itself, and all [results](results.parquet) "
        f"in one table.{part}",
        "",
        f"**{found.verdict.headline}**",
        "",
        *(f"- {judgement.sentence}" for judgement in found.verdict.judgements),
        *(f"- {warning}" for warning in found.verdict.warnings),
        "",
        f"Mean test scores of {'up to ' if part else ''}{counted(len(study.seeds), 'seed')} at {study.parameters:,} "
        "parameters, with 95 % intervals.",
        "",
        f"| model | mean rank | {head} |",
        "|---|---|" + "---|" * len(tasks),
        *rows,
        "",
        *([note, ""] if study.author_defaults else []),
        "The budget of each training in steps, how the chosen ones ended, and the best score without a network:",
        "",
        *learnt(study, frame, tasks, found),
        *in_worlds(study, frame, tasks, found),
        *shifted(found),
        *of_time(found),
        "",
        "Trained parameters, peak memory of a training step, time of an epoch:",
        "",
        "| model | " + " | ".join(tasks[t].title for t in tasks) + " |",
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=COMMANDS)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where studies have their folders")
    options = parser.parse_args()
    found, to = StudyFolder(options.results / options.study), StudyFolder(ROOT / "docs/results" / options.study)
    to.root.mkdir(parents=True, exist_ok=True)
    study = study_file.read(found.root)
    tasks = study_file.facts(study, found.root)
    # The folder may also hold runs of an earlier version of the study.
    frame = results.read(found.root, study_file.run_ids(study, tasks))
    # Of a study in progress.
    tasks = {name: facts for name, facts in tasks.items() if name in set(frame["task"])}
    study_file.write(study, to.root)
    results.write_tasks(to.root, tasks)
    shutil.copy(found.report, to.report)
    to.table.write_bytes(results.sealed(frame))
    (to.root / "README.md").write_text(page(study, frame, tasks, found.root))
    found_conditions = any(parted(name)[1] for name in tasks)
    # Fits that are missing have to read images through the same encoder.
    shutil.rmtree(to.encoders, ignore_errors=True)
    if study_file.run_ids(study, tasks) - set(frame["run"]) and found.encoders.is_dir():
        shutil.copytree(found.encoders, to.encoders, ignore=shutil.ignore_patterns("*.lock"))
    # Another network may be the best now.
    shutil.rmtree(to.models, ignore_errors=True)
    for name, facts in tasks.items():
        # Networks of a study of elapsed time are there to be compared with others, not to be used.
        if found_conditions:
            break
        winner, run = kept.best_run(frame.filter(task=name), facts.measure.name, facts.higher_is_better)
        # A study that goes on from what was kept has no predictions of the fits before, but their best network.
        before = found.kept(name, winner)
        made = kept.of_run(found.root, run) if found.predicted(run).exists() else kept.read(before)
        if made.run != run:
            raise FileNotFoundError(f"{found.root} has no network of run {run}, the best {winner} on {name}")
        kept.write(made, to.kept(name, winner))
    if options.study == "demo":
        photograph(to.report, ROOT / "docs/images/report.png")
    print(f"kept in {to.root}")


if __name__ == "__main__":
    main()
