"""The drawing of one figure, for the page and for a paper.

The table that it plots and its words are written with it.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mia_pruning import storage
from mia_pruning.registry import catalogue
from mia_pruning.reporting import style
from mia_pruning.reporting.tables import CsvTables, Drawing, Tables, pick
from mia_pruning.reporting.typesetting import fit_to_paper_

#: Files carry no date of their making, so the same data give the same bytes.
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def draw_figure(
    name: str,
    tables: Mapping[str, str],
    headline: Mapping[str, str],
    *,
    svg: str,
    table: str,
    words: str,
    print_svg: str,
    print_pdf: str,
) -> None:
    """Draw a figure and write it, its table and its words.

    svg: for the page; print_svg, print_pdf: as wide as a paper's column, or as both.
    """
    loaded = CsvTables(tables)
    style.apply()
    drawing = _draw(name, loaded, headline)
    _save(drawing.figure, svg)
    storage.write_text(table, drawing.table.to_csv(index=False, lineterminator="\n"))
    storage.write_json(
        words,
        {
            "finding": drawing.finding,
            "caption": drawing.caption,
            "interactive": drawing.interactive,
        },
    )
    style.apply_for_print()
    printed = _draw(name, loaded, headline).figure
    fit_to_paper_(printed)
    _save(printed, print_svg, print_pdf)


def _draw(name: str, tables: Tables, headline: Mapping[str, str]) -> Drawing:
    plug_in = catalogue("figure")[name]
    attacked = not pick(tables["results"], metric="attack_accuracy").empty
    return (
        plug_in.load()(tables, headline)
        if attacked or not plug_in.traits.of_attacks
        else _nothing(tables)
    )


def _save(figure: Figure, *paths: str) -> None:
    for path in paths:
        kind = Path(path).suffix.removeprefix(".")
        with storage.atomic(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=UNDATED[kind])
    plt.close(figure)


def _nothing(tables: Tables) -> Drawing:
    """Return what is drawn in place of a figure of attacks, none of which gave a result."""
    finding = "No attack gave a result."
    drawn, axis = plt.subplots(figsize=(5, 1))
    axis.text(0.5, 0.5, finding, ha="center", va="center")
    axis.set_axis_off()
    return Drawing(
        drawn, tables["results"].iloc[:0], finding, "The attacks that failed are named above."
    )
