"""A task in a closed loop: imitate an expert that balances a pole on a cart, then balance the pole."""

import hashlib

import numpy as np

from liquidbench.metrics import Measure
from liquidbench.tasks.task import Feature, Policy, Recording, Rollout, Source, Task, numbered

SIZES = {"train": 48, "validation": 16, "test": 16}
STEPS, EPISODES, LONGEST = 64, 4, 8.0
NOISE, GUST = np.array([0.002, 0.001]), 10.0


class Cart:
    """A cart with a pole on a rail, two metres to each side, observed at irregular times."""

    def __init__(self, random: np.random.Generator, wind: float = 0.0):
        self.random, self.time, self.wind = random, 0.0, wind
        # Position, velocity, angle, its rate.
        self.state = random.uniform(-0.1, 0.1, 4)

    @property
    def upright(self) -> bool:
        return bool(abs(self.state[0]) < 2 and abs(self.state[2]) < 0.5)

    def seen(self) -> np.ndarray:
        return self.state[[0, 2]] + NOISE * self.random.normal(size=2)

    def push(self, force: float) -> float:
        """Apply a force in newtons, and random gusts, for a few hundredths of a second; return the time in seconds."""
        span = self.random.uniform(0.02, 0.06)
        gust = GUST * self.random.normal() * (self.random.random() < 0.2)
        for _ in range(5):
            x, v, angle, rate = self.state
            sine, cosine = np.sin(angle), np.cos(angle)
            drive = (np.clip(force, -20, 20) + gust + 0.5 * self.wind + 0.05 * rate**2 * sine) / 1.1
            turn = (9.8 * sine - cosine * drive) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
            shift = drive - 0.05 * turn * cosine / 1.1
            self.state = np.array([x, v, angle, rate]) + span / 5 * np.array([v, shift, rate, turn])
        self.time += span
        return span


class Expert:
    """A linear controller of positions and of their changes since the last observation."""

    def reset(self) -> None:
        self.last = None

    def __call__(self, observation, *, timespan=None, mask=None):
        moved = np.zeros(2) if self.last is None else (observation - self.last) / timespan
        self.last = observation
        return np.array([observation @ [1.0, 25.0] + moved @ [1.5, 4.0]])


class Idle:
    """Does nothing."""

    def reset(self) -> None:
        pass

    def __call__(self, observation, *, timespan=None, mask=None):
        return np.zeros(1)


def rollout(policy: Policy, seed: int, wind: float = 0.0) -> dict[str, float]:
    """Run some episodes; measure how long the pole stays up and how hard the cart is pushed."""
    random, upright, forces = np.random.default_rng(seed), [], []
    for _ in range(EPISODES):
        cart, span = Cart(random, wind), None
        policy.reset()
        while cart.upright and cart.time < LONGEST:
            force = policy(cart.seen(), timespan=span)[0]
            forces.append(abs(force))
            span = cart.push(force)
        upright.append(min(cart.time, LONGEST))
    return {"upright": np.mean(upright), "effort": np.mean(forces)}


def elsewhere(world: str, level: float) -> Rollout:
    """The rollout in a steady wind, the only world that this task declares; the cart catches half a newton per m/s."""
    return lambda policy, seed: rollout(policy, seed, wind=level)


def balance(seed: int = 0) -> Task:
    """The task of predicting the expert's force in many episodes."""
    random, expert = np.random.default_rng(seed), Expert()
    drawn = {split: [_shown(f"{split} {n}", random, expert) for n in range(size)] for split, size in SIZES.items()}
    everything = iter(numbered([one for split in SIZES for one in drawn[split]]))
    splits = {split: [next(everything) for _ in drawn[split]] for split in SIZES}
    content = b"".join(one.values.tobytes() + one.targets.tobytes() for split in SIZES for one in splits[split])
    return Task(
        name="balance",
        title="A pole on a cart",
        description="The force with which an expert keeps a pole upright on a cart, from where both have been.",
        features=(Feature("position", "m"), Feature("angle", "rad")),
        kind="regression",
        per="step",
        outputs=1,
        target_unit="N",
        metric="mse",
        metrics=("mse", "r2"),
        time_unit="s",
        source=Source("Made up", "", "none needed", ""),
        split_rule="By episode: each is drawn anew, so that none is in two splits.",
        recordings=splits.__getitem__,
        data_digest=hashlib.sha256(content).hexdigest(),
        baseline="mean",
        irregular=True,
        rollout=rollout,
        worlds=("wind",),
        elsewhere=elsewhere,
        measurements=(
            Measure("upright", "Time upright", True, (0.0, LONGEST), "s"),
            Measure("effort", "Mean force", False, (0.0, np.inf), "N"),
        ),
        judged="upright",
        policies={"expert": Expert(), "trivial": Idle()},
    )


def _shown(name: str, random: np.random.Generator, expert: Expert) -> Recording:
    cart, time, span = Cart(random), 0.0, None
    times, seen, forces = [], [], []
    expert.reset()
    while cart.upright and len(seen) < STEPS:
        seen.append(cart.seen())
        times.append(time)
        forces.append(expert(seen[-1], timespan=span))
        span = cart.push(forces[-1][0])
        time += span
    return Recording(name, np.array(times), np.array(seen), np.array(forces), first_row=0)
