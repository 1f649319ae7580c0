"""How sure models are and whether that is true, from made-up predictions, and what the report says of it."""

import html
import re
from functools import partial

import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, ERROR, table

from liquidbench import calibration, conformal, predictions, report
from liquidbench.facts import Facts
from liquidbench.metrics import score
from liquidbench.results import SCHEMA
from liquidbench.statistics import CLEAN, compare
from liquidbench.study import Study
from liquidbench.system.storage import KeptFileWarning

MODELS = {"LTC": [0.8, 0.8], "GRU": [0.7, 0.7]}
NOISE = ("noise", 1.0)


def classes(seed, sharpness):
    """Predictions whose probabilities are true if the sharpness is 1; noise flattens what they tell."""
    draw = np.random.default_rng(seed)
    found = {}
    for key, size in (("validation", 300), ("test", 500), (predictions.shifted(*NOISE), 500)):
        logits = np.random.default_rng(len(key)).normal(size=(size, 3)) * 2
        targets = np.array(
            [np.random.default_rng(row).choice(3, p=p) for row, p in enumerate(calibration.softmax(logits))]
        )
        logits = logits + 0.3 * draw.normal(size=logits.shape) + 4 * ("noise" in key) * draw.normal(size=logits.shape)
        found[key] = targets, (sharpness * logits).astype(np.float32)
    return found


def values(seed):
    """Predictions whose errors are as in validation on test, and three times as large under noise."""
    draw = np.random.default_rng(seed)
    found = {}
    for key, size in (("validation", 300), ("test", 500), (predictions.shifted(*NOISE), 500)):
        x = np.random.default_rng(len(key)).normal(size=(size, 2))
        off = draw.normal(size=x.shape) * np.abs(x) * (3 if "noise" in key else 1)
        found[key] = x.astype(np.float32), (x + off).astype(np.float32)
    return found


def compared(directory, known, facts):
    """What `compare` finds in predictions by model and seed."""
    metric = facts.metric
    frame = table(MODELS, metric=metric, validation=dict.fromkeys(MODELS, 0.8))
    for (model, seed), predicted in known.items():
        predictions.write(directory, f"t-{model}-matched-parameters-0-{seed}", predicted)
    shifted = frame.filter(pl.col("split") == "test").with_columns(corruption=pl.lit("noise"), level=pl.lit(1.0))
    frame = pl.concat([frame, shifted.cast(dict(SCHEMA))])
    return frame, compare(frame, {"t": facts}, 0.0, predicted=partial(predictions.found, directory))


@pytest.fixture(scope="module")
def of_classes(tmp_path_factory):
    known = {("LTC", seed): classes(seed, 1.0) for seed in (0, 1)} | {
        ("GRU", seed): classes(seed, 3.0) for seed in (0, 1)
    }
    return known, *compared(tmp_path_factory.mktemp("classes"), known, ACCURACY)


def one_of(comparison, model, members=1):
    (found,) = (one for one in comparison.certainties if (one.model, one.members) == (model, members))
    return found


def test_numbers_are_means_over_runs_of_those_of_calibration(of_classes):
    known, _, comparison = of_classes
    for model in MODELS:
        found = one_of(comparison, model)
        assert (found.runs, found.left_out, found.task) == (2, 0, "t")
        tests = [known[model, seed]["test"] for seed in (0, 1)]
        shares = [(targets, calibration.softmax(logits)) for targets, logits in tests]
        expected = {
            "calibration_error": [calibration.reliability(t, p).error for t, p in shares],
            "brier": [calibration.brier(t, p) for t, p in shares],
            "cross_entropy": [score("cross_entropy", *one) for one in tests],
            "area_under_risk": [calibration.area_under_risk(p.argmax(1) != t, p.max(1)) for t, p in shares],
        }
        for name, numbers in expected.items():
            assert found.numbers[name] == pytest.approx(np.mean(numbers)), name
    sharp, true = one_of(comparison, "GRU"), one_of(comparison, "LTC")
    assert sharp.numbers["calibration_error"] > 0.1 > true.numbers["calibration_error"]
    assert sharp.numbers["tempered_error"] == pytest.approx(true.numbers["tempered_error"], abs=0.01)
    # Whoever says too much is right less often than said, and no surer than chance where it says 100 %.
    assert sharp.reliability[0.95] < -0.1 < true.reliability[0.95]
    assert true.risk[0.1] < true.risk[1.0] == pytest.approx(np.mean([p.argmax(1) != t for t, p in shares]), abs=0.02)


def test_coverage_is_that_of_sets_calibrated_on_validation_and_falls_when_the_data_shift(of_classes):
    known, _, comparison = of_classes
    found = one_of(comparison, "LTC")
    assert set(found.coverage) == {CLEAN, NOISE}
    shares, sizes = [], []
    for seed in (0, 1):
        labels, logits = known["LTC", seed]["validation"]
        scores = np.sort([1 - p[label] for p, label in zip(calibration.softmax(logits), labels, strict=True)])
        least = 1 - scores[int(np.ceil(0.9 * 301)) - 1]
        targets, logits = known["LTC", seed]["test"]
        sets = calibration.softmax(logits) >= least
        shares.append(np.mean([one[label] for one, label in zip(sets, targets, strict=True)]))
        sizes.append(sets.sum(1).mean())
    assert found.coverage[CLEAN] == pytest.approx((np.mean(shares), np.mean(sizes)))
    assert found.coverage[CLEAN][0] == pytest.approx(0.9, abs=0.04) and found.coverage[NOISE][0] < 0.8


def test_the_seeds_together_are_the_mean_of_their_probabilities(of_classes):
    known, _, comparison = of_classes
    found = one_of(comparison, "GRU", members=2)
    targets, _ = known["GRU", 0]["test"]
    mean = np.mean([calibration.softmax(known["GRU", seed]["test"][1]) for seed in (0, 1)], axis=0)
    assert found.runs == 1 and set(found.coverage) == {CLEAN}, "each seed draws a shift of its own"
    assert found.numbers["brier"] == pytest.approx(calibration.brier(targets, mean))
    assert found.numbers["cross_entropy"] == pytest.approx(-np.log(mean[np.arange(500), targets]).mean())
    assert found.numbers["brier"] < one_of(comparison, "GRU").numbers["brier"]


def test_values_have_intervals_and_ensembles_a_confidence(tmp_path):
    known = {(model, seed): values(seed) for model in MODELS for seed in (0, 1)}
    _, comparison = compared(tmp_path, known, ERROR)
    found, both = one_of(comparison, "LTC"), one_of(comparison, "LTC", members=2)
    assert found.coverage[CLEAN][0] == pytest.approx(0.9, abs=0.04) and found.coverage[NOISE][0] < 0.8
    widths = []
    for seed in (0, 1):
        bound = conformal.quantile(conformal.absolute(*known["LTC", seed]["validation"]), 0.1)
        widths.append(2 * bound.mean())
    assert found.coverage[CLEAN][1] == pytest.approx(np.mean(widths), rel=1e-6)
    assert set(found.numbers) == {"calibration_error"} and found.numbers["calibration_error"] < 0.05 and not found.risk
    # Members differ most where errors are largest.
    assert both.risk[0.2] < 0.7 * both.risk[1.0]
    errors = conformal.absolute(
        known["LTC", 0]["test"][0], np.mean([known["LTC", s]["test"][1] for s in (0, 1)], axis=0)
    )
    assert both.risk[1.0] == pytest.approx(errors.mean())


def test_missing_and_damaged_predictions_and_few_targets_are_left_out(tmp_path):
    few = {key: (targets[:5], logits[:5]) for key, (targets, logits) in classes(0, 1.0).items()}
    frame, _ = compared(tmp_path, {("LTC", 0): few, ("GRU", 0): few}, ACCURACY)
    path = predictions.path(tmp_path, "t-GRU-matched-parameters-0-0")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.warns(KeptFileWarning, match="its certainty is not measured"):
        comparison = compare(frame, {"t": ACCURACY}, 0.0, predicted=partial(predictions.found, tmp_path))
    ltc, gru = one_of(comparison, "LTC"), one_of(comparison, "GRU")
    assert (ltc.runs, ltc.left_out, ltc.coverage) == (1, 1, {}) and "brier" in ltc.numbers
    assert (gru.runs, gru.left_out, gru.numbers) == (0, 2, {})
    assert {one.members for one in comparison.certainties} == {1}
    assert compare(frame, {"t": ACCURACY}, 0.0).certainties == ()


def told(frame, comparison, facts, folder):
    study = Study.parse({"name": "s", "tasks": ["t"], "models": list(MODELS), "seeds": [0, 1]})
    page = report.write(study, frame, {"t": facts}, comparison, folder / "report.html").read_text()
    text = html.unescape(re.sub("<[^>]+>", " ", re.sub("<svg.*?</svg>", "<svg>", page, flags=re.S)))
    text = " ".join(text.split())
    return page, text[text.index("How sure, and is that true?") :] if "How sure, and is" in text else ""


def test_the_report_has_a_section_and_a_table(of_classes, tmp_path):
    _, frame, comparison = of_classes
    facts = Facts(**{**vars(ACCURACY), "kind": "classification", "title": "Task"})
    page, section = told(frame, comparison, facts, tmp_path)
    found = one_of(comparison, "LTC")
    assert f"{found.numbers['brier']:.3f}" in section and f"{found.coverage[CLEAN][1]:.2f}" in section
    for words in ("LTC, 2 seeds together", "With temperature", "Set size", "calibrated on unchanged data to hold 90 %"):
        assert words in section, words
    assert "Intervals and sets are to hold 90 % of the targets" in section
    for title in ("Reliability on Task", "Risk and coverage on Task", "Coverage on Task"):
        assert title in page
    study = Study.parse({"name": "s", "tasks": ["t"], "models": list(MODELS), "seeds": [0, 1]})
    files = report.write_tables(study, frame, {"t": facts}, comparison, tmp_path, "csv")
    (path,) = (file for file in files if "certainty" in file.name)
    read = pl.read_csv(path)
    row = read.filter(model="LTC", members=1, quantity="coverage", shift="noise")
    assert row["value"][0] == pytest.approx(found.coverage[NOISE][0], rel=1e-8)


def test_the_report_says_what_is_missing(tmp_path):
    frame, comparison = compared(tmp_path, {}, ACCURACY)
    _, section = told(frame, comparison, ACCURACY, tmp_path)
    assert "LTC: 2 runs left no predictions, and are left out; repeat them in a new folder to have them." in section
    _, without = told(frame, compare(frame, {"t": ACCURACY}, 0.0), ACCURACY, tmp_path)
    assert without == ""
