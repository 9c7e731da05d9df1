"""The outcome of a comparison, in sentences made from the numbers."""

from collections.abc import Iterable, Mapping
from typing import Any

from mia_pruning.metrics.intervals import CONFIDENCE
from mia_pruning.reporting.comparison import outcomes
from mia_pruning.reporting.comparison.outcomes import (
    DIFFERS,
    ONLY_A,
    ONLY_B,
    SAME_BITS,
    WITHIN,
    Compared,
)
from mia_pruning.reporting.comparison.records import shared_seeds
from mia_pruning.reporting.comparison.verdicts import Judged
from mia_pruning.reporting.style import readable

#: The opening names at most this many headline verdicts that changed.
MOST_NAMED = 5
#: These sentences are on experiments, by whether their split is the same in both studies.
SPLITS = {
    "same": "Not independent: both studies attack the same examples on {}, for the records of both splits name the same seed, "
    "settings and data. An interval of a difference is made as if the studies were independent, so it is too wide here: a real "
    "difference may lie within it, and luck alone makes fewer numbers differ than said.",
    "other": "Taken as independent: by their records no split of {} has the same seed, settings and data in both. Examples of "
    "one data set that both drew would make an interval somewhat too wide.",
    "unknown": "It is not recorded whether both attack the same examples on {}; if they do, the intervals of differences are "
    "too wide.",
}


def opening(numbers: list[Compared], verdicts: list[Judged]) -> list[str]:
    """Say what came of the comparison, in words made from the numbers."""
    counts = outcomes.count(numbers)
    in_both = counts[SAME_BITS] + counts[WITHIN] + counts[DIFFERS]
    if not in_both:
        return ["No number is in both studies, so nothing could be compared."]
    sentences = [
        f"Of {in_both:,} number{'' if in_both == 1 else 's'} in both, {_verb(counts[SAME_BITS], 'has', 'have')} the same bits, "
        f"{_verb(counts[WITHIN], 'is', 'are')} the same within intervals and {_verb(counts[DIFFERS], 'differs', 'differ')}"
        f"{_luck(numbers)}."
    ]
    return [
        *sentences,
        *_reproduced(numbers, in_both),
        _headline(verdicts),
        *_all_verdicts(verdicts),
        *_conditions(verdicts),
    ]


def _verb(n: int, one: str, more: str) -> str:
    return f"{n:,} {one if n == 1 else more}"


def _luck(numbers: list[Compared]) -> str:
    """Say how much of what differs has an interval, and how much of that luck alone would make.

    The rest, without an interval, cannot differ by luck.
    """
    could = outcomes.that_could_differ(numbers)
    if not could:
        return ""
    differ = [each for each in numbers if each.outcome == DIFFERS]
    with_interval = sum(each.has_interval for each in differ)
    by_luck = outcomes.by_luck(numbers)
    about = f"{by_luck:,.0f}" if by_luck >= 10 else f"{by_luck:.2g}"
    exact = (
        f"; {len(differ) - with_interval:,} without an interval"
        if with_interval < len(differ)
        else ""
    )
    share = f"{100 * (1 - CONFIDENCE):.2g} % of the {could:,} that have one and other bits"
    return f" ({with_interval:,} with an interval, where about {about} would by luck alone: {share}{exact})"


def _headline(verdicts: list[Judged]) -> str:
    headline = [each for each in verdicts if each.headline]
    if not headline:
        return "No headline verdict was reached by both."
    changed = [each for each in headline if each.changed("verdict")]
    of_all = f"of {_verb(len(headline), 'headline verdict', 'headline verdicts')} changed"
    if not changed:
        return f"None {of_all}."
    more = f" and {len(changed) - MOST_NAMED:,} more" if len(changed) > MOST_NAMED else ""
    return f"{len(changed):,} {of_all}: {'; '.join(map(_change, changed[:MOST_NAMED]))}{more}."


def _all_verdicts(verdicts: list[Judged]) -> list[str]:
    """Say how many changed over all claims, defences and attackers, corrected or not.

    Nothing is said if none did.
    """
    n_changed = sum(each.changed("verdict", "corrected") for each in verdicts)
    return (
        [f"Of all {len(verdicts):,} verdicts in both, under any attacker, {n_changed:,} changed."]
        if n_changed
        else []
    )


def _conditions(verdicts: list[Judged]) -> list[str]:
    """Name the claims that do not ask the same of A and B.

    Their verdicts are of two questions.
    """
    others = dict.fromkeys(each.names["claim"] for each in verdicts if not each.same_conditions)
    return (
        [f"Other metrics or thresholds are required in B than in A by {', '.join(others)}."]
        if others
        else []
    )


def _change(judged: Judged) -> str:
    names = judged.names
    return (
        f"{names['claim']} ({readable(names['defence'])}, {readable(names['experiment'])}), "
        f"{judged.a['verdict'].iloc[0]} -> {judged.b['verdict'].iloc[0]}"
    )


def _reproduced(numbers: list[Compared], in_both: int) -> list[str]:
    """Say that B is A again, if no bit differs and neither has a number that the other lacks."""
    if outcomes.count(numbers)[SAME_BITS] < len(numbers):
        return []
    moved = outcomes.intervals_that_moved(numbers)
    intervals = f"the intervals of {moved:,} have not" if moved else "and so have their intervals"
    return [f"B reproduced A: all {in_both:,} numbers have the same bits, {intervals}."]


def independence(
    a: Mapping[str, Mapping[str, Any]],
    b: Mapping[str, Mapping[str, Any]],
    experiments: Iterable[str],
) -> list[str]:
    """Say whether the studies attack the same examples, for the experiments that are in both.

    a, b: their splits by their records.
    """
    groups: dict[str, list[str]] = {"same": [], "other": [], "unknown": []}
    for name in experiments:
        if name not in a or name not in b:
            groups["unknown"].append(readable(name))
        elif seeds := shared_seeds(a[name], b[name]):
            of_all = len(a[name].keys() | b[name].keys())
            groups["same"].append(
                f"{readable(name)} (seed {', '.join(seeds)}{'' if len(seeds) == of_all else f' of {of_all} seeds'})"
            )
        else:
            groups["other"].append(readable(name))
    return [SPLITS[kind].format(", ".join(names)) for kind, names in groups.items() if names]


def absent(only: Mapping[str, Mapping[str, list[str]]], numbers: list[Compared]) -> list[str]:
    """Say what is in one study only: how many numbers, and the names that the other lacks."""
    counts = outcomes.count(numbers)
    return [
        f"{outcome[0].upper()}{outcome[1:]}: {_verb(counts[outcome], 'number', 'numbers')}"
        + "".join(f"; {_listed(kind, names)}" for kind, names in only[outcome].items())
        + "."
        for outcome in (ONLY_A, ONLY_B)
        if counts[outcome]
    ]


def _listed(kind: str, names: list[str]) -> str:
    return f"{_verb(len(names), kind, f'{kind}s')} ({'; '.join(map(readable, names))})"
