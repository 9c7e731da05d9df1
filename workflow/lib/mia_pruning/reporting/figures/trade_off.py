"""Attack accuracy against test accuracy, every defence."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.interactive import Panel, dotted, numbers, panel
from mia_pruning.reporting.style import LABELS, colours, in_order, name_beside, readable, web_colours
from mia_pruning.reporting.tables import Drawing, Tables, error_bars, pick, wide


@figure(of_attacks=True)
def trade_off(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    experiments = in_order(results, "experiment")
    colour = colours(in_order(results, "defence"))
    drawn, axes = plt.subplots(1, len(experiments), figsize=(6.4 * len(experiments), 4.4), squeeze=False)
    parts = []
    for axis, experiment in zip(axes[0], experiments, strict=True):
        table = wide(
            results,
            experiment,
            {"test_accuracy": {"metric": "test_accuracy"}, "attack_accuracy": {"metric": "attack_accuracy", **headline}},
        )
        _draw(axis, table, colour)
        axis.set_title(readable(experiment))
        parts.append(table.assign(experiment=experiment))
    together = pd.concat(parts, ignore_index=True)
    return Drawing(
        drawn,
        together,
        _finding(together),
        f"Lower right is better. Attack: {readable(headline['attack'])}, {readable(headline['attacker'])}. "
        "Bars are 95 % intervals over targets and examples. The dotted line is guessing.",
        [_panel(name, rows, results) for name, rows in together.groupby("experiment", sort=False)],
    )


def _draw(axis: plt.Axes, table: pd.DataFrame, colour: Mapping[str, tuple]) -> None:
    for _, row in table.iterrows():
        one = row.to_frame().T
        axis.errorbar(
            row["test_accuracy"],
            row["attack_accuracy"],
            xerr=error_bars(one, "test_accuracy"),
            yerr=error_bars(one, "attack_accuracy"),
            fmt="o",
            color=colour[row["defence"]],
            capsize=2,
            label=readable(row["defence"]),
        )
    axis.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    axis.set_xlabel(LABELS["test_accuracy"])
    axis.set_ylabel(LABELS["attack_accuracy"])
    name_beside(axis)


def _panel(experiment: str, table: pd.DataFrame, results: pd.DataFrame) -> Panel:
    """Each defence as a point that tells its numbers and its compression."""
    compression = pick(results, experiment=experiment, metric="compression").set_index("defence")["value"]
    colour = web_colours(in_order(results, "defence"))
    shown = table.dropna(subset=["test_accuracy", "attack_accuracy"])
    points = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": readable(row["defence"]),
            "x": numbers([row["test_accuracy"]]),
            "y": numbers([row["attack_accuracy"]]),
            "error_x": _bar(row, "test_accuracy"),
            "error_y": _bar(row, "attack_accuracy"),
            "marker": {"color": colour[row["defence"]], "size": 9},
            "hovertemplate": f"{readable(row['defence'])}<br>test accuracy {_interval(row, 'test_accuracy')}<br>"
            f"attack accuracy {_interval(row, 'attack_accuracy')}<br>compression {compression.get(row['defence'], 1.0):.4g}"
            "<extra></extra>",
        }
        for _, row in shown.iterrows()
    ]
    ends = [shown["test_accuracy_low"].min(), shown["test_accuracy_high"].max()]
    axes = {"title": LABELS["test_accuracy"]}, {"title": LABELS["attack_accuracy"]}
    return panel(readable(experiment), [dotted(ends, [0.5, 0.5]), *points], *axes)


def _bar(row: pd.Series, name: str) -> dict[str, Any]:
    above, below = row[f"{name}_high"] - row[name], row[name] - row[f"{name}_low"]
    return {"type": "data", "symmetric": False, "array": numbers([above]), "arrayminus": numbers([below]), "thickness": 1}


def _interval(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _finding(table: pd.DataFrame) -> str:
    """Which defence has the lowest attack accuracy, and what it costs in test accuracy."""
    sentences = []
    for experiment, rows in table.dropna(subset=["attack_accuracy"]).groupby("experiment", sort=False):
        base, best = rows.iloc[0], rows.loc[rows["attack_accuracy"].astype(float).idxmin()]
        cost = 100 * (base["test_accuracy"] - best["test_accuracy"])
        sentences.append(
            f"{readable(experiment)}: the lowest attack accuracy is {best['attack_accuracy']:.3f} "
            f"by {readable(best['defence'])}, against {base['attack_accuracy']:.3f} of the {readable(base['defence'])}, "
            f"at {abs(cost):.1f} points {'less' if cost > 0 else 'more'} test accuracy."
        )
    return " ".join(sentences)
