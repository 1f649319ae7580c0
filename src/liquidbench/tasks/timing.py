"""Which column of a user's table is the time, and what becomes of its rows by it."""

import shlex
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import columns, dates, groups, time_columns, words
from liquidbench.tasks.draft import Draft, correlation, filled_where_it_changes, kind_of_content
from liquidbench.wording import counted, listed

MOST_TEXTS = 10
"""Distinct texts up to which a column that looks like times may be one of categories."""
SAME_TIME = 1 - 1e-6
"""Correlation with the time from which on a column is the time again."""
_FINER, SAME_DAY = 2, 0.95
"""Times as many distinct ones as dates that a finer time has, and the share of them that is of the date's day."""
_UNIT_LETTERS = frozenset("dwhmy")
_FEWEST_IN_ORDER = 3
"""Rows of a recording, on average, from which on their alphabetical order is seen."""
CHANGES_WITH_TIME = 0.9
"""Share of the steps in time with which it changes then; what numbers experiments of equal length changes seldom."""


def choose(draft: Draft) -> None:
    """Choose the column of times, and drop rows that have none."""
    draft.time = _choose(draft)
    _drop_rows_without_time(draft)


def find(draft: Draft) -> None:
    """Put dates in the place of what they are written as."""
    asked = draft.given.get("time")
    found = time_columns.find(
        draft.frame,
        draft.at,
        order=draft.given.get("dates"),
        time=asked,
        kept={draft.target, *(draft.given.get("features") or ())},
        whole={*draft.key, *(name for name in (draft.target,) if name and draft.frame[name].dtype != pl.String)},
        amounts=draft.given.get("features") or (),
        join="time" not in draft.given or asked is not None,
        are_times=lambda frame, name: (
            bool(frame[name].is_unique().all())
            or groups.told_apart_by(frame, name, groups.keys(frame, draft.target, draft.key)) is not None
        ),
    )
    draft.found, draft.frame = found, found.frame
    draft.lines += found.remarks
    if "time" not in draft.given:
        draft.warnings += found.warnings


def _choose(draft: Draft) -> str | None:
    if "time" in draft.given:
        if draft.given["time"] is None:
            draft.lines.append("time: none, as asked; rows count as evenly spaced, in the order of the file")
            _suspect_restarts(draft)
            return None
        asked: str = draft.given["time"]
        name = draft.column("time", draft.found.joined.get(asked, asked))
        _check_time(draft, name)
        draft.lines.append(f"time: column {name!r}, as asked")
        _tell_doubts(draft, name)
        _unroll(draft, name)
        return name
    free = [name for name in draft.frame.columns if name not in (draft.target, *draft.key)]
    times = [name for name in free if draft.frame[name].dtype.is_temporal() and draft.frame[name].dtype != pl.Duration]
    # The date of a day's log is no time of its rows.
    constant = [name for name in times if draft.frame[name].n_unique() == 1]
    times = [name for name in times if name not in constant]
    if times and all(map(words.is_of_another_date, times)):
        draft.warnings.append(
            f"{listed(times)} {'is' if len(times) == 1 else 'are'} named like a date of whom or what a row is, and not "
            f"taken for the time of the rows (--time {shlex.quote(times[0])} takes it)"
        )
        times = []
    named = [name for name in free if words.time_name(name)]
    clocks = [name for name in free if draft.frame[name].dtype == pl.Duration and _looks_like_time(draft, name)]
    clocks = [name for name in clocks if name in named or not _counts_down(draft, name)]
    numbers = [name for name in named if draft.frame[name].dtype.is_numeric()]
    elapsed = [name for name in free if name not in named and time_columns.is_elapsed(draft.frame[name])]
    like = [name for name in (*numbers, *elapsed) if _looks_like_time(draft, name)]
    asking = [name for name in draft.found.questions if name in free]
    # A clock alone would leave out the days between its rows.
    asking = [name for name in asking if name in named] or (asking if not times + like else [])
    joined = set(draft.found.joined.values())
    if asking and not set(times) & (set(named) | joined):
        _check_time(draft, asking[0])
    if times:
        first = next((name for name in times if name in joined), None)
        # A date of birth or of admission says whose row it is, and not when it was measured.
        usable = [name for name in times if not words.is_of_another_date(name)]
        usable = [name for name in usable if not groups.is_of_identifier(draft.frame, name)] or usable
        # Nor does one at which it was stored.
        usable = [name for name in usable if not words.is_of_handling(name)] or usable
        # Of several, rows are in the order of the one that they were measured by.
        ordered = [name for name in usable if draft.frame[name].drop_nulls().is_sorted()] or usable
        first = first or _finer(draft, next((name for name in ordered if name in named), ordered[0]), usable)
        first = first if first in joined else _in_one_zone(draft, first, usable)
        others = [name for name in times if name != first]
        reason = f"the others are {listed(others)}; --time names another" if others else "the only column of dates"
    elif like:
        first, reason = like[0], "named like a time, and its numbers are like one"
    elif clocks:
        first, reason = clocks[0], "a clock that goes on"
    elif counts := [
        name for name in free if time_columns.counts_samples(draft.frame[name]) and _looks_like_time(draft, name)
    ]:
        first, reason = counts[0], "named like a number of frames or waves, and its numbers go up"
    elif alone := _told_apart(draft, free):
        first, reason = alone
    else:
        text = [
            name
            for name in free
            if (name in named and draft.frame[name].dtype == pl.String)
            or (time_columns.may_be_time(draft.frame[name]) and draft.frame[name].n_unique() > MOST_TEXTS)
        ]
        for name in (*numbers, *text):
            values = draft.frame[name].drop_nulls()
            why = (
                "it is empty"
                if not len(values)
                else f"it is missing in {counted(draft.frame[name].null_count(), 'row')}"
                if name in numbers and len(values) < len(draft.frame) - dates.few(len(draft.frame))
                else "its numbers go up and down"
                if name in numbers
                else f"{values[0]!r} is no number or date"
            )
            # Of what is empty or text, no time could be made.
            way = f" (--time {shlex.quote(name)} insists)" * (name in numbers and len(values) > 0)
            draft.warnings.append(f"{name!r} is named like a time, but {why}; rows count as evenly spaced{way}")
        for name in free:
            if name not in named and name not in text and time_columns.looks_like_dates(draft.frame[name]):
                some = draft.frame[name].drop_nulls()[0]
                draft.warnings.append(
                    f"{name!r} holds what looks like times, such as {some!r}, and is read as text; rows count as "
                    "evenly spaced (write times as 2024-05-31 13:45:00)"
                )
        _suspect_words(draft, [name for name in free if name not in named])
        within = _within_recordings(draft)
        # Rows of a group that was asked for may stand apart.
        rows = np.argsort(draft.codes(), kind="stable")
        goes_on = [
            name
            for name in free
            if name not in named
            and not words.is_part(name)
            and not words.is_named(name)
            and any(_goes_on(draft.frame[name], codes, rows) for codes in within)
        ]
        # Rows that it numbers are evenly spaced by it as well.
        evenly = [name for name in goes_on if any(_steps_evenly(draft.frame[name], codes) for codes in within)]
        goes_on = [name for name in goes_on if name not in evenly]
        draft.counts = evenly
        # An hour or a year alone is whole; one with fractions, such as 1990.25, or beyond what a year, say, can be,
        # may be the whole time.
        parts = [name for name in free if words.is_part(name) and draft.frame[name].dtype.is_numeric()]
        parts = [name for name in parts if not groups.holds_several(draft.frame[name])]
        for name in parts:
            column = draft.frame[name]
            if not time_columns.is_part(column) and any(time_columns.goes_on(column, codes) for codes in within):
                draft.warnings.append(
                    f"{name!r} goes up as a time does, in numbers that no part of a date has; rows count as evenly "
                    f"spaced (--time {shlex.quote(name)} takes it for the time)"
                )
        if goes_on:
            like = "goes up as a time does, but is" if len(goes_on) == 1 else "go up as a time does, but are"
            draft.warnings.append(
                f"{listed(goes_on)} {like} not named like one; rows count as evenly spaced (--time "
                f"{shlex.quote(goes_on[0])} takes it for the time)"
            )
        down = [name for name in free if name not in named and _counts_down(draft, name)]
        if down:
            clock = draft.frame[down[0]].dtype == pl.Duration
            way = f"write {'how long it is since the first' if clock else 'it with a minus'}"
            draft.warnings.append(
                f"{listed(down)} {'goes' if len(down) == 1 else 'go'} down from row to row, as times before the "
                f"present do; rows count as evenly spaced, in the order of the file. If that is the time, {way}; if it "
                f"numbers rows that stand in reverse, --time {shlex.quote(down[0])} sorts them"
            )
        _suspect_parts(draft, parts)
        _suspect_order(draft, [name for name in free if name not in (*parts, *goes_on, *down)])
        if constant:
            draft.warnings.append(
                f"{listed(constant)} {'is' if len(constant) == 1 else 'are'} the same date in every row, and nothing "
                "found says when on it a row was; rows count as evenly spaced"
            )
        draft.lines.append(
            "time: no column found; rows count as evenly spaced, in the order of the file (--time names one)"
        )
        return None
    _check_time(draft, first)
    draft.lines.append(f"time: column {first!r} ({reason})")
    if draft.frame[first].dtype == pl.Duration and _counts_down(draft, first):
        draft.warnings.append(
            f"the clock of {first!r} goes down from row to row, and rows are sorted by it, so that the last come "
            "first; if it says how much time is left, write how long it is since the first instead"
        )
    _tell_doubts(draft, first)
    _unroll(draft, first)
    return first


def _goes_on(column: pl.Series, codes: NDArray[np.int64] | None, rows: NDArray[np.int64]) -> bool:
    """Whether numbers go up in the order of the file, or within recordings in the order of these."""
    if codes is None:
        return time_columns.goes_on(column)
    return time_columns.goes_on(column[rows], codes[rows])


def tell_counts(draft: Draft) -> None:
    """Say which features go up evenly from row to row, through all of each recording."""
    codes = draft.codes()
    order = np.argsort(codes, kind="stable")
    evenly = [
        name
        for name in draft.counts
        if name in draft.frame.columns and _steps_evenly(draft.frame[name][order], codes[order])
    ]
    if evenly:
        go, are = ("goes", "is a feature") if len(evenly) == 1 else ("go", "are features")
        draft.lines.append(
            f"counts: {listed(evenly)} {go} up evenly from row to row, and {are} (--time {shlex.quote(evenly[0])} "
            "takes it for the time)"
        )


def _steps_evenly(column: pl.Series, codes: NDArray[np.int64] | None) -> bool:
    """Whether numbers go up by the same step from each row of a recording to the next."""
    if column.has_nulls():
        return False
    steps = np.diff(column.cast(pl.Float64).to_numpy())
    steps = steps if codes is None else steps[np.diff(codes) == 0]
    return bool(len(steps) and steps[0] > 0 and (steps == steps[0]).all())


def _suspect_restarts(draft: Draft) -> None:
    """Warn of several recordings that are read as one, by a time that is not used and begins again."""
    for name in [] if draft.key else draft.frame.columns:
        column = draft.frame[name]
        if not words.time_name(name) or not column.dtype.is_numeric() or column.has_nulls():
            continue
        steps = np.diff(column.cast(pl.Float64).to_numpy())
        back = int((steps < 0).sum())
        if 0 < back <= len(steps) / groups.FEWEST_ROWS and (steps > 0).sum() + back == len(steps):
            draft.warnings.append(
                f"{name!r} begins again {counted(back, 'time')}, first in "
                f"{draft.at(int((steps < 0).argmax()) + 1)}, as with each recording, but the file is read as one; add "
                "a column that numbers them, and name it with --group"
            )


def _finer(draft: Draft, first: str, times: list[str]) -> str:
    """Of dates, those of the row: where the first repeat, others of which they are the days, or which go up by it."""
    column = draft.frame[first]
    if column.is_duplicated().sum() <= dates.few(len(column)):
        return first
    for name in times:
        other = draft.frame[name]
        named = words.time_name(name) or words.speaks_of_time(name)
        if not named or words.is_of_handling(name) or other.null_count() > dates.few(len(other)):
            continue
        distinct = other.drop_nulls().n_unique() >= _FINER * column.n_unique()
        of_day = (other.cast(pl.Datetime).dt.date() == column.cast(pl.Datetime)).fill_null(True).mean()
        goes_up = other.is_sorted() and not other.drop_nulls().is_duplicated().any()
        if distinct and (goes_up or float(of_day or 0) >= SAME_DAY):  # pyright: ignore[reportArgumentType]
            return name
    return first


_ZONE = 15 * 60
"""Seconds of which the offset of each zone is a multiple."""
_FARTHEST = 14 * 3600
"""Largest offset of a zone, in seconds."""
_MOST_OFFSETS = 3
"""Offsets of a zone's clock from that of another, at most: both may be set, on different days."""


def _in_one_zone(draft: Draft, first: str, times: list[str]) -> str:
    """Of dates, those of the same rows that repeat less often, or are in UTC, where clocks of the first are set."""
    column = draft.frame[first].cast(pl.Datetime("us"))
    for name in times:
        other = draft.frame[name].cast(pl.Datetime("us"))
        offsets = (column - other).dt.total_seconds().drop_nulls().unique()
        if name == first or not 1 < len(offsets) <= _MOST_OFFSETS or other.null_count() > column.null_count():
            continue
        zones = (offsets % _ZONE == 0).all() and bool((offsets.abs() <= _FARTHEST).all())
        in_utc = words.is_in_utc(name) and not words.is_in_utc(first)
        if zones and (other.n_unique() > column.n_unique() or (in_utc and other.n_unique() == column.n_unique())):
            return name
    return first


def _within_recordings(draft: Draft) -> list[NDArray[np.int64] | None]:
    """Each row's number of a recording, by whatever may tell recordings apart; None for the file as one."""
    of = [(other,) for other in groups.named(draft.frame, draft.target, None)]
    return [None, *(groups.codes(draft.frame, key) for key in ([draft.key] if draft.key else of))]


def _counts_down(draft: Draft, name: str) -> bool:
    return any(time_columns.counts_down(draft.frame[name], codes) for codes in _within_recordings(draft))


def _suspect_words(draft: Draft, free: list[str]) -> None:
    """Warn of text that tells a time, in whose alphabetical order rows stand, or whose steps are uneven."""
    for name in free:
        column = draft.frame[name]
        said = time_columns.in_words(column)
        within = _recordings(draft, name, said) if said else []
        if said and any(_suspect_alphabetical(draft, name, said, key, codes) for key, codes in within):
            continue
        unit = said and (words.unit_of_time(said.around) or said.around in _UNIT_LETTERS)
        uneven = said and unit and any(time_columns.unevenly(said, codes) for _, codes in within)
        if uneven or time_columns.counts_in_words(column):
            some = next(value for value in column.drop_nulls() if any(map(str.isdigit, value)))
            draft.warnings.append(
                f"{name!r} holds times such as {some!r}, read as text; rows count as evenly spaced (as numbers alone, "
                f"--time {shlex.quote(name)} takes them for the time)"
            )


def _recordings(draft: Draft, name: str, said: time_columns.InWords) -> list[tuple[tuple[str, ...], NDArray[np.int64]]]:
    """What may tell recordings apart in which text tells a time, and each row's number of one; none for identifiers."""
    if words.is_named(name) and not words.is_within(name):
        return []
    if draft.key:
        return [(draft.key, draft.codes())]
    keys = [(), *((other,) for other in groups.named(draft.frame, draft.target, None) if other != name)]
    within = [(key, groups.codes(draft.frame, key)) for key in keys]
    # Without a name for them, recordings may begin where the order does.
    text = draft.frame[name].fill_null("")
    falls, back = ((of < of.shift(1)).fill_null(False).to_numpy() for of in (text, said.numbers))
    within += [((), np.cumsum(falls))] if falls.sum() < back.sum() else []
    return [(key, codes) for key, codes in within if len(codes) >= _FEWEST_IN_ORDER * (codes.max(initial=0) + 1)]


def _suspect_alphabetical(
    draft: Draft, name: str, said: time_columns.InWords, key: tuple[str, ...], codes: NDArray[np.int64]
) -> bool:
    """Warn where rows stand in the alphabetical order of text, and not in that of its numbers; whether they do."""
    if (wrong := time_columns.alphabetical(draft.frame[name], said, codes)) is None:
        return False
    made = f"table[{name!r}].str.extract(r'(\\d+)', expand=False).astype(float)"
    made = f"pandas.to_datetime(table[{name!r}].str[:3], format='%b').dt.month" if said.around == "month" else made
    made += ".fillna(0)" * (len(said.without) == 1)
    others = f", with numbers for {listed(said.without, 4)} too" if len(said.without) > 1 else ""
    # That it is no number or date says less.
    draft.warnings = [line for line in draft.warnings if not line.startswith(f"{name!r} is named like a time")]
    draft.warnings.append(
        f"rows stand in the alphabetical order of {name!r}{_within(key)}, with {wrong[0]!r} before {wrong[1]!r}, and "
        f"count so, as evenly spaced; make numbers of it first, in pandas: table[{name!r}] = {made}{others}, and say "
        f"--time {shlex.quote(name)}"
    )
    return True


def _told_apart(draft: Draft, free: list[str]) -> tuple[str, str] | None:
    """A column whose numbers tell the rows of each recording apart, and why it is the time; None without one.

    That is a part of a time, such as the day, of which each subject has no number twice; or a number of the rows, where
    they do not stand in its order. Of what is not named like an identifier, a weekday has no hour twice either.
    """
    keys = [key for key in groups.keys(draft.frame, draft.target, draft.key) if draft.key or _all_named(key)]
    numbers = [name for name in free if draft.frame[name].dtype.is_numeric() and draft.frame[name].n_unique() > 2]
    found = [
        (name, f"no number comes twice{_within(key)}")
        for name in numbers
        if _is_part(draft, name)
        and (key := groups.told_apart_by(draft.frame, name, keys)) is not None
        and not _has_parts(draft, name, key)
    ]
    if len(found) == 1:
        return found[0]
    rows = [name for name in numbers if words.numbers_rows(name) and not draft.frame[name].null_count()]
    of_whom = None if found or draft.key else groups.visited(draft.frame, draft.target, None)
    for name in [] if found else rows:
        # Persons have an order in the file, and none in time.
        if of_whom and name == of_whom.who:
            continue
        if of_whom and name == of_whom.visit and not of_whom.sorted:
            return name, f"it numbers the rows of each {of_whom.who!r}, which do not stand in its order"
        key = groups.told_apart_by(draft.frame, name, keys)
        # Persons come once in each visit, too; and what is named like a time is none of the recordings.
        if key is None or (key and groups.are_given_out(draft.frame[name])) or any(map(words.time_name, key)):
            continue
        # What only numbers the rows of each visit has no visits.
        numbers_rows = len(key) == 1 and words.may_number_persons(key[0]) and draft.frame[key[0]].dtype.is_numeric()
        if numbers_rows and groups.are_alike(draft.frame, key[0], name) is False:
            continue
        if groups.order_within(draft.frame, name, key) == "mixed":
            return name, f"it numbers the rows{_within(key)}, which do not stand in its order"
    return None


def _has_parts(draft: Draft, name: str, key: tuple[str, ...]) -> bool:
    """Whether one column of a key only numbers the rows of each day, say, so that it tells no recordings apart."""
    return any(
        groups.counts_below(draft.frame, inner, name, tuple(part for part in key if part != inner)) for inner in key[1:]
    )


def _is_part(draft: Draft, name: str) -> bool:
    """Whether a column is a part of a time by its name and numbers, or one that may go on beyond its part."""
    named = words.is_part(name) or words.may_go_on(name) is not None
    return named and (time_columns.is_part(draft.frame[name]) or words.may_go_on(name) is not None)


def _within(key: tuple[str, ...]) -> str:
    return f" within a value of {' and '.join(map(repr, key))}" if key else ""


def _suspect_parts(draft: Draft, parts: list[str]) -> None:
    """Warn of parts of a time that go on and come again, and of years, where rows count as evenly spaced."""
    every = groups.keys(draft.frame, draft.target, draft.key)
    keys = [key for key in every if draft.key or (len(key) < 2 and _all_named(key))]
    for name in parts:
        column = draft.frame[name]
        if column.n_unique() < 3 or column.has_nulls() or any(repr(name) in warning for warning in draft.warnings):
            continue
        of = groups.told_apart_by(draft.frame, name, every)
        if of and not _has_parts(draft, name, of):
            of = tuple(sorted(of, key=lambda part: not words.holds_several(part)))
            draft.warnings.append(
                f"no number of {name!r} comes twice{_within(of)}, as those of times do, but rows count as evenly "
                f"spaced, in the order of the file; if each value is a recording, say --time {shlex.quote(name)} "
                f"--group {shlex.quote(','.join(of))}"
            )
            continue
        for key in keys:
            codes = groups.codes(draft.frame, key)
            order = np.argsort(codes, kind="stable")
            steps = np.diff(column.cast(pl.Float64).to_numpy()[order])[np.diff(codes[order]) == 0]
            if (steps >= 0).all() and (steps > 0).sum() >= dates.NO_ACCIDENT:
                draft.warnings.append(
                    f"{name!r} never goes back{_within(key)}, as a time does, but comes in several rows; rows count as "
                    f"evenly spaced. Join it with what tells those apart, or say --time {shlex.quote(name)}"
                )
                break
        else:
            if words.is_year(name):
                draft.warnings.append(
                    f"{name!r} comes in several rows, and nothing found has each of its years once; rows count as "
                    "evenly spaced, in the order of the file. If they are those of several recordings, name the column "
                    "that tells these apart with --group"
                )


def _suspect_order(draft: Draft, free: list[str]) -> None:
    """Warn of whole numbers that tell the rows of each recording apart, and in whose order these do not stand."""
    every = groups.keys(draft.frame, draft.target, draft.key)
    keys = [
        key
        for key in every
        if draft.key or _all_named(key) or all(draft.frame[part].dtype == pl.String for part in key)
    ]
    of_whom = None if draft.key else groups.visited(draft.frame, draft.target, None)
    for name in free:
        column = draft.frame[name]
        if not column.dtype.is_integer() or column.has_nulls() or column.n_unique() < 3:
            continue
        if (words.is_named(name) and not words.is_within(name)) or (of_whom and name in (of_whom.who, of_whom.visit)):
            continue
        key = groups.told_apart_by(draft.frame, name, keys)
        if key is not None and groups.order_within(draft.frame, name, key) == "mixed":
            draft.warnings.append(
                f"no number of {name!r} comes twice{_within(key)}, as those of times do, and the rows do not stand in "
                f"its order; they count as evenly spaced, in the order of the file (--time {shlex.quote(name)} sorts "
                "them)"
            )


def _all_named(key: tuple[str, ...]) -> bool:
    return all(map(words.is_named, key))


def suspect_figures(draft: Draft) -> None:
    """Warn of dates in figures that are read as plain numbers, be they the time or not.

    Where months, say, are digits of a number, it leaps wherever the digit before them goes on: 1990.12, 1991.01.
    """
    if draft.time is not None and (leap := time_columns.leaps(draft.frame[draft.time], draft.codes())):
        draft.warnings.append(
            f"the numbers of {draft.time!r} leap, as from {leap[0]:.10g} to {leap[1]:.10g}, wherever a digit before "
            "goes on, as a year and its months in one number do, and count as they stand; if they are dates, write "
            "them as 2024-05-31"
        )
    for name in draft.frame.columns:
        column = draft.frame[name]
        plain = column.dtype.is_numeric() and column.null_count() < len(column) and not time_columns.is_elapsed(column)
        if not plain or name in (draft.time, draft.target, *draft.key) or words.parts_of_year(name) is None:
            continue
        if not time_columns.is_division(column) and not any(repr(name) in warning for warning in draft.warnings):
            draft.warnings.append(
                f"{name!r} is named like a date, but its numbers, such as {column.drop_nulls()[0]}, are read as plain "
                "numbers; if they are dates, write them as 2024-05-31, else leave it out (--features)"
            )


_DAY = 86_400.0
_YEARS = (365 * _DAY, 366 * _DAY)
_LONGEST_BESIDE_YEARS = 31 * _DAY
"""Usual step, in seconds, up to which one of a year, more or less, is no accident."""


def suspect_steps(draft: Draft) -> None:
    """Refuse midnights of the day that ended, and warn of years that are wrong by one, by the order of the rows."""
    if (when := draft.when) is None:
        return
    codes = draft.codes()
    rows = np.argsort(codes, kind="stable")
    steps = np.where(np.diff(codes[rows]) == 0, np.diff(draft.times()[rows]), np.nan)
    if not (steps > 0).any():
        return
    usual = float(np.median(steps[steps > 0]))
    if (steps < 0).any():
        _refuse_early_midnights(draft, when[rows], rows, steps, usual)
    for sign, way in (
        (1, "goes ahead by a year in {}, as where rows are written with the next year; if so, correct it, or that year "
         "counts as time that passed"),
        (-1, "goes back by a year in {}, as where rows of a new year are written with the old one, and rows are sorted "
         "by it, so that those come first; if so, correct it"),
    ):  # fmt: skip
        # In the right year, the row would come as soon after the one before as others do.
        of_year = [np.abs(sign * steps - year - sign * usual) <= 0.1 * usual for year in _YEARS]
        places = np.flatnonzero(np.logical_or(*of_year))
        if usual > _LONGEST_BESIDE_YEARS or not 0 < len(places) <= max(dates.few(len(steps)), 1):
            continue
        before, after = (when[int(rows[places[0] + by])] for by in (0, 1))
        where = f"{draft.at(int(rows[places[0] + 1]))}, from {before} to {after}"
        draft.warnings.append(f"the time {way.format(where)}")


def _refuse_early_midnights(
    draft: Draft, column: pl.Series, rows: NDArray[np.int64], steps: NDArray[np.float64], usual: float
) -> None:
    """Refuse times that go back by a day for midnight, which is written as the beginning of the day that it ends."""
    back = np.flatnonzero(steps < 0)
    at, before = column[back + 1], column[back]
    midnight = (at.dt.truncate("1d") == at) & (before.dt.truncate("1d") == at)
    later = steps.copy()
    later[back] += _DAY
    later[back[back + 1 < len(steps)] + 1] -= _DAY
    if len(back) < dates.FEWEST_MIDNIGHTS or not midnight.all():
        return
    later = later[~np.isnan(later)]
    if (later <= 0).any() or np.median(later[later > 0]) != usual:
        return
    first = int(rows[back[0] + 1])
    parts = [name for name, joined in draft.found.joined.items() if joined == draft.time]
    way = "write it as 24:00, or with the date of the day that begins"
    for part in parts[-1:]:
        cell = draft.file.frame[part][int(draft.row[first])]
        if isinstance(cell, int | float) and cell == 0:
            way = f"write it as 24, in pandas: table[{part!r}] = table[{part!r}].replace(0, 24)"
        elif isinstance(cell, str) and cell.strip("0:. ") == "":
            of_day = f"24{cell.lstrip('0') or ':00'}"
            way = f"write it as {of_day}, in pandas: table[{part!r}] = table[{part!r}].replace({cell!r}, {of_day!r})"
    draft.refuse(
        f"midnight is written as the beginning of the day that it ends in {counted(len(back), 'row')}, the first of "
        f"them {draft.at(first)} ({at[0]} after {before[0]}), so that the time goes back by a day there; {way}. Or say "
        "--no-time if rows are in order"
    )


def _drop_rows_without_time(draft: Draft) -> None:
    lacking = np.isnan(draft.times())
    if lacking.any():
        told = (
            f"{counted(lacking.sum(), 'row')} without a time dropped, the first of them "
            f"{draft.at(int(lacking.argmax()))}"
        )
        for name in (draft.time, *(part for part, joined in draft.found.joined.items() if joined == draft.time)):
            cells = draft.file.frame[name] if name in draft.file.frame.columns else None
            if cells is not None and (what := filled_where_it_changes(cells)):
                draft.refuse(f"time column {name!r} {what}. Or name another with --time, or none with --no-time")
        if 2 * lacking.sum() > len(lacking):
            draft.warnings.append(f"{told}; these are {lacking.mean():.0%} of all rows")
        else:
            draft.lines.append(f"rows: {told}")
        draft.keep(~lacking)


def drop_copies(draft: Draft, but: Callable[[str], bool] = lambda name: False) -> None:
    """Drop numbers that only say again when a row was, such as the year with decimals beside a date."""
    if draft.time is None:
        return
    wanted = {draft.target, draft.time, *draft.key, *(draft.given.get("features") or ())}
    times = draft.times()
    copies = []
    for name in [name for name in draft.frame.columns if name not in wanted]:
        column = draft.frame[name]
        there = column.is_not_null().to_numpy()
        if not column.dtype.is_numeric() or but(name) or (~there).sum() > dates.few(len(column)):
            continue
        values = column.cast(pl.Float64).to_numpy()[there]
        # Values that are too large are refused later, with their row.
        if np.abs(values).max(initial=0.0) > 1e100 or correlation(values, times[there]) <= SAME_TIME:
            continue
        if np.mean(np.diff(values)[np.diff(times[there]) != 0] != 0) >= CHANGES_WITH_TIME:
            copies.append(name)
    draft.left_out |= dict.fromkeys(copies, f"says the same as the time, {draft.time!r}")
    draft.frame = draft.frame.drop(copies)


def _tell_doubts(draft: Draft, time: str) -> None:
    """Warn of what is not sure in how the times were read."""
    for name, doubts in draft.found.doubts.items():
        if time in (name, draft.found.joined.get(name)):
            draft.warnings += doubts


def _unroll(draft: Draft, name: str) -> None:
    """Let a clock go on after each midnight, and a counter beyond its end."""
    if draft.frame[name].dtype != pl.Duration:
        named = words.time_name(name)
        if counter := time_columns.continued(draft.frame[name], named.unit if named else None):
            draft.frame = draft.frame.with_columns(counter[0])
            again = counter[2]
            more = f", and {counted(len(again) - 1, 'more time')}" if len(again) > 1 else ""
            draft.warnings.append(
                f"{name!r} begins again in {draft.at(int(again[0]))}{more}, where a counter up to {counter[1]} would, "
                "and is read as going on; if another recording begins there, add a column that tells them apart and "
                "name it with --group"
            )
        return
    hours = draft.frame[name].drop_nulls().cast(pl.Duration("us")).dt.total_hours().to_numpy()
    clock, midnights = dates.unrolled(draft.frame[name])
    draft.frame, draft.clock = draft.frame.with_columns(clock), True
    passes = f"; it passes midnight {counted(midnights, 'time')}, and each adds a day" if midnights else ""
    minutes = ", read as hours and minutes" if name in draft.found.in_minutes else ""
    draft.lines.append(f"file: {name!r} holds times without a date{minutes}{passes}")
    # A clock that is read for a day or for several goes on to their last hour.
    if minutes and not words.is_clock(name) and (hours.max() >= 24 or (hours[0] == 0 and hours.max() < 23)):
        draft.warnings.append(
            f"the clocks of {name!r} have two numbers, read as hours and minutes; if they are minutes and seconds, "
            f"name the column '{name} (mm:ss)', or write an hour in front, as in 00:12:34"
        )


def _looks_like_time(draft: Draft, name: str) -> bool:
    """Whether numbers or a clock hardly ever go back, in the table or within what is named like an identifier.

    A temperature may be called t as well, and an hour of the day time.
    """
    column = draft.frame[name]
    there = column.is_not_null()
    if column.null_count() > dates.few(len(column)) or column.n_unique() < 2:
        return False
    keys = [draft.key]
    if not draft.key:
        anew = groups.numbered_anew(draft.frame, draft.target, None)
        keys += [(other,) for other in groups.named(draft.frame, draft.target, name)] + ([anew.key] if anew else [])
    for key in keys:
        codes = groups.codes(draft.frame, key)[there.to_numpy()]
        order = np.argsort(codes, kind="stable")
        values = column.filter(there)[order]
        values = dates.unrolled(values)[0] if values.dtype == pl.Duration else values
        # Recordings follow one another; within one that is known, a time goes on.
        same = np.diff(codes[order]) == 0 if key else slice(None)
        if np.mean(np.diff(dates.seconds(values))[same] < 0) <= 0.1:
            return True
    # In a table that was shuffled, a time does not come twice.
    distinct = pl.DataFrame([column, pl.Series("code", draft.codes())]).filter(there).is_unique().all()
    return bool(distinct and "time" in name.lower())


def _check_time(draft: Draft, name: str) -> None:
    column = draft.frame[name]
    if column.null_count() == len(column):
        draft.refuse(f"time column {name!r} is empty; name another, or leave --time out to count rows")
    if question := draft.found.questions.get(name):
        draft.refuse(f"time column {name!r}: {question}. Or name another with --time, or none with --no-time")
    if column.dtype == pl.String:
        numbers = columns.numbers(column)
        odd = int(np.flatnonzero((numbers.is_null() & column.is_not_null()).to_numpy())[0])
        number = numbers.null_count() < len(numbers) / 2
        draft.refuse(
            f"time column {name!r} cannot be read as times: {column[odd]!r} in {draft.at(odd)} is "
            f"{'no number' if number else 'neither a number nor a date'}. Expected numbers, or dates such as "
            "2024-05-31 13:45:00"
        )
    if not column.dtype.is_numeric() and not column.dtype.is_temporal():
        draft.refuse(
            f"time column {name!r} holds {kind_of_content(column)}; expected numbers, or dates such as "
            "2024-05-31 13:45:00"
        )
    draft.refuse_infinite(name)
