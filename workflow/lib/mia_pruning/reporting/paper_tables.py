"""The study's main tables for a paper, as tables of text.

Pure functions make them, with numbers printed as in the report. `typesetting_tables` writes them
as LaTeX and Markdown. What was not tried is a dash.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.names import TPR_AT
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.sentences import measured, with_interval
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import attack_order, pick

DASH = "–"
#: These heads stand beside those of defences, whose names have no capitals.
EXPERIMENT, ATTACK = "Experiment", "Attack"


def verdict_table(verdicts: pd.DataFrame, claims: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a claim and experiment, with both verdicts.

    It holds what was published, and what was measured by the headline attack.
    """
    rows = []
    for claim in claims:
        of_claim = pick(verdicts, claim=claim["id"])
        for experiment, judged in of_claim[of_claim["headline"]].groupby("experiment", sort=False):
            first = judged.iloc[0]
            tested = first["verdict"] != "not tested"
            rows.append(
                {
                    "experiment": readable(experiment),
                    "claim": f"{claim['id']}: {claim['statement']}",
                    "published": claim["published"],
                    "defence": readable(first["defence"]),
                    "measured": "; ".join(measured(row) for _, row in judged.iterrows())
                    if tested
                    else first["reason"],
                    "attack": _attacker(first["attack"], first["attacker"]),
                    "verdict": first["verdict"],
                    "strongest attack, corrected": _corrected(of_claim, first),
                }
            )
    columns = [
        "experiment",
        "claim",
        "published",
        "defence",
        "measured",
        "attack",
        "verdict",
        "strongest attack, corrected",
    ]
    return _without_lone_experiment(pd.DataFrame(rows, columns=columns))


def _corrected(of_claim: pd.DataFrame, first: pd.Series) -> str:
    """Return the strongest attack's corrected verdict.

    That of a claim which no attack decides is the same under all.
    """
    if not first["attack"]:
        return first["corrected"]
    by_strongest = pick(
        of_claim, experiment=first["experiment"], defence=first["defence"], **STRONGEST
    )
    return by_strongest.iloc[0]["corrected"] if len(by_strongest) else DASH


def defence_table(results: pd.DataFrame, headline: Mapping[str, str]) -> pd.DataFrame:
    """Return one row an experiment and defence: accuracy, privacy and size.

    Privacy is that under the headline attack and the strongest.
    """
    by_headline = readable(headline["attack"])
    resolved = [
        metric
        for metric in sorted(TPR_AT, key=TPR_AT.get)
        if not pick(results, metric=metric, **headline).empty
    ]
    columns = {
        "test accuracy": {"metric": "test_accuracy"},
        f"attack accuracy, {by_headline}": {"metric": "attack_accuracy", **headline},
        "attack accuracy, strongest": {"metric": "attack_accuracy", **STRONGEST},
        f"AUC, {by_headline}": {"metric": "auc", **headline},
        **{
            f"TPR at {100 * TPR_AT[metric]:g} % FPR, {by_headline}": {"metric": metric, **headline}
            for metric in resolved[:1]
        },
        "compression": {"metric": "compression"},
        "bytes, sparse": {"metric": "sparse_bytes"},
    }
    rows = [
        {
            "experiment": readable(experiment),
            "defence": readable(defence),
            **{
                name: _cell(pick(results, experiment=experiment, defence=defence, **wanted))
                for name, wanted in columns.items()
            },
        }
        for experiment in in_order(results, "experiment")
        for defence in in_order(pick(results, experiment=experiment), "defence")
    ]
    return _without_lone_experiment(pd.DataFrame(rows, columns=["experiment", "defence", *columns]))


def attack_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return attack accuracy: one row an experiment, attack and attacker, one column a defence."""
    accuracies = pick(results, metric="attack_accuracy")
    defences = in_order(results, "defence")
    rows = []
    for experiment in in_order(accuracies, "experiment"):
        tried = pick(accuracies, experiment=experiment)
        keys = dict.fromkeys(zip(tried["attack"], tried["attacker"], strict=True))
        for attack, attacker in sorted(keys, key=attack_order):
            found = pick(tried, attack=attack, attacker=attacker)
            cells = {readable(defence): _cell(pick(found, defence=defence)) for defence in defences}
            rows.append(
                {EXPERIMENT: readable(experiment), ATTACK: _attacker(attack, attacker), **cells}
            )
    return _without_lone_experiment(
        pd.DataFrame(rows, columns=[EXPERIMENT, ATTACK, *map(readable, defences)])
    )


def _attacker(attack: str, attacker: str) -> str:
    """Return the words for an attack by an attacker, or a dash where there is none.

    >>> _attacker("rmia_online", "dense_shadows"), _attacker("", "")
    ('rmia online (dense shadows)', '–')
    """
    return f"{readable(attack)} ({readable(attacker)})" if attack else DASH


def _cell(rows: pd.DataFrame) -> str:
    return with_interval(rows.iloc[0]) or DASH if len(rows) else DASH


def _without_lone_experiment(table: pd.DataFrame) -> pd.DataFrame:
    """Drop the first column, which names the experiment, in a study of one experiment."""
    return table if len(set(table.iloc[:, 0])) > 1 else table.iloc[:, 1:]
