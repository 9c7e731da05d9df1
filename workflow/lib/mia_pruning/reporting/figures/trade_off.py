"""Attack accuracy against test accuracy, every defence."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.registry import figure
from mia_pruning.reporting.interactive import Panel, dotted, numbers, panel
from mia_pruning.reporting.style import LABELS, colours, in_order, name_beside, readable, web_colours
from mia_pruning.reporting.tables import Drawing, Tables, error_bars, pick, wide

#: of attack accuracy, left free above and below
MARGIN = 0.01


@figure(of_attacks=True)
def trade_off(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    experiments = in_order(results, "experiment")
    colour = colours(in_order(results, "defence"))
    attacks = [wanted for wanted in (STRONGEST, headline) if len(pick(results, metric="attack_accuracy", **wanted))]
    size = (6.4 * len(experiments), 4.0 * len(attacks))
    drawn, axes = plt.subplots(len(attacks), len(experiments), figsize=size, squeeze=False, sharex="col", sharey=True)
    parts = []
    for row, attack in zip(axes, attacks, strict=True):
        for axis, experiment in zip(row, experiments, strict=True):
            metrics = {"test_accuracy": {"metric": "test_accuracy"}, "attack_accuracy": {"metric": "attack_accuracy", **attack}}
            table = wide(results, experiment, metrics)
            _draw(axis, table, colour)
            axis.set_title(f"{readable(experiment)}: {_named(attack)}")
            parts.append(table.assign(experiment=experiment, **attack))
        row[0].set_ylabel(LABELS["attack_accuracy"])
    for axis in axes[-1]:
        axis.set_xlabel(LABELS["test_accuracy"])
    name_beside(axes[0][-1])
    together = pd.concat(parts, ignore_index=True)
    seen = numbers([min(0.5, together["attack_accuracy_low"].min()) - MARGIN, together["attack_accuracy_high"].max() + MARGIN])
    return Drawing(
        drawn,
        together,
        _finding(together),
        "Lower right is better. The strongest attack is, against each target, the one that was the most accurate on the other "
        f"targets; the headline attack is {readable(headline['attack'])}, {readable(headline['attacker'])}. "
        "Bars are 95 % intervals over targets and examples. The dotted line is guessing.",
        [
            _panel(rows, results, seen=seen, explained=attack == attacks[-1]["attack"])
            for (attack, _), rows in together.groupby(["attack", "experiment"], sort=False)
        ],
    )


def _named(attack: Mapping[str, str]) -> str:
    """
    >>> _named(STRONGEST), _named({"attack": "shadow_network", "attacker": "adaptive"})
    ('the strongest attack', 'shadow network')
    """
    return "the strongest attack" if dict(attack) == STRONGEST else readable(attack["attack"])


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


def _panel(table: pd.DataFrame, results: pd.DataFrame, *, seen: list[float], explained: bool) -> Panel:
    """Each defence as a point that tells its numbers and its compression.

    seen: the attack accuracies that the panel has room for; explained: whether a legend names the colours.
    """
    experiment, attack, attacker = table[["experiment", "attack", "attacker"]].iloc[0]
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
    axes = {"title": LABELS["test_accuracy"]}, {"title": LABELS["attack_accuracy"], "range": seen}
    title = f"{readable(experiment)}: {_named({'attack': attack, 'attacker': attacker})}"
    points = [{**point, "showlegend": explained} for point in points]
    return panel(title, [dotted(ends, [0.5, 0.5]), *points], *axes)


def _bar(row: pd.Series, name: str) -> dict[str, Any]:
    above, below = row[f"{name}_high"] - row[name], row[name] - row[f"{name}_low"]
    return {"type": "data", "symmetric": False, "array": numbers([above]), "arrayminus": numbers([below]), "thickness": 1}


def _interval(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _finding(table: pd.DataFrame) -> str:
    """Which defence has the lowest attack accuracy, and what it costs in test accuracy."""
    sentences = []
    about = ["experiment", "attack", "attacker"]
    for (experiment, attack, attacker), rows in table.dropna(subset=["attack_accuracy"]).groupby(about, sort=False):
        base, best = rows.iloc[0], rows.loc[rows["attack_accuracy"].astype(float).idxmin()]
        cost = 100 * (base["test_accuracy"] - best["test_accuracy"])
        sentences.append(
            f"{readable(experiment)}, {_named({'attack': attack, 'attacker': attacker})}: the lowest attack accuracy is "
            f"{best['attack_accuracy']:.3f} by {readable(best['defence'])}, against {base['attack_accuracy']:.3f} of the "
            f"{readable(base['defence'])}, at {abs(cost):.1f} points {'less' if cost > 0 else 'more'} test accuracy."
        )
    return " ".join(sentences)
