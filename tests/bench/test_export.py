"""Curves and scores as TensorBoard and MLflow read them back."""

import os
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import polars as pl
import pytest
from rehearsal import Rehearsal

from liquidbench import results, study_file
from liquidbench.__main__ import main
from liquidbench.engine import InProcess, execute, plan
from liquidbench.export import _fits, export
from liquidbench.study import Study


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Folder of a study of two models, two seeds and two trials, of which one fit failed."""
    directory = tmp_path_factory.mktemp("study")
    study = Study.parse(
        {"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU", "LTC"], "seeds": 2} | {"search": {"trials": 2}}
    )
    made = plan(study, directory)
    worker = Rehearsal("s", made.tasks, evaluations=3)
    execute(made, InProcess(), worker=worker)
    study_file.write(study, directory)
    failed = results.read(directory).filter(kind="fit").row(0, named=True)
    results.write(directory, [{**failed, "run": "bad", "seed": 7, "metric": "", "status": "failed", "reason": "nan"}])
    return directory


def curve(frame, run, trial, split):
    rows = frame.filter(run=run, trial=trial, split=split, metric="loss").sort("step")
    return dict(rows.select("step", "value").rows())


def test_tensorboard_reads_what_was_measured(finished, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    frame = results.read(finished)
    assert export(frame, "tensorboard", tmp_path / "events", "s") == (5, 0)
    for run, seed in frame.filter(model="LTC", kind="fit").select("run", "seed").unique().rows():
        folder = tmp_path / "events" / "occupancy-excerpt" / "LTC-matched-parameters" / f"seed-{seed}-{run}"
        assert {path.name for path in folder.iterdir() if path.is_dir()} == {"trial-0", "trial-1"}
        for trial in (0, 1):
            events = EventAccumulator(str(folder / f"trial-{trial}")).Reload()
            for split in ("train", "validation"):
                read = {event.step: event.value for event in events.Scalars(f"loss/{split}")}
                # Event files hold single precision.
                assert len(read) == 3 and read == pytest.approx(curve(frame, run, trial, split), rel=1e-6)
            (tried,) = events.Scalars("trial_score")
            known = frame.filter(run=run, trial=trial, metric="trial_score")["value"].item()
            assert tried.step == 3 and tried.value == pytest.approx(known)
        scores = EventAccumulator(str(folder)).Reload()
        assert len(scores.Scalars("validation/accuracy")) == 1
        (score,) = scores.Scalars("test/accuracy")
        known = frame.filter(run=run, split="test", metric="accuracy")["value"].item()
        assert score.step == 3 and score.value == pytest.approx(known)
    # Again, nothing is there twice.
    assert export(frame, "tensorboard", tmp_path / "events", "s") == (0, 5)


def test_scores_on_shifted_data_have_names_of_their_own(finished):
    frame = results.read(finished)
    test = frame.filter(split="test", metric="accuracy", corruption="")
    shifted = test.with_columns(corruption=pl.lit("bias@2+noise"), level=pl.lit(0.5), value=pl.lit(0.25))
    (exported,) = _fits(pl.concat([frame, shifted]).filter(run=test["run"][0]))
    scores = {(split, metric): value for split, metric, value in exported.scores.rows()}
    assert scores["test", "accuracy/bias-version-2-then-noise/0.5"] == 0.25
    assert scores["test", "accuracy"] == test["value"][0]
    # MLflow takes these characters alone.
    assert all(re.fullmatch(r"[\w\-./: ]+", metric) for _, metric in scores)


@pytest.mark.slow
def test_mlflow_reads_what_was_measured_then_what_has_changed_and_has_no_run_twice(finished, tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    # In a process of its own: MLflow and what it stands on warn of many things.
    code = f"""
import sys, warnings
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent / "engine")]!r}
from test_export import CHANGES
from liquidbench import results
from liquidbench.export import _fits, export
from mlflow import MlflowClient
frame, store = results.read({str(finished)!r}), {str(tmp_path / "mlflow.db")!r}
assert export(frame, "mlflow", store, "s") == (5, 0)
assert export(frame, "mlflow", store, "s") == (0, 5)
client = MlflowClient(f"sqlite:///{{store}}")
runs = client.search_runs([client.get_experiment_by_name("s").experiment_id])
assert len(runs) == 5
for run in runs:
    name = run.data.tags["liquidbench.run"]
    if name == "bad":
        assert run.info.status == "FAILED" and run.data.tags["mlflow.note.content"] == "nan"
        continue
    rows = frame.filter(run=name)
    assert run.info.status == "FINISHED" and run.data.params["model"] == rows["model"][0]
    for trial in (0, 1):
        for split in ("train", "validation"):
            history = client.get_metric_history(run.info.run_id, f"trial-{{trial}}/loss/{{split}}")
            losses = rows.filter(trial=trial, split=split, metric="loss").sort("step")
            expected = losses.select("step", "value").rows()
            assert sorted((point.step, point.value) for point in history) == expected and len(expected) == 3
    score = rows.filter(split="test", metric="accuracy")["value"].item()
    assert run.data.metrics["test/accuracy"] == score

after = frame
run = after.filter(model="LTC", kind="fit")["run"][0]
experiment = client.get_experiment_by_name("s").experiment_id
def there():
    found = client.search_runs([experiment], f"tags.`liquidbench.run` = '{{run}}'")
    assert len(found) == 1
    assert len(client.search_runs([experiment])) == 5
    return found[0]
def said(one):
    histories = {{key: [(at.step, at.value) for at in client.get_metric_history(one.info.run_id, key)]
        for key in one.data.metrics}}
    return one.info.status, one.info.end_time, one.data.tags["mlflow.note.content"], one.data.params, histories
expected = said(there())
for change in ("a failed one is done", "a score that is new"):
    changed = CHANGES[change](after, run).filter(run=run)
    assert export(changed, "mlflow", store, "s") == (1, 0), change
    assert said(there()) != expected, change
    assert (there().info.status == "FAILED") == (change == "a failed one is done")
    assert export(changed.reverse(), "mlflow", store, "s") == (0, 1), change
    assert export(after, "mlflow", store, "s") == (1, 4), change
    assert said(there()) == expected, change
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    export(after.filter(run=run), "mlflow", store, "s")
assert any("has 4 more fits of this study, which are not in these results" in str(one.message) for one in told)
# What a kill left half written, or twice, is there once.
cut = client.create_run(experiment, tags={{"liquidbench.run": run}}).info.run_id
assert export(after, "mlflow", store, "s") == (1, 4)
assert said(there()) == expected
# An experiment that was thrown away in MLflow is the study's again.
client.delete_experiment(experiment)
export(after, "mlflow", store, "s")
assert said(there()) == expected
"""
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"], "nothing is left lying about"


def changed(frame, run, **changes):
    """Results in which something of a run is another."""
    return frame.with_columns(
        **{key: pl.when(pl.col("run") == run).then(pl.lit(value)).otherwise(key) for key, value in changes.items()}
    )


def rescored(frame, run):
    """Results in which a run has a score more, and its rows stand in another order."""
    row = frame.filter(run=run, metric="accuracy", split="test").with_columns(metric=pl.lit("f1_macro"), value=0.25)
    return pl.concat([frame, row]).reverse()


CHANGES = {
    "a failed one is done": lambda frame, run: frame.filter(run=run, metric="accuracy", split="test").with_columns(
        metric=pl.lit(""), status=pl.lit("failed"), reason=pl.lit("nan"), value=None
    ),
    "a score": lambda frame, run: changed(frame, run, value=0.5),
    "a score that is new": rescored,
    "when it ran": lambda frame, run: changed(frame, run, seconds=77.0),
    "curves are shorter": lambda frame, run: frame.filter((pl.col("run") != run) | (pl.col("step").fill_null(0) < 3)),
}


def tensorboard_says(folder, run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (place,) = folder.rglob(f"seed-*-{run}")
    return {
        (path.relative_to(place), tag): [(event.step, event.value) for event in events.Scalars(tag)]
        for path in [place, *sorted(place.glob("trial-*"))]
        for events in [EventAccumulator(str(path)).Reload()]
        for tag in events.Tags()["scalars"]
    }


@pytest.mark.parametrize("change", CHANGES)
def test_tensorboard_is_given_what_has_changed(change, finished, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    after = results.read(finished)
    run = after.filter(model="LTC", kind="fit")["run"][0]
    before = CHANGES[change](after, run)
    # Both ways: what is more goes, and what is less comes.
    for number, (one, other) in enumerate([(before, after), (after, before)]):
        again, once = tmp_path / f"again{number}", tmp_path / f"once{number}"
        export(one.filter(run=run), "tensorboard", again, "s")
        assert export(other.filter(run=run), "tensorboard", again, "s") == (1, 0)
        assert export(other.filter(run=run).reverse(), "tensorboard", again, "s") == (0, 1)
        export(other.filter(run=run), "tensorboard", once, "s")
        assert tensorboard_says(again, run) == tensorboard_says(once, run)
        assert len(list(again.rglob("events.out*"))) == len(list(once.rglob("events.out*")))


def test_fits_that_the_results_have_no_more_are_told_of(finished, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    frame, folder = results.read(finished), tmp_path / "e"
    fits = frame.filter(kind="fit")["run"].unique().to_list()
    export(frame, "tensorboard", folder, "s")
    # Another study in the same folder is nobody's business.
    export(frame.filter(run=fits[0]).with_columns(run=pl.lit("other")), "tensorboard", folder, "another")
    assert export(frame, "tensorboard", folder, "s") == (0, 5)
    with pytest.warns(
        UserWarning, match=r"e has 2 more fits of this study, which are not in these results.*delete .*e "
    ):
        assert export(frame.filter(~pl.col("run").is_in(fits[:2])), "tensorboard", folder, "s") == (0, 3)
    assert len(list(folder.rglob("liquidbench.content"))) == 6, "and left alone"


def test_leftovers_of_a_killed_export_are_not_used(finished, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    frame = results.read(finished)
    run = frame.filter(kind="fit", model="LTC")["run"][0]
    export(frame, "tensorboard", tmp_path / "e", "s")
    (place,) = (tmp_path / "e").rglob(f"seed-*-{run}")
    said = tensorboard_says(tmp_path / "e", run)
    place.rename(place.with_name(f".{place.name}.part"))
    assert export(frame, "tensorboard", tmp_path / "e", "s") == (1, 4)
    assert tensorboard_says(tmp_path / "e", run) == said
    assert len(list(place.rglob("events.out*"))) == 3 and not list(place.parent.glob(".*"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("to", "make", "words"),
    [
        ("mlflow", lambda path: path.symlink_to(os.devnull), "SQLite file; it is a device or a pipe: name a file"),
        ("mlflow", os.mkfifo, "SQLite file; it is a device or a pipe: name a file"),
        ("mlflow", Path.mkdir, "SQLite file; it is a folder: name a file in it with --out"),
        ("mlflow", lambda path: path.write_text("mine"), "SQLite file; it is a file of another kind: name another"),
        ("mlflow", lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(4000)), "cannot be used as MLflow's"),
        ("tensorboard", lambda path: path.symlink_to(os.devnull), "a folder for TensorBoard; it is a file: name a"),
        ("tensorboard", lambda path: path.write_text("mine"), "a folder for TensorBoard; it is a file: name a folder"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
@pytest.mark.filterwarnings("ignore")
def test_an_unsuitable_folder_is_refused_and_left_alone(to, make, words, finished, tmp_path):
    pytest.importorskip(to, reason=f"needs the extra {to}")
    path = tmp_path / "there"
    make(path)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(ValueError, match=words) as refused:
        export(results.read(finished), to, path, "s")
    assert str(path) in str(refused.value) and "--out" in str(refused.value) and "\n" not in str(refused.value)
    assert (path.read_bytes() if path.is_file() else None) == content


@pytest.mark.parametrize("to", ["tensorboard", "mlflow"])
@pytest.mark.parametrize("name", ["file/below", "n" * 300, "n" * 300 + "/below"])
def test_a_folder_that_cannot_be_created_is_reported(to, name, finished, tmp_path):
    pytest.importorskip(to, reason=f"needs the extra {to}")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        ValueError, match=r"cannot be written to .*/(file|n+)\S* \(.*\); choose a writable path with --out"
    ):
        export(results.read(finished), to, tmp_path / name, "s")


@pytest.mark.parametrize("to", ["tensorboard", "mlflow"])
@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_is_said_and_nothing_else(to, finished, tmp_path, monkeypatch):
    pytest.importorskip(to, reason=f"needs the extra {to}")
    import resource

    frame, fallen = results.read(finished), []
    monkeypatch.setattr(threading, "excepthook", fallen.append)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ValueError, match=r"(written to|used as) .*\(.*\); (name|choose) a.* with --out"):
            export(frame, to, tmp_path / "there", "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not fallen, "a thread's traceback would be printed"


def test_the_command_line(finished, tmp_path, capsys):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    assert main(["export", str(finished), "--to", "tensorboard", "--out", str(tmp_path / "e")]) == 0
    # The failed one is of no run of the study.
    assert (
        capsys.readouterr().out
        == f"Exported 4 fits to {tmp_path / 'e'}; view them: tensorboard --logdir {tmp_path / 'e'}\n"
    )
    assert main(["export", str(finished), "--to", "tensorboard", "--out", str(tmp_path / "e")]) == 0
    assert "Exported 0 fits" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../../../up", "/{root}/absolute", "..", "a/../../b", "x" * 300])
def test_names_from_strangers_stay_in_the_folder(name, finished, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    name = name.replace("{root}", str(tmp_path / "root"))
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    frame = results.read(finished).with_columns(
        pl.when(pl.col("seed") == 0).then(pl.lit(name)).otherwise(pl.lit("task")).alias("task"),
        (pl.lit(name) + pl.col("run")).alias("run"),
        pl.lit(name).alias("model"),
    )
    assert export(frame, "tensorboard", tmp_path / "a" / "b" / "c" / "events", "s") == (5, 0)
    assert len(list(tmp_path.rglob("events.out*"))) > 5
    below = tmp_path / "a" / "b" / "c" / "events"
    assert all(path.is_relative_to(below) or below.is_relative_to(path) for path in tmp_path.rglob("*"))
    # A link where a task's folder is to be leads nowhere.
    (tmp_path / "other").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "task").symlink_to(tmp_path / "other")
    with pytest.raises(ValueError, match="a link there leads to .*other.*; remove the link"):
        export(frame.filter(task="task"), "tensorboard", tmp_path / "linked", "s")
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("tool", ["tensorboard", "mlflow"])
def test_a_missing_tool_is_reported(tool, finished, tmp_path, monkeypatch):
    for name in ("tensorboard.compat.proto", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(
            ValueError, match=rf'{tool} is not installed; install it with: pip install "liquidrnn\[{tool}\]"'
        ):
            export(results.read(finished), tool, tmp_path / "x", "s")
    assert not list(tmp_path.iterdir())


def test_an_unknown_format(finished, tmp_path):
    with pytest.raises(ValueError, match="to must be one of tensorboard, mlflow; got 'wandb'"):
        export(results.read(finished), "wandb", tmp_path, "s")


def test_nothing_to_export_is_an_error(finished, tmp_path, capsys):
    empty = tmp_path / "s"
    empty.mkdir()
    (empty / "study.yaml").write_bytes((finished / "study.yaml").read_bytes())
    (empty / "tasks.json").write_bytes((finished / "tasks.json").read_bytes())
    with pytest.raises(SystemExit) as ended:
        main(["export", str(empty), "--to", "tensorboard"])
    assert ended.value.code == 2 and "liquidbench resume" in capsys.readouterr().err
    assert not (empty / "tensorboard").exists()


@pytest.mark.parametrize("name", ["a?b.db", "a%20b.db"])
def test_a_path_that_mlflow_would_not_write_to_is_refused(name, finished, tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    with pytest.raises(ValueError, match=r"must have no \? or % in its path"):
        export(results.read(finished), "mlflow", tmp_path / name, "s")
    assert not any(tmp_path.iterdir())
