"""Sentences made from numbers; nothing here says more than the numbers do."""

from collections.abc import Sequence

import pandas as pd

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import pick

#: A sentence names at most this many parts.
MOST_LISTED = 12
POINTS = {"attack_accuracy", "auc", "test_accuracy", "train_accuracy", "generalisation_gap"}


def number(value: float, metric: str, *, signed: bool = False) -> str:
    """Return a value as the report prints it.

    >>> number(-0.0123, "attack_accuracy", signed=True), number(15.78, "compression"), number(1724320, "dense_bytes")
    ('-1.2 points', '15.78', '1,724,320')
    """
    if pd.isna(value):
        return ""
    if signed and metric in POINTS:
        return f"{100 * value:+.1f} points"
    return (
        f"{value:.3f}"
        if metric in POINTS or (abs(value) <= 1 and not float(value).is_integer())
        else f"{value:,.4g}"
        if abs(value) < 9999.5
        else f"{value:,.0f}"
    )


def with_interval(row: pd.Series, *, signed: bool = False) -> str:
    """Return value and 95 % interval; counted numbers have none.

    >>> with_interval(pd.Series({"metric": "auc", "value": 0.61, "low": 0.6, "high": 0.62}))
    '0.610 (0.600 to 0.620)'
    """
    value, ends = number(row["value"], row["metric"], signed=signed), interval(row, signed=signed)
    return f"{value} ({ends})" if ends else value


def interval(row: pd.Series, *, signed: bool = False) -> str:
    """Return the ends of an interval in the unit of its value; nothing of what is counted.

    >>> interval(pd.Series({"metric": "auc", "value": 0.01, "low": -0.01, "high": 0.03}), signed=True)
    '-1.0 to +3.0'
    """
    if pd.isna(row["low"]) or row["low"] == row["high"]:
        return ""
    if signed and row["metric"] in POINTS:
        return f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
    return f"{number(row['low'], row['metric'])} to {number(row['high'], row['metric'])}"


def corrected_interval(row: pd.Series) -> str:
    """Return in words the interval that holds at once with all of the claim."""
    wider = row.copy()
    wider[["low", "high"]] = row[["corrected_low", "corrected_high"]].to_numpy()
    found = interval(wider, signed=bool(row["minus"]))
    return f"{found}, corrected for {row['n_intervals']:.0f} comparisons" if found else ""


def measured(row: pd.Series) -> str:
    """Return a clause on what a verdict's condition measured."""
    metric = readable(row["metric"])
    value = with_interval(row, signed=bool(row["minus"])) or "not measured"
    return (
        f"{metric} minus that of {readable(row['minus'])}: {value}"
        if row["minus"]
        else f"{metric}: {value}"
    )


def required(row: pd.Series) -> str:
    """Return a clause on what the condition demands.

    >>> required(pd.Series({"direction": "below", "threshold": 0.0, "metric": "auc", "minus": "baseline"}))
    'below 0 points'
    """
    points = row["minus"] and row["metric"] in POINTS
    threshold = f"{100 * row['threshold']:g} points" if points else f"{row['threshold']:g}"
    return f"{readable(row['direction'])} {threshold}"


def judged_by(row: pd.Series) -> str:
    """Return a clause on what a condition measured and what it demands."""
    return f"{measured(row)} (required: {required(row)})"


def listed(parts: Sequence[str], *, between: str = ", ", most: int = MOST_LISTED) -> str:
    """List the first of these, and how many more there are.

    >>> listed(["a", "b"]), listed(["a", "b", "c"], between="; ", most=2)
    ('a, b', 'a; b and 1 more')
    """
    shown, more = between.join(parts[:most]), len(parts) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def console_summary(verdicts: pd.DataFrame, claims: dict[str, str]) -> list[str]:
    """Return lines on each claim that was tested.

    They say both verdicts, what it claims, and what either attack measured.
    """
    tested = verdicts[verdicts["headline"] & (verdicts["verdict"] != "not tested")]
    lines = []
    for (claim, experiment), rows in tested.groupby(["claim", "experiment"], sort=False):
        first = rows.iloc[0]
        strongest = pick(
            verdicts, claim=claim, experiment=experiment, defence=first["defence"], **STRONGEST
        )
        corrected = (
            f"; by the strongest attack, corrected: {strongest.iloc[0]['corrected']}"
            if len(strongest)
            else ""
        )
        lines.append(f"{claim} {first['verdict']}{corrected}")
        lines.append(
            f"    {claims[claim].rstrip('.')} ({readable(first['defence'])}, {readable(experiment)})"
        )
        lines += [f"    {judged_by(row)}" for _, row in rows.iterrows()]
        known = set(map(judged_by, (row for _, row in rows.iterrows())))
        own = [row for _, row in strongest.iterrows() if judged_by(row) not in known]
        lines += [
            f"    strongest: {measured(row)}; {corrected_interval(row)} (required: {required(row)})"
            for row in own
        ]
    return lines
