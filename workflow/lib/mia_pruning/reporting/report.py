"""The page that people read: one HTML file with everything in it."""

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from mia_pruning import provenance, storage
from mia_pruning.metrics.intervals import CONFIDENCE
from mia_pruning.reporting.claims import headline_of
from mia_pruning.reporting.jobs import read_records
from mia_pruning.reporting.needs import attack_needs
from mia_pruning.reporting.page import agreement, answer, attacks, defences, examples, run, study, verdicts
from mia_pruning.reporting.style import in_order, readable, web_colours
from mia_pruning.reporting.tables import CsvTables, pick
from mia_pruning.study.pipeline import rules_that
from mia_pruning.types import BASELINE

#: the order of the figures on the page, and each one's heading; others follow under their name
FIGURE_HEADINGS = {
    "trade_off": "The trade-off",
    "claims": "The claims as differences",
    "attack_by_compression": "Attack accuracy and compression",
    "roc": "Low false-positive rates",
    "exposure": "Every example",
    "confidence": "The confidence of members and of others",
    "compute": "What it costs to train",
    "training": "Training",
    "divergence": "T1: divergence, gain and the attacks that they allow",
    "gain": "T1: the game as it was played",
    "subnetwork_distance": "T2: is there a subnetwork near the dense network?",
    "residuals": "T3: does ADMM converge?",
}
#: figures by the section that shows them; those of nobody's choice are with privacy
SECTIONS = {
    "first": ("trade_off",),
    "verdicts": ("claims",),
    "compression": ("attack_by_compression",),
    "utility": ("training",),
    "cost": ("compute",),
    "theory": ("divergence", "gain", "subnetwork_distance", "residuals"),
    "examples": ("exposure",),
}
#: a plotted table of more bytes stays beside the page
MOST_CARRIED = 300_000


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
    """figures: name -> svg, its table and words beside it; datasets: name -> dataset.json; folder: of the study's results.

    pages: the folder of templates and assets, in the project's root; missing: sentences on what the results lack because jobs
    failed, none where they are whole.
    """
    loaded = CsvTables(tables)
    headline = headline_of(claims, loaded["results"])
    described = {name: storage.read_json(path) for name, path in datasets.items()}
    records = [record for record in read_records(folder, settings) if record["rule"] not in rules_that("after_results")]
    measured = run.read_benchmarks(folder, records)
    reported = study.reported(settings, loaded["results"], loaded["differences"])
    audits, contradicted = defences.audits(loaded)
    page = (
        environment(pages)
        .get_template("report.html.j2")
        .render(
            study=settings["study"],
            scale=study.scale(reported, claims["paper"]),
            conclusion=answer.conclusion(claims, loaded["verdicts"], loaded["results"], loaded["differences"], headline),
            claims=verdicts.headline_verdicts(claims, loaded["verdicts"], headline),
            headline=headline,
            missing=missing,
            failures=loaded["failures"].to_dict("records"),
            shown_as=shown_as(loaded["results"], settings),
            figures=figures_by_section(figures),
            sizes=verdicts.sizes_of_study(loaded["results"]),
            tables={
                "all_verdicts": verdicts.all_verdicts(loaded["verdicts"]),
                "by_attacker": verdicts.by_attacker(
                    claims, loaded["verdicts"], verdicts.attackers_of(loaded["verdicts"], headline)
                ),
                "strongest": verdicts.choices(loaded["strongest"]),
                "overview": defences.overview(loaded["results"], headline),
                "attackers": attacks.privacy_matrix(loaded["results"], study.attack_by(settings, "correctness")),
                "attacks": attacks.every_attack(loaded["results"], loaded["operating"]),
                "agreement": agreement.agreement_table(loaded["agreement"]),
                "changes": defences.changes(loaded["differences"], headline),
                "guarantees": defences.guarantees_table(loaded["guarantees"]),
                "audits": audits,
                "projection": defences.projections(loaded["projection"]),
                "pairs": study.pairs(reported),
                "needs": examples.needs_table(attack_needs(reported)),
                "timings": run.timings(measured),
                "slowest": run.slowest(measured),
                "places": run.places(records),
                "records": run.records_table(records),
            },
            contradicted=contradicted,
            exposures=[
                examples.exposure_view(loaded, name, datasets[entry["dataset"]])
                for name, entry in reported["experiments"].items()
                if not pick(loaded["exposed"], experiment=name, defence=BASELINE).empty
            ],
            limitations=study.limitations(reported, loaded, claims["paper"]),
            settings=reported,
            settings_yaml=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=120),
            command=study.command(settings["study"], pages.parent),
            datasets=described,
            confidence_percent=round(100 * CONFIDENCE),
            environment=provenance.environment(),
            made_at=Counter((record["commit"], bool(record["dirty"])) for record in records),
        )
    )
    storage.write_text(output, page)


def shown_as(results: pd.DataFrame, settings: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """How the page shows each defence: its colour, and what it is, for who points at its name."""
    colours = web_colours(in_order(results, "defence"))
    return {name: {"colour": colour, "about": study.described(settings, name)} for name, colour in colours.items()}


def environment(pages: Path) -> jinja2.Environment:
    """Templates that escape every name, and may take assets of the page as they are."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pages / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["readable"] = readable
    made.filters["inline_json"] = inline_json
    made.globals["asset"] = lambda name: _inline(pages / "assets" / name)
    made.globals["part"] = lambda name: _inline(pages / "templates" / name)
    return made


def _inline(path: Path) -> Markup:
    """A script or a style sheet to stand inside its element."""
    text = path.read_text(encoding="utf-8")
    if {".js": "</script", ".css": "</style"}[path.suffix] in text:
        raise ValueError(f"{path}: would end the element that it stands in")
    return Markup(text)


def inline_json(content: Any) -> Markup:
    """JSON to stand in a script element, which nothing in it can end.

    >>> print(inline_json({"name": "</script>"}))
    {"name":"\\u003c/script>"}
    """
    return Markup(json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def figures_by_section(figures: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The figures of each section in its order; `privacy` has those that no other section names."""
    placed = {name for names in SECTIONS.values() for name in names}
    others = sorted((name for name in figures if name not in placed), key=_figure_order)
    sections = {**SECTIONS, "privacy": others}
    return {
        section: [_figure_view(name, figures[name]) for name in names if name in figures] for section, names in sections.items()
    }


def _figure_order(name: str) -> tuple[int, str]:
    known = list(FIGURE_HEADINGS)
    return (known.index(name) if name in known else len(known), name)


def _figure_view(name: str, svg: str) -> dict[str, Any]:
    words, table = storage.read_json(Path(svg).with_suffix(".json")), Path(svg).with_suffix(".csv")
    encoded = base64.b64encode(Path(svg).read_bytes()).decode()
    return {
        "name": name,
        "heading": FIGURE_HEADINGS.get(name, readable(name)),
        "data": f"data:image/svg+xml;base64,{encoded}",
        "csv": table.read_text(encoding="utf-8") if table.stat().st_size <= MOST_CARRIED else None,
        **words,
    }
