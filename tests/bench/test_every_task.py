"""What every task promises, stated once for all names that `tasks.load` knows.

Tasks on full data need the raw files, in the folder named by LIQUIDBENCH_DATA or in ``../shared/data`` beside
the repository; without them they are skipped. Excerpts and generated tasks run everywhere.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from liquidbench import tasks
from liquidbench.facts import Facts
from liquidbench.tasks import files, flight, icu, mnist, mujoco_traces, person, quadrotor, series, synthetic, uci, uea
from liquidbench.tasks.excerpts import make
from liquidbench.tasks.task import SPLITS, check

DATA = Path(os.environ.get("LIQUIDBENCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
FULL = {
    "occupancy": uci.OCCUPANCY,
    "gesture": uci.GESTURE,
    "cheetah": mujoco_traces.CHEETAH,
    "walker": mujoco_traces.WALKER,
    "physionet2012": icu.PHYSIONET,
    "physionet2012-official": icu.PHYSIONET_ALL,
    "physionet2012-raindrop": icu.PHYSIONET_ALL,
    "physionet2012-seft": icu.PHYSIONET_ALL,
    "etth1": series.ETTH1,
    "exchange": series.EXCHANGE,
    "traffic": series.TRAFFIC,
    "traffic-ltc": series.TRAFFIC,
    "power": series.POWER_HOURS,
    "power-ltc": series.POWER_MINUTES,
    "ozone": series.OZONE,
    "ozone-ltc": series.OZONE,
    "person-partial": person.PERSON,
    "person-ltc": person.PERSON,
    "quadrotor-velocity": quadrotor.QUADROTOR,
    "quadrotor-velocity-ood": quadrotor.QUADROTOR,
    "quadrotor-displacement": quadrotor.QUADROTOR,
    "quadrotor-displacement-ood": quadrotor.QUADROTOR,
    "mnist-rows": mnist.MNIST,
    "mnist-events": mnist.MNIST,
    "tcmnist-source": mnist.MNIST,
    "tcmnist-step": mnist.MNIST,
    "japanese-vowels": uea.VOWELS,
    "basic-motions": uea.MOTIONS,
    "articulary-words": uea.WORDS,
    "scp1": uea.SCP1,
    "scp1-papers": uea.SCP1_SPLITS,
    "scp2-partial": uea.SCP2,
    "ethanol-partial": uea.ETHANOL,
}
SLOW = (
    *(
        "physionet2012",
        "physionet2012-official",
        "physionet2012-raindrop",
        "physionet2012-seft",
        "traffic-ltc",
        "mnist-rows",
    ),
    *(
        "walker",
        "walker2d-loop",
        "hidden-dynamics",
        "hidden-dynamics-uneven",
        "parity-events",
        "tcmnist-source",
        "tcmnist-step",
        "mnist-events",
        "scp1",
        "scp1-papers",
        "scp2-partial",
        "ethanol-partial",
    ),
)
"""Tasks of much data or long simulations, tested here among the slow ones.

`test_series`, `test_mnist`, `test_uea`, `test_gait` and `test_dynamics` are quick. An excerpt of ``physionet2012`` is
read here, ``halfcheetah-loop`` is run and ``parity-dense`` is drawn.
"""
SIMULATED = ("halfcheetah-loop", "walker2d-loop")
"""Tasks whose recordings a simulator makes."""
# Sequences in training, validation and test; the trivial predictor's score on test; start of the checksum.
RECORDED = {
    "occupancy": ((379, 63, 389), {"accuracy": 0.756705, "auprc": 0.243295}, "3ae085d7"),
    "occupancy-excerpt": ((379, 63, 178), {"accuracy": 0.673787, "auprc": 0.326213}, "35bd2c55"),
    "gesture": ((321, 45, 104), {"accuracy": 0.282224, "f1_macro": 0.088042}, "e888a129"),
    "gesture-excerpt": ((213, 25, 58), {"accuracy": 0.305556, "f1_macro": 0.093617}, "03c43d70"),
    "cheetah": ((980, 192, 320), {"mse": 1.272051, "mae": 0.823888}, "301a163d"),
    "cheetah-excerpt": ((588, 64, 96), {"mse": 0.958188, "mae": 0.787056}, "7d65e6dc"),
    "walker": ((9984, 375, 569), {"mse": 0.202910, "r2": 0.798525}, "70c06959"),
    "halfcheetah-loop": ((480, 64, 64), {"mse": 1.080840, "mae": 0.878012}, "a68b3bdc"),
    "walker2d-loop": ((480, 64, 64), {"mse": 0.973312, "mae": 0.811787}, "3e551376"),
    "physionet2012": ((3200, 800, 4000), {"auroc": 0.5, "auprc": 0.142}, "6dfcb0db"),
    "physionet2012-official": ((3200, 800, 8000), {"auroc": 0.5, "auprc": 0.144125}, "f26e36e9"),
    "physionet2012-raindrop": ((9590, 1199, 1199), {"auroc": 0.5, "auprc": 0.131776}, "f26e36e9"),
    "physionet2012-seft": ((7680, 1920, 2400), {"auroc": 0.5, "auprc": 0.142083}, "f26e36e9"),
    "physionet2012-excerpt": ((300, 80, 120), {"auroc": 0.5, "auprc": 0.175}, "b6f6412e"),
    "etth1": ((346, 36, 38), {"mse": 0.033294, "mae": 0.136885}, "5dfda779"),
    "exchange": ((278, 44, 46), {"mse": 0.004288, "mae": 0.030111}, "2b74e72c"),
    "traffic": ((960, 180, 182), {"mse": 0.981530, "mae": 0.868520}, "3e236ea9"),
    "traffic-ltc": ((9033, 1204, 1806), {"mse": 0.997216, "mae": 0.876325}, "3e236ea9"),
    "power": ((294, 71, 66), {"mse": 0.412815, "mae": 0.423909}, "17b8ddde"),
    "power-ltc": ((960, 128, 192), {"mse": 0.848513, "mae": 0.766183}, "91f9e1c2"),
    "ozone": ((129, 22, 23), {"auroc": 0.500000, "auprc": 0.039726}, "b8285c34"),
    "ozone-ltc": ((471, 62, 93), {"f1": 0.000000, "auprc": 0.077285}, "b8285c34"),
    "person-partial": ((362, 89, 78), {"accuracy": 0.417523, "f1_macro": 0.084155}, "079d261a"),
    "person-ltc": ((771, 102, 153), {"accuracy": 0.330474, "f1_macro": 0.070968}, "079d261a"),
    "quadrotor-velocity": ((236, 23, 25), {"mse": 0.989571, "mae": 0.851837}, "d93cf158"),
    "quadrotor-velocity-ood": ((310, 23, 112), {"mse": 1.279955, "mae": 0.848656}, "d93cf158"),
    "quadrotor-displacement": ((230, 22, 23), {"mse": 0.313324, "mae": 0.390306}, "d93cf158"),
    "quadrotor-displacement-ood": ((301, 22, 108), {"mse": 0.024533, "mae": 0.091235}, "d93cf158"),
    "mnist-rows": ((54000, 6000, 10000), {"accuracy": 0.113500, "f1_macro": 0.020386}, "f8b2f09b"),
    "mnist-events": ((54000, 6000, 10000), {"accuracy": 0.113500, "f1_macro": 0.020386}, "f8b2f09b"),
    "japanese-vowels": ((216, 54, 370), {"accuracy": 0.083784, "f1_macro": 0.017179}, "3d51a65a"),
    "basic-motions": ((32, 8, 40), {"accuracy": 0.250000, "f1_macro": 0.100000}, "d7cb4817"),
    "articulary-words": ((225, 50, 300), {"accuracy": 0.040000, "f1_macro": 0.003077}, "32325e08"),
    "scp1": ((215, 53, 293), {"accuracy": 0.501706, "f1_macro": 0.334091}, "b334fc11"),
    "scp1-papers": ((392, 84, 85), {"accuracy": 0.470588, "f1_macro": 0.320000}, "a58528cb"),
    "scp2-partial": ((197, 57, 57), {"accuracy": 0.421053, "f1_macro": 0.296296}, "977f6117"),
    "ethanol-partial": ((290, 79, 79), {"accuracy": 0.240506, "f1_macro": 0.096939}, "5a2f4ed6"),
    "parity-dense": ((4000, 1000, 1000), {"accuracy": 0.512}, ""),
    "parity-events": ((20_000, 1000, 1000), {"accuracy": 0.522}, ""),
    "parity-running": ((1000, 500, 500), {"accuracy": 0.507147}, ""),
    "spurious-fourier": ((6400, 1600, 4000), {"accuracy": 0.4935}, ""),
    "tcmnist-source": ((9332, 2334, 5833), {"accuracy": 0.488065}, ""),
    "tcmnist-step": ((10500, 3500, 3500), {"accuracy": 0.480286}, ""),
    "hidden-dynamics": ((800, 100, 100), {"mse": 0.931049, "mae": 0.737766}, "9ce084cb"),
    "hidden-dynamics-uneven": ((800, 100, 100), {"mse": 0.919435, "mae": 0.732899}, "d34a99c7"),
}
# What a linear model without memory gets on test, by the main metric and another.
LINEAR = {
    "occupancy": {"accuracy": 0.908674, "auprc": 0.838752},
    "occupancy-excerpt": {"accuracy": 0.967696, "auprc": 0.974070},
    "gesture": {"accuracy": 0.429750, "f1_macro": 0.237521},
    "gesture-excerpt": {"accuracy": 0.478333, "f1_macro": 0.317064},
    "cheetah": {"mse": 0.423811, "mae": 0.398956},
    "cheetah-excerpt": {"mse": 0.296171, "mae": 0.368240},
    "walker": {"mse": 0.139159, "mae": 0.197070},
    "halfcheetah-loop": {"mse": 0.358099, "mae": 0.472834},
    "walker2d-loop": {"mse": 0.264052, "mae": 0.373710},
    "physionet2012": {"auroc": 0.843546, "auprc": 0.536749},
    "physionet2012-official": {"auroc": 0.847052, "auprc": 0.525888},
    "physionet2012-raindrop": {"auroc": 0.854747, "auprc": 0.498335},
    "physionet2012-seft": {"auroc": 0.855466, "auprc": 0.525617},
    "physionet2012-excerpt": {"auroc": 0.705147, "auprc": 0.453890},
    "etth1": {"mse": 0.065934, "mae": 0.204876},
    "exchange": {"mse": 0.004416, "mae": 0.032745},
    "traffic": {"mse": 0.301240, "mae": 0.425685},
    "traffic-ltc": {"mse": 0.367824, "mae": 0.487432},
    "power": {"mse": 0.337914, "mae": 0.425319},
    "power-ltc": {"mse": 0.001466, "mae": 0.023589},
    "ozone": {"auroc": 0.875400, "auprc": 0.156645},
    "ozone-ltc": {"f1": 0.058824, "auprc": 0.548946},
    "person-partial": {"accuracy": 0.480363, "f1_macro": 0.178839},
    "person-ltc": {"accuracy": 0.409722, "f1_macro": 0.151969},
    "quadrotor-velocity": {"mse": 0.317264, "mae": 0.427374},
    "quadrotor-velocity-ood": {"mse": 1.528950, "mae": 0.955186},
    "quadrotor-displacement": {"mse": 0.058954, "mae": 0.167148},
    "quadrotor-displacement-ood": {"mse": 0.083507, "mae": 0.202312},
    "mnist-rows": {"accuracy": 0.382600, "f1_macro": 0.337725},
    "mnist-events": {"accuracy": 0.205900, "f1_macro": 0.068001},
    "japanese-vowels": {"accuracy": 0.975676, "f1_macro": 0.976799},
    "basic-motions": {"accuracy": 0.700000, "f1_macro": 0.680406},
    "articulary-words": {"accuracy": 0.473333, "f1_macro": 0.423413},
    "scp1": {"accuracy": 0.706485, "f1_macro": 0.679513},
    "scp1-papers": {"accuracy": 0.823529, "f1_macro": 0.823432},
    "scp2-partial": {"accuracy": 0.421053, "f1_macro": 0.414566},
    "ethanol-partial": {"accuracy": 0.329114, "f1_macro": 0.281318},
    "parity-dense": {"accuracy": 0.500},
    "parity-events": {"accuracy": 0.522},
    "parity-running": {"accuracy": 0.520114},
    "spurious-fourier": {"accuracy": 0.50925},
    "tcmnist-source": {"accuracy": 0.102406},
    "tcmnist-step": {"accuracy": 0.106857},
    "hidden-dynamics": {"mse": 0.513279, "mae": 0.516779},
    "hidden-dynamics-uneven": {"mse": 0.491771, "mae": 0.510169},
}


def lacks(name: str) -> bool:
    archive = FULL[name]
    return not any(all((DATA / archive.folder / file).is_file() for file in form) for form in archive.forms)


def mark(name: str):
    marks = []
    if name in FULL:
        marks.append(pytest.mark.skipif(lacks(name), reason=f"no raw files of {name} in {DATA}; set LIQUIDBENCH_DATA"))
    if name in SIMULATED:
        lacking = [package for package in ("gymnasium", "imageio", "mujoco") if find_spec(package) is None]
        marks.append(pytest.mark.skipif(bool(lacking), reason=f"no {', '.join(lacking)}; install the extra flight"))
    if name in SLOW:
        marks.append(pytest.mark.slow)
    return pytest.param(name, marks=marks)


every_name = pytest.mark.parametrize("name", [mark(name) for name in RECORDED])
full_names = pytest.mark.parametrize("name", [mark(name) for name in FULL])

# Outer splits on offer, the official one among them.
FOLDS = {
    "occupancy": 4,
    "occupancy-excerpt": 4,
    "gesture": 6,
    "gesture-excerpt": 5,
    "cheetah": 3,
    "cheetah-excerpt": 4,
    "walker": 7,
    "halfcheetah-loop": 1,
    "walker2d-loop": 1,
    "physionet2012": 5,
    "physionet2012-official": 1,
    "physionet2012-raindrop": 5,
    "physionet2012-seft": 1,
    "physionet2012-excerpt": 5,
    "etth1": 1,
    "exchange": 1,
    "traffic": 1,
    "traffic-ltc": 1,
    "power": 1,
    "power-ltc": 1,
    "ozone": 1,
    "ozone-ltc": 1,
    "person-partial": 3,
    "person-ltc": 1,
    "quadrotor-velocity": 5,
    "quadrotor-velocity-ood": 1,
    "quadrotor-displacement": 5,
    "quadrotor-displacement-ood": 1,
    "mnist-rows": 7,
    "mnist-events": 7,
    "japanese-vowels": 2,
    "basic-motions": 2,
    "articulary-words": 2,
    "scp1": 2,
    "scp1-papers": 5,
    "scp2-partial": 5,
    "ethanol-partial": 5,
    "parity-dense": 6,
    "parity-events": 22,
    "parity-running": 4,
    "spurious-fourier": 1,
    "tcmnist-source": 1,
    "tcmnist-step": 1,
    "hidden-dynamics": 1,
    "hidden-dynamics-uneven": 1,
}
LARGE = {"walker": 0, "parity-dense": 1, "parity-events": 1}
"""Tasks whose splits take seconds to build: outer splits above these are checked with the slow tests."""

every_fold = [
    pytest.param(
        (name, fold),
        marks=[*mark(name).marks, *[pytest.mark.slow] * (name not in SLOW and fold > LARGE.get(name, fold))],
        id=f"{name}-{fold}",
    )
    for name in RECORDED
    for fold in range(FOLDS[name])
]

_loaded = {}
_built_before_test = {}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory, worker_id):
    """Keep what is parsed here out of the user's cache, in a folder that all processes of a run have in common."""
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str((folder if worker_id == "master" else folder.parent) / "every-task"))
        yield


def load(name):
    """A task with all splits built, loaded once for all tests."""
    if name not in _loaded:
        task = tasks.load(name, data=DATA)
        task.split("train"), task.split("validation"), task.timespan_unit, task.trivial_score(split="validation")
        _built_before_test[name] = set(task.constructed)
        check(task)
        _loaded[name] = task
    return _loaded[name]


@pytest.fixture(scope="module", params=every_fold)
def task(request):
    """Every task on every outer split, all splits built; of the module's scope, so that one at a time is in memory."""
    name, fold = request.param
    if fold == 0:
        return load(name)
    turned = load(name).with_fold(fold)
    check(turned)
    return turned


def test_no_task_goes_unchecked():
    # Flights are simulated on first use, and have tests of their own.
    assert set(tasks.names()) - set(flight.MISSIONS) == set(RECORDED) == set(LINEAR) == set(FOLDS)


@every_name
def test_is_on_its_page_as_it_is(name):
    task = load(name)
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    sizes = " / ".join(f"{len(task.split(split)):,}" for split in SPLITS)
    cells = (
        f"`{name}`",
        f"{task.kind}, per {task.per}",
        str(len(task.features)),
        str(task.outputs),
        f"{'uneven' if task.irregular else 'even'}, {task.time_unit}",
        "some" if task.missing else "none",
        str(task.window or "whole"),
        sizes,
        task.metric,
        f"{task.trivial_score():.3f} ({task.baseline})",
        task.source.licence,
    )
    features = ", ".join(f"{feature.name} ({feature.unit})" for feature in task.features)
    if len(task.features) > 100:
        first, last = task.features[0], task.features[-1]
        features = f"{first.name} ({first.unit}) to {last.name} ({last.unit}), {len(task.features)} in all"
    for said in (
        f"| {' | '.join(cells)} |",
        f"**Features**, with units: {features}.",
        f"**Split of `{name}`**: {task.split_rule}",
        f"| `{name}` | {task.folds} | {task.fold_rule} |",
        task.description,
        f"[{task.source.title}]({task.source.url}). {task.source.citation}. Licence: {task.source.licence}.",
    ):
        assert " ".join(said.split()) in page


@every_name
def test_says_what_it_is(name):
    task = load(name)
    assert task.name == name
    for words in (task.title, task.description, task.split_rule, task.time_unit, task.target_unit):
        assert words
    for words in (task.source.title, task.source.licence, task.source.citation):
        assert words
    assert task.source.url.startswith("https://")
    assert all(feature.name and feature.unit for feature in task.features)
    assert task.metric in task.scores
    facts = json.loads(json.dumps(task.facts().to_json()))
    assert Facts.from_json(facts) == task.facts()
    assert facts["sequences"] == {split: len(task.split(split)) for split in SPLITS}
    assert facts["rows"] == {split: len(set(task.split(split).rows.ravel().tolist()) - {-1}) for split in SPLITS}
    assert facts["metric_label"] and facts["features"][0].keys() == {"name", "unit"}


@every_name
def test_has_the_recorded_size_checksum_and_trivial_score(name):
    task = load(name)
    sizes, scores, digest = RECORDED[name]
    assert tuple(len(task.split(split)) for split in SPLITS) == sizes
    assert {metric: task.trivial_score(metric) for metric in scores} == pytest.approx(scores, abs=1e-5)
    assert len(task.data_digest) == 64 and task.data_digest.startswith(digest)


@pytest.mark.sampled(2)
@every_name
def test_has_the_recorded_score_of_a_linear_model(name):
    task = load(name)
    # A step whose two best classes are almost even may fall to either with another linear algebra library.
    scores = {metric: task.linear_score(metric) for metric in LINEAR[name]}
    assert scores == pytest.approx(LINEAR[name], abs=5e-4)
    assert task.linear_score() == scores[task.metric]


def test_arrays_have_the_promised_shapes_and_types(task):
    for split in map(task.split, SPLITS):
        sequences, time, features = split.values.shape
        assert features == len(task.features)
        assert split.values.dtype == np.float32 and split.mask.dtype == bool
        assert split.mask.shape == split.values.shape
        assert split.timespans.shape == split.rows.shape == (sequences, time)
        assert split.timespans.dtype == np.float32 and split.rows.dtype == np.int64
        scored = (sequences, time) if task.per == "step" else (sequences,)
        assert split.target_mask.shape == scored and split.target_mask.dtype == bool
        if task.kind == "classification":
            assert split.targets.shape == scored and split.targets.dtype == np.int64
        else:
            assert split.targets.shape == (*scored, task.outputs) and split.targets.dtype == np.float32
        assert len(split.recordings) == sequences
        assert task.window is None or time <= task.window


def test_padding_and_gaps_hold_nothing(task):
    for split in map(task.split, SPLITS):
        padding = split.rows < 0
        assert not split.mask[padding].any()
        assert not split.values[~split.mask].any()
        assert not split.timespans[~split.mask.any(axis=2)].any()
        assert (~padding).any(axis=1).all()
        assert (np.diff(padding.astype(int), axis=1) >= 0).all(), "padding stands at the end"
        assert task.missing or np.array_equal(split.mask.any(axis=2), split.mask.all(axis=2))
        if task.per == "step":
            assert not split.target_mask[padding].any()


def test_numbers_are_finite_and_times_never_go_back(task):
    for split in map(task.split, SPLITS):
        assert np.isfinite(split.values).all() and np.isfinite(split.timespans).all()
        assert np.isfinite(split.targets).all()
        assert (split.timespans >= 0).all()
        # Something may be observed from the first step on in every sequence but those with nothing at all.
        first = split.timespans[:, 0][split.mask[:, 0].any(axis=1)]
        np.testing.assert_allclose(first, 1, rtol=1e-5)
    spans = task.split("train").timespans
    varies = np.ptp(spans[:, 1:][spans[:, 1:] > 0]) > 0.1
    assert varies == task.irregular


def test_training_values_are_standardised(task):
    train = task.split("train")
    rows, first = np.unique(train.rows[train.rows >= 0], return_index=True)
    values, mask = train.values[train.rows >= 0][first], train.mask[train.rows >= 0][first]
    if task.leak:
        # Rows count as often as they are in windows.
        values, mask = train.values[train.rows >= 0], train.mask[train.rows >= 0]
    if task.alike:
        values, mask = values.reshape(-1, 1), mask.reshape(-1, 1)
    for column in range(values.shape[1]):
        seen = values[:, column][mask[:, column]].astype(np.float64)
        assert len(seen), task.features[column].name
        assert seen.mean() == pytest.approx(0, abs=2e-3)
        assert seen.std() == pytest.approx(1, abs=2e-3) or seen.std() == pytest.approx(0, abs=1e-6)


def test_no_row_is_in_two_splits_and_no_recording_unless_cut_in_time(task):
    if task.leak:
        pytest.skip("declares a leak, tested below")
    rows = {split: set(task.split(split).rows[task.split(split).rows >= 0].tolist()) for split in SPLITS}
    names = {split: set(task.split(split).recordings) for split in SPLITS}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not rows[one] & rows[other]
        if task.gap is None:
            assert not names[one] & names[other]
        else:
            assert task.window is not None and task.gap >= task.window


@pytest.mark.parametrize("name", [mark(name) for name in RECORDED if name.endswith("-ltc") and name != "power-ltc"])
def test_a_leak_is_there_and_is_said(name):
    task = load(name)
    rows = {split: set(task.split(split).rows.ravel().tolist()) for split in SPLITS}
    assert len(rows["test"] & rows["train"]) > 0.5 * len(rows["test"])
    assert task.leak in task.facts().warnings and "too good" in task.leak


def test_no_test_sequence_is_a_training_sequence(task):
    train = {sequence.tobytes() for sequence in task.split("train").values if np.ptp(sequence) > 0}
    shared = sum(sequence.tobytes() in train for sequence in task.split("test").values)
    # As events, different bit streams may show the same bits; their time spans differ.
    assert shared == 0 or task.name == "parity-events"


def test_every_step_of_test_is_there_once(task):
    for split in ("validation", "test"):
        rows, recordings = task.split(split).rows, task.recordings(split)
        if task.context:
            # In windows that overlap each step is scored once, but for the first of a recording.
            later = np.arange(rows.shape[1]) >= task.context
            assert not task.split(split).target_mask[:, : task.context].any()
            rows = np.where(later, rows, -1)
        counted = Counter(rows[rows >= 0].tolist())
        if not task.leak:
            assert set(counted.values()) == {1}
        assert sum(counted.values()) == sum(len(recording) - task.context for recording in recordings)


def test_classes_of_every_split_are_all_there(task):
    if task.classes is None:
        pytest.skip("a regression has no classes")
    for split in map(task.split, SPLITS):
        assert set(np.unique(split.targets[split.target_mask])) == set(range(len(task.classes)))


def test_what_is_held_out_is_not_what_the_official_split_holds_out(task):
    if task.fold == 0:
        pytest.skip("is the official split")
    if task.name in ("basic-motions", "japanese-vowels", "articulary-words", "scp1"):
        pytest.skip("test is more than half of the data")
    held, official = (
        set(one.split("test").rows[one.split("test").rows >= 0].tolist()) for one in (task, load(task.name))
    )
    assert held != official
    if task.name not in ("occupancy", "occupancy-excerpt"):
        # The official test there is two files, each of which another split holds out alone.
        assert len(held & official) <= 0.7 * len(held)


@pytest.mark.sampled(2)
@every_name
def test_the_test_split_is_not_built_before_it_is_asked_for(name):
    load(name)
    assert _built_before_test[name] == {"train", "validation"}


@every_name
def test_every_recording_has_its_turn_in_test(name):
    task = load(name)
    assert task.folds == FOLDS[name] and task.fold_rule
    offered = f"{task.folds} outer splits" if task.folds > 1 else "one outer split"
    with pytest.raises(ValueError, match=f"{offered}, numbered from 0; got {task.folds}. The rule: By"):
        task.with_fold(task.folds)
    if task.folds == 1 or "papers" in task.fold_rule:
        return
    official = {recording.name for split in SPLITS for recording in task.recordings(split)}
    tested = {recording.name for fold in range(task.folds) for recording in task.with_fold(fold).recordings("test")}
    # Story 2 of the gestures was told by one person alone.
    assert tested == official - ({"a2"} if name.startswith("gesture") else set())


def test_a_fold_is_a_task_of_which_nothing_has_been_built():
    task = load("cheetah-excerpt")
    turned = task.with_fold(1)
    assert not turned.constructed and turned.fold == 1 and turned.data_digest == task.data_digest
    assert task.with_fold(0) is task and turned.with_fold(0).fold == 0
    assert turned.target_scaler.mean != pytest.approx(task.target_scaler.mean, abs=1e-6)
    assert np.array_equal(turned.with_fold(0).split("test").values, task.split("test").values)


@pytest.mark.parametrize("name", ["occupancy-excerpt", "physionet2012-excerpt", "parity-dense"])
def test_the_same_data_every_time(name):
    one, other = tasks.load(name).with_fold(2), tasks.load(name).with_fold(2)
    for split in SPLITS:
        for array in ("values", "timespans", "mask", "targets", "rows"):
            assert np.array_equal(getattr(one.split(split), array), getattr(other.split(split), array))


@pytest.mark.parametrize("folder", make.EXCERPTS)
def test_excerpts_are_what_their_script_makes(folder):
    full, excerpt, cut = make.EXCERPTS[folder]
    name = next(name for name, archive in FULL.items() if archive is full)
    if lacks(name):
        pytest.skip(f"no raw files of {name} in {DATA}; set LIQUIDBENCH_DATA")
    made, shipped = cut(files.read(full, DATA)), files.read(excerpt, files.EXCERPTS)
    assert made == {member: shipped[member] for member in made} and made.keys() == shipped.keys()


def test_excerpts_are_small_and_say_their_licence():
    assert sum(path.stat().st_size for path in files.EXCERPTS.rglob("*") if path.is_file()) < 2.5e6
    for folder, (_, excerpt, _) in make.EXCERPTS.items():
        licence = next(
            tasks.load(name).source.licence for name in RECORDED if name.startswith(folder) and "excerpt" in name
        )
        text = (files.EXCERPTS / excerpt.folder / "LICENCE.md").read_text()
        assert licence.removesuffix("-2.0").removesuffix(" 1.0") in text.replace("Apache License", "Apache")


@pytest.mark.parametrize("folder", ["cheetah", "occupancy"])
def test_excerpts_written_anew_pass_their_check(folder, tmp_path):
    _, excerpt, _ = make.EXCERPTS[folder]
    members = files.read(excerpt, files.EXCERPTS)
    make.write(tmp_path / folder / excerpt.copies[0][0], members)
    assert files.read(excerpt, tmp_path) == members


def test_an_unknown_task_is_told_the_names():
    words = r"task must be one of occupancy, .*parity-events.* got 'ocupancy'; did you mean 'occupancy'\?$"
    with pytest.raises(ValueError, match=words):
        tasks.load("ocupancy")
    with pytest.raises(ValueError, match=r"got 'Gesture excerpt'; did you mean 'gesture-excerpt'\?$"):
        tasks.load("Gesture excerpt")
    with pytest.raises(ValueError, match=r"got 'imdb'$"):
        tasks.load("imdb")


def test_tasks_load_without_torch_and_without_polars():
    code = (
        "import sys; from liquidbench import tasks; tasks.load('occupancy-excerpt').split('train'); "
        "assert not {'torch', 'liquidrnn', 'polars', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@full_names
def test_excerpts_hold_the_same_numbers_as_the_full_task(name):
    """An excerpt's recordings are parts of the full task's, value for value."""
    if f"{name}-excerpt" not in RECORDED:
        pytest.skip("has no excerpt")

    def all_recordings(task):
        return {recording.name: recording for split in SPLITS for recording in task.recordings(split)}

    full, excerpt = load(name), load(f"{name}-excerpt")
    assert full.features == excerpt.features and full.metric == excerpt.metric
    whole, parts = all_recordings(full), all_recordings(excerpt)
    assert parts.keys() <= whole.keys()
    for part_name, part in parts.items():
        kept = slice(len(part))
        assert np.array_equal(part.values, whole[part_name].values[kept])
        assert np.array_equal(part.times, whole[part_name].times[kept])


@full_names
def test_raw_facts_of_the_full_data(name):
    """Counts published with the data sets, or counted in the raw files by other means."""
    task = load(name)
    recordings = {recording.name: recording for split in SPLITS for recording in task.recordings(split)}
    if name == "occupancy":
        tests = {recording.name: recording for recording in task.recordings("test")}
        assert {key: (len(value), value.targets.sum()) for key, value in tests.items()} == {
            "datatest.txt": (2665, 972),
            "datatest2.txt": (9752, 2049),
        }
    if name == "gesture":
        assert {key: len(value) for key, value in recordings.items()} == {
            "a1": 1743, "a2": 1260, "a3": 1830, "b1": 1069, "b3": 1420, "c1": 1107, "c3": 1444,
        }  # fmt: skip
        # The stamps jump by 40 s at full minutes unless they are read as minutes, seconds and milliseconds.
        assert max(np.diff(value.times).max() for value in recordings.values()) < 0.5
        # The last four features are named in our words: they are the norms of the vectors before them.
        values = recordings["a1"].values
        np.testing.assert_allclose(np.linalg.norm(values[:, 12:15], axis=1), values[:, 28], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(values[:, 9:12], axis=1), values[:, 27], atol=1e-6)
    if name == "walker":
        assert len(recordings) == 400
        steps = sum(len(recording) for recording in recordings.values())
        assert steps / (254_963 - 400) == pytest.approx(0.9, abs=0.002)
    if name == "physionet2012":
        deaths = {split: sum(r.targets for r in task.recordings(split)) for split in SPLITS}
        assert deaths["train"] + deaths["validation"] == 554 and deaths["test"] == 568


@pytest.mark.skipif(lacks("gesture"), reason="no raw files of gesture; set LIQUIDBENCH_DATA")
def test_velocities_are_matched_to_the_frames_that_show_the_same_phase():
    members = files.read(uci.GESTURE, DATA)
    initial = {
        "Rest": "D",
        "Preparation": "P",
        "Preparação": "P",
        "Stroke": "S",
        "Hold": "H",
        "Retraction": "R",
    }

    def column(raw, index):
        return [line.split(",")[index] for line in raw.decode("utf-8-sig").split()[1:]]

    for video in ("a1", "b1", "c3"):
        phases = [initial[phase] for phase in column(members[f"{video}_raw.csv"], 19)]
        ours = column(members[f"{video}_va3.csv"], 32)
        agreement = [np.mean([a == b for a, b in zip(ours, phases[shift:], strict=False)]) for shift in range(7)]
        assert agreement[uci.FRAMES_BEFORE_VELOCITY] == 1 and np.sum(np.array(agreement) == 1) == 1


@pytest.mark.skipif(lacks("walker"), reason="no raw files of walker; set LIQUIDBENCH_DATA")
def test_walker_steps_are_kept_as_in_the_papers():
    """The papers' loop, written out: which steps are kept, and how much time has gone by."""
    rollouts = {name: files.read_array(raw) for name, raw in files.read(mujoco_traces.WALKER, DATA).items()}
    order = sorted(rollouts)
    np.random.RandomState(125487).shuffle(order)
    random = np.random.RandomState(891374)
    task = load("walker")
    for split, names in (("train", order[100:]), ("validation", order[60:100]), ("test", order[:60])):
        for recording, name in zip(task.recordings(split), names, strict=True):
            assert recording.name == name
            skipped, elapsed, kept = 0, [], []
            for step in range(len(rollouts[name]) - 1):
                skipped += 1
                if random.rand() < 0.9:
                    kept.append(step)
                    elapsed.append(skipped)
                    skipped = 0
            assert np.array_equal(recording.values, rollouts[name][kept])
            assert np.array_equal(recording.targets, rollouts[name][np.array(kept) + 1])
            spans = np.diff(recording.times) / mujoco_traces.WALKER_STEP
            np.testing.assert_allclose(spans, elapsed[1:], atol=1e-6)


def test_the_next_observation_is_the_target():
    task = load("cheetah-excerpt")
    test = task.split("test")
    scaler = task.target_scaler
    assert scaler is not None
    targets, values = scaler.restore(test.targets), task.input_scaler.restore(test.values)
    whole = test.target_mask.all(axis=1)
    np.testing.assert_allclose(targets[whole, :-1], values[whole, 1:], atol=1e-3)


def test_a_stay_is_read_as_it_stands_in_the_file():
    """One record against a parser that goes line by line."""
    task = load("physionet2012-excerpt")
    members = files.read(icu.PHYSIONET_EXCERPT, files.EXCERPTS)
    columns = {feature.name: column for column, feature in enumerate(task.features)}
    for recording in task.recordings("test")[:20]:
        cells: dict = {}
        for line in members[f"{recording.name}.txt"].decode().split()[1:]:
            clock, parameter, value = line.split(",")
            moment = cells.setdefault(int(clock[:2]) + int(clock[3:]) / 60, {})
            if parameter != "RecordID" and float(value) != -1:
                moment.setdefault(columns[parameter], []).append(float(value))
        assert recording.times.tolist() == pytest.approx(sorted(cells))
        expected = np.zeros(recording.values.shape)
        observed = np.zeros(recording.values.shape, dtype=bool)
        for step, moment in enumerate(sorted(cells)):
            for column, values in cells[moment].items():
                expected[step, column], observed[step, column] = np.mean(values), True
        assert np.array_equal(recording.mask, observed)
        np.testing.assert_allclose(recording.values, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["raindrop1", "raindrop2", "raindrop3", "raindrop4", "raindrop5", "seft"])
def test_published_splits_of_intensive_care_part_the_stays(name):
    split = icu._published(name)
    expected = (7680, 1920, 2400) if name == "seft" else (9590, 1199, 1199)
    assert tuple(len(split[part]) for part in SPLITS) == expected
    assert len({stay for part in split.values() for stay in part}) == sum(expected)


@pytest.mark.skipif(lacks("physionet2012-official"), reason="no raw files of physionet2012; set LIQUIDBENCH_DATA")
def test_the_label_of_intensive_care_is_death_and_not_length_of_stay():
    """Papers call the label a stay of more than three days; 93 % are such, 14 % die."""
    for of in "abc":
        raw = (DATA / "physionet2012" / f"Outcomes-{of}.txt").read_bytes()
        table = np.genfromtxt(raw.decode().splitlines(), delimiter=",", names=True)
        deaths = icu.outcomes(raw)
        assert [deaths[int(stay)] for stay in table["RecordID"]] == table["Inhospital_death"].tolist()
        assert 0.13 < np.mean(list(deaths.values())) < 0.15 and np.mean(table["Length_of_stay"] > 3) > 0.9


@pytest.mark.slow
@pytest.mark.skipif(lacks("physionet2012"), reason="no raw files of physionet2012; set LIQUIDBENCH_DATA")
def test_stays_without_measurements_stay_in():
    task = load("physionet2012")
    empty = {
        "140501",
        "140936",
        "141264",
        "142731",
        "142998",
        "143656",
        "145611",
        "147514",
        "150309",
        "150649",
    }
    found = {r.name: r for split in SPLITS for r in task.recordings(split) if r.name in empty}
    assert found.keys() == empty
    for recording in found.values():
        assert len(recording) == 1 and recording.times.tolist() == [0] and not recording.mask[0, :36].any()
    others = [r for r in task.recordings("test") if r.name not in empty]
    assert min(len(recording) for recording in others) > 1


def test_parity_is_that_of_the_stream_in_both_forms():
    sizes = (400, 100, 100)
    dense, events = synthetic.parity_dense(sizes=sizes), synthetic.parity_events(sizes=sizes)
    for split in SPLITS:
        for bits, changes in zip(dense.recordings(split), events.recordings(split), strict=True):
            stream = bits.values[:, 0]
            assert bits.targets == changes.targets == stream.sum() % 2
            assert 2 <= len(stream) <= synthetic.LONGEST
            # A run lasts until the next change; the last step closes the stream, so times rebuild every bit.
            starts = changes.times.astype(int)
            rebuilt = np.repeat(changes.values[:, 0], np.diff(starts, append=starts[-1] + 1))
            assert np.array_equal(rebuilt, stream)


def test_event_parity_cannot_be_told_without_time_spans():
    """The best guess from the events alone, counted over all streams of each length."""
    best = []
    for length in range(2, synthetic.LONGEST + 1):
        # (first bit, last bit, steps shown so far) -> number of streams with an even and with an odd sum.
        counts = {(bit, bit, 1): np.eye(2)[bit] for bit in (0, 1)}
        for position in range(1, length):
            step: dict = {}
            for (first, last, shown), parity in counts.items():
                for bit in (0, 1):
                    extra = int(bit != last or position == length - 1)
                    key = (first, bit, shown + extra)
                    step[key] = step.get(key, 0) + (parity[::-1] if bit else parity)
            counts = step
        best.append(sum(parity.max() for parity in counts.values()) / 2.0**length)
    # Lengths are drawn alike, and the guesser is even told them. Only short streams give anything away.
    assert np.mean(best) == pytest.approx(0.5645, abs=1e-4)
    assert max(best[14:]) < 0.505


def test_sizes_and_seed_of_generated_tasks():
    small = synthetic.parity_events(sizes=(50, 10, 20), seed=4)
    assert [len(small.split(split)) for split in SPLITS] == [50, 10, 20]
    assert small.data_digest != synthetic.parity_events(sizes=(50, 10, 20), seed=5).data_digest
    with pytest.raises(ValueError, match=r"sizes must be positive; got \(0, 1, 1\)"):
        synthetic.parity_dense(sizes=(0, 1, 1))
