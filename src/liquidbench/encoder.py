"""The convolutional encoder through which networks read images: the same for every model of a study."""

from collections.abc import Sequence
from functools import partial
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from liquidrnn.synapses import module_of_torch, within

CONVOLUTIONS = ((24, 8, 4), (32, 3, 2), (48, 3, 2))
"""Channels, kernel and stride of each. Most of the time of a convolution is spent on the first, large frames, so that a
stride of 4 there makes the whole two or three times as fast."""

OUTPUTS = 64

BRIGHTNESS, CONTRAST, SATURATION, NOISE = 0.15, 0.3, 0.4, 0.05
"""Largest changes of a training sequence: of brightness (of 1), contrast and saturation (as shares), and the largest
standard deviation of the noise of its pixels."""

_FRAMES = 1024
"""Frames that are read at a time outside of training, when nothing has to be kept for the backward pass."""


def draw(layer: nn.Conv1d | nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Draw initial values for a layer before ReLU; see `ImageEncoder`."""
    # Twice the usual variance, of which ReLU keeps half.
    bound = (6 / prod(layer.weight.shape[1:])) ** 0.5
    layer.weight = within(bound, *layer.weight.shape, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class ImageEncoder(nn.Module):
    """Reads images as vectors: three convolutions with ReLU, then a linear layer and tanh.

    In training each sequence is changed in brightness, contrast and saturation, and its frames are noisy, so that
    colours and single pixels tell little. These changes are drawn from torch's global generator; the sequences of a
    batch share the noise of a step, but not its strength.

    Args:
        image: (height, width, channels) of an image.
        generator: random generator for the initial values, uniform within the root of 6 over the number of a unit's
            inputs (He et al., ICCV 2015, arXiv 1502.01852); biases are 0.

    Shape:
        Input: uint8 (batch, time, height * width * channels); output: float (batch, time, `OUTPUTS`), within -1 and 1.

    Example:
        >>> encoder = ImageEncoder((48, 64, 3), torch.Generator())
        >>> encoder(torch.zeros(2, 5, 48 * 64 * 3, dtype=torch.uint8)).shape
        torch.Size([2, 5, 64])
    """

    def __init__(self, image: Sequence[int], generator: torch.Generator):
        super().__init__()
        self.image = tuple(image)
        height, width, channels = self.image
        make = partial(module_of_torch, generator=generator, device=None, dtype=None)
        convolutions = []
        for outputs, kernel, stride in CONVOLUTIONS:
            padding = (kernel - stride + 1) // 2
            convolutions.append(make(nn.Conv2d, channels, outputs, kernel, stride=stride, padding=padding))
            height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
            channels = outputs
        self.convolutions = nn.ModuleList(convolutions)
        self.linear = make(nn.Linear, channels * height * width, OUTPUTS)
        for layer in (*convolutions, self.linear):
            draw(layer, generator)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames; see the class."""
        batch, time = frames.shape[:2]
        many = frames.reshape(batch * time, *self.image)
        if self.training:
            scaled = self._scaled(many).unflatten(0, (batch, time))
            return self._encode(self._changed(scaled).flatten(0, 1)).unflatten(0, (batch, time))
        if torch.is_grad_enabled():
            return self._encode(self._scaled(many)).unflatten(0, (batch, time))
        # All activations of long sequences at once would take gigabytes.
        parts = [self._encode(self._scaled(part)) for part in many.split(_FRAMES)]
        return torch.cat(parts).unflatten(0, (batch, time))

    def _scaled(self, frames: Tensor) -> Tensor:
        """Frames (n, height, width, channels) as (n, channels, height, width), within -1 and 1."""
        # A copy of floats as well, so that gradients with respect to frames can be had.
        return frames.permute(0, 3, 1, 2).to(self.linear.weight.dtype, copy=True).mul_(2 / 255).sub_(1)

    def _encode(self, frames: Tensor) -> Tensor:
        for convolution in self.convolutions:
            frames = F.relu(convolution(frames))
        return torch.tanh(self.linear(frames.flatten(1)))

    def _changed(self, frames: Tensor) -> Tensor:
        """Frames (batch, time, channels, height, width), each sequence changed alike."""
        like = {"dtype": frames.dtype, "device": frames.device}

        def each(size: float) -> Tensor:
            return torch.empty(len(frames), 1, 1, 1, 1, **like).uniform_(-size, size)

        contrast = 1 + each(CONTRAST)
        saturation = 1 + each(SATURATION) if frames.shape[2] > 1 else contrast.new_ones(())
        grey = contrast * (1 - saturation) * frames.mean(2, keepdim=True)
        noise = torch.randn(frames.shape[1:], **like)
        changed = frames.mul(contrast * saturation).add_(grey + 2 * each(BRIGHTNESS))
        return changed.addcmul_(each(NOISE), noise, value=2.0)
