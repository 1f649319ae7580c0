"""Who acts better in other worlds, on made-up results with a known answer and beside SciPy; and what reports show."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import polars as pl
import pytest
from scipy import stats
from worlds_table import FLIGHT, POLICIES, SKILL, scores

from liquidbench import report, shifts
from liquidbench.facts import Facts
from liquidbench.report import tables
from liquidbench.report.svg import Mark
from liquidbench.report.task_summary import TaskSummary
from liquidbench.statistics import WORLD_RULE, compare, holm
from liquidbench.study import Study

WORLDS = ("winter", "fog", "wind")


def judged(frame=None, margin=0.02, facts=FLIGHT):
    (found,) = compare(scores() if frame is None else frame, {"flight": facts}, margin).worlds
    return found


def by_world(found):
    return {one.world: one for one in found.verdicts}


def test_verdicts_follow_the_truth():
    found = judged()
    assert {key: one.better for key, one in by_world(found).items()} == {
        "winter": "liquid",
        "fog": "recurrent",
        "wind": "",
    }
    assert found.sentence == (
        "Of 3 worlds: liquid networks are shown to be better in 1 (winter); recurrent networks are shown to be better "
        "in 1 (fog); no difference is shown in 1."
    )
    winter = by_world(found)["winter"].sentence
    assert winter.startswith(
        "Winter: liquid networks are shown to be better than recurrent networks (flights that reach the target 0."
    )
    assert winter.endswith("FeedForward 0.21, the expert 0.80, the trivial policy 0.00.")
    # One loses in winter what the other loses in fog.
    assert found.together.better == ""


def test_one_network_a_family_is_a_paired_t_test_corrected_over_worlds():
    frame = scores(models=("CfC", "GRU"))
    found = judged(frame, margin=0.0)
    means = (
        frame.filter(pl.col("metric") == "success", pl.col("split") == "test", pl.col("corruption") != "")
        .group_by("model", "corruption", "seed")
        .agg(pl.col("value").mean())
        .sort("seed")
    )
    raw, differences = {}, {}
    for key in WORLDS:
        liquid, recurrent = (
            means.filter(pl.col("corruption") == key, pl.col("model") == model)["value"].to_numpy()
            for model in ("CfC", "GRU")
        )
        raw[key], differences[key] = stats.ttest_rel(liquid, recurrent).pvalue, (liquid - recurrent).mean()
    corrected = dict(zip(raw, holm([raw[one.world] for one in found.verdicts]).tolist(), strict=True))
    for world, one in by_world(found).items():
        assert one.pair.difference == pytest.approx(differences[world])
        assert one.pair.uncorrected == pytest.approx(raw[world])
    assert [one.pair.p for one in found.verdicts] == pytest.approx(list(corrected.values()))
    assert found.together.pair.difference == pytest.approx(sum(differences.values()) / 3)


def test_a_run_without_a_level_is_left_out():
    gone = (pl.col("run") == "flight-CfC-0") & (pl.col("corruption") == "fog") & (pl.col("level") == 4.0)
    found = by_world(judged(scores(models=("CfC", "GRU")).filter(~gone)))
    assert (found["fog"].pair.seeds, found["winter"].pair.seeds) == (4, 5)


def test_there_is_no_verdict_where_nobody_beats_the_trivial_policy():
    hopeless = pl.when(
        pl.col("metric").cast(pl.String).is_in(["success", "trivial:success"]), pl.col("corruption") == "wind"
    ).then(pl.lit(0.3) + 0.001 * pl.col("seed"))
    found = by_world(judged(scores().with_columns(value=hopeless.otherwise(pl.col("value")))))
    assert found["wind"].pair.verdict == "floor not beaten"
    assert (
        "no verdict on liquid networks and recurrent networks, as neither is shown to be better than the trivial"
        in (found["wind"].sentence)
    )
    assert found["fog"].better == "recurrent"


def test_single_networks_are_named_where_families_are_not_shown_to_differ():
    # A liquid network that fails makes other liquid networks uncertain.
    frame = scores(models=("CfC", "LRCU", "GRU", "LSTM"))
    wind = by_world(judged(frame))["wind"]
    assert wind.pair.verdict == "no difference shown" and ("GRU", "LRCU") in wind.alone
    assert "Of single networks, p corrected over their pairs, GRU is better than LRCU" in wind.sentence


@pytest.mark.parametrize("losses, sign", [(lambda score: 1 - score, 1), (lambda score: score**2, -1)])
def test_rank_correlation_is_that_of_scipy(losses, sign):
    frame = scores(losses=losses)
    found = judged(frame).foretold
    assert found.home == pytest.approx(sign) and (found.fits, found.models) == (25, 5)
    of = {
        name: dict(frame.filter(rule).group_by("run").agg(pl.col("value").mean()).sort("run").iter_rows())
        for name, rule in (
            ("loss", pl.col("metric") == "mse"),
            ("away", (pl.col("metric") == "success") & (pl.col("corruption") != "")),
        )
    }
    expected = stats.spearmanr(list(of["loss"].values()), list(of["away"].values())).statistic
    assert found.away == pytest.approx(-expected)
    assert ("closely" if sign == 1 else "hardly") in found.sentence


def test_a_rank_correlation_without_an_order_is_undefined():
    found = judged(scores(losses=lambda score: 0.1)).foretold
    assert (found.home, found.away) == (None, None) and "cannot be said" in found.sentence
    assert judged(scores(models=("CfC", "GRU"), seeds=2)).foretold is None


def test_tasks_without_worlds_have_no_verdict():
    frame = scores().filter(pl.col("corruption") == "")
    assert compare(frame, {"flight": FLIGHT}, 0.02).worlds == ()


def test_worlds_are_in_the_order_of_their_registry():
    assert sorted(("wind", "fog", "winter", "noise"), key=shifts.place_of) == ["noise", "winter", "fog", "wind"]


def written(folder, frame=None, facts=FLIGHT, **changes):
    told = {
        "name": "flight",
        "question": "Do liquid policies fly better where the world changes?",
        "tasks": ["flight"],
        "models": list(SKILL),
        "parameters": 6000,
        "seeds": 5,
        "training": {"steps": 100},
        "robustness": dict.fromkeys(WORLDS, True),
    }
    study, frame = Study.parse(told | changes), scores() if frame is None else frame
    facts = {"flight": facts}
    return report.write(study, frame, facts, compare(frame, facts, 0.02), folder / "r.html").read_text(encoding="utf-8")


def test_the_page_has_a_heat_map_with_every_number_and_interval(tmp_path):
    page = written(tmp_path)
    assert "In other worlds" in page and "What each world costs" in page and "Shifted data" not in page
    drawn = re.search(r'<svg[^>]*aria-label="[^"]*by network, world and level">.*?</svg>', page, re.S).group()
    titles = [one.text for one in ElementTree.fromstring(drawn).iter("title")][1:]
    # Five networks and two policies, at home and in three worlds at three levels.
    assert len(titles) == 7 * (1 + 9)
    summary = summarised(scores())
    spread = summary.shifted("CfC", "fog", 2.0)
    low, high = (f"{end:.2f}" for end in spread.interval)
    assert f"CfC, fog of density 2: {spread.mean:.2f} [{low}, {high}], 5 seeds" in titles
    assert any(title.startswith("expert, a wind of 6 m/s: 0.70") for title in titles)
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page))
    for one in judged().verdicts:
        assert one.sentence in text
    assert judged().sentence in text and judged().foretold.sentence in text and WORLD_RULE in text.replace("&#39;", "'")


def test_many_worlds_fold_into_bands(tmp_path):
    page = written(tmp_path, scores(worlds=tuple(shifts.WORLDS)), robustness=dict.fromkeys(shifts.WORLDS, True))
    assert f"{len(shifts.WORLDS)} figures, one for each world" in page
    drawn = re.search(r'<svg[^>]*aria-label="[^"]*by network, world and level">.*?</svg>', page, re.S).group()
    names = [one.text for one in ElementTree.fromstring(drawn).iter("text")]
    assert all(names.count(shift.title) == 1 for shift in shifts.WORLDS.values())
    assert names.count("training") == names.count("GRU") > 1


def summarised(frame, facts=FLIGHT):
    marks = {model: Mark(model, "liquid", place) for place, model in enumerate(SKILL)}
    return TaskSummary("flight", facts, frame, marks, compare(frame, {"flight": facts}, 0.02))


def test_policies_of_the_closed_loop_are_those_of_the_world_of_training():
    found = summarised(scores())
    assert {policy: told["success"] for policy, told in found.policies.items()} == POLICIES
    assert found.policies_judged == ["expert", "trivial"]
    assert found.policy("expert", "wind", 4.0).mean == pytest.approx(0.8)
    assert found.policy("expert", "hail", 4.0) is None


def test_the_table_has_a_row_for_each_level(tmp_path):
    table = tables.worlds(summarised(scores()), "worlds")
    assert [row[0] for row in table.rows][:4] == [
        "The world of training",
        "25 % of the way to winter",
        "50 % of the way to winter",
        "100 % of the way to winter",
    ]
    assert len(table.rows) == 10 and len(table.records) == 10 * 7
    assert {record["who"] for record in table.records if record["policy"]} == set(POLICIES)


def test_errors_are_better_where_they_are_lower(tmp_path):
    """A measurement without a largest value, of which less is better: the same verdicts, and a heat map."""
    frame = scores().with_columns(
        value=pl.when(pl.col("metric").cast(pl.String).str.contains("success"))
        .then(2 - pl.col("value"))
        .otherwise("value")
    )
    measured = replace(FLIGHT.measurements[0], higher_is_better=False, range=(0.0, float("inf")))
    worse: Facts = replace(FLIGHT, higher_is_better=False, metric_range=measured.range, measurements=(measured,))
    found = judged(frame, 0.02, worse)
    assert {key: one.better for key, one in by_world(found).items()} == {
        "winter": "liquid",
        "fog": "recurrent",
        "wind": "",
    }
    assert found.foretold.home == pytest.approx(1)
    assert "lower is better" in written(tmp_path, frame, worse)
