"""The theory of the Min-Max game: the divergence of members' and non-members' outputs.

The figure shows what attacks that divergence allows.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.metrics.divergence import LOG_2, accuracy_bound
from mia_pruning.registry import figure
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import LABELS, colours, in_order, name_beside, named, readable
from mia_pruning.reporting.tables import Drawing, Tables, error_bars, wide


@figure(
    of_attacks=True,
    section="theory",
    heading="T1: divergence, gain and the attacks that they allow",
    columns="`highest_gain`: JS less log 2; `accuracy_bound`: the attack accuracy that it allows",
)
def divergence(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    chosen = {
        "js_divergence": {"metric": "js_divergence"},
        "gain": {"metric": "gain", **headline},
        "attack_accuracy": {"metric": "attack_accuracy", **headline},
    }
    parts = [
        wide(results, name, chosen).assign(experiment=name)
        for name in in_order(results, "experiment")
    ]
    table = pd.concat(parts, ignore_index=True)
    table[["highest_gain", "highest_gain_low", "highest_gain_high"]] = (
        table[["js_divergence", "js_divergence_low", "js_divergence_high"]] - LOG_2
    )
    for end in ("", "_low", "_high"):
        table[f"accuracy_bound{end}"] = table[f"js_divergence{end}"].map(accuracy_bound)
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.2))
    colour = colours(in_order(results, "defence"))
    _against(axes[0], table, "highest_gain", "gain", colour)
    _against(axes[1], table, "accuracy_bound", "attack_accuracy", colour)
    axes[0].set(
        xlabel="JS divergence - log 2 (nats)",
        ylabel="gain of the headline attack's score, held out (nats)",
    )
    axes[1].set(
        xlabel="attack accuracy that this divergence allows", ylabel=LABELS["attack_accuracy"]
    )
    name_beside(axes[1], fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Left: the line is JS - log 2, the most that an attacker can gain at a divergence, and the points are what the headline "
        "attack's scores gain on examples held out; a point below -log 2 is an attack whose probabilities are worse than a half. "
        "Right: the attack accuracy that the divergence allows (Fano), against the one measured. The divergence is that of the "
        "true class's log-odds, counted in 20 bins, less the bias of counting: a lower estimate of that of whole outputs and "
        "labels, so it bounds attackers who see no more than this, and one who sees more can lie above the line. "
        "Near 0 it can come out below 0. "
        "Bars are 95 % intervals over targets and examples.",
    )


def _against(
    axis: plt.Axes, table: pd.DataFrame, theory: str, measured: str, colour: Mapping[str, tuple]
) -> None:
    for _, row in table.dropna(subset=[measured]).iterrows():
        one = row.to_frame().T
        bars = {"xerr": error_bars(one, theory), "yerr": error_bars(one, measured)}
        label = f"{readable(row['experiment'])}: {readable(row['defence'])}"
        axis.errorbar(
            row[theory],
            row[measured],
            fmt="o",
            color=colour[row["defence"]],
            capsize=2,
            label=label,
            **bars,
        )
    ends = [table[[theory, measured]].min(axis=None), table[[theory, measured]].max(axis=None)]
    axis.plot(ends, ends, color="grey", linestyle=":", linewidth=1)


def _finding(table: pd.DataFrame) -> str:
    above = table[table["attack_accuracy_low"] > table["accuracy_bound_high"]]
    extremes = [
        table.loc[table["js_divergence"].idxmax()],
        table.loc[table["js_divergence"].idxmin()],
    ]
    most, least = (f"{row['js_divergence']:.4f} nats ({named(row)})" for row in extremes)
    breakers = listed([named(row) for _, row in above.iterrows()])
    beyond = f"lies above the bound on {breakers}" if breakers else "lies above the bound nowhere"
    return f"The divergence is largest at {most}, least at {least}; the headline attack {beyond}."
