"""Checks arguments. Error messages give the name, what was expected, what was passed, and what to do."""

from __future__ import annotations

import math
import operator

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def whole(name: str, value: object) -> int:
    """An integer, from Python, NumPy or a 0-d tensor, as a Python int.

    Raises:
        TypeError: it is something else, such as a bool.
    """
    try:
        if not isinstance(value, bool | np.bool_):
            return operator.index(value)  # type: ignore[arg-type]
    except (TypeError, RuntimeError):
        pass
    raise TypeError(f"{name} must be an int, but got {described(value)}")


def positive_int(name: str, value: object) -> int:
    """A positive integer as a Python int; raises for anything else."""
    count = whole(name, value)
    if count < 1:
        raise ValueError(f"{name} must be at least 1, but got {count}")
    return count


def flag(name: str, value: object) -> bool:
    """A bool as a Python bool; raises for anything else, since a string such as "no" would be True."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, but got {value!r}")
    return bool(value)


def number(name: str, value: object, low: float, high: float, what: str) -> float:
    """A finite number in [low, high] as a Python float; raises for anything else. ``what`` describes it in errors."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be {what}, but got {described(value)}")
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be {what}, but got {value!r}")
    return float(value)


def probability(name: str, value: object) -> float:
    """A number in [0, 1] as a Python float; raises for anything else."""
    return number(name, value, 0.0, 1.0, "a probability in [0, 1]")


def choice(name: str, value: object, allowed: tuple[object, ...], hint: str = "") -> None:
    """Raises unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be {alternatives(allowed)}, but got {value!r}{hint}")


def alternatives(allowed: tuple[object, ...]) -> str:
    """'a', 'b' or 'c'."""
    *others, last = (repr(value) for value in allowed)
    return f"{', '.join(others)} or {last}" if others else last


def described(value: object) -> str:
    """Shape and dtype of a tensor, or the type of anything else."""
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def readable(tensor: Tensor) -> bool:
    """Whether code can branch on a tensor's values: not while a graph is traced or a function is vmapped."""
    if torch.compiler.is_compiling() or tensor.is_meta or isinstance(tensor, FakeTensor):
        return False
    torch_c, modes = torch._C, torch._C._TorchDispatchModeKey  # pyright: ignore[reportAttributeAccessIssue]
    if torch_c._functorch.is_functorch_wrapped_tensor(tensor) or torch_c._get_tracing_state() is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return False
    if not torch_c._len_torch_dispatch_stack():  # pyright: ignore[reportAttributeAccessIssue]
        return True
    return all(torch_c._get_dispatch_mode(mode) is None for mode in (modes.FAKE, modes.PROXY, modes.FUNCTIONAL))  # pyright: ignore[reportAttributeAccessIssue]


def same_place(name: str, tensor: Tensor, parameter: Tensor) -> None:
    """Raises unless a tensor is on the device of the layer's parameters."""
    if tensor.device != parameter.device:
        raise ValueError(
            f"{name} is on {tensor.device}, but the layer's parameters are on {parameter.device}: "
            f"use {name}.to({str(parameter.device)!r}) or layer.to({str(tensor.device)!r})"
        )
