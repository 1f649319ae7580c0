"""Time spans: checks, spans between present samples, and spans from timestamps.

The same rule applies to sequences, steps and streams. A span is a number or a tensor, finite, not negative, and at most
the largest number of the layer's dtype. It is checked in the precision in which it is given and summed in at least
float32.
"""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from liquidrnn.arguments import described, readable, same_place


def number_of(value: object) -> float | None:
    """A Python or NumPy number (0-d arrays included, bool excluded) as a float; None for anything else."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, int | float):
        numpy = isinstance(value, np.ndarray) or isinstance(value, np.generic)
        if not (value.ndim == 0 and value.dtype.kind in "iuf" if numpy else isinstance(value, Real)):  # type: ignore
            return None
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf


def checked_number(name: str, value: object, dtype: torch.dtype) -> float | None:
    """A number as a valid span of a layer in ``dtype``; None for anything that is not a number.

    Raises:
        ValueError: it is negative, not finite, or above the largest number of ``dtype``.
    """
    span = number_of(value)
    if span is not None and not 0 <= span <= torch.finfo(dtype).max:
        raise _not_a_span(name, value, dtype)
    return span


def checked_spans(name: str, spans: object, parameter: Tensor, shape: tuple[int, ...] = ()) -> Tensor:
    """Checked spans in the precision in which they are summed: of this shape for a number, else the given shape.

    While a graph is traced, values cannot be checked: a span too large for the layer is clamped instead.

    Args:
        name: name of the argument.
        spans: a Python or NumPy number, or a Tensor of real numbers.
        parameter: a parameter of the layer, for its dtype and device.
        shape: shape of the result for a number.
    """
    precise = torch.promote_types(parameter.dtype, torch.float32)
    if torch.compiler.is_compiling() and isinstance(spans, np.ndarray) and not spans.ndim:
        spans = torch.as_tensor(spans)  # a traced NumPy number is an array too, and its value is unknown
    if not isinstance(spans, Tensor):
        number = checked_number(name, spans, parameter.dtype)
        if number is None:
            array = isinstance(spans, np.ndarray | list | tuple)
            raise TypeError(
                f"{name} must be a number or a Tensor, but got {described(spans)}"
                f"{': use torch.as_tensor()' if array else ''}"
            )
        return torch.full(shape, number, dtype=precise, device=parameter.device)
    if spans.dtype == torch.bool or spans.is_complex():
        raise TypeError(f"{name} must be real numbers, but got {described(spans)}; a bool Tensor is a mask")
    if spans.ndim == 0 and spans.device.type == "cpu":
        spans = spans.to(parameter.device)  # a 0-d CPU tensor is a number, as everywhere in torch
    same_place(name, spans, parameter)
    # Checked before rounding: a float64 can be negative or too large, and be neither once rounded to float32.
    exact = spans if spans.dtype == torch.float64 else spans.to(precise)
    largest = min(torch.finfo(parameter.dtype).max, torch.finfo(exact.dtype).max)
    if not readable(exact):
        return exact.clamp(max=largest).to(precise)
    right = (exact >= 0) & (exact <= largest)
    if not bool(right.all()):
        raise _not_a_span(name, exact[~right][0].item(), parameter.dtype)
    return exact.to(precise)


def row_spans(name: str, spans: object, rows: int, parameter: Tensor) -> Tensor:
    """A span for each row, (rows, 1), from a number or (rows,) or (rows, 1)."""
    checked = checked_spans(name, spans, parameter)
    if tuple(checked.shape) not in ((), (1,), (rows,), (rows, 1)):
        raise ValueError(f"{name} must be a number or (batch,) = ({rows},), but got {described(spans)}")
    return checked.reshape(-1, 1).expand(rows, 1)


def row_flags(name: str, flags: object, rows: int, parameter: Tensor) -> Tensor:
    """A flag for each row, (rows, 1), from a bool or bool (rows,) or (rows, 1)."""
    given = torch.full((), bool(flags), device=parameter.device) if isinstance(flags, bool | np.bool_) else flags
    if not isinstance(given, Tensor) or given.dtype != torch.bool:
        raise TypeError(f"{name} must be a bool, or a bool Tensor (batch,) = ({rows},), but got {described(flags)}")
    if tuple(given.shape) not in ((), (1,), (rows,), (rows, 1)):
        raise ValueError(f"{name} must be a bool, or a bool Tensor (batch,) = ({rows},), but got {described(flags)}")
    same_place(name, given, parameter)
    return given.reshape(-1, 1).expand(rows, 1)


def _not_a_span(name: str, value: object, dtype: torch.dtype) -> ValueError:
    if isinstance(value, Tensor | np.ndarray):
        value = value.item()
    largest = torch.finfo(dtype).max
    if number_of(value) == math.inf or not number_of(value) > largest:  # type: ignore[operator]
        return ValueError(
            f"{name} must be finite and not negative, but got {value}: a span is the time since the previous sample, "
            "not a timestamp; timespans_from_timestamps() makes spans from timestamps"
        )
    return ValueError(f"{name} must be at most {largest:g}, {_REMEDY.format(dtype=dtype)}, but got {value}: {_ADVICE}")


_REMEDY = "the largest number that the layer's {dtype} holds"
_ADVICE = "count time in a larger unit, such as hours for seconds, or give the layer a dtype with a wider range"


def check_sums(sums: Tensor, there: Tensor | bool, dtype: torch.dtype, more: str = "") -> None:
    """Raises if the sum of spans up to a present sample is above the largest number of ``dtype``."""
    largest = torch.finfo(dtype).max
    if not readable(sums):
        return
    wrong = (sums > largest) & there
    if bool(wrong.any()):
        raise ValueError(
            f"the time spans of absent samples and of the next observed one add up to {sums[wrong][0].item():g} in "
            f"sequence {int(wrong.nonzero()[0, 0])}, but "
            f"must be at most {largest:g}, {_REMEDY.format(dtype=dtype)}: {_ADVICE}{more}"
        )


class Gaps:
    """Time between present samples, forward or backward, within each episode.

    Args:
        spans: (batch, time, 1), time since the previous sample.
        present: bool (batch, time, 1), or None if every sample is present.
        reset: bool (batch, time, 1), True where an episode begins, or None if none does.
        dtype: dtype of the result; sums are computed in the dtype of ``spans``.
        padded: whether every absent sample comes after its sequence's last present one, so that no gap holds one.
    """

    def __init__(
        self,
        spans: Tensor,
        present: Tensor | None,
        reset: Tensor | None,
        dtype: torch.dtype,
        padded: bool = False,
    ):
        self.spans, self.present, self.reset, self.dtype = spans, present, reset, dtype
        if present is None or padded:
            self.sums = spans
            return
        batch, time, _ = spans.shape
        there = present.squeeze(-1).long()
        # Index of the gap that each sample belongs to. A gap ends with a present sample, inclusive, or with the
        # episode.
        gap, groups = there.cumsum(1) - there, time + 1
        if reset is not None:
            gap, groups = gap + reset.squeeze(-1).long().cumsum(1), 2 * time + 1
        sums = spans.new_zeros(batch, groups).scatter_add(1, gap, spans.squeeze(-1)).gather(1, gap)
        check_sums(sums, present.squeeze(-1), dtype)
        # Clamped because sums behind the last present sample, and those in a graph, are not checked: infinity would
        # become NaN.
        self.sums = sums.clamp(max=torch.finfo(dtype).max).unsqueeze(-1)

    def forward(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Time since the previous present sample, (batch, time, 1); which are present; which begin an episode."""
        return self.sums.to(self.dtype), self.present, self.reset

    def backward(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The same in reverse order: time to the next present sample, or the episode's first span for its last one."""
        if self.reset is None and self.present is None:
            return self.spans.roll(-1, 1).flip(1).to(self.dtype), None, None
        spans, time = self.sums.squeeze(-1), self.spans.shape[1]
        there = torch.ones_like(spans, dtype=torch.bool) if self.present is None else self.present.squeeze(-1)
        episode = torch.zeros_like(there, dtype=torch.long)
        if self.reset is not None:
            episode = self.reset.squeeze(-1).long().cumsum(1)
        # For present samples in order: index, episode, and the first sample of the same episode.
        number = there.long().cumsum(1) - 1
        place = torch.where(there, number, time)
        kind = torch.arange(time, device=spans.device).expand_as(place)
        at = place.new_zeros(len(place), time + 1).scatter(1, place, kind)[:, :time]
        belongs = episode.gather(1, at)
        begins = torch.cat([torch.ones_like(there[:, :1]), belongs[:, 1:] != belongs[:, :-1]], 1)
        first = torch.where(begins, kind, 0).cummax(1).values
        count = there.sum(1, keepdim=True)
        follows = (kind + 1 < count) & ~torch.cat([begins[:, 1:], torch.ones_like(there[:, :1])], 1)
        following = at.gather(1, torch.where(follows, kind + 1, first))
        found = spans.gather(1, following.gather(1, number.clamp(min=0)))
        reset = self.reset
        if reset is not None:
            reset = torch.cat([reset[:, 1:], torch.zeros_like(reset[:, :1])], 1).flip(1)
        return found.unsqueeze(-1).flip(1).to(self.dtype), None if self.present is None else self.present.flip(1), reset


def timespans_from_timestamps(timestamps: Tensor, *, first: float = 1.0, batch_first: bool = False) -> Tensor:
    """Time since the previous sample, from the time of each sample.

    Integers are subtracted exactly. Floating-point numbers that are too coarse for their own steps are refused: for
    seconds since 1970, float32 has a resolution of two minutes; for nanoseconds since 1970, float64 has one of 256.

    Args:
        timestamps: (time,), or (time, batch), or (batch, time) with ``batch_first=True``; never decreasing in time.
            Give large ones as int64 or float64, and convert them before they become float32.
        first: span of the first sample, which has no predecessor: time since the initial state was valid.
        batch_first: whether batch comes before time.

    Returns:
        Spans of the same shape, in the same unit; floating-point.

    Raises:
        TypeError: ``timestamps`` is not a tensor of real numbers, or ``first`` is not a number.
        ValueError: timestamps decrease, are not finite, or have steps that their dtype cannot resolve to 1 %; or their
            shape is wrong.

    Example:
        >>> timespans_from_timestamps(torch.tensor([10.0, 10.5, 12.5]))
        tensor([1.0000, 0.5000, 2.0000])
        >>> stamps = torch.tensor([1_700_000_000_000_000_000, 1_700_000_000_250_000_000])  # ns since 1970
        >>> timespans_from_timestamps(stamps, first=1e9) / 1e9  # in seconds
        tensor([1.0000, 0.2500])
    """
    if not isinstance(timestamps, Tensor):
        raise TypeError(f"timestamps must be a Tensor, but got {type(timestamps).__name__}: use torch.as_tensor()")
    if timestamps.dtype == torch.bool or timestamps.is_complex():
        raise TypeError(f"timestamps must be real numbers, but got {described(timestamps)}")
    if timestamps.ndim not in (1, 2):
        raise ValueError(f"timestamps must be (time,) or two-dimensional, but got {described(timestamps)}")
    axis = 1 if timestamps.ndim == 2 and batch_first else 0
    floating = timestamps.is_floating_point()
    if floating and readable(timestamps) and not bool(timestamps.isfinite().all()):
        raise ValueError("timestamps must be finite, but hold NaN or infinity")
    # Differences of small or unsigned integers may overflow their own dtype.
    spans = (timestamps if floating else timestamps.long()).diff(dim=axis)
    if readable(spans):
        if bool((spans < 0).any()):
            raise ValueError(
                f"timestamps must not decrease along axis {axis} (time), but the smallest step is "
                f"{spans.min().item()}: sort each sequence by time"
            )
        if floating:
            _check_resolution(timestamps, spans)
    spans = spans if floating else spans.to(torch.get_default_dtype())
    head = checked_number("first", first.item() if isinstance(first, Tensor) and not first.ndim else first, spans.dtype)
    if head is None:
        raise TypeError(f"first must be a number, a time span, but got {described(first)}")
    leading = torch.full_like(timestamps.narrow(axis, 0, min(1, timestamps.shape[axis])), head, dtype=spans.dtype)
    return torch.cat([leading, spans], axis)


def _check_resolution(timestamps: Tensor, steps: Tensor) -> None:
    """Raises if the spacing of floating-point numbers at the size of these timestamps is too large for their steps.

    Timestamps that are whole numbers, or quarters, have exact steps however large they are. Rounded ones are not all
    multiples of a number well above the spacing, except with a probability of one in a million.
    """
    if not steps.numel():
        return
    stamps = timestamps.to(torch.promote_types(timestamps.dtype, torch.float32))
    largest = stamps.abs().max().item()
    spacing = torch.finfo(timestamps.dtype).eps * 2.0 ** (math.frexp(largest)[1] - 1)
    moved = steps[steps > 0]
    # Equal timestamps have no typical step; but if the spacing is above 1, rounding may have hidden one.
    typical = moved.to(stamps.dtype).median().item() if len(moved) else 50.0 * spacing if spacing > 1 else math.inf
    if spacing <= 0.01 * typical:
        return
    grid = spacing * 2.0 ** math.ceil(20 / len(stamps.unique()))
    if bool((stamps.remainder(grid) == 0).all()):
        return
    seen = f"a typical step is {typical:g}" if len(moved) else "all of them are equal"
    wider = "int64" if timestamps.dtype == torch.float64 else "float64 or int64"
    raise ValueError(
        f"timestamps must be fine enough for their steps, but {timestamps.dtype} numbers around {largest:g} are "
        f"{spacing:g} apart, and {seen}: pass them as {wider}, without rounding them to {timestamps.dtype} before"
    )
