"""Draw one figure and write it with the table that it plots and the words beside it."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt

from mia_pruning import storage
from mia_pruning.registry import catalogue
from mia_pruning.reporting import style
from mia_pruning.reporting.tables import read_tables


def draw_figure(name: str, tables: Mapping[str, str], headline: Mapping[str, str], *, svg: str, table: str, words: str) -> None:
    style.apply()
    drawing = catalogue("figure")[name].load()(read_tables(tables), headline)
    Path(svg).parent.mkdir(parents=True, exist_ok=True)
    with storage.atomic(svg) as temporary:
        drawing.figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(drawing.figure)
    storage.write_text(table, drawing.table.to_csv(index=False, lineterminator="\n"))
    storage.write_json(words, {"finding": drawing.finding, "caption": drawing.caption})
