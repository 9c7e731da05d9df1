"""A model's confidence on members and on non-members, for each defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import named, readable
from mia_pruning.reporting.tables import Drawing, Tables

COLUMNS = 4
MEMBER, NON_MEMBER = "#0173b2", "#de8f05"


@figure(
    section="privacy",
    heading="The confidence of members and of others",
    order=1,
    columns="the histograms of confidence.csv, mean over seeds",
)
def confidence(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    keys = ["experiment", "defence", "member", "low", "high"]
    table = tables["confidence"].groupby(keys, sort=False)["fraction"].mean().reset_index()
    panels = list(table.groupby(["experiment", "defence"], sort=False))
    n_rows = -(-len(panels) // COLUMNS)
    drawn, axes = plt.subplots(
        n_rows,
        COLUMNS,
        figsize=(2.8 * COLUMNS, 2.3 * n_rows),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for axis, (_, part) in zip(axes.flat, panels, strict=False):
        for member, colour, label in (
            (True, MEMBER, "members"),
            (False, NON_MEMBER, "non-members"),
        ):
            rows = part[part["member"] == member]
            axis.stairs(
                rows["fraction"],
                np.append(rows["low"], rows["high"].iloc[-1]),
                color=colour,
                fill=True,
                alpha=0.45,
            )
            axis.stairs(
                rows["fraction"],
                np.append(rows["low"], rows["high"].iloc[-1]),
                color=colour,
                label=label,
            )
        axis.set_title(named(part.iloc[0]), fontsize="small")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    drawn.supxlabel("log-odds of the top class", fontsize="medium")
    drawn.supylabel("fraction", fontsize="medium")
    axes[0][0].legend(fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "What an attacker sees: the more the two histograms overlap, the less there is to infer. "
        "Values beyond the ends are counted there.",
    )


def _finding(table: pd.DataFrame) -> str:
    """State the overlap of the histograms under each experiment's first defence.

    The least and the largest overlap follow.
    """
    sides = table.pivot_table(
        index=["experiment", "defence", "low"], columns="member", values="fraction", sort=False
    )
    overlap = sides.min(axis=1).groupby(level=["experiment", "defence"], sort=False).sum()
    sentences = []
    for experiment, part in overlap.groupby(level="experiment", sort=False):
        of_defence = part.droplevel("experiment")
        shown = dict.fromkeys([of_defence.index[0], of_defence.idxmin(), of_defence.idxmax()])
        words = [f"{100 * of_defence[name]:.0f} % under {readable(name)}" for name in shown]
        sentences.append(
            f"{readable(experiment)}: members and non-members overlap by {', '.join(words)}."
        )
    return " ".join(sentences)
