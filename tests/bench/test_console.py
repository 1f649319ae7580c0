import io
import time
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from liquidbench import console
from liquidbench.console import Dashboard, Lines, Progress, Stage, described, duration, progress, summary
from liquidbench.facts import Facts
from liquidbench.statistics import Comparison, Overall, OverTasks, Standing, Verdict
from liquidbench.study import Study

STUDY = Study.parse(
    {
        "name": "small",
        "question": "Which of the two is better on tasks that have rather long names?",
        "tasks": ["occupancy-excerpt", "gesture-excerpt"],
        "models": ["LTC", "GRU"],
        "seeds": 2,
    }
)
METRICS = {"occupancy-excerpt": "accuracy", "gesture-excerpt": "accuracy"}
FITS = [run for run in STUDY.runs() if run.kind == "fit"]
COSTS = [run for run in STUDY.runs() if run.kind == "cost"]


class Clock:
    """Time that goes on when told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def terminal(width: int, encoding: str = "utf-8", is_terminal: bool = True) -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    return Console(file=file, width=width, height=40, force_terminal=is_terminal, color_system=None), raw


def shown(board: Dashboard, width: int, encoding: str = "utf-8") -> list[str]:
    screen, raw = terminal(width, encoding)
    screen.print(board)
    return raw.getvalue().decode(encoding).splitlines()


def busy_board() -> Dashboard:
    board = Dashboard(STUDY, METRICS, 2, terminal(80)[0])
    board.known(FITS[0], "done", 0.75)
    board.started(FITS[1])
    board.finished(FITS[1], 0.25)
    board.started(FITS[2])
    board.failed(FITS[2], "every trial failed: the training loss became nan in epoch 1, and much more to say of it")
    board.started(FITS[3])
    board.stage(FITS[3], Stage(trial=1, trials=2, step=3, steps=8, validation_loss=0.531))
    board.left_out(FITS[4])
    return board


class TestBoard:
    def test_each_state_and_the_mean_score_of_a_cell(self):
        lines = shown(busy_board(), 100)
        assert any(line.split()[:3] == ["LTC", "●●", "0.500"] for line in lines)
        assert any(line.split()[:2] == ["GRU", "✕◐"] for line in lines)
        assert any(
            "GRU on occupancy-excerpt, seed 1" in line and "trial 2/2, step 3/8, loss 0.531" in line for line in lines
        )
        assert any("4/12 runs, 1 failed, 1 left out" in line for line in lines)
        assert any("GRU on occupancy-excerpt, seed 0: every trial failed" in line for line in lines)

    @pytest.mark.parametrize("width", [8, 20, 40, 60, 79, 120])
    @pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
    def test_no_line_is_wider_than_the_terminal(self, width, encoding):
        lines = shown(busy_board(), width, encoding)
        assert max(cell_len(line) for line in lines) <= width

    @pytest.mark.parametrize("width", [20, 40, 120])
    def test_nothing_is_wrapped(self, width):
        # Name, question, blank, two tasks (or two models and two lines of head), blank, a fit, the bar, a failure.
        assert len(shown(busy_board(), width)) == (11 if width == 120 else 9)

    def test_many_seeds_become_a_count(self):
        study = Study.parse({"name": "s", "tasks": ["gesture-excerpt"], "models": ["GRU"], "seeds": 12})
        board = Dashboard(study, METRICS, 2, terminal(80)[0])
        board.finished(study.runs()[0], 0.5)
        assert any("1/12 0.500" in line for line in shown(board, 80))

    def test_it_is_drawn_in_place_and_left_complete(self):
        screen, raw = terminal(80)
        with Dashboard(STUDY, METRICS, 2, screen) as board:
            board.started(FITS[0])
            board.finished(FITS[0], 0.5)
        assert raw.getvalue().decode().rstrip("\n").rsplit("runs", 1)[0].endswith("1/12 ")


class TestLines:
    def test_one_line_an_event(self, clock):
        screen, raw = terminal(20, is_terminal=False)
        with Lines(STUDY, METRICS, 2, screen) as lines:
            lines.known(FITS[0], "done", 0.5)
            lines.started(FITS[1])
            lines.stage(FITS[1], Stage(0, 2, 1, 8, 0.5))
            clock.now += 65
            lines.finished(FITS[1], 0.9375)
            lines.started(COSTS[0])
            clock.now += 1.25
            lines.finished(COSTS[0], None)
            lines.started(FITS[2])
            lines.failed(FITS[2], "worker died with signal 9, perhaps out of memory")
            lines.left_out(FITS[3])
        assert raw.getvalue().decode().splitlines() == [
            "[ 1/12] started: LTC on occupancy-excerpt, seed 1",
            "[ 2/12] done: LTC on occupancy-excerpt, seed 1, accuracy 0.9375, 1 min 5 s",
            "[ 2/12] started: time and memory of LTC on occupancy-excerpt",
            "[ 3/12] done: time and memory of LTC on occupancy-excerpt, 1.2 s",
            "[ 3/12] started: GRU on occupancy-excerpt, seed 0",
            "[ 4/12] FAILED: GRU on occupancy-excerpt, seed 0: worker died with signal 9, perhaps out of memory",
            "[ 5/12] left out, the time limit was reached: GRU on occupancy-excerpt, seed 1",
        ]

    def test_brackets_in_a_reason_are_not_markup(self):
        screen, raw = terminal(200, is_terminal=False)
        Lines(STUDY, METRICS, 1, screen).failed(FITS[0], "index [/bold] of [red] is wrong")
        assert "index [/bold] of [red] is wrong" in raw.getvalue().decode()

    def test_lines_are_used_off_a_terminal_and_on_request(self):
        assert isinstance(progress(STUDY, METRICS, 1, console=terminal(80)[0]), Dashboard)
        assert isinstance(progress(STUDY, METRICS, 1, plain=True, console=terminal(80)[0]), Lines)
        assert isinstance(progress(STUDY, METRICS, 1, console=terminal(80, is_terminal=False)[0]), Lines)


class TestSilence:
    def test_a_status_is_printed_to_standard_error(self, monkeypatch, capsys):
        monkeypatch.setattr("liquidbench.console._SILENCE", (0.05, 10.0))
        study = Study.parse({"name": "s", "tasks": ["a"], "models": ["GRU", "CfC"], "seeds": 1})
        first, second = study.runs()[:2]
        console = Console(file=io.StringIO(), width=200)
        with Lines(study, {"a": "accuracy"}, 2, console) as lines:
            lines.started(first)
            lines.stage(first, Stage(1, 4, 7, 40, 0.5))
            lines.doing(second, "waiting for process 7 (liquidbench run x.yaml)")
            time.sleep(0.6)
        err = capsys.readouterr().err
        assert "running: " in err
        assert "CfC on a, seed 0: waiting for process 7 (liquidbench run x.yaml)" in err
        assert "GRU on a, seed 0: trial 2/4, step 7/40, loss 0.5" in err
        told = console.file.getvalue()
        # A wait is an event, too.
        assert "running" not in told and "[0/4] CfC on a, seed 0: waiting for process 7" in told

    def test_each_state_has_words(self):
        study = Study.parse({"name": "s", "tasks": ["a"], "models": ["GRU"], "seeds": 2})
        progress = Progress(study, {"a": "accuracy"}, 2)
        fit, _, cost = study.runs()
        assert progress.status() == ["starting workers"]
        progress.started(fit)
        assert progress.status()[0].startswith("GRU on a, seed 0: first steps")
        progress.doing(fit, "loading its data")
        assert progress.status()[0].startswith("GRU on a, seed 0: loading its data")
        progress.stage(fit, Stage(0, 1, 2, 3, 1.0))
        assert progress.status() == ["GRU on a, seed 0: step 2/3, loss 1"]
        progress.finished(fit, 0.5)
        progress.started(cost)
        assert progress.status()[0].startswith("time and memory of GRU on a: measuring")
        progress.finished(cost, None)
        progress.held("process 5 (liquidbench resume results/s)")
        assert progress.status()[0] == "waiting for process 5 (liquidbench resume results/s)"

    def test_a_leaderboard_shows_scores_of_any_size(self):
        study = Study.parse({"name": "s", "tasks": ["a\x1b[2J"], "models": ["GRU"], "seeds": 2})
        console = Console(file=io.StringIO(), width=120, force_terminal=True)
        board = Dashboard(study, {"a\x1b[2J": "accuracy"}, 2, console)
        board.doing(study.runs()[0], "waiting for process 7")
        console.print(board)
        told = console.file.getvalue()
        assert "waiting for process 7" in told and "\x1b[2J" not in told and r"a\x1b[2J" in told


class TestRemaining:
    def test_there_is_no_estimate_before_a_run_has_finished(self, clock):
        board = busy = Dashboard(STUDY, METRICS, 2, terminal(80)[0])
        busy.known(FITS[0], "done", 0.5)
        assert board.remaining() is None

    def test_waiting_runs_take_as_long_as_those_like_them(self, clock):
        board = Dashboard(STUDY, METRICS, 2, terminal(80)[0])
        ltc, gru = (next(run for run in FITS if run.model == model) for model in ("LTC", "GRU"))
        for run, seconds in ((ltc, 40.0), (gru, 4.0)):
            board.started(run)
            clock.now += seconds
            board.finished(run, 0.5)
        for run in COSTS:
            board.started(run)
            clock.now += 1.0
            board.finished(run, None)
        # Three LTC and three GRU fits are left, two at a time.
        assert board.remaining() == pytest.approx((3 * 40 + 3 * 4) / 2)
        board.started(next(run for run in FITS if run.model == "LTC" and run != ltc))
        clock.now += 15
        assert board.remaining() == pytest.approx((25 + 2 * 40 + 3 * 4) / 2)

    def test_measurements_of_cost_are_made_one_at_a_time(self, clock):
        board = Dashboard(STUDY, METRICS, 4, terminal(80)[0])
        for run in FITS:
            board.known(run, "done")
        board.started(COSTS[0])
        clock.now += 6
        board.finished(COSTS[0], None)
        assert board.remaining() == pytest.approx(6 * (len(COSTS) - 1))


def comparison() -> Comparison:
    standings = (
        Standing("occupancy-excerpt", "GRU", "matched", "recurrent", 0.91, (0.9, 0.92), 2, 0, 1.0),
        Standing("occupancy-excerpt", "LTC", "matched", "liquid", None, None, 0, 2, 2.0),
        Standing("occupancy-excerpt", "LTC", "author", "liquid", 0.95, (0.93, 0.97), 2, 0, None),
        Standing("gesture-excerpt", "LTC", "matched", "liquid", 0.5, None, 1, 1, 1.5),
    )
    overall = (Overall("GRU", "recurrent", 1.0, None, 1, 2, 0), Overall("LTC", "liquid", 2.0, None, 1, 2, 3))
    verdict = Verdict("Headline.", (), ("Two seeds are few.",), ())
    return Comparison(standings, overall, (), verdict, OverTasks(2, 2, None, None))


FACTS = {
    "occupancy-excerpt": Facts(metric="accuracy", higher_is_better=True),
    "gesture-excerpt": Facts(metric="accuracy", higher_is_better=True),
}


class TestSummary:
    def test_summary_of_a_comparison(self):
        screen, raw = terminal(120)
        summary(screen, comparison(), FACTS)
        lines = [line.split() for line in raw.getvalue().decode().splitlines()]
        assert lines[1:3] == [["Headline."], ["Two", "seeds", "are", "few."]]
        rows = [line for line in lines if line and line[0] in ("GRU", "LTC")]
        assert not any("Friedman's" in line for line in lines)
        assert rows == [
            ["GRU", "1.0", "0.910", "[0.900,", "0.920]"],
            ["LTC", "2.0", "failed", "2", "of", "2", "0.500", "1", "failed"],
            ["LTC", "(published)", "0.950", "[0.930,", "0.970]"],
        ]

    def test_tests_over_tasks_are_said(self):
        screen, raw = terminal(200)
        over_tasks = OverTasks(3, 4, (7.8, 0.05), None)
        summary(screen, replace(comparison(), over_tasks=over_tasks), FACTS)
        assert over_tasks.sentence in raw.getvalue().decode()

    def test_whether_the_verdict_stands_under_other_matchings_is_said(self):
        screen, raw = terminal(200)
        found = replace(comparison(), others={"state": comparison().verdict})
        summary(screen, found, FACTS)
        assert "with equal state" in found.stands and found.stands in raw.getvalue().decode()

    def test_a_narrow_terminal_gets_one_table_a_task(self):
        screen, raw = terminal(60)
        summary(screen, comparison(), FACTS)
        lines = raw.getvalue().decode().splitlines()
        assert max(cell_len(line) for line in lines) <= 60
        assert sum("is better" in line for line in lines) == 2

    def test_a_file_gets_whole_lines_whatever_the_width(self):
        screen, raw = terminal(30, is_terminal=False)
        summary(screen, comparison(), FACTS)
        assert any("GRU" in line and "0.910 [0.900, 0.920]" in line for line in raw.getvalue().decode().splitlines())


def test_scores_of_any_size_can_be_read():
    assert [console._rounded(score) for score in (0.91, 0.0421, 12.34, 234_567.8, 0.0000123)] == [
        "0.910",
        "0.0421",
        "12.340",
        "2.346×10⁵",
        "1.23×10⁻⁵",
    ]


def test_runs_in_words():
    assert described(FITS[0]) == "LTC on occupancy-excerpt, seed 0"
    assert described(replace(FITS[0], variant="author")).startswith("LTC at its published size and rate on")
    assert described(COSTS[0]) == "time and memory of LTC on occupancy-excerpt"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (3599.9, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
