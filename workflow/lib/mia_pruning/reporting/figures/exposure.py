"""The exposure of each example under a defence against that under the baseline."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.exposing import HALVES, LUCK, NO_LEAK_HALVES, shared_exposure
from mia_pruning.reporting.interactive import Panel, dotted, numbers, panel
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import colours, in_order, readable, web_colours
from mia_pruning.reporting.tables import WHERE, Drawing, Tables, pick
from mia_pruning.types import BASELINE

#: At most this many defences have a panel of their own, in the study's order. A point names at
#: most this many examples.
MOST_SHOWN, MOST_NAMED = 3, 6
#: These columns of the table are the ends of what luck alone leaves of the exposures.
BOX = ("baseline_luck_low", "baseline_luck_high", "luck_low", "luck_high")


@figure(
    section="examples",
    heading="Every example",
    columns="how many examples, and which, have each pair of exposures: on the baseline and "
    "under each of the first three other defences; `baseline_luck_low` to `luck_high`: "
    "the 1 % and 99 % quantiles of both without any leak",
)
def exposure(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    exposed = tables["exposed"]
    table = counted(exposed)
    if table.empty:
        drawn, axis = plt.subplots(figsize=(5, 1))
        axis.set_axis_off()
        too_few = "Single examples cannot be told apart: that takes two pairs of targets, on the baseline and on another defence."
        axis.text(0.5, 0.5, too_few, ha="center", va="center", wrap=True)
        return Drawing(drawn, table, too_few, "")
    panels = list(table.groupby(WHERE, sort=False))
    colour, n_columns = (
        colours(in_order(tables["results"], "defence")),
        min(len(panels), MOST_SHOWN),
    )
    n_rows = -(-len(panels) // n_columns)
    drawn, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(3.4 * n_columns, 3.4 * n_rows),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, ((experiment, defence), points) in zip(axes.flat, panels, strict=False):
        area = 120 * points["n_examples"] / points["n_examples"].max() + 2
        axis.scatter(
            points["baseline"],
            points["exposure"],
            s=area,
            color=colour[defence],
            alpha=0.6,
            linewidth=0,
        )
        axis.fill(*_luck_box(points), color="grey", alpha=0.12, linewidth=0)
        axis.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
        axis.set(
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
            title=f"{readable(experiment)}: {readable(defence)}",
            aspect="equal",
        )
    drawn.supxlabel("exposure on the baseline")
    drawn.supylabel("exposure under the defence")
    correlations = tables["exposure_correlation"]
    shared = {
        name: shared_exposure(pick(correlations, experiment=name))
        for name in in_order(correlations, "experiment")
    }
    findings = [
        f"{readable(name)}: correlation of exposures with the baseline's. {said}"
        for name, said in shared.items()
    ]
    return Drawing(
        drawn,
        table,
        " ".join(findings),
        "An example's exposure is the share of pairs of models, one trained on it and one not, in which the first gives its "
        "label the higher log-odds, the mean of two halves of the models. Without any leak its mean is 0.5, and luck alone "
        "leaves 98 % of the examples between the ends of the grey box, on either axis. A point is all examples with the same two "
        "exposures, larger where they are more; below the dotted line are examples that the defence exposes less. First seed; "
        "the first three defences besides the baseline.",
        [_panel(*where, points, tables["results"]) for where, points in panels],
    )


def counted(exposed: pd.DataFrame) -> pd.DataFrame:
    """Count and name the examples that have each pair of exposures.

    There are rows for each experiment and each of its first defences.
    """
    parts = []
    for experiment, rows in exposed.groupby("experiment", sort=False):
        seeds = [seed for seed, part in rows.groupby("seed") if {BASELINE} < set(part["defence"])]
        first = rows[rows["seed"].isin(seeds[:1])]
        both = first.assign(exposure=first[[*HALVES]].mean(axis=1))
        luck = _luck(first)
        means = both.pivot_table(index="example", columns="defence", values="exposure")
        others = (
            [name for name in in_order(first, "defence") if name != BASELINE][:MOST_SHOWN]
            if BASELINE in means
            else []
        )
        for defence in others:
            pairs = means[[BASELINE, defence]].dropna().reset_index()
            pairs.columns = ["example", "baseline", "exposure"]
            same = pairs.groupby(["baseline", "exposure"])["example"]
            points = same.agg(n_examples="size", examples=_named).reset_index()
            ends = zip(BOX, (*luck[BASELINE], *luck[defence]), strict=True)
            parts.append(points.assign(experiment=experiment, defence=defence, **dict(ends)))
    columns = [*WHERE, "baseline", "exposure", "n_examples", "examples", *BOX]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _luck(exposed: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the ends of what luck alone leaves of each defence's exposures, by the defence."""
    means = exposed.assign(luck=exposed[[*NO_LEAK_HALVES]].mean(axis=1)).groupby("defence")["luck"]
    return {defence: values.quantile(LUCK).to_numpy() for defence, values in means}


def _luck_box(points: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Return the corners of a panel's box, the first one twice."""
    left, right, bottom, top = points.iloc[0][[*BOX]]
    return [left, right, right, left, left], [bottom, bottom, top, top, bottom]


def _named(examples: pd.Series) -> str:
    return listed([*map(str, examples)], most=MOST_NAMED)


def _panel(experiment: str, defence: str, points: pd.DataFrame, results: pd.DataFrame) -> Panel:
    colour = web_colours(in_order(results, "defence"))[defence]
    share = points["n_examples"] / points["n_examples"].max()
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": readable(defence),
        "x": numbers(points["baseline"]),
        "y": numbers(points["exposure"]),
        "customdata": [
            list(pair)
            for pair in zip(points["n_examples"].tolist(), points["examples"], strict=True)
        ],
        "marker": {
            "color": colour,
            "opacity": 0.6,
            "size": numbers(3 + 12 * np.sqrt(share)),
        },
        "hovertemplate": "%{customdata[0]} examples: %{customdata[1]}<br>baseline %{x:.3f}<br>defence %{y:.3f}<extra></extra>",
    }
    axes = (
        {"title": f"exposure {where}", "range": [-0.03, 1.03]}
        for where in ("on the baseline", "under the defence")
    )
    lines = [dotted([0, 1], [0, 1]), dotted(*_luck_box(points))]
    return panel(f"{readable(experiment)}: {readable(defence)}", [*lines, trace], *axes)
