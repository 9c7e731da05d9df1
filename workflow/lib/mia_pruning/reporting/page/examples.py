"""The single examples of a study: their pictures, and who protects them."""

from typing import Any

import pandas as pd

from mia_pruning.reporting.exposing import baseline_exposure, exposed_examples, most_exposed, shown_examples
from mia_pruning.reporting.page.table import Cell, Column, Table, named, table_of
from mia_pruning.reporting.style import readable
from mia_pruning.stages.packed import read_packed


def exposure_view(exposed: pd.DataFrame, experiment: str, dataset: str) -> dict[str, Any]:
    """Who protects the most exposed examples, and their pictures."""
    packed = read_packed(dataset)
    names = packed.description["class_names"]

    def of_class(found: tuple[list[int], float]) -> Cell:
        return Cell(f"{' or '.join(names[label] for label in found[0])} {found[1]:.3f}", found[1])

    found = exposed_examples(exposed, experiment)
    rows = [
        [
            Cell(readable(row["defence"]), look="defence", hint=row["defence"]),
            Cell(f"{row['most']:.3f} ({row['low']:.3f} to {row['high']:.3f})", row["most"]),
            Cell(f"{row['alike']:.3f} ({row['alike_low']:.3f} to {row['alike_high']:.3f})", row["alike"]),
            of_class(row["most_exposed_class"]),
            of_class(row["least_exposed_class"]),
        ]
        for row in found
    ]
    columns = [
        Column("defence"),
        Column("exposure of the baseline's most exposed", "the 1 % that were the most exposed on other targets"),
        Column("rank correlation with the baseline", "of all examples' exposures, on different halves of the targets"),
        Column("most exposed class"),
        Column("least exposed class"),
    ]
    shown = shown_examples(exposed, experiment, packed.images, names)
    lowest = min(example["exposure"] for example in shown)
    caption = f"{readable(experiment)}: who protects the baseline's most exposed examples"
    return {
        "experiment": experiment,
        "table": table_of(f"examples-{experiment}", caption, columns, rows),
        "examples": shown,
        "lowest_shown": lowest,
        "n_examples": len(baseline_exposure(exposed, experiment)),
        "n_most": len(most_exposed(baseline_exposure(exposed, experiment))),
        "n_highest": int((baseline_exposure(exposed, experiment) >= lowest).sum()),
    }


def needs_table(needs: list[dict[str, str]]) -> Table:
    """What each attack had."""
    labels = ("attack", "plug-in", "experiment", "protocol", "asks for", "learns from")
    rows = [
        [named(row["attack"]), row["use"], named(row["experiment"]), row["protocol"], row["asked"], row["learns"]]
        for row in needs
    ]
    return table_of("needs", "What each attack had", map(Column, labels), rows)
