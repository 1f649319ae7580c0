"""Whether the runs of a study were done alike: on one machine, by one version of everything."""

import polars as pl

_NAMES = {
    "machine": "machines",
    "version": "versions of liquidbench",
    "commit": "commits of liquidbench",
    "torch": "versions of PyTorch",
    "instruction_set": "instruction sets",
}
_CONSEQUENCES = {
    "fit": ("Scores", "so a difference between paired runs may be due to these, too."),
    "cost": ("Costs", "so times and memory of models that differ in these do not compare."),
}
_SHOWN = 4


def differences(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """A sentence where scores, and one where costs, were not all found alike.

    Args:
        frame: rows of results; what is null or "" says nothing.
    """
    sentences = []
    for kind, (subject, consequence) in _CONSEQUENCES.items():
        rows = frame.lazy().filter(pl.col("kind") == kind)
        told = [
            f"{len(found)} {name} ({_some(found)})"
            for column, name in _NAMES.items()
            if len(found := _distinct(rows, column)) > 1
        ]
        # Models differ in what can run them; one model should not.
        models = rows.select("model", "backend").drop_nulls().unique().collect()
        for (model,), of in sorted(models.group_by("model")):
            if of.height > 1:
                told.append(f"{of.height} backends of {model} ({_some(sorted(map(str, of['backend'])))})")
        if told:
            sentences.append(f"{subject} come from {', '.join(told)}, {consequence}")
    return sentences


def _distinct(rows: pl.LazyFrame, column: str) -> list[str]:
    found = rows.select(pl.col(column).drop_nulls().unique()).collect()[column].to_list()
    return sorted(one for one in map(str, found) if one)


def _some(names: list[str]) -> str:
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
