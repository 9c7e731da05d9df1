"""Every claim that is about a difference: its interval, and the side on which it would hold."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mia_pruning.metrics.names import PRIVACY_METRICS
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.registry import figure
from mia_pruning.reporting.claims import INCONCLUSIVE, REFUTED, SUPPORTED
from mia_pruning.reporting.sentences import POINTS
from mia_pruning.reporting.style import in_order, name_beside, readable
from mia_pruning.reporting.tables import Drawing, Tables, pick

COLOURS = {SUPPORTED: "#0b6249", REFUTED: "#a4262c", INCONCLUSIVE: "#8a6d00"}
HOLDS = "#dfe6ee"
HEADLINE, BY_STRONGEST, WITHOUT = (
    "by the headline attack",
    "by the strongest attack, corrected",
    "without an attack",
)
#: Each has this mark, so far from the middle of its row.
MARKS = {HEADLINE: ("o", 0.16), BY_STRONGEST: ("s", -0.16), WITHOUT: ("D", 0.0)}
#: This share of all that is drawn is left free on either side of it.
MARGIN = 0.05


@figure(
    section="verdicts",
    heading="The claims as differences",
    columns="the conditions of claims on differences, for each claim's first defence: `by` "
    "which attack, the numbers in points, and the `outcome` of this one interval",
)
def claims(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = differences_of_claims(tables["verdicts"])
    if table.empty:
        drawn, axis = plt.subplots(figsize=(5, 1))
        nothing = "No claim about a difference could be tested."
        axis.text(0.5, 0.5, nothing, ha="center", va="center")
        axis.set_axis_off()
        return Drawing(drawn, table, nothing, "")
    experiments = in_order(table, "experiment")
    heights = [
        1.4 + 0.34 * pick(table, experiment=experiment)["condition"].nunique()
        for experiment in experiments
    ]
    drawn, axes = plt.subplots(
        len(experiments), 1, figsize=(8.0, sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, experiment in zip(axes.flat, experiments, strict=True):
        _draw(axis, pick(table, experiment=experiment))
        axis.set(title=readable(experiment), xlabel="difference, points")
    _explain(axes[0][0], table)
    return Drawing(
        drawn,
        table,
        " ".join(_finding(pick(table, experiment=name)) for name in experiments),
        "A claim holds in the grey part of its row, which begins at its threshold. Circles: the headline attack with its 95 % "
        "interval; squares: the strongest attack, with an interval so wide that all those of the claim hold at once; diamonds: "
        "what no attack is part of. A claim on two differences has two rows and holds if both do; a condition on a "
        "counted number, such as the compression, has no interval and no row.",
    )


def differences_of_claims(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return each claim's conditions on a difference, for its first defence, in points.

    They are by the headline attack and, corrected, by the strongest.
    """
    headline = verdicts[verdicts["headline"].astype(bool)]
    judged = headline[["claim", "experiment", "defence"]].drop_duplicates()
    strongest = pick(verdicts, **STRONGEST).merge(judged, on=list(judged.columns))
    attacked, by_strongest = (
        rows["metric"].isin(PRIVACY_METRICS) for rows in (headline, strongest)
    )
    by = np.where(attacked, HEADLINE, WITHOUT)
    marked = pd.concat(
        [headline.assign(by=by), _corrected(strongest[by_strongest]).assign(by=BY_STRONGEST)]
    )
    kept = marked[(marked["minus"] != "") & marked["metric"].isin(POINTS)].dropna(
        subset=["low", "high"]
    )
    in_points = kept.assign(
        **{name: 100 * kept[name] for name in ("threshold", "value", "low", "high")}
    )
    names = [_name(row, kept) for row in kept.to_dict("records")]
    about = ["claim", "experiment", "defence", "metric", "minus", "direction", "threshold"]
    columns = [*about, "condition", "by", "value", "low", "high", "outcome"]
    return in_points.assign(condition=names)[columns].reset_index(drop=True)


def _corrected(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        low=rows["corrected_low"], high=rows["corrected_high"], outcome=rows["corrected_outcome"]
    )


def _name(row: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """Return the claim's name, and where it has several conditions what tells them apart."""
    alike, said = pick(rows, claim=row["claim"]), [row["claim"]]
    telling = {
        "metric": readable(row["metric"]),
        "minus": f"less {readable(row['minus'])}",
        "direction": f"{readable(row['direction'])} {100 * row['threshold']:g}",
    }
    for column, words in telling.items():
        if len(set(alike[column])) > 1:
            said.append(words)
            alike = pick(alike, **{column: [row[column]]})
    return ": ".join(said)


def _draw(axis: plt.Axes, table: pd.DataFrame) -> None:
    rows = in_order(table, "condition")[::-1]
    ends = [*table["low"], *table["high"], *table["threshold"], 0.0]
    room = MARGIN * (max(ends) - min(ends))
    left, right = min(ends) - room, max(ends) + room
    for row in table.drop_duplicates("condition").to_dict("records"):
        begins = (
            (left, row["threshold"]) if row["direction"] == "below" else (row["threshold"], right)
        )
        axis.barh(
            rows.index(row["condition"]),
            begins[1] - begins[0],
            left=begins[0],
            height=0.8,
            color=HOLDS,
        )
    for row in table.to_dict("records"):
        mark, shift = MARKS[row["by"]]
        axis.errorbar(
            row["value"],
            rows.index(row["condition"]) + shift,
            xerr=[[row["value"] - row["low"]], [row["high"] - row["value"]]],
            fmt=mark,
            color=COLOURS[row["outcome"]],
            capsize=2,
        )
    axis.axvline(0.0, color="grey", linestyle=":", linewidth=1)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_xlim(left, right)
    axis.set_ylim(-0.6, len(rows) - 0.4)


def _explain(axis: plt.Axes, table: pd.DataFrame) -> None:
    """Draw a legend of the marks and of the colours."""
    for by in in_order(table, "by"):
        axis.plot([], [], linestyle="none", marker=MARKS[by][0], color="black", label=by)
    shown = {
        outcome: colour for outcome, colour in COLOURS.items() if outcome in set(table["outcome"])
    }
    for label, colour in {**shown, "where the claim holds": HOLDS}.items():
        axis.plot([], [], linewidth=6, solid_capstyle="butt", color=colour, label=label)
    name_beside(axis)


def _finding(table: pd.DataFrame) -> str:
    """Count an experiment's differences by outcome, for each of the attacks and without one."""
    counts = []
    for by, part in table.groupby("by", sort=False):
        found = [
            f"{n} {outcome}" for outcome in COLOURS if (n := (part["outcome"] == outcome).sum())
        ]
        counts.append(
            f"{by}, of {len(part)} difference{'s' if len(part) > 1 else ''} {', '.join(found)}"
        )
    return f"{readable(table['experiment'].iloc[0])}: {'; '.join(counts)}."
