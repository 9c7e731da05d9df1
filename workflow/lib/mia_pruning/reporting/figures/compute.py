"""Privacy and accuracy per unit of compute: the cost of each defence's training, and its yield."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import LABELS, colours, in_order, name_beside, named, readable
from mia_pruning.reporting.tables import Drawing, Tables, error_bars, wide


@figure(
    of_attacks=True,
    section="cost",
    heading="What it costs to train",
    columns="training FLOPs, sample-passes, attack and test accuracy of each defence",
)
def compute(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    chosen = {
        "training_flops": {"metric": "training_flops"},
        "sample_passes": {"metric": "sample_passes"},
        "attack_accuracy": {"metric": "attack_accuracy", **headline},
        "test_accuracy": {"metric": "test_accuracy"},
    }
    parts = [
        wide(results, name, chosen).assign(experiment=name)
        for name in in_order(results, "experiment")
    ]
    table = pd.concat(parts, ignore_index=True)
    colour = colours(in_order(results, "defence"))
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    for axis, metric in zip(axes, ("attack_accuracy", "test_accuracy"), strict=True):
        for _, row in table.dropna(subset=[metric]).iterrows():
            label = f"{readable(row['experiment'])}: {readable(row['defence'])}"
            bars = error_bars(row.to_frame().T, metric)
            axis.errorbar(
                row["training_flops"],
                row[metric],
                yerr=bars,
                fmt="o",
                color=colour[row["defence"]],
                capsize=2,
                label=label,
            )
        axis.set(xlabel="FLOPs to train one model", ylabel=LABELS[metric], xscale="log")
    name_beside(axes[1], fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "From the first epoch of dense training to the last of retraining: sample-passes, times the dense network's operations "
        "for one. A sample-pass is one example forward and backward through the network, a forward pass alone a third of it; "
        "zeros save nothing while training. Bars are 95 % intervals over targets and examples.",
    )


def _finding(table: pd.DataFrame) -> str:
    trained = table.sort_values("training_flops")
    least, most = trained.iloc[0], trained.iloc[-1]
    return f"Training one model takes from {_cost(least)} to {_cost(most)}."


def _cost(row: pd.Series) -> str:
    return f"{row['training_flops']:.2g} FLOPs in {row['sample_passes']:,.0f} sample-passes ({named(row)})"
