"""A user-defined task: is a damped swing fast or slow, from observations at irregular times?"""

import hashlib

import numpy as np

from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered

SIZES = {"train": 96, "validation": 32, "test": 64}


def swings(seed: int = 0, glances: int = 16) -> Task:
    """Sequences of noisy positions; the target is fast or slow."""
    random = np.random.default_rng(seed)
    drawn: dict[str, list[Recording]] = {}
    for split, size in SIZES.items():
        drawn[split] = []
        for number in range(size):
            fast = number % 2
            times = np.cumsum(random.uniform(0.2, 1.8, glances))
            positions = np.exp(-0.1 * times) * np.sin((0.6 + 0.6 * fast) * times + random.uniform(0, 2 * np.pi))
            values = (positions + 0.1 * random.normal(size=glances))[:, None].astype(np.float32)
            drawn[split].append(Recording(f"{split} {number}", times, values, targets=fast, first_row=0))
    # Each row gets a unique number, by which a row in two splits is detected.
    everything = iter(numbered([one for split in SIZES for one in drawn[split]]))
    splits = {split: [next(everything) for _ in drawn[split]] for split in SIZES}
    content = b"".join(one.times.tobytes() + one.values.tobytes() for split in SIZES for one in splits[split])
    return Task(
        name="swings",
        title="Fast or slow swings",
        description="Whether a damped swing is fast or slow, from 16 noisy positions at irregular times.",
        features=(Feature("position", "m"),),
        kind="classification",
        per="sequence",
        outputs=2,
        target_unit="1",
        classes=("slow", "fast"),
        metric="accuracy",
        metrics=("accuracy", "cross_entropy"),
        time_unit="s",
        source=Source("Made up", "", "none needed", ""),
        split_rule="By swing: each is drawn anew, so that none is in two splits.",
        recordings=splits.__getitem__,
        data_digest=hashlib.sha256(content).hexdigest(),
        baseline="prior",
        irregular=True,
    )
