"""The report: a study's results as one HTML file that needs no network."""

import os
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from liquidbench.report.contents import page
from liquidbench.statistics import Comparison
from liquidbench.study import Study

_FOLDER = Path(__file__).parent


def write(
    study: Study,
    frame: pl.DataFrame,
    tasks: Mapping[str, Mapping[str, Any]],
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
    text = _template().render(
        page=page(study, frame, tasks, comparison),
        style=(_FOLDER / "style.css").read_text(encoding="utf-8"),
        script=(_FOLDER / "script.js").read_text(encoding="utf-8"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Someone may have the old report open, or the disk may be full: the new one appears whole or not at all.
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.j2")
