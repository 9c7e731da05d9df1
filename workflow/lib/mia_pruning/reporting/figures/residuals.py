"""ADMM's primal and dual residuals: does the network really move into the sparsity set?"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from mia_pruning.registry import figure
from mia_pruning.reporting.style import colours, in_order, readable
from mia_pruning.reporting.tables import Drawing, Tables


@figure
def residuals(tables: Tables, headline: Mapping[str, str]) -> Drawing:
    table = _relative(tables["residuals"])
    colour = colours(in_order(tables["results"], "defence"))
    drawn, axes = plt.subplots(1, 2, figsize=(9, 3.8))
    for axis, which in zip(axes, ("primal", "dual"), strict=True):
        for (experiment, defence), rows in table.groupby(["experiment", "defence"], sort=False):
            axis.plot(rows["epoch"], rows[which], color=colour[defence], label=f"{readable(experiment)}: {readable(defence)}")
        axis.set(xlabel="ADMM epoch", ylabel=f"{which} residual / norm of the weights", yscale="log" if len(table) else "linear")
    if len(table):
        axes[0].legend(fontsize="small")
    return Drawing(
        drawn,
        table,
        _finding(table),
        "Primal: ||W - Z||; dual: rho ||Z - Z before||; both over all layers, relative to ||W||, mean over models. "
        "Steps are where rho rises.",
    )


def _relative(residuals: pd.DataFrame) -> pd.DataFrame:
    """Residuals over all layers relative to the weights, one row an experiment, defence and epoch."""
    if residuals.empty:
        return residuals
    squares = residuals.assign(**{name: residuals[name] ** 2 for name in ("primal", "dual", "weight_norm")})
    keys = ["experiment", "seed", "defence", "model", "epoch"]
    norms = squares.groupby(keys, sort=False)[["primal", "dual", "weight_norm"]].sum() ** 0.5
    relative = norms[["primal", "dual"]].div(norms["weight_norm"], axis=0)
    return relative.groupby(["experiment", "defence", "epoch"], sort=False).mean().reset_index()


def _finding(table: pd.DataFrame) -> str:
    if table.empty:
        return "No defence of this study is solved by ADMM."
    last = table.groupby(["experiment", "defence"], sort=False)["primal"].last()
    parts = [f"{100 * value:.1f} % ({readable(defence)})" for (_, defence), value in last.items()]
    return f"After the last epoch the distance to the sparsity set, relative to the weights, is {', '.join(parts)}."
