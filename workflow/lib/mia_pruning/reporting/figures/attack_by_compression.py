"""Attack accuracy against compression by the headline attack, and every attack on each defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import (
    LABELS,
    colours,
    in_order,
    mark_rates,
    markers,
    name_beside,
    readable,
)
from mia_pruning.reporting.tables import Drawing, Tables, pick

COLUMNS = ["experiment", "defence", "attack", "attacker", "compression", "value", "low", "high"]


@figure(
    of_attacks=True,
    section="compression",
    heading="Attack accuracy and compression",
    columns="`value` is the attack accuracy",
)
def attack_by_compression(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    rates = pick(results, metric="compression").rename(columns={"value": "compression"})
    table = pick(results, metric="attack_accuracy").merge(
        rates[["experiment", "defence", "compression"]], on=["experiment", "defence"]
    )[COLUMNS]
    experiments = in_order(results, "experiment")
    drawn, axes = plt.subplots(
        len(experiments), 2, figsize=(11.5, 4.4 * len(experiments)), squeeze=False, sharey="row"
    )
    for (left, right), experiment in zip(axes, experiments, strict=True):
        rows = table[table["experiment"] == experiment]
        _draw_headline(
            left, pick(rows, attack=headline["attack"]), colours(in_order(results, "defence"))
        )
        _draw_attacks(right, pick(rows, attacker=headline["attacker"]))
        left.set_ylabel(f"{readable(experiment)}\n{LABELS['attack_accuracy']}")
        left.set_xlabel(LABELS["compression"])
        mark_rates(left, rows["compression"])
        for axis in (left, right):
            axis.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    return Drawing(
        drawn,
        table,
        _finding(table, headline),
        f"Left: the attack {readable(headline['attack'])}; filled marks: its shadows went through the same defence; "
        "hollow ones: they are dense. Right: every attack, adaptive. "
        "Bars are 95 % intervals over targets and examples.",
    )


def _draw_headline(axis: plt.Axes, rows: pd.DataFrame, colour: Mapping[str, tuple]) -> None:
    for (defence, attacker), part in rows.groupby(["defence", "attacker"], sort=False):
        row, adaptive = part.iloc[0], attacker == "adaptive"
        axis.errorbar(
            row["compression"] * (1.0 if adaptive else 1.06),
            row["value"],
            yerr=[[row["value"] - row["low"]], [row["high"] - row["value"]]],
            fmt="o",
            color=colour[defence],
            markerfacecolor=colour[defence] if adaptive else "white",
            capsize=2,
            label=readable(defence) if adaptive else None,
        )
    axis.legend(fontsize="small")


def _draw_attacks(axis: plt.Axes, rows: pd.DataFrame) -> None:
    marker = markers(in_order(rows, "attack"))
    for attack, part in rows.groupby("attack", sort=False):
        names = [readable(defence) for defence in part["defence"]]
        axis.plot(
            names,
            part["value"],
            marker=marker[attack],
            markersize=5,
            linewidth=0.5,
            alpha=0.8,
            label=readable(attack),
        )
    axis.tick_params(axis="x", rotation=35)
    plt.setp(axis.get_xticklabels(), horizontalalignment="right", rotation_mode="anchor")
    name_beside(axis, fontsize="small")


def _finding(table: pd.DataFrame, headline: Mapping[str, str]) -> str:
    rows = pick(table, **headline)
    sentences = []
    for experiment, part in rows.groupby("experiment", sort=False):
        low, high = part.loc[part["value"].idxmin()], part.loc[part["value"].idxmax()]
        sentences.append(
            f"{readable(experiment)}: the attack accuracy of the {readable(headline['attack'])} lies between "
            f"{high['value']:.3f} ({readable(high['defence'])}, {high['compression']:.4g}x) and "
            f"{low['value']:.3f} ({readable(low['defence'])}, {low['compression']:.4g}x)."
        )
    return " ".join(sentences)
