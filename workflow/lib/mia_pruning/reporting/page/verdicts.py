"""The claims with their verdicts, and the answer in one sentence."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.claims import NOT_TESTED
from mia_pruning.reporting.page.table import Cell, Column, Table, named, table_of
from mia_pruning.reporting.sentences import judged_by, measured, required, with_interval
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import pick

ATTACKER = ["attack", "attacker"]
WHERE = ["experiment", "defence"]


def headline_verdicts(claims: Mapping[str, Any], verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """For each claim its headline judgements: by the headline attack, and, corrected, by the strongest."""
    views = []
    for claim in claims["claims"]:
        rows = pick(verdicts, claim=claim["id"])
        judged = [_judgement(part) for _, part in pick(rows, headline=[True]).groupby(WHERE, sort=False)]
        strongest = dict(list(pick(rows, **STRONGEST).groupby(WHERE, sort=False)))
        for entry in judged:
            part = strongest.get((entry["experiment"], entry["defence"]))
            entry["strongest"] = None if part is None else _by_strongest(part, entry)
        views.append({**claim, "judged": judged})
    return views


def _by_strongest(rows: pd.DataFrame, headline: Mapping[str, Any]) -> dict[str, Any]:
    """The corrected verdict, with what the strongest attack alone measured."""
    found = _judgement(rows)
    intervals = [_corrected_interval(row) for _, row in rows.iterrows()]
    both = [{**condition, "corrected": wider} for condition, wider in zip(found["conditions"], intervals, strict=False)]
    own = [condition for condition in both if condition["measured"] not in {c["measured"] for c in headline["conditions"]}]
    return {**found, "verdict": rows.iloc[0]["corrected"], "conditions": own}


def _corrected_interval(row: pd.Series) -> str:
    """The interval that holds at once with all of the claim."""
    if pd.isna(row["corrected_low"]):
        return ""
    scale, low, high = (100 if row["minus"] else 1), row["corrected_low"], row["corrected_high"]
    ends = f"{scale * low:+.1f} to {scale * high:+.1f}" if row["minus"] else f"{low:.3f} to {high:.3f}"
    return f"{ends}, corrected for {row['n_intervals']:.0f} comparisons"


def _judgement(rows: pd.DataFrame) -> dict[str, Any]:
    """One verdict with what was measured for each condition, and of how many targets, examples and seeds."""
    first = rows.iloc[0]
    about = {key: first[key] for key in (*WHERE, *ATTACKER, "verdict")}
    if first["verdict"] == NOT_TESTED:
        return {**about, "conditions": [], "reason": first["reason"], "sizes": ""}
    conditions = [{"measured": measured(row), "required": required(row)} for _, row in rows.iterrows()]
    counted = rows.dropna(subset=["n_targets"])
    return {**about, "conditions": conditions, "reason": "", "sizes": sizes(counted.iloc[0]) if len(counted) else ""}


def sizes_of_study(results: pd.DataFrame) -> str:
    """What stands behind the figures: the sizes of each experiment, by its first defence.

    >>> row = {"defence": "a", "metric": "train_accuracy", "n_targets": 8.0, "n_examples": 2800.0, "seeds": "0"}
    >>> sizes_of_study(pd.DataFrame([{**row, "experiment": "x_y"}, {**row, "experiment": "z"}]))
    'x y: 8 targets, 2,800 examples, seed 0; z: 8 targets, 2,800 examples, seed 0'
    """
    found = {name: sizes_of_defence(pick(results, experiment=name)) for name in in_order(results, "experiment")}
    return "; ".join(f"{readable(name)}: {of}" for name, of in found.items() if of)


def sizes_of_defence(results: pd.DataFrame) -> str:
    """How much stands behind a defence's numbers, by the examples that attacks are tried on; nothing where it has none."""
    rows = pick(results, metric="train_accuracy")
    return sizes(rows.iloc[0]) if len(rows) else ""


def sizes(row: Mapping[str, Any]) -> str:
    """How many targets, examples and seeds stand behind a number.

    >>> sizes({"n_targets": 8.0, "n_examples": 2800.0, "seeds": "0"})
    '8 targets, 2,800 examples, seed 0'
    """
    seeds = row["seeds"].split()
    named_seeds = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
    return f"{row['n_targets']:.0f} targets, {row['n_examples']:,.0f} examples, {named_seeds}"


def all_verdicts(verdicts: pd.DataFrame) -> Table:
    """Every claim for every defence under every attacker."""
    rows = []
    for (claim, experiment, defence, attack, attacker), part in verdicts.groupby(["claim", *WHERE, *ATTACKER], sort=False):
        first = part.iloc[0]
        said = "; ".join(judged_by(row) for _, row in part.iterrows() if row["metric"])
        if first["verdict"] == NOT_TESTED:
            said = first["reason"]
        names = [named(name) for name in (experiment, defence, attack, attacker)]
        rows.append([claim, *names, verdict_cell(first["verdict"]), verdict_cell(first["corrected"]), said])
    columns = [
        Column("claim"),
        Column("experiment"),
        Column("defence"),
        Column("attack"),
        Column("attacker", "adaptive: shadows of the target's own defence; dense shadows: of the undefended baseline"),
        Column("verdict", "from one interval"),
        Column("corrected", "when all intervals of the claim hold at once (Bonferroni)"),
        Column("measured"),
    ]
    return table_of("all-verdicts", "Every claim, for every defence and under every attacker", columns, rows)


def by_attacker(claims: Mapping[str, Any], verdicts: pd.DataFrame, attackers: list[tuple[str, str]]) -> Table:
    """One row a claim and experiment, one column an attacker: the verdict on the claim's first defence."""
    rows = []
    for claim in claims["claims"]:
        of_claim = pick(verdicts, claim=claim["id"], defence=claim["defences"][0])
        for experiment, part in of_claim.groupby("experiment", sort=False):
            found = {(row["attack"], row["attacker"]): row for _, row in part[::-1].iterrows()}
            anchor = f"attackers-{claim['id']}" if experiment == of_claim["experiment"].iloc[0] else ""
            heads = [Cell(claim["id"], hint=claim["statement"], anchor=anchor), named(experiment)]
            rows.append([*heads, *(_both(found.get(key, found.get(("", "")))) for key in attackers)])
    columns = [Column("claim"), Column("experiment"), *(attacker_column(*key) for key in attackers)]
    return table_of("verdicts-by-attacker", "Each claim under each attacker", columns, rows, n_heads=2, look="matrix")


def attacker_column(attack: str, attacker: str) -> Column:
    return Column(f"{readable(attack)}, {readable(attacker)}" if attack else readable(attacker))


def _both(row: pd.Series | None) -> Cell:
    if row is None:
        return Cell("")
    corrected = "" if row["corrected"] == row["verdict"] else f" ({row['corrected']})"
    return Cell(f"{row['verdict']}{corrected}", look=look_of(row["verdict"]))


def verdict_cell(verdict: str) -> Cell:
    return Cell(verdict, look=look_of(verdict))


def look_of(verdict: str) -> str:
    """
    >>> look_of("not tested")
    'not-tested'
    """
    return verdict.replace(" ", "-")


def attackers_of(verdicts: pd.DataFrame, headline: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every attacker of the claims: the strongest first, then the headline's, then the others."""
    first = [tuple(STRONGEST.values()), (headline["attack"], headline["attacker"])]
    attacks = verdicts[verdicts["attack"] != ""]
    found = sorted(set(zip(attacks["attack"], attacks["attacker"], strict=True)))
    return [key for key in first if key in found] + [key for key in found if key not in first]


def choices(strongest: pd.DataFrame) -> Table | None:
    """Which attack was the strongest by attack accuracy, against how many targets of each defence."""
    rows = []
    for where, part in pick(strongest, metric="attack_accuracy").groupby(WHERE, sort=False):
        counts = part.groupby(ATTACKER).size().sort_values(ascending=False)
        chosen = ", ".join(f"{readable(attack)} ({readable(attacker)}) {n}" for (attack, attacker), n in counts.items())
        rows.append([*map(named, where), len(part), chosen])
    columns = [Column("experiment"), Column("defence"), Column("targets"), Column("chosen for how many targets")]
    caption = "Which attack was the strongest, by attack accuracy"
    return table_of("strongest", caption, columns, rows, n_heads=2) if rows else None


def conclusion(claims: Mapping[str, Any], verdicts: pd.DataFrame, results: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """The answer: for each experiment a sentence on the first claim's defence, then how many claims fared how."""
    first = claims["claims"][0]
    rows = pick(verdicts, claim=first["id"], defence=first["defences"][0])
    sentences = [_effect(name, pick(rows, experiment=name), results, differences) for name in in_order(rows, "experiment")]
    return [*sentences, *at_other_rates(claims, verdicts), *tally(claims, verdicts)]


#: what a verdict on "lowers" says happened
DID = {"supported": "lowered", "refuted": "did not lower", "inconclusive": "was not shown to lower"}


def _effect(experiment: str, rows: pd.DataFrame, results: pd.DataFrame, differences: pd.DataFrame) -> str:
    """What the first claim's defence did to the headline attack, to the strongest, and to the network's accuracy."""
    headline = rows[rows["headline"]].iloc[0]
    if headline["verdict"] == NOT_TESTED:
        return f"On {readable(experiment)} nothing can be said of {readable(headline['defence'])}: {headline['reason']}."
    parts = [f"{DID[headline['verdict']]} the accuracy of the {readable(headline['attack'])} attack ({_points(headline)})"]
    for _, row in pick(rows, **STRONGEST).iterrows():
        parts.append(f"{DID[row['corrected']]} that of the strongest attack ({_corrected_points(row)})")
    of_defence = pick(results, experiment=experiment, defence=headline["defence"]).set_index("metric")["value"]
    rate = f" at {of_defence['compression']:.4g}x compression" if of_defence.get("compression", 1.0) > 1 else ""
    about = {"experiment": experiment, "defence": headline["defence"], "minus": headline["minus"]}
    cost = pick(differences, metric="test_accuracy", **about)
    accuracy = f", with {with_interval(cost.iloc[0], signed=True)} of test accuracy" if len(cost) else ""
    return (
        f"On {readable(experiment)}, {readable(headline['defence'])}{rate} {' and '.join(parts)}{accuracy}, "
        f"against the {readable(headline['minus'])}."
    )


def _points(row: pd.Series, low: str = "low", high: str = "high") -> str:
    return f"{100 * row['value']:+.1f} points, {100 * row[low]:+.1f} to {100 * row[high]:+.1f}"


def _corrected_points(row: pd.Series) -> str:
    return f"{_points(row, 'corrected_low', 'corrected_high')}, corrected for {row['n_intervals']:.0f} comparisons"


def at_other_rates(claims: Mapping[str, Any], verdicts: pd.DataFrame) -> list[str]:
    """What the first claim's other defences did to the strongest attack, or to the headline attack where none was chosen."""
    first = claims["claims"][0]
    sentences = []
    for defence in first["defences"][1:]:
        rows = pick(verdicts, claim=first["id"], defence=defence)
        for experiment in in_order(rows, "experiment"):
            tested = rows[(rows["experiment"] == experiment) & (rows["verdict"] != NOT_TESTED)]
            strongest = pick(tested, **STRONGEST)
            shown = strongest if len(strongest) else tested[:1]
            for _, row in shown.iterrows():
                whose = "the strongest attack" if len(strongest) else f"the {readable(row['attack'])} attack"
                said = f"{DID[row['corrected']]} the accuracy of {whose} ({_corrected_points(row)})"
                sentences.append(f"On {readable(experiment)}, {readable(defence)} {said}.")
    return sentences


#: what claims.yaml says where a claim is not the paper's
OURS = "not the paper's claim"


def tally(claims: Mapping[str, Any], verdicts: pd.DataFrame) -> list[str]:
    """How the paper's claims fared by the headline attack, and, corrected, by the strongest; those of no attack are in both."""
    papers = [claim["id"] for claim in claims["claims"] if claim["number"] != OURS]
    judged = verdicts[verdicts["claim"].isin(papers)]
    headline = judged[judged["headline"]].groupby(["claim", *WHERE], sort=False).first().reset_index()
    where = [tuple(row) for row in headline[["claim", *WHERE]].to_numpy()]
    strongest = {key: part.iloc[0]["corrected"] for key, part in pick(judged, **STRONGEST).groupby(["claim", *WHERE], sort=False)}
    without_attack = headline[headline["attack"] == ""]
    shared = {tuple(row[key] for key in ("claim", *WHERE)): row["corrected"] for _, row in without_attack.iterrows()}
    corrected = [{**shared, **strongest}.get(key, NOT_TESTED) for key in where]
    sentences = [f"Of the paper's claims, by the headline attack: {counted(headline['verdict'])}."] if where else []
    if strongest:
        sentences.append(f"By the strongest attack, corrected for all comparisons of a claim: {counted(corrected)}.")
    return sentences


def counted(verdicts: Iterable[str]) -> str:
    """
    >>> counted(["refuted", "supported", "refuted"])
    '1 supported, 2 refuted'
    """
    found = list(verdicts)
    return ", ".join(f"{found.count(name)} {name}" for name in (*DID, NOT_TESTED) if name in found)
