"""What the attacks prove about epsilon, beside what DP-SGD promises."""

from typing import Any

import pandas as pd

from mia_pruning.metrics.audit import one_run_bound, rates_bound
from mia_pruning.metrics.intervals import CONFIDENCE
from mia_pruning.reporting.tables import pick

#: of a study that promises none
DELTA = 1e-5
RATES = ["true_positives", "members", "false_positives", "others"]
#: a member here is replaced by a non-member, which may cost so many times an epsilon that counts one example more or less
REPLACEMENT = 2
TARGET = ["experiment", "seed", "defence", "target"]


def audit(counts: pd.DataFrame, guarantees: pd.DataFrame, strongest: pd.DataFrame) -> list[dict[str, Any]]:
    """The largest lower bound on epsilon of each defence by either method, and the weakest promise over seeds.

    Each target gives one bound, by the attack that was the strongest on the other targets; where none could be chosen, every
    attack gives one. All bounds of one method hold at once at the confidence (Bonferroni), so the largest does. Delta is that of
    the experiment's guarantees, so that all defences are measured by one. Counts of attackers who know members are no part.

    Only the bound of one run contradicts a promise: that by rates takes one model's examples as independent trials.
    """
    outsiders = counts[counts["attacker"] != "known_members"]
    chosen = pick(strongest, metric="auc").drop(columns="metric")
    by_strongest = outsiders.merge(chosen, on=[*TARGET, "attack", "attacker"])
    rows = []
    for (experiment, defence), part in outsiders.groupby(["experiment", "defence"], sort=False):
        of_chosen = pick(by_strongest, experiment=experiment, defence=defence)
        tried = (of_chosen if len(of_chosen) else part).reset_index(drop=True)
        promised = guarantees[(guarantees["experiment"] == experiment) & guarantees["epsilon"].notna()]
        delta = float(promised["delta"].max()) if len(promised) else DELTA
        own = promised[promised["defence"] == defence]["epsilon"]
        confidence = 1 - (1 - CONFIDENCE) / len(tried)
        bounds = {
            "one_run": [one_run_bound(r.n_canaries, r.n_guesses, r.n_correct, delta, confidence) for r in tried.itertuples()],
            "rates": [rates_bound(*(int(count) for count in row), delta, confidence) for row in tried[RATES].to_numpy()],
        }
        found = {method: _largest(pd.Series(values), tried) for method, values in bounds.items()}
        upper = float(own.max()) if len(own) else None
        about = {"experiment": experiment, "defence": defence, "delta": delta, "n_bounds": len(tried), "promised": upper}
        contradicted = upper is not None and found["one_run"]["epsilon"] > REPLACEMENT * upper
        rows.append({**about, **found, "contradicted": contradicted})
    return rows


def _largest(bounds: pd.Series, counts: pd.DataFrame) -> dict[str, Any]:
    by = counts.loc[bounds.idxmax()]
    return {"epsilon": float(bounds.max()), "attack": by["attack"], "attacker": by["attacker"]}
