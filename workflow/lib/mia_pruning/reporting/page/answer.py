"""The answer in a few sentences, each made from the verdicts: what pruning did at each rate, and how the claims fared."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.stand_ins import MATCHED, STRONGEST
from mia_pruning.reporting.claims import INCONCLUSIVE, NOT_TESTED, REFUTED, SUPPORTED
from mia_pruning.reporting.sentences import with_interval
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import pick

ATTACKER = ["attack", "attacker"]
WHERE = ["experiment", "defence"]
#: what claims.yaml says where a claim is not the paper's
OURS = "not the paper's claim"


def conclusion(
    claims: Mapping[str, Any],
    verdicts: pd.DataFrame,
    results: pd.DataFrame,
    differences: pd.DataFrame,
    headline: Mapping[str, str],
) -> list[str]:
    """What each defence of the first claim did to the headline attack and to the strongest, all intervals corrected."""
    first = claims["claims"][0]
    judged = pick(verdicts, claim=first["id"])
    sentences = [
        _effect(pick(judged, experiment=experiment, defence=defence), results, differences, headline)
        for experiment in in_order(judged, "experiment")
        for defence in first["defences"]
        if defence == first["defences"][0] or _tested(pick(judged, experiment=experiment, defence=defence))
    ]
    return [*sentences, *_at_matched_accuracy(claims, verdicts, headline), *tally(claims, verdicts)]


def _tested(rows: pd.DataFrame) -> bool:
    return bool((rows["verdict"] != NOT_TESTED).any())


def _effect(rows: pd.DataFrame, results: pd.DataFrame, differences: pd.DataFrame, headline: Mapping[str, str]) -> str:
    """What one defence did to the attacks, and to the network's accuracy."""
    about = {key: rows.iloc[0][key] for key in WHERE}
    tested = rows[rows["verdict"] != NOT_TESTED]
    shown = [row for attack in (headline, STRONGEST) for _, row in pick(tested, **attack).iterrows()]
    if not shown:
        reasons = rows.loc[rows["verdict"] == NOT_TESTED, "reason"]
        return f"On {readable(about['experiment'])} nothing can be said of {readable(about['defence'])}: {reasons.iloc[0]}."
    parts = [f"{_did(row)} the accuracy of {_whose(row)} ({_points(row)}{_from(row, results)})" for row in shown]
    of_defence = pick(results, **about).set_index("metric")["value"]
    rate = f"{of_defence.get('compression', 1.0):.4g}x"
    at_rate = f" at {rate} compression" if rate != "1x" and rate not in about["defence"] else ""
    minus = shown[0]["minus"]
    cost = pick(differences, metric="test_accuracy", minus=minus, **about)
    accuracy = f", with {with_interval(cost.iloc[0], signed=True)} of test accuracy" if len(cost) else ""
    return (
        f"On {readable(about['experiment'])}, {readable(about['defence'])}{at_rate} {' and '.join(parts)}{accuracy}, "
        f"against the {readable(minus)}."
    )


def _did(row: Mapping[str, Any]) -> str:
    """What the corrected verdict on "lowers" says happened.

    >>> _did({"corrected": "refuted", "corrected_low": 0.01}), _did({"corrected": "refuted", "corrected_low": 0.0})
    ('raised', 'did not lower')
    """
    if row["corrected"] == REFUTED:
        return "raised" if row["corrected_low"] > 0 else "did not lower"
    return {SUPPORTED: "lowered", INCONCLUSIVE: "was not shown to lower"}[row["corrected"]]


def _whose(row: Mapping[str, Any]) -> str:
    return "the strongest attack" if row["attack"] == STRONGEST["attack"] else f"the {readable(row['attack'])} attack"


def _points(row: Mapping[str, Any]) -> str:
    return f"{100 * row['value']:+.1f} points, {100 * row['corrected_low']:+.1f} to {100 * row['corrected_high']:+.1f}"


def _from(row: Mapping[str, Any], results: pd.DataFrame) -> str:
    """What the difference starts from."""
    wanted = {key: row[key] for key in ("experiment", "metric", *ATTACKER)}
    found = pick(results, defence=row["minus"], **wanted)
    return f", from {found['value'].iloc[0]:.3f}" if len(found) else ""


def _at_matched_accuracy(claims: Mapping[str, Any], verdicts: pd.DataFrame, headline: Mapping[str, str]) -> Iterator[str]:
    """Whether pruning does more than a dense network of the same test accuracy: of the first claim that asks it."""
    asking = [claim for claim in claims["claims"] if any(each.get("minus") == MATCHED for each in claim["conditions"])]
    if not asking:
        return
    judged = pick(verdicts, claim=asking[0]["id"])
    tested = judged[judged["verdict"] != NOT_TESTED]
    by_one = next((rows for attack in (STRONGEST, headline) if len(rows := pick(tested, **attack))), tested[:0])
    for experiment, rows in by_one.groupby("experiment", sort=False):
        parts = [f"{readable(row['defence'])} {_did(row)} it ({_points(row)})" for _, row in rows.iterrows()]
        yield (
            f"On {readable(experiment)}, beside dense networks of the same test accuracy and by {_whose(rows.iloc[0])}: "
            f"{'; '.join(parts)}."
        )


def tally(claims: Mapping[str, Any], verdicts: pd.DataFrame) -> list[str]:
    """How the paper's claims fared, corrected, by the headline attack and by the strongest; those of no attack are in both."""
    papers = [claim["id"] for claim in claims["claims"] if claim["number"] != OURS]
    judged = verdicts[verdicts["claim"].isin(papers)]
    headline = judged[judged["headline"].astype(bool)].groupby(["claim", *WHERE], sort=False).first().reset_index()
    if headline.empty:
        return []
    strongest = {key: part.iloc[0]["corrected"] for key, part in pick(judged, **STRONGEST).groupby(["claim", *WHERE], sort=False)}
    several = len(set(headline["experiment"])) > 1
    by_headline, by_strongest = [], []
    for row in headline.to_dict("records"):
        name = f"{row['claim']} on {readable(row['experiment'])}" if several else row["claim"]
        key = tuple(row[column] for column in ("claim", *WHERE))
        by_headline.append((name, row["corrected"]))
        by_strongest.append((name, strongest.get(key, NOT_TESTED if row["attack"] else row["corrected"])))
    sentences = [f"Of the paper's claims, by the headline attack: {_named(by_headline)}."]
    return [*sentences, f"By the strongest attack: {_named(by_strongest)}."] if strongest else sentences


def _named(verdicts: Iterable[tuple[str, str]]) -> str:
    """
    >>> _named([("C1", "refuted"), ("C2", "supported"), ("C3", "refuted")])
    'supported C2; refuted C1, C3'
    """
    found: dict[str, list[str]] = {}
    for name, verdict in verdicts:
        found.setdefault(verdict, []).append(name)
    order = (SUPPORTED, REFUTED, INCONCLUSIVE, NOT_TESTED)
    return "; ".join(f"{verdict} {', '.join(found[verdict])}" for verdict in order if verdict in found)
