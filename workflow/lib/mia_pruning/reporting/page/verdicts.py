"""The claims with their verdicts."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.names import PRIVACY_METRICS
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.claims import NOT_TESTED
from mia_pruning.reporting.page.answer import OURS
from mia_pruning.reporting.page.table import Cell, Column, Table, named, table_of
from mia_pruning.reporting.sentences import corrected_interval, judged_by, measured, required
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import ATTACKER, WHERE, pick

NO_ATTACK = dict.fromkeys(ATTACKER, "")
#: In claims.yaml this stands where the paper gives no figure.
UNPUBLISHED = "not published"


def headline_verdicts(
    claims: Mapping[str, Any], verdicts: pd.DataFrame, headline: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return each claim with its headline judgements and those of its other defences.

    They are by the headline attack and, corrected, by the strongest.
    """
    views = []
    for claim in claims["claims"]:
        rows = pick(verdicts, claim=claim["id"])
        strongest = dict(list(pick(rows, **STRONGEST).groupby(WHERE, sort=False)))
        judged = []
        for (experiment, defence), part in pick(rows, headline=[True]).groupby(WHERE, sort=False):
            entry = _judgement(part)
            by_strongest = strongest.get((experiment, defence))
            more = {"strongest": None if by_strongest is None else _by_strongest(by_strongest)}
            judged.append(
                {
                    **entry,
                    **more,
                    "others": _others(claim, pick(rows, experiment=experiment), headline),
                }
            )
        views.append(
            {
                **claim,
                "judged": judged,
                "published_figure": claim["number"] not in (OURS, UNPUBLISHED),
            }
        )
    return views


def _by_strongest(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the corrected verdict, with what the strongest attack alone measured."""
    shown = rows[rows["metric"].isin(PRIVACY_METRICS)]
    found = _judgement(shown, outcome="corrected_outcome")
    intervals = [corrected_interval(row) for _, row in shown.iterrows()]
    conditions = [
        {**condition, "corrected": wider}
        for condition, wider in zip(found["conditions"], intervals, strict=False)
    ]
    return {**found, "verdict": rows.iloc[0]["corrected"], "conditions": conditions}


def _judgement(rows: pd.DataFrame, outcome: str = "outcome") -> dict[str, Any]:
    """Return one verdict with what was measured for each condition.

    `sizes` says on how many targets, examples and seeds.
    """
    first = rows.iloc[0]
    about = {key: first[key] for key in (*WHERE, *ATTACKER, "verdict", "corrected")}
    if first["verdict"] == NOT_TESTED:
        return {**about, "conditions": [], "reason": first["reason"], "sizes": ""}
    conditions = [
        {"measured": measured(row), "required": required(row), "outcome": row[outcome]}
        for _, row in rows.iterrows()
    ]
    counted = rows.dropna(subset=["n_targets"])
    return {
        **about,
        "conditions": conditions,
        "reason": "",
        "sizes": sizes(counted.iloc[0]) if len(counted) else "",
    }


def _others(
    claim: Mapping[str, Any], rows: pd.DataFrame, headline: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the verdicts on the claim for its other defences.

    They are by the headline attack or by none and, corrected, by the strongest.
    """
    others = []
    for defence in claim["defences"][1:]:
        tested = pick(rows, defence=defence)
        tested = tested[tested["verdict"] != NOT_TESTED]
        own = [part for wanted in (headline, NO_ATTACK) if len(part := pick(tested, **wanted))]
        by_strongest = pick(tested, **STRONGEST)
        if len(tested):
            verdict = own[0].iloc[0]["verdict"] if own else ""
            strongest = by_strongest.iloc[0]["corrected"] if len(by_strongest) else ""
            others.append({"defence": defence, "verdict": verdict, "strongest": strongest})
    return others


def sizes_of_study(results: pd.DataFrame) -> str:
    """Return the sizes behind the figures: those of each experiment, by its first defence.

    >>> row = {"defence": "a", "metric": "train_accuracy", "n_targets": 8.0, "n_examples": 2800.0, "seeds": "0"}
    >>> sizes_of_study(pd.DataFrame([{**row, "experiment": "x_y"}, {**row, "experiment": "z"}]))
    'x y: 8 targets, 2,800 examples, seed 0; z: 8 targets, 2,800 examples, seed 0'
    """
    found = {
        name: sizes_of_defence(pick(results, experiment=name))
        for name in in_order(results, "experiment")
    }
    return "; ".join(f"{readable(name)}: {of}" for name, of in found.items() if of)


def sizes_of_defence(results: pd.DataFrame) -> str:
    """Return the sizes behind a defence's numbers, by the examples that attacks are tried on.

    The text is empty where it has none.
    """
    rows = pick(results, metric="train_accuracy")
    return sizes(rows.iloc[0]) if len(rows) else ""


def sizes(row: Mapping[str, Any]) -> str:
    """Return how many targets and examples, and which seeds, stand behind a number.

    >>> sizes({"n_targets": 8.0, "n_examples": 2800.0, "seeds": "0"})
    '8 targets, 2,800 examples, seed 0'
    """
    seeds = row["seeds"].split()
    named_seeds = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
    return f"{row['n_targets']:.0f} targets, {row['n_examples']:,.0f} examples, {named_seeds}"


def all_verdicts(verdicts: pd.DataFrame) -> Table:
    """Tabulate every claim for every defence under every attacker."""
    rows = []
    for (claim, experiment, defence, attack, attacker), part in verdicts.groupby(
        ["claim", *WHERE, *ATTACKER], sort=False
    ):
        first = part.iloc[0]
        said = "; ".join(judged_by(row) for _, row in part.iterrows() if row["metric"])
        if first["verdict"] == NOT_TESTED:
            said = first["reason"]
        names = [named(name) for name in (experiment, defence, attack, attacker)]
        rows.append(
            [claim, *names, verdict_cell(first["verdict"]), verdict_cell(first["corrected"]), said]
        )
    columns = [
        Column("claim"),
        Column("experiment"),
        Column("defence"),
        Column("attack"),
        Column(
            "attacker",
            "adaptive: shadows of the target's own defence; dense shadows: of the undefended baseline",
        ),
        Column("verdict", "from one interval"),
        Column("corrected", "when all intervals of the claim hold at once (Bonferroni)"),
        Column("measured"),
    ]
    return table_of(
        "all-verdicts", "Every claim, for every defence and under every attacker", columns, rows
    )


def by_attacker(
    claims: Mapping[str, Any], verdicts: pd.DataFrame, attackers: list[tuple[str, str]]
) -> Table:
    """Tabulate the verdicts on each claim's first defence.

    There is one row a claim and experiment, and one column an attacker.
    """
    rows = []
    for claim in claims["claims"]:
        of_claim = pick(verdicts, claim=claim["id"], defence=claim["defences"][0])
        for experiment, part in of_claim.groupby("experiment", sort=False):
            found = {(row["attack"], row["attacker"]): row for _, row in part[::-1].iterrows()}
            anchor = f"attackers-{claim['id']}-{experiment}"
            heads = [
                named(experiment),
                Cell(claim["id"], hint=claim["statement"], anchor=anchor, look="fixed"),
            ]
            rows.append(
                [*heads, *(_both(found.get(key, found.get(("", "")))) for key in attackers)]
            )
    columns = [Column("experiment"), Column("claim"), *(attacker_column(*key) for key in attackers)]
    return table_of(
        "verdicts-by-attacker",
        "Each claim under each attacker",
        columns,
        rows,
        n_heads=2,
        look="matrix whole",
    )


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
    """Return the style that the page has for a verdict.

    >>> look_of("not tested")
    'not-tested'
    """
    return verdict.replace(" ", "-")


def attackers_of(verdicts: pd.DataFrame, headline: Mapping[str, str]) -> list[tuple[str, str]]:
    """List every attacker of the claims: the strongest, then the headline's, then the rest."""
    first = [tuple(STRONGEST.values()), (headline["attack"], headline["attacker"])]
    attacks = verdicts[verdicts["attack"] != ""]
    found = sorted(set(zip(attacks["attack"], attacks["attacker"], strict=True)))
    return [key for key in first if key in found] + [key for key in found if key not in first]


def choices(strongest: pd.DataFrame) -> Table | None:
    """Tabulate which attack was the strongest, by attack accuracy on either half of the examples.

    There is one row an experiment and defence; None where no attack was chosen.
    """
    rows = []
    for where, part in pick(strongest, metric="attack_accuracy").groupby(WHERE, sort=False):
        of_halves = [pick(part, chosen_on=half) for half in ("first", "second")]
        rows.append([*map(named, where), *(_chosen(of_half) for of_half in of_halves)])
    halves = [
        Column(f"chosen on the {half} half", "its attack accuracy there, then on the other half")
        for half in ("first", "second")
    ]
    columns = [Column("experiment"), Column("defence"), *halves]
    caption = "Which attack was the strongest, by attack accuracy"
    return table_of("strongest", caption, columns, rows, n_heads=2) if rows else None


def _chosen(of_half: pd.DataFrame) -> str:
    """Name the attacks chosen on a half of the examples, one a seed.

    Each comes with what it reached on that half and on the other.
    """
    return ", ".join(
        f"{readable(row.attack)} ({readable(row.attacker)}) {row.value_there:.3f}, {row.value_elsewhere:.3f}"
        for row in of_half.itertuples()
    )
