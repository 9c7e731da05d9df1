"""ROC curves on logarithmic axes, which show the low false-positive rates that decide."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mia_pruning.metrics.audit import most_true_positives
from mia_pruning.metrics.names import TPR_AT
from mia_pruning.registry import figure
from mia_pruning.reporting.interactive import Panel, dotted, line, panel
from mia_pruning.reporting.style import colours, in_order, name_beside, readable, web_colours
from mia_pruning.reporting.tables import Drawing, Tables, pick

#: The curve of a guarantee is drawn at these false-positive rates.
FPR = np.logspace(-3, 0, 61)
#: A bound above this share of members cannot be told from the frame.
ALMOST_ALL = 0.95
DASHED = "a dashed line is the most that any attack can reach against what a defence promises, if members are drawn one by one"


@figure(
    of_attacks=True,
    section="privacy",
    heading="Low false-positive rates",
    columns="the curves of roc.csv, mean over seeds",
)
def roc(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    curves = pick(tables["roc"], attacker="adaptive")
    experiments = in_order(curves, "experiment")
    defences = in_order(tables["results"], "defence")
    colour, seen = colours(defences), pick(tables["results"], metric="auc", attacker="adaptive")
    if curves.empty or seen.empty:
        return _without(tables)
    reference = in_order(seen, "defence")[0]
    attacks = _shown_attacks(pick(seen, defence=reference), headline["attack"])
    table = (
        pick(curves, attack=attacks)
        .groupby(["experiment", "attack", "defence", "fpr"], sort=False)[["tpr", "low", "high"]]
        .mean()
        .reset_index()
    )
    promised = _binding(tables["guarantees"])
    size = (4.6 * len(attacks) + 1.6, 4.4 * len(experiments))
    drawn, axes = plt.subplots(
        len(experiments), len(attacks), figsize=size, squeeze=False, sharex=True, sharey=True
    )
    for row, experiment in zip(axes, experiments, strict=True):
        for axis, attack in zip(row, attacks, strict=True):
            for defence, curve in pick(table, experiment=experiment, attack=attack).groupby(
                "defence", sort=False
            ):
                visible = curve[(curve["fpr"] > 0) & (curve["tpr"] > 0)]
                axis.plot(
                    visible["fpr"], visible["tpr"], color=colour[defence], label=readable(defence)
                )
                axis.fill_between(
                    visible["fpr"],
                    visible["low"],
                    visible["high"],
                    color=colour[defence],
                    alpha=0.12,
                    linewidth=0,
                )
            for defence, most in promised.get(experiment, {}).items():
                axis.plot(
                    FPR,
                    most,
                    color=colour[defence],
                    linestyle="--",
                    linewidth=1,
                    label=f"most by {readable(defence)}",
                )
            axis.plot([1e-3, 1], [1e-3, 1], color="grey", linestyle=":", linewidth=1)
            axis.set(
                xscale="log",
                yscale="log",
                xlim=(1e-3, 1),
                ylim=(1e-3, 1),
                xlabel="false-positive rate",
            )
            axis.set_title(f"{readable(experiment)}: {readable(attack)}")
        row[0].set_ylabel("true-positive rate")
        name_beside(row[-1], fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(tables["results"]),
        "Mean over targets at equal false-positive rates with its 95 % band over targets, which is told where a curve is pointed "
        f"at; adaptive attacker. The dotted line is guessing{'; ' + DASHED if set(promised) & set(experiments) else ''}. "
        f"Shown are the headline attack and the one with the highest AUC on the {readable(reference)}.",
        [
            _panel(experiment, attack, table, tables["results"])
            for experiment in experiments
            for attack in attacks
        ],
    )


def _binding(guarantees: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Return the most true positives that the weakest promise allows.

    The keys are experiment, then defence. A promise that allows almost all of them is left out.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for (experiment, defence), part in guarantees.dropna(subset=["epsilon"]).groupby(
        ["experiment", "defence"], sort=False
    ):
        weakest = part.loc[part["epsilon"].idxmax()]
        most = most_true_positives(FPR, weakest["epsilon"], weakest["delta"])
        if most.min() < ALMOST_ALL:
            found.setdefault(experiment, {})[defence] = most
    return found


def _panel(experiment: str, attack: str, table: pd.DataFrame, results: pd.DataFrame) -> Panel:
    colour = web_colours(in_order(results, "defence"))
    lines = []
    for defence, curve in pick(table, experiment=experiment, attack=attack).groupby(
        "defence", sort=False
    ):
        visible = curve[(curve["fpr"] > 0) & (curve["tpr"] > 0)]
        drawn = line(visible["fpr"], visible["tpr"], readable(defence), colour[defence])
        bands = [
            f"{low:.3f} to {high:.3f}"
            for low, high in zip(visible["low"], visible["high"], strict=True)
        ]
        lines.append(
            {
                **drawn,
                "customdata": bands,
                "hovertemplate": f"{readable(defence)}<br>%{{y:.3f}} of members (%{{customdata}})<br>"
                "at %{x:.4f} false positives<extra></extra>",
            }
        )
    axis = {"type": "log", "range": [-3, 0]}
    x, y = {**axis, "title": "false-positive rate"}, {**axis, "title": "true-positive rate"}
    return panel(
        f"{readable(experiment)}: {readable(attack)}", [dotted([1e-3, 1], [1e-3, 1]), *lines], x, y
    )


def _without(tables: Tables) -> Drawing:
    drawn, axis = plt.subplots(figsize=(5, 1))
    finding = "No adaptive attack gave a result."
    axis.text(0.5, 0.5, finding, ha="center", va="center")
    axis.set_axis_off()
    return Drawing(drawn, tables["roc"].iloc[:0], finding, "")


def _shown_attacks(aucs: pd.DataFrame, headline: str) -> list[str]:
    strongest = aucs.groupby("attack")["value"].mean().idxmax()
    return (
        list(dict.fromkeys([headline, strongest]))
        if headline in set(aucs["attack"])
        else [strongest]
    )


def _finding(results: pd.DataFrame) -> str:
    """State the highest true-positive rate of all adaptive attacks, drawn or not.

    It is that at the lowest false-positive rate of which the study can speak.
    """
    rows = pick(results, attacker="adaptive")
    for metric, fpr in sorted(TPR_AT.items(), key=lambda item: item[1]):
        at_rate = pick(rows, metric=metric)
        if len(at_rate):
            above = at_rate[at_rate["low"] > 0]
            top = (above if len(above) else at_rate).loc[lambda table: table["value"].idxmax()]
            rate = f"{top['value']:.3f} ({top['low']:.3f} to {top['high']:.3f})"
            sure = " whose interval lies above 0" if len(above) else ""
            return (
                f"At {100 * fpr:g} % false positives the highest true-positive rate of all adaptive attacks{sure} is {rate}: "
                f"{readable(top['attack'])} on {readable(top['defence'])}, {readable(top['experiment'])}."
            )
    return "There are too few non-members for a true-positive rate at a low false-positive rate."
