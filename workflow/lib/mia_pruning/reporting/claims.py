"""Claims as comparisons, and their verdicts.

A claim is a list of conditions on a defence: a metric, possibly minus another defence's, must be
below a threshold or at least it. A condition is *supported* when its complete interval lies on the
claimed side, *refuted* when it lies on the other, else *inconclusive*. A claim is supported when
all its conditions are, refuted when one is. It is *not tested* when the study lacks a defence that
it names, or its results do because jobs failed.

A search through all attacks and defences of a claim finds something by luck. So each verdict is
given twice: as it stands, and `corrected`, from intervals so wide that all those of the claim hold
at once at the same confidence (Bonferroni).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mia_pruning.metrics.intervals import CONFIDENCE, quantile
from mia_pruning.metrics.stand_ins import MATCHED
from mia_pruning.tables import VERDICTS

SUPPORTED, REFUTED, INCONCLUSIVE, NOT_TESTED = "supported", "refuted", "inconclusive", "not tested"
#: This is the reason where the study has a defence, and there is no number of it.
FAILED = "{} is missing from the results of {}, wholly or in part, because jobs failed"


def side(
    low: float, high: float, *, below: float | None = None, at_least: float | None = None
) -> str:
    """Return the verdict on one condition from its interval.

    >>> side(-0.05, -0.01, below=0.0), side(-0.01, 0.02, below=0.0), side(0.0, 0.02, below=0.0)
    ('supported', 'inconclusive', 'refuted')

    Raises:
        ValueError: the interval is not finite.
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"a verdict needs a finite interval, not [{low}, {high}]")
    threshold = at_least if below is None else below
    if low < threshold <= high:
        return INCONCLUSIVE
    return SUPPORTED if (high < threshold) == (at_least is None) else REFUTED


def combine(verdicts: list[str]) -> str:
    """Return the verdict on a claim from those on its conditions.

    >>> combine(["supported", "inconclusive"]), combine(["supported", "refuted"])
    ('inconclusive', 'refuted')
    """
    return next((v for v in (REFUTED, NOT_TESTED, INCONCLUSIVE) if v in verdicts), SUPPORTED)


def judge(
    claims: Mapping[str, Any],
    results: pd.DataFrame,
    differences: pd.DataFrame,
    missing: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Return one row a claim, experiment, defence, attack, attacker and condition.

    `verdict` and `corrected` are the claim's, over its conditions; `outcome` and
    `corrected_outcome` are those of the row's own condition.

    missing: the defences of an experiment that the results lack, for one seed at least, because
    jobs failed.
    """
    rows, headline = [], headline_of(claims, results)
    for claim in claims["claims"]:
        judged = [
            row
            for experiment in dict.fromkeys([*results["experiment"], *missing])
            for defence in claim["defences"]
            for row in _judge_defence(
                claim,
                experiment,
                defence,
                headline,
                results,
                differences,
                missing.get(experiment, ()),
            )
        ]
        rows += _corrected(judged)
    return pd.DataFrame(rows, columns=[*VERDICTS])


def headline_of(claims: Mapping[str, Any], results: pd.DataFrame) -> dict[str, str]:
    """Return the attack and the attacker that the headline verdicts are about.

    They are the claims' own, or the first of a study that lacks these.
    """
    named = results[["attack", "attacker"]].dropna().drop_duplicates()
    tried = [dict(row) for row in named[named["attack"] != ""].to_dict("records")]
    wanted = dict(claims["headline"])
    return wanted if wanted in tried or not tried else tried[0]


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of one claim, with the verdicts of intervals that all hold at once."""
    about = ("experiment", "defence", "metric", "minus", "value", "standard_error")
    # A condition on utility is the same interval under every attack.
    n_intervals = len(
        {tuple(row[key] for key in about) for row in rows if row.get("standard_error", 0.0) > 0}
    )
    wider = [{**row, **_wider(row, n_intervals)} for row in rows]
    sides: dict[tuple, list[str]] = {}
    for row in wider:
        sides.setdefault(_judged(row), []).append(row.get("corrected_outcome", NOT_TESTED))
    return [{**row, "corrected": combine(sides[_judged(row)])} for row in wider]


def _judged(row: Mapping[str, Any]) -> tuple:
    return tuple(row[key] for key in ("experiment", "defence", "attack", "attacker"))


def _wider(row: Mapping[str, Any], n_intervals: int) -> dict[str, Any]:
    """Return a condition's interval as one of so many that hold at once.

    Counted numbers have none that could be wider.
    """
    if "value" not in row:
        return {}
    half = 0.0
    if row["standard_error"] > 0:
        half = row["standard_error"] * quantile(
            row["degrees_of_freedom"], 1 - (1 - CONFIDENCE) / n_intervals
        )
    low, high = row["value"] - half, row["value"] + half
    outcome = side(low, high, **{row["direction"]: row["threshold"]})
    return {
        "n_intervals": n_intervals,
        "corrected_low": low,
        "corrected_high": high,
        "corrected_outcome": outcome,
    }


def _judge_defence(
    claim: Mapping[str, Any], experiment: str, defence: str, headline: Mapping[str, str],
    results: pd.DataFrame, differences: pd.DataFrame, missing: Sequence[str],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    about = {
        "claim": claim["id"],
        "experiment": experiment,
        "defence": defence,
        "attack": "",
        "attacker": "",
    }
    wanted = [
        defence,
        *(condition["minus"] for condition in claim["conditions"] if "minus" in condition),
    ]
    here = {MATCHED, *results.loc[results["experiment"] == experiment, "defence"]}
    why = [
        f"the study has no defence named {name}"
        for name in wanted
        if name not in {*here, *results["defence"], *missing}
    ]
    why += [
        FAILED.format(name, experiment) for name in wanted if name in missing and name not in here
    ]
    is_headline = defence == claim["defences"][0]
    if why:
        yield {**about, "verdict": NOT_TESTED, "reason": why[0], "headline": is_headline}
        return
    tables = [
        _rows_of(condition, experiment, defence, results, differences)
        for condition in claim["conditions"]
    ]
    attackers = sorted({key for table in tables for key in table if key != ("", "")}) or [("", "")]
    of_headline = (headline["attack"], headline["attacker"])
    if is_headline and attackers != [("", "")] and of_headline not in attackers:
        reason = f"the attack {headline['attack']} ({headline['attacker']}) gave no result on it"
        yield {**about, **headline, "verdict": NOT_TESTED, "reason": reason, "headline": True}
    for attack, attacker in attackers:
        found = [table.get((attack, attacker), table.get(("", ""))) for table in tables]
        conditions = [
            _judge_condition(c, row) for c, row in zip(claim["conditions"], found, strict=True)
        ]
        verdict = combine([condition["outcome"] for condition in conditions])
        absent = [
            condition for condition, row in zip(conditions, found, strict=True) if row is None
        ]
        reason = _why_absent(absent[0], about, missing) if absent else ""
        by_headline = (attack, attacker) in (("", ""), of_headline)
        for condition in conditions:
            named = {
                **about,
                "attack": attack,
                "attacker": attacker,
                "headline": is_headline and by_headline,
            }
            yield {**named, "verdict": verdict, "reason": reason, **condition}


def _why_absent(
    condition: Mapping[str, Any], about: Mapping[str, str], missing: Sequence[str]
) -> str:
    for name in (about["defence"], condition["minus"]):
        if name in missing:
            return FAILED.format(name, about["experiment"])
    if condition["minus"] == MATCHED:
        return "the study has no dense networks around its test accuracy"
    return f"the study has no {condition['metric']} for it"


def _rows_of(
    condition: Mapping[str, Any],
    experiment: str,
    defence: str,
    results: pd.DataFrame,
    differences: pd.DataFrame,
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the numbers of one condition, by attack and attacker."""
    table = differences if "minus" in condition else results
    chosen = (
        (table["experiment"] == experiment)
        & (table["defence"] == defence)
        & (table["metric"] == condition["metric"])
    )
    if "minus" in condition:
        chosen &= table["minus"] == condition["minus"]
    rows = (
        table[chosen]
        .astype({"attack": object, "attacker": object})
        .fillna({"attack": "", "attacker": ""})
    )
    return {(row["attack"], row["attacker"]): row for row in rows.to_dict("records")}


def _judge_condition(condition: Mapping[str, Any], row: Mapping[str, Any] | None) -> dict[str, Any]:
    limit = {key: condition[key] for key in ("below", "at_least") if key in condition}
    (direction, threshold), *_ = limit.items()
    about = {
        "metric": condition["metric"],
        "minus": condition.get("minus", ""),
        "direction": direction,
        "threshold": threshold,
    }
    if row is None:
        return {**about, "outcome": NOT_TESTED}
    counted = pd.isna(row["low"])
    low, high = (row["value"], row["value"]) if counted else (row["low"], row["high"])
    spread = {key: 0.0 if counted else row[key] for key in ("standard_error", "degrees_of_freedom")}
    sizes = {key: row[key] for key in ("n_targets", "n_examples", "seeds")}
    return {
        **about,
        "value": row["value"],
        "low": low,
        "high": high,
        **spread,
        **sizes,
        "outcome": side(low, high, **limit),
    }
