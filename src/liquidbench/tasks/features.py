"""What is predicted from what: the kind of prediction, the features, and what is odd in them."""

import itertools
from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from liquidbench.tasks import columns, groups, words
from liquidbench.tasks.draft import FORECASTS, Draft, correlation, is_usable, kind_of_content, labelled
from liquidbench.tasks.task import Feature
from liquidbench.wording import counted, listed

MOST_CLASSES = 50
MOST_CLASSES_OF_NUMBERS = 20
MOST_CATEGORIES = 10
FEWEST_AMOUNTS = 9
"""Whole numbers, one after another, from which on they may be a measurement."""
MOSTLY, ONE_PEAK, RARE = 0.8, 1.5, 0.25
"""Share of the numbers from the least to the greatest that then are there, how much more their frequencies may change
than those with one peak do, and how rare the rarer end is beside the peak."""
MOST_OF_RATING = 10
"""The best mark of a rating from 0 or 1 on."""
AMISS = 0.02
"""Rows, as a share of the zeros, up to which a state and the zeros that it explains may differ."""
FEWEST_TO_SUSPECT = 5
"""Rows of a class, and of all others, below which what tells it perfectly may well do so by chance."""
FEWEST_UNASKED = 10
"""Rows of an occasion that have one number by no accident, where others differ within each of theirs."""
MOST_OCCASIONS = 50
"""Waves, sites or devices of one column."""
MOST_ANSWERS = 11
"""Distinct answers of a scale, as of 0 to 10."""
FAR_OFF = 5
"""Times as wide as any gap of amounts next to it that one to a number is, that then is none of them."""
SAME_QUANTITY = 0.999
"""Correlation from which on columns that are named alike are one quantity; digits are lost in conversion."""

_LIKE_A_NUMBER = r"^[^\w+-]*[+-]?\d+(?:[^\w\s/:-]\d+)?[^\w]*$"
"""Figures with at most one mark among them, and any around them."""


def choose(draft: Draft) -> None:
    """Choose the kind of prediction and what it is made from, and make numbers of the features."""
    _check_target(draft)
    others = _choose_features(draft)
    draft.kind = _choose_kind(draft, others)
    draft.features = others
    _suspect_labels(draft)
    _suspect_marks(draft)
    _suspect_units(draft)
    draft.sentinels = _suspect_sentinels(draft)
    if draft.forecasts:
        draft.features = tuple(name for name in draft.frame.columns if name in (*others, draft.target))
    _check_features(draft)
    draft.horizon = _choose_horizon(draft)
    draft.per = _choose_per(draft)
    draft.classes = _class_names(draft) if draft.kind == "classification" else None
    draft.feature_columns, draft.sources, draft.values, draft.observed = _encode(draft)
    _describe_features(draft)


def _check_target(draft: Draft) -> None:
    name, column = draft.target, draft.frame[draft.target]
    if not is_usable(column) or column.dtype.is_temporal():
        way = _into_seconds(draft, name)
        draft.refuse(f"target {name!r} holds {kind_of_content(column)}; expected numbers, text or true and false{way}")
    missing = column.null_count()
    if missing == len(column):
        draft.refuse(f"target {name!r} has no value in any row; nothing to learn from")
    if column.drop_nulls().n_unique() == 1:
        draft.refuse(
            f"target {name!r} is {labelled(column.drop_nulls())[0]!r} in every row where it is known; there is "
            f"nothing to predict{'. If its empty cells mean 0 or no, write that into them' if missing else ''}"
        )
    draft.refuse_infinite(name)
    if name in draft.file.spoilt and draft.given.get("kind") != "classification":
        draft.refuse(f"target {name!r} {draft.file.spoilt[name]} or correct them")
    if missing:
        scored = "they are read as inputs, not scored"
        if draft.given.get("kind") == "next-known":
            scored = "from them, too, its next known value is predicted"
        draft.lines.append(f"target: missing in {counted(missing, 'row')} of {len(column)}; {scored}")


def _choose_features(draft: Draft) -> tuple[str, ...]:
    taken = {draft.target, draft.time, *draft.key}
    _read_presence(draft, taken)
    if "features" in draft.given:
        names = [draft.column("features", name) for name in draft.given["features"]]
        for name in names:
            if name in taken - {draft.target}:
                draft.refuse(f"features must not name {name!r}, which is the column of times or groups")
            if reason := _unfit(draft, name):
                draft.refuse(f"features must not name {name!r}: it {reason}")
        if draft.target in names and draft.given.get("kind") not in FORECASTS:
            kinds = " or ".join(FORECASTS)
            draft.refuse(
                f"features must not name the target, {draft.target!r}; only a forecast (kind: {kinds}) sees it"
            )
        for name in draft.frame.columns:
            if name not in names and name not in taken:
                draft.left_out[name] = "not asked for"
        return tuple(name for name in names if name != draft.target)
    features = []
    for name in draft.frame.columns:
        if name in taken:
            continue
        reason = _unfit(draft, name) or _repeats_target(draft, name)
        if not reason and groups.is_fold(draft.frame[name]):
            reason = "names folds of a cross-validation (--features asks for it)"
            draft.warnings.append(
                f"{name!r} names folds of a cross-validation, which are not used: results are not to be compared "
                "with others' on those folds"
            )
        if not reason and groups.is_part_of_split(draft.frame[name]):
            reason = "names the parts of a split (--features asks for it)"
            draft.warnings.append(
                f"{name!r} names the parts of a split, which is not used: rows that it calls test may be trained "
                "on here, and results are not to be compared with others' on that split"
            )
        if reason:
            draft.left_out[name] = reason
        else:
            features.append(name)
    return tuple(features)


def _read_presence(draft: Draft, taken: Collection[str | None]) -> None:
    """Make columns that hold one value or nothing tell whether it is there: events are often written so."""
    asked = draft.given.get("features")
    present = [
        name
        for name in draft.frame.columns
        if name not in taken
        and (asked is None or name in asked)
        and is_usable(draft.frame[name])
        and name not in draft.file.bad
        and 0 < draft.frame[name].null_count() < draft.frame.height
        and draft.frame[name].drop_nulls().n_unique() == 1
    ]
    if present:
        draft.presence = {name: labelled(draft.frame[name].drop_nulls())[0] for name in present}
        draft.frame = draft.frame.with_columns(pl.col(present).is_not_null())
        verb = "holds" if len(present) == 1 else "hold"
        draft.lines.append(
            f"presence: {listed(present)} {verb} one value or nothing; read as 1 where it is there and 0 where it "
            "is not"
        )


def _unfit(draft: Draft, name: str) -> str | None:
    """Why a column cannot be a feature."""
    column = draft.frame[name]
    values = column.drop_nulls()
    if not is_usable(column):
        return f"holds {kind_of_content(column)}, which are no features{_into_seconds(draft, name)}"
    if not len(values):
        return "is empty"
    if column.dtype.is_temporal() or name in draft.found.questions:
        return "holds dates, which serve as times only"
    if values.n_unique() == 1:
        return "is the same in every row"
    if name in draft.file.spoilt:
        return f"{draft.file.spoilt[name]} to use it"
    if column.dtype == pl.String and values.n_unique() > MOST_CATEGORIES:
        figures = column.str.contains(r"^[<>~≈±+-]?\s?[.,]?\d").fill_null(False)
        if words.is_code(name):
            return f"holds codes by its name, {values.n_unique()} distinct ones (rename it if they are amounts)"
        if 2 * figures.sum() > len(values):
            # One that spoils the others, if there is one.
            odd = (figures & columns.numbers(column).is_null()).arg_max() or 0
            return (
                f"holds cells such as {column[odd]!r} in {draft.at(odd)}, which are read as text, "
                f"{values.n_unique()} distinct values"
            )
        distinct = "all distinct" if values.is_unique().all() else f"{values.n_unique()} distinct values"
        return f"holds text, {distinct}"
    draft.refuse_infinite(name)
    return None


def _into_seconds(draft: Draft, name: str) -> str:
    """How lengths of time, which are read as times of day are, become numbers; empty for other columns."""
    if draft.frame[name].dtype != pl.Duration:
        return ""
    written, cells, said = draft.file.frame[name], f"table[{name!r}]", ""
    if written.dtype == pl.String:
        known = written.drop_nulls()
        if known.str.contains(r"^\d+:\d{2}(?:\.\d+)?$").all():
            # pandas wants hours in front.
            cells = f"'00:' + {cells}"
            said = ", as minutes and seconds; hours and minutes need ':00' behind them instead"
        elif known.str.contains(r"^\d+\.\d{2}:").any():
            cells = f"{cells}.str.replace('.', ' days ', n=1, regex=False)"
        cells = f"pandas.to_timedelta({cells})"
    way = f"table[{name!r}] = {cells}.dt.total_seconds(){said}"
    return f"; if they are lengths of time, make seconds of them, in pandas: {way}"


def _repeats_target(draft: Draft, name: str) -> str | None:
    if draft.given.get("kind") in FORECASTS:
        return None
    if way := _is_there_by_target(draft, name):
        return way
    # Selected from a table of thousands of columns, each pair would take as long as the table is wide.
    known = pl.DataFrame([draft.frame[name], draft.frame[draft.target]]).drop_nulls()
    pairs = known.unique()
    column, target = pairs[name], pairs[draft.target]
    # Single notes go with one value each, whatever they say.
    if pairs.height < 2 or known.height < FEWEST_TO_SUSPECT:
        return None
    numbers = column.dtype.is_numeric(), target.dtype.is_numeric()
    if (all(numbers) or column.dtype == target.dtype) and (column == target).all():
        return "equals the target"
    # One value for each class: the target under other names. Numbers that are all distinct pair off by chance.
    again = known.height - pairs.height >= FEWEST_TO_SUSPECT
    if not all(numbers) and again and pairs.height == column.n_unique() == target.n_unique() <= MOST_CLASSES:
        return "tells the target exactly, value for value"
    return None


def _is_there_by_target(draft: Draft, name: str) -> str | None:
    """How a column is filled by the target, as what is only known after it is; None for others."""
    known = pl.DataFrame([draft.frame[name], draft.frame[draft.target], pl.Series("of", draft.codes())])
    known = known.filter(pl.col(draft.target).is_not_null())
    # A target of each group is as many cases as there are groups.
    if draft.key and groups.nested(draft.frame, draft.target, draft.key):
        known = known.unique(["of", draft.target])
    there = known[name].is_not_null()
    if min(there.sum(), (~there).sum()) < FEWEST_TO_SUSPECT:
        return None
    filled, empty = (known[draft.target].filter(rows).unique() for rows in (there, ~there))
    if len(filled) + len(empty) > known[draft.target].n_unique() or 1 not in (len(filled), len(empty)):
        return None
    one, what = (filled, "filled") if len(filled) == 1 else (empty, "empty")
    return f"is {what} exactly where the target is {labelled(one)[0]}"


def _choose_kind(draft: Draft, features: tuple[str, ...]) -> str:
    column = draft.frame[draft.target].drop_nulls()
    distinct = column.n_unique()
    numeric = column.dtype.is_numeric()
    whole = numeric and bool((column.cast(pl.Float64) % 1 == 0).all())
    kind = draft.given.get("kind")
    if kind is not None:
        reason = "as asked"
    elif not numeric:
        kind, reason = (
            "classification",
            f"target {draft.target!r} holds {distinct} distinct values that are no numbers",
        )
    elif not features:
        _refuse_lost_features(draft)
        kind, reason = "forecast", f"there is nothing but the past of {draft.target!r} to predict it from"
    elif whole and distinct > 2 and words.counts_things(draft.target):
        kind, reason = (
            "regression",
            f"target {draft.target!r} is named like a count and holds numbers, {distinct} of them distinct; --task "
            "classification takes them as classes",
        )
    elif whole and distinct <= min(MOST_CLASSES_OF_NUMBERS, max(2, len(column) / 10)):
        kind, reason = _classes_or_amounts(draft, column)
    else:
        kind, reason = "regression", f"target {draft.target!r} holds numbers, {distinct} of them distinct"
    if kind != "classification" and not numeric:
        what = "forecast" if kind in FORECASTS else kind
        draft.refuse(
            f"a {what} needs a target of numbers; {draft.target!r} holds {kind_of_content(column)} such as "
            f"{labelled(column)[0]!r}. Try --task classification"
        )
    if kind == "classification" and distinct > MOST_CLASSES:
        way = "Try --task regression" if numeric else "Merge classes, or name another target"
        like_numbers = column.cast(pl.String).str.contains(_LIKE_A_NUMBER)
        if not numeric and 2 * like_numbers.sum() > len(column):
            some = column.filter(like_numbers)[0]
            way = (
                f"Its cells, such as {some!r}, look like numbers but are read as text: if they are amounts, write them "
                "as numbers, such as 2.5, without quotes or other marks"
            )
        draft.refuse(
            f"target {draft.target!r} holds {distinct} distinct values, too many to be classes (at most "
            f"{MOST_CLASSES}). {way}"
        )
    draft.lines.append(f"kind: {kind} ({reason})")
    if kind == "regression" and reason != "as asked" and may_be_classes(draft.frame[draft.target]):
        draft.warnings.append(
            f"target {draft.target!r} is named like a class, but its {distinct} distinct whole numbers are read as "
            "amounts; --task classification (kind: in a study) takes them for classes"
        )
    rows = draft.frame.height
    if kind == "forecast" and 2 * len(column) < rows:
        draft.lines.append(
            f"target: known in {counted(len(column), 'row')} of {rows}, so that most rows have none to forecast; "
            "--task next-known (kind: in a study) forecasts its next known value, however many rows later"
        )
    if kind == "classification":
        draft.lines.append(f"classes: {_rows_of_classes(draft)}")
    return kind


def _classes_or_amounts(draft: Draft, column: pl.Series) -> tuple[str, str]:
    """Whether few whole numbers are classes or amounts, and why.

    Classes are numbered from -1, 0 or 1 on, ratings end at 10, and names say more than numbers do.
    """
    name, distinct = draft.target, column.n_unique()
    odd = [sentinel.value for sentinel in columns.sentinels(draft.frame[name], draft.codes())]
    numbers = column.cast(pl.Float64)
    numbers = numbers.filter(~numbers.is_in(odd))
    least, most = int(numbers.min()), int(numbers.max())  # pyright: ignore[reportArgumentType]
    measured = words.is_never_zero(name) or bool(words.quantities(name)) or name in draft.file.units
    numbered, rated = least in (-1, 0, 1), 0 <= least and most <= MOST_OF_RATING
    if distinct > 2 and not words.tells_classes(name):
        one_by_one = come_as_amounts(numbers)
        if (measured and (one_by_one or not numbered)) or (one_by_one and not numbered and not rated):
            return (
                "regression",
                f"target {name!r} holds whole numbers from {least} to {most}, {distinct} of them distinct, as a "
                "measurement does; --task classification takes them as classes",
            )
        if one_by_one and not rated:
            draft.warnings.append(
                f"target {name!r} holds the whole numbers from {least} to {most}, read as classes, though they get "
                "rarer towards an end as counts do; --task regression (kind: in a study) takes them as amounts"
            )
    way = "; --task regression takes them as amounts" * (distinct > 2)
    return "classification", f"target {name!r} holds {distinct} distinct whole numbers{way}"


def come_as_amounts(numbers: pl.Series) -> bool:
    """Whether whole numbers follow one another and get rarer towards an end, as measurements do and classes do not."""
    values, counts = np.unique(numbers.cast(pl.Float64).to_numpy(), return_counts=True)
    if len(values) < FEWEST_AMOUNTS or np.ptp(values) > 2**53:
        return False
    places = (values - values[0]).astype(np.int64)
    places //= np.gcd.reduce(places)
    if len(values) < MOSTLY * (places[-1] + 1):
        return False
    frequency = np.bincount(places, counts)
    # With one peak, frequencies rise to it once and fall once.
    changes = np.abs(np.diff(frequency, prepend=0, append=0)).sum()
    ends = min(frequency[0], frequency[-1])
    return bool(changes <= ONE_PEAK * 2 * frequency.max() and ends < RARE * frequency.max())


def may_be_classes(column: pl.Series) -> bool:
    """Whether numbers are whole and few, under a name such as gesture or species."""
    numbers = column.drop_nulls()
    if not numbers.dtype.is_numeric() or not words.names_classes(column.name) or numbers.n_unique() > MOST_CLASSES:
        return False
    return bool((numbers.cast(pl.Float64) % 1 == 0).all())


def _refuse_lost_features(draft: Draft) -> None:
    """Refuse to forecast only because columns that were meant to predict from cannot be read."""
    lost = {name: reason for name, reason in draft.left_out.items() if reason.startswith("holds ")}
    lost = {name: reason for name, reason in lost.items() if "holds dates" not in reason}
    if lost:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in lost.items())
        draft.refuse(
            f"no column is left to predict {draft.target!r} from: {reasons}. Correct that, or ask for a forecast "
            "of the target from its own past (--task forecast)"
        )


def _suspect_labels(draft: Draft) -> None:
    """Warn of numbers that may be codes, and of classes and categories that may be one under two names."""
    for name in draft.features:
        if name in draft.file.padded and draft.frame[name].dtype.is_numeric():
            draft.warnings.append(
                f"{name!r} holds figures such as {draft.file.padded[name]!r}, read as numbers; if they are codes, "
                "leave it out (--features)"
            )
    for name in (*draft.features, *([draft.target] if draft.kind == "classification" else [])):
        column = draft.frame[name]
        if column.dtype == pl.String and (twins := groups.twins(column)):
            what = "classes" if name == draft.target else "values"
            some = listed((f"{first!r} and {second!r}" for first, second in twins), 3, quote=False)
            draft.warnings.append(
                f"{some} of {name!r} count as different {what}, though they may mean the same; if they do, write "
                "them alike"
            )


def _suspect_marks(draft: Draft) -> None:
    """Say which categories and classes may be marks of missing cells, as a warning where they are rare."""
    for name in (*draft.features, *([draft.target] if draft.kind == "classification" else [])):
        if draft.frame[name].dtype != pl.String or f"{name}=" in draft.given.get("missing", ()):
            continue
        what = "class" if name == draft.target else "category"
        for value, count, rare in columns.may_be_missing(draft.frame[name]):
            told = (
                f"{value!r} in {counted(count, 'row')} of {name!r} counts as a {what}; if it means that there is no "
                f"value, say {columns.option(name, value)} (missing: in a study)"
            )
            if rare:
                draft.warnings.append(told)
            else:
                draft.lines.append(f"marks: {told}")


def _suspect_units(draft: Draft) -> None:
    """Warn of a quantity that is there in two units, and of values whose unit another column changes."""
    of_quantity: dict[str, list[str]] = {}
    for name in (*draft.features, draft.target):
        quantity, unit = words.unit_in(name)
        if (unit or name in draft.file.units) and draft.frame[name].dtype.is_numeric():
            of_quantity.setdefault(quantity.casefold(), []).append(name)
    for names in of_quantity.values():
        for first, second in itertools.combinations(names, 2):
            both = draft.frame.select(first, second).drop_nulls().cast(pl.Float64).to_numpy()
            if correlation(both[:, 0], both[:, 1]) > SAME_QUANTITY:
                draft.warnings.append(
                    f"{first!r} and {second!r} are one quantity in two units; leave one of them out (--features)"
                )
    for name in draft.frame.columns:
        values = draft.frame[name].drop_nulls().unique()
        if name != draft.target and len(values) > 1 and groups.is_unit(draft.frame[name]):
            draft.warnings.append(
                f"{name!r} says that values are in {listed(values.sort(), 4)}; numbers in several units count as "
                "they stand: bring them to one unit first"
            )


def _suspect_sentinels(draft: Draft) -> dict[str, list[float]]:
    """Warn of numbers that may mean that there is no value, and return them by column."""
    found: dict[str, list[tuple[str, columns.Sentinel]]] = {}
    by_column = _suspect_unasked(draft)
    codes = draft.codes()
    for name in dict.fromkeys((*draft.features, draft.target)):
        if not draft.frame[name].dtype.is_numeric():
            continue
        # Identifiers that floats do not keep are no amounts.
        if (draft.frame[name].cast(pl.Float64).abs().min() or 0) > 2**53:  # pyright: ignore[reportOperatorIssue]
            continue
        sentinels = columns.sentinels(draft.frame[name], codes)
        for sentinel in sentinels:
            if sentinel.value in by_column.get(name, ()):
                continue
            if not columns.is_often_missing(sentinel.value) and _is_of_one_group(draft, name, sentinel.value):
                continue
            # A class is often -1, or 0 where others begin at 100.
            alone = len(sentinels) == 1 and sentinel.value in (-1, 0)
            if alone and name == draft.target and draft.kind == "classification":
                continue
            if sentinel.value == 0 and (state := _state_of_zeros(draft, name)):
                draft.lines.append(
                    f"zeros: {name!r} is 0 in {counted(sentinel.count, 'row')}, just where {state}, and counts as "
                    f"measured; if it is not, say {columns.option(name, '0')} (missing: in a study)"
                )
            else:
                found.setdefault(f"{sentinel.value:.15g}", []).append((name, sentinel))
    at_an_end = _codes_at_an_end(draft, [float(value) for value in found])
    for value, where in found.items():
        apart = [name for name, _ in where]
        also = [(name, sentinel) for name, sentinel in at_an_end.get(float(value), ()) if name not in apart]
        some = _with_ranges(draft, where)
        beyond = f", and is suspect in {_with_ranges(draft, also)} too" if also else ""
        where += also
        names = [name for name, _ in where]
        # A 0, say, may be a value like any other in a flag.
        elsewhere = any(
            (draft.frame[name] == where[0][1].value).any()
            for name in draft.frame.columns
            if name not in names and draft.frame[name].dtype.is_numeric()
        )
        each = len(where) == 1 or elsewhere
        way = " ".join(columns.option(name, value) for name in names) if each else f"--missing={value}"
        draft.warnings.append(
            f"{value} stands apart from the other values of {some}{beyond}; if it means that there is no "
            f"value, say {way} (missing: in a study)"
        )
    for name, sentinel in itertools.chain.from_iterable(found.values()):
        by_column.setdefault(name, []).append(sentinel.value)
    return by_column


def _suspect_unasked(draft: Draft) -> dict[str, list[float]]:
    """Warn of numbers that fill all rows of a wave, a site or the like, and no others, and return them by column."""
    occasions = [
        name
        for name in dict.fromkeys((*filter(words.is_occasion, draft.frame.columns), *draft.key, draft.time))
        if name is not None and 2 <= draft.frame[name].n_unique() <= MOST_OCCASIONS
    ]
    found: dict[tuple[float, str, tuple[Any, ...]], list[tuple[str, columns.Sentinel]]] = {}
    for name in dict.fromkeys((*draft.features, draft.target)) if occasions else ():
        column = draft.frame[name].cast(pl.Float64, strict=False) if draft.frame[name].dtype.is_numeric() else None
        if column is None or (distinct := column.drop_nulls().unique().sort()).len() < 3:
            continue
        for value, rest in ((distinct[0], distinct[1:]), (distinct[-1], distinct[:-1])):
            of = next((of for of in occasions if of != name and (_fills(draft.frame[of], column, value))), None)
            if of is None or not _is_beside(value, rest):
                continue
            # What adds up, or counts since a first visit, is 0 there.
            within = draft.key and of not in draft.key and not groups.nested(draft.frame, of, draft.key)
            if len(rest) > MOST_ANSWERS and (within or of == draft.time):
                continue
            if value and value in [sentinel.value for sentinel in columns.sentinels(draft.frame[name], draft.codes())]:
                continue
            there = (column == value).fill_null(False)
            which = tuple(
                label.removesuffix(" 00:00:00") for label in labelled(draft.frame[of].filter(there).unique().sort())
            )
            sentinel = columns.Sentinel(value, int(there.sum()), rest[0], rest[-1])
            found.setdefault((value, of, which), []).append((name, sentinel))
            break
    by_column: dict[str, list[float]] = {}
    for (value, of, which), where in found.items():
        way = " ".join(columns.option(name, f"{value:.15g}") for name, _ in where)
        draft.warnings.append(
            f"{value:.15g} fills all rows in which {of!r} is {listed(which, 4, quote=False)}, and no others, of "
            f"{_with_ranges(draft, where)}, as where a question was not asked or nothing was measured; if it means "
            f"that there is no value, say {way} (missing: in a study)"
        )
        for name, _ in where:
            by_column[name] = [value]
    return by_column


def _fills(occasions: pl.Series, column: pl.Series, value: float) -> bool:
    """Whether a number is that of all rows of some occasions, and of no others, within most of which numbers differ."""
    each = (
        pl.DataFrame({"of": occasions, "x": column})
        .drop_nulls()
        .group_by("of")
        .agg(rows=pl.len(), there=(pl.col("x") == value).sum(), distinct=pl.col("x").n_unique())
    )
    filled = each.filter(pl.col("there") > 0)
    others = each.filter(pl.col("there") == 0)
    if not len(filled) or 2 * len(filled) > len(each) or (filled["there"] < filled["rows"]).any():
        return False
    return bool((filled["rows"] >= FEWEST_UNASKED).all()) and float((others["distinct"] > 1).mean()) >= MOSTLY  # pyright: ignore


def _is_beside(value: float, rest: pl.Series) -> bool:
    """Whether a number is beside a scale of answers, or far from amounts."""
    steps = rest.diff().drop_nulls()
    if len(rest) <= MOST_ANSWERS:
        return bool((rest % 1 == 0).all() and (steps == 1).all())
    near = steps.head(FEWEST_AMOUNTS) if value < rest[0] else steps.tail(FEWEST_AMOUNTS)
    return max(rest[0] - value, value - rest[-1]) > FAR_OFF * float(near.max())  # pyright: ignore


def _with_ranges(draft: Draft, where: Collection[tuple[str, columns.Sentinel]]) -> str:
    """Columns, how often a number is in each, and the range of the others there, in words."""
    some = (
        f"{name!r} in {counted(sentinel.count, 'row')} of {draft.frame.height} (else {sentinel.least:.5g} to "
        f"{sentinel.most:.5g})"
        for name, sentinel in where
    )
    return listed(some, 4, quote=False)


def _codes_at_an_end(draft: Draft, codes: Collection[float]) -> dict[float, list[tuple[str, columns.Sentinel]]]:
    """The columns in which codes, such as 98 or 999.9, stand at an end or are heaped: one table writes all alike."""
    found: dict[float, list[tuple[str, columns.Sentinel]]] = {}
    codes = [code for code in codes if columns.is_often_missing(code) and code != -1]
    for name in dict.fromkeys((*draft.features, draft.target)):
        if codes and draft.frame[name].dtype.is_numeric():
            for sentinel in columns.at_an_end(draft.frame[name], codes):
                found.setdefault(sentinel.value, []).append((name, sentinel))
    return found


def _is_of_one_group(draft: Draft, name: str, value: float) -> bool:
    """Whether a column is the same throughout each group, as the height of a station is, and a number that of one."""
    for key in dict.fromkeys((draft.key[:1], draft.key)):
        if key and groups.nested(draft.frame, name, key):
            return draft.frame.filter(pl.col(name) == value).select(key).n_unique() == 1
    return False


def _state_of_zeros(draft: Draft, name: str) -> str:
    """The state of another column in which a number is 0, and in no other, such as a pump that is off; else empty.

    Vital signs are 0 in no state, and what is 0 in the same rows as they are was as little measured.
    """
    zero = (draft.frame[name] == 0).fill_null(False)

    def goes_with_it(others: pl.Series) -> bool:
        return bool((others.fill_null(False) != zero).sum() <= AMISS * int(zero.sum()))

    numbers = [column for column in draft.frame if column.dtype.is_numeric() and words.is_vital_sign(column.name)]
    if any(goes_with_it(column == 0) for column in numbers):
        return ""
    for other in draft.frame.columns:
        column = draft.frame[other]
        if other in (name, draft.time, *draft.key) or column.n_unique() > MOST_CATEGORIES:
            continue
        state = column.filter(zero).mode()[0]
        if state is not None and goes_with_it(column == state):
            return f"{other!r} is {labelled(pl.Series([state]))[0]}"
    return ""


def _check_features(draft: Draft) -> None:
    if not draft.features:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in draft.left_out.items())
        draft.refuse(
            f"no column is left to predict {draft.target!r} from ({reasons or 'there are no others'}). Give it "
            "feature columns, or ask for a forecast of the target from its own past (--task forecast)"
        )


def _choose_horizon(draft: Draft) -> int | None:
    if draft.kind == "forecast":
        return draft.given.get("horizon", 1)
    if "horizon" in draft.given and draft.kind == "next-known":
        draft.refuse(
            f"horizon is a number of rows, but next-known looks ahead to the next row in which {draft.target!r} is "
            "known, however far that is. Leave it out, or set kind: forecast"
        )
    if "horizon" in draft.given:
        draft.refuse(f"horizon is for a forecast; this is a {draft.kind}. Leave it out, or set kind: forecast")
    return None if draft.kind == "next-known" else 0


def _choose_per(draft: Draft) -> Any:
    codes = draft.codes()
    recordings = int(codes.max()) + 1
    if draft.group is not None and len(codes) == recordings:
        draft.refuse(
            f"each row has a value of its own in group column {draft.group!r}, so there is no series in any of "
            "them; name the column that many rows share"
        )
    constant = draft.group is not None and not draft.forecasts
    if constant:
        known = draft.frame.select(draft.target, code=codes).drop_nulls()
        constant = known.unique().height == known["code"].n_unique()
    per = draft.given.get("per")
    if per == "sequence" and not constant:
        why = (
            "a forecast has a target at each row"
            if draft.forecasts
            else "there are no groups"
            if draft.group is None
            else f"{draft.target!r} varies within groups of {draft.group!r}"
        )
        draft.refuse(f"per: sequence needs groups within which the target is constant, but {why}; set per: step")
    if per is None:
        per = "sequence" if constant else "step"
        if constant:
            alone = groups.nested(draft.frame, draft.target, draft.key[:1])
            within = " and ".join(map(repr, draft.key[:1] if alone else draft.key))
            draft.lines.append(f"target: one for each group, as {draft.target!r} is constant within each of {within}")
    return per


def _class_names(draft: Draft) -> tuple[str, ...]:
    return tuple(labelled(draft.frame[draft.target].drop_nulls().unique().sort()))


def _rows_of_classes(draft: Draft) -> str:
    """The classes and how many rows each has, in words."""
    of = draft.frame[draft.target].drop_nulls().value_counts(name="rows of it").sort(draft.target)
    rows = [counted(count, "row") for count in of["rows of it"]]
    return listed(map("{!r} in {}".format, labelled(of[draft.target]), rows), 20, quote=False)


def _encode(draft: Draft) -> tuple[tuple[Feature, ...], tuple[str, ...], NDArray[np.float64], NDArray[np.bool_]]:
    """Features by name and unit, the column of each, their values (rows, features), and where they are observed."""
    features, sources, values, observed = [], [], [], []
    for name in draft.features:
        column = draft.frame[name]
        there = column.is_not_null().to_numpy()
        if column.dtype == pl.String:
            for value in column.drop_nulls().unique().sort():
                features.append(Feature(f"{name} = {value}", "1"))
                values.append((column == value).fill_null(False).to_numpy())
                observed.append(there)
        else:
            features.append(Feature(name, "1" if column.dtype == pl.Boolean else draft.unit(name)))
            values.append(column.cast(pl.Float64).fill_null(0.0).to_numpy())
            observed.append(there)
        sources += [name] * (len(features) - len(sources))
    values = np.stack(values, axis=1).astype(np.float64)
    return tuple(features), tuple(sources), values, np.stack(observed, axis=1)


def _describe_features(draft: Draft) -> None:
    kinds = {name: draft.frame[name].dtype for name in draft.features}
    text = [name for name, dtype in kinds.items() if dtype == pl.String]
    flags = [name for name, dtype in kinds.items() if dtype == pl.Boolean]
    numbers = [name for name in draft.features if name not in (*text, *flags)]
    parts = [f"{counted(len(numbers), 'column')} of numbers ({listed(numbers)})"] if numbers else []
    if flags:
        parts.append(f"{listed(flags)} as 0 and 1")
    for name in text:
        values = draft.frame[name].drop_nulls().unique().sort()
        parts.append(f"{name!r} as {len(values)} columns of 0 and 1, one for each of {listed(values, MOST_CATEGORIES)}")
    draft.lines.append(f"features: {'; '.join(parts)}")
    if draft.left_out:
        out = "; ".join(f"{name!r} {reason}" for name, reason in draft.left_out.items())
        draft.lines.append(f"left out: {out}")
    missing = 1 - float(draft.observed.mean())
    if missing:
        draft.lines.append(f"missing: {max(missing, 0.001):.1%} of the feature values; models are told which")
    for name, reason in draft.left_out.items():
        if "the target" in reason and name not in draft.given.get("features", ()):
            draft.warnings.append(f"leak: {name!r} {reason}; it is left out")
