"""Recurrences over whole sequences, each with a plain version that defines it and fast ones that agree with it.

A recurrence ``<name>`` has a folder: ``reference.py`` is the definition in plain PyTorch, ``cpu.py`` its kernel in the
compiled module ``_cpu``, and the folder's ``operator`` runs one of them: the fastest that can, or the one that is asked
for by name.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from liquidrnn.arguments import choice, described

_missing: str | None = None


INTERFACE = 4
"""Of the compiled module, as `cpp/bindings.cpp` has it: one more with each change of what its functions take."""


def _compiled() -> Any:
    global _missing
    try:
        module = importlib.import_module("liquidrnn.kernels._cpu")
    except ImportError as error:
        _missing = str(error)
        return None
    if getattr(module, "interface", None) != INTERFACE:
        _missing = "it was compiled from another version of its sources"
        return None
    return module


cpu = _compiled()
"""The compiled module, or None."""


def _single_thread() -> None:
    """In a forked child, where OpenMP would wait for threads that stayed with the parent: for ever.

    The compiled module takes none there by itself. torch's own operators, a layer's around it among them, would.
    """
    if cpu is not None and cpu.had_threads():
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_single_thread)
_told = False


class Supported(Protocol):
    """What is known of a kernel before it runs."""

    @property
    def dtypes(self) -> Container[torch.dtype]:
        """Types of numbers that it takes."""
        ...


def _describe_cpu() -> str:
    if cpu is None:
        return f"cannot run: {_missing}; install a wheel, or a C++ compiler and liquidrnn anew"
    sets, chosen = cpu.instruction_sets(), cpu.instruction_set()
    return f"compiled for {chosen} (of {', '.join(sets)}), float32 and float64, threads: {cpu.threading()}"


_backends: dict[str, Callable[[], str]] = {
    "reference": lambda: "plain PyTorch, on any device and in any type",
    "cpu": _describe_cpu,
}


def add_backend(device: str, describe: Callable[[], str]) -> None:
    """Makes the kernels for a type of device known by its name.

    Args:
        device: as ``torch.device(...).type`` has it.
        describe: what they are, in words; starts with "cannot run" where they cannot.
    """
    _backends[device] = describe


def backends() -> dict[str, str]:
    """What can run the recurrences here, in words: "reference" always can, "cpu" if its compiled module is there.

    Example:
        >>> backends()["reference"]
        'plain PyTorch, on any device and in any type'
    """
    return {name: describe() for name, describe in _backends.items()}


def check_backend(backend: object, offered: tuple[str, ...], owner: str) -> None:
    """Raises unless a layer with the kernels ``offered`` can run on ``backend`` in this installation."""
    choice("backend", backend, (None, *_backends))
    if backend == "cpu" and "cpu" in offered and cpu is None:
        raise RuntimeError(f"backend='cpu' {backends()['cpu']}; or use backend=None or 'reference'")
    if backend is not None and backend not in offered:
        raise ValueError(
            f"backend must be {' or '.join(map(repr, offered))} or None for {owner}, which has no other kernel, but "
            f"got {backend!r}"
        )


def chosen(backend: str | None, tensor: Tensor, kernels: Mapping[str, Supported]) -> str:
    """The backend that runs a recurrence on a tensor like this one: a type of device, or "reference".

    Args:
        backend: asked for by name, or None for the fastest.
        tensor: for its device and dtype.
        kernels: those of the recurrence, by type of device.

    Raises:
        RuntimeError: a backend asked for by name cannot run.
    """
    if backend == "reference":
        return "reference"
    device = tensor.device.type
    # ONNX has no operator of ours.
    exporting = torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export()
    fits = device in kernels and tensor.dtype in kernels[device].dtypes
    if fits and backend in (None, device) and not exporting and not _derived_otherwise():
        return device
    if backend is not None:
        raise RuntimeError(
            f"backend={backend!r} needs float32 or float64 on {_place(backend)}, outside forward-mode and torch.func "
            f"derivatives and torch.onnx.export, but got {described(tensor)} on {tensor.device}; use backend=None, "
            "which runs the reference then"
        )
    global _told
    if cpu is None and device == "cpu" and tensor.dtype in (torch.float32, torch.float64) and not _told:
        _told = True
        warnings.warn(
            f"liquidrnn runs on its slow reference recurrences: the compiled module {backends()['cpu']}. "
            "backend='reference' asks for them and is silent",
            RuntimeWarning,
            stacklevel=2,
        )
    return "reference"


def _place(backend: str) -> str:
    return "the CPU" if backend == "cpu" else f"a {backend} device"


def peak_bytes(action: Callable[[], object]) -> int:
    """Most bytes that compiled recurrences held for themselves during ``action``, above what they held before.

    torch's profiler knows nothing of them. What is kept for the backward pass is in tensors, and not counted here.
    """
    if cpu is None:
        action()
        return 0
    before = cpu.held_bytes()
    cpu.forget_peak()
    action()
    return cpu.peak_bytes() - before


def in_transform() -> bool:
    """Whether torch.func transforms, torch.vmap among them, are at work; a graph being traced knows none."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportAttributeAccessIssue]


def direct(tensors: Iterable[Tensor | None]) -> bool:
    """Whether a kernel may read these tensors at once, without torch's dispatcher.

    It may not where somebody has to see the operator (a graph being traced, a transform, a dispatch mode), nor where
    there is no memory to read (fake tensors and every other subclass).
    """
    if torch.compiler.is_compiling() or in_transform():
        return False
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return False
    return all(t is None or type(t) in PLAIN for t in tensors)


PLAIN = (Tensor, nn.Parameter)
"""Types of tensors that are memory and nothing else."""


def _derived_otherwise() -> bool:
    """Whether derivatives are taken in a way that torch.library's operators do not know; torch.vmap they know."""
    if torch.compiler.is_compiling():
        return False
    if forward_ad._current_level >= 0:
        return True
    if not in_transform():
        return False
    vmap = torch._C._functorch.TransformType.Vmap  # pyright: ignore[reportAttributeAccessIssue]
    stack = torch._C._functorch.get_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
    return any(transform.key() != vmap for transform in stack)
