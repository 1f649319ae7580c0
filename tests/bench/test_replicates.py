"""Measurements of one sample, which a split keeps together, and near tables that have none."""

import numpy as np
import polars as pl
import pytest
from drawn import signal

from liquidbench.tasks import compound_names, groups
from liquidbench.tasks.task import SPLITS


def measured(samples, times, seed=1, noise=0.0):
    """Sample, number of its measurement, and the target of each row, in the order in which they were measured."""
    draws = np.random.default_rng(seed)
    order = draws.permutation(samples * times)
    of, number = order // times, order % times
    return of, number, np.round(draws.normal(50, 8, samples)[of] + noise * draws.normal(size=len(of)), 3)


def beside(columns):
    """These columns and one of noise."""
    rows = len(next(iter(columns.values())))
    return pl.DataFrame({**columns, "x": np.random.default_rng(7).normal(size=rows).round(3)})


LABELS = {
    "text": ("Probe", lambda of: [f"B{one:03d}" for one in of]),
    "numbers": ("sample_no", lambda of: 3 * of + 1001),
    "people": ("donor", lambda of: [f"D-{one}" for one in of]),
    "in another language": ("Muster", lambda of: [f"{one}/23" for one in of]),
}


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize(("samples", "times", "noise"), [(40, 4, 0.0), (14, 3, 0.0), (60, 2, 0.6)])
def test_what_was_measured_again_is_the_group(case, samples, times, noise):
    name, label = LABELS[case]
    of, number, target = measured(samples, times, noise=noise)
    frame = beside({name: label(of), "Wdh": number + 1, "y": target})
    assert groups.choose(frame, "y", None).key == (name,)


@pytest.mark.parametrize("when", [None, "t"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_of_what_was_measured_again(when, classes):
    of, _, _ = measured(30, 5)
    frame = beside({"specimen": [f"c{one}" for one in of], "t": np.arange(150), "y": of % classes})
    assert groups.choose(frame, "y", when).key == ("specimen",)


def test_in_the_order_of_samples_or_of_rounds():
    of, number, target = measured(50, 3)
    for order in (np.lexsort((number, of)), np.lexsort((of, number))):
        frame = beside({"sample": of[order] + 1, "y": target[order]})
        assert groups.choose(frame, "y", None).key == ("sample",)


def test_samples_of_a_batch_are_split_by_batch():
    of, _, target = measured(40, 3)
    frame = beside({"Sample": [f"S{one}" for one in of], "batch": [f"L{one // 4}" for one in of], "y": target})
    assert groups.choose(frame, "y", None).key == ("batch", "Sample")


def test_labels_of_another_name_are_warned_of(planned):
    of, _, target = measured(50, 3)
    frame = beside({"Bezeichnung": [f"Wein {one}" for one in of], "y": target})
    lines = planned(frame).lines
    (warning,) = [line for line in lines if "measurements of one sample" in line]
    assert "rows with one value of 'Bezeichnung' have the same 'y'" in warning
    assert warning.endswith("--group Bezeichnung keeps them apart")
    for asked in ({"group": ["Bezeichnung"]}, {"group": None}, {"kind": "forecast"}):
        assert not [line for line in planned(frame, **asked).lines if "measurements of one sample" in line]


NAMES = {
    "letters": ("Sample", lambda of, number: f"W{of:03d}{'abcdef'[number]}"),
    "numbers": ("probe", lambda of, number: f"{of:03d}_{number + 1}"),
    "files": ("image", lambda of, number: f"leaf_{of:03d}_{number}.png"),
    "the measurement first": ("Name", lambda of, number: f"rep{number + 1} wine {of:02d}"),
    "two parts of three": ("ID", lambda of, number: f"F{of % 4}-{of // 4}-{number}"),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", NAMES)
def test_names_of_measurements_that_share_that_of_a_sample_are_warned_of(case, planned, tmp_path):
    pandas = pytest.importorskip("pandas")
    name, named = NAMES[case]
    of, number, target = measured(40, 3)
    frame = beside({name: [named(*both) for both in zip(of, number, strict=True)], "y": target})
    (warning,) = [line for line in planned(frame).lines if "share a part" in line]
    made = warning.split("in pandas: ")[1].split(", and say --group whose")[0]
    table = pandas.DataFrame(frame.to_dict(as_series=False))
    exec(made, {"table": table})
    assert table["whose"].nunique() == 40
    task = planned(pl.DataFrame(table.to_dict("list")), group=["whose"]).task
    parts = [{recording.group for recording in task.recordings(split)} for split in SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40


def clean(case):
    """A column, and a target, that are no measurements of samples."""
    draws = np.random.default_rng(3)
    some, slow, rows = draws.integers(0, 80, 420), signal(4, keeps=0.99), np.arange(420)
    target = draws.normal(size=420)
    return {
        "towns": ("town", [f"{one}ville" for one in some], target),
        "towns that differ": ("town", [f"ville {one}" for one in some], target + draws.normal(size=80)[some]),
        "phases of a slow target": ("phase", [f"p{row // 6}" for row in rows], slow),
        "amounts as text": ("flow", [f"{one:.1f} mL" for one in slow], np.round(slow, 1)),
        "pressures": ("bp", [f"{100 + one}/{60 + one % 9}" for one in some], some + 100),
        "categories": ("subtype", [f"s{one % 12}" for one in some], (some % 12) % 3),
        "copies of classes": ("label_id", [f"c{one % 3}" for one in some], some % 3),
        "models": ("model", [f"M{one}" for one in some], draws.normal(size=80)[some].round(2)),
        "rare classes": ("ticket", [f"T{one}" for one in some], (draws.random(420) < 0.02).astype(int)),
        "cycles of one course": ("cycle", rows % 70, np.sin(rows % 70 / 9) + 0.01 * target),
        "frames of films": ("frame", rows % 70, np.sin(rows % 70 / 9)),
        "one row each": ("sample_id", [f"A{row:04d}" for row in rows], target),
        "names of a part": ("sample_id", [f"A{row // 10:03d}_{row % 10}" for row in rows], target),
        "names in the order of a slow target": ("path", [f"s{row // 10:03d}/{row % 10}" for row in rows], slow),
        "one far amount": ("town", [*(f"{one}ville" for one in some[1:]), "Ys"], np.append(target[1:], 1e6)),
        "streets": (
            "address",
            [f"{'Oak Elm Main'.split()[one % 3]} Street {row}" for row, one in enumerate(some)],
            slow,
        ),
    }[case]


@pytest.mark.parametrize("time", [None, "t"])
@pytest.mark.parametrize(
    "case",
    [
        "towns", "towns that differ", "phases of a slow target", "amounts as text", "pressures", "categories",
        "copies of classes", "models", "rare classes", "cycles of one course", "frames of films", "one row each",
        "names of a part", "names in the order of a slow target", "one far amount", "streets",
    ],
)  # fmt: skip
def test_what_was_measured_once_is_none(case, time, warnings):
    name, values, target = clean(case)
    frame = beside({name: values, "t": np.arange(len(target)), "y": target})
    assert groups.measured_again(frame, "y", time) == []
    if time is None and case.startswith(("one row", "names", "streets")):
        assert not [line for line in warnings(frame.drop("t")) if "measurements of one sample" in line]


@pytest.mark.parametrize("form", ["P{0:04d}_OD_{1}", "leaf{0}-{1}.png", "{1}_K{0}"])
def test_amounts_that_leap_from_one_part_of_names_to_the_next_are_of_one_sample(form):
    of, number = np.repeat(np.arange(40), 4), np.tile(np.arange(4), 40)
    draws = np.random.default_rng(2)
    names = pl.Series([form.format(one, two) for one, two in zip(of, number, strict=True)])
    samples = pl.Series(draws.normal(90, 8, 40)[of] + draws.normal(size=160)).round(1)
    slow = pl.Series(90 + np.cumsum(draws.normal(size=160))).round(1)
    parts = [names.str.extract(shared.pattern) for shared in compound_names.shared_parts(names)]
    assert any(groups.leap_between(part, samples) for part in parts)
    assert not any(groups.leap_between(part, slow) for part in parts)
    assert not any(groups.leap_between(part, samples.shuffle(seed=1)) for part in parts)
