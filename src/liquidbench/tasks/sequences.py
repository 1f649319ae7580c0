"""The sequences that a table is cut into, and the parts for training, validation and test."""

import hashlib
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.facts import DRIFT, Facts, Feature
from liquidbench.metrics import shares_of
from liquidbench.tasks import groups, words
from liquidbench.tasks.draft import labelled
from liquidbench.tasks.meaning import Meaning
from liquidbench.tasks.task import SPLITS, Recording, time_ahead_feature, varies_ahead
from liquidbench.wording import counted, listed

LONGEST_WINDOW = 32
SHORTEST_WINDOW = 8
KNOWN_IN_WINDOW, LONGEST_OF_FEW = 8, 256
"""Known targets that a window has room for where it is their next that is predicted, up to so many rows."""
GAP = 1.5
"""Times the usual span from which on a span is a gap, in which a row at least is missing."""

# Training and validation's shares of a recording that is split in time. The first is taken, unless classes are so
# bunched that a later one alone has them all in every part.
SHARES = ((0.6, 0.2), (0.6, 0.25), (0.6, 0.15), (0.5, 0.25), (0.5, 0.3), (0.5, 0.2), (0.7, 0.15))

# Dealing in this order gives 3 to 1 to 1, and each split one group as soon as there are three.
DEAL = ("train", "validation", "test", "train", "train")

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_MANY = 5_000
"""Units from which on a span is said in a larger one."""


class Sequences:
    """The recordings of a table and how they are split; what is chosen is added to the lines of its `Meaning`.

    Attributes:
        whole: all of them, with each row's own target.
        recordings: all of them, with the target that each row is to predict.
        irregular, time_unit: whether spans vary, and the unit of times.
        time_ahead: whether models are told how far ahead that target is: it varies with the spans, or with where a
            target is known again.
        time_scale: seconds of that unit where times are dates, else 1.
        window, gap: rows of a sequence at most, and rows between parts of one recording.
        splits, split_rule: recordings by part, and how they came there.
        metric: by which models are chosen.
    """

    def __init__(self, meaning: Meaning):
        self.meaning = meaning
        self.whole = self._cut_into_recordings()
        self.time_scale = 1.0
        self.irregular, self.time_unit = self._choose_time_unit()
        self.recordings = [self._shifted(recording) for recording in self.whole]
        self.window = self._choose_window()
        self.gap, self.splits = self._split_by_group() if meaning.group is not None else self._split_in_time()
        self._check_splits(self.splits)
        self.time_ahead = self._choose_time_ahead()
        self.metric = self._choose_metric()

    @property
    def features(self) -> tuple[Feature, ...]:
        """What models read."""
        columns = self.meaning.feature_columns
        return (*columns, time_ahead_feature(columns, self.time_unit)) if self.time_ahead else columns

    @property
    def folds(self) -> int:
        """Outer splits by group, so many that each group is in test about once; a split in time has no other."""
        return 1 if self.meaning.group is None else min(len(self._groups()), len(DEAL))

    @property
    def fold_rule(self) -> str:
        """How outer splits are made, or why there are none."""
        if self.meaning.group is None:
            return (
                "a single recording is split in time, and any other test part would have training data from after it; "
                "a table of several groups has other splits"
            )
        return f"By group: the groups move on by one place in the order in which they are dealt, {self.folds} times."

    def dealt(self, fold: int) -> Callable[[str], list[Recording]]:
        """The recordings of each part in an outer split."""
        deal = self._deal(fold)
        try:
            self._check_splits(deal)
        except ValueError as problem:
            raise ValueError(f"outer split {fold}: {problem}") from problem
        return deal.__getitem__

    def _targets(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        column = self.meaning.frame[self.meaning.target]
        known = column.is_not_null().to_numpy()
        if self.meaning.classes is None:
            return column.cast(pl.Float64).fill_null(0.0).to_numpy()[:, None], known
        number = {name: index for index, name in enumerate(self.meaning.classes)}
        return np.array([number.get(label, 0) for label in labelled(column)], dtype=np.int64), known

    def _cut_into_recordings(self) -> list[Recording]:
        codes, times = self.meaning.codes(), self.meaning.times()
        targets, known = self._targets()
        names, of_groups = [self.meaning.name], [self.meaning.name]
        if self.meaning.key:
            firsts = self.meaning.frame[np.flatnonzero(np.diff(codes, prepend=-1))]
            labels = [labelled(firsts[name]) for name in self.meaning.key]
            names, of_groups = [" / ".join(label) for label in zip(*labels, strict=True)], labels[0]
        starts = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))
        recordings, dropped = [], []
        for name, group, first, end in zip(names, of_groups, starts[:-1], starts[1:], strict=True):
            rows = slice(first, end)
            recording = Recording(
                name=name,
                group=group,
                times=times[rows],
                values=self.meaning.values[rows],
                targets=targets[rows],
                first_row=int(first),
                mask=self.meaning.observed[rows],
                target_mask=known[rows],
            )
            if not np.any(self._shifted(recording).target_mask):
                dropped.append(name)
                continue
            if self.meaning.per == "sequence":
                label = recording.targets[int(known[rows].argmax())]
                recording = replace(
                    recording, targets=int(label) if self.meaning.classes is not None else label, target_mask=None
                )
            recordings.append(recording)
        if dropped:
            self.meaning.lines.append(f"groups: left out for want of a target: {listed(dropped)}")
        return recordings

    def _shifted(self, recording: Recording) -> Recording:
        """The rows that have something to predict, with the target that it is."""
        return recording.ahead(self.meaning.horizon) if self.meaning.forecasts else recording

    def _choose_time_unit(self) -> tuple[bool, str]:
        """Whether time spans vary, and the unit of time; recordings change to that unit."""
        spans = np.concatenate([np.diff(self._shifted(recording).times) for recording in self.whole])
        median = float(np.median(spans)) if len(spans) else 1.0
        if self.meaning.time is None:
            return False, "row"
        unit, scale = f"units of {self.meaning.time!r}", 1.0
        if self.meaning.frame[self.meaning.time].dtype.is_temporal():
            unit = next((unit for unit in ("d", "h", "min") if median >= _SECONDS[unit]), "s")
            scale = self.time_scale = _SECONDS[unit]
        elif (named := words.time_name(self.meaning.time)) and named.unit:
            unit = named.unit
        elif in_cells := words.unit_of_time(self.meaning.file.units.get(self.meaning.time, "")):
            unit = in_cells
        self.whole = [
            replace(recording, times=(recording.times - recording.times[0]) / scale) for recording in self.whole
        ]
        # A few odd spans are jitter, unless they are gaps.
        odd = len(spans) > 0 and np.mean(np.abs(spans - median) > 0.1 * max(median, 1e-300)) > 0.01
        gaps = int(np.sum(spans > GAP * median)) if median else 0
        longest = _said(spans.max(initial=0.0) / scale, unit)
        its = "" if longest.endswith(f" {unit}") else f" {unit}"
        if odd:
            self.meaning.lines.append(
                f"spans: uneven, {spans.min() / scale:.4g}{its} to {longest}, median {median / scale:.4g}{its}; models "
                "are told the time between rows"
            )
        elif gaps:
            self.meaning.lines.append(
                f"spans: {median / scale:.4g} {unit}, but for {counted(gaps, 'gap')} of up to {longest}; models are "
                "told the time between rows"
            )
        else:
            self.meaning.lines.append(f"spans: even, {median / scale:.4g} {unit}")
        return bool(odd or gaps), unit

    def _choose_window(self) -> int | None:
        lengths = [len(recording) for recording in self.recordings]
        if "window" in self.meaning.given:
            window = self.meaning.given["window"]
            if window is None and self.meaning.group is None:
                self.meaning.refuse("window must be a number of rows where one recording is split in time; got None")
            self.meaning.lines.append(f"window: {f'{window} rows' if window else 'none'}, as asked")
            return window
        if self.meaning.per == "sequence":
            if max(lengths) > 1000:
                self.meaning.warnings.append(
                    f"the longest sequence has {max(lengths)} rows, which takes long to train on; window: 200 in a "
                    "study classifies pieces instead"
                )
            return None
        longest = LONGEST_WINDOW
        if self.meaning.kind == "next-known":
            # A window without a known target would not even know the last value.
            known = len(known_targets(self.whole, self.meaning.per))
            apart = sum(map(len, self.whole)) / known
            longest = int(np.clip(KNOWN_IN_WINDOW * apart, longest, LONGEST_OF_FEW))
        if self.meaning.group is not None:
            window = None if max(lengths) <= 2 * longest else longest
        else:
            window = int(np.clip(sum(lengths) // 20, SHORTEST_WINDOW, longest))
        if window is None:
            self.meaning.lines.append(f"window: none (the longest group has {max(lengths)} rows and stays whole)")
        else:
            guessed = (
                f"{len(lengths)} recordings of up to {max(lengths)} rows"
                if self.meaning.group
                else f"{lengths[0]} rows"
            )
            self.meaning.lines.append(
                f"window: {window} rows (guessed from {guessed}); training windows overlap by half, those of "
                "validation and test not at all"
            )
        return window

    def _split_in_time(self) -> tuple[int, dict[str, list[Recording]]]:
        (recording,) = self.whole
        assert self.window is not None
        ahead = self.meaning.horizon or 0
        gap = self.window + ahead
        usable = len(recording) - ahead - 2 * gap
        if usable // 5 < self.window:
            # Counted as in the file: of a forecast's last rows there is a target alone.
            left = f" that are left of {self.meaning.height}" if self.meaning.frame.height < self.meaning.height else ""
            self.meaning.refuse(
                f"{self.meaning.frame.height} rows{left} are too few: split in time into 60, 20 and 20 %, with {gap} "
                "rows left "
                f"out between the parts, each part needs a window of {self.window} rows, "
                f"{5 * self.window + 2 * gap + ahead} rows in all"
            )

        def cut(shares: tuple[float, float]) -> tuple[Recording, ...]:
            train, validation = (round(share * usable) for share in shares)
            starts = train + gap, train + validation + 2 * gap
            ends = train + ahead, starts[0] + validation + ahead, len(recording)
            # Each part has targets of its own rows alone.
            parts = zip((0, *starts), ends, strict=True)
            return tuple(self._shifted(recording.part(slice(first, end))) for first, end in parts)

        cuts = [cut(shares) for shares in SHARES]
        # All classes in every part if that can be had, else two, without which a part cannot be scored.
        fewest = (len(self.meaning.classes), 2) if self.meaning.classes else ()
        good = [parts for least in fewest for parts in cuts if self._classes_in_each(parts) >= least]
        parts = (good or cuts)[0]
        usual = [len(part) for part in parts] == [len(part) for part in cuts[0]]
        all_there = len(self.meaning.classes or ()) == self._classes_in_each(parts)
        lack = "without one of the classes" if all_there else "with a single class"
        self.split_rule = (
            f"In time: the first {len(parts[0])} rows are training, then {len(parts[1])} validation, the last "
            f"{len(parts[2])} test, with {gap} rows left out between them, no less than a window"
            f"{'' if usual else '; not 60, 20 and 20 %, which would leave a part ' + lack}."
        )
        self.meaning.lines.append(f"split: {self.split_rule}")
        return gap, {name: [part] for name, part in zip(SPLITS, parts, strict=True)}

    def _classes_in_each(self, parts: Iterable[Recording]) -> int:
        """Number of classes in the part that has fewest; of validation and test, nothing else is looked at."""
        return min(len(np.unique(known_targets([part], self.meaning.per))) for part in parts)

    def _split_by_group(self) -> tuple[None, dict[str, list[Recording]]]:
        count = len(self._groups())
        if count < groups.FEWEST:
            what = "1 group" if count == 1 else f"{count} groups"
            rows = self.meaning.frame.height
            enough = 7 * SHORTEST_WINDOW
            without = "Leave --group out" if "group" in self.meaning.given else "Say --no-group"
            way = f"{without} to split in time"
            if count == 1 and rows < enough:
                way = f"Its {rows} rows are too few to split in time as well ({enough} are needed)"
            elif (
                count > 1 and len(self.meaning.key) > 1 and groups.count(self.meaning.frame, self.meaning.key[1:2]) > 2
            ):
                first, *rest = self.meaning.key
                way = (
                    f"Take the rows of one, with --group {shlex.quote(','.join(rest))}, or say --group "
                    f"{shlex.quote(','.join((*rest, first)))}, which has each {first!r} in all parts"
                )
            elif count > 1:
                way = (
                    "Take a table of one group, which is split in "
                    f"time{', without --group' * ('group' in self.meaning.given)}"
                )
            self.meaning.refuse(
                f"group column {self.meaning.group!r} holds {what}; a split by group needs at least {groups.FEWEST}, "
                "one for "
                f"each of training, validation and test. {way}"
            )
        splits, stratified = self._deal(0), self._stratified
        if not splits["test"] and self.meaning.classes is not None:
            by_class = self._by_class()
            sizes = listed(
                (f"{len(of)} of {self.meaning.classes[label]}" for label, of in by_class.items()), quote=False
            )
            numeric = self.meaning.frame[self.meaning.target].dtype.is_numeric()
            way = ", or say --task regression (kind: in a study) if its numbers are amounts" * numeric
            self.meaning.refuse(
                f"no class of {self.meaning.target!r} has {groups.FEWEST} groups, one for each of training, validation "
                "and "
                f"test ({sizes}); give more groups{way}"
            )
        counts = ", ".join(f"{name} {len({r.group for r in of})}" for name, of in splits.items())
        recordings = ", ".join(f"{name} {len(of)}" for name, of in splits.items())
        several = f"; recordings told apart by {' and '.join(map(repr, self.meaning.key[1:]))}: {recordings}"
        self.split_rule = (
            f"By group: each value of {self.meaning.group!r} is in one split only, drawn by a checksum of its name"
            f"{', class by class' if stratified else ''} ({counts}{several if len(self.meaning.key) > 1 else ''})."
        )
        self.meaning.lines.append(f"split: {self.split_rule}")
        return None, splits

    @property
    def _stratified(self) -> bool:
        return self.meaning.per == "sequence" and self.meaning.classes is not None

    def _groups(self) -> dict[str, list[Recording]]:
        """The recordings of each group, which no split may part."""
        together: dict[str, list[Recording]] = {}
        for recording in self.recordings:
            together.setdefault(recording.group, []).append(recording)
        return together

    def _by_class(self) -> dict[Any, list[str]]:
        """The groups in the order of their lots, by class where recordings have one; a group's is the commonest."""
        by_class: dict[Any, list[str]] = {}
        together = self._groups()
        for name in sorted(together, key=_lot):
            classes = [recording.targets for recording in together[name]] if self._stratified else [0]
            by_class.setdefault(max(classes, key=classes.count), []).append(name)
        return by_class

    def _deal(self, fold: int) -> dict[str, list[Recording]]:
        """The recordings of each split; with each fold the groups move on by one place."""
        dealt: dict[str, set[str]] = {name: set() for name in SPLITS}
        for members in self._by_class().values():
            # Fewer groups than places: those that no group would take are left out, so that each split has its turn.
            places = DEAL[: len(members)]
            for place, name in enumerate(members):
                dealt[places[(place + fold) % len(places)]].add(name)
        return {
            name: [recording for recording in self.recordings if recording.group in of] for name, of in dealt.items()
        }

    def _check_splits(self, splits: Mapping[str, list[Recording]]) -> None:
        train = known_targets(splits["train"], self.meaning.per)
        for name in SPLITS:
            if not len(known_targets(splits[name], self.meaning.per)):
                lack = "has no next known value" if self.meaning.kind == "next-known" else "is not known"
                self.meaning.refuse(
                    f"target {self.meaning.target!r} {lack} in any row of the {name} part. {self.split_rule}"
                )
        if self.meaning.classes is None:
            if np.ptp(train) == 0:
                self.meaning.refuse(
                    f"target {self.meaning.target!r} never varies in the training part, so nothing can be learnt"
                )
            return
        for name in SPLITS:
            there = np.unique(known_targets(splits[name], self.meaning.per))
            if len(there) == 1:
                way = (
                    "If the rows are ordered by class, they are no time series as they stand: name the column that "
                    "tells recordings apart with --group. If they are in the order of time, more of them are needed, "
                    "until other classes come back"
                    if self.meaning.group is None
                    else "More groups are needed"
                )
                self.meaning.refuse(
                    f"the {'training' if name == 'train' else name} part holds only class "
                    f"{self.meaning.classes[int(there[0])]!r} of {self.meaning.target!r}, so "
                    f"{'nothing can be learnt' if name == 'train' else 'no model can be judged by it'}. {way}"
                )
            absent = [label for number, label in enumerate(self.meaning.classes) if number not in there]
            if absent:
                self.meaning.warnings.append(
                    f"the {name} part lacks {listed(absent)} among the classes of {self.meaning.target!r}"
                )

    def _choose_time_ahead(self) -> bool:
        """Whether models are told how far ahead their targets are."""
        train = self.splits["train"]
        to_known = self.meaning.kind == "next-known"
        if not to_known and not (self.meaning.forecasts and self.irregular and varies_ahead(train)):
            return False
        ahead = np.concatenate([recording.time_ahead for recording in train])
        until = f"the next row in which {self.meaning.target!r} is known" if to_known else "the row that is forecast"
        self.meaning.lines.append(
            f"time ahead: {ahead.min():.4g} to {ahead.max():.4g} {self.time_unit} from a row to {until}, median "
            f"{np.median(ahead):.4g}; models are told it"
        )
        return True

    def _choose_metric(self) -> str:
        if self.meaning.classes is None:
            self.meaning.lines.append("metric: rmse, in standard deviations of the training targets")
            return "rmse"
        known = known_targets(self.splits["train"], self.meaning.per)
        share = np.bincount(known.astype(np.int64)).max() / len(known)
        if share > 0.8:
            self.meaning.lines.append(
                f"metric: balanced accuracy ({share:.0%} of the training targets are of one class)"
            )
            return "balanced_accuracy"
        classes, test = len(self.meaning.classes), known_targets(self.splits["test"], self.meaning.per)
        parts = {name: shares_of(part.astype(np.int64), classes) for name, part in (("train", known), ("test", test))}
        if (drift := Facts(class_shares=parts).drift) > DRIFT:
            self.meaning.lines.append(
                f"metric: balanced accuracy ({drift:.0%} of test would have to be of another class for the classes' "
                "shares to be those of training, so a constant could win by accuracy)"
            )
            return "balanced_accuracy"
        self.meaning.lines.append("metric: accuracy")
        return "accuracy"


def _said(span: float, unit: str) -> str:
    """A span in its unit, or, where it has many digits in that, in a larger one."""
    if span >= _MANY and unit in _SECONDS:
        seconds = span * _SECONDS[unit]
        unit = next(larger for larger in ("d", "h", "min") if seconds >= _SECONDS[larger])
        span = seconds / _SECONDS[unit]
    return f"{span:.4g} {unit}"


def known_targets(recordings: list[Recording], per: str) -> NDArray[Any]:
    """All targets that are known, one after another."""
    if per == "sequence":
        return np.array([np.ravel(recording.targets)[0] for recording in recordings])
    known = [np.ravel(recording.targets)[recording.target_mask] for recording in recordings]
    return np.concatenate(known) if known else np.zeros(0)


def _lot(name: str) -> bytes:
    """What a group draws; the same on every machine, whatever other groups there are."""
    return hashlib.sha256(name.encode()).digest()
