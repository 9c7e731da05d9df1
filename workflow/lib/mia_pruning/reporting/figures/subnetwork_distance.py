"""The distance of a subnetwork's answers from the dense network's, against its sparsity."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import (
    LABELS,
    colours,
    in_order,
    mark_rates,
    name_beside,
    named,
    readable,
)
from mia_pruning.reporting.tables import Drawing, Tables, pick

STAGES = {"pruned": ("o", "none"), "retrained": ("s", "full")}


@figure(
    section="theory",
    heading="T2: is there a subnetwork near the dense network?",
    order=2,
    columns="`mean` and `deviation` of the total variation over `n_models` models",
)
def subnetwork_distance(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = _with_compression(tables["distance"], tables["results"])
    colour = colours(in_order(tables["results"], "defence"))
    drawn, axis = plt.subplots(figsize=(7.5, 4.2))
    for (experiment, defence, stage), row in table.set_index(
        ["experiment", "defence", "stage"]
    ).iterrows():
        marker, fill = STAGES[stage]
        label = f"{readable(experiment)}: {readable(defence)}, {stage}"
        axis.errorbar(
            row["compression"], row["mean"], yerr=row["deviation"], fmt=marker, fillstyle=fill, color=colour[defence],
            capsize=2, label=label,
        )  # fmt: skip
    axis.set(xlabel=LABELS["compression"], ylabel="distance of the answers (total variation)")
    mark_rates(axis, table["compression"])
    if len(table):
        name_beside(axis, fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Half the L1 distance between the dense network's and the subnetwork's probabilities, mean over test examples, after the "
        "hard projection and after retraining; a ticket's weights are rewound in between. Networks that are pruned before any "
        "training come from no dense one and are left out. Bars are one standard deviation over models.",
    )


def _with_compression(distance: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    keys = ["experiment", "defence", "stage"]
    if distance.empty:
        return distance.reindex(columns=[*keys, "mean", "deviation", "n_models", "compression"])
    spread = (
        distance.groupby(keys, sort=False)["total_variation"]
        .agg(mean="mean", deviation="std", n_models="size")
        .reset_index()
    )
    compression = pick(results, metric="compression")[["experiment", "defence", "value"]].rename(
        columns={"value": "compression"}
    )
    return spread.merge(compression, on=["experiment", "defence"])


def _finding(table: pd.DataFrame) -> str:
    if table.empty:
        return "These results hold no pruned network."
    of = {stage: rows.loc[rows["mean"].idxmax()] for stage, rows in table.groupby("stage")}
    parts = [f"{row['mean']:.3f} when {stage} ({named(row)})" for stage, row in of.items()]
    return f"The largest mean distance from the dense network is {', '.join(parts)}."
