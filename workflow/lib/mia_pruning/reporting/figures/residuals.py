"""ADMM's primal and dual residuals by layer: does the network move into the sparsity set?"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import depths, name_beside, named
from mia_pruning.reporting.tables import Drawing, Tables

WHOLE = "all layers"


@figure(
    section="theory",
    heading="T3: does ADMM converge?",
    order=3,
    columns="`primal` and `dual` over the weights' norm, mean over models",
)
def residuals(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = _relative(tables["residuals"])
    solved = list(table.groupby(["experiment", "defence"], sort=False)) if len(table) else []
    drawn, axes = plt.subplots(
        max(1, len(solved)),
        2,
        figsize=(10, 3.0 * max(1, len(solved))),
        squeeze=False,
        sharex=True,
        sharey="col",
    )
    for row, (_, rows) in zip(axes, solved, strict=False):
        layers = [layer for layer in rows["layer"].unique() if layer != WHOLE]
        colour = {**depths(layers), WHOLE: "black"}
        for axis, which in zip(row, ("primal", "dual"), strict=True):
            for layer, line in rows.groupby("layer", sort=False):
                width = 2.0 if layer == WHOLE else 1.0
                axis.plot(
                    line["epoch"], line[which], color=colour[layer], linewidth=width, label=layer
                )
            axis.set(
                title=named(rows.iloc[0]),
                xlabel="ADMM epoch",
                ylabel=f"{which} residual / ||W||",
                yscale="log",
            )
            axis.xaxis.get_major_locator().set_params(integer=True)
        name_beside(row[1], fontsize="x-small", ncols=1 + len(layers) // 12)
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Primal: ||W - Z||; dual: rho ||Z - Z before||; of each layer, and of all together, relative to ||W||, mean over models; "
        "lines of layers near the input are light, of those near the output dark. There is one point a step of ADMM; rho may "
        "rise from one to the next. A line that is broken off has come to exactly 0.",
    )


def _relative(residuals: pd.DataFrame) -> pd.DataFrame:
    """Return residuals relative to the weights.

    There is one row an experiment, defence, layer (or all of them) and epoch.
    """
    if residuals.empty:
        return residuals
    squares = residuals.assign(
        **{name: residuals[name] ** 2 for name in ("primal", "dual", "weight_norm")}
    )
    keys = ["experiment", "seed", "defence", "model", "layer", "epoch"]
    both = pd.concat([squares, squares.assign(layer=WHOLE)])
    norms = both.groupby(keys, sort=False)[["primal", "dual", "weight_norm"]].sum() ** 0.5
    relative = norms[["primal", "dual"]].div(norms["weight_norm"], axis=0)
    return (
        relative.groupby(["experiment", "defence", "layer", "epoch"], sort=False)
        .mean()
        .reset_index()
    )


def _finding(table: pd.DataFrame) -> str:
    if table.empty:
        return "No defence in these results is solved by ADMM."
    last = table[
        table["epoch"] == table.groupby(["experiment", "defence"])["epoch"].transform("max")
    ]
    parts = [_farthest(rows) for _, rows in last.groupby(["experiment", "defence"], sort=False)]
    return f"After the last epoch the primal residual, relative to the weights, is {listed(parts, between='; ')}."


def _farthest(rows: pd.DataFrame) -> str:
    whole, layers = rows[rows["layer"] == WHOLE].iloc[0], rows[rows["layer"] != WHOLE]
    worst = layers.loc[layers["primal"].idxmax()]
    return f"{100 * whole['primal']:.1f} % ({named(whole)}; at most {100 * worst['primal']:.1f} %, in {worst['layer']})"
