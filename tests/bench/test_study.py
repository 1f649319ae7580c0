"""A study: what YAML may say, what it becomes, and the ids that results are found by."""

import json
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from liquidbench import results, study_file
from liquidbench.models import UserModel
from liquidbench.search import Space, draw_settings
from liquidbench.shifts import SHIFTS
from liquidbench.study import (
    _ALWAYS,
    _NEVER,
    STEPS,
    STEPS_ELSEWHERE,
    Robustness,
    Run,
    Search,
    Study,
    Training,
    _content,
    task_name,
)

MAPPING = {
    "name": "try",
    "question": "Which?",
    "tasks": ["occupancy", {"table": "readings/pump.csv", "target": "fault", "time": "t", "kind": "classification"}],
    "models": ["LTC", "CfC", "GRU"],
    "parameters": 4000,
    "seeds": 2,
    "matching": ["parameters"],
    "splits": 1,
    "search": {"trials": 5, "mode": "full", "minutes": None},
    "training": {"epochs": 8, "batch_size": 64},
    "robustness": {"removed_steps": [0.0, 0.5], "noise": [0.5]},
    "author_defaults": True,
    "smallest_difference": 0.01,
}


def a_run(**changes):
    run = Run(
        kind="fit",
        task="occupancy",
        model="CfC",
        variant="matched",
        seed=1,
        fold=0,
        matching="parameters",
        parameters=4000,
        training=Training(epochs=8, batch_size=64),
        search=Search(trials=5),
        tuned=(1, 0),
        robustness=Robustness(removed_steps=(0.0, 0.1), noise=(0.5,)),
    )
    return replace(run, **changes)


OCCUPANCY = "35bd2c557eb59e0b93fd7993719908c02604464ce0b8d0ae6da97618cce2fc28"

BEFORE = {
    "tasks": ["occupancy-excerpt", "gesture-excerpt", "cheetah-excerpt"],
    "search": {"trials": 3, "mode": "full", "minutes": None},
    "training": {"steps": {"occupancy-excerpt": 150, "gesture-excerpt": 150, "cheetah-excerpt": 800}},
    "version": "",
}
"""What another demo had, whose studies named no version."""

KEPT = (
    ({}, "", ("12134465d98bc059", "e73d25ef7b75afa7", "633d73b3b217a5b8")),
    (BEFORE, OCCUPANCY, ("856db92bae6e7850", "c376340150dd7cd8", "da3b6fdfaa7ae614")),
    # One that counted epochs.
    (
        BEFORE
        | {
            "models": ["LTC", "CfC", "LRCU", "LSTM", "GRU"],
            "seeds": [0, 1, 2],
            "search": {"trials": 8, "mode": "full", "minutes": None},
            "training": {"epochs": 14, "batch_size": 64},
        },
        OCCUPANCY,
        ("f11b42fd53f1f9d2", "4cac2a1ab687d23a", "6858703f15d74d15"),
    ),
)
"""Ids of the first runs of demos that were kept: changes to the present study, digest of the first task's data, ids."""


class TestParsing:
    def test_every_setting_is_kept(self):
        study = Study.parse(MAPPING)
        assert study.seeds == (0, 1)
        assert study.models == ("LTC", "CfC", "GRU")
        assert study.training == Training(epochs=8, batch_size=64)
        assert study.search == Search(trials=5, mode="full", minutes=None)
        assert study.matching == ("parameters",) and study.splits == 1
        assert study.robustness == Robustness(removed_steps=(0.0, 0.5), noise=(0.5,))
        assert study.tasks[1]["target"] == "fault"

    def test_shifts_are_keys_of_robustness_with_levels_or_true(self, tmp_path):
        asked = {"noise": True, "bias": [1, 0.5], "time_warp": True, "noise+bias": [0.5], "drift": []}
        study = Study.parse(MAPPING | {"robustness": asked})
        expected = {
            "noise": SHIFTS["noise"].levels,
            "bias": (1.0, 0.5),
            "time_warp": SHIFTS["time_warp"].levels,
            "noise+bias": (0.5,),
        }
        assert study.robustness.levels == expected
        path = tmp_path / "study.yaml"
        path.write_text(study.to_yaml(), encoding="utf-8")
        text = path.read_text()
        assert "  bias:\n  - 1.0\n" in text and "shifts" not in text and "drift" not in text
        assert replace(Study.load(path), tasks=study.tasks) == study
        # A study without them is written as before they were there, and has the runs of before.
        assert "  noise:\n  - 0.5\n" in Study.parse(MAPPING).to_yaml().partition("robustness:")[2]

    def test_three_keys_are_enough(self):
        study = Study.parse({"name": "a", "tasks": ["occupancy"], "models": ["GRU"]})
        assert study.seeds == (0, 1, 2, 3, 4) and not study.author_defaults

    def test_a_round_trip_through_yaml_changes_nothing(self, tmp_path):
        study = Study.parse(MAPPING)
        study = replace(study, tasks=("occupancy", {**study.tasks[1], "table": "/data/pump.csv"}), question="Größe?")
        path = tmp_path / "study.yaml"
        path.write_text(study.to_yaml(), encoding="utf-8")
        assert Study.load(path) == study

    @given(
        seeds=st.lists(st.integers(0, 2**40), min_size=1, unique=True),
        noise=st.lists(st.floats(0, 10), unique=True),
        name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True),
        question=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])).filter(str.isprintable),
        minutes=st.none() | st.floats(1e-3, 1e6),
    )
    @example(seeds=[0], noise=[], name="0E0", question="1e5", minutes=None)
    def test_any_study_survives_yaml(self, tmp_path_factory, seeds, noise, name, question, minutes):
        study = Study(
            name=name,
            question=question,
            tasks=("occupancy",),
            models=("GRU",),
            seeds=tuple(seeds),
            robustness=Robustness(noise=tuple(noise)),
            search=Search(minutes=minutes),
        )
        path = tmp_path_factory.mktemp("any") / "study.yaml"
        path.write_bytes(study.to_yaml().encode())
        assert Study.load(path) == study

    def test_numbers_may_be_written_with_an_exponent(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("{name: a, tasks: [occupancy], models: [GRU], robustness: {noise: [1e-3, 3E-3, .5e-2, 1e+0]}}")
        assert Study.load(path).robustness.noise == (0.001, 0.003, 0.005, 1.0)

    @pytest.mark.parametrize(
        ("written", "read"), [("010", 8), ("0_17", 15), ("-07", -7), ("1:30", 90), ("+1:0:1", 3601)]
    )
    def test_ambiguous_yaml_numbers_are_refused(self, tmp_path, written, read):
        path = tmp_path / "a.yaml"
        path.write_text(f"name: a\ntasks: [occupancy]\nmodels: [GRU]\nseeds: {written}\n")
        with pytest.raises(ValueError, match=re.escape(f"a.yaml: line 4: YAML reads {written} as {read};")):
            Study.load(path)
        path.write_text("{name: a, tasks: [occupancy], models: [GRU], seeds: [0, 0xF]}")
        assert Study.load(path).seeds == (0, 15)

    @pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
    def test_a_study_in_another_encoding(self, tmp_path, encoding):
        path = tmp_path / "a.yaml"
        path.write_text("name: a\nquestion: für wen?\n", encoding=encoding)
        with pytest.raises(ValueError, match=r"a\.yaml: line [12] has a byte .* save the study as text in UTF-8"):
            Study.load(path)

    def test_anchors_and_merges_are_yaml_too(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("name: a\ntasks: [&t {table: x.csv, time: t}, {<<: *t, name: again, time: s}]\nmodels: [GRU]")
        assert [task["time"] for task in Study.load(path).tasks] == ["t", "s"]

    def test_a_table_lies_beside_its_study(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("{name: a, tasks: [{table: in/pump.csv}], models: [GRU]}")
        assert Study.load(path).tasks[0]["table"] == str(tmp_path / "in" / "pump.csv")

    def test_the_callers_mapping_is_left_alone(self):
        mapping = deepcopy(MAPPING)
        study = Study.parse(mapping)
        mapping["tasks"][1]["target"] = "other"
        assert study.tasks[1]["target"] == "fault"
        assert Study.parse(MAPPING) == study

    def test_studies_and_runs_go_to_other_processes_and_into_sets(self):
        study = Study.parse(MAPPING)
        assert pickle.loads(pickle.dumps(study)) == study
        assert len(set(study.runs())) == len(study.runs())


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"modles": ["GRU"]}, "no key 'modles' (did you mean 'models'?); allowed are name, tasks, models"),
            ({"training": {"epoch": 3}}, "training has no key 'epoch' (did you mean 'epochs'?)"),
            ({"robustness": {"noises": [1]}}, "robustness has no key 'noises' (did you mean 'noise'?)"),
            ({"training": 5}, "training must be a mapping with keys among epochs, batch_size"),
            ({"training": {"objective": "vrx"}}, "training.objective must be one of erm, irm, vrex"),
            ({"training": {"objective": []}}, "training.objective must be a list of names among erm"),
            ({"training": {"objective": ["erm", "erm"]}}, "training.objective must be distinct; 'erm' occurs twice"),
            ({"training": {"objective": {"irm": 3}}}, "training.objective must be one of erm"),
            (
                {"training": {"encoder": "share"}},
                "training.encoder must be one of own, shared; got 'share'",
            ),
            (
                {"training": {"encoder": "shared"}, "search": {"selection": "environments"}},
                "training.encoder must be 'own' where search.selection is 'environments'; got 'shared'",
            ),
            ({"training": {"epochs": 0}}, "training.epochs must be a whole number of at least 1; got 0"),
            ({"training": {"epochs": 2.0}}, "training.epochs must be a whole number of at least 1; got 2.0"),
            ({"training": {"epochs": True}}, "training.epochs must be a whole number"),
            ({"learning_rates": [0.01]}, "a study has no key 'learning_rates'"),
            ({"training": {"patience": 3}}, "training has no key 'patience'; allowed are epochs, batch_size"),
            ({"search": {"trails": 3}}, "search has no key 'trails' (did you mean 'trials'?)"),
            ({"search": {"trials": 0}}, "search.trials must be a whole number of at least 1; got 0"),
            ({"search": {"minutes": 0}}, "search.minutes must be a finite number above 0; got 0"),
            ({"search": {"minutes": "1"}}, "search.minutes must be a finite number above 0; got '1'"),
            ({"search": {"mode": "quick"}}, "search.mode must be one of full, cheap; got 'quick'"),
            (
                {"search": {"selection": "oracles"}},
                "search.selection must be one of validation, environments, oracle; got 'oracles' (did you mean",
            ),
            (
                {"search": {"learning_rates": 0.1}},
                "search.learning_rates must be a list of the smallest and the",
            ),
            (
                {"search": {"learning_rates": [0.1]}},
                "search.learning_rates must be the smallest and the largest rate",
            ),
            (
                {"search": {"learning_rates": [0, 0.1]}},
                "search.learning_rates[0] must be a finite number above 0; got",
            ),
            (
                {"search": {"learning_rates": [0.01, 0.001]}},
                "search.learning_rates[1] must be a finite number above 0.01 and at most 1; got 0.001",
            ),
            ({"matching": ["params"]}, "matching[0] must be one of parameters, compute, state; got 'params'"),
            ({"matching": []}, "matching must be a list of names among parameters, compute, state; got []"),
            ({"splits": 0}, "splits must be a whole number of at least 1; got 0"),
            ({"device": "gpu"}, "device must be one of cpu, cuda; got 'gpu'"),
            ({"robustness": {"removed_steps": [1]}}, "removed_steps[0] must be a finite number at least 0 and below 1"),
            ({"robustness": {"noise": [0, 0.0]}}, "robustness.noise must be distinct; 0.0 occurs twice"),
            ({"robustness": {"noise": 0.5}}, "robustness.noise must be a list of numbers, or true for its default"),
            ({"robustness": {"bias": False}}, "robustness.bias must be a list of numbers, or true for its default"),
            ({"robustness": {"time_wrap": True}}, "robustness has no key 'time_wrap' (did you mean 'time_warp'?)"),
            ({"robustness": {"noise@2": True}}, "robustness has no key 'noise@2' (did you mean 'noise'?)"),
            ({"robustness": {"noise+fog": True}}, "robustness has no key 'noise+fog'"),
            ({"robustness": {1: True}}, "robustness has no key 1; allowed are removed_steps, noise, "),
            (
                {"robustness": {"time_warp": [9]}},
                "time_warp[0] must be a finite number at least 0 and at most 5; got 9",
            ),
            (
                {"robustness": {"noise+bias": [2]}},
                "noise+bias[0] must be a finite number at least 0 and at most 1; got",
            ),
            ({"robustness": ["noise"]}, "robustness must be a mapping with keys among removed_steps, noise, "),
            ({"models": ["cfc"]}, "models[0] must be one of LTC, "),
            ({"models": ["cfc"]}, "got 'cfc' (did you mean 'CfC'?)"),
            ({"models": ["LSTM", "LSTN"]}, "models[1] must be one of"),
            ({"models": "GRU"}, "models must be a list of names among LTC, "),
            ({"models": []}, "models must be a list of names among LTC, "),
            ({"models": ["GRU", "GRU"]}, "'GRU' occurs twice"),
            ({"tasks": None}, "tasks must be a list of names, or mappings with a table; got nothing"),
            ({"tasks": [3]}, "tasks[0] must be a name, or a mapping with a table; got 3"),
            ({"tasks": [{"tabel": "a.csv"}]}, "tasks[0] must have the key 'table'"),
            ({"tasks": [{"table": "a.csv"}, {"table": "b/a.parquet"}]}, "give one of the tables another 'name'"),
            ({"tasks": ["a", {"table": "x.csv", "name": "a"}]}, "'a' occurs twice"),
            ({"tasks": [{"table": "a.csv", "gap": float("nan")}]}, "tasks[0] may hold text, finite numbers"),
            ({"seeds": 0}, "seeds must be a whole number of at least 1; got 0"),
            ({"seeds": [1, 1]}, "a seed twice is the same run twice"),
            ({"seeds": [-1]}, "seeds[0] must be a whole number of at least 0; got -1"),
            ({"seeds": True}, "seeds must be a list of whole numbers, or one number of seeds; got True"),
            (
                {"robustness": {"noise": [-1]}},
                "robustness.noise[0] must be a finite number at least 0 and below 1e+06; got -1",
            ),
            (
                {"robustness": {"noise": [float("inf")]}},
                "noise[0] must be a finite number at least 0 and below 1e+06; got inf",
            ),
            ({"parameters": 4e3}, "parameters must be a whole number of at least 1; got 4000.0"),
            ({"author_defaults": "yes"}, "author_defaults must be true or false; got 'yes'"),
            ({"smallest_difference": -0.1}, "smallest_difference must be a finite number at least 0; got -0.1"),
            ({"name": "../up"}, "name must begin with a letter or digit"),
            ({"name": 3}, "name must be text; got 3"),
        ],
    )
    def test_errors_say_what_is_wrong_and_what_is_allowed(self, change, words):
        with pytest.raises(ValueError) as caught:
            Study.parse(MAPPING | change)
        assert words in str(caught.value)

    @pytest.mark.parametrize("key", ["name", "tasks", "models"])
    def test_a_missing_key_is_named(self, key):
        mapping = {other: value for other, value in MAPPING.items() if other != key}
        with pytest.raises(ValueError, match=f"needs the key '{key}'"):
            Study.parse(mapping)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "must be a mapping with keys among name"),
            ("- a\n- b", "must be a mapping"),
            ("name: [unclosed", "expected ',' or ']'"),
            ("{name: a, tasks: [occupancy], models: [GRU],\nname: b}", "'name' is given twice, again in line 2"),
            (
                "{name: a, tasks: [occupancy], models: [GRU], training: {epochs: 1, epochs: 2}}",
                "'epochs' is given twice",
            ),
            (
                "{name: a, tasks: [{table: a.csv, from: 2020-01-01}], models: [GRU]}",
                "quote text that YAML reads as something else",
            ),
            ("{[a]: b}", "unhashable"),
            ("{name: !!python/name:os.system x}", "could not determine a constructor"),
        ],
    )
    def test_errors_name_the_file(self, tmp_path, text, words):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        with pytest.raises(ValueError) as caught:
            Study.load(path)
        assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="it does not exist"):
            Study.load(tmp_path / "none.yaml")

    @pytest.mark.parametrize("control", ["\0", "\x07", "\x1b", "\x7f", "\x9f", "\ufffe"])
    @pytest.mark.parametrize(
        ("text", "line"), [("{}name: a", 1), ("name: a\ntasks: [a{}b]", 2), ("name: a\n\n# {}", 3)]
    )
    def test_a_control_character_is_named_with_its_line(self, tmp_path, control, text, line):
        path = tmp_path / "s.yaml"
        path.write_text(text.format(control), encoding="utf-8")
        with pytest.raises(ValueError) as caught:
            Study.load(path)
        assert str(caught.value) == (
            f"{path}: line {line} has a control character ({ord(control):#04x}), which YAML does not allow; remove it, "
            "or save the study as text in UTF-8"
        )

    def test_a_binary_file_is_refused(self, tmp_path):
        path = tmp_path / "bad.yaml"
        path.write_bytes(b"\xff\xfe\x00name")
        with pytest.raises(ValueError, match="bad.yaml: "):
            Study.load(path)


def unfolding(levels: int, wide: int, entry: str) -> str:
    """A few lines of anchors that stand for `wide` to the power of `levels` entries."""
    lines = [f"a0: &a0 {entry}"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * wide)}]" for n in range(levels)]
    return "\n".join(lines)


class TestBounds:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (unfolding(9, 9, "[x, x]"), "with anchors expanded, there are more than 200,000 entries"),
            (unfolding(30, 2, "{k: 1}"), "with anchors expanded"),
            (unfolding(9, 9, "{k: 1}").replace("[", "{<<: [").replace("]", "]}"), "with anchors expanded"),
            ("name: &a [*a]", "line 1: an anchor contains itself"),
            ("name: &a\n  <<: *a", "line 2: an anchor contains itself"),
            ("[" * 50_000, "line 1: lists and mappings are nested more than 20 deep"),
            (
                "\n".join(" " * n + f"k{n}:" for n in range(900)),
                "line 20: lists and mappings are nested more than 20 deep",
            ),
            ("x" * 4_000_001, "a study has at most 4,000,000 bytes"),
            ("seeds: " + "7" * 5000, "line 1: 77777777777777777777... is a whole number of 5000 digits"),
        ],
    )
    def test_small_files_that_expand_endlessly_are_refused_quickly(self, tmp_path, text, words):
        path = tmp_path / "s.yaml"
        path.write_text(text)
        began = time.process_time()
        with pytest.raises(ValueError) as caught:
            Study.load(path)
        # Without a bound it would take minutes, or for ever; traced line by line it takes some seconds.
        assert time.process_time() - began < 10
        assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)
        assert len(str(caught.value)) < len(str(path)) + 300

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"seeds": 10**19}, "seeds must be at most 100,000; got 10000000000000000000"),
            ({"seeds": [1, 2**63]}, "seeds[1] must be at most 9,223,372,036,854,775,807"),
            ({"seeds": list(range(100_001))}, "seeds must be at most 100,000 numbers; got 100,001"),
            ({"parameters": 10**20}, "parameters must be at most 100,000,000"),
            ({"splits": 10**20}, "splits must be at most 1,000"),
            ({"search": {"trials": 10**20}}, "search.trials must be at most 100,000"),
            ({"search": {"minutes": 10**400}}, "search.minutes must be a finite number above 0"),
            ({"training": {"epochs": 10**20}}, "training.epochs must be at most 1,000,000"),
            ({"training": {"batch_size": -(10**5000)}}, "training.batch_size must be a whole number of at least 1"),
            ({"smallest_difference": 10**400}, "smallest_difference must be a finite number"),
            ({"robustness": {"noise": [1e300]}}, "noise[0] must be a finite number at least 0 and below 1e+06"),
            ({"seeds": 100_000, "splits": 1_000}, "a study may have 1,000,000 fits"),
            ({"name": "n" * 101}, "name must have at most 100 characters"),
            ({"parameters": ["x" * 10_000]}, "parameters must be a whole number"),
        ],
    )
    def test_very_long_numbers_and_names_are_refused(self, change, words):
        began = time.process_time()
        with pytest.raises(ValueError) as caught:
            Study.parse(MAPPING | change)
        assert words in str(caught.value) and len(str(caught.value)) < 500
        # Without a bound it would take minutes, or for ever; traced line by line it takes some seconds.
        assert time.process_time() - began < 10

    def test_anchors_that_are_named_often_are_fine(self, tmp_path):
        path = tmp_path / "s.yaml"
        path.write_text("name: s\ntasks: &t [a]\nmodels: &m [GRU]\nsearch: &s {trials: 3}\n")
        assert Study.load(path).search.trials == 3


class TestRuns:
    def test_all_fits_and_then_the_costs(self):
        study = Study.parse(MAPPING)
        runs = study.runs()
        # All three models have authors' rows; GRU's are those of a liquid paper that had it as a rival.
        fits = [run for run in runs if run.kind == "fit"]
        costs = [run for run in runs if run.kind == "cost"]
        assert runs == fits + costs
        assert len(fits) == 2 * 3 * 2 * 2 and len(costs) == 2 * 3 * 2
        assert {(run.task_name, run.model, run.variant, run.seed) for run in fits} == {
            (task, model, variant, seed)
            for task in ("occupancy", "pump")
            for model in ("LTC", "CfC", "GRU")
            for variant in ("matched", "author")
            for seed in (0, 1)
        }

    def test_only_models_with_a_paper_have_authors_rows(self):
        runs = replace(Study.parse(MAPPING), models=("CfC-NCP", "RNN", "LTC")).runs()
        assert {run.model for run in runs if run.variant == "author"} == {"LTC"}

    def test_author_rows_run_only_on_request(self):
        runs = replace(Study.parse(MAPPING), author_defaults=False).runs()
        assert {run.variant for run in runs} == {"matched"}

    def test_authors_rows_do_not_depend_on_budget_and_search(self):
        study = Study.parse(MAPPING)
        changed = replace(study, parameters=9999, search=Search(trials=7, mode="cheap"))
        one, other = ({run.id("d") for run in s.runs() if run.variant == "author"} for s in (study, changed))
        assert one == other
        one, other = ({run.id("d") for run in s.runs() if run.variant == "matched"} for s in (study, changed))
        assert not one & other

    def test_more_seeds_keep_the_runs_there_are(self):
        study = Study.parse(MAPPING)
        ids = {run.id("d") for run in study.runs()}
        assert len(ids) == len(study.runs())
        assert ids < {run.id("d") for run in replace(study, seeds=(0, 1, 2)).runs()}

    def test_every_matching_and_split_has_its_fits_and_the_authors_sizes_have_no_matching(self):
        study = replace(Study.parse(MAPPING), matching=("state", "parameters"), splits=2)
        runs = [run for run in study.runs() if run.task_name == "occupancy" and run.model == "CfC"]
        fits = {(run.matching, run.fold, run.seed) for run in runs if run.kind == "fit"}
        assert fits == {(m, fold, seed) for m in ("state", "parameters", "") for fold in (0, 1) for seed in (0, 1)}
        assert {run.matching for run in runs if run.variant == "author"} == {""}
        costs = [(run.matching, run.fold, run.seed) for run in runs if run.kind == "cost"]
        assert costs == [("state", 0, 0), ("parameters", 0, 0), ("", 0, 0)]

    def test_every_objective_has_its_fits_and_the_mean_loss_alone_published_sizes_and_costs(self):
        plain = Study.parse(MAPPING)
        study = Study.parse(MAPPING | {"training": MAPPING["training"] | {"objective": ["erm", "vrex", "irm=10"]}})
        runs = [run for run in study.runs() if run.task_name == "occupancy" and run.model == "CfC"]
        matched = [(run.objective, run.model_name, run.seed) for run in runs if run.variant == "matched"]
        names = {"erm": "CfC", "vrex": "CfC+vrex", "irm=10": "CfC+irm=10"}
        fits = [(one, name, seed) for one, name in names.items() for seed in (0, 1)]
        assert matched == [*fits, ("erm", "CfC", 0)], "the last is the cost"
        assert {run.objective for run in runs if run.variant == "author"} == {"erm"}
        assert study.model_names[3:6] == list(names.values())
        assert {study.families[name] for name in names.values()} == {"liquid"}
        # Runs with the mean loss are those of a study that says nothing of objectives.
        ids = {run.id("d") for run in study.runs()}
        assert {run.id("d") for run in plain.runs()} < ids and len(ids) == len(study.runs())
        # They share no search, but one that draws the same.
        first, second = (next(run for run in runs if run.objective == one) for one in ("erm", "vrex"))
        assert first.search_id("d") != second.search_id("d") and first.tuned == second.tuned

    def test_objectives_survive_yaml_and_the_default_is_not_written(self):
        plain = Study.parse(MAPPING)
        assert "objective" not in plain.to_yaml() and plain.training.objective == "erm"
        for written, read in (("irm=3", "irm=3"), (["vrex"], "vrex"), (["erm", "mixup=0.5"], ("erm", "mixup=0.5"))):
            study = Study.parse(MAPPING | {"training": MAPPING["training"] | {"objective": written}})
            assert study.training.objective == read
            assert Study.parse(yaml.safe_load(study.to_yaml())) == study

    def test_turns_go_by_matching_split_and_seed_with_costs_last(self):
        study = replace(Study.parse(MAPPING), matching=("state", "parameters"), splits=2)
        turns = sorted(study.runs(), key=study.turn)
        assert {(run.matching, run.fold, run.seed) for run in turns[: 2 * 3]} == {("state", 0, 0)}
        assert [run.kind for run in turns] == sorted((run.kind for run in turns), reverse=True)

    def test_a_full_search_is_each_runs_own_and_a_cheap_one_that_of_the_first(self):
        full = replace(Study.parse(MAPPING), splits=2, author_defaults=False)
        assert all(run.searches and run.tuned == (run.seed, run.fold) for run in full.runs())
        cheap = replace(full, search=replace(full.search, mode="cheap"))
        runs = [run for run in cheap.runs() if run.kind == "fit"]
        assert [(run.seed, run.fold) for run in runs if run.searches] == [(0, 0)] * 6
        of_one = [run for run in runs if (run.task_name, run.model) == ("occupancy", "LTC")]
        assert len({run.search_id("d") for run in of_one}) == 1 and len({run.id("d") for run in of_one}) == 4
        # The first search is the same in both modes, and nothing that comes after it matters to it.
        first = next(run for run in full.runs() if (run.task_name, run.model) == ("occupancy", "LTC"))
        assert first.search_id("d") == of_one[0].search_id("d")
        assert first.search_id("d") == replace(first, robustness=Robustness()).search_id("d")
        assert first.search_id("d") != replace(first, training=Training(epochs=9)).search_id("d")

    def test_what_selects_is_written_and_named_only_where_it_is_not_validation(self):
        plain = Study.parse(MAPPING)
        assert "selection" not in plain.to_yaml()
        assert plain.runs()[0].columns("d")["search"] == "full"
        asked = Study.parse(MAPPING | {"search": {"trials": 5, "mode": "cheap", "selection": "oracle"}})
        assert Study.parse(yaml.safe_load(asked.to_yaml())) == asked
        assert asked.runs()[0].columns("d")["search"] == "cheap, oracle"
        other = replace(asked, search=replace(asked.search, selection="environments")).runs()[0]
        assert len({run.search_id("d") for run in (plain.runs()[0], asked.runs()[0], other)}) == 3

    def test_a_shared_encoder_is_written_and_part_of_ids_only_where_there_is_one(self):
        plain, asked = (Study.parse(MAPPING | {"training": more}) for more in ({}, {"encoder": "shared"}))
        assert "encoder" not in plain.to_yaml()
        assert Study.parse(yaml.safe_load(asked.to_yaml())) == asked
        before, after = plain.runs()[0], asked.runs()[0]
        assert before.id("d") != after.id("d") and before.search_id("d") != after.search_id("d")

    def test_another_range_of_learning_rates_is_written_drawn_and_part_of_ids(self):
        plain, asked = (
            Study.parse(MAPPING | {"search": {"trials": 5, **more}}) for more in ({}, {"learning_rates": [1e-4, 3e-3]})
        )
        assert "learning_rates" not in plain.to_yaml() and plain.search.learning_rates == (3e-4, 3e-2)
        assert Study.parse(yaml.safe_load(asked.to_yaml())) == asked
        before, after = plain.runs()[0], asked.runs()[0]
        assert before.id("d") != after.id("d") and before.search_id("d") != after.search_id("d")
        draws = [draw_settings(after, number, Space([{}], rates=(1e-4, 3e-3))).learning_rate for number in range(60)]
        assert 1e-4 <= min(draws) < 2e-4 and 1.5e-3 < max(draws) <= 3e-3

    def test_more_trials_go_on_with_a_search_and_another_cap_does_not(self):
        run = a_run()
        assert run.search_id("d") == replace(run, search=Search(trials=9)).search_id("d")
        assert run.id("d") != replace(run, search=Search(trials=9)).id("d")
        assert run.search_id("d") != replace(run, search=Search(trials=5, minutes=1)).search_id("d")
        assert Search(trials=4, minutes=2).cap == 0.5 and Search().cap is None

    def test_name_and_question_of_a_study_do_not_matter_to_its_runs(self):
        study = Study.parse(MAPPING)
        assert replace(study, name="other", question="").runs() == study.runs()

    def test_a_table_is_named_by_its_file_unless_it_has_a_name(self):
        assert task_name("occupancy") == "occupancy"
        assert task_name({"table": "a/b/pump.v2.csv"}) == "pump.v2"
        assert task_name({"table": "a.csv", "name": "Pump"}) == "Pump"


class TestId:
    def test_an_id_never_changes(self):
        """Pinned: a change here makes every finished result be run again, and wants a new RESULTS_FORMAT."""
        assert a_run().id("0" * 64) == "aa2ddbfa38f520b5"

    def test_ids_are_the_same_on_another_machine(self):
        """Another process with another hash seed and working folder."""
        program = (
            "from liquidbench.study import *\n"
            "s = Study.parse({'models': ['GRU'], 'tasks': [{'time': 't', 'table': 'x.csv'}], 'name': 'a'})\n"
            "print(s.runs()[0].id('d'))"
        )
        study = Study.parse({"name": "a", "tasks": [{"table": "x.csv", "time": "t"}], "models": ["GRU"]})
        outcome = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
            env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
        )
        assert outcome.stdout.strip() == study.runs()[0].id("d")

    def test_ids_depend_on_a_tables_content_and_not_its_folder(self):
        here = a_run(task={"table": "/here/x.csv", "time": "t"})
        there = a_run(task={"time": "t", "table": "/there/x.csv"})
        named = a_run(task={"table": "/there/y.csv", "name": "x", "time": "t"})
        assert here.id("d") == there.id("d") == named.id("d")
        assert here.id("d") != here.id("e")
        assert here.id("d") != a_run(task={"table": "/here/x.csv", "time": "s"}).id("d")
        assert here.id("d") != a_run(task="x").id("d")

    @pytest.mark.parametrize(
        "changes",
        [
            {"kind": "cost"},
            {"task": "gesture"},
            {"model": "GRU"},
            {"variant": "author"},
            {"seed": 2},
            {"parameters": 4001},
            {"fold": 1},
            {"matching": "state"},
            {"training": Training(epochs=8, batch_size=32)},
            {"training": Training(epochs=8, objective="vrex")},
            {"search": Search(trials=6)},
            {"search": Search(trials=5, selection="environments")},
            {"tuned": (0, 0)},
            {"robustness": Robustness(removed_steps=(0.0, 0.1), noise=(0.6,))},
            {"robustness": Robustness(removed_steps=(0.0, 0.1), noise=(0.5,), shifts={"bias": (0.5,)})},
            {"device": "cuda"},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_everything_in_a_run_matters(self, changes):
        assert a_run(**changes).id("d") != a_run().id("d")

    def test_the_results_format_matters(self, monkeypatch):
        before = a_run().id("d")
        monkeypatch.setattr("liquidbench.study.RESULTS_FORMAT", 1)
        assert a_run().id("d") != before

    def test_a_later_field_changes_no_id_until_it_is_used(self):
        """In a run and in each part of it; what is used changes the run, and of a search all but the test's part."""

        @dataclass(frozen=True)
        class LaterRun(Run):
            ensemble: int = 1
            told: Mapping[str, int] = field(default_factory=dict)

        @dataclass(frozen=True)
        class LaterTraining(Training):
            momentum: float = 0.9

        @dataclass(frozen=True)
        class LaterSearch(Search):
            sampler: str = "random"

        @dataclass(frozen=True)
        class LaterRobustness(Robustness):
            gaps: tuple[float, ...] = ()

        @dataclass(frozen=True)
        class LaterModel(UserModel):
            weights: str = ""

        own = UserModel("mine:Layer", checksum="abc")

        def later(run, momentum=0.9, sampler="random", gaps=(), weights="", **more):
            return LaterRun(
                **vars(run)
                | {
                    "model": LaterModel(**vars(own), weights=weights),
                    "training": LaterTraining(**vars(run.training), momentum=momentum),
                    "search": LaterSearch(**vars(run.search), sampler=sampler),
                    "robustness": LaterRobustness(**vars(run.robustness), gaps=gaps),
                },
                **more,
            )

        run = a_run(model=own, tuned=(1, 0))
        assert later(run).id("d") == run.id("d") and later(run).search_id("d") == run.search_id("d")
        used = [{"momentum": 0.5}, {"sampler": "tpe"}, {"weights": "w"}, {"ensemble": 2}, {"told": {"a": 1}}]
        names = {later(run, **one).id("d") for one in ({}, {"gaps": (0.5,)}, *used)}
        assert len(names) == len(used) + 2
        searches = {later(run, **one).search_id("d") for one in ({}, *used)}
        assert len(searches) == len(used) + 1
        assert later(run, gaps=(0.5,)).search_id("d") == run.search_id("d")

    def test_what_is_left_out_of_an_id_never_changes_its_default(self):
        """Pinned: with another default, results of before would be taken for those of the new one."""
        left_out = {name: value for name, value in vars(a_run()).items() if name not in _ALWAYS[Run]}
        assert left_out == {"device": "cpu", "version": ""}
        for kind, always in _ALWAYS.items():
            left_out = {one.name for one in fields(kind)} - {*always, *_NEVER.get(kind, ())}
            later = {Run: {"device", "version"}, Training: {"steps", "objective", "encoder"}, Robustness: {"shifts"}}
            later[Search] = {"selection", "learning_rates"}
            assert left_out == later.get(kind, set()), kind
        assert Robustness().shifts == {}
        assert Training.__dataclass_fields__["steps"].default is None
        assert Training.__dataclass_fields__["objective"].default == "erm"
        assert Training.__dataclass_fields__["encoder"].default == "own"
        assert Search.__dataclass_fields__["selection"].default == "validation"
        assert Search.__dataclass_fields__["learning_rates"].default == (0.0003, 0.03)

    def test_fields_in_all_ids_count_at_their_default_too(self):
        """Were it left out, another default would take results of one for those of the other."""
        told = json.dumps(
            _content(a_run(training=Training(), search=Search(), robustness=Robustness())), default=_content
        )
        for kind in (Run, Training, Search, Robustness):
            assert all(f'"{name}"' in told for name in _ALWAYS[kind])

    @pytest.mark.parametrize(("changes", "digest", "ids"), KEPT)
    def test_ids_of_results_that_are_kept_are_those_of_their_study(self, changes, digest, ids):
        """Pinned by what the demo found, so that every kept result is found again."""
        kept_in = Path(__file__).parents[2] / "docs" / "results" / "demo"
        study = Study.parse({"version": ""} | yaml.safe_load((kept_in / "study.yaml").read_text()) | changes)
        facts = json.loads((kept_in / "tasks.json").read_text())
        for run, expected in zip(study.runs()[:3], ids, strict=True):
            assert run.id(digest or facts[run.task_name]["digest"]) == expected

    def test_whole_and_decimal_numbers_are_one(self):
        whole = Study.parse(MAPPING | {"search": {"minutes": 2}, "robustness": {"noise": [1]}})
        point = Study.parse(MAPPING | {"search": {"minutes": 2.0}, "robustness": {"noise": [1.0]}})
        assert [run.id("d") for run in whole.runs()] == [run.id("d") for run in point.runs()]


def test_it_loads_nothing_heavy():
    program = "import json, sys, liquidbench.study; print(json.dumps(sorted(sys.modules)))"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "polars", "numpy", "liquidrnn"} & set(json.loads(outcome.stdout))


MINIMAL = {"name": "s", "tasks": ["occupancy"], "models": ["GRU"]}


class TestSteps:
    def test_each_task_has_its_own_unless_the_study_says_otherwise(self):
        study = Study.parse(MINIMAL | {"tasks": ["occupancy", "cheetah", {"table": "mine.csv", "target": "y"}]})
        known = {name: STEPS.get(name, STEPS_ELSEWHERE) for name in ("occupancy", "cheetah", "mine")}
        assert study.training.steps == known and study.training.epochs is None
        assert {run.task_name: run.steps for run in study.runs()} == known
        some = Study.parse(MINIMAL | {"tasks": ["occupancy", "cheetah"], "training": {"steps": {"cheetah": 7}}})
        assert some.training.steps == {"occupancy": STEPS["occupancy"], "cheetah": 7}
        one = Study.parse(MINIMAL | {"tasks": ["occupancy", "cheetah"], "training": {"steps": 9}})
        assert {run.steps for run in one.runs()} == {9}
        for made in (study, some, one):
            assert Study.parse(yaml.safe_load(made.to_yaml())) == made
        # One number and the same for each is the same training.
        each = Study.parse(MINIMAL | {"training": {"steps": {"occupancy": 9}}})
        all_alike = Study.parse(MINIMAL | {"training": {"steps": 9}})
        assert [run.id("d") for run in each.runs()] == [run.id("d") for run in all_alike.runs()]
        assert each.runs()[0].id("d") != Study.parse(MINIMAL | {"training": {"steps": 10}}).runs()[0].id("d")

    @pytest.mark.parametrize(
        ("training", "words"),
        [
            ({"steps": {"occupancie": 5}}, "a task of training.steps must be one of occupancy; got 'occupancie'.*mean"),
            ({"steps": {"occupancy": 0}}, "training.steps.occupancy must be a whole number of at least 1; got 0"),
            ({"steps": 1.5}, "training.steps must be a whole number of at least 1; got 1.5"),
            ({"steps": 10**12}, "training.steps must be at most 100,000,000"),
            (
                {"steps": 5, "epochs": 5},
                "training must have steps or, in studies of earlier versions, epochs; got both",
            ),
        ],
    )
    def test_bad_steps_are_refused(self, training, words):
        with pytest.raises(ValueError, match=words):
            Study.parse(MINIMAL | {"training": training})

    def test_a_study_in_epochs_can_be_read_but_not_run(self):
        study = Study.parse(MINIMAL | {"training": {"epochs": 8}})
        assert study.training == Training(epochs=8) and study.training.steps is None
        with pytest.raises(
            ValueError, match="counts epochs .training.epochs: 8.*Replace training.epochs by training.st"
        ):
            _ = study.runs()[0].steps


RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize("name", ["demo", "small"])
def test_committed_results_are_those_of_their_study(name):
    study, facts = study_file.read(RESULTS / name), results.read_tasks(RESULTS / name)
    assert {run.id(facts[run.task_name].digest) for run in study.runs()} == set(results.done(RESULTS / name))


def test_a_study_that_the_disk_cannot_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "s.yaml"
    path.write_text("name: s\n")

    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_text", broken)
    with pytest.raises(ValueError, match=r"s\.yaml: the disk cannot read it \(Input/output error\)"):
        Study.load(path)
