"""Handwritten digits as sequences: row by row, or as the changes along a line of pixels."""

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liquidbench.tasks import files
from liquidbench.tasks.files import Archive
from liquidbench.tasks.task import SPLITS, Feature, Recording, Source, Task, rotate

# The source of the files does not answer any more. This mirror, and the copies, have their published checksums.
MNIST = Archive(
    title="MNIST",
    folder="mnist",
    url="https://storage.googleapis.com/cvdf-datasets/mnist/",
    published=(
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
    copies=(),
    members=r"(train|t10k)-(images-idx3|labels-idx1)-ubyte",
    content=bytes,
    digest="f8b2f09bb5d48cd708ba03ab367f7170e6b93a78287b9814e2e4b6339325166a",
)

SIDE = 28
SIZES = (54_000, 6_000, 10_000)
"""Images in training, validation and test."""

INK = 128
"""A pixel brighter than this is ink."""


def mnist_rows(data: str | os.PathLike[str] | None = None, sizes: tuple[int, int, int] = SIZES) -> Task:
    """A digit from the 28 rows of its image, from top to bottom: all 70,000.

    Args:
        data: the folder of raw data files, see `liquidbench.tasks.load`.
        sizes: images in training, validation and test: the first ones of each, for a quick look.
    """
    images, labels = read(data)

    def recording(number: int) -> Recording:
        return Recording(
            name=f"image {number}",
            times=np.arange(SIDE, dtype=np.float64),
            values=images[number].astype(np.float32),
            targets=int(labels[number]),
            first_row=number * SIDE,
        )

    return _task(
        "mnist-rows",
        "Digits by rows",
        "Which digit an image shows, read as its 28 rows of 28 pixels from top to bottom.",
        tuple(Feature(f"pixel {column}", "1") for column in range(SIDE)),
        "row",
        recording,
        sizes,
        irregular=False,
    )


def mnist_events(data: str | os.PathLike[str] | None = None, sizes: tuple[int, int, int] = SIZES) -> Task:
    """A digit from the changes between ink and paper along the 784 pixels of its image: all 70,000.

    Pixels are read row by row, as one line. A step is the first pixel, each pixel that differs from the one before it,
    and the end, which closes the last run. Its value is whether there is ink from here on; its time is the number of
    pixels before it, so that the length of a run is the span until the next step.

    Args:
        data: the folder of raw data files, see `liquidbench.tasks.load`.
        sizes: images in training, validation and test: the first ones of each, for a quick look.
    """
    images, labels = read(data)
    pixels = SIDE * SIDE

    def recording(number: int) -> Recording:
        ink = images[number].ravel() > INK
        starts = np.append(np.flatnonzero(np.diff(ink, prepend=~ink[:1])), pixels)
        return Recording(
            name=f"image {number}",
            times=starts.astype(np.float64),
            values=ink[np.minimum(starts, pixels - 1), None].astype(np.float32),
            targets=int(labels[number]),
            # The end is a step of its own.
            first_row=number * (pixels + 1),
            rows=number * (pixels + 1) + starts,
        )

    return _task(
        "mnist-events",
        "Digits as events",
        "Which digit an image shows, read as the changes between paper and ink along its 784 pixels; how long a run "
        "of equal pixels is, is only in the time spans.",
        (Feature("ink", "1"),),
        "pixel",
        recording,
        sizes,
        irregular=True,
    )


def read(data: str | os.PathLike[str] | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All images (70000, 28, 28) and labels, the 60,000 for training first."""
    members = files.read(MNIST, data)
    parts = [
        [
            # The format's header: two bytes of 0, the type, the number of axes, and the size of each in four bytes.
            np.frombuffer(members[f"{part}-{what}-ubyte"], dtype=np.uint8, offset=4 + 4 * axes)
            for part in ("train", "t10k")
        ]
        for what, axes in (("images-idx3", 3), ("labels-idx1", 1))
    ]
    images, labels = map(np.concatenate, parts)
    return images.reshape(-1, SIDE, SIDE), labels


def _task(
    name: str,
    title: str,
    description: str,
    features: tuple[Feature, ...],
    time_unit: str,
    recording: Callable[[int], Recording],
    sizes: tuple[int, int, int],
    irregular: bool,
) -> Task:
    starts = (0, SIZES[0], SIZES[0] + SIZES[1])
    if any(not 1 <= size <= most for size, most in zip(sizes, SIZES, strict=True)):
        raise ValueError(f"sizes must be from 1 to {SIZES} images; got {sizes}")
    official = {split: range(start, start + size) for split, start, size in zip(SPLITS, starts, sizes, strict=True)}
    folds = sum(sizes) // sizes[2]

    def dealt(fold: int) -> Callable[[str], list[Recording]]:
        deal = rotate(official, fold * sizes[2])
        return lambda split: [recording(number) for number in deal[split]]

    return Task(
        name=name,
        title=title,
        description=description,
        features=features,
        kind="classification",
        per="sequence",
        outputs=10,
        target_unit="1",
        classes=tuple("0123456789"),
        metric="accuracy",
        metrics=("accuracy", "balanced_accuracy", "f1_macro", "cross_entropy"),
        time_unit=time_unit,
        source=Source(
            title="MNIST handwritten digits",
            url="https://yann.lecun.com/exdb/mnist/",
            licence="CC BY-SA 3.0",
            citation="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, "
            "Proceedings of the IEEE 86(11):2278-2324, 1998",
        ),
        split_rule="As published, and as in the LTC paper: test is the 10,000 test images, by people who wrote none of "
        "the others; of the 60,000 training images the first 54,000 are training and the last 6,000 validation.",
        recordings=dealt(0),
        data_digest=MNIST.digest,
        baseline="prior",
        irregular=irregular,
        alike=True,
        folds=folds,
        fold_rule="By image: all images form a circle (test, training, validation, each in the order of the files) and "
        "the splits are rotated by 10,000 images; in these splits people may be in training and in test.",
        dealt=dealt,
    )
