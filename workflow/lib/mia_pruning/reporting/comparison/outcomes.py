"""The numbers of two studies, one by one: same bits, the same within intervals, or different.

The interval of a difference takes the two as independent: standard errors add in squares, degrees
of freedom follow Welch (1947, Biometrika 34) and Satterthwaite. Studies that attack the same
examples are not independent, which makes it too wide.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mia_pruning.metrics.intervals import CONFIDENCE, Interval, quantile

SAME_BITS, WITHIN, DIFFERS, ONLY_A, ONLY_B = (
    "same bits",
    "same within intervals",
    "differs",
    "only in A",
    "only in B",
)
OUTCOMES = (DIFFERS, ONLY_A, ONLY_B, WITHIN, SAME_BITS)
#: The columns `NUMBER` name a number of results.csv, the columns `EFFECT` one of differences.csv.
NUMBER = ["experiment", "defence", "attack", "attacker", "metric"]
EFFECT = ["experiment", "defence", "minus", "attack", "attacker", "metric"]
MEASURED = ["value", "low", "high", "standard_error", "degrees_of_freedom"]


@dataclass(frozen=True)
class Compared:
    """A number of either study: its names, what each study measured, B minus A, and the outcome.

    The outcome is what is to be made of the difference.
    """

    names: Mapping[str, str]
    a: Interval | None
    b: Interval | None
    difference: Interval | None
    outcome: str

    @property
    def has_interval(self) -> bool:
        """Return whether it is in both studies and the difference has an interval.

        Counted numbers, and those without any spread, have none.
        """
        return self.difference is not None and self.difference.standard_error > 0


def compare_numbers(a: pd.DataFrame, b: pd.DataFrame, names: list[str]) -> list[Compared]:
    """Compare every number of either table, in A's order, then in B's.

    names: the columns that name a number.
    """
    of_a, of_b = _measured(a, names), _measured(b, names)
    return [
        compare(dict(zip(names, key, strict=True)), of_a.get(key), of_b.get(key))
        for key in dict.fromkeys([*of_a, *of_b])
    ]


def _measured(table: pd.DataFrame, names: list[str]) -> dict[tuple[str, ...], Interval]:
    keys, rows = (
        table[names].itertuples(index=False, name=None),
        table[MEASURED].to_numpy(float).tolist(),
    )
    return {key: Interval(*row) for key, row in zip(keys, rows, strict=True)}


def compare(names: Mapping[str, str], a: Interval | None, b: Interval | None) -> Compared:
    """Compare what A and B measured; None is what a study lacks.

    >>> compare({}, Interval(0.5, 0.4, 0.6, 0.05, 9.0), Interval(0.6, 0.5, 0.7, 0.05, 9.0)).outcome
    'same within intervals'
    """
    if a is None or b is None:
        return Compared(names, a, b, None, ONLY_B if a is None else ONLY_A)
    difference = less(b, a)
    return Compared(names, a, b, difference, _outcome(a, b, difference))


def _outcome(a: Interval, b: Interval, difference: Interval) -> str:
    if a.estimate == b.estimate or (math.isnan(a.estimate) and math.isnan(b.estimate)):
        return SAME_BITS
    return WITHIN if difference.low <= 0 <= difference.high else DIFFERS


def less(b: Interval, a: Interval) -> Interval:
    """Return B minus A, as of independent studies; without an interval where either has none.

    >>> less(Interval(0.7, 0.6, 0.8, 0.04, 8.0), Interval(0.6, 0.5, 0.7, 0.03, np.inf)).standard_error
    0.05
    """
    variances = [a.standard_error**2, b.standard_error**2]
    uncertain = sum(
        variance**2 / each.degrees_of_freedom
        for variance, each in zip(variances, (a, b), strict=True)
        if variance > 0
    )
    estimate, error = b.estimate - a.estimate, math.hypot(a.standard_error, b.standard_error)
    freedom = sum(variances) ** 2 / uncertain if uncertain else math.inf
    half = quantile(freedom) * error
    return Interval(estimate, estimate - half, estimate + half, error, freedom)


def count(compared: list[Compared]) -> dict[str, int]:
    """Count the numbers of each outcome."""
    return {outcome: sum(each.outcome == outcome for each in compared) for outcome in OUTCOMES}


def that_could_differ(compared: list[Compared]) -> int:
    """Count the numbers that have an interval and not the same bits.

    Luck alone makes 5 % of such numbers seem different.
    """
    return sum(each.has_interval and each.outcome in (WITHIN, DIFFERS) for each in compared)


def by_luck(compared: list[Compared]) -> float:
    """Return how many numbers are expected to differ if nothing did."""
    return (1 - CONFIDENCE) * that_could_differ(compared)


def intervals_that_moved(compared: list[Compared]) -> int:
    """Count the numbers that have the same bits but another interval, as of another bootstrap."""
    same = [each for each in compared if each.outcome == SAME_BITS]
    return sum(
        not np.array_equal(_bounds(each.a), _bounds(each.b), equal_nan=True) for each in same
    )


def _bounds(interval: Interval) -> list[float]:
    return [interval.low, interval.high, interval.standard_error, interval.degrees_of_freedom]


def only_in_one(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, dict[str, list[str]]]:
    """Return what only one table of results names, by what it is.

    An example is `{"only in A": {"defence": ["snip"]}, "only in B": {}}`.
    """
    kinds = {
        "experiment": ["experiment"],
        "defence": ["defence"],
        "attack": ["attack", "attacker"],
        "metric": ["metric"],
    }
    named = [
        {kind: _distinct(table[columns]) for kind, columns in kinds.items()} for table in (a, b)
    ]
    return {ONLY_A: _not_in(*named), ONLY_B: _not_in(*named[::-1])}


def _distinct(table: pd.DataFrame) -> list[str]:
    return [
        ", ".join(row)
        for row in table.drop_duplicates().itertuples(index=False, name=None)
        if row[0]
    ]


def _not_in(one: Mapping[str, list[str]], other: Mapping[str, list[str]]) -> dict[str, list[str]]:
    left = {
        kind: [name for name in names if name not in other[kind]] for kind, names in one.items()
    }
    return {kind: names for kind, names in left.items() if names}
