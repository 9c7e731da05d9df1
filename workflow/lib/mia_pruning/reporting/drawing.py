"""Draw one figure and write it with the table that it plots and the words beside it."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt

from mia_pruning import storage
from mia_pruning.registry import catalogue
from mia_pruning.reporting import style
from mia_pruning.reporting.tables import CsvTables, Drawing, Tables, pick


def draw_figure(name: str, tables: Mapping[str, str], headline: Mapping[str, str], *, svg: str, table: str, words: str) -> None:
    style.apply()
    plug_in, loaded = catalogue("figure")[name], CsvTables(tables)
    attacked = not pick(loaded["results"], metric="attack_accuracy").empty
    drawing = plug_in.load()(loaded, headline) if attacked or not plug_in.traits.get("of_attacks") else _nothing(loaded)
    Path(svg).parent.mkdir(parents=True, exist_ok=True)
    with storage.atomic(svg) as temporary:
        drawing.figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(drawing.figure)
    storage.write_text(table, drawing.table.to_csv(index=False, lineterminator="\n"))
    storage.write_json(words, {"finding": drawing.finding, "caption": drawing.caption, "interactive": drawing.interactive})


def _nothing(tables: Tables) -> Drawing:
    """What stands for a figure of attacks, none of which gave a result."""
    finding = "No attack gave a result."
    drawn, axis = plt.subplots(figsize=(5, 1))
    axis.text(0.5, 0.5, finding, ha="center", va="center")
    axis.set_axis_off()
    return Drawing(drawn, tables["results"].iloc[:0], finding, "The attacks that failed are named above.")
