"""How confident a model is on members and on non-members, for each defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import Drawing, Tables, pick

MEMBER, NON_MEMBER = "#0173b2", "#de8f05"


@figure
def confidence(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    keys = ["experiment", "defence", "member", "low", "high"]
    table = tables["confidence"].groupby(keys, sort=False)["fraction"].mean().reset_index()
    experiments, defences = in_order(table, "experiment"), in_order(table, "defence")
    size = (2.6 * len(defences), 2.6 * len(experiments))
    drawn, axes = plt.subplots(len(experiments), len(defences), figsize=size, squeeze=False, sharex=True, sharey=True)
    for row, experiment in zip(axes, experiments, strict=True):
        for axis, defence in zip(row, defences, strict=True):
            part = pick(table, experiment=experiment, defence=defence)
            for member, colour, label in ((True, MEMBER, "members"), (False, NON_MEMBER, "non-members")):
                rows = part[part["member"] == member]
                axis.stairs(rows["fraction"], np.append(rows["low"], rows["high"].iloc[-1]), color=colour, fill=True, alpha=0.45)
                axis.stairs(rows["fraction"], np.append(rows["low"], rows["high"].iloc[-1]), color=colour, label=label)
            axis.set_title(readable(defence))
            axis.set_xlabel("log-odds of the top class")
        row[0].set_ylabel(f"{readable(experiment)}\nfraction")
    axes[0][0].legend(fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "What an attacker sees: the more the two histograms overlap, the less there is to infer. "
        "Values beyond the ends are counted there.",
    )


def _finding(table: pd.DataFrame) -> str:
    """The overlap of the histograms, least and most."""
    sides = table.pivot_table(index=["experiment", "defence", "low"], columns="member", values="fraction", sort=False)
    overlap = sides.min(axis=1).groupby(level=["experiment", "defence"], sort=False).sum()
    (_, least), (_, most) = overlap.idxmin(), overlap.idxmax()
    return (
        f"Members and non-members overlap by {100 * overlap.min():.0f} % under {readable(least)} "
        f"and by {100 * overlap.max():.0f} % under {readable(most)}."
    )
