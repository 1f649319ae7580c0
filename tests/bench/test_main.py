"""The command line, as it is typed."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from liquidbench import matching, predictions, report, results, study_file, tasks
from liquidbench.__main__ import main
from liquidbench.commands import listing, refusing, tables
from liquidbench.commands.running import _metrics_by_task
from liquidbench.engine.leases import Leases
from liquidbench.facts import Facts
from liquidbench.metrics import score
from liquidbench.models import MODELS
from liquidbench.study import Study
from liquidbench.system import storage
from liquidbench.system.storage import KeptFileWarning
from liquidbench.tasks.flight.rendering import NoRendererError

STUDY = {
    "name": "small",
    "question": "Does it run?",
    "tasks": ["occupancy-excerpt"],
    "models": ["CfC", "GRU"],
    "parameters": 1000,
    "seeds": 2,
    "search": {"trials": 1},
    "training": {"steps": 10},
    "robustness": {"removed_steps": [0.0, 0.5], "drift+sampling_rate": [1.0], "label_shift": True},
}


def written(path: Path, **changes) -> str:
    path.write_text(yaml.safe_dump(STUDY | changes))
    return str(path)


def refusal(capsys, *arguments) -> str:
    """What a command that must be refused says: one sentence, and nothing else."""
    with pytest.raises(SystemExit) as ended:
        sys.exit(main([str(argument) for argument in arguments]))
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("liquidbench: ") and err.count("\n") == 1
    return err


@pytest.fixture(autouse=True)
def no_steps(monkeypatch):
    """On a busy machine a step may last; what is said then is tested where waiting is."""
    monkeypatch.setattr("liquidbench.waiting.AFTER", 600)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Folder of results of a study that has run."""
    folder = tmp_path_factory.mktemp("study")
    path = written(folder / "small.yaml")
    assert main(["run", path, "--results", str(folder / "results"), "--in-process"]) == 0
    return folder / "results" / "small"


def test_a_report_holds_its_rows_compactly(finished, monkeypatch):
    given = []
    monkeypatch.setattr(report, "write", lambda study, frame, *_: given.append(frame))
    assert main(["report", str(finished)]) == 0
    assert given[0].schema == results.COMPACT


def stamps(directory: Path) -> dict[str, float]:
    """Of each run, how long it took, which no two times are the same."""
    return dict(results.read(directory).select("run", "seconds").unique().iter_rows())


def lose(directory: Path, run: str) -> None:
    """Take a run out of the results."""
    for path in [*directory.glob("runs/*.parquet"), *directory.glob("incoming/*.parquet")]:
        rest = pl.read_parquet(path).filter(pl.col("run") != run)
        path.unlink() if rest.is_empty() else path.write_bytes(results.sealed(rest))


def test_a_study_from_its_file_to_its_report(finished):
    assert len(stamps(finished)) == 2 * 2 + 2
    # One file, and nothing that is left of the work; other tests here may have written tables.
    assert sorted({path.name for path in finished.iterdir()} - {"tables"}) == [
        "incoming", "models", "predictions", "report.html", "runs", "searches", "study.yaml", "tasks.json",
    ]  # fmt: skip
    assert len(list((finished / "runs").iterdir())) == 1 and not list((finished / "incoming").iterdir())
    assert Study.load(finished / "study.yaml") == Study.parse(STUDY)
    report = (finished / "report.html").read_text(encoding="utf-8")
    assert "Does it run?" in report and "GRU" in report
    assert set(results.read_tasks(finished)) == {"occupancy-excerpt"}


@pytest.mark.parametrize("form, ending", [("markdown", "md"), ("latex", "tex"), ("csv", "csv")])
def test_a_report_as_tables(finished, capsys, form, ending):
    assert main(["report", str(finished), "--format", form]) == 0
    assert f"Tables:  {finished / 'tables'}" in capsys.readouterr().out
    assert "GRU" in (finished / "tables" / f"leaderboard.{ending}").read_text(encoding="utf-8")


def test_run_again_says_that_nothing_is_left(finished, capsys):
    before = stamps(finished)
    study = finished.parents[1] / "small.yaml"
    assert main(["run", str(study), "--results", str(finished.parent)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("All 6 runs of study 'small' are finished; nothing is left to run.")
    assert "GRU" in out and str(finished / "report.html") in out and "(6 of 6 runs)" in out
    assert stamps(finished) == before


def test_resume_runs_what_is_missing_and_nothing_else(finished, capsys):
    before = stamps(finished)
    fits = results.read(finished).filter(kind="fit", seed=1)
    lost = fits["run"][0]
    lose(finished, lost)
    assert main(["resume", str(finished), "--in-process"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"\] started: ", out)) == 1 and re.search(r"\[6/6\] done: .*, seed 1, accuracy 0\.", out)
    after = stamps(finished)
    assert {name for name in after if after[name] != before[name]} == {lost}


def test_a_changed_study_is_refused_until_it_is_wanted(finished, tmp_path, capsys):
    changed = written(tmp_path / "changed.yaml", seeds=[0, 1, 7], models=["GRU"])
    said = refusal(capsys, "run", changed, "--results", finished.parent)
    assert "another version of study 'small', which differs in models, seeds" in said
    assert f"liquidbench resume {finished}" in said and "--update" in said
    before = stamps(finished)
    kept = (finished / "study.yaml").read_bytes()
    try:
        assert main(["run", changed, "--results", str(finished.parent), "--update", "--minutes", "1e-9"]) == 0
        out = capsys.readouterr().out
        assert "left out, the time limit was reached: GRU on occupancy-excerpt, seed 7" in out
        assert "minutes are over, 1 run left out. To continue: liquidbench resume" in out and "(3 of 4 runs)" in out
        assert "Ignored: 3 more runs there, which are from other versions of the study or its data" in out
        assert "CfC" not in (finished / "report.html").read_text(encoding="utf-8")
        assert stamps(finished) == before
    finally:
        (finished / "study.yaml").write_bytes(kept)


def test_a_study_is_not_changed_under_those_who_are_at_work_at_it(finished, tmp_path, capsys):
    changed = written(tmp_path / "changed.yaml", seeds=1)
    kept, facts = (finished / "study.yaml").read_bytes(), (finished / "tasks.json").read_bytes()
    with Leases(finished):
        said = refusal(capsys, "run", changed, "--results", finished.parent, "--update")
        assert (
            "is running another version" in said
            and str(os.getpid()) in said
            and "Use --update when it has ended" in said
        )
        assert (finished / "study.yaml").read_bytes() == kept and (finished / "tasks.json").read_bytes() == facts
        # The study that they are at is no change.
        same = written(tmp_path / "same.yaml")
        assert main(["run", same, "--results", str(finished.parent), "--update"]) == 0


def test_a_driver_that_was_killed_elsewhere_does_not_forbid_scores_for_good(finished, monkeypatch, capsys):
    monkeypatch.setattr("liquidbench.engine.leases.TIMEOUT", 0.1)
    monkeypatch.setattr("liquidbench.engine.leases.POLL", 0.02)
    (finished / "drivers").mkdir()
    (finished / "drivers" / "20260101T000000x00000000").write_text("mars 000000000001 7\n")
    assert main(["rescore", str(finished)]) == 0
    assert "Scored again: 4 fits\n" in capsys.readouterr().out


def test_a_study_that_cannot_be_run_leaves_no_trace(tmp_path, capsys):
    path = written(tmp_path / "s.yaml", parameters=4)
    assert "parameters must be within 5%" in refusal(capsys, "run", path, "--results", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_folder_that_is_gone_while_its_study_runs_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit), refusing.refusing_write_errors(tmp_path / "gone"):
        raise FileNotFoundError(2, "No such file or directory", str(tmp_path / "gone" / "incoming" / "x"))
    said = capsys.readouterr().err
    assert "gone was moved, renamed or removed while liquidbench was using it" in said
    assert "liquidbench resume FOLDER" in said and "Make room" not in said


@pytest.mark.skipif(os.name != "posix", reason="needs a file system's permissions")
def test_a_folder_that_cannot_be_written_is_one_sentence(finished, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("liquidbench.report.write", full)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(finished)])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert f"cannot be written to {finished} (No space left on device)" in said and said.endswith(
        ", then repeat the command\n"
    )


@pytest.mark.parametrize("guard", ["refusing", "refusing_write_errors", "checking_folder"])
def test_a_file_that_may_not_be_read_is_said_to_be_unreadable_not_unwritable(tmp_path, capsys, monkeypatch, guard):
    guards = {
        "refusing": refusing.refusing,
        "refusing_write_errors": lambda: refusing.refusing_write_errors(tmp_path),
        "checking_folder": lambda: refusing.checking_folder(tmp_path, argparse.Namespace()),
    }
    path = tmp_path / "runs.parquet"
    path.touch()
    # Root may read everything.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit), refusing.refusing(), guards[guard]():
        raise PermissionError(13, "Permission denied", str(path))
    said = capsys.readouterr().err
    assert (
        said == f"liquidbench: {path} cannot be read (Permission denied); allow reading it, then repeat the command\n"
    )


@pytest.mark.parametrize(("data", "reason"), [("~a-user-nobody-has", "no such user"), ("x" * 5000, "too long")])
def test_a_folder_of_data_that_cannot_be_looked_at_is_one_sentence(capsys, data, reason):
    with pytest.raises(SystemExit):
        main(["train", "occupancy", "GRU", "--data", data])
    said = capsys.readouterr().err.splitlines()[-1]
    assert "argument --data: must be a folder that can be read; got " in said and reason in said and len(said) < 250


def test_a_folder_above_that_may_not_be_entered_is_named(tmp_path, capsys, monkeypatch):
    # What is in it cannot be reached either.
    path, reached = tmp_path / "data" / "tables" / "one.csv", os.path.lexists
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(
        os.path, "lexists", lambda name: not str(name).startswith(f"{tmp_path}/data/") and reached(name)
    )
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit), refusing.refusing():
        raise PermissionError(13, "Permission denied", str(path))
    said = capsys.readouterr().err
    assert said.startswith(f"liquidbench: {tmp_path / 'data'} cannot be read (Permission denied); allow reading it")


@pytest.mark.parametrize("command", [["report"], ["export", "--to", "tensorboard"], ["rescore"]])
def test_a_file_in_the_place_of_a_folder_is_named_with_what_to_do(finished, tmp_path, capsys, command):
    directory = shutil.copytree(finished, tmp_path / "s", ignore=shutil.ignore_patterns("runs"))
    (directory / "runs").touch()
    said = refusal(capsys, *command, directory)
    assert (
        f"Move {directory / 'runs'} away: it is a file, but a folder is needed there, then repeat the command" in said
    )


def test_results_on_a_disk_that_is_not_there_are_not_taken_for_none(finished, tmp_path, capsys):
    directory = shutil.copytree(finished, tmp_path / "s", ignore=shutil.ignore_patterns("runs"))
    (directory / "runs").symlink_to(tmp_path / "unmounted")
    said = refusal(capsys, "report", directory)
    assert f"{directory / 'runs'} cannot be used (No such file or directory). Put it back, or mount its disk" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("size", [1, 100_000])
def test_output_redirected_to_a_full_disk_is_one_sentence(capfd, monkeypatch, size):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(listing, "list_known", lambda _: print("x" * size) or 0)
        with pytest.raises(SystemExit) as ended:
            main(["list", "models"])
    said = capfd.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert "the output cannot be written (No space left on device)" in said


def test_a_broken_yaml_is_one_sentence(tmp_path, capsys):
    path = tmp_path / "s.yaml"
    path.write_text("name: [open\nmodels: LTC\n")
    said = refusal(capsys, "run", path)
    assert "line 2" in said and said.count("\n") <= 1


def test_predictions_that_may_not_be_read_end_a_report_with_one_sentence(finished, capsys, monkeypatch):
    reading = storage.reading

    def locked(path):
        if path.suffix == ".npz":
            raise PermissionError(13, "Permission denied", str(path))
        return reading(path)

    monkeypatch.setattr("liquidbench.system.storage.reading", locked)
    # Root may read everything.
    monkeypatch.setattr(os, "access", lambda *_: False)
    said = refusal(capsys, "report", finished)
    assert f"{finished / 'predictions'}" in said and "cannot be read (Permission denied); allow reading it" in said


def test_results_of_other_data_alone_are_said_to_be_there(finished, tmp_path, capsys):
    directory = shutil.copytree(finished, tmp_path / "s")
    facts = results.read_tasks(directory)
    results.write_tasks(directory, {name: replace(told, digest="0" * 64) for name, told in facts.items()})
    said = refusal(capsys, "report", directory)
    assert "has no results yet; those of 6 runs there are from other versions of the study or its data; do the" in said


def test_when_all_runs_fail_the_report_is_made_and_the_code_is_1(finished, tmp_path, capsys):
    directory = tmp_path / "failed"
    for run, frame in results.read(finished).partition_by("run", as_dict=True).items():
        row = {**frame.row(0, named=True), "status": "failed", "reason": "the disk was eaten by mice", "value": None}
        results.write(directory, [row | {"run": run[0]}])
    for name in ("study.yaml", "tasks.json"):
        (directory / name).write_bytes((finished / name).read_bytes())
    assert main(["report", str(directory)]) == 1
    assert "every fit failed" in capsys.readouterr().err
    assert "eaten by mice" in (directory / "report.html").read_text(encoding="utf-8")

    # A failure is a result: to try again takes more than to run again.
    assert main(["resume", str(directory)]) == 1
    assert "6 of them failed (--retry-failed repeats those)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "none.yaml"), "none.yaml must be a study's YAML file; it does not exist"),
        (("resume", "nowhere"), "nowhere is not a folder of a study's results"),
        (("report", "nowhere"), "nowhere is not a folder of a study's results"),
        (("compare", "none.csv", "--target", "y"), "none.csv"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(capsys, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sedes": 3}, "'seeds'"),
        ({"models": ["GRU", "LTSM"]}, "'LSTM'"),
        ({"tasks": ["occupacy"]}, "occupacy"),
        ({"tasks": ["occupancy"]}, "occupancy_data.zip"),
        pytest.param(
            {"device": "cuda"},
            "device must exist; got 'cuda'",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_a_bad_study_is_refused_in_one_sentence(changes, words, tmp_path, capsys):
    path = written(tmp_path / "bad.yaml", **changes)
    assert words in refusal(capsys, "run", path, "--results", tmp_path / "results", "--data", tmp_path)


@pytest.fixture
def no_renderer(monkeypatch):
    """The task gesture-excerpt needs a renderer until this is called."""

    def recordings(split):
        raise NoRendererError("nothing can draw here: install libegl1")

    made, kept = replace(tasks.load("gesture-excerpt"), recordings=recordings), tasks._LOADERS["gesture-excerpt"]
    monkeypatch.setitem(tasks._LOADERS, "gesture-excerpt", lambda data: made)
    return lambda: monkeypatch.setitem(tasks._LOADERS, "gesture-excerpt", kept)


def test_a_task_that_cannot_be_built_is_named_and_the_others_are_run(no_renderer, tmp_path, capsys):
    both = {"tasks": ["gesture-excerpt", "occupancy-excerpt"], "models": ["GRU"], "seeds": 1, "robustness": {}}
    path = written(tmp_path / "small.yaml", **both, parameters=4000)
    directory = tmp_path / "results" / "small"
    assert main(["run", path, "--results", str(tmp_path / "results"), "--in-process"]) == 1
    out, err = capsys.readouterr()
    named = (
        "liquidbench: task gesture-excerpt cannot be built here, so its runs are left out: nothing can draw here: "
        f"install libegl1. To do them when that is mended: liquidbench resume {directory}\n"
    )
    # At once and at the end.
    assert err.count(named) == 2 and "Traceback" not in err
    assert "(2 of 4 runs)" in out
    assert "gesture-excerpt" in (directory / "report.html").read_text(encoding="utf-8")
    assert main(["resume", str(directory), "--in-process"]) == 1
    out, err = capsys.readouterr()
    assert named in err and "All 2 runs of study 'small' that can be done here are finished; nothing is left" in out
    for command in (["report"], ["keep"], ["rescore"], ["export", "--to", "tensorboard"]):
        assert main([*command, str(directory)]) == 0
    assert "Traceback" not in capsys.readouterr().err

    no_renderer()
    assert main(["resume", str(directory), "--in-process"]) == 0
    out, err = capsys.readouterr()
    assert "(4 of 4 runs)" in out and "cannot be built" not in err


def test_where_no_task_can_be_built_there_is_one_sentence(no_renderer, tmp_path, capsys):
    path = written(tmp_path / "small.yaml", tasks=["gesture-excerpt"], parameters=4000)
    said = refusal(capsys, "run", path, "--results", tmp_path / "results", "--in-process")
    assert said == "liquidbench: nothing can draw here: install libegl1\n"
    assert not (tmp_path / "results").exists()
    with pytest.raises(SystemExit) as ended:
        main(["train", "gesture-excerpt", "GRU", "--steps", "5", "--folder", str(tmp_path / "trained")])
    assert ended.value.code == 2 and capsys.readouterr().err == said


@pytest.mark.parametrize(
    "arguments", [(), ("run",), ("fly",), ("run", "s.yaml", "--processes", "0"), ("compare", "t.csv")]
)
def test_a_wrong_command_shows_how_it_is_used(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "usage: liquidbench" in capsys.readouterr().err


def test_list(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.parents[1])
    Path("studies").mkdir(exist_ok=True)
    written(Path("studies") / "one.yaml")
    Path("studies/two.yaml").write_text("name: [")
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in (*MODELS, "occupancy-excerpt", "physionet2012"):
        assert re.search(rf"^  {name} ", out, re.MULTILINE)
    assert re.search(r"studies/one.yaml +Does it run\?", out)
    assert re.search(r"studies/two.yaml +cannot be read: ", out)
    assert re.search(r"results/small/ +6 of 6 runs are finished", out)

    assert main(["list", "models"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(MODELS)


def test_light_commands_never_import_torch(finished):
    script = """
import sys
from liquidbench.__main__ import main
from liquidbench.commands.running import _metrics_by_task
for command in ("--help", "--version", "list", f"report {sys.argv[1]}"):
    try:
        code = main(command.split())
    except SystemExit as ended:
        code = ended.code
    assert not code, (command, code)
    heavy = {"torch", "liquidrnn"} & set(sys.modules)
    assert not heavy, (command, heavy)
"""
    ended = subprocess.run([sys.executable, "-c", script, finished], capture_output=True, text=True, cwd=finished)
    assert ended.returncode == 0, ended.stderr


def table(path: Path) -> str:
    lines = ["seconds,machine,pressure,flow,state"]
    for machine in range(9):
        for step in range(30):
            pressure = (7 * step + 3 * machine) % 11 - 5
            lines.append(f"{step * 2.0},m{machine},{pressure},{(step * step) % 7},{'high' if pressure > 0 else 'low'}")
    path.write_text("\n".join(lines))
    return str(path)


def test_compare_on_a_table(tmp_path, monkeypatch, capsys):
    path = table(tmp_path / "pump room.csv")
    command = ["compare", path, "--target", "state", "--minutes", "0.02", "--models", "RNN", "CfC", "--in-process"]
    assert main([*command, "--results", str(tmp_path / "results")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^time: column 'seconds'", out, re.MULTILINE)
    assert re.search(r"^group: column 'machine'", out, re.MULTILINE)
    assert "2 models (RNN, CfC) of about 4,000 parameters, 1 trial of each search, 3 seeds" in out
    assert "0.02 min are too short for a verdict" in out and "For a verdict: --minutes " in out
    directory = tmp_path / "results" / "pump-room-state"
    study = Study.load(directory / "study.yaml")
    assert study.models == ("RNN", "CfC") and study.seeds == (0, 1, 2) and study.training.batch_size == 1
    # Six fits share the time.
    assert study.search.minutes == pytest.approx(0.02 / 6, abs=1e-4)
    assert (directory / "report.html").is_file()
    # The cap is shared by the learning rates, so each fit took about as long.
    frame = results.read(directory)
    assert set(frame["task"]) == {"pump room"} and set(frame["status"]) == {"done"}

    # The report may be shown to others: it names the table, not where it lies. The results know.
    report = (directory / "report.html").read_text(encoding="utf-8")
    assert "table: pump room.csv" in report and str(tmp_path) not in report
    lose(directory, frame["run"][0])
    monkeypatch.chdir("/")
    assert main(["resume", str(directory), "--in-process"]) == 0
    assert "(8 of 8 runs)" in capsys.readouterr().out


def test_compare_without_time_or_group_and_on_chosen_columns(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("liquidbench.commands.tables.execute", lambda study, *_: seen.append(study) or 0)
    path = table(tmp_path / "pumps.csv")
    command = ["compare", path, "--target", "state", "--results", str(tmp_path), "--models", "GRU"]
    assert (
        main(
            [
                *command,
                "--no-time",
                "--no-group",
                "--features",
                "flow, pressure",
                "--missing=-999,flow=0",
                "--decimal=.",
            ]
        )
        == 0
    )
    (task,) = seen[0].tasks
    assert (task["time"], task["group"], task["features"]) == (None, None, ["flow", "pressure"])
    assert (task["missing"], task["decimal"]) == (["-999", "flow=0"], ".")
    out = capsys.readouterr().out
    assert "time: none, as asked; rows count as evenly spaced" in out
    assert "group: none, as asked; the file is one recording" in out
    assert "'seconds' not asked for; 'machine' not asked for" in out

    assert "missing: there is no column 'flwo' in 'flwo=-1'; did you mean 'flow'?" in refusal(
        capsys, *command, "--missing=-999,flwo=-1"
    )
    assert "no column 'flw' for the features. Did you mean 'flow'?" in refusal(capsys, *command, "--features", "flw")
    assert "features must not name the target, 'state'" in refusal(capsys, *command, "--features", "flow,state")


def test_compare_takes_a_group_of_several_columns_and_an_order_of_dates(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("liquidbench.commands.tables.execute", lambda study, *_: seen.append(study) or 0)
    rows = [
        f"{subject},{visit},0{day}/0{month}/2024,{(subject * 7 + visit * 5 + day * month) % 11}\n"
        for subject in range(6)
        for visit in range(2)
        for month in (1, 2, 3)
        for day in range(1, 9)
    ]
    path = tmp_path / "visits.csv"
    path.write_text("who,round,date,y\n" + "".join(rows))
    command = [
        "compare",
        str(path),
        "--target",
        "y",
        "--task",
        "forecast",
        "--results",
        str(tmp_path),
        "--models",
        "GRU",
    ]
    assert main([*command, "--group", "who,round", "--dates", "day-first"]) == 0
    (task,) = seen[0].tasks
    assert (task["group"], task["dates"]) == (["who", "round"], "day-first")
    assert "group: columns 'who' and 'round', as asked" in capsys.readouterr().out
    assert main([*command, "--group", "who,round", "--dates", "month-first", "--update"]) == 0
    assert seen[1].tasks[0]["dates"] == "month-first"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--time", "seconds", "--no-time"), "argument --no-time: not allowed with argument --time"),
        (("--no-group", "--group", "machine"), "argument --group: not allowed with argument --no-group"),
        (("--features", "flow,,pressure"), "must be distinct column names separated by commas; got 'flow,,pressure'"),
        (("--decimal", ";"), "argument --decimal: invalid choice: ';'"),
        (("--missing", "-999,,"), "argument --missing"),
        (("--features", "flow,flow"), "must be distinct column names separated by commas"),
        (("--features", ""), "must be distinct column names separated by commas; got ''"),
    ],
)
def test_compare_refuses_options_that_contradict_themselves(options, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", table(tmp_path / "pumps.csv"), "--target", "state", *options])
    assert ended.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.slow
def test_compare_takes_a_budget_that_every_model_can_keep(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("liquidbench.commands.tables.execute", lambda study, *_: seen.append(study) or 0)
    random = np.random.default_rng(0)
    path = tmp_path / "wide.csv"
    np.savetxt(
        path, random.normal(size=(300, 161)), "%.3f", ",", header=",".join(f"x{n}" for n in range(161)), comments=""
    )
    command = ["compare", str(path), "--target", "x0", "--task", "regression", "--results", str(tmp_path)]
    assert main(command) == 0
    found = seen[0]
    # A unit more or less of an LTC with 160 inputs is more than a tenth of 4,000 parameters.
    task = tasks.load(found.tasks[0])
    with pytest.raises(ValueError, match="parameters must be within 5%"):
        for model in found.models:
            matching.size_for_budget(model, task, 4000)
    assert 4000 < found.parameters < 32000
    assert [matching.size_for_budget(model, task, found.parameters) for model in found.models]

    capsys.readouterr()
    assert "within 5% of a size that LTC can have" in refusal(capsys, *command, "--parameters", "4000")
    assert main([*command, "--parameters", str(found.parameters), "--models", "GRU"]) == 0
    assert seen[1].parameters == found.parameters


def test_a_dry_run_prints_the_whole_plan_and_writes_nothing(tmp_path, capsys):
    path = tmp_path / "pump\u202eroom.csv"
    lines = ["seconds,machine,pressure [bar],flow\x1b[2J,state"]
    lines += [f"{2 * n % 60},m{n // 30},{n % 11},{n % 7},{'high' if n % 5 else 'low'}" for n in range(270)]
    path.write_text("\n".join(lines))
    command = ["compare", str(path), "--target", "state", "--minutes", "600", "--models", "CfC", "GRU", "--dry-run"]
    assert main([*command, "--results", str(tmp_path / "results")]) == 0
    out, _ = capsys.readouterr()
    assert all(letter.isprintable() for letter in out.replace("\n", "")) and r"\x1b[2J" in out
    for words in (
        "time: column 'seconds'",
        "group: column 'machine'",
        "kind: classification",
        "spans: even, 2",
        "of high, low",
        "pressure [bar] [bar]",
        "test: 60 rows in 2 sequences",
        "plan: 2 models (CfC, GRU) of about 4,000 parameters, 4 trials of each search, 5 seeds",
        "can show: with 5 seeds",
        "Nothing was trained or written",
    ):
        assert words in out, words
    assert not (tmp_path / "results").exists()
    assert "no column 'stat'" in refusal(capsys, *command, "--target", "stat")


@pytest.mark.slow
def test_the_same_comparison_goes_on_though_time_is_measured_anew(tmp_path, capsys, monkeypatch):
    seen = []

    def carried(study, directory, options, loaded, asked):
        directory.mkdir(parents=True, exist_ok=True)
        study_file.write(study, directory, asked)
        seen.append(study)
        return 0

    monkeypatch.setattr(tables, "execute", carried)
    command = ["compare", table(tmp_path / "pumps.csv"), "--target", "state", "--models", "CfC", "GRU"]
    command += ["--results", str(tmp_path / "results"), "--minutes"]
    assert main([*command, "2"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("liquidbench.time_budget.time_models", None)
    assert main([*command, "2"]) == 0 and seen[0] == seen[1]
    assert "plan: the existing one" in capsys.readouterr().out
    # `resume` leaves the line that says so where it is.
    study_file.write(seen[0], tmp_path / "results" / "pumps-state", "")
    assert main([*command, "2"]) == 0
    monkeypatch.undo()
    monkeypatch.setattr(tables, "execute", carried)
    with pytest.raises(SystemExit):
        main([*command, "0.01"])
    assert "holds the results of another version" in capsys.readouterr().err


def test_a_name_of_any_length_names_a_folder(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("liquidbench.commands.tables.execute", lambda study, *_: seen.append(study) or 0)
    monkeypatch.setattr("liquidbench.commands.tables._fit_to_time", lambda study, *_: (study, []))
    for end in ("a", "b"):
        path = tmp_path / "long.csv"
        name = 400 * "y" + end
        path.write_text(f"t,x,{name}\n" + "\n".join(f"{n},{n % 7},{n % 11 + n % 3 / 7}" for n in range(300)))
        assert main(["compare", str(path), "--target", name, "--results", str(tmp_path)]) == 0
    one, other = (study.name for study in seen)
    assert one != other and len(one) == len(other) == 100


@pytest.mark.skipif(os.name != "posix", reason="pipes and links")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "it is a pipe: save its content to a file"),
        (lambda path: os.symlink("elsewhere", path), "it is a link to elsewhere, which does not exist"),
        (lambda path: os.symlink(path, path), "cannot be accessed (Too many levels of symbolic links)"),
        (lambda path: os.symlink("/dev/zero", path), "it is a device"),
        (os.mkdir, "it is a folder: give the file in it"),
    ],
)
def test_what_is_no_file_is_named_at_once(make, words, tmp_path, capsys):
    for name, command in (("t.csv", ("compare", "--target", "y")), ("s.yaml", ("run",))):
        make(tmp_path / name)
        assert words in refusal(capsys, *command, tmp_path / name)


@pytest.mark.parametrize("folder", ["none", "file"])
def test_a_wrong_folder_for_temporary_files_is_named(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TMPDIR", str(tmp_path / folder))
    for command in (("run", written(tmp_path / "s.yaml")), ("compare", table(tmp_path / "t.csv"), "--target", "flow")):
        told = refusal(capsys, *command, "--results", tmp_path / "results")
        assert f"TMPDIR must name a folder for temporary files that can be written to; got {tmp_path / folder}" in told
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "t.csv", "--target", "y", "--processes", "99999999999999999999"),
        ("compare", "t.csv", "--target", "y", "--parameters", "9" * 5000),
        ("train", "occupancy-excerpt", "CfC", "--seed", "99999999999999999999"),
        ("train", "occupancy-excerpt", "CfC", "--seed", "-1"),
        ("run", "s.yaml", "--threads", "1000000"),
    ],
)
def test_numbers_of_any_length_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    err = capsys.readouterr().err
    assert ended.value.code == 2 and "must be " in err and len(err) < 2000


@pytest.mark.skipif(os.name != "posix", reason="a pipe that is closed")
@pytest.mark.parametrize("command", [pytest.param("run", marks=pytest.mark.slow), "report"])
def test_an_output_that_nobody_reads_ends_the_command_without_a_word(command, finished, tmp_path):
    path = written(tmp_path / "s.yaml") if command == "run" else finished
    words = [sys.executable, "-m", "liquidbench", command, path]
    words += ["--results", str(tmp_path), "--in-process"] if command == "run" else []
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert ended.returncode == 141
    assert all(line.startswith("liquidbench: ") for line in ended.stderr.splitlines()), ended.stderr
    # Its leases are given back.
    assert not list(tmp_path.glob("small/leases/*"))


def interruptible() -> None:
    """A shell that starts these tests in the background has them ignore Ctrl-C, which their children would inherit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_stops_and_says_how_to_go_on(tmp_path, number, code):
    path = written(tmp_path / "long.yaml", training={"steps": 400000}, models=["GRU"])
    words = [sys.executable, "-m", "liquidbench", "run", path, "--results", str(tmp_path), "--processes", "1"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=interruptible,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "started" in process.stdout.readline()
        os.killpg(process.pid, number)
        # It takes a second; where all cores are busy with other tests, more.
        out, err = process.communicate(timeout=120)
    assert process.returncode == code and "Traceback" not in err
    assert f"Stopped; 0 of 3 runs are finished and stored. To continue: liquidbench resume {tmp_path / 'small'}" in out


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a service manager does")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_the_report_is_written_leaves_the_one_before(finished, capsys, monkeypatch, number, code):
    assert main(["report", str(finished)]) == 0
    there, before = set(finished.iterdir()), (finished / "report.html").read_bytes()
    handler = signal.signal(number, signal.default_int_handler)
    try:
        monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), number))
        assert main(["report", str(finished)]) == code
    finally:
        signal.signal(number, handler)
    assert capsys.readouterr().err.endswith("liquidbench: stopped\n")
    assert set(finished.iterdir()) == there and (finished / "report.html").read_bytes() == before


def test_shifts_run_from_a_study_to_its_report_and_back_from_predictions(finished, capsys):
    frame = results.read(finished)
    shifted = frame.filter(pl.col("corruption") != "", metric="accuracy")
    kinds = {("removed_steps", 0.0), ("removed_steps", 0.5), ("drift+sampling_rate", 1.0)}
    for run in frame.filter(kind="fit")["run"].unique():
        rows = shifted.filter(run=run).select("corruption", "level", "value").rows()
        scores = {(key, level): value for key, level, value in rows}
        assert set(scores) == kinds
        predicted = predictions.read(finished, run)
        for (key, level), value in scores.items():
            assert score("accuracy", *predicted[predictions.shifted(key, level)]) == value
        clean = frame.filter(run=run, split="test", corruption="", metric="accuracy")["value"].item()
        assert scores["removed_steps", 0.0] == clean
    # What rescore writes is in place of those rows.
    assert main(["rescore", str(finished)]) == 0
    assert (
        results.read(finished).filter(pl.col("corruption") != "").height
        == frame.filter(pl.col("corruption") != "").height
    )
    assert main(["report", str(finished), "--format", "csv"]) == 0
    told = pl.read_csv(finished / "tables" / "task-occupancy-excerpt-shifts.csv")
    assert set(told["shift"]) == {"removed_steps", "drift+sampling_rate"} and set(told["model"]) == {"CfC", "GRU"}
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "Drift, then sampling rate: " in page and "Removed steps: " in page
    assert "Left out on this task: Label shift: each step has a target, and sequences are kept whole." in page
    capsys.readouterr()


def test_scores_are_computed_again_from_predictions_and_new_ones_too(finished, capsys):
    before = results.read(finished)
    assert main(["rescore", str(finished)]) == 0
    assert "Scored again: 4 fits\n" in capsys.readouterr().out
    columns = before.columns
    after = results.read(finished)
    assert after.sort(columns).equals(before.sort(columns)), "equal to the last digit"

    with Leases(finished):
        assert "another liquidbench is running in" in refusal(capsys, "rescore", finished)

    # Another metric of the kind, without a training.
    name = "cross_entropy"
    facts = results.read_tasks(finished)
    told = facts["occupancy-excerpt"]
    facts["occupancy-excerpt"] = replace(told, metrics=tuple(one for one in told.metrics if one != name))
    results.write_tasks(finished, facts)
    fits = [part for part in before.filter(pl.col("metric") != name).partition_by("run")]
    for part in fits:
        lose(finished, part["run"][0])
        results.write(finished, part.to_dicts())
    assert main(["rescore", str(finished), "--metrics", name]) == 0
    assert results.read(finished).sort(columns).equals(before.sort(columns))
    assert "must be among accuracy, " in refusal_of_rescore(finished, capsys)


@pytest.mark.slow
def test_trained_networks_are_tried_on_further_shifts_as_if_the_study_had_asked_for_them(tmp_path, capsys):
    content = {"tasks": ["occupancy-excerpt"], "models": ["GRU"], "seeds": 2, "search": {"trials": 1}}
    content |= {"training": {"steps": 3}, "parameters": 331}
    asked, later = (
        Study.parse({"name": name, **content, "robustness": robustness})
        for name, robustness in (
            ("asked", {"noise": [0.5, 1.5], "bias": True, "drift+removed_steps": [0.5], "label_shift": True}),
            ("later", {"noise": [0.5]}),
        )
    )
    for study in (asked, later):
        (tmp_path / f"{study.name}.yaml").write_text(study.to_yaml())
        run = ["run", str(tmp_path / f"{study.name}.yaml"), "--results", str(tmp_path), "--in-process"]
        assert main(run) == 0, capsys.readouterr().err
    folder, shown = tmp_path / "later", ["seed", "split", "metric", "corruption", "level", "value"]

    def scores(name):
        frame = results.read(tmp_path / name).filter((pl.col("kind") == "fit") & (pl.col("split") == "test"))
        return frame.select(shown).sort(shown)

    def rescored(*options):
        assert main(["rescore", str(folder), *options]) == 0
        return capsys.readouterr().out

    before = scores("later")
    assert "Tried on further shifts" not in rescored() and scores("later").equals(before)
    words = ["--shifts", "noise=0.5,1.5", "bias", "drift+removed_steps=0.5", "label_shift"]
    assert "Tried on further shifts: 2 networks\n" in rescored(*words)
    assert scores("later").equals(scores("asked"))
    assert "Tried on further shifts: 0 networks\n" in rescored("--shifts", "bias")
    assert scores("later").equals(scores("asked"))
    name = sorted(path.stem for path in (folder / "predictions").glob("*.npz"))[0]
    assert predictions.network(folder, name) is not None

    for odd, message in (
        (["--shifts", "nois"], r"--shifts has no key 'nois' \(did you mean 'noise'\?\)"),
        (["--shifts", "noise=a"], "levels of --shifts must be numbers, such as noise=0.5,1; got 'noise=a'"),
        (["--shifts", "noise=-1"], "--shifts.noise.*at least 0"),
        (["--shifts", "all", "noise"], "--shifts must name each shift once; 'noise' is there twice"),
        (["--data", str(tmp_path)], "--data has no effect without --shifts"),
    ):
        assert re.search(message, refusal(capsys, "rescore", folder, *odd)), odd

    # Another network under the same name is not tried.
    arrays = predictions.read(folder, name)
    targets, values = arrays["test"]
    predictions.add(folder, name, {"test": (targets, values[::-1] + 1)})
    assert "no longer predicts what it did" in refusal(capsys, "rescore", folder, "--shifts", "drift")


def test_damaged_predictions_are_made_again(finished, capsys):
    before = results.read(finished)
    fits = sorted(before.filter(kind="fit")["run"].unique())
    path = predictions.path(finished, fits[1])
    content = path.read_bytes()
    path.write_bytes(content[:99] + bytes([content[99] ^ 4]) + content[100:])
    with pytest.warns(KeptFileWarning, match=f"{fits[1]}.npz is damaged.*it is now .*damaged"):
        assert main(["rescore", str(finished)]) == 0
    out = capsys.readouterr().out
    assert "Scored again: 3 fits\n" in out and "of 1 more were damaged. To repeat these fits: liquidbench res" in out
    assert set(results.done(finished)) == set(before["run"]) - {fits[1]} and not path.exists()
    assert main(["resume", str(finished), "--in-process"]) == 0
    shown = ["run", "split", "metric", "step", "trial", "value"]
    fit, again = (frame.filter(run=fits[1]).select(shown).sort(shown) for frame in (before, results.read(finished)))
    assert again.equals(fit) and path.exists()
    capsys.readouterr()
    assert main(["rescore", str(finished)]) == 0
    assert "Scored again: 4 fits\n" in capsys.readouterr().out
    shutil.rmtree(finished / "damaged")


def test_a_damaged_study_is_refused_until_it_is_given_again(finished, capsys):
    path = finished / "study.yaml"
    content = path.read_text()
    path.write_text(content.replace("smallest_difference: 0.01", "smallest_difference: 0.05"))
    assert path.read_text() != content
    study = finished.parents[1] / "small.yaml"
    for command in (["report", finished], ["resume", finished], ["run", study, "--results", finished.parent]):
        said = refusal(capsys, *command)
        assert "study.yaml is damaged: its content does not match its checksum, or it was edited" in said
        assert f"liquidbench run STUDY.yaml --update --results {finished.parent}" in said
    assert main(["run", str(study), "--update", "--results", str(finished.parent)]) == 0
    assert path.read_text() == content


LOST = "its checksum is missing, so it was truncated or edited"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"", "it is empty"),
        (lambda content: bytes(len(content)), "it is empty"),
        (lambda content: content[:9], LOST),
        (lambda content: content[: content.index(b"models")], LOST),
        (lambda content: content[: content.index(b"training")], LOST),
        (lambda content: content[: content.index(b"# checksum")], LOST),
        (lambda content: content[: content.index(b"# checksum")].replace(b"0.01", b"0.05"), LOST),
        (lambda content: content.partition(b"\n")[2].partition(b"# checksum")[0], LOST),
        (lambda content: content[:-20], "its content does not match its checksum, or it was edited"),
        (lambda content: content.replace(b"\n", b"\r\n"), "its content does not match its checksum, or it was edited"),
    ],
)
def test_a_study_that_was_cut_short_or_edited_is_never_read_as_another(change, words, finished, tmp_path, capsys):
    study = finished.parents[1] / "small.yaml"
    directory = tmp_path / "small"
    directory.mkdir()
    (directory / "tasks.json").write_bytes((finished / "tasks.json").read_bytes())
    (directory / "study.yaml").write_bytes(change((finished / "study.yaml").read_bytes()))
    for command in (
        ["report", directory],
        ["resume", directory],
        ["rescore", directory],
        ["export", directory, "--to", "tensorboard"],
        ["run", study, "--results", tmp_path],
    ):
        said = refusal(capsys, *command)
        assert f"study.yaml is damaged: {words}" in said
        assert f"keeps the results: liquidbench run STUDY.yaml --update --results {tmp_path}" in said


@pytest.mark.parametrize("cut", range(0, 420, 7))
def test_no_part_of_an_earlier_versions_study_is_taken_for_one(cut, tmp_path):
    # They wrote no device and no version.
    kept = Study.parse(STUDY | {"version": ""})
    body = kept.to_yaml().replace("device: cpu\n", "").replace("version: ''\n", "")
    text = f"# results of liquidbench, format 2\n{body}".encode()
    path = tmp_path / "study.yaml"
    path.write_bytes(text)
    with pytest.warns(
        KeptFileWarning, match="files of an earlier version or written by another program, which carry no checksum"
    ):
        assert study_file.read(tmp_path) == kept
    path.write_bytes(text[: min(cut, len(text) - 1)])
    with pytest.raises(ValueError, match=r"study\.yaml is damaged: it"):
        study_file.read(tmp_path)


def test_the_folder_that_is_to_be_named_again_is_the_right_one(finished, tmp_path, monkeypatch, capsys):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "study.yaml").touch()
    monkeypatch.chdir(tmp_path / "small")
    said = refusal(capsys, "report", ".")
    assert "--update --results ... If the folder was renamed, first give it the study's name again" in said


def test_facts_of_tasks_that_were_removed_are_created_as_the_error_says(finished, capsys):
    path = finished / "tasks.json"
    # Other tests may have added metrics.
    path.unlink()
    assert main(["resume", str(finished), "--plain"]) == 0
    content = path.read_bytes()
    path.unlink()
    capsys.readouterr()
    for command in (["report", finished], ["rescore", finished], ["export", finished, "--to", "tensorboard"]):
        said = refusal(capsys, *command)
        assert f"tasks.json does not exist. If it was removed, create it again: liquidbench resume {finished}" in said
    assert main(["resume", str(finished), "--plain"]) == 0
    assert path.read_bytes() == content


def test_fits_whose_predictions_are_missing_keep_their_scores_and_are_counted(finished, tmp_path, capsys):
    before = results.read(finished).drop("started", "seconds").sort(pl.all())
    paths = sorted((finished / "predictions").iterdir())
    for counted, missing in (("1 fit", paths[:1]), ("2 fits", paths[:2])):
        for path in missing:
            path.rename(tmp_path / path.name)
        assert main(["rescore", str(finished)]) == 0
        out = capsys.readouterr().out
        assert (
            f"Unchanged: {counted} without predictions in {finished / 'predictions'}. Put the missing files back" in out
        )
        assert f"Scored again: {4 - len(missing)} fits\n" in out
        for path in missing:
            (tmp_path / path.name).rename(path)
    assert results.read(finished).drop("started", "seconds").sort(pl.all()).equals(before)


@pytest.mark.parametrize(
    ("results_at", "words"),
    [
        ("file", "file is a file"),
        ("file/below", "file is a file"),
        ("n" * 300, "File name too long"),
        ("d/" * 2500, "File name too long"),
        pytest.param(
            "/proc",
            "no folder can be created there",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="has none"),
        ),
    ],
)
def test_a_folder_that_cannot_be_one_of_results_is_said(results_at, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    said = refusal(capsys, "run", written(tmp_path / "small.yaml"), "--results", results_at)
    assert (
        words in said
        and "results cannot be stored in" in said
        and said.endswith("Choose a writable folder with --results\n")
    )
    assert len(said) < 500 and Path("file").read_text() == "mine"
    if "n" in results_at:
        assert "no folder of a study's results" in refusal(capsys, "report", results_at)


def test_what_is_in_the_way_of_a_report_is_named(finished, tmp_path, capsys):
    directory = tmp_path / "small"
    shutil.copytree(finished, directory)
    (directory / "report.html").unlink()
    (directory / "report.html").mkdir()
    said = refusal(capsys, "report", directory)
    assert f"Move {directory / 'report.html'} away: it is a folder, but a file is needed there" in said
    assert "Make room" not in said
    (directory / "report.html").rmdir()
    shutil.rmtree(directory / "tables", ignore_errors=True)
    (directory / "tables").write_text("mine")
    said = refusal(capsys, "report", directory, "--format", "csv")
    assert f"Move {directory / 'tables'} away: it is a file, but a folder is needed there" in said


@pytest.mark.parametrize(
    ("kind", "wrong", "right"), [("classification", "mae", "auprc"), ("regression", "auroc", "r2")]
)
def test_metrics_of_another_kind_are_refused_with_those_that_apply(kind, wrong, right, finished, tmp_path, capsys):
    directory = tmp_path / "small"
    shutil.copytree(finished, directory)
    facts = results.read_tasks(directory)
    facts["occupancy-excerpt"] = replace(facts["occupancy-excerpt"], kind=kind)
    results.write_tasks(directory, facts)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    said = refusal(capsys, "rescore", directory, "--metrics", right, wrong)
    assert f"as all tasks of this study are {kind}; {wrong} scores" in said and f" {right}" in said
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before


def test_metrics_are_left_out_for_tasks_of_another_kind_with_a_word(capsys):
    facts = {"here": Facts(kind="classification"), "there": Facts(kind="regression")}
    assert _metrics_by_task(["mae", "f1_macro"], facts) == {"here": ["f1_macro"], "there": ["mae"]}
    assert capsys.readouterr().err.splitlines() == [
        "mae scores regression and is left out for here",
        "f1_macro scores classification and is left out for there",
    ]


def test_a_metric_that_is_undefined_everywhere_is_said(finished, tmp_path, monkeypatch, capsys):
    directory = tmp_path / "small"
    shutil.copytree(finished, directory)

    def undefined(*_):
        raise ValueError("it is defined for two classes")

    monkeypatch.setattr(predictions, "score", undefined)
    assert main(["rescore", str(directory), "--metrics", "auprc"]) in (0, 1)
    said = capsys.readouterr().out
    assert "Undefined: auprc of 4 fits on occupancy-excerpt (it is defined for two classes)\n" in said


def test_a_copy_of_results_does_not_make_a_seed_count_twice(finished, tmp_path, capsys):
    directory = tmp_path / "small"
    shutil.copytree(finished, directory)
    before = results.read(directory)
    (path,) = (directory / "runs").glob("*.parquet")
    for place in ("runs/{} (copy).parquet", "incoming/{}~1.parquet"):
        shutil.copy(path, directory / place.format(path.stem))
    with pytest.warns(KeptFileWarning, match="is a copy"):
        assert main(["rescore", str(directory)]) == 0
    columns = before.columns
    assert pl.read_parquet(directory / "runs").sort(columns).equals(before.sort(columns))
    assert len(list((directory / "runs").iterdir())) == 1 and not list((directory / "incoming").iterdir())


@pytest.mark.slow
def test_the_same_warning_is_printed_once_a_command(finished, tmp_path):
    directory = tmp_path / "small"
    shutil.copytree(finished, directory)
    (path,) = (directory / "runs").glob("*.parquet")
    shutil.copy(path, directory / "runs" / "copy.parquet")
    command = [sys.executable, "-m", "liquidbench", "resume", str(directory)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0 and ended.stderr.count("is a copy") == 1


def refusal_of_rescore(directory, capsys) -> str:
    capsys.readouterr()
    return refusal(capsys, "rescore", directory, "--metrics", "acuracy")


def test_results_of_an_earlier_version_get_a_plain_message(tmp_path, capsys):
    old = tmp_path / "small"
    old.mkdir()
    (old / "study.yaml").write_text("name: small\nlearning_rates: [0.01]\n")
    path = written(tmp_path / "small.yaml")
    for command in (["report", old], ["resume", old], ["rescore", old], ["run", path, "--results", tmp_path]):
        assert "was made by a version of liquidbench whose results this one cannot read" in refusal(capsys, *command)
    assert main(["list", "studies"]) == 0


@pytest.mark.slow
def test_several_matchings_and_a_cheap_search_are_run_and_the_first_matching_is_reported(tmp_path, capsys):
    changes = {"models": ["RNN", "CfC"], "matching": ["state", "parameters"], "search": {"trials": 2, "mode": "cheap"}}
    path = written(tmp_path / "small.yaml", **changes)
    assert main(["run", path, "--results", str(tmp_path / "results"), "--in-process", "--plain"]) == 0
    out = capsys.readouterr().out
    assert "done: CfC at equal state on occupancy-excerpt, seed 1" in out and "(12 of 12 runs)" in out
    frame = results.read(tmp_path / "results" / "small")
    fits = frame.filter(pl.col("kind") == "fit")
    assert set(fits["search"]) == {"cheap"}
    sizes = fits.filter(pl.col("metric") == "state_size", pl.col("matching") == "state")["value"]
    assert sizes.max() - sizes.min() <= 1
    trials = results.trials(frame)
    assert len(trials) == 2 * 2 * 2 and set(trials["seed"]) == {0} and trials["score"].is_finite().all()
    report = " ".join((tmp_path / "results" / "small" / "report.html").read_text().split())
    assert "about as many numbers carried from sample to sample as a GRU of 1,000 trained parameters" in report
    assert "There is one search, with the first seed" in report
    assert "The results also hold equal trained parameters." in report


def test_data_must_be_a_folder_that_is_there(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "studies/demo.yaml", "--data", str(tmp_path / "nowhere")])
    assert ended.value.code == 2
    assert "argument --data: must be a folder, but there is none at" in capsys.readouterr().err
