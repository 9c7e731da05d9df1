"""Training curves: dense training, pruning and retraining in one line a defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.curves import joined
from mia_pruning.reporting.style import colours, in_order, name_beside, readable
from mia_pruning.reporting.tables import Drawing, Tables, pick

#: Every point of a curve has a mark if there are at most this many.
FEW = 5


@figure(
    section="utility",
    heading="Training",
    columns="history.csv, mean over models; `total_epoch` counts on through the stages",
)
def training(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = joined(tables["history"])
    experiments = in_order(table, "experiment")
    colour = colours(in_order(tables["results"], "defence"))
    drawn, axes = plt.subplots(
        len(experiments), 2, figsize=(10.5, 3.8 * len(experiments)), squeeze=False
    )
    for row, experiment in zip(axes, experiments, strict=True):
        for axis, which in zip(row, ("train_accuracy", "test_accuracy"), strict=True):
            for defence, curve in pick(table, experiment=experiment).groupby("defence", sort=False):
                seen = curve.dropna(subset=[which])
                mark = "." if len(seen) <= FEW else ""
                axis.plot(
                    seen["total_epoch"],
                    seen[which],
                    color=colour[defence],
                    marker=mark,
                    label=readable(defence),
                )
            axis.set(xlabel="epoch", ylabel=f"{readable(experiment)}\n{readable(which)}")
        name_beside(row[1], fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Mean over models; a curve starts with the dense training of its objective, but for networks that are pruned before any "
        "training. Training accuracy is measured batch by batch before each step.",
    )


def _finding(table: pd.DataFrame) -> str:
    last = (
        table.dropna(subset=["test_accuracy"]).groupby(["experiment", "defence"], sort=False).last()
    )
    best, worst = last["test_accuracy"].idxmax(), last["test_accuracy"].idxmin()
    return (
        f"The test accuracy ends highest with {readable(best[1])} ({last['test_accuracy'].max():.3f}) "
        f"and lowest with {readable(worst[1])} ({last['test_accuracy'].min():.3f})."
    )
