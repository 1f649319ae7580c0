"""Comparisons of two sides on one task, two models or the two families, and their verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from liquidbench.statistics.inference import (
    ALPHA,
    MOST_SEEDS,
    POWER,
    Effect,
    Estimate,
    Interval,
    effect_size,
    holm,
    seeds_to_equate,
    seeds_to_show,
)
from liquidbench.wording import counted, percent

FAMILIES_COMPARED = ("liquid", "recurrent")

FEWEST_SEEDS = 3
"""Smallest number of common seeds for a verdict: two differences hardly determine their spread."""

FEW_SEEDS = 5
"""A verdict on a task with fewer seeds has a warning."""

REACH = ((2.0, "within reach"), (10.0, "costly"), (math.inf, "out of reach"))
"""Words for the number of seeds needed, each with its upper limit as a multiple of the present seeds."""

PROSPECT_RULE = (
    "If no difference between two networks is shown and the interval covers only seeds: the number of seeds "
    f"that would show one with a power of {percent(POWER)} if difference and spread are as observed, or equivalence "
    "if the difference is below the smallest that counts. The level is that of Holm's first step. “Within reach”: "
    "at most twice the present seeds; “costly”: at most ten times; “out of reach”: more, or more than "
    f"{MOST_SEEDS:,}."
)


@dataclass(frozen=True)
class Prospect:
    """What more seeds would show if the observed difference and spread were the true ones.

    Attributes:
        aim: "different", or "equivalent" if the observed difference is below the smallest that counts.
        seeds: number of seeds that would show it with a power of `POWER`; None above `MOST_SEEDS`.
        now: present number of seeds.
    """

    aim: Literal["different", "equivalent"]
    seeds: int | None
    now: int

    @property
    def reach(self) -> str:
        """A word of `REACH`."""
        return "out of reach" if self.seeds is None else next(w for end, w in REACH if self.seeds <= end * self.now)

    @property
    def sentence(self) -> str:
        """The prospect in words."""
        show = "the two to be equivalent" if self.aim == "equivalent" else "a difference"
        many = f"more than {MOST_SEEDS:,}" if self.seeds is None else f"about {self.seeds:,}"
        text = (
            f"If difference and spread are as observed, {many} seeds would show {show} with a power of "
            f"{percent(POWER)} (there are {self.now}): {self.reach}."
        )
        return text + " With so few seeds the spread is uncertain." if self.now < FEW_SEEDS else text


@dataclass(frozen=True)
class Pair:
    """A comparison of two sides on one task, two models or the two families, over the runs that both finished.

    Attributes:
        task: the task's name.
        first: a model, or the name of a family with several models.
        second: the other side.
        means: test scores of both, means over splits and seeds; None without a common seed.
        sides: estimates of the families' scores, with their errors over seeds or splits; None for two models, or
            without an estimate.
        estimate: mean score of the first minus that of the second, and its error; None with fewer than two pairs.
        p: p-value of the claim (`Estimate.claim`), corrected by Holm's method; None without an estimate.
        uncorrected: the p-value before correction.
        margin: the smallest difference that counts, in units of the score.
        seeds: number of common seeds; with several splits the smallest number on any split.
        splits: number of outer splits.
        left_out: number of runs that one of the two has not finished.
        covers: the sources of error in the interval: "seeds" or "splits", and "test recordings" and "networks of the
            families".
        verdict: verdict on the first: "better", "worse", "equivalent", "no difference shown", "floor not beaten" or
            "cannot say".
        reason: why there is no verdict; "" if there is one.
        differences: score of the first minus that of the second for each pair, in the order of splits and seeds.
        values: scores of both sides for each pair.
        tests: number of p-values that the correction counts.
        over: the unit of the pairs, "seed" or "split".
        shares: for each side, how often each of its models represents it.
        subsets: size of the subsets of each family's networks whose best by validation is compared; 1 for two models.
    """

    task: str
    first: str
    second: str
    means: tuple[float, float] | None
    sides: tuple[Estimate, Estimate] | None
    estimate: Estimate | None
    p: float | None
    uncorrected: float | None
    margin: float
    seeds: int
    splits: int
    left_out: int
    covers: tuple[str, ...]
    verdict: str
    reason: str = ""
    differences: tuple[float, ...] = ()
    values: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    tests: int = 1
    over: Literal["seed", "split"] = "seed"
    shares: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})
    subsets: int = 1

    @property
    def difference(self) -> float | None:
        """The mean score of the first minus that of the second; None without a common seed."""
        return self.means[0] - self.means[1] if self.means else None

    @property
    def interval(self) -> Interval | None:
        """Interval of the difference; None if its error is unknown: with fewer than two pairs, or equal differences."""
        return self.estimate.interval() if self.estimate else None

    @property
    def effect(self) -> Effect | None:
        """Effect size, positive if the first has the larger score; None with fewer than three pairs."""
        return effect_size(*self.values) if len(self.differences) >= FEWEST_SEEDS else None

    @property
    def extent(self) -> str:
        """The unit of the pairs, in words."""
        each = counted(self.seeds, "seed")
        if self.splits == 1:
            return each
        return f"over {counted(self.splits, 'split')}, {each} each"

    @property
    def scope(self) -> str:
        """The scope of the claim, in words."""
        if "splits" in self.covers:
            return "for other splits of such data"
        where = "on this test set" if self.splits == 1 else "on these test sets"
        return "for such recordings" if "test recordings" in self.covers else where

    @property
    def prospect(self) -> Prospect | None:
        """What more seeds would show; None if a difference is shown, or the spread is unknown.

        None also if the interval covers splits, recordings or networks, since more seeds alone would not suffice. The
        level is that of Holm's first step, the strictest one.
        """
        if self.verdict != "no difference shown" or self.difference is None or self.interval is None:
            return None
        if self.covers != ("seeds",) or self.splits > 1:
            return None
        spread, alpha = float(np.std(self.differences, ddof=1)), ALPHA / self.tests
        beyond = abs(self.difference) - self.margin
        if beyond > 0:
            return Prospect("different", seeds_to_show(beyond, spread, alpha), self.seeds)
        return Prospect("equivalent", seeds_to_equate(self.difference, spread, self.margin, alpha), self.seeds)


def corrected_pairs(pairs: Sequence[Pair], higher: Sequence[bool]) -> list[Pair]:
    """The pairs with p-values corrected for their number, and with verdicts."""
    raw = {index: pair.uncorrected for index, pair in enumerate(pairs) if pair.uncorrected is not None}
    corrected = dict(zip(raw, holm(list(raw.values())).tolist(), strict=True))
    judged = []
    for index, (pair, direction) in enumerate(zip(pairs, higher, strict=True)):
        pair = replace(pair, p=corrected.get(index), tests=max(len(raw), 1))
        judged.append(replace(pair, verdict=_word(pair, direction)))
    return judged


def _word(pair: Pair, higher: bool) -> str:
    if pair.reason:
        return "cannot say"
    if pair.estimate is None or pair.p is None or pair.p >= ALPHA:
        return "no difference shown"
    claim, _ = pair.estimate.claim(pair.margin)
    return "equivalent" if claim == "within" else "better" if (claim == "above") == higher else "worse"


def family_words(name: str) -> str:
    """The name of a side of a pair in a sentence."""
    return f"{name} networks" if name in FAMILIES_COMPARED else name
