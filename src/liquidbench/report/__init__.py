"""The report: a study's results as one HTML file that needs no network, and its tables as text."""

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from liquidbench.facts import Facts
from liquidbench.report.contents import page
from liquidbench.report.svg import style_of_families
from liquidbench.report.tables import ENDINGS, Format, Table
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
) -> Path:
    """Write a study's report.

    The file holds its style, script and drawings and asks for nothing else. Parts of a study that have not run
    are named as missing; a study without any result gives a report that says so.

    Args:
        study: what was asked.
        frame: all rows of the study's results, as `liquidbench.results.read` gives them.
        tasks: facts by task name, as `liquidbench.results.read_tasks` gives them; a task may be missing.
        comparison: `liquidbench.statistics.compare` of the same frame.
        path: the HTML file to write; its folder is made where it does not exist.

    Returns:
        The path.
    """
    path = Path(path)
    parts = _template().generate(
        page=page(study, frame, tasks, comparison),
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

    They are the leaderboard, the pairs over tasks, the verdicts under each of several matchings, and of each task
    scores and pairs.

    Args:
        study: what was asked.
        frame: all rows of the study's results, as for `write`.
        tasks: facts by task name, as for `write`.
        comparison: `liquidbench.statistics.compare` of the same frame.
        folder: where to; it is made where it does not exist.
        form: ``"markdown"``, ``"latex"`` with booktabs, or ``"csv"``, for computing with.

    Returns:
        The files.

    Raises:
        ValueError: for another form.
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
    # Someone may have the old report open, or the disk may be full: the new one appears whole or not at all.
    with replacing(path) as file:
        file.writelines(part.encode() for part in parts)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["downloads"] = _downloads
    return environment.get_template("page.html.j2")


def _downloads(table: Table, *forms: Format) -> list[tuple[str, str, str]]:
    """For each form of a table the words of its link, the file's name, and the file itself as an address."""
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
"""What an address may hold as it is, besides letters and digits."""
