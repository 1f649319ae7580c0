"""Converts tensors to arguments of the compiled module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.dlpack import to_dlpack  # pyright: ignore[reportPrivateImportUsage]

from liquidrnn.kernels import PLAIN
from liquidrnn.kernels.loop import Inputs


def rows(inputs: Inputs, initial: Tensor) -> tuple[Any, ...]:
    """Sequences and their initial states."""
    return capsules((inputs.values, initial, inputs.timespans, inputs.present, inputs.reset))


def gradients_of_rows(inputs: Inputs, initial: Tensor) -> tuple[Any, ...]:
    """Gradients of :func:`rows`, to be filled, or None."""
    return capsules((inputs.values, initial, inputs.timespans))


def capsules(tensors: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """Dense tensors as DLPack capsules, which the compiled module reads ten times as fast as tensors.

    Raises:
        TypeError: a tensor is of a subclass with operators of its own, so that its memory does not hold its values.
    """
    return tuple([None if t is None else to_dlpack(t if type(t) in PLAIN else _plain(t)) for t in tensors])


def _plain(tensor: Tensor) -> Tensor:
    """The tensor without its subclass, which may only add names or labels to the values."""
    if type(tensor).__torch_dispatch__ is Tensor.__torch_dispatch__:  # pyright: ignore[reportAttributeAccessIssue]
        return tensor.as_subclass(Tensor)
    raise TypeError(
        f"compiled kernels read the memory of plain tensors, but got a {type(tensor).__name__}: "
        "build the layer with backend='reference'"
    )
