"""What is lost when the data shift, on made-up results with a known answer, and beside SciPy."""

import math

import polars as pl
import pytest
from results_table import ACCURACY, ERROR, table
from scipy import stats

from liquidbench.results import SCHEMA
from liquidbench.statistics import compare, holm

CLEAN = {"LTC": [0.90, 0.92, 0.88, 0.90], "GRU": [0.95, 0.94, 0.96, 0.95], "LSTM": [0.91, 0.92, 0.90, 0.93]}
# Drops by seed at levels 0.5 and 2.
DROPS = {
    "LTC": [(0.01, 0.02), (0.01, 0.03), (0.02, 0.02), (0.01, 0.02)],
    "GRU": [(0.10, 0.30), (0.12, 0.28), (0.11, 0.31), (0.10, 0.33)],
    "LSTM": [(0.00, 0.05), (0.03, 0.01), (0.01, 0.04), (0.00, 0.02)],
}
LEVELS = (0.5, 2.0)


def study(drops=DROPS, clean=CLEAN, sign=-1, key="noise", **options):
    """Results in which each model loses so much; `sign` is 1 for errors, which rise."""
    frame = table(clean, validation=dict.fromkeys(clean, 0.9), **options)
    main = frame.filter(pl.col("split") == "test", pl.col("metric") == options.get("metric", "accuracy"))
    rows = [
        row | {"corruption": key, "level": level, "value": row["value"] + sign * lost}
        for row in main.iter_rows(named=True)
        for level, lost in zip(LEVELS, drops[row["model"]][row["seed"]], strict=True)
        if lost is not None and row["value"] is not None
    ]
    return pl.concat([frame, pl.DataFrame(rows, schema=SCHEMA)])


def effect(frame, facts=ACCURACY, margin=0.0):
    (found,) = compare(frame, {"t": facts}, margin).shifts
    return found


def area(drops):
    """Two trapezoids over levels 0, 0.25 and 1."""
    return 0.25 * drops[0] / 2 + 0.75 * (drops[0] + drops[1]) / 2


def test_areas_drops_and_intervals_are_those_computed_by_hand():
    found = effect(study(baselines={"trivial": 0.5}))
    assert found.shift == "noise" and [one.model for one in found.models] == ["LTC", "LSTM", "GRU"]
    for one in found.models:
        areas = list(map(area, DROPS[one.model]))
        mean, error = sum(areas) / 4, stats.sem(areas)
        assert one.area.mean == pytest.approx(mean)
        assert one.area.interval == pytest.approx(stats.t.interval(0.95, 3, mean, error))
        lead = sum(CLEAN[one.model]) / 4 - 0.5
        assert one.area.relative == pytest.approx(mean / lead) and one.clean == pytest.approx(lead + 0.5)
        assert one.area.relative_interval == pytest.approx([end / lead for end in one.area.interval])
        for place, level in enumerate(LEVELS):
            lost = [drops[place] for drops in DROPS[one.model]]
            assert one.drops[level].mean == pytest.approx(sum(lost) / 4)
            assert one.drops[level].interval == pytest.approx(stats.t.interval(0.95, 3, sum(lost) / 4, stats.sem(lost)))
        assert (one.runs, one.left_out) == (4, 0)


def test_pairs_are_t_tests_within_seeds_corrected_by_holm():
    found = effect(study())
    areas = {model: list(map(area, drops)) for model, drops in DROPS.items()}
    raw = [stats.ttest_rel(areas[pair.first], areas[pair.second]).pvalue for pair in found.pairs]
    assert [pair.uncorrected for pair in found.pairs] == pytest.approx(raw)
    assert [pair.p for pair in found.pairs] == pytest.approx(holm(raw).tolist())
    assert {model: found.verdict(model) for model in ("GRU", "LSTM")} == {
        "GRU": "better",
        "LSTM": "no difference shown",
    }
    assert found.sentence == (
        "Noise: LTC degrades least, losing 0.015 on average over the levels; shown against GRU, not shown against LSTM."
    )


def test_errors_that_rise_are_losses_too():
    rising = study(sign=1, clean={model: [1 - one for one in values] for model, values in CLEAN.items()}, metric="mse")
    falling = effect(study())
    found = effect(rising, ERROR)
    for one, other in zip(found.models, falling.models, strict=True):
        assert one.model == other.model and one.area.mean == pytest.approx(other.area.mean)
    assert [pair.verdict for pair in found.pairs] == [pair.verdict for pair in falling.pairs]


def test_a_small_difference_is_equivalent_and_a_poor_model_has_little_to_lose():
    clean = {"LTC": [0.52, 0.53, 0.52, 0.53], "GRU": [0.95, 0.94, 0.96, 0.95]}
    drops = {"LTC": [(0.01, 0.010), (0.01, 0.011), (0.01, 0.01), (0.01, 0.01)], "GRU": [(0.011, 0.011)] * 4}
    found = effect(study(drops, clean, baselines={"trivial": 0.5}), margin=0.05)
    assert found.sentence == (
        "Noise: LTC degrades least, losing 0.00884 on average over the levels; equivalent to GRU. "
        "As a share of its lead over the trivial predictor, GRU loses least."
    )
    hopeless = effect(study(drops, clean, baselines={"trivial": 0.6}))
    assert hopeless.models[0].area.relative is None and hopeless.models[1].area.relative is not None


def test_a_run_without_all_levels_is_left_out():
    drops = DROPS | {"GRU": [(0.1, None), *DROPS["GRU"][1:]]}
    clean = CLEAN | {"LTC": [0.9, 0.92, 0.88, None]}
    frame = study(drops, clean).filter(pl.col("value").is_not_null() | (pl.col("status") == "failed"))
    found = effect(frame)
    runs = {one.model: (one.runs, one.left_out) for one in found.models}
    assert runs == {"LTC": (3, 1), "GRU": (3, 1), "LSTM": (4, 0)}
    pair = next(pair for pair in found.pairs if {pair.first, pair.second} == {"LTC", "GRU"})
    assert pair.seeds == 2 and pair.verdict == "cannot say" and "2 seeds are too few" in pair.reason


def test_splits_are_the_unit_where_there_are_several():
    frames = [study(fold=fold) for fold in range(3)]
    facts = {"t": ACCURACY.__class__(**vars(ACCURACY) | {"rows": {"train": 900, "test": 300}})}
    (found,) = compare(pl.concat(frames), facts, 0.0).shifts
    one = found.models[0]
    assert one.runs == 12 and one.area.interval is not None
    assert one.area.mean == pytest.approx(sum(map(area, DROPS["LTC"])) / 4)


def test_versions_and_shifts_never_mix():
    frame = study()
    both = pl.concat([frame, study(key="noise@2").filter(pl.col("corruption") != "")])
    other = study({model: [(0.3, 0.3)] * 4 for model in DROPS}, key="bias").filter(pl.col("corruption") != "")
    found = compare(pl.concat([both, other]), {"t": ACCURACY}, 0.0).shifts
    assert [one.shift for one in found] == ["noise", "noise@2", "bias"]
    assert found[0].models == found[1].models and "Noise (version 2)" in found[1].sentence
    assert all(math.isclose(one.area.mean, 0.2625) for one in found[2].models)


def test_one_model_or_one_level_needs_no_comparison():
    alone = effect(study({"GRU": DROPS["GRU"]}, {"GRU": CLEAN["GRU"]}))
    assert not alone.pairs and alone.sentence == "Noise: GRU loses 0.168 on average over the levels."
    only_clean = study().filter((pl.col("corruption") == "") | (pl.col("level") == 0))
    assert not compare(only_clean, {"t": ACCURACY}, 0.0).shifts


def over_tasks(count, liquid=(0.01, 0.03), recurrent=(0.05, 0.15), keys=("noise",), trivial=0.5):
    """Results on tasks where the two families lose so much at each level, a little more from task to task."""
    frames = []
    for number in range(count):
        task = f"t{number}"
        clean = {
            "LTC": [0.9, 0.91, 0.92],
            "CfC": [0.8, 0.79, 0.81],
            "GRU": [0.9, 0.9, 0.89],
            "LSTM": [0.95, 0.96, 0.94],
        }
        drops = {
            model: [tuple(one + 0.001 * number + 0.002 * seed for one in lost) for seed in range(3)]
            for model, lost in {"LTC": liquid, "CfC": liquid, "GRU": recurrent, "LSTM": recurrent}.items()
        }
        for place, key in enumerate(keys):
            frame = study(drops, clean, key=key, task=task, baselines={"trivial": trivial})
            frames.append(frame if not place else frame.filter(pl.col("corruption") == key))
    return pl.concat(frames)


def family_losses(frame, count):
    return compare(frame, {f"t{number}": ACCURACY for number in range(count)}, 0.0).family_losses


def test_families_are_compared_over_tasks_by_what_they_lose_of_what_they_have_learnt():
    (found,) = family_losses(over_tasks(7), 7)
    # By hand: area over lead of each model and seed, their means by family, then over seeds, then over tasks.
    clean = {"LTC": [0.9, 0.91, 0.92], "CfC": [0.8, 0.79, 0.81], "GRU": [0.9, 0.9, 0.89], "LSTM": [0.95, 0.96, 0.94]}
    sides = {"liquid": (("LTC", "CfC"), (0.01, 0.03)), "recurrent": (("GRU", "LSTM"), (0.05, 0.15))}
    means, differences = {}, [0.0] * 7
    for side, (models, lost) in sides.items():
        by_task = []
        for number in range(7):
            extra = [0.001 * number + 0.002 * seed for seed in range(3)]
            areas = [area([one + more for one in lost]) for more in extra]
            shares = [sum(areas) / 3 / (sum(clean[model]) / 3 - 0.5) for model in models]
            by_task.append(sum(shares) / 2)
        means[side] = sum(by_task) / 7
        differences = [d + (one if side == "liquid" else -one) for d, one in zip(differences, by_task, strict=True)]
    assert (found.liquid, found.recurrent) == (pytest.approx(means["liquid"]), pytest.approx(means["recurrent"]))
    assert found.difference == pytest.approx(sum(differences) / 7)
    assert found.p == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)
    low, high = found.interval
    assert low < found.difference < high < 0
    assert (found.shift, found.tasks, found.left_out, found.less) == ("noise", 7, 0, 7)
    assert found.verdict == "liquid"
    assert found.sentence.startswith("Noise: liquid networks lose less of what they have learnt (")
    assert "less on 7 of 7 tasks" in found.sentence


def test_families_over_tasks_are_corrected_for_all_shifts_and_need_six_tasks():
    keys = ("noise", "bias", "drift")
    found = family_losses(over_tasks(6, keys=keys), 6)
    assert [one.shift for one in found] == list(keys)
    # The smallest p-value of six tasks is 2 / 2**6; three shifts make it three times that.
    assert [one.p for one in found] == pytest.approx([3 * 2 / 2**6] * 3)
    assert {one.verdict for one in found} == {"no difference shown"}
    (few,) = family_losses(over_tasks(5), 5)
    assert (few.p, few.interval, few.verdict) == (None, None, "cannot say")
    assert "cannot be said from fewer than 6 tasks" in few.sentence


def test_tasks_without_a_lead_or_without_a_family_are_left_out():
    frame = over_tasks(7)
    poor = frame.with_columns(
        value=pl.when((pl.col("task") == "t3") & (pl.col("metric") == "trivial")).then(0.85).otherwise("value")
    )
    (found,) = family_losses(poor, 7)
    assert (found.tasks, found.left_out) == (6, 1) and "1 task left out" in found.sentence
    assert not family_losses(frame.filter(~pl.col("model").is_in(["GRU", "LSTM"])), 7)
    (better,) = family_losses(over_tasks(7, liquid=(0.2, 0.3)), 7)
    assert better.verdict == "recurrent" and better.less == 0
