"""The verdicts that two studies reached on the same claim, experiment, defence and attacker."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mia_pruning.reporting.claims import NOT_TESTED

#: These columns name a verdict.
VERDICT = ["claim", "experiment", "defence", "attack", "attacker"]
#: These columns say what a claim requires.
CONDITION = ["metric", "minus", "direction", "threshold"]


@dataclass(frozen=True)
class Judged:
    """A verdict of both studies.

    names: its names; a, b: the study's rows of verdicts.csv, one a condition.
    """

    names: Mapping[str, str]
    a: pd.DataFrame
    b: pd.DataFrame

    @property
    def headline(self) -> bool:
        return bool(self.a["headline"].iloc[0] and self.b["headline"].iloc[0])

    @property
    def same_conditions(self) -> bool:
        """Return whether the claim asks the same in both."""
        return self.a[CONDITION].to_numpy().tolist() == self.b[CONDITION].to_numpy().tolist()

    def changed(self, *columns: str) -> bool:
        """Return whether one of these columns is not the same in both.

        columns: of `verdict` and `corrected`.
        """
        return any(self.a[column].iloc[0] != self.b[column].iloc[0] for column in columns)


def compare_verdicts(a: pd.DataFrame, b: pd.DataFrame) -> list[Judged]:
    """Return the verdicts that both studies reached, changed or not, in A's order."""
    of_a, of_b = reached(a), reached(b)
    return [
        Judged(dict(zip(VERDICT, key, strict=True)), of_a[key], of_b[key])
        for key in of_a
        if key in of_b
    ]


def reached(verdicts: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """Return the rows of each verdict, without those that say that nothing was tested."""
    return dict(list(verdicts[verdicts["verdict"] != NOT_TESTED].groupby(VERDICT, sort=False)))
