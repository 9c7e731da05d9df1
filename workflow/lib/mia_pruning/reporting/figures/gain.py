"""The Min-Max game as it was played: the gain of the inference model.

Meanwhile the classifier learns to leave it nothing.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.metrics.divergence import LOG_2
from mia_pruning.registry import figure
from mia_pruning.reporting.curves import joined
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import colours, in_order, name_beside, named
from mia_pruning.reporting.tables import Drawing, Tables


@figure(
    section="theory",
    heading="T1: the game as it was played",
    order=1,
    columns="history.csv's gain, mean over models",
)
def gain(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = joined(tables["history"]).dropna(subset=["gain"])[
        ["experiment", "defence", "stage", "total_epoch", "gain"]
    ]
    colour = colours(in_order(tables["results"], "defence"))
    drawn, axis = plt.subplots(figsize=(7.5, 3.8))
    for _, curve in table.groupby(["experiment", "defence"], sort=False):
        first = curve.iloc[0]
        axis.plot(
            curve["total_epoch"], curve["gain"], color=colour[first["defence"]], label=named(first)
        )
    axis.axhline(-LOG_2, color="grey", linestyle=":", linewidth=1)
    axis.set(xlabel="epoch", ylabel="gain of the inference model (nats)")
    if len(table):
        name_beside(axis, fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Mean over the epoch's steps and over models, on members and on the reference set, before each step of the inference "
        "model; dense training, pruning and retraining in one line. The dotted line is -log 2, where it tells nothing.",
    )


def _finding(table: pd.DataFrame) -> str:
    if table.empty:
        return "No defence in these results plays against an inference model."
    ends = (
        table.groupby(["experiment", "defence"], sort=False)
        .agg(highest=("gain", "max"), last=("gain", "last"))
        .reset_index()
    )
    parts = [
        f"{row['highest']:.3f} at its highest and {row['last']:.3f} at the end ({named(row)})"
        for _, row in ends.iterrows()
    ]
    return f"The inference model's gain is {listed(parts, between='; ')}, against {-LOG_2:.3f} for one that tells nothing."
