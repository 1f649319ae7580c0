"""Conditions from the study's file to the report, and networks that can and cannot know the time."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from test_task import recording
from test_task import task as toy

from liquidbench import predictions, predictor, results, search, tasks
from liquidbench.__main__ import main
from liquidbench.study import Study
from liquidbench.tasks.conditioned import conditioned
from liquidbench.tasks.task import SPLITS, numbered
from liquidbench.training.fit import fit

STUDY = """
name: tiny
question: Does it use time?
tasks: [clock, clock@constant, clock@dropped-untold, clock@dropped-span-mask]
models: [CfC, GRU]
parameters: 2000
seeds: 1
search: {trials: 1}
training: {steps: 4}
robustness: {removed_steps: [0.5]}
"""


def clock(data=None):
    """Whether a sequence took long: its values say nothing of that, its spans all."""
    random, split = np.random.default_rng(0), {}
    for name, count in (("train", 200), ("validation", 60), ("test", 200)):
        split[name] = []
        for number in range(count):
            late = number % 2
            times = np.cumsum(random.exponential(3.0 if late else 1.0, size=8))
            # Values that no two recordings share: an answer cannot be remembered from training.
            made = recording(f"{name} {number}", 8, seed=int(random.integers(2**31)))
            split[name].append(replace(made, times=times, targets=late))
    rows = iter(numbered(one for name in SPLITS for one in split[name]))
    split = {name: [next(rows) for _ in split[name]] for name in SPLITS}
    return toy(split, name="clock", per="sequence", window=None, stride=None, irregular=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    (root / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks._LOADERS, "clock", clock)
        assert main(["run", str(root / "tiny.yaml"), "--results", str(root), "--plain", "--in-process"]) == 0
    return root / "tiny"


def test_a_study_goes_from_its_file_to_its_report(folder):
    frame = results.read(folder)
    assert set(frame["status"]) == {"done"} and frame["run"].n_unique() == len(Study.parse(_content()).runs())
    known = results.read_tasks(folder)
    assert len({facts.digest for facts in known.values()}) == 4
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Does elapsed time matter?" in text and "1 seed is too few" in text
    assert "cannot say on 1 of 1 task" in text
    assert (folder / "models" / "clock@constant").is_dir()
    main_scores = frame.filter(split="test", metric=known["clock"].metric)
    assert set(main_scores.filter(pl.col("corruption") != "")["task"]) == set(known)


def test_the_same_targets_are_scored_whether_time_is_told_or_not(folder):
    frame = results.read(folder)

    def targets(condition):
        run = frame.filter(task=f"clock{condition}", model="GRU", kind="fit")["run"][0]
        return predictions.read(folder, run)["test"][0]

    assert np.array_equal(targets(""), targets("@constant"))
    assert np.array_equal(targets("@dropped-untold"), targets("@dropped-span-mask"))


def test_it_can_be_scored_again_and_reported_again(folder, capsys):
    before = results.read(folder).filter(metric="f1_macro").height
    assert main(["rescore", str(folder), "--metrics", "f1_macro", "cross_entropy"]) == 0
    assert results.read(folder).filter(metric="f1_macro").height >= before
    assert main(["report", str(folder), "--format", "csv"]) == 0
    assert (folder / "tables" / "elapsed-time.csv").is_file()


def test_a_kept_network_does_not_stream_under_a_condition(folder):
    (model,) = (folder / "models" / "clock@constant").iterdir()
    with pytest.raises(ValueError, match="trained under the condition 'constant'.*a network of 'clock'"):
        predictor.load(model).stream()


def test_a_bad_condition_ends_a_study_before_it_begins(tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.replace("clock", "occupancy-excerpt"), encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["run", str(path), "--results", str(tmp_path), "--plain"])
    said = " ".join(capsys.readouterr().err.split())
    assert "task 'occupancy-excerpt@constant': all spans of occupancy-excerpt are equal" in said
    assert not list((tmp_path / "tiny").glob("runs/*"))


def test_a_task_and_its_conditions_draw_the_same_settings():
    runs = {run.task_name: run for run in Study.parse(_content()).runs() if run.model == "GRU"}
    space = search.Space([{}])
    drawn = {name: search.draw_settings(run, 3, space) for name, run in runs.items()}
    assert len({settings.to_json() for settings in drawn.values()}) == 1
    other = replace(runs["clock"], task="occupancy-excerpt")
    assert search.draw_settings(other, 3, space) != drawn["clock"]


def _content():
    import yaml

    return yaml.safe_load(STUDY)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["GRU", "CfC"])
def test_networks_read_the_clock_unless_it_is_withheld(model):
    """The answer is known: likelihood of the spans with the time, and half of the sequences without it."""
    content = {"name": "s", "tasks": ["clock"], "models": [model], "parameters": 2000, "seeds": 1}
    study = Study.parse(content | {"search": {"trials": 3}, "training": {"steps": 300}})
    run, base, scores = study.runs()[0], clock(), {}
    for condition in ("", "constant", "dropped-span", "dropped-untold"):
        task = conditioned(base, condition) if condition else base
        name = f"clock@{condition}" if condition else "clock"
        rows = fit(replace(run, task=name), task)
        scores[condition] = next(
            row["value"] for row in rows if (row["split"], row["metric"], row["corruption"]) == ("test", "accuracy", "")
        )
    # Of 200 fair coins, 65 % are heads once in a hundred thousand times.
    assert max(scores["constant"], scores["dropped-untold"]) < 0.65
    assert scores[""] > 0.8 and scores["dropped-span"] > 0.7
