"""What the attacks prove about epsilon, beside what DP-SGD promises."""

from typing import Any

import pandas as pd

from mia_pruning.metrics.audit import one_run_bound, rates_bound
from mia_pruning.metrics.intervals import CONFIDENCE

#: of a study that promises none
DELTA = 1e-5
RATES = ["true_positives", "members", "false_positives", "others"]


def audit(counts: pd.DataFrame, guarantees: pd.DataFrame) -> list[dict[str, Any]]:
    """The largest lower bound on epsilon of each defence by either method, and the weakest promise over seeds.

    Each of a defence's attacks on each of its targets gives a bound; all of them hold at once at the confidence (Bonferroni), so
    the largest does. Delta is that of the experiment's guarantees, so that all defences are measured by one. Counts of attackers
    who know members are no part: their examples are fewer.
    """
    rows = []
    for (experiment, defence), part in counts[counts["attacker"] != "known_members"].groupby(
        ["experiment", "defence"], sort=False
    ):
        promised = guarantees[(guarantees["experiment"] == experiment) & guarantees["epsilon"].notna()]
        delta = float(promised["delta"].max()) if len(promised) else DELTA
        own = promised[promised["defence"] == defence]["epsilon"]
        confidence = 1 - (1 - CONFIDENCE) / (2 * len(part))
        bounds = {
            "one_run": [one_run_bound(r.n_canaries, r.n_guesses, r.n_correct, delta, confidence) for r in part.itertuples()],
            "rates": [rates_bound(*(int(count) for count in row), delta, confidence) for row in part[RATES].to_numpy()],
        }
        found = {method: _largest(pd.Series(values, index=part.index), part) for method, values in bounds.items()}
        upper = float(own.max()) if len(own) else None
        proved = max(found["one_run"]["epsilon"], found["rates"]["epsilon"])
        rows.append(
            {
                "experiment": experiment,
                "defence": defence,
                "delta": delta,
                **found,
                "n_bounds": 2 * len(part),
                "promised": upper,
                "contradicted": upper is not None and proved > upper,
            }
        )
    return rows


def _largest(bounds: pd.Series, counts: pd.DataFrame) -> dict[str, Any]:
    by = counts.loc[bounds.idxmax()]
    return {"epsilon": float(bounds.max()), "attack": by["attack"], "attacker": by["attacker"]}
