"""Privacy and accuracy per unit of compute: what each defence's training costs and what it buys."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import LABELS, colours, in_order, readable
from mia_pruning.reporting.tables import Drawing, Tables, error_bars, wide


@figure
def compute(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    chosen = {
        "sample_passes": {"metric": "sample_passes"},
        "attack_accuracy": {"metric": "attack_accuracy", **headline},
        "test_accuracy": {"metric": "test_accuracy"},
    }
    parts = [wide(results, name, chosen).assign(experiment=name) for name in in_order(results, "experiment")]
    table = pd.concat(parts, ignore_index=True)
    colour = colours(in_order(results, "defence"))
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    for axis, metric in zip(axes, ("attack_accuracy", "test_accuracy"), strict=True):
        for _, row in table.dropna(subset=[metric]).iterrows():
            label = f"{readable(row['experiment'])}: {readable(row['defence'])}"
            bars = error_bars(row.to_frame().T, metric)
            axis.errorbar(
                row["sample_passes"], row[metric], yerr=bars, fmt="o", color=colour[row["defence"]], capsize=2, label=label
            )
        axis.set(xlabel="sample-passes of training, one model", ylabel=LABELS[metric], xscale="log")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "A sample-pass is one example forward and backward through the network, a forward pass alone a third of it, from the "
        "first epoch of dense training to the last of retraining. Bars are 95 % intervals over targets and examples.",
    )


def _finding(table: pd.DataFrame) -> str:
    trained = table.sort_values("sample_passes")
    least, most = trained.iloc[0], trained.iloc[-1]
    return (
        f"One model takes from {least['sample_passes']:,.0f} ({readable(least['defence'])}) to "
        f"{most['sample_passes']:,.0f} sample-passes ({readable(most['defence'])})."
    )
