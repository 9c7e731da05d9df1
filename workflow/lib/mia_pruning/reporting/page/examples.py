"""The single examples of a study: their pictures, and which defences protect them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.exposure import NO_LEAK
from mia_pruning.reporting.exposing import (
    HALVES,
    NO_LEAK_HALVES,
    baseline_exposure,
    exposed_examples,
    most_exposed,
    shown_examples,
)
from mia_pruning.reporting.page.table import Cell, Column, Table, named, rows_by, table_of
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import pick
from mia_pruning.stages.packed import read_packed
from mia_pruning.types import BASELINE

#: A correlation that cannot be told is sorted below all others.
NOT_TOLD = -2.0


def exposure_view(
    tables: Mapping[str, pd.DataFrame],
    experiment: str,
    dataset: str,
) -> dict[str, Any]:
    """Return the most exposed examples with their pictures, and how each defence treats them."""
    exposed = tables["exposed"]
    of_experiment = pick(tables["exposure_correlation"], experiment=experiment)
    correlations = rows_by(of_experiment, ["defence"])
    packed = read_packed(dataset)
    names = packed.description["class_names"]

    def of_class(found: tuple[list[int], float]) -> Cell:
        return Cell(f"{' or '.join(names[label] for label in found[0])} {found[1]:+.3f}", found[1])

    found = exposed_examples(exposed, experiment)
    rows = [
        [
            Cell(readable(row["defence"]), look="defence", hint=row["defence"]),
            Cell(f"{row['most']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})", row["most"]),
            *_correlation_cells(correlations.get((row["defence"],))),
            of_class(row["most_exposed_class"]),
            of_class(row["least_exposed_class"]),
        ]
        for row in found
    ]
    columns = [
        Column("defence"),
        Column(
            "exposure above chance of the baseline's most exposed",
            "of the 1 % that were the most exposed on other targets, minus 0.5",
        ),
        Column(
            "correlation with the baseline's exposures",
            "of all examples, noise removed; 1 is the same rank order; a weaker leak alone can give 0.92",
        ),
        Column(
            "agreement of its own models",
            "rank correlation of two of its pairs of twins, with its standard error",
        ),
        Column("most exposed class", "and its mean exposure minus 0.5"),
        Column("least exposed class", "and its mean exposure minus 0.5"),
    ]
    shown = shown_examples(exposed, experiment, packed.images, names)
    lowest = min(example["excess"] for example in shown)
    above = {
        name: int((baseline_exposure(exposed, experiment, halves) - NO_LEAK >= lowest).sum())
        for name, halves in (("n_highest", HALVES), ("n_by_luck", NO_LEAK_HALVES))
    }
    caption = f"{readable(experiment)}: who protects the baseline's most exposed examples"
    return {
        "experiment": experiment,
        "table": table_of(f"examples-{experiment}", caption, columns, rows),
        "examples": shown,
        "lowest_shown": lowest,
        "n_examples": len(baseline_exposure(exposed, experiment)),
        "n_most": len(most_exposed(baseline_exposure(exposed, experiment))),
        **above,
    }


def _correlation_cells(row: Mapping[str, Any] | None) -> list[Cell]:
    """Return the correlation with its interval, and the reliability that it is corrected by.

    Both cells are empty where neither was measured.
    """
    if row is None:
        return [Cell("", ""), Cell("", "")]
    agreement = f"{row['reliability']:.3f} \u00b1 {row['reliability_error']:.3f}"
    reliability = Cell(agreement, row["reliability"])
    if pd.isna(row["value"]):
        return [Cell("cannot be told", NOT_TOLD), reliability]
    if row["defence"] == BASELINE:
        return [Cell("1 by definition", 1.0), reliability]
    value = f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    return [Cell(value, row["value"]), reliability]


def needs_table(needs: list[dict[str, str]]) -> Table:
    """Tabulate what each attack had."""
    labels = ("attack", "plug-in", "experiment", "protocol", "asks for", "learns from")
    rows = [
        [
            named(row["attack"]),
            row["use"],
            named(row["experiment"]),
            row["protocol"],
            row["asked"],
            row["learns"],
        ]
        for row in needs
    ]
    return table_of("needs", "What each attack had", map(Column, labels), rows)
