"""The answer in a minute: two sentences and three numbers, none stronger than its interval."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mia_pruning.metrics.stand_ins import MATCHED, STRONGEST
from mia_pruning.reporting.claims import NOT_TESTED
from mia_pruning.reporting.page.answer import ATTACKED, whose
from mia_pruning.reporting.sentences import interval, number
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import ATTACKER, WHERE, pick

#: A rate of compression is printed with this many significant digits.
DIGITS = 3
NO_VERDICTS = "it has no verdicts"
UNMATCHED = "it was not compared with unpruned networks of the same test accuracy"


@dataclass(frozen=True)
class KeyNumber:
    """A number of the answer. interval: its ends, in words; about: what it is the number of."""

    value: str
    interval: str
    about: str


@dataclass(frozen=True)
class Brief:
    sentences: list[str]
    numbers: list[KeyNumber]


def brief(
    claims: Mapping[str, Any],
    verdicts: pd.DataFrame,
    results: pd.DataFrame,
    differences: pd.DataFrame,
    headline: Mapping[str, str],
) -> Brief:
    """Say what pruning did to the strongest attack.

    Where there is none, the headline attack is meant. Intervals of its changes are corrected.
    """
    first = claims["claims"][0]
    of_first = pick(verdicts, claim=first["id"], defence=first["defences"])
    attack = attack_shown(of_first, headline)
    cases = _cases(of_first, attack)
    if cases.empty:
        return Brief([_unanswered(of_first)], [])
    cases = cases.assign(rate=[_rate(row, results) for row in cases.to_dict("records")])
    matched = _matched(claims, verdicts, attack, cases)
    second = _beside_dense(matched) if len(matched) else _cost(cases, differences)
    sentences = [_effects(cases), *([second] if second else [])]
    where = _shown_experiment(cases)
    return Brief(sentences, [*_numbers(cases.iloc[0], where, results, differences)])


def attack_shown(verdicts: pd.DataFrame, headline: Mapping[str, str]) -> Mapping[str, str]:
    """Return the strongest attack, or the headline attack where these verdicts have none."""
    return STRONGEST if len(_tested(pick(verdicts, **STRONGEST))) else headline


def effect(low: float, high: float) -> str:
    """Return what happened, by the interval of a difference.

    >>> effect(-0.05, -0.01), effect(-0.05, 0.01), effect(0.01, 0.02)
    ('lowered', 'was not shown to lower', 'raised')
    """
    if high < 0:
        return "lowered"
    return "raised" if low > 0 else "was not shown to lower"


def _tested(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured of the accuracy of attacks, minus that under another defence."""
    rows = verdicts[(verdicts["verdict"] != NOT_TESTED) & (verdicts["minus"] != "")]
    return pick(rows, metric=ATTACKED).dropna(subset=["corrected_low", "corrected_high"])


def _cases(verdicts: pd.DataFrame, attack: Mapping[str, str]) -> pd.DataFrame:
    """Return one row an experiment and pruned network, with what happened there."""
    rows = pick(_tested(verdicts), **attack).drop_duplicates(WHERE)
    ends = zip(rows["corrected_low"], rows["corrected_high"], strict=True)
    return rows.assign(effect=[effect(*both) for both in ends])


def _matched(
    claims: Mapping[str, Any],
    verdicts: pd.DataFrame,
    attack: Mapping[str, str],
    cases: pd.DataFrame,
) -> pd.DataFrame:
    """Return the same cases against dense networks of their test accuracy.

    The verdicts are those on the first claim that asks it.
    """
    asking = [
        claim["id"]
        for claim in claims["claims"]
        if any(each.get("minus") == MATCHED for each in claim["conditions"])
    ]
    found = _cases(pick(verdicts, claim=asking[:1], minus=MATCHED), attack)
    return found.merge(cases[[*WHERE, "rate"]], on=WHERE)


def _unanswered(verdicts: pd.DataFrame) -> str:
    reasons = [reason for reason in verdicts["reason"] if reason]
    return f"This study cannot say whether pruning lowers the accuracy of attacks: {(reasons or [NO_VERDICTS])[0]}."


def _rate(row: Mapping[str, Any], results: pd.DataFrame) -> str:
    """Return the compression of a case in few digits, or an empty text where it is not known."""
    found = pick(results, metric="compression", **{key: row[key] for key in WHERE})["value"]
    return f"{found.iloc[0]:.{DIGITS}g}" if len(found) else ""


def _effects(cases: pd.DataFrame) -> str:
    """Say what pruning did to the attack, and where.

    >>> both = {"experiment": "e", "attack": "strongest", "attacker": "any"}
    >>> rows = [("a", "lowered", "40"), ("b", "was not shown to lower", "5"), ("c", "was not shown to lower", "16")]
    >>> _effects(pd.DataFrame(rows, columns=["defence", "effect", "rate"]).assign(**both))[:70]
    'Pruning lowered the accuracy of the strongest attack where it kept one'
    """
    (first, where), *others = _grouped(cases)
    more = [f"{what} it {there}" for what, there in others]
    said = f"Pruning {first} the accuracy of {whose(cases.iloc[0])} {where}"
    return f"{_listed([said, *more], ', and')}."


def _beside_dense(matched: pd.DataFrame) -> str:
    groups = _grouped(matched)
    if len(groups) == 1 and len(matched) > 1:
        (what, _), *_ = groups
        several = len({*matched["experiment"]}) > 1
        every = "any" if what.endswith("to lower") else "each"
        groups = [(what, f"in {every} of these cases" if several else f"at {every} of these rates")]
    said = _listed([f"{what} it {where}" for what, where in groups], ", and")
    return f"Against networks of the same test accuracy that were not pruned, it {said}."


def _grouped(cases: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what happened, and where that was, in the order of the cases."""
    return [(what, _where(part, cases)) for what, part in cases.groupby("effect", sort=False)]


def _where(part: pd.DataFrame, cases: pd.DataFrame) -> str:
    """Say which of the cases these are.

    In one experiment they are named by their rates of compression or names, else counted.
    """
    if len({*cases["experiment"]}) > 1:
        return f"in {len(part)} of {len(cases)} cases"
    if "" in {*cases["rate"]} or len({*cases["rate"]}) < len(cases):
        return f"under {_listed([*map(readable, part['defence'])])}"
    rates = [f"in {rate}" for rate in sorted(part["rate"], key=float)]
    return f"where it kept one weight {_listed(rates, ' or')}"


def _listed(parts: Sequence[str], last: str = " and") -> str:
    """Join parts with commas, and the last one by a word.

    >>> _listed(["a"]), _listed(["a", "b", "c"], " or")
    ('a', 'a, b or c')
    """
    *others, end = parts
    return f"{', '.join(others)}{last} {end}" if others else end


def _cost(cases: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Say what the cases changed in test accuracy; the text is empty where that is not known."""
    changes = [row for case in cases.to_dict("records") for row in _change(case, differences)]
    ends = [
        number(found, "test_accuracy", signed=True)
        for found in sorted({row["value"] for row in changes})
    ]
    if not ends:
        return ""
    if len(ends) == 1:
        return f"Test accuracy changed by {ends[0]} ({interval(changes[0], signed=True)}); {UNMATCHED}."
    return f"Test accuracy changed by between {ends[0]} and {ends[-1]}; {UNMATCHED}."


def _change(case: Mapping[str, Any], differences: pd.DataFrame) -> list[pd.Series]:
    about = {key: case[key] for key in (*WHERE, "minus")}
    return [row for _, row in pick(differences, metric="test_accuracy", **about).iterrows()][:1]


def _shown_experiment(cases: pd.DataFrame) -> str:
    """Say where the numbers are from, if the study has several experiments."""
    return (
        f" for {readable(cases.iloc[0]['experiment'])}" if len({*cases["experiment"]}) > 1 else ""
    )


def _numbers(
    case: pd.Series, where: str, results: pd.DataFrame, differences: pd.DataFrame
) -> Iterator[KeyNumber]:
    """Yield the numbers of one case: the attack without it, and what it changes.

    The changes are those of that attack and of test accuracy.
    """
    about = {key: case[key] for key in ("experiment", *ATTACKER)}
    for _, row in pick(results, metric=ATTACKED, defence=case["minus"], **about).iterrows():
        ends = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
        right = f"of guesses by {whose(case)} are right without pruning{where}; 50 % is chance"
        yield KeyNumber(f"{100 * row['value']:.1f} %", ends, right)
    kept = f"one weight in {case['rate']} is kept" if case["rate"] else readable(case["defence"])
    wider = f"{100 * case['corrected_low']:+.1f} to {100 * case['corrected_high']:+.1f}, corrected"
    change = number(case["value"], ATTACKED, signed=True)
    yield KeyNumber(change, wider, f"change of these guesses where {kept}")
    for row in _change(case, differences):
        change = number(row["value"], "test_accuracy", signed=True)
        yield KeyNumber(
            change, interval(row, signed=True), "change of test accuracy in the same network"
        )
