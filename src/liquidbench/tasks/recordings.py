"""Which rows of a user's table are one recording, and in which order they are."""

import itertools
import shlex
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import columns, compound_names, dates, groups, hidden_groups, summaries, time_columns, words
from liquidbench.tasks.draft import FORECASTS, Draft, filled_where_it_changes, labelled
from liquidbench.wording import columns_named, counted, listed

_SEEN_IN = 4 * 3600.0
"""Longest usual span in which an hour that a clock was set by can be seen, in seconds."""
_SEEN_AMONG = 900.0
"""Range of nine tenths of the spans up to which an hour more is seen among them, in seconds."""

MOST_TOTALS = 4
"""Groups made of others of which each is warned of in a sentence of its own."""
GOES_ON = 1.5
"""Times the usual span that the one from a recording to the next lasts, up to which they are one."""
FEW_REPEATS = 0.2
"""Share of the rows up to which those that repeat a time are likelier errors than rows of several recordings."""
MIXED = 1.5
"""Times what a recording spans that its stretches cover together, from which on they are several recordings."""

_MIXED_ROWS = 2
"""Rows on either side of a step back in time, from which on more than a late row is sorted in."""


def choose(draft: Draft) -> None:
    """Choose the columns that tell recordings apart, and warn of tables in which rows are no times of one."""
    draft.key = _choose(draft)
    if draft.key:
        _suspect_parted(draft)
        _suspect_told_by_treatment(draft)
        _suspect_laps(draft)
        if "group" not in draft.given or not _suspect_numbered_anew(draft):
            _suspect_chained(draft)
        if "group" in draft.given and draft.time is not None:
            finer = groups.finer(draft.frame, draft.key, draft.target, draft.time)
            draft.together = _proposed(draft, draft.frame, finer)
        _suspect_interleaved(draft, hidden_groups.interleaved(draft.frame, draft.target, draft.time, draft.key))
        _suspect_totals(draft)
        _suspect_nobody(draft)
        _suspect_same_person(draft)
    else:
        _suspect_one_row_each(draft)
        pairs = groups.pairs(draft.frame, draft.target, draft.time) if draft.time is not None else []
        draft.together = _proposed(draft, draft.frame, pairs)
    if odd := _long_form(draft) or _wide_form(draft) or _wide_in_subjects(draft):
        draft.warnings.append(odd)
    _suspect_names(draft)
    if (
        draft.key
        and "group" not in draft.given
        and (place := groups.reused(draft.frame, draft.key, draft.target, draft.time))
    ):
        draft.warnings.append(
            f"most values of {draft.key[-1]!r} come in one value of {place!r} after another: if each {place!r} numbers "
            f"its own, they are different, and --group {shlex.quote(','.join(_by_place(draft, place)))} keeps them "
            "apart"
        )


def _by_place(draft: Draft, place: str) -> tuple[str, ...]:
    """The key with a place in front where there are enough of it to split by."""
    enough = groups.count(draft.frame, (place,)) >= groups.FEWEST
    return (place, *draft.key) if enough else (*draft.key, place)


def _choose(draft: Draft) -> tuple[str, ...]:
    if "group" in draft.given:
        asked = f"{columns_named(draft.key)}, as asked" if draft.key else "none, as asked; the file is one recording"
        draft.lines.append(f"group: {asked}")
        return draft.key
    for name in draft.frame.columns:
        what = words.is_named(name) and filled_where_it_changes(draft.frame[name])
        if what and name not in (draft.target, draft.time) and draft.frame[name].drop_nulls().n_unique() > 1:
            draft.refuse(
                f"column {name!r} is named like a group, but {what}. Or name another with --group, "
                "or none with --no-group"
            )
    measured = groups.measured(draft.frame, draft.target, draft.time)
    for name in measured:
        draft.warnings.append(
            f"{name!r} is named like an identifier, but its numbers change as measured ones do, so it is a feature and "
            f"tells no recordings apart (--group {shlex.quote(name)} takes it for the group)"
        )
    choice = groups.choose(draft.frame.drop(measured), draft.target, draft.time)
    if choice.key:
        draft.lines.append(f"group: {columns_named(choice.key)} ({choice.reason})")
    else:
        draft.lines.append("group: no column found; the file is one recording (--group names one)")
    draft.warnings += choice.warnings
    if not choice.key:
        _suspect_recordings(draft, draft.frame.drop(measured))
        _suspect_replicates(draft, draft.frame.drop(measured))
    return choice.key


def _proposed(draft: Draft, in_file: pl.DataFrame, found: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of columns that together tell recordings apart, those to propose, in an order in which a split can use them.

    Of some that tell the same apart it is those of which one stands together in the file and the other goes up within
    it: what was done to each plot of a block tells it from others, as its number in the block does.
    """
    found = [names for names in found if draft.key or not _any_of_clock(draft, names)]
    stand = {name: groups.come_in_blocks(in_file, name) for name in {name for names in found for name in names}}

    def disorder(names: tuple[str, ...]) -> tuple[bool, int]:
        *outer, inner = sorted(names, key=lambda name: not stand[name])
        ranks = in_file[inner].rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        same = np.diff(groups.codes(in_file, tuple(outer))) == 0
        back = int((np.diff(ranks)[same] < 0).sum())
        return not any(stand[name] for name in names), back

    first: dict[bytes, tuple[str, ...]] = {}
    for names in sorted(found, key=disorder):
        first.setdefault(groups.codes(in_file, names).tobytes(), names)

    def place(name: str) -> tuple[bool, bool]:
        # Of what there are too few to split by, or the group asked for.
        return groups.count(in_file, (name,)) < groups.FEWEST, name not in draft.key

    return [tuple(sorted(names, key=place)) for names in found if names in first.values()]


def _suspect_laps(draft: Draft) -> None:
    """Warn of one recording that laps, say, only cut: times go on evenly from each to the next."""
    if draft.time is None or len(draft.key) != 1 or not words.is_within(draft.key[0]) or "group" in draft.given:
        return
    codes, times = draft.codes(), draft.times()
    order = np.argsort(times, kind="stable")
    steps, changes = np.diff(times[order]), np.diff(codes[order]) != 0
    if changes.sum() == codes.max() and (steps[changes] <= GOES_ON * np.median(steps)).mean() >= groups.ALMOST_ALL:
        draft.warnings.append(
            f"the time goes on from each {draft.group!r} to the next as within it, as in one recording that they only "
            "cut: rows of training are then beside those of test; --no-group splits it in time"
        )


def _suspect_parted(draft: Draft) -> None:
    """Warn of a split by what each of another column has anew, so that this is in all parts."""
    for name in groups.parted(draft.frame, draft.key):
        values = groups.count(draft.frame, (name,))
        keys = shlex.quote(",".join((name, *(part for part in draft.key if part != name))))
        way = (
            f"--group {keys} keeps them apart"
            if values >= groups.FEWEST
            else f"its {values} values are too few to split by, so that no score tells of another one"
        )
        draft.warnings.append(
            f"the split is by {draft.group!r}, of which each {name!r} has several, so that the same {name!r} is in "
            f"training and in test; {way}"
        )


def _suspect_nobody(draft: Draft) -> None:
    """Warn of words and numbers among those of subjects that stand for nobody, as their rows then count as one's."""
    for name in draft.key:
        column = draft.frame[name]
        of = column.drop_nulls().alias("value").value_counts(sort=True)
        rows = dict(zip(labelled(of["value"]), of["count"], strict=True))
        for value in groups.nobodies(rows):
            most = max(count for other, count in rows.items() if other != value)
            many = f", while no other {name!r} has more than {counted(most, 'row')}" * (rows[value] >= 2 * most)
            written = repr(value) if column.dtype == pl.String else value
            draft.warnings.append(
                f"{written} in {counted(rows[value], 'row')} of {name!r} counts as one {name!r} like others{many}; if "
                "it stands for those whom nobody knows, these are no series: remove these rows first, in pandas: "
                f"table = table[table[{name!r}] != {written}]"
            )


def _suspect_told_by_treatment(draft: Draft) -> None:
    """Warn of a group that joins what has the same number in different blocks, and takes a treatment for a name."""
    if outer := groups.numbered_by(draft.frame, draft.key, draft.target, draft.time):
        first, *others = draft.key
        rest = " and ".join(map(repr, others))
        draft.warnings.append(
            f"{outer!r} and {first!r} tell the same recordings apart as {first!r} and {rest}, and {first!r} begins "
            f"again with each {outer!r}: if {rest} says what was done to them, --group "
            f"{shlex.quote(f'{outer},{first}')} keeps it among the features"
        )


def _suspect_one_row_each(draft: Draft) -> None:
    """Warn of a table with one row of each subject, which is no series."""
    if draft.time is not None or draft.key or "group" in draft.given:
        return
    cells = draft.file.frame
    for name in cells.columns:
        one_each = cells[name].n_unique() == cells.height and not cells[name].dtype.is_float()
        told = any(repr(name) in warning for warning in draft.warnings)
        if name != draft.target and words.names_whom(name) and one_each and not told:
            draft.warnings.append(
                f"each row has its own {name!r}, and nothing says when it was measured: if these are different ones, "
                "measured once each, their order means nothing, and networks that read series have none to learn from"
            )
            return


def _any_of_clock(draft: Draft, names: tuple[str, ...]) -> bool:
    return any(time_columns.may_be_of_clock(draft.frame[name]) for name in names)


def _suspect_recordings(draft: Draft, frame: pl.DataFrame) -> None:
    """Warn of several recordings that are read as one, by these columns."""
    # Rows of one round of those that were written together are no recording.
    turns = hidden_groups.interleaved(frame, draft.target, draft.time)
    restarting = hidden_groups.restarting(frame, draft.target, draft.time)
    restarting = {name: counter for name, counter in restarting.items() if counter not in turns}
    for name in hidden_groups.recurring(frame, draft.target, draft.time):
        if name in restarting.values():
            continue
        draft.warnings.append(
            f"{name!r} is named like an identifier, but the file is read as one recording that goes on from one of "
            f"its values to another; if each has a series of its own, {_way_apart(draft, name)}"
        )
    for name, counter in restarting.items():
        # Subjects who are numbered at each site have several rows each, as visits of a subject have not.
        several = frame.select(name, counter).n_unique() * groups.SHORT <= frame.height
        if several and words.is_named(counter):
            draft.warnings.append(
                f"{counter!r} begins again with each value of {name!r}, so that the two together name something, but "
                f"the file is read as one recording; if each has a series of its own, --group "
                f"{shlex.quote(f'{name},{counter}')} keeps them apart"
            )
            continue
        draft.warnings.append(
            f"{counter!r} begins again with each value of {name!r}, as in a table of several recordings, but the "
            f"file is read as one; if each has a series of its own, {_way_apart(draft, name)}"
        )
    blocks = [name for name in hidden_groups.unnamed_blocks(frame, draft.target, draft.time) if name not in restarting]
    together = hidden_groups.constant_together(frame, draft.target, draft.time)
    # Traits of several subjects do not name them.
    if together and len(set(blocks).intersection(together[0])) > 1:
        blocks = [name for name in blocks if name not in together[0]]
    blocks = [name for name in blocks if not any(frame.select({name, turn}).is_unique().all() for turn in turns)]
    for name in blocks:
        draft.warnings.append(
            f"the rows of each value of {name!r} stand together, as those of recordings do, but the file is read "
            f"as one recording; if each has a series of its own, {_way_apart(draft, name)}"
        )
    for name, some in hidden_groups.unnamed_numbers(frame, draft.target, draft.time).items():
        if name not in restarting:
            draft.warnings.append(
                f"the numbers of {name!r} ({some}) look as if they were given out, as those of persons or materials "
                f"are, but count as amounts; leave it out (--features), or, if each has a series of its own, "
                f"{_way_apart(draft, name)}"
            )
    if together and not restarting and not set(blocks).intersection(together[0]):
        names, count = together
        change, are = ("change together", "are") if len(names) > 1 else ("changes", "is")
        draft.warnings.append(
            f"{listed(names, 6)} {change}, in {counted(count - 1, 'row')}, and {are} the same in between, as where "
            f"{count} recordings stand one below another, but the file is read as one; if each has a series of its "
            "own, add a column that numbers them and name it with --group"
        )
    told = {*restarting, *restarting.values()}
    _suspect_interleaved(draft, {name: reason for name, reason in turns.items() if name not in told})


def _suspect_replicates(draft: Draft, frame: pl.DataFrame) -> None:
    """Warn of measurements of one sample that a split takes for rows of a series, by a label or a part of names."""
    if draft.given.get("kind") in FORECASTS:
        return
    again = groups.measured_again(frame, draft.target, draft.time)
    what = f"have the same {draft.target!r}, or nearly so, as measurements of one sample have, but count as times of"
    for name in again:
        draft.warnings.append(
            f"rows with one value of {name!r} {what} one series, so that the same one may be in training and in test; "
            f"if so, {_way_apart(draft, name)}"
        )
    for name in [] if again else groups.may_identify(frame, draft.target, draft.time):
        column = frame[name]
        if 2 * column.n_unique() <= frame.height or not groups.may_label(column):
            continue
        for shared in compound_names.shared_parts(column):
            part = column.cast(pl.String).str.extract(shared.pattern)
            in_blocks = draft.time is None and groups.leap_between(part, frame[draft.target])
            if in_blocks or groups.are_again(frame, part, draft.target, draft.time):
                draft.warnings.append(
                    f"rows whose {name!r} share a part, such as {shared.first!r} and {shared.second!r}, {what} one "
                    "series, so that the same one may be in training and in test; if so, give it a column of its own, "
                    f"{_column_of_part(name, shared)}, and say --group whose"
                )
                return


def _column_of_part(name: str, shared: compound_names.Shared) -> str:
    """How to give a part of names a column of its own."""
    return f"in pandas: table['whose'] = table[{name!r}].astype(str).str.extract(r'{shared.pattern}')"


def _suspect_compound(draft: Draft) -> None:
    """Warn of names of recordings that contain the name of whom they are of, so that these are in several parts."""
    name, column = draft.key[0], draft.frame[draft.key[0]]
    if (column.dtype == pl.String and groups.twins(column)) or (shared := compound_names.shared_part(column)) is None:
        return
    draft.warnings.append(
        f"values of {name!r} such as {shared.first!r} and {shared.second!r} share a part of their names "
        f"({shared.parts} parts, {shared.names} names): if that is whom they are of, the same one is in training and "
        f"in test. Then give it a column of its own, {_column_of_part(name, shared)}, and say --group "
        f"{shlex.quote(','.join(('whose', *draft.key)))}"
    )


def _suspect_same_person(draft: Draft) -> None:
    """Warn of recordings that share what stays the same of a person, who then is in several parts."""
    name = draft.key[0]
    if (
        words.names_whom(name)
        or (found := hidden_groups.same_person(draft.frame, name, draft.target, draft.time)) is None
    ):
        return
    amounts, persons = found
    keys = shlex.quote(",".join(("whose", *draft.key)))
    values = groups.count(draft.frame, (name,))
    draft.warnings.append(
        f"{values} values of {name!r} share {persons} combinations of {listed(amounts, 6)}, "
        "more often than by chance: if each combination is that of one person, place or thing, the same one is in "
        "training and in test. Then give it a column of its own, in pandas: "
        f"table['whose'] = table.groupby({amounts}).ngroup(), and say --group {keys}"
    )


def _suspect_chained(draft: Draft) -> None:
    """Warn of several series of one group that are read as one, one below another or row by row."""
    if (found := hidden_groups.chained(draft.frame, draft.key, draft.target, draft.time)) is None:
        return
    name, counter = found
    of = " and ".join(map(repr, draft.key))
    draft.warnings.append(
        f"{counter!r} begins again with each value of {name!r} within each {of}, as in several series, but their rows "
        f"are read as one; if each has a series of its own, --group {shlex.quote(','.join((*draft.key, name)))} keeps "
        f"them apart{_in_order_of(draft, counter)}"
    )


def _suspect_numbered_anew(draft: Draft) -> bool:
    """Warn of a group that joins different ones, such as pupils of the same number in two schools; whether it does."""
    anew = groups.numbered_anew(draft.frame, draft.target, draft.time)
    if anew is None or set(anew.key) <= set(draft.key):
        return False
    *above, who = map(repr, anew.key)
    of = " and ".join(map(repr, draft.key))
    keys = shlex.quote(",".join((*anew.key, *(name for name in draft.key if name not in anew.key))))
    draft.warnings.append(
        f"values of {who} come again in each {' and '.join(above)}, where they are likely different ones, and "
        f"{anew.counter!r} begins again with each, but all rows of one {of} are read as one series; --group {keys} "
        f"keeps them apart{_in_order_of(draft, anew.counter)}"
    )
    return True


def _in_order_of(draft: Draft, counter: str) -> str:
    """That a counter may be the time, in words; empty where there is a time, or its name does not say so."""
    may_be_time = draft.time is None and (words.time_name(counter) or words.tells_survey(counter))
    return f", with --time {shlex.quote(counter)}" * bool(may_be_time)


def _suspect_totals(draft: Draft) -> None:
    """Warn of groups that are made of others, so that one part of the split tells another."""
    if what := summaries.of_groups(draft.frame, draft.key[0]):
        draft.warnings.append(
            f"the last row of each {draft.group!r} holds the {what} of its other rows; remove these rows, or they "
            "count as measured after the others"
        )
    found = hidden_groups.totals(draft.frame, draft.key, draft.time)
    for value, what in itertools.islice(found.items(), MOST_TOTALS):
        draft.warnings.append(
            f"{value!r} of {draft.group!r} {what}, which tell it, and it tells them, from one part of the split to "
            "another; remove its rows"
        )
    if len(found) > MOST_TOTALS:
        more = listed(list(found)[MOST_TOTALS:], 8)
        draft.warnings.append(f"so {'is' if len(found) == MOST_TOTALS + 1 else 'are'} {more} of {draft.group!r}")


def _suspect_interleaved(draft: Draft, turns: Mapping[str, str]) -> None:
    """Warn of recordings that were written together, row by row, and are read as one, or as one of each group."""
    for name, reason in turns.items():
        within = f" of each {' and '.join(map(repr, draft.key))}" * bool(draft.key)
        keys = shlex.quote(",".join((*draft.key, name)))
        way = f"--group {keys} keeps them apart" if draft.key else _way_apart(draft, name)
        draft.warnings.append(
            f"the values of {name!r} come again and again, and {reason}, as where recordings were written together, "
            f"but their rows are read as one recording{within}; if each has a series of its own, {way}"
        )


def _way_apart(draft: Draft, name: str) -> str:
    """What to do where the values of a column are recordings."""
    values = draft.frame[name].drop_nulls().n_unique()
    if values < groups.FEWEST:
        return f"take the rows of one ({values} are too few to split by)"
    return f"--group {shlex.quote(name)} keeps them apart"


def _long_form(draft: Draft) -> str:
    """What a table of names and values is, and what to do; empty for others."""
    if (found := hidden_groups.long_form(draft.frame, draft.time)) is None:
        return ""
    variable, value = found
    # Numbers of persons may have been left out as features.
    whose = [] if draft.key else groups.named(draft.file.frame, draft.target, draft.time)
    index = [*draft.key, *whose, draft.time or "COLUMN OF TIMES", *([] if draft.target == value else [draft.target])]
    index = [name for name in index if name not in (variable, value)]
    some = listed(map(str, draft.frame[variable].drop_nulls().unique(maintain_order=True).head(3)))
    return (
        f"the table looks long: {value!r} holds one quantity after another, {variable!r} says which ({some}), and "
        "models do not see them together. Give each a column of its own first, in pandas: "
        f"table.pivot(index={index}, columns={variable!r}, values={value!r}).reset_index()"
    )


def _wide_form(draft: Draft) -> str:
    """What a table with times in its header is, and what to do; empty for others."""
    times = words.in_header(draft.frame.columns)
    # Where rows have times, a header divides them.
    if not times or (draft.time is not None and not words.divide_days_or_years(times)):
        return ""
    keys = [name for name in (draft.time, *draft.frame.columns) if name and name not in times]
    keys = list(dict.fromkeys(keys))
    return (
        f"the table looks wide: the names of {len(times)} columns are times ({listed(times, 3)}), so that a row is "
        "a series, and models see each row as one time. Give each time a row of its own first, in pandas: "
        f"table.melt(id_vars={keys[:8]}, var_name='time')"
    )


def _wide_in_subjects(draft: Draft) -> str:
    """What a table with a column for each subject is, and what to do; empty for others."""
    names = [] if draft.key else words.of_somebody(draft.frame.columns)
    names = [name for name in names if draft.frame[name].n_unique() > 2]
    if not names:
        return ""
    keys = [name for name in draft.frame.columns if name not in names]
    return (
        f"the table looks wide: {len(names)} columns are numbered as subjects are ({listed(names, 3)}), so that models "
        "see all of them in each row and are tested on the same ones. To learn from some for others, give each rows of "
        f"its own first, in pandas: table.melt(id_vars={keys[:8]}, var_name='subject')"
    )


def _suspect_names(draft: Draft) -> None:
    """Warn of groups that may be one under two names, or none."""
    for name in draft.frame.columns:
        column = draft.frame[name]
        if name == draft.target or not (some := groups.rounded(column)):
            continue
        named = name in draft.key or words.is_named(name) or words.names_rows(name)
        if named or 4 * column.n_unique() <= len(column):
            draft.warnings.append(
                f"{name!r} holds long numbers such as {some}, of which a spreadsheet has kept few digits, so that "
                "several may count as one; export them again as text"
            )
    for name in draft.key:
        column = draft.frame[name]
        if column.dtype != pl.String:
            continue
        if twins := groups.twins(column):
            first, second = twins[0]
            more = f"and {counted(len(twins) - 1, 'more pair')} " if len(twins) > 1 else ""
            draft.warnings.append(
                f"{first!r} and {second!r} in {name!r} {more}count as different, though they may mean the same; if "
                "they do, write them alike, or what belongs together is in several parts"
            )
        if odd := groups.words_among_numbers(column):
            place = draft.at(column.to_list().index(odd[0]))
            draft.warnings.append(
                f"{odd[0]!r} in {place} counts as a value of {name!r}, whose others are numbers; if it means "
                f"that there is none, say {columns.option(name, odd[0])} (missing: in a study)"
            )


def drop_identifiers(draft: Draft) -> None:
    """Drop columns that only say whose or which a row is, and warn where they hold several groups."""
    if draft.key:
        above = groups.coarser(draft.frame, draft.key, draft.target, draft.time)
        # Of those named like identifiers, the choice of a group has said why they are none.
        above = [name for name in above if "group" in draft.given or not words.is_named(name)]
        if above:
            draft.warnings.append(
                f"each {draft.group!r} belongs to one {' and one '.join(map(repr, above[:4]))}: rows of one "
                f"{above[0]!r} are in training and in test; --group {shlex.quote(','.join((above[0], *draft.key)))} "
                "keeps them apart"
            )
        else:
            _suspect_compound(draft)
    for name, reason in groups.identifiers(draft.frame, draft.key, draft.target, draft.time).items():
        if name not in (draft.given.get("features") or ()):
            draft.left_out[name] = f"{reason} (--features asks for it)"
            draft.frame = draft.frame.drop(name)


def put_in_order(draft: Draft) -> None:
    """Put the rows in the order of recordings and times, and see to those that repeat a time."""
    for name in draft.key:
        lacking = np.flatnonzero(draft.frame[name].is_null().to_numpy())
        if len(lacking):
            if what := filled_where_it_changes(draft.frame[name][np.argsort(draft.row)]):
                draft.refuse(f"group column {name!r} {what}")
            draft.refuse(
                f"group column {name!r} is missing in {counted(len(lacking), 'row')}, the first of them "
                f"{draft.at(lacking[0])}; fill it in, or remove those rows"
                f"{'' if 'group' in draft.given else '. Or name another with --group, or none with --no-group'}"
            )
    codes, times = draft.codes(), draft.times()
    by_group = np.argsort(codes, kind="stable")
    _refuse_half_days(draft, times[by_group], codes[by_group], by_group)
    _refuse_exchanged(draft, times[by_group], codes[by_group], by_group)
    _suspect_daylight_saving(draft, codes[by_group], times[by_group], by_group)
    back = (np.diff(times[by_group]) < 0) & (np.diff(codes[by_group]) == 0)
    if back.any():
        first = int(np.min(by_group[1:][back]))
        draft.lines.append(
            f"order: rows were not in time order ({draft.at(first)} is the first to go back); sorted by {draft.time!r}"
        )
        _suspect_set_back(draft, codes[by_group], times[by_group], by_group)
    draft.keep(np.lexsort((times, codes)))
    _merge_repeated_rows(draft)
    _suspect_mixed_recordings(draft)


def _refuse_half_days(
    draft: Draft, times: NDArray[np.float64], codes: NDArray[np.int64], rows: NDArray[np.int64]
) -> None:
    """Refuse the times of a clock of 12 hours without AM and PM, which go back each day after noon."""
    if (when := draft.when) is None:
        return
    column = when[rows]
    hours, days = column.dt.hour().to_numpy(), column.dt.date().rle_id().to_numpy()
    back = np.flatnonzero((np.diff(times) < 0) & (np.diff(codes) == 0) & (np.diff(days) == 0))
    if len(back) < groups.FEWEST or column.has_nulls() or hours.min() < 1 or hours.max() > 12:
        return
    if (hours[back] >= 8).all() and (hours[back + 1] <= 7).all() and (np.diff(times) < 0).sum() == len(back):
        first = int(rows[back[0] + 1])
        draft.refuse(
            f"the clock of {draft.time!r} goes from 1 to 12 and back in {counted(len(back), 'row')}, the first of them "
            f"{draft.at(first)}, as one of 12 hours without AM and PM; write hours from 0 to 23, or say --no-time if "
            "rows are in order"
        )


def _refuse_exchanged(
    draft: Draft, times: NDArray[np.float64], codes: NDArray[np.int64], rows: NDArray[np.int64]
) -> None:
    """Refuse dates of which some have day and month exchanged, as a spreadsheet does to those that it can so read."""
    if (when := draft.when) is None:
        return
    column = when[rows]
    if column.has_nulls():
        return
    back = (np.diff(times) < 0) & (np.diff(codes) == 0)
    days, good = dates.exchanged(column)
    could = good & (days != 0)
    # Each step back begins or ends in such a date.
    if back.sum() >= groups.FEWEST and (could[:-1] | could[1:])[back].all():
        changed = _follows(times, np.where(could, times + days * 86_400.0, times), codes)
        if changed is not None and changed.sum() >= groups.FEWEST:
            place = int(changed.argmax())
            what = (
                f"the rows of {draft.time!r} follow one another only if day and month are exchanged in "
                f"{counted(int(changed.sum()), 'date')}, the first of them {column[place]} in "
                f"{draft.at(int(rows[place]))}"
            )
            if "dates" in draft.given:
                draft.warnings.append(f"{what}: the order of --dates may be wrong")
                return
            draft.refuse(
                f"{what}, as a spreadsheet does to dates that it can read so; correct them, or say --no-time if rows "
                "are in order"
            )
    _refuse_leaps(draft, column, codes, rows)
    months, days = column.dt.month(), column.dt.day()
    if months.n_unique() == 1 and column.dt.year().n_unique() > 1 and days.max() == 12 and days.n_unique() == 12:  # pyright: ignore
        draft.warnings.append(
            f"all dates of {draft.time!r} are of the first 12 days of one month, as those of months are if day and "
            "month are exchanged; if so, correct them"
        )


_MONTH = 20
"""Days from which on a step between two dates is a leap, as from one month to another."""


def _refuse_leaps(draft: Draft, column: pl.Series, codes: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    """Refuse dates that leap by months where they go on from day to day with day and month exchanged.

    Where no date that cannot be exchanged is next to them, they may be a day of each month, and are only warned of.
    """
    if not len(column):
        return
    number = column.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy() // dates.DAY
    of_day = dates.seconds(column) - number * 86_400.0
    begins = np.concatenate([[True], (np.diff(number) != 0) | (np.diff(codes) != 0)])
    first = np.flatnonzero(begins)
    last = np.concatenate([first[1:], [len(number)]]) - 1
    days, same = number[first], np.diff(codes[first]) == 0
    moves, good = dates.exchanged(column[first])
    could = good & (moves != 0)
    leaps = same & (np.abs(np.diff(days)) >= _MONTH)
    if leaps.sum() < 2 or not (could[:-1] | could[1:])[leaps].mean() > 0.9:
        return
    changed = _nearest(days, np.where(could, days + moves, days), same)
    steps = np.diff(np.where(changed, days + moves, days))
    after = steps[same]
    # From the first days of one year's months to those of the next there is a leap for each eleven.
    if changed.sum() < 2 or (after <= 0).any() or (after >= _MONTH).sum() > 0.05 * leaps.sum():
        return
    # A day of each month may be measured, but hardly from where the last one ends.
    past_midnight = of_day[first[1:]] + 86_400 - of_day[last[:-1]]
    spans = np.diff(dates.seconds(column))[~begins[1:]]
    goes_on = len(spans) > 0 and np.mean(past_midnight[leaps] <= 2 * np.median(np.abs(spans))) > 0.9
    joints = steps[same & ((changed[:-1] & ~good[1:]) | (changed[1:] & ~good[:-1]))]
    even = len(joints) > 0 and np.mean(joints <= 3 * np.median(after)) > 0.9
    sure = even and min(changed.sum(), leaps.sum()) >= groups.FEWEST
    if not sure and not goes_on:
        return
    place = int(first[changed.argmax()])
    what = (
        f"the dates of {draft.time!r} leap by a month or more in {counted(int(leaps.sum()), 'place')}, and go on from "
        f"day to day if day and month are exchanged in {counted(int(changed.sum()), 'day')}, the first of them "
        f"{column[place]:%Y-%m-%d} in {draft.at(int(rows[place]))}, as a spreadsheet does to dates that it can read so"
    )
    if sure and "dates" not in draft.given:
        draft.refuse(f"{what}; correct them, or say --no-time if rows are in order")
    draft.warnings.append(f"{what}{': the order of --dates may be wrong' if sure else '; if so, correct them'}")


def _nearest(days: NDArray[np.int64], others: NDArray[np.int64], same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where to take the other day for the steps between those of each recording to be least in sum."""
    choices = np.stack([days, others], axis=1)
    sums, before = np.zeros(2), np.zeros(choices.shape, dtype=np.int64)
    for place in range(1, len(days)):
        steps = np.abs(choices[place][:, None] - choices[place - 1]) * same[place - 1]
        before[place] = (sums + steps).argmin(axis=1)
        sums = (sums + steps).min(axis=1)
    taken = np.zeros(len(days), dtype=np.int64)
    taken[-1] = sums.argmin()
    for place in range(len(days) - 1, 0, -1):
        taken[place - 1] = before[place][taken[place]]
    return (taken == 1) & (others != days)


def _follows(
    times: NDArray[np.float64], others: NDArray[np.float64], codes: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Where to take the other time for the rows of each recording to follow one another; None if nowhere."""
    taken, last, of = [], -np.inf, -1
    for time, other, code in zip(times.tolist(), others.tolist(), codes.tolist(), strict=True):
        first = code != of
        after = [one for one in (time, other) if first or one >= last]
        if not after:
            return None
        # What comes next is likely near; a recording begins as early as it can.
        last, of = min(after), code
        taken.append(last != time)
    return np.array(taken)


def _suspect_mixed_recordings(draft: Draft) -> None:
    """Refuse a table whose times begin again and again, and which sorting would mix."""
    if draft.time is None:
        return
    order = np.lexsort((draft.row, draft.codes()))
    times, codes = draft.times()[order], draft.codes()[order]
    same = np.diff(codes) == 0
    back = same & (np.diff(times) < 0)
    runs = np.concatenate([[0], np.flatnonzero(back | ~same) + 1, [len(times)]])
    covered = (times[runs[1:] - 1] - times[runs[:-1]]).sum()
    firsts = np.concatenate([[0], np.flatnonzero(~same) + 1, [len(times)]])
    by_code = zip(firsts[:-1], firsts[1:], strict=True)
    spanned = sum(float(np.ptp(times[first:end])) for first, end in by_code)
    if not back.any() or len(times) / (len(runs) - 1) < groups.FEWEST_ROWS:
        return
    # A log in several pieces covers each time once in whatever order they are.
    if covered <= MIXED * spanned:
        pieces = [(first, end) for first, end in itertools.pairwise(runs[:-1]) if same[end - 1]]
        again = [end for first, end in pieces if times[end] <= times[first] + 0.1 * (times[end - 1] - times[first])]
        # Dates do not begin again.
        if again and draft.when is None:
            draft.warnings.append(
                f"the time begins again in {draft.at(int(order[again[0]]))}, and rows are sorted by it, so that those "
                "from there on come first; if a clock was set back or started anew, let its times go on from there in "
                "the file"
            )
        return
    first = int(order[int(back.argmax()) + 1])
    what = (
        f"the time goes back {counted(int(back.sum()), 'time')} (first in {draft.at(first)}), and what follows "
        f"covers the same times again, as where several recordings stand one below another"
    )
    if "group" in draft.given:
        swapped = f"; or its dates are not {draft.date_order}" if draft.date_order else ""
        draft.warnings.append(f"{what}: sorted by time, their rows are mixed{swapped}")
        return
    frame = draft.frame[order]
    names = groups.ascending(frame, times, draft.target, draft.time)
    names = [name for name in names if name not in draft.key and not time_columns.may_be_of_clock(frame[name])]
    hint = f" ({listed(names, 4)} would do)" if names else ""
    some = f"{draft.frame[draft.time].drop_nulls()[0]}"
    dated = f". If numbers such as {some} are dates, write them with their year, as 2024-05-31"
    dated *= draft.frame[draft.time].dtype.is_float() and words.speaks_of_dates(draft.time)
    draft.refuse(
        f"{what}{dated}. Sorted by time, their rows would be mixed. Name the column that tells recordings apart with "
        f"--group{hint}, or add one; if it is one recording all the same, say --no-group"
    )


def _may_say_when(column: pl.Series) -> bool:
    """Whether a column may say when a row was: the time of a day, or the season of a year."""
    states = column.dtype == pl.String and words.are_states(column.drop_nulls().unique().to_list())
    return states or time_columns.may_be_of_clock(column)


def _suspect_daylight_saving(
    draft: Draft, codes: NDArray[np.int64], times: NDArray[np.float64], rows: NDArray[np.int64]
) -> None:
    """Warn where a clock goes back or ahead by an hour and on as before, at a time of year when clocks do so."""
    if (when := draft.when) is None:
        return
    spans = np.diff(times)[np.diff(codes) == 0]
    if not (spans > 0).any():
        return
    # Spans may vary.
    usual, most = np.quantile(spans[spans > 0], (0.5, 0.95))
    # Dates have no clock, and among spans of many hours one more or less is none that was set.
    if usual > _SEEN_IN or not (times[~np.isnan(times)] % 86_400).any():
        return
    longest = max(most, 1.1 * usual)
    # Where spans vary by as much, an hour more is one of them.
    even = most - np.quantile(spans[spans > 0], 0.05) <= _SEEN_AMONG
    steps = np.where(np.diff(codes) == 0, np.diff(times), np.nan)

    def turning_by(hour: int, there: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows that come an hour too early or too late at a time of year and of day when clocks are set."""
        there = there & (steps > hour) & (steps - hour <= 2 * longest)
        at = when.gather(rows[np.flatnonzero(there) + 1])
        months = at.dt.month().is_in([3, 4, 5, 9, 10, 11])
        return np.flatnonzero(there)[(at.dt.weekday().is_in([6, 7]) & months & (at.dt.hour() <= 4)).to_numpy()]

    back = turning_by(-3600, steps <= 0)
    # An hour is missing only where hardly a span is as long, and rows are in order.
    leaps = turning_by(3600, (steps > longest) & (not (steps < 0).any()))
    if (
        even
        and len(leaps)
        and draft.time in draft.found.local
        and (steps > 2 * longest).sum() <= max(dates.few(len(steps)), 1)
    ):
        first = int(rows[leaps[0] + 1])
        draft.warnings.append(
            f"the clock goes an hour ahead in {draft.at(first)}, at {when[first]}, as at the "
            "beginning of daylight saving, and that hour counts as time that passed; write times in UTC, or with their "
            "offset, as in 2024-05-31 13:45:00+02:00"
        )
    if len(back):
        first = int(rows[back[0] + 1])
        draft.daylight = (
            f"the clock goes back an hour in {draft.at(first)}, at {when[first]}, as at the end of daylight saving"
        )
        draft.warnings.append(
            f"{draft.daylight}, so that an hour is there twice and its rows are mixed or dropped; write times in "
            "UTC, or with their offset, as in 2024-05-31 13:45:00+02:00"
        )


def _suspect_set_back(
    draft: Draft, codes: NDArray[np.int64], times: NDArray[np.float64], rows: NDArray[np.int64]
) -> None:
    """Warn where times go back and on from there, so that rows before and after are sorted into one another."""
    if draft.daylight:
        return
    within = np.diff(codes) == 0
    back = np.flatnonzero((np.diff(times) < 0) & within)
    if len(back) > max(dates.few(len(times)), 1):
        return
    ends = np.flatnonzero(~within | (np.diff(times) < 0)) + 1
    found = []
    for place in back:
        starts = ends[: np.searchsorted(ends, place + 1)]
        before = times[(starts[-1] if len(starts) else 0) : place + 1]
        later = ends[np.searchsorted(ends, place + 1, side="right") :]
        after = times[place + 1 : (later[0] if len(later) else len(times))]
        # A row that comes late is alone; blocks in another order, or recordings, do not overlap in part.
        mixed = min((before >= after[0]).sum(), (after <= before[-1]).sum())
        if mixed >= _MIXED_ROWS and before[0] < after[0] and before[-1] < after[-1]:
            found.append(int(place))
    if found:
        first = found[0]
        more = f", and so {counted(len(found) - 1, 'more time')}" * (len(found) > 1)
        by = times[first] - times[first + 1]
        unit = " s" if draft.when is not None else ""
        draft.warnings.append(
            f"the time goes back by {by:,.6g}{unit} in {draft.at(int(rows[first + 1]))} and on from there{more}, so "
            "that rows before and after are sorted into one another; if a clock was set, correct the times on one "
            "side, and if another recording begins there, add a column that tells them apart, and name it with --group"
        )


_MORE_THAN_DEALT = 4
"""Square roots of the number of rows that are the same by chance by which more may be."""


def _repeat_by_chance(draft: Draft, count: int) -> bool:
    """Whether about as many rows are the same where targets are dealt out anew, as in a table of few answers."""
    if not draft.target:
        return False
    dealt = draft.frame.with_columns(draft.frame[draft.target].shuffle(seed=0))
    expected = dealt.height - dealt.n_unique()
    return count - expected <= max(_MORE_THAN_DEALT * expected**0.5, 0.01 * dealt.height)


def _merge_repeated_rows(draft: Draft) -> None:
    identical = ~draft.frame.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    # Numbers of rows are no columns any more.
    counts = [name for name in draft.left_out if name not in draft.frame.columns]
    which = f"in every column but {listed(counts)}" if counts else "in every column"
    if draft.time is None:
        # Without times, two equal rows may well be two equal measurements.
        if identical.mean() > 0.01 and not (counts and _repeat_by_chance(draft, int(identical.sum()))):
            draft.copies_told = True
            draft.warnings.append(
                f"{counted(identical.sum(), 'row')} of {len(identical)} repeat an earlier row {which}; "
                "kept, as no time tells them apart. If they are copies, what is learnt in training is "
                "asked again in test"
            )
        return
    if identical.any():
        draft.lines.append(
            f"rows: {counted(identical.sum(), 'row')} dropped that repeat another {which}, the first of "
            f"them {draft.at(int(identical.argmax()))}"
        )
        draft.keep(~identical)
    same = np.diff(draft.times()) == 0
    same = np.concatenate([[False], same & (np.diff(draft.codes()) == 0)])
    if not same.any():
        return
    first = int(same.argmax())
    example = f"{draft.at(first - 1)} and {draft.at(first)}, both at {draft.frame[draft.time][first]}"
    if same.mean() > 0.01:
        table = draft.frame, draft.target, draft.time
        within = f"within a group of {columns_named(draft.key)}" if draft.key else "with other content"
        in_file = draft.frame[np.argsort(draft.row)]
        pairs = draft.together or _proposed(draft, in_file, groups.pairs(*table))
        alone = [] if draft.key else groups.candidates(*table)
        # A few rows of one time have two words for it, and no recordings.
        alone = [name for name in alone if words.is_named(name) or same.mean() > FEW_REPEATS]
        of_clock = [name for name in alone if _may_say_when(draft.frame[name])]
        alone = [name for name in alone if name not in of_clock]
        # Words for times are known; others, such as names of players, are no part of one.
        not_words = [name for name in alone if draft.frame[name].dtype != pl.String]
        clocks = of_clock or [name for name in not_words if not groups.come_in_blocks(in_file, name)]
        # What comes again at each time may be a place, or number what is at it; identifiers are surer.
        turns = [] if draft.key else [*hidden_groups.interleaved(in_file, draft.target, draft.time)]
        clocks = [name for name in clocks if name not in turns]
        sure = [name for name in alone if words.is_named(name) or name not in clocks]
        alone = sure or [name for name in alone if not words.counts_within(name)]
        pairs = [pair for pair in pairs if all(map(words.is_named, pair)) or same.mean() > FEW_REPEATS]
        # Beside what does alone, only what is named like an identifier may tell more.
        rest = [[name for name in pair if name not in alone] for pair in pairs]
        pairs = [
            pair
            for pair, others in zip(pairs, rest, strict=True)
            if set(draft.key) <= set(pair) and (len(others) == len(pair) or all(map(words.is_named, others)))
        ]
        names = [*alone, *map(",".join, pairs)]
        names = [name for name in names if not any(map(words.counts_within, name.split(",")))]
        hint = f" ({' or '.join(map(repr, names[:4]))} would do)" if names else ""
        if sure and all(draft.frame[name].n_unique() < groups.FEWEST for name in sure):
            hint = f", but of {sure[0]!r} {_way_apart(draft, sure[0])}"
        parts = [name for name in draft.frame.columns if words.is_part(name) and name not in (draft.target, draft.time)]
        if not clocks and parts and draft.frame.select(draft.time, *parts).is_unique().all():
            clocks = parts
        several = (
            f"the table holds several recordings, name the column that tells them apart with --group{hint}, or several "
            "(--group A,B)"
        )
        part = f", as {listed(clocks)} may be a part of it" if clocks else ""
        parts = f"the time is in two columns{part}, join them into one"
        # The likelier one first.
        ways = f"If {parts}; if {several}" if clocks else f"If {several}; if {parts}"
        daylight = f" Or {draft.daylight}; write times in UTC, or with their offset." if draft.daylight else ""
        long = _long_form(draft)
        draft.refuse(
            f"{counted(same.sum(), 'row')} of {len(same)} repeat the time of another row {within}, by "
            f"{draft.time!r}, the first of them {example}. {ways}; else merge these rows first, name a finer time with "
            f"--time, or none with --no-time.{daylight}"
            f"{f' Besides, {long}' * bool(long)}"
        )
    draft.warnings.append(
        f"{counted(same.sum(), 'row')} dropped that repeat the time of another row with other values, of which the "
        f"first is kept ({example}); if these are no errors, merge them first, or name a finer time with --time"
    )
    draft.keep(~same)
