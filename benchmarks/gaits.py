"""Trains the experts of `halfcheetah-loop` and `walker2d-loop`, which come with the package.

    pip install stable_baselines3
    python benchmarks/gaits.py HalfCheetah-v5 --until 151553 --to src/liquidbench/tasks/gaits/halfcheetah.npz
    python benchmarks/gaits.py Walker2d-v5 --until 376833 --to src/liquidbench/tasks/gaits/walker2d.npz

Proximal policy optimisation on one thread, with observations and rewards standardised. Every twentieth of the training,
the policy without exploration runs ten episodes; the best so far by mean return is written, in float32, with the
statistics that standardise observations, and runs without torch (`liquidbench.tasks.gait`).
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

ENVIRONMENTS, EPISODES, LOOKS = 8, 10, 20
SETTINGS: dict[str, dict[str, Any]] = {
    # A small initial deviation: with a large one the cheetah turns over and learns to slide on its back.
    "HalfCheetah-v5": {"gamma": 0.98, "gae_lambda": 0.92, "policy_kwargs": {"log_std_init": -1.0}},
    "Walker2d-v5": {"gamma": 0.99, "gae_lambda": 0.95, "policy_kwargs": {"log_std_init": -0.5}},
}


def weights(model: PPO, normalised: VecNormalize) -> dict[str, NDArray[np.float32]]:
    """The mean action as arrays: statistics of observations, then weights and biases, first layer first."""
    net = [*model.policy.mlp_extractor.policy_net, model.policy.action_net]
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    statistics = normalised.obs_rms
    assert isinstance(statistics, RunningMeanStd)
    found = {"mean": statistics.mean, "deviation": np.sqrt(statistics.var + normalised.epsilon)}
    for number, layer in enumerate(layers):
        found[f"weight_{number}"] = layer.weight.detach().numpy()
        found[f"bias_{number}"] = layer.bias.detach().numpy()
    return {name: array.astype(np.float32) for name, array in found.items()}


def act(arrays: dict[str, NDArray[np.float32]], observations: NDArray[Any]) -> NDArray[Any]:
    """Actions (episodes, outputs) for observations (episodes, features)."""
    hidden = np.clip((observations - arrays["mean"]) / arrays["deviation"], -10.0, 10.0)
    layers = (len(arrays) - 2) // 2
    for number in range(layers):
        hidden = hidden @ arrays[f"weight_{number}"].T + arrays[f"bias_{number}"]
        hidden = np.tanh(hidden) if number < layers - 1 else np.clip(hidden, -1.0, 1.0)
    return hidden


def episodes(name: str, arrays: dict[str, NDArray[np.float32]], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return and length of each of `EPISODES` episodes."""
    returns, lengths = np.zeros(EPISODES), np.zeros(EPISODES)
    environment = gym.make(name)
    for episode in range(EPISODES):
        observation, _ = environment.reset(seed=seed + episode)
        over = False
        while not over:
            observation, reward, terminated, truncated, _ = environment.step(act(arrays, observation[None])[0])
            returns[episode] += float(reward)
            lengths[episode] += 1
            over = terminated or truncated
    environment.close()
    return returns, lengths


class Best(BaseCallback):
    """Writes the best policy so far."""

    def __init__(self, name: str, to: Path, every: int, until: int):
        super().__init__()
        self._name, self._to, self._every, self._until = name, to, every, until
        self._best, self._next, self._begun = -np.inf, every, time.perf_counter()

    def _on_step(self) -> bool:
        return self.num_timesteps < self._until

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self._next:
            self._next += self._every
            self.look()

    def look(self) -> None:
        """Runs episodes, and writes the policy if it is better than those before."""
        normalised = self.model.get_vec_normalize_env()
        assert normalised is not None and isinstance(self.model, PPO)
        arrays = weights(self.model, normalised)
        returns, lengths = episodes(self._name, arrays, seed=1000)
        better = returns.mean() > self._best
        if better:
            self._best = returns.mean()
            self._to.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._to, **arrays)  # pyright: ignore[reportArgumentType]
        print(
            f"{self.num_timesteps:,} steps, {time.perf_counter() - self._begun:.0f} s: return {returns.mean():.0f} "
            f"± {returns.std():.0f}, {lengths.mean():.0f} steps long{', kept' if better else ''}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(SETTINGS))
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1_500_000, help="over which the learning rate falls to 0")
    parser.add_argument("--until", type=int, help="stop after so many of them")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    normalised = VecNormalize(
        make_vec_env(chosen.name, ENVIRONMENTS, seed=chosen.seed), gamma=SETTINGS[chosen.name]["gamma"]
    )
    model = PPO(
        "MlpPolicy",
        normalised,
        # To zero, so that the last policies differ little.
        learning_rate=lambda left: 3e-4 * left,
        n_steps=512,
        batch_size=256,
        n_epochs=8,
        seed=chosen.seed,
        device="cpu",
        **SETTINGS[chosen.name],
    )
    best = Best(chosen.name, chosen.to, every=chosen.steps // LOOKS, until=chosen.until or chosen.steps)
    model.learn(chosen.steps, callback=best)
    best.look()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
