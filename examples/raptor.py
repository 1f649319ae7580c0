"""RAPTOR's published policy, which flies quadrotors that it has never seen, in the layers of liquidrnn.

python examples/raptor.py, after pip install foundation-policy

Eschmann, Albani and Loianno, RAPTOR: A foundation policy for quadrotor control, 2025 (arXiv 2509.11481). An observation
is 22 numbers: position (m), rotation matrix by rows, linear velocity (m/s), angular velocity in the body frame (rad/s)
and the previous action. An action is four motor commands from -1 (stop) to 1.
"""

from importlib import resources

import h5py
import numpy as np
import torch
from torch import Tensor, nn

import liquidrnn as lr


class Raptor(nn.Module):
    """Dense(22, 16) with ReLU, GRU(16, 16), Dense(16, 4): 2,084 parameters with the initial state, which is zero.

    Its GRU is that of torch: gates in the order r, z, n, and r applied after the product with the state.
    """

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(22, 16), nn.Linear(16, 4)
        self.memory = lr.GRU(16, 16)

    def forward(self, observations: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read (time, batch, 22), return actions (time, batch, 4) and the state (1, batch, 16)."""
        hidden, state = self.memory(self.encoder(observations).relu(), state)
        return self.decoder(hidden), state


def published() -> tuple[Raptor, Tensor, Tensor]:
    """Return the policy with its published weights, and the observations and actions of its test sequences."""
    policy = Raptor()
    with h5py.File(str(resources.files("foundation_policy") / "blob" / "checkpoint.h5")) as file:

        def read(name: str) -> Tensor:
            return torch.from_numpy(np.asarray(file[name]))

        layers = "actor/layers/"
        policy.load_state_dict(
            {
                "encoder.weight": read(layers + "0/weights/parameters"),
                "encoder.bias": read(layers + "0/biases/parameters")[0],
                # A layer also takes torch's names.
                "memory.weight_ih_l0": read(layers + "1/weights_input/parameters"),
                "memory.weight_hh_l0": read(layers + "1/weights_hidden/parameters"),
                "memory.bias_ih_l0": read(layers + "1/biases_input/parameters"),
                "memory.bias_hh_l0": read(layers + "1/biases_hidden/parameters"),
                "decoder.weight": read(layers + "2/weights/parameters"),
                "decoder.bias": read(layers + "2/biases/parameters")[0],
            }
        )
        return policy, read("example/input"), read("example/output")


def main() -> None:
    policy, observations, actions = published()
    with torch.no_grad():
        answers, _ = policy(observations)
    steps, sequences, _ = observations.shape
    print(f"largest difference in {sequences} sequences of {steps} steps: {(answers - actions).abs().max():.1e}")


if __name__ == "__main__":
    main()
