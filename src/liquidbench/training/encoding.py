r"""One encoder of images for all networks with a seed and split: trained once, and then fixed.

Networks that train an encoder each differ in what they see as well as in what they remember, and nearly all time goes
into convolutions. Behind a fixed encoder they differ in what they remember alone, and train in seconds.

The encoder learns with a network that is neither liquid nor recurrent, on the task's own targets: causal convolutions
over its last `WINDOW` vectors (temporal convolutions, Bai, Kolter and Koltun, 2018, arXiv 1803.01271, section 3) and a
layer without memory. It can tell movement, and has nothing to remember for longer.
"""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import liquidrnn as lr
from liquidbench import encoder
from liquidbench.encoder import ImageEncoder
from liquidbench.folder import StudyFolder
from liquidbench.networks import SequenceModel
from liquidbench.search import Settings
from liquidbench.study import Run, Training
from liquidbench.system import storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning
from liquidbench.tasks.task import Task
from liquidbench.training.learning import Data, device_of, forked_generators
from liquidbench.training.trainer import Trainer
from liquidrnn.synapses import module_of_torch

WINDOW = 16
"""Images that the encoder's own network looks back over, with two convolutions of 4: the second reads every fourth."""

STEPS = 4000
"""Largest number of steps of its training; no more than the networks have."""

COPIES = 8
"""Times that each training sequence is encoded, each with other changes of colour and other noise."""

_VERSION, _TAPS, _CHANNELS, _UNITS = 1, 4, 48, 64
_SETTINGS = Settings(learning_rate=0.001, schedule="cosine", patience=1.0)
_SEQUENCES = 8


class WindowEncoder(nn.Module):
    """Reads a sequence of images as vectors that tell the last `WINDOW` of them.

    Args:
        images: reads each image.
        generator: random generator for the initial values of the convolutions, drawn as those of `ImageEncoder`.

    Example:
        >>> images = ImageEncoder((48, 64, 3), torch.Generator())
        >>> WindowEncoder(images, torch.Generator())(torch.zeros(2, 5, 48 * 64 * 3, dtype=torch.uint8)).shape
        torch.Size([2, 5, 48])
    """

    def __init__(self, images: ImageEncoder, generator: torch.Generator):
        super().__init__()
        self.images = images
        make = partial(module_of_torch, nn.Conv1d, generator=generator, device=None, dtype=None)
        self.near = make(encoder.OUTPUTS, _CHANNELS, _TAPS)
        self.far = make(_CHANNELS, _CHANNELS, _TAPS, dilation=_TAPS)
        for convolution in (self.near, self.far):
            encoder.draw(convolution, generator)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (batch, time, values) as (batch, time, channels)."""
        hidden = self.images(frames).transpose(1, 2)
        for convolution in (self.near, self.far):
            reach = convolution.dilation[0] * (_TAPS - 1)
            hidden = F.relu(convolution(F.pad(hidden, (reach, 0))))
        return hidden.transpose(1, 2)


def check(training: Training, task: Task) -> None:
    """Refuse a shared encoder for a task that has nothing to encode.

    Raises:
        ValueError: if the training asks for one and the task has no images.
    """
    if training.encoder == "shared" and task.image is None:
        raise ValueError(
            f"training.encoder must be 'own' on tasks without images; got 'shared' on {task.name!r}: leave it out, or "
            "study tasks with images alone"
        )


def shared(
    run: Run,
    task: Task,
    folder: str | os.PathLike[str] | None,
    on_status: Callable[[str], None] | None = None,
) -> ImageEncoder:
    """The encoder of all networks with the run's seed and split: read from the study's folder, or trained now.

    It does not depend on the run's model, nor on its search. Workers that have no access to the study's folder each
    train it, to the same weights on like machines.

    Args:
        run: the run.
        task: its task, of its split; training and validation data are read.
        folder: the study's folder; None to train it in any case.
        on_status: called with what happens: it is trained, or another process is waited for that trains it.

    Returns:
        The encoder with fixed weights, in evaluation mode, on the CPU.
    """

    def trained() -> ImageEncoder:
        if on_status is not None:
            on_status("training the encoder that all networks of this seed share")
        return _trained(run, task)

    if folder is None:
        return _fixed(trained())
    path = StudyFolder(folder).encoder(_made_from(run, task))
    path.parent.mkdir(parents=True, exist_ok=True)
    with storage.file_lock(path.with_suffix(".lock"), on_wait=on_status):
        try:
            return _fixed(_read(path, task))
        except FileNotFoundError:
            pass
        except DamagedFileError as problem:
            warnings.warn(
                f"{problem}; it is now {storage.set_aside(path)}, and the encoder is trained again",
                KeptFileWarning,
                stacklevel=2,
            )
        images = trained()
        storage.keep(path, _packed(images, path.stem))
        return _fixed(images)


def _made_from(run: Run, task: Task) -> str:
    """Digest of all that the encoder depends on."""
    content = [_VERSION, task.name, task.data_digest, run.seed, run.fold, _steps(run)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _steps(run: Run) -> int:
    return min(STEPS, run.steps)


def window_network(run: Run, task: Task) -> SequenceModel:
    """Train the encoder's own network: a `WindowEncoder`, and a layer without memory."""
    assert task.image is not None
    device = device_of(run.device)
    generator = torch.Generator().manual_seed(run.seed)
    reader = WindowEncoder(ImageEncoder(task.image, generator), generator)
    layer = lr.FeedForward(_CHANNELS, _UNITS, time="append", batch_first=True, generator=generator)
    model = SequenceModel(layer, task.outputs, task.per, None, generator, encoder=reader)
    train, validation = (Data(task.split(name), device) for name in ("train", "validation"))
    with forked_generators(device):
        # Changes of the images are drawn from the global generator.
        torch.manual_seed(run.seed)
        trainer = Trainer(
            model,
            _SETTINGS,
            train,
            validation,
            steps=_steps(run),
            batch_size=_SEQUENCES,
            seed=run.seed,
            metric=task.main,
        )
        trainer.run()
    return model.eval()


def _trained(run: Run, task: Task) -> ImageEncoder:
    reader = window_network(run, task).encoder
    assert isinstance(reader, WindowEncoder)
    return reader.images.cpu()


def _fixed(images: ImageEncoder) -> ImageEncoder:
    return images.requires_grad_(False).eval()


def _packed(images: ImageEncoder, of: str) -> bytes:
    archive = io.BytesIO()
    np.savez(archive, **{name: tensor.numpy() for name, tensor in images.state_dict().items()})
    return storage.sealed_zip(archive, of)


def _read(path: Path, task: Task) -> ImageEncoder:
    assert task.image is not None
    images = ImageEncoder(task.image, torch.Generator())
    with storage.reading(path) as content, np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        storage.check_owner(content, path.stem, path)
        images.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return images


@torch.no_grad()
def encoded(data: Data, images: ImageEncoder, copies: int = 0, seed: int = 0) -> Data:
    """A split whose images are read already.

    Args:
        data: the split, of images.
        images: the encoder.
        copies: how many times each sequence comes, each time changed as in training; 0 for once and unchanged.
        seed: of the changes.

    Returns:
        The split with values (copies * sequence, time, `liquidbench.encoder.OUTPUTS`).
    """
    read, images = copy(data), images.to(data.device)
    if not copies:
        read.values = _through(images, data)
        return read
    for name, tensor in vars(data).items():
        if name != "values" and tensor is not None:
            setattr(read, name, tensor.repeat(copies, *[1] * (tensor.ndim - 1)))
    with forked_generators(data.device):
        torch.manual_seed(seed)
        images.train()
        read.values = torch.cat([_through(images, data) for _ in range(copies)])
        images.eval()
    read.by_duration = read.durations.argsort(stable=True)
    return read


def _through(images: ImageEncoder, data: Data) -> Tensor:
    return torch.cat([images(part) for part in data.values.split(_SEQUENCES)])
