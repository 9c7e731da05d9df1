"""Attack accuracy against test accuracy, every defence."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.registry import figure
from mia_pruning.reporting.interactive import Panel, dotted, line, numbers, panel
from mia_pruning.reporting.style import (
    LABELS,
    colours,
    in_order,
    name_beside,
    readable,
    web_colours,
)
from mia_pruning.reporting.tables import Drawing, Tables, error_bars, pick, wide

DENSE = (
    " The grey line joins dense networks that were trained for longer or shorter: what lies below it is better than to stop "
    "training at its accuracy."
)
#: This much attack accuracy is left free above and below.
MARGIN = 0.01


@figure(
    of_attacks=True,
    section="overview",
    heading="The trade-off",
    columns="test and attack accuracy of each defence, by the strongest and the headline attack",
)
def trade_off(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    results = tables["results"]
    experiments = in_order(results, "experiment")
    colour = colours(in_order(results, "defence"))
    attacks = [
        wanted
        for wanted in (STRONGEST, headline)
        if len(pick(results, metric="attack_accuracy", **wanted))
    ]
    size = (6.4 * len(experiments), 4.0 * len(attacks))
    drawn, axes = plt.subplots(
        len(attacks), len(experiments), figsize=size, squeeze=False, sharex="col", sharey=True
    )
    parts = []
    for row, attack in zip(axes, attacks, strict=True):
        for axis, experiment in zip(row, experiments, strict=True):
            metrics = {
                "test_accuracy": {"metric": "test_accuracy"},
                "attack_accuracy": {"metric": "attack_accuracy", **attack},
            }
            table = wide(results, experiment, metrics)
            axis.plot(*frontier_of(table, results), color="grey", linewidth=1, zorder=0)
            _draw(axis, table, colour)
            axis.set_title(f"{readable(experiment)}: {_named(attack)}")
            parts.append(table.assign(experiment=experiment, **attack))
        row[0].set_ylabel(LABELS["attack_accuracy"])
    for axis in axes[-1]:
        axis.set_xlabel(LABELS["test_accuracy"])
    for axis in axes.flat:
        axis.tick_params(labelbottom=True)
    name_beside(axes[0][-1])
    together = pd.concat(parts, ignore_index=True)
    seen = numbers(
        [
            min(0.5, together["attack_accuracy_low"].min()) - MARGIN,
            together["attack_accuracy_high"].max() + MARGIN,
        ]
    )
    return Drawing(
        drawn,
        together,
        _finding(
            together,
            pick(results, metric="compression").set_index(["experiment", "defence"])["value"],
        ),
        "Lower right is better. The strongest attack is chosen on one half of the examples and measured on the other; "
        f"the headline attack is {readable(headline['attack'])}, {readable(headline['attacker'])}. "
        "Bars are 95 % intervals over targets and examples. The dotted line is guessing."
        + (DENSE if results["frontier"].any() else ""),
        [
            _panel(rows, results, seen=seen, explained=attack == attacks[-1]["attack"])
            for (attack, _), rows in together.groupby(["attack", "experiment"], sort=False)
        ],
    )


def _named(attack: Mapping[str, str]) -> str:
    """Return the attack as titles and sentences name it.

    >>> _named(STRONGEST), _named({"attack": "shadow_network", "attacker": "adaptive"})
    ('the strongest attack', 'shadow network')
    """
    return "the strongest attack" if dict(attack) == STRONGEST else readable(attack["attack"])


def frontier_of(table: pd.DataFrame, results: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Return the line through the dense networks that defences are matched with.

    It is their test and attack accuracies, ordered by the former.
    """
    names = set(results.loc[results["frontier"], "defence"])
    dense = (
        table[table["defence"].isin(names)]
        .dropna(subset=["test_accuracy", "attack_accuracy"])
        .sort_values("test_accuracy")
    )
    return dense["test_accuracy"].tolist(), dense["attack_accuracy"].tolist()


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


def _panel(
    table: pd.DataFrame, results: pd.DataFrame, *, seen: list[float], explained: bool
) -> Panel:
    """Return a panel with each defence as a point that shows its numbers and its compression.

    seen: the attack accuracies that the panel has room for; explained: whether a legend names the
    colours.
    """
    experiment, attack, attacker = table[["experiment", "attack", "attacker"]].iloc[0]
    compression = pick(results, experiment=experiment, metric="compression").set_index("defence")[
        "value"
    ]
    colour = web_colours(in_order(results, "defence"))
    shown = table.dropna(subset=["test_accuracy", "attack_accuracy"])
    points = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": readable(row["defence"]),
            "showlegend": explained,
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
    dense = {
        **line(*frontier_of(table, results), "", "#9aa3ad", width=1),
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return panel(title, [dotted(ends, [0.5, 0.5]), dense, *points], *axes)


def _bar(row: pd.Series, name: str) -> dict[str, Any]:
    above, below = row[f"{name}_high"] - row[name], row[name] - row[f"{name}_low"]
    return {
        "type": "data",
        "symmetric": False,
        "array": numbers([above]),
        "arrayminus": numbers([below]),
        "thickness": 1,
    }


def _interval(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _finding(table: pd.DataFrame, compression: pd.Series) -> str:
    """Name the pruned network with the lowest attack accuracy, and the network of all.

    Each is named with what it costs in test accuracy.
    """
    sentences = []
    about = ["experiment", "attack", "attacker"]
    for (experiment, attack, attacker), rows in table.dropna(subset=["attack_accuracy"]).groupby(
        about, sort=False
    ):
        base = rows.iloc[0]
        pruned = rows[[compression.get((experiment, name), 1.0) > 1 for name in rows["defence"]]]
        parts = [f"{readable(base['defence'])} {base['attack_accuracy']:.3f}"]
        lowest = dict.fromkeys(
            part["attack_accuracy"].astype(float).idxmin() for part in (pruned, rows) if len(part)
        )
        parts += [_lowest(rows.loc[index], base, pruned.index) for index in lowest]
        where = f"{readable(experiment)}, {_named({'attack': attack, 'attacker': attacker})}"
        sentences.append(f"Attack accuracy on {where}: {'; '.join(parts)}.")
    return " ".join(sentences)


def _lowest(row: pd.Series, base: pd.Series, pruned: pd.Index) -> str:
    cost = 100 * (base["test_accuracy"] - row["test_accuracy"])
    paid = (
        f" at {abs(cost):.1f} points {'less' if cost > 0 else 'more'} test accuracy"
        if row.name != base.name
        else ""
    )
    among = "the pruned" if row.name in pruned else "all"
    return f"lowest of {among} {row['attack_accuracy']:.3f} ({readable(row['defence'])}){paid}"
