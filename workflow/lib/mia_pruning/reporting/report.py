"""The page that people read: one HTML file with everything in it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from mia_pruning import storage
from mia_pruning.reporting.claims import headline_of
from mia_pruning.reporting.jobs import read_records
from mia_pruning.reporting.page import study, verdicts
from mia_pruning.reporting.page.figures import figures_by_section
from mia_pruning.reporting.page.first import first_screen
from mia_pruning.reporting.page.sections import sections
from mia_pruning.reporting.page.source import PERCENT, Source
from mia_pruning.reporting.style import capitalised, in_order, readable, web_colours
from mia_pruning.reporting.tables import CsvTables
from mia_pruning.study.pipeline import rules_that


def write_report(
    output: str,
    *,
    tables: Mapping[str, str],
    figures: Mapping[str, str],
    claims: Mapping[str, Any],
    settings: Mapping[str, Any],
    missing: Sequence[str],
    datasets: Mapping[str, str],
    folder: Path,
    pages: Path,
) -> None:
    """Write the page of a study.

    figures: name -> svg, its table and words beside it; datasets: name -> dataset.json; folder:
    that of the study's results; pages: the folder of templates and assets, in the project's root;
    missing: sentences on what the results lack because jobs failed, none where they are complete.
    """
    loaded = CsvTables(tables)
    source = Source(
        settings=settings,
        reported=study.reported(settings, loaded["results"], loaded["differences"]),
        tables=loaded,
        claims=claims,
        headline=headline_of(claims, loaded["results"]),
        figures=figures_by_section(figures, verdicts.sizes_of_study(loaded["results"])),
        datasets=datasets,
        records=[
            record
            for record in read_records(folder, settings)
            if record["rule"] not in rules_that("after_results")
        ],
        folder=folder,
        root=pages.parent,
    )
    shown = sections(source)
    page = (
        environment(pages)
        .get_template("report.html.j2")
        .render(
            study=settings["study"],
            scale=study.scale(source.reported, claims["paper"]),
            first=first_screen(source),
            headline=source.headline,
            missing=missing,
            failures=loaded["failures"].to_dict("records"),
            shown_as=shown_as(loaded["results"], settings),
            sections=shown,
            confidence_percent=PERCENT,
        )
    )
    storage.write_text(output, page)


def shown_as(results: pd.DataFrame, settings: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return each defence's colour, and what it is for readers who point at its name."""
    colours = web_colours(in_order(results, "defence"))
    return {
        name: {"colour": colour, "about": study.described(settings, name)}
        for name, colour in colours.items()
    }


def environment(pages: Path) -> jinja2.Environment:
    """Return templates that escape every name, and may take assets of the page as they are."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pages / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["readable"] = readable
    made.filters["capitalised"] = capitalised
    made.filters["inline_json"] = inline_json
    made.globals["asset"] = lambda name: _inline(pages / "assets" / name)
    made.globals["part"] = lambda name: _inline(pages / "templates" / name)
    return made


def _inline(path: Path) -> Markup:
    """Return a script or a style sheet to stand inside its element.

    Raises:
        ValueError: its text would end that element.
    """
    text = path.read_text(encoding="utf-8")
    if {".js": "</script", ".css": "</style"}[path.suffix] in text:
        raise ValueError(f"{path}: would end the element that it stands in")
    return Markup(text)


def inline_json(content: Any) -> Markup:
    """Return JSON to stand in a script element, which nothing in it can end.

    >>> print(inline_json({"name": "</script>"}))
    {"name":"\\u003c/script>"}
    """
    return Markup(
        json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    )
