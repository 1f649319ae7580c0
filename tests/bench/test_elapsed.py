"""Whether elapsed time is used, on made-up results with a known answer, and beside SciPy and statsmodels."""

import numpy as np
import polars as pl
import pytest
from results_table import ACCURACY, ALL, CUT, ERROR, table
from scipy import stats
from statsmodels.stats.multitest import multipletests

from liquidbench.conditions import CONTRASTS
from liquidbench.statistics import compare

TRUE = {
    "LTC": [0.90, 0.92, 0.88, 0.91, 0.90],
    "CfC": [0.91, 0.90, 0.92, 0.90, 0.91],
    "GRU": [0.89, 0.90, 0.91, 0.88, 0.90],
}
# What each loses when spans are constant, by seed: LTC much, CfC nothing that counts, GRU who knows what.
LOST = {
    "LTC": [0.10, 0.12, 0.11, 0.09, 0.10],
    "CfC": [0.001, -0.001, 0.000, 0.002, -0.001],
    "GRU": [0.05, -0.03, 0.04, -0.02, 0.01],
}


def without(lost=LOST, true=TRUE, sign=-1):
    return {model: [one + sign * gone for one, gone in zip(true[model], lost[model], strict=True)] for model in lost}


def scored(scores, task, **options):
    return table(scores, task=task, validation=dict.fromkeys(scores, 0.9), **options)


def facts(*names, of=ACCURACY):
    return dict.fromkeys(names, of)


NAMES = ("t", "t@constant", "t@shuffled")


def study(constant=LOST, shuffled=None, **options):
    frames = [scored(TRUE, "t", **options), scored(without(constant), "t@constant", **options)]
    if shuffled:
        frames.append(scored(without(shuffled), "t@shuffled", **options))
    return pl.concat(frames)


def elapsed(frame, margin=0.01, of=ACCURACY, names=NAMES):
    (found,) = compare(frame, facts(*names, of=of), margin).elapsed
    return found


def test_drops_intervals_and_p_are_those_of_scipy():
    found = elapsed(study(), margin=0.0)
    assert found.task == "t" and [one.withheld for one in found.contrasts] == ["constant"]
    raw = {model: stats.ttest_1samp(lost, 0.0).pvalue for model, lost in LOST.items()}
    corrected = dict(zip(raw, multipletests(list(raw.values()), method="holm")[1], strict=True))
    for use in found.uses:
        lost = LOST[use.who]
        assert use.drop == pytest.approx(np.mean(lost))
        expected = stats.t.interval(0.95, len(lost) - 1, np.mean(lost), stats.sem(lost))
        assert use.interval == pytest.approx(expected)
        assert use.pair.p == pytest.approx(corrected[use.who], rel=1e-6)


def test_verdicts_follow_the_truth():
    found = elapsed(study())
    assert {use.who: use.verdict for use in found.uses} == {
        "LTC": "uses elapsed time",
        "CfC": "no use that counts",
        "GRU": "no use shown",
    }
    ltc, cfc, gru = (next(use for use in found.uses if use.who == who).sentence for who in TRUE)
    assert ltc == (
        "LTC uses elapsed time: accuracy falls by 0.104 [0.090, 0.118] when all spans are told as equal (p < 0.001)."
    )
    assert cfc.startswith("CfC makes no use of elapsed time that counts: accuracy ")
    assert gru.startswith("No use of elapsed time is shown for GRU: accuracy falls by 0.0100 [")
    assert found.sentence == (
        "On t, elapsed time is shown to be used by LTC. Means of families: liquid networks use elapsed time, recurrent "
        "networks are not shown to use it."
    )


def test_errors_rise_and_models_may_be_better_without():
    frame = pl.concat(
        [
            scored(TRUE, "t", metric="mse"),
            scored(without(sign=1), "t@constant", metric="mse"),
        ]
    )
    found = elapsed(frame, of=ERROR)
    ltc = found.uses[0]
    assert ltc.verdict == "uses elapsed time" and ltc.drop == pytest.approx(np.mean(LOST["LTC"]))
    assert ltc.sentence.startswith("LTC uses elapsed time: mean squared error rises by 0.104 [0.0")
    harmed = elapsed(study({model: [-one for one in LOST["LTC"]] for model in TRUE}))
    assert harmed.verdict("LTC") == "better without elapsed time"
    assert "LTC is better without elapsed time: accuracy rises by 0.104 [0.0" in harmed.uses[0].sentence
    assert harmed.sentence.startswith(
        "On t, no model is shown to use elapsed time, LTC, CfC, GRU are better without it."
    )


def test_families_are_means_of_their_models_seed_by_seed():
    found = elapsed(study(), margin=0.0)
    liquid = next(use for use in found.families if use.who == "liquid")
    lost = np.mean([LOST["LTC"], LOST["CfC"]], axis=0)
    assert liquid.drop == pytest.approx(lost.mean())
    assert liquid.interval == pytest.approx(stats.t.interval(0.95, 4, lost.mean(), stats.sem(lost)))
    assert liquid.pair.uncorrected == pytest.approx(stats.ttest_1samp(lost, 0.0).pvalue)
    assert liquid.sentence.startswith("Liquid networks use elapsed time: accuracy falls by 0.0521 [")


def test_all_models_and_conditions_of_a_task_are_corrected_together():
    none = {model: LOST["GRU"] for model in TRUE}
    found = elapsed(study(LOST, none), margin=0.0)
    raw = [stats.ttest_1samp((LOST if use.contrast.withheld == "constant" else none)[use.who], 0).pvalue
           for use in found.uses]  # fmt: skip
    assert [use.pair.p for use in found.uses] == pytest.approx(multipletests(raw, method="holm")[1].tolist())
    assert [(use.who, use.contrast.withheld) for use in found.uses] == [
        (model, name) for model in TRUE for name in ("constant", "shuffled")
    ]
    # A use under one condition is a use.
    assert found.verdict("LTC") == "uses elapsed time" and found.verdict("GRU") == "no use shown"


def test_dropped_samples_are_compared_with_dropped_samples():
    """Not with the task as it is, which has other samples and, step by step, other targets."""
    frames = [
        scored({model: [0.99] * 4 for model in TRUE}, "t"),
        scored({"LTC": [0.80, 0.81, 0.82, 0.80]}, "t@dropped-span"),
        scored({"LTC": [0.83, 0.84, 0.82, 0.83]}, "t@dropped-span-mask"),
        scored({"LTC": [0.70, 0.70, 0.71, 0.72]}, "t@dropped-untold"),
    ]
    names = ["t", *(f"t@dropped-{told}" for told in ("span", "span-mask", "untold"))]
    found = elapsed(pl.concat(frames), names=names)
    assert [use.drop for use in found.uses] == pytest.approx([0.1, 0.1225])
    assert all(use.verdict == "uses elapsed time" for use in found.uses)
    assert "falls by 0.100 [" in found.uses[0].sentence and "samples that remain are not told" in found.uses[0].sentence
    alone = compare(pl.concat(frames[:2]), facts(*names), 0.01)
    assert alone.elapsed == ()


def test_no_verdict_from_few_seeds_or_trainings_cut_short():
    few = {model: values[:2] for model, values in TRUE.items()}
    frame = pl.concat([scored(few, "t"), scored(few, "t@constant")])
    found = elapsed(frame)
    assert found.sentence == "On t, this study cannot say whether elapsed time is used."
    assert found.uses[0].sentence == "It cannot be said whether LTC uses elapsed time: 2 seeds are too few."
    ended = {model: [ALL] * 5 for model in TRUE}
    frame = pl.concat(
        [
            scored(TRUE, "t", ended=ended),
            scored(without(), "t@constant", ended=ended | {"LTC": [CUT, *[ALL] * 4]}),
        ]
    )
    found = elapsed(frame)
    assert found.uses[0].verdict == "cannot say"
    assert "the time limit ended 1 of 5 chosen trainings of LTC on t@constant" in found.uses[0].sentence
    assert found.uses[1].verdict == "no use that counts"


def test_failed_runs_leave_their_pairs_out():
    broken = without()
    broken["LTC"] = [None, *broken["LTC"][1:]]
    found = elapsed(pl.concat([scored(TRUE, "t"), scored(broken, "t@constant")]), margin=0.0)
    assert found.uses[0].pair.seeds == 4 and found.uses[0].pair.left_out == 1
    assert found.uses[0].drop == pytest.approx(np.mean(LOST["LTC"][1:]))


def test_other_test_recordings_are_a_source_of_error():
    """Differences of both forms without each recording, as for two models on one task."""
    frame = study()
    blocks = {
        True: np.array([0.80, 0.90, 0.70, 0.85, 0.95, 0.75]),
        False: np.array([0.95, 0.70, 0.90, 0.75, 0.80, 0.9]),
    }

    def parts(run, metric):
        return blocks["@" in run]

    (found,) = compare(frame, facts(*NAMES), 0.01, without=parts).elapsed
    assert found.uses[0].pair.covers == ("seeds", "test recordings")
    widths = [use.interval[1] - use.interval[0] for use in (found.uses[0], elapsed(frame).uses[0])]
    assert widths[0] > widths[1]


def test_conditioned_tasks_count_in_no_other_verdict():
    """Verdict, ranks, warnings and tests over tasks are those of the study without them, to the last digit."""
    random = np.random.default_rng(0)
    bases, everything = [], []
    for number in range(7):
        scores = {model: (0.8 + 0.02 * random.normal(size=4)).tolist() for model in (*TRUE, "LSTM")}
        frame = scored(scores, f"t{number}")
        bases.append(frame)
        # Under conditions the recurrent networks would win everywhere.
        worse = scores | {model: [0.3, 0.31, 0.3, 0.32] for model in ("LTC", "CfC")}
        everything += [frame, scored(worse, f"t{number}@constant"), scored(worse, f"t{number}@shuffled")]
    names = facts(*(f"t{number}{end}" for number in range(7) for end in ("", "@constant", "@shuffled")))
    alone, together = (compare(pl.concat(frames), names, 0.01) for frames in (bases, everything))
    assert together.verdict == alone.verdict and together.overall == alone.overall
    assert together.over_tasks == alone.over_tasks and together.over_tasks.tasks == 7
    assert [one.task for one in together.verdict.judgements] == [f"t{number}" for number in range(7)]
    assert len(together.elapsed) == 7 and alone.elapsed == ()
    # Their own pages still have scores and pairs.
    assert {line.task for line in together.leaderboard} == set(names)
    assert [pair for pair in together.pairs if "@" not in pair.task] == list(alone.pairs)


@pytest.mark.slow
def test_claims_are_false_as_often_as_they_may_be():
    """Of models that make no use of time a twentieth at most is said to, and of those that lose much nearly all are."""
    random, margin, false, found = np.random.default_rng(1), 0.01, 0, 0
    for _ in range(60):
        noise = 0.02 * random.normal(size=(2, 3, 5))
        frames = [
            scored({model: (0.9 - (place * (0.0, 0.0, 0.12)[row]) + noise[place, row]).tolist()
                    for row, model in enumerate(TRUE)}, name)
            for place, name in enumerate(("t", "t@constant"))
        ]  # fmt: skip
        uses = elapsed(pl.concat(frames), margin).uses
        false += any(use.verdict in ("uses elapsed time", "better without elapsed time") for use in uses[:2])
        found += uses[2].verdict == "uses elapsed time"
    assert false <= 60 * 0.05 + 2.33 * (60 * 0.05 * 0.95) ** 0.5
    assert found >= 54


def test_every_contrast_ends_a_sentence():
    assert all(one.when.startswith("when ") and not one.when.endswith(".") for one in CONTRASTS)
