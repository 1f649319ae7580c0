"""Variants of a case that differ in names and numbers, but run the same code."""

from collections.abc import Iterable
from typing import Any

import pytest


def some(*fast: Any, slow: Iterable[Any]) -> list[Any]:
    """Values of a parameter: those that every run of the tests takes, and those of the slow tests."""
    return [*fast, *(pytest.param(value, marks=pytest.mark.slow) for value in slow)]
