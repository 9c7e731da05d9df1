"""True-positive rates at low false-positive rates, as the report shows them."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mia_pruning.metrics.operating import TPR_AT
from mia_pruning.reporting.style import in_order
from mia_pruning.reporting.tables import attack_order, pick

#: shown even where there are too few non-members; lower ones where any attack was tried on enough
LOW_FPR = (0.01, 0.001)


def operating_tables(results: pd.DataFrame, operating: pd.DataFrame, experiment: str) -> Iterator[dict[str, Any]]:
    """For each low rate a table with a row an attack and a column a defence; both inputs are of this experiment."""
    defences = in_order(operating, "defence")
    for metric, fpr in TPR_AT.items():
        rates = pick(results, metric=metric).set_index(["attack", "attacker", "defence"])
        if fpr > max(LOW_FPR) or (fpr < min(LOW_FPR) and rates.empty):
            continue
        counts = operating[operating["allowed_fpr"] == fpr].groupby(["attack", "attacker", "defence"])
        counted = counts[["false_positives", "others"]].sum()
        keys = sorted(dict.fromkeys(key[:2] for key in [*rates.index, *counted.index]), key=attack_order)
        body = [[*key, *(_cell(rates, counted, (*key, name)) for name in defences)] for key in keys]
        yield {"experiment": experiment, "fpr": fpr, "columns": defences, "rows": body}


def _cell(rates: pd.DataFrame, counted: pd.DataFrame, key: tuple[str, str, str]) -> str:
    """The rate with its interval and the realised false-positive rate, or that there are too few non-members."""
    if key in rates.index:
        rate = rates.loc[key]
        realised = f" at {counted.loc[key, 'false_positives'] / counted.loc[key, 'others']:.4f}" if key in counted.index else ""
        return f"{rate['value']:.3f} ({rate['low']:.3f}-{rate['high']:.3f}){realised}"
    return f"n too small: {counted.loc[key, 'others']}" if key in counted.index else ""
