"""The report, read as text and, where Chromium is installed, looked at in a browser."""

import base64
import csv
import io
import math
import random
import re
import shutil
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from scipy import stats

from liquidbench import report, results
from liquidbench.facts import Facts, Feature, Source
from liquidbench.metrics import Measure
from liquidbench.models import FAMILIES, MODELS, families
from liquidbench.report import figures, svg, tables
from liquidbench.report.task_summary import TaskSummary, decimals, marks, outdone
from liquidbench.results import SCHEMA
from liquidbench.shifts import find
from liquidbench.statistics import COST_RULE, GROUP_RULE, MATCHUP_RULE, PROSPECT_RULE, compare
from liquidbench.study import Study

EVIL = "<script>document.title = 'run'</script>\"'&"

TASKS = {
    "occupancy-excerpt": {
        "title": "Room occupancy (excerpt)",
        "description": "Whether an office is occupied, minute by minute, from its light, temperature and air.",
        "kind": "classification",
        "per": "step",
        "classes": ["empty", "occupied"],
        "outputs": 2,
        "target_unit": "1",
        "metric": "accuracy",
        "metric_label": "Accuracy",
        "higher_is_better": True,
        "standardised_targets": False,
        "baseline": "prior",
        "time_unit": "min",
        "timespan_unit": 1.0,
        "source": {
            "title": "Occupancy Detection (UCI)",
            "url": "https://archive.ics.uci.edu/dataset/357",
            "licence": "CC BY 4.0",
            "citation": "Candanedo and Feldheim, Energy and Buildings 112, 2016",
        },
        "split_rule": "By time: training until 9 February, one hour of gap, validation after it; test files apart.",
        "features": [
            {"name": "light", "unit": "lx"},
            {"name": "CO2", "unit": "ppm"},
            {"name": "ratio", "unit": "1"},
        ],
        "sequences": {"train": 208, "validation": 42, "test": 177},
        "irregular": False,
        "missing": False,
        "window": 32,
        "digest": "7c01" * 16,
    },
    "cheetah-excerpt": {
        "title": "Half-Cheetah (excerpt)",
        "description": "The next observation of a simulated running robot from the observations so far.",
        "kind": "regression",
        "per": "step",
        "classes": None,
        "outputs": 17,
        "target_unit": "as the features",
        "metric": "mse",
        "metric_label": "Mean squared error",
        "higher_is_better": False,
        "standardised_targets": True,
        "baseline": "mean",
        "time_unit": "s",
        "timespan_unit": 0.05,
        "source": {"title": "Half-Cheetah traces", "url": "", "licence": "Apache-2.0", "citation": ""},
        "split_rule": "By trace, each a run of its own.",
        "features": [{"name": f"joint {index} angle", "unit": "rad"} for index in range(17)],
        "sequences": {"train": 640, "validation": 96, "test": 155},
        "irregular": False,
        "missing": False,
        "window": 32,
        "digest": "a9b3" * 16,
    },
    "physionet2012-excerpt": {
        "title": "Intensive care, in-hospital death (excerpt)",
        "description": "Whether a patient dies in hospital, from 48 hours of measurements.",
        "kind": "classification",
        "per": "sequence",
        "classes": ["survived", "died"],
        "outputs": 2,
        "target_unit": "1",
        "metric": "auroc",
        "metric_label": "Area under the ROC curve",
        "higher_is_better": True,
        "standardised_targets": False,
        "baseline": "prior",
        "time_unit": "h",
        "timespan_unit": 0.8,
        "source": {
            "title": "PhysioNet 2012",
            "url": "",
            "licence": "ODC-By",
            "citation": "Silva et al., 2012",
        },
        "split_rule": "By patient.",
        "features": [{"name": "heart rate", "unit": "1/min"}, {"name": "pH", "unit": "1"}],
        "sequences": {"train": 700, "validation": 150, "test": 150},
        "irregular": True,
        "missing": True,
        "window": None,
        "digest": "55de" * 16,
    },
}
TASKS = {name: Facts.from_json(told) for name, told in TASKS.items()}

# Level and spread over seeds of each task, and what a unit of skill is worth.
SCALES = {"occupancy-excerpt": (0.94, 0.006, 0.015), "cheetah-excerpt": (0.21, 0.006, -0.03)}
TRIVIAL = {"occupancy-excerpt": 0.79, "cheetah-excerpt": 0.42, "physionet2012-excerpt": 0.5}
LINEAR = {"occupancy-excerpt": 0.93, "cheetah-excerpt": 0.24, "physionet2012-excerpt": 0.71}
SKILL = {
    "LTC": -0.7,
    "CfC": 0.9,
    "LRCU": 1.1,
    "STC": 0.2,
    "LRC": 0.4,
    "LSTM": 0.6,
    "GRU": 0.7,
    "RNN": -1.2,
    "CTRNN": -0.9,
}
COST = {
    "LTC": 6.1,
    "CfC": 1.6,
    "LRCU": 2.2,
    "STC": 2.5,
    "LRC": 3.0,
    "LSTM": 0.5,
    "GRU": 0.6,
    "RNN": 0.3,
    "CTRNN": 2.8,
}


def make_study(**changes):
    content = {
        "name": "demo",
        "question": "Liquid or recurrent, on three small real tasks?",
        "tasks": list(TASKS),
        "models": ["LTC", "CfC", "LRCU", "LSTM", "GRU"],
        "parameters": 4000,
        "seeds": 3,
        "training": {"epochs": 12},
        "search": {"trials": 2},
        "robustness": {"removed_steps": [0.0, 0.1, 0.3, 0.5], "noise": [0.0, 0.25, 0.5, 1.0]},
        "author_defaults": True,
    }
    return Study.parse(content | changes)


def make_frame(study, failing=(), costs=True, fits=True):
    """Results as training would write them, made up and the same each time.

    `failing` holds (task, model, seed) of the fits that diverge. A task or model with a number behind its name is like
    the one without.
    """
    rows = []
    for run in study.runs():
        if not (costs if run.kind == "cost" else fits):
            continue
        task, like = run.task_name, re.sub(r"-\d+$", "", run.task_name)
        facts = TASKS.get(like, Facts(metric="accuracy"))
        draw = random.Random(f"{task} {run.model_name} {run.variant} {run.seed}{f' split {run.fold}' * bool(run.fold)}")
        level, deviation, worth = SCALES.get(like, (0.78, 0.02, 0.02))
        own = random.Random(run.model)
        skill, dear = SKILL.get(run.model, own.uniform(-1, 1)), COST.get(run.model, own.uniform(0.3, 6))
        apart = run.variant == "author"
        shared = {
            "run": run.id("digest"),
            "study": study.name,
            "task": task,
            "model": run.model_name,
            "variant": run.variant,
            "seed": run.seed,
            "fold": run.fold,
            "matching": run.matching,
            "search": "full" if run.matching else "",
            "kind": run.kind,
            "status": "done",
            "parameters": 4000 + draw.randrange(-150, 150) if not apart else 11_000 + draw.randrange(9000),
            "hidden_size": {"LSTM": 26, "GRU": 30}.get(run.model, 38) * (2 if apart else 1),
            "version": "0.1.0",
            "commit": "2170193",
            "python": "3.11.7",
            "torch": "2.13.0",
            "backend": "cpu",
            "instruction_set": "avx2" if run.model in ("LTC", "CfC", "LRCU") else None,
            "machine": "x86-64, Linux 6.1",
            "threads": 1,
            "started": f"2026-11-24T10:{run.seed:02d}:00+00:00",
            "seconds": 20.0 * dear,
        }
        made = []

        def add(metric, value, shared=shared, made=made, **columns):
            neutral = {"split": "", "corruption": "", "level": 0.0, "epoch": None, "trial": None}
            made.append(shared | neutral | {"metric": metric, "value": value} | columns)

        if run.kind == "cost":
            size = 4 if apart else 1
            add("seconds_per_epoch", 1.4 * dear * size)
            add("step_latency_us", 90 * dear * size)
            add("training_sequences_per_second", 430 / dear / size)
            add("inference_sequences_per_second", 1300 / dear / size)
            add("training_memory_bytes", 2.3e6 * dear * size)
            add("saved_for_backward_bytes", 9e5 * dear * size)
            add("inference_memory_bytes", 4e5 * dear * size)
            add("parameters", shared["parameters"])
        elif (task, run.model, run.seed) in failing:
            reason = "every trial failed: learning rate 0.01: training loss became nan in epoch 4"
            add("", None, reason=reason)
            for row in made:
                row["status"] = "failed"
        else:
            rates = (0.003, 0.01)[: run.search.trials]
            chosen = draw.randrange(len(rates))
            for trial, rate in enumerate(rates):
                of_trial = {"trial": trial, "learning_rate": rate}
                diverged = len(rates) > 1 and trial != chosen and draw.random() < 0.05
                if not apart:
                    luck = random.Random(f"{task} {run.model} {run.seed} {trial}").gauss(0, deviation)
                    score = None if diverged else level + worth * skill + luck
                    add("trial_score", score, split="validation", **of_trial)
                if diverged:
                    reason = "training loss became inf in epoch 1"
                    add("loss", None, split="train", epoch=1, reason=reason, **of_trial)
                    continue
                epochs = draw.randrange(8, study.training.epochs + 1)
                for epoch in range(1, epochs + 1):
                    fall = 0.7 * math.exp(-epoch * rate * 60 / (2 + dear)) + 0.2 - 0.03 * skill
                    noise = draw.gauss(0, 0.008)
                    add("loss", fall * 0.9 + noise, split="train", epoch=epoch, **of_trial)
                    over = 0.05 * max(0, epoch - 8) / 8
                    add("loss", fall + over - noise, split="validation", epoch=epoch, **of_trial)
                add("epochs", epochs, reason="patience", **of_trial)
            of_trial = {"trial": chosen, "learning_rate": rates[chosen]}
            value = level + worth * skill + draw.gauss(0, deviation)
            metric = facts.metric
            add("best_epoch", draw.randrange(4, 9), **of_trial)
            add(metric, value + draw.gauss(0.004, deviation / 2), split="validation", **of_trial)
            add(metric, value, split="test", **of_trial)
            add("trivial", TRIVIAL.get(like, 0.5), split="test")
            add("linear", LINEAR.get(like, 0.6), split="test")
            for corruption, levels, harm in (
                ("removed_steps", run.robustness.removed_steps, 3.0),
                ("noise", run.robustness.noise, 4.5),
            ):
                for damage in levels:
                    worse = harm * damage ** (1.5 if run.model in ("LTC", "CfC", "LRCU") else 1.1) * worth
                    add(
                        metric,
                        value - worse + (draw.gauss(0, deviation) if damage else 0.0),
                        split="test",
                        corruption=corruption,
                        level=damage,
                        **of_trial,
                    )
        rows += made
    return pl.DataFrame(rows, schema=SCHEMA) if rows else SCHEMA.to_frame()


def made(folder, facts=TASKS, failing=(), costs=True, fits=True, **changes):
    """A report's text."""
    study = make_study(**changes)
    frame = make_frame(study, failing, costs, fits)
    path = report.write(study, frame, facts, compare(frame, facts, study.smallest_difference), folder / "r.html")
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a reader sees, by section; and every element with its attributes."""

    VOID = ("meta", "link", "br", "input", "hr", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts, self.section = [], [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag in ("dd", "td", "th", "p", "h3", "small"):
            self.handle_data(" ")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        if not {"style", "script", "title"} & set(self.open):
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def says(self, section):
        return " ".join(self.texts[section].split())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    failing = {("cheetah-excerpt", "LTC", 1), ("physionet2012-excerpt", "LRCU", 2)}
    return made(tmp_path_factory.mktemp("report"), failing=failing)


def test_is_one_file_that_loads_nothing(demo):
    for tag, attributes in Page(demo).elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            target = attributes.get(name, "#")
            assert target.startswith(("#", "data:")), f"<{tag}> asks for {target}"
    style = re.search("<style>(.*?)</style>", demo, re.S).group(1)
    assert "@import" not in style and "url(" not in style
    assert "fetch(" not in demo and "XMLHttpRequest" not in demo


def test_stays_small(tmp_path):
    text = made(tmp_path, models=list(SKILL), seeds=10)
    assert len(text.encode()) < 1_000_000


def test_is_well_formed(demo):
    page = Page(demo)
    assert not page.open
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    main = next(attributes for tag, attributes in page.elements if tag == "main")
    assert main["tabindex"] == "-1", "or the link that skips to it would leave the focus behind"
    targets = {
        attributes["href"][1:] for tag, attributes in page.elements if tag == "a" and "download" not in attributes
    }
    assert targets <= set(ids)


def test_says_the_verdict_first(demo):
    study = make_study()
    frame = make_frame(study, {("cheetah-excerpt", "LTC", 1), ("physionet2012-excerpt", "LRCU", 2)})
    comparison = compare(frame, TASKS, study.smallest_difference)
    verdict = comparison.verdict
    overview = Page(demo).says("overview")
    assert comparison.over_tasks.friedman and comparison.over_tasks.sentence in overview
    assert verdict.judgements[0].sentence.startswith("On Half-Cheetah (excerpt), ")
    order = [overview.index(words) for words in (verdict.headline, verdict.judgements[0].sentence, "Leaderboard")]
    assert order == sorted(order)
    for sentence in (*verdict.warnings, *(one.sentence for one in verdict.judgements)):
        assert " ".join(sentence.split()) in overview
    methods = Page(demo).says("methods")
    assert all(" ".join(rule.split()) in methods for rule in verdict.thresholds)
    assert all(" ".join(rule.split()) in methods for rule in (MATCHUP_RULE, GROUP_RULE, PROSPECT_RULE, COST_RULE))


def test_leaderboard_shows_means_of_the_results(demo):
    frame = make_frame(make_study()).filter(
        pl.col("task") == "occupancy-excerpt",
        pl.col("metric") == "accuracy",
        pl.col("split") == "test",
        pl.col("corruption") == "",
        pl.col("variant") == "matched",
    )
    board = re.search('<table class="leaderboard">(.*?)</table>', demo, re.S).group(1)
    for model in ("LTC", "CfC", "LRCU", "LSTM", "GRU"):
        line = next(row for row in board.split("<tr>") if f'data-model="{model}">' in row)
        shown = re.search('class="value[^"]*">([^<]*)', line).group(1)
        assert shown == f"{frame.filter(pl.col('model') == model)['value'].mean():.3f}"
    assert "†" not in board, "rows of authors stand apart"
    assert "1 failed" in board


def test_each_task_has_its_page(demo):
    page = Page(demo)
    for name, facts in TASKS.items():
        text = page.says(f"task-{name}")
        for part in (
            "Test scores",
            "Learning",
            "Shifted data",
            "Configuration",
            "Cost",
            "Kept for backward",
            "540 kB",
            "720/s",
            "† Published size and rate",
            "no reproduction of a paper",
            "LSTM†: the LTC paper (Hasani et al., AAAI 2021, arXiv 2006.04439), settings for LTC's rivals",
        ):
            assert part in text
        assert facts.split_rule in text and facts.source.licence in text
        assert "trivial predictor" in text
        assert f"{facts.sequences['train']} train" in text
    assert "LTC†" in page.says("task-occupancy-excerpt")
    assert "every trial failed: learning rate 0.01: training loss became nan in epoch 4" in page.says("failures")
    assert "git checkout 2170193 pip install '.[bench]'" in page.says("methods")
    assert "liquidbench 0.1.0" in page.says("methods") and "liquidbench run demo.yaml" in page.says("methods")
    assert "PyTorch 2.13.0" in page.says("methods")
    assert "Layers run by cpu" in page.says("methods") and "Kernels compiled for avx2" in page.says("methods")


def test_the_linear_model_stands_beside_the_trivial_predictor(demo):
    page = Page(demo)
    board = page.says("overview")
    assert "trivial predictor 0.790 " in board and "linear model 0.930 " in board
    task = page.says("task-occupancy-excerpt")
    assert "Linear model a linear model of the current step: 0.930" in task
    assert "One that uses memory beats a linear model of the current step, 0.930" in task
    assert "a linear model of each feature's mean and last value" in page.says("task-physionet2012-excerpt")
    assert re.search('<g class="reference">.*?linear model 0.930<', demo)


def test_older_results_have_no_linear_model(tmp_path):
    study = make_study()
    frame = make_frame(study).filter(pl.col("metric") != "linear")
    path = report.write(study, frame, TASKS, compare(frame, TASKS, 0.01), tmp_path / "r.html")
    assert "linear model" not in path.read_text(encoding="utf-8").split("Thresholds")[0]


def cut_short(frame, models):
    cut = (pl.col("metric") == "epochs") & pl.col("model").is_in(models) & (pl.col("task") == "cheetah-excerpt")
    return frame.with_columns(reason=pl.when(cut).then(pl.lit("minutes")).otherwise("reason"))


def test_trainings_that_the_time_limit_ended_are_reported(tmp_path):
    study = make_study()
    frame = cut_short(make_frame(study), study.models)
    facts = TASKS | {"cheetah-excerpt": replace(TASKS["cheetah-excerpt"], warnings=("a column repeats the target.",))}
    path = report.write(study, frame, facts, compare(frame, facts, 0.01), tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    before, overview = page.says("overview").split("Before you rely on it")
    assert "cannot say" in before and "Half-Cheetah (excerpt): a column repeats the target." in overview
    assert re.search(r"Half-Cheetah \(excerpt\): \d of \d trainings of LTC were ended by the time limit", overview)
    tables = re.findall("<table>.*?</table>", path.read_text(encoding="utf-8"), re.S)
    ended = [Page(f'<section id="t">{text}</section>').says("t") for text in tables if "Ended by" in text]
    assert sum("minutes" in text for text in ended) == 2, "of the task, matched and published"
    assert sum("patience" in text for text in ended) == 4
    board = path.read_text(encoding="utf-8").split('<table class="leaderboard">')[1].split("</table>")[0]
    cheetah = [row.split('<td class="score">')[2] for row in board.split("<tr>") if "data-model" in row]
    assert '"value best"' in board and not any('"value best"' in cell for cell in cheetah), (
        "nothing to be compared, nothing bold"
    )


@pytest.mark.parametrize(
    "commits, expected",
    [
        (["abc123"], "git checkout abc123 pip"),
        (["abc123-dirty"], "git checkout abc123 # with uncommitted changes pip"),
        ([""], "at the commit that created these results, which is not recorded"),
        (["abc", "def"], "of several commits: abc, def"),
    ],
)
def test_reproducing_takes_the_commit_of_the_results(tmp_path, commits, expected):
    study = make_study()
    frame = make_frame(study)
    frame = frame.with_columns(commit=pl.Series([commits[n % len(commits)] for n in range(len(frame))]))
    path = report.write(study, frame, TASKS, compare(frame, TASKS, 0.01), tmp_path / "r.html")
    assert expected in Page(path.read_text(encoding="utf-8")).says("methods")


def test_drawings_have_descriptions(demo):
    drawings = re.findall("<svg.*?</svg>", demo, re.S)
    assert len(drawings) > 50
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        if root.get("aria-hidden") == "true":
            continue
        assert root.get("role") == "img" and root.get("aria-label")
        assert root.find(".//title").text, "something to read when pointed at"
        if "cell" not in root.get("class"):
            assert root.find("title").text == root.get("aria-label")
        assert "nan" not in drawing and "inf" not in drawing.replace("inferior", "")
    captions = re.findall("<figcaption>(.*?)</figcaption>", demo, re.S)
    assert all(len(caption.split()) > 3 for caption in captions)


def test_user_text_cannot_run(tmp_path):
    facts = TASKS["occupancy-excerpt"]
    evil = replace(
        facts,
        title=EVIL,
        description=EVIL,
        metric_label=EVIL,
        metric_unit=EVIL,
        time_unit=EVIL,
        split_rule=EVIL,
        classes=(EVIL, EVIL),
        source=Source(EVIL, EVIL, EVIL, EVIL),
        features=(Feature(EVIL, EVIL),),
        measurements=(Measure("held", EVIL, True, unit=EVIL),),
        digest=EVIL,
    )
    text = made(tmp_path, facts={EVIL: evil}, question=EVIL, tasks=[{"table": "t.csv", "name": EVIL}])
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert text.count("<script") == 1
    assert EVIL in page.says("overview")
    anchors = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert all(re.fullmatch("[a-z0-9-]+", anchor) for anchor in anchors)


def test_folders_of_users_tables_are_not_shown(tmp_path):
    study = make_study(tasks=[{"table": "/home/ann/secret/pumps.csv", "target": "y"}])
    frame = make_frame(study, {("pumps", "LTC", 1)}).with_columns(
        reason=pl.when(pl.col("status") == "failed").then(pl.lit("no file /home/ann/secret/pumps.csv"))
    )
    facts = {"pumps": TASKS["occupancy-excerpt"]}
    path = report.write(study, frame, facts, compare(frame, facts, 0.01), tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "table: pumps.csv" in page.says("methods") and "no file pumps.csv" in page.says("failures")
    assert not any("/home/ann" in text for text in page.texts.values())
    assert study.tasks[0]["table"] == "/home/ann/secret/pumps.csv"


def test_reasons_are_escaped(tmp_path):
    study = make_study()
    frame = make_frame(study, {("cheetah-excerpt", "LTC", 1)}).with_columns(
        reason=pl.when(pl.col("status") == "failed").then(pl.lit(EVIL)).otherwise(None), machine=pl.lit(EVIL)
    )
    path = report.write(study, frame, TASKS, compare(frame, TASKS, 0.01), tmp_path / "r.html")
    assert path.read_text(encoding="utf-8").count("<script") == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "missing, expected",
    [
        ({"costs": False}, "Peak memory in training: not measured yet."),
        ({"fits": False, "costs": False}, "No run has finished yet"),
        ({"fits": False}, "No run has finished yet"),
        ({"seeds": 1}, "of a single seed"),
        ({"models": ["CfC"]}, "CfC"),
        ({"models": ["CTRNN"]}, "not compared"),
        ({"models": ["LSTM"], "author_defaults": False, "seeds": 1, "costs": False}, "LSTM"),
        ({"training": {"epochs": 8}, "robustness": {}}, "Leaderboard"),
        ({"smallest_difference": 0}, "Leaderboard"),
        ({"failing": {(task, "LTC", seed) for task in TASKS for seed in range(3)}}, "3 failed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_missing_parts_are_named(tmp_path, missing, expected):
    page = Page(made(tmp_path, **missing))
    assert expected in page.says("overview")
    assert not page.open


def test_models_stand_beside_themselves_trained_with_another_objective(tmp_path):
    training = {"epochs": 12, "objective": ["erm", "vrex=10"]}
    study = make_study(models=["CfC", "GRU"], training=training, tasks=["occupancy-excerpt"])
    frame, facts = make_frame(study), {"occupancy-excerpt": TASKS["occupancy-excerpt"]}
    comparison = compare(frame, facts, 0.01, study.matching, study.families)
    path = report.write(study, frame, facts, comparison, tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    for name in ("CfC", "CfC+vrex=10", "GRU", "GRU+vrex=10"):
        assert name in page.says("task-occupancy-excerpt"), name
    assert "was trained with what stands after it (V-REx)" in path.read_text(encoding="utf-8")
    # Both are of their model's family.
    assert study.families["GRU+vrex=10"] == study.families["GRU"] != study.families["CfC"]


def test_one_encoder_for_all_is_told_where_there_is_one(tmp_path):
    told = "All networks with a seed and split read images through one encoder."
    for encoder in ("own", "shared"):
        folder = tmp_path / encoder
        folder.mkdir()
        page = made(folder, training={"epochs": 12, "encoder": encoder})
        assert (told in page) == (encoder == "shared")


def test_only_failures(tmp_path):
    study = make_study(models=["CfC", "GRU"])
    failing = {(task, model, seed) for task in TASKS for model in study.models for seed in study.seeds}
    page = Page(made(tmp_path, failing=failing, models=["CfC", "GRU"]))
    assert "failed, for the reasons below" in page.says("task-cheetah-excerpt")
    assert "so there are no scores" in page.says("overview")
    assert page.says("failures").count("every trial failed") == len(failing) * 2


def test_task_without_results_or_facts(tmp_path):
    study = make_study()
    frame = make_frame(study).filter(pl.col("task") == "cheetah-excerpt")
    facts = {"cheetah-excerpt": TASKS["cheetah-excerpt"]}
    path = report.write(study, frame, facts, compare(frame, facts, 0.01), tmp_path / "new" / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "not run yet" in page.says("overview")
    assert "No run has finished on this task" in page.says("task-occupancy-excerpt")
    assert "tasks.json has no entry" in page.says("task-occupancy-excerpt")


def test_same_results_give_the_same_page(tmp_path):
    study = make_study()
    frame = make_frame(study)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    texts = [
        report.write(study, rows, TASKS, compare(rows, TASKS, 0.01), tmp_path / "r.html").read_bytes()
        for rows in (frame, shuffled)
    ]
    assert texts[0] == texts[1]
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"], "nothing is left beside the report"


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_contrast(mode):
    style = (Path(report.__file__).parent / "style.css").read_text(encoding="utf-8") + svg.style_of_families()
    colours = {name: pair.split(", ")[mode] for name, pair in re.findall(r"--(\w+): light-dark\((.*?)\);", style)}

    def luminance(colour):
        channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for text in ("ink", "soft", *FAMILIES, "warn", "bad"):
        for ground in ("paper", "card", "hair"):
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text} on {ground}"


@pytest.mark.parametrize(
    "low, high", [(0.0, 1.0), (0.913, 0.968), (-0.04, 0.04), (0.0312, 0.0317), (3.0, 41_000.0), (-7.0, -2.0)]
)
def test_ticks_are_few_round_and_inside(low, high):
    found = svg.ticks(low, high)
    assert 3 <= len(found) <= 7
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in found)
    step = found[1] - found[0]
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)
    assert all(math.isclose(tick / step, round(tick / step), abs_tol=1e-6) for tick in found)


@pytest.mark.parametrize("low, high", [(900.0, 1100.0), (1.0, 8.0), (80.0, 12_000.0), (2e3, 9e9), (1e-5, 3e-2)])
def test_log_ticks_are_few_and_inside(low, high):
    found = svg.log_ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in found)
    assert found == sorted(set(found))


def test_spread_moves_labels_apart_and_keeps_their_order():
    draw = random.Random(0)
    for _ in range(50):
        wanted = [draw.uniform(0, 200) for _ in range(draw.randrange(1, 12))]
        placed = svg.spread_labels(wanted, 15, 0, 200)
        assert sorted(range(len(wanted)), key=wanted.__getitem__) == sorted(range(len(placed)), key=placed.__getitem__)
        gaps = [b - a for a, b in zip(sorted(placed), sorted(placed)[1:], strict=False)]
        assert all(gap >= 15 - 1e-9 for gap in gaps)
        assert min(placed) >= -1e-9 and max(placed) <= 200 + 1e-9
    assert svg.spread_labels([10, 50, 90], 15, 0, 100) == [10, 50, 90]


@pytest.mark.parametrize(
    "value, unit, text",
    [(4012, "1", "4,012"), (0.00042, "s", "420 µs"), (0.9996, "s", "1 s"), (95.4, "s", "95 s"), (3.4e6, "B", "3.4 MB")]
    + [(999_600, "B", "1 MB"), (0, "s", "0 s"), (0.2e-9, "s", "0.2 ns")],
)
def test_quantities(value, unit, text):
    assert svg.quantity(value, unit).replace(svg.THIN_SPACE, " ") == text


def test_decimals_follow_the_interval():
    assert [decimals(half, 0.9) for half in (0.2, 0.034, 0.0134, 0.0018, 12.0, None, 0.0)] == [1, 2, 3, 4, 0, 2, 2]
    assert decimals(4e-7, 1e-5) == 7


def test_an_axis_contains_all_values():
    axis = svg.Axis.over([0.2, 0.9, math.nan], 0, 100)
    assert 0 < axis.at(0.2) < axis.at(0.9) < 100
    flat = svg.Axis.over([5.0, 5.0], 0, 100)
    assert flat.at(5.0) == pytest.approx(50)
    log = svg.Axis.over([10, 1000], 0, 100, log=True)
    assert log.at(100) == pytest.approx(50)
    assert log.at(0) == 0, "nothing below zero on a logarithm"


def drawn(name, references=((0.5, "trivial"), (0.6, "linear"))):
    """Every figure, of two models, one of them so named."""
    marks = [svg.Mark(name, "liquid", 0), svg.Mark("GRU", "recurrent", 0)]
    pair = list(zip(marks, (0.91, 0.93), strict=True))
    return {
        "strip": figures.strip(
            name, [figures.Row(m, (y, y + 0.01), y, (y - 0.01, y + 0.02), name) for m, y in pair], name, references
        ),
        "scatter": figures.scatter(
            name, [figures.Point(m, 4000, y, (y - 0.01, y + 0.02), name) for m, y in pair], name, name, "1", references
        ),
        "curves": figures.curves(
            name,
            [figures.Series(m, [0, 1], [y, y - 0.02], [None, (y - 0.03, y)], [name, name]) for m, y in pair],
            name,
            name,
            references=references,
        ),
        "ranking": figures.ranking(
            name, list(zip(marks, (1.2, 1.8), strict=True)), 0.9, [(name, [(name, "GRU")])], name
        ),
        "matrix": figures.matrix(name, marks, [[], [figures.MatrixCell(name, 0.5, "liquid", True, name)]]),
        "interval": figures.interval(name, marks[0], 0.9, (0.8, 1.0), (0.7, 1.0)),
        "difference": figures.difference(name, 0.1, (0.0, 0.2), 0.05, 0.3, "liquid", ends=(name, name)),
    }


def test_figures_escape_texts():
    for drawing in drawn(EVIL).values():
        assert "<script" not in drawing
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label") == EVIL
        assert {element.tag for element in root.iter()} <= {"svg", "g", "title", "text", "path", "rect", "circle"}


@pytest.mark.parametrize("figure", ["strip", "scatter", "curves"])
def test_far_references_are_arrows_not_lines(figure):
    near, far = (
        re.search('<g class="reference">(.*?)</g>', drawn("CfC", [(value, "trivial 0")])[figure]).group(1)
        for value in (0.89, 0.1)
    )
    assert "<path" in near and ">trivial 0<" in near
    assert "<path" not in far and re.search("[←↓] trivial 0<", far)


@pytest.mark.parametrize("figure", ["strip", "scatter", "curves"])
def test_two_references_keep_apart(figure):
    drawing = drawn("CfC", [(0.915, "trivial 0.915"), (0.916, "linear 0.916")])[figure]
    found = re.findall('<g class="reference"><path.*?<text class="name" x="[0-9.]+" y="([0-9.]+)"', drawing)
    assert len(found) == 2 and abs(float(found[0]) - float(found[1])) >= svg.FONT


def test_numbers_on_an_axis_keep_apart():
    levels = [0.0, 0.01, 0.02, 0.5, 1.0]
    series = figures.Series(svg.Mark("CfC", "liquid", 0), levels, [0.9] * 5, [None] * 5, [""] * 5)
    drawing = figures.curves("", [series], "", "")
    shown = re.findall('class="ticks" x="([0-9.]+)" y="[0-9.]+" text-anchor="middle">([^<]*)', drawing)
    assert [text for _, text in shown] == ["0.00", "0.50", "1.00"]


LARGE = [f"{name}-{number}" for number in range(1, 5) for name in TASKS]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A study of 20 models, 12 tasks and 10 seeds: its parts, and the path of its report."""
    facts = {name: replace(TASKS[name[:-2]], title=f"{TASKS[name[:-2]].title} {name[-1]}") for name in LARGE}
    models = list(MODELS)[:20]
    study = make_study(tasks=LARGE, models=models, seeds=10, training={"epochs": 30}, author_defaults=True)
    frame = make_frame(study, {(name, "LTC", 1) for name in LARGE[:4]})
    comparison = compare(frame, facts, study.smallest_difference)
    start = time.perf_counter()
    path = report.write(study, frame, facts, comparison, tmp_path_factory.mktemp("large") / "report.html")
    return study, frame, facts, comparison, path, time.perf_counter() - start


@pytest.mark.slow
def test_a_large_study_stays_small_and_quick_to_make(large):
    *_, path, seconds = large
    assert path.stat().st_size < 5_000_000
    assert seconds < 60, "some seconds, on a machine that is not busy"


@pytest.mark.slow
def test_browser_opens_a_large_study_within_two_seconds(large, browser):
    path = large[4]
    loads = []
    for _ in range(3):
        browser.get("about:blank")
        browser.get(path.as_uri())
        loads.append(browser.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
    # The least of three, since other work on the machine only ever adds.
    assert 0 < min(loads) < 2000
    assert arrives(browser, "overview")
    for anchor in ("over-tasks", f"task-{LARGE[0]}"):
        browser.execute_script(f"location.hash = '#{anchor}'")
        assert arrives(browser, anchor)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_many_models_stay_legible(large):
    study, _, _, comparison, path, _ = large
    text = path.read_text(encoding="utf-8")
    task = text.split(f'<section id="task-{LARGE[0]}"')[1].split("</section>")[0]
    curve = next(figure for figure in re.findall("<svg.*?</svg>", task, re.S) if "Training loss by epoch" in figure)
    root = ElementTree.fromstring(curve)
    lines = [group for group in root.iter("g") if "model" in group.get("class", "").split()]
    named = [group for group in lines if "behind" not in group.get("class").split()]
    assert len(lines) == len(study.models) and len(named) == 8
    best = [line.model for line in comparison.leaderboard if line.task == LARGE[0] and line.variant == "matched"]
    assert {group.get("data-model") for group in named} == set(best[:8])
    assert all(group.find("title") is not None for group in lines), "the others say their names when pointed at"
    keys = re.findall('<svg class="key.*?</svg>', text)
    assert len(set(keys)) == len(study.models), "no two look alike"
    page = Page(text)
    assert "12 tasks are too few for signed-rank tests: corrected for all pairs of 20 models" in page.says("over-tasks")


def cells_of(text):
    """The matrix in a section of a report: (model on the left, model above) -> (text, framed, colour)."""
    found = {}
    for classes, model, rival, rest in re.findall(
        '<g class="model at ([^"]*)" data-model="([^"]*)" data-rival="([^"]*)">(.*?)</g>', text, re.S
    ):
        shown = re.search('class="amount"[^>]*>([^<]*)', rest).group(1)
        found[model, rival] = shown, "shown" in classes, classes.split()[0]
    return found


def plain(number):
    return float(number.replace("\N{MINUS SIGN}", "-").replace("≈", ""))


def test_matrix_shows_every_two_models(demo):
    study = make_study()
    frame = make_frame(study, {("cheetah-excerpt", "LTC", 1), ("physionet2012-excerpt", "LRCU", 2)})
    over = compare(frame, TASKS, study.smallest_difference).over_tasks
    cells = cells_of(demo.split('<section id="over-tasks"')[1].split("</section>")[0])
    assert {frozenset(pair) for pair in cells} == {frozenset(pair) for pair in combinations(study.models, 2)}
    for (below, above), (shown, framed, colour) in cells.items():
        found = over.matchup(above, below)
        assert plain(shown) == pytest.approx(found.lead, abs=0.051)
        assert framed == (found.verdict in ("better", "worse"))
        assert colour == families()[above if found.lead >= 0 else below]


@pytest.mark.slow
def test_numbers_of_pairs_are_printed(large):
    comparison, text = large[3], large[4].read_text(encoding="utf-8")
    section = text.split('<section id="over-tasks"')[1].split("</section>")[0]
    rows = [re.sub("<[^>]+>", "|", row) for row in re.findall("<tr>.*?</tr>", section, re.S)[1:]]
    assert len(rows) == len(comparison.over_tasks.matchups) == 190
    for found in comparison.over_tasks.matchups:
        one = found if found.lead >= 0 else found.swapped()
        row = next(row for row in rows if f"|{one.first} over {one.second}|" in row)
        assert f"|{one.record.wins}, {one.record.ties}, {one.record.losses}|" in row and row.count("%") == 3
        assert "|– |" not in row


def test_critical_difference_diagram_draws_the_groups(demo):
    study = make_study()
    frame = make_frame(study, {("cheetah-excerpt", "LTC", 1), ("physionet2012-excerpt", "LRCU", 2)})
    groups = compare(frame, TASKS, study.smallest_difference).over_tasks.groups
    section = demo.split('<section id="over-tasks"')[1].split("</section>")[0]
    drawing = ElementTree.fromstring(re.search("<svg[^>]*Critical.*?</svg>", section, re.S).group())
    places = {}
    for group in drawing.iter("g"):
        if group.get("data-model"):
            shape = group.find("g[@class='glyph']")
            first = next(iter(shape))
            places[group.get("data-model")] = float(first.get("cx") or first.get("d")[1:].split()[0])
    order = [model for model, _ in groups.ranks]
    assert set(places) == set(order)
    assert drawing.find("title").text.endswith(groups.sentence)
    joined = [group.find("title").text for group in drawing.iter("g") if "clique" in group.get("class", "")]
    assert joined == [f"not shown to differ: {', '.join(group)}" for group in groups.nemenyi if len(group) > 1]
    texts = [text.text for text in drawing.iter("text")]
    assert f"critical difference {groups.critical_difference:.2f}" in texts
    assert "3 tasks are too few for signed-rank tests" in Page(demo).says("over-tasks")


def test_cliques_of_both_kinds_have_their_own_lines():
    marks = [svg.Mark(name, "liquid", place) for place, name in enumerate("ABCD")]
    rows = list(zip(marks, (1.2, 2.0, 3.1, 3.7), strict=True))
    groups = [("Nemenyi", [("A", "B"), ("B", "C", "D")]), ("Signed rank", [("A", "C")])]
    root = ElementTree.fromstring(figures.ranking("ranks", rows, 1.4, groups, "Mean rank"))
    cliques = [group for group in root.iter("g") if "clique" in group.get("class", "")]
    across = [re.findall("M([0-9.]+) ([0-9.]+)", group[2].get("d")) for group in cliques]
    assert [len(dots) for dots in across] == [2, 3, 2]
    assert len({x for dots in across for x, _ in dots}) == 3, "one beside the other"
    names = {text.text: float(text.get("y")) for text in root.iter("text") if text.get("class") == "name"}
    assert [float(y) + 4 for _, y in across[2]] == pytest.approx([names["A"], names["C"]]), "past B, who is no member"


def test_over_tasks_gives_the_reason_without_a_diagram(tmp_path):
    page = Page(made(tmp_path, tasks=list(TASKS)[:2]))
    assert "needs three models and three tasks" in page.says("over-tasks")
    assert "here are 5 models and 2 such tasks" in page.says("over-tasks")
    assert "over-tasks" not in Page(made(tmp_path, tasks=list(TASKS)[:1])).texts, "a single task has no such page"
    text = made(tmp_path, smallest_difference=0)
    assert "have no common unit" in Page(text).says("over-tasks")


def test_outdone_against_a_brute_force_search():
    draw = random.Random(3)
    for _ in range(200):
        names = "ABCDEFGH"[: draw.randrange(1, 9)]
        costs = {name: float(draw.randrange(1, 5)) for name in names}
        gains = {name: float(draw.randrange(5)) for name in names}
        found = outdone(costs, gains)
        front = {name for name, rival in found.items() if not rival}
        for name, rival in found.items():
            if rival:
                assert costs[rival] <= costs[name] and gains[rival] >= gains[name]
                assert costs[rival] < costs[name] or gains[rival] > gains[name]
                assert rival in front, "named is one that none outdoes"
        assert not any(
            costs[a] <= costs[b] and gains[a] >= gains[b] and (costs[a] < costs[b] or gains[a] > gains[b])
            for a in front
            for b in front
        )


def test_fronts_are_those_of_the_results(demo):
    frame = make_frame(make_study(), {("cheetah-excerpt", "LTC", 1), ("physionet2012-excerpt", "LRCU", 2)})
    frame = frame.filter(pl.col("task") == "cheetah-excerpt", pl.col("variant") == "matched")
    scores = frame.filter(
        pl.col("metric") == "mse", pl.col("split") == "test", pl.col("corruption") == "", pl.col("value").is_not_null()
    )
    errors = dict(scores.group_by("model").agg(pl.col("value").mean()).iter_rows())
    costs = dict(frame.filter(pl.col("metric") == "seconds_per_epoch").select("model", "value").iter_rows())
    front, best = [], math.inf
    for model in sorted(costs, key=costs.__getitem__):
        if errors[model] < best:
            front.append(model)
            best = errors[model]
    section = demo.split('<section id="task-cheetah-excerpt"')[1].split("</section>")[0]
    figure = re.search(r"<figure[^>]*><svg[^>]*against time for one training epoch.*?</figure>", section, re.S).group()
    told = re.search("At the front: (.*?)\\.</figcaption>", figure).group(1)
    assert set(re.split(", | and ", told)) == set(front)
    assert len(re.findall("V", re.search('class="front" d="([^"]*)"', figure).group(1))) == len(front)
    parameters = re.search(r"<figure[^>]*><svg[^>]*against trained parameters.*?</figure>", section, re.S).group()
    assert 'class="front"' not in parameters and "matched in this" in parameters, "sizes matched within 5 %"


def test_energy_is_shown_if_measured_and_else_reported_once(demo, tmp_path):
    assert demo.count("Energy: not available on this machine") == 1
    assert "Energy: not measured yet" in made(tmp_path, costs=False)
    study = make_study()
    frame = make_frame(study)
    rows = frame.filter(pl.col("metric") == "seconds_per_epoch")
    frame = pl.concat([frame, rows.with_columns(metric=pl.lit("training_energy_joules"), value=pl.lit(0.042))])
    comparison = compare(frame, TASKS, 0.01)
    text = report.write(study, frame, TASKS, comparison, tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "idle power is not subtracted" in page.says("methods") and "not available" not in page.says("methods")
    assert "Energy, one epoch" in page.says("task-cheetah-excerpt")
    assert "42 mJ" in page.says("task-cheetah-excerpt")


def test_the_best_constant_and_the_drift_of_classes_are_shown(tmp_path):
    shares = {"train": (0.79, 0.21), "validation": (0.6, 0.4), "test": (0.14, 0.86)}
    drifted = replace(TASKS["occupancy-excerpt"], class_shares=shares, constant=0.86)
    facts, frame = TASKS | {"occupancy-excerpt": drifted}, make_frame(make_study())
    path = report.write(make_study(), frame, facts, compare(frame, facts, 0.01), tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    overview, section = page.says("overview"), page.says("task-occupancy-excerpt")
    assert "the classes' shares differ between training and test" in overview and "best constant 0.86" in overview
    assert "One that reads its inputs beats the best constant on test, 0.86" in section
    assert "Classes’ shares train empty 79 %, occupied 21 %; validation empty 60 %" in section
    assert "best constant" not in page.says("task-cheetah-excerpt")
    assert "best constant" in report.write_tables(
        make_study(), frame, facts, compare(frame, facts, 0.01), tmp_path, "markdown"
    )[0].read_text(encoding="utf-8")


def test_rules_of_selection_stand_side_by_side(tmp_path):
    section = Page(made(tmp_path)).says("task-occupancy-excerpt")
    assert "Liquid’s lead, by how networks are chosen" in section
    judgements = {one.task: one for one in compare(make_frame(make_study()), TASKS, 0.01).verdict.judgements}
    found = judgements["occupancy-excerpt"].selections
    assert len(found) == 3
    for rule, pair in found.items():
        assert f"{rule}: {'+' if pair.difference > 0 else '−'}{abs(pair.difference):.3f} [" in section


def test_values_are_splits_if_there_are_several(tmp_path):
    study = make_study(splits=4)
    facts = {name: replace(known, rows={"train": 900, "validation": 100, "test": 300}) for name, known in TASKS.items()}
    failed = ("cheetah-excerpt", "LTC", 1)
    frame = make_frame(study, {failed})
    comparison = compare(frame, facts, 0.01)
    path = report.write(study, frame, facts, comparison, tmp_path / "r.html")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    section = page.says("task-occupancy-excerpt")
    assert "Dots are outer splits, means over seeds, the large mark is their mean" in section
    assert "over 4 splits, 3 seeds each; " in section and "12 runs in 4 splits" in section
    assert "splits, seeds and tasks" in page.says("overview")
    assert "on each of 4 outer splits" in page.says("methods")
    assert "1, split 3" in page.says("failures")
    # Each split has its own thread among the learning curves, and each score on shifted data its corrected interval.
    name = "occupancy-excerpt"
    task = TaskSummary(name, facts[name], frame, marks(study.model_names, study.families), comparison)
    assert len(task.learning("CfC", "train")) == 12
    spread = task.shifted("CfC", "noise", 1.0)
    rows = frame.filter(
        pl.col("task") == "occupancy-excerpt", pl.col("model") == "CfC", pl.col("variant") == "matched"
    ).filter(pl.col("corruption") == "noise", pl.col("level") == 1.0)
    means = rows.group_by("fold").agg(pl.col("value").mean()).sort("fold")["value"].to_list()
    assert spread.values == pytest.approx(means) and spread.mean == pytest.approx(np.mean(means))
    error = np.std(means, ddof=1) * math.sqrt(1 / 4 + 300 / 900)
    assert spread.interval == pytest.approx(stats.t.interval(0.95, 3, loc=spread.mean, scale=error))


def test_who_degrades_least_is_said_and_tabled(tmp_path):
    study = make_study(robustness={"noise": [0.5, 1.0], "label_shift": True, "sensor_dropout": True})
    frame, facts = make_frame(study), TASKS
    comparison = compare(frame, facts, 0.0)
    path = report.write(study, frame, facts, comparison, tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    effects = [one for one in comparison.shifts if one.shift == "noise"]
    assert len(effects) == len(TASKS)
    for effect in effects:
        section = page.says(f"task-{effect.task}")
        assert effect.sentence in section and f"{effect.models[0].model} degrades least" in effect.sentence
        assert "Steps removed" not in section
        reason = find("label_shift").why_not(facts[effect.task])
        assert ("Left out on this task: " in section) == bool(reason)
        assert not reason or f"Left out on this task: Label shift: {reason}." in section
    assert "a drop is the score on unchanged data" in page.says("methods")
    report.write_tables(study, frame, facts, comparison, tmp_path, "csv")
    table = pl.read_csv(tmp_path / f"task-{effects[0].task}-shifts.csv")
    least = effects[0].models[0]
    (row,) = table.filter(shift="noise", model=least.model, quantity="area").iter_rows(named=True)
    assert row["loss"] == pytest.approx(least.area.mean) and row["low"] == pytest.approx(least.area.interval[0])
    assert table.filter(model=least.model, quantity="drop")["level"].to_list() == [0.5, 1.0]


def on_time(folder, **changes):
    """A study in which LTC alone loses without elapsed time, its comparison, and its report."""
    names = ["occupancy-excerpt", "occupancy-excerpt@dropped-span", "occupancy-excerpt@dropped-untold"]
    names += ["physionet2012-excerpt", "physionet2012-excerpt@constant"]
    study = make_study(tasks=names, models=["LTC", "CfC", "GRU"], robustness={}, author_defaults=False, **changes)
    facts = {name: TASKS[name.partition("@")[0]] for name in names}
    facts |= {
        name: replace(one, title=f"{one.title}, {name.partition('@')[2]}") for name, one in facts.items() if "@" in name
    }
    frame = make_frame(study)
    same = frame.filter(pl.col("task").is_in(["occupancy-excerpt", "physionet2012-excerpt"]))
    frames = [frame.filter(pl.col("kind") == "cost")]
    for name in names:
        base, _, condition = name.partition("@")
        loses = (pl.col("model") == "LTC") & (pl.col("split") == "test") & pl.col("metric").is_in(["accuracy", "auroc"])
        loss = pl.when(loses).then(0.3 + 0.001 * pl.col("seed")).otherwise(0.0)
        loss = loss * (condition in ("constant", "dropped-untold"))
        place = {
            (row["model"], row["seed"]): row["run"] for row in frame.filter(task=name, kind="fit").iter_rows(named=True)
        }
        own = same.filter(task=base, kind="fit")
        runs = [place[model, seed] for model, seed in own.select("model", "seed").iter_rows()]
        frames.append(own.with_columns(run=pl.Series(runs), task=pl.lit(name), value=pl.col("value") - loss))
    frame = pl.concat([one.cast(SCHEMA) for one in frames])
    comparison = compare(frame, facts, study.smallest_difference)
    path = report.write(study, frame, facts, comparison, folder / "r.html")
    return study, frame, facts, comparison, path.read_text(encoding="utf-8")


def test_whether_elapsed_time_matters_has_its_page(tmp_path):
    study, frame, facts, comparison, text = on_time(tmp_path)
    page = Page(text)
    said = page.says("elapsed-time")
    assert "Does elapsed time matter?" in said and len(comparison.elapsed) == 2
    for one in comparison.elapsed:
        assert one.sentence in said and "used by LTC" in one.sentence
        assert all(use.sentence in said for use in (*one.uses, *one.families))
    # One row of the heat map for each task and condition, one cell for each model.
    drawing = re.search(r"<svg[^>]*>(?:(?!</svg>).)*What models lose without elapsed time.*?</svg>", text, re.S)[0]
    assert drawing.count('class="amount"') == 6 and drawing.count('class="model at liquid shown"') == 2
    assert drawing.count("+30<") == 2 and drawing.count("0.0<") == 4
    assert "Framed and bold: shown to use elapsed time, 2 of 6 cells." in said
    # They are no further tasks.
    assert "2 tasks together" in page.says("over-tasks") and "of 2 tasks" in page.says("overview")
    assert "dropped-untold" not in page.says("overview") and "of 5 tasks" not in text
    heads = [one for one in comparison.leaderboard if "@" in one.task]
    assert heads and "Test scores" in page.says("task-occupancy-excerpt-dropped-untold")
    assert "Elapsed time: networks that are told" in page.says("methods")


def test_the_table_on_elapsed_time_has_the_numbers(tmp_path):
    study, frame, facts, comparison, _ = on_time(tmp_path)
    for form, ending in (("csv", "csv"), ("markdown", "md"), ("latex", "tex")):
        files = report.write_tables(study, frame, facts, comparison, tmp_path, form)
        assert tmp_path / f"elapsed-time.{ending}" in files
    rows = list(csv.DictReader(io.StringIO((tmp_path / "elapsed-time.csv").read_text(encoding="utf-8"))))
    uses = [use for one in comparison.elapsed for use in (*one.uses, *one.families)]
    assert len(rows) == len(uses) == 10
    for row, use in zip(rows, uses, strict=True):
        assert row["who"] == use.who and row["verdict"] == use.verdict and row["told"] == use.pair.first
        assert float(row["score_told"]) - float(row["score_withheld"]) == pytest.approx(use.drop, abs=1e-7)
    assert float(rows[0]["loss"]) == pytest.approx(0.301) and rows[0]["withheld"] == "occupancy-excerpt@dropped-untold"
    board = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "dropped" not in board and "@" not in (tmp_path / "leaderboard.csv").read_text(encoding="utf-8")


def test_without_a_unit_there_is_no_heat_map_and_without_conditions_no_page(tmp_path, demo):
    *_, text = on_time(tmp_path, smallest_difference=0.0)
    assert "Losses on different tasks have no common unit here" in Page(text).says("elapsed-time")
    assert "elapsed-time" not in demo and "Elapsed time" not in demo


def test_a_task_summary_keeps_only_what_is_shown():
    study = make_study()
    frame = make_frame(study).select(pl.col(name).cast(kind) for name, kind in results.COMPACT.items())
    rows = frame.filter(pl.col("task") == "occupancy-excerpt")
    # Losses of a trial that was not chosen are shown nowhere.
    unseen = rows.filter(pl.col("metric") == "loss", pl.col("value").is_not_null())
    unseen = unseen.with_columns(trial=pl.lit(9, pl.Int32))
    many = pl.concat([frame, *[unseen] * 50])
    comparison = compare(frame, TASKS, 0.01)

    def kept(frame):
        task = TaskSummary(
            "occupancy-excerpt", TASKS["occupancy-excerpt"], frame, marks(study.model_names, study.families), comparison
        )
        parts = [getattr(part, "rows", part) for part in vars(task).values() if not isinstance(part, pl.DataFrame)]
        return sum(part.estimated_size() for part in [*parts, task.odd] if isinstance(part, pl.DataFrame))

    assert 0 < kept(frame) == kept(many) < rows.estimated_size()


def test_the_verdict_under_other_matchings_is_a_table(tmp_path, demo):
    assert "under the other matchings" not in demo
    study = make_study(matching=["parameters", "state"])
    frame = make_frame(study)
    # With equal state CfC and LRCU have lost all that they were ahead.
    worse = pl.col("metric").is_in(["accuracy", "mse", "auroc"]) & pl.col("model").is_in(["CfC", "LRCU"])
    value = pl.when(worse & (pl.col("matching") == "state")).then(pl.col("value") * 0.5).otherwise("value")
    frame = frame.with_columns(value=value)
    comparison = compare(frame, TASKS, 0.01, study.matching)
    path = report.write(study, frame, TASKS, comparison, tmp_path / "r.html")
    overview = Page(path.read_text(encoding="utf-8")).says("overview")
    assert comparison.stands in overview and "with equal state" in comparison.stands
    table = overview.split("under the other matchings", 1)[1].split("Leaderboard")[0]
    assert "Equal parameters the verdict above Equal state" in table
    for verdict in (comparison.verdict, *comparison.others.values()):
        for one in verdict.judgements:
            pair = one.pair
            winner = {"liquid better": pair.first, "recurrent better": pair.second}.get(one.verdict)
            assert (f"{winner} better" if winner else one.verdict) in table
    # The same in files, for reading and for computing.
    rows = {}
    for form, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
        report.write_tables(study, frame, TASKS, comparison, tmp_path / "tables", form)
        rows[form] = (tmp_path / "tables" / f"matchings.{ending}").read_text(encoding="utf-8")
        assert f'download="matchings.{ending}"' in path.read_text(encoding="utf-8")
    assert "| Task | Equal parameters | Equal state |" in rows["markdown"] and comparison.stands in rows["markdown"]
    assert check_latex(rows["latex"], 3)[0] == ["Task", "Equal parameters", "Equal state"]
    records = list(csv.DictReader(io.StringIO(rows["csv"])))
    assert len(records) == 2 * len(TASKS)
    verdicts = {"parameters": comparison.verdict, **comparison.others}
    for row in records:
        one = next(one for one in verdicts[row["matching"]].judgements if one.task == row["task"])
        assert (row["liquid"], row["recurrent"], row["verdict"]) == (one.pair.first, one.pair.second, one.verdict)
        assert float(row["difference"]) == pytest.approx(one.pair.difference, rel=1e-8)
        assert f"| {TASKS[row['task']].title} |" in rows["markdown"] and one.short in rows["markdown"]


def test_matchings_without_results(tmp_path):
    study, nothing = make_study(matching=["parameters", "state"]), SCHEMA.to_frame()
    comparison = compare(nothing, TASKS, 0.01, study.matching)
    text = report.write(study, nothing, TASKS, comparison, tmp_path / "r.html").read_text(encoding="utf-8")
    assert Page(text).says("overview").count("not run yet") == 2 * len(TASKS)
    (path,) = report.write_tables(study, nothing, TASKS, comparison, tmp_path, "csv")
    assert path.name == "matchings.csv" and path.read_text().count("occupancy-excerpt,parameters,,") == 1


def with_trials(frame, scores):
    """Results with other scores of trials: `scores` by task, model and seed."""
    fits = frame.filter(pl.col("metric") == "best_epoch", pl.col("variant") == "matched")
    rows = []
    for row in fits.sort("seed").iter_rows(named=True):
        for trial, value in enumerate(scores(row["task"], row["model"], row["seed"])):
            rows.append(row | {"metric": "trial_score", "split": "validation", "trial": trial, "value": value})
    return pl.concat([frame.filter(pl.col("metric") != "trial_score"), pl.DataFrame(rows, schema=frame.schema)])


def test_tuning_curves_are_means_over_all_choices_of_trials(tmp_path):
    study = make_study()
    draw = random.Random(1)
    known = {}

    def scores(task, model, seed):
        values = [0.8 + 0.1 * draw.random() for _ in range(5)]
        values[3] = None if (model, seed) == ("CfC", 1) else values[3]
        return known.setdefault((task, model, seed), values)

    frame = with_trials(make_frame(study), scores)
    path = report.write(study, frame, TASKS, compare(frame, TASKS, 0.01), tmp_path / "r.html")
    section = path.read_text(encoding="utf-8").split('<section id="task-occupancy-excerpt"')[1].split("</section>")[0]
    for model in ("CfC", "GRU"):
        searches = [known["occupancy-excerpt", model, seed] for seed in range(3)]
        filled = [[TRIVIAL["occupancy-excerpt"] if value is None else value for value in one] for one in searches]
        for k in range(1, 6):
            expected = np.mean([np.mean([max(some) for some in combinations(one, k)]) for one in filled])
            told = re.search(f"{model}, best of {k} trials?: ([0-9.]+)<", section).group(1)
            assert float(told) == pytest.approx(expected, abs=0.0006)
    assert "1 failed trial counts as the trivial predictor’s score" in section


def test_tuning_curves_of_errors_fall(demo):
    section = demo.split('<section id="task-cheetah-excerpt"')[1].split("</section>")[0]
    assert "Mean squared error on validation" in section and "where a line still falls" in section
    for model in ("CfC", "GRU"):
        one, two = (
            float(re.search(f"{model}, best of {k}: ([0-9.]+)<", section).group(1)) for k in ("1 trial", "2 trials")
        )
        assert two < one


def test_a_single_trial_has_no_tuning_curve(tmp_path):
    text = made(tmp_path, search={"trials": 1})
    assert "Each search had a single trial" in Page(text).says("task-cheetah-excerpt")
    assert "best of so many trials" not in text


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "models, smallest, kind",
    [(["LRCU", "RNN"], 0.01, "up to"), (["CfC", "GRU"], 0.1, "above"), (["CfC", "GRU"], 0.001, "")],
)
def test_the_stated_changes_do_change_a_verdict(tmp_path, models, smallest, kind):
    study = make_study(models=models, seeds=10)
    frame = make_frame(study)
    page = Page(made(tmp_path, models=models, seeds=10, smallest_difference=smallest))
    told = 0
    for judgement in compare(frame, TASKS, smallest).verdict.judgements:
        says = page.says(f"task-{judgement.task}")
        assert "What would change this verdict" in says and "What the lead costs" in says
        assert len(judgement.prices) == 5 and all(price.sentence in says for price in judgement.prices)
        if judgement.prospect:
            assert judgement.prospect.sentence in says
            told += not kind
            continue
        found = re.search(
            r"holds for every smallest difference (up to|above) ([0-9.]+); in this study it is ([0-9.]+[0-9])", says
        )
        assert found.group(1) == kind
        limit, margin = float(found.group(2)), float(found.group(3))
        assert margin == pytest.approx(judgement.pair.margin, rel=0.01)
        told += 1
        # Other tasks have another p then, so that the correction may leave more room than is said.
        for factor in (0.97, 1.4 if kind == "up to" else 1.03):
            again = compare(frame, TASKS, smallest * factor * limit / judgement.pair.margin).verdict
            verdict = next(one.verdict for one in again.judgements if one.task == judgement.task)
            assert (verdict == judgement.verdict) == ((factor < 1) == (kind == "up to"))
    assert told


def test_what_is_missing_for_a_verdict(tmp_path):
    page = Page(made(tmp_path, seeds=2))
    assert "A verdict needs 3 seeds that both have finished; there are 2." in page.says("overview")
    study = make_study()
    frame = cut_short(make_frame(study), study.models)
    path = report.write(study, frame, TASKS, compare(frame, TASKS, 0.01), tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "There could be a verdict if the time limit had not ended trainings." in page.says("task-cheetah-excerpt")


def check_latex(text, columns):
    """What would stop LaTeX, or set something else than meant, in a table of so many columns."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines)
    assert body.isascii()
    opened = []
    for kind, name in re.findall(r"\\(begin|end){(\w+)}", body):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    known = (
        "begin end centering caption label toprule midrule bottomrule endhead endfoot textbf textbackslash textless "
        "textgreater textbar textasciitilde textasciicircum textdagger textmu times pm approx chi dots"
    )
    assert set(re.findall(r"\\([a-zA-Z]+)", body)) <= set(known.split())
    bare = re.sub(r"\\[a-zA-Z]+|\\[\\{}$&#%_,]", "", body)
    bare = re.sub(r"\$[^$]*\$", "", bare)
    assert not re.search(r"[\\$#%_^]", bare.replace("{tab:", ""))
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    rows = [line for line in lines if line.endswith(r" \\") and "caption" not in line]
    assert rows and all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", row[:-2])] for row in rows]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The demo's tables, name -> text, by form."""
    study, folder = make_study(), tmp_path_factory.mktemp("tables")
    frame = make_frame(study, {("cheetah-excerpt", "LTC", 1), ("physionet2012-excerpt", "LRCU", 2)})
    comparison = compare(frame, TASKS, study.smallest_difference)
    texts = {}
    for form in ("markdown", "latex", "csv"):
        paths = report.write_tables(study, frame, TASKS, comparison, folder / form, form)
        assert sorted(paths) == sorted((folder / form).iterdir())
        texts[form] = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    return texts, comparison


def test_tables_come_in_three_forms(written):
    texts, comparison = written
    names = {"leaderboard", "over-tasks", "over-shifts"} | {
        f"task-{task}{kind}" for task in TASKS for kind in ("", "-pairs", "-shifts")
    }
    assert all(set(of) == names for of in texts.values())
    best = next(line for line in comparison.leaderboard if line.task == "occupancy-excerpt")
    shown = f"{best.mean:.3f} [{best.interval[0]:.3f}, {best.interval[1]:.3f}]"
    line = next(line for line in texts["markdown"]["leaderboard"].splitlines() if f"| {best.model} |" in line)
    assert f"| **{shown}** |" in line
    rows = check_latex(texts["latex"]["leaderboard"], 5)
    assert rows[0][2] == "Room occupancy (excerpt) (Accuracy, higher is better)"
    assert next(row for row in rows if row[1] == best.model)[2] == rf"\textbf{{{shown}}}"
    for name, columns in (
        ("over-tasks", 9),
        ("over-shifts", 7),
        ("task-cheetah-excerpt", 12),
        ("task-cheetah-excerpt-pairs", 6),
        ("task-cheetah-excerpt-shifts", 3),
    ):
        widths = {line.count("|") for line in texts["markdown"][name].splitlines() if line.startswith("|")}
        assert widths == {columns + 1}
        check_latex(texts["latex"][name], columns)
    with pytest.raises(ValueError, match="form must be one of markdown, latex, csv; got 'pdf'"):
        report.write_tables(make_study(), SCHEMA.to_frame(), {}, comparison, "nowhere", "pdf")


def test_csv_holds_the_numbers_in_full(written):
    texts, comparison = written
    rows = list(csv.DictReader(io.StringIO(texts["csv"]["leaderboard"])))
    assert len(rows) == len(comparison.leaderboard)
    for line in comparison.leaderboard:
        row = next(
            row for row in rows if (row["task"], row["model"], row["variant"]) == (line.task, line.model, line.variant)
        )
        assert float(row["mean"]) == pytest.approx(line.mean, rel=1e-8)
        assert int(row["failures"]) == line.failures and int(row["seeds"]) == line.seeds
    rows = list(csv.DictReader(io.StringIO(texts["csv"]["task-cheetah-excerpt-pairs"])))
    pairs = [pair for pair in comparison.pairs if pair.task == "cheetah-excerpt"]
    assert [float(row["difference"]) for row in rows] == pytest.approx([pair.difference for pair in pairs], rel=1e-8)
    assert [row["verdict"] for row in rows] == [pair.verdict for pair in pairs]
    rows = list(csv.DictReader(io.StringIO(texts["csv"]["over-tasks"])))
    for row in rows:
        found = comparison.over_tasks.matchup(row["first"], row["second"])
        assert float(row["lead"]) == pytest.approx(found.lead, rel=1e-8) and int(row["wins"]) == found.record.wins


def test_tables_in_the_page_are_the_same(demo, written):
    links = re.findall(r'<a download="([^"]*)" href="data:text/plain;charset=utf-8,([^"]*)">', demo)
    assert len(links) == 9 + 7 * len(TASKS)
    forms = {"md": "markdown", "tex": "latex", "csv": "csv"}
    for name, address in links:
        stem, ending = name.split(".")
        assert unquote(address.replace("&#39;", "'").replace("&amp;", "&")) == written[0][forms[ending]][stem]


def test_any_text_can_be_in_a_table():
    evil = 'a_b & 50 % {x} $y$ #1 ^~\\ <i> |p| --- "q" * `c` [d](e) 3 µs −1×10⁻⁵ ≈ †'
    table = tables.Table("t", "T", evil, [(evil, False), ("n", True)], [[evil, tables.Bold("1")], ["[2]", ""]], [])
    rows = check_latex(table.render("latex"), 2)
    assert rows[0][0] == (
        r"a\_b \& 50 \% \{x\} \$y\$ \#1 \textasciicircum{}\textasciitilde{}\textbackslash{} \textless{}i\textgreater{} "
        r"\textbar{}p\textbar{} -{}-{}- ''q'' * `c` [d](e) 3 \textmu{}s $-$1$\times$10$^{-5}$ $\approx$ \textdagger{}"
    )
    assert rows[2][0] == "{}[2]", "or it would be the optional argument of the line's end before"
    lines = table.render("markdown").splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]] == [3, 3, 3, 3]
    assert "<i>" not in table.render("markdown") and "](e)" not in table.render("markdown")
    assert table.render("csv") == ""


def test_long_tables_of_latex_may_break():
    rows = [[str(number), "x"] for number in range(tables.LONG)]
    table = tables.Table("t", "T", "Long.", [("a", True), ("b", False)], rows, [])
    assert len(check_latex(table.render("latex"), 2)) == tables.LONG + 1
    assert r"\begin{longtable}{rl}" in table.render("latex")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument("--disable-component-update")
    options.add_argument("--disable-sync")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, Service(driver))
    yield opened
    opened.quit()


@pytest.fixture
def shown(browser, demo, tmp_path):
    """The demo's report, open at its beginning."""
    path = tmp_path / "report.html"
    path.write_text(demo, encoding="utf-8")

    def show(anchor="", width=1280, dark=False):
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get("about:blank")
        browser.get(f"{path.as_uri()}{anchor}")
        return browser

    return show


def visible_sections(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('main > section')].filter(s => s.checkVisibility()).map(s => s.id)"
    )


def arrives(browser, section):
    """Whether the browser comes to show this section alone; following a link takes it a moment."""
    deadline = time.monotonic() + 5
    while visible_sections(browser) != [section] and time.monotonic() < deadline:
        time.sleep(0.02)
    return visible_sections(browser) == [section]


def test_browser_shows_a_task_on_a_click(shown):
    browser = shown()
    assert arrives(browser, "overview")
    tab = browser.find_element("css selector", "#tab-task-cheetah-excerpt")
    assert tab.get_attribute("role") == "tab"
    tab.click()
    assert arrives(browser, "task-cheetah-excerpt")
    assert tab.get_attribute("aria-selected") == "true"
    assert browser.current_url.endswith("#task-cheetah-excerpt")
    assert browser.get_log("browser") == []


def test_browser_draws_words_without_an_outline(shown):
    browser = shown()
    outlined = browser.execute_script(
        "return [...document.querySelectorAll('svg text')].filter(text => getComputedStyle(text).stroke != 'none')"
        ".map(text => text.textContent)"
    )
    assert outlined == []
    assert browser.execute_script("return document.querySelectorAll('svg text.end').length") > 0


def test_browser_opens_a_deep_link_and_goes_back(shown):
    browser = shown("#task-occupancy-excerpt")
    assert arrives(browser, "task-occupancy-excerpt")
    browser.find_element("css selector", "#tab-methods").click()
    browser.back()
    assert arrives(browser, "task-occupancy-excerpt")


def test_browser_follows_the_arrow_keys(shown):
    browser = shown()
    tab = browser.find_element("css selector", "#tab-overview")
    tab.send_keys("\ue014")
    assert arrives(browser, "over-tasks")
    browser.switch_to.active_element.send_keys("\ue010")
    assert arrives(browser, "methods")
    browser.switch_to.active_element.send_keys("\ue014")
    assert arrives(browser, "overview"), "it goes round"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_browser_follows_the_system_and_the_switch(shown, dark):
    browser = shown(dark=dark)
    ground = "return getComputedStyle(document.body).backgroundColor"
    colours = {False: "rgb(252, 252, 250)", True: "rgb(20, 23, 26)"}
    assert browser.execute_script(ground) == colours[dark]
    browser.find_element("css selector", "#theme").click()
    assert browser.execute_script(ground) == colours[not dark]
    browser.execute_script("localStorage.clear()")
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("anchor", ["", "#task-physionet2012-excerpt", "#failures", "#methods"])
def test_browser_on_a_phone_scrolls_one_way_only(shown, anchor):
    browser = shown(anchor, width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_browser_shows_values_and_highlights(shown):
    browser = shown()
    button = browser.find_element("css selector", '.legend button[data-model="CfC"]')
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    focused = browser.execute_script(
        "return [...document.querySelectorAll('.model.focus')].map(g => [g.dataset.model, g.dataset.rival])"
    )
    assert {model for model, rival in focused if rival is None} == {"CfC", "CfC†"}
    contests = [{model, rival} for model, rival in focused if rival is not None]
    assert len(contests) == 4 and all("CfC" in pair for pair in contests), "in the matrix, with every other"
    pressed = browser.find_elements("css selector", '.legend button[aria-pressed="true"]')
    assert len(pressed) == len(TASKS) + 2, "the legends of all pages agree"
    point = "document.querySelector('.costs .model.at[data-model=LTC]')"
    browser.execute_script(
        f"{point}.dispatchEvent(new PointerEvent('pointermove', {{bubbles: true, clientX: 90, clientY: 90}}))"
    )
    tip = browser.find_element("css selector", "#tip")
    assert tip.is_displayed() and tip.text.startswith("LTC: mean rank") and "peak memory" in tip.text
    browser.find_element("css selector", "body").send_keys("\ue00c")
    assert not browser.find_elements("css selector", ".focused, [aria-pressed=true]"), "Escape lets go"


def test_browser_saves_figures_that_stand_alone(shown, tmp_path):
    folder, saved = tmp_path / "saved", 0
    # ChromeDriver runs a script again when a navigation, as each download is, comes between.
    once = "const b = arguments[0]; if (!b.clicked) { b.clicked = true; b.click(); }"
    for anchor in ("task-cheetah-excerpt", "over-tasks", "overview"):
        browser = shown(f"#{anchor}", dark=True)
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        browser.execute_script(once, browser.find_element("css selector", f"#{anchor} .legend button"))
        buttons = browser.find_elements("css selector", f"#{anchor} .save")
        drawn = browser.find_elements("css selector", f"#{anchor} :is(figure, .drawing)")
        assert len(buttons) == len(drawn) > 0, "every figure"
        for button in buttons:
            browser.execute_script(once, button)
        saved += len(buttons)
        deadline = time.monotonic() + 10
        while len(list(folder.glob("*.svg"))) < saved and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(list(folder.glob("*.svg"))) == saved, "each under a name of its own"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
    assert {"test-scores-on-half-cheetah-excerpt.svg", "critical-difference-diagram.svg"} <= set(texts)
    for text in texts.values():
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and root[0].text == root.get("aria-label")
        assert float(root.get("width")) > 50 and root.get("viewBox")
        colours = set()
        for element in root.iter():
            assert not {"class", "style", "data-model", "data-tip"} & set(element.attrib)
            assert not any("var(" in value or "light-dark" in value for value in element.attrib.values())
            colours |= {element.get("fill"), element.get("stroke")} - {None, "none"}
        assert colours <= {"#ffffff"} | {
            "rgb(27, 31, 36)",
            "rgb(82, 90, 99)",
            "rgb(217, 220, 223)",
            "rgb(235, 237, 238)",
            "rgb(255, 255, 255)",
            "rgb(10, 98, 173)",
            "rgb(178, 74, 6)",
            "rgb(90, 97, 105)",
        }, "those of the light page, though the page is dark"
    scores = texts["test-scores-on-half-cheetah-excerpt.svg"]
    assert "CfC: 0." in scores and 'opacity="0.14"' not in scores, "with its values, and no model held back"
    assert browser.execute_script("return document.documentElement.dataset.theme") is None
    assert browser.execute_script("return document.documentElement.className") == "tabbed focused", "as it was"
    browser.get((folder / "critical-difference-diagram.svg").as_uri())
    assert browser.execute_script("return document.documentElement.getBBox().width") > 100
    assert browser.get_log("browser") == []


def test_browser_loads_nothing_else(shown):
    browser = shown()
    requested = [
        entry["message"] for entry in browser.get_log("performance") if "Network.requestWillBeSent" in entry["message"]
    ]
    assert not [message for message in requested if re.search(r'"url":"(https?|wss?):', message)]


def test_browser_prints_all_of_it(shown):
    browser = shown(dark=True)
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert len(visible_sections(browser)) == len(TASKS) + 4
    paper = browser.execute_script("return getComputedStyle(document.querySelector('.verdict')).backgroundColor")
    assert paper == "rgb(255, 255, 255)", "paper is white even for a reader of dark pages"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_what_names_hide_is_spelt_out_and_no_cell_is_a_formula(tmp_path):
    name = next(iter(TASKS))
    title = "=HYPERLINK(1)\x1b[2J\u202exslx"
    facts = {**TASKS, name: replace(TASKS[name], title=title, warnings=(f"column {title} is odd",))}
    text = made(tmp_path, facts)
    assert "\x1b" not in text and "\u202e" not in text and r"\x1b[2J\u202exslx" in text
    table = tables.Table("t", "T", "C", [("name", False)], [[title]], [{"task": title, "mean": -1.5, "wins": -1}])
    for form in ("markdown", "latex", "csv"):
        told = table.render(form)
        assert "\x1b" not in told and "\u202e" not in told
    assert table.render("csv") == "task,mean,wins\n'=HYPERLINK(1)\\x1b[2J\\u202exslx,-1.5,-1\n"
