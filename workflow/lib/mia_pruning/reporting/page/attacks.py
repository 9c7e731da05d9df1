"""Tables of what each attack reaches on each defence."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from mia_pruning.metrics.names import TPR_AT
from mia_pruning.metrics.operating import MEMBER_SHARES, Counts
from mia_pruning.reporting.page.table import (
    Cell,
    Column,
    Table,
    measured_cell,
    named,
    rows_by,
    table_of,
)
from mia_pruning.reporting.page.verdicts import attacker_column
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import WHERE, attack_order, pick

KEYS = [*WHERE, "attack", "attacker"]
#: These false-positive rates are shown even where there are too few non-members for them.
LOW_FPR = (0.01, 0.001)
#: This stands for the attack's own threshold in the place of an allowed false-positive rate.
OWN_THRESHOLD = -1.0
PRECISION = (
    "share of members among those taken for members, if 1 / 10 / 50 % of all examples are members"
)

#: This marks an attack less accurate than the correctness attack, which learns nothing.
BELOW = " †"


def privacy_matrix(results: pd.DataFrame, correctness: str | None = None) -> Table:
    """Tabulate attack accuracy: one row an experiment and defence, one column an attacker.

    The interval is the cell's hint. correctness: the attack that guesses by right and wrong
    answers, if the study has it. An attack whose interval ends below it on the same defence is
    marked. Attackers who know members are measured on other examples and are not marked.
    """
    rates = pick(results, metric="attack_accuracy")
    attackers = sorted(
        dict.fromkeys(zip(rates["attack"], rates["attacker"], strict=True)), key=attack_order
    )
    known = rows_by(rates, KEYS)
    rows = []
    for experiment, of_experiment in results.groupby("experiment", sort=False):
        for defence in in_order(of_experiment, "defence"):
            learns_nothing = _value(known.get((experiment, defence, str(correctness), "adaptive")))
            cells = [
                _shaded(
                    known.get((experiment, defence, *key)),
                    learns_nothing if key[1] != "known_members" else np.nan,
                )
                for key in attackers
            ]
            rows.append(
                [named(experiment), Cell(readable(defence), look="defence", hint=defence), *cells]
            )
    columns = [
        Column("experiment"),
        Column("defence"),
        *(attacker_column(*key) for key in attackers),
    ]
    caption = "Attack accuracy of every attacker on every defence"
    return table_of("attackers", caption, columns, rows, n_heads=2, look="matrix")


def _value(row: Mapping[str, Any] | None) -> float:
    """Return the value of a row of the results; NaN where there is none."""
    return float("nan") if row is None else float(row["value"])


def _shaded(row: Mapping[str, Any] | None, correctness: float) -> Cell:
    """Return attack accuracy with a bar of what exceeds guessing.

    A mark shows that it is below the accuracy of the correctness attack.
    """
    value = _value(row)
    if pd.isna(value):
        return Cell("", "")
    is_below = row["high"] < correctness
    hint = f"{row['low']:.3f} to {row['high']:.3f}"
    if is_below:
        hint += f"; below correctness, {correctness:.3f}"
    return Cell(
        f"{value:.3f}{BELOW if is_below else ''}",
        value,
        min(1.0, max(0.0, 2 * value - 1)),
        hint=hint,
    )


def every_attack(results: pd.DataFrame, operating: pd.DataFrame) -> Table:
    """Tabulate every measure of privacy with its interval.

    There is one row an experiment, defence, attack and attacker.
    """
    attacked = results[results["attack"] != ""]
    rates = [
        (metric, fpr)
        for metric, fpr in TPR_AT.items()
        if fpr in LOW_FPR or metric in set(attacked["metric"])
    ]
    counted, needed = _counts(operating), _populations_needed(operating)
    known = rows_by(attacked, [*KEYS, "metric"])
    rows = []
    for key in dict.fromkeys(key[:-1] for key in known):
        plain = [measured_cell(known.get((*key, metric))) for metric in ("attack_accuracy", "auc")]
        low = [
            _rate_cell(known.get((*key, metric)), counted.get((*key, fpr)), needed.get((*key, fpr)))
            for metric, fpr in rates
        ]
        own = counted.get((*key, OWN_THRESHOLD))
        resolved = {fpr: (*key, metric) in known for metric, fpr in rates if fpr in LOW_FPR}
        at_rates = [counted.get((*key, fpr)) if there else None for fpr, there in resolved.items()]
        precisions = map(_precision_cell, (own, *at_rates))
        defence = Cell(readable(key[1]), look="defence", hint=key[1])
        rows.append([named(key[0]), defence, *map(named, key[2:]), *plain, *low, *precisions])
    columns = [
        Column("experiment"),
        Column("defence"),
        Column("attack"),
        Column("attacker"),
        Column("attack accuracy", "balanced; 0.5 is guessing"),
        Column("AUC", "area under the ROC curve; 0.5 is guessing"),
        *(
            Column(
                f"TPR at {100 * fpr:g} % FPR",
                "members found, and the false-positive rate at which they were",
            )
            for _, fpr in rates
        ),
        Column("precision at its own threshold", PRECISION),
        *(
            Column(f"precision at {100 * fpr:g} % FPR", PRECISION)
            for _, fpr in rates
            if fpr in LOW_FPR
        ),
    ]
    caption = "Every attack on every defence"
    return table_of("attacks", caption, columns, rows, n_heads=4)


def _counts(operating: pd.DataFrame) -> dict[tuple, Counts]:
    """Return counts over seeds by experiment, defence, attack, attacker and allowed rate.

    `OWN_THRESHOLD` stands in the place of a rate for the attack's own threshold.
    """
    points = operating.fillna({"allowed_fpr": OWN_THRESHOLD}).groupby([*KEYS, "allowed_fpr"])
    summed = points[[field.name for field in fields(Counts)]].sum()
    rows = zip(summed.index, summed.to_numpy(), strict=True)
    return {key: Counts(*map(int, row)) for key, row in rows}


def _populations_needed(operating: pd.DataFrame) -> dict[tuple, float]:
    """Return the size of population that resolves a rate, where the study's is too small.

    The keys are those of `_counts`.
    """
    unresolved = operating.dropna(subset=["population_needed"])
    return unresolved.groupby([*KEYS, "allowed_fpr"])["population_needed"].max().to_dict()


def _precision_cell(counted: Counts | None) -> Cell:
    """Return the cell of the precision at each member share.

    It is empty where the rate is not resolved or no example was taken for a member.
    """
    found = [counted.precision(share) for share in MEMBER_SHARES.values()] if counted else []
    if not found or found[0].value is None:
        return Cell("", "")
    values = " / ".join(f"{precision.value:.2g}" for precision in found)
    return Cell(f"at least {values}" if found[0].is_lower_bound else values, found[0].value)


def _rate_cell(
    rate: Mapping[str, Any] | None, counted: Counts | None, population_needed: float | None
) -> Cell:
    """Return the cell of a rate with its interval and the realised false-positive rate.

    It says so where there are too few non-members. A population that does not resolve the rate is
    named with the size that would.
    """
    if rate is not None and not pd.isna(rate["value"]):
        cell = measured_cell(rate)
        realised = "" if counted is None else f" at {counted.fpr:.4f}"
        mark = "" if population_needed is None else f"; population below {population_needed:,.0f}"
        return Cell(cell.text + realised + mark, cell.order)
    return Cell("", "") if counted is None else Cell(f"n too small: {counted.others:,}", -1.0)
