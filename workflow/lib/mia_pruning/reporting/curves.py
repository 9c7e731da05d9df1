"""A model's training as one curve over its phases."""

import pandas as pd

STAGES = ["train", "prune", "retrain"]


def joined(history: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over models, stages one after the other.

    `total_epoch` counts epochs from the start of dense training.
    """
    keys = ["experiment", "defence", "stage", "epoch"]
    mean = (
        history.groupby(keys, sort=False)[["train_loss", "train_accuracy", "test_accuracy", "gain"]]
        .mean()
        .reset_index()
    )
    mean["stage"] = pd.Categorical(mean["stage"], STAGES)
    runs = (
        mean.groupby(["experiment", "defence", "stage"], observed=True)["epoch"].max().reset_index()
    )
    lengths = runs.pivot_table(
        index=["experiment", "defence"],
        columns="stage",
        values="epoch",
        observed=False,
        fill_value=0,
    )
    offsets = lengths.cumsum(axis=1).shift(axis=1, fill_value=0)
    before = [offsets.loc[(row.experiment, row.defence), row.stage] for row in mean.itertuples()]
    return mean.assign(total_epoch=mean["epoch"] + before).sort_values(
        ["experiment", "total_epoch"], kind="stable"
    )
