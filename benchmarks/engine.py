"""What the engine costs: per run, with more workers, and with a hundred thousand runs.

    python benchmarks/engine.py                # everything, some 15 minutes; writes docs/results/engine/README.md
    python benchmarks/engine.py --runs 2000    # a smaller rehearsal, printed alone

Runs are rehearsed by the fake worker of the tests: their results are made up, and written, leased and read as real
ones are. Scaling is also measured with real fits.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import polars as pl

from liquidbench import report, results, statistics, study_file
from liquidbench.engine import InProcess, Pool, execute, plan
from liquidbench.engine.leases import Leases
from liquidbench.models import MODELS
from liquidbench.study import Study

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "bench" / "engine"))
from rehearsal import Rehearsal  # noqa: E402  # found only now

RESULT = ROOT / "docs" / "results" / "engine" / "README.md"
SEEDS = 60


def small(seeds: int, **changes) -> Study:
    content = {"name": "small", "tasks": ["occupancy-excerpt"], "models": ["GRU", "RNN"], "seeds": seeds}
    return Study.parse(content | changes)


def each(action, values) -> float:
    """Median milliseconds of an action."""
    taken = []
    for value in values:
        started = time.perf_counter()
        action(value)
        taken.append(time.perf_counter() - started)
    return 1000 * median(taken)


def parts(folder: Path) -> dict[str, float]:
    """Milliseconds of what is done for every run, each by itself."""
    made = plan(small(250), folder)
    worker = Rehearsal("small", made.tasks)
    runs = made.pending[:400]
    rows = {run: worker.rows(run) for run in runs}
    packed = {run: results.pack(rows[run]) for run in runs}
    found = {f"check {len(rows[runs[0]])} rows, make them Parquet (worker)": each(results.pack, rows.values())}
    with Leases(folder) as leases:
        writer = results.Writer(folder, leases.name)
        found["take the lease"] = each(lambda run: leases.acquire(made.id(run)), runs)
        found["write, fsync, rename (driver)"] = each(lambda run: writer.add(made.id(run), packed[run]), runs)
        found["tell the others"] = each(lambda run: leases.mark_ended(made.id(run)), runs)
        started = time.perf_counter()
        writer.consolidate()
        found["put into a large file, remove the small one"] = 1000 * (time.perf_counter() - started) / len(runs)
        started = time.perf_counter()
        leases.clean_up()
        found["remove the leases"] = 1000 * (time.perf_counter() - started) / len(runs)
    return found


def overhead(folder: Path) -> dict[str, float]:
    """Milliseconds a run of no length, all included, but for the workers' start."""
    found = {}
    made = plan(small(500), folder)
    worker = Rehearsal("small", made.tasks)
    for name, executor in (("in process", InProcess()), ("pool, 1 worker", Pool(1)), ("pool, 2 workers", Pool(2))):
        shutil.rmtree(folder / "runs", ignore_errors=True)
        began: list[float] = []
        execute(made, executor, lambda event, began=began: began.append(time.perf_counter()), worker=worker)
        found[name] = 1000 * (time.perf_counter() - began[0]) / len(made.pending)
    return found


def scaling(folder: Path) -> list[tuple[str, int, float, float]]:
    """Seconds with 1 and with 2 workers, from the first run to the last; the second number is runs an hour."""
    found = []
    studies = {
        "asleep for 0.1 s": (small(150), 0.1),
        "of no length": (small(500), 0.0),
        "real fits, 2 epochs": (small(20, parameters=1000, training={"epochs": 2}, search={"trials": 1}), None),
    }
    for name, (study, seconds) in studies.items():
        for processes in (1, 2):
            shutil.rmtree(folder, ignore_errors=True)
            made = plan(study, folder)
            fits = tuple(run for run in made.pending if run.kind == "fit")
            made = replace(made, pending=fits)
            worker = None if seconds is None else Rehearsal(study.name, made.tasks, seconds)
            events: list[tuple[str, float]] = []
            execute(
                made,
                Pool(processes),
                lambda event, events=events: events.append((event.kind, time.perf_counter())),
                worker=worker,
            )
            # Workers load torch before their first run, so the clock begins when each has ended one.
            ends = [at for kind, at in events if kind == "finished"][processes - 1 :]
            taken = ends[-1] - ends[0]
            found.append((name, processes, taken, 3600 * (len(ends) - 1) / taken))
    return found


def large(folder: Path, runs: int) -> Path:
    """A study of so many runs, on tables that are made up; the folder of its results."""
    tables = folder / "tables"
    tables.mkdir(parents=True)
    lines = ["time,machine,pressure,flow,state"]
    for machine in range(9):
        for step in range(30):
            pressure = (7 * step + 3 * machine) % 11 - 5
            lines.append(f"{step},m{machine},{pressure},{(step * step) % 7},{'high' if pressure > 0 else 'low'}")
    content = "\n".join(lines)
    tasks = []
    columns = {"target": "state", "time": "time", "group": "machine", "kind": "classification", "per": "step"}
    for number in range(-(-runs // (len(MODELS) * SEEDS))):
        path = tables / f"table-{number:03d}.csv"
        path.write_text(content)
        tasks.append({"table": str(path), **columns})
    study = Study.parse({"name": "large", "tasks": tasks, "models": list(MODELS), "seeds": SEEDS})
    directory = folder / "large"
    directory.mkdir()
    study_file.write(study, directory)
    return directory


def stage(name: str, directory: Path) -> None:
    """One part of the large study in a process of its own, so that its memory can be told; prints JSON lines."""
    started = time.perf_counter()

    def say(**told) -> None:
        # That of getrusage begins with what the parent had.
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1000
        print(json.dumps({"seconds": time.perf_counter() - started, "megabytes": peak, **told}), flush=True)

    study = Study.load(directory / "study.yaml")
    if name == "report":
        frame, facts = results.read(directory, schema=results.COMPACT), results.read_tasks(directory)
        compared = statistics.compare(frame, facts, study.smallest_difference, study.matching)
        report.write(study, frame, facts, compared, directory / "report.html")
        say(html=(directory / "report.html").stat().st_size / 1e6)
        return
    made = plan(study, directory)
    say(runs=len(made.ids), pending=len(made.pending))
    if name == "execute":
        ended = 0

        def count(event) -> None:
            nonlocal ended
            if event.kind == "finished":
                ended += 1
                if ended == 1 or ended % 1000 == 0:
                    say(ended=ended)

        execute(made, Pool(2), count, worker=Rehearsal(study.name, made.tasks))
        say(ended=ended)


def staged(name: str, directory: Path, until: int | None = None) -> list[dict]:
    """What a stage told; it is killed with SIGKILL when so many runs have ended."""
    told = []
    command = [sys.executable, __file__, "--stage", name, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(json.loads(line))
            print(f"  {name}: {line.strip()}", flush=True)
            if until is not None and told[-1].get("ended", 0) >= until:
                process.send_signal(signal.SIGKILL)
                break
    return told


def rehearsed(folder: Path, runs: int) -> list[tuple[str, str, str]]:
    directory = large(folder, runs)
    (planned,) = staged("plan", directory)
    total = planned["runs"]
    first = staged("execute", directory, until=total // 2)
    there = len(results.done(directory))
    second = staged("execute", directory)
    (again,) = staged("plan", directory)
    (report,) = staged("report", directory)
    assert again["pending"] == 0
    assert len(results.done(directory)) == total
    files = list((directory / "runs").iterdir())
    started = time.perf_counter()
    frame = pl.read_parquet(directory / "runs")
    read = time.perf_counter() - started
    assert frame["run"].n_unique() == total and frame.equals(results.read(directory))

    def row(what: str, told: dict, seconds: float | None = None) -> tuple[str, str, str]:
        return what, f"{told['seconds'] if seconds is None else seconds:,.1f}", f"{told['megabytes']:,.0f}"

    (half,) = [told for told in first if told.get("ended") == 1]
    (resumed,) = [told for told in second if told.get("ended") == 1]
    spent = first[-1]["seconds"] - half["seconds"] + second[-1]["seconds"] - resumed["seconds"]
    size = sum(path.stat().st_size for path in files) / 1e6
    return [
        row(
            f"plan {total:,} runs, {len(MODELS)} models on {len(list((folder / 'tables').iterdir()))} new tables",
            planned,
        ),
        row("do them, 2 workers, killed with SIGKILL at one half and resumed", second[-1], spent),
        row(f"from the command to its first run, with {there:,} runs there", resumed),
        row("find that nothing is left", again),
        row(f"judge and report ({report['html']:.0f} MB of HTML)", report),
        (f"`polars.read_parquet`: {frame.height:,} rows from {len(files)} files of {size:.1f} MB", f"{read:.1f}", ""),
    ]


def table(head: str, rows) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + " --- |" * columns]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])


def page(runs: int) -> str:
    with tempfile.TemporaryDirectory(prefix="liquidbench-") as folder:
        each_part, all_included = parts(Path(folder) / "parts"), overhead(Path(folder) / "overhead")
        print(each_part, all_included, sep="\n", flush=True)
        scaled = scaling(Path(folder) / "scaling")
        print(scaled, flush=True)
        rehearsal = rehearsed(Path(folder), runs)
    processor = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as lines:
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    system = f"{os.cpu_count()} cores that others use too, {platform.system()}, Python {platform.python_version()}"
    return f"""# The engine

Made by `python benchmarks/engine.py` on {processor}, {system}, polars {pl.__version__}.
Runs are rehearsed unless it says otherwise: their results are made up, and written, leased and read as real ones are.

## What a run costs beyond its training

{table("part | ms", [(name, f"{value:.2f}") for name, value in each_part.items()])}

All included, and with what a rehearsed run takes to make up its results:

{table("executor | ms a run", [(name, f"{value:.1f}") for name, value in all_included.items()])}

## More workers

From the end of each worker's first run, so that loading torch is left out.

{table("runs | workers | seconds | runs an hour", [(n, p, f"{s:.1f}", f"{h:,.0f}") for n, p, s, h in scaled])}

## A hundred thousand runs

Each line is a process of its own, and the memory is its peak; that of the line of 2 workers is the driver's.

{table("what | seconds | MB", rehearsal)}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "DIRECTORY"), help="for its own use")
    options = parser.parse_args()
    if options.stage:
        stage(options.stage[0], Path(options.stage[1]))
        return
    text = page(options.runs)
    if options.runs == 100_000:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
