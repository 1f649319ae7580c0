"""Recurrences over whole sequences, each with a reference implementation and compiled kernels that agree with it.

A recurrence ``<name>`` has a folder: ``reference.py`` is its definition in plain PyTorch, ``cpu.py`` its kernel in the
compiled module ``_cpu``, and ``operator`` runs one of them: the fastest that can run, or the one selected by name.
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


INTERFACE = 5
"""Interface version of the compiled module, as in `cpp/bindings.cpp`; it increases when arguments change."""


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
    """Called in a forked child, where OpenMP would wait forever for threads that exist only in the parent.

    The compiled module uses a single thread there by itself; torch's own operators would not.
    """
    if cpu is not None and cpu.had_threads():
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_single_thread)
_told = False


class Supported(Protocol):
    """The part of a kernel that says what it can run."""

    @property
    def dtypes(self) -> Container[torch.dtype]:
        """The dtypes that it supports."""
        ...


def _describe_cpu() -> str:
    if cpu is None:
        return f"cannot run: {_missing}; install a wheel, or install a C++ compiler and reinstall liquidrnn"
    sets, chosen = cpu.instruction_sets(), cpu.instruction_set()
    return f"compiled for {chosen} (of {', '.join(sets)}), float32 and float64, threads: {cpu.threading()}"


_backends: dict[str, Callable[[], str]] = {
    "reference": lambda: "plain PyTorch, on any device and in any type",
    "cpu": _describe_cpu,
}


def add_backend(device: str, describe: Callable[[], str]) -> None:
    """Adds a backend for a device type.

    Args:
        device: a device type, as ``torch.device(...).type``.
        describe: returns a description; it starts with "cannot run" if the backend cannot run here.
    """
    _backends[device] = describe


def backends() -> dict[str, str]:
    """The backends of this installation, each with a description; "cpu" can run if its compiled module is installed.

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
    """The backend that runs a recurrence on a tensor like this one: a device type, or "reference".

    Args:
        backend: the selected backend, or None for the fastest.
        tensor: a tensor, for its device and dtype.
        kernels: the kernels of the recurrence, by device type.

    Raises:
        RuntimeError: the selected backend cannot run.
    """
    if backend == "reference":
        return "reference"
    device = tensor.device.type
    # ONNX does not have our operators.
    exporting = torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export()
    fits = device in kernels and tensor.dtype in kernels[device].dtypes
    if fits and backend in (None, device) and not exporting and not _derived_otherwise():
        return device
    if backend is not None:
        raise RuntimeError(
            f"backend={backend!r} needs float32 or float64 on {_place(backend)}, outside forward-mode and torch.func "
            f"derivatives and torch.onnx.export, but got {described(tensor)} on {tensor.device}; use backend=None, "
            "which then runs the reference"
        )
    global _told
    if cpu is None and device == "cpu" and tensor.dtype in (torch.float32, torch.float64) and not _told:
        _told = True
        warnings.warn(
            f"liquidrnn runs on its slow reference recurrences: the compiled module {backends()['cpu']}. "
            "backend='reference' selects them without this warning",
            RuntimeWarning,
            stacklevel=2,
        )
    return "reference"


def _place(backend: str) -> str:
    return "the CPU" if backend == "cpu" else f"a {backend} device"


def peak_bytes(action: Callable[[], object]) -> int:
    """Peak workspace of the compiled recurrences during ``action``, in bytes above the level before.

    torch's profiler does not see it. Values kept for the backward pass are in tensors and not counted here.
    """
    if cpu is None:
        action()
        return 0
    before = cpu.held_bytes()
    cpu.forget_peak()
    action()
    return cpu.peak_bytes() - before


def in_transform() -> bool:
    """Whether a torch.func transform, such as torch.vmap, is active; while a graph is traced, none is."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportAttributeAccessIssue]


def direct(tensors: Iterable[Tensor | None]) -> bool:
    """Whether a kernel may read these tensors directly, bypassing torch's dispatcher.

    It may not if the operator must be visible (while a graph is traced, in a transform or a dispatch mode), or if a
    tensor has no memory of its own (fake tensors and other subclasses).
    """
    if torch.compiler.is_compiling() or in_transform():
        return False
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return False
    return all([t is None or type(t) in PLAIN for t in tensors])


PLAIN = (Tensor, nn.Parameter)
"""Types of tensors whose memory holds their values."""


def _derived_otherwise() -> bool:
    """Whether derivatives are computed in a way that torch.library's operators do not support; torch.vmap they do."""
    if torch.compiler.is_compiling():
        return False
    if forward_ad._current_level >= 0:
        return True
    if not in_transform():
        return False
    vmap = torch._C._functorch.TransformType.Vmap  # pyright: ignore[reportAttributeAccessIssue]
    stack = torch._C._functorch.get_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
    return any(transform.key() != vmap for transform in stack)
