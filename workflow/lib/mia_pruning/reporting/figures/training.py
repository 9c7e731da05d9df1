"""Training curves: dense training, pruning and retraining in one line a defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import colours, in_order, readable
from mia_pruning.reporting.tables import Drawing, Tables, pick

STAGES = ["train", "prune", "retrain"]


@figure
def training(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = _joined(tables["history"])
    experiments = in_order(table, "experiment")
    colour = colours(in_order(tables["results"], "defence"))
    drawn, axes = plt.subplots(len(experiments), 2, figsize=(9, 3.8 * len(experiments)), squeeze=False, sharey="row")
    for row, experiment in zip(axes, experiments, strict=True):
        for axis, which in zip(row, ("train_accuracy", "test_accuracy"), strict=True):
            for defence, curve in pick(table, experiment=experiment).groupby("defence", sort=False):
                seen = curve.dropna(subset=[which])
                axis.plot(seen["total_epoch"], seen[which], color=colour[defence], label=readable(defence))
            axis.set(xlabel="epoch", ylabel=f"{readable(experiment)}\n{readable(which)}")
        row[1].legend(fontsize="small", loc="lower right")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Mean over models; every curve starts with the dense training of its objective. A network that is pruned before any "
        "training starts anew after it. "
        "Training accuracy is measured batch by batch before each step.",
    )


def _joined(history: pd.DataFrame) -> pd.DataFrame:
    """The mean over models, stages one after the other, with epochs counted from the start of dense training."""
    keys = ["experiment", "defence", "stage", "epoch"]
    mean = history.groupby(keys, sort=False)[["train_loss", "train_accuracy", "test_accuracy"]].mean().reset_index()
    mean["stage"] = pd.Categorical(mean["stage"], STAGES)
    runs = mean.groupby(["experiment", "defence", "stage"], observed=True)["epoch"].max().reset_index()
    lengths = runs.pivot_table(index=["experiment", "defence"], columns="stage", values="epoch", observed=False, fill_value=0)
    offsets = lengths.cumsum(axis=1).shift(axis=1, fill_value=0)
    before = [offsets.loc[(row.experiment, row.defence), row.stage] for row in mean.itertuples()]
    return mean.assign(total_epoch=mean["epoch"] + before).sort_values(["experiment", "total_epoch"], kind="stable")


def _finding(table: pd.DataFrame) -> str:
    last = table.dropna(subset=["test_accuracy"]).groupby(["experiment", "defence"], sort=False).last()
    best, worst = last["test_accuracy"].idxmax(), last["test_accuracy"].idxmin()
    return (
        f"The test accuracy ends highest with {readable(best[1])} ({last['test_accuracy'].max():.3f}) "
        f"and lowest with {readable(worst[1])} ({last['test_accuracy'].min():.3f})."
    )
