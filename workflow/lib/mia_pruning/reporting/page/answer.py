"""The answer in a few sentences, each made from the verdicts.

They say what pruning did at each rate, and how the claims fared.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.stand_ins import MATCHED, STRONGEST
from mia_pruning.reporting.claims import INCONCLUSIVE, NOT_TESTED, REFUTED, SUPPORTED
from mia_pruning.reporting.sentences import with_interval
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import ATTACKER, WHERE, pick

#: An effect on attacks is an effect on this metric.
ATTACKED = "attack_accuracy"
#: In claims.yaml this stands where a claim is not the paper's.
OURS = "not the paper's claim"


def conclusion(
    claims: Mapping[str, Any],
    verdicts: pd.DataFrame,
    results: pd.DataFrame,
    differences: pd.DataFrame,
    headline: Mapping[str, str],
) -> list[str]:
    """Say what each defence of the first claim did to the headline attack and to the strongest.

    All intervals of attacks are corrected. Then follow the comparison at matched accuracy and how
    the claims fared.
    """
    first = claims["claims"][0]
    judged = pick(verdicts, claim=first["id"], defence=first["defences"])
    sentences = [
        _effect(rows, results, differences, headline)
        for (_, defence), rows in judged.groupby(WHERE, sort=False)
        if defence == first["defences"][0] or _tested(rows)
    ]
    fared = tally(claims, verdicts)
    return [
        *sentences,
        *_at_matched_accuracy(claims, verdicts, headline),
        *([" ".join(fared)] if fared else []),
    ]


def _tested(rows: pd.DataFrame) -> bool:
    return bool((rows["verdict"] != NOT_TESTED).any())


def _effect(
    rows: pd.DataFrame,
    results: pd.DataFrame,
    differences: pd.DataFrame,
    headline: Mapping[str, str],
) -> str:
    """Say what one defence did to the attacks, and to the network's accuracy."""
    about = {key: rows.iloc[0][key] for key in WHERE}
    tested = rows[
        (rows["verdict"] != NOT_TESTED) & (rows["metric"] == ATTACKED) & (rows["minus"] != "")
    ]
    shown = [
        row for attack in (headline, STRONGEST) for _, row in pick(tested, **attack).iterrows()
    ]
    if not shown:
        reasons = [
            *rows.loc[rows["verdict"] == NOT_TESTED, "reason"],
            f"the claim {rows.iloc[0]['claim']} is about no attack",
        ]
        return f"For {readable(about['experiment'])} nothing can be said of {readable(about['defence'])}: {reasons[0]}."
    parts = [
        f"{_did(row)} the accuracy of {whose(row)} ({_points(row)}{_from(row, results)})"
        for row in shown
    ]
    of_defence = pick(results, **about).set_index("metric")["value"]
    rate = f"{of_defence.get('compression', 1.0):.4g}x"
    at_rate = (
        f" at {rate} compression"
        if rate != "1x" and rate not in about["defence"].split("_")
        else ""
    )
    minus = shown[0]["minus"]
    cost = pick(differences, metric="test_accuracy", minus=minus, **about)
    accuracy = (
        f", with {with_interval(cost.iloc[0], signed=True)} of test accuracy" if len(cost) else ""
    )
    return (
        f"For {readable(about['experiment'])}, {readable(about['defence'])}{at_rate} {' and '.join(parts)}{accuracy}, "
        f"against the {readable(minus)}."
    )


def _did(row: Mapping[str, Any]) -> str:
    """Return what happened, by the corrected verdict on "lowers".

    >>> _did({"corrected": "refuted", "corrected_low": 0.01}), _did({"corrected": "refuted", "corrected_low": 0.0})
    ('raised', 'did not lower')
    """
    if row["corrected"] == REFUTED:
        return "raised" if row["corrected_low"] > 0 else "did not lower"
    return {SUPPORTED: "lowered", INCONCLUSIVE: "was not shown to lower"}[row["corrected"]]


def whose(row: Mapping[str, Any]) -> str:
    """Return the attack of a verdict, as sentences name it."""
    return (
        "the strongest attack"
        if row["attack"] == STRONGEST["attack"]
        else f"the {readable(row['attack'])} attack"
    )


def _points(row: Mapping[str, Any]) -> str:
    return f"{100 * row['value']:+.1f} points, {100 * row['corrected_low']:+.1f} to {100 * row['corrected_high']:+.1f}"


def _from(row: Mapping[str, Any], results: pd.DataFrame) -> str:
    """Return a clause with the value that the difference starts from."""
    wanted = {key: row[key] for key in ("experiment", "metric", *ATTACKER)}
    found = pick(results, defence=row["minus"], **wanted)
    return f", from {found['value'].iloc[0]:.3f}" if len(found) else ""


def _at_matched_accuracy(
    claims: Mapping[str, Any], verdicts: pd.DataFrame, headline: Mapping[str, str]
) -> Iterator[str]:
    """Say whether pruning does more than a dense network of the same test accuracy.

    The verdicts are those on the first claim that asks it.
    """
    asking = [
        claim
        for claim in claims["claims"]
        if any(each.get("minus") == MATCHED for each in claim["conditions"])
    ]
    if not asking:
        return
    judged = pick(verdicts, claim=asking[0]["id"], metric=ATTACKED, minus=MATCHED)
    tested = judged[judged["verdict"] != NOT_TESTED]
    for experiment, of_experiment in tested.groupby("experiment", sort=False):
        by_one = [
            rows for attack in (STRONGEST, headline) if len(rows := pick(of_experiment, **attack))
        ]
        for rows in by_one[:1]:
            parts = [
                f"{readable(row['defence'])} {_did(row)} it ({_points(row)})"
                for _, row in rows.iterrows()
            ]
            yield (
                f"For {readable(experiment)}, beside dense networks of the same test accuracy and by {whose(rows.iloc[0])}: "
                f"{'; '.join(parts)}."
            )


def tally(claims: Mapping[str, Any], verdicts: pd.DataFrame) -> list[str]:
    """Say how the paper's claims fared, corrected.

    First by the headline attack, then by the strongest, then those that no attack is part of; at
    last those that were not tested.
    """
    papers = [claim["id"] for claim in claims["claims"] if claim["number"] != OURS]
    judged = verdicts[verdicts["claim"].isin(papers)]
    headline = (
        judged[judged["headline"].astype(bool)]
        .groupby(["claim", *WHERE], sort=False)
        .first()
        .reset_index()
    )
    strongest = {
        key: part.iloc[0]["corrected"]
        for key, part in pick(judged, **STRONGEST).groupby(["claim", *WHERE], sort=False)
    }
    several = len(set(headline["experiment"])) > 1
    found: dict[str, list[tuple[str, str]]] = {
        "by the headline attack": [],
        "by the strongest attack": [],
        "that involve no attack": [],
    }
    untested = []
    for row in headline.to_dict("records"):
        name = f"{row['claim']} for {readable(row['experiment'])}" if several else row["claim"]
        if row["verdict"] == NOT_TESTED:
            untested.append(name)
        else:
            found["by the headline attack" if row["attack"] else "that involve no attack"].append(
                (name, row["corrected"])
            )
        if (key := tuple(row[column] for column in ("claim", *WHERE))) in strongest:
            found["by the strongest attack"].append((name, strongest[key]))
    shown = [f"{how}: {_named(claimed)}" for how, claimed in found.items() if claimed]
    sentences = (
        [f"The paper's claims, each on its first defence and corrected, {'. Those '.join(shown)}."]
        if shown
        else []
    )
    return [
        *sentences,
        *([f"The paper's claims that were not tested: {', '.join(untested)}."] if untested else []),
    ]


def _named(verdicts: Iterable[tuple[str, str]]) -> str:
    """List the names of claims by their verdicts.

    >>> _named([("C1", "refuted"), ("C2", "supported"), ("C3", "refuted")])
    'supported C2; refuted C1, C3'
    """
    found: dict[str, list[str]] = {}
    for name, verdict in verdicts:
        found.setdefault(verdict, []).append(name)
    order = (SUPPORTED, REFUTED, INCONCLUSIVE)
    return "; ".join(
        f"{verdict} {', '.join(found[verdict])}" for verdict in order if verdict in found
    )
