"""Shows the progress of a study and its result on the console.

On a terminal it is a live dashboard of all runs; elsewhere, and on request, one line per event. Both have the interface
of `Progress` and do not know where the events come from.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import mean
from types import TracebackType
from typing import Literal, Self

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from liquidbench.facts import Facts
from liquidbench.statistics import Comparison, Standing
from liquidbench.study import Run, Study
from liquidbench.system.names import shown
from liquidbench.wording import number, significant

State = Literal["waiting", "running", "done", "failed", "left out"]

_MARKS: Mapping[State, tuple[str, str, str]] = {
    "done": ("●", "#", "green"),
    "running": ("◐", "*", "yellow"),
    "failed": ("✕", "x", "bold red"),
    "left out": ("–", "-", "dim"),
    "waiting": ("·", ".", "dim"),
}

_MOST_RUNNING = 6
_MOST_FAILURES = 3
_SILENCE = (10.0, 60.0)
"""Seconds without output after which `Lines` prints a status: the first time, and the longest, after doubling."""


class Output(Console):
    """Standard output that raises BrokenPipeError when its reader is gone, for `main` to handle."""

    def on_broken_pipe(self) -> None:
        """Called by rich in the handler of the error; raises it again."""
        raise  # noqa: PLE0704


@dataclass(frozen=True)
class Stage:
    """The progress of a fit: ``trial`` (from 0) of ``trials``, ``step`` of at most ``steps``."""

    trial: int
    trials: int
    step: int
    steps: int
    validation_loss: float

    @property
    def fraction(self) -> float:
        """Share of the largest possible number of steps."""
        return (self.trial + self.step / self.steps) / self.trials

    @property
    def text(self) -> str:
        """The progress in words."""
        trial = f"trial {self.trial + 1}/{self.trials}, " if self.trials > 1 else ""
        return f"{trial}step {self.step}/{self.steps}, loss {self.validation_loss:.3g}"


class Progress:
    """The state of every run of a study, and an estimate of the remaining time.

    Args:
        study: the study.
        metrics: name of each task's main metric.
        processes: the number of fits that run in parallel.
    """

    def __init__(self, study: Study, metrics: Mapping[str, str], processes: int):
        self.study, self.metrics, self.processes = study, metrics, processes
        self.runs = study.runs()
        self.states: dict[Run, State] = dict.fromkeys(self.runs, "waiting")
        self.stages: dict[Run, Stage] = {}
        self.failures: dict[Run, str] = {}
        # The status of a worker that is not training, and since when.
        self.doings: dict[Run, tuple[str, float]] = {}
        self.waits = ""
        # Updated incrementally: a study may have a hundred thousand runs, and this is drawn four times a second.
        self.cells: dict[tuple[str, str, str, str], Cell] = {}
        for run in self.runs:
            self.cells.setdefault(_cell_of(run), Cell()).runs.append(run)
        for cell in self.cells.values():
            cell.counts["waiting"] = len(cell.runs)
        self._counts: Counter[State] = Counter(self.states.values())
        self._seconds: dict[tuple[str, ...], tuple[float, int]] = {}
        self._begun: dict[Run, float] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def known(self, run: Run, state: State, score: float | None = None) -> None:
        """A run was finished by an earlier call or another driver."""
        self._set(run, state, score)

    def started(self, run: Run) -> None:
        """A worker has started the run."""
        self._set(run, "running")
        self._begun[run] = time.monotonic()

    def stage(self, run: Run, stage: Stage) -> None:
        """A fit has trained some more steps."""
        self.stages[run] = stage
        self.doings.pop(run, None)
        self.waits = ""

    def doing(self, run: Run, what: str) -> None:
        """A worker is not training: it loads data, or waits for another process."""
        self.doings[run] = what, time.monotonic()

    def held(self, who: str) -> None:
        """Other drivers are doing all remaining runs; this one waits for them."""
        self.waits = f"waiting for {who}" if who else ""

    def status(self) -> list[str]:
        """Lines that describe what is happening now, the most important first."""
        lines = [self.waits] if self.waits else []
        now = time.monotonic()
        for run, (what, since) in self.doings.items():
            lines.append(f"{described(run)}: {what}, {duration(now - since)} so far")
        for run, stage in self.stages.items():
            if run not in self.doings:
                lines.append(f"{described(run)}: {stage.text}")
        for cell in self.cells.values():
            for run in cell.running:
                if run not in self.doings and run not in self.stages:
                    what = "measuring" if run.kind == "cost" else "first steps"
                    lines.append(f"{described(run)}: {what}, {duration(now - self._begun[run])} so far")
        if not lines and self._counts["waiting"]:
            lines.append("starting workers")
        return lines

    def lost(self, run: Run, reason: str) -> None:
        """The run's worker was lost; the run is waiting again."""
        self._set(run, "waiting")

    def finished(self, run: Run, score: float | None) -> None:
        """The run's results are stored; ``score`` is its main test score, None for a cost measurement."""
        self._ended(run, "done", score)

    def failed(self, run: Run, reason: str) -> None:
        """The run failed; its results have the reason."""
        self._ended(run, "failed")
        self.failures[run] = reason

    def left_out(self, run: Run) -> None:
        """The time limit of the study was reached before the run started."""
        self._set(run, "left out")

    def counts(self) -> Counter[State]:
        """Number of runs in each state."""
        return self._counts

    def remaining(self) -> float | None:
        """Estimated seconds left, from the durations of similar finished runs; None before any has finished."""
        if not self._seconds:
            return None
        total = 0.0
        for (kind, task, model, _), cell in self.cells.items():
            likes = ((kind, task, model), (kind, model), (kind,), ())
            seconds, count = next(self._seconds[like] for like in likes if like in self._seconds)
            rest = cell.counts["waiting"] * seconds / count
            for run in cell.running:
                rest += max(seconds / count - (time.monotonic() - self._begun[run]), 0.0)
            # Cost measurements run one at a time.
            total += rest / (self.processes if kind == "fit" else 1)
        return total

    def elapsed(self) -> float:
        """Seconds since the study was started or resumed."""
        return time.monotonic() - self._started

    def _ended(self, run: Run, state: State, score: float | None = None) -> None:
        seconds = time.monotonic() - self._begun.get(run, self._started)
        kind, task, model, _ = _cell_of(run)
        for like in ((kind, task, model), (kind, model), (kind,), ()):
            total, count = self._seconds.get(like, (0.0, 0))
            self._seconds[like] = (total + seconds, count + 1)
        self._set(run, state, score)

    def _set(self, run: Run, state: State, score: float | None = None) -> None:
        cell, before = self.cells[_cell_of(run)], self.states[run]
        self.states[run] = state
        for counts in (cell.counts, self._counts):
            counts[before] -= 1
            counts[state] += 1
        cell.running.pop(run, None)
        self.stages.pop(run, None)
        self.doings.pop(run, None)
        self.waits = ""
        if state == "running":
            cell.running[run] = None
        if score is not None:
            cell.scores.append(score)


@dataclass
class Cell:
    """The runs of one kind, task, model and variant: all seeds."""

    runs: list[Run] = field(default_factory=list)
    counts: Counter[State] = field(default_factory=Counter)
    running: dict[Run, None] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)


def _cell_of(run: Run) -> tuple[str, str, str, str]:
    return run.kind, run.task_name, run.model_name, run.variant


class Lines(Progress):
    """One plain line per event, for files, pipes and ``--plain``.

    If there has been no event for a while, it prints a status to standard error.
    """

    def __init__(self, study: Study, metrics: Mapping[str, str], processes: int, console: Console):
        super().__init__(study, metrics, processes)
        self.console = console
        self._over = threading.Event()
        self._printed = threading.Event()

    def __enter__(self) -> Self:
        self._watch = threading.Thread(target=self._print_status, name="liquidbench status", daemon=True)
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._printed.set()
        self._watch.join()

    def held(self, who: str) -> None:
        """See `Progress`."""
        super().held(who)
        if self.waits:
            self._print(self.waits)

    def doing(self, run: Run, what: str) -> None:
        """See `Progress`."""
        super().doing(run, what)
        if what.startswith("waiting"):
            self._print(f"{described(run)}: {what}")

    def _print_status(self) -> None:
        shortest, longest = _SILENCE
        patience = shortest
        while not self._over.is_set():
            if self._printed.wait(patience):
                self._printed.clear()
                patience = shortest
                continue
            patience = min(2 * patience, longest)
            # Another thread may change a dictionary during iteration; the next time it will work.
            try:
                lines = self.status()
            except RuntimeError:
                continue
            more = f"; and {len(lines) - _MOST_RUNNING} more" if len(lines) > _MOST_RUNNING else ""
            left = self.remaining()
            rest = f" (about {duration(left)} left)" if left else ""
            # Not to standard output, which a program may parse.
            with suppress(OSError, ValueError):
                print(shown(f"running{rest}: {'; '.join(lines[:_MOST_RUNNING])}{more}"), file=sys.stderr, flush=True)

    def started(self, run: Run) -> None:
        """See `Progress`."""
        super().started(run)
        self._print(f"started: {described(run)}")

    def finished(self, run: Run, score: float | None) -> None:
        """See `Progress`."""
        seconds = time.monotonic() - self._begun.get(run, self._started)
        super().finished(run, score)
        scored = "" if score is None else f", {self.metrics[run.task_name]} {score:.4g}"
        self._print(f"done: {described(run)}{scored}, {duration(seconds)}")

    def lost(self, run: Run, reason: str) -> None:
        """See `Progress`."""
        super().lost(run, reason)
        self._print(f"lost, to be started again: {described(run)}: {reason}")

    def failed(self, run: Run, reason: str) -> None:
        """See `Progress`."""
        super().failed(run, reason)
        self._print(f"FAILED: {described(run)}: {reason}")

    def left_out(self, run: Run) -> None:
        """See `Progress`."""
        super().left_out(run)
        self._print(f"left out, the time limit was reached: {described(run)}")

    def _print(self, text: str) -> None:
        self._printed.set()
        counts = self.counts()
        ended = len(self.runs) - counts["waiting"] - counts["running"]
        number = f"[{ended:>{len(str(len(self.runs)))}}/{len(self.runs)}]"
        self.console.print(Text(shown(f"{number} {text}")), soft_wrap=True)


class Dashboard(Progress):
    """A table of models and tasks that fills as runs finish; for terminals of any width."""

    def __init__(self, study: Study, metrics: Mapping[str, str], processes: int, console: Console):
        super().__init__(study, metrics, processes)
        self._live = Live(
            console=console, get_renderable=lambda: self, refresh_per_second=4, vertical_overflow="ellipsis"
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The current dashboard, no wider than the console."""
        plain = options.ascii_only
        grid = self._grid(plain)
        unlimited = options.update(width=10_000)
        if console.measure(grid, options=unlimited).maximum > options.max_width:
            grid = self._short_grid(plain)
        parts: list[Text | Table | Padding] = [_fitted(self.study.name, "bold", options)]
        if self.study.question:
            parts.append(_fitted(self.study.question, "dim", options))
        parts += [Padding(grid, (1, 0)), *self._running(options), self._overall(options)]
        mark, style = _mark("failed", plain)
        for run, reason in list(self.failures.items())[-_MOST_FAILURES:]:
            parts.append(_fitted(f"{mark} {described(run)}: {reason}", style, options))
        yield Group(*parts)

    def _grid(self, plain: bool) -> Table:
        """One row per model, one column per task: a mark for each seed, and the mean score so far."""
        tasks = list(dict.fromkeys(task for _, task, _, _ in self.cells))
        heads = [Column(Text(f"{shown(task)}\n{self.metrics[task]}"), no_wrap=True) for task in tasks]
        table = Table(Column("", no_wrap=True), *heads, box=None, padding=(0, 2, 0, 0), header_style="dim")
        for model, variant in dict.fromkeys((model, variant) for _, _, model, variant in self.cells):
            label = model if variant == "matched" else f"{model} (published)"
            cells = [self._cell(self.cells.get(("fit", task, model, variant), Cell()), plain) for task in tasks]
            table.add_row(Text(label, style="bold" if variant == "matched" else "dim"), *cells)
        return table

    def _short_grid(self, plain: bool) -> Table:
        """One row per task with counts only, for terminals too narrow for `_grid`."""
        table = Table.grid(*(Column(no_wrap=True, overflow="crop") for _ in range(2)), padding=(0, 1))
        for task in dict.fromkeys(task for _, task, _, _ in self.cells):
            counts: Counter[State] = Counter()
            for (_, its_task, _, _), each in self.cells.items():
                if its_task == task:
                    counts.update(each.counts)
            cell = Text(f"{counts['done']}/{counts.total()}", style="green", no_wrap=True)
            if counts["failed"]:
                mark, style = _mark("failed", plain)
                cell.append(f" {mark}{counts['failed']}", style)
            table.add_row(Text(shown(task)), cell)
        return table

    def _cell(self, cell: Cell, plain: bool) -> Text:
        text = Text(no_wrap=True)
        runs = len(cell.runs)
        if runs <= 10:
            for run in cell.runs:
                text.append(*_mark(self.states[run], plain))
        else:
            done = cell.counts["done"] + cell.counts["failed"]
            text.append(f"{done}/{runs}", "green" if done == runs else "")
        if cell.scores:
            text.append(f" {_rounded(mean(cell.scores))}", "bold" if len(cell.scores) == runs else "")
        return text

    def _running(self, options: ConsoleOptions) -> list[Text | Table]:
        running = [run for cell in self.cells.values() for run in cell.running]
        lines: list[Text | Table] = []
        if self.waits:
            lines.append(_fitted(self.waits, "yellow", options))
        elif not running and not self.doings and self._counts["waiting"]:
            lines.append(_fitted("starting workers", "dim", options))
        now = time.monotonic()
        for run, (doing, since) in list(self.doings.items()):
            if run not in running:
                lines.append(_fitted(f"{described(run)}: {doing}, {duration(now - since)}", "yellow", options))
        mark, style = _mark("running", options.ascii_only)
        for run in running[:_MOST_RUNNING]:
            what = Text(shown(f"{mark} {described(run)}"), style=style)
            stage = self.stages.get(run)
            doing, since = self.doings.get(run, ("", self._begun[run]))
            if stage is None or doing:
                status = f"{doing}, " if doing else ""
                lines.append(_fitted(f"{what.plain}  {status}{duration(now - since)}", style, options))
                continue
            text = stage.text
            if cell_len(what.plain) + cell_len(text) + 14 > options.max_width:
                lines.append(_fitted(f"{what.plain}  {text}", style, options))
                continue
            row = Table.grid(Column(no_wrap=True), Column(no_wrap=True), Column(no_wrap=True), padding=(0, 1))
            row.add_row(what, ProgressBar(1.0, stage.fraction, width=10), Text(text, style="dim"))
            lines.append(row)
        if len(running) > _MOST_RUNNING:
            lines.append(_fitted(f"  and {len(running) - _MOST_RUNNING} more", "dim", options))
        return lines

    def _overall(self, options: ConsoleOptions) -> Table | Text:
        counts = self.counts()
        ended = len(self.runs) - counts["waiting"] - counts["running"]
        words = [f"{ended}/{len(self.runs)} runs"]
        words += [f"{counts[state]} {state}" for state in ("failed", "left out") if counts[state]]
        words.append(duration(self.elapsed()))
        remaining = self.remaining()
        if remaining and ended < len(self.runs):
            words.append(f"about {duration(remaining)} left")
        text = ", ".join(words)
        room = options.max_width - cell_len(text) - 2
        if room < 10:
            return _fitted(text, "", options)
        row = Table.grid(Column(no_wrap=True), Column(no_wrap=True), padding=(0, 1))
        row.add_row(ProgressBar(len(self.runs), ended, width=min(room, 40)), text)
        return row


def progress(
    study: Study, metrics: Mapping[str, str], processes: int, *, plain: bool = False, console: Console | None = None
) -> Lines | Dashboard:
    """A `Dashboard` if the output is a terminal, else `Lines`.

    Args:
        study: the study.
        metrics: name of each task's main metric.
        processes: the number of fits that run in parallel.
        plain: use `Lines` even on a terminal.
        console: the output; standard output by default.
    """
    console = console or Output()
    kind = Dashboard if console.is_terminal and not console.is_dumb_terminal and not plain else Lines
    return kind(study, metrics, processes, console)


def described(run: Run) -> str:
    """A run in words."""
    apart = " at its published size and rate" if run.variant == "author" else ""
    apart = f" at equal {run.matching}" if run.matching not in ("parameters", "") else apart
    if run.kind == "cost":
        return f"time and memory of {run.model_name}{apart} on {run.task_name}"
    split = f", split {run.fold}" if run.fold else ""
    return f"{run.model_name}{apart} on {run.task_name}{split}, seed {run.seed}"


def duration(seconds: float) -> str:
    """A time span for reading.

    Example:
        >>> duration(7.3), duration(95), duration(7500)
        ('7.3 s', '1 min 35 s', '2 h 5 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _mark(state: State, plain: bool) -> tuple[str, str]:
    mark, ascii_mark, style = _MARKS[state]
    return (ascii_mark if plain else mark), style


def _fitted(text: str, style: str, options: ConsoleOptions) -> Text:
    """One line, truncated to the width of the console."""
    line = Text(shown(" ".join(text.split())), style=style, no_wrap=True)
    line.truncate(options.max_width, overflow="crop" if options.ascii_only else "ellipsis")
    return line


def summary(console: Console, comparison: Comparison, tasks: Mapping[str, Facts]) -> None:
    """Print a study's verdict and its leaderboard.

    Args:
        console: the output.
        comparison: the result of `liquidbench.statistics.compare`.
        tasks: facts by task name.
    """
    verdict = comparison.verdict
    sentences = [Text(shown(verdict.headline), style="bold")]
    sentences += [Text(shown(judgement.sentence)) for judgement in verdict.judgements]
    sentences += [Text(comparison.stands)] if comparison.stands else []
    sentences += [Text(comparison.over_tasks.sentence)] if comparison.over_tasks.sentence else []
    sentences += [Text(shown(warning), style="dim") for warning in verdict.warnings]
    console.print()
    for sentence in sentences:
        console.print(sentence, soft_wrap=not console.is_terminal)
    console.print()
    board = _leaderboard(comparison, tasks)
    needed = console.measure(board, options=console.options.update(width=10_000)).maximum
    if not console.is_terminal:
        # A file has no width that lines must fit.
        console = Console(file=console.file, width=max(needed, console.width))
    tables = [board] if needed <= console.width else [_leaderboard(comparison, {task: tasks[task]}) for task in tasks]
    for table in tables:
        console.print(table)


def _leaderboard(comparison: Comparison, tasks: Mapping[str, Facts]) -> Table:
    """Models by rank, then those at published sizes, with mean and interval of the test scores on each task."""
    heads = [
        Column(Text(f"{shown(task)}\n{facts.metric} ({_better(facts)} is better)")) for task, facts in tasks.items()
    ]
    table = Table("model", Column("mean\nrank", justify="right"), *heads, box=None, padding=(0, 2, 0, 0))
    cells = {(standing.model, standing.variant, standing.task): standing for standing in comparison.leaderboard}
    ranks = {overall.model: overall.rank for overall in comparison.overall}
    order = [(model, "matched") for model in ranks]
    order += [key for key in dict.fromkeys((s.model, s.variant) for s in comparison.leaderboard) if key not in order]
    for model, variant in order:
        rank = ranks.get(model) if variant == "matched" else None
        row = [Text("" if rank is None else f"{rank:.1f}")]
        for task in tasks:
            standing = cells.get((model, variant, task))
            row.append(Text() if standing is None else _score(standing))
        label = Text(model, style="bold") if variant == "matched" else Text(f"{model} (published)", style="dim")
        table.add_row(label, *row)
    return table


def _better(facts: Facts) -> str:
    return "higher" if facts.higher_is_better else "lower"


def _rounded(score: float, beside: float | None = None) -> str:
    """A score with three decimals, or more if it, or ``beside``, needs them for three significant digits."""
    return number(score, max(3, significant([score if beside is None else beside])))


def _score(standing: Standing) -> Text:
    if standing.mean is None:
        return Text(f"failed {standing.failures} of {standing.failures}", style="red")
    text = Text(_rounded(standing.mean))
    if standing.interval is not None:
        low, high = (_rounded(end, standing.mean) for end in standing.interval)
        text.append(f" [{low}, {high}]", style="dim")
    if standing.failures:
        text.append(f" {standing.failures} failed", style="red")
    return text
