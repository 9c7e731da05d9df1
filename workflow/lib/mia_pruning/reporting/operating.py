"""True-positive rates at low false-positive rates, counted over targets and seeds, as the report shows them."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mia_pruning.metrics.audit import clopper_pearson
from mia_pruning.metrics.operating import Counts, resolves
from mia_pruning.reporting.style import in_order
from mia_pruning.reporting.tables import attack_order

COUNTED = ("true_positives", "members", "false_positives", "others")
#: shown even where there are too few non-members; below, only what these resolve
LOW_FPR = (0.01, 0.001)


def operating_tables(operating: pd.DataFrame, experiment: str) -> Iterator[dict[str, Any]]:
    """For each low rate a table with a row an attack and a column a defence; operating: the counts of this experiment."""
    counted = operating.groupby(["allowed_fpr", "attack", "attacker", "defence"], sort=False)[list(COUNTED)].sum()
    defences = in_order(operating, "defence")
    keys = sorted(dict.fromkeys(zip(operating["attack"], operating["attacker"], strict=True)), key=attack_order)
    for fpr in _low_rates(counted):
        cells = {key: _cell(row, fpr) for key, row in counted.loc[fpr].iterrows()}
        body = [[*key, *(cells.get((*key, name), "") for name in defences)] for key in keys]
        yield {"experiment": experiment, "fpr": fpr, "columns": defences, "rows": body}


def _low_rates(counted: pd.DataFrame) -> list[float]:
    """From high to low."""
    resolved = {
        fpr for fpr, others in zip(counted.index.get_level_values(0), counted["others"], strict=True) if resolves(fpr, others)
    }
    return [*LOW_FPR, *sorted((fpr for fpr in resolved if fpr < min(LOW_FPR)), reverse=True)]


def _cell(row: pd.Series, allowed_fpr: float) -> str:
    """The rate with its Clopper-Pearson interval and the realised false-positive rate, or that there are too few non-members.

    >>> _cell(pd.Series({"true_positives": 30, "members": 1000, "false_positives": 9, "others": 1000}), 0.01)
    '0.030 (0.020-0.043) at 0.0090'
    >>> _cell(pd.Series({"true_positives": 30, "members": 1000, "false_positives": 9, "others": 999}), 0.01)
    'n too small: 999'
    """
    counts = Counts(**{name: int(row[name]) for name in COUNTED})
    if not resolves(allowed_fpr, counts.others):
        return f"n too small: {counts.others}"
    low, high = clopper_pearson(counts.true_positives, counts.members)
    return f"{counts.tpr:.3f} ({low:.3f}-{high:.3f}) at {counts.fpr:.4f}"
