"""The report: a study's results as one HTML file that needs no network, and its tables as text."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from liquidbench.explanations import Explanation
from liquidbench.facts import Facts
from liquidbench.flown import Flown
from liquidbench.report.contents import page
from liquidbench.report.svg import style_of_families
from liquidbench.report.tables import ENDINGS, Bold, Format, Table
from liquidbench.statistics import Comparison
from liquidbench.study import Study
from liquidbench.system.names import shown
from liquidbench.system.storage import replacing

_FOLDER = Path(__file__).parent


def write(
    study: Study,
    frame: pl.DataFrame,
    tasks: Mapping[str, Facts],
    comparison: Comparison,
    path: str | os.PathLike[str],
    explanations: Mapping[str, Sequence[Explanation]] | None = None,
    flown: Mapping[str, Sequence[Flown]] | None = None,
) -> Path:
    """Write a study's report.

    The file contains its style, script and drawings and loads nothing else. Parts of a study that have not run are
    marked as missing; the report of a study without results says so.

    Args:
        study: the study.
        frame: all rows of the study's results, from `liquidbench.results.read`.
        tasks: facts by task name, from `liquidbench.results.read_tasks`; tasks may be missing.
        comparison: `liquidbench.statistics.compare` of the same frame.
        path: the HTML file to write; its folder is created if it does not exist.
        explanations: what kept networks do, by task; None for none.
        flown: how kept networks fly, by task; None for none.

    Returns:
        The path.
    """
    path = Path(path)
    parts = _template().generate(
        page=page(study, frame, tasks, comparison, explanations, flown),
        style=f"{style_of_families()}\n{(_FOLDER / 'style.css').read_text(encoding='utf-8')}",
        script=(_FOLDER / "script.js").read_text(encoding="utf-8"),
    )
    _put(path, (shown(part, lines=True) for part in parts))
    return path


def write_tables(
    study: Study,
    frame: pl.DataFrame,
    tasks: Mapping[str, Facts],
    comparison: Comparison,
    folder: str | os.PathLike[str],
    form: Format,
) -> list[Path]:
    """Write a study's tables, one file each.

    The tables are the leaderboard, the pairs over tasks, the verdicts under each of several matchings, what models lose
    without elapsed time, and the scores, pairs and losses under shifts of each task.

    Args:
        study: the study.
        frame: all rows of the study's results, as for `write`.
        tasks: facts by task name, as for `write`.
        comparison: `liquidbench.statistics.compare` of the same frame.
        folder: the folder to write to; it is created if it does not exist.
        form: ``"markdown"``, ``"latex"`` with booktabs, or ``"csv"`` for further computation.

    Returns:
        The files.

    Raises:
        ValueError: if the form is unknown.
    """
    if form not in ENDINGS:
        raise ValueError(f"form must be one of {', '.join(ENDINGS)}; got {form!r}")
    content = page(study, frame, tasks, comparison)
    written = []
    for table in (*content.tables.values(), *(table for task in content.tasks for table in task.tables)):
        path = Path(folder) / f"{table.name}.{ENDINGS[form]}"
        _put(path, [table.render(form)])
        written.append(path)
    return written


def _put(path: Path, parts: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The old report may be open, or the disk full: the new file appears complete or not at all.
    with replacing(path) as file:
        file.writelines(part.encode() for part in parts)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["downloads"] = _downloads
    environment.tests["bold"] = lambda text: isinstance(text, Bold)
    return environment.get_template("page.html.j2")


def _downloads(table: Table, *forms: Format) -> list[tuple[str, str, str]]:
    """For each form of a table, the text of its link, the file name, and the file as a data URL."""
    names: Mapping[Format, str] = {"markdown": "Markdown", "latex": "LaTeX", "csv": "CSV"}
    return [
        (
            names[form],
            f"{table.name}.{ENDINGS[form]}",
            f"data:text/plain;charset=utf-8,{quote(table.render(form), safe=_PLAIN)}",
        )
        for form in forms
    ]


_PLAIN = ",;:/|*()[]=+"
"""Characters besides letters and digits that a URL may contain unescaped."""
