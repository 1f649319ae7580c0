"""Predicting the next observation of two simulated robots: Half-Cheetah, and Walker2d with missing steps.

Both are observations of a MuJoCo environment of OpenAI Gym (version 2 of each) under a trained controller.
"""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered, rotate

CHEETAH = Archive(
    title="Half-Cheetah traces",
    folder="cheetah",
    url="https://raw.githubusercontent.com/raminmh/liquid_time_constant_networks/master/"
    "experiments_with_ltcs/data/cheetah/",
    published=tuple(f"trace_{number:04d}.npy" for number in range(31)),
    copies=(("cheetah_traces.zip",),),
    members=r"trace_\d{4}\.npy",
    content=files.array_content,
    digest="301a163d4002386becfd083689520f9a7a0e7863e4200a33f40d088089f62e24",
)
CHEETAH_EXCERPT = replace(
    CHEETAH,
    title="Half-Cheetah traces (excerpt)",
    digest="7d65e6dc8ee8c565dc1d5daea2cce461fab5d8a4c239cb327cd2a6503148f789",
)
# The archive could not be downloaded from its source for checking. According to the papers' loaders, its members are
# rollout_NNN.npy in float64, which they convert to float32, as the checksum does.
WALKER = Archive(
    title="Walker2d rollouts",
    folder="walker",
    url="https://pub.ist.ac.at/~mlechner/datasets/",
    published=("walker.zip",),
    copies=(("walker_rollouts_float32.npz",),),
    members=r"rollout_\d{3}\.npy",
    content=files.array_content,
    digest="70c069592d83d9ef8659d9a0cc5d7369ea3e93a2a70721333bced48b572911be",
)

# Seconds between observations: frame skip times the simulator's step, 5 * 0.01 s and 4 * 0.002 s.
CHEETAH_STEP = 0.05
WALKER_STEP = 0.008

# Training and test traces are those of the LTC paper. Its validation traces, 0 to 4, are not used: in 1 and 2 the robot
# turns over and its pitch is up to 56 training standard deviations off, so that these steps alone would select the
# model.
CHEETAH_SPLITS = {"train": range(15, 25), "validation": range(25, 31), "test": range(5, 15)}
CHEETAH_EXCERPT_SPLITS = {"train": range(15, 21), "validation": range(25, 27), "test": range(5, 8)}


def _features(joints: tuple[str, ...]) -> tuple[Feature, ...]:
    angles = ("torso pitch", *joints)
    return (
        Feature("height", "m"),
        *(Feature(f"{angle} angle", "rad") for angle in angles),
        Feature("forward velocity", "m/s"),
        Feature("vertical velocity", "m/s"),
        *(Feature(f"{angle} velocity", "rad/s") for angle in angles),
    )


def cheetah(data: str | os.PathLike[str] | None = None) -> Task:
    """Half-Cheetah's next observation: training and test of the LTC paper, validation on six other traces."""
    return _cheetah("cheetah", "Half-Cheetah", CHEETAH.digest, files.read(CHEETAH, data), CHEETAH_SPLITS)


def cheetah_excerpt(data: str | os.PathLike[str] | None = None) -> Task:
    """Half-Cheetah's next observation: 11 of the traces; comes with the package."""
    members = files.read(CHEETAH_EXCERPT, files.EXCERPTS)
    return _cheetah(
        "cheetah-excerpt", "Half-Cheetah (excerpt)", CHEETAH_EXCERPT.digest, members, CHEETAH_EXCERPT_SPLITS
    )


def _cheetah(name: str, title: str, digest: str, members: dict[str, bytes], splits: dict[str, range]) -> Task:
    used = sorted(number for numbers in splits.values() for number in numbers)
    recordings = {
        recording.name: recording
        for recording in numbered(
            forecasting(file, files.read_array(members[file]), CHEETAH_STEP)
            for file in (f"trace_{number:04d}.npy" for number in used)
        )
    }
    held_out = len(splits["test"])

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        deal = rotate(splits, fold * held_out)
        return lambda split: [recordings[f"trace_{number:04d}.npy"] for number in deal[split]]

    return Task(
        name=name,
        title=title,
        description="The next observation of a simulated running robot (17 positions and velocities, 0.05 s "
        "ahead) from the observations so far.",
        features=_features(
            ("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot"),
        ),
        kind="regression",
        per="step",
        outputs=17,
        target_unit="as the features",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="s",
        source=Source(
            title="Half-Cheetah traces (MuJoCo HalfCheetah-v2, simulated)",
            url="https://github.com/raminmh/liquid_time_constant_networks",
            licence="Apache-2.0",
            citation="Hasani, Lechner, Amini, Rus and Grosu, Liquid Time-constant Networks, AAAI 2021",
        ),
        split_rule="By trace, each a separate run: "
        + "; ".join(f"{split} {numbers[0]} to {numbers[-1]}" for split, numbers in splits.items())
        + ". Training and test lie within the LTC paper's ranges; validation is from the traces that it left "
        "unused, because the robot turns over in two of the paper's.",
        recordings=dealt(0),
        data_digest=digest,
        # Joints swing so fast that the last value is a worse guess than the mean.
        baseline="mean",
        window=32,
        stride=10,
        folds=-(-len(used) // held_out),
        fold_rule="By trace: all traces form a circle (test, training, validation) and the splits are rotated by "
        f"{held_out} traces, so that each trace is in test at least once.",
        dealt=dealt,
    )


def walker(data: str | os.PathLike[str] | None = None) -> Task:
    """Walker2d's next observation, with one step in ten missing: the 400 rollouts of the ODE-LSTM and CfC papers.

    As in the papers' code, a step is kept with probability 0.9. The model reads the observation of each kept step and
    the time since the last kept one, and predicts the observation one simulator step later, whether or not that one is
    kept. The kept steps are drawn from the papers' seed, rollout by rollout: training, then validation, then test.
    """
    members = files.read(WALKER, data)
    names = sorted(members)
    rollouts = {
        recording.name: recording
        for recording in numbered(forecasting(name, files.read_array(members[name]), WALKER_STEP) for name in names)
    }
    shuffled = np.array(names)
    np.random.RandomState(125487).shuffle(shuffled)
    splits = {"train": shuffled[100:].tolist(), "validation": shuffled[60:100].tolist(), "test": shuffled[:60].tolist()}
    draws = np.random.RandomState(891374)
    kept = {name: draws.rand(len(rollouts[name])) < 0.9 for split in splits.values() for name in split}

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        deal = rotate(splits, fold * len(splits["test"]))
        return lambda split: [_thinned(rollouts[name], kept[name]) for name in deal[split]]

    features = _features(("thigh", "leg", "foot", "left thigh", "left leg", "left foot"))
    return Task(
        name="walker",
        title="Walker2d, unevenly sampled",
        description="The next observation of a simulated walking robot (17 positions and velocities, 0.008 s "
        "ahead) from the observations so far, one in ten of which is missing.",
        features=features,
        kind="regression",
        per="step",
        outputs=17,
        target_unit="as the features",
        metric="mse",
        metrics=("mse", "rmse", "mae", "r2"),
        time_unit="s",
        source=Source(
            title="Walker2d rollouts (MuJoCo Walker2d-v2, simulated)",
            url="https://github.com/raminmh/CfC",
            licence="Apache-2.0",
            citation="Lechner and Hasani, Learning Long-Term Dependencies in Irregularly-Sampled Time "
            "Series, 2020 (arXiv 2006.04418)",
        ),
        split_rule="By rollout, as in the papers: file names sorted and shuffled with RandomState(125487), "
        "the first 60 test, the next 40 validation, the other 300 training. Each step is kept with "
        "probability 0.9 (RandomState(891374)).",
        recordings=dealt(0),
        data_digest=WALKER.digest,
        baseline="last value",
        carried=tuple(feature.name for feature in features),
        window=64,
        stride=16,
        irregular=True,
        folds=7,
        fold_rule="By rollout: all rollouts form a circle (test, training, validation, each in official order) and "
        "the splits are rotated by 60 rollouts, so that each rollout is in test at least once. The same steps "
        "are kept.",
        dealt=dealt,
    )


def forecasting(name: str, observations: NDArray[np.float32], seconds: float) -> Recording:
    """A recording with the observation as input and the next observation as target at each step.

    Args:
        name: name of the recording.
        observations: (n, features), evenly spaced in time.
        seconds: time between two observations.

    Returns:
        A recording of n - 1 steps; the last observation is only a target.
    """
    times = np.arange(len(observations), dtype=np.float64) * np.float64(seconds)
    return Recording(name, times, values=observations, targets=observations, first_row=0).ahead(1)


def _thinned(recording: Recording, kept: NDArray[np.bool_]) -> Recording:
    return replace(
        recording,
        times=recording.times[kept],
        values=recording.values[kept],
        targets=recording.targets[kept],
        rows=recording.row_numbers[kept],
        target_times=None if recording.target_times is None else recording.target_times[kept],
    )
