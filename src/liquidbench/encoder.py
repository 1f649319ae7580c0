"""The convolutional encoder through which networks read images: the same for every model of a study."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from liquidrnn.synapses import module_of_torch, within

CHANNELS = (16, 24, 32, 48)
KERNELS = (5, 5, 3, 3)
OUTPUTS = 64

BRIGHTNESS, CONTRAST, SATURATION, NOISE = 0.15, 0.3, 0.4, 0.05
"""Largest changes of a training sequence: of brightness (of 1), contrast and saturation (as shares), and the largest
standard deviation of the noise of its pixels."""

_FRAMES = 1024
"""Frames that are read at a time outside of training, when nothing has to be kept for the backward pass."""

_NOISY_FRAMES = 64
"""Frames of noise that are drawn for a batch, to be taken by its frames: drawing takes longer than a convolution."""


class ImageEncoder(nn.Module):
    """Reads images as vectors: four convolutions with stride 2 and ReLU, then a linear layer and tanh.

    In training each sequence is changed in brightness, contrast and saturation, and its frames are noisy, so that
    colours and single pixels tell little. These changes are drawn from torch's global generator.

    Args:
        image: (height, width, channels) of an image.
        generator: random generator for the initial values, uniform within the inverse root of a unit's inputs.

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
        for (inputs, outputs), kernel in zip(pairwise((channels, *CHANNELS)), KERNELS, strict=True):
            convolutions.append(make(nn.Conv2d, inputs, outputs, kernel, stride=2, padding=kernel // 2))
            height, width = (height + 1) // 2, (width + 1) // 2
        self.convolutions = nn.ModuleList(convolutions)
        self.linear = make(nn.Linear, CHANNELS[-1] * height * width, OUTPUTS)
        for layer in (*convolutions, self.linear):
            # Twice the usual variance, of which ReLU keeps half.
            bound = (6 / prod(layer.weight.shape[1:])) ** 0.5
            layer.weight = within(bound, *layer.weight.shape, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames; see the class."""
        batch, time = frames.shape[:2]
        many = frames.reshape(batch * time, *self.image)
        if self.training:
            return self._encode(self._changed(self._scaled(many), batch)).unflatten(0, (batch, time))
        if torch.is_grad_enabled():
            return self._encode(self._scaled(many)).unflatten(0, (batch, time))
        # All activations of long sequences at once would take gigabytes.
        parts = [self._encode(self._scaled(part)) for part in many.split(_FRAMES)]
        return torch.cat(parts).unflatten(0, (batch, time))

    def _scaled(self, frames: Tensor) -> Tensor:
        """Frames (n, height, width, channels) as (n, channels, height, width), within -1 and 1."""
        return frames.permute(0, 3, 1, 2).to(self.linear.weight.dtype).mul_(2 / 255).sub_(1)

    def _encode(self, frames: Tensor) -> Tensor:
        for convolution in self.convolutions:
            frames = F.relu(convolution(frames))
        return torch.tanh(self.linear(frames.flatten(1)))

    def _changed(self, frames: Tensor, batch: int) -> Tensor:
        """Frames of a batch of sequences, each sequence changed alike."""
        like = {"dtype": frames.dtype, "device": frames.device}

        def each(size: float) -> Tensor:
            drawn = torch.empty(batch, **like).uniform_(-size, size)
            return drawn.repeat_interleave(len(frames) // batch)[:, None, None, None]

        if frames.shape[1] > 1:
            frames = torch.lerp(frames.mean(1, keepdim=True), frames, 1 + each(SATURATION))
        frames = frames * (1 + each(CONTRAST)) + 2 * each(BRIGHTNESS)
        noise = torch.randn(_NOISY_FRAMES, *frames.shape[1:], **like)
        taken = torch.randint(_NOISY_FRAMES, (len(frames),), device=frames.device)
        return torch.addcmul(frames, each(NOISE).abs(), noise[taken], value=2.0)
