"""`run`, `resume` and `rescore`: the runs of a study."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liquidbench.commands.arguments import Command, add_data, add_directory, add_results, add_running, cores, positive
from liquidbench.commands.networks import keep_best
from liquidbench.commands.refusing import check_temporary, checking_folder, refusing, refusing_write_errors
from liquidbench.commands.reports import write_report
from liquidbench.folder import StudyFolder
from liquidbench.system import resources
from liquidbench.system.names import shown
from liquidbench.waiting import Steps
from liquidbench.wording import counted

if TYPE_CHECKING:
    from liquidbench.engine import Executor, Plan
    from liquidbench.engine.leases import Leases
    from liquidbench.facts import Facts
    from liquidbench.study import Robustness, Run, Study
    from liquidbench.tasks.task import Task


def add(command: Command) -> None:
    """Declare the commands."""
    added = command("run", run_study, "Run a study: all its fits, measurements of cost, and a report.")
    added.add_argument("study", metavar="STUDY.yaml", help="the study")
    add_data(added)
    add_results(added)
    add_running(added)
    added.add_argument(
        "--minutes",
        type=positive(float),
        metavar="M",
        help="start no more fits after this time; `resume` continues",
    )

    added = command("resume", resume_study, "Continue an interrupted study: do the runs that are missing.")
    add_directory(added)
    add_data(added)
    add_running(added)
    added.add_argument("--minutes", type=positive(float), metavar="M", help="as for `run`")

    added = command(
        "rescore",
        rescore_study,
        "Compute scores again from stored predictions and networks, and report; trains nothing.",
    )
    add_directory(added)
    added.add_argument(
        "--metrics", nargs="+", metavar="NAME", default=[], help="metrics to compute in addition to those of each task"
    )
    added.add_argument(
        "--shifts",
        nargs="+",
        metavar="NAME[=LEVEL,...]",
        default=[],
        help="shifts of the test data to try the trained networks on as well, such as noise=0.5,1 or bias for its "
        "default levels; `all` for every shift. This needs the data and torch",
    )
    add_data(added)


def run_study(options: argparse.Namespace) -> int:
    """Do the missing runs of a study file, and report."""
    from liquidbench.study import Study

    with refusing():
        study = Study.load(options.study)
        directory = Path(options.results) / study.name
        with checking_folder(directory, options):
            check_stored_study(study, directory, options.update)
    return execute(study, directory, options)


def resume_study(options: argparse.Namespace) -> int:
    """Do the missing runs of a folder of results, and report."""
    from liquidbench import study_file

    directory = Path(options.directory)
    with refusing():
        study = study_file.read(directory)
    return execute(study, directory, options)


def rescore_study(options: argparse.Namespace) -> int:
    """Compute scores again from stored predictions and networks, and report."""
    from liquidbench import rescoring, study_file
    from liquidbench.engine.leases import Leases

    directory = Path(options.directory)
    with refusing():
        if options.data and not options.shifts:
            raise ValueError("--data has no effect without --shifts: other scores are computed from predictions")
        robustness = _levels_of_shifts(options.shifts)
        study = study_file.read(directory)
        facts = study_file.facts(study, directory)
        metrics = _metrics_by_task(options.metrics, facts)
    with (
        refusing((ValueError, *resources.LACKING)),
        refusing_write_errors(directory),
        Leases(directory) as driver,
        Steps() as now,
    ):
        if others := _other_drivers(driver, directory):
            raise ValueError(f"another liquidbench is running in {directory} ({others}); rescore when it has ended")
        found = rescoring.rescore(
            study, facts, directory, driver, metrics=metrics, robustness=robustness, data=options.data, on_step=now
        )
    print(f"Scored again: {counted(found.scored, 'fit')}")
    if options.shifts:
        print(f"Tried on further shifts: {counted(found.shifted, 'network')}")
    if found.without:
        print(
            f"Unchanged: {counted(found.without, 'fit')} without predictions in {StudyFolder(directory).predictions}. "
            "Put the missing files back and rescore again; to train these fits again instead, run the study in another "
            "folder (--results)"
        )
    for task, task_facts in facts.items():
        if unchanged := _not_rescored(task_facts):
            print(f"Unchanged on {shown(task)}: {shown(', '.join(unchanged))}")
    if options.metrics and found.scored:
        at = StudyFolder(directory).runs
        print(f"Also computed: {', '.join(options.metrics)}; they are in {at}, one row per score")
    for (metric, task, reason), runs in found.undefined.items():
        print(f"Undefined: {metric} of {counted(len(runs), 'fit')} on {shown(task)} ({shown(reason)})")
    if found.damaged:
        print(
            f"The predictions of {found.damaged} more were damaged. To repeat these fits: "
            f"liquidbench resume {directory}"
        )
    return write_report(study, directory)


def execute(
    study: "Study",
    directory: Path,
    options: argparse.Namespace,
    loaded: "Mapping[str, Task] | None" = None,
    asked: str = "",
) -> int:
    """Do the missing runs of a study, then report on all runs.

    Args:
        study: the study.
        directory: its folder.
        options: options of the command line.
        loaded: tasks that are already loaded, by name.
        asked: a comment line for the study's file that says what the study was made for.
    """
    with refusing(), Steps(options.plain) as now:
        now("starting")
        from liquidbench import console, engine, results, study_file
        from liquidbench.study import task_name

        check_temporary()
        executor, processes = _executor(options)
        # Ray workers may be on machines with other devices.
        if study.device != "cpu" and not options.ray:
            from liquidbench.training.learning import device_of

            device_of(study.device)
        with checking_folder(directory, options):
            plan = engine.plan(study, directory, options.data, options.retry_failed, loaded, now)
            # Written after planning: a study that cannot be run must not leave a folder that blocks the corrected one.
            study_file.write(study, directory, asked)
        now("reading known scores")
        scores = _known_scores(plan)
    _tell_unavailable(plan)
    if not plan.pending:
        failed = sum(status == "failed" for status in plan.status.values())
        again = f", {failed} of them failed (--retry-failed repeats those)" if failed else ""
        here = " that can be done here" if plan.unavailable else ""
        print(f"All {len(plan.status)} runs of study {study.name!r}{here} are finished{again}; nothing is left to run.")
        return write_report(study, directory) or int(bool(plan.unavailable))

    possible = replace(study, tasks=tuple(task for task in study.tasks if task_name(task) in plan.tasks))
    metrics = {task: facts.metric for task, facts in plan.tasks.items()}
    with console.progress(possible, metrics, processes, plain=options.plain) as progress:
        for run in plan.status.keys() - set(plan.pending):
            progress.known(run, "failed" if plan.status[run] == "failed" else "done", scores.get(run))

        def tell(event: engine.Event) -> None:
            run = event.run
            if event.kind == "started":
                progress.started(run)
            elif event.kind == "lost":
                progress.lost(run, event.reason or "no reason is known")
            elif event.kind == "doing":
                progress.doing(run, event.reason or "")
            elif event.kind == "held":
                progress.held(event.reason or "")
            elif event.kind == "elsewhere":
                progress.known(run, "done")
            elif event.kind == "finished":
                progress.finished(run, event.score)
            elif event.kind == "failed":
                progress.failed(run, event.reason or "no reason is known")
            elif event.stage is not None:
                at = event.stage
                progress.stage(run, console.Stage(at.trial, at.trials, at.step, at.steps, at.validation_loss))

        with refusing((ValueError, RuntimeError)), refusing_write_errors(directory):
            outcome = engine.execute(plan, executor, tell, options.minutes)
        if not outcome.interrupted:
            for run in outcome.left_out:
                progress.left_out(run)
    if outcome.interrupted:
        # Counted on disk: a run may have finished after its last message.
        ended = len(results.done(directory).keys() & set(plan.ids.values()))
        print(
            f"Stopped; {ended} of {len(plan.ids)} runs are finished and stored. "
            f"To continue: liquidbench resume {directory}"
        )
        return 128 + outcome.interrupted
    code = write_report(study, directory)
    keep_best(directory)
    if outcome.elsewhere:
        print(f"Another liquidbench did {counted(len(outcome.elsewhere), 'run')} of these in the meantime.")
    if outcome.left_out:
        print(
            f"The {options.minutes:g} minutes are over, {counted(len(outcome.left_out), 'run')} left out. "
            f"To continue: liquidbench resume {directory}"
        )
    _tell_unavailable(plan)
    return code or int(bool(plan.unavailable))


def _tell_unavailable(plan: "Plan") -> None:
    """Name the tasks that are left out because they cannot be built here, each with the reason."""
    for task, reason in plan.unavailable.items():
        print(
            f"liquidbench: task {shown(task)} cannot be built here, so its runs are left out: {shown(reason)}. "
            f"To do them when that is mended: liquidbench resume {plan.directory}",
            file=sys.stderr,
            flush=True,
        )


def _executor(options: argparse.Namespace) -> "tuple[Executor, int]":
    """The executor that the options ask for, and its number of parallel runs."""
    from liquidbench import engine

    if options.in_process:
        if options.processes or options.ray:
            raise ValueError("--in-process uses this process only; leave out --processes and --ray")
        return engine.InProcess(options.threads), 1
    if options.ray:
        from liquidbench.engine.cluster import Cluster

        return Cluster(options.ray, options.processes, options.threads), options.processes or cores()
    processes = options.processes or max(cores() // options.threads, 1)
    return engine.Pool(processes, options.threads), processes


def _known_scores(plan: "Plan") -> dict["Run", float]:
    """The main score on the unchanged test split, for the runs that have one."""
    from liquidbench import results

    runs = {plan.id(run): run for run in plan.status}
    metrics = {task: facts.metric for task, facts in plan.tasks.items()}
    found = results.main_scores(results.read(plan.directory, runs, results.without_curves(())), metrics)
    return {runs[run]: score for run, score in found.select("run", "value").iter_rows()}


def check_stored_study(study: "Study", directory: Path, update: bool) -> None:
    """Refuse a folder with results of another version of the study, unless ``update`` is given and it is not in use."""
    from liquidbench import study_file

    if not update:
        study_file.check(study, directory)
    elif StudyFolder(directory).study.is_file():
        _check_no_other_driver(study, directory)


def _check_no_other_driver(study: "Study", directory: Path) -> None:
    """Refuse to change a study while another liquidbench is running it: its report would not match the study's file."""
    from liquidbench import study_file
    from liquidbench.engine.leases import Leases

    def differs() -> bool:
        # A damaged file does not show what others are running; `--update` replaces it.
        with suppress(ValueError):
            return study_file.read(directory) != study
        return False

    if not differs():
        return
    with Leases(directory) as driver:
        others = _other_drivers(driver, directory)
        # Check again: another liquidbench may have made the same change in the meantime.
        if others and differs():
            raise ValueError(
                f"another liquidbench is running another version of study {study.name!r} in {directory} ({others}). "
                "Use --update when it has ended, or stop it (Ctrl-C)"
            )


def _other_drivers(driver: "Leases", directory: Path) -> str:
    """Description of the other drivers that use a folder of results; "" if there are none."""
    with Steps(plain=True) as now:
        now(f"checking whether another liquidbench is still running in {directory}")
        confirmed = driver.confirmed_others()
    return ", ".join(driver.describe_others()) if confirmed else ""


def _levels_of_shifts(asked: Sequence[str]) -> "Robustness":
    """The shifts of ``--shifts`` with their levels."""
    from liquidbench.shifts import SHIFTS, WORLDS
    from liquidbench.study import Robustness

    levels: dict[str, Any] = {}
    for entry in asked:
        name, equals, values = entry.partition("=")
        try:
            given = [float(value) for value in values.split(",")] if equals else True
        except ValueError:
            raise ValueError(f"levels of --shifts must be numbers, such as noise=0.5,1; got {entry!r}") from None
        for one in (*SHIFTS, *WORLDS) if entry == "all" else (name,):
            if one in levels:
                raise ValueError(f"--shifts must name each shift once; {one!r} is there twice")
            levels[one] = given
    try:
        return Robustness.parse(levels)
    except ValueError as error:
        raise ValueError(str(error).replace("robustness", "--shifts", 1)) from error


def _not_rescored(facts: "Facts") -> list[str]:
    """Scores that cannot be computed from predictions, each with the reason."""
    from liquidbench.metrics import METRICS

    own = [f"{name} (a metric of the task's own code)" for name in facts.metrics if name not in METRICS]
    return own + [f"{one.name} (measured in a closed loop, which needs the network)" for one in facts.measurements]


def _metrics_by_task(metrics: Sequence[str], facts: "Mapping[str, Facts]") -> dict[str, list[str]]:
    """The requested metrics that apply to each task; a metric that applies to no task is refused."""
    from liquidbench.metrics import METRICS

    kinds = {task.kind for task in facts.values()}
    known = [name for name, metric in METRICS.items() if metric.kind in kinds]
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"--metrics must be among {', '.join(known)}; got {name!r}")
        kind = METRICS[name].kind
        if kind not in kinds:
            raise ValueError(
                f"--metrics must be among {', '.join(known)}, as all tasks of this study are "
                f"{' and '.join(sorted(kinds))}; {name} scores {kind}. Nothing was scored"
            )
        if others := [task for task, known in facts.items() if known.kind != kind]:
            print(f"{name} scores {kind} and is left out for {shown(', '.join(others))}", file=sys.stderr)
    return {task: [name for name in metrics if METRICS[name].kind == known.kind] for task, known in facts.items()}
