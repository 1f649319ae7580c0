"""A liquid network learns to forecast a sine that is sampled at random times.

python examples/first_steps.py
"""

import torch
from torch import nn

import liquidrnn as lr


def sines(sequences: int, samples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy samples of a sine at random times, the spans between them, and the value at the next time."""
    spans = 0.2 + 1.6 * torch.rand(sequences, samples + 1)
    values = torch.sin(spans.cumsum(1) + 6.3 * torch.rand(sequences, 1))
    # To predict the value after the next span, the network needs the length of that span.
    inputs = torch.stack([values[:, :-1] + 0.05 * torch.randn(sequences, samples), spans[:, 1:]], -1)
    return inputs, spans[:, :-1], values[:, 1:, None]


def main() -> None:
    torch.manual_seed(0)
    layer = lr.LTC(2, 24, output_size=1, batch_first=True)
    print(layer)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    for step in range(60):
        inputs, spans, targets = sines(64, 16)
        output, _ = layer(inputs, timespans=spans)
        loss = nn.functional.mse_loss(output, targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimiser.step()
        if step % 15 == 0:
            print(f"step {step:3d}: mean squared error {loss.item():.3f}")
    print(f"after training: {loss.item():.3f}; a constant would give 0.5")


if __name__ == "__main__":
    main()
